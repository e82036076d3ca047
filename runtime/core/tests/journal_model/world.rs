//! The world: one journal, one sink, the objects of checkpoints, some writers, and what ghosts remember.

use super::check::Broken;
use super::sink::Sink;
use super::writer::Writer;
use sluice_core::checksum::Checksum;
use sluice_core::journal::{Draft, ManifestRef, Slot, Tail};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// What is explored. All numbers are kept small: the state space is their exponential.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The run of each writer.
    pub runs: Vec<u64>,
    /// Sink slots of each writer.
    pub parallelism: Vec<usize>,
    /// The journal takes no epoch above this.
    pub epochs: u64,
    /// Per writer.
    pub lost_replies: u8,
    /// Per writer: a fenced one begins anew.
    pub restarts: u8,
    pub delete_slots: bool,
    /// One create, by anyone, may arrive twice, the second time at any later moment.
    pub late_create: bool,
    /// A writer may take silence for failure: it aborts the checkpoint and goes on with the next epoch.
    pub give_up: bool,
    /// Retire all but the last checkpoint, and delete garbage.
    pub retire: bool,
    /// Settling is one idempotent step (files published by name) and not Kafka's protocol.
    pub plain_sink: bool,
    /// This writer starts from the oldest checkpoint there is.
    pub rollback: Option<usize>,
    /// It does so only if the run before it made no checkpoint, and nothing may be repeated.
    pub careful: bool,
    /// This writer's output is held until it says that it is stable.
    pub held: Option<usize>,
    /// The first writer stops at this epoch; its sink may be down then.
    pub stop_at: Option<u64>,
    pub mutation: Option<Mutation>,
}

/// A deliberate mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    NoTailCheck,
    OwnByContent,
    WalkUp,
    NoSettling,
    SinkNotFenced,
    NoProgress,
    OwnLayout,
    OwnLayoutLastStable,
    LastStable,
    ReuseEpochs,
    DeleteUnrecorded,
    RetiredUnchecked,
    DeleteHigher,
    OwnByWriter,
    RunByJournal,
    SettleHeld,
    ForgetStop,
    ForgetUnsettled,
    UploadLate,
    RestoreDropped,
    IgnoreExpectation,
}

impl Config {
    pub fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }
}

/// A value that is shared and hashed once: records are large, and a state holds many.
#[derive(Debug)]
pub struct Shared<T> {
    value: Arc<T>,
    hash: u64,
}

impl<T: Hash> Shared<T> {
    pub fn new(value: T) -> Self {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        Self { value: Arc::new(value), hash: hasher.finish() }
    }

    pub fn checksum(&self) -> Checksum {
        Checksum::Crc32(self.hash as u32)
    }
}

impl<T> std::ops::Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), hash: self.hash }
    }
}

impl<T> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl<T> Eq for Shared<T> {}

impl<T> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// A manifest by its epoch and the writer that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Made {
    pub epoch: u64,
    pub maker: usize,
}

impl Made {
    pub fn of(manifest: &ManifestRef) -> Self {
        // The writer's id is one digit, behind `checkpoints/<10>.<10>.`.
        let maker = manifest.path.as_bytes()[34] - b'0';
        Self { epoch: manifest.epoch.0, maker: maker.into() }
    }
}

/// What lies in the store under a manifest's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Content {
    /// Sink slots of its layout.
    pub slots: usize,
    /// The manifest whose segment this one refers to beside its own.
    pub base: Option<Made>,
    /// Per slot, the last epoch that had output before.
    pub prev: Vec<Option<u64>>,
    /// `checkpoints/…` of the manifest; its segment lies beside it.
    pub path: String,
}

/// The one create that may arrive twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Late {
    NotYet,
    OnItsWay(usize, Shared<Draft>),
    Arrived,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// Ascending by slot; deleted ones are missing.
    pub journal: Vec<Shared<Tail>>,
    pub writers: Vec<Writer>,
    pub sink: Sink,
    /// Objects in the store: one stands for a manifest and its segment.
    pub objects: BTreeMap<Made, Shared<Content>>,
    /// A create that is still on its way.
    pub late: Late,
    /// Ghosts, which no writer sees.
    pub canonical: BTreeMap<u64, Shared<(Made, Content)>>,
    pub permits: BTreeSet<(u64, usize)>,
    pub dropped: BTreeSet<u64>,
    pub highest_run: u64,
    pub broken: Option<Broken>,
}

impl World {
    pub fn tail(&self) -> Option<&Shared<Tail>> {
        self.journal.last()
    }

    pub fn at(&self, slot: Slot) -> Option<&Shared<Tail>> {
        self.journal.iter().find(|t| t.slot() == slot)
    }

    /// What a starter takes for the tail.
    pub fn read_tail(&self, config: &Config) -> Option<&Shared<Tail>> {
        if !config.is(Mutation::WalkUp) {
            return self.tail();
        }
        let mut walked = self.journal.first()?;
        while let Some(next) = self.at(walked.slot().next()) {
            walked = next;
        }
        Some(walked)
    }

    pub fn insert(&mut self, record: Shared<Tail>) {
        let at = self.journal.partition_point(|t| t.slot() < record.slot());
        self.journal.insert(at, record);
    }
}
