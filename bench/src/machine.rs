//! What the figures were measured on, and what this process uses of it.

use std::fs;

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|l| l.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn kilobytes(path: &str, name: &str) -> Option<u64> {
    field(path, name)?.split_whitespace().next()?.parse().ok()
}

/// One line: processor, cores, memory, operating system.
pub fn describe() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let memory = kilobytes("/proc/meminfo", "MemTotal").map_or_else(String::new, |k| format!(", {} GB", k >> 20));
    format!("machine: {cores} cores of {model}{memory}, {}", std::env::consts::OS)
}

/// Time for which this thread has really run, in nanoseconds; 0 where the system does not tell. On a shared machine the
/// longest wall time of a batch is the scheduler's, not ours.
pub fn thread_ns() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Resident memory in bytes, 0 where the system does not tell.
pub fn resident() -> u64 {
    kilobytes("/proc/self/status", "VmRSS").unwrap_or(0) << 10
}

/// The highest resident memory since [`forget_peak`].
pub fn peak() -> u64 {
    kilobytes("/proc/self/status", "VmHWM").unwrap_or(0) << 10
}

/// Begins the peak anew, where the system can.
pub fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5"); // Without it the peak is that of the whole run: never too low.
}
