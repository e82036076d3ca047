//! Columns of results, filled value by value and turned into arrow arrays of the type that the plan asks for.

use super::value::{Datum, float_to_word, word_to_float};
use crate::row::{RowCodec, RowError};
use arrow::array::*;
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{cast, take};
use arrow::datatypes::*;
use std::sync::Arc;

/// A computed number before it takes the column's type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Int(i128),
    Decimal(i128, i8),
    Float(f64),
}

impl Number {
    fn to_f64(self) -> f64 {
        match self {
            Self::Int(v) => v as f64,
            Self::Decimal(v, scale) => v as f64 / 10f64.powi(i32::from(scale)),
            Self::Float(v) => v,
        }
    }

    /// As an integer, cut off towards zero; integers wrap as Java's do.
    fn to_i64(self) -> i64 {
        match self {
            Self::Int(v) => v as i64,
            Self::Decimal(v, scale) => (v / ten_to(scale).unwrap_or(i128::MAX)) as i64,
            Self::Float(v) => v as i64,
        }
    }

    /// The unscaled value at this precision and scale, rounded half away from zero; `None` if it does not fit.
    pub(super) fn to_decimal(self, precision: u8, scale: i8) -> Option<i128> {
        let unscaled = match self {
            Self::Int(v) => rescale(v, 0, scale)?,
            Self::Decimal(v, from) => rescale(v, from, scale)?,
            Self::Float(v) => {
                let scaled = (v * 10f64.powi(i32::from(scale))).round();
                if !scaled.is_finite() || scaled.abs() >= 1.7e38 {
                    return None;
                }
                scaled as i128
            }
        };
        let limit = 10i128.checked_pow(u32::from(precision))?;
        (unscaled.unsigned_abs() < limit.unsigned_abs()).then_some(unscaled)
    }
}

fn ten_to(scale: i8) -> Option<i128> {
    10i128.checked_pow(u32::try_from(scale).ok()?)
}

fn rescale(v: i128, from: i8, to: i8) -> Option<i128> {
    if to >= from { v.checked_mul(ten_to(to - from)?) } else { Some(divide_half_up(v, ten_to(from - to)?)) }
}

/// `a / b` for positive `b`, rounded half away from zero (SQL's `HALF_UP`).
pub(super) fn divide_half_up(a: i128, b: i128) -> i128 {
    let (quotient, rest) = (a / b, a % b);
    // `rest * 2` may overflow; `b - rest` cannot.
    if rest.unsigned_abs() >= b.unsigned_abs() - rest.unsigned_abs() { quotient + a.signum() } else { quotient }
}

/// One column of results.
pub(crate) struct OutColumn {
    data_type: DataType,
    cells: Cells,
    valid: Vec<bool>,
}

enum Cells {
    /// Ordered words, as in state.
    Words(Vec<i64>),
    Wide(Vec<i128>),
    /// Text, binary, or encoded rows.
    Bytes {
        bytes: Vec<u8>,
        offsets: Vec<i32>,
    },
    List {
        offsets: Vec<i32>,
        items: Box<OutColumn>,
    },
}

impl OutColumn {
    pub(crate) fn new(data_type: &DataType, capacity: usize) -> Self {
        use super::value::Form;
        let cells = match (data_type, Form::of(data_type)) {
            (DataType::List(item), _) => {
                Cells::List { offsets: vec![0], items: Box::new(Self::new(item.data_type(), 0)) }
            }
            (_, Form::Word) => Cells::Words(Vec::with_capacity(capacity)),
            (_, Form::Wide) => Cells::Wide(Vec::with_capacity(capacity)),
            (_, Form::Bytes | Form::Encoded) => Cells::Bytes { bytes: vec![], offsets: vec![0] },
        };
        Self { data_type: data_type.clone(), cells, valid: Vec::with_capacity(capacity) }
    }

    pub(crate) fn push_null(&mut self) {
        self.valid.push(false);
        match &mut self.cells {
            Cells::Words(words) => words.push(0),
            Cells::Wide(wide) => wide.push(0),
            Cells::Bytes { bytes, offsets } => offsets.push(bytes.len() as i32),
            Cells::List { offsets, items } => offsets.push(items.valid.len() as i32),
        }
    }

    /// A value in the form of this column's type.
    pub(crate) fn push(&mut self, datum: Datum<'_>) {
        match (&mut self.cells, datum) {
            (Cells::Words(words), Datum::Word(word)) => words.push(word),
            (Cells::Wide(wide), Datum::Wide(value)) => wide.push(value),
            (Cells::Bytes { bytes, offsets }, Datum::Bytes(value)) => {
                bytes.extend_from_slice(value);
                offsets.push(bytes.len() as i32);
            }
            _ => return self.push_null(),
        }
        self.valid.push(true);
    }

    /// A number, converted to this column's type; NULL if a decimal has no room for it.
    pub(super) fn push_number(&mut self, number: Number) {
        match (&self.data_type, &mut self.cells) {
            (DataType::Decimal128(precision, scale), _) => match number.to_decimal(*precision, *scale) {
                Some(unscaled) => self.push(Datum::Wide(unscaled)),
                None => self.push_null(),
            },
            (DataType::Float32, _) => self.push(Datum::Word(float_to_word(f64::from(number.to_f64() as f32)))),
            (DataType::Float64, _) => self.push(Datum::Word(float_to_word(number.to_f64()))),
            _ => self.push(Datum::Word(number.to_i64())),
        }
    }

    /// Text of several parts.
    pub(super) fn push_joined<'a>(&mut self, parts: impl Iterator<Item = &'a [u8]>, separator: &[u8]) {
        if let Cells::Bytes { bytes, offsets } = &mut self.cells {
            for (i, part) in parts.enumerate() {
                if i > 0 {
                    bytes.extend_from_slice(separator);
                }
                bytes.extend_from_slice(part);
            }
            offsets.push(bytes.len() as i32);
            self.valid.push(true);
        }
    }

    pub(super) fn push_list<'a>(&mut self, values: impl Iterator<Item = Datum<'a>>) {
        if let Cells::List { offsets, items } = &mut self.cells {
            values.for_each(|v| items.push(v));
            offsets.push(items.valid.len() as i32);
            self.valid.push(true);
        }
    }

    pub(crate) fn finish(self) -> Result<ArrayRef, RowError> {
        let nulls = self.valid.contains(&false).then(|| NullBuffer::new(BooleanBuffer::from(self.valid.as_slice())));
        Ok(match self.cells {
            Cells::Words(words) => from_words(words, nulls, &self.data_type),
            Cells::Wide(wide) => {
                let array = Decimal128Array::new(ScalarBuffer::from(wide), nulls);
                Arc::new(array.with_data_type(self.data_type))
            }
            Cells::Bytes { bytes, offsets } => from_bytes(&bytes, offsets, &self.valid, nulls, &self.data_type)?,
            Cells::List { offsets, items } => {
                let DataType::List(field) = &self.data_type else {
                    return Err(RowError::Unsupported(self.data_type));
                };
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                Arc::new(ListArray::new(field.clone(), offsets, items.finish()?, nulls))
            }
        })
    }
}

fn from_words(words: Vec<i64>, nulls: Option<NullBuffer>, data_type: &DataType) -> ArrayRef {
    fn narrow<T: ArrowPrimitiveType>(
        words: Vec<i64>,
        nulls: Option<NullBuffer>,
        f: impl Fn(i64) -> T::Native,
    ) -> ArrayRef {
        let values: ScalarBuffer<T::Native> = words.into_iter().map(f).collect();
        Arc::new(PrimitiveArray::<T>::new(values, nulls))
    }
    match data_type {
        DataType::Boolean => Arc::new(BooleanArray::new(words.iter().map(|&w| w != 0).collect(), nulls)),
        DataType::Int8 => narrow::<Int8Type>(words, nulls, |w| w as i8),
        DataType::Int16 => narrow::<Int16Type>(words, nulls, |w| w as i16),
        DataType::Int32 => narrow::<Int32Type>(words, nulls, |w| w as i32),
        DataType::UInt8 => narrow::<UInt8Type>(words, nulls, |w| w as u8),
        DataType::UInt16 => narrow::<UInt16Type>(words, nulls, |w| w as u16),
        DataType::UInt32 => narrow::<UInt32Type>(words, nulls, |w| w as u32),
        DataType::Float32 => narrow::<Float32Type>(words, nulls, |w| word_to_float(w) as f32),
        DataType::Float64 => narrow::<Float64Type>(words, nulls, word_to_float),
        DataType::Date32 => narrow::<Date32Type>(words, nulls, |w| w as i32),
        DataType::Time32(TimeUnit::Second) => narrow::<Time32SecondType>(words, nulls, |w| w as i32),
        DataType::Time32(_) => narrow::<Time32MillisecondType>(words, nulls, |w| w as i32),
        _ => {
            let integers = Int64Array::new(ScalarBuffer::from(words), nulls);
            cast(&integers, data_type).expect("BIGINT casts to 64-bit types")
        }
    }
}

fn from_bytes(
    bytes: &[u8],
    offsets: Vec<i32>,
    valid: &[bool],
    nulls: Option<NullBuffer>,
    data_type: &DataType,
) -> Result<ArrayRef, RowError> {
    match data_type {
        DataType::Utf8 | DataType::Binary => {
            let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
            let binary = BinaryArray::new(offsets, Buffer::from(bytes.to_vec()), nulls);
            if *data_type == DataType::Binary {
                return Ok(Arc::new(binary));
            }
            let text = StringArray::try_from_binary(binary);
            Ok(Arc::new(text.map_err(|_| RowError::Damaged("text in an aggregate's state is not UTF-8"))?))
        }
        _ => {
            // Only rows that exist can be decoded; `take` puts the NULLs between them.
            let present = (0..valid.len()).filter(|&i| valid[i]);
            let rows = present.map(|i| &bytes[offsets[i] as usize..offsets[i + 1] as usize]);
            let decoded = RowCodec::new(std::slice::from_ref(data_type))?.decode(rows)?;
            let mut next = 0;
            let places: UInt32Array = valid
                .iter()
                .map(|&v| {
                    next += u32::from(v);
                    v.then(|| next - 1)
                })
                .collect();
            let column = decoded.first().ok_or(RowError::Damaged("a row without columns"))?;
            take(column, &places, None).map_err(|_| RowError::Damaged("a nested value cannot be placed"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn division_rounds_half_away_from_zero() {
        for (a, b, expected) in [(5, 2, 3), (-5, 2, -3), (4, 3, 1), (5, 3, 2), (-4, 3, -1), (0, 7, 0)] {
            assert_eq!(divide_half_up(a, b), expected, "{a} / {b}");
        }
        assert_eq!(divide_half_up(i128::MAX, i128::MAX), 1);
        assert_eq!(divide_half_up(i128::MAX - 1, i128::MAX), 1);
    }

    #[test]
    fn decimals_without_room_are_null() {
        assert_eq!(Number::Int(99).to_decimal(4, 2), Some(9900));
        assert_eq!(Number::Int(100).to_decimal(4, 2), None);
        assert_eq!(Number::Decimal(1255, 3).to_decimal(4, 2), Some(126));
        assert_eq!(Number::Decimal(-1255, 3).to_decimal(4, 2), Some(-126));
        assert_eq!(Number::Float(f64::NAN).to_decimal(4, 2), None);
        assert_eq!(Number::Float(1.005).to_decimal(4, 2), Some(100));
    }

    #[test]
    fn integers_wrap_into_their_type() {
        let mut column = OutColumn::new(&DataType::Int32, 2);
        column.push_number(Number::Int(i128::from(i32::MAX) + 1));
        column.push_null();
        let array = column.finish().unwrap();
        assert_eq!(array.as_primitive::<Int32Type>(), &Int32Array::from(vec![Some(i32::MIN), None]));
    }
}
