//! Rows of state kept one by one: the memory of joins and of Top-N.
//!
//! A [`RowSlab`] owns rows (bytes of a [`RowCodec`](crate::row::RowCodec) and three counters) in pages, gives them ids that
//! stay valid until the row is removed, and writes them into snapshots by row. It knows no keys: a
//! [`KeyChains`](super::key_chains::KeyChains) or an operator's own index leads to the rows, and is rebuilt after a restore.
//!
//! A keyed table with a list of rows per key would not do: one change to a key with a million rows would write a million
//! rows into the next snapshot, and copy them out in one piece if the key is touched while it is frozen.
//!
//! **Identity.** A row's name in a snapshot is (hash of its key, arrival number). Arrival numbers of rows with one hash are
//! unique for ever, also through a change of parallelism: such rows live in one task at a time, and a restored task counts on
//! from the highest number it was given. They also keep the order of arrival within a key.
//!
//! **Snapshots** are those of the state design: a generation number per row instead of two dirty bits. The barrier takes the
//! list of changed rows away and is done; a frozen row that is about to change is copied out first.

mod blocks;
mod snapshot;

use crate::row::RowError;
use crate::state::StateBlock;
pub(super) use blocks::Blocks;
use hashbrown::HashMap;
use snapshot::Snapshots;
pub(super) use snapshot::put_plain;

/// A row of one slab, valid until the row is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(u32);

impl RowId {
    /// No row: the end of a chain.
    pub const NONE: Self = Self(u32::MAX);

    pub fn is_none(self) -> bool {
        self == Self::NONE
    }
}

/// One row with what its operator counts about it.
#[derive(Debug)]
pub struct Row {
    pub hash: u64,
    /// Arrival number, unique among the rows of one hash.
    pub seq: u64,
    pub bytes: Box<[u8]>,
    /// Copies of the row; 0 marks a free slot.
    pub count: u32,
    /// Rows of the other input that match; meaning and use are the operator's.
    pub matches: u32,
    /// The operator's time of the row in ms (event time or last change); 0 if it has none.
    pub time: i64,
    /// Links for [`KeyChains`](super::key_chains::KeyChains); not part of snapshots.
    pub(super) next: RowId,
    pub(super) prev: RowId,
    /// Generation of the insertion: a row that no snapshot has seen needs no tombstone.
    born: u32,
    /// Generation of the last change.
    stamp: u32,
}

impl Row {
    /// The row after this one in its chain.
    #[inline]
    pub fn next(&self) -> RowId {
        self.next
    }

    fn is_live(&self) -> bool {
        self.count > 0
    }
}

/// The part of a key hash that state keeps (see [`StateBlock::hashes`]).
#[inline]
pub fn stored_hash(hash: u64) -> u64 {
    hash & !31
}

/// 1024 rows of 80 bytes: growing never copies rows, and a new page costs some microseconds.
const PAGE: usize = 1024;

/// See the module.
#[derive(Debug)]
pub struct RowSlab {
    pages: Vec<Vec<Row>>,
    /// Slots handed out so far, free ones included.
    slots: u32,
    free: Vec<u32>,
    live: usize,
    payload: usize,
    next_seq: u64,
    snapshots: Snapshots,
    /// While restoring: which row has which name.
    restoring: HashMap<(u64, u64), RowId>,
}

impl RowSlab {
    /// `table` is the number of this slab in the operator's snapshots.
    pub fn new(table: u8) -> Self {
        Self {
            pages: vec![],
            slots: 0,
            free: vec![],
            live: 0,
            payload: 0,
            next_seq: 1,
            snapshots: Snapshots::new(table),
            restoring: HashMap::new(),
        }
    }

    pub fn table(&self) -> u8 {
        self.snapshots.table()
    }

    pub fn len(&self) -> usize {
        self.live
    }

    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.pages.len() * PAGE * size_of::<Row>() + self.payload + self.snapshots.bytes()
    }

    #[inline]
    pub fn get(&self, id: RowId) -> &Row {
        &self.pages[id.0 as usize / PAGE][id.0 as usize % PAGE]
    }

    /// The row, if the id still means the row with this number.
    pub fn find(&self, id: RowId, seq: u64) -> Option<&Row> {
        Some(self.get(id)).filter(|row| row.is_live() && row.seq == seq)
    }

    #[inline]
    fn slot(&mut self, id: RowId) -> &mut Row {
        &mut self.pages[id.0 as usize / PAGE][id.0 as usize % PAGE]
    }

    /// A new row, the last to arrive; `count` is 1.
    pub fn insert(&mut self, hash: u64, bytes: Box<[u8]>, matches: u32, time: i64) -> RowId {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.place(Row {
            hash: stored_hash(hash),
            seq,
            bytes,
            count: 1,
            matches,
            time,
            next: RowId::NONE,
            prev: RowId::NONE,
            born: self.snapshots.generation(),
            stamp: 0,
        })
    }

    fn place(&mut self, mut row: Row) -> RowId {
        self.live += 1;
        self.payload += row.bytes.len();
        let generation = self.snapshots.generation();
        row.stamp = generation;
        if let Some(slot) = self.free.pop() {
            let id = RowId(slot);
            // A slot that was freed in this generation is on the list already.
            let listed = self.get(id).stamp == generation;
            *self.slot(id) = row;
            if !listed {
                self.snapshots.changed(slot);
            }
            return id;
        }
        let slot = self.slots;
        self.slots += 1;
        if slot as usize / PAGE == self.pages.len() {
            self.pages.push(Vec::with_capacity(PAGE));
        }
        self.pages[slot as usize / PAGE].push(row);
        self.snapshots.changed(slot);
        RowId(slot)
    }

    /// For changing `count`, `matches` or `time`: the row will be in the next snapshot.
    pub fn update(&mut self, id: RowId) -> &mut Row {
        self.touch(id);
        self.slot(id)
    }

    /// Takes the row out of the slab and, at the next snapshot, out of the stored state. It must be in no chain any more.
    pub fn remove(&mut self, id: RowId) {
        self.touch(id);
        let row = self.slot(id);
        let (hash, seq, born, len) = (row.hash, row.seq, row.born, row.bytes.len());
        row.count = 0;
        row.bytes = Box::default();
        self.live -= 1;
        self.payload -= len;
        self.free.push(id.0);
        self.snapshots.removed(hash, seq, born);
    }

    /// Before a change: saves the frozen content and puts the row on the list of the running generation.
    fn touch(&mut self, id: RowId) {
        let generation = self.snapshots.generation();
        let row = &mut self.pages[id.0 as usize / PAGE][id.0 as usize % PAGE];
        if row.stamp == generation {
            return;
        }
        self.snapshots.save(id.0, row);
        row.stamp = generation;
        self.snapshots.changed(id.0);
    }

    /// Makes `next` follow `prev` in a chain. Links are not state: the row is not changed by this.
    pub(super) fn link(&mut self, prev: RowId, next: RowId) {
        self.slot(prev).next = next;
        self.slot(next).prev = prev;
    }

    /// Takes the row out of its chain.
    pub(super) fn unlink(&mut self, id: RowId) {
        let (prev, next) = (self.get(id).prev, self.get(id).next);
        if !prev.is_none() {
            self.slot(prev).next = next;
        }
        if !next.is_none() {
            self.slot(next).prev = prev;
        }
        let row = self.slot(id);
        (row.prev, row.next) = (RowId::NONE, RowId::NONE);
    }

    /// Every row, in no useful order.
    pub fn ids(&self) -> impl Iterator<Item = RowId> + '_ {
        (0..self.slots).map(RowId).filter(|id| self.get(*id).is_live())
    }

    /// Takes rows of an earlier snapshot; a later block overwrites rows of an earlier one.
    pub fn restore(&mut self, block: &StateBlock) -> Result<(), RowError> {
        for i in 0..block.hashes.len() {
            let key = <[u8; 8]>::try_from(block.keys.row(i)).map_err(|_| RowError::Damaged("row number"))?;
            let name = (stored_hash(block.hashes[i]), u64::from_be_bytes(key));
            if let Some(old) = self.restoring.remove(&name) {
                self.discard(old);
            }
            self.next_seq = self.next_seq.max(name.1 + 1);
            if block.deleted[i] {
                continue;
            }
            let row = snapshot::decode(name.0, name.1, block.values.row(i))?;
            let id = self.place(row);
            self.restoring.insert(name, id);
        }
        Ok(())
    }

    /// A restored row that a later block replaced: without a tombstone, for what replaced it has its name.
    fn discard(&mut self, id: RowId) {
        let row = self.slot(id);
        let len = row.bytes.len();
        row.count = 0;
        row.bytes = Box::default();
        self.live -= 1;
        self.payload -= len;
        self.free.push(id.0);
    }

    /// Ends the restore: all rows in the order of their arrival (within a key), for rebuilding what leads to them.
    pub fn restored(&mut self) -> Vec<RowId> {
        self.restoring = HashMap::new();
        // What was restored is in the snapshot it came from; it is not a change.
        self.snapshots.forget_changes();
        let mut ids: Vec<RowId> = self.ids().collect();
        ids.sort_unstable_by_key(|id| (self.get(*id).seq, self.get(*id).hash));
        ids
    }
}

#[cfg(test)]
mod tests;
