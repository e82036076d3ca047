//! Tables against a model: what a snapshot holds is exactly the state at its barrier.

mod history;
mod model;

use super::*;
use std::collections::BTreeMap;

/// A sink that refuses at random (by a given pattern) and keeps what it took.
#[derive(Default)]
pub(super) struct TestSink {
    pub(super) blocks: Vec<StateBlock>,
    /// Refuses the next this many sends.
    pub(super) full: usize,
}

impl StateSink for TestSink {
    fn try_send(&mut self, block: StateBlock) -> Result<(), StateBlock> {
        if self.full > 0 {
            self.full -= 1;
            return Err(block);
        }
        assert!(!block.is_empty(), "no empty blocks");
        assert_eq!(block.hashes.len(), block.keys.len());
        assert_eq!(block.hashes.len(), block.values.len());
        assert_eq!(block.hashes.len(), block.deleted.len());
        self.blocks.push(block);
        Ok(())
    }
    fn block(&mut self, table: u8) -> StateBlock {
        StateBlock::new(table)
    }
}

impl StateValue for u64 {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }
    fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        Ok(u64::from_le_bytes(bytes.try_into().map_err(|_| RowError::Damaged("not 8 bytes"))?))
    }
}

pub(super) type Content = BTreeMap<Vec<u8>, Vec<u8>>;

/// Applies a snapshot's blocks in order.
pub(super) fn replay(onto: &mut Content, blocks: &[StateBlock]) {
    for b in blocks {
        for i in 0..b.len() {
            if b.deleted[i] {
                onto.remove(b.keys.row(i));
            } else {
                onto.insert(b.keys.row(i).to_vec(), b.values.row(i).to_vec());
            }
        }
    }
}
