//! One line per operator, for people. Nothing reads it back.

use sluice_core::plan::{Aggregate, AggregateFunction, DedupOrder, JoinKind, Keep, Node, Op, Plan, SortKey, Window};

pub(super) fn label(plan: &mut Plan) {
    let labels: Vec<String> = plan.nodes.iter().map(|n| text(n, &plan.nodes)).collect();
    for (n, l) in plan.nodes.iter_mut().zip(labels) {
        n.label = l;
    }
}

fn text(n: &Node, nodes: &[Node]) -> String {
    // Joins number the right side's columns behind the left's.
    let names: Vec<&str> =
        n.inputs.iter().flat_map(|i| nodes[i.node].schema.fields()).map(|f| f.name().as_str()).collect();
    let list = |columns: &[usize]| columns.iter().map(|c| names[*c]).collect::<Vec<_>>().join(", ");
    match &n.op {
        Op::Source { table, .. } => format!("Source({table})"),
        Op::Project { .. } => {
            format!("Project({})", n.schema.fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>().join(", "))
        }
        Op::Filter { .. } => "Filter".to_owned(),
        Op::Union => "Union".to_owned(),
        Op::WindowAssign { window, time } => format!("WindowAssign({} on {})", window_text(*window), names[*time]),
        Op::WindowAggregate { window, keys, aggregates, .. } => {
            format!("WindowAggregate({}, {})", window_text(*window), grouped(&list(keys), aggregates, &names))
        }
        Op::AttachedWindowAggregate { keys, aggregates, .. } => {
            format!("AttachedWindowAggregate({})", grouped(&list(keys), aggregates, &names))
        }
        Op::GroupAggregate { keys, aggregates, .. } if aggregates.is_empty() => format!("Distinct({})", list(keys)),
        Op::GroupAggregate { keys, aggregates, .. } => {
            format!("GroupAggregate({})", grouped(&list(keys), aggregates, &names))
        }
        Op::Join { .. } | Op::IntervalJoin { .. } | Op::WindowJoin { .. } => {
            join_text(&n.op, &names, nodes[n.inputs[0].node].schema.fields().len())
        }
        Op::TopN { partition, order, offset, limit, .. } => {
            format!("TopN(rows {} to {limit} of {} by {})", offset + 1, per(&list(partition)), sort(order, &names))
        }
        Op::WindowTopN { partition, order, offset, limit, .. } => {
            format!(
                "WindowTopN(rows {} to {limit} of window, {} by {})",
                offset + 1,
                per(&list(partition)),
                sort(order, &names)
            )
        }
        Op::Deduplicate { keys, order, keep, .. } => {
            let by = match order {
                DedupOrder::ProcTime => "arrival",
                DedupOrder::RowTime(c) => names[*c],
            };
            let keep = match keep {
                Keep::First => "first",
                Keep::Last => "last",
            };
            format!("Deduplicate({keep} of {} by {by})", per(&list(keys)))
        }
        Op::Sink { table, .. } => format!("Sink({table})"),
    }
}

fn join_text(op: &Op, names: &[&str], left_width: usize) -> String {
    let pairs = |l: &[usize], r: &[usize]| {
        l.iter()
            .zip(r)
            .map(|(a, b)| format!("{} = {}", names[*a], names[left_width + *b]))
            .collect::<Vec<_>>()
            .join(" AND ")
    };
    let pairs = |l: &[usize], r: &[usize]| if l.is_empty() { "no key".to_owned() } else { pairs(l, r) };
    match op {
        Op::Join { kind, left_keys, right_keys, .. } => {
            format!("Join({}, {})", join(*kind), pairs(left_keys, right_keys))
        }
        Op::IntervalJoin { kind, left_keys, right_keys, lower_ms, upper_ms, .. } => format!(
            "IntervalJoin({}, {}, {} to {})",
            join(*kind),
            pairs(left_keys, right_keys),
            duration(*lower_ms),
            duration(*upper_ms)
        ),
        Op::WindowJoin { kind, left_keys, right_keys, .. } => {
            format!("WindowJoin({}, {})", join(*kind), pairs(left_keys, right_keys))
        }
        _ => String::new(),
    }
}

fn per(keys: &str) -> String {
    if keys.is_empty() { "all".to_owned() } else { format!("[{keys}]") }
}

fn grouped(keys: &str, aggregates: &[Aggregate], names: &[&str]) -> String {
    let call = |a: &Aggregate| {
        let args = a.args.iter().map(|i| names[*i]).collect::<Vec<_>>().join(", ");
        let args = if a.args.is_empty() { "*" } else { &args };
        let distinct = if a.distinct { "DISTINCT " } else { "" };
        let filter = if a.filter.is_some() { " FILTER" } else { "" };
        format!("{}({distinct}{args}){filter}", function(a.function))
    };
    let calls: Vec<String> = aggregates.iter().map(call).collect();
    format!("key: {}; {}", if keys.is_empty() { "none" } else { keys }, calls.join(", "))
}

fn sort(order: &[SortKey], names: &[&str]) -> String {
    let one = |k: &SortKey| format!("{}{}", names[k.column], if k.descending { " DESC" } else { "" });
    order.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn window_text(w: Window) -> String {
    let offset = |ms: i64| if ms == 0 { String::new() } else { format!(" offset {}", duration(ms)) };
    match w {
        Window::Tumble { size_ms, offset_ms } => format!("TUMBLE {}{}", duration(size_ms), offset(offset_ms)),
        Window::Hop { slide_ms, size_ms, offset_ms } => {
            format!("HOP {} every {}{}", duration(size_ms), duration(slide_ms), offset(offset_ms))
        }
        Window::Cumulate { step_ms, size_ms, offset_ms } => {
            format!("CUMULATE {} up to {}{}", duration(step_ms), duration(size_ms), offset(offset_ms))
        }
        Window::Session { gap_ms } => format!("SESSION {}", duration(gap_ms)),
    }
}

/// In the largest unit that divides it.
fn duration(ms: i64) -> String {
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)] {
        if ms != 0 && ms % length == 0 {
            return format!("{}{unit}", ms / length);
        }
    }
    format!("{ms}ms")
}

fn function(f: AggregateFunction) -> &'static str {
    match f {
        AggregateFunction::Count => "COUNT",
        AggregateFunction::Sum => "SUM",
        AggregateFunction::Avg => "AVG",
        AggregateFunction::Min => "MIN",
        AggregateFunction::Max => "MAX",
        AggregateFunction::FirstValue => "FIRST_VALUE",
        AggregateFunction::LastValue => "LAST_VALUE",
        AggregateFunction::ListAgg => "LISTAGG",
        AggregateFunction::StddevPop => "STDDEV_POP",
        AggregateFunction::StddevSamp => "STDDEV_SAMP",
        AggregateFunction::VarPop => "VAR_POP",
        AggregateFunction::VarSamp => "VAR_SAMP",
        AggregateFunction::Collect => "COLLECT",
        AggregateFunction::BoolAnd => "BOOL_AND",
        AggregateFunction::BoolOr => "BOOL_OR",
    }
}

fn join(k: JoinKind) -> &'static str {
    match k {
        JoinKind::Inner => "INNER",
        JoinKind::Left => "LEFT",
        JoinKind::Right => "RIGHT",
        JoinKind::Full => "FULL",
        JoinKind::Semi => "SEMI",
        JoinKind::Anti => "ANTI",
    }
}
