//! Event time and processing time, both in milliseconds since the Unix epoch, never mixed.

use serde::{Deserialize, Serialize};

/// A time carried by the data (ms). A watermark `t` says: no more rows with time ≤ `t` are expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventTime(pub i64);

/// A reading of the injected clock (ms).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProcTime(pub i64);

impl EventTime {
    /// Before any watermark.
    pub const MIN: Self = Self(i64::MIN);
    /// The final watermark of a bounded input: every window and timer is due.
    pub const MAX: Self = Self(i64::MAX);
}
