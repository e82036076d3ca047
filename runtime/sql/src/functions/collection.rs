//! ARRAY, MAP and ROW: constructors, access, and what can be asked of them. Indices are 1-based; what is not there is NULL.

use super::definition::{Call, Function, Param, Returns};
use super::nested::{Lists, Pool, array_of, map_of, map_parts};
use super::types::common_type;
use arrow::array::{Array, ArrayRef, AsArray, StructArray, new_null_array};
use arrow::buffer::NullBuffer;
use arrow::compute::{cast, interleave, take};
use arrow::datatypes::{DataType, Field, Fields, Int32Type};
use datafusion_common::{Result, ScalarValue, exec_err, plan_err};
use std::sync::Arc;

pub(super) fn functions() -> Vec<Function> {
    use Param::{Any, Array, Map};
    let int = || Returns::Type(DataType::Int32);
    vec![
        Function::new("make_array", &[Any], Returns::Computed(|t, _| Ok(array_of(common_type(t)?))), make_array)
            .optional(1)
            .variadic()
            .coerce_all(super::types::common),
        Function::new("map", &[Any], Returns::Computed(map_type), make_map).optional(1).variadic().coerce_all(map_args),
        Function::new("row", &[Any], Returns::Computed(row_type), make_row).variadic(),
        Function::new("get_field", &[Any, Param::Text], Returns::Computed(field_type), get_field),
        Function::new("array_element", &[Any, Any], Returns::Computed(element_type), array_element)
            .coerce_all(element_args),
        Function::new("cardinality", &[Any], int(), cardinality),
        Function::new("element", &[Array], Returns::Computed(|t, _| item_type(&t[0])), element),
        Function::new("map_keys", &[Map], Returns::Computed(|t, _| Ok(array_of(map_parts(&t[0])?.0))), |c| side(c, 0)),
        Function::new("map_values", &[Map], Returns::Computed(|t, _| Ok(array_of(map_parts(&t[0])?.1))), |c| {
            side(c, 1)
        }),
        Function::new("map_entries", &[Map], Returns::Computed(entries_type), map_entries),
        Function::new("map_from_arrays", &[Array, Array], Returns::Computed(zipped_type), map_from_arrays),
    ]
}

pub(super) fn item_type(list: &DataType) -> Result<DataType> {
    match list {
        DataType::List(item) => Ok(item.data_type().clone()),
        other => plan_err!("{other} is not an ARRAY"),
    }
}

/// Rows of the arguments one after another.
fn interleaved(call: &Call, args: &[usize]) -> Result<ArrayRef> {
    let arrays: Vec<&dyn Array> = args.iter().map(|&i| call.args[i].array.as_ref()).collect();
    let sources: Vec<(usize, usize)> = (0..call.rows)
        .flat_map(|row| (0..args.len()).map(move |k| (k, row)))
        .map(|(k, row)| (k, if call.args[args[k]].constant { 0 } else { row }))
        .collect();
    Ok(interleave(&arrays, &sources)?)
}

fn make_array(call: &Call) -> Result<ArrayRef> {
    let count = call.args.len();
    if count == 0 {
        return Lists::build(&call.returns, new_null_array(&item_type(&call.returns)?, 0), vec![0; call.rows], None);
    }
    let items = interleaved(call, &(0..count).collect::<Vec<_>>())?;
    Lists::build(&call.returns, items, vec![count; call.rows], None)
}

/// Keys and values alternate; each side has one type.
fn map_args(types: &[DataType]) -> Result<Vec<DataType>> {
    if types.len() % 2 == 1 {
        return plan_err!("MAP wants keys and values in turn, got {} arguments", types.len());
    }
    if types.is_empty() {
        return Ok(vec![]);
    }
    let side = |first: usize| common_type(&types.iter().skip(first).step_by(2).cloned().collect::<Vec<_>>());
    let (key, value) = (side(0)?, side(1)?);
    Ok((0..types.len()).map(|i| if i % 2 == 0 { key.clone() } else { value.clone() }).collect())
}

fn map_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    match types {
        [key, value, ..] => Ok(map_of(key.clone(), value.clone())),
        _ => Ok(map_of(DataType::Utf8, DataType::Utf8)),
    }
}

fn make_map(call: &Call) -> Result<ArrayRef> {
    let pairs = call.args.len() / 2;
    if pairs == 0 {
        let (key, value) = map_parts(&call.returns)?;
        let (keys, values) = (new_null_array(&key, 0), new_null_array(&value, 0));
        return Lists::build_map(&call.returns, keys, values, vec![0; call.rows], None);
    }
    let every_second = |first: usize| (first..call.args.len()).step_by(2).collect::<Vec<_>>();
    let (keys, values) = (interleaved(call, &every_second(0))?, interleaved(call, &every_second(1))?);
    if keys.null_count() > 0 {
        return exec_err!("a key of MAP is NULL");
    }
    Lists::build_map(&call.returns, keys, values, vec![pairs; call.rows], None)
}

fn row_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    let field = |(i, t): (usize, &DataType)| Field::new(format!("EXPR${i}"), t.clone(), true);
    Ok(DataType::Struct(types.iter().enumerate().map(field).collect::<Fields>()))
}

fn make_row(call: &Call) -> Result<ArrayRef> {
    let DataType::Struct(fields) = &call.returns else {
        return exec_err!("ROW does not give {}", call.returns);
    };
    let columns = (0..call.args.len()).map(|i| interleaved(call, &[i])).collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(StructArray::try_new(fields.clone(), columns, None)?))
}

fn field_type(types: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
    if let DataType::Map(..) = &types[0] {
        return Ok(map_parts(&types[0])?.1);
    }
    let (DataType::Struct(fields), Some(Some(ScalarValue::Utf8(Some(name))))) = (&types[0], constants.get(1)) else {
        return plan_err!("a field can be taken of a ROW only, not of {}", types[0]);
    };
    match fields.iter().find(|f| f.name() == name) {
        Some(f) => Ok(f.data_type().clone()),
        None => {
            let known: Vec<&str> = fields.iter().map(|f| f.name().as_str()).collect();
            plan_err!("the ROW has no field '{name}'; it has {}", known.join(", "))
        }
    }
}

/// NULL where the row is. Of a map, the value of the key: `m['k']` reads like a field.
fn get_field(call: &Call) -> Result<ArrayRef> {
    let (array, constant) = call.arg_array(0)?;
    if array.as_map_opt().is_some() {
        return array_element(call);
    }
    let (Some(row), Some(name)) = (array.as_struct_opt(), call.texts(1)?.get(0)) else {
        return exec_err!("a field can be taken of a ROW only, not of {}", array.data_type());
    };
    let Some(column) = row.column_by_name(name) else { return exec_err!("the ROW has no field '{name}'") };
    let data = column.to_data().into_builder().nulls(NullBuffer::union(column.nulls(), row.nulls()));
    let column = arrow::array::make_array(data.build()?);
    if !constant || call.rows == 1 {
        return Ok(column);
    }
    Ok(take(&column, &arrow::array::UInt32Array::from(vec![0; call.rows]), None)?)
}

fn element_args(types: &[DataType]) -> Result<Vec<DataType>> {
    match &types[0] {
        DataType::Map(..) => Ok(vec![types[0].clone(), map_parts(&types[0])?.0]),
        DataType::List(_) if types[1].is_integer() => Ok(vec![types[0].clone(), DataType::Int64]),
        DataType::List(_) => plan_err!("an ARRAY has integer indices from 1, not {}", types[1]),
        other => plan_err!("only ARRAY and MAP have elements, {other} has none"),
    }
}

fn element_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    match &types[0] {
        map @ DataType::Map(..) => Ok(map_parts(map)?.1),
        list => item_type(list),
    }
}

/// `array[i]`, `map[key]`.
fn array_element(call: &Call) -> Result<ArrayRef> {
    let (array, constant) = call.arg_array(0)?;
    if let Some(map) = array.as_map_opt() {
        let pool = Pool::of(&[map.keys().clone(), call.args[1].array.clone()])?;
        let key_at = |row: usize| if call.args[1].constant { 0 } else { row };
        let indices: arrow::array::UInt32Array = (0..call.rows)
            .map(|row| {
                let m = if constant { 0 } else { row };
                if map.is_null(m) {
                    return None;
                }
                let wanted = pool.key(1, key_at(row));
                let (from, to) = (map.value_offsets()[m] as usize, map.value_offsets()[m + 1] as usize);
                (from..to).rev().find(|&i| pool.key(0, i) == wanted).map(|i| i as u32)
            })
            .collect();
        return Ok(take(map.values(), &indices, None)?);
    }
    let (lists, index) = (Lists::of(call, 0)?, call.longs(1)?);
    let mut indices = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        let (Some(range), Some(i)) = (lists.get(row), index.get(row)) else {
            indices.push(None);
            continue;
        };
        if i < 1 {
            return exec_err!("an ARRAY has indices from 1, got {i}");
        }
        indices.push(range.clone().nth(i as usize - 1).map(|i| i as u32));
    }
    Ok(take(&lists.items, &arrow::array::UInt32Array::from(indices), None)?)
}

fn cardinality(call: &Call) -> Result<ArrayRef> {
    let lists = Lists::of(call, 0)?;
    call.collect::<Int32Type>(|row| Ok(lists.get(row).map(|r| r.len() as i32)))
}

/// The only element; NULL of an empty array.
fn element(call: &Call) -> Result<ArrayRef> {
    let lists = Lists::of(call, 0)?;
    let mut indices = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        indices.push(match lists.get(row) {
            None => None,
            Some(r) if r.is_empty() => None,
            Some(r) if r.len() == 1 => Some(r.start as u32),
            Some(r) => return exec_err!("ELEMENT wants an array of one element, got {}", r.len()),
        });
    }
    Ok(take(&lists.items, &arrow::array::UInt32Array::from(indices), None)?)
}

fn side(call: &Call, which: usize) -> Result<ArrayRef> {
    let (array, constant) = call.arg_array(0)?;
    let Some(map) = array.as_map_opt() else { return exec_err!("{} wants a MAP", call.function) };
    let lists = Lists::of(call, 0)?;
    let column = if which == 0 { map.keys() } else { map.values() };
    debug_assert!(constant || call.rows == map.len());
    lists.pick(call, column, |_, range| range.collect())
}

fn entries_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    let (key, value) = map_parts(&types[0])?;
    Ok(array_of(DataType::Struct(Fields::from(vec![Field::new("key", key, true), Field::new("value", value, true)]))))
}

fn map_entries(call: &Call) -> Result<ArrayRef> {
    let (array, _) = call.arg_array(0)?;
    let Some(map) = array.as_map_opt() else { return exec_err!("MAP_ENTRIES wants a MAP") };
    let DataType::Struct(fields) = item_type(&call.returns)? else {
        return exec_err!("MAP_ENTRIES does not give {}", call.returns);
    };
    let rows = StructArray::try_new(fields, vec![map.keys().clone(), map.values().clone()], None)?;
    let rows: ArrayRef = Arc::new(rows);
    Lists::of(call, 0)?.pick(call, &rows, |_, range| range.collect())
}

fn zipped_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(map_of(item_type(&types[0])?, item_type(&types[1])?))
}

fn map_from_arrays(call: &Call) -> Result<ArrayRef> {
    let (keys, values) = (Lists::of(call, 0)?, Lists::of(call, 1)?);
    let (mut k, mut v, mut lengths, mut valid) = (vec![], vec![], vec![], vec![]);
    for row in 0..call.rows {
        let (Some(a), Some(b)) = (keys.get(row), values.get(row)) else {
            lengths.push(0);
            valid.push(false);
            continue;
        };
        if a.len() != b.len() {
            return exec_err!("MAP_FROM_ARRAYS got {} keys and {} values", a.len(), b.len());
        }
        lengths.push(a.len());
        valid.push(true);
        k.extend(a.map(|i| i as u32));
        v.extend(b.map(|i| i as u32));
    }
    let take = |from: &ArrayRef, i: Vec<u32>| take(from, &arrow::array::UInt32Array::from(i), None);
    let (k, v) = (take(&keys.items, k)?, take(&values.items, v)?);
    if k.null_count() > 0 {
        return exec_err!("MAP_FROM_ARRAYS got a key that is NULL");
    }
    let (key_type, value_type) = map_parts(&call.returns)?;
    Lists::build_map(
        &call.returns,
        cast(&k, &key_type)?,
        cast(&v, &value_type)?,
        lengths,
        Some(NullBuffer::from(valid)),
    )
}
