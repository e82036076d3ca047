//! One piece of a table: rows whose hashes share a prefix, in open addressing. Few thousand rows at most, so that moving all
//! of them takes microseconds.
//!
//! A slot is `stride` words: the header ([`super::slot`]), then what the table keeps. The home of a row is its hash's place in the
//! range of hashes, so rows stand nearly in hash order; collisions go to the next slot; removals close the gap.

use super::slot::{self, Parity};
use crate::operator::Scope;

/// Slots per bit of the skip maps, at least.
const GROUP_SHIFT: u32 = 4;
const MAP_WORDS: usize = 6;
/// Rows at which a sub-table is split, staggered by prefix: hashes are uniform, so all would split at once otherwise.
const SPLIT_ROWS: (u32, u32) = (2048, 3072);
/// Load limit in 256ths, staggered likewise (0.70 to 0.80): linear probing stays below three probes for a hit.
const LOAD: (u32, u32) = (179, 205);
/// Load after growth and split, in 256ths (0.55).
const FRESH_LOAD: u32 = 141;
const LEAST_SLOTS: u32 = 8;

#[derive(Debug)]
pub(super) struct SubTable {
    slots: Vec<u64>,
    capacity: u32,
    len: u32,
    /// Rows at which it must grow or split.
    limit: u32,
    /// Hash bits that all rows share.
    pub(super) depth: u32,
    /// The drain that passed last.
    pub(super) drained: u32,
    /// Those bits, in place.
    pub(super) start: u64,
    group_shift: u32,
    /// Per epoch parity: groups of slots with a dirty row.
    maps: [[u64; MAP_WORDS]; 2],
}

pub(super) enum Probe {
    Found(usize),
    Vacant(usize),
}

/// Spreads a prefix over `range`.
fn stagger(seed: u64, range: (u32, u32)) -> u32 {
    let x = (seed | 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23).wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
    range.0 + (((x >> 40) * u64::from(range.1 - range.0)) >> 24) as u32
}

impl SubTable {
    pub(super) fn new(start: u64, depth: u32, drained: u32) -> Self {
        Self {
            slots: Vec::new(),
            capacity: 0,
            len: 0,
            limit: 0,
            depth,
            drained,
            start,
            group_shift: GROUP_SHIFT,
            maps: [[0; MAP_WORDS]; 2],
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) fn is_full(&self) -> bool {
        self.len >= self.limit
    }

    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * 8
    }

    /// Large enough to be split rather than grown.
    pub(super) fn wants_split(&self) -> bool {
        self.len >= stagger(self.start, SPLIT_ROWS)
    }

    /// Few rows in many slots.
    pub(super) fn is_sparse(&self) -> bool {
        self.capacity > 8 * LEAST_SLOTS && self.len * 8 < self.capacity
    }

    #[inline(always)]
    fn home(&self, hash: u64) -> usize {
        ((((hash << self.depth) >> 32) * u64::from(self.capacity)) >> 32) as usize
    }

    /// The words of slot `i`, header first.
    #[inline(always)]
    pub(super) fn slot(&self, stride: usize, i: usize) -> &[u64] {
        &self.slots[i * stride..(i + 1) * stride]
    }

    /// The words of slot `i` without the header, for writing. The row must have been touched.
    #[inline(always)]
    pub(super) fn words_mut(&mut self, stride: usize, i: usize) -> &mut [u64] {
        &mut self.slots[i * stride + 1..(i + 1) * stride]
    }

    /// The home slot's first word, for a prefetch.
    #[inline(always)]
    pub(super) fn home_word(&self, stride: usize, hash: u64) -> Option<&u64> {
        self.slots.get(self.home(hash) * stride)
    }

    #[inline(always)]
    pub(super) fn find(&self, stride: usize, hash: u64, eq: impl Fn(&[u64]) -> bool) -> Probe {
        if self.capacity == 0 {
            return Probe::Vacant(0);
        }
        let mut i = self.home(hash);
        loop {
            let slot = self.slot(stride, i);
            if slot[0] == slot::EMPTY {
                return Probe::Vacant(i);
            }
            if slot::has_hash(slot[0], hash) && eq(&slot[1..]) {
                return Probe::Found(i);
            }
            i += 1;
            if i == self.capacity as usize {
                i = 0;
            }
        }
    }

    #[inline(always)]
    fn mark(&mut self, i: usize, map: usize) {
        let g = i >> self.group_shift;
        self.maps[map][g / 64] |= 1 << (g % 64);
    }

    /// Marks row `i` as changed in the running epoch.
    #[inline(always)]
    pub(super) fn dirty(&mut self, stride: usize, i: usize, parity: Parity) {
        let meta = self.slots[i * stride];
        // The map is written only when the row was clean: rows that change all the time cost no second cache line.
        if !slot::is_dirty(meta, parity.running()) {
            self.slots[i * stride] = slot::dirtied(meta, parity);
            self.mark(i, parity.running());
        }
    }

    pub(super) fn set_meta(&mut self, stride: usize, i: usize, meta: u64) {
        self.slots[i * stride] = meta;
    }

    /// Takes the vacant slot `i`.
    #[inline(always)]
    pub(super) fn occupy(&mut self, stride: usize, i: usize, meta: u64) {
        self.slots[i * stride] = meta;
        self.len += 1;
        for map in 0..2 {
            if slot::is_dirty(meta, map) {
                self.mark(i, map);
            }
        }
    }

    /// Empties slot `i` and closes the gap.
    pub(super) fn remove(&mut self, stride: usize, i: usize) {
        let n = self.capacity as usize;
        let (mut gap, mut j) = (i, i);
        loop {
            j = if j + 1 == n { 0 } else { j + 1 };
            let meta = self.slots[j * stride];
            if meta == slot::EMPTY {
                break;
            }
            let home = self.home(meta);
            // Row j may stay if its home lies cyclically in (gap, j].
            let stays = if gap <= j { gap < home && home <= j } else { gap < home || home <= j };
            if !stays {
                self.slots.copy_within(j * stride..(j + 1) * stride, gap * stride);
                for map in 0..2 {
                    if slot::is_dirty(meta, map) {
                        self.mark(gap, map);
                    }
                }
                gap = j;
            }
        }
        self.slots[gap * stride..(gap + 1) * stride].fill(0);
        self.len -= 1;
    }

    /// Hands every row that the snapshot takes to `emit`. Returns the work done, in rows.
    pub(super) fn drain(
        &mut self,
        stride: usize,
        scope: Scope,
        parity: Parity,
        emit: &mut impl FnMut(u64, &[u64]),
    ) -> usize {
        let map = std::mem::take(&mut self.maps[parity.frozen()]);
        let mut turn = |row: &mut [u64]| {
            let meta = row[0];
            if meta != slot::EMPTY {
                let (owed, next) = slot::drained(meta, scope, parity);
                row[0] = next;
                if owed {
                    emit(slot::hash_of(meta), &row[1..]);
                }
            }
        };
        if slot::wanted_any(scope, self.start, self.depth) {
            self.slots.chunks_exact_mut(stride).for_each(turn);
            return 1 + self.capacity as usize;
        }
        let mut work = 1;
        let group = 1usize << self.group_shift;
        for (w, mut bits) in map.into_iter().enumerate() {
            while bits != 0 {
                let first = (w * 64 + bits.trailing_zeros() as usize) * group;
                bits &= bits - 1;
                let end = (first + group).min(self.capacity as usize);
                self.slots[first * stride..end * stride].chunks_exact_mut(stride).for_each(&mut turn);
                work += group;
            }
        }
        work
    }

    /// Occupied slots in the order of hashes; equal hashes in any order.
    pub(super) fn in_order(&self, stride: usize) -> Vec<usize> {
        let mut at: Vec<usize> =
            (0..self.capacity as usize).filter(|i| self.slots[i * stride] != slot::EMPTY).collect();
        at.sort_unstable_by_key(|i| slot::hash_of(self.slots[i * stride]));
        at
    }

    /// Moves all rows into a sub-table with room, of the same prefix.
    pub(super) fn grown(self, stride: usize) -> Self {
        let mut next = Self::new(self.start, self.depth, self.drained);
        next.allocate(stride, (u64::from(self.len.max(self.capacity / 3)) * 256 / u64::from(FRESH_LOAD)) as u32 + 1);
        self.move_rows(stride, |_| true, &mut next);
        next.set_limit();
        next
    }

    /// The same rows in as few slots as they need.
    pub(super) fn shrunk(self, stride: usize) -> Self {
        let mut next = Self::new(self.start, self.depth, self.drained);
        if self.len > 0 {
            next.allocate(stride, (u64::from(self.len) * 256 / u64::from(FRESH_LOAD)) as u32 + 1);
            self.move_rows(stride, |_| true, &mut next);
            next.set_limit();
        }
        next
    }

    /// Rows whose next prefix bit is set.
    pub(super) fn ones(&self, stride: usize, bit: u32) -> usize {
        self.slots.chunks_exact(stride).filter(|s| s[0] != slot::EMPTY && s[0] >> (63 - bit) & 1 == 1).count()
    }

    /// Two sub-tables by the next prefix bit.
    pub(super) fn split(self, stride: usize) -> (Self, Self) {
        let depth = self.depth + 1;
        let bit = 1 << (64 - depth);
        let ones = self.ones(stride, self.depth) as u32;
        let mut low = Self::new(self.start, depth, self.drained);
        let mut high = Self::new(self.start | bit, depth, self.drained);
        for (half, rows, set) in [(&mut low, self.len - ones, false), (&mut high, ones, true)] {
            if rows > 0 {
                half.allocate(stride, (u64::from(rows) * 256 / u64::from(FRESH_LOAD)) as u32 + 1);
                self.move_rows(stride, |h| (h & bit != 0) == set, half);
                half.set_limit();
            }
        }
        (low, high)
    }

    fn allocate(&mut self, stride: usize, slots: u32) {
        self.capacity = slots.max(LEAST_SLOTS);
        self.slots = vec![0; self.capacity as usize * stride];
        while (self.capacity as usize - 1) >> self.group_shift >= MAP_WORDS * 64 {
            self.group_shift += 1;
        }
    }

    fn set_limit(&mut self) {
        let load = stagger(self.start ^ u64::from(self.capacity), LOAD);
        self.limit = (u64::from(self.capacity) * u64::from(load) / 256) as u32;
        let split = stagger(self.start, SPLIT_ROWS);
        if self.len < split {
            self.limit = self.limit.min(split);
        }
        self.limit = self.limit.max(1);
    }

    fn move_rows(&self, stride: usize, take: impl Fn(u64) -> bool, to: &mut Self) {
        for row in self.slots.chunks_exact(stride).filter(|r| r[0] != slot::EMPTY && take(r[0])) {
            let mut i = to.home(row[0]);
            while to.slots[i * stride] != slot::EMPTY {
                i += 1;
                if i == to.capacity as usize {
                    i = 0;
                }
            }
            to.slots[i * stride..(i + 1) * stride].copy_from_slice(row);
            to.occupy(stride, i, row[0]);
        }
    }
}
