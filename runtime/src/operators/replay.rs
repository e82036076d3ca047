//! For tests: one sequence of events, run straight or with snapshots, a crash and a restore at another parallelism.

use super::testing::{Harness, Snapshot, lines};
use crate::element::Batch;
use crate::operator::{Drained, Operator, Scope};
use crate::row::hash_columns;
use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::{filter, filter_record_batch};
use sluice_core::id::Epoch;
use sluice_core::key_group::KeyGroups;
use std::ops::Range;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub(crate) enum Event {
    Rows(usize, Batch),
    Watermark(i64),
    Clock(i64),
}

/// An operator under test: how it is built, and the key columns of its inputs.
pub(crate) struct Subject<'a> {
    pub(crate) build: &'a dyn Fn() -> Box<dyn Operator>,
    pub(crate) keys: &'a [Vec<usize>],
}

/// Where snapshots are taken and what comes of them.
#[derive(Clone, Debug)]
pub(crate) struct Cuts {
    /// Barriers before these events, rising. The first snapshot is full.
    pub(crate) barriers: Vec<usize>,
    /// Rows of a drain portion between two events.
    pub(crate) budget: usize,
    /// Operators after the restore.
    pub(crate) parallelism: usize,
}

impl Subject<'_> {
    /// The changelog without any interruption.
    pub(crate) fn straight(&self, events: &[Event]) -> Vec<String> {
        let mut harness = Harness::new((self.build)());
        for event in events {
            apply(&mut harness, event, None);
        }
        harness.take()
    }

    /// The same with snapshots that are drained while events go on; after the last one has left, the operator is lost,
    /// restored from its snapshots and given the events after the last barrier again.
    pub(crate) fn interrupted(&self, events: &[Event], cuts: &Cuts) -> Vec<String> {
        let mut harness = Harness::new((self.build)());
        let mut snapshots: Vec<Snapshot> = vec![];
        let mut draining = false;
        let (mut output, mut watermark, mut clock, mut at_barrier) = (vec![], i64::MIN, None, (0, i64::MIN, None));
        for (i, event) in events.iter().enumerate() {
            if cuts.barriers.contains(&i) {
                finish(&mut harness, &mut snapshots, &mut draining);
                output.extend(harness.take());
                let n = snapshots.len();
                let scope = if n == 0 { Scope::Full } else { Scope::Delta { rotation: (n % 16) as u8 } };
                harness.operator.barrier(Epoch(n as u64 + 1), scope);
                snapshots.push(Snapshot::refusing(3));
                draining = true;
                at_barrier = (i, watermark, clock);
            }
            apply(&mut harness, event, None);
            match event {
                Event::Watermark(w) => watermark = *w,
                Event::Clock(ms) => clock = Some(*ms),
                Event::Rows(..) => {}
            }
            if draining && let Some(snapshot) = snapshots.last_mut() {
                draining = harness.drain(cuts.budget, snapshot) == Drained::Pending;
            }
        }
        if snapshots.is_empty() {
            output.extend(harness.take());
            return output;
        }
        finish(&mut harness, &mut snapshots, &mut draining);
        // What came after the last barrier is forgotten with the operator.
        for task in 0..cuts.parallelism {
            let groups = KeyGroups::DEFAULT.range(task, cuts.parallelism);
            let mut part = Harness::new((self.build)());
            part.restore(&snapshots.iter().collect::<Vec<_>>(), groups.clone(), at_barrier.1);
            // The clock does not go back.
            if let Some(ms) = at_barrier.2 {
                part.clock(ms);
            }
            events[at_barrier.0..].iter().for_each(|e| apply(&mut part, e, Some((self.keys, &groups))));
            output.extend(part.take());
        }
        output
    }
}

/// The events with the time going on in between, by steps of these lengths in turn.
pub(crate) fn with_time(events: Vec<Event>, steps: &[u8], tick: fn(i64) -> Event) -> Vec<Event> {
    let mut now = 0;
    let tick = |step: &u8| {
        now += i64::from(*step);
        tick(now)
    };
    events.into_iter().zip(steps.iter().cycle().map(tick)).flat_map(|(event, tick)| [event, tick]).collect()
}

pub(crate) fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

fn finish(harness: &mut Harness, snapshots: &mut [Snapshot], draining: &mut bool) {
    if let Some(snapshot) = snapshots.last_mut().filter(|_| *draining) {
        while harness.drain(5, snapshot) == Drained::Pending {}
        *draining = false;
    }
}

fn apply(harness: &mut Harness, event: &Event, part: Option<(&[Vec<usize>], &Range<u16>)>) {
    match event {
        Event::Rows(input, batch) => {
            let batch = match part {
                Some((keys, groups)) => owned(batch, &keys[*input], groups),
                None => batch.clone(),
            };
            harness.push(*input, batch);
        }
        Event::Watermark(ms) => harness.watermark(*ms),
        Event::Clock(ms) => harness.clock(*ms),
    }
}

/// The rows whose key group lies in `groups`.
fn owned(batch: &Batch, keys: &[usize], groups: &Range<u16>) -> Batch {
    let columns: Vec<ArrayRef> = keys.iter().map(|k| Arc::clone(batch.rows.column(*k))).collect();
    let mut hashes = vec![];
    hash_columns(&columns, batch.len(), &mut hashes);
    let mine: BooleanArray = hashes.iter().map(|h| Some(groups.contains(&KeyGroups::DEFAULT.of(*h).0))).collect();
    let ops = batch.ops.as_ref().map(|o| {
        let part = filter(o, &mine).unwrap();
        part.as_any().downcast_ref::<arrow::array::Int8Array>().unwrap().clone()
    });
    Batch { rows: filter_record_batch(&batch.rows, &mine).unwrap(), ops, hashes: None }
}

/// The rows of append-only batches as lines without ops.
pub(crate) fn rows_of(events: &[Event], input: usize) -> Vec<String> {
    events
        .iter()
        .filter_map(|e| match e {
            Event::Rows(i, batch) if *i == input => Some(lines(batch)),
            _ => None,
        })
        .flatten()
        .collect()
}
