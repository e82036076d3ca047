//! From DataFusion's bound and coerced expressions to the plan's own.

use crate::errors::{Outcome, Refusal};
use arrow_schema::{DataType, Schema};
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::expr::{Case, InList};
use datafusion_expr::{Expr as Bound, ExprSchemable, Operator};
use datafusion_sql::sqlparser::tokenizer::Location;
use sluice_core::plan::expr::{BinaryOp, Expr, Literal, Value};

/// What names mean: columns of the relation itself, behind those of the outer query inside a correlated sub-query.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub schema: &'a DFSchema,
    pub outer: Option<&'a DFSchema>,
}

/// An expression over the columns of `schema`.
pub(crate) fn translate(e: &Bound, schema: &DFSchema) -> Outcome<Expr> {
    scoped(e, Scope { schema, outer: None })
}

/// The same where columns of an outer query may occur, which come first.
pub(crate) fn scoped(e: &Bound, scope: Scope<'_>) -> Outcome<Expr> {
    let schema = scope.schema;
    let translate = |e: &Bound, _: &DFSchema| scoped(e, scope);
    let one = |e: &Bound| scoped(e, scope).map(Box::new);
    Ok(match e {
        Bound::Alias(a) => translate(&a.expr, schema)?,
        Bound::Column(c) => Expr::Column(scope.outer.map_or(0, |o| o.fields().len()) + schema.index_of_column(c)?),
        Bound::OuterReferenceColumn(_, c) if let Some(outer) = scope.outer => Expr::Column(outer.index_of_column(c)?),
        Bound::Literal(v, _) => Expr::Literal(literal(v)?),
        Bound::BinaryExpr(b) => binary(binary_op(b.op)?, translate(&b.left, schema)?, translate(&b.right, schema)?),
        Bound::Like(l) => Expr::Like {
            expr: one(&l.expr)?,
            pattern: one(&l.pattern)?,
            escape: l.escape_char,
            negated: l.negated,
            case_insensitive: l.case_insensitive,
        },
        Bound::Not(e) => Expr::Not(one(e)?),
        Bound::Negative(e) => negate(scoped(e, scope)?),
        Bound::IsNull(e) | Bound::IsUnknown(e) => Expr::IsNull(one(e)?),
        Bound::IsNotNull(e) | Bound::IsNotUnknown(e) => Expr::IsNotNull(one(e)?),
        Bound::IsTrue(e) => Expr::IsTrue(one(e)?),
        Bound::IsFalse(e) => Expr::IsFalse(one(e)?),
        Bound::IsNotTrue(e) => Expr::Not(Box::new(Expr::IsTrue(one(e)?))),
        Bound::IsNotFalse(e) => Expr::Not(Box::new(Expr::IsFalse(one(e)?))),
        Bound::Between(b) => {
            between(translate(&b.expr, schema)?, translate(&b.low, schema)?, translate(&b.high, schema)?, b.negated)
        }
        Bound::Case(c) => case(c, scope)?,
        Bound::Cast(c) => cast(&c.expr, c.field.data_type(), scope)?,
        Bound::TryCast(c) => Expr::TryCast { expr: one(&c.expr)?, to: c.field.data_type().clone() },
        Bound::ScalarFunction(f) => Expr::Call {
            function: f.func.name().to_lowercase(),
            args: f.args.iter().map(|a| translate(a, schema)).collect::<Outcome<_>>()?,
            data_type: e.get_type(schema)?,
        },
        Bound::InList(InList { expr, list, negated }) => Expr::InList {
            expr: one(expr)?,
            list: list.iter().map(|x| translate(x, schema)).collect::<Outcome<_>>()?,
            negated: *negated,
        },
        other => return Err(unsupported(other)),
    })
}

/// What cannot be an operand, by name.
fn unsupported(e: &Bound) -> Refusal {
    let r = match e {
        Bound::ScalarSubquery(_) => Refusal::new("a sub-query as a value is not supported")
            .hint("join with the sub-query, or use IN or EXISTS in WHERE"),
        Bound::Exists(_) | Bound::InSubquery(_) | Bound::SetComparison(_) => {
            Refusal::new("IN and EXISTS with a sub-query are supported only in WHERE, joined by AND")
                .hint("move the condition to the top of the WHERE clause")
        }
        Bound::WindowFunction(w) => {
            Refusal::new(format!("{} OVER is not supported here", w.fun.name().to_uppercase())).near("OVER")
        }
        Bound::AggregateFunction(f) => {
            Refusal::new(format!("aggregate {} is not allowed here", f.func.name().to_uppercase())).near(f.func.name())
        }
        Bound::OuterReferenceColumn(_, c) => {
            Refusal::new(format!("the sub-query uses the outer column '{}' in a way that is not supported", c.name))
                .near(&c.name)
                .hint("compare it with a column of the sub-query in the sub-query's WHERE")
        }
        Bound::SimilarTo(_) => Refusal::new("SIMILAR TO is not supported").near("SIMILAR").hint("use LIKE or REGEXP"),
        Bound::GroupingSet(_) => Refusal::new("GROUPING SETS, CUBE and ROLLUP are not supported").near("GROUPING"),
        Bound::Placeholder(_) => Refusal::new("parameters are not supported").hint("use ${NAME} and --var NAME=VALUE"),
        Bound::Unnest(_) => Refusal::new("UNNEST is not supported").near("UNNEST"),
        Bound::HigherOrderFunction(_) | Bound::Lambda(_) | Bound::LambdaVariable(_) => {
            Refusal::new("lambdas are not supported")
        }
        other => Refusal::new(format!("the expression {other} is not supported")),
    };
    match e.spans().and_then(datafusion_common::Spans::first) {
        Some(s) => r.at(Location::new(s.start.line, s.start.column)),
        None => r,
    }
}

pub(crate) fn binary(op: BinaryOp, left: Expr, right: Expr) -> Expr {
    Expr::Binary { op, left: Box::new(left), right: Box::new(right) }
}

/// All of them; TRUE if there are none.
pub(crate) fn conjunction(exprs: impl IntoIterator<Item = Expr>) -> Option<Expr> {
    exprs.into_iter().reduce(|a, b| binary(BinaryOp::And, a, b))
}

/// The operands of AND, also of those that BETWEEN became.
pub(crate) fn conjuncts(e: Expr) -> Vec<Expr> {
    match e {
        Expr::Binary { op: BinaryOp::And, left, right } => {
            let mut all = conjuncts(*left);
            all.extend(conjuncts(*right));
            all
        }
        other => vec![other],
    }
}

fn between(e: Expr, low: Expr, high: Expr, negated: bool) -> Expr {
    if negated {
        binary(BinaryOp::Or, binary(BinaryOp::Lt, e.clone(), low), binary(BinaryOp::Gt, e, high))
    } else {
        binary(BinaryOp::And, binary(BinaryOp::GtEq, e.clone(), low), binary(BinaryOp::LtEq, e, high))
    }
}

/// Casts of constants are kept, so that the value's text form stays the runtime's business; casts to the same type go.
fn cast(e: &Bound, to: &DataType, scope: Scope<'_>) -> Outcome<Expr> {
    let inner = scoped(e, scope)?;
    // Core's types, not the binder's: the two differ for decimals until the cast that `coerce` added is gone.
    let arrow = match scope.outer {
        None => scope.schema.as_arrow().clone(),
        Some(o) => Schema::new(o.fields().iter().chain(scope.schema.fields()).cloned().collect::<Vec<_>>()),
    };
    if inner.data_type(&arrow).as_ref() == Some(to) {
        return Ok(inner);
    }
    if let Some(constant) = exact_cast(&inner, to) {
        return Ok(constant);
    }
    if let Expr::Literal(Literal { value: Value::Null, .. }) = inner {
        return Ok(Expr::Literal(Literal { data_type: to.clone(), value: Value::Null }));
    }
    Ok(Expr::Cast { expr: Box::new(inner), to: to.clone() })
}

/// Numbers that `normalize` gave Flink's types: the cast of a constant that loses nothing is a constant.
fn exact_cast(e: &Expr, to: &DataType) -> Option<Expr> {
    let Expr::Literal(Literal { value, data_type }) = e else { return None };
    let value = match (value, data_type, to) {
        (Value::Int(n), from, DataType::Int32) if from.is_integer() => Value::Int(i64::from(i32::try_from(*n).ok()?)),
        (Value::Int(n), from, DataType::Int64) if from.is_integer() => Value::Int(*n),
        (Value::Int(n), from, DataType::Decimal128(p, s)) if from.is_integer() => {
            let unscaled = i128::from(*n).checked_mul(10i128.checked_pow(u32::try_from(*s).ok()?)?)?;
            (digits(unscaled) <= u32::from(*p)).then_some(Value::Decimal(unscaled))?
        }
        (Value::Decimal(n), DataType::Decimal128(_, s1), DataType::Decimal128(p, s2)) if s2 >= s1 => {
            let unscaled = n.checked_mul(10i128.checked_pow(u32::try_from(s2 - s1).ok()?)?)?;
            (digits(unscaled) <= u32::from(*p)).then_some(Value::Decimal(unscaled))?
        }
        _ => return None,
    };
    Some(Expr::Literal(Literal { data_type: to.clone(), value }))
}

fn digits(n: i128) -> u32 {
    n.unsigned_abs().checked_ilog10().map_or(1, |d| d + 1)
}

/// Minus a constant is a constant.
fn negate(e: Expr) -> Expr {
    match e {
        Expr::Literal(Literal { value: Value::Int(n), data_type }) if n != i64::MIN && data_type.is_integer() => {
            Expr::Literal(Literal { value: Value::Int(-n), data_type })
        }
        Expr::Literal(Literal { value: Value::Decimal(n), data_type }) if n != i128::MIN => {
            Expr::Literal(Literal { value: Value::Decimal(-n), data_type })
        }
        other => Expr::Negate(Box::new(other)),
    }
}

fn case(c: &Case, scope: Scope<'_>) -> Outcome<Expr> {
    let branches =
        c.when_then_expr.iter().map(|(w, t)| Ok((scoped(w, scope)?, scoped(t, scope)?))).collect::<Outcome<_>>()?;
    Ok(Expr::Case {
        operand: c.expr.as_ref().map(|e| scoped(e, scope).map(Box::new)).transpose()?,
        branches,
        otherwise: c.else_expr.as_ref().map(|e| scoped(e, scope).map(Box::new)).transpose()?,
    })
}

fn binary_op(op: Operator) -> Outcome<BinaryOp> {
    Ok(match op {
        Operator::Plus => BinaryOp::Add,
        Operator::Minus => BinaryOp::Subtract,
        Operator::Multiply => BinaryOp::Multiply,
        Operator::Divide => BinaryOp::Divide,
        Operator::Modulo => BinaryOp::Modulo,
        Operator::Eq => BinaryOp::Eq,
        Operator::NotEq => BinaryOp::NotEq,
        Operator::Lt => BinaryOp::Lt,
        Operator::LtEq => BinaryOp::LtEq,
        Operator::Gt => BinaryOp::Gt,
        Operator::GtEq => BinaryOp::GtEq,
        Operator::And => BinaryOp::And,
        Operator::Or => BinaryOp::Or,
        Operator::IsDistinctFrom => BinaryOp::IsDistinctFrom,
        Operator::IsNotDistinctFrom => BinaryOp::IsNotDistinctFrom,
        Operator::StringConcat => BinaryOp::Concat,
        Operator::BitwiseAnd => BinaryOp::BitAnd,
        Operator::BitwiseOr => BinaryOp::BitOr,
        Operator::BitwiseXor => BinaryOp::BitXor,
        other => return Err(Refusal::new(format!("operator {other} is not supported")).near(other.to_string())),
    })
}

/// A typed constant.
pub(crate) fn literal(v: &ScalarValue) -> Outcome<Literal> {
    let data_type = v.data_type();
    if v.is_null() {
        return Ok(Literal { data_type, value: Value::Null });
    }
    Ok(Literal { value: value(v)?, data_type })
}

fn value(v: &ScalarValue) -> Outcome<Value> {
    use ScalarValue as S;
    let int = |x: Option<i64>| x.map_or(Value::Null, Value::Int);
    Ok(match v {
        S::Null => Value::Null,
        S::Boolean(x) => x.map_or(Value::Null, Value::Boolean),
        S::Int8(x) => int(x.map(i64::from)),
        S::Int16(x) => int(x.map(i64::from)),
        S::Int32(x) | S::Date32(x) | S::Time32Second(x) | S::Time32Millisecond(x) => int(x.map(i64::from)),
        S::Int64(x) | S::Time64Microsecond(x) | S::Time64Nanosecond(x) => int(*x),
        S::UInt64(x) => x.map_or(Value::Null, Value::UInt),
        S::Float32(x) => x.map_or(Value::Null, |x| Value::Float(f64::from(x).to_bits())),
        S::Float64(x) => x.map_or(Value::Null, |x| Value::Float(x.to_bits())),
        S::Decimal128(x, _, _) => x.map_or(Value::Null, Value::Decimal),
        S::Utf8(x) => x.clone().map_or(Value::Null, Value::Text),
        S::Binary(x) => x.clone().map_or(Value::Null, Value::Binary),
        S::TimestampSecond(x, _)
        | S::TimestampMillisecond(x, _)
        | S::TimestampMicrosecond(x, _)
        | S::TimestampNanosecond(x, _) => int(*x),
        S::IntervalMonthDayNano(x) => {
            x.map_or(Value::Null, |i| Value::Interval { months: i.months, days: i.days, nanoseconds: i.nanoseconds })
        }
        S::IntervalYearMonth(x) => x.map_or(Value::Null, |months| Value::Interval { months, days: 0, nanoseconds: 0 }),
        S::IntervalDayTime(x) => x.map_or(Value::Null, |i| Value::Interval {
            months: 0,
            days: i.days,
            nanoseconds: i64::from(i.milliseconds) * 1_000_000,
        }),
        S::List(a) => list(a)?,
        other => return Err(Refusal::new(format!("constants of type {} are not supported", other.data_type()))),
    })
}

fn list(a: &arrow::array::ListArray) -> Outcome<Value> {
    let values = a.value(0);
    let items = (0..values.len()).map(|i| value(&ScalarValue::try_from_array(&values, i)?)).collect::<Outcome<_>>()?;
    Ok(Value::List(items))
}

use arrow::array::Array;

/// Replaces columns by the expressions that produced them.
pub(crate) fn substitute(e: &Expr, by: &[Expr]) -> Expr {
    map_columns(e, &mut |i| by[i].clone())
}

/// Renumbers columns.
pub(crate) fn shift(e: &Expr, f: &mut impl FnMut(usize) -> usize) -> Expr {
    map_columns(e, &mut |i| Expr::Column(f(i)))
}

fn map_columns(e: &Expr, f: &mut impl FnMut(usize) -> Expr) -> Expr {
    #[allow(clippy::unnecessary_box_returns, reason = "every use wants a box")]
    fn b(e: &Expr, f: &mut impl FnMut(usize) -> Expr) -> Box<Expr> {
        Box::new(map_columns(e, f))
    }
    match e {
        Expr::Column(i) => f(*i),
        Expr::Literal(l) => Expr::Literal(l.clone()),
        Expr::Binary { op, left, right } => Expr::Binary { op: *op, left: b(left, f), right: b(right, f) },
        Expr::Not(e) => Expr::Not(b(e, f)),
        Expr::Negate(e) => Expr::Negate(b(e, f)),
        Expr::IsNull(e) => Expr::IsNull(b(e, f)),
        Expr::IsNotNull(e) => Expr::IsNotNull(b(e, f)),
        Expr::IsTrue(e) => Expr::IsTrue(b(e, f)),
        Expr::IsFalse(e) => Expr::IsFalse(b(e, f)),
        Expr::Like { expr, pattern, escape, negated, case_insensitive } => Expr::Like {
            expr: b(expr, f),
            pattern: b(pattern, f),
            escape: *escape,
            negated: *negated,
            case_insensitive: *case_insensitive,
        },
        Expr::InList { expr, list, negated } => {
            Expr::InList { expr: b(expr, f), list: list.iter().map(|x| map_columns(x, f)).collect(), negated: *negated }
        }
        Expr::Cast { expr, to } => Expr::Cast { expr: b(expr, f), to: to.clone() },
        Expr::TryCast { expr, to } => Expr::TryCast { expr: b(expr, f), to: to.clone() },
        Expr::Case { operand, branches, otherwise } => Expr::Case {
            operand: operand.as_ref().map(|e| b(e, f)),
            branches: branches.iter().map(|(w, t)| (map_columns(w, f), map_columns(t, f))).collect(),
            otherwise: otherwise.as_ref().map(|e| b(e, f)),
        },
        Expr::Call { function, args, data_type } => Expr::Call {
            function: function.clone(),
            args: args.iter().map(|a| map_columns(a, f)).collect(),
            data_type: data_type.clone(),
        },
    }
}

/// The columns that occur, sorted, each once.
pub(crate) fn columns_of(e: &Expr) -> Vec<usize> {
    let mut all = vec![];
    e.for_each_column(&mut |i| all.push(i));
    all.sort_unstable();
    all.dedup();
    all
}
