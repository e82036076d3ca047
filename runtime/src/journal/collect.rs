//! Deletes what a `Retired` record has made garbage. Failing to delete only keeps garbage; failing to read stops deleting.

use super::{JournalError, read_manifest};
use crate::clock::Clock;
use crate::store::{Store, local};
use futures::{StreamExt, stream};
use sluice_core::journal::DeletePermit;
use sluice_core::paths::{JobPaths, ObjectName};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Deletes in flight: enough to keep up with a checkpoint's worth of objects in seconds, few enough not to be throttled.
const DELETES_AT_ONCE: usize = 16;

/// A garbage collection that is due.
#[derive(Debug)]
pub struct Collection {
    store: Arc<dyn Store>,
    paths: JobPaths,
    clock: Clock,
    permit: DeletePermit,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Segments, manifests and other objects of checkpoints.
    pub objects: usize,
    /// Journal slots.
    pub slots: usize,
    /// What could not be deleted and is tried again next time.
    pub failed: usize,
}

impl Collection {
    pub(super) fn new(store: Arc<dyn Store>, paths: JobPaths, clock: Clock, permit: DeletePermit) -> Self {
        Self { store, paths, clock, permit }
    }

    pub async fn run(self) -> Result<Collected, JournalError> {
        let reached = self.reached().await?;
        let listed = self.store.list(&self.paths.checkpoints(), None).await?;
        let names: Vec<&str> = listed.iter().filter_map(|l| self.paths.relative(&l.path)).collect();
        let garbage = self.permit.garbage(names, &reached);
        // Manifests first: one that can be read has all its objects, also while this goes on.
        let (manifests, others): (Vec<&str>, Vec<&str>) =
            garbage.into_iter().partition(|path| ObjectName::parse(path).is_some_and(|n| n.manifest() == **path));
        let mut done = Collected::default();
        for group in [manifests, others] {
            let paths = group.iter().map(|path| self.paths.resolve(path)).collect();
            let (deleted, failed) = self.delete(paths).await;
            done.objects += deleted;
            done.failed += failed;
        }
        self.collect_slots(&mut done).await?;
        let (store, root, now) = (self.store.clone(), self.paths.root().to_string(), self.clock.now());
        match tokio::task::spawn_blocking(move || local::sweep_leftovers(&*store, &root, now)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "failed to remove temporary files of crashed writers"),
            Err(error) => tracing::warn!(%error, "removing temporary files of crashed writers was interrupted"),
        }
        Ok(done)
    }

    /// All that unretired manifests name. One that cannot be read stops everything: what it names is not known.
    async fn reached(&self) -> Result<BTreeSet<String>, JournalError> {
        let mut reached = BTreeSet::new();
        for reference in self.permit.unretired() {
            let manifest = read_manifest(&*self.store, &self.paths, reference).await?;
            reached.insert(reference.path.clone());
            reached.extend(manifest.segments().map(|s| s.path.clone()));
        }
        Ok(reached)
    }

    async fn collect_slots(&self, done: &mut Collected) -> Result<(), JournalError> {
        let listed = self.store.list(&self.paths.journal(), None).await?;
        let slots: Vec<_> =
            listed.iter().filter_map(|l| JobPaths::parse_slot(&l.path).map(|slot| (slot, l.modified))).collect();
        // One by one from the lowest: a crash leaves no hole.
        for slot in self.permit.slots(&slots, self.clock.now()) {
            match self.store.delete(&self.paths.slot(slot)).await {
                Ok(()) => done.slots += 1,
                Err(error) => {
                    tracing::warn!(slot = slot.0, %error, "failed to delete an old journal slot");
                    done.failed += 1;
                    break;
                }
            }
        }
        Ok(())
    }

    async fn delete(&self, paths: Vec<String>) -> (usize, usize) {
        let store = &self.store;
        let results = stream::iter(paths).map(|path| async move {
            let deleted = store.delete(&path).await;
            if let Err(error) = &deleted {
                tracing::warn!(%error, "failed to delete garbage");
            }
            deleted.is_ok()
        });
        let results: Vec<bool> = results.buffer_unordered(DELETES_AT_ONCE).collect().await;
        let deleted = results.iter().filter(|ok| **ok).count();
        (deleted, results.len() - deleted)
    }
}
