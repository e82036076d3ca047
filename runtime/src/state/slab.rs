//! Values that do not fit a slot: kept in chunks that never move, named by a 32-bit handle in the slot.

/// Chunks of this many: growth costs one allocation, never a copy.
const CHUNK: usize = 512;
const NONE: u32 = u32::MAX;

#[derive(Debug)]
enum Cell<T> {
    Used(T),
    Free { next: u32 },
}

#[derive(Debug)]
pub(super) struct Slab<T> {
    chunks: Vec<Vec<Cell<T>>>,
    free: u32,
    len: usize,
}

impl<T> Slab<T> {
    pub(super) fn new() -> Self {
        Self { chunks: Vec::new(), free: NONE, len: 0 }
    }

    #[inline]
    fn cell(&mut self, handle: u32) -> &mut Cell<T> {
        &mut self.chunks[handle as usize / CHUNK][handle as usize % CHUNK]
    }

    pub(super) fn insert(&mut self, value: T) -> u32 {
        self.len += 1;
        let handle = self.free;
        if handle != NONE {
            if let Cell::Free { next } = std::mem::replace(self.cell(handle), Cell::Used(value)) {
                self.free = next;
            }
            return handle;
        }
        if self.chunks.last().is_none_or(|c| c.len() == CHUNK) {
            // The first chunk grows with its rows: small tables are many.
            self.chunks.push(Vec::with_capacity(if self.chunks.is_empty() { 4 } else { CHUNK }));
        }
        let chunk = self.chunks.len() - 1;
        let cells = &mut self.chunks[chunk];
        cells.push(Cell::Used(value));
        (chunk * CHUNK + cells.len() - 1) as u32
    }

    #[inline]
    pub(super) fn get(&self, handle: u64) -> &T {
        match &self.chunks[handle as usize / CHUNK][handle as usize % CHUNK] {
            Cell::Used(v) => v,
            Cell::Free { .. } => unreachable!("a slot names a cell in use"),
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, handle: u64) -> &mut T {
        match self.cell(handle as u32) {
            Cell::Used(v) => v,
            Cell::Free { .. } => unreachable!("a slot names a cell in use"),
        }
    }

    pub(super) fn remove(&mut self, handle: u64) -> T {
        let free = Cell::Free { next: self.free };
        match std::mem::replace(self.cell(handle as u32), free) {
            Cell::Used(v) => {
                self.free = handle as u32;
                self.len -= 1;
                if self.len == 0 {
                    *self = Self::new();
                }
                v
            }
            Cell::Free { .. } => unreachable!("a slot names a cell in use"),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.chunks.iter().map(|c| c.capacity() * size_of::<Cell<T>>()).sum()
    }

    /// Some values, evenly spread: what one of them holds on the heap is the estimate for all.
    pub(super) fn sample(&self) -> impl Iterator<Item = &T> {
        let step = self.chunks.len().div_ceil(64).max(1);
        let of = |c: &Cell<T>| matches!(c, Cell::Used(_));
        self.chunks.iter().step_by(step).filter_map(move |chunk| match chunk.iter().find(|c| of(c)) {
            Some(Cell::Used(v)) => Some(v),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_stay_and_cells_are_used_again() {
        let mut s = Slab::new();
        let h: Vec<u32> = (0..2000).map(|i| s.insert(i)).collect();
        for i in (0..2000).step_by(3) {
            assert_eq!(s.remove(u64::from(h[i])), i);
        }
        let bytes = s.bytes();
        let again: Vec<u32> = (0..600).map(|i| s.insert(10_000 + i)).collect();
        assert_eq!(s.bytes(), bytes, "freed cells first");
        for (i, h) in again.iter().enumerate() {
            assert_eq!(*s.get(u64::from(*h)), 10_000 + i);
        }
        for i in (0..2000).filter(|i| i % 3 != 0) {
            *s.get_mut(u64::from(h[i])) += 1;
            assert_eq!(*s.get(u64::from(h[i])), i + 1);
        }
        assert_eq!(s.len, 2000 - 667 + 600);
    }
}
