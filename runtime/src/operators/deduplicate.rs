//! Deduplication: one row per key, the first or the last, by arrival or by event time.
//!
//! The first by arrival never changes: its state is the bare key and its output append-only. All others give an update when
//! a better row comes. By event time a tie keeps the first arrival for `First` and the last for `Last`; a NULL time is before
//! every other, as in an `ORDER BY`. Late rows count like others.

use super::event_times::EventTimes;
use super::expiry::{Expiry, NOT_YET};
use super::top_n::output::RankedOutput;
use super::top_n::partition_hashes;
use super::{BuildError, InputShape};
use crate::element::{Batch, RowOp};
use crate::operator::{Drained, Operator, OperatorContext, OperatorError, OperatorStats, Scope};
use crate::row::{RowBuffer, RowCodec, RowError};
use crate::state::{KeyedTable, StateBlock, StateSink, StateValue};
use arrow::array::{ArrayRef, BooleanArray, Int8Array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::DataType;
use sluice_core::id::Epoch;
use sluice_core::plan::{Changelog, DedupOrder, Keep, Node, Ttl};
use sluice_core::time::{EventTime, ProcTime};
use std::collections::VecDeque;
use std::sync::Arc;

const TABLE: u8 = 0;

pub struct Deduplicate {
    keys: Vec<usize>,
    order: DedupOrder,
    keep: Keep,
    /// Whether the output carries ops; by the plan, not by what is kept.
    append: bool,
    key_codec: RowCodec,
    codec: RowCodec,
    table: KeyedTable<Kept>,
    /// Heap bytes of the values.
    heap: usize,
    expiry: Option<Expiry<(u64, Box<[u8]>)>>,
    clock: crate::clock::Clock,
    updates: RankedOutput,
    firsts: VecDeque<Batch>,
}

/// What is known of a key. The row is empty where it is never taken back.
#[derive(Debug)]
struct Kept {
    time: i64,
    /// For the time to live; 0 without one.
    touched: i64,
    row: Vec<u8>,
}

const HAS_TIME: u8 = 1;
const HAS_TOUCHED: u8 = 2;

impl StateValue for Kept {
    fn encode(&self, out: &mut Vec<u8>) {
        let flag = |yes: bool, flag: u8| if yes { flag } else { 0 };
        out.push(flag(self.time != 0, HAS_TIME) | flag(self.touched != 0, HAS_TOUCHED));
        if self.time != 0 {
            out.extend_from_slice(&self.time.to_le_bytes());
        }
        if self.touched != 0 {
            out.extend_from_slice(&self.touched.to_le_bytes());
        }
        out.extend_from_slice(&self.row);
    }

    fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        const SHORT: RowError = RowError::Damaged("stored row is too short");
        let (&flags, mut rest) = bytes.split_first().ok_or(SHORT)?;
        if flags > HAS_TIME | HAS_TOUCHED {
            return Err(RowError::Damaged("stored row has unknown parts"));
        }
        let mut word = |present: u8| -> Result<i64, RowError> {
            if flags & present == 0 {
                return Ok(0);
            }
            let (word, tail) = rest.split_first_chunk::<8>().ok_or(SHORT)?;
            rest = tail;
            Ok(i64::from_le_bytes(*word))
        };
        let (time, touched) = (word(HAS_TIME)?, word(HAS_TOUCHED)?);
        Ok(Self { time, touched, row: rest.to_vec() })
    }

    fn heap_bytes(&self) -> usize {
        self.row.capacity()
    }
}

/// What the plan says about a deduplication.
pub struct DeduplicatePlan<'a> {
    pub keys: &'a [usize],
    pub order: DedupOrder,
    pub keep: Keep,
    pub ttl: Option<Ttl>,
}

impl Deduplicate {
    pub fn new(
        plan: &DeduplicatePlan,
        node: &Node,
        input: &InputShape,
        cx: &OperatorContext,
    ) -> Result<Self, BuildError> {
        let first_arrival = plan.order == DedupOrder::ProcTime && plan.keep == Keep::First;
        if node.changelog == Changelog::Append && !first_arrival {
            return Err(BuildError::NeedsUpdates(node.label.clone()));
        }
        let types = |columns: &mut dyn Iterator<Item = usize>| -> Vec<DataType> {
            columns.map(|c| input.schema.field(c).data_type().clone()).collect()
        };
        Ok(Self {
            keys: plan.keys.to_vec(),
            order: plan.order,
            keep: plan.keep,
            append: node.changelog == Changelog::Append,
            key_codec: RowCodec::new(&types(&mut plan.keys.iter().copied()))?,
            codec: RowCodec::new(&types(&mut (0..input.schema.fields().len())))?,
            table: KeyedTable::new(TABLE, cx.key_groups),
            heap: 0,
            expiry: plan.ttl.map(Expiry::new),
            clock: cx.clock.clone(),
            updates: RankedOutput::new(&node.schema, false, true),
            firsts: VecDeque::new(),
        })
    }

    /// Removes the key if its time is over; whether it is known after that.
    fn is_known(&mut self, hash: u64, key: &[u8]) -> bool {
        let Some(kept) = self.table.get(hash, key) else { return false };
        if self.expiry.as_ref().is_some_and(|e| e.is_expired(kept.touched)) {
            self.forget(hash, key);
            return false;
        }
        true
    }

    fn forget(&mut self, hash: u64, key: &[u8]) {
        if let Some(kept) = self.table.remove(hash, key) {
            self.heap -= kept.row.capacity();
        }
    }

    fn insert(&mut self, hash: u64, key: &[u8], kept: Kept) {
        self.heap += kept.row.capacity();
        if let Some(expiry) = &mut self.expiry {
            expiry.watch(kept.touched, (hash, key.into()));
        }
        self.table.entry(hash, key, || kept);
    }

    fn ops(&self, rows: usize) -> Option<Int8Array> {
        (!self.append).then(|| vec![RowOp::Insert as i8; rows].into())
    }

    /// Whether nothing is ever taken back.
    fn keeps_first_arrival(&self) -> bool {
        self.order == DedupOrder::ProcTime && self.keep == Keep::First
    }

    /// Lets the first row of every key through.
    fn firsts(&mut self, batch: Batch, hashes: &[u64], keys: &RowBuffer) -> Result<(), OperatorError> {
        let touched = self.expiry.as_ref().map_or(0, Expiry::stamp);
        let mut new = vec![false; batch.len()];
        for (i, new) in new.iter_mut().enumerate() {
            self.table.prefetch(hashes[(i + AHEAD).min(hashes.len() - 1)]);
            if !self.is_known(hashes[i], keys.row(i)) {
                self.insert(hashes[i], keys.row(i), Kept { time: 0, touched, row: vec![] });
                *new = true;
            }
        }
        let rows = filter_record_batch(&batch.rows, &BooleanArray::from(new)).map_err(OperatorError::Output)?;
        if rows.num_rows() > 0 {
            self.firsts.push_back(Batch { ops: self.ops(rows.num_rows()), rows, hashes: None });
        }
        Ok(())
    }

    /// Compares every row with the one that is kept.
    fn update(&mut self, batch: &Batch, hashes: &[u64], keys: &RowBuffer) -> Result<(), OperatorError> {
        let times = match self.order {
            DedupOrder::ProcTime => None,
            DedupOrder::RowTime(column) => Some(EventTimes::read(batch.rows.column(column), "a deduplication")?),
        };
        let mut rows = RowBuffer::default();
        self.codec.encode(batch.rows.columns(), batch.len(), &mut rows);
        let touched = self.expiry.as_ref().map_or(0, Expiry::stamp);
        for i in 0..batch.len() {
            let (hash, key, row) = (hashes[i], keys.row(i), rows.row(i));
            let time = times.as_ref().map_or(0, |t| t.get(i).unwrap_or(i64::MIN));
            self.table.prefetch(hashes[(i + AHEAD).min(hashes.len() - 1)]);
            if !self.is_known(hash, key) {
                self.insert(hash, key, Kept { time, touched, row: row.to_vec() });
                self.updates.push(RowOp::Insert, row, 0);
                continue;
            }
            let better = self.table.get(hash, key).is_some_and(|kept| match self.keep {
                // By arrival a row that says the same again is no news; with a time to live it renews it.
                Keep::Last if times.is_none() => self.expiry.is_some() || kept.row != row,
                Keep::Last => time >= kept.time,
                Keep::First => times.is_some() && time < kept.time,
            });
            if better && let Some(kept) = self.table.get_mut(hash, key) {
                self.updates.push(RowOp::UpdateBefore, &kept.row, 0);
                self.updates.push(RowOp::UpdateAfter, row, 0);
                self.heap -= kept.row.capacity();
                kept.row.clear();
                kept.row.extend_from_slice(row);
                self.heap += kept.row.capacity();
                (kept.time, kept.touched) = (time, touched);
            }
        }
        Ok(())
    }

    fn tick(&mut self, tick: impl FnOnce(&mut Expiry<(u64, Box<[u8]>)>)) {
        let Some(expiry) = &mut self.expiry else { return };
        tick(expiry);
        for (hash, key) in expiry.take_due() {
            self.look_at(hash, key);
        }
    }

    fn look_at(&mut self, hash: u64, key: Box<[u8]>) {
        let (Some(expiry), Some(kept)) = (&mut self.expiry, self.table.get(hash, &key)) else { return };
        let (touched, now) = (kept.touched, expiry.stamp());
        if expiry.is_expired(touched) {
            self.forget(hash, &key);
            return;
        }
        if touched == NOT_YET
            && let Some(kept) = self.table.get_mut(hash, &key)
        {
            kept.touched = now;
        }
        expiry.watch(if touched == NOT_YET { now } else { touched }, (hash, key));
    }
}

/// How far ahead the memory of a key is asked for: measured best at 16 for keyed tables.
const AHEAD: usize = 16;

impl Operator for Deduplicate {
    fn process(&mut self, _input: usize, batch: Batch) -> Result<(), OperatorError> {
        let now = self.clock.now();
        self.tick(|e| e.clock(now));
        let hashes = batch.hashes.clone().unwrap_or_else(|| partition_hashes(&batch.rows, &self.keys).into());
        let columns: Vec<ArrayRef> = self.keys.iter().map(|c| Arc::clone(batch.rows.column(*c))).collect();
        let mut keys = RowBuffer::default();
        self.key_codec.encode(&columns, batch.len(), &mut keys);
        if self.keeps_first_arrival() {
            self.firsts(batch, &hashes, &keys)
        } else {
            self.update(&batch, &hashes, &keys)
        }
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
        match self.firsts.pop_front() {
            Some(batch) => Ok(Some(batch)),
            None => self.updates.next(&self.codec),
        }
    }

    fn barrier(&mut self, epoch: Epoch, scope: Scope) {
        self.table.barrier(epoch, scope);
    }

    fn drain(&mut self, budget: usize, sink: &mut dyn StateSink) -> Drained {
        self.table.drain(budget, sink)
    }

    fn restore(&mut self, block: &StateBlock) -> Result<(), OperatorError> {
        if block.table != TABLE {
            return Err(OperatorError::UnexpectedState { table: block.table });
        }
        Ok(self.table.restore(block)?)
    }

    fn restored(&mut self, watermark: EventTime) -> Result<(), OperatorError> {
        self.tick(|e| e.watermark(watermark));
        let (expiry, heap) = (&mut self.expiry, &mut self.heap);
        self.table.for_each(|hash, key, kept| {
            *heap += kept.row.capacity();
            if let Some(expiry) = expiry {
                expiry.watch(kept.touched, (hash, key.into()));
            }
        });
        Ok(())
    }

    fn stats(&self) -> OperatorStats {
        let state_bytes = (self.table.bytes() + self.heap) as u64;
        OperatorStats { late_rows: 0, state_rows: self.table.len() as u64, state_bytes }
    }
}

#[cfg(test)]
mod tests;
