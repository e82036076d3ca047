//! Durations as users write them: `100ms`, `10s`, `5m`, `1h30m`.
//!
//! The grammar is the one that the API server checks (`^([0-9]+(ms|s|m|h))+$`, at most 32 characters), so a text that passes
//! here passes there. Fractions and signs are refused.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A span of time in whole milliseconds. Serialised in its shortest form, so two spellings of one span compare equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(u64);

const SECOND_MS: u64 = 1000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// The longest text that the API server takes.
const LENGTH_MAX: usize = 32;

impl Duration {
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    pub const fn from_secs(s: u64) -> Self {
        Self(s * SECOND_MS)
    }

    pub const fn from_mins(m: u64) -> Self {
        Self(m * MINUTE_MS)
    }

    pub const fn from_hours(h: u64) -> Self {
        Self(h * HOUR_MS)
    }

    pub const fn as_millis(self) -> u64 {
        self.0
    }
}

impl From<Duration> for std::time::Duration {
    fn from(d: Duration) -> Self {
        Self::from_millis(d.0)
    }
}

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    #[error("invalid duration '{0}': expected numbers with units ms, s, m or h, for example '10s' or '1h30m'")]
    Syntax(String),
    #[error("invalid duration '{0}': longer than {LENGTH_MAX} characters")]
    TooLong(String),
    #[error("invalid duration '{0}': too large")]
    Overflow(String),
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        if text.len() > LENGTH_MAX {
            return Err(DurationError::TooLong(text.to_owned()));
        }
        let syntax = || DurationError::Syntax(text.to_owned());
        let overflow = || DurationError::Overflow(text.to_owned());
        if text.is_empty() {
            return Err(syntax());
        }
        let mut rest = text;
        let mut ms = 0u64;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            if number.is_empty() {
                return Err(syntax());
            }
            // `ms` before `m`: the longer unit first.
            let (unit, tail) = [("ms", 1), ("s", SECOND_MS), ("m", MINUTE_MS), ("h", HOUR_MS)]
                .into_iter()
                .find_map(|(name, unit)| tail.strip_prefix(name).map(|t| (unit, t)))
                .ok_or_else(syntax)?;
            let part = number.parse::<u64>().map_err(|_| overflow())?.checked_mul(unit).ok_or_else(overflow)?;
            ms = ms.checked_add(part).ok_or_else(overflow)?;
            rest = tail;
        }
        Ok(Self(ms))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (name, unit) in [("h", HOUR_MS), ("m", MINUTE_MS), ("s", SECOND_MS), ("ms", 1)] {
            if rest >= unit {
                write!(f, "{}{name}", rest / unit)?;
                rest %= unit;
            }
        }
        Ok(())
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Duration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration with a unit, for example '10s'")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Duration, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_spans() {
        for (text, ms, canonical) in [
            ("100ms", 100, "100ms"),
            ("10s", 10_000, "10s"),
            ("5m", 300_000, "5m"),
            ("90s", 90_000, "1m30s"),
            ("1h30m", 5_400_000, "1h30m"),
            ("1m1ms", 60_001, "1m1ms"),
            ("24h", 86_400_000, "24h"),
            ("0s", 0, "0s"),
        ] {
            let d: Duration = text.parse().unwrap();
            assert_eq!(d.as_millis(), ms, "{text}");
            assert_eq!(d.to_string(), canonical);
            assert_eq!(canonical.parse::<Duration>().unwrap(), d);
        }
    }

    #[test]
    fn what_is_not_a_duration() {
        for text in ["", "10", "s", "10 s", "-1s", "1.5s", "10d", "10S", "1sm", "s1"] {
            assert_eq!(text.parse::<Duration>(), Err(DurationError::Syntax(text.to_owned())));
        }
        assert!(matches!("99999999999999999999ms".parse::<Duration>(), Err(DurationError::Overflow(_))));
        assert!(matches!("9999999999999999999h".parse::<Duration>(), Err(DurationError::Overflow(_))));
        assert!(matches!("1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s".parse::<Duration>(), Err(DurationError::TooLong(_))));
    }
}
