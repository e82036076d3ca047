//! `sluice run`.

use super::exit::Exit;
use super::table_view::TableView;
use super::{JobArgs, StateArgs, block_on, job};
use crate::clock::Clock;
use crate::connectors::terminal::{StandardTerminal, Terminal};
use crate::coordinator::{Delivery, Outcome, Request, RunError, RunSpec, Watch, run as run_job};
use crate::job_file::JobFile;
use crate::metrics::exposition::Exposition;
use crate::metrics::server::MetricsServer;
use crate::progress::{ProgressLine, Totals, thousands};
use crate::store;
use clap::{Args, ValueEnum};
use sluice_core::plan::Plan;
use sluice_core::savepoint::RestoreSource;
use sluice_sql::duration_ms;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Run a job in this process until it finishes or is stopped.
///
/// Ctrl-C (or SIGTERM) takes a final checkpoint, commits everything and says how to resume; a second one ends at once.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sluice run job.sql
  sluice run job.yaml --parallelism 2 --state /var/lib/sluice
  sluice run job.sql --var DAY=2013-01-01
  sluice run job.yaml --restore none          start over, although there is state")]
pub struct RunArgs {
    #[command(flatten)]
    job: JobArgs,
    #[command(flatten)]
    state: StateArgs,
    /// Threads that process rows. Default: workers × slots of the manifest, `SET 'parallelism.default'`, or 1.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    parallelism: Option<u32>,
    /// Where to begin: `latest` (where the job stands), `none` (from nothing), a savepoint's name, or its
    /// directory or URI.
    #[arg(long, value_name = "latest|none|SAVEPOINT", default_value = "latest")]
    restore: String,
    /// Go on although operators that held state are gone from the job.
    #[arg(long)]
    allow_dropped_state: bool,
    /// From one checkpoint's start to the next, such as 500ms or 10s. Default: the manifest's, `SET
    /// 'execution.checkpointing.interval'`, or 10s.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    checkpoint_interval: Option<Duration>,
    /// How the rows of a bare SELECT are shown: as they change, in Flink's notation, or as the table that they make.
    #[arg(long, value_enum, default_value = "auto", value_name = "FORMAT")]
    output_format: OutputFormat,
    /// Serve Prometheus metrics at http://ADDR/metrics.
    #[arg(long, value_name = "ADDR")]
    metrics_addr: Option<SocketAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OutputFormat {
    /// A table on a terminal, the changelog in a pipe.
    Auto,
    Changelog,
    Table,
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    duration_ms(text)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("'{text}' is not a duration such as 500ms or 10s"))
}

const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(10);
/// Where SQL text without a manifest keeps its state.
pub const DEFAULT_STATE: &str = ".sluice/state";

pub fn run(args: RunArgs) -> Result<(), Exit> {
    let (file, planned) = job::load(&args.job)?;
    let (mut spec, uri) = spec(&args, &file, planned.plan)?;
    let view = table_view(args.output_format, &spec.plan).map(Arc::new);
    if let Some(v) = &view {
        spec.terminal = Arc::clone(v) as Arc<dyn Terminal>;
    }
    let result = block_on(drive(args, spec, uri));
    if let Some(v) = view {
        print!("{}", v.text());
    }
    result
}

fn spec(args: &RunArgs, file: &JobFile, plan: Plan) -> Result<(RunSpec, String), Exit> {
    let only_terminal = plan
        .tables
        .values()
        .all(|t| t.options.contains_key(sluice_sql::TERMINAL_OPTION) || !is_written(&plan, &t.name));
    let uri = args
        .state
        .state
        .clone()
        .or_else(|| file.state_uri.clone())
        .unwrap_or_else(|| if only_terminal { "memory:".to_owned() } else { DEFAULT_STATE.to_owned() });
    let options: Vec<(String, String)> = file.state_options.clone().into_iter().collect();
    let store = store::open(&uri, &options, 0).map_err(Exit::invalid)?;
    let set = |key: &str| plan.settings.get(key).map(String::as_str);
    let set_ms = |key: &str| set(key).and_then(duration_ms).map(Duration::from_millis);
    let parallelism = args
        .parallelism
        .map(|p| p as usize)
        .or_else(|| set("parallelism.default").and_then(|p| p.parse().ok()))
        .or(file.parallelism)
        .unwrap_or(1);
    if parallelism as u32 > file.key_groups.count() {
        return Err(Exit::invalid(format!(
            "parallelism {parallelism} is more than the {} key groups; raise spec.keyGroups before the first start",
            file.key_groups.count()
        )));
    }
    let spec = RunSpec {
        namespace: file.namespace.clone(),
        name: file.name.clone(),
        parallelism,
        key_groups: Some(file.key_groups),
        base_dir: file.base_dir.clone(),
        store,
        restore: RestoreSource::parse(&args.restore).map_err(Exit::invalid)?,
        state_options: options,
        allow_dropped_state: args.allow_dropped_state,
        checkpoint_interval: Some(
            args.checkpoint_interval
                .or_else(|| set_ms("execution.checkpointing.interval"))
                .or(file.checkpoint_interval)
                .unwrap_or(CHECKPOINT_INTERVAL),
        ),
        checkpoint_timeout: set_ms("execution.checkpointing.timeout").unwrap_or(file.checkpoint_timeout),
        checkpoints_retained: set("state.checkpoints.num-retained")
            .and_then(|n| n.parse().ok())
            .unwrap_or(file.checkpoints_retained),
        delivery: delivery(set("execution.checkpointing.mode")),
        allowed_lateness_ms: set("table.exec.window.allow-lateness").and_then(duration_ms).unwrap_or(0) as i64,
        terminal: Arc::new(StandardTerminal),
        clock: Clock::system(),
        plan: Arc::new(plan),
    };
    Ok((spec, uri))
}

fn is_written(plan: &Plan, table: &str) -> bool {
    plan.nodes.iter().any(|n| matches!(&n.op, sluice_core::plan::Op::Sink { table: t, .. } if t == table))
}

/// One bare SELECT, and somebody who looks at it or asked for a table.
fn table_view(format: OutputFormat, plan: &Plan) -> Option<TableView> {
    let shown: Vec<_> = plan.tables.values().filter(|t| t.options.contains_key(sluice_sql::TERMINAL_OPTION)).collect();
    let wanted = match format {
        OutputFormat::Auto => TableView::wanted(),
        OutputFormat::Changelog => false,
        OutputFormat::Table => true,
    };
    match shown.as_slice() {
        [table] if wanted => Some(TableView::new(table.schema.fields().iter().map(|f| f.name().clone()).collect())),
        _ => None,
    }
}

/// The planner has checked the value.
fn delivery(mode: Option<&str>) -> Delivery {
    match mode.map(str::to_ascii_uppercase).as_deref() {
        Some("AT_LEAST_ONCE") => Delivery::AtLeastOnce,
        Some("AT_MOST_ONCE") => Delivery::AtMostOnce,
        _ => Delivery::ExactlyOnce,
    }
}

async fn drive(args: RunArgs, spec: RunSpec, uri: String) -> Result<(), Exit> {
    let mut metrics = match args.metrics_addr {
        Some(addr) => Some(MetricsServer::bind(addr).await.map_err(Exit::invalid)?),
        None => None,
    };
    let (requests, inbox) = mpsc::channel(4); // Two signals: nobody sends more.
    let (watch_tx, mut watched) = watch::channel(Watch::default());
    let (plan, clock) = (Arc::clone(&spec.plan), spec.clock.clone());
    let job = run_job(spec, inbox, watch_tx);
    tokio::pin!(job);
    let mut signals = Signals::new()?;
    let mut line = ProgressLine::new();
    let mut serving: Option<tokio::task::JoinHandle<()>> = None;
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    let outcome = loop {
        tokio::select! {
            outcome = &mut job => break outcome,
            () = signals.next() => {
                line.clear();
                if signals.count > 1 {
                    return Err(Exit::Interrupted);
                }
                eprintln!("stopping: taking a final checkpoint (again to end at once)");
                let _ = requests.send(Request::Stop { operation: None }).await;
            }
            // Served from the moment when there is something to show.
            Ok(()) = watched.changed() => if let Some(server) = metrics.take() {
                eprintln!("metrics: http://{}/metrics", server.addr);
                let shown = exposition(&plan, &watched.borrow_and_update());
                serving = Some(tokio::spawn(server.serve(shown, clock.clone())));
            },
            _ = tick.tick() => {
                let w = watched.borrow().clone();
                line.draw(Totals::of(&w.job, &w.checkpoints), clock.elapsed());
            }
        }
    };
    line.clear();
    if let Some(s) = serving {
        s.abort();
    }
    let w = watched.borrow().clone();
    report(outcome, &Totals::of(&w.job, &w.checkpoints), clock.elapsed(), &args, &uri)
}

fn report(
    outcome: Result<Outcome, RunError>,
    totals: &Totals,
    elapsed: Duration,
    args: &RunArgs,
    uri: &str,
) -> Result<(), Exit> {
    let file = args.job.file.display();
    let resume = || {
        let state = args.state.state.as_ref().map(|s| format!(" --state {s}")).unwrap_or_default();
        let vars: String = args.job.vars.iter().map(|(n, v)| format!(" --var {n}={v}")).collect();
        format!("sluice run {file}{state}{vars}")
    };
    let summary = format!(
        "{} records in {:.1} s, late {}, bad {}",
        thousands(totals.records),
        elapsed.as_secs_f64(),
        totals.late_rows,
        totals.bad_records
    );
    match outcome {
        Ok(Outcome::Finished { epoch }) => {
            eprintln!("finished: {summary}, everything is committed (epoch {epoch})");
            Ok(())
        }
        Ok(Outcome::AlreadyFinished { epoch }) => {
            eprintln!(
                "nothing to do: this job has finished (epoch {epoch}, state in {uri}); start over with:\n  {} --restore none",
                resume()
            );
            Ok(())
        }
        Ok(Outcome::Stopped { epoch }) => {
            if uri == "memory:" {
                eprintln!("stopped: {summary}; the state was in memory and is gone");
            } else {
                eprintln!("stopped: {summary}, everything is committed (epoch {epoch}); resume with:\n  {}", resume());
            }
            Ok(())
        }
        Ok(Outcome::Killed) => Err(Exit::Interrupted),
        Err(e) => Err(classify(e, &resume())),
    }
}

/// Whose turn it is.
fn classify(e: RunError, resume: &str) -> Exit {
    match e {
        RunError::Job(_) | RunError::Start(_) | RunError::Store(_) | RunError::Journal(_) => Exit::state(e),
        RunError::Connector(_) | RunError::Deploy(_) => Exit::invalid(e),
        RunError::Settle(_) | RunError::Checkpoint(_) | RunError::Task { .. } | RunError::Panicked(_) => {
            Exit::failed(format!("{e}\nnothing committed is lost; when the cause is gone, go on with:\n  {resume}"))
        }
    }
}

/// SIGINT and SIGTERM, counted.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    count: u32,
}

impl Signals {
    fn new() -> Result<Self, Exit> {
        use tokio::signal::unix::{SignalKind, signal};
        let failed = |e| Exit::failed(format!("failed to listen for signals: {e}"));
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
            count: 0,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        self.count += 1;
    }
}

/// What a scrape shows of a watched run.
fn exposition(plan: &Arc<Plan>, w: &Watch) -> Exposition {
    Exposition {
        plan: Arc::clone(plan),
        job: w.job.clone(),
        checkpoints: Arc::clone(&w.checkpoints),
        chain_nodes: w.chain_nodes.clone(),
    }
}
