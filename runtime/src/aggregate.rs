//! Aggregate functions over keyed state, ours: every accumulator can be read without being emptied, leaves its group alone,
//! and takes rows back (`GroupsAccumulator`s can do none of these).
//!
//! An [`AggregateSet`] is the aggregates of one operator, bound to its input. A group's state is a run of fixed words (one
//! array for all aggregates, all zeros when fresh) and, for the aggregates that need them, kept values. A set without kept
//! values is *inline*: its words can live in the slot of a table beside the key.
//!
//! NULL arguments are ignored; `SUM`, `AVG`, `MIN`, … of no values are NULL. Over an input that retracts, `COUNT`, `SUM`,
//! `AVG` and the moments subtract; `MIN`, `MAX`, `FIRST_VALUE`, `LAST_VALUE`, `LISTAGG`, `COLLECT` keep the values.
//! Merging groups (slices, sessions) takes the earlier span as the first: `FIRST_VALUE` and the lists follow it.

mod inline;
mod input;
mod kept;
mod output;
#[cfg(test)]
pub(crate) mod tests;
mod value;

use crate::row::RowError;
use crate::state::StateValue;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use inline::{Inline, MomentArgument, Statistic};
pub(crate) use input::words_of;
use input::{Input, Source};
use kept::{Kept, KeptKind};
pub(crate) use output::OutColumn;
use sluice_core::plan::{Aggregate, AggregateFunction};
pub(crate) use value::{Datum, Form};
use value::{Reader, put_length};

#[derive(Debug, thiserror::Error)]
pub enum AggregateError {
    #[error("{function:?} of {data_type} is not supported")]
    Unsupported { function: AggregateFunction, data_type: DataType },
    #[error("{function:?} takes {expected} argument(s), got {got}")]
    Arguments { function: AggregateFunction, expected: &'static str, got: usize },
}

/// The aggregates of one operator.
#[derive(Clone, Debug)]
pub struct AggregateSet {
    aggregates: Vec<Bound>,
    /// How many of them are output columns; the row count that an operator asked for is not.
    outputs: usize,
    words: usize,
    kept: usize,
    row_count: Option<usize>,
    stamp: Option<usize>,
}

/// One aggregate, bound to columns and to its place in the group's state.
#[derive(Clone, Debug)]
struct Bound {
    source: Source,
    accumulator: Accumulator,
    /// The set of values seen, in front of the accumulator.
    distinct: Option<usize>,
    data_type: DataType,
}

#[derive(Clone, Debug)]
enum Accumulator {
    Inline { kind: Inline, at: usize },
    Kept { kind: KeptKind, at: usize },
}

/// The state of one group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupState {
    words: Box<[u64]>,
    kept: Box<[Kept]>,
}

/// The arguments of one batch for every aggregate of a set.
pub struct Inputs(Vec<Input>);

/// Result columns under construction, one row per group.
pub struct Results(Vec<OutColumn>);

impl AggregateSet {
    /// `retracts`: whether rows of the input may be taken back.
    pub fn new(aggregates: &[Aggregate], input: &Schema, retracts: bool) -> Result<Self, AggregateError> {
        let mut set =
            Self { aggregates: vec![], outputs: aggregates.len(), words: 0, kept: 0, row_count: None, stamp: None };
        for aggregate in aggregates {
            let bound = set.bind(aggregate, input, retracts)?;
            set.aggregates.push(bound);
        }
        Ok(set)
    }

    /// Also counts the rows of each group, for [`AggregateSet::rows`]: an existing `COUNT(*)` serves.
    #[must_use]
    pub fn with_row_count(mut self) -> Self {
        let plain = |b: &Bound| match b.accumulator {
            Accumulator::Inline { kind: Inline::Count, at } => {
                (b.distinct.is_none() && b.source.present.is_none() && b.source.filter.is_none()).then_some(at)
            }
            _ => None,
        };
        self.row_count = self.aggregates.iter().find_map(plain);
        if self.row_count.is_none() {
            let at = self.words;
            self.words += 1;
            self.row_count = Some(at);
            self.aggregates.push(Bound {
                source: Source { column: None, present: None, filter: None },
                accumulator: Accumulator::Inline { kind: Inline::Count, at },
                distinct: None,
                data_type: DataType::Int64,
            });
        }
        self
    }

    /// Also keeps a word with the time of the last change, for state with a time to live.
    #[must_use]
    pub fn with_stamp(mut self) -> Self {
        self.stamp = Some(self.words);
        self.words += 1;
        self
    }

    pub fn stamp(&self, words: &[u64]) -> i64 {
        self.stamp.map_or(0, |at| words[at] as i64)
    }

    pub fn set_stamp(&self, words: &mut [u64], stamp: i64) {
        if let Some(at) = self.stamp {
            words[at] = stamp as u64;
        }
    }

    /// The fixed words of a group.
    pub fn words(&self) -> usize {
        self.words
    }

    /// Whether a group is nothing but its words.
    pub fn is_inline(&self) -> bool {
        self.kept == 0
    }

    /// The rows of a group, if counted.
    pub fn rows(&self, state: &GroupState) -> i64 {
        self.rows_of_words(&state.words)
    }

    pub fn rows_of_words(&self, words: &[u64]) -> i64 {
        self.row_count.map_or(0, |at| words[at] as i64)
    }

    pub fn fresh(&self) -> GroupState {
        let mut kept = Vec::with_capacity(self.kept);
        for bound in &self.aggregates {
            // Places are handed out in this order by `bind`.
            if bound.distinct.is_some() {
                kept.push(Kept::distinct());
            }
            if let Accumulator::Kept { kind, .. } = &bound.accumulator {
                kept.push(kind.fresh());
            }
        }
        GroupState { words: vec![0; self.words].into(), kept: kept.into() }
    }

    /// Reads the arguments of a batch.
    pub fn inputs(&self, rows: &RecordBatch) -> Result<Inputs, RowError> {
        self.aggregates.iter().map(|b| Input::new(&b.source, rows)).collect::<Result<_, _>>().map(Inputs)
    }

    /// Adds row `row` to the group, or takes it away.
    pub fn update(&self, state: &mut GroupState, inputs: &Inputs, row: usize, adds: bool) {
        for (bound, input) in self.aggregates.iter().zip(&inputs.0) {
            if input.counts(row) {
                bound.apply(state, input.datum(row), adds);
            }
        }
    }

    /// [`AggregateSet::update`] of an inline set.
    #[inline]
    pub fn update_words(&self, words: &mut [u64], inputs: &Inputs, row: usize, adds: bool) {
        for (bound, input) in self.aggregates.iter().zip(&inputs.0) {
            if let Accumulator::Inline { kind, at } = bound.accumulator
                && input.counts(row)
            {
                kind.update(&mut words[at..], input.datum(row), adds);
            }
        }
    }

    /// Adds all of `other`, whose rows come after those of `state`.
    pub fn merge(&self, state: &mut GroupState, other: &GroupState) {
        for bound in &self.aggregates {
            bound.merge(state, other);
        }
    }

    /// [`AggregateSet::merge`] of an inline set.
    pub fn merge_words(&self, words: &mut [u64], other: &[u64]) {
        for bound in &self.aggregates {
            if let Accumulator::Inline { kind, at } = bound.accumulator {
                let end = at + kind.words();
                kind.merge(&mut words[at..end], &other[at..end]);
            }
        }
    }

    pub fn results(&self, capacity: usize) -> Results {
        Results(self.aggregates[..self.outputs].iter().map(|b| OutColumn::new(&b.data_type, capacity)).collect())
    }

    /// Appends the group's results.
    pub fn finish(&self, state: &GroupState, results: &mut Results) {
        for (bound, out) in self.aggregates.iter().zip(&mut results.0) {
            match &bound.accumulator {
                Accumulator::Inline { kind, at } => {
                    kind.finish(&state.words[*at..at + kind.words()], out, &bound.data_type);
                }
                Accumulator::Kept { kind, at } => kind.finish(&state.kept[*at], out),
            }
        }
    }

    /// [`AggregateSet::finish`] of an inline set.
    pub fn finish_words(&self, words: &[u64], results: &mut Results) {
        for (bound, out) in self.aggregates.iter().zip(&mut results.0) {
            if let Accumulator::Inline { kind, at } = bound.accumulator {
                kind.finish(&words[at..at + kind.words()], out, &bound.data_type);
            }
        }
    }

    fn bind(&mut self, aggregate: &Aggregate, input: &Schema, retracts: bool) -> Result<Bound, AggregateError> {
        let function = aggregate.function;
        let argument = match (function, &aggregate.args[..]) {
            (AggregateFunction::Count, []) => None,
            (_, [column]) => Some(*column),
            (_, args) => {
                return Err(AggregateError::Arguments { function, expected: "one", got: args.len() });
            }
        };
        let nullable = argument.is_some_and(|c| input.field(c).is_nullable());
        let data_type = argument.map(|c| input.field(c).data_type().clone());
        let distinct = aggregate.distinct && argument.is_some() && feels_duplicates(function);
        let reads = distinct || function != AggregateFunction::Count;
        let source = Source {
            column: argument.filter(|_| reads).zip(data_type.as_ref().map(Form::of)),
            present: argument.filter(|_| nullable),
            filter: aggregate.filter,
        };
        let choice = Choice {
            retracts,
            counted: nullable || aggregate.filter.is_some(),
            form: data_type.as_ref().map_or(Form::Word, Form::of),
            data_type: data_type.unwrap_or(DataType::Int64),
        };
        let distinct = distinct.then(|| self.take_kept());
        let accumulator = self.place(choice.accumulator(aggregate)?);
        Ok(Bound { source, accumulator, distinct, data_type: aggregate.data_type.clone() })
    }

    fn place(&mut self, chosen: Chosen) -> Accumulator {
        match chosen {
            Chosen::Inline(kind) => {
                let at = self.words;
                self.words += kind.words();
                Accumulator::Inline { kind, at }
            }
            Chosen::Kept(kind) => Accumulator::Kept { kind, at: self.take_kept() },
        }
    }

    fn take_kept(&mut self) -> usize {
        self.kept += 1;
        self.kept - 1
    }
}

/// Whether DISTINCT changes anything.
fn feels_duplicates(function: AggregateFunction) -> bool {
    use AggregateFunction::*;
    match function {
        Min | Max | BoolAnd | BoolOr | FirstValue => false,
        Count | Sum | Avg | LastValue | ListAgg | StddevPop | StddevSamp | VarPop | VarSamp | Collect => true,
    }
}

/// What decides which accumulator serves an aggregate.
struct Choice {
    retracts: bool,
    /// Whether a group may have rows without a value.
    counted: bool,
    form: Form,
    data_type: DataType,
}

enum Chosen {
    Inline(Inline),
    Kept(KeptKind),
}

impl Choice {
    fn accumulator(&self, aggregate: &Aggregate) -> Result<Chosen, AggregateError> {
        use AggregateFunction::*;
        let function = aggregate.function;
        let refused = || AggregateError::Unsupported { function, data_type: self.data_type.clone() };
        Ok(match function {
            Count => Chosen::Inline(Inline::Count),
            Sum | Avg => Chosen::Inline(self.sum_or_average(function == Avg).ok_or_else(refused)?),
            Min | Max => self.extreme(function == Max).ok_or_else(refused)?,
            FirstValue | LastValue => self.edge(function == LastValue),
            ListAgg if self.data_type == DataType::Utf8 => {
                let separator = aggregate.separator.as_deref().unwrap_or(",").as_bytes().into();
                Chosen::Kept(KeptKind::ListAgg { separator })
            }
            ListAgg => return Err(refused()),
            Collect => Chosen::Kept(KeptKind::Collect),
            StddevPop | StddevSamp | VarPop | VarSamp => {
                let statistic = Statistic {
                    sample: matches!(function, StddevSamp | VarSamp),
                    deviation: matches!(function, StddevPop | StddevSamp),
                };
                Chosen::Inline(self.moments(statistic).ok_or_else(refused)?)
            }
            BoolAnd | BoolOr if self.data_type == DataType::Boolean => {
                Chosen::Inline(Inline::Truth { all: function == BoolAnd })
            }
            BoolAnd | BoolOr => return Err(refused()),
        })
    }

    fn sum_or_average(&self, average: bool) -> Option<Inline> {
        Some(match (&self.data_type, average) {
            (DataType::Decimal128(_, scale), false) => Inline::SumDecimal { scale: *scale },
            (DataType::Decimal128(_, scale), true) => Inline::AvgDecimal { scale: *scale },
            (DataType::Float32 | DataType::Float64, false) => {
                Inline::SumFloat { single: self.data_type == DataType::Float32 }
            }
            (DataType::Float32 | DataType::Float64, true) => Inline::AvgFloat,
            (t, false) if t.is_integer() => Inline::SumInt { counted: self.counted },
            (t, true) if t.is_integer() => Inline::AvgInt,
            _ => return None,
        })
    }

    /// `None` where the type has no order here.
    fn extreme(&self, max: bool) -> Option<Chosen> {
        Some(match (self.form, self.retracts) {
            (Form::Encoded, _) => return None,
            (_, true) => Chosen::Kept(KeptKind::SortedExtreme { max }),
            (Form::Word, false) => Chosen::Inline(Inline::Extreme { max }),
            (Form::Wide, false) => Chosen::Inline(Inline::ExtremeWide { max }),
            (Form::Bytes, false) => Chosen::Kept(KeptKind::Extreme { max }),
        })
    }

    fn edge(&self, last: bool) -> Chosen {
        match (self.form, self.retracts) {
            (_, true) => Chosen::Kept(KeptKind::SequenceEdge { last }),
            (Form::Word, false) => Chosen::Inline(Inline::Edge { last }),
            (Form::Wide, false) => Chosen::Inline(Inline::EdgeWide { last }),
            (Form::Bytes | Form::Encoded, false) => Chosen::Kept(KeptKind::Edge { last }),
        }
    }

    fn moments(&self, statistic: Statistic) -> Option<Inline> {
        Some(match &self.data_type {
            DataType::Float32 | DataType::Float64 => Inline::Moments { argument: MomentArgument::Float, statistic },
            DataType::Decimal128(_, scale) => {
                Inline::Moments { argument: MomentArgument::Decimal { scale: *scale }, statistic }
            }
            t if t.is_integer() => Inline::IntMoments { statistic },
            _ => return None,
        })
    }
}

impl Bound {
    fn apply(&self, state: &mut GroupState, datum: Datum<'_>, adds: bool) {
        if let Some(at) = self.distinct
            && !state.kept[at].count(datum, adds)
        {
            return;
        }
        self.accumulate(state, datum, adds);
    }

    fn accumulate(&self, state: &mut GroupState, datum: Datum<'_>, adds: bool) {
        match &self.accumulator {
            Accumulator::Inline { kind, at } => kind.update(&mut state.words[*at..], datum, adds),
            Accumulator::Kept { kind, at } => kind.update(&mut state.kept[*at], datum, adds),
        }
    }

    fn merge(&self, state: &mut GroupState, other: &GroupState) {
        if let Some(set) = self.distinct {
            let order = match &self.accumulator {
                Accumulator::Kept { at, .. } => Some(&other.kept[*at]),
                Accumulator::Inline { .. } => None,
            };
            for value in state.kept[set].news(&other.kept[set], order) {
                self.accumulate(state, value.datum(), true);
            }
            return state.kept[set].add_all(&other.kept[set]);
        }
        match &self.accumulator {
            Accumulator::Inline { kind, at } => {
                let end = at + kind.words();
                kind.merge(&mut state.words[*at..end], &other.words[*at..end]);
            }
            Accumulator::Kept { kind, at } => kind.merge(&mut state.kept[*at], &other.kept[*at]),
        }
    }
}

impl Results {
    /// A row that is not there: a place holder that nobody reads.
    pub fn push_nulls(&mut self) {
        self.0.iter_mut().for_each(OutColumn::push_null);
    }

    /// The result columns, in the order of the aggregates.
    pub fn into_columns(self) -> Result<Vec<ArrayRef>, RowError> {
        self.0.into_iter().map(OutColumn::finish).collect()
    }
}

/// Format: number of words, words, number of kept accumulators, kept accumulators; numbers little-endian.
impl StateValue for GroupState {
    fn encode(&self, out: &mut Vec<u8>) {
        put_length(self.words.len(), out);
        for word in &self.words {
            out.extend_from_slice(&word.to_le_bytes());
        }
        put_length(self.kept.len(), out);
        for kept in &self.kept {
            kept.encode(out);
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let mut from = Reader(bytes);
        let state = Self::read(&mut from)?;
        if from.0.is_empty() { Ok(state) } else { Err(RowError::Damaged("bytes follow the state of a group")) }
    }

    fn heap_bytes(&self) -> usize {
        self.words.len() * 8 + self.kept.iter().map(|k| size_of::<Kept>() + k.heap_bytes()).sum::<usize>()
    }
}

impl GroupState {
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    pub fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RowError> {
        let words = (0..from.length()?).map(|_| from.word()).collect::<Result<_, _>>()?;
        let kept = (0..from.length()?).map(|_| Kept::decode(from)).collect::<Result<_, _>>()?;
        Ok(Self { words, kept })
    }

    /// Reads a group from the front of `bytes` and returns the rest: for values that hold several groups.
    pub fn decode_first(bytes: &[u8]) -> Result<(Self, &[u8]), RowError> {
        let mut from = Reader(bytes);
        let state = Self::read(&mut from)?;
        Ok((state, from.0))
    }

    /// Whether this is a group of the set: what is restored may come from an older plan.
    pub fn fits(&self, set: &AggregateSet) -> bool {
        self.words.len() == set.words && self.kept.len() == set.kept
    }
}
