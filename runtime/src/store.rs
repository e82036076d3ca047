//! Where the state of jobs lies: one small trait over local directories, memory and object stores.
//!
//! It owns how bytes become durable, which errors are worth another try, and the one operation that everything leans on:
//! [`Store::create`], create-if-absent. It knows nothing of journals or manifests. Paths are relative to the state URI and
//! are built by [`sluice_core::paths::JobPaths`] only.

pub mod local;
pub mod lock;
pub mod probe;
pub mod remote;
pub mod retry;

#[cfg(test)]
pub mod fault;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use bytes::Bytes;
use sluice_core::time::ProcTime;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// A store of immutable objects.
///
/// Obligations of an implementor:
/// - `create` succeeds for exactly one of any number of concurrent callers, on all machines; what it created is whole,
///   durable and seen by every later `get` and `list`, by whatever process.
/// - `put` replaces atomically and durably: a reader sees the old or the new bytes, never a mixture.
/// - `list` returns every object whose `put` or `create` was answered before the call.
/// - An error says whether trying again can help ([`StoreError::class`]).
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Creates the object unless there is one. An error of class [`ErrorClass::Transient`] leaves open whether it is there.
    async fn create(&self, path: &str, bytes: Bytes) -> Result<Create, StoreError>;
    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StoreError>;
    async fn get(&self, path: &str) -> Result<Bytes, StoreError>;
    /// Exactly these bytes; an error if the object is shorter.
    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError>;
    /// Objects below the directory `prefix`, in any depth; with `after` only those whose path sorts behind it. Any order.
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<Listed>, StoreError>;
    /// Removing what is not there is a success.
    async fn delete(&self, path: &str) -> Result<(), StoreError>;
    /// Names of the directories directly below `prefix`.
    async fn directories(&self, prefix: &str) -> Result<Vec<String>, StoreError>;
    /// The state URI, for messages. Never contains credentials.
    fn describe(&self) -> String;
    /// The file behind a path, where the store is a local directory.
    fn local_file(&self, _path: &str) -> Option<PathBuf> {
        None
    }
}

/// What came of a create-if-absent. Exactly one caller sees `Created`; `Exists` may also be a store's way to say "conflict,
/// ask again": who needs to know reads the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Create {
    Created,
    Exists,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub path: String,
    pub size: u64,
    /// By the store's clock: for ages only, never for order.
    pub modified: ProcTime,
}

#[derive(Debug, Clone, thiserror::Error)]
#[error("failed to {action} '{path}' in {store}: {message}")]
pub struct StoreError {
    pub class: ErrorClass,
    pub action: &'static str,
    pub path: String,
    pub store: String,
    pub message: String,
}

/// What the caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// There is no such object.
    NotFound,
    /// May work in a while; whether the operation took effect is unknown.
    Transient,
    /// The disk or quota is full: nothing was written; frees itself only when somebody makes room.
    Full,
    /// Rights, configuration, a bug: trying again does not help. Nothing was written.
    Permanent,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "the state URI '{uri}' is not valid: {message}; use a directory, file:///directory, s3://bucket/prefix or memory:"
    )]
    Uri { uri: String, message: String },
    #[error("the state URI '{uri}' needs a build with feature '{feature}'")]
    Feature { uri: String, feature: &'static str },
    #[error("failed to open the state store '{uri}': {message}")]
    Store { uri: String, message: String },
}

/// Opens a state URI: a directory, `file:///directory`, `memory:`, `s3://bucket/prefix`, `gs://…` or `az://…`.
///
/// `options` are the store's own (`region`, `endpoint`, …), over the environment (`AWS_REGION`, …). `seed` spreads retries.
pub fn open(uri: &str, options: &[(String, String)], seed: u64) -> Result<Arc<dyn Store>, OpenError> {
    let bad = |message: String| OpenError::Uri { uri: uri.to_string(), message };
    if uri.is_empty() {
        return Err(bad("it is empty".into()));
    }
    if uri == "memory:" || uri == "memory://" {
        return Ok(Arc::new(remote::ObjectBacked::memory()));
    }
    // One letter before the colon would be a Windows drive, not a scheme.
    let scheme = uri.split_once(':').map(|(scheme, _)| scheme).filter(|s| s.len() > 1 && !s.contains(['/', '.']));
    if scheme.is_none() {
        return Ok(Arc::new(local::LocalStore::new(PathBuf::from(uri))));
    }
    let url = url::Url::parse(uri).map_err(|e| bad(e.to_string()))?;
    if url.scheme() == "file" {
        let root =
            url.to_file_path().map_err(|()| bad("a file URI names an absolute path: file:///directory".into()))?;
        return Ok(Arc::new(local::LocalStore::new(root)));
    }
    let remote = remote::ObjectBacked::open(&url, options)?;
    Ok(Arc::new(retry::Retrying::new(remote, retry::Budget::default(), seed)))
}

impl StoreError {
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    pub fn is_not_found(&self) -> bool {
        self.class == ErrorClass::NotFound
    }
}
