//! The CRC-64 that closes files and payloads (Jones polynomial, reflected, initial value 0).

use crc::{CRC_64_REDIS, Crc, Digest, Table};

static CRC: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// A checksum being computed.
#[derive(Clone)]
pub struct Checksum(Digest<'static, u64, Table<16>>);

impl Default for Checksum {
    fn default() -> Self {
        Checksum(CRC.digest())
    }
}

impl Checksum {
    /// Takes `bytes` in.
    #[inline]
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all bytes taken in so far.
    pub fn value(&self) -> u64 {
        self.0.clone().finalize()
    }
}

/// The checksum of `bytes`.
pub fn checksum(bytes: &[u8]) -> u64 {
    CRC.checksum(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_check_value_comes_out() {
        assert_eq!(checksum(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        let mut parts = Checksum::default();
        parts.update(b"1234");
        parts.update(b"56789");
        assert_eq!(parts.value(), checksum(b"123456789"));
        assert_eq!(checksum(b""), 0);
    }
}
