//! Rows with ops and ranks on their way out of a Top-N: bytes, because the row may be gone from the state by then.

use crate::element::{Batch, RowOp};
use crate::operator::{MAX_OUTPUT_ROWS, OperatorError};
use crate::row::{RowBuffer, RowCodec};
use arrow::array::{ArrayRef, Int8Array, Int64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use std::sync::Arc;

pub(crate) struct RankedOutput {
    schema: SchemaRef,
    with_rank: bool,
    with_ops: bool,
    ops: Vec<i8>,
    rows: RowBuffer,
    ranks: Vec<i64>,
    /// Rows before this have left.
    at: usize,
}

impl RankedOutput {
    pub(crate) fn new(schema: &SchemaRef, with_rank: bool, with_ops: bool) -> Self {
        Self {
            schema: Arc::clone(schema),
            with_rank,
            with_ops,
            ops: vec![],
            rows: RowBuffer::default(),
            ranks: vec![],
            at: 0,
        }
    }

    /// `rank` counts from 1; it means nothing where the output has none.
    pub(crate) fn push(&mut self, op: RowOp, row: &[u8], rank: usize) {
        self.ops.push(op as i8);
        self.rows.push(row);
        self.ranks.push(rank as i64);
    }

    pub(crate) fn waiting(&self) -> usize {
        self.ops.len() - self.at
    }

    pub(crate) fn next(&mut self, codec: &RowCodec) -> Result<Option<Batch>, OperatorError> {
        if self.waiting() == 0 {
            return Ok(None);
        }
        let (from, to) = (self.at, (self.at + MAX_OUTPUT_ROWS).min(self.ops.len()));
        let mut columns = codec.decode((from..to).map(|i| self.rows.row(i)))?;
        if self.with_rank {
            let ranks: ArrayRef = Arc::new(Int64Array::from(self.ranks[from..to].to_vec()));
            let data_type = self.schema.field(columns.len()).data_type();
            columns.push(cast(&ranks, data_type).map_err(OperatorError::Output)?);
        }
        let rows = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(OperatorError::Output)?;
        let ops = self.with_ops.then(|| Int8Array::from(self.ops[from..to].to_vec()));
        self.at = to;
        if self.waiting() == 0 {
            self.at = 0;
            self.ops.clear();
            self.rows.clear();
            self.ranks.clear();
        }
        Ok(Some(Batch { rows, ops, hashes: None }))
    }
}
