//! `sluice plan`.

use super::exit::Exit;
use super::{JobArgs, job};
use clap::{Args, ValueEnum};
use sluice_sql::explain;
use sluice_sql::explain::{Fate, compare};
use std::path::PathBuf;

/// Show the operators of a job: ids, keys, what is updating, what holds state.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sluice plan job.sql
  sluice plan job.sql --format mermaid
  sluice plan new.sql --against old.sql     what an upgrade keeps, rebuilds and drops")]
pub struct PlanArgs {
    #[command(flatten)]
    job: JobArgs,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Compares with another version of the job instead.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Dot,
    Mermaid,
}

pub fn plan(args: &PlanArgs) -> Result<(), Exit> {
    let (_, planned) = job::load(&args.job)?;
    if let Some(old) = &args.against {
        let (_, before) = job::load(&JobArgs { file: old.clone(), vars: args.job.vars.clone() })?;
        for change in compare(&before.plan, &planned.plan) {
            println!("{:8} {}  {}", fate(change.fate), change.id, change.label);
        }
        return Ok(());
    }
    let text = match args.format {
        Format::Text => explain::text(&planned.plan),
        Format::Dot => explain::dot(&planned.plan),
        Format::Mermaid => explain::mermaid(&planned.plan),
    };
    println!("{}", text.trim_end());
    Ok(())
}

fn fate(fate: Fate) -> String {
    format!("{fate:?}").to_lowercase()
}
