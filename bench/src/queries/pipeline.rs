//! The operators of a planned text, driven by one thread without channels: what the engine costs, not the exchange.

use arrow::array::RecordBatch;
use sluice_core::key_group::KeyGroups;
use sluice_core::plan::{Op, Plan};
use sluice_core::time::EventTime;
use sluice_runtime::clock::Clock;
use sluice_runtime::element::Batch;
use sluice_runtime::expr::CompiledExpr;
use sluice_runtime::operator::{Operator, OperatorContext};
use sluice_runtime::operators::{InputShape, build};
use std::collections::BTreeMap;
use std::sync::Arc;

pub struct Pipeline {
    plan: Plan,
    operators: Vec<Option<Box<dyn Operator>>>,
    /// By source node: what it computes.
    sources: BTreeMap<usize, Vec<CompiledExpr>>,
    /// By node: consumers with their input.
    readers: Vec<Vec<(usize, usize)>>,
    sunk: u64,
}

impl Pipeline {
    pub fn new(text: &str) -> Self {
        let plan = sluice_sql::plan(text, &sluice_sql::PlanOptions::default()).expect("the text is valid").plan;
        let clock = Clock::system();
        let cx = OperatorContext {
            key_groups: KeyGroups::DEFAULT,
            clock: clock.clone(),
            allowed_lateness_ms: 0,
            emit_late: false,
        };
        let mut readers = vec![vec![]; plan.nodes.len()];
        let mut sources = BTreeMap::new();
        let mut operators = vec![];
        for (n, node) in plan.nodes.iter().enumerate() {
            for (i, input) in node.inputs.iter().enumerate() {
                readers[input.node].push((n, i));
            }
            let shapes: Vec<InputShape> = node
                .inputs
                .iter()
                .map(|i| &plan.nodes[i.node])
                .map(|u| InputShape { schema: Arc::clone(&u.schema), changelog: u.changelog })
                .collect();
            operators.push(match &node.op {
                Op::Source { table, exprs, .. } => {
                    let physical = &plan.tables[table].schema;
                    let compile =
                        |e| CompiledExpr::new(e, physical, &clock).expect("the planner's expressions compile");
                    sources.insert(n, exprs.iter().map(compile).collect());
                    None
                }
                Op::Sink { .. } | Op::Union => None,
                _ => {
                    let mut o = build(node, &shapes, &cx).expect("the planner's operators can be built");
                    o.restored(EventTime::MIN).expect("nothing is restored");
                    Some(o)
                }
            });
        }
        Self { plan, operators, sources, readers, sunk: 0 }
    }

    /// Feeds the tables one after the other, ends, and counts what reaches the sink.
    pub fn run(mut self, tables: &[(&str, &Vec<RecordBatch>)]) -> u64 {
        for (name, batches) in tables {
            let source = self.source(name);
            for rows in *batches {
                let columns =
                    self.sources[&source].iter().map(|e| e.evaluate(rows).expect("columns evaluate")).collect();
                let schema = Arc::clone(&self.plan.nodes[source].schema);
                let rows = RecordBatch::try_new(schema, columns).expect("columns have the plan's types");
                self.emit(source, &Batch::append(rows));
            }
        }
        for n in 0..self.operators.len() {
            if let Some(o) = &mut self.operators[n] {
                o.watermark(EventTime::MAX).expect("the final watermark passes");
                self.drain(n);
            }
        }
        self.sunk
    }

    fn source(&self, table: &str) -> usize {
        let reads = |op: &Op| matches!(op, Op::Source { table: t, .. } if t == table);
        self.plan.nodes.iter().position(|n| reads(&n.op)).expect("the text reads the table")
    }

    fn emit(&mut self, node: usize, batch: &Batch) {
        for (reader, input) in self.readers[node].clone() {
            match &mut self.operators[reader] {
                Some(o) => {
                    o.process(input, batch.clone()).expect("rows are processed");
                    self.drain(reader);
                }
                None => self.sunk += batch.len() as u64,
            }
        }
    }

    fn drain(&mut self, node: usize) {
        loop {
            let next = self.operators[node].as_mut().expect("an operator").next_output().expect("output is made");
            let Some(batch) = next else { return };
            self.emit(node, &batch);
        }
    }
}
