//! Both kinds of table against a `BTreeMap` under random operations, barriers and portions of draining.

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
        1 => (0u16..2).prop_map(Step::Flood),
        1 => (0u16..2).prop_map(Step::Drop),
        4 => (1usize..600).prop_map(Step::Drain),
        1 => (0usize..3).prop_map(Step::Refuse),
        3 => any::<bool>().prop_map(Step::Barrier),
    ]
}

/// What hashes a task may see.
#[derive(Clone, Copy, Debug)]
enum Hashes {
    All,
    /// A task of many: the first bits are the same everywhere.
    OneTaskOf128,
    /// A skewed key: few different ones.
    Few,
}

impl Hashes {
    fn of(self, k: &[u8]) -> u64 {
        let h = KeyHash::new().bytes(k).finish();
        match self {
            Self::All => h,
            Self::OneTaskOf128 => h >> 7 | 0xA6 << 56,
            Self::Few => KeyHash::new().int((h % 7) as i64).finish(),
        }
    }
}

/// What the two faces have in common; values are words, in tables of two words with a copy.
trait Table {
    const NEW: fn() -> Self;
    fn put(&mut self, hash: u64, k: &[u8], v: u64);
    /// Adds one if it is there.
    fn add(&mut self, hash: u64, k: &[u8]) -> Option<u64>;
    fn remove(&mut self, hash: u64, k: &[u8]) -> Option<u64>;
    fn len(&self) -> usize;
    fn barrier(&mut self, scope: Scope);
    fn drain(&mut self, budget: usize, sink: &mut TestSink) -> Drained;
    fn restore(&mut self, b: &StateBlock);
    fn each(&self, f: &mut dyn FnMut(u64, &[u8], u64));
    /// How a snapshot holds this row.
    fn stored(k: &[u8], v: u64) -> (Vec<u8>, Vec<u8>);
    fn bytes(&self) -> usize;
}

impl Table for KeyedTable<u64> {
    const NEW: fn() -> Self = || Self::new(3, KeyGroups::DEFAULT);
    fn put(&mut self, hash: u64, k: &[u8], v: u64) {
        *self.entry(hash, k, || 0) = v;
    }
    fn add(&mut self, hash: u64, k: &[u8]) -> Option<u64> {
        assert_eq!(self.get(hash, k).is_some(), self.get_mut(hash, k).is_some());
        let v = self.get_mut(hash, k)?;
        *v = v.wrapping_add(1);
        Some(*v)
    }
    fn remove(&mut self, hash: u64, k: &[u8]) -> Option<u64> {
        Self::remove(self, hash, k)
    }
    fn len(&self) -> usize {
        Self::len(self)
    }
    fn barrier(&mut self, scope: Scope) {
        Self::barrier(self, Epoch(0), scope);
    }
    fn drain(&mut self, budget: usize, sink: &mut TestSink) -> Drained {
        Self::drain(self, budget, sink)
    }
    fn restore(&mut self, b: &StateBlock) {
        Self::restore(self, b).unwrap();
    }
    fn each(&self, f: &mut dyn FnMut(u64, &[u8], u64)) {
        self.for_each(|h, k, v| f(h, k, *v));
    }
    fn stored(k: &[u8], v: u64) -> (Vec<u8>, Vec<u8>) {
        (k.to_vec(), v.to_le_bytes().to_vec())
    }
    fn bytes(&self) -> usize {
        Self::bytes(self)
    }
}

const PREFIX: u64 = 77;

fn two_words(v: u64) -> Vec<u8> {
    [v.to_le_bytes(), v.to_le_bytes()].concat()
}

fn prefixed(k: &[u8]) -> Vec<u8> {
    [&PREFIX.to_le_bytes(), k].concat()
}

/// A table of words with keys of bytes.
struct ByteKeys(WordTable);

impl Table for ByteKeys {
    const NEW: fn() -> Self = || Self(WordTable::with_byte_keys(3, &[PREFIX], 2));
    fn put(&mut self, hash: u64, k: &[u8], v: u64) {
        let mut keys = RowBuffer::default();
        keys.push(k);
        self.0.upsert_batch_bytes(&[hash], &keys, |_, s, _| s.fill(v));
    }
    fn add(&mut self, hash: u64, k: &[u8]) -> Option<u64> {
        let s = self.0.get_mut(hash, WordKey::Bytes(k))?;
        assert_eq!(s[0], s[1]);
        s.fill(s[0].wrapping_add(1));
        Some(s[0])
    }
    fn remove(&mut self, hash: u64, k: &[u8]) -> Option<u64> {
        let v = self.0.get(hash, WordKey::Bytes(k)).map(|s| s[0]);
        assert_eq!(self.0.remove(hash, WordKey::Bytes(k)), v.is_some());
        v
    }
    fn len(&self) -> usize {
        self.0.len()
    }
    fn barrier(&mut self, scope: Scope) {
        self.0.barrier(scope);
    }
    fn drain(&mut self, budget: usize, sink: &mut TestSink) -> Drained {
        self.0.drain(budget, sink)
    }
    fn restore(&mut self, b: &StateBlock) {
        self.0.restore(b).unwrap();
    }
    fn each(&self, f: &mut dyn FnMut(u64, &[u8], u64)) {
        self.0.for_each(|h, k, s| {
            let WordKey::Bytes(k) = k else { unreachable!() };
            f(h, k, s[0]);
        });
    }
    fn stored(k: &[u8], v: u64) -> (Vec<u8>, Vec<u8>) {
        (prefixed(k), two_words(v))
    }
    fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

/// A table of words with keys of one word: a key's bytes are its number.
struct WordKeys<const K: usize>(WordTable);

fn word_of(k: &[u8]) -> u64 {
    // The test's keys differ in their digits; dashes only pad them.
    let digits: String = k.iter().take_while(|b| b.is_ascii_digit()).map(|b| *b as char).collect();
    digits.parse().unwrap_or_else(|_| KeyHash::new().bytes(k).finish())
}

fn words_of<const K: usize>(k: &[u8]) -> [u64; K] {
    std::array::from_fn(|i| if i == 0 { word_of(k) } else { 5 })
}

impl<const K: usize> Table for WordKeys<K> {
    const NEW: fn() -> Self = || Self(WordTable::with_prefix(3, &[PREFIX], K, 2));
    fn put(&mut self, hash: u64, k: &[u8], v: u64) {
        self.0.upsert_batch(&[hash], &words_of::<K>(k), |_, s, _| s.fill(v));
    }
    fn add(&mut self, hash: u64, k: &[u8]) -> Option<u64> {
        let s = self.0.get_mut(hash, WordKey::Words(&words_of::<K>(k)))?;
        assert_eq!(s[0], s[1]);
        s.fill(s[0].wrapping_add(1));
        Some(s[0])
    }
    fn remove(&mut self, hash: u64, k: &[u8]) -> Option<u64> {
        let words = words_of::<K>(k);
        let v = self.0.get(hash, WordKey::Words(&words)).map(|s| s[0]);
        assert_eq!(self.0.remove(hash, WordKey::Words(&words)), v.is_some());
        v
    }
    fn len(&self) -> usize {
        self.0.len()
    }
    fn barrier(&mut self, scope: Scope) {
        self.0.barrier(scope);
    }
    fn drain(&mut self, budget: usize, sink: &mut TestSink) -> Drained {
        self.0.drain(budget, sink)
    }
    fn restore(&mut self, b: &StateBlock) {
        self.0.restore(b).unwrap();
    }
    fn each(&self, f: &mut dyn FnMut(u64, &[u8], u64)) {
        self.0.for_each(|h, k, s| {
            let WordKey::Words(k) = k else { unreachable!() };
            f(h, &k.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<_>>(), s[0]);
        });
    }
    fn stored(k: &[u8], v: u64) -> (Vec<u8>, Vec<u8>) {
        (prefixed(&words_of::<K>(k).iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<_>>()), two_words(v))
    }
    fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

fn key(k: u32) -> Vec<u8> {
    // Of different lengths.
    format!("{k}{}", "-".repeat(k as usize % 13)).into_bytes()
}

const FLOOD: u32 = 2600;

struct Run<T> {
    table: T,
    hashes: Hashes,
    /// By the test's keys.
    live: BTreeMap<Vec<u8>, u64>,
    sink: TestSink,
    epoch: u64,
    draining: bool,
    at_barrier: Content,
    scope: Scope,
    /// Snapshots that a restore would read, oldest first; a full one starts anew.
    chain: Vec<Vec<StateBlock>>,
}

impl<T: Table> Run<T> {
    fn new(hashes: Hashes) -> Self {
        Self {
            table: T::NEW(),
            hashes,
            live: BTreeMap::new(),
            sink: TestSink::default(),
            epoch: 0,
            draining: false,
            at_barrier: Content::new(),
            scope: Scope::Full,
            chain: vec![],
        }
    }

    fn put(&mut self, k: &[u8], v: u64) {
        self.table.put(self.hashes.of(k), k, v);
        self.live.insert(k.to_vec(), v);
    }

    fn remove(&mut self, k: &[u8]) {
        assert_eq!(self.table.remove(self.hashes.of(k), k), self.live.remove(k));
    }

    fn apply(&mut self, s: Step) {
        match s {
            Step::Put(k, v) => self.put(&key(u32::from(k)), v),
            Step::Add(k) => {
                let k = key(u32::from(k));
                let got = self.table.add(self.hashes.of(&k), &k);
                let want = self.live.get_mut(&k).map(|v| {
                    *v = v.wrapping_add(1);
                    *v
                });
                assert_eq!(got, want);
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
        // Every other delta has no sixteenth in turn: it finds changed rows by the skip maps alone, which a table as small
        // as these would not need otherwise.
        let rotation = if self.epoch % 2 == 0 { (self.epoch / 2 % 16) as u8 } else { u8::MAX };
        self.scope = if full { Scope::Full } else { Scope::Delta { rotation } };
        self.table.barrier(self.scope);
        self.at_barrier = self.live.iter().map(|(k, v)| T::stored(k, *v)).collect();
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
        // Sixteen rotations, two snapshots each, hold everything.
        let from = self.chain.len().saturating_sub(32);
        let mut got = Content::new();
        self.chain[from..].iter().for_each(|b| replay(&mut got, b));
        assert!(got == self.at_barrier, "the snapshot is the state at its barrier");
        if self.epoch % 4 == 1 {
            self.check_restore(from);
        }
    }

    fn check_restore(&self, from: usize) {
        let mut t = T::NEW();
        self.chain[from..].iter().flatten().for_each(|b| t.restore(b));
        let mut rows = 0;
        let mut last = 0;
        t.each(&mut |h, _, _| {
            assert!(h >= last, "in hash order");
            last = h;
            rows += 1;
        });
        assert_eq!(rows, self.at_barrier.len());
        // What was restored, drained fully, is the state again.
        let mut sink = TestSink::default();
        t.barrier(Scope::Full);
        while t.drain(usize::MAX, &mut sink) == Drained::Pending {}
        let mut got = Content::new();
        replay(&mut got, &sink.blocks);
        assert_eq!(got, self.at_barrier);
        assert_eq!(t.len(), got.len());
    }
}

fn run<T: Table>(hashes: Hashes, steps: Vec<Step>) {
    let mut run = Run::<T>::new(hashes);
    steps.into_iter().for_each(|s| run.apply(s));
    while run.draining {
        run.drain(100);
    }
    run.barrier(true);
    while run.draining {
        run.drain(2000);
    }
    let keys: Vec<_> = run.live.keys().cloned().collect();
    keys.iter().for_each(|k| run.remove(k));
    // The tombstones go with the next snapshot.
    run.barrier(true);
    run.drain(usize::MAX);
    assert_eq!(run.table.len(), 0);
    assert!(run.draining || run.table.bytes() < 20_000, "memory is given back: {}", run.table.bytes());
}

fn hashes() -> impl Strategy<Value = Hashes> {
    prop_oneof![3 => Just(Hashes::All), 1 => Just(Hashes::OneTaskOf128), 1 => Just(Hashes::Few)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn snapshots_of_keyed_tables_are_the_state_at_the_barrier(h in hashes(), steps in proptest::collection::vec(step(), 1..100)) {
        run::<KeyedTable<u64>>(h, steps);
    }

    #[test]
    fn snapshots_of_word_tables_are_the_state_at_the_barrier(h in hashes(), steps in proptest::collection::vec(step(), 1..100)) {
        run::<WordKeys<1>>(h, steps);
    }

    #[test]
    fn snapshots_of_tables_of_many_words_are_the_state_at_the_barrier(h in hashes(), steps in proptest::collection::vec(step(), 1..50)) {
        run::<WordKeys<2>>(h, steps.clone());
        run::<WordKeys<4>>(h, steps);
    }

    #[test]
    fn snapshots_of_tables_with_byte_keys_are_the_state_at_the_barrier(h in hashes(), steps in proptest::collection::vec(step(), 1..100)) {
        run::<ByteKeys>(h, steps);
    }
}

/// A row that never was in a snapshot leaves no tombstone; one that was leaves exactly one.
#[test]
fn tombstones_only_for_rows_that_a_snapshot_holds() {
    let mut run = Run::<KeyedTable<u64>>::new(Hashes::All);
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

/// One row of a thousand changes: a delta holds little more than that row and its sixteenth.
#[test]
fn a_delta_holds_what_changed_and_a_sixteenth() {
    let mut run = Run::<WordKeys<1>>::new(Hashes::All);
    (0..16_000).for_each(|k| run.put(&key(k), 0));
    run.barrier(true);
    run.drain(usize::MAX);
    let delta = |run: &mut Run<WordKeys<1>>| -> usize {
        run.put(&key(7), run.epoch);
        run.barrier(false);
        run.drain(usize::MAX);
        run.chain.last().unwrap().iter().map(StateBlock::len).sum()
    };
    let with_sixteenth = delta(&mut run);
    assert!((900..1100).contains(&with_sixteenth), "{with_sixteenth}");
    assert_eq!(delta(&mut run), 1, "no sixteenth is due: only what changed");
}

/// A sweep sees every row once in a round.
#[test]
fn scan_visits_all_rows_in_portions() {
    let mut run = Run::<KeyedTable<u64>>::new(Hashes::All);
    (0..5000).for_each(|k| run.put(&key(k), u64::from(k)));
    let (mut seen, mut cursor, mut portions) = (Vec::new(), 0, 0);
    loop {
        cursor = run.table.scan(cursor, 100, |_, k, _| seen.push(k.to_vec()));
        portions += 1;
        if cursor == 0 {
            break;
        }
    }
    assert!(portions > 1);
    assert_eq!(seen.len(), 5000);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5000);
}

/// A window's table is dropped while a snapshot of it is under way.
#[test]
fn a_dropped_table_gives_its_frozen_rows_first() {
    let mut t = KeyedTable::<u64>::new(0, KeyGroups::DEFAULT);
    let hash = |k: u32| Hashes::All.of(&key(k));
    (0..5000).for_each(|k| *t.entry(hash(k), &key(k), || 0) = 1);
    t.barrier(Epoch(1), Scope::Full);
    let mut sink = TestSink::default();
    assert_eq!(t.drain(10, &mut sink), Drained::Pending);
    (0..5000).for_each(|k| *t.entry(hash(k), &key(k), || 0) = 2);
    let mut blocks = sink.blocks;
    blocks.extend(t.finish_drain());
    let mut got = Content::new();
    replay(&mut got, &blocks);
    assert_eq!(got.len(), 5000);
    assert!(got.values().all(|v| *v == 1u64.to_le_bytes()));
    assert!(t.finish_drain().is_empty());
}

/// Windows have a table each: an empty one and one of ten rows must cost little.
#[test]
fn small_tables_cost_little() {
    let mut t = WordTable::new(0, 1, 2);
    assert!(size_of::<WordTable>() + t.bytes() < 1200, "{}", size_of::<WordTable>() + t.bytes());
    for k in 0..10u64 {
        t.upsert_batch(&[KeyHash::new().int(k as i64).finish()], &[k], |_, s, fresh| {
            assert!(fresh);
            s[0] = k;
        });
    }
    assert!(size_of::<WordTable>() + t.bytes() < 2000, "{}", size_of::<WordTable>() + t.bytes());
}
