//! Lists and maps as ranges of a pool of items, and building them back from indices.

use super::definition::Call;
use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray, UInt32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Field, Fields};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion_common::{Result, exec_err, plan_err};
use std::ops::Range;
use std::sync::Arc;

pub(super) fn array_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

pub(super) fn map_of(key: DataType, value: DataType) -> DataType {
    let entry = Fields::from(vec![Field::new("key", key, false), Field::new("value", value, true)]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry), false)), false)
}

/// Key and value type.
pub(super) fn map_parts(map: &DataType) -> Result<(DataType, DataType)> {
    if let DataType::Map(entries, _) = map
        && let DataType::Struct(fields) = entries.data_type()
        && let [key, value] = fields.as_ref()
    {
        return Ok((key.data_type().clone(), value.data_type().clone()));
    }
    plan_err!("{map} is not a MAP")
}

/// An ARRAY or MAP argument: for each row a range of items.
pub(super) struct Lists {
    /// The items of an ARRAY, the entries of a MAP.
    pub items: ArrayRef,
    offsets: OffsetBuffer<i32>,
    nulls: Option<NullBuffer>,
    constant: bool,
}

impl Lists {
    pub fn of(call: &Call, i: usize) -> Result<Self> {
        let (array, constant) = call.arg_array(i)?;
        if let Some(list) = array.as_list_opt::<i32>() {
            let (items, offsets, nulls) = (list.values().clone(), list.offsets().clone(), list.nulls().cloned());
            return Ok(Self { items, offsets, nulls, constant });
        }
        if let Some(map) = array.as_map_opt() {
            let items: ArrayRef = Arc::new(map.entries().clone());
            return Ok(Self { items, offsets: map.offsets().clone(), nulls: map.nulls().cloned(), constant });
        }
        exec_err!("{} wants an ARRAY or MAP as argument {}, got {}", call.function, i + 1, array.data_type())
    }

    pub fn get(&self, row: usize) -> Option<Range<usize>> {
        let i = if self.constant { 0 } else { row };
        if self.nulls.as_ref().is_some_and(|n| n.is_null(i)) {
            return None;
        }
        Some(self.offsets[i] as usize..self.offsets[i + 1] as usize)
    }

    /// An array per row of the items that `f` chooses from `pool`; NULL where this one is.
    pub fn pick(
        &self,
        call: &Call,
        pool: &ArrayRef,
        mut f: impl FnMut(usize, Range<usize>) -> Vec<usize>,
    ) -> Result<ArrayRef> {
        pick(call, pool, |row| self.get(row).map(|range| f(row, range)))
    }

    /// Lists of these lengths over the items, in the field of `data_type`.
    pub fn build(
        data_type: &DataType,
        items: ArrayRef,
        lengths: Vec<usize>,
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef> {
        let DataType::List(field) = data_type else { return exec_err!("{data_type} is not an ARRAY") };
        Ok(Arc::new(ListArray::try_new(field.clone(), OffsetBuffer::from_lengths(lengths), items, nulls)?))
    }

    pub fn build_map(
        data_type: &DataType,
        keys: ArrayRef,
        values: ArrayRef,
        lengths: Vec<usize>,
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef> {
        let DataType::Map(field, sorted) = data_type else { return exec_err!("{data_type} is not a MAP") };
        let DataType::Struct(fields) = field.data_type() else { return exec_err!("{data_type} has no entries") };
        let entries = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
        let offsets = OffsetBuffer::from_lengths(lengths);
        Ok(Arc::new(MapArray::try_new(field.clone(), offsets, entries, nulls, *sorted)?))
    }
}

/// An array per row of the items of `pool` with the chosen indices; `None` is NULL.
pub(super) fn pick(call: &Call, pool: &ArrayRef, mut f: impl FnMut(usize) -> Option<Vec<usize>>) -> Result<ArrayRef> {
    let (mut indices, mut lengths, mut valid) = (vec![], vec![], vec![]);
    for row in 0..call.rows {
        let chosen = f(row);
        valid.push(chosen.is_some());
        let chosen = chosen.unwrap_or_default();
        lengths.push(chosen.len());
        indices.extend(chosen.into_iter().map(|i| i as u32));
    }
    let items = take(pool, &UInt32Array::from(indices), None)?;
    let nulls = if valid.contains(&false) { Some(NullBuffer::from(valid)) } else { None };
    Lists::build(&call.returns, items, lengths, nulls)
}

/// Several item columns of one type as one, with bytes that compare as the items do (NULL first).
pub(super) struct Pool {
    pub items: ArrayRef,
    rows: Rows,
    starts: Vec<usize>,
}

impl Pool {
    pub fn of(parts: &[ArrayRef]) -> Result<Self> {
        let arrays: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        let items = concat(&arrays)?;
        let converter = RowConverter::new(vec![SortField::new(items.data_type().clone())])?;
        let rows = converter.convert_columns(std::slice::from_ref(&items))?;
        let mut starts = vec![];
        let mut start = 0;
        for part in parts {
            starts.push(start);
            start += part.len();
        }
        Ok(Self { items, rows, starts })
    }

    /// The index in the pool of item `i` of the part.
    pub fn index(&self, part: usize, i: usize) -> usize {
        self.starts[part] + i
    }
    pub fn key(&self, part: usize, i: usize) -> &[u8] {
        self.at(self.index(part, i))
    }
    pub fn at(&self, index: usize) -> &[u8] {
        self.rows.row(index).data()
    }
}
