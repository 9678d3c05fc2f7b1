//! One value as DUMP hands it out and RESTORE takes it: type, value, version, checksum.

use std::io;

use crate::keyspace::entry::{Entry, NewValue};
use crate::value::Limits;

use super::checksum::checksum;
use super::decode::{Decoder, Refused, Scrutiny};
use super::encode::Encoder;
use super::opcode::{Type, VERSION};
use super::value;

const FOOTER_BYTES: usize = 10;

/// Why a payload is refused.
#[derive(Debug)]
pub enum Rejected {
    /// Version or checksum are wrong.
    Footer,
    /// The value is damaged.
    Value(Refused),
}

/// The value of `entry` as a payload of format `version`.
pub fn dump(entry: &Entry, version: u16, compresses: bool) -> Vec<u8> {
    let kind = value::type_of(entry, version);
    let mut encoder = Encoder::new(Vec::new(), false, compresses);
    encoder.byte(kind as u8);
    value::save(&mut encoder, entry, kind);
    seal(encoder.into_inner(), version)
}

/// How many bytes the value of `entry` takes in a file of `version`.
pub fn serialized_bytes(entry: &Entry, version: u16, compresses: bool) -> u64 {
    let mut encoder = Encoder::new(io::sink(), false, compresses);
    value::save(&mut encoder, entry, value::type_of(entry, version));
    encoder.position()
}

/// `body` with the footer that [`verify`] looks for.
pub fn seal(mut body: Vec<u8>, version: u16) -> Vec<u8> {
    body.extend_from_slice(&version.to_le_bytes());
    let sum = checksum(&body);
    body.extend_from_slice(&sum.to_le_bytes());
    body
}

/// What is before the footer of a payload, if that is right: its version one that can be read and, if `checks`, its
/// checksum that of the rest.
///
/// # Errors
/// [`Rejected::Footer`].
pub fn verify(payload: &[u8], checks: bool) -> Result<&[u8], Rejected> {
    let body_len = payload.len().checked_sub(FOOTER_BYTES).ok_or(Rejected::Footer)?;
    let (body, footer) = payload.split_at(body_len);
    let version = u16::from_le_bytes([footer[0], footer[1]]);
    let sum = footer[2..].try_into().map(u64::from_le_bytes);
    let right = !checks || sum.is_ok_and(|sum| sum == checksum(&payload[..body_len + 2]));
    if version > VERSION || !right {
        return Err(Rejected::Footer);
    }
    Ok(body)
}

/// The value in a payload, and how many encodings were looked at in depth. Strings are copied to `text`.
///
/// # Errors
/// [`Rejected`].
pub fn restore<'a>(
    payload: &[u8],
    scrutiny: Scrutiny,
    limits: &Limits,
    text: &'a mut Vec<u8>,
) -> Result<(NewValue<'a>, u64), Rejected> {
    let body = verify(payload, scrutiny.checksum)?;
    read(body, scrutiny.deep, limits, text).map_err(Rejected::Value)
}

fn read<'a>(
    body: &[u8],
    deep: bool,
    limits: &Limits,
    text: &'a mut Vec<u8>,
) -> Result<(NewValue<'a>, u64), Refused> {
    let scrutiny = Scrutiny {
        checksum: false,
        deep,
    };
    let mut decoder = Decoder::with_scrutiny(body, body.len() as u64, scrutiny);
    let byte = decoder.byte()?;
    let Some(kind) = Type::from_byte(byte) else {
        return decoder.damaged(format!("unknown type {byte}"));
    };
    let value = value::load(&mut decoder, kind, limits, text).map_err(|refused| refused.of_type(kind))?;
    if decoder.left() > 0 {
        return decoder.damaged("more bytes than the value has");
    }
    Ok((value, decoder.sanitized()))
}
