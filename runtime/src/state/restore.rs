//! From a manifest's segments to the operators of a task: each reads only the blocks of its own key groups.

use super::StateBlock;
use super::segment::{SegmentError, SegmentReader};
use crate::store::Store;
use crate::task::{Task, TaskError};
use sluice_core::key_group::KeyGroups;
use sluice_core::manifest::{Manifest, SegmentRef};
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
    pub store: Arc<dyn Store>,
    pub plan: Arc<Plan>,
    /// `None`: a fresh start.
    pub manifest: Option<Manifest>,
    /// Segment paths are relative to this.
    pub base: String,
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
            let state = self.manifest.as_ref().and_then(|m| m.operator(&node.id));
            let failed = |source| RestoreError::Operator { label: node.label.clone(), source };
            for s in state.iter().flat_map(|s| &s.segments) {
                self.segment(task, n, s, &groups).await?;
            }
            let watermark = state.and_then(|s| s.watermarks.iter().min().copied()).unwrap_or(EventTime::MIN);
            task.chain_mut().restored(n, watermark).map_err(failed)?;
        }
        Ok(())
    }

    async fn segment(
        &self,
        task: &mut Task,
        node: usize,
        segment: &SegmentRef,
        groups: &Range<u16>,
    ) -> Result<(), RestoreError> {
        if segment.key_groups.start >= groups.end || groups.start >= segment.key_groups.end {
            return Ok(());
        }
        let path = format!("{}/{}", self.base, segment.path);
        let reader = SegmentReader::open(&*self.store, &path, segment.length).await?;
        let footer = &reader.footer;
        if footer.operator != segment.operator || footer.epoch != segment.epoch || footer.key_groups != self.key_groups
        {
            let message = format!("it holds operator '{}' of epoch {}", footer.operator, footer.epoch);
            return Err(RestoreError::Other { path, message });
        }
        for run in reader.runs(groups) {
            let bytes = reader.fetch(&*self.store, &run).await?;
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
