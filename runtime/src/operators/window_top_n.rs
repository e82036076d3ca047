//! Top-N within a window: collected per window and partition, output when the window ends, append-only.

use super::event_times::{EventTimes, domain_of};
use super::late::Late;
use super::top_n::output::RankedOutput;
use super::top_n::partition_hashes;
use super::top_n::ranking::{Inserted, Ranking, sort_key};
use super::window_ends::{WindowEnds, last_instants};
use super::{BuildError, InputShape};
use crate::element::{Batch, RowOp};
use crate::operator::{Drained, MAX_OUTPUT_ROWS, Operator, OperatorContext, OperatorError, OperatorStats, Scope};
use crate::state::{StateBlock, StateSink};
use sluice_core::id::Epoch;
use sluice_core::plan::{Node, Port, SortKey};
use sluice_core::time::{EventTime, ProcTime};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What the plan says about a Top-N within windows.
pub struct WindowTopNPlan<'a> {
    pub end: usize,
    pub partition: &'a [usize],
    pub order: &'a [SortKey],
    pub offset: u64,
    pub limit: u64,
    pub emit_row_number: bool,
}

/// A partition's key: its hash, the bytes of its window and columns.
type Key = (u64, Box<[u8]>);

pub struct WindowTopN {
    ranking: Ranking,
    end: usize,
    partition: Vec<usize>,
    offset: usize,
    /// Partitions of a window in the order in which they began.
    windows: BTreeMap<i64, VecDeque<Key>>,
    firing: VecDeque<Key>,
    time: WindowEnds,
    output: RankedOutput,
    late: Late,
}

impl WindowTopN {
    pub fn new(
        plan: &WindowTopNPlan,
        node: &Node,
        input: &InputShape,
        cx: &OperatorContext,
    ) -> Result<Self, BuildError> {
        let keys = [&[plan.end], plan.partition].concat();
        Ok(Self {
            ranking: Ranking::new(&input.schema, &keys, plan.order, plan.limit, false)?,
            end: plan.end,
            partition: plan.partition.to_vec(),
            offset: usize::try_from(plan.offset).unwrap_or(usize::MAX),
            windows: BTreeMap::new(),
            firing: VecDeque::new(),
            time: WindowEnds::new(domain_of(input.schema.field(plan.end)), cx.allowed_lateness_ms),
            output: RankedOutput::new(&node.schema, plan.emit_row_number, false),
            late: Late::new(&node.id, cx),
        })
    }

    /// Ranks one row in its window.
    fn rank(&mut self, end: i64, (hash, key): (u64, &[u8]), sort: &[u8], bytes: &[u8]) {
        if self.ranking.partition(hash, key).is_none() {
            self.windows.entry(end).or_default().push_back((hash, key.into()));
        }
        if let Inserted::At(_, Some(evicted)) = self.ranking.insert(hash, key, sort, bytes, end) {
            self.ranking.rows.remove(evicted);
        }
    }

    /// Outputs one partition of a window that has ended; false when there is none.
    fn fire(&mut self) -> bool {
        if self.firing.is_empty() {
            self.firing = self.time.pop_due(&mut self.windows).unwrap_or_default();
        }
        let Some((hash, key)) = self.firing.pop_front() else { return false };
        if let Some(partition) = self.ranking.take_partition(hash, &key) {
            for (i, row) in partition.top.iter().enumerate().skip(self.offset) {
                self.output.push(RowOp::Insert, &self.ranking.rows.get(row.id).bytes, i + 1);
            }
            self.ranking.forget(partition);
        }
        true
    }
}

impl Operator for WindowTopN {
    fn process(&mut self, _input: usize, batch: Batch) -> Result<(), OperatorError> {
        let ends = EventTimes::read(batch.rows.column(self.end), "a window Top-N")?;
        let hashes =
            batch.hashes.as_ref().map_or_else(|| partition_hashes(&batch.rows, &self.partition), |h| h.to_vec());
        let keys = self.ranking.encode_keys(batch.rows.columns(), batch.len());
        let sorts = self.ranking.sort_keys(batch.rows.columns())?;
        let bytes = self.ranking.encode_rows(&batch.rows);
        let mut late = vec![];
        for (i, hash) in hashes.iter().enumerate() {
            match ends.get(i).filter(|end| !self.time.is_over(*end)) {
                None => late.push(i as u32),
                Some(end) => self.rank(end, (*hash, keys.row(i)), sort_key(sorts.as_ref(), i), bytes.row(i)),
            }
        }
        self.late.add(&batch.rows, late, &last_instants(&ends))
    }

    fn watermark(&mut self, watermark: EventTime) -> Result<(), OperatorError> {
        self.time.watermark(watermark);
        Ok(())
    }

    fn output_watermark(&self, watermark: EventTime) -> EventTime {
        self.time.output_watermark(watermark)
    }

    fn clock(&mut self, now: ProcTime) -> Result<(), OperatorError> {
        self.time.clock(now);
        Ok(())
    }

    fn next_timer(&self) -> Option<ProcTime> {
        self.time.next_timer(self.windows.keys().next().copied())
    }

    fn next_output(&mut self) -> Result<Option<Batch>, OperatorError> {
        while self.output.waiting() < MAX_OUTPUT_ROWS && self.fire() {}
        self.output.next(&self.ranking.codec)
    }

    fn next_side_output(&mut self) -> Option<(Port, Batch)> {
        self.late.next()
    }

    fn barrier(&mut self, epoch: Epoch, scope: Scope) {
        self.ranking.rows.barrier(epoch, scope);
    }

    fn drain(&mut self, budget: usize, sink: &mut dyn StateSink) -> Drained {
        self.ranking.rows.drain(budget, sink)
    }

    fn restore(&mut self, block: &StateBlock) -> Result<(), OperatorError> {
        if block.table != self.ranking.rows.table() {
            return Err(OperatorError::UnexpectedState { table: block.table });
        }
        Ok(self.ranking.rows.restore(block)?)
    }

    fn restored(&mut self, watermark: EventTime) -> Result<(), OperatorError> {
        self.time.watermark(watermark);
        let (windows, mut seen) = (&mut self.windows, BTreeSet::new());
        self.ranking.restored(|ranking, ids, keys| {
            for (i, id) in ids.iter().enumerate() {
                let row = ranking.rows.get(*id);
                let key: Key = (row.hash, keys.row(i).into());
                if seen.insert(key.clone()) {
                    windows.entry(row.time).or_default().push_back(key);
                }
            }
        })
    }

    fn stats(&self) -> OperatorStats {
        OperatorStats {
            late_rows: self.late.count(),
            state_rows: self.ranking.rows.len() as u64,
            state_bytes: self.ranking.bytes() as u64,
        }
    }
}

#[cfg(test)]
mod tests;
