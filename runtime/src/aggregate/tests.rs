use super::*;
use crate::operators::testing::{batch, data_type, lines, schema};
use AggregateFunction::*;
use arrow::datatypes::Field;
use proptest::prelude::*;
use std::sync::Arc;

/// `f(arg)` with the result type by the names of the test schemas.
pub(crate) fn call(function: AggregateFunction, args: &[usize], result: &str) -> Aggregate {
    Aggregate {
        function,
        args: args.to_vec(),
        distinct: false,
        filter: None,
        separator: None,
        name: "r".into(),
        data_type: data_type(result),
    }
}

pub(crate) fn distinct(aggregate: Aggregate) -> Aggregate {
    Aggregate { distinct: true, ..aggregate }
}

fn filtered(column: usize, aggregate: Aggregate) -> Aggregate {
    Aggregate { filter: Some(column), ..aggregate }
}

/// The results of one group after these rows.
fn run(columns: &[&str], aggregates: &[Aggregate], rows: &str) -> String {
    let schema = schema(columns);
    let batch = batch(&schema, rows);
    let set = AggregateSet::new(aggregates, &schema, batch.ops.is_some()).unwrap();
    let mut state = set.fresh();
    let inputs = set.inputs(&batch.rows).unwrap();
    for row in 0..batch.len() {
        set.update(&mut state, &inputs, row, batch.adds(row));
    }
    let again = GroupState::decode(&encoded(&state)).unwrap();
    assert_eq!(again, state);
    assert!(again.fits(&set));
    show(&set, &state)
}

fn encoded(state: &GroupState) -> Vec<u8> {
    let mut bytes = vec![];
    state.encode(&mut bytes);
    bytes
}

fn show(set: &AggregateSet, state: &GroupState) -> String {
    let mut results = set.results(1);
    set.finish(state, &mut results);
    let columns = results.into_columns().unwrap();
    let fields: Vec<Field> = columns.iter().map(|c| Field::new("r", c.data_type().clone(), true)).collect();
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    lines(&crate::element::Batch::append(rows))[0].trim_start_matches("+I | ").to_owned()
}

#[test]
fn nulls_are_ignored_and_no_values_give_null() {
    let all = [
        call(Count, &[], "BIGINT"),
        call(Count, &[0], "BIGINT"),
        call(Sum, &[0], "INT"),
        call(Avg, &[0], "INT"),
        call(Min, &[0], "INT"),
        call(Max, &[0], "INT"),
        call(FirstValue, &[0], "INT"),
        call(LastValue, &[0], "INT"),
    ];
    assert_eq!(run(&["a INT"], &all, "NULL\n3\n-8\nNULL"), "4 | 2 | -5 | -2 | -8 | 3 | 3 | -8");
    assert_eq!(run(&["a INT"], &all, "NULL"), "1 | 0 | NULL | NULL | NULL | NULL | NULL | NULL");
    let back = "+I | NULL\n+I | 3\n-D | 3";
    assert_eq!(run(&["a INT"], &all, back), "1 | 0 | NULL | NULL | NULL | NULL | NULL | NULL");
}

#[test]
fn integer_sums_wrap_in_their_own_type_and_averages_cut_off() {
    let all = [call(Sum, &[0], "INT"), call(Avg, &[0], "INT")];
    assert_eq!(run(&["a INT"], &all, "2147483647\n1"), "-2147483648 | 1073741824");
    assert_eq!(run(&["a INT"], &all, "-3\n-4"), "-7 | -3");
    let big = [call(Sum, &[0], "BIGINT")];
    assert_eq!(run(&["a BIGINT"], &big, "9223372036854775807\n1"), "-9223372036854775808");
    assert_eq!(run(&["a TINYINT"], &[call(Sum, &[0], "TINYINT")], "127\n2"), "-127");
    assert_eq!(run(&["a INT"], &[call(Avg, &[0], "DOUBLE")], "1\n2"), "1.5");
}

#[test]
fn decimals_keep_their_scale_and_averages_round_half_up() {
    let all = [call(Sum, &[0], "DECIMAL(38,2)"), call(Avg, &[0], "DECIMAL(38,6)"), call(Min, &[0], "DECIMAL(10,2)")];
    assert_eq!(run(&["a DECIMAL(10,2)"], &all, "1.10\n2.00\n-0.05"), "3.05 | 1.016667 | -0.05");
    assert_eq!(run(&["a DECIMAL(10,2)"], &all, "+I | 1.10\n+I | -2.00\n-D | 1.10"), "-2.00 | -2.000000 | -2.00");
    let rounded = [call(Avg, &[0], "DECIMAL(38,0)")];
    assert_eq!(run(&["a DECIMAL(10,0)"], &rounded, "1\n2"), "2");
    assert_eq!(run(&["a DECIMAL(10,0)"], &rounded, "-1\n-2"), "-2");
    let full = "99999999999999999999999999999999999999\n1";
    assert_eq!(run(&["a DECIMAL(38,0)"], &[call(Sum, &[0], "DECIMAL(38,0)")], full), "NULL");
}

#[test]
fn floats_add_in_their_width_and_nan_is_the_greatest() {
    let single = [call(Sum, &[0], "FLOAT")];
    assert_eq!(run(&["a FLOAT"], &single, "16777216\n1\n1"), "16777216.0");
    let double = [call(Sum, &[0], "DOUBLE"), call(Min, &[0], "DOUBLE"), call(Max, &[0], "DOUBLE")];
    assert_eq!(run(&["a DOUBLE"], &double, "16777216\n1\n-1.5"), "16777215.5 | -1.5 | 16777216.0");
    assert_eq!(run(&["a DOUBLE"], &double[2..], "NaN\n1"), "NaN");
    let residue = "+I | 0.1\n+I | 0.2\n+I | 1e17\n-D | 1e17\n-D | 0.1\n-D | 0.2\n+I | 0.5";
    assert_eq!(run(&["a DOUBLE"], &double[..1], residue), "0.5");
}

#[test]
fn extremes_come_back_when_the_better_value_leaves() {
    let all = [call(Min, &[0], "STRING"), call(Max, &[0], "STRING"), call(Max, &[1], "TIMESTAMP")];
    let columns = ["a STRING", "t TIMESTAMP"];
    assert_eq!(run(&columns, &all, "b | 5\na | 9\nc | 7"), "a | c | 9");
    assert_eq!(run(&columns, &all, "+I | b | 5\n+I | a | 9\n+I | b | 5\n-D | a | 9\n-U | b | 5"), "b | b | 5");
    assert_eq!(run(&columns, &all, "+I | b | 5\n-D | b | 5"), "NULL | NULL | NULL");
}

#[test]
fn edges_and_lists_follow_arrival_and_lose_the_earliest_equal_value() {
    let list = Aggregate { separator: Some("-".into()), ..call(ListAgg, &[0], "STRING") };
    let all = [call(FirstValue, &[0], "STRING"), call(LastValue, &[0], "STRING"), list];
    assert_eq!(run(&["a STRING"], &all, "b\nNULL\na\nc"), "b | c | b-a-c");
    assert_eq!(run(&["a STRING"], &all, "NULL"), "NULL | NULL | NULL");
    let back = "+I | a\n+I | b\n+I | a\n+I | c\n-D | a\n-D | c\n-D | never";
    assert_eq!(run(&["a STRING"], &all, back), "b | a | b-a");
    let collect = Aggregate {
        data_type: DataType::List(Arc::new(Field::new("item", DataType::Int32, true))),
        ..call(Collect, &[0], "INT")
    };
    assert_eq!(run(&["a INT"], std::slice::from_ref(&collect), "3\nNULL\n1\n3"), "[3, 1, 3]");
    assert_eq!(run(&["a INT"], &[collect], "+I | 3\n+I | 1\n+I | 3\n-D | 3"), "[1, 3]");
}

#[test]
fn distinct_counts_a_value_until_its_last_row_has_left() {
    let all =
        [distinct(call(Count, &[0], "BIGINT")), distinct(call(Sum, &[0], "INT")), distinct(call(Avg, &[0], "INT"))];
    assert_eq!(run(&["a INT"], &all, "3\n3\n5\nNULL"), "2 | 8 | 4");
    assert_eq!(run(&["a INT"], &all, "+I | 3\n+I | 3\n-D | 3\n+I | 5\n-D | 5"), "1 | 3 | 3");
    assert_eq!(run(&["a INT"], &all, "+I | 3\n-D | 3"), "0 | NULL | NULL");
    let list = [distinct(call(ListAgg, &[0], "STRING"))];
    assert_eq!(run(&["a STRING"], &list, "b\na\nb"), "b,a");
}

#[test]
fn filters_judge_each_aggregate_alone() {
    let all = [
        call(Count, &[], "BIGINT"),
        filtered(1, call(Count, &[], "BIGINT")),
        filtered(1, call(Sum, &[0], "INT")),
        filtered(1, distinct(call(Count, &[0], "BIGINT"))),
    ];
    let columns = ["a INT NOT NULL", "f BOOLEAN"];
    assert_eq!(run(&columns, &all, "1 | true\n2 | false\n4 | NULL\n1 | true"), "4 | 2 | 2 | 1");
    assert_eq!(run(&columns, &all, "1 | false"), "1 | 0 | NULL | 0");
}

#[test]
fn moments_and_truth() {
    let all = [
        call(VarPop, &[0], "DOUBLE"),
        call(VarSamp, &[0], "DOUBLE"),
        call(StddevPop, &[0], "DOUBLE"),
        call(StddevSamp, &[0], "DOUBLE"),
    ];
    for columns in [["a DOUBLE"], ["a INT"], ["a DECIMAL(5,1)"]] {
        assert_eq!(
            run(&columns, &all, "2\n4\n4\n4\n5\n5\n7\n9\nNULL"),
            "4.0 | 4.571428571428571 | 2.0 | 2.138089935299395"
        );
        assert_eq!(run(&columns, &all, "3"), "0.0 | NULL | 0.0 | NULL");
        assert_eq!(run(&columns, &all, "+I | 3\n-D | 3"), "NULL | NULL | NULL | NULL");
    }
    let extreme = [call(VarPop, &[0], "DOUBLE")];
    assert_eq!(run(&["a BIGINT"], &extreme, "9223372036854775807\n9223372036854775807"), "0.0");
    let truth = [call(BoolAnd, &[0], "BOOLEAN"), call(BoolOr, &[0], "BOOLEAN")];
    assert_eq!(run(&["a BOOLEAN"], &truth, "true\nfalse\nNULL"), "false | true");
    assert_eq!(run(&["a BOOLEAN"], &truth, "+I | true\n+I | false\n-D | false"), "true | true");
    assert_eq!(run(&["a BOOLEAN"], &truth, "NULL"), "NULL | NULL");
}

#[test]
fn what_has_no_meaning_is_refused() {
    let schema = schema(&["a STRING", "b BOOLEAN"]);
    let refuse = |a: Aggregate| AggregateSet::new(&[a], &schema, false).unwrap_err().to_string();
    assert_eq!(refuse(call(Sum, &[0], "INT")), "Sum of Utf8 is not supported");
    assert_eq!(refuse(call(ListAgg, &[1], "STRING")), "ListAgg of Boolean is not supported");
    assert_eq!(refuse(call(Max, &[], "INT")), "Max takes one argument(s), got 0");
}

#[test]
fn a_count_of_all_rows_is_not_kept_twice() {
    let schema = schema(&["a INT"]);
    let set = AggregateSet::new(&[call(Sum, &[0], "INT"), call(Count, &[], "BIGINT")], &schema, true).unwrap();
    assert_eq!(set.clone().with_row_count().words(), set.words());
    let alone = AggregateSet::new(&[call(Count, &[0], "BIGINT")], &schema, true).unwrap().with_row_count();
    assert_eq!(alone.words(), 2);
}

#[test]
fn damaged_state_is_refused() {
    let schema = schema(&["a STRING"]);
    let set = AggregateSet::new(&[call(ListAgg, &[0], "STRING")], &schema, false).unwrap();
    let mut state = set.fresh();
    let rows = batch(&schema, "x\ny");
    set.update(&mut state, &set.inputs(&rows.rows).unwrap(), 0, true);
    let mut bytes = encoded(&state);
    for length in 0..bytes.len() {
        assert!(GroupState::decode(&bytes[..length]).is_err());
    }
    bytes.push(0);
    assert!(GroupState::decode(&bytes).is_err());
}

const COLUMNS: [&str; 5] = ["i BIGINT", "s STRING", "d DECIMAL(20,3)", "b BOOLEAN", "n INT NOT NULL"];

fn every_function() -> Vec<Aggregate> {
    let mut all = vec![
        call(Count, &[], "BIGINT"),
        call(Count, &[1], "BIGINT"),
        call(Sum, &[0], "BIGINT"),
        call(Sum, &[4], "INT"),
        call(Sum, &[2], "DECIMAL(38,3)"),
        call(Avg, &[0], "BIGINT"),
        call(Avg, &[2], "DECIMAL(38,6)"),
        call(VarPop, &[0], "DOUBLE"),
        call(ListAgg, &[1], "STRING"),
        call(BoolAnd, &[3], "BOOLEAN"),
        distinct(call(Count, &[1], "BIGINT")),
        distinct(call(Sum, &[0], "BIGINT")),
    ];
    for (column, name) in [(0, "BIGINT"), (1, "STRING"), (2, "DECIMAL(20,3)"), (4, "INT")] {
        all.extend([Min, Max, FirstValue, LastValue].map(|f| call(f, &[column], name)));
    }
    let filters: Vec<Aggregate> = all.iter().map(|a| filtered(3, a.clone())).collect();
    all.extend(filters);
    all
}

fn any_row() -> impl Strategy<Value = String> {
    let null = |s: BoxedStrategy<String>| prop_oneof![4 => s, 1 => Just("NULL".to_owned())];
    (
        null(prop_oneof![(-3i64..4).boxed(), any::<i64>().boxed()].prop_map(|v| v.to_string()).boxed()),
        null("[abc]{0,2}x".boxed()),
        null((-5000i64..5000).prop_map(|v| format!("{}.{:03}", v / 1000, v.abs() % 1000)).boxed()),
        null(any::<bool>().prop_map(|v| v.to_string()).boxed()),
        -5i32..5,
    )
        .prop_map(|(i, s, d, b, n)| format!("{i} | {s} | {d} | {b} | {n}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Rows that come and go leave the same results as if they had never been.
    #[test]
    fn retracted_rows_leave_no_trace(stay in prop::collection::vec(any_row(), 0..8), go in prop::collection::vec(any_row(), 1..8)) {
        let stayed: Vec<String> = stay.iter().map(|r| format!("+I | {r}")).collect();
        // Those that go arrive first: edges and lists remove the earliest equal value.
        let mut all: Vec<String> = go.iter().map(|r| format!("+I | {r}")).collect();
        all.extend(stayed.iter().cloned());
        all.extend(go.iter().map(|r| format!("-D | {r}")));
        let aggregates = every_function();
        if stayed.is_empty() {
            let results = run(&COLUMNS, &aggregates, &all.join("\n"));
            let empty = run(&COLUMNS, &aggregates, "+I | 1 | a | 1.000 | true | 1\n-D | 1 | a | 1.000 | true | 1");
            prop_assert_eq!(results, empty);
        } else {
            prop_assert_eq!(run(&COLUMNS, &aggregates, &all.join("\n")), run(&COLUMNS, &aggregates, &stayed.join("\n")));
        }
    }

    /// Append-only accumulators agree with those that can retract.
    #[test]
    fn append_only_agrees_with_retracting(rows in prop::collection::vec(any_row(), 1..12)) {
        let marked: Vec<String> = rows.iter().map(|r| format!("+I | {r}")).collect();
        prop_assert_eq!(run(&COLUMNS, &every_function(), &rows.join("\n")), run(&COLUMNS, &every_function(), &marked.join("\n")));
    }

    /// Two parts merged are the whole.
    #[test]
    fn merged_parts_are_the_whole(rows in prop::collection::vec(any_row(), 1..12), cut in 0usize..12, retracts: bool) {
        let schema = schema(&COLUMNS);
        let set = AggregateSet::new(&every_function(), &schema, retracts).unwrap();
        let batch = batch(&schema, &rows.join("\n"));
        let inputs = set.inputs(&batch.rows).unwrap();
        let fold = |range: std::ops::Range<usize>| {
            let mut state = set.fresh();
            range.for_each(|row| set.update(&mut state, &inputs, row, true));
            state
        };
        let cut = cut.min(rows.len());
        let mut merged = fold(0..cut);
        set.merge(&mut merged, &fold(cut..rows.len()));
        prop_assert_eq!(show(&set, &merged), show(&set, &fold(0..rows.len())));
    }
}
