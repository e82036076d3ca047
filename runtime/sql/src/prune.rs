//! Columns that nobody reads are not carried: sources do not decode them, state does not hold them.
//!
//! Each statement's tree is pruned before it is merged with the others, so what one statement reads never changes the ids
//! or the state of another.

mod source;

pub(crate) use source::sources;

use crate::expr;
use crate::rel::{Column, Rel, RelOp};
use sluice_core::plan::expr::Expr;
use sluice_core::plan::{Aggregate, DedupOrder, JoinKind, Op, SortKey};

/// Which columns are read.
type Wanted = Vec<bool>;

/// Where each column went; `None` if it is gone.
type Moved = Vec<Option<usize>>;

/// A whole tree: all columns of the root are read.
pub(crate) fn prune(rel: Rel) -> Rel {
    let all = vec![true; rel.width()];
    narrow(rel, &all).0
}

/// Without columns that are not wanted, as far as the operator can leave them out; at least one column stays.
fn narrow(rel: Rel, wanted: &[bool]) -> (Rel, Moved) {
    let Rel { op, inputs, columns, changelog } = rel;
    let whole = |op, inputs| Rel { op, inputs, columns: columns.clone(), changelog };
    match op {
        RelOp::Core(Op::Source { .. }) => only(whole(op, inputs), wanted),
        RelOp::Core(Op::Project { exprs }) => {
            project(whole(RelOp::Core(Op::Project { exprs: vec![] }), inputs), &exprs, wanted)
        }
        RelOp::Core(Op::Filter { predicate }) => {
            filter(whole(RelOp::Core(Op::Filter { predicate: Expr::Column(0) }), inputs), &predicate, wanted)
        }
        RelOp::Core(Op::Union) => union(whole(RelOp::Core(Op::Union), inputs), wanted),
        RelOp::Core(Op::Sink { .. }) => {
            let inputs = inputs.into_iter().map(prune).collect();
            (whole(op, inputs), identity(columns.len()))
        }
        RelOp::Core(Op::WindowAssign { .. }) | RelOp::Session { .. } => assign(whole(op, inputs), wanted),
        RelOp::Core(Op::WindowAggregate { .. } | Op::AttachedWindowAggregate { .. } | Op::GroupAggregate { .. }) => {
            aggregate(whole(op, inputs), wanted)
        }
        RelOp::Core(Op::Join { .. } | Op::IntervalJoin { .. } | Op::WindowJoin { .. }) => {
            join(whole(op, inputs), wanted)
        }
        RelOp::Core(Op::TopN { .. } | Op::WindowTopN { .. } | Op::Deduplicate { .. }) => {
            ranked(whole(op, inputs), wanted)
        }
        // Refused when the tree is assembled.
        RelOp::RowNumber { .. } => (whole(op, inputs), identity(columns.len())),
    }
}

fn identity(n: usize) -> Moved {
    (0..n).map(Some).collect()
}

fn at(moved: &Moved, i: usize) -> usize {
    moved[i].expect("a column that is read was kept")
}

fn wanting(n: usize, read: impl IntoIterator<Item = usize>) -> Wanted {
    let mut w = vec![false; n];
    for i in read {
        w[i] = true;
    }
    w
}

/// The wanted columns of a relation, by a projection if any are not.
fn only(rel: Rel, wanted: &[bool]) -> (Rel, Moved) {
    let mut keep: Vec<usize> = (0..rel.width()).filter(|i| wanted[*i]).collect();
    if keep.is_empty() {
        // A row needs a column to be counted by: the time, which is read anyway, or a narrow one.
        let narrow = |c: &Column| c.data_type.is_primitive();
        let cheap = rel.columns.iter().position(Column::is_event_time).or_else(|| rel.columns.iter().position(narrow));
        keep.push(cheap.unwrap_or(0));
    }
    let mut moved = vec![None; rel.width()];
    for (new, old) in keep.iter().enumerate() {
        moved[*old] = Some(new);
    }
    (rel.select(&keep), moved)
}

/// Prunes an input and drops what it could not leave out itself: what is kept in state is exactly what is read.
fn exactly(input: Rel, wanted: &[bool]) -> (Rel, Moved) {
    let (rel, moved) = narrow(input, wanted);
    let wanted_now = wanting(rel.width(), (0..wanted.len()).filter(|i| wanted[*i]).map(|i| at(&moved, i)));
    let (rel, again) = only(rel, &wanted_now);
    let moved = moved.into_iter().map(|m| m.and_then(|i| again[i])).collect();
    (rel, moved)
}

fn renumber(e: &Expr, moved: &Moved) -> Expr {
    expr::shift(e, &mut |i| at(moved, i))
}

fn project(rel: Rel, exprs: &[Expr], wanted: &[bool]) -> (Rel, Moved) {
    let mut keep: Vec<usize> = (0..exprs.len()).filter(|i| wanted[*i]).collect();
    if keep.is_empty() {
        keep.push(0);
    }
    let input = rel.inputs.into_iter().next().expect("a projection has an input");
    let read = wanting(input.width(), keep.iter().flat_map(|i| expr::columns_of(&exprs[*i])));
    let (input, below) = narrow(input, &read);
    let mut moved = vec![None; exprs.len()];
    for (new, old) in keep.iter().enumerate() {
        moved[*old] = Some(new);
    }
    let columns = keep.iter().map(|i| rel.columns[*i].clone()).collect();
    let exprs = keep.iter().map(|i| renumber(&exprs[*i], &below)).collect();
    (merged(input, exprs, columns), moved)
}

/// Two projections in a row are one, unless an expression would be computed twice.
fn merged(input: Rel, exprs: Vec<Expr>, columns: Vec<Column>) -> Rel {
    if let RelOp::Core(Op::Project { exprs: inner }) = &input.op {
        let mut uses = vec![0usize; inner.len()];
        for e in &exprs {
            e.for_each_column(&mut |i| uses[i] += 1);
        }
        let cheap = inner.iter().zip(&uses).all(|(e, n)| *n <= 1 || matches!(e, Expr::Column(_) | Expr::Literal(_)));
        if cheap {
            let exprs = exprs.iter().map(|e| expr::substitute(e, inner)).collect();
            let below = input.inputs.into_iter().next().expect("a projection has an input");
            return below.project(exprs, columns);
        }
    }
    input.project(exprs, columns)
}

fn filter(rel: Rel, predicate: &Expr, wanted: &[bool]) -> (Rel, Moved) {
    let input = rel.inputs.into_iter().next().expect("a filter has an input");
    let read = (0..wanted.len()).filter(|i| wanted[*i]).chain(expr::columns_of(predicate));
    let (input, moved) = narrow(input, &wanting(wanted.len(), read));
    let mut out = input.filter(renumber(predicate, &moved));
    // What the predicate says about NULLs stays.
    for (old, new) in moved.iter().enumerate() {
        if let Some(new) = new {
            out.columns[*new] = rel.columns[old].clone();
        }
    }
    (out, moved)
}

fn union(rel: Rel, wanted: &[bool]) -> (Rel, Moved) {
    let mut wanted = wanted.to_vec();
    if !wanted.contains(&true) {
        wanted[0] = true;
    }
    let keep: Vec<usize> = (0..wanted.len()).filter(|i| wanted[*i]).collect();
    let arm = |input: Rel| {
        let (input, moved) = narrow(input, &wanted);
        let order: Vec<usize> = keep.iter().map(|i| at(&moved, *i)).collect();
        input.select(&order)
    };
    let mut moved = vec![None; wanted.len()];
    for (new, old) in keep.iter().enumerate() {
        moved[*old] = Some(new);
    }
    let columns = keep.iter().map(|i| rel.columns[*i].clone()).collect();
    let inputs = rel.inputs.into_iter().map(arm).collect();
    (Rel { op: RelOp::Core(Op::Union), inputs, columns, changelog: rel.changelog }, moved)
}

/// Window columns come behind those of the input and cannot be left out.
fn assign(rel: Rel, wanted: &[bool]) -> (Rel, Moved) {
    let Rel { op, inputs, columns, changelog } = rel;
    let input = inputs.into_iter().next().expect("a window function has an input");
    let width = input.width();
    let read = (0..width).filter(|i| wanted[*i]);
    let own: Vec<usize> = match &op {
        RelOp::Core(Op::WindowAssign { time, .. }) => vec![*time],
        RelOp::Session { time, partition, .. } => partition.iter().copied().chain([*time]).collect(),
        _ => vec![],
    };
    let (input, mut moved) = exactly(input, &wanting(width, read.chain(own)));
    let op = match op {
        RelOp::Core(Op::WindowAssign { window, time }) => {
            RelOp::Core(Op::WindowAssign { window, time: at(&moved, time) })
        }
        RelOp::Session { gap_ms, time, partition } => RelOp::Session {
            gap_ms,
            time: at(&moved, time),
            partition: partition.iter().map(|p| at(&moved, *p)).collect(),
        },
        other => other,
    };
    let mut out = input.columns.clone();
    for c in &columns[width..] {
        moved.push(Some(out.len()));
        out.push(c.clone());
    }
    (Rel { op, inputs: vec![input], columns: out, changelog }, moved)
}

/// Aggregates that nobody reads are not computed; keys stay, they say which rows there are.
fn aggregate(rel: Rel, wanted: &[bool]) -> (Rel, Moved) {
    let Rel { op, inputs, columns, changelog } = rel;
    let input = inputs.into_iter().next().expect("an aggregate has an input");
    let RelOp::Core(mut op) = op else { unreachable!("only aggregates of the runtime come here") };
    let first = match &op {
        Op::WindowAggregate { keys, .. }
        | Op::AttachedWindowAggregate { keys, .. }
        | Op::GroupAggregate { keys, .. } => keys.len(),
        _ => 0,
    };
    let mut moved: Moved = vec![None; columns.len()];
    let mut out = vec![];
    let count = aggregates_of(&mut op).len();
    // A group without key and aggregate would have no column.
    let spare = first == 0 && !wanted[first..first + count].contains(&true) && matches!(op, Op::GroupAggregate { .. });
    for (i, c) in columns.iter().enumerate() {
        if i < first || i >= first + count || wanted[i] || spare && i == first {
            moved[i] = Some(out.len());
            out.push(c.clone());
        }
    }
    let kept: Vec<Aggregate> = std::mem::take(aggregates_of(&mut op))
        .into_iter()
        .enumerate()
        .filter(|(i, _)| moved[first + i].is_some())
        .map(|(_, a)| a)
        .collect();
    *aggregates_of(&mut op) = kept;
    let (input, below) = exactly(input.clone(), &wanting(input.width(), reads(&mut op)));
    renumber_aggregate(&mut op, &below);
    (Rel { op: RelOp::Core(op), inputs: vec![input], columns: out, changelog }, moved)
}

fn aggregates_of(op: &mut Op) -> &mut Vec<Aggregate> {
    match op {
        Op::WindowAggregate { aggregates, .. }
        | Op::AttachedWindowAggregate { aggregates, .. }
        | Op::GroupAggregate { aggregates, .. } => aggregates,
        _ => unreachable!("only aggregates come here"),
    }
}

/// The input columns of an aggregate.
fn reads(op: &mut Op) -> Vec<usize> {
    let mut read: Vec<usize> =
        aggregates_of(op).iter().flat_map(|a| a.args.iter().chain(&a.filter).copied().collect::<Vec<_>>()).collect();
    match op {
        Op::WindowAggregate { keys, time, .. } => read.extend(keys.iter().copied().chain([*time])),
        Op::AttachedWindowAggregate { keys, start, end, .. } => read.extend(keys.iter().copied().chain([*start, *end])),
        Op::GroupAggregate { keys, .. } => read.extend(keys.iter().copied()),
        _ => {}
    }
    read
}

fn renumber_aggregate(op: &mut Op, below: &Moved) {
    for a in aggregates_of(op) {
        for i in a.args.iter_mut().chain(&mut a.filter) {
            *i = at(below, *i);
        }
    }
    let all = |columns: &mut Vec<usize>| columns.iter_mut().for_each(|i| *i = at(below, *i));
    match op {
        Op::WindowAggregate { keys, time, .. } => {
            all(keys);
            *time = at(below, *time);
        }
        Op::AttachedWindowAggregate { keys, start, end, .. } => {
            all(keys);
            *start = at(below, *start);
            *end = at(below, *end);
        }
        Op::GroupAggregate { keys, .. } => all(keys),
        _ => {}
    }
}

fn join(rel: Rel, wanted: &[bool]) -> (Rel, Moved) {
    let Rel { op, inputs, columns, changelog } = rel;
    let RelOp::Core(mut op) = op else { unreachable!("only joins of the runtime come here") };
    let mut sides = inputs.into_iter();
    let (left, right) = (sides.next().expect("a join has two inputs"), sides.next().expect("a join has two inputs"));
    let width = left.width();
    let (kind, own_left, own_right, residual) = join_reads(&op);
    let mut read_left = wanting(width, own_left);
    let mut read_right = wanting(right.width(), own_right);
    let output = (0..columns.len()).filter(|i| wanted[*i]);
    for i in output.chain(residual.iter().flat_map(expr::columns_of)) {
        if i < width {
            read_left[i] = true;
        } else {
            read_right[i - width] = true;
        }
    }
    let (left, l) = exactly(left, &read_left);
    let (right, r) = exactly(right, &read_right);
    let both: Moved = l.iter().copied().chain(r.iter().map(|m| m.map(|i| i + left.width()))).collect();
    renumber_join(&mut op, &l, &r, &both);
    let one_sided = matches!(kind, JoinKind::Semi | JoinKind::Anti);
    let moved: Moved = if one_sided { l } else { both };
    let width = if one_sided { left.width() } else { left.width() + right.width() };
    let mut out: Vec<Option<Column>> = vec![None; width];
    for (old, new) in moved.iter().enumerate() {
        if let Some(new) = new {
            out[*new] = Some(columns[old].clone());
        }
    }
    let columns = out.into_iter().map(|c| c.expect("every column of the inputs is one of the join")).collect();
    (Rel { op: RelOp::Core(op), inputs: vec![left, right], columns, changelog }, moved)
}

fn join_reads(op: &Op) -> (JoinKind, Vec<usize>, Vec<usize>, Option<Expr>) {
    match op {
        Op::Join { kind, left_keys, right_keys, residual, .. } => {
            (*kind, left_keys.clone(), right_keys.clone(), residual.clone())
        }
        Op::IntervalJoin { kind, left_keys, right_keys, left_time, right_time, residual, .. } => {
            let with = |keys: &[usize], t: usize| keys.iter().copied().chain([t]).collect();
            (*kind, with(left_keys, *left_time), with(right_keys, *right_time), residual.clone())
        }
        Op::WindowJoin { kind, left_keys, right_keys, left_end, right_end, residual } => {
            let with = |keys: &[usize], t: usize| keys.iter().copied().chain([t]).collect();
            (*kind, with(left_keys, *left_end), with(right_keys, *right_end), residual.clone())
        }
        _ => unreachable!("only joins come here"),
    }
}

fn renumber_join(op: &mut Op, l: &Moved, r: &Moved, both: &Moved) {
    let all = |columns: &mut Vec<usize>, m: &Moved| columns.iter_mut().for_each(|i| *i = at(m, *i));
    let rest = |e: &mut Option<Expr>| *e = e.as_ref().map(|e| renumber(e, both));
    match op {
        Op::Join { left_keys, right_keys, residual, .. } => {
            all(left_keys, l);
            all(right_keys, r);
            rest(residual);
        }
        Op::IntervalJoin { left_keys, right_keys, left_time, right_time, residual, .. } => {
            all(left_keys, l);
            all(right_keys, r);
            (*left_time, *right_time) = (at(l, *left_time), at(r, *right_time));
            rest(residual);
        }
        Op::WindowJoin { left_keys, right_keys, left_end, right_end, residual, .. } => {
            all(left_keys, l);
            all(right_keys, r);
            (*left_end, *right_end) = (at(l, *left_end), at(r, *right_end));
            rest(residual);
        }
        _ => {}
    }
}

/// Top-N and deduplication: the input's columns, and the number if somebody reads it.
fn ranked(rel: Rel, wanted: &[bool]) -> (Rel, Moved) {
    let Rel { op, inputs, columns, changelog } = rel;
    let RelOp::Core(mut op) = op else { unreachable!("only rankings of the runtime come here") };
    let input = inputs.into_iter().next().expect("a ranking has an input");
    let width = input.width();
    let numbered = columns.len() > width && wanted[width];
    let sorted = |order: &[SortKey]| order.iter().map(|k| k.column).collect::<Vec<_>>();
    let own: Vec<usize> = match &op {
        Op::TopN { partition, order, .. } => partition.iter().copied().chain(sorted(order)).collect(),
        Op::WindowTopN { partition, order, end, .. } => {
            partition.iter().copied().chain(sorted(order)).chain([*end]).collect()
        }
        Op::Deduplicate { keys, order: DedupOrder::RowTime(c), .. } => keys.iter().copied().chain([*c]).collect(),
        Op::Deduplicate { keys, .. } => keys.clone(),
        _ => vec![],
    };
    let read = (0..width).filter(|i| wanted[*i]).chain(own);
    let (input, mut moved) = exactly(input, &wanting(width, read));
    renumber_ranked(&mut op, &moved, numbered);
    let mut out: Vec<Column> = input.columns.clone();
    for (old, new) in moved.iter().enumerate() {
        if let Some(new) = new {
            out[*new] = columns[old].clone();
        }
    }
    if columns.len() > width {
        moved.push(numbered.then_some(out.len()));
        if numbered {
            out.push(columns[width].clone());
        }
    }
    (Rel { op: RelOp::Core(op), inputs: vec![input], columns: out, changelog }, moved)
}

fn renumber_ranked(op: &mut Op, moved: &Moved, numbered: bool) {
    let all = |columns: &mut Vec<usize>| columns.iter_mut().for_each(|i| *i = at(moved, *i));
    let keys = |order: &mut Vec<SortKey>| order.iter_mut().for_each(|k| k.column = at(moved, k.column));
    match op {
        Op::TopN { partition, order, emit_row_number, .. } => {
            all(partition);
            keys(order);
            *emit_row_number = numbered;
        }
        Op::WindowTopN { partition, order, end, emit_row_number, .. } => {
            all(partition);
            keys(order);
            *end = at(moved, *end);
            *emit_row_number = numbered;
        }
        Op::Deduplicate { keys, order, .. } => {
            all(keys);
            if let DedupOrder::RowTime(c) = order {
                *c = at(moved, *c);
            }
        }
        _ => {}
    }
}
