//! Tests of operators read like their data: rows are lines of text, barriers and watermarks are pushed by hand, the output
//! is lines again.
//!
//! A line is `op | column | column …`; the op is left out for an append-only batch. `NULL` is NULL; timestamps are written as
//! integers in their unit or as text that arrow can cast.

use crate::clock::Clock;
use crate::element::{Batch, RowOp};
use crate::operator::{Drained, Operator, OperatorContext, Scope};
use crate::row::RowBuffer;
use crate::state::{StateBlock, StateSink};
use arrow::array::{Array, ArrayRef, Int8Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use sluice_core::id::Epoch;
use sluice_core::key_group::KeyGroups;
use sluice_core::plan::Port;
use sluice_core::time::{EventTime, ProcTime};
use std::ops::Range;
use std::sync::Arc;

pub(crate) fn context() -> OperatorContext {
    OperatorContext {
        key_groups: KeyGroups::DEFAULT,
        clock: Clock::manual(ProcTime(0)),
        allowed_lateness_ms: 0,
        emit_late: false,
    }
}

/// `["a INT", "b STRING NOT NULL"]`; the types are the ones that tests need.
pub(crate) fn schema(columns: &[&str]) -> SchemaRef {
    let field = |column: &&str| {
        let (name, kind) = column.split_once(' ').unwrap();
        let (kind, nullable) = kind.strip_suffix(" NOT NULL").map_or((kind, true), |kind| (kind, false));
        Field::new(name, data_type(kind), nullable)
    };
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

pub(crate) fn data_type(name: &str) -> DataType {
    match name {
        "BOOLEAN" => DataType::Boolean,
        "TINYINT" => DataType::Int8,
        "SMALLINT" => DataType::Int16,
        "INT" => DataType::Int32,
        "BIGINT" => DataType::Int64,
        "FLOAT" => DataType::Float32,
        "DOUBLE" => DataType::Float64,
        "STRING" => DataType::Utf8,
        "DATE" => DataType::Date32,
        "TIMESTAMP" => DataType::Timestamp(TimeUnit::Millisecond, None),
        _ => {
            let inner = name.strip_prefix("DECIMAL(").and_then(|n| n.strip_suffix(')')).unwrap();
            let (precision, scale) = inner.split_once(',').unwrap();
            DataType::Decimal128(precision.parse().unwrap(), scale.parse().unwrap())
        }
    }
}

/// Rows from lines; all of them have an op or none has.
pub(crate) fn batch(schema: &SchemaRef, text: &str) -> Batch {
    let mut ops: Vec<i8> = vec![];
    let mut cells: Vec<Vec<Option<String>>> = vec![vec![]; schema.fields().len()];
    let mut rows = 0;
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let mut parts: Vec<&str> = line.split('|').map(str::trim).collect();
        if let Some(op) = op_of(parts[0]) {
            ops.push(op as i8);
            parts.remove(0);
        }
        assert_eq!(parts.len(), cells.len(), "columns of '{line}'");
        for (column, cell) in cells.iter_mut().zip(parts) {
            column.push((cell != "NULL").then(|| cell.to_owned()));
        }
        rows += 1;
    }
    assert!(ops.is_empty() || ops.len() == rows, "ops on all lines or on none");
    let columns: Vec<ArrayRef> =
        cells.into_iter().zip(schema.fields()).map(|(c, f)| column(c, f.data_type())).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let rows = RecordBatch::try_new_with_options(schema.clone(), columns, &options).unwrap();
    Batch { rows, ops: (!ops.is_empty()).then(|| Int8Array::from(ops)), hashes: None }
}

fn op_of(text: &str) -> Option<RowOp> {
    (0..4).filter_map(RowOp::from_code).find(|op| op.notation() == text)
}

fn column(cells: Vec<Option<String>>, data_type: &DataType) -> ArrayRef {
    let integers: Option<Vec<Option<i64>>> =
        cells.iter().map(|c| c.as_ref().map(|c| c.parse().ok()).map_or(Some(None), |v| v.map(Some))).collect();
    if let (DataType::Timestamp(..), Some(values)) = (data_type, integers) {
        return cast(&Int64Array::from(values), data_type).unwrap();
    }
    let text: ArrayRef = Arc::new(StringArray::from(cells));
    let out = cast(&text, data_type).unwrap();
    assert_eq!(text.null_count(), out.null_count(), "a cell is not a {data_type}: {text:?}");
    out
}

/// One line per row, `+I` where the batch is append-only. Timestamps are printed as integers in their unit.
pub(crate) fn lines(batch: &Batch) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<ArrayRef> = batch
        .rows
        .columns()
        .iter()
        .map(|c| match c.data_type() {
            DataType::Timestamp(..) => cast(c, &DataType::Int64).unwrap(),
            _ => c.clone(),
        })
        .collect();
    let formatters: Vec<_> = columns.iter().map(|c| ArrayFormatter::try_new(c, &options).unwrap()).collect();
    (0..batch.len())
        .map(|row| {
            let op = batch.ops.as_ref().map_or(RowOp::Insert, |o| RowOp::from_code(o.value(row)).unwrap());
            std::iter::once(op.notation().to_owned())
                .chain(formatters.iter().map(|f| f.value(row).to_string()))
                .collect::<Vec<_>>()
                .join(" | ")
        })
        .collect()
}

/// The rows that remain when a changelog has been applied, sorted. Fails on a retraction of what was never there.
pub(crate) fn materialize(changelog: &[String]) -> Vec<String> {
    let mut rows: std::collections::BTreeMap<&str, i64> = std::collections::BTreeMap::new();
    for line in changelog {
        let (op, row) = line.split_once(" | ").unwrap_or((line, ""));
        let count = rows.entry(row).or_default();
        *count += if op_of(op).unwrap().adds() { 1 } else { -1 };
        assert!(*count >= 0, "'{line}' takes back a row that is not there");
    }
    rows.into_iter().flat_map(|(row, n)| std::iter::repeat_n(row.to_owned(), n as usize)).collect()
}

/// An operator with the part of a task that a test needs: it drains all outputs after every call.
pub(crate) struct Harness {
    pub(crate) operator: Box<dyn Operator>,
    output: Vec<String>,
    late: Vec<String>,
}

impl Harness {
    pub(crate) fn new(operator: Box<dyn Operator>) -> Self {
        Self { operator, output: vec![], late: vec![] }
    }

    pub(crate) fn push(&mut self, input: usize, batch: Batch) {
        if !batch.is_empty() {
            self.operator.process(input, batch).unwrap();
            self.collect();
        }
    }

    pub(crate) fn watermark(&mut self, ms: i64) {
        self.operator.watermark(EventTime(ms)).unwrap();
        self.collect();
    }

    pub(crate) fn clock(&mut self, ms: i64) {
        self.operator.clock(ProcTime(ms)).unwrap();
        self.collect();
    }

    /// The final watermark and the end of input.
    pub(crate) fn end(&mut self) {
        self.watermark(i64::MAX);
        self.operator.end().unwrap();
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(batch) = self.operator.next_output().unwrap() {
            assert!(!batch.is_empty(), "an empty output batch");
            self.output.extend(lines(&batch));
        }
        while let Some((port, batch)) = self.operator.next_side_output() {
            assert_eq!(port, Port::Late);
            self.late.extend(lines(&batch));
        }
    }

    /// The output lines since the last call.
    pub(crate) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.output)
    }

    /// As [`Harness::take`], sorted: for outputs whose order between keys is free.
    pub(crate) fn take_sorted(&mut self) -> Vec<String> {
        let mut lines = self.take();
        lines.sort();
        lines
    }

    /// The late side output since the last call.
    pub(crate) fn take_late(&mut self) -> Vec<String> {
        std::mem::take(&mut self.late)
    }

    /// Freezes the state and drains it wholly.
    pub(crate) fn snapshot(&mut self, epoch: u64, scope: Scope) -> Snapshot {
        self.operator.barrier(Epoch(epoch), scope);
        let mut snapshot = Snapshot::default();
        while self.drain(7, &mut snapshot) == Drained::Pending {}
        snapshot
    }

    /// One portion of a running drain.
    pub(crate) fn drain(&mut self, budget: usize, snapshot: &mut Snapshot) -> Drained {
        self.operator.drain(budget, snapshot)
    }

    /// Takes the rows of the snapshots, in order, whose key group lies in `groups`.
    pub(crate) fn restore(&mut self, snapshots: &[&Snapshot], groups: Range<u16>, watermark: i64) {
        for snapshot in snapshots {
            for block in &snapshot.blocks {
                let part = select(block, &groups);
                if !part.hashes.is_empty() {
                    self.operator.restore(&part).unwrap();
                }
            }
        }
        self.operator.restored(EventTime(watermark)).unwrap();
        self.collect();
    }
}

/// Collects the blocks of a snapshot; refuses every `refuse_every`-th block once, as a full queue does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) blocks: Vec<StateBlock>,
    pub(crate) refuse_every: usize,
    offered: usize,
}

impl Snapshot {
    pub(crate) fn refusing(every: usize) -> Self {
        Self { refuse_every: every, ..Self::default() }
    }

    pub(crate) fn rows(&self) -> usize {
        self.blocks.iter().map(|b| b.hashes.len()).sum()
    }
}

impl StateSink for Snapshot {
    fn try_send(&mut self, block: StateBlock) -> Result<(), StateBlock> {
        self.offered += 1;
        if self.refuse_every > 0 && self.offered.is_multiple_of(self.refuse_every) {
            return Err(block);
        }
        assert_eq!(block.hashes.len(), block.keys.len(), "a key per row");
        assert_eq!(block.hashes.len(), block.values.len(), "a value per row");
        self.blocks.push(block);
        Ok(())
    }

    fn block(&mut self, table: u8) -> StateBlock {
        StateBlock { table, ..StateBlock::default() }
    }
}

fn select(block: &StateBlock, groups: &Range<u16>) -> StateBlock {
    let mut out = StateBlock { table: block.table, ..StateBlock::default() };
    for (row, &hash) in block.hashes.iter().enumerate() {
        if groups.contains(&KeyGroups::DEFAULT.of(hash).0) {
            out.hashes.push(hash);
            out.deleted.push(block.deleted[row]);
            push(&mut out.keys, block.keys.row(row));
            push(&mut out.values, block.values.row(row));
        }
    }
    out
}

fn push(rows: &mut RowBuffer, row: &[u8]) {
    if rows.offsets.is_empty() {
        rows.offsets.push(0);
    }
    rows.bytes.extend_from_slice(row);
    rows.offsets.push(rows.bytes.len() as u32);
}
