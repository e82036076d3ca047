//! `Savepoint`: asks for a self-contained copy of a job's state, or registers one that exists.

use crate::duration::Duration;
use crate::status::{Condition, unseen};
use crate::stream_job::NameRef;
use serde::{Deserialize, Serialize};

/// `spec` of a `Savepoint`. Exactly one of `job` and `adopt`; both are frozen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SavepointSpec {
    /// Take one of this job, now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<NameRef>,
    /// Register and verify what exists in a store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopt: Option<Adopt>,
    /// What happens to the data when this object is deleted. Default `Retain`.
    #[serde(default)]
    pub on_delete: OnDelete,
    /// Deletes this object after that time, at least 1m; then `onDelete` decides about the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_after: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Adopt {
    /// `s3://…`, `gs://…` or `az://…`.
    pub uri: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<NameRef>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnDelete {
    #[default]
    Retain,
    Delete,
}

/// `status` of a `Savepoint`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SavepointStatus {
    pub observed_generation: i64,
    /// `Ready` (exists, complete, may be restored), `Verified` (read back and hashed), `Reconciling`, `Stalled`.
    pub conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_id: Option<String>,
    /// `User`, `Periodic`, `Upgrade`, `Suspend`, `Deletion` or `Adopted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_groups: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format_version: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objects: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operators: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<String>,
    /// With what the data can be reached again, also when the job is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    pub attempts: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Storage {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<NameRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

impl Default for SavepointStatus {
    fn default() -> Self {
        Self {
            observed_generation: unseen(),
            conditions: Vec::new(),
            uri: None,
            operation_id: None,
            trigger: None,
            job_uid: None,
            run: None,
            epoch: None,
            revision: None,
            sql_hash: None,
            key_groups: None,
            format_version: None,
            size_bytes: None,
            objects: None,
            operators: None,
            taken: None,
            verified: None,
            storage: None,
            attempts: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_savepoint_of_a_job() {
        let spec: SavepointSpec = serde_yaml::from_str("{job: {name: bids}, expireAfter: 48h}").unwrap();
        assert_eq!(spec.job, Some(NameRef { name: "bids".into() }));
        assert_eq!(spec.on_delete, OnDelete::Retain);
        assert_eq!(spec.expire_after, Some(Duration::from_hours(48)));
    }

    #[test]
    fn an_unseen_status() {
        let status: SavepointStatus = serde_yaml::from_str("{}").unwrap();
        assert_eq!(status.observed_generation, -1);
        assert_eq!(status, SavepointStatus::default());
    }
}
