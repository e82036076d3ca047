use super::*;
use crate::operator::Scope;
use crate::operators::build;
use crate::operators::replay::{Cuts, Event, Subject, rows_of, sorted, with_time};
use crate::operators::testing::{Harness, batch, context, materialize, schema};
use arrow::datatypes::SchemaRef;
use proptest::prelude::*;
use sluice_core::id::OperatorId;
use sluice_core::plan::{Exchange, Input, Op, Port, TimeDomain};

fn table() -> SchemaRef {
    schema(&["k INT", "t TIMESTAMP", "v INT"])
}

#[derive(Clone, Copy, Debug)]
struct Setup {
    order: DedupOrder,
    keep: Keep,
    ttl: Option<Ttl>,
}

const BY_TIME: DedupOrder = DedupOrder::RowTime(1);

impl Setup {
    fn new(order: DedupOrder, keep: Keep) -> Self {
        Self { order, keep, ttl: None }
    }

    fn node(self, changelog: Changelog) -> Node {
        Node {
            id: OperatorId("dedup".into()),
            label: "Deduplicate".into(),
            op: Op::Deduplicate { keys: vec![0], order: self.order, keep: self.keep, ttl: self.ttl },
            inputs: vec![Input { node: 0, port: Port::Main, exchange: Exchange::Hash(vec![0]) }],
            schema: table(),
            changelog,
            time_column: None,
        }
    }

    fn build_with(self, cx: &OperatorContext) -> Box<dyn Operator> {
        let append = self.order == DedupOrder::ProcTime && self.keep == Keep::First;
        let node = self.node(if append { Changelog::Append } else { Changelog::Retract });
        build(&node, &[InputShape { schema: table(), changelog: Changelog::Append }], cx).unwrap()
    }

    fn changes(self, text: &str) -> Vec<String> {
        let mut harness = Harness::new(self.build_with(&context()));
        harness.push(0, batch(&table(), text));
        harness.take()
    }
}

const ROWS: &str = "1 | 20 | 0\n1 | 20 | 1\n2 | 5 | 2\n1 | 10 | 3\n1 | 30 | 4\n1 | NULL | 5";

#[test]
fn the_first_by_arrival_never_changes() {
    assert_eq!(Setup::new(DedupOrder::ProcTime, Keep::First).changes(ROWS), ["+I | 1 | 20 | 0", "+I | 2 | 5 | 2"]);
}

#[test]
fn the_last_by_arrival_replaces_the_one_before() {
    let got = Setup::new(DedupOrder::ProcTime, Keep::Last).changes("1 | 1 | 0\n1 | 1 | 0\n1 | 1 | 1");
    assert_eq!(got, ["+I | 1 | 1 | 0", "-U | 1 | 1 | 0", "+U | 1 | 1 | 1"]);
}

#[test]
fn by_event_time_ties_keep_the_first_arrival_or_the_last() {
    assert_eq!(
        Setup::new(BY_TIME, Keep::First).changes(ROWS),
        [
            "+I | 1 | 20 | 0",
            "+I | 2 | 5 | 2",
            "-U | 1 | 20 | 0",
            "+U | 1 | 10 | 3",
            "-U | 1 | 10 | 3",
            "+U | 1 | NULL | 5"
        ]
    );
    assert_eq!(
        Setup::new(BY_TIME, Keep::Last).changes(ROWS),
        [
            "+I | 1 | 20 | 0",
            "-U | 1 | 20 | 0",
            "+U | 1 | 20 | 1",
            "+I | 2 | 5 | 2",
            "-U | 1 | 20 | 1",
            "+U | 1 | 30 | 4"
        ]
    );
}

#[test]
fn a_plan_that_forgets_the_updates_is_refused() {
    let node = Setup::new(BY_TIME, Keep::First).node(Changelog::Append);
    let shape = InputShape { schema: table(), changelog: Changelog::Append };
    let error = build(&node, &[shape], &context()).err().unwrap().to_string();
    assert_eq!(error, "operator 'Deduplicate' takes rows back, but the plan gives it an append-only output");
}

#[test]
fn a_key_is_new_again_after_its_time_to_live() {
    let cx = context();
    let ttl = Some(Ttl { ms: 100, domain: TimeDomain::Processing });
    for (keep, renewed) in [(Keep::First, false), (Keep::Last, true)] {
        let mut harness = Harness::new(Setup { ttl, ..Setup::new(DedupOrder::ProcTime, keep) }.build_with(&cx));
        let start = cx.clock.now().0;
        harness.push(0, batch(&table(), "1 | 1 | 0"));
        cx.clock.set(ProcTime(start + 60));
        harness.push(0, batch(&table(), "1 | 1 | 1"));
        harness.take();
        // Only what was written renews: the last row did, a first row that was already there did not.
        cx.clock.set(ProcTime(start + 120));
        harness.push(0, batch(&table(), "1 | 1 | 2"));
        let got = harness.take();
        assert_eq!(got.first().map(String::as_str), Some(if renewed { "-U | 1 | 1 | 1" } else { "+I | 1 | 1 | 2" }));
        cx.clock.set(ProcTime(start + 1000));
        harness.clock(start + 1000);
        assert_eq!(harness.operator.stats().state_rows, 0);
    }
}

#[test]
fn a_change_of_one_key_writes_one_row() {
    let mut harness = Harness::new(Setup::new(BY_TIME, Keep::Last).build_with(&context()));
    let text: Vec<String> = (0..300).map(|k| format!("{k} | 5 | 0")).collect();
    harness.push(0, batch(&table(), &text.join("\n")));
    assert_eq!(harness.snapshot(1, Scope::Full).rows(), 300);
    harness.push(0, batch(&table(), "7 | 6 | 1"));
    let rotating = harness.snapshot(2, Scope::Delta { rotation: 3 }).rows();
    assert!(rotating < 60, "one row and a sixteenth, not {rotating}");
}

/// One row per key, chosen by going through all rows.
fn oracle(setup: Setup, lines: &[String]) -> Vec<String> {
    let mut best: std::collections::BTreeMap<&str, (i64, &str)> = std::collections::BTreeMap::new();
    for line in lines {
        let row = line.strip_prefix("+I | ").unwrap();
        let cells: Vec<&str> = row.split(" | ").collect();
        let time = if setup.order == BY_TIME { cells[1].parse().unwrap_or(i64::MIN) } else { 0 };
        let kept = best.entry(cells[0]).or_insert((time, row));
        if (setup.keep == Keep::Last && time >= kept.0) || time < kept.0 && setup.keep == Keep::First {
            *kept = (time, row);
        }
    }
    let mut rows: Vec<String> = best.into_values().map(|(_, row)| row.to_owned()).collect();
    rows.sort();
    rows
}

fn setups() -> impl Strategy<Value = Setup> {
    let order = prop::sample::select(vec![DedupOrder::ProcTime, BY_TIME]);
    (order, prop::sample::select(vec![Keep::First, Keep::Last])).prop_map(|(order, keep)| Setup::new(order, keep))
}

fn events(steps: &[(u8, u8)], cut_at: usize) -> Vec<Event> {
    let cell = |v: u8| if v == 0 { "NULL".to_owned() } else { v.to_string() };
    let line = |(i, (k, t)): (usize, &(u8, u8))| format!("{} | {} | {}\n", cell(*k), cell(*t), i % 3);
    steps
        .chunks(cut_at)
        .map(|c| Event::Rows(0, batch(&table(), &c.iter().enumerate().map(line).collect::<String>())))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_result_is_the_chosen_row_of_every_key_also_after_a_restore(
        setup in setups(), steps in prop::collection::vec((0..6u8, 0..9u8), 1..120), cut_at in 1..20usize,
        barriers in prop::collection::btree_set(0..20usize, 1..4), budget in 1..20usize, parallelism in 1..5usize,
    ) {
        let events = events(&steps, cut_at);
        let subject = Subject { build: &|| setup.build_with(&context()), keys: &[vec![0]] };
        let straight = materialize(&subject.straight(&events));
        prop_assert_eq!(&straight, &oracle(setup, &rows_of(&events, 0)));
        let cuts = Cuts { barriers: barriers.into_iter().collect(), budget, parallelism };
        prop_assert_eq!(materialize(&subject.interrupted(&events, &cuts)), straight);
    }

    #[test]
    fn a_restore_changes_nothing_of_what_is_forgotten(
        setup in setups(), steps in prop::collection::vec((0..6u8, 0..9u8), 1..120),
        domain in prop::sample::select(vec![TimeDomain::Event, TimeDomain::Processing]), ms in 1..60u64,
        time in prop::collection::vec(0..20u8, 1..9), cut_at in 1..8usize,
        barriers in prop::collection::btree_set(0..40usize, 1..4), budget in 1..20usize, parallelism in 1..5usize,
    ) {
        let setup = Setup { ttl: Some(Ttl { ms, domain }), ..setup };
        let tick = if domain == TimeDomain::Event { Event::Watermark } else { Event::Clock };
        let events = with_time(events(&steps, cut_at), &time, tick);
        let subject = Subject { build: &|| setup.build_with(&context()), keys: &[vec![0]] };
        let cuts = Cuts { barriers: barriers.into_iter().collect(), budget, parallelism };
        prop_assert_eq!(sorted(subject.interrupted(&events, &cuts)), sorted(subject.straight(&events)));
    }

    #[test]
    fn kept_rows_survive_their_encoding(time: i64, touched: i64, row: Vec<u8>) {
        let mut bytes = vec![];
        Kept { time, touched, row: row.clone() }.encode(&mut bytes);
        let kept = Kept::decode(&bytes).unwrap();
        prop_assert_eq!((kept.time, kept.touched, kept.row), (time, touched, row));
    }
}
