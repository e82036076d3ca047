//! One file that is being read: decompression, the buffer, the decoder, and where its records are.

use super::FileTable;
use super::constants::Constants;
use super::reader::Position;
use crate::connector::ConnectorError;
use crate::format::compression::Compression;
use crate::format::{Decoder, RECORD_BYTES_MAX};
use arrow::array::RecordBatch;
use memchr::{memchr, memchr_iter};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// One read: a few batches of rows, and small enough for the second-level cache.
const BLOCK_BYTES: usize = 512 << 10;

/// What is kept of a record that is too long to be one.
const KEPT_BYTES: usize = 64 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

pub(super) struct OpenFile {
    path: PathBuf,
    input: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// `buffer[begin..end]` is read and not yet decoded.
    begin: usize,
    end: usize,
    eof: bool,
    decoder: Box<dyn Decoder>,
    constants: Constants,
    batch_bytes: usize,
    /// Line numbers are known: the split begins at the front of the file.
    from_start: bool,
}

/// Some records of a file.
pub(super) struct Block {
    /// Data columns only.
    pub rows: RecordBatch,
    pub bad: Vec<Bad>,
    pub bytes: u64,
}

/// A bad record, for people and dead letters.
pub(super) struct Bad {
    pub place: String,
    pub message: String,
    pub record: Vec<u8>,
}

impl OpenFile {
    /// Opens the file of split `id` and moves `position` to the first record that is the split's.
    pub(super) fn new(
        table: &FileTable,
        id: &str,
        path: PathBuf,
        position: &mut Position,
    ) -> Result<Self, ConnectorError> {
        let compression = table.compression.unwrap_or_else(|| Compression::of_path(&path));
        let (preamble, header) = preamble(table, &path, compression)?;
        let decoder = table.format.decoder(&table.data_schema, header.as_deref()).map_err(|m| {
            ConnectorError::Invalid { table: table.name.clone(), message: format!("file '{}': {m}", path.display()) }
        })?;
        if position.offset < preamble {
            *position =
                Position { offset: preamble, end: position.end, unaligned: false, lines: u64::from(header.is_some()) };
        }
        // A range owns the records that begin in it; one that begins exactly at its start follows the newline before.
        let seek = position.offset - u64::from(position.unaligned);
        let input = open_at(&path, compression, seek)?;
        let constants = Constants::new(table, id, &path)?;
        let from_start = position.end.is_none() || !id.contains('#');
        let (begin, end, eof) = (0, 0, false);
        let batch_bytes = table.batch_bytes;
        let mut file =
            Self { path, input, buffer: vec![], begin, end, eof, decoder, constants, batch_bytes, from_start };
        if position.unaligned {
            position.offset = seek + file.skip_line()?;
            position.unaligned = false;
        }
        Ok(file)
    }

    pub(super) fn constants(&self) -> &Constants {
        &self.constants
    }

    /// The next records; `position` moves behind them. `None`: the split has ended.
    pub(super) fn next(&mut self, position: &mut Position) -> Result<Option<Block>, ConnectorError> {
        loop {
            let left = position.end.map_or(u64::MAX, |end| end.saturating_sub(position.offset));
            if left == 0 {
                return Ok(None);
            }
            if self.begin < self.end {
                let stop = usize::try_from(left).unwrap_or(usize::MAX).min(self.batch_bytes);
                let decoded = self.decoder.decode(&self.buffer[self.begin..self.end], stop, self.eof);
                if decoded.consumed > 0 {
                    let bad = decoded.bad.into_iter().map(|b| (b.range, b.message)).collect();
                    return Ok(Some(self.take(decoded.rows, bad, decoded.consumed, position)));
                }
                if self.end - self.begin > RECORD_BYTES_MAX {
                    return self.too_long(position).map(Some);
                }
            }
            if self.eof {
                return Ok(None);
            }
            self.fill()?;
        }
    }

    fn take(
        &mut self,
        rows: RecordBatch,
        bad: Vec<(std::ops::Range<usize>, String)>,
        consumed: usize,
        position: &mut Position,
    ) -> Block {
        let input = &self.buffer[self.begin..self.begin + consumed];
        let mut lines = position.lines;
        let mut counted = 0;
        let mut described = Vec::with_capacity(bad.len());
        for (range, message) in bad {
            lines += memchr_iter(b'\n', &input[counted..range.start]).count() as u64;
            counted = range.start;
            let place = self.place(position.offset + range.start as u64, lines);
            described.push(Bad { place, message, record: input[range].to_vec() });
        }
        position.lines = lines + memchr_iter(b'\n', &input[counted..]).count() as u64;
        position.offset += consumed as u64;
        self.begin += consumed;
        Block { rows, bad: described, bytes: consumed as u64 }
    }

    fn place(&self, offset: u64, lines_before: u64) -> String {
        let path = self.path.display();
        if self.from_start { format!("{path}, line {}", lines_before + 1) } else { format!("{path}, byte {offset}") }
    }

    /// A record longer than [`RECORD_BYTES_MAX`]: its first line is skipped, its beginning is kept.
    fn too_long(&mut self, position: &mut Position) -> Result<Block, ConnectorError> {
        let record = self.buffer[self.begin..self.begin + KEPT_BYTES].to_vec();
        let place = self.place(position.offset, position.lines);
        let message = format!("the record is longer than {} MiB; is this a text file?", RECORD_BYTES_MAX >> 20);
        let bytes = self.skip_line()?;
        position.offset += bytes;
        position.lines += 1;
        let rows = RecordBatch::new_empty(std::sync::Arc::new(arrow_schema::Schema::empty()));
        Ok(Block { rows, bad: vec![Bad { place, message, record }], bytes })
    }

    /// Goes behind the next newline; gives the number of bytes.
    fn skip_line(&mut self) -> Result<u64, ConnectorError> {
        let mut skipped = 0;
        loop {
            if let Some(i) = memchr(b'\n', &self.buffer[self.begin..self.end]) {
                self.begin += i + 1;
                return Ok(skipped + i as u64 + 1);
            }
            skipped += (self.end - self.begin) as u64;
            self.begin = self.end;
            if self.eof {
                return Ok(skipped);
            }
            self.fill()?;
        }
    }

    /// Reads one more block behind what is not decoded yet.
    fn fill(&mut self) -> Result<(), ConnectorError> {
        self.buffer.copy_within(self.begin..self.end, 0);
        self.end -= self.begin;
        self.begin = 0;
        let limit = self.end + BLOCK_BYTES;
        if self.buffer.len() < limit {
            self.buffer.resize(limit, 0);
        }
        self.end +=
            read_full(&mut self.input, &mut self.buffer[self.end..limit]).map_err(|e| failed("read", &self.path, e))?;
        self.eof = self.end < limit;
        Ok(())
    }
}

/// Fills `buffer` unless the input ends; gives the number of bytes.
fn read_full(input: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// The file from (decompressed) byte `offset`. A file that has become shorter is not what was read before.
fn open_at(path: &Path, compression: Compression, offset: u64) -> Result<Box<dyn Read + Send>, ConnectorError> {
    let mut file = File::open(path).map_err(|e| failed("open", path, e))?;
    let shorter = || {
        let e = io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("it is shorter than byte {offset}, where reading goes on: the file was replaced"),
        );
        failed("go on reading", path, e)
    };
    if compression == Compression::None {
        let length = file.metadata().map_err(|e| failed("open", path, e))?.len();
        if length < offset {
            return Err(shorter());
        }
        file.seek(SeekFrom::Start(offset)).map_err(|e| failed("seek in", path, e))?;
        return Ok(Box::new(file));
    }
    let mut input = compression.reader(file).map_err(|e| failed("decompress", path, e))?;
    let skipped =
        io::copy(&mut (&mut input).take(offset), &mut io::sink()).map_err(|e| failed("decompress", path, e))?;
    if skipped < offset { Err(shorter()) } else { Ok(input) }
}

/// Length of what comes before the first record of a file (byte order mark, header), and the header if the format has one.
fn preamble(
    table: &FileTable,
    path: &Path,
    compression: Compression,
) -> Result<(u64, Option<Vec<u8>>), ConnectorError> {
    let mut input = open_at(path, compression, 0)?;
    let mut start = vec![0; BYTE_ORDER_MARK.len()];
    let n = read_full(&mut input, &mut start).map_err(|e| failed("read", path, e))?;
    start.truncate(n);
    let mark = if start == BYTE_ORDER_MARK { start.len() } else { 0 };
    if !table.format.reads_header() {
        return Ok((mark as u64, None));
    }
    let mut last = false;
    loop {
        if let Some(length) = table.format.header_length(&start[mark..], last) {
            return Ok(((mark + length) as u64, Some(start[mark..mark + length].to_vec())));
        }
        if last || start.len() > RECORD_BYTES_MAX {
            // An empty file has no header, and no rows either: nothing to be matched.
            return if start.len() == mark {
                Ok((mark as u64, None))
            } else {
                Err(failed("find the header of", path, io::Error::other("its first record has no end")))
            };
        }
        let filled = start.len();
        start.resize(filled + (4 << 10), 0);
        let n = read_full(&mut input, &mut start[filled..]).map_err(|e| failed("read", path, e))?;
        start.truncate(filled + n);
        last = n == 0;
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> ConnectorError {
    ConnectorError::Io { action, path: path.display().to_string(), source }
}
