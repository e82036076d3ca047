//! The contracts of sources and sinks, and what they owe to exactly-once.

use crate::element::Batch;
use arrow::array::RecordBatch;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sluice_core::id::Epoch;
use std::fmt;

/// A part of a source that is read in order by one task at a time: a file, a partition, a generator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// Unique within the table, stable for ever (a path, a partition number).
    pub id: String,
    /// Where to go on, in the connector's own terms; `null` = from the beginning.
    pub position: serde_json::Value,
    /// Nothing is left; kept so that it is never read again.
    pub finished: bool,
}

/// What can be promised after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceGuarantee {
    /// The same position gives the same records again.
    Replayable,
    /// What was read is gone: rows in flight at a crash are lost.
    AtMostOnce,
}

impl fmt::Display for SourceGuarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replayable => "replayable: after a crash the same records are read again",
            Self::AtMostOnce => "at most once: records in flight at a crash are lost",
        })
    }
}

impl fmt::Display for SinkGuarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ExactlyOnce => "exactly once: output becomes visible with its epoch",
            Self::AtLeastOnce => "at least once: rows after the last checkpoint come again after a crash",
            Self::BestEffort => {
                "best effort: rows in flight are lost when the connection breaks, others may come again"
            }
        })
    }
}

/// What a sink can promise (architecture: the job's status never says more).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SinkGuarantee {
    /// Output becomes visible with the epoch, once.
    ExactlyOnce,
    /// Written at once; rows after the last checkpoint come again after a crash.
    AtLeastOnce,
    /// Rows in flight are lost when the connection breaks, and rows after the last checkpoint come again after a crash.
    BestEffort,
}

/// A table opened for reading, in the coordinator.
///
/// Obligations for exactly-once: a split read again from a position gives the same records in the same order; `position`
/// taken between two polls means exactly "everything before was returned"; ids never change their meaning.
pub trait Source: Send {
    fn guarantee(&self) -> SourceGuarantee;
    /// Splits that exist now, each from its beginning, including those returned before (the caller knows by id). Called at
    /// the start and, while `unbounded`, every few seconds.
    fn splits(&mut self) -> Result<Vec<Split>, ConnectorError>;
    /// Whether new splits or new records may come for ever.
    fn unbounded(&self) -> bool;
    /// Where a restart of an at-most-once job begins in a split that may have been read before: at its current end.
    /// A split that nothing can be behind in (a socket, a generator) stays as it is.
    fn at_current_end(&self, split: Split) -> Split {
        Split { finished: true, ..split }
    }
    /// A reader for one task.
    fn reader(&self) -> Result<Box<dyn SplitReader>, ConnectorError>;
}

/// Reads the splits of one task, on the task's thread: never blocks for long (a local read is fine, a network wait is not).
pub trait SplitReader: Send {
    /// From `split.position`.
    fn open(&mut self, split: Split) -> Result<(), ConnectorError>;
    /// The next rows of any open split, fairly, physical columns of the table only.
    fn poll(&mut self) -> Result<Polled, ConnectorError>;
    /// The open and finished splits, as after the last `poll`.
    fn splits(&self) -> Vec<Split>;
    /// Dead letters since the last call (`plan::dead_letter_schema`).
    fn dead_letters(&mut self) -> Option<RecordBatch> {
        None
    }
    fn stats(&self) -> ReaderStats {
        ReaderStats::default()
    }
}

#[derive(Debug)]
pub enum Polled {
    /// Rows of one split.
    Rows { split: usize, rows: RecordBatch },
    /// The split (number in order of `open`) has ended.
    Finished { split: usize },
    /// Nothing now; ask again soon (the task polls every few ms).
    Pending,
    /// All open splits have ended.
    End,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct ReaderStats {
    pub bytes: u64,
    pub records: u64,
    pub bad_records: u64,
    /// Total size of the splits if known: progress.
    pub total_bytes: Option<u64>,
}

/// A table opened for writing, in the coordinator.
#[async_trait]
pub trait Sink: Send + Sync {
    fn guarantee(&self) -> SinkGuarantee;
    /// Whether it takes `-U`, `+U`, `-D` (print), needs a key for them (upsert), or inserts only.
    fn accepts(&self) -> Accepts;
    /// A writer for one slot. `slots` is the layout that the manifest records; names must contain slot, writer id and epoch.
    fn writer(&self, slot: SinkSlot) -> Result<Box<dyn SinkWriter>, ConnectorError>;
    /// Makes what was staged visible: idempotent, callable by any later process, from the staging alone; what is already
    /// done is a success after it was checked (size, checksum), what is missing is an error, never assumed.
    async fn settle(&self, epoch: Epoch, staged: &[Staged]) -> Result<(), ConnectorError>;
    /// Drops staging of a checkpoint that will never be restored (a held epoch rolled back). Best effort.
    async fn discard(&self, staged: &[Staged]) -> Result<(), ConnectorError>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepts {
    Inserts,
    Upserts,
    Everything,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkSlot {
    pub slot: u32,
    pub slots: u32,
    pub writer: String,
}

/// What one slot staged for an epoch, in the connector's own terms; stored in the manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Staged {
    pub slot: u32,
    pub data: serde_json::Value,
}

/// Writes rows of one slot, on the task's thread.
pub trait SinkWriter: Send {
    fn write(&mut self, batch: &Batch) -> Result<(), ConnectorError>;
    /// Time passes: roll files that are old enough, flush what waits.
    fn tick(&mut self, _now: sluice_core::time::ProcTime) -> Result<(), ConnectorError> {
        Ok(())
    }
    /// At the barrier: everything written is durable but invisible when this returns. Returns all staging since the last
    /// epoch that was [confirmed](Self::confirmed): rows of an aborted epoch belong to the next one. `None`: nothing staged.
    fn barrier(&mut self, epoch: Epoch) -> Result<Option<Staged>, ConnectorError>;
    /// The epoch is canonical; its staging is in the coordinator's hands.
    fn confirmed(&mut self, epoch: Epoch);
}

#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// The user's options or environment: say what, where, how to fix.
    #[error("table '{table}': {message}")]
    Invalid { table: String, message: String },
    #[error("failed to {action} '{path}': {source}")]
    Io {
        action: &'static str,
        path: String,
        #[source]
        source: std::io::Error,
    },
    /// A record that cannot be decoded under `'on-error' = 'fail'`.
    #[error("table '{table}': bad record at {position}: {message}")]
    BadRecord { table: String, position: String, message: String },
    /// What was staged is not there any more, or is not what was staged.
    #[error("table '{table}': staged output is damaged: {message}")]
    Damaged { table: String, message: String },
    #[error("table '{table}': {message}")]
    Failed { table: String, message: String },
}
