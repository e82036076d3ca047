//! Finding a job's state from its file, and describing a manifest: what `savepoint` and `state` share.

use super::exit::Exit;
use super::run::DEFAULT_STATE;
use super::{JobArgs, StateArgs};
use crate::job_file::JobFile;
use crate::journal::job::{Found, find as find_job};
use crate::progress::thousands;
use crate::store::{self, Store};
use sluice_core::manifest::Manifest;
use sluice_core::paths::JobPaths;
use std::fmt::Write;
use std::sync::Arc;

/// A job that has state.
pub struct FoundJob {
    pub store: Arc<dyn Store>,
    pub paths: JobPaths,
}

pub async fn find(job: &JobArgs, state: &StateArgs) -> Result<FoundJob, Exit> {
    let file = JobFile::read(&job.file).map_err(Exit::invalid)?;
    let uri = state.state.clone().or(file.state_uri).unwrap_or_else(|| DEFAULT_STATE.to_owned());
    let options: Vec<(String, String)> = file.state_options.into_iter().collect();
    let store = store::open(&uri, &options, 0).map_err(Exit::invalid)?;
    match find_job(&*store, &file.namespace, &file.name).await.map_err(Exit::state)? {
        Found::Job(uid) => Ok(FoundJob { paths: JobPaths::new(&file.namespace, &file.name, &uid), store }),
        Found::Nothing => {
            Err(Exit::state(format!("there is no state of job '{}' in {uri}; is --state right?", file.name)))
        }
        Found::Unclaimed(uids) => Err(Exit::state(format!(
            "there is state of {} jobs named '{}' in {uri}, none of them claimed by this name",
            uids.len(),
            file.name
        ))),
    }
}

/// A manifest for people.
pub fn describe(m: &Manifest) -> String {
    let mut s = String::new();
    let kind = format!("{:?}", m.kind).to_lowercase();
    let done = if m.finished { ", finished" } else { "" };
    let _ = writeln!(
        s,
        "{kind} of epoch {}{done}: {} rows in {} bytes, {} written by this epoch",
        m.epoch,
        thousands(m.totals.rows),
        thousands(m.totals.bytes),
        thousands(m.totals.written_bytes)
    );
    for o in &m.operators {
        let label = m.plan.iter().find(|p| p.id == o.id).map_or("", |p| p.label.as_str());
        let _ = writeln!(s, "  {}  {label}", o.id);
        if !o.segments.is_empty() {
            let (rows, bytes) = o.segments.iter().fold((0, 0), |(r, b), x| (r + x.rows, b + x.length));
            let from = o.segments.iter().map(|x| x.key_groups.start).min().unwrap_or(0);
            let to = o.segments.iter().map(|x| x.key_groups.end).max().unwrap_or(0);
            let _ = writeln!(
                s,
                "    {} segments, {} rows, {} bytes, key groups {from}..{to}, parallelism {}",
                o.segments.len(),
                thousands(rows),
                thousands(bytes),
                o.parallelism
            );
        }
        for split in &o.splits {
            let _ = writeln!(s, "    split {}", split.split);
        }
        if let Some(sink) = &o.sink {
            let _ = writeln!(
                s,
                "    sink '{}', {} slots, {} with staged output",
                sink.table,
                sink.slots,
                sink.staged.len()
            );
        }
    }
    s
}
