//! `IN`, `EXISTS` and their negations in WHERE: semi and anti joins.
//!
//! `x NOT IN (q)` is true if `x = y` is false for every row y of q: with NULLs on either side that is no equality of keys.
//! Where neither side can be NULL the keys are joined, else one task compares with every row, as in Flink.

use super::{Translator, join};
use crate::errors::{Outcome, Refusal};
use crate::expr::{self, Scope};
use crate::rel::Rel;
use datafusion_common::DFSchemaRef;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_expr::expr::{Exists, InSubquery};
use datafusion_expr::logical_plan::{Filter, Subquery};
use datafusion_expr::utils::{conjunction, split_conjunction};
use datafusion_expr::{Expr as Bound, LogicalPlan};
use sluice_core::plan::JoinKind;
use sluice_core::plan::expr::{BinaryOp, Expr};
use std::sync::Arc;

/// Whether a conjunct of WHERE is a condition with a sub-query that can be a join.
pub(super) fn is_one(e: &Bound) -> bool {
    match e {
        Bound::InSubquery(_) | Bound::Exists(_) => true,
        Bound::Not(inner) => is_one(inner),
        _ => false,
    }
}

/// Rows of `left` for which the condition holds.
pub(super) fn join(t: &mut Translator<'_>, left: Rel, schema: &DFSchemaRef, e: &Bound) -> Outcome<Rel> {
    match e {
        Bound::Not(inner) => negated(t, left, schema, inner),
        _ => positive(t, left, schema, e, false),
    }
}

fn negated(t: &mut Translator<'_>, left: Rel, schema: &DFSchemaRef, e: &Bound) -> Outcome<Rel> {
    match e {
        Bound::Not(inner) => join(t, left, schema, inner),
        _ => positive(t, left, schema, e, true),
    }
}

fn positive(t: &mut Translator<'_>, left: Rel, schema: &DFSchemaRef, e: &Bound, flip: bool) -> Outcome<Rel> {
    let (query, key, negated) = match e {
        Bound::Exists(Exists { subquery, negated }) => (subquery, None, *negated != flip),
        Bound::InSubquery(InSubquery { expr, subquery, negated }) => (subquery, Some(expr.as_ref()), *negated != flip),
        other => return Err(Refusal::new(format!("the condition {other} is not supported"))),
    };
    let parts = Correlated::of(query)?;
    let right = t.relation(&parts.plan)?;
    let scope = Scope { schema: parts.plan.schema(), outer: Some(schema) };
    let mut conjuncts = parts.conditions.iter().map(|c| expr::scoped(c, scope)).collect::<Outcome<Vec<_>>>()?;
    if let Some(key) = key {
        let inner =
            parts.output.first().ok_or_else(|| Refusal::new("IN needs a sub-query with one column").near("IN"))?;
        let x = expr::translate(key, schema)?;
        let y = expr::scoped(inner, scope)?;
        let may_be_null = |e: &Expr| !matches!(e, Expr::Column(i) if !column(&left, &right, *i));
        conjuncts.push(if negated && (may_be_null(&x) || may_be_null(&y)) {
            // True unless the comparison is false: one NULL decides for every row.
            Expr::Not(Box::new(Expr::IsFalse(Box::new(expr::binary(BinaryOp::Eq, x, y)))))
        } else {
            expr::binary(BinaryOp::Eq, x, y)
        });
    }
    let kind = if negated { JoinKind::Anti } else { JoinKind::Semi };
    let ttl = join::Ttls { left: t.settings.ttl(), right: t.ttl_of(&parts.plan) };
    let columns = left.columns.clone();
    let mut joined = join::two(left, right, kind, conjuncts, ttl)?;
    for (c, old) in joined.columns.iter_mut().zip(columns) {
        c.name = old.name;
    }
    Ok(joined)
}

/// Nullability of a column of both sides, the left one's first.
fn column(left: &Rel, right: &Rel, i: usize) -> bool {
    match i.checked_sub(left.width()) {
        None => left.columns[i].nullable,
        Some(r) => right.columns[r].nullable,
    }
}

/// A sub-query without the conditions that mention the outer query.
struct Correlated {
    plan: LogicalPlan,
    conditions: Vec<Bound>,
    /// What it selects, over `plan`.
    output: Vec<Bound>,
}

impl Correlated {
    fn of(query: &Subquery) -> Outcome<Self> {
        let all = |p: &LogicalPlan| p.schema().columns().into_iter().map(Bound::Column).collect();
        if query.outer_ref_columns.is_empty() {
            let plan = query.subquery.as_ref().clone();
            return Ok(Self { output: all(&plan), plan, conditions: vec![] });
        }
        let c = Self::take(&query.subquery)?;
        if mentions_outer_plan(&c.plan)? {
            return Err(Refusal::new("the sub-query uses an outer column below its own WHERE")
                .near("WHERE")
                .hint("compare outer columns only in the sub-query's outermost WHERE"));
        }
        Ok(c)
    }

    fn take(plan: &LogicalPlan) -> Outcome<Self> {
        let all = |p: &LogicalPlan| p.schema().columns().into_iter().map(Bound::Column).collect();
        Ok(match plan {
            LogicalPlan::Projection(p) => {
                let below = Self::take(&p.input)?;
                // Over a filter the columns are those of its input; over an alias the names would not resolve.
                if below.plan.schema().fields().len() != p.input.schema().fields().len() {
                    return Err(Refusal::new("this correlated sub-query is not supported").near("WHERE"));
                }
                Self { output: p.expr.clone(), ..below }
            }
            LogicalPlan::Distinct(d) => Self::take(d.input())?,
            LogicalPlan::Filter(f) => {
                let (outer, own): (Vec<&Bound>, Vec<&Bound>) =
                    split_conjunction(&f.predicate).into_iter().partition(|e| mentions_outer(e));
                let input = match conjunction(own.into_iter().cloned()) {
                    Some(p) => LogicalPlan::Filter(Filter::try_new(p, Arc::clone(&f.input))?),
                    None => f.input.as_ref().clone(),
                };
                Self { output: all(&input), conditions: outer.into_iter().cloned().collect(), plan: input }
            }
            other => Self { output: all(other), plan: other.clone(), conditions: vec![] },
        })
    }
}

fn mentions_outer(e: &Bound) -> bool {
    e.exists(|x| Ok(matches!(x, Bound::OuterReferenceColumn(..)))).unwrap_or(true)
}

fn mentions_outer_plan(plan: &LogicalPlan) -> Outcome<bool> {
    let mut found = false;
    plan.apply(|p| {
        found |= p.expressions().iter().any(mentions_outer);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}
