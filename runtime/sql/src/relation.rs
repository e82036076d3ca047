//! Window table functions as extension nodes of the logical plan, through DataFusion's hook for relations.

use crate::dialect::PARTITION_MARK;
use crate::errors::{Outcome, Refusal};
use crate::suggest::did_you_mean;
use arrow_schema::{DataType, Field, FieldRef, TimeUnit};
use datafusion_common::{DFSchema, DFSchemaRef, Result, ScalarValue, TableReference};
use datafusion_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion_sql::sqlparser::ast::{
    Expr as SqlExpr, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArguments, Ident, ObjectName,
    ObjectNamePart, Spanned, TableAlias, TableFactor,
};
use datafusion_sql::sqlparser::tokenizer::Location;
use sluice_core::plan::Window;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// `TUMBLE`, `HOP`, `CUMULATE` or `SESSION` over a relation: its columns, then window_start, window_end, window_time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WindowTvf {
    pub input: LogicalPlan,
    /// A column of the input.
    pub time: Expr,
    pub window: Window,
    /// `SESSION … PARTITION BY`: columns of the input.
    pub partition: Vec<Expr>,
    pub place: Location,
    schema: DFSchemaRef,
}

impl WindowTvf {
    fn schema_for(input: &LogicalPlan, time: &Expr) -> Result<DFSchemaRef> {
        use datafusion_expr::ExprSchemable;
        let mut fields: Vec<(Option<TableReference>, FieldRef)> =
            input.schema().iter().map(|(q, f)| (q.cloned(), Arc::clone(f))).collect();
        let zone = match time.get_type(input.schema())? {
            DataType::Timestamp(_, zone) => zone,
            _ => None,
        };
        let field =
            |name: &str, zone| Arc::new(Field::new(name, DataType::Timestamp(TimeUnit::Millisecond, zone), false));
        // Flink: the bounds are local time, window_time keeps the kind of the time attribute.
        fields.push((None, field("window_start", None)));
        fields.push((None, field("window_end", None)));
        fields.push((None, field("window_time", zone)));
        Ok(Arc::new(DFSchema::new_with_metadata(fields, HashMap::new())?))
    }
}

impl Hash for WindowTvf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.hash(state);
        self.time.hash(state);
        self.partition.hash(state);
    }
}

impl PartialOrd for WindowTvf {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (self == other).then_some(std::cmp::Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for WindowTvf {
    fn name(&self) -> &'static str {
        "WindowTvf"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        std::iter::once(self.time.clone()).chain(self.partition.iter().cloned()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WindowTvf: {:?} on {}", self.window, self.time)
    }

    fn with_exprs_and_inputs(&self, mut exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let (input, time) = (inputs.remove(0), exprs.remove(0));
        let schema = Self::schema_for(&input, &time)?;
        Ok(Self { input, time, window: self.window, partition: exprs, place: self.place, schema })
    }
}

/// Plans what the default would not; everything that the walk in `refuse` let through and that is no window function is an
/// ordinary table or sub-query.
#[derive(Debug)]
pub(crate) struct FlinkRelations;

impl RelationPlanner for FlinkRelations {
    fn plan_relation(&self, relation: TableFactor, cx: &mut dyn RelationPlannerContext) -> Result<RelationPlanning> {
        let Some(call) = Call::of(&relation)? else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let alias = call.alias.clone();
        let plan = call.plan(cx)?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}

/// Parameters in the order in which they may be given without names; Flink's names.
fn parameters(function: &str) -> Option<&'static [&'static str]> {
    Some(match function {
        "TUMBLE" => &["DATA", "TIMECOL", "SIZE", "OFFSET"],
        "HOP" => &["DATA", "TIMECOL", "SLIDE", "SIZE", "OFFSET"],
        "CUMULATE" => &["DATA", "TIMECOL", "STEP", "SIZE", "OFFSET"],
        "SESSION" => &["DATA", "TIMECOL", "GAP"],
        _ => return None,
    })
}

/// A call of a window function, taken apart.
struct Call {
    function: String,
    place: Location,
    args: BTreeMap<String, SqlExpr>,
    alias: Option<TableAlias>,
}

impl Call {
    /// `None`: not a table function at all.
    fn of(relation: &TableFactor) -> Outcome<Option<Self>> {
        let (name, args, alias) = match relation {
            TableFactor::TableFunction {
                expr: SqlExpr::Function(Function { name, args: FunctionArguments::List(l), .. }),
                alias,
            } => (name, &l.args, alias),
            TableFactor::TableFunction { expr, .. } => {
                return Err(Refusal::new(format!("TABLE({expr}) is not a table function"))
                    .at(expr.span().start)
                    .hint("TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE))"));
            }
            TableFactor::Table { name, args: Some(a), alias, .. } => (name, &a.args, alias),
            _ => return Ok(None),
        };
        let function = name.to_string().to_uppercase();
        let place = name.span().start;
        let Some(known) = parameters(&function) else {
            let all = ["TUMBLE", "HOP", "CUMULATE", "SESSION"];
            return Err(Refusal::new(format!("table function {function} is not supported"))
                .at(place)
                .hint(did_you_mean(&function, all).unwrap_or_default()));
        };
        let args = named_arguments(&function, place, args, known)?;
        Ok(Some(Self { function, place, args, alias: alias.clone() }))
    }

    fn plan(mut self, cx: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
        let (table, partition) = self.data()?;
        let input = cx.plan(table_factor(table))?;
        let time = self.time_column(cx, &input)?;
        let partition = partition
            .into_iter()
            .map(|c| cx.sql_to_expr(SqlExpr::Identifier(c), input.schema()))
            .collect::<Result<Vec<_>>>()?;
        if !partition.is_empty() && self.function != "SESSION" {
            return Err(self
                .refuse(format!("{} takes no PARTITION BY", self.function), "group by the columns instead")
                .into());
        }
        let window = self.window(cx)?;
        let schema = WindowTvf::schema_for(&input, &time)?;
        let node = Arc::new(WindowTvf { input, time, window, partition, place: self.place, schema });
        Ok(LogicalPlan::Extension(Extension { node }))
    }

    fn refuse(&self, message: String, hint: &str) -> Refusal {
        Refusal::new(message).at(self.place).hint(hint)
    }

    fn take(&mut self, parameter: &str) -> Outcome<SqlExpr> {
        self.args.remove(parameter).ok_or_else(|| {
            self.refuse(format!("{} needs the argument {parameter}", self.function), &usage(&self.function))
        })
    }

    fn data(&mut self) -> Outcome<(Vec<Ident>, Vec<Ident>)> {
        let mut name = match self.take("DATA")? {
            SqlExpr::CompoundIdentifier(ids) => ids,
            SqlExpr::Identifier(id) => vec![id],
            other => {
                return Err(self.refuse(
                    format!("{} reads a table, not {other}", self.function),
                    "TABLE name; a query needs a view",
                ));
            }
        };
        let mark = name.iter().position(|i| i.value == PARTITION_MARK).unwrap_or(name.len());
        let partition = name.split_off(mark).into_iter().skip(1).collect();
        Ok((name, partition))
    }

    fn time_column(&mut self, cx: &mut dyn RelationPlannerContext, input: &LogicalPlan) -> Result<Expr> {
        let given = self.take("TIMECOL")?;
        if let SqlExpr::Function(f) = &given
            && f.name.to_string().eq_ignore_ascii_case("DESCRIPTOR")
            && let FunctionArguments::List(l) = &f.args
            && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(column))] = l.args.as_slice()
        {
            let e = cx.sql_to_expr(column.clone(), input.schema())?;
            if matches!(e, Expr::Column(_)) {
                return Ok(e);
            }
        }
        Err(self
            .refuse(
                format!("{} needs its time column as DESCRIPTOR(column), not {given}", self.function),
                &usage(&self.function),
            )
            .into())
    }

    fn window(&mut self, cx: &mut dyn RelationPlannerContext) -> Result<Window> {
        let offset_ms = if self.args.contains_key("OFFSET") { self.milliseconds("OFFSET", cx)? } else { 0 };
        let window = match self.function.as_str() {
            "TUMBLE" => Window::Tumble { size_ms: self.milliseconds("SIZE", cx)?, offset_ms },
            "HOP" => Window::Hop {
                slide_ms: self.milliseconds("SLIDE", cx)?,
                size_ms: self.milliseconds("SIZE", cx)?,
                offset_ms,
            },
            "CUMULATE" => Window::Cumulate {
                step_ms: self.milliseconds("STEP", cx)?,
                size_ms: self.milliseconds("SIZE", cx)?,
                offset_ms,
            },
            _ => Window::Session { gap_ms: self.milliseconds("GAP", cx)? },
        };
        check_window(window).map_err(|m| self.refuse(format!("{}: {m}", self.function), &usage(&self.function)))?;
        Ok(window)
    }

    fn milliseconds(&mut self, parameter: &str, cx: &mut dyn RelationPlannerContext) -> Result<i64> {
        let given = self.take(parameter)?;
        let shown = given.to_string();
        let negated = matches!(&given, SqlExpr::UnaryOp { .. });
        let e = cx.sql_to_expr(given, &DFSchema::empty())?;
        interval_ms(&e).map(|ms| if negated && ms > 0 { -ms } else { ms }).ok_or_else(|| {
            self.refuse(
                format!("{parameter} must be an interval of whole milliseconds, not {shown}"),
                "INTERVAL '10' MINUTE",
            )
            .into()
        })
    }
}

/// The length of a constant interval without months.
pub(crate) fn interval_ms(e: &Expr) -> Option<i64> {
    match e {
        Expr::Negative(inner) => interval_ms(inner).map(|ms| -ms),
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(v)), _)
            if v.months == 0 && v.nanoseconds % 1_000_000 == 0 =>
        {
            i64::from(v.days).checked_mul(86_400_000)?.checked_add(v.nanoseconds / 1_000_000)
        }
        _ => None,
    }
}

/// More windows than this would hold one row: each is a copy in state.
const MAX_PANES: i64 = 10_000;

fn check_window(w: Window) -> std::result::Result<(), String> {
    let positive = |name: &str, ms: i64| if ms > 0 { Ok(()) } else { Err(format!("{name} must be positive")) };
    match w {
        Window::Tumble { size_ms, .. } => positive("SIZE", size_ms),
        Window::Session { gap_ms } => positive("GAP", gap_ms),
        Window::Hop { slide_ms, size_ms, .. } => {
            positive("SLIDE", slide_ms)?;
            positive("SIZE", size_ms)?;
            multiple("SLIDE", slide_ms, size_ms)
        }
        Window::Cumulate { step_ms, size_ms, .. } => {
            positive("STEP", step_ms)?;
            positive("SIZE", size_ms)?;
            multiple("STEP", step_ms, size_ms)
        }
    }
}

fn multiple(name: &str, part: i64, size: i64) -> std::result::Result<(), String> {
    if size % part != 0 {
        return Err(format!("SIZE must be a multiple of {name}"));
    }
    if size / part > MAX_PANES {
        return Err(format!("SIZE is more than {MAX_PANES} times {name}"));
    }
    Ok(())
}

fn usage(function: &str) -> String {
    match function {
        "TUMBLE" => "TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE)",
        "HOP" => "HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE, INTERVAL '10' MINUTE)",
        "CUMULATE" => "CUMULATE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' HOUR, INTERVAL '1' DAY)",
        _ => "SESSION(TABLE t PARTITION BY k, DESCRIPTOR(ts), INTERVAL '5' MINUTE)",
    }
    .to_owned()
}

fn named_arguments(
    function: &str,
    place: Location,
    args: &[FunctionArg],
    known: &[&str],
) -> Outcome<BTreeMap<String, SqlExpr>> {
    let mut by_name = BTreeMap::new();
    for (i, a) in args.iter().enumerate() {
        let (name, value) = match a {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => match known.get(i) {
                Some(k) => ((*k).to_owned(), e.clone()),
                None => {
                    return Err(Refusal::new(format!("{function} takes at most {} arguments", known.len()))
                        .at(place)
                        .hint(usage(function)));
                }
            },
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(e), operator: FunctionArgOperator::RightArrow } => {
                (name.value.to_uppercase(), e.clone())
            }
            other => {
                return Err(Refusal::new(format!("{function} cannot take the argument {other}"))
                    .at(place)
                    .hint(usage(function)));
            }
        };
        if !known.contains(&name.as_str()) {
            let hint = did_you_mean(&name, known.iter().copied()).unwrap_or_default();
            return Err(Refusal::new(format!("{function} has no argument {name}")).at(place).hint(hint));
        }
        if by_name.insert(name.clone(), value).is_some() {
            return Err(Refusal::new(format!("argument {name} of {function} is given twice")).at(place));
        }
    }
    Ok(by_name)
}

fn table_factor(name: Vec<Ident>) -> TableFactor {
    TableFactor::Table {
        name: ObjectName(name.into_iter().map(ObjectNamePart::Identifier).collect()),
        alias: None,
        args: None,
        with_hints: vec![],
        version: None,
        with_ordinality: false,
        partitions: vec![],
        json_path: None,
        sample: None,
        index_hints: vec![],
    }
}
