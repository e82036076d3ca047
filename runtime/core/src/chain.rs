//! Which segments the state of a task consists of.
//!
//! A full snapshot stands alone. A delta holds the rows that changed since the snapshot before it, and all rows of one
//! sixteenth of the hash range, in turn; so a segment is needed until sixteen deltas have followed it, each sixteenth once.

use crate::id::Epoch;
use crate::manifest::SegmentRef;
use std::collections::BTreeMap;

/// Deltas after which everything older has been written again.
pub const ROTATIONS: u64 = 16;

/// One operator in one task: plan node and instance.
pub type Member = (usize, usize);

/// The segments of every operator of every task of a run. Begins empty: the first snapshot of a run is full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chains {
    members: BTreeMap<Member, Vec<Link>>,
    /// Canonical snapshots of this run.
    snapshots: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Link {
    segment: SegmentRef,
    /// The snapshot that wrote it, counted as `snapshots`.
    snapshot: u64,
}

impl Chains {
    /// What the chains become if this snapshot is confirmed. `written`: its segments by member; `full`: members whose
    /// snapshot stands alone. To be dropped if the epoch does not become canonical.
    #[must_use]
    pub fn after(&self, written: BTreeMap<Member, Vec<SegmentRef>>, full: impl Fn(Member) -> bool) -> Self {
        let snapshot = self.snapshots + 1;
        let mut members = self.members.clone();
        for (member, links) in &mut members {
            links.retain(|l| !full(*member) && snapshot < l.snapshot + ROTATIONS);
        }
        for (member, segments) in written {
            let links = segments.into_iter().map(|segment| Link { segment, snapshot });
            members.entry(member).or_default().extend(links);
        }
        members.retain(|_, links| !links.is_empty());
        Self { members, snapshots: snapshot }
    }

    /// By plan node, oldest epoch first.
    pub fn segments(&self) -> BTreeMap<usize, Vec<SegmentRef>> {
        let mut by_node: BTreeMap<usize, Vec<SegmentRef>> = BTreeMap::new();
        for ((node, _), links) in &self.members {
            by_node.entry(*node).or_default().extend(links.iter().map(|l| l.segment.clone()));
        }
        for segments in by_node.values_mut() {
            // Stable: the segments of one member and epoch stay in the order in which they were written, because rows of
            // a later one may undo tombstones of an earlier one. (Paths would not do: part 10 sorts before part 2.)
            segments.sort_by_key(|s| s.epoch);
        }
        by_node
    }

    /// The oldest epoch that is still needed.
    pub fn oldest(&self) -> Option<Epoch> {
        self.members.values().flatten().map(|l| l.segment.epoch).min()
    }
}

#[cfg(test)]
mod tests;
