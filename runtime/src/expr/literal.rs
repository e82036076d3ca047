//! A typed constant as a column of one row.

use super::ExprError;
use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Float32Array, Float64Array, Int64Array,
    IntervalMonthDayNanoArray, ListArray, StringArray, StructArray, UInt64Array, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalUnit};
use sluice_core::plan::expr::{Literal, Value};
use std::sync::Arc;

pub(super) fn array(literal: &Literal) -> Result<ArrayRef, ExprError> {
    build(&literal.value, &literal.data_type)
        .map_err(|message| ExprError::Compile { what: format!("a constant of type {}", literal.data_type), message })
}

fn build(value: &Value, data_type: &DataType) -> Result<ArrayRef, String> {
    let text = |e: arrow::error::ArrowError| e.to_string();
    let plain: ArrayRef = match value {
        Value::Null => return Ok(new_null_array(data_type, 1)),
        Value::Boolean(b) => Arc::new(BooleanArray::from(vec![*b])),
        Value::Int(v) => return integer(*v, data_type),
        Value::UInt(v) => Arc::new(UInt64Array::from(vec![*v])),
        Value::Float(bits) if *data_type == DataType::Float32 => {
            Arc::new(Float32Array::from(vec![f64::from_bits(*bits) as f32]))
        }
        Value::Float(bits) => Arc::new(Float64Array::from(vec![f64::from_bits(*bits)])),
        Value::Decimal(v) => {
            let array = Decimal128Array::from(vec![*v]);
            return Ok(Arc::new(array.with_data_type(data_type.clone())));
        }
        Value::Text(s) => Arc::new(StringArray::from(vec![s.as_str()])),
        Value::Binary(b) => Arc::new(BinaryArray::from(vec![b.as_slice()])),
        Value::Interval { months, days, nanoseconds } => {
            let v = IntervalMonthDayNano::new(*months, *days, *nanoseconds);
            let array: ArrayRef = Arc::new(IntervalMonthDayNanoArray::from(vec![v]));
            if *data_type == DataType::Interval(IntervalUnit::MonthDayNano) {
                return Ok(array);
            }
            array
        }
        Value::List(values) => return nested(values, data_type),
    };
    if plain.data_type() == data_type { Ok(plain) } else { cast(&plain, data_type).map_err(text) }
}

/// Through the type's own integer width: Arrow casts only between a temporal type and its layout.
fn integer(v: i64, data_type: &DataType) -> Result<ArrayRef, String> {
    let long: ArrayRef = Arc::new(Int64Array::from(vec![v]));
    let narrow = matches!(data_type, DataType::Date32 | DataType::Time32(_));
    let layout = if narrow { cast(&long, &DataType::Int32) } else { Ok(long) };
    layout.and_then(|a| cast(&a, data_type)).map_err(|e| e.to_string())
}

fn nested(values: &[Value], data_type: &DataType) -> Result<ArrayRef, String> {
    match data_type {
        DataType::List(item) => {
            let parts = values.iter().map(|v| build(v, item.data_type())).collect::<Result<Vec<_>, _>>()?;
            let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            let items = if parts.is_empty() {
                new_null_array(item.data_type(), 0)
            } else {
                concat(&parts).map_err(|e| e.to_string())?
            };
            let offsets = OffsetBuffer::from_lengths([values.len()]);
            Ok(Arc::new(ListArray::try_new(item.clone(), offsets, items, None).map_err(|e| e.to_string())?))
        }
        DataType::Struct(fields) if fields.len() == values.len() => {
            let columns = fields.iter().zip(values).map(|(f, v)| build(v, f.data_type())).collect::<Result<_, _>>()?;
            Ok(Arc::new(StructArray::try_new(fields.clone(), columns, None).map_err(|e| e.to_string())?))
        }
        other => Err(format!("{} values do not make a {other}", values.len())),
    }
}
