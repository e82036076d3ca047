//! `ROW_NUMBER()` with a limit in an outer WHERE, and `ORDER BY … LIMIT`: Top-N, Top-N of a window, deduplication.

use super::{Translator, column_expr};
use crate::errors::{Outcome, Refusal};
use crate::expr;
use crate::rel::{Column, Rel, RelOp, Role, WindowColumns};
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::expr::{Sort, WindowFunction};
use datafusion_expr::logical_plan::{FetchType, Limit, SkipType, Window as BoundWindow};
use datafusion_expr::{Expr as Bound, LogicalPlan};
use sluice_core::plan::expr::{BinaryOp, Expr, Literal, Value};
use sluice_core::plan::{Changelog, DedupOrder, Keep, Op, SortKey, Ttl, Window};

/// `ROW_NUMBER() OVER (…)`: waits for the filter that makes an operator of it.
pub(super) fn row_number(input: Rel, w: &BoundWindow) -> Outcome<Rel> {
    let [e] = w.window_expr.as_slice() else {
        return Err(Refusal::new("only one ROW_NUMBER() per SELECT is supported").near("ROW_NUMBER"));
    };
    let inner = match e {
        Bound::Alias(a) => a.expr.as_ref(),
        other => other,
    };
    let Bound::WindowFunction(f) = inner else {
        return Err(Refusal::new("this OVER clause is not supported").near("OVER"));
    };
    let WindowFunction { fun, params } = f.as_ref();
    if fun.name() != "row_number" {
        return Err(Refusal::new(format!("{} OVER is not supported", fun.name().to_uppercase())).near("OVER"));
    }
    if params.order_by.is_empty() {
        return Err(Refusal::new("ROW_NUMBER() needs an ORDER BY")
            .near("ROW_NUMBER")
            .hint("ROW_NUMBER() OVER (PARTITION BY k ORDER BY x)"));
    }
    let schema = w.input.schema();
    let width = input.width();
    let mut sorted = Sorted::new(input, schema);
    let partition = params.partition_by.iter().map(|e| sorted.column(e)).collect::<Outcome<Vec<_>>>()?;
    let order = params.order_by.iter().map(|s| sorted.key(s)).collect::<Outcome<Vec<_>>>()?;
    let input = sorted.over();
    let mut columns = input.columns.clone();
    columns.push(Column::new("row_number", arrow_schema::DataType::Int64, false));
    let number = columns.len() - 1;
    let changelog = input.changelog;
    let op = RelOp::RowNumber { partition, order };
    let rel = Rel { op, inputs: vec![input], columns, changelog };
    let keep: Vec<usize> = (0..width).chain([number]).collect();
    Ok(rel.select(&keep))
}

/// The input with computed sort and partition columns behind its own.
struct Sorted<'a> {
    rel: Rel,
    schema: &'a DFSchema,
    exprs: Vec<Expr>,
    columns: Vec<Column>,
}

impl<'a> Sorted<'a> {
    fn new(rel: Rel, schema: &'a DFSchema) -> Self {
        let exprs = (0..rel.width()).map(Expr::Column).collect();
        Self { schema, exprs, columns: rel.columns.clone(), rel }
    }

    fn column(&mut self, e: &Bound) -> Outcome<usize> {
        let (e, c) = column_expr(e, self.schema, &self.rel)?;
        if let Some(i) = self.exprs.iter().position(|x| *x == e) {
            return Ok(i);
        }
        self.exprs.push(e);
        self.columns.push(c);
        Ok(self.exprs.len() - 1)
    }

    fn key(&mut self, s: &Sort) -> Outcome<SortKey> {
        Ok(SortKey { column: self.column(&s.expr)?, descending: !s.asc, nulls_first: s.nulls_first })
    }

    fn over(self) -> Rel {
        self.rel.project(self.exprs, self.columns)
    }
}

/// A ROW_NUMBER() under projections and filters, taken apart.
struct Ranking {
    base: Rel,
    partition: Vec<usize>,
    order: Vec<SortKey>,
    /// The columns of the relation that was peeled, over `base` and the number behind it.
    over: Vec<Expr>,
    filters: Vec<Expr>,
}

fn peel(rel: &Rel) -> Option<Ranking> {
    match &rel.op {
        RelOp::RowNumber { partition, order } => Some(Ranking {
            base: rel.inputs[0].clone(),
            partition: partition.clone(),
            order: order.clone(),
            over: (0..rel.width()).map(Expr::Column).collect(),
            filters: vec![],
        }),
        RelOp::Core(Op::Project { exprs }) => {
            let mut r = peel(&rel.inputs[0])?;
            r.over = exprs.iter().map(|e| expr::substitute(e, &r.over)).collect();
            Some(r)
        }
        RelOp::Core(Op::Filter { predicate }) => {
            let mut r = peel(&rel.inputs[0])?;
            r.filters.push(expr::substitute(predicate, &r.over));
            Some(r)
        }
        _ => None,
    }
}

/// Turns a waiting ROW_NUMBER() and the conditions on it into an operator; returns the conditions that are left.
pub(super) fn apply(rel: Rel, conjuncts: Vec<Expr>, ttl: Option<Ttl>) -> Outcome<(Rel, Vec<Expr>)> {
    let Some(mut r) = peel(&rel) else { return Ok((rel, conjuncts)) };
    let number = r.base.width();
    let (mut range, mut rest, mut bounded) = (Range::default(), vec![], false);
    for c in conjuncts {
        let below = expr::substitute(&c, &r.over);
        if !expr::columns_of(&below).contains(&number) {
            rest.push(c);
            continue;
        }
        bounded = true;
        range.narrow(&below, number)?;
    }
    if !bounded {
        return Ok((rel, rest));
    }
    let Some(limit) = range.last else {
        return Err(Refusal::new("the row number has no upper bound")
            .near("ROW_NUMBER")
            .hint("add a condition such as rn <= 10"));
    };
    let offset = range.first.saturating_sub(1).max(0);
    let limit = limit.max(0);
    r.filters.retain(|f| !expr::columns_of(f).contains(&number));
    let columns = rel.columns.clone();
    let (ranked, number) = operator(&r, offset as u64, limit as u64, ttl);
    let restore = |e: &Expr| number_as(e, r.base.width(), &number);
    let filtered = match expr::conjunction(r.filters.iter().map(restore)) {
        Some(predicate) => ranked.filter(predicate),
        None => ranked,
    };
    let exprs: Vec<Expr> = r.over.iter().map(restore).collect();
    let columns = columns.into_iter().zip(&exprs).map(|(mut c, e)| {
        match e {
            Expr::Column(i) => c.role = filtered.columns[*i].role,
            _ => c.role = Role::Plain,
        }
        c
    });
    let columns = columns.collect();
    Ok((filtered.project(exprs, columns), rest))
}

/// The number as the operator gives it: a column, or the constant 1.
fn number_as(e: &Expr, number: usize, by: &Expr) -> Expr {
    let mut all: Vec<Expr> = (0..number).map(Expr::Column).collect();
    all.push(by.clone());
    expr::substitute(e, &all)
}

/// Which row numbers are wanted.
struct Range {
    first: i64,
    last: Option<i64>,
}

impl Default for Range {
    fn default() -> Self {
        Self { first: 1, last: None }
    }
}

impl Range {
    fn narrow(&mut self, e: &Expr, number: usize) -> Outcome<()> {
        let Some((op, n)) = comparison(e, number) else {
            return Err(Refusal::new("a row number can only be compared with a constant")
                .near("ROW_NUMBER")
                .hint("rn = 1, rn <= 10, or rn BETWEEN 2 AND 5"));
        };
        match op {
            BinaryOp::LtEq => self.at_most(n),
            BinaryOp::Lt => self.at_most(n.saturating_sub(1)),
            BinaryOp::GtEq => self.first = self.first.max(n),
            BinaryOp::Gt => self.first = self.first.max(n.saturating_add(1)),
            _ => {
                self.at_most(n);
                self.first = self.first.max(n);
            }
        }
        Ok(())
    }

    fn at_most(&mut self, n: i64) {
        self.last = Some(self.last.map_or(n, |l| l.min(n)));
    }
}

/// `number op constant`.
fn comparison(e: &Expr, number: usize) -> Option<(BinaryOp, i64)> {
    let Expr::Binary { op, left, right } = e else { return None };
    match (is_number(left, number), constant(right), constant(left), is_number(right, number)) {
        (true, Some(n), _, _) => {
            matches!(op, BinaryOp::Eq | BinaryOp::Lt | BinaryOp::LtEq | BinaryOp::Gt | BinaryOp::GtEq)
                .then_some((*op, n))
        }
        (_, _, Some(n), true) => Some((
            match op {
                BinaryOp::Eq => BinaryOp::Eq,
                BinaryOp::Lt => BinaryOp::Gt,
                BinaryOp::LtEq => BinaryOp::GtEq,
                BinaryOp::Gt => BinaryOp::Lt,
                BinaryOp::GtEq => BinaryOp::LtEq,
                _ => return None,
            },
            n,
        )),
        _ => None,
    }
}

fn is_number(e: &Expr, number: usize) -> bool {
    match e {
        Expr::Column(i) => *i == number,
        Expr::Cast { expr, .. } => is_number(expr, number),
        _ => false,
    }
}

fn constant(e: &Expr) -> Option<i64> {
    match e {
        Expr::Literal(Literal { value: Value::Int(n), .. }) => Some(*n),
        Expr::Cast { expr, .. } => constant(expr),
        _ => None,
    }
}

/// The operator, and what the row number is over its output.
fn operator(r: &Ranking, offset: u64, limit: u64, ttl: Option<Ttl>) -> (Rel, Expr) {
    let width = r.base.width();
    if let Some(w) = partition_window(r) {
        return (window_top_n(r, w, offset, limit), Expr::Column(width));
    }
    if let Some((order, keep)) = dedup_order(r).filter(|_| offset == 0 && limit == 1) {
        // The first by arrival never changes; by time, an earlier one may still come.
        let append = order == DedupOrder::ProcTime && keep == Keep::First;
        let changelog = if append { Changelog::Append } else { Changelog::Retract };
        let columns =
            r.base.columns.iter().map(|c| if append { c.clone() } else { c.clone().materialized() }).collect();
        let op = Op::Deduplicate { keys: r.partition.clone(), order, keep, ttl };
        let one = Expr::Literal(Literal { data_type: arrow_schema::DataType::Int64, value: Value::Int(1) });
        return (Rel::new(op, vec![r.base.clone()], columns, changelog), one);
    }
    let op =
        Op::TopN { partition: r.partition.clone(), order: r.order.clone(), offset, limit, emit_row_number: true, ttl };
    let columns = numbered(&r.base, Column::materialized);
    (Rel::new(op, vec![r.base.clone()], columns, Changelog::Retract), Expr::Column(width))
}

fn numbered(base: &Rel, map: impl Fn(Column) -> Column) -> Vec<Column> {
    let number = Column::new("row_number", arrow_schema::DataType::Int64, false);
    base.columns.iter().cloned().map(map).chain([number]).collect()
}

/// The window of the rows, if both its bounds are partitioned by.
fn partition_window(r: &Ranking) -> Option<WindowColumns> {
    let w = r.base.window().filter(|_| r.base.is_append())?;
    (r.partition.contains(&w.start) && r.partition.contains(&w.end)).then_some(w)
}

fn window_top_n(r: &Ranking, w: WindowColumns, offset: u64, limit: u64) -> Rel {
    // The end says which window it is, except for sessions.
    let session = matches!(w.id.window, Window::Session { .. });
    let is_window = |c: &usize| {
        let role = r.base.columns[*c].role;
        role == Role::WindowEnd(w.id) || role == Role::WindowTime(w.id) || role == Role::WindowStart(w.id) && !session
    };
    let partition = r.partition.iter().copied().filter(|c| !is_window(c)).collect();
    let op = Op::WindowTopN { end: w.end, partition, order: r.order.clone(), offset, limit, emit_row_number: true };
    let columns = numbered(&r.base, |c| match c.role {
        Role::WindowStart(_) | Role::WindowEnd(_) | Role::WindowTime(_) => c,
        // Rows leave when the window ends: their own times are behind the watermark by then.
        _ => c.materialized(),
    });
    Rel::new(op, vec![r.base.clone()], columns, Changelog::Append)
}

/// Order by one time attribute of a stream that only grows.
fn dedup_order(r: &Ranking) -> Option<(DedupOrder, Keep)> {
    let [key] = r.order.as_slice() else { return None };
    if !r.base.is_append() {
        return None;
    }
    let column = &r.base.columns[key.column];
    let order = if column.is_processing_time() {
        DedupOrder::ProcTime
    } else if column.is_event_time() {
        DedupOrder::RowTime(key.column)
    } else {
        return None;
    };
    Some((order, if key.descending { Keep::Last } else { Keep::First }))
}

/// `ORDER BY … LIMIT n`: the first n of all rows, kept up to date.
pub(super) fn limit(t: &mut Translator<'_>, l: &Limit) -> Outcome<Rel> {
    let refuse = || {
        Refusal::new("LIMIT needs a constant and an ORDER BY on a stream")
            .near("LIMIT")
            .hint("ORDER BY x DESC LIMIT 10")
    };
    let (FetchType::Literal(Some(fetch)), SkipType::Literal(skip)) = (fetch(l)?, skip(l)?) else {
        return Err(refuse());
    };
    match l.input.as_ref() {
        LogicalPlan::Sort(s) => first_rows(t, &s.input, &s.expr, skip, fetch),
        // The binder sorts below the SELECT list when it orders by something that is not selected.
        LogicalPlan::Projection(p) => match p.input.as_ref() {
            LogicalPlan::Sort(s) => {
                let input = first_rows(t, &s.input, &s.expr, skip, fetch)?;
                super::project::translate(input, &p.expr, p.input.schema(), &p.schema)
            }
            _ => Err(refuse()),
        },
        _ => Err(refuse()),
    }
}

fn fetch(l: &Limit) -> Outcome<FetchType> {
    Ok(match l.fetch.as_deref().and_then(count) {
        Some(n) => FetchType::Literal(Some(n)),
        None => l.get_fetch_type()?,
    })
}

fn skip(l: &Limit) -> Outcome<SkipType> {
    Ok(match l.skip.as_deref().and_then(count) {
        Some(n) => SkipType::Literal(n),
        None => l.get_skip_type()?,
    })
}

/// A constant behind the casts that typing put around it.
fn count(e: &Bound) -> Option<usize> {
    match e {
        Bound::Cast(c) => count(&c.expr),
        Bound::Literal(ScalarValue::Int64(Some(n)), _) => usize::try_from(*n).ok(),
        Bound::Literal(ScalarValue::Int32(Some(n)), _) => usize::try_from(*n).ok(),
        _ => None,
    }
}

fn first_rows(t: &mut Translator<'_>, plan: &LogicalPlan, order: &[Sort], skip: usize, fetch: usize) -> Outcome<Rel> {
    let input = t.relation(plan)?;
    let ttl = t.ttl_of(plan);
    let width = input.width();
    let mut sorted = Sorted::new(input, plan.schema());
    let order = order.iter().map(|s| sorted.key(s)).collect::<Outcome<Vec<_>>>()?;
    let input = sorted.over();
    let columns = input.columns.iter().cloned().map(Column::materialized).collect();
    let (offset, limit) = (skip as u64, (skip + fetch) as u64);
    let op = Op::TopN { partition: vec![], order, offset, limit, emit_row_number: false, ttl };
    let rel = Rel::new(op, vec![input], columns, Changelog::Retract);
    let keep: Vec<usize> = (0..width).collect();
    Ok(rel.select(&keep))
}
