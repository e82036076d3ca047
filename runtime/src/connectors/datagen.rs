//! `datagen`: Flink's options; every row is a pure function of the seed and its number.
//!
//! `fields.<column>.kind` = `random` (default) with `min`, `max`, `max-past`, `length`, `var-len`, `null-rate`, or `sequence`
//! with `start`, `end`, which ends the table. `number-of-rows` ends it too. `splits` (default 1, so that a sequence comes in
//! order) lets several tasks generate.

mod fields;

use super::ConnectorContext;
use super::generated::{GeneratedSource, Generator, Shape};
use super::options::Options;
use crate::connector::{ConnectorError, Source};
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use fields::Field;
use sluice_core::plan::Table;
use std::sync::Arc;

pub(super) const KNOWN: &[&str] = &["rows-per-second", "number-of-rows", "seed", "splits"];

/// As in Flink.
const ROWS_PER_SECOND: u64 = 10_000;

/// More splits than any parallelism a machine has; the ids stay short.
pub(super) const SPLITS_MAX: u64 = 1024;

pub(super) struct DatagenTable {
    shape: Shape,
    seed: u64,
    fields: Vec<Field>,
}

impl DatagenTable {
    pub(super) fn parse(table: &Table) -> Result<Self, ConnectorError> {
        let options = Options::new(table);
        options.check_known(&[KNOWN], &["fields."])?;
        fields::check_names(&options, &table.schema)?;
        let fields = table
            .schema
            .fields()
            .iter()
            .map(|f| Field::parse(&options, &format!("fields.{}", f.name()), f.data_type()))
            .collect::<Result<Vec<_>, _>>()?;
        let sequences = fields.iter().filter_map(Field::count).min();
        let rows = options.u64("number-of-rows")?;
        let shape = Shape {
            splits: splits(&options, 1)?,
            limit: rows.into_iter().chain(sequences).min(),
            rate: Some(options.u64("rows-per-second")?.unwrap_or(ROWS_PER_SECOND) as f64).filter(|r| *r > 0.0),
        };
        Ok(Self { shape, seed: options.u64("seed")?.unwrap_or(0), fields })
    }
}

/// The option `splits`.
pub(super) fn splits(options: &Options<'_>, default: u32) -> Result<u32, ConnectorError> {
    match options.u64("splits")? {
        None => Ok(default),
        Some(n @ 1..=SPLITS_MAX) => Ok(n as u32),
        Some(n) => Err(options.invalid(format!("option 'splits' must be 1 to {SPLITS_MAX}, got {n}"))),
    }
}

pub(super) fn open_source(table: &Table, cx: &ConnectorContext) -> Result<Box<dyn Source>, ConnectorError> {
    let parsed = DatagenTable::parse(table)?;
    // `max-past` counts from when the source was opened: the one input that is not in the options.
    let now = cx.clock.now();
    let rows = Rows { schema: table.schema.clone(), seed: parsed.seed, fields: parsed.fields, now_ms: now.0 };
    Ok(Box::new(GeneratedSource {
        table: table.name.clone(),
        shape: parsed.shape,
        generator: Arc::new(rows),
        clock: cx.clock.clone(),
    }))
}

struct Rows {
    schema: SchemaRef,
    seed: u64,
    fields: Vec<Field>,
    now_ms: i64,
}

impl Generator for Rows {
    fn rows(&self, first: u64, step: u64, count: usize) -> RecordBatch {
        let numbers: Vec<u64> = (0..count as u64).map(|k| first + k * step).collect();
        let column = |(i, f): (usize, &Field)| f.column(&numbers, self.seed, i as u64, self.now_ms);
        let columns = self.fields.iter().enumerate().map(column).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .expect("columns have the table's types")
    }
}

#[cfg(test)]
mod tests;
