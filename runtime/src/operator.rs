//! The contract between an operator and the task that runs it.

use crate::clock::Clock;
use crate::element::Batch;
use crate::state::{StateBlock, StateSink};
use sluice_core::id::Epoch;
use sluice_core::key_group::KeyGroups;
use sluice_core::plan::Port;
use sluice_core::time::{EventTime, ProcTime};

/// An operator of one task: synchronous, single-threaded, never blocking.
///
/// The task calls, and the implementor promises:
/// - [`process`](Self::process), [`watermark`](Self::watermark), [`clock`](Self::clock), [`end`](Self::end) and
///   [`barrier`](Self::barrier) are called only when [`next_output`](Self::next_output) has returned `None`. They may stage
///   any amount of work, but do at most a bounded share of it; the rest is done in portions by `next_output`.
/// - `next_output` returns batches of at most about [`MAX_OUTPUT_ROWS`] rows, in order, until `None`. A batch is never empty.
/// - `barrier` freezes the state as it is: everything that was processed before is in the snapshot, nothing that comes after.
///   It is O(1). The frozen state leaves through [`drain`](Self::drain), in portions, while processing goes on.
/// - Two equal sequences of calls give equal outputs: no clock, no randomness, no iteration in an order that is not a
///   function of the input (per-key order is kept; order between keys may depend on the hash only).
/// - State is restored before the first `process`; then timers that are overdue fire at the next `watermark` or `clock`.
pub trait Operator: Send {
    /// Takes rows of input `input` (index of the node's inputs). Batches are never empty.
    fn process(&mut self, input: usize, batch: Batch) -> Result<(), OperatorError>;

    /// The minimum over the inputs has risen to this; `EventTime::MAX` at the end of bounded input.
    fn watermark(&mut self, _watermark: EventTime) -> Result<(), OperatorError> {
        Ok(())
    }

    /// The watermark that this operator may promise downstream, given that its own is `watermark` and its output is drained.
    fn output_watermark(&self, watermark: EventTime) -> EventTime {
        watermark
    }

    /// Processing time has come to `now`; called at least when [`next_timer`](Self::next_timer) is due.
    fn clock(&mut self, _now: ProcTime) -> Result<(), OperatorError> {
        Ok(())
    }

    fn next_timer(&self) -> Option<ProcTime> {
        None
    }

    /// All inputs have ended (after the final watermark).
    fn end(&mut self) -> Result<(), OperatorError> {
        Ok(())
    }

    fn next_output(&mut self) -> Result<Option<Batch>, OperatorError>;

    /// Late rows and the like; asked for after `next_output` has returned `None`.
    fn next_side_output(&mut self) -> Option<(Port, Batch)> {
        None
    }

    /// Freezes the state for the snapshot of `epoch`. Never called while a drain is unfinished.
    fn barrier(&mut self, _epoch: Epoch, _scope: Scope) {}

    /// Hands over up to about `budget` frozen rows. Returns whether the snapshot is complete. Never blocks: when the sink
    /// is full it returns `Pending` and goes on later.
    fn drain(&mut self, _budget: usize, _sink: &mut dyn StateSink) -> Drained {
        Drained::Complete
    }

    /// Takes rows of an earlier snapshot, only of key groups that this task owns; later blocks overwrite earlier ones.
    fn restore(&mut self, block: &StateBlock) -> Result<(), OperatorError> {
        Err(OperatorError::UnexpectedState { table: block.table })
    }

    /// Called once after the last `restore` with the operator's watermark at the snapshot (`EventTime::MIN` if new).
    fn restored(&mut self, _watermark: EventTime) -> Result<(), OperatorError> {
        Ok(())
    }

    fn stats(&self) -> OperatorStats {
        OperatorStats::default()
    }
}

/// What a snapshot must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every row: the first snapshot, and after an epoch that did not become canonical.
    Full,
    /// Rows changed or deleted since the barrier before, and all rows of one sixteenth (`rotation` < 16) of the hash range,
    /// so that nothing older than 16 snapshots is ever needed.
    Delta { rotation: u8 },
}

/// What every operator is built with.
#[derive(Clone, Debug)]
pub struct OperatorContext {
    pub key_groups: KeyGroups,
    pub clock: Clock,
    /// How long after its end a window stays open for rows that come late (`table.exec.window.allow-lateness`).
    pub allowed_lateness_ms: i64,
    /// Whether an edge takes this node's [`Port::Late`]; otherwise late rows are only counted.
    pub emit_late: bool,
}

/// Output portions: long enough for the vector kernels (≥ 500), short enough that a barrier waits for microseconds.
pub const MAX_OUTPUT_ROWS: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    Complete,
    Pending,
}

/// Gauges and counters that only the operator knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperatorStats {
    /// Rows dropped because their window was gone, since the start of the process.
    pub late_rows: u64,
    /// Live rows of state.
    pub state_rows: u64,
    /// Bytes held by the state in memory.
    pub state_bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    #[error("failed to evaluate {what}: {message}")]
    Evaluate { what: String, message: String },
    #[error("failed to build an output batch: {0}")]
    Output(#[source] arrow::error::ArrowError),
    #[error("failed to read restored state: {0}")]
    Decode(#[from] crate::row::RowError),
    #[error("the snapshot has rows of table {table}, which this operator does not keep")]
    UnexpectedState { table: u8 },
    #[error("input of type {data_type} is not supported by {operator}")]
    Unsupported { operator: &'static str, data_type: String },
    /// A sink's or source's failure, inside a task.
    #[error("connector of table '{table}' failed: {message}")]
    Connector { table: String, message: String },
}
