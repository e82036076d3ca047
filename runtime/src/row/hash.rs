//! The key hash of whole batches, column by column.

use super::{RowBuffer, RowCodec};
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray};
use arrow::datatypes::*;
use sluice_core::hash::KeyHash;

/// Finished key hashes (`sluice_core::hash`) of rows of these columns; no columns: the constant key.
///
/// Replaces `out`. Types are widened as the hash documents, so that equal keys of different types meet. A type that cannot
/// be kept in state (`RowCodec::new` refuses it) adds nothing to the hash.
pub fn hash_columns(columns: &[ArrayRef], rows: usize, out: &mut Vec<u64>) {
    out.clear();
    out.resize(rows, KeyHash::new().state());
    for c in columns {
        hash_column(c, out);
    }
    for h in out {
        *h = KeyHash::from_state(*h).finish();
    }
}

#[inline(always)]
fn fold(array: &dyn Array, out: &mut [u64], f: impl Fn(KeyHash, usize) -> KeyHash) {
    match array.nulls().filter(|n| n.null_count() > 0) {
        None => out.iter_mut().enumerate().for_each(|(i, h)| *h = f(KeyHash::from_state(*h), i).state()),
        Some(nulls) => {
            for (i, h) in out.iter_mut().enumerate() {
                let k = KeyHash::from_state(*h);
                *h = if nulls.is_null(i) { k.null() } else { f(k, i) }.state();
            }
        }
    }
}

fn ints<T: ArrowPrimitiveType>(array: &dyn Array, out: &mut [u64], widen: impl Fn(T::Native) -> i64) {
    let v = array.as_primitive::<T>().values();
    fold(array, out, |h, i| h.int(widen(v[i])));
}

fn hash_column(array: &ArrayRef, out: &mut [u64]) {
    use DataType::*;
    let a = array.as_ref();
    match a.data_type() {
        Null => out.iter_mut().for_each(|h| *h = KeyHash::from_state(*h).null().state()),
        Boolean => {
            let v = a.as_boolean().values();
            fold(a, out, |h, i| h.int(i64::from(v.value(i))));
        }
        Int8 => ints::<Int8Type>(a, out, i64::from),
        Int16 => ints::<Int16Type>(a, out, i64::from),
        Int32 => ints::<Int32Type>(a, out, i64::from),
        Int64 => ints::<Int64Type>(a, out, |v| v),
        UInt8 => ints::<UInt8Type>(a, out, i64::from),
        UInt16 => ints::<UInt16Type>(a, out, i64::from),
        UInt32 => ints::<UInt32Type>(a, out, i64::from),
        UInt64 => ints::<UInt64Type>(a, out, |v| v as i64),
        Date32 => ints::<Date32Type>(a, out, i64::from),
        Date64 => ints::<Date64Type>(a, out, |v| v),
        Time32(TimeUnit::Second) => ints::<Time32SecondType>(a, out, i64::from),
        Time32(_) => ints::<Time32MillisecondType>(a, out, i64::from),
        Time64(TimeUnit::Microsecond) => ints::<Time64MicrosecondType>(a, out, |v| v),
        Time64(_) => ints::<Time64NanosecondType>(a, out, |v| v),
        // Wrapping keeps equal times equal whatever their unit: all is modulo 2^64.
        Timestamp(TimeUnit::Second, _) => ints::<TimestampSecondType>(a, out, |v| v.wrapping_mul(1_000_000_000)),
        Timestamp(TimeUnit::Millisecond, _) => ints::<TimestampMillisecondType>(a, out, |v| v.wrapping_mul(1_000_000)),
        Timestamp(TimeUnit::Microsecond, _) => ints::<TimestampMicrosecondType>(a, out, |v| v.wrapping_mul(1_000)),
        Timestamp(TimeUnit::Nanosecond, _) => ints::<TimestampNanosecondType>(a, out, |v| v),
        Float32 => {
            let v = a.as_primitive::<Float32Type>().values();
            fold(a, out, |h, i| h.float(f64::from(v[i])));
        }
        Float64 => {
            let v = a.as_primitive::<Float64Type>().values();
            fold(a, out, |h, i| h.float(v[i]));
        }
        Decimal32(_, s) => {
            let v = a.as_primitive::<Decimal32Type>().values();
            fold(a, out, |h, i| h.decimal(i128::from(v[i]), *s));
        }
        Decimal64(_, s) => {
            let v = a.as_primitive::<Decimal64Type>().values();
            fold(a, out, |h, i| h.decimal(i128::from(v[i]), *s));
        }
        Decimal128(_, s) => {
            let v = a.as_primitive::<Decimal128Type>().values();
            fold(a, out, |h, i| h.decimal(v[i], *s));
        }
        _ => hash_bytes(array, out),
    }
}

fn hash_bytes(array: &ArrayRef, out: &mut [u64]) {
    use DataType::*;
    let a = array.as_ref();
    match a.data_type() {
        Utf8 => fold(a, out, |h, i| h.bytes(a.as_string::<i32>().value(i).as_bytes())),
        LargeUtf8 => fold(a, out, |h, i| h.bytes(a.as_string::<i64>().value(i).as_bytes())),
        Utf8View => fold(a, out, |h, i| h.bytes(a.as_string_view().value(i).as_bytes())),
        Binary => fold(a, out, |h, i| h.bytes(a.as_binary::<i32>().value(i))),
        LargeBinary => fold(a, out, |h, i| h.bytes(a.as_binary::<i64>().value(i))),
        BinaryView => fold(a, out, |h, i| h.bytes(a.as_binary_view().value(i))),
        FixedSizeBinary(_) => fold(a, out, |h, i| h.bytes(a.as_fixed_size_binary().value(i))),
        t => {
            let Ok(codec) = RowCodec::new(std::slice::from_ref(t)) else { return };
            let mut rows = RowBuffer::default();
            codec.encode(std::slice::from_ref(array), a.len(), &mut rows);
            fold(a, out, |h, i| h.bytes(rows.row(i)));
        }
    }
}
