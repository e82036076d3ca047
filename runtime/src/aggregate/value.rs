//! One value of an aggregate's argument, borrowed from a batch ([`Datum`]) or kept in state ([`Value`]).
//!
//! Types of up to 64 bits are one word whose signed order is the order of the values (floats are mapped, −0.0 is 0.0, every
//! NaN is one and the greatest, as in Java's `Double.compare`), so that one comparison serves all of them.

use crate::row::RowError;
use arrow::datatypes::DataType;
use sluice_core::hash::Canonical;

/// How the values of a type are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One ordered word.
    Word,
    /// A decimal's unscaled value.
    Wide,
    /// Text and binary: their bytes, which are also their order.
    Bytes,
    /// Everything else as a row of the state's codec: equality only.
    Encoded,
}

impl Form {
    pub(crate) fn of(data_type: &DataType) -> Self {
        use DataType::*;
        match data_type {
            Boolean | Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | Float32 | Float64 | Date32 | Date64
            | Time32(_) | Time64(_) | Timestamp(..) | Duration(_) => Self::Word,
            Decimal128(..) => Self::Wide,
            Utf8 | Binary => Self::Bytes,
            _ => Self::Encoded,
        }
    }

    /// Words of a value, where they are a fixed number.
    pub(crate) fn words(self) -> Option<usize> {
        match self {
            Self::Word => Some(1),
            Self::Wide => Some(2),
            Self::Bytes | Self::Encoded => None,
        }
    }
}

/// The word of a float: order and equality as [`Canonical::float`] sees them.
#[inline(always)]
pub(super) fn float_to_word(v: f64) -> i64 {
    let bits = Canonical::float(v) as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

#[inline(always)]
pub(super) fn word_to_float(word: i64) -> f64 {
    f64::from_bits((word ^ (((word >> 63) as u64) >> 1) as i64) as u64)
}

/// A non-null argument of one row. `Absent` for `COUNT`, which only asks whether there is one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Datum<'a> {
    Absent,
    Word(i64),
    Wide(i128),
    Bytes(&'a [u8]),
}

/// A value kept in state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    Word(i64),
    Wide(i128),
    Bytes(Box<[u8]>),
}

impl Datum<'_> {
    pub(super) fn to_value(self) -> Value {
        match self {
            Self::Absent => Value::Word(0),
            Self::Word(w) => Value::Word(w),
            Self::Wide(w) => Value::Wide(w),
            Self::Bytes(b) => Value::Bytes(b.into()),
        }
    }

    /// Whether this datum comes before the value.
    pub(super) fn is_less(self, than: &Value) -> bool {
        match (self, than) {
            (Self::Word(a), Value::Word(b)) => a < *b,
            (Self::Wide(a), Value::Wide(b)) => a < *b,
            (Self::Bytes(a), Value::Bytes(b)) => a < &**b,
            _ => false,
        }
    }

    pub(super) fn is_greater(self, than: &Value) -> bool {
        match (self, than) {
            (Self::Word(a), Value::Word(b)) => a > *b,
            (Self::Wide(a), Value::Wide(b)) => a > *b,
            (Self::Bytes(a), Value::Bytes(b)) => a > &**b,
            _ => false,
        }
    }
}

impl Value {
    pub(super) fn datum(&self) -> Datum<'_> {
        match self {
            Self::Word(w) => Datum::Word(*w),
            Self::Wide(w) => Datum::Wide(*w),
            Self::Bytes(b) => Datum::Bytes(b),
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Word(_) | Self::Wide(_) => 0,
            Self::Bytes(b) => b.len(),
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Word(w) => {
                out.push(0);
                out.extend_from_slice(&w.to_le_bytes());
            }
            Self::Wide(w) => {
                out.push(1);
                out.extend_from_slice(&w.to_le_bytes());
            }
            Self::Bytes(b) => {
                out.push(2);
                put_length(b.len(), out);
                out.extend_from_slice(b);
            }
        }
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, RowError> {
        Ok(match from.byte()? {
            0 => Self::Word(from.word()? as i64),
            1 => Self::Wide(i128::from_le_bytes(from.array()?)),
            2 => {
                let length = from.length()?;
                Self::Bytes(from.take(length)?.into())
            }
            _ => return Err(RowError::Damaged("a value of an aggregate has an unknown form")),
        })
    }
}

/// Lengths and counts: four bytes, little-endian.
pub(super) fn put_length(length: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(length as u32).to_le_bytes());
}

/// Reads what was encoded; every step fails where the bytes end early.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, n: usize) -> Result<&'a [u8], RowError> {
        let (head, rest) =
            self.0.split_at_checked(n).ok_or(RowError::Damaged("the state of an aggregate is cut off"))?;
        self.0 = rest;
        Ok(head)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], RowError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub(super) fn byte(&mut self) -> Result<u8, RowError> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn word(&mut self) -> Result<u64, RowError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn length(&mut self) -> Result<usize, RowError> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_floats_order_as_floats() {
        let sorted =
            [f64::NEG_INFINITY, -1.5, -f64::MIN_POSITIVE, 0.0, f64::MIN_POSITIVE, 2.0, f64::INFINITY, f64::NAN];
        let words = sorted.map(float_to_word);
        assert!(words.is_sorted_by(|a, b| a < b));
        assert_eq!(float_to_word(-0.0), float_to_word(0.0));
        for (word, v) in words.into_iter().zip(sorted) {
            assert_eq!(word_to_float(word).to_bits(), Canonical::float(v));
        }
    }

    #[test]
    fn values_survive_encoding_and_damage_is_found() {
        for value in [Value::Word(-5), Value::Wide(i128::MIN), Value::Bytes(b"sluice"[..].into())] {
            let mut bytes = vec![];
            value.encode(&mut bytes);
            assert_eq!(Value::decode(&mut Reader(&bytes)).unwrap(), value);
            assert!(Value::decode(&mut Reader(&bytes[..bytes.len() - 1])).is_err());
        }
        assert!(Value::decode(&mut Reader(&[9])).is_err());
    }
}
