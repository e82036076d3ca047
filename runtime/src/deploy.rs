//! From a plan to worker threads: builds every operator, channel and task of a run in this process.
//!
//! Building does no I/O but opening splits; nothing moves before the workers run.

use crate::channel::{CAPACITY, Parker, Receiver, Sender, channel};
use crate::clock::Clock;
use crate::connector::{ConnectorError, Sink, SinkSlot, Source, Split};
use crate::expr::{CompiledExpr, ExprError};
use crate::graph::{ChainPlan, EdgePlan, chains};
use crate::metrics::{OperatorMetrics, SourceMetrics, TaskMetrics};
use crate::operator::OperatorContext;
use crate::operators::{self, BuildError, InputShape};
use crate::task::chain::{Chain, Link, Terminal};
use crate::task::head::{ChannelHead, Head};
use crate::task::output::{Edge, HEAD, Outputs, Route};
use crate::task::source::{SourceHead, SourceProgram};
use crate::task::{Task, TaskError, TaskId};
use sluice_core::id::WriterId;
use sluice_core::key_group::KeyGroups;
use sluice_core::plan::expr::Expr;
use sluice_core::plan::{Exchange, Node, Op, Plan, Port};
use sluice_core::time::EventTime;
use sluice_core::watermark::SplitWatermark;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything that the tasks of a run are built from.
pub struct Blueprint<'a> {
    pub plan: &'a Plan,
    pub parallelism: usize,
    pub key_groups: KeyGroups,
    pub clock: &'a Clock,
    pub writer: &'a WriterId,
    pub allowed_lateness_ms: i64,
    /// By plan node.
    pub sources: &'a BTreeMap<usize, OpenSource>,
    /// By plan node.
    pub sinks: &'a BTreeMap<usize, Arc<dyn Sink>>,
    /// Input watermark per plan node that a restored snapshot had.
    pub watermarks: &'a BTreeMap<usize, EventTime>,
}

/// A source with the splits that this run begins with, in the order of their ids.
pub struct OpenSource {
    pub source: Box<dyn Source>,
    pub splits: Vec<(Split, Option<SplitWatermark>)>,
}

/// The tasks of one run and what watches them.
pub struct Deployment {
    pub workers: Vec<WorkerTasks>,
    pub chains: Vec<ChainPlan>,
    pub metrics: JobMetrics,
}

pub struct WorkerTasks {
    pub parker: Arc<Parker>,
    pub tasks: Vec<(Task, Arc<TaskMetrics>)>,
}

/// Handles to the counters of every task; cheap to clone.
#[derive(Clone, Default)]
pub struct JobMetrics {
    pub operators: Vec<(TaskId, usize, Arc<OperatorMetrics>)>,
    pub sources: Vec<(TaskId, usize, Arc<SourceMetrics>)>,
    pub tasks: Vec<(TaskId, Arc<TaskMetrics>)>,
}

#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    #[error("failed to build '{label}': {source}")]
    Build { label: String, source: BuildError },
    #[error("failed to build '{label}': {source}")]
    Expr { label: String, source: ExprError },
    #[error(transparent)]
    Connector(#[from] ConnectorError),
    #[error(transparent)]
    Task(#[from] TaskError),
}

/// Channel ends that wait for their tasks, by chain and index.
#[derive(Default)]
struct Ends {
    outputs: BTreeMap<(usize, usize), Vec<Edge>>,
    inputs: BTreeMap<(usize, usize), Vec<(usize, Receiver)>>,
}

impl Blueprint<'_> {
    pub fn build(&self) -> Result<Deployment, DeployError> {
        let chains = chains(self.plan, self.parallelism);
        let parkers: Vec<Arc<Parker>> = (0..self.parallelism).map(|_| Arc::default()).collect();
        let mut ends = Ends::default();
        for (to, chain) in chains.iter().enumerate() {
            for edge in &chain.inputs {
                self.connect(&chains, to, edge, &parkers, &mut ends);
            }
        }
        let mut metrics = JobMetrics::default();
        let mut workers = vec![];
        for (index, parker) in parkers.into_iter().enumerate() {
            let mut tasks = vec![];
            for (c, chain) in chains.iter().enumerate() {
                let id = TaskId { chain: c, index };
                let task = self.task(id, chain, &mut ends, &mut metrics)?;
                let m = Arc::new(TaskMetrics::default());
                metrics.tasks.push((id, Arc::clone(&m)));
                tasks.push((task, m));
            }
            workers.push(WorkerTasks { parker, tasks });
        }
        Ok(Deployment { workers, chains, metrics })
    }

    fn connect(&self, chains: &[ChainPlan], to: usize, edge: &EdgePlan, parkers: &[Arc<Parker>], ends: &mut Ends) {
        let side = match edge.port {
            Port::Main => None,
            port => Some((link_of(self.plan, &chains[edge.from], edge.node), port)),
        };
        for from in 0..self.parallelism {
            let mut open = |target: usize| -> Sender {
                let (tx, rx) = channel(CAPACITY, &parkers[from], &parkers[target]);
                ends.inputs.entry((to, target)).or_default().push((edge.input, rx));
                tx
            };
            let (route, channels) = match &edge.exchange {
                Exchange::Forward => (Route::Forward, vec![open(from)]),
                Exchange::Rebalance => (Route::Rebalance { next: from }, (0..self.parallelism).map(open).collect()),
                Exchange::Hash(keys) => (
                    Route::Hash { keys: keys.clone(), key_groups: self.key_groups },
                    (0..self.parallelism).map(open).collect(),
                ),
            };
            ends.outputs.entry((edge.from, from)).or_default().push(Edge { side, route, channels });
        }
    }

    fn task(
        &self,
        id: TaskId,
        chain: &ChainPlan,
        ends: &mut Ends,
        metrics: &mut JobMetrics,
    ) -> Result<Task, DeployError> {
        let at = (id.chain, id.index);
        let outputs = Outputs::new(ends.outputs.remove(&at).unwrap_or_default());
        let mut links = vec![];
        let mut terminal = Terminal::Outputs;
        for n in &chain.nodes {
            let node = &self.plan.nodes[*n];
            match &node.op {
                Op::Source { .. } | Op::Union => {}
                Op::Sink { table, .. } => {
                    let m = self.operator_metrics(id, *n, metrics);
                    let schema = Arc::clone(&self.plan.tables[table].schema);
                    terminal = Terminal::sink(*n, self.sink_writer(*n, id.index)?, schema, m);
                }
                _ => {
                    let m = self.operator_metrics(id, *n, metrics);
                    links.push(Link::new(*n, self.operator(node, *n)?, m));
                }
            }
        }
        let first = &self.plan.nodes[chain.nodes[0]];
        let head = if let Op::Source { .. } = first.op {
            Head::Source(Box::new(self.source_head(chain.nodes[0], first, id, metrics)?))
        } else {
            let watermark = self.watermarks.get(&chain.nodes[0]).copied().unwrap_or(EventTime::MIN);
            Head::Channels(ChannelHead::new(ends.inputs.remove(&at).unwrap_or_default(), watermark))
        };
        Ok(Task::new(id, head, Chain::new(links, terminal, outputs), self.clock.clone()))
    }

    fn operator_metrics(&self, id: TaskId, node: usize, metrics: &mut JobMetrics) -> Arc<OperatorMetrics> {
        let m = Arc::new(OperatorMetrics::default());
        metrics.operators.push((id, node, Arc::clone(&m)));
        m
    }

    fn operator(&self, node: &Node, index: usize) -> Result<Box<dyn crate::operator::Operator>, DeployError> {
        let shapes: Vec<InputShape> = node
            .inputs
            .iter()
            .map(|i| &self.plan.nodes[i.node])
            .map(|n| InputShape { schema: Arc::clone(&n.schema), changelog: n.changelog })
            .collect();
        let late = |i: &sluice_core::plan::Input| i.node == index && i.port == Port::Late;
        let cx = OperatorContext {
            key_groups: self.key_groups,
            clock: self.clock.clone(),
            allowed_lateness_ms: self.allowed_lateness_ms,
            emit_late: self.plan.nodes.iter().flat_map(|n| &n.inputs).any(late),
        };
        operators::build(node, &shapes, &cx).map_err(|source| DeployError::Build { label: node.label.clone(), source })
    }

    fn sink_writer(&self, node: usize, index: usize) -> Result<Box<dyn crate::connector::SinkWriter>, DeployError> {
        let slot = SinkSlot { slot: index as u32, slots: self.parallelism as u32, writer: self.writer.0.clone() };
        Ok(self.sinks[&node].writer(slot)?)
    }

    fn source_head(
        &self,
        index: usize,
        node: &Node,
        id: TaskId,
        metrics: &mut JobMetrics,
    ) -> Result<SourceHead, DeployError> {
        let open = &self.sources[&index];
        let m = Arc::new(SourceMetrics::default());
        metrics.sources.push((id, index, Arc::clone(&m)));
        let program = self.source_program(node)?;
        let reader = open.source.reader()?;
        let mut head = SourceHead::new(index, reader, program, !open.source.unbounded(), self.clock.clone(), m);
        let mine = open.splits.iter().enumerate().filter(|(i, _)| i % self.parallelism == id.index);
        head.open(mine.map(|(_, s)| s.clone()).collect())?;
        Ok(head)
    }

    fn source_program(&self, node: &Node) -> Result<SourceProgram, DeployError> {
        let Op::Source { table, exprs, watermark } = &node.op else {
            unreachable!("called for source nodes only");
        };
        let physical = &self.plan.tables[table].schema;
        let failed = |source| DeployError::Expr { label: node.label.clone(), source };
        let identity =
            exprs.len() == physical.fields().len() && exprs.iter().enumerate().all(|(i, e)| *e == Expr::Column(i));
        let compile = |e: &Expr, s| CompiledExpr::new(e, s, self.clock).map_err(failed);
        Ok(SourceProgram {
            exprs: if identity {
                None
            } else {
                Some(exprs.iter().map(|e| compile(e, physical)).collect::<Result<_, _>>()?)
            },
            schema: Arc::clone(&node.schema),
            watermark: match watermark {
                Some(w) => Some((w.column, compile(&w.expr, &node.schema)?)),
                None => None,
            },
            idle_timeout_ms: watermark.as_ref().and_then(|w| w.idle_timeout_ms),
        })
    }
}

/// Position of a node among the links of its chain; `HEAD` for the source.
fn link_of(plan: &Plan, chain: &ChainPlan, node: usize) -> usize {
    let is_link = |n: &usize| !matches!(plan.nodes[*n].op, Op::Source { .. } | Op::Union | Op::Sink { .. });
    if is_link(&node) {
        chain.nodes.iter().filter(|n| is_link(n)).position(|n| *n == node).unwrap_or(HEAD)
    } else {
        HEAD
    }
}
