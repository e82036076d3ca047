//! `print`: rows on the terminal in Flink's changelog notation, `+I[1, abc, 2026-01-01T00:00:00.100]`, at once and so
//! at-least-once.
//!
//! The prefix is Flink's: `id:2> ` with an identifier and several slots, `id> ` or `2> ` with one of the two.

use super::ConnectorContext;
use super::options::Options;
use super::terminal::{Stream, Terminal};
use crate::connector::{Accepts, ConnectorError, Sink, SinkGuarantee, SinkSlot, SinkWriter, Staged};
use crate::element::{Batch, RowOp};
use crate::expr::display::to_display;
use async_trait::async_trait;
use sluice_core::id::Epoch;
use sluice_core::plan::Table;
use sluice_sql::TERMINAL_OPTION;
use std::sync::Arc;

/// `terminal` is the planner's mark of a bare SELECT, whose rows have no prefix at all.
const KNOWN: &[&str] = &["print-identifier", "standard-error", TERMINAL_OPTION];

#[derive(Clone, Debug)]
pub(super) struct PrintOptions {
    identifier: Option<String>,
    stream: Stream,
    bare: bool,
}

impl PrintOptions {
    pub(super) fn parse(table: &Table) -> Result<Self, ConnectorError> {
        let options = Options::new(table);
        options.check_known(&[KNOWN], &[])?;
        let stream = if options.bool("standard-error", false)? { Stream::Error } else { Stream::Out };
        Ok(Self {
            identifier: options.get("print-identifier").map(str::to_owned),
            stream,
            bare: options.bool(TERMINAL_OPTION, false)?,
        })
    }

    fn prefix(&self, slot: &SinkSlot) -> String {
        let number = slot.slot + 1;
        match (&self.identifier, slot.slots > 1) {
            _ if self.bare => String::new(),
            (Some(id), true) => format!("{id}:{number}> "),
            (Some(id), false) => format!("{id}> "),
            (None, true) => format!("{number}> "),
            (None, false) => String::new(),
        }
    }
}

pub(super) struct PrintSink {
    table: String,
    options: PrintOptions,
    terminal: Arc<dyn Terminal>,
}

impl PrintSink {
    pub(super) fn open(table: &Table, cx: &ConnectorContext) -> Result<Self, ConnectorError> {
        Ok(Self { table: table.name.clone(), options: PrintOptions::parse(table)?, terminal: cx.terminal.clone() })
    }
}

#[async_trait]
impl Sink for PrintSink {
    fn guarantee(&self) -> SinkGuarantee {
        SinkGuarantee::AtLeastOnce
    }

    fn accepts(&self) -> Accepts {
        Accepts::Everything
    }

    fn writer(&self, slot: SinkSlot) -> Result<Box<dyn SinkWriter>, ConnectorError> {
        Ok(Box::new(PrintWriter {
            table: self.table.clone(),
            prefix: self.options.prefix(&slot),
            stream: self.options.stream,
            terminal: self.terminal.clone(),
            lines: String::new(),
        }))
    }

    async fn settle(&self, _epoch: Epoch, _staged: &[Staged]) -> Result<(), ConnectorError> {
        Ok(())
    }

    async fn discard(&self, _staged: &[Staged]) -> Result<(), ConnectorError> {
        Ok(())
    }
}

struct PrintWriter {
    table: String,
    prefix: String,
    stream: Stream,
    terminal: Arc<dyn Terminal>,
    lines: String,
}

impl SinkWriter for PrintWriter {
    fn write(&mut self, batch: &Batch) -> Result<(), ConnectorError> {
        let failed = |message: String| ConnectorError::Failed { table: self.table.clone(), message };
        self.lines.clear();
        for i in 0..batch.len() {
            let op = batch.ops.as_ref().map_or(Some(RowOp::Insert), |o| RowOp::from_code(o.value(i)));
            let op = op.ok_or_else(|| failed("a row carries an unknown row kind".to_owned()))?;
            self.lines.push_str(&self.prefix);
            self.lines.push_str(op.notation());
            self.lines.push('[');
            for (c, (column, field)) in batch.rows.columns().iter().zip(batch.rows.schema_ref().fields()).enumerate() {
                if c > 0 {
                    self.lines.push_str(", ");
                }
                self.lines.push_str(&to_display(column, i, field));
            }
            self.lines.push_str("]\n");
        }
        self.terminal.write(self.stream, &self.lines).map_err(|e| failed(format!("failed to print: {e}")))
    }

    fn barrier(&mut self, _epoch: Epoch) -> Result<Option<Staged>, ConnectorError> {
        Ok(None)
    }

    fn confirmed(&mut self, _epoch: Epoch) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::connectors::options::tests::table;
    use crate::connectors::terminal::CapturedTerminal;
    use arrow::array::{Int8Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
    use arrow_schema::{DataType, Field, TimeUnit};
    use sluice_core::id::WriterId;
    use sluice_core::time::ProcTime;

    fn context(terminal: Arc<CapturedTerminal>) -> ConnectorContext {
        ConnectorContext {
            clock: Clock::manual(ProcTime(0)),
            base_dir: ".".into(),
            writer: WriterId("0".repeat(32)),
            terminal,
        }
    }

    #[test]
    fn rows_look_as_in_flink() {
        let t = table(
            vec![
                Field::new("id", DataType::Int64, true),
                Field::new("name", DataType::Utf8, true),
                Field::new("at", DataType::Timestamp(TimeUnit::Millisecond, None), true),
            ],
            &[("connector", "print"), ("print-identifier", "out")],
        );
        let rows = RecordBatch::try_new(
            t.schema.clone(),
            vec![
                Arc::new(Int64Array::from(vec![Some(1), None])),
                Arc::new(StringArray::from(vec!["abc", "ü"])),
                Arc::new(TimestampMillisecondArray::from(vec![1_767_225_600_100, 0])),
            ],
        )
        .unwrap();
        let terminal = Arc::new(CapturedTerminal::new());
        let sink = PrintSink::open(&t, &context(terminal.clone())).unwrap();
        let ops = Some(Int8Array::from(vec![RowOp::Insert as i8, RowOp::Delete as i8]));
        for slots in [1, 2] {
            let mut w = sink.writer(SinkSlot { slot: 0, slots, writer: String::new() }).unwrap();
            w.write(&Batch { rows: rows.clone(), ops: ops.clone(), hashes: None }).unwrap();
        }
        assert_eq!(
            terminal.take(Stream::Out),
            "out> +I[1, abc, 2026-01-01T00:00:00.100]\nout> -D[null, ü, 1970-01-01T00:00]\n\
             out:1> +I[1, abc, 2026-01-01T00:00:00.100]\nout:1> -D[null, ü, 1970-01-01T00:00]\n"
        );
        assert_eq!(terminal.take(Stream::Error), "");
    }
}
