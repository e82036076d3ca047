//! The peer: COUNT and SUM by key in an open-addressing table for nothing else, no snapshots, grown by doubling.

use sluice_core::hash::KeyHash;

#[derive(Clone, Copy, Default)]
struct Slot {
    key: u64,
    count: u64,
    sum: u64,
}

pub struct Table {
    slots: Vec<Slot>,
    mask: usize,
    len: usize,
    hashes: Vec<u64>,
}

#[inline(always)]
#[allow(unsafe_code, reason = "the intrinsic takes a raw pointer; a prefetch reads nothing")]
fn prefetch(slot: &Slot) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch cannot fault; SSE is part of x86_64.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(slot).cast::<i8>());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = slot;
}

impl Table {
    pub fn new() -> Self {
        Self { slots: vec![Slot::default(); 1024], mask: 1023, len: 0, hashes: Vec::new() }
    }

    pub fn total(&self) -> u64 {
        self.slots.iter().map(|s| s.count).sum()
    }

    pub fn update<const AHEAD: bool>(&mut self, keys: &[u64], values: &[u64]) {
        self.hashes.clear();
        self.hashes.extend(keys.iter().map(|k| KeyHash::new().int(*k as i64).finish()));
        for i in 0..keys.len() {
            if AHEAD && i + 16 < keys.len() {
                prefetch(&self.slots[self.hashes[i + 16] as usize & self.mask]);
            }
            self.add(self.hashes[i], keys[i], values[i]);
        }
    }

    #[inline(always)]
    fn add(&mut self, hash: u64, key: u64, value: u64) {
        let mut i = hash as usize & self.mask;
        loop {
            let s = &mut self.slots[i];
            if s.count == 0 {
                *s = Slot { key, count: 1, sum: value };
                self.len += 1;
                if self.len * 4 > self.slots.len() * 3 {
                    self.grow();
                }
                return;
            }
            if s.key == key {
                s.count += 1;
                s.sum = s.sum.wrapping_add(value);
                return;
            }
            i = (i + 1) & self.mask;
        }
    }

    #[cold]
    fn grow(&mut self) {
        let n = self.slots.len() * 2;
        self.mask = n - 1;
        let old = std::mem::replace(&mut self.slots, vec![Slot::default(); n]);
        for s in old.into_iter().filter(|s| s.count != 0) {
            let mut i = KeyHash::new().int(s.key as i64).finish() as usize & self.mask;
            while self.slots[i].count != 0 {
                i = (i + 1) & self.mask;
            }
            self.slots[i] = s;
        }
    }
}
