//! What travels on an edge.

use arrow::array::{Int8Array, RecordBatch};
use sluice_core::id::Epoch;
use sluice_core::time::EventTime;
use std::sync::Arc;

/// One change of an updating stream, as Flink's row kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i8)]
pub enum RowOp {
    Insert = 0,
    UpdateBefore = 1,
    UpdateAfter = 2,
    Delete = 3,
}

impl RowOp {
    /// `+I` and `+U` add a row, `-U` and `-D` take one away.
    #[inline(always)]
    pub const fn adds(self) -> bool {
        matches!(self, Self::Insert | Self::UpdateAfter)
    }

    /// [`RowOp::adds`] of a code.
    #[inline(always)]
    pub const fn code_adds(code: i8) -> bool {
        code == Self::Insert as i8 || code == Self::UpdateAfter as i8
    }

    pub const fn from_code(code: i8) -> Option<Self> {
        Some(match code {
            0 => Self::Insert,
            1 => Self::UpdateBefore,
            2 => Self::UpdateAfter,
            3 => Self::Delete,
            _ => return None,
        })
    }

    /// Flink's notation.
    pub const fn notation(self) -> &'static str {
        match self {
            Self::Insert => "+I",
            Self::UpdateBefore => "-U",
            Self::UpdateAfter => "+U",
            Self::Delete => "-D",
        }
    }
}

/// Rows with what the engine knows about them.
#[derive(Clone, Debug)]
pub struct Batch {
    pub rows: RecordBatch,
    /// [`RowOp`] codes, one per row, never null; `None` for an append-only stream.
    pub ops: Option<Int8Array>,
    /// Finished key hashes of the consumer's key, computed once at the exchange and carried along the chain as long as
    /// rows and key stay the same.
    pub hashes: Option<Arc<[u64]>>,
}

impl Batch {
    pub fn append(rows: RecordBatch) -> Self {
        Self { rows, ops: None, hashes: None }
    }

    pub fn len(&self) -> usize {
        self.rows.num_rows()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.num_rows() == 0
    }

    /// What row `i` does to the stream.
    #[inline(always)]
    pub fn op(&self, i: usize) -> RowOp {
        self.ops.as_ref().map_or(RowOp::Insert, |o| RowOp::from_code(o.value(i)).expect("op codes are those of RowOp"))
    }

    /// Whether row `i` adds (`+I`, `+U`) or takes away.
    #[inline(always)]
    pub fn adds(&self, i: usize) -> bool {
        self.ops.as_ref().is_none_or(|o| RowOp::code_adds(o.value(i)))
    }
}

/// An element of an edge, in order.
#[derive(Clone, Debug)]
pub enum Element {
    Batch(Batch),
    /// No more rows with event time ≤ this are expected on this channel.
    Watermark(EventTime),
    /// This channel does not hold the watermark back until its next row.
    Idle,
    Barrier(Epoch),
    /// Nothing follows; counts as aligned for all later epochs.
    End,
}
