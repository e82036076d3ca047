use super::append::{after_create, after_read};
use super::summary::Answer;
use super::*;
use crate::checksum::Checksum;
use crate::id::{Epoch, Fence, Incarnation, JobUid, OperatorId, Run, WriterId};
use crate::key_group::KeyGroups;
use crate::paths::ObjectName;
use crate::time::ProcTime;
use proptest::prelude::*;
use std::collections::BTreeSet;

const AT: ProcTime = ProcTime(1_000);

fn request(writer: &str, run: RunChoice) -> StartRequest {
    StartRequest {
        job: JobUid("job".into()),
        writer: WriterId(writer.into()),
        run,
        operation: None,
        expectation: Expectation::Any,
        restore: Restore::Latest,
        layout: vec![SinkLayout { sink: OperatorId("name:out".into()), slots: 2 }],
        key_groups: None,
        hash_id: "h1".into(),
        must_wait: false,
    }
}

fn manifest(author: &Author, epoch: u64) -> ManifestRef {
    let name = ObjectName { fence: author.fence(), writer: author.writer().clone(), epoch: Epoch(epoch) };
    ManifestRef {
        epoch: Epoch(epoch),
        path: name.manifest(),
        checksum: Checksum::crc32(&epoch.to_le_bytes()),
        made_by: author.fence(),
        savepoint: false,
    }
}

/// A store that works: every draft lands and is the tail.
fn land(draft: Draft) -> (Author, Permits) {
    let bytes = draft.record().encode();
    let Step::Landed(landed) = after_create(draft, CreateAnswer::Created) else { panic!("created") };
    landed.confirm(None).unwrap().take_up(Record::checksum(&bytes))
}

fn tail_of(author: &Author) -> Tail {
    let record = author.tail().record.clone();
    Tail { checksum: Record::checksum(&record.encode()), record }
}

fn started(run: u64) -> Author {
    land(start::decide(None, &request("w", RunChoice::Exactly(Run(run))), AT).unwrap()).0
}

fn checkpoint(author: &Author, epoch: u64, commit: Commit) -> (Author, Permits) {
    land(author.checkpoint(manifest(author, epoch), None, Then::Run, commit, AT).unwrap())
}

fn committed(author: &Author, epoch: u64) -> Author {
    let (author, permits) = checkpoint(author, epoch, Commit::Now);
    land(author.committed(&permits.commits[0], AT).unwrap()).0
}

fn start_on(author: &Author, request: &StartRequest) -> Result<(Author, Permits), StartRefusal> {
    start::decide(Some(&tail_of(author)), request, AT).map(land)
}

fn epochs(refs: &[ManifestRef]) -> Vec<u64> {
    refs.iter().map(|r| r.epoch.0).collect()
}

#[test]
fn a_checkpoint_waits_for_the_commit_before_it() {
    let (author, permits) = checkpoint(&started(1), 1, Commit::Now);
    assert_eq!(permits.commits[0].epoch(), Epoch(1));
    let refused = author.checkpoint(manifest(&author, 2), None, Then::Run, Commit::Now, AT).unwrap_err();
    assert_eq!(refused, GrammarError::Unsettled { epoch: Epoch(1) });
    let author = land(author.committed(&permits.commits[0], AT).unwrap()).0;
    assert_eq!(author.summary().committed, Epoch(1));
    let refused = author.checkpoint(manifest(&author, 1), None, Then::Run, Commit::Now, AT).unwrap_err();
    assert_eq!(refused, GrammarError::EpochNotRising { epoch: Epoch(1), last: Epoch(1) });
    // A permit is not worth a second commit.
    assert_eq!(
        author.committed(&permits.commits[0], AT).unwrap_err(),
        GrammarError::NotNextToSettle { epoch: Epoch(1) }
    );
    // Without staging the record commits itself.
    let (author, permits) = checkpoint(&author, 4, Commit::Nothing);
    assert!(permits.commits.is_empty());
    assert_eq!(author.summary().committed, Epoch(4));
}

#[test]
fn a_successor_settles_what_it_finds() {
    let (author, _) = checkpoint(&started(1), 1, Commit::Now);
    let (next, permits) = start_on(&author, &request("v", RunChoice::Exactly(Run(1)))).unwrap();
    assert_eq!(next.fence(), Fence { run: Run(1), incarnation: Incarnation(2) });
    assert_eq!(permits.commits.len(), 1);
    assert_eq!(permits.commits[0].manifest(), &manifest(&author, 1));
    let next = land(next.committed(&permits.commits[0], AT).unwrap()).0;
    assert!(next.summary().unsettled.is_empty());
    // Also when it is ordered to go on from elsewhere: what was promised "now" is settled first.
    let nothing = StartRequest { restore: Restore::Nothing, ..request("v", RunChoice::Next) };
    let (next, permits) = start_on(&author, &nothing).unwrap();
    assert_eq!(permits.commits[0].epoch(), Epoch(1));
    assert_eq!(next.summary().resume, None);
    assert_eq!(next.summary().last_epoch, Epoch(1), "epochs rise over the journal");
}

#[test]
fn runs_and_incarnations() {
    let author = committed(&started(3), 1);
    let refused = |request: &StartRequest| start_on(&author, request).unwrap_err();
    assert_eq!(
        refused(&request("v", RunChoice::Exactly(Run(2)))),
        StartRefusal::Superseded { run: Run(2), tail: Run(3) }
    );
    let waits = StartRequest { must_wait: true, ..request("v", RunChoice::Exactly(Run(3))) };
    assert_eq!(refused(&waits), StartRefusal::MustWait { run: Run(3) });
    let (next, _) = start_on(&author, &request("v", RunChoice::Next)).unwrap();
    assert_eq!(next.fence(), Fence { run: Run(4), incarnation: Incarnation(1) });

    let stopped = land(author.stopped(Some(OperationId("op".into())), AT).unwrap()).0;
    assert_eq!(stopped.summary().answered(&OperationId("op".into())), Some(&Answer::Stopped(Some(Epoch(1)))));
    assert_eq!(
        start_on(&stopped, &request("v", RunChoice::Exactly(Run(3)))).unwrap_err(),
        StartRefusal::RunStopped { run: Run(3), epoch: Some(Epoch(1)) }
    );
    assert!(stopped.checkpoint(manifest(&stopped, 2), None, Then::Run, Commit::Now, AT).is_err());
}

#[test]
fn identity_is_fixed_at_the_first_start() {
    let author = started(1);
    let other = |change: fn(&mut StartRequest)| {
        let mut request = request("v", RunChoice::Next);
        change(&mut request);
        start_on(&author, &request).unwrap_err().to_string()
    };
    assert!(other(|r| r.job = JobUid("x".into())).contains("belongs to job job, not to x"));
    assert!(other(|r| r.key_groups = KeyGroups::new(64).ok()).contains("has 128 key groups"));
    assert!(other(|r| r.hash_id = "h2".into()).contains("key hash 'h1'"));
}

#[test]
fn expectations() {
    use Expectation::*;
    let run = |n| RunChoice::Exactly(Run(n));
    let with = |expectation, n| StartRequest { expectation, ..request("v", run(n)) };
    let on_empty = |expectation| start::decide(None, &with(expectation, 1), AT).is_ok();
    assert!(on_empty(Any) && on_empty(Fresh));
    assert!(!on_empty(Stopped { epoch: Epoch(1) }) && !on_empty(NoCheckpointOf { run: Run(0) }));
    assert!(!on_empty(AtLeast { run: Run(0), epoch: Epoch(0) }), "an emptied bucket is noticed");

    let running = committed(&started(1), 1);
    let stopped = land(running.stopped(None, AT).unwrap()).0;
    let ok = |author: &Author, expectation, n| start_on(author, &with(expectation, n)).is_ok();
    assert!(!ok(&running, Fresh, 2) && ok(&running, Fresh, 1), "a later incarnation was covered by the first");
    assert!(ok(&stopped, Stopped { epoch: Epoch(1) }, 2));
    assert!(!ok(&stopped, Stopped { epoch: Epoch(2) }, 2) && !ok(&running, Stopped { epoch: Epoch(1) }, 2));
    assert!(ok(&running, AtLeast { run: Run(1), epoch: Epoch(1) }, 2));
    assert!(!ok(&running, AtLeast { run: Run(2), epoch: Epoch(1) }, 2));
    assert!(!ok(&running, AtLeast { run: Run(1), epoch: Epoch(2) }, 1), "checked at every start");

    let (second, _) = start_on(&running, &request("v", run(2))).unwrap();
    assert!(ok(&second, NoCheckpointOf { run: Run(2) }, 3));
    let second = committed(&second, 2);
    assert!(!ok(&second, NoCheckpointOf { run: Run(2) }, 3));
    let refusal = start_on(&second, &with(NoCheckpointOf { run: Run(2) }, 3)).unwrap_err().to_string();
    assert!(refusal.contains("expected no checkpoint of run 2, but the journal is at run 2 and epoch 2"), "{refusal}");
}

#[test]
fn held_output_waits_for_stable_and_is_dropped_by_a_rollback() {
    let stable = committed(&started(1), 1);
    let (new, _) = start_on(&stable, &request("v", RunChoice::Next)).unwrap();
    let (new, permits) = checkpoint(&new, 2, Commit::Held);
    assert!(permits.commits.is_empty());
    let (new, _) = checkpoint(&new, 3, Commit::Held);
    assert!(new.checkpoint(manifest(&new, 4), None, Then::Run, Commit::Now, AT).is_err(), "not before those held");

    // A crash within the run: still held, still the resume point.
    let (again, permits) = start_on(&new, &request("u", RunChoice::Exactly(Run(2)))).unwrap();
    assert!(permits.commits.is_empty());
    assert_eq!(again.summary().resume.as_ref().unwrap().epoch, Epoch(3));

    // Rollback: both are dropped, can never be restored, and nothing is repeated.
    let back = StartRequest {
        restore: Restore::Epoch { epoch: Epoch(1), allow_repeat: false },
        ..request("t", RunChoice::Next)
    };
    assert_eq!(epochs(&again.summary().dropped_by(stable.summary().resume.as_ref())), [2, 3]);
    let (back, permits) = start_on(&again, &back).unwrap();
    assert!(permits.commits.is_empty());
    assert_eq!(epochs(&back.summary().checkpoints), [1]);
    assert_eq!(back.summary().last_epoch, Epoch(3));

    // Or stable: settled in order.
    let (author, permits) = land(again.stable(AT).unwrap());
    assert_eq!(permits.commits.iter().map(CommitPermit::epoch).collect::<Vec<_>>(), [Epoch(2), Epoch(3)]);
    assert!(author.committed(&permits.commits[1], AT).is_err());
    let author = land(author.committed(&permits.commits[0], AT).unwrap()).0;
    let author = land(author.committed(&permits.commits[1], AT).unwrap()).0;
    assert_eq!(author.summary().committed, Epoch(3));
    assert!(author.summary().pins.is_empty());
}

#[test]
fn going_back_behind_committed_output_must_be_allowed() {
    let author = committed(&committed(&started(1), 1), 2);
    let back = |allow_repeat| StartRequest {
        restore: Restore::Epoch { epoch: Epoch(1), allow_repeat },
        ..request("v", RunChoice::Next)
    };
    assert_eq!(
        start_on(&author, &back(false)).unwrap_err(),
        StartRefusal::RepeatsOutput { epoch: Epoch(1), committed: Epoch(2) }
    );
    let (author, _) = start_on(&author, &back(true)).unwrap();
    assert_eq!(author.summary().resume.as_ref().unwrap().epoch, Epoch(1));
    assert!(author.checkpoint(manifest(&author, 2), None, Then::Run, Commit::Now, AT).is_err(), "never a number twice");
    let missing = StartRequest {
        restore: Restore::Epoch { epoch: Epoch(9), allow_repeat: true },
        ..request("v", RunChoice::Next)
    };
    assert!(matches!(start_on(&author, &missing), Err(StartRefusal::NotRestorable { .. })));
}

#[test]
fn a_start_prepared_from_a_point_that_is_gone_is_refused() {
    let author = committed(&started(1), 1);
    let read = author.summary().resume.clone();
    let with = |point: &Option<ManifestRef>, run| StartRequest {
        restore: Restore::Resume(point.clone()),
        ..request("v", RunChoice::Exactly(Run(run)))
    };
    assert_eq!(start_on(&author, &with(&read, 2)).unwrap().0.summary().resume, read);
    let author = committed(&author, 2);
    for run in [1, 2] {
        let refused = start_on(&author, &with(&read, run)).unwrap_err().to_string();
        assert_eq!(refused, "the job has moved on to epoch 2 while this start was prepared from epoch 1; start again");
        assert!(matches!(start_on(&author, &with(&None, run)), Err(StartRefusal::MovedOn { .. })));
    }
    assert!(start::decide(None, &with(&None, 1), AT).is_ok());
    assert!(start::decide(None, &with(&read, 1), AT).is_err(), "an emptied store is noticed");
}

#[test]
fn stop_is_in_the_record() {
    let author = started(1);
    let op = OperationId("stop-1".into());
    let draft = author.checkpoint(manifest(&author, 1), Some(op.clone()), Then::Stop, Commit::Now, AT).unwrap();
    let (author, permits) = land(draft);
    assert_eq!(author.summary().answered(&op), Some(&Answer::Checkpointed(Epoch(1))));
    assert!(author.stopped(None, AT).is_ok(), "pending: the sink may be down");
    // The process dies here; the next incarnation settles and stops, it does not run on.
    let (next, settle) = start_on(&author, &request("v", RunChoice::Exactly(Run(1)))).unwrap();
    assert_eq!(next.summary().stopping.as_ref().unwrap().epoch, Epoch(1));
    assert_eq!(
        next.checkpoint(manifest(&next, 2), None, Then::Run, Commit::Now, AT).unwrap_err(),
        GrammarError::Stopping { epoch: Epoch(1) }
    );
    let next = land(next.committed(&settle.commits[0], AT).unwrap()).0;
    let next = land(next.stopped(None, AT).unwrap()).0;
    let stopped = next.summary().stopped.as_ref().unwrap();
    assert!(stopped.settled);
    assert_eq!(next.summary().answered(&op), Some(&Answer::Stopped(Some(Epoch(1)))));
    drop(permits);
}

#[test]
fn pending_stop_is_settled_by_the_next_run() {
    let author = started(1);
    let draft = author.checkpoint(manifest(&author, 1), None, Then::Stop, Commit::Now, AT).unwrap();
    let (author, _) = land(draft);
    let author = land(author.stopped(None, AT).unwrap()).0;
    assert!(!author.summary().stopped.as_ref().unwrap().settled);
    let (next, permits) = start_on(&author, &request("v", RunChoice::Exactly(Run(2)))).unwrap();
    assert_eq!(permits.commits[0].epoch(), Epoch(1));
    assert_eq!(next.summary().stopped, None);
}

#[test]
fn appending_knows_its_own_record_by_the_writer_only() {
    let draft = start::decide(None, &request("w", RunChoice::Next), AT).unwrap();
    let twin = start::decide(None, &request("v", RunChoice::Next), AT).unwrap();
    assert!(matches!(after_create(draft.clone(), CreateAnswer::Unknown), Step::SendAgain(d) if d == draft));
    assert!(matches!(after_create(draft.clone(), CreateAnswer::Exists), Step::ReadSlot(_)));
    assert!(matches!(after_read(draft.clone(), None), Step::SendAgain(_)), "S3's 409, or deleted meanwhile");
    assert!(matches!(after_read(draft.clone(), Some(draft.record())), Step::Landed(_)));
    let Step::Lost(fenced) = after_read(draft.clone(), Some(twin.record())) else { panic!("lost") };
    assert_eq!(fenced.to_string(), "fenced: slot 0 of the journal was written by generation (1, 1)");

    let Step::Landed(landed) = after_create(draft, CreateAnswer::Created) else { panic!() };
    assert!(landed.needs_tail_check());
    assert!(landed.clone().confirm(Some(Slot(0))).is_ok());
    assert_eq!(landed.confirm(Some(Slot(1))).unwrap_err().slot, Slot(1));
}

#[test]
fn retention_keeps_the_last_the_open_and_the_pinned() {
    let mut author = started(1);
    for epoch in 1..=3 {
        author = committed(&author, epoch);
    }
    let (mut author, _) = start_on(&author, &request("v", RunChoice::Next)).unwrap();
    assert_eq!(author.summary().pins[0].manifest.epoch, Epoch(3));
    for epoch in 4..=8 {
        author = committed(&author, epoch);
    }
    assert_eq!(retention::retire(author.summary(), 2), Some(Epoch(7)));
    let (author, permits) = land(author.retired(Epoch(7), AT).unwrap());
    assert_eq!(epochs(&author.summary().checkpoints), [3, 7, 8], "3 is the origin of run 2");
    assert_eq!(epochs(permits.delete.as_ref().unwrap().unretired()), [3, 7, 8]);
    assert_eq!(retention::retire(author.summary(), 2), None);
    let author = land(author.stable(AT).unwrap()).0;
    assert_eq!(retention::retire(author.summary(), 2), Some(Epoch(7)), "the pin is gone");
    let (author, _) = land(author.retired(Epoch(7), AT).unwrap());
    assert_eq!(epochs(&author.summary().checkpoints), [7, 8]);
    assert_eq!(retention::retire(author.summary(), 0), Some(Epoch(8)), "the last one always stays");
    assert!(author.retired(Epoch(9), AT).is_err() && author.retired(Epoch(6), AT).is_err());
}

#[test]
fn only_own_and_lower_garbage_is_deleted() {
    let author = committed(&committed(&started(2), 1), 2);
    let (_, permits) = land(author.retired(Epoch(2), AT).unwrap());
    let permit = permits.delete.unwrap();
    let object = |run, incarnation, epoch| {
        ObjectName {
            fence: Fence { run: Run(run), incarnation: Incarnation(incarnation) },
            writer: WriterId("x".into()),
            epoch: Epoch(epoch),
        }
        .manifest()
    };
    let listed = [
        object(1, 9, 7), // a dead generation's, in flight when it died
        object(2, 1, 1), // retired
        object(2, 1, 2), // reached
        object(2, 1, 3), // my next one, being written
        object(2, 2, 1), // a successor's
        object(3, 1, 1),
        "checkpoints/README".to_string(),
    ];
    let reached = BTreeSet::from([object(2, 1, 2)]);
    let garbage = permit.garbage(listed.iter().map(String::as_str), &reached);
    assert_eq!(garbage, [listed[0].as_str(), listed[1].as_str()]);
}

#[test]
fn journal_slots_stay_while_young_or_few() {
    let permit = DeletePermit { fence: Fence::default(), last_epoch: Epoch(0), keep: vec![], tail: Slot(200) };
    let hour = retention::SLOT_AGE_KEPT_MS;
    let listed: Vec<_> = (100..=200).map(|n| (Slot(n), ProcTime(n as i64))).collect();
    let now = |ms: i64| ProcTime(hour + ms);
    assert_eq!(permit.slots(&listed, now(99)), []);
    assert_eq!(permit.slots(&listed, now(102)), [Slot(100), Slot(101), Slot(102)]);
    let all = permit.slots(&listed, now(1_000));
    assert_eq!(all.last(), Some(&Slot(136)), "64 remain: 137 to 200");
}

#[test]
fn a_fenced_process_waits_until_the_tail_stands_still() {
    let mut watch = start::StillWatch::default();
    assert!(!watch.observe(Slot(5), ProcTime(0), 1_000));
    assert!(!watch.observe(Slot(5), ProcTime(2_999), 1_000));
    assert!(!watch.observe(Slot(6), ProcTime(3_000), 1_000));
    assert!(!watch.observe(Slot(6), ProcTime(5_999), 1_000));
    assert!(watch.observe(Slot(6), ProcTime(6_000), 1_000));
}

#[test]
fn records_round_trip_and_belong_to_their_slot() {
    let author = committed(&started(1), 1);
    let record = &author.tail().record;
    let bytes = record.encode();
    assert_eq!(&Record::decode(record.slot, &bytes).unwrap(), record);
    assert!(matches!(Record::decode(Slot(7), &bytes), Err(RecordError::Misplaced { .. })));
    let newer = crate::envelope::seal("journal", record::JOURNAL_FORMAT + 1, &0);
    let refused = Record::decode(Slot(7), &newer).unwrap_err();
    assert!(matches!(&refused, RecordError::Envelope { source: crate::envelope::EnvelopeError::Newer { .. }, .. }));
}

/// One random step of a job's life, by whoever is alive.
fn step(author: &Author, open: &mut Vec<CommitPermit>, choice: u8, n: usize) -> Option<Author> {
    let next = author.summary().last_epoch.0 + 1;
    let writer = format!("w{n}");
    let draft = match choice % 10 {
        0..=2 => author.checkpoint(manifest(author, next), None, Then::Run, Commit::Now, AT).ok()?,
        3 => author.checkpoint(manifest(author, next), None, Then::Run, Commit::Held, AT).ok()?,
        4 => author.checkpoint(manifest(author, next), Some(OperationId(writer)), Then::Stop, Commit::Now, AT).ok()?,
        5 => author.stable(AT).ok()?,
        6 => author.retired(retention::retire(author.summary(), 2)?, AT).ok()?,
        7 => author.stopped(None, AT).ok()?,
        8 => {
            let epoch = author.summary().checkpoints.first()?.epoch;
            let restore = Restore::Epoch { epoch, allow_repeat: true };
            let request = StartRequest { restore, ..request(&writer, RunChoice::Next) };
            start::decide(Some(&tail_of(author)), &request, AT).ok()?
        }
        _ => {
            let run = author.fence().run;
            start::decide(Some(&tail_of(author)), &request(&writer, RunChoice::Exactly(run)), AT).ok()?
        }
    };
    let (mut author, permits) = land(draft);
    open.extend(permits.commits);
    while let Some(permit) = open.pop() {
        if let Ok(draft) = author.committed(&permit, AT) {
            author = land(draft).0;
        }
    }
    Some(author)
}

proptest! {
    /// Every record carries all that a successor needs: whatever lies below the highest slot may be gone.
    #[test]
    fn any_suffix_of_a_journal_gives_the_same_decision(choices in proptest::collection::vec(any::<u8>(), 1..40)) {
        let mut author = started(1);
        let mut records = vec![author.tail().clone()];
        let mut open = Vec::new();
        for (n, choice) in choices.iter().enumerate() {
            if let Some(next) = step(&author, &mut open, *choice, n) {
                author = next;
                records.push(tail_of(&author));
            }
            let s = author.summary();
            // The resume point and what is open can always be read.
            for needed in s.resume.iter().chain(s.unsettled.iter().map(|u| &u.manifest)) {
                prop_assert!(s.checkpoints.contains(needed));
            }
            prop_assert!(s.committed <= s.last_epoch && s.pins.len() <= 2);
            prop_assert!(s.checkpoints.windows(2).all(|w| w[0].epoch < w[1].epoch));
        }
        // What a starter decides is a function of the highest slot's bytes alone.
        let last = records.last().unwrap();
        let bytes = last.record.encode();
        let read = Tail::decode(last.slot(), &bytes).unwrap();
        prop_assert_eq!(&read.record, &last.record);
        for run in [RunChoice::Next, RunChoice::Exactly(author.fence().run)] {
            let request = request("z", run);
            prop_assert_eq!(start::decide(Some(&read), &request, AT), start::decide(Some(&tail_of(&author)), &request, AT));
        }
    }

    #[test]
    fn a_flipped_bit_of_a_record_is_noticed(at in 0usize..100_000, bit in 0u8..8) {
        let author = committed(&started(1), 1);
        let mut bytes = author.tail().record.encode();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        prop_assert!(Record::decode(author.slot(), &bytes).is_err());
    }

    #[test]
    fn arbitrary_bytes_are_no_record(bytes: Vec<u8>) {
        prop_assert!(Record::decode(Slot(0), &bytes).is_err());
    }
}
