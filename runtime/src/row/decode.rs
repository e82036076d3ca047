//! Rows to columns. The bytes may come from a damaged object: every length is checked against what is there before memory is
//! taken for it, and Arrow's own validation sees every array.

use super::{Kind, RowCodec, RowError};
use arrow::array::{ArrayData, ArrayRef, BooleanBufferBuilder, make_array};
use arrow::array::{MapArray, StructArray};
use arrow::buffer::{MutableBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, FieldRef};

/// Collects the values of one column.
struct Builder {
    data_type: DataType,
    valid: BooleanBufferBuilder,
    values: Values,
}

enum Values {
    Null,
    Boolean(BooleanBufferBuilder),
    Fixed(MutableBuffer, usize),
    Bytes { offsets: Vec<usize>, bytes: Vec<u8> },
    List { offsets: Vec<usize>, item: Box<Builder> },
    Struct(Vec<Builder>),
    Map { offsets: Vec<usize>, key: Box<Builder>, value: Box<Builder> },
}

const SHORT: RowError = RowError::Damaged("it ends too early");

fn take<'a>(row: &mut &'a [u8], n: usize) -> Result<&'a [u8], RowError> {
    let (head, rest) = row.split_at_checked(n).ok_or(SHORT)?;
    *row = rest;
    Ok(head)
}

fn take_varint(row: &mut &[u8]) -> Result<usize, RowError> {
    let mut v = 0u64;
    for shift in (0..35).step_by(7) {
        let b = take(row, 1)?[0];
        v |= u64::from(b & 0x7F) << shift;
        if b < 0x80 {
            return u32::try_from(v).map(|v| v as usize).map_err(|_| RowError::Damaged("a length is too large"));
        }
    }
    Err(RowError::Damaged("a length is too large"))
}

impl Builder {
    fn new(data_type: &DataType, kind: &Kind, rows: usize) -> Self {
        let child = |f: &FieldRef, k: &Kind| Self::new(f.data_type(), k, 0);
        let values = match (kind, data_type) {
            (Kind::Null, _) => Values::Null,
            (Kind::Boolean, _) => Values::Boolean(BooleanBufferBuilder::new(rows)),
            (Kind::Fixed(_) | Kind::Float32 | Kind::Float64, _) => {
                let w = kind.width().unwrap_or(0);
                Values::Fixed(MutableBuffer::new(rows * w), w)
            }
            (Kind::List(k), DataType::List(f) | DataType::LargeList(f)) => {
                Values::List { offsets: vec![0], item: Box::new(child(f, k)) }
            }
            (Kind::Struct(ks), DataType::Struct(fs)) => {
                Values::Struct(fs.iter().zip(ks).map(|(f, k)| child(f, k)).collect())
            }
            (Kind::Map(k, v), DataType::Map(entries, _)) => match entries.data_type() {
                DataType::Struct(f) => {
                    Values::Map { offsets: vec![0], key: Box::new(child(&f[0], k)), value: Box::new(child(&f[1], v)) }
                }
                _ => Values::Null,
            },
            // A list, struct or map kind is only made of its own type: what is left is text and binary.
            _ => Values::Bytes { offsets: vec![0], bytes: Vec::new() },
        };
        Self { data_type: data_type.clone(), valid: BooleanBufferBuilder::new(rows), values }
    }

    fn push_null(&mut self) {
        self.valid.append(false);
        self.push_default();
    }

    /// The place of a NULL in the arrays below.
    fn push_default(&mut self) {
        match &mut self.values {
            Values::Null => {}
            Values::Boolean(b) => b.append(false),
            Values::Fixed(b, w) => b.extend_zeros(*w),
            Values::Bytes { offsets, bytes } => offsets.push(bytes.len()),
            Values::List { offsets, item } => offsets.push(item.valid.len()),
            Values::Struct(fields) => fields.iter_mut().for_each(Self::push_null),
            Values::Map { offsets, key, .. } => offsets.push(key.valid.len()),
        }
    }

    /// Reads one value (not NULL) from the front of `row`.
    fn push(&mut self, row: &mut &[u8]) -> Result<(), RowError> {
        self.valid.append(true);
        match &mut self.values {
            Values::Null => {}
            Values::Boolean(b) => b.append(match take(row, 1)?[0] {
                0 => false,
                1 => true,
                _ => return Err(RowError::Damaged("a boolean is neither 0 nor 1")),
            }),
            Values::Fixed(b, w) => b.extend_from_slice(take(row, *w)?),
            Values::Bytes { offsets, bytes } => {
                let n = take_varint(row)?;
                bytes.extend_from_slice(take(row, n)?);
                offsets.push(bytes.len());
            }
            Values::List { offsets, item } => {
                for _ in 0..take_varint(row)? {
                    item.push_item(row)?;
                }
                offsets.push(item.valid.len());
            }
            Values::Struct(fields) => {
                for f in fields {
                    f.push_item(row)?;
                }
            }
            Values::Map { offsets, key, value } => {
                for _ in 0..take_varint(row)? {
                    key.push_item(row)?;
                    value.push_item(row)?;
                }
                offsets.push(key.valid.len());
            }
        }
        Ok(())
    }

    fn push_item(&mut self, row: &mut &[u8]) -> Result<(), RowError> {
        match take(row, 1)?[0] {
            0 => {
                self.push_null();
                Ok(())
            }
            1 => self.push(row),
            _ => Err(RowError::Damaged("a null flag is neither 0 nor 1")),
        }
    }

    fn finish(mut self) -> Result<ArrayRef, RowError> {
        let rows = self.valid.len();
        let nulls = Some(NullBuffer::new(self.valid.finish())).filter(|n| n.null_count() > 0);
        let flat = |buffers: Vec<arrow::buffer::Buffer>, nulls: Option<NullBuffer>| {
            let mut b = ArrayData::builder(self.data_type.clone()).len(rows).nulls(nulls).align_buffers(true);
            b = b.buffers(buffers);
            b.build().map(make_array).map_err(RowError::Mismatch)
        };
        match self.values {
            Values::Null => flat(vec![], None),
            Values::Boolean(mut b) => flat(vec![b.finish().into_inner()], nulls),
            Values::Fixed(b, _) => flat(vec![b.into()], nulls),
            Values::Bytes { offsets, bytes } => finish_bytes(&self.data_type, rows, &offsets, bytes, nulls),
            Values::List { offsets, item } => {
                let (wide, item) = (matches!(self.data_type, DataType::LargeList(_)), item.finish()?);
                let data = ArrayData::builder(self.data_type).len(rows).nulls(nulls).add_child_data(item.to_data());
                let data =
                    if wide { data.add_buffer(wide_offsets(&offsets)) } else { data.add_buffer(narrow(&offsets)?) };
                data.build().map(make_array).map_err(RowError::Mismatch)
            }
            Values::Struct(fields) => {
                let DataType::Struct(types) = self.data_type else { return Err(RowError::Damaged("not a struct")) };
                let columns = fields.into_iter().map(Self::finish).collect::<Result<Vec<_>, _>>()?;
                let array =
                    StructArray::try_new_with_length(types, columns, nulls, rows).map_err(RowError::Mismatch)?;
                Ok(std::sync::Arc::new(array))
            }
            Values::Map { offsets, key, value } => finish_map(self.data_type, &offsets, *key, *value, nulls),
        }
    }
}

fn finish_map(
    data_type: DataType,
    offsets: &[usize],
    key: Builder,
    value: Builder,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, RowError> {
    let DataType::Map(entries, sorted) = data_type else { return Err(RowError::Damaged("not a map")) };
    let DataType::Struct(kv) = entries.data_type().clone() else { return Err(RowError::Damaged("not a map")) };
    let pairs = StructArray::try_new(kv, vec![key.finish()?, value.finish()?], None).map_err(RowError::Mismatch)?;
    let offsets = OffsetBuffer::new(ScalarBuffer::new(narrow(offsets)?, 0, offsets.len()));
    let map = MapArray::try_new(entries, offsets, pairs, nulls, sorted).map_err(RowError::Mismatch)?;
    Ok(std::sync::Arc::new(map))
}

/// 32-bit offsets, if the values are that few.
fn narrow(offsets: &[usize]) -> Result<arrow::buffer::Buffer, RowError> {
    if offsets.last().is_some_and(|o| i32::try_from(*o).is_err()) {
        return Err(RowError::Damaged("a column has more than 2 GiB"));
    }
    Ok(offsets.iter().map(|o| *o as i32).collect::<Vec<_>>().into())
}

fn wide_offsets(offsets: &[usize]) -> arrow::buffer::Buffer {
    offsets.iter().map(|o| *o as i64).collect::<Vec<_>>().into()
}

fn finish_bytes(
    data_type: &DataType,
    rows: usize,
    offsets: &[usize],
    bytes: Vec<u8>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, RowError> {
    let (flat, wide) = match data_type {
        DataType::Utf8View => (DataType::Utf8, false),
        DataType::BinaryView => (DataType::Binary, false),
        t => (t.clone(), matches!(t, DataType::LargeUtf8 | DataType::LargeBinary)),
    };
    let offsets = if wide { wide_offsets(offsets) } else { narrow(offsets)? };
    let data = ArrayData::builder(flat).len(rows).nulls(nulls).add_buffer(offsets).add_buffer(bytes.into());
    let array = data.build().map(make_array).map_err(RowError::Mismatch)?;
    if array.data_type() == data_type {
        return Ok(array);
    }
    arrow::compute::cast(&array, data_type).map_err(RowError::Mismatch)
}

pub(super) fn decode(codec: &RowCodec, rows: &[&[u8]]) -> Result<Vec<ArrayRef>, RowError> {
    if rows.iter().any(|r| r.len() < codec.head) {
        return Err(SHORT);
    }
    let mut rests: Vec<&[u8]> = rows.iter().map(|r| &r[codec.head..]).collect();
    let mut columns = Vec::with_capacity(codec.kinds.len());
    for (c, (kind, data_type)) in codec.kinds.iter().zip(&codec.types).enumerate() {
        let is_null = |row: &[u8]| row[c / 8] >> (c % 8) & 1 == 1;
        let mut b = Builder::new(data_type, kind, rows.len());
        if let Values::Fixed(buffer, w) = &mut b.values {
            // NULLs are zeros in the row already.
            for row in rows {
                b.valid.append(!is_null(row));
                buffer.extend_from_slice(&row[codec.fixed_at[c]..codec.fixed_at[c] + *w]);
            }
        } else {
            let fixed = kind.width().is_some();
            for (row, rest) in rows.iter().zip(&mut rests) {
                if is_null(row) {
                    b.push_null();
                } else if fixed {
                    b.push(&mut &row[codec.fixed_at[c]..])?;
                } else {
                    b.push(rest)?;
                }
            }
        }
        columns.push(b.finish()?);
    }
    if rests.iter().any(|r| !r.is_empty()) {
        return Err(RowError::Damaged("it is too long"));
    }
    Ok(columns)
}
