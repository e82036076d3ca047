//! `KeyedTable` against a `BTreeMap` under random operations, barriers and portions of draining.

use super::*;
use crate::operator::{Drained, Scope};
use proptest::prelude::*;
use sluice_core::hash::KeyHash;
use sluice_core::id::Epoch;
use sluice_core::key_group::KeyGroups;

#[derive(Clone, Debug)]
enum Step {
    Put(u16, u64),
    Add(u16),
    Remove(u16),
    /// Many keys at once: growth and splits.
    Flood(u16),
    Drop(u16),
    Drain(usize),
    Refuse(usize),
    Barrier(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u16..400, any::<u64>()).prop_map(|(k, v)| Step::Put(k, v)),
        4 => (0u16..400).prop_map(Step::Add),
        3 => (0u16..400).prop_map(Step::Remove),
        1 => (0u16..4).prop_map(Step::Flood),
        1 => (0u16..4).prop_map(Step::Drop),
        4 => (1usize..600).prop_map(Step::Drain),
        1 => (0usize..3).prop_map(Step::Refuse),
        3 => any::<bool>().prop_map(Step::Barrier),
    ]
}

fn hash(k: &[u8]) -> u64 {
    KeyHash::new().bytes(k).finish()
}

fn key(k: u32) -> Vec<u8> {
    // Of different lengths.
    format!("{k}{}", "-".repeat(k as usize % 13)).into_bytes()
}

const FLOOD: u32 = 3000;

struct Run {
    table: KeyedTable<u64>,
    live: Content,
    sink: TestSink,
    epoch: u64,
    draining: bool,
    at_barrier: Content,
    scope: Scope,
    /// Snapshots that a restore would read, oldest first; a full one starts anew.
    chain: Vec<Vec<StateBlock>>,
}

impl Run {
    fn new() -> Self {
        Self {
            table: KeyedTable::new(3, KeyGroups::DEFAULT),
            live: Content::new(),
            sink: TestSink::default(),
            epoch: 0,
            draining: false,
            at_barrier: Content::new(),
            scope: Scope::Full,
            chain: vec![],
        }
    }

    fn put(&mut self, k: &[u8], v: u64) {
        *self.table.entry(hash(k), k, || 0) = v;
        self.live.insert(k.to_vec(), v.to_le_bytes().to_vec());
    }

    fn remove(&mut self, k: &[u8]) {
        let old = self.table.remove(hash(k), k).map(|v| v.to_le_bytes().to_vec());
        assert_eq!(old, self.live.remove(k));
    }

    fn apply(&mut self, s: Step) {
        match s {
            Step::Put(k, v) => self.put(&key(u32::from(k)), v),
            Step::Add(k) => {
                let k = key(u32::from(k));
                let got = self.table.get_mut(hash(&k), &k);
                assert_eq!(got.is_some(), self.live.contains_key(&k));
                if let Some(v) = got {
                    *v = v.wrapping_add(1);
                    self.live.insert(k, v.to_le_bytes().to_vec());
                }
            }
            Step::Remove(k) => self.remove(&key(u32::from(k))),
            Step::Flood(f) => (0..FLOOD).for_each(|i| self.put(&key(1000 + u32::from(f) * FLOOD + i), u64::from(i))),
            Step::Drop(f) => (0..FLOOD).for_each(|i| self.remove(&key(1000 + u32::from(f) * FLOOD + i))),
            Step::Drain(n) => self.drain(n),
            Step::Refuse(n) => self.sink.full = n,
            Step::Barrier(full) => self.barrier(full),
        }
        assert_eq!(self.table.len(), self.live.len());
    }

    fn barrier(&mut self, full: bool) {
        while self.draining {
            self.drain(usize::MAX);
        }
        self.epoch += 1;
        let full = full && self.epoch % 4 == 0 || self.chain.is_empty();
        self.scope = if full { Scope::Full } else { Scope::Delta { rotation: (self.epoch % 16) as u8 } };
        self.table.barrier(Epoch(self.epoch), self.scope);
        self.at_barrier = self.live.clone();
        self.draining = true;
    }

    fn drain(&mut self, budget: usize) {
        if !self.draining || self.table.drain(budget, &mut self.sink) == Drained::Pending {
            return;
        }
        self.draining = false;
        let blocks = std::mem::take(&mut self.sink.blocks);
        if self.scope == Scope::Full {
            self.chain.clear();
            assert_eq!(blocks.iter().map(StateBlock::len).sum::<usize>(), self.at_barrier.len(), "no row twice");
        }
        self.chain.push(blocks);
        // Sixteen rotations hold everything.
        let from = self.chain.len().saturating_sub(16);
        let mut got = Content::new();
        self.chain[from..].iter().for_each(|b| replay(&mut got, b));
        assert_eq!(got, self.at_barrier, "the snapshot is the state at its barrier");
        self.check_restore(from);
    }

    fn check_restore(&self, from: usize) {
        let mut t = KeyedTable::<u64>::new(3, KeyGroups::DEFAULT);
        self.chain[from..].iter().flatten().for_each(|b| t.restore(b).unwrap());
        let mut got = Content::new();
        let mut last = 0;
        t.for_each(|h, k, v| {
            assert!(h >= last, "in hash order");
            last = h;
            got.insert(k.to_vec(), v.to_le_bytes().to_vec());
        });
        assert_eq!(got, self.at_barrier);
        assert_eq!(t.len(), got.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn snapshots_are_the_state_at_the_barrier(steps in proptest::collection::vec(step(), 1..120)) {
        let mut run = Run::new();
        steps.into_iter().for_each(|s| run.apply(s));
        while run.draining {
            run.drain(100);
        }
        let mut got = Content::new();
        run.table.for_each(|_, k, v| { got.insert(k.to_vec(), v.to_le_bytes().to_vec()); });
        prop_assert_eq!(got, run.live);
    }
}

/// A row that never was in a snapshot leaves no tombstone; one that was leaves exactly one.
#[test]
fn tombstones_only_for_rows_that_a_snapshot_holds() {
    let mut run = Run::new();
    run.put(b"kept", 1);
    run.put(b"gone", 2);
    run.barrier(true);
    run.drain(10);
    run.put(b"brief", 3);
    run.remove(b"brief");
    run.remove(b"gone");
    run.barrier(false);
    run.drain(10);
    let last = run.chain.last().unwrap();
    let tombstones: Vec<_> =
        last.iter().flat_map(|b| (0..b.len()).filter(|i| b.deleted[*i]).map(|i| b.keys.row(i).to_vec())).collect();
    assert_eq!(tombstones, [b"gone".to_vec()]);
}

/// A sweep sees every row once in a round.
#[test]
fn scan_visits_all_rows_in_portions() {
    let mut run = Run::new();
    (0..5000).for_each(|k| run.put(&key(k), u64::from(k)));
    let (mut seen, mut cursor) = (Vec::new(), 0);
    loop {
        cursor = run.table.scan(cursor, 100, |_, k, _| seen.push(k.to_vec()));
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(seen.len(), 5000);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5000);
}
