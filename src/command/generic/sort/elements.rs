//! The elements on their way from a key to the reply: texts in one buffer, and what they weigh.
//!
//! ```text
//! bytes   a p p l e 1 0 p e a r ...           all texts, one behind the other
//! list    (0..5, -) (5..7, 10) (7..11, -)     each element's text and weight; this is what is sorted
//! ```

use std::cmp::Ordering;
use std::ops::Range;

use crate::base::float;
use crate::command::error::{Error, until_zero};
use crate::ds::listpack::Item;
use crate::ds::quicklist::End;
use crate::keyspace::entry::View;
use crate::keyspace::{Key, Keyspace};
use crate::value::Value;
use crate::value::list::List;
use crate::value::zset::{Direction, Zset};

use super::Options;

const NO_DOUBLE: Error = Error::fixed("ERR One or more scores can't be converted into double");

/// Texts, one behind the other.
#[derive(Default)]
pub struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Texts {
    /// Adds one.
    pub fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, &end)| &self.bytes[start..end])
    }
}

/// What an element is compared by.
#[derive(Clone)]
enum Weight {
    /// Nothing known: as a number 0, as a text before all others.
    None,
    Number(f64),
    Text(Range<usize>),
}

struct Element {
    text: Range<usize>,
    weight: Weight,
}

/// The elements, and which of them LIMIT leaves in the end.
#[derive(Default)]
pub struct Elements {
    bytes: Vec<u8>,
    list: Vec<Element>,
    /// Positions after sorting.
    window: Range<usize>,
}

impl Elements {
    /// Copies the elements at a key. Those of a list or sorted set that is not to be sorted are cut by LIMIT at once.
    ///
    /// # Errors
    /// [`Error::WrongType`].
    pub fn read(
        keys: &mut Keyspace,
        key: Key<'_>,
        options: &mut Options<'_>,
        must_agree: bool,
    ) -> Result<Elements, Error> {
        let mut elements = Elements::default();
        match keys.read(key).map(|entry| entry.view()) {
            None => {}
            Some(View::Value(Value::List(list))) => elements.take_list(list, options),
            Some(View::Value(Value::Set(set))) => {
                if must_agree {
                    options.sort_sets();
                }
                elements.list.reserve_exact(set.len());
                set.iter().for_each(|member| elements.push(member));
                elements.window = window(options.limit, set.len());
            }
            Some(View::Value(Value::Zset(zset))) => elements.take_zset(zset, options),
            Some(_) => return Err(Error::WrongType),
        }
        Ok(elements)
    }

    fn take_list(&mut self, list: &List, options: &Options<'_>) {
        let part = self.plan(list.len(), options);
        let (start, from) = if options.descending && !options.sorts {
            (list.len().saturating_sub(part.start + 1), End::Tail)
        } else {
            (part.start, End::Head)
        };
        list.for_range(start, part.len(), from, |element| self.push(element));
    }

    fn take_zset(&mut self, zset: &Zset, options: &Options<'_>) {
        let part = self.plan(zset.len(), options);
        let members = if options.descending && !options.sorts {
            zset.walk(zset.len() - part.end..zset.len() - part.start, Direction::Down)
        } else {
            zset.walk(part, Direction::Up)
        };
        members.for_each(|(member, _)| self.push(member));
    }

    /// Which elements to read of `len`, as counted from the end to begin with.
    fn plan(&mut self, len: usize, options: &Options<'_>) -> Range<usize> {
        let window = window(options.limit, len);
        let part = if options.sorts { 0..len } else { window.clone() };
        self.window = if options.sorts { window } else { 0..part.len() };
        self.list.reserve_exact(part.len());
        part
    }

    /// A number is known to be one.
    fn push(&mut self, element: Item<'_>) {
        let start = self.bytes.len();
        element.write_to(&mut self.bytes);
        self.list.push(Element {
            text: start..self.bytes.len(),
            weight: element
                .int()
                .map_or(Weight::None, |number| Weight::Number(number as f64)),
        });
    }

    /// Finds what each element is compared by.
    ///
    /// # Errors
    /// A text that should be a number is none.
    pub fn weigh(&mut self, keys: &mut Keyspace, options: &Options<'_>) -> Result<(), Error> {
        let mut all_numbers = true;
        for at in 0..self.list.len() {
            let text = self.list[at].text.clone();
            let weight = match (&options.by, options.alpha) {
                (None, true) => Weight::Text(text),
                (None, false) => match self.list[at].weight {
                    Weight::Number(_) => continue,
                    _ => number(&self.bytes[text], &mut all_numbers),
                },
                (Some(pattern), true) => {
                    let found = pattern.look_up(keys, &self.bytes[text], |value| value.map(<[u8]>::to_vec));
                    found.map_or(Weight::None, |value| self.keep(&value))
                }
                (Some(pattern), false) => pattern.look_up(keys, &self.bytes[text], |value| {
                    value.map_or(Weight::None, |value| number(value, &mut all_numbers))
                }),
            };
            self.list[at].weight = weight;
        }
        if all_numbers { Ok(()) } else { Err(NO_DOUBLE) }
    }

    fn keep(&mut self, text: &[u8]) -> Weight {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(text);
        Weight::Text(start..self.bytes.len())
    }

    /// Puts those within the window in order. O(n + m log m), m being how many those are.
    pub fn sort(&mut self, options: &Options<'_>) {
        let bytes = &self.bytes;
        let by_itself = options.by.is_none();
        let in_order = |a: &Element, b: &Element| {
            let order = compare(bytes, a, b, by_itself || !options.alpha);
            let order = if options.descending {
                order.reverse()
            } else {
                order
            };
            // What is equal stays as it was.
            order.then(a.text.start.cmp(&b.text.start))
        };
        let Range { start, end } = self.window;
        if end < self.list.len() {
            self.list.select_nth_unstable_by(end, in_order);
        }
        if start > 0 && start < end {
            self.list[..end].select_nth_unstable_by(start, in_order);
        }
        self.list[start..end].sort_unstable_by(in_order);
    }

    /// How many there are in the end.
    pub fn len(&self) -> usize {
        self.window.len()
    }

    /// The texts of those, in order.
    pub fn texts(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let list = &self.list[self.window.clone()];
        list.iter().map(|element| &self.bytes[element.text.clone()])
    }
}

/// By weight; then by text, if texts are to decide.
fn compare(bytes: &[u8], a: &Element, b: &Element, texts_decide: bool) -> Ordering {
    let text = |range: &Range<usize>| &bytes[range.clone()];
    let by_weight = match (&a.weight, &b.weight) {
        (Weight::Text(a), Weight::Text(b)) => text(a).cmp(text(b)),
        (Weight::None, Weight::Text(_)) => Ordering::Less,
        (Weight::Text(_), Weight::None) => Ordering::Greater,
        (a, b) => value(a).total_cmp(&value(b)),
    };
    if texts_decide {
        by_weight.then_with(|| text(&a.text).cmp(text(&b.text)))
    } else {
        by_weight
    }
}

/// As a number, without the sign of zero.
fn value(weight: &Weight) -> f64 {
    match weight {
        Weight::Number(number) => number + 0.0,
        _ => 0.0,
    }
}

/// Compat: as `strtod` reads it up to its first zero byte: white space before is skipped, nothing is 0. What is too
/// large or too small for a double is an error.
fn number(text: &[u8], all_numbers: &mut bool) -> Weight {
    let text = until_zero(text);
    let blanks = text
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace() || **byte == b'\x0b')
        .count();
    let number = match &text[blanks..] {
        [] if blanks == 0 => Some(0.0),
        text => float::parse(text).filter(|number| !number.is_subnormal()),
    };
    *all_numbers &= number.is_some();
    number.map_or(Weight::None, Weight::Number)
}

/// Positions that LIMIT leaves of `len`.
fn window((offset, count): (i64, i64), len: usize) -> Range<usize> {
    let start = usize::try_from(offset.max(0)).unwrap_or(usize::MAX).min(len);
    let count = usize::try_from(count).unwrap_or(len);
    start..start.saturating_add(count).min(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_beyond_the_elements_are_cut() {
        assert_eq!(window((0, -1), 5), 0..5);
        assert_eq!(window((2, 2), 5), 2..4);
        assert_eq!(window((-7, 2), 5), 0..2);
        assert_eq!(window((2, -9), 5), 2..5);
        assert_eq!(window((4, i64::MAX), 5), 4..5);
        assert_eq!(window((9, 1), 5), 5..5);
        assert_eq!(window((i64::MAX, i64::MAX), 0), 0..0);
    }

    #[test]
    fn numbers_are_read_as_the_reference_reads_them() {
        let read = |text: &str| {
            let mut all_numbers = true;
            let weight = number(text.as_bytes(), &mut all_numbers);
            all_numbers.then(|| value(&weight))
        };
        assert_eq!(
            (read("1.5"), read(" \t\n1"), read("")),
            (Some(1.5), Some(1.0), Some(0.0))
        );
        assert_eq!(
            (read("1\0x"), read("0x10"), read("inf")),
            (Some(1.0), Some(16.0), Some(f64::INFINITY))
        );
        for bad in ["a", "1a", "1 ", " ", "nan", "1e400", "1e-400", "1e-310"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
