//! Numbers and BOOLEAN to each other, as Java's primitive conversions and `BigDecimal` do it.

use crate::expr::arithmetic::decimals;
use crate::expr::decimal::{fits, rescale};
use crate::expr::node::mistyped;
use crate::operator::OperatorError;
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray};
use arrow::datatypes::{
    DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use sluice_sql::functions::text_form::write_double;
use std::sync::Arc;

/// A number between its old and its new type, exact in its family.
#[derive(Clone, Copy)]
enum Number {
    Int(i128),
    Double(f64),
    Decimal(i128, i8),
}

pub(super) fn convert(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, OperatorError> {
    use DataType::*;
    match array.data_type() {
        Int8 => from(array.as_primitive::<Int8Type>(), to, |v| Number::Int(v.into())),
        Int16 => from(array.as_primitive::<Int16Type>(), to, |v| Number::Int(v.into())),
        Int32 => from(array.as_primitive::<Int32Type>(), to, |v| Number::Int(v.into())),
        Int64 => from(array.as_primitive::<Int64Type>(), to, |v| Number::Int(v.into())),
        UInt8 => from(array.as_primitive::<UInt8Type>(), to, |v| Number::Int(v.into())),
        UInt16 => from(array.as_primitive::<UInt16Type>(), to, |v| Number::Int(v.into())),
        UInt32 => from(array.as_primitive::<UInt32Type>(), to, |v| Number::Int(v.into())),
        UInt64 => from(array.as_primitive::<UInt64Type>(), to, |v| Number::Int(v.into())),
        Float32 => from(array.as_primitive::<Float32Type>(), to, |v| Number::Double(v.into())),
        Float64 => from(array.as_primitive::<Float64Type>(), to, Number::Double),
        Decimal128(_, scale) => from(decimals(array)?, to, |v| Number::Decimal(v, *scale)),
        Boolean => {
            let ints: PrimitiveArray<Int32Type> = array.as_boolean().iter().map(|b| b.map(i32::from)).collect();
            from(&ints, to, |v| Number::Int(v.into()))
        }
        other => Err(mistyped("CAST", other)),
    }
}

fn from<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    to: &DataType,
    read: impl Fn(T::Native) -> Number + Copy,
) -> Result<ArrayRef, OperatorError> {
    use DataType::*;
    Ok(match to {
        Int8 => Arc::new(array.unary::<_, Int8Type>(|v| read(v).int32() as i8)),
        Int16 => Arc::new(array.unary::<_, Int16Type>(|v| read(v).int32() as i16)),
        Int32 => Arc::new(array.unary::<_, Int32Type>(|v| read(v).int32())),
        Int64 => Arc::new(array.unary::<_, Int64Type>(|v| read(v).int64())),
        UInt64 => Arc::new(array.unary::<_, UInt64Type>(|v| read(v).int64() as u64)),
        UInt32 => Arc::new(array.unary::<_, UInt32Type>(|v| read(v).int64() as u32)),
        Float32 => Arc::new(array.unary::<_, Float32Type>(|v| read(v).double() as f32)),
        Float64 => Arc::new(array.unary::<_, Float64Type>(|v| read(v).double())),
        // An integer that fits whatever its value: no checks per row.
        Decimal128(precision, scale)
            if *scale >= 0 && whole_digits::<T>() <= i32::from(*precision) - i32::from(*scale) =>
        {
            let factor = 10i128.pow(scale.unsigned_abs().into());
            let converted = array.unary::<_, Decimal128Type>(|v| i128::from(read(v).int64()) * factor);
            Arc::new(converted.with_data_type(to.clone()))
        }
        Decimal128(precision, scale) => {
            let converted: PrimitiveArray<Decimal128Type> =
                array.iter().map(|v| v.and_then(|v| read(v).decimal(*precision, *scale))).collect();
            Arc::new(converted.with_data_type(to.clone()))
        }
        Boolean => {
            let values: BooleanArray = array.iter().map(|v| v.map(|v| read(v).truth())).collect();
            Arc::new(values)
        }
        other => return Err(mistyped("CAST", other)),
    })
}

/// Digits of the largest value of an integer type; more than any DECIMAL has for the others.
fn whole_digits<T: ArrowPrimitiveType>() -> i32 {
    match T::DATA_TYPE {
        DataType::Int8 | DataType::UInt8 => 3,
        DataType::Int16 | DataType::UInt16 => 5,
        DataType::Int32 | DataType::UInt32 => 10,
        DataType::Int64 => 19,
        _ => i32::MAX,
    }
}

impl Number {
    /// Java narrows a double to INT first (saturating, NaN = 0), an integer by its low bits.
    fn int32(self) -> i32 {
        match self {
            Self::Double(v) => v as i32,
            other => other.int64() as i32,
        }
    }

    fn int64(self) -> i64 {
        match self {
            Self::Int(v) => v as i64,
            Self::Double(v) => v as i64,
            Self::Decimal(v, scale) => truncate(v, scale) as i64,
        }
    }

    fn double(self) -> f64 {
        match self {
            Self::Int(v) => v as f64,
            Self::Double(v) => v,
            Self::Decimal(v, scale) => decimal_to_double(v, scale),
        }
    }

    fn decimal(self, precision: u8, scale: i8) -> Option<i128> {
        let v = match self {
            Self::Int(v) => rescale(v, 0, scale),
            Self::Double(v) => double_to_decimal(v, scale),
            Self::Decimal(v, from) => rescale(v, from, scale),
        }?;
        fits(v, precision).then_some(v)
    }

    fn truth(self) -> bool {
        match self {
            Self::Int(v) | Self::Decimal(v, _) => v != 0,
            Self::Double(v) => v != 0.0,
        }
    }
}

fn truncate(v: i128, scale: i8) -> i128 {
    if scale < 0 {
        return rescale(v, scale, 0).unwrap_or(i128::MAX);
    }
    match 10i128.checked_pow(u32::try_from(scale).unwrap_or(0)) {
        Some(f) => v / f,
        None => 0,
    }
}

/// The nearest double. Up to 2^53 and 10^22 both sides are exact and one division rounds once; beyond, the decimal text is
/// read, which rounds once too.
fn decimal_to_double(v: i128, scale: i8) -> f64 {
    if v.unsigned_abs() < 1 << 53 && (0..=22).contains(&scale) {
        return v as f64 / 10f64.powi(i32::from(scale));
    }
    format!("{v}e{}", -i32::from(scale)).parse().unwrap_or(f64::NAN)
}

/// `BigDecimal.valueOf(double)`: the digits that the double prints, not its binary expansion. NaN and infinities: NULL.
fn double_to_decimal(v: f64, scale: i8) -> Option<i128> {
    if !v.is_finite() {
        return None;
    }
    let mut text = String::new();
    write_double(&mut text, v);
    super::parse::decimal(&text, scale)
}
