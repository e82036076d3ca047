//! `sluice savepoint …`: works on the store alone, beside a running job or without one.

use super::exit::Exit;
use super::job_state::{self, FoundJob};
use super::{JobArgs, StateArgs, block_on};
use crate::progress::thousands;
use crate::savepoint::{self, Savepoint};
use clap::{Args, Subcommand};

/// Take, list, show, verify and delete savepoints: self-contained copies of a checkpoint.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  sluice savepoint create job.yaml --name before-migration
  sluice run job.yaml --restore before-migration
  sluice savepoint verify job.yaml --name before-migration")]
pub enum SavepointCommand {
    /// Copy the newest committed checkpoint; every object is read back and hashed. The job may be running.
    Create(NamedArgs),
    /// Savepoints of the job.
    List(WhichArgs),
    /// One savepoint: its epoch, operators, rows and bytes.
    Show(NamedArgs),
    /// Read every object back and compare its checksum.
    Verify(NamedArgs),
    /// Delete one, unless the job may come back to it.
    Delete(NamedArgs),
}

#[derive(Clone, Debug, Args)]
pub struct WhichArgs {
    #[command(flatten)]
    job: JobArgs,
    #[command(flatten)]
    state: StateArgs,
}

#[derive(Clone, Debug, Args)]
pub struct NamedArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// Letters, digits, '.', '_', '-'.
    #[arg(long)]
    name: String,
}

pub fn savepoint(command: SavepointCommand) -> Result<(), Exit> {
    block_on(async move {
        match command {
            SavepointCommand::Create(a) => {
                let FoundJob { store, paths } = find(&a.which).await?;
                let s = savepoint::create(&store, &paths, &a.name).await.map_err(Exit::state)?;
                println!("savepoint '{}' is complete and verified: {}", s.name, summary(&s));
            }
            SavepointCommand::List(which) => {
                let FoundJob { store, paths } = find(&which).await?;
                for s in savepoint::list(&store, &paths).await.map_err(Exit::state)? {
                    println!("{:24} {}", s.name, summary(&s));
                }
            }
            SavepointCommand::Show(a) => {
                let FoundJob { store, paths } = find(&a.which).await?;
                let point = savepoint::open_named(&store, &paths, &a.name).await.map_err(Exit::state)?;
                print!("{}", job_state::describe(&point.manifest));
            }
            SavepointCommand::Verify(a) => {
                let FoundJob { store, paths } = find(&a.which).await?;
                let point = savepoint::open_named(&store, &paths, &a.name).await.map_err(Exit::state)?;
                let v = point.verify().await.map_err(Exit::state)?;
                println!("savepoint '{}' is whole: {} objects, {} bytes", a.name, v.objects, thousands(v.bytes));
            }
            SavepointCommand::Delete(a) => {
                let FoundJob { store, paths } = find(&a.which).await?;
                savepoint::delete(&store, &paths, &a.name).await.map_err(Exit::state)?;
                println!("savepoint '{}' is deleted", a.name);
            }
        }
        Ok(())
    })
}

async fn find(which: &WhichArgs) -> Result<FoundJob, Exit> {
    job_state::find(&which.job, &which.state).await
}

fn summary(s: &Savepoint) -> String {
    let m = &s.manifest;
    format!("epoch {}, {} rows, {} bytes", m.epoch, thousands(m.totals.rows), thousands(m.totals.bytes))
}
