//! Refusals as text: each case of `tests/errors/*.txt` is a script and the messages that it gets, with places and hints.
//! `UPDATE_PLANS=1 cargo test` writes the messages anew.
//!
//! Line 1 of every script is [`TABLES`], so the case's own text begins at line 2.

use sluice_sql::{PlanOptions, plan};
use std::path::Path;

const TABLES: &str = "\
CREATE TABLE bid (auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, amount DECIMAL(10, 2), \
ts TIMESTAMP(3), pt AS PROCTIME(), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector' = 'nexmark'); \
CREATE TABLE person (id BIGINT NOT NULL, name STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'nexmark'); \
CREATE TABLE out1 (k BIGINT, v STRING) WITH ('connector' = 'blackhole');";

#[test]
fn every_refusal_names_what_where_and_what_to_do() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors");
    let mut files: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    let (mut cases, mut wrong) = (0, vec![]);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut updated = String::new();
        for case in text.split("=== ").filter(|c| !c.trim().is_empty()) {
            cases += 1;
            let (name, rest) = case.split_once('\n').unwrap();
            let (sql, expected) = rest.split_once("---\n").unwrap_or((rest, ""));
            let got = messages(sql);
            if got.trim() != expected.trim() {
                wrong.push(format!("{name}: got\n{got}\nexpected\n{}", expected.trim()));
            }
            let block = format!("=== {name}\n{}\n---\n{}\n\n", sql.trim_end(), got.trim_end());
            updated.push_str(&block);
        }
        if std::env::var_os("UPDATE_PLANS").is_some() {
            std::fs::write(&file, updated).unwrap();
            wrong.clear();
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(cases >= 60, "only {cases} cases were found");
}

fn messages(case: &str) -> String {
    match plan(&format!("{TABLES}\n{case}"), &PlanOptions::default()) {
        Ok(_) => "planned".to_owned(),
        Err(e) => {
            for e in &e.0 {
                assert!(e.line >= 1 && e.column >= 1, "{case}: {e}");
            }
            e.to_string()
        }
    }
}
