//! A cursor over the tokens of one statement.

use crate::errors::{Outcome, Refusal};
use datafusion_sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan};

#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    tokens: &'a [TokenWithSpan],
    index: usize,
    /// `>>` closes two type parameters; set while only the first `>` of it was taken.
    half_shift: bool,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(tokens: &'a [TokenWithSpan]) -> Self {
        Self { tokens, index: 0, half_shift: false }
    }

    pub(crate) fn peek(&self) -> Option<&'a TokenWithSpan> {
        self.tokens.get(self.index)
    }

    pub(crate) fn peek_token(&self) -> Option<&'a Token> {
        self.peek().map(|t| &t.token)
    }

    /// The unquoted word that comes next, or nothing.
    pub(crate) fn peek_word(&self) -> &'a str {
        word(self.peek_token())
    }

    pub(crate) fn second_word_is(&self, words: &[&str]) -> bool {
        let second = word(self.tokens.get(self.index + 1).map(|t| &t.token));
        words.iter().any(|w| second.eq_ignore_ascii_case(w))
    }

    pub(crate) fn second_is(&self, token: &Token) -> bool {
        self.tokens.get(self.index + 1).is_some_and(|t| &t.token == token)
    }

    pub(crate) fn next(&mut self) -> Option<&'a TokenWithSpan> {
        let t = self.tokens.get(self.index);
        self.index += usize::from(t.is_some());
        t
    }

    pub(crate) fn rest(&self) -> &'a [TokenWithSpan] {
        &self.tokens[self.index..]
    }

    /// Where the next token is; behind the last one at the end.
    pub(crate) fn place(&self) -> Location {
        match self.peek() {
            Some(t) => t.span.start,
            None => self.tokens.last().map_or(Location::new(1, 1), |t| t.span.end),
        }
    }

    pub(crate) fn refuse(&self, message: impl Into<String>) -> Refusal {
        Refusal::new(message).at(self.place())
    }

    pub(crate) fn keyword(&mut self, k: &str) -> bool {
        let hit = self.peek_word().eq_ignore_ascii_case(k);
        self.index += usize::from(hit);
        hit
    }

    /// All of them or none.
    pub(crate) fn keywords(&mut self, words: &[&str]) -> bool {
        let start = self.index;
        let all = words.iter().all(|w| self.keyword(w));
        if !all {
            self.index = start;
        }
        all
    }

    pub(crate) fn expect_keyword(&mut self, k: &str) -> Outcome<()> {
        if self.keyword(k) { Ok(()) } else { Err(self.expected(k)) }
    }

    pub(crate) fn token(&mut self, token: &Token) -> bool {
        let hit = self.peek_token() == Some(token);
        self.index += usize::from(hit);
        hit
    }

    pub(crate) fn expect_token(&mut self, token: &Token) -> Outcome<()> {
        if self.token(token) { Ok(()) } else { Err(self.expected(&format!("'{token}'"))) }
    }

    /// `>` of a type parameter list, also as half of `>>`.
    pub(crate) fn expect_closing_angle(&mut self) -> Outcome<()> {
        match self.peek_token() {
            Some(Token::Gt) => self.index += 1,
            Some(Token::ShiftRight) if self.half_shift => {
                self.half_shift = false;
                self.index += 1;
            }
            Some(Token::ShiftRight) => self.half_shift = true,
            _ => return Err(self.expected("'>'")),
        }
        Ok(())
    }

    fn expected(&self, what: &str) -> Refusal {
        match self.peek_token() {
            Some(t) => self.refuse(format!("expected {what}, found '{t}'")),
            None => self.refuse(format!("expected {what}, found the end of the statement")),
        }
    }

    pub(crate) fn identifier(&mut self) -> Outcome<(String, Location)> {
        let place = self.place();
        match self.peek_token() {
            Some(Token::Word(w)) => {
                self.index += 1;
                Ok((w.value.clone(), place))
            }
            _ => Err(self.expected("a name")),
        }
    }

    /// A table's or view's name; a catalog and database in front are read and must be the default ones.
    pub(crate) fn name(&mut self) -> Outcome<(String, Location)> {
        let place = self.place();
        let mut parts = vec![self.identifier()?.0];
        while self.token(&Token::Period) {
            parts.push(self.identifier()?.0);
        }
        let last = parts.pop().unwrap_or_default();
        match parts.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [] | ["default_database"] | ["default_catalog", "default_database"] => Ok((last, place)),
            other => Err(Refusal::new(format!("there is no database '{}'", other.join(".")))
                .at(place)
                .hint("a job has one name space: leave the prefix out")),
        }
    }

    pub(crate) fn name_list(&mut self) -> Outcome<Vec<(String, Location)>> {
        self.expect_token(&Token::LParen)?;
        let mut names = vec![self.identifier()?];
        while self.token(&Token::Comma) {
            names.push(self.identifier()?);
        }
        self.expect_token(&Token::RParen)?;
        Ok(names)
    }

    pub(crate) fn string(&mut self) -> Outcome<String> {
        match self.peek_token() {
            Some(Token::SingleQuotedString(s)) => {
                self.index += 1;
                Ok(s.clone())
            }
            _ => Err(self.expected("a text in single quotes")),
        }
    }

    pub(crate) fn number(&mut self) -> Outcome<u64> {
        match self.peek_token() {
            Some(Token::Number(n, _)) => {
                let value = n.parse().map_err(|_| self.refuse(format!("'{n}' is not a whole number here")))?;
                self.index += 1;
                Ok(value)
            }
            _ => Err(self.expected("a number")),
        }
    }

    pub(crate) fn if_not_exists(&mut self) -> Outcome<()> {
        if self.keyword("IF") {
            self.expect_keyword("NOT")?;
            self.expect_keyword("EXISTS")?;
        }
        Ok(())
    }

    /// The tokens up to a comma, COMMENT or closing parenthesis at this level.
    pub(crate) fn expression(&mut self) -> Outcome<Vec<TokenWithSpan>> {
        let start = self.index;
        let mut depth = 0usize;
        while let Some(t) = self.peek_token() {
            match t {
                Token::LParen | Token::LBracket => depth += 1,
                Token::RParen | Token::RBracket if depth == 0 => break,
                Token::RParen | Token::RBracket => depth -= 1,
                Token::Comma if depth == 0 => break,
                Token::Word(_) if depth == 0 && self.peek_word().eq_ignore_ascii_case("COMMENT") => break,
                _ => {}
            }
            self.index += 1;
        }
        if self.index == start {
            return Err(self.expected("an expression"));
        }
        Ok(self.tokens[start..self.index].to_vec())
    }
}

fn word(token: Option<&Token>) -> &str {
    match token {
        Some(Token::Word(w)) if w.quote_style.is_none() => &w.value,
        _ => "",
    }
}
