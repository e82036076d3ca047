//! Keyed state: tables that an operator reads and writes, and snapshots that leave them by row, never stopping it.
//!
//! Placeholder signatures; see the state design.

use crate::operator::{Drained, Scope};
use crate::row::RowError;
use sluice_core::id::Epoch;
use sluice_core::key_group::KeyGroups;

/// Snapshot rows of one table of one operator, in hand-over portions.
#[derive(Clone, Debug, Default)]
pub struct StateBlock {
    /// Which of the operator's tables.
    pub table: u8,
    /// Finished key hash per row: gives the key group, and the restore needs no second hashing.
    pub hashes: Vec<u64>,
    /// Whether the row is a tombstone (its value is empty).
    pub deleted: Vec<bool>,
    pub keys: crate::row::RowBuffer,
    pub values: crate::row::RowBuffer,
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

/// Key bytes → value, by key hash, with dirty bits by epoch parity and a cooperative drain.
pub struct KeyedTable<V> {
    _values: std::marker::PhantomData<V>,
}

impl<V: StateValue> KeyedTable<V> {
    pub fn new(_table: u8, _key_groups: KeyGroups) -> Self {
        unreachable!("written next")
    }
    pub fn get(&self, _hash: u64, _key: &[u8]) -> Option<&V> {
        unreachable!("written next")
    }
    /// For writing; marks the row dirty and, while a drain runs, copies its frozen value out first.
    pub fn get_mut(&mut self, _hash: u64, _key: &[u8]) -> Option<&mut V> {
        unreachable!("written next")
    }
    /// As `get_mut`, inserting first where there is none.
    pub fn entry(&mut self, _hash: u64, _key: &[u8], _new: impl FnOnce() -> V) -> &mut V {
        unreachable!("written next")
    }
    pub fn remove(&mut self, _hash: u64, _key: &[u8]) -> Option<V> {
        unreachable!("written next")
    }
    pub fn len(&self) -> usize {
        unreachable!("written next")
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    pub fn bytes(&self) -> usize {
        unreachable!("written next")
    }
    /// Every row, in hash order: rebuilding timers after a restore.
    pub fn for_each(&self, _f: impl FnMut(u64, &[u8], &V)) {
        unreachable!("written next")
    }
    /// Visits up to about `budget` rows from `cursor` on, round and round: TTL sweeps. Returns the next cursor.
    pub fn scan(&self, _cursor: u64, _budget: usize, _f: impl FnMut(u64, &[u8], &V)) -> u64 {
        unreachable!("written next")
    }
    pub fn barrier(&mut self, _epoch: Epoch, _scope: Scope) {
        unreachable!("written next")
    }
    pub fn drain(&mut self, _budget: usize, _sink: &mut dyn StateSink) -> Drained {
        unreachable!("written next")
    }
    pub fn restore(&mut self, _block: &StateBlock) -> Result<(), RowError> {
        unreachable!("written next")
    }
}
