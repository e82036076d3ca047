//! What a job counts while it runs: plain atomics that tasks add to per batch, never per row.

pub mod exposition;
pub mod server;

use crate::connector::ReaderStats;
use crate::operator::OperatorStats;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Only rises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The last value.
#[derive(Debug)]
pub struct Gauge(AtomicI64);

impl Default for Gauge {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }
}

impl Gauge {
    #[inline]
    pub fn set(&self, v: i64) {
        self.0.store(v, Relaxed);
    }
    /// `None` before the first `set`.
    pub fn get(&self) -> Option<i64> {
        Some(self.0.load(Relaxed)).filter(|v| *v != i64::MIN)
    }
}

/// Of one operator in one task.
#[derive(Debug, Default)]
pub struct OperatorMetrics {
    pub rows_in: Counter,
    pub rows_out: Counter,
    pub late_rows: Counter,
    pub state_rows: Counter,
    pub state_bytes: Counter,
    /// Event time, ms.
    pub watermark: Gauge,
}

impl OperatorMetrics {
    pub fn publish(&self, s: OperatorStats) {
        self.late_rows.set(s.late_rows);
        self.state_rows.set(s.state_rows);
        self.state_bytes.set(s.state_bytes);
    }
}

/// Of one source in one task.
#[derive(Debug, Default)]
pub struct SourceMetrics {
    pub records: Counter,
    pub bytes: Counter,
    pub bad_records: Counter,
    /// 0 when unknown.
    pub total_bytes: Counter,
}

impl SourceMetrics {
    pub fn publish(&self, s: ReaderStats) {
        self.records.set(s.records);
        self.bytes.set(s.bytes);
        self.bad_records.set(s.bad_records);
        self.total_bytes.set(s.total_bytes.unwrap_or(0));
    }
}

/// Where the time of one task goes. Nanoseconds.
#[derive(Debug, Default)]
pub struct TaskMetrics {
    pub busy: Counter,
    pub idle: Counter,
    pub backpressured: Counter,
    /// The longest single step since the start.
    pub longest_step: Counter,
    /// End of the step before, by the clock's `elapsed`.
    last: Counter,
}

impl TaskMetrics {
    /// Accounts a step that began at `began` and took `spent`; the time since the step before belongs to what held it up.
    pub fn took(&self, spent: Duration, began: Duration, blocked: bool, waiting: bool) {
        let spent = spent.as_nanos() as u64;
        let began = began.as_nanos() as u64;
        let gap = began.saturating_sub(self.last.get());
        self.last.set(began + spent);
        if blocked {
            self.backpressured.add(spent + gap);
        } else if waiting {
            self.idle.add(spent + gap);
        } else {
            self.busy.add(spent);
            if spent > self.longest_step.get() {
                self.longest_step.set(spent);
            }
        }
    }
}
