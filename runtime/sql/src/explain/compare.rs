//! What a changed job keeps: operators with state, by id.

use super::holds_state;
use sluice_core::id::OperatorId;
use sluice_core::plan::{Op, Plan};
use std::collections::HashSet;

/// What happens to one operator's state when `new` is restored from `old`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// In both plans: its state goes on.
    Reuse,
    /// Only in the new plan: starts empty.
    Rebuild,
    /// Only in the old plan: its state is lost.
    Drop,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub fate: Fate,
    pub id: OperatorId,
    pub label: String,
}

/// Operators with state, those of the new plan first, in the order of the plans. Sinks are left out: their staging is
/// settled before a savepoint is complete.
pub fn compare(old: &Plan, new: &Plan) -> Vec<Change> {
    let ids = |p: &Plan| p.nodes.iter().map(|n| n.id.clone()).collect::<HashSet<_>>();
    let (before, after) = (ids(old), ids(new));
    let stateful = |p: &'_ Plan| -> Vec<(OperatorId, String)> {
        let keeps = |op: &Op| holds_state(op) && !matches!(op, Op::Sink { .. });
        p.nodes.iter().filter(|n| keeps(&n.op)).map(|n| (n.id.clone(), n.label.clone())).collect()
    };
    let kept = stateful(new).into_iter().map(|(id, label)| {
        let fate = if before.contains(&id) { Fate::Reuse } else { Fate::Rebuild };
        Change { fate, id, label }
    });
    let lost = stateful(old).into_iter().filter(|(id, _)| !after.contains(id)).map(|(id, label)| Change {
        fate: Fate::Drop,
        id,
        label,
    });
    kept.chain(lost).collect()
}
