//! Keyed state: updates, memory, growth, snapshots under load, the size of deltas, restore.
//!
//! The state is COUNT and SUM by a BIGINT key; the peer is a loop over an open-addressing table written for exactly that.

mod hand;
mod load;
mod sink;

use crate::machine;
use crate::report::{Bar, Report};
use load::{Batches, Counts, Moment, Stops, hash_words};
use sink::FileSink;
use sluice_runtime::clock::Clock;
use sluice_runtime::operator::{Drained, Scope};
use sluice_runtime::state::WordTable;

pub const BENCHES: &[crate::Bench] = &[
    crate::Bench { name: "state-update", what: "COUNT, SUM by BIGINT, 1 M keys, against a hand loop", run: update },
    crate::Bench { name: "state-memory", what: "bytes per key at 100 K to 25 M keys", run: memory },
    crate::Bench { name: "state-growth", what: "longest stop from empty to 25 M keys", run: growth },
    crate::Bench { name: "state-snapshot-10m", what: "a snapshot each second of 10 M keys", run: snapshot_10m },
    crate::Bench { name: "state-snapshot-25m", what: "a snapshot each second of 25 M keys", run: snapshot_25m },
    crate::Bench { name: "state-delta", what: "what a 1 % change writes", run: delta },
    crate::Bench { name: "state-restore", what: "restore of 1 GB against reading the file", run: restore },
];

/// Best of three, from empty: growth is part of it on both sides.
fn update(report: &mut Report) {
    const KEYS: u64 = 1 << 20;
    let (clock, batches) = (Clock::system(), Batches::new(KEYS, 2048));
    let best = |run: &mut dyn FnMut() -> u64| {
        let mut best = f64::MAX;
        for _ in 0..3 {
            let start = clock.elapsed();
            assert_eq!(run(), batches.rows(), "every row is counted");
            best = best.min((clock.elapsed() - start).as_secs_f64());
        }
        batches.rows() as f64 / best
    };
    let ours = best(&mut || {
        let mut t = Counts::new();
        batches.each(|keys, values| t.update(keys, values));
        t.total()
    });
    let plain = best(&mut || {
        let mut t = hand::Table::new();
        batches.each(|keys, values| t.update::<false>(keys, values));
        t.total()
    });
    let ahead = best(&mut || {
        let mut t = hand::Table::new();
        batches.each(|keys, values| t.update::<true>(keys, values));
        t.total()
    });
    report.rate("keyed update, hand loop", ours, plain, Bar::AtLeast(0.5));
    report.rate("keyed update, hand loop with prefetch", ours, ahead, Bar::AtLeast(0.5));
}

fn memory(report: &mut Report) {
    for keys in [100_000u64, 300_000, 1_000_000, 3_000_000, 10_000_000, 25_000_000] {
        let before = machine::resident();
        let mut t = Counts::new();
        t.fill(keys, |_| ());
        let counted = t.table.bytes() as f64 / keys as f64;
        report.value(format!("bytes per key, {keys} keys, as counted"), counted, "B", Bar::AtMost(72.0));
        if keys >= 10_000_000 {
            let grown = machine::resident().saturating_sub(before) as f64 / keys as f64;
            report.value(format!("bytes per key, {keys} keys, resident"), grown, "B", Bar::AtMost(72.0));
        }
    }
}

fn growth(report: &mut Report) {
    let clock = Clock::system();
    let mut stops = Stops::default();
    let mut t = Counts::new();
    let keys = 25_000_000;
    let start = clock.elapsed();
    let mut at = Moment::now(&clock);
    t.fill(keys, |_| {
        let now = Moment::now(&clock);
        stops.add(&at, &now);
        at = now;
    });
    let rate = keys as f64 / (clock.elapsed() - start).as_secs_f64();
    report.value("inserts from empty to 25 M keys", rate / 1e6, "M/s", Bar::None);
    stops.report(report, "batch of 4096 rows", 20.0);
}

fn snapshot_10m(report: &mut Report) {
    snapshots(report, 10_000_000);
}

fn snapshot_25m(report: &mut Report) {
    snapshots(report, 25_000_000);
}

const PHASE_S: f64 = 6.0;
/// As a task drains between two batches (`task::DRAIN_BUDGET`).
const BUDGET: usize = 16 * 1024;

fn snapshots(report: &mut Report, keys: u64) {
    let clock = Clock::system();
    let mut t = Counts::new();
    t.fill(keys, |_| ());
    let batches = Batches::new(keys, 2048);
    let before = machine::resident();
    let (quiet, _) = phase(&clock, &mut t, &batches, None);
    machine::forget_peak();
    let mut sink = FileSink::start("snapshots");
    let (busy, stops) = phase(&clock, &mut t, &batches, Some(&mut sink));
    let extra = machine::peak().saturating_sub(before) as f64 / before as f64;
    report.rate(format!("{keys} keys: with snapshots, without"), busy, quiet, Bar::AtLeast(0.65));
    stops.report(report, "batch and its drain", 10.0);
    report.value("extra memory", extra * 100.0, "%", Bar::AtMost(15.0));
    let written = sink.finish();
    report.value(format!("snapshots of {:.0} MB on average", written.mean_mb()), written.count as f64, "", Bar::None);
}

/// Rows per second for which the thread ran, and the time of every batch with what the snapshot adds to it.
fn phase(clock: &Clock, t: &mut Counts, batches: &Batches, mut sink: Option<&mut FileSink>) -> (f64, Stops) {
    let (mut stops, mut rows, mut busy) = (Stops::default(), 0u64, 0.0);
    let (start, mut next, mut number) = (clock.elapsed(), 1.0, 0u8);
    let mut draining = false;
    'all: loop {
        for (keys, values) in batches.iter() {
            let at = Moment::now(clock);
            if let Some(sink) = sink.as_deref_mut() {
                if !draining && (at.wall - start).as_secs_f64() >= next && sink.is_idle() {
                    next += 1.0;
                    let scope = if number == 0 { Scope::Full } else { Scope::Delta { rotation: number % 16 } };
                    number += 1;
                    t.table.barrier(scope);
                    draining = true;
                }
                if draining && t.table.drain(BUDGET, sink) == Drained::Complete {
                    draining = !sink.end();
                }
            }
            t.update(keys, values);
            let now = Moment::now(clock);
            stops.add(&at, &now);
            busy += now.ran_since(&at);
            rows += keys.len() as u64;
            if (now.wall - start).as_secs_f64() > PHASE_S && !draining {
                break 'all;
            }
        }
    }
    (rows as f64 / busy, stops)
}

fn delta(report: &mut Report) {
    let keys = 5_000_000u64;
    let mut t = Counts::new();
    t.fill(keys, |_| ());
    let mut sink = FileSink::start("delta");
    let full = t.snapshot(Scope::Full, &mut sink) as f64;
    // No sixteenth is due: more than 15.
    let none = Scope::Delta { rotation: u8::MAX };
    let idle = t.snapshot(none, &mut sink) as f64;
    t.touch_every(100, keys);
    let changed = t.snapshot(none, &mut sink) as f64;
    t.touch_every(100, keys);
    let rotated = t.snapshot(Scope::Delta { rotation: 3 }, &mut sink) as f64;
    report.value("full snapshot, 5 M keys", full / 1e6, "MB", Bar::None);
    report.value("no change, of full", idle / full * 100.0, "%", Bar::AtMost(0.1));
    report.value("1 % change, of full", changed / full * 100.0, "%", Bar::AtMost(2.0));
    report.value("1 % change and a sixteenth in turn", rotated / full * 100.0, "%", Bar::None);
    sink.finish();
}

fn restore(report: &mut Report) {
    let clock = Clock::system();
    let keys = 31_000_000u64; // 32 bytes each in a segment.
    let mut sink = FileSink::start("restore");
    {
        let mut t = Counts::new();
        t.fill(keys, |_| ());
        t.snapshot(Scope::Full, &mut sink);
    }
    let written = sink.finish_keeping();
    let start = clock.elapsed();
    let bytes = written.read_all();
    let read = bytes as f64 / (clock.elapsed() - start).as_secs_f64();
    let start = clock.elapsed();
    let mut t = WordTable::new(0, 1, 2);
    written.blocks(|block| t.restore(block).expect("the rows are of this table"));
    let restored = bytes as f64 / (clock.elapsed() - start).as_secs_f64();
    assert_eq!(t.len() as u64, keys);
    let line = |what: &str, figure: f64, bar| (what.to_owned(), figure, bar);
    for (what, figure, bar) in [
        line("restore, one thread", restored / 1e9, Bar::None),
        line("sequential read (page cache: the fastest disk)", read / 1e9, Bar::None),
    ] {
        report.value(what, figure, "GB/s", bar);
    }
    let (key, hash) = (7u64, hash_words(&[7]));
    assert!(t.get(hash[0], sluice_runtime::state::WordKey::Words(&[key])).is_some());
}
