//! Parts of a date, rounding to a unit, adding and subtracting units. Weeks begin on Sunday for `FLOOR` and `DAYOFWEEK`
//! (1 = Sunday), and are ISO weeks for `WEEK`, as in Flink.

use super::definition::Param::{Long, Temporal, Text};
use super::definition::{Call, Function, Param, Returns};
use super::text_form::{civil, days_from_civil};
use super::time_form::days_in_month;
use super::wall::{DAY_NANOS, Wall, Walls, collect};
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimeUnit};
use datafusion_common::{Result, ScalarValue, exec_err};

/// `YEAR(t)` and its kin: the name is the unit.
const PARTS: &[(&str, Unit)] = &[
    ("year", Unit::Year),
    ("quarter", Unit::Quarter),
    ("month", Unit::Month),
    ("week", Unit::Week),
    ("dayofyear", Unit::DayOfYear),
    ("dayofmonth", Unit::Day),
    ("dayofweek", Unit::DayOfWeek),
    ("hour", Unit::Hour),
    ("minute", Unit::Minute),
    ("second", Unit::Second),
];

pub(super) fn functions() -> Vec<Function> {
    let long = || Returns::Type(DataType::Int64);
    let unit_first: &[Param] = &[Text, Temporal];
    let unit_last: &[Param] = &[Temporal, Text];
    let add: &[Param] = &[Text, Long, Temporal];
    let difference: &[Param] = &[Text, Temporal, Temporal];
    let mut all = vec![
        Function::new("extract", unit_first, long(), extract).alias(&["date_part"]),
        Function::new("floor_to", unit_last, Returns::SameAs(0), |c| snap(c, false)),
        Function::new("ceil_to", unit_last, Returns::SameAs(0), |c| snap(c, true)),
        Function::new("timestampadd", add, Returns::Computed(added_type), timestampadd),
        Function::new("timestampdiff", difference, Returns::Type(DataType::Int32), timestampdiff),
    ];
    all.extend(PARTS.iter().map(|&(name, _)| Function::new(name, &[Temporal], long(), part_by_name)));
    all
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Millennium,
    Century,
    Decade,
    Year,
    IsoYear,
    Quarter,
    Month,
    Week,
    Day,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
    Epoch,
}

impl Unit {
    fn parse(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase();
        let name = name.strip_prefix("sql_tsi_").unwrap_or(&name);
        Some(match name.strip_suffix('s').unwrap_or(name) {
            "millennium" => Self::Millennium,
            "century" => Self::Century,
            "decade" => Self::Decade,
            "year" => Self::Year,
            "isoyear" => Self::IsoYear,
            "quarter" => Self::Quarter,
            "month" => Self::Month,
            "week" => Self::Week,
            "day" | "dayofmonth" => Self::Day,
            "dow" | "dayofweek" => Self::DayOfWeek,
            "isodow" => Self::IsoDayOfWeek,
            "doy" | "dayofyear" => Self::DayOfYear,
            "hour" => Self::Hour,
            "minute" => Self::Minute,
            "second" => Self::Second,
            "millisecond" => Self::Millisecond,
            "microsecond" => Self::Microsecond,
            "nanosecond" => Self::Nanosecond,
            "epoch" => Self::Epoch,
            _ => return None,
        })
    }

    /// Of the units with a fixed length.
    fn nanos(self) -> Option<i64> {
        Some(match self {
            Self::Week => 7 * DAY_NANOS,
            Self::Day => DAY_NANOS,
            Self::Hour => 3_600_000_000_000,
            Self::Minute => 60_000_000_000,
            Self::Second => 1_000_000_000,
            Self::Millisecond => 1_000_000,
            Self::Microsecond => 1_000,
            Self::Nanosecond => 1,
            _ => return None,
        })
    }

    fn months(self) -> Option<i64> {
        Some(match self {
            Self::Millennium => 12_000,
            Self::Century => 1_200,
            Self::Decade => 120,
            Self::Year => 12,
            Self::Quarter => 3,
            Self::Month => 1,
            _ => return None,
        })
    }
}

fn unit(call: &Call, name: &str) -> Result<Unit> {
    match Unit::parse(name) {
        Some(u) => Ok(u),
        None => exec_err!(
            "{} does not know the unit '{name}'; YEAR to SECOND, WEEK, QUARTER …",
            call.function.to_uppercase()
        ),
    }
}

fn part(unit: Unit, t: Wall) -> i64 {
    let (y, m, d) = civil(t.days);
    let second = t.nanos / 1_000_000_000;
    match unit {
        Unit::Millennium => (y + 999).div_euclid(1000),
        Unit::Century => (y + 99).div_euclid(100),
        Unit::Decade => y.div_euclid(10),
        Unit::Year => y,
        Unit::IsoYear => iso_week(t.days).0,
        Unit::Quarter => (i64::from(m) + 2) / 3,
        Unit::Month => m.into(),
        Unit::Week => iso_week(t.days).1,
        Unit::Day => d.into(),
        Unit::DayOfWeek => weekday(t.days) + 1,
        Unit::IsoDayOfWeek => (weekday(t.days) + 6) % 7 + 1,
        Unit::DayOfYear => t.days - days_from_civil(y, 1, 1) + 1,
        Unit::Hour => second / 3600,
        Unit::Minute => second / 60 % 60,
        Unit::Second => second % 60,
        Unit::Millisecond => t.nanos % 1_000_000_000 / 1_000_000,
        Unit::Microsecond => t.nanos % 1_000_000_000 / 1_000,
        Unit::Nanosecond => t.nanos % 1_000_000_000,
        Unit::Epoch => t.seconds(),
    }
}

/// 0 = Sunday; 1970-01-01 was a Thursday.
pub(super) fn weekday(days: i64) -> i64 {
    (days + 4).rem_euclid(7)
}

/// ISO 8601: the week of the year's first Thursday is week 1.
fn iso_week(days: i64) -> (i64, i64) {
    let thursday = days - (weekday(days) + 6) % 7 + 3;
    let (year, ..) = civil(thursday);
    (year, (thursday - days_from_civil(year, 1, 1)) / 7 + 1)
}

fn extract(call: &Call) -> Result<ArrayRef> {
    let (names, times) = (call.texts(0)?, Walls::of(call, 1)?);
    let read = |row: usize| -> Result<Option<i64>> {
        let (Some(name), Some(t)) = (names.get(row), times.get(row)) else { return Ok(None) };
        let unit = unit(call, name)?;
        // The epoch is an instant: not in the session's zone.
        let shift = if unit == Unit::Epoch { times.offset(row) } else { 0 };
        Ok(Some(part(unit, t) - shift))
    };
    if call.returns == DataType::Int32 {
        return call.collect::<Int32Type>(|row| Ok(read(row)?.map(|v| v as i32)));
    }
    call.collect::<Int64Type>(read)
}

fn part_by_name(call: &Call) -> Result<ArrayRef> {
    let times = Walls::of(call, 0)?;
    let Some((_, unit)) = PARTS.iter().find(|(name, _)| *name == call.function) else {
        return exec_err!("{} is not a part of a date", call.function);
    };
    call.collect::<Int64Type>(|row| Ok(times.get(row).map(|t| part(*unit, t))))
}

/// `FLOOR(t TO unit)`, `CEIL(t TO unit)`. A TIMESTAMP_LTZ is rounded on the wall clock and goes back with the offset that it
/// came with, also across a change of the clock, as in Flink.
fn snap(call: &Call, up: bool) -> Result<ArrayRef> {
    let (times, names) = (Walls::of(call, 0)?, call.texts(1)?);
    collect(call, |row| {
        let (Some(t), Some(name)) = (times.get(row), names.get(row)) else { return Ok(None) };
        let unit = unit(call, name)?;
        let Some(down) = floor(unit, t) else { return exec_err!("a time cannot be rounded to {name}") };
        let snapped = if up && down != t { next(unit, down) } else { Some(down) };
        Ok(snapped.and_then(|t| t.add_nanos(-i128::from(times.offset(row)) * 1_000_000_000)))
    })
}

fn floor(unit: Unit, t: Wall) -> Option<Wall> {
    let (y, m, _) = civil(t.days);
    let day = |days| Some(Wall { days, nanos: 0 });
    match unit {
        // Centuries and millennia begin with year 1.
        Unit::Millennium => day(days_from_civil((y - 1).div_euclid(1000) * 1000 + 1, 1, 1)),
        Unit::Century => day(days_from_civil((y - 1).div_euclid(100) * 100 + 1, 1, 1)),
        Unit::Decade => day(days_from_civil(y.div_euclid(10) * 10, 1, 1)),
        Unit::Year => day(days_from_civil(y, 1, 1)),
        Unit::Quarter => day(days_from_civil(y, (m - 1) / 3 * 3 + 1, 1)),
        Unit::Month => day(days_from_civil(y, m, 1)),
        Unit::Week => day(t.days - weekday(t.days)),
        Unit::Day => day(t.days),
        _ => {
            let n = unit.nanos()?;
            Some(Wall { days: t.days, nanos: t.nanos / n * n })
        }
    }
}

fn next(unit: Unit, t: Wall) -> Option<Wall> {
    match unit.months() {
        Some(months) => Some(Wall { days: add_months(t.days, months), nanos: t.nanos }),
        None => t.add_nanos(unit.nanos()?.into()),
    }
}

/// The day so many months later, at most the last of its month.
pub fn add_months(days: i64, months: i64) -> i64 {
    let (y, m, d) = civil(days);
    let count = y * 12 + i64::from(m) - 1 + months;
    let (y, m) = (count.div_euclid(12), count.rem_euclid(12) as u32 + 1);
    days_from_civil(y, m, d.min(days_in_month(y, m)))
}

/// A DATE plus hours is a TIMESTAMP; everything else keeps its type.
fn added_type(types: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
    let fine = match constants.first() {
        Some(Some(ScalarValue::Utf8(Some(name)))) => {
            Unit::parse(name).and_then(Unit::nanos).is_some_and(|n| n < DAY_NANOS)
        }
        _ => false,
    };
    Ok(match &types[2] {
        DataType::Date32 if fine => DataType::Timestamp(TimeUnit::Millisecond, None),
        other => other.clone(),
    })
}

/// Ten million years: beyond every type, and safe to calculate with.
const MONTHS_MAX: i64 = 120_000_000;

fn timestampadd(call: &Call) -> Result<ArrayRef> {
    let (names, counts, times) = (call.texts(0)?, call.longs(1)?, Walls::of(call, 2)?);
    let clock = matches!(call.returns, DataType::Time32(_) | DataType::Time64(_));
    collect(call, |row| {
        let (Some(name), Some(count), Some(t)) = (names.get(row), counts.get(row), times.get(row)) else {
            return Ok(None);
        };
        let unit = unit(call, name)?;
        let offset = -i128::from(times.offset(row)) * 1_000_000_000;
        let Some(utc) = t.add_nanos(offset) else { return Ok(None) };
        let moved = match unit.months() {
            Some(months) => match months.checked_mul(count).filter(|m| m.abs() <= MONTHS_MAX) {
                Some(months) => Some(Wall { days: add_months(utc.days, months), nanos: utc.nanos }),
                None => return exec_err!("TIMESTAMPADD: {count} {name} is out of the range of time"),
            },
            None => match unit.nanos() {
                Some(nanos) => utc.add_nanos(i128::from(nanos) * i128::from(count)),
                None => return exec_err!("{name} is not a unit that can be added"),
            },
        };
        Ok(moved.map(|m| if clock { Wall { days: 0, nanos: m.nanos } } else { m }))
    })
}

/// Whole units from the first to the second time, towards zero.
fn timestampdiff(call: &Call) -> Result<ArrayRef> {
    let (names, from, to) = (call.texts(0)?, Walls::of(call, 1)?, Walls::of(call, 2)?);
    call.collect::<Int32Type>(|row| {
        let (Some(name), Some(a), Some(b)) = (names.get(row), from.get(row), to.get(row)) else { return Ok(None) };
        let unit = unit(call, name)?;
        let utc = |t: Wall, offset: i64| t.add_nanos(-i128::from(offset) * 1_000_000_000);
        let (Some(a), Some(b)) = (utc(a, from.offset(row)), utc(b, to.offset(row))) else { return Ok(None) };
        if let Some(months) = unit.months() {
            return Ok(Some((months_between(b, a) / months) as i32));
        }
        match unit.nanos() {
            Some(n) => Ok(Some(((b.total_nanos() - a.total_nanos()) / i128::from(n)) as i32)),
            None => exec_err!("{name} is not a unit that can be counted"),
        }
    })
}

/// Months from `b` to `a` as Calcite's `subtractMonths` counts them, which Flink uses: by the days, of which the end of a month
/// counts as its last day; then one less where both are the same day and the time is earlier (also when counting backwards).
fn months_between(a: Wall, b: Wall) -> i64 {
    let months = months_between_days(a.days, b.days);
    if add_months(b.days, months) == a.days && a.nanos < b.nanos { months - 1 } else { months }
}

fn months_between_days(a: i64, b: i64) -> i64 {
    if a < b {
        return -months_between_days(b, a);
    }
    // No month has more than 31 days: never too many to start with.
    let mut m = (a - b) / 31;
    while add_months(b, m) < a && add_months(b, m + 1) <= a {
        m += 1;
    }
    m
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_weeks_at_the_turn_of_the_year() {
        for ((y, m, d), want) in [
            ((2021, 1, 1), (2020, 53)),
            ((2021, 1, 4), (2021, 1)),
            ((2018, 12, 31), (2019, 1)),
            ((2016, 1, 3), (2015, 53)),
            ((9999, 12, 31), (9999, 52)),
        ] {
            assert_eq!(iso_week(days_from_civil(y, m, d)), want, "{y}-{m}-{d}");
        }
    }

    #[test]
    fn months_between_is_calcites() {
        let at = |y, m, d, nanos| Wall { days: days_from_civil(y, m, d), nanos };
        assert_eq!(months_between(at(2020, 2, 29, 0), at(2020, 1, 31, 0)), 1);
        assert_eq!(months_between(at(2020, 3, 14, 0), at(2020, 1, 15, 0)), 1);
        assert_eq!(months_between(at(2020, 2, 15, 1), at(2020, 1, 15, 2)), 0);
        assert_eq!(months_between(at(2020, 1, 1, 0), at(2020, 3, 1, 0)), -2);
        // 31 January 00:00 to 31 December 23:59:59 of the year before: the time only ever takes away.
        assert_eq!(months_between(at(2023, 12, 31, 86_399), at(2024, 1, 31, 0)), -1);
        assert_eq!(months_between(at(2023, 12, 31, 0), at(2024, 1, 31, 1)), -2);
    }
}
