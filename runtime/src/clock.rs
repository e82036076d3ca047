//! The one place that reads the machine's clocks and draws random ids; everything else takes them as inputs.

use sluice_core::id::WriterId;
use sluice_core::time::ProcTime;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall-clock and monotonic time of one process, and the zone that its wall clock shows. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
    zone: Arc<str>,
}

#[derive(Clone, Debug)]
enum Source {
    System { origin: Instant },
    Manual(Arc<AtomicI64>),
}

impl Clock {
    #[allow(clippy::disallowed_methods, reason = "this module provides time to all others")]
    pub fn system() -> Self {
        Self { source: Source::System { origin: Instant::now() }, zone: "UTC".into() }
    }

    /// A clock that moves only by [`Clock::set`]: processing-time windows in tests.
    pub fn manual(now: ProcTime) -> Self {
        Self { source: Source::Manual(Arc::new(AtomicI64::new(now.0))), zone: "UTC".into() }
    }

    /// The session's time zone (`table.local-time-zone`): what local times and TIMESTAMP_LTZ mean in expressions. It does not
    /// change any instant.
    pub fn in_zone(mut self, zone: &str) -> Self {
        self.zone = zone.into();
        self
    }

    pub fn zone(&self) -> &Arc<str> {
        &self.zone
    }

    /// Moves a manual clock; a system clock is not affected.
    pub fn set(&self, now: ProcTime) {
        if let Source::Manual(ms) = &self.source {
            ms.store(now.0, Ordering::Release);
        }
    }

    /// Milliseconds since the Unix epoch.
    #[allow(clippy::disallowed_methods, reason = "this module provides time to all others")]
    pub fn now(&self) -> ProcTime {
        match &self.source {
            Source::System { .. } => {
                ProcTime(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64)
            }
            Source::Manual(ms) => ProcTime(ms.load(Ordering::Acquire)),
        }
    }

    /// Never goes back; only differences mean something.
    #[allow(clippy::disallowed_methods, reason = "this module provides time to all others")]
    pub fn elapsed(&self) -> Duration {
        match &self.source {
            Source::System { origin } => origin.elapsed(),
            Source::Manual(ms) => Duration::from_millis(ms.load(Ordering::Acquire).max(0) as u64),
        }
    }
}

/// A fresh random 128-bit id of this process.
pub fn random_writer_id() -> WriterId {
    WriterId(random_hex())
}

/// 128 random bits as 32 lower-case hex digits.
pub fn random_hex() -> String {
    let mut b = [0u8; 16];
    getrandom::fill(&mut b).expect("the operating system provides randomness");
    b.iter().map(|x| format!("{x:02x}")).collect()
}
