//! Digests as lower-case hexadecimal text, and Base64.

use super::definition::Param::{Bytes, Long, Text};
use super::definition::{Call, Function, Returns};
use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion_common::{Result, exec_err};
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use std::fmt::Write;

pub(super) fn functions() -> Vec<Function> {
    let text = || Returns::Type(DataType::Utf8);
    vec![
        Function::new("md5", &[Bytes], text(), |c| digest(c, Kind::Md5)),
        Function::new("sha1", &[Bytes], text(), |c| digest(c, Kind::Sha1)),
        Function::new("sha224", &[Bytes], text(), |c| digest(c, Kind::Sha2(224))),
        Function::new("sha256", &[Bytes], text(), |c| digest(c, Kind::Sha2(256))),
        Function::new("sha384", &[Bytes], text(), |c| digest(c, Kind::Sha2(384))),
        Function::new("sha512", &[Bytes], text(), |c| digest(c, Kind::Sha2(512))),
        Function::new("sha2", &[Bytes, Long], text(), sha2),
        Function::new("to_base64", &[Bytes], text(), to_base64),
        Function::new("from_base64", &[Text], text(), from_base64),
    ]
}

#[derive(Clone, Copy)]
enum Kind {
    Md5,
    Sha1,
    Sha2(i64),
}

fn digest(call: &Call, kind: Kind) -> Result<ArrayRef> {
    let v = call.bytes(0)?;
    call.collect_text(|row, out| Ok(v.get(row).is_some_and(|bytes| write_digest(out, bytes, kind))))
}

/// `SHA2(s, bits)` with 224, 256, 384 or 512 bits.
fn sha2(call: &Call) -> Result<ArrayRef> {
    let (v, bits) = (call.bytes(0)?, call.longs(1)?);
    call.collect_text(|row, out| {
        let (Some(bytes), Some(bits)) = (v.get(row), bits.get(row)) else { return Ok(false) };
        if !write_digest(out, bytes, Kind::Sha2(bits)) {
            return exec_err!("SHA2 has 224, 256, 384 or 512 bits, not {bits}");
        }
        Ok(true)
    })
}

fn write_digest(out: &mut String, bytes: &[u8], kind: Kind) -> bool {
    let hash: Vec<u8> = match kind {
        Kind::Md5 => super::legacy_hash::md5(bytes).to_vec(),
        Kind::Sha1 => super::legacy_hash::sha1(bytes).to_vec(),
        Kind::Sha2(224) => Sha224::digest(bytes).to_vec(),
        Kind::Sha2(256) => Sha256::digest(bytes).to_vec(),
        Kind::Sha2(384) => Sha384::digest(bytes).to_vec(),
        Kind::Sha2(512) => Sha512::digest(bytes).to_vec(),
        Kind::Sha2(_) => return false,
    };
    for b in hash {
        // Writing to a String cannot fail.
        let _ = write!(out, "{b:02x}");
    }
    true
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn to_base64(call: &Call) -> Result<ArrayRef> {
    let v = call.bytes(0)?;
    call.collect_text(|row, out| {
        let Some(bytes) = v.get(row) else { return Ok(false) };
        for chunk in bytes.chunks(3) {
            let word = chunk.iter().fold(0u32, |w, b| w << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
            for i in 0..4 {
                let digit = ALPHABET[(word >> (18 - 6 * i)) as usize & 63];
                out.push(if i <= chunk.len() { char::from(digit) } else { '=' });
            }
        }
        Ok(true)
    })
}

/// Fails on what is not Base64.
fn from_base64(call: &Call) -> Result<ArrayRef> {
    let v = call.texts(0)?;
    call.collect_text(|row, out| {
        let Some(text) = v.get(row) else { return Ok(false) };
        let Some(bytes) = decode_base64(text) else {
            return exec_err!("FROM_BASE64: '{}' is not Base64", text.chars().take(40).collect::<String>());
        };
        out.push_str(&String::from_utf8_lossy(&bytes));
        Ok(true)
    })
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if digits.len() % 4 == 1 || text.len() - digits.len() > 2 {
        return None;
    }
    let mut out = vec![];
    for chunk in digits.as_bytes().chunks(4) {
        let mut word = 0u32;
        for b in chunk {
            word = word << 6 | ALPHABET.iter().position(|a| a == b)? as u32;
        }
        word <<= 6 * (4 - chunk.len());
        out.extend(&word.to_be_bytes()[1..chunk.len()]);
    }
    Some(out)
}
