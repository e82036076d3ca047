use super::super::StateBlock;
use super::*;
use crate::row::RowBuffer;
use proptest::prelude::*;
use sluice_core::hash::KeyHash;

fn builder() -> SegmentBuilder {
    let (operator, writer) = (OperatorId("id1:00ff00ff00ff00ff".into()), WriterId("0123456789abcdef".into()));
    SegmentBuilder::new(operator, writer, Epoch(42), KeyGroups::DEFAULT)
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

fn build(blocks: &[StateBlock], compression: Compression) -> (Vec<u8>, Contents) {
    let mut s = builder().compressed(compression);
    blocks.iter().for_each(|b| s.push(b));
    s.finish()
}

fn read(bytes: &[u8]) -> Result<Vec<StateBlock>, Damage> {
    let footer = verify(bytes)?;
    assert_eq!((footer.epoch, footer.hash_id.as_str()), (Epoch(42), sluice_core::hash::HASH_ID));
    let of =
        |b: &BlockIndex| decode_block(&footer, b, &bytes[b.offset as usize..b.offset as usize + b.length as usize]);
    footer.blocks.iter().map(of).collect()
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
        let (encoded, contents) = build(&blocks, compression);
        let back = read(&encoded).unwrap();
        assert_eq!(back.len(), 4, "an empty block is none");
        back.iter().zip(&blocks).for_each(|(a, b)| same(a, b));
        assert_eq!(contents, Contents { rows: 2101, tombstones: 100 + 334, groups: 0..128 });
    }
}

/// The compact form: nothing per row but hash, key and value.
#[test]
fn fixed_rows_cost_their_bytes() {
    let (encoded, _) = build(&[block(0, 10_000, true, |_| false)], Compression::None);
    assert!(encoded.len() < 10_000 * 32 + 300, "{}", encoded.len());
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
    let plain = build(std::slice::from_ref(&b), Compression::None).0.len();
    let (small, _) = build(std::slice::from_ref(&b), Compression::Zstd);
    assert!(small.len() * 29 < plain * 10, "{} of {plain}", small.len());
    assert!(small.len() * COMPRESSION_MAX >= plain - 200, "a reader allocates no more than that");
    same(&read(&small).unwrap()[0], &b);
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
    let (encoded, contents) = build(&blocks, Compression::None);
    let footer = verify(&encoded).unwrap();
    let wanted = |groups| -> Vec<u16> { footer.blocks_of(&groups).map(|b| b.groups.start / 32).collect() };
    assert_eq!(contents.rows, 2000);
    assert_eq!(wanted(0..32), [0]);
    assert_eq!(wanted(31..65), [0, 1, 2]);
    assert_eq!(wanted(96..128), [3]);
}

#[test]
fn the_footer_alone_is_found_from_a_short_tail() {
    let (encoded, _) = build(&[block(0, 50, true, |_| false), block(0, 50, true, |_| false)], Compression::None);
    let n = encoded.len();
    let tail = &encoded[n - TRAILER..];
    let Tail::Longer(need) = read_tail(tail, n as u64).unwrap() else { panic!("the footer is longer") };
    let tail = &encoded[n - need as usize..];
    assert!(matches!(read_tail(tail, n as u64).unwrap(), Tail::Footer(f) if f.rows() == 100));
}

/// Every bit of a small segment counts, and every cut is seen.
#[test]
fn flips_and_cuts_are_detected() {
    for compression in [Compression::None, Compression::Zstd] {
        let blocks = [block(0, 3, true, |_| true), block(1, 9, false, |i| i == 4), block(1, 40, true, |_| false)];
        let good = build(&blocks, compression).0;
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
    let mut bytes = build(&[block(0, 3, true, |_| false)], Compression::None).0;
    let n = bytes.len();
    bytes[MAGIC.len()] = 2;
    bytes[n - 2] = 2;
    assert_eq!(verify(&bytes), Err(Damage::Version(2)));
}

/// Puts right checksums on a damaged segment: the structure itself must hold against anything.
fn reseal(bytes: &mut [u8], segment: &Footer) {
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
        let mut bytes = build(&blocks, compression).0;
        let segment = verify(&bytes).unwrap();
        for (at, to) in changes {
            let at = at.index(bytes.len() - TRAILER);
            bytes[at] = to;
        }
        reseal(&mut bytes, &segment);
        if let Ok(Tail::Footer(s)) = read_tail(&bytes, bytes.len() as u64) {
            for b in &s.blocks {
                let at = b.offset as usize;
                if let Ok(rows) = decode_block(&s, b, &bytes[at..at + b.length as usize]) {
                    prop_assert!(rows.heap_bytes() <= 10 * b.length as usize);
                    (0..rows.len()).for_each(|i| { let _ = (rows.keys.row(i), rows.values.row(i)); });
                }
            }
        }
    }
}

/// Through a store: runs of blocks in one request each, damage and loss told apart from weather.
#[tokio::test]
async fn a_store_gives_runs_of_blocks() {
    use crate::store::Store;
    let store = crate::store::remote::ObjectBacked::memory();
    let blocks: Vec<_> = (0..5).map(|t| block(t, 100, true, |_| false)).collect();
    let (bytes, _) = build(&blocks, Compression::None);
    let length = bytes.len() as u64;
    store.put("s", bytes.clone().into()).await.unwrap();
    let reader = SegmentReader::open(&store, "s", length).await.unwrap();
    let runs = reader.runs(&(0..128));
    assert_eq!(runs.len(), 1);
    let fetched = reader.fetch(&store, &runs[0]).await.unwrap();
    for (b, want) in runs[0].iter().zip(&blocks) {
        same(&reader.decode(&runs[0], &fetched, b).unwrap(), want);
        same(&reader.block(&store, b).await.unwrap(), want);
    }
    assert!(matches!(SegmentReader::open(&store, "none", length).await, Err(SegmentError::Damaged { .. })));
    assert!(SegmentReader::open(&store, "s", length - 1).await.is_err());
    store.put("s", bytes[..bytes.len() - 1].to_vec().into()).await.unwrap();
    assert!(SegmentReader::open(&store, "s", length).await.is_err());
}
