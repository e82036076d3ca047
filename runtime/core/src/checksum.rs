//! Checksums of stored objects, as they stand in manifests and journal records: `sha256:<64 hex>` or `crc32:<8 hex>`.
//!
//! The algorithm is part of the value, so that a later release may choose another one and still read the old ones.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Checksum {
    /// Where tampering matters and speed does not: journal records, manifests, savepoints.
    Sha256([u8; 32]),
    /// CRC-32 (IEEE): segments, whose blocks carry their own; this one covers the object.
    Crc32(u32),
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is not a checksum: expected 'sha256:' and 64, or 'crc32:' and 8 lower-case hex digits")]
pub struct NotAChecksum(pub String);

impl Checksum {
    pub fn sha256(bytes: &[u8]) -> Self {
        Self::Sha256(Sha256::digest(bytes).into())
    }

    pub fn crc32(bytes: &[u8]) -> Self {
        Self::Crc32(crc32fast::hash(bytes))
    }

    /// Whether `bytes` are what this checksum was made from, by its own algorithm.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        self.same_kind(bytes) == *self
    }

    /// The checksum of `bytes` by the algorithm of `self`: what an error message shows as "found".
    #[must_use]
    pub fn same_kind(&self, bytes: &[u8]) -> Self {
        match self {
            Self::Sha256(_) => Self::sha256(bytes),
            Self::Crc32(_) => Self::crc32(bytes),
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(digest) => {
                f.write_str("sha256:")?;
                digest.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
            Self::Crc32(crc) => write!(f, "crc32:{crc:08x}"),
        }
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Checksum {
    type Err = NotAChecksum;

    fn from_str(text: &str) -> Result<Self, NotAChecksum> {
        let parsed = match text.split_once(':') {
            Some(("sha256", digits)) => unhex(digits).map(Self::Sha256),
            Some(("crc32", digits)) => unhex(digits).map(|b| Self::Crc32(u32::from_be_bytes(b))),
            _ => None,
        };
        parsed.ok_or_else(|| NotAChecksum(text.chars().take(100).collect()))
    }
}

/// Exactly `N` bytes in lower-case hex: one spelling per value, so that equal text means equal sums.
fn unhex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let digits = digits.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let nibble = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(out)
}

impl TryFrom<String> for Checksum {
    type Error = NotAChecksum;
    fn try_from(text: String) -> Result<Self, NotAChecksum> {
        text.parse()
    }
}

impl From<Checksum> for String {
    fn from(sum: Checksum) -> Self {
        sum.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values() {
        assert_eq!(Checksum::crc32(b"123456789").to_string(), "crc32:cbf43926");
        assert_eq!(
            Checksum::sha256(b"").to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        for bad in ["", "crc32:", "crc32:CBF43926", "crc32:cbf4392", "md5:00", "sha256:cbf43926", "crc32:cbf4392é"] {
            assert!(bad.parse::<Checksum>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn text_round_trips_and_bytes_are_told_apart(a: Vec<u8>, b: Vec<u8>) {
            for sum in [Checksum::sha256(&a), Checksum::crc32(&a)] {
                prop_assert_eq!(sum.to_string().parse::<Checksum>().unwrap(), sum);
                prop_assert!(sum.matches(&a));
            }
            prop_assert_eq!(Checksum::sha256(&a).matches(&b), a == b);
        }
    }
}
