//! Rows as bytes: the encoding of keys and values in state, and the batch-wise key hash. Both are ours and fixed for ever:
//! segments hold these bytes (`docs/state-format.md`).
//!
//! It refuses types that cannot be compared by bytes (dictionaries, run ends, unions), and never trusts bytes it decodes.
//!
//! ```text
//! row    = null bits (1 bit a column, set = NULL) | fixed-width columns | variable columns, NULLs left out
//! text   = varint length | bytes          list = varint count | item*        item   = 0 | 1 value
//! map    = varint count | (key item, value item)* in the order of the encoded keys      struct = item*
//! ```
//! Fixed-width values are little-endian, zero where NULL. Equal rows (by SQL's `IS NOT DISTINCT FROM`) have equal bytes:
//! −0.0 is stored as 0.0, every NaN as one, a map in the order of its keys; so the bytes serve as keys.

mod decode;
mod encode;
mod hash;
#[cfg(test)]
mod tests;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
pub use hash::hash_columns;

#[derive(Debug, thiserror::Error)]
pub enum RowError {
    #[error("type {0} cannot be kept in state")]
    Unsupported(DataType),
    #[error("a stored row is damaged: {0}")]
    Damaged(&'static str),
    #[error("a stored row does not fit its type: {0}")]
    Mismatch(#[source] arrow::error::ArrowError),
}

/// Encoded rows back to back. Read them by [`RowBuffer::row`]: rows of one width need no offsets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowBuffer {
    pub bytes: Vec<u8>,
    /// `len + 1` offsets, or none where every row has [`RowBuffer::width`] bytes.
    pub offsets: Vec<u32>,
    /// Not 0: every row has this many bytes and `offsets` is empty.
    pub width: u32,
}

impl RowBuffer {
    /// An empty buffer for rows of `width` bytes (not 0).
    pub fn fixed(width: u32) -> Self {
        Self { width, ..Self::default() }
    }

    #[inline]
    pub fn row(&self, i: usize) -> &[u8] {
        if self.width != 0 {
            let w = self.width as usize;
            return &self.bytes[i * w..(i + 1) * w];
        }
        &self.bytes[self.offsets[i] as usize..self.offsets[i + 1] as usize]
    }

    pub fn rows(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|i| self.row(i))
    }

    #[inline]
    pub fn len(&self) -> usize {
        if self.width != 0 {
            return self.bytes.len() / self.width as usize;
        }
        self.offsets.len().saturating_sub(1)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops the rows, keeps the memory; the next rows may have any width.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.offsets.clear();
        self.width = 0;
    }

    /// Room for rows like those of `other`.
    pub fn reserve(&mut self, other: &Self) {
        self.bytes.reserve(other.bytes.len());
        self.offsets.reserve(other.offsets.len());
    }

    #[inline]
    pub fn push(&mut self, row: &[u8]) {
        self.push_with(|out| out.extend_from_slice(row));
    }

    /// Appends the row that `write` appends to the bytes. Rows of a fixed width must have it.
    #[inline]
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.width == 0 && self.offsets.is_empty() {
            self.offsets.push(0);
        }
        write(&mut self.bytes);
        if self.width == 0 {
            self.offsets.push(self.bytes.len() as u32);
        }
    }

    /// Memory in use.
    pub fn heap_bytes(&self) -> usize {
        self.bytes.len() + self.offsets.len() * 4
    }
}

/// Columns ⇄ rows of bytes.
#[derive(Clone, Debug)]
pub struct RowCodec {
    types: Vec<DataType>,
    kinds: Vec<Kind>,
    /// Offset of each fixed-width column in the row; of variable columns unused.
    fixed_at: Vec<usize>,
    /// Null bits and fixed-width columns: the least length of a row.
    head: usize,
}

impl RowCodec {
    /// All types of the dialect, nested ones included.
    pub fn new(types: &[DataType]) -> Result<Self, RowError> {
        let kinds = types.iter().map(Kind::of).collect::<Result<Vec<_>, _>>()?;
        let mut head = types.len().div_ceil(8);
        let mut fixed_at = Vec::with_capacity(types.len());
        for k in &kinds {
            fixed_at.push(head);
            head += k.width().unwrap_or(0);
        }
        Ok(Self { types: types.to_vec(), kinds, fixed_at, head })
    }

    pub fn types(&self) -> &[DataType] {
        &self.types
    }

    /// The width of every row, if no column is of variable width.
    pub fn fixed_width(&self) -> Option<usize> {
        self.kinds.iter().all(|k| k.width().is_some()).then_some(self.head)
    }

    /// Replaces `out` by the rows of these columns, which have the codec's types and `rows` rows each.
    pub fn encode(&self, columns: &[ArrayRef], rows: usize, out: &mut RowBuffer) {
        encode::encode(self, columns, rows, out);
    }

    /// The columns of rows that [`RowCodec::encode`] made.
    pub fn decode<'a>(&self, rows: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>, RowError> {
        let rows: Vec<&[u8]> = rows.into_iter().collect();
        decode::decode(self, &rows)
    }
}

/// How values of a type are laid out.
#[derive(Clone, Debug)]
enum Kind {
    /// The type of a bare NULL: no bytes.
    Null,
    Boolean,
    /// Arrow's own little-endian bytes.
    Fixed(usize),
    Float32,
    Float64,
    /// Text and binary in all of Arrow's layouts.
    Bytes,
    List(Box<Kind>),
    Struct(Vec<Kind>),
    Map(Box<Kind>, Box<Kind>),
}

impl Kind {
    fn of(t: &DataType) -> Result<Self, RowError> {
        use DataType::*;
        Ok(match t {
            Null => Self::Null,
            Boolean => Self::Boolean,
            Float32 => Self::Float32,
            Float64 => Self::Float64,
            Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | BinaryView => Self::Bytes,
            FixedSizeBinary(n) if *n > 0 => Self::Fixed(*n as usize),
            List(f) | LargeList(f) => Self::List(Box::new(Self::of(f.data_type())?)),
            Struct(fs) => Self::Struct(fs.iter().map(|f| Self::of(f.data_type())).collect::<Result<_, _>>()?),
            Map(entries, _) => match entries.data_type() {
                Struct(kv) if kv.len() == 2 => {
                    Self::Map(Box::new(Self::of(kv[0].data_type())?), Box::new(Self::of(kv[1].data_type())?))
                }
                _ => return Err(RowError::Unsupported(t.clone())),
            },
            // Half floats would need a canonical form of their own; the dialect has none.
            Float16 => return Err(RowError::Unsupported(t.clone())),
            _ => Self::Fixed(t.primitive_width().ok_or_else(|| RowError::Unsupported(t.clone()))?),
        })
    }

    /// Bytes of a value in the row's fixed part; `None`: in the variable part.
    fn width(&self) -> Option<usize> {
        match self {
            Self::Null => Some(0),
            Self::Boolean => Some(1),
            Self::Fixed(w) => Some(*w),
            Self::Float32 => Some(4),
            Self::Float64 => Some(8),
            Self::Bytes | Self::List(_) | Self::Struct(_) | Self::Map(..) => None,
        }
    }
}

/// LEB128, at most 5 bytes.
#[inline]
fn put_varint(mut v: u32, out: &mut Vec<u8>) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

#[inline]
fn varint_len(v: u32) -> usize {
    // 7 bits a byte; 0 takes one.
    (38 - (v | 1).leading_zeros() as usize) / 7
}
