//! Writes lines to TCP: the task encodes, a thread sends. At a barrier everything has been handed to the network.

use super::{LOOK, Mode, Pauses, SocketTable, Stop};
use crate::connector::{Accepts, ConnectorError, Sink, SinkGuarantee, SinkSlot, SinkWriter, Staged};
use crate::element::Batch;
use crate::format::Encoder;
use async_trait::async_trait;
use sluice_core::id::Epoch;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Batches between task and thread: a short hiccup of the network does not stop the task.
const BATCHES: usize = 16;

/// A peer that takes nothing for so long is gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) struct SocketSink {
    pub(super) table: Arc<SocketTable>,
}

#[async_trait]
impl Sink for SocketSink {
    fn guarantee(&self) -> SinkGuarantee {
        SinkGuarantee::BestEffort
    }

    fn accepts(&self) -> Accepts {
        Accepts::Inserts
    }

    /// A client's slots have a connection each; a server's slot i listens on port + i.
    fn writer(&self, slot: SinkSlot) -> Result<Box<dyn SinkWriter>, ConnectorError> {
        let mut table = SocketTable::clone(&self.table);
        let listener = match table.mode {
            Mode::Client => None,
            Mode::Server => {
                let port = u16::try_from(slot.slot).ok().and_then(|s| table.port.checked_add(s));
                table.port = port.ok_or_else(|| self.table.failed(format!("slot {} has no port left", slot.slot)))?;
                Some(table.listen()?)
            }
        };
        let encoder = table.format.encoder(&table.schema);
        let (sender, receiver) = sync_channel(BATCHES);
        let stop = Stop::default();
        let peers = Peers { table: table.clone(), listener, streams: vec![], stop: stop.clone() };
        let thread =
            std::thread::Builder::new().name(format!("socket {}", table.name)).spawn(move || peers.run(&receiver));
        let thread = thread.map_err(|e| table.failed(format!("failed to start a thread: {e}")))?;
        Ok(Box::new(SocketWriter { table, encoder, orders: Some(sender), stop, thread: Some(thread) }))
    }

    async fn settle(&self, _epoch: Epoch, _staged: &[Staged]) -> Result<(), ConnectorError> {
        Ok(())
    }

    async fn discard(&self, _staged: &[Staged]) -> Result<(), ConnectorError> {
        Ok(())
    }
}

enum Order {
    Send(Vec<u8>),
    /// Answered when everything before is in the network's hands.
    Flush(SyncSender<()>),
}

struct SocketWriter {
    table: SocketTable,
    encoder: Box<dyn Encoder>,
    orders: Option<SyncSender<Order>>,
    stop: Stop,
    thread: Option<JoinHandle<Result<(), ConnectorError>>>,
}

impl SocketWriter {
    fn order(&mut self, order: Order) -> Result<(), ConnectorError> {
        match self.orders.as_ref().map(|o| o.send(order)) {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => Err(self.failure()),
        }
    }

    /// Why the thread has ended.
    fn failure(&mut self) -> ConnectorError {
        let ended = self.thread.take().map(JoinHandle::join);
        match ended {
            Some(Ok(Err(e))) => e,
            _ => self.table.failed("the sending thread has ended".to_owned()),
        }
    }
}

impl SinkWriter for SocketWriter {
    fn write(&mut self, batch: &Batch) -> Result<(), ConnectorError> {
        let mut bytes = Vec::with_capacity(batch.len() * 64);
        self.encoder.encode(&batch.rows, &mut bytes);
        self.order(Order::Send(bytes))
    }

    fn barrier(&mut self, _epoch: Epoch) -> Result<Option<Staged>, ConnectorError> {
        let (sender, receiver) = sync_channel(1);
        self.order(Order::Flush(sender))?;
        match receiver.recv() {
            Ok(()) => Ok(None),
            Err(_) => Err(self.failure()),
        }
    }

    fn confirmed(&mut self, _epoch: Epoch) {}
}

impl Drop for SocketWriter {
    fn drop(&mut self) {
        self.stop.request();
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // Its failure was reported by the last write or is of no one's interest any more.
            let _ = thread.join();
        }
    }
}

/// The sending thread: whoever takes the rows.
struct Peers {
    table: SocketTable,
    listener: Option<TcpListener>,
    streams: Vec<TcpStream>,
    stop: Stop,
}

impl Peers {
    fn run(mut self, orders: &Receiver<Order>) -> Result<(), ConnectorError> {
        loop {
            self.accept();
            match orders.recv_timeout(LOOK) {
                Ok(Order::Send(bytes)) => self.send(&bytes)?,
                // The writer may have gone meanwhile.
                Ok(Order::Flush(done)) => drop(done.send(())),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    /// Takes clients that wait.
    fn accept(&mut self) {
        let Some(listener) = &self.listener else { return };
        while let Ok((stream, peer)) = listener.accept() {
            let prepared = stream.set_nonblocking(false).and_then(|()| stream.set_write_timeout(Some(SEND_TIMEOUT)));
            match prepared {
                Ok(()) => self.streams.push(stream),
                Err(e) => tracing::warn!(table = self.table.name, %peer, error = %e, "failed to accept a connection"),
            }
        }
    }

    /// To every peer; waits for the first one. A peer that breaks off is dropped; with none left the rows are sent again to
    /// the next.
    fn send(&mut self, bytes: &[u8]) -> Result<(), ConnectorError> {
        loop {
            self.wait_for_peer()?;
            let table = &self.table;
            self.streams.retain_mut(|stream| match stream.write_all(bytes).and_then(|()| stream.flush()) {
                Ok(()) => true,
                Err(e) => {
                    tracing::warn!(table = table.name, address = table.address(), error = %e, "connection broke");
                    false
                }
            });
            if !self.streams.is_empty() || self.stop.requested() {
                return Ok(());
            }
        }
    }

    fn wait_for_peer(&mut self) -> Result<(), ConnectorError> {
        let mut pauses = Pauses::new();
        let mut waited = Duration::ZERO;
        let mut last = io::Error::new(io::ErrorKind::TimedOut, "no client has connected");
        loop {
            self.accept();
            if !self.streams.is_empty() || self.stop.requested() {
                return Ok(());
            }
            if self.listener.is_none() {
                let connected = self.table.connect().and_then(|s| s.set_write_timeout(Some(SEND_TIMEOUT)).map(|()| s));
                match connected {
                    Ok(stream) => {
                        self.streams.push(stream);
                        return Ok(());
                    }
                    Err(e) => last = e,
                }
            }
            if waited >= self.table.connect_timeout {
                return Err(ConnectorError::Io { action: "send to", path: self.table.address(), source: last });
            }
            let pause = if self.listener.is_some() { LOOK } else { pauses.next() };
            self.stop.pause(pause);
            waited += pause;
        }
    }
}
