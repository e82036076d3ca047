//! Limits on the token stream, before any parser runs.
//!
//! The parser and the planner recurse over the text: too deep a text would overflow the stack, which cannot be caught, and
//! a CASE nested 49 deep is even mis-parsed without an error (the recursion limit is swallowed by a speculative parse and
//! the FROM clause vanishes). So the shape is judged here, on flat tokens.

use crate::errors::{Outcome, Refusal};
use datafusion_sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// Below sqlparser's 50 with a margin, because one nesting of ours can be several calls of the parser.
pub const MAX_NESTING: usize = 40;
/// Operators in a row (`1 + 1 + …`, `a OR b OR …`); each is a level of the expression tree.
pub const MAX_CHAIN: usize = 250;
/// Sum of the chains on a path from the statement down to its deepest parenthesis. At 27 KB of stack per level without
/// optimisation (measured), 1000 levels need 27 MB of the 256 MB that planning has.
pub const MAX_PATH: usize = 1000;
pub const MAX_UNION_ARMS: usize = 200;
pub const MAX_JOINS: usize = 64;
/// Of one statement.
pub const MAX_TOKENS: usize = 20_000;

/// Judges one statement. `tokens` have no whitespace.
pub(crate) fn check(tokens: &[TokenWithSpan]) -> Outcome<()> {
    let mut level = Level::default();
    let mut outer: Vec<Level> = vec![];
    let (mut path, mut arms, mut joins) = (0, 0, 0);
    for t in tokens {
        match class(&t.token) {
            Class::Open(bracket) => {
                outer.push(std::mem::replace(&mut level, Level { bracket, ..Level::default() }));
                if outer.len() > MAX_NESTING {
                    return Err(refuse(t, format!("more than {MAX_NESTING} levels of nesting")));
                }
            }
            Class::Close(bracket) => {
                // An END that closes no CASE is somebody's alias; a stray parenthesis is the parser's to report.
                if level.bracket == bracket
                    && let Some(o) = outer.pop()
                {
                    path -= level.chain;
                    level = o;
                }
            }
            Class::Operator => {
                level.chain += 1;
                path += 1;
                if level.chain > MAX_CHAIN {
                    return Err(refuse(t, format!("more than {MAX_CHAIN} operators in a row")));
                }
                if path > MAX_PATH {
                    return Err(refuse(t, format!("more than {MAX_PATH} operators on one path of nesting")));
                }
            }
            Class::Separator => {
                path -= level.chain;
                level.chain = 0;
            }
            Class::SetOperation => {
                arms += 1;
                path -= level.chain;
                level.chain = 0;
                if arms > MAX_UNION_ARMS {
                    return Err(refuse(t, format!("more than {MAX_UNION_ARMS} UNIONs in one statement")));
                }
            }
            Class::Join => {
                joins += 1;
                if joins > MAX_JOINS {
                    return Err(refuse(t, format!("more than {MAX_JOINS} joins in one statement")));
                }
            }
            Class::Other => {}
        }
    }
    if tokens.len() > MAX_TOKENS {
        return Err(refuse(&tokens[0], format!("the statement has {} tokens, more than {MAX_TOKENS}", tokens.len())));
    }
    Ok(())
}

#[derive(Default)]
struct Level {
    bracket: Bracket,
    chain: usize,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Bracket {
    #[default]
    Statement,
    Paren,
    Square,
    Brace,
    Case,
}

enum Class {
    Open(Bracket),
    Close(Bracket),
    Operator,
    Separator,
    SetOperation,
    Join,
    Other,
}

fn refuse(t: &TokenWithSpan, message: String) -> Refusal {
    Refusal::new(message).at(t.span.start).hint("split the statement with views")
}

fn class(token: &Token) -> Class {
    match token {
        Token::LParen => Class::Open(Bracket::Paren),
        Token::LBracket => Class::Open(Bracket::Square),
        Token::LBrace => Class::Open(Bracket::Brace),
        Token::RParen => Class::Close(Bracket::Paren),
        Token::RBracket => Class::Close(Bracket::Square),
        Token::RBrace => Class::Close(Bracket::Brace),
        Token::Comma => Class::Separator,
        Token::Word(w) if w.quote_style.is_none() => word_class(&w.value.to_uppercase()),
        Token::Plus
        | Token::Minus
        | Token::Mul
        | Token::Div
        | Token::Mod
        | Token::StringConcat
        | Token::Eq
        | Token::Neq
        | Token::Lt
        | Token::LtEq
        | Token::Gt
        | Token::GtEq
        | Token::Ampersand
        | Token::Pipe
        | Token::Caret
        | Token::Tilde
        | Token::ExclamationMark
        | Token::DoubleColon => Class::Operator,
        _ => Class::Other,
    }
}

fn word_class(word: &str) -> Class {
    match word {
        "CASE" => Class::Open(Bracket::Case),
        "END" => Class::Close(Bracket::Case),
        "AND" | "OR" | "NOT" | "IS" | "LIKE" | "BETWEEN" | "IN" => Class::Operator,
        "SELECT" | "FROM" | "WHERE" | "GROUP" | "HAVING" | "ON" | "WHEN" | "THEN" | "ELSE" | "AS" => Class::Separator,
        "UNION" | "INTERSECT" | "EXCEPT" | "MINUS" => Class::SetOperation,
        "JOIN" => Class::Join,
        _ => Class::Other,
    }
}
