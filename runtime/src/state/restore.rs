//! From a manifest's segments to the operators of a task: each reads only the blocks of its own key groups.

use super::StateBlock;
use super::segment::{SegmentError, SegmentReader};
use crate::savepoint::RestorePoint;
use crate::task::{Task, TaskError};
use sluice_core::key_group::KeyGroups;
use sluice_core::manifest::SegmentRef;
use sluice_core::plan::Plan;
use sluice_core::time::EventTime;
use std::ops::Range;
use std::sync::Arc;

#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// Whole, but not what the manifest means.
    #[error("'{path}' is not the segment that the manifest names: {message}")]
    Other { path: String, message: String },
    #[error("operator '{label}' cannot take its state back: {source}")]
    Operator { label: String, source: TaskError },
}

/// What every task of a run restores from.
pub struct Restore {
    pub plan: Arc<Plan>,
    /// `None`: a fresh start.
    pub point: Option<RestorePoint>,
    pub key_groups: KeyGroups,
    pub parallelism: usize,
}

impl Restore {
    /// Gives a task the state of its key groups and its watermarks; also tells operators that had none that they begin.
    pub async fn task(&self, task: &mut Task) -> Result<(), RestoreError> {
        let groups = self.key_groups.range(task.id.index, self.parallelism);
        let nodes: Vec<usize> = task.chain_mut().links_mut().iter().map(|l| l.node).collect();
        for n in nodes {
            let node = &self.plan.nodes[n];
            let point = self.point.as_ref();
            let state = point.and_then(|p| Some((p, p.manifest.operator(&node.id)?)));
            let failed = |source| RestoreError::Operator { label: node.label.clone(), source };
            let mut watermark = EventTime::MIN;
            if let Some((point, state)) = state {
                for s in &state.segments {
                    self.segment(point, task, n, s, &groups).await?;
                }
                watermark = state.watermarks.iter().min().copied().unwrap_or(watermark);
            }
            task.chain_mut().restored(n, watermark).map_err(failed)?;
        }
        Ok(())
    }

    async fn segment(
        &self,
        point: &RestorePoint,
        task: &mut Task,
        node: usize,
        segment: &SegmentRef,
        groups: &Range<u16>,
    ) -> Result<(), RestoreError> {
        if segment.key_groups.start >= groups.end || groups.start >= segment.key_groups.end {
            return Ok(());
        }
        let path = point.path(segment);
        let reader = SegmentReader::open(&*point.store, &path, segment.length).await?;
        let footer = &reader.footer;
        if footer.operator != segment.operator || footer.epoch != segment.epoch || footer.key_groups != self.key_groups
        {
            let message = format!("it holds operator '{}' of epoch {}", footer.operator, footer.epoch);
            return Err(RestoreError::Other { path, message });
        }
        for run in reader.runs(groups) {
            let bytes = reader.fetch(&*point.store, &run).await?;
            for b in &run {
                let mut block = reader.decode(&run, &bytes, b)?;
                if b.groups.start < groups.start || b.groups.end > groups.end {
                    block = only(&block, self.key_groups, groups);
                }
                if !block.is_empty() {
                    let label = || self.plan.nodes[node].label.clone();
                    let taken = task.chain_mut().restore(node, &block);
                    taken.map_err(|source| RestoreError::Operator { label: label(), source })?;
                }
            }
        }
        Ok(())
    }
}

/// The rows of these key groups.
fn only(block: &StateBlock, key_groups: KeyGroups, groups: &Range<u16>) -> StateBlock {
    let mut out = StateBlock::new(block.table);
    out.keys.width = block.keys.width;
    out.values.width = block.values.width;
    for (i, hash) in block.hashes.iter().enumerate() {
        if groups.contains(&key_groups.of(*hash).0) {
            out.hashes.push(*hash);
            out.deleted.push(block.deleted[i]);
            out.keys.push(block.keys.row(i));
            out.values.push(block.values.row(i));
        }
    }
    out
}
