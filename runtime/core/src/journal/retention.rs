//! What may be deleted, and when: `Retired` first, then deletes, only under one's own and lower generations, only what no
//! unretired manifest reaches. Names decide; no clock does (but for journal slots, where it only errs on the safe side).

use super::append::DeletePermit;
use super::record::{ManifestRef, Slot};
use super::summary::Summary;
use crate::id::Epoch;
use crate::paths::ObjectName;
use crate::time::ProcTime;
use std::collections::BTreeSet;

/// Slots that stay whatever their age: a listing that is slow and not atomic must not straddle a deletion.
pub const SLOTS_KEPT: usize = 64;
/// Slots younger than this stay, whatever their number.
pub const SLOT_AGE_KEPT_MS: i64 = 3_600_000;

/// The `Retired{below}` to append so that the last `keep` checkpoints stay; `None` if it would retire nothing.
pub fn retire(summary: &Summary, keep: usize) -> Option<Epoch> {
    let checkpoints = &summary.checkpoints;
    let below = checkpoints[checkpoints.len().saturating_sub(keep.max(1))..].first()?.epoch.max(summary.retired_below);
    let goes = |c: &ManifestRef| c.epoch < below && !summary.protects(c);
    checkpoints.iter().any(goes).then_some(below)
}

impl DeletePermit {
    /// The manifests whose objects must stay; the caller reads them and collects what they reach.
    pub fn unretired(&self) -> &[ManifestRef] {
        &self.keep
    }

    /// Objects to delete, of those listed under the job's checkpoints. `reached` holds the paths of the unretired manifests
    /// and of everything that they refer to.
    pub fn garbage<'a>(&self, objects: impl IntoIterator<Item = &'a str>, reached: &BTreeSet<String>) -> Vec<&'a str> {
        // What lies beside an unretired manifest (staging of a sink) is its own, whether the manifest names it or not.
        let kept: Vec<_> = self.keep.iter().filter_map(|m| ObjectName::parse(&m.path)).collect();
        objects.into_iter().filter(|path| !reached.contains(*path) && self.is_mine_to_delete(path, &kept)).collect()
    }

    fn is_mine_to_delete(&self, path: &str, kept: &[ObjectName]) -> bool {
        match ObjectName::parse(path) {
            // Not named by us: not ours to judge.
            None => false,
            Some(name) if kept.contains(&name) => false,
            // What a dead generation left in flight is garbage at once. A higher one's objects are its own.
            Some(name) if name.fence != self.fence => name.fence < self.fence,
            // Of my own, what is above the last canonical epoch may be on its way to a manifest.
            Some(name) => name.epoch <= self.last_epoch,
        }
    }

    /// Journal slots to delete, lowest first, of those listed with their time.
    pub fn slots(&self, listed: &[(Slot, ProcTime)], now: ProcTime) -> Vec<Slot> {
        let mut below: Vec<_> = listed.iter().filter(|(slot, _)| *slot < self.tail).copied().collect();
        below.sort_unstable();
        let old = below.len().saturating_sub(SLOTS_KEPT - 1);
        below.truncate(old);
        // Stops at the first young one: what remains has no hole.
        below.into_iter().take_while(|(_, at)| now.0 - at.0 >= SLOT_AGE_KEPT_MS).map(|(slot, _)| slot).collect()
    }
}
