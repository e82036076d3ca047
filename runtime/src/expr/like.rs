//! `LIKE`: `%` any text, `_` one character, no escape character unless one is given.

use super::node::{Evaluated, Node, Operand, Rows, failed, mistyped};
use crate::operator::OperatorError;
use arrow::array::{Array, AsArray, BooleanArray};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Like {
    pub input: Node,
    pub pattern: Node,
    /// Of a constant pattern.
    pub prepared: Option<Pattern>,
    pub escape: Option<char>,
    pub negated: bool,
    pub case_insensitive: bool,
}

impl Like {
    pub fn evaluate(&self, rows: &Rows) -> Evaluated {
        let input = self.input.evaluate(rows)?;
        let pattern = self.pattern.evaluate(rows)?;
        let text = input.array.as_string_opt::<i32>().ok_or_else(|| mistyped("LIKE", input.array.data_type()))?;
        let patterns =
            pattern.array.as_string_opt::<i32>().ok_or_else(|| mistyped("LIKE", pattern.array.data_type()))?;
        let constant = input.constant && pattern.constant;
        let count = if input.constant { patterns.len() } else { text.len() };
        let mut result = Vec::with_capacity(count);
        for row in 0..count {
            let (i, j) = (input.at(row), pattern.at(row));
            if text.is_null(i) || patterns.is_null(j) {
                result.push(None);
                continue;
            }
            let hit = match &self.prepared {
                Some(p) => p.matches(text.value(i)),
                None => Pattern::new(patterns.value(j), self.escape, self.case_insensitive)?.matches(text.value(i)),
            };
            result.push(Some(hit != self.negated));
        }
        Ok(Operand { array: Arc::new(BooleanArray::from(result)), constant })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    One,
    Many,
}

/// A pattern, with the shapes that need no search of their own.
#[derive(Debug)]
pub(super) struct Pattern {
    shape: Shape,
    fold: bool,
}

#[derive(Debug)]
enum Shape {
    Equals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    General(Vec<Token>),
}

impl Pattern {
    pub fn new(pattern: &str, escape: Option<char>, fold: bool) -> Result<Self, OperatorError> {
        let folded = if fold { pattern.to_lowercase() } else { pattern.to_owned() };
        let tokens = tokens(&folded, escape)?;
        let literal = |t: &[Token]| {
            t.iter().map(|t| if let Token::Char(c) = t { Some(*c) } else { None }).collect::<Option<String>>()
        };
        let shape = match tokens.as_slice() {
            [Token::Many, middle @ .., Token::Many] if literal(middle).is_some() => {
                literal(middle).map(Shape::Contains)
            }
            [Token::Many, rest @ ..] if literal(rest).is_some() => literal(rest).map(Shape::EndsWith),
            [start @ .., Token::Many] if literal(start).is_some() => literal(start).map(Shape::StartsWith),
            all => literal(all).map(Shape::Equals),
        };
        Ok(Self { shape: shape.unwrap_or(Shape::General(tokens)), fold })
    }

    pub fn matches(&self, text: &str) -> bool {
        if self.fold { self.test(&text.to_lowercase()) } else { self.test(text) }
    }

    fn test(&self, text: &str) -> bool {
        match &self.shape {
            Shape::Equals(s) => text == s,
            Shape::StartsWith(s) => text.starts_with(s.as_str()),
            Shape::EndsWith(s) => text.ends_with(s.as_str()),
            Shape::Contains(s) => text.contains(s.as_str()),
            Shape::General(tokens) => general(tokens, text),
        }
    }
}

fn tokens(pattern: &str, escape: Option<char>) -> Result<Vec<Token>, OperatorError> {
    let mut out = Vec::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            _ if Some(c) == escape => match chars.next() {
                Some(next @ ('%' | '_')) => Token::Char(next),
                Some(next) if Some(next) == escape => Token::Char(next),
                _ => {
                    return Err(failed(
                        format!("LIKE '{pattern}'"),
                        format!("the escape character '{c}' must stand before '%', '_' or itself"),
                    ));
                }
            },
            '%' => Token::Many,
            '_' => Token::One,
            _ => Token::Char(c),
        });
    }
    Ok(out)
}

/// Greedy matching with one point of return: the last `%` is the only one that ever needs to be tried again.
fn general(tokens: &[Token], text: &str) -> bool {
    let (mut rest, mut t) = (text, 0);
    let mut retry: Option<(&str, usize)> = None;
    loop {
        match tokens.get(t) {
            Some(Token::Many) => {
                t += 1;
                retry = Some((rest, t));
                continue;
            }
            None if rest.is_empty() => return true,
            Some(token) => {
                let mut chars = rest.chars();
                if chars.next().is_some_and(|c| *token == Token::One || *token == Token::Char(c)) {
                    rest = chars.as_str();
                    t += 1;
                    continue;
                }
            }
            None => {}
        }
        let Some((from, next)) = retry else { return false };
        let mut chars = from.chars();
        if chars.next().is_none() {
            return false;
        }
        rest = chars.as_str();
        t = next;
        retry = Some((rest, next));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_documented() {
        for (text, pattern, escape, want) in [
            ("abc", "a%", None, true),
            ("abc", "%c", None, true),
            ("abc", "%b%", None, true),
            ("abc", "a_c", None, true),
            ("ac", "a_c", None, false),
            ("äöü", "_ö_", None, true),
            ("a%b", "a#%b", Some('#'), true),
            ("axb", "a#%b", Some('#'), false),
            ("a\\b", "a\\b", None, true),
            ("aXbXc", "a%b%c", None, true),
            ("abab", "%ab", None, true),
            ("ab", "%a_b%", None, false),
            ("aab", "%a_b%", None, true),
            ("mississippi", "m%iss%ip%", None, true),
            ("", "", None, true),
            ("", "%", None, true),
            ("", "_", None, false),
            ("a\nb", "a%b", None, true),
        ] {
            assert_eq!(Pattern::new(pattern, escape, false).unwrap().matches(text), want, "{text:?} LIKE {pattern:?}");
        }
        assert!(Pattern::new("ABC%", None, true).unwrap().matches("abcd"));
        assert!(Pattern::new("a#b", Some('#'), false).is_err());
    }
}
