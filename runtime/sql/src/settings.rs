//! `SET 'key' = 'value'`: the known keys and the values that the planner itself reads.

use crate::errors::{Outcome, Refusal};
use crate::suggest::did_you_mean;
use sluice_core::plan::{TimeDomain, Ttl};
use std::collections::BTreeMap;

/// Every key that is accepted, and what its value is. The runtime reads the rest from `Plan::settings`.
pub const KNOWN: &[(&str, Kind)] = &[
    ("execution.checkpointing.interval", Kind::Duration),
    ("execution.checkpointing.mode", Kind::OneOf(&["EXACTLY_ONCE", "AT_LEAST_ONCE", "AT_MOST_ONCE"])),
    ("execution.checkpointing.timeout", Kind::Duration),
    ("execution.runtime-mode", Kind::OneOf(&["STREAMING"])),
    ("parallelism.default", Kind::Count),
    ("pipeline.max-parallelism", Kind::Count),
    ("pipeline.name", Kind::Text),
    ("sql-client.execution.result-mode", Kind::OneOf(&["TABLE", "CHANGELOG", "TABLEAU"])),
    ("state.checkpoints.num-retained", Kind::Count),
    ("table.dml-sync", Kind::OneOf(&["TRUE", "FALSE"])),
    ("table.exec.emit.batch-size", Kind::Count),
    ("table.exec.mini-batch.allow-latency", Kind::Duration),
    ("table.exec.mini-batch.enabled", Kind::OneOf(&["TRUE", "FALSE"])),
    ("table.exec.mini-batch.size", Kind::Count),
    ("table.exec.resource.default-parallelism", Kind::Count),
    ("table.exec.sink.not-null-enforcer", Kind::OneOf(&["ERROR", "DROP"])),
    ("table.exec.source.idle-timeout", Kind::Duration),
    ("table.exec.state.ttl", Kind::Duration),
    ("table.exec.state.ttl.domain", Kind::OneOf(&["EVENT-TIME", "PROCESSING-TIME"])),
    ("table.exec.window.allow-lateness", Kind::Duration),
    ("table.local-time-zone", Kind::TimeZone),
    ("table.optimizer.agg-phase-strategy", Kind::Text),
];

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Count,
    Duration,
    TimeZone,
    /// Upper case; compared without regard to case.
    OneOf(&'static [&'static str]),
}

/// The settings of a script as they stand at one statement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub values: BTreeMap<String, String>,
}

impl Settings {
    pub(crate) fn set(&mut self, key: &str, value: &str) -> Outcome<()> {
        let Some((_, kind)) = KNOWN.iter().find(|(k, _)| *k == key) else {
            let r = Refusal::new(format!("unknown setting '{key}'")).near(key);
            return Err(match did_you_mean(key, KNOWN.iter().map(|(k, _)| *k)) {
                Some(h) => r.hint(h),
                None => r.hint("the known settings are listed in the documentation"),
            });
        };
        check_value(key, value, *kind)?;
        self.values.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    /// State of non-windowed operators; none or zero means for ever.
    pub(crate) fn ttl(&self) -> Option<Ttl> {
        let ms = self.values.get("table.exec.state.ttl").and_then(|v| duration_ms(v))?;
        (ms > 0).then_some(Ttl { ms, domain: self.ttl_domain() })
    }

    pub(crate) fn ttl_domain(&self) -> TimeDomain {
        match self.values.get("table.exec.state.ttl.domain") {
            Some(d) if d.eq_ignore_ascii_case("event-time") => TimeDomain::Event,
            _ => TimeDomain::Processing,
        }
    }

    pub(crate) fn idle_timeout_ms(&self) -> Option<u64> {
        self.values.get("table.exec.source.idle-timeout").and_then(|v| duration_ms(v)).filter(|ms| *ms > 0)
    }

    pub(crate) fn time_zone(&self) -> &str {
        self.values.get("table.local-time-zone").map_or("UTC", String::as_str)
    }
}

fn check_value(key: &str, value: &str, kind: Kind) -> Outcome<()> {
    let bad = |want: String| Err(Refusal::new(format!("setting '{key}' cannot be '{value}'")).near(value).hint(want));
    match kind {
        Kind::Text => Ok(()),
        Kind::Count if value.parse::<i64>().is_ok_and(|n| n != 0) => Ok(()),
        Kind::Count => bad("a whole number, such as 4".to_owned()),
        Kind::Duration if duration_ms(value).is_some() => Ok(()),
        Kind::Duration => bad("a duration, such as '500 ms', '10 s' or '1 h'".to_owned()),
        Kind::TimeZone if value.parse::<chrono_tz::Tz>().is_ok() => Ok(()),
        Kind::TimeZone => bad("a time zone such as 'UTC' or 'Europe/Berlin'".to_owned()),
        Kind::OneOf(known) if known.iter().any(|k| k.eq_ignore_ascii_case(value)) => Ok(()),
        Kind::OneOf(known) => bad(format!("one of {}", known.join(", ").to_lowercase())),
    }
}

/// Flink's duration texts: `500 ms`, `10s`, `1 h`, `2 days`; a bare number is milliseconds.
pub fn duration_ms(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit = text[digits..].trim().to_lowercase();
    let ms = match unit.as_str() {
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1,
        "s" | "sec" | "secs" | "second" | "seconds" => 1000,
        "m" | "min" | "minute" | "minutes" => 60_000,
        "h" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        // Shorter than the engine's millisecond: round down as Flink's `Duration.toMillis`.
        "ns" | "nano" | "nanos" | "nanosecond" | "nanoseconds" => return Some(number / 1_000_000),
        "µs" | "us" | "micro" | "micros" | "microsecond" | "microseconds" => return Some(number / 1000),
        _ => return None,
    };
    number.checked_mul(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_flinks() {
        for (text, ms) in
            [("500 ms", 500), ("10s", 10_000), ("1 h", 3_600_000), ("2 days", 172_800_000), ("7", 7), ("0 s", 0)]
        {
            assert_eq!(duration_ms(text), Some(ms), "{text}");
        }
        for text in ["", "h", "1 fortnight", "-1 s", "99999999999999999 d"] {
            assert_eq!(duration_ms(text), None, "{text}");
        }
    }

    #[test]
    fn unknown_settings_name_the_nearest() {
        let mut s = Settings::default();
        let e = s.set("table.exec.stat.ttl", "1 h").unwrap_err();
        assert_eq!(e.hint.unwrap(), "did you mean 'table.exec.state.ttl'?");
        assert!(s.set("table.exec.state.ttl", "soon").is_err());
        s.set("table.exec.state.ttl", "1 h").unwrap();
        assert_eq!(s.ttl(), Some(Ttl { ms: 3_600_000, domain: TimeDomain::Processing }));
    }
}
