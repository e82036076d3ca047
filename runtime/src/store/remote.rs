//! Object stores (S3 and compatible, and by feature Google Cloud Storage and Azure) and memory, through `object_store`.
//!
//! `object_store` reports S3's 409 (a conflict of two requests in flight) as "already exists": [`Create::Exists`] therefore
//! never says more than "read it". Its own retries are off: a retried create would lose the difference between "I did" and
//! "somebody did", and [`super::retry`] counts and spreads them.

use super::{Create, ErrorClass, Listed, OpenError, Store, StoreError};
use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
#[cfg(any(feature = "aws", feature = "gcp", feature = "azure"))]
use object_store::RetryConfig;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use sluice_core::time::ProcTime;
use std::ops::Range;
use url::Url;

#[derive(Debug)]
pub struct ObjectBacked {
    store: Box<dyn ObjectStore>,
    /// Of the state URI, without slashes at the ends; may be empty.
    prefix: String,
    describe: String,
}

impl ObjectBacked {
    pub fn memory() -> Self {
        let store = Box::new(object_store::memory::InMemory::new());
        Self { store, prefix: String::new(), describe: "memory:".into() }
    }

    pub fn open(url: &Url, options: &[(String, String)]) -> Result<Self, OpenError> {
        let store: Box<dyn ObjectStore> = match url.scheme() {
            #[cfg(feature = "aws")]
            "s3" | "s3a" => {
                let builder = object_store::aws::AmazonS3Builder::from_env();
                let builder = configure(builder, url, options, object_store::aws::AmazonS3Builder::with_config)?;
                let builder = builder.with_url(url.as_str()).with_retry(no_retries());
                Box::new(builder.build().map_err(|e| refused(url, &e))?)
            }
            #[cfg(not(feature = "aws"))]
            "s3" | "s3a" => return Err(OpenError::Feature { uri: url.to_string(), feature: "aws" }),
            #[cfg(feature = "gcp")]
            "gs" => {
                let builder = object_store::gcp::GoogleCloudStorageBuilder::from_env();
                let set = object_store::gcp::GoogleCloudStorageBuilder::with_config;
                let builder = configure(builder, url, options, set)?;
                let builder = builder.with_url(url.as_str()).with_retry(no_retries());
                Box::new(builder.build().map_err(|e| refused(url, &e))?)
            }
            #[cfg(not(feature = "gcp"))]
            "gs" => return Err(OpenError::Feature { uri: url.to_string(), feature: "gcp" }),
            #[cfg(feature = "azure")]
            "az" | "abfs" | "abfss" | "azure" => {
                let builder = object_store::azure::MicrosoftAzureBuilder::from_env();
                let set = object_store::azure::MicrosoftAzureBuilder::with_config;
                let builder = configure(builder, url, options, set)?;
                let builder = builder.with_url(url.as_str()).with_retry(no_retries());
                Box::new(builder.build().map_err(|e| refused(url, &e))?)
            }
            #[cfg(not(feature = "azure"))]
            "az" | "abfs" | "abfss" | "azure" => {
                return Err(OpenError::Feature { uri: url.to_string(), feature: "azure" });
            }
            other => {
                let message = format!("scheme '{other}' is not known");
                return Err(OpenError::Uri { uri: url.to_string(), message });
            }
        };
        let prefix = url.path().trim_matches('/').to_string();
        let describe = format!("{}://{}/{prefix}", url.scheme(), url.host_str().unwrap_or_default());
        Ok(Self { store, prefix, describe })
    }

    fn location(&self, path: &str) -> Path {
        let whole = [self.prefix.as_str(), path].join("/");
        whole.split('/').filter(|p| !p.is_empty()).collect()
    }

    fn relative(&self, location: &Path) -> Option<String> {
        let rest = location.as_ref().strip_prefix(self.prefix.as_str())?;
        Some(rest.trim_start_matches('/').to_string())
    }

    fn error(&self, action: &'static str, path: &str, error: &Error) -> StoreError {
        StoreError {
            class: classify(error),
            action,
            path: path.to_string(),
            store: self.describe.clone(),
            message: innermost(error),
        }
    }
}

/// Options over the environment; an unknown one is refused, for a misspelt endpoint would silently go elsewhere.
#[cfg(any(feature = "aws", feature = "gcp", feature = "azure"))]
fn configure<B, K: std::str::FromStr>(
    mut builder: B,
    url: &Url,
    options: &[(String, String)],
    set: impl Fn(B, K, String) -> B,
) -> Result<B, OpenError> {
    for (name, value) in options {
        let key = name.to_ascii_lowercase().replace('-', "_").parse::<K>().map_err(|_| OpenError::Uri {
            uri: url.to_string(),
            message: format!("option '{name}' is not known for scheme '{}'", url.scheme()),
        })?;
        builder = set(builder, key, value.clone());
    }
    Ok(builder)
}

#[cfg(any(feature = "aws", feature = "gcp", feature = "azure"))]
fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, retry_timeout: std::time::Duration::from_mins(1), ..RetryConfig::default() }
}

#[cfg(any(feature = "aws", feature = "gcp", feature = "azure"))]
fn refused(url: &Url, error: &Error) -> OpenError {
    OpenError::Store { uri: url.to_string(), message: innermost(error) }
}

fn classify(error: &Error) -> ErrorClass {
    match error {
        Error::NotFound { .. } => ErrorClass::NotFound,
        Error::InvalidPath { .. }
        | Error::NotSupported { .. }
        | Error::NotImplemented { .. }
        | Error::PermissionDenied { .. }
        | Error::Unauthenticated { .. }
        | Error::UnknownConfigurationKey { .. } => ErrorClass::Permanent,
        // Time-outs, 5xx, throttling, a connection cut: the request may have been served.
        _ => ErrorClass::Transient,
    }
}

/// The cause that a person can act on, not the tower above it.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}

#[async_trait]
impl Store for ObjectBacked {
    async fn create(&self, path: &str, bytes: Bytes) -> Result<Create, StoreError> {
        let options = PutOptions::from(PutMode::Create);
        match self.store.put_opts(&self.location(path), bytes.into(), options).await {
            Ok(_) => Ok(Create::Created),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(Create::Exists),
            Err(e) => Err(self.error("create", path, &e)),
        }
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        let done = self.store.put(&self.location(path), bytes.into()).await;
        done.map(|_| ()).map_err(|e| self.error("write", path, &e))
    }

    async fn get(&self, path: &str) -> Result<Bytes, StoreError> {
        let read = async { self.store.get(&self.location(path)).await?.bytes().await };
        read.await.map_err(|e| self.error("read", path, &e))
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let length = range.end - range.start;
        let bytes = self.store.get_range(&self.location(path), range.clone()).await;
        let bytes = bytes.map_err(|e| self.error("read", path, &e))?;
        if bytes.len() as u64 == length {
            return Ok(bytes);
        }
        let have = range.start + bytes.len() as u64;
        Err(StoreError {
            class: ErrorClass::Permanent,
            action: "read",
            path: path.to_string(),
            store: self.describe.clone(),
            message: format!("it is shorter than expected: {have} bytes, wanted up to {}", range.end),
        })
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<Listed>, StoreError> {
        let directory = self.location(prefix);
        let stream = match after {
            Some(after) => self.store.list_with_offset(Some(&directory), &self.location(after)),
            None => self.store.list(Some(&directory)),
        };
        let listed = stream.map_ok(|meta| {
            let path = self.relative(&meta.location)?;
            Some(Listed { path, size: meta.size, modified: ProcTime(meta.last_modified.timestamp_millis()) })
        });
        let listed: Vec<_> = listed.try_collect().await.map_err(|e| self.error("list", prefix, &e))?;
        Ok(listed.into_iter().flatten().collect())
    }

    async fn delete(&self, path: &str) -> Result<(), StoreError> {
        match self.store.delete(&self.location(path)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.error("delete", path, &e)),
        }
    }

    async fn directories(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let listed = self.store.list_with_delimiter(Some(&self.location(prefix))).await;
        let listed = listed.map_err(|e| self.error("list", prefix, &e))?;
        Ok(listed.common_prefixes.iter().filter_map(|p| p.filename().map(str::to_string)).collect())
    }

    fn describe(&self) -> String {
        self.describe.clone()
    }
}
