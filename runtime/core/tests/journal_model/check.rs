//! What must hold in every state, noticed where it would break, and the model itself.

use super::sink::Sink;
use super::world::{Config, Content, Late, Made, Shared, World};
use super::writer::{Do, Phase, Writer};
use sluice_core::journal::{Entry, ManifestRef, Tail};
use stateright::{Model, Property};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

/// A property that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Broken {
    /// Rows of an epoch and slot became visible twice.
    S1Repeated(u64, usize),
    /// Rows of a manifest became visible that is not canonical.
    S1NotCanonical(u64),
    /// An epoch is said to be committed, but its rows are not out.
    S2Lost(u64),
    /// Two writers made one epoch canonical.
    S3TwoMakers(u64),
    S3TwoPermits(u64),
    S3PermitWithoutRecord(u64),
    /// A record does not follow the tail that it was decided on.
    S4Chain(u64),
    /// A fenced writer's checkpoint became canonical.
    S5Fenced(u64),
    /// An older deployment runs after a newer one had started.
    S5OlderRun(u64),
    /// A canonical manifest names an object that is not there.
    S6Dangling(u64),
    /// Something that can still be restored was deleted.
    S10Deleted(u64),
    /// Held or dropped output became visible.
    HeldLeaked(u64),
    /// A checkpoint after the one that said stop, in the same run.
    RanOnAfterStop(u64),
    /// Started from a point behind output that is out, without being asked to.
    StartedBehindOutput(u64),
    /// Started from an epoch whose output was dropped: it would never come out.
    RestoredDropped(u64),
    /// A sink's progress is neither the epoch nor the one before.
    ProgressLost(u64),
    /// A fresh writer alone does not get going.
    Stuck,
}

impl World {
    /// Called before `record` is inserted.
    pub fn record_created(&mut self, config: &Config, me: usize, record: &Shared<Tail>) {
        let before = self.tail().cloned();
        if before.as_ref().is_some_and(|t| t.slot() > record.slot()) {
            return; // A stray: nobody reads it.
        }
        let summary = record.summary();
        let epoch = summary.last_epoch.0;
        if record.record.previous != before.as_ref().map(|t| t.checksum) {
            self.broken = Some(Broken::S4Chain(epoch));
        }
        match &record.record.entry {
            Entry::Generation { fence, restored_from, .. } => {
                let run = config.runs.get(me).copied().unwrap_or(u64::MAX);
                if run < self.highest_run {
                    self.broken = Some(Broken::S5OlderRun(fence.run.0));
                }
                self.highest_run = self.highest_run.max(run);
                self.generation(config, me, before.as_ref(), restored_from.as_ref());
            }
            Entry::Checkpoint { manifest, .. } => self.made_canonical(before.as_ref(), record, manifest),
            Entry::Committed { .. } | Entry::Stable { .. } | Entry::Retired { .. } | Entry::Stopped { .. } => {}
        }
        self.check_output(summary.committed.0);
    }

    fn generation(&mut self, config: &Config, me: usize, before: Option<&Shared<Tail>>, point: Option<&ManifestRef>) {
        if let Some(before) = before {
            self.dropped.extend(before.summary().dropped_by(point).iter().map(|m| m.epoch.0));
        }
        let from = point.map_or(0, |p| p.epoch.0);
        if self.dropped.contains(&from) {
            self.broken = Some(Broken::RestoredDropped(from));
        }
        let out = self.sink.log.iter().filter(|t| self.is_out(t.made, t.slot)).map(|t| t.made.epoch).max();
        let careful = config.rollback.is_none() || config.careful;
        if careful && config.runs.len() > me && out.is_some_and(|out| out > from) {
            self.broken = Some(Broken::StartedBehindOutput(from));
        }
        if let Some(point) = point {
            self.check_whole(Made::of(point), Broken::S10Deleted(from));
        }
    }

    fn made_canonical(&mut self, before: Option<&Shared<Tail>>, record: &Shared<Tail>, manifest: &ManifestRef) {
        let made = Made::of(manifest);
        if self.canonical.get(&made.epoch).is_some_and(|c| c.0 != made) {
            self.broken = Some(Broken::S3TwoMakers(made.epoch));
        }
        if before.is_none_or(|b| b.summary().fence != record.summary().fence) {
            self.broken = Some(Broken::S5Fenced(made.epoch));
        }
        let stopping = before.and_then(|b| {
            let stopped = self.stopped_run(b);
            (stopped == Some(record.summary().fence.run.0)).then_some(made.epoch)
        });
        if let Some(epoch) = stopping {
            self.broken = Some(Broken::RanOnAfterStop(epoch));
        }
        let content = self.objects.get(&made).map(|content| Content::clone(content));
        if content.is_none() {
            self.broken = Some(Broken::S6Dangling(made.epoch));
        }
        let missing = || Content { slots: 1, base: None, prev: vec![None], path: manifest.path.clone() };
        let content = content.unwrap_or_else(missing);
        self.canonical.insert(made.epoch, Shared::new((made, content)));
        self.check_whole(made, Broken::S6Dangling(made.epoch));
    }

    /// The run that a checkpoint `then: Stop` has ended, as any record that still stands says.
    fn stopped_run(&self, before: &Tail) -> Option<u64> {
        let stops = |t: &&Shared<Tail>| {
            matches!(&t.record.entry, Entry::Checkpoint { then: sluice_core::journal::Then::Stop, .. })
        };
        let said = self.journal.iter().find(stops).map(|t| t.summary().fence.run.0);
        said.or_else(|| before.summary().stopping.as_ref().map(|_| before.summary().fence.run.0))
    }

    pub fn permit_given(&mut self, me: usize, manifest: &ManifestRef) {
        let made = Made::of(manifest);
        if self.permits.iter().any(|(epoch, writer)| *epoch == made.epoch && *writer != me) {
            self.broken = Some(Broken::S3TwoPermits(made.epoch));
        }
        if self.canonical.get(&made.epoch).is_none_or(|c| c.0 != made) {
            self.broken = Some(Broken::S3PermitWithoutRecord(made.epoch));
        }
        self.permits.insert((made.epoch, me));
    }

    /// S2: all canonical epochs up to `committed` are out, whole.
    fn check_output(&mut self, committed: u64) {
        for (epoch, canonical) in self.canonical.range(..=committed) {
            let complete = (0..canonical.1.slots).all(|slot| self.is_out(canonical.0, slot));
            if !complete && !self.dropped.contains(epoch) {
                self.broken = Some(Broken::S2Lost(*epoch));
                return;
            }
        }
    }

    /// S10: whatever can be restored by what the tail says is there.
    pub fn check_objects(&mut self) {
        let restorable = self.tail().map_or_else(Vec::new, |t| t.summary().checkpoints.clone());
        for manifest in restorable {
            self.check_whole(Made::of(&manifest), Broken::S10Deleted(manifest.epoch.0));
        }
    }

    fn check_whole(&mut self, made: Made, broken: Broken) {
        let there = |made: Made| self.objects.get(&made);
        let whole = there(made).is_some_and(|c| c.base.is_none_or(|base| there(base).is_some()));
        if !whole && self.broken.is_none() {
            self.broken = Some(broken);
        }
    }

    pub fn content_of(&self, manifest: &ManifestRef) -> Content {
        let made = Made::of(manifest);
        let canonical = self.canonical.get(&made.epoch).filter(|c| c.0 == made).map(|c| c.1.clone());
        let stored = || self.objects.get(&made).map(|c| Content::clone(c));
        canonical.or_else(stored).unwrap_or(Content {
            slots: 1,
            base: None,
            prev: vec![None],
            path: manifest.path.clone(),
        })
    }

    /// The last epoch up to `committed` in which a slot had output.
    pub fn last_output(&self, committed: u64, slot: usize) -> Option<u64> {
        let had = |(epoch, c): &(&u64, &Shared<(Made, Content)>)| c.1.slots > slot && !self.dropped.contains(epoch);
        self.canonical.range(..=committed).rev().find(had).map(|(epoch, _)| *epoch)
    }
}

/// The model, with what is known already about who gets going alone.
pub struct Journal {
    config: Config,
    solo: Mutex<HashMap<u64, bool>>,
}

impl Journal {
    pub fn new(config: Config) -> Self {
        Self { config, solo: Mutex::default() }
    }

    /// Liveness: from here, a fresh writer that is scheduled alone comes to run (or finds that the job is at its end).
    fn gets_going_alone(&self, world: &World) -> bool {
        let mut hasher = DefaultHasher::new();
        (&world.journal, &world.sink, &world.objects).hash(&mut hasher);
        let key = hasher.finish();
        if let Some(known) = self.solo.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return *known;
        }
        let going = self.run_alone(world.clone());
        self.solo.lock().unwrap_or_else(PoisonError::into_inner).insert(key, going);
        going
    }

    fn run_alone(&self, mut world: World) -> bool {
        let me = world.writers.len();
        let mut config = self.config.clone();
        config.parallelism.resize(me, 1);
        config.parallelism.push(config.parallelism[me - 1]);
        (config.delete_slots, config.retire, config.lost_replies) = (false, false, 0);
        world.late = Late::Arrived;
        world.writers.push(Writer::new(&config));
        world.broken = None;
        for _ in 0..100 {
            match world.writers[me].phase {
                Phase::Running(_) => return world.broken.is_none(),
                Phase::Fenced | Phase::Ended => return false,
                _ => {}
            }
            let mut actions = Vec::new();
            world.actions_of(&config, me, &mut actions);
            let Some(first) = actions.first() else { return false };
            world.act(&config, me, *first);
        }
        false
    }
}

impl Model for Journal {
    type State = World;
    type Action = (usize, Do);

    fn init_states(&self) -> Vec<World> {
        let ids = self.config.parallelism.iter().max().copied().unwrap_or(1);
        vec![World {
            journal: Vec::new(),
            writers: self.config.runs.iter().map(|_| Writer::new(&self.config)).collect(),
            sink: Sink { owner: vec![None; ids], log: Vec::new() },
            objects: BTreeMap::new(),
            late: if self.config.late_create { Late::NotYet } else { Late::Arrived },
            canonical: BTreeMap::new(),
            permits: BTreeSet::new(),
            dropped: BTreeSet::new(),
            highest_run: 0,
            broken: None,
        }]
    }

    fn actions(&self, world: &World, out: &mut Vec<(usize, Do)>) {
        if world.broken.is_some() {
            return;
        }
        let mut mine = Vec::new();
        for writer in 0..world.writers.len() {
            mine.clear();
            world.actions_of(&self.config, writer, &mut mine);
            out.extend(mine.iter().map(|action| (writer, *action)));
        }
        if let Late::OnItsWay(writer, _) = world.late {
            out.push((writer, Do::LateArrives));
        }
    }

    fn next_state(&self, world: &World, (writer, action): (usize, Do)) -> Option<World> {
        let mut next = world.clone();
        next.act(&self.config, writer, action);
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("S1 to S6 and S10 hold", |_, world: &World| world.broken.is_none()),
            Property::always("a fresh writer alone gets going", |model: &Journal, world: &World| {
                world.broken.is_some() || model.gets_going_alone(world)
            }),
        ]
    }
}
