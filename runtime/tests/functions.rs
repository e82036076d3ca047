//! Scalar expressions against Flink: every line of `functions/flink.tsv` (made by `functions/regenerate.sh`) is planned and
//! evaluated here and must give Flink's value and type. `functions/differences.tsv` lists what differs, with the reason; a
//! line there that does not differ any more fails the test too.

use arrow::array::{ArrayRef, Int32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use sluice_core::plan::expr::Expr;
use sluice_core::plan::{Op, Plan};
use sluice_core::time::ProcTime;
use sluice_runtime::clock::Clock;
use sluice_runtime::expr::{CompiledExpr, display::to_display};
use sluice_sql::{PlanOptions, flink_name, plan};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

/// 2024-07-01 22:30:05.250 UTC.
const NOW: ProcTime = ProcTime(1_719_873_005_250);

struct Line {
    zone: String,
    expression: String,
    data_type: String,
    value: String,
}

impl Line {
    /// How differences.tsv names it.
    fn key(&self) -> String {
        if self.zone == "UTC" { self.expression.clone() } else { format!("{}: {}", self.zone, self.expression) }
    }
}

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/functions").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("failed to read {}: {e}", path.display()))
}

fn lines() -> Vec<Line> {
    let mut zone = "UTC".to_owned();
    let mut out = vec![];
    for line in read("flink.tsv").lines() {
        if let Some(z) = line.strip_prefix("-- zone ") {
            zone = z.trim().to_owned();
        }
        if line.starts_with("--") || line.is_empty() {
            continue;
        }
        let mut parts = line.splitn(3, '\t');
        let mut part = || parts.next().unwrap_or_else(|| panic!("three columns are wanted: {line}")).to_owned();
        let (expression, data_type, value) = (part(), part(), part());
        out.push(Line { zone: zone.clone(), expression, data_type, value });
    }
    out
}

/// Flink's type without what Arrow's types do not carry.
fn plain_type(text: &str) -> String {
    let text = text.replace(" NOT NULL", "");
    let base = text.split('(').next().unwrap_or_default();
    if text.contains('<') {
        return base.split('<').next().unwrap_or_default().to_owned();
    }
    match base {
        "CHAR" | "VARCHAR" => "STRING".to_owned(),
        "BINARY" | "VARBINARY" => "BYTES".to_owned(),
        "TIME" | "TIMESTAMP" | "TIMESTAMP_LTZ" => base.to_owned(),
        _ => text.clone(),
    }
}

fn planned(zone: &str, expression: &str) -> Result<Plan, String> {
    let script = format!(
        "SET 'table.local-time-zone' = '{zone}';\n\
         CREATE TABLE one (x INT) WITH ('connector' = 'datagen', 'number-of-rows' = '1');\n\
         SELECT {expression} AS v FROM one;\n"
    );
    plan(&script, &PlanOptions::default()).map(|p| p.plan).map_err(|e| format!("{e}"))
}

fn evaluate(zone: &str, expression: &str) -> Result<(String, String), String> {
    let out = run(&planned(zone, expression)?)?;
    let field = Field::new("v", out.data_type().clone(), true);
    let value = to_display(&out, 0, &field).replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t");
    Ok((plain_type(&flink_name(out.data_type())), value))
}

/// The first column of what the plan's source and projections make of one row.
fn run(plan: &Plan) -> Result<ArrayRef, String> {
    let schema = Schema::new(vec![Field::new("x", DataType::Int32, true)]);
    let mut rows = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(Int32Array::from(vec![1]))]).unwrap();
    for node in &plan.nodes {
        match &node.op {
            Op::Source { exprs, .. } | Op::Project { exprs } => {
                rows = project(zone(plan), exprs, &rows, &node.schema)?;
            }
            Op::Sink { .. } => {}
            other => return Err(format!("the plan has {other:?}")),
        }
    }
    Ok(rows.column(0).clone())
}

fn zone(plan: &Plan) -> &str {
    plan.settings.get("table.local-time-zone").map_or("UTC", String::as_str)
}

fn project(zone: &str, exprs: &[Expr], rows: &RecordBatch, declared: &Schema) -> Result<RecordBatch, String> {
    let clock = Clock::manual(NOW).in_zone(zone);
    let mut columns = vec![];
    let mut fields = vec![];
    for (i, e) in exprs.iter().enumerate() {
        let compiled = CompiledExpr::new(e, &rows.schema(), &clock).map_err(|e| e.to_string())?;
        let column = compiled.evaluate(rows).map_err(|e| e.to_string())?;
        if column.data_type() != declared.field(i).data_type() {
            return Err(format!("declared {}, evaluated {}", declared.field(i).data_type(), column.data_type()));
        }
        fields.push(Field::new(format!("c{i}"), column.data_type().clone(), true));
        columns.push(column);
    }
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options).map_err(|e| e.to_string())
}

/// The expression with every constant moved to a column of its own. Names of fields stay: they decide the type.
fn hoist(e: &Expr, columns: &mut Vec<Expr>) -> Expr {
    let mut one = |e: &Expr| Box::new(hoist(e, columns));
    match e {
        Expr::Column(i) => Expr::Column(*i),
        Expr::Literal(_) => {
            columns.push(e.clone());
            Expr::Column(columns.len() - 1)
        }
        Expr::Binary { op, left, right } => Expr::Binary { op: *op, left: one(left), right: one(right) },
        Expr::Not(e) => Expr::Not(one(e)),
        Expr::Negate(e) => Expr::Negate(one(e)),
        Expr::IsNull(e) => Expr::IsNull(one(e)),
        Expr::IsNotNull(e) => Expr::IsNotNull(one(e)),
        Expr::IsTrue(e) => Expr::IsTrue(one(e)),
        Expr::IsFalse(e) => Expr::IsFalse(one(e)),
        Expr::Like { expr, pattern, escape, negated, case_insensitive } => Expr::Like {
            expr: one(expr),
            pattern: one(pattern),
            escape: *escape,
            negated: *negated,
            case_insensitive: *case_insensitive,
        },
        Expr::InList { expr, list, negated } => {
            Expr::InList { expr: one(expr), list: list.iter().map(|e| *one(e)).collect(), negated: *negated }
        }
        Expr::Cast { expr, to } => Expr::Cast { expr: one(expr), to: to.clone() },
        Expr::TryCast { expr, to } => Expr::TryCast { expr: one(expr), to: to.clone() },
        Expr::Case { operand, branches, otherwise } => Expr::Case {
            operand: operand.as_ref().map(|e| one(e)),
            branches: branches.iter().map(|(w, t)| (*one(w), *one(t))).collect(),
            otherwise: otherwise.as_ref().map(|e| one(e)),
        },
        Expr::Call { function, args, data_type } => Expr::Call {
            function: function.clone(),
            args: match (function.as_str(), args.as_slice()) {
                ("get_field", [row, name]) => vec![*one(row), name.clone()],
                _ => args.iter().map(|e| *one(e)).collect(),
            },
            data_type: data_type.clone(),
        },
    }
}

/// The expression over `rows` equal rows of columns, and of the same rows cut at `cut`.
fn over_columns(e: &Expr, rows: usize, cut: usize) -> Result<(ArrayRef, ArrayRef), String> {
    let mut constants = vec![];
    let hoisted = hoist(e, &mut constants);
    let empty = Arc::new(Schema::empty());
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
    let nothing = RecordBatch::try_new_with_options(empty, vec![], &options).map_err(|e| e.to_string())?;
    let fields: Vec<Field> =
        constants.iter().map(|c| Field::new("c", c.data_type(&Schema::empty()).unwrap(), true)).collect();
    let batch = project("UTC", &constants, &nothing, &Schema::new(fields))?;
    let clock = Clock::manual(NOW);
    let compiled = CompiledExpr::new(&hoisted, &batch.schema(), &clock).map_err(|e| e.to_string())?;
    let evaluate = |b: &RecordBatch| compiled.evaluate(b).map_err(|e| e.to_string());
    let parts = [evaluate(&batch.slice(0, cut))?, evaluate(&batch.slice(cut, rows - cut))?];
    let parts: Vec<&dyn arrow::array::Array> = parts.iter().map(AsRef::as_ref).collect();
    let joined = arrow::compute::concat(&parts).map_err(|e| e.to_string())?;
    Ok((evaluate(&batch)?, joined))
}

#[test]
fn columns_give_what_constants_give_however_they_are_cut() {
    let mut compared = 0;
    for line in lines().iter().filter(|l| l.zone == "UTC") {
        let expression = &line.expression;
        let Ok(planned) = planned(&line.zone, expression) else { continue };
        let Ok(constant) = run(&planned) else { continue };
        let exprs = planned.nodes.iter().flat_map(|n| match &n.op {
            Op::Project { exprs } | Op::Source { exprs, .. } => exprs.as_slice(),
            _ => &[],
        });
        let Some(e) = exprs.into_iter().find(|e| !matches!(e, Expr::Column(_))) else { continue };
        let (whole, cut) = over_columns(e, 5, 2).unwrap_or_else(|e| panic!("{expression}: {e}"));
        let field = Field::new("v", whole.data_type().clone(), true);
        let wanted = to_display(&constant, 0, &field);
        for row in 0..5 {
            assert_eq!(to_display(&whole, row, &field), wanted, "{expression}, row {row}");
            assert_eq!(to_display(&cut, row, &field), wanted, "{expression}, row {row}, cut");
        }
        compared += 1;
    }
    assert!(compared > 550, "only {compared} expressions were compared");
}

#[test]
fn the_clock_is_the_injected_one() {
    for (expression, data_type, value) in [
        ("CURRENT_TIMESTAMP", "TIMESTAMP_LTZ", "2024-07-01T22:30:05.250Z"),
        ("NOW()", "TIMESTAMP_LTZ", "2024-07-01T22:30:05.250Z"),
        ("CURRENT_ROW_TIMESTAMP()", "TIMESTAMP_LTZ", "2024-07-01T22:30:05.250Z"),
        ("PROCTIME()", "TIMESTAMP_LTZ", "2024-07-01T22:30:05.250Z"),
        ("LOCALTIMESTAMP", "TIMESTAMP", "2024-07-02T00:30:05.250"),
        ("CURRENT_DATE", "DATE", "2024-07-02"),
        ("LOCALTIME", "TIME", "00:30:05"),
        ("CURRENT_TIME", "TIME", "00:30:05"),
        ("UNIX_TIMESTAMP()", "BIGINT", "1719873005"),
        ("DATE_FORMAT(CURRENT_TIMESTAMP, 'yyyy-MM-dd HH:mm')", "STRING", "2024-07-02 00:30"),
        ("CAST(NOW() AS DATE)", "DATE", "2024-07-02"),
    ] {
        let got = evaluate("Europe/Berlin", expression).unwrap_or_else(|e| panic!("{expression}: {e}"));
        assert_eq!(got, (data_type.to_owned(), value.to_owned()), "{expression}");
    }
}

/// Arguments at the end of their range give a value or an error that says what is wrong; nothing panics.
#[test]
fn extreme_arguments_do_not_panic() {
    let (most, least) = ("CAST(9223372036854775807 AS BIGINT)", "(-CAST(9223372036854775807 AS BIGINT) - 1)");
    let mut errors = 0;
    for template in [
        "SUBSTRING('abc', #)",
        "SUBSTRING('abc', 1, #)",
        "LEFT('abc', #)",
        "RIGHT('abc', #)",
        "LPAD('a', #, 'x')",
        "REPEAT('ab', #)",
        "LOCATE('a', 'ba', #)",
        "INSTR('ba', 'a', #)",
        "OVERLAY('abc' PLACING 'x' FROM 1 FOR #)",
        "OVERLAY('abc' PLACING 'x' FROM #)",
        "SPLIT_INDEX('a,b', ',', #)",
        "ELT(#, 'a')",
        "CHR(#)",
        "BIN(#)",
        "HEX(#)",
        "ABS(#)",
        "SIGN(#)",
        "ROUND(#, -3)",
        "ROUND(5, #)",
        "ROUND(1.5E0, #)",
        "TRUNCATE(1.25, #)",
        "MOD(#, -1)",
        "# / -1",
        "# % -1",
        "# * #",
        "FROM_UNIXTIME(#)",
        "TO_TIMESTAMP_LTZ(#, 0)",
        "TO_TIMESTAMP_LTZ(#, 3)",
        "TO_TIMESTAMP_LTZ(#, 9)",
        "TIMESTAMPADD(YEAR, #, DATE '2020-01-01')",
        "TIMESTAMPADD(DAY, #, DATE '2020-01-01')",
        "TIMESTAMPADD(SECOND, #, TIMESTAMP '2020-01-01 00:00:00')",
        "ARRAY_SLICE(ARRAY[1, 2], #)",
        "ARRAY_SLICE(ARRAY[1, 2], 1, #)",
        "REGEXP_EXTRACT('a', 'a', #)",
        "SHA2('a', #)",
        "CAST(# AS DECIMAL(38, 30))",
        "CAST(# AS TINYINT)",
        "CAST(# AS DOUBLE)",
        "POWER(#, 2)",
        "TIMESTAMP '2020-01-01 00:00:00' + INTERVAL '1' DAY * #",
    ] {
        for value in [most, least] {
            if let Err(e) = evaluate("Europe/Berlin", &template.replace('#', value)) {
                assert!(!e.contains("panic") && !e.contains("this is a bug"), "{template}: {e}");
                errors += 1;
            }
        }
    }
    assert!(errors > 5, "only {errors} were refused");
}

/// The documentation names every function, and none that there is not.
#[test]
fn the_manual_lists_every_function() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/functions.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let listed: std::collections::BTreeSet<String> = text
        .lines()
        .filter(|l| l.starts_with("| "))
        .flat_map(|l| l.split('`').skip(1).step_by(2))
        .map(|name| name.split(['(', ' ', '[']).next().unwrap_or_default().to_lowercase())
        .collect();
    for name in sluice_sql::functions::names() {
        assert!(listed.contains(name), "docs/functions.md lacks {}", name.to_uppercase());
    }
}

/// What is wrong; `None` if Flink says the same.
fn difference(line: &Line) -> Option<String> {
    let ours = evaluate(&line.zone, &line.expression);
    match (line.data_type.as_str(), ours) {
        ("ERROR", Err(_)) => None,
        ("ERROR", Ok((t, v))) => Some(format!("Flink refuses it ({}), here {t} {v}", line.value)),
        (_, Err(e)) => Some(format!("Flink: {} {}, here {e}", line.data_type, line.value)),
        (theirs, Ok((t, v))) => {
            let same = v == line.value && t == plain_type(theirs);
            (!same).then(|| format!("Flink: {theirs} {}, here {t} {v}", line.value))
        }
    }
}

#[test]
fn expressions_give_what_flink_gives() {
    let known: BTreeMap<String, String> = read("differences.tsv")
        .lines()
        .filter(|l| !l.starts_with("--") && !l.is_empty())
        .map(|l| l.split_once('\t').unwrap_or_else(|| panic!("a reason is wanted: {l}")))
        .map(|(e, reason)| (e.to_owned(), reason.to_owned()))
        .collect();
    let lines = lines();
    assert!(lines.len() > 600, "only {} expressions", lines.len());
    let mut report = String::new();
    for line in &lines {
        let expression = &line.key();
        match (difference(line), known.get(expression)) {
            (None, None) | (Some(_), Some(_)) => {}
            (Some(d), None) => writeln!(report, "{expression}\n    {d}").unwrap(),
            (None, Some(_)) => {
                writeln!(report, "{expression}\n    differs no more: remove it from differences.tsv").unwrap()
            }
        }
    }
    assert!(report.is_empty(), "{report}");
}
