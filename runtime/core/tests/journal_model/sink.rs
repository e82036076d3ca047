//! A sink with transactions: per transactional id the owner is the last who initialised it; per slot a progress record is
//! written with the rows. Settling follows the production decision [`sluice_core::journal::settle::decide`].

use super::check::Broken;
use super::world::{Config, Content, Made, Mutation, World};
use sluice_core::id::Epoch;
use sluice_core::journal::settle::{self, SlotStep};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sink {
    /// Per transactional id.
    pub owner: Vec<Option<usize>>,
    /// In order of opening.
    pub log: Vec<Transaction>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transaction {
    pub slot: usize,
    pub made: Made,
    pub id: usize,
    pub state: TransactionState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransactionState {
    Open,
    Committed,
    Aborted,
}

/// How far a writer has come with one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SlotState {
    Todo,
    Fenced,
    Behind,
    Open,
    Done,
}

/// What a settling step does to the writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    Slots(Vec<SlotState>),
    Fenced,
    /// The progress is not what it must be.
    Halted,
}

impl World {
    /// The transactional id that writes slot `slot` when `writer` settles.
    fn id(config: &Config, slot: usize, writer: usize) -> usize {
        match config.mutation {
            Some(Mutation::OwnLayout | Mutation::OwnLayoutLastStable) => slot % config.parallelism[writer],
            _ => slot,
        }
    }

    /// Whether the next step of `slot` can be made now.
    pub fn can_settle(&self, config: &Config, writer: usize, slots: &[SlotState], slot: usize) -> bool {
        let to_the_end = !matches!(config.mutation, Some(Mutation::LastStable | Mutation::OwnLayoutLastStable));
        match slots[slot] {
            SlotState::Done => false,
            SlotState::Todo | SlotState::Open => true,
            // All are fenced first, then the progress is read to the end, which waits for open transactions.
            SlotState::Fenced => {
                let fenced = !slots.contains(&SlotState::Todo);
                let open = self.sink.log.iter().any(|t| t.state == TransactionState::Open);
                config.is(Mutation::NoProgress) || !to_the_end || fenced && !open
            }
            SlotState::Behind => {
                let id = Self::id(config, slot, writer);
                let busy = |t: &Transaction| t.id == id && t.state == TransactionState::Open;
                self.sink.owner[id] != Some(writer) || !self.sink.log.iter().any(busy)
            }
        }
    }

    /// One step of settling `made` (as `content` says) in `slot`.
    pub fn settle(
        &mut self,
        config: &Config,
        writer: usize,
        (made, content): (Made, &Content),
        mut slots: Vec<SlotState>,
        slot: usize,
    ) -> Settled {
        let id = Self::id(config, slot, writer);
        let fenced = self.sink.owner[id] != Some(writer) && !config.is(Mutation::SinkNotFenced);
        slots[slot] = match slots[slot] {
            SlotState::Todo => {
                self.sink.owner[id] = Some(writer);
                for t in self.sink.log.iter_mut().filter(|t| t.id == id && t.state == TransactionState::Open) {
                    t.state = TransactionState::Aborted;
                }
                // What I had open under this id is gone, too.
                for (other, state) in slots.iter_mut().enumerate() {
                    if *state == SlotState::Open && Self::id(config, other, writer) == id {
                        *state = SlotState::Fenced;
                    }
                }
                SlotState::Fenced
            }
            SlotState::Fenced => match self.progress(config, made.epoch, content, slot) {
                SlotStep::Done => SlotState::Done,
                SlotStep::Write => SlotState::Behind,
                SlotStep::Lost { .. } => return Settled::Halted,
            },
            SlotState::Behind if fenced => return Settled::Fenced,
            SlotState::Behind => {
                self.sink.log.push(Transaction { slot, made, id, state: TransactionState::Open });
                SlotState::Open
            }
            SlotState::Open if fenced => return Settled::Fenced,
            SlotState::Open => {
                self.publish(made, slot);
                let mine =
                    |t: &&mut Transaction| (t.slot, t.made, t.id, t.state) == (slot, made, id, TransactionState::Open);
                if let Some(t) = self.sink.log.iter_mut().rev().find(mine) {
                    t.state = TransactionState::Committed;
                }
                SlotState::Done
            }
            SlotState::Done => SlotState::Done,
        };
        Settled::Slots(slots)
    }

    /// A sink of files: each is published under its own name unless it is there.
    pub fn settle_plainly(&mut self, made: Made, content: &Content) {
        for slot in 0..content.slots {
            let there = self.sink.log.iter().any(|t| (t.slot, t.made) == (slot, made));
            if !there {
                self.publish(made, slot);
                self.sink.log.push(Transaction { slot, made, id: 0, state: TransactionState::Committed });
            }
        }
    }

    pub fn is_out(&self, made: Made, slot: usize) -> bool {
        self.sink.log.iter().any(|t| (t.slot, t.made, t.state) == (slot, made, TransactionState::Committed))
    }

    fn progress(&self, config: &Config, epoch: u64, content: &Content, slot: usize) -> SlotStep {
        let prev = content.prev.get(slot).copied().flatten().map(Epoch);
        if config.is(Mutation::NoProgress) {
            return SlotStep::Write;
        }
        let to_the_end = !matches!(config.mutation, Some(Mutation::LastStable | Mutation::OwnLayoutLastStable));
        let seen = self.sink.log.iter().take_while(|t| to_the_end || t.state != TransactionState::Open);
        let committed = seen.filter(|t| t.slot == slot && t.state == TransactionState::Committed);
        settle::decide(committed.map(|t| Epoch(t.made.epoch)).max(), Epoch(epoch), prev)
    }

    /// Rows become visible: the one place where output can be repeated.
    fn publish(&mut self, made: Made, slot: usize) {
        let again = self
            .sink
            .log
            .iter()
            .any(|t| t.slot == slot && t.made.epoch == made.epoch && t.state == TransactionState::Committed);
        let canonical = self.canonical.get(&made.epoch).is_some_and(|c| c.0 == made);
        let held =
            self.tail().is_some_and(|t| t.summary().unsettled.iter().any(|u| u.held && Made::of(&u.manifest) == made));
        if again {
            self.broken = Some(Broken::S1Repeated(made.epoch, slot));
        } else if !canonical {
            self.broken = Some(Broken::S1NotCanonical(made.epoch));
        } else if held || self.dropped.contains(&made.epoch) {
            self.broken = Some(Broken::HeldLeaked(made.epoch));
        }
    }
}
