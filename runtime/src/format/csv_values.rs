//! Fields of CSV text → one Arrow column. A field that is no value of the column's type makes its row bad, not the batch.

use super::csv_records::Records;
use super::scalar;
use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, PrimitiveArray, PrimitiveBuilder, StringArray, StringBuilder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::kernels::cast_utils::{Parser, parse_decimal};
use arrow::datatypes::*;
use std::sync::Arc;

/// One field of every record.
pub(super) struct Fields<'a> {
    pub records: &'a Records,
    pub input: &'a [u8],
    pub place: usize,
    pub null_literal: Option<&'a str>,
    pub name: &'a str,
}

type BadRows = Vec<(usize, String)>;

impl<'a> Fields<'a> {
    fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (records, input, place) = (self.records, self.input, self.place);
        (0..records.rows()).map(move |row| records.field(input, row, place))
    }

    #[inline]
    fn is_null_literal(&self, field: &[u8]) -> bool {
        self.null_literal.is_some_and(|n| n.as_bytes() == field)
    }

    fn wrong(&self, field: &[u8], data_type: &DataType) -> String {
        format!(
            "column '{}': '{}' is not a value of {}",
            self.name,
            super::excerpt(field),
            scalar::type_name(data_type)
        )
    }
}

/// The column, with NULL where a row is bad.
pub(super) fn column(fields: &Fields<'_>, field: &Field, bad: &mut BadRows) -> ArrayRef {
    let before = bad.len();
    let array = values(fields, field.data_type(), bad);
    if !field.is_nullable() && array.null_count() > bad.len() - before {
        for row in 0..array.len() {
            if array.is_null(row) && bad[before..].iter().all(|(b, _)| *b != row) {
                bad.push((row, format!("column '{}' is NOT NULL", field.name())));
            }
        }
    }
    array
}

fn values(fields: &Fields<'_>, t: &DataType, bad: &mut BadRows) -> ArrayRef {
    match t {
        DataType::Boolean => booleans(fields, bad),
        DataType::Int8 => parsed::<Int8Type>(fields, t, bad),
        DataType::Int16 => parsed::<Int16Type>(fields, t, bad),
        DataType::Int32 => primitive::<Int32Type>(fields, t, bad, |f| integer(f).and_then(|v| i32::try_from(v).ok())),
        DataType::Int64 => primitive::<Int64Type>(fields, t, bad, integer),
        DataType::Float32 => parsed::<Float32Type>(fields, t, bad),
        DataType::Float64 => parsed::<Float64Type>(fields, t, bad),
        DataType::Decimal128(p, s) => {
            let (p, s) = (*p, *s);
            let parse = |f: &[u8]| parse_decimal::<Decimal128Type>(std::str::from_utf8(f).ok()?.trim(), p, s).ok();
            primitive::<Decimal128Type>(fields, t, bad, parse)
        }
        DataType::Date32 => primitive::<Date32Type>(fields, t, bad, scalar::parse_date),
        DataType::Time32(u) => match u {
            TimeUnit::Second => time::<Time32SecondType>(fields, t, *u, bad),
            _ => time::<Time32MillisecondType>(fields, t, *u, bad),
        },
        DataType::Time64(u) => match u {
            TimeUnit::Microsecond => time64::<Time64MicrosecondType>(fields, t, *u, bad),
            _ => time64::<Time64NanosecondType>(fields, t, *u, bad),
        },
        DataType::Timestamp(u, _) => match u {
            TimeUnit::Second => timestamp::<TimestampSecondType>(fields, t, *u, bad),
            TimeUnit::Millisecond => timestamp::<TimestampMillisecondType>(fields, t, *u, bad),
            TimeUnit::Microsecond => timestamp::<TimestampMicrosecondType>(fields, t, *u, bad),
            TimeUnit::Nanosecond => timestamp::<TimestampNanosecondType>(fields, t, *u, bad),
        },
        DataType::Binary => binaries(fields, t, bad),
        _ => strings(fields, t, bad),
    }
}

#[inline]
fn primitive<T: ArrowPrimitiveType>(
    fields: &Fields<'_>,
    t: &DataType,
    bad: &mut BadRows,
    parse: impl Fn(&[u8]) -> Option<T::Native>,
) -> ArrayRef {
    let mut values = PrimitiveBuilder::<T>::with_capacity(fields.records.rows());
    for (row, field) in fields.iter().enumerate() {
        if field.is_empty() || fields.is_null_literal(field) {
            values.append_null();
        } else if let Some(v) = parse(field) {
            values.append_value(v);
        } else {
            values.append_null();
            bad.push((row, fields.wrong(field, t)));
        }
    }
    let array: PrimitiveArray<T> = values.finish();
    Arc::new(array.with_data_type(t.clone()))
}

fn parsed<T: ArrowPrimitiveType + Parser>(fields: &Fields<'_>, t: &DataType, bad: &mut BadRows) -> ArrayRef {
    primitive::<T>(fields, t, bad, |f| {
        std::str::from_utf8(f).ok().and_then(|s| T::parse(s).or_else(|| T::parse(s.trim())))
    })
}

fn time<T: ArrowPrimitiveType<Native = i32>>(
    f: &Fields<'_>,
    t: &DataType,
    unit: TimeUnit,
    bad: &mut BadRows,
) -> ArrayRef {
    primitive::<T>(f, t, bad, |b| scalar::parse_time(b, unit).map(|v| v as i32))
}

fn time64<T: ArrowPrimitiveType<Native = i64>>(
    f: &Fields<'_>,
    t: &DataType,
    unit: TimeUnit,
    bad: &mut BadRows,
) -> ArrayRef {
    primitive::<T>(f, t, bad, |b| scalar::parse_time(b, unit))
}

fn timestamp<T: ArrowPrimitiveType<Native = i64>>(
    f: &Fields<'_>,
    t: &DataType,
    unit: TimeUnit,
    bad: &mut BadRows,
) -> ArrayRef {
    primitive::<T>(f, t, bad, |b| scalar::parse_timestamp(b, unit))
}

/// Decimal digits with a sign, blanks around them allowed. Up to 18 digits cannot overflow; longer text goes to `parse`.
fn integer(field: &[u8]) -> Option<i64> {
    let (negative, digits) = match field {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, field),
    };
    let mut value = 0i64;
    let mut other = digits.is_empty() || digits.len() > 18;
    if !other {
        for b in digits {
            let d = b.wrapping_sub(b'0');
            other |= d > 9;
            value = value * 10 + i64::from(d & 15);
        }
    }
    if other {
        std::str::from_utf8(field).ok()?.trim().parse().ok()
    } else {
        Some(if negative { -value } else { value })
    }
}

fn booleans(fields: &Fields<'_>, bad: &mut BadRows) -> ArrayRef {
    let mut values = BooleanBuilder::with_capacity(fields.records.rows());
    for (row, field) in fields.iter().enumerate() {
        if field.is_empty() || fields.is_null_literal(field) {
            values.append_null();
        } else if field.eq_ignore_ascii_case(b"true") {
            values.append_value(true);
        } else if field.eq_ignore_ascii_case(b"false") {
            values.append_value(false);
        } else {
            values.append_null();
            bad.push((row, fields.wrong(field, &DataType::Boolean)));
        }
    }
    Arc::new(values.finish())
}

fn binaries(fields: &Fields<'_>, t: &DataType, bad: &mut BadRows) -> ArrayRef {
    let mut values = BinaryBuilder::new();
    for (row, field) in fields.iter().enumerate() {
        if fields.is_null_literal(field) {
            values.append_null();
        } else if let Some(bytes) = scalar::parse_base64(field) {
            values.append_value(bytes);
        } else {
            values.append_null();
            bad.push((row, fields.wrong(field, t)));
        }
    }
    Arc::new(values.finish())
}

/// Copies all texts and checks them together; only a batch that fails is looked at field by field.
fn strings(fields: &Fields<'_>, t: &DataType, bad: &mut BadRows) -> ArrayRef {
    let rows = fields.records.rows();
    let mut offsets: Vec<i32> = Vec::with_capacity(rows + 1);
    let mut bytes: Vec<u8> = Vec::with_capacity(rows * 16);
    let mut valid: Vec<bool> = Vec::new();
    offsets.push(0);
    for (row, field) in fields.iter().enumerate() {
        if fields.is_null_literal(field) {
            valid.resize(row, true);
            valid.push(false);
        } else {
            bytes.extend_from_slice(field);
        }
        offsets.push(bytes.len() as i32);
    }
    let nulls = (!valid.is_empty()).then(|| {
        valid.resize(rows, true);
        NullBuffer::from(valid)
    });
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    match StringArray::try_new(offsets, bytes.into(), nulls) {
        Ok(array) => Arc::new(array),
        Err(_) => strings_one_by_one(fields, t, bad),
    }
}

fn strings_one_by_one(fields: &Fields<'_>, t: &DataType, bad: &mut BadRows) -> ArrayRef {
    let mut values = StringBuilder::new();
    for (row, field) in fields.iter().enumerate() {
        match std::str::from_utf8(field) {
            _ if fields.is_null_literal(field) => values.append_null(),
            Ok(s) => values.append_value(s),
            Err(_) => {
                values.append_null();
                bad.push((row, format!("{}: not valid UTF-8", fields.wrong(field, t))));
            }
        }
    }
    Arc::new(values.finish())
}
