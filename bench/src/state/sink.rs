//! What stands behind a task's snapshots: a thread that encodes segments and writes them to files, as the runtime's writer
//! does to its store.

use sluice_core::id::{Epoch, OperatorId, WriterId};
use sluice_core::key_group::KeyGroups;
use sluice_runtime::state::segment::{SegmentBuilder, Tail, decode_block, read_tail};
use sluice_runtime::state::{StateBlock, StateSink};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

/// Blocks between task and encoder, as in the runtime.
const HANDED_OVER: usize = 16;
const PART_BYTES: usize = 32 << 20;

enum Message {
    Block(StateBlock),
    End,
}

pub struct FileSink {
    blocks: Option<SyncSender<Message>>,
    recycled: Receiver<StateBlock>,
    done: Receiver<u64>,
    pending: usize,
    thread: Option<JoinHandle<()>>,
    written: Written,
}

/// What was written, in a directory of its own that goes with it.
pub struct Written {
    directory: PathBuf,
    pub count: usize,
    bytes: u64,
}

impl FileSink {
    pub fn start(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("sluice-bench-{}-{name}", std::process::id()));
        fs::create_dir_all(&directory).expect("the temporary directory takes files");
        let (blocks, rx) = sync_channel(HANDED_OVER);
        let (back, recycled) = sync_channel(HANDED_OVER);
        let (report, done) = sync_channel(1024);
        let target = directory.clone();
        let thread = std::thread::spawn(move || write(&rx, &back, &report, &target));
        let written = Written { directory, count: 0, bytes: 0 };
        Self { blocks: Some(blocks), recycled, done, pending: 0, thread: Some(thread), written }
    }

    /// The snapshot's blocks are all handed over; false: no room, ask again.
    pub fn end(&mut self) -> bool {
        let sent = self.blocks.as_ref().is_some_and(|b| b.try_send(Message::End).is_ok());
        self.pending += usize::from(sent);
        sent
    }

    /// Whether the snapshot before is durable: the next one may begin.
    pub fn is_idle(&mut self) -> bool {
        while let Ok(bytes) = self.done.try_recv() {
            self.took(bytes);
        }
        self.pending == 0
    }

    fn took(&mut self, bytes: u64) {
        self.pending -= 1;
        self.written.count += 1;
        self.written.bytes += bytes;
    }

    /// Waits until all is durable; the bytes of the last snapshot.
    pub fn wait(&mut self) -> u64 {
        let mut last = 0;
        while self.pending > 0 {
            last = self.done.recv().expect("the writer lives as long as its sink");
            self.took(last);
        }
        last
    }

    /// Ends the writer; the files go with the result.
    pub fn finish_keeping(mut self) -> Written {
        self.wait();
        self.blocks = None;
        if let Some(t) = self.thread.take() {
            t.join().expect("the writer does not panic");
        }
        self.written
    }

    pub fn finish(self) -> Written {
        self.finish_keeping()
    }
}

impl StateSink for FileSink {
    fn try_send(&mut self, block: StateBlock) -> Result<(), StateBlock> {
        match self.blocks.as_ref().map(|b| b.try_send(Message::Block(block))) {
            Some(Err(
                TrySendError::Full(Message::Block(block)) | TrySendError::Disconnected(Message::Block(block)),
            )) => Err(block),
            _ => Ok(()),
        }
    }

    fn block(&mut self, table: u8) -> StateBlock {
        let mut block = self.recycled.try_recv().unwrap_or_default();
        block.reset(table);
        block
    }
}

fn write(rx: &Receiver<Message>, back: &SyncSender<StateBlock>, report: &SyncSender<u64>, directory: &std::path::Path) {
    let (mut part, mut bytes) = (0, 0);
    let builder =
        || SegmentBuilder::new(OperatorId("bench".into()), WriterId("bench".into()), Epoch(1), KeyGroups::DEFAULT);
    let mut segment = builder();
    let mut close = |segment: SegmentBuilder, sync: bool| {
        let (content, _) = segment.finish();
        let mut f = File::create(directory.join(format!("{part:05}"))).expect("the directory takes files");
        part += 1;
        f.write_all(&content).expect("the disk has room");
        if sync {
            f.sync_data().expect("the disk works");
        }
        content.len() as u64
    };
    for message in rx {
        match message {
            Message::Block(block) => {
                segment.push(&block);
                let _ = back.try_send(block); // One too many is freed.
                if segment.len() >= PART_BYTES {
                    bytes += close(std::mem::replace(&mut segment, builder()), true);
                }
            }
            Message::End => {
                if !segment.is_empty() {
                    bytes += close(std::mem::replace(&mut segment, builder()), true);
                }
                if report.send(std::mem::take(&mut bytes)).is_err() {
                    return;
                }
            }
        }
    }
}

impl Written {
    pub fn mean_mb(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.count.max(1) as f64
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = fs::read_dir(&self.directory)
            .expect("the directory is ours")
            .filter_map(|e| e.ok().map(|e| e.path()))
            .collect();
        files.sort();
        files
    }

    /// Reads every file once, in order, into one buffer.
    pub fn read_all(&self) -> u64 {
        let mut buffer = vec![0; 1 << 20];
        let mut n = 0;
        for path in self.files() {
            let mut f = File::open(path).expect("the file is ours");
            loop {
                let got = f.read(&mut buffer).expect("the disk works");
                if got == 0 {
                    break;
                }
                n += got as u64;
            }
        }
        n
    }

    /// Every block, verified.
    pub fn blocks(&self, mut f: impl FnMut(&StateBlock)) {
        for path in self.files() {
            let bytes = fs::read(path).expect("the file is ours");
            let Ok(Tail::Footer(footer)) = read_tail(&bytes, bytes.len() as u64) else {
                unreachable!("the whole segment is here");
            };
            for b in &footer.blocks {
                let at = b.offset as usize;
                let block = decode_block(&footer, b, &bytes[at..at + b.length as usize]).expect("the block is whole");
                f(&block);
            }
        }
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory); // A temporary directory: the system removes it else.
    }
}
