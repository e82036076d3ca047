//! Accumulators that must keep values: extremes and edges over rows that may leave again, texts, lists, distinct sets.

use super::output::OutColumn;
use super::value::{Datum, Reader, Value, put_length};
use crate::row::RowError;
use std::collections::{BTreeMap, BTreeSet};

/// What a [`Kept`] is used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeptKind {
    /// `One`: MIN or MAX over rows that never leave, of a type without a word.
    Extreme { max: bool },
    /// `Counts`: MIN or MAX over rows that may leave.
    SortedExtreme { max: bool },
    /// `One`: FIRST_VALUE or LAST_VALUE over rows that never leave.
    Edge { last: bool },
    /// `Sequence`: the same over rows that may leave; the earliest equal value goes, as in Flink.
    SequenceEdge { last: bool },
    /// `Sequence`
    ListAgg { separator: Box<[u8]> },
    /// `Sequence`
    Collect,
}

/// Values of one group for one aggregate.
#[derive(Clone, Debug, PartialEq)]
pub enum Kept {
    One(OneValue),
    Counts(Counts),
    Sequence(Sequence),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct OneValue(Option<Value>);

/// Value → how many rows have it. A count can be below zero: a retraction of a row that state no longer knew (its TTL was
/// over) waits for its counterpart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts(BTreeMap<Value, i64>);

/// Values in arrival order, with removal by value.
#[derive(Clone, Debug, Default)]
pub struct Sequence {
    next: u64,
    values: BTreeMap<u64, Value>,
    /// Where each value stands: made at the first removal, so that append-only groups do not pay for it.
    places: Option<BTreeMap<Value, BTreeSet<u64>>>,
}

impl PartialEq for Sequence {
    fn eq(&self, other: &Self) -> bool {
        self.values.values().eq(other.values.values())
    }
}

impl Counts {
    /// Adds or takes away a value. Returns whether it has come or gone.
    pub(super) fn count(&mut self, value: Value, adds: bool) -> bool {
        let count = self.0.entry(value.clone()).or_insert(0);
        *count += if adds { 1 } else { -1 };
        let (now, crossing) = (*count, i64::from(adds));
        if now == 0 {
            self.0.remove(&value);
        }
        now == crossing
    }

    fn present(&self) -> impl DoubleEndedIterator<Item = &Value> {
        self.0.iter().filter(|(_, n)| **n > 0).map(|(v, _)| v)
    }

    fn has(&self, value: &Value) -> bool {
        self.0.get(value).is_some_and(|n| *n > 0)
    }

    fn add_all(&mut self, other: &Self) {
        for (value, n) in &other.0 {
            let count = self.0.entry(value.clone()).or_insert(0);
            *count += n;
            if *count == 0 {
                self.0.remove(value);
            }
        }
    }
}

impl Sequence {
    fn push(&mut self, value: Value) {
        if let Some(places) = &mut self.places {
            places.entry(value.clone()).or_default().insert(self.next);
        }
        self.values.insert(self.next, value);
        self.next += 1;
    }

    /// Removes the earliest equal value; nothing if there is none.
    fn remove(&mut self, value: &Value) {
        let places = self.places.get_or_insert_with(|| {
            let mut places: BTreeMap<Value, BTreeSet<u64>> = BTreeMap::new();
            for (at, value) in &self.values {
                places.entry(value.clone()).or_default().insert(*at);
            }
            places
        });
        let Some(stands) = places.get_mut(value) else { return };
        if let Some(at) = stands.pop_first() {
            self.values.remove(&at);
        }
        if stands.is_empty() {
            places.remove(value);
        }
    }
}

impl KeptKind {
    pub(super) fn fresh(&self) -> Kept {
        match self {
            Self::Extreme { .. } | Self::Edge { .. } => Kept::One(OneValue::default()),
            Self::SortedExtreme { .. } => Kept::Counts(Counts::default()),
            Self::SequenceEdge { .. } | Self::ListAgg { .. } | Self::Collect => Kept::Sequence(Sequence::default()),
        }
    }

    pub(super) fn update(&self, kept: &mut Kept, datum: Datum<'_>, adds: bool) {
        match (self, kept) {
            (Self::Extreme { max }, Kept::One(OneValue(one))) => {
                let better = one.as_ref().is_none_or(|v| if *max { datum.is_greater(v) } else { datum.is_less(v) });
                if better {
                    *one = Some(datum.to_value());
                }
            }
            (Self::Edge { last }, Kept::One(OneValue(one))) => {
                if *last || one.is_none() {
                    *one = Some(datum.to_value());
                }
            }
            (_, Kept::Counts(counts)) => {
                counts.count(datum.to_value(), adds);
            }
            (_, Kept::Sequence(sequence)) => {
                if adds {
                    sequence.push(datum.to_value());
                } else {
                    sequence.remove(&datum.to_value());
                }
            }
            (kind, kept) => debug_assert!(false, "{kind:?} was given {kept:?}"),
        }
    }

    /// Takes over what the (later) other group has.
    pub(super) fn merge(&self, kept: &mut Kept, other: &Kept) {
        match (kept, other) {
            (kept @ Kept::One(_), Kept::One(OneValue(other))) => {
                if let Some(value) = other {
                    self.update(kept, value.datum(), true);
                }
            }
            (Kept::Counts(counts), Kept::Counts(other)) => counts.add_all(other),
            (Kept::Sequence(sequence), Kept::Sequence(other)) => {
                other.values.values().for_each(|v| sequence.push(v.clone()));
            }
            (kept, other) => debug_assert!(false, "{kept:?} cannot take over {other:?}"),
        }
    }

    pub(super) fn finish(&self, kept: &Kept, out: &mut OutColumn) {
        let one = match (self, kept) {
            (Self::ListAgg { separator }, Kept::Sequence(sequence)) => {
                if sequence.values.is_empty() {
                    return out.push_null();
                }
                let parts = sequence.values.values().map(|v| match v {
                    Value::Bytes(b) => &**b,
                    Value::Word(_) | Value::Wide(_) => &[],
                });
                return out.push_joined(parts, separator);
            }
            (Self::Collect, Kept::Sequence(sequence)) => {
                return out.push_list(sequence.values.values().map(Value::datum));
            }
            (Self::SequenceEdge { last: true }, Kept::Sequence(sequence)) => sequence.values.values().next_back(),
            (_, Kept::Sequence(sequence)) => sequence.values.values().next(),
            (Self::SortedExtreme { max: true }, Kept::Counts(counts)) => counts.present().next_back(),
            (_, Kept::Counts(counts)) => counts.present().next(),
            (_, Kept::One(OneValue(one))) => one.as_ref(),
        };
        match one {
            Some(value) => out.push(value.datum()),
            None => out.push_null(),
        }
    }
}

impl Kept {
    pub(super) fn distinct() -> Self {
        Self::Counts(Counts::default())
    }

    /// For a distinct set: adds or takes away a value, and says whether it has come or gone.
    pub(super) fn count(&mut self, datum: Datum<'_>, adds: bool) -> bool {
        match self {
            Self::Counts(counts) => counts.count(datum.to_value(), adds),
            Self::One(_) | Self::Sequence(_) => false,
        }
    }

    /// For a distinct set: the values that `other` has and this one has not. `order` is the sequence that `other`'s
    /// aggregate built from its values, if it did: its order is the order of arrival.
    pub(super) fn news(&self, other: &Self, order: Option<&Self>) -> Vec<Value> {
        let (Self::Counts(mine), Self::Counts(theirs)) = (self, other) else { return vec![] };
        match order {
            Some(Self::Sequence(sequence)) => sequence.values.values().filter(|v| !mine.has(v)).cloned().collect(),
            _ => theirs.present().filter(|v| !mine.has(v)).cloned().collect(),
        }
    }

    /// For a distinct set: adds the other's counts.
    pub(super) fn add_all(&mut self, other: &Self) {
        if let (Self::Counts(mine), Self::Counts(theirs)) = (self, other) {
            mine.add_all(theirs);
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        // A B-tree's node is at least half full; 1.5 entries per value is its usual share.
        const ENTRY: usize = (size_of::<Value>() + 8) * 3 / 2;
        match self {
            Self::One(OneValue(one)) => one.as_ref().map_or(0, Value::heap_bytes),
            Self::Counts(Counts(counts)) => counts.len() * ENTRY + counts.keys().map(Value::heap_bytes).sum::<usize>(),
            Self::Sequence(s) => s.values.len() * ENTRY + s.values.values().map(Value::heap_bytes).sum::<usize>(),
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::One(OneValue(None)) => out.push(0),
            Self::One(OneValue(Some(value))) => {
                out.push(1);
                value.encode(out);
            }
            Self::Counts(Counts(counts)) => {
                out.push(2);
                put_length(counts.len(), out);
                for (value, n) in counts {
                    value.encode(out);
                    out.extend_from_slice(&n.to_le_bytes());
                }
            }
            Self::Sequence(sequence) => {
                out.push(3);
                put_length(sequence.values.len(), out);
                sequence.values.values().for_each(|v| v.encode(out));
            }
        }
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, RowError> {
        Ok(match from.byte()? {
            0 => Self::One(OneValue(None)),
            1 => Self::One(OneValue(Some(Value::decode(from)?))),
            2 => {
                let mut counts = BTreeMap::new();
                for _ in 0..from.length()? {
                    let value = Value::decode(from)?;
                    counts.insert(value, from.word()? as i64);
                }
                Self::Counts(Counts(counts))
            }
            3 => {
                let mut sequence = Sequence::default();
                for _ in 0..from.length()? {
                    sequence.push(Value::decode(from)?);
                }
                Self::Sequence(sequence)
            }
            _ => return Err(RowError::Damaged("the state of an aggregate has an unknown form")),
        })
    }
}
