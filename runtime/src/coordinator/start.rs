//! From a job's name to a generation in the journal: finds the job, checks that its state fits the plan, and only then
//! writes. Settles what an earlier run left unsettled before anything of this run begins.

use super::assemble::{Identity, LastOutput, keeps_state};
use super::checkpoint::Checkpoints;
use super::sinks::Sinks;
use super::sources::Sources;
use super::workers::{Prepare, Workers};
use super::{Delivery, RunError, RunSpec, Watch};
use crate::clock::{random_hex, random_writer_id};
use crate::connectors::ConnectorContext;
use crate::deploy::Blueprint;
use crate::journal::{JobJournal, Started, job, read_manifest, read_tail};
use crate::savepoint::{self, RestorePoint, SavepointError};
use crate::state::restore::Restore;
use crate::state::writer::{SegmentOwner, SnapshotWriter};
use crate::store::{lock, probe};
use sluice_core::hash::HASH_ID;
use sluice_core::id::{Epoch, JobUid, OperatorId, WriterId};
use sluice_core::journal::{Expectation, Restore as From, RunChoice, StartRequest, Tail};
use sluice_core::manifest::{Manifest, plan_operators};
use sluice_core::paths::JobPaths;
use sluice_core::plan::Plan;
use sluice_core::savepoint::{DroppedState, RestoreSource, Unusable, check_usable, compare};
use sluice_core::time::EventTime;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::watch;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "there is state of {} jobs named '{name}' and none of them is marked as the one to continue ({}); \
         say --restore none, or give --state the directory of one",
        uids.len(), uids.iter().map(|u| u.0.as_str()).collect::<Vec<_>>().join(", ")
    )]
    Unclaimed { name: String, uids: Vec<JobUid> },
    #[error(transparent)]
    DroppedState(#[from] DroppedState),
    #[error(transparent)]
    Unusable(#[from] Unusable),
    #[error(transparent)]
    Savepoint(#[from] SavepointError),
    #[error(transparent)]
    Lock(#[from] lock::LockError),
    #[error(transparent)]
    Probe(#[from] probe::ProbeError),
}

/// What became of the attempt to start.
pub enum Begin {
    AlreadyFinished { epoch: Epoch },
    Run(Box<Beginning>),
}

/// A run that is in the journal and has nothing unsettled behind it.
pub struct Beginning {
    journal: JobJournal,
    restored: Option<RestorePoint>,
    sinks: Sinks,
    sources: Sources,
    first_epoch: Epoch,
    lock: Option<lock::DirectoryLock>,
}

pub async fn start(spec: &RunSpec) -> Result<Begin, RunError> {
    let writer = random_writer_id();
    let uid = job_uid(spec).await?;
    let paths = JobPaths::new(&spec.namespace, &spec.name, &uid);
    let lock = lock::acquire(&*spec.store, &paths.lock()).map_err(StartError::from)?;
    let tail = read_tail(&*spec.store, &paths).await?;
    if tail.is_none() && spec.delivery == Delivery::ExactlyOnce {
        probe::probe(&*spec.store, &paths, &random_hex()).await.map_err(StartError::from)?;
    }
    let (from, restored) = restore_point(spec, &paths, tail.as_ref()).await?;
    if let Some(m) = restored.as_ref().map(|p| &p.manifest) {
        if m.finished && spec.restore == RestoreSource::Latest && is_settled(tail.as_ref()) {
            return Ok(Begin::AlreadyFinished { epoch: m.epoch });
        }
        check_state(spec, m, &uid)?;
    }
    let cx = ConnectorContext {
        clock: spec.clock.clone(),
        base_dir: spec.base_dir.clone(),
        writer: writer.clone(),
        terminal: Arc::clone(&spec.terminal),
    };
    let sinks = Sinks::open(&spec.plan, &cx)?;
    let mut sources = Sources::open(&spec.plan, &cx, restored.as_ref().map(|p| &p.manifest))?;
    if restored.is_some() && spec.delivery == Delivery::AtMostOnce {
        sources.skip_to_end();
    }
    let request = request(spec, uid, &writer, from, &sinks);
    let started = begin(spec, paths, request, &sinks).await?;
    Ok(Begin::Run(Box::new(Beginning {
        first_epoch: started.first_epoch,
        journal: started.journal,
        restored,
        sinks,
        sources,
        lock,
    })))
}

async fn job_uid(spec: &RunSpec) -> Result<JobUid, RunError> {
    let store = &*spec.store;
    match job::find(store, &spec.namespace, &spec.name).await? {
        job::Found::Job(uid) => Ok(uid),
        job::Found::Unclaimed(uids) if spec.restore == RestoreSource::Latest => {
            Err(StartError::Unclaimed { name: spec.name.clone(), uids }.into())
        }
        job::Found::Nothing | job::Found::Unclaimed(_) => {
            Ok(job::claim(store, &spec.namespace, &spec.name, JobUid(random_hex())).await?)
        }
    }
}

/// Where to go on, read before anything is written.
async fn restore_point(
    spec: &RunSpec,
    paths: &JobPaths,
    tail: Option<&Tail>,
) -> Result<(From, Option<RestorePoint>), StartError> {
    let options = &spec.state_options;
    if let Some(point) = savepoint::open_source(&spec.store, paths, &spec.restore, options).await? {
        return Ok((From::Savepoint(point.reference.clone()), Some(point)));
    }
    if spec.restore == RestoreSource::Nothing {
        return Ok((From::Nothing, None));
    }
    Ok(match tail.and_then(|t| t.summary().resume.as_ref()) {
        None => (From::Resume(None), None),
        // If the job moves on before the start is written, the start is refused: these bytes are what the tasks get.
        Some(r) => {
            (From::Resume(Some(r.clone())), Some(savepoint::open_reference(&spec.store, paths, r, options).await?))
        }
    })
}

/// Whether the state can be spread over the plan's operators, without losing any that the user did not give up.
fn check_state(spec: &RunSpec, manifest: &Manifest, job: &JobUid) -> Result<(), StartError> {
    let key_groups = spec.key_groups.unwrap_or(manifest.key_groups);
    check_usable(manifest, job, key_groups, HASH_ID)?;
    let stateful: BTreeSet<&OperatorId> =
        spec.plan.nodes.iter().filter(|n| keeps_state(&n.op)).map(|n| &n.id).collect();
    let operators = plan_operators(&spec.plan, |id| stateful.contains(id));
    Ok(compare(manifest, &operators).check(spec.allow_dropped_state)?)
}

fn is_settled(tail: Option<&Tail>) -> bool {
    tail.is_none_or(|t| t.summary().unsettled.is_empty())
}

fn request(spec: &RunSpec, job: JobUid, writer: &WriterId, restore: From, sinks: &Sinks) -> StartRequest {
    StartRequest {
        job,
        writer: writer.clone(),
        run: RunChoice::Next,
        operation: None,
        expectation: Expectation::Any,
        restore,
        layout: sinks.layout(spec.parallelism as u32),
        key_groups: spec.key_groups,
        hash_id: HASH_ID.to_owned(),
        must_wait: false,
    }
}

/// Appends the generation, settles what is open, and ends a stop that was interrupted before it starts the next run.
async fn begin(spec: &RunSpec, paths: JobPaths, request: StartRequest, sinks: &Sinks) -> Result<Started, RunError> {
    let mut started = JobJournal::start(Arc::clone(&spec.store), paths, request, spec.clock.clone()).await?;
    for permit in std::mem::take(&mut started.must_settle) {
        let manifest = read_manifest(&*spec.store, started.journal.paths(), permit.manifest()).await?;
        sinks.settle(&manifest, spec.allow_dropped_state).await?;
        started.journal.committed(permit).await?;
    }
    Ok(started)
}

impl Beginning {
    /// Builds the tasks and starts their threads; each restores its own state first.
    pub fn deploy(
        mut self,
        spec: &RunSpec,
        watch: &watch::Sender<Watch>,
    ) -> Result<(Workers, Checkpoints, Sources), RunError> {
        let plan = &spec.plan;
        let key_groups = self.journal.summary().key_groups;
        let restored = self.restored.as_ref().map(|p| &p.manifest);
        let blueprint = Blueprint {
            plan,
            parallelism: spec.parallelism,
            key_groups,
            clock: &spec.clock,
            writer: self.journal.writer(),
            allowed_lateness_ms: spec.allowed_lateness_ms,
            sources: &self.sources.open,
            sinks: &self.sinks.open,
            watermarks: &watermarks(plan, restored),
        };
        let deployment = blueprint.build()?;
        let watched = Watch {
            job: deployment.metrics.clone(),
            checkpoints: Arc::default(),
            chain_nodes: deployment.chains.iter().map(|c| c.nodes[0]).collect(),
        };
        let checkpoint_metrics = Arc::clone(&watched.checkpoints);
        watch.send_replace(watched);
        let identity = self.identity(spec);
        let restore = Arc::new(Restore {
            plan: Arc::clone(plan),
            point: self.restored.clone(),
            key_groups,
            parallelism: spec.parallelism,
        });
        let owner = self.owner(spec);
        let threads = |e| RunError::Panicked(format!("failed to start a thread: {e}"));
        let mut writer = SnapshotWriter::start(Arc::clone(&spec.store), owner, spec.parallelism).map_err(threads)?;
        let workers = Workers::start(
            deployment.workers,
            deployment.chains,
            &spec.clock,
            |index| writer.sinks(index),
            |_| prepare(Arc::clone(&restore)),
        )
        .map_err(threads)?;
        let last_output = last_output(restored);
        let checkpoints = Checkpoints::new(
            self.journal,
            writer,
            identity,
            self.sinks,
            last_output,
            self.first_epoch,
            checkpoint_metrics,
            self.lock.take(),
            &spec.clock,
        );
        Ok((workers, checkpoints, self.sources))
    }

    fn identity(&self, spec: &RunSpec) -> Identity {
        let summary = self.journal.summary();
        Identity {
            job: summary.job.clone(),
            fence: self.journal.fence(),
            writer: self.journal.writer().clone(),
            key_groups: summary.key_groups,
            parallelism: spec.parallelism as u32,
        }
    }

    fn owner(&self, spec: &RunSpec) -> SegmentOwner {
        SegmentOwner {
            paths: self.journal.paths().clone(),
            fence: self.journal.fence(),
            writer: self.journal.writer().clone(),
            key_groups: self.journal.summary().key_groups,
            operators: spec.plan.nodes.iter().map(|n| n.id.clone()).collect(),
        }
    }
}

/// Restores a worker's tasks on its own thread.
fn prepare(restore: Arc<Restore>) -> Prepare {
    let io = tokio::runtime::Handle::current();
    Box::new(move |tasks| {
        for (task, _) in tasks.iter_mut() {
            io.block_on(restore.task(task)).map_err(|e| e.to_string())?;
        }
        Ok(())
    })
}

fn watermarks(plan: &Plan, restored: Option<&Manifest>) -> BTreeMap<usize, EventTime> {
    let Some(m) = restored else { return BTreeMap::new() };
    let of = |id| m.operator(id).and_then(|o| o.watermarks.iter().min().copied());
    plan.nodes.iter().enumerate().filter_map(|(n, node)| Some((n, of(&node.id)?))).collect()
}

fn last_output(restored: Option<&Manifest>) -> LastOutput {
    let mut last = LastOutput::new();
    for o in restored.iter().flat_map(|m| &m.operators) {
        for s in o.sink.iter().flat_map(|s| &s.staged) {
            last.insert((o.id.clone(), s.slot), restored.map_or(Epoch(0), |m| m.epoch));
        }
    }
    last
}
