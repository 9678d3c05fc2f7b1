//! Libraries as FUNCTION DUMP serializes them: the part of an RDB file that holds them, closed like a payload of DUMP.
//!
//! ```text
//! 245 | text as a string | 245 | text | ... | version 2 | CRC-64 8
//! ```

use crate::persist::rdb::decode::{Decoder, Refused};
use crate::persist::rdb::encode::Encoder;
use crate::persist::rdb::opcode::{FUNCTION_PRE_GA, FUNCTION2, VERSION};
use crate::persist::rdb::payload;
use crate::script::library::Libraries;

/// All libraries as one payload that servers of RDB `version` take.
pub fn dump(libraries: &Libraries, version: u16, compresses: bool) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), false, compresses);
    for library in libraries.iter() {
        encoder.byte(FUNCTION2);
        encoder.string(&library.text);
    }
    payload::seal(encoder.into_inner(), version)
}

/// The texts of the libraries in a payload.
///
/// # Errors
/// What is wrong with it, without an error code.
pub fn texts(payload: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    const DAMAGED: &str = "failed loading the given functions payload";
    let body = payload::verify(payload, true).map_err(|_| "DUMP payload version or checksum are wrong")?;
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

/// Fuzz entry: any bytes as a payload; what is accepted must come out of a dump of the same texts again.
pub fn fuzz_payload(bytes: &[u8]) {
    let sealed = payload::seal(bytes.to_vec(), VERSION);
    for payload in [bytes, &sealed] {
        if let Ok(texts) = texts(payload) {
            assert!(texts.len() <= payload.len(), "a library takes at least a byte");
        }
    }
}
