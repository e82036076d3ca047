use super::*;
use crate::connector::{Polled, SinkSlot, SplitReader};
use crate::connectors::options::tests::table;
use crate::element::Batch;
use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow_schema::{DataType, Field};
use sluice_core::id::Epoch;
use std::io::{BufRead, BufReader, Write};

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn ids(port: u16, options: &[(&str, &str)]) -> Table {
    let port = port.to_string();
    let mut all = vec![("connector", "socket"), ("hostname", "127.0.0.1"), ("port", port.as_str()), ("format", "json")];
    all.extend_from_slice(options);
    table(vec![Field::new("id", DataType::Int64, true)], &all)
}

fn reader(t: &Table) -> Box<dyn SplitReader> {
    let mut source = open_source(t).unwrap();
    let mut reader = source.reader().unwrap();
    reader.open(source.splits().unwrap().remove(0)).unwrap();
    reader
}

/// Polls until `count` rows came or the split ended.
fn take(reader: &mut dyn SplitReader, count: usize) -> (Vec<i64>, bool) {
    let mut rows = vec![];
    for _ in 0..2000 {
        match reader.poll().unwrap() {
            Polled::Rows { rows: batch, .. } => rows.extend(batch.column(0).as_primitive::<Int64Type>().values()),
            Polled::Finished { .. } => return (rows, true),
            Polled::Pending => std::thread::sleep(Duration::from_millis(5)),
            Polled::End => panic!("the end comes after Finished"),
        }
        if rows.len() >= count {
            return (rows, false);
        }
    }
    panic!("only {rows:?} came");
}

fn connect(port: u16) -> TcpStream {
    for _ in 0..200 {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
            return stream;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("nobody listens on {port}");
}

#[test]
fn a_server_takes_lines_of_several_clients() {
    let port = free_port();
    let mut r = reader(&ids(port, &[("mode", "server"), ("on-error", "dead-letter")]));
    let (mut a, mut b) = (connect(port), connect(port));
    a.write_all(b"{\"id\":1}\n{\"id\":").unwrap();
    b.write_all(b"{\"id\":2}\r\nnonsense\n{\"id\":3}\n").unwrap();
    let (mut rows, _) = take(&mut *r, 3);
    rows.sort_unstable();
    assert_eq!(rows, [1, 2, 3]);
    // The rest of a line, and a last line without an end.
    a.write_all(b"4}\n{\"id\":5}").unwrap();
    drop(a);
    let (mut rows, _) = take(&mut *r, 2);
    rows.sort_unstable();
    assert_eq!(rows, [4, 5]);
    assert_eq!(r.dead_letters().unwrap().num_rows(), 1);
    let s = r.stats();
    assert_eq!((s.records, s.bad_records), (6, 1));
    assert!(!r.splits()[0].finished);
    drop(r);
    TcpListener::bind(("127.0.0.1", port)).expect("dropping the reader has freed the port");
}

#[test]
fn a_client_connects_again_or_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut r = reader(&ids(port, &[]));
    for id in [1, 2] {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(format!("{{\"id\":{id}}}\n").as_bytes()).unwrap();
        drop(stream);
        assert_eq!(take(&mut *r, 1).0, [id]);
    }
    drop(r);

    let mut r = reader(&ids(port, &[("reconnect", "false")]));
    let accepted = listener.accept().unwrap().0;
    (&accepted).write_all(b"{\"id\":7}\n").unwrap();
    drop(accepted);
    assert_eq!(take(&mut *r, usize::MAX), (vec![7], true));
    assert!(matches!(r.poll().unwrap(), Polled::End));
    assert!(r.splits()[0].finished);
}

/// What is to come on a socket is not behind anyone: an at-most-once restart reads on.
#[test]
fn a_restart_at_the_current_end_still_reads() {
    let mut source = open_source(&ids(free_port(), &[])).unwrap();
    let split = source.splits().unwrap().remove(0);
    assert!(!source.at_current_end(split).finished);
}

#[test]
fn a_port_in_use_is_said() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut source = open_source(&ids(port, &[("mode", "server")])).unwrap();
    let split = source.splits().unwrap().remove(0);
    let e = source.reader().unwrap().open(split).unwrap_err().to_string();
    assert!(e.starts_with(&format!("failed to listen on '127.0.0.1:{port}'")), "{e}");
}

fn rows(range: std::ops::Range<i64>) -> Batch {
    let t = ids(1, &[]);
    Batch::append(RecordBatch::try_new(t.schema, vec![Arc::new(Int64Array::from_iter_values(range))]).unwrap())
}

fn slot(slot: u32) -> SinkSlot {
    SinkSlot { slot, slots: 2, writer: String::new() }
}

#[test]
fn a_client_sink_sends_and_flushes_at_the_barrier() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let sink = open_sink(&ids(port, &[])).unwrap();
    let mut w = sink.writer(slot(0)).unwrap();
    w.write(&rows(0..3)).unwrap();
    assert_eq!(w.barrier(Epoch(1)).unwrap(), None);
    let (stream, _) = listener.accept().unwrap();
    drop(w);
    let lines: Vec<String> = BufReader::new(stream).lines().map(Result::unwrap).collect();
    assert_eq!(lines, ["{\"id\":0}", "{\"id\":1}", "{\"id\":2}"]);
}

#[test]
fn a_server_sink_waits_for_its_first_client_and_serves_all() {
    let port = free_port();
    let sink = open_sink(&ids(port, &[("mode", "server")])).unwrap();
    let mut w = sink.writer(slot(0)).unwrap();
    w.write(&rows(0..1)).unwrap();
    let a = connect(port);
    w.barrier(Epoch(1)).unwrap();
    let b = connect(port);
    // The second client is taken between two orders.
    std::thread::sleep(LOOK * 4);
    w.write(&rows(1..2)).unwrap();
    w.barrier(Epoch(2)).unwrap();
    drop(w);
    let lines = |s| BufReader::new(s).lines().map(Result::unwrap).collect::<Vec<String>>();
    assert_eq!(lines(a), ["{\"id\":0}", "{\"id\":1}"]);
    assert_eq!(lines(b), ["{\"id\":1}"]);
}

#[test]
fn a_sink_that_nobody_takes_from_fails() {
    for mode in ["client", "server"] {
        let sink = open_sink(&ids(free_port(), &[("mode", mode), ("connect-timeout", "100ms")])).unwrap();
        let mut w = sink.writer(slot(0)).unwrap();
        w.write(&rows(0..1)).unwrap();
        let e = w.barrier(Epoch(1)).unwrap_err().to_string();
        assert!(e.starts_with("failed to send to '127.0.0.1:"), "{e}");
    }
}

#[test]
fn wrong_options_are_refused() {
    let cases = [
        (("port", "0"), "option 'port' must be 1 to 65535"),
        (("port", "x"), "a whole number"),
        (("mode", "peer"), "must be 'client' or 'server'"),
        (("hostnam", "x"), "did you mean 'hostname'?"),
    ];
    for ((key, value), expected) in cases {
        let mut t = ids(1, &[]);
        t.options.insert(key.into(), value.into());
        let e = SocketTable::parse(&t).unwrap_err().to_string();
        assert!(e.contains(expected), "{e}");
    }
}
