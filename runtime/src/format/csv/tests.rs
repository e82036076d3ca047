use super::*;
use crate::connectors::options::tests::table;
use crate::format::Format;
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use arrow_schema::{DataType, Field, TimeUnit};
use proptest::prelude::*;

fn columns() -> Vec<Field> {
    vec![Field::new("id", DataType::Int64, true), Field::new("name", DataType::Utf8, true)]
}

fn decoder(fields: Vec<Field>, options: &[(&str, &str)], header: Option<&[u8]>) -> Box<dyn Decoder> {
    let mut all = vec![("connector", "filesystem"), ("format", "csv")];
    all.extend_from_slice(options);
    let t = table(fields, &all);
    Format::parse(&Options::new(&t), &t.schema).unwrap().decoder(&t.schema, header).unwrap()
}

/// `id=name` of each good record, and the messages of the bad ones.
fn decode(options: &[(&str, &str)], input: &[u8]) -> (Vec<String>, Vec<String>) {
    let d = decoder(columns(), options, None).decode(input, usize::MAX, true);
    assert_eq!(d.consumed, input.len());
    (show(&d.rows), d.bad.into_iter().map(|b| b.message).collect())
}

fn show(rows: &RecordBatch) -> Vec<String> {
    let (ids, names) = (rows.column(0).as_primitive::<Int64Type>(), rows.column(1).as_string::<i32>());
    ids.iter()
        .zip(names)
        .map(|(i, n)| format!("{}={}", i.map_or("NULL".into(), |i| i.to_string()), n.unwrap_or("NULL")))
        .collect()
}

fn good(options: &[(&str, &str)], input: &str, expected: &[&str]) {
    assert_eq!(
        decode(options, input.as_bytes()),
        (expected.iter().map(|s| (*s).to_owned()).collect(), vec![]),
        "{input:?}"
    );
}

#[test]
fn line_ends_quotes_and_blank_lines() {
    good(&[], "1,a\n2,b\n", &["1=a", "2=b"]);
    good(&[], "1,a\r\n2,b", &["1=a", "2=b"]);
    good(&[], "\n\r\n1,a\n\n2,b\r\n\r\n", &["1=a", "2=b"]);
    good(&[], "1,\"x,\ny\"\n2,\"say \"\"hi\"\"\"\r\n", &["1=x,\ny", "2=say \"hi\""]);
    good(&[], "1,\"\"\n2,", &["1=", "2="]);
    good(&[], "\"1\",ü\n", &["1=ü"]);
    good(&[], "1,a\"b\n", &["1=a\"b"]);
    good(&[], "", &[]);
    good(&[], " 1 ,a\n+2,b\n-3,c\n,d\n", &["1=a", "2=b", "-3=c", "NULL=d"]);
}

#[test]
fn options_change_the_dialect() {
    good(&[("csv.field-delimiter", ";"), ("csv.quote-character", "'")], "1;'a;b'\n", &["1=a;b"]);
    good(&[("csv.field-delimiter", "\\t")], "1\ta\n", &["1=a"]);
    good(&[("csv.disable-quote-character", "true")], "1,\"a\n", &["1=\"a"]);
    good(&[("csv.escape-character", "\\")], "1,a\\,b\n2,\"c\\\"d\"\n3,e\\\\\n", &["1=a,b", "2=c\"d", "3=e\\"]);
    good(&[("csv.allow-comments", "true")], "# head\n1,a\n#2,b\n3,#c\n#end", &["1=a", "3=#c"]);
    good(&[("csv.null-literal", "NA")], "NA,NA\n1,\"NA\"\n2,\n", &["NULL=NULL", "1=NULL", "2="]);
}

#[test]
fn a_bad_record_costs_one_record() {
    let (rows, bad) = decode(&[], b"1,a\nx,b\n3\n4,d,e\n5,\xff\n\"6\"7,g\n8,h\n99999999999999999999,i\n");
    assert_eq!(rows, ["1=a", "8=h"]);
    let expected = [
        "column 'id': 'x' is not a value of BIGINT",
        "2 fields expected, 1 found",
        "2 fields expected, 3 found",
        "column 'name': '\u{fffd}' is not a value of STRING: not valid UTF-8",
        "text after a closing quote",
        "column 'id': '99999999999999999999' is not a value of BIGINT",
    ];
    assert_eq!(bad, expected);
}

#[test]
fn an_unclosed_quote_costs_its_line() {
    let (rows, bad) = decode(&[], b"1,\"a\n2,b\n3,c\n");
    assert_eq!(rows, ["2=b", "3=c"]);
    assert_eq!(bad, ["a quote is never closed"]);
}

#[test]
fn a_header_names_the_columns() {
    let mut d = decoder(columns(), &[("csv.header", "true")], Some(b"name, more ,\"id\"\r\n"));
    assert_eq!(show(&d.decode(b"a,0,1\nb,0,2\n", usize::MAX, true).rows), ["1=a", "2=b"]);
    let t = table(columns(), &[("connector", "filesystem"), ("format", "csv"), ("csv.header", "true")]);
    let format = Format::parse(&Options::new(&t), &t.schema).unwrap();
    let e = format.decoder(&t.schema, Some(b"ID,name\n")).err().unwrap();
    assert!(e.starts_with("the header has no column 'id' (it has: ID, name)"), "{e}");
}

#[test]
fn every_scalar_type() {
    let fields = vec![
        Field::new("b", DataType::Boolean, true),
        Field::new("i8", DataType::Int8, true),
        Field::new("i32", DataType::Int32, true),
        Field::new("f", DataType::Float64, true),
        Field::new("d", DataType::Decimal128(10, 2), true),
        Field::new("date", DataType::Date32, true),
        Field::new("time", DataType::Time32(TimeUnit::Second), true),
        Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, None), true),
        Field::new("ltz", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new("bytes", DataType::Binary, true),
    ];
    let text = "true,-7,2147483647,1.5,12.30,2024-02-29,23:59:58,2026-01-01 00:00:00.1,2026-01-01 00:00:00Z,AQI=\n\
                ,,,,,,,,,\n";
    let d = decoder(fields.clone(), &[], None).decode(text.as_bytes(), usize::MAX, true);
    assert_eq!(d.bad, []);
    assert_eq!(d.rows.num_rows(), 2);
    // What was read is written the same.
    let t = table(fields, &[("connector", "filesystem"), ("format", "csv")]);
    let mut out = vec![];
    Format::parse(&Options::new(&t), &t.schema).unwrap().encoder(&t.schema).encode(&d.rows, &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), text);
}

#[test]
fn not_null_is_checked() {
    let fields = vec![Field::new("id", DataType::Int64, false), Field::new("name", DataType::Utf8, true)];
    let d = decoder(fields, &[], None).decode(b"1,a\n,b\nx,c\n", usize::MAX, true);
    assert_eq!(show(&d.rows), ["1=a"]);
    let bad: Vec<_> = d.bad.iter().map(|b| b.message.as_str()).collect();
    assert_eq!(bad, ["column 'id' is NOT NULL", "column 'id': 'x' is not a value of BIGINT"]);
}

#[test]
fn incomplete_input_is_left() {
    for (input, consumed) in
        [(&b"1,a\n2,b"[..], 4), (b"1,a\n2,\"x\ny", 4), (b"1,a\n2,\"x\"", 4), (b"1,a\r", 0), (b"1,a\n\r", 4)]
    {
        let d = decoder(columns(), &[], None).decode(input, usize::MAX, false);
        assert_eq!(d.consumed, consumed, "{input:?}");
    }
}

#[test]
fn stop_leaves_the_records_behind_it() {
    let d = decoder(columns(), &[], None).decode(b"1,a\n2,b\n3,c\n", 5, true);
    assert_eq!((show(&d.rows), d.consumed), (vec!["1=a".to_owned(), "2=b".to_owned()], 8));
}

#[test]
fn nested_types_are_refused() {
    let list = DataType::List(Field::new("item", DataType::Int64, true).into());
    let t = table(vec![Field::new("a", list, true)], &[("connector", "filesystem"), ("format", "csv")]);
    let e = Format::parse(&Options::new(&t), &t.schema).unwrap_err().to_string();
    assert_eq!(
        e,
        "table 't': column 'a' of type ARRAY<BIGINT> cannot be used with 'format' = 'csv': a CSV field has no structure; use 'format' = 'json'"
    );
}

/// Texts in which everything that has a meaning is frequent.
fn csv_like() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(b"1,a\"\n\r\\#\xc3\xbc".to_vec()), 0..120)
}

proptest! {
    /// Records, good and bad, do not depend on how much input was at hand.
    #[test]
    fn records_do_not_depend_on_blocks(text in csv_like(), cuts in prop::collection::vec(1usize..20, 1..40), escape: bool) {
        let options: &[(&str, &str)] = if escape { &[("csv.escape-character", "\\")] } else { &[("csv.allow-comments", "true")] };
        let whole = decode(options, &text);
        let mut d = decoder(columns(), options, None);
        let (mut rows, mut bad) = (vec![], vec![]);
        let (mut at, mut end) = (0, 0);
        let mut cuts = cuts.iter().cycle();
        loop {
            let last = end == text.len();
            let step = d.decode(&text[at..end], usize::MAX, last);
            rows.extend(show(&step.rows));
            bad.extend(step.bad.into_iter().map(|b| b.message));
            at += step.consumed;
            if last && step.consumed == 0 {
                break;
            }
            if step.consumed == 0 {
                end = (end + cuts.next().unwrap()).min(text.len());
            }
        }
        prop_assert_eq!(at, text.len());
        prop_assert_eq!((rows, bad), whole);
    }

    #[test]
    fn what_is_written_reads_back(rows in prop::collection::vec((any::<Option<i64>>(), "[a,\"\n\r#ü\\\\]{0,6}"), 1..20), escape: bool, null: bool) {
        let mut options = vec![("connector", "filesystem"), ("format", "csv"), ("csv.allow-comments", "true")];
        if escape { options.push(("csv.escape-character", "\\")); }
        if null { options.push(("csv.null-literal", "NULL")); }
        let t = table(columns(), &options);
        let format = Format::parse(&Options::new(&t), &t.schema).unwrap();
        let ids: arrow::array::Int64Array = rows.iter().map(|(i, _)| *i).collect();
        let names: arrow::array::StringArray = rows.iter().map(|(_, n)| Some(n.as_str())).collect();
        let batch = RecordBatch::try_new(t.schema.clone(), vec![std::sync::Arc::new(ids), std::sync::Arc::new(names)]).unwrap();
        let mut text = vec![];
        format.encoder(&t.schema).encode(&batch, &mut text);
        let d = format.decoder(&t.schema, None).unwrap().decode(&text, usize::MAX, true);
        prop_assert_eq!(&d.bad, &vec![]);
        prop_assert_eq!(d.rows, batch, "{}", String::from_utf8_lossy(&text));
    }
}
