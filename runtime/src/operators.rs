//! The operators, one file each, and the factory from a plan node.

pub mod attached_window_aggregate;
mod batch_groups;
pub mod deduplicate;
mod event_times;
pub mod expiry;
pub mod filter;
pub mod group_aggregate;
mod groups;
mod idle_groups;
pub mod interval_join;
pub mod join;
pub mod key_chains;
mod keys;
mod late;
mod panes;
pub mod project;
#[cfg(test)]
pub(crate) mod replay;
pub mod row_slab;
pub mod session_aggregate;
#[cfg(test)]
pub(crate) mod testing;
pub mod top_n;
pub mod window_aggregate;
pub mod window_assign;
mod window_ends;
pub mod window_join;
mod window_output;
pub mod window_top_n;

use crate::aggregate::AggregateError;
use crate::expr::ExprError;
use crate::operator::{Operator, OperatorContext};
use crate::row::RowError;
use arrow::datatypes::SchemaRef;
use sluice_core::plan::{Changelog, Node, Op, Window};
use sluice_core::window::WindowError;

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Expr(#[from] ExprError),
    #[error(transparent)]
    Row(#[from] RowError),
    #[error(transparent)]
    Aggregate(#[from] AggregateError),
    #[error(transparent)]
    Window(#[from] WindowError),
    #[error("a join compares '{left}' with '{right}': cast one of them to the other's type")]
    KeyTypes { left: String, right: String },
    #[error("failed to order rows: {0}")]
    SortKey(#[source] arrow::error::ArrowError),
    #[error("operator '{0}' takes rows back, but the plan gives it an append-only output")]
    NeedsUpdates(String),
    #[error("operator '{0}' cannot be built here")]
    NotAnOperator(String),
}

/// What a node knows of one of its inputs before the first row: the upstream node's columns and kinds of rows.
#[derive(Clone, Debug)]
pub struct InputShape {
    pub schema: SchemaRef,
    pub changelog: Changelog,
}

impl InputShape {
    /// Whether rows may be taken back.
    pub fn retracts(&self) -> bool {
        self.changelog == Changelog::Retract
    }
}

/// Builds the operator of a node (not sources, sinks and unions, which the task itself is made of). `inputs` describes the
/// node's inputs in order: operators choose the shape of their state by it.
pub fn build(node: &Node, inputs: &[InputShape], cx: &OperatorContext) -> Result<Box<dyn Operator>, BuildError> {
    match &node.op {
        Op::Project { exprs } => Ok(Box::new(project::Project::new(exprs, &inputs[0].schema, &node.schema, cx)?)),
        Op::Filter { predicate } => Ok(Box::new(filter::Filter::new(predicate, &inputs[0].schema, cx)?)),
        Op::Join { .. } | Op::IntervalJoin { .. } | Op::WindowJoin { .. } => build_join(node, inputs, cx),
        Op::TopN { .. } | Op::WindowTopN { .. } | Op::Deduplicate { .. } => build_ranking(node, &inputs[0], cx),
        Op::GroupAggregate { keys, aggregates, ttl } => {
            let operator = group_aggregate::GroupAggregate::new(node, keys, aggregates, *ttl, &inputs[0], cx)?;
            Ok(Box::new(operator))
        }
        Op::WindowAssign { window, time } => {
            Ok(Box::new(window_assign::WindowAssign::new(window, *time, &node.schema)?))
        }
        Op::WindowAggregate { window: Window::Session { gap_ms }, time, keys, aggregates } => {
            let session = (*gap_ms, *time);
            let operator = session_aggregate::SessionAggregate::new(node, session, keys, aggregates, &inputs[0], cx)?;
            Ok(Box::new(operator))
        }
        Op::AttachedWindowAggregate { start, end, keys, aggregates } => {
            let window = (*start, *end);
            let operator = attached_window_aggregate::AttachedWindowAggregate::new(
                node, window, keys, aggregates, &inputs[0], cx,
            )?;
            Ok(Box::new(operator))
        }
        Op::WindowAggregate { window, time, keys, aggregates } => {
            let window = (window, *time);
            let operator = window_aggregate::WindowAggregate::new(node, window, keys, aggregates, &inputs[0], cx)?;
            Ok(Box::new(operator))
        }
        op => Err(BuildError::NotAnOperator(format!("{op:?}"))),
    }
}

fn build_join(node: &Node, inputs: &[InputShape], cx: &OperatorContext) -> Result<Box<dyn Operator>, BuildError> {
    match &node.op {
        Op::Join { kind, left_keys, right_keys, residual, left_ttl, right_ttl } => {
            let plan = join::JoinPlan {
                kind: *kind,
                left_keys,
                right_keys,
                residual: residual.as_ref(),
                left_ttl: *left_ttl,
                right_ttl: *right_ttl,
            };
            join::build(&plan, node, inputs, cx)
        }
        Op::IntervalJoin { kind, left_keys, right_keys, left_time, right_time, lower_ms, upper_ms, residual } => {
            let plan = interval_join::IntervalJoinPlan {
                kind: *kind,
                keys: [left_keys, right_keys],
                times: [*left_time, *right_time],
                lower_ms: *lower_ms,
                upper_ms: *upper_ms,
                residual: residual.as_ref(),
            };
            Ok(Box::new(interval_join::IntervalJoin::new(&plan, node, inputs, cx)?))
        }
        Op::WindowJoin { kind, left_keys, right_keys, left_end, right_end, residual } => {
            let plan = window_join::WindowJoinPlan {
                kind: *kind,
                keys: [left_keys, right_keys],
                ends: [*left_end, *right_end],
                residual: residual.as_ref(),
            };
            Ok(Box::new(window_join::WindowJoin::new(&plan, node, inputs, cx)?))
        }
        op => Err(BuildError::NotAnOperator(format!("{op:?}"))),
    }
}

fn build_ranking(node: &Node, input: &InputShape, cx: &OperatorContext) -> Result<Box<dyn Operator>, BuildError> {
    match &node.op {
        Op::TopN { partition, order, offset, limit, emit_row_number, ttl } => {
            let plan = top_n::TopNPlan {
                partition,
                order,
                offset: *offset,
                limit: *limit,
                emit_row_number: *emit_row_number,
                ttl: *ttl,
            };
            Ok(Box::new(top_n::TopN::new(&plan, node, input, cx)?))
        }
        Op::WindowTopN { end, partition, order, offset, limit, emit_row_number } => {
            let plan = window_top_n::WindowTopNPlan {
                end: *end,
                partition,
                order,
                offset: *offset,
                limit: *limit,
                emit_row_number: *emit_row_number,
            };
            Ok(Box::new(window_top_n::WindowTopN::new(&plan, node, input, cx)?))
        }
        Op::Deduplicate { keys, order, keep, ttl } => {
            let plan = deduplicate::DeduplicatePlan { keys, order: *order, keep: *keep, ttl: *ttl };
            Ok(Box::new(deduplicate::Deduplicate::new(&plan, node, input, cx)?))
        }
        op => Err(BuildError::NotAnOperator(format!("{op:?}"))),
    }
}
