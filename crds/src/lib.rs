//! The API types of Sluice, `StreamJob` and `Savepoint`, with their defaults and bounds.
//!
//! One definition serves both ends: the operator sees these objects through the API server, `sluice run` reads a `StreamJob`
//! from a file. The crate knows text and values only: it never touches a network, a clock, a runtime or Kubernetes client, so
//! that either end can depend on it. Field docs are the user manual.
//!
//! Durations are strings such as `100ms`, `10s`, `5m`, `1h30m`. *Mutability* in field docs: **run** = a change starts a new
//! run; **live** = applied to the running job; **frozen** = cannot be changed; **once** = read at first start.

#![forbid(unsafe_code)]

pub mod duration;
pub mod manifest;
pub mod pod;
pub mod savepoint;
pub mod status;
pub mod stream_job;
pub mod validate;

pub use duration::Duration;
pub use manifest::{ManifestError, Metadata, StreamJob, parse};
pub use savepoint::{SavepointSpec, SavepointStatus};
pub use status::StreamJobStatus;
pub use stream_job::StreamJobSpec;
pub use validate::{Place, Violation, validate};

/// `apiVersion` of both kinds.
pub const API_VERSION: &str = "sluice.dev/v1alpha1";
