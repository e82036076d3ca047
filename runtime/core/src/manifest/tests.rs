use super::*;
use crate::id::{Incarnation, Run};
use proptest::prelude::*;
use serde_json::json;

pub(crate) fn sample() -> Manifest {
    let id = OperatorId("id1:00000000000000aa".into());
    let segment = |epoch: u64, groups: Range<u16>, full| SegmentRef {
        path: format!("checkpoints/r1/{epoch}-{}.seg", groups.start),
        length: 100 * epoch,
        checksum: Checksum::crc32(&epoch.to_le_bytes()),
        operator: id.clone(),
        epoch: Epoch(epoch),
        key_groups: groups,
        rows: 10,
        tombstones: 1,
        full,
    };
    let mut manifest = Manifest {
        job: JobUid("0123456789abcdef0123456789abcdef".into()),
        kind: ManifestKind::Checkpoint,
        fence: Fence { run: Run(1), incarnation: Incarnation(2) },
        writer: WriterId("f".repeat(32)),
        epoch: Epoch(7),
        key_groups: KeyGroups::DEFAULT,
        hash_id: crate::hash::HASH_ID.into(),
        operators: vec![
            OperatorState {
                id: id.clone(),
                parallelism: 2,
                watermarks: vec![EventTime(1_000), EventTime::MIN],
                segments: vec![segment(6, 0..128, true), segment(7, 0..64, false), segment(7, 64..128, false)],
                splits: vec![],
                sink: None,
                ended: false,
            },
            OperatorState {
                id: OperatorId("name:flights".into()),
                parallelism: 2,
                watermarks: vec![],
                segments: vec![],
                splits: vec![SplitState {
                    table: "flights".into(),
                    split: json!({"id": "a.csv", "position": {"offset": 17}, "finished": false}),
                    watermark: Some(GeneratorState { max_event_time: EventTime(-5), idle: true }),
                }],
                sink: None,
                ended: true,
            },
            OperatorState {
                id: OperatorId("name:out".into()),
                parallelism: 2,
                watermarks: vec![],
                segments: vec![],
                splits: vec![],
                sink: Some(SinkState {
                    table: "out".into(),
                    slots: 2,
                    staged: vec![StagedSlot { slot: 1, prev: Some(Epoch(5)), data: json!(["part-1"]) }],
                }),
                ended: false,
            },
        ],
        plan: vec![PlanOperator { id, label: "Aggregate(key: a)".into(), stateful: true }],
        finished: false,
        totals: Totals::default(),
    };
    manifest.totals = manifest.sum();
    manifest
}

#[test]
fn round_trips() {
    let manifest = sample();
    assert_eq!(Manifest::decode(&manifest.encode()).unwrap(), manifest);
    assert_eq!(manifest.totals, Totals { rows: 30, bytes: 2000, written_bytes: 1400 });
    assert!(manifest.has_staging());
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let bytes = envelope::seal(KIND, MANIFEST_FORMAT + 1, &json!({"something": "else"}));
    let error = Manifest::decode(&bytes).unwrap_err().to_string();
    assert_eq!(
        error,
        "the manifest has format 2, this release reads up to 1: use the release that wrote it or a newer one"
    );
}

#[test]
fn contradictions_are_refused() {
    type Spoil = fn(&mut Manifest);
    let spoilt = |spoil: Spoil| {
        let mut manifest = sample();
        spoil(&mut manifest);
        Manifest::decode(&manifest.encode()).unwrap_err().to_string()
    };
    let cases: [(Spoil, &str); 11] = [
        (|m| m.operators[0].segments[0].key_groups = 0..129, "key groups 0..129 are not within 0..128"),
        (|m| m.operators[0].segments[0].key_groups = 3..3, "key groups 3..3"),
        (|m| m.operators[0].segments[0].epoch = Epoch(8), "later epoch 8"),
        (|m| m.operators[0].segments[0].tombstones = 11, "11 tombstones in 10 rows"),
        (|m| m.operators[0].segments[0].path = "../other/x".into(), "not a plain relative one"),
        (|m| m.operators[0].segments[0].path = "/etc/x".into(), "not a plain relative one"),
        (|m| m.operators[0].segments[0].operator = OperatorId("x".into()), "belongs to operator 'x'"),
        (|m| m.operators[0].segments[1].path = m.operators[0].segments[0].path.clone(), "stands twice"),
        (|m| m.operators[1].id = m.operators[0].id.clone(), "stands twice"),
        (|m| m.operators[2].sink.as_mut().unwrap().slots = 1, "slot 1 of 1"),
        (|m| m.kind = ManifestKind::Savepoint, "carries no staging"),
    ];
    for (spoil, expected) in cases {
        let error = spoilt(spoil);
        assert!(error.contains(expected), "{error} should contain {expected}");
    }
}

proptest! {
    #[test]
    fn arbitrary_and_nearly_right_bytes_never_panic(bytes: Vec<u8>, at in 0usize..1000, byte: u8) {
        prop_assert!(Manifest::decode(&bytes).is_err());
        // Whole envelopes around spoilt JSON reach the parser.
        let text = serde_json::to_vec(&sample()).unwrap();
        let mut spoilt = text.clone();
        let at = at % spoilt.len();
        spoilt[at] = byte;
        if let Ok(value) = serde_json::from_slice::<serde_json::Value>(&spoilt) {
            let _ = Manifest::decode(&envelope::seal(KIND, 1, &value));
        }
    }

    #[test]
    fn a_flipped_bit_is_noticed(at in 0usize..10_000, bit in 0u8..8) {
        let mut bytes = sample().encode();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        prop_assert!(Manifest::decode(&bytes).is_err());
    }
}
