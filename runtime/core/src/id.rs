//! The numbers and names of a job's life. Each is a type of its own: if two integers can be swapped, they will be.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A checkpoint's number. Rises over the whole journal, also after a restore to an older point; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// One deployment of a job's revision, numbered by whoever starts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Run(pub u64);

/// One coordinator process of a run, counted by the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Incarnation(pub u64);

/// The fence token `(run, incarnation)`, compared lexicographically.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
pub struct Fence {
    pub run: Run,
    pub incarnation: Incarnation,
}

/// Random identity of one process (128 bits as 32 lower-case hex digits). Drawn outside this crate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WriterId(pub String);

/// Stable identity of an operator: `id1:` and 16 hex digits of the hash of what it means, or `name:` and the user's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperatorId(pub String);

/// Identity of a job for ever: every path and transactional id contains it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobUid(pub String);

impl Epoch {
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

macro_rules! display {
    ($($t:ty),*) => {$(impl fmt::Display for $t {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
    })*};
}
display!(Epoch, Run, Incarnation, WriterId, OperatorId, JobUid);

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {})", self.run, self.incarnation)
    }
}
