//! Key bytes of a row: short ones in place, so that comparing them needs no further cache line and no allocation.

const INLINE: usize = 22;

#[derive(Clone, Debug)]
pub(super) enum Key {
    Short { len: u8, bytes: [u8; INLINE] },
    Long(Box<[u8]>),
}

impl Key {
    pub(super) fn new(key: &[u8]) -> Self {
        if key.len() <= INLINE {
            let mut bytes = [0; INLINE];
            bytes[..key.len()].copy_from_slice(key);
            return Self::Short { len: key.len() as u8, bytes };
        }
        Self::Long(key.into())
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => &bytes[..usize::from(*len)],
            Self::Long(b) => b,
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Short { .. } => 0,
            Self::Long(b) => b.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_any_length_come_back() {
        for n in [0, 1, 21, 22, 23, 300] {
            let k: Vec<u8> = (0..n).map(|i| i as u8).collect();
            assert_eq!(Key::new(&k).bytes(), k);
        }
        assert_eq!(size_of::<Key>(), 24);
    }
}
