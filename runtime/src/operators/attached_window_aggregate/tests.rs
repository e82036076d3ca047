use super::*;
use crate::aggregate::tests::{call, distinct};
use crate::operators::replay::{Cuts, Event, Subject};
use crate::operators::testing::{Harness, batch, context, schema};
use proptest::prelude::*;
use sluice_core::id::OperatorId;
use sluice_core::plan::{AggregateFunction::*, Changelog, Exchange, Input, Op};

const INPUT: [&str; 4] = ["k BIGINT", "v INT", "ws TIMESTAMP", "we TIMESTAMP"];
const WINDOW: [&str; 3] = ["window_start TIMESTAMP", "window_end TIMESTAMP", "window_time TIMESTAMP"];

fn build(aggregates: &[Aggregate], output: &[&str], input: Changelog, cx: &OperatorContext) -> Box<dyn Operator> {
    let columns: Vec<&str> = std::iter::once(INPUT[0]).chain(output.iter().copied()).chain(WINDOW).collect();
    let node = Node {
        id: OperatorId("id1:attached".into()),
        label: "AttachedWindowAggregate".into(),
        op: Op::AttachedWindowAggregate { start: 2, end: 3, keys: vec![0], aggregates: aggregates.to_vec() },
        inputs: vec![Input { node: 0, port: Port::Main, exchange: Exchange::Hash(vec![0]) }],
        schema: schema(&columns),
        changelog: Changelog::Append,
        time_column: None,
    };
    crate::operators::build(&node, &[InputShape { schema: schema(&INPUT), changelog: input }], cx).unwrap()
}

fn shape(kept: bool, input: Changelog) -> Box<dyn Operator> {
    if kept {
        let aggregates = [call(Max, &[1], "INT"), distinct(call(Sum, &[1], "INT"))];
        build(&aggregates, &["m INT", "d INT"], input, &context())
    } else {
        build(&[call(Count, &[], "BIGINT"), call(Sum, &[1], "INT")], &["n BIGINT", "t INT"], input, &context())
    }
}

fn rows(text: &str) -> Batch {
    batch(&schema(&INPUT), text)
}

#[test]
fn windows_fire_by_end_and_what_was_taken_back_is_gone() {
    let mut h = Harness::new(shape(false, Changelog::Retract));
    h.push(0, rows("+I | 1 | 5 | 0 | 10\n+I | 1 | 6 | 5 | 15\n+I | 2 | 7 | 0 | 10\n+I | 1 | 1 | 0 | 20"));
    h.push(0, rows("-D | 2 | 7 | 0 | 10\n-U | 1 | 5 | 0 | 10\n+U | 1 | 8 | 0 | 10"));
    h.watermark(14);
    assert_eq!(h.take(), ["+I | 1 | 1 | 8 | 0 | 10 | 9", "+I | 1 | 1 | 6 | 5 | 15 | 14"]);
    h.push(0, rows("+I | 3 | 7 | 0 | 15\n+I | 3 | 7 | NULL | NULL"));
    assert_eq!(h.operator.stats().late_rows, 2);
    h.end();
    assert_eq!(h.take(), ["+I | 1 | 1 | 1 | 0 | 20 | 19"]);
    assert_eq!(h.operator.stats().state_rows, 0);
}

#[test]
fn windows_with_one_end_and_two_starts_are_two() {
    let mut h = Harness::new(shape(false, Changelog::Append));
    h.push(0, rows("1 | 5 | 0 | 10\n1 | 6 | 5 | 10\n1 | 7 | 0 | 10"));
    h.end();
    assert_eq!(h.take(), ["+I | 1 | 2 | 12 | 0 | 10 | 9", "+I | 1 | 1 | 6 | 5 | 10 | 9"]);
}

#[derive(Clone, Debug)]
enum Step {
    Row(i64, i64, i64),
    Watermark(i64),
}

fn events(steps: &[Step], size: usize, retracts: bool) -> Vec<Event> {
    let (mut out, mut text, mut live): (Vec<Event>, Vec<String>, Vec<String>) = (vec![], vec![], vec![]);
    for step in steps {
        let full = match step {
            Step::Row(k, v, end) => {
                let row = format!("{k} | {v} | {} | {end}", end - 10);
                if retracts && *v == 0 && !live.is_empty() {
                    text.push(format!("-D | {}", live.remove(0)));
                } else {
                    text.push(if retracts { format!("+I | {row}") } else { row.clone() });
                    live.push(row);
                }
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

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0i64..5, -3i64..4, 0i64..6).prop_map(|(k, v, w)| Step::Row(k, v, w * 5)),
        1 => (0i64..30).prop_map(Step::Watermark),
    ];
    prop::collection::vec(step, 0..50).prop_map(|mut steps| {
        let mut high = 0;
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn cuts_and_restores_change_nothing(
        steps in any_steps(), sizes in (1usize..9, 1usize..9), kept: bool, retracts: bool,
        barriers in prop::collection::btree_set(0usize..30, 1..5), budget in 1usize..9, parallelism in 1usize..5
    ) {
        let input = if retracts { Changelog::Retract } else { Changelog::Append };
        let subject = Subject { build: &|| shape(kept, input), keys: &[vec![0]] };
        let cuts = Cuts { barriers: barriers.into_iter().collect(), budget, parallelism };
        let mut straight = subject.straight(&events(&steps, sizes.0, retracts));
        let mut interrupted = subject.interrupted(&events(&steps, sizes.1, retracts), &cuts);
        straight.sort();
        interrupted.sort();
        prop_assert_eq!(straight, interrupted);
    }
}
