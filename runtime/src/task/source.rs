//! The head of a source task: polls a reader, computes columns, makes watermarks per split.

use super::TaskError;
use super::chain::Control;
use super::head::Taken;
use crate::clock::Clock;
use crate::connector::{Polled, Split, SplitReader};
use crate::element::Batch;
use crate::expr::CompiledExpr;
use crate::metrics::SourceMetrics;
use crate::operator::OperatorError;
use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, SchemaRef, TimeUnit};
use sluice_core::id::Epoch;
use sluice_core::plan::Port;
use sluice_core::time::{EventTime, ProcTime};
use sluice_core::watermark::{SplitWatermark, combine_splits, late_cuts};
use std::collections::VecDeque;
use std::sync::Arc;

/// The compiled form of `plan::Op::Source`.
pub struct SourceProgram {
    /// `None`: the physical columns as they are.
    pub exprs: Option<Vec<CompiledExpr>>,
    pub schema: SchemaRef,
    /// Column and expression of the event time, over the output.
    pub watermark: Option<(usize, CompiledExpr)>,
    pub idle_timeout_ms: Option<u64>,
}

struct SplitState {
    mark: SplitWatermark,
    last_row: ProcTime,
}

pub struct SourceHead {
    pub node: usize,
    reader: Box<dyn SplitReader>,
    program: SourceProgram,
    splits: Vec<SplitState>,
    sent: Option<EventTime>,
    idle_sent: bool,
    queue: VecDeque<Taken>,
    due: Option<(Epoch, bool)>,
    /// No new splits will come.
    bounded: bool,
    ended: bool,
    clock: Clock,
    metrics: Arc<SourceMetrics>,
    next_poll: ProcTime,
}

/// How soon a reader that had nothing is asked again.
const POLL_AGAIN_MS: i64 = 2;

impl SourceHead {
    pub fn new(
        node: usize,
        reader: Box<dyn SplitReader>,
        program: SourceProgram,
        bounded: bool,
        clock: Clock,
        metrics: Arc<SourceMetrics>,
    ) -> Self {
        Self {
            node,
            reader,
            program,
            splits: vec![],
            sent: None,
            idle_sent: false,
            queue: VecDeque::new(),
            due: None,
            bounded,
            ended: false,
            clock,
            metrics,
            next_poll: ProcTime(0),
        }
    }

    /// Splits with the watermark that they had; those new to the job start where the task is.
    pub fn open(&mut self, splits: Vec<(Split, Option<SplitWatermark>)>) -> Result<(), TaskError> {
        let now = self.clock.now();
        for (split, mark) in splits {
            let start = SplitWatermark { max: self.sent.unwrap_or(EventTime::MIN), ..SplitWatermark::NEW };
            let mark = SplitWatermark { finished: split.finished, ..mark.unwrap_or(start) };
            self.reader.open(split)?;
            self.splits.push(SplitState { mark, last_row: now });
        }
        Ok(())
    }

    pub fn add_splits(&mut self, splits: Vec<Split>) -> Result<(), TaskError> {
        self.next_poll = ProcTime(0);
        self.open(splits.into_iter().map(|s| (s, None)).collect())
    }

    pub fn splits(&self) -> Vec<(Split, SplitWatermark)> {
        self.reader.splits().into_iter().zip(self.splits.iter().map(|s| s.mark)).collect()
    }

    pub fn asked(&mut self, epoch: Epoch, stop: bool) {
        self.due = Some((epoch, stop));
    }

    pub fn at_barrier(&self) -> bool {
        self.due.is_some() && self.queue.is_empty()
    }

    pub fn ended(&self) -> bool {
        self.ended && self.queue.is_empty()
    }

    pub fn has_input(&self) -> bool {
        !self.queue.is_empty() || self.due.is_some() || (!self.ended && self.clock.now() >= self.next_poll)
    }

    pub fn take(&mut self) -> Result<Taken, TaskError> {
        if let Some(t) = self.queue.pop_front() {
            return Ok(t);
        }
        // Between two polls, when everything polled has gone into the chain: the position is exact here.
        if let Some((epoch, stop)) = self.due.take() {
            return Ok(Taken::Barrier { epoch, stop });
        }
        let now = self.clock.now();
        if self.ended || now < self.next_poll {
            return Ok(Taken::Nothing);
        }
        match self.reader.poll()? {
            Polled::Rows { split, rows } => self.rows(split, &rows, now)?,
            Polled::Finished { split } => {
                self.splits[split].mark.finished = true;
                self.mark_time();
            }
            Polled::Pending => self.pending(now),
            Polled::End if self.bounded => {
                self.ended = true;
                self.queue.push_back(Taken::Control(Control::Watermark(EventTime::MAX)));
                self.queue.push_back(Taken::Control(Control::End));
            }
            Polled::End => self.pending(now),
        }
        self.metrics.publish(self.reader.stats());
        if let Some(d) = self.reader.dead_letters() {
            self.queue.push_front(Taken::Side(Port::DeadLetter, Batch::append(d)));
        }
        Ok(self.queue.pop_front().unwrap_or(Taken::Later))
    }

    fn pending(&mut self, now: ProcTime) {
        self.next_poll = ProcTime(now.0 + POLL_AGAIN_MS);
        if let Some(timeout) = self.program.idle_timeout_ms {
            for s in &mut self.splits {
                s.mark.idle |= !s.mark.finished && now.0 - s.last_row.0 >= timeout as i64;
            }
        }
        self.mark_time();
    }

    /// Queues the watermark if it has risen, or `Idle` if nothing is active.
    fn mark_time(&mut self) {
        if self.splits.is_empty() {
            if !std::mem::replace(&mut self.idle_sent, true) {
                self.queue.push_back(Taken::Control(Control::Idle));
            }
            return;
        }
        let marks: Vec<_> = self.splits.iter().map(|s| s.mark).collect();
        match combine_splits(&marks) {
            // The final watermark is said at the end only: new splits may come.
            Some(EventTime::MAX) if !self.bounded => self.idle(),
            Some(EventTime::MAX) => {}
            Some(t) if self.sent.is_none_or(|s| t > s) && t > EventTime::MIN => {
                self.sent = Some(t);
                self.idle_sent = false;
                self.queue.push_back(Taken::Control(Control::Watermark(t)));
            }
            Some(_) => {}
            None => self.idle(),
        }
    }

    fn idle(&mut self) {
        if !std::mem::replace(&mut self.idle_sent, true) {
            self.queue.push_back(Taken::Control(Control::Idle));
        }
    }

    fn rows(&mut self, split: usize, rows: &RecordBatch, now: ProcTime) -> Result<(), TaskError> {
        let s = &mut self.splits[split];
        s.last_row = now;
        s.mark.idle = false;
        let batch = self.project(rows)?;
        let Some((column, expr)) = &self.program.watermark else {
            self.queue.push_back(Taken::Rows(0, Batch::append(batch)));
            return Ok(());
        };
        let times = millis(batch.column(*column), i64::MAX)?;
        let marks = millis(&expr.evaluate(&batch)?, i64::MIN)?;
        let (cuts, max) = late_cuts(times.values(), marks.values(), self.splits[split].mark.max);
        let mut from = 0;
        for (at, mark) in cuts {
            if at > from {
                self.queue.push_back(Taken::Rows(0, Batch::append(batch.slice(from, at - from))));
            }
            self.splits[split].mark.max = mark;
            self.mark_time();
            from = at;
        }
        self.queue.push_back(Taken::Rows(0, Batch::append(batch.slice(from, batch.num_rows() - from))));
        self.splits[split].mark.max = max;
        self.mark_time();
        Ok(())
    }

    fn project(&self, rows: &RecordBatch) -> Result<RecordBatch, TaskError> {
        let columns: Vec<ArrayRef> = match &self.program.exprs {
            None => rows.columns().to_vec(),
            Some(exprs) => exprs.iter().map(|e| e.evaluate(rows)).collect::<Result<_, _>>()?,
        };
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.program.schema), columns, &options)
            .map_err(|e| OperatorError::Output(e).into())
    }
}

/// Timestamps of any unit as milliseconds; NULL becomes `null` (a row without time neither is late nor moves time).
fn millis(column: &ArrayRef, null: i64) -> Result<Int64Array, OperatorError> {
    use arrow::array::AsArray;
    let ms = cast(column, &DataType::Timestamp(TimeUnit::Millisecond, None)).map_err(OperatorError::Output)?;
    let ms = cast(&ms, &DataType::Int64).map_err(OperatorError::Output)?;
    let v = ms.as_primitive::<Int64Type>();
    Ok(if v.null_count() == 0 { v.clone() } else { v.iter().map(|x| x.unwrap_or(null)).collect::<Vec<_>>().into() })
}
