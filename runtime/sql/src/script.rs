//! A script statement by statement: declarations fill the catalog, queries become trees, the trees become the plan.

use crate::assemble::Assembler;
use crate::catalog::Catalog;
use crate::describe;
use crate::errors::{Outcome, Refusal, SqlError, SqlErrors};
use crate::hints::Hints;
use crate::rel::{Column, Rel, TYPE_KEY};
use crate::settings::Settings;
use crate::statement::{self, Statement, StatementKind};
use crate::text::Script;
use crate::translate::Translator;
use crate::{PlanOptions, Planned, TERMINAL_OPTION, bind, sink};
use datafusion_common::Column as BoundColumn;
use datafusion_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion_sql::sqlparser::tokenizer::TokenWithSpan;
use sluice_core::plan::Table;
use std::collections::BTreeMap;

/// All on this thread; the caller gives it a large stack.
pub(crate) fn plan(text: &str, options: &PlanOptions) -> Result<Planned, SqlErrors> {
    let script = Script::new(text, &options.variables)?;
    let mut state = State {
        catalog: Catalog::new(),
        settings: Settings::default(),
        outputs: vec![],
        selects: 0,
        views: vec![],
        tokens: vec![],
    };
    let mut errors = vec![];
    let mut statements = 0;
    for s in statement::split(&script)? {
        let failed = match s {
            Ok(s) => {
                state.tokens.extend(s.tokens.iter().cloned());
                statements += usize::from(!matches!(s.kind, StatementKind::Nothing));
                state.run(&s).err().and_then(|r| state.report(r, &s))
            }
            Err(broken) => {
                state.catalog.broken.extend(broken.declares);
                Some(broken.error)
            }
        };
        errors.extend(failed);
    }
    if errors.is_empty() && state.outputs.is_empty() && options.require_output {
        errors.push(SqlError {
            line: 1,
            column: 1,
            message: "the script writes nothing".to_owned(),
            hint: Some("add INSERT INTO … SELECT, or a SELECT whose rows go to the terminal".to_owned()),
        });
    }
    if errors.is_empty() {
        match state.assemble(statements) {
            Ok(planned) => return Ok(planned),
            Err(e) => errors.push(e),
        }
    }
    for e in &mut errors {
        (e.line, e.column) = script.locate(e.line, e.column);
    }
    Err(SqlErrors(errors))
}

struct State {
    catalog: Catalog,
    settings: Settings,
    outputs: Vec<(Rel, Vec<TokenWithSpan>)>,
    selects: usize,
    views: Vec<describe::View>,
    /// Of all statements: to find the place of an error that concerns the whole script.
    tokens: Vec<TokenWithSpan>,
}

impl State {
    fn run(&mut self, s: &Statement) -> Outcome<()> {
        match &s.kind {
            StatementKind::Nothing => Ok(()),
            StatementKind::Set { key, value } => self.settings.set(key, value),
            StatementKind::CreateTable(t) => match &t.query {
                None => self.catalog.add_table(t),
                Some(query) => self.create_as(t, query, s),
            },
            StatementKind::CreateView { name, columns, query } => self.create_view(name, columns, query, s),
            StatementKind::Insert { table, place, columns, query } => {
                let rel = self.translate(&self.bind(query)?, s)?;
                let Some(info) = self.catalog.table(table) else {
                    let r = Refusal::new(if self.catalog.is_view(table) {
                        format!("'{table}' is a view: only tables can be written")
                    } else {
                        format!("there is no table '{table}'")
                    });
                    let known: Vec<&str> = self.catalog.tables().map(|t| t.table.name.as_str()).collect();
                    let hint = crate::suggest::did_you_mean(table, known);
                    return Err(r.at(*place).hint(hint.unwrap_or_else(|| "declare it with CREATE TABLE".to_owned())));
                };
                let rel = sink::insert(rel, info, columns.as_deref())?;
                self.outputs.push((rel, s.tokens.clone()));
                Ok(())
            }
            StatementKind::Select { query } => self.select(query, s),
        }
    }

    /// `None`: a consequence of an error that was reported before.
    fn report(&mut self, r: Refusal, s: &Statement) -> Option<SqlError> {
        match &s.kind {
            StatementKind::CreateTable(t) => {
                self.catalog.broken.insert(t.name.clone());
            }
            StatementKind::CreateView { name, .. } => {
                self.catalog.broken.insert(name.clone());
            }
            _ => {}
        }
        let consequence = r.message.starts_with("there is no table")
            && self.catalog.broken.iter().any(|b| r.message.contains(&format!("'{b}'")));
        (!consequence).then(|| r.into_error(&s.tokens))
    }

    fn bind(&self, query: &[TokenWithSpan]) -> Outcome<LogicalPlan> {
        bind::query(&self.catalog, bind::parse_query(query)?)
    }

    fn translate(&self, plan: &LogicalPlan, s: &Statement) -> Outcome<Rel> {
        let hints = Hints::parse(&s.hints)?;
        Translator::new(&self.catalog, &self.settings, &hints).relation(plan)
    }

    fn create_view(&mut self, name: &str, columns: &[String], query: &[TokenWithSpan], s: &Statement) -> Outcome<()> {
        self.catalog.check_free(name)?;
        let mut plan = self.bind(query)?;
        if !columns.is_empty() {
            plan = renamed(plan, name, columns)?;
        }
        let rel = self.translate(&plan, s)?;
        self.views.push(describe::View::new(name, &rel));
        self.catalog.add_view(name, plan)
    }

    fn create_as(&mut self, t: &crate::ddl::CreateTable, query: &[TokenWithSpan], s: &Statement) -> Outcome<()> {
        if !t.columns.is_empty() {
            return Err(Refusal::new("CREATE TABLE … AS SELECT takes its columns from the query")
                .at(t.place)
                .hint("leave the column list out, or use CREATE TABLE and INSERT INTO"));
        }
        if !t.options.contains_key("connector") {
            return Err(Refusal::new(format!("table '{}' has no connector", t.name))
                .at(t.place)
                .hint("WITH ('connector' = 'filesystem', …) AS SELECT …"));
        }
        let rel = self.translate(&self.bind(query)?, s)?;
        self.output_table(&t.name, t.options.clone(), rel, s)
    }

    /// A bare SELECT: its changelog goes to the terminal.
    fn select(&mut self, query: &[TokenWithSpan], s: &Statement) -> Outcome<()> {
        let rel = self.translate(&self.bind(query)?, s)?;
        self.selects += 1;
        let options = [("connector", "print"), (TERMINAL_OPTION, "true")];
        let options = options.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        self.output_table(&format!("select-{}", self.selects), options, rel, s)
    }

    fn output_table(&mut self, name: &str, options: BTreeMap<String, String>, rel: Rel, s: &Statement) -> Outcome<()> {
        let columns: Vec<Column> = rel.columns.iter().map(|c| c.clone().materialized()).collect();
        let table = Table {
            name: name.to_owned(),
            schema: crate::rel::schema_of(&columns),
            metadata: vec![],
            primary_key: vec![],
            options,
            partitioned_by: vec![],
        };
        let sink = sink::sink(rel, &table);
        self.catalog.add_inferred(table, columns)?;
        self.outputs.push((sink, s.tokens.clone()));
        Ok(())
    }

    fn assemble(self, statements: usize) -> Result<Planned, SqlError> {
        let mut assembler = Assembler::new(&self.catalog);
        for (rel, tokens) in self.outputs {
            assembler.add(rel).map_err(|r| r.into_error(&tokens))?;
        }
        let plan = assembler.finish(self.settings.values).map_err(|r| r.into_error(&self.tokens))?;
        let tables = self.catalog.tables().map(|t| describe::Table::new(t)).collect();
        Ok(Planned { plan, statements, tables, views: self.views })
    }
}

/// A view's column list.
fn renamed(plan: LogicalPlan, name: &str, columns: &[String]) -> Outcome<LogicalPlan> {
    let width = plan.schema().fields().len();
    if width != columns.len() {
        return Err(
            Refusal::new(format!("view '{name}' names {} columns, its query has {width}", columns.len())).near(name)
        );
    }
    let exprs: Vec<Expr> =
        plan.schema().iter().zip(columns).map(|((q, f), c)| Expr::Column(BoundColumn::from((q, f))).alias(c)).collect();
    debug_assert!(plan.schema().fields().iter().all(|f| !f.metadata().contains_key(TYPE_KEY)));
    Ok(LogicalPlanBuilder::from(plan).project(exprs)?.build()?)
}
