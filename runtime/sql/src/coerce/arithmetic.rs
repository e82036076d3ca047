//! Operators over two operands: decimals as Flink types them, and what Flink does not compute or compare.
//!
//! The result type of decimals is core's rule (`plan::types`), which the runtime computes by; here it is made known to the
//! binder by a cast, which the translation drops again.

use crate::ddl::types::flink_name;
use crate::errors::{Outcome, Refusal};
use arrow_schema::DataType;
use datafusion_common::DFSchema;
use datafusion_expr::expr::Cast;
use datafusion_expr::planner::{PlannerResult, RawBinaryExpr};
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, Operator};
use datafusion_sql::sqlparser::ast::BinaryOperator as Sql;
use sluice_core::plan::expr::BinaryOp;
use sluice_core::plan::types::decimal_result;

pub(super) fn plan(e: RawBinaryExpr, schema: &DFSchema) -> Outcome<PlannerResult<RawBinaryExpr>> {
    // Sub-queries and outer references have no type in this schema; the binder deals with them.
    let (Ok(left), Ok(right)) = (e.left.get_type(schema), e.right.get_type(schema)) else {
        return Ok(PlannerResult::Original(e));
    };
    match e.op {
        Sql::Plus | Sql::Minus | Sql::Multiply | Sql::Divide | Sql::Modulo => numbers(e, &left, &right),
        Sql::Eq | Sql::NotEq | Sql::Lt | Sql::LtEq | Sql::Gt | Sql::GtEq => comparison(e, &left, &right),
        _ => Ok(PlannerResult::Original(e)),
    }
}

fn numbers(e: RawBinaryExpr, left: &DataType, right: &DataType) -> Outcome<PlannerResult<RawBinaryExpr>> {
    let (op, own) = match e.op {
        Sql::Plus => (Operator::Plus, BinaryOp::Add),
        Sql::Minus => (Operator::Minus, BinaryOp::Subtract),
        Sql::Multiply => (Operator::Multiply, BinaryOp::Multiply),
        Sql::Divide => (Operator::Divide, BinaryOp::Divide),
        _ => (Operator::Modulo, BinaryOp::Modulo),
    };
    let is_text = |t: &DataType| *t == DataType::Utf8;
    let number_or_text = |t: &DataType| t.is_numeric() || is_text(t);
    if (is_text(left) || is_text(right)) && number_or_text(left) && number_or_text(right) {
        return Err(Refusal::new(format!("{op} cannot be applied to {} and {}", flink_name(left), flink_name(right)))
            .near(op.to_string())
            .hint("CAST the text to a number, or use || to join texts"));
    }
    if is_time(left) && is_time(right) {
        return Err(Refusal::new(format!("{op} cannot be applied to two points in time"))
            .near(op.to_string())
            .hint("TIMESTAMPDIFF(SECOND, a, b)"));
    }
    let involves_decimal = matches!(left, DataType::Decimal128(..)) || matches!(right, DataType::Decimal128(..));
    let (Some(l), Some(r)) = (decimal_of(left), decimal_of(right)) else { return Ok(PlannerResult::Original(e)) };
    let Some((precision, scale)) = decimal_result(own, l, r).filter(|_| involves_decimal) else {
        return Ok(PlannerResult::Original(e));
    };
    let raw = BinaryExpr::new(Box::new(cast(e.left, left, l)), op, Box::new(cast(e.right, right, r)));
    let typed = Cast::new(Box::new(Expr::BinaryExpr(raw)), DataType::Decimal128(precision, scale));
    Ok(PlannerResult::Planned(Expr::Cast(typed)))
}

fn is_time(t: &DataType) -> bool {
    matches!(t, DataType::Timestamp(..) | DataType::Date32 | DataType::Time32(_))
}

/// Precision and scale of an exact number.
fn decimal_of(t: &DataType) -> Option<(u8, i8)> {
    Some(match t {
        DataType::Decimal128(p, s) => (*p, *s),
        DataType::Int8 => (3, 0),
        DataType::Int16 => (5, 0),
        DataType::Int32 => (10, 0),
        DataType::Int64 => (19, 0),
        _ => return None,
    })
}

fn cast(e: Expr, from: &DataType, (p, s): (u8, i8)) -> Expr {
    let to = DataType::Decimal128(p, s);
    if *from == to { e } else { Expr::Cast(Cast::new(Box::new(e), to)) }
}

/// Flink compares like with like; a text constant is read as the other side's date or time.
fn comparison(mut e: RawBinaryExpr, left: &DataType, right: &DataType) -> Outcome<PlannerResult<RawBinaryExpr>> {
    let text = |t: &DataType| *t == DataType::Utf8;
    if text(left) != text(right) && !matches!(left, DataType::Null) && !matches!(right, DataType::Null) {
        let constant = |x: &Expr| matches!(x, Expr::Literal(..));
        if text(right) && is_time(left) && constant(&e.right) {
            e.right = Expr::Cast(Cast::new(Box::new(e.right), left.clone()));
        } else if text(left) && is_time(right) && constant(&e.left) {
            e.left = Expr::Cast(Cast::new(Box::new(e.left), right.clone()));
        } else {
            return Err(Refusal::new(format!("{} cannot be compared with {}", flink_name(left), flink_name(right)))
                .near(e.op.to_string())
                .hint("CAST one side"));
        }
    }
    Ok(PlannerResult::Original(e))
}
