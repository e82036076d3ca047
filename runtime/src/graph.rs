//! From the plan to chains of operators, and the edges between them. Pure.
//!
//! Every chain runs with the job's parallelism: instance `i` of all chains belongs to worker thread `i`.

use sluice_core::plan::{Exchange, Op, Plan, Port};

/// Operators that one task runs back to back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainPlan {
    /// Plan nodes, upstream first.
    pub nodes: Vec<usize>,
    /// Inputs of the first node that come through channels (none for a source).
    pub inputs: Vec<EdgePlan>,
}

/// An edge that needs channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgePlan {
    /// Index of the upstream chain.
    pub from: usize,
    pub node: usize,
    pub port: Port,
    pub exchange: Exchange,
    /// Which input of the downstream node.
    pub input: usize,
}

/// Cuts the plan into chains, in topological order. A node joins its input's chain when it is the only reader of the only
/// input and rows stay in the task anyway: forward edges, or every edge at parallelism 1.
pub fn chains(plan: &Plan, parallelism: usize) -> Vec<ChainPlan> {
    let mut readers = vec![0; plan.nodes.len()];
    for i in plan.nodes.iter().flat_map(|n| &n.inputs).filter(|i| i.port == Port::Main) {
        readers[i.node] += 1;
    }
    let mut chain_of = vec![usize::MAX; plan.nodes.len()];
    let mut chains: Vec<ChainPlan> = vec![];
    for (n, node) in plan.nodes.iter().enumerate() {
        let fused = match node.inputs.as_slice() {
            [i] if i.port == Port::Main
                && readers[i.node] == 1
                && (i.exchange == Exchange::Forward || parallelism == 1)
                && !matches!(node.op, Op::Union) =>
            {
                Some(chain_of[i.node])
            }
            _ => None,
        };
        if let Some(c) = fused {
            chains[c].nodes.push(n);
            chain_of[n] = c;
            continue;
        }
        let edge = |(input, i): (usize, &sluice_core::plan::Input)| EdgePlan {
            from: chain_of[i.node],
            node: i.node,
            port: i.port,
            exchange: i.exchange.clone(),
            input,
        };
        let inputs = node.inputs.iter().enumerate().map(edge).collect();
        chain_of[n] = chains.len();
        chains.push(ChainPlan { nodes: vec![n], inputs });
    }
    chains
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::Schema;
    use sluice_core::id::OperatorId;
    use sluice_core::plan::expr::{Expr, Literal, Value};
    use sluice_core::plan::{Changelog, Input, Node};
    use std::sync::Arc;

    fn plan(nodes: Vec<(Op, Vec<(usize, Exchange)>)>) -> Plan {
        let nodes = nodes
            .into_iter()
            .enumerate()
            .map(|(i, (op, inputs))| Node {
                id: OperatorId(format!("id1:{i}")),
                label: String::new(),
                op,
                inputs: inputs.into_iter().map(|(node, exchange)| Input { node, port: Port::Main, exchange }).collect(),
                schema: Arc::new(Schema::empty()),
                changelog: Changelog::Append,
                time_column: None,
            })
            .collect();
        Plan { nodes, tables: Default::default(), settings: Default::default() }
    }

    fn source() -> Op {
        Op::Source { table: "t".into(), exprs: vec![], watermark: None }
    }

    fn filter() -> Op {
        let t = Literal { data_type: arrow::datatypes::DataType::Boolean, value: Value::Boolean(true) };
        Op::Filter { predicate: Expr::Literal(t) }
    }

    fn aggregate() -> Op {
        Op::GroupAggregate { keys: vec![0], aggregates: vec![], ttl: None }
    }

    fn nodes(p: &Plan, parallelism: usize) -> Vec<Vec<usize>> {
        chains(p, parallelism).into_iter().map(|c| c.nodes).collect()
    }

    #[test]
    fn forward_edges_fuse_and_exchanges_cut() {
        let p = plan(vec![
            (source(), vec![]),
            (filter(), vec![(0, Exchange::Forward)]),
            (aggregate(), vec![(1, Exchange::Hash(vec![0]))]),
            (filter(), vec![(2, Exchange::Forward)]),
        ]);
        assert_eq!(nodes(&p, 2), [vec![0, 1], vec![2, 3]]);
        assert_eq!(nodes(&p, 1), [vec![0, 1, 2, 3]], "one task needs no exchange");
    }

    #[test]
    fn a_diamond_is_cut_where_it_forks_and_joins() {
        let p = plan(vec![
            (source(), vec![]),
            (filter(), vec![(0, Exchange::Forward)]),
            (filter(), vec![(0, Exchange::Forward)]),
            (Op::Union, vec![(1, Exchange::Forward), (2, Exchange::Forward)]),
            (filter(), vec![(3, Exchange::Forward)]),
        ]);
        assert_eq!(nodes(&p, 1), [vec![0], vec![1], vec![2], vec![3, 4]]);
    }
}
