//! Sources of the finished plan decode what the job reads, over all statements.

use crate::expr;
use sluice_core::plan::expr::Expr;
use sluice_core::plan::{Node, Op, Plan, Port, Watermark};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Leaves out columns of sources that no operator reads. Ids are made of what columns mean, so they stay.
pub(crate) fn sources(plan: &mut Plan) {
    for source in 0..plan.nodes.len() {
        if matches!(plan.nodes[source].op, Op::Source { .. }) {
            narrow(plan, source);
        }
    }
    splice(plan);
}

fn narrow(plan: &mut Plan, source: usize) {
    let Some(read) = read_columns(plan, source) else { return };
    let node = &mut plan.nodes[source];
    if read.len() == node.schema.fields().len() {
        return;
    }
    let keep: Vec<usize> = read.into_iter().collect();
    let new = |old: usize| keep.iter().position(|k| *k == old).expect("a column that is read was kept");
    if let Op::Source { exprs, watermark, .. } = &mut node.op {
        *exprs = keep.iter().map(|i| exprs[*i].clone()).collect();
        if let Some(Watermark { column, expr, .. }) = watermark {
            *column = new(*column);
            *expr = expr::shift(expr, &mut |i| new(i));
        }
    }
    let fields: Vec<_> = keep.iter().map(|i| node.schema.field(*i).clone()).collect();
    node.schema = Arc::new(arrow_schema::Schema::new(fields));
    node.time_column = node.time_column.map(new);
    for n in &mut plan.nodes {
        if n.inputs.iter().any(|i| i.node == source && i.port == Port::Main)
            && let Op::Project { exprs } = &mut n.op
        {
            *exprs = exprs.iter().map(|e| expr::shift(e, &mut |i| new(i))).collect();
        }
    }
}

/// What the users and the watermark read; `None` if a user reads all, being no projection.
fn read_columns(plan: &Plan, source: usize) -> Option<BTreeSet<usize>> {
    let mut read = BTreeSet::new();
    for n in &plan.nodes {
        if !n.inputs.iter().any(|i| i.node == source && i.port == Port::Main) {
            continue;
        }
        let Op::Project { exprs } = &n.op else { return None };
        read.extend(exprs.iter().flat_map(expr::columns_of));
    }
    let node = &plan.nodes[source];
    if let Op::Source { watermark: Some(w), .. } = &node.op {
        read.insert(w.column);
        read.extend(expr::columns_of(&w.expr));
    }
    read.extend(node.time_column);
    if read.is_empty() {
        read.insert(0);
    }
    Some(read)
}

/// Takes out projections that pass all columns of a source on, now that it has no others.
fn splice(plan: &mut Plan) {
    let mut new: Vec<usize> = vec![];
    let mut kept: Vec<Node> = vec![];
    for mut n in std::mem::take(&mut plan.nodes) {
        for i in &mut n.inputs {
            i.node = new[i.node];
        }
        let passes_all = match (&n.op, n.inputs.as_slice()) {
            (Op::Project { exprs }, [input]) if input.port == Port::Main => {
                kept[input.node].schema == n.schema && exprs.iter().enumerate().all(|(i, e)| *e == Expr::Column(i))
            }
            _ => false,
        };
        if passes_all {
            new.push(n.inputs[0].node);
        } else {
            new.push(kept.len());
            kept.push(n);
        }
    }
    plan.nodes = kept;
}
