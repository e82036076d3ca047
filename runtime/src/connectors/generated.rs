//! Sources whose rows are a pure function of a number: `datagen` and `nexmark`. A position is the next number, so that any
//! of them can be resumed exactly.
//!
//! Split i of n has the numbers i, i + n, i + 2n, …; the count is part of the split's id, for with another count the same
//! numbers would be other splits'.

use crate::clock::Clock;
use crate::connector::{ConnectorError, Polled, ReaderStats, Source, SourceGuarantee, Split, SplitReader};
use arrow::array::RecordBatch;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Rows of a batch, about.
const BATCH_ROWS: u64 = 4096;

/// Makes the rows of numbers.
pub(super) trait Generator: Send + Sync {
    /// Rows of `first`, `first + step`, … (`count` numbers), in this order.
    fn rows(&self, first: u64, step: u64, count: usize) -> RecordBatch;
    /// Numbers per row, where not each has one.
    fn numbers_per_row(&self) -> u64 {
        1
    }
}

/// How many numbers there are and how fast they come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub splits: u32,
    /// All numbers below it; `None`: for ever.
    pub limit: Option<u64>,
    /// Numbers per second over all splits; `None`: as fast as they are taken.
    pub rate: Option<f64>,
}

pub(super) struct GeneratedSource {
    pub table: String,
    pub shape: Shape,
    pub generator: Arc<dyn Generator>,
    pub clock: Clock,
}

impl Source for GeneratedSource {
    fn guarantee(&self) -> SourceGuarantee {
        SourceGuarantee::Replayable
    }

    fn splits(&mut self) -> Result<Vec<Split>, ConnectorError> {
        let n = self.shape.splits;
        let split = |i| Split { id: format!("{i}/{n}"), position: serde_json::Value::Null, finished: false };
        Ok((0..n).map(split).collect())
    }

    fn unbounded(&self) -> bool {
        self.shape.limit.is_none()
    }

    fn at_current_end(&self, split: Split) -> Split {
        split
    }

    fn reader(&self) -> Result<Box<dyn SplitReader>, ConnectorError> {
        Ok(Box::new(GeneratedReader {
            table: self.table.clone(),
            shape: self.shape,
            generator: self.generator.clone(),
            clock: self.clock.clone(),
            splits: vec![],
            turn: 0,
            stats: ReaderStats::default(),
        }))
    }
}

#[derive(Serialize, Deserialize)]
struct Position {
    next: u64,
}

struct GeneratedSplit {
    id: String,
    /// Distance of its numbers.
    step: u64,
    next: u64,
    finished: bool,
    /// Pacing counts from here.
    opened: Duration,
    given: u64,
}

struct GeneratedReader {
    table: String,
    shape: Shape,
    generator: Arc<dyn Generator>,
    clock: Clock,
    splits: Vec<GeneratedSplit>,
    turn: usize,
    stats: ReaderStats,
}

impl GeneratedReader {
    /// Numbers that a split may give now.
    fn allowance(&self, split: &GeneratedSplit) -> u64 {
        let most = BATCH_ROWS * self.generator.numbers_per_row();
        let left = self.shape.limit.map_or(u64::MAX, |l| l.saturating_sub(split.next).div_ceil(split.step));
        let paced = self.shape.rate.map_or(u64::MAX, |rate| {
            let due = (self.clock.elapsed().saturating_sub(split.opened)).as_secs_f64() * rate / split.step as f64;
            (due as u64).saturating_sub(split.given)
        });
        most.min(left).min(paced)
    }
}

impl SplitReader for GeneratedReader {
    fn open(&mut self, split: Split) -> Result<(), ConnectorError> {
        let wrong = || ConnectorError::Failed {
            table: self.table.clone(),
            message: format!("split '{}' with position {} is not one of a generator", split.id, split.position),
        };
        let (first, step) = split.id.split_once('/').ok_or_else(wrong)?;
        let (first, step): (u64, u64) =
            first.parse().ok().zip(step.parse().ok()).filter(|(f, s)| f < s).ok_or_else(wrong)?;
        let next = match &split.position {
            serde_json::Value::Null => first,
            json => serde_json::from_value::<Position>(json.clone()).map_err(|_| wrong())?.next,
        };
        let opened = self.clock.elapsed();
        self.splits.push(GeneratedSplit { id: split.id, step, next, finished: split.finished, opened, given: 0 });
        Ok(())
    }

    fn poll(&mut self) -> Result<Polled, ConnectorError> {
        let count = self.splits.len();
        for _ in 0..count {
            let number = self.turn % count;
            self.turn = (number + 1) % count;
            let split = &self.splits[number];
            if split.finished {
                continue;
            }
            if self.shape.limit.is_some_and(|l| split.next >= l) {
                self.splits[number].finished = true;
                return Ok(Polled::Finished { split: number });
            }
            let numbers = self.allowance(split);
            if numbers == 0 {
                continue;
            }
            let rows = self.generator.rows(split.next, split.step, numbers as usize);
            let split = &mut self.splits[number];
            split.next += numbers * split.step;
            split.given += numbers;
            self.stats.records += rows.num_rows() as u64;
            if rows.num_rows() > 0 {
                self.stats.bytes += rows.get_array_memory_size() as u64;
                return Ok(Polled::Rows { split: number, rows });
            }
        }
        Ok(if self.splits.iter().all(|s| s.finished) { Polled::End } else { Polled::Pending })
    }

    fn splits(&self) -> Vec<Split> {
        let position = |next| serde_json::to_value(Position { next }).expect("a number is JSON");
        self.splits
            .iter()
            .map(|s| Split { id: s.id.clone(), position: position(s.next), finished: s.finished })
            .collect()
    }

    fn stats(&self) -> ReaderStats {
        self.stats
    }
}

/// 64 random bits that depend on nothing but their inputs (the finisher of splitmix64 over a mix of the three).
#[inline]
pub(super) fn draw(seed: u64, number: u64, field: u64) -> u64 {
    let mut x = seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ field.wrapping_mul(0xD6E8_FEB8_6659_FD93);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A draw as a number below `n`.
#[inline]
pub(super) fn below(n: u64, draw: u64) -> u64 {
    ((u128::from(draw) * u128::from(n)) >> 64) as u64
}

/// A draw as a number in [0, 1).
#[inline]
pub(super) fn unit(draw: u64) -> f64 {
    (draw >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// All rows of a bounded source in the order of its numbers' batches, cut after about `stop` rows and reopened.
    pub(in crate::connectors) fn read(source: &mut dyn Source, stop: usize) -> Vec<RecordBatch> {
        let mut batches = vec![];
        let mut splits = source.splits().unwrap();
        for stop in [stop, usize::MAX] {
            let mut reader = source.reader().unwrap();
            for split in splits.drain(..) {
                reader.open(split).unwrap();
            }
            let mut rows = 0;
            while rows < stop {
                match reader.poll().unwrap() {
                    Polled::Rows { rows: batch, .. } => {
                        rows += batch.num_rows();
                        batches.push(batch);
                    }
                    Polled::Finished { .. } | Polled::Pending => {}
                    Polled::End => break,
                }
            }
            splits = serde_json::from_str(&serde_json::to_string(&reader.splits()).unwrap()).unwrap();
        }
        assert!(splits.iter().all(|s| s.finished));
        batches
    }
}
