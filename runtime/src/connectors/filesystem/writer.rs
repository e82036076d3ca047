//! The exactly-once file sink, up to the barrier: rows go to hidden files that are whole and on disk when the barrier
//! returns; `publish` gives them their names once the epoch is canonical.
//!
//! Hidden files are `<path>/.sluice/<slot>-<writer>-<n>`, on the target's file system so that a link can publish them. Names
//! of parts carry slot, writer and epoch: two processes never mean different content by one name. What a killed process
//! leaves in `.sluice` without a checkpoint naming it is invisible to readers and stays: no process can know that a held or
//! older checkpoint of another one does not name it.

use super::constants::escape;
use super::{FileTable, publish};
use crate::clock::Clock;
use crate::connector::{Accepts, ConnectorError, Sink, SinkGuarantee, SinkSlot, SinkWriter, Staged};
use crate::element::Batch;
use crate::format::Encoder;
use crate::format::compression::{Compression, Compressor};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{cast, take_record_batch};
use arrow_schema::DataType;
use async_trait::async_trait;
use publish::{Files, StagedFile};
use sluice_core::id::Epoch;
use sluice_core::time::ProcTime;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Encoded bytes are handed to the file in pieces of this size: few system calls, bounded memory per open part.
const WRITE_BYTES: usize = 256 << 10;

/// Partitions that are written at the same time; with more, the oldest part is closed.
const OPEN_PARTS_MAX: usize = 128;

pub(super) const HIDDEN: &str = ".sluice";

pub(super) struct FileSink {
    table: Arc<FileTable>,
    root: PathBuf,
    clock: Clock,
}

impl FileSink {
    pub(super) fn new(table: Arc<FileTable>, root: PathBuf, clock: Clock) -> Self {
        Self { table, root, clock }
    }

    /// File work off the caller's event loop, where there is one.
    async fn blocking(
        &self,
        work: impl FnOnce(&str, &Path) -> Result<(), ConnectorError> + Send + 'static,
    ) -> Result<(), ConnectorError> {
        let (table, root) = (self.table.name.clone(), self.root.clone());
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => runtime
                .spawn_blocking(move || work(&table, &root))
                .await
                .map_err(|e| self.table.failed(format!("publishing was interrupted: {e}")))?,
            Err(_) => work(&table, &root),
        }
    }
}

#[async_trait]
impl Sink for FileSink {
    fn guarantee(&self) -> SinkGuarantee {
        SinkGuarantee::ExactlyOnce
    }

    fn accepts(&self) -> Accepts {
        self.table.accepts()
    }

    fn writer(&self, slot: SinkSlot) -> Result<Box<dyn SinkWriter>, ConnectorError> {
        let hidden = self.root.join(HIDDEN);
        fs::create_dir_all(&hidden).map_err(|e| failed(&self.table.name, "create", &hidden, e))?;
        Ok(Box::new(FileWriter {
            encoder: self.table.format.encoder(&self.table.written_schema()),
            compression: self.table.compression.unwrap_or(Compression::None),
            table: self.table.clone(),
            root: self.root.clone(),
            now: self.clock.now(),
            slot,
            sequence: 0,
            open: HashMap::new(),
            closed: vec![],
        }))
    }

    async fn settle(&self, _epoch: Epoch, staged: &[Staged]) -> Result<(), ConnectorError> {
        let files = Files::of(&self.table.name, staged)?;
        self.blocking(move |table, root| publish::publish(table, root, &files)).await
    }

    async fn discard(&self, staged: &[Staged]) -> Result<(), ConnectorError> {
        let files = Files::of(&self.table.name, staged)?;
        self.blocking(move |_, root| {
            publish::discard(root, &files);
            Ok(())
        })
        .await
    }
}

struct FileWriter {
    table: Arc<FileTable>,
    root: PathBuf,
    slot: SinkSlot,
    encoder: Box<dyn Encoder>,
    compression: Compression,
    /// The clock at the last tick.
    now: ProcTime,
    sequence: u64,
    /// By directory below the root (`` or `k=v/l=w/`).
    open: HashMap<String, Part>,
    /// Whole files: with an epoch those that a barrier has handed over and that are not confirmed, without one those that
    /// were rolled since.
    closed: Vec<(Option<Epoch>, StagedFile)>,
}

/// A file that is being written.
struct Part {
    name: String,
    opened: ProcTime,
    pending: Vec<u8>,
    file: Compressor<Summed>,
    rows: u64,
}

/// Counts and sums what reaches the file.
struct Summed {
    file: File,
    bytes: u64,
    crc: crc32fast::Hasher,
}

impl Write for Summed {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.file.write(buf)?;
        self.bytes += n as u64;
        self.crc.update(&buf[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl FileWriter {
    fn writer8(&self) -> &str {
        self.slot.writer.get(..8).unwrap_or(&self.slot.writer)
    }

    fn hidden(&self, name: &str) -> PathBuf {
        self.root.join(HIDDEN).join(name)
    }

    fn extension(&self) -> String {
        let format = match self.table.format.name() {
            "raw" => "txt",
            name => name,
        };
        format!(".{format}{}", self.compression.extension())
    }

    /// A new hidden file. Two sinks of one job may write to one directory with the same slot: the first free number is taken.
    fn open_part(&mut self) -> Result<Part, ConnectorError> {
        loop {
            let name = format!("{:05}-{}-{}", self.slot.slot, self.writer8(), self.sequence);
            let path = self.hidden(&name);
            self.sequence += 1;
            match File::create_new(&path) {
                Ok(file) => {
                    let summed = Summed { file, bytes: 0, crc: crc32fast::Hasher::new() };
                    let file = Compressor::new(self.compression, summed)
                        .map_err(|e| failed(&self.table.name, "write", &path, e))?;
                    let mut pending = Vec::with_capacity(WRITE_BYTES);
                    self.encoder.header(&mut pending);
                    return Ok(Part { name, opened: self.now, pending, file, rows: 0 });
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(failed(&self.table.name, "create", &path, e)),
            }
        }
    }

    fn append(&mut self, directory: &str, rows: &RecordBatch) -> Result<(), ConnectorError> {
        if !self.open.contains_key(directory) {
            if self.open.len() >= OPEN_PARTS_MAX {
                let oldest = self.open.iter().min_by_key(|(d, p)| (p.opened, *d)).map(|(d, _)| d.clone());
                self.close(&oldest.expect("there are open parts"))?;
            }
            let part = self.open_part()?;
            self.open.insert(directory.to_owned(), part);
        }
        let part = self.open.get_mut(directory).expect("was just inserted");
        self.encoder.encode(rows, &mut part.pending);
        part.rows += rows.num_rows() as u64;
        if part.pending.len() >= WRITE_BYTES {
            let name = part.name.clone();
            part.flush().map_err(|e| failed(&self.table.name, "write", &self.root.join(HIDDEN).join(name), e))?;
        }
        let part = &self.open[directory];
        if part.file.get_ref().bytes + part.pending.len() as u64 >= self.table.roll_bytes {
            self.close(directory)?;
        }
        Ok(())
    }

    /// Ends a part: everything on disk, nothing visible.
    fn close(&mut self, directory: &str) -> Result<(), ConnectorError> {
        let Some(mut part) = self.open.remove(directory) else { return Ok(()) };
        let staged = format!("{HIDDEN}/{}", part.name);
        let path = self.root.join(&staged);
        let rows = part.rows;
        let finish = |file: Compressor<Summed>| -> io::Result<Summed> {
            let summed = file.finish()?;
            summed.file.sync_all()?;
            Ok(summed)
        };
        let summed =
            part.flush().and_then(|()| finish(part.file)).map_err(|e| failed(&self.table.name, "write", &path, e))?;
        let file = StagedFile {
            staged,
            // The barrier that hands the file over completes the name with its epoch.
            target: directory.to_owned(),
            bytes: summed.bytes,
            crc32: summed.crc.finalize(),
            rows,
        };
        self.closed.push((None, file));
        Ok(())
    }

    /// Rows by partition directory, each part's rows in order.
    /// The columns of the file: the data, behind the kind of each row if that is asked for.
    fn written(&self, batch: &Batch) -> Result<RecordBatch, arrow::error::ArrowError> {
        let data = batch.rows.project(&self.table.data)?;
        if !self.table.changelog {
            return Ok(data);
        }
        let kinds: StringArray = (0..batch.len()).map(|i| Some(batch.op(i).notation())).collect();
        let kinds: ArrayRef = Arc::new(kinds);
        RecordBatch::try_new(
            self.table.written_schema(),
            [kinds].into_iter().chain(data.columns().iter().cloned()).collect(),
        )
    }

    fn by_partition(&self, batch: &Batch) -> Result<Vec<(String, RecordBatch)>, ConnectorError> {
        let rows = &batch.rows;
        let error = |e: arrow::error::ArrowError| self.table.failed(format!("failed to split rows by partition: {e}"));
        let data = self.written(batch).map_err(error)?;
        if self.table.partitions.is_empty() {
            return Ok(vec![(String::new(), data)]);
        }
        let texts = self.table.partitions.iter().map(|&c| cast(rows.column(c), &DataType::Utf8));
        let texts: Vec<_> = texts.collect::<Result<_, _>>().map_err(error)?;
        let texts: Vec<&StringArray> = texts.iter().map(AsArray::as_string::<i32>).collect();
        let mut groups: Vec<(String, Vec<u32>)> = vec![];
        let mut places: HashMap<String, usize> = HashMap::new();
        for row in 0..rows.num_rows() {
            let directory = self.directory(&texts, row);
            let place = *places.entry(directory).or_insert_with_key(|d| {
                groups.push((d.clone(), vec![]));
                groups.len() - 1
            });
            groups[place].1.push(row as u32);
        }
        let part =
            |(d, rows): (String, Vec<u32>)| Ok((d, take_record_batch(&data, &UInt32Array::from(rows)).map_err(error)?));
        groups.into_iter().map(part).collect()
    }

    fn directory(&self, texts: &[&StringArray], row: usize) -> String {
        let mut out = String::new();
        for (&column, text) in self.table.partitions.iter().zip(texts) {
            escape(self.table.schema.field(column).name(), &mut out);
            out.push('=');
            if text.is_null(row) || text.value(row).is_empty() {
                out.push_str(&self.table.null_partition);
            } else {
                escape(text.value(row), &mut out);
            }
            out.push('/');
        }
        out
    }

    fn close_all(&mut self, due: impl Fn(&Part) -> bool) -> Result<(), ConnectorError> {
        let mut directories: Vec<String> = self.open.iter().filter(|(_, p)| due(p)).map(|(d, _)| d.clone()).collect();
        directories.sort();
        directories.iter().try_for_each(|d| self.close(d))
    }
}

impl Part {
    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.pending)?;
        self.pending.clear();
        Ok(())
    }
}

impl SinkWriter for FileWriter {
    fn write(&mut self, batch: &Batch) -> Result<(), ConnectorError> {
        for (directory, rows) in self.by_partition(batch)? {
            self.append(&directory, &rows)?;
        }
        Ok(())
    }

    fn tick(&mut self, now: ProcTime) -> Result<(), ConnectorError> {
        self.now = now;
        let interval = i64::try_from(self.table.roll_interval.as_millis()).unwrap_or(i64::MAX);
        self.close_all(|p| now.0.saturating_sub(p.opened.0) >= interval)
    }

    fn barrier(&mut self, epoch: Epoch) -> Result<Option<Staged>, ConnectorError> {
        self.close_all(|_| true)?;
        let (slot, writer, extension) = (self.slot.slot, self.writer8().to_owned(), self.extension());
        for (closed_at, file) in self.closed.iter_mut().filter(|(e, _)| e.is_none()) {
            let number = file.staged.rsplit('-').next().unwrap_or_default();
            file.target = format!("{}part-{slot:05}-{writer}-{epoch}-{number}{extension}", file.target);
            *closed_at = Some(epoch);
        }
        if self.closed.is_empty() {
            return Ok(None);
        }
        let hidden = self.root.join(HIDDEN);
        publish::sync_directory(&hidden).map_err(|e| failed(&self.table.name, "write", &hidden, e))?;
        let files = Files { files: self.closed.iter().map(|(_, f)| f.clone()).collect() };
        Ok(Some(Staged { slot, data: files.to_json() }))
    }

    fn confirmed(&mut self, epoch: Epoch) {
        self.closed.retain(|(closed_at, _)| closed_at.is_none_or(|e| e > epoch));
    }
}

impl Drop for FileWriter {
    /// Files that no barrier has handed over are nobody's: the rows come again, in other files.
    fn drop(&mut self) {
        let open = self.open.values().map(|p| format!("{HIDDEN}/{}", p.name));
        let rolled = self.closed.iter().filter(|(e, _)| e.is_none()).map(|(_, f)| f.staged.clone());
        for name in open.chain(rolled) {
            // Best effort: what stays is hidden.
            let _ = fs::remove_file(self.root.join(name));
        }
    }
}

/// Says what to do about a full disk; any other failure as it is.
pub(super) fn failed(table: &str, action: &'static str, path: &Path, source: io::Error) -> ConnectorError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ConnectorError::Failed {
            table: table.to_owned(),
            message: format!(
                "failed to {action} '{}': the disk is full; nothing of the unfinished epoch is visible: free space and start again",
                path.display()
            ),
        },
        _ => ConnectorError::Io { action, path: path.display().to_string(), source },
    }
}
