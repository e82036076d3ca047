//! Projection: one expression per output column. Keeps no state; ops and key hashes of the rows stay as they are.

use crate::element::Batch;
use crate::expr::{CompiledExpr, ExprError};
use crate::operator::{Operator, OperatorContext, OperatorError};
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use sluice_core::plan::expr::Expr;

pub struct Project {
    exprs: Vec<CompiledExpr>,
    schema: SchemaRef,
    ready: Option<Batch>,
}

impl Project {
    pub fn new(exprs: &[Expr], input: &SchemaRef, output: &SchemaRef, cx: &OperatorContext) -> Result<Self, ExprError> {
        let exprs = exprs.iter().map(|e| CompiledExpr::new(e, input, &cx.clock)).collect::<Result<_, _>>()?;
        Ok(Self { exprs, schema: output.clone(), ready: None })
    }
}

impl Operator for Project {
    fn process(&mut self, _input: usize, batch: Batch) -> Result<(), OperatorError> {
        let columns = self.exprs.iter().map(|e| e.evaluate(&batch.rows)).collect::<Result<Vec<_>, _>>()?;
        // A projection to no columns (`COUNT(*)` alone) still has rows.
        let options = RecordBatchOptions::new().with_row_count(Some(batch.len()));
        let rows =
            RecordBatch::try_new_with_options(self.schema.clone(), columns, &options).map_err(OperatorError::Output)?;
        self.ready = Some(Batch { rows, ..batch });
        Ok(())
    }

    fn next_output(&mut self) -> Result<Option<Batch>, OperatorError> {
        Ok(self.ready.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::testing::{Harness, batch, context, schema};
    use std::sync::Arc;

    #[test]
    fn columns_are_reordered_and_ops_and_hashes_stay() {
        let input = schema(&["a INT", "b STRING"]);
        let output = schema(&["b STRING", "a INT"]);
        let exprs = [Expr::Column(1), Expr::Column(0)];
        let mut project = Project::new(&exprs, &input, &output, &context()).unwrap();
        let mut rows = batch(&input, "+I | 1 | x\n-U | NULL | y");
        rows.hashes = Some(Arc::from([7, 8]));
        project.process(0, rows).unwrap();
        let out = project.next_output().unwrap().unwrap();
        assert_eq!(out.hashes.as_deref(), Some(&[7, 8][..]));
        assert_eq!(crate::operators::testing::lines(&out), ["+I | x | 1", "-U | y | NULL"]);
        assert!(project.next_output().unwrap().is_none());
    }

    #[test]
    fn a_projection_to_nothing_keeps_the_number_of_rows() {
        let input = schema(&["a INT"]);
        let project = Project::new(&[], &input, &schema(&[]), &context()).unwrap();
        let mut harness = Harness::new(Box::new(project));
        harness.push(0, batch(&input, "+I | 1\n+I | 2"));
        assert_eq!(harness.take(), ["+I", "+I"]);
    }
}
