//! `VALUES` and `SELECT` without FROM: constants over a source of one row.
//!
//! The source is an anonymous table of the `datagen` connector, bounded to one row, so the runtime needs nothing special.

use super::columns_of;
use crate::coerce;
use crate::errors::{Outcome, Refusal};
use crate::expr;
use crate::rel::{Column, Rel, schema_of};
use arrow_schema::DataType;
use datafusion_common::DFSchema;
use datafusion_expr::logical_plan::Values;
use sluice_core::plan::expr::Expr;
use sluice_core::plan::{Changelog, Op, Table};

/// Each row is an operator of its own.
const MAX_ROWS: usize = 200;

/// Its name cannot be written without quotes, so no user's table has it.
pub(crate) const ONE_ROW: &str = "one-row";

/// The table behind [`one_row`].
pub(crate) fn one_row_table() -> Table {
    let options = [("connector", "datagen"), ("number-of-rows", "1")];
    Table {
        name: ONE_ROW.to_owned(),
        schema: schema_of(&one_row_columns()),
        metadata: vec![],
        primary_key: vec![],
        options: options.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        partitioned_by: vec![],
    }
}

fn one_row_columns() -> Vec<Column> {
    vec![Column::new("unit", DataType::Int32, true)]
}

fn nullable(mut c: Column) -> Column {
    c.nullable = true;
    c
}

pub(super) fn one_row() -> Rel {
    let op = Op::Source { table: ONE_ROW.to_owned(), exprs: vec![Expr::Column(0)], watermark: None };
    Rel::new(op, vec![], one_row_columns(), Changelog::Append)
}

pub(super) fn translate(v: &Values) -> Outcome<Rel> {
    if v.values.len() > MAX_ROWS {
        return Err(Refusal::new(format!("VALUES has {} rows, more than {MAX_ROWS}", v.values.len()))
            .near("VALUES")
            .hint("read them from a file with the filesystem connector"));
    }
    let nothing = DFSchema::empty();
    let columns = columns_of(&v.schema);
    let row = |exprs: &Vec<datafusion_expr::Expr>| {
        let mut out = vec![];
        for (e, c) in exprs.iter().zip(&columns) {
            let (data_type, _) = coerce::type_of(e, &nothing)?;
            let e = expr::translate(e, &nothing)?;
            out.push(if data_type == c.data_type {
                e
            } else {
                Expr::Cast { expr: Box::new(e), to: c.data_type.clone() }
            });
        }
        Ok(one_row().project(out, columns.iter().cloned().map(nullable).collect()))
    };
    let mut rows = v.values.iter().map(row).collect::<Outcome<Vec<_>>>()?;
    if rows.len() == 1 {
        return Ok(rows.remove(0));
    }
    let columns = columns.into_iter().map(nullable).collect();
    Ok(Rel::new(Op::Union, rows, columns, Changelog::Append))
}
