//! Rows → CSV. A field is quoted where it has to be: when it contains the delimiter, the quote, the escape or a line end,
//! when it is a text equal to the null literal, or when a blank line or a comment would be read.

use super::Encoder;
use super::csv::CsvOptions;
use super::json_encoder::Cells;
use super::scalar::TimestampStyle;
use arrow::array::RecordBatch;
use arrow_schema::SchemaRef;

pub(super) struct CsvEncoder {
    options: CsvOptions,
    names: Vec<String>,
    field: Vec<u8>,
}

impl CsvEncoder {
    pub(super) fn new(options: &CsvOptions, columns: &SchemaRef) -> Self {
        let names = columns.fields().iter().map(|f| f.name().clone()).collect();
        Self { options: options.clone(), names, field: vec![] }
    }
}

impl Encoder for CsvEncoder {
    fn header(&self, out: &mut Vec<u8>) {
        if self.options.write_header {
            for (i, name) in self.names.iter().enumerate() {
                if i > 0 {
                    out.push(self.options.dialect.delimiter);
                }
                push_field(name.as_bytes(), &self.options, self.names.len() == 1, out);
            }
            out.push(b'\n');
        }
    }

    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) {
        let cells: Vec<Cells<'_>> = rows.columns().iter().map(|c| Cells::new(c, TimestampStyle::Sql)).collect();
        for row in 0..rows.num_rows() {
            for (i, column) in cells.iter().enumerate() {
                if i > 0 {
                    out.push(self.options.dialect.delimiter);
                }
                if column.is_null(row) {
                    out.extend_from_slice(self.options.null_literal.as_deref().unwrap_or("").as_bytes());
                } else if let Some(text) = column.text(row) {
                    push_field(text.as_bytes(), &self.options, cells.len() == 1, out);
                } else {
                    self.field.clear();
                    column.write(row, &mut self.field);
                    push_field(&self.field, &self.options, false, out);
                }
            }
            out.push(b'\n');
        }
    }
}

/// `alone`: an empty field would be a blank line.
fn push_field(field: &[u8], options: &CsvOptions, alone: bool, out: &mut Vec<u8>) {
    let d = &options.dialect;
    let special = |b: u8| b == d.delimiter || b == b'\n' || b == b'\r' || Some(b) == d.quote || Some(b) == d.escape;
    let comment = d.comments && field.first() == Some(&b'#');
    let must_quote = comment || (alone && field.is_empty()) || field.iter().any(|b| special(*b));
    if !must_quote {
        out.extend_from_slice(field);
        return;
    }
    let Some(quote) = d.quote else {
        for &b in field {
            if let (Some(escape), true) = (d.escape, special(b)) {
                out.push(escape);
            }
            out.push(b);
        }
        return;
    };
    out.push(quote);
    for &b in field {
        if b == quote {
            out.push(quote);
        } else if Some(b) == d.escape {
            out.push(b);
        }
        out.push(b);
    }
    out.push(quote);
}
