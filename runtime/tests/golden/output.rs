//! What a run has written: the changelog in the visible files, applied.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Kind and values of each line: `+I|a|b` (csv) or `{"op":"+I","a":…}` (json, for nested values).
fn changes(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    text.lines().map(|line| match line.strip_prefix('{') {
        None => {
            let (kind, row) = line.split_once('|').unwrap_or((line, ""));
            (kind.to_owned(), row.to_owned())
        }
        Some(_) => {
            let object: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            let mut values = object.values().map(show);
            (values.next().unwrap_or_default(), values.collect::<Vec<_>>().join("|"))
        }
    })
}

/// As the expected files show nested values: `[a, b]`, `{k=v}`.
fn show(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => "NULL".to_owned(),
        serde_json::Value::String(s) => s.clone(),
        serde_json::Value::Array(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
        serde_json::Value::Object(map) => {
            let mut entries: Vec<String> = map.iter().map(|(k, v)| format!("{k}={}", show(v))).collect();
            entries.sort();
            format!("{{{}}}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

/// The sorted multiset of rows, or why the changelog makes none.
pub fn materialise(directory: &Path) -> Result<Vec<String>, String> {
    let mut rows: BTreeMap<String, i64> = BTreeMap::new();
    let Ok(entries) = fs::read_dir(directory) else { return Ok(vec![]) };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue; // Staged, not visible.
        }
        let text = fs::read_to_string(&path).unwrap();
        if !text.is_empty() && !text.ends_with('\n') {
            return Err(format!("a visible file ends in the middle of a line: {}", path.display()));
        }
        for (kind, row) in changes(&text) {
            let change = match kind.as_str() {
                "+I" | "+U" => 1,
                "-U" | "-D" => -1,
                other => return Err(format!("unknown kind '{other}' before '{row}'")),
            };
            *rows.entry(row).or_default() += change;
        }
    }
    if let Some((row, count)) = rows.iter().find(|(_, n)| **n < 0) {
        return Err(format!("retracted more often than inserted ({count}): {row}"));
    }
    Ok(rows.into_iter().flat_map(|(row, n)| std::iter::repeat_n(row, n as usize)).collect())
}

/// `None` if equal, else what is missing and what is too much (some of it).
pub fn difference(expected: &[String], found: &[String]) -> Option<String> {
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    expected.iter().for_each(|l| *counts.entry(l).or_default() += 1);
    found.iter().for_each(|l| *counts.entry(l).or_default() -= 1);
    let lines = |sign: i64, mark: &str| {
        let of: Vec<String> =
            counts.iter().filter(|(_, n)| **n * sign > 0).map(|(l, _)| format!("{mark} {l}")).collect();
        (of.len(), of)
    };
    let ((missing, lost), (extra, added)) = (lines(1, "-"), lines(-1, "+"));
    if missing + extra == 0 {
        return None;
    }
    let some: Vec<String> = lost.into_iter().take(4).chain(added.into_iter().take(4)).collect();
    Some(format!(
        "{missing} kinds of rows missing, {extra} too many (expected {} rows, found {}):\n      {}",
        expected.len(),
        found.len(),
        some.join("\n      ")
    ))
}

#[test]
fn a_changelog_is_applied() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join(".sluice")).unwrap();
    fs::write(directory.path().join(".sluice/x"), "+I|staged\n").unwrap();
    fs::write(directory.path().join("a"), "+I|a|1\n-U|a|1\n+U|a|2\n+I|b|1\n+I|b|1\n-D|b|1\n").unwrap();
    fs::write(directory.path().join("b"), "{\"op\":\"+I\",\"x\":[\"p\",null],\"y\":{\"k\":1.0}}\n").unwrap();
    assert_eq!(materialise(directory.path()).unwrap(), ["[p, NULL]|{k=1.0}", "a|2", "b|1"]);
    fs::write(directory.path().join("c"), "-D|z\n").unwrap();
    assert!(materialise(directory.path()).unwrap_err().contains("retracted more often"));
}

#[test]
fn differences_are_named() {
    let lines = |l: &[&str]| l.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    assert_eq!(difference(&lines(&["a", "b"]), &lines(&["b", "a"])), None);
    let text = difference(&lines(&["a", "a"]), &lines(&["a", "c"])).unwrap();
    assert!(text.contains("- a") && text.contains("+ c"), "{text}");
}
