//! From a key to its rows: an index over a [`RowSlab`], in memory only.
//!
//! Key bytes → the first and last row of a chain in order of arrival; the links are in the rows. [`RowIndex`] leads from the
//! bytes of a whole row to that row, so that a retraction finds it without walking its chain; [`RowQueues`] does where copies
//! are rows of their own.

use super::row_slab::{RowId, RowSlab, stored_hash};
use hashbrown::HashTable;
use sluice_core::hash::KeyHash;

/// The tables are cut in so many parts that growing one stops a batch for well under a millisecond at ten million rows.
const SHARDS: usize = 256;

/// Low bits choose the shard (the lowest five are no part of a stored hash).
#[inline]
fn shard(hash: u64) -> usize {
    (hash >> 5) as usize % SHARDS
}

/// hashbrown takes its tag from the highest bits and its position from the lowest. The highest bits of a key hash are the
/// key group, nearly constant within a task, and the lowest are the shard: so it gets the halves swapped.
#[inline]
fn spread(hash: u64) -> u64 {
    hash.rotate_left(32)
}

#[derive(Debug)]
struct Chain {
    hash: u64,
    key: Box<[u8]>,
    head: RowId,
    tail: RowId,
}

/// Key → rows in order of arrival.
#[derive(Debug)]
pub struct KeyChains {
    shards: Vec<HashTable<Chain>>,
    key_bytes: usize,
}

impl Default for KeyChains {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| HashTable::new()).collect(), key_bytes: 0 }
    }
}

impl KeyChains {
    /// The first row of the key; the others follow by [`Row::next`](super::row_slab::Row::next).
    #[inline]
    pub fn first(&self, hash: u64, key: &[u8]) -> RowId {
        let hash = stored_hash(hash);
        self.shards[shard(hash)]
            .find(spread(hash), |c| c.hash == hash && *c.key == *key)
            .map_or(RowId::NONE, |c| c.head)
    }

    /// Appends a row to its key. `hash` is any good hash of the key, the same for all calls about it.
    pub fn push(&mut self, rows: &mut RowSlab, hash: u64, key: &[u8], id: RowId) {
        let hash = stored_hash(hash);
        let shard = &mut self.shards[shard(hash)];
        if let Some(chain) = shard.find_mut(spread(hash), |c| c.hash == hash && *c.key == *key) {
            rows.link(chain.tail, id);
            chain.tail = id;
            return;
        }
        self.key_bytes += key.len();
        shard.insert_unique(spread(hash), Chain { hash, key: key.into(), head: id, tail: id }, |c| spread(c.hash));
    }

    /// Takes a row out of its chain; the last one takes the key along.
    pub fn unlink(&mut self, rows: &mut RowSlab, hash: u64, id: RowId) {
        let hash = stored_hash(hash);
        let (prev, next) = (rows.get(id).prev, rows.get(id).next);
        if prev.is_none() || next.is_none() {
            let entry = self.shards[shard(hash)]
                .find_entry(spread(hash), |c| c.hash == hash && (c.head == id || c.tail == id))
                .expect("a row at the end of a chain is known to the chain");
            if prev.is_none() && next.is_none() {
                self.key_bytes -= entry.get().key.len();
                entry.remove();
            } else if prev.is_none() {
                entry.into_mut().head = next;
            } else {
                entry.into_mut().tail = prev;
            }
        }
        rows.unlink(id);
    }

    pub fn bytes(&self) -> usize {
        self.key_bytes + self.shards.iter().map(|s| s.capacity() * (size_of::<Chain>() + 1)).sum::<usize>()
    }
}

/// Bytes of a row → the row. Every row is in it at most once: a duplicate raises the row's count.
#[derive(Debug)]
pub struct RowIndex {
    shards: Vec<HashTable<RowId>>,
}

impl Default for RowIndex {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| HashTable::new()).collect() }
    }
}

/// Bytes of a row → the rows with these bytes, in order of arrival: where every copy has a place of its own.
#[derive(Debug)]
pub struct RowQueues {
    shards: Vec<HashTable<Queue>>,
}

#[derive(Debug)]
struct Queue {
    head: RowId,
    tail: RowId,
}

impl Default for RowQueues {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| HashTable::new()).collect() }
    }
}

impl RowQueues {
    /// The earliest row with these bytes.
    pub fn first(&self, rows: &RowSlab, bytes: &[u8]) -> Option<RowId> {
        let hash = hash_row(bytes);
        self.shards[shard(hash)].find(spread(hash), |q| *rows.get(q.head).bytes == *bytes).map(|q| q.head)
    }

    pub fn push(&mut self, rows: &mut RowSlab, id: RowId) {
        let hash = hash_row(&rows.get(id).bytes);
        let shard = &mut self.shards[shard(hash)];
        if let Some(queue) = shard.find_mut(spread(hash), |q| rows.get(q.head).bytes == rows.get(id).bytes) {
            rows.link(queue.tail, id);
            queue.tail = id;
            return;
        }
        shard.insert_unique(spread(hash), Queue { head: id, tail: id }, |q| spread(hash_row(&rows.get(q.head).bytes)));
    }

    pub fn unlink(&mut self, rows: &mut RowSlab, id: RowId) {
        let (hash, prev, next) = (hash_row(&rows.get(id).bytes), rows.get(id).prev, rows.get(id).next);
        if prev.is_none() || next.is_none() {
            let entry = self.shards[shard(hash)]
                .find_entry(spread(hash), |q| q.head == id || q.tail == id)
                .expect("a row at the end of a queue is known to the queue");
            if prev.is_none() && next.is_none() {
                entry.remove();
            } else if prev.is_none() {
                entry.into_mut().head = next;
            } else {
                entry.into_mut().tail = prev;
            }
        }
        rows.unlink(id);
    }

    pub fn bytes(&self) -> usize {
        self.shards.iter().map(|s| s.capacity() * (size_of::<Queue>() + 1)).sum()
    }
}

/// Of a whole row: another hash than the key's, for rows of one key differ.
fn hash_row(bytes: &[u8]) -> u64 {
    KeyHash::new().bytes(bytes).finish()
}

impl RowIndex {
    pub fn find(&self, rows: &RowSlab, bytes: &[u8]) -> Option<RowId> {
        let hash = hash_row(bytes);
        self.shards[shard(hash)].find(spread(hash), |id| *rows.get(*id).bytes == *bytes).copied()
    }

    pub fn insert(&mut self, rows: &RowSlab, id: RowId) {
        let hash = hash_row(&rows.get(id).bytes);
        self.shards[shard(hash)].insert_unique(spread(hash), id, |id| spread(hash_row(&rows.get(*id).bytes)));
    }

    pub fn remove(&mut self, rows: &RowSlab, id: RowId) {
        let hash = hash_row(&rows.get(id).bytes);
        if let Ok(entry) = self.shards[shard(hash)].find_entry(spread(hash), |x| *x == id) {
            entry.remove();
        }
    }

    pub fn bytes(&self) -> usize {
        self.shards.iter().map(|s| s.capacity() * (size_of::<RowId>() + 1)).sum()
    }
}
