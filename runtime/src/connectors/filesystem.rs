//! `filesystem`: files of a local directory, read and written. Flink's options where Flink has one.
//!
//! Reading: `path` is a file or a directory (searched recursively; names that begin with `.` or `_` are ignored). A file must
//! be complete when it appears: write it elsewhere on the same file system and rename it into place. Each file is a split;
//! big uncompressed ones of line formats are cut into ranges. With `source.monitor-interval` the directory is watched.
//!
//! `scan.rows-per-second` slows a demonstration or a backfill down; `scan.batch-size` bounds the bytes that are decoded at once.
//!
//! Updating streams are refused, unless `'sink.changelog' = 'true'` asks for each change with its kind in a first column `op`.
//!
//! Writing is exactly-once: see [`writer`] and [`publish`]. Object stores are refused until they are supported.

mod constants;
mod input;
mod listing;
mod publish;
mod reader;
mod writer;

use super::options::Options;
use super::{ConnectorContext, on_error::OnError};
use crate::clock::Clock;
use crate::connector::{Accepts, ConnectorError, Sink, Source, SourceGuarantee, Split, SplitReader};
use crate::format::Format;
use crate::format::compression::Compression;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use listing::Found;
use regex::Regex;
use sluice_core::plan::Table;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

pub(super) const KNOWN: &[&str] = &[
    "path",
    "format",
    "compression",
    "on-error",
    "source.monitor-interval",
    "source.path.regex-pattern",
    "scan.split-size",
    "scan.batch-size",
    "scan.rows-per-second",
    "sink.changelog",
    "sink.rolling-policy.file-size",
    "sink.rolling-policy.rollover-interval",
    "sink.rolling-policy.check-interval",
    "partition.default-name",
];

/// Ranges of this size keep several tasks busy with one file, and cost one seek each.
const SPLIT_BYTES: u64 = 64 << 20;

/// Name of the first column under `'sink.changelog' = 'true'`.
const KIND_COLUMN: &str = "op";

/// A declared table, its options read.
#[derive(Debug)]
pub(super) struct FileTable {
    name: String,
    path: String,
    schema: SchemaRef,
    /// Columns that the files carry, of `schema`.
    data: Vec<usize>,
    data_schema: SchemaRef,
    /// Columns that the directories carry (`k=v`), of `schema`.
    partitions: Vec<usize>,
    metadata: Vec<(usize, Metadata)>,
    format: Format,
    compression: Option<Compression>,
    on_error: OnError,
    monitor: Option<Duration>,
    pattern: Option<Regex>,
    split_bytes: Option<u64>,
    /// Records that begin within so many bytes are decoded together.
    batch_bytes: usize,
    /// No reader goes faster.
    rows_per_second: Option<u64>,
    /// Each row is written with its kind (`+I`, `-U`, `+U`, `-D`) in front.
    changelog: bool,
    roll_bytes: u64,
    roll_interval: Duration,
    null_partition: String,
}

/// `METADATA FROM '…'`.
#[derive(Clone, Copy, Debug)]
enum Metadata {
    Path,
    Name,
    Size,
}

impl FileTable {
    pub(super) fn parse(table: &Table) -> Result<Self, ConnectorError> {
        let options = Options::new(table);
        let path = options.required("path")?;
        local_path(&options, path)?;
        let data: Vec<usize> = (0..table.schema.fields().len())
            .filter(|i| !table.partitioned_by.contains(i) && table.metadata.iter().all(|(m, _)| m != i))
            .collect();
        let data_schema: SchemaRef =
            Arc::new(Schema::new(data.iter().map(|&i| table.schema.fields()[i].clone()).collect::<Vec<_>>()));
        let format = Format::parse(&options, &data_schema)?;
        options.check_known(&[KNOWN, format.known_options()], &[])?;
        let metadata = table
            .metadata
            .iter()
            .map(|(i, key)| Ok((*i, metadata(&options, key)?)))
            .collect::<Result<_, ConnectorError>>()?;
        let pattern = match options.get("source.path.regex-pattern") {
            None => None,
            Some(p) => Some(Regex::new(&format!("^(?:{p})$")).map_err(|e| {
                options.invalid(format!("option 'source.path.regex-pattern' is no regular expression: {e}"))
            })?),
        };
        let split_size = options.size("scan.split-size")?;
        if split_size == Some(0) {
            return Err(options.invalid("option 'scan.split-size' must be more than 0"));
        }
        // A quoted CSV field may hold a newline: there ranges are the user's promise that none does.
        let split_bytes = split_size.or_else(|| format.newline_ends_record().then_some(SPLIT_BYTES));
        options.duration("sink.rolling-policy.check-interval")?;
        let at_least_one = |name: &str, value: Option<u64>| match value {
            Some(0) => Err(options.invalid(format!("option '{name}' must be more than 0"))),
            value => Ok(value),
        };
        let batch_bytes = at_least_one("scan.batch-size", options.size("scan.batch-size")?)?;
        Ok(Self {
            name: table.name.clone(),
            path: path.to_owned(),
            schema: table.schema.clone(),
            data,
            data_schema,
            partitions: table.partitioned_by.clone(),
            metadata,
            compression: Compression::parse(&options)?,
            on_error: OnError::parse(&options, format.name())?,
            format,
            monitor: options.duration("source.monitor-interval")?,
            pattern,
            split_bytes,
            batch_bytes: batch_bytes.map_or(usize::MAX, |b| usize::try_from(b).unwrap_or(usize::MAX)),
            rows_per_second: at_least_one("scan.rows-per-second", options.u64("scan.rows-per-second")?)?,
            changelog: options.bool("sink.changelog", false)?,
            roll_bytes: options.size("sink.rolling-policy.file-size")?.unwrap_or(128 << 20).max(1),
            roll_interval: options
                .duration("sink.rolling-policy.rollover-interval")?
                .unwrap_or(Duration::from_mins(30)),
            null_partition: options.get("partition.default-name").unwrap_or("__DEFAULT_PARTITION__").to_owned(),
        })
    }

    /// Refuses what only reading knows.
    pub(super) fn for_writing(table: &Table) -> Result<Self, ConnectorError> {
        let parsed = Self::parse(table)?;
        if let Some((i, _)) = parsed.metadata.first() {
            let name = table.schema.field(*i).name();
            return Err(Options::new(table).invalid(format!(
                "metadata column '{name}' cannot be written; declare it VIRTUAL in a table of its own"
            )));
        }
        Ok(parsed)
    }

    pub(super) fn accepts(&self) -> Accepts {
        if self.changelog { Accepts::Everything } else { Accepts::Inserts }
    }

    /// Columns of the files that are written.
    fn written_schema(&self) -> SchemaRef {
        if !self.changelog {
            return self.data_schema.clone();
        }
        let kind = Arc::new(Field::new(KIND_COLUMN, DataType::Utf8, false));
        Arc::new(Schema::new([kind].into_iter().chain(self.data_schema.fields().iter().cloned()).collect::<Vec<_>>()))
    }

    fn root(&self, base: &Path) -> PathBuf {
        match Url::parse(&self.path).ok().filter(|u| u.scheme() == "file").and_then(|u| u.to_file_path().ok()) {
            Some(path) => path,
            None => base.join(&self.path),
        }
    }

    fn failed(&self, message: impl Into<String>) -> ConnectorError {
        ConnectorError::Failed { table: self.name.clone(), message: message.into() }
    }
}

fn metadata(options: &Options<'_>, key: &str) -> Result<Metadata, ConnectorError> {
    match key {
        "file.path" => Ok(Metadata::Path),
        "file.name" => Ok(Metadata::Name),
        "file.size" => Ok(Metadata::Size),
        _ => Err(options.invalid(format!("unknown metadata '{key}' (known: file.path, file.name, file.size)"))),
    }
}

/// Refuses URIs of other file systems.
fn local_path(options: &Options<'_>, path: &str) -> Result<(), ConnectorError> {
    match Url::parse(path) {
        // A single letter would be a drive.
        Ok(url) if url.scheme() != "file" && url.scheme().len() > 1 => Err(options.invalid(format!(
            "path '{path}' is on '{}': the filesystem connector reads and writes local files only for now; use a plain path or file://",
            url.scheme()
        ))),
        Ok(url) if url.scheme() == "file" && url.to_file_path().is_err() => {
            Err(options.invalid(format!("path '{path}' names a host: write file:///absolute/path")))
        }
        _ if path.trim().is_empty() => Err(options.invalid("option 'path' is empty")),
        _ => Ok(()),
    }
}

struct FileSource {
    table: Arc<FileTable>,
    root: PathBuf,
    clock: Clock,
}

pub(super) fn open_source(table: &Table, cx: &ConnectorContext) -> Result<Box<dyn Source>, ConnectorError> {
    let table = Arc::new(FileTable::parse(table)?);
    let root = table.root(&cx.base_dir);
    Ok(Box::new(FileSource { table, root, clock: cx.clock.clone() }))
}

pub(super) fn open_sink(table: &Table, cx: &ConnectorContext) -> Result<Arc<dyn Sink>, ConnectorError> {
    let table = Arc::new(FileTable::for_writing(table)?);
    let root = table.root(&cx.base_dir);
    Ok(Arc::new(writer::FileSink::new(table, root, cx.clock.clone())))
}

impl FileSource {
    /// A file is one split, or one per range: the first has the file's name as its id, so that a file that grew beyond the
    /// range size while it was down is not read twice.
    fn splits_of(&self, found: &Found) -> Vec<Split> {
        let compressed =
            self.table.compression.unwrap_or_else(|| Compression::of_path(&found.path)) != Compression::None;
        let step = self.table.split_bytes.filter(|step| !compressed && found.size > *step);
        let Some(step) = step else {
            return vec![Split { id: found.relative.clone(), position: serde_json::Value::Null, finished: false }];
        };
        let mut starts: Vec<u64> = (0..found.size).step_by(step as usize).collect();
        // A short rest is not worth a seek.
        if starts.last().is_some_and(|s| found.size - s < step / 2) && starts.len() > 1 {
            starts.pop();
        }
        let ends = starts.iter().skip(1).map(|e| Some(*e)).chain([None]);
        starts
            .iter()
            .zip(ends)
            .map(|(&start, end)| Split {
                id: if start == 0 { found.relative.clone() } else { format!("{}#{start}", found.relative) },
                position: reader::Position::of_range(start, end).to_json(),
                finished: false,
            })
            .collect()
    }
}

impl Source for FileSource {
    fn guarantee(&self) -> SourceGuarantee {
        SourceGuarantee::Replayable
    }

    fn splits(&mut self) -> Result<Vec<Split>, ConnectorError> {
        let files = listing::list(&self.root, self.table.pattern.as_ref())?;
        Ok(files.iter().flat_map(|f| self.splits_of(f)).collect())
    }

    fn unbounded(&self) -> bool {
        self.table.monitor.is_some()
    }

    fn reader(&self) -> Result<Box<dyn SplitReader>, ConnectorError> {
        Ok(Box::new(reader::FileReader::new(self.table.clone(), self.root.clone(), self.clock.clone())))
    }
}

#[cfg(test)]
mod tests;
