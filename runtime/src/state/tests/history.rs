//! Whole histories through everything between two tables: drains, segments in a store, chains, key-group ranges. Whatever
//! is put, removed, aborted, crashed and rescaled, a restore gives exactly the rows of the last confirmed epoch.

use super::*;
use crate::operator::{Drained, Scope};
use crate::state::restore::read_segments;
use crate::state::segment::SegmentBuilder;
use crate::store::{Store, remote::ObjectBacked};
use proptest::prelude::*;
use sluice_core::chain::{Chains, Member};
use sluice_core::checksum::Checksum;
use sluice_core::hash::KeyHash;
use sluice_core::id::{Epoch, OperatorId, WriterId};
use sluice_core::key_group::{KeyGroup, KeyGroups};
use sluice_core::manifest::SegmentRef;
use std::sync::Arc;

#[derive(Clone, Debug)]
enum Fate {
    Confirmed,
    Aborted,
    /// Everything since the last confirmed epoch is lost; goes on with this many tasks.
    Crash(usize),
}

type Changes = Vec<(u16, Option<u64>)>;

struct Job {
    store: Arc<dyn Store>,
    groups: KeyGroups,
    tables: Vec<KeyedTable<u64>>,
    relative: bool,
    snapshots: u64,
    chains: Chains,
    live: BTreeMap<u16, u64>,
    confirmed: BTreeMap<u16, u64>,
    epoch: u64,
    run: u64,
}

fn hash(key: u16) -> u64 {
    KeyHash::new().int(i64::from(key)).finish()
}

impl Job {
    fn new() -> Self {
        let groups = KeyGroups::new(8).unwrap();
        Self {
            store: Arc::new(ObjectBacked::memory()),
            groups,
            tables: vec![KeyedTable::new(0, groups)],
            relative: false,
            snapshots: 0,
            chains: Chains::default(),
            live: BTreeMap::new(),
            confirmed: BTreeMap::new(),
            epoch: 0,
            run: 0,
        }
    }

    fn change(&mut self, changes: &Changes) {
        for (key, value) in changes {
            let owner = self.groups.owner(self.groups.of(hash(*key)), self.tables.len());
            let table = &mut self.tables[owner];
            if let Some(v) = value {
                *table.entry(hash(*key), &key.to_le_bytes(), || 0) = *v;
                self.live.insert(*key, *v);
            } else {
                assert_eq!(table.remove(hash(*key), &key.to_le_bytes()), self.live.remove(key));
            }
        }
    }

    /// A snapshot of all tasks, with `during` happening while they drain; three rows a block and two blocks a segment, so
    /// that everything has several parts.
    async fn snapshot(&mut self, during: &Changes, fate: &Fate) {
        self.epoch += 1;
        let full = !self.relative;
        let scope = if full { Scope::Full } else { Scope::Delta { rotation: (self.snapshots % 16) as u8 } };
        self.snapshots += 1;
        self.relative = false;
        self.tables.iter_mut().for_each(|t| t.barrier(Epoch(self.epoch), scope));
        let frozen = self.live.clone();
        self.change(during);
        let mut written: BTreeMap<Member, Vec<SegmentRef>> = BTreeMap::new();
        for task in 0..self.tables.len() {
            let mut sink = TestSink::default();
            while self.tables[task].drain(5, &mut sink) == Drained::Pending {}
            let small = sink.blocks.iter().flat_map(split).collect::<Vec<_>>();
            for (part, blocks) in small.chunks(2).enumerate() {
                let segment = self.write(task, part, full, blocks).await;
                written.entry((0, task)).or_default().push(segment);
            }
        }
        match fate {
            Fate::Confirmed => {
                self.chains = self.chains.after(written, |_| full);
                self.confirmed = frozen;
                self.relative = true;
            }
            Fate::Aborted => {}
            Fate::Crash(tasks) => self.restart(*tasks).await,
        }
    }

    async fn write(&self, task: usize, part: usize, full: bool, blocks: &[StateBlock]) -> SegmentRef {
        let operator = OperatorId("op".into());
        let mut b = SegmentBuilder::new(operator.clone(), WriterId("w".into()), Epoch(self.epoch), self.groups);
        blocks.iter().for_each(|x| b.push(x));
        let (bytes, contents) = b.finish();
        let path = format!("{}-{}-{task}-{part}", self.run, self.epoch);
        self.store.put(&format!("job/{path}"), bytes.clone().into()).await.unwrap();
        SegmentRef {
            path,
            length: bytes.len() as u64,
            checksum: Checksum::crc32(&bytes),
            operator,
            epoch: Epoch(self.epoch),
            key_groups: contents.groups,
            rows: contents.rows,
            tombstones: contents.tombstones,
            full,
        }
    }

    async fn restart(&mut self, tasks: usize) {
        let segments = self.chains.segments().remove(&0).unwrap_or_default();
        self.tables = (0..tasks).map(|_| KeyedTable::new(0, self.groups)).collect();
        let mut got = BTreeMap::new();
        for (i, table) in self.tables.iter_mut().enumerate() {
            let range = self.groups.range(i, tasks);
            let mut feed = |b: &StateBlock| {
                assert!(b.hashes.iter().all(|h| range.contains(&self.groups.of(*h).0)), "only its own key groups");
                table.restore(b).unwrap();
                Ok(())
            };
            let named: Vec<_> = segments.iter().map(|s| (format!("job/{}", s.path), s)).collect();
            read_segments(&self.store, &named, self.groups, &range, &mut feed).await.unwrap();
            table.for_each(|h, k, v| {
                assert!(range.contains(&KeyGroup(self.groups.of(h).0).0));
                got.insert(u16::from_le_bytes(k.try_into().unwrap()), *v);
            });
        }
        assert_eq!(got, self.confirmed, "a restore is the last confirmed epoch");
        self.live = self.confirmed.clone();
        // A new run: its chains begin with a full snapshot; until that is confirmed the old ones stand.
        self.relative = false;
        self.snapshots = 0;
        self.run += 1;
    }
}

/// A block in pieces of three rows.
fn split(block: &StateBlock) -> Vec<StateBlock> {
    let mut out = Vec::new();
    for i in 0..block.len() {
        if i % 3 == 0 {
            out.push(StateBlock::new(block.table));
        }
        let b = out.last_mut().expect("just pushed");
        b.hashes.push(block.hashes[i]);
        b.deleted.push(block.deleted[i]);
        b.keys.push(block.keys.row(i));
        b.values.push(block.values.row(i));
    }
    out
}

fn changes() -> impl Strategy<Value = Changes> {
    proptest::collection::vec((0u16..60, proptest::option::weighted(0.6, any::<u64>())), 0..40)
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![6 => Just(Fate::Confirmed), 1 => Just(Fate::Aborted), 2 => (1usize..=8).prop_map(Fate::Crash)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn a_restore_is_the_last_confirmed_epoch(
        epochs in proptest::collection::vec((changes(), changes(), fate()), 1..40),
        tasks in 1usize..=8,
    ) {
        let io = tokio::runtime::Builder::new_current_thread().build().unwrap();
        io.block_on(async {
            let mut job = Job::new();
            for (before, during, fate) in &epochs {
                job.change(before);
                job.snapshot(during, fate).await;
            }
            job.restart(tasks).await;
        });
    }
}
