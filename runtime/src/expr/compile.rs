//! From the plan's tree to the executable one: checks types, folds constants, chooses kernels.

use super::ExprError;
use super::arithmetic::Arithmetic;
use super::boolean::{Case, Logic};
use super::call::{Call, ClockCall};
use super::cast::Cast;
use super::compare::{Compare, InSet};
use super::like::{Like, Pattern};
use super::node::{Node, Rows};
use super::reduced::Reduced;
use crate::clock::Clock;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, SchemaRef};
use datafusion_common::config::ConfigOptions;
use sluice_core::plan::expr::{BinaryOp, Expr};
use sluice_core::plan::types::binary_type;
use sluice_sql::functions::{self, clock::ClockFunction};
use std::collections::BTreeSet;
use std::sync::Arc;

type Compiled = Result<(Node, DataType), ExprError>;

pub(super) fn compile(expr: &Expr, input: &SchemaRef, clock: &Clock) -> Compiled {
    let mut config = ConfigOptions::default();
    let zone = Some(clock.zone().clone()).filter(|z| !z.is_empty() && z.as_ref() != "UTC");
    config.execution.time_zone = zone.as_deref().map(str::to_owned);
    Compiler { input, clock, zone, config: Arc::new(config) }.compile(expr)
}

fn refused(what: impl Into<String>, message: impl Into<String>) -> ExprError {
    ExprError::Compile { what: what.into(), message: message.into() }
}

struct Compiler<'a> {
    input: &'a SchemaRef,
    clock: &'a Clock,
    /// The session's, unless it is UTC.
    zone: Option<Arc<str>>,
    config: Arc<ConfigOptions>,
}

impl Compiler<'_> {
    fn compile(&self, expr: &Expr) -> Compiled {
        let (node, data_type) = self.translate(expr)?;
        if matches!(node, Node::Column(_) | Node::Constant(_) | Node::Clock(_)) || !is_constant(expr) {
            return Ok((node, data_type));
        }
        // What fails is left to fail when (and only when) a row asks for it.
        match node.evaluate(&Rows::single()) {
            Ok(value) if value.array.len() == 1 => Ok((Node::Constant(value.array), data_type)),
            _ => Ok((node, data_type)),
        }
    }

    fn boxed(&self, expr: &Expr) -> Result<Box<Node>, ExprError> {
        Ok(Box::new(self.compile(expr)?.0))
    }

    fn translate(&self, expr: &Expr) -> Compiled {
        let boolean = |node| Ok((node, DataType::Boolean));
        match expr {
            Expr::Column(i) => match self.input.fields().get(*i) {
                Some(f) => Ok((Node::Column(*i), f.data_type().clone())),
                None => {
                    Err(refused(format!("column {i}"), format!("the input has {} columns", self.input.fields().len())))
                }
            },
            Expr::Literal(l) => Ok((Node::Constant(super::literal::array(l)?), l.data_type.clone())),
            Expr::Binary { op, left, right } => self.binary(*op, left, right),
            Expr::Not(e) => boolean(Node::Not(self.boxed(e)?)),
            Expr::Negate(e) => self.compile(e).map(|(n, t)| (Node::Negate(Box::new(n)), t)),
            Expr::IsNull(e) => boolean(Node::IsNull(self.boxed(e)?)),
            Expr::IsNotNull(e) => boolean(Node::IsNotNull(self.boxed(e)?)),
            Expr::IsTrue(e) => boolean(Node::Is(self.boxed(e)?, true)),
            Expr::IsFalse(e) => boolean(Node::Is(self.boxed(e)?, false)),
            Expr::Like { expr, pattern, escape, negated, case_insensitive } => {
                boolean(self.like(expr, pattern, *escape, *negated, *case_insensitive)?)
            }
            Expr::InList { expr, list, negated } => boolean(self.in_list(expr, list, *negated)?),
            Expr::Cast { expr, to } => self.cast(expr, to, false),
            Expr::TryCast { expr, to } => self.cast(expr, to, true),
            Expr::Case { operand, branches, otherwise } => {
                self.case(operand.as_deref(), branches, otherwise.as_deref())
            }
            Expr::Call { function, args, data_type } => self.call(function, args, data_type),
        }
    }

    fn binary(&self, op: BinaryOp, left: &Expr, right: &Expr) -> Compiled {
        let ((l, lt), (r, rt)) = (self.compile(left)?, self.compile(right)?);
        let mismatch = || refused(format!("operator {op:?}"), format!("it does not take {lt} and {rt}; use CAST"));
        match op {
            BinaryOp::And | BinaryOp::Or => {
                let lazy = r.is_lazy().then(|| columns(&[right]));
                let logic = Logic { and: op == BinaryOp::And, left: l, right: r, lazy };
                Ok((Node::Logic(Box::new(logic)), DataType::Boolean))
            }
            BinaryOp::Concat => self.call("concat", &[left.clone(), right.clone()], &DataType::Utf8),
            BinaryOp::Eq
            | BinaryOp::NotEq
            | BinaryOp::Lt
            | BinaryOp::LtEq
            | BinaryOp::Gt
            | BinaryOp::GtEq
            | BinaryOp::IsDistinctFrom
            | BinaryOp::IsNotDistinctFrom => {
                let (l, r) = match common(&lt, &rt).ok_or_else(mismatch)? {
                    None => (l, r),
                    Some(t) => (coerced(l, &lt, &t)?, coerced(r, &rt, &t)?),
                };
                Ok((Node::Compare(Box::new(Compare { op, left: l, right: r })), DataType::Boolean))
            }
            _ => {
                let data_type = binary_type(op, &lt, &rt).ok_or_else(mismatch)?;
                if matches!(op, BinaryOp::Divide | BinaryOp::Modulo)
                    && let Some(divisor) = integer(&r)
                    && let Some(by) = Reduced::new(op == BinaryOp::Modulo, &data_type, divisor)
                {
                    return Ok((Node::Reduced(Box::new(l), by), data_type));
                }
                let node = Arithmetic { op, left: l, right: r, data_type: data_type.clone() };
                Ok((Node::Arithmetic(Box::new(node)), data_type))
            }
        }
    }

    fn like(
        &self,
        expr: &Expr,
        pattern: &Expr,
        escape: Option<char>,
        negated: bool,
        fold: bool,
    ) -> Result<Node, ExprError> {
        let (input, _) = self.compile(expr)?;
        let (pattern, _) = self.compile(pattern)?;
        let constant = match &pattern {
            Node::Constant(p) => p.as_string_opt::<i32>().filter(|p| p.is_valid(0)).map(|p| p.value(0)),
            _ => None,
        };
        let prepared =
            constant.map(|p| Pattern::new(p, escape, fold)).transpose().map_err(|e| refused("LIKE", e.to_string()))?;
        Ok(Node::Like(Box::new(Like { input, pattern, prepared, escape, negated, case_insensitive: fold })))
    }

    fn in_list(&self, expr: &Expr, list: &[Expr], negated: bool) -> Result<Node, ExprError> {
        let (input, data_type) = self.compile(expr)?;
        let mut values: Vec<ArrayRef> = vec![];
        for item in list {
            let (node, item_type) = self.compile(item)?;
            match node {
                Node::Constant(v) if item_type == data_type => values.push(v),
                Node::Constant(v) if item_type == DataType::Null => {
                    values.push(arrow::array::new_null_array(&data_type, v.len()));
                }
                _ => return self.in_columns(expr, list, negated),
            }
        }
        if values.is_empty() || data_type.is_floating() {
            return self.in_columns(expr, list, negated);
        }
        let values: Vec<&dyn Array> = values.iter().map(AsRef::as_ref).collect();
        let values = concat(&values).map_err(|e| refused("IN", e.to_string()))?;
        let set = InSet::new(input, &values, negated).map_err(|e| refused("IN", e.to_string()))?;
        Ok(Node::InSet(Box::new(set)))
    }

    /// `x = a OR x = b …` where the list is not constant.
    fn in_columns(&self, expr: &Expr, list: &[Expr], negated: bool) -> Result<Node, ExprError> {
        let equals = |item: &Expr| Expr::Binary {
            op: BinaryOp::Eq,
            left: Box::new(expr.clone()),
            right: Box::new(item.clone()),
        };
        let Some((first, rest)) = list.split_first() else {
            return Err(refused("IN", "the list is empty"));
        };
        let any = rest.iter().fold(equals(first), |any, item| Expr::Binary {
            op: BinaryOp::Or,
            left: Box::new(any),
            right: Box::new(equals(item)),
        });
        Ok(self.compile(&if negated { Expr::Not(Box::new(any)) } else { any })?.0)
    }

    /// TIMESTAMP_LTZ is stored in UTC; what looks at its wall clock gets it in the session's zone.
    fn localized(&self, node: Node, data_type: DataType) -> Compiled {
        match (&self.zone, &data_type) {
            (Some(zone), DataType::Timestamp(unit, Some(_))) => {
                let local = DataType::Timestamp(*unit, Some(zone.clone()));
                let cast = Cast::new(&data_type, &local, false)?;
                Ok((Node::Cast(Box::new(node), cast), local))
            }
            _ => Ok((node, data_type)),
        }
    }

    fn cast(&self, expr: &Expr, to: &DataType, tolerant: bool) -> Compiled {
        let (node, from) = self.compile(expr)?;
        if from == *to {
            return Ok((node, from));
        }
        let (node, from) = self.localized(node, from)?;
        if let (Some(zone), DataType::Timestamp(unit, Some(stored))) = (&self.zone, to)
            && stored != zone
        {
            let local = DataType::Timestamp(*unit, Some(zone.clone()));
            let node =
                if from == local { node } else { Node::Cast(Box::new(node), Cast::new(&from, &local, tolerant)?) };
            return Ok((Node::Cast(Box::new(node), Cast::new(&local, to, tolerant)?), to.clone()));
        }
        // A planner that declares its own scale wraps the operator in a cast: compute with that scale, and round once.
        if let (Node::Arithmetic(arithmetic), DataType::Decimal128(..)) = (&node, &from)
            && matches!(to, DataType::Decimal128(..))
            && matches!(arithmetic.data_type, DataType::Decimal128(..))
        {
            let Node::Arithmetic(mut arithmetic) = node else { return Ok((node, from)) };
            arithmetic.data_type = to.clone();
            return Ok((Node::Arithmetic(arithmetic), to.clone()));
        }
        if from == *to {
            return Ok((node, from));
        }
        let cast = Cast::new(&from, to, tolerant)?;
        Ok((Node::Cast(Box::new(node), cast), to.clone()))
    }

    fn case(&self, operand: Option<&Expr>, branches: &[(Expr, Expr)], otherwise: Option<&Expr>) -> Compiled {
        let mut all: Vec<&Expr> = vec![];
        let mut compiled = vec![];
        let mut data_type = DataType::Null;
        for (when, then) in branches {
            all.extend([when, then]);
            let condition = match operand {
                Some(operand) => self.binary(BinaryOp::Eq, operand, when)?.0,
                None => self.compile(when)?.0,
            };
            let (value, value_type) = self.compile(then)?;
            if data_type == DataType::Null {
                data_type = value_type;
            }
            compiled.push((condition, value));
        }
        let otherwise = match otherwise {
            Some(e) => {
                all.push(e);
                let (value, value_type) = self.compile(e)?;
                if data_type == DataType::Null {
                    data_type = value_type;
                }
                Some(value)
            }
            None => None,
        };
        all.extend(operand);
        let arms = || compiled.iter().flat_map(|(when, then)| [when, then]).chain(&otherwise);
        let lazy = arms().any(Node::is_lazy);
        let case = Case { branches: compiled, otherwise, data_type: data_type.clone(), used: columns(&all), lazy };
        Ok((Node::Case(Box::new(case)), data_type))
    }

    fn call(&self, function: &str, args: &[Expr], data_type: &DataType) -> Compiled {
        if let Some(clock) = ClockFunction::of(function, args.len()) {
            let call = ClockCall { function: clock, clock: self.clock.clone(), data_type: data_type.clone() };
            return Ok((Node::Clock(Box::new(call)), data_type.clone()));
        }
        if let Some(case) = conditional(function, args) {
            return self.compile(&case);
        }
        let Some(udf) = functions::scalar(function) else {
            return Err(refused(format!("function {}", function.to_uppercase()), "no such function is known here"));
        };
        let mut nodes = vec![];
        let mut arg_fields = vec![];
        for arg in args {
            let (node, arg_type) = self.compile(arg)?;
            let (node, arg_type) = self.localized(node, arg_type)?;
            nodes.push(node);
            arg_fields.push(Arc::new(Field::new("arg", arg_type, true)));
        }
        if let Some((by, from)) = remainder(function, &nodes, &arg_fields) {
            // The remainder fits the divisor's type, which is the function's.
            let reduced = Node::Reduced(Box::new(nodes.swap_remove(0)), by);
            return Ok((coerced(reduced, &from, data_type)?, data_type.clone()));
        }
        let call = Call {
            name: function.to_owned(),
            udf,
            args: nodes,
            arg_fields,
            return_field: Arc::new(Field::new(function, data_type.clone(), true)),
            config: self.config.clone(),
        };
        Ok((Node::Call(Box::new(call)), data_type.clone()))
    }
}

/// Functions that must not evaluate what they do not need, as `CASE`.
fn conditional(function: &str, args: &[Expr]) -> Option<Expr> {
    let case = |branches, otherwise: &Expr| Expr::Case {
        operand: None,
        branches,
        otherwise: Some(Box::new(otherwise.clone())),
    };
    let not_null = |e: &Expr| (Expr::IsNotNull(Box::new(e.clone())), e.clone());
    match (function, args) {
        ("coalesce" | "ifnull", [rest @ .., last]) => Some(case(rest.iter().map(not_null).collect(), last)),
        ("if", [condition, then, otherwise]) => Some(case(vec![(condition.clone(), then.clone())], otherwise)),
        _ => None,
    }
}

/// What both sides of a comparison are cast to; inside: nothing to do; `None`: they do not compare. Decimals of different
/// width and times of different units come from plans whose operands were typed apart.
fn common(left: &DataType, right: &DataType) -> Option<Option<DataType>> {
    use DataType::{Decimal128, Null, Timestamp};
    match (left, right) {
        (l, r) if l == r => Some(None),
        (Null, t) | (t, Null) => Some(Some(t.clone())),
        (Timestamp(_, l), Timestamp(_, r)) if l.is_some() != r.is_some() => None,
        (Decimal128(..), Decimal128(..)) | (Timestamp(..), Timestamp(..)) => {
            functions::types::common_type(&[left.clone(), right.clone()]).ok().map(Some)
        }
        _ => None,
    }
}

fn coerced(node: Node, from: &DataType, to: &DataType) -> Result<Node, ExprError> {
    if from == to {
        return Ok(node);
    }
    let cast = Cast::new(from, to, false)?;
    Ok(match node {
        Node::Constant(v) => match cast.apply(&v) {
            Ok(v) => Node::Constant(v),
            Err(_) => Node::Cast(Box::new(Node::Constant(v)), cast),
        },
        node => Node::Cast(Box::new(node), cast),
    })
}

/// `MOD(column, constant)` of integers is the operator.
fn remainder(function: &str, args: &[Node], fields: &[Arc<Field>]) -> Option<(Reduced, DataType)> {
    let ("mod", [dividend, divisor]) = (function, args) else { return None };
    if matches!(dividend, Node::Constant(_)) {
        return None;
    }
    let from = fields[0].data_type();
    Some((Reduced::new(true, from, integer(divisor)?)?, from.clone()))
}

fn integer(node: &Node) -> Option<i64> {
    let Node::Constant(v) = node else { return None };
    if v.is_null(0) {
        return None;
    }
    match v.data_type() {
        DataType::Int64 => Some(v.as_primitive::<Int64Type>().value(0)),
        DataType::Int32 => Some(i64::from(v.as_primitive::<Int32Type>().value(0))),
        _ => None,
    }
}

fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Column(_) => false,
        Expr::Call { function, args, .. } if ClockFunction::of(function, args.len()).is_some() => false,
        _ => expr.children().into_iter().all(is_constant),
    }
}

fn columns(exprs: &[&Expr]) -> Vec<usize> {
    let mut used = BTreeSet::new();
    for e in exprs {
        e.for_each_column(&mut |i| {
            used.insert(i);
        });
    }
    used.into_iter().collect()
}
