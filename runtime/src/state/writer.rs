//! From blocks that tasks hand over to segments in the store, beside the processing.
//!
//! Tasks never wait: their [`StateSink`] is a bounded channel that gives a block back when it is full. One encoder thread
//! turns blocks into segment bytes; uploads run on the I/O threads, a few at a time. When the store is behind, the encoder
//! waits, then the channel is full, then tasks copy out only rows that they touch: memory stays bounded all the way.

use super::segment::SegmentBuilder;
use super::{StateBlock, StateSink};
use crate::store::{Store, StoreError};
use crate::task::SnapshotSinks;
use sluice_core::chain::Member;
use sluice_core::checksum::Checksum;
use sluice_core::id::{Epoch, Fence, OperatorId, WriterId};
use sluice_core::key_group::KeyGroups;
use sluice_core::manifest::SegmentRef;
use sluice_core::paths::{JobPaths, ObjectName};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle as IoHandle;

/// Blocks (a third of a megabyte each) between tasks and encoder: enough to keep it busy, little enough to be no memory.
const HANDED_OVER: usize = 16;
/// Emptied blocks on their way back.
const RECYCLED: usize = 16;
/// A segment is closed at this size: large enough for a store's requests, small enough that one per operator and task in
/// the making and [`UPLOADS`] in flight are little beside the state that fills them.
const SEGMENT_BYTES: usize = 8 << 20;
/// Uploads at a time: 32 MiB in flight.
const UPLOADS: usize = 4;

#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("failed to write a segment: {0}; nothing of this checkpoint counts, the one before stands")]
    Store(#[from] StoreError),
    #[error("segment '{path}' does not read back as it was written: {message}")]
    Unverified { path: String, message: String },
    #[error("the encoder of segments is gone")]
    Gone,
}

/// Who writes, for which job.
#[derive(Clone, Debug)]
pub struct SegmentOwner {
    pub paths: JobPaths,
    pub fence: Fence,
    pub writer: WriterId,
    pub key_groups: KeyGroups,
    /// By plan node.
    pub operators: Vec<OperatorId>,
}

enum Message {
    Block {
        member: Member,
        epoch: Epoch,
        full: bool,
        block: StateBlock,
    },
    /// All blocks of the epoch have been sent.
    Finish {
        epoch: Epoch,
        reply: oneshot::Sender<Vec<Upload>>,
    },
}

struct Upload {
    member: Member,
    segment: SegmentRef,
    done: IoHandle<Result<(), StoreError>>,
}

pub struct SnapshotWriter {
    to_encoder: Option<SyncSender<Message>>,
    encoder: Option<JoinHandle<()>>,
    recycled: Vec<Option<WorkerSinks>>,
    store: Arc<dyn Store>,
    paths: JobPaths,
    permits: Arc<Semaphore>,
}

impl SnapshotWriter {
    /// Must be called on an I/O runtime; uploads run there. Makes a sink for each of `workers` threads.
    pub fn start(store: Arc<dyn Store>, owner: SegmentOwner, workers: usize) -> std::io::Result<Self> {
        let (tx, rx) = sync_channel(HANDED_OVER);
        let (mut back, mut sinks) = (vec![], vec![]);
        for worker in 0..workers {
            let (empty_tx, empty_rx) = sync_channel(RECYCLED);
            back.push(empty_tx);
            sinks.push(Some(WorkerSinks {
                worker,
                current: (0, Epoch(0), true),
                blocks: tx.clone(),
                recycled: empty_rx,
            }));
        }
        let (paths, permits) = (owner.paths.clone(), Arc::new(Semaphore::new(UPLOADS)));
        let mut encoder = Encoder {
            store: Arc::clone(&store),
            owner,
            io: Handle::current(),
            permits: Arc::clone(&permits),
            back,
            open: BTreeMap::new(),
            parts: BTreeMap::new(),
            uploads: vec![],
        };
        let thread = std::thread::Builder::new().name("sluice-encoder".into()).spawn(move || encoder.run(&rx))?;
        Ok(Self { to_encoder: Some(tx), encoder: Some(thread), recycled: sinks, store, paths, permits })
    }

    /// The sinks of a worker's tasks; once per worker.
    pub fn sinks(&mut self, worker: usize) -> Box<dyn SnapshotSinks + Send> {
        Box::new(self.recycled[worker].take().expect("each worker takes its sinks once"))
    }

    /// Every task has handed over its blocks of `epoch`: returns when all segments are durable.
    pub async fn finish(&self, epoch: Epoch) -> Result<BTreeMap<Member, Vec<SegmentRef>>, WriteError> {
        let (reply, answer) = oneshot::channel();
        let to = self.to_encoder.clone().ok_or(WriteError::Gone)?;
        // The channel may be full: the encoder is behind, and this thread must not stop.
        tokio::task::spawn_blocking(move || to.send(Message::Finish { epoch, reply }))
            .await
            .map_err(|_| WriteError::Gone)?
            .map_err(|_| WriteError::Gone)?;
        let mut written: BTreeMap<Member, Vec<SegmentRef>> = BTreeMap::new();
        for upload in answer.await.map_err(|_| WriteError::Gone)? {
            upload.done.await.map_err(|_| WriteError::Gone)??;
            written.entry(upload.member).or_default().push(upload.segment);
        }
        Ok(written)
    }

    /// Reads every segment back and compares.
    pub async fn verify(&self, segments: impl Iterator<Item = &SegmentRef>) -> Result<(), WriteError> {
        for s in segments {
            let path = self.paths.resolve(&s.path);
            let bytes = self.store.get(&path).await?;
            if bytes.len() as u64 != s.length || !s.checksum.matches(&bytes) {
                let message = format!("{} bytes with another checksum instead of {}", bytes.len(), s.length);
                return Err(WriteError::Unverified { path, message });
            }
        }
        Ok(())
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        self.to_encoder = None;
        self.recycled.clear();
        self.permits.close(); // An encoder that waits for an upload gives up.
        if let Some(t) = self.encoder.take() {
            let _ = t.join(); // It ends when the workers' senders are gone; they are joined before.
        }
    }
}

/// The sinks of one worker thread: one at a time is selected.
struct WorkerSinks {
    worker: usize,
    /// Plan node, epoch, and whether its snapshot holds all rows.
    current: (usize, Epoch, bool),
    blocks: SyncSender<Message>,
    recycled: Receiver<StateBlock>,
}

impl SnapshotSinks for WorkerSinks {
    fn of(&mut self, node: usize, epoch: Epoch, full: bool) -> &mut dyn StateSink {
        self.current = (node, epoch, full);
        self
    }
}

impl StateSink for WorkerSinks {
    fn try_send(&mut self, block: StateBlock) -> Result<(), StateBlock> {
        let (node, epoch, full) = self.current;
        match self.blocks.try_send(Message::Block { member: (node, self.worker), epoch, full, block }) {
            // The encoder is gone only when the run is over.
            Ok(()) | Err(TrySendError::Disconnected(_)) => Ok(()),
            Err(TrySendError::Full(Message::Block { block, .. })) => Err(block),
            Err(TrySendError::Full(Message::Finish { .. })) => Ok(()),
        }
    }

    fn block(&mut self, table: u8) -> StateBlock {
        let mut block = self.recycled.try_recv().unwrap_or_default();
        block.reset(table);
        block
    }
}

struct Open {
    builder: SegmentBuilder,
    full: bool,
    part: u32,
}

struct Encoder {
    store: Arc<dyn Store>,
    owner: SegmentOwner,
    io: Handle,
    permits: Arc<Semaphore>,
    back: Vec<SyncSender<StateBlock>>,
    open: BTreeMap<(Epoch, Member), Open>,
    /// Segments begun, as the number of the last one.
    parts: BTreeMap<(Epoch, Member), u32>,
    uploads: Vec<(Epoch, Upload)>,
}

impl Encoder {
    fn run(&mut self, messages: &Receiver<Message>) {
        while let Ok(message) = messages.recv() {
            match message {
                Message::Block { member, epoch, full, block } => self.block(member, epoch, full, block),
                Message::Finish { epoch, reply } => {
                    let open: Vec<_> = self.open.keys().filter(|(e, _)| *e == epoch).copied().collect();
                    for (e, member) in open {
                        self.close(e, member);
                    }
                    // What is left of epochs that were given up is dropped with them.
                    self.open.clear();
                    self.parts.clear();
                    let uploads = std::mem::take(&mut self.uploads);
                    let mine = uploads.into_iter().filter(|(e, _)| *e == epoch).map(|(_, u)| u).collect();
                    let _ = reply.send(mine);
                }
            }
        }
    }

    fn block(&mut self, member: Member, epoch: Epoch, full: bool, block: StateBlock) {
        let owner = &self.owner;
        let part = self.parts.entry((epoch, member)).or_default();
        let builder = self.open.entry((epoch, member)).or_insert_with(|| {
            *part += 1;
            let operator = owner.operators[member.0].clone();
            let builder = SegmentBuilder::new(operator, owner.writer.clone(), epoch, owner.key_groups);
            Open { builder, full, part: *part }
        });
        builder.builder.push(&block);
        let _ = self.back[member.1].try_send(block); // Too many came back: this one is freed.
        if builder.builder.len() >= SEGMENT_BYTES {
            self.close(epoch, member);
        }
    }

    fn close(&mut self, epoch: Epoch, member: Member) {
        let Some(Open { builder, full, part }) = self.open.remove(&(epoch, member)) else { return };
        if builder.is_empty() {
            return;
        }
        let owner = &self.owner;
        let name = ObjectName { fence: owner.fence, writer: owner.writer.clone(), epoch };
        let (bytes, contents) = builder.finish();
        let operator = owner.operators[member.0].clone();
        let segment = SegmentRef {
            path: name.segment(&operator, member.1, part as usize),
            length: bytes.len() as u64,
            checksum: Checksum::crc32(&bytes),
            operator,
            epoch,
            key_groups: contents.groups,
            rows: contents.rows,
            tombstones: contents.tombstones,
            full,
        };
        // Waits before the next segment is begun, not in the upload: segments that wait would be the whole state.
        let Ok(permit) = self.io.block_on(Arc::clone(&self.permits).acquire_owned()) else { return };
        let store = Arc::clone(&self.store);
        let target = owner.paths.resolve(&segment.path);
        let done = self.io.spawn(async move {
            let result = store.put(&target, bytes.into()).await;
            drop(permit);
            result
        });
        self.uploads.push((epoch, Upload { member, segment, done }));
    }
}

#[cfg(test)]
mod tests;
