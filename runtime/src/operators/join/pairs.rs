//! From candidate pairs to output rows: what all joins share.
//!
//! Rows of one input, the *probe*, meet stored rows of the other side. A portion of candidates is collected, the stored ones
//! decoded, the residual condition evaluated over all of them at once; then the join decides in order what each pair means
//! and writes [`Run`]s, which are turned into batches by `take`.

use super::side::JoinSide;
use crate::clock::Clock;
use crate::element::{Batch, RowOp};
use crate::expr::CompiledExpr;
use crate::operator::{MAX_OUTPUT_ROWS, OperatorError};
use crate::operators::row_slab::RowId;
use crate::operators::{BuildError, InputShape};
use arrow::array::{
    Array, ArrayRef, BooleanArray, Int8Array, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array,
};
use arrow::compute::{filter_record_batch, take};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use sluice_core::plan::expr::Expr;
use sluice_core::plan::{Changelog, JoinKind, Node};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

impl Side {
    pub fn of_input(input: usize) -> Self {
        if input == 0 { Self::Left } else { Self::Right }
    }

    pub fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// Whether rows of a side come out padded with NULLs when nothing matches.
pub fn is_outer(kind: JoinKind, side: Side) -> bool {
    match kind {
        JoinKind::Full => true,
        JoinKind::Left => side == Side::Left,
        JoinKind::Right => side == Side::Right,
        JoinKind::Inner | JoinKind::Semi | JoinKind::Anti => false,
    }
}

/// What pairs look like: the columns of both sides, the residual condition, the output.
pub struct PairShape {
    output: SchemaRef,
    /// Output rows carry ops.
    retracts: bool,
    /// Semi and anti joins give left columns only.
    left_only: bool,
    both: SchemaRef,
    residual: Option<CompiledExpr>,
    types: [Vec<DataType>; 2],
}

impl PairShape {
    pub fn new(
        node: &Node,
        kind: JoinKind,
        inputs: &[InputShape],
        residual: Option<&Expr>,
        clock: &Clock,
    ) -> Result<Self, BuildError> {
        let types = |s: &SchemaRef| s.fields().iter().map(|f| f.data_type().clone()).collect();
        let (left, right) = (&inputs[0].schema, &inputs[1].schema);
        let both = left.fields().iter().chain(right.fields()).map(|f| f.as_ref().clone().with_nullable(true));
        let both = Arc::new(Schema::new(both.collect::<Vec<_>>()));
        Ok(Self {
            output: Arc::clone(&node.schema),
            retracts: node.changelog == Changelog::Retract,
            left_only: matches!(kind, JoinKind::Semi | JoinKind::Anti),
            residual: residual.map(|e| CompiledExpr::new(e, &both, clock)).transpose()?,
            both,
            types: [types(left), types(right)],
        })
    }

    /// Joined rows of inputs that only append, side by side; `None` if the residual condition holds for none.
    pub fn append_batch(
        &self,
        probe_side: Side,
        probe: Vec<ArrayRef>,
        stored: Vec<ArrayRef>,
    ) -> Result<Option<Batch>, OperatorError> {
        let columns: Vec<ArrayRef> = match probe_side {
            Side::Left => probe.into_iter().chain(stored).collect(),
            Side::Right => stored.into_iter().chain(probe).collect(),
        };
        let count = columns.first().map_or(0, Array::len);
        let columns = match &self.residual {
            None => columns,
            Some(residual) => {
                let both = to_batch(&self.both, columns, count)?;
                let keep = residual.evaluate_filter(&both)?;
                filter_record_batch(&both, &keep).map_err(OperatorError::Output)?.columns().to_vec()
            }
        };
        let count = columns.first().map_or(0, Array::len);
        if count == 0 {
            return Ok(None);
        }
        Ok(Some(Batch::append(to_batch(&self.output, columns, count)?)))
    }

    /// Decodes and judges a portion of candidates.
    pub fn judge(
        &self,
        probe_side: Side,
        probe: &RecordBatch,
        candidates: &Candidates,
        other: &JoinSide,
    ) -> Result<Portion, OperatorError> {
        // A semi or anti join that is probed from the left shows nothing of the right.
        let hidden = self.left_only && probe_side == Side::Left && self.residual.is_none();
        let stored = if hidden || candidates.stored.is_empty() { vec![] } else { other.decode(&candidates.stored)? };
        let keep = match &self.residual {
            Some(residual) if !candidates.stored.is_empty() => {
                let indices = UInt32Array::from(candidates.probe.clone());
                let mut mine = vec![];
                for column in probe.columns() {
                    mine.push(take(column, &indices, None).map_err(OperatorError::Output)?);
                }
                let columns = match probe_side {
                    Side::Left => mine.into_iter().chain(stored.iter().cloned()).collect(),
                    Side::Right => stored.iter().cloned().chain(mine).collect(),
                };
                Some(residual.evaluate_filter(&to_batch(&self.both, columns, indices.len())?)?)
            }
            _ => None,
        };
        Ok(Portion { probe_side, probe: probe.clone(), stored, keep, runs: vec![], at: 0 })
    }
}

fn to_batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, OperatorError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(OperatorError::Output)
}

/// Pairs to be judged: row of the probe, stored row. In order of the probe.
#[derive(Debug, Default)]
pub struct Candidates {
    pub probe: Vec<u32>,
    pub stored: Vec<RowId>,
}

impl Candidates {
    pub fn clear(&mut self) {
        self.probe.clear();
        self.stored.clear();
    }

    pub fn push(&mut self, probe: usize, stored: RowId) {
        self.probe.push(probe as u32);
        self.stored.push(stored);
    }

    pub fn len(&self) -> usize {
        self.probe.len()
    }

    pub fn is_full(&self) -> bool {
        self.len() >= MAX_OUTPUT_ROWS
    }
}

/// NULLs instead of a row.
const PADDING: u32 = u32::MAX;

/// An output row, so many times.
#[derive(Clone, Copy, Debug)]
struct Run {
    op: i8,
    /// Row of the probe, or [`PADDING`].
    probe: u32,
    /// Candidate, or [`PADDING`].
    stored: u32,
    times: u32,
}

/// Judged candidates and the output that was decided for them.
#[derive(Debug)]
pub struct Portion {
    probe_side: Side,
    probe: RecordBatch,
    stored: Vec<ArrayRef>,
    keep: Option<BooleanArray>,
    runs: Vec<Run>,
    at: usize,
}

impl Portion {
    /// Stored rows without partners; `stored` are the columns of rows of the side that `probe_side` is not.
    pub fn of_stored(probe_side: Side, stored: Vec<ArrayRef>) -> Self {
        let probe = RecordBatch::new_empty(Arc::new(Schema::empty()));
        Self { probe_side, probe, stored, keep: None, runs: vec![], at: 0 }
    }

    /// Whether the residual condition holds.
    pub fn keeps(&self, candidate: usize) -> bool {
        self.keep.as_ref().is_none_or(|k| k.value(candidate))
    }

    pub fn joined(&mut self, op: RowOp, probe: usize, candidate: usize, times: u32) {
        self.runs.push(Run { op: op as i8, probe: probe as u32, stored: candidate as u32, times });
    }

    /// A row of the probe without a partner.
    pub fn probe_alone(&mut self, op: RowOp, probe: usize, times: u32) {
        self.runs.push(Run { op: op as i8, probe: probe as u32, stored: PADDING, times });
    }

    /// A stored row without a partner.
    pub fn stored_alone(&mut self, op: RowOp, candidate: usize, times: u32) {
        self.runs.push(Run { op: op as i8, probe: PADDING, stored: candidate as u32, times });
    }

    /// The next output rows, at most [`MAX_OUTPUT_ROWS`].
    pub fn next_output(&mut self, shape: &PairShape) -> Result<Option<Batch>, OperatorError> {
        let (mut ops, mut probe, mut stored) = (vec![], vec![], vec![]);
        while ops.len() < MAX_OUTPUT_ROWS
            && let Some(run) = self.runs.get_mut(self.at)
        {
            let times = (run.times as usize).min(MAX_OUTPUT_ROWS - ops.len());
            ops.resize(ops.len() + times, run.op);
            probe.resize(probe.len() + times, run.probe);
            stored.resize(stored.len() + times, run.stored);
            run.times -= times as u32;
            if run.times == 0 {
                self.at += 1;
            }
        }
        if ops.is_empty() {
            return Ok(None);
        }
        let probe = gather(self.probe.columns(), &shape.types[self.probe_side as usize], &probe)?;
        let columns = if shape.left_only {
            match self.probe_side {
                Side::Left => probe,
                Side::Right => gather(&self.stored, &shape.types[0], &stored)?,
            }
        } else {
            let stored = gather(&self.stored, &shape.types[self.probe_side.other() as usize], &stored)?;
            match self.probe_side {
                Side::Left => probe.into_iter().chain(stored).collect(),
                Side::Right => stored.into_iter().chain(probe).collect(),
            }
        };
        let rows = to_batch(&shape.output, columns, ops.len())?;
        Ok(Some(Batch { rows, ops: shape.retracts.then(|| Int8Array::from(ops)), hashes: None }))
    }
}

/// `columns` (or none, when every row is padding) at these rows.
fn gather(columns: &[ArrayRef], types: &[DataType], rows: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
    if columns.is_empty() || rows.iter().all(|r| *r == PADDING) {
        return Ok(types.iter().map(|t| new_null_array(t, rows.len())).collect());
    }
    if rows[0] != PADDING && rows.windows(2).all(|w| w[1] == w[0].wrapping_add(1)) {
        return Ok(columns.iter().map(|c| c.slice(rows[0] as usize, rows.len())).collect());
    }
    let indices: UInt32Array = if rows.contains(&PADDING) {
        rows.iter().map(|r| (*r != PADDING).then_some(*r)).collect()
    } else {
        UInt32Array::from(rows.to_vec())
    };
    columns.iter().map(|c| take(c, &indices, None).map_err(OperatorError::Output)).collect()
}
