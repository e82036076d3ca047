//! Columns to rows: lengths first, then column by column into place.

use super::{Kind, RowBuffer, RowCodec, put_varint, varint_len};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::DataType;
use sluice_core::hash::Canonical;

/// A column whose values can be written one by one without looking at its type again.
struct Column<'a> {
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

enum Values<'a> {
    Null,
    Boolean(&'a BooleanBuffer),
    Fixed(Buffer, usize),
    Float32(&'a [f32]),
    Float64(&'a [f64]),
    Small(&'a [i32], &'a [u8]),
    Large(&'a [i64], &'a [u8]),
    View(arrow::array::BinaryViewArray),
    List(Vec<usize>, Box<Column<'a>>),
    Struct(Vec<Column<'a>>),
    Map(&'a [i32], Box<Column<'a>>, Box<Column<'a>>),
}

impl<'a> Column<'a> {
    /// The array has the type that `kind` was made of.
    fn new(kind: &Kind, array: &'a dyn Array) -> Self {
        let values = match kind {
            Kind::Null => Values::Null,
            Kind::Boolean => Values::Boolean(array.as_boolean().values()),
            Kind::Fixed(w) => {
                let data = array.to_data();
                Values::Fixed(data.buffers()[0].slice(data.offset() * w), *w)
            }
            Kind::Float32 => Values::Float32(array.as_primitive::<arrow::datatypes::Float32Type>().values()),
            Kind::Float64 => Values::Float64(array.as_primitive::<arrow::datatypes::Float64Type>().values()),
            Kind::Bytes => Self::bytes(array),
            Kind::List(item) => Self::list(item, array),
            Kind::Struct(kinds) => Values::Struct(
                kinds.iter().zip(array.as_struct().columns()).map(|(k, c)| Self::new(k, c.as_ref())).collect(),
            ),
            Kind::Map(k, v) => {
                let map = array.as_map();
                let (keys, vals) = (Self::new(k, map.keys().as_ref()), Self::new(v, map.values().as_ref()));
                Values::Map(map.value_offsets(), Box::new(keys), Box::new(vals))
            }
        };
        Self { nulls: array.nulls().filter(|n| n.null_count() > 0), values }
    }

    fn bytes(array: &'a dyn Array) -> Values<'a> {
        match array.data_type() {
            DataType::Utf8 => {
                Values::Small(array.as_string::<i32>().value_offsets(), array.as_string::<i32>().value_data())
            }
            DataType::LargeUtf8 => {
                Values::Large(array.as_string::<i64>().value_offsets(), array.as_string::<i64>().value_data())
            }
            DataType::Binary => {
                Values::Small(array.as_binary::<i32>().value_offsets(), array.as_binary::<i32>().value_data())
            }
            DataType::LargeBinary => {
                Values::Large(array.as_binary::<i64>().value_offsets(), array.as_binary::<i64>().value_data())
            }
            DataType::Utf8View => Values::View(array.as_string_view().clone().to_binary_view()),
            _ => Values::View(array.as_binary_view().clone()),
        }
    }

    fn list(item: &Kind, array: &'a dyn Array) -> Values<'a> {
        if matches!(array.data_type(), DataType::LargeList(_)) {
            let l = array.as_list::<i64>();
            let offsets = l.value_offsets().iter().map(|o| *o as usize).collect();
            return Values::List(offsets, Box::new(Self::new(item, l.values().as_ref())));
        }
        let l = array.as_list::<i32>();
        let offsets = l.value_offsets().iter().map(|o| *o as usize).collect();
        Values::List(offsets, Box::new(Self::new(item, l.values().as_ref())))
    }

    #[inline]
    fn is_null(&self, i: usize) -> bool {
        matches!(self.values, Values::Null) || self.nulls.is_some_and(|n| n.is_null(i))
    }

    /// The text or binary value `i`, if this is such a column.
    #[inline]
    fn text(&self, i: usize) -> Option<&[u8]> {
        match &self.values {
            Values::Small(o, b) => Some(&b[o[i] as usize..o[i + 1] as usize]),
            Values::Large(o, b) => Some(&b[o[i] as usize..o[i + 1] as usize]),
            Values::View(a) => Some(a.value(i)),
            _ => None,
        }
    }

    /// Appends value `i`, which is not NULL.
    fn put(&self, i: usize, out: &mut Vec<u8>) {
        match &self.values {
            Values::Null => {}
            Values::Boolean(b) => out.push(u8::from(b.value(i))),
            Values::Fixed(b, w) => out.extend_from_slice(&b[i * w..(i + 1) * w]),
            Values::Float32(v) => out.extend_from_slice(&canonical_f32(v[i])),
            Values::Float64(v) => out.extend_from_slice(&Canonical::float(v[i]).to_le_bytes()),
            Values::Small(..) | Values::Large(..) | Values::View(_) => {
                let b = self.text(i).unwrap_or_default();
                put_varint(b.len() as u32, out);
                out.extend_from_slice(b);
            }
            Values::List(offsets, item) => {
                put_varint((offsets[i + 1] - offsets[i]) as u32, out);
                (offsets[i]..offsets[i + 1]).for_each(|j| item.put_item(j, out));
            }
            Values::Struct(fields) => fields.iter().for_each(|f| f.put_item(i, out)),
            Values::Map(offsets, keys, values) => {
                put_map(offsets[i] as usize..offsets[i + 1] as usize, keys, values, out);
            }
        }
    }

    fn put_item(&self, i: usize, out: &mut Vec<u8>) {
        if self.is_null(i) {
            out.push(0);
        } else {
            out.push(1);
            self.put(i, out);
        }
    }
}

/// Entries in the order of their encoded keys: two equal maps may hold them in different orders.
fn put_map(range: std::ops::Range<usize>, keys: &Column<'_>, values: &Column<'_>, out: &mut Vec<u8>) {
    put_varint(range.len() as u32, out);
    let mut entries: Vec<(Vec<u8>, usize)> = range
        .map(|j| {
            let mut k = Vec::new();
            keys.put_item(j, &mut k);
            (k, j)
        })
        .collect();
    entries.sort();
    for (k, j) in entries {
        out.extend_from_slice(&k);
        values.put_item(j, out);
    }
}

#[inline]
fn canonical_f32(v: f32) -> [u8; 4] {
    let bits = if v.is_nan() { f32::NAN.to_bits() & 0x7FFF_FFFF } else { (v + 0.0).to_bits() };
    bits.to_le_bytes()
}

pub(super) fn encode(codec: &RowCodec, columns: &[ArrayRef], rows: usize, out: &mut RowBuffer) {
    debug_assert_eq!(columns.len(), codec.kinds.len());
    let columns: Vec<Column<'_>> = codec.kinds.iter().zip(columns).map(|(k, c)| Column::new(k, c.as_ref())).collect();
    let nested = encode_nested(codec, &columns, rows);
    lay_out(codec, &columns, &nested, rows, out);
    let mut ends: Vec<u32> = Vec::new();
    if codec.fixed_width().is_none() {
        ends.extend(out.offsets[..rows].iter().map(|o| o + codec.head as u32));
    }
    for (c, column) in columns.iter().enumerate() {
        put_nulls(column, c, &out.offsets, &mut out.bytes);
        match (&nested[c], codec.kinds[c].width()) {
            (_, Some(_)) => put_fixed(column, codec.fixed_at[c], &out.offsets, &mut out.bytes),
            (Some(values), None) => put_encoded(values, &mut ends, &mut out.bytes),
            (None, None) => put_text(column, rows, &mut ends, &mut out.bytes),
        }
    }
}

/// Lists, structs and maps are written aside first, because their lengths are known only then.
fn encode_nested(codec: &RowCodec, columns: &[Column<'_>], rows: usize) -> Vec<Option<RowBuffer>> {
    let nested = |k: &Kind| matches!(k, Kind::List(_) | Kind::Struct(_) | Kind::Map(..));
    let one = |c: &Column<'_>| {
        let mut b = RowBuffer::default();
        for i in 0..rows {
            b.push_with(|out| {
                if !c.is_null(i) {
                    c.put(i, out);
                }
            });
        }
        b
    };
    codec.kinds.iter().zip(columns).map(|(k, c)| nested(k).then(|| one(c))).collect()
}

/// Sets the offsets, and zeros as many bytes as the rows need.
fn lay_out(codec: &RowCodec, columns: &[Column<'_>], nested: &[Option<RowBuffer>], rows: usize, out: &mut RowBuffer) {
    out.clear();
    let mut at = 0u32;
    out.offsets.reserve(rows + 1);
    out.offsets.push(0);
    if codec.fixed_width().is_some() {
        out.offsets.extend((1..=rows).map(|i| (i * codec.head) as u32));
        out.bytes.resize(rows * codec.head, 0);
        return;
    }
    // Lengths in place of the ends, then a running sum.
    out.offsets.resize(rows + 1, codec.head as u32);
    for (c, column) in columns.iter().enumerate() {
        if let Some(b) = &nested[c] {
            (0..rows).for_each(|i| out.offsets[i + 1] += b.offsets[i + 1] - b.offsets[i]);
        } else if codec.kinds[c].width().is_none() {
            for i in (0..rows).filter(|i| !column.is_null(*i)) {
                let n = column.text(i).unwrap_or_default().len();
                out.offsets[i + 1] += (varint_len(n as u32) + n) as u32;
            }
        }
    }
    out.offsets[0] = 0;
    for o in &mut out.offsets {
        at += *o;
        *o = at;
    }
    out.bytes.resize(at as usize, 0);
}

fn put_nulls(column: &Column<'_>, c: usize, offsets: &[u32], bytes: &mut [u8]) {
    if column.nulls.is_none() && !matches!(column.values, Values::Null) {
        return;
    }
    for (i, o) in offsets[..offsets.len() - 1].iter().enumerate() {
        bytes[*o as usize + c / 8] |= u8::from(column.is_null(i)) << (c % 8);
    }
}

fn put_fixed(column: &Column<'_>, at: usize, offsets: &[u32], bytes: &mut [u8]) {
    let starts = &offsets[..offsets.len() - 1];
    match &column.values {
        Values::Fixed(b, 8) => scatter::<8>(column, starts, at, bytes, |i| array_at(b, i)),
        Values::Fixed(b, 4) => scatter::<4>(column, starts, at, bytes, |i| array_at(b, i)),
        Values::Fixed(b, 16) => scatter::<16>(column, starts, at, bytes, |i| array_at(b, i)),
        Values::Fixed(b, w) => {
            for (i, o) in starts.iter().enumerate().filter(|(i, _)| !column.is_null(*i)) {
                bytes[*o as usize + at..][..*w].copy_from_slice(&b[i * w..(i + 1) * w]);
            }
        }
        Values::Boolean(b) => scatter::<1>(column, starts, at, bytes, |i| [u8::from(b.value(i))]),
        Values::Float32(v) => scatter::<4>(column, starts, at, bytes, |i| canonical_f32(v[i])),
        Values::Float64(v) => scatter::<8>(column, starts, at, bytes, |i| Canonical::float(v[i]).to_le_bytes()),
        _ => {}
    }
}

#[inline]
fn array_at<const N: usize>(b: &[u8], i: usize) -> [u8; N] {
    b[i * N..(i + 1) * N].try_into().expect("the slice has N bytes")
}

fn scatter<const N: usize>(
    column: &Column<'_>,
    starts: &[u32],
    at: usize,
    bytes: &mut [u8],
    value: impl Fn(usize) -> [u8; N],
) {
    for (i, o) in starts.iter().enumerate() {
        if column.nulls.is_none_or(|n| n.is_valid(i)) {
            bytes[*o as usize + at..][..N].copy_from_slice(&value(i));
        }
    }
}

fn put_encoded(values: &RowBuffer, ends: &mut [u32], bytes: &mut [u8]) {
    for (i, end) in ends.iter_mut().enumerate() {
        let v = values.row(i);
        bytes[*end as usize..][..v.len()].copy_from_slice(v);
        *end += v.len() as u32;
    }
}

fn put_text(column: &Column<'_>, rows: usize, ends: &mut [u32], bytes: &mut [u8]) {
    for i in (0..rows).filter(|i| !column.is_null(*i)) {
        let v = column.text(i).unwrap_or_default();
        let mut at = ends[i] as usize;
        let mut n = v.len() as u32;
        while n >= 0x80 {
            bytes[at] = n as u8 | 0x80;
            n >>= 7;
            at += 1;
        }
        bytes[at] = n as u8;
        bytes[at + 1..][..v.len()].copy_from_slice(v);
        ends[i] = (at + 1 + v.len()) as u32;
    }
}
