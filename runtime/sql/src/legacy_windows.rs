//! Group windows of older Flink texts, `GROUP BY TUMBLE(ts, INTERVAL '1' HOUR)` with `TUMBLE_START(…)` and the like: written
//! as the window table functions that replaced them.

use crate::dialect::PARTITION_MARK;
use datafusion_sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, GroupByExpr, Ident,
    ObjectNamePart, Select, SetExpr, TableFactor, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// All SELECTs of a query body; those of sub-queries are visited as queries of their own.
pub(crate) fn rewrite(body: &mut SetExpr) {
    match body {
        SetExpr::Select(s) => {
            select(s);
        }
        SetExpr::SetOperation { left, right, .. } => {
            rewrite(left);
            rewrite(right);
        }
        _ => {}
    }
}

/// `None`: there is no group window, or not over one plain table; the binder then reports the unknown function.
fn select(s: &mut Select) -> Option<()> {
    let GroupByExpr::Expressions(keys, _) = &mut s.group_by else { return None };
    let at = keys.iter().position(|k| group_window(k).is_some())?;
    let (kind, args) = group_window(&keys[at])?;
    let [from] = s.from.as_mut_slice() else { return None };
    if !from.joins.is_empty() {
        return None;
    }
    let TableFactor::Table { name, alias, args: None, .. } = &from.relation else { return None };
    let mut table: Vec<Ident> = name.0.iter().filter_map(ObjectNamePart::as_ident).cloned().collect();
    if kind == "SESSION" {
        let others: Vec<Ident> =
            keys.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, k)| column(k)).collect::<Option<_>>()?;
        if !others.is_empty() {
            table.push(Ident::new(PARTITION_MARK));
            table.extend(others);
        }
    }
    let mut alias = alias.clone();
    if alias.is_none() {
        // Columns may be qualified by the table's name.
        alias = table.first().map(|t| named(t.clone()));
    }
    let mut call =
        vec![Expr::CompoundIdentifier(table), function("DESCRIPTOR", vec![Expr::Identifier(column(&args[0])?)])];
    call.extend(args[1..].iter().cloned());
    from.relation = TableFactor::TableFunction { expr: function(&kind, call), alias };
    keys.splice(at..=at, ["window_start", "window_end"].map(|c| Expr::Identifier(Ident::new(c))));
    let mut auxiliaries = Auxiliaries { kind };
    let _ = s.projection.visit(&mut auxiliaries);
    let _ = s.having.visit(&mut auxiliaries);
    // The time of the window is a key only where it is read: it follows from the end.
    let reads_time = s.projection.iter().any(|p| p.to_string().contains("window_time"));
    if let (true, GroupByExpr::Expressions(keys, _)) = (reads_time, &mut s.group_by) {
        keys.push(Expr::Identifier(Ident::new("window_time")));
    }
    Some(())
}

/// `TUMBLE(time, size)`, `HOP(time, slide, size)`, `SESSION(time, gap)`.
fn group_window(e: &Expr) -> Option<(String, Vec<Expr>)> {
    let (name, args) = call_of(e)?;
    let wanted = match name.as_str() {
        "TUMBLE" | "SESSION" => 2,
        "HOP" => 3,
        _ => return None,
    };
    (args.len() == wanted && column(&args[0]).is_some()).then_some((name, args))
}

fn call_of(e: &Expr) -> Option<(String, Vec<Expr>)> {
    let Expr::Function(f) = e else { return None };
    let FunctionArguments::List(l) = &f.args else { return None };
    let arg = |a: &FunctionArg| match a {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(e.clone()),
        _ => None,
    };
    Some((f.name.to_string().to_uppercase(), l.args.iter().map(arg).collect::<Option<_>>()?))
}

fn column(e: &Expr) -> Option<Ident> {
    match e {
        Expr::Identifier(i) => Some(i.clone()),
        Expr::CompoundIdentifier(ids) => ids.last().cloned(),
        _ => None,
    }
}

fn named(name: Ident) -> datafusion_sql::sqlparser::ast::TableAlias {
    datafusion_sql::sqlparser::ast::TableAlias { explicit: true, name, columns: vec![], at: None }
}

fn function(name: &str, args: Vec<Expr>) -> Expr {
    Expr::Function(Function {
        name: vec![Ident::new(name)].into(),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.into_iter().map(|e| FunctionArg::Unnamed(FunctionArgExpr::Expr(e))).collect(),
            clauses: vec![],
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

/// `TUMBLE_START(…)` and its kin become the window's columns.
struct Auxiliaries {
    kind: String,
}

impl VisitorMut for Auxiliaries {
    type Break = ();

    fn post_visit_expr(&mut self, e: &mut Expr) -> ControlFlow<()> {
        if let Some((name, _)) = call_of(e)
            && let Some(part) = name.strip_prefix(&self.kind).and_then(|p| p.strip_prefix('_'))
        {
            let column = match part {
                "START" => "window_start",
                "END" => "window_end",
                "ROWTIME" | "PROCTIME" => "window_time",
                _ => return ControlFlow::Continue(()),
            };
            *e = Expr::Identifier(Ident::new(column));
        }
        ControlFlow::Continue(())
    }
}
