//! `PARSE_URL`, `URL_ENCODE`, `URL_DECODE` and `STR_TO_MAP`.

use super::definition::Param::Text;
use super::definition::{Call, Function, Returns};
use arrow::array::{ArrayRef, MapBuilder, MapFieldNames, StringBuilder};
use arrow::datatypes::{DataType, Field, Fields};
use datafusion_common::Result;
use std::sync::Arc;

pub(super) fn functions() -> Vec<Function> {
    let text = || Returns::Type(DataType::Utf8);
    vec![
        Function::new("parse_url", &[Text, Text, Text], text(), parse_url).optional(1),
        Function::new("url_encode", &[Text], text(), url_encode),
        Function::new("url_decode", &[Text], text(), url_decode),
        Function::new("str_to_map", &[Text, Text, Text], Returns::Type(text_map()), str_to_map).optional(2),
    ]
}

struct Url<'a> {
    scheme: &'a str,
    authority: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    fragment: Option<&'a str>,
}

impl<'a> Url<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        if scheme.is_empty() || !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
            return None;
        }
        let (rest, fragment) = rest.split_once('#').map_or((rest, None), |(r, f)| (r, Some(f)));
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(r, q)| (r, Some(q)));
        let at = rest.find('/').unwrap_or(rest.len());
        Some(Self { scheme, authority: &rest[..at], path: &rest[at..], query, fragment })
    }

    fn part(&self, name: &str, out: &mut String) -> bool {
        let (user, host) = match self.authority.rsplit_once('@') {
            Some((u, h)) => (Some(u), h),
            None => (None, self.authority),
        };
        let found = match name {
            "HOST" => Some(
                host.rsplit_once(':').filter(|(_, p)| p.bytes().all(|b| b.is_ascii_digit())).map_or(host, |(h, _)| h),
            ),
            "PATH" => Some(self.path),
            "QUERY" => self.query,
            "REF" => self.fragment,
            "PROTOCOL" => Some(self.scheme),
            "AUTHORITY" => Some(self.authority),
            "USERINFO" => user,
            "FILE" => {
                out.push_str(self.path);
                if let Some(q) = self.query {
                    out.push('?');
                    out.push_str(q);
                }
                return true;
            }
            _ => None,
        };
        found.map(|f| out.push_str(f)).is_some()
    }
}

/// NULL for what is no URL and for a part that is not there.
fn parse_url(call: &Call) -> Result<ArrayRef> {
    let (urls, parts) = (call.texts(0)?, call.texts(1)?);
    let keys = if call.has(2) { Some(call.texts(2)?) } else { None };
    call.collect_text(|row, out| {
        let (Some(url), Some(part)) = (urls.get(row), parts.get(row)) else { return Ok(false) };
        let Some(url) = Url::parse(url) else { return Ok(false) };
        let Some(keys) = &keys else { return Ok(url.part(part, out)) };
        let (Some(key), Some(query), "QUERY") = (keys.get(row), url.query, part) else { return Ok(false) };
        let value = query.split('&').find_map(|pair| pair.split_once('=').filter(|(k, _)| *k == key));
        Ok(value.map(|(_, v)| out.push_str(v)).is_some())
    })
}

/// `application/x-www-form-urlencoded`: a space is `+`.
fn url_encode(call: &Call) -> Result<ArrayRef> {
    let s = call.texts(0)?;
    call.collect_text(|row, out| {
        let Some(s) = s.get(row) else { return Ok(false) };
        for b in s.bytes() {
            match b {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => out.push(char::from(b)),
                b' ' => out.push('+'),
                _ => out.push_str(&format!("%{b:02X}")),
            }
        }
        Ok(true)
    })
}

/// NULL for an unfinished escape.
fn url_decode(call: &Call) -> Result<ArrayRef> {
    let s = call.texts(0)?;
    call.collect_text(|row, out| {
        let Some(s) = s.get(row) else { return Ok(false) };
        let (mut bytes, mut i, s) = (vec![], 0, s.as_bytes());
        while i < s.len() {
            match s[i] {
                b'+' => bytes.push(b' '),
                b'%' => {
                    let hex = s.get(i + 1..i + 3).and_then(|h| std::str::from_utf8(h).ok());
                    let Some(b) = hex.and_then(|h| u8::from_str_radix(h, 16).ok()) else { return Ok(false) };
                    bytes.push(b);
                    i += 2;
                }
                b => bytes.push(b),
            }
            i += 1;
        }
        out.push_str(&String::from_utf8_lossy(&bytes));
        Ok(true)
    })
}

fn text_map() -> DataType {
    let entry = Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry), false)), false)
}

/// `STR_TO_MAP(s[, between pairs = ','[, between key and value = '=']])`; the later of two equal keys counts.
fn str_to_map(call: &Call) -> Result<ArrayRef> {
    let s = call.texts(0)?;
    let pairs = if call.has(1) { Some(call.texts(1)?) } else { None };
    let sides = if call.has(2) { Some(call.texts(2)?) } else { None };
    let names = MapFieldNames { entry: "entries".to_owned(), key: "key".to_owned(), value: "value".to_owned() };
    let mut out = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for row in 0..call.rows {
        let pair = pairs.as_ref().map_or(Some(","), |p| p.get(row));
        let side = sides.as_ref().map_or(Some("="), |p| p.get(row));
        let (Some(s), Some(pair), Some(side)) = (s.get(row), pair, side) else {
            out.append(false)?;
            continue;
        };
        let mut entries: Vec<(&str, Option<&str>)> = vec![];
        for part in s.split(pair).filter(|_| !s.is_empty()) {
            let (key, value) = part.split_once(side).map_or((part, None), |(k, v)| (k, Some(v)));
            match entries.iter_mut().find(|(k, _)| *k == key) {
                Some(entry) => entry.1 = value,
                None => entries.push((key, value)),
            }
        }
        for (key, value) in entries {
            out.keys().append_value(key);
            out.values().append_option(value);
        }
        out.append(true)?;
    }
    Ok(Arc::new(out.finish()))
}
