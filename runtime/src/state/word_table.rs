//! `WordTable`: rows of a fixed number of words, key and state side by side in the slot, one cache miss each. Aggregates
//! over fixed-width keys live here.

use super::key::Key;
use super::outbox::Outbox;
use super::prefetch::AHEAD;
use super::slab::Slab;
use super::slot::HASH_MASK;
use super::slot_table::{Place, SlotTable};
use super::{StateBlock, StateSink};
use crate::operator::{Drained, Scope};
use crate::row::{RowBuffer, RowError};
use std::collections::VecDeque;

/// `key_words` + `state_words` words per row; or keys of any length, whose bytes stand in a slab.
#[derive(Debug)]
pub struct WordTable {
    slots: SlotTable,
    keys: Keys,
    state_words: usize,
    /// Words before every key in snapshots: what tables of one kind differ in (a window).
    prefix: Vec<u8>,
    out: Outbox,
}

#[derive(Debug)]
enum Keys {
    Words(usize),
    Bytes { slab: Slab<Key>, heap: usize },
}

/// A key, as the table was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordKey<'a> {
    Words(&'a [u64]),
    Bytes(&'a [u8]),
}

fn put_words(words: &[u64], out: &mut Vec<u8>) {
    words.iter().for_each(|w| out.extend_from_slice(&w.to_le_bytes()));
}

/// Gives a frozen row to the outbox.
#[inline]
fn emit(keys: &Keys, prefix: &[u8], out: &mut Outbox, hash: u64, words: &[u64]) {
    match keys {
        Keys::Words(k) => {
            let put_key = |b: &mut Vec<u8>| {
                b.extend_from_slice(prefix);
                put_words(&words[..*k], b);
            };
            out.row(hash, put_key, |b| put_words(&words[*k..], b));
        }
        Keys::Bytes { slab, .. } => {
            let put_key = |b: &mut Vec<u8>| {
                b.extend_from_slice(prefix);
                b.extend_from_slice(slab.get(words[0]).bytes());
            };
            out.row(hash, put_key, |b| put_words(&words[1..], b));
        }
    }
}

impl WordTable {
    /// Keys of `key_words` words (0: one row), states of `state_words`.
    pub fn new(table: u8, key_words: usize, state_words: usize) -> Self {
        Self::with_prefix(table, &[], key_words, state_words)
    }

    /// As [`WordTable::new`], with words before every key in snapshots.
    pub fn with_prefix(table: u8, prefix: &[u64], key_words: usize, state_words: usize) -> Self {
        let widths = ((prefix.len() + key_words) as u32 * 8, state_words as u32 * 8);
        Self {
            slots: SlotTable::new(key_words + state_words),
            keys: Keys::Words(key_words),
            state_words,
            prefix: prefix.iter().flat_map(|w| w.to_le_bytes()).collect(),
            out: Outbox::new(table, widths),
        }
    }

    /// Keys of any length.
    pub fn with_byte_keys(table: u8, prefix: &[u64], state_words: usize) -> Self {
        Self {
            slots: SlotTable::new(1 + state_words),
            keys: Keys::Bytes { slab: Slab::new(), heap: 0 },
            state_words,
            prefix: prefix.iter().flat_map(|w| w.to_le_bytes()).collect(),
            out: Outbox::new(table, (0, state_words as u32 * 8)),
        }
    }

    /// Words of a slot before the state.
    #[inline(always)]
    fn head(&self) -> usize {
        match self.keys {
            Keys::Words(n) => n,
            Keys::Bytes { .. } => 1,
        }
    }

    /// For each row: finds or makes its key's state, and calls `f(row, state, fresh)`; a fresh state is all zeros.
    ///
    /// `keys` are the rows' key words one row after the other. The table must have been made by [`WordTable::new`].
    #[inline]
    pub fn upsert_batch(&mut self, hashes: &[u64], keys: &[u64], f: impl FnMut(usize, &mut [u64], bool)) {
        debug_assert_eq!(hashes.len() * self.head(), keys.len());
        match self.keys {
            Keys::Words(1) => self.upsert_words::<1>(hashes, keys, f),
            Keys::Words(2) => self.upsert_words::<2>(hashes, keys, f),
            Keys::Words(3) => self.upsert_words::<3>(hashes, keys, f),
            _ => self.upsert_any(hashes, keys, f),
        }
    }

    #[inline(always)]
    fn upsert_words<const K: usize>(
        &mut self,
        hashes: &[u64],
        keys: &[u64],
        mut f: impl FnMut(usize, &mut [u64], bool),
    ) {
        let (rows, _) = keys.as_chunks::<K>();
        let Self { slots, keys: kind, prefix, out, .. } = self;
        for (i, (hash, key)) in hashes.iter().zip(rows).enumerate() {
            if let Some(h) = hashes.get(i + AHEAD) {
                slots.prefetch(*h);
            }
            let same = |w: &[u64]| w.first_chunk::<K>() == Some(key);
            let (at, fresh) = slots.upsert(*hash, same, &mut |h, w| emit(kind, prefix, out, h, w));
            let words = slots.words_mut(at);
            if fresh {
                words[..K].copy_from_slice(key);
            }
            f(i, &mut words[K..], fresh);
        }
    }

    fn upsert_any(&mut self, hashes: &[u64], keys: &[u64], mut f: impl FnMut(usize, &mut [u64], bool)) {
        let k = self.head();
        let Self { slots, keys: kind, prefix, out, .. } = self;
        for (i, hash) in hashes.iter().enumerate() {
            if let Some(h) = hashes.get(i + AHEAD) {
                slots.prefetch(*h);
            }
            let key = &keys[i * k..(i + 1) * k];
            let (at, fresh) = slots.upsert(*hash, |w| w[..k] == *key, &mut |h, w| emit(kind, prefix, out, h, w));
            let words = slots.words_mut(at);
            if fresh {
                words[..k].copy_from_slice(key);
            }
            f(i, &mut words[k..], fresh);
        }
    }

    /// [`WordTable::upsert_batch`] for a table made by [`WordTable::with_byte_keys`].
    #[inline]
    pub fn upsert_batch_bytes(&mut self, hashes: &[u64], keys: &RowBuffer, mut f: impl FnMut(usize, &mut [u64], bool)) {
        for (i, hash) in hashes.iter().enumerate() {
            if let Some(h) = hashes.get(i + AHEAD) {
                self.slots.prefetch(*h);
            }
            let (at, fresh) = self.upsert_bytes(*hash, keys.row(i));
            f(i, &mut self.slots.words_mut(at)[1..], fresh);
        }
    }

    #[inline]
    fn upsert_bytes(&mut self, hash: u64, key: &[u8]) -> (Place, bool) {
        let (kind, prefix, out) = (&self.keys, &self.prefix, &mut self.out);
        let same = |w: &[u64]| kind.holds(w, WordKey::Bytes(key));
        let (at, fresh) = self.slots.upsert(hash, same, &mut |h, w| emit(kind, prefix, out, h, w));
        if fresh {
            self.slots.words_mut(at)[0] = self.keys.keep(key);
        }
        (at, fresh)
    }

    /// For each row: calls `f(row, state)` with the state of its key, if there is one. Keys as in
    /// [`WordTable::upsert_batch`].
    #[inline]
    pub fn look_up_batch(&self, hashes: &[u64], keys: &[u64], mut f: impl FnMut(usize, Option<&[u64]>)) {
        let k = self.head();
        debug_assert_eq!(hashes.len() * k, keys.len());
        for (i, hash) in hashes.iter().enumerate() {
            if let Some(h) = hashes.get(i + AHEAD) {
                self.slots.prefetch(*h);
            }
            let at = match k {
                1 => self.slots.find(*hash, |w| w[0] == keys[i]),
                _ => self.slots.find(*hash, |w| w[..k] == keys[i * k..(i + 1) * k]),
            };
            f(i, at.map(|at| &self.slots.words(at)[k..]));
        }
    }

    /// [`WordTable::look_up_batch`] for a table made by [`WordTable::with_byte_keys`].
    pub fn look_up_batch_bytes(&self, hashes: &[u64], keys: &RowBuffer, mut f: impl FnMut(usize, Option<&[u64]>)) {
        for (i, hash) in hashes.iter().enumerate() {
            if let Some(h) = hashes.get(i + AHEAD) {
                self.slots.prefetch(*h);
            }
            f(i, self.get(*hash, WordKey::Bytes(keys.row(i))));
        }
    }

    fn find(&self, hash: u64, key: WordKey<'_>) -> Option<Place> {
        self.slots.find(hash, |w| self.keys.holds(w, key))
    }

    pub fn get(&self, hash: u64, key: WordKey<'_>) -> Option<&[u64]> {
        let at = self.find(hash, key)?;
        Some(&self.slots.words(at)[self.head()..])
    }

    /// For writing; marks the row dirty and, while a drain runs, copies its frozen state out first.
    pub fn get_mut(&mut self, hash: u64, key: WordKey<'_>) -> Option<&mut [u64]> {
        let at = self.find(hash, key)?;
        let (kind, prefix, out) = (&self.keys, &self.prefix, &mut self.out);
        self.slots.touch(at, &mut |h, w| emit(kind, prefix, out, h, w));
        let head = self.head();
        Some(&mut self.slots.words_mut(at)[head..])
    }

    /// Returns whether there was one.
    pub fn remove(&mut self, hash: u64, key: WordKey<'_>) -> bool {
        let Some(at) = self.find(hash, key) else { return false };
        let handle = self.slots.words(at).first().copied();
        let (kind, prefix, out) = (&self.keys, &self.prefix, &mut self.out);
        let persisted = self.slots.remove(at, &mut |h, w| emit(kind, prefix, out, h, w));
        if persisted {
            let prefix = &self.prefix;
            self.out.tombstone(hash & HASH_MASK, |b| {
                b.extend_from_slice(prefix);
                match key {
                    WordKey::Words(w) => put_words(w, b),
                    WordKey::Bytes(k) => b.extend_from_slice(k),
                }
            });
        }
        self.keys.release(handle);
        true
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory in use.
    pub fn bytes(&self) -> usize {
        let keys = match &self.keys {
            Keys::Words(_) => 0,
            Keys::Bytes { slab, heap } => slab.bytes() + heap,
        };
        self.slots.bytes() + keys + self.out.bytes()
    }

    /// Every row in hash order: `f(hash, key, state)`.
    pub fn for_each(&self, mut f: impl FnMut(u64, WordKey<'_>, &[u64])) {
        self.slots.for_each(|hash, w| f(hash, self.keys.of(w), &w[self.head()..]));
    }

    /// As [`WordTable::for_each`] for about `budget` rows from `cursor` on; returns the next cursor, 0 at the end. A window
    /// that fires a million keys leaves in portions.
    pub fn scan(&self, cursor: u64, budget: usize, mut f: impl FnMut(u64, WordKey<'_>, &[u64])) -> u64 {
        self.slots.scan(cursor, budget, |hash, w| f(hash, self.keys.of(w), &w[self.head()..]))
    }

    pub fn barrier(&mut self, scope: Scope) {
        self.slots.barrier(scope);
        self.out.barrier(scope);
    }

    pub fn drain(&mut self, budget: usize, sink: &mut dyn StateSink) -> Drained {
        let (kind, prefix) = (&self.keys, &self.prefix);
        self.out.drain(&mut self.slots, budget, sink, |out, h, w| emit(kind, prefix, out, h, w))
    }

    /// What the running snapshot still owes, at once: for a table that is dropped while it drains.
    pub fn finish_drain(&mut self) -> VecDeque<StateBlock> {
        let (kind, prefix) = (&self.keys, &self.prefix);
        self.out.finish(&mut self.slots, |out, h, w| emit(kind, prefix, out, h, w))
    }

    /// All rows of a block; keys must start with this table's prefix.
    pub fn restore(&mut self, block: &StateBlock) -> Result<(), RowError> {
        (0..block.len()).try_for_each(|i| self.restore_row(block, i))
    }

    /// Row `i` of a block: an operator with a table per window looks at the prefix first.
    pub fn restore_row(&mut self, block: &StateBlock, i: usize) -> Result<(), RowError> {
        let key = block.keys.row(i).strip_prefix(&self.prefix[..]);
        let key = key.ok_or(RowError::Damaged("its key has another prefix"))?;
        let head = self.head();
        if matches!(self.keys, Keys::Words(n) if n * 8 != key.len()) {
            return Err(RowError::Damaged("its key has another number of words"));
        }
        if block.deleted[i] {
            self.forget(block.hashes[i], key);
            return Ok(());
        }
        let (state, rest) = block.values.row(i).as_chunks::<8>();
        if state.len() != self.state_words || !rest.is_empty() {
            return Err(RowError::Damaged("its state has another number of words"));
        }
        let kind = &self.keys;
        let (at, fresh) = self.slots.restore(block.hashes[i], |w| kind.holds_bytes(w, key));
        let handle = if fresh { self.keys.keep(key) } else { 0 };
        let words = self.slots.words_mut(at);
        match self.keys {
            Keys::Words(_) => put_le(&mut words[..head], key.as_chunks().0),
            Keys::Bytes { .. } if fresh => words[0] = handle,
            Keys::Bytes { .. } => {}
        }
        put_le(&mut words[head..], state);
        Ok(())
    }

    /// A tombstone of a snapshot.
    fn forget(&mut self, hash: u64, key: &[u8]) {
        if let Some(at) = self.slots.find(hash, |w| self.keys.holds_bytes(w, key)) {
            let handle = self.slots.words(at).first().copied();
            self.slots.forget(at);
            self.keys.release(handle);
        }
    }
}

fn put_le(words: &mut [u64], bytes: &[[u8; 8]]) {
    words.iter_mut().zip(bytes).for_each(|(w, b)| *w = u64::from_le_bytes(*b));
}

impl Keys {
    #[inline]
    fn holds(&self, words: &[u64], key: WordKey<'_>) -> bool {
        match (self, key) {
            (Self::Words(n), WordKey::Words(k)) => words[..*n] == *k,
            (Self::Bytes { slab, .. }, WordKey::Bytes(k)) => slab.get(words[0]).bytes() == k,
            _ => false,
        }
    }

    /// [`Keys::holds`] for a key as snapshots hold it.
    #[inline]
    fn holds_bytes(&self, words: &[u64], key: &[u8]) -> bool {
        match self {
            Self::Words(n) => words[..*n].iter().zip(key.as_chunks().0).all(|(w, b)| *w == u64::from_le_bytes(*b)),
            Self::Bytes { slab, .. } => slab.get(words[0]).bytes() == key,
        }
    }

    fn of<'a>(&'a self, words: &'a [u64]) -> WordKey<'a> {
        match self {
            Self::Words(n) => WordKey::Words(&words[..*n]),
            Self::Bytes { slab, .. } => WordKey::Bytes(slab.get(words[0]).bytes()),
        }
    }

    fn keep(&mut self, key: &[u8]) -> u64 {
        match self {
            Self::Words(_) => 0,
            Self::Bytes { slab, heap } => {
                let key = Key::new(key);
                *heap += key.heap_bytes();
                u64::from(slab.insert(key))
            }
        }
    }

    fn release(&mut self, handle: Option<u64>) {
        if let (Self::Bytes { slab, heap }, Some(h)) = (self, handle) {
            *heap -= slab.remove(h).heap_bytes();
        }
    }
}
