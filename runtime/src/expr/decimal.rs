//! DECIMAL arithmetic: exact, then rounded half up to the result's scale; what has too many digits is NULL, as in Flink.

use super::arithmetic::pairwise;
use super::node::{Operand, failed};
use crate::operator::OperatorError;
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Decimal128Type, i256};
use sluice_core::plan::expr::BinaryOp;

pub(super) fn evaluate(
    op: BinaryOp,
    left: &Operand,
    right: &Operand,
    precision: u8,
    scale: i8,
) -> Result<ArrayRef, OperatorError> {
    let (ls, rs) = (scale_of(left), scale_of(right));
    let to = DataType::Decimal128(precision, scale);
    let bound = bound(precision);
    let fits = |v: &i128| v.unsigned_abs() < bound;
    // `0.908 * price`: the common shape needs no rounding.
    if op == BinaryOp::Multiply && ls + rs == scale {
        return pairwise::<Decimal128Type, Decimal128Type, Decimal128Type>(left, right, &to, |a, b| {
            Ok(a.checked_mul(b).filter(fits))
        });
    }
    pairwise::<Decimal128Type, Decimal128Type, Decimal128Type>(left, right, &to, |a, b| {
        if b == 0 && matches!(op, BinaryOp::Divide | BinaryOp::Modulo) {
            return Err(failed("DECIMAL division", "division by zero; guard it with NULLIF or CASE"));
        }
        let exact = match op {
            BinaryOp::Add => add(a, ls, b, rs, scale, false),
            BinaryOp::Subtract => add(a, ls, b, rs, scale, true),
            BinaryOp::Multiply => multiply(a, b, ls + rs, scale),
            BinaryOp::Divide => divide(a, b, i32::from(scale) - i32::from(ls) + i32::from(rs)),
            _ => remainder(a, ls, b, rs, scale),
        };
        Ok(exact.filter(fits))
    })
}

/// The smallest magnitude with more than `precision` digits.
pub(super) fn bound(precision: u8) -> u128 {
    10u128.pow(u32::from(precision.min(38)))
}

fn scale_of(operand: &Operand) -> i8 {
    match operand.array.data_type() {
        DataType::Decimal128(_, s) => *s,
        _ => 0,
    }
}

/// Whether a value has at most so many digits.
pub(super) fn fits(v: i128, precision: u8) -> bool {
    v.unsigned_abs() < bound(precision)
}

fn add(a: i128, a_scale: i8, b: i128, b_scale: i8, scale: i8, subtract: bool) -> Option<i128> {
    let exact = a_scale.max(b_scale);
    let (a, b) = (rescale(a, a_scale, exact)?, rescale(b, b_scale, exact)?);
    rescale(if subtract { a.checked_sub(b)? } else { a.checked_add(b)? }, exact, scale)
}

fn multiply(a: i128, b: i128, exact: i8, scale: i8) -> Option<i128> {
    if let Some(product) = a.checked_mul(b) {
        return rescale(product, exact, scale);
    }
    let product = i256::from_i128(a).checked_mul(i256::from_i128(b))?;
    let places = u32::try_from(exact - scale).ok()?;
    divide_wide(product, power(places)?)
}

/// `a * 10^places / b`, rounded half up.
fn divide(a: i128, b: i128, places: i32) -> Option<i128> {
    if places < 0 {
        return divide_wide(i256::from_i128(a), power(places.unsigned_abs())?.checked_mul(i256::from_i128(b))?);
    }
    let places = places.unsigned_abs();
    if places <= 38
        && let Some(dividend) = a.checked_mul(10i128.pow(places))
    {
        return divide_half_up(dividend, b);
    }
    divide_wide(i256::from_i128(a).checked_mul(power(places)?)?, i256::from_i128(b))
}

fn remainder(a: i128, a_scale: i8, b: i128, b_scale: i8, scale: i8) -> Option<i128> {
    let exact = a_scale.max(b_scale);
    let (a, b) = (rescale(a, a_scale, exact)?, rescale(b, b_scale, exact)?);
    rescale(a.checked_rem(b)?, exact, scale)
}

fn power(places: u32) -> Option<i256> {
    i256::from_i128(10).checked_pow(places)
}

/// To another number of places; fewer places round half up (away from zero). `None`: too large.
pub(super) fn rescale(v: i128, from: i8, to: i8) -> Option<i128> {
    let places = i32::from(to) - i32::from(from);
    if places == 0 {
        return Some(v);
    }
    let factor = 10i128.checked_pow(places.unsigned_abs());
    if places >= 0 {
        return if v == 0 { Some(0) } else { v.checked_mul(factor?) };
    }
    match factor {
        Some(f) => divide_half_up(v, f),
        None => Some(0),
    }
}

/// `b` is never zero.
pub(super) fn divide_half_up(a: i128, b: i128) -> Option<i128> {
    let (q, r) = (a.checked_div(b)?, a.checked_rem(b)?);
    // |r| < |b|, and 2|r| ≥ |b| ⟺ |r| ≥ |b| − |r|, which cannot overflow.
    if r.unsigned_abs() >= b.unsigned_abs() - r.unsigned_abs() {
        return q.checked_add(if (a < 0) == (b < 0) { 1 } else { -1 });
    }
    Some(q)
}

fn divide_wide(a: i256, b: i256) -> Option<i128> {
    let (q, r) = (a.checked_div(b)?, a.checked_rem(b)?);
    let (r, half) = (r.wrapping_abs(), b.wrapping_abs());
    let q = if r >= half.wrapping_sub(r) {
        let one = if (a < i256::ZERO) == (b < i256::ZERO) { i256::ONE } else { i256::MINUS_ONE };
        q.checked_add(one)?
    } else {
        q
    };
    q.to_i128()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_half_up_on_the_magnitude() {
        for (v, from, to, want) in [(125, 2, 1, 13), (-125, 2, 1, -13), (124, 2, 1, 12), (5, 0, 2, 500), (49, 2, 0, 0)]
        {
            assert_eq!(rescale(v, from, to), Some(want), "{v} {from}->{to}");
        }
    }

    #[test]
    fn division_and_products_beyond_128_bits_are_exact() {
        assert_eq!(divide(1, 3, 6), Some(333_333));
        assert_eq!(divide(-2, 3, 6), Some(-666_667));
        let big = 10i128.pow(37);
        assert_eq!(divide(big, big, 10), Some(10i128.pow(10)));
        assert_eq!(multiply(big, 10, 36, 6), Some(10i128.pow(8)));
        assert_eq!(multiply(big, big, 36, 6), None);
    }
}
