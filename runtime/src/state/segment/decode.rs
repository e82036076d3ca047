//! Bytes of a segment, from whatever they may be, to rows or an error.

use super::super::StateBlock;
use super::{BLOCK_HEAD, BlockIndex, COMPRESSION_MAX, CRC, Footer, HEADER, MAGIC, SEGMENT_VERSION, TRAILER};
use crate::row::RowBuffer;
use sluice_core::id::{Epoch, OperatorId, WriterId};
use sluice_core::key_group::KeyGroups;

/// What is wrong with the bytes of a segment.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Damage {
    #[error("{0}")]
    Segment(&'static str),
    #[error("the block at {offset} is damaged: {what}")]
    Block { offset: u64, what: &'static str },
    /// Not damage, but a later release's.
    #[error("it has format version {0}")]
    Version(u16),
}

/// What the end of an object gives.
#[derive(Debug, PartialEq, Eq)]
pub enum Tail {
    Footer(Footer),
    /// The footer is longer than the bytes given: this many from the end are needed.
    Longer(u64),
}

/// Reads bytes from the front.
struct Cursor<'a>(&'a [u8]);

const SHORT: Damage = Damage::Segment("it ends too early");

impl<'a> Cursor<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|b| b[0])
    }
    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }
    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }
    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
    fn text(&mut self) -> Option<String> {
        let n = self.u32()? as usize;
        String::from_utf8(self.take(n)?.to_vec()).ok()
    }
}

/// The first bytes of an object, and the last of its trailer.
pub(super) fn check_magic(bytes: &[u8]) -> Result<(), Damage> {
    let mut c = Cursor(bytes);
    if c.array() != Some(MAGIC) {
        return Err(Damage::Segment("it does not begin and end as a segment does"));
    }
    match c.u16() {
        Some(SEGMENT_VERSION) => Ok(()),
        Some(v) => Err(Damage::Version(v)),
        None => Err(SHORT),
    }
}

/// Reads the footer from the last bytes of an object of `length` bytes.
pub fn read_tail(tail: &[u8], length: u64) -> Result<Tail, Damage> {
    if tail.len() < TRAILER || length < (TRAILER + HEADER) as u64 || tail.len() as u64 > length {
        return Err(SHORT);
    }
    let mut c = Cursor(&tail[tail.len() - TRAILER..]);
    let (footer, total, crc) = (c.u32().ok_or(SHORT)?, c.u64().ok_or(SHORT)?, c.u32().ok_or(SHORT)?);
    check_magic(c.0)?;
    if total != length {
        return Err(Damage::Segment("its length is not the one that it was written with"));
    }
    let need = u64::from(footer) + TRAILER as u64;
    if need + HEADER as u64 > length {
        return Err(Damage::Segment("its footer is longer than itself"));
    }
    if need > tail.len() as u64 {
        return Ok(Tail::Longer(need));
    }
    let bytes = &tail[tail.len() - need as usize..];
    let (checked, _) = bytes.split_at(footer as usize + 12);
    if crc32fast::hash(checked) != crc {
        return Err(Damage::Segment("the checksum of its footer is wrong"));
    }
    let segment = read_footer(&checked[..footer as usize]).ok_or(Damage::Segment("its footer cannot be read"))?;
    check_blocks(&segment, length - need)?;
    Ok(Tail::Footer(segment))
}

fn read_footer(bytes: &[u8]) -> Option<Footer> {
    let mut c = Cursor(bytes);
    let (operator, writer, hash_id) = (OperatorId(c.text()?), WriterId(c.text()?), c.text()?);
    let epoch = Epoch(c.u64()?);
    let key_groups = KeyGroups::new(c.u32()?).ok()?;
    let count = c.u32()? as usize;
    // An entry has 29 bytes.
    if count.checked_mul(29)? != c.0.len() {
        return None;
    }
    let mut blocks = Vec::with_capacity(count);
    for _ in 0..count {
        let (offset, length, rows, tombstones, crc) = (c.u64()?, c.u32()?, c.u32()?, c.u32()?, c.u32()?);
        let (first, last, table) = (c.u16()?, c.u16()?, c.u8()?);
        if first > last || u32::from(last) >= key_groups.count() || tombstones > rows {
            return None;
        }
        blocks.push(BlockIndex { offset, length, rows, tombstones, table, groups: first..last + 1, crc32: crc });
    }
    Some(Footer { operator, writer, epoch, key_groups, hash_id, blocks })
}

/// Blocks stand back to back from the header to the footer.
fn check_blocks(footer: &Footer, footer_at: u64) -> Result<(), Damage> {
    let mut at = HEADER as u64;
    for b in &footer.blocks {
        if b.offset != at || (b.length as usize) < BLOCK_HEAD + CRC {
            return Err(Damage::Segment("its index has gaps"));
        }
        at += u64::from(b.length);
    }
    if at == footer_at { Ok(()) } else { Err(Damage::Segment("its index has gaps")) }
}

/// The rows of a block of the index, whose bytes are `bytes`.
pub fn decode_block(footer: &Footer, b: &BlockIndex, bytes: &[u8]) -> Result<StateBlock, Damage> {
    let damaged = |what| Damage::Block { offset: b.offset, what };
    if bytes.len() != b.length as usize || bytes.len() < BLOCK_HEAD + CRC {
        return Err(damaged("its length is not the index's"));
    }
    let (checked, crc) = bytes.split_at(bytes.len() - CRC);
    if crc32fast::hash(checked) != b.crc32 || crc != b.crc32.to_le_bytes() {
        return Err(damaged("its checksum is wrong"));
    }
    let (head, payload) = checked.split_at(BLOCK_HEAD);
    let codec = check_head(b, head, payload.len()).ok_or(damaged("its head is not the index's"))?;
    let mut block = match codec {
        Codec::Raw => decode_payload(b, payload),
        Codec::Zstd { raw } => decode_payload(b, &unpack(payload, raw).ok_or(damaged("it cannot be unpacked"))?),
    }
    .ok_or(damaged("its columns cannot be read"))?;
    block.table = b.table;
    let groups = footer.key_groups;
    if block.hashes.iter().any(|h| !b.groups.contains(&groups.of(*h).0)) {
        return Err(damaged("it has rows of other key groups than it says"));
    }
    Ok(block)
}

enum Codec {
    Raw,
    Zstd { raw: usize },
}

fn check_head(b: &BlockIndex, head: &[u8], payload: usize) -> Option<Codec> {
    let mut c = Cursor(head);
    let (stored, raw, rows, tombstones) = (c.u32()? as usize, c.u32()? as usize, c.u32()?, c.u32()?);
    let (first, last, table, codec) = (c.u16()?, c.u16()?, c.u8()?, c.u8()?);
    let same = stored == payload
        && rows == b.rows
        && tombstones == b.tombstones
        && first == b.groups.start
        && last + 1 == b.groups.end
        && table == b.table;
    match codec {
        0 if same && raw == stored => Some(Codec::Raw),
        1 if same && raw <= stored.checked_mul(COMPRESSION_MAX)? => Some(Codec::Zstd { raw }),
        _ => None,
    }
}

fn unpack(payload: &[u8], raw: usize) -> Option<Vec<u8>> {
    let mut c = Cursor(payload);
    let n = c.u32()? as usize;
    let bytes = zstd::bulk::decompress(c.take(n)?, raw).ok()?;
    (bytes.len() == raw && c.0.iter().all(|b| *b == 0)).then_some(bytes)
}

fn decode_payload(b: &BlockIndex, bytes: &[u8]) -> Option<StateBlock> {
    let rows = b.rows as usize;
    let mut c = Cursor(bytes);
    let hashes = c.take(rows.checked_mul(8)?)?;
    let hashes: Vec<u64> = hashes.as_chunks::<8>().0.iter().map(|h| u64::from_le_bytes(*h)).collect();
    let deleted: Vec<bool> = match c.u8()? {
        0 => vec![false; rows],
        1 => vec![true; rows],
        2 => {
            let bits = c.take(rows.div_ceil(8))?;
            (0..rows).map(|i| bits[i / 8] >> (i % 8) & 1 == 1).collect()
        }
        _ => return None,
    };
    let keys = decode_column(rows, &mut c)?;
    let values = decode_column(rows, &mut c)?;
    let tombstones = deleted.iter().filter(|d| **d).count();
    (c.0.is_empty() && tombstones == b.tombstones as usize).then_some(StateBlock {
        table: b.table,
        hashes,
        deleted,
        keys,
        values,
    })
}

fn decode_column(rows: usize, c: &mut Cursor<'_>) -> Option<RowBuffer> {
    match c.u8()? {
        0 => {
            let width = c.u32()?;
            let bytes = c.take(rows.checked_mul(width as usize)?)?.to_vec();
            (width > 0).then_some(RowBuffer { bytes, offsets: Vec::new(), width })
        }
        1 => {
            let lengths = c.take(rows.checked_mul(4)?)?;
            let mut offsets = Vec::with_capacity(rows + 1);
            let mut at = 0u32;
            offsets.push(0);
            for n in lengths.as_chunks::<4>().0 {
                at = at.checked_add(u32::from_le_bytes(*n))?;
                offsets.push(at);
            }
            Some(RowBuffer { bytes: c.take(at as usize)?.to_vec(), offsets, width: 0 })
        }
        2 => Some(RowBuffer { bytes: Vec::new(), offsets: vec![0; rows + 1], width: 0 }),
        _ => None,
    }
}

/// Reads a whole segment and every block of it.
pub fn verify(bytes: &[u8]) -> Result<Footer, Damage> {
    check_magic(bytes.get(..HEADER).ok_or(SHORT)?)?;
    let Tail::Footer(footer) = read_tail(bytes, bytes.len() as u64)? else { return Err(SHORT) };
    for b in &footer.blocks {
        let at = b.offset as usize;
        decode_block(&footer, b, bytes.get(at..at + b.length as usize).ok_or(SHORT)?)?;
    }
    Ok(footer)
}
