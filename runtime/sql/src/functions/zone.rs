//! Time zones: names of the IANA database and fixed offsets, as Flink's `table.local-time-zone` takes them.

use chrono::{LocalResult, NaiveDateTime, Offset, TimeZone};

/// A zone that local times are read and written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// Seconds east of UTC.
    Fixed(i64),
    Named(chrono_tz::Tz),
}

impl Zone {
    pub const UTC: Self = Self::Fixed(0);

    /// `UTC`, `Europe/Berlin`, `+02:00`, `GMT+2`, `GMT-08:00`. `None`: no such zone.
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.trim();
        if matches!(name, "Z" | "UTC" | "GMT") {
            return Some(Self::UTC);
        }
        let offset = name.strip_prefix("GMT").or_else(|| name.strip_prefix("UTC")).unwrap_or(name);
        if let Some(rest) = offset.strip_prefix(['+', '-']) {
            let (h, m) = rest.split_once(':').unwrap_or((rest, "0"));
            let (h, m): (i64, i64) = (h.parse().ok()?, m.parse().ok()?);
            if h > 18 || m > 59 {
                return None;
            }
            let seconds = h * 3600 + m * 60;
            return Some(Self::Fixed(if offset.starts_with('-') { -seconds } else { seconds }));
        }
        name.parse().ok().map(Self::Named)
    }

    /// Seconds to add to UTC at this instant.
    pub fn offset_at(self, epoch_seconds: i64) -> i64 {
        match self {
            Self::Fixed(offset) => offset,
            Self::Named(tz) => match naive(epoch_seconds) {
                Some(utc) => i64::from(tz.offset_from_utc_datetime(&utc).fix().local_minus_utc()),
                None => 0,
            },
        }
    }

    /// The instant of a local time given as seconds since 1970-01-01 00:00 on the wall. Of two, the earlier one (as Java
    /// does); a time that the clock skips is moved on by the length of the gap.
    pub fn to_utc(self, local_seconds: i64) -> i64 {
        self.resolve(local_seconds, false)
    }

    /// The same, but of two instants the later one (standard time), as `SimpleDateFormat` does.
    pub fn to_utc_late(self, local_seconds: i64) -> i64 {
        self.resolve(local_seconds, true)
    }

    fn resolve(self, local_seconds: i64, late: bool) -> i64 {
        let Self::Named(tz) = self else {
            return local_seconds - self.offset_at(0);
        };
        let Some(local) = naive(local_seconds) else { return local_seconds };
        match tz.offset_from_local_datetime(&local) {
            LocalResult::Single(o) => local_seconds - i64::from(o.fix().local_minus_utc()),
            LocalResult::Ambiguous(early, other) => {
                local_seconds - i64::from(if late { other } else { early }.fix().local_minus_utc())
            }
            // The offset before the gap: Java's `ZonedDateTime.ofLocal`.
            LocalResult::None => local_seconds - self.offset_at(local_seconds - 86_400),
        }
    }
}

fn naive(seconds: i64) -> Option<NaiveDateTime> {
    chrono::DateTime::from_timestamp(seconds, 0).map(|t| t.naive_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_offsets_are_read() {
        assert_eq!(Zone::parse("UTC"), Some(Zone::UTC));
        assert_eq!(Zone::parse("+02:00"), Some(Zone::Fixed(7200)));
        assert_eq!(Zone::parse("GMT-08:30"), Some(Zone::Fixed(-30_600)));
        assert!(matches!(Zone::parse("Europe/Berlin"), Some(Zone::Named(_))));
        assert_eq!(Zone::parse("Europe/Nowhere"), None);
    }

    #[test]
    fn daylight_saving_gaps_and_overlaps_are_resolved_as_java_does() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        // 2024-03-31 02:30 does not exist: 03:30 CEST = 01:30 UTC.
        let local = 1_711_852_200;
        assert_eq!(berlin.to_utc(local), local - 3600);
        // 2024-10-27 02:30 exists twice: the summer one.
        let local = 1_729_996_200;
        assert_eq!(berlin.to_utc(local), local - 7200);
        assert_eq!(berlin.offset_at(1_704_067_200), 3600);
    }
}
