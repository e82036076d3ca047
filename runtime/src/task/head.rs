//! Where a task's rows come from.

use super::TaskError;
use super::chain::Control;
use super::source::SourceHead;
use crate::channel::Receiver;
use crate::connector::Split;
use crate::element::{Batch, Element};
use sluice_core::align::Aligner;
use sluice_core::id::Epoch;
use sluice_core::plan::Port;
use sluice_core::time::EventTime;
use sluice_core::watermark::{Combined, SplitWatermark, Watermarks};

/// What the head gives.
#[derive(Debug)]
pub enum Taken {
    Nothing,
    /// Something was taken that concerns nobody else.
    Later,
    Rows(usize, Batch),
    Control(Control),
    /// Dead letters.
    Side(Port, Batch),
    /// All inputs are aligned: snapshot now.
    Barrier {
        epoch: Epoch,
        stop: bool,
    },
}

pub enum Head {
    Channels(ChannelHead),
    Source(Box<SourceHead>),
}

impl Head {
    pub fn take(&mut self) -> Result<Taken, TaskError> {
        match self {
            Self::Channels(h) => h.take(),
            Self::Source(h) => h.take(),
        }
    }

    pub fn has_input(&self) -> bool {
        match self {
            Self::Channels(h) => h.has_input(),
            Self::Source(h) => h.has_input(),
        }
    }

    pub fn asked(&mut self, epoch: Epoch, stop: bool) {
        match self {
            Self::Channels(h) => h.due = h.aligner.asked(epoch).or(h.due),
            Self::Source(h) => h.asked(epoch, stop),
        }
    }

    pub fn add_splits(&mut self, splits: Vec<Split>) -> Result<(), TaskError> {
        match self {
            Self::Channels(_) => Ok(()),
            Self::Source(h) => h.add_splits(splits),
        }
    }

    pub fn splits(&self) -> Vec<(Split, SplitWatermark)> {
        match self {
            Self::Channels(_) => vec![],
            Self::Source(h) => h.splits(),
        }
    }

    /// Plan node of the source.
    pub fn node(&self) -> Option<usize> {
        match self {
            Self::Channels(_) => None,
            Self::Source(h) => Some(h.node),
        }
    }

    pub fn ended(&self) -> bool {
        match self {
            Self::Channels(h) => h.end_sent,
            Self::Source(h) => h.ended(),
        }
    }

    /// Whether the next thing taken could be a snapshot.
    pub fn at_barrier(&self) -> bool {
        match self {
            // Held channels mean that an alignment is under way; it completes only after the coordinator has started the
            // next epoch, which it does after the one before is complete: so this never holds anything up for long.
            Self::Channels(h) => h.due.is_some(),
            Self::Source(h) => h.at_barrier(),
        }
    }
}

/// Channels from upstream tasks.
pub struct ChannelHead {
    /// With the input of the first operator that they feed.
    channels: Vec<(usize, Receiver)>,
    aligner: Aligner,
    watermarks: Watermarks,
    next: usize,
    due: Option<Epoch>,
    end_sent: bool,
}

impl ChannelHead {
    pub fn new(channels: Vec<(usize, Receiver)>, watermark: EventTime) -> Self {
        let n = channels.len();
        Self {
            channels,
            aligner: Aligner::new(n),
            watermarks: Watermarks::new(n, watermark),
            next: 0,
            due: None,
            end_sent: false,
        }
    }

    fn has_input(&self) -> bool {
        self.due.is_some()
            || self.channels.iter().enumerate().any(|(i, (_, c))| self.aligner.is_open(i) && !c.is_empty())
    }

    fn take(&mut self) -> Result<Taken, TaskError> {
        if let Some(epoch) = self.due.take() {
            return Ok(Taken::Barrier { epoch, stop: false });
        }
        // In turn: no input is preferred, only alignment holds one back.
        for _ in 0..self.channels.len() {
            let i = self.next;
            self.next = (self.next + 1) % self.channels.len();
            if self.aligner.is_open(i)
                && let Some(e) = self.channels[i].1.receive()
            {
                return self.element(i, e);
            }
        }
        if self.aligner.all_ended() && !self.end_sent {
            self.end_sent = true;
            return Ok(Taken::Control(Control::End));
        }
        Ok(Taken::Nothing)
    }

    fn element(&mut self, i: usize, element: Element) -> Result<Taken, TaskError> {
        Ok(match element {
            Element::Batch(b) => {
                self.watermarks.active(i);
                Taken::Rows(self.channels[i].0, b)
            }
            Element::Watermark(t) => combined(self.watermarks.advance(i, t)),
            Element::Idle => combined(self.watermarks.idle(i)),
            Element::Barrier(e) => match self.aligner.barrier(i, e)? {
                Some(epoch) => Taken::Barrier { epoch, stop: false },
                None => Taken::Later,
            },
            Element::End => {
                self.due = self.aligner.end(i).or(self.due);
                // An ended channel holds no watermark back (its last one is the final one, unless it was idle).
                combined(self.watermarks.advance(i, EventTime::MAX))
            }
        })
    }
}

fn combined(c: Combined) -> Taken {
    match c {
        Combined::Unchanged => Taken::Later,
        Combined::Advanced(t) => Taken::Control(Control::Watermark(t)),
        Combined::Idle => Taken::Control(Control::Idle),
    }
}
