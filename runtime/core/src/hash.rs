//! The key hash, algorithm `h1`. Ours and fixed for ever: it decides where state lives, so its id is in the journal and its
//! golden vectors are tests.
//!
//! A key is a sequence of canonical 64-bit words (see [`Canonical`]); the same value gives the same words whatever its
//! type's width: INT 1 = BIGINT 1, −0.0 = 0.0, every NaN is one, 1.50 = 1.5.
//! The mix is a folded 64×64→128 bit multiply per word (as in wyhash), finished by an xor-shift.
//! The *top* bits choose the key group; in-memory tables use other bits.

/// Written to the journal; a state hashed by another algorithm is refused.
pub const HASH_ID: &str = "h1";

const SEED: u64 = 0x243F_6A88_85A3_08D3; // The first digits of π: nothing up the sleeve.
const MUL: u64 = 0x9E37_79B9_7F4A_7C15; // 2^64 / φ, odd.
const NULL: u64 = 0xC2B2_AE3D_27D4_EB4F; // A word no canonical value starts a column with on purpose.

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let p = u128::from(a) * u128::from(b);
    (p as u64) ^ ((p >> 64) as u64)
}

/// Running hash of one key. Start with [`KeyHash::new`], feed the key's columns in order, then [`KeyHash::finish`].
#[derive(Clone, Copy, Debug)]
pub struct KeyHash(u64);

impl Default for KeyHash {
    fn default() -> Self {
        Self::new()
    }
}

impl KeyHash {
    #[inline(always)]
    pub const fn new() -> Self {
        Self(SEED)
    }

    /// Continues from a state taken by [`KeyHash::state`]: batches hash column by column.
    #[inline(always)]
    pub const fn from_state(state: u64) -> Self {
        Self(state)
    }

    #[inline(always)]
    pub const fn state(self) -> u64 {
        self.0
    }

    #[inline(always)]
    #[must_use]
    pub fn word(self, w: u64) -> Self {
        Self(fold(self.0 ^ w, MUL))
    }

    #[inline(always)]
    #[must_use]
    pub fn null(self) -> Self {
        self.word(NULL)
    }

    /// Integers of every width, booleans (0, 1), dates, times: sign-extended to 64 bits.
    /// Timestamps are widened to nanoseconds first, so that `TIMESTAMP(3)` meets `TIMESTAMP(9)`.
    #[inline(always)]
    #[must_use]
    pub fn int(self, v: i64) -> Self {
        self.word(v as u64)
    }

    #[inline(always)]
    #[must_use]
    pub fn float(self, v: f64) -> Self {
        self.word(Canonical::float(v))
    }

    /// A decimal, independent of its scale; a whole decimal hashes as the integer.
    #[must_use]
    pub fn decimal(self, unscaled: i128, scale: i8) -> Self {
        let (v, s) = Canonical::decimal(unscaled, scale);
        let h = self.word(v as u64);
        match i64::try_from(v) {
            Ok(_) if s == 0 => h,
            _ => h.word((v >> 64) as u64).word(s as u64),
        }
    }

    /// Text and binary: 8 bytes a word, little-endian, the tail padded with zeros, then the length.
    #[must_use]
    pub fn bytes(self, b: &[u8]) -> Self {
        let mut h = self;
        let mut chunks = b.chunks_exact(8);
        for c in &mut chunks {
            h = h.word(u64::from_le_bytes(c.try_into().expect("a chunk has 8 bytes")));
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut w = [0; 8];
            w[..rest.len()].copy_from_slice(rest);
            h = h.word(u64::from_le_bytes(w));
        }
        h.word(b.len() as u64)
    }

    #[inline(always)]
    pub fn finish(self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }
}

/// Canonical forms of values whose bits can differ while they are equal.
pub struct Canonical;

impl Canonical {
    /// −0.0 becomes 0.0 and every NaN the same one.
    #[inline(always)]
    pub fn float(v: f64) -> u64 {
        if v.is_nan() { f64::NAN.to_bits() & 0x7FFF_FFFF_FFFF_FFFF } else { (v + 0.0).to_bits() }
    }

    /// Trailing zeros after the point are dropped.
    pub fn decimal(mut unscaled: i128, mut scale: i8) -> (i128, i8) {
        while scale > 0 && unscaled % 10 == 0 {
            unscaled /= 10;
            scale -= 1;
        }
        (unscaled, scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_hash_alike() {
        let h = KeyHash::new();
        assert_eq!(h.float(0.0).finish(), h.float(-0.0).finish());
        assert_eq!(h.float(f64::NAN).finish(), h.float(-f64::NAN).finish());
        assert_eq!(h.decimal(150, 2).finish(), h.decimal(15, 1).finish());
        assert_eq!(h.decimal(700, 2).finish(), h.int(7).finish());
        assert_ne!(h.null().finish(), h.int(0).finish());
        assert_ne!(h.bytes(b"").finish(), h.null().finish());
        assert_ne!(h.bytes(b"a").bytes(b"b").finish(), h.bytes(b"ab").bytes(b"").finish());
    }

    /// Golden vectors: a change here loses the state of every job.
    #[test]
    fn golden_vectors() {
        let h = KeyHash::new();
        let got = [
            h.int(0).finish(),
            h.int(1).finish(),
            h.int(-1).finish(),
            h.int(i64::MAX).finish(),
            h.null().finish(),
            h.float(1.5).finish(),
            h.bytes(b"").finish(),
            h.bytes(b"sluice").finish(),
            h.bytes(b"twelve bytes").finish(),
            h.int(7).bytes(b"x").finish(),
            h.decimal(15, 1).finish(),
        ];
        assert_eq!(got.map(|x| format!("{x:016x}")), GOLDEN);
    }

    const GOLDEN: [&str; 11] = [
        "e184857147841df6",
        "4fcdfcaeb4354f57",
        "ee36714635e4bd9e",
        "d152b41a8e255481",
        "40c2b099fd64ef8a",
        "3721632619bd2833",
        "e184857147841df6",
        "367ac6f62287cca6",
        "92acad94b39f14e4",
        "65a12ff481929fb9",
        "956e746a78ad9d34",
    ];
}
