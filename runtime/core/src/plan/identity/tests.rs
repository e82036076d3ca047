use super::*;
use crate::plan::TimeDomain;
use crate::plan::Ttl;
use arrow_schema::{Field, Schema};
use std::sync::Arc;

fn tables() -> BTreeMap<String, Table> {
    let table = |name: &str, options: &[(&str, &str)]| Table {
        name: name.to_owned(),
        schema: Arc::new(Schema::new(vec![
            Field::new("k", DataType::Utf8, true),
            Field::new("v", DataType::Int64, true),
            Field::new("w", DataType::Int64, true),
        ])),
        metadata: vec![],
        primary_key: vec![],
        options: options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        partitioned_by: vec![],
    };
    [
        table("in", &[("connector", "filesystem"), ("path", "/in"), ("format", "csv")]),
        table("renamed", &[("connector", "filesystem"), ("path", "/in"), ("format", "json")]),
        table("other", &[("connector", "filesystem"), ("path", "/other")]),
        table("generated", &[("connector", "datagen"), ("rows-per-second", "5")]),
    ]
    .map(|t| (t.name.clone(), t))
    .into()
}

fn source_of(table: &str, columns: &[usize]) -> Identity {
    let exprs = columns.iter().map(|i| Expr::Column(*i)).collect();
    identify(&Op::Source { table: table.to_owned(), exprs, watermark: None }, &[], &tables(), 0)
}

fn sum(input: &Identity, key: usize, value: usize, ttl: Option<Ttl>) -> Identity {
    let aggregate = Aggregate {
        function: AggregateFunction::Sum,
        args: vec![value],
        distinct: false,
        filter: None,
        separator: None,
        name: "any".to_owned(),
        data_type: DataType::Int64,
    };
    identify(&Op::GroupAggregate { keys: vec![key], aggregates: vec![aggregate], ttl }, &[input], &tables(), 0)
}

fn id(i: &Identity) -> String {
    i.operator_id().0
}

/// For ever: a job's state is found by these. Never change an expectation here; a new encoding is `id2:`.
#[test]
fn ids_are_golden() {
    let s = source_of("in", &[0, 1]);
    let f = identify(
        &Op::Filter {
            predicate: Expr::Binary {
                op: BinaryOp::Gt,
                left: Box::new(Expr::Column(1)),
                right: Box::new(Expr::Literal(Literal { data_type: DataType::Int64, value: Value::Int(5) })),
            },
        },
        &[&s],
        &tables(),
        0,
    );
    let a = sum(&f, 0, 1, None);
    let w = identify(
        &Op::WindowAggregate {
            window: Window::Tumble { size_ms: 60_000, offset_ms: 0 },
            time: 1,
            keys: vec![0],
            aggregates: vec![],
        },
        &[&s],
        &tables(),
        0,
    );
    let ids: Vec<String> = [&s, &f, &a, &w].map(id).into();
    assert_eq!(ids, GOLDEN);
}

const GOLDEN: [&str; 4] =
    ["id1:0c99214dde27a0d5", "id1:b8155643c321f8cb", "id1:93166ee4236a578a", "id1:6270b5774e7e6a0c"];

#[test]
fn a_source_is_what_it_reads_and_not_how() {
    let s = id(&source_of("in", &[0, 1]));
    assert_eq!(s, id(&source_of("in", &[0])), "which columns are decoded is not part of it");
    assert_eq!(s, id(&source_of("renamed", &[0, 1])), "neither name nor format");
    assert_ne!(s, id(&source_of("other", &[0, 1])), "but the path is");
    assert_ne!(id(&source_of("generated", &[0])), s, "and without such an option the name");
}

#[test]
fn column_numbers_and_projections_mean_nothing() {
    let narrow = source_of("in", &[0, 1]);
    let wide = source_of("in", &[2, 1, 0]);
    assert_eq!(id(&sum(&narrow, 0, 1, None)), id(&sum(&wide, 2, 1, None)));
    let swapped = identify(&Op::Project { exprs: vec![Expr::Column(1), Expr::Column(0)] }, &[&narrow], &tables(), 0);
    assert_eq!(id(&sum(&narrow, 0, 1, None)), id(&sum(&swapped, 1, 0, None)));
    assert_ne!(id(&sum(&narrow, 0, 1, None)), id(&sum(&narrow, 1, 0, None)));
}

#[test]
fn a_ttl_may_change() {
    let s = source_of("in", &[0, 1]);
    let ttl = Ttl { ms: 1, domain: TimeDomain::Event };
    assert_eq!(id(&sum(&s, 0, 1, None)), id(&sum(&s, 0, 1, Some(ttl))));
}

#[test]
fn equal_sinks_are_told_apart_and_the_arms_of_a_union_have_no_order() {
    let (a, b) = (source_of("in", &[0]), source_of("other", &[0]));
    let sink = |ordinal| {
        id(&identify(&Op::Sink { table: "other".to_owned(), upsert_keys: vec![] }, &[&a], &tables(), ordinal))
    };
    assert_ne!(sink(0), sink(1));
    let union = |x: &Identity, y: &Identity| id(&identify(&Op::Union, &[x, y], &tables(), 0));
    assert_eq!(union(&a, &b), union(&b, &a));
}
