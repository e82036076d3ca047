//! `GROUP BY` and `SELECT DISTINCT`: over windows that fire once, or updating.

use super::column_expr;
use super::window::{Peeled, peel, window_columns};
use crate::aggregates;
use crate::errors::{Outcome, Refusal};
use crate::expr;
use crate::rel::{Column, Rel, Role, WindowColumns};
use arrow_schema::DataType;
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::expr::AggregateFunction as BoundAggregate;
use datafusion_expr::logical_plan::Aggregate as BoundNode;
use datafusion_expr::{Expr as Bound, ExprSchemable};
use sluice_core::plan::expr::Expr;
use sluice_core::plan::{Aggregate, AggregateFunction, Changelog, Op, Ttl, Window};

pub(super) fn translate(input: Rel, a: &BoundNode, ttl: Option<Ttl>) -> Outcome<Rel> {
    if a.group_expr.iter().any(|e| matches!(e, Bound::GroupingSet(_))) {
        return Err(Refusal::new("GROUPING SETS, CUBE and ROLLUP are not supported").near("GROUP"));
    }
    let schema = a.input.schema();
    let keys = a.group_expr.iter().map(|e| column_expr(e, schema, &input)).collect::<Outcome<Vec<_>>>()?;
    let calls = a.aggr_expr.iter().map(|e| call(e, schema, &input)).collect::<Outcome<Vec<_>>>()?;
    let mut rel = match grouped_window(&input, &keys) {
        Some(w) => windowed(&input, w, &keys, &calls)?,
        None => updating(ttl, input, &keys, &calls),
    };
    // The names of the binder's schema are those that a view or table shows.
    for (c, f) in rel.columns.iter_mut().zip(a.schema.fields()) {
        c.name.clone_from(f.name());
    }
    Ok(rel)
}

/// `SELECT DISTINCT`: a group per row. Rows that carry a window are distinct within it, and final when it ends.
pub(super) fn distinct(input: Rel, ttl: Option<Ttl>) -> Outcome<Rel> {
    let keys: Vec<(Expr, Column)> =
        input.columns.iter().cloned().enumerate().map(|(i, c)| (Expr::Column(i), c)).collect();
    match grouped_window(&input, &keys) {
        Some(w) => windowed(&input, w, &keys, &[]),
        None => Ok(updating(ttl, input, &keys, &[])),
    }
}

type Key = (Expr, Column);

/// An aggregate call over expressions of the input.
struct Call {
    function: AggregateFunction,
    args: Vec<Key>,
    filter: Option<Key>,
    distinct: bool,
    separator: Option<String>,
    column: Column,
}

fn call(e: &Bound, schema: &DFSchema, input: &Rel) -> Outcome<Call> {
    let name = e.schema_name().to_string();
    let inner = match e {
        Bound::Alias(a) => a.expr.as_ref(),
        other => other,
    };
    let Bound::AggregateFunction(BoundAggregate { func, params }) = inner else {
        return Err(Refusal::new(format!("'{inner}' is not an aggregate")));
    };
    let upper = func.name().to_uppercase();
    let function = aggregates::function(func.name())
        .ok_or_else(|| Refusal::new(format!("aggregate {upper} is not supported")).near(func.name()))?;
    if !params.order_by.is_empty() {
        return Err(Refusal::new(format!("ORDER BY inside {upper} is not supported"))
            .near(func.name())
            .hint("order is that of arrival"));
    }
    let mut args = params.args.clone();
    let mut separator = None;
    if function == AggregateFunction::ListAgg {
        separator = Some(list_separator(&mut args)?);
    }
    if function == AggregateFunction::Count && args.iter().all(is_constant) {
        args.clear();
    }
    if args.len() > 1 {
        return Err(Refusal::new(format!("{upper} of several columns is not supported"))
            .near(func.name())
            .hint("join them to one value, such as CONCAT_WS('|', a, b)"));
    }
    Ok(Call {
        function,
        args: args.iter().map(|x| column_expr(x, schema, input)).collect::<Outcome<_>>()?,
        filter: params.filter.as_ref().map(|x| column_expr(x, schema, input)).transpose()?,
        distinct: params.distinct,
        separator,
        column: Column::new(name, inner.get_type(schema)?, inner.nullable(schema)?),
    })
}

/// A constant that is not NULL: each row counts.
fn is_constant(e: &Bound) -> bool {
    match e {
        Bound::Literal(v, _) => !v.is_null(),
        Bound::Cast(c) => is_constant(&c.expr),
        _ => false,
    }
}

fn list_separator(args: &mut Vec<Bound>) -> Outcome<String> {
    if args.len() < 2 {
        return Ok(",".to_owned());
    }
    match args.pop() {
        Some(Bound::Literal(ScalarValue::Utf8(Some(s)), _)) => Ok(s),
        _ => Err(Refusal::new("LISTAGG's separator must be a constant text").near("LISTAGG")),
    }
}

/// The window of the input if both its bounds are grouped by.
fn grouped_window(input: &Rel, keys: &[Key]) -> Option<WindowColumns> {
    let w = input.window()?;
    let has = |role: Role| keys.iter().any(|(_, c)| c.role == role);
    (has(Role::WindowStart(w.id)) && has(Role::WindowEnd(w.id))).then_some(w)
}

fn is_window_column(c: &Column, w: WindowColumns) -> bool {
    [Role::WindowStart(w.id), Role::WindowEnd(w.id), Role::WindowTime(w.id)].contains(&c.role)
}

/// The columns that an aggregate reads, computed by a projection below it; equal expressions are one column.
#[derive(Default)]
struct Inputs {
    exprs: Vec<Expr>,
    columns: Vec<Column>,
}

impl Inputs {
    fn add(&mut self, (e, c): Key) -> usize {
        if let Some(i) = self.exprs.iter().position(|x| *x == e) {
            return i;
        }
        self.exprs.push(e);
        self.columns.push(c);
        self.exprs.len() - 1
    }

    fn aggregates(&mut self, calls: &[Call]) -> Vec<Aggregate> {
        calls
            .iter()
            .map(|c| Aggregate {
                function: c.function,
                args: c.args.iter().map(|a| self.add(a.clone())).collect(),
                distinct: c.distinct,
                filter: c.filter.as_ref().map(|f| self.add(f.clone())),
                separator: c.separator.clone(),
                name: c.column.name.clone(),
                data_type: c.column.data_type.clone(),
            })
            .collect()
    }

    /// A projection needs a column, also for a global COUNT(*).
    fn over(mut self, input: Rel) -> Rel {
        if self.exprs.is_empty() {
            self.add((Expr::Column(0), input.columns[0].clone()));
        }
        input.project(self.exprs, self.columns)
    }
}

fn updating(ttl: Option<Ttl>, input: Rel, keys: &[Key], calls: &[Call]) -> Rel {
    let mut inputs = Inputs::default();
    let positions: Vec<usize> = keys.iter().map(|k| inputs.add(k.clone())).collect();
    let aggregates = inputs.aggregates(calls);
    // Two equal keys are one column below; the projection above restores both.
    let mut distinct = positions.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let mut columns: Vec<Column> = distinct.iter().map(|i| inputs.columns[*i].clone().materialized()).collect();
    columns.extend(calls.iter().map(|c| c.column.clone()));
    let keys_below = distinct.len();
    // Without aggregates a row of an append-only input only ever adds its group.
    let append = calls.is_empty() && input.is_append();
    let changelog = if append { Changelog::Append } else { Changelog::Retract };
    let op = Op::GroupAggregate { keys: distinct.clone(), aggregates, ttl };
    let rel = Rel::new(op, vec![inputs.over(input)], columns, changelog);
    let key_at = |p: &usize| distinct.iter().position(|d| d == p).expect("every key is among the distinct ones");
    let order: Vec<usize> = positions.iter().map(key_at).chain(keys_below..keys_below + calls.len()).collect();
    rel.select(&order)
}

fn windowed(input: &Rel, w: WindowColumns, keys: &[Key], calls: &[Call]) -> Outcome<Rel> {
    if !input.is_append() {
        return Err(Refusal::new("an aggregate over a window cannot read an updating stream")
            .near("GROUP")
            .hint("aggregate with windows first, or group without the window's columns"));
    }
    let fused = match peel(input) {
        Some(p) => fuse(p, w, keys, calls)?,
        None => None,
    };
    Ok(fused.unwrap_or_else(|| attached(input.clone(), w, keys, calls)))
}

/// The aggregate owns the window: everything is computed below it. `None` if something needs the window's columns.
fn fuse(p: Peeled, w: WindowColumns, keys: &[Key], calls: &[Call]) -> Outcome<Option<Rel>> {
    let width = p.base.width();
    let down = |(e, c): &Key| (expr::substitute(e, &p.over), c.clone());
    let plain: Vec<Key> = keys.iter().filter(|(_, c)| !is_window_column(c, w)).map(down).collect();
    let calls: Vec<Call> = calls
        .iter()
        .map(|c| Call {
            function: c.function,
            args: c.args.iter().map(down).collect(),
            filter: c.filter.as_ref().map(down),
            distinct: c.distinct,
            separator: c.separator.clone(),
            column: c.column.clone(),
        })
        .collect();
    let below = |e: &Expr| expr::columns_of(e).iter().all(|i| *i < width);
    let all_below = plain.iter().all(|(e, _)| below(e))
        && p.filters.iter().all(below)
        && calls.iter().all(|c| c.args.iter().chain(&c.filter).all(|(e, _)| below(e)));
    if let Window::Session { .. } = p.window {
        check_session(&p, &plain, all_below)?;
    }
    if !all_below {
        return Ok(None);
    }
    let mut inputs = Inputs::default();
    let positions: Vec<usize> = plain.into_iter().map(|k| inputs.add(k)).collect();
    let aggregates = inputs.aggregates(&calls);
    let time_column = p.base.columns[p.time].clone();
    let zone = zone_of(&time_column.data_type);
    let time = inputs.add((Expr::Column(p.time), time_column));
    let base = match expr::conjunction(p.filters) {
        Some(predicate) => p.base.filter(predicate),
        None => p.base,
    };
    let mut distinct = positions.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let key_columns: Vec<Column> = distinct.iter().map(|i| inputs.columns[*i].clone().materialized()).collect();
    let op = Op::WindowAggregate { window: p.window, time, keys: distinct.clone(), aggregates };
    Ok(Some(finish(op, inputs.over(base), key_columns, &distinct, &positions, keys, &calls, w, zone.as_deref())))
}

/// Sessions are per PARTITION BY: grouping by anything else would need them assigned before the rows are grouped.
fn check_session(p: &Peeled, keys: &[Key], all_below: bool) -> Outcome<()> {
    let mut partition: Vec<Expr> = p.partition.iter().map(|i| Expr::Column(*i)).collect();
    let mut grouped: Vec<Expr> = keys.iter().map(|(e, _)| e.clone()).collect();
    let by_text = |e: &Expr| format!("{e:?}");
    partition.sort_by_key(by_text);
    grouped.sort_by_key(by_text);
    if partition == grouped && all_below {
        return Ok(());
    }
    Err(Refusal::new("a SESSION must be grouped by exactly its PARTITION BY columns and both window bounds")
        .near("SESSION")
        .hint("SESSION(TABLE t PARTITION BY k, DESCRIPTOR(ts), …) … GROUP BY k, window_start, window_end"))
}

fn zone_of(t: &DataType) -> Option<String> {
    match t {
        DataType::Timestamp(_, zone) => zone.as_ref().map(ToString::to_string),
        _ => None,
    }
}

/// The rows carry their window already.
fn attached(input: Rel, w: WindowColumns, keys: &[Key], calls: &[Call]) -> Rel {
    let mut inputs = Inputs::default();
    let plain: Vec<Key> = keys.iter().filter(|(_, c)| !is_window_column(c, w)).cloned().collect();
    let positions: Vec<usize> = plain.into_iter().map(|k| inputs.add(k)).collect();
    let aggregates = inputs.aggregates(calls);
    let zone = input.columns.iter().find(|c| c.role == Role::WindowTime(w.id)).and_then(|c| zone_of(&c.data_type));
    let start = inputs.add((Expr::Column(w.start), input.columns[w.start].clone()));
    let end = inputs.add((Expr::Column(w.end), input.columns[w.end].clone()));
    let mut distinct = positions.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let key_columns: Vec<Column> = distinct.iter().map(|i| inputs.columns[*i].clone().materialized()).collect();
    let op = Op::AttachedWindowAggregate { start, end, keys: distinct.clone(), aggregates };
    finish(op, inputs.over(input), key_columns, &distinct, &positions, keys, calls, w, zone.as_deref())
}

/// The operator's output (keys, aggregates, window) in the order of the GROUP BY.
#[allow(clippy::too_many_arguments, reason = "the parts of one layout, used once each")]
fn finish(
    op: Op,
    input: Rel,
    key_columns: Vec<Column>,
    distinct: &[usize],
    positions: &[usize],
    keys: &[Key],
    calls: &[Call],
    w: WindowColumns,
    zone: Option<&str>,
) -> Rel {
    let first_call = key_columns.len();
    let first_window = first_call + calls.len();
    let mut columns = key_columns;
    columns.extend(calls.iter().map(|c| c.column.clone()));
    columns.extend(window_columns(w.id, zone));
    let rel = Rel::new(op, vec![input], columns, Changelog::Append);
    let mut plain = positions.iter();
    let mut order: Vec<usize> = keys
        .iter()
        .map(|(_, c)| match c.role {
            Role::WindowStart(id) if id == w.id => first_window,
            Role::WindowEnd(id) if id == w.id => first_window + 1,
            Role::WindowTime(id) if id == w.id => first_window + 2,
            _ => {
                let p = plain.next().expect("every plain key has a position");
                distinct.iter().position(|d| d == p).expect("every key is among the distinct ones")
            }
        })
        .collect();
    order.extend(first_call..first_window);
    rel.select(&order)
}
