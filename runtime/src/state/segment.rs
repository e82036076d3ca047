//! Segments: immutable objects with rows of one operator's state. The format is ours, documented in docs/state-format.md,
//! and independent of how tables keep rows in memory.
//!
//! ```text
//! segment = magic, version | block* | footer | trailer
//! block   = head (lengths, rows, table, key groups) | payload | crc
//! footer  = who wrote it, when, for whom | index of the blocks
//! trailer = footer length, object length, crc, magic
//! ```
//!
//! A reader begins at the end, takes the index, and fetches only blocks whose key groups it owns. It trusts nothing: every
//! block and the footer carry a CRC-32, and a length is checked against the bytes at hand before memory is taken for it, so
//! that decoding takes at most ten times the input. It refuses versions it does not know, and other operators' rows.

mod decode;
mod encode;
mod read;
#[cfg(test)]
mod tests;

use crate::store::StoreError;
pub use decode::{Damage, Tail, decode_block, read_tail, verify};
pub use encode::SegmentBuilder;
pub use read::SegmentReader;
use sluice_core::id::{Epoch, OperatorId, WriterId};
use sluice_core::key_group::KeyGroups;
use std::ops::Range;

/// The newest version that this release reads, and the one that it writes.
pub const SEGMENT_VERSION: u16 = 1;
const MAGIC: [u8; 6] = *b"SLUSEG";
/// Magic and version.
const HEADER: usize = 8;
/// Footer length u32, object length u64, crc u32, magic and version.
pub const TRAILER: usize = 4 + 8 + 4 + HEADER;
/// Of a block: stored u32, raw u32, rows u32, tombstones u32, first group u16, last group u16, table u8, codec u8, reserved u16.
const BLOCK_HEAD: usize = 24;
const CRC: usize = 4;
/// A compressed payload stands for at most this many times its bytes (padded where it would be more): what a reader must
/// allocate is bounded by what it was given.
const COMPRESSION_MAX: usize = 3;

/// All that is known without reading blocks: who wrote them, when, for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footer {
    pub operator: OperatorId,
    pub writer: WriterId,
    pub epoch: Epoch,
    pub key_groups: KeyGroups,
    /// Algorithm of the key hash.
    pub hash_id: String,
    pub blocks: Vec<BlockIndex>,
}

/// A block of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockIndex {
    pub offset: u64,
    /// With head and crc.
    pub length: u32,
    pub rows: u32,
    pub tombstones: u32,
    pub table: u8,
    /// Exclusive end; a row's group is in it.
    pub groups: Range<u16>,
    pub crc32: u32,
}

/// What a finished segment holds, for its reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    pub rows: u64,
    pub tombstones: u64,
    pub groups: Range<u16>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    #[default]
    None,
    /// Zstandard, level 1, where it saves a tenth at least.
    Zstd,
}

#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    #[error("segment '{path}' is damaged: {message}; restore an earlier checkpoint or a savepoint")]
    Damaged { path: String, message: String },
    #[error("segment '{path}' has format {version}, this release reads up to {SEGMENT_VERSION}: use a newer release")]
    Newer { path: String, version: u32 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Footer {
    pub fn rows(&self) -> u64 {
        self.blocks.iter().map(|b| u64::from(b.rows)).sum()
    }

    pub fn tombstones(&self) -> u64 {
        self.blocks.iter().map(|b| u64::from(b.tombstones)).sum()
    }

    /// Blocks that may have rows of these key groups, in order.
    pub fn blocks_of(&self, groups: &Range<u16>) -> impl Iterator<Item = &BlockIndex> {
        self.blocks.iter().filter(move |b| b.groups.start < groups.end && groups.start < b.groups.end)
    }
}
