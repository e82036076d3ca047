//! Dates, times and timestamps of any type as a wall clock, and back.

use super::definition::Call;
use super::zone::Zone;
use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use datafusion_common::{Result, exec_err};

pub(super) const DAY_NANOS: i64 = 86_400_000_000_000;

/// A day and the time of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wall {
    pub days: i64,
    /// Of the day, below [`DAY_NANOS`].
    pub nanos: i64,
}

impl Wall {
    pub fn from_seconds(seconds: i64, nanos: u32) -> Self {
        Self { days: seconds.div_euclid(86_400), nanos: seconds.rem_euclid(86_400) * 1_000_000_000 + i64::from(nanos) }
    }
    /// Since 1970-01-01 00:00:00.
    pub fn seconds(self) -> i64 {
        self.days * 86_400 + self.nanos / 1_000_000_000
    }
    pub fn add_nanos(self, nanos: i128) -> Option<Self> {
        let total = i128::from(self.nanos) + nanos;
        let days = i64::try_from(total.div_euclid(DAY_NANOS.into())).ok()?;
        Some(Self { days: self.days.checked_add(days)?, nanos: total.rem_euclid(DAY_NANOS.into()) as i64 })
    }
    pub fn total_nanos(self) -> i128 {
        i128::from(self.days) * i128::from(DAY_NANOS) + i128::from(self.nanos)
    }
}

pub(super) fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// A temporal argument by row. TIMESTAMP_LTZ is read in the zone of its type.
pub(super) struct Walls {
    values: Int64Array,
    constant: bool,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Date,
    Time(i64),
    Timestamp(i64, Zone),
}

impl Walls {
    pub fn of(call: &Call, i: usize) -> Result<Self> {
        let (array, constant) = call.arg_array(i)?;
        let kind = match array.data_type() {
            DataType::Date32 => Kind::Date,
            DataType::Time32(unit) | DataType::Time64(unit) => Kind::Time(per_second(*unit)),
            DataType::Timestamp(unit, zone) => Kind::Timestamp(per_second(*unit), zone_of(zone.as_deref())),
            other => {
                let name = call.function.to_uppercase();
                return exec_err!("{name} wants a date, time or timestamp as argument {}, got {other}", i + 1);
            }
        };
        let narrow = matches!(array.data_type(), DataType::Date32 | DataType::Time32(_));
        let layout = if narrow { cast(array, &DataType::Int32)? } else { array.clone() };
        let values = cast(&layout, &DataType::Int64)?.as_primitive::<Int64Type>().clone();
        Ok(Self { values, constant, kind })
    }

    pub fn get(&self, row: usize) -> Option<Wall> {
        let i = if self.constant { 0 } else { row };
        self.values.is_valid(i).then(|| {
            let v = self.values.value(i);
            match self.kind {
                Kind::Date => Wall { days: v, nanos: 0 },
                Kind::Time(per_second) => Wall { days: 0, nanos: v * (1_000_000_000 / per_second) },
                Kind::Timestamp(per_second, zone) => {
                    let seconds = v.div_euclid(per_second);
                    let nanos = v.rem_euclid(per_second) * (1_000_000_000 / per_second);
                    Wall::from_seconds(seconds.saturating_add(zone.offset_at(seconds)), nanos as u32)
                }
            }
        })
    }

    /// Seconds that the wall clock is ahead of UTC in this row; 0 for types without a zone.
    pub fn offset(&self, row: usize) -> i64 {
        match self.kind {
            Kind::Timestamp(per_second, zone) => {
                let i = if self.constant { 0 } else { row };
                zone.offset_at(self.values.value(i).div_euclid(per_second))
            }
            _ => 0,
        }
    }
}

pub(super) fn zone_of(zone: Option<&str>) -> Zone {
    zone.and_then(Zone::parse).unwrap_or(Zone::UTC)
}

/// Builds the call's result type from wall clocks that are already in UTC for TIMESTAMP_LTZ.
pub(super) fn collect(call: &Call, mut f: impl FnMut(usize) -> Result<Option<Wall>>) -> Result<ArrayRef> {
    let mut out = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        out.push(match f(row)? {
            None => None,
            Some(wall) => Some(stored(wall, &call.returns)?),
        });
    }
    if matches!(call.returns, DataType::Date32 | DataType::Time32(_)) {
        let narrow: Int32Array = out.into_iter().map(|v| v.map(|v| v as i32)).collect();
        return Ok(cast(&narrow, &call.returns)?);
    }
    Ok(cast(&Int64Array::from(out), &call.returns)?)
}

fn stored(wall: Wall, to: &DataType) -> Result<i64> {
    let v = match to {
        DataType::Date32 => i32::try_from(wall.days).ok().map(i64::from),
        DataType::Time32(unit) | DataType::Time64(unit) => Some(wall.nanos / (1_000_000_000 / per_second(*unit))),
        DataType::Timestamp(unit, _) => {
            let v = wall.total_nanos().div_euclid(i128::from(1_000_000_000 / per_second(*unit)));
            i64::try_from(v).ok()
        }
        other => return exec_err!("{other} is not a date, time or timestamp"),
    };
    match v {
        Some(v) => Ok(v),
        None => exec_err!("the time is out of the range of {to}"),
    }
}
