//! The worker threads of a run: started, told, heard, and always joined.

use crate::channel::Parker;
use crate::deploy::WorkerTasks;
use crate::graph::ChainPlan;
use crate::mailbox::Mailbox;
use crate::task::{SnapshotSinks, TaskId};
use crate::worker::{Worker, WorkerCommand, WorkerEvent};
use sluice_core::plan::Plan;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::mpsc;

/// Events that wait for the coordinator: a few per task and checkpoint. A worker that finds it full waits, which is right:
/// the coordinator is behind.
const EVENTS: usize = 1024;

/// Work that a thread does before its tasks run: restoring their state.
pub type Prepare =
    Box<dyn FnOnce(&mut [(crate::task::Task, Arc<crate::metrics::TaskMetrics>)]) -> Result<(), String> + Send>;

pub struct Workers {
    threads: Vec<JoinHandle<()>>,
    mailboxes: Vec<Arc<Mailbox<WorkerCommand>>>,
    events: mpsc::Receiver<WorkerEvent>,
    chains: Vec<ChainPlan>,
    ended: usize,
}

impl Workers {
    /// Starts a thread per worker.
    pub fn start(
        workers: Vec<WorkerTasks>,
        chains: Vec<ChainPlan>,
        clock: &crate::clock::Clock,
        mut sinks: impl FnMut(usize) -> Box<dyn SnapshotSinks + Send>,
        mut prepare: impl FnMut(usize) -> Prepare,
    ) -> std::io::Result<Self> {
        let (tx, events) = mpsc::channel(EVENTS);
        let (mut threads, mut mailboxes) = (vec![], vec![]);
        for (index, w) in workers.into_iter().enumerate() {
            let parker: Arc<Parker> = w.parker;
            let commands = Arc::new(Mailbox::new(&parker));
            mailboxes.push(Arc::clone(&commands));
            let (sinks, prepare) = (sinks(index), prepare(index));
            let (events, clock) = (tx.clone(), clock.clone());
            let mut tasks = w.tasks;
            let body = move || {
                let failed = events.clone();
                let run = AssertUnwindSafe(move || match prepare(&mut tasks) {
                    Ok(()) => {
                        Worker { index, tasks, commands, events, parker, sinks, clock }.run();
                        None
                    }
                    Err(message) => Some(message),
                });
                let message = match std::panic::catch_unwind(run) {
                    Ok(None) => return,
                    Ok(Some(message)) => message,
                    Err(panic) => format!("it panicked: {}", panic_text(&*panic)),
                };
                let _ = failed.blocking_send(WorkerEvent::Panicked { worker: index, message });
            };
            threads.push(std::thread::Builder::new().name(format!("sluice-worker-{index}")).spawn(body)?);
        }
        Ok(Self { threads, mailboxes, events, chains, ended: 0 })
    }

    /// Never ends: a run whose threads are all gone has said why before.
    pub async fn event(&mut self) -> WorkerEvent {
        match self.events.recv().await {
            Some(e) => e,
            None => std::future::pending().await,
        }
    }

    pub fn tell(&self, command: &WorkerCommand) {
        for m in &self.mailboxes {
            m.put(command.clone());
        }
    }

    pub fn tell_one(&self, worker: usize, command: WorkerCommand) {
        self.mailboxes[worker].put(command);
    }

    pub fn tasks(&self) -> impl Iterator<Item = TaskId> + use<> {
        let (chains, workers) = (self.chains.len(), self.mailboxes.len());
        (0..chains).flat_map(move |chain| (0..workers).map(move |index| TaskId { chain, index }))
    }

    pub fn ended(&mut self) {
        self.ended += 1;
    }

    pub fn all_ended(&self) -> bool {
        self.ended == self.chains.len() * self.mailboxes.len()
    }

    pub fn chain_of(&self, node: usize) -> usize {
        self.chains.iter().position(|c| c.nodes.contains(&node)).expect("every node is in a chain")
    }

    /// For messages: what the task does.
    pub fn label(&self, plan: &Plan, task: TaskId) -> String {
        let labels: Vec<_> = self.chains[task.chain].nodes.iter().map(|n| plan.nodes[*n].label.as_str()).collect();
        labels.join(" → ")
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.events.close();
        self.tell(&WorkerCommand::Exit);
        for t in self.threads.drain(..) {
            let _ = t.join(); // A panic was reported as an event.
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
        .unwrap_or_else(|| "no message".to_owned())
}
