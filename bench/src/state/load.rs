//! Rows to feed, the table under test, and the times of batches.

use super::sink::FileSink;
use crate::machine;
use crate::report::{Bar, Report};
use sluice_core::hash::KeyHash;
use sluice_runtime::clock::Clock;
use sluice_runtime::operator::{Drained, Scope};
use sluice_runtime::state::WordTable;
use std::time::Duration;

pub const BATCH: usize = 4096;

pub fn hash_words(keys: &[u64]) -> Vec<u64> {
    keys.iter().map(|k| KeyHash::new().int(*k as i64).finish()).collect()
}

/// Batches of uniformly random keys, made beforehand, so that making them is not measured.
pub struct Batches {
    keys: Vec<u64>,
    values: Vec<u64>,
}

impl Batches {
    pub fn new(keys: u64, batches: usize) -> Self {
        let mut x = 0x2545_F491_4F6C_DD1Du64;
        let mut random = || {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x
        };
        let rows = BATCH * batches;
        Self {
            keys: (0..rows).map(|_| random() % keys).collect(),
            values: (0..rows).map(|i| i as u64 & 1023).collect(),
        }
    }

    pub fn rows(&self) -> u64 {
        self.keys.len() as u64
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u64], &[u64])> {
        self.keys.chunks(BATCH).zip(self.values.chunks(BATCH))
    }

    pub fn each(&self, mut f: impl FnMut(&[u64], &[u64])) {
        self.iter().for_each(|(k, v)| f(k, v));
    }
}

/// COUNT and SUM by key as an operator keeps them.
pub struct Counts {
    pub table: WordTable,
    hashes: Vec<u64>,
}

impl Counts {
    pub fn new() -> Self {
        Self { table: WordTable::new(0, 1, 2), hashes: Vec::new() }
    }

    #[inline]
    pub fn update(&mut self, keys: &[u64], values: &[u64]) {
        self.hashes.clear();
        self.hashes.extend(keys.iter().map(|k| KeyHash::new().int(*k as i64).finish()));
        self.table.upsert_batch(&self.hashes, keys, |i, state, _| {
            state[0] += 1;
            state[1] = state[1].wrapping_add(values[i]);
        });
    }

    /// Every key below `keys` once; `batch` is called after each batch.
    pub fn fill(&mut self, keys: u64, mut batch: impl FnMut(u64)) {
        let values = vec![1; BATCH];
        let mut ids = Vec::with_capacity(BATCH);
        let mut at = 0;
        while at < keys {
            ids.clear();
            ids.extend(at..(at + BATCH as u64).min(keys));
            self.update(&ids, &values[..ids.len()]);
            at += ids.len() as u64;
            batch(at);
        }
        assert_eq!(self.table.len() as u64, keys);
    }

    /// Updates one key in `every`, spread over all.
    pub fn touch_every(&mut self, every: u64, keys: u64) {
        let ids: Vec<u64> = (0..keys).step_by(every as usize).collect();
        for chunk in ids.chunks(BATCH) {
            self.update(chunk, &vec![1; chunk.len()]);
        }
    }

    pub fn total(&self) -> u64 {
        let mut n = 0;
        self.table.for_each(|_, _, state| n += state[0]);
        n
    }

    /// A whole snapshot; returns the bytes written.
    pub fn snapshot(&mut self, scope: Scope, sink: &mut FileSink) -> u64 {
        self.table.barrier(scope);
        while self.table.drain(usize::MAX, sink) == Drained::Pending {
            std::thread::yield_now();
        }
        while !sink.end() {
            std::thread::yield_now();
        }
        sink.wait()
    }
}

/// A point in time, by the wall and by what this thread has run.
pub struct Moment {
    pub wall: Duration,
    run_ns: u64,
}

impl Moment {
    pub fn now(clock: &Clock) -> Self {
        Self { wall: clock.elapsed(), run_ns: machine::thread_ns() }
    }

    /// Seconds for which the thread ran; by the wall where the system does not tell.
    pub fn ran_since(&self, from: &Self) -> f64 {
        if self.run_ns == 0 { (self.wall - from.wall).as_secs_f64() } else { (self.run_ns - from.run_ns) as f64 / 1e9 }
    }
}

/// How long batches took.
#[derive(Default)]
pub struct Stops {
    wall_ms: Vec<f32>,
    run_ms: Vec<f32>,
}

impl Stops {
    pub fn add(&mut self, from: &Moment, to: &Moment) {
        self.wall_ms.push((to.wall - from.wall).as_secs_f32() * 1e3);
        self.run_ms.push((to.ran_since(from) * 1e3) as f32);
    }

    /// The bar is on the time that the thread ran: on a machine of its own both are the same.
    pub fn report(mut self, report: &mut Report, what: &str, bar_ms: f64) {
        self.wall_ms.sort_by(f32::total_cmp);
        self.run_ms.sort_by(f32::total_cmp);
        let at =
            |v: &[f32], p: f64| f64::from(v.get(((v.len().max(1) - 1) as f64 * p) as usize).copied().unwrap_or(0.0));
        report.value(format!("longest {what}, running"), at(&self.run_ms, 1.0), "ms", Bar::AtMost(bar_ms));
        report.value(format!("99.9th percentile {what}, running"), at(&self.run_ms, 0.999), "ms", Bar::None);
        report.value(format!("longest {what}, wall"), at(&self.wall_ms, 1.0), "ms", Bar::None);
    }
}
