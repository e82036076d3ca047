//! The rows of one batch by their key: an operator folds all rows of a key at once, touching its state once.

use super::keys::{Keys, StoredKeys};
use hashbrown::HashTable;

/// Keys in the order of their first rows. The buffers are kept from batch to batch.
#[derive(Default)]
pub(super) struct BatchGroups {
    table: HashTable<u32>,
    first_rows: Vec<u32>,
    hashes: Vec<u64>,
    keys: StoredKeys,
    /// Key number of each row.
    of_row: Vec<u32>,
    /// Rows by key, in order; those of key `g` from `starts[g]` on.
    order: Vec<u32>,
    starts: Vec<u32>,
}

impl BatchGroups {
    /// Groups the batch that `keys` has read.
    pub(super) fn read(&mut self, keys: &Keys) {
        self.table.clear();
        self.first_rows.clear();
        self.hashes.clear();
        self.keys.clear();
        self.of_row.clear();
        for (row, &hash) in keys.hashes().iter().enumerate() {
            let key = keys.key(row);
            let (first_rows, hashes) = (&self.first_rows, &self.hashes);
            let same = |g: &u32| {
                let g = *g as usize;
                hashes[g] == hash && keys.key(first_rows[g] as usize) == key
            };
            let entry = self.table.entry(spread(hash), same, |g| spread(hashes[*g as usize]));
            let group = match entry {
                hashbrown::hash_table::Entry::Occupied(found) => *found.get(),
                hashbrown::hash_table::Entry::Vacant(vacant) => {
                    let group = first_rows.len() as u32;
                    vacant.insert(group);
                    self.first_rows.push(row as u32);
                    self.hashes.push(hash);
                    self.keys.push(key);
                    group
                }
            };
            self.of_row.push(group);
        }
        self.sort_rows();
    }

    /// A counting sort, which keeps the order within a key.
    fn sort_rows(&mut self) {
        self.starts.clear();
        self.starts.resize(self.first_rows.len() + 1, 0);
        for &group in &self.of_row {
            self.starts[group as usize + 1] += 1;
        }
        for group in 0..self.first_rows.len() {
            self.starts[group + 1] += self.starts[group];
        }
        self.order.clear();
        self.order.resize(self.of_row.len(), 0);
        let mut next = self.starts.clone();
        for (row, &group) in self.of_row.iter().enumerate() {
            let place = &mut next[group as usize];
            self.order[*place as usize] = row as u32;
            *place += 1;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.first_rows.len()
    }

    /// A row of each key.
    pub(super) fn first_rows(&self) -> &[u32] {
        &self.first_rows
    }

    pub(super) fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    pub(super) fn keys(&self) -> &StoredKeys {
        &self.keys
    }

    /// The rows of key `group`, in order.
    pub(super) fn rows(&self, group: usize) -> &[u32] {
        &self.order[self.starts[group] as usize..self.starts[group + 1] as usize]
    }
}

/// A task's keys share the upper bits of their hashes, which the table would take for its tags.
fn spread(hash: u64) -> u64 {
    hash.rotate_left(32)
}
