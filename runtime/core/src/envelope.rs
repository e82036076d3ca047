//! The envelope of small stored documents (manifests, journal records): a header line that names kind and format version,
//! one JSON document, and a trailer line with the SHA-256 of everything before it.
//!
//! ```text
//! sluice-manifest 1
//! {"job":"…"}
//! sha256:9f86d0…
//! ```
//!
//! The header is read before the JSON, so that a document of a newer release is refused by its name and not by a parse
//! error; the trailer comes last, so that a torn write never looks whole. A person can read it with `cat`.

use crate::checksum::Checksum;
use serde::Serialize;
use serde::de::DeserializeOwned;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EnvelopeError {
    /// Torn, truncated, flipped, or some other file. Never loaded.
    #[error("the {kind} is damaged: {message}")]
    Damaged { kind: &'static str, message: String },
    /// Written by a newer release. Nothing is changed (fail closed).
    #[error(
        "the {kind} has format {found}, this release reads up to {known}: use the release that wrote it or a newer one"
    )]
    Newer { kind: &'static str, found: u32, known: u32 },
}

/// Bytes of one document. `document` must serialise to JSON without a failing map key (our types do).
pub fn seal<T: Serialize>(kind: &'static str, format: u32, document: &T) -> Vec<u8> {
    let mut bytes = format!("sluice-{kind} {format}\n").into_bytes();
    serde_json::to_writer(&mut bytes, document)
        .expect("stored documents have string keys only, and a Vec takes all bytes");
    bytes.push(b'\n');
    let sum = Checksum::sha256(&bytes);
    bytes.extend_from_slice(format!("{sum}\n").as_bytes());
    bytes
}

/// The document in `bytes`; `known` is the newest format that the caller reads.
pub fn open<T: DeserializeOwned>(kind: &'static str, known: u32, bytes: &[u8]) -> Result<T, EnvelopeError> {
    let damaged = |message: String| EnvelopeError::Damaged { kind, message };
    let (body, trailer) =
        split_trailer(bytes).ok_or_else(|| damaged(format!("no trailer in {} bytes", bytes.len())))?;
    let sum: Checksum = trailer.parse().map_err(|_| damaged("the trailer is not a checksum".into()))?;
    if !matches!(sum, Checksum::Sha256(_)) || !sum.matches(body) {
        return Err(damaged(format!("its checksum should be {sum}, but is {}", Checksum::sha256(body))));
    }
    let (header, json) = split_header(body).ok_or_else(|| damaged("no header".into()))?;
    let format = header
        .strip_prefix("sluice-")
        .and_then(|rest| rest.strip_prefix(kind))
        .and_then(|rest| rest.strip_prefix(' '))
        .and_then(|digits| digits.parse::<u32>().ok())
        .ok_or_else(|| damaged(format!("it is another document: '{}'", header.chars().take(60).collect::<String>())))?;
    if format > known {
        return Err(EnvelopeError::Newer { kind, found: format, known });
    }
    serde_json::from_slice(json).map_err(|e| damaged(e.to_string()))
}

/// `body` including its last line feed, and the trailer without its own.
fn split_trailer(bytes: &[u8]) -> Option<(&[u8], &str)> {
    let rest = bytes.strip_suffix(b"\n")?;
    let at = rest.iter().rposition(|b| *b == b'\n')? + 1;
    Some((&rest[..at], std::str::from_utf8(&rest[at..]).ok()?))
}

fn split_header(body: &[u8]) -> Option<(&str, &[u8])> {
    let at = body.iter().position(|b| *b == b'\n')?;
    Some((std::str::from_utf8(&body[..at]).ok()?, &body[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn doc() -> Vec<u8> {
        seal("thing", 2, &serde_json::json!({"a": [1, 2], "b": "ü"}))
    }

    #[test]
    fn reads_what_it_wrote_and_names_what_it_cannot_read() {
        let value: serde_json::Value = open("thing", 2, &doc()).unwrap();
        assert_eq!(value["a"][1], 2);
        assert_eq!(
            open::<serde_json::Value>("thing", 1, &doc()).unwrap_err(),
            EnvelopeError::Newer { kind: "thing", found: 2, known: 1 }
        );
        let other = open::<serde_json::Value>("record", 2, &doc()).unwrap_err();
        assert!(other.to_string().contains("another document: 'sluice-thing 2'"), "{other}");
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_noticed() {
        let whole = doc();
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                assert!(open::<serde_json::Value>("thing", 2, &bytes).is_err(), "byte {at} bit {bit}");
            }
            assert!(open::<serde_json::Value>("thing", 2, &whole[..at]).is_err(), "cut at {at}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            prop_assert!(open::<serde_json::Value>("thing", 2, &bytes).is_err());
        }
    }
}
