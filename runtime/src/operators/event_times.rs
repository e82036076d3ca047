//! Time columns as milliseconds, and which clock they belong to.

use crate::operator::OperatorError;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::*;
use sluice_core::plan::{TimeDomain, is_processing_time};

/// A time column in milliseconds. A NULL has no window: its row is treated as late, at the epoch.
pub(super) struct EventTimes {
    ms: ScalarBuffer<i64>,
    nulls: Option<NullBuffer>,
}

impl EventTimes {
    pub(super) fn read(column: &ArrayRef, operator: &'static str) -> Result<Self, OperatorError> {
        fn scaled<T: ArrowTimestampType>(column: &ArrayRef, f: impl Fn(i64) -> i64) -> ScalarBuffer<i64> {
            column.as_primitive::<T>().values().iter().map(|&v| f(v)).collect()
        }
        let ms = match column.data_type() {
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                column.as_primitive::<TimestampMillisecondType>().values().clone()
            }
            DataType::Timestamp(TimeUnit::Second, _) => {
                scaled::<TimestampSecondType>(column, |v| v.saturating_mul(1000))
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                scaled::<TimestampMicrosecondType>(column, |v| v.div_euclid(1000))
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                scaled::<TimestampNanosecondType>(column, |v| v.div_euclid(1_000_000))
            }
            other => return Err(OperatorError::Unsupported { operator, data_type: other.to_string() }),
        };
        Ok(Self { ms, nulls: column.nulls().filter(|n| n.null_count() > 0).cloned() })
    }

    #[inline(always)]
    pub(super) fn get(&self, row: usize) -> Option<i64> {
        if self.nulls.as_ref().is_some_and(|n| n.is_null(row)) { None } else { Some(self.ms[row]) }
    }

    /// For the late rows' own output.
    pub(super) fn or_epoch(&self) -> Vec<i64> {
        (0..self.ms.len()).map(|row| self.get(row).unwrap_or(0)).collect()
    }
}

/// Which clock the column belongs to.
pub(super) fn domain_of(field: &Field) -> TimeDomain {
    if is_processing_time(field) { TimeDomain::Processing } else { TimeDomain::Event }
}
