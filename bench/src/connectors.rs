//! Files and generators: CSV and JSON files to rows against arrow's own readers on the same file; Nexmark's rate.

use crate::report::{Bar, Report};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use sluice_core::id::WriterId;
use sluice_core::plan::Table;
use sluice_runtime::clock::Clock;
use sluice_runtime::connector::Polled;
use sluice_runtime::connectors::options::Options;
use sluice_runtime::connectors::terminal::StandardTerminal;
use sluice_runtime::connectors::{ConnectorContext, open_source};
use sluice_runtime::format::Format;
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub const BENCHES: &[crate::Bench] = &[
    crate::Bench { name: "csv-file", what: "a CSV file to rows, against arrow's reader", run: csv },
    crate::Bench { name: "json-file", what: "a JSON file to rows, against arrow's reader", run: json },
    crate::Bench { name: "nexmark-source", what: "bids per second of one generator", run: nexmark },
];

/// Of arrow's readers: as many as ours decode at a time.
const BATCH_ROWS: usize = 4096;

/// Large enough that opening does not count, small enough for the page cache.
const EVENTS: &str = "1000000";

fn bid_columns() -> Vec<Field> {
    let field = |name: &str, t: DataType| Field::new(name, t, true);
    vec![
        field("auction", DataType::Int64),
        field("bidder", DataType::Int64),
        field("price", DataType::Int64),
        field("channel", DataType::Utf8),
        field("url", DataType::Utf8),
        field("dateTime", DataType::Timestamp(TimeUnit::Millisecond, None)),
        field("extra", DataType::Utf8),
    ]
}

fn table(columns: Vec<Field>, options: &[(&str, &str)]) -> Table {
    Table {
        name: "bench".into(),
        schema: Schema::new(columns).into(),
        metadata: vec![],
        primary_key: vec![],
        options: options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        partitioned_by: vec![],
    }
}

fn context(directory: &Path) -> ConnectorContext {
    ConnectorContext {
        clock: Clock::system(),
        base_dir: directory.to_owned(),
        writer: WriterId("0".repeat(32)),
        terminal: Arc::new(StandardTerminal),
    }
}

/// All rows of a table, batch by batch.
fn read(table: &Table, cx: &ConnectorContext, mut each: impl FnMut(&arrow::array::RecordBatch)) -> usize {
    let mut source = open_source(table, cx).expect("the options are right");
    let mut reader = source.reader().expect("the options are right");
    for split in source.splits().expect("the file is there") {
        reader.open(split).expect("the file is there");
    }
    let mut count = 0;
    loop {
        match reader.poll().expect("the records are good") {
            Polled::Rows { rows, .. } => {
                count += rows.num_rows();
                each(&rows);
            }
            Polled::Finished { .. } | Polled::Pending => {}
            Polled::End => return count,
        }
    }
}

/// Rows per second, best of five.
fn best(clock: &Clock, mut run: impl FnMut() -> usize) -> f64 {
    let mut best: f64 = 0.0;
    for _ in 0..5 {
        let start = clock.elapsed();
        let rows = run();
        best = best.max(rows as f64 / (clock.elapsed() - start).as_secs_f64());
    }
    best
}

/// A directory that goes with the benchmark.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sluice-bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the temporary directory can be written");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is in the system's temporary directory.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Nexmark's bids in a file.
fn write_bids(directory: &Path, format: &str) -> (PathBuf, SchemaRef) {
    let bids = table(bid_columns(), &[("connector", "nexmark"), ("nexmark.table", "bid"), ("events.num", EVENTS)]);
    let target = table(bid_columns(), &[("connector", "filesystem"), ("path", "bids"), ("format", format)]);
    let mut encoder =
        Format::parse(&Options::new(&target), &target.schema).expect("the options are right").encoder(&target.schema);
    let path = directory.join("bids");
    let mut file = File::create(&path).expect("the temporary directory can be written");
    let mut bytes = vec![];
    read(&bids, &context(directory), |rows| {
        bytes.clear();
        encoder.encode(rows, &mut bytes);
        file.write_all(&bytes).expect("the temporary directory has room");
    });
    (path, bids.schema)
}

fn file(report: &mut Report, format: &str, arrow: impl Fn(&Path, &SchemaRef) -> usize) {
    let (scratch, clock) = (Scratch::new(format), Clock::system());
    let (path, schema) = write_bids(&scratch.0, format);
    let cx = context(&scratch.0);
    let ours = table(bid_columns(), &[("connector", "filesystem"), ("path", "bids"), ("format", format)]);
    assert_eq!(read(&ours, &cx, |_| {}), arrow(&path, &schema), "both read the same file");
    let mine = best(&clock, || read(&ours, &cx, |_| {}));
    let theirs = best(&clock, || arrow(&path, &schema));
    report.rate(format!("{format}, 7 columns, arrow's reader"), mine, theirs, Bar::AtLeast(0.8));
    let bytes = std::fs::metadata(&path).expect("it was just written").len() as f64;
    let rows = read(&ours, &cx, |_| {}) as f64;
    report.value(format!("{format}, 7 columns"), bytes / rows * mine / 1e6, "MB/s", Bar::None);
}

fn csv(report: &mut Report) {
    file(report, "csv", |path, schema| {
        let file = File::open(path).expect("it was just written");
        let reader = arrow::csv::ReaderBuilder::new(schema.clone()).with_batch_size(BATCH_ROWS).build(file);
        reader.expect("the schema is right").map(|b| b.expect("the records are good").num_rows()).sum()
    });
}

fn json(report: &mut Report) {
    file(report, "json", |path, schema| {
        let file = BufReader::new(File::open(path).expect("it was just written"));
        let reader = arrow::json::ReaderBuilder::new(schema.clone()).with_batch_size(BATCH_ROWS).build(file);
        reader.expect("the schema is right").map(|b| b.expect("the records are good").num_rows()).sum()
    });
}

fn nexmark(report: &mut Report) {
    let (clock, cx) = (Clock::system(), context(Path::new(".")));
    let numbers = ["auction", "bidder", "price", "dateTime"];
    let some = bid_columns().into_iter().filter(|f| numbers.contains(&f.name().as_str())).collect();
    for (what, columns) in [("bids, numbers and time", some), ("bids, all 7 columns", bid_columns())] {
        let t = table(columns, &[("connector", "nexmark"), ("nexmark.table", "bid"), ("events.num", "5000000")]);
        let rate = best(&clock, || read(&t, &cx, |_| {}));
        let bar = if what.contains("numbers") { Bar::AtLeast(5.0) } else { Bar::None };
        report.value(what, rate / 1e6, "M/s", bar);
    }
}
