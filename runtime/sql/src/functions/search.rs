//! Finding one text in another: positions (1-based, in characters) and regular expressions.
//!
//! Patterns are Rust's `regex` syntax, which reads what Java reads but for look-around and back references; these are refused
//! by name. Constant patterns are compiled once per thread.

use super::definition::Param::{Long, Text};
use super::definition::{Call, Function, Returns};
use arrow::array::{ArrayRef, ListBuilder, StringBuilder};
use arrow::datatypes::{DataType, Field, Int32Type};
use datafusion_common::{Result, exec_err};
use regex::Regex;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

pub(super) fn functions() -> Vec<Function> {
    let text = || Returns::Type(DataType::Utf8);
    let int = || Returns::Type(DataType::Int32);
    let boolean = || Returns::Type(DataType::Boolean);
    let texts = Returns::Type(DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))));
    vec![
        Function::new("strpos", &[Text, Text], int(), strpos).alias(&["position"]),
        Function::new("locate", &[Text, Text, Long], int(), locate).optional(1),
        Function::new("instr", &[Text, Text, Long, Long], int(), instr).optional(2),
        Function::new("regexp", &[Text, Text], boolean(), regexp).alias(&["regexp_like", "rlike"]),
        Function::new("regexp_replace", &[Text, Text, Text], text(), regexp_replace),
        Function::new("regexp_extract", &[Text, Text, Long], text(), regexp_extract).optional(1),
        Function::new("regexp_extract_all", &[Text, Text, Long], texts, regexp_extract_all).optional(1),
        Function::new("regexp_count", &[Text, Text], int(), regexp_count),
        Function::new("regexp_instr", &[Text, Text], int(), regexp_instr),
        Function::new("regexp_substr", &[Text, Text], text(), regexp_substr),
        Function::new("similar_to", &[Text, Text, Text], boolean(), similar_to).optional(1),
    ]
}

/// `POSITION(part IN s)`: 0 if absent.
fn strpos(call: &Call) -> Result<ArrayRef> {
    let (s, part) = (call.texts(0)?, call.texts(1)?);
    call.collect::<Int32Type>(|row| Ok(s.get(row).zip(part.get(row)).map(|(s, p)| find(s, p, 0))))
}

/// The 1-based place of `part` in `s`, from `skip` characters on; 0 if absent.
fn find(s: &str, part: &str, skip: usize) -> i32 {
    let start: usize = s.chars().take(skip).map(char::len_utf8).sum();
    s[start..].find(part).map_or(0, |at| (s[..start + at].chars().count() + 1) as i32)
}

/// `LOCATE(part, s[, from])`.
fn locate(call: &Call) -> Result<ArrayRef> {
    let (part, s) = (call.texts(0)?, call.texts(1)?);
    let from = if call.has(2) { Some(call.longs(2)?) } else { None };
    call.collect::<Int32Type>(|row| {
        let (Some(part), Some(s)) = (part.get(row), s.get(row)) else { return Ok(None) };
        let from = match &from {
            None => 1,
            Some(from) => match from.get(row) {
                Some(f) => f,
                None => return Ok(None),
            },
        };
        let skip = from.saturating_sub(1).max(0);
        if skip > s.chars().count() as i64 {
            return Ok(Some(0));
        }
        Ok(Some(find(s, part, skip as usize)))
    })
}

/// `INSTR(s, part[, from[, nth]])`; a negative start searches backwards from the end.
fn instr(call: &Call) -> Result<ArrayRef> {
    let (s, part) = (call.texts(0)?, call.texts(1)?);
    let extra = |i: usize| if call.has(i) { call.longs(i).map(Some) } else { Ok(None) };
    let (from, nth) = (extra(2)?, extra(3)?);
    call.collect::<Int32Type>(|row| {
        let (Some(s), Some(part)) = (s.get(row), part.get(row)) else { return Ok(None) };
        let value = |v: &Option<super::definition::Longs>| v.as_ref().map_or(Some(1), |v| v.get(row));
        let (Some(from), Some(nth)) = (value(&from), value(&nth)) else { return Ok(None) };
        if nth < 1 {
            return exec_err!("INSTR counts occurrences from 1, got {nth}");
        }
        let text: Vec<char> = s.chars().collect();
        let part: Vec<char> = part.chars().collect();
        let hit = |i: &usize| text.get(*i..).is_some_and(|t| t.starts_with(&part));
        let nth = nth as usize - 1;
        let found = match from {
            1.. => (from as usize - 1..text.len()).filter(hit).nth(nth),
            0 => None,
            _ => {
                let end = text.len() as i64 + from;
                (0..=end.max(-1)).rev().map(|i| i as usize).filter(hit).nth(nth)
            }
        };
        Ok(Some(found.map_or(0, |i| i as i32 + 1)))
    })
}

/// Compiled patterns per thread. Small: a job has few patterns; when a pattern comes from a column it is emptied now and then.
const CACHED_PATTERNS_MAX: usize = 64;

thread_local! {
    static PATTERNS: RefCell<HashMap<String, Option<Regex>>> = RefCell::new(HashMap::new());
}

/// `None`: not a regular expression.
fn compiled(pattern: &str) -> Option<Regex> {
    PATTERNS.with_borrow_mut(|cache| {
        if let Some(found) = cache.get(pattern) {
            return found.clone();
        }
        if cache.len() >= CACHED_PATTERNS_MAX {
            cache.clear();
        }
        let regex = Regex::new(pattern).ok();
        cache.insert(pattern.to_owned(), regex.clone());
        regex
    })
}

/// What Java's engine can and ours cannot is an error, not a silent NULL.
fn prepared(call: &Call, pattern: &str) -> Result<Option<Regex>> {
    let regex = compiled(pattern);
    if regex.is_none()
        && ["(?=", "(?!", "(?<=", "(?<!", "(?>", "\\1", "\\2", "\\k<"].iter().any(|s| pattern.contains(s))
    {
        return exec_err!(
            "{} does not support look-around and back references: '{pattern}'",
            call.function.to_uppercase()
        );
    }
    Ok(regex)
}

fn required(call: &Call, pattern: &str) -> Result<Regex> {
    match prepared(call, pattern)? {
        Some(r) => Ok(r),
        None => exec_err!("'{pattern}' is not a regular expression"),
    }
}

fn regexp(call: &Call) -> Result<ArrayRef> {
    let (s, pattern) = (call.texts(0)?, call.texts(1)?);
    call.collect_boolean(|row| {
        let (Some(s), Some(p)) = (s.get(row), pattern.get(row)) else { return Ok(None) };
        if s.is_empty() || p.is_empty() {
            return Ok(Some(false));
        }
        Ok(Some(required(call, p)?.is_match(s)))
    })
}

/// The replacement is taken literally (`$1` too), as Flink quotes it. NULL for a bad pattern.
fn regexp_replace(call: &Call) -> Result<ArrayRef> {
    let (s, pattern, to) = (call.texts(0)?, call.texts(1)?, call.texts(2)?);
    call.collect_text(|row, out| {
        let (Some(s), Some(p), Some(to)) = (s.get(row), pattern.get(row), to.get(row)) else { return Ok(false) };
        let Some(regex) = prepared(call, p)? else { return Ok(false) };
        out.push_str(&regex.replace_all(s, regex::NoExpand(to)));
        Ok(true)
    })
}

/// NULL without a match, for a group that did not take part, and for a group that is not there.
fn regexp_extract(call: &Call) -> Result<ArrayRef> {
    let (s, pattern) = (call.texts(0)?, call.texts(1)?);
    let group = if call.has(2) { Some(call.longs(2)?) } else { None };
    call.collect_text(|row, out| {
        let (Some(s), Some(p)) = (s.get(row), pattern.get(row)) else { return Ok(false) };
        let Some(group) = group.as_ref().map_or(Some(0), |g| g.get(row)) else { return Ok(false) };
        let (Some(regex), Ok(group)) = (prepared(call, p)?, usize::try_from(group)) else { return Ok(false) };
        let found = regex.captures(s).and_then(|c| c.get(group));
        Ok(found.map(|m| out.push_str(m.as_str())).is_some())
    })
}

/// The group (1 unless said otherwise) of every match.
fn regexp_extract_all(call: &Call) -> Result<ArrayRef> {
    let (s, pattern) = (call.texts(0)?, call.texts(1)?);
    let group = if call.has(2) { Some(call.longs(2)?) } else { None };
    let mut out = ListBuilder::new(StringBuilder::new());
    for row in 0..call.rows {
        let wanted = group.as_ref().map_or(Some(1), |g| g.get(row)).and_then(|g| usize::try_from(g).ok());
        let regex = pattern.get(row).map(|p| prepared(call, p)).transpose()?.flatten();
        match (s.get(row), regex, wanted) {
            (Some(s), Some(regex), Some(group)) if group < regex.captures_len() => {
                for captures in regex.captures_iter(s) {
                    out.values().append_option(captures.get(group).map(|m| m.as_str()));
                }
                out.append(true);
            }
            _ => out.append(false),
        }
    }
    Ok(Arc::new(out.finish()))
}

fn regexp_count(call: &Call) -> Result<ArrayRef> {
    let (s, pattern) = (call.texts(0)?, call.texts(1)?);
    call.collect::<Int32Type>(|row| {
        let (Some(s), Some(p)) = (s.get(row), pattern.get(row)) else { return Ok(None) };
        Ok(prepared(call, p)?.map(|r| r.find_iter(s).count() as i32))
    })
}

fn regexp_instr(call: &Call) -> Result<ArrayRef> {
    let (s, pattern) = (call.texts(0)?, call.texts(1)?);
    call.collect::<Int32Type>(|row| {
        let (Some(s), Some(p)) = (s.get(row), pattern.get(row)) else { return Ok(None) };
        Ok(prepared(call, p)?.map(|r| r.find(s).map_or(0, |m| s[..m.start()].chars().count() as i32 + 1)))
    })
}

fn regexp_substr(call: &Call) -> Result<ArrayRef> {
    let (s, pattern) = (call.texts(0)?, call.texts(1)?);
    call.collect_text(|row, out| {
        let (Some(s), Some(p)) = (s.get(row), pattern.get(row)) else { return Ok(false) };
        let regex = prepared(call, p)?;
        Ok(regex.as_ref().and_then(|r| r.find(s)).map(|m| out.push_str(m.as_str())).is_some())
    })
}

/// SQL's regular expressions: `%` and `_` as in LIKE, `| * + ? {} () []` as usual, anchored at both ends.
fn similar_to(call: &Call) -> Result<ArrayRef> {
    let (s, pattern) = (call.texts(0)?, call.texts(1)?);
    let escape = if call.has(2) { Some(call.texts(2)?) } else { None };
    call.collect_boolean(|row| {
        let (Some(s), Some(p)) = (s.get(row), pattern.get(row)) else { return Ok(None) };
        let escape = escape.as_ref().and_then(|e| e.get(row)).and_then(|e| e.chars().next());
        Ok(Some(required(call, &similar_pattern(p, escape))?.is_match(s)))
    })
}

fn similar_pattern(pattern: &str, escape: Option<char>) -> String {
    let mut out = String::from("^(?s:");
    let mut in_class = false;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            _ if Some(c) == escape => out.extend(chars.next().map(|c| regex::escape(&c.to_string())).as_deref()),
            '[' | ']' => {
                in_class = c == '[';
                out.push(c);
            }
            _ if in_class => out.push(c),
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            // A dot matches any character: Flink does not take it literally.
            '^' | '$' | '\\' => out.push_str(&regex::escape(&c.to_string())),
            _ => out.push(c),
        }
    }
    out.push_str(")$");
    out
}
