use super::super::generated::tests::read;
use super::*;
use crate::clock::Clock;
use crate::connectors::options::tests::table;
use crate::connectors::terminal::CapturedTerminal;
use arrow::array::{Array, AsArray};
use arrow::compute::{concat_batches, sort_to_indices, take_record_batch};
use arrow::datatypes::Int64Type;
use arrow_schema::{DataType, Field, Fields, TimeUnit};
use sluice_core::id::WriterId;
use sluice_core::time::ProcTime;
use std::collections::BTreeMap;

fn context() -> ConnectorContext {
    ConnectorContext {
        clock: Clock::manual(ProcTime(0)),
        base_dir: ".".into(),
        writer: WriterId("0".repeat(32)),
        terminal: Arc::new(CapturedTerminal::new()),
    }
}

fn big(name: &str) -> Field {
    Field::new(name, DataType::Int64, true)
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn time(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Millisecond, None), true)
}

fn person() -> Vec<Field> {
    let texts = ["name", "emailAddress", "creditCard", "city", "state"].map(text);
    [vec![big("id")], texts.into(), vec![time("dateTime"), text("extra")]].concat()
}

fn auction() -> Vec<Field> {
    let numbers =
        [big("initialBid"), big("reserve"), time("dateTime"), time("expires"), big("seller"), big("category")];
    [vec![big("id"), text("itemName"), text("description")], numbers.into(), vec![text("extra")]].concat()
}

fn bid() -> Vec<Field> {
    vec![big("auction"), big("bidder"), big("price"), text("channel"), text("url"), time("dateTime"), text("extra")]
}

fn events() -> Vec<Field> {
    let row = |name: &str, fields: Vec<Field>| Field::new(name, DataType::Struct(Fields::from(fields)), true);
    vec![
        Field::new("event_type", DataType::Int32, true),
        row("person", person()),
        row("auction", auction()),
        row("bid", bid()),
    ]
}

fn of(fields: Vec<Field>, options: &[(&str, &str)]) -> Table {
    let mut all = vec![("connector", "nexmark")];
    all.extend_from_slice(options);
    table(fields, &all)
}

fn rows(t: &Table, stop: usize) -> RecordBatch {
    let mut source = open_source(t, &context()).unwrap();
    concat_batches(&t.schema, &read(&mut *source, stop)).unwrap()
}

/// The first events as JSON: any change of the generator changes every oracle that was made with it. `UPDATE_GOLDEN=1`
/// writes them anew.
#[test]
fn golden_first_events() {
    let t = of(events(), &[("events.num", "100"), ("splits", "1")]);
    let json = Table { options: [("format".to_owned(), "json".to_owned())].into(), ..t.clone() };
    let format = crate::format::Format::parse(&Options::new(&json), &t.schema).unwrap();
    let mut out = vec![];
    format.encoder(&t.schema).encode(&rows(&t, usize::MAX), &mut out);
    let got = String::from_utf8(out).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/connectors/nexmark/golden.jsonl");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &got).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap();
    for (i, (a, b)) in got.lines().zip(golden.lines()).enumerate() {
        assert_eq!(a, b, "event {i}");
    }
    assert_eq!(got.lines().count(), golden.lines().count());
}

#[test]
fn kinds_come_in_their_proportions_and_sizes() {
    let t = of(events(), &[("events.num", "50000")]);
    let all = rows(&t, usize::MAX);
    let types = all.column(0).as_primitive::<arrow::datatypes::Int32Type>();
    let mut counts = [0; 3];
    types.values().iter().for_each(|v| counts[*v as usize] += 1);
    assert_eq!(counts, [1000, 3000, 46000]);
    for (column, kind) in [(1, 0), (2, 1), (3, 2)] {
        let row = all.column(column).as_struct();
        assert_eq!(row.len() - row.null_count(), counts[kind]);
        // 200, 500 and 100 bytes; the URL and channel of a bid are not counted by the reference either.
        let fixed = [2, 6, 4][kind] * 8;
        let texts: usize = row
            .columns()
            .iter()
            .zip(row.fields())
            .filter(|(c, f)| c.data_type() == &DataType::Utf8 && f.name() != "channel" && f.name() != "url")
            .map(|(c, _)| c.as_string::<i32>().values().len())
            .sum();
        let average = fixed + texts / counts[kind];
        assert!([170..230, 450..550, 85..115][kind].contains(&average), "{kind}: {average}");
    }
}

#[test]
fn half_of_the_bids_are_hot() {
    let t = of(bid(), &[("nexmark.table", "bid"), ("events.num", "500000")]);
    let all = rows(&t, usize::MAX);
    let n = all.num_rows();
    assert_eq!(n, 460_000);
    let share = |hits: usize| hits * 1000 / n;
    let numbers = |c: usize| all.column(c).as_primitive::<Int64Type>().values();
    let hot_auctions = numbers(0).iter().filter(|a| *a % 100 == 0).count();
    assert!((500..515).contains(&share(hot_auctions)), "{}", share(hot_auctions));
    let hot_bidders = numbers(1).iter().filter(|b| *b % 100 == 1).count();
    assert!((750..765).contains(&share(hot_bidders)), "{}", share(hot_bidders));
    let prices = numbers(2);
    assert!(prices.iter().all(|p| (100..=100_000_000).contains(p)));
    assert!((490..510).contains(&share(prices.iter().filter(|p| **p < 100_000).count())));
    let mut channels: BTreeMap<&str, usize> = BTreeMap::new();
    let names = all.column(3).as_string::<i32>();
    names.iter().flatten().for_each(|c| *channels.entry(c).or_default() += 1);
    for hot in ["Google", "Facebook", "Baidu", "Apple"] {
        assert!((120..130).contains(&share(channels[hot])), "{hot}");
    }
    assert!(channels.len() > 9_900);
    let urls = all.column(4).as_string::<i32>();
    let with_id = urls.iter().flatten().filter(|u| u.contains("&channel_id=")).count();
    assert!((435..465).contains(&share(with_id)), "{}", share(with_id));
}

#[test]
fn any_position_resumes_exactly_and_splits_share_the_events() {
    for (fields, options) in
        [(events(), vec![]), (bid(), vec![("nexmark.table", "bid")]), (person(), vec![("nexmark.table", "person")])]
    {
        let mut wholes = vec![];
        for splits in ["1", "3", "8"] {
            let mut options = options.clone();
            options.extend([("splits", splits), ("events.num", "6001")]);
            let t = of(fields.clone(), &options);
            let sorted = |stop| {
                let all = rows(&t, stop);
                let keys: Vec<String> = (0..all.num_rows()).map(|i| format!("{:?}", all.slice(i, 1))).collect();
                let order = sort_to_indices(&arrow::array::StringArray::from(keys), None, None).unwrap();
                take_record_batch(&all, &order).unwrap()
            };
            let whole = sorted(usize::MAX);
            for stop in [1, 3000] {
                assert_eq!(sorted(stop), whole);
            }
            wholes.push(whole);
        }
        assert!(wholes.windows(2).all(|w| w[0] == w[1]));
    }
}

#[test]
fn a_direct_table_is_its_part_of_the_events() {
    let direct = rows(&of(bid(), &[("nexmark.table", "bid"), ("events.num", "1000"), ("splits", "1")]), usize::MAX);
    let all = rows(&of(events(), &[("events.num", "1000"), ("splits", "1")]), usize::MAX);
    let bids = all.column(3).as_struct();
    let keep: arrow::array::BooleanArray = (0..bids.len()).map(|i| Some(bids.is_valid(i))).collect();
    for (a, b) in direct.columns().iter().zip(bids.columns()) {
        assert_eq!(a.to_data(), arrow::compute::filter(b, &keep).unwrap().to_data());
    }
}

#[test]
fn another_seed_is_another_stream() {
    let price = |seed| {
        let t = of(vec![big("price")], &[("nexmark.table", "bid"), ("events.num", "1000"), ("seed", seed)]);
        rows(&t, usize::MAX)
    };
    assert_ne!(price("1"), price("2"));
    assert_eq!(price("1"), price("1"));
}

#[test]
fn wrong_tables_are_refused() {
    let cases = [
        (vec![big("biddr")], vec![("nexmark.table", "bid")], "no column 'biddr'; did you mean 'bidder'?"),
        (vec![text("price")], vec![("nexmark.table", "bid")], "column 'price' must be BIGINT"),
        (vec![big("bids")], vec![], "did you mean 'bid'?"),
        (vec![big("bid")], vec![], "must be a ROW"),
        (events(), vec![("nexmark.table", "bids")], "must be 'events' or 'person'"),
        (events(), vec![("first-event.rate", "0")], "above 0"),
        (events(), vec![("next-event.rate", "5")], "the rate is constant"),
        (events(), vec![("person.proportion", "0")], "at least 1"),
    ];
    for (fields, options, expected) in cases {
        let e = NexmarkTable::parse(&of(fields, &options)).err().unwrap().to_string();
        assert!(e.contains(expected), "{e}");
    }
}
