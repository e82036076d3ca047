//! A worker thread: runs one instance of every chain, downstream first, and sleeps when none can move.

use crate::channel::Parker;
use crate::clock::Clock;
use crate::mailbox::Mailbox;
use crate::metrics::TaskMetrics;
use crate::task::{Command, SnapshotSinks, Step, Task, TaskError, TaskId, TaskSnapshot};
use sluice_core::time::ProcTime;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// What the coordinator says to a worker.
#[derive(Clone, Debug)]
pub enum WorkerCommand {
    /// To every task of the worker.
    All(Command),
    /// To one chain's task.
    Task(usize, Command),
    /// Leave now; what is not committed is dropped.
    Exit,
}

/// What a worker says to the coordinator.
#[derive(Debug)]
pub enum WorkerEvent {
    Snapshot { worker: usize, snapshot: Box<TaskSnapshot> },
    Ended { task: TaskId },
    Failed { task: TaskId, error: TaskError },
    Panicked { worker: usize, message: String },
}

/// Longest sleep: a safety net for timers and readers that have to be polled; wake-ups are explicit.
const SLEEP: Duration = Duration::from_millis(2);

/// Gauges are copied about so often.
const PUBLISH_EVERY_MS: i64 = 200;

pub struct Worker {
    pub index: usize,
    /// In topological order of their chains.
    pub tasks: Vec<(Task, Arc<TaskMetrics>)>,
    pub commands: Arc<Mailbox<WorkerCommand>>,
    pub events: mpsc::Sender<WorkerEvent>,
    pub parker: Arc<Parker>,
    pub sinks: Box<dyn SnapshotSinks + Send>,
    pub clock: Clock,
}

impl Worker {
    /// Runs until `Exit` or the first failure.
    pub fn run(mut self) {
        self.parker.adopt();
        let mut next_publish = ProcTime(0);
        loop {
            if !self.obey() {
                return;
            }
            let Ok(worked) = self.round() else { return };
            let now = self.clock.now();
            if now >= next_publish {
                next_publish = ProcTime(now.0 + PUBLISH_EVERY_MS);
                for (t, _) in &self.tasks {
                    t.chain().publish_stats();
                }
            }
            if !worked {
                let (tasks, commands) = (&self.tasks, &self.commands);
                self.parker.sleep(SLEEP, || !commands.is_empty() || tasks.iter().any(|(t, _)| t.has_input()));
            }
        }
    }

    /// False when told to leave.
    fn obey(&mut self) -> bool {
        while let Some(c) = self.commands.take() {
            let (only, command) = match c {
                WorkerCommand::Exit => return false,
                WorkerCommand::All(c) => (None, c),
                WorkerCommand::Task(chain, c) => (Some(chain), c),
            };
            for (t, _) in self.tasks.iter_mut().filter(|(t, _)| only.is_none_or(|o| t.id.chain == o)) {
                if let Err(error) = t.command(command.clone()) {
                    let event = WorkerEvent::Failed { task: t.id, error };
                    let _ = self.events.blocking_send(event);
                    return false;
                }
            }
        }
        true
    }

    /// One step of every task; whether any moved.
    fn round(&mut self) -> Result<bool, ()> {
        let mut worked = false;
        // Downstream first: queues empty before sources fill them.
        for (task, metrics) in self.tasks.iter_mut().rev() {
            let before = self.clock.elapsed();
            let step = task.step(&mut *self.sinks);
            let spent = self.clock.elapsed().saturating_sub(before);
            metrics.took(spent, before, matches!(step, Ok(Step::Blocked)), matches!(step, Ok(Step::Waiting)));
            let event = match step {
                Ok(Step::Worked) => {
                    worked = true;
                    continue;
                }
                Ok(Step::Waiting | Step::Blocked) => {
                    worked |= task.draining();
                    continue;
                }
                Ok(Step::Snapshot(snapshot)) => WorkerEvent::Snapshot { worker: self.index, snapshot },
                Ok(Step::Ended) => WorkerEvent::Ended { task: task.id },
                Err(error) => WorkerEvent::Failed { task: task.id, error },
            };
            worked = true;
            let failed = matches!(event, WorkerEvent::Failed { .. });
            // The coordinator is gone only when the run is over: then there is nobody to tell.
            if self.events.blocking_send(event).is_err() || failed {
                return Err(());
            }
        }
        Ok(worked)
    }
}
