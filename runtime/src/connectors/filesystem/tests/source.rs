use super::*;
use std::fs;
use std::io::Write;

const CSV: (&str, &str) = ("format", "csv");
const JSON: (&str, &str) = ("format", "json");

fn csv_lines(n: usize) -> String {
    (0..n)
        .map(|i| if i % 7 == 3 { format!("{i},\"a\nü \"\"{i}\"\"\"\r\n") } else { format!("{i},name {i}\n") })
        .collect()
}

fn json_lines(n: usize) -> String {
    (0..n).map(|i| format!("{{\"id\":{i},\"name\":\"name {i}\"}}")).collect::<Vec<_>>().join("\n") + "\n"
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut w = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    w.write_all(text).unwrap();
    w.finish().unwrap()
}

/// Stops after every few rows, reopens from the position (through JSON text, as a manifest does), reads the rest.
fn resumes_everywhere(t: &Table, base: &Path, rows: usize) {
    let mut source = open_source(t, &context(base, "a")).unwrap();
    let splits = source.splits().unwrap();
    let (whole, end, _) = read(&*source, splits.clone(), usize::MAX).unwrap();
    assert_eq!(whole.len(), rows);
    assert!(end.iter().all(|s| s.finished));
    assert_eq!(read(&*source, end, usize::MAX).unwrap().0, Vec::<String>::new(), "finished splits are not read again");
    for stop in (0..=rows).step_by(rows / 5 + 1) {
        let (mut seen, at, _) = read(&*source, splits.clone(), stop).unwrap();
        let at: Vec<Split> = serde_json::from_str(&serde_json::to_string(&at).unwrap()).unwrap();
        seen.extend(read(&*source, at, usize::MAX).unwrap().0);
        let (mut a, mut b) = (seen, whole.clone());
        a.sort();
        b.sort();
        assert_eq!(a, b, "stopped after {stop}");
    }
}

#[test]
fn positions_resume_in_plain_and_compressed_files() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fs::create_dir_all(data.join("sub")).unwrap();
    let text = csv_lines(9000);
    fs::write(data.join("a.csv"), &text).unwrap();
    fs::write(data.join("b.csv.gz"), [gzip(&text.as_bytes()[..1000]), gzip(&text.as_bytes()[1000..])].concat())
        .unwrap();
    fs::write(data.join("sub/c.csv.zst"), zstd::encode_all(text.as_bytes(), 1).unwrap()).unwrap();
    fs::write(data.join("empty.csv"), "").unwrap();
    for hidden in [".hidden.csv", "_SUCCESS"] {
        fs::write(data.join(hidden), "not,a,row\n").unwrap();
    }
    resumes_everywhere(&two_columns(&[CSV]), dir.path(), 27_000);
}

#[test]
fn ranges_of_a_file_give_each_record_once() {
    let dir = tempfile::tempdir().unwrap();
    let text = json_lines(2000);
    for last_newline in [true, false] {
        fs::write(dir.path().join("data"), if last_newline { &text } else { text.trim_end() }).unwrap();
        for size in ["1000", "777", "64", "60kb", "1gb"] {
            let t = two_columns(&[JSON, ("scan.split-size", size)]);
            resumes_everywhere(&t, dir.path(), 2000);
        }
    }
}

/// A boundary at every byte of a small file, also exactly between two records.
#[test]
fn every_boundary_is_exact() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("data"), "id,name\n1,a\n\n22,bb\n333,ccc\r\n4,d").unwrap();
    for size in 1..40 {
        let t = two_columns(&[CSV, ("scan.split-size", &size.to_string()), ("csv.header", "true")]);
        let mut rows = read_all(&t, dir.path()).unwrap();
        rows.sort();
        assert_eq!(rows, ["1=a", "22=bb", "333=ccc", "4=d"], "{size}");
    }
}

#[test]
fn csv_is_cut_only_if_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let f = fs::File::create(dir.path().join("data")).unwrap();
    f.set_len(200 << 20).unwrap();
    let splits = |t: &Table| open_source(t, &context(dir.path(), "a")).unwrap().splits().unwrap();
    assert_eq!(splits(&two_columns(&[CSV])).len(), 1);
    let ids: Vec<String> = splits(&two_columns(&[JSON])).into_iter().map(|s| s.id).collect();
    assert_eq!(ids, ["data", "data#67108864", "data#134217728"]);
    assert_eq!(splits(&two_columns(&[CSV, ("csv.disable-quote-character", "true")])).len(), 3);
    assert_eq!(splits(&two_columns(&[JSON, ("compression", "gzip")])).len(), 1);
}

#[test]
fn headers_are_matched_by_name_in_every_file() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("a.csv"), "\u{feff}name,x,id\r\na,0,1\r\n").unwrap();
    fs::write(data.join("b.csv"), "id,name\n2,b\n").unwrap();
    fs::write(data.join("c.csv"), "").unwrap();
    fs::write(data.join("d.csv"), "id,name").unwrap();
    let t = two_columns(&[CSV, ("csv.header", "true")]);
    assert_eq!(read_all(&t, dir.path()).unwrap(), ["1=a", "2=b"]);
    resumes_everywhere(&t, dir.path(), 2);
    fs::write(data.join("e.csv"), "id,title\n").unwrap();
    let e = read_all(&t, dir.path()).unwrap_err().to_string();
    assert!(e.contains("e.csv': the header has no column 'name' (it has: id, title)"), "{e}");
}

#[test]
fn bad_records_fail_skip_or_become_letters() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("data"), "1,a\n2,\"x\ny\"\nthree,c\n4,d\n5\n").unwrap();
    let e = read_all(&two_columns(&[CSV]), dir.path()).unwrap_err().to_string();
    let path = dir.path().join("data");
    let expected = format!(
        "table 't': bad record at {}, line 4: column 'id': 'three' is not a value of BIGINT; correct it, or set 'on-error' = 'skip' or 'dead-letter'",
        path.display()
    );
    assert_eq!(e, expected);

    let good = ["1=a", "2=x\ny", "4=d"];
    for option in [("on-error", "skip"), ("csv.ignore-parse-errors", "true")] {
        assert_eq!(read_all(&two_columns(&[CSV, option]), dir.path()).unwrap(), good);
    }

    let t = two_columns(&[CSV, ("on-error", "dead-letter")]);
    let mut source = open_source(&t, &context(dir.path(), "a")).unwrap();
    let splits = source.splits().unwrap();
    let (rows, _, letters) = read(&*source, splits, usize::MAX).unwrap();
    assert_eq!(rows, good);
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!(letter.schema(), sluice_core::plan::dead_letter_schema());
    let texts = |c: usize| letter.column(c).as_string::<i32>().iter().flatten().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(texts(0), ["t", "t"]);
    assert_eq!(texts(1), [format!("{}, line 4", path.display()), format!("{}, line 6", path.display())]);
    assert_eq!(texts(2), ["column 'id': 'three' is not a value of BIGINT", "2 fields expected, 1 found"]);
    assert_eq!(letter.column(3).as_binary::<i32>().iter().flatten().collect::<Vec<_>>(), [&b"three,c"[..], b"5"]);
}

#[test]
fn a_line_without_an_end_does_not_eat_the_memory() {
    let dir = tempfile::tempdir().unwrap();
    let mut text = vec![b'x'; 17 << 20];
    text.extend_from_slice(b"\n{\"id\":1,\"name\":\"a\"}\n");
    fs::write(dir.path().join("data"), text).unwrap();
    let t = two_columns(&[JSON, ("on-error", "skip")]);
    assert_eq!(read_all(&t, dir.path()).unwrap(), ["1=a"]);
    let e = read_all(&two_columns(&[JSON]), dir.path()).unwrap_err().to_string();
    assert!(e.contains("line 1: the record is longer than 16 MiB"), "{e}");
}

#[test]
fn stats_count_bytes_and_records() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("data"), "1,a\nx,b\n3,c\n").unwrap();
    let t = two_columns(&[CSV, ("on-error", "skip")]);
    let mut source = open_source(&t, &context(dir.path(), "a")).unwrap();
    let mut reader = source.reader().unwrap();
    reader.open(source.splits().unwrap().remove(0)).unwrap();
    while !matches!(reader.poll().unwrap(), Polled::End) {}
    let s = reader.stats();
    assert_eq!((s.bytes, s.records, s.bad_records, s.total_bytes), (12, 3, 1, Some(12)));
}

#[test]
fn a_watched_directory_shows_new_files() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    let t = two_columns(&[CSV, ("source.monitor-interval", "1s")]);
    let mut source = open_source(&t, &context(dir.path(), "a")).unwrap();
    assert!(source.unbounded());
    assert_eq!(source.splits().unwrap(), []);
    let mut reader = source.reader().unwrap();
    for (name, row) in [("b.csv", "1,a\n"), ("a.csv", "2,b\n")] {
        fs::write(data.join("_new"), row).unwrap();
        fs::rename(data.join("_new"), data.join(name)).unwrap();
        let known: Vec<String> = reader.splits().into_iter().map(|s| s.id).collect();
        let new: Vec<Split> = source.splits().unwrap().into_iter().filter(|s| !known.contains(&s.id)).collect();
        assert_eq!(new.len(), 1);
        reader.open(new[0].clone()).unwrap();
        assert!(matches!(reader.poll().unwrap(), Polled::Rows { .. }));
        assert!(matches!(reader.poll().unwrap(), Polled::Finished { .. }));
    }
    assert_eq!(source.splits().unwrap().len(), 2);
}

#[test]
fn more_files_than_may_be_open() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("data")).unwrap();
    for i in 0..70 {
        fs::write(dir.path().join(format!("data/{i:03}.csv")), format!("{i},a\n{i},b\n")).unwrap();
    }
    assert_eq!(read_all(&two_columns(&[CSV]), dir.path()).unwrap().len(), 140);
}

#[test]
fn directories_and_metadata_are_columns() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("data/name=x%2Fy")).unwrap();
    fs::create_dir_all(dir.path().join("data/name=__DEFAULT_PARTITION__")).unwrap();
    fs::write(dir.path().join("data/name=x%2Fy/p.csv"), "1\n2\n").unwrap();
    fs::write(dir.path().join("data/name=__DEFAULT_PARTITION__/p.csv"), "3\n").unwrap();
    let mut t = two_columns(&[CSV]);
    t.partitioned_by = vec![1];
    let mut rows = read_all(&t, dir.path()).unwrap();
    rows.sort();
    assert_eq!(rows, ["1=x/y", "2=x/y", "3=NULL"]);

    t.partitioned_by.clear();
    t.metadata = vec![(1, "file.name".into())];
    assert_eq!(read_all(&t, dir.path()).unwrap(), ["3=p.csv", "1=p.csv", "2=p.csv"]);
}

#[test]
fn what_cannot_be_read_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let missing = read_all(&two_columns(&[CSV]), dir.path()).unwrap_err().to_string();
    assert!(missing.starts_with(&format!("failed to read '{}'", dir.path().join("data").display())), "{missing}");

    fs::write(dir.path().join("data"), "1,a\n2,b\n").unwrap();
    let t = two_columns(&[CSV]);
    let source = open_source(&t, &context(dir.path(), "a")).unwrap();
    let replaced =
        Split { id: "data".into(), position: serde_json::json!({"offset": 100, "lines": 9}), finished: false };
    let e = read(&*source, vec![replaced], usize::MAX).unwrap_err();
    assert!(
        matches!(&e, ConnectorError::Io { source, .. } if source.to_string().contains("the file was replaced")),
        "{e}"
    );
    let garbage = Split { id: "data".into(), position: serde_json::json!("x"), finished: false };
    assert!(read(&*source, vec![garbage], usize::MAX).unwrap_err().to_string().contains("position of split 'data'"));

    fs::write(dir.path().join("data"), "not gzip").unwrap();
    let e = read_all(&two_columns(&[CSV, ("compression", "gzip")]), dir.path()).unwrap_err();
    assert!(matches!(e, ConnectorError::Io { .. }), "{e}");
}

#[test]
fn wrong_options_are_refused() {
    let cases: [(&[(&str, &str)], &str); 8] = [
        (&[], "option 'format' is required"),
        (&[("format", "parquet")], "option 'format' must be 'csv' or 'json' or 'raw', got 'parquet'"),
        (&[CSV, ("csv.feld-delimiter", ";")], "did you mean 'csv.field-delimiter'?"),
        (&[JSON, ("csv.header", "true")], "unknown option 'csv.header'"),
        (&[CSV, ("on-error", "ignore")], "must be 'fail' or 'skip' or 'dead-letter'"),
        (&[CSV, ("source.path.regex-pattern", "(")], "is no regular expression"),
        (&[("format", "raw")], "needs exactly one column"),
        (&[CSV, ("path", "s3://bucket/x")], "reads and writes local files only"),
    ];
    for (options, expected) in cases {
        let e = FileTable::parse(&two_columns(options)).unwrap_err().to_string();
        assert!(e.contains(expected), "{e}");
    }
    let mut t = two_columns(&[CSV]);
    t.options.insert("path".into(), "file:///tmp/x".into());
    assert_eq!(FileTable::parse(&t).unwrap().root(Path::new("/base")), Path::new("/tmp/x"));
}

#[test]
fn small_batches_give_the_same_rows_and_exact_positions() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("data")).unwrap();
    fs::write(dir.path().join("data/a.csv"), "1,a\n2,\"b\nb\"\n3,c\n4,d\n").unwrap();
    let all = read_all(&two_columns(&[("format", "csv")]), dir.path()).unwrap();
    assert_eq!(all, ["1=a", "2=b\nb", "3=c", "4=d"]);
    for bytes in ["1", "5", "9"] {
        let table = two_columns(&[("format", "csv"), ("scan.batch-size", bytes)]);
        assert_eq!(read_all(&table, dir.path()).unwrap(), all);
        let mut source = open_source(&table, &context(dir.path(), "a")).unwrap();
        let splits = source.splits().unwrap();
        for stop in 1..4 {
            let (mut seen, splits, _) = read(&*source, splits.clone(), stop).unwrap();
            assert!(seen.len() >= stop);
            seen.extend(read(&*source, splits, usize::MAX).unwrap().0);
            assert_eq!(seen, all, "resumed after {stop} at {bytes}");
        }
    }
}

#[test]
fn a_reader_keeps_to_its_pace() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("data")).unwrap();
    fs::write(dir.path().join("data/a.csv"), "1,a\n2,b\n3,c\n4,d\n").unwrap();
    let table = two_columns(&[("format", "csv"), ("scan.batch-size", "1"), ("scan.rows-per-second", "100")]);
    let context = context(dir.path(), "a");
    let mut source = open_source(&table, &context).unwrap();
    let mut reader = source.reader().unwrap();
    for split in source.splits().unwrap() {
        reader.open(split).unwrap();
    }
    let mut poll_all = |now: i64| {
        context.clock.set(ProcTime(now));
        std::iter::from_fn(|| match reader.poll().unwrap() {
            Polled::Rows { rows, .. } => Some(rows.num_rows()),
            _ => None,
        })
        .sum::<usize>()
    };
    assert_eq!([poll_all(0), poll_all(9), poll_all(11), poll_all(30), poll_all(1000)], [0, 1, 1, 1, 1]);
}
