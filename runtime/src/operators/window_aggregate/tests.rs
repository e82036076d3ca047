use super::*;
use crate::aggregate::tests::{call, distinct};
use crate::operators::replay::{Cuts, Event, Subject};
use crate::operators::testing::{Harness, batch, context, schema};
use proptest::prelude::*;
use sluice_core::id::OperatorId;
use sluice_core::plan::{AggregateFunction::*, Changelog, Exchange, Input, Op};
use std::collections::BTreeMap;
use std::sync::Arc;

const TUMBLE: Window = Window::Tumble { size_ms: 10, offset_ms: 0 };
const HOP: Window = Window::Hop { slide_ms: 5, size_ms: 10, offset_ms: 0 };
const CUMULATE: Window = Window::Cumulate { step_ms: 5, size_ms: 15, offset_ms: 0 };
const INPUT: [&str; 4] = ["k BIGINT", "v INT", "s STRING", "t TIMESTAMP"];
const WINDOW: [&str; 3] = ["window_start TIMESTAMP", "window_end TIMESTAMP", "window_time TIMESTAMP"];

fn build(
    window: &Window,
    keys: &[usize],
    aggregates: &[Aggregate],
    output: &[&str],
    cx: &OperatorContext,
) -> Box<dyn Operator> {
    let columns: Vec<&str> = keys.iter().map(|&k| INPUT[k]).chain(output.iter().copied()).chain(WINDOW).collect();
    let node = Node {
        id: OperatorId("id1:window".into()),
        label: "WindowAggregate".into(),
        op: Op::WindowAggregate { window: *window, time: 3, keys: keys.to_vec(), aggregates: aggregates.to_vec() },
        inputs: vec![Input { node: 0, port: Port::Main, exchange: Exchange::Hash(keys.to_vec()) }],
        schema: schema(&columns),
        changelog: Changelog::Append,
        time_column: None,
    };
    let mut fields: Vec<_> = schema(&INPUT).fields().iter().map(|f| f.as_ref().clone()).collect();
    if cx.allowed_lateness_ms < 0 {
        // A negative lateness marks the tests of processing time.
        let metadata = [(sluice_core::plan::TIME_KEY.to_owned(), sluice_core::plan::TIME_PROCESSING.to_owned())];
        fields[3] = fields[3].clone().with_metadata(metadata.into());
    }
    let input = InputShape { schema: Arc::new(arrow::datatypes::Schema::new(fields)), changelog: Changelog::Append };
    crate::operators::build(&node, &[input], cx).unwrap()
}

fn count_and_sum(window: &Window, cx: &OperatorContext) -> Box<dyn Operator> {
    let aggregates = [call(Count, &[], "BIGINT"), call(Sum, &[1], "INT")];
    build(window, &[0], &aggregates, &["n BIGINT", "total INT"], cx)
}

fn harness(window: &Window) -> Harness {
    Harness::new(count_and_sum(window, &context()))
}

fn rows(text: &str) -> Batch {
    batch(&schema(&INPUT), text)
}

#[test]
fn a_window_fires_when_the_watermark_has_passed_its_last_millisecond() {
    let mut h = harness(&TUMBLE);
    h.push(0, rows("1 | 5 | a | 0\n1 | NULL | a | 9\nNULL | 2 | a | -1\n2 | 7 | a | 10"));
    h.watermark(8);
    assert_eq!(h.take(), ["+I | NULL | 1 | 2 | -10 | 0 | -1"]);
    h.watermark(9);
    assert_eq!(h.take(), ["+I | 1 | 2 | 5 | 0 | 10 | 9"]);
    assert_eq!(h.operator.stats().state_rows, 1);
    h.end();
    assert_eq!(h.take(), ["+I | 2 | 1 | 7 | 10 | 20 | 19"]);
    assert_eq!(h.operator.stats().state_rows, 0);
}

#[test]
fn late_rows_are_counted_and_described_where_somebody_wants_them() {
    let mut h = Harness::new(count_and_sum(&TUMBLE, &OperatorContext { emit_late: true, ..context() }));
    h.push(0, rows("1 | 5 | a | 0"));
    h.watermark(9);
    h.push(0, rows("1 | 6 | a\\b | 9\n1 | 7 | b | 12\n2 | NULL | c | NULL\n3 | 0 | d | -5"));
    assert_eq!(h.operator.stats().late_rows, 3);
    assert_eq!(
        h.take_late(),
        [
            r#"+I | id1:window | 9 | {"k":1,"v":6,"s":"a\\b","t":"1970-01-01T00:00:00.009"}"#,
            r#"+I | id1:window | 0 | {"k":2,"v":null,"s":"c","t":null}"#,
            r#"+I | id1:window | -5 | {"k":3,"v":0,"s":"d","t":"1969-12-31T23:59:59.995"}"#,
        ]
    );
    h.end();
    assert_eq!(h.take(), ["+I | 1 | 1 | 5 | 0 | 10 | 9", "+I | 1 | 1 | 7 | 10 | 20 | 19"]);
}

#[test]
fn a_row_too_late_for_its_first_hops_counts_for_the_others() {
    let mut h = harness(&HOP);
    h.push(0, rows("1 | 1 | a | 7"));
    h.watermark(9);
    assert_eq!(h.take(), ["+I | 1 | 1 | 1 | 0 | 10 | 9"]);
    h.push(0, rows("1 | 2 | a | 8\n1 | 4 | a | 3"));
    assert_eq!(h.operator.stats().late_rows, 1);
    h.watermark(14);
    assert_eq!(h.take(), ["+I | 1 | 2 | 3 | 5 | 15 | 14"]);
    h.end();
    assert!(h.take().is_empty());
    assert_eq!(h.operator.stats().state_rows, 0);
}

#[test]
fn hops_are_the_merge_of_their_slices() {
    let mut h = harness(&HOP);
    h.push(0, rows("1 | 1 | a | 2\n2 | 2 | a | 7\n1 | 4 | a | 7"));
    h.end();
    let expected = [
        "+I | 1 | 1 | 1 | -5 | 5 | 4",
        "+I | 1 | 1 | 4 | 5 | 15 | 14",
        "+I | 1 | 2 | 5 | 0 | 10 | 9",
        "+I | 2 | 1 | 2 | 0 | 10 | 9",
        "+I | 2 | 1 | 2 | 5 | 15 | 14",
    ];
    assert_eq!(h.take_sorted(), expected);
}

#[test]
fn cumulating_windows_repeat_the_sum_until_their_size_is_reached() {
    let mut h = harness(&CUMULATE);
    h.push(0, rows("1 | 1 | a | 7\n2 | 2 | a | 12"));
    h.watermark(9);
    assert_eq!(h.take(), ["+I | 1 | 1 | 1 | 0 | 10 | 9"]);
    h.push(0, rows("1 | 4 | a | 2"));
    assert_eq!(h.operator.stats().late_rows, 0);
    h.watermark(14);
    assert_eq!(h.take_sorted(), ["+I | 1 | 2 | 5 | 0 | 15 | 14", "+I | 2 | 1 | 2 | 0 | 15 | 14"]);
    assert_eq!(h.operator.stats().state_rows, 0);
    h.push(0, rows("1 | 4 | a | 2"));
    assert_eq!(h.operator.stats().late_rows, 1);
}

#[test]
fn allowed_lateness_delays_the_result_and_the_watermark_behind_it() {
    let mut h = Harness::new(count_and_sum(&TUMBLE, &OperatorContext { allowed_lateness_ms: 5, ..context() }));
    h.push(0, rows("1 | 1 | a | 2"));
    h.watermark(13);
    h.push(0, rows("1 | 2 | a | 3"));
    assert!(h.take().is_empty());
    assert_eq!(h.operator.output_watermark(EventTime(13)), EventTime(8));
    h.watermark(14);
    assert_eq!(h.take(), ["+I | 1 | 2 | 3 | 0 | 10 | 9"]);
}

#[test]
fn the_clock_closes_windows_of_processing_time_and_no_row_is_late() {
    let mut h = Harness::new(count_and_sum(&TUMBLE, &OperatorContext { allowed_lateness_ms: -1, ..context() }));
    h.push(0, rows("1 | 1 | a | 2"));
    assert_eq!(h.operator.next_timer(), Some(ProcTime(10)));
    h.watermark(1000);
    assert!(h.take().is_empty());
    h.clock(10);
    assert_eq!(h.take(), ["+I | 1 | 1 | 1 | 0 | 10 | 9"]);
    h.push(0, rows("1 | 2 | a | 9"));
    assert_eq!(h.operator.next_timer(), Some(ProcTime(20)));
    h.end();
    assert_eq!(h.take(), ["+I | 1 | 1 | 2 | 10 | 20 | 19"]);
    assert_eq!(h.operator.stats().late_rows, 0);
}

#[test]
fn a_global_window_without_rows_says_nothing() {
    let mut h = Harness::new(build(&TUMBLE, &[], &[call(Count, &[], "BIGINT")], &["n BIGINT"], &context()));
    h.watermark(100);
    assert!(h.take().is_empty());
    h.push(0, rows("1 | 1 | a | 102\n2 | 1 | a | 125\n3 | 1 | a | 104"));
    h.end();
    assert_eq!(h.take(), ["+I | 2 | 100 | 110 | 109", "+I | 1 | 120 | 130 | 129"]);
}

#[test]
fn a_large_window_leaves_in_portions() {
    for window in [TUMBLE, HOP, CUMULATE] {
        let mut operator = count_and_sum(&window, &context());
        let text: Vec<String> = (0..20_000).map(|k| format!("{k} | 1 | a | {}", 5 + k % 7)).collect();
        operator.process(0, rows(&text.join("\n"))).unwrap();
        operator.watermark(EventTime(9)).unwrap();
        let mut sizes = vec![];
        while let Some(out) = operator.next_output().unwrap() {
            sizes.push(out.len());
        }
        let in_window = (0..20_000).filter(|k| 5 + k % 7 < 10).count();
        assert_eq!(sizes.iter().sum::<usize>(), in_window);
        assert!(sizes.iter().all(|&n| n <= 3 * MAX_OUTPUT_ROWS), "{sizes:?}");
    }
}

#[test]
fn extreme_times_neither_panic_nor_get_lost() {
    for window in [TUMBLE, HOP, CUMULATE] {
        let mut h = harness(&window);
        h.push(0, rows("1 | 1 | a | 9223372036854775807\n2 | 1 | a | -9223372036854775808"));
        h.end();
        assert!(h.take().iter().any(|l| l.starts_with("+I | 1 | 1 | 1 ")));
    }
}

/// More lateness after a restore must not fire a window twice, less must not lose one.
#[test]
fn a_changed_lateness_neither_repeats_nor_loses_a_window() {
    let cx = |lateness| OperatorContext { allowed_lateness_ms: lateness, ..context() };
    for (window, before, after) in [(TUMBLE, 0, 50), (TUMBLE, 50, 0), (HOP, 0, 50), (HOP, 50, 0), (CUMULATE, 0, 50)] {
        let mut h = Harness::new(count_and_sum(&window, &cx(before)));
        h.push(0, rows("1 | 1 | a | 2\n2 | 1 | a | 21"));
        h.watermark(20);
        let snapshot = h.snapshot(1, Scope::Full);
        let mut all = h.take();
        let mut h = Harness::new(count_and_sum(&window, &cx(after)));
        h.restore(&[&snapshot], 0..128, 20);
        h.end();
        all.extend(h.take());
        all.sort();
        let mut undisturbed = harness(&window);
        undisturbed.push(0, rows("1 | 1 | a | 2\n2 | 1 | a | 21"));
        undisturbed.end();
        assert_eq!(all, undisturbed.take_sorted(), "{window:?} {before} -> {after}");
    }
}

/// Per window (end, start) and key: rows and total.
type Open = BTreeMap<(i64, i64, Option<i64>), (i64, Option<i64>)>;

/// What the windows give, by the definition: every row in each of its windows that is still open.
fn model(window: &Window, lateness: i64, events: &[ModelEvent]) -> Vec<String> {
    let grid = WindowGrid::new(window).unwrap();
    let mut open = Open::new();
    let (mut closed, mut output) = (i64::MIN, vec![]);
    for event in events {
        match event {
            ModelEvent::Row(k, v, t) => {
                for w in grid.windows(*t).filter(|w| w.end > closed) {
                    let (n, total) = open.entry((w.end, w.start, *k)).or_default();
                    *n += 1;
                    *total = match (*total, v) {
                        (a, None) => a,
                        (a, Some(v)) => Some(a.unwrap_or(0) + v),
                    };
                }
            }
            ModelEvent::Watermark(w) => {
                closed = closed.max(closed_through(EventTime(*w), lateness));
                let later = open.split_off(&(closed.saturating_add(1), i64::MIN, None));
                for ((end, start, k), (n, total)) in std::mem::replace(&mut open, later) {
                    output.push(format!("+I | {} | {n} | {} | {start} | {end} | {}", show(k), show(total), end - 1));
                }
            }
        }
    }
    output.sort();
    output
}

fn show(v: Option<i64>) -> String {
    v.map_or("NULL".into(), |v| v.to_string())
}

#[derive(Clone, Debug)]
enum ModelEvent {
    Row(Option<i64>, Option<i64>, i64),
    Watermark(i64),
}

fn any_events() -> impl Strategy<Value = Vec<ModelEvent>> {
    let row = (prop::option::of(0i64..6), prop::option::of(-5i64..5), -20i64..60);
    let event = prop_oneof![
        6 => row.prop_map(|(k, v, t)| ModelEvent::Row(k, v, t)),
        1 => (-20i64..60).prop_map(ModelEvent::Watermark),
    ];
    prop::collection::vec(event, 0..60).prop_map(|mut events| {
        let mut high = i64::MIN;
        for event in &mut events {
            if let ModelEvent::Watermark(w) = event {
                high = high.max(*w);
                *w = high;
            }
        }
        events.push(ModelEvent::Watermark(i64::MAX));
        events
    })
}

/// Rows between two watermarks in batches of `size`.
fn batches(events: &[ModelEvent], size: usize) -> Vec<Event> {
    let mut out = vec![];
    let mut text: Vec<String> = vec![];
    let flush = |text: &mut Vec<String>, out: &mut Vec<Event>| {
        if !text.is_empty() {
            out.push(Event::Rows(0, rows(&std::mem::take(text).join("\n"))));
        }
    };
    for event in events {
        match event {
            ModelEvent::Row(k, v, t) => {
                text.push(format!("{} | {} | x{} | {t}", show(*k), show(*v), show(*v)));
                if text.len() >= size {
                    flush(&mut text, &mut out);
                }
            }
            ModelEvent::Watermark(w) => {
                flush(&mut text, &mut out);
                out.push(Event::Watermark(*w));
            }
        }
    }
    out
}

fn any_window() -> impl Strategy<Value = Window> {
    prop_oneof![
        (1i64..30, -9i64..9).prop_map(|(size_ms, offset_ms)| Window::Tumble { size_ms, offset_ms }),
        (1i64..12, 1i64..30, -9i64..9).prop_map(|(slide_ms, size_ms, offset_ms)| Window::Hop {
            slide_ms,
            size_ms,
            offset_ms
        }),
        (1i64..9, 1i64..6, -9i64..9).prop_map(|(step_ms, n, offset_ms)| Window::Cumulate {
            step_ms,
            size_ms: step_ms * n,
            offset_ms
        }),
    ]
}

/// Three shapes of state: words by words, words by bytes, kept values.
fn shape(i: usize, window: &Window, cx: &OperatorContext) -> (Box<dyn Operator>, Vec<usize>) {
    let counts = [call(Count, &[], "BIGINT"), call(Sum, &[1], "INT")];
    let kept = [call(Min, &[2], "STRING"), distinct(call(Count, &[1], "BIGINT")), call(Avg, &[1], "INT")];
    match i {
        0 => (build(window, &[0], &counts, &["n BIGINT", "total INT"], cx), vec![0]),
        1 => (build(window, &[2, 0], &counts, &["n BIGINT", "total INT"], cx), vec![2, 0]),
        _ => (build(window, &[0], &kept, &["m STRING", "d BIGINT", "a INT"], cx), vec![0]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn windows_are_what_their_definition_says(
        window in any_window(), events in any_events(), size in 1usize..20, lateness in prop_oneof![Just(0i64), 0i64..20]
    ) {
        let cx = OperatorContext { allowed_lateness_ms: lateness, ..context() };
        let subject = Subject { build: &|| count_and_sum(&window, &cx), keys: &[vec![0]] };
        let mut got = subject.straight(&batches(&events, size));
        got.sort();
        prop_assert_eq!(got, model(&window, lateness, &events));
    }

    #[test]
    fn a_restore_at_another_parallelism_changes_nothing(
        window in any_window(), events in any_events(), size in 1usize..8, kind in 0usize..3,
        barriers in prop::collection::btree_set(0usize..30, 1..5), budget in 1usize..9, parallelism in 1usize..5
    ) {
        let cx = context();
        let keys = shape(kind, &window, &cx).1;
        let subject = Subject { build: &|| shape(kind, &window, &cx).0, keys: &[keys] };
        let events = batches(&events, size);
        let cuts = Cuts { barriers: barriers.into_iter().collect(), budget, parallelism };
        let (mut straight, mut interrupted) = (subject.straight(&events), subject.interrupted(&events, &cuts));
        straight.sort();
        interrupted.sort();
        prop_assert_eq!(straight, interrupted);
    }
}
