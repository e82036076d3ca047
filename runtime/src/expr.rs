//! From the plan's expressions to something that evaluates batches.
//!
//! Placeholder signatures; written next.

use crate::clock::Clock;
use crate::operator::OperatorError;
use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use sluice_core::plan::expr::Expr;

#[derive(Debug, thiserror::Error)]
pub enum ExprError {
    #[error("failed to prepare {what}: {message}")]
    Compile { what: String, message: String },
}

/// An expression bound to an input schema. Not `Clone`: one per task.
pub struct CompiledExpr;

impl CompiledExpr {
    /// `clock` serves `PROCTIME()`, `NOW()` and the like.
    pub fn new(_expr: &Expr, _input: &SchemaRef, _clock: &Clock) -> Result<Self, ExprError> {
        unreachable!("written next")
    }
    pub fn evaluate(&self, _rows: &RecordBatch) -> Result<ArrayRef, OperatorError> {
        unreachable!("written next")
    }
    /// For predicates: NULL counts as false.
    pub fn evaluate_filter(&self, _rows: &RecordBatch) -> Result<BooleanArray, OperatorError> {
        unreachable!("written next")
    }
}
