//! Our own parser for `CREATE TABLE`: computed and metadata columns, watermarks and Flink's types are beyond sqlparser.
//!
//! Expressions inside a declaration stay tokens here; `catalog` binds them when all columns are known.

pub(crate) mod cursor;
pub(crate) mod types;

use crate::errors::Outcome;
use cursor::Cursor;
use datafusion_sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan};
use std::collections::BTreeMap;
use types::FlinkType;

/// A table as declared.
#[derive(Clone, Debug)]
pub(crate) struct CreateTable {
    pub name: String,
    pub place: Location,
    pub columns: Vec<Column>,
    pub primary_key: Vec<(String, Location)>,
    pub watermark: Option<Watermark>,
    pub partitioned_by: Vec<(String, Location)>,
    pub options: BTreeMap<String, String>,
    /// `CREATE TABLE … AS SELECT`.
    pub query: Option<Vec<TokenWithSpan>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub name: String,
    pub kind: ColumnKind,
}

#[derive(Clone, Debug)]
pub(crate) enum ColumnKind {
    Physical(FlinkType),
    Metadata { data_type: FlinkType, key: String, is_virtual: bool },
    Computed(Vec<TokenWithSpan>),
}

#[derive(Clone, Debug)]
pub(crate) struct Watermark {
    pub column: String,
    pub place: Location,
    pub expr: Vec<TokenWithSpan>,
}

/// After `CREATE [TEMPORARY]`.
pub(crate) fn create_table(c: &mut Cursor<'_>) -> Outcome<CreateTable> {
    c.expect_keyword("TABLE")?;
    c.if_not_exists()?;
    let (name, place) = c.name()?;
    let mut table = CreateTable {
        name,
        place,
        columns: vec![],
        primary_key: vec![],
        watermark: None,
        partitioned_by: vec![],
        options: BTreeMap::new(),
        query: None,
    };
    if c.peek_token() == Some(&Token::LParen) {
        elements(c, &mut table)?;
    }
    clauses(c, &mut table)?;
    Ok(table)
}

fn elements(c: &mut Cursor<'_>, table: &mut CreateTable) -> Outcome<()> {
    c.expect_token(&Token::LParen)?;
    loop {
        match c.peek_word().to_uppercase().as_str() {
            "WATERMARK" if c.second_word_is(&["FOR"]) => watermark(c, table)?,
            "PRIMARY" if c.second_word_is(&["KEY"]) => {
                c.keywords(&["PRIMARY", "KEY"]);
                table.primary_key = c.name_list()?;
                not_enforced(c)?;
            }
            "CONSTRAINT" => {
                c.keyword("CONSTRAINT");
                c.identifier()?;
                if !c.keywords(&["PRIMARY", "KEY"]) {
                    return Err(c.refuse("only PRIMARY KEY constraints are supported"));
                }
                table.primary_key = c.name_list()?;
                not_enforced(c)?;
            }
            "LIKE" => return Err(c.refuse("LIKE is not supported in CREATE TABLE").hint("write the columns out")),
            "UNIQUE" if c.second_is(&Token::LParen) => {
                return Err(c.refuse("UNIQUE is not supported").hint("PRIMARY KEY (…) NOT ENFORCED"));
            }
            _ => column(c, table)?,
        }
        if !c.token(&Token::Comma) {
            break;
        }
    }
    c.expect_token(&Token::RParen)
}

fn not_enforced(c: &mut Cursor<'_>) -> Outcome<()> {
    if c.keywords(&["NOT", "ENFORCED"]) {
        return Ok(());
    }
    Err(c
        .refuse("PRIMARY KEY must be followed by NOT ENFORCED")
        .hint("a stream does not own its data, so nothing checks the key"))
}

fn watermark(c: &mut Cursor<'_>, table: &mut CreateTable) -> Outcome<()> {
    if table.watermark.is_some() {
        return Err(c.refuse("a table has at most one WATERMARK"));
    }
    c.keywords(&["WATERMARK", "FOR"]);
    let (column, place) = c.identifier()?;
    c.expect_keyword("AS")?;
    let expr = c.expression()?;
    table.watermark = Some(Watermark { column, place, expr });
    Ok(())
}

fn column(c: &mut Cursor<'_>, table: &mut CreateTable) -> Outcome<()> {
    let (name, place) = c.identifier()?;
    if table.columns.iter().any(|x| x.name == name) {
        return Err(crate::errors::Refusal::new(format!("column '{name}' is declared twice")).at(place));
    }
    let kind = if c.keyword("AS") {
        ColumnKind::Computed(c.expression()?)
    } else {
        let mut data_type = types::parse(c)?;
        if c.keyword("METADATA") {
            let key = if c.keyword("FROM") { c.string()? } else { name.clone() };
            ColumnKind::Metadata { data_type, key, is_virtual: c.keyword("VIRTUAL") }
        } else {
            if c.keywords(&["PRIMARY", "KEY"]) {
                not_enforced(c)?;
                data_type.nullable = false;
                table.primary_key = vec![(name.clone(), place)];
            }
            ColumnKind::Physical(data_type)
        }
    };
    if c.keyword("COMMENT") {
        c.string()?;
    }
    table.columns.push(Column { name, kind });
    Ok(())
}

/// What may follow the columns.
fn clauses(c: &mut Cursor<'_>, table: &mut CreateTable) -> Outcome<()> {
    while let Some(t) = c.peek() {
        match c.peek_word().to_uppercase().as_str() {
            "COMMENT" => {
                c.keyword("COMMENT");
                c.string()?;
            }
            "PARTITIONED" => {
                c.keyword("PARTITIONED");
                c.expect_keyword("BY")?;
                table.partitioned_by = c.name_list()?;
            }
            "WITH" => options(c, table)?,
            "AS" => {
                c.keyword("AS");
                table.query = Some(c.rest().to_vec());
                return Ok(());
            }
            "LIKE" => return Err(c.refuse("LIKE is not supported in CREATE TABLE").hint("write the columns out")),
            "DISTRIBUTED" => {
                return Err(c
                    .refuse("DISTRIBUTED BY is not supported")
                    .hint("leave it out: the engine distributes by key"));
            }
            _ => {
                let found = t.token.to_string();
                let known = ["COMMENT", "PARTITIONED", "WITH", "AS"];
                let hint = crate::suggest::did_you_mean(&found, known).unwrap_or_default();
                return Err(c.refuse(format!("unexpected '{found}' in CREATE TABLE")).hint(hint));
            }
        }
    }
    Ok(())
}

fn options(c: &mut Cursor<'_>, table: &mut CreateTable) -> Outcome<()> {
    c.keyword("WITH");
    c.expect_token(&Token::LParen)?;
    if c.token(&Token::RParen) {
        return Ok(());
    }
    loop {
        let place = c.place();
        let key = c.string()?;
        c.expect_token(&Token::Eq)?;
        let value = c.string()?;
        if table.options.insert(key.clone(), value).is_some() {
            return Err(crate::errors::Refusal::new(format!("option '{key}' is given twice")).at(place));
        }
        if !c.token(&Token::Comma) {
            break;
        }
        // A comma before the closing parenthesis is a common slip, and harmless.
        if c.peek_token() == Some(&Token::RParen) {
            break;
        }
    }
    c.expect_token(&Token::RParen)
}
