//! The counters as Prometheus text. A fresh registry per scrape: nothing global, nothing to unregister.
//!
//! Names, units and labels are documented in docs/metrics.md.

use crate::deploy::JobMetrics;
use prometheus::{Encoder, GaugeVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};
use sluice_core::plan::Plan;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What is counted about checkpoints.
#[derive(Debug, Default)]
pub struct CheckpointMetrics {
    pub completed: AtomicU64,
    pub failed: AtomicU64,
    pub last_epoch: AtomicU64,
    pub last_duration_ms: AtomicU64,
    pub last_alignment_ms: AtomicU64,
    pub last_bytes: AtomicU64,
    pub last_rows: AtomicU64,
}

/// Everything that a scrape shows.
#[derive(Clone)]
pub struct Exposition {
    pub plan: Arc<Plan>,
    pub job: JobMetrics,
    pub checkpoints: Arc<CheckpointMetrics>,
    /// First node of every chain: the name of its tasks.
    pub chain_nodes: Vec<usize>,
}

const OPERATOR: [&str; 3] = ["operator", "label", "task"];
const TASK: [&str; 2] = ["chain", "task"];

impl Exposition {
    /// Prometheus' text format.
    pub fn text(&self, now_ms: i64) -> String {
        let registry = Registry::new();
        let built = self
            .operators(&registry, now_ms)
            .and_then(|()| self.sources(&registry))
            .and_then(|()| self.tasks(&registry))
            .and_then(|()| self.checkpoints(&registry));
        if let Err(e) = built {
            return format!("# failed to collect metrics: {e}\n");
        }
        let mut out = vec![];
        match TextEncoder::new().encode(&registry.gather(), &mut out) {
            Ok(()) => String::from_utf8_lossy(&out).into_owned(),
            Err(e) => format!("# failed to encode metrics: {e}\n"),
        }
    }

    fn operators(&self, registry: &Registry, now_ms: i64) -> prometheus::Result<()> {
        let rows_in = counter(registry, "sluice_operator_rows_in_total", "Rows that came in.", &OPERATOR)?;
        let rows_out = counter(registry, "sluice_operator_rows_out_total", "Rows that went out.", &OPERATOR)?;
        let late = counter(registry, "sluice_operator_late_rows_total", "Rows dropped as late.", &OPERATOR)?;
        let state_rows = gauge(registry, "sluice_operator_state_rows", "Rows of state.", &OPERATOR)?;
        let state_bytes = gauge(registry, "sluice_operator_state_bytes", "Bytes of state in memory.", &OPERATOR)?;
        let watermark =
            gauge(registry, "sluice_operator_watermark_milliseconds", "Watermark, since the epoch.", &OPERATOR)?;
        let lag = gauge(registry, "sluice_operator_watermark_lag_milliseconds", "Clock minus watermark.", &OPERATOR)?;
        for (task, node, m) in &self.job.operators {
            let n = &self.plan.nodes[*node];
            let task = task.index.to_string();
            let labels = [n.id.0.as_str(), n.label.as_str(), task.as_str()];
            rows_in.with_label_values(&labels).inc_by(m.rows_in.get());
            rows_out.with_label_values(&labels).inc_by(m.rows_out.get());
            late.with_label_values(&labels).inc_by(m.late_rows.get());
            state_rows.with_label_values(&labels).set(m.state_rows.get() as i64);
            state_bytes.with_label_values(&labels).set(m.state_bytes.get() as i64);
            if let Some(w) = m.watermark.get().filter(|w| *w < i64::MAX) {
                watermark.with_label_values(&labels).set(w);
                lag.with_label_values(&labels).set(now_ms.saturating_sub(w));
            }
        }
        Ok(())
    }

    fn sources(&self, registry: &Registry) -> prometheus::Result<()> {
        let records = counter(registry, "sluice_source_records_total", "Records read.", &OPERATOR)?;
        let bytes = counter(registry, "sluice_source_bytes_total", "Bytes read.", &OPERATOR)?;
        let bad = counter(registry, "sluice_source_bad_records_total", "Records not decoded.", &OPERATOR)?;
        for (task, node, m) in &self.job.sources {
            let n = &self.plan.nodes[*node];
            let task = task.index.to_string();
            let labels = [n.id.0.as_str(), n.label.as_str(), task.as_str()];
            records.with_label_values(&labels).inc_by(m.records.get());
            bytes.with_label_values(&labels).inc_by(m.bytes.get());
            bad.with_label_values(&labels).inc_by(m.bad_records.get());
        }
        Ok(())
    }

    fn tasks(&self, registry: &Registry) -> prometheus::Result<()> {
        let time = Opts::new("sluice_task_time_seconds", "Where a task's time went.");
        let time = GaugeVec::new(time, &["chain", "task", "state"])?;
        registry.register(Box::new(time.clone()))?;
        let longest =
            gauge(registry, "sluice_task_longest_step_microseconds", "Longest stop of a task's thread.", &TASK)?;
        for (task, m) in &self.job.tasks {
            let index = task.index.to_string();
            let chain = &self.plan.nodes[self.chain_nodes[task.chain]].id.0;
            for (state, ns) in [("busy", &m.busy), ("idle", &m.idle), ("backpressured", &m.backpressured)] {
                time.with_label_values(&[chain.as_str(), index.as_str(), state]).set(ns.get() as f64 / 1e9);
            }
            longest.with_label_values(&[chain.as_str(), index.as_str()]).set((m.longest_step.get() / 1000) as i64);
        }
        Ok(())
    }

    fn checkpoints(&self, registry: &Registry) -> prometheus::Result<()> {
        let c = &self.checkpoints;
        for (name, help, value) in [
            ("sluice_checkpoints_completed", "Canonical checkpoints of this process.", &c.completed),
            ("sluice_checkpoints_failed", "Checkpoints given up.", &c.failed),
            ("sluice_checkpoint_last_epoch", "Epoch of the last checkpoint.", &c.last_epoch),
            ("sluice_checkpoint_duration_milliseconds", "Barrier to commit of the last one.", &c.last_duration_ms),
            ("sluice_checkpoint_alignment_milliseconds", "Barrier to last snapshot.", &c.last_alignment_ms),
            ("sluice_checkpoint_written_bytes", "Bytes that the last one wrote.", &c.last_bytes),
            ("sluice_checkpoint_written_rows", "Rows that the last one wrote.", &c.last_rows),
        ] {
            let g = IntGauge::new(name, help)?;
            g.set(value.load(Relaxed) as i64);
            registry.register(Box::new(g))?;
        }
        Ok(())
    }
}

fn counter(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
    let c = IntCounterVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(c.clone()))?;
    Ok(c)
}

fn gauge(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
    let g = IntGaugeVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(g.clone()))?;
    Ok(g)
}
