//! Operator ids over whole scripts: statements come and go, the state of the others stays.

use sluice_core::plan::{Op, Plan};
use sluice_sql::explain::{Fate, compare, dot, mermaid, text};
use sluice_sql::{PlanOptions, plan};

const TABLES: &str = "
CREATE TABLE orders (id BIGINT, customer BIGINT, amount DECIMAL(10, 2), status STRING, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector' = 'filesystem', 'path' = '/orders', 'format' = 'csv');
CREATE TABLE customers (id BIGINT, name STRING, city STRING) WITH ('connector' = 'filesystem', 'path' = '/customers', 'format' = 'csv');
CREATE TABLE a (k BIGINT, n BIGINT) WITH ('connector' = 'blackhole');
CREATE TABLE b (k STRING, n BIGINT) WITH ('connector' = 'blackhole');
CREATE TABLE c (w TIMESTAMP(3), n BIGINT) WITH ('connector' = 'blackhole');
";
const PER_CUSTOMER: &str = "INSERT INTO a SELECT customer, COUNT(*) FROM orders GROUP BY customer;";
const PER_CITY: &str =
    "INSERT INTO b SELECT city, COUNT(*) FROM orders JOIN customers ON customer = customers.id GROUP BY city;";
const PER_MINUTE: &str = "INSERT INTO c SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end;";

fn planned(statements: &[&str]) -> Plan {
    plan(&format!("{TABLES}{}", statements.join("\n")), &PlanOptions::default()).expect("the script plans").plan
}

/// Ids of all but projections: those hold nothing.
fn ids(p: &Plan) -> Vec<String> {
    let mut ids: Vec<String> =
        p.nodes.iter().filter(|n| !matches!(n.op, Op::Project { .. })).map(|n| n.id.0.clone()).collect();
    ids.sort();
    ids
}

fn includes(all: &Plan, part: &Plan) -> bool {
    let all = ids(all);
    ids(part).iter().all(|id| all.contains(id))
}

#[test]
fn adding_removing_and_reordering_statements_keeps_ids() {
    let all = planned(&[PER_CUSTOMER, PER_CITY, PER_MINUTE]);
    assert_eq!(ids(&all), ids(&planned(&[PER_MINUTE, PER_CUSTOMER, PER_CITY])));
    for one in [PER_CUSTOMER, PER_CITY, PER_MINUTE] {
        assert!(includes(&all, &planned(&[one])), "{one}");
    }
}

#[test]
fn views_aliases_and_projections_in_between_keep_ids() {
    let plain = planned(&[PER_CITY]);
    let wrapped = planned(&[
        "CREATE VIEW o AS SELECT id AS order_id, customer AS c, amount, ts FROM orders;",
        "INSERT INTO b SELECT x.city AS kk, COUNT(*) AS m FROM (SELECT c, amount FROM o) AS y JOIN customers AS x ON y.c = x.id GROUP BY x.city;",
    ]);
    assert_eq!(ids(&plain), ids(&wrapped));
}

#[test]
fn what_the_state_holds_is_part_of_the_id() {
    let join = |columns: &str| {
        let p = planned(&[&format!("SELECT {columns} FROM orders JOIN customers ON customer = customers.id;")]);
        p.nodes.iter().find(|n| matches!(n.op, Op::Join { .. })).unwrap().id.clone()
    };
    assert_eq!(join("amount, city"), join("city, amount AS x"));
    assert_ne!(join("amount, city"), join("amount, city, name"), "another column is kept");
}

#[test]
fn equal_parts_are_one_operator() {
    let twice = planned(&[
        PER_CITY,
        "INSERT INTO a SELECT n, COUNT(*) FROM (SELECT city, COUNT(*) AS n FROM orders JOIN customers ON customer = customers.id GROUP BY city) GROUP BY n;",
    ]);
    let count = |f: fn(&Op) -> bool| twice.nodes.iter().filter(|n| f(&n.op)).count();
    assert_eq!(count(|o| matches!(o, Op::Join { .. })), 1);
    assert_eq!(count(|o| matches!(o, Op::Source { .. })), 2);
    assert_eq!(count(|o| matches!(o, Op::GroupAggregate { .. })), 2);
}

#[test]
fn the_same_insert_twice_is_two_sinks() {
    let p = planned(&[PER_CUSTOMER, PER_CUSTOMER]);
    let sinks: Vec<_> = p.nodes.iter().filter(|n| matches!(n.op, Op::Sink { .. })).map(|n| &n.id).collect();
    assert_eq!(sinks.len(), 2);
    assert_ne!(sinks[0], sinks[1]);
}

#[test]
fn every_id_is_unique_and_inputs_come_first() {
    let p = planned(&[PER_CUSTOMER, PER_CITY, PER_MINUTE, PER_CITY]);
    let mut all: Vec<_> = p.nodes.iter().map(|n| n.id.clone()).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), p.nodes.len());
    for (i, n) in p.nodes.iter().enumerate() {
        assert!(n.inputs.iter().all(|x| x.node < i));
    }
}

#[test]
fn a_changed_plan_says_what_is_kept() {
    let old = planned(&[PER_CUSTOMER, PER_CITY]);
    let new = planned(&[PER_CUSTOMER, PER_MINUTE]);
    let fates: Vec<(Fate, String)> = compare(&old, &new).into_iter().map(|c| (c.fate, c.label)).collect();
    assert_eq!(
        fates,
        [
            (Fate::Reuse, "Source(orders)".to_owned()),
            (Fate::Reuse, "GroupAggregate(key: customer; COUNT(*))".to_owned()),
            (Fate::Rebuild, "WindowAggregate(TUMBLE 1min, key: none; COUNT(*))".to_owned()),
            (Fate::Drop, "Source(customers)".to_owned()),
            (Fate::Drop, "Join(INNER, customer = id)".to_owned()),
            (Fate::Drop, "GroupAggregate(key: city; COUNT(*))".to_owned()),
        ]
    );
}

#[test]
fn plans_are_drawn() {
    let p = planned(&[PER_CUSTOMER]);
    assert!(text(&p).contains("GroupAggregate(key: customer; COUNT(*))  id1:"));
    let d = dot(&p);
    assert!(d.starts_with("digraph job {") && d.contains("style=dashed") && d.contains("shape=cylinder"), "{d}");
    let m = mermaid(&p);
    assert!(m.starts_with("flowchart LR\n") && m.contains("-.->") && m.contains("[(\"GroupAggregate"), "{m}");
}

#[test]
fn a_plan_survives_serialisation() {
    let p = planned(&[PER_CITY, PER_MINUTE]);
    let json = serde_json::to_string(&p).unwrap();
    let back: Plan = serde_json::from_str(&json).unwrap();
    assert_eq!(text(&p), text(&back));
}
