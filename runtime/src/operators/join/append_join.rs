//! Inner join of two inputs that only append, with no time to live: rows stay columns from input to output.
//!
//! The same result as [`RegularJoin`](super::RegularJoin), without encoding a row: a batch is looked up in the other side at
//! once, chains are walked into pairs of row numbers, and output columns are gathered by `take` and `interleave`.

use super::appended::{Appended, Link};
use super::pairs::{PairShape, Side};
use super::{JoinPlan, check_keys};
use crate::element::Batch;
use crate::operator::{Drained, MAX_OUTPUT_ROWS, Operator, OperatorContext, OperatorError, OperatorStats, Scope};
use crate::operators::{BuildError, InputShape};
use crate::state::{StateBlock, StateSink};
use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take;
use sluice_core::id::Epoch;
use sluice_core::plan::{Changelog, Exchange, JoinKind, Node};
use sluice_core::time::EventTime;

pub struct AppendJoin {
    shape: PairShape,
    left: Appended,
    right: Appended,
    probe: Option<Probe>,
    pairs: (Vec<u32>, Vec<u32>),
    links: Vec<Link>,
}

/// A batch on its way past the other side.
struct Probe {
    side: Side,
    rows: RecordBatch,
    row: usize,
    /// The next partner of `row`; `None`: its first.
    cursor: Option<Link>,
}

impl AppendJoin {
    /// Whether the columns can be used: nothing may ever be taken back, and the key is what rows are sent by.
    pub fn applies(plan: &JoinPlan, node: &Node, inputs: &[InputShape]) -> bool {
        let by_key = |i: usize, keys: &[usize]| match &node.inputs[i].exchange {
            Exchange::Hash(columns) => columns == keys,
            Exchange::Forward | Exchange::Rebalance => true,
        };
        plan.kind == JoinKind::Inner
            && plan.left_ttl.is_none()
            && plan.right_ttl.is_none()
            && node.changelog == Changelog::Append
            && inputs.iter().all(|i| !i.retracts())
            && by_key(0, plan.left_keys)
            && by_key(1, plan.right_keys)
    }

    pub fn new(plan: &JoinPlan, node: &Node, inputs: &[InputShape], cx: &OperatorContext) -> Result<Self, BuildError> {
        check_keys(inputs, plan.left_keys, plan.right_keys)?;
        Ok(Self {
            shape: PairShape::new(node, plan.kind, inputs, plan.residual, &cx.clock)?,
            left: Appended::new(0, &inputs[0].schema, plan.left_keys)?,
            right: Appended::new(1, &inputs[1].schema, plan.right_keys)?,
            probe: None,
            pairs: (vec![], vec![]),
            links: vec![],
        })
    }

    /// Pairs of the next rows, until an output batch is full; false when there are none.
    fn collect(&mut self) -> bool {
        let Some(probe) = &mut self.probe else { return false };
        let other = match probe.side {
            Side::Left => &self.right,
            Side::Right => &self.left,
        };
        let (mine, theirs) = &mut self.pairs;
        mine.clear();
        theirs.clear();
        while probe.row < self.links.len() {
            let mut cursor = probe.cursor.take().unwrap_or(self.links[probe.row]);
            while !cursor.is_none() {
                if mine.len() == MAX_OUTPUT_ROWS {
                    probe.cursor = Some(cursor);
                    return true;
                }
                mine.push(probe.row as u32);
                theirs.push(cursor.row());
                cursor = other.after(cursor);
            }
            probe.row += 1;
        }
        !mine.is_empty()
    }

    fn output(&self) -> Result<Option<Batch>, OperatorError> {
        let Some(probe) = &self.probe else { return Ok(None) };
        let other = match probe.side {
            Side::Left => &self.right,
            Side::Right => &self.left,
        };
        let (mine, theirs) = &self.pairs;
        let stored = other.gather(theirs)?;
        self.shape.append_batch(probe.side, pick(&probe.rows, mine)?, stored)
    }
}

/// These rows of a batch; without a copy if they follow each other.
fn pick(rows: &RecordBatch, indices: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
    if indices.windows(2).all(|w| w[1] == w[0] + 1) {
        return Ok(rows.slice(indices[0] as usize, indices.len()).columns().to_vec());
    }
    let indices = UInt32Array::from(indices.to_vec());
    rows.columns().iter().map(|c| take(c, &indices, None).map_err(OperatorError::Output)).collect()
}

impl Operator for AppendJoin {
    fn process(&mut self, input: usize, batch: Batch) -> Result<(), OperatorError> {
        let side = Side::of_input(input);
        let (mine, other) = match side {
            Side::Left => (&mut self.left, &self.right),
            Side::Right => (&mut self.right, &self.left),
        };
        let Some(batch) = mine.with_keys(batch)? else { return Ok(()) };
        mine.read_keys(&batch);
        other.look_up(mine, &mut self.links);
        mine.push(batch.rows.clone())?;
        self.probe = Some(Probe { side, rows: batch.rows, row: 0, cursor: None });
        Ok(())
    }

    fn next_output(&mut self) -> Result<Option<Batch>, OperatorError> {
        while self.collect() {
            if let Some(batch) = self.output()? {
                return Ok(Some(batch));
            }
        }
        self.probe = None;
        Ok(None)
    }

    fn barrier(&mut self, _epoch: Epoch, scope: Scope) {
        self.left.barrier(scope);
        self.right.barrier(scope);
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

    fn restored(&mut self, _watermark: EventTime) -> Result<(), OperatorError> {
        self.left.restored()?;
        self.right.restored()
    }

    fn stats(&self) -> OperatorStats {
        OperatorStats {
            late_rows: 0,
            state_rows: (self.left.len() + self.right.len()) as u64,
            state_bytes: (self.left.bytes() + self.right.bytes()) as u64,
        }
    }
}
