//! Between times and text, and between times and seconds.
//!
//! `DATE_FORMAT`, `TO_TIMESTAMP` read and write as `DateTimeFormatter`; `UNIX_TIMESTAMP`, `FROM_UNIXTIME`, `CONVERT_TZ` and
//! `TO_DATE` with a format as the older `SimpleDateFormat`, which rolls over what is beyond the calendar. Local times are those
//! of the session's zone.

use super::date_pattern::DatePattern;
use super::definition::Param::{Any, Long, Temporal, Text};
use super::definition::{Call, Function, Returns, Texts};
use super::time_form::{parse_date, parse_timestamp};
use super::wall::{Wall, Walls, collect};
use super::zone::Zone;
use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use datafusion_common::{DataFusionError, Result, ScalarValue, exec_err};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

pub(super) fn functions() -> Vec<Function> {
    let text = || Returns::Type(DataType::Utf8);
    let millis = Returns::Type(DataType::Timestamp(TimeUnit::Millisecond, None));
    vec![
        Function::new("date_format", &[Temporal, Text], text(), date_format),
        Function::new("to_date", &[Text, Text], Returns::Type(DataType::Date32), to_date).optional(1),
        Function::new("to_timestamp", &[Text, Text], millis, to_timestamp).optional(1),
        Function::new("to_timestamp_ltz", &[Any, Any, Text], Returns::Computed(ltz_type), to_timestamp_ltz).optional(2),
        Function::new("unix_timestamp", &[Text, Text, Text], Returns::Type(DataType::Int64), unix_timestamp)
            .optional(3),
        Function::new("from_unixtime", &[Long, Text], text(), from_unixtime).optional(1),
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

/// The zone of an argument; the session's if there is none.
fn zone_argument(call: &Call, i: usize) -> Result<Zone> {
    if !call.has(i) {
        return Ok(call.zone);
    }
    match call.texts(i)?.get(0) {
        None => Ok(call.zone),
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
        // What does not fit is tried in the form of a cast: `2020-2-9` with `yyyy-MM-dd`.
        Some(format) => pattern(format)?.read(text, false).or_else(|| default_timestamp(text.trim())),
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

/// TIMESTAMP_LTZ(3), or finer where a constant precision says so.
fn ltz_type(_: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
    let precision = match constants.get(1) {
        Some(Some(v)) => v.cast_to(&DataType::Int64).ok(),
        _ => None,
    };
    let unit = match precision {
        Some(ScalarValue::Int64(Some(4..=6))) => TimeUnit::Microsecond,
        Some(ScalarValue::Int64(Some(7..=9))) => TimeUnit::Nanosecond,
        _ => TimeUnit::Millisecond,
    };
    Ok(DataType::Timestamp(unit, Some("UTC".into())))
}

/// Of a number: its precision says the unit, seconds (0) to nanoseconds (9); milliseconds (3) if left out. Of a text: with a
/// format and a zone.
fn to_timestamp_ltz(call: &Call) -> Result<ArrayRef> {
    let (array, constant) = call.arg_array(0)?;
    if *array.data_type() == DataType::Utf8 {
        let texts = call.texts(0)?;
        let typed = call.has(1) && *call.args[1].array.data_type() == DataType::Utf8;
        let formats = if typed { Some(call.texts(1)?) } else { None };
        let zone = zone_argument(call, 2)?;
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
        let Some(precision) = precision.as_ref().map_or(Some(3), |p| p.get(row)) else { return Ok(None) };
        if array.is_null(i) {
            return Ok(None);
        }
        let Some(per_second) = u32::try_from(precision).ok().filter(|p| *p <= 9).map(|p| 10i64.pow(p)) else {
            return exec_err!(
                "TO_TIMESTAMP_LTZ takes a precision from 0 (seconds) to 9 (nanoseconds), got {precision}"
            );
        };
        let v = match (&longs, &doubles) {
            (Some(v), _) => v.as_primitive::<Int64Type>().value(i),
            (None, Some(v)) => v.as_primitive::<Float64Type>().value(i) as i64,
            (None, None) => return Ok(None),
        };
        let nanos = v.rem_euclid(per_second) * (1_000_000_000 / per_second);
        Ok(Some(Wall::from_seconds(v.div_euclid(per_second), nanos as u32)))
    })
}

/// Flink's answer for a text that is no time.
const NO_TIME: i64 = i64::MIN;

fn unix_timestamp(call: &Call) -> Result<ArrayRef> {
    let texts = call.texts(0)?;
    let formats = if call.has(1) { Some(call.texts(1)?) } else { None };
    let zone = call.zone;
    call.collect::<Int64Type>(|row| {
        let Some(text) = texts.get(row) else { return Ok(None) };
        let Some(format) = optional(formats.as_ref(), row, DEFAULT_PATTERN) else { return Ok(None) };
        let local = pattern(format)?.read(text, true);
        Ok(Some(local.map_or(NO_TIME, |t| zone.to_utc_late(t.seconds()))))
    })
}

fn from_unixtime(call: &Call) -> Result<ArrayRef> {
    let seconds = call.longs(0)?;
    let formats = if call.has(1) { Some(call.texts(1)?) } else { None };
    let zone = call.zone;
    call.collect_text(|row, out| {
        let Some(seconds) = seconds.get(row) else { return Ok(false) };
        let Some(format) = optional(formats.as_ref(), row, DEFAULT_PATTERN) else { return Ok(false) };
        let local = Wall::from_seconds(seconds.saturating_add(zone.offset_at(seconds)), 0);
        pattern(format)?.format(out, local, None).map_err(DataFusionError::Execution)?;
        Ok(true)
    })
}

/// Zones that do not exist are UTC, and so are bare offsets, as in Java's `TimeZone` (which takes `GMT+02:00`); NULL for a text that is no time.
fn convert_tz(call: &Call) -> Result<ArrayRef> {
    let (texts, from, to) = (call.texts(0)?, call.texts(1)?, call.texts(2)?);
    let format = pattern(DEFAULT_PATTERN)?;
    call.collect_text(|row, out| {
        let (Some(text), Some(from), Some(to)) = (texts.get(row), from.get(row), to.get(row)) else { return Ok(false) };
        let zone = |name: &str| Zone::parse(name).filter(|_| !name.starts_with(['+', '-'])).unwrap_or(Zone::UTC);
        let Some(local) = format.read(text, true) else { return Ok(false) };
        let utc = zone(from).to_utc_late(local.seconds());
        let there = Wall::from_seconds(utc + zone(to).offset_at(utc), 0);
        format.format(out, there, None).map_err(DataFusionError::Execution)?;
        Ok(true)
    })
}
