//! The operators, one file each, and the factory from a plan node.

use crate::expr::ExprError;
use crate::operator::{Operator, OperatorContext};
use crate::row::RowError;
use arrow::datatypes::SchemaRef;
use sluice_core::plan::Node;

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Expr(#[from] ExprError),
    #[error(transparent)]
    Row(#[from] RowError),
    #[error("operator '{0}' cannot be built here")]
    NotAnOperator(String),
}

/// Builds the operator of a node (not sources, sinks and unions, which the task itself is made of). `inputs` are the schemas
/// of the node's inputs; whether one carries ops is the upstream node's `changelog`.
pub fn build(node: &Node, _inputs: &[SchemaRef], _cx: &OperatorContext) -> Result<Box<dyn Operator>, BuildError> {
    match &node.op {
        op => Err(BuildError::NotAnOperator(format!("{op:?}"))),
    }
}
