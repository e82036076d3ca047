//! Scalar expressions: bound, typed and coerced. Our own tree, because operator ids hash it and workers receive it.

use arrow_schema::{DataType, SchemaRef};
use serde::{Deserialize, Serialize};

/// An expression over the columns of one input. Every implicit cast is explicit here: both sides of an operator have the
/// types that the kernel wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Expr {
    Column(usize),
    Literal(Literal),
    Binary {
        op: BinaryOp,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    Not(Box<Expr>),
    Negate(Box<Expr>),
    IsNull(Box<Expr>),
    IsNotNull(Box<Expr>),
    IsTrue(Box<Expr>),
    IsFalse(Box<Expr>),
    Like {
        expr: Box<Expr>,
        pattern: Box<Expr>,
        escape: Option<char>,
        negated: bool,
        case_insensitive: bool,
    },
    InList {
        expr: Box<Expr>,
        list: Vec<Expr>,
        negated: bool,
    },
    Cast {
        expr: Box<Expr>,
        to: DataType,
    },
    /// NULL instead of an error.
    TryCast {
        expr: Box<Expr>,
        to: DataType,
    },
    Case {
        operand: Option<Box<Expr>>,
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    /// A function of the registry, by its canonical (lower-case) name.
    Call {
        function: String,
        args: Vec<Expr>,
        data_type: DataType,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BinaryOp {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
    And,
    Or,
    IsDistinctFrom,
    IsNotDistinctFrom,
    Concat,
    BitAnd,
    BitOr,
    BitXor,
}

/// A typed constant; `value` is `Null` for a typed NULL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Literal {
    pub data_type: DataType,
    pub value: Value,
}

/// The value in the widest form of its family; `data_type` says the exact one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    Null,
    Boolean(bool),
    /// Integers, dates (days), times and timestamps (in the type's unit), durations.
    Int(i64),
    /// UInt64 beyond i64.
    UInt(u64),
    /// As bits, so that equality and encoding are exact.
    Float(u64),
    Decimal(i128),
    Text(String),
    Binary(Vec<u8>),
    Interval {
        months: i32,
        days: i32,
        nanoseconds: i64,
    },
    /// ARRAY and ROW constants.
    List(Vec<Value>),
}

impl Expr {
    pub fn column_type<'a>(&self, schema: &'a SchemaRef) -> Option<&'a DataType> {
        match self {
            Self::Column(i) => Some(schema.field(*i).data_type()),
            _ => None,
        }
    }

    /// Children, in order.
    pub fn children(&self) -> Vec<&Expr> {
        match self {
            Self::Column(_) | Self::Literal(_) => vec![],
            Self::Binary { left, right, .. } => vec![left, right],
            Self::Not(e)
            | Self::Negate(e)
            | Self::IsNull(e)
            | Self::IsNotNull(e)
            | Self::IsTrue(e)
            | Self::IsFalse(e) => vec![e],
            Self::Like { expr, pattern, .. } => vec![expr, pattern],
            Self::InList { expr, list, .. } => std::iter::once(&**expr).chain(list).collect(),
            Self::Cast { expr, .. } | Self::TryCast { expr, .. } => vec![expr],
            Self::Case { operand, branches, otherwise } => operand
                .iter()
                .map(|e| &**e)
                .chain(branches.iter().flat_map(|(w, t)| [w, t]))
                .chain(otherwise.iter().map(|e| &**e))
                .collect(),
            Self::Call { args, .. } => args.iter().collect(),
        }
    }

    /// Calls `f` with every column index that occurs.
    pub fn for_each_column(&self, f: &mut impl FnMut(usize)) {
        if let Self::Column(i) = self {
            f(*i);
        }
        for c in self.children() {
            c.for_each_column(f);
        }
    }
}
