//! House rules that a machine can check, over the text of the whole repository: lengths, names, banned words and the edges
//! between crates that ARCHITECTURE.md forbids.
//!
//! The lists of offenders are a ratchet: they may only shrink. A rule that nobody runs is a wish.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Production lines of a file; above 400 the commit says why it is one thing.
const FILE_LINES_MAX: usize = 800;

/// Lines of a function, signature and braces included.
const FUNCTION_LINES_MAX: usize = 70;

/// `file: function` that are longer today. Shrinks only.
const LONG_FUNCTIONS: &[&str] = &[];

/// Files that may switch `unsafe` on: small, named, with tests of their own.
const UNSAFE_FILES: &[&str] = &["runtime/src/state/prefetch.rs", "bench/src/state/hand.rs"];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "manager", "misc"];

/// Crate (by directory), then what it must not depend on, directly.
const FORBIDDEN_EDGES: &[(&str, &[&str])] = &[
    (
        "crds",
        &["tokio", "tonic", "sluice-core", "sluice-sql", "sluice-runtime", "sluice-api", "datafusion-common", "arrow"],
    ),
    ("runtime/api", &["kube", "k8s-openapi", "sluice-core", "sluice-sql", "sluice-runtime", "datafusion-common"]),
    (
        "runtime/core",
        &[
            "tokio",
            "tonic",
            "object_store",
            "rand",
            "getrandom",
            "chrono",
            "futures",
            "hyper",
            "kube",
            "sluice-sql",
            "sluice-runtime",
            "sluice-crds",
            "arrow",
            "datafusion-common",
            "datafusion-expr",
            "datafusion-physical-expr",
            "datafusion-sql",
        ],
    ),
    ("runtime/sql", &["tokio", "tonic", "object_store", "hyper", "kube", "sluice-runtime", "sluice-crds", "getrandom"]),
    ("runtime", &["kube", "k8s-openapi", "datafusion", "sluice-operator"]),
    (
        "operator",
        &["sluice-core", "sluice-sql", "sluice-runtime", "datafusion", "datafusion-common", "datafusion-expr"],
    ),
    ("bench", &["kube", "k8s-openapi"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_path_buf()
}

/// Files of the repository with their path below the root, without what is generated or hidden.
fn files() -> Vec<(String, PathBuf)> {
    let root = root();
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(directory) = open.pop() {
        let entries = fs::read_dir(&directory).unwrap_or_else(|e| panic!("cannot list {}: {e}", directory.display()));
        for entry in entries {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                let hidden = name.starts_with('.') && name != ".ci";
                if !hidden && !["target", "node_modules", "out"].contains(&name.as_str()) {
                    open.push(path);
                }
            } else if name != ".git" {
                found.push((path.strip_prefix(&root).unwrap().to_string_lossy().into_owned(), path));
            }
        }
    }
    found.sort();
    assert!(found.iter().any(|(name, _)| name == "Cargo.toml"), "the walk does not see the repository");
    found
}

/// Rust files with their text.
fn sources() -> Vec<(String, String)> {
    files()
        .into_iter()
        .filter(|(name, _)| name.ends_with(".rs"))
        .map(|(name, path)| (name, fs::read_to_string(path).expect("source files are UTF-8")))
        .collect()
}

/// Tests and benches may be long and may panic.
fn is_production(name: &str) -> bool {
    !name.contains("/tests/")
        && !name.ends_with("/tests.rs")
        && !name.starts_with("bench/")
        && !name.starts_with("e2e/")
}

/// The lines before the inline test module, which stands last.
fn production(text: &str) -> &str {
    let mut at = 0;
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let module = lines.peek().is_some_and(|next| next.starts_with("mod ") && next.trim_end().ends_with('{'));
        if line.trim_end() == "#[cfg(test)]" && module {
            return &text[..at];
        }
        at += line.len();
    }
    text
}

/// Each place in production code (all of the file if not) where one of `words` stands.
fn places(sources: &[(String, String)], words: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, text) in sources {
        for (i, line) in text.lines().enumerate() {
            found.extend(words.iter().filter(|w| line.contains(*w)).map(|w| format!("{name}:{}: {w}", i + 1)));
        }
    }
    found
}

/// Words are given in halves, so that this file does not find itself.
fn joined(halves: &[[&str; 2]]) -> Vec<String> {
    halves.iter().map(|h| h.concat()).collect()
}

fn none(rule: &str, offenders: &[String]) {
    assert!(offenders.is_empty(), "{rule}:\n  {}", offenders.join("\n  "));
}

#[test]
fn files_are_short() {
    let long: Vec<String> = sources()
        .iter()
        .filter(|(name, _)| is_production(name))
        .map(|(name, text)| (name, production(text).lines().count()))
        .filter(|(_, lines)| *lines > FILE_LINES_MAX)
        .map(|(name, lines)| format!("{name}: {lines} lines"))
        .collect();
    none(&format!("split these files by meaning: more than {FILE_LINES_MAX} lines"), &long);
}

/// Name and length of each function, by rustfmt's layout: the closing brace stands under the first letter of its item.
fn functions(text: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for (start, line) in lines.iter().enumerate() {
        let item = line.trim_start();
        let indent = " ".repeat(line.len() - item.len());
        let mut words = item.split_whitespace().skip_while(|w| {
            w.starts_with("pub") || ["async", "const", "unsafe", "extern", "in"].contains(w) || w.ends_with(')')
        });
        if words.next() != Some("fn") {
            continue;
        }
        let name = words.next().unwrap_or_default();
        let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let deeper = format!("{indent} ");
        let is_end = |l: &&str| **l == format!("{indent}}}") || (!l.starts_with(&deeper) && l.ends_with([';', '}']));
        if let Some(length) = lines[start..].iter().position(is_end) {
            found.push((name, length + 1));
        }
    }
    found
}

#[test]
fn functions_are_short() {
    let mut long = BTreeMap::new();
    for (name, text) in sources().iter().filter(|(name, _)| is_production(name)) {
        for (function, lines) in functions(production(text)) {
            if lines > FUNCTION_LINES_MAX {
                long.insert(format!("{name}: {function}"), lines);
            }
        }
    }
    let known = |f: &&String| LONG_FUNCTIONS.contains(&f.as_str());
    let new: Vec<String> = long.iter().filter(|(f, _)| !known(f)).map(|(f, n)| format!("{f} ({n} lines)")).collect();
    none(&format!("cut these functions: more than {FUNCTION_LINES_MAX} lines"), &new);
    let gone: Vec<String> =
        LONG_FUNCTIONS.iter().filter(|f| !long.contains_key(**f)).map(|f| (*f).to_owned()).collect();
    none("strike these from LONG_FUNCTIONS: they are short now", &gone);
}

#[test]
fn names_mean_something() {
    let bad: Vec<String> = files()
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| {
            let path = Path::new(name);
            let mut parts = path.iter().map(|p| p.to_string_lossy().trim_end_matches(".rs").to_owned());
            path.extension().is_some_and(|e| e == "rs")
                && (path.ends_with("mod.rs") || parts.any(|p| EMPTY_NAMES.contains(&p.as_str())))
        })
        .collect();
    none("rename: `foo.rs` + `foo/` instead of mod.rs, and names that say what is inside", &bad);
}

#[test]
fn every_module_says_what_it_owns() {
    let bad: Vec<String> = sources()
        .iter()
        .filter(|(name, text)| is_production(name) && !text.trim_start().starts_with("//!"))
        .map(|(name, _)| name.clone())
        .collect();
    none("begin these modules with `//!`: what they own, what they refuse", &bad);
}

#[test]
fn nothing_is_left_unfinished() {
    let words = joined(&[["to", "do!("], ["unimple", "mented!("], ["db", "g!("], ["#[ig", "nore"], ["FIX", "ME"]]);
    none("finish or remove", &places(&sources(), &words));
}

#[test]
fn time_and_chance_come_from_the_clock_module() {
    let calls = joined(&[
        ["Instant", "::now("],
        ["SystemTime", "::now("],
        ["Utc", "::now("],
        ["Local", "::now("],
        ["getrandom", "::"],
        ["rand", "::rng("],
    ]);
    let production: Vec<(String, String)> = sources()
        .into_iter()
        .filter(|(name, _)| is_production(name) && name != "runtime/src/clock.rs")
        .map(|(name, text)| (name, production(&text).to_owned()))
        .collect();
    none("take time and randomness as inputs (`Clock`)", &places(&production, &calls));
}

#[test]
fn unsafe_is_switched_on_by_name_only() {
    let words = joined(&[["allow(unsafe", "_code"]]);
    let sources: Vec<(String, String)> =
        sources().into_iter().filter(|(name, _)| !UNSAFE_FILES.contains(&name.as_str())).collect();
    none("unsafe code belongs in a small module with tests, listed in UNSAFE_FILES", &places(&sources, &words));
}

#[test]
fn no_path_of_a_machine() {
    let words = joined(&[["/ro", "ot/"], ["/home", "/"], ["/Us", "ers/"], ["/wo", "rk/"], ["/tmp/", "wt/"]]);
    let texts: Vec<(String, String)> = files()
        .into_iter()
        .filter(|(name, _)| name != "Cargo.lock")
        .filter_map(|(name, path)| fs::read_to_string(path).ok().map(|text| (name, text)))
        .collect();
    none("paths of somebody's machine", &places(&texts, &words));
}

/// The names under `[dependencies]` and its like, also as `[dependencies.name]`; dev-dependencies reach no user.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|s| s.strip_suffix(']')) {
            let section = section.rsplit_once("'.").map_or(section, |(_, s)| s);
            inside = section == "dependencies" || section == "build-dependencies";
            if let Some(name) = section.strip_prefix("dependencies.").or(section.strip_prefix("build-dependencies.")) {
                found.push(name.to_owned());
            }
        } else if let Some((name, _)) = line.split_once('=')
            && inside
            && !line.starts_with('#')
        {
            found.push(name.trim().split('.').next().unwrap_or_default().to_owned());
        }
    }
    found
}

#[test]
fn crates_keep_their_distance() {
    let mut checked = 0;
    let mut bad = Vec::new();
    for (directory, forbidden) in FORBIDDEN_EDGES {
        let Ok(manifest) = fs::read_to_string(root().join(directory).join("Cargo.toml")) else { continue };
        checked += 1;
        let found = dependencies(&manifest);
        bad.extend(found.iter().filter(|d| forbidden.contains(&d.as_str())).map(|d| format!("{directory} → {d}")));
    }
    assert!(checked >= 4, "the manifests of the workspace were not found");
    none("forbidden dependencies (ARCHITECTURE.md, crates)", &bad);
}

#[test]
fn every_member_takes_the_workspace_lints() {
    let bad: Vec<String> = files()
        .into_iter()
        .filter(|(name, _)| name.ends_with("/Cargo.toml"))
        .map(|(name, path)| (name, fs::read_to_string(path).unwrap()))
        .filter(|(_, text)| !text.contains("[lints]\nworkspace = true"))
        .map(|(name, _)| name)
        .collect();
    none("add `[lints] workspace = true`", &bad);
}

#[test]
fn the_checks_see_what_they_are_for() {
    assert_eq!(production("a\nb\n#[cfg(test)]\nmod tests {\n}\n"), "a\nb\n");
    assert_eq!(production("a\n#[cfg(test)]\nmod tests;\nb\n"), "a\n#[cfg(test)]\nmod tests;\nb\n");
    let text = "impl A {\n    pub(crate) async fn one(\n        a: u8,\n    ) -> u8 {\n        a\n    }\n\n    fn two(&self);\n}\n\nfn three() {\n}\n";
    let expected = [("one", 5), ("two", 1), ("three", 2)].map(|(name, lines)| (name.to_owned(), lines));
    assert_eq!(functions(text), expected);
    let manifest = "[dependencies]\ntokio = \"1\"\nserde.workspace = true\n# kube = 1\n[dev-dependencies]\nkube = \"1\"\n\
                    [dependencies.arrow]\nversion = \"1\"\n[target.'cfg(unix)'.dependencies]\nlibc = \"1\"\n";
    assert_eq!(dependencies(manifest), ["tokio", "serde", "arrow", "libc"]);
}
