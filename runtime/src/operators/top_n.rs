//! Top-N: the first rows of every partition, kept up to date (`ROW_NUMBER() OVER (PARTITION BY … ORDER BY …) <= n`).
//!
//! With a row number in the output every row whose rank changes is taken back and sent again; without, only rows that enter
//! or leave. An append-only input needs no more than the first `limit` rows of a partition; where rows can be taken back all
//! of them are kept, for any may move up. The rules are Flink's (`AppendOnlyTopNFunction`, `RetractableTopNFunction`).
//!
//! The time to live is that of a partition: a rank without its neighbours would mean nothing.

pub(super) mod output;
pub(super) mod ranking;

use crate::element::{Batch, RowOp};
use crate::operator::{Drained, MAX_OUTPUT_ROWS, Operator, OperatorContext, OperatorError, OperatorStats, Scope};
use crate::operators::expiry::{Expiry, NOT_YET};
use crate::operators::{BuildError, InputShape};
use crate::row::{RowBuffer, hash_columns};
use crate::state::{StateBlock, StateSink};
use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::row::Rows;
use output::RankedOutput;
use ranking::{Inserted, Ranking, sort_key};
use sluice_core::id::Epoch;
use sluice_core::plan::{Changelog, Node, SortKey, Ttl};
use sluice_core::time::{EventTime, ProcTime};
use std::sync::Arc;

/// What the plan says about a Top-N.
pub struct TopNPlan<'a> {
    pub partition: &'a [usize],
    pub order: &'a [SortKey],
    pub offset: u64,
    pub limit: u64,
    pub emit_row_number: bool,
    pub ttl: Option<Ttl>,
}

pub struct TopN {
    ranking: Ranking,
    partition: Vec<usize>,
    retracts: bool,
    offset: usize,
    emit_row_number: bool,
    expiry: Option<Expiry<(u64, Box<[u8]>)>>,
    clock: crate::clock::Clock,
    staged: Option<Staged>,
    output: RankedOutput,
}

struct Staged {
    batch: Batch,
    hashes: Vec<u64>,
    keys: RowBuffer,
    sorts: Option<Rows>,
    bytes: RowBuffer,
    row: usize,
}

impl TopN {
    pub fn new(plan: &TopNPlan, node: &Node, input: &InputShape, cx: &OperatorContext) -> Result<Self, BuildError> {
        let retracts = input.retracts();
        Ok(Self {
            ranking: Ranking::new(&input.schema, plan.partition, plan.order, plan.limit, retracts)?,
            partition: plan.partition.to_vec(),
            retracts,
            offset: usize::try_from(plan.offset).unwrap_or(usize::MAX),
            emit_row_number: plan.emit_row_number,
            expiry: plan.ttl.map(Expiry::new),
            clock: cx.clock.clone(),
            staged: None,
            output: RankedOutput::new(&node.schema, plan.emit_row_number, node.changelog == Changelog::Retract),
        })
    }

    fn stage(&self, batch: Batch) -> Result<Option<Staged>, OperatorError> {
        let hashes = self.hashes(&batch);
        let keys = self.ranking.encode_keys(batch.rows.columns(), batch.len());
        let sorts = self.ranking.sort_keys(batch.rows.columns())?;
        if self.retracts {
            let bytes = self.ranking.encode_rows(&batch.rows);
            return Ok(Some(Staged { batch, hashes, keys, sorts, bytes, row: 0 }));
        }
        // Most rows of a long stream are behind the first n; they need not even be encoded.
        let ahead: Vec<bool> =
            (0..batch.len()).map(|i| self.is_ahead(hashes[i], keys.row(i), sort_key(sorts.as_ref(), i))).collect();
        let count = ahead.iter().filter(|a| **a).count();
        if count == 0 {
            return Ok(None);
        }
        if count == batch.len() {
            let bytes = self.ranking.encode_rows(&batch.rows);
            return Ok(Some(Staged { batch, hashes, keys, sorts, bytes, row: 0 }));
        }
        let rows =
            filter_record_batch(&batch.rows, &BooleanArray::from(ahead.clone())).map_err(OperatorError::Output)?;
        let hashes = hashes.into_iter().zip(ahead).filter_map(|(h, ahead)| ahead.then_some(h)).collect();
        let keys = self.ranking.encode_keys(rows.columns(), rows.num_rows());
        let sorts = self.ranking.sort_keys(rows.columns())?;
        let bytes = self.ranking.encode_rows(&rows);
        Ok(Some(Staged { batch: Batch::append(rows), hashes, keys, sorts, bytes, row: 0 }))
    }

    /// Whether a row can come among the first of its partition, as far as is known before the batch.
    fn is_ahead(&self, hash: u64, key: &[u8], sort: &[u8]) -> bool {
        self.ranking.partition(hash, key).is_none_or(|p| {
            !self.ranking.is_full_before(p, sort) || self.expiry.as_ref().is_some_and(|e| e.is_expired(p.touched))
        })
    }

    fn hashes(&self, batch: &Batch) -> Vec<u64> {
        batch.hashes.as_ref().map_or_else(|| partition_hashes(&batch.rows, &self.partition), |h| h.to_vec())
    }

    /// One row in; what it changes goes to the output.
    fn step(&mut self, staged: &Staged, i: usize) {
        let (hash, key) = (staged.hashes[i], staged.keys.row(i));
        let (sort, bytes) = (sort_key(staged.sorts.as_ref(), i), staged.bytes.row(i));
        let time = self.expiry.as_ref().map_or(0, Expiry::stamp);
        self.drop_if_expired(hash, key);
        if staged.batch.op(i).adds() {
            let is_new = self.expiry.is_some() && self.ranking.partition(hash, key).is_none();
            let inserted = self.ranking.insert(hash, key, sort, bytes, time);
            if let (true, Some(expiry)) = (is_new, &mut self.expiry) {
                expiry.watch(time, (hash, key.into()));
            }
            if let Inserted::At(at, evicted) = inserted {
                self.tell_inserted(hash, key, at, evicted);
                if let Some(evicted) = evicted.filter(|_| !self.retracts) {
                    self.ranking.rows.remove(evicted);
                }
            }
            return;
        }
        // A row whose state is gone is nothing to take back, as in Flink.
        let Some(id) = self.ranking.find(bytes) else { return };
        let removed = self.ranking.take_out(key, sort, id, time);
        self.ranking.rows.remove(id);
        if let Some(at) = removed.at {
            self.tell_removed(hash, key, at, removed.promoted, bytes);
        }
        if self.expiry.is_some()
            && let Some(first) = self.ranking.partition(hash, key).map(|p| p.top[0].id)
        {
            // The partition's age is in its rows: one of them has to carry the time of this change.
            self.ranking.rows.update(first).time = time;
        }
    }

    fn drop_if_expired(&mut self, hash: u64, key: &[u8]) {
        let Some(expiry) = &self.expiry else { return };
        if self.ranking.partition(hash, key).is_some_and(|p| expiry.is_expired(p.touched))
            && let Some(partition) = self.ranking.take_partition(hash, key)
        {
            self.ranking.forget(partition);
        }
    }

    fn tell_inserted(&mut self, hash: u64, key: &[u8], at: usize, evicted: Option<crate::operators::row_slab::RowId>) {
        let Some(partition) = self.ranking.partition(hash, key) else { return };
        let (rows, output, top) = (&self.ranking.rows, &mut self.output, &partition.top);
        let bytes = |id| -> &[u8] { &rows.get(id).bytes };
        let from = at.max(self.offset);
        if from >= top.len() {
            return;
        }
        if !self.emit_row_number {
            if let Some(evicted) = evicted {
                output.push(RowOp::Delete, bytes(evicted), 0);
            }
            output.push(RowOp::Insert, bytes(top[from].id), 0);
            return;
        }
        for rank in from..top.len() {
            let before = top.get(rank + 1).map(|r| r.id).or(evicted);
            if let Some(before) = before {
                output.push(RowOp::UpdateBefore, bytes(before), rank + 1);
                output.push(RowOp::UpdateAfter, bytes(top[rank].id), rank + 1);
            } else {
                output.push(RowOp::Insert, bytes(top[rank].id), rank + 1);
            }
        }
    }

    fn tell_removed(&mut self, hash: u64, key: &[u8], at: usize, promoted: bool, removed: &[u8]) {
        let partition = self.ranking.partition(hash, key);
        let top = partition.map_or(&[][..], |p| &p.top);
        let (rows, output) = (&self.ranking.rows, &mut self.output);
        // The row that stood at an index before.
        let before = |index: usize| -> &[u8] { if index == at { removed } else { &rows.get(top[index - 1].id).bytes } };
        let from = at.max(self.offset);
        let length = if promoted { top.len() } else { top.len() + 1 };
        if from >= length {
            return;
        }
        if !self.emit_row_number {
            output.push(RowOp::Delete, before(from), 0);
            if promoted {
                output.push(RowOp::Insert, &rows.get(top[top.len() - 1].id).bytes, 0);
            }
            return;
        }
        for index in from..length {
            if let Some(now) = top.get(index) {
                output.push(RowOp::UpdateBefore, before(index), index + 1);
                output.push(RowOp::UpdateAfter, &rows.get(now.id).bytes, index + 1);
            } else {
                output.push(RowOp::Delete, before(index), index + 1);
            }
        }
    }

    fn tick(&mut self, tick: impl FnOnce(&mut Expiry<(u64, Box<[u8]>)>)) {
        let Some(expiry) = &mut self.expiry else { return };
        tick(expiry);
        for (hash, key) in expiry.take_due() {
            let Some(partition) = self.ranking.partition(hash, &key) else { continue };
            let touched = partition.touched;
            if expiry.is_expired(touched) {
                if let Some(partition) = self.ranking.take_partition(hash, &key) {
                    self.ranking.forget(partition);
                }
                continue;
            }
            let time = if touched == NOT_YET { expiry.stamp() } else { touched };
            if touched == NOT_YET {
                self.ranking.restamp(hash, &key, time);
            }
            expiry.watch(time, (hash, key));
        }
    }
}

/// Key hashes of the rows' partitions.
pub(super) fn partition_hashes(rows: &RecordBatch, partition: &[usize]) -> Vec<u64> {
    let columns: Vec<ArrayRef> = partition.iter().map(|c| Arc::clone(rows.column(*c))).collect();
    let mut hashes = vec![];
    hash_columns(&columns, rows.num_rows(), &mut hashes);
    hashes
}

impl Operator for TopN {
    fn process(&mut self, _input: usize, batch: Batch) -> Result<(), OperatorError> {
        let now = self.clock.now();
        self.tick(|e| e.clock(now));
        self.staged = self.stage(batch)?;
        Ok(())
    }

    fn watermark(&mut self, watermark: EventTime) -> Result<(), OperatorError> {
        self.tick(|e| e.watermark(watermark));
        Ok(())
    }

    fn clock(&mut self, now: ProcTime) -> Result<(), OperatorError> {
        self.tick(|e| e.clock(now));
        Ok(())
    }

    fn next_timer(&self) -> Option<ProcTime> {
        self.expiry.as_ref()?.next_timer()
    }

    fn next_output(&mut self) -> Result<Option<Batch>, OperatorError> {
        if let Some(mut staged) = self.staged.take() {
            while staged.row < staged.batch.len() && self.output.waiting() < MAX_OUTPUT_ROWS {
                self.step(&staged, staged.row);
                staged.row += 1;
            }
            if staged.row < staged.batch.len() {
                self.staged = Some(staged);
            }
        }
        self.output.next(&self.ranking.codec)
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
        self.tick(|e| e.watermark(watermark));
        let mut partitions = std::collections::BTreeSet::new();
        let watched = self.expiry.is_some();
        self.ranking.restored(|ranking, ids, keys| {
            for (i, id) in ids.iter().enumerate().filter(|_| watched) {
                partitions.insert((ranking.rows.get(*id).hash, Box::<[u8]>::from(keys.row(i))));
            }
        })?;
        for (hash, key) in partitions {
            if let (Some(expiry), Some(partition)) = (&mut self.expiry, self.ranking.partition(hash, &key)) {
                expiry.watch(partition.touched, (hash, key));
            }
        }
        Ok(())
    }

    fn stats(&self) -> OperatorStats {
        OperatorStats {
            late_rows: 0,
            state_rows: self.ranking.rows.len() as u64,
            state_bytes: self.ranking.bytes() as u64,
        }
    }
}

#[cfg(test)]
mod tests;
