//! Glob matching as `KEYS`, `SCAN MATCH`, `PSUBSCRIBE`, `CONFIG GET` and ACL patterns use it.
//!
//! ```text
//!   *      any run of bytes, the empty one too        [abc] [a-z]  one byte of the class
//!   ?      exactly one byte                           [^abc]       one byte outside it
//!   \x     the byte x itself, also inside a class     a lone \ at the end stands for itself
//! ```
//!
//! Compat: a class that is never closed ends with the pattern (`[a` is `[a]`, `[^` matches any byte); a `-`
//! before the closing bracket still makes a range (`[a-]` is the range `]`..`a`); and an empty text matches
//! only an empty pattern, so `*` does not match it: `KEYS *` is answered without asking this function. A pattern
//! that would have to pass more than `STARS_MAX` stars matches nothing, as Redis bounds its recursion there.
//!
//! Cost: O(pattern * text) at worst, constant space, no recursion. A star that was once passed by a later
//! star never has to be tried again: what follows the later one can start anywhere, so a longer match of the
//! earlier one gains nothing.
//!
//! Not here: path globbing (a `/` is an ordinary byte), character sets beyond bytes. Ranges compare unsigned
//! bytes.

/// Stars a match may pass; neighbours count as one, and one at the end of the pattern does not count.
const STARS_MAX: usize = 1000;

/// Whether the whole of `text` matches `pattern`; `nocase` folds ASCII letters.
///
/// ```
/// use russet::base::glob::matches;
/// assert!(matches(b"user:[0-9]*", b"user:42", false));
/// assert!(!matches(b"user:?", b"user:42", false));
/// assert!(matches(b"MAX*", b"maxmemory", true));
/// ```
pub fn matches(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut p, mut t) = (0, 0);
    // Where to go on when the branch fails: the pattern after the newest star, and the text it was last tried
    // at.
    let mut retry: Option<(usize, usize)> = None;
    let mut stars = 0;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            p += run_of_stars(&pattern[p..]);
            if p == pattern.len() {
                return true;
            }
            stars += 1;
            if stars > STARS_MAX {
                return false;
            }
            retry = Some((p, t));
            continue;
        }
        match step(&pattern[p..], text[t], nocase) {
            Some(used) => (p, t) = (p + used, t + 1),
            None => match &mut retry {
                Some((after_star, tried)) => {
                    *tried += 1;
                    (p, t) = (*after_star, *tried);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

fn run_of_stars(pattern: &[u8]) -> usize {
    pattern.iter().take_while(|&&byte| byte == b'*').count()
}

/// Bytes of `pattern` that its first element takes, when that element accepts `byte`.
fn step(pattern: &[u8], byte: u8, nocase: bool) -> Option<usize> {
    match *pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'[', ref class @ ..] => {
            let (accepts, used) = class_accepts(class, byte, nocase);
            accepts.then_some(1 + used)
        }
        [b'\\', literal, ..] => same(literal, byte, nocase).then_some(2),
        [literal, ..] => same(literal, byte, nocase).then_some(1),
    }
}

/// Answers for a class whose `[` was taken, and says how many bytes it spans, its `]` included.
fn class_accepts(class: &[u8], byte: u8, nocase: bool) -> (bool, usize) {
    let negated = class.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut found = false;
    loop {
        match class[at..] {
            [] => return (found != negated, at),
            // Compat: an escaped byte in a class is compared exactly, even when letters are folded elsewhere.
            [b'\\', literal, ..] => {
                found |= literal == byte;
                at += 2;
            }
            [b']', ..] => return (found != negated, at + 1),
            [first, b'-', last, ..] => {
                found |= in_range(first, last, byte, nocase);
                at += 3;
            }
            [literal, ..] => {
                found |= same(literal, byte, nocase);
                at += 1;
            }
        }
    }
}

fn in_range(first: u8, last: u8, byte: u8, nocase: bool) -> bool {
    let (low, high) = (first.min(last), first.max(last));
    if nocase {
        (low.to_ascii_lowercase()..=high.to_ascii_lowercase()).contains(&byte.to_ascii_lowercase())
    } else {
        (low..=high).contains(&byte)
    }
}

fn same(a: u8, b: u8, nocase: bool) -> bool {
    a == b || (nocase && a.eq_ignore_ascii_case(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same language by plain recursion: slow, and easy to believe.
    fn twin(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
        match (pattern, text) {
            ([], _) => text.is_empty(),
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|skip| twin(rest, &text[skip..], nocase)),
            (_, []) => false,
            (_, [byte, tail @ ..]) => {
                step(pattern, *byte, nocase).is_some_and(|used| twin(&pattern[used..], tail, nocase))
            }
        }
    }

    #[track_caller]
    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        for text in yes {
            assert!(
                matches(pattern.as_bytes(), text.as_bytes(), false),
                "{pattern} should match {text:?}"
            );
        }
        for text in no {
            assert!(
                !matches(pattern.as_bytes(), text.as_bytes(), false),
                "{pattern} should not match {text:?}"
            );
        }
    }

    #[test]
    fn ordinary_patterns_match_as_in_redis() {
        check("h?llo", &["hello", "hallo"], &["hllo", "heello"]);
        check("h*llo", &["hllo", "heeeello"], &["hll"]);
        check("h[ae]llo", &["hello", "hallo"], &["hillo"]);
        check("h[^e]llo", &["hallo", "hbllo"], &["hello"]);
        check("h[a-b]llo", &["hallo", "hbllo"], &["hcllo"]);
        check("a**", &["a", "ab"], &["b"]);
        check(r"\*x", &["*x"], &["ax"]);
        check("", &[""], &["a"]);
    }

    #[test]
    fn crooked_classes_match_as_in_redis() {
        check("[", &[], &["a", "["]);
        check("[^", &["a", "]"], &[]);
        check("[a", &["a"], &["]", "["]);
        check("[]", &[], &["]", "a"]);
        check("[a-]", &["a", "]"], &["-", "b"]);
        check("[a-", &["a", "-"], &["b"]);
        check(r"[\", &["\\"], &["a"]);
        check(r"\", &["\\"], &["a"]);
        check(r"[\]]", &["]"], &["\\"]);
        check("[z-a]", &["a", "m"], &["]"]);
        check("[^]", &["a", "]"], &[]);
    }

    #[test]
    fn a_star_does_not_match_the_empty_text() {
        check("*", &["a"], &[""]);
        check("**", &["a"], &[""]);
    }

    #[test]
    fn folding_letters_spares_escaped_bytes_of_a_class() {
        assert!(matches(b"[A-C]x", b"bX", true));
        assert!(matches(br"\A", b"a", true));
        assert!(!matches(br"[\A]", b"a", true));
    }

    #[test]
    fn a_pathological_pattern_is_answered_at_once() {
        let pattern = [b"a*".repeat(200), b"b".to_vec()].concat();
        assert!(!matches(&pattern, &b"a".repeat(2_000), false));
    }

    #[test]
    fn a_thousand_stars_are_passed_and_no_more() {
        let text = b"a".repeat(1_001);
        assert!(matches(&b"*?".repeat(1_000), &text, false));
        assert!(!matches(&b"*?".repeat(1_001), &text, false));
        assert!(matches(
            &[b"*?".repeat(1_000), b"**".to_vec()].concat(),
            &text,
            false
        ));
        assert!(!matches(&b"*?".repeat(50_000), &b"a".repeat(50_000), false));
    }

    proptest! {
        #[test]
        fn agrees_with_plain_recursion(
            pattern in proptest::collection::vec(proptest::sample::select(&b"abA*?[]^-\\"[..]), 0..9),
            text in proptest::collection::vec(proptest::sample::select(&b"abA]-\\"[..]), 1..7),
            nocase: bool,
        ) {
            prop_assert_eq!(matches(&pattern, &text, nocase), twin(&pattern, &text, nocase));
        }

        #[test]
        fn any_bytes_are_answered(pattern: Vec<u8>, text: Vec<u8>, nocase: bool) {
            matches(&pattern, &text, nocase);
        }
    }
}
