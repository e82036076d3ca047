//! Three-valued logic and `CASE`. A side or branch that can fail sees only the rows that reach it.

use super::node::{Evaluated, Node, Operand, Rows, failed, mistyped};
use crate::operator::OperatorError;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array, new_null_array};
use arrow::compute::kernels::zip::zip;
use arrow::compute::{and_kleene, interleave, or_kleene, take};
use arrow::datatypes::DataType;
use std::sync::Arc;

pub(super) fn downcast(array: &ArrayRef) -> Result<&BooleanArray, OperatorError> {
    array.as_boolean_opt().ok_or_else(|| mistyped("a condition", array.data_type()))
}

/// `IS TRUE`, `IS FALSE`.
pub(super) fn is(b: &BooleanArray, wanted: bool) -> BooleanArray {
    let values = if wanted { b.values().clone() } else { !b.values() };
    BooleanArray::new(b.nulls().map_or_else(|| values.clone(), |n| &values & n.inner()), None)
}

#[derive(Debug)]
pub(super) struct Logic {
    pub and: bool,
    pub left: Node,
    pub right: Node,
    /// The columns of `right`, if it is evaluated only where `left` does not decide.
    pub lazy: Option<Vec<usize>>,
}

impl Logic {
    pub fn evaluate(&self, rows: &Rows) -> Evaluated {
        let left = self.left.evaluate(rows)?;
        let Some(used) = &self.lazy else {
            let right = self.right.evaluate(rows)?;
            if left.constant && right.constant {
                return Ok(Operand::constant(self.combine(&left.array, &right.array)?));
            }
            return Ok(Operand::column(self.combine(&left.expand(rows.count())?, &right.expand(rows.count())?)?));
        };
        let left = left.expand(rows.count())?;
        let undecided = BooleanArray::new(!is(downcast(&left)?, !self.and).values(), None);
        let open = undecided.true_count();
        if open == 0 {
            return Ok(Operand::column(left));
        }
        let right = if open == rows.count() {
            self.right.evaluate(rows)?.expand(open)?
        } else {
            let some = self.right.evaluate(&rows.select(&undecided, used)?)?.expand(open)?;
            scatter(&some, &undecided)?
        };
        Ok(Operand::column(self.combine(&left, &right)?))
    }

    fn combine(&self, left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef, OperatorError> {
        let (l, r) = (downcast(left)?, downcast(right)?);
        let result = if self.and { and_kleene(l, r) } else { or_kleene(l, r) };
        Ok(Arc::new(result.map_err(OperatorError::Output)?))
    }
}

/// Puts the values back to the rows of the mask; NULL elsewhere.
fn scatter(values: &ArrayRef, mask: &BooleanArray) -> Result<ArrayRef, OperatorError> {
    let mut next = 0;
    let indices: UInt32Array = mask
        .values()
        .iter()
        .map(|set| {
            set.then(|| {
                next += 1;
                next - 1
            })
        })
        .collect();
    take(values, &indices, None).map_err(OperatorError::Output)
}

#[derive(Debug)]
pub(super) struct Case {
    pub branches: Vec<(Node, Node)>,
    pub otherwise: Option<Node>,
    pub data_type: DataType,
    /// Every column below.
    pub used: Vec<usize>,
    /// Some branch can fail or is dear: each sees only its rows. Otherwise all are evaluated and chosen from.
    pub lazy: bool,
}

impl Case {
    pub fn evaluate(&self, rows: &Rows) -> Evaluated {
        if self.lazy { self.by_rows(rows) } else { self.by_masks(rows) }
    }

    /// From the last branch to the first, so that the first that applies wins.
    fn by_masks(&self, rows: &Rows) -> Evaluated {
        let typed = |v: Operand| {
            let null = *v.array.data_type() == DataType::Null;
            if null { Operand::constant(new_null_array(&self.data_type, 1)) } else { v }
        };
        let mut result = match &self.otherwise {
            Some(e) => typed(e.evaluate(rows)?),
            None => Operand::constant(new_null_array(&self.data_type, 1)),
        };
        for (when, then) in self.branches.iter().rev() {
            let condition = when.evaluate(rows)?.expand(rows.count())?;
            let value = typed(then.evaluate(rows)?);
            let chosen = zip(&is(downcast(&condition)?, true), value.datum().as_ref(), result.datum().as_ref());
            result = Operand::column(chosen.map_err(OperatorError::Output)?);
        }
        Ok(result)
    }

    fn by_rows(&self, rows: &Rows) -> Evaluated {
        let total = rows.count();
        // The value of row i is `pieces[sources[i].0]` at `sources[i].1`; piece 0 is NULL.
        let mut pieces = vec![new_null_array(&self.data_type, 1)];
        let mut sources = vec![(0, 0); total];
        let mut open: Vec<usize> = (0..total).collect();
        let mut rest: Option<Rows> = None;
        for (when, then) in &self.branches {
            let current = rest.as_ref().unwrap_or(rows);
            let condition = when.evaluate(current)?.expand(open.len())?;
            let hit = is(downcast(&condition)?, true);
            if hit.true_count() == 0 {
                continue;
            }
            let all = hit.true_count() == open.len();
            let values = if all { then.evaluate(current)? } else { then.evaluate(&current.select(&hit, &self.used)?)? };
            let chosen = open.iter().zip(hit.values().iter()).filter_map(|(&row, h)| h.then_some(row));
            self.place(values, chosen, &mut pieces, &mut sources)?;
            if all {
                open.clear();
                break;
            }
            let missed = BooleanArray::new(!hit.values(), None);
            rest = Some(current.select(&missed, &self.used)?);
            open = open.into_iter().zip(hit.values().iter()).filter_map(|(row, h)| (!h).then_some(row)).collect();
        }
        if let (Some(otherwise), false) = (&self.otherwise, open.is_empty()) {
            let values = otherwise.evaluate(rest.as_ref().unwrap_or(rows))?;
            self.place(values, open.into_iter(), &mut pieces, &mut sources)?;
        }
        let pieces: Vec<&dyn Array> = pieces.iter().map(AsRef::as_ref).collect();
        Ok(Operand::column(interleave(&pieces, &sources).map_err(OperatorError::Output)?))
    }

    fn place(
        &self,
        values: Operand,
        rows: impl Iterator<Item = usize>,
        pieces: &mut Vec<ArrayRef>,
        sources: &mut [(usize, usize)],
    ) -> Result<(), OperatorError> {
        if *values.array.data_type() == DataType::Null {
            return Ok(());
        }
        if *values.array.data_type() != self.data_type {
            let (got, wanted) = (values.array.data_type(), &self.data_type);
            return Err(failed("CASE", format!("a branch has the type {got}, the result {wanted}")));
        }
        for (i, row) in rows.enumerate() {
            sources[row] = (pieces.len(), values.at(i));
        }
        pieces.push(values.array);
        Ok(())
    }
}
