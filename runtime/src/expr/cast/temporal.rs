//! Dates, times and timestamps to each other. A TIMESTAMP is a wall clock, a TIMESTAMP_LTZ an instant that has one in the
//! zone of its type.

use crate::expr::arithmetic::units_per_second;
use crate::expr::display::temporal_value;
use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type};
use sluice_sql::functions::zone::Zone;

const DAY_NANOS: i128 = 86_400_000_000_000;

/// Nanoseconds on the wall since 1970-01-01 00:00, between the types. Between two zones the instant stays.
pub(super) fn convert(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, String> {
    if let (DataType::Timestamp(a, Some(_)), DataType::Timestamp(b, Some(_))) = (array.data_type(), to) {
        let utc = |unit| DataType::Timestamp(unit, None);
        let plain = arrow::array::make_array(
            array.to_data().into_builder().data_type(utc(*a)).build().map_err(|e| e.to_string())?,
        );
        let scaled = if a == b { plain } else { convert(&plain, &utc(*b))? };
        let zoned = scaled.to_data().into_builder().data_type(to.clone()).build().map_err(|e| e.to_string())?;
        return Ok(arrow::array::make_array(zoned));
    }
    let mut out: Vec<Option<i64>> = Vec::with_capacity(array.len());
    for row in 0..array.len() {
        if array.is_null(row) {
            out.push(None);
            continue;
        }
        let wall = wall_nanos(array, row);
        out.push(Some(from_wall(wall, to).ok_or("the time is out of the range of the type")?));
    }
    if matches!(to, DataType::Date32 | DataType::Time32(_)) {
        let small: Int32Array = out.into_iter().map(|v| v.map(|v| v as i32)).collect();
        return cast(&small, to).map_err(|e| e.to_string());
    }
    cast(&Int64Array::from(out), to).map_err(|e| e.to_string())
}

fn wall_nanos(array: &ArrayRef, row: usize) -> i128 {
    match array.data_type() {
        DataType::Date32 => i128::from(array.as_primitive::<Date32Type>().value(row)) * DAY_NANOS,
        DataType::Time32(unit) | DataType::Time64(unit) => {
            i128::from(temporal_value(array, row)) * i128::from(1_000_000_000 / units_per_second(*unit))
        }
        DataType::Timestamp(unit, zone) => {
            let per_second = units_per_second(*unit);
            let v = temporal_value(array, row);
            let offset =
                zone.as_deref().map_or(0, |z| Zone::parse(z).unwrap_or(Zone::UTC).offset_at(v.div_euclid(per_second)));
            i128::from(v) * i128::from(1_000_000_000 / per_second) + i128::from(offset) * 1_000_000_000
        }
        _ => 0,
    }
}

fn from_wall(wall: i128, to: &DataType) -> Option<i64> {
    let v = match to {
        DataType::Date32 => wall.div_euclid(DAY_NANOS),
        DataType::Time32(unit) | DataType::Time64(unit) => {
            wall.rem_euclid(DAY_NANOS) / i128::from(1_000_000_000 / units_per_second(*unit))
        }
        DataType::Timestamp(unit, zone) => {
            let per_second = i128::from(units_per_second(*unit));
            let seconds = wall.div_euclid(1_000_000_000);
            let utc = match zone.as_deref() {
                Some(z) => i128::from(Zone::parse(z).unwrap_or(Zone::UTC).to_utc(i64::try_from(seconds).ok()?)),
                None => seconds,
            };
            utc * per_second + wall.rem_euclid(1_000_000_000) / (1_000_000_000 / per_second)
        }
        _ => return None,
    };
    i64::try_from(v).ok()
}
