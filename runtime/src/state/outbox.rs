//! Frozen rows on their way out of a table: into blocks, in order, never waiting.
//!
//! Within a snapshot the tombstones go first, so that a key that was removed and came back is there after a replay.

use super::slot_table::SlotTable;
use super::{StateBlock, StateSink};
use crate::operator::{Drained, Scope};
use crate::row::RowBuffer;
use std::collections::VecDeque;

/// Rows of a block: enough that a hand-over costs nothing per row, few enough that a block stays in the cache (a third of a
/// megabyte at 40 bytes).
const BLOCK_ROWS: usize = 8192;
/// A block of large rows is handed over at this size.
const BLOCK_BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Outbox {
    table: u8,
    /// Bytes of a key and of a value where all have the same, else 0.
    widths: (u32, u32),
    /// Removed in the running epoch.
    tombstones: Vec<StateBlock>,
    /// Complete blocks of the frozen epoch.
    ready: VecDeque<StateBlock>,
    /// The block that takes the next frozen row in its turn: rows in hash order, so its key groups are few.
    rows: StateBlock,
    /// The block that takes rows copied out before their turn, of any key group.
    early: StateBlock,
    /// Rows that come now come in their turn.
    in_turn: bool,
    /// Recycled memory for `rows`.
    spare: Option<StateBlock>,
}

fn is_full(b: &StateBlock) -> bool {
    b.len() >= BLOCK_ROWS || b.keys.bytes.len() + b.values.bytes.len() >= BLOCK_BYTES
}

impl Outbox {
    pub(super) fn new(table: u8, widths: (u32, u32)) -> Self {
        Self {
            table,
            widths,
            tombstones: Vec::new(),
            ready: VecDeque::new(),
            rows: StateBlock::new(table),
            early: StateBlock::new(table),
            in_turn: false,
            spare: None,
        }
    }

    /// A row that a snapshot may hold is gone.
    pub(super) fn tombstone(&mut self, hash: u64, key: impl FnOnce(&mut Vec<u8>)) {
        if self.tombstones.last().is_none_or(is_full) {
            self.tombstones.push(StateBlock::new(self.table));
        }
        let block = self.tombstones.last_mut().expect("just pushed");
        let (_, value_width) = self.widths;
        append(block, self.widths, hash, true, key, |out| out.resize(out.len() + value_width as usize, 0));
    }

    /// A frozen row.
    #[inline]
    pub(super) fn row(&mut self, hash: u64, key: impl FnOnce(&mut Vec<u8>), value: impl FnOnce(&mut Vec<u8>)) {
        let in_turn = self.in_turn;
        let block = if in_turn { &mut self.rows } else { &mut self.early };
        append(block, self.widths, hash, false, key, value);
        if is_full(block) {
            self.close(in_turn);
        }
    }

    #[cold]
    fn close(&mut self, in_turn: bool) {
        let block = if in_turn { &mut self.rows } else { &mut self.early };
        if !block.is_empty() {
            let mut next = self.spare.take().unwrap_or_else(|| StateBlock::new(self.table));
            if is_full(block) {
                // More of the same size is likely: growing by doubling would cost as much as the copying itself.
                next.hashes.reserve(block.hashes.len());
                next.deleted.reserve(block.deleted.len());
                next.keys.reserve(&block.keys);
                next.values.reserve(&block.values);
            }
            self.ready.push_back(std::mem::replace(block, next));
        }
    }

    pub(super) fn barrier(&mut self, scope: Scope) {
        debug_assert!(
            self.ready.is_empty() && self.rows.is_empty() && self.early.is_empty(),
            "the snapshot before has left"
        );
        let tombstones = std::mem::take(&mut self.tombstones);
        // A full snapshot starts a chain: there is nothing to remove from.
        if scope != Scope::Full {
            self.ready.extend(tombstones);
        }
    }

    /// Hands over what is ready; false when the sink has no room.
    fn send(&mut self, sink: &mut dyn StateSink) -> bool {
        while let Some(block) = self.ready.pop_front() {
            if let Err(block) = sink.try_send(block) {
                self.ready.push_front(block);
                return false;
            }
        }
        true
    }

    /// Drains about `budget` rows' worth of sub-tables; `emit` gives a row to [`Outbox::row`].
    pub(super) fn drain(
        &mut self,
        slots: &mut SlotTable,
        budget: usize,
        sink: &mut dyn StateSink,
        emit: impl Fn(&mut Self, u64, &[u64]),
    ) -> Drained {
        let mut left = budget.max(1);
        while self.send(sink) {
            if left == 0 {
                return Drained::Pending;
            }
            if self.spare.is_none() && slots.is_draining() {
                self.spare = Some(sink.block(self.table));
            }
            self.in_turn = true;
            let work = slots.drain_next(&mut |hash, words| emit(self, hash, words));
            self.in_turn = false;
            match work {
                Some(work) => left = left.saturating_sub(work),
                None if self.rows.is_empty() && self.early.is_empty() => {
                    // Most tables are small and drained now and then: they keep no block of their own.
                    self.spare = None;
                    return Drained::Complete;
                }
                None => {
                    self.close(true);
                    self.close(false);
                }
            }
        }
        Drained::Pending
    }

    /// Drains all that is left into blocks: the table is about to go, its frozen rows must not.
    pub(super) fn finish(
        &mut self,
        slots: &mut SlotTable,
        emit: impl Fn(&mut Self, u64, &[u64]),
    ) -> VecDeque<StateBlock> {
        while slots.drain_next(&mut |hash, words| emit(self, hash, words)).is_some() {}
        self.close(true);
        self.close(false);
        std::mem::take(&mut self.ready)
    }

    pub(super) fn bytes(&self) -> usize {
        self.tombstones.iter().chain(&self.ready).chain([&self.rows, &self.early]).map(StateBlock::heap_bytes).sum()
    }
}

#[inline]
fn append(
    block: &mut StateBlock,
    widths: (u32, u32),
    hash: u64,
    deleted: bool,
    key: impl FnOnce(&mut Vec<u8>),
    value: impl FnOnce(&mut Vec<u8>),
) {
    if block.hashes.is_empty() {
        start(&mut block.keys, widths.0);
        start(&mut block.values, widths.1);
    }
    block.hashes.push(hash);
    block.deleted.push(deleted);
    block.keys.push_with(key);
    block.values.push_with(value);
}

fn start(rows: &mut RowBuffer, width: u32) {
    rows.clear();
    rows.width = width;
}
