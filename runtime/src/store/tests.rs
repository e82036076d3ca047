#[cfg(feature = "aws")]
mod s3;

use super::fault::{Fault, Faulty};
use super::local::LocalStore;
use super::probe::{ProbeError, probe};
use super::remote::ObjectBacked;
use super::retry::{Budget, Jitter, Retrying};
use super::*;
use futures::future::join_all;
use sluice_core::id::JobUid;
use sluice_core::paths::JobPaths;
use std::time::Duration;

fn paths() -> JobPaths {
    JobPaths::new("default", "job", &JobUid("u".into()))
}

fn directory() -> (tempfile::TempDir, LocalStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::new(dir.path().join("state"));
    (dir, store)
}

fn names(mut listed: Vec<Listed>) -> Vec<String> {
    listed.sort_by(|a, b| a.path.cmp(&b.path));
    listed.into_iter().map(|l| l.path).collect()
}

/// What every store must do; also run against a real S3 server.
pub(crate) async fn conformance(store: &dyn Store) {
    assert!(store.list("a", None).await.unwrap().is_empty());
    assert!(store.get("a/x").await.unwrap_err().is_not_found());
    assert_eq!(store.create("a/x", Bytes::from("1")).await.unwrap(), Create::Created);
    assert_eq!(store.create("a/x", Bytes::from("2")).await.unwrap(), Create::Exists);
    assert_eq!(store.get("a/x").await.unwrap(), "1");
    store.put("a/x", Bytes::from("0123456789")).await.unwrap();
    assert_eq!(store.get_range("a/x", 2..5).await.unwrap(), "234");
    assert_eq!(store.get_range("a/x", 3..3).await.unwrap(), "");
    assert!(store.get_range("a/x", 5..11).await.is_err(), "shorter than asked for");
    store.put("a/b/y", Bytes::new()).await.unwrap();
    store.put("ab/z", Bytes::from("z")).await.unwrap();
    assert_eq!(names(store.list("a", None).await.unwrap()), ["a/b/y", "a/x"], "directories, not text prefixes");
    assert_eq!(names(store.list("a", Some("a/b/y")).await.unwrap()), ["a/x"]);
    assert_eq!(names(store.list("a", Some("a/x")).await.unwrap()), Vec::<String>::new());
    assert_eq!(store.directories("a").await.unwrap(), ["b"]);
    assert!(store.directories("nothing").await.unwrap().is_empty());
    store.delete("a/x").await.unwrap();
    store.delete("a/x").await.unwrap();
    assert!(store.get("a/x").await.unwrap_err().is_not_found());
    assert_eq!(store.create("a/x", Bytes::from("3")).await.unwrap(), Create::Created, "free again");
    probe(store, &paths(), "0").await.unwrap();
    assert!(store.list(&paths().probe("0"), None).await.unwrap().is_empty(), "a probe leaves nothing");
}

#[tokio::test]
async fn memory_and_directory_conform() {
    conformance(&ObjectBacked::memory()).await;
    let (_dir, store) = directory();
    conformance(&store).await;
}

#[tokio::test]
async fn exactly_one_of_many_creators_wins_in_a_directory() {
    let (dir, _) = directory();
    // Stores of their own, as in several processes.
    let stores: Vec<_> = (0..8).map(|_| LocalStore::new(dir.path().into())).collect();
    for key in 0..20 {
        let path = format!("j/{key}");
        let answers =
            join_all(stores.iter().enumerate().map(|(n, s)| s.create(&path, Bytes::from(n.to_string())))).await;
        let winners: Vec<_> = (0..8).filter(|n| *answers[*n].as_ref().unwrap() == Create::Created).collect();
        assert_eq!(winners.len(), 1);
        assert_eq!(stores[0].get(&path).await.unwrap(), winners[0].to_string());
    }
    let left: Vec<_> = std::fs::read_dir(dir.path().join("j")).unwrap().collect();
    assert_eq!(left.len(), 20, "no temporary file stays");
}

#[tokio::test]
async fn leftovers_of_a_crash_are_no_objects_and_go_away() {
    let (_dir, store) = directory();
    store.put("j/1", Bytes::from("1")).await.unwrap();
    let leftover = store.local_file("j/.dead-0.tmp").unwrap();
    std::fs::write(&leftover, "torn").unwrap();
    assert_eq!(names(store.list("j", None).await.unwrap()), ["j/1"]);
    let now = store.list("j", None).await.unwrap()[0].modified;
    assert_eq!(local::sweep_leftovers(&store, "j", now).unwrap(), 0, "somebody may be writing it");
    assert_eq!(local::sweep_leftovers(&store, "j", ProcTime(now.0 + 3_700_000)).unwrap(), 1);
    assert!(!leftover.exists());
    assert_eq!(store.get("j/1").await.unwrap(), "1");
}

#[tokio::test]
async fn a_file_in_the_way_is_one_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("state"), "a file").unwrap();
    let store = LocalStore::new(dir.path().join("state"));
    let error = store.put("a/x", Bytes::new()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
    assert!(error.to_string().starts_with("failed to write 'a/x' in "), "{error}");
}

#[test]
fn uris() {
    let open_error = |uri: &str| open(uri, &[], 0).unwrap_err().to_string();
    assert!(open("state/dir", &[], 0).unwrap().local_file("x").unwrap().ends_with("state/dir/x"));
    assert_eq!(open("file:///a/b", &[], 0).unwrap().local_file("x").unwrap(), PathBuf::from("/a/b/x"));
    assert_eq!(open("memory:", &[], 0).unwrap().describe(), "memory:");
    assert!(open_error("ftp://x/y").contains("scheme 'ftp' is not known"));
    assert!(open_error("file://host/y").contains("file:///directory"));
    assert!(open_error("").contains("it is empty"));
    let options = [("endpont".to_string(), "http://x".to_string())];
    let error = open("s3://bucket/p", &options, 0).unwrap_err().to_string();
    assert!(error.contains("option 'endpont' is not known"), "{error}");
    let options = [("region".to_string(), "us-east-1".to_string())];
    assert_eq!(open("s3://bucket/p", &options, 0).unwrap().describe(), "s3://bucket/p");
    #[cfg(not(feature = "gcp"))]
    assert!(open_error("gs://bucket/p").contains("feature 'gcp'"));
}

#[tokio::test]
async fn the_probe_refuses_stores_that_break_the_promise() {
    let verdict = |action, path: &'static str, fault, times| async move {
        let store = Faulty::new(Arc::new(ObjectBacked::memory()));
        store.fail(action, path, fault, times);
        probe(&*store, &paths(), "r").await.unwrap_err()
    };
    let several = verdict("create", "/3", Fault::EverybodyWins, 2).await;
    assert!(matches!(several, ProbeError::SeveralWinners { winners: 2 | 3, .. }), "{several}");
    assert!(several.to_string().contains("does not honour create-if-absent"));
    assert!(matches!(verdict("create", "/3", Fault::Conflict, 8).await, ProbeError::NoWinner { .. }));
    assert!(matches!(verdict("list", "probe", Fault::ListLags, 1).await, ProbeError::Lagging { .. }));
    assert!(matches!(verdict("read", "/2", Fault::Flipped, 1).await, ProbeError::OtherBytes { .. }));
    assert!(matches!(verdict("create", "/2", Fault::Denied, 1).await, ProbeError::Store(_)));
}

#[tokio::test(start_paused = true)]
async fn only_transient_errors_are_tried_again_and_not_for_ever() {
    let faulty = Faulty::new(Arc::new(ObjectBacked::memory()));
    let budget = Budget { attempts: 4, first_wait: Duration::from_millis(10), longest_wait: Duration::from_millis(20) };
    let store = Retrying::new(ArcStore(faulty.clone()), budget, 1);
    faulty.fail("write", "a", Fault::LostReply, 3);
    store.put("a", Bytes::from("1")).await.unwrap();
    faulty.fail("read", "a", Fault::TimedOut, 4);
    assert_eq!(store.get("a").await.unwrap_err().class, ErrorClass::Transient);
    faulty.fail("read", "a", Fault::Denied, 1);
    assert_eq!(store.get("a").await.unwrap_err().class, ErrorClass::Permanent);
    assert_eq!(store.get("a").await.unwrap(), "1");
    let reads = faulty.log.lock().unwrap().iter().filter(|l| *l == "read a").count();
    assert_eq!(reads, 6, "4 attempts, 1 denied, 1 that worked");
}

#[derive(Debug)]
struct ArcStore(Arc<Faulty>);

#[async_trait]
impl Store for ArcStore {
    async fn create(&self, path: &str, bytes: Bytes) -> Result<Create, StoreError> {
        self.0.create(path, bytes).await
    }
    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.0.put(path, bytes).await
    }
    async fn get(&self, path: &str) -> Result<Bytes, StoreError> {
        self.0.get(path).await
    }
    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.0.get_range(path, range).await
    }
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<Listed>, StoreError> {
        self.0.list(prefix, after).await
    }
    async fn delete(&self, path: &str) -> Result<(), StoreError> {
        self.0.delete(path).await
    }
    async fn directories(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.0.directories(prefix).await
    }
    fn describe(&self) -> String {
        self.0.describe()
    }
}

#[test]
fn waits_grow_to_a_limit_and_are_spread() {
    let budget = Budget::default();
    let waits: Vec<_> = (0..10).map(|n| Jitter::new(7).wait(budget, n)).collect();
    assert_eq!(waits, (0..10).map(|n| Jitter::new(7).wait(budget, n)).collect::<Vec<_>>(), "equal seeds, equal waits");
    assert!(waits[0] >= budget.first_wait / 2 && waits[0] <= budget.first_wait);
    assert!(waits.iter().all(|w| *w <= budget.longest_wait) && waits[9] >= budget.longest_wait / 2);
    assert_ne!(Jitter::new(8).wait(budget, 3), Jitter::new(7).wait(budget, 3));
}

#[test]
fn a_directory_in_use_says_by_whom() {
    let (_dir, store) = directory();
    let path = paths().lock();
    let held = lock::acquire(&store, &path).unwrap().unwrap();
    let refused = lock::acquire(&store, &path).unwrap_err().to_string();
    assert!(refused.contains("is in use by another live run"), "{refused}");
    assert!(refused.contains(&format!("(process {})", std::process::id())), "{refused}");
    drop(held);
    assert!(lock::acquire(&store, &path).unwrap().is_some());
    assert!(lock::acquire(&ObjectBacked::memory(), &path).unwrap().is_none());
}

/// A file system that answers "not found" to every new directory ended the process by a stack overflow.
#[tokio::test]
async fn a_file_system_without_directories_is_an_error() {
    let store = super::open("/proc/sluice-test", &[], 0).unwrap();
    let e = store.put("a/b", bytes::Bytes::from_static(b"x")).await.unwrap_err();
    assert!(e.to_string().contains("/proc/sluice-test"), "{e}");
}
