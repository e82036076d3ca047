//! The executable tree and its evaluation over one batch.

use super::{arithmetic, boolean, call, cast, compare, like, reduced};
use crate::operator::OperatorError;
use arrow::array::{Array, ArrayRef, BooleanArray, Datum, RecordBatch, Scalar, UInt32Array};
use arrow::compute::{filter, is_not_null, is_null, take};
use arrow::datatypes::DataType;
use std::borrow::Cow;
use std::sync::Arc;

/// What every kernel of this module gives.
pub(super) type Evaluated = Result<Operand, OperatorError>;

#[derive(Debug)]
pub(super) enum Node {
    Column(usize),
    /// One row.
    Constant(ArrayRef),
    Arithmetic(Box<arithmetic::Arithmetic>),
    /// `/` and `%` of an integer column by a constant.
    Reduced(Box<Node>, reduced::Reduced),
    Compare(Box<compare::Compare>),
    Logic(Box<boolean::Logic>),
    Not(Box<Node>),
    Negate(Box<Node>),
    IsNull(Box<Node>),
    IsNotNull(Box<Node>),
    /// `IS TRUE` or `IS FALSE`: never NULL.
    Is(Box<Node>, bool),
    Like(Box<like::Like>),
    InSet(Box<compare::InSet>),
    Cast(Box<Node>, cast::Cast),
    Case(Box<boolean::Case>),
    Call(Box<call::Call>),
    Clock(Box<call::ClockCall>),
}

/// A column, or one value that stands for every row.
#[derive(Clone, Debug)]
pub(super) struct Operand {
    pub array: ArrayRef,
    pub constant: bool,
}

impl Operand {
    pub fn column(array: ArrayRef) -> Self {
        Self { array, constant: false }
    }
    pub fn constant(array: ArrayRef) -> Self {
        debug_assert_eq!(array.len(), 1);
        Self { array, constant: true }
    }

    /// For Arrow's kernels, which take columns and scalars alike.
    pub fn datum(&self) -> Box<dyn Datum> {
        if self.constant { Box::new(Scalar::new(self.array.clone())) } else { Box::new(self.array.clone()) }
    }

    /// As a column of `rows` rows.
    pub fn expand(self, rows: usize) -> Result<ArrayRef, OperatorError> {
        if !self.constant {
            return Ok(self.array);
        }
        take(&self.array, &UInt32Array::from(vec![0; rows]), None).map_err(OperatorError::Output)
    }

    /// Where row `row` of the batch is in `array`.
    pub fn at(&self, row: usize) -> usize {
        if self.constant { 0 } else { row }
    }
}

/// The columns under evaluation: of a whole batch, or of the rows of it that a branch needs.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    columns: Cow<'a, [ArrayRef]>,
    count: usize,
}

impl<'a> Rows<'a> {
    pub fn of(batch: &'a RecordBatch) -> Self {
        Self { columns: Cow::Borrowed(batch.columns()), count: batch.num_rows() }
    }
    /// No columns and one row: for constants.
    pub fn single() -> Self {
        Self { columns: Cow::Owned(vec![]), count: 1 }
    }
    pub fn count(&self) -> usize {
        self.count
    }
    /// The rows where `mask` is true. Only the columns in `used` are filtered; the others must not be looked at.
    pub fn select(&self, mask: &BooleanArray, used: &[usize]) -> Result<Rows<'static>, OperatorError> {
        let mut columns = self.columns.to_vec();
        for &i in used {
            columns[i] = filter(&columns[i], mask).map_err(OperatorError::Output)?;
        }
        Ok(Rows { columns: Cow::Owned(columns), count: mask.true_count() })
    }
}

impl Node {
    pub fn evaluate(&self, rows: &Rows) -> Evaluated {
        match self {
            Self::Column(i) => Ok(Operand::column(rows.columns[*i].clone())),
            Self::Constant(v) => Ok(Operand::constant(v.clone())),
            Self::Arithmetic(a) => a.evaluate(rows),
            Self::Reduced(input, by) => by.evaluate(&input.evaluate(rows)?),
            Self::Compare(c) => c.evaluate(rows),
            Self::Logic(l) => l.evaluate(rows),
            Self::Not(e) => e.map_boolean(rows, |b| arrow::compute::not(b)),
            Self::Negate(e) => arithmetic::negate(&e.evaluate(rows)?),
            Self::IsNull(e) => e.test_null(rows, is_null),
            Self::IsNotNull(e) => e.test_null(rows, is_not_null),
            Self::Is(e, wanted) => e.map_boolean(rows, |b| Ok(boolean::is(b, *wanted))),
            Self::Like(l) => l.evaluate(rows),
            Self::InSet(s) => s.evaluate(rows),
            Self::Cast(e, cast) => {
                let v = e.evaluate(rows)?;
                Ok(Operand { array: cast.apply(&v.array)?, constant: v.constant })
            }
            Self::Case(c) => c.evaluate(rows),
            Self::Call(c) => c.evaluate(rows),
            Self::Clock(c) => Ok(c.evaluate()),
        }
    }

    /// Whether some row can make this fail, or whether it is so dear that rows are worth sparing.
    pub fn is_lazy(&self) -> bool {
        match self {
            Self::Column(_) | Self::Constant(_) | Self::Clock(_) => false,
            Self::Arithmetic(a) => a.can_fail() || a.left.is_lazy() || a.right.is_lazy(),
            Self::Compare(c) => c.left.is_lazy() || c.right.is_lazy(),
            Self::Logic(l) => l.left.is_lazy() || l.right.is_lazy(),
            Self::Reduced(e, _)
            | Self::Not(e)
            | Self::Negate(e)
            | Self::IsNull(e)
            | Self::IsNotNull(e)
            | Self::Is(e, _) => e.is_lazy(),
            Self::InSet(s) => s.input.is_lazy(),
            Self::Cast(e, cast) => cast.can_fail() || e.is_lazy(),
            Self::Case(c) => c.lazy,
            Self::Like(_) | Self::Call(_) => true,
        }
    }

    fn map_boolean(
        &self,
        rows: &Rows,
        f: impl Fn(&BooleanArray) -> Result<BooleanArray, arrow::error::ArrowError>,
    ) -> Evaluated {
        let v = self.evaluate(rows)?;
        let b = boolean::downcast(&v.array)?;
        Ok(Operand { array: Arc::new(f(b).map_err(OperatorError::Output)?), constant: v.constant })
    }

    fn test_null(
        &self,
        rows: &Rows,
        f: impl Fn(&dyn Array) -> Result<BooleanArray, arrow::error::ArrowError>,
    ) -> Evaluated {
        let v = self.evaluate(rows)?;
        Ok(Operand { array: Arc::new(f(&v.array).map_err(OperatorError::Output)?), constant: v.constant })
    }
}

pub(super) fn failed(what: impl Into<String>, message: impl Into<String>) -> OperatorError {
    OperatorError::Evaluate { what: what.into(), message: message.into() }
}

/// An operand of a type that the plan does not allow here; the planner and this module disagree.
pub(super) fn mistyped(what: &str, data_type: &DataType) -> OperatorError {
    failed(what, format!("the type {data_type} is not supported"))
}
