//! WHERE and HAVING: a plain filter, a condition of a join, a limit of row numbers, or a sub-query.

use super::{Translator, join, subquery, top_n};
use crate::errors::Outcome;
use crate::expr;
use crate::rel::Rel;
use datafusion_expr::logical_plan::{Filter, JoinType};
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{Expr as Bound, LogicalPlan};
use sluice_core::plan::Op;
use sluice_core::plan::expr::{BinaryOp, Expr};

pub(super) fn translate(t: &mut Translator<'_>, f: &Filter) -> Outcome<Rel> {
    let schema = f.input.schema();
    let (sub_queries, plain): (Vec<&Bound>, Vec<&Bound>) =
        split_conjunction(&f.predicate).into_iter().partition(|e| subquery::is_one(e));
    let mut conjuncts = vec![];
    for e in plain {
        conjuncts.extend(expr::conjuncts(expr::translate(e, schema)?));
    }
    let mut rel = match f.input.as_ref() {
        LogicalPlan::Join(j) if j.join_type == JoinType::Inner => join::chain(t, &f.input, conjuncts)?,
        other => {
            let input = t.relation(other)?;
            let ttl = t.ttl_of(other);
            apply(input, conjuncts, ttl)?
        }
    };
    for s in sub_queries {
        rel = subquery::join(t, rel, schema, s)?;
    }
    Ok(rel)
}

/// Keeps the rows for which all are true.
pub(super) fn apply(rel: Rel, conjuncts: Vec<Expr>, ttl: Option<sluice_core::plan::Ttl>) -> Outcome<Rel> {
    let (rel, rest) = top_n::apply(rel, conjuncts, ttl)?;
    Ok(match expr::conjunction(rest.iter().cloned()) {
        None => rel,
        Some(predicate) => not_null(rel.filter(predicate), &rest),
    })
}

/// After `c IS NOT NULL` or a comparison with it, a column has no NULLs.
fn not_null(mut rel: Rel, conjuncts: &[Expr]) -> Rel {
    debug_assert!(matches!(rel.op, crate::rel::RelOp::Core(Op::Filter { .. })));
    for c in conjuncts {
        match c {
            Expr::IsNotNull(e) => {
                if let Expr::Column(i) = e.as_ref() {
                    rel.columns[*i].nullable = false;
                }
            }
            Expr::Binary {
                op: BinaryOp::Eq | BinaryOp::Lt | BinaryOp::LtEq | BinaryOp::Gt | BinaryOp::GtEq,
                left,
                right,
            } => {
                for side in [left, right] {
                    if let Expr::Column(i) = side.as_ref() {
                        rel.columns[*i].nullable = false;
                    }
                }
            }
            _ => {}
        }
    }
    rel
}
