//! What PFSELFTEST checks: that registers keep what they are given, that both encodings count alike, and that counts are
//! as good as promised.

use super::{Encoding, HEADER_BYTES, REGISTERS, Registers, add_one, count, create, dense, densify, encoding};
use crate::base::rng::Rng;

/// Elements added in the end: ten times more only take ten times longer.
const ELEMENTS: u64 = 1_000_000;

/// Fills and reads registers, then counts distinct elements, up to a million.
///
/// # Errors
/// What is wrong, in Redis's words; only a bug can be the reason, or a freak of chance.
pub fn self_test(rng: &mut Rng, sparse_bytes_max: usize) -> Result<(), String> {
    registers_keep_their_values(rng)?;
    counts_are_close(rng, sparse_bytes_max)
}

fn registers_keep_their_values(rng: &mut Rng) -> Result<(), String> {
    let values: Vec<u8> = (0..REGISTERS).map(|_| rng.below(64) as u8).collect();
    let mut bytes = dense_one();
    for (index, &value) in values.iter().enumerate() {
        dense::raise(&mut bytes[HEADER_BYTES..], index, value);
    }
    let mut read = Registers::default();
    dense::merge(&bytes[HEADER_BYTES..], &mut read.0);
    match (0..REGISTERS).find(|&index| read.0[index] != values[index]) {
        None => Ok(()),
        Some(at) => Err(format!(
            "TESTFAILED Register {at} should be {} but is {}",
            values[at], read.0[at]
        )),
    }
}

fn dense_one() -> Vec<u8> {
    let mut bytes = create();
    densify(&mut bytes).expect("it was just made");
    bytes
}

fn counts_are_close(rng: &mut Rng, sparse_bytes_max: usize) -> Result<(), String> {
    let (mut first, mut second) = (dense_one(), create());
    let seed = rng.next_u64();
    let mut checkpoint = 1;
    for number in 1..=ELEMENTS {
        let element = (number ^ seed).to_le_bytes();
        for bytes in [&mut first, &mut second] {
            add_one(bytes, &element, sparse_bytes_max).map_err(|_| "TESTFAILED corrupt".to_owned())?;
        }
        if number == checkpoint {
            check(number, &first, &second, sparse_bytes_max)?;
            checkpoint *= 10;
        }
    }
    Ok(())
}

fn check(number: u64, dense: &[u8], other: &[u8], sparse_bytes_max: usize) -> Result<(), String> {
    let small = number < sparse_bytes_max as u64 / 2;
    if small && encoding(other) != Ok(Encoding::Sparse) {
        return Err("TESTFAILED sparse encoding not used".into());
    }
    let estimate = count(dense).unwrap_or_default();
    if count(other) != Ok(estimate) {
        return Err("TESTFAILED dense/sparse disagree".into());
    }
    let standard_error = 1.04 / (REGISTERS as f64).sqrt();
    let tolerated = (standard_error * 6.0 * number as f64).ceil() as u64;
    let error = number.abs_diff(estimate);
    if error > tolerated {
        return Err(format!("TESTFAILED Too big error. card:{number} abserr:{error}"));
    }
    Ok(())
}
