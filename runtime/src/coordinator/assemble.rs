//! From the tasks' snapshots to the manifest. Pure.

use crate::task::TaskSnapshot;
use sluice_core::id::{Epoch, Fence, JobUid, OperatorId, WriterId};
use sluice_core::key_group::KeyGroups;
use sluice_core::manifest::{
    GeneratorState, Manifest, ManifestKind, OperatorState, SegmentRef, SinkState, SplitState, StagedSlot, Totals,
    plan_operators,
};
use sluice_core::plan::{Node, Op, Plan};
use sluice_core::time::EventTime;
use sluice_sql::explain::holds_state;
use std::collections::{BTreeMap, BTreeSet};

/// What does not change between the checkpoints of a run.
#[derive(Clone, Debug)]
pub struct Identity {
    pub job: JobUid,
    pub fence: Fence,
    pub writer: WriterId,
    pub key_groups: KeyGroups,
    pub parallelism: u32,
}

/// The last epoch in which each slot of each sink had output.
pub type LastOutput = BTreeMap<(OperatorId, u32), Epoch>;

/// The manifest of a checkpoint. `segments` by plan node, oldest epoch first; snapshots of every task.
pub fn manifest(
    identity: &Identity,
    plan: &Plan,
    epoch: Epoch,
    snapshots: &[TaskSnapshot],
    mut segments: BTreeMap<usize, Vec<SegmentRef>>,
    last_output: &LastOutput,
) -> Manifest {
    let stateful: BTreeSet<OperatorId> =
        plan.nodes.iter().filter(|n| keeps_state(&n.op)).map(|n| n.id.clone()).collect();
    let operators = plan
        .nodes
        .iter()
        .enumerate()
        .filter_map(|(n, node)| {
            operator(identity, n, node, snapshots, segments.remove(&n).unwrap_or_default(), last_output)
        })
        .collect();
    let mut manifest = Manifest {
        job: identity.job.clone(),
        kind: ManifestKind::Checkpoint,
        fence: identity.fence,
        writer: identity.writer.clone(),
        epoch,
        key_groups: identity.key_groups,
        hash_id: sluice_core::hash::HASH_ID.to_owned(),
        operators,
        plan: plan_operators(plan, |id| stateful.contains(id)),
        finished: snapshots.iter().all(|s| s.ended),
        totals: Totals::default(),
    };
    manifest.totals = manifest.sum();
    manifest
}

/// Whether a restore without this operator's part loses something.
pub fn keeps_state(op: &Op) -> bool {
    // A sink's staging is settled by its own epoch.
    holds_state(op) && !matches!(op, Op::Sink { .. })
}

fn operator(
    identity: &Identity,
    index: usize,
    node: &Node,
    snapshots: &[TaskSnapshot],
    segments: Vec<SegmentRef>,
    last_output: &LastOutput,
) -> Option<OperatorState> {
    let watermark = snapshots
        .iter()
        .flat_map(|s| &s.watermarks)
        .filter(|(n, w)| *n == index && *w > EventTime::MIN)
        .map(|(_, w)| *w)
        .min();
    let (mut splits, mut sink) = (vec![], None);
    match &node.op {
        Op::Source { table, watermark, .. } => {
            for s in snapshots.iter().filter(|s| s.source == Some(index)) {
                splits.extend(s.splits.iter().map(|(split, mark)| SplitState {
                    table: table.clone(),
                    split: serde_json::to_value(split).expect("a split is plain data"),
                    watermark: watermark.as_ref().map(|_| GeneratorState { max_event_time: mark.max, idle: mark.idle }),
                }));
            }
        }
        Op::Sink { table, .. } => {
            let staged = snapshots
                .iter()
                .filter(|s| s.sink == Some(index))
                .filter_map(|s| s.staged.as_ref())
                .map(|s| StagedSlot {
                    slot: s.slot,
                    prev: last_output.get(&(node.id.clone(), s.slot)).copied(),
                    data: s.data.clone(),
                })
                .collect();
            sink = Some(SinkState { table: table.clone(), slots: identity.parallelism, staged });
        }
        _ => {}
    }
    if watermark.is_none() && segments.is_empty() && splits.is_empty() && sink.is_none() {
        return None;
    }
    Some(OperatorState {
        id: node.id.clone(),
        parallelism: identity.parallelism,
        watermarks: watermark.into_iter().collect(),
        segments,
        splits,
        sink,
        ended: false,
    })
}
