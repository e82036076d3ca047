//! A golden case: its text, its tags and its expected rows.

use std::fs;
use std::path::{Path, PathBuf};

/// One `.sql` file.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub text: String,
    /// Sorted lines of `expected/<name>.txt`, in the words of [`sql_style`].
    pub expected: Vec<String>,
    /// Worked out by hand: the result depends on the order of rows in the input.
    pub by_hand: bool,
    /// The result depends on the order in which rows of one key arrive.
    pub by_arrival: bool,
    /// Reads the flight records: longer than the others.
    pub large: bool,
}

pub fn tests_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// All cases by name, or those whose name begins with `$SLUICE_GOLDEN`.
pub fn cases() -> Vec<Case> {
    let directory = tests_directory().join("sql");
    let prefix = std::env::var("SLUICE_GOLDEN").unwrap_or_default();
    let mut cases: Vec<Case> = fs::read_dir(&directory)
        .expect("the cases lie beside the test")
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "sql"))
        .map(|path| read(&directory, &path))
        .filter(|case| case.name.starts_with(&prefix))
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(!cases.is_empty(), "no case begins with '{prefix}'");
    cases
}

fn read(directory: &Path, path: &Path) -> Case {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let text = fs::read_to_string(path).unwrap();
    let expected = directory.join("expected").join(format!("{name}.txt"));
    let expected = fs::read_to_string(&expected)
        .unwrap_or_else(|e| panic!("{}: {e}; run tests/flink/regenerate.sh {name}", expected.display()));
    let mut expected: Vec<String> =
        expected.lines().map(|line| line.split('|').map(sql_style).collect::<Vec<_>>().join("|")).collect();
    expected.sort();
    Case {
        by_hand: text.contains("\n-- oracle: hand\n"),
        by_arrival: text.contains("\n-- order: arrival\n"),
        large: text.contains("${FLIGHTS}"),
        name,
        text,
        expected,
    }
}

/// A value as Java's `toString` writes it → as our text formats do.
pub fn sql_style(value: &str) -> String {
    timestamp(value).or_else(|| plain_number(value)).unwrap_or_else(|| value.to_owned())
}

/// `2026-03-01T10:00` → `2026-03-01 10:00:00`; `2026-03-01T10:00:00.250` → `2026-03-01 10:00:00.25`.
fn timestamp(value: &str) -> Option<String> {
    let (date, time) = value.split_once('T')?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let date_parts: Vec<&str> = date.split('-').collect();
    if date_parts.len() != 3 || !date_parts.iter().all(|p| digits(p)) {
        return None;
    }
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let time = if time.len() == "10:00".len() { format!("{time}:00") } else { time.to_owned() };
    let fraction = fraction.trim_end_matches('0');
    Some(if fraction.is_empty() { format!("{date} {time}") } else { format!("{date} {time}.{fraction}") })
}

/// `1.0E10` (a double) → `1e10`; `0E-7` (a decimal) → `0.0000000`.
fn plain_number(value: &str) -> Option<String> {
    let (mantissa, exponent) = value.split_once('E')?;
    let exponent: i32 = exponent.parse().ok()?;
    mantissa.parse::<f64>().ok()?;
    if mantissa.contains('.') {
        return Some(format!("{:?}", value.parse::<f64>().ok()?));
    }
    let (sign, digits) = mantissa.strip_prefix('-').map_or(("", mantissa), |d| ("-", d));
    let scale = usize::try_from(-exponent).ok()?;
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    Some(format!("{sign}{whole}.{fraction}"))
}

#[test]
fn values_of_java() {
    for (java, ours) in [
        ("2026-03-01T10:00", "2026-03-01 10:00:00"),
        ("2026-03-01T10:00:07", "2026-03-01 10:00:07"),
        ("2026-03-01T10:00:00.250", "2026-03-01 10:00:00.25"),
        ("2026-03-01", "2026-03-01"),
        ("TRUE", "TRUE"),
        ("Total", "Total"),
        ("1.0E10", "10000000000.0"),
        ("-2.147483648E9", "-2147483648.0"),
        ("1.5E-7", "1.5e-7"),
        ("0E-13", "0.0000000000000"),
        ("12E-3", "0.012"),
        ("1.5", "1.5"),
        ("E5", "E5"),
        ("NULL", "NULL"),
    ] {
        assert_eq!(sql_style(java), ours);
    }
}
