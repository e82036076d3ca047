//! String functions. Positions are 1-based and count characters, as in Flink; NULL in, NULL out unless said otherwise.

use super::definition::Param::{Int, Text};
use super::definition::{Call, Function, Returns};
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Int32Type};
use datafusion_common::Result;

pub(super) fn functions() -> Vec<Function> {
    let text = || Returns::Type(DataType::Utf8);
    let int = || Returns::Type(DataType::Int32);
    vec![
        Function::new("upper", &[Text], text(), upper).alias(&["ucase"]),
        Function::new("lower", &[Text], text(), lower).alias(&["lcase"]),
        Function::new("char_length", &[Text], int(), char_length).alias(&["character_length", "length"]),
        Function::new("concat", &[Text], text(), concat).variadic(),
        Function::new("split_index", &[Text, Text, Int], text(), split_index),
    ]
}

fn upper(call: &Call) -> Result<ArrayRef> {
    let s = call.texts(0)?;
    call.collect_text(|row, out| Ok(s.get(row).map(|v| out.extend(v.chars().flat_map(char::to_uppercase))).is_some()))
}

fn lower(call: &Call) -> Result<ArrayRef> {
    let s = call.texts(0)?;
    // `str::to_lowercase` and not char by char: a final sigma depends on its place, in Java as here.
    call.collect_text(|row, out| Ok(s.get(row).map(|v| out.push_str(&v.to_lowercase())).is_some()))
}

fn char_length(call: &Call) -> Result<ArrayRef> {
    let s = call.texts(0)?;
    call.collect::<Int32Type>(|row| Ok(s.get(row).map(|v| v.chars().count() as i32)))
}

/// 0-based; NULL beyond the last part.
fn split_index(call: &Call) -> Result<ArrayRef> {
    let (s, separator, index) = (call.texts(0)?, call.texts(1)?, call.numbers::<Int32Type>(2)?);
    call.collect_text(|row, out| {
        let (Some(s), Some(separator), Some(index)) = (s.get(row), separator.get(row), index.get(row)) else {
            return Ok(false);
        };
        let Ok(index) = usize::try_from(index) else { return Ok(false) };
        let part = if separator.is_empty() { s.split_whitespace().nth(index) } else { s.split(separator).nth(index) };
        Ok(part.map(|p| out.push_str(p)).is_some())
    })
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
