//! Filter: keeps the rows for which a predicate is true (NULL is not). Rows of an updating stream are judged one by one, so
//! an update may lose one of its halves; the other is right on its own. Keeps no state.

use crate::element::Batch;
use crate::expr::{CompiledExpr, ExprError};
use crate::operator::{Operator, OperatorContext, OperatorError};
use arrow::array::{Array, BooleanArray, Int8Array};
use arrow::compute::{filter, filter_record_batch};
use arrow::datatypes::SchemaRef;
use sluice_core::plan::expr::Expr;

pub struct Filter {
    predicate: CompiledExpr,
    ready: Option<Batch>,
}

impl Filter {
    pub fn new(predicate: &Expr, input: &SchemaRef, cx: &OperatorContext) -> Result<Self, ExprError> {
        Ok(Self { predicate: CompiledExpr::new(predicate, input, &cx.clock)?, ready: None })
    }
}

impl Operator for Filter {
    fn process(&mut self, _input: usize, batch: Batch) -> Result<(), OperatorError> {
        let mask = self.predicate.evaluate_filter(&batch.rows)?;
        self.ready = match mask.true_count() {
            0 => None,
            n if n == batch.len() => Some(batch),
            n => Some(select(&batch, &mask, n)?),
        };
        Ok(())
    }

    fn next_output(&mut self) -> Result<Option<Batch>, OperatorError> {
        Ok(self.ready.take())
    }
}

/// The `count` rows of a batch whose bit in `mask` is set, with their ops and hashes.
fn select(batch: &Batch, mask: &BooleanArray, count: usize) -> Result<Batch, OperatorError> {
    let rows = filter_record_batch(&batch.rows, mask).map_err(OperatorError::Output)?;
    let ops = match &batch.ops {
        None => None,
        Some(ops) => {
            let kept = filter(ops, mask).map_err(OperatorError::Output)?;
            Some(Int8Array::from(kept.to_data()))
        }
    };
    let hashes = batch.hashes.as_ref().map(|all| {
        let mut kept = Vec::with_capacity(count);
        kept.extend(mask.values().set_indices().filter(|&i| mask.is_valid(i)).map(|i| all[i]));
        kept.into()
    });
    Ok(Batch { rows, ops, hashes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::testing::{batch, context, lines, schema};
    use sluice_core::plan::expr::{BinaryOp, Literal, Value};
    use std::sync::Arc;

    fn greater_than_five() -> (SchemaRef, Filter) {
        let input = schema(&["a INT", "b STRING"]);
        let five = Literal { data_type: arrow::datatypes::DataType::Int32, value: Value::Int(5) };
        let predicate =
            Expr::Binary { op: BinaryOp::Gt, left: Box::new(Expr::Column(0)), right: Box::new(Expr::Literal(five)) };
        let filter = Filter::new(&predicate, &input, &context()).unwrap();
        (input, filter)
    }

    #[test]
    fn rows_ops_and_hashes_are_kept_together_and_null_is_not_true() {
        let (input, mut filter) = greater_than_five();
        let mut rows = batch(&input, "+I | 1 | a\n-U | 9 | b\n+U | NULL | c\n-D | 6 | d");
        rows.hashes = Some(Arc::from([1, 2, 3, 4]));
        filter.process(0, rows).unwrap();
        let out = filter.next_output().unwrap().unwrap();
        assert_eq!(lines(&out), ["-U | 9 | b", "-D | 6 | d"]);
        assert_eq!(out.hashes.as_deref(), Some(&[2, 4][..]));
    }

    #[test]
    fn a_batch_without_a_match_gives_nothing_and_a_full_match_passes_whole() {
        let (input, mut filter) = greater_than_five();
        filter.process(0, batch(&input, "+I | 1 | a\n+I | NULL | b")).unwrap();
        assert!(filter.next_output().unwrap().is_none());
        filter.process(0, batch(&input, "7 | a\n8 | b")).unwrap();
        let out = filter.next_output().unwrap().unwrap();
        assert!(out.ops.is_none());
        assert_eq!(lines(&out), ["+I | 7 | a", "+I | 8 | b"]);
    }
}
