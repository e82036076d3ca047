//! Expressions as SQL-like text.

use crate::ddl::types::flink_name;
use arrow_schema::{DataType, TimeUnit};
use chrono::{DateTime, NaiveDate, TimeDelta};
use std::fmt::Write;

use sluice_core::plan::expr::{BinaryOp, Expr, Literal, Value};

/// `names` are those of the columns that the expression is over.
pub fn expression(e: &Expr, names: &[String]) -> String {
    let sub = |e: &Expr| operand(e, names);
    match e {
        Expr::Column(i) => names.get(*i).cloned().unwrap_or_else(|| format!("#{i}")),
        Expr::Literal(l) => literal(l),
        Expr::Binary { op, left, right } => format!("{} {} {}", sub(left), operator(*op), sub(right)),
        Expr::Not(e) => format!("NOT {}", sub(e)),
        Expr::Negate(e) => format!("-{}", sub(e)),
        Expr::IsNull(e) => format!("{} IS NULL", sub(e)),
        Expr::IsNotNull(e) => format!("{} IS NOT NULL", sub(e)),
        Expr::IsTrue(e) => format!("{} IS TRUE", sub(e)),
        Expr::IsFalse(e) => format!("{} IS FALSE", sub(e)),
        Expr::Like { expr, pattern, negated, case_insensitive, .. } => {
            let not = if *negated { "NOT " } else { "" };
            let like = if *case_insensitive { "ILIKE" } else { "LIKE" };
            format!("{} {not}{like} {}", sub(expr), sub(pattern))
        }
        Expr::InList { expr, list, negated } => {
            let not = if *negated { "NOT " } else { "" };
            let items: Vec<String> = list.iter().map(|x| expression(x, names)).collect();
            format!("{} {not}IN ({})", sub(expr), items.join(", "))
        }
        Expr::Cast { expr, to } => format!("CAST({} AS {})", expression(expr, names), flink_name(to)),
        Expr::TryCast { expr, to } => format!("TRY_CAST({} AS {})", expression(expr, names), flink_name(to)),
        Expr::Case { operand, branches, otherwise } => case(operand.as_deref(), branches, otherwise.as_deref(), names),
        Expr::Call { function, args, .. } => {
            let args: Vec<String> = args.iter().map(|x| expression(x, names)).collect();
            format!("{}({})", function.to_uppercase(), args.join(", "))
        }
    }
}

fn operand(e: &Expr, names: &[String]) -> String {
    let text = expression(e, names);
    match e {
        Expr::Column(_)
        | Expr::Literal(_)
        | Expr::Cast { .. }
        | Expr::TryCast { .. }
        | Expr::Call { .. }
        | Expr::Case { .. } => text,
        _ => format!("({text})"),
    }
}

fn case(operand: Option<&Expr>, branches: &[(Expr, Expr)], otherwise: Option<&Expr>, names: &[String]) -> String {
    let mut text = "CASE".to_owned();
    if let Some(o) = operand {
        let _ = write!(text, " {}", expression(o, names));
    }
    for (w, t) in branches {
        let _ = write!(text, " WHEN {} THEN {}", expression(w, names), expression(t, names));
    }
    if let Some(o) = otherwise {
        let _ = write!(text, " ELSE {}", expression(o, names));
    }
    text + " END"
}

fn literal(l: &Literal) -> String {
    match (&l.value, &l.data_type) {
        (Value::Null, _) => "NULL".to_owned(),
        (Value::Boolean(b), _) => b.to_string().to_uppercase(),
        (Value::Int(n), t) => time(*n, t).unwrap_or_else(|| n.to_string()),
        (Value::UInt(n), _) => n.to_string(),
        (Value::Float(bits), _) => format!("{:?}", f64::from_bits(*bits)),
        (Value::Decimal(n), DataType::Decimal128(_, s)) => decimal(*n, *s),
        (Value::Decimal(n), _) => n.to_string(),
        (Value::Text(s), _) => format!("'{}'", s.replace('\'', "''")),
        (Value::Binary(b), _) => format!("X'{}'", hex(b)),
        (Value::Interval { months, days, nanoseconds }, _) => interval(*months, *days, *nanoseconds),
        (Value::List(items), _) => format!("ARRAY[{} items]", items.len()),
    }
}

fn decimal(n: i128, scale: i8) -> String {
    let scale = usize::try_from(scale).unwrap_or(0);
    let digits = format!("{:0>width$}", n.unsigned_abs(), width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    let sign = if n < 0 { "-" } else { "" };
    if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

fn time(n: i64, t: &DataType) -> Option<String> {
    match t {
        DataType::Date32 => {
            let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
            Some(format!("DATE '{}'", epoch.checked_add_signed(TimeDelta::try_days(n)?)?))
        }
        DataType::Timestamp(unit, _) => {
            let (seconds, nanos) = match unit {
                TimeUnit::Second => (n, 0),
                TimeUnit::Millisecond => (n.div_euclid(1000), n.rem_euclid(1000) * 1_000_000),
                TimeUnit::Microsecond => (n.div_euclid(1_000_000), n.rem_euclid(1_000_000) * 1000),
                TimeUnit::Nanosecond => (n.div_euclid(1_000_000_000), n.rem_euclid(1_000_000_000)),
            };
            Some(format!("TIMESTAMP '{}'", DateTime::from_timestamp(seconds, nanos as u32)?.naive_utc()))
        }
        _ => None,
    }
}

fn interval(months: i32, days: i32, nanoseconds: i64) -> String {
    let mut parts = vec![];
    if months != 0 {
        parts.push(format!("{months} months"));
    }
    if days != 0 {
        parts.push(format!("{days} days"));
    }
    if nanoseconds != 0 || parts.is_empty() {
        let ms = nanoseconds / 1_000_000;
        parts.push(if ms % 1000 == 0 { format!("{} s", ms / 1000) } else { format!("{ms} ms") });
    }
    format!("INTERVAL '{}'", parts.join(" "))
}

fn operator(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "+",
        BinaryOp::Subtract => "-",
        BinaryOp::Multiply => "*",
        BinaryOp::Divide => "/",
        BinaryOp::Modulo => "%",
        BinaryOp::Eq => "=",
        BinaryOp::NotEq => "<>",
        BinaryOp::Lt => "<",
        BinaryOp::LtEq => "<=",
        BinaryOp::Gt => ">",
        BinaryOp::GtEq => ">=",
        BinaryOp::And => "AND",
        BinaryOp::Or => "OR",
        BinaryOp::IsDistinctFrom => "IS DISTINCT FROM",
        BinaryOp::IsNotDistinctFrom => "IS NOT DISTINCT FROM",
        BinaryOp::Concat => "||",
        BinaryOp::BitAnd => "&",
        BinaryOp::BitOr => "|",
        BinaryOp::BitXor => "^",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut s, b| {
        let _ = write!(s, "{b:02x}");
        s
    })
}
