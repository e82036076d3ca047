//! What a process that wants to run the job makes of the journal that it finds.
//!
//! The answer is a draft of a `Generation` or a refusal in plain words. It is made on one tail and the draft goes into the
//! slot after that very tail, so that the check and the start are one step.

use super::append::Draft;
use super::record::{Entry, ManifestRef, OperationId, SinkLayout, Tail};
use super::summary::{Answer, GrammarError, Summary};
use crate::id::{Epoch, Fence, Incarnation, JobUid, Run, WriterId};
use crate::key_group::KeyGroups;
use crate::time::ProcTime;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartRequest {
    pub job: JobUid,
    pub writer: WriterId,
    pub run: RunChoice,
    pub operation: Option<OperationId>,
    pub expectation: Expectation,
    pub restore: Restore,
    pub layout: Vec<SinkLayout>,
    /// `None`: the journal's, or the default at the first start.
    pub key_groups: Option<KeyGroups>,
    pub hash_id: String,
    /// This process was fenced by another one of its own run, and the tail has not stood still since.
    pub must_wait: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunChoice {
    /// Numbered by whoever starts runs (the operator).
    Exactly(Run),
    /// The journal's next: a person's `sluice run`.
    Next,
}

/// What must be true of the journal for the first start of a run. Later incarnations of the same run were covered by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Nothing in particular: the caller has looked at what exists and was told what to do with it.
    Any,
    /// No record at all.
    Fresh,
    /// The job stands stopped at this epoch.
    Stopped { epoch: Epoch },
    /// The journal has come at least this far: an emptied bucket or a wrong prefix is noticed.
    AtLeast { run: Run, epoch: Epoch },
    /// The given run made no checkpoint, so that going back behind it repeats nothing.
    NoCheckpointOf { run: Run },
}

/// Where to go on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restore {
    /// The journal's resume point; from nothing only if there is none.
    Latest,
    /// The resume point, if it is still the one that the caller has read and held its plan against (`None`: there was none).
    /// Another process may have gone on meanwhile: then the start is refused, and the caller reads again.
    Resume(Option<ManifestRef>),
    /// An older checkpoint of this journal. `allow_repeat`: output committed after it may come again.
    Epoch { epoch: Epoch, allow_repeat: bool },
    /// A savepoint, of this job or another.
    Savepoint(ManifestRef),
    /// From nothing, on purpose.
    Nothing,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum StartRefusal {
    #[error("run {run} is superseded by run {tail}, which has already started")]
    Superseded { run: Run, tail: Run },
    #[error("run {run} has stopped at epoch {epoch:?}; only a later run goes on from there")]
    RunStopped { run: Run, epoch: Option<Epoch> },
    #[error("another process of run {run} has taken over; this one waits until the journal has stood still")]
    MustWait { run: Run },
    #[error("expected {expected}, but the journal {found}; check the state URI, or say from where to restore")]
    Expectation { expected: String, found: String },
    #[error("epoch {epoch} cannot be restored: it is retired, was dropped or never was; restorable are {restorable:?}")]
    NotRestorable { epoch: Epoch, restorable: Vec<u64> },
    #[error(
        "restoring epoch {epoch} would repeat output that was committed up to epoch {committed}; allow repeats to do it"
    )]
    RepeatsOutput { epoch: Epoch, committed: Epoch },
    #[error("the job has moved on to {now} while this start was prepared from {read}; start again")]
    MovedOn { read: String, now: String },
    #[error("the journal belongs to job {found}, not to {expected}")]
    OtherJob { expected: JobUid, found: JobUid },
    #[error(
        "the job has {found} key groups since its first start, {asked} were asked for; the number cannot be changed"
    )]
    KeyGroups { found: u32, asked: u32 },
    #[error("the job's state is spread by key hash '{found}', this release uses '{expected}'")]
    HashId { found: String, expected: String },
    /// A bug: the decision allowed what the grammar does not.
    #[error("the journal does not allow this start: {0}")]
    Grammar(#[from] GrammarError),
}

/// The first record of an incarnation, or why there must be none. `tail` is the highest slot that was read.
pub fn decide(tail: Option<&Tail>, request: &StartRequest, at: ProcTime) -> Result<Draft, StartRefusal> {
    let new = || {
        let key_groups = request.key_groups.unwrap_or(KeyGroups::DEFAULT);
        Summary::new(request.job.clone(), key_groups, request.hash_id.clone())
    };
    let before = tail.map_or_else(new, |tail| tail.summary().clone());
    check_identity(&before, request)?;
    let fence = next_fence(&before, request.run)?;
    if fence.run == before.fence.run && request.must_wait {
        return Err(StartRefusal::MustWait { run: fence.run });
    }
    check_expectation(tail.map(Tail::summary), fence.run, request.expectation)?;
    let restored_from = restore_point(&before, &request.restore, fence.run)?;
    let entry = Entry::Generation {
        fence,
        operation: request.operation.clone(),
        restored_from,
        layout: request.layout.clone(),
    };
    Ok(Draft::new(tail, &before, request.writer.clone(), entry, at)?)
}

/// An operation that the journal has already answered is not done again.
pub fn answered<'a>(tail: Option<&'a Tail>, operation: Option<&OperationId>) -> Option<&'a Answer> {
    tail?.summary().answered(operation?)
}

fn check_identity(before: &Summary, request: &StartRequest) -> Result<(), StartRefusal> {
    if before.job != request.job {
        return Err(StartRefusal::OtherJob { expected: request.job.clone(), found: before.job.clone() });
    }
    if let Some(asked) = request.key_groups.filter(|k| *k != before.key_groups) {
        return Err(StartRefusal::KeyGroups { found: before.key_groups.count(), asked: asked.count() });
    }
    if before.hash_id != request.hash_id {
        return Err(StartRefusal::HashId { found: before.hash_id.clone(), expected: request.hash_id.clone() });
    }
    Ok(())
}

/// Never above a higher run, never its own run after `Stopped`.
fn next_fence(before: &Summary, choice: RunChoice) -> Result<Fence, StartRefusal> {
    let tail = before.fence;
    let run = match choice {
        RunChoice::Next => Run(tail.run.0 + 1),
        RunChoice::Exactly(run) => run,
    };
    if run < tail.run {
        return Err(StartRefusal::Superseded { run, tail: tail.run });
    }
    if run > tail.run {
        return Ok(Fence { run, incarnation: Incarnation(1) });
    }
    match &before.stopped {
        Some(stopped) => Err(StartRefusal::RunStopped { run, epoch: stopped.epoch }),
        None => Ok(Fence { run, incarnation: Incarnation(tail.incarnation.0 + 1) }),
    }
}

fn check_expectation(tail: Option<&Summary>, run: Run, expectation: Expectation) -> Result<(), StartRefusal> {
    let started_before = tail.is_some_and(|s| s.fence.run == run);
    let (met, expected) = match expectation {
        Expectation::Any => (true, String::new()),
        Expectation::AtLeast { run, epoch } => (
            tail.is_some_and(|s| s.fence.run >= run && s.last_epoch >= epoch),
            format!("at least run {run} and epoch {epoch}"),
        ),
        Expectation::Fresh => (tail.is_none() || started_before, "no earlier state".into()),
        Expectation::Stopped { epoch } => {
            let stopped = tail.and_then(|s| s.stopped.as_ref()).and_then(|s| s.epoch);
            (stopped == Some(epoch) || started_before, format!("a stop at epoch {epoch}"))
        }
        Expectation::NoCheckpointOf { run: other } => {
            let none = tail.is_some_and(|s| {
                let made_one = s.resume.as_ref().is_some_and(|r| !r.savepoint && r.made_by.run == other);
                s.fence.run <= other && !made_one
            });
            (none || started_before, format!("no checkpoint of run {other}"))
        }
    };
    if met { Ok(()) } else { Err(StartRefusal::Expectation { expected, found: describe(tail) }) }
}

fn describe(tail: Option<&Summary>) -> String {
    match tail {
        None => "is empty".into(),
        Some(s) => match &s.stopped {
            Some(stopped) => {
                format!("says that run {} has stopped at epoch {}", s.fence.run, stopped.epoch.unwrap_or_default())
            }
            None => format!("is at run {} and epoch {}", s.fence.run, s.last_epoch),
        },
    }
}

fn restore_point(before: &Summary, restore: &Restore, run: Run) -> Result<Option<ManifestRef>, StartRefusal> {
    if let Restore::Resume(read) = restore {
        let epoch =
            |m: &Option<ManifestRef>| m.as_ref().map_or("nothing".to_string(), |m| format!("epoch {}", m.epoch));
        if *read != before.resume {
            return Err(StartRefusal::MovedOn { read: epoch(read), now: epoch(&before.resume) });
        }
        return Ok(read.clone());
    }
    // A wish is for the first incarnation of a run. Later ones go on from where the run had come to: going back to the
    // wish would repeat what the run has already put out.
    if run == before.fence.run {
        return Ok(before.resume.clone());
    }
    match restore {
        Restore::Latest | Restore::Resume(_) => Ok(before.resume.clone()),
        Restore::Nothing => Ok(None),
        Restore::Savepoint(manifest) => Ok(Some(ManifestRef { savepoint: true, ..manifest.clone() })),
        Restore::Epoch { epoch, allow_repeat } => {
            let point = before.restorable(*epoch).ok_or_else(|| StartRefusal::NotRestorable {
                epoch: *epoch,
                restorable: before.checkpoints.iter().map(|c| c.epoch.0).collect(),
            })?;
            // What is unsettled goes out first, so it counts as committed.
            let committed = before.to_settle().last().map_or(before.committed, |m| m.epoch);
            if committed > *epoch && !allow_repeat {
                return Err(StartRefusal::RepeatsOutput { epoch: *epoch, committed });
            }
            Ok(Some(point.clone()))
        }
    }
}

/// Three checkpoint intervals: a live coordinator writes at least once in each.
const STILL_INTERVALS: i64 = 3;

/// Watches the tail for a process that was fenced within its own run: it takes over only when the other one is silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StillWatch {
    seen: Option<(super::Slot, ProcTime)>,
}

impl StillWatch {
    /// The tail was `slot` at `now`; whether it has stood still long enough for a job with this checkpoint interval.
    pub fn observe(&mut self, slot: super::Slot, now: ProcTime, interval_ms: i64) -> bool {
        match self.seen {
            Some((seen, since)) if seen == slot => now.0 - since.0 >= STILL_INTERVALS * interval_ms,
            _ => {
                self.seen = Some((slot, now));
                false
            }
        }
    }
}
