//! The records and their form in the store: an [envelope](crate::envelope) `sluice-journal 1`.

use super::summary::Summary;
use crate::checksum::Checksum;
use crate::envelope::{self, EnvelopeError};
use crate::id::{Epoch, Fence, OperatorId, Run, WriterId};
use crate::time::ProcTime;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The newest format that this release reads, and the one that it writes.
pub const JOURNAL_FORMAT: u32 = 1;
const KIND: &str = "journal";

/// A place in the journal: the object `journal/<20 digits>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(pub u64);

impl Slot {
    pub const FIRST: Self = Self(0);

    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names something that a user or the operator asked for, so that asking twice is asking once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationId(pub String);

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A manifest and how to know that it is the one that was meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ManifestRef {
    pub epoch: Epoch,
    /// Of a checkpoint: relative to the job's directory. Of a savepoint: the savepoint's location.
    pub path: String,
    pub checksum: Checksum,
    /// Who made it canonical (of a savepoint: who had made the checkpoint that it is a copy of).
    pub made_by: Fence,
    /// Lies outside the checkpoints; is never retired, never referred to by a checkpoint.
    #[serde(default)]
    pub savepoint: bool,
}

/// How many slots a sink is written through.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SinkLayout {
    pub sink: OperatorId,
    pub slots: u32,
}

/// What follows a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    Run,
    /// This run ends here; only a later run goes on from it.
    Stop,
}

/// What becomes of the output that was staged for a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Commit {
    /// Its maker, or whoever comes next, settles it before anything else.
    Now,
    /// Nobody settles it before `Stable`.
    Held,
    /// There was none: the epoch is committed by its own record.
    Nothing,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Entry {
    /// This incarnation starts; every lower one is fenced.
    Generation {
        fence: Fence,
        operation: Option<OperationId>,
        /// `None`: from nothing.
        restored_from: Option<ManifestRef>,
        /// What it is going to open, named before it opens it, so that a successor can fence it.
        layout: Vec<SinkLayout>,
    },
    /// The manifest is canonical.
    Checkpoint { manifest: ManifestRef, operation: Option<OperationId>, then: Then, commit: Commit },
    /// All external effects up to this epoch are done.
    Committed { epoch: Epoch },
    /// The run has given its evidence: origins are released, held output may be settled.
    Stable { run: Run },
    /// Nobody restores from below this any more (pins, unsettled epochs and the resume point excepted); deleting may begin.
    Retired { below: Epoch },
    /// The run has ended on purpose, at this epoch (`None`: before its first).
    Stopped { run: Run, operation: Option<OperationId>, epoch: Option<Epoch>, settled: bool },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Record {
    /// Where it belongs: an object under another name is not this record.
    pub slot: Slot,
    pub writer: WriterId,
    /// Checksum of the record before it as its writer saw it.
    pub previous: Option<Checksum>,
    /// For people only: no decision orders by it.
    pub at: ProcTime,
    pub entry: Entry,
    pub summary: Summary,
}

/// The highest record that was read, and the checksum of its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tail {
    pub record: Record,
    pub checksum: Checksum,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RecordError {
    #[error("slot {slot}: {source}")]
    Envelope {
        slot: Slot,
        #[source]
        source: EnvelopeError,
    },
    #[error("slot {slot} of the journal holds the record of slot {found}: the objects were moved or copied by hand")]
    Misplaced { slot: Slot, found: Slot },
}

impl Record {
    pub fn encode(&self) -> Vec<u8> {
        envelope::seal(KIND, JOURNAL_FORMAT, self)
    }

    /// The record in the object of `slot`. Any bytes give a record or an error.
    pub fn decode(slot: Slot, bytes: &[u8]) -> Result<Self, RecordError> {
        let record: Self =
            envelope::open(KIND, JOURNAL_FORMAT, bytes).map_err(|source| RecordError::Envelope { slot, source })?;
        if record.slot == slot { Ok(record) } else { Err(RecordError::Misplaced { slot, found: record.slot }) }
    }

    pub fn checksum(bytes: &[u8]) -> Checksum {
        Checksum::sha256(bytes)
    }
}

impl Tail {
    pub fn decode(slot: Slot, bytes: &[u8]) -> Result<Self, RecordError> {
        Ok(Self { record: Record::decode(slot, bytes)?, checksum: Record::checksum(bytes) })
    }

    pub fn slot(&self) -> Slot {
        self.record.slot
    }

    pub fn summary(&self) -> &Summary {
        &self.record.summary
    }
}
