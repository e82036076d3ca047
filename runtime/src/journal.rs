//! The driver of the job journal: does what `sluice_core::journal` decides, and nothing else.
//!
//! One [`JobJournal`] per process and job; it appends one record at a time. The order of a run:
//!
//! ```text
//! JobJournal::start ─▶ Started { restored_from, must_settle, … }
//!   for permit in must_settle: sink.settle(manifest of permit) ─▶ journal.committed(permit)
//!   upload segments ─▶ journal.checkpoint(&manifest, …) ─▶ Some(permit) ─▶ settle ─▶ journal.committed(permit)
//!   journal.retire(n) ─▶ Some(collection) ─▶ collection.run()      (beside the processing)
//!   journal.checkpoint(…, Then::Stop, …) ─▶ settle ─▶ journal.committed(permit) ─▶ journal.stopped(…)
//! ```
//!
//! After [`JournalError::Fenced`] or [`JournalError::InDoubt`] the process has no say any more: it stops its tasks and
//! starts over (its own run only after the tail has stood still) or exits.

pub mod collect;
pub mod job;

#[cfg(test)]
pub(crate) mod tests;

use crate::clock::Clock;
use crate::store::retry::{Budget, Jitter};
use crate::store::{Create, ErrorClass, Store, StoreError};
use bytes::Bytes;
use collect::Collection;
use sluice_core::checksum::Checksum;
use sluice_core::id::{Epoch, Fence, WriterId};
use sluice_core::journal::append::{after_create, after_read};
use sluice_core::journal::start;
use sluice_core::journal::summary::Stopping;
use sluice_core::journal::{
    Author, Commit, CommitPermit, Confirmed, CreateAnswer, Draft, Fenced, GrammarError, Landed, ManifestRef,
    OperationId, Permits, Record, RecordError, Slot, StartRefusal, StartRequest, Step, Summary, Tail, Then, retention,
};
use sluice_core::manifest::{Manifest, ManifestError, ManifestKind, Totals};
use sluice_core::paths::{JobPaths, ObjectName};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process has the job. Nothing of this one's counts any more.
    #[error(transparent)]
    Fenced(#[from] Fenced),
    #[error(transparent)]
    Refused(#[from] StartRefusal),
    /// The fate of the last record is not known to this process, because it was interrupted while it waited for it.
    #[error("an earlier record of this process may or may not have been written; only a new start can tell")]
    InDoubt,
    #[error("failed to read the journal in {store}: {source}")]
    Record {
        store: String,
        #[source]
        source: RecordError,
    },
    #[error("the state does not allow this record: {0}")]
    Grammar(#[from] GrammarError),
    #[error("failed to read manifest '{path}': {source}")]
    Manifest {
        path: String,
        #[source]
        source: ManifestError,
    },
    #[error("manifest '{path}' is damaged: its checksum should be {expected}, but is {found}")]
    OtherManifest { path: String, expected: Checksum, found: Checksum },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The journal in the hands of a live incarnation.
#[derive(Debug)]
pub struct JobJournal {
    sender: Sender,
    author: Author,
    status: Status,
}

#[derive(Debug, Clone)]
enum Status {
    Idle,
    /// A record is on its way; stays if the caller gave up waiting.
    Sending,
    Fenced(Fenced),
}

/// Brings one draft into its slot.
#[derive(Debug)]
struct Sender {
    store: Arc<dyn Store>,
    paths: JobPaths,
    clock: Clock,
    jitter: Jitter,
}

/// What a start has found and may do.
#[derive(Debug)]
pub struct Started {
    pub journal: JobJournal,
    /// To restore from before the first row; `None`: from nothing.
    pub restored_from: Option<ManifestRef>,
    /// To be settled in order, before anything else, each from its manifest in its layout.
    pub must_settle: Vec<CommitPermit>,
    /// Held output that this start gives up: sinks may discard its staging.
    pub dropped: Vec<ManifestRef>,
    /// The run was stopping: settle, append `stopped`, do not run.
    pub stopping: Option<Stopping>,
    /// The lowest epoch that a first checkpoint may have.
    pub first_epoch: Epoch,
}

/// What became of a checkpoint.
#[derive(Debug)]
pub struct Checkpointed {
    pub manifest: ManifestRef,
    /// To settle with; `None` for held output or none.
    pub permit: Option<CommitPermit>,
}

/// A lost listing race is repeated this often: each time the tail had been deleted between LIST and GET.
const READ_ATTEMPTS: usize = 16;

/// The state of the job as its highest slot says it, without starting anything: one LIST, one GET.
pub async fn read_tail(store: &dyn Store, paths: &JobPaths) -> Result<Option<Tail>, JournalError> {
    let mut missing = None;
    for _ in 0..READ_ATTEMPTS {
        let Some(slot) = highest(store, paths, None).await? else { return Ok(None) };
        match store.get(&paths.slot(slot)).await {
            Ok(bytes) => {
                let decoded = Tail::decode(slot, &bytes);
                return decoded.map(Some).map_err(|source| JournalError::Record { store: store.describe(), source });
            }
            // Collected while we looked: there are higher ones now.
            Err(e) if e.is_not_found() => missing = Some(e),
            Err(e) => return Err(e.into()),
        }
    }
    Err(missing.map_or(JournalError::InDoubt, JournalError::Store))
}

async fn highest(store: &dyn Store, paths: &JobPaths, after: Option<Slot>) -> Result<Option<Slot>, StoreError> {
    let after = after.map(|slot| paths.slot(slot));
    let listed = store.list(&paths.journal(), after.as_deref()).await?;
    Ok(listed.iter().filter_map(|l| JobPaths::parse_slot(&l.path)).max())
}

/// The manifest behind a reference, with its checksum compared. Savepoints have a reader of their own.
pub async fn read_manifest(
    store: &dyn Store,
    paths: &JobPaths,
    reference: &ManifestRef,
) -> Result<Manifest, JournalError> {
    let path = if reference.savepoint { reference.path.clone() } else { paths.resolve(&reference.path) };
    let bytes = store.get(&path).await?;
    if !reference.checksum.matches(&bytes) {
        let found = reference.checksum.same_kind(&bytes);
        return Err(JournalError::OtherManifest { path, expected: reference.checksum, found });
    }
    Manifest::decode(&bytes).map_err(|source| JournalError::Manifest { path, source })
}

impl JobJournal {
    /// Starts an incarnation: decides on the tail, appends its `Generation`, looks whether it is the last. A lost race is
    /// decided again on the new tail, until started or refused.
    pub async fn start(
        store: Arc<dyn Store>,
        paths: JobPaths,
        request: StartRequest,
        clock: Clock,
    ) -> Result<Started, JournalError> {
        // The writer's id is random already.
        let seed = request.writer.0.bytes().fold(0u64, |seed, b| seed.rotate_left(7) ^ u64::from(b));
        let sender = Sender { store, paths, clock, jitter: Jitter::new(seed) };
        let mut lost = 0;
        loop {
            let tail = read_tail(&*sender.store, &sender.paths).await?;
            let draft = start::decide(tail.as_ref(), &request, sender.clock.now())?;
            let point = draft.record().summary.resume.clone();
            let dropped = tail.map_or_else(Vec::new, |t| t.summary().dropped_by(point.as_ref()));
            match sender.send(draft).await {
                Ok((author, permits)) => {
                    let journal = Self { sender, author, status: Status::Idle };
                    return Ok(journal.started(permits, dropped));
                }
                Err(JournalError::Fenced(_)) => {}
                Err(e) => return Err(e),
            }
            // Two starters that fence each other out must not go on in step.
            tokio::time::sleep(sender.jitter.wait(BETWEEN_STARTS, lost)).await;
            lost += 1;
        }
    }

    /// Makes `manifest` canonical: stores it and appends its `Checkpoint`. Every object that it names must be durable, and
    /// for [`Then::Stop`] verified, before. On [`ErrorClass::Full`] and [`ErrorClass::Permanent`] nothing was appended: the
    /// checkpoint is aborted and the journal can be used on.
    pub async fn checkpoint(
        &mut self,
        manifest: &Manifest,
        operation: Option<OperationId>,
        then: Then,
        commit: Commit,
    ) -> Result<Checkpointed, JournalError> {
        let name = self.object_name(manifest.epoch);
        self.check_own(manifest, &name)?;
        let bytes = manifest.encode();
        let reference = ManifestRef {
            epoch: manifest.epoch,
            path: name.manifest(),
            checksum: Checksum::sha256(&bytes),
            made_by: name.fence,
            savepoint: false,
        };
        let draft = self.author.checkpoint(reference.clone(), operation, then, commit, self.sender.clock.now())?;
        self.sender.store.put(&self.sender.paths.resolve(&reference.path), bytes.into()).await?;
        let permits = self.append(draft).await?;
        Ok(Checkpointed { manifest: reference, permit: permits.commits.into_iter().next() })
    }

    /// The effects that `permit` allowed are done.
    pub async fn committed(&mut self, permit: CommitPermit) -> Result<(), JournalError> {
        let draft = self.author.committed(&permit, self.sender.clock.now())?;
        self.append(draft).await.map(|_| ())
    }

    /// The run has given its evidence: pins are released, and what was held may be settled, in this order.
    pub async fn stable(&mut self) -> Result<Vec<CommitPermit>, JournalError> {
        let draft = self.author.stable(self.sender.clock.now())?;
        Ok(self.append(draft).await?.commits)
    }

    /// Ends the run at its resume point. Unsettled output stays for the next run to settle.
    pub async fn stopped(&mut self, operation: Option<OperationId>) -> Result<(), JournalError> {
        let draft = self.author.stopped(operation, self.sender.clock.now())?;
        self.append(draft).await.map(|_| ())
    }

    /// Retires all but the last `keep` checkpoints, if there are more, and says what may be deleted now. The deleting can
    /// go on beside the processing, and may be dropped at any point: the next one finds what is left.
    pub async fn retire(&mut self, keep: usize) -> Result<Option<Collection>, JournalError> {
        let Some(below) = retention::retire(self.author.summary(), keep) else { return Ok(None) };
        let draft = self.author.retired(below, self.sender.clock.now())?;
        let permits = self.append(draft).await?;
        let Sender { store, paths, clock, jitter: _ } = &self.sender;
        Ok(permits.delete.map(|permit| Collection::new(store.clone(), paths.clone(), clock.clone(), permit)))
    }

    /// Whether this process is still the last one, by a look at the store: before an external effect that cannot be fenced.
    pub async fn is_last(&mut self) -> Result<bool, JournalError> {
        self.usable()?;
        let slot = self.author.slot();
        match highest(&*self.sender.store, &self.sender.paths, Some(slot)).await? {
            None => Ok(true),
            Some(later) => {
                self.status = Status::Fenced(Fenced { slot: later, by: None });
                Ok(false)
            }
        }
    }

    /// As of the last record of this process.
    pub fn summary(&self) -> &Summary {
        self.author.summary()
    }

    pub fn fence(&self) -> Fence {
        self.author.fence()
    }

    pub fn writer(&self) -> &WriterId {
        self.author.writer()
    }

    pub fn paths(&self) -> &JobPaths {
        &self.sender.paths
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        &self.sender.store
    }

    /// Names the objects that this process writes for `epoch`.
    pub fn object_name(&self, epoch: Epoch) -> ObjectName {
        ObjectName { fence: self.fence(), writer: self.writer().clone(), epoch }
    }

    /// A manifest with this process' identity and nothing in it yet.
    pub fn new_manifest(&self, epoch: Epoch) -> Manifest {
        let summary = self.summary();
        Manifest {
            job: summary.job.clone(),
            kind: ManifestKind::Checkpoint,
            fence: self.fence(),
            writer: self.writer().clone(),
            epoch,
            key_groups: summary.key_groups,
            hash_id: summary.hash_id.clone(),
            operators: Vec::new(),
            plan: Vec::new(),
            finished: false,
            totals: Totals::default(),
        }
    }

    fn started(self, permits: Permits, dropped: Vec<ManifestRef>) -> Started {
        let summary = self.summary();
        Started {
            restored_from: summary.resume.clone(),
            stopping: summary.stopping.clone(),
            first_epoch: summary.last_epoch.next(),
            must_settle: permits.commits,
            dropped,
            journal: self,
        }
    }

    fn check_own(&self, manifest: &Manifest, name: &ObjectName) -> Result<(), JournalError> {
        let failed = |source| JournalError::Manifest { path: name.manifest(), source };
        let summary = self.summary();
        let own = manifest.fence == name.fence
            && manifest.writer == name.writer
            && manifest.job == summary.job
            && manifest.key_groups == summary.key_groups
            && manifest.hash_id == summary.hash_id
            && manifest.kind == ManifestKind::Checkpoint;
        if !own {
            let message = "it is not of this process and job".to_string();
            return Err(failed(ManifestError::Inconsistent { epoch: manifest.epoch, message }));
        }
        manifest.check().map_err(failed)
    }

    fn usable(&self) -> Result<(), JournalError> {
        match &self.status {
            Status::Idle => Ok(()),
            Status::Sending => Err(JournalError::InDoubt),
            Status::Fenced(fenced) => Err(fenced.clone().into()),
        }
    }

    /// A call that is dropped half-way leaves `Sending` behind: nothing may be decided before its fate is known.
    async fn append(&mut self, draft: Draft) -> Result<Permits, JournalError> {
        self.usable()?;
        self.status = Status::Sending;
        match self.sender.send(draft).await {
            Ok((author, permits)) => {
                self.author = author;
                self.status = Status::Idle;
                Ok(permits)
            }
            Err(JournalError::Fenced(fenced)) => {
                self.status = Status::Fenced(fenced.clone());
                Err(fenced.into())
            }
            // Nothing was written: the sender returns a store's error only when it is sure.
            Err(JournalError::Store(e)) => {
                self.status = Status::Idle;
                Err(e.into())
            }
            Err(e) => Err(e),
        }
    }
}

/// Between attempts to send a record: as long as the store is away, for nothing else may be decided.
const BETWEEN_SENDS: Budget =
    Budget { attempts: u32::MAX, first_wait: Duration::from_millis(50), longest_wait: Duration::from_secs(5) };
const BETWEEN_STARTS: Budget =
    Budget { attempts: u32::MAX, first_wait: Duration::from_millis(20), longest_wait: Duration::from_secs(2) };

impl Sender {
    /// The same bytes until their fate is known; then the tail check. `Store` errors are returned only while it is certain
    /// that the record was not written.
    async fn send(&self, draft: Draft) -> Result<(Author, Permits), JournalError> {
        let bytes = Bytes::from(draft.record().encode());
        let checksum = Record::checksum(&bytes);
        let landed = self.land(draft, &bytes).await?;
        let confirmed = self.confirm(landed).await?;
        Ok(confirmed.take_up(checksum))
    }

    async fn land(&self, mut draft: Draft, bytes: &Bytes) -> Result<Landed, JournalError> {
        let slot = draft.record().slot;
        let path = self.paths.slot(slot);
        let mut attempt = 0;
        let mut maybe_written = false;
        loop {
            let answer = match self.store.create(&path, bytes.clone()).await {
                Ok(Create::Created) => CreateAnswer::Created,
                Ok(Create::Exists) => CreateAnswer::Exists,
                Err(e) if !maybe_written && e.class != ErrorClass::Transient => return Err(e.into()),
                Err(e) => {
                    tracing::warn!(slot = slot.0, attempt, error = %e, "the fate of a journal record is open, sending it again");
                    maybe_written = true;
                    CreateAnswer::Unknown
                }
            };
            let mut step = after_create(draft, answer);
            if let Step::ReadSlot(read) = step {
                // From here on it is known to be there, or to have been: a failure to read is not a failure to write.
                maybe_written = true;
                step = after_read(read, self.read_slot(slot, &path).await?.as_ref());
            }
            match step {
                Step::Landed(landed) => return Ok(landed),
                Step::Lost(fenced) => return Err(fenced.into()),
                Step::SendAgain(again) | Step::ReadSlot(again) => draft = again,
            }
            tokio::time::sleep(self.jitter.wait(BETWEEN_SENDS, attempt)).await;
            attempt += 1;
        }
    }

    async fn read_slot(&self, slot: Slot, path: &str) -> Result<Option<Record>, JournalError> {
        let mut attempt = 0;
        loop {
            match self.store.get(path).await {
                Ok(bytes) => {
                    let decoded = Record::decode(slot, &bytes);
                    return decoded
                        .map(Some)
                        .map_err(|source| JournalError::Record { store: self.store.describe(), source });
                }
                Err(e) if e.is_not_found() => return Ok(None),
                Err(e) => {
                    tracing::warn!(slot = slot.0, attempt, error = %e, "failed to read a journal record, trying again");
                }
            }
            tokio::time::sleep(self.jitter.wait(BETWEEN_SENDS, attempt)).await;
            attempt += 1;
        }
    }

    async fn confirm(&self, landed: Landed) -> Result<Confirmed, JournalError> {
        if !landed.needs_tail_check() {
            return Ok(landed.confirm(None)?);
        }
        let slot = landed.record().slot;
        let mut attempt = 0;
        loop {
            match highest(&*self.store, &self.paths, Some(slot)).await {
                Ok(later) => return Ok(landed.confirm(later)?),
                Err(e) => {
                    tracing::warn!(slot = slot.0, attempt, error = %e, "failed to list the journal, trying again");
                }
            }
            tokio::time::sleep(self.jitter.wait(BETWEEN_SENDS, attempt)).await;
            attempt += 1;
        }
    }
}
