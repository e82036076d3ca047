use super::super::writer::HIDDEN;
use super::*;
use crate::connector::{SinkSlot, SinkWriter, Staged};
use crate::element::Batch;
use arrow::array::{Int64Array, StringArray};
use sluice_core::id::Epoch;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;

const CSV: (&str, &str) = ("format", "csv");

fn rows(ids: std::ops::Range<i64>) -> Batch {
    let names: StringArray = ids.clone().map(|i| (i % 3 != 0).then(|| format!("n{}", i % 3))).collect();
    let t = two_columns(&[]);
    Batch::append(
        RecordBatch::try_new(t.schema, vec![Arc::new(Int64Array::from_iter_values(ids)), Arc::new(names)]).unwrap(),
    )
}

fn slot(slot: u32, writer: &str) -> SinkSlot {
    SinkSlot { slot, slots: 2, writer: writer.repeat(4) }
}

/// Visible files below `data` with their contents.
fn visible(base: &Path) -> BTreeMap<String, String> {
    let found = listing::list(&base.join("data"), None).unwrap();
    found.into_iter().map(|f| (f.relative, fs::read_to_string(f.path).unwrap())).collect()
}

fn hidden(base: &Path) -> usize {
    fs::read_dir(base.join("data").join(HIDDEN)).unwrap().count()
}

fn settle(sink: &Arc<dyn Sink>, epoch: u64, staged: &[Staged]) -> Result<(), ConnectorError> {
    futures::executor::block_on(sink.settle(Epoch(epoch), staged))
}

fn stage(writer: &mut Box<dyn SinkWriter>, epoch: u64) -> Vec<Staged> {
    writer.barrier(Epoch(epoch)).unwrap().into_iter().collect()
}

#[test]
fn nothing_is_visible_before_it_is_settled() {
    let dir = tempfile::tempdir().unwrap();
    let sink = open_sink(&two_columns(&[CSV]), &context(dir.path(), "aaaaaaaa")).unwrap();
    let mut writers = [sink.writer(slot(0, "aaaaaaaa")).unwrap(), sink.writer(slot(1, "aaaaaaaa")).unwrap()];
    writers[0].write(&rows(0..2)).unwrap();
    writers[1].write(&rows(2..3)).unwrap();
    let staged: Vec<Staged> = writers.iter_mut().flat_map(|w| stage(w, 7)).collect();
    assert_eq!(staged.len(), 2);
    assert_eq!(visible(dir.path()), BTreeMap::new());
    // Through text, as in a manifest; and as often as anyone likes.
    let staged: Vec<Staged> = serde_json::from_str(&serde_json::to_string(&staged).unwrap()).unwrap();
    for _ in 0..3 {
        settle(&sink, 7, &staged).unwrap();
        let expected = [("part-00000-aaaaaaaa-7-0.csv", "0,\n1,n1\n"), ("part-00001-aaaaaaaa-7-0.csv", "2,n2\n")];
        assert_eq!(visible(dir.path()), expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    }
    assert_eq!(hidden(dir.path()), 0);
    for w in &mut writers {
        w.confirmed(Epoch(7));
    }
    assert_eq!(writers[0].barrier(Epoch(8)).unwrap(), None, "an epoch without rows stages nothing");
}

#[test]
fn rows_of_an_aborted_epoch_belong_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let sink = open_sink(&two_columns(&[CSV]), &context(dir.path(), "a")).unwrap();
    let mut w = sink.writer(slot(0, "bbbbbbbb")).unwrap();
    w.write(&rows(0..1)).unwrap();
    stage(&mut w, 1);
    w.write(&rows(1..2)).unwrap();
    let both = stage(&mut w, 2);
    settle(&sink, 2, &both).unwrap();
    w.confirmed(Epoch(2));
    assert_eq!(
        visible(dir.path()).into_keys().collect::<Vec<_>>(),
        ["part-00000-bbbbbbbb-1-0.csv", "part-00000-bbbbbbbb-2-1.csv"]
    );
    w.write(&rows(2..3)).unwrap();
    let third = stage(&mut w, 3);
    settle(&sink, 3, &third).unwrap();
    assert_eq!(visible(dir.path()).len(), 3);
}

/// A crash at any point of settling: whatever was done, the next settle completes it.
#[test]
fn settling_goes_on_after_a_crash_at_any_point() {
    for crash in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        let sink = open_sink(&two_columns(&[CSV]), &context(dir.path(), "a")).unwrap();
        let mut w = sink.writer(slot(0, "cccccccc")).unwrap();
        w.write(&rows(0..4)).unwrap();
        let staged = stage(&mut w, 1);
        drop(w);
        let (hidden_file, target) =
            (dir.path().join("data/.sluice/00000-cccccccc-0"), dir.path().join("data/part-00000-cccccccc-1-0.csv"));
        match crash {
            0 => {}
            1 => fs::hard_link(&hidden_file, &target).unwrap(),
            2 => fs::rename(&hidden_file, &target).unwrap(),
            _ => settle(&sink, 1, &staged).unwrap(),
        }
        // Another process, with another writer id.
        let later = open_sink(&two_columns(&[CSV]), &context(dir.path(), "d")).unwrap();
        settle(&later, 1, &staged).unwrap();
        assert_eq!(visible(dir.path()).into_values().collect::<Vec<_>>(), ["0,\n1,n1\n2,n2\n3,\n"], "crash {crash}");
        assert_eq!(hidden(dir.path()), 0);
    }
}

#[test]
fn damage_is_found_and_nothing_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let sink = open_sink(&two_columns(&[CSV]), &context(dir.path(), "a")).unwrap();
    let mut w = sink.writer(slot(0, "eeeeeeee")).unwrap();
    w.write(&rows(0..4)).unwrap();
    let staged = stage(&mut w, 1);
    let (hidden_file, target) =
        (dir.path().join("data/.sluice/00000-eeeeeeee-0"), dir.path().join("data/part-00000-eeeeeeee-1-0.csv"));
    let good = fs::read(&hidden_file).unwrap();

    let mut flipped = good.clone();
    flipped[3] ^= 1;
    let damaged = |what: &str| match settle(&sink, 1, &staged).unwrap_err() {
        ConnectorError::Damaged { message, .. } => assert!(message.contains(what), "{message}"),
        other => panic!("{other}"),
    };
    for bad in [&flipped[..], &good[..2], b""] {
        fs::write(&hidden_file, bad).unwrap();
        damaged("is not what was staged");
        assert_eq!(visible(dir.path()), BTreeMap::new());
    }
    fs::remove_file(&hidden_file).unwrap();
    damaged("neither");
    fs::write(&target, &flipped).unwrap();
    damaged("it was changed after it was published");
    assert_eq!(fs::read(&target).unwrap(), flipped, "what someone else wrote stays");
    fs::write(&target, &good).unwrap();
    settle(&sink, 1, &staged).unwrap();
}

#[test]
fn a_manifest_cannot_name_files_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let sink = open_sink(&two_columns(&[CSV]), &context(dir.path(), "a")).unwrap();
    for path in ["../x", "/etc/x", ""] {
        let file = serde_json::json!({"staged": path, "target": "y", "bytes": 0, "crc32": 0, "rows": 0});
        let staged = Staged { slot: 0, data: serde_json::json!({ "files": [file] }) };
        assert!(matches!(settle(&sink, 1, &[staged]), Err(ConnectorError::Damaged { .. })), "{path}");
    }
}

#[test]
fn parts_roll_by_size_and_time() {
    let dir = tempfile::tempdir().unwrap();
    let options = [CSV, ("sink.rolling-policy.file-size", "20"), ("sink.rolling-policy.rollover-interval", "10s")];
    let sink = open_sink(&two_columns(&options), &context(dir.path(), "a")).unwrap();
    let mut w = sink.writer(slot(0, "ffffffff")).unwrap();
    for i in 0..10 {
        w.write(&rows(i * 2..i * 2 + 2)).unwrap();
    }
    w.write(&rows(20..21)).unwrap();
    w.tick(ProcTime(9_999)).unwrap();
    w.write(&rows(21..22)).unwrap();
    w.tick(ProcTime(10_000)).unwrap();
    w.write(&rows(22..23)).unwrap();
    let staged = stage(&mut w, 1);
    settle(&sink, 1, &staged).unwrap();
    let files = visible(dir.path());
    assert_eq!(files["part-00000-ffffffff-1-4.csv"], "20,n2\n21,\n");
    assert_eq!(files["part-00000-ffffffff-1-5.csv"], "22,n1\n");
    let mut lines: Vec<i64> =
        files.values().flat_map(|t| t.lines()).map(|l| l.split(',').next().unwrap().parse().unwrap()).collect();
    lines.sort_unstable();
    assert_eq!(lines, (0..23).collect::<Vec<_>>());
}

#[test]
fn partitions_are_directories() {
    let dir = tempfile::tempdir().unwrap();
    let mut t = two_columns(&[CSV, ("csv.write-header", "true")]);
    t.partitioned_by = vec![1];
    let sink = open_sink(&t, &context(dir.path(), "a")).unwrap();
    let mut w = sink.writer(slot(0, "gggggggg")).unwrap();
    w.write(&rows(0..6)).unwrap();
    w.write(&rows(6..7)).unwrap();
    let staged = stage(&mut w, 1);
    settle(&sink, 1, &staged).unwrap();
    let mut read = read_all(
        &{
            let mut t = t.clone();
            t.options.insert("csv.header".into(), "true".into());
            t
        },
        dir.path(),
    )
    .unwrap();
    read.sort();
    assert_eq!(read, ["0=NULL", "1=n1", "2=n2", "3=NULL", "4=n1", "5=n2", "6=NULL"]);
    assert!(
        visible(dir.path()).contains_key("name=__DEFAULT_PARTITION__/part-00000-gggggggg-1-0.csv"),
        "{:?}",
        visible(dir.path())
    );
}

#[test]
fn more_partitions_than_may_be_open() {
    let dir = tempfile::tempdir().unwrap();
    let mut t = two_columns(&[("format", "json")]);
    t.partitioned_by = vec![0];
    let sink = open_sink(&t, &context(dir.path(), "a")).unwrap();
    let mut w = sink.writer(slot(0, "hhhhhhhh")).unwrap();
    for _ in 0..2 {
        w.write(&rows(0..200)).unwrap();
    }
    let staged = stage(&mut w, 1);
    settle(&sink, 1, &staged).unwrap();
    let files = visible(dir.path());
    assert_eq!(files.values().map(|t| t.lines().count()).sum::<usize>(), 400);
    assert!(files.keys().any(|k| k.starts_with("id=199/")));
}

#[test]
fn compressed_parts_read_back() {
    for (compression, extension) in [("gzip", ".gz"), ("zstd", ".zst")] {
        let dir = tempfile::tempdir().unwrap();
        let t = two_columns(&[("format", "json"), ("compression", compression)]);
        let sink = open_sink(&t, &context(dir.path(), "a")).unwrap();
        let mut w = sink.writer(slot(0, "iiiiiiii")).unwrap();
        w.write(&rows(0..5000)).unwrap();
        let staged = stage(&mut w, 1);
        settle(&sink, 1, &staged).unwrap();
        let file = dir.path().join(format!("data/part-00000-iiiiiiii-1-0.json{extension}"));
        let mut first = [0; 2];
        fs::File::open(&file).unwrap().read_exact(&mut first).unwrap();
        assert_ne!(&first, b"{\"");
        assert_eq!(read_all(&two_columns(&[("format", "json")]), dir.path()).unwrap().len(), 5000);
    }
}

#[test]
fn two_sinks_into_one_directory_do_not_meet() {
    let dir = tempfile::tempdir().unwrap();
    let sinks = [(); 2].map(|()| open_sink(&two_columns(&[CSV]), &context(dir.path(), "a")).unwrap());
    let mut writers = sinks.each_ref().map(|s| s.writer(slot(0, "jjjjjjjj")).unwrap());
    for epoch in 1..4 {
        for w in &mut writers {
            w.write(&rows(0..1)).unwrap();
        }
        for (w, s) in writers.iter_mut().zip(&sinks) {
            let staged = stage(w, epoch);
            settle(s, epoch, &staged).unwrap();
            w.confirmed(Epoch(epoch));
        }
    }
    assert_eq!(visible(dir.path()).len(), 6);
}

#[test]
fn what_no_barrier_handed_over_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let sink = open_sink(&two_columns(&[CSV]), &context(dir.path(), "a")).unwrap();
    let mut w = sink.writer(slot(0, "kkkkkkkk")).unwrap();
    w.write(&rows(0..1)).unwrap();
    let staged = stage(&mut w, 1);
    w.write(&rows(1..2)).unwrap();
    assert_eq!(hidden(dir.path()), 2);
    drop(w);
    assert_eq!(hidden(dir.path()), 1, "the staged file of epoch 1 may be canonical");
    futures::executor::block_on(sink.discard(&staged)).unwrap();
    assert_eq!(hidden(dir.path()), 0);
}

#[test]
fn a_full_disk_is_named() {
    let e = writer::failed("t", "write", Path::new("/x"), std::io::Error::from(std::io::ErrorKind::StorageFull))
        .to_string();
    assert_eq!(
        e,
        "table 't': failed to write '/x': the disk is full; nothing of the unfinished epoch is visible: free space and start again"
    );
}

/// A device that is always full stands in for the disk.
#[cfg(target_os = "linux")]
#[test]
fn a_full_device_counts_as_full() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let e = std::io::Write::write(&mut &full, b"x").unwrap_err();
    assert!(writer::failed("t", "write", Path::new("/x"), e).to_string().contains("the disk is full"));
}

#[test]
fn metadata_columns_cannot_be_written() {
    let mut t = two_columns(&[CSV]);
    t.metadata = vec![(1, "file.name".into())];
    assert!(FileTable::for_writing(&t).unwrap_err().to_string().contains("metadata column 'name' cannot be written"));
}

#[test]
fn a_changelog_carries_the_kind_of_each_row() {
    let dir = tempfile::tempdir().unwrap();
    let sink = open_sink(&two_columns(&[CSV]), &context(dir.path(), "aaaaaaaa")).unwrap();
    assert_eq!(sink.accepts(), crate::connector::Accepts::Inserts);
    let table = two_columns(&[CSV, ("sink.changelog", "true")]);
    let sink = open_sink(&table, &context(dir.path(), "aaaaaaaa")).unwrap();
    assert_eq!(sink.accepts(), crate::connector::Accepts::Everything);
    let mut writer = sink.writer(slot(0, "aaaaaaaa")).unwrap();
    let mut batch = rows(1..4);
    batch.ops = Some(vec![0, 1, 2].into());
    writer.write(&batch).unwrap();
    writer.write(&rows(4..5)).unwrap();
    settle(&sink, 1, &stage(&mut writer, 1)).unwrap();
    let expected = [("part-00000-aaaaaaaa-1-0.csv".to_owned(), "+I,1,n1\n-U,2,n2\n+U,3,\n+I,4,n1\n".to_owned())];
    assert_eq!(visible(dir.path()), expected.into());
}
