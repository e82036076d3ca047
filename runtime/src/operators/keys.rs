//! The key of every row of a batch: its hash, and the key itself as words or as bytes.
//!
//! Keys whose columns all have a fixed width are words, so that they can stand beside an inline state in one slot of a table:
//! a first word with the NULLs (left out where no column can be NULL), then each column's ordered word, or two words of a
//! decimal. Other keys are rows of the state's codec.

use crate::aggregate::{Datum, Form, OutColumn, words_of};
use crate::element::Batch;
use crate::row::{RowBuffer, RowCodec, RowError, hash_columns};
use crate::state::WordKey;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, SchemaRef};

/// Reads the key columns of batches. The buffers are kept from batch to batch.
pub(super) struct Keys {
    columns: Vec<usize>,
    types: Vec<DataType>,
    pub(super) form: KeyForm,
    codec: RowCodec,
    rows: RowBuffer,
    words: Vec<u64>,
    hashes: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyForm {
    /// `width` words a key; `nulls`: the first one has a bit per column, set where it is NULL.
    Words {
        width: usize,
        nulls: bool,
    },
    Bytes,
}

impl KeyForm {
    fn of(columns: &[usize], input: &SchemaRef) -> Self {
        let forms = columns.iter().map(|&c| Form::of(input.field(c).data_type()));
        let Some(width) = forms.map(Form::words).sum::<Option<usize>>() else { return Self::Bytes };
        let nulls = columns.iter().any(|&c| input.field(c).is_nullable());
        match columns.len() {
            // A bit per column must fit the word; long keys gain nothing from standing in the slot.
            0..=8 => Self::Words { width: width + usize::from(nulls), nulls },
            _ => Self::Bytes,
        }
    }
}

impl Keys {
    /// `inline`: keys may be words, because the state is.
    pub(super) fn new(columns: &[usize], input: &SchemaRef, inline: bool) -> Result<Self, RowError> {
        let types: Vec<DataType> = columns.iter().map(|&c| input.field(c).data_type().clone()).collect();
        let form = if inline { KeyForm::of(columns, input) } else { KeyForm::Bytes };
        Ok(Self {
            columns: columns.to_vec(),
            codec: RowCodec::new(&types)?,
            types,
            form,
            rows: RowBuffer::default(),
            words: vec![],
            hashes: vec![],
        })
    }

    /// Encodes the keys of a batch, and hashes them unless the exchange has.
    pub(super) fn read(&mut self, batch: &Batch) {
        let columns: Vec<ArrayRef> = self.columns.iter().map(|&c| batch.rows.column(c).clone()).collect();
        match self.form {
            KeyForm::Bytes => self.codec.encode(&columns, batch.len(), &mut self.rows),
            KeyForm::Words { width, nulls } => {
                self.words.clear();
                self.words.resize(batch.len() * width, 0);
                fill(&mut self.words, &columns, width, nulls);
            }
        }
        match &batch.hashes {
            Some(hashes) => {
                self.hashes.clear();
                self.hashes.extend_from_slice(hashes);
            }
            None => hash_columns(&columns, batch.len(), &mut self.hashes),
        }
    }

    pub(super) fn columns(&self) -> &[usize] {
        &self.columns
    }

    pub(super) fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// Of all rows, one after the other. Empty unless keys are words.
    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }

    /// Empty unless keys are bytes.
    pub(super) fn rows(&self) -> &RowBuffer {
        &self.rows
    }

    #[inline(always)]
    pub(super) fn key(&self, row: usize) -> WordKey<'_> {
        match self.form {
            KeyForm::Bytes => WordKey::Bytes(self.rows.row(row)),
            KeyForm::Words { width, .. } => WordKey::Words(&self.words[row * width..(row + 1) * width]),
        }
    }

    /// The key columns of stored keys.
    pub(super) fn decode(&self, stored: &StoredKeys) -> Result<Vec<ArrayRef>, RowError> {
        match self.form {
            KeyForm::Bytes => self.codec.decode(stored.rows.rows()),
            KeyForm::Words { width, nulls } => {
                let mut at = usize::from(nulls);
                let mut columns = Vec::with_capacity(self.types.len());
                for (i, data_type) in self.types.iter().enumerate() {
                    let form = Form::of(data_type);
                    let mut out = OutColumn::new(data_type, stored.count);
                    for key in 0..stored.count {
                        let words = &stored.words[key * width..(key + 1) * width];
                        match form {
                            _ if nulls && words[0] >> i & 1 == 1 => out.push_null(),
                            Form::Wide => {
                                let wide = u128::from(words[at]) | u128::from(words[at + 1]) << 64;
                                out.push(Datum::Wide(wide as i128));
                            }
                            _ => out.push(Datum::Word(words[at] as i64)),
                        }
                    }
                    columns.push(out.finish()?);
                    at += form.words().unwrap_or(0);
                }
                Ok(columns)
            }
        }
    }
}

/// Writes the words of all keys. NULLs leave zeros, so that equal keys have equal words.
fn fill(words: &mut [u64], columns: &[ArrayRef], width: usize, nulls: bool) {
    let mut at = usize::from(nulls);
    for (i, column) in columns.iter().enumerate() {
        let form = Form::of(column.data_type());
        if form == Form::Wide {
            let values = column.as_primitive::<Decimal128Type>().values();
            for (key, &value) in words.chunks_exact_mut(width).zip(values) {
                key[at] = value as u64;
                key[at + 1] = (value as u128 >> 64) as u64;
            }
        } else {
            let values = words_of(column);
            words.chunks_exact_mut(width).zip(&values).for_each(|(key, &value)| key[at] = value as u64);
        }
        let count = form.words().unwrap_or(0);
        if let Some(valid) = column.nulls().filter(|n| n.null_count() > 0) {
            for row in (0..column.len()).filter(|&row| valid.is_null(row)) {
                let key = &mut words[row * width..(row + 1) * width];
                key[0] |= 1 << i;
                key[at..at + count].fill(0);
            }
        }
        at += count;
    }
}

/// Keys on their way out of a table.
#[derive(Default)]
pub(super) struct StoredKeys {
    count: usize,
    words: Vec<u64>,
    rows: RowBuffer,
}

impl StoredKeys {
    pub(super) fn push(&mut self, key: WordKey<'_>) {
        self.count += 1;
        match key {
            WordKey::Words(words) => self.words.extend_from_slice(words),
            WordKey::Bytes(bytes) => self.rows.push(bytes),
        }
    }

    pub(super) fn clear(&mut self) {
        self.count = 0;
        self.words.clear();
        self.rows.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }

    pub(super) fn rows(&self) -> &RowBuffer {
        &self.rows
    }

    pub(super) fn get(&self, i: usize) -> WordKey<'_> {
        match self.words.len() / self.count.max(1) {
            0 if self.rows.is_empty() => WordKey::Words(&[]),
            0 => WordKey::Bytes(self.rows.row(i)),
            width => WordKey::Words(&self.words[i * width..(i + 1) * width]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::testing::{batch, lines, schema};
    use arrow::array::RecordBatch;

    fn roundtrip(columns: &[&str], rows: &str, inline: bool) -> KeyForm {
        let schema = schema(columns);
        let all: Vec<usize> = (0..columns.len()).collect();
        let mut keys = Keys::new(&all, &schema, inline).unwrap();
        let batch = batch(&schema, rows);
        keys.read(&batch);
        let mut stored = StoredKeys::default();
        for row in 0..batch.len() {
            stored.push(keys.key(row));
        }
        for row in 0..batch.len() {
            assert_eq!(stored.get(row), keys.key(row));
        }
        let back = RecordBatch::try_new(schema, keys.decode(&stored).unwrap()).unwrap();
        assert_eq!(lines(&Batch::append(back)), lines(&batch));
        keys.form
    }

    #[test]
    fn keys_of_fixed_width_are_words_and_come_back() {
        let form = roundtrip(&["a BIGINT NOT NULL"], "5\n-7", true);
        assert_eq!(form, KeyForm::Words { width: 1, nulls: false });
        let columns = ["a INT", "d DECIMAL(20,2)", "f DOUBLE", "b BOOLEAN", "t TIMESTAMP"];
        let form = roundtrip(&columns, "1 | -2.50 | 1.5 | true | 9\nNULL | NULL | -0.5 | NULL | NULL", true);
        assert_eq!(form, KeyForm::Words { width: 7, nulls: true });
    }

    #[test]
    fn other_keys_are_bytes() {
        assert_eq!(roundtrip(&["a STRING", "b INT"], "x | 1\nNULL | NULL\n | 2", true), KeyForm::Bytes);
        assert_eq!(roundtrip(&["b INT"], "1\nNULL", false), KeyForm::Bytes);
    }

    #[test]
    fn null_is_not_zero() {
        let schema = schema(&["a INT"]);
        let mut keys = Keys::new(&[0], &schema, true).unwrap();
        keys.read(&batch(&schema, "0\nNULL\nNULL"));
        assert_ne!(keys.key(0), keys.key(1));
        assert_eq!(keys.key(1), keys.key(2));
    }
}
