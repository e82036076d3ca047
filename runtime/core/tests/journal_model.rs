//! Explores the production decisions of the job journal in every interleaving of a few writers (stateright).
//!
//! One writer is one process. A crash is a writer that is never scheduled again; a paused zombie, and a create that was in
//! flight at a crash, is one that is scheduled late; so every interleaving of crash, pause and late request is covered. A
//! create may lose its reply and is sent again. A fenced process may be restarted. Writers delete journal slots more eagerly
//! than retention allows: all below their own. The sink is fenced and keeps a progress record per slot, as Kafka does.
//!
//! What is explored are the functions of `sluice_core::journal`; this file only moves their values about. [`Mutation`]s are
//! injected at that boundary, and each must be caught: a property that no mutant can break says nothing.
//!
//! Limits: reads (LIST and GET) are atomic; at most 3 writers and 3 epochs; one journal; contents of state are not modelled.

mod journal_model {
    pub mod check;
    pub mod sink;
    pub mod world;
    pub mod writer;
}

use journal_model::check::{Broken, Journal};
use journal_model::world::{Config, Mutation};
use stateright::{Checker, Model};

/// Explores everything reachable; what broke first, if anything did.
fn explore(name: &str, config: Config) -> Option<Broken> {
    let mutant = config.mutation;
    let checker = Journal::new(config).checker().threads(2).spawn_bfs().join();
    let found = checker.discoveries();
    let broken = found.iter().find_map(|(_, path)| path.last_state().broken.clone());
    let stuck = found.contains_key("a fresh writer alone gets going").then_some(Broken::Stuck);
    println!("{name} {mutant:?}: {} states, {:?}", checker.unique_state_count(), broken.as_ref().or(stuck.as_ref()));
    let broken = broken.or(stuck);
    if let (None, Some(broken)) = (mutant, &broken) {
        for (label, path) in &found {
            println!("{label}: {broken:?}");
            for action in path.clone().into_actions() {
                println!("    {action:?}");
            }
        }
    }
    broken
}

fn holds(name: &str, config: Config) {
    assert_eq!(explore(name, config), None, "{name}");
}

fn caught(mutation: Mutation, config: Config) {
    let broken = explore("mutant", Config { mutation: Some(mutation), ..config });
    assert!(broken.is_some(), "{mutation:?} was not caught");
}

/// More epochs and replies lost: minutes instead of seconds. `SLUICE_MODEL=wide cargo test -p sluice-core --test journal_model`
fn wide() -> bool {
    std::env::var("SLUICE_MODEL").is_ok_and(|v| v == "wide")
}

/// Two processes of one run and one of the next, one epoch each may make.
fn three_writers() -> Config {
    Config {
        runs: vec![1, 1, 2],
        parallelism: vec![1, 1, 1],
        epochs: 1,
        lost_replies: 1,
        delete_slots: true,
        ..Config::default()
    }
}

fn two_writers() -> Config {
    Config { runs: vec![1, 1], parallelism: vec![1, 1], ..three_writers() }
}

fn two_slots() -> Config {
    Config { runs: vec![1, 1], parallelism: vec![2, 2], epochs: 2, ..Config::default() }
}

fn rescale() -> Config {
    Config {
        runs: vec![1, 2],
        parallelism: vec![2, 1],
        epochs: 1,
        delete_slots: true,
        lost_replies: 1,
        ..Config::default()
    }
}

fn rollback() -> Config {
    Config {
        runs: vec![1, 2],
        parallelism: vec![1, 1],
        epochs: 3,
        rollback: Some(1),
        delete_slots: true,
        ..Config::default()
    }
}

fn garbage() -> Config {
    Config {
        runs: vec![1, 2],
        parallelism: vec![1, 1],
        epochs: 3,
        plain_sink: true,
        retire: true,
        delete_slots: true,
        rollback: Some(1),
        ..Config::default()
    }
}

fn held() -> Config {
    Config {
        runs: vec![1, 2, 3],
        parallelism: vec![1, 1, 1],
        epochs: 2,
        plain_sink: true,
        held: Some(1),
        rollback: Some(2),
        ..Config::default()
    }
}

/// Run 3 goes back behind run 2, if that made no checkpoint; both checks are one step with the start.
fn careful_rollback() -> Config {
    Config {
        runs: vec![1, 2, 3],
        parallelism: vec![1, 1, 1],
        epochs: 2,
        plain_sink: true,
        rollback: Some(2),
        careful: true,
        ..Config::default()
    }
}

fn stop() -> Config {
    Config {
        runs: vec![1, 1, 2],
        parallelism: vec![1, 1, 1],
        epochs: 2,
        plain_sink: true,
        stop_at: Some(1),
        ..Config::default()
    }
}

fn restarts() -> Config {
    Config {
        runs: vec![1, 2],
        parallelism: vec![1, 1],
        epochs: 1,
        plain_sink: true,
        restarts: 2,
        delete_slots: true,
        ..Config::default()
    }
}

#[test]
fn three_writers_hold() {
    let epochs = if wide() { 2 } else { 1 };
    holds("three writers", Config { epochs, ..three_writers() });
}

#[test]
fn two_writers_two_epochs_hold() {
    holds("two writers, two epochs", Config { epochs: if wide() { 3 } else { 2 }, ..two_writers() });
}

#[test]
fn late_creates_hold() {
    holds("a create arrives twice", Config { epochs: 2, late_create: true, plain_sink: true, ..two_writers() });
}

#[test]
fn giving_up_on_an_unknown_outcome_holds() {
    holds("giving up", Config { epochs: 2, late_create: true, give_up: true, plain_sink: true, ..two_writers() });
}

#[test]
fn all_at_once_hold() {
    let parallelism = if wide() { vec![2, 1] } else { vec![1, 1] };
    let config = Config { runs: vec![1, 2], parallelism, epochs: 2, retire: true, restarts: 1, ..two_writers() };
    holds("all at once", config);
}

#[test]
fn two_sink_slots_hold() {
    holds("two sink slots", two_slots());
}

#[test]
fn rescale_holds() {
    holds("rescale 2 to 1", rescale());
}

#[test]
fn rollback_holds() {
    holds("rollback", rollback());
}

#[test]
fn garbage_collection_holds() {
    holds("garbage collection", garbage());
}

#[test]
fn held_output_holds() {
    holds("held output", held());
}

#[test]
fn careful_rollback_holds() {
    holds("rollback with a precondition", careful_rollback());
}

#[test]
fn stop_holds() {
    holds("stop", stop());
}

#[test]
fn restarts_hold() {
    holds("restarts of fenced writers", restarts());
}

#[test]
fn m1_no_tail_check() {
    caught(Mutation::NoTailCheck, Config { plain_sink: true, lost_replies: 0, ..three_writers() });
}

#[test]
fn m2_records_known_by_content() {
    caught(Mutation::OwnByContent, Config { plain_sink: true, ..two_writers() });
}

#[test]
fn m3_reader_walks_up_to_the_first_gap() {
    caught(Mutation::WalkUp, Config { plain_sink: true, lost_replies: 0, ..three_writers() });
}

#[test]
fn m4_successor_has_no_right_to_settle() {
    caught(Mutation::NoSettling, two_writers());
}

#[test]
fn m5_sink_is_not_fenced() {
    caught(Mutation::SinkNotFenced, two_writers());
}

#[test]
fn m6_no_progress_record() {
    caught(Mutation::NoProgress, two_writers());
}

#[test]
fn m7_settled_in_the_own_layout() {
    caught(Mutation::OwnLayout, rescale());
}

#[test]
fn m7b_settled_in_the_own_layout_and_read_to_the_last_stable_offset() {
    caught(Mutation::OwnLayoutLastStable, rescale());
}

#[test]
fn m8_progress_read_up_to_the_last_stable_offset() {
    caught(Mutation::LastStable, Config { epochs: 1, ..two_slots() });
}

#[test]
fn m9_rollback_reuses_epochs() {
    caught(Mutation::ReuseEpochs, rollback());
}

#[test]
fn m10_deletes_without_a_retired_record() {
    caught(Mutation::DeleteUnrecorded, garbage());
}

#[test]
fn m11_retired_without_a_tail_check() {
    caught(Mutation::RetiredUnchecked, garbage());
}

#[test]
fn m12_deletes_what_a_higher_generation_writes() {
    caught(Mutation::DeleteHigher, garbage());
}

#[test]
fn m13_an_own_record_taken_for_another_own_one() {
    caught(Mutation::OwnByWriter, Config { epochs: 2, give_up: true, plain_sink: true, ..two_writers() });
}

#[test]
fn m14_old_run_takes_over_from_the_new_one() {
    caught(Mutation::RunByJournal, restarts());
}

#[test]
fn m15_held_output_is_settled_at_once() {
    caught(Mutation::SettleHeld, held());
}

#[test]
fn m16_a_restart_runs_on_after_stop() {
    caught(Mutation::ForgetStop, stop());
}

#[test]
fn m17_successor_overlooks_what_is_unsettled() {
    caught(Mutation::ForgetUnsettled, Config { epochs: 2, ..two_writers() });
}

#[test]
fn m18_manifest_uploaded_after_its_record() {
    caught(Mutation::UploadLate, garbage());
}

#[test]
fn m19_dropped_output_can_still_be_restored() {
    caught(Mutation::RestoreDropped, held());
}

#[test]
fn m20_rollback_without_its_precondition() {
    caught(Mutation::IgnoreExpectation, careful_rollback());
}
