//! The registry of scalar functions: starts empty, and a function enters by name when its meaning is Flink's.
//!
//! The planner looks a function up to type a call, the runtime looks the same name up to evaluate it. DataFusion's own
//! functions are taken only where nulls, indices and result types agree with Flink; the others are [`definition::Function`]s
//! of one of the families below. What depends on chance (`RAND()` without a seed, `UUID()`) is refused by not being here: a
//! replay after a crash would see other values. What reads the clock is here for its type only; the runtime answers from the
//! injected clock (see [`clock::ClockFunction`]).

pub mod clock;
pub mod definition;
mod strings;
pub mod text_form;
pub mod time_form;
pub mod zone;

use datafusion_expr::ScalarUDF;
use definition::Function;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

struct Registry {
    /// Lower-case name or alias → function.
    by_name: HashMap<&'static str, Arc<ScalarUDF>>,
    /// Sorted.
    names: Vec<&'static str>,
}

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let mut by_name = HashMap::new();
    let own: Vec<Function> = [strings::functions(), clock::functions()].into_iter().flatten().collect();
    for function in own {
        let names: Vec<&'static str> = std::iter::once(function.name).chain(function.aliases.iter().copied()).collect();
        let udf = Arc::new(definition::scalar_udf(function));
        for name in names {
            by_name.insert(name, udf.clone());
        }
    }
    let mut names: Vec<&'static str> = by_name.keys().copied().collect();
    names.sort_unstable();
    Registry { by_name, names }
});

/// The function of this name, in any case; aliases too. `None`: Flink has none, or its meaning is not provided.
pub fn scalar(name: &str) -> Option<Arc<ScalarUDF>> {
    REGISTRY.by_name.get(name.to_ascii_lowercase().as_str()).cloned()
}

/// All names and aliases, lower-case and sorted, for "did you mean".
pub fn names() -> Vec<&'static str> {
    REGISTRY.names.clone()
}
