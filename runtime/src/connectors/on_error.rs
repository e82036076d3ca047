//! What a source does with a record that it cannot decode: `'on-error' = 'fail' | 'skip' | 'dead-letter'`.

use super::options::Options;
use crate::connector::ConnectorError;
use arrow::array::{BinaryBuilder, RecordBatch, StringBuilder};
use sluice_core::plan::dead_letter_schema;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnError {
    /// The job stops at the first bad record.
    Fail,
    /// Counted and left out.
    Skip,
    /// Counted, left out, and kept for the dead-letter table.
    DeadLetter,
}

impl OnError {
    /// Flink's `<format>.ignore-parse-errors` means skip.
    pub(super) fn parse(options: &Options<'_>, format: &str) -> Result<Self, ConnectorError> {
        let values = [("fail", Self::Fail), ("skip", Self::Skip), ("dead-letter", Self::DeadLetter)];
        let ignore = match format {
            "csv" => options.bool("csv.ignore-parse-errors", false)?,
            "json" => options.bool("json.ignore-parse-errors", false)?,
            _ => false,
        };
        match options.one_of("on-error", &values)? {
            Some(Self::Fail) if ignore => {
                Err(options.invalid(format!("'on-error' = 'fail' contradicts '{format}.ignore-parse-errors' = 'true'")))
            }
            Some(chosen) => Ok(chosen),
            None if ignore => Ok(Self::Skip),
            None => Ok(Self::Fail),
        }
    }
}

/// Judges bad records as the table's option says, and keeps the dead letters until they are fetched.
pub(super) struct BadRecords {
    table: String,
    policy: OnError,
    count: u64,
    letters: Vec<Letter>,
}

struct Letter {
    position: String,
    error: String,
    record: Vec<u8>,
}

impl BadRecords {
    pub(super) fn new(table: &str, policy: OnError) -> Self {
        Self { table: table.to_owned(), policy, count: 0, letters: vec![] }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// `position`: where a person finds the record.
    pub(super) fn add(
        &mut self,
        position: impl FnOnce() -> String,
        error: &str,
        record: &[u8],
    ) -> Result<(), ConnectorError> {
        match self.policy {
            OnError::Fail => Err(ConnectorError::BadRecord {
                table: self.table.clone(),
                position: position(),
                message: format!("{error}; correct it, or set 'on-error' = 'skip' or 'dead-letter'"),
            }),
            OnError::Skip => {
                self.count += 1;
                Ok(())
            }
            OnError::DeadLetter => {
                self.count += 1;
                self.letters.push(Letter { position: position(), error: error.to_owned(), record: record.to_vec() });
                Ok(())
            }
        }
    }

    /// The dead letters since the last call.
    pub(super) fn take(&mut self) -> Option<RecordBatch> {
        if self.letters.is_empty() {
            return None;
        }
        let (mut sources, mut positions) = (StringBuilder::new(), StringBuilder::new());
        let (mut errors, mut records) = (StringBuilder::new(), BinaryBuilder::new());
        for letter in self.letters.drain(..) {
            sources.append_value(&self.table);
            positions.append_value(letter.position);
            errors.append_value(letter.error);
            records.append_value(letter.record);
        }
        let columns: Vec<arrow::array::ArrayRef> = vec![
            Arc::new(sources.finish()),
            Arc::new(positions.finish()),
            Arc::new(errors.finish()),
            Arc::new(records.finish()),
        ];
        Some(RecordBatch::try_new(dead_letter_schema(), columns).expect("columns are built to the schema"))
    }
}
