//! Rows gathered into blocks on their way into a snapshot.
//!
//! A restore at another parallelism fetches blocks by their key groups. Rows leave in order of their slots, not of their
//! hashes, so they are dealt into sixteen blocks by hash range: a task then fetches at most a sixteenth of the hash space
//! beyond its own.

use crate::state::{StateBlock, StateSink};
use std::collections::VecDeque;

/// Rows of one block. Long enough for the encoder's per-block costs, short enough to be filled in well under a millisecond.
const BLOCK_ROWS: usize = 8192;
/// The same for long rows.
const BLOCK_BYTES: usize = 1 << 20;
const PARTS: usize = 16;

#[derive(Debug)]
pub(in crate::operators) struct Blocks {
    table: u8,
    /// Being filled, by hash range.
    open: [Option<StateBlock>; PARTS],
    /// Longer than one only while the sink is behind.
    full: VecDeque<StateBlock>,
}

impl Blocks {
    pub(in crate::operators) fn new(table: u8) -> Self {
        Self { table, open: Default::default(), full: VecDeque::new() }
    }

    pub(in crate::operators) fn table(&self) -> u8 {
        self.table
    }

    /// Adds a row; its block comes from the sink, if that is at hand.
    pub(in crate::operators) fn row(
        &mut self,
        (hash, seq): (u64, u64),
        sink: Option<&mut dyn StateSink>,
        value: impl FnOnce(&mut Vec<u8>),
    ) {
        let part = &mut self.open[(hash >> 60) as usize];
        let table = self.table;
        let block = part.get_or_insert_with(|| sink.map_or_else(|| StateBlock::new(table), |s| s.block(table)));
        block.hashes.push(hash);
        block.deleted.push(false);
        block.keys.push(&seq.to_be_bytes());
        block.values.push_with(value);
        if block.len() >= BLOCK_ROWS || block.values.bytes.len() >= BLOCK_BYTES {
            self.full.extend(part.take());
        }
    }

    /// No row follows.
    pub(in crate::operators) fn close(&mut self) {
        self.full.extend(self.open.iter_mut().filter_map(Option::take));
    }

    /// Whether a block waits to be sent: no more is copied until it has gone.
    pub(in crate::operators) fn is_waiting(&self) -> bool {
        !self.full.is_empty()
    }

    /// Hands full blocks over; false when the sink has no room.
    pub(in crate::operators) fn send(&mut self, sink: &mut dyn StateSink) -> bool {
        while let Some(block) = self.full.pop_front() {
            if let Err(block) = sink.try_send(block) {
                self.full.push_front(block);
                return false;
            }
        }
        true
    }

    /// Tombstones, which come before all rows; at most `limit`. False when the sink has no room.
    pub(in crate::operators) fn send_tombstones(
        &self,
        names: &mut Vec<(u64, u64)>,
        limit: usize,
        sink: &mut dyn StateSink,
    ) -> bool {
        let mut block = sink.block(self.table);
        let from = names.len().saturating_sub(BLOCK_ROWS.min(limit));
        for (hash, seq) in &names[from..] {
            block.hashes.push(*hash);
            block.deleted.push(true);
            block.keys.push(&seq.to_be_bytes());
            block.values.push(&[]);
        }
        if sink.try_send(block).is_err() {
            return false;
        }
        names.truncate(from);
        true
    }

    pub(in crate::operators) fn heap_bytes(&self) -> usize {
        self.open.iter().flatten().chain(&self.full).map(StateBlock::heap_bytes).sum()
    }
}
