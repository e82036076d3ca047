//! The coordinator of one run in this process: starts it in the journal, deploys its tasks, takes checkpoints, settles
//! sinks, and ends it.
//!
//! - [`pending`], [`assemble`]: the pure parts;
//! - [`sources`], [`sinks`]: what the run has open;
//! - [`start`]: from a job's name to a generation in the journal, with everything that can refuse it;
//! - [`workers`]: the threads;
//! - [`checkpoint`]: from the last answer of a task to the committed epoch.
//!
//! Who may commit is decided by the journal alone; this loop only carries permits from there to the sinks.

pub mod assemble;
pub mod checkpoint;
pub mod pending;
pub mod sinks;
pub mod sources;
pub mod start;
pub mod workers;

use crate::clock::Clock;
use crate::connector::ConnectorError;
use crate::connectors::terminal::Terminal;
use crate::deploy::{DeployError, JobMetrics};
use crate::journal::JournalError;
use crate::journal::job::JobError;
use crate::metrics::exposition::CheckpointMetrics;
use crate::store::{Store, StoreError};
use crate::task::{Command, TaskError};
use crate::worker::{WorkerCommand, WorkerEvent};
use checkpoint::Checkpoints;
use pending::Purpose;
use sluice_core::id::Epoch;
use sluice_core::journal::OperationId;
use sluice_core::key_group::KeyGroups;
use sluice_core::plan::Plan;
use sluice_core::savepoint::RestoreSource;
use sources::Sources;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use workers::Workers;

/// What is run, and how.
#[derive(Clone)]
pub struct RunSpec {
    pub plan: Arc<Plan>,
    pub namespace: String,
    pub name: String,
    pub parallelism: usize,
    /// `None`: those of the journal, or the default.
    pub key_groups: Option<KeyGroups>,
    /// Relative paths of connectors.
    pub base_dir: PathBuf,
    pub store: Arc<dyn Store>,
    pub restore: RestoreSource,
    /// Of the store, for a savepoint that lies elsewhere.
    pub state_options: Vec<(String, String)>,
    /// Goes on although state of the checkpoint has no operator any more.
    pub allow_dropped_state: bool,
    /// `None`: only when the run ends.
    pub checkpoint_interval: Option<Duration>,
    pub checkpoint_timeout: Duration,
    pub checkpoints_retained: usize,
    pub delivery: Delivery,
    pub allowed_lateness_ms: i64,
    pub terminal: Arc<dyn Terminal>,
    pub clock: Clock,
}

/// What a crash may do to the output (`SET 'execution.checkpointing.mode'`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Output becomes visible with its epoch.
    ExactlyOnce,
    /// Output becomes visible before its epoch is canonical: rows after the last checkpoint come again.
    AtLeastOnce,
    /// Nothing is read twice: after a restart a source begins at its current end.
    AtMostOnce,
}

/// What may be asked of a live run.
#[derive(Debug)]
pub enum Request {
    /// A last checkpoint, everything committed, then the end.
    Stop { operation: Option<OperationId> },
    /// A checkpoint now; the answer is its epoch, once it is committed.
    Checkpoint { operation: Option<OperationId>, reply: oneshot::Sender<Epoch> },
    /// The end, now, as a crash would: tests.
    Kill,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All input was read and all output is committed.
    Finished {
        epoch: Epoch,
    },
    /// The run before had finished already.
    AlreadyFinished {
        epoch: Epoch,
    },
    Stopped {
        epoch: Epoch,
    },
    Killed,
}

/// What others may watch.
#[derive(Clone, Default)]
pub struct Watch {
    pub job: JobMetrics,
    pub checkpoints: Arc<CheckpointMetrics>,
    /// First plan node of every chain.
    pub chain_nodes: Vec<usize>,
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Start(#[from] start::StartError),
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Connector(#[from] ConnectorError),
    #[error(transparent)]
    Settle(#[from] sinks::SettleError),
    #[error(transparent)]
    Deploy(#[from] DeployError),
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::CheckpointError),
    #[error("{label}: {error}")]
    Task { label: String, error: TaskError },
    #[error("a worker thread ended: {0}")]
    Panicked(String),
}

/// Discovery of new splits while an unbounded source runs.
const DISCOVER_EVERY: Duration = Duration::from_secs(1);

/// Runs a job until it finishes, fails or is asked to stop. `watch` gets the counters once the tasks exist.
///
/// Needs a multi-threaded runtime: worker threads wait for its I/O while the run is being dropped.
pub async fn run(
    mut spec: RunSpec,
    requests: mpsc::Receiver<Request>,
    watch: watch::Sender<Watch>,
) -> Result<Outcome, RunError> {
    if let Some(zone) = spec.plan.settings.get("table.local-time-zone") {
        spec.clock = spec.clock.in_zone(zone);
    }
    let started = match start::start(&spec).await? {
        start::Begin::AlreadyFinished { epoch } => return Ok(Outcome::AlreadyFinished { epoch }),
        start::Begin::Run(started) => *started,
    };
    let (workers, checkpoints, sources) = started.deploy(&spec, &watch)?;
    let run = Live { spec, workers, checkpoints, sources, requests, stop: None, replies: vec![] };
    run.until_ended().await
}

/// A run whose tasks exist.
struct Live {
    spec: RunSpec,
    workers: Workers,
    checkpoints: Checkpoints,
    sources: Sources,
    requests: mpsc::Receiver<Request>,
    /// Asked for, and not begun yet or in progress.
    stop: Option<Purpose>,
    replies: Vec<(Purpose, oneshot::Sender<Epoch>)>,
}

impl Live {
    async fn until_ended(mut self) -> Result<Outcome, RunError> {
        let mut next_discovery = self.spec.clock.elapsed() + DISCOVER_EVERY;
        let mut deaf = false;
        loop {
            self.begin_if_due();
            let wake = self.wake_in();
            tokio::select! {
                biased;
                event = self.workers.event() => if let Some(outcome) = self.handle(event).await? {
                    return Ok(outcome);
                },
                request = self.requests.recv(), if !deaf => match request {
                    Some(Request::Kill) => return Ok(Outcome::Killed),
                    Some(r) => self.ask(r),
                    None => deaf = true,
                },
                () = tokio::time::sleep(wake) => {}
            }
            self.checkpoints.check_timeout(self.spec.checkpoint_timeout, &self.spec.clock)?;
            if self.sources.unbounded() && self.spec.clock.elapsed() >= next_discovery {
                next_discovery = self.spec.clock.elapsed() + DISCOVER_EVERY;
                self.discover()?;
            }
        }
    }

    fn ask(&mut self, request: Request) {
        match request {
            Request::Stop { operation } => self.stop = Some(Purpose { stop: true, operation }),
            Request::Checkpoint { operation, reply } => self.replies.push((Purpose { stop: false, operation }, reply)),
            Request::Kill => {}
        }
    }

    /// Begins a checkpoint if one is asked for or due, and none is in progress.
    fn begin_if_due(&mut self) {
        if self.checkpoints.in_progress() {
            return;
        }
        let purpose = if let Some(stop) = &self.stop {
            stop.clone()
        } else if self.workers.all_ended() {
            Purpose { stop: true, operation: None }
        } else if let Some((p, _)) = self.replies.first() {
            p.clone()
        } else if self.checkpoints.is_due(self.spec.checkpoint_interval, &self.spec.clock) {
            Purpose { stop: false, operation: None }
        } else {
            return;
        };
        let stop = purpose.stop;
        let epoch = self.checkpoints.begin(purpose, self.workers.tasks(), &self.spec.clock);
        self.workers.tell(&WorkerCommand::All(Command::Snapshot { epoch, stop }));
    }

    fn wake_in(&self) -> Duration {
        const LONGEST: Duration = Duration::from_millis(200);
        self.checkpoints.due_in(self.spec.checkpoint_interval, &self.spec.clock).min(LONGEST)
    }

    async fn handle(&mut self, event: WorkerEvent) -> Result<Option<Outcome>, RunError> {
        match event {
            WorkerEvent::Snapshot { snapshot, .. } => {
                if self.checkpoints.answer(*snapshot) {
                    return self.complete().await;
                }
            }
            WorkerEvent::Ended { .. } => self.workers.ended(),
            WorkerEvent::Failed { task, error } => {
                let label = self.workers.label(&self.spec.plan, task);
                return Err(RunError::Task { label, error });
            }
            WorkerEvent::Panicked { message, .. } => return Err(RunError::Panicked(message)),
        }
        Ok(None)
    }

    async fn complete(&mut self) -> Result<Option<Outcome>, RunError> {
        let done = self.checkpoints.complete(&self.spec, &self.workers).await?;
        for (_, reply) in self.replies.extract_if(.., |(p, _)| p.operation == done.purpose.operation) {
            let _ = reply.send(done.epoch); // Nobody waits any more: nothing to do.
        }
        Ok(match (done.purpose.stop, done.finished) {
            (false, _) => None,
            (true, true) => Some(Outcome::Finished { epoch: done.epoch }),
            (true, false) => Some(Outcome::Stopped { epoch: done.epoch }),
        })
    }

    fn discover(&mut self) -> Result<(), RunError> {
        for (node, worker, split) in self.sources.discover(self.spec.parallelism)? {
            let chain = self.workers.chain_of(node);
            self.workers.tell_one(worker, WorkerCommand::Task(chain, Command::Splits(vec![split])));
        }
        Ok(())
    }
}
