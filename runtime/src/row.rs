//! Rows as bytes: the canonical key encoding and the value encoding of state, both ours, and the batch-wise key hash.
//!
//! Placeholder signatures; see the state design.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;

#[derive(Debug, thiserror::Error)]
pub enum RowError {
    #[error("type {0} cannot be kept in state")]
    Unsupported(DataType),
    #[error("a stored row is damaged: {0}")]
    Damaged(&'static str),
}

/// Encoded rows of one batch, back to back.
#[derive(Clone, Debug, Default)]
pub struct RowBuffer {
    pub bytes: Vec<u8>,
    /// `len + 1` offsets.
    pub offsets: Vec<u32>,
}

impl RowBuffer {
    pub fn row(&self, i: usize) -> &[u8] {
        &self.bytes[self.offsets[i] as usize..self.offsets[i + 1] as usize]
    }
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.offsets.clear();
    }
}

/// Columns ⇄ rows of bytes. Equal rows (by SQL's `IS NOT DISTINCT FROM`) have equal bytes: −0.0 is stored as 0.0, every NaN
/// as one, so the bytes serve as keys.
#[derive(Clone, Debug)]
pub struct RowCodec {
    types: Vec<DataType>,
}

impl RowCodec {
    /// All types of the dialect, nested ones included.
    pub fn new(types: &[DataType]) -> Result<Self, RowError> {
        Ok(Self { types: types.to_vec() })
    }
    pub fn types(&self) -> &[DataType] {
        &self.types
    }
    /// Replaces `out` by the rows of these columns.
    pub fn encode(&self, _columns: &[ArrayRef], _rows: usize, _out: &mut RowBuffer) {
        unreachable!("written next")
    }
    pub fn decode<'a>(&self, _rows: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>, RowError> {
        unreachable!("written next")
    }
}

/// Finished key hashes (`sluice_core::hash`) of rows of these columns; no columns: the constant key.
pub fn hash_columns(_columns: &[ArrayRef], _rows: usize, _out: &mut Vec<u64>) {
    unreachable!("written next")
}
