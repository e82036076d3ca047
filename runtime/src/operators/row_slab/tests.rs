use super::*;
use crate::operator::{Drained, Scope};
use crate::operators::testing::Snapshot;
use proptest::prelude::*;
use sluice_core::id::Epoch;
use std::collections::BTreeMap;

/// What a slab should hold: (hash, arrival number) → bytes, count, matches.
type Model = BTreeMap<(u64, u64), (Vec<u8>, u32, u32)>;

fn contents(slab: &RowSlab) -> Model {
    slab.ids()
        .map(|id| {
            let row = slab.get(id);
            ((row.hash, row.seq), (row.bytes.to_vec(), row.count, row.matches))
        })
        .collect()
}

fn restore(snapshots: &[Snapshot]) -> RowSlab {
    let mut slab = RowSlab::new(3);
    for block in snapshots.iter().flat_map(|s| &s.blocks) {
        assert_eq!(block.table, 3);
        slab.restore(block).unwrap();
    }
    slab.restored();
    slab
}

#[derive(Clone, Debug)]
enum Action {
    Insert(u8),
    Change(usize),
    Remove(usize),
    Barrier,
    Drain(usize),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let one = prop_oneof![
        4 => any::<u8>().prop_map(Action::Insert),
        3 => any::<usize>().prop_map(Action::Change),
        2 => any::<usize>().prop_map(Action::Remove),
        1 => Just(Action::Barrier),
        3 => (1..6usize).prop_map(Action::Drain),
    ];
    prop::collection::vec(one, 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Each snapshot, with those before it, is the slab as it was at its barrier, whatever happens while it is drained.
    #[test]
    fn snapshots_are_the_rows_at_the_barrier(actions in actions()) {
        let mut slab = RowSlab::new(3);
        let mut snapshots: Vec<Snapshot> = vec![];
        let mut frozen: Option<Model> = None;
        let finish = |slab: &mut RowSlab, snapshots: &mut Vec<Snapshot>, frozen: &mut Option<Model>| {
            if let Some(model) = frozen.take() {
                while slab.drain(3, snapshots.last_mut().unwrap()) == Drained::Pending {}
                assert_eq!(contents(&restore(snapshots)), model);
            }
        };
        for action in actions {
            let ids: Vec<RowId> = slab.ids().collect();
            match action {
                Action::Insert(h) => {
                    let hash = u64::from(h) << 56;
                    slab.insert(hash, Box::from([h; 3]), 0, 0);
                }
                Action::Change(i) if !ids.is_empty() => {
                    let row = slab.update(ids[i % ids.len()]);
                    row.count += 1;
                    row.matches += 2;
                }
                Action::Remove(i) if !ids.is_empty() => slab.remove(ids[i % ids.len()]),
                Action::Change(_) | Action::Remove(_) => {}
                Action::Barrier => {
                    finish(&mut slab, &mut snapshots, &mut frozen);
                    let n = snapshots.len();
                    let scope = if n == 0 { Scope::Full } else { Scope::Delta { rotation: (n % 16) as u8 } };
                    frozen = Some(contents(&slab));
                    slab.barrier(Epoch(n as u64), scope);
                    snapshots.push(Snapshot::refusing(2));
                }
                Action::Drain(n) => {
                    if let Some(last) = snapshots.last_mut().filter(|_| frozen.is_some()) {
                        slab.drain(n, last);
                    }
                }
            }
        }
        finish(&mut slab, &mut snapshots, &mut frozen);
    }
}

/// Sixteen snapshots hold everything, also what has not changed since the first.
#[test]
fn no_snapshot_is_needed_longer_than_sixteen() {
    let mut slab = RowSlab::new(3);
    for i in 0..500u64 {
        slab.insert(i.wrapping_mul(0x9E37_79B9_7F4A_7C15), Box::from(i.to_le_bytes()), 0, i as i64);
    }
    let mut snapshots = vec![];
    for n in 0..17u8 {
        let scope = if n == 0 { Scope::Full } else { Scope::Delta { rotation: n % 16 } };
        slab.barrier(Epoch(n.into()), scope);
        let mut snapshot = Snapshot::default();
        while slab.drain(50, &mut snapshot) == Drained::Pending {}
        snapshots.push(snapshot);
    }
    assert_eq!(contents(&restore(&snapshots[1..])), contents(&slab));
}

#[test]
fn a_delta_holds_what_changed_and_short_lives_leave_no_trace() {
    let mut slab = RowSlab::new(3);
    let ids: Vec<RowId> = (0..1000).map(|i| slab.insert(1 << 62, Box::from([i as u8]), 0, 0)).collect();
    let snapshot = |slab: &mut RowSlab, scope| {
        slab.barrier(Epoch(1), scope);
        let mut snapshot = Snapshot::default();
        while slab.drain(50, &mut snapshot) == Drained::Pending {}
        snapshot.rows()
    };
    assert_eq!(snapshot(&mut slab, Scope::Full), 1000);
    slab.update(ids[3]).count = 2;
    slab.remove(ids[4]);
    let short = slab.insert(1 << 62, Box::from([1]), 0, 0);
    slab.remove(short);
    assert_eq!(snapshot(&mut slab, Scope::Delta { rotation: 0 }), 2);
    assert_eq!(snapshot(&mut slab, Scope::Delta { rotation: 0 }), 0);
}

#[test]
fn damaged_rows_are_refused() {
    for bytes in [&[][..], &[1, 0], &[8], &[1, 0, 0, 0, 0]] {
        assert!(snapshot::decode(0, 1, bytes).is_err(), "{bytes:?}");
    }
}

/// A restore at another parallelism fetches blocks by key group: none may span more than a sixteenth of the hashes.
#[test]
fn blocks_are_cut_by_hash_range() {
    let mut slab = RowSlab::new(3);
    for i in 0..20_000u64 {
        slab.insert(i.wrapping_mul(0x9E37_79B9_7F4A_7C15), Box::from(i.to_le_bytes()), 0, 0);
    }
    slab.barrier(Epoch(1), Scope::Full);
    let mut snapshot = Snapshot::default();
    while slab.drain(500, &mut snapshot) == Drained::Pending {}
    assert_eq!((snapshot.rows(), snapshot.blocks.len()), (20_000, 16));
    for block in &snapshot.blocks {
        assert!(block.hashes.iter().all(|h| h >> 60 == block.hashes[0] >> 60));
    }
}
