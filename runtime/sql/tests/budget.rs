//! Whatever the text, planning returns: an abort of the process could not be caught.

use sluice_sql::{PlanOptions, plan};

const TABLE: &str = "CREATE TABLE t (a INT, b STRING) WITH ('connector' = 'datagen');\n";

fn message(query: &str) -> String {
    match plan(&format!("{TABLE}{query}"), &PlanOptions::default()) {
        Ok(_) => "planned".to_owned(),
        Err(e) => e.to_string(),
    }
}

#[test]
fn deep_parentheses_are_refused_with_their_place() {
    let nested = |n: usize| format!("SELECT {}a{} FROM t", "(".repeat(n), ")".repeat(n));
    assert_eq!(message(&nested(30)), "planned");
    let limit = "line 2, column 48: more than 40 levels of nesting (hint: split the statement with views)";
    assert_eq!(message(&nested(41)), limit);
    assert_eq!(message(&nested(20_000)), limit);
}

#[test]
fn nested_case_keeps_its_from_clause_or_is_refused() {
    let nested = |n: usize| format!("SELECT {} a {} AS x FROM t", "CASE WHEN a > 1 THEN ".repeat(n), " END".repeat(n));
    assert_eq!(message(&nested(38)), "planned");
    for n in [41, 49, 60, 1000] {
        assert!(message(&nested(n)).contains("more than 40 levels of nesting"), "{n}");
    }
}

#[test]
fn long_operator_chains_are_refused() {
    let sum = |n: usize| format!("SELECT a{} AS x FROM t", " + 1".repeat(n));
    assert_eq!(message(&sum(240)), "planned");
    assert!(message(&sum(10_000)).contains("more than 250 operators in a row"));
    let or = |n: usize| format!("SELECT a FROM t WHERE a = 0{}", " OR a = 1".repeat(n));
    assert_eq!(message(&or(120)), "planned");
    assert!(message(&or(5000)).contains("more than 250 operators in a row"));
    let not = format!("SELECT a FROM t WHERE {} a = 1", "NOT ".repeat(5000));
    assert!(message(&not).contains("more than 250 operators in a row"));
    let concat = format!("SELECT b{} AS x FROM t", " || 'x'".repeat(5000));
    assert!(message(&concat).contains("more than 250 operators in a row"));
}

#[test]
fn chains_within_chains_add_up() {
    let level = "a + ".repeat(200);
    let text = format!("SELECT {}a{} AS x FROM t", format!("{level}(").repeat(10), ")".repeat(10));
    assert!(message(&text).contains("operators on one path"));
}

#[test]
fn the_deepest_allowed_statement_plans_on_the_planners_stack() {
    let level = "a + ".repeat(24);
    let text = format!("SELECT {}a{} AS x FROM t", format!("{level}(").repeat(38), ")".repeat(38));
    assert_eq!(message(&text), "planned");
}

#[test]
fn many_arms_tokens_and_bytes_are_refused() {
    let union = format!("SELECT a FROM t{}", " UNION ALL SELECT a FROM t".repeat(3900));
    assert!(message(&union).contains("UNIONs in one statement") || message(&union).contains("tokens"));
    assert_eq!(message(&format!("SELECT a FROM t{}", " UNION ALL SELECT a FROM t".repeat(100))), "planned");
    let list = format!("SELECT a FROM t WHERE a IN (0{})", ", 1".repeat(15_000));
    assert!(message(&list).contains("tokens"));
    let huge = "x".repeat(10 * 1024 * 1024);
    assert!(message(&huge).contains("more than 262144"));
    let joins = format!("SELECT t.a FROM t{}", " JOIN t AS x ON t.a = x.a".repeat(100));
    assert!(message(&joins).contains("more than 64 joins"));
}

#[test]
fn views_of_views_do_not_multiply_without_bound() {
    let mut text = "CREATE VIEW v0 AS SELECT a FROM t;\n".to_owned();
    for i in 1..40 {
        let p = i - 1;
        let view = format!("CREATE VIEW v{i} AS SELECT x.a FROM v{p} AS x JOIN v{p} AS y ON x.a = y.a;\n");
        text.push_str(&view);
    }
    assert!(message(&(text + "SELECT a FROM v39")).contains("operators"));
}

#[test]
fn nested_types_are_bounded() {
    let text =
        format!("CREATE TABLE u (a {}INT{}) WITH ('connector' = 'datagen');", "ARRAY<".repeat(100), ">".repeat(100));
    assert!(message(&text).contains("nested more than 20 deep"));
}
