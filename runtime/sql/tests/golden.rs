//! The engine's golden scripts must plan: what they compute is the runtime's test.

use sluice_sql::{PlanOptions, plan};
use std::path::Path;

/// Scripts that are refused, and what the message must name.
const REFUSED: &[(&str, &str)] = &[("dst_windows", "'table.local-time-zone' = 'UTC'")];

#[test]
fn every_golden_script_plans() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/sql");
    let mut options = PlanOptions::default();
    for name in ["DATA", "FLIGHTS"] {
        options.variables.insert(name.to_owned(), "data".to_owned());
    }
    let mut failed = vec![];
    let mut files: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    for f in files.iter().filter(|f| f.extension().is_some_and(|e| e == "sql")) {
        let name = f.file_stem().unwrap().to_string_lossy().into_owned();
        let outcome = plan(&std::fs::read_to_string(f).unwrap(), &options);
        match (outcome, REFUSED.iter().find(|(n, _)| *n == name)) {
            (Ok(_), None) => {}
            (Ok(_), Some(_)) => failed.push(format!("{name}: plans now, take it off the list")),
            (Err(e), Some((_, reason))) if e.to_string().contains(reason) => {}
            (Err(e), _) => failed.push(format!("{name}: {e}")),
        }
    }
    assert!(failed.is_empty(), "{} scripts do not plan:\n{}", failed.len(), failed.join("\n"));
}
