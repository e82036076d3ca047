//! Reads the files of one task in turn, a block at a time; a split's position is the offset of its next record.

use super::input::OpenFile;
use super::{FileTable, listing};
use crate::clock::Clock;
use crate::connector::{ConnectorError, Polled, ReaderStats, Split, SplitReader};
use crate::connectors::on_error::BadRecords;
use crate::format::compression::Compression;
use arrow::array::RecordBatch;
use serde::{Deserialize, Serialize};
use sluice_core::time::ProcTime;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

/// Files that are read in turn; the others wait. Bounds buffers and file handles, not splits.
const OPEN_FILES_MAX: usize = 32;

/// Blocks without a good row before the task gets its turn again.
const ROUNDS_MAX: usize = 8;

/// Where a split goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Of the next record, in decompressed bytes.
    pub offset: u64,
    /// Records that start here or later belong to the next range of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<u64>,
    /// `offset` is where a range begins, not yet where a record does.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unaligned: bool,
    /// Lines between the beginning of the split and `offset`.
    pub lines: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(b: &bool) -> bool {
    !b
}

impl Position {
    pub(super) fn of_range(start: u64, end: Option<u64>) -> Self {
        Self { offset: start, end, unaligned: start > 0, lines: 0 }
    }

    pub(super) fn to_json(self) -> serde_json::Value {
        serde_json::to_value(self).expect("numbers and booleans are JSON")
    }
}

pub(super) struct FileReader {
    table: Arc<FileTable>,
    root: PathBuf,
    pace: Option<Pace>,
    splits: Vec<FileSplit>,
    /// Numbers of splits in the order of their turns.
    active: VecDeque<usize>,
    waiting: VecDeque<usize>,
    bad: BadRecords,
    bytes: u64,
    records: u64,
    total: Option<u64>,
}

/// Holds a reader to so many records a second, from its first poll on.
struct Pace {
    per_second: u64,
    clock: Clock,
    began: Option<ProcTime>,
}

impl Pace {
    fn allows(&mut self, records: u64) -> bool {
        let now = self.clock.now();
        let began = *self.began.get_or_insert(now);
        let ms = u128::try_from(now.0.saturating_sub(began.0)).unwrap_or(0);
        u128::from(records) * 1000 < ms * u128::from(self.per_second)
    }
}

struct FileSplit {
    id: String,
    position: Position,
    finished: bool,
    open: Option<OpenFile>,
}

impl FileReader {
    pub(super) fn new(table: Arc<FileTable>, root: PathBuf, clock: Clock) -> Self {
        let pace = table.rows_per_second.map(|per_second| Pace { per_second, clock, began: None });
        let bad = BadRecords::new(&table.name, table.on_error);
        let (splits, active, waiting) = (vec![], VecDeque::new(), VecDeque::new());
        Self { table, root, pace, splits, active, waiting, bad, bytes: 0, records: 0, total: Some(0) }
    }

    fn file_of(&self, id: &str) -> PathBuf {
        listing::path_of(
            &self.root,
            id.rsplit_once('#').filter(|(_, n)| n.parse::<u64>().is_ok()).map_or(id, |(f, _)| f),
        )
    }

    /// Opens files until as many are open as may be.
    fn open_waiting(&mut self) -> Result<(), ConnectorError> {
        while self.active.len() < OPEN_FILES_MAX {
            let Some(number) = self.waiting.pop_front() else { break };
            let path = self.file_of(&self.splits[number].id);
            let split = &mut self.splits[number];
            split.open = Some(OpenFile::new(&self.table, &split.id, path, &mut split.position)?);
            self.active.push_back(number);
        }
        Ok(())
    }

    /// One block of one split. `None`: no good row in it.
    fn advance(&mut self, number: usize) -> Result<Option<Polled>, ConnectorError> {
        let split = &mut self.splits[number];
        let file = split.open.as_mut().expect("a split whose turn it is has its file open");
        let Some(block) = file.next(&mut split.position)? else {
            split.finished = true;
            split.open = None;
            return Ok(Some(Polled::Finished { split: number }));
        };
        self.bytes += block.bytes;
        self.records += (block.rows.num_rows() + block.bad.len()) as u64;
        for bad in block.bad {
            self.bad.add(|| bad.place, &bad.message, &bad.record)?;
        }
        if block.rows.num_rows() == 0 {
            return Ok(None);
        }
        let rows = file.constants().complete(&self.table, block.rows);
        Ok(Some(Polled::Rows { split: number, rows }))
    }
}

impl SplitReader for FileReader {
    fn open(&mut self, split: Split) -> Result<(), ConnectorError> {
        let position: Position = match split.position {
            serde_json::Value::Null => Position::default(),
            json => serde_json::from_value(json).map_err(|e| {
                self.table.failed(format!("the saved position of split '{}' cannot be read: {e}", split.id))
            })?,
        };
        if !split.finished {
            self.waiting.push_back(self.splits.len());
            let path = self.file_of(&split.id);
            let compression = self.table.compression.unwrap_or_else(|| Compression::of_path(&path));
            let length = || {
                std::fs::metadata(&path).ok().map(|m| position.end.unwrap_or(m.len()).saturating_sub(position.offset))
            };
            let length = if compression == Compression::None { length() } else { None };
            self.total = self.total.zip(length).map(|(a, b)| a + b);
        }
        self.splits.push(FileSplit { id: split.id, position, finished: split.finished, open: None });
        Ok(())
    }

    fn poll(&mut self) -> Result<Polled, ConnectorError> {
        if self.pace.as_mut().is_some_and(|p| !p.allows(self.records)) {
            return Ok(Polled::Pending);
        }
        for _ in 0..ROUNDS_MAX {
            self.open_waiting()?;
            let Some(number) = self.active.pop_front() else { return Ok(Polled::End) };
            let polled = self.advance(number)?;
            if !matches!(polled, Some(Polled::Finished { .. })) {
                self.active.push_back(number);
            }
            if let Some(polled) = polled {
                return Ok(polled);
            }
        }
        Ok(Polled::Pending)
    }

    fn splits(&self) -> Vec<Split> {
        let split = |s: &FileSplit| Split { id: s.id.clone(), position: s.position.to_json(), finished: s.finished };
        self.splits.iter().map(split).collect()
    }

    fn dead_letters(&mut self) -> Option<RecordBatch> {
        self.bad.take()
    }

    fn stats(&self) -> ReaderStats {
        ReaderStats { bytes: self.bytes, records: self.records, bad_records: self.bad.count(), total_bytes: self.total }
    }
}
