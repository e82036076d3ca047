//! Comparisons and `IN`. Doubles compare as in Java (NaN equals nothing, −0.0 = 0.0), text by its bytes, nested values in
//! depth.

use super::node::{Evaluated, Node, Operand, Rows, failed, mistyped};
use crate::operator::OperatorError;
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, make_comparator};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::SortOptions;
use arrow::compute::kernels::cmp;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::row::{RowConverter, SortField};
use sluice_core::plan::expr::BinaryOp;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Compare {
    pub op: BinaryOp,
    pub left: Node,
    pub right: Node,
}

impl Compare {
    pub fn evaluate(&self, rows: &Rows) -> Evaluated {
        let (left, right) = (self.left.evaluate(rows)?, self.right.evaluate(rows)?);
        compare(self.op, &left, &right)
    }
}

pub(super) fn compare(op: BinaryOp, left: &Operand, right: &Operand) -> Evaluated {
    let constant = left.constant && right.constant;
    let result = match left.array.data_type() {
        DataType::Float64 => floats::<Float64Type>(op, left, right)?,
        DataType::Float32 => floats::<Float32Type>(op, left, right)?,
        DataType::List(_) | DataType::Struct(_) | DataType::Map(..) => nested(op, left, right)?,
        _ => {
            let (l, r) = (left.datum(), right.datum());
            let (l, r) = (l.as_ref(), r.as_ref());
            match op {
                BinaryOp::Eq => cmp::eq(l, r),
                BinaryOp::NotEq => cmp::neq(l, r),
                BinaryOp::Lt => cmp::lt(l, r),
                BinaryOp::LtEq => cmp::lt_eq(l, r),
                BinaryOp::Gt => cmp::gt(l, r),
                BinaryOp::GtEq => cmp::gt_eq(l, r),
                BinaryOp::IsDistinctFrom => cmp::distinct(l, r),
                _ => cmp::not_distinct(l, r),
            }
            .map_err(|e| failed(format!("comparison {op:?}"), e.to_string()))?
        }
    };
    Ok(Operand { array: Arc::new(result), constant })
}

/// `None`: a NaN, which is neither less, equal nor greater.
fn holds(op: BinaryOp, ordering: Option<Ordering>) -> bool {
    match op {
        BinaryOp::Eq | BinaryOp::IsNotDistinctFrom => ordering == Some(Ordering::Equal),
        BinaryOp::NotEq | BinaryOp::IsDistinctFrom => ordering != Some(Ordering::Equal),
        BinaryOp::Lt => ordering == Some(Ordering::Less),
        BinaryOp::LtEq => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
        BinaryOp::Gt => ordering == Some(Ordering::Greater),
        _ => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
    }
}

fn floats<T: ArrowPrimitiveType>(op: BinaryOp, left: &Operand, right: &Operand) -> Result<BooleanArray, OperatorError> {
    let typed = |o: &Operand| mistyped("comparison", o.array.data_type());
    let l = left.array.as_primitive_opt::<T>().ok_or_else(|| typed(left))?;
    let r = right.array.as_primitive_opt::<T>().ok_or_else(|| typed(right))?;
    let (lv, rv) = (l.values(), r.values());
    by_row(op, left, right, |i, j| lv[i].partial_cmp(&rv[j]))
}

fn nested(op: BinaryOp, left: &Operand, right: &Operand) -> Result<BooleanArray, OperatorError> {
    let order = make_comparator(&left.array, &right.array, SortOptions::default())
        .map_err(|e| failed(format!("comparison {op:?}"), e.to_string()))?;
    by_row(op, left, right, |i, j| Some(order(i, j)))
}

fn by_row(
    op: BinaryOp,
    left: &Operand,
    right: &Operand,
    order: impl Fn(usize, usize) -> Option<Ordering>,
) -> Result<BooleanArray, OperatorError> {
    let rows = match (left.constant, right.constant) {
        (true, true) => 1,
        (true, false) => right.array.len(),
        _ => left.array.len(),
    };
    if matches!(op, BinaryOp::IsDistinctFrom | BinaryOp::IsNotDistinctFrom) {
        let wanted = op == BinaryOp::IsNotDistinctFrom;
        return Ok(BooleanArray::new(
            BooleanBuffer::collect_bool(rows, |row| {
                let (i, j) = (left.at(row), right.at(row));
                match (left.array.is_null(i), right.array.is_null(j)) {
                    (true, true) => wanted,
                    (false, false) => holds(op, order(i, j)),
                    _ => !wanted,
                }
            }),
            None,
        ));
    }
    let values = BooleanBuffer::collect_bool(rows, |row| holds(op, order(left.at(row), right.at(row))));
    let nulls = NullBuffer::union(nulls_of(left, rows).as_ref(), nulls_of(right, rows).as_ref());
    Ok(BooleanArray::new(values, nulls))
}

fn nulls_of(operand: &Operand, rows: usize) -> Option<NullBuffer> {
    if operand.constant {
        return operand.array.is_null(0).then(|| NullBuffer::new_null(rows));
    }
    operand.array.nulls().cloned()
}

/// `x IN (constants)`, by a hash set over the row encoding.
#[derive(Debug)]
pub(super) struct InSet {
    pub input: Node,
    negated: bool,
    /// The list has a NULL: a value that is not found is unknown.
    has_null: bool,
    converter: RowConverter,
    set: HashSet<Box<[u8]>>,
}

impl InSet {
    pub fn new(input: Node, values: &ArrayRef, negated: bool) -> Result<Self, OperatorError> {
        let converter = RowConverter::new(vec![SortField::new(values.data_type().clone())])
            .map_err(|e| failed("IN", e.to_string()))?;
        let rows = converter.convert_columns(&[values.clone()]).map_err(|e| failed("IN", e.to_string()))?;
        let set = (0..values.len()).filter(|&i| values.is_valid(i)).map(|i| rows.row(i).data().into()).collect();
        Ok(Self { input, negated, has_null: values.null_count() > 0, converter, set })
    }

    pub fn evaluate(&self, rows: &Rows) -> Evaluated {
        let v = self.input.evaluate(rows)?;
        let encoded = self.converter.convert_columns(&[v.array.clone()]).map_err(|e| failed("IN", e.to_string()))?;
        let result: BooleanArray = (0..v.array.len())
            .map(|i| {
                if v.array.is_null(i) {
                    return None;
                }
                match self.set.contains(encoded.row(i).data()) {
                    true => Some(!self.negated),
                    false if self.has_null => None,
                    false => Some(self.negated),
                }
            })
            .collect();
        Ok(Operand { array: Arc::new(result), constant: v.constant })
    }
}
