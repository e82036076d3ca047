//! `KeyedTable`: key bytes → a value of any shape, which lives in a slab; the slot holds its handle.

use super::key::Key;
use super::outbox::Outbox;
use super::prefetch::prefetch;
use super::slab::Slab;
use super::slot_table::{Place, SlotTable};
use super::{StateBlock, StateSink, StateValue};
use crate::operator::{Drained, Scope};
use crate::row::RowError;
use sluice_core::id::Epoch;
use sluice_core::key_group::KeyGroups;
use std::collections::VecDeque;

/// Key bytes → value, by key hash, with dirty bits by epoch parity and a cooperative drain.
///
/// Keys of equal hash are searched one by one: put into the hash what tells rows apart, not only what routes them. The low
/// five bits of a hash are not kept.
#[derive(Debug)]
pub struct KeyedTable<V> {
    slots: SlotTable,
    rows: Slab<Row<V>>,
    out: Outbox,
    key_heap: usize,
}

#[derive(Debug)]
struct Row<V> {
    key: Key,
    value: V,
}

/// Gives a frozen row to the outbox.
fn emit<V: StateValue>(rows: &Slab<Row<V>>, out: &mut Outbox, hash: u64, words: &[u64]) {
    let row = rows.get(words[0]);
    out.row(hash, |b| b.extend_from_slice(row.key.bytes()), |b| row.value.encode(b));
}

impl<V: StateValue> KeyedTable<V> {
    pub fn new(table: u8, _key_groups: KeyGroups) -> Self {
        Self { slots: SlotTable::new(1), rows: Slab::new(), out: Outbox::new(table, (0, 0)), key_heap: 0 }
    }

    #[inline]
    fn find(&self, hash: u64, key: &[u8]) -> Option<Place> {
        self.slots.find(hash, |w| self.rows.get(w[0]).key.bytes() == key)
    }

    /// Asks for the memory of these rows, some rows before they are needed.
    pub fn prefetch(&self, hash: u64) {
        self.slots.prefetch(hash);
    }

    pub fn get(&self, hash: u64, key: &[u8]) -> Option<&V> {
        let at = self.find(hash, key)?;
        Some(&self.rows.get(self.slots.words(at)[0]).value)
    }

    /// For writing; marks the row dirty and, while a drain runs, copies its frozen value out first.
    pub fn get_mut(&mut self, hash: u64, key: &[u8]) -> Option<&mut V> {
        let at = self.find(hash, key)?;
        let (rows, out) = (&self.rows, &mut self.out);
        self.slots.touch(at, &mut |h, w| emit(rows, out, h, w));
        let handle = self.slots.words(at)[0];
        Some(&mut self.rows.get_mut(handle).value)
    }

    /// As `get_mut`, inserting first where there is none.
    pub fn entry(&mut self, hash: u64, key: &[u8], new: impl FnOnce() -> V) -> &mut V {
        let (rows, out) = (&self.rows, &mut self.out);
        let same = |w: &[u64]| rows.get(w[0]).key.bytes() == key;
        let (at, fresh) = self.slots.upsert(hash, same, &mut |h, w| emit(rows, out, h, w));
        if fresh {
            let key = Key::new(key);
            self.key_heap += key.heap_bytes();
            self.slots.words_mut(at)[0] = u64::from(self.rows.insert(Row { key, value: new() }));
        }
        let handle = self.slots.words(at)[0];
        &mut self.rows.get_mut(handle).value
    }

    pub fn remove(&mut self, hash: u64, key: &[u8]) -> Option<V> {
        let at = self.find(hash, key)?;
        let handle = self.slots.words(at)[0];
        let (rows, out) = (&self.rows, &mut self.out);
        let persisted = self.slots.remove(at, &mut |h, w| emit(rows, out, h, w));
        let row = self.rows.remove(handle);
        self.key_heap -= row.key.heap_bytes();
        if persisted {
            self.out.tombstone(hash & super::slot::HASH_MASK, |b| b.extend_from_slice(row.key.bytes()));
        }
        Some(row.value)
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory in use; what the values hold on the heap is estimated from a sample.
    pub fn bytes(&self) -> usize {
        let (n, heap) = self.rows.sample().fold((0, 0), |(n, h), r| (n + 1, h + r.value.heap_bytes()));
        let values = (heap * self.len()).checked_div(n).unwrap_or(0);
        self.slots.bytes() + self.rows.bytes() + self.key_heap + values + self.out.bytes()
    }

    /// Every row, in hash order: rebuilding timers after a restore.
    pub fn for_each(&self, mut f: impl FnMut(u64, &[u8], &V)) {
        self.slots.for_each(|hash, words| {
            let row = self.rows.get(words[0]);
            f(hash, row.key.bytes(), &row.value);
        });
    }

    /// Visits up to about `budget` rows from `cursor` on, round and round: TTL sweeps. Returns the next cursor; 0 at the end.
    pub fn scan(&self, cursor: u64, budget: usize, mut f: impl FnMut(u64, &[u8], &V)) -> u64 {
        self.slots.scan(cursor, budget, |hash, words| {
            let row = self.rows.get(words[0]);
            f(hash, row.key.bytes(), &row.value);
        })
    }

    pub fn barrier(&mut self, _epoch: Epoch, scope: Scope) {
        self.slots.barrier(scope);
        self.out.barrier(scope);
    }

    pub fn drain(&mut self, budget: usize, sink: &mut dyn StateSink) -> Drained {
        let rows = &self.rows;
        self.out.drain(&mut self.slots, budget, sink, |out, hash, words| emit(rows, out, hash, words))
    }

    /// What the running snapshot still owes, at once: for a table that is dropped while it drains.
    pub fn finish_drain(&mut self) -> VecDeque<StateBlock> {
        let rows = &self.rows;
        self.out.finish(&mut self.slots, |out, hash, words| emit(rows, out, hash, words))
    }

    pub fn restore(&mut self, block: &StateBlock) -> Result<(), RowError> {
        for i in 0..block.len() {
            let (hash, key) = (block.hashes[i], block.keys.row(i));
            if block.deleted[i] {
                self.forget(hash, key);
            } else {
                self.restore_row(hash, key, V::decode(block.values.row(i))?);
            }
        }
        Ok(())
    }

    /// One row of a snapshot.
    pub fn restore_row(&mut self, hash: u64, key: &[u8], value: V) {
        let rows = &self.rows;
        let (at, fresh) = self.slots.restore(hash, |w| rows.get(w[0]).key.bytes() == key);
        if fresh {
            let key = Key::new(key);
            self.key_heap += key.heap_bytes();
            self.slots.words_mut(at)[0] = u64::from(self.rows.insert(Row { key, value }));
        } else {
            let handle = self.slots.words(at)[0];
            self.rows.get_mut(handle).value = value;
        }
    }

    /// A tombstone of a snapshot.
    fn forget(&mut self, hash: u64, key: &[u8]) {
        if let Some(at) = self.find(hash, key) {
            let row = self.rows.remove(self.slots.words(at)[0]);
            self.key_heap -= row.key.heap_bytes();
            self.slots.forget(at);
        }
    }

    /// Rows some places ahead of the one in work, for [`KeyedTable::prefetch`].
    pub const AHEAD: usize = super::prefetch::AHEAD;

    /// Asks for the row itself, once its slot has come.
    pub fn prefetch_row(&self, hash: u64, key: &[u8]) {
        if let Some(at) = self.find(hash, key) {
            prefetch(self.rows.get(self.slots.words(at)[0]));
        }
    }
}
