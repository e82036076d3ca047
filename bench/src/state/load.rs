//! Rows to feed, the table under test, and the times of batches.

use super::sink::FileSink;
use sluice_core::hash::KeyHash;
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

/// How long batches took.
#[derive(Default)]
pub struct Stops(Vec<f32>);

impl Stops {
    pub fn add(&mut self, took: Duration) {
        self.0.push(took.as_secs_f32() * 1e3);
    }

    pub fn longest_ms(&self) -> f64 {
        self.0.iter().copied().fold(0.0, f32::max).into()
    }

    pub fn percentile_ms(&self, p: f64) -> f64 {
        let mut v = self.0.clone();
        v.sort_by(f32::total_cmp);
        v.get(((v.len().max(1) - 1) as f64 * p) as usize).copied().unwrap_or(0.0).into()
    }
}
