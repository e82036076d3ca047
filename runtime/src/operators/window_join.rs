//! Window join: rows of both inputs with the same window and the same key, joined when the window ends, then forgotten.
//!
//! The output is append-only. The rows of a window are decided in order of arrival on the left; rows of the right without a
//! partner come after them. A row whose window is over is late.

use super::event_times::{EventTimes, domain_of};
use super::join::{Candidates, Decision, JoinSide, PairShape, Portion, Probe, Side, check_keys, is_outer};
use super::late::Late;
use super::row_slab::RowId;
use super::window_ends::{WindowEnds, last_instants};
use super::{BuildError, InputShape};
use crate::element::{Batch, RowOp};
use crate::operator::{Drained, MAX_OUTPUT_ROWS, Operator, OperatorContext, OperatorError, OperatorStats, Scope};
use crate::state::{StateBlock, StateSink};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use sluice_core::id::Epoch;
use sluice_core::plan::expr::Expr;
use sluice_core::plan::{Exchange, JoinKind, Node, Port};
use sluice_core::time::{EventTime, ProcTime};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Left rows of a window that are decoded and probed at once.
const PROBE_ROWS: usize = 1024;

/// Spent rows that one call takes out of memory: about a millisecond.
const SWEEP: usize = 4096;

/// What the plan says about a window join.
pub struct WindowJoinPlan<'a> {
    pub kind: JoinKind,
    pub keys: [&'a [usize]; 2],
    pub ends: [usize; 2],
    pub residual: Option<&'a Expr>,
}

pub struct WindowJoin {
    kind: JoinKind,
    shape: PairShape,
    left: JoinSide,
    right: JoinSide,
    left_schema: SchemaRef,
    ends: [usize; 2],
    windows: BTreeMap<i64, [VecDeque<RowId>; 2]>,
    time: WindowEnds,
    /// Right rows of windows that have been joined: no row meets them any more, and they leave memory some at a time.
    spent: VecDeque<RowId>,
    /// The window that is being joined.
    firing: Option<[VecDeque<RowId>; 2]>,
    probe: Option<Probe>,
    portion: Option<Portion>,
    candidates: Candidates,
    late: Late,
}

impl WindowJoin {
    pub fn new(
        plan: &WindowJoinPlan,
        node: &Node,
        inputs: &[InputShape],
        cx: &OperatorContext,
    ) -> Result<Self, BuildError> {
        // The window is a part of the key by which rows meet, but not of the hash by which they are sent.
        let keys = [0, 1].map(|i| [&[plan.ends[i]], plan.keys[i]].concat());
        check_keys(inputs, &keys[0], &keys[1])?;
        let side = |i: usize| {
            let exchange = match &node.inputs[i].exchange {
                Exchange::Hash(columns) => Exchange::Hash(columns.clone()),
                Exchange::Forward | Exchange::Rebalance => Exchange::Hash(plan.keys[i].to_vec()),
            };
            JoinSide::new(i as u8, &inputs[i].schema, &keys[i], &exchange, false, None)
        };
        Ok(Self {
            kind: plan.kind,
            shape: PairShape::new(node, plan.kind, inputs, plan.residual, &cx.clock)?,
            left: side(0)?,
            right: side(1)?,
            left_schema: Arc::clone(&inputs[0].schema),
            ends: plan.ends,
            windows: BTreeMap::new(),
            time: WindowEnds::new(domain_of(inputs[0].schema.field(plan.ends[0])), cx.allowed_lateness_ms),
            spent: VecDeque::new(),
            firing: None,
            probe: None,
            portion: None,
            candidates: Candidates::default(),
            late: Late::new(&node.id, cx),
        })
    }

    /// One portion of the window that is being joined; false when no window is due.
    fn fire(&mut self) -> Result<bool, OperatorError> {
        if let Some(probe) = self.probe.take() {
            self.join(probe)?;
            return Ok(true);
        }
        let Some(mut window) = self.firing.take().or_else(|| self.time.pop_due(&mut self.windows)) else {
            return Ok(false);
        };
        if window[0].is_empty() && !is_outer(self.kind, Side::Right) && self.time.forgets() {
            self.spent.append(&mut window[1]);
            return Ok(true);
        }
        if window[0].is_empty() {
            let some = take_some(&mut window[1], MAX_OUTPUT_ROWS);
            self.finish_right(&some)?;
            if !window[1].is_empty() {
                self.firing = Some(window);
            }
            return Ok(true);
        }
        let some = take_some(&mut window[0], PROBE_ROWS);
        let columns = self.left.decode(&some)?;
        let rows = RecordBatch::try_new(Arc::clone(&self.left_schema), columns).map_err(OperatorError::Output)?;
        let probe = Probe::new(Side::Left, self.left.stage_probe(Batch::append(rows)));
        // They are looked at for the last time: the probe has copies.
        for id in some {
            self.left.remove(id);
        }
        self.firing = Some(window);
        self.probe = Some(probe);
        Ok(true)
    }

    fn sweep(&mut self) {
        for id in take_some(&mut self.spent, SWEEP) {
            self.right.remove(id);
        }
    }

    fn join(&mut self, mut probe: Probe) -> Result<(), OperatorError> {
        probe.collect(&self.right, &mut self.candidates, |_, _| true);
        let mut portion = self.shape.judge(Side::Left, &probe.staged.batch.rows, &self.candidates, &self.right)?;
        let mark = is_outer(self.kind, Side::Right);
        for decision in probe.decisions(&self.candidates) {
            match decision {
                Decision::Pair(row, pair) if portion.keeps(pair) => {
                    probe.matched = 1;
                    if !matches!(self.kind, JoinKind::Semi | JoinKind::Anti) {
                        portion.joined(RowOp::Insert, row, pair, 1);
                    }
                    if mark {
                        self.right.rows.update(self.candidates.stored[pair]).matches = 1;
                    }
                }
                Decision::Pair(..) => {}
                Decision::RowEnds(row) => {
                    let matched = std::mem::take(&mut probe.matched) > 0;
                    let alone = match self.kind {
                        JoinKind::Semi => matched,
                        JoinKind::Anti => !matched,
                        kind => !matched && is_outer(kind, Side::Left),
                    };
                    if alone {
                        portion.probe_alone(RowOp::Insert, row, 1);
                    }
                }
            }
        }
        self.portion = Some(portion);
        if !probe.is_done() {
            self.probe = Some(probe);
        }
        Ok(())
    }

    /// Pads rows of the right that had no partner, and forgets them all.
    fn finish_right(&mut self, some: &[RowId]) -> Result<(), OperatorError> {
        if is_outer(self.kind, Side::Right) {
            let alone: Vec<RowId> = some.iter().copied().filter(|id| self.right.rows.get(*id).matches == 0).collect();
            let mut portion = Portion::of_stored(Side::Left, self.right.decode(&alone)?);
            for i in 0..alone.len() {
                portion.stored_alone(RowOp::Insert, i, 1);
            }
            self.portion = Some(portion);
        }
        for id in some {
            self.right.remove(*id);
        }
        Ok(())
    }
}

fn take_some(rows: &mut VecDeque<RowId>, limit: usize) -> Vec<RowId> {
    let n = rows.len().min(limit);
    rows.drain(..n).collect()
}

impl Operator for WindowJoin {
    fn process(&mut self, input: usize, batch: Batch) -> Result<(), OperatorError> {
        self.sweep();
        let ends = EventTimes::read(batch.rows.column(self.ends[input]), "a window join")?;
        let side = if input == 0 { &mut self.left } else { &mut self.right };
        let staged = side.stage(batch);
        let mut late = vec![];
        for i in 0..staged.len() {
            match ends.get(i).filter(|end| !self.time.is_over(*end)) {
                None => late.push(i as u32),
                Some(end) => {
                    let id = side.add(&staged, i, 0, end);
                    self.windows.entry(end).or_default()[input].push_back(id);
                }
            }
        }
        self.late.add(&staged.batch.rows, late, &last_instants(&ends))
    }

    fn watermark(&mut self, watermark: EventTime) -> Result<(), OperatorError> {
        self.time.watermark(watermark);
        self.sweep();
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
        loop {
            if let Some(portion) = &mut self.portion {
                if let Some(batch) = portion.next_output(&self.shape)? {
                    return Ok(Some(batch));
                }
                self.portion = None;
            }
            if !self.fire()? {
                return Ok(None);
            }
        }
    }

    fn next_side_output(&mut self) -> Option<(Port, Batch)> {
        self.late.next()
    }

    fn barrier(&mut self, epoch: Epoch, scope: Scope) {
        self.left.barrier(epoch, scope);
        self.right.barrier(epoch, scope);
    }

    fn drain(&mut self, budget: usize, sink: &mut dyn StateSink) -> Drained {
        if self.left.drain(budget, sink) == Drained::Pending {
            return Drained::Pending;
        }
        self.right.drain(budget, sink)
    }

    fn restore(&mut self, block: &StateBlock) -> Result<(), OperatorError> {
        match block.table {
            0 => self.left.restore(block),
            1 => self.right.restore(block),
            table => Err(OperatorError::UnexpectedState { table }),
        }
    }

    fn restored(&mut self, watermark: EventTime) -> Result<(), OperatorError> {
        self.time.watermark(watermark);
        for (i, side) in [&mut self.left, &mut self.right].into_iter().enumerate() {
            side.restored()?;
            for (end, id) in side.by_time() {
                // A window that is over has been joined before the snapshot.
                if self.time.is_over(end) {
                    self.spent.extend((i == 1).then_some(id));
                    continue;
                }
                self.windows.entry(end).or_default()[i].push_back(id);
            }
        }
        Ok(())
    }

    fn stats(&self) -> OperatorStats {
        OperatorStats {
            late_rows: self.late.count(),
            state_rows: (self.left.rows.len() + self.right.rows.len()) as u64,
            state_bytes: (self.left.bytes() + self.right.bytes()) as u64,
        }
    }
}

#[cfg(test)]
mod tests;
