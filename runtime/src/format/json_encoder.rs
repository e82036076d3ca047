//! Rows → JSON, one object per line; and the cells of a column as text, which CSV shares.

use super::Encoder;
use super::json::JsonOptions;
use super::scalar::{self, TimestampStyle};
use arrow::array::*;
use arrow::datatypes::*;
use arrow_schema::SchemaRef;

pub(super) struct JsonEncoder {
    options: JsonOptions,
    /// `"name":` of each column.
    keys: Vec<Vec<u8>>,
}

impl JsonEncoder {
    pub(super) fn new(options: &JsonOptions, columns: &SchemaRef) -> Self {
        Self { options: options.clone(), keys: columns.fields().iter().map(|f| key(f.name())).collect() }
    }
}

fn key(name: &str) -> Vec<u8> {
    let mut out = vec![];
    push_string(name, &mut out);
    out.push(b':');
    out
}

impl Encoder for JsonEncoder {
    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) {
        let cells: Vec<Cells<'_>> = rows.columns().iter().map(|c| Cells::new(c, self.options.timestamps)).collect();
        for row in 0..rows.num_rows() {
            out.push(b'{');
            let mut first = true;
            for (column, key) in cells.iter().zip(&self.keys) {
                if self.options.omit_nulls && column.is_null(row) {
                    continue;
                }
                if !first {
                    out.push(b',');
                }
                first = false;
                out.extend_from_slice(key);
                column.write_json(row, out);
            }
            out.extend_from_slice(b"}\n");
        }
    }
}

/// A column, downcast once per batch.
pub(super) struct Cells<'a> {
    array: &'a dyn Array,
    kind: Kind<'a>,
    style: TimestampStyle,
}

enum Kind<'a> {
    Boolean(&'a BooleanArray),
    Int8(&'a [i8]),
    Int16(&'a [i16]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    Float32(&'a [f32]),
    Float64(&'a [f64]),
    Decimal(&'a [i128], i8),
    Date(&'a [i32]),
    Time32(&'a [i32], TimeUnit),
    Time64(&'a [i64], TimeUnit),
    Timestamp(&'a [i64], TimeUnit, bool),
    Text(&'a StringArray),
    Binary(&'a BinaryArray),
    Struct(Vec<(Vec<u8>, Cells<'a>)>),
    List(&'a ListArray, Box<Cells<'a>>),
    Map(&'a MapArray, &'a StringArray, Box<Cells<'a>>),
    /// No text form; tables with such columns are refused before.
    Unknown,
}

impl<'a> Cells<'a> {
    pub(super) fn new(array: &'a ArrayRef, style: TimestampStyle) -> Self {
        let a: &'a dyn Array = array.as_ref();
        let kind = match a.data_type() {
            DataType::Boolean => Kind::Boolean(a.as_boolean()),
            DataType::Int8 => Kind::Int8(a.as_primitive::<Int8Type>().values()),
            DataType::Int16 => Kind::Int16(a.as_primitive::<Int16Type>().values()),
            DataType::Int32 => Kind::Int32(a.as_primitive::<Int32Type>().values()),
            DataType::Int64 => Kind::Int64(a.as_primitive::<Int64Type>().values()),
            DataType::Float32 => Kind::Float32(a.as_primitive::<Float32Type>().values()),
            DataType::Float64 => Kind::Float64(a.as_primitive::<Float64Type>().values()),
            DataType::Decimal128(_, s) => Kind::Decimal(a.as_primitive::<Decimal128Type>().values(), *s),
            DataType::Date32 => Kind::Date(a.as_primitive::<Date32Type>().values()),
            DataType::Time32(u) => Kind::Time32(time32_values(a, *u), *u),
            DataType::Time64(u) => Kind::Time64(time64_values(a, *u), *u),
            DataType::Timestamp(u, tz) => Kind::Timestamp(timestamp_values(a, *u), *u, tz.is_some()),
            DataType::Utf8 => Kind::Text(a.as_string()),
            DataType::Binary => Kind::Binary(a.as_binary()),
            DataType::Struct(fields) => {
                let columns = a.as_struct().columns();
                Kind::Struct(fields.iter().zip(columns).map(|(f, c)| (key(f.name()), Self::new(c, style))).collect())
            }
            DataType::List(_) => {
                let list = a.as_list::<i32>();
                Kind::List(list, Box::new(Self::new(list.values(), style)))
            }
            DataType::Map(..) if a.as_map().keys().data_type() == &DataType::Utf8 => {
                let map = a.as_map();
                Kind::Map(map, map.keys().as_string(), Box::new(Self::new(map.values(), style)))
            }
            _ => Kind::Unknown,
        };
        Self { array: a, kind, style }
    }

    #[inline]
    pub(super) fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    /// The text of a STRING.
    #[inline]
    pub(super) fn text(&self, row: usize) -> Option<&'a str> {
        match &self.kind {
            Kind::Text(a) => Some(a.value(row)),
            _ => None,
        }
    }

    /// The text of a scalar that is not NULL, without quotes.
    pub(super) fn write(&self, row: usize, out: &mut Vec<u8>) {
        match &self.kind {
            Kind::Boolean(a) => out.extend_from_slice(if a.value(row) { b"true" } else { b"false" }),
            Kind::Int8(v) => scalar::push_int(v[row].into(), out),
            Kind::Int16(v) => scalar::push_int(v[row].into(), out),
            Kind::Int32(v) => scalar::push_int(v[row].into(), out),
            Kind::Int64(v) => scalar::push_int(v[row], out),
            Kind::Float32(v) => scalar::push_f32(v[row], out),
            Kind::Float64(v) => scalar::push_f64(v[row], out),
            Kind::Decimal(v, s) => scalar::push_decimal(v[row], *s, out),
            Kind::Date(v) => scalar::push_date(v[row].into(), out),
            Kind::Time32(v, u) => scalar::push_time(v[row].into(), *u, out),
            Kind::Time64(v, u) => scalar::push_time(v[row], *u, out),
            Kind::Timestamp(v, u, zoned) => scalar::push_timestamp(v[row], *u, *zoned, self.style, out),
            Kind::Text(a) => out.extend_from_slice(a.value(row).as_bytes()),
            Kind::Binary(a) => scalar::push_base64(a.value(row), out),
            Kind::Struct(_) | Kind::List(..) | Kind::Map(..) => self.write_json(row, out),
            Kind::Unknown => {}
        }
    }

    pub(super) fn write_json(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return;
        }
        match &self.kind {
            Kind::Text(a) => push_string(a.value(row), out),
            // JSON has no NaN and no infinity; as texts they read back.
            Kind::Float32(v) if !v[row].is_finite() => self.write_quoted(row, out),
            Kind::Float64(v) if !v[row].is_finite() => self.write_quoted(row, out),
            Kind::Date(_) | Kind::Time32(..) | Kind::Time64(..) | Kind::Timestamp(..) | Kind::Binary(_) => {
                self.write_quoted(row, out);
            }
            Kind::Struct(fields) => {
                out.push(b'{');
                for (i, (key, cells)) in fields.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(key);
                    cells.write_json(row, out);
                }
                out.push(b'}');
            }
            Kind::List(list, items) => {
                let offsets = list.value_offsets();
                out.push(b'[');
                for item in offsets[row]..offsets[row + 1] {
                    if item > offsets[row] {
                        out.push(b',');
                    }
                    items.write_json(item as usize, out);
                }
                out.push(b']');
            }
            Kind::Map(map, keys, values) => {
                let offsets = map.value_offsets();
                out.push(b'{');
                for entry in offsets[row]..offsets[row + 1] {
                    if entry > offsets[row] {
                        out.push(b',');
                    }
                    push_string(keys.value(entry as usize), out);
                    out.push(b':');
                    values.write_json(entry as usize, out);
                }
                out.push(b'}');
            }
            Kind::Unknown => out.extend_from_slice(b"null"),
            _ => self.write(row, out),
        }
    }

    fn write_quoted(&self, row: usize, out: &mut Vec<u8>) {
        out.push(b'"');
        self.write(row, out);
        out.push(b'"');
    }
}

fn time32_values(a: &dyn Array, unit: TimeUnit) -> &[i32] {
    match unit {
        TimeUnit::Second => a.as_primitive::<Time32SecondType>().values(),
        _ => a.as_primitive::<Time32MillisecondType>().values(),
    }
}

fn time64_values(a: &dyn Array, unit: TimeUnit) -> &[i64] {
    match unit {
        TimeUnit::Microsecond => a.as_primitive::<Time64MicrosecondType>().values(),
        _ => a.as_primitive::<Time64NanosecondType>().values(),
    }
}

fn timestamp_values(a: &dyn Array, unit: TimeUnit) -> &[i64] {
    match unit {
        TimeUnit::Second => a.as_primitive::<TimestampSecondType>().values(),
        TimeUnit::Millisecond => a.as_primitive::<TimestampMillisecondType>().values(),
        TimeUnit::Microsecond => a.as_primitive::<TimestampMicrosecondType>().values(),
        TimeUnit::Nanosecond => a.as_primitive::<TimestampNanosecondType>().values(),
    }
}

/// RFC 8259: quote, backslash and control characters are escaped, the rest is UTF-8 as it is.
fn push_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut from = 0;
    for (i, &b) in bytes.iter().enumerate() {
        if b >= 0x20 && b != b'"' && b != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[from..i]);
        from = i + 1;
        match b {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[(b >> 4) as usize]);
                out.push(HEX[(b & 15) as usize]);
            }
        }
    }
    out.extend_from_slice(&bytes[from..]);
    out.push(b'"');
}
