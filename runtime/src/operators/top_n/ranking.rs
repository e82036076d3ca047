//! Rows of partitions in order: what Top-N keeps.
//!
//! A partition's first `limit` rows are a sorted vector, the rows behind them (only where rows can be taken back) a sorted
//! map. Sort keys are memcomparable bytes of `arrow-row`, in memory only: its format is not ours to keep. Ties stand in order
//! of arrival.

use crate::operator::OperatorError;
use crate::operators::BuildError;
use crate::operators::key_chains::RowQueues;
use crate::operators::row_slab::{RowId, RowSlab, stored_hash};
use crate::row::{RowBuffer, RowCodec};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::row::{RowConverter, Rows, SortField};
use hashbrown::HashTable;
use sluice_core::plan::SortKey;
use std::collections::BTreeMap;
use std::sync::Arc;

/// As in [`RowQueues`]: growing one part never stops a batch for long.
const SHARDS: usize = 256;

/// A row's place: its sort key, then its arrival number.
type Place = (Box<[u8]>, u64);

#[derive(Debug)]
pub struct Ranked {
    place: Place,
    pub id: RowId,
}

#[derive(Debug)]
pub struct Partition {
    hash: u64,
    key: Box<[u8]>,
    /// The rows of rank 1 to at most `limit`.
    pub top: Vec<Ranked>,
    rest: BTreeMap<Place, RowId>,
    /// When a row was last added or taken back.
    pub touched: i64,
}

/// What an insertion did to a partition's first rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// The row stands at this index; the last one had to go, if there were `limit` before.
    At(usize, Option<RowId>),
    /// It is not among the first.
    Behind,
}

/// What a removal did: the row stood at this index, and whether a row from behind came up to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    pub at: Option<usize>,
    pub promoted: bool,
}

/// All partitions of a task, and their rows.
#[derive(Debug)]
pub struct Ranking {
    pub rows: RowSlab,
    shards: Vec<HashTable<Partition>>,
    /// Row bytes → equal rows in order of arrival; only where rows can be taken back.
    equals: Option<RowQueues>,
    limit: usize,
    pub codec: RowCodec,
    key_codec: RowCodec,
    keys: Vec<usize>,
    order: Vec<usize>,
    sorter: RowConverter,
    heap: usize,
}

impl Ranking {
    /// `keys`: the columns of the partition (with the window's end, if it belongs to the partition).
    pub fn new(
        schema: &SchemaRef,
        keys: &[usize],
        order: &[SortKey],
        limit: u64,
        retracts: bool,
    ) -> Result<Self, BuildError> {
        let data_type = |c: usize| schema.field(c).data_type().clone();
        let field = |k: &SortKey| {
            let options = SortOptions { descending: k.descending, nulls_first: k.nulls_first };
            SortField::new_with_options(data_type(k.column), options)
        };
        let all: Vec<DataType> = schema.fields().iter().map(|f| f.data_type().clone()).collect();
        Ok(Self {
            rows: RowSlab::new(0),
            shards: (0..SHARDS).map(|_| HashTable::new()).collect(),
            equals: retracts.then(RowQueues::default),
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            codec: RowCodec::new(&all)?,
            key_codec: RowCodec::new(&keys.iter().map(|c| data_type(*c)).collect::<Vec<_>>())?,
            keys: keys.to_vec(),
            order: order.iter().map(|k| k.column).collect(),
            sorter: RowConverter::new(order.iter().map(field).collect()).map_err(BuildError::SortKey)?,
            heap: 0,
        })
    }

    /// Partition keys of rows.
    pub fn encode_keys(&self, rows: &[ArrayRef], count: usize) -> RowBuffer {
        let mut keys = RowBuffer::default();
        self.key_codec.encode(&pick(&self.keys, rows), count, &mut keys);
        keys
    }

    /// Sort keys of rows; `None` without an order (then all are equal, and arrival decides).
    pub fn sort_keys(&self, rows: &[ArrayRef]) -> Result<Option<Rows>, OperatorError> {
        if self.order.is_empty() {
            return Ok(None);
        }
        let columns = pick(&self.order, rows);
        self.sorter.convert_columns(&columns).map(Some).map_err(OperatorError::Output)
    }

    pub fn encode_rows(&self, rows: &RecordBatch) -> RowBuffer {
        let mut bytes = RowBuffer::default();
        self.codec.encode(rows.columns(), rows.num_rows(), &mut bytes);
        bytes
    }

    pub fn partition(&self, hash: u64, key: &[u8]) -> Option<&Partition> {
        let hash = stored_hash(hash);
        self.shards[shard(hash)].find(spread(hash), |p| p.hash == hash && *p.key == *key)
    }

    /// Whether a row with this sort key would stand behind the first `limit` rows, whatever comes later.
    pub fn is_full_before(&self, partition: &Partition, sort: &[u8]) -> bool {
        partition.top.len() >= self.limit && partition.top.last().is_none_or(|last| *last.place.0 <= *sort)
    }

    /// Adds a row as the last to arrive. Where rows cannot be taken back, a row behind the first `limit` is not kept, and
    /// the one that had to go is still in the slab: the caller removes it when it has been told downstream.
    pub fn insert(&mut self, hash: u64, key: &[u8], sort: &[u8], bytes: &[u8], time: i64) -> Inserted {
        let id = self.rows.insert(hash, bytes.into(), 0, time);
        let inserted = self.place(key, sort, id, time);
        if inserted == Inserted::Behind && self.equals.is_none() {
            self.rows.remove(id);
        }
        inserted
    }

    fn place(&mut self, key: &[u8], sort: &[u8], id: RowId, time: i64) -> Inserted {
        let (hash, seq) = (self.rows.get(id).hash, self.rows.get(id).seq);
        if let Some(equals) = &mut self.equals {
            equals.push(&mut self.rows, id);
        }
        let keeps_rest = self.equals.is_some();
        let limit = self.limit;
        let Self { shards, heap, .. } = self;
        let entry = shards[shard(hash)].entry(spread(hash), |p| p.hash == hash && *p.key == *key, |p| spread(p.hash));
        let entry = entry.or_insert_with(|| {
            *heap += key.len() + size_of::<Partition>();
            Partition { hash, key: key.into(), top: vec![], rest: BTreeMap::new(), touched: i64::MIN }
        });
        let partition = entry.into_mut();
        partition.touched = partition.touched.max(time);
        let place: Place = (sort.into(), seq);
        let at = partition.top.partition_point(|r| r.place < place);
        if at >= limit {
            if keeps_rest {
                partition.rest.insert(place, id);
                self.heap += sort.len() + 48;
            }
            return Inserted::Behind;
        }
        partition.top.insert(at, Ranked { place, id });
        let evicted = if partition.top.len() > limit { partition.top.pop() } else { None };
        let evicted_id = evicted.as_ref().map(|r| r.id);
        if let Some(evicted) = evicted {
            if keeps_rest {
                partition.rest.insert(evicted.place, evicted.id);
            } else {
                self.heap -= evicted.place.0.len() + size_of::<Ranked>();
            }
        }
        self.heap += sort.len() + size_of::<Ranked>();
        Inserted::At(at, evicted_id)
    }

    /// The earliest of the rows equal to this one.
    pub fn find(&self, bytes: &[u8]) -> Option<RowId> {
        self.equals.as_ref()?.first(&self.rows, bytes)
    }

    /// Takes a row out of its partition; it stays in the slab until [`RowSlab::remove`]. `sort` is the row's sort key.
    pub fn take_out(&mut self, key: &[u8], sort: &[u8], id: RowId, time: i64) -> Removed {
        let (hash, seq) = (self.rows.get(id).hash, self.rows.get(id).seq);
        if let Some(equals) = &mut self.equals {
            equals.unlink(&mut self.rows, id);
        }
        let place: Place = (sort.into(), seq);
        let Ok(mut entry) = self.shards[shard(hash)].find_entry(spread(hash), |p| p.hash == hash && *p.key == *key)
        else {
            return Removed { at: None, promoted: false };
        };
        let partition = entry.get_mut();
        partition.touched = partition.touched.max(time);
        self.heap = self.heap.saturating_sub(sort.len() + size_of::<Ranked>());
        let removed = match partition.top.binary_search_by(|r| r.place.cmp(&place)) {
            Err(_) => {
                partition.rest.remove(&place);
                Removed { at: None, promoted: false }
            }
            Ok(at) => {
                partition.top.remove(at);
                let next = partition.rest.pop_first();
                let promoted = next.is_some();
                partition.top.extend(next.map(|(place, id)| Ranked { place, id }));
                Removed { at: Some(at), promoted }
            }
        };
        if partition.top.is_empty() {
            self.heap = self.heap.saturating_sub(partition.key.len() + size_of::<Partition>());
            entry.remove();
        }
        removed
    }

    /// Takes a whole partition out; its rows stay in the slab until [`Ranking::forget`].
    pub fn take_partition(&mut self, hash: u64, key: &[u8]) -> Option<Partition> {
        let hash = stored_hash(hash);
        let entry = self.shards[shard(hash)].find_entry(spread(hash), |p| p.hash == hash && *p.key == *key).ok()?;
        let (partition, _) = entry.remove();
        self.heap = self.heap.saturating_sub(partition.key.len() + size_of::<Partition>());
        Some(partition)
    }

    /// Gives a partition and one of its rows a time.
    pub fn restamp(&mut self, hash: u64, key: &[u8], time: i64) {
        let hash = stored_hash(hash);
        let found = self.shards[shard(hash)].find_mut(spread(hash), |p| p.hash == hash && *p.key == *key);
        if let Some(partition) = found {
            partition.touched = time;
            self.rows.update(partition.top[0].id).time = time;
        }
    }

    /// Removes the rows of a partition that was taken out.
    pub fn forget(&mut self, partition: Partition) {
        let Partition { top, rest, .. } = partition;
        for (place, id) in top.into_iter().map(|r| (r.place, r.id)).chain(rest) {
            if let Some(equals) = &mut self.equals {
                equals.unlink(&mut self.rows, id);
            }
            self.heap = self.heap.saturating_sub(place.0.len() + size_of::<Ranked>());
            self.rows.remove(id);
        }
    }

    /// Rebuilds the partitions; `each` sees a portion of rows with their partition keys.
    pub fn restored(&mut self, mut each: impl FnMut(&Self, &[RowId], &RowBuffer)) -> Result<(), OperatorError> {
        let ids = self.rows.restored();
        for some in ids.chunks(REBUILD_ROWS) {
            let columns = self.codec.decode(some.iter().map(|id| &*self.rows.get(*id).bytes))?;
            let keys = self.encode_keys(&columns, some.len());
            let sorts = self.sort_keys(&columns)?;
            for (i, id) in some.iter().enumerate() {
                let time = self.rows.get(*id).time;
                let placed = self.place(keys.row(i), sort_key(sorts.as_ref(), i), *id, time);
                debug_assert!(
                    self.equals.is_some() || matches!(placed, Inserted::At(_, None)),
                    "an append-only ranking saves only its first rows"
                );
            }
            each(self, some, &keys);
        }
        Ok(())
    }

    pub fn bytes(&self) -> usize {
        self.rows.bytes() + self.heap + self.equals.as_ref().map_or(0, RowQueues::bytes)
    }
}

/// Rows decoded at once when the partitions are rebuilt.
const REBUILD_ROWS: usize = 4096;

/// The sort key of row `i`.
pub fn sort_key(sorts: Option<&Rows>, i: usize) -> &[u8] {
    sorts.map_or(&[], |s| s.row(i).data())
}

fn pick(of: &[usize], rows: &[ArrayRef]) -> Vec<ArrayRef> {
    of.iter().map(|c| Arc::clone(&rows[*c])).collect()
}

fn shard(hash: u64) -> usize {
    (hash >> 5) as usize % SHARDS
}

fn spread(hash: u64) -> u64 {
    hash.rotate_left(32)
}
