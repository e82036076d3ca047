//! Reads a `StreamJob` from YAML, and says where and why it cannot be read.
//!
//! One document, one object. Unknown fields are errors with the nearest known name, because a mistyped `restoreForm` that is
//! skipped would be a silent empty start. Only `metadata` is lenient: there stands what the API server adds.

use crate::API_VERSION;
use crate::status::StreamJobStatus;
use crate::stream_job::StreamJobSpec;
use crate::validate::{Place, Violation, validate};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A whole `StreamJob` object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StreamJob {
    /// `sluice.dev/v1alpha1`.
    pub api_version: String,
    /// `StreamJob`.
    pub kind: String,
    pub metadata: Metadata,
    pub spec: StreamJobSpec,
    /// Written by the operator; a local run ignores it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<StreamJobStatus>,
}

/// The part of the object's metadata that Sluice reads; the rest is skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// At most 40 characters, a DNS label.
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Given by the API server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A place in the text; both count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a text is not a usable `StreamJob`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    #[error("the manifest is empty: expected a StreamJob")]
    Empty,
    #[error("the manifest holds several documents: give each StreamJob a file of its own")]
    SeveralDocuments,
    /// Not YAML.
    #[error("invalid YAML{}: {message}", at(*.location))]
    Syntax { location: Option<Location>, message: String },
    #[error("apiVersion is '{found}', this version of Sluice reads '{API_VERSION}'")]
    ApiVersion { found: String },
    #[error("kind is '{found}', expected 'StreamJob'")]
    Kind { found: String },
    /// A field that does not exist.
    #[error("unknown field '{path}'{}{}", at(*.location), hint(nearest.as_deref(), known))]
    UnknownField { path: String, nearest: Option<String>, known: Vec<String>, location: Option<Location> },
    /// A field that is missing or has a wrong type.
    #[error("{path}: {message}{}", at(*.location))]
    Field { path: String, message: String, location: Option<Location> },
    /// Fields out of their bounds; never empty.
    #[error("invalid StreamJob: {}", join(.0))]
    Invalid(Vec<Violation>),
}

fn at(location: Option<Location>) -> String {
    location.map_or(String::new(), |l| format!(" at {l}"))
}

fn hint(nearest: Option<&str>, known: &[String]) -> String {
    match nearest {
        Some(name) => format!("; did you mean '{name}'?"),
        None if known.is_empty() => String::new(),
        None => format!("; known fields: {}", known.join(", ")),
    }
}

fn join(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Reads one `StreamJob`. State in a local directory is accepted here; whoever runs it in a cluster validates again with
/// [`Place::Cluster`].
pub fn parse(text: &str) -> Result<StreamJob, ManifestError> {
    let document = check_head(text)?;
    let deserializer = serde_yaml::Deserializer::from_str(text).nth(document).ok_or(ManifestError::Empty)?;
    let job = StreamJob::deserialize(deserializer).map_err(|e| field_error(text, &e))?;
    let violations = validate(&job, Place::Local);
    if violations.is_empty() { Ok(job) } else { Err(ManifestError::Invalid(violations)) }
}

/// Kind and version first: what another kind's fields are called says nothing useful. Returns which document it is; empty
/// ones, as after a closing `---`, do not count.
fn check_head(text: &str) -> Result<usize, ManifestError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Head {
        api_version: Option<String>,
        kind: Option<String>,
    }
    let mut documents = Vec::new();
    for (index, document) in serde_yaml::Deserializer::from_str(text).enumerate() {
        let value = serde_yaml::Value::deserialize(document).map_err(|e| syntax_error(&e))?;
        if !value.is_null() {
            documents.push((index, value));
        }
    }
    let (index, document) = match documents.len() {
        0 => return Err(ManifestError::Empty),
        1 => documents.remove(0),
        _ => return Err(ManifestError::SeveralDocuments),
    };
    let Ok(head) = serde_yaml::from_value::<Head>(document) else {
        return Err(ManifestError::Kind { found: "not an object".to_owned() });
    };
    // A field that is missing altogether is reported by the typed read, with its place.
    match (head.api_version, head.kind) {
        (_, Some(kind)) if kind != "StreamJob" => Err(ManifestError::Kind { found: kind }),
        (Some(version), _) if version != API_VERSION => Err(ManifestError::ApiVersion { found: version }),
        _ => Ok(index),
    }
}

fn location(error: &serde_yaml::Error) -> Option<Location> {
    error.location().map(|l| Location { line: l.line(), column: l.column() })
}

/// The message without the place that the library appends to it.
fn bare(error: &serde_yaml::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) if location(error).is_some() => text[..end].to_owned(),
        _ => text,
    }
}

fn syntax_error(error: &serde_yaml::Error) -> ManifestError {
    ManifestError::Syntax { location: location(error), message: bare(error) }
}

/// The library gives `path: message`; serde's own wording of an unknown field or variant is taken apart for the hint.
fn field_error(text: &str, error: &serde_yaml::Error) -> ManifestError {
    let message = bare(error);
    let (path, message) = match message.split_once(": ") {
        Some((path, rest)) if is_path(path) => (path.to_owned(), rest.to_owned()),
        _ => (String::new(), message),
    };
    let location = location(error);
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let mut names = quoted(rest).into_iter();
        let field = names.next().unwrap_or_default();
        let known: Vec<String> = names.collect();
        let location = location.map(|l| key_location(text, &field, l));
        let nearest = nearest(&field, &known);
        return ManifestError::UnknownField { path: child(&path, &field), nearest, known, location };
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        let field = quoted(rest).into_iter().next().unwrap_or_default();
        return ManifestError::Field { path: child(&path, &field), message: "is missing".to_owned(), location };
    }
    let path = if path.is_empty() { "manifest".to_owned() } else { path };
    let message = message.replace('`', "'");
    ManifestError::Field { path, message, location }
}

fn child(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

/// `spec.checkpoints`, `spec.secrets[0].name`; not the beginning of a sentence.
fn is_path(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || ".[]_-?\\".contains(c))
}

/// The names in backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The library reports the beginning of the enclosing object; the key itself is at or after it.
fn key_location(text: &str, field: &str, enclosing: Location) -> Location {
    let candidates = text.lines().enumerate().skip(enclosing.line.saturating_sub(1));
    for (index, line) in candidates {
        let mut from = 0;
        while let Some(found) = line.get(from..).and_then(|rest| rest.find(field)) {
            let start = from + found;
            let end = start + field.len();
            let before = line[..start].trim_end_matches(['"', '\'']).chars().next_back();
            let after = line[end..].trim_start_matches(['"', '\'']).trim_start();
            let whole = before.is_none_or(|c| c.is_whitespace() || c == '{' || c == ',');
            if whole && after.starts_with(':') {
                return Location { line: index + 1, column: line[..start].chars().count() + 1 };
            }
            from = end.max(start + 1);
        }
    }
    enclosing
}

/// The known name with the fewest edits, if they are few for its length.
fn nearest(name: &str, known: &[String]) -> Option<String> {
    let lower = name.to_lowercase();
    known
        .iter()
        .map(|k| (edits(&lower, &k.to_lowercase()), k))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, k)| *distance <= (k.chars().count() / 3).max(1))
        .map(|(_, k)| k.clone())
}

/// Edits between two texts: insert, delete, replace, swap of neighbours.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests;
