//! One side of a join: its rows, and what leads from a key (and from a retraction) to them.

use crate::element::Batch;
use crate::operator::{Drained, OperatorError, Scope};
use crate::operators::BuildError;
use crate::operators::expiry::{Expiry, NOT_YET};
use crate::operators::key_chains::{KeyChains, RowIndex};
use crate::operators::row_slab::{Row, RowId, RowSlab};
use crate::row::{RowBuffer, RowCodec, hash_columns};
use crate::state::{StateBlock, StateSink};
use arrow::array::{Array, ArrayRef};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, SchemaRef};
use sluice_core::id::Epoch;
use sluice_core::plan::Exchange;
use std::sync::Arc;

/// Rows decoded at once when the index is rebuilt.
const REBUILD_ROWS: usize = 4096;

/// Rows by id and arrival number: the id alone may have been handed out again.
pub type RowExpiry = Expiry<(RowId, u64)>;

/// A batch with everything that its rows are looked up and stored by.
#[derive(Debug)]
pub struct Staged {
    pub batch: Batch,
    pub hashes: Arc<[u64]>,
    pub keys: RowBuffer,
    pub bytes: RowBuffer,
    /// Rows with a NULL in their key, which equals nothing.
    nulls: Option<NullBuffer>,
}

impl Staged {
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    pub fn has_null_key(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|n| n.is_null(row))
    }
}

#[derive(Debug)]
pub struct JoinSide {
    pub rows: RowSlab,
    chains: KeyChains,
    /// Only where rows can be taken back.
    index: Option<RowIndex>,
    pub expiry: Option<RowExpiry>,
    pub codec: RowCodec,
    key_codec: RowCodec,
    keys: Vec<usize>,
    /// The columns whose hash is the row's key group: those of the exchange.
    hashed: Vec<usize>,
}

impl JoinSide {
    /// `keys`: the columns by which rows meet (of a window join the window's end among them).
    pub fn new(
        table: u8,
        schema: &SchemaRef,
        keys: &[usize],
        exchange: &Exchange,
        retracts: bool,
        expiry: Option<RowExpiry>,
    ) -> Result<Self, BuildError> {
        let types = |columns: &[usize]| -> Vec<DataType> {
            columns.iter().map(|c| schema.field(*c).data_type().clone()).collect()
        };
        let all: Vec<usize> = (0..schema.fields().len()).collect();
        Ok(Self {
            rows: RowSlab::new(table),
            chains: KeyChains::default(),
            index: retracts.then(RowIndex::default),
            expiry,
            codec: RowCodec::new(&types(&all))?,
            key_codec: RowCodec::new(&types(keys))?,
            keys: keys.to_vec(),
            hashed: match exchange {
                Exchange::Hash(columns) => columns.clone(),
                Exchange::Forward | Exchange::Rebalance => keys.to_vec(),
            },
        })
    }

    /// What looking rows up and keeping them takes.
    pub fn stage(&self, batch: Batch) -> Staged {
        let mut staged = self.stage_probe(batch);
        self.codec.encode(staged.batch.rows.columns(), staged.len(), &mut staged.bytes);
        staged
    }

    /// What looking rows up takes.
    pub fn stage_probe(&self, mut batch: Batch) -> Staged {
        let columns = |indices: &[usize]| -> Vec<ArrayRef> {
            indices.iter().map(|c| Arc::clone(batch.rows.column(*c))).collect()
        };
        let key_columns = columns(&self.keys);
        let mut keys = RowBuffer::default();
        self.key_codec.encode(&key_columns, batch.len(), &mut keys);
        let nulls = key_columns
            .iter()
            .map(Array::logical_nulls)
            .fold(None, |all, column| NullBuffer::union(all.as_ref(), column.as_ref()))
            .filter(|n| n.null_count() > 0);
        let hashes = batch.hashes.take().unwrap_or_else(|| {
            let mut hashes = vec![];
            hash_columns(&columns(&self.hashed), batch.len(), &mut hashes);
            hashes.into()
        });
        Staged { batch, hashes, keys, bytes: RowBuffer::default(), nulls }
    }

    /// The first row of the key of row `i`; [`RowId::NONE`] for a key with NULL.
    pub fn first(&self, staged: &Staged, i: usize) -> RowId {
        if staged.has_null_key(i) {
            return RowId::NONE;
        }
        self.chains.first(staged.hashes[i], staged.keys.row(i))
    }

    pub fn is_visible(&self, row: &Row) -> bool {
        self.expiry.as_ref().is_none_or(|e| !e.is_expired(row.time))
    }

    /// Keeps row `i`, which has `matches` partners. A duplicate counts its copies; both have the same partners.
    pub fn add(&mut self, staged: &Staged, i: usize, matches: u32, time: i64) -> RowId {
        let (hash, key, bytes) = (staged.hashes[i], staged.keys.row(i), staged.bytes.row(i));
        if let Some(known) = self.known(bytes) {
            let row = self.rows.update(known);
            row.count = row.count.saturating_add(1);
            row.matches = matches;
            row.time = time;
            return known;
        }
        let id = self.rows.insert(hash, bytes.into(), matches, time);
        self.chains.push(&mut self.rows, hash, key, id);
        if let Some(index) = &mut self.index {
            index.insert(&self.rows, id);
        }
        if let Some(expiry) = &mut self.expiry {
            expiry.watch(time, (id, self.rows.get(id).seq));
        }
        id
    }

    /// The stored copy of a row, if it can be retracted and is still alive.
    fn known(&mut self, bytes: &[u8]) -> Option<RowId> {
        let id = self.index.as_ref()?.find(&self.rows, bytes)?;
        if self.is_visible(self.rows.get(id)) {
            return Some(id);
        }
        self.remove(id);
        None
    }

    /// Takes one copy of a row back; a row that is not known (any more) is nothing to take back, as in Flink.
    pub fn take_back(&mut self, staged: &Staged, i: usize, time: i64) {
        let Some(id) = self.known(staged.bytes.row(i)) else { return };
        if self.rows.get(id).count > 1 {
            let row = self.rows.update(id);
            row.count -= 1;
            row.time = time;
        } else {
            self.remove(id);
        }
    }

    pub fn remove(&mut self, id: RowId) {
        if let Some(index) = &mut self.index {
            index.remove(&self.rows, id);
        }
        let hash = self.rows.get(id).hash;
        self.chains.unlink(&mut self.rows, hash, id);
        self.rows.remove(id);
    }

    /// Takes some of the expired rows out of memory.
    pub fn sweep(&mut self) {
        for (id, seq) in self.expiry.as_mut().map(Expiry::take_due).unwrap_or_default() {
            let Some(expiry) = &mut self.expiry else { return };
            let Some(row) = self.rows.find(id, seq) else { continue };
            if expiry.is_expired(row.time) {
                self.remove(id);
                continue;
            }
            let time = if row.time == NOT_YET { expiry.stamp() } else { row.time };
            expiry.watch(time, (id, seq));
            if row.time != time {
                self.rows.update(id).time = time;
            }
        }
    }

    /// The columns of stored rows.
    pub fn decode(&self, ids: &[RowId]) -> Result<Vec<ArrayRef>, OperatorError> {
        Ok(self.codec.decode(ids.iter().map(|id| &*self.rows.get(*id).bytes))?)
    }

    pub fn barrier(&mut self, epoch: Epoch, scope: Scope) {
        self.rows.barrier(epoch, scope);
    }

    pub fn drain(&mut self, budget: usize, sink: &mut dyn StateSink) -> Drained {
        self.rows.drain(budget, sink)
    }

    pub fn restore(&mut self, block: &StateBlock) -> Result<(), OperatorError> {
        Ok(self.rows.restore(block)?)
    }

    /// Rebuilds what leads to the rows.
    pub fn restored(&mut self) -> Result<(), OperatorError> {
        let ids = self.rows.restored();
        let mut keys = RowBuffer::default();
        for some in ids.chunks(REBUILD_ROWS) {
            let columns = self.decode(some)?;
            let key_columns: Vec<ArrayRef> = self.keys.iter().map(|c| Arc::clone(&columns[*c])).collect();
            self.key_codec.encode(&key_columns, some.len(), &mut keys);
            for (i, id) in some.iter().enumerate() {
                let hash = self.rows.get(*id).hash;
                self.chains.push(&mut self.rows, hash, keys.row(i), *id);
                if let Some(index) = &mut self.index {
                    index.insert(&self.rows, *id);
                }
                if let Some(expiry) = &mut self.expiry {
                    let row = self.rows.get(*id);
                    expiry.watch(row.time, (*id, row.seq));
                }
            }
        }
        Ok(())
    }

    /// Rows by time (those of one time in order of arrival): timers are derived from state.
    pub fn by_time(&self) -> Vec<(i64, RowId)> {
        let mut rows: Vec<_> = self.rows.ids().map(|id| (self.rows.get(id).time, self.rows.get(id).seq, id)).collect();
        rows.sort_unstable();
        rows.into_iter().map(|(time, _, id)| (time, id)).collect()
    }

    pub fn bytes(&self) -> usize {
        self.rows.bytes() + self.chains.bytes() + self.index.as_ref().map_or(0, RowIndex::bytes)
    }
}
