//! JSON in text: `JSON_VALUE`, `JSON_QUERY`, `JSON_EXISTS`, `IS JSON`, `JSON_STRING`, `JSON_QUOTE`, `JSON_UNQUOTE`.
//!
//! Paths are `$`, `.name`, `['name']`, `[n]`, `[*]` and `.*`, with `lax` or `strict` before them; filters and functions of
//! JSONPath are refused by name. What is missing or no JSON gives NULL (`lax`) as Flink's defaults have it.

use super::definition::Param::{Any, Text};
use super::definition::{Call, Function, Returns};
use super::math::decimal_text;
use super::text_form::{write_double, write_single};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float32Type, Float64Type};
use datafusion_common::{Result, exec_err};
use serde_json::Value;
use std::borrow::Cow;

pub(super) fn functions() -> Vec<Function> {
    let text = || Returns::Type(DataType::Utf8);
    let boolean = || Returns::Type(DataType::Boolean);
    vec![
        Function::new("json_value", &[Text, Text], text(), json_value),
        Function::new("json_query", &[Text, Text], text(), json_query),
        Function::new("json_exists", &[Text, Text], boolean(), json_exists),
        Function::new("is_json", &[Text, Text], boolean(), is_json).optional(1),
        Function::new("json_string", &[Any], text(), json_string),
        Function::new("json_quote", &[Text], text(), json_quote),
        Function::new("json_unquote", &[Text], text(), json_unquote),
    ]
}

enum Step {
    Name(String),
    Index(usize),
    All,
}

fn parse_path(path: &str) -> Result<Vec<Step>> {
    let unknown = |rest: &str| -> Result<Vec<Step>> {
        exec_err!("the JSON path '{path}' is not supported at '{rest}'; use $, .name, ['name'], [n], [*]")
    };
    let trimmed = path.trim();
    let trimmed = trimmed.strip_prefix("lax ").or_else(|| trimmed.strip_prefix("strict ")).unwrap_or(trimmed).trim();
    let Some(mut rest) = trimmed.strip_prefix('$') else { return unknown(trimmed) };
    let mut steps = vec![];
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix("[").or_else(|| rest.strip_prefix(".[")) {
            let quote = inner.chars().next().filter(|c| matches!(c, '\'' | '"'));
            let (step, after) = match quote {
                Some(q) => match inner[1..].find(q) {
                    Some(end) => (Step::Name(inner[1..=end].to_owned()), &inner[end + 2..]),
                    None => return unknown(rest),
                },
                None => {
                    let end = inner.find(']').unwrap_or(inner.len());
                    match (&inner[..end], inner[..end].trim().parse()) {
                        ("*", _) => (Step::All, &inner[end..]),
                        (_, Ok(i)) => (Step::Index(i), &inner[end..]),
                        _ => return unknown(rest),
                    }
                }
            };
            let Some(after) = after.strip_prefix(']') else { return unknown(rest) };
            steps.push(step);
            rest = after;
        } else if let Some(name) = rest.strip_prefix('.') {
            let end = name.find(['.', '[']).unwrap_or(name.len());
            match &name[..end] {
                "" => return unknown(rest),
                "*" => steps.push(Step::All),
                n if n.contains(['(', '?', '@', ' ']) => return unknown(rest),
                n => steps.push(Step::Name(n.to_owned())),
            }
            rest = &name[end..];
        } else {
            return unknown(rest);
        }
    }
    Ok(steps)
}

/// All values at the path.
fn walk<'a>(root: &'a Value, steps: &[Step]) -> Vec<&'a Value> {
    let mut found = vec![root];
    for step in steps {
        found = found
            .into_iter()
            .flat_map(|v| -> Vec<&Value> {
                match (step, v) {
                    (Step::Name(name), Value::Object(o)) => o.get(name).into_iter().collect(),
                    (Step::Index(i), Value::Array(a)) => a.get(*i).into_iter().collect(),
                    (Step::All, Value::Array(a)) => a.iter().collect(),
                    (Step::All, Value::Object(o)) => o.values().collect(),
                    _ => vec![],
                }
            })
            .collect();
    }
    found
}

/// Runs `f` on what is at the path, row by row; `None` where the text is NULL or no JSON. A constant path is parsed once.
fn at_path(call: &Call, mut f: impl FnMut(usize, Option<Vec<&Value>>) -> Result<()>) -> Result<()> {
    let (texts, paths) = (call.texts(0)?, call.texts(1)?);
    let mut last: Option<(String, Vec<Step>)> = None;
    for row in 0..call.rows {
        let (Some(text), Some(path)) = (texts.get(row), paths.get(row)) else {
            f(row, None)?;
            continue;
        };
        if last.as_ref().is_none_or(|(p, _)| p != path) {
            last = Some((path.to_owned(), parse_path(path)?));
        }
        let steps = last.as_ref().map_or(&[][..], |(_, s)| s);
        match serde_json::from_str::<Value>(text) {
            Ok(root) => f(row, Some(walk(&root, steps)))?,
            Err(_) => f(row, None)?,
        }
    }
    Ok(())
}

/// A scalar as text; NULL for what is missing, null, or no scalar.
fn json_value(call: &Call) -> Result<ArrayRef> {
    let mut out: Vec<Option<String>> = Vec::with_capacity(call.rows);
    at_path(call, |_, found| {
        out.push(match found.as_deref() {
            Some([Value::String(s)]) => Some(s.clone()),
            Some([v @ (Value::Bool(_) | Value::Number(_))]) => Some(v.to_string()),
            _ => None,
        });
        Ok(())
    })?;
    Ok(std::sync::Arc::new(arrow::array::StringArray::from(out)))
}

/// An object or array as text; NULL for what is missing or a scalar.
fn json_query(call: &Call) -> Result<ArrayRef> {
    let mut out: Vec<Option<String>> = Vec::with_capacity(call.rows);
    at_path(call, |_, found| {
        out.push(match found.as_deref() {
            Some([v @ (Value::Object(_) | Value::Array(_))]) => Some(v.to_string()),
            _ => None,
        });
        Ok(())
    })?;
    Ok(std::sync::Arc::new(arrow::array::StringArray::from(out)))
}

/// NULL for NULL, false for what is no JSON.
fn json_exists(call: &Call) -> Result<ArrayRef> {
    let texts = call.texts(0)?;
    let mut out: Vec<Option<bool>> = Vec::with_capacity(call.rows);
    at_path(call, |row, found| {
        out.push(texts.get(row).map(|_| found.is_some_and(|f| !f.is_empty())));
        Ok(())
    })?;
    Ok(std::sync::Arc::new(arrow::array::BooleanArray::from(out)))
}

/// `s IS JSON [VALUE | SCALAR | ARRAY | OBJECT]`; false for NULL.
fn is_json(call: &Call) -> Result<ArrayRef> {
    let texts = call.texts(0)?;
    let kinds = if call.has(1) { Some(call.texts(1)?) } else { None };
    call.collect_boolean(|row| {
        let value = texts.get(row).and_then(|t| serde_json::from_str::<Value>(t).ok());
        let kind = kinds.as_ref().and_then(|k| k.get(row)).unwrap_or("VALUE").to_ascii_uppercase();
        Ok(Some(match (kind.as_str(), value) {
            (_, None) => false,
            ("ARRAY", Some(v)) => v.is_array(),
            ("OBJECT", Some(v)) => v.is_object(),
            ("SCALAR", Some(v)) => !v.is_array() && !v.is_object(),
            (_, Some(_)) => true,
        }))
    })
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn json_quote(call: &Call) -> Result<ArrayRef> {
    let s = call.texts(0)?;
    call.collect_text(|row, out| Ok(s.get(row).map(|s| out.push_str(&quoted(s))).is_some()))
}

/// A text that is no JSON string stays as it is.
fn json_unquote(call: &Call) -> Result<ArrayRef> {
    let s = call.texts(0)?;
    call.collect_text(|row, out| {
        let Some(s) = s.get(row) else { return Ok(false) };
        let inner = if s.starts_with('"') { serde_json::from_str::<String>(s).ok() } else { None };
        out.push_str(&inner.map_or(Cow::Borrowed(s), Cow::Owned));
        Ok(true)
    })
}

fn json_string(call: &Call) -> Result<ArrayRef> {
    let (array, constant) = call.arg_array(0)?;
    call.collect_text(|row, out| {
        let i = if constant { 0 } else { row };
        if array.is_null(i) || *array.data_type() == DataType::Null {
            return Ok(false);
        }
        write_json(out, array, i)?;
        Ok(true)
    })
}

fn write_json(out: &mut String, array: &ArrayRef, row: usize) -> Result<()> {
    if array.is_null(row) {
        out.push_str("null");
        return Ok(());
    }
    match array.data_type() {
        DataType::Utf8 => out.push_str(&quoted(array.as_string::<i32>().value(row))),
        DataType::Boolean => out.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
        DataType::Float64 => write_double(out, array.as_primitive::<Float64Type>().value(row)),
        DataType::Float32 => write_single(out, array.as_primitive::<Float32Type>().value(row)),
        DataType::Decimal128(_, s) => {
            out.push_str(&decimal_text(array.as_primitive::<Decimal128Type>().value(row), *s));
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            out.push('[');
            for i in 0..items.len() {
                out.push_str(if i > 0 { "," } else { "" });
                write_json(out, &items, i)?;
            }
            out.push(']');
        }
        DataType::Struct(fields) => {
            out.push('{');
            for (i, (field, column)) in fields.iter().zip(array.as_struct().columns()).enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                out.push_str(&quoted(field.name()));
                out.push(':');
                write_json(out, column, row)?;
            }
            out.push('}');
        }
        t if t.is_integer() => {
            let text = cast(&array.slice(row, 1), &DataType::Utf8)?;
            out.push_str(text.as_string::<i32>().value(0));
        }
        other => return exec_err!("JSON_STRING does not take {other}; CAST it to STRING"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_or_refused() {
        for (path, count) in
            [("$", 0), ("lax $.a.b", 2), ("$.a[1]", 2), ("$['a b'][\"c\"]", 2), ("$.[\"a\"]", 1), ("$[*].x", 2)]
        {
            assert_eq!(parse_path(path).unwrap().len(), count, "{path}");
        }
        for path in ["a", "$.a[", "$..a", "$.a[?(@.b)]", "$.size()"] {
            assert!(parse_path(path).is_err(), "{path}");
        }
    }
}
