//! `/` and `%` of BIGINT and INT by a constant without the division instruction: 3–4 times as fast as `idiv`.
//!
//! SQL's and Java's division truncates towards zero and the remainder has the dividend's sign; magnitudes are divided as
//! unsigned numbers and the sign is put back without a branch.

use super::node::{Evaluated, Operand, mistyped};
use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use std::sync::Arc;
use strength_reduce::{StrengthReducedU32, StrengthReducedU64};

/// A prepared divisor, never zero.
#[derive(Debug)]
pub(super) struct Reduced {
    remainder: bool,
    by: Divisor,
}

#[derive(Debug)]
enum Divisor {
    Long(StrengthReducedU64, i64),
    Int(StrengthReducedU32, i32),
}

impl Reduced {
    /// `None` where the kernel does not apply: another type, or a zero (which must fail row by row).
    pub fn new(remainder: bool, data_type: &DataType, divisor: i64) -> Option<Self> {
        let by = match data_type {
            _ if divisor == 0 => return None,
            DataType::Int64 => Divisor::Long(StrengthReducedU64::new(divisor.unsigned_abs()), divisor >> 63),
            DataType::Int32 => {
                let d = i32::try_from(divisor).ok()?;
                Divisor::Int(StrengthReducedU32::new(d.unsigned_abs()), d >> 31)
            }
            _ => return None,
        };
        Some(Self { remainder, by })
    }

    pub fn evaluate(&self, input: &Operand) -> Evaluated {
        let array: ArrayRef = match &self.by {
            Divisor::Long(d, sign) => {
                let Some(v) = input.array.as_primitive_opt::<Int64Type>() else {
                    return Err(mistyped("division by a constant", input.array.data_type()));
                };
                Arc::new(self.longs(v, *d, *sign))
            }
            Divisor::Int(d, sign) => {
                let Some(v) = input.array.as_primitive_opt::<Int32Type>() else {
                    return Err(mistyped("division by a constant", input.array.data_type()));
                };
                Arc::new(self.ints(v, *d, *sign))
            }
        };
        Ok(Operand { array, constant: input.constant })
    }

    fn longs(&self, v: &PrimitiveArray<Int64Type>, d: StrengthReducedU64, sign: i64) -> PrimitiveArray<Int64Type> {
        if self.remainder {
            return v.unary(|a| {
                let s = a >> 63;
                (((a.unsigned_abs() % d) as i64) ^ s).wrapping_sub(s)
            });
        }
        v.unary(|a| {
            let s = (a >> 63) ^ sign;
            (((a.unsigned_abs() / d) as i64) ^ s).wrapping_sub(s)
        })
    }

    fn ints(&self, v: &PrimitiveArray<Int32Type>, d: StrengthReducedU32, sign: i32) -> PrimitiveArray<Int32Type> {
        if self.remainder {
            return v.unary(|a| {
                let s = a >> 31;
                (((a.unsigned_abs() % d) as i32) ^ s).wrapping_sub(s)
            });
        }
        v.unary(|a| {
            let s = (a >> 31) ^ sign;
            (((a.unsigned_abs() / d) as i32) ^ s).wrapping_sub(s)
        })
    }
}
