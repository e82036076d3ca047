//! Aggregate functions for the binder: names, argument and result types as Flink has them.
//!
//! They are never executed here: the runtime has its own, and DataFusion's cannot retract.

use crate::ddl::types::flink_name;
use arrow_schema::DataType;
use datafusion_common::{Result, not_impl_err, plan_err};
use datafusion_expr::function::AccumulatorArgs;
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use sluice_core::plan::AggregateFunction;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use AggregateFunction as F;

const NAMES: &[(&str, AggregateFunction)] = &[
    ("count", F::Count),
    ("sum", F::Sum),
    ("avg", F::Avg),
    ("min", F::Min),
    ("max", F::Max),
    ("first_value", F::FirstValue),
    ("last_value", F::LastValue),
    ("listagg", F::ListAgg),
    ("stddev_pop", F::StddevPop),
    ("stddev_samp", F::StddevSamp),
    ("stddev", F::StddevSamp),
    ("var_pop", F::VarPop),
    ("var_samp", F::VarSamp),
    ("variance", F::VarSamp),
    ("collect", F::Collect),
    ("array_agg", F::Collect),
    ("bool_and", F::BoolAnd),
    ("every", F::BoolAnd),
    ("bool_or", F::BoolOr),
];

static FUNCTIONS: LazyLock<BTreeMap<&'static str, Arc<AggregateUDF>>> = LazyLock::new(|| {
    let make = |(name, function): &(&'static str, F)| {
        let signature = Signature::user_defined(Volatility::Immutable);
        (*name, Arc::new(AggregateUDF::new_from_impl(Declared { name, function: *function, signature })))
    };
    NAMES.iter().map(make).collect()
});

pub(crate) fn find(name: &str) -> Option<Arc<AggregateUDF>> {
    FUNCTIONS.get(name.to_lowercase().as_str()).cloned()
}

pub(crate) fn names() -> Vec<String> {
    NAMES.iter().map(|(n, _)| (*n).to_owned()).collect()
}

/// What a bound aggregate is to the runtime.
pub(crate) fn function(name: &str) -> Option<AggregateFunction> {
    NAMES.iter().find(|(n, _)| *n == name).map(|(_, f)| *f)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Declared {
    name: &'static str,
    function: AggregateFunction,
    signature: Signature,
}

impl AggregateUDFImpl for Declared {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        Ok(result_type(self.function, args))
    }

    fn is_nullable(&self) -> bool {
        self.function != F::Count
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        check(self.name, self.function, args)
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        not_impl_err!("aggregates are not executed by the planner")
    }
}

/// Flink: a SUM has its argument's type (decimals widen to 38 digits), an AVG too.
fn result_type(f: AggregateFunction, args: &[DataType]) -> DataType {
    let first = args.first().cloned().unwrap_or(DataType::Null);
    match f {
        F::Count => DataType::Int64,
        F::Sum => match first {
            DataType::Decimal128(_, s) => DataType::Decimal128(38, s),
            other => other,
        },
        F::Avg => match first {
            DataType::Decimal128(_, s) => DataType::Decimal128(38, s.max(6)),
            other => other,
        },
        F::Min | F::Max | F::FirstValue | F::LastValue => first,
        F::ListAgg => DataType::Utf8,
        F::StddevPop | F::StddevSamp | F::VarPop | F::VarSamp => first,
        F::Collect => DataType::List(Arc::new(arrow_schema::Field::new("item", first, true))),
        F::BoolAnd | F::BoolOr => DataType::Boolean,
    }
}

/// The types that the arguments must be cast to.
fn check(name: &str, f: AggregateFunction, args: &[DataType]) -> Result<Vec<DataType>> {
    let upper = name.to_uppercase();
    let wrong = |want: &str| {
        let got: Vec<String> = args.iter().map(flink_name).collect();
        plan_err!("{upper}({}) does not exist: it takes {want}", got.join(", "))
    };
    let one = match (f, args) {
        (F::Count, _) => return Ok(args.to_vec()),
        (F::ListAgg, [a] | [a, _]) if matches!(a, DataType::Utf8 | DataType::Null) => {
            return Ok(vec![DataType::Utf8; args.len()]);
        }
        (F::ListAgg, _) => return wrong("a STRING and a constant separator"),
        (_, [one]) => one.clone(),
        _ => return wrong("one argument"),
    };
    Ok(vec![match f {
        F::Sum | F::Avg if one.is_numeric() => one,
        F::StddevPop | F::StddevSamp | F::VarPop | F::VarSamp if one.is_numeric() => DataType::Float64,
        F::Sum | F::Avg | F::StddevPop | F::StddevSamp | F::VarPop | F::VarSamp => return wrong("a number"),
        F::Min | F::Max if one.is_nested() || one == DataType::Binary => return wrong("a value that can be compared"),
        F::BoolAnd | F::BoolOr if one != DataType::Boolean => return wrong("a BOOLEAN"),
        _ => one,
    }])
}
