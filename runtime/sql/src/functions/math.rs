//! Arithmetic and mathematics. DOUBLE follows IEEE 754 (no error for `LN(0)`), DECIMAL rounds half up and keeps its scale.

use super::definition::Param::{Bytes, Double, Long, Number};
use super::definition::{Call, Function, Returns};
use super::text_form::write_decimal;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use datafusion_common::{Result, ScalarValue, exec_err};
use std::fmt::Write;

type Unary = fn(f64) -> f64;

/// Java and Rust both call the platform's correctly rounded or nearly so functions; results may differ in the last place.
const UNARY: &[(&str, Unary)] = &[
    ("sqrt", f64::sqrt),
    ("ln", f64::ln),
    ("log10", f64::log10),
    ("log2", f64::log2),
    ("exp", f64::exp),
    ("sin", f64::sin),
    ("cos", f64::cos),
    ("tan", f64::tan),
    ("asin", f64::asin),
    ("acos", f64::acos),
    ("atan", f64::atan),
    ("sinh", f64::sinh),
    ("cosh", f64::cosh),
    ("tanh", f64::tanh),
    ("cot", |v| 1.0 / v.tan()),
    ("degrees", f64::to_degrees),
    ("radians", f64::to_radians),
];

pub(super) fn functions() -> Vec<Function> {
    let double = || Returns::Type(DataType::Float64);
    let text = || Returns::Type(DataType::Utf8);
    let mut all = vec![
        Function::new("abs", &[Number], Returns::SameAs(0), abs),
        Function::new("sign", &[Number], Returns::SameAs(0), sign),
        Function::new("mod", &[Number, Number], Returns::Computed(mod_type), modulo).coerce_all(mod_args),
        Function::new("power", &[Double, Double], double(), |c| binary(c, f64::powf)).alias(&["pow"]),
        Function::new("atan2", &[Double, Double], double(), |c| binary(c, f64::atan2)),
        Function::new("log", &[Double, Double], double(), log).optional(1),
        Function::new("ceil", &[Number], Returns::Computed(whole_type), ceil).alias(&["ceiling"]),
        Function::new("floor", &[Number], Returns::Computed(whole_type), floor),
        Function::new("round", &[Number, Long], Returns::Computed(rounded_type), round).optional(1),
        Function::new("truncate", &[Number, Long], Returns::Computed(rounded_type), truncate)
            .optional(1)
            .alias(&["trunc"]),
        Function::new("pi", &[], double(), |c| c.collect::<Float64Type>(|_| Ok(Some(std::f64::consts::PI)))),
        Function::new("e", &[], double(), |c| c.collect::<Float64Type>(|_| Ok(Some(std::f64::consts::E)))),
        Function::new("bin", &[Long], text(), bin),
        Function::new("hex", &[super::definition::Param::Any], text(), hex),
        Function::new("unhex", &[Bytes], Returns::Type(DataType::Binary), unhex),
    ];
    all.extend(UNARY.iter().map(|&(name, _)| Function::new(name, &[Double], Returns::Type(DataType::Float64), unary)));
    all
}

fn unary(call: &Call) -> Result<ArrayRef> {
    let v = call.numbers::<Float64Type>(0)?;
    let Some((_, f)) = UNARY.iter().find(|(name, _)| *name == call.function) else {
        return exec_err!("{} is not a function of one number", call.function);
    };
    call.collect::<Float64Type>(|row| Ok(v.get(row).map(f)))
}

fn binary(call: &Call, f: fn(f64, f64) -> f64) -> Result<ArrayRef> {
    let (a, b) = (call.numbers::<Float64Type>(0)?, call.numbers::<Float64Type>(1)?);
    call.collect::<Float64Type>(|row| Ok(a.get(row).zip(b.get(row)).map(|(a, b)| f(a, b))))
}

/// `LOG(x)` is natural, `LOG(base, x)`.
fn log(call: &Call) -> Result<ArrayRef> {
    if call.has(1) {
        return binary(call, |base, x| x.ln() / base.ln());
    }
    let v = call.numbers::<Float64Type>(0)?;
    call.collect::<Float64Type>(|row| Ok(v.get(row).map(f64::ln)))
}

/// Applies the function that fits the argument's type, in that type.
fn by_type(
    call: &Call,
    int: impl Fn(i64, usize) -> i64,
    double: impl Fn(f64, usize) -> f64,
    decimal: impl Fn(i128, i8, usize) -> Option<i128>,
) -> Result<ArrayRef> {
    match call.args[0].array.data_type().clone() {
        DataType::Int8 => {
            let v = call.numbers::<Int8Type>(0)?;
            call.collect::<Int8Type>(|row| Ok(v.get(row).map(|v| int(v.into(), row) as i8)))
        }
        DataType::Int16 => {
            let v = call.numbers::<Int16Type>(0)?;
            call.collect::<Int16Type>(|row| Ok(v.get(row).map(|v| int(v.into(), row) as i16)))
        }
        DataType::Int32 => {
            let v = call.numbers::<Int32Type>(0)?;
            call.collect::<Int32Type>(|row| Ok(v.get(row).map(|v| int(v.into(), row) as i32)))
        }
        DataType::Int64 => {
            let v = call.numbers::<Int64Type>(0)?;
            call.collect::<Int64Type>(|row| Ok(v.get(row).map(|v| int(v, row))))
        }
        DataType::Float32 => {
            let v = call.numbers::<Float32Type>(0)?;
            call.collect::<Float32Type>(|row| Ok(v.get(row).map(|v| double(v.into(), row) as f32)))
        }
        DataType::Float64 => {
            let v = call.numbers::<Float64Type>(0)?;
            call.collect::<Float64Type>(|row| Ok(v.get(row).map(|v| double(v, row))))
        }
        DataType::Decimal128(_, scale) => {
            let DataType::Decimal128(precision, _) = call.returns else {
                return exec_err!("function {} on DECIMAL does not give {}", call.function, call.returns);
            };
            let most = 10i128.checked_pow(precision.into()).unwrap_or(i128::MAX);
            let v = call.numbers::<Decimal128Type>(0)?;
            call.collect::<Decimal128Type>(|row| {
                Ok(v.get(row).and_then(|v| decimal(v, scale, row)).filter(|v| v.abs() < most))
            })
        }
        other => exec_err!("function {} does not take {other}", call.function),
    }
}

fn abs(call: &Call) -> Result<ArrayRef> {
    by_type(call, |v, _| v.wrapping_abs(), |v, _| v.abs(), |v, _, _| Some(v.abs()))
}

fn sign(call: &Call) -> Result<ArrayRef> {
    let double = |v: f64, _| if v == 0.0 || v.is_nan() { v } else { v.signum() };
    by_type(call, |v, _| v.signum(), double, |v, scale, _| Some(v.signum() * power(scale.into())?))
}

fn power(places: i64) -> Option<i128> {
    10i128.checked_pow(u32::try_from(places).ok()?)
}

/// DECIMAL(p, s) → DECIMAL(p, 0).
fn whole_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(match &types[0] {
        DataType::Decimal128(p, _) => DataType::Decimal128(*p, 0),
        other => other.clone(),
    })
}

fn ceil(call: &Call) -> Result<ArrayRef> {
    by_type(call, |v, _| v, |v, _| v.ceil(), |v, scale, _| Some(-(-v).div_euclid(power(scale.into())?)))
}

fn floor(call: &Call) -> Result<ArrayRef> {
    by_type(call, |v, _| v, |v, _| v.floor(), |v, scale, _| Some(v.div_euclid(power(scale.into())?)))
}

/// The scale is at most the second argument; known only if that is a constant, else the scale stays.
fn rounded_type(types: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
    let DataType::Decimal128(p, s) = types[0] else { return Ok(types[0].clone()) };
    let places = match constants.get(1) {
        None => Some(0),
        Some(Some(v)) => v.cast_to(&DataType::Int64).ok().and_then(|v| match v {
            ScalarValue::Int64(v) => v,
            _ => None,
        }),
        Some(None) => None,
    };
    let Some(places) = places else { return Ok(types[0].clone()) };
    if places >= i64::from(s) {
        return Ok(types[0].clone());
    }
    // One more digit, for 9.99 rounds to 10.0.
    if places < 0 {
        return Ok(DataType::Decimal128((i64::from(p) - i64::from(s) + 1).clamp(1, 38) as u8, 0));
    }
    let digits = i64::from(p) - i64::from(s) + places + 1;
    Ok(DataType::Decimal128(digits.clamp(1, 38) as u8, places as i8))
}

fn round(call: &Call) -> Result<ArrayRef> {
    shorten(call, true)
}

fn truncate(call: &Call) -> Result<ArrayRef> {
    shorten(call, false)
}

fn shorten(call: &Call, half_up: bool) -> Result<ArrayRef> {
    let places = if call.has(1) { Some(call.longs(1)?) } else { None };
    if let Some(places) = &places
        && (0..call.rows).any(|row| places.get(row).is_none())
    {
        let kept = super::definition::mask(&call.args[0], call.rows, |row| places.get(row).is_some())?;
        let inner = Call {
            function: call.function,
            args: vec![kept, call.args[1].clone()],
            rows: call.rows,
            returns: call.returns.clone(),
            zone: call.zone,
        };
        return shorten_known(&inner, |row| places.get(row).unwrap_or(0), half_up);
    }
    shorten_known(call, |row| places.as_ref().and_then(|p| p.get(row)).unwrap_or(0), half_up)
}

fn shorten_known(call: &Call, places: impl Fn(usize) -> i64, half_up: bool) -> Result<ArrayRef> {
    let to = match call.returns {
        DataType::Decimal128(_, s) => s,
        _ => 0,
    };
    by_type(
        call,
        |v, row| cut(v.into(), 0, places(row), 0, half_up).map_or(0, |v| v as i64),
        |v, row| shorten_double(v, places(row), half_up),
        |v, scale, row| cut(v, scale, places(row), to, half_up),
    )
}

/// Through the decimal digits that the double prints, as Flink does (`BigDecimal.valueOf`).
fn shorten_double(v: f64, places: i64, half_up: bool) -> f64 {
    if !v.is_finite() {
        return v;
    }
    let text = format!("{v:e}");
    let Some((mantissa, exponent)) = text.split_once('e') else { return v };
    let Ok(exponent) = exponent.parse::<i64>() else { return v };
    let fraction = mantissa.split_once('.').map_or(0, |(_, f)| f.len() as i64);
    let Ok(digits) = mantissa.replace('.', "").parse::<i128>() else { return v };
    // v = digits × 10^-scale.
    let scale = fraction - exponent;
    if places >= scale {
        return v;
    }
    let Some(unit) = power(scale.saturating_sub(places)) else { return 0.0 };
    let whole = divide(digits, unit, half_up);
    format!("{whole}e{}", -places).parse().unwrap_or(v)
}

/// To `places` places, written with `to` places.
fn cut(v: i128, scale: i8, places: i64, to: i8, half_up: bool) -> Option<i128> {
    let scale = i64::from(scale);
    let (v, scale) = if places < scale {
        match power(scale.saturating_sub(places)) {
            Some(unit) => (divide(v, unit, half_up), places),
            None => (0, places),
        }
    } else {
        (v, scale)
    };
    let to = i64::from(to);
    if v == 0 {
        return Some(0);
    }
    if to >= scale { v.checked_mul(power(to - scale)?) } else { Some(divide(v, power(scale - to)?, half_up)) }
}

fn divide(v: i128, unit: i128, half_up: bool) -> i128 {
    let (q, r) = (v / unit, v % unit);
    if half_up && r.abs() >= unit - r.abs() { q + v.signum() } else { q }
}

/// Exact numbers stay as they are; with a DOUBLE both are.
fn mod_args(types: &[DataType]) -> Result<Vec<DataType>> {
    let exact = |t: &DataType| super::types::decimal(t).is_some();
    if types.iter().all(exact) { Ok(types.to_vec()) } else { Ok(vec![DataType::Float64; 2]) }
}

fn mod_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    use sluice_core::plan::{expr::BinaryOp, types::binary_type};
    // Of two integers the second one's type: a remainder always fits there.
    if types[0].is_integer() && types[1].is_integer() {
        return Ok(types[1].clone());
    }
    let exact = |t: &DataType| super::types::decimal(t).map_or_else(|| t.clone(), |(p, s)| DataType::Decimal128(p, s));
    match binary_type(BinaryOp::Modulo, &exact(&types[0]), &exact(&types[1])) {
        Some(t) => Ok(t),
        None => datafusion_common::plan_err!("function MOD does not take {} and {}", types[0], types[1]),
    }
}

fn modulo(call: &Call) -> Result<ArrayRef> {
    if let DataType::Float64 | DataType::Float32 = call.returns {
        let cast =
            |i: usize| -> Result<ArrayRef> { Ok(arrow::compute::cast(&call.args[i].array, &DataType::Float64)?) };
        let (a, b) = (cast(0)?, cast(1)?);
        let (a, b) = (a.as_primitive::<Float64Type>(), b.as_primitive::<Float64Type>());
        let at = |i: usize, row: usize| if call.args[i].constant { 0 } else { row };
        let values = (0..call.rows).map(|row| {
            let (i, j) = (at(0, row), at(1, row));
            (a.is_valid(i) && b.is_valid(j)).then(|| a.value(i) % b.value(j))
        });
        let out: arrow::array::Float64Array = values.collect();
        let out: ArrayRef = std::sync::Arc::new(out);
        return Ok(arrow::compute::cast(&out, &call.returns)?);
    }
    let (dividend, divisor) = (super::types::exact(&call.args[0])?, super::types::exact(&call.args[1])?);
    let (a_scale, b_scale) = (scale(call, 0), scale(call, 1));
    let exact = a_scale.max(b_scale);
    let remainder = |row: usize| -> Result<Option<i128>> {
        let (Some(a), Some(b)) = (dividend.get(row), divisor.get(row)) else { return Ok(None) };
        if b == 0 {
            return exec_err!("division by zero in MOD; guard it with NULLIF or CASE");
        }
        let wide = |v: i128, from: i8| power((exact - from).into()).and_then(|p| v.checked_mul(p));
        Ok(wide(a, a_scale).zip(wide(b, b_scale)).map(|(a, b)| a.wrapping_rem(b)))
    };
    if matches!(call.returns, DataType::Decimal128(..)) {
        return call.collect::<Decimal128Type>(remainder);
    }
    let long =
        Call { returns: DataType::Int64, function: call.function, args: vec![], rows: call.rows, zone: call.zone };
    let out = long.collect::<Int64Type>(|row| Ok(remainder(row)?.map(|v| v as i64)))?;
    Ok(arrow::compute::cast(&out, &call.returns)?)
}

fn scale(call: &Call, i: usize) -> i8 {
    match call.args[i].array.data_type() {
        DataType::Decimal128(_, s) => *s,
        _ => 0,
    }
}

/// Two's complement without leading zeros.
fn bin(call: &Call) -> Result<ArrayRef> {
    let v = call.longs(0)?;
    call.collect_text(|row, out| Ok(v.get(row).is_some_and(|v| write!(out, "{v:b}").is_ok())))
}

/// Numbers as two's complement, text by its bytes; upper case.
fn hex(call: &Call) -> Result<ArrayRef> {
    if call.args[0].array.data_type().is_integer() {
        let v = call.longs(0)?;
        return call.collect_text(|row, out| Ok(v.get(row).is_some_and(|v| write!(out, "{v:X}").is_ok())));
    }
    let v = call.bytes(0)?;
    call.collect_text(|row, out| {
        let Some(bytes) = v.get(row) else { return Ok(false) };
        out.extend(bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|d| char::from_digit(d.into(), 16).unwrap_or('0')));
        out.make_ascii_uppercase();
        Ok(true)
    })
}

/// NULL for what is not hexadecimal.
fn unhex(call: &Call) -> Result<ArrayRef> {
    let v = call.bytes(0)?;
    call.collect_bytes(|row, out| {
        let Some(text) = v.get(row) else { return Ok(false) };
        let mut digits = vec![];
        for b in text {
            let Some(d) = char::from(*b).to_digit(16) else { return Ok(false) };
            digits.push(d as u8);
        }
        if digits.len() % 2 == 1 {
            digits.insert(0, 0);
        }
        out.extend(digits.chunks(2).map(|d| d[0] << 4 | d[1]));
        Ok(true)
    })
}

/// A decimal as text, for error messages and JSON.
pub(super) fn decimal_text(unscaled: i128, scale: i8) -> String {
    let mut out = String::new();
    write_decimal(&mut out, unscaled, scale);
    out
}
