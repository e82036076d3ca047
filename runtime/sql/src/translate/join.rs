//! Joins: regular, interval and window joins by what the condition says; equalities become keys.

use super::interval::{self, Bounds};
use super::{Translator, filter};
use crate::errors::{Outcome, Refusal};
use crate::expr;
use crate::rel::{Column, Rel, Role, WindowColumns};
use arrow_schema::DataType;
use datafusion_expr::LogicalPlan;
use datafusion_expr::logical_plan::{Join, JoinType};
use sluice_core::plan::expr::{BinaryOp, Expr, Literal, Value};
use sluice_core::plan::{Changelog, JoinKind, Op, Ttl, Window};

/// How long each side of a regular join is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ttls {
    pub left: Option<Ttl>,
    pub right: Option<Ttl>,
}

/// A join, or a chain of inner joins with the conditions of a WHERE above it.
pub(super) fn chain(t: &mut Translator<'_>, plan: &LogicalPlan, conjuncts: Vec<Expr>) -> Outcome<Rel> {
    match plan {
        LogicalPlan::Join(j) if j.join_type == JoinType::Inner => {
            let mut c = Chain { leaves: vec![], conjuncts };
            c.flatten(t, plan)?;
            c.build()
        }
        LogicalPlan::Join(j) => {
            debug_assert!(conjuncts.is_empty(), "a WHERE above an outer join stays a filter");
            outer(t, j)
        }
        _ => Err(Refusal::new("this join is not supported").near("JOIN")),
    }
}

struct Leaf {
    rel: Rel,
    ttl: Option<Ttl>,
    /// Of its first column among all columns of the chain.
    start: usize,
}

struct Chain {
    leaves: Vec<Leaf>,
    /// Over all columns.
    conjuncts: Vec<Expr>,
}

impl Chain {
    fn flatten(&mut self, t: &mut Translator<'_>, plan: &LogicalPlan) -> Outcome<()> {
        if let LogicalPlan::Join(j) = plan
            && j.join_type == JoinType::Inner
        {
            let start = self.width();
            self.flatten(t, &j.left)?;
            self.flatten(t, &j.right)?;
            let conditions = conditions(j)?;
            self.conjuncts.extend(conditions.iter().map(|c| expr::shift(c, &mut |i| i + start)));
            return Ok(());
        }
        let leaf = Leaf { rel: t.relation(plan)?, ttl: t.ttl_of(plan), start: self.width() };
        self.leaves.push(leaf);
        Ok(())
    }

    fn width(&self) -> usize {
        self.leaves.last().map_or(0, |l| l.start + l.rel.width())
    }

    /// Joins the leaves in their order, or in the first order in which each has an equality with those before.
    fn build(mut self) -> Outcome<Rel> {
        let width = self.width();
        self.filter_leaves()?;
        let mut leaves = std::mem::take(&mut self.leaves);
        let first = leaves.remove(0);
        // Position in the joined relation of each column of the chain.
        let mut position: Vec<Option<usize>> = vec![None; width];
        for i in 0..first.rel.width() {
            position[first.start + i] = Some(i);
        }
        let (mut rel, mut ttl) = (first.rel, first.ttl);
        while !leaves.is_empty() {
            let next = leaves.iter().position(|l| self.joins(l, &position)).unwrap_or(0);
            let leaf = leaves.remove(next);
            for i in 0..leaf.rel.width() {
                position[leaf.start + i] = Some(rel.width() + i);
            }
            let here = self.take_bound(&position);
            rel = two(rel, leaf.rel, JoinKind::Inner, here, Ttls { left: ttl, right: leaf.ttl })?;
            ttl = None;
        }
        let order: Vec<usize> = position.into_iter().map(|p| p.expect("every leaf was joined")).collect();
        Ok(rel.select(&order))
    }

    /// Conditions on one leaf alone are filters below the join.
    fn filter_leaves(&mut self) -> Outcome<()> {
        for leaf in &mut self.leaves {
            let range = leaf.start..leaf.start + leaf.rel.width();
            let (own, rest): (Vec<Expr>, Vec<Expr>) = std::mem::take(&mut self.conjuncts).into_iter().partition(|c| {
                let columns = expr::columns_of(c);
                !columns.is_empty() && columns.iter().all(|i| range.contains(i))
            });
            self.conjuncts = rest;
            let own = own.iter().map(|c| expr::shift(c, &mut |i| i - leaf.start)).collect();
            leaf.rel = filter::apply(leaf.rel.clone(), own, leaf.ttl)?;
        }
        Ok(())
    }

    /// Whether an equality leads from the joined columns to the leaf.
    fn joins(&self, leaf: &Leaf, position: &[Option<usize>]) -> bool {
        let range = leaf.start..leaf.start + leaf.rel.width();
        let side = |e: &Expr| {
            let columns = expr::columns_of(e);
            let (here, there) =
                (columns.iter().all(|i| position[*i].is_some()), columns.iter().all(|i| range.contains(i)));
            (!columns.is_empty() && here, !columns.is_empty() && there)
        };
        self.conjuncts.iter().any(|c| match c {
            Expr::Binary { op: BinaryOp::Eq | BinaryOp::IsNotDistinctFrom, left, right } => {
                let (a, b) = (side(left), side(right));
                a.0 && b.1 || a.1 && b.0
            }
            _ => false,
        })
    }

    /// The conjuncts whose columns are all there, over the joined relation.
    fn take_bound(&mut self, position: &[Option<usize>]) -> Vec<Expr> {
        let (here, rest): (Vec<Expr>, Vec<Expr>) = std::mem::take(&mut self.conjuncts)
            .into_iter()
            .partition(|c| expr::columns_of(c).iter().all(|i| position[*i].is_some()));
        self.conjuncts = rest;
        here.iter().map(|c| expr::shift(c, &mut |i| position[i].expect("checked above"))).collect()
    }
}

/// The conditions of a join over its left, then its right columns.
fn conditions(j: &Join) -> Outcome<Vec<Expr>> {
    let mut all = vec![];
    let width = j.left.schema().fields().len();
    for (l, r) in &j.on {
        let left = expr::translate(l, j.left.schema())?;
        let right = expr::shift(&expr::translate(r, j.right.schema())?, &mut |i| i + width);
        all.push(expr::binary(BinaryOp::Eq, left, right));
    }
    if let Some(f) = &j.filter {
        for c in datafusion_expr::utils::split_conjunction(f) {
            all.extend(expr::conjuncts(expr::translate(c, &j.schema)?));
        }
    }
    Ok(all)
}

fn outer(t: &mut Translator<'_>, j: &Join) -> Outcome<Rel> {
    let kind = match j.join_type {
        JoinType::Left => JoinKind::Left,
        JoinType::Right => JoinKind::Right,
        JoinType::Full => JoinKind::Full,
        other => return Err(Refusal::new(format!("{other} JOIN is not supported")).near("JOIN")),
    };
    let ttl = Ttls { left: t.ttl_of(&j.left), right: t.ttl_of(&j.right) };
    let (mut left, mut right) = (t.relation(&j.left)?, t.relation(&j.right)?);
    let width = left.width();
    let mut conjuncts = vec![];
    let (mut of_left, mut of_right) = (vec![], vec![]);
    for c in conditions(j)? {
        let columns = expr::columns_of(&c);
        // A condition on the side that may be missing only decides which of its rows match.
        if kind == JoinKind::Left && !columns.is_empty() && columns.iter().all(|i| *i >= width) {
            of_right.push(expr::shift(&c, &mut |i| i - width));
        } else if kind == JoinKind::Right && !columns.is_empty() && columns.iter().all(|i| *i < width) {
            of_left.push(c);
        } else {
            conjuncts.push(c);
        }
    }
    left = filter::apply(left, of_left, ttl.left)?;
    right = filter::apply(right, of_right, ttl.right)?;
    two(left, right, kind, conjuncts, ttl)
}

/// Joins two relations on conditions over the left, then the right columns.
pub(super) fn two(left: Rel, right: Rel, kind: JoinKind, conjuncts: Vec<Expr>, ttl: Ttls) -> Outcome<Rel> {
    let width = left.width();
    let (keys, rest) = split_keys(conjuncts, width);
    if let Some(rel) = window_join(&left, &right, kind, &keys, &rest) {
        return Ok(rel);
    }
    if let Some(rel) = interval_join(&left, &right, kind, &keys, &rest) {
        return Ok(rel);
    }
    if keys.is_empty() && kind != JoinKind::Anti {
        return Err(Refusal::new("a join needs an equality between its sides")
            .near("JOIN")
            .hint("ON a.x = b.x, or bound the time of one side by the other's on both ends"));
    }
    let columns = joined_columns(&left, &right, kind, Column::materialized);
    let append = left.is_append() && right.is_append() && matches!(kind, JoinKind::Inner | JoinKind::Semi);
    let sides = Sides::new(left, right, &keys);
    let op = Op::Join {
        kind,
        left_keys: sides.left_keys.clone(),
        right_keys: sides.right_keys.clone(),
        residual: sides.residual(rest),
        left_ttl: ttl.left,
        right_ttl: ttl.right,
    };
    Ok(sides.finish(op, kind, columns, if append { Changelog::Append } else { Changelog::Retract }))
}

/// A pair of keys: over the left, over the right relation.
type Pair = (Expr, Expr);

/// Equalities between the sides, and the rest.
fn split_keys(conjuncts: Vec<Expr>, width: usize) -> (Vec<Pair>, Vec<Expr>) {
    let (mut keys, mut rest) = (vec![], vec![]);
    for c in conjuncts {
        match pair(&c, width) {
            Some(pairs) => keys.extend(pairs),
            None => rest.push(c),
        }
    }
    (keys, rest)
}

fn pair(c: &Expr, width: usize) -> Option<Vec<Pair>> {
    let Expr::Binary { op, left, right } = c else { return None };
    let side = |e: &Expr| {
        let columns = expr::columns_of(e);
        if columns.is_empty() {
            None
        } else if columns.iter().all(|i| *i < width) {
            Some(true)
        } else {
            columns.iter().all(|i| *i >= width).then_some(false)
        }
    };
    let (l, r) = match (side(left)?, side(right)?) {
        (true, false) => (left, right),
        (false, true) => (right, left),
        _ => return None,
    };
    let r = expr::shift(r, &mut |i| i - width);
    match op {
        BinaryOp::Eq => Some(vec![(l.as_ref().clone(), r)]),
        // NULL meets NULL: whether it is NULL, and the value or a stand-in, are both keys.
        BinaryOp::IsNotDistinctFrom => {
            let (a, b) = (or_constant(l), or_constant(&r));
            let null = |e: &Expr| Expr::IsNull(Box::new(e.clone()));
            Some(vec![(null(l), null(&r)), (a, b)])
        }
        _ => None,
    }
}

fn or_constant(e: &Expr) -> Expr {
    // The stand-in needs a type that is known without the schema: the other operand's cast, or the column's own, is the
    // same on both sides, so an empty text form of the value would do; the value itself is enough where it is not NULL.
    let otherwise = Expr::Literal(Literal { data_type: DataType::Utf8, value: Value::Text(String::new()) });
    let text = Expr::Cast { expr: Box::new(e.clone()), to: DataType::Utf8 };
    Expr::Case {
        operand: None,
        branches: vec![(Expr::IsNull(Box::new(e.clone())), otherwise)],
        otherwise: Some(Box::new(text)),
    }
}

/// Both inputs with their keys as columns.
struct Sides {
    left: Rel,
    right: Rel,
    left_keys: Vec<usize>,
    right_keys: Vec<usize>,
    /// Columns before computed keys were added.
    left_width: usize,
    right_width: usize,
}

impl Sides {
    fn new(left: Rel, right: Rel, keys: &[Pair]) -> Self {
        let (left_width, right_width) = (left.width(), right.width());
        let (left, left_keys) = with_keys(left, keys.iter().map(|(l, _)| l));
        let (right, right_keys) = with_keys(right, keys.iter().map(|(_, r)| r));
        Self { left, right, left_keys, right_keys, left_width, right_width }
    }

    /// The remaining conditions, over the widened inputs.
    fn residual(&self, rest: Vec<Expr>) -> Option<Expr> {
        let (old, new) = (self.left_width, self.left.width());
        expr::conjunction(rest.iter().map(|c| expr::shift(c, &mut |i| if i < old { i } else { i - old + new })))
    }

    /// The join, without computed keys in its output.
    fn finish(self, op: Op, kind: JoinKind, columns: Vec<Column>, changelog: Changelog) -> Rel {
        let one_sided = matches!(kind, JoinKind::Semi | JoinKind::Anti);
        let (l, r) = (self.left.width(), self.right.width());
        let mut keep: Vec<usize> = (0..self.left_width).collect();
        let mut wide: Vec<Column> = columns[..self.left_width].to_vec();
        wide.extend(self.left.columns[self.left_width..l].iter().cloned().map(Column::materialized));
        if !one_sided {
            keep.extend(l..l + self.right_width);
            wide.extend(columns[self.left_width..].iter().cloned());
            wide.extend(self.right.columns[self.right_width..r].iter().cloned().map(Column::materialized));
        }
        Rel::new(op, vec![self.left, self.right], wide, changelog).select(&keep)
    }
}

fn with_keys<'a>(rel: Rel, keys: impl Iterator<Item = &'a Expr>) -> (Rel, Vec<usize>) {
    let mut exprs: Vec<Expr> = (0..rel.width()).map(Expr::Column).collect();
    let mut columns = rel.columns.clone();
    let mut positions = vec![];
    let schema = rel.schema();
    for k in keys {
        let at = exprs.iter().position(|e| e == k).unwrap_or_else(|| {
            let data_type = k.data_type(&schema).unwrap_or(DataType::Null);
            exprs.push(k.clone());
            columns.push(Column::new(format!("key-{}", columns.len()), data_type, true));
            exprs.len() - 1
        });
        positions.push(at);
    }
    (rel.project(exprs, columns), positions)
}

/// Columns of both sides (of the left one for semi and anti joins); those of a side that may be missing are nullable.
fn joined_columns(left: &Rel, right: &Rel, kind: JoinKind, map: impl Fn(Column) -> Column) -> Vec<Column> {
    let (left_missing, right_missing) = match kind {
        JoinKind::Inner | JoinKind::Semi | JoinKind::Anti => (false, false),
        JoinKind::Left => (false, true),
        JoinKind::Right => (true, false),
        JoinKind::Full => (true, true),
    };
    let side = |rel: &Rel, missing: bool| -> Vec<Column> {
        let one = |c: &Column| {
            let mut c = map(c.clone());
            if missing {
                c.nullable = true;
                c.role = Role::Plain;
            }
            c
        };
        rel.columns.iter().map(one).collect()
    };
    let mut columns = side(left, left_missing);
    if !matches!(kind, JoinKind::Semi | JoinKind::Anti) {
        columns.extend(side(right, right_missing));
    }
    columns
}

/// Both sides carry windows of one kind, and the condition equates their bounds.
fn window_join(left: &Rel, right: &Rel, kind: JoinKind, keys: &[Pair], rest: &[Expr]) -> Option<Rel> {
    let (l, r) = (left.window()?, right.window()?);
    let equates = |a: usize, b: usize| keys.iter().any(|(x, y)| *x == Expr::Column(a) && *y == Expr::Column(b));
    let bounds = equates(l.start, r.start) && equates(l.end, r.end);
    if !bounds
        || !left.is_append()
        || !right.is_append()
        || l.id.window != r.id.window
        || l.id.processing != r.id.processing
    {
        return None;
    }
    let window = |(x, y): &Pair| {
        let is_end = *x == Expr::Column(l.end) && *y == Expr::Column(r.end);
        let is_start = *x == Expr::Column(l.start) && *y == Expr::Column(r.start);
        // The end says which window it is, except for sessions.
        is_end || is_start && !matches!(l.id.window, Window::Session { .. })
    };
    let keys: Vec<Pair> = keys.iter().filter(|p| !window(p)).cloned().collect();
    let columns = window_join_columns(left, right, kind, l, r);
    let sides = Sides::new(left.clone(), right.clone(), &keys);
    let op = Op::WindowJoin {
        kind,
        left_keys: sides.left_keys.clone(),
        right_keys: sides.right_keys.clone(),
        left_end: l.end,
        right_end: r.end,
        residual: sides.residual(rest.to_vec()),
    };
    Some(sides.finish(op, kind, columns, Changelog::Append))
}

/// Windows survive on the sides that are always there, as one window; other times do not.
fn window_join_columns(left: &Rel, right: &Rel, kind: JoinKind, l: WindowColumns, r: WindowColumns) -> Vec<Column> {
    let kept = if kind == JoinKind::Right { r.id } else { l.id };
    joined_columns(left, right, kind, |mut c| {
        c.role = match c.role {
            Role::WindowStart(id) if id == l.id || id == r.id => Role::WindowStart(kept),
            Role::WindowEnd(id) if id == l.id || id == r.id => Role::WindowEnd(kept),
            Role::WindowTime(id) if id == l.id || id == r.id => Role::WindowTime(kept),
            _ => Role::Plain,
        };
        c
    })
}

/// Both sides only grow, and the condition bounds the time of one by the other's.
fn interval_join(left: &Rel, right: &Rel, kind: JoinKind, keys: &[Pair], rest: &[Expr]) -> Option<Rel> {
    if !left.is_append() || !right.is_append() || matches!(kind, JoinKind::Semi | JoinKind::Anti) {
        return None;
    }
    let width = left.width();
    // Equal times are bounds, too.
    let equalities =
        keys.iter().map(|(l, r)| expr::binary(BinaryOp::Eq, l.clone(), expr::shift(r, &mut |i| i + width)));
    let all: Vec<Expr> = equalities.chain(rest.iter().cloned()).collect();
    let (bounds, remaining) = interval::find(left, right, &all)?;
    let (keys, rest) = split_keys(remaining, width);
    let Bounds { left_time, right_time, lower_ms, upper_ms } = bounds;
    let columns = joined_columns(left, right, kind, |c| match c.role {
        Role::EventTime => c,
        Role::WindowTime(_) => c.with_role(Role::EventTime),
        _ => c.materialized(),
    });
    let sides = Sides::new(left.clone(), right.clone(), &keys);
    let op = Op::IntervalJoin {
        kind,
        left_keys: sides.left_keys.clone(),
        right_keys: sides.right_keys.clone(),
        left_time,
        right_time,
        lower_ms,
        upper_ms,
        residual: sides.residual(rest),
    };
    Some(sides.finish(op, kind, columns, Changelog::Append))
}
