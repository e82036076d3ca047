use super::*;
use crate::operators::build;
use crate::operators::replay::{Cuts, Event, Subject, rows_of};
use crate::operators::testing::{Harness, batch, context, materialize, schema};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use proptest::prelude::*;
use sluice_core::id::OperatorId;
use sluice_core::plan::{Changelog, Exchange, Input, Op};
use std::sync::Arc;

fn table() -> SchemaRef {
    schema(&["p INT", "e TIMESTAMP", "v INT"])
}

fn build_top(offset: u64, limit: u64, cx: &OperatorContext) -> Box<dyn Operator> {
    let mut fields: Vec<Field> = table().fields().iter().map(|f| Field::clone(f)).collect();
    fields.push(Field::new("rn", DataType::Int64, false));
    let order = vec![SortKey { column: 2, descending: true, nulls_first: false }];
    let node = Node {
        id: OperatorId("window top".into()),
        label: "WindowTopN".into(),
        op: Op::WindowTopN { end: 1, partition: vec![0], order, offset, limit, emit_row_number: true },
        inputs: vec![Input { node: 0, port: Port::Main, exchange: Exchange::Hash(vec![0]) }],
        schema: Arc::new(Schema::new(fields)),
        changelog: Changelog::Append,
        time_column: None,
    };
    build(&node, &[InputShape { schema: table(), changelog: Changelog::Append }], cx).unwrap()
}

#[test]
fn the_first_rows_come_when_their_window_ends() {
    let cx = OperatorContext { emit_late: true, ..context() };
    let mut harness = Harness::new(build_top(0, 2, &cx));
    harness.push(0, batch(&table(), "1 | 10 | 5\n1 | 10 | 7\n1 | 10 | NULL\n2 | 10 | 1\n1 | 20 | 9\n1 | 10 | 7"));
    assert_eq!(harness.operator.stats().state_rows, 4);
    harness.watermark(9);
    assert_eq!(harness.take(), ["+I | 1 | 10 | 7 | 1", "+I | 1 | 10 | 7 | 2", "+I | 2 | 10 | 1 | 1"]);
    harness.push(0, batch(&table(), "1 | 10 | 100\n1 | 20 | 1"));
    assert_eq!((harness.operator.stats().late_rows, harness.take_late().len()), (1, 1));
    harness.end();
    assert_eq!(harness.take(), ["+I | 1 | 20 | 9 | 1", "+I | 1 | 20 | 1 | 2"]);
    assert_eq!(harness.operator.stats().state_rows, 0);
}

#[test]
fn a_window_of_many_partitions_is_drained_in_portions() {
    let mut operator = build_top(0, 2, &context());
    let text: Vec<String> = (0..10_000).map(|p| format!("{p} | 10 | 1")).collect();
    operator.process(0, batch(&table(), &text.join("\n"))).unwrap();
    operator.watermark(EventTime(9)).unwrap();
    let mut rows = 0;
    while let Some(out) = operator.next_output().unwrap() {
        assert!(out.len() <= MAX_OUTPUT_ROWS && out.ops.is_none());
        rows += out.len();
    }
    assert_eq!(rows, 10_000);
}

fn oracle((offset, limit): (u64, u64), lines: &[String]) -> Vec<String> {
    let mut groups: BTreeMap<(&str, &str), Vec<(i64, &str)>> = BTreeMap::new();
    for line in lines {
        let row = line.strip_prefix("+I | ").unwrap();
        let cells: Vec<&str> = row.split(" | ").collect();
        let value = cells[2].parse().map_or(i64::MAX, |v: i64| -v);
        groups.entry((cells[0], cells[1])).or_default().push((value, row));
    }
    let mut out = vec![];
    for mut rows in groups.into_values() {
        rows.sort_by_key(|r| r.0);
        let ranked = rows.iter().enumerate().take(limit as usize).skip(offset as usize);
        out.extend(ranked.map(|(i, (_, row))| format!("{row} | {}", i + 1)));
    }
    out.sort();
    out
}

/// Partition (0 is NULL), value (0 is NULL), window.
fn events(steps: &[(u8, u8, u8)], cut_at: usize) -> Vec<Event> {
    let cell = |v: u8| if v == 0 { "NULL".to_owned() } else { v.to_string() };
    let (mut out, mut now) = (vec![], 0);
    for some in steps.chunks(cut_at) {
        let line =
            |(p, v, w): &(u8, u8, u8)| format!("{} | {} | {}\n", cell(*p), now + 10 * (1 + i64::from(*w)), cell(*v));
        out.push(Event::Rows(0, batch(&table(), &some.iter().map(line).collect::<String>())));
        out.push(Event::Watermark(now + 9));
        now += 10;
    }
    out.push(Event::Watermark(i64::MAX));
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_result_is_that_of_sorting_each_window_also_after_a_restore(
        offset in 0..2u64, n in 1..3u64, steps in prop::collection::vec((0..4u8, 0..5u8, 0..3u8), 1..100),
        cut_at in 1..12usize, barriers in prop::collection::btree_set(0..30usize, 1..4), budget in 1..20usize,
        parallelism in 1..5usize,
    ) {
        let events = events(&steps, cut_at);
        let subject = Subject { build: &|| build_top(offset, offset + n, &context()), keys: &[vec![0]] };
        let straight = materialize(&subject.straight(&events));
        prop_assert_eq!(&straight, &oracle((offset, offset + n), &rows_of(&events, 0)));
        let cuts = Cuts { barriers: barriers.into_iter().collect(), budget, parallelism };
        prop_assert_eq!(materialize(&subject.interrupted(&events, &cuts)), straight);
    }
}
