//! Tables, views and functions by name, as DataFusion's binder asks for them.

use crate::ddl::{ColumnKind, CreateTable, types};
use crate::errors::{Outcome, Refusal};
use crate::rel::{Column, Role, TYPE_KEY, schema_of};
use crate::suggest::did_you_mean;
use crate::{aggregates, bind, coerce, expr, functions, relation, row_number};
use arrow_schema::{DataType, Schema, SchemaRef};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{Result, TableReference};
use datafusion_expr::logical_plan::builder::LogicalTableSource;
use datafusion_expr::planner::{ContextProvider, ExprPlanner, RelationPlanner, TypePlanner};
use datafusion_expr::{AggregateUDF, HigherOrderUDF, LogicalPlan, ScalarUDF, TableSource, WindowUDF};
use sluice_core::plan::Table;
use sluice_core::plan::expr::Expr;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A declared table, bound.
#[derive(Clone, Debug)]
pub(crate) struct TableInfo {
    pub table: Table,
    /// All columns in the order of the declaration.
    pub columns: Vec<Column>,
    /// `columns` over `table.schema`.
    pub exprs: Vec<Expr>,
    /// A column of `columns`, and the watermark that a row implies, over `columns`.
    pub watermark: Option<(usize, Expr)>,
    /// Per column of `table.schema`: whether INSERT gives it a value (all but virtual metadata).
    pub writable: Vec<bool>,
}

pub(crate) struct Catalog {
    config: ConfigOptions,
    tables: BTreeMap<String, Arc<TableInfo>>,
    views: BTreeMap<String, Arc<LogicalPlan>>,
    /// Names whose declaration failed: their users are not reported too.
    pub broken: BTreeSet<String>,
    expr_planners: Vec<Arc<dyn ExprPlanner>>,
    relation_planners: Vec<Arc<dyn RelationPlanner>>,
}

impl Catalog {
    pub(crate) fn new() -> Self {
        Self {
            config: ConfigOptions::default(),
            tables: BTreeMap::new(),
            views: BTreeMap::new(),
            broken: BTreeSet::new(),
            expr_planners: coerce::planners(),
            relation_planners: vec![Arc::new(relation::FlinkRelations)],
        }
    }

    pub(crate) fn table(&self, name: &str) -> Option<&Arc<TableInfo>> {
        self.tables.get(name)
    }

    pub(crate) fn is_view(&self, name: &str) -> bool {
        self.views.contains_key(name)
    }

    pub(crate) fn tables(&self) -> impl Iterator<Item = &Arc<TableInfo>> {
        self.tables.values()
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.tables.keys().chain(self.views.keys()).map(String::as_str).collect()
    }

    pub(crate) fn add_view(&mut self, name: &str, plan: LogicalPlan) -> Outcome<()> {
        self.check_free(name)?;
        self.views.insert(name.to_owned(), Arc::new(plan));
        Ok(())
    }

    pub(crate) fn check_free(&self, name: &str) -> Outcome<()> {
        if self.tables.contains_key(name) || self.views.contains_key(name) {
            return Err(Refusal::new(format!("'{name}' is declared twice")).near(name).hint("choose another name"));
        }
        Ok(())
    }

    /// Binds a declaration and adds the table.
    pub(crate) fn add_table(&mut self, declared: &CreateTable) -> Outcome<()> {
        self.check_free(&declared.name)?;
        let info = self.bind_table(declared)?;
        self.tables.insert(declared.name.clone(), Arc::new(info));
        Ok(())
    }

    /// A table without declaration (a bare SELECT's output, `CREATE TABLE … AS`).
    pub(crate) fn add_inferred(&mut self, table: Table, columns: Vec<Column>) -> Outcome<()> {
        self.check_free(&table.name)?;
        let exprs = (0..columns.len()).map(Expr::Column).collect();
        let writable = vec![true; columns.len()];
        self.tables
            .insert(table.name.clone(), Arc::new(TableInfo { table, columns, exprs, watermark: None, writable }));
        Ok(())
    }

    fn bind_table(&self, d: &CreateTable) -> Outcome<TableInfo> {
        if d.columns.is_empty() && d.query.is_none() {
            return Err(Refusal::new(format!("table '{}' has no columns", d.name))
                .at(d.place)
                .hint("CREATE TABLE t (c INT, …) WITH (…)"));
        }
        if !d.options.contains_key("connector") {
            return Err(Refusal::new(format!("table '{}' has no connector", d.name))
                .at(d.place)
                .hint("WITH ('connector' = 'filesystem', …)"));
        }
        let (physical, metadata, writable) = physical_columns(d);
        let physical_schema = schema_of(&physical);
        let (mut columns, exprs) = self.all_columns(d, &physical, &physical_schema)?;
        let watermark = self.watermark(d, &mut columns)?;
        Ok(TableInfo {
            table: Table {
                name: d.name.clone(),
                metadata,
                primary_key: named(&d.primary_key, &physical, "primary key")?,
                options: d.options.clone(),
                partitioned_by: named(&d.partitioned_by, &physical, "partition")?,
                schema: physical_schema,
            },
            columns,
            exprs,
            watermark,
            writable,
        })
    }

    fn all_columns(
        &self,
        d: &CreateTable,
        physical: &[Column],
        schema: &SchemaRef,
    ) -> Outcome<(Vec<Column>, Vec<Expr>)> {
        let (mut columns, mut exprs) = (vec![], vec![]);
        let mut next = 0;
        for c in &d.columns {
            if let ColumnKind::Computed(tokens) = &c.kind {
                let (bound, df) = bind::scalar(self, tokens, &d.name, schema.clone())?;
                let e = expr::translate(&bound, &df)?;
                let (data_type, _) = coerce::type_of(&bound, &df)?;
                let is_proctime = matches!(&e, Expr::Call { function, .. } if function == "proctime");
                let role = if is_proctime { Role::ProcessingTime } else { Role::Plain };
                columns.push(Column::new(&c.name, data_type, true).with_role(role));
                exprs.push(e);
            } else {
                columns.push(physical[next].clone());
                exprs.push(Expr::Column(next));
                next += 1;
            }
        }
        Ok((columns, exprs))
    }

    fn watermark(&self, d: &CreateTable, columns: &mut [Column]) -> Outcome<Option<(usize, Expr)>> {
        let Some(w) = &d.watermark else { return Ok(None) };
        let Some(index) = columns.iter().position(|c| c.name == w.column) else {
            let hint = did_you_mean(&w.column, columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>());
            return Err(Refusal::new(format!("WATERMARK FOR names the unknown column '{}'", w.column))
                .at(w.place)
                .hint(hint.unwrap_or_default()));
        };
        if !matches!(columns[index].data_type, DataType::Timestamp(..)) {
            return Err(Refusal::new(format!(
                "the watermark's column '{}' is {}, not a TIMESTAMP",
                w.column,
                types::flink_name(&columns[index].data_type)
            ))
            .at(w.place)
            .hint("add a computed column, such as ts AS TO_TIMESTAMP(text)"));
        }
        let (bound, df) = bind::scalar(self, &w.expr, &d.name, schema_of(columns))?;
        let (data_type, _) = coerce::type_of(&bound, &df)?;
        if !matches!(data_type, DataType::Timestamp(..)) {
            return Err(Refusal::new(format!("the watermark is {}, not a TIMESTAMP", types::flink_name(&data_type)))
                .at(w.place)
                .hint(format!("WATERMARK FOR {0} AS {0} - INTERVAL '5' SECOND", w.column)));
        }
        columns[index].role = Role::EventTime;
        Ok(Some((index, expr::translate(&bound, &df)?)))
    }
}

type Physical = (Vec<Column>, Vec<(usize, String)>, Vec<bool>);

/// Physical and metadata columns, as the connector reads or writes them.
fn physical_columns(d: &CreateTable) -> Physical {
    let (mut columns, mut metadata, mut writable) = (vec![], vec![], vec![]);
    for c in &d.columns {
        let (t, is_writable) = match &c.kind {
            ColumnKind::Physical(t) => (t, true),
            ColumnKind::Metadata { data_type, key, is_virtual } => {
                metadata.push((columns.len(), key.clone()));
                (data_type, !is_virtual)
            }
            ColumnKind::Computed(_) => continue,
        };
        let key = d.primary_key.iter().any(|(k, _)| *k == c.name);
        let mut column = Column::new(&c.name, t.data_type.clone(), t.nullable && !key);
        column.flink_type = Some(t.text.clone());
        columns.push(column);
        writable.push(is_writable);
    }
    (columns, metadata, writable)
}

fn named(
    names: &[(String, datafusion_sql::sqlparser::tokenizer::Location)],
    columns: &[Column],
    what: &str,
) -> Outcome<Vec<usize>> {
    let find = |(name, place): &(String, _)| {
        columns.iter().position(|c| c.name == *name).ok_or_else(|| {
            let known: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
            Refusal::new(format!("the {what} names the unknown column '{name}'"))
                .at(*place)
                .hint(did_you_mean(name, known).unwrap_or_else(|| "computed columns cannot be part of it".to_owned()))
        })
    };
    names.iter().map(find).collect()
}

/// The binder sees plain Arrow: our metadata would only travel into places where nobody expects it.
fn plain(columns: &[Column]) -> SchemaRef {
    let fields: Vec<_> = schema_of(columns)
        .fields()
        .iter()
        .map(|f| f.as_ref().clone().with_metadata(std::collections::HashMap::new()))
        .collect();
    debug_assert!(fields.iter().all(|f| !f.metadata().contains_key(TYPE_KEY)));
    Arc::new(Schema::new(fields))
}

/// A view is its plan: the binder puts it in where the view is named.
struct ViewSource {
    plan: Arc<LogicalPlan>,
    schema: SchemaRef,
}

impl TableSource for ViewSource {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn get_logical_plan(&self) -> Option<Cow<'_, LogicalPlan>> {
        Some(Cow::Borrowed(&self.plan))
    }
}

impl ContextProvider for Catalog {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        let known = match (name.catalog(), name.schema()) {
            (None | Some("default_catalog"), None | Some("default_database")) => name.table(),
            _ => "",
        };
        if let Some(t) = self.tables.get(known) {
            return Ok(Arc::new(LogicalTableSource::new(plain(&t.columns))));
        }
        if let Some(v) = self.views.get(known) {
            return Ok(Arc::new(ViewSource { plan: v.clone(), schema: v.schema().inner().clone() }));
        }
        let r = Refusal::new(format!("there is no table or view '{name}'")).near(name.table());
        let hint = did_you_mean(name.table(), self.names())
            .unwrap_or_else(|| "declare it with CREATE TABLE or CREATE VIEW".to_owned());
        Err(r.hint(hint).into())
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.expr_planners
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &self.relation_planners
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(coerce::FlinkTypes))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        functions::scalar(name)
    }

    fn get_higher_order_meta(&self, _: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        aggregates::find(name)
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        name.eq_ignore_ascii_case("row_number").then(row_number::function)
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.config
    }

    fn udf_names(&self) -> Vec<String> {
        functions::names().into_iter().map(str::to_owned).collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        vec![]
    }

    fn udaf_names(&self) -> Vec<String> {
        aggregates::names()
    }

    fn udwf_names(&self) -> Vec<String> {
        vec!["row_number".to_owned()]
    }
}
