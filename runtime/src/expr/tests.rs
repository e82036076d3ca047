use super::*;
use arrow::array::{Float64Array, Int64Array, StringArray};
use arrow::datatypes::{Field, Schema};
use proptest::prelude::*;
use sluice_core::plan::expr::{BinaryOp, Literal, Value};
use sluice_core::time::ProcTime;
use std::sync::Arc;

fn rows() -> RecordBatch {
    let schema = Schema::new(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("b", DataType::Int64, true),
        Field::new("s", DataType::Utf8, true),
        Field::new("d", DataType::Float64, true),
    ]);
    RecordBatch::try_new(
        Arc::new(schema),
        vec![
            Arc::new(Int64Array::from(vec![Some(7), Some(-7), None, Some(i64::MAX), Some(0)])),
            Arc::new(Int64Array::from(vec![Some(2), Some(2), Some(1), Some(0), None])),
            Arc::new(StringArray::from(vec![Some("12"), Some(" 3 "), Some("x"), None, Some("")])),
            Arc::new(Float64Array::from(vec![Some(1.5), Some(f64::NAN), Some(-0.0), None, Some(1e10)])),
        ],
    )
    .unwrap()
}

fn clock() -> Clock {
    Clock::manual(ProcTime(1_000))
}

fn col(i: usize) -> Expr {
    Expr::Column(i)
}
fn int(v: i64) -> Expr {
    Expr::Literal(Literal { data_type: DataType::Int64, value: Value::Int(v) })
}
fn text(v: &str) -> Expr {
    Expr::Literal(Literal { data_type: DataType::Utf8, value: Value::Text(v.to_owned()) })
}
fn binary(op: BinaryOp, left: Expr, right: Expr) -> Expr {
    Expr::Binary { op, left: Box::new(left), right: Box::new(right) }
}

fn compiled(expr: &Expr, rows: &RecordBatch) -> CompiledExpr {
    CompiledExpr::new(expr, &rows.schema(), &clock()).unwrap()
}

fn show(expr: &Expr) -> String {
    let rows = rows();
    let array = compiled(expr, &rows).evaluate(&rows).unwrap();
    assert_eq!(array.len(), rows.num_rows());
    let field = Field::new("x", array.data_type().clone(), true);
    let cells: Vec<String> = (0..array.len()).map(|i| display::to_display(&array, i, &field)).collect();
    cells.join("|")
}

fn error(expr: &Expr) -> String {
    let rows = rows();
    compiled(expr, &rows).evaluate(&rows).unwrap_err().to_string()
}

#[test]
fn a_column_is_not_copied() {
    let rows = rows();
    let out = compiled(&col(0), &rows).evaluate(&rows).unwrap();
    assert!(Arc::ptr_eq(&out, rows.column(0)));
}

#[test]
fn arithmetic_wraps_and_truncates() {
    assert_eq!(show(&binary(BinaryOp::Add, col(0), int(1))), format!("8|-6|null|{}|1", i64::MIN));
    assert_eq!(show(&binary(BinaryOp::Divide, col(0), int(2))), format!("3|-3|null|{}|0", i64::MAX / 2));
    assert_eq!(show(&binary(BinaryOp::Modulo, col(0), int(-4))), "3|-3|null|3|0");
}

#[test]
fn division_by_zero_fails_with_both_sides_named() {
    let message = error(&binary(BinaryOp::Divide, col(0), col(1)));
    assert!(message.contains("division by zero") && message.contains(&i64::MAX.to_string()), "{message}");
    let message = error(&binary(BinaryOp::Modulo, col(0), int(0)));
    assert!(message.contains("division by zero"), "{message}");
}

#[test]
fn and_or_case_guard_what_can_fail() {
    let divides = binary(BinaryOp::Gt, binary(BinaryOp::Divide, col(0), col(1)), int(0));
    let nonzero = binary(BinaryOp::NotEq, col(1), int(0));
    assert_eq!(show(&binary(BinaryOp::And, nonzero.clone(), divides.clone())), "true|false|null|false|null");
    let zero = binary(BinaryOp::Eq, col(1), int(0));
    assert_eq!(show(&binary(BinaryOp::Or, zero, divides)), "true|false|null|true|null");
    let case = Expr::Case {
        operand: None,
        branches: vec![(nonzero, binary(BinaryOp::Divide, col(0), col(1)))],
        otherwise: Some(Box::new(int(-1))),
    };
    assert_eq!(show(&case), "3|-3|null|-1|-1");
}

#[test]
fn doubles_compare_as_in_java() {
    assert_eq!(show(&binary(BinaryOp::Eq, col(3), col(3))), "true|false|true|null|true");
    let zero = Expr::Literal(Literal { data_type: DataType::Float64, value: Value::Float(0f64.to_bits()) });
    assert_eq!(show(&binary(BinaryOp::Eq, col(3), zero)), "false|false|true|null|false");
}

#[test]
fn decimals_and_times_of_different_width_compare() {
    use arrow::datatypes::TimeUnit;
    let literal = |data_type, value| Expr::Literal(Literal { data_type, value });
    let decimal = |v, p, s| literal(DataType::Decimal128(p, s), Value::Decimal(v));
    assert_eq!(show(&binary(BinaryOp::Eq, decimal(150, 10, 2), decimal(15, 5, 1))), ["true"; 5].join("|"));
    let time = |v, unit| literal(DataType::Timestamp(unit, None), Value::Int(v));
    let e = binary(BinaryOp::Lt, time(1, TimeUnit::Second), time(1001, TimeUnit::Millisecond));
    assert_eq!(show(&e), ["true"; 5].join("|"));
    let null = literal(DataType::Null, Value::Null);
    assert_eq!(show(&binary(BinaryOp::Eq, col(0), null)), ["null"; 5].join("|"));
    assert!(CompiledExpr::new(&binary(BinaryOp::Eq, col(0), col(2)), &rows().schema(), &clock()).is_err());
}

#[test]
fn casts_fail_or_give_null() {
    let message = error(&Expr::Cast { expr: Box::new(col(2)), to: DataType::Int32 });
    assert_eq!(
        message,
        "failed to evaluate CAST('x' AS INT): the text does not read as INT; TRY_CAST gives NULL instead"
    );
    assert_eq!(show(&Expr::TryCast { expr: Box::new(col(2)), to: DataType::Int32 }), "12|3|null|null|null");
    assert_eq!(show(&Expr::Cast { expr: Box::new(col(3)), to: DataType::Utf8 }), "1.5|NaN|-0.0|null|1.0E10");
    assert_eq!(show(&Expr::Cast { expr: Box::new(col(0)), to: DataType::Int32 }), "7|-7|null|-1|0");
}

#[test]
fn calls_constants_and_in_lists() {
    let call = |name: &str, args: Vec<Expr>, data_type| Expr::Call { function: name.to_owned(), args, data_type };
    assert_eq!(show(&call("upper", vec![text("é")], DataType::Utf8)), "É|É|É|É|É");
    assert_eq!(show(&call("concat", vec![col(2), text("!")], DataType::Utf8)), "12!| 3 !|x!|null|!");
    let list = Expr::InList { expr: Box::new(col(0)), list: vec![int(7), int(0)], negated: true };
    assert_eq!(show(&list), "false|true|null|true|false");
    let now = call("now", vec![], DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, Some("UTC".into())));
    assert_eq!(show(&now), ["1970-01-01T00:00:01Z"; 5].join("|"));
}

#[test]
fn unknown_functions_and_columns_are_refused_by_name() {
    let rows = rows();
    let call = Expr::Call { function: "frobnicate".to_owned(), args: vec![], data_type: DataType::Utf8 };
    let message = CompiledExpr::new(&call, &rows.schema(), &clock()).unwrap_err().to_string();
    assert!(message.contains("FROBNICATE"), "{message}");
    assert!(CompiledExpr::new(&col(9), &rows.schema(), &clock()).is_err());
}

/// A column of one type, as the values of a batch.
fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
    let fields: Vec<Field> =
        columns.iter().enumerate().map(|(i, c)| Field::new(format!("c{i}"), c.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn longs(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn any_long() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -20i64..20, Just(i64::MIN), Just(i64::MAX)]
}

proptest! {
    #[test]
    fn division_by_a_constant_is_the_loop(values in prop::collection::vec(prop::option::of(any_long()), 1..50), by in any_long()) {
        prop_assume!(by != 0);
        let rows = batch(vec![longs(&values)]);
        for (op, naive) in [
            (BinaryOp::Divide, i64::wrapping_div as fn(i64, i64) -> i64),
            (BinaryOp::Modulo, i64::wrapping_rem),
        ] {
            let out = compiled(&binary(op, col(0), int(by)), &rows).evaluate(&rows).unwrap();
            let want: Vec<Option<i64>> = values.iter().map(|v| v.map(|v| naive(v, by))).collect();
            let want = longs(&want);
            prop_assert_eq!(out.as_ref(), want.as_ref(), "{:?} by {}", op, by);
        }
    }

    #[test]
    fn division_of_ints_is_the_loop(values in prop::collection::vec(any::<i32>(), 1..50), by in any::<i32>()) {
        prop_assume!(by != 0);
        let rows = batch(vec![Arc::new(arrow::array::Int32Array::from(values.clone()))]);
        let literal = Expr::Literal(Literal { data_type: DataType::Int32, value: Value::Int(by.into()) });
        for (op, naive) in [
            (BinaryOp::Divide, i32::wrapping_div as fn(i32, i32) -> i32),
            (BinaryOp::Modulo, i32::wrapping_rem),
        ] {
            let out = compiled(&binary(op, col(0), literal.clone()), &rows).evaluate(&rows).unwrap();
            let want = arrow::array::Int32Array::from_iter_values(values.iter().map(|v| naive(*v, by)));
            prop_assert_eq!(out.as_ref(), &want as &dyn Array, "{:?} by {}", op, by);
        }
    }

    #[test]
    fn guarded_division_and_case_do_not_depend_on_the_cut(
        rows in prop::collection::vec((prop::option::of(-3i64..3), prop::option::of(-2i64..2)), 1..40),
        cut in 0usize..40,
    ) {
        let (a, b): (Vec<_>, Vec<_>) = rows.iter().copied().unzip();
        let whole = batch(vec![longs(&a), longs(&b)]);
        let divide = || binary(BinaryOp::Divide, col(0), col(1));
        let guard = || binary(BinaryOp::NotEq, col(1), int(0));
        let and = binary(BinaryOp::And, guard(), binary(BinaryOp::Gt, divide(), int(0)));
        let or = binary(BinaryOp::Or, binary(BinaryOp::Eq, col(1), int(0)), binary(BinaryOp::Gt, divide(), int(0)));
        let case = Expr::Case {
            operand: None,
            branches: vec![(binary(BinaryOp::Eq, col(0), int(1)), int(100)), (guard(), divide())],
            otherwise: Some(Box::new(col(0))),
        };
        let cut = cut.min(rows.len());
        for e in [and.clone(), or, case] {
            let e = compiled(&e, &whole);
            let all = e.evaluate(&whole).unwrap();
            let parts = [e.evaluate(&whole.slice(0, cut)).unwrap(), e.evaluate(&whole.slice(cut, rows.len() - cut)).unwrap()];
            let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            let joined = arrow::compute::concat(&parts).unwrap();
            prop_assert_eq!(all.as_ref(), joined.as_ref());
        }
        let out = compiled(&and, &whole).evaluate_filter(&whole).unwrap();
        for (i, (a, b)) in rows.iter().enumerate() {
            let want = matches!((a, b), (Some(a), Some(b)) if *b != 0 && a / b > 0);
            prop_assert_eq!(out.value(i), want, "{:?} {:?}", a, b);
        }
    }

    #[test]
    fn decimals_are_exact_and_round_half_up(a in -10_000_000i64..10_000_000, b in -10_000_000i64..10_000_000) {
        let decimal = |v: i64, scale: i8| -> ArrayRef {
            let array = arrow::array::Decimal128Array::from(vec![i128::from(v)]);
            Arc::new(array.with_precision_and_scale(10, scale).unwrap())
        };
        let rows = batch(vec![decimal(a, 2), decimal(b, 3)]);
        let value = |op| {
            let out = compiled(&binary(op, col(0), col(1)), &rows).evaluate(&rows);
            out.map(|o| o.as_primitive::<arrow::datatypes::Decimal128Type>().value(0))
        };
        let (x, y) = (i128::from(a) * 10, i128::from(b));
        prop_assert_eq!(value(BinaryOp::Add).unwrap(), x + y);
        prop_assert_eq!(value(BinaryOp::Subtract).unwrap(), x - y);
        prop_assert_eq!(value(BinaryOp::Multiply).unwrap(), i128::from(a) * i128::from(b));
        if b == 0 {
            prop_assert!(value(BinaryOp::Divide).is_err());
        } else {
            prop_assert_eq!(value(BinaryOp::Modulo).unwrap(), x % y);
            // DECIMAL(10, 2) / DECIMAL(10, 3) has 13 places: round(x * 10^13 / y), half away from zero.
            let n = x * 10i128.pow(13);
            let magnitude = (n.abs() * 2 + y.abs()) / (y.abs() * 2);
            let want = if (n < 0) == (y < 0) { magnitude } else { -magnitude };
            prop_assert_eq!(value(BinaryOp::Divide).unwrap(), want);
        }
    }
}

#[test]
fn an_empty_batch_and_constants_keep_the_number_of_rows() {
    let rows = rows();
    let none = rows.slice(0, 0);
    for e in [int(5), col(0), binary(BinaryOp::Divide, col(0), col(1)), text("x")] {
        assert_eq!(compiled(&e, &rows).evaluate(&none).unwrap().len(), 0);
    }
    assert_eq!(compiled(&int(5), &rows).evaluate(&rows).unwrap().len(), 5);
}

#[test]
fn coalesce_evaluates_only_what_it_needs() {
    let call = |args| Expr::Call { function: "coalesce".to_owned(), args, data_type: DataType::Int64 };
    assert_eq!(show(&call(vec![col(0), int(-1)])), format!("7|-7|-1|{}|0", i64::MAX));
    let message = error(&call(vec![binary(BinaryOp::Divide, col(0), int(0))]));
    assert!(message.contains("division by zero"), "{message}");
    assert_eq!(show(&call(vec![int(1), binary(BinaryOp::Divide, col(0), int(0))])), "1|1|1|1|1");
}

#[test]
fn months_keep_the_last_day_and_zones_their_offset() {
    use arrow::datatypes::{IntervalUnit, TimeUnit};
    let day = 86_400_000;
    // 2024-01-31T00:00 and 2024-02-29T12:00.
    let times = arrow::array::TimestampMillisecondArray::from(vec![19_753 * day, 19_782 * day + day / 2]);
    let rows = batch(vec![Arc::new(times)]);
    let month = Expr::Literal(Literal {
        data_type: DataType::Interval(IntervalUnit::MonthDayNano),
        value: Value::Interval { months: 1, days: 0, nanoseconds: 0 },
    });
    let e = binary(BinaryOp::Add, col(0), month);
    let out = compiled(&e, &rows).evaluate(&rows).unwrap();
    let field = Field::new("t", out.data_type().clone(), true);
    assert_eq!(display::to_display(&out, 0, &field), "2024-02-29T00:00");
    assert_eq!(display::to_display(&out, 1, &field), "2024-03-29T12:00");
    let call = Expr::Call {
        function: "localtimestamp".to_owned(),
        args: vec![],
        data_type: DataType::Timestamp(TimeUnit::Millisecond, None),
    };
    let clock = clock().in_zone("Europe/Berlin");
    let out = CompiledExpr::new(&call, &rows.schema(), &clock).unwrap().evaluate(&rows).unwrap();
    assert_eq!(display::to_display(&out, 0, &field), "1970-01-01T01:00:01");
}

#[test]
fn every_type_is_shown_as_flink_shows_it() {
    use arrow::array::*;
    let millis = |v: i64| -> ArrayRef { Arc::new(TimestampMillisecondArray::from(vec![v])) };
    let entry = MapFieldNames { entry: "entries".into(), key: "key".into(), value: "value".into() };
    let mut map = MapBuilder::new(Some(entry), StringBuilder::new(), Int32Builder::new());
    map.keys().append_value("k");
    map.values().append_null();
    map.append(true).unwrap();
    let row = StructArray::from(vec![
        (Arc::new(Field::new("a", DataType::Int32, true)), Arc::new(Int32Array::from(vec![1])) as ArrayRef),
        (Arc::new(Field::new("b", DataType::Utf8, true)), Arc::new(StringArray::from(vec![None::<&str>])) as ArrayRef),
    ]);
    let list = ListArray::from_iter_primitive::<arrow::datatypes::Int32Type, _, _>(vec![Some(vec![Some(1), None])]);
    let decimal = Decimal128Array::from(vec![-5]).with_precision_and_scale(10, 2).unwrap();
    let cases: Vec<(ArrayRef, &str)> = vec![
        (Arc::new(BooleanArray::from(vec![true])), "true"),
        (Arc::new(Float64Array::from(vec![1e10])), "1.0E10"),
        (Arc::new(Float32Array::from(vec![0.1])), "0.1"),
        (Arc::new(decimal), "-0.05"),
        (Arc::new(Decimal128Array::from(vec![0]).with_precision_and_scale(23, 13).unwrap()), "0E-13"),
        (Arc::new(Decimal128Array::from(vec![-15]).with_precision_and_scale(10, 8).unwrap()), "-1.5E-7"),
        (Arc::new(Decimal128Array::from(vec![1]).with_precision_and_scale(10, 6).unwrap()), "0.000001"),
        (Arc::new(Date32Array::from(vec![-1])), "1969-12-31"),
        (Arc::new(Time32MillisecondArray::from(vec![36_000_000])), "10:00"),
        (Arc::new(Time32MillisecondArray::from(vec![36_001_500])), "10:00:01.500"),
        (millis(1_767_225_600_000), "2026-01-01T00:00"),
        (millis(1_767_225_600_100), "2026-01-01T00:00:00.100"),
        (millis(-1), "1969-12-31T23:59:59.999"),
        (Arc::new(TimestampMicrosecondArray::from(vec![1_000_010])), "1970-01-01T00:00:01.000010"),
        (Arc::new(TimestampNanosecondArray::from(vec![1])), "1970-01-01T00:00:00.000000001"),
        (Arc::new(TimestampMillisecondArray::from(vec![0]).with_timezone("UTC")), "1970-01-01T00:00:00Z"),
        (Arc::new(BinaryArray::from(vec![&[1u8, 255][..]])), "[1, -1]"),
        (Arc::new(list), "[1, null]"),
        (Arc::new(map.finish()), "{k=null}"),
        (Arc::new(row), "+I[1, null]"),
        (Arc::new(StringArray::from(vec![None::<&str>])), "null"),
    ];
    for (array, want) in cases {
        let field = Field::new("x", array.data_type().clone(), true);
        assert_eq!(display::to_display(&array, 0, &field), want);
    }
}
