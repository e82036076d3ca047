//! The pure engine: time and watermarks, windows, key groups, the plan and its stable operator ids, barrier alignment,
//! journal and checkpoint decisions.
//!
//! It refuses I/O, clocks, randomness, tokio, tonic and DataFusion: `now` is a parameter, a decision is a value.

pub mod align;
pub mod chain;
pub mod checksum;
pub mod envelope;
pub mod hash;
pub mod id;
pub mod journal;
pub mod key_group;
pub mod manifest;
pub mod paths;
pub mod plan;
pub mod savepoint;
pub mod time;
pub mod watermark;
pub mod window;
