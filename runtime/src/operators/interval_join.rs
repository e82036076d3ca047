//! Interval join: rows meet when `left.time BETWEEN right.time + lower AND right.time + upper`.
//!
//! A row is kept until no row on time can match it any more; an outer row without a match is padded then. So rows come out
//! up to the interval's length behind the watermark, and the watermark downstream is held back by that much.
//!
//! A late row is treated as Flink's `TimeIntervalJoin` does: it still meets what is there; if no row on time can match it,
//! it is not kept but padded at once (outer) or lost (counted). A row with a NULL time or key matches nothing.

use super::event_times::{EventTimes, domain_of};
use super::join::{Candidates, Decision, JoinSide, PairShape, Portion, Probe, Side, check_keys, is_outer};
use super::late::Late;
use super::row_slab::RowId;
use super::{BuildError, InputShape};
use crate::element::{Batch, RowOp};
use crate::operator::{Drained, MAX_OUTPUT_ROWS, Operator, OperatorContext, OperatorError, OperatorStats, Scope};
use crate::state::{StateBlock, StateSink};
use sluice_core::id::Epoch;
use sluice_core::plan::expr::Expr;
use sluice_core::plan::{JoinKind, Node, Port, TimeDomain};
use sluice_core::time::{EventTime, ProcTime};
use std::collections::BTreeMap;

/// Rows of a side that never is padded, taken out of memory by one call at most. Until then they are passed over.
const SWEEP: usize = 4096;

/// What the plan says about an interval join.
pub struct IntervalJoinPlan<'a> {
    pub kind: JoinKind,
    pub keys: [&'a [usize]; 2],
    pub times: [usize; 2],
    pub lower_ms: i64,
    pub upper_ms: i64,
    pub residual: Option<&'a Expr>,
}

pub struct IntervalJoin {
    shape: PairShape,
    sides: [Waiting; 2],
    lower: i64,
    upper: i64,
    domain: TimeDomain,
    /// The watermark, or the clock.
    now: i64,
    running: Option<(Probe, EventTimes)>,
    portion: Option<Portion>,
    candidates: Candidates,
    late: Late,
}

/// A side's rows, and when they have waited long enough.
struct Waiting {
    side: JoinSide,
    time: usize,
    /// A row of time t waits as long as now ≤ t + reach.
    reach: i64,
    outer: bool,
    queue: BTreeMap<i64, Vec<RowId>>,
}

impl Waiting {
    fn due(&self, time: i64) -> i64 {
        time.saturating_add(self.reach)
    }

    fn enqueue(&mut self, time: i64, id: RowId) {
        self.queue.entry(self.due(time)).or_default().push(id);
    }

    /// Some of the rows that have waited long enough.
    fn take_due(&mut self, now: i64, limit: usize) -> Vec<RowId> {
        let mut out = vec![];
        while out.len() < limit {
            let Some(mut bucket) = self.queue.first_entry().filter(|b| *b.key() < now) else { break };
            let some = bucket.get().len().min(limit - out.len());
            out.extend(bucket.get_mut().drain(..some));
            if bucket.get().is_empty() {
                bucket.remove();
            }
        }
        out
    }

    /// Takes some rows out of memory that nobody waits for.
    fn sweep(&mut self, now: i64) {
        if !self.outer {
            for id in self.take_due(now, SWEEP) {
                self.side.remove(id);
            }
        }
    }
}

impl IntervalJoin {
    pub fn new(
        plan: &IntervalJoinPlan,
        node: &Node,
        inputs: &[InputShape],
        cx: &OperatorContext,
    ) -> Result<Self, BuildError> {
        check_keys(inputs, plan.keys[0], plan.keys[1])?;
        let waiting = |i: usize, reach: i64| -> Result<Waiting, BuildError> {
            let side = JoinSide::new(i as u8, &inputs[i].schema, plan.keys[i], &node.inputs[i].exchange, false, None)?;
            let outer = is_outer(plan.kind, if i == 0 { Side::Left } else { Side::Right });
            Ok(Waiting { side, time: plan.times[i], reach, outer, queue: BTreeMap::new() })
        };
        Ok(Self {
            shape: PairShape::new(node, plan.kind, inputs, plan.residual, &cx.clock)?,
            sides: [waiting(0, plan.lower_ms.saturating_neg())?, waiting(1, plan.upper_ms)?],
            lower: plan.lower_ms,
            upper: plan.upper_ms,
            domain: domain_of(inputs[0].schema.field(plan.times[0])),
            now: i64::MIN,
            running: None,
            portion: None,
            candidates: Candidates::default(),
            late: Late::new(&node.id, cx),
        })
    }

    /// The times of the other side that match time `t` of this side.
    fn matching(&self, side: Side, t: i64) -> std::ops::RangeInclusive<i64> {
        match side {
            Side::Left => t.saturating_sub(self.upper)..=t.saturating_sub(self.lower),
            Side::Right => t.saturating_add(self.lower)..=t.saturating_add(self.upper),
        }
    }

    fn advance_to(&mut self, now: i64) {
        self.now = self.now.max(now);
        for waiting in &mut self.sides {
            waiting.sweep(self.now);
        }
    }

    /// Joins the next portion of the running batch; false when there is none.
    fn advance(&mut self) -> Result<bool, OperatorError> {
        let Some((mut probe, times)) = self.running.take().filter(|(p, _)| !p.is_done()) else { return Ok(false) };
        let mut candidates = std::mem::take(&mut self.candidates);
        let (now, other) = (self.now, &self.sides[probe.side.other() as usize]);
        let side = probe.side;
        probe.collect(&other.side, &mut candidates, |i, row| {
            other.due(row.time) >= now && times.get(i).is_some_and(|t| self.matching(side, t).contains(&row.time))
        });
        let mut portion = self.shape.judge(side, &probe.staged.batch.rows, &candidates, &other.side)?;
        let mut lost = vec![];
        for decision in probe.decisions(&candidates) {
            match decision {
                Decision::Pair(row, pair) if portion.keeps(pair) => {
                    portion.joined(RowOp::Insert, row, pair, 1);
                    probe.matched = 1;
                    let (id, other) = (candidates.stored[pair], &mut self.sides[side.other() as usize]);
                    if other.outer && other.side.rows.get(id).matches == 0 {
                        other.side.rows.update(id).matches = 1;
                    }
                }
                Decision::Pair(..) => {}
                Decision::RowEnds(row) => {
                    let matched = std::mem::take(&mut probe.matched);
                    if !self.keep(&probe, row, matched, times.get(row)) && matched == 0 {
                        if self.sides[side as usize].outer {
                            portion.probe_alone(RowOp::Insert, row, 1);
                        } else {
                            lost.push(row as u32);
                        }
                    }
                }
            }
        }
        self.late.add(&probe.staged.batch.rows, lost, &times.or_epoch())?;
        self.candidates = candidates;
        self.portion = Some(portion);
        self.running = Some((probe, times));
        Ok(true)
    }

    /// Keeps a row if a row on time can still match it.
    fn keep(&mut self, probe: &Probe, row: usize, matched: u32, time: Option<i64>) -> bool {
        let waiting = &mut self.sides[probe.side as usize];
        let Some(time) = time.filter(|t| self.now < waiting.due(*t) && !probe.staged.has_null_key(row)) else {
            return false;
        };
        let matches = if waiting.outer { matched } else { 0 };
        let id = waiting.side.add(&probe.staged, row, matches, time);
        waiting.enqueue(time, id);
        true
    }

    /// Pads some outer rows that have waited long enough; false when there are none.
    fn pad(&mut self) -> Result<bool, OperatorError> {
        for side in [Side::Left, Side::Right] {
            let waiting = &mut self.sides[side as usize];
            if !waiting.outer {
                continue;
            }
            let due = waiting.take_due(self.now, MAX_OUTPUT_ROWS);
            if due.is_empty() {
                continue;
            }
            let alone: Vec<RowId> = due.iter().copied().filter(|id| waiting.side.rows.get(*id).matches == 0).collect();
            let mut portion = Portion::of_stored(side.other(), waiting.side.decode(&alone)?);
            for i in 0..alone.len() {
                portion.stored_alone(RowOp::Insert, i, 1);
            }
            for id in due {
                waiting.side.remove(id);
            }
            self.portion = Some(portion);
            return Ok(true);
        }
        Ok(false)
    }
}

impl Operator for IntervalJoin {
    fn process(&mut self, input: usize, batch: Batch) -> Result<(), OperatorError> {
        self.advance_to(i64::MIN);
        let waiting = &self.sides[input];
        let times = EventTimes::read(batch.rows.column(waiting.time), "an interval join")?;
        self.running = Some((Probe::new(Side::of_input(input), waiting.side.stage(batch)), times));
        Ok(())
    }

    fn watermark(&mut self, watermark: EventTime) -> Result<(), OperatorError> {
        // The final watermark ends all waiting, by the clock too.
        if self.domain == TimeDomain::Event || watermark == EventTime::MAX {
            self.advance_to(watermark.0);
        }
        Ok(())
    }

    fn output_watermark(&self, watermark: EventTime) -> EventTime {
        if watermark == EventTime::MAX || self.domain == TimeDomain::Processing {
            return watermark;
        }
        // The oldest time that may still come out is that of a row that waits: now ≤ t + reach.
        let longest = self.sides.iter().map(|s| s.reach).max().unwrap_or(0).max(-1);
        EventTime(watermark.0.saturating_sub(longest).saturating_sub(1))
    }

    fn clock(&mut self, now: ProcTime) -> Result<(), OperatorError> {
        if self.domain == TimeDomain::Processing {
            self.advance_to(now.0);
        }
        Ok(())
    }

    fn next_timer(&self) -> Option<ProcTime> {
        if self.domain == TimeDomain::Event {
            return None;
        }
        let due = self.sides.iter().filter_map(|s| s.queue.first_key_value()).map(|(due, _)| due.saturating_add(1));
        due.min().map(ProcTime)
    }

    fn next_output(&mut self) -> Result<Option<Batch>, OperatorError> {
        loop {
            if let Some(portion) = &mut self.portion {
                if let Some(batch) = portion.next_output(&self.shape)? {
                    return Ok(Some(batch));
                }
                self.portion = None;
            }
            if !self.advance()? && !self.pad()? {
                return Ok(None);
            }
        }
    }

    fn next_side_output(&mut self) -> Option<(Port, Batch)> {
        self.late.next()
    }

    fn barrier(&mut self, epoch: Epoch, scope: Scope) {
        for waiting in &mut self.sides {
            waiting.side.barrier(epoch, scope);
        }
    }

    fn drain(&mut self, budget: usize, sink: &mut dyn StateSink) -> Drained {
        for waiting in &mut self.sides {
            if waiting.side.drain(budget, sink) == Drained::Pending {
                return Drained::Pending;
            }
        }
        Drained::Complete
    }

    fn restore(&mut self, block: &StateBlock) -> Result<(), OperatorError> {
        match self.sides.get_mut(block.table as usize) {
            Some(waiting) => waiting.side.restore(block),
            None => Err(OperatorError::UnexpectedState { table: block.table }),
        }
    }

    fn restored(&mut self, watermark: EventTime) -> Result<(), OperatorError> {
        if self.domain == TimeDomain::Event {
            self.now = watermark.0;
        }
        for waiting in &mut self.sides {
            waiting.side.restored()?;
            for (time, id) in waiting.side.by_time() {
                waiting.enqueue(time, id);
            }
        }
        Ok(())
    }

    fn stats(&self) -> OperatorStats {
        OperatorStats {
            late_rows: self.late.count(),
            state_rows: self.sides.iter().map(|s| s.side.rows.len() as u64).sum(),
            state_bytes: self.sides.iter().map(|s| s.side.bytes() as u64).sum(),
        }
    }
}

#[cfg(test)]
mod tests;
