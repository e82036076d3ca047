use super::job::{Found, claim, find};
use super::*;
use crate::store::fault::{Fault, Faulty};
use crate::store::local::LocalStore;
use crate::store::remote::ObjectBacked;
use sluice_core::id::{JobUid, OperatorId, Run};
use sluice_core::journal::{Expectation, Restore, RunChoice};
use sluice_core::manifest::{OperatorState, SegmentRef};
use sluice_core::time::ProcTime;

fn paths() -> JobPaths {
    JobPaths::new("default", "job", &JobUid("u".into()))
}

pub(crate) fn request(writer: &str, run: RunChoice) -> StartRequest {
    StartRequest {
        job: JobUid("u".into()),
        writer: WriterId(writer.repeat(32)),
        run,
        operation: None,
        expectation: Expectation::Any,
        restore: Restore::Latest,
        layout: Vec::new(),
        key_groups: None,
        hash_id: sluice_core::hash::HASH_ID.into(),
        must_wait: false,
    }
}

async fn start(store: &Arc<dyn Store>, writer: &str) -> Result<Started, JournalError> {
    start_run(store, writer, RunChoice::Next).await
}

async fn start_run(store: &Arc<dyn Store>, writer: &str, run: RunChoice) -> Result<Started, JournalError> {
    JobJournal::start(store.clone(), paths(), request(writer, run), Clock::manual(ProcTime(1_000))).await
}

/// Uploads one segment, and a manifest that names it and those of `base`.
pub(crate) async fn manifest(journal: &JobJournal, epoch: u64, base: Option<&Manifest>) -> Manifest {
    let id = OperatorId("id1:aa".into());
    let name = journal.object_name(Epoch(epoch));
    let bytes = Bytes::from(format!("rows of {epoch}"));
    let path = name.segment(&id, 0, 0);
    journal.store().put(&journal.paths().resolve(&path), bytes.clone()).await.unwrap();
    let mut segments = base.map_or_else(Vec::new, |m| m.operators[0].segments.clone());
    segments.push(SegmentRef {
        path,
        length: bytes.len() as u64,
        checksum: Checksum::crc32(&bytes),
        operator: id.clone(),
        epoch: Epoch(epoch),
        key_groups: 0..128,
        rows: 1,
        tombstones: 0,
        full: base.is_none(),
    });
    let state =
        OperatorState { id, parallelism: 1, watermarks: vec![], segments, splits: vec![], sink: None, ended: false };
    let mut manifest = journal.new_manifest(Epoch(epoch));
    manifest.operators.push(state);
    manifest.totals = manifest.sum();
    manifest
}

pub(crate) async fn full_checkpoint(journal: &mut JobJournal, epoch: u64) -> Manifest {
    let made = manifest(journal, epoch, None).await;
    let done = journal.checkpoint(&made, None, Then::Run, Commit::Now).await.unwrap();
    journal.committed(done.permit.unwrap()).await.unwrap();
    made
}

fn memory() -> (Arc<Faulty>, Arc<dyn Store>) {
    let faulty = Faulty::new(Arc::new(ObjectBacked::memory()));
    (faulty.clone(), faulty)
}

#[tokio::test]
async fn a_run_goes_on_where_the_last_one_was() {
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(LocalStore::new(dir.path().into()));
    let Started { mut journal, restored_from, first_epoch, .. } = start(&store, "a").await.unwrap();
    assert_eq!((restored_from, first_epoch), (None, Epoch(1)));
    full_checkpoint(&mut journal, 1).await;
    let made = manifest(&journal, 2, None).await;
    let done = journal.checkpoint(&made, None, Then::Run, Commit::Now).await.unwrap();
    drop(journal);

    let started = start(&store, "b").await.unwrap();
    assert_eq!(started.restored_from, Some(done.manifest.clone()));
    assert_eq!(started.must_settle.len(), 1);
    assert_eq!(started.first_epoch, Epoch(3));
    assert_eq!(read_manifest(&*store, &paths(), &done.manifest).await.unwrap(), made);
    let mut journal = started.journal;
    for permit in started.must_settle {
        journal.committed(permit).await.unwrap();
    }
    journal.stopped(None).await.unwrap();
    let tail = read_tail(&*store, &paths()).await.unwrap().unwrap();
    assert_eq!(tail.summary().stopped.as_ref().unwrap().epoch, Some(Epoch(2)));
    let refused = start_run(&store, "c", RunChoice::Exactly(Run(2))).await.unwrap_err();
    assert!(matches!(refused, JournalError::Refused(StartRefusal::RunStopped { .. })), "{refused}");
}

#[tokio::test]
async fn the_older_process_is_fenced_at_its_next_record() {
    let (_, store) = memory();
    let mut old = start(&store, "a").await.unwrap().journal;
    full_checkpoint(&mut old, 1).await;
    let mut new = start(&store, "b").await.unwrap().journal;
    let made = manifest(&old, 2, None).await;
    let fenced = old.checkpoint(&made, None, Then::Run, Commit::Now).await.unwrap_err();
    assert!(fenced.to_string().contains("generation (2, 1)"), "{fenced}");
    assert!(matches!(old.retire(1).await, Ok(None) | Err(JournalError::Fenced(_))));
    assert!(matches!(old.stable().await, Err(JournalError::Fenced(_))), "for good");
    assert!(new.is_last().await.unwrap());
    full_checkpoint(&mut new, 2).await;
}

#[tokio::test(start_paused = true)]
async fn lost_replies_and_conflicts_do_not_lose_a_slot() {
    for fault in [Fault::LostReply, Fault::TimedOut, Fault::Conflict] {
        let (faulty, store) = memory();
        faulty.fail("create", "journal/", fault, 3);
        let mut journal = start(&store, "a").await.unwrap().journal;
        faulty.fail("create", "journal/", fault, 5);
        faulty.fail("read", "journal/", Fault::TimedOut, 2);
        faulty.fail("list", "journal", Fault::TimedOut, 2);
        let made = manifest(&journal, 1, None).await;
        let done = journal.checkpoint(&made, None, Then::Run, Commit::Now).await.unwrap();
        journal.committed(done.permit.unwrap()).await.unwrap();
        let slots = store.list(&paths().journal(), None).await.unwrap();
        assert_eq!(slots.len(), 3, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_create_that_lands_late_is_found_to_be_ones_own() {
    let (faulty, store) = memory();
    let mut journal = start(&store, "a").await.unwrap().journal;
    let made = manifest(&journal, 1, None).await;
    faulty.fail("create", "journal/", Fault::Late, 1);
    let done = journal.checkpoint(&made, None, Then::Run, Commit::Now).await.unwrap();
    assert_eq!(faulty.deliver().await, [Create::Exists], "the late one finds the slot taken, by the same bytes");
    journal.committed(done.permit.unwrap()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_append_decides_nothing_more() {
    let (faulty, store) = memory();
    let mut journal = start(&store, "a").await.unwrap().journal;
    let made = manifest(&journal, 1, None).await;
    faulty.fail("create", "journal/", Fault::Late, usize::MAX);
    let waiting = journal.checkpoint(&made, None, Then::Run, Commit::Now);
    assert!(tokio::time::timeout(Duration::from_mins(1), waiting).await.is_err());
    assert!(matches!(journal.stopped(None).await, Err(JournalError::InDoubt)));
    assert!(matches!(journal.checkpoint(&made, None, Then::Run, Commit::Now).await, Err(JournalError::InDoubt)));
    // It lands after all: the epoch is canonical though its maker had given up, and the next one settles it.
    assert_eq!(faulty.deliver().await[0], Create::Created);
    let healthy: Arc<dyn Store> = Faulty::new(store.clone());
    let mut request = request("b", RunChoice::Next);
    request.expectation = Expectation::AtLeast { run: Run(1), epoch: Epoch(1) };
    let tail = read_tail(&*healthy, &paths()).await.unwrap().unwrap();
    assert_eq!(tail.summary().unsettled.len(), 1);
    assert!(start::decide(Some(&tail), &request, ProcTime(0)).is_ok());
}

#[tokio::test]
async fn a_full_disk_aborts_the_checkpoint_and_not_the_job() {
    let (faulty, store) = memory();
    let mut journal = start(&store, "a").await.unwrap().journal;
    let made = manifest(&journal, 1, None).await;
    for path in ["manifest", "journal/"] {
        faulty.fail(if path == "manifest" { "write" } else { "create" }, path, Fault::Full, 1);
        let error = journal.checkpoint(&made, None, Then::Run, Commit::Now).await.unwrap_err();
        assert!(matches!(&error, JournalError::Store(e) if e.class == ErrorClass::Full), "{error}");
    }
    full_checkpoint(&mut journal, 2).await;
}

#[tokio::test]
async fn damage_is_named_and_never_loaded() {
    let (faulty, store) = memory();
    let mut journal = start(&store, "a").await.unwrap().journal;
    full_checkpoint(&mut journal, 1).await;
    let reference = journal.summary().resume.clone().unwrap();
    for fault in [Fault::Flipped, Fault::Truncated] {
        faulty.fail("read", "manifest", fault, 1);
        let error = read_manifest(&*store, &paths(), &reference).await.unwrap_err();
        assert!(matches!(error, JournalError::OtherManifest { .. }), "{error}");
        faulty.fail("read", "journal/", fault, 1);
        let error = start(&store, "b").await.unwrap_err();
        assert!(error.to_string().contains("failed to read the journal in memory:"), "{error}");
    }
    let torn = Faulty::new(Arc::new(ObjectBacked::memory()));
    torn.put(&paths().slot(Slot(0)), Bytes::from("sluice-jour")).await.unwrap();
    let torn: Arc<dyn Store> = torn;
    assert!(
        matches!(start(&torn, "b").await, Err(JournalError::Record { .. })),
        "a torn slot stops, it does not start afresh"
    );
}

#[tokio::test]
async fn strays_below_the_tail_are_ignored_and_fence_their_writer() {
    let (_, store) = memory();
    let mut journal = start(&store, "a").await.unwrap().journal;
    for epoch in 1..=3 {
        full_checkpoint(&mut journal, epoch).await;
    }
    // All below the tail may be gone (collected); a writer that slept takes such a slot for free.
    let tail = journal.author.slot();
    for slot in 0..tail.0 {
        store.delete(&paths().slot(Slot(slot))).await.unwrap();
    }
    let draft = start::decide(None, &request("z", RunChoice::Next), ProcTime(0)).unwrap();
    let sender =
        Sender { store: store.clone(), paths: paths(), clock: Clock::manual(ProcTime(0)), jitter: Jitter::new(0) };
    assert!(matches!(sender.send(draft).await, Err(JournalError::Fenced(f)) if f.slot == tail));
    let started = start(&store, "b").await.unwrap();
    assert_eq!(started.first_epoch, Epoch(4));
}

#[tokio::test]
async fn collection_removes_garbage_and_nothing_else() {
    let (faulty, store) = memory();
    let mut journal = start(&store, "a").await.unwrap().journal;
    full_checkpoint(&mut journal, 1).await;
    let base = full_checkpoint(&mut journal, 2).await;
    let aborted = manifest(&journal, 3, None).await;
    let made = manifest(&journal, 4, Some(&base)).await;
    let done = journal.checkpoint(&made, None, Then::Run, Commit::Now).await.unwrap();
    journal.committed(done.permit.unwrap()).await.unwrap();
    let in_flight = manifest(&journal, 5, None).await;
    let there = |path: &str| {
        let path = paths().resolve(path);
        let store = store.clone();
        async move { store.get(&path).await.is_ok() }
    };
    let segment = |m: &Manifest| m.operators[0].segments[0].path.clone();

    let collection = journal.retire(1).await.unwrap().unwrap();
    faulty.fail("read", "manifest", Fault::Flipped, 1);
    assert!(collection.run().await.is_err(), "what a manifest names that cannot be read is unknown");
    assert!(there(&segment(&aborted)).await);

    let Started { mut journal, .. } = start(&store, "b").await.unwrap();
    full_checkpoint(&mut journal, 6).await;
    full_checkpoint(&mut journal, 7).await;
    let collection = journal.retire(1).await.unwrap().unwrap();
    faulty.fail("delete", "checkpoints", Fault::Denied, 1);
    let first = collection.run().await.unwrap();
    assert_eq!(first.failed, 1);
    assert!(there(&segment(&base)).await, "epoch 4 is pinned, and refers to a segment of 2");
    assert!(!there(&segment(&aborted)).await);
    assert!(!there(&segment(&in_flight)).await, "its generation is dead");
    journal.stable().await.unwrap();
    full_checkpoint(&mut journal, 8).await;
    assert_eq!(journal.retire(1).await.unwrap().unwrap().run().await.unwrap().failed, 0);
    let left = store.list(&paths().checkpoints(), None).await.unwrap();
    assert_eq!(left.len(), 2, "one segment and one manifest: {left:?}");
    assert_eq!(journal.summary().checkpoints.len(), 1);
}

#[tokio::test]
async fn old_journal_slots_are_collected() {
    let (_, store) = memory();
    let clock = Clock::system();
    let started =
        JobJournal::start(store.clone(), paths(), request("a", RunChoice::Next), clock.clone()).await.unwrap();
    let mut journal = started.journal;
    for epoch in 1..=50 {
        full_checkpoint(&mut journal, epoch).await;
    }
    assert_eq!(journal.retire(1).await.unwrap().unwrap().run().await.unwrap().slots, 0, "younger than an hour");
    drop(journal);
    let later = Clock::manual(ProcTime(clock.now().0 + 4_000_000));
    let started = JobJournal::start(store.clone(), paths(), request("b", RunChoice::Next), later).await.unwrap();
    let mut journal = started.journal;
    full_checkpoint(&mut journal, 51).await;
    journal.stable().await.unwrap();
    journal.retire(1).await.unwrap().unwrap().run().await.unwrap();
    let slots = store.list(&paths().journal(), None).await.unwrap();
    assert_eq!(slots.len(), 64);
    drop(journal);
    assert_eq!(start(&store, "c").await.unwrap().first_epoch, Epoch(52));
}

/// Starts, makes a few checkpoints, is fenced or gives up, and starts again. Returns the epochs that it made.
async fn racer(store: Arc<dyn Store>, writer: &'static str, rounds: usize) -> Vec<u64> {
    let mut made = Vec::new();
    for round in 0..rounds {
        let Ok(started) = start(&store, writer).await else { continue };
        let mut journal = started.journal;
        for permit in started.must_settle {
            let _ = journal.committed(permit).await;
        }
        for _ in 0..4 {
            let epoch = journal.summary().last_epoch.0 + 1;
            // Nothing to upload: what races is the journal.
            let next = journal.new_manifest(Epoch(epoch));
            match journal.checkpoint(&next, None, Then::Run, Commit::Now).await {
                Ok(done) => {
                    made.push(epoch);
                    if journal.committed(done.permit.unwrap()).await.is_err() {
                        break;
                    }
                }
                Err(JournalError::Store(_)) => {}
                Err(_) => break,
            }
        }
        if round % 2 == 1
            && let Ok(Some(collection)) = journal.retire(2).await
        {
            let _ = collection.run().await;
        }
    }
    made
}

/// No epoch has two makers, and the slots are one unbroken chain of hashes; returns their number.
async fn check_race(store: &dyn Store, made: Vec<Vec<u64>>) -> u64 {
    let all: Vec<_> = made.into_iter().flatten().collect();
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len(), "an epoch has one maker: {all:?}");
    let slots = store.list(&paths().journal(), None).await.unwrap().len() as u64;
    let mut previous = None;
    let mut summary: Option<Summary> = None;
    for slot in 0..slots {
        let bytes = store.get(&paths().slot(Slot(slot))).await.unwrap();
        let record = Record::decode(Slot(slot), &bytes).unwrap();
        assert_eq!(record.previous, previous, "slot {slot}");
        let before = summary.unwrap_or_else(|| {
            let s = &record.summary;
            Summary::new(s.job.clone(), s.key_groups, s.hash_id.clone())
        });
        assert_eq!(before.after(&record.entry).as_ref(), Ok(&record.summary), "slot {slot}");
        previous = Some(Record::checksum(&bytes));
        summary = Some(record.summary);
    }
    slots
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn drivers_on_one_directory_never_share_a_slot() {
    let dir = tempfile::tempdir().unwrap();
    let racers = ["a", "b", "c"].map(|writer| {
        let store: Arc<dyn Store> = Arc::new(LocalStore::new(dir.path().into()));
        tokio::spawn(racer(store, writer, 6))
    });
    let made = futures::future::join_all(racers).await.into_iter().map(Result::unwrap).collect();
    assert!(check_race(&LocalStore::new(dir.path().into()), made).await > 18);
}

#[tokio::test(start_paused = true)]
async fn drivers_survive_a_store_that_fails_at_every_fifth_request() {
    for seed in 0..60 {
        let memory: Arc<dyn Store> = Arc::new(ObjectBacked::memory());
        let racers = ["a", "b", "c"].into_iter().enumerate().map(|(n, writer)| {
            let faulty = Faulty::new(memory.clone());
            faulty.chaos(seed * 3 + n as u64);
            async move {
                let made = racer(faulty.clone(), writer, 5).await;
                // Requests that were given up arrive at the very end: they must find their slots taken or be strays.
                faulty.deliver().await;
                made
            }
        });
        let made = futures::future::join_all(racers).await;
        assert!(check_race(&*memory, made).await > 5, "seed {seed}");
    }
}

#[tokio::test]
async fn the_first_start_claims_the_name() {
    let store = ObjectBacked::memory();
    assert_eq!(find(&store, "ns", "j").await.unwrap(), Found::Nothing);
    let uid = |text: &str| JobUid(text.into());
    assert_eq!(claim(&store, "ns", "j", uid("one")).await.unwrap(), uid("one"));
    assert_eq!(claim(&store, "ns", "j", uid("two")).await.unwrap(), uid("one"));
    assert_eq!(find(&store, "ns", "j").await.unwrap(), Found::Job(uid("one")));
    // State that nobody claimed here is not silently passed over.
    let foreign = JobPaths::new("ns", "k", &uid("theirs"));
    store.put(&foreign.slot(Slot(0)), Bytes::from("x")).await.unwrap();
    assert_eq!(find(&store, "ns", "k").await.unwrap(), Found::Unclaimed(vec![uid("theirs")]));
    store.put("ns/l/u/lock", Bytes::new()).await.unwrap();
    assert_eq!(find(&store, "ns", "l").await.unwrap(), Found::Nothing);
    let faulty = Faulty::new(Arc::new(ObjectBacked::memory()));
    faulty.fail("create", "job", Fault::LostReply, 1);
    assert_eq!(claim(&*faulty, "ns", "j", uid("one")).await.unwrap(), uid("one"));
    faulty.put("ns/m/job", Bytes::from("?")).await.unwrap();
    assert!(find(&*faulty, "ns", "m").await.unwrap_err().to_string().contains("does not say which job this is"));
}
