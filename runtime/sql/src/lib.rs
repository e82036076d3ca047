//! From SQL text (Flink's dialect) to the streaming plan. No tokio, network or state.
//!
//! The way of a statement: variables (`text`) → tokens and statements (`statement`), whose size is judged before anything
//! recurses (`budget`) → declarations (`ddl`, `catalog`) or a bound and coerced logical plan (`bind`, `relation`, `coerce`)
//! → a tree of the runtime's operators (`translate`) → without unread columns (`prune`) → ids, sharing, exchanges
//! (`assemble`). Whatever is not understood is refused by name, with its place and a hint; nothing is dropped silently.

mod aggregates;
mod assemble;
mod bind;
mod budget;
mod catalog;
mod coerce;
mod ddl;
pub mod describe;
mod dialect;
mod errors;
pub mod explain;
mod expr;
pub mod functions;
mod hints;
mod legacy_windows;
mod normalize;
mod prune;
mod refuse;
mod rel;
mod relation;
mod row_number;
mod script;
mod settings;
mod sink;
mod special_syntax;
mod statement;
mod suggest;
mod text;
mod translate;

pub use ddl::types::flink_name;
pub use errors::{SqlError, SqlErrors};
pub use rel::TYPE_KEY;
pub use settings::{KNOWN as KNOWN_SETTINGS, duration_ms};
pub use suggest::{did_you_mean, nearest};

use sluice_core::plan::Plan;
use std::collections::BTreeMap;

/// Option of the anonymous table behind a bare `SELECT`.
pub const TERMINAL_OPTION: &str = "terminal";

/// What a script needs beside its text.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    /// Values of `${NAME}`.
    pub variables: BTreeMap<String, String>,
    /// Refuse a script that writes nothing.
    pub require_output: bool,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self { variables: BTreeMap::new(), require_output: true }
    }
}

/// A script, understood.
#[derive(Clone, Debug)]
pub struct Planned {
    pub plan: Plan,
    /// How many statements the script has.
    pub statements: usize,
    pub tables: Vec<describe::Table>,
    pub views: Vec<describe::View>,
}

/// The binder recurses over expressions: 1000 levels (the budget) at 27 KB each without optimisation, eight times over.
/// Only touched pages cost memory.
const STACK_BYTES: usize = 256 * 1024 * 1024;

/// Plans a script. Reports all statements' errors at once; never aborts the process.
///
/// # Errors
/// Every [`SqlError`] has a place in `text` as written.
pub fn plan(text: &str, options: &PlanOptions) -> Result<Planned, SqlErrors> {
    let failed = |message: String| {
        let hint = Some("this is a bug: please report the script".to_owned());
        Err(SqlErrors(vec![SqlError { line: 1, column: 1, message, hint }]))
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("sql-planner".to_owned()).stack_size(STACK_BYTES);
        match thread.spawn_scoped(scope, || script::plan(text, options)) {
            Ok(t) => t.join().unwrap_or_else(|panic| failed(format!("the planner failed: {}", reason(&*panic)))),
            Err(e) => failed(format!("failed to start the planner's thread: {e}")),
        }
    })
}

fn reason(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no reason given".to_owned())
}
