use super::*;
use crate::clock::Clock;
use crate::journal::tests::{full_checkpoint, manifest, request};
use crate::journal::{JobJournal, Started};
use crate::store::ErrorClass;
use crate::store::fault::{Fault, Faulty};
use crate::store::local::LocalStore;
use crate::store::remote::ObjectBacked;
use sluice_core::id::{Epoch, JobUid};
use sluice_core::journal::{Commit, Restore, RunChoice, Then};
use sluice_core::time::ProcTime;

fn paths() -> JobPaths {
    JobPaths::new("default", "job", &JobUid("u".into()))
}

fn memory() -> (Arc<Faulty>, Arc<dyn Store>) {
    let faulty = Faulty::new(Arc::new(ObjectBacked::memory()));
    (faulty.clone(), faulty)
}

async fn start(store: &Arc<dyn Store>, writer: &str, restore: Restore) -> Started {
    let mut request = request(writer, RunChoice::Next);
    request.restore = restore;
    JobJournal::start(store.clone(), paths(), request, Clock::manual(ProcTime(0))).await.unwrap()
}

#[tokio::test]
async fn a_savepoint_outlives_the_checkpoints_it_was_made_of() {
    let (_, store) = memory();
    assert!(matches!(create(&store, &paths(), "a").await, Err(SavepointError::NotSavable(NotSavable::NoCheckpoint))));
    let mut journal = start(&store, "a", Restore::Latest).await.journal;
    let base = full_checkpoint(&mut journal, 1).await;
    let made = manifest(&journal, 2, Some(&base)).await;
    let done = journal.checkpoint(&made, None, Then::Run, Commit::Now).await.unwrap();
    assert!(matches!(
        create(&store, &paths(), "a").await,
        Err(SavepointError::NotSavable(NotSavable::Unsettled { .. }))
    ));
    journal.committed(done.permit.unwrap()).await.unwrap();
    let savepoint = create(&store, &paths(), "a").await.unwrap();
    assert_eq!(savepoint.manifest.segments().count(), 2);

    for epoch in 3..6 {
        full_checkpoint(&mut journal, epoch).await;
    }
    journal.retire(1).await.unwrap().unwrap().run().await.unwrap();
    let point = open_named(&store, &paths(), "a").await.unwrap();
    assert_eq!(point.verify().await.unwrap(), Verified { objects: 2, bytes: 18 });
    let newest = point.manifest.segments().last().unwrap();
    assert_eq!(point.read(newest).await.unwrap(), "rows of 2");
    assert_eq!(list(&store, &paths()).await.unwrap(), [savepoint]);
}

#[tokio::test]
async fn a_job_restored_from_a_savepoint_comes_back_to_it_until_it_has_a_checkpoint() {
    let (_, store) = memory();
    let mut journal = start(&store, "a", Restore::Latest).await.journal;
    full_checkpoint(&mut journal, 1).await;
    create(&store, &paths(), "a").await.unwrap();
    full_checkpoint(&mut journal, 2).await;
    let source = RestoreSource::parse("a").unwrap();
    let point = open_source(&store, &paths(), &source, &[]).await.unwrap().unwrap();
    assert!(point.needs_full_snapshot());
    let started = start(&store, "b", Restore::Savepoint(point.reference.clone())).await;
    assert_eq!(started.restored_from, Some(point.reference.clone()));
    assert_eq!(started.first_epoch, Epoch(3), "a savepoint's epoch is only its name");

    // It dies before its first checkpoint: the next one comes back to the savepoint, which therefore stays.
    let started = start(&store, "c", Restore::Latest).await;
    let again = open_reference(&store, &paths(), started.restored_from.as_ref().unwrap(), &[]).await.unwrap();
    assert_eq!(again.manifest, point.manifest);
    assert!(matches!(delete(&store, &paths(), "a").await, Err(SavepointError::Referenced { .. })));
    let mut journal = started.journal;
    full_checkpoint(&mut journal, 3).await;
    assert!(matches!(delete(&store, &paths(), "a").await, Err(SavepointError::Referenced { .. })), "still pinned");
    journal.stable().await.unwrap();
    delete(&store, &paths(), "a").await.unwrap();
    assert!(store.list(&paths().savepoints(), None).await.unwrap().is_empty());
    let missing = open_named(&store, &paths(), "a").await.unwrap_err().to_string();
    assert_eq!(missing, "there is no savepoint 'a' in memory:; there are none");
    let tail = read_tail(&*store, &paths()).await.unwrap().unwrap();
    let resume = tail.summary().resume.clone().unwrap();
    open_reference(&store, &paths(), &resume, &[]).await.unwrap().verify().await.unwrap();
}

#[tokio::test]
async fn a_savepoint_can_be_moved_and_opened_by_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(LocalStore::new(dir.path().join("state")));
    let mut journal = start(&store, "a", Restore::Latest).await.journal;
    full_checkpoint(&mut journal, 1).await;
    create(&store, &paths(), "a").await.unwrap();
    let moved = dir.path().join("elsewhere");
    std::fs::rename(store.local_file(&paths().savepoint("a")).unwrap(), &moved).unwrap();
    let source = RestoreSource::parse(&format!("{}/", moved.display())).unwrap();
    let point = open_source(&store, &paths(), &source, &[]).await.unwrap().unwrap();
    assert_eq!(point.verify().await.unwrap().objects, 1);
    // The journal's reference finds it again after a crash.
    let again = open_reference(&store, &paths(), &point.reference, &[]).await.unwrap();
    assert_eq!(again.manifest, point.manifest);
    let nowhere = open_location(&format!("{}/no", dir.path().display()), &[]).await.unwrap_err().to_string();
    assert!(nowhere.contains("is no savepoint: it has no manifest"), "{nowhere}");
}

#[tokio::test]
async fn damage_is_found_before_and_after() {
    let (faulty, store) = memory();
    let mut journal = start(&store, "a", Restore::Latest).await.journal;
    let made = full_checkpoint(&mut journal, 1).await;
    for fault in [Fault::Flipped, Fault::Truncated] {
        faulty.fail("read", "savepoints/a/objects", fault, 1);
        let refused = create(&store, &paths(), "a").await.unwrap_err();
        assert!(matches!(refused, SavepointError::Damaged { .. }), "{refused}");
        assert!(list(&store, &paths()).await.unwrap().is_empty(), "no manifest, no savepoint");
    }
    faulty.fail("create", "savepoints/a/manifest", Fault::LostReply, 1);
    create(&store, &paths(), "a").await.unwrap();
    assert!(matches!(create(&store, &paths(), "a").await, Err(SavepointError::Exists { .. })));
    let point = open_named(&store, &paths(), "a").await.unwrap();
    for fault in [Fault::Flipped, Fault::Truncated] {
        faulty.fail("read", "objects", fault, 1);
        assert!(matches!(point.verify().await, Err(SavepointError::Damaged { .. })));
        faulty.fail("read", "savepoints/a/manifest", fault, 1);
        assert!(matches!(open_named(&store, &paths(), "a").await, Err(SavepointError::Manifest { .. })));
    }
    store.delete(&point.path(point.manifest.segments().next().unwrap())).await.unwrap();
    assert!(matches!(point.verify().await, Err(SavepointError::ObjectMissing { .. })));
    // A checkpoint's manifest under a savepoint's name is not taken for one.
    store.put("x/manifest", made.encode().into()).await.unwrap();
    let mistaken = open_at(store.clone(), "x".into(), "x/manifest".into()).await.unwrap_err();
    assert!(matches!(mistaken, SavepointError::NotASavepoint { .. }));
}

#[tokio::test]
async fn a_failed_copy_leaves_nothing_that_looks_like_a_savepoint() {
    let (faulty, store) = memory();
    let mut journal = start(&store, "a", Restore::Latest).await.journal;
    full_checkpoint(&mut journal, 1).await;
    faulty.fail("write", "savepoints", Fault::Full, 1);
    let full = create(&store, &paths(), "a").await.unwrap_err();
    assert!(matches!(&full, SavepointError::Store(e) if e.class == ErrorClass::Full), "{full}");
    faulty.fail("create", "savepoints", Fault::Full, 1);
    assert!(create(&store, &paths(), "a").await.is_err());
    assert!(list(&store, &paths()).await.unwrap().is_empty());
    delete(&store, &paths(), "a").await.unwrap();
    assert!(store.list(&paths().savepoints(), None).await.unwrap().is_empty(), "leftovers can be removed by name");
}
