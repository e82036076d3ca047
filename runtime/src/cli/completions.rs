//! `sluice completions`.

use super::Cli;
use super::exit::Exit;
use clap::{Args, CommandFactory};

/// Print a completion script for a shell.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sluice completions bash > ~/.local/share/bash-completion/completions/sluice")]
pub struct CompletionsArgs {
    shell: clap_complete::Shell,
}

pub fn completions(args: &CompletionsArgs) -> Result<(), Exit> {
    clap_complete::generate(args.shell, &mut Cli::command(), "sluice", &mut std::io::stdout());
    Ok(())
}
