//! The slot header: one word that holds the upper bits of the key's hash and what snapshots need to know about the row.
//! No other module sets or reads these bits by hand.
//!
//! A row carries two dirty bits; which of them means "changed in the running epoch" swaps at each barrier. So the barrier
//! touches no row: what was the running epoch's bit is the frozen one from then on.

use crate::operator::Scope;

/// A slot that holds nothing.
pub(super) const EMPTY: u64 = 0;
const OCCUPIED: u64 = 1;
const DIRTY: [u64; 2] = [1 << 1, 1 << 2];
/// The running drain wants the row whatever its dirty bits say, and has it already (or the row came after the barrier).
const SAVED: u64 = 1 << 3;
/// A snapshot may hold the row: its removal needs a tombstone.
const PERSISTED: u64 = 1 << 4;
/// The bits of a hash that tables keep. The key group is in the upper half, so nothing is lost but 1 in 2^59.
pub(super) const HASH_MASK: u64 = !31;

/// The hash's bits that say which sixteenth a row belongs to. Below the top eight, so that the range of a task has all
/// sixteenths in equal parts up to a parallelism of 256; above the bits that tell sub-tables of large tables apart, so that
/// one sub-table is in one sixteenth.
const ROTATION_SHIFT: u32 = 52;

/// Whether a snapshot of this scope holds the row even if it did not change.
#[inline]
pub(super) fn wanted(scope: Scope, hash: u64) -> bool {
    match scope {
        Scope::Full => true,
        Scope::Delta { rotation } => hash >> ROTATION_SHIFT & 15 == u64::from(rotation),
    }
}

/// Whether any hash of `depth` bits' prefix `start` (in place, the lower bits zero) is [`wanted`].
pub(super) fn wanted_any(scope: Scope, start: u64, depth: u32) -> bool {
    let rotation = match scope {
        Scope::Full => return true,
        // No sixteenth is due.
        Scope::Delta { rotation } if rotation > 15 => return false,
        Scope::Delta { rotation } => u64::from(rotation),
    };
    // Bits of the rotation that the prefix fixes.
    let above = 64 - ROTATION_SHIFT - 4;
    let fixed = depth.saturating_sub(above).min(4);
    let mask = (0xF0 >> fixed) & 0xF;
    (start >> ROTATION_SHIFT & 15) & mask == rotation & mask
}

/// Which dirty bit is which, between two barriers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parity(usize);

impl Parity {
    pub(super) fn flip(&mut self) {
        self.0 = 1 - self.0;
    }
    /// Index of the running epoch's map.
    #[inline(always)]
    pub(super) fn running(self) -> usize {
        self.0
    }
    /// Index of the frozen epoch's map.
    #[inline(always)]
    pub(super) fn frozen(self) -> usize {
        1 - self.0
    }
}

/// The header of a row that is inserted now. `late`: a drain has yet to pass, and must not take it for a frozen row.
pub(super) fn inserted(hash: u64, parity: Parity, late: bool) -> u64 {
    hash & HASH_MASK | OCCUPIED | DIRTY[parity.running()] | if late { SAVED } else { 0 }
}

/// The header of a row from a snapshot.
pub(super) fn restored(hash: u64) -> u64 {
    hash & HASH_MASK | OCCUPIED | PERSISTED
}

#[inline(always)]
pub(super) fn hash_of(meta: u64) -> u64 {
    meta & HASH_MASK
}

#[inline(always)]
pub(super) fn has_hash(meta: u64, hash: u64) -> bool {
    (meta ^ hash) & HASH_MASK == 0
}

#[inline(always)]
pub(super) fn is_dirty(meta: u64, map: usize) -> bool {
    meta & DIRTY[map] != 0
}

#[inline(always)]
pub(super) fn dirtied(meta: u64, parity: Parity) -> u64 {
    meta | DIRTY[parity.running()]
}

pub(super) fn is_persisted(meta: u64) -> bool {
    meta & PERSISTED != 0
}

/// A drain's look at a row whose turn has not come: whether to copy it out before it changes, and its header then.
pub(super) fn saved_early(meta: u64, scope: Scope, parity: Parity) -> (bool, u64) {
    let wanted = wanted(scope, hash_of(meta));
    let owed = is_dirty(meta, parity.frozen()) || wanted && meta & SAVED == 0;
    let mut next = meta & !DIRTY[parity.frozen()];
    if wanted {
        next |= SAVED;
    }
    if owed {
        next |= PERSISTED;
    }
    (owed, next)
}

/// A drain's turn at a row: whether the snapshot takes it, and its header then.
#[inline(always)]
pub(super) fn drained(meta: u64, scope: Scope, parity: Parity) -> (bool, u64) {
    let owed = is_dirty(meta, parity.frozen()) || wanted(scope, hash_of(meta)) && meta & SAVED == 0;
    let next = meta & !(DIRTY[parity.frozen()] | SAVED);
    (owed, if owed { next | PERSISTED } else { next })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FULL: Scope = Scope::Full;

    #[test]
    fn a_row_changed_before_the_barrier_is_taken_once() {
        let mut p = Parity::default();
        let meta = inserted(0xABCD_EF00, p, false);
        p.flip();
        let none = Scope::Delta { rotation: 15 };
        let (owed, after) = drained(meta, none, p);
        assert!(owed && is_persisted(after));
        assert!(!drained(after, none, p).0);
        // Touched before its turn: copied out then, not again at its turn.
        let (owed, early) = saved_early(meta, none, p);
        assert!(owed);
        let (owed, after) = drained(dirtied(early, p), none, p);
        assert!(!owed && is_dirty(after, p.running()) && !is_dirty(after, p.frozen()));
    }

    #[test]
    fn a_full_drain_skips_rows_that_came_after_the_barrier() {
        let mut p = Parity::default();
        p.flip();
        let meta = inserted(0xABCD_EF00, p, true);
        assert!(!saved_early(meta, FULL, p).0);
        let (owed, after) = drained(meta, FULL, p);
        assert!(!owed && !is_persisted(after));
        p.flip();
        assert!(drained(after, FULL, p).0, "the next one takes it");
    }

    #[test]
    fn a_clean_row_is_saved_once_in_a_full_drain() {
        let p = Parity::default();
        let (owed, next) = saved_early(restored(0x1234_5600), FULL, p);
        assert!(owed);
        assert!(!saved_early(next, FULL, p).0);
        assert!(!drained(next, FULL, p).0);
    }

    proptest! {
        #[test]
        fn sixteen_rotations_want_every_row_once(hash: u64) {
            let n = (0..16).filter(|r| wanted(Scope::Delta { rotation: *r }, hash)).count();
            prop_assert_eq!(n, 1);
        }

        #[test]
        fn a_prefix_is_wanted_if_one_of_its_hashes_is(hash: u64, depth in 0u32..21, rotation in 0u8..18) {
            let start = if depth == 0 { 0 } else { hash >> (64 - depth) << (64 - depth) };
            let scope = Scope::Delta { rotation };
            let some = (0..16u64).any(|r| {
                // Every value of the rotation's bits that the prefix allows.
                let free = (1u64 << (64 - depth.max(1))) - 1;
                let free = if depth == 0 { u64::MAX } else { free };
                wanted(scope, start | (r << ROTATION_SHIFT & free))
            });
            prop_assert_eq!(wanted_any(scope, start, depth), some);
        }
    }
}
