use super::*;
use crate::row::RowBuffer;
use crate::state::segment::verify;
use crate::store::fault::{Fault, Faulty};
use crate::store::remote::ObjectBacked;
use crate::store::{Create, Listed};
use bytes::Bytes;
use sluice_core::hash::KeyHash;
use sluice_core::id::{Incarnation, JobUid, Run};
use std::ops::Range;

fn owner() -> SegmentOwner {
    SegmentOwner {
        paths: JobPaths::new("ns", "job", &JobUid("uid".into())),
        fence: Fence { run: Run(1), incarnation: Incarnation(1) },
        writer: WriterId("w".into()),
        key_groups: KeyGroups::DEFAULT,
        operators: vec![OperatorId("id1:a".into()), OperatorId("id1:b".into())],
    }
}

/// Rows `from..from + n` with a kilobyte each.
fn block(from: u64, n: u64) -> StateBlock {
    let mut b = StateBlock::new(0);
    (b.keys, b.values) = (RowBuffer::fixed(8), RowBuffer::fixed(1024));
    for i in from..from + n {
        b.hashes.push(KeyHash::new().int(i as i64).finish() & !31);
        b.deleted.push(false);
        b.keys.push(&i.to_le_bytes());
        b.values.push(&[i as u8; 1024]);
    }
    b
}

fn send(sinks: &mut dyn SnapshotSinks, node: usize, epoch: Epoch, mut block: StateBlock) {
    while let Err(back) = sinks.of(node, epoch, true).try_send(block) {
        block = back;
        std::thread::yield_now();
    }
}

const MIB: u64 = 1024;

/// Large snapshots leave in parts, in order; each is what its reference says, and each operator has its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_snapshot_leaves_in_parts() {
    let store: Arc<dyn Store> = Arc::new(ObjectBacked::memory());
    let mut writer = SnapshotWriter::start(Arc::clone(&store), owner(), 1).unwrap();
    let mut sinks = writer.sinks(0);
    for i in 0..20 {
        send(&mut *sinks, 0, Epoch(7), block(i * MIB, MIB));
    }
    send(&mut *sinks, 1, Epoch(7), block(0, 3));
    let written = writer.finish(Epoch(7)).await.unwrap();
    assert_eq!(written[&(1, 0)].iter().map(|s| s.rows).sum::<u64>(), 3);
    let parts = &written[&(0, 0)];
    assert!(parts.len() > 1, "parts of about 8 MiB");
    let mut next = 0u64;
    for p in parts {
        let bytes = store.get(&owner().paths.resolve(&p.path)).await.unwrap();
        assert_eq!(bytes.len() as u64, p.length);
        assert!(p.checksum.matches(&bytes) && p.full && p.epoch == Epoch(7));
        let footer = verify(&bytes).unwrap();
        assert_eq!((footer.rows(), &footer.operator), (p.rows, &p.operator));
        for b in &footer.blocks {
            let at = b.offset as usize;
            let rows = crate::state::segment::decode_block(&footer, b, &bytes[at..at + b.length as usize]).unwrap();
            assert_eq!(rows.keys.row(0), next.to_le_bytes(), "in the order of the hand-over");
            next += rows.len() as u64;
        }
    }
    assert_eq!(next, 20 * MIB);
    writer.verify(parts.iter()).await.unwrap();
    // Nothing of it comes again.
    assert!(writer.finish(Epoch(8)).await.unwrap().is_empty());
    drop(sinks);
}

/// A failed upload fails its epoch and only that; damage is found by reading back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_upload_fails_its_epoch() {
    let store = Faulty::new(Arc::new(ObjectBacked::memory()));
    let mut writer = SnapshotWriter::start(Arc::clone(&store) as Arc<dyn Store>, owner(), 1).unwrap();
    let mut sinks = writer.sinks(0);
    store.fail("write", ".seg", Fault::Denied, 1);
    send(&mut *sinks, 0, Epoch(1), block(0, 10));
    assert!(matches!(writer.finish(Epoch(1)).await, Err(WriteError::Store(_))));
    send(&mut *sinks, 0, Epoch(2), block(0, 10));
    let written = writer.finish(Epoch(2)).await.unwrap();
    writer.verify(written[&(0, 0)].iter()).await.unwrap();
    // Blocks of an epoch that was given up do not show up in the next one.
    send(&mut *sinks, 0, Epoch(3), block(0, 10));
    send(&mut *sinks, 0, Epoch(4), block(0, 4));
    let written = writer.finish(Epoch(4)).await.unwrap();
    assert_eq!(written[&(0, 0)].iter().map(|s| s.rows).collect::<Vec<_>>(), [4]);
    store.fail("read", ".seg", Fault::Flipped, 1);
    send(&mut *sinks, 0, Epoch(5), block(0, 10));
    let written = writer.finish(Epoch(5)).await.unwrap();
    assert!(matches!(writer.verify(written[&(0, 0)].iter()).await, Err(WriteError::Unverified { .. })));
    drop(sinks);
}

/// Every write waits until the gate opens.
#[derive(Debug)]
struct Gate {
    inner: ObjectBacked,
    open: Semaphore,
}

#[async_trait::async_trait]
impl Store for Gate {
    async fn create(&self, path: &str, bytes: Bytes) -> Result<Create, StoreError> {
        self.inner.create(path, bytes).await
    }
    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        let _opened = self.open.acquire().await;
        self.inner.put(path, bytes).await
    }
    async fn get(&self, path: &str) -> Result<Bytes, StoreError> {
        self.inner.get(path).await
    }
    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.inner.get_range(path, range).await
    }
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<Listed>, StoreError> {
        self.inner.list(prefix, after).await
    }
    async fn delete(&self, path: &str) -> Result<(), StoreError> {
        self.inner.delete(path).await
    }
    async fn directories(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.inner.directories(prefix).await
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
}

/// A store that stands still takes a bounded amount of memory, and holds neither tasks nor the end of the process up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_stands_still_is_no_memory() {
    let gate = Arc::new(Gate { inner: ObjectBacked::memory(), open: Semaphore::new(0) });
    let mut writer = SnapshotWriter::start(Arc::clone(&gate) as Arc<dyn Store>, owner(), 1).unwrap();
    let mut sinks = writer.sinks(0);
    let (mut taken, mut refused, mut next) = (0usize, 0, block(0, MIB));
    // A MiB at a time; many refusals in a row mean that it is full.
    while refused < 400 {
        match sinks.of(0, Epoch(1), true).try_send(next) {
            Ok(()) => {
                (taken, refused) = (taken + 1, 0);
                next = block(0, MIB);
            }
            Err(back) => {
                refused += 1;
                next = back;
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        }
        assert!(taken < 200, "the writer takes everything");
    }
    let bound = (UPLOADS + 1) * (SEGMENT_BYTES >> 20) + HANDED_OVER + 2;
    assert!(taken <= bound, "{taken} MiB of at most {bound}");
    gate.open.add_permits(100);
    send(&mut *sinks, 0, Epoch(1), next);
    let written = writer.finish(Epoch(1)).await.unwrap();
    assert_eq!(written[&(0, 0)].iter().map(|s| s.rows).sum::<u64>(), (taken as u64 + 1) * MIB);
    drop(sinks);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_waits_for_the_store_ends_when_dropped() {
    let gate = Arc::new(Gate { inner: ObjectBacked::memory(), open: Semaphore::new(0) });
    let mut writer = SnapshotWriter::start(Arc::clone(&gate) as Arc<dyn Store>, owner(), 1).unwrap();
    let mut sinks = writer.sinks(0);
    for _ in 0..(UPLOADS + 1) * (SEGMENT_BYTES >> 20) {
        send(&mut *sinks, 0, Epoch(1), block(0, MIB));
    }
    drop(sinks);
    drop(writer); // Joins the encoder: the test hangs if that waits for the store.
    assert_eq!(gate.open.available_permits(), 0);
}
