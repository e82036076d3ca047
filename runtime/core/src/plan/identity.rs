//! Stable operator ids (`id1:`): what an operator means, as a hash in our own encoding.
//!
//! A relation's identity has two parts. `rows` says which rows it has, and projections do not change it. `columns` says what
//! each column means. So neither a column number, nor an alias, nor a projection in between, nor a column that somebody else
//! reads too changes the id of an aggregate or join. A node's own id adds what its state holds (its columns), because a
//! state with another layout cannot be taken over. Options that say *how* a table is reached (servers, formats, rates) are
//! not part of it, and neither are TTLs and lateness.
//!
//! The encoding is for ever: golden ids are tests. A change of it is a new version, `id2:`.

use super::expr::{BinaryOp, Expr, Literal, Value};
use super::{Aggregate, AggregateFunction, DedupOrder, Keep, Op, SortKey, Table, Window};
use crate::id::OperatorId;
use arrow_schema::{DataType, TimeUnit};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// SHA-256 of a canonical encoding.
pub type Digest = [u8; 32];

/// What a node means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Which rows.
    pub rows: Digest,
    /// What each output column means.
    pub columns: Vec<Digest>,
    /// The operator with its state.
    pub node: Digest,
}

impl Identity {
    pub fn operator_id(&self) -> OperatorId {
        let head = self.node[..8].try_into().expect("a digest has 32 bytes");
        OperatorId(format!("id1:{:016x}", u64::from_be_bytes(head)))
    }
}

/// A canonical encoding under way: every part is tagged or has its length in front, so no two encodings run together.
struct Encoder(Sha256);

impl Encoder {
    fn new(tag: &str) -> Self {
        Self(Sha256::new()).text("id1").text(tag)
    }

    fn text(mut self, s: &str) -> Self {
        self.0.update((s.len() as u64).to_le_bytes());
        self.0.update(s.as_bytes());
        self
    }

    fn number(mut self, n: i128) -> Self {
        self.0.update(n.to_le_bytes());
        self
    }

    fn digest(mut self, d: &Digest) -> Self {
        self.0.update(d);
        self
    }

    fn digests<'a>(self, ds: impl ExactSizeIterator<Item = &'a Digest>) -> Self {
        let this = self.number(ds.len() as i128);
        ds.fold(this, Self::digest)
    }

    fn done(self) -> Digest {
        self.0.finalize().into()
    }
}

/// The identity of a node from those of its inputs. `ordinal` tells apart what means the same and cannot be one operator
/// (two sinks of equal rows into one table, two tables over one topic); 0 for the first.
pub fn identify(op: &Op, inputs: &[&Identity], tables: &BTreeMap<String, Table>, ordinal: u32) -> Identity {
    match op {
        Op::Source { table, exprs, .. } => source(tables.get(table), table, exprs, ordinal),
        Op::Sink { table, .. } => sink(tables.get(table), table, inputs, ordinal),
        Op::Project { exprs } => project(exprs, inputs[0]),
        Op::Filter { predicate } => {
            let input = inputs[0];
            let rows = Encoder::new("filter").digest(&input.rows).digest(&expr(predicate, &input.columns)).done();
            stateless("filter", rows, input.columns.clone())
        }
        Op::Union => union(inputs),
        Op::WindowAssign { window, time } => {
            let input = inputs[0];
            let e = Encoder::new("window-assign").digest(&input.rows).digest(&input.columns[*time]);
            let rows = encode_window(e, *window).done();
            let columns = input.columns.iter().copied().chain(window_columns(&rows)).collect();
            stateless("window-assign", rows, columns)
        }
        Op::WindowAggregate { window, time, keys, aggregates } => {
            let input = inputs[0];
            let e = Encoder::new("window-aggregate").digest(&input.rows).digest(&input.columns[*time]);
            windowed(encode_window(e, *window), input, keys, aggregates)
        }
        Op::AttachedWindowAggregate { start, end, keys, aggregates } => {
            let input = inputs[0];
            let e = Encoder::new("attached-window-aggregate").digest(&input.rows);
            windowed(e.digest(&input.columns[*start]).digest(&input.columns[*end]), input, keys, aggregates)
        }
        Op::GroupAggregate { keys, aggregates, .. } => {
            let input = inputs[0];
            let key = keys.iter().map(|k| &input.columns[*k]);
            let rows = Encoder::new("group-aggregate").digest(&input.rows).digests(key.clone()).done();
            let columns: Vec<Digest> =
                key.copied().chain(aggregates.iter().map(|a| aggregate(&rows, a, input))).collect();
            stateful("group-aggregate", rows, columns.clone(), columns)
        }
        Op::Join { .. } | Op::IntervalJoin { .. } | Op::WindowJoin { .. } => join(op, inputs[0], inputs[1]),
        Op::TopN { .. } | Op::WindowTopN { .. } | Op::Deduplicate { .. } => ranked(op, inputs[0]),
    }
}

/// A sink that takes a side output (late rows, dead letters) of the node `upstream`.
pub fn identify_side_sink(port: &str, table: &Table, upstream: &Identity) -> Identity {
    let rows = Encoder::new("side-sink")
        .text(port)
        .digest(&table_identity(Some(table), &table.name))
        .digest(&upstream.node)
        .done();
    Identity { rows, columns: vec![], node: rows }
}

fn stateless(tag: &str, rows: Digest, columns: Vec<Digest>) -> Identity {
    let node = Encoder::new("node").text(tag).digest(&rows).digests(columns.iter()).done();
    Identity { rows, columns, node }
}

fn stateful(tag: &str, rows: Digest, columns: Vec<Digest>, stored: Vec<Digest>) -> Identity {
    let node = Encoder::new("state").text(tag).digest(&rows).digests(stored.iter()).done();
    Identity { rows, columns, node }
}

/// The options that say *what* a table is, per connector; all others say how to reach or read it. A connector that is not
/// listed, and one whose options are all absent, is identified by the table's name.
const IDENTITY_OPTIONS: &[(&str, &[&str])] = &[
    ("filesystem", &["path"]),
    ("kafka", &["topic", "topic-pattern"]),
    ("socket", &["hostname", "port", "mode"]),
    (
        "nexmark",
        &[
            "nexmark.table",
            "seed",
            "first-event.rate",
            "next-event.rate",
            "person.proportion",
            "auction.proportion",
            "bid.proportion",
        ],
    ),
];

fn table_identity(table: Option<&Table>, name: &str) -> Digest {
    let connector = table.and_then(|t| t.options.get("connector")).map_or("", String::as_str);
    let keys = IDENTITY_OPTIONS.iter().find(|(c, _)| *c == connector).map_or(&[][..], |(_, keys)| keys);
    let given: Vec<(&str, &str)> =
        keys.iter().filter_map(|k| table.and_then(|t| t.options.get(*k)).map(|v| (*k, v.as_str()))).collect();
    let e = Encoder::new("table").text(connector);
    if given.is_empty() {
        return e.text("name").text(name).done();
    }
    given.into_iter().fold(e, |e, (k, v)| e.text(k).text(v)).done()
}

fn source(table: Option<&Table>, name: &str, exprs: &[Expr], ordinal: u32) -> Identity {
    let rows = Encoder::new("source").digest(&table_identity(table, name)).number(i128::from(ordinal)).done();
    let physical: Vec<Digest> = table
        .map(|t| {
            t.schema
                .fields()
                .iter()
                .map(|f| data_type(Encoder::new("field").digest(&rows).text(f.name()), f.data_type()).done())
                .collect()
        })
        .unwrap_or_default();
    let columns = exprs.iter().map(|e| expr(e, &physical)).collect();
    // Not the columns: a source's state is its positions, whoever reads which column.
    let node = Encoder::new("state").text("source").digest(&rows).done();
    Identity { rows, columns, node }
}

fn sink(table: Option<&Table>, name: &str, inputs: &[&Identity], ordinal: u32) -> Identity {
    let input = inputs[0];
    let rows = Encoder::new("sink")
        .digest(&table_identity(table, name))
        .digest(&input.rows)
        .digests(input.columns.iter())
        .number(i128::from(ordinal))
        .done();
    Identity { rows, columns: vec![], node: rows }
}

fn project(exprs: &[Expr], input: &Identity) -> Identity {
    let columns = exprs.iter().map(|e| expr(e, &input.columns)).collect();
    stateless("project", input.rows, columns)
}

fn union(inputs: &[&Identity]) -> Identity {
    // The order of the arms means nothing.
    let mut arms: Vec<&Identity> = inputs.to_vec();
    arms.sort_by(|a, b| (a.rows, &a.columns).cmp(&(b.rows, &b.columns)));
    let rows = arms.iter().fold(Encoder::new("union"), |e, a| e.digest(&a.rows).digests(a.columns.iter())).done();
    let width = arms.first().map_or(0, |a| a.columns.len());
    let columns = (0..width).map(|i| Encoder::new("union-column").digest(&rows).number(i as i128).done()).collect();
    stateless("union", rows, columns)
}

fn window_columns(rows: &Digest) -> [Digest; 3] {
    ["window_start", "window_end", "window_time"]
        .map(|name| Encoder::new("window-column").digest(rows).text(name).done())
}

fn windowed(e: Encoder, input: &Identity, keys: &[usize], aggregates: &[Aggregate]) -> Identity {
    let key = keys.iter().map(|k| &input.columns[*k]);
    let rows = e.digests(key.clone()).done();
    let stored: Vec<Digest> = key.copied().chain(aggregates.iter().map(|a| aggregate(&rows, a, input))).collect();
    let columns = stored.iter().copied().chain(window_columns(&rows)).collect();
    stateful("window", rows, columns, stored)
}

fn aggregate(rows: &Digest, a: &Aggregate, input: &Identity) -> Digest {
    let mut e = Encoder::new("aggregate")
        .digest(rows)
        .text(function_name(a.function))
        .number(i128::from(a.distinct))
        .digests(a.args.iter().map(|i| &input.columns[*i]))
        .digests(a.filter.iter().map(|i| &input.columns[*i]).collect::<Vec<_>>().into_iter());
    if let Some(s) = &a.separator {
        e = e.text(s);
    }
    data_type(e, &a.data_type).done()
}

fn join(op: &Op, left: &Identity, right: &Identity) -> Identity {
    let both: Vec<Digest> = left.columns.iter().chain(&right.columns).copied().collect();
    let e = |tag: &str| Encoder::new(tag).digest(&left.rows).digest(&right.rows);
    let pairs = |e: Encoder, l: &[usize], r: &[usize]| {
        e.digests(l.iter().map(|i| &left.columns[*i])).digests(r.iter().map(|i| &right.columns[*i]))
    };
    let rest = |e: Encoder, residual: &Option<Expr>| match residual {
        Some(r) => e.text("residual").digest(&expr(r, &both)),
        None => e.text("no residual"),
    };
    let (tag, kind, rows) = match op {
        Op::Join { kind, left_keys, right_keys, residual, .. } => {
            ("join", kind, rest(pairs(e("join"), left_keys, right_keys).text(join_name(*kind)), residual))
        }
        Op::IntervalJoin { kind, left_keys, right_keys, left_time, right_time, lower_ms, upper_ms, residual } => {
            let e = pairs(e("interval-join"), left_keys, right_keys).text(join_name(*kind));
            let e = pairs(e, &[*left_time], &[*right_time]).number(i128::from(*lower_ms)).number(i128::from(*upper_ms));
            ("interval-join", kind, rest(e, residual))
        }
        Op::WindowJoin { kind, left_keys, right_keys, left_end, right_end, residual } => {
            let e = pairs(e("window-join"), left_keys, right_keys).text(join_name(*kind));
            ("window-join", kind, rest(pairs(e, &[*left_end], &[*right_end]), residual))
        }
        _ => unreachable!("only joins come here"),
    };
    let columns =
        if matches!(kind, super::JoinKind::Semi | super::JoinKind::Anti) { left.columns.clone() } else { both.clone() };
    stateful(tag, rows.done(), columns, both)
}

fn ranked(op: &Op, input: &Identity) -> Identity {
    let on = |e: Encoder, columns: &[usize]| e.digests(columns.iter().map(|i| &input.columns[*i]));
    let e = |tag: &str| Encoder::new(tag).digest(&input.rows);
    let (tag, rows, numbered) = match op {
        Op::TopN { partition, order, offset, limit, emit_row_number, .. } => {
            let e = sort_keys(on(e("top-n"), partition), order, input);
            ("top-n", e.number(i128::from(*offset)).number(i128::from(*limit)), *emit_row_number)
        }
        Op::WindowTopN { end, partition, order, offset, limit, emit_row_number } => {
            let e = sort_keys(on(on(e("window-top-n"), &[*end]), partition), order, input);
            ("window-top-n", e.number(i128::from(*offset)).number(i128::from(*limit)), *emit_row_number)
        }
        Op::Deduplicate { keys, order, keep, .. } => {
            let e = on(e("deduplicate"), keys).text(match keep {
                Keep::First => "first",
                Keep::Last => "last",
            });
            let e = match order {
                DedupOrder::ProcTime => e.text("arrival"),
                DedupOrder::RowTime(c) => on(e.text("time"), &[*c]),
            };
            ("deduplicate", e, false)
        }
        _ => unreachable!("only rankings come here"),
    };
    let rows = rows.done();
    let mut columns = input.columns.clone();
    if numbered {
        columns.push(Encoder::new("row-number").digest(&rows).done());
    }
    stateful(tag, rows, columns.clone(), columns)
}

fn sort_keys(e: Encoder, order: &[SortKey], input: &Identity) -> Encoder {
    order.iter().fold(e.number(order.len() as i128), |e, k| {
        e.digest(&input.columns[k.column]).number(i128::from(k.descending)).number(i128::from(k.nulls_first))
    })
}

fn encode_window(e: Encoder, w: Window) -> Encoder {
    match w {
        Window::Tumble { size_ms, offset_ms } => {
            e.text("tumble").number(i128::from(size_ms)).number(i128::from(offset_ms))
        }
        Window::Hop { slide_ms, size_ms, offset_ms } => {
            e.text("hop").number(i128::from(slide_ms)).number(i128::from(size_ms)).number(i128::from(offset_ms))
        }
        Window::Cumulate { step_ms, size_ms, offset_ms } => {
            e.text("cumulate").number(i128::from(step_ms)).number(i128::from(size_ms)).number(i128::from(offset_ms))
        }
        Window::Session { gap_ms } => e.text("session").number(i128::from(gap_ms)),
    }
}

/// An expression over columns of these identities. A bare column is the column itself.
fn expr(e: &Expr, columns: &[Digest]) -> Digest {
    let all = |es: &[&Expr]| es.iter().map(|e| expr(e, columns)).collect::<Vec<_>>();
    let node = |tag: &str| Encoder::new("expr").text(tag).digests(all(&e.children()).iter());
    match e {
        Expr::Column(i) => columns[*i],
        Expr::Literal(l) => literal(l),
        Expr::Binary { op, left, right } => {
            let mut operands = all(&[left, right]);
            if commutes(*op) {
                operands.sort_unstable();
            }
            Encoder::new("expr").text(operator_name(*op)).digests(operands.iter()).done()
        }
        Expr::Not(_) => node("not").done(),
        Expr::Negate(_) => node("negate").done(),
        Expr::IsNull(_) => node("is-null").done(),
        Expr::IsNotNull(_) => node("is-not-null").done(),
        Expr::IsTrue(_) => node("is-true").done(),
        Expr::IsFalse(_) => node("is-false").done(),
        Expr::Like { escape, negated, case_insensitive, .. } => node("like")
            .number(escape.map_or(-1, |c| c as i128))
            .number(i128::from(*negated))
            .number(i128::from(*case_insensitive))
            .done(),
        Expr::InList { negated, .. } => node("in").number(i128::from(*negated)).done(),
        Expr::Cast { to, .. } => data_type(node("cast"), to).done(),
        Expr::TryCast { to, .. } => data_type(node("try-cast"), to).done(),
        Expr::Case { operand, branches, otherwise } => node("case")
            .number(i128::from(operand.is_some()))
            .number(branches.len() as i128)
            .number(i128::from(otherwise.is_some()))
            .done(),
        Expr::Call { function, data_type: t, .. } => data_type(node("call").text(function), t).done(),
    }
}

fn commutes(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::And
            | BinaryOp::Or
            | BinaryOp::Eq
            | BinaryOp::NotEq
            | BinaryOp::IsDistinctFrom
            | BinaryOp::IsNotDistinctFrom
    )
}

fn literal(l: &Literal) -> Digest {
    value(data_type(Encoder::new("literal"), &l.data_type), &l.value).done()
}

fn value(e: Encoder, v: &Value) -> Encoder {
    match v {
        Value::Null => e.text("null"),
        Value::Boolean(b) => e.text("boolean").number(i128::from(*b)),
        Value::Int(n) => e.text("int").number(i128::from(*n)),
        Value::UInt(n) => e.text("uint").number(i128::from(*n)),
        Value::Float(bits) => e.text("float").number(i128::from(*bits)),
        Value::Decimal(n) => e.text("decimal").number(*n),
        Value::Text(s) => e.text("text").text(s),
        Value::Binary(b) => b.iter().fold(e.text("binary").number(b.len() as i128), |e, x| e.number(i128::from(*x))),
        Value::Interval { months, days, nanoseconds } => {
            e.text("interval").number(i128::from(*months)).number(i128::from(*days)).number(i128::from(*nanoseconds))
        }
        Value::List(items) => items.iter().fold(e.text("list").number(items.len() as i128), value),
    }
}

fn data_type(e: Encoder, t: &DataType) -> Encoder {
    match t {
        DataType::Null => e.text("null"),
        DataType::Boolean => e.text("boolean"),
        DataType::Int8 => e.text("i8"),
        DataType::Int16 => e.text("i16"),
        DataType::Int32 => e.text("i32"),
        DataType::Int64 => e.text("i64"),
        DataType::UInt64 => e.text("u64"),
        DataType::Float32 => e.text("f32"),
        DataType::Float64 => e.text("f64"),
        DataType::Decimal128(p, s) => e.text("decimal").number(i128::from(*p)).number(i128::from(*s)),
        DataType::Utf8 => e.text("text"),
        DataType::Binary => e.text("binary"),
        DataType::Date32 => e.text("date"),
        DataType::Time32(u) | DataType::Time64(u) => e.text("time").number(digits(*u)),
        DataType::Timestamp(u, zone) => e.text("timestamp").number(digits(*u)).text(zone.as_deref().unwrap_or("")),
        DataType::Interval(_) => e.text("interval"),
        DataType::List(item) => data_type(e.text("list"), item.data_type()),
        DataType::Map(entry, _) => data_type(e.text("map"), entry.data_type()),
        DataType::Struct(fields) => fields
            .iter()
            .fold(e.text("row").number(fields.len() as i128), |e, f| data_type(e.text(f.name()), f.data_type())),
        // No other type leaves the planner.
        _ => e.text("other"),
    }
}

fn digits(u: TimeUnit) -> i128 {
    match u {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

fn operator_name(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "+",
        BinaryOp::Subtract => "-",
        BinaryOp::Multiply => "*",
        BinaryOp::Divide => "/",
        BinaryOp::Modulo => "%",
        BinaryOp::Eq => "=",
        BinaryOp::NotEq => "<>",
        BinaryOp::Lt => "<",
        BinaryOp::LtEq => "<=",
        BinaryOp::Gt => ">",
        BinaryOp::GtEq => ">=",
        BinaryOp::And => "and",
        BinaryOp::Or => "or",
        BinaryOp::IsDistinctFrom => "is-distinct-from",
        BinaryOp::IsNotDistinctFrom => "is-not-distinct-from",
        BinaryOp::Concat => "||",
        BinaryOp::BitAnd => "&",
        BinaryOp::BitOr => "|",
        BinaryOp::BitXor => "^",
    }
}

fn function_name(f: AggregateFunction) -> &'static str {
    match f {
        AggregateFunction::Count => "count",
        AggregateFunction::Sum => "sum",
        AggregateFunction::Avg => "avg",
        AggregateFunction::Min => "min",
        AggregateFunction::Max => "max",
        AggregateFunction::FirstValue => "first_value",
        AggregateFunction::LastValue => "last_value",
        AggregateFunction::ListAgg => "listagg",
        AggregateFunction::StddevPop => "stddev_pop",
        AggregateFunction::StddevSamp => "stddev_samp",
        AggregateFunction::VarPop => "var_pop",
        AggregateFunction::VarSamp => "var_samp",
        AggregateFunction::Collect => "collect",
        AggregateFunction::BoolAnd => "bool_and",
        AggregateFunction::BoolOr => "bool_or",
    }
}

fn join_name(k: super::JoinKind) -> &'static str {
    match k {
        super::JoinKind::Inner => "inner",
        super::JoinKind::Left => "left",
        super::JoinKind::Right => "right",
        super::JoinKind::Full => "full",
        super::JoinKind::Semi => "semi",
        super::JoinKind::Anti => "anti",
    }
}

#[cfg(test)]
mod tests;
