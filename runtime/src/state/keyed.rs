//! `KeyedTable`: key bytes → value. A first form, by an ordered map; the tables by slots replace what is inside.

use super::{StateBlock, StateSink, StateValue};
use crate::operator::{Drained, Scope};
use crate::row::RowError;
use sluice_core::id::Epoch;
use sluice_core::key_group::KeyGroups;
use std::collections::{BTreeMap, VecDeque};

/// Key bytes → value, by key hash, with dirty bits by epoch parity and a cooperative drain.
///
/// Keys of equal hash are searched one by one: put into the hash what tells rows apart, not only what routes them.
pub struct KeyedTable<V> {
    table: u8,
    rows: BTreeMap<u64, Vec<Row<V>>>,
    len: usize,
    heap: usize,
    parity: usize,
    deleted: Vec<(u64, Box<[u8]>)>,
    frozen_deleted: Vec<(u64, Box<[u8]>)>,
    drain: Option<Running>,
    saved: VecDeque<StateBlock>,
}

struct Row<V> {
    key: Box<[u8]>,
    value: V,
    dirty: [bool; 2],
    /// Not (any more) part of the rows that this drain owes because all are wanted.
    saved: bool,
    /// An earlier snapshot may hold it: its removal needs a tombstone.
    persisted: bool,
}

struct Running {
    scope: Scope,
    /// Hashes below this are done.
    at: u64,
}

/// The low bits of a hash are not kept.
const HASH_MASK: u64 = !31;
const BLOCK_ROWS: usize = 4096;

fn wanted(scope: Scope, hash: u64) -> bool {
    match scope {
        Scope::Full => true,
        Scope::Delta { rotation } => hash >> 52 & 15 == u64::from(rotation),
    }
}

impl<V: StateValue> Row<V> {
    fn owed(&self, scope: Scope, hash: u64, parity: usize) -> bool {
        self.dirty[1 - parity] || wanted(scope, hash) && !self.saved
    }

    fn put(&mut self, hash: u64, parity: usize, block: &mut StateBlock) {
        block.hashes.push(hash);
        block.deleted.push(false);
        block.keys.push(&self.key);
        block.values.push_with(|out| self.value.encode(out));
        self.dirty[1 - parity] = false;
        self.persisted = true;
    }
}

impl<V: StateValue> KeyedTable<V> {
    pub fn new(table: u8, _key_groups: KeyGroups) -> Self {
        Self {
            table,
            rows: BTreeMap::new(),
            len: 0,
            heap: 0,
            parity: 0,
            deleted: Vec::new(),
            frozen_deleted: Vec::new(),
            drain: None,
            saved: VecDeque::new(),
        }
    }

    pub fn get(&self, hash: u64, key: &[u8]) -> Option<&V> {
        self.rows.get(&(hash & HASH_MASK))?.iter().find(|r| *r.key == *key).map(|r| &r.value)
    }

    /// For writing; marks the row dirty and, while a drain runs, copies its frozen value out first.
    pub fn get_mut(&mut self, hash: u64, key: &[u8]) -> Option<&mut V> {
        let hash = hash & HASH_MASK;
        let i = self.rows.get(&hash)?.iter().position(|r| *r.key == *key)?;
        Some(self.touch(hash, i))
    }

    /// As `get_mut`, inserting first where there is none.
    pub fn entry(&mut self, hash: u64, key: &[u8], new: impl FnOnce() -> V) -> &mut V {
        let hash = hash & HASH_MASK;
        if let Some(i) = self.rows.get(&hash).and_then(|b| b.iter().position(|r| *r.key == *key)) {
            return self.touch(hash, i);
        }
        let bucket = self.rows.entry(hash).or_default();
        let mut dirty = [false; 2];
        dirty[self.parity] = true;
        let saved = self.drain.as_ref().is_some_and(|d| hash >= d.at);
        self.len += 1;
        self.heap += key.len();
        bucket.push(Row { key: key.into(), value: new(), dirty, saved, persisted: false });
        &mut bucket.last_mut().expect("just pushed").value
    }

    pub fn remove(&mut self, hash: u64, key: &[u8]) -> Option<V> {
        let hash = hash & HASH_MASK;
        let i = self.rows.get(&hash)?.iter().position(|r| *r.key == *key)?;
        self.touch(hash, i);
        let bucket = self.rows.get_mut(&hash)?;
        let row = bucket.swap_remove(i);
        if bucket.is_empty() {
            self.rows.remove(&hash);
        }
        self.len -= 1;
        self.heap -= row.key.len();
        if row.persisted {
            self.deleted.push((hash, row.key));
        }
        Some(row.value)
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Memory of the table without the heap of its values.
    pub fn bytes(&self) -> usize {
        self.heap + self.len * (size_of::<Row<V>>() + 8)
    }

    /// Every row, in hash order: rebuilding timers after a restore.
    pub fn for_each(&self, mut f: impl FnMut(u64, &[u8], &V)) {
        for (h, bucket) in &self.rows {
            bucket.iter().for_each(|r| f(*h, &r.key, &r.value));
        }
    }

    /// Visits up to about `budget` rows from `cursor` on, round and round: TTL sweeps. Returns the next cursor; 0 at the end.
    pub fn scan(&self, cursor: u64, budget: usize, mut f: impl FnMut(u64, &[u8], &V)) -> u64 {
        let mut left = budget;
        for (h, bucket) in self.rows.range(cursor..) {
            if left == 0 {
                return *h;
            }
            bucket.iter().for_each(|r| f(*h, &r.key, &r.value));
            left = left.saturating_sub(bucket.len());
        }
        0
    }

    pub fn barrier(&mut self, _epoch: Epoch, scope: Scope) {
        debug_assert!(self.drain.is_none(), "a barrier comes after the drain before is complete");
        self.parity = 1 - self.parity;
        self.frozen_deleted = std::mem::take(&mut self.deleted);
        if scope == Scope::Full {
            self.frozen_deleted.clear();
        }
        self.drain = Some(Running { scope, at: 0 });
    }

    pub fn drain(&mut self, budget: usize, sink: &mut dyn StateSink) -> Drained {
        if self.drain.is_none() {
            return Drained::Complete;
        }
        while !self.frozen_deleted.is_empty() {
            let mut block = sink.block(self.table);
            let from = self.frozen_deleted.len().saturating_sub(BLOCK_ROWS);
            for (hash, key) in &self.frozen_deleted[from..] {
                block.hashes.push(*hash);
                block.deleted.push(true);
                block.keys.push(key);
                block.values.push(&[]);
            }
            if sink.try_send(block).is_err() {
                return Drained::Pending;
            }
            self.frozen_deleted.truncate(from);
        }
        while let Some(block) = self.saved.pop_front() {
            if let Err(block) = sink.try_send(block) {
                self.saved.push_front(block);
                return Drained::Pending;
            }
        }
        let Some(d) = &mut self.drain else { return Drained::Complete };
        let mut block = sink.block(self.table);
        let mut next = None;
        let mut seen = 0;
        for (hash, bucket) in self.rows.range_mut(d.at..) {
            if seen >= budget {
                next = Some(*hash);
                break;
            }
            for row in bucket {
                seen += 1;
                if row.owed(d.scope, *hash, self.parity) {
                    row.put(*hash, self.parity, &mut block);
                }
                row.saved = false;
            }
        }
        d.at = next.unwrap_or(u64::MAX);
        if next.is_none() {
            self.drain = None;
        }
        if !block.is_empty()
            && let Err(block) = sink.try_send(block)
        {
            self.saved.push_back(block);
            // The rows are out of the table; only the hand-over is still owed.
            self.drain.get_or_insert(Running { scope: Scope::Delta { rotation: 16 }, at: u64::MAX });
        }
        if self.drain.is_some() { Drained::Pending } else { Drained::Complete }
    }

    pub fn restore(&mut self, block: &StateBlock) -> Result<(), RowError> {
        for (i, hash) in block.hashes.iter().enumerate() {
            let (hash, key) = (hash & HASH_MASK, block.keys.row(i));
            if block.deleted[i] {
                if let Some(bucket) = self.rows.get_mut(&hash)
                    && let Some(at) = bucket.iter().position(|r| *r.key == *key)
                {
                    bucket.swap_remove(at);
                    self.len -= 1;
                    self.heap -= key.len();
                    if bucket.is_empty() {
                        self.rows.remove(&hash);
                    }
                }
                continue;
            }
            let value = V::decode(block.values.row(i))?;
            let bucket = self.rows.entry(hash).or_default();
            let row = Row { key: key.into(), value, dirty: [false; 2], saved: false, persisted: true };
            if let Some(at) = bucket.iter().position(|r| *r.key == *key) {
                bucket[at] = row;
            } else {
                bucket.push(row);
                self.len += 1;
                self.heap += key.len();
            }
        }
        Ok(())
    }

    /// Copies the row out if a running drain still owes it, then marks it dirty.
    fn touch(&mut self, hash: u64, i: usize) -> &mut V {
        let row = &mut self.rows.get_mut(&hash).expect("the caller found the bucket")[i];
        if let Some(d) = &self.drain
            && hash >= d.at
            && row.owed(d.scope, hash, self.parity)
        {
            if self.saved.back().is_none_or(|b| b.len() >= BLOCK_ROWS) {
                self.saved.push_back(StateBlock::new(self.table));
            }
            row.put(hash, self.parity, self.saved.back_mut().expect("just pushed"));
            row.saved = true;
        }
        row.dirty[self.parity] = true;
        &mut row.value
    }
}
