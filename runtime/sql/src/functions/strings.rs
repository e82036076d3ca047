//! String functions. Positions are 1-based and count characters, as in Flink; NULL in, NULL out unless said otherwise.

use super::definition::Param::{Any, Long, Text};
use super::definition::{Call, Function, Returns};
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Int32Type};
use datafusion_common::{Result, exec_err};

pub(super) fn functions() -> Vec<Function> {
    let text = || Returns::Type(DataType::Utf8);
    let int = || Returns::Type(DataType::Int32);
    let boolean = || Returns::Type(DataType::Boolean);
    vec![
        Function::new("upper", &[Text], text(), upper).alias(&["ucase"]),
        Function::new("lower", &[Text], text(), lower).alias(&["lcase"]),
        Function::new("initcap", &[Text], text(), initcap),
        Function::new("char_length", &[Text], int(), char_length).alias(&["character_length", "length"]),
        Function::new("concat", &[Text], text(), concat).variadic(),
        Function::new("concat_ws", &[Text, Text], text(), concat_ws).optional(1).variadic(),
        Function::new("repeat", &[Text, Long], text(), repeat),
        Function::new("reverse", &[Text], text(), reverse),
        Function::new("replace", &[Text, Text, Text], text(), replace),
        Function::new("translate", &[Text, Text, Text], text(), translate),
        Function::new("overlay", &[Text, Text, Long, Long], text(), overlay).optional(1),
        Function::new("substring", &[Text, Long, Long], text(), substring).optional(1).alias(&["substr"]),
        Function::new("left", &[Text, Long], text(), left),
        Function::new("right", &[Text, Long], text(), right),
        Function::new("lpad", &[Text, Long, Text], text(), |c| pad(c, true)),
        Function::new("rpad", &[Text, Long, Text], text(), |c| pad(c, false)),
        Function::new("btrim", &[Text, Text], text(), |c| trim(c, true, true)).optional(1).alias(&["trim"]),
        Function::new("ltrim", &[Text, Text], text(), |c| trim(c, true, false)).optional(1),
        Function::new("rtrim", &[Text, Text], text(), |c| trim(c, false, true)).optional(1),
        Function::new("split_index", &[Text, Any, Long], text(), split_index),
        Function::new("elt", &[Long, Text], text(), elt).variadic(),
        Function::new("ascii", &[Text], int(), ascii),
        Function::new("chr", &[Long], text(), chr),
        Function::new("startswith", &[Text, Text], boolean(), |c| test(c, |s, p| s.starts_with(p))),
        Function::new("endswith", &[Text, Text], boolean(), |c| test(c, |s, p| s.ends_with(p))),
        Function::new("is_alpha", &[Text], boolean(), |c| all_chars(c, char::is_alphabetic)),
        Function::new("is_digit", &[Text], boolean(), |c| all_chars(c, char::is_numeric)),
        Function::new("is_decimal", &[Text], boolean(), is_decimal),
    ]
}

/// A function of one text.
fn map(call: &Call, f: impl Fn(&str, &mut String)) -> Result<ArrayRef> {
    let s = call.texts(0)?;
    call.collect_text(|row, out| Ok(s.get(row).map(|v| f(v, out)).is_some()))
}

fn upper(call: &Call) -> Result<ArrayRef> {
    map(call, |v, out| out.extend(v.chars().flat_map(char::to_uppercase)))
}

fn lower(call: &Call) -> Result<ArrayRef> {
    // `str::to_lowercase` and not char by char: a final sigma depends on its place, in Java as here.
    map(call, |v, out| out.push_str(&v.to_lowercase()))
}

/// Words are runs of ASCII letters and digits; everything else stays as it is and ends a word.
fn initcap(call: &Call) -> Result<ArrayRef> {
    map(call, |v, out| {
        let mut start = true;
        for c in v.chars() {
            out.push(if start { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() });
            start = !c.is_ascii_alphanumeric();
        }
    })
}

fn reverse(call: &Call) -> Result<ArrayRef> {
    map(call, |v, out| out.extend(v.chars().rev()))
}

fn char_length(call: &Call) -> Result<ArrayRef> {
    let s = call.texts(0)?;
    call.collect::<Int32Type>(|row| Ok(s.get(row).map(|v| v.chars().count() as i32)))
}

/// NULL if any part is.
fn concat(call: &Call) -> Result<ArrayRef> {
    let parts = (0..call.args.len()).map(|i| call.texts(i)).collect::<Result<Vec<_>>>()?;
    call.collect_text(|row, out| {
        for part in &parts {
            let Some(v) = part.get(row) else { return Ok(false) };
            out.push_str(v);
        }
        Ok(true)
    })
}

/// NULL parts are left out, empty ones not; a NULL separator gives NULL.
fn concat_ws(call: &Call) -> Result<ArrayRef> {
    let separator = call.texts(0)?;
    let parts = (1..call.args.len()).map(|i| call.texts(i)).collect::<Result<Vec<_>>>()?;
    call.collect_text(|row, out| {
        let Some(separator) = separator.get(row) else { return Ok(false) };
        for (i, part) in parts.iter().filter_map(|p| p.get(row)).enumerate() {
            if i > 0 {
                out.push_str(separator);
            }
            out.push_str(part);
        }
        Ok(true)
    })
}

/// A text that one call may make: far above any record, far below what ends a process.
const TEXT_BYTES_MAX: usize = 64 << 20;

fn refuse_long(call: &Call, bytes: usize) -> Result<()> {
    if bytes > TEXT_BYTES_MAX {
        return exec_err!(
            "{} would make a text of {bytes} bytes, more than {TEXT_BYTES_MAX}",
            call.function.to_uppercase()
        );
    }
    Ok(())
}

fn repeat(call: &Call) -> Result<ArrayRef> {
    let (s, n) = (call.texts(0)?, call.longs(1)?);
    call.collect_text(|row, out| {
        let (Some(s), Some(n)) = (s.get(row), n.get(row)) else { return Ok(false) };
        let n = usize::try_from(n).unwrap_or(0);
        refuse_long(call, s.len().saturating_mul(n))?;
        (0..n).for_each(|_| out.push_str(s));
        Ok(true)
    })
}

fn replace(call: &Call) -> Result<ArrayRef> {
    let (s, from, to) = (call.texts(0)?, call.texts(1)?, call.texts(2)?);
    call.collect_text(|row, out| {
        let (Some(s), Some(from), Some(to)) = (s.get(row), from.get(row), to.get(row)) else { return Ok(false) };
        out.push_str(&s.replace(from, to));
        Ok(true)
    })
}

/// Each character of `from` becomes the one at its place in `to`, or goes away; the first mention counts. NULL for either is
/// the empty text.
fn translate(call: &Call) -> Result<ArrayRef> {
    let (s, from, to) = (call.texts(0)?, call.texts(1)?, call.texts(2)?);
    call.collect_text(|row, out| {
        let Some(s) = s.get(row) else { return Ok(false) };
        let (from, to) = (from.get(row).unwrap_or_default(), to.get(row).unwrap_or_default());
        for c in s.chars() {
            match from.chars().position(|f| f == c) {
                None => out.push(c),
                Some(i) => out.extend(to.chars().nth(i)),
            }
        }
        Ok(true)
    })
}

/// `OVERLAY(s PLACING new FROM start [FOR length])`; a start outside the text leaves it alone.
fn overlay(call: &Call) -> Result<ArrayRef> {
    let (s, new, start) = (call.texts(0)?, call.texts(1)?, call.longs(2)?);
    let length = if call.has(3) { Some(call.longs(3)?) } else { None };
    call.collect_text(|row, out| {
        let (Some(s), Some(new), Some(start)) = (s.get(row), new.get(row), start.get(row)) else { return Ok(false) };
        let count = s.chars().count() as i64;
        let length = match &length {
            None => new.chars().count() as i64,
            Some(length) => match length.get(row) {
                Some(l) => l,
                None => return Ok(false),
            },
        };
        if start <= 0 || start > count {
            out.push_str(s);
            return Ok(true);
        }
        out.extend(s.chars().take(start as usize - 1));
        out.push_str(new);
        // Nothing is left behind a length that is not positive: so Flink has it.
        if length > 0 {
            out.extend(s.chars().skip((start - 1).saturating_add(length) as usize));
        }
        Ok(true)
    })
}

/// 1-based; a negative start counts from the end, 0 is 1; NULL for a negative length.
fn substring(call: &Call) -> Result<ArrayRef> {
    let (s, start) = (call.texts(0)?, call.longs(1)?);
    let length = if call.has(2) { Some(call.longs(2)?) } else { None };
    call.collect_text(|row, out| {
        let (Some(s), Some(start)) = (s.get(row), start.get(row)) else { return Ok(false) };
        let length = match &length {
            None => i64::MAX,
            Some(length) => match length.get(row) {
                Some(l) if l >= 0 => l,
                _ => return Ok(false),
            },
        };
        let skip = match start {
            1.. => start - 1,
            0 => 0,
            _ => {
                let from_end = s.chars().count() as i64 + start;
                if from_end < 0 {
                    return Ok(true);
                }
                from_end
            }
        };
        out.extend(s.chars().skip(skip as usize).take(usize::try_from(length).unwrap_or(usize::MAX)));
        Ok(true)
    })
}

fn left(call: &Call) -> Result<ArrayRef> {
    let (s, n) = (call.texts(0)?, call.longs(1)?);
    call.collect_text(|row, out| {
        let (Some(s), Some(n)) = (s.get(row), n.get(row)) else { return Ok(false) };
        out.extend(s.chars().take(n.max(0) as usize));
        Ok(true)
    })
}

fn right(call: &Call) -> Result<ArrayRef> {
    let (s, n) = (call.texts(0)?, call.longs(1)?);
    call.collect_text(|row, out| {
        let (Some(s), Some(n)) = (s.get(row), n.get(row)) else { return Ok(false) };
        let count = s.chars().count();
        out.extend(s.chars().skip(count.saturating_sub(n.max(0) as usize)));
        Ok(true)
    })
}

/// To exactly so many characters, cutting if need be. NULL for a negative length or nothing to pad with.
fn pad(call: &Call, at_left: bool) -> Result<ArrayRef> {
    let (s, length, fill) = (call.texts(0)?, call.longs(1)?, call.texts(2)?);
    call.collect_text(|row, out| {
        let (Some(s), Some(length), Some(fill)) = (s.get(row), length.get(row), fill.get(row)) else {
            return Ok(false);
        };
        let Ok(length) = usize::try_from(length) else { return Ok(false) };
        if fill.is_empty() {
            return Ok(false);
        }
        refuse_long(call, length)?;
        let count = s.chars().count();
        let padding = fill.chars().cycle().take(length.saturating_sub(count));
        if at_left {
            out.extend(padding);
            out.extend(s.chars().take(length));
        } else {
            out.extend(s.chars().take(length));
            out.extend(padding);
        }
        Ok(true)
    })
}

/// Spaces, or any of the given characters.
fn trim(call: &Call, start: bool, end: bool) -> Result<ArrayRef> {
    let s = call.texts(0)?;
    let set = if call.has(1) { Some(call.texts(1)?) } else { None };
    call.collect_text(|row, out| {
        let Some(mut s) = s.get(row) else { return Ok(false) };
        let set = match &set {
            None => " ",
            Some(set) => match set.get(row) {
                Some(set) => set,
                None => return Ok(false),
            },
        };
        if start {
            s = s.trim_start_matches(|c| set.contains(c));
        }
        if end {
            s = s.trim_end_matches(|c| set.contains(c));
        }
        out.push_str(s);
        Ok(true)
    })
}

/// 0-based; NULL beyond the last part. The separator is a text or the code of a character; an empty one is any white space.
fn split_index(call: &Call) -> Result<ArrayRef> {
    let (s, index) = (call.texts(0)?, call.longs(2)?);
    let coded = call.args[1].array.data_type().is_integer();
    let (codes, texts) = if coded { (Some(call.longs(1)?), None) } else { (None, Some(call.texts(1)?)) };
    let mut code = String::new();
    call.collect_text(|row, out| {
        let (Some(s), Some(index)) = (s.get(row), index.get(row)) else { return Ok(false) };
        let separator = match (&codes, &texts) {
            (Some(codes), _) => match codes.get(row).and_then(|c| u8::try_from(c).ok()) {
                Some(c) => {
                    code.clear();
                    code.push(char::from(c));
                    Some(code.as_str())
                }
                None => None,
            },
            (None, Some(texts)) => texts.get(row),
            (None, None) => None,
        };
        let (Some(separator), Ok(index)) = (separator, usize::try_from(index)) else { return Ok(false) };
        if s.is_empty() {
            return Ok(false);
        }
        let part = if separator.is_empty() { s.split_whitespace().nth(index) } else { s.split(separator).nth(index) };
        Ok(part.map(|p| out.push_str(p)).is_some())
    })
}

/// The n-th of the texts, from 1.
fn elt(call: &Call) -> Result<ArrayRef> {
    let n = call.longs(0)?;
    let texts = (1..call.args.len()).map(|i| call.texts(i)).collect::<Result<Vec<_>>>()?;
    call.collect_text(|row, out| {
        let chosen = n.get(row).and_then(|n| usize::try_from(n).ok()).and_then(|n| texts.get(n.checked_sub(1)?));
        Ok(chosen.and_then(|t| t.get(row)).map(|v| out.push_str(v)).is_some())
    })
}

/// Of the first byte; 0 for the empty text.
fn ascii(call: &Call) -> Result<ArrayRef> {
    let s = call.texts(0)?;
    call.collect::<Int32Type>(|row| Ok(s.get(row).map(|v| v.as_bytes().first().map_or(0, |b| i32::from(*b as i8)))))
}

/// The low eight bits as a character.
fn chr(call: &Call) -> Result<ArrayRef> {
    let n = call.longs(0)?;
    call.collect_text(|row, out| {
        let Some(n) = n.get(row) else { return Ok(false) };
        if n >= 0 {
            out.push(char::from((n & 0xff) as u8));
        }
        Ok(true)
    })
}

fn test(call: &Call, f: impl Fn(&str, &str) -> bool) -> Result<ArrayRef> {
    let (s, part) = (call.texts(0)?, call.texts(1)?);
    call.collect_boolean(|row| Ok(s.get(row).zip(part.get(row)).map(|(s, p)| f(s, p))))
}

/// False for NULL and for the empty text.
fn all_chars(call: &Call, f: impl Fn(char) -> bool) -> Result<ArrayRef> {
    let s = call.texts(0)?;
    call.collect_boolean(|row| Ok(Some(s.get(row).is_some_and(|s| !s.is_empty() && s.chars().all(&f)))))
}

/// Whether the text is a number, as `new BigDecimal(text)` reads it. False for NULL.
fn is_decimal(call: &Call) -> Result<ArrayRef> {
    let s = call.texts(0)?;
    call.collect_boolean(|row| {
        Ok(Some(s.get(row).is_some_and(|s| {
            let (mantissa, exponent) = s.split_once(['e', 'E']).unwrap_or((s, "0"));
            let digits = mantissa.strip_prefix(['+', '-']).unwrap_or(mantissa);
            digits.bytes().any(|b| b.is_ascii_digit())
                && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
                && digits.matches('.').count() <= 1
                && exponent.parse::<i32>().is_ok()
        })))
    })
}
