//! Names of modules, which stand in the format as one number: nine letters of six bits, and ten bits of version.

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const LETTER_BITS: u64 = 6;
const VERSION_BITS: u64 = 10;

/// The name in `id`.
pub fn name(id: u64) -> String {
    (0..9)
        .rev()
        .map(|place| LETTERS[(id >> (VERSION_BITS + place * LETTER_BITS) & 63) as usize] as char)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_from_its_number() {
        let letters = b"ReJSON-RL";
        let id = letters.iter().fold(0u64, |id, letter| {
            let place = LETTERS
                .iter()
                .position(|l| l == letter)
                .expect("a letter of the set");
            id << LETTER_BITS | place as u64
        });
        assert_eq!(name(id << VERSION_BITS | 3), "ReJSON-RL");
    }
}
