//! SELECT lists.

use super::{columns_of, inherit};
use crate::errors::Outcome;
use crate::expr;
use crate::rel::Rel;
use datafusion_common::DFSchemaRef;
use datafusion_expr::Expr as Bound;

pub(super) fn translate(input: Rel, exprs: &[Bound], from: &DFSchemaRef, to: &DFSchemaRef) -> Outcome<Rel> {
    let translated = exprs.iter().map(|e| expr::translate(e, from)).collect::<Outcome<Vec<_>>>()?;
    let mut columns = columns_of(to);
    for (c, e) in columns.iter_mut().zip(&translated) {
        inherit(c, e, &input);
    }
    Ok(input.project(translated, columns))
}
