//! CSV (RFC 4180 with Flink's options). A quoted field may contain delimiters and line ends; blank lines are skipped.
//!
//! Without `csv.header` fields are matched by position and a record must have as many as the table has columns; with it
//! columns are found by name (as written) and further ones are ignored.

use super::csv_records::{Dialect, Records};
use super::csv_values::{Fields, column};
use super::{Decoded, Decoder, without_rows};
use crate::connector::ConnectorError;
use crate::connectors::options::Options;
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;

pub(super) const KNOWN: &[&str] = &[
    "csv.field-delimiter",
    "csv.header",
    "csv.write-header",
    "csv.null-literal",
    "csv.quote-character",
    "csv.disable-quote-character",
    "csv.escape-character",
    "csv.allow-comments",
    "csv.ignore-parse-errors",
];

#[derive(Clone, Debug)]
pub struct CsvOptions {
    pub(super) dialect: Dialect,
    /// Reading: the first record names the columns.
    pub(super) header: bool,
    pub(super) write_header: bool,
    /// A field with this text is NULL. An empty field is NULL too unless its column is STRING or BYTES.
    pub(super) null_literal: Option<String>,
}

impl CsvOptions {
    pub(super) fn parse(options: &Options<'_>) -> Result<Self, ConnectorError> {
        let unquoted = options.bool("csv.disable-quote-character", false)?;
        let quote = options.byte("csv.quote-character")?.unwrap_or(b'"');
        let quote = (!unquoted).then_some(quote);
        let dialect = Dialect {
            delimiter: options.byte("csv.field-delimiter")?.unwrap_or(b','),
            quote,
            escape: options.byte("csv.escape-character")?,
            comments: options.bool("csv.allow-comments", false)?,
        };
        if Some(dialect.delimiter) == dialect.quote || Some(dialect.delimiter) == dialect.escape {
            return Err(options.invalid("'csv.field-delimiter' must differ from the quote and the escape character"));
        }
        let header = options.bool("csv.header", false)?;
        Ok(Self {
            dialect,
            header,
            write_header: options.bool("csv.write-header", header)?,
            null_literal: options.get("csv.null-literal").map(str::to_owned),
        })
    }

    /// Length of the first record with its line end.
    pub(super) fn first_record(&self, input: &[u8], last: bool) -> Option<usize> {
        let mut records = Records::new(self.dialect, usize::MAX);
        records.read(input, input.len(), last, 1);
        (records.consumed > 0).then_some(records.consumed)
    }

    fn header_names(&self, header: &[u8]) -> Vec<String> {
        let mut records = Records::new(self.dialect, usize::MAX);
        records.read(header, header.len(), true, 1);
        records.first_fields(header).map(|f| String::from_utf8_lossy(f).trim().to_owned()).collect()
    }
}

pub(super) struct CsvDecoder {
    columns: SchemaRef,
    /// The field of each column.
    places: Vec<usize>,
    records: Records,
    null_literal: Option<String>,
}

impl CsvDecoder {
    pub(super) fn new(options: &CsvOptions, columns: &SchemaRef, header: Option<&[u8]>) -> Result<Self, String> {
        let (places, count) = match header {
            None => ((0..columns.fields().len()).collect(), columns.fields().len()),
            Some(header) => {
                let names = options.header_names(header);
                let place = |name: &String| {
                    names.iter().position(|n| n == name).ok_or_else(|| {
                        format!(
                            "the header has no column '{name}' (it has: {}); rename the column, or set \
                             'csv.header' = 'false' to match by position",
                            names.join(", ")
                        )
                    })
                };
                (columns.fields().iter().map(|f| place(f.name())).collect::<Result<Vec<_>, _>>()?, names.len())
            }
        };
        let records = Records::new(options.dialect, count);
        Ok(Self { columns: columns.clone(), places, records, null_literal: options.null_literal.clone() })
    }
}

impl Decoder for CsvDecoder {
    fn decode(&mut self, input: &[u8], stop: usize, last: bool) -> Decoded {
        self.records.read(input, stop, last, super::DECODE_ROWS);
        let mut bad = std::mem::take(&mut self.records.bad);
        let rows = self.records.rows();
        let mut bad_rows: Vec<(usize, String)> = vec![];
        let mut arrays = Vec::with_capacity(self.places.len());
        for (field, &place) in self.columns.fields().iter().zip(&self.places) {
            let fields = Fields {
                records: &self.records,
                input,
                place,
                null_literal: self.null_literal.as_deref(),
                name: field.name(),
            };
            arrays.push(column(&fields, field, &mut bad_rows));
        }
        bad_rows.sort_by_key(|(row, _)| *row);
        bad_rows.dedup_by_key(|(row, _)| *row);
        let numbers: Vec<usize> = bad_rows.iter().map(|(row, _)| *row).collect();
        let all = RecordBatchOptions::new().with_row_count(Some(rows));
        // Nulls in NOT NULL columns are bad rows: the batch is built nullable and becomes what it says after the filter.
        let relaxed = super::relaxed(&self.columns);
        let batch = RecordBatch::try_new_with_options(relaxed, arrays, &all).expect("columns are built to the schema");
        let batch = without_rows(batch, &numbers, &self.columns);
        for (row, message) in bad_rows {
            bad.push(super::BadRecord { range: self.records.range(row), message });
        }
        bad.sort_by_key(|b| b.range.start);
        Decoded { rows: batch, consumed: self.records.consumed, bad }
    }
}

#[cfg(test)]
mod tests;
