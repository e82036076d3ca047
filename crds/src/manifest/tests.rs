use super::*;
use crate::Duration;
use crate::stream_job::{DesiredState, OnSavepointFailure, Overlap, Rollback, StateDeletion, UpgradeMode};
use std::fmt::Write as _;

const HEAD: &str = "apiVersion: sluice.dev/v1alpha1\nkind: StreamJob\nmetadata: {name: bids}\n";

/// Every field of the user-facing example.
const FULL: &str = r"
apiVersion: sluice.dev/v1alpha1
kind: StreamJob
metadata: {name: bids-per-minute}
spec:
  sql: |
    CREATE TABLE bids (price BIGINT) WITH ('connector' = 'nexmark');
    SELECT * FROM bids;
  image: registry.example.org/sluice:0.4.0
  desiredState: Running
  workers: 4
  keyGroups: 128
  state: {uri: s3://bucket/prefix, options: {region: eu-central-1}, secretRef: {name: s3}}
  secrets: [{name: kafka}]
  checkpoints: {interval: 10s, timeout: 5m, retained: 3}
  savepoints: {every: 24h, retained: 7}
  upgrade: {mode: Savepoint, onSavepointFailure: Wait, overlap: Auto, rollback: WhenExact, stability: {checkpoints: 3, deadline: 10m}}
  restoreFrom: {savepoint: {name: before-migration}, nonce: 1}
  restartNonce: 0
  deletion: {savepoint: false, state: Retain, deadline: 5m}
  coordinator: {resources: {requests: {cpu: 500m, memory: 1Gi}, limits: {cpu: 1}}}
  worker: {slots: 1, pod: {serviceAccountName: bids, nodeSelector: {disk: ssd}, tolerations: [{key: a, operator: Exists}], env: [{name: RUST_LOG, value: info}]}}
";

#[test]
fn the_example_of_the_manual() {
    let job = parse(FULL).unwrap();
    assert_eq!(job.metadata.name, "bids-per-minute");
    assert_eq!(job.spec.workers, 4);
    assert_eq!(job.spec.checkpoints.interval, Duration::from_secs(10));
    assert_eq!(job.spec.savepoints.every, Some(Duration::from_hours(24)));
    assert_eq!(job.spec.restore_from.as_ref().unwrap().savepoint.as_ref().unwrap().name, "before-migration");
    assert!(job.spec.sql.as_ref().unwrap().contains("'nexmark'"));
    let again = serde_yaml::to_string(&job).unwrap();
    assert_eq!(parse(&again).unwrap(), job);
}

#[test]
fn defaults_are_those_of_the_schema() {
    let job = parse(&format!("{HEAD}spec: {{sql: x, state: {{uri: 'file:///var/lib/x'}}}}\n")).unwrap();
    let spec = job.spec;
    assert_eq!((spec.workers, spec.key_groups, spec.restart_nonce, spec.revision_history_limit), (1, 128, 0, 10));
    assert_eq!(spec.desired_state, DesiredState::Running);
    assert_eq!(spec.checkpoints.interval, Duration::from_secs(10));
    assert_eq!(spec.checkpoints.timeout, Duration::from_mins(5));
    assert_eq!(spec.checkpoints.retained, 3);
    assert_eq!((spec.savepoints.every, spec.savepoints.retained, spec.savepoints.max_age), (None, 7, None));
    assert_eq!(spec.upgrade.mode, UpgradeMode::Savepoint);
    assert_eq!(spec.upgrade.on_savepoint_failure, OnSavepointFailure::Wait);
    assert_eq!(spec.upgrade.overlap, Overlap::Auto);
    assert_eq!(spec.upgrade.rollback, Rollback::WhenExact);
    assert_eq!((spec.upgrade.stability.checkpoints, spec.upgrade.stability.deadline), (3, Duration::from_mins(10)));
    assert_eq!((spec.deletion.savepoint, spec.deletion.state), (false, StateDeletion::Retain));
    assert_eq!(spec.worker.slots, 1);
    assert_eq!(spec.worker.pod.termination_grace_period_seconds, 60);
    assert_eq!(job.status, None);
}

#[test]
fn what_the_api_server_adds_is_read_over() {
    let text = "apiVersion: sluice.dev/v1alpha1\nkind: StreamJob\nmetadata: {name: a, resourceVersion: '7', managedFields: [{}], uid: u-1}\n\
                spec: {sql: x, state: {uri: 's3://b/p'}}\nstatus: {observedGeneration: 2, phase: Running, conditions: [{type: Ready, \
                status: 'True', reason: Running, message: ok, lastTransitionTime: '2026-01-01T00:00:00Z'}]}\n";
    let job = parse(text).unwrap();
    assert_eq!(job.metadata.uid.as_deref(), Some("u-1"));
    assert_eq!(job.status.unwrap().conditions[0].kind, "Ready");
}

#[test]
fn an_unknown_field_names_the_nearest_and_its_place() {
    let error = parse(&format!(
        "{HEAD}spec:\n  sql: x\n  state: {{uri: 's3://b/p'}}\n  checkpoints:\n    retained: 2\n    intervall: 10s\n"
    ))
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown field 'spec.checkpoints.intervall' at line 9, column 5; did you mean 'interval'?"
    );
    let error = parse(&format!("{HEAD}spec: {{sql: x, state: {{uri: 's3://b/p'}}, restoreForm: {{empty: {{}}}}}}\n"))
        .unwrap_err();
    assert_eq!(error.to_string(), "unknown field 'spec.restoreForm' at line 4, column 42; did you mean 'restoreFrom'?");
    let error = parse(&format!("{HEAD}spec: {{sql: x, state: {{uri: 's3://b/p', endpoint: x}}}}\n")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown field 'spec.state.endpoint' at line 4, column 41; known fields: uri, volumeClaim, options, secretRef"
    );
    let error = parse(&format!("{HEAD}sepc: {{}}\n")).unwrap_err();
    assert_eq!(error.to_string(), "unknown field 'sepc' at line 4, column 1; did you mean 'spec'?");
}

#[test]
fn missing_and_mistyped_fields() {
    for (text, expected) in [
        (format!("{HEAD}spec: {{sql: x}}\n"), "spec.state: is missing at line 4, column 7"),
        (HEAD.to_owned(), "spec: is missing at line 1, column 1"),
        (
            format!("{HEAD}spec:\n  sql: x\n  workers: many\n  state: {{uri: 's3://b/p'}}\n"),
            "spec.workers: invalid type: string \"many\", expected i32 at line 6, column 12",
        ),
        (
            format!("{HEAD}spec:\n  sql: x\n  desiredState: running\n  state: {{uri: 's3://b/p'}}\n"),
            "spec.desiredState: unknown variant 'running', expected 'Running' or 'Suspended' at line 6, column 17",
        ),
        (
            format!("{HEAD}spec:\n  sql: x\n  checkpoints: {{interval: 10}}\n  state: {{uri: 's3://b/p'}}\n"),
            "spec.checkpoints.interval: invalid duration '10': expected numbers with units ms, s, m or h, for example '10s' or \
             '1h30m' at line 6, column 27",
        ),
        (
            format!("{HEAD}spec:\n  sql: x\n  checkpoints: {{interval: 10sec}}\n  state: {{uri: 's3://b/p'}}\n"),
            "spec.checkpoints.interval: invalid duration '10sec': expected numbers with units ms, s, m or h, for example '10s' or \
             '1h30m' at line 6, column 27",
        ),
    ] {
        assert_eq!(parse(&text).unwrap_err().to_string(), expected);
    }
}

#[test]
fn what_is_not_a_stream_job() {
    assert_eq!(parse(""), Err(ManifestError::Empty));
    assert_eq!(parse("# nothing\n---\n"), Err(ManifestError::Empty));
    assert_eq!(parse(&format!("{FULL}---\n{FULL}")), Err(ManifestError::SeveralDocuments));
    assert!(parse(&format!("---\n{FULL}---\n")).is_ok(), "an empty last document is a habit, not a second job");
    assert_eq!(
        parse("apiVersion: apps/v1\nkind: Deployment\n").unwrap_err().to_string(),
        "kind is 'Deployment', expected 'StreamJob'"
    );
    assert_eq!(
        parse("apiVersion: sluice.dev/v2\nkind: StreamJob\n").unwrap_err().to_string(),
        "apiVersion is 'sluice.dev/v2', this version of Sluice reads 'sluice.dev/v1alpha1'"
    );
    assert!(matches!(parse("SELECT 1"), Err(ManifestError::Kind { .. })));
    let error = parse("apiVersion: sluice.dev/v1alpha1\nkind: [\n").unwrap_err();
    assert!(matches!(&error, ManifestError::Syntax { location: Some(_), .. }), "{error}");
    assert!(error.to_string().starts_with("invalid YAML at line "), "{error}");
}

#[test]
fn hostile_text_ends_in_an_error() {
    let deep = format!("{HEAD}spec: {}", "[".repeat(5_000));
    assert!(matches!(parse(&deep), Err(ManifestError::Syntax { .. })));
    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x]\n");
    for (i, name) in ('b'..='k').enumerate() {
        let before = char::from(b'a' + u8::try_from(i).unwrap());
        writeln!(bomb, "{name}: &{name} [{}]", vec![format!("*{before}"); 9].join(", ")).unwrap();
    }
    assert!(matches!(parse(&bomb), Err(ManifestError::Syntax { .. })));
}

#[test]
fn edits_count_swaps_once() {
    for (a, b, distance) in
        [("", "", 0), ("a", "", 1), ("form", "from", 1), ("interval", "intervall", 1), ("abc", "xyz", 3)]
    {
        assert_eq!(edits(a, b), distance);
    }
}
