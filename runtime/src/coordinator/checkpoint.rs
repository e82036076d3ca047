//! The checkpoints of a run: begun, answered by the tasks, made canonical, settled, and collected.

use super::assemble::{Identity, LastOutput, manifest};
use super::pending::{Pending, Purpose};
use super::sinks::Sinks;
use super::workers::Workers;
use super::{Delivery, RunError, RunSpec};
use crate::clock::Clock;
use crate::journal::JobJournal;
use crate::metrics::exposition::CheckpointMetrics;
use crate::state::writer::SnapshotWriter;
use crate::store::lock::DirectoryLock;
use crate::task::{Command, TaskId, TaskSnapshot};
use crate::worker::WorkerCommand;
use sluice_core::chain::{Chains, Member};
use sluice_core::id::Epoch;
use sluice_core::journal::{Commit, Then};
use sluice_core::manifest::Manifest;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error(
        "checkpoint {epoch} did not complete within {timeout:?}: {waiting} tasks have not answered; \
         is a sink blocked? raise spec.checkpoints.timeout if the state is large"
    )]
    Timeout { epoch: Epoch, timeout: Duration, waiting: usize },
    #[error(transparent)]
    Write(#[from] crate::state::writer::WriteError),
}

/// Operators whose snapshot stands alone.
fn full_members(snapshots: &[TaskSnapshot]) -> BTreeSet<Member> {
    let full = snapshots.iter().filter(|s| s.full);
    full.flat_map(|s| s.watermarks.iter().map(|(node, _)| (*node, s.task.index))).collect()
}

/// A checkpoint whose output is out.
#[derive(Debug)]
pub struct Done {
    pub epoch: Epoch,
    pub purpose: Purpose,
    /// Nothing is left to run.
    pub finished: bool,
}

pub struct Checkpoints {
    journal: JobJournal,
    writer: SnapshotWriter,
    identity: Identity,
    sinks: Sinks,
    /// Which segments each task's state consists of.
    chains: Chains,
    last_output: LastOutput,
    next_epoch: Epoch,
    pending: Option<Pending>,
    /// The run has been declared stable.
    stable: bool,
    /// When the last one began, by the clock's `elapsed`.
    last_begun: Duration,
    metrics: Arc<CheckpointMetrics>,
    /// Held as long as the run.
    _lock: Option<DirectoryLock>,
}

impl Checkpoints {
    #[allow(clippy::too_many_arguments, reason = "each is a part of its own that the run hands over once")]
    pub fn new(
        journal: JobJournal,
        writer: SnapshotWriter,
        identity: Identity,
        sinks: Sinks,
        last_output: LastOutput,
        next_epoch: Epoch,
        metrics: Arc<CheckpointMetrics>,
        lock: Option<DirectoryLock>,
        clock: &Clock,
    ) -> Self {
        Self {
            journal,
            writer,
            identity,
            sinks,
            chains: Chains::default(),
            last_output,
            next_epoch,
            pending: None,
            stable: false,
            last_begun: clock.elapsed(),
            metrics,
            _lock: lock,
        }
    }

    pub fn in_progress(&self) -> bool {
        self.pending.is_some()
    }

    pub fn is_due(&self, interval: Option<Duration>, clock: &Clock) -> bool {
        interval.is_some_and(|i| clock.elapsed() >= self.last_begun + i)
    }

    pub fn due_in(&self, interval: Option<Duration>, clock: &Clock) -> Duration {
        interval.map_or(Duration::MAX, |i| (self.last_begun + i).saturating_sub(clock.elapsed()))
    }

    /// Gives the next epoch its number; the caller tells the tasks.
    pub fn begin(&mut self, purpose: Purpose, tasks: impl Iterator<Item = TaskId>, clock: &Clock) -> Epoch {
        let epoch = self.next_epoch;
        self.next_epoch = epoch.next();
        self.last_begun = clock.elapsed();
        self.pending = Some(Pending::new(epoch, purpose, self.last_begun, tasks));
        epoch
    }

    /// True when the last task has answered.
    pub fn answer(&mut self, snapshot: TaskSnapshot) -> bool {
        self.pending.as_mut().is_some_and(|p| p.answer(snapshot))
    }

    pub fn check_timeout(&self, timeout: Duration, clock: &Clock) -> Result<(), CheckpointError> {
        match &self.pending {
            Some(p) if p.is_overdue(clock.elapsed(), timeout) => {
                Err(CheckpointError::Timeout { epoch: p.epoch, timeout, waiting: p.waiting().count() })
            }
            _ => Ok(()),
        }
    }

    /// All tasks have answered: waits for the uploads, makes the epoch canonical, settles it.
    pub async fn complete(&mut self, spec: &RunSpec, workers: &Workers) -> Result<Done, RunError> {
        let pending = self.pending.take().expect("a checkpoint is complete only while it is in progress");
        let (epoch, started, purpose) = (pending.epoch, pending.started, pending.purpose.clone());
        let aligned = spec.clock.elapsed();
        let snapshots = pending.into_snapshots();
        let full = full_members(&snapshots);
        let full = |m: Member| full.contains(&m);
        let written = self.writer.finish(epoch).await.map_err(CheckpointError::from)?;
        if purpose.stop {
            // Before anybody is promised a point to resume from; the tasks still have the state.
            self.writer.verify(written.values().flatten()).await.map_err(CheckpointError::from)?;
        }
        let candidate = self.chains.after(written, full);
        let manifest = manifest(&self.identity, &spec.plan, epoch, &snapshots, candidate.segments(), &self.last_output);
        if spec.delivery == Delivery::AtLeastOnce {
            self.sinks.settle(&manifest, true).await?;
        }
        self.append(&manifest, &purpose, workers, spec).await?;
        self.chains = candidate;
        self.remember_output(&manifest);
        self.measure(&manifest, started, aligned, &spec.clock);
        if purpose.stop {
            self.journal.stopped(purpose.operation.clone()).await?;
        }
        self.collect(spec.checkpoints_retained).await?;
        Ok(Done { epoch, purpose, finished: manifest.finished })
    }

    async fn append(
        &mut self,
        manifest: &Manifest,
        purpose: &Purpose,
        workers: &Workers,
        spec: &RunSpec,
    ) -> Result<(), RunError> {
        let then = if purpose.stop { Then::Stop } else { Then::Run };
        let commit = if manifest.has_staging() { Commit::Now } else { Commit::Nothing };
        let canonical = self.journal.checkpoint(manifest, purpose.operation.clone(), then, commit).await?;
        workers.tell(&WorkerCommand::All(Command::Confirmed { epoch: manifest.epoch }));
        if let Some(permit) = canonical.permit {
            self.sinks.settle(manifest, spec.allow_dropped_state).await?;
            self.journal.committed(permit).await?;
        }
        if !std::mem::replace(&mut self.stable, true) {
            // Without an operator that weighs evidence, the first committed epoch is it: what the run came from is released.
            self.journal.stable().await?;
        }
        Ok(())
    }

    fn remember_output(&mut self, manifest: &Manifest) {
        for o in &manifest.operators {
            for s in o.sink.iter().flat_map(|s| &s.staged) {
                self.last_output.insert((o.id.clone(), s.slot), manifest.epoch);
            }
        }
    }

    fn measure(&self, manifest: &Manifest, started: Duration, aligned: Duration, clock: &Clock) {
        let m = &self.metrics;
        m.completed.fetch_add(1, Relaxed);
        m.last_epoch.store(manifest.epoch.0, Relaxed);
        m.last_alignment_ms.store(aligned.saturating_sub(started).as_millis() as u64, Relaxed);
        m.last_duration_ms.store(clock.elapsed().saturating_sub(started).as_millis() as u64, Relaxed);
        m.last_bytes.store(manifest.totals.written_bytes, Relaxed);
        m.last_rows.store(manifest.totals.rows, Relaxed);
    }

    /// Deletes what nobody can restore from any more.
    async fn collect(&mut self, retained: usize) -> Result<(), RunError> {
        if let Some(collection) = self.journal.retire(retained).await? {
            // A store that denies deletes only keeps garbage.
            if let Err(e) = collection.run().await {
                tracing::warn!(error = %e, "failed to delete retired checkpoints");
            }
        }
        Ok(())
    }
}
