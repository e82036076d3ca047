use super::*;
use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::*;
use proptest::prelude::*;
use std::sync::Arc;

fn round_trip(columns: &[ArrayRef]) -> RowBuffer {
    let types: Vec<_> = columns.iter().map(|c| c.data_type().clone()).collect();
    let codec = RowCodec::new(&types).unwrap();
    let n = columns[0].len();
    let mut rows = RowBuffer::default();
    codec.encode(columns, n, &mut rows);
    assert_eq!(rows.len(), n);
    if let Some(w) = codec.fixed_width() {
        assert!(rows.rows().all(|r| r.len() == w));
    }
    let back = codec.decode(rows.rows()).unwrap();
    for (a, b) in columns.iter().zip(&back) {
        assert_eq!(a.as_ref(), b.as_ref());
    }
    rows
}

fn timestamps(unit: TimeUnit, tz: Option<&str>, v: Vec<Option<i64>>) -> ArrayRef {
    let t = DataType::Timestamp(unit, tz.map(Into::into));
    arrow::compute::cast(&Int64Array::from(v), &t).unwrap()
}

fn struct_column() -> ArrayRef {
    let fields = Fields::from(vec![Field::new("a", DataType::Int32, true), Field::new("b", DataType::Utf8, true)]);
    let a = Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]));
    let b = Arc::new(StringArray::from(vec![None, Some(""), Some("yz")]));
    Arc::new(StructArray::new(fields, vec![a, b], Some(NullBuffer::from(vec![true, false, true]))))
}

fn map_column(entries: &[&[(&str, Option<i64>)]]) -> ArrayRef {
    let mut b = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for row in entries {
        for (k, v) in *row {
            b.keys().append_value(k);
            b.values().append_option(*v);
        }
        b.append(true).unwrap();
    }
    Arc::new(b.finish())
}

#[test]
fn every_type_of_the_dialect_round_trips() {
    let list = ListArray::from_iter_primitive::<Int16Type, _, _>(vec![Some(vec![Some(1), None]), None, Some(vec![])]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int8Array::from(vec![Some(-1), None, Some(7)])),
        Arc::new(Int16Array::from(vec![1, 2, 3])),
        Arc::new(Int32Array::from(vec![Some(1), None, Some(i32::MIN)])),
        Arc::new(Int64Array::from(vec![None, Some(0), Some(i64::MAX)])),
        Arc::new(Float32Array::from(vec![Some(1.5), None, Some(f32::INFINITY)])),
        Arc::new(Float64Array::from(vec![None, Some(-2.25), Some(0.1)])),
        Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        Arc::new(Decimal128Array::from(vec![Some(-12345), None, Some(1)]).with_precision_and_scale(20, 3).unwrap()),
        Arc::new(Date32Array::from(vec![Some(-1), None, Some(19000)])),
        Arc::new(Time32MillisecondArray::from(vec![Some(1), None, Some(86_399_999)])),
        Arc::new(Time64NanosecondArray::from(vec![Some(1), None, Some(5)])),
        Arc::new(IntervalYearMonthArray::from(vec![Some(14), None, Some(-1)])),
        Arc::new(DurationMillisecondArray::from(vec![Some(14), None, Some(-1)])),
        Arc::new(StringArray::from(vec![Some("x"), None, Some("")])),
        Arc::new(LargeStringArray::from(vec![Some("large"), None, Some("ü")])),
        Arc::new(StringViewArray::from(vec![Some("a longer text than twelve bytes"), None, Some("s")])),
        Arc::new(BinaryArray::from(vec![Some(&b"\0\xff"[..]), None, Some(b"")])),
        Arc::new(
            FixedSizeBinaryArray::try_from_sparse_iter_with_size(
                [Some([1u8, 2, 3]), None, Some([4, 5, 6])].into_iter(),
                3,
            )
            .unwrap(),
        ),
        timestamps(TimeUnit::Second, None, vec![Some(1), None, Some(-1)]),
        timestamps(TimeUnit::Millisecond, None, vec![Some(1), None, Some(-1)]),
        timestamps(TimeUnit::Microsecond, Some("UTC"), vec![Some(1), None, Some(-1)]),
        timestamps(TimeUnit::Nanosecond, Some("UTC"), vec![Some(1), None, Some(-1)]),
        Arc::new(list),
        struct_column(),
        map_column(&[&[("a", Some(1))], &[], &[("k", None), ("z", Some(3))]]),
        Arc::new(NullArray::new(3)),
    ];
    for c in &columns {
        round_trip(&[c.clone()]);
        // A slice has offsets into its buffers.
        round_trip(&[c.slice(1, 2)]);
    }
    round_trip(&columns);
}

#[test]
fn unsupported_types_are_refused_by_name() {
    let t = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    assert!(matches!(RowCodec::new(&[t]), Err(RowError::Unsupported(_))));
}

#[test]
fn equal_values_have_equal_bytes() {
    let rows = round_trip_lossy(Arc::new(Float64Array::from(vec![0.0, -0.0, f64::NAN, -f64::NAN])));
    assert_eq!(rows.row(0), rows.row(1));
    assert_eq!(rows.row(2), rows.row(3));
    let rows = round_trip_lossy(Arc::new(Float32Array::from(vec![0.0, -0.0, f32::NAN, -f32::NAN])));
    assert_eq!(rows.row(0), rows.row(1));
    assert_eq!(rows.row(2), rows.row(3));
    let rows = round_trip_lossy(map_column(&[&[("a", Some(1)), ("b", None)], &[("b", None), ("a", Some(1))]]));
    assert_eq!(rows.row(0), rows.row(1));
}

fn round_trip_lossy(column: ArrayRef) -> RowBuffer {
    let codec = RowCodec::new(&[column.data_type().clone()]).unwrap();
    let mut rows = RowBuffer::default();
    codec.encode(&[column.clone()], column.len(), &mut rows);
    assert_eq!(codec.decode(rows.rows()).unwrap()[0].len(), column.len());
    rows
}

/// What stands under a NULL must not show in the bytes.
#[test]
fn bytes_below_a_null_do_not_count() {
    let nulls = || Some(NullBuffer::from(vec![false, false]));
    let ints = round_trip(&[Arc::new(Int64Array::new(vec![1, 2].into(), nulls()))]);
    assert_eq!(ints.row(0), ints.row(1));
    let text = StringArray::new(OffsetBuffer::new(vec![0, 1, 3].into()), b"abc"[..].into(), nulls());
    let text = round_trip(&[Arc::new(text)]);
    assert_eq!(text.row(0), text.row(1));
}

fn hashes(columns: &[ArrayRef]) -> Vec<u64> {
    let mut out = vec![];
    hash_columns(columns, columns.first().map_or(1, |c| c.len()), &mut out);
    out
}

#[test]
fn equal_keys_of_different_types_hash_alike() {
    let by_int = hashes(&[Arc::new(Int64Array::from(vec![Some(7), None]))]);
    let same: Vec<ArrayRef> = vec![
        Arc::new(Int8Array::from(vec![Some(7), None])),
        Arc::new(Int32Array::from(vec![Some(7), None])),
        Arc::new(Decimal128Array::from(vec![Some(700), None]).with_precision_and_scale(10, 2).unwrap()),
    ];
    for c in same {
        assert_eq!(hashes(&[c]), by_int);
    }
    let ns = hashes(&[timestamps(TimeUnit::Nanosecond, None, vec![Some(5_000_000_000)])]);
    for (unit, v) in [(TimeUnit::Second, 5), (TimeUnit::Millisecond, 5_000), (TimeUnit::Microsecond, 5_000_000)] {
        assert_eq!(hashes(&[timestamps(unit, None, vec![Some(v)])]), ns);
    }
    assert_eq!(
        hashes(&[Arc::new(StringArray::from(vec!["a longer text than twelve bytes"]))]),
        hashes(&[Arc::new(StringViewArray::from(vec!["a longer text than twelve bytes"]))])
    );
}

/// The batch hash is the row hash: the columns in order, then finished.
#[test]
fn batch_hash_is_the_row_hash() {
    use sluice_core::hash::KeyHash;
    let got = hashes(&[Arc::new(Int32Array::from(vec![7])), Arc::new(StringArray::from(vec!["x"]))]);
    assert_eq!(got, [KeyHash::new().int(7).bytes(b"x").finish()]);
    assert_eq!(hashes(&[]), [KeyHash::new().finish()]);
    let lists = ListArray::from_iter_primitive::<Int16Type, _, _>(vec![
        Some(vec![Some(1)]),
        Some(vec![Some(2)]),
        Some(vec![Some(1)]),
    ]);
    let h = hashes(&[Arc::new(lists)]);
    assert_eq!(h[0], h[2]);
    assert_ne!(h[0], h[1]);
}

#[test]
fn varint_lengths() {
    for v in [0, 1, 127, 128, 16383, 16384, (1 << 21) - 1, 1 << 21, (1 << 28) - 1, 1 << 28, u32::MAX] {
        let mut b = vec![];
        put_varint(v, &mut b);
        assert_eq!(b.len(), varint_len(v), "{v}");
    }
}

fn all_types() -> RowCodec {
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
    let map = map_column(&[]).data_type().clone();
    let ts = DataType::Timestamp(TimeUnit::Millisecond, None);
    let s = struct_column().data_type().clone();
    RowCodec::new(&[DataType::Int64, DataType::Boolean, DataType::Utf8, list, ts, map, s, DataType::Decimal128(10, 2)])
        .unwrap()
}

type Row = (Option<i64>, Option<String>, Option<f64>, Option<Vec<Option<i32>>>);

proptest! {
    /// Equal rows ⇔ equal bytes, and the bytes give the row back.
    #[test]
    fn rows_are_equal_as_their_bytes(rows in proptest::collection::vec(any::<(Option<i8>, Option<u8>, Option<bool>, Option<Vec<Option<bool>>>)>(), 1..20)) {
        let rows: Vec<Row> = rows.into_iter().map(|(a, b, c, d)| (
            a.map(|a| i64::from(a % 3)),
            b.map(|b| "x".repeat(usize::from(b % 3) * 100)),
            c.map(|c| if c { 1.0 } else { f64::NAN }),
            d.map(|d| d.into_iter().take(2).map(|x| x.map(i32::from)).collect()),
        )).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(rows.iter().map(|r| r.0).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|r| r.1.clone()).collect::<StringArray>()),
            Arc::new(rows.iter().map(|r| r.2).collect::<Float64Array>()),
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(rows.iter().map(|r| r.3.clone()))),
        ];
        let types: Vec<_> = columns.iter().map(|c| c.data_type().clone()).collect();
        let mut out = RowBuffer::default();
        let codec = RowCodec::new(&types).unwrap();
        codec.encode(&columns, rows.len(), &mut out);
        let back = codec.decode(out.rows()).unwrap();
        for (i, a) in rows.iter().enumerate() {
            for (j, b) in rows.iter().enumerate() {
                prop_assert_eq!(format!("{a:?}") == format!("{b:?}"), out.row(i) == out.row(j));
            }
        }
        prop_assert_eq!(&columns[0], &back[0]);
        prop_assert_eq!(&columns[1], &back[1]);
        prop_assert_eq!(&columns[3], &back[3]);
    }

    /// Damaged bytes give an error or other rows, never a panic or a large allocation.
    #[test]
    fn any_bytes_decode_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = all_types().decode([&bytes[..]]);
        let codec = RowCodec::new(&[DataType::Utf8, DataType::Int32]).unwrap();
        if let Ok(c) = codec.decode([&bytes[..]]) {
            let mut out = RowBuffer::default();
            codec.encode(&c, 1, &mut out);
            prop_assert!(out.row(0).len() <= bytes.len());
        }
    }
}
