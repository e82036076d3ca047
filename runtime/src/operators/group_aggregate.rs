//! Non-windowed `GROUP BY` (and `SELECT DISTINCT`, which has no aggregates): the result of a group is updated by every batch.
//!
//! All rows of a batch are folded into their groups before a result is compared: a group that is touched gives at most one
//! change per batch, in the order in which groups are first touched. A new group is `+I`; a changed result is `-U`, `+U`; an
//! equal result is not repeated, unless state has a time to live: then it keeps the state behind alive (as in Flink). When a
//! group has lost its last row it is `-D`. A retraction for a group that is not known (its time to live was over) is ignored.
//! Without keys there is one group, and no result before the first row.
//!
//! A group that has not changed for the time to live is forgotten without a word: its next row starts it anew.

use super::batch_groups::BatchGroups;
use super::groups::{GroupMut, Groups};
use super::idle_groups::IdleGroups;
use super::keys::Keys;
use super::{BuildError, InputShape};
use crate::aggregate::{AggregateSet, Inputs, Results};
use crate::element::{Batch, RowOp};
use crate::operator::{Drained, MAX_OUTPUT_ROWS, Operator, OperatorContext, OperatorError, OperatorStats, Scope};
use crate::row::{RowBuffer, RowCodec};
use crate::state::{StateBlock, StateSink};
use arrow::array::{Array, ArrayRef, Int8Array, RecordBatch, UInt32Array};
use arrow::compute::kernels::cmp::not_distinct;
use arrow::compute::{interleave, take};
use arrow::datatypes::SchemaRef;
use sluice_core::id::Epoch;
use sluice_core::plan::{Aggregate, Changelog, Node, Ttl};
use sluice_core::time::{EventTime, ProcTime};
use std::collections::VecDeque;

const GROUPS: u8 = 0;

pub struct GroupAggregate {
    keys: Keys,
    set: AggregateSet,
    schema: SchemaRef,
    /// Rows of the input may be taken back.
    retracts: bool,
    /// The output has ops.
    updates: bool,
    groups: Groups,
    idle: Option<IdleGroups>,
    touched: BatchGroups,
    ready: VecDeque<Batch>,
}

/// What a batch has done to the groups that it touched; one entry per group.
struct Changes {
    existed: Vec<bool>,
    remains: Vec<bool>,
    before: Results,
    after: Results,
}

impl GroupAggregate {
    pub fn new(
        node: &Node,
        keys: &[usize],
        aggregates: &[Aggregate],
        ttl: Option<Ttl>,
        input: &InputShape,
        cx: &OperatorContext,
    ) -> Result<Self, BuildError> {
        let mut set = AggregateSet::new(aggregates, &input.schema, input.retracts())?;
        if input.retracts() {
            set = set.with_row_count();
        }
        if ttl.is_some() {
            set = set.with_stamp();
        }
        let keys = Keys::new(keys, &input.schema, set.is_inline())?;
        Ok(Self {
            groups: Groups::new(GROUPS, &[], &keys, &set, cx.key_groups),
            keys,
            set,
            schema: node.schema.clone(),
            retracts: input.retracts(),
            updates: node.changelog == Changelog::Retract,
            idle: ttl.map(IdleGroups::new),
            touched: BatchGroups::default(),
            ready: VecDeque::new(),
        })
    }

    /// Folds the batch into the groups.
    fn fold(&mut self, batch: &Batch, inputs: &Inputs) -> Changes {
        let n = self.touched.len();
        let mut changes = Changes {
            existed: Vec::with_capacity(n),
            remains: Vec::with_capacity(n),
            before: self.set.results(n),
            after: self.set.results(n),
        };
        let Self { set, keys, touched, idle, retracts, .. } = self;
        self.groups.upsert(set, keys, touched.hashes(), touched.keys(), |i, mut group, fresh| {
            let mut exists = !fresh;
            if let Some(idle) = idle
                && exists
                && idle.is_over(group.stamp(set))
            {
                group.clear(set);
                exists = false;
            }
            changes.existed.push(exists);
            if exists {
                group.as_ref().finish(set, &mut changes.before);
            } else {
                changes.before.push_nulls();
            }
            for &row in touched.rows(i) {
                exists = apply(&mut group, set, inputs, batch, row as usize, (*retracts, exists));
            }
            if let Some(idle) = idle {
                group.set_stamp(set, idle.stamp());
            }
            changes.remains.push(exists);
            if exists { group.as_ref().finish(set, &mut changes.after) } else { changes.after.push_nulls() }
        });
        for group in (0..n).filter(|&g| !changes.remains[g]) {
            self.groups.remove(self.touched.hashes()[group], self.touched.keys().get(group));
        }
        changes
    }

    /// The changelog of a batch.
    fn changelog(&self, batch: &Batch, changes: Changes) -> Result<Option<Batch>, OperatorError> {
        let Changes { existed, remains, before, after } = changes;
        let (before, after) = (before.into_columns()?, after.into_columns()?);
        let same =
            if self.idle.is_some() { vec![false; existed.len()] } else { equal_rows(&before, &after, existed.len())? };
        let (mut ops, mut rows, mut picks) = (vec![], vec![], vec![]);
        let mut say = |op: RowOp, group: usize| {
            ops.push(op as i8);
            rows.push(self.touched.first_rows()[group]);
            picks.push((usize::from(op.adds()), group));
        };
        for group in 0..existed.len() {
            match (existed[group], remains[group]) {
                (false, true) => say(RowOp::Insert, group),
                (true, true) if !same[group] => {
                    say(RowOp::UpdateBefore, group);
                    say(RowOp::UpdateAfter, group);
                }
                (true, false) => say(RowOp::Delete, group),
                (true, true) | (false, false) => {}
            }
        }
        if ops.is_empty() {
            return Ok(None);
        }
        let rows = UInt32Array::from(rows);
        let key = |&c: &usize| take(batch.rows.column(c), &rows, None);
        let mut columns =
            self.keys.columns().iter().map(key).collect::<Result<Vec<_>, _>>().map_err(OperatorError::Output)?;
        for (before, after) in before.iter().zip(&after) {
            columns.push(interleave(&[before.as_ref(), after.as_ref()], &picks).map_err(OperatorError::Output)?);
        }
        let rows = RecordBatch::try_new(self.schema.clone(), columns).map_err(OperatorError::Output)?;
        Ok(Some(Batch { rows, ops: self.updates.then(|| Int8Array::from(ops)), hashes: None }))
    }

    fn hand_out(&mut self, batch: Batch) {
        let mut from = 0;
        while from < batch.len() {
            let length = (batch.len() - from).min(MAX_OUTPUT_ROWS);
            let ops = batch.ops.as_ref().map(|ops| ops.slice(from, length));
            self.ready.push_back(Batch { rows: batch.rows.slice(from, length), ops, hashes: None });
            from += length;
        }
    }

    fn sweep(&mut self, budget: usize) {
        if let Some(idle) = &mut self.idle {
            idle.sweep(&mut self.groups, &self.set, budget);
        }
    }
}

/// One row of a group; returns whether the group exists now.
#[inline]
fn apply(
    group: &mut GroupMut<'_>,
    set: &AggregateSet,
    inputs: &Inputs,
    batch: &Batch,
    row: usize,
    (retracts, exists): (bool, bool),
) -> bool {
    let adds = batch.adds(row);
    if !adds && !exists {
        return false;
    }
    group.update(set, inputs, row, adds);
    if !retracts || group.as_ref().rows(set) > 0 {
        return true;
    }
    // Nothing of rows that have left may show in the results of those that come.
    group.clear(set);
    false
}

/// Which rows are equal in all columns.
fn equal_rows(a: &[ArrayRef], b: &[ArrayRef], rows: usize) -> Result<Vec<bool>, OperatorError> {
    let mut same = vec![true; rows];
    for (a, b) in a.iter().zip(b) {
        if a.data_type().is_nested() {
            let codec = RowCodec::new(&[a.data_type().clone()])?;
            let (mut left, mut right) = (RowBuffer::default(), RowBuffer::default());
            codec.encode(std::slice::from_ref(a), rows, &mut left);
            codec.encode(std::slice::from_ref(b), rows, &mut right);
            same.iter_mut().enumerate().for_each(|(i, s)| *s &= left.row(i) == right.row(i));
        } else {
            let equal = not_distinct(a, b).map_err(OperatorError::Output)?;
            same.iter_mut().zip(equal.values()).for_each(|(s, e)| *s &= e);
        }
    }
    Ok(same)
}

impl Operator for GroupAggregate {
    fn process(&mut self, _input: usize, batch: Batch) -> Result<(), OperatorError> {
        self.keys.read(&batch);
        self.touched.read(&self.keys);
        let inputs = self.set.inputs(&batch.rows)?;
        let changes = self.fold(&batch, &inputs);
        if let Some(output) = self.changelog(&batch, changes)? {
            self.hand_out(output);
        }
        // As many groups are looked at as rows came: state that nobody asks for is found within one turnover.
        self.sweep(batch.len());
        Ok(())
    }

    fn watermark(&mut self, watermark: EventTime) -> Result<(), OperatorError> {
        if let Some(idle) = &mut self.idle {
            idle.watermark(watermark);
        }
        self.sweep(MAX_OUTPUT_ROWS);
        Ok(())
    }

    fn clock(&mut self, now: ProcTime) -> Result<(), OperatorError> {
        if let Some(idle) = &mut self.idle {
            idle.clock(now);
        }
        self.sweep(MAX_OUTPUT_ROWS);
        Ok(())
    }

    fn next_timer(&self) -> Option<ProcTime> {
        self.idle.as_ref().filter(|_| self.groups.len() > 0)?.next_timer()
    }

    fn next_output(&mut self) -> Result<Option<Batch>, OperatorError> {
        Ok(self.ready.pop_front())
    }

    fn barrier(&mut self, epoch: Epoch, scope: Scope) {
        self.groups.barrier(epoch, scope);
    }

    fn drain(&mut self, budget: usize, sink: &mut dyn StateSink) -> Drained {
        self.groups.drain(budget, sink)
    }

    fn restore(&mut self, block: &StateBlock) -> Result<(), OperatorError> {
        if block.table != GROUPS {
            return Err(OperatorError::UnexpectedState { table: block.table });
        }
        Ok(self.groups.restore(block)?)
    }

    fn restored(&mut self, watermark: EventTime) -> Result<(), OperatorError> {
        self.groups.check(&self.set)?;
        if let Some(idle) = &mut self.idle {
            idle.watermark(watermark);
        }
        Ok(())
    }

    fn stats(&self) -> OperatorStats {
        OperatorStats { late_rows: 0, state_rows: self.groups.len() as u64, state_bytes: self.groups.bytes() as u64 }
    }
}

#[cfg(test)]
mod tests;
