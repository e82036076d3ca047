//! A window table function that no aggregate consumes: every row once per window that it belongs to, with `window_start`,
//! `window_end` and `window_time` after its columns. Keeps no state and drops nothing: lateness is judged where windows are
//! closed.

use super::event_times::EventTimes;
use crate::element::Batch;
use crate::operator::{MAX_OUTPUT_ROWS, Operator, OperatorError};
use arrow::array::{ArrayRef, RecordBatch, TimestampMillisecondArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use sluice_core::plan::Window;
use sluice_core::window::{TimeWindow, WindowError, WindowGrid, Windows};
use std::sync::Arc;

pub struct WindowAssign {
    grid: WindowGrid,
    time: usize,
    schema: SchemaRef,
    /// The batch at hand, and where the expansion stands.
    current: Option<Expansion>,
}

struct Expansion {
    batch: Batch,
    times: EventTimes,
    row: usize,
    windows: Option<Windows>,
}

impl WindowAssign {
    pub fn new(window: &Window, time: usize, output: &SchemaRef) -> Result<Self, WindowError> {
        Ok(Self { grid: WindowGrid::new(window)?, time, schema: output.clone(), current: None })
    }
}

impl Expansion {
    /// The next pairs of row and window; a row without a time belongs to none.
    fn portion(&mut self, grid: WindowGrid) -> (Vec<u32>, Vec<TimeWindow>) {
        let (mut rows, mut spans) = (vec![], vec![]);
        while self.row < self.batch.len() && rows.len() < MAX_OUTPUT_ROWS {
            let windows = match &mut self.windows {
                Some(windows) => windows,
                none => {
                    let Some(t) = self.times.get(self.row) else {
                        self.row += 1;
                        continue;
                    };
                    none.insert(grid.windows(t))
                }
            };
            for window in windows.take(MAX_OUTPUT_ROWS - rows.len()) {
                rows.push(self.row as u32);
                spans.push(window);
            }
            if windows.len() == 0 {
                self.windows = None;
                self.row += 1;
            }
        }
        (rows, spans)
    }
}

/// `window_start`, `window_end`, `window_time`.
pub(super) fn window_columns(spans: &[TimeWindow]) -> [ArrayRef; 3] {
    let column = |f: fn(TimeWindow) -> i64| -> ArrayRef {
        Arc::new(TimestampMillisecondArray::from_iter_values(spans.iter().map(|&w| f(w))))
    };
    [column(|w| w.start), column(|w| w.end), column(TimeWindow::time)]
}

impl Operator for WindowAssign {
    fn process(&mut self, _input: usize, batch: Batch) -> Result<(), OperatorError> {
        let times = EventTimes::read(batch.rows.column(self.time), "WindowAssign")?;
        self.current = Some(Expansion { batch, times, row: 0, windows: None });
        Ok(())
    }

    fn next_output(&mut self) -> Result<Option<Batch>, OperatorError> {
        let Some(current) = &mut self.current else { return Ok(None) };
        let (rows, spans) = current.portion(self.grid);
        if rows.is_empty() {
            self.current = None;
            return Ok(None);
        }
        let rows = UInt32Array::from(rows);
        let Batch { rows: input, ops, .. } = &current.batch;
        let pick = |c: &ArrayRef| take(c, &rows, None).map_err(OperatorError::Output);
        let mut columns = input.columns().iter().map(pick).collect::<Result<Vec<_>, _>>()?;
        columns.extend(typed_like(&self.schema, window_columns(&spans))?);
        let ops = ops.as_ref().map(|ops| rows.values().iter().map(|&r| ops.value(r as usize)).collect());
        let rows = RecordBatch::try_new(self.schema.clone(), columns).map_err(OperatorError::Output)?;
        Ok(Some(Batch { rows, ops, hashes: None }))
    }
}

/// The window columns in the types of the last three output fields (a time zone may have been asked for).
pub(super) fn typed_like(schema: &SchemaRef, columns: [ArrayRef; 3]) -> Result<Vec<ArrayRef>, OperatorError> {
    let fields = &schema.fields()[schema.fields().len() - columns.len()..];
    columns
        .into_iter()
        .zip(fields)
        .map(|(c, f)| {
            if c.data_type() == f.data_type() {
                return Ok(c);
            }
            arrow::compute::cast(&c, f.data_type()).map_err(OperatorError::Output)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::testing::{Harness, batch, schema};

    const OUTPUT: [&str; 5] =
        ["a INT", "t TIMESTAMP", "window_start TIMESTAMP", "window_end TIMESTAMP", "window_time TIMESTAMP"];

    fn assign(window: &Window) -> Harness {
        Harness::new(Box::new(WindowAssign::new(window, 1, &schema(&OUTPUT)).unwrap()))
    }

    #[test]
    fn a_row_comes_once_per_window_with_its_op() {
        let mut hop = assign(&Window::Hop { slide_ms: 5, size_ms: 10, offset_ms: 0 });
        hop.push(0, batch(&schema(&OUTPUT[..2]), "+I | 1 | 7\n-D | 2 | NULL\n-D | 3 | -1"));
        let expected = [
            "+I | 1 | 7 | 0 | 10 | 9",
            "+I | 1 | 7 | 5 | 15 | 14",
            "-D | 3 | -1 | -10 | 0 | -1",
            "-D | 3 | -1 | -5 | 5 | 4",
        ];
        assert_eq!(hop.take(), expected);
    }

    #[test]
    fn an_explosion_of_windows_is_handed_out_in_portions() {
        let window = Window::Hop { slide_ms: 1, size_ms: 10_000, offset_ms: 0 };
        let mut operator = WindowAssign::new(&window, 1, &schema(&OUTPUT)).unwrap();
        operator.process(0, batch(&schema(&OUTPUT[..2]), "1 | 0\n2 | 5")).unwrap();
        let mut sizes = vec![];
        while let Some(out) = operator.next_output().unwrap() {
            sizes.push(out.len());
        }
        assert_eq!(sizes.iter().sum::<usize>(), 20_000);
        assert!(sizes.iter().all(|&n| n <= MAX_OUTPUT_ROWS));
    }
}
