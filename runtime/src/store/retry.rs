//! Tries again what may work later: a budget of attempts and time, exponential waits with jitter.
//!
//! [`Store::create`] passes through untried: whether to send it again is the journal's decision, and an object whose name
//! carries its writer can simply be [put](Store::put).

use super::{Create, ErrorClass, Listed, Store, StoreError};
use async_trait::async_trait;
use bytes::Bytes;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    pub attempts: u32,
    pub first_wait: Duration,
    pub longest_wait: Duration,
}

impl Default for Budget {
    /// About 20 s in all: longer than a throttled second or a failing-over front end, shorter than a checkpoint's time-out.
    fn default() -> Self {
        Self { attempts: 8, first_wait: Duration::from_millis(100), longest_wait: Duration::from_secs(5) }
    }
}

/// Jitter that is an input: equal seeds give equal waits.
#[derive(Debug)]
pub struct Jitter(AtomicU64);

impl Jitter {
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// The wait after failed attempt `attempt` (0 = first): between half and the whole of the doubled first wait.
    pub fn wait(&self, budget: Budget, attempt: u32) -> Duration {
        let whole = budget.first_wait.saturating_mul(1 << attempt.min(16)).min(budget.longest_wait);
        let half = whole / 2;
        half + half.mul_f64(self.next_unit())
    }

    /// splitmix64, the upper 53 bits as [0, 1).
    fn next_unit(&self) -> f64 {
        let mut z = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[derive(Debug)]
pub struct Retrying<S> {
    inner: S,
    budget: Budget,
    jitter: Jitter,
}

impl<S: Store> Retrying<S> {
    pub fn new(inner: S, budget: Budget, seed: u64) -> Self {
        Self { inner, budget, jitter: Jitter::new(seed) }
    }

    async fn again<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        try_once: impl Fn() -> F,
    ) -> Result<T, StoreError> {
        let mut attempt = 0;
        loop {
            match try_once().await {
                Err(e) if e.class == ErrorClass::Transient && attempt + 1 < self.budget.attempts => {
                    tokio::time::sleep(self.jitter.wait(self.budget, attempt)).await;
                    attempt += 1;
                }
                done => return done,
            }
        }
    }
}

#[async_trait]
impl<S: Store> Store for Retrying<S> {
    async fn create(&self, path: &str, bytes: Bytes) -> Result<Create, StoreError> {
        self.inner.create(path, bytes).await
    }
    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.again(|| self.inner.put(path, bytes.clone())).await
    }
    async fn get(&self, path: &str) -> Result<Bytes, StoreError> {
        self.again(|| self.inner.get(path)).await
    }
    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.again(|| self.inner.get_range(path, range.clone())).await
    }
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<Listed>, StoreError> {
        self.again(|| self.inner.list(prefix, after)).await
    }
    async fn delete(&self, path: &str) -> Result<(), StoreError> {
        self.again(|| self.inner.delete(path)).await
    }
    async fn directories(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.again(|| self.inner.directories(prefix)).await
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
    fn local_file(&self, path: &str) -> Option<PathBuf> {
        self.inner.local_file(path)
    }
}
