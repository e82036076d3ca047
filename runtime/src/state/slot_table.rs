//! A table of slots: an extendible directory from hash prefix to sub-table, and the cooperative drain over them.
//!
//! What a row's words mean is the face's matter ([`super::KeyedTable`], [`super::WordTable`]); this module finds, marks, moves and
//! drains them. A sub-table is drained in one go, so none is ever half drained: one that grows, splits or shrinks before its
//! turn keeps its place in the drain, because the rows' headers move with them.

use super::prefetch::prefetch;
use super::slot::{self, HASH_MASK, Parity};
use super::sub_table::{Probe, SubTable};
use crate::operator::Scope;

/// Prefix bits that the directory tells apart, at most (4 MiB); beyond, sub-tables just grow.
const DEPTH_MAX: u32 = 20;

#[derive(Debug)]
pub(super) struct SlotTable {
    stride: usize,
    /// By the first `depth` bits of the hash.
    directory: Vec<u32>,
    depth: u32,
    subs: Vec<SubTable>,
    len: usize,
    bytes: usize,
    parity: Parity,
    /// Counts barriers.
    number: u32,
    /// Of the drain that runs.
    scope: Option<Scope>,
    /// Sub-tables that end before this hash are done; `None`: all are.
    next: Option<u64>,
}

/// Where a row is, until the next insertion or removal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    sub: usize,
    slot: usize,
}

impl SlotTable {
    /// Slots of a header and `words` words.
    pub(super) fn new(words: usize) -> Self {
        Self {
            stride: words + 1,
            directory: vec![0],
            depth: 0,
            subs: vec![SubTable::new(0, 0, 0)],
            len: 0,
            bytes: 0,
            parity: Parity::default(),
            number: 0,
            scope: None,
            next: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.subs.capacity() * size_of::<SubTable>() + self.directory.capacity() * 4
    }

    #[inline(always)]
    fn sub_of(&self, hash: u64) -> usize {
        // In two steps, because a shift by 64 is none.
        self.directory[((hash >> 1) >> (63 - self.depth)) as usize] as usize
    }

    #[inline(always)]
    pub(super) fn prefetch(&self, hash: u64) {
        if let Some(w) = self.subs[self.sub_of(hash)].home_word(self.stride, hash) {
            prefetch(w);
        }
    }

    #[inline(always)]
    pub(super) fn find(&self, hash: u64, eq: impl Fn(&[u64]) -> bool) -> Option<Place> {
        let sub = self.sub_of(hash);
        match self.subs[sub].find(self.stride, hash, eq) {
            Probe::Found(slot) => Some(Place { sub, slot }),
            Probe::Vacant(_) => None,
        }
    }

    /// The row's words.
    #[inline(always)]
    pub(super) fn words(&self, at: Place) -> &[u64] {
        &self.subs[at.sub].slot(self.stride, at.slot)[1..]
    }

    /// The row's words for writing, after [`SlotTable::touch`] or [`SlotTable::upsert`].
    #[inline(always)]
    pub(super) fn words_mut(&mut self, at: Place) -> &mut [u64] {
        self.subs[at.sub].words_mut(self.stride, at.slot)
    }

    /// Before a row changes: copies it out if the running drain still owes it, then marks it dirty.
    #[inline(always)]
    pub(super) fn touch(&mut self, at: Place, emit: &mut impl FnMut(u64, &[u64])) {
        if let Some(scope) = self.scope
            && self.subs[at.sub].drained != self.number
        {
            self.save(at, scope, emit);
        }
        self.subs[at.sub].dirty(self.stride, at.slot, self.parity);
    }

    #[cold]
    #[inline(never)]
    fn save(&mut self, at: Place, scope: Scope, emit: &mut impl FnMut(u64, &[u64])) {
        let sub = &mut self.subs[at.sub];
        let row = sub.slot(self.stride, at.slot);
        let (owed, next) = slot::saved_early(row[0], scope, self.parity);
        if owed {
            emit(slot::hash_of(row[0]), &row[1..]);
        }
        sub.set_meta(self.stride, at.slot, next);
    }

    /// The row of this hash for which `eq` holds, touched; or a new one (true), whose words are zero.
    #[inline(always)]
    pub(super) fn upsert(
        &mut self,
        hash: u64,
        eq: impl Fn(&[u64]) -> bool,
        emit: &mut impl FnMut(u64, &[u64]),
    ) -> (Place, bool) {
        let sub = self.sub_of(hash);
        match self.subs[sub].find(self.stride, hash, eq) {
            Probe::Found(slot) => {
                let at = Place { sub, slot };
                self.touch(at, emit);
                (at, false)
            }
            Probe::Vacant(slot) if !self.subs[sub].is_full() => (self.occupy(Place { sub, slot }, hash), true),
            Probe::Vacant(_) => (self.insert_with_growth(hash), true),
        }
    }

    #[inline(always)]
    fn occupy(&mut self, at: Place, hash: u64) -> Place {
        let sub = &mut self.subs[at.sub];
        let late = self.scope.is_some_and(|s| sub.drained != self.number && slot::wanted(s, hash));
        sub.occupy(self.stride, at.slot, slot::inserted(hash, self.parity, late));
        self.len += 1;
        at
    }

    #[cold]
    #[inline(never)]
    fn insert_with_growth(&mut self, hash: u64) -> Place {
        self.make_room(hash);
        let sub = self.sub_of(hash);
        match self.subs[sub].find(self.stride, hash, |_| false) {
            Probe::Found(slot) | Probe::Vacant(slot) => self.occupy(Place { sub, slot }, hash),
        }
    }

    /// Inserts or overwrites a row of a snapshot: clean. Returns its words.
    pub(super) fn restore(&mut self, hash: u64, eq: impl Fn(&[u64]) -> bool) -> (Place, bool) {
        if let Some(at) = self.find(hash, eq) {
            return (at, false);
        }
        if self.subs[self.sub_of(hash)].is_full() {
            self.make_room(hash);
        }
        let sub = self.sub_of(hash);
        let (Probe::Found(slot) | Probe::Vacant(slot)) = self.subs[sub].find(self.stride, hash, |_| false);
        self.subs[sub].occupy(self.stride, slot, slot::restored(hash));
        self.len += 1;
        (Place { sub, slot }, true)
    }

    /// Takes a row out. Returns whether a snapshot may hold it. Its words must have been read before.
    pub(super) fn remove(&mut self, at: Place, emit: &mut impl FnMut(u64, &[u64])) -> bool {
        self.touch(at, emit);
        let persisted = slot::is_persisted(self.subs[at.sub].slot(self.stride, at.slot)[0]);
        self.subs[at.sub].remove(self.stride, at.slot);
        self.len -= 1;
        if self.subs[at.sub].is_sparse() {
            self.replace(at.sub, |s, stride| s.shrunk(stride));
        }
        persisted
    }

    /// Takes a row out as a snapshot says: without a trace.
    pub(super) fn forget(&mut self, at: Place) {
        self.subs[at.sub].remove(self.stride, at.slot);
        self.len -= 1;
    }

    fn replace(&mut self, sub: usize, f: impl FnOnce(SubTable, usize) -> SubTable) {
        let old = std::mem::replace(&mut self.subs[sub], SubTable::new(0, 0, 0));
        self.bytes -= old.bytes();
        self.subs[sub] = f(old, self.stride);
        self.bytes += self.subs[sub].bytes();
    }

    /// Grows or splits the sub-table of `hash` until it has room for one more.
    fn make_room(&mut self, hash: u64) {
        loop {
            let sub = self.sub_of(hash);
            if self.subs[sub].wants_split() && self.separates(sub) {
                self.split(sub);
            } else {
                self.replace(sub, |s, stride| s.grown(stride));
            }
            if !self.subs[self.sub_of(hash)].is_full() {
                return;
            }
        }
    }

    /// Whether some prefix bit within the directory's reach tells its rows apart: rows of one hash cannot be split.
    fn separates(&self, sub: usize) -> bool {
        let s = &self.subs[sub];
        (s.depth..DEPTH_MAX).any(|bit| (1..s.len()).contains(&s.ones(self.stride, bit)))
    }

    fn split(&mut self, sub: usize) {
        if self.subs[sub].depth == self.depth {
            self.directory = self.directory.iter().flat_map(|e| [*e, *e]).collect();
            self.depth += 1;
        }
        let new = self.subs.len();
        let old = std::mem::replace(&mut self.subs[sub], SubTable::new(0, 0, 0));
        self.bytes -= old.bytes();
        let (low, high) = old.split(self.stride);
        self.bytes += low.bytes() + high.bytes();
        let first = (high.start >> (64 - self.depth)) as usize;
        let entries = 1usize << (self.depth - high.depth);
        self.directory[first..first + entries].fill(new as u32);
        self.subs[sub] = low;
        self.subs.push(high);
    }

    // === snapshots ===

    /// Freezes the rows as they are: O(1).
    pub(super) fn barrier(&mut self, scope: Scope) {
        debug_assert!(!self.is_draining(), "a barrier comes after the drain before it is complete");
        self.parity.flip();
        self.number = self.number.wrapping_add(1);
        self.scope = Some(scope);
        self.next = Some(0);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.scope.is_some()
    }

    /// Drains the next sub-table. Returns the work done in rows, or `None` when all are drained.
    pub(super) fn drain_next(&mut self, emit: &mut impl FnMut(u64, &[u64])) -> Option<usize> {
        let Some(from) = self.next else {
            self.scope = None;
            return None;
        };
        let sub = self.sub_of(from);
        let work = self.drain_sub(sub, emit);
        let s = &self.subs[sub];
        // A prefix of no bits ends at 2^64.
        self.next = if s.depth == 0 { None } else { s.start.checked_add(1 << (64 - s.depth)) };
        Some(work)
    }

    fn drain_sub(&mut self, sub: usize, emit: &mut impl FnMut(u64, &[u64])) -> usize {
        let Some(scope) = self.scope else { return 0 };
        let s = &mut self.subs[sub];
        if s.drained == self.number {
            return 1;
        }
        s.drained = self.number;
        s.drain(self.stride, scope, self.parity, emit)
    }

    // === iteration ===

    /// Every row in the order of hashes.
    pub(super) fn for_each(&self, mut f: impl FnMut(u64, &[u64])) {
        let mut at = Some(0);
        while let Some(hash) = at {
            at = self.visit(hash, &mut f).0;
        }
    }

    /// The rows of the sub-table that holds `hash`, in order; then where the next one starts, and how many there were.
    pub(super) fn visit(&self, hash: u64, f: &mut impl FnMut(u64, &[u64])) -> (Option<u64>, usize) {
        let s = &self.subs[self.sub_of(hash)];
        for i in s.in_order(self.stride) {
            let row = s.slot(self.stride, i);
            f(slot::hash_of(row[0]), &row[1..]);
        }
        let next = if s.depth == 0 { None } else { s.start.checked_add(1 << (64 - s.depth)) };
        (next, s.len())
    }

    /// Visits sub-tables from `cursor` on until about `budget` rows were seen; the next cursor, 0 at the end.
    pub(super) fn scan(&self, cursor: u64, budget: usize, mut f: impl FnMut(u64, &[u64])) -> u64 {
        let (mut at, mut seen) = (Some(cursor & HASH_MASK), 0);
        while let Some(hash) = at {
            if seen >= budget {
                return hash;
            }
            let (next, rows) = self.visit(hash, &mut f);
            at = next;
            seen += rows.max(1);
        }
        0
    }
}
