//! From the plan's expressions to something that evaluates batches.
//!
//! The tree is our own and typed: Arrow's kernels do the work, scalar functions come from the registry of `sluice-sql`. What
//! can fail is evaluated only for the rows that need it (`CASE`, `AND`, `OR`), so that `b <> 0 AND a / b > 1` never divides
//! by zero and the result does not depend on how rows are cut into batches. It refuses implicit casts: the planner has made
//! them explicit.

mod arithmetic;
mod boolean;
mod call;
mod cast;
mod compare;
mod compile;
mod decimal;
pub mod display;
mod like;
mod literal;
mod node;
mod reduced;

use crate::clock::Clock;
use crate::operator::OperatorError;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::{DataType, SchemaRef};
use node::{Node, Rows};
use sluice_core::plan::expr::Expr;

#[derive(Debug, thiserror::Error)]
pub enum ExprError {
    #[error("failed to prepare {what}: {message}")]
    Compile { what: String, message: String },
}

/// An expression bound to an input schema. Not `Clone`: one per task.
#[derive(Debug)]
pub struct CompiledExpr {
    root: Node,
    data_type: DataType,
}

impl CompiledExpr {
    /// `clock` serves `PROCTIME()`, `NOW()` and the like.
    pub fn new(expr: &Expr, input: &SchemaRef, clock: &Clock) -> Result<Self, ExprError> {
        let (root, data_type) = compile::compile(expr, input, clock)?;
        Ok(Self { root, data_type })
    }

    /// The type of what [`evaluate`](Self::evaluate) gives.
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// One value per row. A column reference is the column itself, not a copy.
    pub fn evaluate(&self, rows: &RecordBatch) -> Result<ArrayRef, OperatorError> {
        let rows = Rows::of(rows);
        self.root.evaluate(&rows)?.expand(rows.count())
    }

    /// For predicates: NULL counts as false.
    pub fn evaluate_filter(&self, rows: &RecordBatch) -> Result<BooleanArray, OperatorError> {
        let array = self.evaluate(rows)?;
        let Some(mask) = array.as_boolean_opt() else {
            return Err(OperatorError::Evaluate {
                what: "a predicate".to_owned(),
                message: format!("its type is {}, not BOOLEAN", array.data_type()),
            });
        };
        Ok(if mask.null_count() > 0 { prep_null_mask_filter(mask) } else { mask.clone() })
    }
}

#[cfg(test)]
mod tests;
