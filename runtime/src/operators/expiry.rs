//! When what nobody has changed for a while is forgotten (`table.exec.state.ttl`).
//!
//! Reading goes by the exact time: a row past its time to live is as good as absent. Taking it out of memory happens a little
//! later, some rows per call, so that a million rows that expire at once stop nothing. The queue is derived from the times in
//! the state and is rebuilt after a restore.

use sluice_core::plan::{TimeDomain, Ttl};
use sluice_core::time::{EventTime, ProcTime};
use std::collections::BTreeMap;

/// What is looked at by one call at most: about a millisecond.
pub const SWEEP: usize = 4096;

/// Before the first watermark there is no event time to count from: such state starts to age with the first watermark.
pub const NOT_YET: i64 = i64::MIN;

/// `T` finds a piece of state: a row, a key.
#[derive(Debug)]
pub struct Expiry<T> {
    ttl_ms: i64,
    domain: TimeDomain,
    now: i64,
    /// By the time at which it is looked at again, coarsened to `grain`; every piece once.
    queue: BTreeMap<i64, Vec<T>>,
    grain: i64,
}

impl<T> Expiry<T> {
    pub fn new(ttl: Ttl) -> Self {
        let ttl_ms = i64::try_from(ttl.ms).unwrap_or(i64::MAX);
        // 64 steps within a time to live: at most 1.6 % more state in memory than alive.
        Self { ttl_ms, domain: ttl.domain, now: NOT_YET, queue: BTreeMap::new(), grain: (ttl_ms / 64).max(1) }
    }

    /// What a piece of state that changes now carries as its time.
    pub fn stamp(&self) -> i64 {
        self.now
    }

    pub fn is_expired(&self, time: i64) -> bool {
        time != NOT_YET && time.saturating_add(self.ttl_ms) <= self.now
    }

    /// To be called once for every piece of state, and again when [`Expiry::take_due`] gave it and it goes on living.
    pub fn watch(&mut self, time: i64, piece: T) {
        let due = if time == NOT_YET { NOT_YET } else { self.round_up(time.saturating_add(self.ttl_ms)) };
        self.queue.entry(due).or_default().push(piece);
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

    /// When [`Expiry::take_due`] has something to give, if that is a matter of the clock.
    pub fn next_timer(&self) -> Option<ProcTime> {
        let (due, _) = self.queue.first_key_value()?;
        (self.domain == TimeDomain::Processing).then_some(ProcTime(*due))
    }

    /// At most [`SWEEP`] pieces of state that may have expired. Each is to be removed if its time [is
    /// over](Expiry::is_expired), watched again if it has changed since, and given the time of now if it has [`NOT_YET`] one.
    pub fn take_due(&mut self) -> Vec<T> {
        let mut out = vec![];
        while out.len() < SWEEP && self.now != NOT_YET {
            let Some(mut bucket) = self.queue.first_entry().filter(|b| *b.key() <= self.now) else { break };
            let keep = bucket.get().len().saturating_sub(SWEEP - out.len());
            out.extend(bucket.get_mut().drain(keep..));
            if bucket.get().is_empty() {
                bucket.remove();
            }
        }
        out
    }
}
