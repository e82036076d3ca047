//! Whole queries on batches in memory: the operators of a planned SQL text, against loops written by hand for exactly that
//! query and against DataFusion's batch engine, on the same rows and one thread.

mod batch_engine;
mod by_hand;
mod pipeline;
mod scaling;

use crate::report::{Bar, Report};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use pipeline::Pipeline;
use sluice_runtime::clock::Clock;
use std::sync::Arc;

pub const BENCHES: &[crate::Bench] = &[
    crate::Bench { name: "query-filter", what: "q1, q2: projection and filter", run: filter },
    crate::Bench { name: "query-window", what: "COUNT, SUM per key in tumbling windows, 1 M keys", run: window },
    crate::Bench { name: "query-join", what: "inner join on a BIGINT key", run: join },
    crate::Bench { name: "query-topn", what: "the ten dearest of each auction", run: top_n },
    crate::Bench { name: "scaling", what: "one thread against two", run: scaling::run },
];

const ROWS_PER_BATCH: usize = 4096;
const BATCHES: usize = 1024;

const BID: &str = "CREATE TABLE bid (auction BIGINT NOT NULL, price BIGINT NOT NULL, ts TIMESTAMP(3) NOT NULL, \
     WATERMARK FOR ts AS ts) WITH ('connector' = 'datagen');";

/// The same rows for every contestant.
struct Bids {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

/// splitmix64: seeded, so that every run has the same rows.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

impl Bids {
    fn new(keys: u64, batches: usize) -> Self {
        let schema: SchemaRef = Arc::new(Schema::new(vec![
            Field::new("auction", DataType::Int64, false),
            Field::new("price", DataType::Int64, false),
            Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, None), false),
        ]));
        let mut r = Random(7);
        let batches = (0..batches)
            .map(|b| {
                let longs = |f: &mut dyn FnMut(usize) -> i64| -> ArrayRef {
                    Arc::new(Int64Array::from_iter_values((0..ROWS_PER_BATCH).map(f)))
                };
                let auction = longs(&mut |_| (r.next() % keys) as i64 * 7919);
                let price = longs(&mut |_| (r.next() % 10_000_000) as i64);
                let ts = TimestampMillisecondArray::from_iter_values(
                    (0..ROWS_PER_BATCH).map(|i| (b * ROWS_PER_BATCH + i) as i64 / 100),
                );
                let columns = vec![auction, price, Arc::new(ts) as ArrayRef];
                RecordBatch::try_new(Arc::clone(&schema), columns).expect("columns have the schema's types")
            })
            .collect();
        Self { schema, batches }
    }

    fn rows(&self) -> f64 {
        self.batches.iter().map(RecordBatch::num_rows).sum::<usize>() as f64
    }
}

/// Rows per second, best of three; the answer of all runs must be the same.
fn best(rows: f64, mut run: impl FnMut() -> u64) -> (f64, u64) {
    let clock = Clock::system();
    let (mut best, mut answer) = (f64::MAX, None);
    for _ in 0..3 {
        let start = clock.elapsed();
        let a = run();
        best = best.min((clock.elapsed() - start).as_secs_f64());
        assert_eq!(*answer.get_or_insert(a), a, "every run gives the same rows");
    }
    (rows / best, answer.unwrap_or(0))
}

fn filter(report: &mut Report) {
    let bids = Bids::new(1_000_000, BATCHES);
    let q1 = format!("{BID} SELECT auction, price * 908 / 1000 AS euro, ts FROM bid;");
    let (ours, n) = best(bids.rows(), || Pipeline::new(&q1).run(&[("bid", &bids.batches)]));
    let (hand, m) = best(bids.rows(), || by_hand::q1(&bids.batches, 908, 1000));
    assert_eq!(n, m);
    report.rate("q1 projection, hand loop", ours, hand, Bar::AtLeast(0.7));
    let q2 = format!("{BID} SELECT auction, price FROM bid WHERE MOD(auction, 123) = 0;");
    let (ours, n) = best(bids.rows(), || Pipeline::new(&q2).run(&[("bid", &bids.batches)]));
    let (hand, m) = best(bids.rows(), || by_hand::q2(&bids.batches, 123));
    assert_eq!(n, m);
    report.rate("q2 filter, hand loop", ours, hand, Bar::AtLeast(0.7));
    let peer = batch_engine::Engine::new(&[("bid", &bids)]);
    let (df, m) = best(bids.rows(), || peer.rows("SELECT auction, price FROM bid WHERE auction % 123 = 0"));
    assert_eq!(n, m);
    report.rate("q2 filter, DataFusion", ours, df, Bar::AtLeast(0.7));
}

fn window(report: &mut Report) {
    let bids = Bids::new(1_000_000, BATCHES);
    let text = format!(
        "{BID} SELECT auction, window_start, COUNT(*) AS n, SUM(price) AS total \
         FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' HOUR)) GROUP BY auction, window_start, window_end;"
    );
    let (ours, n) = best(bids.rows(), || Pipeline::new(&text).run(&[("bid", &bids.batches)]));
    let (hand, m) = best(bids.rows(), || by_hand::tumble(&bids.batches, 3_600_000));
    assert_eq!(n, m);
    report.rate("tumbling COUNT, SUM, hand loop", ours, hand, Bar::AtLeast(0.5));
    let peer = batch_engine::Engine::new(&[("bid", &bids)]);
    let sql = "SELECT auction, date_bin(INTERVAL '1 hour', ts) AS w, COUNT(*), SUM(price) FROM bid GROUP BY 1, 2";
    let (df, m) = best(bids.rows(), || peer.rows(sql));
    assert_eq!(n, m);
    report.rate("tumbling COUNT, SUM, DataFusion", ours, df, Bar::AtLeast(0.7));
}

fn join(report: &mut Report) {
    let (left, right) = (Bids::new(1_000_000, BATCHES / 4), Bids::new(1_000_000, BATCHES / 16));
    let text = format!(
        "{BID} {} SELECT a.auction, a.price, b.price AS other FROM bid AS a JOIN bid2 AS b ON a.auction = b.auction;",
        BID.replace("TABLE bid", "TABLE bid2")
    );
    let rows = left.rows() + right.rows();
    let (ours, n) = best(rows, || Pipeline::new(&text).run(&[("bid2", &right.batches), ("bid", &left.batches)]));
    let (hand, m) = best(rows, || by_hand::join(&left.batches, &right.batches));
    assert_eq!(n, m);
    report.rate("inner join, hand loop", ours, hand, Bar::AtLeast(0.4));
    let peer = batch_engine::Engine::new(&[("bid", &left), ("bid2", &right)]);
    let sql = "SELECT a.auction, a.price, b.price AS other FROM bid a JOIN bid2 b ON a.auction = b.auction";
    let (df, m) = best(rows, || peer.rows(sql));
    assert_eq!(n, m);
    report.rate("inner join, DataFusion", ours, df, Bar::AtLeast(0.7));
}

fn top_n(report: &mut Report) {
    let bids = Bids::new(10_000, BATCHES / 2);
    let ranked = "SELECT auction, price FROM (SELECT auction, price, ROW_NUMBER() OVER \
         (PARTITION BY auction ORDER BY price DESC) AS rn FROM bid) WHERE rn <= 10";
    let text = format!("{BID} {ranked};");
    let (ours, _) = best(bids.rows(), || Pipeline::new(&text).run(&[("bid", &bids.batches)]));
    let peer = batch_engine::Engine::new(&[("bid", &bids)]);
    let (df, _) = best(bids.rows(), || peer.rows(ranked));
    report.rate("Top-N, DataFusion", ours, df, Bar::AtLeast(0.7));
}
