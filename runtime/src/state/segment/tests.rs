use super::super::StateBlock;
use super::*;
use crate::row::RowBuffer;
use proptest::prelude::*;
use sluice_core::hash::KeyHash;

fn meta() -> SegmentMeta {
    SegmentMeta {
        operator: OperatorId("id1:00ff00ff00ff00ff".into()),
        task: 3,
        part: 1,
        writer: WriterId("0123456789abcdef0123456789abcdef".into()),
        epoch: Epoch(42),
        key_groups: KeyGroups::DEFAULT,
        hash_id: sluice_core::hash::HASH_ID.into(),
        full: false,
    }
}

fn hash(i: u64) -> u64 {
    KeyHash::new().int(i as i64).finish() & !31
}

fn block(table: u8, rows: u64, fixed: bool, deleted: impl Fn(u64) -> bool) -> StateBlock {
    let mut b = StateBlock::new(table);
    if fixed {
        (b.keys, b.values) = (RowBuffer::fixed(8), RowBuffer::fixed(16));
    }
    for i in 0..rows {
        b.hashes.push(hash(i));
        b.deleted.push(deleted(i));
        b.keys.push(&i.to_le_bytes());
        let value = [i.to_le_bytes(), (i * 7).to_le_bytes()].concat();
        b.values.push(if fixed { &value } else { &value[..(i % 16) as usize] });
    }
    b
}

fn build(blocks: &[StateBlock], compression: Compression) -> Encoded {
    let mut s = SegmentBuilder::new(meta(), compression, 0);
    blocks.iter().for_each(|b| s.push(b));
    s.finish()
}

fn read(bytes: &[u8]) -> Result<Vec<StateBlock>, SegmentError> {
    let segment = verify(bytes)?;
    assert_eq!(segment.meta, meta());
    (0..segment.blocks.len())
        .map(|i| {
            let at = segment.blocks[i].offset as usize;
            decode_block(&segment, i, &bytes[at..at + segment.blocks[i].length as usize])
        })
        .collect()
}

fn same(a: &StateBlock, b: &StateBlock) {
    assert_eq!((a.table, &a.hashes, &a.deleted), (b.table, &b.hashes, &b.deleted));
    for i in 0..a.len() {
        assert_eq!(a.keys.row(i), b.keys.row(i));
        if !a.deleted[i] {
            assert_eq!(a.values.row(i), b.values.row(i));
        }
    }
}

#[test]
fn blocks_come_back() {
    for compression in [Compression::None, Compression::Zstd] {
        let blocks = [
            block(0, 100, true, |_| true),
            block(0, 1000, true, |_| false),
            block(1, 1000, false, |i| i % 3 == 0),
            block(2, 1, false, |_| false),
            StateBlock::new(9),
        ];
        let encoded = build(&blocks, compression);
        let back = read(&encoded.bytes).unwrap();
        assert_eq!(back.len(), 4, "an empty block is none");
        back.iter().zip(&blocks).for_each(|(a, b)| same(a, b));
        assert_eq!((encoded.rows, encoded.tombstones), (2101, 100 + 334));
        assert!(encoded.checksum.matches(&encoded.bytes));
        assert_eq!(encoded.groups, 0..128);
    }
}

/// The compact form: nothing per row but hash, key and value.
#[test]
fn fixed_rows_cost_their_bytes() {
    let encoded = build(&[block(0, 10_000, true, |_| false)], Compression::None);
    assert!(encoded.bytes.len() < 10_000 * 32 + 300, "{}", encoded.bytes.len());
}

#[test]
fn compression_pays_and_is_bounded() {
    let mut b = StateBlock::new(0);
    for _ in 0..10_000 {
        b.hashes.push(0);
        b.deleted.push(false);
        b.keys.push(b"the same key");
        b.values.push(b"the same value");
    }
    let plain = build(std::slice::from_ref(&b), Compression::None).bytes.len();
    let small = build(std::slice::from_ref(&b), Compression::Zstd);
    assert!(small.bytes.len() * 29 < plain * 10, "{} of {plain}", small.bytes.len());
    assert!(small.bytes.len() * COMPRESSION_MAX >= plain - 200, "a reader allocates no more than that");
    same(&read(&small.bytes).unwrap()[0], &b);
}

#[test]
fn a_reader_of_some_groups_fetches_only_their_blocks() {
    let key_groups = KeyGroups::DEFAULT;
    let mut blocks = Vec::new();
    for part in 0..4u16 {
        let mut b = StateBlock::new(0);
        for i in (0..2000).filter(|i| key_groups.of(hash(*i)).0 / 32 == part) {
            b.hashes.push(hash(i));
            b.deleted.push(false);
            b.keys.push(&i.to_le_bytes());
            b.values.push(b"v");
        }
        blocks.push(b);
    }
    let encoded = build(&blocks, Compression::None);
    let segment = verify(&encoded.bytes).unwrap();
    assert_eq!(segment.blocks_of(&(0..32)).collect::<Vec<_>>(), [0]);
    assert_eq!(segment.blocks_of(&(31..65)).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(segment.blocks_of(&(96..128)).collect::<Vec<_>>(), [3]);
}

#[test]
fn the_footer_alone_is_found_from_a_short_tail() {
    let encoded = build(&[block(0, 50, true, |_| false), block(0, 50, true, |_| false)], Compression::None);
    let n = encoded.bytes.len();
    let tail = &encoded.bytes[n - TRAILER..];
    let Tail::Longer(need) = read_tail(tail, n as u64).unwrap() else { panic!("the footer is longer") };
    let tail = &encoded.bytes[n - need as usize..];
    assert!(matches!(read_tail(tail, n as u64).unwrap(), Tail::Segment(s) if s.rows() == 100));
}

/// Every bit of a small segment counts, and every cut is seen.
#[test]
fn flips_and_cuts_are_detected() {
    for compression in [Compression::None, Compression::Zstd] {
        let blocks = [block(0, 3, true, |_| true), block(1, 9, false, |i| i == 4), block(1, 40, true, |_| false)];
        let good = build(&blocks, compression).bytes;
        assert!(verify(&good).is_ok());
        for i in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[i] ^= 1 << bit;
                assert!(verify(&bad).is_err(), "bit {bit} of byte {i} of {}", good.len());
            }
            assert!(verify(&good[..i]).is_err(), "cut to {i}");
            assert!(verify(&good[i + 1..]).is_err(), "cut off {i} at the front");
        }
        let mut long = good.clone();
        long.push(0);
        assert!(verify(&long).is_err());
    }
}

#[test]
fn a_newer_version_is_refused_by_name() {
    let mut bytes = build(&[block(0, 3, true, |_| false)], Compression::None).bytes;
    let n = bytes.len();
    bytes[MAGIC.len()] = 2;
    bytes[n - 2] = 2;
    assert_eq!(verify(&bytes), Err(SegmentError::Version(2)));
}

/// Puts right checksums on a damaged segment: the structure itself must hold against anything.
fn reseal(bytes: &mut [u8], segment: &Segment) {
    let n = bytes.len();
    for (i, b) in segment.blocks.iter().enumerate() {
        let (at, end) = (b.offset as usize, b.offset as usize + b.length as usize);
        let crc = crc32fast::hash(&bytes[at..end - CRC]).to_le_bytes();
        bytes[end - CRC..end].copy_from_slice(&crc);
        let entry = n - TRAILER - (segment.blocks.len() - i) * 29 + 20;
        bytes[entry..entry + 4].copy_from_slice(&crc);
    }
    let footer = segment.blocks.last().map_or(HEADER, |b| b.offset as usize + b.length as usize);
    let crc = crc32fast::hash(&bytes[footer..n - HEADER - CRC]).to_le_bytes();
    bytes[n - HEADER - CRC..n - HEADER].copy_from_slice(&crc);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_give_rows_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(verify(&bytes).is_err());
        let _ = read_tail(&bytes, bytes.len() as u64);
    }

    /// Damage under a right checksum (a bug of a writer, a malicious object): an error or rows, no panic, no large allocation.
    #[test]
    fn damage_with_right_checksums_is_no_panic(
        zip: bool,
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let compression = if zip { Compression::Zstd } else { Compression::None };
        let blocks = [block(0, 30, true, |_| true), block(1, 90, false, |i| i == 4), block(1, 40, true, |_| false)];
        let mut bytes = build(&blocks, compression).bytes;
        let segment = verify(&bytes).unwrap();
        for (at, to) in changes {
            let at = at.index(bytes.len() - TRAILER);
            bytes[at] = to;
        }
        reseal(&mut bytes, &segment);
        if let Ok(Tail::Segment(s)) = read_tail(&bytes, bytes.len() as u64) {
            for (i, b) in s.blocks.iter().enumerate() {
                let at = b.offset as usize;
                if let Ok(rows) = decode_block(&s, i, &bytes[at..at + b.length as usize]) {
                    prop_assert!(rows.heap_bytes() <= 10 * b.length as usize);
                    (0..rows.len()).for_each(|i| { let _ = (rows.keys.row(i), rows.values.row(i)); });
                }
            }
        }
    }
}
