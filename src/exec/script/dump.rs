//! Libraries as FUNCTION DUMP serializes them: the part of an RDB file that holds them, closed like a payload of DUMP.
//!
//! ```text
//! 245 | text as a string | 245 | text | ... | version 2 | CRC-64 8
//! ```

use crate::persist::rdb::checksum::checksum;
use crate::persist::rdb::decode::{Decoder, Refused};
use crate::persist::rdb::encode::Encoder;
use crate::persist::rdb::opcode::{FUNCTION_PRE_GA, FUNCTION2, VERSION};
use crate::script::library::Libraries;

/// Version and checksum.
const TRAILER_BYTES: usize = 10;

/// All libraries as one payload.
pub fn dump(libraries: &Libraries) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), true, true);
    for library in libraries.iter() {
        encoder.byte(FUNCTION2);
        encoder.string(&library.text);
    }
    encoder.raw(&VERSION.to_le_bytes());
    let finished = encoder.finish();
    finished.map(|(payload, _)| payload).unwrap_or_default()
}

/// The texts of the libraries in a payload.
///
/// # Errors
/// What is wrong with it, without an error code.
pub fn texts(payload: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    const DAMAGED: &str = "failed loading the given functions payload";
    let body = checked(payload).ok_or("DUMP payload version or checksum are wrong")?;
    let mut decoder = Decoder::new(body, body.len() as u64, false);
    let mut texts = Vec::new();
    while decoder.left() > 0 {
        match decoder.byte().map_err(|_: Refused| "can not read data type")? {
            FUNCTION2 => texts.push(decoder.string().map_err(|_| DAMAGED)?),
            FUNCTION_PRE_GA => return Err("Pre-GA function format not supported"),
            _ => return Err("given type is not a function"),
        }
    }
    Ok(texts)
}

/// What comes before version and checksum, if both are right.
fn checked(payload: &[u8]) -> Option<&[u8]> {
    let (body, trailer) = payload.split_at_checked(payload.len().checked_sub(TRAILER_BYTES)?)?;
    let (version, sum) = trailer.split_at(2);
    let version = u16::from_le_bytes(version.try_into().ok()?);
    let sum = u64::from_le_bytes(sum.try_into().ok()?);
    (version <= VERSION && checksum(&payload[..body.len() + 2]) == sum).then_some(body)
}

/// Fuzz entry: any bytes as a payload; what is accepted must come out of a dump of the same texts again.
pub fn fuzz_payload(bytes: &[u8]) {
    let mut sealed = bytes.to_vec();
    sealed.extend_from_slice(&VERSION.to_le_bytes());
    let sum = checksum(&sealed);
    sealed.extend_from_slice(&sum.to_le_bytes());
    for payload in [bytes, &sealed] {
        if let Ok(texts) = texts(payload) {
            assert!(texts.len() <= payload.len(), "a library takes at least a byte");
        }
    }
}
