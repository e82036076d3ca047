//! How a function of our own is written down: a name, parameters, a result type and a loop over rows.
//!
//! Everything that DataFusion wants around it (signature, coercion, scalars against arrays) is done here once. Arguments are
//! coerced by the planner as the parameters say; a wrong argument is refused while planning, with the position and the type.

use super::zone::Zone;
use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BinaryBuilder, BooleanArray, BooleanBuilder, Int64Array,
    PrimitiveArray, PrimitiveBuilder, StringArray, StringBuilder, UInt32Array, new_null_array,
};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{DataFusionError, Result, ScalarValue, exec_err, plan_err};
use datafusion_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// What an argument may be, and what it is coerced to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Param {
    /// STRING; binary and numbers are refused.
    Text,
    /// Any integer type → INT.
    Int,
    /// Any integer type → BIGINT.
    Long,
    /// Any number → DOUBLE.
    Double,
    /// Any number, as it is.
    Number,
    Boolean,
    /// BYTES; text by its UTF-8.
    Bytes,
    /// DATE, TIMESTAMP, TIMESTAMP_LTZ or TIME, as it is; text is read as a timestamp.
    Temporal,
    Array,
    Map,
    /// Any type, as it is.
    Any,
}

impl Param {
    fn coerce(self, given: &DataType) -> Option<DataType> {
        use DataType::*;
        match self {
            Self::Text => matches!(given, Utf8 | LargeUtf8 | Utf8View | Null).then_some(Utf8),
            Self::Int => (given.is_integer() || *given == Null).then_some(Int32),
            Self::Long => (given.is_integer() || *given == Null).then_some(Int64),
            Self::Double => (given.is_numeric() || *given == Null).then_some(Float64),
            Self::Number if *given == Null => Some(Int32),
            Self::Number => given.is_numeric().then(|| given.clone()),
            Self::Boolean => matches!(given, Boolean | Null).then_some(Boolean),
            Self::Bytes => matches!(given, Binary | LargeBinary | BinaryView | Utf8 | Null).then_some(Binary),
            Self::Temporal => match given {
                Date32 | Timestamp(..) | Time32(_) | Time64(_) => Some(given.clone()),
                Utf8 | Null => Some(Timestamp(arrow::datatypes::TimeUnit::Millisecond, None)),
                _ => None,
            },
            Self::Array => matches!(given, List(_) | Null).then(|| given.clone()),
            Self::Map => matches!(given, Map(..) | Null).then(|| given.clone()),
            Self::Any => Some(given.clone()),
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Self::Text => "STRING",
            Self::Int => "INT",
            Self::Long => "BIGINT",
            Self::Double | Self::Number => "a number",
            Self::Boolean => "BOOLEAN",
            Self::Bytes => "BYTES or STRING",
            Self::Temporal => "a date, time or timestamp",
            Self::Array => "an ARRAY",
            Self::Map => "a MAP",
            Self::Any => "anything",
        }
    }
}

/// The result type of a call.
#[derive(Clone, Debug)]
pub enum Returns {
    Type(DataType),
    /// The (coerced) type of this argument.
    SameAs(usize),
    /// From types and constant arguments.
    Computed(fn(&[DataType], &[Option<&ScalarValue>]) -> Result<DataType>),
}

/// From the types given to the types wanted.
pub type Coerce = fn(&[DataType]) -> Result<Vec<DataType>>;
pub type Eval = fn(&Call) -> Result<ArrayRef>;

/// A scalar function of ours.
#[derive(Clone, Debug)]
pub struct Function {
    /// Lower-case.
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub params: &'static [Param],
    /// How many of the last parameters may be left out.
    pub optional: usize,
    /// The last parameter may be repeated.
    pub variadic: bool,
    /// The arguments are coerced to what this says instead of one by one (`GREATEST`, `COALESCE`: one common type).
    pub coerce_all: Option<Coerce>,
    pub returns: Returns,
    pub eval: Eval,
    /// False for functions of the clock.
    pub deterministic: bool,
}

impl Function {
    pub const fn new(name: &'static str, params: &'static [Param], returns: Returns, eval: Eval) -> Self {
        Self {
            name,
            aliases: &[],
            params,
            optional: 0,
            variadic: false,
            coerce_all: None,
            returns,
            eval,
            deterministic: true,
        }
    }
    #[must_use]
    pub fn alias(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }
    #[must_use]
    pub fn optional(mut self, count: usize) -> Self {
        self.optional = count;
        self
    }
    #[must_use]
    pub fn variadic(mut self) -> Self {
        self.variadic = true;
        self
    }
    #[must_use]
    pub fn coerce_all(mut self, coerce: Coerce) -> Self {
        self.coerce_all = Some(coerce);
        self
    }

    fn coerce(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let most = self.params.len();
        let least = most - self.optional;
        if given.len() < least || (given.len() > most && !self.variadic) {
            let wanted = match (self.variadic, least == most) {
                (true, _) => format!("at least {least}"),
                (false, true) => format!("{most}"),
                (false, false) => format!("{least} to {most}"),
            };
            return plan_err!("function {} takes {wanted} argument(s), got {}", self.name.to_uppercase(), given.len());
        }
        if let Some(coerce) = self.coerce_all {
            return coerce(given);
        }
        let param = |i: usize| self.params[i.min(most.saturating_sub(1))];
        given
            .iter()
            .enumerate()
            .map(|(i, t)| {
                param(i).coerce(t).ok_or_else(|| {
                    DataFusionError::Plan(format!(
                        "function {} wants {} as argument {}, got {t}; use CAST",
                        self.name.to_uppercase(),
                        param(i).describe(),
                        i + 1
                    ))
                })
            })
            .collect()
    }
}

/// Wraps a function for DataFusion.
pub fn scalar_udf(function: Function) -> ScalarUDF {
    let volatility = if function.deterministic { Volatility::Immutable } else { Volatility::Volatile };
    let aliases = function.aliases.iter().map(|&a| a.to_owned()).collect();
    ScalarUDF::new_from_impl(Udf { function, aliases, signature: Signature::user_defined(volatility) })
}

#[derive(Debug)]
struct Udf {
    function: Function,
    aliases: Vec<String>,
    signature: Signature,
}

// Names are unique in the registry.
impl PartialEq for Udf {
    fn eq(&self, other: &Self) -> bool {
        self.function.name == other.function.name
    }
}
impl Eq for Udf {}
impl Hash for Udf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.name.hash(state);
    }
}

impl ScalarUDFImpl for Udf {
    fn name(&self) -> &str {
        self.function.name
    }
    fn aliases(&self) -> &[String] {
        &self.aliases
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce(given)
    }
    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.result(given, &vec![None; given.len()])
    }
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|f| f.data_type().clone()).collect();
        let data_type = self.result(&types, args.scalar_arguments)?;
        Ok(Arc::new(Field::new(self.function.name, data_type, true)))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = !args.args.is_empty() && args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let call = Call {
            function: self.function.name,
            args: args.args.iter().map(Arg::new).collect::<Result<_>>()?,
            rows,
            returns: args.return_field.data_type().clone(),
            zone: super::wall::zone_of(args.config_options.execution.time_zone.as_deref()),
        };
        let array = (self.function.eval)(&call)?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

impl Udf {
    fn result(&self, types: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
        match &self.function.returns {
            Returns::Type(t) => Ok(t.clone()),
            Returns::SameAs(i) => match types.get(*i) {
                Some(t) => Ok(t.clone()),
                None => plan_err!("function {} wants argument {}", self.function.name.to_uppercase(), i + 1),
            },
            Returns::Computed(f) => f(types, constants),
        }
    }
}

/// One evaluated argument: a column, or one value that stands for every row.
#[derive(Clone, Debug)]
pub struct Arg {
    pub array: ArrayRef,
    pub constant: bool,
}

impl Arg {
    fn new(value: &ColumnarValue) -> Result<Self> {
        Ok(match value {
            ColumnarValue::Array(a) => Self { array: a.clone(), constant: false },
            ColumnarValue::Scalar(s) => Self { array: s.to_array()?, constant: true },
        })
    }
}

/// A call on one batch.
#[derive(Debug)]
pub struct Call {
    pub function: &'static str,
    pub args: Vec<Arg>,
    pub rows: usize,
    pub returns: DataType,
    /// The session's.
    pub zone: Zone,
}

/// Typed access to one argument, by row.
pub struct Texts<'a>(&'a StringArray, bool);
impl<'a> Texts<'a> {
    pub fn get(&self, row: usize) -> Option<&'a str> {
        let i = if self.1 { 0 } else { row };
        self.0.is_valid(i).then(|| self.0.value(i))
    }
}

/// See [`Texts`].
pub struct Numbers<'a, T: ArrowPrimitiveType>(&'a PrimitiveArray<T>, bool);
impl<T: ArrowPrimitiveType> Numbers<'_, T> {
    pub fn get(&self, row: usize) -> Option<T::Native> {
        let i = if self.1 { 0 } else { row };
        self.0.is_valid(i).then(|| self.0.value(i))
    }
}

/// See [`Texts`]; any integer type, read as BIGINT.
pub struct Longs(Int64Array, bool);
impl Longs {
    pub fn get(&self, row: usize) -> Option<i64> {
        let i = if self.1 { 0 } else { row };
        self.0.is_valid(i).then(|| self.0.value(i))
    }
}

/// See [`Texts`]; text by its UTF-8.
pub struct Bytes(BinaryArray, bool);
impl Bytes {
    pub fn get(&self, row: usize) -> Option<&[u8]> {
        let i = if self.1 { 0 } else { row };
        self.0.is_valid(i).then(|| self.0.value(i))
    }
}

/// The argument with NULL where `keep` is false.
pub(super) fn mask(arg: &Arg, rows: usize, keep: impl Fn(usize) -> bool) -> Result<Arg> {
    let indices: UInt32Array =
        (0..rows).map(|row| keep(row).then_some(if arg.constant { 0 } else { row as u32 })).collect();
    Ok(Arg { array: arrow::compute::take(&arg.array, &indices, None)?, constant: false })
}

/// See [`Texts`].
pub struct Booleans<'a>(&'a BooleanArray, bool);
impl Booleans<'_> {
    pub fn get(&self, row: usize) -> Option<bool> {
        let i = if self.1 { 0 } else { row };
        self.0.is_valid(i).then(|| self.0.value(i))
    }
}

impl Call {
    fn arg<A: 'static>(&self, i: usize, wanted: &str) -> Result<(&A, bool)> {
        let Some(arg) = self.args.get(i) else {
            return exec_err!("function {} lacks argument {}", self.function, i + 1);
        };
        match arg.array.as_any().downcast_ref::<A>() {
            Some(a) => Ok((a, arg.constant)),
            None => exec_err!(
                "function {} wants {wanted} as argument {}, got {}",
                self.function,
                i + 1,
                arg.array.data_type()
            ),
        }
    }
    pub fn has(&self, i: usize) -> bool {
        i < self.args.len()
    }
    pub fn texts(&self, i: usize) -> Result<Texts<'_>> {
        self.arg::<StringArray>(i, "STRING").map(|(a, c)| Texts(a, c))
    }
    pub fn numbers<T: ArrowPrimitiveType>(&self, i: usize) -> Result<Numbers<'_, T>> {
        self.arg::<PrimitiveArray<T>>(i, &T::DATA_TYPE.to_string()).map(|(a, c)| Numbers(a, c))
    }
    pub fn longs(&self, i: usize) -> Result<Longs> {
        let (array, constant) = self.arg_array(i)?;
        let long = arrow::compute::cast(array, &DataType::Int64)?;
        Ok(Longs(long.as_primitive::<arrow::datatypes::Int64Type>().clone(), constant))
    }
    pub fn bytes(&self, i: usize) -> Result<Bytes> {
        let (array, constant) = self.arg_array(i)?;
        let bytes = arrow::compute::cast(array, &DataType::Binary)?;
        Ok(Bytes(bytes.as_binary::<i32>().clone(), constant))
    }
    /// The array as it is, and whether it is one value for all rows.
    pub fn arg_array(&self, i: usize) -> Result<(&ArrayRef, bool)> {
        match self.args.get(i) {
            Some(arg) => Ok((&arg.array, arg.constant)),
            None => exec_err!("function {} lacks argument {}", self.function, i + 1),
        }
    }
    pub fn booleans(&self, i: usize) -> Result<Booleans<'_>> {
        self.arg::<BooleanArray>(i, "BOOLEAN").map(|(a, c)| Booleans(a, c))
    }

    /// Text per row: `f` writes into the buffer and says whether there is a value. One buffer serves all rows.
    pub fn collect_text(&self, mut f: impl FnMut(usize, &mut String) -> Result<bool>) -> Result<ArrayRef> {
        let mut builder = StringBuilder::with_capacity(self.rows, self.rows * 8);
        let mut buffer = String::new();
        for row in 0..self.rows {
            buffer.clear();
            if f(row, &mut buffer)? { builder.append_value(&buffer) } else { builder.append_null() }
        }
        Ok(Arc::new(builder.finish()))
    }
    /// Like [`collect_text`](Self::collect_text), for BYTES.
    pub fn collect_bytes(&self, mut f: impl FnMut(usize, &mut Vec<u8>) -> Result<bool>) -> Result<ArrayRef> {
        let mut builder = BinaryBuilder::new();
        let mut buffer = vec![];
        for row in 0..self.rows {
            buffer.clear();
            if f(row, &mut buffer)? { builder.append_value(&buffer) } else { builder.append_null() }
        }
        Ok(Arc::new(builder.finish()))
    }
    /// A fixed-width value per row, in the declared result type (which must have `T`'s layout).
    pub fn collect<T: ArrowPrimitiveType>(
        &self,
        mut f: impl FnMut(usize) -> Result<Option<T::Native>>,
    ) -> Result<ArrayRef> {
        let mut builder = PrimitiveBuilder::<T>::with_capacity(self.rows).with_data_type(self.returns.clone());
        for row in 0..self.rows {
            builder.append_option(f(row)?);
        }
        Ok(Arc::new(builder.finish()))
    }
    pub fn collect_boolean(&self, mut f: impl FnMut(usize) -> Result<Option<bool>>) -> Result<ArrayRef> {
        let mut builder = BooleanBuilder::with_capacity(self.rows);
        for row in 0..self.rows {
            builder.append_option(f(row)?);
        }
        Ok(Arc::new(builder.finish()))
    }
    pub fn nulls(&self) -> ArrayRef {
        new_null_array(&self.returns, self.rows)
    }
}
