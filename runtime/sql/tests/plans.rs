//! Planner tests as text: every `tests/plans/*.sql` has its plan beside it. `UPDATE_PLANS=1 cargo test` writes them anew.
//!
//! A script that begins with `-- errors` is expected to be refused; its file holds the messages.

use sluice_sql::{PlanOptions, explain, plan};
use std::path::Path;

fn outcome(sql: &str) -> String {
    match plan(sql, &PlanOptions::default()) {
        Ok(p) => explain::shape(&p.plan),
        Err(e) => format!("{e}\n"),
    }
}

#[test]
fn every_script_has_the_plan_beside_it() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    let mut files: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|f| f.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "sql"));
    files.sort();
    assert!(!files.is_empty());
    let update = std::env::var_os("UPDATE_PLANS").is_some();
    let mut wrong = vec![];
    for sql in files {
        let text = std::fs::read_to_string(&sql).unwrap();
        let got = outcome(&text);
        let refused = got.starts_with("line ");
        assert_eq!(refused, text.starts_with("-- errors"), "{}:\n{got}", sql.display());
        let expected = sql.with_extension("plan");
        if update {
            std::fs::write(&expected, &got).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != got {
            wrong.push(format!("{}:\n{got}", sql.display()));
        }
    }
    assert!(wrong.is_empty(), "plans differ (UPDATE_PLANS=1 accepts):\n{}", wrong.join("\n"));
}
