//! `GROUP BY` over tumbling, hopping and cumulating windows of an append-only input.
//!
//! A row is aggregated once, into its slice; a window that fires merges its slices (see `sluice_core::window`). A tumbling
//! window is its slice. A cumulating window folds every slice that ends into the first one of the window, which holds the
//! sum so far. A hopping window merges into a table of its own, which lives only while the window fires.
//!
//! **Lateness.** A window fires once, when the watermark has passed its end by the allowed lateness; there are no updates
//! afterwards, because the output is append-only: allowing lateness delays results instead of correcting them. A row is
//! late when the last window of its slice has fired; if only some have, it counts for the others (as in Flink).
//!
//! **Processing time.** The clock takes the watermark's place. No row is late: one whose window has been closed by the clock
//! while it was on its way counts for the next one. At the end of input all windows fire.

use super::event_times::{EventTimes, domain_of};
use super::groups::{Groups, HashRange};
use super::keys::Keys;
use super::late::Late;
use super::panes::{PANES, PaneId, Panes, RowsByPane};
use super::window_output::{KeyGroupsSeen, WindowRows};
use super::{BuildError, InputShape};
use crate::aggregate::{AggregateSet, Inputs};
use crate::element::Batch;
use crate::operator::{Drained, MAX_OUTPUT_ROWS, Operator, OperatorContext, OperatorError, OperatorStats, Scope};
use crate::state::{StateBlock, StateSink};
use arrow::datatypes::SchemaRef;
use sluice_core::id::Epoch;
use sluice_core::key_group::KeyGroups;
use sluice_core::plan::{Aggregate, Node, Port, TimeDomain, Window};
use sluice_core::time::{EventTime, ProcTime};
use sluice_core::window::{TimeWindow, WindowGrid, closed_through};

pub struct WindowAggregate {
    grid: WindowGrid,
    time: usize,
    domain: TimeDomain,
    keys: Keys,
    set: AggregateSet,
    schema: SchemaRef,
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

/// The window that fires now, range of hashes by range of hashes: each is merged and handed out on its own, so that a window
/// of a million keys neither holds the task nor needs a second table.
struct Firing {
    window: TimeWindow,
    /// Rising by end: the slices that are merged.
    slices: Vec<PaneId>,
    /// Cumulating: the pane into which the slices are folded; it is the window then.
    sum: Option<PaneId>,
    cursor: u64,
    groups: KeyGroupsSeen,
}

impl WindowAggregate {
    pub fn new(
        node: &Node,
        (window, time): (&Window, usize),
        keys: &[usize],
        aggregates: &[Aggregate],
        input: &InputShape,
        cx: &OperatorContext,
    ) -> Result<Self, BuildError> {
        let domain = domain_of(input.schema.field(time));
        let set = AggregateSet::new(aggregates, &input.schema, false)?;
        Ok(Self {
            grid: WindowGrid::new(window)?,
            time,
            domain,
            keys: Keys::new(keys, &input.schema, set.is_inline())?,
            set,
            schema: node.schema.clone(),
            key_groups: cx.key_groups,
            lateness_ms: if domain == TimeDomain::Event { cx.allowed_lateness_ms } else { 0 },
            panes: Panes::new(cx.key_groups),
            closed: i64::MIN,
            target: i64::MIN,
            firing: None,
            late: Late::new(&node.id, cx),
        })
    }

    /// The rows of each slice, in order of the slices' first rows, and the late rows.
    fn assign(&self, times: &EventTimes, rows: usize) -> (Vec<(PaneId, Vec<u32>)>, Vec<u32>) {
        let (mut by_slice, mut late) = (RowsByPane::default(), vec![]);
        for row in 0..rows {
            let Some(mut t) = times.get(row) else {
                late.push(row as u32);
                continue;
            };
            if self.domain == TimeDomain::Processing {
                t = t.max(self.closed);
            }
            // Dividing is only needed where the slice changes.
            let slice = by_slice.last().filter(|id| id.window().contains(t));
            by_slice.push(slice.unwrap_or_else(|| self.grid.slice(t).into()), row as u32);
        }
        let mut slices = by_slice.into_lists();
        slices.retain_mut(|(slice, rows)| match self.grid.last_window_end(slice.end) {
            // Between two hops there is no window to be late for.
            None => false,
            Some(end) if end <= self.closed => {
                late.append(rows);
                false
            }
            Some(_) => true,
        });
        late.sort_unstable();
        (slices, late)
    }

    fn add(&mut self, slice: PaneId, rows: &[u32], inputs: &Inputs, batch_rows: usize) {
        let first_end = self.grid.windows_of_slice(slice.end).next().map(|w| w.end);
        let mut pane = slice;
        if first_end.is_some_and(|end| end <= self.closed) {
            // Some windows of the slice have fired without these rows: they must not fire again after a restore.
            let hashes = rows.iter().map(|&row| self.keys.hashes()[row as usize]);
            self.panes.close_rows(hashes, self.closed);
            pane = self.sum_of(slice.window()).unwrap_or(pane);
        }
        let rows = (rows.len() < batch_rows).then_some(rows);
        self.panes.entry(pane, &self.keys, &self.set).update(&self.set, &self.keys, inputs, rows, |_| true);
    }

    /// Where a cumulating window keeps its sum: in its first slice.
    fn sum_of(&self, slice: TimeWindow) -> Option<PaneId> {
        let first_end = self.grid.first_slice_end(slice.end);
        self.grid.is_cumulate().then(|| self.grid.slice(first_end.saturating_sub(1)).into())
    }

    /// The next window to fire: of all that have rows, the one that ends first, if it is due.
    fn next_due(&self) -> Option<TimeWindow> {
        let mut next: Option<TimeWindow> = None;
        for id in self.panes.ids() {
            // No window of a slice ends before the slice.
            if next.is_some_and(|n| n.end <= id.end) {
                break;
            }
            let window = self.grid.next_window(id.end, self.closed);
            next = [next, window].into_iter().flatten().min_by_key(|w| w.end);
        }
        next.filter(|w| w.end <= self.target)
    }

    fn fire(&self, window: TimeWindow) -> Firing {
        let sum = self.sum_of(self.grid.slice(window.start));
        let until = self.panes.ids().take_while(|id| id.end <= window.end);
        let slices = until.filter(|id| id.end > window.start && Some(*id) != sum).collect();
        Firing { window, slices, sum, cursor: 0, groups: KeyGroupsSeen::default() }
    }

    /// The next portion of the window; without rows only if all of its groups were somewhere else.
    fn advance(&mut self, firing: &mut Firing) -> Result<Option<Batch>, OperatorError> {
        let panes = firing.slices.iter().chain(&firing.sum).filter_map(|id| self.panes.get(*id));
        let Some(largest) = panes.max_by_key(|groups| groups.len()) else { return Ok(None) };
        let budget = MAX_OUTPUT_ROWS / (firing.slices.len() + 1).min(16);
        let range = largest.portion(firing.cursor, budget);
        firing.cursor = range.to;
        let window = firing.window;
        let merged = match (firing.sum, &firing.slices[..]) {
            (Some(sum), slices) => {
                self.fold(slices, sum, range);
                None
            }
            (None, [_]) => None,
            (None, slices) => Some(self.merged(slices, range)),
        };
        let pane = firing.sum.or(firing.slices.first().copied());
        let Some(groups) = merged.as_ref().or_else(|| self.panes.get(pane?)) else { return Ok(None) };
        let form = WindowRows { set: &self.set, keys: &self.keys, schema: &self.schema, retracts: false };
        let range = if merged.is_some() { HashRange { from: 0, to: 0 } } else { range };
        form.of_table(window, groups, range, |hash| firing.groups.add(self.key_groups.of(hash)))
    }

    /// The groups of some slices in one table, for one portion.
    fn merged(&self, slices: &[PaneId], range: HashRange) -> Groups {
        let mut merged = Groups::new(PANES, &[], &self.keys, &self.set, self.key_groups);
        for slice in slices.iter().filter_map(|id| self.panes.get(*id)) {
            merged.merge(&self.set, &self.keys, slice, range);
        }
        merged
    }

    fn fold(&mut self, slices: &[PaneId], sum: PaneId, range: HashRange) {
        for &id in slices {
            if let Some(slice) = self.panes.take(id) {
                self.panes.entry(sum, &self.keys, &self.set).merge(&self.set, &self.keys, &slice, range);
                self.panes.put_back(id, slice);
            }
        }
    }

    /// The window has been handed out.
    fn close(&mut self, firing: Firing) {
        self.closed = self.closed.max(firing.window.end);
        self.panes.close(firing.groups.into_groups(), self.closed);
        let folded = if firing.sum.is_some() { firing.slices } else { vec![] };
        self.panes.drop_all(folded);
        let over =
            self.panes.ids().take_while(|id| id.end <= self.closed).filter(|id| is_over(self.grid, *id, self.closed));
        let over: Vec<PaneId> = over.collect();
        self.panes.drop_all(over);
    }
}

/// Whether no open window needs the slice.
fn is_over(grid: WindowGrid, id: PaneId, closed: i64) -> bool {
    grid.last_window_end(id.end).is_none_or(|end| end <= closed)
}

impl Operator for WindowAggregate {
    fn process(&mut self, _input: usize, batch: Batch) -> Result<(), OperatorError> {
        let times = EventTimes::read(batch.rows.column(self.time), "WindowAggregate")?;
        self.keys.read(&batch);
        let inputs = self.set.inputs(&batch.rows)?;
        let (slices, late) = self.assign(&times, batch.len());
        for (slice, rows) in &slices {
            self.add(*slice, rows, &inputs, batch.len());
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
        if self.domain == TimeDomain::Event {
            return None;
        }
        let ends = self.panes.ids().filter_map(|id| self.grid.next_window(id.end, self.closed));
        ends.map(|w| ProcTime(w.end)).min()
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
            let Some(mut firing) = self.firing.take().or_else(|| self.next_due().map(|w| self.fire(w))) else {
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
        let grid = self.grid;
        // A slice that was folded has left its rows in the first one.
        let folded =
            |id: PaneId, closed: i64| grid.is_cumulate() && id.end <= closed && grid.first_slice_end(id.end) != id.end;
        self.closed = self.panes.restored(&self.set, |id, closed| is_over(grid, id, closed) || folded(id, closed))?;
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
