use super::*;
use crate::operators::replay::{Cuts, Event, Subject, rows_of, sorted, with_time};
use crate::operators::testing::{Harness, batch, context, materialize, schema};
use crate::operators::{build, row_slab};
use arrow::array::{ArrayRef, Int32Array, RecordBatch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use proptest::prelude::*;
use sluice_core::id::OperatorId;
use sluice_core::plan::expr::{BinaryOp, Expr};
use sluice_core::plan::{Changelog, Exchange, Input, Op, Port, TimeDomain};
use std::sync::Arc;

const KINDS: [JoinKind; 6] =
    [JoinKind::Inner, JoinKind::Left, JoinKind::Right, JoinKind::Full, JoinKind::Semi, JoinKind::Anti];

/// A join of `left(k, v)` with `right(k, w)`.
struct Setup {
    kind: JoinKind,
    changelogs: [Changelog; 2],
    residual: bool,
    ttl: Option<Ttl>,
    /// Without a key: every row meets every other.
    cross: bool,
}

impl Setup {
    fn new(kind: JoinKind) -> Self {
        Self { kind, changelogs: [Changelog::Retract; 2], residual: false, ttl: None, cross: false }
    }

    fn append_only(kind: JoinKind) -> Self {
        Self { changelogs: [Changelog::Append; 2], ..Self::new(kind) }
    }

    fn output(&self) -> Changelog {
        let append = self.kind == JoinKind::Inner && self.changelogs == [Changelog::Append; 2];
        if append { Changelog::Append } else { Changelog::Retract }
    }

    fn keys(&self) -> Vec<usize> {
        if self.cross { vec![] } else { vec![0] }
    }

    fn build(&self) -> Box<dyn Operator> {
        self.build_with(&context())
    }

    fn build_with(&self, cx: &OperatorContext) -> Box<dyn Operator> {
        let (left, right) = (left(), right());
        let fields = |s: &SchemaRef| s.fields().iter().map(|f| Field::clone(f)).collect::<Vec<_>>();
        let mut output = fields(&left);
        if !matches!(self.kind, JoinKind::Semi | JoinKind::Anti) {
            output.extend(fields(&right));
        }
        let column = |i| Box::new(Expr::Column(i));
        let node = Node {
            id: OperatorId("join".into()),
            label: "Join".into(),
            op: Op::Join {
                kind: self.kind,
                left_keys: self.keys(),
                right_keys: self.keys(),
                residual: self.residual.then(|| Expr::Binary { op: BinaryOp::Lt, left: column(1), right: column(3) }),
                left_ttl: self.ttl,
                right_ttl: self.ttl,
            },
            inputs: [0, 1].map(|node| Input { node, port: Port::Main, exchange: Exchange::Hash(self.keys()) }).to_vec(),
            schema: Arc::new(Schema::new(output)),
            changelog: self.output(),
            time_column: None,
        };
        let shape = |schema, changelog| InputShape { schema, changelog };
        build(&node, &[shape(left, self.changelogs[0]), shape(right, self.changelogs[1])], cx).unwrap()
    }
}

/// Both joins over the same two inputs: by rows and by columns.
fn by_rows_and_by_columns() -> [Box<dyn Operator>; 2] {
    let setup = Setup::append_only(JoinKind::Inner);
    let inputs = [left(), right()].map(|schema| InputShape { schema, changelog: Changelog::Append });
    let fields =
        [left(), right()].iter().flat_map(|s| s.fields().iter().cloned().collect::<Vec<_>>()).collect::<Vec<_>>();
    let node = Node {
        id: OperatorId("join".into()),
        label: "Join".into(),
        op: Op::Union,
        inputs: [0, 1].map(|node| Input { node, port: Port::Main, exchange: Exchange::Hash(vec![0]) }).to_vec(),
        schema: Arc::new(Schema::new(fields)),
        changelog: setup.output(),
        time_column: None,
    };
    let plan = JoinPlan {
        kind: JoinKind::Inner,
        left_keys: &[0],
        right_keys: &[0],
        residual: None,
        left_ttl: None,
        right_ttl: None,
    };
    assert!(AppendJoin::applies(&plan, &node, &inputs));
    [
        Box::new(RegularJoin::new(&plan, &node, &inputs, &context()).unwrap()),
        Box::new(AppendJoin::new(&plan, &node, &inputs, &context()).unwrap()),
    ]
}

/// Numbers as rows, in batches of these sizes in turn.
fn numbered(schema: &SchemaRef, keys: &[i32], sizes: &[usize]) -> Vec<Batch> {
    let (mut out, mut at) = (vec![], 0);
    for size in sizes.iter().cycle() {
        let n = (*size).min(keys.len() - at);
        if n == 0 {
            return out;
        }
        let key: Int32Array = keys[at..at + n].iter().map(|k| (*k != 0).then_some(*k)).collect();
        let value: Int32Array = (at..at + n).map(|v| Some(v as i32)).collect();
        let columns: Vec<ArrayRef> = vec![Arc::new(key), Arc::new(value)];
        out.push(Batch::append(RecordBatch::try_new(schema.clone(), columns).unwrap()));
        at += n;
    }
    out
}

/// More rows than a chunk holds, in batches of one row and of thousands.
#[test]
fn columns_give_what_rows_give_across_chunks_and_restores() {
    let keys: Vec<i32> = (0..70_000).map(|i| i * 7919 % 50_021).collect();
    let mut results = vec![];
    for (i, operator) in by_rows_and_by_columns().into_iter().enumerate() {
        let mut harness = Harness::new(operator);
        for batch in numbered(&left(), &keys, &[1, 3000, 17, 1, 1, 9000]) {
            harness.push(0, batch);
        }
        harness.push(1, numbered(&right(), &keys[..100], &[100]).remove(0));
        let full = harness.snapshot(1, Scope::Full);
        assert_eq!(full.rows(), 70_000 - 2 + 100 - 1, "rows with a NULL key are not kept");
        for batch in numbered(&right(), &keys[100..20_000], &[5, 5000]) {
            harness.push(1, batch);
        }
        let delta = harness.snapshot(2, Scope::Delta { rotation: 3 });
        let sixteenth = 70_000 / 16;
        assert!((19_000 + sixteenth..20_500 + sixteenth).contains(&delta.rows()), "{}", delta.rows());
        let mut output = harness.take();
        // The snapshot of one is read by the other.
        let mut other = Harness::new(by_rows_and_by_columns().into_iter().nth(1 - i).unwrap());
        other.restore(&[&full, &delta], 0..128, 0);
        assert_eq!(other.operator.stats().state_rows, harness.operator.stats().state_rows);
        for batch in numbered(&left(), &keys[..3000], &[1000]) {
            other.push(0, batch);
        }
        output.extend(other.take());
        output.sort();
        assert!(output.len() > 20_000);
        results.push(output);
    }
    assert!(results[0] == results[1]);
}

fn left() -> SchemaRef {
    schema(&["k INT", "v INT"])
}

fn right() -> SchemaRef {
    schema(&["k INT", "w INT"])
}

fn changes(setup: &Setup, steps: &[(usize, &str)]) -> Vec<String> {
    let mut harness = Harness::new(setup.build());
    for (input, text) in steps {
        harness.push(*input, batch(&if *input == 0 { left() } else { right() }, text));
    }
    harness.take()
}

#[test]
fn inner_join_keeps_the_input_order_and_forwards_retractions() {
    let got = changes(
        &Setup::new(JoinKind::Inner),
        &[
            (0, "+I | 1 | 10\n+I | 2 | 20\n+I | 1 | 11\n+I | NULL | 1"),
            (1, "+I | 1 | 100\n+I | NULL | 1\n-U | 1 | 100\n+U | 1 | 101"),
            (0, "-D | 1 | 10\n-D | 7 | 7"),
        ],
    );
    assert_eq!(
        got,
        [
            "+I | 1 | 10 | 1 | 100",
            "+I | 1 | 11 | 1 | 100",
            "-U | 1 | 10 | 1 | 100",
            "-U | 1 | 11 | 1 | 100",
            "+U | 1 | 10 | 1 | 101",
            "+U | 1 | 11 | 1 | 101",
            "-D | 1 | 10 | 1 | 101",
        ]
    );
}

#[test]
fn left_join_pads_until_the_first_match_and_after_the_last() {
    let got = changes(
        &Setup::new(JoinKind::Left),
        &[
            (0, "+I | 1 | 10\n+I | NULL | 5"),
            (1, "+I | 1 | 100\n+I | 1 | 100"),
            (1, "-D | 1 | 100\n-D | 1 | 100"),
            (0, "-D | 1 | 10\n-D | NULL | 5"),
        ],
    );
    assert_eq!(
        got,
        [
            "+I | 1 | 10 | NULL | NULL",
            "+I | NULL | 5 | NULL | NULL",
            "-D | 1 | 10 | NULL | NULL",
            "+I | 1 | 10 | 1 | 100",
            "+I | 1 | 10 | 1 | 100",
            "-D | 1 | 10 | 1 | 100",
            "-D | 1 | 10 | 1 | 100",
            "+I | 1 | 10 | NULL | NULL",
            "-D | 1 | 10 | NULL | NULL",
            "-D | NULL | 5 | NULL | NULL",
        ]
    );
}

#[test]
fn semi_and_anti_join_turn_with_the_first_and_the_last_match() {
    let steps = [
        (0, "+I | 1 | 10\n+I | 1 | 10\n+I | NULL | 3"),
        (1, "+I | 1 | 100\n+I | 1 | 101"),
        (1, "-D | 1 | 100\n-D | 1 | 101"),
    ];
    assert_eq!(
        changes(&Setup::new(JoinKind::Semi), &steps),
        ["+I | 1 | 10", "+I | 1 | 10", "-D | 1 | 10", "-D | 1 | 10"]
    );
    assert_eq!(
        changes(&Setup::new(JoinKind::Anti), &steps),
        ["+I | 1 | 10", "+I | 1 | 10", "+I | NULL | 3", "-D | 1 | 10", "-D | 1 | 10", "+I | 1 | 10", "+I | 1 | 10"]
    );
}

#[test]
fn a_residual_condition_decides_what_a_match_is() {
    let setup = Setup { residual: true, ..Setup::new(JoinKind::Full) };
    let got = changes(&setup, &[(0, "+I | 1 | 10"), (1, "+I | 1 | 5\n+I | 1 | 20\n+I | 1 | NULL")]);
    assert_eq!(
        got,
        [
            "+I | 1 | 10 | NULL | NULL",
            "+I | NULL | NULL | 1 | 5",
            "-D | 1 | 10 | NULL | NULL",
            "+I | 1 | 10 | 1 | 20",
            "+I | NULL | NULL | 1 | NULL",
        ]
    );
}

#[test]
fn an_append_only_inner_join_has_no_ops() {
    let mut operator = Setup::append_only(JoinKind::Inner).build();
    operator.process(0, batch(&left(), "1 | 10")).unwrap();
    assert!(operator.next_output().unwrap().is_none());
    operator.process(1, batch(&right(), "1 | 11")).unwrap();
    assert!(operator.next_output().unwrap().unwrap().ops.is_none());
}

#[test]
fn keys_of_different_types_are_refused() {
    let inputs =
        [schema(&["k INT"]), schema(&["k BIGINT"])].map(|schema| InputShape { schema, changelog: Changelog::Append });
    let message = check_keys(&inputs, &[0], &[0]).unwrap_err().to_string();
    assert_eq!(message, "a join compares 'k Int32' with 'k Int64': cast one of them to the other's type");
}

/// One row that meets 200 000, and one pair of 200 000 copies, come out in portions.
#[test]
fn an_exploding_join_is_drained_in_portions() {
    for (text, distinct, setup) in [
        ("many", true, Setup::new(JoinKind::Inner)),
        ("copies", false, Setup::new(JoinKind::Inner)),
        ("columns", true, Setup::append_only(JoinKind::Inner)),
    ] {
        let mut operator = setup.build();
        let op = if setup.output() == Changelog::Append { "" } else { "+I | " };
        let n = 200_000;
        for from in (0..n).step_by(20_000) {
            let rows: Vec<String> =
                (from..from + 20_000).map(|i| format!("{op}1 | {}", if distinct { i } else { 0 })).collect();
            operator.process(1, batch(&right(), &rows.join("\n"))).unwrap();
            assert!(operator.next_output().unwrap().is_none());
        }
        operator.process(0, batch(&left(), &format!("{op}1 | 7"))).unwrap();
        let (mut rows, mut batches) = (0, 0);
        while let Some(out) = operator.next_output().unwrap() {
            assert!(out.len() <= crate::operator::MAX_OUTPUT_ROWS, "{text}: {}", out.len());
            rows += out.len();
            batches += 1;
        }
        assert_eq!(rows, n, "{text}");
        assert!(batches >= n / crate::operator::MAX_OUTPUT_ROWS);
    }
}

#[test]
fn rows_are_forgotten_when_nobody_changed_them_for_their_time_to_live() {
    let cx = context();
    let ttl = |domain| Some(Ttl { ms: 100, domain });
    let setup = Setup { ttl: ttl(TimeDomain::Processing), ..Setup::new(JoinKind::Inner) };
    let mut harness = Harness::new(setup.build_with(&cx));
    cx.clock.set(ProcTime(1000));
    harness.push(0, batch(&left(), "+I | 1 | 10"));
    cx.clock.set(ProcTime(1050));
    harness.push(0, batch(&left(), "+I | 1 | 11"));
    cx.clock.set(ProcTime(1099));
    harness.push(1, batch(&right(), "+I | 1 | 1"));
    assert_eq!(harness.take().len(), 2);
    cx.clock.set(ProcTime(1100));
    harness.push(1, batch(&right(), "+I | 1 | 2"));
    assert_eq!(harness.take(), ["+I | 1 | 11 | 1 | 2"]);
    harness.clock(harness.operator.next_timer().unwrap().0.max(2000));
    harness.clock(2001);
    assert_eq!(harness.operator.stats().state_rows, 0);
    assert_eq!(harness.operator.next_timer(), None);

    // By event time, rows from before the first watermark age with it.
    let setup = Setup { ttl: ttl(TimeDomain::Event), ..Setup::new(JoinKind::Inner) };
    let mut harness = Harness::new(setup.build());
    harness.push(0, batch(&left(), "+I | 1 | 10"));
    harness.watermark(5000);
    harness.watermark(5099);
    harness.push(1, batch(&right(), "+I | 1 | 1"));
    assert_eq!(harness.take(), ["+I | 1 | 10 | 1 | 1"]);
    harness.watermark(5100);
    harness.push(1, batch(&right(), "+I | 1 | 2"));
    assert_eq!(harness.take(), [""; 0]);
}

/// The rows of a changelog text that remain.
fn remaining(lines: &[String]) -> Vec<Vec<Option<i64>>> {
    let number = |cell: &str| (cell != "NULL").then(|| cell.parse().unwrap());
    materialize(lines).iter().map(|row| row.split(" | ").map(number).collect()).collect()
}

/// Nested loops over the materialised inputs.
fn oracle(setup: &Setup, left: &[Vec<Option<i64>>], right: &[Vec<Option<i64>>]) -> Vec<String> {
    let matches = |l: &[Option<i64>], r: &[Option<i64>]| {
        let keys = setup.cross || l[0].is_some() && l[0] == r[0];
        keys && (!setup.residual || matches!((l[1], r[1]), (Some(v), Some(w)) if v < w))
    };
    let text = |cells: &[Option<i64>]| -> String {
        cells.iter().map(|c| c.map_or("NULL".into(), |v| v.to_string())).collect::<Vec<_>>().join(" | ")
    };
    let none = || vec![None, None];
    let mut out = vec![];
    for l in left {
        let partners: Vec<_> = right.iter().filter(|r| matches(l, r)).collect();
        match setup.kind {
            JoinKind::Semi => out.extend((!partners.is_empty()).then(|| text(l))),
            JoinKind::Anti => out.extend(partners.is_empty().then(|| text(l))),
            _ => out.extend(partners.iter().map(|r| text(&[l.clone(), (*r).clone()].concat()))),
        }
        if is_outer(setup.kind, Side::Left) && partners.is_empty() {
            out.push(text(&[l.clone(), none()].concat()));
        }
    }
    for r in right.iter().filter(|_| is_outer(setup.kind, Side::Right)) {
        if !left.iter().any(|l| matches(l, r)) {
            out.push(text(&[none(), r.clone()].concat()));
        }
    }
    out.sort();
    out
}

/// A step: input, key (0 is NULL), value, and whether a row that is there is taken back instead.
type Step = (usize, u8, u8, bool);

/// Batches of changes in which nothing is taken back that is not there.
fn events(steps: &[Step], changelogs: [Changelog; 2], cut_at: usize) -> Vec<Event> {
    let mut live: [Vec<String>; 2] = [vec![], vec![]];
    let mut out = vec![];
    let mut text = [String::new(), String::new()];
    for (i, (input, key, value, back)) in steps.iter().enumerate() {
        let retracts = changelogs[*input] == Changelog::Retract;
        let rows = &mut live[*input];
        let key = if *key == 0 { "NULL".into() } else { key.to_string() };
        let value = if *value == 0 { "NULL".into() } else { value.to_string() };
        let line = if *back && retracts && !rows.is_empty() {
            let row = rows.swap_remove(i * 7 % rows.len());
            format!("{} | {row}\n", if i % 2 == 0 { "-U" } else { "-D" })
        } else {
            let row = format!("{key} | {value}");
            rows.push(row.clone());
            if retracts { format!("{} | {row}\n", if i % 3 == 0 { "+U" } else { "+I" }) } else { format!("{row}\n") }
        };
        text[*input].push_str(&line);
        if i % cut_at == 0 || i + 1 == steps.len() {
            for (input, text) in text.iter_mut().enumerate() {
                let rows = batch(&if input == 0 { left() } else { right() }, text);
                if !rows.is_empty() {
                    out.push(Event::Rows(input, rows));
                }
                text.clear();
            }
        }
    }
    out
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0..2usize, 0..5u8, 0..4u8, prop::bool::weighted(0.35)), 1..120)
}

fn changelogs() -> impl Strategy<Value = [Changelog; 2]> {
    let one = prop::sample::select(vec![Changelog::Append, Changelog::Retract]);
    [one.clone(), one]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_result_is_that_of_nested_loops(
        steps in steps(), changelogs in changelogs(), kind in prop::sample::select(KINDS.to_vec()), residual: bool,
        cut_at in 1..30usize, cross in prop::bool::weighted(0.2),
    ) {
        let setup = Setup { kind, changelogs, residual, ttl: None, cross };
        let events = events(&steps, changelogs, cut_at);
        let subject = Subject { build: &|| setup.build(), keys: &[setup.keys(), setup.keys()] };
        let got = materialize(&subject.straight(&events));
        let (l, r) = (remaining(&rows_of(&events, 0)), remaining(&rows_of(&events, 1)));
        prop_assert_eq!(got, oracle(&setup, &l, &r));
    }

    #[test]
    fn a_restore_changes_nothing(
        steps in steps(), changelogs in changelogs(), kind in prop::sample::select(KINDS.to_vec()), residual: bool,
        cut_at in 1..8usize, barriers in prop::collection::btree_set(0..40usize, 1..5), budget in 1..20usize,
        parallelism in 1..5usize, cross in prop::bool::weighted(0.2),
    ) {
        let setup = Setup { kind, changelogs, residual, ttl: None, cross };
        let events = events(&steps, changelogs, cut_at);
        let subject = Subject { build: &|| setup.build(), keys: &[setup.keys(), setup.keys()] };
        let cuts = Cuts { barriers: barriers.into_iter().collect(), budget, parallelism };
        prop_assert_eq!(materialize(&subject.interrupted(&events, &cuts)), materialize(&subject.straight(&events)));
    }

    #[test]
    fn a_restore_changes_nothing_of_what_is_forgotten(
        steps in steps(), changelogs in changelogs(), kind in prop::sample::select(KINDS.to_vec()),
        domain in prop::sample::select(vec![TimeDomain::Event, TimeDomain::Processing]), ms in 1..60u64,
        time in prop::collection::vec(0..20u8, 1..9), cut_at in 1..8usize,
        barriers in prop::collection::btree_set(0..60usize, 1..5), budget in 1..20usize, parallelism in 1..5usize,
    ) {
        let setup = Setup { changelogs, ttl: Some(Ttl { ms, domain }), ..Setup::new(kind) };
        let tick = if domain == TimeDomain::Event { Event::Watermark } else { Event::Clock };
        let events = with_time(events(&steps, changelogs, cut_at), &time, tick);
        let subject = Subject { build: &|| setup.build(), keys: &[setup.keys(), setup.keys()] };
        let cuts = Cuts { barriers: barriers.into_iter().collect(), budget, parallelism };
        prop_assert_eq!(sorted(subject.interrupted(&events, &cuts)), sorted(subject.straight(&events)));
    }
}

/// The state of a join that was restored holds as many rows as the one that was saved.
#[test]
fn duplicates_are_counted_not_repeated() {
    let mut harness = Harness::new(Setup::new(JoinKind::Inner).build());
    harness.push(0, batch(&left(), &"+I | 1 | 1\n".repeat(1000)));
    assert_eq!(harness.operator.stats().state_rows, 1);
    let snapshot = harness.snapshot(1, Scope::Full);
    assert_eq!(snapshot.rows(), 1);
    assert_eq!(row_slab::stored_hash(snapshot.blocks[0].hashes[0]), snapshot.blocks[0].hashes[0]);
}
