//! The registry of scalar functions: starts empty, and a function enters by name when its meaning is Flink's.
//!
//! The planner looks a function up to type a call, the runtime looks the same name up to evaluate it. All are
//! [`definition::Function`]s of the families below: of DataFusion's own functions few agree with Flink in nulls, indices and
//! result types at once, and none says so. What depends on chance (`RAND()` without a seed, `UUID()`) is refused by not being here: a
//! replay after a crash would see other values. What reads the clock is here for its type only; the runtime answers from the
//! injected clock (see [`clock::ClockFunction`]).
#![allow(clippy::unnecessary_wraps, reason = "functions in a table share one signature")]
#![allow(clippy::single_match_else, reason = "a match shows both ways out side by side")]

mod arrays;
mod calendar;
pub mod clock;
mod collection;
mod conditional;
mod date_pattern;
pub mod definition;
mod hash;
mod json;
mod legacy_hash;
mod math;
mod nested;
mod search;
mod strings;
pub mod text_form;
pub mod time_form;
mod time_text;
pub mod types;
mod url;
mod wall;
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
    let families: [Vec<Function>; 12] = [
        arrays::functions(),
        calendar::functions(),
        clock::functions(),
        collection::functions(),
        conditional::functions(),
        hash::functions(),
        json::functions(),
        math::functions(),
        search::functions(),
        strings::functions(),
        time_text::functions(),
        url::functions(),
    ];
    for function in families.into_iter().flatten() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found_in_any_case() {
        let names = names();
        assert!(names.len() > 150, "{}", names.len());
        for name in &names {
            assert_eq!(*name, name.to_lowercase());
            assert!(scalar(&name.to_uppercase()).is_some());
        }
        assert!(scalar("uuid").is_none() && scalar("rand").is_none() && scalar("random").is_none());
    }

    #[test]
    fn no_name_is_defined_twice() {
        let aliases: usize = names().iter().filter_map(|n| scalar(n)).filter(|f| !f.aliases().is_empty()).count();
        assert!(aliases > 0);
        for name in names() {
            let found = scalar(name).unwrap();
            assert!(found.name() == name || found.aliases().iter().any(|a| a == name), "{name} is {}", found.name());
        }
    }
}
