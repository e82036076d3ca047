//! Small rewrites of the syntax tree before binding, where Flink's meaning and DataFusion's differ.

use crate::errors::Outcome;
use datafusion_sql::sqlparser::ast::{
    self, CharacterLength, DataType, Expr, Ident, Query, Select, SelectItem, SetExpr, TimezoneInfo, VisitMut,
    VisitorMut,
};
use std::ops::ControlFlow;

pub(crate) fn query(q: &mut Query) -> Outcome<()> {
    let _ = q.visit(&mut Normalize);
    crate::refuse::query(q)
}

pub(crate) fn expr(e: &mut Expr) -> Outcome<()> {
    let _ = e.visit(&mut Normalize);
    Ok(())
}

struct Normalize;

impl VisitorMut for Normalize {
    type Break = ();

    fn pre_visit_query(&mut self, q: &mut Query) -> ControlFlow<()> {
        name_columns(&mut q.body);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, e: &mut Expr) -> ControlFlow<()> {
        crate::special_syntax::rewrite(e);
        match e {
            Expr::TypedString(t) => timestamp_literal(t),
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

/// Flink's names of unnamed columns.
fn name_select(s: &mut Select) {
    for (i, item) in s.projection.iter_mut().enumerate() {
        if let SelectItem::UnnamedExpr(e) = item
            && !matches!(e, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
        {
            *item = SelectItem::ExprWithAlias { expr: e.clone(), alias: Ident::with_quote('`', format!("EXPR${i}")) };
        }
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
