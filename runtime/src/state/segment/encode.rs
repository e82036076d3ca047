//! Blocks of rows to the bytes of a segment.

use super::super::StateBlock;
use super::{
    BLOCK_HEAD, BlockIndex, COMPRESSION_MAX, CRC, Compression, Contents, Footer, HEADER, MAGIC, SEGMENT_VERSION,
    TRAILER,
};
use crate::row::RowBuffer;
use sluice_core::hash::HASH_ID;
use sluice_core::id::{Epoch, OperatorId, WriterId};
use sluice_core::key_group::KeyGroups;
use std::ops::Range;

/// Most segments are small deltas; a large one grows.
const FIRST_ROOM: usize = 16 * 1024;

/// A segment in the making.
#[derive(Debug)]
pub struct SegmentBuilder {
    bytes: Vec<u8>,
    footer: Footer,
    compression: Compression,
    /// Of a payload before compression.
    raw: Vec<u8>,
}

/// The key groups of hashes, as a range.
fn groups_of(hashes: &[u64], key_groups: KeyGroups) -> Range<u16> {
    // A group is monotone in the hash.
    let low = hashes.iter().min().map_or(0, |h| key_groups.of(*h).0);
    let high = hashes.iter().max().map_or(0, |h| key_groups.of(*h).0);
    low..high + 1
}

impl SegmentBuilder {
    pub fn new(operator: OperatorId, writer: WriterId, epoch: Epoch, key_groups: KeyGroups) -> Self {
        let mut bytes = Vec::with_capacity(FIRST_ROOM);
        put_magic(&mut bytes);
        let footer = Footer { operator, writer, epoch, key_groups, hash_id: HASH_ID.to_owned(), blocks: Vec::new() };
        Self { bytes, footer, compression: Compression::None, raw: Vec::new() }
    }

    #[must_use]
    pub fn compressed(self, compression: Compression) -> Self {
        Self { compression, ..self }
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.footer.blocks.is_empty()
    }

    /// Appends the rows of a block; an empty block is nothing.
    pub fn push(&mut self, block: &StateBlock) {
        if block.is_empty() {
            return;
        }
        let start = self.bytes.len();
        let tombstones = block.deleted.iter().filter(|d| **d).count();
        self.bytes.resize(start + BLOCK_HEAD, 0);
        let (raw, codec) = match self.compression {
            Compression::None => {
                put_payload(block, tombstones, &mut self.bytes);
                (self.bytes.len() - start - BLOCK_HEAD, 0)
            }
            Compression::Zstd => self.put_compressed(block, tombstones),
        };
        let stored = self.bytes.len() - start - BLOCK_HEAD;
        let groups = groups_of(&block.hashes, self.footer.key_groups);
        let mut head = Vec::with_capacity(BLOCK_HEAD);
        for n in [stored, raw, block.len(), tombstones] {
            head.extend_from_slice(&(n as u32).to_le_bytes());
        }
        head.extend_from_slice(&groups.start.to_le_bytes());
        head.extend_from_slice(&(groups.end - 1).to_le_bytes());
        head.extend_from_slice(&[block.table, codec, 0, 0]);
        self.bytes[start..start + BLOCK_HEAD].copy_from_slice(&head);
        let crc = crc32fast::hash(&self.bytes[start..]);
        self.bytes.extend_from_slice(&crc.to_le_bytes());
        self.footer.blocks.push(BlockIndex {
            offset: start as u64,
            length: (self.bytes.len() - start) as u32,
            rows: block.len() as u32,
            tombstones: tombstones as u32,
            table: block.table,
            groups,
            crc32: crc,
        });
    }

    /// Appends the payload, compressed if that saves a tenth. Returns its raw length and the codec.
    fn put_compressed(&mut self, block: &StateBlock, tombstones: usize) -> (usize, u8) {
        self.raw.clear();
        put_payload(block, tombstones, &mut self.raw);
        let raw = self.raw.len();
        if let Ok(small) = zstd::bulk::compress(&self.raw, 1)
            && small.len() * 10 < raw * 9
        {
            self.bytes.extend_from_slice(&(small.len() as u32).to_le_bytes());
            self.bytes.extend_from_slice(&small);
            let padding = raw.div_ceil(COMPRESSION_MAX).saturating_sub(small.len() + 4);
            self.bytes.resize(self.bytes.len() + padding, 0);
            return (raw, 1);
        }
        self.bytes.extend_from_slice(&self.raw);
        (raw, 0)
    }

    pub fn finish(mut self) -> (Vec<u8>, Contents) {
        let footer = self.bytes.len();
        put_footer(&self.footer, &mut self.bytes);
        let length = self.bytes.len() - footer;
        let total = self.bytes.len() + TRAILER;
        self.bytes.extend_from_slice(&(length as u32).to_le_bytes());
        self.bytes.extend_from_slice(&(total as u64).to_le_bytes());
        let crc = crc32fast::hash(&self.bytes[footer..]);
        self.bytes.extend_from_slice(&crc.to_le_bytes());
        put_magic(&mut self.bytes);
        let start = self.footer.blocks.iter().map(|b| b.groups.start).min().unwrap_or(0);
        let end = self.footer.blocks.iter().map(|b| b.groups.end).max().unwrap_or(0);
        let (rows, tombstones) = (self.footer.rows(), self.footer.tombstones());
        (self.bytes, Contents { rows, tombstones, groups: start..end })
    }
}

fn put_magic(out: &mut Vec<u8>) {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&SEGMENT_VERSION.to_le_bytes());
    debug_assert_eq!(MAGIC.len() + 2, HEADER);
}

fn put_payload(block: &StateBlock, tombstones: usize, out: &mut Vec<u8>) {
    out.reserve(block.heap_bytes() + 2 * CRC);
    block.hashes.iter().for_each(|h| out.extend_from_slice(&h.to_le_bytes()));
    if tombstones == 0 {
        out.push(0);
    } else if tombstones == block.len() {
        out.push(1);
    } else {
        out.push(2);
        out.extend(block.deleted.chunks(8).map(|c| c.iter().rev().fold(0u8, |b, d| b << 1 | u8::from(*d))));
    }
    put_column(&block.keys, out);
    if tombstones == block.len() {
        out.push(2);
    } else {
        put_column(&block.values, out);
    }
}

fn put_column(rows: &RowBuffer, out: &mut Vec<u8>) {
    if rows.bytes.is_empty() {
        out.push(2);
    } else if rows.width != 0 {
        out.push(0);
        out.extend_from_slice(&rows.width.to_le_bytes());
        out.extend_from_slice(&rows.bytes);
    } else {
        out.push(1);
        rows.offsets.windows(2).for_each(|w| out.extend_from_slice(&(w[1] - w[0]).to_le_bytes()));
        out.extend_from_slice(&rows.bytes);
    }
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn put_footer(footer: &Footer, out: &mut Vec<u8>) {
    put_text(&footer.operator.0, out);
    put_text(&footer.writer.0, out);
    put_text(&footer.hash_id, out);
    out.extend_from_slice(&footer.epoch.0.to_le_bytes());
    out.extend_from_slice(&footer.key_groups.count().to_le_bytes());
    out.extend_from_slice(&(footer.blocks.len() as u32).to_le_bytes());
    for b in &footer.blocks {
        out.extend_from_slice(&b.offset.to_le_bytes());
        for n in [b.length, b.rows, b.tombstones, b.crc32] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        out.extend_from_slice(&b.groups.start.to_le_bytes());
        out.extend_from_slice(&(b.groups.end - 1).to_le_bytes());
        out.push(b.table);
    }
}
