//! What a user asks of a job: the `spec` of a `StreamJob`.

use crate::duration::Duration;
use crate::pod::{Container, WorkerContainer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Streaming SQL with the place of its state, its size and its way of being changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StreamJobSpec {
    /// The statements: `CREATE TABLE`, `CREATE VIEW`, `SET`, `INSERT INTO`. At most 65536 characters. Exactly one of `sql` and
    /// `sqlFrom`. Mutability: run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// Takes the statements from elsewhere. Exactly one of `sql` and `sqlFrom`. Not for `sluice run`. Mutability: run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql_from: Option<SqlFrom>,
    /// Container image of the job's pods, for example `registry.example.org/sluice:0.4.0`. Unset: the operator's default when
    /// the revision is made, then pinned. Mutability: run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// `Suspended` stops the job with a savepoint and removes its pods; `Running` resumes it. Default `Running`.
    #[serde(default)]
    pub desired_state: DesiredState,
    /// Number of worker pods, 1 to 1024, default 1. The job's parallelism is `workers` × `worker.slots` and must not exceed
    /// `keyGroups`. Mutability: run (a rescale).
    #[serde(default = "one")]
    pub workers: i32,
    /// Partitions of keyed state, 1 to 32768, default 128: the highest parallelism that the job can ever have. Frozen.
    #[serde(default = "default_key_groups")]
    pub key_groups: i32,
    /// Where everything durable lives. Frozen, apart from its options and secret.
    pub state: State,
    /// Secrets whose keys the SQL may use as `${secret:name/key}`. At most 16, names unique. Mutability: run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<NameRef>,
    /// How often the job makes its progress durable. Mutability: live.
    #[serde(default)]
    pub checkpoints: Checkpoints,
    /// Savepoints taken by the clock. Mutability: live.
    #[serde(default)]
    pub savepoints: Savepoints,
    /// How a change of this object reaches the running job. Mutability: live.
    #[serde(default)]
    pub upgrade: Upgrade,
    /// What the first run starts from; also a later run if `nonce` is raised. Unset: from nothing, unless earlier state of the
    /// same name exists, which is never ignored silently. Mutability: once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_from: Option<RestoreFrom>,
    /// A higher number starts a new run of the same revision, and tries a rejected revision again. Default 0.
    #[serde(default)]
    pub restart_nonce: i64,
    /// What happens to state when the object is deleted. Mutability: live.
    #[serde(default)]
    pub deletion: Deletion,
    /// Old revisions that are kept for a rollback, 1 to 50, default 10. Mutability: live.
    #[serde(default = "default_revision_history")]
    pub revision_history_limit: i32,
    /// The pod that coordinates the job. Mutability: run.
    #[serde(default)]
    pub coordinator: Container,
    /// The pods that process rows. Mutability: run.
    #[serde(default)]
    pub worker: WorkerContainer,
}

/// A source of SQL text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SqlFrom {
    /// A key of a ConfigMap in the job's namespace.
    pub config_map_key_ref: KeyRef,
}

/// A key of a ConfigMap or Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyRef {
    /// Name of the object, in the same namespace.
    pub name: String,
    /// Key within its data, for example `job.sql`.
    pub key: String,
}

/// An object of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NameRef {
    pub name: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DesiredState {
    #[default]
    Running,
    Suspended,
}

/// Where checkpoints, savepoints and the job's journal live. Exactly one of `uri` and `volumeClaim`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct State {
    /// `s3://bucket/prefix`, `gs://…` or `az://…`; for `sluice run` also `file:///absolute/path`. The job's objects lie under
    /// `<uri>/<namespace>/<name>/<uid>/`. Frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// A volume that all pods of the job share; for small jobs. Not for `sluice run`. Frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_claim: Option<VolumeClaim>,
    /// Endpoint, region, path style and the like; no secrets. At most 16. Mutability: run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Credentials of the store. Unset: the pod's workload identity. Mutability: run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<NameRef>,
}

/// A PersistentVolumeClaim with access mode ReadWriteMany.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VolumeClaim {
    pub name: String,
    /// Directory within the volume; unset: its root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// Mutability: live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Checkpoints {
    /// From one checkpoint's start to the next, 100ms to 24h, default `10s`. Output of exactly-once sinks becomes visible at
    /// this pace.
    #[serde(default = "default_interval")]
    pub interval: Duration,
    /// A checkpoint that takes longer is given up; 1s to 24h, not shorter than `interval`, default `5m`.
    #[serde(default = "five_minutes")]
    pub timeout: Duration,
    /// Checkpoints that are kept, 1 to 100, default 3.
    #[serde(default = "three")]
    pub retained: i32,
}

/// Periodic savepoints only; others are kept until they are deleted. Mutability: live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Savepoints {
    /// For example `24h`; at least 1m. Unset: none are taken by the clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Duration>,
    /// The newest ones that are kept, 1 to 1000, default 7.
    #[serde(default = "seven")]
    pub retained: i32,
    /// Older ones are deleted even if fewer than `retained` exist; at least 1m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
}

/// Mutability: live.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Upgrade {
    /// What the next run starts from: a verified savepoint, the last checkpoint, or nothing. Default `Savepoint`.
    #[serde(default)]
    pub mode: UpgradeMode,
    /// `Wait` keeps the old run until the savepoint succeeds; `UseCheckpoint` goes on from the last checkpoint. Default `Wait`.
    #[serde(default)]
    pub on_savepoint_failure: OnSavepointFailure,
    /// `Auto` starts the next run's pods before the old run stops, if there is room. Default `Auto`.
    #[serde(default)]
    pub overlap: Overlap,
    /// When a new run that fails is replaced by the stable one. Default `WhenExact`: only if no output is lost or repeated.
    #[serde(default)]
    pub rollback: Rollback,
    /// `HoldUntilStable` keeps the new run's output back until it is stable: a rollback is then always exact, at the price of
    /// latency. Default `Immediate`.
    #[serde(default)]
    pub output: Output,
    /// The hash of a plan (see `status.plan`) whose loss of state is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept_plan: Option<String>,
    /// The evidence by which a new run counts as stable.
    #[serde(default)]
    pub stability: Stability,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpgradeMode {
    #[default]
    Savepoint,
    Checkpoint,
    Stateless,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnSavepointFailure {
    #[default]
    Wait,
    UseCheckpoint,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Overlap {
    #[default]
    Auto,
    Never,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rollback {
    #[default]
    WhenExact,
    AllowDuplicates,
    Never,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    #[default]
    Immediate,
    HoldUntilStable,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stability {
    /// Checkpoints with progress that the new run must complete, 1 to 100, default 3.
    #[serde(default = "three")]
    pub checkpoints: i32,
    /// Within this time, 10s to 24h, default `10m`; afterwards the run is rolled back.
    #[serde(default = "ten_minutes")]
    pub deadline: Duration,
    /// The highest lag of the sources at the end of the probation, 1s to 8760h. Unset: not judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_lag: Option<Duration>,
}

/// Exactly one of `savepoint`, `path`, `job`, `empty`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestoreFrom {
    /// A `Savepoint` object of the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub savepoint: Option<NameRef>,
    /// The location of a savepoint within the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The last state of another job, or of an earlier job of the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobRef>,
    /// From nothing, although earlier state exists: written `empty: {}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty: Option<Empty>,
    /// Raise it to restore again. Default 0.
    #[serde(default)]
    pub nonce: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobRef {
    pub name: String,
    /// Needed where several jobs of that name have existed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

/// An object without fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Empty {}

/// Mutability: live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deletion {
    /// Takes a last savepoint before the pods go. Default false.
    #[serde(default)]
    pub savepoint: bool,
    /// What happens to checkpoints and journal; savepoints always stay. Default `Retain`.
    #[serde(default)]
    pub state: StateDeletion,
    /// The object goes after this time even if the work above failed; 10s to 24h, default `5m`.
    #[serde(default = "five_minutes")]
    pub deadline: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StateDeletion {
    #[default]
    Retain,
    Delete,
}

fn one() -> i32 {
    1
}

fn three() -> i32 {
    3
}

fn seven() -> i32 {
    7
}

fn default_key_groups() -> i32 {
    128
}

fn default_revision_history() -> i32 {
    10
}

fn default_interval() -> Duration {
    Duration::from_secs(10)
}

fn five_minutes() -> Duration {
    Duration::from_mins(5)
}

fn ten_minutes() -> Duration {
    Duration::from_mins(10)
}

impl Default for Checkpoints {
    fn default() -> Self {
        Self { interval: default_interval(), timeout: five_minutes(), retained: three() }
    }
}

impl Default for Savepoints {
    fn default() -> Self {
        Self { every: None, retained: seven(), max_age: None }
    }
}

impl Default for Stability {
    fn default() -> Self {
        Self { checkpoints: three(), deadline: ten_minutes(), max_lag: None }
    }
}

impl Default for Deletion {
    fn default() -> Self {
        Self { savepoint: false, state: StateDeletion::Retain, deadline: five_minutes() }
    }
}
