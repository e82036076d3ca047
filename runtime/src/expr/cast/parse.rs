//! Text to numbers, BOOLEAN, dates and times.

use crate::expr::arithmetic::units_per_second;
use crate::expr::decimal::fits;
use crate::expr::node::{failed, mistyped};
use crate::operator::OperatorError;
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray, StringArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use sluice_sql::functions::time_form::{WallTime, parse_date, parse_time, parse_timestamp};
use sluice_sql::functions::zone::Zone;
use std::sync::Arc;

pub(super) fn parse(text: &StringArray, to: &DataType, tolerant: bool) -> Result<ArrayRef, OperatorError> {
    use DataType::*;
    let p = Parser { text, to, tolerant };
    match to {
        Boolean => p.booleans(),
        Int8 => p.each::<Int8Type>(|s| integer(s).and_then(|v| v.try_into().ok())),
        Int16 => p.each::<Int16Type>(|s| integer(s).and_then(|v| v.try_into().ok())),
        Int32 => p.each::<Int32Type>(|s| integer(s).and_then(|v| v.try_into().ok())),
        Int64 => p.each::<Int64Type>(integer),
        Float32 => p.each::<Float32Type>(|s| float(s)?.parse().ok()),
        Float64 => p.each::<Float64Type>(|s| float(s)?.parse().ok()),
        Decimal128(precision, scale) => {
            p.each::<Decimal128Type>(|s| decimal(s, *scale).filter(|v| fits(*v, *precision)))
        }
        Date32 => p.each::<Date32Type>(|s| parse_date(s).map(|d| d as i32)),
        Time32(TimeUnit::Second) => p.each::<Time32SecondType>(|s| parse_time(s).map(|n| (n / 1_000_000_000) as i32)),
        Time32(_) => p.each::<Time32MillisecondType>(|s| parse_time(s).map(|n| (n / 1_000_000) as i32)),
        Time64(TimeUnit::Microsecond) => p.each::<Time64MicrosecondType>(|s| parse_time(s).map(|n| n / 1_000)),
        Time64(_) => p.each::<Time64NanosecondType>(parse_time),
        Timestamp(unit, zone) => {
            let zone = zone.as_deref().map(|z| Zone::parse(z).unwrap_or(Zone::UTC));
            let read = |s: &str| parse_timestamp(s).and_then(|t| timestamp(t, *unit, zone));
            match unit {
                TimeUnit::Second => p.each::<TimestampSecondType>(read),
                TimeUnit::Millisecond => p.each::<TimestampMillisecondType>(read),
                TimeUnit::Microsecond => p.each::<TimestampMicrosecondType>(read),
                TimeUnit::Nanosecond => p.each::<TimestampNanosecondType>(read),
            }
        }
        other => Err(mistyped("CAST from STRING", other)),
    }
}

struct Parser<'a> {
    text: &'a StringArray,
    to: &'a DataType,
    tolerant: bool,
}

impl Parser<'_> {
    fn each<T: ArrowPrimitiveType>(&self, read: impl Fn(&str) -> Option<T::Native>) -> Result<ArrayRef, OperatorError> {
        let mut out = PrimitiveArray::<T>::builder(self.text.len()).with_data_type(self.to.clone());
        for value in self.text {
            match value.map(|v| (v, read(v.trim()))) {
                None => out.append_null(),
                Some((v, None)) => self.bad(v).map(|()| out.append_null())?,
                Some((_, parsed)) => out.append_option(parsed),
            }
        }
        Ok(Arc::new(out.finish()))
    }

    fn booleans(&self) -> Result<ArrayRef, OperatorError> {
        let mut out = Vec::with_capacity(self.text.len());
        for value in self.text {
            let parsed = value.and_then(boolean);
            if let (Some(v), None) = (value, parsed) {
                self.bad(v)?;
            }
            out.push(parsed);
        }
        Ok(Arc::new(BooleanArray::from(out)))
    }

    fn bad(&self, value: &str) -> Result<(), OperatorError> {
        if self.tolerant {
            return Ok(());
        }
        let shown: String = value.chars().take(80).collect();
        Err(failed(
            format!("CAST('{shown}' AS {})", sql_name(self.to)),
            format!("the text does not read as {}; TRY_CAST gives NULL instead", sql_name(self.to)),
        ))
    }
}

fn sql_name(t: &DataType) -> String {
    match t {
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Int8 => "TINYINT".into(),
        DataType::Int16 => "SMALLINT".into(),
        DataType::Int32 => "INT".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::Float32 => "FLOAT".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Decimal128(p, s) => format!("DECIMAL({p}, {s})"),
        DataType::Date32 => "DATE".into(),
        DataType::Time32(_) | DataType::Time64(_) => "TIME".into(),
        DataType::Timestamp(_, None) => "TIMESTAMP".into(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP_LTZ".into(),
        other => other.to_string(),
    }
}

fn boolean(s: &str) -> Option<bool> {
    match s.to_ascii_lowercase().as_str() {
        "t" | "true" | "y" | "yes" | "1" => Some(true),
        "f" | "false" | "n" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// A fraction is checked and cut off: `12.7` is 12.
fn integer(s: &str) -> Option<i64> {
    let (whole, fraction) = s.split_once('.').unwrap_or((s, ""));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if s.contains('.') && matches!(whole, "" | "+" | "-") {
        return (!fraction.is_empty()).then_some(0);
    }
    whole.parse().ok()
}

/// What both Java and Rust read; Rust's `inf`, `infinity` and `nan` in any case are not Java's.
fn float(s: &str) -> Option<&str> {
    let digits = s.trim_start_matches(['+', '-']);
    if matches!(digits, "NaN" | "Infinity") {
        return Some(s);
    }
    let s = s.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(s);
    digits.starts_with(|c: char| c.is_ascii_digit() || c == '.').then_some(s)
}

/// `[+-]digits[.digits][e[+-]digits]`, rounded half up to `scale` places. `None`: no number, or too large for 128 bits.
pub(super) fn decimal(s: &str, scale: i8) -> Option<i128> {
    let (mantissa, exponent) = match s.split_once(['e', 'E']) {
        Some((m, e)) => (m, e.parse::<i32>().ok()?),
        None => (s, 0),
    };
    let (negative, mantissa) = match mantissa.strip_prefix(['-', '+']) {
        Some(rest) => (mantissa.starts_with('-'), rest),
        None => (false, mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.len() + fraction.len() == 0 || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    // The digits shifted so that the point stands after `keep` of them.
    let keep = whole.len() as i64 + i64::from(exponent) + i64::from(scale);
    let mut value: i128 = 0;
    let mut round_up = false;
    for (i, b) in whole.bytes().chain(fraction.bytes()).enumerate() {
        let digit = i128::from(b - b'0');
        if (i as i64) < keep {
            value = value.checked_mul(10)?.checked_add(digit)?;
        } else {
            round_up = i as i64 == keep && digit >= 5;
            break;
        }
    }
    let digits = (whole.len() + fraction.len()) as i64;
    if value != 0 && keep > digits {
        value = value.checked_mul(10i128.checked_pow(u32::try_from(keep - digits).ok()?)?)?;
    }
    value += i128::from(round_up);
    Some(if negative { -value } else { value })
}

/// The number that a timestamp type stores.
pub(super) fn timestamp(t: WallTime, unit: TimeUnit, zone: Option<Zone>) -> Option<i64> {
    let seconds = zone.map_or(t.seconds, |z| z.to_utc(t.seconds));
    let per_second = units_per_second(unit);
    seconds.checked_mul(per_second)?.checked_add(i64::from(t.nanos) / (1_000_000_000 / per_second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_and_rounded() {
        for (s, scale, want) in [
            ("1.25", 1, Some(13)),
            ("-1.25", 1, Some(-13)),
            ("1e3", 0, Some(1000)),
            ("12.5E-1", 2, Some(125)),
            (".5", 0, Some(1)),
            ("0.04", 1, Some(0)),
            ("5e-3", 2, Some(1)),
            ("5e-4", 2, Some(0)),
            ("abc", 2, None),
            ("", 2, None),
            ("1.2.3", 2, None),
        ] {
            assert_eq!(decimal(s, scale), want, "{s:?}");
        }
    }

    #[test]
    fn integers_may_have_a_fraction_that_is_cut_off() {
        for (s, want) in
            [("12", Some(12)), ("12.7", Some(12)), ("-12.7", Some(-12)), ("+5", Some(5)), ("1e3", None), ("12.x", None)]
        {
            assert_eq!(integer(s), want, "{s:?}");
        }
    }
}
