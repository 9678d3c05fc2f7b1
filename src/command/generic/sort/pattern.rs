//! Patterns of keys: `weight_*`, `object_*->field`, `#`.

use crate::command::error::until_zero;
use crate::keyspace::Keyspace;
use crate::value::hash::Hash;
use crate::value::set::with_text;
use crate::value::string::IntText;

/// What BY and GET name.
///
/// Compat: `*` and `->` are looked for up to the pattern's first zero byte only; what follows is part of the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern<'a> {
    /// `#`: the element itself.
    Element,
    /// Without `*`: nothing.
    Nothing,
    /// The string at a key: what stands before and behind the element.
    Key(&'a [u8], &'a [u8]),
    /// The field, named last, of the hash at a key.
    Field(&'a [u8], &'a [u8], &'a [u8]),
}

impl<'a> Pattern<'a> {
    /// Any text is one.
    pub fn parse(text: &'a [u8]) -> Pattern<'a> {
        let searched = until_zero(text);
        if searched == b"#" {
            return Pattern::Element;
        }
        let Some(star) = memchr::memchr(b'*', searched) else {
            return Pattern::Nothing;
        };
        let (before, behind) = (&text[..star], &text[star + 1..]);
        let arrow = memchr::memmem::find(&searched[star + 1..], b"->");
        match arrow {
            // An arrow at the end is part of the name.
            Some(at) if star + 1 + at + 2 < searched.len() => {
                Pattern::Field(before, &behind[..at], &behind[at + 2..])
            }
            _ => Pattern::Key(before, behind),
        }
    }

    /// What `read` makes of the value for `element`; `None` where there is none of the right type.
    pub fn look_up<R>(
        &self,
        keys: &mut Keyspace,
        element: &[u8],
        read: impl FnOnce(Option<&[u8]>) -> R,
    ) -> R {
        let (before, behind) = match *self {
            Pattern::Element => return read(Some(element)),
            Pattern::Nothing => return read(None),
            Pattern::Key(before, behind) | Pattern::Field(before, behind, _) => (before, behind),
        };
        let name = [before, element, behind].concat();
        let (key, due_ms) = (keys.key(&name), keys.due_ms());
        if let Pattern::Field(_, _, field) = *self {
            let hash = keys.read_as::<Hash>(key).ok().flatten();
            return match hash.and_then(|hash| hash.get(field, due_ms)) {
                Some(value) => with_text(value, |text| read(Some(text))),
                None => read(None),
            };
        }
        let string = keys.read_string(key).ok().flatten();
        let mut scratch = IntText::default();
        read(string.map(|string| string.text(&mut scratch)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_taken_apart() {
        let cases: [(&[u8], Pattern<'_>); 12] = [
            (b"#", Pattern::Element),
            (b"#\0x", Pattern::Element),
            (b"#*", Pattern::Key(b"#", b"")),
            (b"", Pattern::Nothing),
            (b"weight", Pattern::Nothing),
            (b"a->b", Pattern::Nothing),
            (b"w_*", Pattern::Key(b"w_", b"")),
            (b"*_*", Pattern::Key(b"", b"_*")),
            (b"o_*->f", Pattern::Field(b"o_", b"", b"f")),
            (b"o->_*_x->f->g", Pattern::Field(b"o->_", b"_x", b"f->g")),
            (b"o_*->", Pattern::Key(b"o_", b"->")),
            (b"o_*\0->f", Pattern::Key(b"o_", b"\0->f")),
        ];
        for (text, pattern) in cases {
            assert_eq!(Pattern::parse(text), pattern, "{}", text.escape_ascii());
        }
    }
}
