//! Calls of registered functions, and the clock.

use super::node::{Evaluated, Node, Operand, Rows, failed};
use crate::clock::Clock;
use arrow::array::{ArrayRef, Date32Array, Int64Array, Time32MillisecondArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, FieldRef};
use datafusion_common::ScalarValue;
use datafusion_common::config::ConfigOptions;
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF};
use sluice_sql::functions::clock::ClockFunction;
use sluice_sql::functions::zone::Zone;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Call {
    pub name: String,
    pub udf: Arc<ScalarUDF>,
    pub args: Vec<Node>,
    pub arg_fields: Vec<FieldRef>,
    pub return_field: FieldRef,
    pub config: Arc<ConfigOptions>,
}

impl Call {
    pub fn evaluate(&self, rows: &Rows) -> Evaluated {
        let mut args = Vec::with_capacity(self.args.len());
        for arg in &self.args {
            let v = arg.evaluate(rows)?;
            args.push(if v.constant {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&v.array, 0).map_err(|e| self.failed(&e))?)
            } else {
                ColumnarValue::Array(v.array)
            });
        }
        let result = self.udf.invoke_with_args(ScalarFunctionArgs {
            args,
            arg_fields: self.arg_fields.clone(),
            number_rows: rows.count(),
            return_field: self.return_field.clone(),
            config_options: self.config.clone(),
        });
        match result.map_err(|e| self.failed(&e))? {
            ColumnarValue::Array(array) => Ok(Operand::column(array)),
            ColumnarValue::Scalar(value) => Ok(Operand::constant(value.to_array().map_err(|e| self.failed(&e))?)),
        }
    }

    fn failed(&self, error: &datafusion_common::DataFusionError) -> crate::operator::OperatorError {
        failed(format!("function {}", self.name.to_uppercase()), error.strip_backtrace())
    }
}

/// One reading per batch: rows of a batch are processed at the same instant.
#[derive(Debug)]
pub(super) struct ClockCall {
    pub function: ClockFunction,
    pub clock: Clock,
    pub data_type: DataType,
}

impl ClockCall {
    pub fn evaluate(&self) -> Operand {
        let now = self.clock.now().0;
        let offset = Zone::parse(self.clock.zone()).unwrap_or(Zone::UTC).offset_at(now.div_euclid(1000));
        let ms = match self.function {
            ClockFunction::Instant | ClockFunction::UnixSeconds => now,
            _ => now + offset * 1000,
        };
        let array: ArrayRef = match self.function {
            ClockFunction::Instant | ClockFunction::LocalTimestamp => {
                Arc::new(TimestampMillisecondArray::from(vec![ms]).with_timezone_opt(zone(&self.data_type)))
            }
            ClockFunction::CurrentDate => Arc::new(Date32Array::from(vec![ms.div_euclid(86_400_000) as i32])),
            ClockFunction::LocalTime => {
                // TIME(0): whole seconds.
                Arc::new(Time32MillisecondArray::from(vec![(ms.rem_euclid(86_400_000) / 1000 * 1000) as i32]))
            }
            ClockFunction::UnixSeconds => Arc::new(Int64Array::from(vec![ms.div_euclid(1000)])),
        };
        Operand::constant(array)
    }
}

fn zone(data_type: &DataType) -> Option<Arc<str>> {
    match data_type {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    }
}
