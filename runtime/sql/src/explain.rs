//! Plans for people: text, DOT and Mermaid, and what a changed plan keeps of an old one's state.

mod compare;
mod expression;
mod graph;

pub use compare::{Change, Fate, compare};
pub use expression::expression;
pub use graph::{dot, mermaid};

use crate::ddl::types::flink_name;
use sluice_core::plan::{Changelog, Exchange, Node, Op, Plan, Port};
use std::fmt::Write;

/// Whether the operator keeps rows or accumulators between batches (sources keep positions, sinks their staging).
pub fn holds_state(op: &Op) -> bool {
    match op {
        Op::Project { .. } | Op::Filter { .. } | Op::Union | Op::WindowAssign { .. } => false,
        Op::Source { .. }
        | Op::Sink { .. }
        | Op::WindowAggregate { .. }
        | Op::AttachedWindowAggregate { .. }
        | Op::GroupAggregate { .. }
        | Op::Join { .. }
        | Op::IntervalJoin { .. }
        | Op::WindowJoin { .. }
        | Op::TopN { .. }
        | Op::WindowTopN { .. }
        | Op::Deduplicate { .. } => true,
    }
}

/// One block per operator: number, label, id; inputs; what it computes; columns.
pub fn text(plan: &Plan) -> String {
    render(plan, true)
}

/// The same without ids: for tests of the shape.
pub fn shape(plan: &Plan) -> String {
    render(plan, false)
}

fn render(plan: &Plan, ids: bool) -> String {
    let mut out = String::new();
    for (i, n) in plan.nodes.iter().enumerate() {
        let id = if ids { format!("  {}", n.id) } else { String::new() };
        let _ = writeln!(out, "{i}: {}{id}", n.label);
        for input in &n.inputs {
            let _ = writeln!(out, "   from {}{}", input.node, edge(plan, input));
        }
        for line in details(n, plan) {
            let _ = writeln!(out, "   {line}");
        }
        let _ = writeln!(out, "   → {}", columns(n));
    }
    out
}

fn edge(plan: &Plan, input: &sluice_core::plan::Input) -> String {
    let port = match input.port {
        Port::Main => "",
        Port::Late => " late rows",
        Port::DeadLetter => " dead letters",
    };
    let exchange = match &input.exchange {
        Exchange::Forward => String::new(),
        Exchange::Rebalance => " rebalance".to_owned(),
        Exchange::Hash(keys) if keys.is_empty() => " to one task".to_owned(),
        Exchange::Hash(keys) => {
            let schema = &plan.nodes[input.node].schema;
            let names: Vec<&str> = keys.iter().map(|k| schema.field(*k).name().as_str()).collect();
            format!(" by {}", names.join(", "))
        }
    };
    format!("{port}{exchange}")
}

fn details(n: &Node, plan: &Plan) -> Vec<String> {
    let names: Vec<String> =
        n.inputs.iter().flat_map(|i| plan.nodes[i.node].schema.fields()).map(|f| f.name().clone()).collect();
    match &n.op {
        Op::Source { table, exprs, watermark } => source_details(n, plan, table, exprs, watermark.as_ref()),
        Op::Project { exprs } => {
            let computed: Vec<String> = exprs
                .iter()
                .zip(n.schema.fields())
                .map(|(e, f)| (expression(e, &names), f.name()))
                .filter(|(e, name)| e != *name)
                .map(|(e, name)| format!("{e} AS {name}"))
                .collect();
            if computed.is_empty() { vec![] } else { vec![computed.join(", ")] }
        }
        Op::Filter { predicate } => vec![expression(predicate, &names)],
        Op::Join { residual, left_ttl, right_ttl, .. } => {
            let ttl = |side: &str, t: &Option<sluice_core::plan::Ttl>| {
                t.map(|t| format!("{side} ttl {} ms ({:?})", t.ms, t.domain))
            };
            let also = residual.iter().map(|r| format!("and {}", expression(r, &names)));
            also.chain(ttl("left", left_ttl)).chain(ttl("right", right_ttl)).collect()
        }
        Op::IntervalJoin { residual, .. } | Op::WindowJoin { residual, .. } => {
            residual.iter().map(|r| format!("and {}", expression(r, &names))).collect()
        }
        Op::GroupAggregate { ttl, .. } | Op::TopN { ttl, .. } | Op::Deduplicate { ttl, .. } => {
            ttl.iter().map(|t| format!("ttl {} ms ({:?})", t.ms, t.domain)).collect()
        }
        Op::Sink { upsert_keys, .. } if !upsert_keys.is_empty() => {
            vec![format!("key {}", upsert_keys.iter().map(|k| names[*k].as_str()).collect::<Vec<_>>().join(", "))]
        }
        Op::Sink { .. }
        | Op::Union
        | Op::WindowAssign { .. }
        | Op::WindowAggregate { .. }
        | Op::AttachedWindowAggregate { .. }
        | Op::WindowTopN { .. } => vec![],
    }
}

fn source_details(
    n: &Node,
    plan: &Plan,
    table: &str,
    exprs: &[sluice_core::plan::expr::Expr],
    watermark: Option<&sluice_core::plan::Watermark>,
) -> Vec<String> {
    let physical: Vec<String> = plan
        .tables
        .get(table)
        .map(|t| t.schema.fields().iter().map(|f| f.name().clone()).collect())
        .unwrap_or_default();
    let own: Vec<String> = n.schema.fields().iter().map(|f| f.name().clone()).collect();
    let mut lines: Vec<String> = exprs
        .iter()
        .zip(&own)
        .map(|(e, name)| (expression(e, &physical), name))
        .filter(|(e, name)| e != *name)
        .map(|(e, name)| format!("{e} AS {name}"))
        .collect();
    if let Some(w) = watermark {
        let idle = w.idle_timeout_ms.map(|ms| format!(", idle after {ms} ms")).unwrap_or_default();
        lines.push(format!("watermark {}{idle}", expression(&w.expr, &own)));
    }
    lines
}

fn columns(n: &Node) -> String {
    let all: Vec<String> =
        n.schema.fields().iter().map(|f| format!("{} {}", f.name(), flink_name(f.data_type()))).collect();
    let mut notes = vec![];
    if n.changelog == Changelog::Retract {
        notes.push("updating");
    }
    if holds_state(&n.op) && !matches!(n.op, Op::Source { .. } | Op::Sink { .. }) {
        notes.push("keeps state");
    }
    let notes = if notes.is_empty() { String::new() } else { format!(" [{}]", notes.join(", ")) };
    format!("({}){notes}", all.join(", "))
}
