use super::*;
use crate::connectors::options::tests::table;
use crate::format::Format;
use arrow::datatypes::Int64Type;
use arrow_schema::TimeUnit;
use proptest::prelude::*;

fn decoder(fields: Vec<Field>, options: &[(&str, &str)]) -> Box<dyn Decoder> {
    let mut all = vec![("connector", "filesystem"), ("format", "json")];
    all.extend_from_slice(options);
    let t = table(fields, &all);
    Format::parse(&Options::new(&t), &t.schema).unwrap().decoder(&t.schema, None).unwrap()
}

fn id() -> Vec<Field> {
    vec![Field::new("id", DataType::Int64, true)]
}

fn ids(rows: &RecordBatch) -> Vec<Option<i64>> {
    rows.column(0).as_primitive::<Int64Type>().iter().collect()
}

#[test]
fn a_line_is_one_object() {
    let text = b"{\"id\": 1}\r\n\n  {\"other\": [1, {\"x\": \"}\"}], \"id\": \"2\"} \n{\"id\":null}\n{}";
    let d = decoder(id(), &[]).decode(text, usize::MAX, true);
    assert_eq!(d.bad, []);
    assert_eq!(ids(&d.rows), [Some(1), Some(2), None, None]);
    assert_eq!(d.consumed, text.len());
}

#[test]
fn a_bad_line_costs_one_line() {
    let lines = [
        "{\"id\":1}",
        "{\"id\":",
        "{\"id\":\"x\"}",
        "{\"id\":3}{\"id\":4}",
        "[5]",
        "nonsense",
        "{\"id\":6}",
        "7",
        "{\"id\":8",
    ];
    let text = lines.join("\n");
    let d = decoder(id(), &[]).decode(text.as_bytes(), usize::MAX, true);
    assert_eq!(ids(&d.rows), [Some(1), Some(6)]);
    let bad: Vec<&str> = d.bad.iter().map(|b| &text[b.range.clone()]).collect();
    assert_eq!(bad, ["{\"id\":", "{\"id\":\"x\"}", "{\"id\":3}{\"id\":4}", "[5]", "nonsense", "7", "{\"id\":8"]);
    assert!(d.bad[1].message.contains('x'), "{}", d.bad[1].message);
}

#[test]
fn many_bad_lines_among_many_good_ones() {
    let text: String =
        (0..4000).map(|i| if i % 97 == 5 { "{oops}\n".to_owned() } else { format!("{{\"id\":{i}}}\n") }).collect();
    let d = decoder(id(), &[]).decode(text.as_bytes(), usize::MAX, true);
    let expected: Vec<Option<i64>> = (0..4000).filter(|i| i % 97 != 5).map(Some).collect();
    assert_eq!(ids(&d.rows), expected);
    assert_eq!(d.bad.len(), 42);
}

#[test]
fn missing_fields_can_be_errors() {
    let text = b"{\"id\":1}\n{\"di\":2}\n{\"id\":null}\n{\"id\":4}\n";
    let d = decoder(id(), &[("json.fail-on-missing-field", "true")]).decode(text, usize::MAX, true);
    assert_eq!(ids(&d.rows), [Some(1), None, Some(4)]);
    assert_eq!(d.bad.iter().map(|b| b.message.as_str()).collect::<Vec<_>>(), ["the field 'id' is missing"]);
}

fn wide() -> Vec<Field> {
    let item = Field::new("item", DataType::Float64, true);
    let row = vec![Field::new("x", DataType::Utf8, true), Field::new("y", DataType::Int32, true)];
    let entries = vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Int64, true)];
    vec![
        Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, None), true),
        Field::new("ltz", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), true),
        Field::new("d", DataType::Decimal128(10, 2), true),
        Field::new("b", DataType::Binary, true),
        Field::new("list", DataType::List(item.into()), true),
        Field::new("row", DataType::Struct(row.into()), true),
        Field::new(
            "map",
            DataType::Map(Field::new("entries", DataType::Struct(entries.into()), false).into(), false),
            true,
        ),
    ]
}

#[test]
fn nested_values_and_both_timestamp_styles_read_and_write() {
    let text = "{\"ts\":\"2026-01-01 00:00:00.1\",\"ltz\":\"2026-01-01 00:00:00Z\",\"d\":1.50,\"b\":\"AQI=\",\"list\":[1.5,null],\"row\":{\"x\":\"a\\\"\\n\",\"y\":null},\"map\":{\"k\":1}}\n\
                {\"ts\":null,\"ltz\":null,\"d\":null,\"b\":null,\"list\":null,\"row\":null,\"map\":null}\n";
    let d = decoder(wide(), &[]).decode(text.as_bytes(), usize::MAX, true);
    assert_eq!(d.bad, []);
    let t = table(wide(), &[("connector", "filesystem"), ("format", "json")]);
    let mut out = vec![];
    Format::parse(&Options::new(&t), &t.schema).unwrap().encoder(&t.schema).encode(&d.rows, &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), text);

    let iso = text.replace("01 00", "01T00");
    let again = decoder(wide(), &[]).decode(iso.as_bytes(), usize::MAX, true);
    assert_eq!(again.rows, d.rows);
    let t = table(
        wide(),
        &[("connector", "filesystem"), ("format", "json"), ("json.timestamp-format.standard", "ISO-8601")],
    );
    let mut out = vec![];
    Format::parse(&Options::new(&t), &t.schema).unwrap().encoder(&t.schema).encode(&d.rows, &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), iso);
}

#[test]
fn bad_base64_is_a_bad_line() {
    let fields = vec![Field::new("id", DataType::Int64, true), Field::new("b", DataType::Binary, true)];
    let text = b"{\"id\":1,\"b\":\"AQI=\"}\n{\"id\":2,\"b\":\"?\"}\n{\"id\":3}\n";
    let d = decoder(fields, &[]).decode(text, usize::MAX, true);
    assert_eq!(ids(&d.rows), [Some(1), Some(3)]);
    assert_eq!(d.bad.len(), 1);
    assert_eq!(d.bad[0].message, "column 'b': '?' is not base64");
}

proptest! {
    #[test]
    fn no_line_makes_the_decoder_panic(lines in prop::collection::vec("[{}\"id:1,\\[\\] ntue\\\\.-]{0,20}", 0..20)) {
        let text = lines.join("\n");
        let d = decoder(id(), &[]).decode(text.as_bytes(), usize::MAX, true);
        let blank = lines.iter().filter(|l| l.trim_ascii().is_empty()).count();
        prop_assert_eq!(d.rows.num_rows() + d.bad.len() + blank, lines.len());
        prop_assert_eq!(d.consumed, text.len());
    }

    #[test]
    fn texts_read_back(texts in prop::collection::vec(any::<Option<String>>(), 1..20)) {
        let t = table(vec![Field::new("s", DataType::Utf8, true)], &[("connector", "filesystem"), ("format", "json")]);
        let format = Format::parse(&Options::new(&t), &t.schema).unwrap();
        let array: arrow::array::StringArray = texts.iter().map(Option::as_deref).collect();
        let rows = RecordBatch::try_new(t.schema.clone(), vec![Arc::new(array)]).unwrap();
        let mut out = vec![];
        format.encoder(&t.schema).encode(&rows, &mut out);
        let d = format.decoder(&t.schema, None).unwrap().decode(&out, usize::MAX, true);
        prop_assert_eq!(d.rows, rows);
    }
}
