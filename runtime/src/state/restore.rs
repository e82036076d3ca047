//! From a manifest's segments to the operators of a task: each reads only the blocks of its own key groups.
//!
//! The next segments are fetched while one is decoded, so that a restore takes the longer of reading and inserting, not
//! their sum.

use super::StateBlock;
use super::segment::{BlockIndex, SegmentError, SegmentReader};
use crate::savepoint::RestorePoint;
use crate::store::Store;
use crate::task::{Task, TaskError};
use bytes::Bytes;
use futures::StreamExt;
use sluice_core::key_group::KeyGroups;
use sluice_core::manifest::SegmentRef;
use sluice_core::plan::Plan;
use sluice_core::time::EventTime;
use std::ops::Range;
use std::sync::Arc;

/// Segments fetched at a time: two requests follow each other in each, so three hide the latency of a store.
const AHEAD: usize = 3;

#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// Whole, but not what the manifest means.
    #[error("'{path}' is not the segment that the manifest names: {message}")]
    Other { path: String, message: String },
    #[error("failed to fetch segments: {0}")]
    Fetch(String),
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
            let state = self.point.as_ref().and_then(|p| Some((p, p.manifest.operator(&node.id)?)));
            let failed = |source| RestoreError::Operator { label: node.label.clone(), source };
            let mut watermark = EventTime::MIN;
            if let Some((point, state)) = state {
                let segments: Vec<_> = state.segments.iter().map(|s| (point.path(s), s)).collect();
                let mut feed = |block: &StateBlock| task.chain_mut().restore(n, block).map_err(failed);
                read_segments(&point.store, &segments, self.key_groups, &groups, &mut feed).await?;
                watermark = state.watermarks.iter().min().copied().unwrap_or(watermark);
            }
            task.chain_mut().restored(n, watermark).map_err(failed)?;
        }
        Ok(())
    }
}

/// Calls `feed` with the rows of these key groups, in the order of the segments (each with its path in the store) and of the
/// blocks in them. Must be called on an I/O runtime.
pub async fn read_segments(
    store: &Arc<dyn Store>,
    segments: &[(String, &SegmentRef)],
    key_groups: KeyGroups,
    groups: &Range<u16>,
    feed: &mut impl FnMut(&StateBlock) -> Result<(), RestoreError>,
) -> Result<(), RestoreError> {
    let overlaps = |s: &SegmentRef| s.key_groups.start < groups.end && groups.start < s.key_groups.end;
    let fetches = segments.iter().filter(|(_, s)| overlaps(s)).map(|(path, s)| {
        tokio::spawn(fetch(Arc::clone(store), path.clone(), (*s).clone(), key_groups, groups.clone()))
    });
    let mut fetched = futures::stream::iter(fetches).buffered(AHEAD);
    while let Some(segment) = fetched.next().await {
        // A fetch is never cancelled; it can only have panicked.
        let gone = |e: tokio::task::JoinError| RestoreError::Fetch(e.to_string());
        let (reader, runs) = segment.map_err(gone)??;
        for (run, bytes) in &runs {
            for b in run {
                let block = reader.decode(run, bytes, b)?;
                if groups.start <= b.groups.start && b.groups.end <= groups.end {
                    feed(&block)?;
                    continue;
                }
                let block = only(&block, key_groups, groups);
                if !block.is_empty() {
                    feed(&block)?;
                }
            }
        }
    }
    Ok(())
}

type Runs = Vec<(Vec<BlockIndex>, Bytes)>;

/// The wanted blocks of one segment, not decoded yet.
async fn fetch(
    store: Arc<dyn Store>,
    path: String,
    segment: SegmentRef,
    key_groups: KeyGroups,
    groups: Range<u16>,
) -> Result<(SegmentReader, Runs), RestoreError> {
    let reader = SegmentReader::open(&*store, &path, segment.length).await?;
    let footer = &reader.footer;
    if footer.operator != segment.operator || footer.epoch != segment.epoch || footer.key_groups != key_groups {
        let message = format!("it holds operator '{}' of epoch {}", footer.operator, footer.epoch);
        return Err(RestoreError::Other { path, message });
    }
    let mut runs = Vec::new();
    for run in reader.runs(&groups) {
        let bytes = reader.fetch(&*store, &run).await?;
        runs.push((run, bytes));
    }
    Ok((reader, runs))
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
