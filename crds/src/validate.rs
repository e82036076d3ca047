//! The bounds of a `StreamJob`: the same that the API server checks by schema and CEL, as a pure function.
//!
//! It refuses nothing that the API server accepts, and the other way round, except where [`Place`] says so. It judges one
//! object by itself; what may change between two versions of it is the operator's business.

use crate::duration::Duration;
use crate::manifest::StreamJob;
use crate::pod::{EnvVar, Pod};
use crate::stream_job::{Checkpoints, Deletion, RestoreFrom, Savepoints, Stability, State, StreamJobSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Where the job is going to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this process: state may also be a local directory (`file://`).
    Local,
    /// In pods, which share no directory: `file://` is refused.
    Cluster,
}

/// One field that is out of its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// For example `spec.checkpoints.interval`.
    pub path: String,
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// All violations, in the order of the fields; empty = the object is valid.
pub fn validate(job: &StreamJob, place: Place) -> Vec<Violation> {
    let mut found = Findings::default();
    check_name(&job.metadata.name, &mut found);
    check_spec(&job.spec, place, &mut found);
    found.0
}

const NAME_MAX: usize = 40;
const OBJECT_NAME_MAX: usize = 253;
const SQL_MAX: usize = 65536;
const URI_MAX: usize = 1024;

#[derive(Default)]
struct Findings(Vec<Violation>);

impl Findings {
    fn add(&mut self, path: &str, message: impl Into<String>) {
        self.0.push(Violation { path: path.to_owned(), message: message.into() });
    }

    fn range(&mut self, path: &str, value: i64, min: i64, max: i64) {
        if value < min || value > max {
            self.add(path, format!("must be between {min} and {max}, is {value}"));
        }
    }

    fn span(&mut self, path: &str, value: Duration, min: Duration, max: Duration) {
        if value < min || value > max {
            self.add(path, format!("must be between {min} and {max}, is {value}"));
        }
    }

    /// The API server counts characters, not bytes.
    fn length(&mut self, path: &str, text: &str, max: usize) {
        if text.chars().count() > max {
            self.add(path, format!("must have at most {max} characters"));
        }
    }

    fn entries(&mut self, path: &str, count: usize, max: usize) {
        if count > max {
            self.add(path, format!("must have at most {max} entries, has {count}"));
        }
    }

    fn one_of(&mut self, path: &str, fields: &[(&str, bool)]) {
        if fields.iter().filter(|(_, given)| *given).count() != 1 {
            let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
            let given: Vec<_> = fields.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
            let given =
                if given.is_empty() { "none is given".to_owned() } else { format!("given: {}", given.join(", ")) };
            self.add(path, format!("exactly one of {} is needed; {given}", names.join(", ")));
        }
    }

    fn unique<'a>(&mut self, path: &str, names: impl Iterator<Item = &'a str>) {
        let mut seen = BTreeSet::new();
        for name in names {
            if !seen.insert(name) {
                self.add(path, format!("'{name}' is listed twice"));
            }
        }
    }
}

fn check_name(name: &str, found: &mut Findings) {
    let letters = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let ends = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase()) && !name.ends_with('-');
    if name.len() > NAME_MAX || !letters || !ends {
        found.add(
            "metadata.name",
            format!(
                "'{name}' must have at most {NAME_MAX} lower-case letters, digits and hyphens, begin with a letter and not \
                 end with a hyphen"
            ),
        );
    }
}

fn check_spec(spec: &StreamJobSpec, place: Place, found: &mut Findings) {
    found.one_of("spec", &[("sql", spec.sql.is_some()), ("sqlFrom", spec.sql_from.is_some())]);
    if let Some(sql) = &spec.sql {
        if sql.is_empty() {
            found.add("spec.sql", "must not be empty");
        }
        found.length("spec.sql", sql, SQL_MAX);
    }
    if let Some(from) = &spec.sql_from {
        found.length("spec.sqlFrom.configMapKeyRef.name", &from.config_map_key_ref.name, OBJECT_NAME_MAX);
        found.length("spec.sqlFrom.configMapKeyRef.key", &from.config_map_key_ref.key, OBJECT_NAME_MAX);
    }
    found.length("spec.image", spec.image.as_deref().unwrap_or_default(), 512);
    found.range("spec.workers", spec.workers.into(), 1, 1024);
    found.range("spec.keyGroups", spec.key_groups.into(), 1, 32768);
    found.range("spec.worker.slots", spec.worker.slots.into(), 1, 64);
    let parallelism = i64::from(spec.workers) * i64::from(spec.worker.slots);
    if parallelism > i64::from(spec.key_groups) {
        found.add(
            "spec.workers",
            format!("workers x worker.slots = {parallelism} must not exceed keyGroups = {}", spec.key_groups),
        );
    }
    check_state(&spec.state, place, found);
    found.entries("spec.secrets", spec.secrets.len(), 16);
    found.unique("spec.secrets", spec.secrets.iter().map(|s| s.name.as_str()));
    check_checkpoints(&spec.checkpoints, found);
    check_savepoints(&spec.savepoints, found);
    found.length("spec.upgrade.acceptPlan", spec.upgrade.accept_plan.as_deref().unwrap_or_default(), 64);
    check_stability(&spec.upgrade.stability, found);
    if let Some(restore) = &spec.restore_from {
        check_restore(restore, found);
    }
    found.range("spec.restartNonce", spec.restart_nonce, 0, i64::MAX);
    check_deletion(&spec.deletion, found);
    found.range("spec.revisionHistoryLimit", spec.revision_history_limit.into(), 1, 50);
    check_pod("spec.coordinator.pod", &spec.coordinator.pod, found);
    check_pod("spec.worker.pod", &spec.worker.pod, found);
    for (path, map) in [
        ("spec.coordinator.resources.requests", &spec.coordinator.resources.requests),
        ("spec.coordinator.resources.limits", &spec.coordinator.resources.limits),
        ("spec.worker.resources.requests", &spec.worker.resources.requests),
        ("spec.worker.resources.limits", &spec.worker.resources.limits),
    ] {
        found.entries(path, map.len(), 16);
    }
}

fn check_state(state: &State, place: Place, found: &mut Findings) {
    found.one_of("spec.state", &[("uri", state.uri.is_some()), ("volumeClaim", state.volume_claim.is_some())]);
    if let Some(uri) = &state.uri {
        found.length("spec.state.uri", uri, URI_MAX);
        let (schemes, expected): (&[&str], _) = match place {
            Place::Local => (&["s3://", "gs://", "az://", "file://"], "s3://, gs://, az:// or file://"),
            Place::Cluster => (&["s3://", "gs://", "az://"], "s3://, gs:// or az://"),
        };
        if !schemes.iter().any(|s| uri.len() > s.len() && uri.starts_with(s)) {
            found.add("spec.state.uri", format!("'{uri}' must begin with {expected} and name a place"));
        }
    }
    if let Some(claim) = &state.volume_claim {
        found.length("spec.state.volumeClaim.name", &claim.name, OBJECT_NAME_MAX);
        found.length("spec.state.volumeClaim.path", claim.path.as_deref().unwrap_or_default(), URI_MAX);
    }
    found.entries("spec.state.options", state.options.len(), 16);
    for (key, value) in &state.options {
        found.length(&format!("spec.state.options.{key}"), value, 1024);
    }
}

fn check_checkpoints(checkpoints: &Checkpoints, found: &mut Findings) {
    let Checkpoints { interval, timeout, retained } = checkpoints;
    found.span("spec.checkpoints.interval", *interval, Duration::from_millis(100), Duration::from_hours(24));
    found.span("spec.checkpoints.timeout", *timeout, Duration::from_secs(1), Duration::from_hours(24));
    if timeout < interval {
        found.add(
            "spec.checkpoints.timeout",
            format!("must not be shorter than the interval ({interval}), is {timeout}"),
        );
    }
    found.range("spec.checkpoints.retained", (*retained).into(), 1, 100);
}

/// A year: the longest span for things that people schedule.
const YEAR: Duration = Duration::from_hours(8760);

fn check_savepoints(savepoints: &Savepoints, found: &mut Findings) {
    let Savepoints { every, retained, max_age } = savepoints;
    if let Some(every) = every {
        found.span("spec.savepoints.every", *every, Duration::from_mins(1), YEAR);
    }
    if let Some(age) = max_age {
        found.span("spec.savepoints.maxAge", *age, Duration::from_mins(1), YEAR);
    }
    found.range("spec.savepoints.retained", (*retained).into(), 1, 1000);
}

fn check_stability(stability: &Stability, found: &mut Findings) {
    let Stability { checkpoints, deadline, max_lag } = stability;
    found.range("spec.upgrade.stability.checkpoints", (*checkpoints).into(), 1, 100);
    found.span("spec.upgrade.stability.deadline", *deadline, Duration::from_secs(10), Duration::from_hours(24));
    if let Some(lag) = max_lag {
        found.span("spec.upgrade.stability.maxLag", *lag, Duration::from_secs(1), YEAR);
    }
}

fn check_restore(restore: &RestoreFrom, found: &mut Findings) {
    let RestoreFrom { savepoint, path, job, empty, nonce } = restore;
    found.one_of(
        "spec.restoreFrom",
        &[
            ("savepoint", savepoint.is_some()),
            ("path", path.is_some()),
            ("job", job.is_some()),
            ("empty", empty.is_some()),
        ],
    );
    found.length("spec.restoreFrom.path", path.as_deref().unwrap_or_default(), URI_MAX);
    found.range("spec.restoreFrom.nonce", *nonce, 0, i64::MAX);
}

fn check_deletion(deletion: &Deletion, found: &mut Findings) {
    found.span("spec.deletion.deadline", deletion.deadline, Duration::from_secs(10), Duration::from_hours(24));
}

fn check_pod(path: &str, pod: &Pod, found: &mut Findings) {
    let at = |field: &str| format!("{path}.{field}");
    check_map(&at("labels"), &pod.labels, 63, found);
    check_map(&at("annotations"), &pod.annotations, 4096, found);
    check_map(&at("nodeSelector"), &pod.node_selector, 63, found);
    for label in pod.labels.keys().filter(|label| label.starts_with("sluice.dev/")) {
        found.add(&at("labels"), format!("'{label}' is reserved: labels must not begin with sluice.dev/"));
    }
    found.entries(&at("tolerations"), pod.tolerations.len(), 32);
    found.entries(&at("topologySpreadConstraints"), pod.topology_spread_constraints.len(), 8);
    found.entries(&at("imagePullSecrets"), pod.image_pull_secrets.len(), 8);
    found.range(&at("terminationGracePeriodSeconds"), pod.termination_grace_period_seconds.into(), 10, 3600);
    found.entries(&at("env"), pod.env.len(), 64);
    found.unique(&at("env"), pod.env.iter().map(|e| e.name.as_str()));
    for variable in &pod.env {
        check_env(&at("env"), variable, found);
    }
}

fn check_map(path: &str, map: &BTreeMap<String, String>, value_max: usize, found: &mut Findings) {
    found.entries(path, map.len(), 32);
    for (key, value) in map {
        found.length(&format!("{path}.{key}"), value, value_max);
    }
}

fn check_env(path: &str, variable: &EnvVar, found: &mut Findings) {
    let EnvVar { name, value, value_from } = variable;
    if name.starts_with("SLUICE_") {
        found.add(path, format!("'{name}' is reserved: names must not begin with SLUICE_"));
    }
    found.length(path, value.as_deref().unwrap_or_default(), 32768);
    if let Some(from) = value_from {
        found.one_of(
            &format!("{path}.{name}.valueFrom"),
            &[("secretKeyRef", from.secret_key_ref.is_some()), ("configMapKeyRef", from.config_map_key_ref.is_some())],
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    fn job(spec: &str) -> StreamJob {
        let text = "{apiVersion: sluice.dev/v1alpha1, kind: StreamJob, metadata: {name: a}, spec: {sql: x, state: {uri: 's3://b/p'}}}";
        let mut value: serde_json::Value = serde_yaml::from_str(text).unwrap();
        let overlay: serde_json::Map<String, serde_json::Value> = serde_yaml::from_str(spec).unwrap();
        for (key, field) in overlay {
            if field.is_null() {
                value["spec"].as_object_mut().unwrap().remove(&key);
            } else {
                value["spec"][key] = field;
            }
        }
        serde_json::from_value(value).unwrap()
    }

    fn violations(spec: &str) -> Vec<String> {
        validate(&job(spec), Place::Cluster).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_smallest_job_is_valid() {
        assert_eq!(violations("{}"), Vec::<String>::new());
    }

    #[test]
    fn each_bound_is_checked() {
        for (spec, expected) in [
            ("{sql: null}", "spec: exactly one of sql, sqlFrom is needed; none is given"),
            (
                "{sqlFrom: {configMapKeyRef: {name: a, key: b}}}",
                "spec: exactly one of sql, sqlFrom is needed; given: sql, sqlFrom",
            ),
            ("{sql: ''}", "spec.sql: must not be empty"),
            ("{workers: 0}", "spec.workers: must be between 1 and 1024, is 0"),
            ("{workers: 129}", "spec.workers: workers x worker.slots = 129 must not exceed keyGroups = 128"),
            (
                "{workers: 5, keyGroups: 8, worker: {slots: 2}}",
                "spec.workers: workers x worker.slots = 10 must not exceed keyGroups = 8",
            ),
            ("{keyGroups: 32769}", "spec.keyGroups: must be between 1 and 32768, is 32769"),
            ("{worker: {slots: 65}}", "spec.worker.slots: must be between 1 and 64, is 65"),
            ("{state: {}}", "spec.state: exactly one of uri, volumeClaim is needed; none is given"),
            (
                "{state: {uri: 'file:///tmp/x'}}",
                "spec.state.uri: 'file:///tmp/x' must begin with s3://, gs:// or az:// and name a place",
            ),
            (
                "{state: {uri: 's3://'}}",
                "spec.state.uri: 's3://' must begin with s3://, gs:// or az:// and name a place",
            ),
            ("{secrets: [{name: k}, {name: k}]}", "spec.secrets: 'k' is listed twice"),
            ("{checkpoints: {interval: 99ms}}", "spec.checkpoints.interval: must be between 100ms and 24h, is 99ms"),
            (
                "{checkpoints: {interval: 10m}}",
                "spec.checkpoints.timeout: must not be shorter than the interval (10m), is 5m",
            ),
            ("{checkpoints: {retained: 0}}", "spec.checkpoints.retained: must be between 1 and 100, is 0"),
            ("{savepoints: {every: 59s}}", "spec.savepoints.every: must be between 1m and 8760h, is 59s"),
            ("{savepoints: {maxAge: 8761h}}", "spec.savepoints.maxAge: must be between 1m and 8760h, is 8761h"),
            ("{savepoints: {retained: 1001}}", "spec.savepoints.retained: must be between 1 and 1000, is 1001"),
            (
                "{upgrade: {stability: {checkpoints: 101}}}",
                "spec.upgrade.stability.checkpoints: must be between 1 and 100, is 101",
            ),
            (
                "{upgrade: {stability: {deadline: 9s}}}",
                "spec.upgrade.stability.deadline: must be between 10s and 24h, is 9s",
            ),
            (
                "{restoreFrom: {}}",
                "spec.restoreFrom: exactly one of savepoint, path, job, empty is needed; none is given",
            ),
            (
                "{restoreFrom: {empty: {}, nonce: -1}}",
                "spec.restoreFrom.nonce: must be between 0 and 9223372036854775807, is -1",
            ),
            ("{deletion: {deadline: 25h}}", "spec.deletion.deadline: must be between 10s and 24h, is 25h"),
            ("{revisionHistoryLimit: 51}", "spec.revisionHistoryLimit: must be between 1 and 50, is 51"),
            (
                "{worker: {pod: {env: [{name: SLUICE_X}]}}}",
                "spec.worker.pod.env: 'SLUICE_X' is reserved: names must not begin with SLUICE_",
            ),
            (
                "{worker: {pod: {env: [{name: A, valueFrom: {}}]}}}",
                "spec.worker.pod.env.A.valueFrom: exactly one of secretKeyRef, configMapKeyRef is needed; none is given",
            ),
            (
                "{coordinator: {pod: {labels: {sluice.dev/job: x}}}}",
                "spec.coordinator.pod.labels: 'sluice.dev/job' is reserved: labels must not begin with sluice.dev/",
            ),
            (
                "{coordinator: {pod: {terminationGracePeriodSeconds: 5}}}",
                "spec.coordinator.pod.terminationGracePeriodSeconds: must be between 10 and 3600, is 5",
            ),
        ] {
            assert_eq!(violations(spec), [expected], "{spec}");
        }
    }

    #[test]
    fn a_local_directory_is_for_local_runs_only() {
        let job = job("{state: {uri: 'file:///tmp/x'}}");
        assert_eq!(validate(&job, Place::Local), []);
        assert_eq!(validate(&job, Place::Cluster).len(), 1);
    }

    #[test]
    fn names_are_dns_labels() {
        for (name, valid) in [
            ("a", true),
            ("bids-per-minute", true),
            ("a1", true),
            ("", false),
            ("1a", false),
            ("-a", false),
            ("a-", false),
            ("A", false),
            ("a.b", false),
            ("a_b", false),
            ("a23456789012345678901234567890123456789", true),
            ("a2345678901234567890123456789012345678901", false),
        ] {
            let mut job = job("{}");
            name.clone_into(&mut job.metadata.name);
            assert_eq!(validate(&job, Place::Cluster).is_empty(), valid, "{name}");
        }
    }

    #[test]
    fn lengths_are_in_characters() {
        let mut j = job("{}");
        j.spec.sql = Some("ä".repeat(SQL_MAX));
        assert_eq!(validate(&j, Place::Cluster), []);
        j.spec.sql = Some("ä".repeat(SQL_MAX + 1));
        assert_eq!(validate(&j, Place::Cluster)[0].to_string(), "spec.sql: must have at most 65536 characters");
    }

    #[test]
    fn parsing_validates() {
        let text = "apiVersion: sluice.dev/v1alpha1\nkind: StreamJob\nmetadata: {name: A}\nspec: {sql: x, state: {uri: 's3://b'}}\n";
        let message = parse(text).unwrap_err().to_string();
        assert!(message.contains("metadata.name"), "{message}");
    }
}
