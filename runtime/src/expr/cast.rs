//! `CAST` and `TRY_CAST` with Flink's meaning: integers wrap, DECIMAL rounds half up and is NULL when it does not fit, text is
//! trimmed and read strictly. `CAST` of bad text fails and names the value and the target; `TRY_CAST` gives NULL.

mod number;
mod parse;
mod temporal;

use super::ExprError;
use super::display::{Style, write_value};
use super::node::failed;
use crate::operator::OperatorError;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, ListArray, MapArray, StringArray, StringBuilder, StructArray,
    new_null_array,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Cast {
    from: DataType,
    to: DataType,
    /// `TRY_CAST`.
    tolerant: bool,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    FromNull,
    ToText,
    FromText,
    Number,
    Temporal,
    Bytes,
    List(Box<Cast>),
    Struct(Vec<Cast>),
    Map(Box<Cast>, Box<Cast>),
}

impl Cast {
    pub fn new(from: &DataType, to: &DataType, tolerant: bool) -> Result<Self, ExprError> {
        let kind = kind(from, to, tolerant)?.ok_or_else(|| ExprError::Compile {
            what: format!("CAST from {from} to {to}"),
            message: "there is no such conversion".to_owned(),
        })?;
        Ok(Self { from: from.clone(), to: to.clone(), tolerant, kind })
    }

    /// Whether a value can make it fail (or it is dear).
    pub fn can_fail(&self) -> bool {
        !matches!(self.kind, Kind::FromNull | Kind::Number)
    }

    pub fn apply(&self, array: &ArrayRef) -> Result<ArrayRef, OperatorError> {
        if self.from == self.to {
            return Ok(array.clone());
        }
        match &self.kind {
            Kind::FromNull => Ok(new_null_array(&self.to, array.len())),
            Kind::ToText => Ok(to_text(array)),
            Kind::FromText => {
                let Some(text) = array.as_string_opt::<i32>() else {
                    return Err(self.failed("the value is not text"));
                };
                parse::parse(text, &self.to, self.tolerant)
            }
            Kind::Number => number::convert(array, &self.to),
            Kind::Temporal => temporal::convert(array, &self.to).map_err(|e| self.failed(&e)),
            Kind::Bytes => self.bytes(array),
            Kind::List(item) => self.list(array, item),
            Kind::Struct(fields) => self.row(array, fields),
            Kind::Map(key, value) => self.map(array, key, value),
        }
    }

    fn failed(&self, message: &str) -> OperatorError {
        failed(format!("CAST from {} to {}", self.from, self.to), message)
    }

    fn bytes(&self, array: &ArrayRef) -> Result<ArrayRef, OperatorError> {
        if let Some(bytes) = array.as_binary_opt::<i32>()
            && self.to == DataType::Utf8
        {
            let text: StringArray = bytes.iter().map(|b| b.map(String::from_utf8_lossy)).collect();
            return Ok(Arc::new(text));
        }
        arrow::compute::cast(array, &self.to).map_err(|e| self.failed(&e.to_string()))
    }

    fn list(&self, array: &ArrayRef, item: &Cast) -> Result<ArrayRef, OperatorError> {
        let (Some(list), DataType::List(field)) = (array.as_list_opt::<i32>(), &self.to) else {
            return Err(self.failed("the value is not an array"));
        };
        let values = item.apply(list.values())?;
        let nulls = if self.tolerant { failed_lists(list, &values) } else { list.nulls().cloned() };
        let list = ListArray::try_new(field.clone(), list.offsets().clone(), values, nulls);
        Ok(Arc::new(list.map_err(OperatorError::Output)?))
    }

    fn row(&self, array: &ArrayRef, casts: &[Cast]) -> Result<ArrayRef, OperatorError> {
        let (Some(row), DataType::Struct(fields)) = (array.as_struct_opt(), &self.to) else {
            return Err(self.failed("the value is not a row"));
        };
        let columns = casts.iter().zip(row.columns()).map(|(c, a)| c.apply(a)).collect::<Result<Vec<_>, _>>()?;
        let row = StructArray::try_new(fields.clone(), columns, row.nulls().cloned());
        Ok(Arc::new(row.map_err(OperatorError::Output)?))
    }

    fn map(&self, array: &ArrayRef, key: &Cast, value: &Cast) -> Result<ArrayRef, OperatorError> {
        let (Some(map), DataType::Map(field, sorted)) = (array.as_map_opt(), &self.to) else {
            return Err(self.failed("the value is not a map"));
        };
        let DataType::Struct(fields) = field.data_type() else {
            return Err(self.failed("the map has no entries field"));
        };
        let columns = vec![key.apply(map.keys())?, value.apply(map.values())?];
        let entries = StructArray::try_new(fields.clone(), columns, None).map_err(OperatorError::Output)?;
        let map = MapArray::try_new(field.clone(), map.offsets().clone(), entries, map.nulls().cloned(), *sorted);
        Ok(Arc::new(map.map_err(OperatorError::Output)?))
    }
}

/// `TRY_CAST` of an array is NULL as a whole if one item is lost.
fn failed_lists(list: &ListArray, values: &ArrayRef) -> Option<NullBuffer> {
    let items = list.values();
    let kept = |row: usize| {
        let (from, to) = (list.value_offsets()[row] as usize, list.value_offsets()[row + 1] as usize);
        list.is_valid(row) && (from..to).all(|i| items.is_null(i) || values.is_valid(i))
    };
    Some(NullBuffer::from((0..list.len()).map(kept).collect::<Vec<_>>())).filter(|n| n.null_count() > 0)
}

fn kind(from: &DataType, to: &DataType, tolerant: bool) -> Result<Option<Kind>, ExprError> {
    use DataType::*;
    let number = |t: &DataType| t.is_numeric() || *t == Boolean;
    let temporal = |t: &DataType| matches!(t, Date32 | Timestamp(..) | Time32(_) | Time64(_));
    let other = |t: &DataType| matches!(t, Interval(_) | Duration(_));
    let bytes = |t: &DataType| matches!(t, Binary | FixedSizeBinary(_) | LargeBinary | BinaryView);
    let text = |t: &DataType| matches!(t, LargeUtf8 | Utf8View | Utf8);
    Ok(Some(match (from, to) {
        (Null, _) => Kind::FromNull,
        (f, t) if (bytes(f) || text(f)) && (bytes(t) || (text(t) && text(f))) => Kind::Bytes,
        (f, Utf8) if bytes(f) => Kind::Bytes,
        (_, Utf8) => Kind::ToText,
        (Utf8, t) if number(t) || temporal(t) => Kind::FromText,
        (f, t) if number(f) && number(t) => Kind::Number,
        (f, t) if temporal(f) && temporal(t) => Kind::Temporal,
        (f, t) if (other(f) || *f == Int64) && (other(t) || *t == Int64) => Kind::Bytes,
        (List(f), List(t)) => Kind::List(Box::new(Cast::new(f.data_type(), t.data_type(), tolerant)?)),
        (Struct(f), Struct(t)) if f.len() == t.len() => Kind::Struct(
            f.iter()
                .zip(t)
                .map(|(f, t)| Cast::new(f.data_type(), t.data_type(), tolerant))
                .collect::<Result<_, _>>()?,
        ),
        (Map(f, _), Map(t, _)) => {
            let (Struct(f), Struct(t)) = (f.data_type(), t.data_type()) else { return Ok(None) };
            Kind::Map(
                Box::new(Cast::new(f[0].data_type(), t[0].data_type(), tolerant)?),
                Box::new(Cast::new(f[1].data_type(), t[1].data_type(), tolerant)?),
            )
        }
        (f, t) if f == t => Kind::Bytes,
        _ => return Ok(None),
    }))
}

fn to_text(array: &ArrayRef) -> ArrayRef {
    if let Some(b) = array.as_any().downcast_ref::<BooleanArray>() {
        return Arc::new(b.iter().map(|v| v.map(|v| if v { "TRUE" } else { "FALSE" })).collect::<StringArray>());
    }
    let mut builder = StringBuilder::with_capacity(array.len(), array.len() * 8);
    let mut text = String::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            builder.append_null();
            continue;
        }
        text.clear();
        write_value(&mut text, array, row, Style::Cast);
        builder.append_value(&text);
    }
    Arc::new(builder.finish())
}
