//! When windows that rows carry with them end: by the watermark, or by the clock.

use super::event_times::EventTimes;
use sluice_core::plan::TimeDomain;
use sluice_core::time::{EventTime, ProcTime};
use sluice_core::window::is_due;
use std::collections::BTreeMap;
use std::collections::btree_map::OccupiedEntry;

/// The event times of rows that carry the end of their window, for late ones.
pub(super) fn last_instants(ends: &EventTimes) -> Vec<i64> {
    ends.or_epoch().into_iter().map(|end| end.saturating_sub(1)).collect()
}

#[derive(Debug)]
pub struct WindowEnds {
    domain: TimeDomain,
    lateness_ms: i64,
    now: EventTime,
}

impl WindowEnds {
    pub fn new(domain: TimeDomain, allowed_lateness_ms: i64) -> Self {
        // By the clock nothing is late, so there is nothing to wait for.
        let lateness_ms = if domain == TimeDomain::Event { allowed_lateness_ms } else { 0 };
        Self { domain, lateness_ms, now: EventTime::MIN }
    }

    pub fn watermark(&mut self, watermark: EventTime) {
        // The end of a bounded input ends windows of the clock too.
        if self.domain == TimeDomain::Event || watermark == EventTime::MAX {
            self.now = self.now.max(watermark);
        }
    }

    pub fn clock(&mut self, now: ProcTime) {
        if self.domain == TimeDomain::Processing {
            self.now = self.now.max(EventTime(now.0));
        }
    }

    /// Whether a row of this window is late. By the clock none is: it came now, so its window fires once more.
    pub fn is_over(&self, end: i64) -> bool {
        self.domain == TimeDomain::Event && is_due(end, self.lateness_ms, self.now)
    }

    /// A window that waits for late rows comes out behind the watermark.
    pub fn output_watermark(&self, watermark: EventTime) -> EventTime {
        if watermark == EventTime::MAX { watermark } else { EventTime(watermark.0.saturating_sub(self.lateness_ms)) }
    }

    /// Whether no row can bring back a window that has been joined.
    pub fn forgets(&self) -> bool {
        self.domain == TimeDomain::Event
    }

    /// The next window that has ended, if there is one.
    pub fn pop_due<T>(&self, windows: &mut BTreeMap<i64, T>) -> Option<T> {
        windows.first_entry().filter(|w| is_due(*w.key(), self.lateness_ms, self.now)).map(OccupiedEntry::remove)
    }

    /// `first`: the end of the first window.
    pub fn next_timer(&self, first: Option<i64>) -> Option<ProcTime> {
        first.filter(|_| self.domain == TimeDomain::Processing).map(|end| ProcTime(end.saturating_sub(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_with_its_last_instant_and_the_allowed_lateness() {
        let mut ends = WindowEnds::new(TimeDomain::Event, 5);
        let mut windows = BTreeMap::from([(10, 'a'), (20, 'b')]);
        ends.watermark(EventTime(13));
        assert_eq!((ends.pop_due(&mut windows), ends.is_over(10)), (None, false));
        ends.watermark(EventTime(14));
        assert_eq!((ends.pop_due(&mut windows), ends.is_over(10)), (Some('a'), true));
        assert_eq!((ends.pop_due(&mut windows), ends.next_timer(Some(20))), (None, None));
        assert_eq!(ends.output_watermark(EventTime(14)), EventTime(9));
        assert_eq!(ends.output_watermark(EventTime::MAX), EventTime::MAX);
    }

    #[test]
    fn by_the_clock_nothing_is_late() {
        let mut ends = WindowEnds::new(TimeDomain::Processing, 5);
        ends.watermark(EventTime(100));
        ends.clock(ProcTime(8));
        assert_eq!(ends.next_timer(Some(10)), Some(ProcTime(9)));
        ends.clock(ProcTime(9));
        assert!(!ends.is_over(10));
        assert_eq!(ends.pop_due(&mut BTreeMap::from([(10, 'a')])), Some('a'));
    }
}
