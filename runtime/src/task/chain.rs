//! Operators fused back to back.
//!
//! Rows are drained depth first: the deepest operator that may have output is asked first, so at most one batch waits
//! between two operators and `process` is only called on a drained one.

use super::output::Outputs;
use super::{SnapshotSinks, TaskError};
use crate::connector::{SinkWriter, Staged};
use crate::element::{Batch, Element};
use crate::metrics::OperatorMetrics;
use crate::operator::{Drained, Operator, OperatorError, Scope};
use crate::state::StateBlock;
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use sluice_core::id::Epoch;
use sluice_core::plan::Port;
use sluice_core::time::{EventTime, ProcTime};
use std::sync::Arc;

/// What moves through the chain behind the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    Watermark(EventTime),
    Idle,
    End,
}

/// What one call of [`Chain::pump`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pumped {
    Moved,
    /// Downstream is full.
    NoRoom,
    /// All output has left: ready for the next input.
    Drained,
    /// As `Drained`, and the end was passed on.
    Ended,
}

/// One operator with what the task keeps for it.
pub struct Link {
    pub node: usize,
    pub operator: Box<dyn Operator>,
    pub metrics: Arc<OperatorMetrics>,
    watermark: EventTime,
    /// It may have output.
    pending: bool,
    drained: bool,
}

impl Link {
    pub fn new(node: usize, operator: Box<dyn Operator>, metrics: Arc<OperatorMetrics>) -> Self {
        Self { node, operator, metrics, watermark: EventTime::MIN, pending: false, drained: true }
    }
}

/// What ends a chain.
pub enum Terminal {
    Outputs,
    Sink { node: usize, writer: Box<dyn SinkWriter>, schema: SchemaRef, metrics: Arc<OperatorMetrics> },
}

impl Terminal {
    /// `schema`: of the table; rows take its names, for a query's own mean nothing to a sink.
    pub fn sink(node: usize, writer: Box<dyn SinkWriter>, schema: SchemaRef, metrics: Arc<OperatorMetrics>) -> Self {
        let loose = schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect::<Vec<_>>();
        Self::Sink { node, writer, schema: Arc::new(Schema::new(loose)), metrics }
    }
}

pub struct Chain {
    links: Vec<Link>,
    terminal: Terminal,
    outputs: Outputs,
    /// Applied to `links[..at]`.
    control: Option<(usize, Control)>,
    /// A batch for the terminal that has waited for room.
    waiting: Option<Batch>,
    ended: bool,
}

impl Chain {
    pub fn new(links: Vec<Link>, terminal: Terminal, outputs: Outputs) -> Self {
        Self { links, terminal, outputs, control: None, waiting: None, ended: false }
    }

    pub fn links_mut(&mut self) -> &mut [Link] {
        &mut self.links
    }

    /// Gives the operator of `node` rows of an earlier snapshot.
    pub fn restore(&mut self, node: usize, block: &StateBlock) -> Result<(), TaskError> {
        for l in self.links.iter_mut().filter(|l| l.node == node) {
            l.operator.restore(block)?;
        }
        Ok(())
    }

    /// Tells the operator of `node` its state is complete.
    pub fn restored(&mut self, node: usize, watermark: EventTime) -> Result<(), TaskError> {
        for l in self.links.iter_mut().filter(|l| l.node == node) {
            l.watermark = watermark;
            l.operator.restored(watermark)?;
        }
        Ok(())
    }

    pub fn watermarks(&self) -> Vec<(usize, EventTime)> {
        self.links.iter().map(|l| (l.node, l.watermark)).collect()
    }

    /// Plan node of the sink.
    pub fn sink(&self) -> Option<usize> {
        match &self.terminal {
            Terminal::Outputs => None,
            Terminal::Sink { node, .. } => Some(*node),
        }
    }

    pub fn next_timer(&self) -> Option<ProcTime> {
        self.links.iter().filter_map(|l| l.operator.next_timer()).min()
    }

    /// Rows for input `input` of the first operator. Only when drained.
    pub fn push(&mut self, input: usize, batch: Batch) -> Result<(), TaskError> {
        if let Some(first) = self.links.first_mut() {
            first.metrics.rows_in.add(batch.len() as u64);
            first.operator.process(input, batch)?;
            first.pending = true;
        } else {
            self.waiting = Some(batch);
        }
        Ok(())
    }

    /// Starts a control element through the chain. Only when drained.
    pub fn control(&mut self, control: Control) {
        debug_assert!(self.control.is_none(), "one control element at a time");
        self.control = Some((0, control));
    }

    /// One portion of work.
    pub fn pump(&mut self, now: ProcTime) -> Result<Pumped, TaskError> {
        if let Some(b) = self.waiting.take() {
            if !self.outputs.has_room() {
                self.waiting = Some(b);
                return Ok(Pumped::NoRoom);
            }
            self.leave(b)?;
            return Ok(Pumped::Moved);
        }
        if let Some(k) = self.links.iter().rposition(|l| l.pending) {
            return self.pull(k);
        }
        if self.control.is_some() {
            self.advance_control()?;
            return Ok(Pumped::Moved);
        }
        if self.fire_timers(now)? {
            return Ok(Pumped::Moved);
        }
        Ok(if self.ended { Pumped::Ended } else { Pumped::Drained })
    }

    fn pull(&mut self, k: usize) -> Result<Pumped, TaskError> {
        let last = k + 1 == self.links.len();
        if (last || self.outputs.has_side(k)) && !self.outputs.has_room() {
            return Ok(Pumped::NoRoom);
        }
        let link = &mut self.links[k];
        match link.operator.next_output()? {
            None => {
                link.pending = false;
                while let Some((port, b)) = self.links[k].operator.next_side_output() {
                    self.outputs.send_side(k, port, b);
                }
            }
            Some(b) => {
                link.metrics.rows_out.add(b.len() as u64);
                if last {
                    self.leave(b)?;
                } else {
                    let next = &mut self.links[k + 1];
                    next.metrics.rows_in.add(b.len() as u64);
                    next.operator.process(0, b)?;
                    next.pending = true;
                }
            }
        }
        Ok(Pumped::Moved)
    }

    fn leave(&mut self, batch: Batch) -> Result<(), TaskError> {
        match &mut self.terminal {
            Terminal::Outputs => self.outputs.send(batch),
            Terminal::Sink { writer, schema, metrics, .. } => {
                metrics.rows_in.add(batch.len() as u64);
                let rows = RecordBatch::try_new(Arc::clone(schema), batch.rows.columns().to_vec())
                    .map_err(OperatorError::Output)?;
                writer.write(&Batch { rows, ..batch })?;
            }
        }
        Ok(())
    }

    /// Side output of a source head.
    pub fn send_head_side(&mut self, port: Port, batch: Batch) {
        self.outputs.send_head_side(port, batch);
    }

    fn advance_control(&mut self) -> Result<(), TaskError> {
        let Some((at, control)) = self.control.take() else { return Ok(()) };
        let Some(link) = self.links.get_mut(at) else {
            self.pass_on(control);
            return Ok(());
        };
        let next = match control {
            Control::Watermark(w) if w > link.watermark => {
                link.watermark = w;
                link.metrics.watermark.set(w.0);
                link.operator.watermark(w)?;
                link.pending = true;
                // What may be promised is asked when the output has left: see below.
                control
            }
            // Restored further on than what comes: nothing new for this operator, nor for those behind.
            Control::Watermark(_) => return Ok(()),
            Control::End => {
                link.operator.end()?;
                link.pending = true;
                control
            }
            Control::Idle => control,
        };
        self.control = Some((at + 1, self.promised(at, next)));
        Ok(())
    }

    /// The operator's own promise, for one that holds rows back.
    fn promised(&self, at: usize, control: Control) -> Control {
        match control {
            Control::Watermark(w) if w < EventTime::MAX => {
                Control::Watermark(self.links[at].operator.output_watermark(w))
            }
            c => c,
        }
    }

    fn pass_on(&mut self, control: Control) {
        if let Control::End = control {
            self.ended = true;
        }
        self.outputs.broadcast(match control {
            Control::Watermark(w) => Element::Watermark(w),
            Control::Idle => Element::Idle,
            Control::End => Element::End,
        });
    }

    fn fire_timers(&mut self, now: ProcTime) -> Result<bool, TaskError> {
        let mut fired = false;
        for l in &mut self.links {
            if l.operator.next_timer().is_some_and(|t| t <= now) {
                l.operator.clock(now)?;
                l.pending = true;
                fired = true;
            }
        }
        if let Terminal::Sink { writer, .. } = &mut self.terminal {
            writer.tick(now)?;
        }
        Ok(fired)
    }

    /// Freezes every operator, closes what the sink has written, and passes the barrier on. Only when drained.
    pub fn barrier(&mut self, epoch: Epoch, scope: Scope, ended: bool) -> Result<Option<Staged>, TaskError> {
        for l in &mut self.links {
            l.operator.barrier(epoch, scope);
            l.drained = false;
        }
        let staged = match &mut self.terminal {
            Terminal::Outputs => None,
            Terminal::Sink { writer, .. } => writer.barrier(epoch)?,
        };
        if !ended {
            self.outputs.broadcast(Element::Barrier(epoch));
        }
        Ok(staged)
    }

    /// Hands over frozen rows; true when all operators have.
    pub fn drain(&mut self, epoch: Epoch, full: bool, budget: usize, sinks: &mut dyn SnapshotSinks) -> bool {
        for l in self.links.iter_mut().filter(|l| !l.drained) {
            if l.operator.drain(budget, sinks.of(l.node, epoch, full)) == Drained::Pending {
                return false;
            }
            l.drained = true;
        }
        true
    }

    pub fn confirmed(&mut self, epoch: Epoch) {
        if let Terminal::Sink { writer, .. } = &mut self.terminal {
            writer.confirmed(epoch);
        }
    }

    /// Copies gauges that only the operators know into the metrics.
    pub fn publish_stats(&self) {
        for l in &self.links {
            l.metrics.publish(l.operator.stats());
        }
    }
}
