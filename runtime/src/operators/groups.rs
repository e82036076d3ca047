//! A table of groups: key → accumulators. Inline states stand in the slots of a [`WordTable`]; states that keep values are
//! values of a [`KeyedTable`].

use super::keys::{KeyForm, Keys, StoredKeys};
use crate::aggregate::{AggregateSet, GroupState, Inputs, Results};
use crate::operator::{Drained, Scope};
use crate::row::RowError;
use crate::state::{KeyedTable, StateBlock, StateSink, WordKey, WordTable};
use sluice_core::id::Epoch;
use sluice_core::key_group::KeyGroups;

pub(super) enum Groups {
    /// The state's prefix is the table's.
    Words(WordTable),
    Values(KeyedTable<GroupState>),
}

/// The state of one group, where it is.
#[derive(Clone, Copy)]
pub(super) enum GroupRef<'a> {
    Words(&'a [u64]),
    Value(&'a GroupState),
}

/// The same for writing.
pub(super) enum GroupMut<'a> {
    Words(&'a mut [u64]),
    Value(&'a mut GroupState),
}

impl GroupMut<'_> {
    pub(super) fn as_ref(&self) -> GroupRef<'_> {
        match self {
            Self::Words(words) => GroupRef::Words(words),
            Self::Value(state) => GroupRef::Value(state),
        }
    }

    #[inline]
    pub(super) fn update(&mut self, set: &AggregateSet, inputs: &Inputs, row: usize, adds: bool) {
        match self {
            Self::Words(words) => set.update_words(words, inputs, row, adds),
            Self::Value(state) => set.update(state, inputs, row, adds),
        }
    }

    /// As if it were new.
    pub(super) fn clear(&mut self, set: &AggregateSet) {
        match self {
            Self::Words(words) => words.fill(0),
            Self::Value(state) => **state = set.fresh(),
        }
    }

    pub(super) fn stamp(&self, set: &AggregateSet) -> i64 {
        self.as_ref().stamp(set)
    }

    pub(super) fn set_stamp(&mut self, set: &AggregateSet, stamp: i64) {
        match self {
            Self::Words(words) => set.set_stamp(words, stamp),
            Self::Value(state) => set.set_stamp(state.words_mut(), stamp),
        }
    }
}

impl GroupRef<'_> {
    pub(super) fn stamp(self, set: &AggregateSet) -> i64 {
        match self {
            Self::Words(words) => set.stamp(words),
            Self::Value(state) => set.stamp(state.words()),
        }
    }

    pub(super) fn rows(self, set: &AggregateSet) -> i64 {
        match self {
            Self::Words(words) => set.rows_of_words(words),
            Self::Value(state) => set.rows(state),
        }
    }

    pub(super) fn finish(self, set: &AggregateSet, results: &mut Results) {
        match self {
            Self::Words(words) => set.finish_words(words, results),
            Self::Value(state) => set.finish(state, results),
        }
    }
}

impl Groups {
    /// `prefix`: words before every key in snapshots; a table of values leaves them to its owner.
    pub(super) fn new(table: u8, prefix: &[u64], keys: &Keys, set: &AggregateSet, key_groups: KeyGroups) -> Self {
        match keys.form {
            _ if !set.is_inline() => Self::Values(KeyedTable::new(table, key_groups)),
            KeyForm::Words { width, .. } => Self::Words(WordTable::with_prefix(table, prefix, width, set.words())),
            KeyForm::Bytes => Self::Words(WordTable::with_byte_keys(table, prefix, set.words())),
        }
    }

    /// Adds the rows, or takes them away where `adds` says so. `rows`: some places of the batch; `None`: all.
    pub(super) fn update(
        &mut self,
        set: &AggregateSet,
        keys: &Keys,
        inputs: &Inputs,
        rows: Option<&[u32]>,
        adds: impl Fn(usize) -> bool,
    ) {
        match (self, rows) {
            (Self::Values(table), rows) => {
                let mut update = |row: usize| {
                    let WordKey::Bytes(key) = keys.key(row) else { return };
                    let group = table.entry(keys.hashes()[row], key, || set.fresh());
                    set.update(group, inputs, row, adds(row));
                };
                match rows {
                    None => (0..keys.hashes().len()).for_each(update),
                    Some(rows) => rows.iter().for_each(|&row| update(row as usize)),
                }
            }
            (Self::Words(table), None) => {
                let update = |row: usize, words: &mut [u64], _| set.update_words(words, inputs, row, adds(row));
                match keys.form {
                    KeyForm::Words { .. } => table.upsert_batch(keys.hashes(), keys.words(), update),
                    KeyForm::Bytes => table.upsert_batch_bytes(keys.hashes(), keys.rows(), update),
                }
            }
            (Self::Words(table), Some(rows)) => {
                let (mut hashes, mut stored) = (Vec::with_capacity(rows.len()), StoredKeys::default());
                for &row in rows {
                    hashes.push(keys.hashes()[row as usize]);
                    stored.push(keys.key(row as usize));
                }
                upsert(table, keys.form, &hashes, &stored, |i, words, _| {
                    let row = rows[i] as usize;
                    set.update_words(words, inputs, row, adds(row));
                });
            }
        }
    }

    /// Calls `f` with the state of each key, new ones (true) included. The keys are distinct.
    pub(super) fn upsert(
        &mut self,
        set: &AggregateSet,
        keys: &Keys,
        hashes: &[u64],
        stored: &StoredKeys,
        mut f: impl FnMut(usize, GroupMut<'_>, bool),
    ) {
        match self {
            Self::Words(table) => {
                upsert(table, keys.form, hashes, stored, |i, words, fresh| f(i, GroupMut::Words(words), fresh));
            }
            Self::Values(table) => {
                for (i, &hash) in hashes.iter().enumerate() {
                    let WordKey::Bytes(key) = stored.get(i) else { continue };
                    let mut fresh = false;
                    let state = table.entry(hash, key, || {
                        fresh = true;
                        set.fresh()
                    });
                    f(i, GroupMut::Value(state), fresh);
                }
            }
        }
    }

    pub(super) fn remove(&mut self, hash: u64, key: WordKey<'_>) {
        match (self, key) {
            (Self::Words(table), key) => {
                table.remove(hash, key);
            }
            (Self::Values(table), WordKey::Bytes(key)) => {
                table.remove(hash, key);
            }
            (Self::Values(_), WordKey::Words(_)) => {}
        }
    }

    /// Sets the time of a group, if there is one.
    pub(super) fn stamp(&mut self, set: &AggregateSet, hash: u64, key: WordKey<'_>, stamp: i64) {
        match (self, key) {
            (Self::Words(table), key) => {
                if let Some(words) = table.get_mut(hash, key) {
                    set.set_stamp(words, stamp);
                }
            }
            (Self::Values(table), WordKey::Bytes(key)) => {
                if let Some(state) = table.get_mut(hash, key) {
                    set.set_stamp(state.words_mut(), stamp);
                }
            }
            (Self::Values(_), WordKey::Words(_)) => {}
        }
    }

    /// Merges the groups of `other` whose hashes lie in the range: they come after those that are here.
    pub(super) fn merge(&mut self, set: &AggregateSet, keys: &Keys, other: &Self, range: HashRange) {
        match self {
            Self::Values(table) => other.visit(range, |hash, key, group| {
                if let (WordKey::Bytes(key), GroupRef::Value(group)) = (key, group) {
                    set.merge(table.entry(hash, key, || set.fresh()), group);
                }
            }),
            Self::Words(table) => {
                let (mut hashes, mut stored, mut states) = (vec![], StoredKeys::default(), vec![]);
                other.visit(range, |hash, key, group| {
                    if let GroupRef::Words(words) = group {
                        hashes.push(hash);
                        stored.push(key);
                        states.extend_from_slice(words);
                    }
                });
                let n = set.words();
                upsert(table, keys.form, &hashes, &stored, |i, words, _| {
                    set.merge_words(words, &states[i * n..(i + 1) * n]);
                });
            }
        }
    }

    /// Where a portion of about `budget` groups that starts at `cursor` ends.
    pub(super) fn portion(&self, cursor: u64, budget: usize) -> HashRange {
        let next = match self {
            Self::Words(table) => table.scan(cursor, budget, |_, _, _| {}),
            Self::Values(table) => table.scan(cursor, budget, |_, _, _| {}),
        };
        HashRange { from: cursor, to: next }
    }

    /// Every group whose hash lies in the range, in hash order.
    pub(super) fn visit(&self, range: HashRange, mut f: impl FnMut(u64, WordKey<'_>, GroupRef<'_>)) {
        let mut cursor = range.from;
        loop {
            // Tables visit whole sub-tables, which may reach beyond the range at both ends.
            cursor = match self {
                Self::Words(table) => table.scan(cursor, 1, |hash, key, words| {
                    if range.contains(hash) {
                        f(hash, key, GroupRef::Words(words));
                    }
                }),
                Self::Values(table) => table.scan(cursor, 1, |hash, key, state| {
                    if range.contains(hash) {
                        f(hash, WordKey::Bytes(key), GroupRef::Value(state));
                    }
                }),
            };
            if cursor == 0 || (range.to != 0 && cursor >= range.to) {
                return;
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Words(table) => table.len(),
            Self::Values(table) => table.len(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Words(table) => table.bytes(),
            Self::Values(table) => table.bytes(),
        }
    }

    pub(super) fn barrier(&mut self, epoch: Epoch, scope: Scope) {
        match self {
            Self::Words(table) => table.barrier(scope),
            Self::Values(table) => table.barrier(epoch, scope),
        }
    }

    pub(super) fn drain(&mut self, budget: usize, sink: &mut dyn StateSink) -> Drained {
        match self {
            Self::Words(table) => table.drain(budget, sink),
            Self::Values(table) => table.drain(budget, sink),
        }
    }

    /// Row `row` of a block, whose key is `key` without the prefix.
    pub(super) fn restore_row(&mut self, block: &StateBlock, row: usize, key: &[u8]) -> Result<(), RowError> {
        match self {
            Self::Words(table) => table.restore_row(block, row),
            Self::Values(table) => {
                let mut one = StateBlock::new(block.table);
                one.hashes.push(block.hashes[row]);
                one.deleted.push(block.deleted[row]);
                one.keys.push(key);
                one.values.push(block.values.row(row));
                table.restore(&one)
            }
        }
    }

    /// A block of keys without a prefix.
    pub(super) fn restore(&mut self, block: &StateBlock) -> Result<(), RowError> {
        match self {
            Self::Words(table) => table.restore(block),
            Self::Values(table) => table.restore(block),
        }
    }

    /// Whether all restored groups are groups of the set. Tables of words check it row by row.
    pub(super) fn check(&self, set: &AggregateSet) -> Result<(), RowError> {
        let mut fits = true;
        if let Self::Values(table) = self {
            table.for_each(|_, _, group| fits &= group.fits(set));
        }
        if fits { Ok(()) } else { Err(RowError::Damaged("a group has another number of accumulators")) }
    }
}

fn upsert(
    table: &mut WordTable,
    form: KeyForm,
    hashes: &[u64],
    keys: &StoredKeys,
    f: impl FnMut(usize, &mut [u64], bool),
) {
    match form {
        KeyForm::Words { .. } => table.upsert_batch(hashes, keys.words(), f),
        KeyForm::Bytes => table.upsert_batch_bytes(hashes, keys.rows(), f),
    }
}

/// A run of hashes from `from` up to `to`, which is not in it; 0 as the end is beyond the last hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HashRange {
    pub(super) from: u64,
    pub(super) to: u64,
}

impl HashRange {
    pub(super) fn contains(self, hash: u64) -> bool {
        self.from <= hash && (hash < self.to || self.to == 0)
    }
}
