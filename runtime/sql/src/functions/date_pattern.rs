//! Java's date patterns (`yyyy-MM-dd HH:mm:ss.SSS`): writing and reading a wall clock.
//!
//! Letters as in `DateTimeFormatter` for the English (US) locale. Zone letters are read and skipped; writing them is refused,
//! for a TIMESTAMP has no zone.

use super::calendar::weekday;
use super::text_form::{civil, days_from_civil};
use super::time_form::days_in_month;
use super::wall::Wall;
use std::fmt::Write;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Text(String),
    /// A letter and how often it stands there.
    Field(char, usize),
    /// `[` or `]`: what is between may be missing when reading.
    OptionalStart,
    OptionalEnd,
}

/// A parsed pattern.
#[derive(Clone, Debug)]
pub struct DatePattern(Vec<Token>);

impl DatePattern {
    /// The error says which letter is unknown.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        let mut tokens: Vec<Token> = vec![];
        let chars: Vec<char> = pattern.chars().collect();
        let mut i = 0;
        while i < chars.len() {
            let c = chars[i];
            match c {
                '\'' => {
                    let (text, next) = quoted(&chars, i)?;
                    tokens.push(Token::Text(text));
                    i = next;
                }
                'a'..='z' | 'A'..='Z' => {
                    let count = chars[i..].iter().take_while(|x| **x == c).count();
                    if !"GyuYMLdDHhKkmsSnNAEecaQqwWzZXxVO".contains(c) {
                        return Err(format!("the date pattern '{pattern}' has the unknown letter '{c}'"));
                    }
                    tokens.push(Token::Field(c, count));
                    i += count;
                }
                '[' => {
                    tokens.push(Token::OptionalStart);
                    i += 1;
                }
                ']' => {
                    tokens.push(Token::OptionalEnd);
                    i += 1;
                }
                _ => {
                    tokens.push(Token::Text(c.to_string()));
                    i += 1;
                }
            }
        }
        Ok(Self(tokens))
    }

    /// `zone` is what zone letters print.
    pub fn format(&self, out: &mut String, t: Wall, zone: Option<&str>) -> Result<(), String> {
        for token in &self.0 {
            match token {
                Token::Text(text) => out.push_str(text),
                Token::Field(letter, count) => write_field(out, *letter, *count, t, zone)?,
                Token::OptionalStart | Token::OptionalEnd => {}
            }
        }
        Ok(())
    }

    /// `lenient`: as `SimpleDateFormat`, days and months beyond the calendar roll over and trailing text is ignored; otherwise
    /// as `DateTimeFormatter`, where only a day up to 31 is cut to the end of its month. `None`: the text does not fit.
    pub fn read(&self, text: &str, lenient: bool) -> Option<Wall> {
        let mut fields = Fields::default();
        let rest = read_tokens(&self.0, text, &mut fields, lenient)?;
        if !rest.is_empty() && !lenient {
            return None;
        }
        fields.resolve(lenient)
    }
}

/// From the opening quote: the text, and the index after the closing one. Two quotes are one.
fn quoted(chars: &[char], start: usize) -> Result<(String, usize), String> {
    if chars.get(start + 1) == Some(&'\'') {
        return Ok(("'".to_owned(), start + 2));
    }
    let mut text = String::new();
    let mut i = start + 1;
    while let Some(c) = chars.get(i) {
        if *c != '\'' {
            text.push(*c);
            i += 1;
        } else if chars.get(i + 1) == Some(&'\'') {
            text.push('\'');
            i += 2;
        } else {
            return Ok((text, i + 1));
        }
    }
    Err("the date pattern ends within quotes".to_owned())
}

/// US weeks: from Sunday, the week of 1 January is the first.
fn us_week(days: i64) -> (i64, i64) {
    let (year, ..) = civil(days);
    let week_of = |year: i64| {
        let first = days_from_civil(year, 1, 1);
        (days - (first - weekday(first))).div_euclid(7) + 1
    };
    let next_first = days_from_civil(year + 1, 1, 1);
    if days >= next_first - weekday(next_first) { (year + 1, 1) } else { (year, week_of(year)) }
}

fn write_field(out: &mut String, letter: char, count: usize, t: Wall, zone: Option<&str>) -> Result<(), String> {
    if let Some(text) = text_field(letter, count, t) {
        out.push_str(text);
        return Ok(());
    }
    if letter == 'S' {
        let fraction = format!("{:09}", t.nanos % 1_000_000_000);
        out.push_str(&fraction[..count.min(9)]);
        return Ok(());
    }
    match (number_field(letter, count, t), zone) {
        // Writing to a String cannot fail.
        (Some((v, width)), _) => {
            let _ = if v < 0 { write!(out, "-{:0width$}", -v) } else { write!(out, "{v:0width$}") };
        }
        (None, Some(zone)) => out.push_str(zone),
        (None, None) => {
            return Err(format!("the date pattern letter '{letter}' needs a time zone, which a TIMESTAMP has not"));
        }
    }
    Ok(())
}

/// Fields that are words.
fn text_field(letter: char, count: usize, t: Wall) -> Option<&'static str> {
    const QUARTERS: [[&str; 4]; 2] =
        [["Q1", "Q2", "Q3", "Q4"], ["1st quarter", "2nd quarter", "3rd quarter", "4th quarter"]];
    let (y, m, _) = civil(t.days);
    Some(match letter {
        'M' | 'L' if count >= 3 => name(MONTHS[m as usize - 1], count),
        'E' => name(DAYS[weekday(t.days) as usize], count),
        'e' | 'c' if count > 2 => name(DAYS[weekday(t.days) as usize], count),
        'a' if t.nanos < 43_200_000_000_000 => "AM",
        'a' => "PM",
        'G' if y > 0 => "AD",
        'G' => "BC",
        'Q' | 'q' if matches!(count, 3 | 4) => QUARTERS[count - 3][(m as usize - 1) / 3],
        _ => return None,
    })
}

/// Fields that are numbers, with their width. `None`: zone letters.
fn number_field(letter: char, count: usize, t: Wall) -> Option<(i64, usize)> {
    let (y, m, d) = civil(t.days);
    let second = t.nanos / 1_000_000_000;
    let hour = second / 3600;
    let v = match letter {
        'y' | 'u' if count == 2 => y.rem_euclid(100),
        'y' | 'u' => y,
        'Y' if count == 2 => us_week(t.days).0.rem_euclid(100),
        'Y' => us_week(t.days).0,
        'M' | 'L' => m.into(),
        'd' => d.into(),
        'D' => t.days - days_from_civil(y, 1, 1) + 1,
        'H' => hour,
        'k' => (hour + 23) % 24 + 1,
        'K' => hour % 12,
        'h' => (hour + 11) % 12 + 1,
        'm' => second / 60 % 60,
        's' => second % 60,
        'n' => t.nanos % 1_000_000_000,
        'N' => t.nanos,
        'A' => t.nanos / 1_000_000,
        'w' => us_week(t.days).1,
        'W' => (i64::from(d) - 1 + weekday(t.days - i64::from(d) + 1)) / 7 + 1,
        'e' | 'c' => weekday(t.days) + 1,
        'Q' | 'q' => (i64::from(m) + 2) / 3,
        _ => return None,
    };
    Some((v, count))
}

/// Three letters are the short name, four the full one, five one letter.
fn name(full: &'static str, count: usize) -> &'static str {
    match count {
        4 => full,
        5 => &full[..1],
        _ => &full[..3],
    }
}

#[derive(Clone, Debug, Default)]
struct Fields {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: Option<i64>,
    /// 0–11.
    half_day_hour: Option<i64>,
    afternoon: Option<bool>,
    minute: i64,
    second: i64,
    nanos: i64,
}

impl Fields {
    fn resolve(&self, lenient: bool) -> Option<Wall> {
        let hour = match (self.hour, self.half_day_hour) {
            (Some(h), _) => h,
            (None, Some(h)) => h + if self.afternoon == Some(true) { 12 } else { 0 },
            (None, None) => 0,
        };
        let year = self.year.unwrap_or(1970);
        if lenient {
            let month = self.month.unwrap_or(1) - 1;
            let (y, m) = (year + month.div_euclid(12), month.rem_euclid(12) as u32 + 1);
            let days = match self.day_of_year {
                Some(d) if self.month.is_none() => days_from_civil(year, 1, 1) + d - 1,
                _ => days_from_civil(y, m, 1) + self.day.unwrap_or(1) - 1,
            };
            let seconds = hour * 3600 + self.minute * 60 + self.second;
            let nanos = i128::from(seconds) * 1_000_000_000 + i128::from(self.nanos);
            return Wall { days, nanos: 0 }.add_nanos(nanos);
        }
        // 24:00:00 is the midnight that ends the day.
        let (hour, next_day) =
            if hour == 24 && (self.minute, self.second, self.nanos) == (0, 0, 0) { (0, 1) } else { (hour, 0) };
        if !(0..24).contains(&hour) || !(0..60).contains(&self.minute) || !(0..60).contains(&self.second) {
            return None;
        }
        let days = if let (Some(d), None) = (self.day_of_year, self.month) {
            let length = days_from_civil(year + 1, 1, 1) - days_from_civil(year, 1, 1);
            (1..=length).contains(&d).then(|| days_from_civil(year, 1, 1) + d - 1)?
        } else {
            let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
            if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
                return None;
            }
            let month = month as u32;
            days_from_civil(year, month, (day as u32).min(days_in_month(year, month)))
        };
        let days = days + next_day;
        Some(Wall { days, nanos: (hour * 3600 + self.minute * 60 + self.second) * 1_000_000_000 + self.nanos })
    }
}

fn read_tokens<'a>(tokens: &[Token], mut text: &'a str, fields: &mut Fields, lenient: bool) -> Option<&'a str> {
    let mut i = 0;
    while i < tokens.len() {
        match &tokens[i] {
            Token::Text(t) => text = text.strip_prefix(t.as_str())?,
            Token::Field(letter, count) => {
                let reserved = tokens[i + 1..].iter().map_while(fixed_width).sum();
                text = read_field(*letter, *count, text, reserved, fields, lenient)?;
            }
            Token::OptionalStart => {
                let length = tokens[i..].iter().position(|t| *t == Token::OptionalEnd).unwrap_or(tokens.len() - i);
                let mut tried = fields.clone();
                if let Some(rest) = read_tokens(&tokens[i + 1..i + length], text, &mut tried, lenient) {
                    *fields = tried;
                    text = rest;
                }
                i += length;
            }
            Token::OptionalEnd => {}
        }
        i += 1;
    }
    Some(text)
}

/// Digits that a directly following number takes for certain.
fn fixed_width(token: &Token) -> Option<usize> {
    match token {
        Token::Field('S', count) => Some(*count),
        Token::Field('y' | 'u' | 'M' | 'd' | 'D' | 'H' | 'h' | 'K' | 'k' | 'm' | 's', count) if *count <= 2 => {
            Some(*count)
        }
        _ => None,
    }
}

fn read_field<'a>(
    letter: char,
    count: usize,
    text: &'a str,
    reserved: usize,
    fields: &mut Fields,
    lenient: bool,
) -> Option<&'a str> {
    match letter {
        'M' | 'L' if count >= 3 => {
            let (i, rest) = read_name(text, &MONTHS, count)?;
            fields.month = Some(i as i64 + 1);
            return Some(rest);
        }
        'E' => return read_name(text, &DAYS, count).map(|(_, rest)| rest),
        'a' => {
            let half = text.get(..2)?;
            fields.afternoon = Some(if half.eq_ignore_ascii_case("PM") {
                true
            } else if half.eq_ignore_ascii_case("AM") {
                false
            } else {
                return None;
            });
            return Some(&text[2..]);
        }
        'G' => return text.strip_prefix("AD").or_else(|| text.strip_prefix("BC")),
        'z' | 'Z' | 'X' | 'x' | 'V' | 'O' => {
            let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "+-:/_".contains(c))).unwrap_or(text.len());
            return (end > 0).then(|| &text[end..]);
        }
        _ => {}
    }
    let run = text.bytes().take_while(u8::is_ascii_digit).count();
    let width = match (letter, count) {
        ('S', _) => count,
        (_, 2) if !lenient || reserved > 0 => 2,
        _ => run.saturating_sub(reserved).min(18),
    };
    let width = if lenient && letter == 'S' { run } else { width };
    let least = match letter {
        'y' | 'u' if count > 2 && !lenient => count,
        _ => 1,
    };
    if width > run || width < least {
        return None;
    }
    let (digits, rest) = text.split_at(width);
    let v: i64 = digits.parse().ok()?;
    match letter {
        'y' | 'u' | 'Y' if count == 2 && width <= 2 => fields.year = Some(2000 + v),
        'y' | 'u' | 'Y' => fields.year = Some(v),
        'M' | 'L' => fields.month = Some(v),
        'd' => fields.day = Some(v),
        'D' => fields.day_of_year = Some(v),
        'H' => fields.hour = Some(v),
        'k' => fields.hour = Some(v % 24),
        'K' => fields.half_day_hour = Some(v),
        'h' => fields.half_day_hour = Some(if (1..=12).contains(&v) { v % 12 } else { return None }),
        'm' => fields.minute = v,
        's' => fields.second = v,
        // `SimpleDateFormat` reads a number of milliseconds, the other a fraction.
        'S' if lenient => fields.nanos = v.checked_mul(1_000_000)?,
        'S' => fields.nanos = v * 10i64.checked_pow(u32::try_from(9usize.checked_sub(width)?).ok()?)?,
        'n' => fields.nanos = v,
        'Q' | 'q' | 'w' | 'W' | 'e' | 'c' | 'N' | 'A' => {}
        _ => return None,
    }
    Some(rest)
}

fn read_name<'a>(text: &'a str, names: &[&str], count: usize) -> Option<(usize, &'a str)> {
    let starts = |n: &str| text.get(..n.len()).is_some_and(|t| t.eq_ignore_ascii_case(n));
    if count == 4
        && let Some(i) = names.iter().position(|n| starts(n))
    {
        return Some((i, &text[names[i].len()..]));
    }
    let i = names.iter().position(|n| starts(&n[..3]))?;
    Some((i, &text[3..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pattern: &str, text: &str) -> Option<String> {
        let t = DatePattern::parse(pattern).unwrap().read(text, false)?;
        let mut out = String::new();
        DatePattern::parse("yyyy-MM-dd HH:mm:ss.SSS").unwrap().format(&mut out, t, None).unwrap();
        Some(out)
    }

    #[test]
    fn patterns_read_what_they_write() {
        for (pattern, text, want) in [
            ("yyyyMMddHHmmss", "20200229102030", Some("2020-02-29 10:20:30.000")),
            ("yyyyMMddHHmmssSSS", "20200229102030123", Some("2020-02-29 10:20:30.123")),
            ("dd.MM.yy", "29.02.20", Some("2020-02-29 00:00:00.000")),
            ("d/M/yyyy", "9/2/2020", Some("2020-02-09 00:00:00.000")),
            ("yyyy-MM-dd[ HH:mm]", "2020-02-09", Some("2020-02-09 00:00:00.000")),
            ("yyyy-MM-dd[ HH:mm]", "2020-02-09 10:20", Some("2020-02-09 10:20:00.000")),
            ("yyyy-MM-dd'T'HH:mm:ssXXX", "2020-02-09T10:20:30+01:00", Some("2020-02-09 10:20:30.000")),
            ("yyyy-DDD", "2020-060", Some("2020-02-29 00:00:00.000")),
            ("yyyy-MM-dd", "2020-2-9", None),
            ("yyyy-MM-dd", "2020-13-01", None),
            ("yyyy-MM-dd", "2020-04-31", Some("2020-04-30 00:00:00.000")),
            ("HH:mm", "24:00", Some("1970-01-02 00:00:00.000")),
            ("HH:mm", "24:01", None),
        ] {
            assert_eq!(read(pattern, text).as_deref(), want, "{pattern} {text}");
        }
        assert!(DatePattern::parse("yyyy b").is_err());
        assert!(DatePattern::parse("yyyy 'x").is_err());
    }
}
