//! Windows of event or processing time: which ones a time belongs to, into which slices they share, when they are due,
//! and how sessions merge. Pure arithmetic on milliseconds; state and output belong to the operators.
//!
//! Aligned windows (tumbling, hopping, cumulating) are cut into *slices*, the longest spans that no window boundary crosses:
//! a row is aggregated once, into its slice, and a window is the merge of its slices (as Flink's slicing windows).
//! Bounds that leave the range of `i64` are cut off there, so the extreme times of a broken record cannot panic; such
//! windows fire with the final watermark.

use crate::plan::Window;
use crate::time::EventTime;
use std::ops::Range;

/// The span `start ≤ t < end`, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeWindow {
    pub start: i64,
    pub end: i64,
}

impl TimeWindow {
    pub fn contains(self, t: i64) -> bool {
        self.start <= t && t < self.end
    }

    /// `window_time`: the last instant that belongs to the window.
    pub fn time(self) -> i64 {
        self.end.saturating_sub(1)
    }

    /// The session that one row opens.
    pub fn session(t: i64, gap_ms: i64) -> Self {
        Self { start: t, end: t.saturating_add(gap_ms) }
    }

    /// Sessions that overlap or touch are one (Flink's `TimeWindow.intersects`).
    fn touches(self, other: Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }
}

/// Whether a window that ends at `end` fires: no row of it can come any more, and the time allowed for late ones is over.
pub fn is_due(end: i64, allowed_lateness_ms: i64, watermark: EventTime) -> bool {
    end.saturating_sub(1).saturating_add(allowed_lateness_ms) <= watermark.0
}

/// The latest end of windows that are due: `is_due(end)` is `end <= closed_through`.
pub fn closed_through(watermark: EventTime, allowed_lateness_ms: i64) -> i64 {
    if watermark == EventTime::MAX {
        return i64::MAX;
    }
    watermark.0.saturating_add(1).saturating_sub(allowed_lateness_ms)
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WindowError {
    #[error("a window's size, slide and step must be at least one millisecond, got {0} ms")]
    NotPositive(i64),
    #[error("the size of a cumulating window ({size_ms} ms) must be a multiple of its step ({step_ms} ms)")]
    NotAMultiple { size_ms: i64, step_ms: i64 },
    #[error("session windows have no grid: they follow the rows of each key")]
    Session,
}

/// The grid of a tumbling, hopping or cumulating window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowGrid {
    shape: Shape,
    size: i64,
    /// Reduced into `0..period`, where the period is the distance at which the grid repeats.
    offset: i64,
    slice: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Tumble,
    Hop { slide: i64 },
    Cumulate { step: i64 },
}

impl WindowGrid {
    pub fn new(window: &Window) -> Result<Self, WindowError> {
        let (shape, size, period, slice, offset) = match *window {
            Window::Tumble { size_ms, offset_ms } => (Shape::Tumble, size_ms, size_ms, size_ms, offset_ms),
            Window::Hop { slide_ms, size_ms, offset_ms } => {
                (Shape::Hop { slide: slide_ms }, size_ms, slide_ms, gcd(slide_ms, size_ms), offset_ms)
            }
            Window::Cumulate { step_ms, size_ms, offset_ms } => {
                (Shape::Cumulate { step: step_ms }, size_ms, size_ms, step_ms, offset_ms)
            }
            Window::Session { .. } => return Err(WindowError::Session),
        };
        if let Some(&bad) = [size, period, slice].iter().find(|&&ms| ms <= 0) {
            return Err(WindowError::NotPositive(bad));
        }
        if let Shape::Cumulate { step } = shape
            && size % step != 0
        {
            return Err(WindowError::NotAMultiple { size_ms: size, step_ms: step });
        }
        Ok(Self { shape, size, offset: offset.rem_euclid(period), slice })
    }

    /// All windows that contain `t`, by rising end.
    pub fn windows(self, t: i64) -> Windows {
        let (past, count) = match self.shape {
            Shape::Tumble => (self.past(t, self.size), 1),
            Shape::Hop { slide } => {
                let past = self.past(t, slide);
                (past, if past < self.size { (self.size - past - 1) / slide + 1 } else { 0 })
            }
            Shape::Cumulate { step } => {
                let past = self.past(t, self.size);
                (past, self.size / step - past / step)
            }
        };
        Windows { grid: self, t, past, next: 0, count }
    }

    /// The slice that contains `t`. Slices tile the time line.
    pub fn slice(self, t: i64) -> TimeWindow {
        let past = self.past(t, self.slice);
        TimeWindow { start: t.saturating_sub(past), end: t.saturating_add(self.slice - past) }
    }

    /// Whether windows are exactly slices: no merging is needed.
    pub fn is_tumble(self) -> bool {
        self.shape == Shape::Tumble
    }

    /// Whether each window extends the one before it (until the size is reached), so that slices can be folded into the
    /// first one as they end.
    pub fn is_cumulate(self) -> bool {
        matches!(self.shape, Shape::Cumulate { .. })
    }

    /// The windows that a slice is part of, by the slice's end.
    pub fn windows_of_slice(self, slice_end: i64) -> Windows {
        self.windows(slice_end.saturating_sub(1))
    }

    /// The first window of a slice that ends after `fired`.
    pub fn next_window(self, slice_end: i64, fired: i64) -> Option<TimeWindow> {
        let windows = self.windows_of_slice(slice_end);
        let (mut low, mut high) = (0, windows.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if windows.get(middle).end > fired {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        (low < windows.count).then(|| windows.get(low))
    }

    /// The end of the last window that a slice is part of: after it the slice is not needed. `None` in a gap between hops.
    pub fn last_window_end(self, slice_end: i64) -> Option<i64> {
        let windows = self.windows_of_slice(slice_end);
        (windows.count > 0).then(|| windows.get(windows.count - 1).end)
    }

    /// The end of the first slice of the window that contains the slice: where a cumulating window keeps its sum.
    pub fn first_slice_end(self, slice_end: i64) -> i64 {
        match self.shape {
            Shape::Tumble | Shape::Hop { .. } => slice_end,
            Shape::Cumulate { step } => {
                let t = slice_end.saturating_sub(1);
                t.saturating_sub(self.past(t, self.size)).saturating_add(step)
            }
        }
    }

    /// How far `t` lies behind the last grid point of this period, without overflow at the ends of `i64`.
    fn past(self, t: i64, period: i64) -> i64 {
        let (t, offset) = (t.rem_euclid(period), self.offset.rem_euclid(period));
        if t >= offset { t - offset } else { t + (period - offset) }
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a.checked_rem(b).unwrap_or(0)) }
}

/// See [`WindowGrid::windows`].
#[derive(Clone, Debug)]
pub struct Windows {
    grid: WindowGrid,
    t: i64,
    /// Distance of `t` from the last start of a hop, or from the start of the (maximal) window.
    past: i64,
    next: i64,
    count: i64,
}

impl Windows {
    fn get(&self, i: i64) -> TimeWindow {
        let Self { grid, t, past, count, .. } = *self;
        // Bounds relative to `t` first: these stay small, so that only the last step can leave the range.
        let (before, after) = match grid.shape {
            Shape::Tumble => (past, grid.size - past),
            Shape::Hop { slide } => {
                let before = past + (count - 1 - i) * slide;
                (before, grid.size - before)
            }
            Shape::Cumulate { step } => (past, (past / step + 1 + i) * step - past),
        };
        TimeWindow { start: t.saturating_sub(before), end: t.saturating_add(after) }
    }
}

impl Iterator for Windows {
    type Item = TimeWindow;

    fn next(&mut self) -> Option<TimeWindow> {
        (self.next < self.count).then(|| {
            self.next += 1;
            self.get(self.next - 1)
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.count - self.next) as usize;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Windows {}

/// Where a new session goes among the open ones of its key (sorted, none touching another): the range of those that it
/// swallows, and what they become together.
pub fn merge_session(open: &[TimeWindow], new: TimeWindow) -> (Range<usize>, TimeWindow) {
    let first = open.partition_point(|s| s.end < new.start);
    let mut last = first;
    let mut merged = new;
    while let Some(&session) = open.get(last)
        && session.touches(merged)
    {
        merged = TimeWindow { start: merged.start.min(session.start), end: merged.end.max(session.end) };
        last += 1;
    }
    (first..last, merged)
}

#[cfg(test)]
mod tests;
