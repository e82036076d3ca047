//! Damaged scripts: the golden scripts with words left out, doubled, swapped or replaced. Whatever comes out, it is a plan or
//! errors with places, never a panic, and never an internal error.

use sluice_sql::{PlanOptions, plan};
use std::path::Path;

/// Deterministic choices (SplitMix64), so that a failure repeats.
struct Seed(u64);

impl Seed {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

/// Words that change the meaning of what is around them.
const WORDS: &[&str] = &[
    "SELECT",
    "NULL",
    "(",
    ")",
    ",",
    "'",
    "1",
    "1.5",
    "*",
    "ROW_NUMBER() OVER (ORDER BY ts)",
    "COUNT(*)",
    "GROUP BY",
    "IN (SELECT 1)",
    "CASE WHEN",
    "END",
    "INTERVAL '1' SECOND",
    "TABLE",
    "DESCRIPTOR(ts)",
    "window_start",
    "AS",
    "JOIN",
    "ON TRUE",
    "UNION ALL",
    "CAST(NULL AS ROW<a INT>)",
    "ARRAY[1]",
    "-",
    "WHERE",
    "LIMIT 1",
    "EXISTS (SELECT 1)",
    "DISTINCT",
    ";",
    "x.y.z",
    "=>",
    "[1]",
];

fn damage(text: &str, seed: &mut Seed) -> String {
    let mut words: Vec<&str> = text.split(' ').collect();
    for _ in 0..=seed.below(3) {
        let (i, j) = (seed.below(words.len()), seed.below(words.len()));
        match seed.below(5) {
            0 if words.len() > 1 => {
                words.remove(i);
            }
            1 => words.insert(i, words[j]),
            2 => words.swap(i, j),
            3 => words[i] = WORDS[seed.below(WORDS.len())],
            _ => words.insert(i, WORDS[seed.below(WORDS.len())]),
        }
    }
    words.join(" ")
}

#[test]
fn a_damaged_script_gets_a_plan_or_errors() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/sql");
    let mut options = PlanOptions::default();
    for name in ["DATA", "FLIGHTS"] {
        options.variables.insert(name.to_owned(), "data".to_owned());
    }
    let mut files: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|f| f.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "sql"));
    files.sort();
    let rounds: u64 = std::env::var("SLUICE_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(4);
    let mut bad = vec![];
    for f in files {
        let text = std::fs::read_to_string(&f).unwrap();
        // Most damage goes where the query is, which is the last statement.
        let cut = text.trim_end().trim_end_matches(';').rfind(";\n").map_or(0, |i| i + 2);
        for round in 0..rounds {
            let mut seed = Seed(round.wrapping_mul(7919) + text.len() as u64);
            let damaged = if round % 4 == 3 {
                damage(&text, &mut seed)
            } else {
                format!("{}{}", &text[..cut], damage(&text[cut..], &mut seed))
            };
            if let Err(e) = plan(&damaged, &options) {
                let lines = damaged.split('\n').count() as u64;
                for e in &e.0 {
                    let internal =
                        e.message.contains("the planner failed") || e.message.to_lowercase().contains("internal error");
                    if internal || e.line == 0 || e.line > lines || e.column == 0 {
                        bad.push(format!("{} round {round}: {e}\n{}", f.display(), &damaged[cut.min(damaged.len())..]));
                    }
                }
            }
        }
    }
    assert!(bad.is_empty(), "{} scripts:\n{}", bad.len(), bad.join("\n\n"));
}
