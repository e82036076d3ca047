//! The sources of a run: opened once, their splits handed out, new ones discovered.

use crate::connector::{ConnectorError, SourceGuarantee, Split};
use crate::connectors::{ConnectorContext, open_source};
use crate::deploy::OpenSource;
use sluice_core::manifest::{Manifest, SplitState};
use sluice_core::plan::{Op, Plan};
use sluice_core::watermark::SplitWatermark;
use std::collections::{BTreeMap, BTreeSet};

pub struct Sources {
    /// By plan node.
    pub open: BTreeMap<usize, OpenSource>,
    /// Ids that were handed out, by plan node.
    known: BTreeMap<usize, BTreeSet<String>>,
    /// Which worker gets the next new split.
    next: usize,
}

impl Sources {
    /// Opens every source of the plan. Splits of `restored` go on where they were; those that it does not know are new.
    /// An at-most-once source begins at its current end: its old splits mean nothing any more.
    pub fn open(plan: &Plan, cx: &ConnectorContext, restored: Option<&Manifest>) -> Result<Self, ConnectorError> {
        let mut sources = Self { open: BTreeMap::new(), known: BTreeMap::new(), next: 0 };
        for (n, node) in plan.nodes.iter().enumerate() {
            let Op::Source { table, .. } = &node.op else { continue };
            let mut source = open_source(&plan.tables[table], cx)?;
            let states = restored
                .and_then(|m| m.operator(&node.id))
                .filter(|_| source.guarantee() == SourceGuarantee::Replayable)
                .map_or(&[][..], |o| &o.splits);
            let splits = merge(table, states, source.splits()?)?;
            sources.known.insert(n, splits.iter().map(|(s, _)| s.id.clone()).collect());
            sources.open.insert(n, OpenSource { source, splits });
        }
        Ok(sources)
    }

    /// At most once: what exists now counts as read.
    pub fn skip_to_end(&mut self) {
        for s in self.open.values_mut() {
            for (split, _) in &mut s.splits {
                *split = s.source.at_current_end(split.clone());
            }
        }
    }

    /// Whether some source may go on for ever.
    pub fn unbounded(&self) -> bool {
        self.open.values().any(|s| s.source.unbounded())
    }

    /// Splits that appeared since the last call, each with the node of its source and the worker that gets it.
    pub fn discover(&mut self, workers: usize) -> Result<Vec<(usize, usize, Split)>, ConnectorError> {
        let mut found = vec![];
        for (n, s) in self.open.iter_mut().filter(|(_, s)| s.source.unbounded()) {
            let known = self.known.entry(*n).or_default();
            for split in s.source.splits()? {
                if known.insert(split.id.clone()) {
                    self.next = (self.next + 1) % workers;
                    found.push((*n, self.next, split));
                }
            }
        }
        Ok(found)
    }
}

type Start = (Split, Option<SplitWatermark>);

/// Restored splits as they were, then the new ones; in the order of their ids, so that any process hands them out alike.
fn merge(table: &str, states: &[SplitState], now: Vec<Split>) -> Result<Vec<Start>, ConnectorError> {
    let mut all: BTreeMap<String, Start> = BTreeMap::new();
    for state in states {
        let split: Split = serde_json::from_value(state.split.clone()).map_err(|e| ConnectorError::Damaged {
            table: table.to_owned(),
            message: format!("the checkpoint's split cannot be read: {e}"),
        })?;
        let mark =
            state.watermark.map(|w| SplitWatermark { max: w.max_event_time, idle: w.idle, finished: split.finished });
        all.insert(split.id.clone(), (split, mark));
    }
    for split in now {
        all.entry(split.id.clone()).or_insert((split, None));
    }
    Ok(all.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use sluice_core::manifest::GeneratorState;
    use sluice_core::time::EventTime;

    fn split(id: &str, position: i64, finished: bool) -> Split {
        Split { id: id.into(), position: json!(position), finished }
    }

    #[test]
    fn restored_splits_keep_their_position_and_new_ones_join() {
        let state = |s: Split, max| SplitState {
            table: "t".into(),
            split: serde_json::to_value(s).unwrap(),
            watermark: Some(GeneratorState { max_event_time: EventTime(max), idle: false }),
        };
        let states = [state(split("b", 7, false), 70), state(split("a", 9, true), 90)];
        let got = merge("t", &states, vec![split("a", 0, false), split("b", 0, false), split("c", 0, false)]).unwrap();
        assert_eq!(
            got.iter().map(|(s, w)| (s.id.as_str(), s.finished, w.map(|w| w.max.0))).collect::<Vec<_>>(),
            [("a", true, Some(90)), ("b", false, Some(70)), ("c", false, None)]
        );
        assert_eq!(got[1].0.position, json!(7));
    }

    #[test]
    fn a_damaged_split_is_refused() {
        let state = SplitState { table: "t".into(), split: json!("?"), watermark: None };
        assert!(matches!(merge("t", &[state], vec![]), Err(ConnectorError::Damaged { .. })));
    }
}
