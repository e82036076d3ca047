use super::*;
use crate::checksum::Checksum;
use crate::id::OperatorId;
use proptest::prelude::*;

fn segment(epoch: u64, full: bool) -> SegmentRef {
    SegmentRef {
        path: format!("{epoch:020}/op-0-0.seg"),
        length: 1,
        checksum: Checksum::crc32(b""),
        operator: OperatorId("op".into()),
        epoch: Epoch(epoch),
        key_groups: 0..1,
        rows: 1,
        tombstones: 0,
        full,
    }
}

/// A tiny state: 64 keys in 16 slices; what a snapshot wrote, by epoch.
#[derive(Default)]
struct Model {
    live: BTreeMap<u8, u32>,
    dirty: std::collections::BTreeSet<u8>,
    written: BTreeMap<u64, Vec<(u8, Option<u32>)>>,
}

impl Model {
    fn snapshot(&mut self, epoch: u64, rotation: Option<u64>) {
        let dirty = std::mem::take(&mut self.dirty);
        let mut rows: Vec<_> = dirty.iter().filter(|k| !self.live.contains_key(k)).map(|k| (*k, None)).collect();
        rows.extend(
            self.live
                .iter()
                .filter(|(k, _)| rotation.is_none_or(|r| u64::from(**k % 16) == r) || dirty.contains(k))
                .map(|(k, v)| (*k, Some(*v))),
        );
        if rotation.is_none() {
            rows.retain(|(_, v)| v.is_some());
        }
        self.written.insert(epoch, rows);
    }

    fn restore(&self, segments: &[SegmentRef]) -> BTreeMap<u8, u32> {
        let mut state = BTreeMap::new();
        for s in segments {
            for (k, v) in &self.written[&s.epoch.0] {
                match v {
                    Some(v) => state.insert(*k, *v),
                    None => state.remove(k),
                };
            }
        }
        state
    }
}

proptest! {
    /// Whatever is put, deleted and aborted: the kept segments give exactly the live rows, and there are at most 16.
    #[test]
    fn kept_segments_restore_the_live_rows(
        steps in prop::collection::vec((prop::collection::vec((0u8..64, any::<bool>()), 0..12), 0u8..10), 1..60)
    ) {
        let (mut model, mut chains) = (Model::default(), Chains::default());
        let (mut relative, mut snapshots, mut value) = (false, 0u64, 0u32);
        for (epoch, (changes, fate)) in (1u64..).zip(steps) {
            for (key, put) in changes {
                value += 1;
                if put {
                    model.live.insert(key, value);
                    model.dirty.insert(key);
                } else if model.live.remove(&key).is_some() {
                    model.dirty.insert(key);
                }
            }
            // As the task does it: a rotation per snapshot taken, full after one that was not confirmed.
            model.snapshot(epoch, relative.then_some(snapshots % 16));
            let full = !relative;
            snapshots += 1;
            let written = BTreeMap::from([((0, 0), vec![segment(epoch, full)])]);
            let candidate = chains.after(written, |_| full);
            relative = fate > 0;
            if relative {
                chains = candidate;
                let kept = chains.segments().remove(&0).unwrap_or_default();
                prop_assert!(kept.len() <= ROTATIONS as usize);
                prop_assert_eq!(model.restore(&kept), model.live.clone());
            }
        }
    }
}

#[test]
fn a_member_without_rows_keeps_what_it_had() {
    let c = Chains::default().after(BTreeMap::from([((1, 0), vec![segment(1, true)])]), |_| true);
    let c = c.after(BTreeMap::new(), |_| false);
    assert_eq!(c.segments()[&1], [segment(1, true)]);
    assert_eq!(c.oldest(), Some(Epoch(1)));
    let c = c.after(BTreeMap::new(), |_| true);
    assert!(c.segments().is_empty(), "a full snapshot without rows is an empty state");
}

/// A key that was removed and came back has its tombstone in an earlier part than its row.
#[test]
fn parts_of_a_snapshot_stay_in_the_order_in_which_they_were_written() {
    let part = |n: usize| SegmentRef { path: format!("e/op-0-{n}.seg"), ..segment(2, false) };
    let parts: Vec<_> = (1..=12).map(part).collect();
    let c = Chains::default().after(BTreeMap::from([((0, 0), vec![segment(1, true)])]), |_| true);
    let c = c.after(BTreeMap::from([((0, 0), parts.clone())]), |_| false);
    assert_eq!(c.segments()[&0][1..], parts);
}
