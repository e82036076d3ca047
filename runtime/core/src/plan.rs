//! The streaming plan: what `runtime/sql` makes from text and the runtime executes.
//!
//! A plan is a DAG of [`Node`]s in topological order (inputs before their users). Types are Arrow's. Event-time columns are
//! Arrow timestamps; engine time is milliseconds. Nothing here knows parallelism, threads or stores.

pub mod expr;
pub mod identity;
pub mod types;

use crate::id::OperatorId;
use arrow_schema::SchemaRef;
use expr::Expr;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A whole job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// Topologically sorted.
    pub nodes: Vec<Node>,
    /// Every table that a source, sink or lookup node names.
    pub tables: BTreeMap<String, Table>,
    /// `SET 'key' = 'value'` that the planner did not consume itself.
    pub settings: BTreeMap<String, String>,
}

/// One operator of the dataflow.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Node {
    /// What it means; unique within a plan.
    pub id: OperatorId,
    /// For people: `WindowAggregate(TUMBLE 1h, key: origin)`.
    pub label: String,
    pub op: Op,
    pub inputs: Vec<Input>,
    /// Output columns, without the op column.
    pub schema: SchemaRef,
    pub changelog: Changelog,
    /// The columns (of the output) that carry event time, if any survived: the watermark refers to them.
    pub time_column: Option<usize>,
}

/// An edge from an earlier node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Index into [`Plan::nodes`].
    pub node: usize,
    pub port: Port,
    pub exchange: Exchange,
}

/// Which output of the upstream node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Port {
    Main,
    /// Rows that came after their window had been dropped, as [`late_schema`].
    Late,
    /// Records that a source could not decode, as [`dead_letter_schema`].
    DeadLetter,
}

/// `operator STRING, event_time TIMESTAMP(3), row STRING` (the operator's input row as JSON).
pub fn late_schema() -> SchemaRef {
    use arrow_schema::{DataType, Field, Schema, TimeUnit};
    SchemaRef::new(Schema::new(vec![
        Field::new("operator", DataType::Utf8, false),
        Field::new("event_time", DataType::Timestamp(TimeUnit::Millisecond, None), false),
        Field::new("row", DataType::Utf8, false),
    ]))
}

/// `source STRING, position STRING, error STRING, record BYTES`.
pub fn dead_letter_schema() -> SchemaRef {
    use arrow_schema::{DataType, Field, Schema};
    SchemaRef::new(Schema::new(vec![
        Field::new("source", DataType::Utf8, false),
        Field::new("position", DataType::Utf8, false),
        Field::new("error", DataType::Utf8, false),
        Field::new("record", DataType::Binary, false),
    ]))
}

/// Metadata key of a field that carries time; its value [`TIME_PROCESSING`] means that the clock drives windows over it.
pub const TIME_KEY: &str = "sluice.time";
pub const TIME_PROCESSING: &str = "processing";

/// Whether windows and timers over this column follow the clock (`PROCTIME()`) and not the watermark.
pub fn is_processing_time(field: &arrow_schema::Field) -> bool {
    field.metadata().get(TIME_KEY).is_some_and(|v| v == TIME_PROCESSING)
}

/// How rows of an edge find the downstream task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exchange {
    /// Same task index; fused into one chain where the node has one input.
    Forward,
    /// By the key group of these columns of the upstream output. No columns: a constant key, all rows to one task.
    Hash(Vec<usize>),
    /// Round robin by batch (no key, e.g. to use more sink tasks).
    Rebalance,
}

/// What kinds of rows a stream may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Changelog {
    /// Inserts only; batches carry no op column.
    Append,
    /// `+I -U +U -D`; every retraction carries the whole old row.
    Retract,
}

/// What an operator does. Column numbers refer to the input's output schema (for joins: left columns, then right columns).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Op {
    /// Reads a table. Output = `exprs` over the physical columns of the table (computed columns included), then
    /// `watermark` per split.
    Source {
        table: String,
        exprs: Vec<Expr>,
        watermark: Option<Watermark>,
    },
    Project {
        exprs: Vec<Expr>,
    },
    /// Keeps rows for which the predicate is true. Also on updating streams: rows are judged one by one.
    Filter {
        predicate: Expr,
    },
    /// Concatenates inputs of equal schema (names and nullability may differ).
    Union,
    /// Window TVF that is not consumed by an aggregate: appends window_start, window_end, window_time. Not for sessions.
    WindowAssign {
        window: Window,
        time: usize,
    },
    /// `GROUP BY window_start, window_end, keys` over a window TVF. Append-only input. Output: keys, then aggregates, then
    /// window_start, window_end, window_time (the planner projects).
    WindowAggregate {
        window: Window,
        time: usize,
        keys: Vec<usize>,
        aggregates: Vec<Aggregate>,
    },
    /// The same where the input rows already carry their window (an aggregate over a window aggregate's output, or over
    /// `WindowAssign` after filters and joins): `start` and `end` are columns; fires when the watermark passes `end` − 1 ms.
    AttachedWindowAggregate {
        start: usize,
        end: usize,
        keys: Vec<usize>,
        aggregates: Vec<Aggregate>,
    },
    /// Non-windowed `GROUP BY` and `SELECT DISTINCT` (no aggregates). Updating output: keys, then aggregates.
    GroupAggregate {
        keys: Vec<usize>,
        aggregates: Vec<Aggregate>,
        ttl: Option<Ttl>,
    },
    /// Regular join on equal keys, both sides kept. Output: left columns, then right columns (left only for Semi, Anti).
    Join {
        kind: JoinKind,
        left_keys: Vec<usize>,
        right_keys: Vec<usize>,
        residual: Option<Expr>,
        left_ttl: Option<Ttl>,
        right_ttl: Option<Ttl>,
    },
    /// Join of two append-only inputs on equal keys and `left.time BETWEEN right.time + lower AND right.time + upper`.
    IntervalJoin {
        kind: JoinKind,
        left_keys: Vec<usize>,
        right_keys: Vec<usize>,
        left_time: usize,
        right_time: usize,
        lower_ms: i64,
        upper_ms: i64,
        residual: Option<Expr>,
    },
    /// Join of two inputs that carry windows, on equal windows and keys; fires and forgets when the window ends.
    WindowJoin {
        kind: JoinKind,
        left_keys: Vec<usize>,
        right_keys: Vec<usize>,
        left_end: usize,
        right_end: usize,
        residual: Option<Expr>,
    },
    /// `ROW_NUMBER() … <= limit` (rows `offset` < rn ≤ `limit`). Output: input columns, then the row number if `emit_row_number`.
    TopN {
        partition: Vec<usize>,
        order: Vec<SortKey>,
        offset: u64,
        limit: u64,
        emit_row_number: bool,
        ttl: Option<Ttl>,
    },
    /// Top-N within a window: `partition` excludes the window; fires when the watermark passes the end; append-only output.
    WindowTopN {
        end: usize,
        partition: Vec<usize>,
        order: Vec<SortKey>,
        offset: u64,
        limit: u64,
        emit_row_number: bool,
    },
    /// `ROW_NUMBER() OVER (PARTITION BY … ORDER BY time) = 1` on an append-only input.
    Deduplicate {
        keys: Vec<usize>,
        order: DedupOrder,
        keep: Keep,
        ttl: Option<Ttl>,
    },
    /// Writes to a table. `upsert_keys`: columns of the sink's primary key, empty if it has none.
    Sink {
        table: String,
        upsert_keys: Vec<usize>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeDomain {
    /// Watermarks.
    Event,
    /// The injected clock; the column was filled by `PROCTIME()`.
    Processing,
}

/// How long state of a non-windowed operator is kept after its last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ttl {
    pub ms: u64,
    pub domain: TimeDomain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
    /// `IN (subquery)`, `EXISTS`.
    Semi,
    /// `NOT IN`, `NOT EXISTS` without NULL surprises: the planner guards.
    Anti,
}

/// All in milliseconds; `offset_ms` shifts the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Window {
    Tumble {
        size_ms: i64,
        offset_ms: i64,
    },
    Hop {
        slide_ms: i64,
        size_ms: i64,
        offset_ms: i64,
    },
    Cumulate {
        step_ms: i64,
        size_ms: i64,
        offset_ms: i64,
    },
    /// Per key of the aggregate (and `partition` columns of the TVF, which the planner merges into the keys).
    Session {
        gap_ms: i64,
    },
}

/// Where the time of a window or timer comes from is the column; a processing-time column is filled by the source or
/// `PROCTIME()`, and windows on it are driven by the clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Watermark {
    /// Output column with the event time.
    pub column: usize,
    /// Over the output columns: the watermark that a row implies, as a timestamp.
    pub expr: Expr,
    /// A split that gave no row for so long stops holding the watermark back.
    pub idle_timeout_ms: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Aggregate {
    pub function: AggregateFunction,
    /// Input columns (the planner projects expressions first). Empty for `COUNT(*)`.
    pub args: Vec<usize>,
    pub distinct: bool,
    /// A BOOLEAN input column: `FILTER (WHERE …)`.
    pub filter: Option<usize>,
    /// `LISTAGG`'s separator.
    pub separator: Option<String>,
    /// Output field.
    pub name: String,
    pub data_type: arrow_schema::DataType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AggregateFunction {
    Count,
    Sum,
    /// `SUM0`-free: NULL on no rows.
    Avg,
    Min,
    Max,
    FirstValue,
    LastValue,
    ListAgg,
    StddevPop,
    StddevSamp,
    VarPop,
    VarSamp,
    /// Multiset of values as an array, in arrival order.
    Collect,
    BoolAnd,
    BoolOr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SortKey {
    pub column: usize,
    pub descending: bool,
    pub nulls_first: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DedupOrder {
    /// Arrival.
    ProcTime,
    /// A time column. Late rows still count; ties keep the first arrival for `First`, the last for `Last`.
    RowTime(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keep {
    First,
    Last,
}

/// A declared table (`CREATE TABLE`), or an anonymous sink of a bare `SELECT` (connector `print`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    pub name: String,
    /// Physical and metadata columns, in order, as the connector reads or writes them.
    pub schema: SchemaRef,
    /// Indices of `schema` that come from the connector's metadata, with the metadata key.
    pub metadata: Vec<(usize, String)>,
    /// Indices of `schema`.
    pub primary_key: Vec<usize>,
    /// `WITH (…)`, keys as written; `connector` included. Secrets are still `${secret:…}`.
    pub options: BTreeMap<String, String>,
    pub partitioned_by: Vec<usize>,
}
