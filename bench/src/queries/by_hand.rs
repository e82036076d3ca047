//! What a person would write for one query, knowing everything but the constants. Single-threaded, over the same batches.

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMillisecondType};
use hashbrown::HashMap;
use std::hint::black_box;
use std::sync::Arc;

fn longs(b: &RecordBatch, column: usize) -> &[i64] {
    b.column(column).as_primitive::<Int64Type>().values()
}

fn times(b: &RecordBatch) -> &[i64] {
    b.column(2).as_primitive::<TimestampMillisecondType>().values()
}

/// `price * factor / divisor`.
pub fn q1(batches: &[RecordBatch], factor: i64, divisor: i64) -> u64 {
    let (factor, divisor) = (black_box(factor), black_box(divisor));
    let mut rows = 0;
    for b in batches {
        let euro = Int64Array::from_iter_values(longs(b, 1).iter().map(|p| p * factor / divisor));
        rows += euro.len() as u64;
        black_box((b.column(0), euro, b.column(2)));
    }
    rows
}

/// `auction % divisor = 0`.
pub fn q2(batches: &[RecordBatch], divisor: i64) -> u64 {
    let divisor = black_box(divisor);
    let mut rows = 0;
    for b in batches {
        let (mut auction, mut price) = (vec![], vec![]);
        for (a, p) in longs(b, 0).iter().zip(longs(b, 1)) {
            if a % divisor == 0 {
                auction.push(*a);
                price.push(*p);
            }
        }
        rows += auction.len() as u64;
        black_box((Int64Array::from(auction), Int64Array::from(price)));
    }
    rows
}

/// COUNT and SUM per (window, auction); results as columns at the end.
pub fn tumble(batches: &[RecordBatch], size: i64) -> u64 {
    let size = black_box(size);
    let mut table: HashMap<(i64, i64), (i64, i64)> = HashMap::new();
    for b in batches {
        for ((a, p), t) in longs(b, 0).iter().zip(longs(b, 1)).zip(times(b)) {
            let e = table.entry((t - t.rem_euclid(size), *a)).or_default();
            e.0 += 1;
            e.1 += p;
        }
    }
    let rows = table.len() as u64;
    let columns: [ArrayRef; 4] = [
        Arc::new(Int64Array::from_iter_values(table.keys().map(|k| k.0))),
        Arc::new(Int64Array::from_iter_values(table.keys().map(|k| k.1))),
        Arc::new(Int64Array::from_iter_values(table.values().map(|v| v.0))),
        Arc::new(Int64Array::from_iter_values(table.values().map(|v| v.1))),
    ];
    black_box(columns);
    rows
}

/// Both sides are kept, as a stream must: each row probes the other side.
pub fn join(left: &[RecordBatch], right: &[RecordBatch]) -> u64 {
    let (mut lefts, mut rights): (HashMap<i64, Vec<i64>>, HashMap<i64, Vec<i64>>) = Default::default();
    let mut rows = 0;
    let mut side = |batches: &[RecordBatch], mine: &mut HashMap<i64, Vec<i64>>, other: &HashMap<i64, Vec<i64>>| {
        for b in batches {
            let (mut key, mut a, mut c) = (vec![], vec![], vec![]);
            for (k, p) in longs(b, 0).iter().zip(longs(b, 1)) {
                for o in other.get(k).map_or(&[][..], Vec::as_slice) {
                    key.push(*k);
                    a.push(*p);
                    c.push(*o);
                }
                mine.entry(*k).or_default().push(*p);
            }
            rows += key.len() as u64;
            black_box((Int64Array::from(key), Int64Array::from(a), Int64Array::from(c)));
        }
    };
    side(right, &mut rights, &lefts);
    side(left, &mut lefts, &rights);
    rows
}
