//! Text of integers (minimal stand-in: the base room's version replaces it on merge).

/// Reads a decimal as strictly as Redis does: no `+`, no spaces, no leading zeros, no `-0`.
#[must_use]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let plain = matches!(digits, [b'1'..=b'9', ..]) || text == b"0";
    let number = std::str::from_utf8(text).ok()?;
    if plain { number.parse().ok() } else { None }
}
