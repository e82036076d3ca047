//! One column of `datagen`: its options, and its values.

use crate::connector::ConnectorError;
use crate::connectors::generated::{below, draw, unit};
use crate::connectors::options::Options;
use arrow::array::*;
use arrow::compute::cast;
use arrow::datatypes::*;
use arrow_schema::SchemaRef;
use std::sync::Arc;

/// As in Flink: strings of 100 characters.
const LENGTH: u64 = 100;
const LENGTH_MAX: u64 = 1 << 20;

const SETTINGS: &[&str] = &["kind", "start", "end", "min", "max", "max-past", "length", "var-len", "null-rate"];

/// How a column is filled.
pub(super) struct Field {
    data_type: DataType,
    kind: Kind,
    null_rate: f64,
}

enum Kind {
    Sequence {
        start: i64,
        end: i64,
    },
    Integer {
        min: i64,
        max: i64,
    },
    Real {
        min: f64,
        max: f64,
    },
    Boolean,
    Text {
        length: u64,
        varies: bool,
    },
    /// Milliseconds before the present.
    Past {
        max_ms: u64,
    },
    Row(Vec<Field>),
}

/// Refuses `fields.<column>.<setting>` of columns or settings that there are not.
pub(super) fn check_names(options: &Options<'_>, schema: &SchemaRef) -> Result<(), ConnectorError> {
    for key in options.table.options.keys().filter(|k| k.starts_with("fields.")) {
        let rest = &key["fields.".len()..];
        let known = |f: &Arc<arrow_schema::Field>| {
            rest.strip_prefix(f.name().as_str()).and_then(|r| r.strip_prefix('.')).is_some_and(|setting| {
                let nested = matches!(f.data_type(), DataType::Struct(_));
                SETTINGS.contains(&setting)
                    || (nested && setting.rsplit('.').next().is_some_and(|s| SETTINGS.contains(&s)))
            })
        };
        if !schema.fields().iter().any(known) {
            let columns: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
            return Err(options.invalid(format!(
                "unknown option '{key}': it must be 'fields.<column>.<setting>' with a column of the table ({}) and one of {}",
                columns.join(", "),
                SETTINGS.join(", ")
            )));
        }
    }
    Ok(())
}

impl Field {
    pub(super) fn parse(options: &Options<'_>, prefix: &str, data_type: &DataType) -> Result<Self, ConnectorError> {
        let key = |setting: &str| format!("{prefix}.{setting}");
        let null_rate = options.f64(&key("null-rate"))?.unwrap_or(0.0);
        if !(0.0..=1.0).contains(&null_rate) {
            return Err(options.invalid(format!("option '{}' must be 0 to 1", key("null-rate"))));
        }
        let sequence = options.one_of(&key("kind"), &[("random", false), ("sequence", true)])?.unwrap_or(false);
        let kind = if sequence {
            Self::sequence(options, prefix, data_type)?
        } else {
            Self::random(options, prefix, data_type)?
        };
        Ok(Self { data_type: data_type.clone(), kind, null_rate })
    }

    fn sequence(options: &Options<'_>, prefix: &str, data_type: &DataType) -> Result<Kind, ConnectorError> {
        let bound = |setting: &str| {
            let key = format!("{prefix}.{setting}");
            options.i64(&key)?.ok_or_else(|| options.invalid(format!("option '{key}' is required for a sequence")))
        };
        let (start, end) = (bound("start")?, bound("end")?);
        if start > end {
            return Err(options.invalid(format!("'{prefix}.start' = '{start}' is above '{prefix}.end' = '{end}'")));
        }
        let number = data_type.is_integer() || data_type.is_floating();
        if !number && !matches!(data_type, DataType::Decimal128(..) | DataType::Utf8) {
            return Err(options.invalid(format!("'{prefix}.kind' = 'sequence' needs a numeric column or a STRING")));
        }
        if let Some((low, high)) = range(data_type).filter(|(low, high)| start < *low || end > *high) {
            return Err(
                options.invalid(format!("the sequence of '{prefix}' leaves the column's range {low} to {high}"))
            );
        }
        Ok(Kind::Sequence { start, end })
    }

    fn random(options: &Options<'_>, prefix: &str, data_type: &DataType) -> Result<Kind, ConnectorError> {
        let key = |setting: &str| format!("{prefix}.{setting}");
        match data_type {
            DataType::Boolean => Ok(Kind::Boolean),
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
                let (low, high) = range(data_type).unwrap_or((i64::MIN, i64::MAX));
                let min = options.i64(&key("min"))?.unwrap_or(low);
                let max = options.i64(&key("max"))?.unwrap_or(high);
                if min > max || min < low || max > high {
                    return Err(
                        options.invalid(format!("'{prefix}.min' and '.max' must be a range within {low} to {high}"))
                    );
                }
                Ok(Kind::Integer { min, max })
            }
            DataType::Float32 | DataType::Float64 | DataType::Decimal128(..) => {
                let limit = match data_type {
                    DataType::Float32 => f64::from(f32::MAX),
                    DataType::Decimal128(p, s) => 10f64.powi(i32::from(*p) - i32::from(*s)) * (1.0 - 1e-9),
                    _ => f64::MAX,
                };
                let min = options.f64(&key("min"))?.unwrap_or(-limit);
                let max = options.f64(&key("max"))?.unwrap_or(limit);
                if min > max || min < -limit || max > limit {
                    return Err(
                        options.invalid(format!("'{prefix}.min' and '.max' must be a range within the column's type"))
                    );
                }
                Ok(Kind::Real { min, max })
            }
            DataType::Utf8 | DataType::Binary => {
                let length = options.u64(&key("length"))?.unwrap_or(LENGTH);
                if !(1..=LENGTH_MAX).contains(&length) {
                    return Err(options.invalid(format!("option '{}' must be 1 to {LENGTH_MAX}", key("length"))));
                }
                Ok(Kind::Text { length, varies: options.bool(&key("var-len"), false)? })
            }
            DataType::Timestamp(..) | DataType::Date32 | DataType::Time32(_) | DataType::Time64(_) => {
                let max_ms = options.duration(&key("max-past"))?.map_or(0, |d| d.as_millis() as u64);
                Ok(Kind::Past { max_ms })
            }
            DataType::Struct(fields) => {
                let nested = |f: &Arc<arrow_schema::Field>| Self::parse(options, &key(f.name()), f.data_type());
                Ok(Kind::Row(fields.iter().map(nested).collect::<Result<_, _>>()?))
            }
            other => {
                Err(options
                    .invalid(format!("datagen cannot fill column '{}' of type {other}", &prefix["fields.".len()..])))
            }
        }
    }

    /// Rows until the sequence ends.
    pub(super) fn count(&self) -> Option<u64> {
        match &self.kind {
            Kind::Sequence { start, end } => Some(end.abs_diff(*start).saturating_add(1)),
            _ => None,
        }
    }

    /// The values of rows `numbers`; `id` tells fields apart.
    pub(super) fn column(&self, numbers: &[u64], seed: u64, id: u64, now_ms: i64) -> ArrayRef {
        let random = |n: u64| draw(seed, n, 2 * id);
        let null = |n: u64| self.null_rate > 0.0 && unit(draw(seed, n, 2 * id + 1)) < self.null_rate;
        let ints = |value: &dyn Fn(u64) -> i64| -> ArrayRef {
            Arc::new(numbers.iter().map(|&n| (!null(n)).then(|| value(n))).collect::<Int64Array>())
        };
        match &self.kind {
            Kind::Sequence { start, .. } => self.typed(ints(&|n| start.wrapping_add_unsigned(n))),
            Kind::Integer { min, max } => {
                let width = max.abs_diff(*min);
                let value = |n| match width.checked_add(1) {
                    Some(w) => min.wrapping_add_unsigned(below(w, random(n))),
                    None => random(n) as i64,
                };
                self.typed(ints(&value))
            }
            Kind::Real { min, max } => {
                let value = |n| min * (1.0 - unit(random(n))) + max * unit(random(n));
                self.typed(Arc::new(numbers.iter().map(|&n| (!null(n)).then(|| value(n))).collect::<Float64Array>()))
            }
            Kind::Boolean => {
                Arc::new(numbers.iter().map(|&n| (!null(n)).then(|| random(n) & 1 == 1)).collect::<BooleanArray>())
            }
            Kind::Past { max_ms } => {
                let millis = ints(&|n| now_ms - below(max_ms.saturating_add(1), random(n)) as i64);
                let millis = cast(&millis, &DataType::Timestamp(TimeUnit::Millisecond, None));
                self.typed(millis.expect("BIGINT is the representation of a timestamp"))
            }
            Kind::Text { length, varies } => self.texts(numbers, seed, id, *length, *varies, &null),
            Kind::Row(fields) => {
                let child = |(i, f): (usize, &Self)| f.column(numbers, seed ^ (id + 1), i as u64, now_ms);
                let columns = fields.iter().enumerate().map(child).collect();
                let DataType::Struct(types) = &self.data_type else { unreachable!("a ROW column has a struct type") };
                let nulls = numbers.iter().map(|&n| !null(n)).collect::<Vec<bool>>().into();
                Arc::new(StructArray::new(types.clone(), columns, Some(nulls)))
            }
        }
    }

    /// Hexadecimal letters, as Flink's random strings.
    fn texts(
        &self,
        numbers: &[u64],
        seed: u64,
        id: u64,
        length: u64,
        varies: bool,
        null: &dyn Fn(u64) -> bool,
    ) -> ArrayRef {
        let mut texts = StringBuilder::new();
        let mut text = String::new();
        for &n in numbers {
            if null(n) {
                texts.append_null();
                continue;
            }
            text.clear();
            let length = if varies { 1 + below(length, draw(seed ^ !id, n, 2 * id)) } else { length };
            let mut bits = 0;
            for k in 0..length {
                if k % 16 == 0 {
                    bits = draw(seed.wrapping_add(k), n, 2 * id);
                }
                text.push(char::from(b"0123456789abcdef"[(bits & 15) as usize]));
                bits >>= 4;
            }
            texts.append_value(&text);
        }
        self.typed(Arc::new(texts.finish()))
    }

    fn typed(&self, values: ArrayRef) -> ArrayRef {
        cast(&values, &self.data_type).expect("the options were checked against the column's type")
    }
}

/// Of an integer type.
fn range(t: &DataType) -> Option<(i64, i64)> {
    match t {
        DataType::Int8 => Some((i8::MIN.into(), i8::MAX.into())),
        DataType::Int16 => Some((i16::MIN.into(), i16::MAX.into())),
        DataType::Int32 => Some((i32::MIN.into(), i32::MAX.into())),
        DataType::Int64 => Some((i64::MIN, i64::MAX)),
        _ => None,
    }
}
