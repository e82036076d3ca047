//! Where `print` writes: one place per process, so that a progress line and rows do not tear each other.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Out,
    Error,
}

/// Takes whole lines from any thread. An implementor writes them together, never interleaved with another call's.
pub trait Terminal: Send + Sync {
    /// `lines` ends with a newline.
    fn write(&self, stream: Stream, lines: &str) -> io::Result<()>;
}

/// The process's own standard output and error.
#[derive(Clone, Copy, Debug, Default)]
pub struct StandardTerminal;

impl Terminal for StandardTerminal {
    fn write(&self, stream: Stream, lines: &str) -> io::Result<()> {
        match stream {
            Stream::Out => {
                let mut out = io::stdout().lock();
                out.write_all(lines.as_bytes())?;
                out.flush()
            }
            Stream::Error => io::stderr().lock().write_all(lines.as_bytes()),
        }
    }
}

/// Keeps what was written: tests, and a caller that shows rows in its own way.
#[derive(Debug, Default)]
pub struct CapturedTerminal {
    lines: Mutex<[String; 2]>,
}

impl CapturedTerminal {
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything written to `stream` since the last call.
    pub fn take(&self, stream: Stream) -> String {
        std::mem::take(&mut self.lines.lock().unwrap_or_else(PoisonError::into_inner)[stream as usize])
    }
}

impl Terminal for CapturedTerminal {
    fn write(&self, stream: Stream, lines: &str) -> io::Result<()> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)[stream as usize].push_str(lines);
        Ok(())
    }
}
