//! Which job a name means: finds the job's directory, or claims one at the first start.
//!
//! A job's uid is in every path and transactional id, so it must not change between two starts of the same job and must not
//! be shared by two jobs. Under an operator it is the resource's uid. `sluice run` draws it at the first start and claims it
//! by creating `<namespace>/<name>/job` if absent: two first starts at once agree on one.

use crate::store::{Create, Store, StoreError};
use serde::{Deserialize, Serialize};
use sluice_core::envelope::{self, EnvelopeError};
use sluice_core::id::JobUid;
use sluice_core::paths::job_home;

const KIND: &str = "job";
const FORMAT: u32 = 1;
/// A claim lost and then not readable happens only while somebody deletes the job.
const ATTEMPTS: usize = 5;

#[derive(Serialize, Deserialize)]
struct Claim {
    uid: JobUid,
}

/// What exists under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing was ever started under this name here.
    Nothing,
    /// The claimed job. Whether it has ever run, its journal tells.
    Job(JobUid),
    /// State of other jobs of this name (an operator's, or copied here), and none is claimed: which one is meant, or that
    /// none is, must be said.
    Unclaimed(Vec<JobUid>),
}

#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error("'{path}' in {store} does not say which job this is: {source}")]
    Claim {
        path: String,
        store: String,
        #[source]
        source: EnvelopeError,
    },
    #[error("the directory of job '{name}' in {store} keeps changing; is it being deleted?")]
    Unsteady { name: String, store: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Looks, changes nothing.
pub async fn find(store: &dyn Store, namespace: &str, name: &str) -> Result<Found, JobError> {
    if let Some(uid) = read_claim(store, namespace, name).await? {
        return Ok(Found::Job(uid));
    }
    let home = job_home(namespace, name);
    let mut others = Vec::new();
    for directory in store.directories(&home).await? {
        // A directory is a job if it has a journal; a lock or leftovers alone are not state.
        if !store.list(&format!("{home}/{directory}/journal"), None).await?.is_empty() {
            others.push(JobUid(directory));
        }
    }
    others.sort();
    Ok(if others.is_empty() { Found::Nothing } else { Found::Unclaimed(others) })
}

/// Claims `uid` for the name, or returns the uid that somebody else has claimed before.
pub async fn claim(store: &dyn Store, namespace: &str, name: &str, uid: JobUid) -> Result<JobUid, JobError> {
    let path = claim_path(namespace, name);
    let bytes = envelope::seal(KIND, FORMAT, &Claim { uid });
    for _ in 0..ATTEMPTS {
        match store.create(&path, bytes.clone().into()).await {
            // Ours or another's: what stands there counts, so a lost reply does no harm.
            Ok(Create::Created | Create::Exists) => {}
            Err(e) if e.class == crate::store::ErrorClass::Transient => {}
            Err(e) => return Err(e.into()),
        }
        if let Some(uid) = read_claim(store, namespace, name).await? {
            return Ok(uid);
        }
    }
    Err(JobError::Unsteady { name: name.to_string(), store: store.describe() })
}

async fn read_claim(store: &dyn Store, namespace: &str, name: &str) -> Result<Option<JobUid>, JobError> {
    let path = claim_path(namespace, name);
    let bytes = match store.get(&path).await {
        Ok(bytes) => bytes,
        Err(e) if e.is_not_found() => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let claim: Claim = envelope::open(KIND, FORMAT, &bytes).map_err(|source| JobError::Claim {
        path,
        store: store.describe(),
        source,
    })?;
    Ok(Some(claim.uid))
}

fn claim_path(namespace: &str, name: &str) -> String {
    format!("{}/job", job_home(namespace, name))
}
