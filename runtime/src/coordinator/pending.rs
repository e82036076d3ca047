//! One checkpoint in progress: who has still to answer. Pure.

use crate::task::{TaskId, TaskSnapshot};
use sluice_core::id::Epoch;
use sluice_core::journal::OperationId;
use std::collections::BTreeSet;
use std::time::Duration;

/// What a checkpoint is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purpose {
    /// Nothing is read beyond it, and the run ends with it.
    pub stop: bool,
    pub operation: Option<OperationId>,
}

#[derive(Debug)]
pub struct Pending {
    pub epoch: Epoch,
    pub purpose: Purpose,
    /// By the clock's `elapsed`.
    pub started: Duration,
    waiting: BTreeSet<TaskId>,
    snapshots: Vec<TaskSnapshot>,
}

impl Pending {
    pub fn new(epoch: Epoch, purpose: Purpose, started: Duration, tasks: impl Iterator<Item = TaskId>) -> Self {
        Self { epoch, purpose, started, waiting: tasks.collect(), snapshots: vec![] }
    }

    /// Takes a task's snapshot; late answers of other epochs are ignored. True when all have answered.
    pub fn answer(&mut self, snapshot: TaskSnapshot) -> bool {
        if snapshot.epoch == self.epoch && self.waiting.remove(&snapshot.task) {
            self.snapshots.push(snapshot);
        }
        self.waiting.is_empty()
    }

    pub fn is_overdue(&self, now: Duration, timeout: Duration) -> bool {
        now.saturating_sub(self.started) > timeout
    }

    /// Tasks that have not answered: for the message.
    pub fn waiting(&self) -> impl Iterator<Item = &TaskId> {
        self.waiting.iter()
    }

    /// In the order of the tasks, whoever answered first.
    pub fn into_snapshots(self) -> Vec<TaskSnapshot> {
        let mut s = self.snapshots;
        s.sort_by_key(|s| s.task);
        s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(chain: usize, epoch: u64) -> TaskSnapshot {
        TaskSnapshot {
            task: TaskId { chain, index: 0 },
            epoch: Epoch(epoch),
            full: true,
            watermarks: vec![],
            source: None,
            splits: vec![],
            sink: None,
            staged: None,
            ended: false,
        }
    }

    #[test]
    fn complete_when_every_task_has_answered_once() {
        let tasks = (0..2).map(|chain| TaskId { chain, index: 0 });
        let purpose = Purpose { stop: false, operation: None };
        let mut p = Pending::new(Epoch(7), purpose, Duration::ZERO, tasks);
        assert!(!p.answer(snapshot(0, 6)), "an answer of an aborted epoch");
        assert!(!p.answer(snapshot(1, 7)));
        assert!(!p.answer(snapshot(1, 7)), "twice");
        assert!(p.answer(snapshot(0, 7)));
        assert_eq!(p.into_snapshots().iter().map(|s| s.task.chain).collect::<Vec<_>>(), [0, 1]);
    }
}
