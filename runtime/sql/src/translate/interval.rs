//! Bounds of one side's time against the other's: what makes a join an interval join.

use crate::rel::Rel;
use arrow_schema::{DataType, TimeUnit};
use sluice_core::plan::expr::{BinaryOp, Expr, Literal, Value};

/// `left.time BETWEEN right.time + lower AND right.time + upper`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub left_time: usize,
    pub right_time: usize,
    pub lower_ms: i64,
    pub upper_ms: i64,
}

/// The bounds among `conjuncts` (over left, then right columns), and the conjuncts that are not wholly expressed by them.
/// `None`: the time is not bounded on both sides.
pub(super) fn find(left: &Rel, right: &Rel, conjuncts: &[Expr]) -> Option<(Bounds, Vec<Expr>)> {
    let found: Vec<Option<Comparison>> = conjuncts.iter().map(|c| comparison(c, left, right)).collect();
    let pair = found.iter().flatten().map(|c| (c.left, c.right)).next()?;
    let (mut lower, mut upper): (Option<i64>, Option<i64>) = (None, None);
    let mut rest = vec![];
    for (c, e) in found.into_iter().zip(conjuncts) {
        let Some(c) = c.filter(|c| (c.left, c.right) == pair) else {
            rest.push(e.clone());
            continue;
        };
        if let Some(l) = c.lower {
            lower = Some(lower.map_or(l, |x| x.max(l)));
        }
        if let Some(u) = c.upper {
            upper = Some(upper.map_or(u, |x| x.min(u)));
        }
        if !c.exact {
            rest.push(e.clone());
        }
    }
    let bounds = Bounds { left_time: pair.0, right_time: pair.1, lower_ms: lower?, upper_ms: upper? };
    Some((bounds, rest))
}

/// One comparison of the two times, as bounds of left − right in milliseconds.
struct Comparison {
    left: usize,
    /// Of the right relation.
    right: usize,
    lower: Option<i64>,
    upper: Option<i64>,
    /// The bounds say all: no fractions of a millisecond are involved. An equality stays, as a key.
    exact: bool,
}

fn comparison(e: &Expr, left: &Rel, right: &Rel) -> Option<Comparison> {
    let Expr::Binary { op, left: a, right: b } = e else { return None };
    let ((a, shift_a), (b, shift_b)) = (time_and_shift(a)?, time_and_shift(b)?);
    let width = left.width();
    // left + sl OP right + sr, so left − right OP sr − sl.
    let (op, l, r, difference) = match (a < width, b < width) {
        (true, false) => (*op, a, b - width, shift_b.checked_sub(shift_a)?),
        (false, true) => (mirror(*op)?, b, a - width, shift_a.checked_sub(shift_b)?),
        _ => return None,
    };
    if !left.columns[l].is_event_time() || !right.columns[r].is_event_time() {
        return None;
    }
    let coarse = [&left.columns[l].data_type, &right.columns[r].data_type]
        .iter()
        .all(|t| matches!(t, DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, _)));
    let strict = i64::from(coarse);
    let (lower, upper) = match op {
        BinaryOp::Eq => (Some(difference), Some(difference)),
        BinaryOp::GtEq => (Some(difference), None),
        BinaryOp::Gt => (Some(difference.checked_add(strict)?), None),
        BinaryOp::LtEq => (None, Some(difference)),
        BinaryOp::Lt => (None, Some(difference.checked_sub(strict)?)),
        _ => return None,
    };
    Some(Comparison { left: l, right: r, lower, upper, exact: coarse && op != BinaryOp::Eq })
}

fn mirror(op: BinaryOp) -> Option<BinaryOp> {
    Some(match op {
        BinaryOp::Eq => BinaryOp::Eq,
        BinaryOp::GtEq => BinaryOp::LtEq,
        BinaryOp::Gt => BinaryOp::Lt,
        BinaryOp::LtEq => BinaryOp::GtEq,
        BinaryOp::Lt => BinaryOp::Gt,
        _ => return None,
    })
}

/// A column, and the constant that is added to it.
fn time_and_shift(e: &Expr) -> Option<(usize, i64)> {
    match e {
        Expr::Column(i) => Some((*i, 0)),
        // Coercion to the finer of two units.
        Expr::Cast { expr, to: DataType::Timestamp(..) } => time_and_shift(expr),
        Expr::Binary { op: BinaryOp::Add, left, right } => match (interval_ms(left), interval_ms(right)) {
            (None, Some(ms)) => shifted(left, ms),
            (Some(ms), None) => shifted(right, ms),
            _ => None,
        },
        Expr::Binary { op: BinaryOp::Subtract, left, right } => shifted(left, interval_ms(right)?.checked_neg()?),
        _ => None,
    }
}

fn shifted(e: &Expr, ms: i64) -> Option<(usize, i64)> {
    let (i, more) = time_and_shift(e)?;
    Some((i, more.checked_add(ms)?))
}

fn interval_ms(e: &Expr) -> Option<i64> {
    match e {
        Expr::Negate(inner) => interval_ms(inner)?.checked_neg(),
        Expr::Literal(Literal { value: Value::Interval { months: 0, days, nanoseconds }, .. })
            if nanoseconds % 1_000_000 == 0 =>
        {
            i64::from(*days).checked_mul(86_400_000)?.checked_add(nanoseconds / 1_000_000)
        }
        _ => None,
    }
}
