//! `nexmark`: the auction benchmark's events as a pure function of the seed and the event's number, so that any engine that
//! reads them has an exact oracle and any position can be resumed.
//!
//! `nexmark.table` = `events` (default; Flink-nexmark's `event_type`, `person`, `auction`, `bid` columns) or `person`,
//! `auction`, `bid` with their fields as columns. A table declares any subset of the columns; only these are made.
//!
//! What the reference generator leaves open is pinned here: the seed is an option (default 0), the first event is at
//! 2015-07-15 00:00:00 UTC, events come in order, 100,000 per second of event time (`first-event.rate`, "V2"), and every
//! field is drawn by itself. `rows-per-second` paces by the clock; without it events come as fast as they are taken.

mod columns;
mod model;
mod texts;

use super::ConnectorContext;
use super::generated::{GeneratedSource, Generator, Shape};
use super::options::{Options, nearest};
use crate::connector::{ConnectorError, Source};
use crate::connectors::datagen::splits;
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use columns::{Column, Kind};
use model::Model;
use sluice_core::plan::Table;
use std::sync::Arc;
use texts::Texts;

pub(super) const KNOWN: &[&str] = &[
    "nexmark.table",
    "seed",
    "events.num",
    "first-event.rate",
    "next-event.rate",
    "person.proportion",
    "auction.proportion",
    "bid.proportion",
    "rows-per-second",
    "splits",
];

/// Enough for the threads of a machine; each split's watermark trails by less than half a second of event time.
const SPLITS: u32 = 8;

pub(super) struct NexmarkTable {
    shape: Shape,
    model: Model,
    /// `None`: the table of all events.
    kind: Option<Kind>,
    columns: Vec<Column>,
}

impl NexmarkTable {
    pub(super) fn parse(table: &Table) -> Result<Self, ConnectorError> {
        let options = Options::new(table);
        options.check_known(&[KNOWN], &[])?;
        let kinds = [
            ("events", None),
            ("person", Some(Kind::Person)),
            ("auction", Some(Kind::Auction)),
            ("bid", Some(Kind::Bid)),
        ];
        let kind = options.one_of("nexmark.table", &kinds)?.flatten();
        let proportion = |name, default| Ok::<u64, ConnectorError>(options.u64(name)?.unwrap_or(default));
        let model = Model {
            seed: options.u64("seed")?.unwrap_or(0),
            persons: proportion("person.proportion", 1)?,
            auctions: proportion("auction.proportion", 3)?,
            bids: proportion("bid.proportion", 46)?,
            rate: options.u64("first-event.rate")?.unwrap_or(100_000),
        };
        if model.persons == 0 || model.auctions == 0 || model.persons + model.auctions + model.bids > 1 << 20 {
            return Err(options.invalid(
                "'person.proportion' and 'auction.proportion' must be at least 1, all three together at most 1048576",
            ));
        }
        if !(1..=1 << 40).contains(&model.rate) || options.u64("next-event.rate")?.is_some_and(|r| r != model.rate) {
            return Err(options
                .invalid("'first-event.rate' must be above 0 and equal to 'next-event.rate': the rate is constant"));
        }
        let resolve =
            |f: &Arc<arrow_schema::Field>| Column::resolve(kind, f).map_err(|e| options.invalid(unknown_column(&e)));
        let columns = table.schema.fields().iter().map(resolve).collect::<Result<Vec<_>, _>>()?;
        let rate = options.u64("rows-per-second")?.filter(|r| *r > 0).map(|r| r as f64);
        let shape = Shape { splits: splits(&options, SPLITS)?, limit: options.u64("events.num")?, rate };
        Ok(Self { shape, model, kind, columns })
    }
}

fn unknown_column(e: &columns::ColumnError) -> String {
    match e {
        columns::ColumnError::Unknown { name, known } => {
            let hint =
                nearest(name, known.iter().copied()).map(|n| format!("; did you mean '{n}'?")).unwrap_or_default();
            format!("nexmark has no column '{name}'{hint} (known: {})", known.join(", "))
        }
        columns::ColumnError::Type { name, expected } => format!("nexmark's column '{name}' must be {expected}"),
    }
}

pub(super) fn open_source(table: &Table, cx: &ConnectorContext) -> Result<Box<dyn Source>, ConnectorError> {
    let parsed = NexmarkTable::parse(table)?;
    let texts = Texts::new(parsed.model.seed, parsed.columns.iter().any(Column::needs_channels));
    let generator =
        Events { schema: table.schema.clone(), model: parsed.model, texts, kind: parsed.kind, columns: parsed.columns };
    Ok(Box::new(GeneratedSource {
        table: table.name.clone(),
        shape: parsed.shape,
        generator: Arc::new(generator),
        clock: cx.clock.clone(),
    }))
}

struct Events {
    schema: SchemaRef,
    model: Model,
    texts: Texts,
    kind: Option<Kind>,
    columns: Vec<Column>,
}

impl Generator for Events {
    fn rows(&self, first: u64, step: u64, count: usize) -> RecordBatch {
        let numbers = (0..count as u64).map(|k| first + k * step);
        let numbers: Vec<u64> = match self.kind {
            None => numbers.collect(),
            Some(kind) => numbers.filter(|n| self.model.kind(*n) == kind).collect(),
        };
        let columns = self.columns.iter().map(|c| c.make(&self.model, &self.texts, &numbers)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(numbers.len()));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .expect("columns have the table's types")
    }

    fn numbers_per_row(&self) -> u64 {
        let share = match self.kind {
            None => return 1,
            Some(Kind::Person) => self.model.persons,
            Some(Kind::Auction) => self.model.auctions,
            Some(Kind::Bid) => self.model.bids.max(1),
        };
        self.model.total().div_ceil(share)
    }
}

#[cfg(test)]
mod tests;
