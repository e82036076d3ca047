//! JSON, one object per line. Fields are matched by name; unknown ones are ignored, missing ones are NULL.
//!
//! Decoding is arrow's, in blocks; a block that fails is cut in eight until the bad lines are found.

use super::scalar::{self, TimestampStyle};
use super::{BadRecord, DECODE_ROWS, Decoded, Decoder, excerpt, line, without_rows};
use crate::connector::ConnectorError;
use crate::connectors::options::Options;
use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, RecordBatch};
use arrow::json::ReaderBuilder;
use arrow::json::reader::Decoder as ArrowDecoder;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use std::ops::Range;
use std::sync::Arc;

pub(super) const KNOWN: &[&str] = &[
    "json.ignore-parse-errors",
    "json.fail-on-missing-field",
    "json.timestamp-format.standard",
    "json.encode.ignore-null-fields",
];

#[derive(Clone, Debug)]
pub struct JsonOptions {
    /// A line without one of the table's columns is bad; an explicit `null` is not missing.
    fail_on_missing_field: bool,
    /// For writing; both are read.
    pub(super) timestamps: TimestampStyle,
    pub(super) omit_nulls: bool,
}

impl JsonOptions {
    pub(super) fn parse(options: &Options<'_>) -> Result<Self, ConnectorError> {
        let styles = [("SQL", TimestampStyle::Sql), ("ISO-8601", TimestampStyle::Iso)];
        Ok(Self {
            fail_on_missing_field: options.bool("json.fail-on-missing-field", false)?,
            timestamps: options.one_of("json.timestamp-format.standard", &styles)?.unwrap_or(TimestampStyle::Sql),
            omit_nulls: options.bool("json.encode.ignore-null-fields", false)?,
        })
    }
}

pub(super) struct JsonDecoder {
    options: JsonOptions,
    columns: SchemaRef,
    /// What arrow decodes: BYTES are base64 texts on the wire.
    wire: SchemaRef,
    decoder: ArrowDecoder,
    /// Non-blank lines of the block.
    lines: Vec<Range<usize>>,
}

impl JsonDecoder {
    pub(super) fn new(options: &JsonOptions, columns: &SchemaRef) -> Result<Self, String> {
        let wire: Vec<Arc<Field>> = columns
            .fields()
            .iter()
            .map(|f| match f.data_type() {
                DataType::Binary => Arc::new(f.as_ref().clone().with_data_type(DataType::Utf8)),
                _ => f.clone(),
            })
            .collect();
        let wire: SchemaRef = Arc::new(Schema::new(wire));
        let decoder = new_decoder(&wire).map_err(|e| e.to_string())?;
        Ok(Self { options: options.clone(), columns: columns.clone(), wire, decoder, lines: vec![] })
    }

    /// The rows of some consecutive lines, exactly one per line.
    fn block(&mut self, input: &[u8], lines: Range<usize>) -> Result<RecordBatch, ArrowError> {
        let bytes = &input[self.lines[lines.start].start..self.lines[lines.end - 1].end];
        let decoded = decode_all(&mut self.decoder, bytes);
        let wrong = match decoded {
            Ok(Some(rows)) if rows.num_rows() == lines.len() => return Ok(rows),
            Ok(_) => ArrowError::JsonError("a line must be one JSON object".to_owned()),
            Err(e) => e,
        };
        // A decoder that has failed is of no more use.
        self.decoder = new_decoder(&self.wire)?;
        Err(wrong)
    }

    /// Decodes lines in parts until each failure is one line.
    fn parts(
        &mut self,
        input: &[u8],
        lines: Range<usize>,
        good: &mut Vec<(usize, RecordBatch)>,
        bad: &mut Vec<BadRecord>,
    ) {
        if lines.is_empty() {
            return;
        }
        match self.block(input, lines.clone()) {
            Ok(rows) => good.push((lines.start, rows)),
            Err(e) if lines.len() == 1 => {
                let range = self.lines[lines.start].clone();
                let message = format!("{} in '{}'", reason(&e), excerpt(&input[range.clone()]));
                bad.push(BadRecord { range, message });
            }
            Err(_) => {
                let step = lines.len().div_ceil(8);
                for start in lines.clone().step_by(step) {
                    self.parts(input, start..(start + step).min(lines.end), good, bad);
                }
            }
        }
    }

    /// Lines that lack a column, when that is an error.
    fn check_missing(&self, input: &[u8], bad: &mut Vec<BadRecord>) -> Vec<Range<usize>> {
        let (complete, lacking): (Vec<_>, Vec<_>) =
            self.lines.iter().cloned().partition(|r| self.missing(&input[r.clone()]).is_none());
        for range in lacking {
            let name = self.missing(&input[range.clone()]).unwrap_or_default();
            bad.push(BadRecord { range, message: format!("the field '{name}' is missing") });
        }
        complete
    }

    fn missing(&self, text: &[u8]) -> Option<&str> {
        // What is no object at all is refused by the decoder itself.
        let present: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(text).ok()?;
        self.columns.fields().iter().map(|f| f.name().as_str()).find(|n| !present.contains_key(*n))
    }

    /// BYTES from base64; rows whose text is none are bad.
    fn finish(&self, rows: RecordBatch, first_line: usize, bad: &mut Vec<BadRecord>) -> RecordBatch {
        if self.wire == self.columns {
            return rows;
        }
        let mut bad_rows = vec![];
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(rows.num_columns());
        for (field, column) in self.columns.fields().iter().zip(rows.columns()) {
            if field.data_type() != &DataType::Binary {
                columns.push(column.clone());
                continue;
            }
            let texts = column.as_string::<i32>();
            let mut bytes = BinaryBuilder::new();
            for row in 0..texts.len() {
                let value = texts.is_valid(row).then(|| scalar::parse_base64(texts.value(row).as_bytes()));
                if value == Some(None) {
                    bad_rows.push(row);
                    let message =
                        format!("column '{}': '{}' is not base64", field.name(), excerpt(texts.value(row).as_bytes()));
                    bad.push(BadRecord { range: self.lines[first_line + row].clone(), message });
                }
                bytes.append_option(value.flatten());
            }
            columns.push(Arc::new(bytes.finish()));
        }
        bad_rows.sort_unstable();
        bad_rows.dedup();
        let rows =
            RecordBatch::try_new(super::relaxed(&self.columns), columns).expect("columns are built to the schema");
        without_rows(rows, &bad_rows, &self.columns)
    }
}

fn new_decoder(wire: &SchemaRef) -> Result<ArrowDecoder, ArrowError> {
    ReaderBuilder::new(wire.clone()).with_batch_size(DECODE_ROWS + 1).with_coerce_primitive(true).build_decoder()
}

fn decode_all(decoder: &mut ArrowDecoder, bytes: &[u8]) -> Result<Option<RecordBatch>, ArrowError> {
    let taken = decoder.decode(bytes)?;
    if taken < bytes.len() {
        return Err(ArrowError::JsonError("a line must be one JSON object".to_owned()));
    }
    // A line end closes numbers and the like that stand alone.
    decoder.decode(b"\n")?;
    decoder.flush()
}

/// Arrow's message without its family name.
fn reason(e: &ArrowError) -> String {
    match e {
        ArrowError::JsonError(m) | ArrowError::ParseError(m) | ArrowError::InvalidArgumentError(m) => m.clone(),
        other => other.to_string(),
    }
}

impl Decoder for JsonDecoder {
    fn decode(&mut self, input: &[u8], stop: usize, last: bool) -> Decoded {
        self.lines.clear();
        let mut consumed = 0;
        while self.lines.len() < DECODE_ROWS && consumed < stop.min(input.len()) {
            let Some((range, next)) = line(input, consumed, last) else { break };
            if !input[range.clone()].trim_ascii().is_empty() {
                self.lines.push(range);
            }
            consumed = next;
        }
        let mut bad = vec![];
        if self.options.fail_on_missing_field {
            self.lines = self.check_missing(input, &mut bad);
        }
        let mut good = vec![];
        // Lines that were taken out leave gaps, which a block of several lines would decode again.
        if bad.is_empty() {
            self.parts(input, 0..self.lines.len(), &mut good, &mut bad);
        } else {
            for i in 0..self.lines.len() {
                self.parts(input, i..i + 1, &mut good, &mut bad);
            }
        }
        let mut batches = Vec::with_capacity(good.len());
        for (first_line, rows) in good {
            batches.push(self.finish(rows, first_line, &mut bad));
        }
        bad.sort_by_key(|b| b.range.start);
        bad.dedup_by(|a, b| a.range == b.range);
        let rows = match batches.len() {
            1 => batches.pop().expect("there is one"),
            _ => arrow::compute::concat_batches(&self.columns, &batches).expect("blocks have the schema of the table"),
        };
        Decoded { rows, consumed, bad }
    }
}

#[cfg(test)]
mod tests;
