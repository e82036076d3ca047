//! A case as a job: planned, its tables set up for a mode, run and driven through crashes and stops.

use crate::case::{Case, tests_directory};
use arrow_schema::DataType;
use sluice_core::key_group::KeyGroups;
use sluice_core::plan::{Op, Plan};
use sluice_core::savepoint::RestoreSource;
use sluice_core::time::ProcTime;
use sluice_runtime::clock::Clock;
use sluice_runtime::connectors::terminal::CapturedTerminal;

use sluice_runtime::coordinator::{Delivery, Outcome, Request, RunError, RunSpec, Watch, run};
use sluice_runtime::store::{self, Store};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// How the sources of a run read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// Bytes of records per batch.
    pub batch: Option<u64>,
    /// Bytes per split.
    pub split: Option<u64>,
    /// Rows of each reader per millisecond of the run's clock.
    pub pace: Option<u64>,
}

/// Plans the case and lets its SELECT write a changelog into `output`.
pub fn plan(case: &Case, output: &Path, reading: Reading) -> Result<Plan, String> {
    let flights = tests_directory().join("../../examples/flights");
    let variables = BTreeMap::from([
        ("DATA".to_owned(), tests_directory().join("sql/inputs").display().to_string()),
        ("FLIGHTS".to_owned(), flights.display().to_string()),
    ]);
    let options = sluice_sql::PlanOptions { variables, require_output: true };
    let mut plan = sluice_sql::plan(&case.text, &options).map_err(|e| format!("refused: {e}"))?.plan;
    let ops: Vec<Op> = plan.nodes.iter().map(|n| n.op.clone()).collect();
    for op in ops {
        match op {
            Op::Source { table, .. } => set_reading(&mut plan, &table, reading),
            Op::Sink { table, .. } => set_output(&mut plan, &table, output),
            _ => {}
        }
    }
    Ok(plan)
}

fn set_reading(plan: &mut Plan, table: &str, reading: Reading) {
    let options = &mut plan.tables.get_mut(table).expect("a source's table is in the plan").options;
    let mut set = |name: &str, value: Option<u64>| {
        if let Some(value) = value {
            options.insert(name.to_owned(), value.to_string());
        }
    };
    set("scan.batch-size", reading.batch);
    set("scan.split-size", reading.split);
    set("scan.rows-per-second", reading.pace.map(|rows| rows * 1000));
}

fn set_output(plan: &mut Plan, table: &str, output: &Path) {
    let table = plan.tables.get_mut(table).expect("a sink's table is in the plan");
    let nested = |t: &DataType| matches!(t, DataType::List(_) | DataType::Map(..) | DataType::Struct(_));
    let json = table.schema.fields().iter().any(|f| nested(f.data_type()));
    let csv = [("csv.field-delimiter", "|"), ("csv.null-literal", "NULL"), ("csv.disable-quote-character", "true")];
    let path = output.display().to_string();
    let mut options = vec![("connector", "filesystem"), ("path", &path), ("sink.changelog", "true")];
    options.push(("format", if json { "json" } else { "csv" }));
    options.extend(if json { &[][..] } else { &csv[..] });
    table.options = options.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
}

/// A job whose state and clock outlive its runs.
pub struct Job {
    plan: Arc<Plan>,
    store: Arc<dyn Store>,
    pub clock: Clock,
}

/// One run of it.
pub struct Run {
    requests: mpsc::Sender<Request>,
    task: JoinHandle<Result<Outcome, RunError>>,
    clock: Clock,
}

/// Longest time for a run to finish once nothing holds it back.
const PATIENCE: Duration = Duration::from_secs(30);

impl Job {
    pub fn new(plan: Plan) -> Self {
        let store = store::open("memory:", &[], 0).expect("memory is always there");
        Self { plan: Arc::new(plan), store, clock: Clock::manual(ProcTime(1_000_000)) }
    }

    pub fn start(&self, parallelism: usize) -> Run {
        let spec = RunSpec {
            plan: Arc::clone(&self.plan),
            namespace: "golden".to_owned(),
            name: "case".to_owned(),
            parallelism,
            key_groups: Some(KeyGroups::new(16).expect("16 is in range")),
            base_dir: tests_directory(),
            store: Arc::clone(&self.store),
            restore: RestoreSource::Latest,
            state_options: vec![],
            allow_dropped_state: false,
            checkpoint_interval: None,
            checkpoint_timeout: Duration::from_secs(3600),
            checkpoints_retained: 2,
            delivery: Delivery::ExactlyOnce,
            allowed_lateness_ms: 0,
            terminal: Arc::new(CapturedTerminal::new()),
            clock: self.clock.clone(),
        };
        let (requests, receiver) = mpsc::channel(8);
        let (watch, _) = watch::channel(Watch::default());
        Run { requests, task: tokio::task::spawn_local(run(spec, receiver, watch)), clock: self.clock.clone() }
    }
}

impl Run {
    /// Lets the readers go on for a millisecond of the run's clock, and the tasks work for a moment.
    pub async fn step(&self) {
        tick(&self.clock);
        tokio::time::sleep(TICK).await;
    }

    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// A checkpoint at this point; `None` if the run ended first.
    pub async fn checkpoint(&self) -> Option<u64> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Checkpoint { operation: None, reply }).await.ok()?;
        within(PATIENCE, &self.clock, answer).await?.ok().map(|epoch| epoch.0)
    }

    /// As a crash between two events of the coordinator would.
    pub async fn kill(self) -> Result<Outcome, String> {
        let _ = self.requests.send(Request::Kill).await; // It may have ended by itself.
        self.ended().await
    }

    /// As a crash in the midst of whatever the coordinator waits for would.
    pub async fn abort(self) {
        self.task.abort();
        let _ = self.task.await; // Cancelled, or ended by itself.
    }

    /// A last checkpoint, then the end.
    pub async fn stop(self) -> Result<Outcome, String> {
        let _ = self.requests.send(Request::Stop { operation: None }).await; // It may have ended by itself.
        self.ended().await
    }

    /// Waits for the end of the input.
    pub async fn finish(self) -> Result<Outcome, String> {
        self.ended().await
    }

    async fn ended(self) -> Result<Outcome, String> {
        match within(PATIENCE, &self.clock, self.task).await {
            None => Err(format!("did not end within {PATIENCE:?}")),
            Some(Err(e)) => Err(format!("panicked: {e}")),
            Some(Ok(Err(e))) => Err(format!("failed: {e}")),
            Some(Ok(Ok(outcome))) => Ok(outcome),
        }
    }
}

/// Of real time, for a millisecond of the run's.
const TICK: Duration = Duration::from_millis(2);

fn tick(clock: &Clock) {
    clock.set(ProcTime(clock.now().0 + 1));
}

/// Waits while the run's clock goes on: with a clock that stands still, a reader that keeps a pace is never asked again.
async fn within<T>(patience: Duration, clock: &Clock, future: impl Future<Output = T>) -> Option<T> {
    tokio::pin!(future);
    for _ in 0..patience.as_millis() / TICK.as_millis() {
        tokio::select! {
            value = &mut future => return Some(value),
            () = tokio::time::sleep(TICK) => tick(clock),
        }
    }
    None
}
