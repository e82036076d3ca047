//! Formats: bytes ↔ rows. A format owns what a record is and what its text means; it refuses files, offsets and sockets.
//!
//! Decoding is record-exact: a decoder is given bytes that begin at a record and says how many whole records it took, so
//! that a position is always the offset of the next record. A record that cannot be decoded costs that record only.

pub mod compression;
mod csv;
mod csv_encoder;
mod csv_records;
mod csv_values;
mod json;
mod json_encoder;
mod raw;
mod scalar;

use crate::connector::ConnectorError;
use crate::connectors::options::Options;
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, SchemaRef};
use std::ops::Range;

/// Rows that a decoder makes at a time: as the operators' own portions.
pub const DECODE_ROWS: usize = 4096;

/// A longer record is bad: an unclosed quote or a binary file must not eat the memory.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// The options of all formats.
pub const KNOWN_OPTIONS: [&[&str]; 2] = [csv::KNOWN, json::KNOWN];

/// Turns bytes into rows.
pub trait Decoder: Send {
    /// Takes up to [`DECODE_ROWS`] whole records from the front of `input`, none that starts at or behind `stop`. With
    /// `last` the end of `input` ends a record too. `consumed == 0` means: more input is needed (or, with `last`, there is
    /// nothing left).
    fn decode(&mut self, input: &[u8], stop: usize, last: bool) -> Decoded;
}

/// What a decoder made of its input.
#[derive(Debug)]
pub struct Decoded {
    /// The good records, in order.
    pub rows: RecordBatch,
    pub consumed: usize,
    pub bad: Vec<BadRecord>,
}

/// A record that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRecord {
    /// In the decoder's input, without the line end.
    pub range: Range<usize>,
    /// Column, value and what is wrong.
    pub message: String,
}

/// Turns rows into bytes.
pub trait Encoder: Send {
    /// What a file begins with.
    fn header(&self, _out: &mut Vec<u8>) {}
    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>);
}

/// `'format' = …` with its options.
#[derive(Clone, Debug)]
pub enum Format {
    Csv(csv::CsvOptions),
    Json(json::JsonOptions),
    Raw,
}

impl Format {
    /// Reads the format's options; `columns` are those that the format itself carries (no partition columns).
    pub fn parse(options: &Options<'_>, columns: &SchemaRef) -> Result<Self, ConnectorError> {
        #[derive(Clone, Copy)]
        enum Kind {
            Csv,
            Json,
            Raw,
        }
        options.required("format")?;
        let kinds = [("csv", Kind::Csv), ("json", Kind::Json), ("raw", Kind::Raw)];
        let format = match options.one_of("format", &kinds)? {
            Some(Kind::Json) => Self::Json(json::JsonOptions::parse(options)?),
            Some(Kind::Raw) => Self::Raw,
            Some(Kind::Csv) | None => Self::Csv(csv::CsvOptions::parse(options)?),
        };
        if matches!(format, Self::Raw) && columns.fields().len() != 1 {
            return Err(options.invalid(format!(
                "'format' = 'raw' needs exactly one column of type STRING or BYTES, the table has {}",
                columns.fields().len()
            )));
        }
        for field in columns.fields() {
            if let Some(why) = format.unsupported(field.data_type(), true) {
                return Err(options.invalid(format!(
                    "column '{}' of type {} cannot be used with 'format' = '{}': {why}",
                    field.name(),
                    scalar::type_name(field.data_type()),
                    format.name()
                )));
            }
        }
        Ok(format)
    }

    /// Options that belong to this format.
    pub fn known_options(&self) -> &'static [&'static str] {
        match self {
            Self::Csv(_) => csv::KNOWN,
            Self::Json(_) => json::KNOWN,
            Self::Raw => &[],
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Csv(_) => "csv",
            Self::Json(_) => "json",
            Self::Raw => "raw",
        }
    }

    fn unsupported(&self, data_type: &DataType, top: bool) -> Option<&'static str> {
        match (self, data_type) {
            (Self::Raw, DataType::Utf8 | DataType::Binary) => None,
            (Self::Raw, _) => Some("a raw record is STRING or BYTES"),
            (Self::Csv(_), DataType::Struct(_) | DataType::List(_) | DataType::Map(_, _)) => {
                Some("a CSV field has no structure; use 'format' = 'json'")
            }
            (Self::Json(_), DataType::Struct(fields)) => {
                fields.iter().find_map(|f| self.unsupported(f.data_type(), false))
            }
            (Self::Json(_), DataType::List(item)) => self.unsupported(item.data_type(), false),
            (Self::Json(_), DataType::Map(entries, _)) => match entries.data_type() {
                DataType::Struct(kv) if kv.first().is_some_and(|k| k.data_type() == &DataType::Utf8) => {
                    kv.get(1).and_then(|v| self.unsupported(v.data_type(), false))
                }
                _ => Some("the keys of a JSON object are STRING"),
            },
            (Self::Json(_), DataType::Binary) if !top => Some("BYTES inside ROW, ARRAY or MAP is not supported"),
            (_, t) if scalar::is_supported(t) => None,
            _ => Some("the type has no text form here"),
        }
    }

    /// Whether the first record of a file names its columns.
    pub fn reads_header(&self) -> bool {
        matches!(self, Self::Csv(o) if o.header)
    }

    /// A decoder for `columns`. `header`: the first record of the file, if [`Format::reads_header`].
    pub fn decoder(&self, columns: &SchemaRef, header: Option<&[u8]>) -> Result<Box<dyn Decoder>, String> {
        Ok(match self {
            Self::Csv(o) => Box::new(csv::CsvDecoder::new(o, columns, header)?),
            Self::Json(o) => Box::new(json::JsonDecoder::new(o, columns)?),
            Self::Raw => Box::new(raw::RawDecoder::new(columns)),
        })
    }

    /// Length of the first record of `input` with its line end; `None`: more input is needed.
    pub fn header_length(&self, input: &[u8], last: bool) -> Option<usize> {
        match self {
            Self::Csv(o) => o.first_record(input, last),
            Self::Json(_) | Self::Raw => None,
        }
    }

    pub fn encoder(&self, columns: &SchemaRef) -> Box<dyn Encoder> {
        match self {
            Self::Csv(o) => Box::new(csv_encoder::CsvEncoder::new(o, columns)),
            Self::Json(o) => Box::new(json_encoder::JsonEncoder::new(o, columns)),
            Self::Raw => Box::new(raw::RawEncoder),
        }
    }

    /// Whether a file may be cut at any newline: a quoted CSV field may contain one.
    pub fn newline_ends_record(&self) -> bool {
        match self {
            Self::Csv(o) => o.dialect.quote.is_none(),
            Self::Json(_) | Self::Raw => true,
        }
    }
}

/// The rows without the bad ones (ascending, no doubles), of the given schema: bad rows hold NULL where none may be, so
/// that `rows` is [`relaxed`].
fn without_rows(rows: RecordBatch, bad: &[usize], columns: &SchemaRef) -> RecordBatch {
    let rows = if bad.is_empty() {
        rows
    } else {
        let mut keep = vec![true; rows.num_rows()];
        for &row in bad {
            keep[row] = false;
        }
        let keep = arrow::array::BooleanArray::from(keep);
        arrow::compute::filter_record_batch(&rows, &keep).expect("the filter has a value for each row")
    };
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(columns.clone(), rows.columns().to_vec(), &options)
        .expect("the schemas differ in nullability alone, and what is left has values where it must")
}

/// What a person needs of a value that may be long or binary.
fn excerpt(value: &[u8]) -> String {
    const SHOWN: usize = 60;
    let text = String::from_utf8_lossy(&value[..value.len().min(4 * SHOWN)]);
    let short: String = text.chars().take(SHOWN).collect();
    if short.len() < value.len() { format!("{short}…") } else { short }
}

/// The line that starts at `at`: its content without the line end, and where the next one begins. `None`: no end yet.
fn line(input: &[u8], at: usize, last: bool) -> Option<(Range<usize>, usize)> {
    let (end, next) = match memchr::memchr(b'\n', &input[at..]) {
        Some(i) => (at + i, at + i + 1),
        None if last => (input.len(), input.len()),
        None => return None,
    };
    let end = if end > at && input[end - 1] == b'\r' { end - 1 } else { end };
    Some((at..end, next))
}

/// The same columns, all nullable.
fn relaxed(columns: &SchemaRef) -> SchemaRef {
    if columns.fields().iter().all(|f| f.is_nullable()) {
        return columns.clone();
    }
    let fields: Vec<_> = columns.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
    SchemaRef::new(arrow_schema::Schema::new(fields))
}
