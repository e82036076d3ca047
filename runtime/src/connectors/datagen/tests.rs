use super::super::generated::tests::read;
use super::*;
use crate::clock::Clock;
use crate::connector::Polled;
use crate::connectors::options::tests::table;
use crate::connectors::terminal::CapturedTerminal;
use arrow::array::{Array, AsArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{Int32Type, Int64Type, TimestampMillisecondType};
use arrow_schema::{DataType, Field, TimeUnit};
use sluice_core::id::WriterId;
use sluice_core::time::ProcTime;

fn context(now: i64) -> ConnectorContext {
    ConnectorContext {
        clock: Clock::manual(ProcTime(now)),
        base_dir: ".".into(),
        writer: WriterId("0".repeat(32)),
        terminal: Arc::new(CapturedTerminal::new()),
    }
}

fn fields() -> Vec<Field> {
    vec![
        Field::new("id", DataType::Int64, true),
        Field::new("n", DataType::Int32, true),
        Field::new("s", DataType::Utf8, true),
        Field::new("t", DataType::Timestamp(TimeUnit::Millisecond, None), true),
        Field::new("d", DataType::Decimal128(6, 2), true),
        Field::new("r", DataType::Struct(vec![Field::new("x", DataType::Boolean, true)].into()), true),
    ]
}

fn bounded(extra: &[(&str, &str)]) -> Table {
    let mut options = vec![
        ("connector", "datagen"),
        ("fields.id.kind", "sequence"),
        ("fields.id.start", "10"),
        ("fields.id.end", "20009"),
        ("fields.n.min", "-3"),
        ("fields.n.max", "3"),
        ("fields.n.null-rate", "0.25"),
        ("fields.s.length", "20"),
        ("fields.t.max-past", "1 min"),
        ("rows-per-second", "0"),
    ];
    options.extend_from_slice(extra);
    table(fields(), &options)
}

fn all(t: &Table, stop: usize) -> RecordBatch {
    let mut source = open_source(t, &context(1_000_000)).unwrap();
    concat_batches(&t.schema, &read(&mut *source, stop)).unwrap()
}

#[test]
fn values_are_within_their_options_and_the_sequence_ends() {
    let rows = all(&bounded(&[]), usize::MAX);
    assert_eq!(rows.column(0).as_primitive::<Int64Type>().values().to_vec(), (10..20010).collect::<Vec<i64>>());
    let n = rows.column(1).as_primitive::<Int32Type>();
    assert!((4_600..5_400).contains(&n.null_count()), "{}", n.null_count());
    let mut counts = [0; 7];
    n.iter().flatten().for_each(|v| counts[(v + 3) as usize] += 1);
    assert!(counts.iter().all(|c| (1_900..2_400).contains(c)), "{counts:?}");
    assert!(rows.column(2).as_string::<i32>().iter().all(|s| s.unwrap().len() == 20));
    let times = rows.column(3).as_primitive::<TimestampMillisecondType>();
    assert!(times.values().iter().all(|t| (940_000..=1_000_000).contains(t)));
    assert!(times.values().iter().any(|t| *t < 941_000) && times.values().iter().any(|t| *t > 999_000));
}

#[test]
fn any_position_resumes_exactly() {
    for splits in ["1", "3"] {
        let t = bounded(&[("splits", splits), ("number-of-rows", "9000")]);
        let sorted = |stop| {
            let rows = all(&t, stop);
            let order = arrow::compute::sort_to_indices(rows.column(0), None, None).unwrap();
            arrow::compute::take_record_batch(&rows, &order).unwrap()
        };
        let whole = sorted(usize::MAX);
        assert_eq!(whole.num_rows(), 9000);
        for stop in [0, 1, 4096, 5000, 8999] {
            assert_eq!(sorted(stop), whole);
        }
    }
}

#[test]
fn pacing_follows_the_clock() {
    let t = bounded(&[("rows-per-second", "100")]);
    let mut t = t;
    t.options.insert("rows-per-second".into(), "100".into());
    let cx = context(0);
    let mut source = open_source(&t, &cx).unwrap();
    let mut reader = source.reader().unwrap();
    source.splits().unwrap().into_iter().for_each(|s| reader.open(s).unwrap());
    let mut rows_until = |ms| {
        cx.clock.set(ProcTime(ms));
        let mut rows = 0;
        while let Polled::Rows { rows: r, .. } = reader.poll().unwrap() {
            rows += r.num_rows();
        }
        rows
    };
    assert_eq!([rows_until(0), rows_until(9), rows_until(10), rows_until(1_000), rows_until(1_005)], [0, 0, 1, 99, 0]);
}

#[test]
fn wrong_settings_are_refused() {
    let cases = [
        (("fields.x.min", "1"), "unknown option 'fields.x.min'"),
        (("fields.n.mim", "1"), "unknown option 'fields.n.mim'"),
        (("fields.n.max", "9999999999"), "range within -2147483648 to 2147483647"),
        (("fields.n.null-rate", "2"), "must be 0 to 1"),
        (("fields.t.kind", "sequence"), "'fields.t.start' is required"),
        (("fields.id.start", "30000"), "is above"),
        (("fields.s.length", "0"), "must be 1 to"),
        (("splits", "0"), "option 'splits' must be 1 to 1024"),
        (("number-of-rows", "many"), "a whole number"),
    ];
    for ((key, value), expected) in cases {
        let mut t = bounded(&[]);
        t.options.insert(key.into(), value.into());
        let e = DatagenTable::parse(&t).err().unwrap().to_string();
        assert!(e.contains(expected), "{e}");
    }
}
