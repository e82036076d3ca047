//! The live line of `sluice run`: one line on standard error, rewritten a few times a second; only on a terminal.

use crate::deploy::JobMetrics;
use crate::metrics::exposition::CheckpointMetrics;
use std::io::{IsTerminal, Write};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Sums over all tasks at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub records: u64,
    pub bytes: u64,
    pub total_bytes: u64,
    pub bad_records: u64,
    pub late_rows: u64,
    pub state_rows: u64,
    /// The lowest watermark of any operator, ms.
    pub watermark: Option<i64>,
    pub epoch: u64,
}

impl Totals {
    pub fn of(job: &JobMetrics, checkpoints: &CheckpointMetrics) -> Self {
        let mut t = Self { epoch: checkpoints.last_epoch.load(Relaxed), ..Self::default() };
        for (_, _, m) in &job.sources {
            t.records += m.records.get();
            t.bytes += m.bytes.get();
            t.total_bytes += m.total_bytes.get();
            t.bad_records += m.bad_records.get();
        }
        for (_, _, m) in &job.operators {
            t.late_rows += m.late_rows.get();
            t.state_rows += m.state_rows.get();
            if let Some(w) = m.watermark.get() {
                t.watermark = Some(t.watermark.map_or(w, |x| x.min(w)));
            }
        }
        t
    }
}

/// `1234567` → `1,234,567`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// The text of the line.
pub fn line(now: &Totals, rate: u64, elapsed: Duration) -> String {
    let mut s = format!("{:>6.1}s  {} records", elapsed.as_secs_f64(), thousands(now.records));
    if now.total_bytes > 0 {
        s += &format!(" ({}%)", (now.bytes * 100 / now.total_bytes).min(100));
    }
    s += &format!("  {}/s", thousands(rate));
    if let Some(w) = now.watermark.filter(|w| *w < i64::MAX)
        && let Some(t) = chrono::DateTime::from_timestamp_millis(w)
    {
        s += &format!("  watermark {}", t.format("%Y-%m-%d %H:%M:%S"));
    }
    s += &format!("  state {} rows  epoch {}", thousands(now.state_rows), now.epoch);
    if now.late_rows > 0 {
        s += &format!("  late {}", thousands(now.late_rows));
    }
    if now.bad_records > 0 {
        s += &format!("  bad {}", thousands(now.bad_records));
    }
    s
}

/// Draws the line; remembers what is needed for the rate.
#[derive(Debug)]
pub struct ProgressLine {
    live: bool,
    last: Option<(Totals, Duration)>,
    drawn: bool,
}

impl ProgressLine {
    /// Live only where standard error is a terminal.
    pub fn new() -> Self {
        Self { live: std::io::stderr().is_terminal(), last: None, drawn: false }
    }

    pub fn draw(&mut self, now: Totals, elapsed: Duration) {
        let rate = match self.last {
            Some((t, at)) if elapsed > at => {
                ((now.records.saturating_sub(t.records)) as f64 / (elapsed - at).as_secs_f64()) as u64
            }
            _ => 0,
        };
        self.last = Some((now, elapsed));
        if self.live {
            eprint!("\r\x1b[2K{}", line(&now, rate, elapsed));
            let _ = std::io::stderr().flush();
            self.drawn = true;
        }
    }

    /// Takes the line away, so that other text can stand there.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            eprint!("\r\x1b[2K");
            let _ = std::io::stderr().flush();
        }
    }
}

impl Default for ProgressLine {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1000), "1,000");
        assert_eq!(thousands(1234567), "1,234,567");
    }

    #[test]
    fn the_line_says_what_matters() {
        let t =
            Totals { records: 27004, bytes: 50, total_bytes: 100, watermark: Some(0), epoch: 3, ..Totals::default() };
        assert_eq!(
            line(&t, 1000, Duration::from_secs(2)),
            "   2.0s  27,004 records (50%)  1,000/s  watermark 1970-01-01 00:00:00  state 0 rows  epoch 3"
        );
    }
}
