//! What the dialect parses and the engine does not do, refused by name before anything is bound: the binder would drop some
//! of it without a word.

use crate::errors::{Outcome, Refusal};
use datafusion_sql::sqlparser::ast::{
    Distinct, Expr, FunctionArguments, GroupByExpr, JoinOperator, Query, Select, SetExpr, SetOperator, SetQuantifier,
    Spanned, TableFactor, Visit, Visitor, WindowType,
};
use std::ops::ControlFlow;

pub(crate) fn query(q: &Query) -> Outcome<()> {
    match q.visit(&mut Refuse) {
        ControlFlow::Break(r) => Err(*r),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Refuse;

type Flow = ControlFlow<Box<Refusal>>;

fn no(message: impl Into<String>, near: &str, hint: &str) -> Flow {
    ControlFlow::Break(Box::new(Refusal::new(message).near(near).hint(hint)))
}

impl Visitor for Refuse {
    type Break = Box<Refusal>;

    fn pre_visit_query(&mut self, q: &Query) -> Flow {
        if q.with.as_ref().is_some_and(|w| w.recursive) {
            return no("WITH RECURSIVE is not supported", "RECURSIVE", "a stream has no fixed point to reach");
        }
        if q.fetch.is_some() {
            return no("FETCH is not supported", "FETCH", "use ORDER BY … LIMIT n");
        }
        if !q.locks.is_empty() || q.for_clause.is_some() {
            return no("FOR UPDATE and the like are not supported", "FOR", "a stream has no locks");
        }
        if !q.pipe_operators.is_empty() {
            return no("pipe operators are not supported", "|>", "write a SELECT");
        }
        set_expr(&q.body)
    }

    fn pre_visit_table_factor(&mut self, t: &TableFactor) -> Flow {
        table_factor(t)
    }

    fn pre_visit_expr(&mut self, e: &Expr) -> Flow {
        expr(e)
    }
}

fn set_expr(body: &SetExpr) -> Flow {
    match body {
        SetExpr::Select(s) => select(s),
        SetExpr::SetOperation { op: SetOperator::Union, set_quantifier, left, right } => {
            if matches!(
                set_quantifier,
                SetQuantifier::ByName | SetQuantifier::AllByName | SetQuantifier::DistinctByName
            ) {
                return no("UNION BY NAME is not supported", "NAME", "list the columns in the same order");
            }
            set_expr(left)?;
            set_expr(right)
        }
        SetExpr::SetOperation { op, .. } => {
            let name = op.to_string();
            no(format!("{name} is not supported"), &name, "use WHERE … IN (SELECT …) or NOT EXISTS")
        }
        SetExpr::Query(_) | SetExpr::Values(_) => ControlFlow::Continue(()),
        SetExpr::Table(_) => no("TABLE t as a query is not supported", "TABLE", "SELECT * FROM t"),
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
            no("a query cannot change a table", "", "use INSERT INTO … SELECT")
        }
    }
}

fn select(s: &Select) -> Flow {
    if matches!(s.distinct, Some(Distinct::On(_))) {
        return no("DISTINCT ON is not supported", "DISTINCT", "use ROW_NUMBER() OVER (PARTITION BY …) = 1");
    }
    if s.top.is_some() {
        return no("TOP is not supported", "TOP", "use ORDER BY … LIMIT n");
    }
    if s.into.is_some() {
        return no("SELECT INTO is not supported", "INTO", "use INSERT INTO … SELECT");
    }
    if !s.lateral_views.is_empty() {
        return no("LATERAL VIEW is not supported", "LATERAL", "no table functions of your own yet");
    }
    if !s.named_window.is_empty() {
        return no("WINDOW clauses are not supported", "WINDOW", "write the window into OVER (…)");
    }
    if s.qualify.is_some() {
        return no("QUALIFY is not supported", "QUALIFY", "put the condition into an outer WHERE");
    }
    let other = [
        (s.prewhere.is_some(), "PREWHERE"),
        (!s.connect_by.is_empty(), "CONNECT"),
        (!s.cluster_by.is_empty(), "CLUSTER"),
        (!s.distribute_by.is_empty(), "DISTRIBUTE"),
        (!s.sort_by.is_empty(), "SORT"),
    ];
    if let Some((_, name)) = other.iter().find(|(present, _)| *present) {
        return no(format!("{name} is not supported"), name, "leave it out");
    }
    for j in s.from.iter().flat_map(|f| &f.joins) {
        join(&j.join_operator)?;
    }
    group_by(&s.group_by)
}

fn group_by(g: &GroupByExpr) -> Flow {
    let hint = "write one INSERT per grouping";
    match g {
        GroupByExpr::All(_) => no("GROUP BY ALL is not supported", "ALL", "list the columns"),
        GroupByExpr::Expressions(exprs, modifiers) => {
            if !modifiers.is_empty() {
                return no("GROUP BY … WITH is not supported", "WITH", hint);
            }
            for e in exprs {
                match e {
                    Expr::Rollup(_) => return no("ROLLUP is not supported", "ROLLUP", hint),
                    Expr::Cube(_) => return no("CUBE is not supported", "CUBE", hint),
                    Expr::GroupingSets(_) => return no("GROUPING SETS is not supported", "GROUPING", hint),
                    _ => {}
                }
            }
            ControlFlow::Continue(())
        }
    }
}

fn join(j: &JoinOperator) -> Flow {
    match j {
        JoinOperator::Join(c)
        | JoinOperator::Inner(c)
        | JoinOperator::Left(c)
        | JoinOperator::LeftOuter(c)
        | JoinOperator::Right(c)
        | JoinOperator::RightOuter(c)
        | JoinOperator::FullOuter(c) => match c {
            datafusion_sql::sqlparser::ast::JoinConstraint::Natural => {
                no("NATURAL JOIN is not supported", "NATURAL", "write the condition: ON a.x = b.x")
            }
            _ => ControlFlow::Continue(()),
        },
        JoinOperator::CrossJoin(_) => {
            no("CROSS JOIN is not supported", "CROSS", "a join of streams needs an equality: JOIN … ON a.x = b.x")
        }
        JoinOperator::AsOf { .. } => no("ASOF JOIN is not supported", "ASOF", "use an interval join"),
        _ => no(
            "this kind of join is not supported",
            "JOIN",
            "INNER, LEFT, RIGHT and FULL joins are; for SEMI use IN or EXISTS",
        ),
    }
}

fn table_factor(t: &TableFactor) -> Flow {
    match t {
        TableFactor::Table { version: Some(_), .. } => no(
            "FOR SYSTEM_TIME AS OF (temporal join) is not supported",
            "SYSTEM_TIME",
            "use a regular or an interval join",
        ),
        TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => {
            no("TABLESAMPLE is not supported", "TABLESAMPLE", "filter with WHERE")
        }
        TableFactor::Table { with_ordinality: true, .. } => {
            no("WITH ORDINALITY is not supported", "ORDINALITY", "leave it out")
        }
        TableFactor::Table { partitions, .. } if !partitions.is_empty() => {
            no("PARTITION (…) is not supported", "PARTITION", "use WHERE")
        }
        TableFactor::Table { .. } | TableFactor::TableFunction { .. } | TableFactor::Derived { lateral: false, .. } => {
            ControlFlow::Continue(())
        }
        TableFactor::Derived { .. } | TableFactor::Function { .. } => {
            no("LATERAL is not supported", "LATERAL", "write the sub-query without references to other tables")
        }
        TableFactor::NestedJoin { .. } => ControlFlow::Continue(()),
        TableFactor::UNNEST { .. } => no("UNNEST is not supported", "UNNEST", "use a[1], a[2], …"),
        TableFactor::MatchRecognize { .. } => {
            no("MATCH_RECOGNIZE is not supported", "MATCH_RECOGNIZE", "an interval join finds pairs of events")
        }
        TableFactor::Pivot { .. } => no("PIVOT is not supported", "PIVOT", "use SUM(…) FILTER (WHERE …)"),
        TableFactor::Unpivot { .. } => no("UNPIVOT is not supported", "UNPIVOT", "use UNION ALL"),
        TableFactor::JsonTable { .. }
        | TableFactor::OpenJsonTable { .. }
        | TableFactor::XmlTable { .. }
        | TableFactor::SemanticView { .. } => {
            no("this table function is not supported", "TABLE", "TUMBLE, HOP, CUMULATE and SESSION are")
        }
    }
}

fn expr(e: &Expr) -> Flow {
    let Expr::Function(f) = e else { return ControlFlow::Continue(()) };
    let name = f.name.to_string().to_uppercase();
    let at = |r: Refusal| {
        let start = f.name.span().start;
        ControlFlow::Break(Box::new(r.at(start)))
    };
    match &f.over {
        Some(WindowType::NamedWindow(_)) => {
            return at(Refusal::new("named windows are not supported").hint("write the window into OVER (…)"));
        }
        Some(WindowType::WindowSpec(_)) if name != "ROW_NUMBER" => {
            return at(Refusal::new(format!("{name} OVER is not supported"))
                .hint("only ROW_NUMBER() OVER is, with a condition on it in an outer WHERE (Top-N, deduplication)"));
        }
        _ => {}
    }
    if !f.within_group.is_empty() {
        return at(Refusal::new("WITHIN GROUP is not supported").hint("order is that of arrival"));
    }
    if let FunctionArguments::List(l) = &f.args
        && !l.clauses.is_empty()
    {
        return at(
            Refusal::new(format!("clauses inside {name}(…) are not supported")).hint("leave ORDER BY and the like out")
        );
    }
    ControlFlow::Continue(())
}
