//! Window table functions, and finding them again below an aggregate.

use super::Translator;
use crate::errors::{Outcome, Refusal};
use crate::expr;
use crate::rel::{Column, Rel, RelOp, Role, WindowId};
use crate::relation::WindowTvf;
use arrow_schema::{DataType, TimeUnit};
use sluice_core::plan::expr::Expr;
use sluice_core::plan::{Changelog, Op, Window};

pub(super) fn assign(t: &mut Translator<'_>, input: Rel, w: &WindowTvf) -> Outcome<Rel> {
    let place = w.place;
    let Expr::Column(time) = expr::translate(&w.time, w.input.schema())? else {
        return Err(Refusal::new("a window needs a column as its time").at(place));
    };
    let column = &input.columns[time];
    if !column.is_event_time() && !column.is_processing_time() {
        return Err(Refusal::new(format!("column '{}' is not a time attribute: a window needs one", column.name))
            .at(place)
            .hint("declare WATERMARK FOR it, or a column AS PROCTIME(), and do not compute on it in between"));
    }
    if !input.is_append() {
        return Err(Refusal::new("a window table function cannot read an updating stream")
            .at(place)
            .hint("aggregate with windows first, or use GROUP BY without windows"));
    }
    if t.settings.time_zone() != "UTC" && matches!(&column.data_type, DataType::Timestamp(_, Some(_))) {
        return Err(Refusal::new("windows over TIMESTAMP_LTZ need 'table.local-time-zone' = 'UTC'")
            .at(place)
            .hint("use a TIMESTAMP column, or the OFFSET of the window"));
    }
    let id = WindowId { number: t.next_window(), window: w.window, processing: column.is_processing_time() };
    let zone = match &column.data_type {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    let partition = partition_columns(w, place)?;
    let mut columns: Vec<Column> = input.columns.clone();
    columns.extend(window_columns(id, zone.as_deref()));
    let op = match w.window {
        Window::Session { gap_ms } => RelOp::Session { gap_ms, time, partition },
        window => RelOp::Core(Op::WindowAssign { window, time }),
    };
    Ok(Rel { op, inputs: vec![input], columns, changelog: Changelog::Append })
}

fn partition_columns(w: &WindowTvf, place: datafusion_sql::sqlparser::tokenizer::Location) -> Outcome<Vec<usize>> {
    let one = |e| match expr::translate(e, w.input.schema())? {
        Expr::Column(i) => Ok(i),
        _ => Err(Refusal::new("PARTITION BY takes columns").at(place)),
    };
    w.partition.iter().map(one).collect()
}

/// window_start, window_end, window_time.
pub(super) fn window_columns(id: WindowId, zone: Option<&str>) -> [Column; 3] {
    let of = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Millisecond, zone.map(Into::into));
    [
        Column::new("window_start", of(None), false).with_role(Role::WindowStart(id)),
        Column::new("window_end", of(None), false).with_role(Role::WindowEnd(id)),
        Column::new("window_time", of(zone), false).with_role(Role::WindowTime(id)),
    ]
}

/// A window function under projections and filters, taken apart so that an aggregate can own the window.
pub(super) struct Peeled {
    pub base: Rel,
    pub window: Window,
    pub time: usize,
    /// `SESSION … PARTITION BY`.
    pub partition: Vec<usize>,
    /// The columns of the relation that was peeled, over `base` and its window columns (which come behind).
    pub over: Vec<Expr>,
    /// Predicates, over the same.
    pub filters: Vec<Expr>,
}

pub(super) fn peel(rel: &Rel) -> Option<Peeled> {
    match &rel.op {
        RelOp::Core(Op::WindowAssign { window, time }) => Some(Peeled {
            base: rel.inputs[0].clone(),
            window: *window,
            time: *time,
            partition: vec![],
            over: (0..rel.width()).map(Expr::Column).collect(),
            filters: vec![],
        }),
        RelOp::Session { gap_ms, time, partition } => Some(Peeled {
            base: rel.inputs[0].clone(),
            window: Window::Session { gap_ms: *gap_ms },
            time: *time,
            partition: partition.clone(),
            over: (0..rel.width()).map(Expr::Column).collect(),
            filters: vec![],
        }),
        RelOp::Core(Op::Project { exprs }) => {
            let mut p = peel(&rel.inputs[0])?;
            p.over = exprs.iter().map(|e| expr::substitute(e, &p.over)).collect();
            Some(p)
        }
        RelOp::Core(Op::Filter { predicate }) => {
            let mut p = peel(&rel.inputs[0])?;
            p.filters.push(expr::substitute(predicate, &p.over));
            Some(p)
        }
        _ => None,
    }
}
