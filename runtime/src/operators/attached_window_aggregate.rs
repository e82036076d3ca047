//! `GROUP BY window_start, window_end, …` where the rows already carry their window: over another window aggregate, or over
//! `WindowAssign` after filters and joins. The input may retract.
//!
//! A window is one pane; it fires once, when the watermark has passed its end by the allowed lateness, and is forgotten.
//! Rows of a window that has fired are late; so are rows without a window.

use super::event_times::{EventTimes, domain_of};
use super::keys::Keys;
use super::late::Late;
use super::panes::{PaneId, Panes, RowsByPane};
use super::window_output::{KeyGroupsSeen, WindowRows};
use super::{BuildError, InputShape};
use crate::aggregate::AggregateSet;
use crate::element::Batch;
use crate::operator::{Drained, MAX_OUTPUT_ROWS, Operator, OperatorContext, OperatorError, OperatorStats, Scope};
use crate::state::{StateBlock, StateSink};
use arrow::datatypes::SchemaRef;
use sluice_core::id::Epoch;
use sluice_core::key_group::KeyGroups;
use sluice_core::plan::{Aggregate, Node, Port, TimeDomain};
use sluice_core::time::{EventTime, ProcTime};
use sluice_core::window::closed_through;

pub struct AttachedWindowAggregate {
    start: usize,
    end: usize,
    domain: TimeDomain,
    keys: Keys,
    set: AggregateSet,
    schema: SchemaRef,
    retracts: bool,
    key_groups: KeyGroups,
    lateness_ms: i64,
    panes: Panes,
    /// Windows that end here or before are closed.
    closed: i64,
    /// Windows that end here or before are to fire.
    target: i64,
    firing: Option<Firing>,
    late: Late,
}

struct Firing {
    pane: PaneId,
    cursor: u64,
    groups: KeyGroupsSeen,
}

impl AttachedWindowAggregate {
    pub fn new(
        node: &Node,
        (start, end): (usize, usize),
        keys: &[usize],
        aggregates: &[Aggregate],
        input: &InputShape,
        cx: &OperatorContext,
    ) -> Result<Self, BuildError> {
        let mut set = AggregateSet::new(aggregates, &input.schema, input.retracts())?;
        if input.retracts() {
            set = set.with_row_count();
        }
        let domain = domain_of(input.schema.field(end));
        Ok(Self {
            start,
            end,
            domain,
            keys: Keys::new(keys, &input.schema, set.is_inline())?,
            set,
            schema: node.schema.clone(),
            retracts: input.retracts(),
            key_groups: cx.key_groups,
            lateness_ms: if domain == TimeDomain::Event { cx.allowed_lateness_ms } else { 0 },
            panes: Panes::new(cx.key_groups),
            closed: i64::MIN,
            target: i64::MIN,
            firing: None,
            late: Late::new(&node.id, cx),
        })
    }

    /// The rows of each open window, in order of the windows' first rows, and the late rows.
    fn assign(&self, starts: &EventTimes, ends: &EventTimes, rows: usize) -> (Vec<(PaneId, Vec<u32>)>, Vec<u32>) {
        let (mut windows, mut late) = (RowsByPane::default(), vec![]);
        for row in 0..rows {
            match starts.get(row).zip(ends.get(row)).filter(|(_, end)| *end > self.closed) {
                Some((start, end)) => windows.push(PaneId { end, start }, row as u32),
                None => late.push(row as u32),
            }
        }
        (windows.into_lists(), late)
    }

    fn next_due(&self) -> Option<Firing> {
        let pane = self.panes.ids().next().filter(|id| id.end <= self.target)?;
        Some(Firing { pane, cursor: 0, groups: KeyGroupsSeen::default() })
    }

    fn advance(&mut self, firing: &mut Firing) -> Result<Option<Batch>, OperatorError> {
        let Some(groups) = self.panes.get(firing.pane) else { return Ok(None) };
        let range = groups.portion(firing.cursor, MAX_OUTPUT_ROWS);
        firing.cursor = range.to;
        let form = WindowRows { set: &self.set, keys: &self.keys, schema: &self.schema, retracts: self.retracts };
        form.of_table(firing.pane.window(), groups, range, |hash| firing.groups.add(self.key_groups.of(hash)))
    }

    /// The window has been handed out.
    fn close(&mut self, firing: Firing) {
        self.panes.close(firing.groups.into_groups(), firing.pane.end);
        self.panes.drop_pane(firing.pane);
    }
}

impl Operator for AttachedWindowAggregate {
    fn process(&mut self, _input: usize, batch: Batch) -> Result<(), OperatorError> {
        let starts = EventTimes::read(batch.rows.column(self.start), "AttachedWindowAggregate")?;
        let ends = EventTimes::read(batch.rows.column(self.end), "AttachedWindowAggregate")?;
        self.keys.read(&batch);
        let inputs = self.set.inputs(&batch.rows)?;
        let (windows, late) = self.assign(&starts, &ends, batch.len());
        for (pane, rows) in &windows {
            let rows = (rows.len() < batch.len()).then_some(&rows[..]);
            let groups = self.panes.entry(*pane, &self.keys, &self.set);
            groups.update(&self.set, &self.keys, &inputs, rows, |row| batch.adds(row));
        }
        if late.is_empty() { Ok(()) } else { self.late.add(&batch.rows, late, &ends.or_epoch()) }
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
        let first = self.panes.ids().next().filter(|_| self.domain == TimeDomain::Processing)?;
        Some(ProcTime(first.end))
    }

    fn end(&mut self) -> Result<(), OperatorError> {
        self.target = i64::MAX;
        Ok(())
    }

    /// Rows of windows that wait for the allowed lateness are still to come.
    fn output_watermark(&self, watermark: EventTime) -> EventTime {
        EventTime(watermark.0.saturating_sub(self.lateness_ms))
    }

    fn next_output(&mut self) -> Result<Option<Batch>, OperatorError> {
        loop {
            let Some(mut firing) = self.firing.take().or_else(|| self.next_due()) else {
                self.closed = self.closed.max(self.target);
                return Ok(None);
            };
            let batch = self.advance(&mut firing)?;
            if firing.cursor == 0 {
                self.close(firing);
            } else {
                self.firing = Some(firing);
            }
            if batch.is_some() {
                return Ok(batch);
            }
        }
    }

    fn next_side_output(&mut self) -> Option<(Port, Batch)> {
        self.late.next()
    }

    fn barrier(&mut self, epoch: Epoch, scope: Scope) {
        self.panes.barrier(epoch, scope);
    }

    fn drain(&mut self, budget: usize, sink: &mut dyn StateSink) -> Drained {
        self.panes.drain(budget, sink)
    }

    fn restore(&mut self, block: &StateBlock) -> Result<(), OperatorError> {
        self.panes.restore(block, &self.keys, &self.set)
    }

    fn restored(&mut self, watermark: EventTime) -> Result<(), OperatorError> {
        self.closed = self.panes.restored(&self.set, |id, closed| id.end <= closed)?;
        self.target = self.closed;
        self.watermark(watermark)
    }

    fn stats(&self) -> OperatorStats {
        OperatorStats {
            late_rows: self.late.count(),
            state_rows: self.panes.rows() as u64,
            state_bytes: self.panes.bytes() as u64,
        }
    }
}

#[cfg(test)]
mod tests;
