//! Rows that only ever arrive, kept as columns: one side of a join in which nothing is taken back.
//!
//! Rows are numbered in order of arrival. Batches are gathered into chunks of [`CHUNK`] rows, which `interleave` reads from;
//! a table leads from a key to its newest row, and from each row a link to the one before with that key. Nothing is encoded
//! until a snapshot asks for it.
//!
//! **Snapshots** are rows of the same form as those of a [`RowSlab`], named by (key hash, arrival number). As rows never
//! change, the barrier only notes how many there are.

use crate::element::Batch;
use crate::operator::{Drained, OperatorError, Scope};
use crate::operators::BuildError;
use crate::operators::keys::{KeyForm, Keys};
use crate::operators::row_slab::{Blocks, RowSlab, put_plain, stored_hash};
use crate::row::{RowBuffer, RowCodec, RowError, hash_columns};
use crate::state::{StateBlock, StateSink, WordTable};
use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch, interleave};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;

/// Large enough that ten million rows are 300 arrays for `interleave`, small enough that closing one takes a millisecond.
const CHUNK: usize = 32 * 1024;
/// Pieces shorter than this are merged before the chunk is full, or batches of one row would make chunks of 32 K pieces.
const SHORT: usize = 2048;
/// Rows looked at in one step of a drain.
const DRAIN_STEP: usize = 1024;
const REBUILD_ROWS: usize = 8192;

/// A link to a row, with a bit that says whether another row comes after it: the last of a chain is known without a look at
/// its own link, which for keys that occur once saves a cache miss each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link(u32);

impl Link {
    /// No row.
    pub const NONE: Self = Self(u32::MAX);
    const MORE: u32 = 1 << 31;
    /// The highest row number that leaves the bit free, and [`Link::NONE`] apart.
    const LAST_ROW: u32 = Self::MORE - 2;

    fn new(row: u32, more: bool) -> Self {
        Self(row | if more { Self::MORE } else { 0 })
    }

    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    pub fn row(self) -> u32 {
        self.0 & !Self::MORE
    }

    fn has_more(self) -> bool {
        self.0 & Self::MORE != 0
    }
}

pub struct Appended {
    schema: SchemaRef,
    /// Of exactly [`CHUNK`] rows each.
    closed: Vec<RecordBatch>,
    open: Vec<RecordBatch>,
    rows: usize,
    /// Rows before this one have the arrival numbers that they were restored with; the others count on.
    restored: Vec<u64>,
    next_seq: u64,
    /// Of each row: the row before it with the same key.
    before: Vec<Link>,
    newest: WordTable,
    keys: Keys,
    snapshots: Snapshots,
    /// While restoring.
    restoring: RowSlab,
    codec: RowCodec,
    bytes: usize,
}

struct Snapshots {
    /// Rows before this one are in an earlier snapshot.
    written: usize,
    frozen: Option<Frozen>,
    blocks: Blocks,
}

struct Frozen {
    scope: Scope,
    /// Rows from here on are new in this snapshot.
    new: usize,
    end: usize,
    at: usize,
}

impl Appended {
    pub fn new(table: u8, schema: &SchemaRef, key_columns: &[usize]) -> Result<Self, BuildError> {
        // Rows with a NULL key are not kept: without a word for NULLs a BIGINT key is one word.
        let fields = schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(false));
        let plain: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<Field>>()));
        let keys = Keys::new(key_columns, &plain, true)?;
        let newest = match keys.form {
            KeyForm::Words { width, .. } => WordTable::new(table, width, 1),
            KeyForm::Bytes => WordTable::with_byte_keys(table, &[], 1),
        };
        let types: Vec<DataType> = schema.fields().iter().map(|f| f.data_type().clone()).collect();
        Ok(Self {
            schema: Arc::clone(schema),
            closed: vec![],
            open: vec![],
            rows: 0,
            restored: vec![],
            next_seq: 1,
            before: vec![],
            newest,
            keys,
            snapshots: Snapshots { written: 0, frozen: None, blocks: Blocks::new(table) },
            restoring: RowSlab::new(table),
            codec: RowCodec::new(&types)?,
            bytes: 0,
        })
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn bytes(&self) -> usize {
        self.bytes + self.before.capacity() * size_of::<Link>() + self.newest.bytes()
    }

    /// The rows whose key has no NULL, for that equals nothing; `None` if there are none.
    pub fn with_keys(&self, batch: Batch) -> Result<Option<Batch>, OperatorError> {
        let nulls = self.keys.columns().iter().map(|c| batch.rows.column(*c).logical_nulls());
        let nulls = nulls.fold(None, |all, n| arrow::buffer::NullBuffer::union(all.as_ref(), n.as_ref()));
        let Some(nulls) = nulls.filter(|n| n.null_count() > 0) else { return Ok(Some(batch)) };
        if nulls.null_count() == batch.len() {
            return Ok(None);
        }
        let rows = filter_record_batch(&batch.rows, &BooleanArray::new(nulls.into_inner(), None))
            .map_err(OperatorError::Output)?;
        Ok(Some(Batch::append(rows)))
    }

    /// Reads the keys of a batch of this side; [`Appended::push`] and [`Appended::look_up`] of the other side go by them.
    pub fn read_keys(&mut self, batch: &Batch) {
        self.keys.read(batch);
    }

    /// Keeps the rows whose keys were read.
    pub fn push(&mut self, rows: RecordBatch) -> Result<(), OperatorError> {
        let base = self.rows;
        if base + rows.num_rows() > Link::LAST_ROW as usize {
            return Err(OperatorError::Evaluate {
                what: "a join".into(),
                message: "one task cannot keep more than 2147483646 rows of an input: raise the parallelism".into(),
            });
        }
        let before = &mut self.before;
        before.reserve(rows.num_rows());
        let link = |i: usize, newest: &mut [u64], fresh: bool| {
            before.push(if fresh { Link::NONE } else { Link(newest[0] as u32) });
            newest[0] = u64::from(Link::new((base + i) as u32, !fresh).0);
        };
        match self.keys.form {
            KeyForm::Words { .. } => self.newest.upsert_batch(self.keys.hashes(), self.keys.words(), link),
            KeyForm::Bytes => self.newest.upsert_batch_bytes(self.keys.hashes(), self.keys.rows(), link),
        }
        self.rows += rows.num_rows();
        self.open.push(rows);
        self.merge()
    }

    /// Keeps the number of pieces small, and closes a chunk when it is full.
    fn merge(&mut self) -> Result<(), OperatorError> {
        let concat = |pieces: &[RecordBatch]| concat_batches(&self.schema, pieces).map_err(OperatorError::Output);
        while let [.., a, b] = &self.open[..]
            && b.num_rows() < SHORT
            && a.num_rows() <= 2 * b.num_rows()
        {
            let merged = concat(&self.open[self.open.len() - 2..])?;
            self.open.truncate(self.open.len() - 2);
            self.open.push(merged);
        }
        let open = self.rows - self.closed.len() * CHUNK;
        if open < CHUNK {
            return Ok(());
        }
        let all = concat(&self.open)?;
        self.open.clear();
        let mut at = 0;
        while open - at >= CHUNK {
            let chunk = all.slice(at, CHUNK);
            self.bytes += chunk.columns().iter().map(slice_bytes).sum::<usize>();
            self.closed.push(chunk);
            at += CHUNK;
        }
        if at < open {
            self.open.push(all.slice(at, open - at));
        }
        Ok(())
    }

    /// The newest row of each key that `probe` (the other side) has read.
    pub fn look_up(&self, probe: &Self, out: &mut Vec<Link>) {
        out.clear();
        out.reserve(probe.keys.hashes().len());
        let found = |_: usize, newest: Option<&[u64]>| out.push(newest.map_or(Link::NONE, |n| Link(n[0] as u32)));
        match probe.keys.form {
            KeyForm::Words { .. } => self.newest.look_up_batch(probe.keys.hashes(), probe.keys.words(), found),
            KeyForm::Bytes => self.newest.look_up_batch_bytes(probe.keys.hashes(), probe.keys.rows(), found),
        }
    }

    /// The row after this one in its chain.
    #[inline]
    pub fn after(&self, link: Link) -> Link {
        if link.has_more() { self.before[link.row() as usize] } else { Link::NONE }
    }

    /// The columns of these rows.
    pub fn gather(&self, rows: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        let places: Vec<(usize, usize)> = rows.iter().map(|r| self.place(*r as usize)).collect();
        let pieces = || self.closed.iter().chain(&self.open);
        (0..self.schema.fields().len())
            .map(|c| {
                let columns: Vec<&dyn Array> = pieces().map(|p| p.column(c).as_ref()).collect();
                interleave(&columns, &places).map_err(OperatorError::Output)
            })
            .collect()
    }

    /// Which piece a row is in, and where.
    #[inline]
    fn place(&self, row: usize) -> (usize, usize) {
        let (chunk, mut at) = (row / CHUNK, row % CHUNK);
        if chunk < self.closed.len() {
            return (chunk, at);
        }
        let mut piece = 0;
        while at >= self.open[piece].num_rows() {
            at -= self.open[piece].num_rows();
            piece += 1;
        }
        (self.closed.len() + piece, at)
    }

    fn seq(&self, row: usize) -> u64 {
        self.restored.get(row).copied().unwrap_or_else(|| self.next_seq + (row - self.restored.len()) as u64)
    }

    /// O(1): rows only arrive.
    pub fn barrier(&mut self, scope: Scope) {
        let s = &mut self.snapshots;
        debug_assert!(s.frozen.is_none(), "a barrier comes after the drain before is complete");
        let new = if scope == Scope::Full { 0 } else { s.written };
        s.frozen = Some(Frozen { scope, new, end: self.rows, at: 0 });
        s.written = self.rows;
    }

    pub fn drain(&mut self, budget: usize, sink: &mut dyn StateSink) -> Drained {
        let mut left = budget.max(1);
        loop {
            if !self.snapshots.blocks.send(sink) {
                return Drained::Pending;
            }
            let Some(mut frozen) = self.snapshots.frozen.take() else { return Drained::Complete };
            if frozen.at == frozen.end {
                self.snapshots.blocks.close();
                continue;
            }
            if left == 0 {
                self.snapshots.frozen = Some(frozen);
                return Drained::Pending;
            }
            self.copy_some(&mut frozen, &mut left, sink);
            self.snapshots.frozen = Some(frozen);
        }
    }

    /// Encodes some of the frozen rows.
    fn copy_some(&mut self, frozen: &mut Frozen, left: &mut usize, sink: &mut dyn StateSink) {
        let (from, piece) = (frozen.at, self.slice(frozen.at, frozen.end, DRAIN_STEP.min(*left * 8)));
        frozen.at += piece.num_rows();
        let columns: Vec<ArrayRef> = self.keys.columns().iter().map(|c| Arc::clone(piece.column(*c))).collect();
        let mut hashes = vec![];
        hash_columns(&columns, piece.num_rows(), &mut hashes);
        let wanted = |i: usize| match frozen.scope {
            Scope::Full => true,
            Scope::Delta { rotation } => from + i >= frozen.new || hashes[i] >> 60 == u64::from(rotation),
        };
        let picked: Vec<usize> = (0..piece.num_rows()).filter(|i| wanted(*i)).collect();
        *left = left.saturating_sub(picked.len() + piece.num_rows() / 8 + 1);
        if picked.is_empty() {
            return;
        }
        let rows = if picked.len() == piece.num_rows() {
            piece
        } else {
            let mask: BooleanArray = (0..piece.num_rows()).map(|i| Some(wanted(i))).collect();
            filter_record_batch(&piece, &mask).expect("the mask has a bit for every row")
        };
        let mut bytes = RowBuffer::default();
        self.codec.encode(rows.columns(), rows.num_rows(), &mut bytes);
        for (n, i) in picked.into_iter().enumerate() {
            let name = (stored_hash(hashes[i]), self.seq(from + i));
            self.snapshots.blocks.row(name, Some(&mut *sink), |out| put_plain(bytes.row(n), out));
        }
    }

    /// At most `limit` rows from `from` on that lie in one piece.
    fn slice(&self, from: usize, end: usize, limit: usize) -> RecordBatch {
        let (piece, at) = self.place(from);
        let piece = self.closed.iter().chain(&self.open).nth(piece).expect("a row has a place");
        piece.slice(at, (piece.num_rows() - at).min(end - from).min(limit))
    }

    pub fn restore(&mut self, block: &StateBlock) -> Result<(), OperatorError> {
        Ok(self.restoring.restore(block)?)
    }

    pub fn restored(&mut self) -> Result<(), OperatorError> {
        let table = self.restoring.table();
        let mut slab = std::mem::replace(&mut self.restoring, RowSlab::new(table));
        let ids = slab.restored();
        for some in ids.chunks(REBUILD_ROWS) {
            if some.iter().any(|id| slab.get(*id).count != 1) {
                return Err(RowError::Damaged("a row that only arrives has copies").into());
            }
            let columns = self.codec.decode(some.iter().map(|id| &*slab.get(*id).bytes))?;
            let rows = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(OperatorError::Output)?;
            let batch = Batch::append(rows);
            self.read_keys(&batch);
            self.push(batch.rows)?;
            self.restored.extend(some.iter().map(|id| slab.get(*id).seq));
        }
        self.next_seq = self.restored.last().map_or(1, |s| s + 1);
        self.snapshots.written = self.rows;
        Ok(())
    }
}

/// What a slice holds, not what the buffers behind it do.
fn slice_bytes(column: &ArrayRef) -> usize {
    column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_buffer_memory_size())
}
