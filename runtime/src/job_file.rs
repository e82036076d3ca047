//! A job as a file on disk: a `StreamJob` manifest or plain SQL.

use sluice_core::key_group::KeyGroups;
use sluice_crds::stream_job::StreamJobSpec;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a file says about a job, before anything is planned.
#[derive(Clone, Debug)]
pub struct JobFile {
    pub namespace: String,
    pub name: String,
    pub sql: String,
    /// Line of the file in which the SQL begins (0: its first), so that errors point into the file.
    pub sql_line: usize,
    /// Relative paths of connectors start here.
    pub base_dir: PathBuf,
    pub key_groups: KeyGroups,
    pub parallelism: Option<usize>,
    pub state_uri: Option<String>,
    pub state_options: std::collections::BTreeMap<String, String>,
    pub checkpoint_interval: Option<Duration>,
    pub checkpoint_timeout: Duration,
    pub checkpoints_retained: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum JobFileError {
    #[error("cannot read '{path}': {source}")]
    Read { path: String, source: std::io::Error },
    #[error("'{path}' is not UTF-8 text")]
    NotText { path: String },
    #[error("'{path}': {source}")]
    Manifest { path: String, source: sluice_crds::ManifestError },
    #[error(
        "'{path}': spec.sqlFrom names a ConfigMap, which exists only in a cluster: put the text into spec.sql to run it here"
    )]
    SqlFrom { path: String },
    #[error("'{path}': spec.keyGroups: {source}")]
    KeyGroups { path: String, source: sluice_core::key_group::KeyGroupsOutOfRange },
}

const CHECKPOINT_TIMEOUT: Duration = Duration::from_secs(300);
const CHECKPOINTS_RETAINED: usize = 3;

impl JobFile {
    pub fn read(path: &Path) -> Result<Self, JobFileError> {
        let shown = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| JobFileError::Read { path: shown.clone(), source })?;
        let text = String::from_utf8(bytes).map_err(|_| JobFileError::NotText { path: shown.clone() })?;
        let base_dir = match path.parent() {
            Some(p) if !p.as_os_str().is_empty() => p.to_path_buf(),
            _ => PathBuf::from("."),
        };
        if path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
            Self::manifest(&shown, &text, base_dir)
        } else {
            Ok(Self::sql(path, text, base_dir))
        }
    }

    fn sql(path: &Path, sql: String, base_dir: PathBuf) -> Self {
        let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        Self {
            namespace: "default".into(),
            name: dns_label(&stem),
            sql,
            sql_line: 0,
            base_dir,
            key_groups: KeyGroups::DEFAULT,
            parallelism: None,
            state_uri: None,
            state_options: Default::default(),
            checkpoint_interval: None,
            checkpoint_timeout: CHECKPOINT_TIMEOUT,
            checkpoints_retained: CHECKPOINTS_RETAINED,
        }
    }

    fn manifest(path: &str, text: &str, base_dir: PathBuf) -> Result<Self, JobFileError> {
        let job =
            sluice_crds::parse(text).map_err(|source| JobFileError::Manifest { path: path.to_owned(), source })?;
        let spec: StreamJobSpec = job.spec;
        let sql = spec.sql.ok_or_else(|| JobFileError::SqlFrom { path: path.to_owned() })?;
        let key_groups = KeyGroups::new(spec.key_groups.unsigned_abs())
            .map_err(|source| JobFileError::KeyGroups { path: path.to_owned(), source })?;
        Ok(Self {
            namespace: job.metadata.namespace.unwrap_or_else(|| "default".into()),
            name: job.metadata.name,
            sql_line: line_of_sql(text, &sql),
            sql,
            base_dir,
            key_groups,
            parallelism: Some((spec.workers.unsigned_abs() * spec.worker.slots.unsigned_abs()) as usize),
            state_uri: spec.state.uri,
            state_options: spec.state.options,
            checkpoint_interval: Some(spec.checkpoints.interval.into()),
            checkpoint_timeout: spec.checkpoints.timeout.into(),
            checkpoints_retained: spec.checkpoints.retained.unsigned_abs() as usize,
        })
    }
}

/// The line of the manifest in which the block of SQL begins, found by its first line.
fn line_of_sql(text: &str, sql: &str) -> usize {
    let Some(first) = sql.lines().find(|l| !l.trim().is_empty()) else { return 0 };
    let skipped = sql.lines().take_while(|l| l.trim().is_empty()).count();
    text.lines().position(|l| l.trim() == first.trim()).map_or(0, |n| n - skipped.min(n))
}

/// A name that Kubernetes would accept too.
fn dns_label(name: &str) -> String {
    let mut s: String = name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    s.truncate(40);
    let s = s.trim_matches('-').to_owned();
    if s.starts_with(|c: char| c.is_ascii_lowercase()) { s } else { format!("job-{s}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        assert_eq!(dns_label("My Job_1"), "my-job-1");
        assert_eq!(dns_label("2026"), "job-2026");
    }

    #[test]
    fn errors_point_into_the_manifest() {
        let text = "a: b\nspec:\n  sql: |\n    SELECT 1;\n    SELECT 2;\n";
        assert_eq!(line_of_sql(text, "SELECT 1;\nSELECT 2;\n"), 3);
    }
}
