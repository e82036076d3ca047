//! Errors as the user sees them: position in the text as written, message, hint.

use crate::suggest::did_you_mean;
use datafusion_common::{DataFusionError, Diagnostic, SchemaError};
use datafusion_sql::sqlparser::parser::ParserError;
use datafusion_sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan};
use std::fmt;

/// One thing that is wrong with a script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SqlError {
    /// From 1.
    pub line: u64,
    /// In characters, from 1.
    pub column: u64,
    pub message: String,
    pub hint: Option<String>,
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " (hint: {hint})"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong, at most one per statement, in the order of the text. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SqlErrors(pub Vec<SqlError>);

impl fmt::Display for SqlErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, e) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            e.fmt(f)?;
        }
        Ok(())
    }
}

/// Where a refusal points before the statement's tokens are at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// The first token of the statement.
    Statement,
    Position(Location),
    /// The first token with this text (upper or lower case), else the statement.
    Word(String),
}

/// An error inside the planner: becomes a [`SqlError`] when the statement is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    pub at: At,
    pub message: String,
    pub hint: Option<String>,
}

pub(crate) type Outcome<T> = Result<T, Refusal>;

impl Refusal {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { at: At::Statement, message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn at(mut self, location: Location) -> Self {
        if location.line > 0 {
            self.at = At::Position(location);
        }
        self
    }

    pub(crate) fn near(mut self, word: impl Into<String>) -> Self {
        self.at = At::Word(word.into());
        self
    }

    /// Positions are still those of the text after substitution.
    pub(crate) fn into_error(self, tokens: &[TokenWithSpan]) -> SqlError {
        let first = tokens.first().map_or(Location::new(1, 1), |t| t.span.start);
        let place = match &self.at {
            At::Statement => first,
            At::Position(p) => *p,
            At::Word(word) => find_word(tokens, word).unwrap_or(first),
        };
        SqlError { line: place.line, column: place.column, message: self.message, hint: self.hint }
    }
}

/// The place of the first token that reads `word`, without regard to case and quotes.
fn find_word(tokens: &[TokenWithSpan], word: &str) -> Option<Location> {
    tokens
        .iter()
        .find(|t| match &t.token {
            Token::Word(w) => w.value.eq_ignore_ascii_case(word),
            Token::SingleQuotedString(s) => s == word,
            other => other.to_string() == word,
        })
        .map(|t| t.span.start)
}

/// So that our refusals can travel through DataFusion's hooks.
impl From<Refusal> for DataFusionError {
    fn from(r: Refusal) -> Self {
        Self::External(Box::new(r))
    }
}

impl From<DataFusionError> for Refusal {
    fn from(e: DataFusionError) -> Self {
        let diagnostic = e.diagnostic().cloned();
        let root = e.find_root();
        let mut r = match root {
            DataFusionError::External(b) if let Some(own) = b.downcast_ref::<Self>() => own.clone(),
            DataFusionError::SchemaError(s, _)
                if let SchemaError::FieldNotFound { field, valid_fields } = s.as_ref() =>
            {
                unknown_column(&field.name, valid_fields.iter().map(|f| f.name.as_str()))
            }
            _ => bound(&root.strip_backtrace(), diagnostic.as_ref()),
        };
        if let Some(span) = diagnostic.and_then(|d| d.span)
            && !matches!(r.at, At::Position(_))
        {
            r = r.at(Location::new(span.start.line, span.start.column));
        }
        r
    }
}

fn unknown_column<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Refusal {
    let mut known: Vec<&str> = known.collect();
    known.sort_unstable();
    known.dedup();
    let r = Refusal::new(format!("there is no column '{name}'")).near(name);
    match did_you_mean(name, known) {
        Some(hint) => r.hint(hint),
        None => r,
    }
}

/// An error of the binder, in our words where they help.
fn bound(text: &str, diagnostic: Option<&Diagnostic>) -> Refusal {
    let mut message = first_line(text);
    let mut hint = None;
    if let Some(d) = diagnostic {
        message = lower_first(&d.message);
        let notes = d.helps.iter().map(|h| &h.message).chain(d.notes.iter().map(|n| &n.message));
        hint = Some(notes.map(|n| lower_first(n)).collect::<Vec<_>>().join("; ")).filter(|n| !n.is_empty());
    }
    let unknown_function =
        message.to_lowercase().strip_prefix("invalid function '").map(|m| m.trim_end_matches('\'').to_owned());
    if let Some(name) = unknown_function {
        let own = crate::functions::names();
        let aggregates = crate::aggregates::names();
        let known: Vec<&str> = own.into_iter().chain(aggregates.iter().map(String::as_str)).collect();
        let r = Refusal::new(format!("there is no function '{name}'")).near(&name);
        return r.hint(
            did_you_mean(&name, known).unwrap_or_else(|| "the functions are listed in the documentation".to_owned()),
        );
    }
    // Types of arguments: the binder wraps what the function itself said.
    if let Some((_, own)) = message.split_once("coercion failed with: Error during planning: ") {
        message = String::from(own.split(". No function matches").next().unwrap_or_default());
    }
    let mut r = Refusal::new(message);
    r.hint = hint;
    if let Some(word) = quoted_word(text) {
        r.at = At::Word(word);
    }
    r
}

impl From<ParserError> for Refusal {
    fn from(e: ParserError) -> Self {
        match e {
            ParserError::RecursionLimitExceeded => {
                Self::new("the statement is nested too deeply").hint("split it with views")
            }
            ParserError::ParserError(m) | ParserError::TokenizerError(m) => parser_message(&m),
        }
    }
}

/// sqlparser writes the place at the end: `Expected: …, found: x at Line: 1, Column: 8`.
fn parser_message(m: &str) -> Refusal {
    let Some((text, place)) = m.rsplit_once(" at Line: ") else {
        return Refusal::new(format!("syntax error: {}", lower_first(m)));
    };
    let r = Refusal::new(format!("syntax error: {}", lower_first(text)));
    let mut numbers = place.split(", Column: ").map(|n| n.trim().parse::<u64>());
    match (numbers.next(), numbers.next()) {
        (Some(Ok(line)), Some(Ok(column))) => r.at(Location::new(line, column)),
        _ => r,
    }
}

/// The library prefixes its messages with the error's class.
fn first_line(text: &str) -> String {
    let mut line = text.lines().next().unwrap_or_default();
    for class in [
        "Error during planning: ",
        "Schema error: ",
        "SQL error: ",
        "This feature is not implemented: ",
        "Arrow error: ",
        "Execution error: ",
        "Cast error: ",
    ] {
        line = line.strip_prefix(class).unwrap_or(line);
    }
    if let Some(rest) = text.strip_prefix("Internal error: ") {
        line = rest.split(".\nThis issue was likely").next().unwrap_or(rest).lines().next().unwrap_or_default();
    }
    lower_first(line.trim_end_matches('.'))
}

pub(crate) fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        // Words in capitals (`GROUP BY …`) stay.
        (Some(a), Some(b)) if a.is_uppercase() && b.is_lowercase() => a.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

fn quoted_word(text: &str) -> Option<String> {
    let start = text.find('\'')? + 1;
    let word = &text[start..start + text[start..].find('\'')?];
    let word = word.rsplit('.').next().unwrap_or(word);
    (!word.is_empty()).then(|| word.to_owned())
}
