mod sink;
mod source;

use super::*;
use crate::clock::Clock;
use crate::connector::Polled;
use crate::connectors::options::tests::table;
use crate::connectors::terminal::CapturedTerminal;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow_schema::{DataType, Field};
use sluice_core::id::WriterId;
use sluice_core::time::ProcTime;

fn context(base: &Path, writer: &str) -> ConnectorContext {
    ConnectorContext {
        clock: Clock::manual(ProcTime(0)),
        base_dir: base.to_owned(),
        writer: WriterId(writer.repeat(4)),
        terminal: Arc::new(CapturedTerminal::new()),
    }
}

/// `id BIGINT, name STRING` in `data` below the test's directory.
fn two_columns(options: &[(&str, &str)]) -> Table {
    let mut all = vec![("connector", "filesystem"), ("path", "data")];
    all.extend_from_slice(options);
    table(vec![Field::new("id", DataType::Int64, true), Field::new("name", DataType::Utf8, true)], &all)
}

fn show(rows: &RecordBatch) -> Vec<String> {
    let (ids, names) = (rows.column(0).as_primitive::<Int64Type>(), rows.column(1).as_string::<i32>());
    ids.iter().zip(names).map(|(i, n)| format!("{}={}", i.unwrap_or(-1), n.unwrap_or("NULL"))).collect()
}

/// Rows, splits and dead letters.
type Read = (Vec<String>, Vec<Split>, Vec<RecordBatch>);

/// Reads until the end, or until `stop` rows were seen (at the next batch). Gives rows, splits and dead letters.
fn read(source: &dyn Source, splits: Vec<Split>, stop: usize) -> Result<Read, ConnectorError> {
    let mut reader = source.reader()?;
    for split in splits {
        reader.open(split)?;
    }
    let (mut rows, mut letters) = (vec![], vec![]);
    while rows.len() < stop {
        match reader.poll()? {
            Polled::Rows { rows: batch, .. } => rows.extend(show(&batch)),
            Polled::Finished { .. } | Polled::Pending => {}
            Polled::End => break,
        }
        letters.extend(reader.dead_letters());
    }
    Ok((rows, reader.splits(), letters))
}

fn read_all(t: &Table, base: &Path) -> Result<Vec<String>, ConnectorError> {
    let mut source = open_source(t, &context(base, "a"))?;
    let splits = source.splits()?;
    read(&*source, splits, usize::MAX).map(|(rows, ..)| rows)
}
