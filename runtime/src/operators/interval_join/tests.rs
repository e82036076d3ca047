use super::*;
use crate::operators::build;
use crate::operators::replay::{Cuts, Event, Subject, rows_of};
use crate::operators::testing::{Harness, batch, context, materialize, schema};
use arrow::datatypes::{Field, Schema, SchemaRef};
use proptest::prelude::*;
use sluice_core::id::OperatorId;
use sluice_core::plan::{Changelog, Exchange, Input, Op};
use std::sync::Arc;

const KINDS: [JoinKind; 4] = [JoinKind::Inner, JoinKind::Left, JoinKind::Right, JoinKind::Full];

fn table() -> SchemaRef {
    schema(&["k INT", "t TIMESTAMP", "v INT"])
}

fn build_join(kind: JoinKind, (lower_ms, upper_ms): (i64, i64), cx: &OperatorContext) -> Box<dyn Operator> {
    let fields: Vec<Field> = table().fields().iter().map(|f| Field::clone(f)).collect();
    let node = Node {
        id: OperatorId("interval join".into()),
        label: "IntervalJoin".into(),
        op: Op::IntervalJoin {
            kind,
            left_keys: vec![0],
            right_keys: vec![0],
            left_time: 1,
            right_time: 1,
            lower_ms,
            upper_ms,
            residual: None,
        },
        inputs: [0, 1].map(|node| Input { node, port: Port::Main, exchange: Exchange::Hash(vec![0]) }).to_vec(),
        schema: Arc::new(Schema::new([fields.clone(), fields].concat())),
        changelog: Changelog::Append,
        time_column: None,
    };
    let shape = || InputShape { schema: table(), changelog: Changelog::Append };
    build(&node, &[shape(), shape()], cx).unwrap()
}

fn harness(kind: JoinKind, bounds: (i64, i64)) -> Harness {
    Harness::new(build_join(kind, bounds, &context()))
}

#[test]
fn both_bounds_belong_to_the_interval() {
    let mut harness = harness(JoinKind::Inner, (-5, 10));
    harness.push(1, batch(&table(), "1 | 100 | 0"));
    harness.push(0, batch(&table(), "1 | 94 | 1\n1 | 95 | 2\n1 | 110 | 3\n1 | 111 | 4\n2 | 100 | 5\nNULL | 100 | 6"));
    harness.push(1, batch(&table(), "NULL | 100 | 7\n1 | 101 | 8"));
    assert_eq!(
        harness.take(),
        [
            "+I | 1 | 95 | 2 | 1 | 100 | 0",
            "+I | 1 | 110 | 3 | 1 | 100 | 0",
            "+I | 1 | 110 | 3 | 1 | 101 | 8",
            "+I | 1 | 111 | 4 | 1 | 101 | 8"
        ]
    );
}

#[test]
fn a_row_waits_until_no_row_on_time_can_match_it() {
    // A left row of 100 matches right rows up to 105.
    let mut harness = harness(JoinKind::Full, (-5, 0));
    harness.push(0, batch(&table(), "1 | 100 | 0\n1 | 101 | 1"));
    harness.watermark(105);
    assert_eq!(harness.take(), [""; 0]);
    harness.push(1, batch(&table(), "1 | 106 | 2"));
    assert_eq!(harness.take(), ["+I | 1 | 101 | 1 | 1 | 106 | 2"]);
    harness.watermark(106);
    assert_eq!(harness.take(), ["+I | 1 | 100 | 0 | NULL | NULL | NULL"]);
    harness.end();
    assert_eq!(harness.take(), [""; 0]);
    assert_eq!(harness.operator.stats().state_rows, 0);
}

#[test]
fn a_late_row_meets_what_is_there_and_is_padded_or_lost() {
    let mut full = harness(JoinKind::Full, (-10, 10));
    let cx = OperatorContext { emit_late: true, ..context() };
    let mut inner = Harness::new(build_join(JoinKind::Inner, (-10, 10), &cx));
    for harness in [&mut full, &mut inner] {
        harness.push(1, batch(&table(), "1 | 100 | 0"));
        harness.watermark(105);
        harness.take();
        harness.push(0, batch(&table(), "1 | 92 | 1\n1 | 80 | 2\n1 | NULL | 3"));
    }
    let joined = "+I | 1 | 92 | 1 | 1 | 100 | 0";
    let alone = ["+I | 1 | 80 | 2 | NULL | NULL | NULL", "+I | 1 | NULL | 3 | NULL | NULL | NULL"];
    assert_eq!(full.take(), [joined, alone[0], alone[1]]);
    assert_eq!(inner.take(), [joined]);
    assert_eq!((full.operator.stats().late_rows, inner.operator.stats().late_rows), (0, 2));
    assert_eq!(inner.take_late().len(), 2);
}

#[test]
fn the_watermark_downstream_waits_for_rows_that_wait() {
    let output = |bounds| build_join(JoinKind::Left, bounds, &context()).output_watermark(EventTime(1000)).0;
    // Left rows wait 5 ms behind the watermark, right rows 10 ms; the one that is exactly due still waits.
    assert_eq!(output((-5, 10)), 989);
    assert_eq!(output((-20, 10)), 979);
    assert_eq!(build_join(JoinKind::Left, (-5, 10), &context()).output_watermark(EventTime::MAX), EventTime::MAX);
    assert_eq!(build_join(JoinKind::Left, (-5, 10), &context()).output_watermark(EventTime::MIN), EventTime::MIN);
}

/// Nested loops over rows that were on time.
fn oracle(kind: JoinKind, (lower, upper): (i64, i64), left: &[String], right: &[String]) -> Vec<String> {
    let cells = |lines: &[String]| -> Vec<Vec<String>> {
        lines.iter().map(|l| l.split(" | ").skip(1).map(str::to_owned).collect()).collect()
    };
    let (left, right) = (cells(left), cells(right));
    let time = |row: &Vec<String>| row[1].parse::<i64>().unwrap();
    let matches = |l: &Vec<String>, r: &Vec<String>| {
        let apart = time(l) - time(r);
        l[0] != "NULL" && l[0] == r[0] && lower <= apart && apart <= upper
    };
    let none = "NULL | NULL | NULL";
    let mut out = vec![];
    for l in &left {
        let partners: Vec<_> = right.iter().filter(|r| matches(l, r)).collect();
        out.extend(partners.iter().map(|r| format!("{} | {}", l.join(" | "), r.join(" | "))));
        if partners.is_empty() && is_outer(kind, Side::Left) {
            out.push(format!("{} | {none}", l.join(" | ")));
        }
    }
    for r in right.iter().filter(|r| is_outer(kind, Side::Right) && !left.iter().any(|l| matches(l, r))) {
        out.push(format!("{none} | {}", r.join(" | ")));
    }
    out.sort();
    out
}

/// Input, key (0 is NULL), time ahead of the watermark.
fn events(steps: &[(usize, u8, u8)], cut_at: usize, pace: i64) -> Vec<Event> {
    let cell = |v: u8| if v == 0 { "NULL".to_owned() } else { v.to_string() };
    let (mut out, mut now) = (vec![], 0);
    for some in steps.chunks(cut_at) {
        for input in [0, 1] {
            let line = |(i, (_, k, ahead)): (usize, &(usize, u8, u8))| {
                format!("{} | {} | {i}\n", cell(*k), now + 1 + i64::from(*ahead))
            };
            let text: String = some.iter().filter(|s| s.0 == input).enumerate().map(line).collect();
            if !text.is_empty() {
                out.push(Event::Rows(input, batch(&table(), &text)));
            }
        }
        now += pace;
        out.push(Event::Watermark(now));
    }
    out.push(Event::Watermark(i64::MAX));
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_result_is_that_of_nested_loops_also_after_a_restore(
        kind in prop::sample::select(KINDS.to_vec()), lower in -12..6i64, length in 0..15i64,
        steps in prop::collection::vec((0..2usize, 0..4u8, 0..12u8), 1..100), cut_at in 1..12usize, pace in 0..9i64,
        barriers in prop::collection::btree_set(0..40usize, 1..4), budget in 1..20usize, parallelism in 1..5usize,
    ) {
        let bounds = (lower, lower + length);
        let events = events(&steps, cut_at, pace);
        let subject = Subject { build: &|| build_join(kind, bounds, &context()), keys: &[vec![0], vec![0]] };
        let straight = materialize(&subject.straight(&events));
        prop_assert_eq!(&straight, &oracle(kind, bounds, &rows_of(&events, 0), &rows_of(&events, 1)));
        let cuts = Cuts { barriers: barriers.into_iter().collect(), budget, parallelism };
        prop_assert_eq!(materialize(&subject.interrupted(&events, &cuts)), straight);
    }

    /// No row comes out at or behind the watermark that was promised before.
    #[test]
    fn the_promised_watermark_is_kept(
        lower in -12..6i64, length in 0..15i64,
        steps in prop::collection::vec((0..2usize, 0..3u8, 0..12u8), 1..60), cut_at in 1..8usize, pace in 0..9i64,
    ) {
        let mut harness = harness(JoinKind::Full, (lower, lower + length));
        let mut promised = i64::MIN;
        for event in events(&steps, cut_at, pace) {
            match event {
                Event::Rows(input, ref rows) => harness.push(input, rows.clone()),
                Event::Watermark(w) => harness.watermark(w),
                Event::Clock(ms) => harness.clock(ms),
            }
            for line in harness.take() {
                let cells: Vec<&str> = line.split(" | ").collect();
                for time in [cells[2], cells[5]].iter().filter_map(|t| t.parse::<i64>().ok()) {
                    prop_assert!(time > promised, "{line} after the watermark {promised}");
                }
            }
            if let Event::Watermark(w) = event {
                promised = harness.operator.output_watermark(EventTime(w)).0;
            }
        }
    }
}
