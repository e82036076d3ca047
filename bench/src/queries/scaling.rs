//! The whole engine in one process: generator, exchange by key group, keyed windows, at one and two threads.

use crate::report::{Bar, Report};
use sluice_core::savepoint::RestoreSource;
use sluice_runtime::clock::Clock;
use sluice_runtime::connectors::terminal::CapturedTerminal;
use sluice_runtime::coordinator::{Delivery, Outcome, RunSpec, Watch, run as run_job};
use sluice_runtime::store;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

const EVENTS: u64 = 20_000_000;

/// Seconds of a run at this parallelism.
fn seconds(parallelism: usize) -> f64 {
    let text = format!(
        "CREATE TABLE bid (auction BIGINT, price BIGINT, `dateTime` TIMESTAMP(3), \
           WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '4' SECOND) \
         WITH ('connector' = 'nexmark', 'nexmark.table' = 'bid', 'events.num' = '{EVENTS}'); \
         CREATE TABLE sink (auction BIGINT, ws TIMESTAMP(3), n BIGINT, total BIGINT, top BIGINT) WITH ('connector' = 'blackhole'); \
         INSERT INTO sink SELECT auction, window_start, COUNT(*), SUM(price), MAX(price) \
         FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND)) \
         GROUP BY auction, window_start, window_end;"
    );
    let plan = sluice_sql::plan(&text, &sluice_sql::PlanOptions::default()).expect("the text is valid").plan;
    let clock = Clock::system();
    let spec = RunSpec {
        plan: Arc::new(plan),
        namespace: "bench".into(),
        name: "scaling".into(),
        parallelism,
        key_groups: None,
        base_dir: ".".into(),
        store: store::open("memory:", &[], 0).expect("memory is a store"),
        restore: RestoreSource::Latest,
        state_options: vec![],
        allow_dropped_state: false,
        checkpoint_interval: None,
        checkpoint_timeout: Duration::from_secs(600),
        checkpoints_retained: 1,
        delivery: Delivery::ExactlyOnce,
        allowed_lateness_ms: 0,
        terminal: Arc::new(CapturedTerminal::new()),
        clock: clock.clone(),
    };
    let io = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads start");
    let start = clock.elapsed();
    let (_requests, inbox) = mpsc::channel(1);
    let outcome = io.block_on(run_job(spec, inbox, watch::channel(Watch::default()).0)).expect("the job runs");
    assert!(matches!(outcome, Outcome::Finished { .. }));
    (clock.elapsed() - start).as_secs_f64()
}

pub fn run(report: &mut Report) {
    let best = |p| (0..3).map(|_| seconds(p)).fold(f64::MAX, f64::min);
    let (one, two) = (best(1), best(2));
    report.rate(
        "Nexmark windows, two threads against one",
        EVENTS as f64 / two,
        EVENTS as f64 / one,
        Bar::AtLeast(1.7),
    );
}
