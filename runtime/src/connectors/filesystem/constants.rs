//! Columns that a file does not carry itself: its directories' `k=v` and its metadata.

use super::{FileTable, Metadata};
use crate::connector::ConnectorError;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray, UInt32Array, new_null_array};
use arrow::compute::{CastOptions, cast_with_options, take};
use std::path::Path;
use std::sync::Arc;

/// One value per such column.
pub(super) struct Constants {
    /// Column of the table, array of one row.
    values: Vec<(usize, ArrayRef)>,
}

impl Constants {
    pub(super) fn new(table: &FileTable, id: &str, path: &Path) -> Result<Self, ConnectorError> {
        let mut values = vec![];
        for &column in &table.partitions {
            values.push((column, partition(table, column, id, path)?));
        }
        for (column, key) in &table.metadata {
            values.push((*column, metadata(table, *column, *key, path)?));
        }
        Ok(Self { values })
    }

    /// The rows with all columns of the table, in its order.
    pub(super) fn complete(&self, table: &FileTable, rows: RecordBatch) -> RecordBatch {
        if self.values.is_empty() {
            return rows;
        }
        let count = rows.num_rows();
        let mut columns: Vec<Option<ArrayRef>> = vec![None; table.schema.fields().len()];
        for (place, column) in table.data.iter().zip(rows.columns()) {
            columns[*place] = Some(column.clone());
        }
        let repeat = UInt32Array::from(vec![0; count]);
        for (place, value) in &self.values {
            columns[*place] = Some(take(value, &repeat, None).expect("every index is the one row"));
        }
        let columns = columns.into_iter().map(|c| c.expect("a column is data, partition or metadata")).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        RecordBatch::try_new_with_options(table.schema.clone(), columns, &options)
            .expect("columns have the table's types")
    }
}

/// Value of a partition column from `…/name=value/…`.
fn partition(table: &FileTable, column: usize, id: &str, path: &Path) -> Result<ArrayRef, ConnectorError> {
    let field = table.schema.field(column);
    let invalid = |message: String| ConnectorError::Invalid { table: table.name.clone(), message };
    let directories = id.rsplit_once('/').map_or("", |(d, _)| d);
    let text = directories
        .split('/')
        .filter_map(|d| d.split_once('='))
        .find_map(|(k, v)| (unescape(k) == *field.name()).then(|| unescape(v)))
        .ok_or_else(|| {
            invalid(format!(
                "file '{}' is in no directory '{}=…', by which the table is partitioned",
                path.display(),
                field.name()
            ))
        })?;
    if text == table.null_partition {
        if !field.is_nullable() {
            return Err(invalid(format!(
                "partition column '{}' is NOT NULL, but there is '{}'",
                field.name(),
                path.display()
            )));
        }
        return Ok(new_null_array(field.data_type(), 1));
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(&StringArray::from(vec![text.as_str()]), field.data_type(), &strict).map_err(|e| {
        invalid(format!("partition '{}={text}' of '{}' cannot be read: {e}", field.name(), path.display()))
    })
}

fn metadata(table: &FileTable, column: usize, key: Metadata, path: &Path) -> Result<ArrayRef, ConnectorError> {
    let value: ArrayRef = match key {
        Metadata::Path => Arc::new(StringArray::from(vec![path.to_string_lossy().into_owned()])),
        Metadata::Name => {
            Arc::new(StringArray::from(vec![path.file_name().unwrap_or_default().to_string_lossy().into_owned()]))
        }
        Metadata::Size => {
            let size = std::fs::metadata(path).map_err(|source| ConnectorError::Io {
                action: "read",
                path: path.display().to_string(),
                source,
            })?;
            Arc::new(Int64Array::from(vec![size.len() as i64]))
        }
    };
    let field = table.schema.field(column);
    cast_with_options(&value, field.data_type(), &CastOptions::default()).map_err(|e| ConnectorError::Invalid {
        table: table.name.clone(),
        message: format!("metadata column '{}' cannot have this type: {e}", field.name()),
    })
}

/// Characters that a directory name must not have, as Hive and Flink escape them.
fn is_escaped(b: u8) -> bool {
    b < 0x20 || b == 0x7f || b"\"#%'*/:=?\\{[]^".contains(&b)
}

/// `name=value` as a directory name.
pub(super) fn escape(text: &str, out: &mut String) {
    use std::fmt::Write as _;
    for c in text.chars() {
        match u8::try_from(c) {
            Ok(b) if is_escaped(b) => write!(out, "%{b:02X}").expect("writing to a String succeeds"),
            _ => out.push(c),
        }
    }
}

fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let code = (bytes[i] == b'%').then(|| bytes.get(i + 1..i + 3)).flatten();
        let byte = code.and_then(|h| std::str::from_utf8(h).ok()).and_then(|h| u8::from_str_radix(h, 16).ok());
        out.push(byte.unwrap_or(bytes[i]));
        i += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_names_read_back() {
        for text in ["plain", "a/b=c", "100%", "ü x", "%41", ""] {
            let mut escaped = String::new();
            escape(text, &mut escaped);
            assert!(!escaped.contains('/') && !escaped.contains('='), "{escaped}");
            assert_eq!(unescape(&escaped), text);
        }
    }
}
