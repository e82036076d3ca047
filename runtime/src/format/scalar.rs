//! Text of single values, the same in CSV and JSON: Flink's SQL style (`2026-01-01 00:00:00.1`), ISO when asked for.
//! Reading accepts both styles, with or without a zone.

use arrow::compute::kernels::cast_utils::string_to_datetime;
use arrow_schema::{DataType, TimeUnit};
use chrono::Utc;
use std::io::Write as _;

/// Scalar types that have a text form.
pub(super) fn is_supported(t: &DataType) -> bool {
    matches!(
        t,
        DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Float32
            | DataType::Float64
            | DataType::Decimal128(..)
            | DataType::Utf8
            | DataType::Binary
            | DataType::Date32
            | DataType::Time32(TimeUnit::Second | TimeUnit::Millisecond)
            | DataType::Time64(TimeUnit::Microsecond | TimeUnit::Nanosecond)
            | DataType::Timestamp(..)
    )
}

const fn digits(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

/// The SQL name of a type, for messages.
pub(crate) fn type_name(t: &DataType) -> String {
    match t {
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Int8 => "TINYINT".into(),
        DataType::Int16 => "SMALLINT".into(),
        DataType::Int32 => "INT".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::Float32 => "FLOAT".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Decimal128(p, s) => format!("DECIMAL({p}, {s})"),
        DataType::Utf8 => "STRING".into(),
        DataType::Binary => "BYTES".into(),
        DataType::Date32 => "DATE".into(),
        DataType::Time32(u) | DataType::Time64(u) => format!("TIME({})", digits(*u)),
        DataType::Timestamp(u, None) => format!("TIMESTAMP({})", digits(*u)),
        DataType::Timestamp(u, Some(_)) => format!("TIMESTAMP_LTZ({})", digits(*u)),
        DataType::Struct(fields) => {
            let inner: Vec<String> =
                fields.iter().map(|f| format!("{} {}", f.name(), type_name(f.data_type()))).collect();
            format!("ROW<{}>", inner.join(", "))
        }
        DataType::List(item) => format!("ARRAY<{}>", type_name(item.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(kv) if kv.len() == 2 => {
                format!("MAP<{}, {}>", type_name(kv[0].data_type()), type_name(kv[1].data_type()))
            }
            other => other.to_string(),
        },
        other => other.to_string(),
    }
}

pub(super) const fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar (Howard Hinnant's `days_from_civil`).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y - era * 400;
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

/// The inverse: `civil_from_days`.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z - era * 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

fn two(b: &[u8], at: usize) -> Option<i64> {
    let (h, l) = (b[at].wrapping_sub(b'0'), b[at + 1].wrapping_sub(b'0'));
    (h < 10 && l < 10).then(|| i64::from(h) * 10 + i64::from(l))
}

/// `YYYY-MM-DD` at the front of at least ten bytes.
fn date_part(b: &[u8]) -> Option<i64> {
    let (century, year, month, day) = (two(b, 0)?, two(b, 2)?, two(b, 5)?, two(b, 8)?);
    let year = century * 100 + year;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    (b[4] == b'-' && b[7] == b'-' && (1..=length).contains(&day)).then(|| days_from_civil(year, month, day))
}

pub(super) fn parse_date(b: &[u8]) -> Option<i32> {
    if b.len() == 10 { date_part(b).map(|d| d as i32) } else { None }
}

/// Seconds of the day and nanoseconds of `HH:MM:SS[.f…]`, with what follows.
fn time_part(b: &[u8]) -> Option<(i64, i64, &[u8])> {
    if b.len() < 8 || b[2] != b':' || b[5] != b':' {
        return None;
    }
    let (h, m, s) = (two(b, 0)?, two(b, 3)?, two(b, 6)?);
    if h > 23 || m > 59 || s > 59 {
        return None;
    }
    let mut rest = &b[8..];
    let mut nanos = 0;
    if rest.first() == Some(&b'.') {
        let count = rest[1..].iter().take_while(|c| c.is_ascii_digit()).count();
        if count == 0 {
            return None;
        }
        for i in 0..9 {
            nanos = nanos * 10 + if i < count { i64::from(rest[1 + i] - b'0') } else { 0 };
        }
        rest = &rest[1 + count..];
    }
    Some((h * 3600 + m * 60 + s, nanos, rest))
}

/// A time of day in `unit`s; finer digits are cut off.
pub(super) fn parse_time(b: &[u8], unit: TimeUnit) -> Option<i64> {
    let (seconds, nanos, rest) = time_part(b)?;
    let n = per_second(unit);
    rest.is_empty().then(|| seconds * n + nanos / (1_000_000_000 / n))
}

/// A timestamp in `unit`s since the epoch; finer digits are cut off (towards the past). The usual forms
/// (`2013-01-01T10:00:00Z`, `2013-01-01 10:00:00.5`) are read here, offsets and rarer forms by arrow.
pub(super) fn parse_timestamp(b: &[u8], unit: TimeUnit) -> Option<i64> {
    let n = per_second(unit);
    let usual = b.len() >= 19 && matches!(b[10], b'T' | b' ' | b't');
    if usual
        && let (Some(days), Some((seconds, nanos, rest))) = (date_part(b), time_part(&b[11..]))
        && (rest.is_empty() || rest == b"Z" || rest == b"z")
    {
        let seconds = days * 86_400 + seconds;
        return seconds.checked_mul(n)?.checked_add(nanos / (1_000_000_000 / n));
    }
    let t = string_to_datetime(&Utc, std::str::from_utf8(b).ok()?).ok()?;
    match unit {
        TimeUnit::Second => Some(t.timestamp()),
        TimeUnit::Millisecond => Some(t.timestamp_millis()),
        TimeUnit::Microsecond => Some(t.timestamp_micros()),
        TimeUnit::Nanosecond => t.timestamp_nanos_opt(),
    }
}

fn push_two(v: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + (v / 10 % 10) as u8, b'0' + (v % 10) as u8]);
}

/// The digits of a fraction without its trailing zeros, nothing at all for zero: Java's `appendFraction(…, 0, 9, true)`,
/// which Flink's formats use.
fn push_fraction(fraction: i64, unit: TimeUnit, out: &mut Vec<u8>) {
    if fraction == 0 {
        return;
    }
    let mut digits = digits(unit);
    let mut f = fraction;
    while f % 10 == 0 {
        f /= 10;
        digits -= 1;
    }
    out.push(b'.');
    let at = out.len();
    out.resize(at + digits as usize, b'0');
    for slot in out[at..].iter_mut().rev() {
        *slot = b'0' + (f % 10) as u8;
        f /= 10;
    }
}

pub(super) fn push_date(days: i64, out: &mut Vec<u8>) {
    let (y, m, d) = civil_from_days(days);
    if (0..=9999).contains(&y) {
        push_two(y / 100, out);
        push_two(y % 100, out);
    } else {
        write!(out, "{y:+05}").expect("writing to a Vec succeeds");
    }
    out.push(b'-');
    push_two(m, out);
    out.push(b'-');
    push_two(d, out);
}

pub(super) fn push_time(value: i64, unit: TimeUnit, out: &mut Vec<u8>) {
    let n = per_second(unit);
    let s = value.div_euclid(n);
    push_two(s / 3600, out);
    out.push(b':');
    push_two(s / 60 % 60, out);
    out.push(b':');
    push_two(s % 60, out);
    push_fraction(value.rem_euclid(n), unit, out);
}

/// How timestamps are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampStyle {
    /// `2026-01-01 00:00:00.1`
    Sql,
    /// `2026-01-01T00:00:00.1`
    Iso,
}

/// `zoned`: a TIMESTAMP_LTZ, which ends with `Z`.
pub(super) fn push_timestamp(value: i64, unit: TimeUnit, zoned: bool, style: TimestampStyle, out: &mut Vec<u8>) {
    let day = per_second(unit) * 86_400;
    push_date(value.div_euclid(day), out);
    out.push(if style == TimestampStyle::Sql { b' ' } else { b'T' });
    push_time(value.rem_euclid(day), unit, out);
    if zoned {
        out.push(b'Z');
    }
}

pub(super) fn push_int(value: i64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut v = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (v % 10) as u8;
        v /= 10;
        if v == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// A decimal with all digits of its scale, as Java's `BigDecimal.toPlainString`.
pub(super) fn push_decimal(value: i128, scale: i8, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    let text = value.unsigned_abs().to_string();
    if scale <= 0 {
        out.extend_from_slice(text.as_bytes());
        if value != 0 {
            out.resize(out.len() + scale.unsigned_abs() as usize, b'0');
        }
        return;
    }
    let scale = scale as usize;
    let padded = if text.len() > scale { text } else { format!("{text:0>width$}", width = scale + 1) };
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    out.extend_from_slice(whole.as_bytes());
    out.push(b'.');
    out.extend_from_slice(fraction.as_bytes());
}

/// The shortest text that reads back as the same number; always with a point or an exponent (`1.0`, `1e16`).
pub(super) fn push_f64(v: f64, out: &mut Vec<u8>) {
    write!(out, "{v:?}").expect("writing to a Vec succeeds");
}

pub(super) fn push_f32(v: f32, out: &mut Vec<u8>) {
    write!(out, "{v:?}").expect("writing to a Vec succeeds");
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// BYTES in text formats, as in Flink.
pub(super) fn push_base64(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.chunks(3) {
        let b = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let word = b(0) << 16 | b(1) << 8 | b(2);
        for i in 0..4 {
            out.push(if i <= chunk.len() { BASE64[(word >> (18 - 6 * i)) as usize & 63] } else { b'=' });
        }
    }
}

pub(super) fn parse_base64(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    if !text.len().is_multiple_of(4) || digits.len() % 4 == 1 {
        return None;
    }
    let mut out = Vec::with_capacity(digits.len() * 3 / 4);
    for chunk in digits.chunks(4) {
        let mut word = 0u32;
        for (i, c) in chunk.iter().enumerate() {
            let digit = BASE64.iter().position(|b| b == c)? as u32;
            word |= digit << (18 - 6 * i);
        }
        out.extend_from_slice(&word.to_be_bytes()[1..chunk.len()]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use TimeUnit::*;
    use proptest::prelude::*;

    fn text(f: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = vec![];
        f(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn timestamps_of_every_usual_form() {
        let ms = 1_357_034_400_000;
        for t in ["2013-01-01T10:00:00Z", "2013-01-01 10:00:00", "2013-01-01T10:00:00.000", "2013-01-01T12:00:00+02:00"]
        {
            assert_eq!(parse_timestamp(t.as_bytes(), Millisecond), Some(ms), "{t}");
        }
        assert_eq!(parse_timestamp(b"2013-01-01", Millisecond), Some(ms - 36_000_000));
        assert_eq!(parse_timestamp(b"1969-12-31 23:59:59.9999", Millisecond), Some(-1));
        assert_eq!(parse_timestamp(b"2026-01-01 00:00:00.123456789", Nanosecond), Some(1_767_225_600_123_456_789));
        for bad in
            ["2013-02-29 00:00:00", "2013-13-01 00:00:00", "2013-01-01 24:00:00", "NA", "", "2013-01-01 10:00:00x"]
        {
            assert_eq!(parse_timestamp(bad.as_bytes(), Millisecond), None, "{bad}");
        }
        assert_eq!(parse_timestamp(b"2012-02-29 00:00:00", Second), Some(1_330_473_600));
    }

    #[test]
    fn flink_writes_no_trailing_zeros_of_a_fraction() {
        let write = |v, unit, zoned, style| text(|o| push_timestamp(v, unit, zoned, style, o));
        assert_eq!(write(1_767_225_600_100, Millisecond, false, TimestampStyle::Sql), "2026-01-01 00:00:00.1");
        assert_eq!(write(1_767_225_600_000, Millisecond, true, TimestampStyle::Sql), "2026-01-01 00:00:00Z");
        assert_eq!(write(-1, Millisecond, false, TimestampStyle::Iso), "1969-12-31T23:59:59.999");
        assert_eq!(write(1_767_225_600_000_001, Microsecond, false, TimestampStyle::Sql), "2026-01-01 00:00:00.000001");
        assert_eq!(text(|o| push_time(3_600_250, Millisecond, o)), "01:00:00.25");
    }

    #[test]
    fn decimals_keep_their_scale() {
        for (v, s, t) in [
            (150, 2, "1.50"),
            (-5, 2, "-0.05"),
            (0, 2, "0.00"),
            (7, 0, "7"),
            (-123_456, 3, "-123.456"),
            (12, -2, "1200"),
        ] {
            assert_eq!(text(|o| push_decimal(v, s, o)), t);
        }
    }

    proptest! {
        #[test]
        fn timestamps_read_back(v in -62_135_596_800_000i64..253_402_300_800_000, iso: bool, zoned: bool) {
            let style = if iso { TimestampStyle::Iso } else { TimestampStyle::Sql };
            let t = text(|o| push_timestamp(v, Millisecond, zoned, style, o));
            prop_assert_eq!(parse_timestamp(t.as_bytes(), Millisecond), Some(v), "{}", t);
        }

        #[test]
        fn integers_read_back(v: i64) {
            prop_assert_eq!(text(|o| push_int(v, o)), v.to_string());
        }

        #[test]
        fn base64_reads_back(b: Vec<u8>) {
            prop_assert_eq!(parse_base64(text(|o| push_base64(&b, o)).as_bytes()), Some(b));
        }

        #[test]
        fn no_text_makes_the_parsers_panic(s: Vec<u8>) {
            let _ = (parse_timestamp(&s, Nanosecond), parse_date(&s), parse_time(&s, Second), parse_base64(&s));
        }
    }
}
