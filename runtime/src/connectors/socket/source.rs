//! Reads lines from TCP: a thread cuts the streams into whole lines, the task decodes them.

use super::{LOOK, Mode, Pauses, SocketTable, Stop};
use crate::connector::{ConnectorError, Polled, ReaderStats, Source, SourceGuarantee, Split, SplitReader};
use crate::connectors::on_error::BadRecords;
use crate::format::{Decoder, RECORD_BYTES_MAX};
use arrow::array::RecordBatch;
use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;

/// Chunks of lines between thread and task: 16 × 64 KiB covers the task's longest stop at 100 MB/s.
const CHUNKS: usize = 16;
const CHUNK_BYTES: usize = 64 << 10;

/// Clients of a server at a time; a further one waits to be accepted.
const CLIENTS_MAX: usize = 64;

pub(super) struct SocketSource {
    pub(super) table: Arc<SocketTable>,
}

impl Source for SocketSource {
    fn guarantee(&self) -> SourceGuarantee {
        SourceGuarantee::AtMostOnce
    }

    fn splits(&mut self) -> Result<Vec<Split>, ConnectorError> {
        Ok(vec![Split { id: "socket".to_owned(), position: serde_json::Value::Null, finished: false }])
    }

    fn unbounded(&self) -> bool {
        self.table.mode == Mode::Server || self.table.reconnect
    }

    fn at_current_end(&self, split: Split) -> Split {
        split
    }

    fn reader(&self) -> Result<Box<dyn SplitReader>, ConnectorError> {
        let decoder = self.table.format.decoder(&self.table.schema, None).map_err(|m| self.table.failed(m))?;
        let bad = BadRecords::new(&self.table.name, self.table.on_error);
        Ok(Box::new(SocketReader {
            table: self.table.clone(),
            decoder,
            bad,
            splits: vec![],
            network: None,
            chunk: vec![],
            taken: 0,
            stats: ReaderStats::default(),
        }))
    }
}

struct SocketReader {
    table: Arc<SocketTable>,
    decoder: Box<dyn Decoder>,
    bad: BadRecords,
    splits: Vec<Split>,
    network: Option<Network>,
    /// Whole lines; those before `taken` are decoded.
    chunk: Vec<u8>,
    taken: usize,
    stats: ReaderStats,
}

/// The thread and its channel. Dropping it stops and joins the thread.
struct Network {
    chunks: Option<Receiver<Vec<u8>>>,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Network {
    fn drop(&mut self) {
        self.stop.request();
        self.chunks = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported by its panic message; the task is going anyway.
            let _ = thread.join();
        }
    }
}

impl SocketReader {
    /// The number of the split, if it is still being read.
    fn number(&self) -> Option<usize> {
        self.network.as_ref().map(|_| self.splits.len() - 1)
    }

    fn start(&self) -> Result<Network, ConnectorError> {
        let (sender, receiver) = sync_channel(CHUNKS);
        let stop = Stop::default();
        let (table, told) = (self.table.clone(), stop.clone());
        // The address is claimed here, so that a port in use is this task's error.
        let listener = match self.table.mode {
            Mode::Server => Some(self.table.listen()?),
            Mode::Client => None,
        };
        let work = move || match listener {
            Some(listener) => serve(&table, &listener, &sender, &told),
            None => call(&table, &sender, &told),
        };
        let thread = std::thread::Builder::new().name(format!("socket {}", self.table.name)).spawn(work);
        let thread = thread.map_err(|e| self.table.failed(format!("failed to start a thread: {e}")))?;
        Ok(Network { chunks: Some(receiver), stop, thread: Some(thread) })
    }

    fn decode(&mut self, number: usize) -> Result<Option<Polled>, ConnectorError> {
        let input = &self.chunk[self.taken..];
        let decoded = self.decoder.decode(input, usize::MAX, true);
        for bad in &decoded.bad {
            self.bad.add(|| format!("socket {}", self.table.address()), &bad.message, &input[bad.range.clone()])?;
        }
        self.stats.records += (decoded.rows.num_rows() + decoded.bad.len()) as u64;
        // Nothing taken means nothing but the end of the chunk is left.
        self.taken = if decoded.consumed == 0 { self.chunk.len() } else { self.taken + decoded.consumed };
        Ok((decoded.rows.num_rows() > 0).then_some(Polled::Rows { split: number, rows: decoded.rows }))
    }
}

impl SplitReader for SocketReader {
    fn open(&mut self, split: Split) -> Result<(), ConnectorError> {
        if !split.finished {
            self.network = Some(self.start()?);
        }
        self.splits.push(split);
        Ok(())
    }

    fn poll(&mut self) -> Result<Polled, ConnectorError> {
        let Some(number) = self.number() else { return Ok(Polled::End) };
        loop {
            while self.taken < self.chunk.len() {
                if let Some(polled) = self.decode(number)? {
                    return Ok(polled);
                }
            }
            let received = self.network.as_ref().and_then(|n| n.chunks.as_ref()).map(Receiver::try_recv);
            match received {
                Some(Ok(chunk)) => {
                    self.stats.bytes += chunk.len() as u64;
                    self.chunk = chunk;
                    self.taken = 0;
                }
                Some(Err(TryRecvError::Empty)) => return Ok(Polled::Pending),
                Some(Err(TryRecvError::Disconnected)) | None => {
                    self.network = None;
                    self.splits[number].finished = true;
                    return Ok(Polled::Finished { split: number });
                }
            }
        }
    }

    fn splits(&self) -> Vec<Split> {
        self.splits.clone()
    }

    fn dead_letters(&mut self) -> Option<RecordBatch> {
        self.bad.take()
    }

    fn stats(&self) -> ReaderStats {
        ReaderStats { bad_records: self.bad.count(), ..self.stats }
    }
}

/// A client's life: connect, read until the server closes, connect again.
fn call(table: &SocketTable, chunks: &SyncSender<Vec<u8>>, stop: &Stop) {
    let mut pauses = Pauses::new();
    while !stop.requested() {
        match table.connect() {
            Ok(stream) => {
                pauses = Pauses::new();
                if let Err(e) = forward(stream, chunks, stop) {
                    tracing::warn!(table = table.name, address = table.address(), error = %e, "connection broke");
                }
                if !table.reconnect {
                    return;
                }
            }
            Err(e) => {
                tracing::warn!(table = table.name, address = table.address(), error = %e, "failed to connect, trying again");
            }
        }
        stop.pause(pauses.next());
    }
}

/// A server's life: a thread per client.
fn serve(table: &SocketTable, listener: &TcpListener, chunks: &SyncSender<Vec<u8>>, stop: &Stop) {
    std::thread::scope(|scope| {
        let mut clients: Vec<std::thread::ScopedJoinHandle<'_, ()>> = vec![];
        while !stop.requested() {
            clients.retain(|c| !c.is_finished());
            if clients.len() >= CLIENTS_MAX {
                stop.pause(LOOK);
                continue;
            }
            match listener.accept() {
                Ok((stream, peer)) => clients.push(scope.spawn(move || {
                    if let Err(e) = forward(stream, chunks, stop) {
                        tracing::warn!(table = table.name, %peer, error = %e, "connection broke");
                    }
                })),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => stop.pause(LOOK),
                Err(e) => {
                    tracing::warn!(table = table.name, error = %e, "failed to accept a connection");
                    stop.pause(LOOK);
                }
            }
        }
    });
}

/// Hands over whole lines until the stream ends. A last line without an end counts, for its sender has finished.
fn forward(mut stream: TcpStream, chunks: &SyncSender<Vec<u8>>, stop: &Stop) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(LOOK))?;
    let mut pending: Vec<u8> = vec![];
    let mut buffer = vec![0; CHUNK_BYTES];
    while !stop.requested() {
        match stream.read(&mut buffer) {
            Ok(0) => {
                hand_over(pending, chunks, stop);
                return Ok(());
            }
            Ok(n) => {
                pending.extend_from_slice(&buffer[..n]);
                // What is longer than any record may be is handed over as it is: the decoder refuses it.
                let whole = match memchr::memrchr(b'\n', &pending) {
                    Some(i) => i + 1,
                    None if pending.len() > RECORD_BYTES_MAX => pending.len(),
                    None => continue,
                };
                let rest = pending.split_off(whole);
                hand_over(std::mem::replace(&mut pending, rest), chunks, stop);
            }
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
                ) => {}
            Err(e) => {
                hand_over(pending, chunks, stop);
                return Err(e);
            }
        }
    }
    Ok(())
}

/// Waits while the task is behind: the peer feels it through TCP.
fn hand_over(mut chunk: Vec<u8>, chunks: &SyncSender<Vec<u8>>, stop: &Stop) {
    while !chunk.is_empty() && !stop.requested() {
        match chunks.try_send(chunk) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => return,
            Err(TrySendError::Full(back)) => {
                chunk = back;
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
    }
}
