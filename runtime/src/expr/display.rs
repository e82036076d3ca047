//! The text of a value: for people and golden tests as `Row.toString` of Flink gives it, and for `CAST(… AS STRING)`.
//!
//! | type | `print`, golden tests | `CAST` |
//! |---|---|---|
//! | NULL inside a value | `null` | `NULL` |
//! | BOOLEAN | `true` | `TRUE` |
//! | DOUBLE | `1.0`, `1.0E10` | the same |
//! | DECIMAL(10, 2) | `1.50` | the same |
//! | DECIMAL(10, 8) | `0E-8`, `1.5E-7` | `0.00000000`, `0.00000015` |
//! | DATE | `2026-01-31` | the same |
//! | TIME | `10:20`, `10:20:30`, `10:20:30.100` | `10:20:00`, `10:20:30.100` |
//! | TIMESTAMP(3) | `2026-01-01T00:00`, `2026-01-01T00:00:00.100` | `2026-01-01 00:00:00.000` |
//! | TIMESTAMP_LTZ(3) | `2026-01-01T00:00:00Z` | `2026-01-01 01:00:00.000` in the session zone |
//! | BYTES | `[1, -2]` | the UTF-8 text |
//! | ARRAY | `[a, b]` | `[a, b]` |
//! | MAP | `{k=v}` | `{k=v}` |
//! | ROW | `+I[a, b]` | `(a, b)` |

use super::arithmetic::units_per_second;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNanoType, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use sluice_sql::functions::text_form::{write_date, write_decimal, write_double, write_single, write_time};
use sluice_sql::functions::zone::Zone;
use std::fmt::Write;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `Row.toString`.
    Row,
    /// `CAST(… AS STRING)`.
    Cast,
}

/// One value as Flink's `print` sink and `Row.toString` show it; NULL is `null`. The table above has every type.
pub fn to_display(array: &ArrayRef, row: usize, _field: &Field) -> String {
    let mut out = String::new();
    write_value(&mut out, array, row, Style::Row);
    out
}

/// Appends one value; a NULL too.
pub(super) fn write_value(out: &mut String, array: &ArrayRef, row: usize, style: Style) {
    if array.is_null(row) || *array.data_type() == DataType::Null {
        out.push_str(if style == Style::Row { "null" } else { "NULL" });
        return;
    }
    // Writing to a String cannot fail.
    let _ = match array.data_type() {
        DataType::Boolean => {
            let v = array.as_boolean().value(row);
            out.write_str(match (v, style) {
                (true, Style::Row) => "true",
                (false, Style::Row) => "false",
                (true, Style::Cast) => "TRUE",
                (false, Style::Cast) => "FALSE",
            })
        }
        DataType::Int8 => write!(out, "{}", array.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => write!(out, "{}", array.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => write!(out, "{}", array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => write!(out, "{}", array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => write!(out, "{}", array.as_primitive::<UInt8Type>().value(row)),
        DataType::UInt16 => write!(out, "{}", array.as_primitive::<UInt16Type>().value(row)),
        DataType::UInt32 => write!(out, "{}", array.as_primitive::<UInt32Type>().value(row)),
        DataType::UInt64 => write!(out, "{}", array.as_primitive::<UInt64Type>().value(row)),
        DataType::Float32 => {
            write_single(out, array.as_primitive::<Float32Type>().value(row));
            Ok(())
        }
        DataType::Float64 => {
            write_double(out, array.as_primitive::<Float64Type>().value(row));
            Ok(())
        }
        DataType::Decimal128(_, scale) => {
            let v = array.as_primitive::<Decimal128Type>().value(row);
            match style {
                Style::Row => write_big_decimal(out, v, *scale),
                Style::Cast => write_decimal(out, v, *scale),
            }
            Ok(())
        }
        DataType::Utf8 => out.write_str(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => out.write_str(array.as_string::<i64>().value(row)),
        DataType::Utf8View => out.write_str(array.as_string_view().value(row)),
        DataType::Binary => {
            write_bytes(out, array.as_binary::<i32>().value(row), style);
            Ok(())
        }
        DataType::FixedSizeBinary(_) => {
            write_bytes(out, array.as_fixed_size_binary().value(row), style);
            Ok(())
        }
        _ => {
            write_temporal_or_nested(out, array, row, style);
            Ok(())
        }
    };
}

/// `BigDecimal.toString`: like `CAST`, but `0E-13` and `1.5E-7` where the first digit is behind the sixth place.
fn write_big_decimal(out: &mut String, v: i128, scale: i8) {
    let digits = v.unsigned_abs().to_string();
    let exponent = digits.len() as i32 - 1 - i32::from(scale);
    if scale < 0 || exponent >= -6 {
        write_decimal(out, v, scale);
        return;
    }
    let (first, rest) = digits.split_at(1);
    let (sign, point) = (if v < 0 { "-" } else { "" }, if rest.is_empty() { "" } else { "." });
    let _ = write!(out, "{sign}{first}{point}{rest}E{exponent}");
}

fn write_bytes(out: &mut String, bytes: &[u8], style: Style) {
    if style == Style::Cast {
        out.push_str(&String::from_utf8_lossy(bytes));
        return;
    }
    out.push('[');
    for (i, b) in bytes.iter().enumerate() {
        let _ = write!(out, "{}{}", if i > 0 { ", " } else { "" }, *b as i8);
    }
    out.push(']');
}

fn write_temporal_or_nested(out: &mut String, array: &ArrayRef, row: usize, style: Style) {
    match array.data_type() {
        DataType::Date32 => write_date(out, i64::from(array.as_primitive::<Date32Type>().value(row))),
        DataType::Time32(unit) | DataType::Time64(unit) => {
            let nanos = temporal_value(array, row) * (1_000_000_000 / units_per_second(*unit));
            // Flink's TIME is TIME(0); a fraction is shown where there is one.
            let digits = if nanos % 1_000_000_000 == 0 { 0 } else { digits(*unit) };
            write_clock(out, nanos, digits, style, false);
        }
        DataType::Timestamp(unit, zone) => {
            let per_second = units_per_second(*unit);
            let v = temporal_value(array, row);
            let zone = zone.as_deref().map(|z| Zone::parse(z).unwrap_or(Zone::UTC));
            write_timestamp(out, v.div_euclid(per_second), v.rem_euclid(per_second), *unit, zone, style);
        }
        DataType::Duration(unit) => {
            let v = i128::from(temporal_value(array, row)) * 1000 / i128::from(units_per_second(*unit));
            let _ = write!(out, "{v}");
        }
        DataType::Interval(_) => write_interval(out, array, row),
        DataType::List(_) => write_list(out, &array.as_list::<i32>().value(row), style),
        DataType::FixedSizeList(..) => write_list(out, &array.as_fixed_size_list().value(row), style),
        DataType::Struct(_) => {
            out.push_str(if style == Style::Row { "+I[" } else { "(" });
            for (i, column) in array.as_struct().columns().iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                write_value(out, column, row, style);
            }
            out.push(if style == Style::Row { ']' } else { ')' });
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            out.push('{');
            for i in 0..entries.len() {
                out.push_str(if i > 0 { ", " } else { "" });
                write_value(out, entries.column(0), i, style);
                out.push('=');
                write_value(out, entries.column(1), i, style);
            }
            out.push('}');
        }
        DataType::Dictionary(..) => match arrow::compute::cast(&array.slice(row, 1), &DataType::Utf8) {
            Ok(text) => write_value(out, &text, 0, style),
            Err(_) => out.push('?'),
        },
        other => {
            let _ = write!(out, "<{other}>");
        }
    }
}

fn write_list(out: &mut String, items: &ArrayRef, style: Style) {
    out.push('[');
    for i in 0..items.len() {
        out.push_str(if i > 0 { ", " } else { "" });
        write_value(out, items, i, style);
    }
    out.push(']');
}

fn write_timestamp(out: &mut String, seconds: i64, fraction: i64, unit: TimeUnit, zone: Option<Zone>, style: Style) {
    let nanos = fraction * (1_000_000_000 / units_per_second(unit));
    // `Row.toString` shows the instant, a cast the wall clock of the session.
    let local = match (zone, style) {
        (Some(zone), Style::Cast) => seconds + zone.offset_at(seconds),
        _ => seconds,
    };
    let instant = zone.is_some() && style == Style::Row;
    write_date(out, local.div_euclid(86_400));
    out.push(if style == Style::Row { 'T' } else { ' ' });
    write_clock(out, local.rem_euclid(86_400) * 1_000_000_000 + nanos, digits(unit), style, instant);
    if instant {
        out.push('Z');
    }
}

/// `LocalTime.toString` leaves out zero seconds and writes 0, 3, 6 or 9 digits; a cast writes what the type has.
fn write_clock(out: &mut String, nanos: i64, digits: usize, style: Style, always_seconds: bool) {
    if style == Style::Cast {
        write_time(out, nanos, digits);
        return;
    }
    let fraction = nanos % 1_000_000_000;
    if fraction == 0 {
        let start = out.len();
        write_time(out, nanos, 0);
        if nanos / 1_000_000_000 % 60 == 0 && !always_seconds {
            out.truncate(start + "hh:mm".len());
        }
        return;
    }
    let shown = if fraction % 1_000_000 == 0 {
        3
    } else if fraction % 1_000 == 0 {
        6
    } else {
        9
    };
    write_time(out, nanos, shown);
}

fn digits(unit: TimeUnit) -> usize {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

/// `+1-02` for months, `+1 02:03:04.005` for days and less.
fn write_interval(out: &mut String, array: &ArrayRef, row: usize) {
    let wide = DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano);
    let Ok(array) = arrow::compute::cast(&array.slice(row, 1), &wide) else {
        out.push('?');
        return;
    };
    let v = array.as_primitive::<IntervalMonthDayNanoType>().value(0);
    if v.months != 0 {
        let sign = if v.months < 0 { '-' } else { '+' };
        let months = v.months.unsigned_abs();
        let _ = write!(out, "{sign}{}-{:02}", months / 12, months % 12);
        return;
    }
    let total = i128::from(v.days) * 86_400_000_000_000 + i128::from(v.nanoseconds);
    let sign = if total < 0 { '-' } else { '+' };
    let ms = total.unsigned_abs() / 1_000_000;
    let (days, ms) = (ms / 86_400_000, ms % 86_400_000);
    let (h, m, s, ms) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
    let _ = write!(out, "{sign}{days} {h:02}:{m:02}:{s:02}.{ms:03}");
}

/// The number behind a time, timestamp or duration, in its unit.
pub(super) fn temporal_value(array: &ArrayRef, row: usize) -> i64 {
    use TimeUnit::*;
    match array.data_type() {
        DataType::Time32(Second) => i64::from(array.as_primitive::<Time32SecondType>().value(row)),
        DataType::Time32(_) => i64::from(array.as_primitive::<Time32MillisecondType>().value(row)),
        DataType::Time64(Microsecond) => array.as_primitive::<Time64MicrosecondType>().value(row),
        DataType::Time64(_) => array.as_primitive::<Time64NanosecondType>().value(row),
        DataType::Timestamp(Second, _) => array.as_primitive::<TimestampSecondType>().value(row),
        DataType::Timestamp(Millisecond, _) => array.as_primitive::<TimestampMillisecondType>().value(row),
        DataType::Timestamp(Microsecond, _) => array.as_primitive::<TimestampMicrosecondType>().value(row),
        DataType::Timestamp(Nanosecond, _) => array.as_primitive::<TimestampNanosecondType>().value(row),
        DataType::Duration(Second) => array.as_primitive::<DurationSecondType>().value(row),
        DataType::Duration(Millisecond) => array.as_primitive::<DurationMillisecondType>().value(row),
        DataType::Duration(Microsecond) => array.as_primitive::<DurationMicrosecondType>().value(row),
        DataType::Duration(Nanosecond) => array.as_primitive::<DurationNanosecondType>().value(row),
        _ => 0,
    }
}
