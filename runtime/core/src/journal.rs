//! The job journal: the single source of truth of a job, as decisions without I/O.
//!
//! The journal is a row of small immutable objects, one per [`Slot`], each created only if absent. **The highest slot alone
//! is the state of the job**: every record repeats the [`Summary`]. A slot below a gap is a fenced writer's stray and is
//! ignored. The driver (`runtime`) does what the values here say, in this order:
//!
//! ```text
//!   list, read the highest ─▶ start::decide ─▶ Draft ─▶ create ─▶ append::after_create / after_read ─▶ Landed
//!   ─▶ list what is after it ─▶ Landed::confirm ─▶ Confirmed ─▶ Author + Permits ─▶ settle ─▶ Author::committed ─▶ …
//! ```
//!
//! What a type forbids: external effects need a [`CommitPermit`], deletes need a [`DeletePermit`]; both come only out of a
//! record of one's own that was still the tail when it was looked at again. `tests/journal_model.rs` explores these same
//! functions with crashes, pauses, lost replies and garbage collection.

pub mod append;
pub mod record;
pub mod retention;
pub mod settle;
pub mod start;
pub mod summary;

pub use append::{Author, CommitPermit, Confirmed, CreateAnswer, DeletePermit, Draft, Fenced, Landed, Permits, Step};
pub use record::{Commit, Entry, ManifestRef, OperationId, Record, RecordError, SinkLayout, Slot, Tail, Then};
pub use start::{Expectation, Restore, RunChoice, StartRefusal, StartRequest};
pub use summary::{GrammarError, Pin, Summary, Unsettled};

#[cfg(test)]
mod tests;
