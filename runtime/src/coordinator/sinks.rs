//! The sinks of a run, and settling: making the output of a canonical epoch visible.

use crate::connector::{Accepts, ConnectorError, Sink, SinkGuarantee, Staged};
use crate::connectors::{ConnectorContext, open_sink};
use sluice_core::id::{Epoch, OperatorId};
use sluice_core::journal::SinkLayout;
use sluice_core::manifest::Manifest;
use sluice_core::plan::{Changelog, Op, Plan};
use std::collections::BTreeMap;
use std::sync::Arc;

pub struct Sinks {
    /// By plan node.
    pub open: BTreeMap<usize, Arc<dyn Sink>>,
    ids: BTreeMap<OperatorId, usize>,
}

#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    #[error(transparent)]
    Connector(#[from] ConnectorError),
    /// Its output is staged in the checkpoint, and nobody is there to write it.
    #[error(
        "epoch {epoch} has staged output for table '{table}', which the job no longer writes; \
         run the job once with it, or accept the loss with --allow-dropped-state"
    )]
    SinkGone { epoch: Epoch, table: String },
}

impl Sinks {
    pub fn open(plan: &Plan, cx: &ConnectorContext) -> Result<Self, ConnectorError> {
        let (mut open, mut ids) = (BTreeMap::new(), BTreeMap::new());
        for (n, node) in plan.nodes.iter().enumerate() {
            let Op::Sink { table, upsert_keys } = &node.op else { continue };
            let sink = open_sink(&plan.tables[table], cx)?;
            let input = &plan.nodes[node.inputs[0].node];
            check_accepts(table, sink.accepts(), input.changelog, !upsert_keys.is_empty())?;
            ids.insert(node.id.clone(), n);
            open.insert(n, sink);
        }
        Ok(Self { open, ids })
    }

    pub fn layout(&self, slots: u32) -> Vec<SinkLayout> {
        self.ids.keys().map(|id| SinkLayout { sink: id.clone(), slots }).collect()
    }

    /// Whether every sink makes its output visible with the epoch.
    pub fn guarantees(&self) -> impl Iterator<Item = (usize, SinkGuarantee)> {
        self.open.iter().map(|(n, s)| (*n, s.guarantee()))
    }

    /// Settles one epoch from its manifest alone. Idempotent. `drop_gone`: output of sinks that are not in the job any more
    /// is given up.
    pub async fn settle(&self, manifest: &Manifest, drop_gone: bool) -> Result<(), SettleError> {
        for operator in &manifest.operators {
            let Some(sink) = operator.sink.as_ref().filter(|s| !s.staged.is_empty()) else { continue };
            let Some(n) = self.ids.get(&operator.id) else {
                if drop_gone {
                    tracing::warn!(table = sink.table, epoch = manifest.epoch.0, "staged output was given up");
                    continue;
                }
                return Err(SettleError::SinkGone { epoch: manifest.epoch, table: sink.table.clone() });
            };
            let staged: Vec<Staged> =
                sink.staged.iter().map(|s| Staged { slot: s.slot, data: s.data.clone() }).collect();
            self.open[n].settle(manifest.epoch, &staged).await?;
        }
        Ok(())
    }
}

/// A sink that cannot take a row back must not be asked to.
pub fn check_accepts(table: &str, accepts: Accepts, rows: Changelog, keyed: bool) -> Result<(), ConnectorError> {
    let message = match (rows, accepts) {
        (Changelog::Append, _) | (_, Accepts::Everything) => return Ok(()),
        (Changelog::Retract, Accepts::Upserts) if keyed => return Ok(()),
        (Changelog::Retract, Accepts::Upserts) => {
            "the query updates its results: declare a PRIMARY KEY … NOT ENFORCED, by which this sink can replace rows"
        }
        (Changelog::Retract, Accepts::Inserts) => {
            "the query updates its results, and this sink only takes inserts: aggregate in windows, \
             or write to a sink that takes updates (print)"
        }
    };
    Err(ConnectorError::Invalid { table: table.to_owned(), message: message.to_owned() })
}
