//! The runtime of Sluice: operators, state, checkpoints, exchange, connectors and the `sluice` command.
//!
//! It refuses the Kubernetes API: a job is a manifest or a text, its truth is the journal in its object store.

pub mod aggregate;
pub mod channel;
pub mod cli;
pub mod clock;
pub mod connector;
pub mod connectors;
pub mod coordinator;
pub mod deploy;
pub mod element;
pub mod expr;
pub mod format;
pub mod graph;
pub mod job_file;
pub mod journal;
pub mod mailbox;
pub mod metrics;
pub mod operator;
pub mod operators;
pub mod progress;
pub mod row;
pub mod savepoint;
pub mod state;
pub mod store;
pub mod task;
pub mod worker;
