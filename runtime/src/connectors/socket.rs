//! `socket`: newline-framed records over TCP, as a source and as a sink, `mode` = `client` (default) or `server`.
//!
//! A socket cannot be read again: the source is at-most-once, and what a sink has handed to the network is lost when the
//! connection breaks (best effort). A client connects again with growing pauses; a server takes any number of clients. The
//! network is another thread's business; a task never waits for it but under back-pressure.

mod sink;
mod source;

use super::on_error::OnError;
use super::options::Options;
use crate::connector::{ConnectorError, Sink, Source};
use crate::format::Format;
use arrow_schema::SchemaRef;
use sluice_core::plan::Table;
use std::io;
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(super) const KNOWN: &[&str] = &["hostname", "port", "mode", "format", "on-error", "reconnect", "connect-timeout"];

/// How often a waiting thread looks whether it should stop.
const LOOK: Duration = Duration::from_millis(50);

/// Pauses between attempts to connect: doubled from the first to the last.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);

const CONNECT_TIMEOUT: Duration = Duration::from_mins(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Client,
    Server,
}

#[derive(Clone, Debug)]
pub(super) struct SocketTable {
    name: String,
    schema: SchemaRef,
    host: String,
    port: u16,
    mode: Mode,
    format: Format,
    on_error: OnError,
    /// Source, client: connect again when the server closes, else the table ends there.
    reconnect: bool,
    /// Sink: how long rows wait for someone who takes them.
    connect_timeout: Duration,
}

impl SocketTable {
    pub(super) fn parse(table: &Table) -> Result<Self, ConnectorError> {
        let options = Options::new(table);
        let format = Format::parse(&options, &table.schema)?;
        options.check_known(&[KNOWN, format.known_options()], &[])?;
        if format.reads_header() {
            return Err(options.invalid("'csv.header' cannot be used with a socket, which may begin anywhere"));
        }
        if !table.metadata.is_empty() || !table.partitioned_by.is_empty() {
            return Err(options.invalid("connector 'socket' has no metadata columns and no partitions"));
        }
        options.required("port")?;
        let port = options.u64("port")?.and_then(|p| u16::try_from(p).ok()).filter(|p| *p > 0);
        let mode =
            options.one_of("mode", &[("client", Mode::Client), ("server", Mode::Server)])?.unwrap_or(Mode::Client);
        let host = match (mode, options.get("hostname")) {
            (_, Some(host)) => host.to_owned(),
            // Listening on all interfaces has to be asked for.
            (Mode::Server, None) => "127.0.0.1".to_owned(),
            (Mode::Client, None) => options.required("hostname")?.to_owned(),
        };
        Ok(Self {
            name: table.name.clone(),
            schema: table.schema.clone(),
            host,
            port: port.ok_or_else(|| options.invalid("option 'port' must be 1 to 65535"))?,
            mode,
            on_error: OnError::parse(&options, format.name())?,
            format,
            reconnect: options.bool("reconnect", true)?,
            connect_timeout: options.duration("connect-timeout")?.unwrap_or(CONNECT_TIMEOUT),
        })
    }

    fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    fn failed(&self, message: String) -> ConnectorError {
        ConnectorError::Failed { table: self.name.clone(), message }
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let address = (self.host.as_str(), self.port).to_socket_addrs()?.next();
        let address = address.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the host has no address"))?;
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn listen(&self) -> Result<TcpListener, ConnectorError> {
        let listen = || {
            let listener = TcpListener::bind((self.host.as_str(), self.port))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        listen().map_err(|source| ConnectorError::Io { action: "listen on", path: self.address(), source })
    }
}

pub(super) fn open_source(table: &Table) -> Result<Box<dyn Source>, ConnectorError> {
    Ok(Box::new(source::SocketSource { table: Arc::new(SocketTable::parse(table)?) }))
}

pub(super) fn open_sink(table: &Table) -> Result<Arc<dyn Sink>, ConnectorError> {
    Ok(Arc::new(sink::SocketSink { table: Arc::new(SocketTable::parse(table)?) }))
}

/// Tells a thread to stop when its owner goes.
#[derive(Clone, Debug, Default)]
struct Stop(Arc<AtomicBool>);

impl Stop {
    fn request(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn requested(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Sleeps for `pause`, or until stopped.
    fn pause(&self, pause: Duration) {
        let mut left = pause;
        while !left.is_zero() && !self.requested() {
            let step = left.min(LOOK);
            std::thread::sleep(step);
            left -= step;
        }
    }
}

/// Pauses that grow.
struct Pauses(Duration);

impl Pauses {
    fn new() -> Self {
        Self(PAUSE_MIN)
    }

    fn next(&mut self) -> Duration {
        let now = self.0;
        self.0 = (now * 2).min(PAUSE_MAX);
        now
    }
}

#[cfg(test)]
mod tests;
