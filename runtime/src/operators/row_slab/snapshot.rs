//! How the rows of a slab leave it: what is in a snapshot, in portions, while rows go on changing.
//!
//! The rows of generation g are those of the time before the g-th barrier. A drain of g walks the tombstones, the list of rows
//! that changed in g, and the slots of the hash range that is written in full. A row that changed after the barrier has a
//! higher stamp and is passed over: its frozen content was saved when it was touched.

use super::blocks::Blocks;
use super::{PAGE, Row, RowId, RowSlab};
use crate::operator::{Drained, Scope};
use crate::row::RowError;
use crate::state::StateSink;
use sluice_core::id::Epoch;

#[derive(Debug)]
pub(super) struct Snapshots {
    generation: u32,
    /// Slots that changed in this generation, each once.
    changed: Vec<u32>,
    /// Rows of earlier generations that were removed in this one: (hash, arrival number).
    removed: Vec<(u64, u64)>,
    frozen: Option<Frozen>,
    blocks: Blocks,
}

/// A snapshot that is on its way out.
#[derive(Debug)]
struct Frozen {
    generation: u32,
    scope: Scope,
    changed: Vec<u32>,
    removed: Vec<(u64, u64)>,
    /// Slots before this were seen by the walk over the range that is written in full.
    walked: u32,
    slots: u32,
}

impl Frozen {
    /// Whether the walk over all slots writes rows of this hash (then the list of changes passes over them).
    fn walks(&self, hash: u64) -> bool {
        match self.scope {
            Scope::Full => true,
            Scope::Delta { rotation } => hash >> 60 == u64::from(rotation),
        }
    }

    /// Whether the row, unchanged since the barrier, still has to be written.
    fn awaits(&self, slot: u32, row: &Row) -> bool {
        row.is_live()
            && row.stamp <= self.generation
            && if self.walks(row.hash) { slot >= self.walked } else { row.stamp == self.generation }
    }
}

impl Snapshots {
    pub(super) fn new(table: u8) -> Self {
        Self { generation: 0, changed: vec![], removed: vec![], frozen: None, blocks: Blocks::new(table) }
    }

    pub(super) fn table(&self) -> u8 {
        self.blocks.table()
    }

    pub(super) fn generation(&self) -> u32 {
        self.generation
    }

    pub(super) fn bytes(&self) -> usize {
        self.changed.capacity() * 4 + self.removed.capacity() * 16 + self.blocks.heap_bytes()
    }

    pub(super) fn changed(&mut self, slot: u32) {
        self.changed.push(slot);
    }

    pub(super) fn forget_changes(&mut self) {
        self.changed = vec![];
        self.removed = vec![];
        self.generation += 1;
    }

    pub(super) fn removed(&mut self, hash: u64, seq: u64, born: u32) {
        if born < self.generation {
            self.removed.push((hash, seq));
        }
    }

    /// Copies a frozen row out that is about to change.
    pub(super) fn save(&mut self, slot: u32, row: &Row) {
        if let Some(frozen) = &self.frozen
            && frozen.awaits(slot, row)
        {
            self.write(row, None);
        }
    }

    fn write(&mut self, row: &Row, sink: Option<&mut dyn StateSink>) {
        self.blocks.row((row.hash, row.seq), sink, |out| encode(row, out));
    }
}

impl RowSlab {
    /// Freezes the rows as they are; O(1).
    pub fn barrier(&mut self, _epoch: Epoch, scope: Scope) {
        let s = &mut self.snapshots;
        debug_assert!(s.frozen.is_none(), "a barrier comes after the drain before is complete");
        let mut removed = std::mem::take(&mut s.removed);
        if scope == Scope::Full {
            // Nothing older is read together with a full snapshot.
            removed.clear();
        }
        s.frozen = Some(Frozen {
            generation: s.generation,
            scope,
            changed: std::mem::take(&mut s.changed),
            removed,
            walked: 0,
            slots: self.slots,
        });
        s.generation += 1;
    }

    /// Hands over up to about `budget` frozen rows; see [`Operator::drain`](crate::operator::Operator::drain).
    pub fn drain(&mut self, budget: usize, sink: &mut dyn StateSink) -> Drained {
        let mut left = budget.max(1);
        if !self.send_tombstones(&mut left, sink) {
            return Drained::Pending;
        }
        loop {
            if !self.snapshots.blocks.send(sink) || left == 0 {
                return Drained::Pending;
            }
            let Some(mut frozen) = self.snapshots.frozen.take() else { return Drained::Complete };
            let done = self.copy_some(&mut frozen, &mut left, sink);
            if !done {
                self.snapshots.frozen = Some(frozen);
                continue;
            }
            // The last blocks go out, full or not; until they have gone, the snapshot is not complete.
            self.snapshots.blocks.close();
        }
    }

    /// Tombstones go first; false while some are left.
    fn send_tombstones(&mut self, left: &mut usize, sink: &mut dyn StateSink) -> bool {
        let Snapshots { frozen: Some(frozen), blocks, .. } = &mut self.snapshots else { return true };
        while *left > 0 && !frozen.removed.is_empty() {
            let before = frozen.removed.len();
            if !blocks.send_tombstones(&mut frozen.removed, *left, sink) {
                return false;
            }
            *left -= before - frozen.removed.len();
        }
        frozen.removed.is_empty()
    }

    /// Copies rows until a block is full, the budget is spent, or nothing is left (then true).
    fn copy_some(&mut self, frozen: &mut Frozen, left: &mut usize, sink: &mut dyn StateSink) -> bool {
        while *left > 0 && !self.snapshots.blocks.is_waiting() {
            if let Some(slot) = frozen.changed.pop() {
                let row = &self.pages[slot as usize / PAGE][slot as usize % PAGE];
                if row.is_live() && row.stamp == frozen.generation && !frozen.walks(row.hash) {
                    self.snapshots.write(row, Some(&mut *sink));
                }
                *left -= 1;
            } else if frozen.walked < frozen.slots {
                let row = self.pages[frozen.walked as usize / PAGE]
                    .get(frozen.walked as usize % PAGE)
                    .filter(|r| frozen.walks(r.hash) && frozen.awaits(frozen.walked, r));
                if let Some(row) = row {
                    self.snapshots.write(row, Some(&mut *sink));
                    *left -= 1;
                }
                frozen.walked += 1;
                // Looking at a row costs a fraction of copying it, but not nothing.
                if frozen.walked.is_multiple_of(8) {
                    *left = left.saturating_sub(1);
                }
            } else {
                return true;
            }
        }
        false
    }
}

const HAS_COUNT: u8 = 1;
const HAS_MATCHES: u8 = 2;
const HAS_TIME: u8 = 4;

/// A byte that says which counters follow (little-endian), those, the row.
fn encode(row: &Row, out: &mut Vec<u8>) {
    let has = |yes: bool, flag: u8| if yes { flag } else { 0 };
    out.push(has(row.count != 1, HAS_COUNT) | has(row.matches != 0, HAS_MATCHES) | has(row.time != 0, HAS_TIME));
    if row.count != 1 {
        out.extend_from_slice(&row.count.to_le_bytes());
    }
    if row.matches != 0 {
        out.extend_from_slice(&row.matches.to_le_bytes());
    }
    if row.time != 0 {
        out.extend_from_slice(&row.time.to_le_bytes());
    }
    out.extend_from_slice(&row.bytes);
}

/// A row without counters, as [`encode`] would write it.
pub(in crate::operators) fn put_plain(row: &[u8], out: &mut Vec<u8>) {
    out.push(0);
    out.extend_from_slice(row);
}

pub(super) fn decode(hash: u64, seq: u64, bytes: &[u8]) -> Result<Row, RowError> {
    const SHORT: RowError = RowError::Damaged("stored row is too short");
    let (&flags, mut rest) = bytes.split_first().ok_or(SHORT)?;
    let mut take = |n: usize| -> Result<[u8; 8], RowError> {
        let (head, tail) = rest.split_at_checked(n).ok_or(SHORT)?;
        rest = tail;
        let mut word = [0; 8];
        word[..n].copy_from_slice(head);
        Ok(word)
    };
    let count = if flags & HAS_COUNT == 0 { 1 } else { u64::from_le_bytes(take(4)?) as u32 };
    let matches = if flags & HAS_MATCHES == 0 { 0 } else { u64::from_le_bytes(take(4)?) as u32 };
    let time = if flags & HAS_TIME == 0 { 0 } else { i64::from_le_bytes(take(8)?) };
    if count == 0 || flags > (HAS_COUNT | HAS_MATCHES | HAS_TIME) {
        return Err(RowError::Damaged("stored row has impossible counters"));
    }
    Ok(Row {
        hash,
        seq,
        bytes: rest.into(),
        count,
        matches,
        time,
        next: RowId::NONE,
        prev: RowId::NONE,
        born: 0,
        stamp: 0,
    })
}
