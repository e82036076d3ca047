//! The result type of an expression: one rule for the planner that declares it and the runtime that computes it.

use super::expr::{BinaryOp, Expr};
use arrow_schema::{DataType, Schema, TimeUnit};

/// The most digits of a DECIMAL.
pub const DECIMAL_PRECISION_MAX: u8 = 38;

impl Expr {
    /// The type of this expression over rows of `input`. `None`: a column out of range, or operands that do not fit.
    pub fn data_type(&self, input: &Schema) -> Option<DataType> {
        Some(match self {
            Self::Column(i) => input.fields().get(*i)?.data_type().clone(),
            Self::Literal(l) => l.data_type.clone(),
            Self::Binary { op, left, right } => {
                return binary_type(*op, &left.data_type(input)?, &right.data_type(input)?);
            }
            Self::Not(_)
            | Self::IsNull(_)
            | Self::IsNotNull(_)
            | Self::IsTrue(_)
            | Self::IsFalse(_)
            | Self::Like { .. }
            | Self::InList { .. } => DataType::Boolean,
            Self::Negate(e) => return e.data_type(input),
            Self::Cast { to, .. } | Self::TryCast { to, .. } => to.clone(),
            Self::Case { branches, otherwise, .. } => {
                let mut arms = branches.iter().map(|(_, then)| then).chain(otherwise.as_deref());
                let mut data_type = arms.next()?.data_type(input)?;
                for arm in arms {
                    if data_type != DataType::Null {
                        break;
                    }
                    data_type = arm.data_type(input)?;
                }
                data_type
            }
            Self::Call { data_type, .. } => data_type.clone(),
        })
    }
}

/// The type of `left op right`. DECIMAL follows Flink (`LogicalTypeMerging`), which differs from Arrow's rule.
pub fn binary_type(op: BinaryOp, left: &DataType, right: &DataType) -> Option<DataType> {
    use BinaryOp::*;
    match op {
        Eq | NotEq | Lt | LtEq | Gt | GtEq | And | Or | IsDistinctFrom | IsNotDistinctFrom => Some(DataType::Boolean),
        Concat => Some(DataType::Utf8),
        BitAnd | BitOr | BitXor => (left == right).then(|| left.clone()),
        Add | Subtract | Multiply | Divide | Modulo => arithmetic_type(op, left, right),
    }
}

fn arithmetic_type(op: BinaryOp, left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType::*;
    match (left, right) {
        (Decimal128(p1, s1), Decimal128(p2, s2)) => {
            let (p, s) = decimal_result(op, (*p1, *s1), (*p2, *s2))?;
            Some(Decimal128(p, s))
        }
        (Timestamp(unit, _), Timestamp(..)) if op == BinaryOp::Subtract => Some(Duration(*unit)),
        (Date32, Date32) if op == BinaryOp::Subtract => Some(Duration(TimeUnit::Second)),
        (Timestamp(..) | Date32 | Time32(_) | Time64(_), Interval(_) | Duration(_)) => Some(left.clone()),
        (Interval(_) | Duration(_), Timestamp(..) | Date32 | Time32(_) | Time64(_)) => Some(right.clone()),
        (l, r) if l == r => Some(l.clone()),
        _ => None,
    }
}

/// Precision and scale of `a op b`. Above 38 digits the fraction gives way first, down to 6 places.
pub fn decimal_result(op: BinaryOp, (p1, s1): (u8, i8), (p2, s2): (u8, i8)) -> Option<(u8, i8)> {
    let (p1, s1, p2, s2) = (i32::from(p1), i32::from(s1), i32::from(p2), i32::from(s2));
    let (precision, scale) = match op {
        BinaryOp::Add | BinaryOp::Subtract => {
            let scale = s1.max(s2);
            ((p1 - s1).max(p2 - s2) + scale + 1, scale)
        }
        BinaryOp::Multiply => (p1 + p2 + 1, s1 + s2),
        BinaryOp::Divide => {
            let scale = 6.max(s1 + p2 + 1);
            (p1 - s1 + s2 + scale, scale)
        }
        BinaryOp::Modulo => ((p1 - s1).min(p2 - s2) + s1.max(s2), s1.max(s2)),
        _ => return None,
    };
    let most = i32::from(DECIMAL_PRECISION_MAX);
    if precision <= most {
        return Some((precision as u8, scale as i8));
    }
    let scale = (most - (precision - scale)).max(scale.min(6));
    Some((DECIMAL_PRECISION_MAX, scale as i8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_types_are_flinks() {
        for (op, a, b, want) in [
            (BinaryOp::Add, (10, 2), (5, 4), (13, 4)),
            (BinaryOp::Multiply, (10, 2), (10, 3), (21, 5)),
            (BinaryOp::Divide, (10, 2), (10, 2), (23, 13)),
            (BinaryOp::Divide, (38, 18), (38, 18), (38, 6)),
            (BinaryOp::Modulo, (10, 2), (5, 1), (6, 2)),
            (BinaryOp::Multiply, (38, 18), (38, 18), (38, 6)),
        ] {
            assert_eq!(decimal_result(op, a, b), Some(want), "{op:?} {a:?} {b:?}");
        }
    }

    #[test]
    fn comparison_is_boolean_and_mixed_operands_are_refused() {
        assert_eq!(binary_type(BinaryOp::Lt, &DataType::Utf8, &DataType::Utf8), Some(DataType::Boolean));
        assert_eq!(binary_type(BinaryOp::Add, &DataType::Int32, &DataType::Int64), None);
    }
}
