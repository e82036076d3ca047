//! Keyed state: tables that an operator reads and writes, and snapshots that leave them by row, never stopping it.

mod key;
mod keyed;
mod outbox;
mod prefetch;
pub mod restore;
pub mod segment;
mod slab;
mod slot;
mod slot_table;
mod sub_table;
#[cfg(test)]
mod tests;
mod word_table;
pub mod writer;

use crate::row::{RowBuffer, RowError};
pub use keyed::KeyedTable;
pub use word_table::{WordKey, WordTable};

/// Snapshot rows of one table of one operator, in hand-over portions.
#[derive(Clone, Debug, Default)]
pub struct StateBlock {
    /// Which of the operator's tables.
    pub table: u8,
    /// Key hash per row: gives the key group, and the restore needs no second hashing. The low five bits are zero.
    pub hashes: Vec<u64>,
    /// Whether the row is a tombstone (its value is empty or zero). Within a snapshot tombstones come before rows.
    pub deleted: Vec<bool>,
    pub keys: RowBuffer,
    pub values: RowBuffer,
}

impl StateBlock {
    pub fn new(table: u8) -> Self {
        Self { table, ..Self::default() }
    }

    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Drops the rows, keeps the memory.
    pub fn reset(&mut self, table: u8) {
        self.table = table;
        self.hashes.clear();
        self.deleted.clear();
        self.keys.clear();
        self.values.clear();
    }

    /// Memory of the rows.
    pub fn heap_bytes(&self) -> usize {
        self.hashes.len() * 8 + self.deleted.len() + self.keys.heap_bytes() + self.values.heap_bytes()
    }
}

/// Where frozen rows go; behind it are encoding, checksums and upload on other threads.
pub trait StateSink {
    /// Gives the block back when there is no room now.
    fn try_send(&mut self, block: StateBlock) -> Result<(), StateBlock>;
    /// An empty block, recycled if possible.
    fn block(&mut self, table: u8) -> StateBlock;
}

/// A value of a [`KeyedTable`].
pub trait StateValue: Send + 'static {
    fn encode(&self, out: &mut Vec<u8>);
    fn decode(bytes: &[u8]) -> Result<Self, RowError>
    where
        Self: Sized;
    /// Heap bytes beyond `size_of::<Self>()`.
    fn heap_bytes(&self) -> usize {
        0
    }
}
