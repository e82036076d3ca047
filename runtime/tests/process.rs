//! The real binary, killed, signalled, starved of disk and fed damaged state. Whatever happens, the visible output is that of an
//! undisturbed run, or a clear message says why not.

#[path = "process/job.rs"]
mod job;

use job::{FAST, Place, ROWS, undisturbed};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The whole input takes about three seconds.
const SLOW: u64 = ROWS / 3;

fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

#[test]
fn killed_at_any_moment_nothing_is_lost_or_doubled() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::new(directory.path());
    let (mut killed, mut seed) = (0, 12345u64);
    for _ in 0..10 {
        let mut sluice = place.start(SLOW);
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        pause(30 + (seed >> 33) % 900);
        killed += u32::from(sluice.is_running());
        sluice.kill();
    }
    assert!(killed >= 5, "the job ended before it could be killed: {killed}");
    let ended = place.start(FAST).wait();
    assert!(ended.status.success(), "{}", ended.errors);
    assert!(place.rows() == *undisturbed(), "the output differs from that of an undisturbed run");
}

#[test]
fn a_signal_stops_with_everything_committed() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::new(directory.path());
    for signal in ["TERM", "INT"] {
        let sluice = place.start_and_wait_for_output(SLOW);
        pause(150);
        sluice.signal(signal);
        let ended = sluice.wait();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.errors);
        assert!(ended.errors.contains("resume with:"), "{}", ended.errors);
        assert!(ended.errors.contains("--state") && ended.errors.contains("job.sql"), "{}", ended.errors);
    }
    let before = place.rows();
    assert!(before.len() < undisturbed().len(), "stopped half-way");
    // What the message says: the same command again. At another parallelism, too.
    let ended = place.start_on(3, FAST).wait();
    assert!(ended.status.success(), "{}", ended.errors);
    assert!(place.rows() == *undisturbed(), "the output differs from that of an undisturbed run");
    let again = place.start(FAST).wait();
    assert_eq!(again.status.code(), Some(0));
    assert!(again.errors.contains("has finished"), "{}", again.errors);
}

#[test]
fn a_second_signal_ends_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::new(directory.path());
    let sluice = place.start_and_wait_for_output(SLOW);
    // Both are pending when it wakes up.
    sluice.signal("STOP");
    sluice.signal("INT");
    sluice.signal("TERM");
    sluice.signal("CONT");
    let ended = sluice.wait();
    assert_eq!(ended.status.code(), Some(130), "{}", ended.errors);
    let ended = place.start(FAST).wait();
    assert!(ended.status.success(), "{}", ended.errors);
    assert!(place.rows() == *undisturbed(), "the output differs from that of an undisturbed run");
}

#[test]
fn a_state_directory_has_one_run() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::new(directory.path());
    let first = place.start_and_wait_for_output(SLOW);
    let second = place.start(FAST).wait();
    assert_eq!(second.status.code(), Some(3), "{}", second.errors);
    assert!(second.errors.contains("in use by another live run"), "{}", second.errors);
    first.signal("TERM");
    assert!(first.wait().status.success(), "the first is not disturbed");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// How an object is damaged.
const DAMAGES: &[(&str, fn(&mut Vec<u8>))] = &[
    ("first bit flipped", |bytes| bytes[0] ^= 1),
    ("bit in the middle flipped", |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
    }),
    ("last bit flipped", |bytes| *bytes.last_mut().expect("not empty") ^= 0x80),
    ("cut in half", |bytes| bytes.truncate(bytes.len() / 2)),
    ("emptied", Vec::clear),
];

#[test]
fn damaged_state_is_found_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::new(directory.path());
    let sluice = place.start_and_wait_for_output(SLOW);
    pause(300);
    sluice.signal("TERM");
    let ended = sluice.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.errors);

    let safe = tempfile::tempdir().unwrap();
    for part in ["state", "output"] {
        copy(&place.path(part), &safe.path().join(part));
    }
    let objects: Vec<PathBuf> = place.state_objects();
    let (mut found, mut tried) = (0, 0);
    let mut silent = vec![];
    for object in objects {
        let bytes = fs::read(&object).unwrap();
        if bytes.is_empty() {
            continue;
        }
        let (what, damage) = DAMAGES[tried % DAMAGES.len()];
        tried += 1;
        let mut damaged = bytes;
        damage(&mut damaged);
        fs::write(&object, damaged).unwrap();
        let name = object.file_name().unwrap().to_string_lossy().into_owned();
        let ended = place.start(FAST).wait();
        match ended.status.code() {
            // Not needed any more (an older slot of the journal): then the output is right.
            Some(0) => {
                assert!(place.rows() == *undisturbed(), "{name} ({what}): wrong output without a word");
                silent.push(format!("{} ({what})", object.display()));
            }
            Some(1 | 3) => {
                found += 1;
                assert!(!ended.errors.contains("panicked"), "{name} ({what}): {}", ended.errors);
                let slot = format!("slot {}", name.trim_start_matches('0'));
                assert!(
                    ended.errors.contains(&name) || ended.errors.contains(&slot),
                    "{name} ({what}) is not named: {}",
                    ended.errors
                );
            }
            code => panic!("{name} ({what}): exit code {code:?}: {}", ended.errors),
        }
        for part in ["state", "output"] {
            fs::remove_dir_all(place.path(part)).unwrap();
            copy(&safe.path().join(part), &place.path(part));
        }
    }
    assert!(found >= 3, "{found} of {tried} damages found");
    let unnoticed: Vec<&String> = silent.iter().filter(|p| p.contains("/checkpoints/")).collect();
    assert!(unnoticed.is_empty(), "damage to objects of the checkpoint went unnoticed: {unnoticed:?}");
    let ended = place.start(FAST).wait();
    assert!(ended.status.success(), "{}", ended.errors);
    assert!(place.rows() == *undisturbed(), "undamaged, it goes on");
}

/// A small file system in memory, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, size: &str) -> Self {
        fs::create_dir_all(at).unwrap();
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(at)
            .output()
            .expect("mount is there");
        let why = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(
            done.status.success(),
            "this test fills a small disk and must be allowed to mount one (run it as root): {why}"
        );
        Self(at.to_path_buf())
    }

    fn grow(&self, size: &str) {
        let done = Command::new("mount").args(["-o", &format!("remount,size={size}")]).arg(&self.0).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_said_and_survived() {
    let directory = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mount(&directory.path().join("disk"), "2m");
    let place = Place::new(&directory.path().join("disk"));
    let ended = place.start(FAST).wait();
    assert_ne!(ended.status.code(), Some(0), "2 MiB are too few for input, output and state");
    assert!(ended.errors.contains("disk is full"), "{}", ended.errors);
    assert!(!ended.errors.contains("panicked"), "{}", ended.errors);
    disk.grow("64m");
    let ended = place.start(FAST).wait();
    assert!(ended.status.success(), "{}", ended.errors);
    assert!(place.rows() == *undisturbed(), "the output differs from that of an undisturbed run");
}
