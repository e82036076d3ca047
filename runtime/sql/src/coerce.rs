//! Flink's typing rules where DataFusion's differ: decimals, comparisons of unlike types, type names, and which function of
//! the registry stands behind special syntax.

mod arithmetic;

use crate::ddl::cursor::Cursor;
use crate::ddl::types;
use crate::dialect::FlinkDialect;
use crate::errors::{Outcome, Refusal};
use crate::functions;
use arrow_schema::{DataType, Field, FieldRef};
use datafusion_common::{Column, DFSchema, Result, ScalarValue, TableReference};
use datafusion_expr::expr::{AggregateFunction, ScalarFunction};
use datafusion_expr::planner::{
    ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr, RawDictionaryExpr, RawFieldAccessExpr, TypePlanner,
};
use datafusion_expr::{Expr, ExprSchemable, GetFieldAccess, lit};
use datafusion_sql::sqlparser::ast;
use datafusion_sql::sqlparser::tokenizer::Tokenizer;
use std::sync::Arc;

pub(crate) fn planners() -> Vec<Arc<dyn ExprPlanner>> {
    vec![Arc::new(FlinkExpressions)]
}

/// Type and nullability of a bound expression.
pub(crate) fn type_of(e: &Expr, schema: &DFSchema) -> Outcome<(DataType, bool)> {
    Ok((e.get_type(schema)?, e.nullable(schema)?))
}

/// Type names in CAST mean what they mean in a declaration.
#[derive(Debug)]
pub(crate) struct FlinkTypes;

impl TypePlanner for FlinkTypes {
    fn plan_type_field(&self, t: &ast::DataType) -> Result<Option<FieldRef>> {
        if matches!(t, ast::DataType::Interval { .. }) {
            return Ok(None);
        }
        let text = t.to_string();
        let tokens: Vec<_> = Tokenizer::new(&FlinkDialect, &text)
            .tokenize_with_location()
            .map_err(|e| Refusal::new(format!("type {text} is not supported: {}", e.message)))?
            .into_iter()
            .filter(|t| !matches!(t.token, ast_token::Whitespace(_)))
            .collect();
        let mut c = Cursor::new(&tokens);
        // The positions are those of the printed type: point at its first word instead.
        let first = text.split(['(', '<', ' ']).next().unwrap_or_default().to_owned();
        let parsed = types::parse(&mut c).map_err(|r| Refusal { at: crate::errors::At::Word(first), ..r })?;
        Ok(Some(Arc::new(Field::new("", parsed.data_type, parsed.nullable))))
    }
}

use datafusion_sql::sqlparser::tokenizer::Token as ast_token;

#[derive(Debug)]
struct FlinkExpressions;

impl ExprPlanner for FlinkExpressions {
    fn plan_binary_op(&self, e: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        Ok(arithmetic::plan(e, schema)?)
    }

    fn plan_field_access(&self, e: RawFieldAccessExpr, schema: &DFSchema) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let is_map = matches!(e.expr.get_type(schema), Ok(DataType::Map(..)));
        let args = match e.field_access {
            GetFieldAccess::NamedStructField { name } if is_map => vec![e.expr, lit(name)],
            GetFieldAccess::NamedStructField { name } => return call("get_field", vec![e.expr, lit(name)]),
            GetFieldAccess::ListIndex { key } => vec![e.expr, *key],
            GetFieldAccess::ListRange { .. } => return Err(Refusal::new("array slices are not supported").into()),
        };
        call("array_element", args)
    }

    fn plan_array_literal(&self, exprs: Vec<Expr>, _: &DFSchema) -> Result<PlannerResult<Vec<Expr>>> {
        call("make_array", exprs)
    }

    fn plan_position(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        call("position", args)
    }

    fn plan_dictionary_literal(&self, e: RawDictionaryExpr, _: &DFSchema) -> Result<PlannerResult<RawDictionaryExpr>> {
        call("map", e.keys.into_iter().zip(e.values).flat_map(|(k, v)| [k, v]).collect())
    }

    fn plan_extract(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        call("extract", args)
    }

    fn plan_substring(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        call("substring", args)
    }

    fn plan_overlay(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        call("overlay", args)
    }

    fn plan_compound_identifier(
        &self,
        field: &Field,
        qualifier: Option<&TableReference>,
        nested: &[String],
    ) -> Result<PlannerResult<Vec<Expr>>> {
        let f = function("get_field")?;
        let column = Expr::Column(Column::from((qualifier, field)));
        let access =
            |e, name: &String| Expr::ScalarFunction(ScalarFunction::new_udf(f.clone(), vec![e, lit(name.clone())]));
        Ok(PlannerResult::Planned(nested.iter().fold(column, access)))
    }

    /// `COUNT(*)` is a COUNT of a constant.
    fn plan_aggregate(&self, e: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        #[allow(deprecated, reason = "the binder still produces it")]
        let star = matches!(e.args.as_slice(), [Expr::Wildcard { .. }]);
        if e.func.name() != "count" || !star {
            return Ok(PlannerResult::Original(e));
        }
        let args = vec![Expr::Literal(ScalarValue::Int64(Some(1)), None)];
        Ok(PlannerResult::Planned(Expr::AggregateFunction(AggregateFunction::new_udf(
            e.func,
            args,
            e.distinct,
            e.filter,
            e.order_by,
            e.null_treatment,
        ))))
    }
}

fn function(name: &str) -> Outcome<Arc<datafusion_expr::ScalarUDF>> {
    functions::scalar(name).ok_or_else(|| Refusal::new(format!("{} is not supported", name.to_uppercase())).near(name))
}

fn call<T>(name: &str, args: Vec<Expr>) -> Result<PlannerResult<T>> {
    Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(function(name)?, args))))
}
