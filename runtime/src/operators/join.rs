//! Regular join: both sides are kept, and a change on either side changes the result.
//!
//! Each side is key → rows with a count of copies and, for outer, semi and anti joins, the number of matching rows on the
//! other side, so that the padded row goes when the first match comes and comes back when the last one goes. The rules are
//! those of Flink's `StreamingJoinOperator` and `StreamingSemiAntiJoinOperator`.
//!
//! A batch is joined in portions of candidate pairs, so a row that meets a million others is output in a few hundred steps.
//! The other side does not change meanwhile, so the portions see one state.

mod append_join;
mod appended;
mod pairs;
mod probe;
mod side;

use crate::element::{Batch, RowOp};
use crate::operator::{Drained, Operator, OperatorContext, OperatorError, OperatorStats, Scope};
use crate::operators::expiry::Expiry;
use crate::operators::row_slab::RowId;
use crate::operators::{BuildError, InputShape};
use crate::state::{StateBlock, StateSink};
use append_join::AppendJoin;
pub(super) use pairs::{Candidates, PairShape, Portion, Side, is_outer};
pub(super) use probe::{Decision, Probe};
pub(super) use side::{JoinSide, RowExpiry, Staged};
use sluice_core::id::Epoch;
use sluice_core::plan::{JoinKind, Node, Ttl};
use sluice_core::time::{EventTime, ProcTime};

pub struct RegularJoin {
    kind: JoinKind,
    shape: PairShape,
    left: JoinSide,
    right: JoinSide,
    clock: crate::clock::Clock,
    running: Option<Probe>,
    portion: Option<Portion>,
    candidates: Candidates,
}

/// What the plan says about a regular join.
pub struct JoinPlan<'a> {
    pub kind: JoinKind,
    pub left_keys: &'a [usize],
    pub right_keys: &'a [usize],
    pub residual: Option<&'a sluice_core::plan::expr::Expr>,
    pub left_ttl: Option<Ttl>,
    pub right_ttl: Option<Ttl>,
}

/// The join that does this with the least work.
pub fn build(
    plan: &JoinPlan,
    node: &Node,
    inputs: &[InputShape],
    cx: &OperatorContext,
) -> Result<Box<dyn Operator>, BuildError> {
    if AppendJoin::applies(plan, node, inputs) {
        return Ok(Box::new(AppendJoin::new(plan, node, inputs, cx)?));
    }
    Ok(Box::new(RegularJoin::new(plan, node, inputs, cx)?))
}

impl RegularJoin {
    pub fn new(plan: &JoinPlan, node: &Node, inputs: &[InputShape], cx: &OperatorContext) -> Result<Self, BuildError> {
        check_keys(inputs, plan.left_keys, plan.right_keys)?;
        let side = |i: usize, keys: &[usize], ttl: Option<Ttl>| {
            let retracts = inputs[i].retracts();
            JoinSide::new(i as u8, &inputs[i].schema, keys, &node.inputs[i].exchange, retracts, ttl.map(Expiry::new))
        };
        Ok(Self {
            kind: plan.kind,
            shape: PairShape::new(node, plan.kind, inputs, plan.residual, &cx.clock)?,
            left: side(0, plan.left_keys, plan.left_ttl)?,
            right: side(1, plan.right_keys, plan.right_ttl)?,
            clock: cx.clock.clone(),
            running: None,
            portion: None,
            candidates: Candidates::default(),
        })
    }

    fn side(&mut self, side: Side) -> &mut JoinSide {
        match side {
            Side::Left => &mut self.left,
            Side::Right => &mut self.right,
        }
    }

    /// Moves the clocks of both sides and forgets some expired rows.
    fn tick(&mut self, tick: impl Fn(&mut RowExpiry)) {
        for side in [&mut self.left, &mut self.right] {
            if let Some(expiry) = &mut side.expiry {
                tick(expiry);
            }
            side.sweep();
        }
    }

    /// Joins the next portion of the running batch; false when there is none.
    fn advance(&mut self) -> Result<bool, OperatorError> {
        let Some(mut probe) = self.running.take().filter(|p| !p.is_done()) else { return Ok(false) };
        let (mine, other) = match probe.side {
            Side::Left => (&mut self.left, &mut self.right),
            Side::Right => (&mut self.right, &mut self.left),
        };
        probe.collect(other, &mut self.candidates, |_, row| other.is_visible(row));
        let portion = self.shape.judge(probe.side, &probe.staged.batch.rows, &self.candidates, other)?;
        let mut step = Step { kind: self.kind, side: probe.side, matched: probe.matched, portion };
        for decision in probe.decisions(&self.candidates) {
            match decision {
                Decision::Pair(row, pair) if step.portion.keeps(pair) => {
                    step.pair(probe.staged.batch.op(row), row, pair, self.candidates.stored[pair], other);
                }
                Decision::Pair(..) => {}
                Decision::RowEnds(row) => step.row_ends(row, &probe.staged, mine),
            }
        }
        probe.matched = step.matched;
        self.portion = Some(step.portion);
        self.running = Some(probe);
        Ok(true)
    }
}

/// What pairs and rows of one portion mean.
struct Step {
    kind: JoinKind,
    /// The input that the rows come from.
    side: Side,
    /// Matches so far of the row that is being decided.
    matched: u32,
    portion: Portion,
}

impl Step {
    /// A row of the input and a stored row of the other side match.
    fn pair(&mut self, op: RowOp, row: usize, pair: usize, stored: RowId, other: &mut JoinSide) {
        let (count, matches) = (other.rows.get(stored).count, other.rows.get(stored).matches);
        self.matched = self.matched.saturating_add(count);
        match self.kind {
            JoinKind::Semi | JoinKind::Anti if self.side == Side::Left => {}
            JoinKind::Semi | JoinKind::Anti => {
                let turns = if op.adds() { matches == 0 } else { matches == 1 };
                if turns {
                    let op = if self.kind == JoinKind::Semi { op } else { opposite(op) };
                    self.portion.stored_alone(op, pair, count);
                }
                rematch(other, stored, op);
            }
            JoinKind::Inner | JoinKind::Left | JoinKind::Right | JoinKind::Full => {
                let other_outer = is_outer(self.kind, self.side.other());
                if other_outer && op.adds() && matches == 0 {
                    self.portion.stored_alone(RowOp::Delete, pair, count);
                }
                let padded = other_outer || is_outer(self.kind, self.side);
                self.portion.joined(if padded { plain(op) } else { op }, row, pair, count);
                if other_outer && !op.adds() && matches == 1 {
                    self.portion.stored_alone(RowOp::Insert, pair, count);
                }
                if other_outer {
                    rematch(other, stored, op);
                }
            }
        }
    }

    /// All partners of a row are known: it is padded if it has none, and kept or taken back.
    fn row_ends(&mut self, row: usize, staged: &Staged, mine: &mut JoinSide) {
        let matched = std::mem::take(&mut self.matched);
        let op = staged.batch.op(row);
        let alone = match self.kind {
            JoinKind::Semi => (self.side == Side::Left && matched > 0).then_some(op),
            JoinKind::Anti => (self.side == Side::Left && matched == 0).then_some(op),
            _ => (is_outer(self.kind, self.side) && matched == 0).then_some(plain(op)),
        };
        if let Some(op) = alone {
            self.portion.probe_alone(op, row, 1);
        }
        if staged.has_null_key(row) {
            // It will never match: there is nothing to remember.
            return;
        }
        let time = mine.expiry.as_ref().map_or(0, Expiry::stamp);
        if op.adds() {
            mine.add(staged, row, matched, time);
        } else {
            mine.take_back(staged, row, time);
        }
    }
}

/// One match more or less for a stored row.
fn rematch(side: &mut JoinSide, id: RowId, op: RowOp) {
    let time = side.expiry.as_ref().map(Expiry::stamp);
    let row = side.rows.update(id);
    row.matches = if op.adds() { row.matches.saturating_add(1) } else { row.matches.saturating_sub(1) };
    if let Some(time) = time {
        row.time = time;
    }
}

/// Of a padded join a change is an insert or a delete: its `-U` and `+U` need not come out as a pair.
fn plain(op: RowOp) -> RowOp {
    if op.adds() { RowOp::Insert } else { RowOp::Delete }
}

fn opposite(op: RowOp) -> RowOp {
    if op.adds() { RowOp::Delete } else { RowOp::Insert }
}

/// Both sides of every key must have one type, or equal keys would differ in bytes.
pub(super) fn check_keys(inputs: &[InputShape], left: &[usize], right: &[usize]) -> Result<(), BuildError> {
    for (l, r) in left.iter().zip(right) {
        let (l, r) = (inputs[0].schema.field(*l), inputs[1].schema.field(*r));
        if l.data_type() != r.data_type() {
            return Err(BuildError::KeyTypes {
                left: format!("{} {}", l.name(), l.data_type()),
                right: format!("{} {}", r.name(), r.data_type()),
            });
        }
    }
    Ok(())
}

impl Operator for RegularJoin {
    fn process(&mut self, input: usize, batch: Batch) -> Result<(), OperatorError> {
        let now = self.clock.now();
        self.tick(|e| e.clock(now));
        let side = Side::of_input(input);
        let staged = self.side(side).stage(batch);
        self.running = Some(Probe::new(side, staged));
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
        [&self.left, &self.right].iter().filter_map(|s| s.expiry.as_ref()?.next_timer()).min()
    }

    fn next_output(&mut self) -> Result<Option<Batch>, OperatorError> {
        loop {
            if let Some(portion) = &mut self.portion {
                if let Some(batch) = portion.next_output(&self.shape)? {
                    return Ok(Some(batch));
                }
                self.portion = None;
            }
            if !self.advance()? {
                return Ok(None);
            }
        }
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
        self.tick(|e| e.watermark(watermark));
        self.left.restored()?;
        self.right.restored()
    }

    fn stats(&self) -> OperatorStats {
        OperatorStats {
            late_rows: 0,
            state_rows: (self.left.rows.len() + self.right.rows.len()) as u64,
            state_bytes: (self.left.bytes() + self.right.bytes()) as u64,
        }
    }
}

#[cfg(test)]
mod tests;
