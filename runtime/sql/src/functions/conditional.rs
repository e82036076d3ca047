//! `COALESCE`, `NULLIF`, `IF`, `IFNULL`, `GREATEST`, `LEAST`. The runtime evaluates the first four as `CASE`, row by row as
//! needed; the loops here serve constants.

use super::definition::{Call, Function, Param, Returns};
use super::types::{common, common_type};
use arrow::array::{Array, ArrayRef, make_comparator};
use arrow::compute::{SortOptions, interleave};
use arrow::datatypes::DataType;
use datafusion_common::{Result, plan_err};

const ANY: &[Param] = &[Param::Any];

pub(super) fn functions() -> Vec<Function> {
    let two: &[Param] = &[Param::Any, Param::Any];
    vec![
        Function::new("coalesce", ANY, Returns::SameAs(0), coalesce).variadic().coerce_all(common),
        Function::new("ifnull", two, Returns::SameAs(0), coalesce).coerce_all(common),
        Function::new("nullif", two, Returns::SameAs(0), nullif).coerce_all(common),
        Function::new("if", &[Param::Boolean, Param::Any, Param::Any], Returns::SameAs(1), if_else)
            .coerce_all(if_types),
        Function::new("greatest", ANY, Returns::SameAs(0), |c| extreme(c, true)).variadic().coerce_all(common),
        Function::new("least", ANY, Returns::SameAs(0), |c| extreme(c, false)).variadic().coerce_all(common),
    ]
}

fn if_types(given: &[DataType]) -> Result<Vec<DataType>> {
    if !matches!(given[0], DataType::Boolean | DataType::Null) {
        return plan_err!("function IF wants BOOLEAN as argument 1, got {}", given[0]);
    }
    let value = common_type(&given[1..])?;
    Ok(vec![DataType::Boolean, value.clone(), value])
}

/// For each row the argument that `choose` names; `None` is NULL.
fn select(call: &Call, choose: impl Fn(usize) -> Option<usize>) -> Result<ArrayRef> {
    let nulls = arrow::array::new_null_array(&call.returns, 1);
    let mut arrays: Vec<&dyn Array> = vec![nulls.as_ref()];
    arrays.extend(call.args.iter().map(|a| a.array.as_ref()));
    let sources: Vec<(usize, usize)> = (0..call.rows)
        .map(|row| choose(row).map_or((0, 0), |i| (i + 1, if call.args[i].constant { 0 } else { row })))
        .collect();
    // The condition of IF has another type and is never chosen.
    if call.function == "if" {
        arrays[1] = nulls.as_ref();
    }
    Ok(interleave(&arrays, &sources)?)
}

fn valid(call: &Call, i: usize, row: usize) -> bool {
    let arg = &call.args[i];
    arg.array.is_valid(if arg.constant { 0 } else { row })
}

fn coalesce(call: &Call) -> Result<ArrayRef> {
    select(call, |row| (0..call.args.len()).find(|&i| valid(call, i, row)))
}

fn if_else(call: &Call) -> Result<ArrayRef> {
    let condition = call.booleans(0)?;
    select(call, |row| Some(if condition.get(row) == Some(true) { 1 } else { 2 }))
}

fn nullif(call: &Call) -> Result<ArrayRef> {
    let order = make_comparator(&call.args[0].array, &call.args[1].array, SortOptions::default())?;
    let at = |i: usize, row: usize| if call.args[i].constant { 0 } else { row };
    select(call, |row| {
        let equal = valid(call, 0, row) && valid(call, 1, row) && order(at(0, row), at(1, row)).is_eq();
        (!equal).then_some(0)
    })
}

/// NULL if any argument is.
fn extreme(call: &Call, greatest: bool) -> Result<ArrayRef> {
    let count = call.args.len();
    let mut orders = Vec::with_capacity(count * count);
    for a in &call.args {
        for b in &call.args {
            orders.push(make_comparator(&a.array, &b.array, SortOptions::default())?);
        }
    }
    let at = |i: usize, row: usize| if call.args[i].constant { 0 } else { row };
    select(call, |row| {
        if (0..count).any(|i| !valid(call, i, row)) {
            return None;
        }
        (0..count).reduce(|best, i| {
            let order = orders[i * count + best](at(i, row), at(best, row));
            let better = if greatest { order.is_gt() } else { order.is_lt() };
            if better { i } else { best }
        })
    })
}
