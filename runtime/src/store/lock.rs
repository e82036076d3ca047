//! An advisory lock on a job in a local directory: a second `sluice run` there is told at once, and by whom.
//!
//! Safety never depends on it (the journal fences); it only turns a duel of two processes into a clear message. The kernel
//! drops it with the process, so nothing is left behind by a crash.

use super::Store;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::PathBuf;

/// Held until dropped.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("the state directory '{directory}' is in use by another live run{}; stop it first, or use another --state or job name", holder.as_ref().map(|p| format!(" (process {p})")).unwrap_or_default())]
    InUse { directory: String, holder: Option<u32> },
    #[error("failed to lock '{file}': {source}")]
    Io {
        file: String,
        #[source]
        source: std::io::Error,
    },
}

/// Locks the file at `path`; `None` where the store is not a local directory.
pub fn acquire(store: &dyn Store, path: &str) -> Result<Option<DirectoryLock>, LockError> {
    let Some(file) = store.local_file(path) else { return Ok(None) };
    let failed = |source| LockError::Io { file: file.display().to_string(), source };
    if let Some(directory) = file.parent() {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    let mut lock =
        OpenOptions::new().create(true).read(true).write(true).truncate(false).open(&file).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // The holder's number is a courtesy; the lock itself is what counts.
            let _ = lock.read_to_string(&mut text);
            let directory = file.parent().map(PathBuf::from).unwrap_or_default().display().to_string();
            return Err(LockError::InUse { directory, holder: text.trim().parse().ok() });
        }
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    let write = |lock: &mut File| {
        lock.set_len(0)?;
        lock.rewind()?;
        writeln!(lock, "{}", std::process::id())
    };
    write(&mut lock).map_err(failed)?;
    Ok(Some(DirectoryLock { _file: lock }))
}
