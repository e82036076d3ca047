//! Small rewrites of the syntax tree before binding, where Flink's meaning and DataFusion's differ.

use crate::errors::Outcome;
use datafusion_sql::sqlparser::ast::{
    self, CastKind, CharacterLength, DataType, Expr, Ident, Query, Select, SelectItem, SetExpr, TimezoneInfo, VisitMut,
    VisitorMut,
};
use std::ops::ControlFlow;

pub(crate) fn query(q: &mut Query) -> Outcome<()> {
    let _ = q.visit(&mut Normalize);
    crate::refuse::query(q)
}

pub(crate) fn expr(e: &mut Expr) {
    let _ = e.visit(&mut Normalize);
}

struct Normalize;

impl VisitorMut for Normalize {
    type Break = ();

    fn pre_visit_query(&mut self, q: &mut Query) -> ControlFlow<()> {
        crate::legacy_windows::rewrite(&mut q.body);
        name_columns(&mut q.body);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, e: &mut Expr) -> ControlFlow<()> {
        crate::special_syntax::rewrite(e);
        match e {
            Expr::TypedString(t) => timestamp_literal(t),
            Expr::Value(v) => {
                if let Some(t) = number_type(&v.value) {
                    let inner = Box::new(e.clone());
                    *e = Expr::Cast { kind: CastKind::Cast, expr: inner, data_type: t, array: false, format: None };
                }
            }
            Expr::Interval(i) => plain_number(&mut i.value),
            Expr::Cast { data_type, .. } => {
                if let Some(n) = take_length(data_type) {
                    cut(e, n);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn name_columns(body: &mut SetExpr) {
    match body {
        SetExpr::Select(s) => name_select(s),
        SetExpr::SetOperation { left, right, .. } => {
            name_columns(left);
            name_columns(right);
        }
        _ => {}
    }
}

/// Flink's names: `EXPR$1` for what has none, `id0` for the second `id`.
fn name_select(s: &mut Select) {
    let mut taken: Vec<String> = vec![];
    for (i, item) in s.projection.iter_mut().enumerate() {
        let SelectItem::UnnamedExpr(e) = item else {
            if let SelectItem::ExprWithAlias { alias, .. } = item {
                taken.push(alias.value.clone());
            }
            continue;
        };
        let compound = matches!(e, Expr::CompoundIdentifier(_));
        let name = match e {
            Expr::Identifier(id) => Some(&id.value),
            Expr::CompoundIdentifier(ids) => ids.last().map(|id| &id.value),
            _ => None,
        };
        let alias = match name {
            None => format!("EXPR${i}"),
            Some(name) if taken.contains(name) => unused(name, &taken),
            // A field of a ROW is named by the field; a qualified column is by its name anyway.
            Some(name) if compound => name.clone(),
            Some(name) => {
                taken.push(name.clone());
                continue;
            }
        };
        taken.push(alias.clone());
        *item = SelectItem::ExprWithAlias { expr: e.clone(), alias: Ident::with_quote('`', alias) };
    }
}

fn unused(name: &str, taken: &[String]) -> String {
    let candidates = (0..=taken.len()).map(|n| format!("{name}{n}"));
    candidates.into_iter().find(|c| !taken.contains(c)).unwrap_or_else(|| name.to_owned())
}

/// Flink's types of numbers: INT if it fits (DataFusion: BIGINT), `0.908` DECIMAL(4, 3) (every written digit counts),
/// `1E3` DOUBLE. The cast of a constant is a constant again after binding.
fn number_type(v: &ast::Value) -> Option<DataType> {
    let ast::Value::Number(n, _) = v else { return None };
    if n.contains(['e', 'E']) {
        return Some(DataType::Double(ast::ExactNumberInfo::None));
    }
    let Some((whole, part)) = n.split_once('.') else {
        return n.parse::<i32>().is_ok().then_some(DataType::Int(None));
    };
    if part.is_empty() {
        return None;
    }
    let (precision, scale) = ((whole.len() + part.len()) as u64, part.len() as i64);
    (precision <= 38).then_some(DataType::Decimal(ast::ExactNumberInfo::PrecisionAndScale(precision, scale)))
}

/// Where the grammar wants the bare number.
fn plain_number(e: &mut Expr) {
    if let Expr::Cast { expr, .. } = e
        && matches!(expr.as_ref(), Expr::Value(_))
    {
        *e = expr.as_ref().clone();
    }
}

/// `TIMESTAMP '… .123'` has the precision of its digits.
fn timestamp_literal(t: &mut ast::TypedString) {
    if let DataType::Timestamp(p @ None, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) = &mut t.data_type
        && let ast::Value::SingleQuotedString(s) = &t.value.value
    {
        let digits = s.rsplit_once('.').map_or(0, |(_, f)| f.trim_end().len() as u64);
        *p = Some(digits.min(9));
    }
}

/// `VARCHAR(n)` and `CHAR(n)` become STRING; returns n.
fn take_length(t: &mut DataType) -> Option<u64> {
    let length = match t {
        DataType::Varchar(l) | DataType::Char(l) | DataType::CharVarying(l) | DataType::Character(l) => *l,
        _ => return None,
    };
    *t = DataType::String(None);
    match length {
        Some(CharacterLength::IntegerLength { length, .. }) => Some(length),
        _ => None,
    }
}

/// A cast to a shorter text cuts it.
fn cut(e: &mut Expr, n: u64) {
    let inner = e.clone();
    let number = Expr::Value(ast::Value::Number(n.to_string(), false).into());
    let arg = |e| ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(e));
    *e = Expr::Function(ast::Function {
        name: vec![Ident::new("LEFT")].into(),
        uses_odbc_syntax: false,
        parameters: ast::FunctionArguments::None,
        args: ast::FunctionArguments::List(ast::FunctionArgumentList {
            duplicate_treatment: None,
            args: vec![arg(inner), arg(number)],
            clauses: vec![],
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    });
}
