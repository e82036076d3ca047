//! Tables and views as `sluice check` shows them.

use crate::catalog::TableInfo;
use crate::ddl::types::flink_name;
use crate::rel::{Column as RelColumn, Rel, Role};
use sluice_core::plan::expr::Expr;

/// A declared table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    pub connector: String,
    pub columns: Vec<Column>,
    pub primary_key: Vec<String>,
    /// The column that the watermark is declared for.
    pub watermark: Option<String>,
}

/// A declared view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub name: String,
    pub columns: Vec<Column>,
    /// Whether its rows may be taken back.
    pub updating: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// In Flink's words, `NOT NULL` included.
    pub sql_type: String,
    /// `computed`, `metadata`, `event time`, `processing time`, or nothing.
    pub note: &'static str,
}

impl Column {
    fn new(c: &RelColumn) -> Self {
        let name = c.flink_type.clone().unwrap_or_else(|| flink_name(&c.data_type));
        let note = match c.role {
            Role::EventTime | Role::WindowTime(_) => "event time",
            Role::ProcessingTime => "processing time",
            Role::Plain | Role::WindowStart(_) | Role::WindowEnd(_) => "",
        };
        Self { name: c.name.clone(), sql_type: if c.nullable { name } else { format!("{name} NOT NULL") }, note }
    }
}

impl Table {
    pub(crate) fn new(t: &TableInfo) -> Self {
        let describe = |(c, e): (&RelColumn, &Expr)| {
            let mut column = Column::new(c);
            if column.note.is_empty() {
                column.note = match e {
                    Expr::Column(i) if t.table.metadata.iter().any(|(m, _)| m == i) => "metadata",
                    Expr::Column(_) => "",
                    _ => "computed",
                };
            }
            column
        };
        Self {
            name: t.table.name.clone(),
            connector: t.table.options.get("connector").cloned().unwrap_or_default(),
            columns: t.columns.iter().zip(&t.exprs).map(describe).collect(),
            primary_key: t.table.primary_key.iter().map(|i| t.table.schema.field(*i).name().clone()).collect(),
            watermark: t.watermark.as_ref().map(|(i, _)| t.columns[*i].name.clone()),
        }
    }
}

impl View {
    pub(crate) fn new(name: &str, rel: &Rel) -> Self {
        Self {
            name: name.to_owned(),
            columns: rel.columns.iter().map(Column::new).collect(),
            updating: !rel.is_append(),
        }
    }
}
