//! From DataFusion's logical plan to relations of our own operators, one file per kind of operator.

mod aggregate;
mod filter;
mod interval;
mod join;
mod project;
mod subquery;
mod top_n;
pub(crate) mod values;
mod window;

use crate::catalog::Catalog;
use crate::errors::{Outcome, Refusal};
use crate::expr;
use crate::hints::Hints;
use crate::rel::{Column, Rel, Role};
use crate::relation::WindowTvf;
use crate::settings::Settings;
use datafusion_common::{DFSchema, DFSchemaRef};
use datafusion_expr::logical_plan::{Distinct, Union};
use datafusion_expr::{Expr as Bound, LogicalPlan};
use sluice_core::plan::expr::{Expr, Value};
use sluice_core::plan::{Changelog, Op, Ttl, Watermark};

/// One statement's translation.
pub(crate) struct Translator<'a> {
    catalog: &'a Catalog,
    settings: &'a Settings,
    hints: &'a Hints,
    windows: u32,
}

impl<'a> Translator<'a> {
    pub(crate) fn new(catalog: &'a Catalog, settings: &'a Settings, hints: &'a Hints) -> Self {
        Self { catalog, settings, hints, windows: 0 }
    }

    pub(crate) fn relation(&mut self, plan: &LogicalPlan) -> Outcome<Rel> {
        match plan {
            LogicalPlan::TableScan(t) => self.source(t.table_name.table()),
            LogicalPlan::SubqueryAlias(a) => self.relation(&a.input),
            LogicalPlan::Projection(p) => {
                let input = self.relation(&p.input)?;
                project::translate(input, &p.expr, p.input.schema(), &p.schema)
            }
            LogicalPlan::Filter(f) => filter::translate(self, f),
            LogicalPlan::Join(_) => join::chain(self, plan, vec![]),
            LogicalPlan::Window(w) => {
                let input = self.relation(&w.input)?;
                top_n::row_number(input, w)
            }
            LogicalPlan::Limit(l) => top_n::limit(self, l),
            LogicalPlan::Values(v) => values::translate(v),
            LogicalPlan::EmptyRelation(e) if e.produce_one_row => Ok(values::one_row()),
            LogicalPlan::Aggregate(a) => {
                let input = self.relation(&a.input)?;
                let ttl = self.ttl_of(&a.input);
                aggregate::translate(input, a, ttl)
            }
            LogicalPlan::Union(u) => self.union(u),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let rel = self.relation(input)?;
                aggregate::distinct(rel, self.settings.ttl())
            }
            LogicalPlan::Extension(x) => match x.node.as_any().downcast_ref::<WindowTvf>() {
                Some(w) => {
                    let input = self.relation(&w.input)?;
                    window::assign(self, input, w)
                }
                None => Err(Refusal::new(format!("{} is not supported", x.node.name()))),
            },
            other => Err(unsupported(other)),
        }
    }

    fn source(&mut self, table: &str) -> Outcome<Rel> {
        let info = self
            .catalog
            .table(table)
            .ok_or_else(|| Refusal::new(format!("there is no table '{table}'")).near(table))?;
        let idle = match info.table.options.get("scan.watermark.idle-timeout") {
            Some(v) => Some(crate::settings::duration_ms(v).ok_or_else(|| {
                Refusal::new(format!("option 'scan.watermark.idle-timeout' of table '{table}' cannot be '{v}'"))
                    .near(table)
                    .hint("a duration, such as '30 s'")
            })?),
            None => self.settings.idle_timeout_ms(),
        };
        let watermark = info.watermark.clone().map(|(column, expr)| Watermark {
            column,
            expr,
            idle_timeout_ms: idle.filter(|ms| *ms > 0),
        });
        let op = Op::Source { table: table.to_owned(), exprs: info.exprs.clone(), watermark };
        Ok(Rel::new(op, vec![], info.columns.clone(), Changelog::Append))
    }

    fn union(&mut self, u: &Union) -> Outcome<Rel> {
        let mut inputs = vec![];
        for i in &u.inputs {
            match self.relation(i)? {
                // `a UNION ALL b UNION ALL c` is one operator.
                Rel { op: crate::rel::RelOp::Core(Op::Union), inputs: arms, .. } => inputs.extend(arms),
                other => inputs.push(other),
            }
        }
        let mut columns = columns_of(&u.schema);
        for (i, c) in columns.iter_mut().enumerate() {
            // A time attribute survives if all arms have it; windows do not, each arm has its own.
            c.nullable = inputs.iter().any(|x| x.columns[i].nullable);
            let role = inputs[0].columns[i].role;
            if matches!(role, Role::EventTime | Role::ProcessingTime)
                && inputs.iter().all(|x| x.columns[i].role == role)
            {
                c.role = role;
            }
        }
        let append = inputs.iter().all(Rel::is_append);
        Ok(Rel::new(Op::Union, inputs, columns, if append { Changelog::Append } else { Changelog::Retract }))
    }

    /// How long state over this relation is kept: by the hint for its name, else by the setting.
    fn ttl_of(&self, plan: &LogicalPlan) -> Option<Ttl> {
        let hinted = relation_name(plan).and_then(|name| self.hints.ttl_ms(name));
        match hinted {
            Some(ms) => (ms > 0).then_some(Ttl { ms, domain: self.settings.ttl_domain() }),
            None => self.settings.ttl(),
        }
    }

    fn next_window(&mut self) -> u32 {
        self.windows += 1;
        self.windows
    }
}

/// The columns of a bound schema, without roles.
pub(crate) fn columns_of(schema: &DFSchemaRef) -> Vec<Column> {
    schema.fields().iter().map(|f| Column::new(f.name(), f.data_type().clone(), f.is_nullable())).collect()
}

/// `e` over the columns of `rel`, and the column that it makes.
pub(crate) fn column_expr(e: &Bound, schema: &DFSchema, rel: &Rel) -> Outcome<(Expr, Column)> {
    let translated = expr::translate(e, schema)?;
    let (data_type, nullable) = crate::coerce::type_of(e, schema)?;
    let name = match &translated {
        Expr::Column(i) => rel.columns[*i].name.clone(),
        _ => e.schema_name().to_string(),
    };
    let mut column = Column::new(name, data_type, nullable);
    inherit(&mut column, &translated, rel);
    Ok((translated, column))
}

/// What a column keeps of the input's column that it is. Whatever is computed may be NULL: an overflow of decimals is one
/// though no operand is.
pub(crate) fn inherit(column: &mut Column, e: &Expr, rel: &Rel) {
    column.nullable = match e {
        Expr::Column(i) => rel.columns[*i].nullable,
        Expr::Literal(l) => l.value == Value::Null,
        _ => true,
    };
    match e {
        Expr::Column(i) => {
            column.role = rel.columns[*i].role;
            column.flink_type.clone_from(&rel.columns[*i].flink_type);
        }
        Expr::Call { function, .. } if function == "proctime" => column.role = Role::ProcessingTime,
        _ => {}
    }
}

/// The alias or table that a relation is known by.
fn relation_name(plan: &LogicalPlan) -> Option<&str> {
    match plan {
        LogicalPlan::SubqueryAlias(a) => Some(a.alias.table()),
        LogicalPlan::TableScan(t) => Some(t.table_name.table()),
        LogicalPlan::Filter(f) => relation_name(&f.input),
        LogicalPlan::Projection(p) => relation_name(&p.input),
        _ => None,
    }
}

fn unsupported(plan: &LogicalPlan) -> Refusal {
    let (what, near, hint) = match plan {
        LogicalPlan::Sort(_) => {
            ("ORDER BY without LIMIT", "ORDER", "a stream has no last row to sort by: ORDER BY x DESC LIMIT 10")
        }
        LogicalPlan::Unnest(_) => ("UNNEST", "UNNEST", "use a[1], a[2], …"),
        LogicalPlan::RecursiveQuery(_) => ("WITH RECURSIVE", "RECURSIVE", "a stream has no fixed point to reach"),
        LogicalPlan::Distinct(_) => ("DISTINCT ON", "DISTINCT", "use ROW_NUMBER() OVER (PARTITION BY …) = 1"),
        other => return Refusal::new(format!("this statement is not supported ({})", other.display())),
    };
    Refusal::new(format!("{what} is not supported")).near(near).hint(hint)
}
