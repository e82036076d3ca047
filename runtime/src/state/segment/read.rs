//! Segments in a store: the footer first, then only the blocks that are wanted.

use super::super::StateBlock;
use super::decode::check_magic;
use super::{BlockIndex, Damage, Footer, HEADER, SegmentError, Tail, decode_block, read_tail};
use crate::store::{ErrorClass, Store, StoreError};
use bytes::Bytes;
use std::ops::Range;

/// Bytes from the end that the first request asks for: the index of two thousand blocks, or the whole of a small segment.
const TAIL_BYTES: u64 = 64 * 1024;
/// Blocks that stand together are fetched together up to this: a request costs as much as a megabyte or more.
const FETCH_BYTES: u64 = 8 << 20;

/// A segment whose footer was read and verified.
#[derive(Debug)]
pub struct SegmentReader {
    path: String,
    pub footer: Footer,
}

impl SegmentReader {
    /// Fetches the footer of an object of `length` bytes.
    pub async fn open(store: &dyn Store, path: &str, length: u64) -> Result<Self, SegmentError> {
        let mut need = TAIL_BYTES.min(length);
        loop {
            let tail = store.get_range(path, length - need..length).await.map_err(|e| missing(path, e))?;
            match read_tail(&tail, length).map_err(|d| damaged(path, &d))? {
                Tail::Footer(footer) => {
                    // A small segment is here as a whole; of a large one the beginning costs a request.
                    let head = match tail.first_chunk::<HEADER>().filter(|_| need == length) {
                        Some(head) => Bytes::copy_from_slice(head),
                        None => store.get_range(path, 0..HEADER as u64).await.map_err(|e| missing(path, e))?,
                    };
                    check_magic(&head).map_err(|d| damaged(path, &d))?;
                    return Ok(Self { path: path.to_owned(), footer });
                }
                Tail::Longer(n) if n > need && n <= length => need = n,
                Tail::Longer(_) => return Err(damaged(path, &Damage::Segment("its footer is longer than itself"))),
            }
        }
    }

    /// Blocks that may hold rows of these key groups, in order.
    pub fn wanted(&self, groups: &Range<u16>) -> impl Iterator<Item = &BlockIndex> {
        self.footer.blocks_of(groups)
    }

    /// The wanted blocks in runs that one request fetches.
    pub fn runs(&self, groups: &Range<u16>) -> Vec<Vec<BlockIndex>> {
        let mut runs: Vec<Vec<BlockIndex>> = Vec::new();
        for b in self.wanted(groups) {
            let fits = runs.last().and_then(|r| Some((r.first()?, r.last()?))).is_some_and(|(first, last)| {
                last.offset + u64::from(last.length) == b.offset
                    && b.offset + u64::from(b.length) - first.offset <= FETCH_BYTES
            });
            match runs.last_mut() {
                Some(run) if fits => run.push(b.clone()),
                _ => runs.push(vec![b.clone()]),
            }
        }
        runs
    }

    /// The bytes of a run of blocks.
    pub async fn fetch(&self, store: &dyn Store, run: &[BlockIndex]) -> Result<Bytes, SegmentError> {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(Bytes::new()) };
        let range = first.offset..last.offset + u64::from(last.length);
        store.get_range(&self.path, range).await.map_err(|e| missing(&self.path, e))
    }

    /// Verifies and decodes block `b` out of the bytes of its run.
    pub fn decode(&self, run: &[BlockIndex], bytes: &[u8], b: &BlockIndex) -> Result<StateBlock, SegmentError> {
        let at = (b.offset - run.first().map_or(b.offset, |f| f.offset)) as usize;
        let block = bytes.get(at..at + b.length as usize).unwrap_or_default();
        decode_block(&self.footer, b, block).map_err(|d| damaged(&self.path, &d))
    }

    /// Fetches and verifies one block.
    pub async fn block(&self, store: &dyn Store, b: &BlockIndex) -> Result<StateBlock, SegmentError> {
        let run = std::slice::from_ref(b);
        let bytes = self.fetch(store, run).await?;
        self.decode(run, &bytes, b)
    }
}

fn damaged(path: &str, damage: &Damage) -> SegmentError {
    match damage {
        Damage::Version(v) => SegmentError::Newer { path: path.to_owned(), version: u32::from(*v) },
        d => SegmentError::Damaged { path: path.to_owned(), message: d.to_string() },
    }
}

/// An object that is gone or ends early is damage, not weather.
fn missing(path: &str, e: StoreError) -> SegmentError {
    match e.class() {
        ErrorClass::NotFound => SegmentError::Damaged { path: path.to_owned(), message: "it is missing".into() },
        _ if e.message.contains("shorter") => {
            SegmentError::Damaged { path: path.to_owned(), message: "it is shorter than it was written".into() }
        }
        _ => e.into(),
    }
}
