//! Calls with a syntax of their own, as calls of registered functions: `FLOOR(t TO HOUR)`, `SUBSTRING(s FROM 2)`,
//! `TIMESTAMPDIFF(DAY, a, b)`, `SIMILAR TO`, `MAP['a', 1]`, `IS JSON`, `INTERVAL '1:30' HOUR TO MINUTE`.

use crate::dialect::FlinkDialect;
use datafusion_sql::sqlparser::ast::{
    self, CeilFloorKind, DateTimeField, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, UnaryOperator,
    Value,
};
use datafusion_sql::sqlparser::dialect::{Dialect, Precedence};
use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::parser::{Parser, ParserError};
use datafusion_sql::sqlparser::tokenizer::Token;

/// Rewrites one node; its children have been rewritten before.
pub(crate) fn rewrite(e: &mut Expr) {
    let new = match e {
        Expr::Floor { expr, field: CeilFloorKind::DateTimeField(unit) } => rounded("floor_to", expr, unit),
        Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(unit) } => rounded("ceil_to", expr, unit),
        Expr::Substring { expr, substring_from, substring_for, .. } => {
            let from = substring_from
                .as_deref()
                .cloned()
                .unwrap_or_else(|| Expr::Value(Value::Number("1".to_owned(), false).into()));
            let args = [(**expr).clone(), from].into_iter().chain(substring_for.as_deref().cloned());
            Some(call("substring", args.collect()))
        }
        Expr::SimilarTo { negated, expr, pattern, escape_char } => {
            let escape = escape_char.as_ref().map(|v| Expr::Value(v.clone()));
            let args = [(**expr).clone(), (**pattern).clone()].into_iter().chain(escape);
            Some(negate(*negated, call("similar_to", args.collect())))
        }
        Expr::Function(f) => {
            quote_unit(f);
            plain_places(f);
            None
        }
        Expr::Interval(i) => {
            single_unit(i);
            None
        }
        _ => None,
    };
    if let Some(new) = new {
        *e = new;
    }
}

fn text(s: impl Into<String>) -> Expr {
    Expr::Value(Value::SingleQuotedString(s.into()).into())
}

fn negate(negated: bool, e: Expr) -> Expr {
    if negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(e) } } else { e }
}

pub(crate) fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args.into_iter().map(|e| FunctionArg::Unnamed(FunctionArgExpr::Expr(e))).collect();
    Expr::Function(ast::Function {
        name: vec![Ident::new(name)].into(),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(ast::FunctionArgumentList { duplicate_treatment: None, args, clauses: vec![] }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

fn rounded(function: &str, e: &Expr, unit: &DateTimeField) -> Option<Expr> {
    (*unit != DateTimeField::NoDateTime).then(|| call(function, vec![e.clone(), text(unit.to_string())]))
}

/// The unit of `TIMESTAMPADD` and `TIMESTAMPDIFF` is a word, not a column.
fn quote_unit(f: &mut ast::Function) {
    let name = f.name.to_string().to_ascii_uppercase();
    if !matches!(name.as_str(), "TIMESTAMPADD" | "TIMESTAMPDIFF") {
        return;
    }
    if let FunctionArguments::List(list) = &mut f.args
        && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(unit))) = list.args.first_mut()
        && let Expr::Identifier(word) = unit
    {
        *unit = text(word.value.clone());
    }
}

/// The number of places of `ROUND`, `TRUNCATE` and `TO_TIMESTAMP_LTZ` decides the type of the result: it must be a bare constant, without the cast
/// that gives constants Flink's types.
fn plain_places(f: &mut ast::Function) {
    let name = f.name.to_string().to_ascii_uppercase();
    if !matches!(name.as_str(), "ROUND" | "TRUNCATE" | "TRUNC" | "TO_TIMESTAMP_LTZ") {
        return;
    }
    if let FunctionArguments::List(list) = &mut f.args
        && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(places))) = list.args.get_mut(1)
    {
        let number = if let Expr::UnaryOp { op: UnaryOperator::Minus, expr } = places { expr.as_mut() } else { places };
        if let Expr::Cast { expr, .. } = number
            && matches!(expr.as_ref(), Expr::Value(_))
        {
            *number = expr.as_ref().clone();
        }
    }
}

/// `INTERVAL '1-2' YEAR TO MONTH` in months, `INTERVAL '1 02:03:04.5' DAY TO SECOND` in seconds. What cannot be read stays
/// for the binder to refuse.
fn single_unit(i: &mut ast::Interval) {
    let (Some(first), Some(last)) = (&i.leading_field, &i.last_field) else { return };
    let Expr::Value(v) = i.value.as_ref() else { return };
    let Value::SingleQuotedString(value) = &v.value else { return };
    let Some((amount, unit)) = amount(value, first, last) else { return };
    *i.value = text(amount);
    i.leading_field = Some(unit);
    i.last_field = None;
    i.leading_precision = None;
    i.fractional_seconds_precision = None;
}

fn amount(value: &str, first: &DateTimeField, last: &DateTimeField) -> Option<(String, DateTimeField)> {
    let (sign, value) = value.trim().strip_prefix('-').map_or((1, value.trim()), |v| (-1, v));
    if (first, last) == (&DateTimeField::Year, &DateTimeField::Month) {
        let (y, m) = value.split_once('-')?;
        let months: i64 = y.parse::<i64>().ok()? * 12 + m.parse::<i64>().ok()?;
        return Some(((sign * months).to_string(), DateTimeField::Month));
    }
    let place = |f: &DateTimeField| {
        [DateTimeField::Day, DateTimeField::Hour, DateTimeField::Minute, DateTimeField::Second]
            .iter()
            .position(|x| x == f)
    };
    let (first, last) = (place(first)?, place(last)?);
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    let parts: Vec<i64> = whole.split([' ', ':']).map(|p| p.parse().ok()).collect::<Option<_>>()?;
    if first > last || parts.len() != last - first + 1 || fraction.len() > 9 {
        return None;
    }
    let seconds: i64 = parts.iter().zip(&[86_400, 3_600, 60, 1][first..]).map(|(p, s)| p * s).sum();
    let minus = if sign < 0 { "-" } else { "" };
    Some((format!("{minus}{seconds}.{fraction}"), DateTimeField::Second))
}

/// `MAP[key, value, …]`, if the parser stands before one.
pub(crate) fn parse_map(p: &mut Parser) -> Option<Result<Expr, ParserError>> {
    let Token::Word(w) = &p.peek_token().token else { return None };
    if !w.value.eq_ignore_ascii_case("MAP") || w.quote_style.is_some() || p.peek_nth_token(1).token != Token::LBracket {
        return None;
    }
    p.next_token();
    p.next_token();
    Some(map_entries(p))
}

fn map_entries(p: &mut Parser) -> Result<Expr, ParserError> {
    if p.consume_token(&Token::RBracket) {
        return Ok(call("map", vec![]));
    }
    let entries = p.parse_comma_separated(Parser::parse_expr)?;
    p.expect_token(&Token::RBracket)?;
    Ok(call("map", entries))
}

/// `e IS [NOT] JSON [VALUE | SCALAR | ARRAY | OBJECT]` and `e [NOT] BETWEEN SYMMETRIC a AND b`, if the parser stands before
/// one.
pub(crate) fn parse_infix(p: &mut Parser, e: &Expr) -> Option<Result<Expr, ParserError>> {
    let word = |p: &Parser, i: usize| match p.peek_nth_token(i).token {
        Token::Word(w) => w.value.to_ascii_uppercase(),
        _ => String::new(),
    };
    let (first, second, third) = (word(p, 0), word(p, 1), word(p, 2));
    match (first.as_str(), second.as_str(), third.as_str()) {
        ("IS", "JSON", _) | ("IS", "NOT", "JSON") => {
            let negated = second == "NOT";
            (0..if negated { 3 } else { 2 }).for_each(|_| drop(p.next_token()));
            let kind = word(p, 0);
            let mut args = vec![e.clone()];
            if matches!(kind.as_str(), "VALUE" | "SCALAR" | "ARRAY" | "OBJECT") {
                p.next_token();
                args.push(text(kind));
            }
            Some(Ok(negate(negated, call("is_json", args))))
        }
        ("BETWEEN", "SYMMETRIC", _) | ("NOT", "BETWEEN", "SYMMETRIC") => {
            let negated = first == "NOT";
            (0..if negated { 3 } else { 2 }).for_each(|_| drop(p.next_token()));
            Some(symmetric(p, e, negated))
        }
        _ => None,
    }
}

fn symmetric(p: &mut Parser, e: &Expr, negated: bool) -> Result<Expr, ParserError> {
    let precedence = FlinkDialect.prec_value(Precedence::Between);
    let a = p.parse_subexpr(precedence)?;
    p.expect_keyword(Keyword::AND)?;
    let b = p.parse_subexpr(precedence)?;
    let between = |low: &Expr, high: &Expr| Expr::Between {
        expr: Box::new(e.clone()),
        negated: false,
        low: Box::new(low.clone()),
        high: Box::new(high.clone()),
    };
    let either = Expr::BinaryOp {
        left: Box::new(between(&a, &b)),
        op: ast::BinaryOperator::Or,
        right: Box::new(between(&b, &a)),
    };
    Ok(negate(negated, Expr::Nested(Box::new(either))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_of_several_units_become_one() {
        use DateTimeField::{Day, Hour, Minute, Month, Second, Year};
        for (value, first, last, want) in [
            ("10:20", Hour, Minute, "37200.0"),
            ("1 02:03:04.5", Day, Second, "93784.5"),
            ("-1:30", Minute, Second, "-90.0"),
            ("1-2", Year, Month, "14"),
        ] {
            assert_eq!(amount(value, &first, &last).unwrap().0, want, "{value}");
        }
        assert!(amount("1:2:3", &Hour, &Minute).is_none());
        assert!(amount("x", &Hour, &Minute).is_none());
    }
}
