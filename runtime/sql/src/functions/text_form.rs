//! The text of numbers and times as Java, and so Flink, writes them. Casts to STRING, `print` and the golden tests agree
//! because they all come here.

use std::fmt::Write;

/// `Double.toString`: `1.0`, `1.0E10`, `1.0E-4`, `NaN`, `Infinity`.
pub fn write_double(out: &mut String, v: f64) {
    write_float(out, v, |v| format!("{v:e}"));
}

/// `Float.toString`.
pub fn write_single(out: &mut String, v: f32) {
    write_float(out, f64::from(v), |_| format!("{v:e}"));
}

fn write_float(out: &mut String, v: f64, scientific: impl Fn(f64) -> String) {
    if v.is_nan() {
        out.push_str("NaN");
        return;
    }
    if v.is_infinite() {
        out.push_str(if v > 0.0 { "Infinity" } else { "-Infinity" });
        return;
    }
    // Rust's shortest digits that read back as the same value: `-1.25e-7`.
    let text = scientific(v);
    let (mantissa, exponent) = text.split_once('e').expect("`{:e}` always writes an exponent");
    let exponent: i32 = exponent.parse().expect("`{:e}` writes a decimal exponent");
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest.replace('.', "")),
        None => ("", mantissa.replace('.', "")),
    };
    out.push_str(sign);
    if v == 0.0 {
        out.push_str("0.0");
    } else if (-3..7).contains(&exponent) {
        plain(out, &digits, exponent);
    } else {
        let rest = if digits.len() > 1 { &digits[1..] } else { "0" };
        let _ = write!(out, "{}.{rest}E{exponent}", &digits[..1]);
    }
}

fn plain(out: &mut String, digits: &str, exponent: i32) {
    if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', (-exponent - 1) as usize));
        out.push_str(digits);
        return;
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        out.push_str(digits);
        out.extend(std::iter::repeat_n('0', whole - digits.len()));
        out.push_str(".0");
    } else {
        out.push_str(&digits[..whole]);
        out.push('.');
        out.push_str(&digits[whole..]);
    }
}

/// A decimal without exponent, with exactly `scale` places.
pub fn write_decimal(out: &mut String, unscaled: i128, scale: i8) {
    if unscaled < 0 {
        out.push('-');
    }
    let mut digits = unscaled.unsigned_abs().to_string();
    if scale < 0 && unscaled != 0 {
        digits.extend(std::iter::repeat_n('0', scale.unsigned_abs().into()));
    }
    let scale = usize::try_from(scale).unwrap_or(0);
    if scale == 0 {
        out.push_str(&digits);
        return;
    }
    if digits.len() <= scale {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', scale - digits.len()));
        out.push_str(&digits);
    } else {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let _ = write!(out, "{whole}.{fraction}");
    }
}

/// `2026-01-31`.
pub fn write_date(out: &mut String, days: i64) {
    let (y, m, d) = civil(days);
    let _ = write!(out, "{y:04}-{m:02}-{d:02}");
}

/// `09:05:00`, with `digits` places of the second's fraction (0: none, not even the point).
pub fn write_time(out: &mut String, nanos_of_day: i64, digits: usize) {
    let seconds = nanos_of_day / 1_000_000_000;
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if digits > 0 {
        let fraction = format!("{:09}", nanos_of_day % 1_000_000_000);
        out.push('.');
        out.push_str(&fraction[..digits.min(9)]);
    }
}

/// Proleptic Gregorian year, month, day of days since 1970-01-01 (Hinnant, "chrono-compatible low-level date algorithms").
pub fn civil(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let d = (doy - (153 * mp + 2) / 5 + 1) as u32;
    let m = if mp < 10 { mp + 3 } else { mp - 9 } as u32;
    (yoe + era * 400 + i64::from(m <= 2), m, d)
}

/// The reverse of [`civil`].
pub fn days_from_civil(y: i64, m: u32, d: u32) -> i64 {
    let y = if m <= 2 { y - 1 } else { y };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let mp = (i64::from(m) + 9) % 12;
    let doy = (153 * mp + 2) / 5 + i64::from(d) - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_written_as_java_does() {
        let cases = [
            (1.0, "1.0"),
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1e7, "1.0E7"),
            (1234567.125, "1234567.125"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (123456789.0, "1.23456789E8"),
            (-1.5e-9, "-1.5E-9"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
            (f64::MAX, "1.7976931348623157E308"),
        ];
        for (v, want) in cases {
            let mut out = String::new();
            write_double(&mut out, v);
            assert_eq!(out, want);
        }
        let mut out = String::new();
        write_single(&mut out, 0.1);
        assert_eq!(out, "0.1");
    }

    #[test]
    fn days_and_dates_are_inverse() {
        for days in (-800_000..3_000_000).step_by(97) {
            let (y, m, d) = civil(days);
            assert_eq!(days_from_civil(y, m, d), days);
        }
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(days_from_civil(9999, 12, 31)), (9999, 12, 31));
    }

    #[test]
    fn decimals_keep_their_scale() {
        for (v, scale, want) in [(5, 2, "0.05"), (-1234, 2, "-12.34"), (7, 0, "7"), (0, 3, "0.000")] {
            let mut out = String::new();
            write_decimal(&mut out, v, scale);
            assert_eq!(out, want);
        }
    }
}
