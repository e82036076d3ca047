use super::*;
use crate::aggregate::tests::{call, distinct};
use crate::operators::replay::{Cuts, Event, Subject};
use crate::operators::testing::{Harness, batch, context, materialize, schema};
use arrow::datatypes::DataType;
use proptest::prelude::*;
use sluice_core::id::OperatorId;
use sluice_core::plan::{AggregateFunction::*, Exchange, Input, Op, Port, TimeDomain};

const INPUT: [&str; 3] = ["k BIGINT", "v INT", "s STRING"];

struct Query<'a> {
    keys: &'a [usize],
    aggregates: &'a [Aggregate],
    output: &'a [&'a str],
    input: Changelog,
    ttl: Option<Ttl>,
}

fn build(query: &Query<'_>) -> Box<dyn Operator> {
    let columns: Vec<&str> = query.keys.iter().map(|&k| INPUT[k]).chain(query.output.iter().copied()).collect();
    let node = Node {
        id: OperatorId("id1:group".into()),
        label: "GroupAggregate".into(),
        op: Op::GroupAggregate { keys: query.keys.to_vec(), aggregates: query.aggregates.to_vec(), ttl: query.ttl },
        inputs: vec![Input { node: 0, port: Port::Main, exchange: Exchange::Hash(query.keys.to_vec()) }],
        schema: schema(&columns),
        changelog: Changelog::Retract,
        time_column: None,
    };
    let input = InputShape { schema: schema(&INPUT), changelog: query.input };
    crate::operators::build(&node, &[input], &context()).unwrap()
}

fn rows(text: &str) -> Batch {
    batch(&schema(&INPUT), text)
}

fn count_and_sum(input: Changelog, ttl: Option<Ttl>) -> Harness {
    let aggregates = [call(Count, &[], "BIGINT"), call(Sum, &[1], "INT")];
    let output = ["n BIGINT", "total INT"];
    Harness::new(build(&Query { keys: &[0], aggregates: &aggregates, output: &output, input, ttl }))
}

#[test]
fn a_group_is_inserted_once_and_updated_by_pairs() {
    let mut h = count_and_sum(Changelog::Append, None);
    h.push(0, rows("1 | 5 | a\nNULL | 2 | a\n1 | NULL | b"));
    assert_eq!(h.take(), ["+I | 1 | 2 | 5", "+I | NULL | 1 | 2"]);
    h.push(0, rows("2 | 1 | a\n1 | 1 | a\n1 | 1 | a"));
    assert_eq!(h.take(), ["+I | 2 | 1 | 1", "-U | 1 | 2 | 5", "+U | 1 | 4 | 7"]);
}

#[test]
fn an_equal_result_is_not_repeated() {
    let aggregates = [call(Max, &[1], "INT")];
    let query = Query { keys: &[0], aggregates: &aggregates, output: &["m INT"], input: Changelog::Append, ttl: None };
    let mut h = Harness::new(build(&query));
    h.push(0, rows("1 | 5 | a\n2 | NULL | a"));
    h.push(0, rows("1 | 4 | a\n2 | NULL | b"));
    assert_eq!(h.take(), ["+I | 1 | 5", "+I | 2 | NULL"]);
    h.push(0, rows("2 | 0 | b"));
    assert_eq!(h.take(), ["-U | 2 | NULL", "+U | 2 | 0"]);
}

#[test]
fn the_last_retraction_deletes_the_group_and_a_stray_one_does_nothing() {
    let mut h = count_and_sum(Changelog::Retract, None);
    h.push(0, rows("+I | 1 | 5 | a\n-D | 9 | 1 | a\n+I | 1 | 6 | a"));
    assert_eq!(h.take(), ["+I | 1 | 2 | 11"]);
    h.push(0, rows("-U | 1 | 5 | a\n+U | 1 | 7 | a"));
    assert_eq!(h.take(), ["-U | 1 | 2 | 11", "+U | 1 | 2 | 13"]);
    h.push(0, rows("-D | 1 | 6 | a\n-D | 1 | 7 | a\n-D | 1 | 7 | a"));
    assert_eq!(h.take(), ["-D | 1 | 2 | 13"]);
    assert_eq!(h.operator.stats().state_rows, 0);
    h.push(0, rows("+I | 3 | 1 | a\n-D | 3 | 1 | a"));
    assert!(h.take().is_empty());
    assert_eq!(h.operator.stats().state_rows, 0);
}

#[test]
fn distinct_rows_have_no_aggregates() {
    let query = Query { keys: &[0, 2], aggregates: &[], output: &[], input: Changelog::Append, ttl: None };
    let mut h = Harness::new(build(&query));
    h.push(0, rows("1 | 5 | a\n1 | 6 | a\nNULL | 6 | NULL\n1 | 0 | b\nNULL | 1 | NULL"));
    h.push(0, rows("1 | 5 | a"));
    assert_eq!(h.take(), ["+I | 1 | a", "+I | NULL | NULL", "+I | 1 | b"]);
}

#[test]
fn without_keys_there_is_one_group_and_nothing_before_the_first_row() {
    for aggregates in [[call(Count, &[], "BIGINT")], [distinct(call(Count, &[2], "BIGINT"))]] {
        let query =
            Query { keys: &[], aggregates: &aggregates, output: &["n BIGINT"], input: Changelog::Retract, ttl: None };
        let mut h = Harness::new(build(&query));
        h.watermark(5);
        assert!(h.take().is_empty());
        h.push(0, rows("+I | 1 | 1 | a\n+I | 2 | 1 | b"));
        h.push(0, rows("-D | 1 | 1 | a"));
        h.push(0, rows("-D | 2 | 1 | b"));
        assert_eq!(h.take(), ["+I | 2", "-U | 2", "+U | 1", "-D | 1"]);
    }
}

#[test]
fn results_that_are_lists_are_compared_too() {
    let list = DataType::List(std::sync::Arc::new(arrow::datatypes::Field::new("item", DataType::Int32, true)));
    let aggregates = [Aggregate { data_type: list.clone(), ..call(Collect, &[1], "INT") }];
    let node = Node {
        id: OperatorId("id1:group".into()),
        label: "GroupAggregate".into(),
        op: Op::GroupAggregate { keys: vec![], aggregates: aggregates.to_vec(), ttl: None },
        inputs: vec![],
        schema: std::sync::Arc::new(arrow::datatypes::Schema::new(vec![arrow::datatypes::Field::new("l", list, true)])),
        changelog: Changelog::Retract,
        time_column: None,
    };
    let input = InputShape { schema: schema(&INPUT), changelog: Changelog::Append };
    let mut h = Harness::new(crate::operators::build(&node, &[input], &context()).unwrap());
    h.push(0, rows("1 | 3 | a"));
    h.push(0, rows("1 | NULL | a"));
    h.push(0, rows("1 | 1 | a"));
    assert_eq!(h.take(), ["+I | [3]", "-U | [3]", "+U | [3, 1]"]);
}

#[test]
fn a_group_that_nothing_changed_is_forgotten() {
    for domain in [TimeDomain::Event, TimeDomain::Processing] {
        let mut h = count_and_sum(Changelog::Append, Some(Ttl { ms: 100, domain }));
        let time = |h: &mut Harness, t| match domain {
            TimeDomain::Event => h.watermark(t),
            TimeDomain::Processing => h.clock(t),
        };
        h.push(0, rows("1 | 5 | a"));
        time(&mut h, 0);
        h.push(0, rows("2 | 5 | a"));
        time(&mut h, 60);
        h.push(0, rows("2 | 1 | a\n3 | 1 | a"));
        assert_eq!(
            h.take(),
            ["+I | 1 | 1 | 5", "+I | 2 | 1 | 5", "-U | 2 | 1 | 5", "+U | 2 | 2 | 6", "+I | 3 | 1 | 1"]
        );
        assert_eq!(h.operator.next_timer().is_some(), domain == TimeDomain::Processing);
        time(&mut h, 100);
        h.push(0, rows("1 | 7 | a\n2 | 7 | a"));
        assert_eq!(h.take(), ["+I | 1 | 1 | 7", "-U | 2 | 2 | 6", "+U | 2 | 3 | 13"]);
        time(&mut h, 160);
        assert_eq!(h.operator.stats().state_rows, 2, "group 3 is swept away");
        time(&mut h, 300);
        assert_eq!(h.operator.stats().state_rows, 0);
        assert_eq!(h.operator.next_timer(), None);
    }
}

#[test]
fn an_equal_result_is_repeated_where_state_behind_may_expire() {
    let ttl = Some(Ttl { ms: 100, domain: TimeDomain::Event });
    let query =
        Query { keys: &[0], aggregates: &[call(Max, &[1], "INT")], output: &["m INT"], input: Changelog::Append, ttl };
    let mut h = Harness::new(build(&query));
    h.push(0, rows("1 | 5 | a"));
    h.push(0, rows("1 | 4 | a"));
    assert_eq!(h.take(), ["+I | 1 | 5", "-U | 1 | 5", "+U | 1 | 5"]);
}

/// Rows of a changelog that never takes back what is not there.
fn any_changelog() -> impl Strategy<Value = Vec<String>> {
    let row = (prop::option::of(0i64..4), prop::option::of(-3i64..4), "[ab]{0,1}x");
    let text = |v: Option<i64>| v.map_or("NULL".to_owned(), |v| v.to_string());
    let row = row.prop_map(move |(k, v, s)| format!("{} | {} | {s}", text(k), text(v)));
    prop::collection::vec((row, any::<bool>(), any::<prop::sample::Index>()), 1..50).prop_map(|steps| {
        let (mut live, mut changelog): (Vec<String>, Vec<String>) = (vec![], vec![]);
        for (row, adds, index) in steps {
            if adds || live.is_empty() {
                changelog.push(format!("+I | {row}"));
                live.push(row);
            } else {
                let gone = live.remove(index.index(live.len()));
                changelog.push(format!("-D | {gone}"));
            }
        }
        changelog
    })
}

fn events(changelog: &[String], size: usize) -> Vec<Event> {
    changelog.chunks(size).map(|lines| Event::Rows(0, rows(&lines.join("\n")))).collect()
}

/// Inline by words, inline by bytes, kept values, none.
fn shape(i: usize, input: Changelog) -> (Box<dyn Operator>, Vec<usize>) {
    let counts = [call(Count, &[], "BIGINT"), call(Sum, &[1], "INT"), call(Avg, &[1], "INT")];
    let kept = [call(Min, &[1], "INT"), call(Max, &[2], "STRING"), distinct(call(Count, &[2], "BIGINT"))];
    let (keys, aggregates, output): (Vec<usize>, &[Aggregate], &[&str]) = match i {
        0 => (vec![0], &counts, &["n BIGINT", "t INT", "a INT"]),
        1 => (vec![2, 0], &counts, &["n BIGINT", "t INT", "a INT"]),
        2 => (vec![0], &kept, &["mi INT", "ma STRING", "d BIGINT"]),
        _ => (vec![0, 2], &[], &[]),
    };
    (build(&Query { keys: &keys, aggregates, output, input, ttl: None }), keys)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn batches_may_be_cut_anywhere(changelog in any_changelog(), size in 1usize..50, kind in 0usize..4) {
        let keys = shape(kind, Changelog::Retract).1;
        let subject = Subject { build: &|| shape(kind, Changelog::Retract).0, keys: &[keys] };
        let one_by_one = materialize(&subject.straight(&events(&changelog, 1)));
        prop_assert_eq!(materialize(&subject.straight(&events(&changelog, size))), one_by_one);
    }

    #[test]
    fn a_changelog_and_its_inverse_leave_nothing(changelog in any_changelog(), size in 1usize..9, kind in 0usize..4) {
        let mut h = Harness::new(shape(kind, Changelog::Retract).0);
        let inverse: Vec<String> = changelog.iter().rev().map(|l| match l.strip_prefix("+I") {
            Some(row) => format!("-D{row}"),
            None => l.replacen("-D", "+I", 1),
        }).collect();
        for lines in changelog.chunks(size).chain(inverse.chunks(size)) {
            h.push(0, rows(&lines.join("\n")));
        }
        prop_assert_eq!(materialize(&h.take()), Vec::<String>::new());
        prop_assert_eq!(h.operator.stats().state_rows, 0);
    }

    #[test]
    fn updating_and_append_only_inputs_agree(changelog in any_changelog(), size in 1usize..9, kind in 0usize..4) {
        let inserts: Vec<&str> = changelog.iter().filter_map(|l| l.strip_prefix("+I | ")).collect();
        let (mut plain, mut marked) = (Harness::new(shape(kind, Changelog::Append).0), Harness::new(shape(kind, Changelog::Retract).0));
        for lines in inserts.chunks(size) {
            plain.push(0, rows(&lines.join("\n")));
            marked.push(0, rows(&lines.iter().map(|l| format!("+I | {l}")).collect::<Vec<_>>().join("\n")));
        }
        prop_assert_eq!(plain.take(), marked.take());
    }

    #[test]
    fn a_restore_at_another_parallelism_changes_nothing(
        changelog in any_changelog(), size in 1usize..6, kind in 0usize..4,
        barriers in prop::collection::btree_set(0usize..20, 1..5), budget in 1usize..9, parallelism in 1usize..5
    ) {
        let keys = shape(kind, Changelog::Retract).1;
        let subject = Subject { build: &|| shape(kind, Changelog::Retract).0, keys: &[keys] };
        let events = events(&changelog, size);
        let cuts = Cuts { barriers: barriers.into_iter().collect(), budget, parallelism };
        let (straight, interrupted) = (subject.straight(&events), subject.interrupted(&events, &cuts));
        prop_assert_eq!(materialize(&straight), materialize(&interrupted));
    }
}
