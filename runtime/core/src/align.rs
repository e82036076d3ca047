//! Barrier alignment of one task: which channels are held back, and when the snapshot may be taken.
//!
//! `End` counts as aligned for all later epochs. A task whose inputs have all ended takes its snapshot on the coordinator's
//! word alone, for no barrier will come.

use crate::id::Epoch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    Open,
    /// The barrier of the epoch in progress has come; what follows belongs to the next epoch.
    Held,
    Ended,
}

/// The alignment of one task.
#[derive(Clone, Debug)]
pub struct Aligner {
    channels: Vec<Channel>,
    /// In progress: at least one channel is held.
    epoch: Option<Epoch>,
    /// The highest epoch that was completed here.
    last: Option<Epoch>,
    /// Asked for by the coordinator, not yet completed.
    asked: Option<Epoch>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlignError {
    #[error("barrier {got} came on channel {channel} while epoch {expected} is being aligned")]
    Overlap { channel: usize, got: Epoch, expected: Epoch },
    #[error("barrier {got} came on channel {channel} after epoch {last} was completed")]
    Old { channel: usize, got: Epoch, last: Epoch },
}

impl Aligner {
    pub fn new(channels: usize) -> Self {
        Self { channels: vec![Channel::Open; channels], epoch: None, last: None, asked: None }
    }

    /// Whether elements of this channel may be taken now.
    #[inline]
    pub fn is_open(&self, channel: usize) -> bool {
        self.channels[channel] == Channel::Open
    }

    pub fn all_ended(&self) -> bool {
        self.channels.iter().all(|c| *c == Channel::Ended)
    }

    /// A barrier came. Returns the epoch when all channels are aligned: take the snapshot, all channels are open again.
    pub fn barrier(&mut self, channel: usize, epoch: Epoch) -> Result<Option<Epoch>, AlignError> {
        match (self.epoch, self.last) {
            (Some(expected), _) if expected != epoch => {
                return Err(AlignError::Overlap { channel, got: epoch, expected });
            }
            (None, Some(last)) if epoch <= last => return Err(AlignError::Old { channel, got: epoch, last }),
            _ => {}
        }
        self.epoch = Some(epoch);
        self.channels[channel] = Channel::Held;
        Ok(self.complete())
    }

    /// A channel has ended; the others may be aligned by that.
    pub fn end(&mut self, channel: usize) -> Option<Epoch> {
        self.channels[channel] = Channel::Ended;
        self.complete()
    }

    /// The coordinator asks for a snapshot.
    pub fn asked(&mut self, epoch: Epoch) -> Option<Epoch> {
        if self.last.is_some_and(|l| epoch <= l) {
            return None; // Done by barriers before the word came.
        }
        self.asked = Some(epoch);
        self.complete()
    }

    fn complete(&mut self) -> Option<Epoch> {
        let epoch = match self.epoch {
            Some(e) if self.channels.iter().all(|c| *c != Channel::Open) => e,
            None if self.all_ended() => self.asked?,
            _ => return None,
        };
        for c in &mut self.channels {
            if *c == Channel::Held {
                *c = Channel::Open;
            }
        }
        self.epoch = None;
        self.last = Some(epoch);
        self.asked = self.asked.filter(|a| *a > epoch);
        Some(epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    const E1: Epoch = Epoch(1);
    const E2: Epoch = Epoch(2);

    #[test]
    fn all_channels_align() {
        let mut a = Aligner::new(2);
        assert_eq!(a.barrier(0, E1), Ok(None));
        assert!(!a.is_open(0) && a.is_open(1));
        assert_eq!(a.barrier(1, E1), Ok(Some(E1)));
        assert!(a.is_open(0) && a.is_open(1));
        assert_eq!(a.asked(E1), None);
    }

    #[test]
    fn an_ended_channel_counts_as_aligned() {
        let mut a = Aligner::new(2);
        assert_eq!(a.end(0), None);
        assert_eq!(a.barrier(1, E1), Ok(Some(E1)));
        assert_eq!(a.barrier(1, E2), Ok(Some(E2)));
    }

    #[test]
    fn an_end_can_complete_the_alignment() {
        let mut a = Aligner::new(2);
        assert_eq!(a.barrier(0, E1), Ok(None));
        assert_eq!(a.end(1), Some(E1));
    }

    #[test]
    fn with_all_inputs_ended_the_coordinators_word_is_enough() {
        let mut a = Aligner::new(1);
        assert_eq!(a.asked(E1), None, "a barrier is still to come");
        assert_eq!(a.end(0), Some(E1), "it ended instead");
        assert_eq!(a.asked(E2), Some(E2));
        assert_eq!(a.asked(E2), None);
    }

    #[test]
    fn wrong_epochs_are_refused() {
        let mut a = Aligner::new(2);
        assert_eq!(a.barrier(0, E2), Ok(None));
        assert!(matches!(a.barrier(1, E1), Err(AlignError::Overlap { .. })));
        let mut a = Aligner::new(1);
        assert_eq!(a.barrier(0, E2), Ok(Some(E2)));
        assert!(matches!(a.barrier(0, E1), Err(AlignError::Old { .. })));
    }
}
