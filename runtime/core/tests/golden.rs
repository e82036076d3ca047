//! Documents of every format that was ever released must be read for ever, and today's writer must not drift unnoticed.
//!
//! After a deliberate change of format (with a new version number): add files, keep the old ones. The bytes of the current
//! version are written anew by `SLUICE_REGENERATE=1 cargo test -p sluice-core --test golden`.

#![allow(clippy::unwrap_used, reason = "a test")]

use serde_json::json;
use sluice_core::checksum::Checksum;
use sluice_core::id::{Epoch, Fence, Incarnation, JobUid, OperatorId, Run, WriterId};
use sluice_core::journal::start::{StartRequest, decide};
use sluice_core::journal::{Expectation, ManifestRef, OperationId, Record, Restore, RunChoice, SinkLayout, Slot, Tail};
use sluice_core::key_group::KeyGroups;
use sluice_core::manifest::{
    GeneratorState, Manifest, ManifestKind, OperatorState, PlanOperator, SegmentRef, SinkState, SplitState, StagedSlot,
};
use sluice_core::time::{EventTime, ProcTime};
use std::path::PathBuf;

fn golden(name: &str, bytes: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("SLUICE_REGENERATE").is_some() {
        std::fs::write(&path, bytes).unwrap();
    }
    std::fs::read(&path).unwrap()
}

fn fence() -> Fence {
    Fence { run: Run(3), incarnation: Incarnation(1) }
}

fn manifest() -> Manifest {
    let id = |text: &str| OperatorId(text.into());
    let empty = |name: &str| OperatorState {
        id: id(name),
        parallelism: 2,
        watermarks: vec![],
        segments: vec![],
        splits: vec![],
        sink: None,
        ended: false,
    };
    let mut source = empty("name:flights");
    source.splits.push(SplitState {
        table: "flights".into(),
        split: json!({"id": "flights-2013-01.csv", "position": {"offset": 4711}, "finished": false}),
        watermark: Some(GeneratorState { max_event_time: EventTime(1_357_034_400_000), idle: false }),
    });
    let mut aggregate = empty("id1:00c0ffee00c0ffee");
    aggregate.watermarks.push(EventTime(1_357_034_395_000));
    aggregate.segments.push(SegmentRef {
        path: "checkpoints/0000000003.0000000001.0123456789abcdef0123456789abcdef/00000000000000000012/id1=3A00c0ffee00c0ffee-0-0.seg".into(),
        length: 8192,
        checksum: Checksum::Crc32(0xcbf4_3926),
        operator: aggregate.id.clone(),
        epoch: Epoch(12),
        key_groups: 0..64,
        rows: 100,
        tombstones: 3,
        full: true,
    });
    let mut sink = empty("name:delays");
    sink.ended = true;
    let staged = StagedSlot { slot: 1, prev: Some(Epoch(11)), data: json!({"files": [".part-1-12"]}) };
    sink.sink = Some(SinkState { table: "delays".into(), slots: 2, staged: vec![staged] });
    let mut manifest = Manifest {
        job: JobUid("fedcba9876543210fedcba9876543210".into()),
        kind: ManifestKind::Checkpoint,
        fence: fence(),
        writer: WriterId("0123456789abcdef0123456789abcdef".into()),
        epoch: Epoch(12),
        key_groups: KeyGroups::DEFAULT,
        hash_id: "h1".into(),
        operators: vec![source, aggregate, sink],
        plan: vec![PlanOperator {
            id: id("id1:00c0ffee00c0ffee"),
            label: "Aggregate(key: origin)".into(),
            stateful: true,
        }],
        finished: false,
        totals: sluice_core::manifest::Totals::default(),
    };
    manifest.totals = manifest.sum();
    manifest
}

/// A second generation, restored from a savepoint: most fields of a record are filled.
fn record() -> Record {
    let request = |writer: &str, restore| StartRequest {
        job: JobUid("fedcba9876543210fedcba9876543210".into()),
        writer: WriterId(writer.repeat(32)),
        run: RunChoice::Exactly(Run(if writer == "a" { 2 } else { 3 })),
        operation: Some(OperationId(format!("start-{writer}"))),
        expectation: Expectation::Any,
        restore,
        layout: vec![SinkLayout { sink: OperatorId("name:delays".into()), slots: 2 }],
        key_groups: None,
        hash_id: "h1".into(),
        must_wait: false,
    };
    let first = decide(None, &request("a", Restore::Latest), ProcTime(1_700_000_000_000)).unwrap();
    let bytes = first.record().encode();
    let tail = Tail::decode(Slot(0), &bytes).unwrap();
    let savepoint = ManifestRef {
        epoch: Epoch(5),
        path: "s3://bucket/before-migration/manifest".into(),
        checksum: Checksum::sha256(b"a manifest"),
        made_by: fence(),
        savepoint: true,
    };
    let second =
        decide(Some(&tail), &request("b", Restore::Savepoint(savepoint)), ProcTime(1_700_000_001_000)).unwrap();
    second.record().clone()
}

#[test]
fn manifest_1() {
    let bytes = manifest().encode();
    let stored = golden("manifest-1", &bytes);
    assert_eq!(Manifest::decode(&stored).unwrap(), manifest());
    assert_eq!(String::from_utf8(stored).unwrap(), String::from_utf8(bytes).unwrap(), "the writer has changed");
}

#[test]
fn journal_1() {
    let bytes = record().encode();
    let stored = golden("journal-1", &bytes);
    assert_eq!(Record::decode(Slot(1), &stored).unwrap(), record());
    assert_eq!(String::from_utf8(stored).unwrap(), String::from_utf8(bytes).unwrap(), "the writer has changed");
}
