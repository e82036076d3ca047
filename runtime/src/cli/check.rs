//! `sluice check`.

use super::exit::Exit;
use super::{JobArgs, job};
use crate::connectors::{validate_sink, validate_source};
use clap::Args;
use sluice_core::plan::Op;
use std::collections::BTreeMap;

/// Validate a job without running it: its tables, their columns, and what every source and sink guarantees.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sluice check examples/flights/job.yaml")]
pub struct CheckArgs {
    #[command(flatten)]
    job: JobArgs,
}

pub fn check(args: &CheckArgs) -> Result<(), Exit> {
    let (file, planned) = job::load(&args.job)?;
    let plan = &planned.plan;
    let (mut sources, mut sinks) = (BTreeMap::new(), BTreeMap::new());
    for node in &plan.nodes {
        match &node.op {
            Op::Source { table, .. } => {
                sources.insert(table, validate_source(&plan.tables[table]).map_err(Exit::invalid)?);
            }
            Op::Sink { table, .. } => {
                sinks.insert(table, validate_sink(&plan.tables[table]).map_err(Exit::invalid)?);
            }
            _ => {}
        }
    }
    println!("{}: {} statements, {} operators", file.name, planned.statements, plan.nodes.len());
    for t in &planned.tables {
        println!("\ntable {} ({})", t.name, t.connector);
        let width = t.columns.iter().map(|c| c.name.chars().count()).max().unwrap_or(0);
        for c in &t.columns {
            let note = if c.note.is_empty() { String::new() } else { format!("  -- {}", c.note) };
            println!("  {:width$}  {}{note}", c.name, c.sql_type);
        }
        if !t.primary_key.is_empty() {
            println!("  PRIMARY KEY ({})", t.primary_key.join(", "));
        }
        if let Some(g) = sources.get(&t.name) {
            println!("  read: {g}");
        }
        if let Some(g) = sinks.get(&t.name) {
            println!("  written: {g}");
        }
    }
    for v in &planned.views {
        println!("\nview {}{}", v.name, if v.updating { " (updating)" } else { "" });
        for c in &v.columns {
            println!("  {}  {}", c.name, c.sql_type);
        }
    }
    Ok(())
}
