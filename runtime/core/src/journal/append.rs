//! Appending: a [`Draft`] is sent until its fate is known, looked at once more, and only then gives permits.
//!
//! Losing a slot is a value, not an error: the loser reads the winner and decides again, or stops.

use super::record::{Commit, Entry, ManifestRef, OperationId, Record, Slot, Tail, Then};
use super::summary::{GrammarError, Summary};
use crate::checksum::Checksum;
use crate::id::{Epoch, Fence, WriterId};
use crate::time::ProcTime;

/// A record that the grammar allows after the tail that its writer has read. Its bytes are sent unchanged until answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Draft(Record);

impl Draft {
    pub(super) fn new(
        tail: Option<&Tail>,
        before: &Summary,
        writer: WriterId,
        entry: Entry,
        at: ProcTime,
    ) -> Result<Self, GrammarError> {
        let summary = before.after(&entry)?;
        let slot = tail.map_or(Slot::FIRST, |t| t.slot().next());
        Ok(Self(Record { slot, writer, previous: tail.map(|t| t.checksum), at, entry, summary }))
    }

    pub fn record(&self) -> &Record {
        &self.0
    }
}

/// What a store says to "create, if absent".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateAnswer {
    Created,
    /// Somebody has it, maybe we ourselves.
    Exists,
    /// No answer, or one that says neither (a time-out, S3's 409).
    Unknown,
}

/// What the driver does next with a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The very same bytes again; nothing else is decided meanwhile.
    SendAgain(Draft),
    /// Read the slot, then [`after_read`].
    ReadSlot(Draft),
    /// The record stands.
    Landed(Landed),
    /// Somebody else's record stands there.
    Lost(Fenced),
}

/// This writer is not the last one any more.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("fenced: slot {slot} of the journal was written by {}", by.as_ref().map_or("another process".to_string(), |f| format!("generation {f}")))]
pub struct Fenced {
    pub slot: Slot,
    pub by: Option<Fence>,
}

pub fn after_create(draft: Draft, answer: CreateAnswer) -> Step {
    match answer {
        CreateAnswer::Created => Step::Landed(Landed(draft)),
        CreateAnswer::Exists => Step::ReadSlot(draft),
        CreateAnswer::Unknown => Step::SendAgain(draft),
    }
}

/// `found` is what the slot holds; nothing, if the slot was deleted between the two looks.
pub fn after_read(draft: Draft, found: Option<&Record>) -> Step {
    match found {
        None => Step::SendAgain(draft),
        // The record holds the writer's id: equal but for it is another's (a repeated operation says the same), and another
        // one of my own there means that I gave up on something that landed after all: both have lost.
        Some(record) if *record == draft.0 => Step::Landed(Landed(draft)),
        Some(record) => Step::Lost(Fenced { slot: record.slot, by: Some(record.summary.fence) }),
    }
}

/// A record of one's own that stands in its slot; whether that slot is the tail is not known yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Landed(Draft);

impl Landed {
    pub fn record(&self) -> &Record {
        &self.0.0
    }

    /// Whether permits come from this record. A slot that was written and garbage-collected while its writer slept looks
    /// free; only the slots after it tell.
    pub fn needs_tail_check(&self) -> bool {
        match &self.record().entry {
            Entry::Generation { .. } | Entry::Checkpoint { .. } | Entry::Stable { .. } | Entry::Retired { .. } => true,
            Entry::Committed { .. } | Entry::Stopped { .. } => false,
        }
    }

    /// `highest` is the highest slot listed *after* the record landed (`None` where no check is needed).
    pub fn confirm(self, highest: Option<Slot>) -> Result<Confirmed, Fenced> {
        match highest {
            Some(slot) if slot > self.record().slot => Err(Fenced { slot, by: None }),
            _ => Ok(Confirmed(self.0)),
        }
    }
}

/// A record of one's own that was the tail after it had landed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Confirmed(Draft);

impl Confirmed {
    pub fn record(&self) -> &Record {
        &self.0.0
    }

    /// The writer's position after this record (`checksum`: of the bytes that were sent), and what it may do now.
    pub fn take_up(self, checksum: Checksum) -> (Author, Permits) {
        let record = self.0.0;
        let summary = &record.summary;
        let mut permits = Permits::default();
        match &record.entry {
            // A generation, or a run become stable, settles all that is open, in order.
            Entry::Generation { .. } | Entry::Stable { .. } => {
                permits.commits = summary.to_settle().cloned().map(CommitPermit).collect();
            }
            Entry::Checkpoint { manifest, commit: Commit::Now, .. } => {
                permits.commits.push(CommitPermit(manifest.clone()));
            }
            Entry::Checkpoint { commit: Commit::Held | Commit::Nothing, .. } => {}
            Entry::Retired { .. } => {
                permits.delete = Some(DeletePermit {
                    fence: summary.fence,
                    last_epoch: summary.last_epoch,
                    keep: summary.checkpoints.clone(),
                    tail: record.slot,
                });
            }
            Entry::Committed { .. } | Entry::Stopped { .. } => {}
        }
        let author = Author { writer: record.writer.clone(), tail: Tail { record, checksum } };
        (author, permits)
    }
}

/// What a confirmed record allows.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub struct Permits {
    /// To be settled in this order.
    pub commits: Vec<CommitPermit>,
    pub delete: Option<DeletePermit>,
}

/// The right to make the output of one canonical epoch visible. Made only from an own `Checkpoint{e}`, or, to settle e, from
/// an own `Generation` or `Stable` that found e unsettled. It does not expire: settling must be idempotent, for a holder may
/// act after any pause.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct CommitPermit(ManifestRef);

impl CommitPermit {
    pub fn epoch(&self) -> Epoch {
        self.0.epoch
    }

    /// Settling works from this manifest alone, in its layout.
    pub fn manifest(&self) -> &ManifestRef {
        &self.0
    }
}

/// The right to delete what a `Retired` record made garbage; see [`super::retention`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeletePermit {
    pub(super) fence: Fence,
    pub(super) last_epoch: Epoch,
    pub(super) keep: Vec<ManifestRef>,
    pub(super) tail: Slot,
}

/// A live writer: the only one who may append, as far as it knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Author {
    writer: WriterId,
    tail: Tail,
}

impl Author {
    pub fn writer(&self) -> &WriterId {
        &self.writer
    }

    pub fn fence(&self) -> Fence {
        self.tail.summary().fence
    }

    pub fn tail(&self) -> &Tail {
        &self.tail
    }

    pub fn summary(&self) -> &Summary {
        self.tail.summary()
    }

    pub fn slot(&self) -> Slot {
        self.tail.slot()
    }

    pub fn checkpoint(
        &self,
        manifest: ManifestRef,
        operation: Option<OperationId>,
        then: Then,
        commit: Commit,
        at: ProcTime,
    ) -> Result<Draft, GrammarError> {
        self.draft(Entry::Checkpoint { manifest, operation, then, commit }, at)
    }

    /// The effects that `permit` allowed are done.
    pub fn committed(&self, permit: &CommitPermit, at: ProcTime) -> Result<Draft, GrammarError> {
        self.draft(Entry::Committed { epoch: permit.epoch() }, at)
    }

    pub fn stable(&self, at: ProcTime) -> Result<Draft, GrammarError> {
        self.draft(Entry::Stable { run: self.fence().run }, at)
    }

    pub fn retired(&self, below: Epoch, at: ProcTime) -> Result<Draft, GrammarError> {
        self.draft(Entry::Retired { below }, at)
    }

    /// Ends the run at its resume point; "settled" is read off the state, not claimed.
    pub fn stopped(&self, operation: Option<OperationId>, at: ProcTime) -> Result<Draft, GrammarError> {
        let summary = self.summary();
        let operation = operation.or_else(|| summary.stopping.as_ref().and_then(|s| s.operation.clone()));
        let entry = Entry::Stopped {
            run: summary.fence.run,
            operation,
            epoch: summary.resume.as_ref().map(|r| r.epoch),
            settled: summary.unsettled.is_empty(),
        };
        self.draft(entry, at)
    }

    fn draft(&self, entry: Entry, at: ProcTime) -> Result<Draft, GrammarError> {
        Draft::new(Some(&self.tail), self.summary(), self.writer.clone(), entry, at)
    }
}
