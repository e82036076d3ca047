//! Flink's lexical rules for sqlparser, without a fork.

use crate::special_syntax;
use datafusion_sql::sqlparser::ast::{Expr, Ident, ObjectNamePart};
use datafusion_sql::sqlparser::dialect::Dialect;
use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::parser::{Parser, ParserError};
use datafusion_sql::sqlparser::tokenizer::Token;

#[derive(Debug)]
pub(crate) struct FlinkDialect;

impl Dialect for FlinkDialect {
    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_' || ch == '$'
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '`' || ch == '"'
    }

    /// `FOR SYSTEM_TIME AS OF`: parsed so that it can be refused by name.
    fn supports_table_versioning(&self) -> bool {
        true
    }

    fn supports_match_recognize(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_named_fn_args_with_rarrow_operator(&self) -> bool {
        true
    }

    /// `TABLE t` and `TABLE t PARTITION BY a, b` inside a table function's arguments. The partition columns travel behind
    /// the marker [`PARTITION_MARK`] as further parts of the name.
    fn parse_prefix(&self, p: &mut Parser) -> Option<Result<Expr, ParserError>> {
        if let Some(map) = special_syntax::parse_map(p) {
            return Some(map);
        }
        let Token::Word(w) = &p.peek_token().token else { return None };
        if w.keyword != Keyword::TABLE || !matches!(p.peek_nth_token(1).token, Token::Word(_)) {
            return None;
        }
        p.next_token();
        Some(parse_table_argument(p))
    }

    fn parse_infix(&self, p: &mut Parser, e: &Expr, _precedence: u8) -> Option<Result<Expr, ParserError>> {
        special_syntax::parse_infix(p, e)
    }
}

/// No user's identifier contains a NUL.
pub(crate) const PARTITION_MARK: &str = "\0partition";

fn parse_table_argument(p: &mut Parser) -> Result<Expr, ParserError> {
    let name = p.parse_object_name(false)?;
    let mut parts: Vec<Ident> = name.0.into_iter().filter_map(ident_of).collect();
    if p.parse_keywords(&[Keyword::PARTITION, Keyword::BY]) {
        parts.push(Ident::new(PARTITION_MARK));
        let parenthesised = p.consume_token(&Token::LParen);
        loop {
            parts.push(p.parse_identifier()?);
            // Without parentheses a comma may as well start the next argument (`DESCRIPTOR(…)`, `INTERVAL …`, `name =>`).
            let more = p.peek_token().token == Token::Comma && (parenthesised || continues_partition(p));
            if !more {
                break;
            }
            p.next_token();
        }
        if parenthesised {
            p.expect_token(&Token::RParen)?;
        }
    }
    Ok(Expr::CompoundIdentifier(parts))
}

fn continues_partition(p: &Parser) -> bool {
    let (word, after) = (p.peek_nth_token(1).token, p.peek_nth_token(2).token);
    matches!(word, Token::Word(w) if w.keyword != Keyword::INTERVAL) && matches!(after, Token::Comma | Token::RParen)
}

fn ident_of(part: ObjectNamePart) -> Option<Ident> {
    match part {
        ObjectNamePart::Identifier(i) => Some(i),
        ObjectNamePart::Function(_) => None,
    }
}
