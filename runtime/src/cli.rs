//! The command line: one file per command. Messages for people go to standard error, results to standard output.

pub mod check;
pub mod completions;
pub mod exit;
pub mod job;
pub mod job_state;
pub mod plan;
pub mod run;
pub mod savepoint;
pub mod state;
pub mod table_view;

use clap::{Args, Parser, Subcommand};
use exit::Exit;
use std::path::PathBuf;
use std::process::ExitCode;

const EXIT_CODES: &str = "Exit codes:
  0    finished, or stopped on request with a final checkpoint
  1    failed while running
  2    the file, the SQL or an option is not valid: nothing was started
  3    the state cannot be used: in use, damaged, incompatible, or its store is unsuitable
  130  ended by a second signal; what was committed stays committed";

/// Streaming SQL: event time, keyed state, exactly-once checkpoints.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, after_help = EXIT_CODES, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Run(run::RunArgs),
    Check(check::CheckArgs),
    Plan(plan::PlanArgs),
    #[command(subcommand)]
    Savepoint(savepoint::SavepointCommand),
    #[command(subcommand)]
    State(state::StateCommand),
    Completions(completions::CompletionsArgs),
}

/// Which job: options that every command with a job file has.
#[derive(Clone, Debug, Args)]
pub struct JobArgs {
    /// A StreamJob manifest (.yaml, .yml) or SQL text (anything else).
    pub file: PathBuf,
    /// Replaces ${NAME} in the SQL; may be given several times.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = parse_var)]
    pub vars: Vec<(String, String)>,
}

/// Where the job's state is.
#[derive(Clone, Debug, Default, Args)]
pub struct StateArgs {
    /// Where checkpoints live: a directory, file:///…, s3://bucket/prefix, or memory: (nothing is kept).
    /// Default: the manifest's `state.uri`; for SQL text `.sluice/state` in the current directory.
    #[arg(long, value_name = "URI")]
    pub state: Option<String>,
}

fn parse_var(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("expected NAME=VALUE, got '{text}'")),
    }
}

/// Parses the arguments, runs the command and says how it ended.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging();
    let result = match cli.command {
        Command::Run(args) => run::run(args),
        Command::Check(args) => check::check(&args),
        Command::Plan(args) => plan::plan(&args),
        Command::Savepoint(command) => savepoint::savepoint(command),
        Command::State(command) => state::state(command),
        Command::Completions(args) => completions::completions(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => exit.report(),
    }
}

/// Logs go to standard error; `SLUICE_LOG=debug` says more.
fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("SLUICE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

/// Runs asynchronous work of a command to its end.
fn block_on<T>(work: impl Future<Output = Result<T, Exit>>) -> Result<T, Exit> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("sluice-io")
        .enable_all()
        .build()
        .map_err(|e| Exit::failed(format!("failed to start threads: {e}")))?
        .block_on(work)
}
