//! Rows that came after their window had been dropped: counted, and handed out as text where somebody wants them.

use crate::element::Batch;
use crate::operator::{OperatorContext, OperatorError};
use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMillisecondArray, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::error::ArrowError;
use arrow::json::writer::{LineDelimited, WriterBuilder};
use sluice_core::id::OperatorId;
use sluice_core::plan::{Port, late_schema};
use std::collections::VecDeque;
use std::sync::Arc;

pub(super) struct Late {
    operator: OperatorId,
    emit: bool,
    rows: u64,
    waiting: VecDeque<Batch>,
}

impl Late {
    pub(super) fn new(operator: &OperatorId, cx: &OperatorContext) -> Self {
        Self { operator: operator.clone(), emit: cx.emit_late, rows: 0, waiting: VecDeque::new() }
    }

    /// Takes the rows at `places`; `times` are the event times of all rows (a missing one is given as the epoch).
    pub(super) fn add(&mut self, rows: &RecordBatch, places: Vec<u32>, times: &[i64]) -> Result<(), OperatorError> {
        self.rows += places.len() as u64;
        if !self.emit || places.is_empty() {
            return Ok(());
        }
        let times = TimestampMillisecondArray::from_iter_values(places.iter().map(|&p| times[p as usize]));
        let batch = self.describe(rows, places, times).map_err(OperatorError::Output)?;
        self.waiting.push_back(Batch::append(batch));
        Ok(())
    }

    fn describe(
        &self,
        rows: &RecordBatch,
        places: Vec<u32>,
        times: TimestampMillisecondArray,
    ) -> Result<RecordBatch, ArrowError> {
        let count = places.len();
        let picked = take_record_batch(rows, &UInt32Array::from(places))?;
        let mut text = Vec::new();
        let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut text);
        writer.write(&picked)?;
        writer.finish()?;
        drop(writer);
        let text = String::from_utf8(text).map_err(|e| ArrowError::JsonError(e.to_string()))?;
        let names = StringArray::from_iter_values(std::iter::repeat_n(&self.operator.0, count));
        let columns: Vec<ArrayRef> =
            vec![Arc::new(names), Arc::new(times), Arc::new(StringArray::from(text.lines().collect::<Vec<_>>()))];
        RecordBatch::try_new(late_schema(), columns)
    }

    pub(super) fn next(&mut self) -> Option<(Port, Batch)> {
        self.waiting.pop_front().map(|batch| (Port::Late, batch))
    }

    pub(super) fn count(&self) -> u64 {
        self.rows
    }
}
