//! Functions that read the clock. Here they have names and types only: this crate has no clock, the runtime has, and a task
//! answers them from the injected one.

use super::definition::{Call, Function, Returns};
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion_common::{Result, exec_err};

/// What a call without arguments asks of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockFunction {
    /// TIMESTAMP_LTZ(3): `NOW`, `CURRENT_TIMESTAMP`, `CURRENT_ROW_TIMESTAMP`, `PROCTIME`.
    Instant,
    /// TIMESTAMP(3) in the session zone: `LOCALTIMESTAMP`.
    LocalTimestamp,
    /// DATE in the session zone.
    CurrentDate,
    /// TIME(0) in the session zone: `CURRENT_TIME`, `LOCALTIME`.
    LocalTime,
    /// BIGINT seconds: `UNIX_TIMESTAMP()`.
    UnixSeconds,
}

impl ClockFunction {
    /// By canonical name and number of arguments; `None` for everything that does not read the clock.
    pub fn of(name: &str, args: usize) -> Option<Self> {
        Some(match name {
            "unix_timestamp" if args == 0 => Self::UnixSeconds,
            _ if args > 0 => return None,
            "now" | "current_timestamp" | "current_row_timestamp" | "proctime" => Self::Instant,
            "localtimestamp" => Self::LocalTimestamp,
            "current_date" => Self::CurrentDate,
            "current_time" | "localtime" => Self::LocalTime,
            _ => return None,
        })
    }
}

pub(super) fn functions() -> Vec<Function> {
    let instant = || Returns::Type(DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())));
    let local = Returns::Type(DataType::Timestamp(TimeUnit::Millisecond, None));
    let time = || Returns::Type(DataType::Time32(TimeUnit::Millisecond));
    let mut all = vec![
        Function::new("now", &[], instant(), refuse),
        Function::new("current_timestamp", &[], instant(), refuse),
        Function::new("current_row_timestamp", &[], instant(), refuse),
        Function::new("proctime", &[], instant(), refuse),
        Function::new("localtimestamp", &[], local, refuse),
        Function::new("current_date", &[], Returns::Type(DataType::Date32), refuse),
        Function::new("current_time", &[], time(), refuse),
        Function::new("localtime", &[], time(), refuse),
    ];
    for f in &mut all {
        f.deterministic = false;
    }
    all
}

fn refuse(call: &Call) -> Result<ArrayRef> {
    exec_err!("{} reads the clock and has no value outside a running task", call.function.to_uppercase())
}
