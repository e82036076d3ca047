use super::*;
use crate::operators::build;
use crate::operators::replay::{Cuts, Event, Subject, rows_of};
use crate::operators::testing::{Harness, batch, context, materialize, schema};
use arrow::datatypes::{Field, Schema};
use proptest::prelude::*;
use sluice_core::id::OperatorId;
use sluice_core::plan::expr::{BinaryOp, Expr};
use sluice_core::plan::{Changelog, Input, Op, TIME_KEY, TIME_PROCESSING};

const KINDS: [JoinKind; 6] =
    [JoinKind::Inner, JoinKind::Left, JoinKind::Right, JoinKind::Full, JoinKind::Semi, JoinKind::Anti];

fn table() -> SchemaRef {
    schema(&["k INT", "e TIMESTAMP", "v INT"])
}

fn build_join(kind: JoinKind, residual: bool, input: &SchemaRef, cx: &OperatorContext) -> Box<dyn Operator> {
    let fields: Vec<Field> = input.fields().iter().map(|f| Field::clone(f)).collect();
    let left_only = matches!(kind, JoinKind::Semi | JoinKind::Anti);
    let output = if left_only { fields.clone() } else { [fields.clone(), fields].concat() };
    let column = |i| Box::new(Expr::Column(i));
    let node = Node {
        id: OperatorId("window join".into()),
        label: "WindowJoin".into(),
        op: Op::WindowJoin {
            kind,
            left_keys: vec![0],
            right_keys: vec![0],
            left_end: 1,
            right_end: 1,
            residual: residual.then(|| Expr::Binary { op: BinaryOp::Lt, left: column(2), right: column(5) }),
        },
        inputs: [0, 1].map(|node| Input { node, port: Port::Main, exchange: Exchange::Hash(vec![0]) }).to_vec(),
        schema: Arc::new(Schema::new(output)),
        changelog: Changelog::Append,
        time_column: None,
    };
    let shape = || InputShape { schema: Arc::clone(input), changelog: Changelog::Append };
    build(&node, &[shape(), shape()], cx).unwrap()
}

#[test]
fn a_window_is_joined_when_it_ends_and_then_forgotten() {
    let mut harness = Harness::new(build_join(JoinKind::Full, false, &table(), &context()));
    harness.push(0, batch(&table(), "1 | 10 | 1\n1 | 20 | 2\nNULL | 10 | 3"));
    harness.push(1, batch(&table(), "1 | 10 | 4\n2 | 10 | 5\nNULL | 10 | 6"));
    harness.watermark(8);
    assert_eq!(harness.take(), [""; 0]);
    harness.watermark(9);
    assert_eq!(
        harness.take(),
        [
            "+I | 1 | 10 | 1 | 1 | 10 | 4",
            "+I | NULL | 10 | 3 | NULL | NULL | NULL",
            "+I | NULL | NULL | NULL | 2 | 10 | 5",
            "+I | NULL | NULL | NULL | NULL | 10 | 6",
        ]
    );
    assert_eq!(harness.operator.stats().state_rows, 1);
    harness.end();
    assert_eq!(harness.take(), ["+I | 1 | 20 | 2 | NULL | NULL | NULL"]);
    assert_eq!(harness.operator.stats().state_rows, 0);
}

#[test]
fn rows_of_a_window_that_is_over_are_late() {
    let cx = OperatorContext { emit_late: true, ..context() };
    let mut harness = Harness::new(build_join(JoinKind::Left, false, &table(), &cx));
    harness.watermark(9);
    harness.push(0, batch(&table(), "1 | 10 | 1\n1 | NULL | 2\n1 | 11 | 3"));
    assert_eq!(harness.operator.stats().late_rows, 2);
    assert_eq!(harness.take_late().len(), 2);
    harness.end();
    assert_eq!(harness.take(), ["+I | 1 | 11 | 3 | NULL | NULL | NULL"]);
}

#[test]
fn windows_of_the_clock_end_with_the_clock() {
    let fields = table().fields().iter().map(|f| f.as_ref().clone()).collect::<Vec<_>>();
    let fields = fields.into_iter().map(|f| {
        let metadata = std::collections::HashMap::from([(TIME_KEY.to_owned(), TIME_PROCESSING.to_owned())]);
        if f.name() == "e" { f.with_metadata(metadata) } else { f }
    });
    let table: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let mut harness = Harness::new(build_join(JoinKind::Inner, false, &table, &context()));
    harness.push(0, batch(&table, "1 | 10 | 1"));
    harness.push(1, batch(&table, "1 | 10 | 2"));
    harness.watermark(100);
    assert_eq!(harness.take(), [""; 0]);
    assert_eq!(harness.operator.next_timer(), Some(ProcTime(9)));
    harness.clock(9);
    assert_eq!(harness.take(), ["+I | 1 | 10 | 1 | 1 | 10 | 2"]);
    assert_eq!((harness.operator.next_timer(), harness.operator.stats().state_rows), (None, 0));
}

/// 300 rows meet 300 in one window.
#[test]
fn a_window_that_explodes_is_drained_in_portions() {
    let mut operator = build_join(JoinKind::Inner, false, &table(), &context());
    let rows = batch(&table(), &"1 | 10 | 1\n".repeat(300));
    for input in [0, 1] {
        operator.process(input, rows.clone()).unwrap();
        assert!(operator.next_output().unwrap().is_none());
    }
    operator.watermark(EventTime(9)).unwrap();
    let mut count = 0;
    while let Some(out) = operator.next_output().unwrap() {
        assert!(out.len() <= MAX_OUTPUT_ROWS);
        count += out.len();
    }
    assert_eq!(count, 90_000);
}

/// Nested loops.
fn oracle(kind: JoinKind, residual: bool, left: &[String], right: &[String]) -> Vec<String> {
    let cells = |lines: &[String]| -> Vec<Vec<String>> {
        lines.iter().map(|l| l.split(" | ").skip(1).map(str::to_owned).collect()).collect()
    };
    let (left, right) = (cells(left), cells(right));
    let value = |cell: &String| cell.parse::<i64>().ok();
    let matches = |l: &Vec<String>, r: &Vec<String>| {
        let less = matches!((value(&l[2]), value(&r[2])), (Some(v), Some(w)) if v < w);
        l[0] != "NULL" && l[0] == r[0] && l[1] == r[1] && (!residual || less)
    };
    let none = "NULL | NULL | NULL";
    let mut out = vec![];
    for l in &left {
        let partners: Vec<_> = right.iter().filter(|r| matches(l, r)).collect();
        let alone = match kind {
            JoinKind::Semi => !partners.is_empty(),
            JoinKind::Anti => partners.is_empty(),
            _ => {
                out.extend(partners.iter().map(|r| format!("{} | {}", l.join(" | "), r.join(" | "))));
                if partners.is_empty() && is_outer(kind, Side::Left) {
                    out.push(format!("{} | {none}", l.join(" | ")));
                }
                false
            }
        };
        out.extend(alone.then(|| l.join(" | ")));
    }
    for r in right.iter().filter(|r| is_outer(kind, Side::Right) && !left.iter().any(|l| matches(l, r))) {
        out.push(format!("{none} | {}", r.join(" | ")));
    }
    out.sort();
    out
}

/// Input, key (0 is NULL), value (0 is NULL), window; every so many rows the watermark goes on by one window.
fn events(steps: &[(usize, u8, u8, u8)], cut_at: usize, stride: usize) -> Vec<Event> {
    let cell = |v: u8| if v == 0 { "NULL".to_owned() } else { v.to_string() };
    let (mut out, mut now) = (vec![], 0);
    for (n, some) in steps.chunks(cut_at).enumerate() {
        for input in [0, 1] {
            let line = |(_, k, v, w): &(usize, u8, u8, u8)| {
                format!("{} | {} | {}\n", cell(*k), now + 10 * (1 + i64::from(*w)), cell(*v))
            };
            let text: String = some.iter().filter(|s| s.0 == input).map(line).collect();
            if !text.is_empty() {
                out.push(Event::Rows(input, batch(&table(), &text)));
            }
        }
        if n % stride == 0 {
            out.push(Event::Watermark(now + 9));
            now += 10;
        }
    }
    out.push(Event::Watermark(i64::MAX));
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_result_is_that_of_nested_loops_also_after_a_restore(
        kind in prop::sample::select(KINDS.to_vec()), residual: bool,
        steps in prop::collection::vec((0..2usize, 0..4u8, 0..4u8, 0..3u8), 1..100),
        cut_at in 1..12usize, stride in 1..4usize,
        barriers in prop::collection::btree_set(0..30usize, 1..4), budget in 1..20usize, parallelism in 1..5usize,
    ) {
        let events = events(&steps, cut_at, stride);
        let subject = Subject { build: &|| build_join(kind, residual, &table(), &context()), keys: &[vec![0], vec![0]] };
        let straight = materialize(&subject.straight(&events));
        prop_assert_eq!(&straight, &oracle(kind, residual, &rows_of(&events, 0), &rows_of(&events, 1)));
        let cuts = Cuts { barriers: barriers.into_iter().collect(), budget, parallelism };
        prop_assert_eq!(materialize(&subject.interrupted(&events, &cuts)), straight);
    }
}
