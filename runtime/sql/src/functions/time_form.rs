//! Reading dates and times from text, as Flink's casts do.

use super::text_form::days_from_civil;

/// A wall-clock time: seconds since 1970-01-01 00:00:00 and nanoseconds within the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallTime {
    pub seconds: i64,
    pub nanos: u32,
}

/// `2020-01-31`, also with one-digit month and day, a month or only a year, and with a time behind it, which is cut off.
/// `None` where there is no such day.
pub fn parse_date(text: &str) -> Option<i64> {
    let text = text.split_once(' ').map_or(text, |(day, _)| day);
    let mut parts = text.split('-');
    let y = digits(parts.next()?, 4)?;
    let m = parts.next().map_or(Some(1), |m| digits(m, 2))?;
    let d = parts.next().map_or(Some(1), |d| digits(d, 2))?;
    if parts.next().is_some() { None } else { date(y, m, d) }
}

/// Days since 1970-01-01.
pub fn date(y: i64, m: i64, d: i64) -> Option<i64> {
    if !(1..=12).contains(&m) || d < 1 || d > i64::from(days_in_month(y, m as u32)) {
        return None;
    }
    Some(days_from_civil(y, m as u32, d as u32))
}

pub fn days_in_month(y: i64, m: u32) -> u32 {
    match m {
        4 | 6 | 9 | 11 => 30,
        2 if y % 4 == 0 && (y % 100 != 0 || y % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// `10:20:30[.123456789]` as nanoseconds of the day; minutes and seconds may be left out.
pub fn parse_time(text: &str) -> Option<i64> {
    let (clock, fraction) = match text.split_once('.') {
        Some((c, f)) => (c, parse_fraction(f)?),
        None => (text, 0),
    };
    let mut parts = clock.split(':');
    let h = digits(parts.next()?, 2)?;
    let m = parts.next().map_or(Some(0), |m| digits(m, 2))?;
    let s = parts.next().map_or(Some(0), |s| digits(s, 2))?;
    if parts.next().is_some() || h > 23 || m > 59 || s > 59 {
        return None;
    }
    Some((h * 3600 + m * 60 + s) * 1_000_000_000 + i64::from(fraction))
}

/// `2020-01-31`, `2020-01-31 10:20:30`, with a fraction of up to nine digits. A day up to 31 is cut to the end of its month.
pub fn parse_timestamp(text: &str) -> Option<WallTime> {
    let (day, clock) = match text.split_once(' ') {
        Some((d, c)) => (d, Some(c)),
        None => (text, None),
    };
    let nanos = match clock {
        // The midnight that ends the day.
        Some("24:00:00") => 86_400_000_000_000,
        Some(c) if c.matches(':').count() == 2 => parse_time(c)?,
        Some(_) => return None,
        None => 0,
    };
    let mut parts = day.split('-');
    let (y, m, d) = (parts.next()?, parts.next()?, parts.next()?);
    let (m, d) = (digits(m, 2)?, digits(d, 2)?);
    if y.len() != 4 || parts.next().is_some() || !(1..=12).contains(&m) || !(1..=31).contains(&d) {
        return None;
    }
    let y = digits(y, 4)?;
    let day = date(y, m, d.min(days_in_month(y, m as u32).into()))?;
    Some(WallTime { seconds: day * 86_400 + nanos / 1_000_000_000, nanos: (nanos % 1_000_000_000) as u32 })
}

fn parse_fraction(text: &str) -> Option<u32> {
    if text.len() > 9 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut v = 0;
    for i in 0..9 {
        v = v * 10 + text.as_bytes().get(i).map_or(0, |b| u32::from(b - b'0'));
    }
    Some(v)
}

fn digits(text: &str, most: usize) -> Option<i64> {
    let ok = !text.is_empty() && text.len() <= most && text.bytes().all(|b| b.is_ascii_digit());
    if ok { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_read() {
        assert_eq!(parse_date("1970-01-02"), Some(1));
        assert!(parse_date("2024-02-29").is_some());
        assert_eq!(parse_date("2023"), parse_date("2023-01-01"));
        assert_eq!(parse_date("2023-02-29"), None);
        assert_eq!(parse_date("2023-2-9"), parse_date("2023-02-09"));
        assert_eq!(parse_time("00:00:01.5"), Some(1_500_000_000));
        assert_eq!(parse_time("24:00:00"), None);
        assert_eq!(parse_timestamp("1970-01-01 00:00:01.25"), Some(WallTime { seconds: 1, nanos: 250_000_000 }));
        assert_eq!(parse_timestamp("1970-01-02"), Some(WallTime { seconds: 86_400, nanos: 0 }));
        assert_eq!(parse_timestamp("1970-01-02 10"), None);
    }
}
