//! Flink's type names and the Arrow types that stand for them.

use super::cursor::Cursor;
use crate::errors::{Outcome, Refusal};
use crate::suggest::did_you_mean;
use arrow_schema::{DataType, Field, Fields, TimeUnit};
use datafusion_sql::sqlparser::tokenizer::Token;
use std::sync::Arc;

/// A declared type. `text` is Flink's own way to write it, without NOT NULL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FlinkType {
    pub data_type: DataType,
    pub text: String,
    pub nullable: bool,
}

impl FlinkType {
    fn new(data_type: DataType, text: impl Into<String>) -> Self {
        Self { data_type, text: text.into(), nullable: true }
    }

    fn full_text(&self) -> String {
        if self.nullable { self.text.clone() } else { format!("{} NOT NULL", self.text) }
    }
}

const NAMES: &[&str] = &[
    "BOOLEAN",
    "TINYINT",
    "SMALLINT",
    "INT",
    "INTEGER",
    "BIGINT",
    "FLOAT",
    "DOUBLE",
    "DECIMAL",
    "NUMERIC",
    "CHAR",
    "VARCHAR",
    "STRING",
    "BINARY",
    "VARBINARY",
    "BYTES",
    "DATE",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMP_LTZ",
    "ARRAY",
    "MAP",
    "ROW",
];

/// Nested types deeper than this are refused before they recurse further.
const MAX_DEPTH: usize = 20;

pub(crate) fn parse(c: &mut Cursor<'_>) -> Outcome<FlinkType> {
    nested(c, 0)
}

fn nested(c: &mut Cursor<'_>, depth: usize) -> Outcome<FlinkType> {
    if depth > MAX_DEPTH {
        return Err(c.refuse(format!("a type is nested more than {MAX_DEPTH} deep")));
    }
    let place = c.place();
    let (name, _) = c.identifier()?;
    let upper = name.to_uppercase();
    let mut t = match scalar(c, &upper)? {
        Some(t) => t,
        None => composite(c, &upper, depth)?.ok_or_else(|| {
            let r = Refusal::new(format!("unknown type '{name}'")).at(place);
            r.hint(did_you_mean(&name, NAMES.iter().copied()).unwrap_or_else(|| format!("known: {}", NAMES.join(", "))))
        })?,
    };
    loop {
        if c.keywords(&["NOT", "NULL"]) {
            t.nullable = false;
        } else if c.keyword("ARRAY") {
            let text = format!("ARRAY<{}>", t.full_text());
            t = FlinkType::new(DataType::List(Arc::new(Field::new("item", t.data_type, t.nullable))), text);
        } else if !c.keyword("NULL") {
            return Ok(t);
        }
    }
}

fn scalar(c: &mut Cursor<'_>, name: &str) -> Outcome<Option<FlinkType>> {
    Ok(Some(match name {
        "BOOLEAN" => FlinkType::new(DataType::Boolean, "BOOLEAN"),
        "TINYINT" => FlinkType::new(DataType::Int8, "TINYINT"),
        "SMALLINT" => FlinkType::new(DataType::Int16, "SMALLINT"),
        "INT" | "INTEGER" => FlinkType::new(DataType::Int32, "INT"),
        "BIGINT" => FlinkType::new(DataType::Int64, "BIGINT"),
        "FLOAT" => FlinkType::new(DataType::Float32, "FLOAT"),
        "DOUBLE" => {
            c.keyword("PRECISION");
            FlinkType::new(DataType::Float64, "DOUBLE")
        }
        "DECIMAL" | "NUMERIC" | "DEC" => decimal(c)?,
        "CHAR" => length(c, "CHAR", DataType::Utf8, Some(1))?,
        "VARCHAR" => length(c, "VARCHAR", DataType::Utf8, None)?,
        "STRING" => FlinkType::new(DataType::Utf8, "STRING"),
        "BINARY" => length(c, "BINARY", DataType::Binary, Some(1))?,
        "VARBINARY" => length(c, "VARBINARY", DataType::Binary, None)?,
        "BYTES" => FlinkType::new(DataType::Binary, "BYTES"),
        "DATE" => FlinkType::new(DataType::Date32, "DATE"),
        "TIME" => {
            let p = precision(c, 0)?;
            c.keywords(&["WITHOUT", "TIME", "ZONE"]);
            FlinkType::new(DataType::Time32(TimeUnit::Millisecond), format!("TIME({p})"))
        }
        "TIMESTAMP" => timestamp(c)?,
        "TIMESTAMP_LTZ" => {
            let p = precision(c, 6)?;
            local(p)
        }
        _ => return Ok(None),
    }))
}

fn decimal(c: &mut Cursor<'_>) -> Outcome<FlinkType> {
    let place = c.place();
    let (mut p, mut s) = (10, 0);
    if c.token(&Token::LParen) {
        p = c.number()?;
        if c.token(&Token::Comma) {
            s = c.number()?;
        }
        c.expect_token(&Token::RParen)?;
    }
    if p == 0 || p > 38 || s > p {
        return Err(Refusal::new(format!("DECIMAL({p}, {s}) does not exist"))
            .at(place)
            .hint("precision 1 to 38, scale 0 to precision"));
    }
    Ok(FlinkType::new(DataType::Decimal128(p as u8, s as i8), format!("DECIMAL({p}, {s})")))
}

fn length(c: &mut Cursor<'_>, name: &str, data_type: DataType, default: Option<u64>) -> Outcome<FlinkType> {
    let mut n = default;
    if c.token(&Token::LParen) {
        n = Some(c.number()?);
        c.expect_token(&Token::RParen)?;
    }
    let text = n.map_or_else(|| name.to_owned(), |n| format!("{name}({n})"));
    Ok(FlinkType::new(data_type, text))
}

fn precision(c: &mut Cursor<'_>, default: u64) -> Outcome<u64> {
    let mut p = default;
    if c.token(&Token::LParen) {
        p = c.number()?;
        if p > 9 {
            return Err(c.refuse(format!("precision {p} does not exist")).hint("0 (seconds) to 9 (nanoseconds)"));
        }
        c.expect_token(&Token::RParen)?;
    }
    Ok(p)
}

fn timestamp(c: &mut Cursor<'_>) -> Outcome<FlinkType> {
    let p = precision(c, 6)?;
    if c.keywords(&["WITH", "LOCAL", "TIME", "ZONE"]) {
        return Ok(local(p));
    }
    if c.keywords(&["WITH", "TIME", "ZONE"]) {
        return Err(c.refuse("TIMESTAMP WITH TIME ZONE is not supported").near("ZONE").hint("use TIMESTAMP_LTZ"));
    }
    c.keywords(&["WITHOUT", "TIME", "ZONE"]);
    Ok(FlinkType::new(DataType::Timestamp(unit(p), None), format!("TIMESTAMP({p})")))
}

fn local(p: u64) -> FlinkType {
    FlinkType::new(DataType::Timestamp(unit(p), Some("UTC".into())), format!("TIMESTAMP_LTZ({p})"))
}

/// The coarsest unit that holds the digits.
pub(crate) fn unit(precision: u64) -> TimeUnit {
    match precision {
        0 => TimeUnit::Second,
        1..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    }
}

fn composite(c: &mut Cursor<'_>, name: &str, depth: usize) -> Outcome<Option<FlinkType>> {
    Ok(Some(match name {
        "ARRAY" => {
            c.expect_token(&Token::Lt)?;
            let t = nested(c, depth + 1)?;
            c.expect_closing_angle()?;
            let text = format!("ARRAY<{}>", t.full_text());
            FlinkType::new(DataType::List(Arc::new(Field::new("item", t.data_type, t.nullable))), text)
        }
        "MAP" => {
            c.expect_token(&Token::Lt)?;
            let k = nested(c, depth + 1)?;
            c.expect_token(&Token::Comma)?;
            let v = nested(c, depth + 1)?;
            c.expect_closing_angle()?;
            let text = format!("MAP<{}, {}>", k.full_text(), v.full_text());
            FlinkType::new(map_type(k.data_type, v.data_type, v.nullable), text)
        }
        "ROW" => row(c, depth)?,
        "MULTISET" | "RAW" | "SYMBOL" | "UNSIGNED" | "VARIANT" => {
            return Err(c.refuse(format!("type {name} is not supported")).near(name).hint("ARRAY, MAP and ROW are"));
        }
        _ => return Ok(None),
    }))
}

/// Arrow's map of keys (never null) and values.
pub(crate) fn map_type(key: DataType, value: DataType, value_nullable: bool) -> DataType {
    let entry = Fields::from(vec![Field::new("key", key, false), Field::new("value", value, value_nullable)]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry), false)), false)
}

fn row(c: &mut Cursor<'_>, depth: usize) -> Outcome<FlinkType> {
    let parenthesised = c.token(&Token::LParen);
    if !parenthesised {
        c.expect_token(&Token::Lt)?;
    }
    let (mut fields, mut texts) = (vec![], vec![]);
    loop {
        let (name, _) = c.identifier()?;
        let t = nested(c, depth + 1)?;
        if matches!(c.peek_token(), Some(Token::SingleQuotedString(_))) {
            c.string()?;
        }
        texts.push(format!("{name} {}", t.full_text()));
        fields.push(Field::new(name, t.data_type, t.nullable));
        if !c.token(&Token::Comma) {
            break;
        }
    }
    if parenthesised {
        c.expect_token(&Token::RParen)?;
    } else {
        c.expect_closing_angle()?;
    }
    Ok(FlinkType::new(DataType::Struct(Fields::from(fields)), format!("ROW<{}>", texts.join(", "))))
}

/// Flink's name of an Arrow type, for messages and for columns without a declaration.
pub fn flink_name(t: &DataType) -> String {
    let digits = |u: &TimeUnit| match u {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    match t {
        DataType::Null => "NULL".to_owned(),
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int8 => "TINYINT".to_owned(),
        DataType::Int16 => "SMALLINT".to_owned(),
        DataType::Int32 => "INT".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Float32 => "FLOAT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Decimal128(p, s) => format!("DECIMAL({p}, {s})"),
        DataType::Utf8 => "STRING".to_owned(),
        DataType::Binary => "BYTES".to_owned(),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Time32(_) => "TIME(0)".to_owned(),
        DataType::Timestamp(u, None) => format!("TIMESTAMP({})", digits(u)),
        DataType::Timestamp(u, Some(_)) => format!("TIMESTAMP_LTZ({})", digits(u)),
        DataType::List(f) => format!("ARRAY<{}>", flink_name(f.data_type())),
        DataType::Map(entry, _) => match entry.data_type() {
            DataType::Struct(kv) if kv.len() == 2 => {
                format!("MAP<{}, {}>", flink_name(kv[0].data_type()), flink_name(kv[1].data_type()))
            }
            other => other.to_string(),
        },
        DataType::Struct(fields) => {
            let texts: Vec<String> =
                fields.iter().map(|f| format!("{} {}", f.name(), flink_name(f.data_type()))).collect();
            format!("ROW<{}>", texts.join(", "))
        }
        DataType::Interval(_) => "INTERVAL".to_owned(),
        other => other.to_string(),
    }
}
