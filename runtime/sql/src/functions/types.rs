//! One common type for several arguments, by Flink's rules.

use super::definition::Arg;
use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Field, Int64Type, TimeUnit};
use datafusion_common::{Result, plan_err};
use std::sync::Arc;

/// Coerces all arguments to their common type.
pub(super) fn common(given: &[DataType]) -> Result<Vec<DataType>> {
    Ok(vec![common_type(given)?; given.len()])
}

/// The type that holds every value: wider integer, DECIMAL with all digits, DOUBLE, finer timestamp.
pub fn common_type(given: &[DataType]) -> Result<DataType> {
    let mut types = given.iter().filter(|t| **t != DataType::Null);
    let Some(first) = types.next() else { return Ok(DataType::Utf8) };
    let mut common = text(first);
    for t in types {
        match pair(&common, &text(t)) {
            Some(merged) => common = merged,
            None => return plan_err!("{common} and {t} have no common type; use CAST"),
        }
    }
    Ok(common)
}

fn text(t: &DataType) -> DataType {
    if matches!(t, DataType::LargeUtf8 | DataType::Utf8View) { DataType::Utf8 } else { t.clone() }
}

fn pair(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::*;
    if a == b {
        return Some(a.clone());
    }
    match (a, b) {
        (Float32 | Float64, n) | (n, Float32 | Float64) if n.is_numeric() => Some(Float64),
        (Date32, t @ Timestamp(..)) | (t @ Timestamp(..), Date32) => Some(t.clone()),
        (Timestamp(a, za), Timestamp(b, zb)) => Some(Timestamp(finer(*a, *b), za.clone().or_else(|| zb.clone()))),
        (List(a), List(b)) => {
            let item = pair(a.data_type(), b.data_type())?;
            Some(List(Arc::new(Field::new(a.name(), item, true))))
        }
        (a, b) if a.is_integer() && b.is_integer() => Some(if width(a)? >= width(b)? { a.clone() } else { b.clone() }),
        (a, b) => {
            let ((p1, s1), (p2, s2)) = (decimal(a)?, decimal(b)?);
            let scale = s1.max(s2);
            let digits = (p1 as i8 - s1).max(p2 as i8 - s2) + scale;
            Some(Decimal128(digits.clamp(1, 38) as u8, scale))
        }
    }
}

fn finer(a: TimeUnit, b: TimeUnit) -> TimeUnit {
    a.max(b)
}

fn width(t: &DataType) -> Option<usize> {
    t.primitive_width()
}

/// The DECIMAL that holds every value of an exact number type.
pub fn decimal(t: &DataType) -> Option<(u8, i8)> {
    Some(match t {
        DataType::Decimal128(p, s) => (*p, *s),
        DataType::Int8 | DataType::UInt8 => (3, 0),
        DataType::Int16 | DataType::UInt16 => (5, 0),
        DataType::Int32 | DataType::UInt32 => (10, 0),
        DataType::Int64 => (19, 0),
        DataType::UInt64 => (20, 0),
        _ => return None,
    })
}

/// Integers and decimals as unscaled numbers, by row.
pub(super) struct Exact {
    values: arrow::array::Decimal128Array,
    constant: bool,
}

impl Exact {
    pub fn get(&self, row: usize) -> Option<i128> {
        let i = if self.constant { 0 } else { row };
        self.values.is_valid(i).then(|| self.values.value(i))
    }
}

pub(super) fn exact(arg: &Arg) -> Result<Exact> {
    if let Some(values) = arg.array.as_primitive_opt::<Decimal128Type>() {
        return Ok(Exact { values: values.clone(), constant: arg.constant });
    }
    let long = cast(&arg.array, &DataType::Int64)?;
    let values = long.as_primitive::<Int64Type>().unary::<_, Decimal128Type>(i128::from);
    Ok(Exact { values, constant: arg.constant })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_types_hold_both_sides() {
        use DataType::*;
        for (given, want) in [
            (vec![Int32, Int64], Int64),
            (vec![Int32, Decimal128(2, 1)], Decimal128(11, 1)),
            (vec![Decimal128(10, 2), Decimal128(5, 4)], Decimal128(12, 4)),
            (vec![Int32, Null, Float32], Float64),
            (vec![Null, Utf8], Utf8),
            (vec![Date32, Timestamp(TimeUnit::Millisecond, None)], Timestamp(TimeUnit::Millisecond, None)),
        ] {
            assert_eq!(common_type(&given).unwrap(), want, "{given:?}");
        }
        assert!(common_type(&[Int32, Utf8]).is_err());
    }
}
