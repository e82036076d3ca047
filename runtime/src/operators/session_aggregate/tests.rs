use super::*;
use crate::aggregate::tests::{call, distinct};
use crate::operators::replay::{Cuts, Event, Subject};
use crate::operators::testing::{Harness, batch, context, schema};
use proptest::prelude::*;
use sluice_core::id::OperatorId;
use sluice_core::plan::{AggregateFunction::*, Changelog, Exchange, Input, Op, Window};

const GAP: i64 = 10;
const INPUT: [&str; 3] = ["k BIGINT", "v INT", "t TIMESTAMP"];
const WINDOW: [&str; 3] = ["window_start TIMESTAMP", "window_end TIMESTAMP", "window_time TIMESTAMP"];

fn build(keys: &[usize], aggregates: &[Aggregate], output: &[&str], cx: &OperatorContext) -> Box<dyn Operator> {
    let columns: Vec<&str> = keys.iter().map(|&k| INPUT[k]).chain(output.iter().copied()).chain(WINDOW).collect();
    let window = Window::Session { gap_ms: GAP };
    let node = Node {
        id: OperatorId("id1:session".into()),
        label: "SessionAggregate".into(),
        op: Op::WindowAggregate { window, time: 2, keys: keys.to_vec(), aggregates: aggregates.to_vec() },
        inputs: vec![Input { node: 0, port: Port::Main, exchange: Exchange::Hash(keys.to_vec()) }],
        schema: schema(&columns),
        changelog: Changelog::Append,
        time_column: None,
    };
    let input = InputShape { schema: schema(&INPUT), changelog: Changelog::Append };
    crate::operators::build(&node, &[input], cx).unwrap()
}

fn count_and_sum(cx: &OperatorContext) -> Box<dyn Operator> {
    build(&[0], &[call(Count, &[], "BIGINT"), call(Sum, &[1], "INT")], &["n BIGINT", "total INT"], cx)
}

fn rows(text: &str) -> Batch {
    batch(&schema(&INPUT), text)
}

#[test]
fn a_session_grows_until_the_gap_and_fires_at_its_end() {
    let mut h = Harness::new(count_and_sum(&context()));
    h.push(0, rows("1 | 1 | 0\n1 | 2 | 9\n2 | 5 | 3\n1 | 4 | 30"));
    h.watermark(12);
    assert_eq!(h.take(), ["+I | 2 | 1 | 5 | 3 | 13 | 12"]);
    h.watermark(17);
    assert!(h.take().is_empty());
    h.push(0, rows("1 | 8 | 19"));
    h.watermark(29);
    assert_eq!(h.take(), ["+I | 1 | 3 | 11 | 0 | 29 | 28"]);
    h.end();
    assert_eq!(h.take(), ["+I | 1 | 1 | 4 | 30 | 40 | 39"]);
    assert_eq!(h.operator.stats().state_rows, 0);
}

#[test]
fn a_bridge_merges_sessions_and_touching_ones_are_one() {
    let mut h = Harness::new(count_and_sum(&context()));
    h.push(0, rows("1 | 1 | 0\n1 | 2 | 20\n1 | 4 | 10"));
    h.end();
    assert_eq!(h.take(), ["+I | 1 | 3 | 7 | 0 | 30 | 29"]);
}

#[test]
fn an_old_row_is_late_unless_it_bridges_to_an_open_session() {
    let mut h = Harness::new(count_and_sum(&OperatorContext { emit_late: true, ..context() }));
    h.push(0, rows("1 | 1 | 20"));
    h.watermark(25);
    h.push(0, rows("1 | 2 | 12\n2 | 3 | 12\n2 | 3 | 17\n1 | 4 | 1\n1 | 5 | NULL"));
    assert_eq!(h.operator.stats().late_rows, 3);
    assert_eq!(h.take_late().len(), 3);
    h.end();
    assert_eq!(h.take_sorted(), ["+I | 1 | 2 | 3 | 12 | 30 | 29", "+I | 2 | 1 | 3 | 17 | 27 | 26"]);
}

#[test]
fn sessions_without_keys_and_with_kept_values() {
    let aggregates = [call(FirstValue, &[1], "INT"), distinct(call(Count, &[1], "BIGINT"))];
    let mut h = Harness::new(build(&[], &aggregates, &["f INT", "d BIGINT"], &context()));
    h.push(0, rows("1 | 7 | 20\n1 | 3 | 0\n1 | 7 | 12\n2 | 3 | 8"));
    h.end();
    assert_eq!(h.take(), ["+I | 3 | 2 | 0 | 30 | 29"]);
}

#[test]
fn many_sessions_leave_in_portions() {
    let mut operator = count_and_sum(&context());
    let text: Vec<String> = (0..10_000).map(|k| format!("{k} | 1 | 0")).collect();
    operator.process(0, rows(&text.join("\n"))).unwrap();
    operator.watermark(EventTime(9)).unwrap();
    let mut sizes = vec![];
    while let Some(out) = operator.next_output().unwrap() {
        sizes.push(out.len());
    }
    assert_eq!(sizes, [4096, 4096, 1808]);
}

#[derive(Clone, Debug)]
enum Step {
    Row(i64, i64, i64),
    Watermark(i64),
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0i64..4, -5i64..5, -20i64..90).prop_map(|(k, v, t)| Step::Row(k, v, t)),
        1 => (-20i64..90).prop_map(Step::Watermark),
    ];
    prop::collection::vec(step, 0..60).prop_map(|mut steps| {
        let mut high = i64::MIN;
        for step in &mut steps {
            if let Step::Watermark(w) = step {
                high = high.max(*w);
                *w = high;
            }
        }
        steps.push(Step::Watermark(i64::MAX));
        steps
    })
}

/// Sessions by trying: a row swallows every session that it touches.
fn model(steps: &[Step]) -> (Vec<String>, u64) {
    let mut open: Vec<(i64, i64, i64, i64, i64)> = vec![];
    let (mut output, mut late, mut closed) = (vec![], 0, i64::MIN);
    for step in steps {
        match step {
            Step::Row(k, v, t) => {
                let (mut start, mut end, mut n, mut total) = (*t, t + GAP, 1, *v);
                let mut rest = open.clone();
                while let Some(i) = rest.iter().position(|s| s.0 == *k && s.1 <= end && start <= s.2) {
                    let s = rest.remove(i);
                    (start, end, n, total) = (start.min(s.1), end.max(s.2), n + s.3, total + s.4);
                }
                if end <= closed {
                    late += 1;
                } else {
                    open = rest;
                    open.push((*k, start, end, n, total));
                }
            }
            Step::Watermark(w) => {
                closed = closed_through(EventTime(*w), 0);
                for (k, start, end, n, total) in open.extract_if(.., |s| s.2 <= closed) {
                    output.push(format!("+I | {k} | {n} | {total} | {start} | {end} | {}", end - 1));
                }
            }
        }
    }
    output.sort();
    (output, late)
}

fn events(steps: &[Step], size: usize) -> Vec<Event> {
    let (mut out, mut text): (Vec<Event>, Vec<String>) = (vec![], vec![]);
    for step in steps {
        let full = match step {
            Step::Row(k, v, t) => {
                text.push(format!("{k} | {v} | {t}"));
                text.len() >= size
            }
            Step::Watermark(_) => true,
        };
        if full && !text.is_empty() {
            out.push(Event::Rows(0, rows(&std::mem::take(&mut text).join("\n"))));
        }
        if let Step::Watermark(w) = step {
            out.push(Event::Watermark(*w));
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn sessions_are_what_their_definition_says(steps in any_steps(), size in 1usize..20) {
        let mut h = Harness::new(count_and_sum(&context()));
        for event in events(&steps, size) {
            match event {
                Event::Rows(_, batch) => h.push(0, batch),
                Event::Watermark(w) => h.watermark(w),
                Event::Clock(ms) => h.clock(ms),
            }
        }
        let (output, late) = model(&steps);
        prop_assert_eq!(h.take_sorted(), output);
        prop_assert_eq!(h.operator.stats().late_rows, late);
        prop_assert_eq!(h.operator.stats().state_rows, 0);
    }

    #[test]
    fn a_restore_at_another_parallelism_changes_nothing(
        steps in any_steps(), size in 1usize..8,
        barriers in prop::collection::btree_set(0usize..30, 1..5), budget in 1usize..9, parallelism in 1usize..5
    ) {
        let cx = context();
        let subject = Subject { build: &|| count_and_sum(&cx), keys: &[vec![0]] };
        let events = events(&steps, size);
        let cuts = Cuts { barriers: barriers.into_iter().collect(), budget, parallelism };
        let (mut straight, mut interrupted) = (subject.straight(&events), subject.interrupted(&events, &cuts));
        straight.sort();
        interrupted.sort();
        prop_assert_eq!(straight, interrupted);
    }
}
