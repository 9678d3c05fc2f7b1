//! Text of doubles (minimal stand-in: the base room's version replaces it on merge).

use std::io::Write as _;

/// Appends the shortest text that reads back as `value`, in Redis's notation.
pub fn shortest(value: f64, out: &mut Vec<u8>) {
    if value.is_nan() {
        return out.extend_from_slice(b"nan");
    }
    let scientific = value != 0.0 && value.is_finite() && !(1e-4..1e17).contains(&value.abs());
    let text = if scientific {
        format!("{value:e}").replace('e', "e+").replace("e+-", "e-")
    } else {
        format!("{value}")
    };
    out.write_all(text.as_bytes()).unwrap_or_default();
}
