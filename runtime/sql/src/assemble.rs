//! From trees to the job's graph: ids, sharing of equal sub-trees, exchanges, labels, and side outputs.

mod label;

use crate::catalog::Catalog;
use crate::ddl::types::flink_name;
use crate::errors::{Outcome, Refusal};
use crate::prune;
use crate::rel::{Column, Rel, RelOp};
use crate::translate::values;
use sluice_core::id::OperatorId;
use sluice_core::plan::identity::{Identity, identify, identify_side_sink};
use sluice_core::plan::{Changelog, Exchange, Input, Node, Op, Plan, Port, Table, dead_letter_schema, late_schema};
use std::collections::{BTreeMap, HashMap};

/// Trees of one script, merged.
pub(crate) struct Assembler<'a> {
    catalog: &'a Catalog,
    nodes: Vec<Node>,
    identities: Vec<Identity>,
    by_id: HashMap<OperatorId, usize>,
    tables: BTreeMap<String, Table>,
}

/// More operators than any job has that somebody wrote by hand; views used in views grow without bound.
const MAX_NODES: usize = 10_000;

impl<'a> Assembler<'a> {
    pub(crate) fn new(catalog: &'a Catalog) -> Self {
        Self { catalog, nodes: vec![], identities: vec![], by_id: HashMap::new(), tables: BTreeMap::new() }
    }

    /// Adds one statement's tree, which ends in a sink.
    pub(crate) fn add(&mut self, rel: Rel) -> Outcome<()> {
        let pruned = prune::prune(rel);
        self.intern(pruned)?;
        Ok(())
    }

    pub(crate) fn finish(mut self, settings: BTreeMap<String, String>) -> Outcome<Plan> {
        self.side_outputs()?;
        let mut plan = Plan { nodes: self.nodes, tables: self.tables, settings };
        prune::sources(&mut plan);
        label::label(&mut plan);
        Ok(plan)
    }

    fn intern(&mut self, rel: Rel) -> Outcome<usize> {
        let Rel { op, inputs, columns, changelog } = rel;
        let op = core_op(op)?;
        let inputs = inputs.into_iter().map(|i| self.intern(i)).collect::<Outcome<Vec<_>>>()?;
        self.remember_table(&op);
        let identity = match self.place(&op, &inputs)? {
            Place::Shared(index) => return Ok(index),
            Place::New(identity) => identity,
        };
        let exchanges = exchanges(&op, inputs.len());
        let inputs = inputs
            .into_iter()
            .zip(exchanges)
            .map(|(node, exchange)| Input { node, port: Port::Main, exchange })
            .collect();
        let time_column = columns.iter().position(Column::is_event_time);
        let schema = crate::rel::schema_of(&columns);
        let node =
            Node { id: identity.operator_id(), label: String::new(), op, inputs, schema, changelog, time_column };
        self.push(node, identity)
    }

    fn push(&mut self, node: Node, identity: Identity) -> Outcome<usize> {
        if self.nodes.len() >= MAX_NODES {
            return Err(Refusal::new(format!("the job has more than {MAX_NODES} operators"))
                .hint("views used in views multiply"));
        }
        let index = self.nodes.len();
        self.by_id.insert(node.id.clone(), index);
        self.nodes.push(node);
        self.identities.push(identity);
        Ok(index)
    }

    /// Whether an equal operator is there already, else the identity of the new one.
    fn place(&self, op: &Op, inputs: &[usize]) -> Outcome<Place> {
        let of: Vec<&Identity> = inputs.iter().map(|i| &self.identities[*i]).collect();
        for ordinal in 0..u32::MAX {
            let identity = identify(op, &of, &self.tables, ordinal);
            let Some(&index) = self.by_id.get(&identity.operator_id()) else { return Ok(Place::New(identity)) };
            let mergeable = match (op, &self.nodes[index].op) {
                (Op::Sink { .. }, _) => false,
                (Op::Source { table: a, .. }, Op::Source { table: b, .. }) => a == b,
                _ => true,
            };
            if mergeable {
                return Ok(Place::Shared(index));
            }
        }
        Err(Refusal::new("too many equal sinks"))
    }

    fn remember_table(&mut self, op: &Op) {
        let (Op::Source { table, .. } | Op::Sink { table, .. }) = op else { return };
        if table == values::ONE_ROW {
            self.tables.insert(table.clone(), values::one_row_table());
        } else if let Some(info) = self.catalog.table(table) {
            self.tables.insert(table.clone(), info.table.clone());
        }
    }

    fn side_outputs(&mut self) -> Outcome<()> {
        for source in 0..self.nodes.len() {
            let Op::Source { table, .. } = &self.nodes[source].op else { continue };
            let options = self.tables.get(table).map(|t| t.options.clone()).unwrap_or_default();
            let table = table.clone();
            match (options.get("on-error").map(String::as_str), options.get("dead-letter.table")) {
                (Some("dead-letter"), Some(target)) => self.side_sink(source, Port::DeadLetter, target)?,
                (Some("dead-letter"), None) => {
                    return Err(Refusal::new(format!(
                        "table '{table}' has 'on-error' = 'dead-letter' but no 'dead-letter.table'"
                    ))
                    .near(&table)
                    .hint("declare a table (source STRING, position STRING, error STRING, record BYTES) and name it"));
                }
                _ => {}
            }
            if let Some(target) = options.get("late-rows.table") {
                for node in self.late_operators(source) {
                    self.side_sink(node, Port::Late, target)?;
                }
            }
        }
        Ok(())
    }

    /// Windowed operators that rows of `source` reach.
    fn late_operators(&self, source: usize) -> Vec<usize> {
        let mut reached = vec![false; self.nodes.len()];
        reached[source] = true;
        let mut found = vec![];
        for (i, n) in self.nodes.iter().enumerate() {
            reached[i] |= n.inputs.iter().any(|x| x.port == Port::Main && reached[x.node]);
            let drops = matches!(
                n.op,
                Op::WindowAggregate { .. }
                    | Op::AttachedWindowAggregate { .. }
                    | Op::WindowJoin { .. }
                    | Op::WindowTopN { .. }
                    | Op::IntervalJoin { .. }
            );
            if reached[i] && drops {
                found.push(i);
            }
        }
        found
    }

    fn side_sink(&mut self, node: usize, port: Port, target: &str) -> Outcome<()> {
        let (name, schema) = match port {
            Port::DeadLetter => ("dead-letter", dead_letter_schema()),
            Port::Late | Port::Main => ("late", late_schema()),
        };
        let info = self.catalog.table(target).ok_or_else(|| {
            Refusal::new(format!("there is no table '{target}' for {name} rows")).near(target).hint(
                crate::suggest::did_you_mean(target, self.catalog.names()).unwrap_or_else(|| "declare it".to_owned()),
            )
        })?;
        let fits = info.table.schema.fields().len() == schema.fields().len()
            && info
                .table
                .schema
                .fields()
                .iter()
                .zip(schema.fields())
                .all(|(a, b)| same_kind(a.data_type(), b.data_type()));
        if !fits {
            let want: Vec<String> =
                schema.fields().iter().map(|f| format!("{} {}", f.name(), flink_name(f.data_type()))).collect();
            return Err(Refusal::new(format!("table '{target}' cannot take {name} rows"))
                .near(target)
                .hint(format!("its columns must be ({})", want.join(", "))));
        }
        let identity = identify_side_sink(name, &info.table, &self.identities[node]);
        if self.by_id.contains_key(&identity.operator_id()) {
            return Ok(());
        }
        self.tables.insert(target.to_owned(), info.table.clone());
        let node = Node {
            id: identity.operator_id(),
            label: String::new(),
            op: Op::Sink { table: target.to_owned(), upsert_keys: vec![] },
            inputs: vec![Input { node, port, exchange: Exchange::Forward }],
            schema,
            changelog: Changelog::Append,
            time_column: None,
        };
        self.push(node, identity).map(|_| ())
    }
}

/// The unit of a time may be declared otherwise; the sink casts.
fn same_kind(a: &arrow_schema::DataType, b: &arrow_schema::DataType) -> bool {
    a == b || matches!((a, b), (arrow_schema::DataType::Timestamp(..), arrow_schema::DataType::Timestamp(..)))
}

enum Place {
    Shared(usize),
    New(Identity),
}

/// What the planner could not turn into an operator of the runtime.
fn core_op(op: RelOp) -> Outcome<Op> {
    match op {
        RelOp::Core(op) => Ok(op),
        RelOp::Session { .. } => Err(Refusal::new("SESSION without an aggregate is not supported")
            .near("SESSION")
            .hint("GROUP BY its PARTITION BY columns, window_start, window_end")),
        RelOp::RowNumber { .. } => Err(Refusal::new("ROW_NUMBER() needs a condition on its result in an outer WHERE")
            .near("ROW_NUMBER")
            .hint("SELECT * FROM (SELECT *, ROW_NUMBER() OVER (…) AS rn FROM t) WHERE rn <= 10")),
    }
}

/// Keyed operators always exchange by key; the runtime fuses where it may.
fn exchanges(op: &Op, inputs: usize) -> Vec<Exchange> {
    let hash = |k: &[usize]| Exchange::Hash(k.to_vec());
    match op {
        Op::Source { .. } => vec![],
        Op::Project { .. } | Op::Filter { .. } | Op::WindowAssign { .. } | Op::Union => vec![Exchange::Forward; inputs],
        Op::WindowAggregate { keys, .. }
        | Op::AttachedWindowAggregate { keys, .. }
        | Op::GroupAggregate { keys, .. }
        | Op::Deduplicate { keys, .. } => vec![hash(keys)],
        Op::TopN { partition, .. } | Op::WindowTopN { partition, .. } => vec![hash(partition)],
        Op::Join { left_keys, right_keys, .. }
        | Op::IntervalJoin { left_keys, right_keys, .. }
        | Op::WindowJoin { left_keys, right_keys, .. } => vec![hash(left_keys), hash(right_keys)],
        // Changes of one key must stay in order on their way to the table.
        Op::Sink { upsert_keys, .. } if !upsert_keys.is_empty() => vec![hash(upsert_keys)],
        Op::Sink { .. } => vec![Exchange::Forward],
    }
}
