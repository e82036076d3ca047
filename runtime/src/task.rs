//! A task: one instance of a chain of operators, run by one worker thread.
//!
//! - [`chain`]: operators fused back to back, drained depth first, and what ends the chain;
//! - [`head`]: where rows come from: channels of other tasks, or a source;
//! - [`output`]: routing to the channels of downstream tasks.
//!
//! The task owns the order of things: a control element (watermark, barrier, end) passes an operator only when all rows
//! before it have left that operator.

pub mod chain;
pub mod head;
pub mod output;
pub mod source;

use crate::clock::Clock;
use crate::connector::{ConnectorError, Split, Staged};
use crate::operator::{OperatorError, Scope};
use crate::state::StateSink;
use chain::{Chain, Pumped};
use head::{Head, Taken};
use sluice_core::id::Epoch;
use sluice_core::time::EventTime;
use sluice_core::watermark::SplitWatermark;

/// Which task: node index of the first operator of its chain, and the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId {
    pub chain: usize,
    pub index: usize,
}

/// What the coordinator tells a task.
#[derive(Clone, Debug)]
pub enum Command {
    /// Take a snapshot. `stop`: read nothing beyond it.
    Snapshot { epoch: Epoch, stop: bool },
    /// The epoch is canonical.
    Confirmed { epoch: Epoch },
    /// The epoch will not become canonical: the next snapshot must be full.
    Aborted { epoch: Epoch },
    /// Splits that were discovered while running.
    Splits(Vec<Split>),
}

/// What a task has snapshot, beside the state rows that went to the sink of state.
#[derive(Clone, Debug)]
pub struct TaskSnapshot {
    pub task: TaskId,
    pub epoch: Epoch,
    /// All rows are in it, not only what changed.
    pub full: bool,
    /// Per operator node: its input watermark.
    pub watermarks: Vec<(usize, EventTime)>,
    /// Plan node of the source that this task reads, and its splits.
    pub source: Option<usize>,
    pub splits: Vec<(Split, SplitWatermark)>,
    /// Plan node of the sink that this task writes, and what it staged.
    pub sink: Option<usize>,
    pub staged: Option<Staged>,
    /// All inputs had ended.
    pub ended: bool,
}

/// What a step of a task has come to.
#[derive(Clone, Debug)]
pub enum Step {
    /// Something moved; ask again at once.
    Worked,
    /// Nothing to do until input or a timer comes.
    Waiting,
    /// Downstream has no room.
    Blocked,
    /// A snapshot is complete.
    Snapshot(Box<TaskSnapshot>),
    /// Everything has ended and was passed on (once).
    Ended,
}

#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    #[error(transparent)]
    Operator(#[from] OperatorError),
    #[error(transparent)]
    Connector(#[from] ConnectorError),
    #[error(transparent)]
    Align(#[from] sluice_core::align::AlignError),
}

/// Work units of one step: about a millisecond of an ordinary operator, so that the other tasks of the thread and its
/// commands are never far.
const STEP_BATCHES: usize = 8;

/// Rows that a snapshot may copy between two batches: 50–300 µs (measured), cheap enough for every step.
pub const DRAIN_BUDGET: usize = 16 * 1024;

/// Where the frozen rows of each operator go.
pub trait SnapshotSinks {
    /// `full`: the snapshot holds all rows, not only what changed.
    fn of(&mut self, node: usize, epoch: Epoch, full: bool) -> &mut dyn StateSink;
}

pub struct Task {
    pub id: TaskId,
    head: Head,
    chain: Chain,
    clock: Clock,
    snapshot: Option<TaskSnapshot>,
    /// The last snapshot was confirmed, so the next one may be relative to it.
    relative: bool,
    snapshots: u64,
    ended: bool,
    /// Stop was asked for and its snapshot taken: nothing is read any more.
    stopped: bool,
}

impl Task {
    pub fn new(id: TaskId, head: Head, chain: Chain, clock: Clock) -> Self {
        Self { id, head, chain, clock, snapshot: None, relative: false, snapshots: 0, ended: false, stopped: false }
    }

    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    pub fn chain_mut(&mut self) -> &mut Chain {
        &mut self.chain
    }

    /// Whether a step could do something: asked before the thread sleeps.
    pub fn has_input(&self) -> bool {
        !self.stopped && self.head.has_input()
    }

    pub fn next_timer(&self) -> Option<sluice_core::time::ProcTime> {
        self.chain.next_timer()
    }

    pub fn is_source(&self) -> bool {
        matches!(self.head, Head::Source(_))
    }

    pub fn command(&mut self, command: Command) -> Result<(), TaskError> {
        match command {
            Command::Snapshot { epoch, stop } => self.head.asked(epoch, stop),
            Command::Confirmed { epoch } => {
                self.relative = true;
                self.chain.confirmed(epoch);
            }
            Command::Aborted { .. } => self.relative = false,
            Command::Splits(splits) => self.head.add_splits(splits)?,
        }
        Ok(())
    }

    /// Moves on by a bounded amount. `sinks` take frozen state rows.
    pub fn step(&mut self, sinks: &mut dyn SnapshotSinks) -> Result<Step, TaskError> {
        if let Some(done) = self.drain(sinks) {
            return Ok(done);
        }
        let (mut worked, mut blocked) = (false, false);
        let now = self.clock.now();
        for _ in 0..STEP_BATCHES {
            match self.chain.pump(now)? {
                Pumped::Moved => worked = true,
                Pumped::NoRoom => {
                    blocked = true;
                    break;
                }
                Pumped::Ended => {
                    if !std::mem::replace(&mut self.ended, true) {
                        return Ok(Step::Ended);
                    }
                    // A later snapshot may still be asked for.
                    if !self.take(&mut worked)? {
                        break;
                    }
                }
                Pumped::Drained => {
                    if self.stopped || !self.take(&mut worked)? {
                        break;
                    }
                }
            }
        }
        Ok(match (worked, blocked) {
            (true, _) => Step::Worked,
            (false, true) => Step::Blocked,
            (false, false) => Step::Waiting,
        })
    }

    /// Takes one element from the head; false when there is none.
    fn take(&mut self, worked: &mut bool) -> Result<bool, TaskError> {
        // A barrier must not come while the snapshot before is still being drained: the aligner cannot know.
        if self.snapshot.is_some() && self.head.at_barrier() {
            return Ok(false);
        }
        match self.head.take()? {
            Taken::Nothing => return Ok(false),
            Taken::Later => {}
            Taken::Rows(input, batch) => self.chain.push(input, batch)?,
            Taken::Control(c) => self.chain.control(c),
            Taken::Side(port, batch) => self.chain.send_head_side(port, batch),
            Taken::Barrier { epoch, stop } => self.begin_snapshot(epoch, stop)?,
        }
        *worked = true;
        Ok(true)
    }

    fn begin_snapshot(&mut self, epoch: Epoch, stop: bool) -> Result<(), TaskError> {
        let scope = if self.relative { Scope::Delta { rotation: (self.snapshots % 16) as u8 } } else { Scope::Full };
        self.snapshots += 1;
        self.relative = false; // Until it is confirmed.
        let ended = self.head.ended();
        let watermarks = self.chain.watermarks();
        let staged = self.chain.barrier(epoch, scope, ended)?;
        self.stopped |= stop;
        self.snapshot = Some(TaskSnapshot {
            task: self.id,
            epoch,
            full: scope == Scope::Full,
            watermarks,
            source: self.head.node(),
            splits: self.head.splits(),
            sink: self.chain.sink(),
            staged,
            ended,
        });
        Ok(())
    }

    fn drain(&mut self, sinks: &mut dyn SnapshotSinks) -> Option<Step> {
        let (epoch, full) = self.snapshot.as_ref().map(|s| (s.epoch, s.full))?;
        if self.chain.drain(epoch, full, DRAIN_BUDGET, sinks) {
            return self.snapshot.take().map(|s| Step::Snapshot(Box::new(s)));
        }
        None
    }

    /// Whether a snapshot is being drained: the thread goes on even if nothing else moves.
    pub fn draining(&self) -> bool {
        self.snapshot.is_some()
    }
}
