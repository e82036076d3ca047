//! When rows that nobody has changed for a while are forgotten (`table.exec.state.ttl`).
//!
//! Reading goes by the exact time: a row past its time to live is as good as absent. Taking it out of memory happens a little
//! later, some rows per call, so that a million rows that expire at once stop nothing. The queue is derived from the rows'
//! own times and is rebuilt after a restore.

use super::row_slab::{Row, RowId, RowSlab};
use sluice_core::plan::{TimeDomain, Ttl};
use sluice_core::time::{EventTime, ProcTime};
use std::collections::BTreeMap;

/// Rows removed by one call at most: about a millisecond.
const SWEEP: usize = 4096;

/// Before the first watermark there is no event time to count from: such rows start to age with the first watermark.
const NOT_YET: i64 = i64::MIN;

#[derive(Debug)]
pub struct Expiry {
    ttl_ms: i64,
    domain: TimeDomain,
    now: i64,
    /// Rows by the time at which they are looked at again, coarsened to `grain`; every row once.
    queue: BTreeMap<i64, Vec<(RowId, u64)>>,
    grain: i64,
}

impl Expiry {
    pub fn new(ttl: Ttl) -> Self {
        let ttl_ms = i64::try_from(ttl.ms).unwrap_or(i64::MAX);
        // 64 steps within a time to live: at most 1.6 % more rows in memory than alive.
        Self { ttl_ms, domain: ttl.domain, now: NOT_YET, queue: BTreeMap::new(), grain: (ttl_ms / 64).max(1) }
    }

    /// What a row that changes now carries as its time.
    pub fn stamp(&self) -> i64 {
        self.now
    }

    pub fn is_expired(&self, row: &Row) -> bool {
        row.time != NOT_YET && row.time.saturating_add(self.ttl_ms) <= self.now
    }

    /// Every row, once, after its insertion.
    pub fn watch(&mut self, row: &Row, id: RowId) {
        let due = if row.time == NOT_YET { NOT_YET } else { self.round_up(row.time.saturating_add(self.ttl_ms)) };
        self.queue.entry(due).or_default().push((id, row.seq));
    }

    /// To the next step; the extreme times of a broken record stay where they are.
    fn round_up(&self, t: i64) -> i64 {
        let rest = t.rem_euclid(self.grain);
        if rest == 0 { t } else { t.saturating_add(self.grain - rest) }
    }

    pub fn watermark(&mut self, watermark: EventTime) {
        // The final watermark is no time that has come to pass: what is left stays for whoever resumes the job.
        if self.domain == TimeDomain::Event && watermark != EventTime::MAX {
            self.now = self.now.max(watermark.0);
        }
    }

    pub fn clock(&mut self, now: ProcTime) {
        if self.domain == TimeDomain::Processing {
            self.now = self.now.max(now.0);
        }
    }

    /// When [`Expiry::sweep`] has something to do, if that is a matter of the clock.
    pub fn next_timer(&self) -> Option<ProcTime> {
        let (due, _) = self.queue.first_key_value()?;
        (self.domain == TimeDomain::Processing).then_some(ProcTime(*due))
    }

    /// Calls `remove` with some of the rows that have expired.
    pub fn sweep(&mut self, rows: &mut RowSlab, mut remove: impl FnMut(&mut RowSlab, RowId)) {
        let mut left = SWEEP;
        while left > 0 && self.now != NOT_YET {
            let Some(mut bucket) = self.queue.first_entry().filter(|b| *b.key() <= self.now) else { return };
            let some = bucket.get().len().saturating_sub(left);
            let ids = bucket.get_mut().split_off(some);
            if bucket.get().is_empty() {
                bucket.remove();
            }
            left -= ids.len();
            for (id, seq) in ids {
                self.look_at(rows, id, seq, &mut remove);
            }
        }
    }

    fn look_at(&mut self, rows: &mut RowSlab, id: RowId, seq: u64, remove: &mut impl FnMut(&mut RowSlab, RowId)) {
        let Some(row) = rows.find(id, seq) else { return };
        if row.time == NOT_YET {
            let now = self.now;
            rows.update(id).time = now;
        } else if self.is_expired(row) {
            remove(rows, id);
            return;
        }
        self.watch(rows.get(id), id);
    }
}
