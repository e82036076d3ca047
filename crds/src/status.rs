//! What the operator reports about a job: facts and transitions, never figures that move.

use serde::{Deserialize, Serialize};

/// `status` of a `StreamJob`; at most 32 KiB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StreamJobStatus {
    /// Of this shape; a newer one is refused, not guessed at.
    #[serde(default)]
    pub schema_version: i32,
    /// The generation of the spec that this status speaks of; −1 until the operator has seen the object.
    #[serde(default = "unseen")]
    pub observed_generation: i64,
    /// A summary for people; nothing decides by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// `Ready`, `Reconciling`, `Stalled` (as kstatus reads them) and `Degraded`; unique by type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Number of the current run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<i64>,
    /// Worker pods of the current run (scale subresource).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<i32>,
    /// Label selector of those pods (scale subresource).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Names of ControllerRevisions.
    #[serde(default)]
    pub revision: Revisions,
    /// The last revision that was tried and given up; not tried again until it changes or `restartNonce` rises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Rejected>,
    /// The operation under way: written before its effects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// Where the next run goes on; set before a run is removed, kept while none runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Resume>,
    /// What the pending change would do to the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanSummary>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_operation: Option<LastOperation>,
    /// The nonces that were acted on.
    #[serde(default)]
    pub nonces: Nonces,
    /// The running image, with its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The guarantee that each sink really has; at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sinks: Vec<SinkStatus>,
    /// Name of the newest `Savepoint` of this job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_savepoint: Option<String>,
}

impl Default for StreamJobStatus {
    fn default() -> Self {
        Self {
            schema_version: 0,
            observed_generation: unseen(),
            phase: None,
            conditions: Vec::new(),
            run: None,
            workers: None,
            selector: None,
            revision: Revisions::default(),
            rejected: None,
            operation: None,
            resume: None,
            plan: None,
            last_operation: None,
            nonces: Nonces::default(),
            image: None,
            sinks: Vec::new(),
            last_savepoint: None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    Pending,
    Starting,
    Running,
    Upgrading,
    Rescaling,
    RollingBack,
    Suspending,
    Suspended,
    Finished,
    Failed,
    Deleting,
}

/// A Kubernetes condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: ConditionStatus,
    /// One word in PascalCase, at most 64 characters; shown in the Reason column.
    pub reason: String,
    /// A sentence for people, at most 4096 characters.
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// RFC 3339.
    pub last_transition_time: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionStatus {
    True,
    False,
    Unknown,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Revisions {
    /// The one that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// The one that is being brought up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The last one that gave its evidence: what a rollback returns to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Rejected {
    pub hash: String,
    pub reason: String,
    pub time: String,
}

/// The journaled intent of the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Operation {
    /// Random, so that an old operation can never be taken for a new one.
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub step: String,
    pub attempt: i32,
    pub since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_deadline: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_run: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_run: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub savepoint: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Resume {
    pub uri: String,
    pub epoch: i64,
    pub kind: String,
    pub run: i64,
    pub revision: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PlanSummary {
    /// What `upgrade.acceptPlan` has to name.
    pub hash: String,
    /// Operators whose state is kept.
    pub kept: i32,
    /// Operators whose state is built anew.
    pub rebuilt: i32,
    /// Operators whose state is lost.
    pub dropped: i32,
    /// `Exact` or `UntilFirstCommit`.
    pub rollback: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LastOperation {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub result: String,
    pub reason: String,
    pub finished: String,
    /// For how long no rows were processed.
    pub pause_millis: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Nonces {
    pub restart: i64,
    pub restore: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SinkStatus {
    pub name: String,
    /// `ExactlyOnce`, `Idempotent` or `AtLeastOnce`.
    pub guarantee: String,
}

pub(crate) fn unseen() -> i64 {
    -1
}
