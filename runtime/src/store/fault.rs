//! A store that fails as real ones do, on demand: for tests.

use super::{Create, ErrorClass, Listed, Store, StoreError};
use async_trait::async_trait;
use bytes::Bytes;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not done, and the caller is told that it may have been.
    TimedOut,
    /// Done, and the caller is told that it may not have been.
    LostReply,
    /// A create that the caller gives up, and that lands when [`Faulty::deliver`] is called.
    Late,
    /// A create answered with "exists" though nothing is there (S3's 409).
    Conflict,
    /// A create that every caller wins.
    EverybodyWins,
    /// Refused for good.
    Denied,
    /// Nothing was written, there is no room.
    Full,
    /// The first half of the bytes.
    Truncated,
    /// One bit of the bytes differs.
    Flipped,
    /// The newest object is not listed yet.
    ListLags,
}

/// `action` of the operation, a part of its path, the fault, and how often.
struct Rule {
    action: &'static str,
    path: String,
    fault: Fault,
    times: usize,
}

pub struct Faulty {
    inner: Arc<dyn Store>,
    rules: Mutex<Vec<Rule>>,
    late: Mutex<Vec<(String, Bytes)>>,
    /// One operation in five fails in a way that its seed decides.
    chaos: Mutex<Option<u64>>,
    /// Every operation as `action path`.
    pub log: Mutex<Vec<String>>,
}

impl std::fmt::Debug for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Faulty({:?})", self.inner)
    }
}

impl Faulty {
    pub fn new(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            rules: Mutex::default(),
            late: Mutex::default(),
            chaos: Mutex::default(),
            log: Mutex::default(),
        })
    }

    pub fn fail(&self, action: &'static str, path: &str, fault: Fault, times: usize) {
        self.rules.lock().unwrap().push(Rule { action, path: path.to_string(), fault, times });
    }

    pub fn chaos(&self, seed: u64) {
        *self.chaos.lock().unwrap() = Some(seed);
    }

    /// A fault of a kind that a working store shows now and then: whatever it is, nothing may be lost.
    fn random_fault(&self, action: &'static str) -> Option<Fault> {
        let mut chaos = self.chaos.lock().unwrap();
        let state = chaos.as_mut()?;
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let draw = (*state >> 33) as usize;
        let faults: &[Fault] = match action {
            "create" => &[Fault::TimedOut, Fault::LostReply, Fault::Late, Fault::Conflict],
            "write" => &[Fault::TimedOut, Fault::LostReply],
            _ => &[Fault::TimedOut],
        };
        draw.is_multiple_of(5).then(|| faults[draw / 5 % faults.len()])
    }

    /// What was late arrives now.
    pub async fn deliver(&self) -> Vec<Create> {
        let late = std::mem::take(&mut *self.late.lock().unwrap());
        let mut answers = Vec::new();
        for (path, bytes) in late {
            answers.push(self.inner.create(&path, bytes).await.unwrap());
        }
        answers
    }

    fn fault(&self, action: &'static str, path: &str) -> Option<Fault> {
        self.log.lock().unwrap().push(format!("{action} {path}"));
        if let Some(fault) = self.random_fault(action) {
            return Some(fault);
        }
        let mut rules = self.rules.lock().unwrap();
        let rule = rules.iter_mut().find(|r| r.times > 0 && r.action == action && path.contains(&r.path))?;
        rule.times -= 1;
        Some(rule.fault)
    }

    fn error(&self, class: ErrorClass, action: &'static str, path: &str) -> StoreError {
        let message = "injected".to_string();
        StoreError { class, action, path: path.to_string(), store: self.describe(), message }
    }

    fn refuse(&self, fault: Option<Fault>, action: &'static str, path: &str) -> Result<(), StoreError> {
        match fault {
            Some(Fault::TimedOut) => Err(self.error(ErrorClass::Transient, action, path)),
            Some(Fault::Denied) => Err(self.error(ErrorClass::Permanent, action, path)),
            Some(Fault::Full) => Err(self.error(ErrorClass::Full, action, path)),
            _ => Ok(()),
        }
    }

    fn answer<T>(&self, fault: Option<Fault>, action: &'static str, path: &str, done: T) -> Result<T, StoreError> {
        match fault {
            Some(Fault::LostReply) => Err(self.error(ErrorClass::Transient, action, path)),
            _ => Ok(done),
        }
    }
}

fn spoil(fault: Option<Fault>, bytes: Bytes) -> Bytes {
    match fault {
        Some(Fault::Truncated) => bytes.slice(..bytes.len() / 2),
        Some(Fault::Flipped) => {
            let mut bytes = bytes.to_vec();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
            bytes.into()
        }
        _ => bytes,
    }
}

#[async_trait]
impl Store for Faulty {
    async fn create(&self, path: &str, bytes: Bytes) -> Result<Create, StoreError> {
        let fault = self.fault("create", path);
        self.refuse(fault, "create", path)?;
        match fault {
            Some(Fault::Late) => {
                self.late.lock().unwrap().push((path.to_string(), bytes));
                return Err(self.error(ErrorClass::Transient, "create", path));
            }
            Some(Fault::Conflict) => return Ok(Create::Exists),
            Some(Fault::EverybodyWins) => {
                self.inner.put(path, bytes).await?;
                return Ok(Create::Created);
            }
            _ => {}
        }
        let done = self.inner.create(path, bytes).await?;
        self.answer(fault, "create", path, done)
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        let fault = self.fault("write", path);
        self.refuse(fault, "write", path)?;
        self.inner.put(path, bytes).await?;
        self.answer(fault, "write", path, ())
    }

    async fn get(&self, path: &str) -> Result<Bytes, StoreError> {
        let fault = self.fault("read", path);
        self.refuse(fault, "read", path)?;
        Ok(spoil(fault, self.inner.get(path).await?))
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let fault = self.fault("read", path);
        self.refuse(fault, "read", path)?;
        Ok(spoil(fault, self.inner.get_range(path, range).await?))
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<Listed>, StoreError> {
        let fault = self.fault("list", prefix);
        self.refuse(fault, "list", prefix)?;
        let mut listed = self.inner.list(prefix, after).await?;
        if fault == Some(Fault::ListLags) {
            listed.sort_by(|a, b| a.path.cmp(&b.path));
            listed.pop();
        }
        Ok(listed)
    }

    async fn delete(&self, path: &str) -> Result<(), StoreError> {
        let fault = self.fault("delete", path);
        self.refuse(fault, "delete", path)?;
        self.inner.delete(path).await
    }

    async fn directories(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.inner.directories(prefix).await
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn local_file(&self, path: &str) -> Option<PathBuf> {
        self.inner.local_file(path)
    }
}
