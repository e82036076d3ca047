//! The state of windows: one table of groups per pane (a window, or a slice that several windows share), dropped whole when
//! it is not needed any more.
//!
//! In a snapshot the rows of all panes are one table, [`PANES`]; the pane is a prefix of the key, the hash is the key's own,
//! so that key groups hold. A dropped pane needs no tombstone per row: table [`CLOSED`] says, for each key group that had
//! rows in a window that fired, up to which end its windows are closed; a restore drops the panes that no open window
//! needs. It is a statement of its own, not derived from the watermark, because the allowed lateness may change between two
//! runs: a window must neither fire twice nor be lost.

use super::groups::Groups;
use super::keys::Keys;
use crate::aggregate::AggregateSet;
use crate::operator::{Drained, OperatorError, Scope};
use crate::row::RowError;
use crate::state::{KeyedTable, StateBlock, StateSink, StateValue};
use sluice_core::id::Epoch;
use sluice_core::key_group::{KeyGroup, KeyGroups};
use sluice_core::window::TimeWindow;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

pub(super) const PANES: u8 = 0;
pub(super) const CLOSED: u8 = 1;

/// End first: panes are visited in the order in which they end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PaneId {
    pub(super) end: i64,
    pub(super) start: i64,
}

impl From<TimeWindow> for PaneId {
    fn from(w: TimeWindow) -> Self {
        Self { end: w.end, start: w.start }
    }
}

impl PaneId {
    pub(super) fn window(self) -> TimeWindow {
        TimeWindow { start: self.start, end: self.end }
    }

    const BYTES: usize = 16;

    fn words(self) -> [u64; 2] {
        [self.end as u64, self.start as u64]
    }

    fn encode(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.end.to_le_bytes());
        bytes[8..].copy_from_slice(&self.start.to_le_bytes());
        bytes
    }

    /// The pane and the group's key.
    fn split(stored: &[u8]) -> Result<(Self, &[u8]), RowError> {
        let (end, rest) = stored.split_first_chunk::<8>().ok_or(RowError::Damaged("a window's key is cut off"))?;
        let (start, key) = rest.split_first_chunk::<8>().ok_or(RowError::Damaged("a window's key is cut off"))?;
        Ok((Self { end: i64::from_le_bytes(*end), start: i64::from_le_bytes(*start) }, key))
    }
}

/// The rows of a batch by pane, in order of the panes' first rows.
#[derive(Default)]
pub(super) struct RowsByPane {
    lists: Vec<(PaneId, Vec<u32>)>,
    places: BTreeMap<PaneId, usize>,
    last: usize,
}

impl RowsByPane {
    /// The pane of the row before: most rows are in the same.
    #[inline(always)]
    pub(super) fn last(&self) -> Option<PaneId> {
        self.lists.get(self.last).map(|(id, _)| *id)
    }

    #[inline]
    pub(super) fn push(&mut self, id: PaneId, row: u32) {
        if self.last() != Some(id) {
            self.last = *self.places.entry(id).or_insert_with(|| {
                self.lists.push((id, vec![]));
                self.lists.len() - 1
            });
        }
        self.lists[self.last].1.push(row);
    }

    pub(super) fn into_lists(self) -> Vec<(PaneId, Vec<u32>)> {
        self.lists
    }
}

/// Up to which end the windows of a key group are closed.
struct Closed(i64);

impl StateValue for Closed {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let bytes = bytes.try_into().map_err(|_| RowError::Damaged("the end of closed windows is not eight bytes"))?;
        Ok(Self(i64::from_le_bytes(bytes)))
    }
}

/// How far the running snapshot has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Draining {
    /// None runs.
    Done,
    /// The open panes from here on have not left yet.
    From(Bound<PaneId>),
}

/// All panes of an operator.
pub(super) struct Panes {
    key_groups: KeyGroups,
    open: BTreeMap<PaneId, Groups>,
    /// Dropped, but the running snapshot still owes their frozen rows.
    leaving: VecDeque<(PaneId, Groups)>,
    closed: KeyedTable<Closed>,
    draining: Draining,
    /// A block that is ready for a sink that had no room.
    held: Option<StateBlock>,
    spare: Option<StateBlock>,
}

impl Panes {
    pub(super) fn new(key_groups: KeyGroups) -> Self {
        Self {
            key_groups,
            open: BTreeMap::new(),
            leaving: VecDeque::new(),
            closed: KeyedTable::new(CLOSED, key_groups),
            draining: Draining::Done,
            held: None,
            spare: None,
        }
    }

    /// The groups of a pane, which is opened by its first row.
    pub(super) fn entry(&mut self, id: PaneId, keys: &Keys, set: &AggregateSet) -> &mut Groups {
        let key_groups = self.key_groups;
        self.open.entry(id).or_insert_with(|| Groups::new(PANES, &id.words(), keys, set, key_groups))
    }

    pub(super) fn get(&self, id: PaneId) -> Option<&Groups> {
        self.open.get(&id)
    }

    /// By rising end.
    pub(super) fn ids(&self) -> impl Iterator<Item = PaneId> {
        self.open.keys().copied()
    }

    /// Takes a pane out, to be merged into another, and then [put back](Panes::put_back).
    pub(super) fn take(&mut self, id: PaneId) -> Option<Groups> {
        self.open.remove(&id)
    }

    pub(super) fn put_back(&mut self, id: PaneId, groups: Groups) {
        self.open.insert(id, groups);
    }

    pub(super) fn drop_pane(&mut self, id: PaneId) {
        if let Some(groups) = self.take(id)
            && self.draining != Draining::Done
        {
            self.leaving.push_back((id, groups));
        }
    }

    pub(super) fn drop_all(&mut self, ids: Vec<PaneId>) {
        for id in ids {
            self.drop_pane(id);
        }
    }

    /// Records that windows up to `end` are closed for these key groups.
    pub(super) fn close(&mut self, groups: impl IntoIterator<Item = KeyGroup>, end: i64) {
        for group in groups {
            let hash = first_hash(self.key_groups, group);
            if self.closed.get(hash, &[]).is_none_or(|c| c.0 < end) {
                self.closed.entry(hash, &[], || Closed(end)).0 = end;
            }
        }
    }

    pub(super) fn close_rows(&mut self, hashes: impl IntoIterator<Item = u64>, end: i64) {
        let key_groups = self.key_groups;
        self.close(hashes.into_iter().map(|h| key_groups.of(h)), end);
    }

    pub(super) fn barrier(&mut self, epoch: Epoch, scope: Scope) {
        self.draining = Draining::From(Bound::Unbounded);
        self.closed.barrier(epoch, scope);
        self.open.values_mut().for_each(|g| g.barrier(epoch, scope));
    }

    pub(super) fn drain(&mut self, budget: usize, sink: &mut dyn StateSink) -> Drained {
        let Draining::From(from) = self.draining else { return Drained::Complete };
        if let Some(block) = self.held.take()
            && let Err(block) = sink.try_send(block)
        {
            self.held = Some(block);
            return Drained::Pending;
        }
        if self.closed.drain(budget, sink) == Drained::Pending {
            return Drained::Pending;
        }
        let mut handover = Handover { sink, held: &mut self.held, spare: &mut self.spare };
        let mut left = budget;
        while let Some((id, groups)) = self.leaving.front_mut() {
            if left == 0 || handover.drain(*id, groups, &mut left) == Drained::Pending {
                return Drained::Pending;
            }
            self.leaving.pop_front();
        }
        for (id, groups) in self.open.range_mut((from, Bound::Unbounded)) {
            if left == 0 || handover.drain(*id, groups, &mut left) == Drained::Pending {
                return Drained::Pending;
            }
            self.draining = Draining::From(Bound::Excluded(*id));
        }
        self.draining = Draining::Done;
        Drained::Complete
    }

    pub(super) fn restore(&mut self, block: &StateBlock, keys: &Keys, set: &AggregateSet) -> Result<(), OperatorError> {
        match block.table {
            PANES => {
                for row in 0..block.hashes.len() {
                    let (id, key) = PaneId::split(block.keys.row(row))?;
                    self.entry(id, keys, set).restore_row(block, row, key)?;
                }
                Ok(())
            }
            CLOSED => Ok(self.closed.restore(block)?),
            table => Err(OperatorError::UnexpectedState { table }),
        }
    }

    /// After the last block: returns up to which end windows are closed, having dropped the panes that `is_dead` by it.
    pub(super) fn restored(
        &mut self,
        set: &AggregateSet,
        is_dead: impl Fn(PaneId, i64) -> bool,
    ) -> Result<i64, OperatorError> {
        let mut closed = i64::MIN;
        self.closed.for_each(|_, _, c| closed = closed.max(c.0));
        self.open.retain(|id, groups| groups.len() > 0 && !is_dead(*id, closed));
        self.open.values().try_for_each(|groups| groups.check(set))?;
        Ok(closed)
    }

    pub(super) fn rows(&self) -> usize {
        self.open.values().map(Groups::len).sum()
    }

    pub(super) fn bytes(&self) -> usize {
        let left: usize = self.leaving.iter().map(|(_, g)| g.bytes()).sum();
        self.open.values().map(Groups::bytes).sum::<usize>() + left
    }
}

/// The least hash of a key group: the inverse of [`KeyGroups::of`].
fn first_hash(key_groups: KeyGroups, group: KeyGroup) -> u64 {
    ((u64::from(group.0) << 32).div_ceil(u64::from(key_groups.count()))) << 32
}

/// Hands the frozen rows of panes over.
struct Handover<'a> {
    sink: &'a mut dyn StateSink,
    held: &'a mut Option<StateBlock>,
    spare: &'a mut Option<StateBlock>,
}

impl Handover<'_> {
    /// Drains one pane, within what is left of the budget.
    fn drain(&mut self, pane: PaneId, groups: &mut Groups, left: &mut usize) -> Drained {
        let budget = *left;
        *left = left.saturating_sub(groups.len());
        let mut sink = Prefixing { pane, sink: &mut *self.sink, held: &mut *self.held, spare: &mut *self.spare };
        let drained = match groups {
            Groups::Words(_) => groups.drain(budget, sink.sink),
            Groups::Values(_) => groups.drain(budget, &mut sink),
        };
        if self.held.is_some() { Drained::Pending } else { drained }
    }
}

/// Puts the pane before the keys of blocks on their way to a sink. Holds one block back when the sink has no room, because
/// a table that gets its block back must get it as it was.
struct Prefixing<'a> {
    pane: PaneId,
    sink: &'a mut dyn StateSink,
    held: &'a mut Option<StateBlock>,
    spare: &'a mut Option<StateBlock>,
}

impl StateSink for Prefixing<'_> {
    fn try_send(&mut self, mut block: StateBlock) -> Result<(), StateBlock> {
        if let Some(held) = self.held.take()
            && let Err(held) = self.sink.try_send(held)
        {
            *self.held = Some(held);
            return Err(block);
        }
        let prefix = self.pane.encode();
        let mut out = self.sink.block(PANES);
        out.hashes.extend_from_slice(&block.hashes);
        out.deleted.extend_from_slice(&block.deleted);
        for row in 0..block.hashes.len() {
            out.keys.push_with(|bytes| {
                bytes.extend_from_slice(&prefix);
                bytes.extend_from_slice(block.keys.row(row));
            });
        }
        std::mem::swap(&mut out.values, &mut block.values);
        block.reset(PANES);
        *self.spare = Some(block);
        *self.held = self.sink.try_send(out).err();
        Ok(())
    }

    fn block(&mut self, table: u8) -> StateBlock {
        self.spare.take().unwrap_or_else(|| StateBlock::new(table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_hash_of_a_group_is_in_it_and_the_one_before_is_not() {
        for n in [1, 2, 3, 100, 128, 32768] {
            let key_groups = KeyGroups::new(n).unwrap();
            for group in [0, 1, n / 2, n - 1].map(|g| KeyGroup(g.min(n - 1) as u16)) {
                let hash = first_hash(key_groups, group);
                assert_eq!(key_groups.of(hash), group);
                assert!(hash == 0 || key_groups.of(hash - 1).0 + 1 == group.0);
            }
        }
    }

    #[test]
    fn a_pane_is_a_prefix_of_the_key() {
        let id = PaneId { end: -7, start: i64::MIN };
        let mut stored = id.encode().to_vec();
        stored.extend_from_slice(b"key");
        assert_eq!(PaneId::split(&stored).unwrap(), (id, &b"key"[..]));
        assert!(PaneId::split(&stored[..15]).is_err());
    }
}
