//! Savepoints in the store: made beside the processing, verified before they exist, deleted only when nothing needs them.
//!
//! Lies at `savepoints/<name>/`: `objects/…` first, each read back and hashed, then `manifest`, created if absent. So a
//! savepoint that is listed is complete and was verified; what a crash leaves has no manifest and is no savepoint. It also
//! owns the reading of any [restore point](RestorePoint), be it a checkpoint, a savepoint of this job or one elsewhere.

#[cfg(test)]
mod tests;

use crate::journal::{JournalError, read_manifest, read_tail};
use crate::store::{self, Create, ErrorClass, OpenError, Store, StoreError};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use sluice_core::checksum::Checksum;
use sluice_core::journal::{ManifestRef, Tail};
use sluice_core::manifest::{Manifest, ManifestError, ManifestKind, SegmentRef};
use sluice_core::paths::JobPaths;
use sluice_core::savepoint::{
    Copy, NotSavable, RestoreSource, SavepointNameError, check_name, copy_of, is_referenced, savable,
};
use std::sync::Arc;

/// Objects on their way at once: a network's latency is hidden, and memory holds a few segments only.
const COPIES_AT_ONCE: usize = 8;
/// A running job may retire the checkpoint that is being copied; its next one is as good.
const CREATE_ATTEMPTS: usize = 5;
const MANIFEST: &str = "manifest";

#[derive(Debug, thiserror::Error)]
pub enum SavepointError {
    #[error(transparent)]
    Name(#[from] SavepointNameError),
    #[error("there is no savepoint '{name}' in {store}; there {}", listed(existing))]
    Missing { name: String, store: String, existing: Vec<String> },
    #[error("'{location}' in {store} is no savepoint: it has no manifest")]
    NoManifest { location: String, store: String },
    #[error("savepoint '{name}' exists already; delete it first, or choose another name")]
    Exists { name: String },
    #[error(
        "savepoint '{name}' cannot be deleted: the job was restored from it and may come back to it until it is stable"
    )]
    Referenced { name: String },
    #[error("no savepoint can be taken: {0}")]
    NotSavable(#[from] NotSavable),
    #[error("'{path}' is damaged: {expected}, {length} bytes expected, {found}, {found_length} bytes found")]
    Damaged { path: String, expected: Checksum, length: u64, found: Checksum, found_length: u64 },
    #[error("'{path}' is missing; the savepoint or checkpoint that names it is not whole")]
    ObjectMissing { path: String },
    #[error("failed to read manifest '{path}': {source}")]
    Manifest {
        path: String,
        #[source]
        source: ManifestError,
    },
    #[error("manifest '{path}' holds a checkpoint, not a savepoint")]
    NotASavepoint { path: String },
    #[error("the checkpoint was retired while it was copied, again and again; keep more checkpoints, or try later")]
    Outrun,
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn listed(existing: &[String]) -> String {
    if existing.is_empty() { "are none".into() } else { format!("is: {}", existing.join(", ")) }
}

/// A manifest with the place that its paths are relative to.
#[derive(Clone, Debug)]
pub struct RestorePoint {
    pub reference: ManifestRef,
    pub manifest: Manifest,
    pub store: Arc<dyn Store>,
    /// A directory of `store`; may be empty.
    base: String,
}

/// How a savepoint is found.
#[derive(Clone, Debug, PartialEq)]
pub struct Savepoint {
    pub name: String,
    pub reference: ManifestRef,
    pub manifest: Manifest,
}

/// What a verification has read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    pub objects: usize,
    pub bytes: u64,
}

impl RestorePoint {
    /// Where a segment of this manifest lies in [`RestorePoint::store`].
    pub fn path(&self, segment: &SegmentRef) -> String {
        resolve(&self.base, &segment.path)
    }

    /// The directory in [`RestorePoint::store`] that the manifest's paths are relative to; may be empty.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A whole segment, its length and checksum compared.
    pub async fn read(&self, segment: &SegmentRef) -> Result<Bytes, SavepointError> {
        read_object(&*self.store, &self.path(segment), segment).await
    }

    /// The first snapshot after this restore must be full: no checkpoint refers into a savepoint.
    pub fn needs_full_snapshot(&self) -> bool {
        self.reference.savepoint
    }

    /// Reads every object back and hashes it.
    pub async fn verify(&self) -> Result<Verified, SavepointError> {
        let reads = stream::iter(self.manifest.segments()).map(|segment| async move {
            let bytes = self.read(segment).await?;
            Ok::<_, SavepointError>(bytes.len() as u64)
        });
        let sizes: Vec<u64> = reads.buffer_unordered(COPIES_AT_ONCE).try_collect().await?;
        Ok(Verified { objects: sizes.len(), bytes: sizes.iter().sum() })
    }
}

/// Opens what a journal record refers to. `options` are for a savepoint in another store.
pub async fn open_reference(
    store: &Arc<dyn Store>,
    paths: &JobPaths,
    reference: &ManifestRef,
    options: &[(String, String)],
) -> Result<RestorePoint, SavepointError> {
    if !reference.savepoint {
        let manifest = read_manifest(&**store, paths, reference).await?;
        let base = paths.root().to_string();
        return Ok(RestorePoint { reference: reference.clone(), manifest, store: store.clone(), base });
    }
    let point = match reference.path.strip_suffix("/manifest") {
        // Paths within the store are relative, and their parts have no colon.
        Some(base) if base.contains(':') || base.starts_with('/') => open_location(base, options).await?,
        Some(base) => open_at(store.clone(), base.to_string(), reference.path.clone()).await?,
        None => return Err(SavepointError::NotASavepoint { path: reference.path.clone() }),
    };
    if point.reference.checksum != reference.checksum {
        let (expected, found) = (reference.checksum, point.reference.checksum);
        return Err(JournalError::OtherManifest { path: reference.path.clone(), expected, found }.into());
    }
    Ok(point)
}

/// Opens what a user named; `None` for `latest` and `none`, which the journal answers.
pub async fn open_source(
    store: &Arc<dyn Store>,
    paths: &JobPaths,
    source: &RestoreSource,
    options: &[(String, String)],
) -> Result<Option<RestorePoint>, SavepointError> {
    match source {
        RestoreSource::Latest | RestoreSource::Nothing => Ok(None),
        RestoreSource::Named(name) => open_named(store, paths, name).await.map(Some),
        RestoreSource::Location(location) => open_location(location, options).await.map(Some),
    }
}

/// A savepoint of this job.
pub async fn open_named(store: &Arc<dyn Store>, paths: &JobPaths, name: &str) -> Result<RestorePoint, SavepointError> {
    check_name(name)?;
    let base = paths.savepoint(name);
    let path = resolve(&base, MANIFEST);
    match open_at(store.clone(), base, path).await {
        Err(SavepointError::NoManifest { .. }) => {
            let existing = names(&**store, paths).await?;
            Err(SavepointError::Missing { name: name.to_string(), store: store.describe(), existing })
        }
        other => other,
    }
}

/// A savepoint's directory in whatever store.
pub async fn open_location(location: &str, options: &[(String, String)]) -> Result<RestorePoint, SavepointError> {
    // The journal keeps the location: it must mean the same for a process started in another directory.
    let location = match std::path::absolute(location) {
        Ok(path) if !location.contains(':') => path.display().to_string(),
        _ => location.to_string(),
    };
    let store = store::open(&location, options, 0)?;
    open_at(store, String::new(), format!("{location}/{MANIFEST}")).await
}

/// All savepoints of the job, by name. A damaged one is an error: silence would look like its deletion.
pub async fn list(store: &Arc<dyn Store>, paths: &JobPaths) -> Result<Vec<Savepoint>, SavepointError> {
    let mut all = Vec::new();
    for name in names(&**store, paths).await? {
        let point = open_named(store, paths, &name).await?;
        all.push(Savepoint { name, reference: point.reference, manifest: point.manifest });
    }
    Ok(all)
}

/// Takes a savepoint of the job's newest settled checkpoint, from any process: the job may run on beside it.
pub async fn create(store: &Arc<dyn Store>, paths: &JobPaths, name: &str) -> Result<Savepoint, SavepointError> {
    for _ in 0..CREATE_ATTEMPTS {
        let tail = read_tail(&**store, paths).await?;
        let summary = tail.as_ref().map(Tail::summary).ok_or(NotSavable::NoCheckpoint)?;
        let reference = savable(summary)?;
        match create_from(store, paths, name, reference).await {
            Err(SavepointError::ObjectMissing { .. }) if moved_on(store, paths, reference).await? => {}
            Err(SavepointError::Journal(JournalError::Store(e)))
                if e.is_not_found() && moved_on(store, paths, reference).await? => {}
            other => return other,
        }
    }
    Err(SavepointError::Outrun)
}

/// Takes a savepoint of one checkpoint, which must be settled and stay unretired meanwhile.
pub async fn create_from(
    store: &Arc<dyn Store>,
    paths: &JobPaths,
    name: &str,
    reference: &ManifestRef,
) -> Result<Savepoint, SavepointError> {
    check_name(name)?;
    let base = paths.savepoint(name);
    let path = resolve(&base, MANIFEST);
    let exists = || SavepointError::Exists { name: name.to_string() };
    match store.get(&path).await {
        Ok(_) => return Err(exists()),
        Err(e) if e.is_not_found() => {}
        Err(e) => return Err(e.into()),
    }
    let checkpoint = read_manifest(&**store, paths, reference).await?;
    let (manifest, copies) = copy_of(&checkpoint);
    let work = checkpoint.segments().zip(copies);
    stream::iter(work.map(Ok::<_, SavepointError>))
        .try_for_each_concurrent(COPIES_AT_ONCE, |(segment, copy)| copy_object(&**store, paths, &base, segment, copy))
        .await?;
    let bytes = Bytes::from(manifest.encode());
    // Last, and only once: whoever sees it sees all of it.
    match store.create(&path, bytes.clone()).await {
        Ok(Create::Created) => {}
        Err(e) if e.class != ErrorClass::Transient => return Err(e.into()),
        // Somebody else's, or ours with the reply lost: what stands there tells.
        Ok(Create::Exists) | Err(_) if store.get(&path).await? == bytes => {}
        Ok(Create::Exists) | Err(_) => return Err(exists()),
    }
    let point = open_at(store.clone(), base, path).await?;
    Ok(Savepoint { name: name.to_string(), reference: point.reference, manifest: point.manifest })
}

/// Deletes a savepoint, unless the job may come back to it.
pub async fn delete(store: &Arc<dyn Store>, paths: &JobPaths, name: &str) -> Result<(), SavepointError> {
    check_name(name)?;
    let base = paths.savepoint(name);
    let path = resolve(&base, MANIFEST);
    let tail = read_tail(&**store, paths).await?;
    if tail.is_some_and(|t| is_referenced(t.summary(), &path)) {
        return Err(SavepointError::Referenced { name: name.to_string() });
    }
    let objects = store.list(&base, None).await?;
    if objects.is_empty() {
        let existing = names(&**store, paths).await?;
        return Err(SavepointError::Missing { name: name.to_string(), store: store.describe(), existing });
    }
    // The manifest first: a savepoint that can be listed is whole, also while this goes on.
    store.delete(&path).await?;
    for object in objects.iter().filter(|o| o.path != path) {
        store.delete(&object.path).await?;
    }
    Ok(())
}

async fn moved_on(store: &Arc<dyn Store>, paths: &JobPaths, from: &ManifestRef) -> Result<bool, SavepointError> {
    let tail = read_tail(&**store, paths).await?;
    Ok(tail.is_some_and(|t| !t.summary().checkpoints.contains(from)))
}

async fn copy_object(
    store: &dyn Store,
    paths: &JobPaths,
    base: &str,
    segment: &SegmentRef,
    copy: Copy,
) -> Result<(), SavepointError> {
    let bytes = read_object(store, &paths.resolve(&copy.from), segment).await?;
    let target = resolve(base, &copy.to);
    store.put(&target, bytes).await?;
    // Read back: what is promised to a user was seen in the store.
    read_object(store, &target, segment).await.map(|_| ())
}

async fn read_object(store: &dyn Store, path: &str, segment: &SegmentRef) -> Result<Bytes, SavepointError> {
    let bytes = match store.get(path).await {
        Ok(bytes) => bytes,
        Err(e) if e.is_not_found() => return Err(SavepointError::ObjectMissing { path: path.to_string() }),
        Err(e) => return Err(e.into()),
    };
    let found_length = bytes.len() as u64;
    if found_length != segment.length || !segment.checksum.matches(&bytes) {
        return Err(SavepointError::Damaged {
            path: path.to_string(),
            expected: segment.checksum,
            length: segment.length,
            found: segment.checksum.same_kind(&bytes),
            found_length,
        });
    }
    Ok(bytes)
}

async fn open_at(store: Arc<dyn Store>, base: String, name: String) -> Result<RestorePoint, SavepointError> {
    let path = resolve(&base, MANIFEST);
    let bytes = match store.get(&path).await {
        Ok(bytes) => bytes,
        Err(e) if e.is_not_found() => {
            let location = if base.is_empty() { name } else { base };
            return Err(SavepointError::NoManifest { location, store: store.describe() });
        }
        Err(e) => return Err(e.into()),
    };
    let manifest =
        Manifest::decode(&bytes).map_err(|source| SavepointError::Manifest { path: path.clone(), source })?;
    if manifest.kind != ManifestKind::Savepoint {
        return Err(SavepointError::NotASavepoint { path });
    }
    let reference = ManifestRef {
        epoch: manifest.epoch,
        path: name,
        checksum: Checksum::sha256(&bytes),
        made_by: manifest.fence,
        savepoint: true,
    };
    Ok(RestorePoint { reference, manifest, store, base })
}

/// Names with a manifest, in order.
async fn names(store: &dyn Store, paths: &JobPaths) -> Result<Vec<String>, SavepointError> {
    let directory = format!("{}/", paths.savepoints());
    let listed = store.list(&paths.savepoints(), None).await?;
    let names = listed.iter().filter_map(|l| l.path.strip_prefix(&directory)?.strip_suffix("/manifest"));
    let mut names: Vec<_> = names.map(str::to_string).collect();
    names.sort();
    Ok(names)
}

fn resolve(base: &str, relative: &str) -> String {
    if base.is_empty() { relative.to_string() } else { format!("{base}/{relative}") }
}
