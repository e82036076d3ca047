use super::*;
use crate::operators::build;
use crate::operators::replay::{Cuts, Event, Subject, rows_of, sorted, with_time};
use crate::operators::testing::{Harness, batch, context, materialize, schema};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use proptest::prelude::*;
use sluice_core::id::OperatorId;
use sluice_core::plan::{Exchange, Input, Op, Port, TimeDomain};

/// A Top-N over `t(p, v)`, by `v`.
#[derive(Clone, Debug)]
struct Setup {
    input: Changelog,
    descending: bool,
    nulls_first: bool,
    offset: u64,
    limit: u64,
    rank: bool,
    ttl: Option<Ttl>,
}

const PLAIN: Setup = Setup {
    input: Changelog::Append,
    descending: false,
    nulls_first: false,
    offset: 0,
    limit: 2,
    rank: true,
    ttl: None,
};

fn table() -> SchemaRef {
    schema(&["p INT", "v INT", "id INT"])
}

impl Setup {
    fn build_with(&self, cx: &OperatorContext) -> Box<dyn Operator> {
        let mut fields: Vec<Field> = table().fields().iter().map(|f| Field::clone(f)).collect();
        if self.rank {
            fields.push(Field::new("rn", DataType::Int64, false));
        }
        let order = vec![SortKey { column: 1, descending: self.descending, nulls_first: self.nulls_first }];
        let node = Node {
            id: OperatorId("top".into()),
            label: "TopN".into(),
            op: Op::TopN {
                partition: vec![0],
                order,
                offset: self.offset,
                limit: self.limit,
                emit_row_number: self.rank,
                ttl: self.ttl,
            },
            inputs: vec![Input { node: 0, port: Port::Main, exchange: Exchange::Hash(vec![0]) }],
            schema: Arc::new(Schema::new(fields)),
            changelog: Changelog::Retract,
            time_column: None,
        };
        build(&node, &[InputShape { schema: table(), changelog: self.input }], cx).unwrap()
    }

    fn build(&self) -> Box<dyn Operator> {
        self.build_with(&context())
    }

    fn changes(&self, text: &str) -> Vec<String> {
        let mut harness = Harness::new(self.build());
        harness.push(0, batch(&table(), text));
        harness.take()
    }
}

#[test]
fn a_new_row_moves_those_behind_it() {
    assert_eq!(
        PLAIN.changes("1 | 5 | 0\n1 | 7 | 1\n1 | 9 | 2\n1 | 6 | 3\n2 | 1 | 4\n1 | 5 | 5"),
        [
            "+I | 1 | 5 | 0 | 1",
            "+I | 1 | 7 | 1 | 2",
            "-U | 1 | 7 | 1 | 2",
            "+U | 1 | 6 | 3 | 2",
            "+I | 2 | 1 | 4 | 1",
            "-U | 1 | 6 | 3 | 2",
            "+U | 1 | 5 | 5 | 2",
        ]
    );
}

#[test]
fn without_a_rank_only_rows_that_enter_or_leave_are_told() {
    let setup = Setup { rank: false, ..PLAIN };
    assert_eq!(
        setup.changes("1 | 5 | 0\n1 | 7 | 1\n1 | 9 | 2\n1 | 6 | 3"),
        ["+I | 1 | 5 | 0", "+I | 1 | 7 | 1", "-D | 1 | 7 | 1", "+I | 1 | 6 | 3"]
    );
    // Rows 2 and 3: the row before them pushes the first of three in, and the last out.
    let setup = Setup { rank: false, offset: 1, limit: 3, ..PLAIN };
    assert_eq!(
        setup.changes("1 | 5 | 0\n1 | 6 | 1\n1 | 7 | 2\n1 | 1 | 3"),
        ["+I | 1 | 6 | 1", "+I | 1 | 7 | 2", "-D | 1 | 7 | 2", "+I | 1 | 5 | 0"]
    );
}

#[test]
fn a_row_that_is_taken_back_lets_others_move_up() {
    let setup = Setup { input: Changelog::Retract, ..PLAIN };
    assert_eq!(
        setup.changes(
            "+I | 1 | 5 | 0\n+I | 1 | 7 | 1\n+I | 1 | 9 | 2\n-D | 1 | 5 | 0\n-D | 1 | 9 | 2\n-D | 1 | 9 | 2\n-D | 1 | 7 | 1"
        ),
        [
            "+I | 1 | 5 | 0 | 1",
            "+I | 1 | 7 | 1 | 2",
            "-U | 1 | 5 | 0 | 1",
            "+U | 1 | 7 | 1 | 1",
            "-U | 1 | 7 | 1 | 2",
            "+U | 1 | 9 | 2 | 2",
            "-D | 1 | 9 | 2 | 2",
            "-D | 1 | 7 | 1 | 1",
        ]
    );
    let setup = Setup { rank: false, ..setup };
    assert_eq!(
        setup.changes("+I | 1 | 5 | 0\n+I | 1 | 7 | 1\n+I | 1 | 9 | 2\n-D | 1 | 5 | 0"),
        ["+I | 1 | 5 | 0", "+I | 1 | 7 | 1", "-D | 1 | 5 | 0", "+I | 1 | 9 | 2"]
    );
}

#[test]
fn nulls_stand_where_the_order_says_and_ties_in_order_of_arrival() {
    let text = "1 | 5 | 0\n1 | NULL | 1\n1 | 5 | 2";
    let last = |setup: Setup| materialize(&setup.changes(text));
    assert_eq!(last(Setup { limit: 9, ..PLAIN }), ["1 | 5 | 0 | 1", "1 | 5 | 2 | 2", "1 | NULL | 1 | 3"]);
    let first = Setup { limit: 9, nulls_first: true, descending: true, ..PLAIN };
    assert_eq!(last(first), ["1 | 5 | 0 | 2", "1 | 5 | 2 | 3", "1 | NULL | 1 | 1"]);
}

#[test]
fn a_partition_is_forgotten_as_a_whole() {
    let cx = context();
    let ttl = Some(Ttl { ms: 100, domain: TimeDomain::Processing });
    let mut harness = Harness::new(Setup { ttl, ..PLAIN }.build_with(&cx));
    cx.clock.set(ProcTime(1000));
    harness.push(0, batch(&table(), "1 | 5 | 0\n2 | 5 | 1"));
    cx.clock.set(ProcTime(1090));
    harness.push(0, batch(&table(), "1 | 6 | 2"));
    harness.take();
    cx.clock.set(ProcTime(1150));
    harness.push(0, batch(&table(), "1 | 7 | 3\n2 | 9 | 4"));
    assert_eq!(harness.take(), ["+I | 2 | 9 | 4 | 1"]);
    harness.clock(5000);
    assert_eq!(harness.operator.stats().state_rows, 0);
}

/// Only what is among the first is kept of an append-only input.
#[test]
fn an_append_only_input_leaves_a_small_state() {
    let mut harness = Harness::new(PLAIN.build());
    let text: Vec<String> = (0..500).map(|i| format!("{} | {} | {i}", i % 3, (i * 7919) % 501)).collect();
    harness.push(0, batch(&table(), &text.join("\n")));
    assert_eq!(harness.operator.stats().state_rows, 6);
    assert_eq!(harness.snapshot(1, Scope::Full).rows(), 6);
}

/// Sorts the rows that remain; arrival breaks ties.
fn oracle(setup: &Setup, lines: &[String]) -> Vec<String> {
    let mut live: Vec<Vec<&str>> = vec![];
    for line in lines {
        let (op, row) = line.split_once(" | ").unwrap();
        let row: Vec<&str> = row.split(" | ").collect();
        if op.starts_with('+') {
            live.push(row);
        } else {
            let at = live.iter().position(|r| *r == row).unwrap();
            live.remove(at);
        }
    }
    let sort = |row: &Vec<&str>| {
        let value: Option<i64> = row[1].parse().ok();
        let null = if setup.nulls_first { 0 } else { 2 };
        value.map_or((null, 0), |v| (1, if setup.descending { -v } else { v }))
    };
    let mut out = vec![];
    let partitions: std::collections::BTreeSet<&str> = live.iter().map(|r| r[0]).collect();
    for partition in partitions {
        let mut rows: Vec<&Vec<&str>> = live.iter().filter(|r| r[0] == partition).collect();
        rows.sort_by_key(|r| sort(r));
        for (i, row) in rows.iter().enumerate().take(setup.limit as usize).skip(setup.offset as usize) {
            out.push(if setup.rank { format!("{} | {}", row.join(" | "), i + 1) } else { row.join(" | ") });
        }
    }
    out.sort();
    out
}

fn setups() -> impl Strategy<Value = Setup> {
    let input = prop::sample::select(vec![Changelog::Append, Changelog::Retract]);
    (input, any::<[bool; 3]>(), 0..3u64, 1..4u64).prop_map(|(input, [descending, nulls_first, rank], offset, n)| {
        Setup { input, descending, nulls_first, offset, limit: offset + n, rank, ttl: None }
    })
}

/// Partition (0 is NULL), value (0 is NULL), take back instead.
fn events(setup: &Setup, steps: &[(u8, u8, bool)], cut_at: usize) -> Vec<Event> {
    let mut live: Vec<String> = vec![];
    let mut out = vec![];
    let cell = |v: u8| if v == 0 { "NULL".to_owned() } else { v.to_string() };
    for (n, some) in steps.chunks(cut_at).enumerate() {
        let mut text = String::new();
        for (i, (partition, value, back)) in some.iter().enumerate() {
            let retracts = setup.input == Changelog::Retract;
            if *back && retracts && !live.is_empty() {
                let row = live.remove((i * 7 + n) % live.len());
                text.push_str(&["-U | ", &row, "\n"].concat());
            } else {
                let row = format!("{} | {} | {}", cell(*partition), cell(*value), i % 2);
                text.push_str(&[if retracts { "+I | " } else { "" }, &row, "\n"].concat());
                live.push(row);
            }
        }
        out.push(Event::Rows(0, batch(&table(), &text)));
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_result_is_that_of_sorting(
        setup in setups(),
        steps in prop::collection::vec((0..3u8, 0..6u8, prop::bool::weighted(0.4)), 1..100),
        cut_at in 1..30usize,
    ) {
        let events = events(&setup, &steps, cut_at);
        let subject = Subject { build: &|| setup.build(), keys: &[vec![0]] };
        prop_assert_eq!(materialize(&subject.straight(&events)), oracle(&setup, &rows_of(&events, 0)));
    }

    #[test]
    fn a_restore_changes_nothing(
        setup in setups(),
        steps in prop::collection::vec((0..5u8, 0..6u8, prop::bool::weighted(0.4)), 1..100),
        cut_at in 1..8usize, barriers in prop::collection::btree_set(0..20usize, 1..4), budget in 1..20usize,
        parallelism in 1..5usize,
    ) {
        let events = events(&setup, &steps, cut_at);
        let subject = Subject { build: &|| setup.build(), keys: &[vec![0]] };
        let cuts = Cuts { barriers: barriers.into_iter().collect(), budget, parallelism };
        prop_assert_eq!(materialize(&subject.interrupted(&events, &cuts)), materialize(&subject.straight(&events)));
    }

    #[test]
    fn a_restore_changes_nothing_of_what_is_forgotten(
        setup in setups(),
        steps in prop::collection::vec((0..5u8, 0..6u8, prop::bool::weighted(0.4)), 1..100),
        domain in prop::sample::select(vec![TimeDomain::Event, TimeDomain::Processing]), ms in 1..60u64,
        time in prop::collection::vec(0..20u8, 1..9), cut_at in 1..8usize,
        barriers in prop::collection::btree_set(0..40usize, 1..4), budget in 1..20usize, parallelism in 1..5usize,
    ) {
        let setup = Setup { ttl: Some(Ttl { ms, domain }), ..setup };
        let tick = if domain == TimeDomain::Event { Event::Watermark } else { Event::Clock };
        let events = with_time(events(&setup, &steps, cut_at), &time, tick);
        let subject = Subject { build: &|| setup.build(), keys: &[vec![0]] };
        let cuts = Cuts { barriers: barriers.into_iter().collect(), budget, parallelism };
        prop_assert_eq!(sorted(subject.interrupted(&events, &cuts)), sorted(subject.straight(&events)));
    }
}
