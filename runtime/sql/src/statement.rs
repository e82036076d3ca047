//! From the token stream to statements: where each begins and ends, and what kind it is.
//!
//! sqlparser's tokenizer knows quotes and comments; the splitter only looks at flat tokens, so no text can overflow it.

use crate::budget;
use crate::ddl::cursor::Cursor;
use crate::ddl::{self, CreateTable};
use crate::dialect::FlinkDialect;
use crate::errors::{Outcome, Refusal, SqlError, SqlErrors};
use crate::text::Script;
use datafusion_sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Whitespace};

/// A statement with its tokens (no whitespace, no comments).
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub tokens: Vec<TokenWithSpan>,
    /// Texts of `/*+ … */`.
    pub hints: Vec<(String, Location)>,
    pub kind: StatementKind,
}

#[derive(Clone, Debug)]
pub(crate) enum StatementKind {
    Set {
        key: String,
        value: String,
    },
    CreateTable(Box<CreateTable>),
    CreateView {
        name: String,
        columns: Vec<String>,
        query: Vec<TokenWithSpan>,
    },
    Insert {
        table: String,
        place: Location,
        columns: Option<Vec<(String, Location)>>,
        query: Vec<TokenWithSpan>,
    },
    Select {
        query: Vec<TokenWithSpan>,
    },
    /// `EXECUTE STATEMENT SET BEGIN`, `END` and the like: all INSERTs of a script are one job anyway.
    Nothing,
}

/// Splits and classifies. All statements are looked at, so that all errors are reported at once.
pub(crate) fn split(script: &Script) -> Result<Vec<Result<Statement, Broken>>, SqlErrors> {
    let tokens = Tokenizer::new(&FlinkDialect, &script.text).tokenize_with_location().map_err(|e| {
        SqlErrors(vec![SqlError {
            line: e.location.line.max(1),
            column: e.location.column.max(1),
            message: format!("syntax error: {}", crate::errors::lower_first(&e.message)),
            hint: Some("a quote or comment is not closed, or a character belongs to no token".to_owned()),
        }])
    })?;
    let mut statements = vec![];
    let mut raw = Raw::default();
    for t in tokens {
        match t.token {
            Token::SemiColon => statements.extend(std::mem::take(&mut raw).finish()),
            Token::Whitespace(Whitespace::MultiLineComment(c)) if c.starts_with('+') => {
                raw.hints.push((c[1..].trim().to_owned(), t.span.start));
            }
            Token::Whitespace(_) | Token::EOF => {}
            _ => raw.push(t),
        }
    }
    statements.extend(raw.finish());
    Ok(statements)
}

/// A statement that could not be read.
pub(crate) struct Broken {
    pub error: SqlError,
    /// What it would have declared.
    pub declares: Option<String>,
}

/// `CREATE [TEMPORARY] TABLE|VIEW [IF NOT EXISTS] name`.
fn declared_name(tokens: &[TokenWithSpan]) -> Option<String> {
    let mut c = Cursor::new(tokens);
    if !c.keyword("CREATE") {
        return None;
    }
    c.keyword("TEMPORARY");
    if !c.keyword("TABLE") && !c.keyword("VIEW") {
        return None;
    }
    c.if_not_exists().ok()?;
    c.name().ok().map(|(name, _)| name)
}

/// A statement whose end has not come yet.
#[derive(Default)]
struct Raw {
    tokens: Vec<TokenWithSpan>,
    hints: Vec<(String, Location)>,
}

impl Raw {
    fn push(&mut self, t: TokenWithSpan) {
        self.tokens.push(t);
        // The opening of a statement set has no semicolon of its own.
        if words_are(&self.tokens, &["EXECUTE", "STATEMENT", "SET", "BEGIN"])
            || words_are(&self.tokens, &["STATEMENT", "SET", "BEGIN"])
        {
            self.tokens.clear();
        }
    }

    fn finish(self) -> Option<Result<Statement, Broken>> {
        if self.tokens.is_empty() {
            return None;
        }
        let tokens = self.tokens;
        Some(match budget::check(&tokens).and_then(|()| classify(&tokens)) {
            Ok(kind) => Ok(Statement { tokens, hints: self.hints, kind }),
            Err(r) => Err(Broken { declares: declared_name(&tokens), error: r.into_error(&tokens) }),
        })
    }
}

fn words_are(tokens: &[TokenWithSpan], words: &[&str]) -> bool {
    tokens.len() == words.len()
        && tokens.iter().zip(words).all(|(t, w)| matches!(&t.token, Token::Word(x) if x.value.eq_ignore_ascii_case(w)))
}

fn classify(tokens: &[TokenWithSpan]) -> Outcome<StatementKind> {
    if words_are(tokens, &["END"]) || words_are(tokens, &["BEGIN", "STATEMENT", "SET"]) {
        return Ok(StatementKind::Nothing);
    }
    let mut c = Cursor::new(tokens);
    if c.keyword("EXPLAIN") || c.keyword("DESCRIBE") || c.keyword("DESC") || c.keyword("SHOW") {
        return Err(not_here(&tokens[0], "is for an interactive client").hint("use `sluice check` or `sluice plan`"));
    }
    c.keyword("EXECUTE");
    match c.peek_word().to_uppercase().as_str() {
        "SET" => set(&mut c),
        "RESET" => Err(not_here(&tokens[0], "is not supported").hint("leave out the SET statement")),
        "CREATE" => create(&mut c),
        "INSERT" => insert(&mut c),
        "SELECT" | "WITH" | "VALUES" => Ok(StatementKind::Select { query: c.rest().to_vec() }),
        "DROP" | "ALTER" | "USE" | "LOAD" | "UNLOAD" | "ADD" | "REMOVE" | "ANALYZE" | "TRUNCATE" | "UPDATE"
        | "DELETE" | "CALL" | "MERGE" | "COMPILE" | "STOP" => {
            Err(not_here(&tokens[0], "is not supported").hint("a job declares its tables, views and INSERTs"))
        }
        _ if tokens[0].token == Token::LParen => Ok(StatementKind::Select { query: tokens.to_vec() }),
        _ => {
            let found = tokens[0].token.to_string();
            let known = ["CREATE", "INSERT", "SELECT", "SET", "WITH", "EXECUTE"];
            let r = Refusal::new(format!("a statement cannot begin with '{found}'")).at(tokens[0].span.start);
            Err(r.hint(crate::suggest::did_you_mean(&found, known).unwrap_or_default()))
        }
    }
}

fn not_here(t: &TokenWithSpan, why: &str) -> Refusal {
    Refusal::new(format!("{} {why}", t.token.to_string().to_uppercase())).at(t.span.start)
}

/// `SET 'k' = 'v'`, also without quotes.
fn set(c: &mut Cursor<'_>) -> Outcome<StatementKind> {
    c.expect_keyword("SET")?;
    let key = text_until(c, &Token::Eq);
    c.expect_token(&Token::Eq)?;
    let value = text_until(c, &Token::EOF);
    if key.is_empty() || value.is_empty() {
        return Err(c.refuse("SET needs a key and a value").hint("SET 'key' = 'value'"));
    }
    Ok(StatementKind::Set { key, value })
}

/// Tokens up to `end`, put together as they were written without spaces around punctuation.
fn text_until(c: &mut Cursor<'_>, end: &Token) -> String {
    let mut text = String::new();
    let mut last_end = None;
    while let Some(t) = c.peek() {
        if &t.token == end {
            break;
        }
        if last_end.is_some_and(|e: Location| e.line != t.span.start.line || e.column != t.span.start.column) {
            text.push(' ');
        }
        last_end = Some(t.span.end);
        match &t.token {
            Token::SingleQuotedString(s) => text.push_str(s),
            other => text.push_str(&other.to_string()),
        }
        c.next();
    }
    text
}

fn create(c: &mut Cursor<'_>) -> Outcome<StatementKind> {
    c.expect_keyword("CREATE")?;
    if c.keywords(&["OR", "REPLACE"]) {
        return Err(c.refuse("CREATE OR REPLACE is not supported").near("REPLACE").hint("leave out OR REPLACE"));
    }
    let _temporary = c.keyword("TEMPORARY");
    match c.peek_word().to_uppercase().as_str() {
        "TABLE" => ddl::create_table(c).map(|t| StatementKind::CreateTable(Box::new(t))),
        "VIEW" => create_view(c),
        other => {
            let what = if other.is_empty() { "this".to_owned() } else { other.to_owned() };
            Err(c.refuse(format!("CREATE {what} is not supported")).hint("CREATE TABLE and CREATE VIEW are"))
        }
    }
}

fn create_view(c: &mut Cursor<'_>) -> Outcome<StatementKind> {
    c.expect_keyword("VIEW")?;
    c.if_not_exists()?;
    let (name, _) = c.name()?;
    let mut columns = vec![];
    if c.token(&Token::LParen) {
        loop {
            columns.push(c.identifier()?.0);
            if c.keyword("COMMENT") {
                c.string()?;
            }
            if !c.token(&Token::Comma) {
                break;
            }
        }
        c.expect_token(&Token::RParen)?;
    }
    if c.keyword("COMMENT") {
        c.string()?;
    }
    c.expect_keyword("AS")?;
    let query = c.rest().to_vec();
    if query.is_empty() {
        return Err(c.refuse("the view has no query").hint("CREATE VIEW v AS SELECT …"));
    }
    Ok(StatementKind::CreateView { name, columns, query })
}

fn insert(c: &mut Cursor<'_>) -> Outcome<StatementKind> {
    c.expect_keyword("INSERT")?;
    if c.peek_word().eq_ignore_ascii_case("OVERWRITE") {
        return Err(c.refuse("INSERT OVERWRITE is not supported").hint("a stream only adds: use INSERT INTO"));
    }
    c.expect_keyword("INTO")?;
    let (table, place) = c.name()?;
    if c.peek_word().eq_ignore_ascii_case("PARTITION") {
        return Err(c.refuse("INSERT INTO … PARTITION is not supported").hint("select the partition columns too"));
    }
    let mut columns = None;
    // `INSERT INTO t (SELECT …)` has a parenthesis too.
    if c.peek_token() == Some(&Token::LParen) && !c.second_word_is(&["SELECT", "WITH", "VALUES"]) {
        c.token(&Token::LParen);
        let mut list = vec![];
        loop {
            list.push(c.identifier()?);
            if !c.token(&Token::Comma) {
                break;
            }
        }
        c.expect_token(&Token::RParen)?;
        columns = Some(list);
    }
    let query = c.rest().to_vec();
    if query.is_empty() {
        return Err(c.refuse("INSERT has no query").hint("INSERT INTO t SELECT …"));
    }
    Ok(StatementKind::Insert { table, place, columns, query })
}
