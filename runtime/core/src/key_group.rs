//! Key groups: the unit in which keyed state is addressed, stored and moved.
//!
//! `hash(key) → key group` by the top 32 bits, so that a key group is a contiguous range of hashes and a table ordered by
//! hash prefix is ordered by key group. A task owns a contiguous range of groups.

use serde::{Deserialize, Serialize};
use std::ops::Range;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyGroup(pub u16);

/// The number of key groups of a job: 1 to 32768, fixed at its first start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct KeyGroups(u32);

pub const MAX_KEY_GROUPS: u32 = 32768;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the number of key groups must be 1 to 32768, got {0}")]
pub struct KeyGroupsOutOfRange(pub u32);

impl KeyGroups {
    pub const DEFAULT: Self = Self(128);

    pub fn new(n: u32) -> Result<Self, KeyGroupsOutOfRange> {
        if (1..=MAX_KEY_GROUPS).contains(&n) { Ok(Self(n)) } else { Err(KeyGroupsOutOfRange(n)) }
    }

    pub fn count(self) -> u32 {
        self.0
    }

    /// The group of a finished key hash.
    #[inline(always)]
    pub fn of(self, hash: u64) -> KeyGroup {
        KeyGroup((((hash >> 32) * u64::from(self.0)) >> 32) as u16)
    }

    /// The groups that task `index` of `parallelism` owns: disjoint, in order, covering all; sizes differ by at most one.
    pub fn range(self, index: usize, parallelism: usize) -> Range<u16> {
        let at = |i: usize| (i * self.0 as usize / parallelism) as u16;
        // 32768 fits in u16 as the exclusive end.
        at(index)..at(index + 1)
    }

    /// The task that owns a group: the inverse of [`KeyGroups::range`].
    #[inline(always)]
    pub fn owner(self, group: KeyGroup, parallelism: usize) -> usize {
        ((group.0 as usize + 1) * parallelism).div_ceil(self.0 as usize) - 1
    }
}

impl TryFrom<u32> for KeyGroups {
    type Error = KeyGroupsOutOfRange;
    fn try_from(n: u32) -> Result<Self, Self::Error> {
        Self::new(n)
    }
}

impl From<KeyGroups> for u32 {
    fn from(k: KeyGroups) -> u32 {
        k.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ranges_partition_the_groups(n in 1u32..=MAX_KEY_GROUPS, p in 1usize..200) {
            let k = KeyGroups::new(n).unwrap();
            let p = p.min(n as usize);
            let mut next = 0;
            for i in 0..p {
                let r = k.range(i, p);
                prop_assert_eq!(r.start, next);
                prop_assert!(!r.is_empty());
                for g in [r.start, r.end - 1] {
                    prop_assert_eq!(k.owner(KeyGroup(g), p), i);
                }
                next = r.end;
            }
            prop_assert_eq!(u32::from(next), n);
        }

        #[test]
        fn group_is_monotone_in_the_hash(n in 1u32..=MAX_KEY_GROUPS, a: u64, b: u64) {
            let k = KeyGroups::new(n).unwrap();
            prop_assert!((a <= b) <= (k.of(a) <= k.of(b)));
            prop_assert!(u32::from(k.of(a).0) < n);
        }
    }
}
