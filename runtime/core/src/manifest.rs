//! The manifest of a checkpoint or savepoint: everything that a restore needs, at any parallelism, from this one document.
//!
//! It is written last, never rewritten, and names every object with length and checksum (S6: a manifest that can be read
//! is a checkpoint that is whole). Paths are relative: to the job's directory in a checkpoint, to the savepoint's own
//! directory in a savepoint, so that either can be moved as a tree. Stored in an [envelope](crate::envelope) as
//! `sluice-manifest 1`; the fields are documented for other readers in docs/state-format.md.

use crate::checksum::Checksum;
use crate::envelope::{self, EnvelopeError};
use crate::id::{Epoch, Fence, JobUid, OperatorId, WriterId};
use crate::key_group::KeyGroups;
use crate::plan::Plan;
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ops::Range;

/// The newest format that this release reads, and the one that it writes.
pub const MANIFEST_FORMAT: u32 = 1;
const KIND: &str = "manifest";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub job: JobUid,
    pub kind: ManifestKind,
    /// Who made it: no two processes share it.
    pub fence: Fence,
    pub writer: WriterId,
    pub epoch: Epoch,
    pub key_groups: KeyGroups,
    /// Algorithm of the key hash ([`crate::hash::HASH_ID`]).
    pub hash_id: String,
    /// Operators that keep anything: keyed state, splits, staging or a watermark. In plan order.
    pub operators: Vec<OperatorState>,
    /// All operators of the plan, also those without state: what a changed job is compared with.
    pub plan: Vec<PlanOperator>,
    /// All inputs had ended and every row is in this epoch: nothing is left to run.
    pub finished: bool,
    pub totals: Totals,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ManifestKind {
    /// Paths are relative to the job's directory.
    Checkpoint,
    /// Paths are relative to the savepoint's directory; there is no staging.
    Savepoint,
}

/// What one operator needs to go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperatorState {
    pub id: OperatorId,
    pub parallelism: u32,
    /// Per input: the watermark at the barrier, the same in all tasks ([`EventTime::MIN`]: none yet).
    #[serde(default)]
    pub watermarks: Vec<EventTime>,
    /// Keyed state, oldest epoch first; rows of later segments replace those of earlier ones.
    #[serde(default)]
    pub segments: Vec<SegmentRef>,
    /// Of a source: every split ever given out, finished ones included, so that none is read twice.
    #[serde(default)]
    pub splits: Vec<SplitState>,
    /// Of a sink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<SinkState>,
    /// All inputs had ended; the operator gets no more rows after a restore.
    #[serde(default)]
    pub ended: bool,
}

/// One immutable object with rows of an operator's keyed state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SegmentRef {
    /// Relative to the manifest's base; see the module.
    pub path: String,
    /// Bytes.
    pub length: u64,
    /// Of the whole object.
    pub checksum: Checksum,
    pub operator: OperatorId,
    /// The epoch whose snapshot wrote it.
    pub epoch: Epoch,
    /// `start` inclusive, `end` exclusive: rows of no other group are inside. A restore skips segments outside its range.
    pub key_groups: Range<u16>,
    /// Rows, tombstones included.
    pub rows: u64,
    pub tombstones: u64,
    /// Part of a full snapshot: with the other segments of its task and epoch it stands alone.
    pub full: bool,
}

/// A source's split and the state of its watermark generator: time must not go back across a restore.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SplitState {
    pub table: String,
    /// The connector's split, id and position included, in its own terms.
    pub split: serde_json::Value,
    /// `None`: the table has no watermark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark: Option<GeneratorState>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratorState {
    /// The highest event time seen ([`EventTime::MIN`]: no row yet).
    pub max_event_time: EventTime,
    /// Stays idle after a restore until its first row.
    pub idle: bool,
}

/// The layout in which a sink staged this epoch: settling uses it, whatever the layout of the settling run is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SinkState {
    pub table: String,
    pub slots: u32,
    /// Slots that staged something, each at most once.
    #[serde(default)]
    pub staged: Vec<StagedSlot>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StagedSlot {
    pub slot: u32,
    /// The last epoch in which this slot had output: a sink's own progress must stand there or at this epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<Epoch>,
    /// In the connector's own terms.
    pub data: serde_json::Value,
}

/// An operator of the plan that made the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanOperator {
    pub id: OperatorId,
    /// For people: the id alone means nothing to them.
    pub label: String,
    /// Whether losing it loses something: keyed state or source positions.
    pub stateful: bool,
}

/// Sums for people and metrics; a restore does not lean on them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Rows in all segments (rows that were replaced later count again).
    pub rows: u64,
    /// Bytes of all segments that this manifest reaches.
    pub bytes: u64,
    /// Bytes of the segments that this epoch wrote.
    pub written_bytes: u64,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ManifestError {
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// Whole, but it contradicts itself: a bug of its writer, never loaded.
    #[error("the manifest of epoch {epoch} contradicts itself: {message}")]
    Inconsistent { epoch: Epoch, message: String },
}

impl Manifest {
    pub fn encode(&self) -> Vec<u8> {
        envelope::seal(KIND, MANIFEST_FORMAT, self)
    }

    /// Reads and [checks](Self::check). Any bytes give a manifest or an error.
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let manifest: Self = envelope::open(KIND, MANIFEST_FORMAT, bytes)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The rules that every reader leans on; a writer checks before it uploads.
    pub fn check(&self) -> Result<(), ManifestError> {
        let wrong = |message: String| Err(ManifestError::Inconsistent { epoch: self.epoch, message });
        let mut ids = BTreeSet::new();
        let mut paths = BTreeSet::new();
        for operator in &self.operators {
            if !ids.insert(&operator.id) {
                return wrong(format!("operator '{}' stands twice", operator.id));
            }
            for segment in &operator.segments {
                if let Err(message) = self.check_segment(operator, segment) {
                    return wrong(format!("segment '{}': {message}", segment.path));
                }
                if !paths.insert(&segment.path) {
                    return wrong(format!("segment '{}' stands twice", segment.path));
                }
            }
            if let Some(Err(message)) = operator.sink.as_ref().map(|sink| self.check_sink(sink)) {
                return wrong(format!("sink '{}': {message}", operator.id));
            }
        }
        Ok(())
    }

    /// Every object that this manifest reaches.
    pub fn segments(&self) -> impl Iterator<Item = &SegmentRef> {
        self.operators.iter().flat_map(|o| &o.segments)
    }

    pub fn operator(&self, id: &OperatorId) -> Option<&OperatorState> {
        self.operators.iter().find(|o| o.id == *id)
    }

    /// Whether settling has anything to do: some sink staged something.
    pub fn has_staging(&self) -> bool {
        self.operators.iter().any(|o| o.sink.as_ref().is_some_and(|s| !s.staged.is_empty()))
    }

    /// [`Totals`] of the segments that are listed now.
    #[must_use]
    pub fn sum(&self) -> Totals {
        self.segments().fold(Totals::default(), |t, s| Totals {
            rows: t.rows.saturating_add(s.rows),
            bytes: t.bytes.saturating_add(s.length),
            written_bytes: t.written_bytes.saturating_add(if s.epoch == self.epoch { s.length } else { 0 }),
        })
    }

    fn check_segment(&self, operator: &OperatorState, segment: &SegmentRef) -> Result<(), String> {
        let Range { start, end } = segment.key_groups;
        if segment.operator != operator.id {
            return Err(format!("it belongs to operator '{}', but stands under '{}'", segment.operator, operator.id));
        }
        if start >= end || u32::from(end) > self.key_groups.count() {
            return Err(format!("key groups {start}..{end} are not within 0..{}", self.key_groups.count()));
        }
        if segment.epoch > self.epoch {
            return Err(format!("it is of the later epoch {}", segment.epoch));
        }
        if segment.tombstones > segment.rows {
            return Err(format!("{} tombstones in {} rows", segment.tombstones, segment.rows));
        }
        check_path(&segment.path)
    }

    fn check_sink(&self, sink: &SinkState) -> Result<(), String> {
        if self.kind == ManifestKind::Savepoint && !sink.staged.is_empty() {
            return Err("a savepoint carries no staging".into());
        }
        let mut seen = BTreeSet::new();
        for staged in &sink.staged {
            if staged.slot >= sink.slots {
                return Err(format!("slot {} of {}", staged.slot, sink.slots));
            }
            if !seen.insert(staged.slot) {
                return Err(format!("slot {} staged twice", staged.slot));
            }
            if staged.prev.is_some_and(|prev| prev >= self.epoch) {
                return Err(format!("slot {} had output in a later epoch before", staged.slot));
            }
        }
        Ok(())
    }
}

/// A relative path that stays below its base: a manifest of a stranger must not make us read elsewhere.
fn check_path(path: &str) -> Result<(), String> {
    let plain = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && !part.contains(['\\', '\0'])
            && !part.contains(char::is_control)
    };
    if path.split('/').all(plain) { Ok(()) } else { Err("the path is not a plain relative one".into()) }
}

/// The operators of a plan as a manifest records them.
pub fn plan_operators(plan: &Plan, stateful: impl Fn(&OperatorId) -> bool) -> Vec<PlanOperator> {
    let record =
        |n: &crate::plan::Node| PlanOperator { id: n.id.clone(), label: n.label.clone(), stateful: stateful(&n.id) };
    plan.nodes.iter().map(record).collect()
}

#[cfg(test)]
pub(crate) mod tests;
