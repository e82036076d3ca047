//! A local directory as a store: what is answered is on the disk.
//!
//! Every object is written to a temporary file beside its place and fsynced; `create` then links it there (`link(2)` fails
//! if there is one: atomic, also over NFS, and unlike `O_EXCL` it never leaves a torn object), `put` renames it; then the
//! directory is fsynced. Temporary files begin with a dot: they are no objects, and leftovers of a crash are removed when
//! the directory is written next after an hour.

use super::{Create, ErrorClass, Listed, Store, StoreError};
use async_trait::async_trait;
use bytes::Bytes;
use sluice_core::time::ProcTime;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

#[derive(Clone, Debug)]
pub struct LocalStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    /// Makes the names of temporary files of this process differ; the random part is of the process.
    next: AtomicU64,
    process: String,
}

/// Whether the final name could already be visible when an error came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Before,
    Maybe,
}

struct Failure {
    phase: Phase,
    error: io::Error,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self { phase: Phase::Before, error }
    }
}

impl LocalStore {
    pub fn new(root: PathBuf) -> Self {
        let process = crate::clock::random_hex()[..16].to_string();
        Self(Arc::new(Inner { root, next: AtomicU64::new(0), process }))
    }

    fn file(&self, path: &str) -> PathBuf {
        path.split('/').filter(|p| !p.is_empty()).fold(self.0.root.clone(), |dir, part| dir.join(part))
    }

    /// Runs blocking file work off the async threads.
    async fn blocking<T: Send + 'static>(
        &self,
        action: &'static str,
        path: &str,
        work: impl FnOnce(&Inner, &Path) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (inner, file) = (self.0.clone(), self.file(path));
        let done = tokio::task::spawn_blocking(move || work(&inner, &file)).await;
        let failure = match done {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(failure)) => failure,
            Err(_) => Failure { phase: Phase::Maybe, error: io::Error::other("the process is shutting down") },
        };
        Err(StoreError {
            class: classify(&failure),
            action,
            path: path.to_string(),
            store: self.describe(),
            message: failure.error.to_string(),
        })
    }
}

fn classify(failure: &Failure) -> ErrorClass {
    match (failure.phase, failure.error.kind()) {
        (_, ErrorKind::NotFound) => ErrorClass::NotFound,
        // The bytes may be in place: only asking again tells.
        (Phase::Maybe, _) => ErrorClass::Transient,
        (_, ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge) => ErrorClass::Full,
        (
            _,
            ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::StaleNetworkFileHandle,
        ) => ErrorClass::Transient,
        _ => ErrorClass::Permanent,
    }
}

#[async_trait]
impl Store for LocalStore {
    async fn create(&self, path: &str, bytes: Bytes) -> Result<Create, StoreError> {
        self.blocking("create", path, move |inner, file| {
            let temporary = inner.write_temporary(file, &bytes)?;
            let linked = fs::hard_link(&temporary, file);
            // Whatever happened, the temporary name has served.
            let _ = fs::remove_file(&temporary);
            match linked {
                Ok(()) => {
                    sync_directory(file).map_err(|error| Failure { phase: Phase::Maybe, error })?;
                    Ok(Create::Created)
                }
                Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(Create::Exists),
                Err(e) => Err(e.into()),
            }
        })
        .await
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.blocking("write", path, move |inner, file| {
            let temporary = inner.write_temporary(file, &bytes)?;
            if let Err(error) = fs::rename(&temporary, file) {
                let _ = fs::remove_file(&temporary);
                return Err(error.into());
            }
            sync_directory(file).map_err(|error| Failure { phase: Phase::Maybe, error })
        })
        .await
    }

    async fn get(&self, path: &str) -> Result<Bytes, StoreError> {
        self.blocking("read", path, |_, file| Ok(Bytes::from(fs::read(file)?))).await
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.blocking("read", path, move |_, file| {
            let mut source = File::open(file)?;
            source.seek(SeekFrom::Start(range.start))?;
            let length = range.end.saturating_sub(range.start);
            let mut bytes = Vec::with_capacity(length as usize);
            source.take(length).read_to_end(&mut bytes)?;
            if bytes.len() as u64 == length {
                Ok(Bytes::from(bytes))
            } else {
                let have = range.start + bytes.len() as u64;
                let text = format!("it is shorter than expected: {have} bytes, wanted up to {}", range.end);
                Err(io::Error::new(ErrorKind::UnexpectedEof, text).into())
            }
        })
        .await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<Listed>, StoreError> {
        let after = after.map(str::to_string);
        self.blocking("list", prefix, move |inner, directory| {
            let mut found = Vec::new();
            collect(&inner.root, directory, &mut found)?;
            found.retain(|l| after.as_ref().is_none_or(|a| l.path > *a));
            Ok(found)
        })
        .await
    }

    async fn delete(&self, path: &str) -> Result<(), StoreError> {
        self.blocking("delete", path, |inner, file| {
            match fs::remove_file(file) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(e.into()),
                _ => {}
            }
            // Empty directories are not objects; the last one to leave takes them away.
            let mut directory = file.parent();
            while let Some(dir) = directory.filter(|d| *d != inner.root && fs::remove_dir(d).is_ok()) {
                directory = dir.parent();
            }
            Ok(())
        })
        .await
    }

    async fn directories(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.blocking("list", prefix, |_, directory| {
            let mut names = Vec::new();
            for entry in entries(directory)? {
                if entry.file_type()?.is_dir() {
                    names.extend(entry.file_name().into_string());
                }
            }
            Ok(names)
        })
        .await
    }

    fn describe(&self) -> String {
        self.0.root.display().to_string()
    }

    fn local_file(&self, path: &str) -> Option<PathBuf> {
        Some(self.file(path))
    }
}

impl Inner {
    /// The bytes under a temporary name in the directory of `file`, on the disk.
    fn write_temporary(&self, file: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
        let directory = file.parent().unwrap_or(&self.root);
        let name = format!(".{}-{}.tmp", self.process, self.next.fetch_add(1, Ordering::Relaxed));
        let temporary = directory.join(name);
        let mut attempts = 0;
        let mut target = loop {
            match File::create_new(&temporary) {
                // Made on the first write, and again if another process has just removed it for being empty.
                Err(e) if e.kind() == ErrorKind::NotFound && attempts < 5 => make_directory(directory)?,
                other => break other?,
            }
            attempts += 1;
        };
        let written = target.write_all(bytes).and_then(|()| target.sync_all());
        if let Err(error) = written {
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        Ok(temporary)
    }
}

/// `mkdir -p`, each new name on the disk in its parent.
fn make_directory(directory: &Path) -> io::Result<()> {
    match fs::create_dir(directory) {
        Ok(()) => sync_directory(directory),
        Err(e) if e.kind() == ErrorKind::AlreadyExists && directory.is_dir() => Ok(()),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let parent = directory.parent().filter(|p| !p.as_os_str().is_empty());
            make_directory(parent.ok_or(e)?)?;
            // Not again by this function: some file systems (/proc) deny a new directory by "not found" for ever.
            match fs::create_dir(directory) {
                Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(e),
                _ => sync_directory(directory),
            }
        }
        Err(e) => Err(e),
    }
}

fn sync_directory(file: &Path) -> io::Result<()> {
    let parent = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

fn entries(directory: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.collect(),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e),
    }
}

fn collect(root: &Path, directory: &Path, found: &mut Vec<Listed>) -> io::Result<()> {
    for entry in entries(directory)? {
        let meta = match entry.metadata() {
            // Deleted while we looked.
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            other => other?,
        };
        let path = entry.path();
        let Some(name) = entry.file_name().to_str().map(str::to_string) else { continue };
        if meta.is_dir() {
            collect(root, &path, found)?;
        } else if !name.starts_with('.') {
            let Some(relative) = path.strip_prefix(root).ok().and_then(Path::to_str) else { continue };
            let modified = meta.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            found.push(Listed {
                path: relative.to_string(),
                size: meta.len(),
                modified: ProcTime(modified.as_millis() as i64),
            });
        }
    }
    Ok(())
}

/// Removes temporary files below `prefix` that are older than an hour: leftovers of crashed writers. Returns their number.
pub fn sweep_leftovers(store: &dyn Store, prefix: &str, now: ProcTime) -> io::Result<usize> {
    fn sweep(directory: &Path, now: ProcTime, removed: &mut usize) -> io::Result<()> {
        for entry in entries(directory)? {
            let Ok(meta) = entry.metadata() else { continue };
            let name = entry.file_name();
            let temporary = name.to_str().is_some_and(|n| n.starts_with('.'))
                && entry.path().extension().is_some_and(|e| e == "tmp");
            if meta.is_dir() {
                sweep(&entry.path(), now, removed)?;
            } else if temporary {
                let modified = meta.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
                if now.0 - modified >= LEFTOVER_AGE_MS && fs::remove_file(entry.path()).is_ok() {
                    *removed += 1;
                }
            }
        }
        Ok(())
    }
    let mut removed = 0;
    if let Some(directory) = store.local_file(prefix) {
        sweep(&directory, now, &mut removed)?;
    }
    Ok(removed)
}

/// No write of one object takes this long.
const LEFTOVER_AGE_MS: i64 = 3_600_000;
