//! `sluice state …`.

use super::exit::Exit;
use super::{JobArgs, StateArgs, block_on, job_state};
use crate::journal::{read_manifest, read_tail};
use clap::{Args, Subcommand};

/// Look into a job's state.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Operators, key groups, rows and bytes of the newest checkpoint, and where the job stands.
    Show(ShowArgs),
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  sluice state show examples/flights/job.yaml --state .sluice/state")]
pub struct ShowArgs {
    #[command(flatten)]
    job: JobArgs,
    #[command(flatten)]
    state: StateArgs,
}

pub fn state(command: StateCommand) -> Result<(), Exit> {
    let StateCommand::Show(args) = command;
    block_on(async move {
        let found = job_state::find(&args.job, &args.state).await?;
        let tail = read_tail(&*found.store, &found.paths).await.map_err(Exit::state)?;
        let Some(tail) = tail else { return Err(Exit::state("the job has never run: its journal is empty")) };
        let s = tail.summary();
        println!("job {}, run and incarnation {}, {} key groups", s.job, s.fence, s.key_groups.count());
        println!("committed up to epoch {}, {} epochs to settle", s.committed, s.unsettled.len());
        let kept: Vec<String> = s.checkpoints.iter().map(|c| c.epoch.to_string()).collect();
        println!("checkpoints: {}", if kept.is_empty() { "none".to_owned() } else { kept.join(", ") });
        if let Some(r) = s.resume.as_ref().filter(|r| !r.savepoint) {
            let m = read_manifest(&*found.store, &found.paths, r).await.map_err(Exit::state)?;
            print!("{}", job_state::describe(&m));
        }
        Ok(())
    })
}
