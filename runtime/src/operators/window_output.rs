//! Result rows of windows that fire: keys, aggregates, `window_start`, `window_end`, `window_time`, in portions.

use super::groups::{Groups, HashRange};
use super::keys::{Keys, StoredKeys};
use super::window_assign::{typed_like, window_columns};
use crate::aggregate::{AggregateSet, Results};
use crate::element::Batch;
use crate::operator::{MAX_OUTPUT_ROWS, OperatorError};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use sluice_core::key_group::KeyGroup;
use sluice_core::window::TimeWindow;
use std::collections::BTreeSet;

/// Turns groups of windows that fire into batches.
pub(super) struct WindowRows<'a> {
    pub(super) set: &'a AggregateSet,
    pub(super) keys: &'a Keys,
    pub(super) schema: &'a SchemaRef,
    /// Rows may have been taken back: a group can be empty.
    pub(super) retracts: bool,
}

impl WindowRows<'_> {
    /// The groups of a table whose hashes lie in the range; none if all of them have lost their rows. `seen` is called with
    /// every hash.
    pub(super) fn of_table(
        &self,
        window: TimeWindow,
        groups: &Groups,
        range: HashRange,
        mut seen: impl FnMut(u64),
    ) -> Result<Option<Batch>, OperatorError> {
        let mut keys = StoredKeys::default();
        let mut results = self.set.results(MAX_OUTPUT_ROWS);
        groups.visit(range, |hash, key, group| {
            seen(hash);
            if !self.retracts || group.rows(self.set) > 0 {
                keys.push(key);
                group.finish(self.set, &mut results);
            }
        });
        if keys.len() == 0 {
            return Ok(None);
        }
        self.batch(&vec![window; keys.len()], &keys, results).map(Some)
    }

    /// One row per key, result and window.
    pub(super) fn batch(
        &self,
        windows: &[TimeWindow],
        keys: &StoredKeys,
        results: Results,
    ) -> Result<Batch, OperatorError> {
        let mut columns = self.keys.decode(keys)?;
        columns.extend(results.into_columns()?);
        columns.extend(typed_like(self.schema, window_columns(windows))?);
        let rows = RecordBatch::try_new(self.schema.clone(), columns).map_err(OperatorError::Output)?;
        Ok(Batch::append(rows))
    }
}

/// The key groups of hashes that come in rising order.
#[derive(Default)]
pub(super) struct KeyGroupsSeen(BTreeSet<KeyGroup>, Option<KeyGroup>);

impl KeyGroupsSeen {
    pub(super) fn add(&mut self, group: KeyGroup) {
        // Most hashes are in the group of the one before.
        if self.1 != Some(group) {
            self.1 = Some(group);
            self.0.insert(group);
        }
    }

    pub(super) fn into_groups(self) -> BTreeSet<KeyGroup> {
        self.0
    }
}
