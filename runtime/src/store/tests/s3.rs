//! The store, journal and savepoints against a real S3 server (moto) over HTTP.
//!
//! The server is a Python package, installed once into `${XDG_CACHE_HOME:-~/.cache}/sluice/venv`; without Python or an index
//! to install it from, the test fails and says so: `SLUICE_S3_TEST=skip` leaves it out on purpose.

use super::*;
use crate::clock::Clock;
use crate::journal::tests::{full_checkpoint, request};
use crate::journal::{JobJournal, JournalError, read_tail};
use crate::savepoint;
use sluice_core::journal::{Commit, RunChoice, Then};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Killed when dropped.
struct Server {
    process: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The server's program, installed if it is missing. One process installs, others wait for it.
fn moto() -> PathBuf {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from).join("sluice");
    std::fs::create_dir_all(&cache).unwrap();
    let lock = std::fs::File::create(cache.join("venv.lock")).unwrap();
    lock.lock().unwrap();
    let server = cache.join("venv/bin/moto_server");
    if !server.exists() {
        let run = |program: &Path, arguments: &[&str]| {
            let status = Command::new(program).args(arguments).stdout(Stdio::null()).status();
            assert!(
                status.as_ref().is_ok_and(std::process::ExitStatus::success),
                "{} {arguments:?} failed ({status:?}); SLUICE_S3_TEST=skip leaves this test out",
                program.display()
            );
        };
        let venv = cache.join("venv");
        run(Path::new("python3"), &["-m", "venv", &venv.display().to_string()]);
        run(&venv.join("bin/pip"), &["install", "--quiet", "moto[server]"]);
    }
    server
}

fn start_server() -> Server {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let process = Command::new(moto())
        .args(["-H", "127.0.0.1", "-p", &free.port().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let server = Server { process, address: free.to_string() };
    for _ in 0..600 {
        if TcpStream::connect(&server.address).is_ok() {
            return server;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("moto_server does not answer at {}", server.address);
}

/// Our stores never make buckets.
fn make_bucket(server: &Server, name: &str) {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let host = &server.address;
    write!(stream, "PUT /{name} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

fn options(server: &Server) -> Vec<(String, String)> {
    let endpoint = format!("http://{}", server.address);
    let pairs = [
        ("endpoint", endpoint.as_str()),
        ("region", "us-east-1"),
        ("access_key_id", "x"),
        ("secret_access_key", "y"),
        ("allow_http", "true"),
    ];
    pairs.map(|(name, value)| (name.to_string(), value.to_string())).to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_s3_server() {
    if std::env::var("SLUICE_S3_TEST").is_ok_and(|v| v == "skip") {
        return;
    }
    let server = start_server();
    make_bucket(&server, "bucket");
    let options = options(&server);
    let open = |uri: &str| super::open(uri, &options, 7).unwrap();

    conformance(&*open("s3://bucket/deep/prefix")).await;
    conformance(&*open("s3://bucket")).await;
    journal_and_savepoint(open("s3://bucket/jobs"), &options).await;
    racing_starters(open("s3://bucket/race")).await;
    more_than_a_page(&*open("s3://bucket/pages")).await;

    let wrong = open("s3://missing/x").get("a").await.unwrap_err();
    assert!(wrong.to_string().contains("failed to read 'a' in s3://missing/x"), "{wrong}");
}

async fn journal_and_savepoint(store: Arc<dyn Store>, options: &[(String, String)]) {
    let clock = Clock::manual(ProcTime(0));
    let start = |writer| JobJournal::start(store.clone(), paths(), request(writer, RunChoice::Next), clock.clone());
    let mut old = start("a").await.unwrap().journal;
    for epoch in 1..=3 {
        full_checkpoint(&mut old, epoch).await;
    }
    let collected = old.retire(2).await.unwrap().unwrap().run().await.unwrap();
    assert_eq!((collected.objects, collected.failed), (2, 0));
    let saved = savepoint::create(&store, &paths(), "s").await.unwrap();

    let started = start("b").await.unwrap();
    let made = crate::journal::tests::manifest(&old, 4, None).await;
    let fenced = old.checkpoint(&made, None, Then::Run, Commit::Now).await.unwrap_err();
    assert!(matches!(fenced, JournalError::Fenced(_)), "{fenced}");
    let point = savepoint::open_reference(&store, &paths(), &started.restored_from.unwrap(), options).await.unwrap();
    assert_eq!(point.verify().await.unwrap().objects, 1);

    // By URI, as another job would open it.
    let uri = format!("{}/{}", store.describe(), paths().savepoint("s"));
    let elsewhere = savepoint::open_location(&uri, options).await.unwrap();
    assert_eq!(elsewhere.manifest, saved.manifest);
    assert_eq!(elsewhere.verify().await.unwrap().objects, 1);
    savepoint::delete(&store, &paths(), "s").await.unwrap();
}

async fn racing_starters(store: Arc<dyn Store>) {
    let racers = ["a", "b", "c", "d"].map(|writer| {
        let request = request(writer, RunChoice::Next);
        JobJournal::start(store.clone(), paths(), request, Clock::manual(ProcTime(0)))
    });
    let runs: std::collections::BTreeSet<_> =
        join_all(racers).await.into_iter().map(|s| s.unwrap().journal.fence()).collect();
    assert_eq!(runs.len(), 4, "each a run of its own");
    let tail = read_tail(&*store, &paths()).await.unwrap().unwrap();
    assert_eq!(Some(&tail.summary().fence), runs.last());
}

/// A listing of more than S3's page of 1000 is whole.
async fn more_than_a_page(store: &dyn Store) {
    for chunk in (0..1010).collect::<Vec<_>>().chunks(101) {
        let puts = chunk.iter().map(|n| async move { store.put(&format!("p/{n:05}"), Bytes::new()).await });
        join_all(puts).await.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
    }
    assert_eq!(store.list("p", None).await.unwrap().len(), 1010);
    assert_eq!(store.list("p", Some("p/00009")).await.unwrap().len(), 1000);
}
