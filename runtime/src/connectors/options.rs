//! Reading `WITH (…)`: known names, required ones, types. Every refusal names the table, the option and a way out.

use crate::connector::ConnectorError;
use sluice_core::plan::Table;
use std::time::Duration;

/// Options that the engine itself reads from any table.
const ENGINE_OPTIONS: &[&str] =
    &["connector", "scan.watermark.idle-timeout", "scan.parallelism", "sink.parallelism", "late-rows.table"];
/// Prefixes of options that the planner reads and checks itself.
const ENGINE_PREFIXES: &[&str] = &["scan.watermark.", "late.", "dead-letter."];

/// The options of one table.
pub struct Options<'a> {
    pub table: &'a Table,
}

impl<'a> Options<'a> {
    pub fn new(table: &'a Table) -> Self {
        Self { table }
    }

    pub fn invalid(&self, message: impl Into<String>) -> ConnectorError {
        ConnectorError::Invalid { table: self.table.name.clone(), message: message.into() }
    }

    /// Refuses options that are in none of the lists; `prefixes` admit families such as `fields.<column>.min`.
    pub fn check_known(&self, known: &[&[&str]], prefixes: &[&str]) -> Result<(), ConnectorError> {
        let names = || known.iter().flat_map(|k| k.iter().copied());
        for key in self.table.options.keys() {
            let admitted = names().chain(ENGINE_OPTIONS.iter().copied()).any(|k| k == key)
                || prefixes.iter().chain(ENGINE_PREFIXES).any(|p| key.starts_with(p));
            if !admitted {
                let mut all: Vec<&str> = names().collect();
                all.sort_unstable();
                let hint = nearest(key, names().chain(ENGINE_OPTIONS.iter().copied()))
                    .map(|n| format!("; did you mean '{n}'?"))
                    .unwrap_or_default();
                return Err(self.invalid(format!("unknown option '{key}'{hint} (known: {})", all.join(", "))));
            }
        }
        Ok(())
    }

    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.table.options.get(name).map(String::as_str)
    }

    pub fn required(&self, name: &str) -> Result<&'a str, ConnectorError> {
        self.get(name)
            .ok_or_else(|| self.invalid(format!("option '{name}' is required: add '{name}' = '…' to WITH (…)")))
    }

    fn wrong(&self, name: &str, value: &str, expected: &str) -> ConnectorError {
        self.invalid(format!("option '{name}' must be {expected}, got '{value}'"))
    }

    fn parsed<T>(
        &self,
        name: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ConnectorError> {
        match self.get(name) {
            None => Ok(None),
            Some(v) => parse(v.trim()).map(Some).ok_or_else(|| self.wrong(name, v, expected)),
        }
    }

    pub fn bool(&self, name: &str, default: bool) -> Result<bool, ConnectorError> {
        let parse = |v: &str| match v.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        };
        Ok(self.parsed(name, "'true' or 'false'", parse)?.unwrap_or(default))
    }

    pub fn u64(&self, name: &str) -> Result<Option<u64>, ConnectorError> {
        self.parsed(name, "a whole number ≥ 0", |v| v.parse().ok())
    }

    pub fn i64(&self, name: &str) -> Result<Option<i64>, ConnectorError> {
        self.parsed(name, "a whole number", |v| v.parse().ok())
    }

    pub fn f64(&self, name: &str) -> Result<Option<f64>, ConnectorError> {
        self.parsed(name, "a number", |v| v.parse().ok().filter(|x: &f64| x.is_finite()))
    }

    /// `10s`, `5 min`, `500 ms`, `1h`: Flink's spelling; a bare number is milliseconds.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>, ConnectorError> {
        self.parsed(name, "a duration such as '10s', '5min' or '500ms'", parse_duration)
    }

    /// `64mb`, `1 gb`, `4096`: Flink's memory size, in powers of 1024.
    pub fn size(&self, name: &str) -> Result<Option<u64>, ConnectorError> {
        self.parsed(name, "a size such as '128MB'", parse_size)
    }

    /// One of a list of values, by position.
    pub fn one_of<T: Copy>(&self, name: &str, values: &[(&str, T)]) -> Result<Option<T>, ConnectorError> {
        let Some(v) = self.get(name) else { return Ok(None) };
        if let Some((_, t)) = values.iter().find(|(n, _)| *n == v) {
            return Ok(Some(*t));
        }
        let names: Vec<String> = values.iter().map(|(n, _)| format!("'{n}'")).collect();
        Err(self.wrong(name, v, &names.join(" or ")))
    }

    /// One ASCII character; `\t` and the like may be written with a backslash.
    pub fn byte(&self, name: &str) -> Result<Option<u8>, ConnectorError> {
        let Some(v) = self.get(name) else { return Ok(None) };
        let b = match v {
            "\\t" => Some(b'\t'),
            "\\\\" => Some(b'\\'),
            _ if v.len() == 1 => v.bytes().next(),
            _ => v.strip_prefix("\\u").and_then(|h| u8::from_str_radix(h, 16).ok()),
        };
        b.filter(|b| b.is_ascii() && *b != b'\n' && *b != b'\r')
            .map(Some)
            .ok_or_else(|| self.wrong(name, v, "one ASCII character (a tab is '\\t')"))
    }
}

/// Number and unit, blanks between them allowed.
fn number_and_unit(v: &str) -> Option<(u64, String)> {
    let digits = v.find(|c: char| !c.is_ascii_digit()).unwrap_or(v.len());
    Some((v[..digits].parse().ok()?, v[digits..].trim().to_ascii_lowercase()))
}

pub fn parse_duration(v: &str) -> Option<Duration> {
    let (n, unit) = number_and_unit(v)?;
    let ms_per = match unit.as_str() {
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1,
        "s" | "sec" | "secs" | "second" | "seconds" => 1000,
        "m" | "min" | "minute" | "minutes" => 60_000,
        "h" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        _ => return None,
    };
    n.checked_mul(ms_per).map(Duration::from_millis)
}

fn parse_size(v: &str) -> Option<u64> {
    let (n, unit) = number_and_unit(v)?;
    let shift = match unit.as_str() {
        "" | "b" | "bytes" => 0,
        "k" | "kb" | "kib" | "kibibytes" => 10,
        "m" | "mb" | "mib" | "mebibytes" => 20,
        "g" | "gb" | "gib" | "gibibytes" => 30,
        "t" | "tb" | "tib" | "tebibytes" => 40,
        _ => return None,
    };
    n.checked_mul(1 << shift)
}

/// The known name that a person most likely meant: at most a third of its letters differ.
pub fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    known
        .into_iter()
        .map(|k| (distance(name, k), k))
        .filter(|(d, k)| *d <= (k.len().max(name.len()) / 3).max(1))
        .min_by_key(|(d, _)| *d)
        .map(|(_, k)| k)
}

/// Levenshtein's edit distance, one row at a time.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replace = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use arrow_schema::{Field, Schema};

    /// A table named `t`.
    pub(crate) fn table(fields: Vec<Field>, options: &[(&str, &str)]) -> Table {
        Table {
            name: "t".into(),
            schema: Schema::new(fields).into(),
            metadata: vec![],
            primary_key: vec![],
            options: options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            partitioned_by: vec![],
        }
    }

    #[test]
    fn durations_and_sizes() {
        for (text, ms) in
            [("10s", 10_000), ("5 min", 300_000), ("250", 250), ("1h", 3_600_000), ("2 days", 172_800_000)]
        {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(ms)), "{text}");
        }
        assert_eq!(parse_duration("ten"), None);
        assert_eq!(parse_duration("10 parsecs"), None);
        for (text, bytes) in [("128MB", 128 << 20), ("1 gb", 1 << 30), ("4096", 4096), ("2kb", 2048)] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        assert_eq!(parse_size("99999999999tb"), None);
    }

    #[test]
    fn unknown_option_names_the_nearest() {
        let t = table(vec![], &[("connector", "x"), ("pth", "y")]);
        let e = Options::new(&t).check_known(&[&["path", "format"]], &[]).unwrap_err().to_string();
        assert_eq!(e, "table 't': unknown option 'pth'; did you mean 'path'? (known: format, path)");
    }

    #[test]
    fn wrong_values_say_what_is_expected() {
        let t = table(vec![], &[("a", "maybe"), ("b", "-1"), ("c", "ab"), ("d", "x")]);
        let o = Options::new(&t);
        assert_eq!(
            o.bool("a", true).unwrap_err().to_string(),
            "table 't': option 'a' must be 'true' or 'false', got 'maybe'"
        );
        assert!(o.u64("b").unwrap_err().to_string().contains("whole number ≥ 0"));
        assert!(o.byte("c").unwrap_err().to_string().contains("one ASCII character"));
        assert_eq!(o.byte("d").unwrap(), Some(b'x'));
        assert!(o.one_of("d", &[("y", 1), ("z", 2)]).unwrap_err().to_string().contains("'y' or 'z'"));
    }

    #[test]
    fn nearest_is_not_far() {
        assert_eq!(nearest("filesytem", ["filesystem", "print"]), Some("filesystem"));
        assert_eq!(nearest("kafka", ["filesystem", "print"]), None);
    }
}
