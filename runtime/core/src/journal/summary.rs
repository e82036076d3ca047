//! The state of a job as one value, and the grammar: which record may follow which state, and what it makes of it.

use super::record::{Commit, Entry, ManifestRef, OperationId, SinkLayout, Then};
use crate::id::{Epoch, Fence, JobUid, Run};
use crate::key_group::KeyGroups;
use serde::{Deserialize, Serialize};

/// Answers of this many operations are kept: the operator has one at a time, and asks again within minutes.
const OPERATIONS_KEPT: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Summary {
    pub job: JobUid,
    pub key_groups: KeyGroups,
    pub hash_id: String,
    /// Of the last `Generation`; (0, 0) before the first.
    pub fence: Fence,
    /// Of the last `Generation`.
    pub layout: Vec<SinkLayout>,
    /// The highest epoch ever made canonical: the next one is above it, also after a restore to an older point.
    pub last_epoch: Epoch,
    /// What a successor restores from, unless ordered otherwise: the last checkpoint, or what the generation came from.
    pub resume: Option<ManifestRef>,
    /// All that can be restored from: canonical, not retired, output not dropped. Ascending.
    pub checkpoints: Vec<ManifestRef>,
    /// Canonical epochs whose output is not known to be out, in the order in which it must go out.
    pub unsettled: Vec<Unsettled>,
    /// All external effects up to here are done (0: none).
    pub committed: Epoch,
    /// The highest `Retired`.
    pub retired_below: Epoch,
    /// What runs that are not stable yet came from: at most the first and the last of them.
    pub pins: Vec<Pin>,
    /// A `Checkpoint{then: Stop}` that no `Stopped` has followed yet.
    pub stopping: Option<Stopping>,
    /// The run has ended on purpose.
    pub stopped: Option<StoppedAt>,
    /// The last operations and their answers, oldest first.
    pub operations: Vec<Answered>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Unsettled {
    pub manifest: ManifestRef,
    /// Not before `Stable`.
    pub held: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pin {
    pub run: Run,
    pub manifest: ManifestRef,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stopping {
    pub operation: Option<OperationId>,
    pub epoch: Epoch,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StoppedAt {
    pub run: Run,
    pub epoch: Option<Epoch>,
    /// `false`: the next run settles, in the old layout, with its own connection options.
    pub settled: bool,
}

/// What came of an operation: asked again, it is answered from here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Answered {
    pub operation: OperationId,
    pub answer: Answer,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Started(Fence),
    Checkpointed(Epoch),
    Stopped(Option<Epoch>),
}

/// A record that the state before it does not allow: a bug of its writer. It is never sent.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GrammarError {
    #[error("generation {found} does not follow generation {tail}")]
    Fence { tail: Fence, found: Fence },
    #[error("run {run} has stopped; only a later run goes on")]
    RunStopped { run: Run },
    #[error("epoch {epoch} cannot be restored: it is retired, was dropped or never was canonical")]
    NotRestorable { epoch: Epoch },
    #[error("epoch {epoch} does not rise above {last}")]
    EpochNotRising { epoch: Epoch, last: Epoch },
    #[error("the run is stopping at epoch {epoch}; no checkpoint may follow")]
    Stopping { epoch: Epoch },
    #[error("epoch {epoch} is not settled yet")]
    Unsettled { epoch: Epoch },
    #[error("epoch {epoch} is not the next to be settled")]
    NotNextToSettle { epoch: Epoch },
    #[error("run {found} speaks for run {run}")]
    OtherRun { run: Run, found: Run },
    #[error("nothing can be retired below epoch {below}")]
    NothingToRetire { below: Epoch },
    #[error("the run stops at epoch {stopping:?}, not at {found:?}")]
    StopPoint { stopping: Option<Epoch>, found: Option<Epoch> },
}

impl Summary {
    /// Before the first record.
    pub fn new(job: JobUid, key_groups: KeyGroups, hash_id: String) -> Self {
        Self {
            job,
            key_groups,
            hash_id,
            fence: Fence::default(),
            layout: Vec::new(),
            last_epoch: Epoch(0),
            resume: None,
            checkpoints: Vec::new(),
            unsettled: Vec::new(),
            committed: Epoch(0),
            retired_below: Epoch(0),
            pins: Vec::new(),
            stopping: None,
            stopped: None,
            operations: Vec::new(),
        }
    }

    /// The state after `entry`, if the grammar allows it here.
    pub fn after(&self, entry: &Entry) -> Result<Self, GrammarError> {
        let mut next = self.clone();
        match entry {
            Entry::Generation { fence, operation, restored_from, layout } => {
                next.start(*fence, restored_from.as_ref())?;
                next.layout.clone_from(layout);
                next.answer(operation.as_ref(), Answer::Started(*fence));
            }
            Entry::Checkpoint { manifest, operation, then, commit } => {
                next.checkpoint(manifest, *then, *commit, operation.as_ref())?;
            }
            Entry::Committed { epoch } => next.commit(*epoch)?,
            Entry::Stable { run } => next.stable(*run)?,
            Entry::Retired { below } => next.retire(*below)?,
            Entry::Stopped { run, operation, epoch, settled } => {
                next.stop(*run, *epoch, *settled)?;
                next.answer(operation.as_ref(), Answer::Stopped(*epoch));
            }
        }
        Ok(next)
    }

    /// What was answered to an operation, if it is one of the last.
    pub fn answered(&self, operation: &OperationId) -> Option<&Answer> {
        self.operations.iter().rev().find(|a| a.operation == *operation).map(|a| &a.answer)
    }

    /// Epochs that may be settled now, in order.
    pub fn to_settle(&self) -> impl Iterator<Item = &ManifestRef> {
        self.unsettled.iter().take_while(|u| !u.held).map(|u| &u.manifest)
    }

    pub fn restorable(&self, epoch: Epoch) -> Option<&ManifestRef> {
        self.checkpoints.iter().find(|c| c.epoch == epoch)
    }

    /// Never deleted, whatever its age: somebody may come back to it without asking.
    pub fn protects(&self, manifest: &ManifestRef) -> bool {
        self.resume.as_ref() == Some(manifest)
            || self.unsettled.iter().any(|u| u.manifest == *manifest)
            || self.pins.iter().any(|p| p.manifest == *manifest)
    }

    /// Held output that a generation restored from `point` gives up: it is behind the point where it goes on from.
    pub fn dropped_by(&self, point: Option<&ManifestRef>) -> Vec<ManifestRef> {
        if point == self.resume.as_ref() {
            return Vec::new();
        }
        let from = point.filter(|p| !p.savepoint).map_or(Epoch(0), |p| p.epoch);
        self.unsettled.iter().filter(|u| u.held && u.manifest.epoch > from).map(|u| u.manifest.clone()).collect()
    }

    fn start(&mut self, fence: Fence, point: Option<&ManifestRef>) -> Result<(), GrammarError> {
        let new_run = fence.run > self.fence.run;
        let follows = new_run && fence.incarnation.0 == 1
            || fence.run == self.fence.run && fence.incarnation.0 == self.fence.incarnation.0 + 1;
        if !follows {
            return Err(GrammarError::Fence { tail: self.fence, found: fence });
        }
        if let (false, Some(stopped)) = (new_run, &self.stopped) {
            return Err(GrammarError::RunStopped { run: stopped.run });
        }
        let known = point.is_none_or(|p| p.savepoint || self.checkpoints.contains(p));
        if let (false, Some(p)) = (known, point) {
            return Err(GrammarError::NotRestorable { epoch: p.epoch });
        }
        let dropped = self.dropped_by(point);
        self.unsettled.retain(|u| !dropped.contains(&u.manifest));
        self.checkpoints.retain(|c| !dropped.contains(c));
        self.fence = fence;
        self.resume = point.cloned();
        self.stopped = None;
        if new_run {
            self.stopping = None;
            // The first is where the last stable run can be resumed, the last is where this run began. Those in between
            // belong to runs that never became stable and never will.
            self.pins.retain(|p| !dropped.contains(&p.manifest));
            self.pins.truncate(1);
            self.pins.extend(point.map(|p| Pin { run: fence.run, manifest: p.clone() }));
        }
        Ok(())
    }

    fn checkpoint(
        &mut self,
        manifest: &ManifestRef,
        then: Then,
        commit: Commit,
        operation: Option<&OperationId>,
    ) -> Result<(), GrammarError> {
        let epoch = manifest.epoch;
        if let Some(stopped) = &self.stopped {
            return Err(GrammarError::RunStopped { run: stopped.run });
        }
        if let Some(stopping) = &self.stopping {
            return Err(GrammarError::Stopping { epoch: stopping.epoch });
        }
        if epoch <= self.last_epoch {
            return Err(GrammarError::EpochNotRising { epoch, last: self.last_epoch });
        }
        if let Some(open) = self.unsettled.iter().find(|u| !(u.held && commit == Commit::Held)) {
            return Err(GrammarError::Unsettled { epoch: open.manifest.epoch });
        }
        self.last_epoch = epoch;
        self.resume = Some(manifest.clone());
        self.checkpoints.push(manifest.clone());
        match commit {
            Commit::Now => self.unsettled.push(Unsettled { manifest: manifest.clone(), held: false }),
            Commit::Held => self.unsettled.push(Unsettled { manifest: manifest.clone(), held: true }),
            Commit::Nothing => self.committed = epoch,
        }
        if then == Then::Stop {
            self.stopping = Some(Stopping { operation: operation.cloned(), epoch });
        }
        self.answer(operation, Answer::Checkpointed(epoch));
        Ok(())
    }

    fn commit(&mut self, epoch: Epoch) -> Result<(), GrammarError> {
        if self.to_settle().next().map(|first| first.epoch) != Some(epoch) {
            return Err(GrammarError::NotNextToSettle { epoch });
        }
        self.unsettled.remove(0);
        self.committed = epoch;
        Ok(())
    }

    fn stable(&mut self, run: Run) -> Result<(), GrammarError> {
        if run != self.fence.run {
            return Err(GrammarError::OtherRun { run: self.fence.run, found: run });
        }
        self.pins.clear();
        for unsettled in &mut self.unsettled {
            unsettled.held = false;
        }
        Ok(())
    }

    fn retire(&mut self, below: Epoch) -> Result<(), GrammarError> {
        let before = self.checkpoints.len();
        let kept: Vec<_> = self.checkpoints.iter().filter(|c| c.epoch >= below || self.protects(c)).cloned().collect();
        if kept.len() == before || below < self.retired_below || below > self.last_epoch {
            return Err(GrammarError::NothingToRetire { below });
        }
        self.checkpoints = kept;
        self.retired_below = below;
        Ok(())
    }

    fn stop(&mut self, run: Run, epoch: Option<Epoch>, settled: bool) -> Result<(), GrammarError> {
        if run != self.fence.run {
            return Err(GrammarError::OtherRun { run: self.fence.run, found: run });
        }
        if self.stopped.is_some() {
            return Err(GrammarError::RunStopped { run });
        }
        let point = self.resume.as_ref().map(|r| r.epoch);
        if epoch != point || self.stopping.as_ref().is_some_and(|s| Some(s.epoch) != epoch) {
            return Err(GrammarError::StopPoint { stopping: point, found: epoch });
        }
        if let (true, Some(open)) = (settled, self.unsettled.first()) {
            return Err(GrammarError::Unsettled { epoch: open.manifest.epoch });
        }
        self.stopping = None;
        self.stopped = Some(StoppedAt { run, epoch, settled });
        Ok(())
    }

    fn answer(&mut self, operation: Option<&OperationId>, answer: Answer) {
        if let Some(operation) = operation {
            let surplus = (self.operations.len() + 1).saturating_sub(OPERATIONS_KEPT);
            self.operations.drain(..surplus);
            self.operations.push(Answered { operation: operation.clone(), answer });
        }
    }
}
