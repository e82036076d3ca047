//! The arguments of one batch, brought once into the forms that accumulators read row by row.

use super::value::{Datum, Form, float_to_word};
use crate::row::{RowBuffer, RowCodec, RowError};
use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, RecordBatch, StringArray};
use arrow::buffer::{BooleanBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::*;

/// Where an aggregate finds its argument, and in which form.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// `None`: the rows are counted, or only the presence of a value.
    pub(super) column: Option<(usize, Form)>,
    /// The column whose NULLs leave a row out.
    pub(super) present: Option<usize>,
    /// The column that must be true.
    pub(super) filter: Option<usize>,
}

/// One aggregate's argument over a batch.
pub(super) struct Input {
    pub(super) data: Data,
    /// Rows that count: not NULL, and accepted by `FILTER`. `None`: all.
    pub(super) active: Option<BooleanBuffer>,
}

pub(super) enum Data {
    Absent,
    Words(ScalarBuffer<i64>),
    Wide(ScalarBuffer<i128>),
    Text(StringArray),
    Binary(BinaryArray),
    Encoded(RowBuffer),
}

impl Input {
    pub(super) fn new(source: &Source, rows: &RecordBatch) -> Result<Self, RowError> {
        let data = match source.column {
            None => Data::Absent,
            Some((column, form)) => Data::new(rows.column(column), form)?,
        };
        let valid = source.present.and_then(|c| rows.column(c).nulls()).map(|n| n.inner().clone());
        let accepted = source.filter.map(|c| truth(rows.column(c).as_boolean()));
        let active = match (valid, accepted) {
            (Some(a), Some(b)) => Some(&a & &b),
            (a, b) => a.or(b),
        };
        Ok(Self { data, active })
    }

    #[inline(always)]
    pub(super) fn counts(&self, row: usize) -> bool {
        self.active.as_ref().is_none_or(|a| a.value(row))
    }

    #[inline(always)]
    pub(super) fn datum(&self, row: usize) -> Datum<'_> {
        match &self.data {
            Data::Absent => Datum::Absent,
            Data::Words(words) => Datum::Word(words[row]),
            Data::Wide(wide) => Datum::Wide(wide[row]),
            Data::Text(text) => Datum::Bytes(text.value(row).as_bytes()),
            Data::Binary(binary) => Datum::Bytes(binary.value(row)),
            Data::Encoded(rows) => Datum::Bytes(rows.row(row)),
        }
    }
}

/// NULL is not true.
fn truth(column: &BooleanArray) -> BooleanBuffer {
    match column.nulls() {
        None => column.values().clone(),
        Some(nulls) => column.values() & nulls.inner(),
    }
}

impl Data {
    fn new(column: &ArrayRef, form: Form) -> Result<Self, RowError> {
        Ok(match form {
            Form::Word => Self::Words(words_of(column)),
            Form::Wide => Self::Wide(column.as_primitive::<Decimal128Type>().values().clone()),
            Form::Bytes if *column.data_type() == DataType::Binary => Self::Binary(column.as_binary().clone()),
            Form::Bytes => Self::Text(column.as_string().clone()),
            Form::Encoded => {
                let mut rows = RowBuffer::default();
                RowCodec::new(&[column.data_type().clone()])?.encode(
                    std::slice::from_ref(column),
                    column.len(),
                    &mut rows,
                );
                Self::Encoded(rows)
            }
        })
    }
}

/// The ordered words of a column of at most 64 bits; 64-bit integers and times are shared, not copied.
pub(crate) fn words_of(column: &ArrayRef) -> ScalarBuffer<i64> {
    fn widen<T: ArrowPrimitiveType>(column: &ArrayRef, f: impl Fn(T::Native) -> i64) -> ScalarBuffer<i64> {
        column.as_primitive::<T>().values().iter().map(|&v| f(v)).collect()
    }
    match column.data_type() {
        DataType::Boolean => column.as_boolean().values().iter().map(i64::from).collect(),
        DataType::Int8 => widen::<Int8Type>(column, i64::from),
        DataType::Int16 => widen::<Int16Type>(column, i64::from),
        DataType::Int32 => widen::<Int32Type>(column, i64::from),
        DataType::UInt8 => widen::<UInt8Type>(column, i64::from),
        DataType::UInt16 => widen::<UInt16Type>(column, i64::from),
        DataType::UInt32 => widen::<UInt32Type>(column, i64::from),
        DataType::Float32 => widen::<Float32Type>(column, |v| float_to_word(f64::from(v))),
        DataType::Float64 => widen::<Float64Type>(column, float_to_word),
        DataType::Date32 => widen::<Date32Type>(column, i64::from),
        DataType::Time32(TimeUnit::Second) => widen::<Time32SecondType>(column, i64::from),
        DataType::Time32(_) => widen::<Time32MillisecondType>(column, i64::from),
        // The rest is 64 bits wide: the cast only renames it.
        _ => {
            let renamed = cast(column, &DataType::Int64).expect("64-bit types cast to BIGINT");
            renamed.as_primitive::<Int64Type>().values().clone()
        }
    }
}
