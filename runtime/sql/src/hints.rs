//! Hints in comments: `/*+ STATE_TTL('a' = '1d', 'b' = '12h') */`, for all of a statement.

use crate::errors::{Outcome, Refusal};
use crate::settings::duration_ms;
use crate::suggest::did_you_mean;
use datafusion_sql::sqlparser::tokenizer::Location;
use std::collections::BTreeMap;

/// The hints of one statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hints {
    state_ttl_ms: BTreeMap<String, u64>,
}

impl Hints {
    pub(crate) fn parse(texts: &[(String, Location)]) -> Outcome<Self> {
        let mut hints = Self::default();
        for (text, place) in texts {
            hints.one(text).map_err(|r| r.at(*place))?;
        }
        Ok(hints)
    }

    /// For the relation of this alias or table name.
    pub(crate) fn ttl_ms(&self, name: &str) -> Option<u64> {
        self.state_ttl_ms.get(name).copied()
    }

    fn one(&mut self, text: &str) -> Outcome<()> {
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (name, after) = rest.split_once('(').unwrap_or((rest, ""));
            let (args, next) = after.split_once(')').unwrap_or((after, ""));
            if !name.trim().eq_ignore_ascii_case("STATE_TTL") {
                let hint = did_you_mean(name.trim(), ["STATE_TTL"]).unwrap_or_default();
                return Err(Refusal::new(format!("hint {} is not supported", name.trim())).hint(hint));
            }
            for pair in args.split(',') {
                self.state_ttl(pair)?;
            }
            rest = next.trim_start_matches([',', ' ', '\n', '\t', '\r']);
        }
        Ok(())
    }

    fn state_ttl(&mut self, pair: &str) -> Outcome<()> {
        let usage = || {
            Refusal::new(format!("hint STATE_TTL cannot be read: {}", pair.trim()))
                .hint("/*+ STATE_TTL('alias' = '1d') */")
        };
        let (alias, ttl) = pair.split_once('=').ok_or_else(usage)?;
        let unquoted = |s: &str| s.trim().trim_matches(['\'', '"', '`']).to_owned();
        let ms = duration_ms(&unquoted(ttl)).ok_or_else(usage)?;
        self.state_ttl_ms.insert(unquoted(alias), ms);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_ttl_is_read_per_alias() {
        let at = Location::new(1, 1);
        let h = Hints::parse(&[("STATE_TTL('a' = '1d', 'b'='500 ms')".to_owned(), at)]).unwrap();
        assert_eq!((h.ttl_ms("a"), h.ttl_ms("b"), h.ttl_ms("c")), (Some(86_400_000), Some(500), None));
        assert!(Hints::parse(&[("BROADCAST(a)".to_owned(), at)]).is_err());
        assert!(Hints::parse(&[("STATE_TTL('a')".to_owned(), at)]).is_err());
    }
}
