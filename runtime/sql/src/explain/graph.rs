//! The operator graph in the languages of Graphviz and Mermaid.

use super::{edge, holds_state};
use sluice_core::plan::{Changelog, Node, Op, Plan};
use std::fmt::Write;

/// Graphviz. State is a cylinder, an updating edge is dashed.
pub fn dot(plan: &Plan) -> String {
    let mut out = "digraph job {\n  rankdir=LR;\n  node [shape=box, fontname=\"Helvetica\"];\n".to_owned();
    for (i, n) in plan.nodes.iter().enumerate() {
        let shape = if keeps_rows(n) { ", shape=cylinder" } else { "" };
        let _ = writeln!(out, "  n{i} [label=\"{}\\n{}\"{shape}];", quoted(&n.label), n.id);
    }
    for (i, n) in plan.nodes.iter().enumerate() {
        for input in &n.inputs {
            let style = if updating(plan, input.node) { ", style=dashed" } else { "" };
            let _ = writeln!(out, "  n{} -> n{i} [label=\"{}\"{style}];", input.node, quoted(edge(plan, input).trim()));
        }
    }
    out + "}\n"
}

/// Mermaid, as GitHub renders it.
pub fn mermaid(plan: &Plan) -> String {
    let mut out = "flowchart LR\n".to_owned();
    for (i, n) in plan.nodes.iter().enumerate() {
        let label = n.label.replace('"', "&quot;");
        let id = &n.id;
        let _ = if keeps_rows(n) {
            writeln!(out, "  n{i}[(\"{label}<br/>{id}\")]")
        } else {
            writeln!(out, "  n{i}[\"{label}<br/>{id}\"]")
        };
    }
    for (i, n) in plan.nodes.iter().enumerate() {
        for input in &n.inputs {
            let arrow = if updating(plan, input.node) { "-.->" } else { "-->" };
            let label = edge(plan, input).trim().replace('"', "&quot;");
            let label = if label.is_empty() { label } else { format!("|\"{label}\"|") };
            let _ = writeln!(out, "  n{} {arrow}{label} n{i}", input.node);
        }
    }
    out
}

fn keeps_rows(n: &Node) -> bool {
    holds_state(&n.op) && !matches!(n.op, Op::Source { .. } | Op::Sink { .. })
}

fn updating(plan: &Plan, node: usize) -> bool {
    plan.nodes[node].changelog == Changelog::Retract
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
