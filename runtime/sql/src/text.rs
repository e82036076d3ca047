//! The script as text: its size limit, `${NAME}` variables, and the way back from positions after substitution.
//!
//! `${secret:…}` stays as it is: secrets are read by connectors, never by the planner.

use crate::errors::{SqlError, SqlErrors};
use crate::suggest::did_you_mean;
use std::collections::BTreeMap;

/// Longer texts are refused before anything looks at them; Nexmark's largest script has 3 KiB.
pub const MAX_TEXT_BYTES: usize = 256 * 1024;

/// A script after substitution.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub text: String,
    original: String,
    pieces: Vec<Piece>,
}

/// A stretch of the new text (in characters) and where it comes from.
#[derive(Clone, Copy, Debug)]
struct Piece {
    start: usize,
    original: usize,
    /// All of a variable's value comes from the one place of its name.
    variable: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Code,
    Quoted(char),
    LineComment,
    BlockComment,
}

impl Script {
    pub(crate) fn new(original: &str, variables: &BTreeMap<String, String>) -> Result<Self, SqlErrors> {
        if original.len() > MAX_TEXT_BYTES {
            return Err(SqlErrors(vec![SqlError {
                line: 1,
                column: 1,
                message: format!("the script has {} bytes, more than {MAX_TEXT_BYTES}", original.len()),
                hint: Some("split it into several jobs".to_owned()),
            }]));
        }
        Substitution::new(original, variables).run()
    }

    /// From a position in the new text to the position in the text as written.
    pub(crate) fn locate(&self, line: u64, column: u64) -> (u64, u64) {
        let at = offset_of(&self.text, line, column);
        let i = self.pieces.partition_point(|p| p.start <= at).saturating_sub(1);
        let piece = self.pieces[i];
        let original = piece.original + if piece.variable { 0 } else { at - piece.start };
        position_of(&self.original, original)
    }
}

struct Substitution<'a> {
    variables: &'a BTreeMap<String, String>,
    original: &'a str,
    chars: Vec<char>,
    out: Vec<char>,
    pieces: Vec<Piece>,
    errors: Vec<SqlError>,
}

impl<'a> Substitution<'a> {
    fn new(original: &'a str, variables: &'a BTreeMap<String, String>) -> Self {
        let pieces = vec![Piece { start: 0, original: 0, variable: false }];
        Self { variables, original, chars: original.chars().collect(), out: vec![], pieces, errors: vec![] }
    }

    fn run(mut self) -> Result<Script, SqlErrors> {
        let mut state = State::Code;
        let mut i = 0;
        while i < self.chars.len() {
            let c = self.chars[i];
            let next = self.chars.get(i + 1).copied();
            if matches!(state, State::Code | State::Quoted(_))
                && c == '$'
                && next == Some('{')
                && let Some(end) = self.variable(i)
            {
                i = end;
                continue;
            }
            let (new_state, width) = step(state, c, next);
            state = new_state;
            for k in 0..width {
                self.out.push(self.chars[i + k]);
            }
            i += width;
        }
        if !self.errors.is_empty() {
            return Err(SqlErrors(self.errors));
        }
        Ok(Script { text: self.out.into_iter().collect(), original: self.original.to_owned(), pieces: self.pieces })
    }

    /// Replaces the variable that starts at `i`; returns where the text goes on, or `None` if it is no variable.
    fn variable(&mut self, i: usize) -> Option<usize> {
        let end = i + 2 + self.chars[i + 2..].iter().position(|c| *c == '}')?;
        let name: String = self.chars[i + 2..end].iter().collect();
        if name.starts_with("secret:") {
            return None;
        }
        if let Some(value) = self.variables.get(&name) {
            self.pieces.push(Piece { start: self.out.len(), original: i, variable: true });
            self.out.extend(value.chars());
            self.pieces.push(Piece { start: self.out.len(), original: end + 1, variable: false });
        } else {
            let (line, column) = position_of(self.original, i);
            let known = did_you_mean(&name, self.variables.keys().map(String::as_str));
            let hint = known.or_else(|| Some(format!("give it with --var {name}=VALUE")));
            self.errors.push(SqlError { line, column, message: format!("variable '{name}' has no value"), hint });
        }
        Some(end + 1)
    }
}

/// The state after `c`, and how many characters were used.
fn step(state: State, c: char, next: Option<char>) -> (State, usize) {
    match (state, c, next) {
        (State::Code, '-', Some('-')) => (State::LineComment, 2),
        (State::Code, '/', Some('*')) => (State::BlockComment, 2),
        (State::Code, '\'' | '"' | '`', _) => (State::Quoted(c), 1),
        (State::Quoted(q), _, _) if q == c => (State::Code, 1),
        (State::LineComment, '\n', _) => (State::Code, 1),
        (State::BlockComment, '*', Some('/')) => (State::Code, 2),
        _ => (state, 1),
    }
}

fn offset_of(text: &str, line: u64, column: u64) -> usize {
    let mut offset = 0;
    for (n, l) in text.split('\n').enumerate() {
        let length = l.chars().count();
        if n as u64 + 1 == line {
            return offset + (column.saturating_sub(1) as usize).min(length);
        }
        offset += length + 1;
    }
    offset.saturating_sub(1)
}

fn position_of(text: &str, offset: usize) -> (u64, u64) {
    let (mut line, mut column) = (1, 1);
    for c in text.chars().take(offset) {
        if c == '\n' {
            line += 1;
            column = 1;
        } else {
            column += 1;
        }
    }
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn variables_are_replaced_also_in_strings_but_not_in_comments() {
        let s =
            Script::new("SELECT '${A}' -- ${B}\n/* ${C} */ ${A} ${secret:x/y}", &vars(&[("A", "long value")])).unwrap();
        assert_eq!(s.text, "SELECT 'long value' -- ${B}\n/* ${C} */ long value ${secret:x/y}");
    }

    #[test]
    fn positions_lead_back_to_the_text_as_written() {
        let s = Script::new("SELECT ${A}, x\nFROM t", &vars(&[("A", "a\nb")])).unwrap();
        assert_eq!(s.text, "SELECT a\nb, x\nFROM t");
        assert_eq!(s.locate(1, 1), (1, 1));
        assert_eq!(s.locate(2, 1), (1, 8), "inside the value");
        assert_eq!(s.locate(2, 4), (1, 14), "the x");
        assert_eq!(s.locate(3, 6), (2, 6));
    }

    #[test]
    fn unknown_variables_are_all_reported() {
        let e = Script::new("${NAEM}\n ${X}", &vars(&[("NAME", "v")])).unwrap_err();
        assert_eq!(
            e.to_string(),
            "line 1, column 1: variable 'NAEM' has no value (hint: did you mean 'NAME'?)\n\
             line 2, column 2: variable 'X' has no value (hint: known: NAME)"
        );
    }
}
