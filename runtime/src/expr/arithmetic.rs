//! `+ - * / %` and bit operators with Java's meaning: integers wrap and refuse to divide by zero, doubles follow IEEE 754,
//! DECIMAL has Flink's scale and becomes NULL when it does not fit, time moves by intervals.

use super::decimal;
use super::node::{Evaluated, Node, Operand, Rows, failed, mistyped};
use crate::operator::OperatorError;
use arrow::array::{Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::compute::cast as arrow_cast;
use arrow::compute::kernels::{bitwise, numeric};
use arrow::datatypes::{
    DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use arrow::error::ArrowError;
use sluice_core::plan::expr::BinaryOp;
use sluice_sql::functions::text_form::{civil, days_from_civil};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Arithmetic {
    pub op: BinaryOp,
    pub left: Node,
    pub right: Node,
    pub data_type: DataType,
}

impl Arithmetic {
    /// Integer and decimal division by zero is the only failure.
    pub fn can_fail(&self) -> bool {
        let divides = matches!(self.op, BinaryOp::Divide | BinaryOp::Modulo);
        divides && !matches!(self.data_type, DataType::Float32 | DataType::Float64)
    }

    pub fn evaluate(&self, rows: &Rows) -> Evaluated {
        let (left, right) = (self.left.evaluate(rows)?, self.right.evaluate(rows)?);
        let constant = left.constant && right.constant;
        let array = match &self.data_type {
            DataType::Int8 => self.integers::<Int8Type>(&left, &right)?,
            DataType::Int16 => self.integers::<Int16Type>(&left, &right)?,
            DataType::Int32 => self.integers::<Int32Type>(&left, &right)?,
            DataType::Int64 => self.integers::<Int64Type>(&left, &right)?,
            DataType::Float32 => self.floats::<Float32Type>(&left, &right)?,
            DataType::Float64 => self.floats::<Float64Type>(&left, &right)?,
            DataType::Decimal128(precision, scale) => decimal::evaluate(self.op, &left, &right, *precision, *scale)?,
            _ => self.temporal(&left, &right)?,
        };
        Ok(Operand { array, constant })
    }

    fn floats<T: ArrowPrimitiveType>(&self, left: &Operand, right: &Operand) -> Result<ArrayRef, OperatorError>
    where
        T::Native: ArrowNativeTypeOp,
    {
        if self.op == BinaryOp::Modulo {
            return pairwise::<T, T, T>(left, right, &self.data_type, |a, b| Ok(Some(a.mod_wrapping(b))));
        }
        self.kernel(left, right)
    }

    fn integers<T: ArrowPrimitiveType>(&self, left: &Operand, right: &Operand) -> Result<ArrayRef, OperatorError>
    where
        T::Native: ArrowNativeTypeOp,
    {
        let remainder = self.op == BinaryOp::Modulo;
        if !remainder && self.op != BinaryOp::Divide {
            return self.kernel(left, right);
        }
        pairwise::<T, T, T>(left, right, &self.data_type, |a, b| {
            if b.is_zero() {
                let op = if remainder { '%' } else { '/' };
                return Err(failed(format!("'{a:?} {op} {b:?}'"), "division by zero; guard it with NULLIF or CASE"));
            }
            Ok(Some(if remainder { a.mod_wrapping(b) } else { a.div_wrapping(b) }))
        })
    }

    fn kernel(&self, left: &Operand, right: &Operand) -> Result<ArrayRef, OperatorError> {
        let (l, r) = (left.datum(), right.datum());
        let (l, r) = (l.as_ref(), r.as_ref());
        let result = match self.op {
            BinaryOp::Add => numeric::add_wrapping(l, r),
            BinaryOp::Subtract => numeric::sub_wrapping(l, r),
            BinaryOp::Multiply => numeric::mul_wrapping(l, r),
            BinaryOp::Divide => numeric::div(l, r),
            BinaryOp::Modulo => numeric::rem(l, r),
            BinaryOp::BitAnd | BinaryOp::BitOr | BinaryOp::BitXor => return self.bits(left, right),
            _ => Err(ArrowError::ComputeError(format!("{:?} is not arithmetic", self.op))),
        };
        result.map_err(|e| failed(format!("operator {:?}", self.op), e.to_string()))
    }

    fn bits(&self, left: &Operand, right: &Operand) -> Result<ArrayRef, OperatorError> {
        let long = |o: &Operand| arrow_cast(&o.array, &DataType::Int64).map_err(OperatorError::Output);
        let rows = if left.constant { right.array.len() } else { left.array.len() };
        let l = Operand { array: long(left)?, constant: left.constant }.expand(rows)?;
        let r = Operand { array: long(right)?, constant: right.constant }.expand(rows)?;
        let (l, r) = (l.as_primitive::<Int64Type>(), r.as_primitive::<Int64Type>());
        let result = match self.op {
            BinaryOp::BitAnd => bitwise::bitwise_and(l, r),
            BinaryOp::BitOr => bitwise::bitwise_or(l, r),
            _ => bitwise::bitwise_xor(l, r),
        };
        let array: ArrayRef = Arc::new(result.map_err(OperatorError::Output)?);
        arrow_cast(&array, &self.data_type).map_err(OperatorError::Output)
    }

    /// A time ± an interval, or the difference of two times.
    fn temporal(&self, left: &Operand, right: &Operand) -> Result<ArrayRef, OperatorError> {
        let interval = |t: &DataType| matches!(t, DataType::Interval(_) | DataType::Duration(_));
        let (l, r) = (left.array.data_type(), right.array.data_type());
        match (interval(l), interval(r)) {
            (false, true) => shift(left, right, if self.op == BinaryOp::Subtract { -1 } else { 1 }, &self.data_type),
            (true, false) if self.op == BinaryOp::Add => shift(right, left, 1, &self.data_type),
            _ => self.kernel(left, right),
        }
    }
}

/// Adds intervals: months by the calendar (31 January + 1 month = the last of February), days and less as exact time.
fn shift(time: &Operand, interval: &Operand, sign: i64, to: &DataType) -> Result<ArrayRef, OperatorError> {
    let parts = arrow_cast(&interval.array, &DataType::Interval(IntervalUnit::MonthDayNano))
        .map_err(|e| failed("interval arithmetic", e.to_string()))?;
    let interval = Operand { array: parts, constant: interval.constant };
    if let Some(moved) = shift_constant(time, &interval, sign, to)? {
        return Ok(moved);
    }
    let per_second = match to {
        DataType::Date32 => 0,
        DataType::Timestamp(unit, _) | DataType::Time32(unit) | DataType::Time64(unit) => units_per_second(*unit),
        other => return Err(mistyped("interval arithmetic", other)),
    };
    let longs = Operand {
        array: arrow_cast(&time.array, &if *to == DataType::Date32 { DataType::Int32 } else { layout(to) })
            .and_then(|a| arrow_cast(&a, &DataType::Int64))
            .map_err(OperatorError::Output)?,
        constant: time.constant,
    };
    let clock = matches!(to, DataType::Time32(_) | DataType::Time64(_));
    let moved =
        pairwise::<Int64Type, IntervalMonthDayNanoType, Int64Type>(&longs, &interval, &DataType::Int64, |t, i| {
            let months = i64::from(i.months) * sign;
            let nanos = (i128::from(i.days) * 86_400_000_000_000 + i128::from(i.nanoseconds)) * i128::from(sign);
            if per_second == 0 {
                return Ok(Some(add_months(t, months) + (nanos / 86_400_000_000_000) as i64));
            }
            let day = per_second * 86_400;
            let date = match months {
                0 => i128::from(t),
                _ => {
                    i128::from(add_months(t.div_euclid(day), months)) * i128::from(day) + i128::from(t.rem_euclid(day))
                }
            };
            let exact = date + nanos * i128::from(per_second) / 1_000_000_000;
            let exact = if clock { exact.rem_euclid(i128::from(day)) } else { exact };
            match i64::try_from(exact) {
                Ok(v) => Ok(Some(v)),
                Err(_) => Err(failed("interval arithmetic", "the time is out of the range of its type")),
            }
        })?;
    if matches!(to, DataType::Date32 | DataType::Time32(_)) {
        let small = arrow_cast(&moved, &DataType::Int32).map_err(OperatorError::Output)?;
        return arrow_cast(&small, to).map_err(OperatorError::Output);
    }
    arrow_cast(&moved, to).map_err(OperatorError::Output)
}

/// A TIMESTAMP column and a constant of exact length: one addition per row. Every watermark takes this way.
fn shift_constant(time: &Operand, by: &Operand, sign: i64, to: &DataType) -> Result<Option<ArrayRef>, OperatorError> {
    let (DataType::Timestamp(unit, _), true) = (to, by.constant && by.array.is_valid(0)) else { return Ok(None) };
    let by = by.array.as_primitive::<IntervalMonthDayNanoType>().value(0);
    if by.months != 0 || time.array.data_type() != to {
        return Ok(None);
    }
    let nanos = (i128::from(by.days) * 86_400_000_000_000 + i128::from(by.nanoseconds)) * i128::from(sign);
    let range = || failed("interval arithmetic", "the time is out of the range of its type");
    let delta = i64::try_from(nanos * i128::from(units_per_second(*unit)) / 1_000_000_000).map_err(|_| range())?;
    let longs = arrow_cast(&time.array, &DataType::Int64).map_err(OperatorError::Output)?;
    let moved = longs
        .as_primitive::<Int64Type>()
        .try_unary::<_, Int64Type, OperatorError>(|t| t.checked_add(delta).ok_or_else(range))?;
    arrow_cast(&moved, to).map(Some).map_err(OperatorError::Output)
}

fn layout(to: &DataType) -> DataType {
    if matches!(to, DataType::Time32(_)) { DataType::Int32 } else { DataType::Int64 }
}

pub(super) fn units_per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// The day so many months later, at most the last of its month.
pub(super) fn add_months(days: i64, months: i64) -> i64 {
    let (y, m, d) = civil(days);
    let count = y * 12 + i64::from(m) - 1 + months;
    let (y, m) = (count.div_euclid(12), count.rem_euclid(12) as u32 + 1);
    let (next_y, next_m) = if m == 12 { (y + 1, 1) } else { (y, m + 1) };
    let length = days_from_civil(next_y, next_m, 1) - days_from_civil(y, m, 1);
    days_from_civil(y, m, d.min(length as u32))
}

pub(super) fn negate(v: &Operand) -> Evaluated {
    let zero = |t: &DataType| matches!(t, DataType::Float32 | DataType::Float64);
    let array = if zero(v.array.data_type()) { numeric::neg(&v.array) } else { numeric::neg_wrapping(&v.array) };
    let array = array.map_err(|e| failed("unary minus", e.to_string()))?;
    Ok(Operand { array, constant: v.constant })
}

/// A loop over two operands, skipping rows with a NULL; `None` gives NULL.
pub(super) fn pairwise<L, R, O>(
    left: &Operand,
    right: &Operand,
    data_type: &DataType,
    mut f: impl FnMut(L::Native, R::Native) -> Result<Option<O::Native>, OperatorError>,
) -> Result<ArrayRef, OperatorError>
where
    L: ArrowPrimitiveType,
    R: ArrowPrimitiveType,
    O: ArrowPrimitiveType,
{
    let typed = |o: &Operand| mistyped("arithmetic", o.array.data_type());
    let l = left.array.as_primitive_opt::<L>().ok_or_else(|| typed(left))?;
    let r = right.array.as_primitive_opt::<R>().ok_or_else(|| typed(right))?;
    let rows = match (left.constant, right.constant) {
        (true, true) => 1,
        (true, false) => r.len(),
        _ => l.len(),
    };
    let mut out = PrimitiveArray::<O>::builder(rows).with_data_type(data_type.clone());
    for row in 0..rows {
        let (i, j) = (left.at(row), right.at(row));
        if l.is_null(i) || r.is_null(j) {
            out.append_null();
        } else {
            out.append_option(f(l.value(i), r.value(j))?);
        }
    }
    Ok(Arc::new(out.finish()))
}

/// Used by casts: the values of a decimal column.
pub(super) fn decimals(array: &ArrayRef) -> Result<&PrimitiveArray<Decimal128Type>, OperatorError> {
    array.as_primitive_opt::<Decimal128Type>().ok_or_else(|| mistyped("DECIMAL arithmetic", array.data_type()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_end_at_the_last_day() {
        let day = |y, m, d| days_from_civil(y, m, d);
        assert_eq!(add_months(day(2024, 1, 31), 1), day(2024, 2, 29));
        assert_eq!(add_months(day(2023, 1, 31), 1), day(2023, 2, 28));
        assert_eq!(add_months(day(2024, 2, 29), 12), day(2025, 2, 28));
        assert_eq!(add_months(day(2024, 3, 31), -1), day(2024, 2, 29));
        assert_eq!(add_months(day(1969, 12, 1), 13), day(1971, 1, 1));
    }
}
