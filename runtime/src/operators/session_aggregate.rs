//! `GROUP BY` over session windows of an append-only input: per key, the open sessions and their accumulators.
//!
//! A row opens the session `[t, t + gap)`; sessions of a key that overlap or touch are one (as Flink's `TimeWindow`). A
//! session fires when the watermark has passed its end by the allowed lateness. A row is late if the session that it would
//! end up in, after merging, is closed already; an old row that bridges to an open session is not.
//!
//! The times at which keys are looked at are derived from the state and rebuilt after a restore. A session that grows keeps
//! its old time: it is looked at then, and put off.

use super::event_times::{EventTimes, domain_of};
use super::keys::{Keys, StoredKeys};
use super::late::Late;
use super::window_output::WindowRows;
use super::{BuildError, InputShape};
use crate::aggregate::{AggregateSet, GroupState, Inputs};
use crate::element::Batch;
use crate::operator::{Drained, MAX_OUTPUT_ROWS, Operator, OperatorContext, OperatorError, OperatorStats, Scope};
use crate::row::RowError;
use crate::state::{KeyedTable, StateBlock, StateSink, StateValue, WordKey};
use arrow::datatypes::SchemaRef;
use sluice_core::id::Epoch;
use sluice_core::plan::{Aggregate, Node, Port, TimeDomain};
use sluice_core::time::{EventTime, ProcTime};
use sluice_core::window::{TimeWindow, WindowError, closed_through, merge_session};
use std::collections::BTreeMap;

const SESSIONS: u8 = 0;

pub struct SessionAggregate {
    gap_ms: i64,
    time: usize,
    domain: TimeDomain,
    keys: Keys,
    set: AggregateSet,
    schema: SchemaRef,
    lateness_ms: i64,
    table: KeyedTable<Sessions>,
    /// Keys by the time at which a session of theirs may have ended.
    due: BTreeMap<i64, Vec<HashedKey>>,
    /// Sessions that end here or before are closed.
    closed: i64,
    /// Sessions that end here or before are to fire.
    target: i64,
    late: Late,
}

/// A key with its hash.
type HashedKey = (u64, Box<[u8]>);

/// The open sessions of a key, by rising start; none touches another.
struct Sessions {
    spans: Vec<TimeWindow>,
    groups: Vec<GroupState>,
}

/// Format: per session start and end (8 bytes each, little-endian), then its group.
impl StateValue for Sessions {
    fn encode(&self, out: &mut Vec<u8>) {
        for (span, group) in self.spans.iter().zip(&self.groups) {
            out.extend_from_slice(&span.start.to_le_bytes());
            out.extend_from_slice(&span.end.to_le_bytes());
            group.encode(out);
        }
    }

    fn decode(mut bytes: &[u8]) -> Result<Self, RowError> {
        let mut sessions = Self { spans: vec![], groups: vec![] };
        let damaged = RowError::Damaged("a session is cut off");
        while let Some((start, rest)) = bytes.split_first_chunk::<8>() {
            let Some((end, rest)) = rest.split_first_chunk::<8>() else { return Err(damaged) };
            let (group, rest) = GroupState::decode_first(rest)?;
            sessions.spans.push(TimeWindow { start: i64::from_le_bytes(*start), end: i64::from_le_bytes(*end) });
            sessions.groups.push(group);
            bytes = rest;
        }
        if bytes.is_empty() { Ok(sessions) } else { Err(damaged) }
    }

    fn heap_bytes(&self) -> usize {
        self.spans.len() * (size_of::<TimeWindow>() + size_of::<GroupState>())
            + self.groups.iter().map(StateValue::heap_bytes).sum::<usize>()
    }
}

impl Sessions {
    /// The session that holds `span`, which swallows all that it touches. `Err`: it would end at or before `closed`.
    /// Returns its number and whether it is new.
    fn join(&mut self, set: &AggregateSet, span: TimeWindow, closed: i64) -> Result<(usize, bool), TooLate> {
        let (range, merged) = merge_session(&self.spans, span);
        if merged.end <= closed {
            return Err(TooLate);
        }
        let at = range.start;
        if range.is_empty() {
            self.spans.insert(at, merged);
            self.groups.insert(at, set.fresh());
            return Ok((at, true));
        }
        self.spans.splice(range.clone(), [merged]);
        let swallowed: Vec<GroupState> = self.groups.drain(at + 1..range.end).collect();
        for group in &swallowed {
            set.merge(&mut self.groups[at], group);
        }
        Ok((at, false))
    }
}

struct TooLate;

/// Sessions that have fired, on their way out.
struct Fired {
    keys: StoredKeys,
    spans: Vec<TimeWindow>,
    results: crate::aggregate::Results,
}

impl SessionAggregate {
    pub fn new(
        node: &Node,
        (gap_ms, time): (i64, usize),
        keys: &[usize],
        aggregates: &[Aggregate],
        input: &InputShape,
        cx: &OperatorContext,
    ) -> Result<Self, BuildError> {
        if gap_ms <= 0 {
            return Err(WindowError::NotPositive(gap_ms).into());
        }
        let domain = domain_of(input.schema.field(time));
        Ok(Self {
            gap_ms,
            time,
            domain,
            keys: Keys::new(keys, &input.schema, false)?,
            set: AggregateSet::new(aggregates, &input.schema, false)?,
            schema: node.schema.clone(),
            lateness_ms: if domain == TimeDomain::Event { cx.allowed_lateness_ms } else { 0 },
            table: KeyedTable::new(SESSIONS, cx.key_groups),
            due: BTreeMap::new(),
            closed: i64::MIN,
            target: i64::MIN,
            late: Late::new(&node.id, cx),
        })
    }

    /// Adds a row to its session. `Err`: it came too late.
    fn add(&mut self, inputs: &Inputs, row: usize, mut t: i64) -> Result<(), TooLate> {
        if self.domain == TimeDomain::Processing {
            // A row cannot be late by a clock that it does not control.
            t = t.max(self.closed);
        }
        let WordKey::Bytes(key) = self.keys.key(row) else { return Ok(()) };
        let (hash, span) = (self.keys.hashes()[row], TimeWindow::session(t, self.gap_ms));
        if span.end <= self.closed && self.table.get(hash, key).is_none() {
            return Err(TooLate);
        }
        let sessions = self.table.entry(hash, key, || Sessions { spans: vec![], groups: vec![] });
        let (session, is_new) = sessions.join(&self.set, span, self.closed)?;
        self.set.update(&mut sessions.groups[session], inputs, row, true);
        if is_new {
            self.due.entry(sessions.spans[session].end).or_default().push((hash, key.into()));
        }
        Ok(())
    }

    /// Takes the sessions of a key that end by `end` out, and puts the key off to the next end of one that stays.
    fn take_due(&mut self, end: i64, hash: u64, key: Box<[u8]>, fired: &mut Fired) {
        let Some(open) = self.table.get(hash, &key) else { return };
        let next = open.spans.iter().map(|s| s.end).filter(|e| *e > end).min();
        if open.spans.iter().any(|s| s.end <= end)
            && let Some(sessions) = self.table.get_mut(hash, &key)
        {
            // Ends rise with starts: those that are due come first.
            let count = sessions.spans.partition_point(|s| s.end <= end);
            for (span, group) in sessions.spans.drain(..count).zip(sessions.groups.drain(..count)) {
                fired.keys.push(WordKey::Bytes(&key));
                fired.spans.push(span);
                self.set.finish(&group, &mut fired.results);
            }
        }
        match next {
            None => drop(self.table.remove(hash, &key)),
            Some(next) => self.due.entry(next).or_default().push((hash, key)),
        }
    }
}

impl Operator for SessionAggregate {
    fn process(&mut self, _input: usize, batch: Batch) -> Result<(), OperatorError> {
        let times = EventTimes::read(batch.rows.column(self.time), "SessionAggregate")?;
        self.keys.read(&batch);
        let inputs = self.set.inputs(&batch.rows)?;
        let mut late = vec![];
        for row in 0..batch.len() {
            let added = times.get(row).is_some_and(|t| self.add(&inputs, row, t).is_ok());
            if !added {
                late.push(row as u32);
            }
        }
        if late.is_empty() { Ok(()) } else { self.late.add(&batch.rows, late, &times.or_epoch()) }
    }

    fn watermark(&mut self, watermark: EventTime) -> Result<(), OperatorError> {
        if self.domain == TimeDomain::Event {
            self.target = self.target.max(closed_through(watermark, self.lateness_ms));
        }
        Ok(())
    }

    fn clock(&mut self, now: ProcTime) -> Result<(), OperatorError> {
        if self.domain == TimeDomain::Processing {
            self.target = self.target.max(now.0);
        }
        Ok(())
    }

    fn next_timer(&self) -> Option<ProcTime> {
        let (end, _) = self.due.first_key_value().filter(|_| self.domain == TimeDomain::Processing)?;
        Some(ProcTime(*end))
    }

    fn end(&mut self) -> Result<(), OperatorError> {
        self.target = i64::MAX;
        Ok(())
    }

    /// Rows of sessions that wait for the allowed lateness are still to come.
    fn output_watermark(&self, watermark: EventTime) -> EventTime {
        EventTime(watermark.0.saturating_sub(self.lateness_ms))
    }

    fn next_output(&mut self) -> Result<Option<Batch>, OperatorError> {
        let results = self.set.results(0);
        let mut fired = Fired { keys: StoredKeys::default(), spans: vec![], results };
        while fired.spans.len() < MAX_OUTPUT_ROWS {
            let Some(mut first) = self.due.first_entry().filter(|e| *e.key() <= self.target) else { break };
            let end = *first.key();
            match first.get_mut().pop() {
                Some((hash, key)) => self.take_due(end, hash, key, &mut fired),
                None => drop(first.remove()),
            }
        }
        if fired.spans.is_empty() {
            self.closed = self.closed.max(self.target);
            return Ok(None);
        }
        let form = WindowRows { set: &self.set, keys: &self.keys, schema: &self.schema, retracts: false };
        form.batch(&fired.spans, &fired.keys, fired.results).map(Some)
    }

    fn next_side_output(&mut self) -> Option<(Port, Batch)> {
        self.late.next()
    }

    fn barrier(&mut self, epoch: Epoch, scope: Scope) {
        self.table.barrier(epoch, scope);
    }

    fn drain(&mut self, budget: usize, sink: &mut dyn StateSink) -> Drained {
        self.table.drain(budget, sink)
    }

    fn restore(&mut self, block: &StateBlock) -> Result<(), OperatorError> {
        if block.table != SESSIONS {
            return Err(OperatorError::UnexpectedState { table: block.table });
        }
        Ok(self.table.restore(block)?)
    }

    fn restored(&mut self, watermark: EventTime) -> Result<(), OperatorError> {
        let (set, due, mut fits) = (&self.set, &mut self.due, true);
        self.table.for_each(|hash, key, sessions| {
            fits &= sessions.groups.iter().all(|g| g.fits(set));
            for span in &sessions.spans {
                due.entry(span.end).or_default().push((hash, key.into()));
            }
        });
        if !fits {
            return Err(RowError::Damaged("a session has another number of accumulators").into());
        }
        self.watermark(watermark)
    }

    fn stats(&self) -> OperatorStats {
        OperatorStats {
            late_rows: self.late.count(),
            state_rows: self.table.len() as u64,
            state_bytes: self.table.bytes() as u64,
        }
    }
}

#[cfg(test)]
mod tests;
