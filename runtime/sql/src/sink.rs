//! What a query must be to enter a table: as many columns, of types that Flink casts without being asked.

use crate::catalog::TableInfo;
use crate::ddl::types::flink_name;
use crate::errors::{Outcome, Refusal};
use crate::rel::{Column, Rel};
use crate::suggest::did_you_mean;
use arrow_schema::DataType;
use datafusion_sql::sqlparser::tokenizer::Location;
use sluice_core::plan::expr::{Expr, Literal, Value};
use sluice_core::plan::{Op, Table};

/// `INSERT INTO table [(columns)] rel`.
pub(crate) fn insert(rel: Rel, info: &TableInfo, columns: Option<&[(String, Location)]>) -> Outcome<Rel> {
    let table = &info.table;
    let targets = targets(info, columns)?;
    if rel.width() != targets.len() {
        return Err(Refusal::new(format!(
            "the query has {} columns, table '{}' takes {}",
            rel.width(),
            table.name,
            targets.len()
        ))
        .near(&table.name)
        .hint(format!("query: {}; table: {}", describe(&rel.columns), describe_fields(table, &targets))));
    }
    let mut exprs = vec![];
    let mut out = vec![];
    for (i, f) in table.schema.fields().iter().enumerate() {
        let mut column = Column::new(f.name(), f.data_type().clone(), true);
        column.flink_type = f.metadata().get(crate::rel::TYPE_KEY).cloned();
        match targets.iter().position(|t| *t == i) {
            Some(source) => {
                let from = &rel.columns[source];
                column.nullable = from.nullable;
                column.role = from.role;
                exprs.push(implicit_cast(Expr::Column(source), from, f.name(), f.data_type(), &table.name)?);
            }
            None => exprs.push(Expr::Literal(Literal { data_type: f.data_type().clone(), value: Value::Null })),
        }
        out.push(column);
    }
    Ok(sink(rel.project(exprs, out), table))
}

/// The sink itself; `rel` has the table's columns.
pub(crate) fn sink(rel: Rel, table: &Table) -> Rel {
    let op = Op::Sink { table: table.name.clone(), upsert_keys: table.primary_key.clone() };
    let (columns, changelog) = (rel.columns.clone(), rel.changelog);
    Rel::new(op, vec![rel], columns, changelog)
}

/// The columns of the table's schema that the query's columns go to, in the query's order.
fn targets(info: &TableInfo, columns: Option<&[(String, Location)]>) -> Outcome<Vec<usize>> {
    let writable: Vec<usize> = (0..info.writable.len()).filter(|i| info.writable[*i]).collect();
    let Some(columns) = columns else { return Ok(writable) };
    let fields = info.table.schema.fields();
    let known: Vec<&str> = writable.iter().map(|i| fields[*i].name().as_str()).collect();
    let mut all = vec![];
    for (name, place) in columns {
        let index = writable.iter().copied().find(|i| fields[*i].name() == name).ok_or_else(|| {
            Refusal::new(format!("table '{}' has no column '{name}' to insert into", info.table.name))
                .at(*place)
                .hint(did_you_mean(name, known.clone()).unwrap_or_else(|| format!("columns: {}", known.join(", "))))
        })?;
        if all.contains(&index) {
            return Err(Refusal::new(format!("column '{name}' is listed twice")).at(*place));
        }
        all.push(index);
    }
    Ok(all)
}

fn describe(columns: &[Column]) -> String {
    columns.iter().map(|c| format!("{} {}", c.name, flink_name(&c.data_type))).collect::<Vec<_>>().join(", ")
}

fn describe_fields(table: &Table, indices: &[usize]) -> String {
    let one = |i: &usize| {
        let f = table.schema.field(*i);
        format!("{} {}", f.name(), flink_name(f.data_type()))
    };
    indices.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn implicit_cast(e: Expr, from: &Column, name: &str, to: &DataType, table: &str) -> Outcome<Expr> {
    if same_type(&from.data_type, to) {
        return Ok(e);
    }
    if !casts(&from.data_type, to) {
        return Err(Refusal::new(format!(
            "column '{name}' of table '{table}' is {}, but the query gives {}",
            flink_name(to),
            flink_name(&from.data_type)
        ))
        .near(&from.name)
        .hint(format!("CAST({} AS {})", from.name, flink_name(to))));
    }
    Ok(Expr::Cast { expr: Box::new(e), to: to.clone() })
}

/// Equal but for names and nullability of nested fields.
pub(crate) fn same_type(a: &DataType, b: &DataType) -> bool {
    a.equals_datatype(b)
}

/// Flink's implicit casts: numbers to wider ones, points in time among each other, decimals among each other.
fn casts(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    let rank = |t: &DataType| match t {
        T::Int8 => Some(1),
        T::Int16 => Some(2),
        T::Int32 => Some(3),
        T::Int64 => Some(4),
        T::Decimal128(..) => Some(5),
        T::Float32 => Some(6),
        T::Float64 => Some(7),
        _ => None,
    };
    match (from, to) {
        (T::Null, _) => true,
        (T::Timestamp(..) | T::Date32, T::Timestamp(..)) => true,
        (T::List(a), T::List(b)) => same_type(a.data_type(), b.data_type()) || casts(a.data_type(), b.data_type()),
        (T::Struct(a), T::Struct(b)) => {
            let pair = |(x, y): (&arrow_schema::FieldRef, &arrow_schema::FieldRef)| {
                same_type(x.data_type(), y.data_type()) || casts(x.data_type(), y.data_type())
            };
            a.len() == b.len() && a.iter().zip(b).all(pair)
        }
        _ => matches!((rank(from), rank(to)), (Some(a), Some(b)) if a <= b),
    }
}
