//! The tree between DataFusion's logical plan and the job's graph: one statement, operators of the runtime, and what the
//! planner must know about columns (which carry time, which are a window's bounds).
//!
//! Column numbers are positions in the input's `columns`; names matter only for people and for sinks.

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use sluice_core::plan::expr::Expr;
use sluice_core::plan::{Changelog, Op, SortKey, Window};
use std::sync::Arc;

/// A relation.
#[derive(Clone, Debug)]
pub(crate) struct Rel {
    pub op: RelOp,
    pub inputs: Vec<Rel>,
    pub columns: Vec<Column>,
    pub changelog: Changelog,
}

/// An operator of the runtime, or something that must become one before the plan is complete.
#[derive(Clone, Debug)]
pub(crate) enum RelOp {
    Core(Op),
    /// `SESSION(…)`: becomes an aggregate's window; alone it is refused.
    Session {
        gap_ms: i64,
        time: usize,
        partition: Vec<usize>,
    },
    /// `ROW_NUMBER() OVER (…)`, appended as the last column: becomes a Top-N or a deduplication by the filter above it.
    RowNumber {
        partition: Vec<usize>,
        order: Vec<SortKey>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    pub name: String,
    pub data_type: DataType,
    pub nullable: bool,
    pub role: Role,
    /// The declared type where it says more than Arrow's (`VARCHAR(10)`).
    pub flink_type: Option<String>,
}

/// What a column means to the planner beside its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Plain,
    /// The watermark refers to it.
    EventTime,
    /// Filled by `PROCTIME()`.
    ProcessingTime,
    /// Bounds of a window that every row carries; equal ids come from one table function.
    WindowStart(WindowId),
    WindowEnd(WindowId),
    /// The end − 1 ms: an event time, too.
    WindowTime(WindowId),
}

/// One use of a window table function within a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowId {
    pub number: u32,
    pub window: Window,
    pub processing: bool,
}

/// The columns that hold a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowColumns {
    pub id: WindowId,
    pub start: usize,
    pub end: usize,
}

/// Metadata key of a field: the type as declared in SQL.
pub const TYPE_KEY: &str = "sluice.type";

impl Column {
    pub(crate) fn new(name: impl Into<String>, data_type: DataType, nullable: bool) -> Self {
        Self { name: name.into(), data_type, nullable, role: Role::Plain, flink_type: None }
    }

    pub(crate) fn with_role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// With the metadata that operators and sinks read.
    pub(crate) fn field(&self) -> Field {
        let f = Field::new(&self.name, self.data_type.clone(), self.nullable);
        let mut metadata = std::collections::HashMap::new();
        if let Some(t) = &self.flink_type {
            metadata.insert(TYPE_KEY.to_owned(), t.clone());
        }
        let by_clock = match self.role {
            Role::ProcessingTime => true,
            Role::WindowStart(id) | Role::WindowEnd(id) | Role::WindowTime(id) => id.processing,
            Role::Plain | Role::EventTime => false,
        };
        if by_clock {
            metadata.insert(sluice_core::plan::TIME_KEY.to_owned(), sluice_core::plan::TIME_PROCESSING.to_owned());
        }
        f.with_metadata(metadata)
    }

    pub(crate) fn is_event_time(&self) -> bool {
        matches!(self.role, Role::EventTime | Role::WindowTime(WindowId { processing: false, .. }))
    }

    pub(crate) fn is_processing_time(&self) -> bool {
        matches!(self.role, Role::ProcessingTime | Role::WindowTime(WindowId { processing: true, .. }))
    }

    /// The value stays, the meaning for time is lost: after a regular join or an updating aggregate.
    pub(crate) fn materialized(mut self) -> Self {
        self.role = Role::Plain;
        self
    }
}

impl Rel {
    pub(crate) fn new(op: Op, inputs: Vec<Self>, columns: Vec<Column>, changelog: Changelog) -> Self {
        Self { op: RelOp::Core(op), inputs, columns, changelog }
    }

    pub(crate) fn width(&self) -> usize {
        self.columns.len()
    }

    pub(crate) fn is_append(&self) -> bool {
        self.changelog == Changelog::Append
    }

    pub(crate) fn schema(&self) -> SchemaRef {
        schema_of(&self.columns)
    }

    /// `exprs` over `self`, described by `columns`. A projection that changes nothing is left out.
    pub(crate) fn project(self, exprs: Vec<Expr>, columns: Vec<Column>) -> Self {
        // What is known about NULLs below holds above, too.
        let same = |(a, b): (&Column, &Column)| a.name == b.name && a.data_type == b.data_type && a.role == b.role;
        let identity = columns.len() == self.width()
            && columns.iter().zip(&self.columns).all(same)
            && exprs.iter().enumerate().all(|(i, e)| *e == Expr::Column(i));
        if identity {
            return self;
        }
        let changelog = self.changelog;
        Self::new(Op::Project { exprs }, vec![self], columns, changelog)
    }

    /// Some of the columns, in this order.
    pub(crate) fn select(self, indices: &[usize]) -> Self {
        let columns = indices.iter().map(|i| self.columns[*i].clone()).collect();
        self.project(indices.iter().map(|i| Expr::Column(*i)).collect(), columns)
    }

    pub(crate) fn filter(self, predicate: Expr) -> Self {
        let (columns, changelog) = (self.columns.clone(), self.changelog);
        Self::new(Op::Filter { predicate }, vec![self], columns, changelog)
    }

    /// The window that the rows carry, if both bounds are still there.
    pub(crate) fn window(&self) -> Option<WindowColumns> {
        self.columns.iter().enumerate().find_map(|(start, c)| match c.role {
            Role::WindowStart(id) => {
                let end = self.columns.iter().position(|e| e.role == Role::WindowEnd(id))?;
                Some(WindowColumns { id, start, end })
            }
            _ => None,
        })
    }
}

pub(crate) fn schema_of(columns: &[Column]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(Column::field).collect::<Vec<_>>()))
}
