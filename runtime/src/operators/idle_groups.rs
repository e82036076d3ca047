//! Groups that nothing has changed for their time to live: as good as absent at once, taken out of memory some at a time.

use super::groups::Groups;
use super::keys::StoredKeys;
use crate::aggregate::AggregateSet;
use sluice_core::plan::{TimeDomain, Ttl};
use sluice_core::time::{EventTime, ProcTime};

/// Before the first watermark or reading of the clock there is no time to count from: such groups start to age with it.
const NOT_YET: i64 = i64::MIN;

/// A pass over all groups that is under way goes on after so long (ms) when nothing else happens.
const NEXT_PORTION_MS: i64 = 10;

pub(super) struct IdleGroups {
    ttl_ms: i64,
    domain: TimeDomain,
    now: i64,
    cursor: u64,
    /// When the clock should sweep next.
    due: i64,
}

impl IdleGroups {
    pub(super) fn new(ttl: Ttl) -> Self {
        let ttl_ms = i64::try_from(ttl.ms).unwrap_or(i64::MAX);
        Self { ttl_ms, domain: ttl.domain, now: NOT_YET, cursor: 0, due: NOT_YET }
    }

    /// What a group that changes now carries as its time.
    pub(super) fn stamp(&self) -> i64 {
        self.now
    }

    pub(super) fn is_over(&self, stamp: i64) -> bool {
        stamp != NOT_YET && stamp.saturating_add(self.ttl_ms) <= self.now
    }

    pub(super) fn watermark(&mut self, watermark: EventTime) {
        // The final watermark is no time that has come to pass: what is left stays for whoever resumes the job.
        if self.domain == TimeDomain::Event && watermark != EventTime::MAX {
            self.now = self.now.max(watermark.0);
        }
    }

    pub(super) fn clock(&mut self, now: ProcTime) {
        if self.domain == TimeDomain::Processing {
            self.now = self.now.max(now.0);
        }
    }

    pub(super) fn next_timer(&self) -> Option<ProcTime> {
        (self.domain == TimeDomain::Processing).then_some(ProcTime(self.due))
    }

    /// Looks at about `budget` groups, goes on there the next time.
    pub(super) fn sweep(&mut self, groups: &mut Groups, set: &AggregateSet, budget: usize) {
        if self.now == NOT_YET {
            return;
        }
        let (mut hashes, mut keys, mut ageless) = (vec![], StoredKeys::default(), vec![]);
        let range = groups.portion(self.cursor, budget);
        groups.visit(range, |hash, key, group| {
            let stamp = group.stamp(set);
            if stamp == NOT_YET || self.is_over(stamp) {
                hashes.push(hash);
                keys.push(key);
                ageless.push(stamp == NOT_YET);
            }
        });
        for (i, &hash) in hashes.iter().enumerate() {
            if ageless[i] {
                groups.stamp(set, hash, keys.get(i), self.now);
            } else {
                groups.remove(hash, keys.get(i));
            }
        }
        self.cursor = range.to;
        // A sixteenth of the time to live between two passes: at most that much more state than is alive.
        let pause = if self.cursor == 0 { (self.ttl_ms / 16).max(1) } else { NEXT_PORTION_MS };
        self.due = self.now.saturating_add(pause);
    }
}
