//! Settling one sink slot of an epoch that keeps a progress record with its output (Kafka and the like).
//!
//! The order is the driver's duty: fence every slot of the manifest's layout first, then read every slot's progress to the
//! end offset that the leader gave after the fencing, then decide, then write rows and progress in one transaction.

use crate::id::Epoch;

/// What a slot's progress means for the settlement of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotStep {
    /// Somebody has settled it.
    Done,
    /// Its staging is to be written, with progress = the epoch.
    Write,
    /// The progress is not what the manifest says it must be: a recreated topic, a wrong cleanup policy, another job's
    /// prefix. Writing would repeat or lose output; the job halts. But a zombie sees this, too, once its successors have
    /// gone on: a writer that finds itself fenced when it looks at the journal again just stops (the model found this).
    Lost { found: Option<Epoch> },
}

/// `progress`: the last committed record of this slot; `prev`: what the manifest says stood there before `epoch`.
pub fn decide(progress: Option<Epoch>, epoch: Epoch, prev: Option<Epoch>) -> SlotStep {
    if progress == Some(epoch) {
        SlotStep::Done
    } else if progress == prev {
        SlotStep::Write
    } else {
        SlotStep::Lost { found: progress }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_epoch_or_its_predecessor_is_accepted() {
        let (e3, e5, e7) = (Epoch(3), Epoch(5), Epoch(7));
        assert_eq!(decide(Some(e5), e5, Some(e3)), SlotStep::Done);
        assert_eq!(decide(Some(e3), e5, Some(e3)), SlotStep::Write);
        assert_eq!(decide(None, e5, None), SlotStep::Write);
        assert_eq!(decide(None, e5, Some(e3)), SlotStep::Lost { found: None });
        assert_eq!(decide(Some(e7), e5, Some(e3)), SlotStep::Lost { found: Some(e7) });
        assert_eq!(decide(Some(e3), e5, None), SlotStep::Lost { found: Some(e3) });
    }
}
