//! Between times and text, and between times and seconds.
//!
//! `DATE_FORMAT`, `TO_TIMESTAMP` read and write as `DateTimeFormatter`; `UNIX_TIMESTAMP`, `FROM_UNIXTIME`, `CONVERT_TZ` and
//! `TO_DATE` with a format as the older `SimpleDateFormat`, which rolls over what is beyond the calendar. The session zone is
//! an optional last argument (see [`ZONED`]): the planner adds it, so that a plan says what it means.

use super::date_pattern::DatePattern;
use super::definition::Param::{Any, Long, Temporal, Text};
use super::definition::{Call, Function, Returns, Texts};
use super::time_form::{parse_date, parse_timestamp};
use super::wall::{Wall, Walls, collect};
use super::zone::Zone;
use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use datafusion_common::{DataFusionError, Result, exec_err};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Functions whose meaning depends on the session's time zone, with the place of the argument that says it. The planner fills
/// missing optional arguments before it with NULL.
pub const ZONED: &[(&str, usize)] = &[("from_unixtime", 2), ("unix_timestamp", 2), ("to_timestamp_ltz", 2)];

pub(super) fn functions() -> Vec<Function> {
    let text = || Returns::Type(DataType::Utf8);
    let millis = |zone: Option<&str>| Returns::Type(DataType::Timestamp(TimeUnit::Millisecond, zone.map(Into::into)));
    vec![
        Function::new("date_format", &[Temporal, Text], text(), date_format),
        Function::new("to_date", &[Text, Text], Returns::Type(DataType::Date32), to_date).optional(1),
        Function::new("to_timestamp", &[Text, Text], millis(None), to_timestamp).optional(1),
        Function::new("to_timestamp_ltz", &[Any, Any, Text], millis(Some("UTC")), to_timestamp_ltz).optional(2),
        Function::new("unix_timestamp", &[Text, Text, Text], Returns::Type(DataType::Int64), unix_timestamp)
            .optional(3),
        Function::new("from_unixtime", &[Long, Text, Text], text(), from_unixtime).optional(2),
        Function::new("convert_tz", &[Text, Text, Text], text(), convert_tz),
    ]
}

const DEFAULT_PATTERN: &str = "yyyy-MM-dd HH:mm:ss";

/// Parsed patterns per thread, few per job (see `search`).
const CACHED_PATTERNS_MAX: usize = 64;

thread_local! {
    static PATTERNS: RefCell<HashMap<String, Rc<DatePattern>>> = RefCell::new(HashMap::new());
}

fn pattern(text: &str) -> Result<Rc<DatePattern>> {
    PATTERNS.with_borrow_mut(|cache| {
        if let Some(found) = cache.get(text) {
            return Ok(found.clone());
        }
        let parsed = Rc::new(DatePattern::parse(text).map_err(DataFusionError::Execution)?);
        if cache.len() >= CACHED_PATTERNS_MAX {
            cache.clear();
        }
        cache.insert(text.to_owned(), parsed.clone());
        Ok(parsed)
    })
}

/// The optional text argument; the outer `None`: NULL.
fn optional<'a>(arg: Option<&Texts<'a>>, row: usize, default: &'a str) -> Option<&'a str> {
    arg.map_or(Some(default), |a| a.get(row))
}

/// The session zone; UTC where the planner gave none.
fn session_zone(call: &Call, i: usize) -> Result<Zone> {
    if !call.has(i) {
        return Ok(Zone::UTC);
    }
    match call.texts(i)?.get(0) {
        None => Ok(Zone::UTC),
        Some(name) => match Zone::parse(name) {
            Some(zone) => Ok(zone),
            None => exec_err!("'{name}' is not a time zone; such as UTC, Europe/Berlin, +02:00"),
        },
    }
}

fn date_format(call: &Call) -> Result<ArrayRef> {
    let (times, formats) = (Walls::of(call, 0)?, call.texts(1)?);
    call.collect_text(|row, out| {
        let (Some(t), Some(format)) = (times.get(row), formats.get(row)) else { return Ok(false) };
        pattern(format)?.format(out, t, None).map_err(DataFusionError::Execution)?;
        Ok(true)
    })
}

/// NULL for what is no date.
fn to_date(call: &Call) -> Result<ArrayRef> {
    let texts = call.texts(0)?;
    let formats = if call.has(1) { Some(call.texts(1)?) } else { None };
    collect(call, |row| {
        let Some(text) = texts.get(row) else { return Ok(None) };
        let Some(formats) = &formats else {
            return Ok(parse_date(text).map(|days| Wall { days, nanos: 0 }));
        };
        let Some(format) = formats.get(row) else { return Ok(None) };
        Ok(pattern(format)?.read(text, true))
    })
}

/// As a cast reads it, but a day up to 31 is cut to the end of its month. NULL for what is no time.
fn default_timestamp(text: &str) -> Option<Wall> {
    parse_timestamp(text).map(|t| Wall::from_seconds(t.seconds, t.nanos))
}

fn timestamp(text: &str, format: Option<&str>) -> Result<Option<Wall>> {
    Ok(match format {
        None => default_timestamp(text),
        Some(format) => pattern(format)?.read(text, false),
    })
}

fn to_timestamp(call: &Call) -> Result<ArrayRef> {
    let texts = call.texts(0)?;
    let formats = if call.has(1) { Some(call.texts(1)?) } else { None };
    collect(call, |row| {
        let Some(text) = texts.get(row) else { return Ok(None) };
        match &formats {
            None => timestamp(text, None),
            Some(formats) => match formats.get(row) {
                Some(format) => timestamp(text, Some(format)),
                None => Ok(None),
            },
        }
    })
}

/// Of a number: seconds (precision 0) or milliseconds (3, and if left out). Of a text: with a format and a zone.
fn to_timestamp_ltz(call: &Call) -> Result<ArrayRef> {
    let (array, constant) = call.arg_array(0)?;
    if *array.data_type() == DataType::Utf8 {
        let texts = call.texts(0)?;
        let typed = call.has(1) && *call.args[1].array.data_type() == DataType::Utf8;
        let formats = if typed { Some(call.texts(1)?) } else { None };
        let zone = session_zone(call, 2)?;
        return collect(call, |row| {
            let Some(text) = texts.get(row) else { return Ok(None) };
            let local = timestamp(text, formats.as_ref().and_then(|f| f.get(row)))?;
            Ok(local.map(|t| {
                let seconds = zone.to_utc(t.seconds());
                Wall::from_seconds(seconds, (t.nanos % 1_000_000_000) as u32)
            }))
        });
    }
    let precision = if call.has(1) { Some(call.longs(1)?) } else { None };
    let whole = array.data_type().is_integer();
    let longs = if whole { Some(cast(array, &DataType::Int64)?) } else { None };
    let doubles = if whole { None } else { Some(cast(array, &DataType::Float64)?) };
    collect(call, |row| {
        let i = if constant { 0 } else { row };
        // A typed NULL as second argument stands for "left out" (see ZONED).
        let precision = precision.as_ref().and_then(|p| p.get(row)).unwrap_or(3);
        let to_millis = match precision {
            0 => 1000,
            3 => 1,
            other => {
                return exec_err!("TO_TIMESTAMP_LTZ takes the precision 0 (seconds) or 3 (milliseconds), got {other}");
            }
        };
        if array.is_null(i) {
            return Ok(None);
        }
        let ms = match (&longs, &doubles) {
            (Some(v), _) => v.as_primitive::<Int64Type>().value(i).checked_mul(to_millis),
            (None, Some(v)) => Some((v.as_primitive::<Float64Type>().value(i) * to_millis as f64) as i64),
            (None, None) => None,
        };
        match ms {
            Some(ms) => Ok(Some(Wall::from_seconds(ms.div_euclid(1000), (ms.rem_euclid(1000) * 1_000_000) as u32))),
            None => exec_err!("TO_TIMESTAMP_LTZ: the number is out of range"),
        }
    })
}

/// Flink's answer for a text that is no time.
const NO_TIME: i64 = i64::MIN;

fn unix_timestamp(call: &Call) -> Result<ArrayRef> {
    let texts = call.texts(0)?;
    let formats = if call.has(1) { Some(call.texts(1)?) } else { None };
    let zone = session_zone(call, 2)?;
    let zoned = call.has(2);
    call.collect::<Int64Type>(|row| {
        let Some(text) = texts.get(row) else { return Ok(None) };
        let format = match optional(formats.as_ref(), row, DEFAULT_PATTERN) {
            Some(f) => f,
            None if zoned => DEFAULT_PATTERN,
            None => return Ok(None),
        };
        let local = pattern(format)?.read(text, true);
        Ok(Some(local.map_or(NO_TIME, |t| zone.to_utc_late(t.seconds()))))
    })
}

fn from_unixtime(call: &Call) -> Result<ArrayRef> {
    let seconds = call.longs(0)?;
    let formats = if call.has(1) { Some(call.texts(1)?) } else { None };
    let zone = session_zone(call, 2)?;
    let zoned = call.has(2);
    call.collect_text(|row, out| {
        let Some(seconds) = seconds.get(row) else { return Ok(false) };
        let format = match optional(formats.as_ref(), row, DEFAULT_PATTERN) {
            Some(f) => f,
            None if zoned => DEFAULT_PATTERN,
            None => return Ok(false),
        };
        let local = Wall::from_seconds(seconds + zone.offset_at(seconds), 0);
        pattern(format)?.format(out, local, None).map_err(DataFusionError::Execution)?;
        Ok(true)
    })
}

/// Zones that do not exist are UTC, as in Java's `TimeZone`; NULL for a text that is no time.
fn convert_tz(call: &Call) -> Result<ArrayRef> {
    let (texts, from, to) = (call.texts(0)?, call.texts(1)?, call.texts(2)?);
    let format = pattern(DEFAULT_PATTERN)?;
    call.collect_text(|row, out| {
        let (Some(text), Some(from), Some(to)) = (texts.get(row), from.get(row), to.get(row)) else { return Ok(false) };
        let zone = |name: &str| Zone::parse(name).unwrap_or(Zone::UTC);
        let Some(local) = format.read(text, true) else { return Ok(false) };
        let utc = zone(from).to_utc_late(local.seconds());
        let there = Wall::from_seconds(utc + zone(to).offset_at(utc), 0);
        format.format(out, there, None).map_err(DataFusionError::Execution)?;
        Ok(true)
    })
}
