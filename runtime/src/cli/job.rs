//! From a job's file to its plan, for every command.

use super::JobArgs;
use super::exit::Exit;
use crate::connectors::{sink_accepts, validate_sink, validate_source};
use crate::coordinator::sinks::check_accepts;
use crate::job_file::JobFile;
use sluice_core::plan::{Op, Plan};
use sluice_sql::{PlanOptions, Planned, SqlError};
use std::path::Path;

/// Reads, plans and checks. Nothing is touched but the file.
pub fn load(args: &JobArgs) -> Result<(JobFile, Planned), Exit> {
    let file = JobFile::read(&args.file).map_err(Exit::invalid)?;
    let options = PlanOptions { variables: args.vars.iter().cloned().collect(), ..PlanOptions::default() };
    let planned = sluice_sql::plan(&file.sql, &options)
        .map_err(|e| Exit::invalid(sql_errors(&args.file, file.sql_line, &e.0)))?;
    check_connectors(&planned.plan)?;
    Ok((file, planned))
}

/// `file:line:column: message`, as compilers do, so that editors jump there.
fn sql_errors(path: &Path, first_line: usize, errors: &[SqlError]) -> String {
    let lines: Vec<String> = errors
        .iter()
        .map(|e| {
            let line = e.line as usize + first_line;
            let hint = e.hint.as_ref().map(|h| format!("\n  hint: {h}")).unwrap_or_default();
            format!("{}:{line}:{}: {}{hint}", path.display(), e.column, e.message)
        })
        .collect();
    lines.join("\n")
}

/// Every table's options, and whether every sink can take what is written to it.
fn check_connectors(plan: &Plan) -> Result<(), Exit> {
    let mut problems = vec![];
    for node in &plan.nodes {
        match &node.op {
            Op::Source { table, .. } => {
                problems.extend(validate_source(&plan.tables[table]).err().map(|e| e.to_string()));
            }
            Op::Sink { table, upsert_keys } => {
                let declared = &plan.tables[table];
                problems.extend(validate_sink(declared).err().map(|e| e.to_string()));
                let rows = plan.nodes[node.inputs[0].node].changelog;
                if let Ok(accepts) = sink_accepts(declared) {
                    let fits = check_accepts(table, accepts, rows, !upsert_keys.is_empty());
                    problems.extend(fits.err().map(|e| e.to_string()));
                }
            }
            _ => {}
        }
    }
    problems.dedup();
    if problems.is_empty() { Ok(()) } else { Err(Exit::invalid(problems.join("\n"))) }
}
