//! Combining watermarks: over the channels of a task and over the splits of a source.
//!
//! The combined watermark is the minimum over what is active. It never regresses: a channel that wakes up behind it brings
//! late rows, not an older time.

use crate::time::EventTime;

/// What a change of one channel means for the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combined {
    Unchanged,
    /// The combined watermark has risen to this.
    Advanced(EventTime),
    /// Nothing is active any more; the watermark stays.
    Idle,
}

/// The watermark of a set of channels.
#[derive(Clone, Debug)]
pub struct Watermarks {
    channels: Vec<Channel>,
    current: EventTime,
    idle: bool,
}

#[derive(Clone, Copy, Debug)]
struct Channel {
    watermark: EventTime,
    idle: bool,
}

impl Watermarks {
    /// `current` is `EventTime::MIN`, or what a restored snapshot had.
    pub fn new(channels: usize, current: EventTime) -> Self {
        Self { channels: vec![Channel { watermark: EventTime::MIN, idle: false }; channels], current, idle: false }
    }

    pub fn current(&self) -> EventTime {
        self.current
    }

    /// A watermark came on a channel; it is active from now on.
    pub fn advance(&mut self, channel: usize, to: EventTime) -> Combined {
        let c = &mut self.channels[channel];
        c.idle = false;
        c.watermark = c.watermark.max(to);
        self.combine()
    }

    /// A channel says that it has nothing for now.
    pub fn idle(&mut self, channel: usize) -> Combined {
        self.channels[channel].idle = true;
        self.combine()
    }

    /// A row came on a channel.
    #[inline]
    pub fn active(&mut self, channel: usize) {
        self.channels[channel].idle = false;
        self.idle = false;
    }

    fn combine(&mut self) -> Combined {
        let Some(min) = self.channels.iter().filter(|c| !c.idle).map(|c| c.watermark).min() else {
            let was = std::mem::replace(&mut self.idle, true);
            return if was { Combined::Unchanged } else { Combined::Idle };
        };
        let woke = std::mem::replace(&mut self.idle, false);
        if min > self.current {
            self.current = min;
            Combined::Advanced(min)
        } else if woke && min > EventTime::MIN {
            // Downstream thinks that we are idle: say again where we are.
            Combined::Advanced(self.current)
        } else {
            Combined::Unchanged
        }
    }
}

/// The watermark of one split: the highest that its rows implied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitWatermark {
    pub max: EventTime,
    pub idle: bool,
    pub finished: bool,
}

impl SplitWatermark {
    pub const NEW: Self = Self { max: EventTime::MIN, idle: false, finished: false };
}

/// Minimum over the splits that are neither idle nor finished. All finished: the final watermark. None active: `None`.
pub fn combine_splits(splits: &[SplitWatermark]) -> Option<EventTime> {
    if splits.iter().all(|s| s.finished) {
        return Some(EventTime::MAX);
    }
    splits.iter().filter(|s| !s.idle && !s.finished).map(|s| s.max).min()
}

/// Where a batch must be cut so that lateness does not depend on how rows were batched: before each run of rows that are
/// at or behind the watermark of the rows before them. Returns the cut positions with the watermark to send before them.
///
/// Rows in order, or within the allowed disorder, are never cut.
pub fn late_cuts(times: &[i64], watermarks: &[i64], before: EventTime) -> (Vec<(usize, EventTime)>, EventTime) {
    let (mut max, mut sent, mut cuts) = (before, before, vec![]);
    for (i, (&t, &w)) in times.iter().zip(watermarks).enumerate() {
        if t <= max.0 && max > sent {
            cuts.push((i, max));
            sent = max;
        }
        max = max.max(EventTime(w));
    }
    (cuts, max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minimum_of_active_channels_that_never_regresses() {
        let mut w = Watermarks::new(2, EventTime::MIN);
        assert_eq!(w.advance(0, EventTime(10)), Combined::Unchanged);
        assert_eq!(w.advance(1, EventTime(5)), Combined::Advanced(EventTime(5)));
        assert_eq!(w.advance(1, EventTime(3)), Combined::Unchanged);
        assert_eq!(w.idle(1), Combined::Advanced(EventTime(10)));
        assert_eq!(w.idle(0), Combined::Idle);
        assert_eq!(w.idle(0), Combined::Unchanged);
        assert_eq!(w.advance(1, EventTime(7)), Combined::Advanced(EventTime(10)));
        assert_eq!(w.current(), EventTime(10));
        assert_eq!(w.advance(1, EventTime(12)), Combined::Advanced(EventTime(12)));
    }

    #[test]
    fn a_restored_watermark_holds() {
        let mut w = Watermarks::new(1, EventTime(100));
        assert_eq!(w.advance(0, EventTime(50)), Combined::Unchanged);
        assert_eq!(w.advance(0, EventTime(101)), Combined::Advanced(EventTime(101)));
    }

    #[test]
    fn splits_that_end_or_rest_do_not_hold_time_back() {
        let s = |max, idle, finished| SplitWatermark { max: EventTime(max), idle, finished };
        assert_eq!(combine_splits(&[s(5, false, false), s(9, false, false)]), Some(EventTime(5)));
        assert_eq!(combine_splits(&[s(5, true, false), s(9, false, false)]), Some(EventTime(9)));
        assert_eq!(combine_splits(&[s(5, false, true), s(9, false, false)]), Some(EventTime(9)));
        assert_eq!(combine_splits(&[s(5, true, false), s(9, false, true)]), None);
        assert_eq!(combine_splits(&[s(5, false, true), s(9, false, true)]), Some(EventTime::MAX));
    }

    #[test]
    fn cuts_only_before_rows_behind_the_watermark() {
        // Delay 2: row 10 → watermark 8. Row 9 is in time, row 8 and 7 are not, row 20 → 18, row 18 is late again.
        let times = [10, 9, 8, 7, 20, 19, 18];
        let marks: Vec<i64> = times.iter().map(|t| t - 2).collect();
        let (cuts, max) = late_cuts(&times, &marks, EventTime::MIN);
        assert_eq!(cuts, [(2, EventTime(8)), (6, EventTime(18))]);
        assert_eq!(max, EventTime(18));
        // Any way of batching gives the same cuts.
        for at in 0..times.len() {
            let (mut a, m) = late_cuts(&times[..at], &marks[..at], EventTime::MIN);
            // The batch end itself sends `m`.
            let (b, m2) = late_cuts(&times[at..], &marks[at..], m);
            a.extend(b.into_iter().map(|(i, w)| (i + at, w)));
            assert!(a.iter().all(|c| cuts.contains(c)));
            assert_eq!(m2, max);
        }
    }
}
