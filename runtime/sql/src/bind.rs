//! Text to bound logical plan, with DataFusion's parser, `SqlToRel` and type coercion; no optimizer rule runs.

use crate::catalog::Catalog;
use crate::dialect::FlinkDialect;
use crate::errors::{Outcome, Refusal};
use crate::normalize;
use arrow_schema::SchemaRef;
use datafusion_common::DFSchema;
use datafusion_expr::logical_plan::builder::LogicalTableSource;
use datafusion_expr::planner::ContextProvider;
use datafusion_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion_optimizer::Analyzer;
use datafusion_sql::planner::{NullOrdering, ParserOptions, PlannerContext, SqlToRel};
use datafusion_sql::sqlparser::ast::{Query, Statement};
use datafusion_sql::sqlparser::parser::Parser;
use datafusion_sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use std::sync::Arc;

/// Far above what the budget lets through, so that the parser's own limit never silently drops a clause.
const RECURSION_LIMIT: usize = 1000;

/// Parses a query.
pub(crate) fn parse_query(tokens: &[TokenWithSpan]) -> Outcome<Query> {
    let mut p = parser(tokens);
    let mut query = *p.parse_query().map_err(|e| at_end(e.into(), tokens))?;
    finished(&p)?;
    nothing_lost(tokens, &query.to_string())?;
    normalize::query(&mut query)?;
    Ok(query)
}

/// Binds and coerces a query.
pub(crate) fn query(catalog: &Catalog, query: Query) -> Outcome<LogicalPlan> {
    let planner = SqlToRel::new_with_options(catalog, options());
    let plan = planner.sql_statement_to_plan(Statement::Query(Box::new(query)))?;
    if size(&plan, 0) > MAX_OPERATORS {
        return Err(Refusal::new(format!("with its views the query has more than {MAX_OPERATORS} operators"))
            .hint("a view is repeated wherever it is named: views used twice in views multiply"));
    }
    analyze(catalog, plan)
}

/// A view stands for its query wherever it is named, so views of views grow without bound; later steps walk all of it.
const MAX_OPERATORS: usize = 2000;

/// Operators of a plan, counted no further than the limit.
fn size(plan: &LogicalPlan, before: usize) -> usize {
    plan.inputs().into_iter().fold(before + 1, |n, i| if n > MAX_OPERATORS { n } else { size(i, n) })
}

/// Binds and coerces a scalar expression over the columns of `schema`, known as `table`.
pub(crate) fn scalar(
    catalog: &Catalog,
    tokens: &[TokenWithSpan],
    table: &str,
    schema: SchemaRef,
) -> Outcome<(Expr, DFSchema)> {
    let mut p = parser(tokens);
    let mut ast = p.parse_expr().map_err(|e| at_end(e.into(), tokens))?;
    finished(&p)?;
    normalize::expr(&mut ast);
    let df = DFSchema::try_from_qualified_schema(table, &schema)?;
    let bound = SqlToRel::new_with_options(catalog, options()).sql_to_expr(ast, &df, &mut PlannerContext::new())?;
    let scan = LogicalPlanBuilder::scan(table, Arc::new(LogicalTableSource::new(schema)), None)?;
    let plan = analyze(catalog, scan.project(vec![bound.alias("e")])?.build()?)?;
    match plan {
        LogicalPlan::Projection(p) => match p.expr.into_iter().next() {
            Some(e) => Ok((e, df)),
            None => Err(Refusal::new("the expression is empty")),
        },
        _ => Err(Refusal::new("the expression cannot be bound on its own")),
    }
}

fn parser(tokens: &[TokenWithSpan]) -> Parser<'static> {
    Parser::new(&FlinkDialect).with_recursion_limit(RECURSION_LIMIT).with_tokens_with_locations(tokens.to_vec())
}

fn options() -> ParserOptions {
    ParserOptions::default()
        .with_enable_ident_normalization(false)
        .with_collect_spans(true)
        .with_map_string_types_to_utf8view(false)
        .with_parse_float_as_decimal(true)
        // Flink: NULLs are the smallest values.
        .with_default_null_ordering(NullOrdering::NullsMin)
}

fn analyze(catalog: &Catalog, plan: LogicalPlan) -> Outcome<LogicalPlan> {
    Ok(Analyzer::new().execute_and_check(plan, catalog.options(), |_, _| {})?)
}

/// Errors at the end of the tokens have no position of their own.
fn at_end(r: Refusal, tokens: &[TokenWithSpan]) -> Refusal {
    match (&r.at, tokens.last()) {
        (crate::errors::At::Statement, Some(t)) => r.at(t.span.start),
        _ => r,
    }
}

fn finished(p: &Parser<'_>) -> Outcome<()> {
    let t = p.peek_token();
    if t.token == Token::EOF {
        return Ok(());
    }
    Err(Refusal::new(format!("syntax error: unexpected '{}'", t.token)).at(t.span.start))
}

/// Words that open a clause. A speculative parse that swallowed an error would lose one of them without a trace.
const CLAUSES: &[&str] = &["SELECT", "FROM", "WHERE", "CASE", "GROUP", "HAVING", "JOIN", "UNION", "OVER"];

fn nothing_lost(tokens: &[TokenWithSpan], printed: &str) -> Outcome<()> {
    let printed = Tokenizer::new(&FlinkDialect, printed)
        .tokenize()
        .map_err(|_| Refusal::new("the statement could not be checked for completeness"))?;
    for clause in CLAUSES {
        let is =
            |t: &Token| matches!(t, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(clause));
        let (before, after) =
            (tokens.iter().filter(|t| is(&t.token)).count(), printed.iter().filter(|t| is(t)).count());
        if after < before {
            return Err(Refusal::new(format!("a {clause} clause cannot be understood here"))
                .near(*clause)
                .hint("simplify the statement, for instance with views"));
        }
    }
    Ok(())
}
