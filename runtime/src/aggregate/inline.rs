//! Accumulators of a few fixed words: the state of a group is an array of `u64`, so that it can live beside the key in one
//! slot of a table. A fresh group is all zeros.

use super::output::{Number, OutColumn, divide_half_up};
use super::value::{Datum, word_to_float};
use arrow::datatypes::DataType;

/// What some words of a group mean. `counted` variants have a last word with the number of values, because a sum of no
/// values is NULL; they save it where the argument is never NULL and not filtered, for then a group has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inline {
    /// `[rows]`
    Count,
    /// `[sum, n?]`, wrapping.
    SumInt { counted: bool },
    /// `[sum as f64 bits, n]`; `single`: every step is rounded to a FLOAT, as Flink's `SUM(FLOAT)` is.
    SumFloat { single: bool },
    /// `[low, high, n]`
    SumDecimal { scale: i8 },
    /// `[sum, n]`
    AvgInt,
    /// `[sum as f64 bits, n]`
    AvgFloat,
    /// `[low, high, n]`
    AvgDecimal { scale: i8 },
    /// `[value, seen]`: an extreme over rows that never leave.
    Extreme { max: bool },
    /// `[low, high, seen]`
    ExtremeWide { max: bool },
    /// `[value, seen]`: the first or last value over rows that never leave.
    Edge { last: bool },
    /// `[low, high, seen]`
    EdgeWide { last: bool },
    /// `[n, sum as f64 bits, sum of squares as f64 bits]`
    Moments { argument: MomentArgument, statistic: Statistic },
    /// `[n, sum low, sum high, squares low, squares high]`: exact.
    IntMoments { statistic: Statistic },
    /// `[trues, falses]`
    Truth { all: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MomentArgument {
    Float,
    Decimal { scale: i8 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Statistic {
    /// Divide by n − 1; NULL for one row.
    pub(super) sample: bool,
    /// Take the square root.
    pub(super) deviation: bool,
}

impl Inline {
    pub(super) fn words(self) -> usize {
        match self {
            Self::Count | Self::SumInt { counted: false } => 1,
            Self::SumInt { counted: true }
            | Self::SumFloat { .. }
            | Self::AvgInt
            | Self::AvgFloat
            | Self::Extreme { .. }
            | Self::Edge { .. }
            | Self::Truth { .. } => 2,
            Self::SumDecimal { .. }
            | Self::AvgDecimal { .. }
            | Self::ExtremeWide { .. }
            | Self::EdgeWide { .. }
            | Self::Moments { .. } => 3,
            Self::IntMoments { .. } => 5,
        }
    }

    /// Adds or takes away one value.
    #[inline(always)]
    pub(super) fn update(self, w: &mut [u64], datum: Datum<'_>, adds: bool) {
        let sign: i64 = if adds { 1 } else { -1 };
        match (self, datum) {
            (Self::Count, _) => bump(&mut w[0], sign),
            (Self::SumInt { counted }, Datum::Word(v)) => {
                bump(&mut w[0], v.wrapping_mul(sign));
                if counted {
                    bump(&mut w[1], sign);
                }
            }
            (Self::AvgInt, Datum::Word(v)) => {
                bump(&mut w[0], v.wrapping_mul(sign));
                bump(&mut w[1], sign);
            }
            (Self::SumFloat { single }, Datum::Word(v)) => add_float(w, word_to_float(v), sign, single),
            (Self::AvgFloat, Datum::Word(v)) => add_float(w, word_to_float(v), sign, false),
            (Self::SumDecimal { .. } | Self::AvgDecimal { .. }, Datum::Wide(v)) => {
                add_wide(w, v.wrapping_mul(i128::from(sign)));
                bump(&mut w[2], sign);
            }
            (Self::Extreme { max }, Datum::Word(v)) => keep_word(w, v, max),
            (Self::ExtremeWide { max }, Datum::Wide(v)) => keep_wide(w, v, max),
            (Self::Edge { last }, Datum::Word(v)) => {
                if last || w[1] == 0 {
                    w[0] = v as u64;
                    w[1] = 1;
                }
            }
            (Self::EdgeWide { last }, Datum::Wide(v)) => {
                if last || w[2] == 0 {
                    set_wide(w, v);
                    w[2] = 1;
                }
            }
            (Self::Truth { .. }, Datum::Word(v)) => bump(&mut w[usize::from(v == 0)], sign),
            (Self::Moments { argument, .. }, datum) => add_moments(w, argument, datum, sign),
            (Self::IntMoments { .. }, Datum::Word(v)) => {
                bump(&mut w[0], sign);
                let (v, sign) = (i128::from(v), i128::from(sign));
                add_wide(&mut w[1..], v * sign);
                add_wide(&mut w[3..], (v * v).wrapping_mul(sign));
            }
            _ => debug_assert!(false, "{self:?} was given {datum:?}"),
        }
    }

    /// Takes over what another group has; the other one is the later one.
    pub(super) fn merge(self, w: &mut [u64], other: &[u64]) {
        match self {
            Self::Count | Self::SumInt { .. } | Self::AvgInt | Self::Truth { .. } => {
                w.iter_mut().zip(other).for_each(|(w, o)| *w = w.wrapping_add(*o));
            }
            Self::SumFloat { single } => merge_float(w, other, single),
            Self::AvgFloat => merge_float(w, other, false),
            Self::SumDecimal { .. } | Self::AvgDecimal { .. } => {
                add_wide(w, wide(other));
                w[2] = w[2].wrapping_add(other[2]);
            }
            Self::Extreme { .. } | Self::Edge { .. } if other[1] != 0 => {
                self.update(w, Datum::Word(other[0] as i64), true);
            }
            Self::ExtremeWide { .. } | Self::EdgeWide { .. } if other[2] != 0 => {
                self.update(w, Datum::Wide(wide(other)), true);
            }
            Self::Extreme { .. } | Self::Edge { .. } | Self::ExtremeWide { .. } | Self::EdgeWide { .. } => {}
            Self::Moments { .. } => {
                w[0] = w[0].wrapping_add(other[0]);
                for i in [1, 2] {
                    w[i] = (f64::from_bits(w[i]) + f64::from_bits(other[i])).to_bits();
                }
            }
            Self::IntMoments { .. } => {
                w[0] = w[0].wrapping_add(other[0]);
                for i in [1, 3] {
                    add_wide(&mut w[i..], wide(&other[i..]));
                }
            }
        }
    }

    /// Appends the result.
    pub(super) fn finish(self, w: &[u64], out: &mut OutColumn, data_type: &DataType) {
        let present = match self {
            Self::Count | Self::SumInt { counted: false } => true,
            Self::Moments { .. } | Self::IntMoments { .. } => w[0] != 0,
            Self::Truth { .. } => w[0] != 0 || w[1] != 0,
            _ => w[self.words() - 1] != 0,
        };
        if !present {
            return out.push_null();
        }
        match self {
            Self::Count | Self::SumInt { .. } => out.push_number(Number::Int(i128::from(w[0] as i64))),
            Self::SumFloat { .. } => out.push_number(Number::Float(f64::from_bits(w[0]))),
            Self::SumDecimal { scale } => out.push_number(Number::Decimal(wide(w), scale)),
            Self::AvgInt => out.push_number(average_of_integers(w[0] as i64, w[1] as i64, data_type)),
            Self::AvgFloat => out.push_number(Number::Float(f64::from_bits(w[0]) / w[1] as i64 as f64)),
            Self::AvgDecimal { scale } => match average_of_decimals(wide(w), scale, w[2] as i64, data_type) {
                Some(average) => out.push_number(average),
                None => out.push_null(),
            },
            Self::Extreme { .. } | Self::Edge { .. } => out.push(Datum::Word(w[0] as i64)),
            Self::ExtremeWide { .. } | Self::EdgeWide { .. } => out.push(Datum::Wide(wide(w))),
            Self::Truth { all } => out.push(Datum::Word(i64::from(if all { w[1] == 0 } else { w[0] != 0 }))),
            Self::Moments { statistic, .. } => {
                let (n, sum, squares) = (w[0] as i64 as f64, f64::from_bits(w[1]), f64::from_bits(w[2]));
                push_statistic(out, statistic, w[0] as i64, squares - sum * sum / n);
            }
            Self::IntMoments { statistic } => {
                let (n, sum, squares) = (w[0] as i64, wide(&w[1..]), wide(&w[3..]));
                push_statistic(out, statistic, n, spread_of_integers(n, sum, squares));
            }
        }
    }
}

#[inline(always)]
fn bump(word: &mut u64, by: i64) {
    *word = word.wrapping_add(by as u64);
}

#[inline(always)]
fn wide(w: &[u64]) -> i128 {
    (u128::from(w[0]) | u128::from(w[1]) << 64) as i128
}

#[inline(always)]
fn set_wide(w: &mut [u64], v: i128) {
    w[0] = v as u64;
    w[1] = (v as u128 >> 64) as u64;
}

#[inline(always)]
fn add_wide(w: &mut [u64], v: i128) {
    set_wide(w, wide(w).wrapping_add(v));
}

#[inline(always)]
fn add_float(w: &mut [u64], v: f64, sign: i64, single: bool) {
    let sum = f64::from_bits(w[0]) + v * sign as f64;
    bump(&mut w[1], sign);
    // An emptied group forgets what rounding left behind.
    w[0] = if w[1] == 0 { 0 } else { round(sum, single).to_bits() };
}

fn merge_float(w: &mut [u64], other: &[u64], single: bool) {
    w[0] = round(f64::from_bits(w[0]) + f64::from_bits(other[0]), single).to_bits();
    w[1] = w[1].wrapping_add(other[1]);
}

#[inline(always)]
fn round(v: f64, single: bool) -> f64 {
    if single { f64::from(v as f32) } else { v }
}

#[inline(always)]
fn keep_word(w: &mut [u64], v: i64, max: bool) {
    let kept = w[0] as i64;
    if w[1] == 0 || (if max { v > kept } else { v < kept }) {
        w[0] = v as u64;
        w[1] = 1;
    }
}

fn keep_wide(w: &mut [u64], v: i128, max: bool) {
    let kept = wide(w);
    if w[2] == 0 || (if max { v > kept } else { v < kept }) {
        set_wide(w, v);
        w[2] = 1;
    }
}

fn add_moments(w: &mut [u64], argument: MomentArgument, datum: Datum<'_>, sign: i64) {
    let v = match (argument, datum) {
        (MomentArgument::Float, Datum::Word(v)) => word_to_float(v),
        (MomentArgument::Decimal { scale }, Datum::Wide(v)) => v as f64 / 10f64.powi(i32::from(scale)),
        _ => return,
    };
    bump(&mut w[0], sign);
    let sign = sign as f64;
    for (i, step) in [(1, v * sign), (2, v * v * sign)] {
        w[i] = if w[0] == 0 { 0 } else { (f64::from_bits(w[i]) + step).to_bits() };
    }
}

/// `AVG` of integers is an integer, cut off towards zero, unless the plan asks for more.
fn average_of_integers(sum: i64, n: i64, data_type: &DataType) -> Number {
    match data_type {
        DataType::Float32 | DataType::Float64 => Number::Float(sum as f64 / n as f64),
        DataType::Decimal128(_, scale) => {
            let scaled = i128::from(sum).saturating_mul(10i128.saturating_pow(u32::from(scale.unsigned_abs())));
            Number::Decimal(divide_half_up(scaled, i128::from(n)), *scale)
        }
        _ => Number::Int(i128::from(sum.wrapping_div(n))),
    }
}

/// `None` if the digits of the result's scale have no room.
fn average_of_decimals(sum: i128, scale: i8, n: i64, data_type: &DataType) -> Option<Number> {
    let DataType::Decimal128(_, to) = data_type else {
        return Some(Number::Float(sum as f64 / 10f64.powi(i32::from(scale)) / n as f64));
    };
    let digits = to.checked_sub(scale)?;
    let average = if digits >= 0 {
        divide_half_up(sum.checked_mul(10i128.checked_pow(u32::from(digits.unsigned_abs()))?)?, i128::from(n))
    } else {
        divide_half_up(sum, i128::from(n).checked_mul(10i128.checked_pow(u32::from(digits.unsigned_abs()))?)?)
    };
    Some(Number::Decimal(average, *to))
}

/// `Σx² − (Σx)²/n`, exact as long as 128 bits hold `n·Σx² − (Σx)²`.
fn spread_of_integers(n: i64, sum: i128, squares: i128) -> f64 {
    let exact = || squares.checked_mul(i128::from(n))?.checked_sub(sum.checked_mul(sum)?);
    exact().map_or_else(|| squares as f64 - sum as f64 * sum as f64 / n as f64, |spread| spread as f64 / n as f64)
}

fn push_statistic(out: &mut OutColumn, statistic: Statistic, n: i64, spread: f64) {
    let divisor = if statistic.sample { n - 1 } else { n };
    if divisor == 0 {
        return out.push_null();
    }
    // Cancellation can leave a little less than nothing.
    let variance = (spread / divisor as f64).max(0.0);
    out.push_number(Number::Float(if statistic.deviation { variance.sqrt() } else { variance }));
}
