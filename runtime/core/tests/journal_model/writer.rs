//! One process: what it does next is decided by the functions of `sluice_core::journal`.

use super::check::Broken;
use super::sink::{Settled, SlotState};
use super::world::{Config, Content, Late, Made, Mutation, Shared, World};
use sluice_core::id::{Epoch, JobUid, Run, WriterId};
use sluice_core::journal::append::{after_create, after_read};
use sluice_core::journal::{
    Author, Commit, Confirmed, CreateAnswer, Draft, Entry, Expectation, Landed, ManifestRef, Record, Restore,
    RunChoice, StartRequest, Step, Tail, Then, retention, start,
};
use sluice_core::paths::ObjectName;
use sluice_core::time::ProcTime;
use std::collections::BTreeSet;

const AT: ProcTime = ProcTime(0);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Writer {
    pub phase: Phase,
    pub lost_left: u8,
    pub restarts_left: u8,
    /// Epochs that were aborted: their numbers are not used again.
    pub aborted: u64,
    /// A collection goes on beside all else, also in a zombie.
    pub collection: Option<Collection>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Has not read the journal.
    New,
    /// The record is sent until answered. The author is where its writer was before.
    Sending(Shared<Draft>, After, Option<Shared<Author>>),
    /// It stands; is it the last?
    Landed(Shared<Landed>, After),
    /// Settling the `index`th permit of `source`.
    Settling {
        author: Shared<Author>,
        source: Shared<Confirmed>,
        index: usize,
        slots: Vec<SlotState>,
    },
    Running(Shared<Author>),
    Fenced,
    /// Stopped, refused or halted.
    Ended,
}

/// The settling that goes on after a `Committed` of its own.
pub type After = Option<(Shared<Confirmed>, usize)>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Collection {
    Due(Shared<Confirmed>),
    /// Listed and judged; deleted later.
    Listed(Vec<Made>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Do {
    ReadAndDecide,
    Create,
    CreateLosingReply,
    /// Sent, and sent again; the first one is still on its way.
    CreateSentTwice,
    LateArrives,
    GiveUp,
    CheckTail,
    Settle(usize),
    ReportCommitted,
    Checkpoint,
    Stop,
    Stable,
    Retire,
    List,
    Delete,
    DeleteSlots,
    Restart,
}

impl Writer {
    pub fn new(config: &Config) -> Self {
        Self {
            phase: Phase::New,
            lost_left: config.lost_replies,
            restarts_left: config.restarts,
            aborted: 0,
            collection: None,
        }
    }
}

impl World {
    pub fn actions_of(&self, config: &Config, me: usize, out: &mut Vec<Do>) {
        let writer = &self.writers[me];
        match &writer.phase {
            Phase::New => out.push(Do::ReadAndDecide),
            Phase::Sending(draft, _, before) => {
                out.push(Do::Create);
                if self.late == Late::NotYet {
                    out.push(Do::CreateSentTwice);
                }
                let checkpoint = matches!(draft.record().entry, Entry::Checkpoint { .. });
                if config.give_up
                    && checkpoint
                    && before.is_some()
                    && draft.record().summary.last_epoch.0 < config.epochs
                {
                    out.push(Do::GiveUp);
                }
                if writer.lost_left > 0 {
                    out.push(Do::CreateLosingReply);
                }
            }
            Phase::Landed(..) => out.push(Do::CheckTail),
            Phase::Settling { author, slots, .. } => {
                if slots.iter().all(|s| *s == SlotState::Done) {
                    out.push(Do::ReportCommitted);
                }
                if config.plain_sink {
                    if slots.contains(&SlotState::Todo) {
                        out.push(Do::Settle(0));
                    }
                } else {
                    out.extend((0..slots.len()).filter(|s| self.can_settle(config, me, slots, *s)).map(Do::Settle));
                }
                // The sink may be down: the stop is recorded as pending, and the next run settles.
                if author.summary().stopping.is_some() && slots.contains(&SlotState::Todo) {
                    out.push(Do::Stop);
                }
                self.deletable_slots(config, author, out);
            }
            Phase::Running(author) => self.running(config, me, author, out),
            Phase::Fenced => {
                if writer.restarts_left > 0 {
                    out.push(Do::Restart);
                }
            }
            Phase::Ended => {}
        }
        match writer.collection {
            Some(Collection::Due(_)) => out.push(Do::List),
            Some(Collection::Listed(_)) => out.push(Do::Delete),
            None => {}
        }
    }

    fn running(&self, config: &Config, me: usize, author: &Author, out: &mut Vec<Do>) {
        let summary = author.summary();
        if summary.stopping.is_some() {
            out.push(Do::Stop);
        } else if summary.last_epoch.0 + self.writers[me].aborted < config.epochs {
            out.push(Do::Checkpoint);
        }
        if config.held == Some(me) && !summary.unsettled.is_empty() {
            out.push(Do::Stable);
        }
        let writer = &self.writers[me];
        if config.retire && writer.collection.is_none() && retention::retire(summary, 1).is_some() {
            out.push(Do::Retire);
        }
        self.deletable_slots(config, author, out);
    }

    fn deletable_slots(&self, config: &Config, author: &Author, out: &mut Vec<Do>) {
        if config.delete_slots && self.journal.first().is_some_and(|t| t.slot() < author.slot()) {
            out.push(Do::DeleteSlots);
        }
    }

    /// `None`: nothing changes.
    pub fn act(&mut self, config: &Config, me: usize, action: Do) {
        match (self.writers[me].phase.clone(), action) {
            (Phase::New, Do::ReadAndDecide) => self.start(config, me),
            (Phase::Sending(draft, then, _), Do::Create) => self.create(config, me, draft, then, false),
            (Phase::Sending(draft, then, _), Do::CreateLosingReply) => self.create(config, me, draft, then, true),
            (Phase::Sending(draft, ..), Do::CreateSentTwice) => self.late = Late::OnItsWay(me, draft),
            (Phase::Sending(_, _, Some(before)), Do::GiveUp) => {
                self.writers[me].aborted += 1;
                self.writers[me].phase = Phase::Running(before);
            }
            (_, Do::LateArrives) => {
                if let Late::OnItsWay(writer, draft) = std::mem::replace(&mut self.late, Late::Arrived) {
                    self.put(config, writer, &draft);
                }
            }
            (Phase::Landed(landed, then), Do::CheckTail) => self.check_tail(config, me, &landed, then),
            (Phase::Settling { author, source, index, slots }, Do::Settle(slot)) => {
                self.settle_step(config, me, author, source, index, slots, slot);
            }
            (Phase::Settling { author, source, index, .. }, Do::ReportCommitted) => {
                let permit = source.clone_permits().swap_remove(index);
                let draft = author.committed(&permit, AT).expect("the permit is the next to be settled");
                self.writers[me].phase = Phase::Sending(Shared::new(draft), Some((source, index + 1)), None);
            }
            (Phase::Running(author), Do::Checkpoint) => self.checkpoint(config, me, &author),
            (Phase::Running(author) | Phase::Settling { author, .. }, Do::Stop) => {
                self.send(me, author.stopped(None, AT).expect("it is stopping"), None);
            }
            (Phase::Running(author), Do::Stable) => self.send(me, author.stable(AT).expect("it is running"), None),
            (Phase::Running(author), Do::Retire) => self.retire(config, me, &author),
            (Phase::Running(author) | Phase::Settling { author, .. }, Do::DeleteSlots) => {
                self.journal.retain(|t| t.slot() >= author.slot());
            }
            (Phase::Fenced, Do::Restart) => {
                self.writers[me].restarts_left -= 1;
                self.writers[me].phase = Phase::New;
            }
            (_, Do::List) => self.list(config, me),
            (_, Do::Delete) => {
                if let Some(Collection::Listed(garbage)) = self.writers[me].collection.take() {
                    self.objects.retain(|made, _| !garbage.contains(made));
                    self.check_objects();
                }
            }
            (phase, action) => unreachable!("{action:?} in {phase:?}"),
        }
    }

    fn send(&mut self, me: usize, draft: Draft, before: Option<&Shared<Author>>) {
        self.writers[me].phase = Phase::Sending(Shared::new(draft), None, before.cloned());
    }

    fn start(&mut self, config: &Config, me: usize) {
        let run = match config.mutation {
            Some(Mutation::RunByJournal) => RunChoice::Next,
            _ => config.runs.get(me).map_or(RunChoice::Next, |run| RunChoice::Exactly(Run(*run))),
        };
        let mut tail = self.read_tail(config).map(|t| Tail::clone(t));
        let oldest = tail.as_ref().and_then(|t| t.summary().checkpoints.first()).cloned();
        let restore = match oldest {
            Some(oldest) if config.rollback == Some(me) => {
                let allow_repeat = !config.careful || config.is(Mutation::IgnoreExpectation);
                Restore::Epoch { epoch: oldest.epoch, allow_repeat }
            }
            _ => Restore::Latest,
        };
        if let Some(tail) = &mut tail {
            tamper(config, tail, &restore);
        }
        let request = StartRequest {
            job: JobUid("j".into()),
            writer: WriterId(me.to_string()),
            run,
            operation: None,
            expectation: match config.runs.get(me) {
                Some(run)
                    if config.careful && config.rollback == Some(me) && !config.is(Mutation::IgnoreExpectation) =>
                {
                    Expectation::NoCheckpointOf { run: Run(run - 1) }
                }
                _ => Expectation::Any,
            },
            restore,
            layout: Vec::new(),
            key_groups: None,
            hash_id: "h1".into(),
            must_wait: false,
        };
        match start::decide(tail.as_ref(), &request, AT) {
            Ok(draft) => self.send(me, draft, None),
            Err(_) => self.writers[me].phase = Phase::Ended,
        }
    }

    /// A create arrives at the store. `false`: the slot is taken.
    fn put(&mut self, config: &Config, me: usize, draft: &Shared<Draft>) -> bool {
        let free = self.at(draft.record().slot).is_none();
        if free {
            let tail = Shared::new(Tail { record: draft.record().clone(), checksum: draft.checksum() });
            self.record_created(config, me, &tail);
            self.insert(tail);
        }
        free
    }

    fn create(&mut self, config: &Config, me: usize, draft: Shared<Draft>, then: After, lose_reply: bool) {
        let answer = if self.put(config, me, &draft) { CreateAnswer::Created } else { CreateAnswer::Exists };
        if lose_reply {
            self.writers[me].lost_left -= 1;
            return;
        }
        let step = match after_create(Draft::clone(&draft), answer) {
            Step::ReadSlot(draft) => {
                let found = self.at(draft.record().slot).map(|found| misread(config, &found.record, draft.record()));
                after_read(draft, found.as_ref())
            }
            step => step,
        };
        self.writers[me].phase = match step {
            Step::Landed(landed) => Phase::Landed(Shared::new(landed), then),
            Step::SendAgain(_) | Step::ReadSlot(_) => return,
            // Who lost before it began decides again; a live one is fenced.
            Step::Lost(_) if matches!(draft.record().entry, Entry::Generation { .. }) => Phase::New,
            Step::Lost(_) => Phase::Fenced,
        };
    }

    fn check_tail(&mut self, config: &Config, me: usize, landed: &Landed, then: After) {
        let retired = matches!(landed.record().entry, Entry::Retired { .. });
        let skip = config.is(Mutation::NoTailCheck) || config.is(Mutation::RetiredUnchecked) && retired;
        let looks = landed.needs_tail_check() && !skip;
        let highest = if looks { self.tail().map(|t| t.slot()) } else { None };
        let Ok(confirmed) = landed.clone().confirm(highest) else {
            self.writers[me].phase = Phase::Fenced;
            return;
        };
        let confirmed = Shared::new(confirmed);
        let (author, permits) = Confirmed::clone(&confirmed).take_up(confirmed.checksum_of_record());
        let author = Shared::new(author);
        if let Entry::Checkpoint { manifest, commit: Commit::Now, .. } = &confirmed.record().entry {
            self.permit_given(me, manifest);
        }
        if config.is(Mutation::UploadLate) && matches!(confirmed.record().entry, Entry::Checkpoint { .. }) {
            self.upload_now(me, confirmed.record());
        }
        if permits.delete.is_some() {
            self.writers[me].collection = Some(Collection::Due(confirmed.clone()));
        }
        let stopped = matches!(confirmed.record().entry, Entry::Stopped { .. });
        let (source, index) = then.unwrap_or((confirmed, 0));
        self.writers[me].phase = match source.clone_permits().get(index) {
            _ if stopped => Phase::Ended,
            Some(permit) => {
                let slots = self.content_of(permit.manifest()).slots;
                let state = if config.is(Mutation::NoSettling) && !own_checkpoint(&source) {
                    SlotState::Done
                } else {
                    SlotState::Todo
                };
                Phase::Settling { author, source, index, slots: vec![state; slots] }
            }
            None => Phase::Running(author),
        };
        if config.is(Mutation::SettleHeld) {
            self.settle_held(me);
        }
    }

    /// The mutant publishes what it was told to hold.
    fn settle_held(&mut self, me: usize) {
        if let Phase::Running(author) = self.writers[me].phase.clone() {
            for unsettled in author.summary().unsettled.iter().filter(|u| u.held) {
                let content = self.content_of(&unsettled.manifest);
                self.settle_plainly(Made::of(&unsettled.manifest), &content);
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one phase")]
    fn settle_step(
        &mut self,
        config: &Config,
        me: usize,
        author: Shared<Author>,
        source: Shared<Confirmed>,
        index: usize,
        slots: Vec<SlotState>,
        slot: usize,
    ) {
        let manifest = source.clone_permits()[index].manifest().clone();
        let content = self.content_of(&manifest);
        let made = Made::of(&manifest);
        let settled = if config.plain_sink {
            self.settle_plainly(made, &content);
            Settled::Slots(vec![SlotState::Done; slots.len()])
        } else {
            self.settle(config, me, (made, &content), slots, slot)
        };
        self.writers[me].phase = match settled {
            Settled::Slots(slots) => Phase::Settling { author, source, index, slots },
            Settled::Fenced => Phase::Fenced,
            // Progress beyond the epoch is usual for a zombie: its successors have gone on. Only the last one may cry.
            Settled::Halted if self.tail().is_some_and(|t| t.slot() > author.slot()) => Phase::Fenced,
            Settled::Halted => {
                self.broken = Some(Broken::ProgressLost(made.epoch));
                Phase::Ended
            }
        };
    }

    fn checkpoint(&mut self, config: &Config, me: usize, author: &Shared<Author>) {
        let epoch = Epoch(author.summary().last_epoch.0 + 1 + self.writers[me].aborted);
        let mut manifest = self.upload(config, me, &author.tail().record, epoch);
        if config.is(Mutation::UploadLate) {
            self.objects.remove(&Made::of(&manifest));
        }
        manifest.made_by = author.fence();
        let then = if config.stop_at == Some(epoch.0) && me == 0 { Then::Stop } else { Then::Run };
        let commit = if config.held == Some(me) { Commit::Held } else { Commit::Now };
        // What is held waits for Stable first.
        if let Ok(draft) = author.checkpoint(manifest, None, then, commit, AT) {
            self.send(me, draft, Some(author));
        }
    }

    fn upload(&mut self, config: &Config, me: usize, record: &Record, epoch: Epoch) -> ManifestRef {
        let summary = &record.summary;
        let name = ObjectName { fence: summary.fence, writer: WriterId(me.to_string()), epoch };
        let slots = config.parallelism.get(me).copied().unwrap_or(1);
        let content = Content {
            slots,
            base: summary.resume.as_ref().map(Made::of),
            prev: (0..slots).map(|slot| self.last_output(summary.committed.0, slot)).collect(),
            path: name.manifest(),
        };
        let reference = ManifestRef {
            epoch,
            path: content.path.clone(),
            checksum: sluice_core::checksum::Checksum::Crc32(me as u32),
            made_by: summary.fence,
            savepoint: false,
        };
        self.objects.insert(Made { epoch: epoch.0, maker: me }, Shared::new(content));
        reference
    }

    fn upload_now(&mut self, me: usize, record: &Record) {
        let canonical = self.canonical.get(&record.summary.last_epoch.0).filter(|c| c.0.maker == me);
        if let Some((made, content)) = canonical.map(|c| (c.0, c.1.clone())) {
            self.objects.insert(made, Shared::new(content));
        }
    }

    fn retire(&mut self, config: &Config, me: usize, author: &Author) {
        let Some(below) = retention::retire(author.summary(), 1) else { return };
        if config.is(Mutation::DeleteUnrecorded) {
            let kept = author.summary().last_epoch.0;
            let garbage = self.objects.keys().filter(|made| made.epoch < kept).copied().collect();
            self.writers[me].collection = Some(Collection::Listed(garbage));
            return;
        }
        self.send(me, author.retired(below, AT).expect("there is something to retire"), None);
    }

    fn list(&mut self, config: &Config, me: usize) {
        let Some(Collection::Due(confirmed)) = self.writers[me].collection.clone() else { return };
        let (_, permits) = Confirmed::clone(&confirmed).take_up(confirmed.checksum_of_record());
        let Some(permit) = permits.delete else { return };
        let mut reached = BTreeSet::new();
        for manifest in permit.unretired() {
            // A manifest that cannot be read stops the collection.
            let Some(content) = self.objects.get(&Made::of(manifest)) else {
                self.writers[me].collection = None;
                return;
            };
            reached.insert(content.path.clone());
            reached.extend(content.base.and_then(|base| self.objects.get(&base)).map(|c| c.path.clone()));
        }
        let names: Vec<&str> = self.objects.values().map(|c| c.path.as_str()).collect();
        let garbage: BTreeSet<&str> = if config.is(Mutation::DeleteHigher) {
            names.into_iter().filter(|name| !reached.contains(*name)).collect()
        } else {
            permit.garbage(names, &reached).into_iter().collect()
        };
        let garbage = self.objects.iter().filter(|(_, c)| garbage.contains(c.path.as_str())).map(|(made, _)| *made);
        self.writers[me].collection = Some(Collection::Listed(garbage.collect()));
    }
}

fn own_checkpoint(source: &Confirmed) -> bool {
    matches!(source.record().entry, Entry::Checkpoint { .. })
}

/// Mutants that take another record for their own.
fn misread(config: &Config, found: &Record, mine: &Record) -> Record {
    let taken = match config.mutation {
        Some(Mutation::OwnByContent) => found.entry == mine.entry,
        Some(Mutation::OwnByWriter) => found.writer == mine.writer,
        _ => false,
    };
    if taken { mine.clone() } else { found.clone() }
}

/// Mutants that misread the tail.
fn tamper(config: &Config, tail: &mut Tail, restore: &Restore) {
    let summary = &mut tail.record.summary;
    match config.mutation {
        Some(Mutation::ReuseEpochs) => {
            if let Restore::Epoch { epoch, .. } = restore {
                summary.last_epoch = *epoch;
                summary.committed = *epoch;
                summary.unsettled.clear();
                summary.checkpoints.retain(|c| c.epoch <= *epoch);
            }
        }
        Some(Mutation::ForgetStop) => summary.stopping = None,
        Some(Mutation::ForgetUnsettled) => summary.unsettled.clear(),
        Some(Mutation::RestoreDropped) => {
            // Output that was held is forgotten and its checkpoint restored all the same.
            summary.unsettled.retain(|u| !u.held);
        }
        _ => {}
    }
}

/// The permits of a confirmed record, as often as the model looks at them.
pub trait Looks {
    fn clone_permits(&self) -> Vec<sluice_core::journal::CommitPermit>;
    fn checksum_of_record(&self) -> sluice_core::checksum::Checksum;
}

impl Looks for Shared<Confirmed> {
    fn clone_permits(&self) -> Vec<sluice_core::journal::CommitPermit> {
        Confirmed::clone(self).take_up(self.checksum_of_record()).1.commits
    }

    fn checksum_of_record(&self) -> sluice_core::checksum::Checksum {
        // As computed over the draft: the record alone decides it.
        Shared::new(self.record().clone()).checksum()
    }
}
