use super::*;
use arrow::array::{Float64Array, Int64Array, StringArray};
use arrow::datatypes::{Field, Schema};
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
