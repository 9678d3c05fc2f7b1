//! Shapes of commands, and drawing commands of such shapes.
//!
//! ```text
//! shape = item*      item = (word | "(" shapes ")" | "[" shapes "]") ["+"]      shapes = shape ("|" shape)*
//! ```
//!
//! `commands.txt` explains what they mean.

use russet::base::rng::Rng;

use crate::words::{self, Words};

pub type Shape = Vec<Item>;

/// A part of a shape.
pub enum Item {
    /// Without lower-case letters.
    Literal(String),
    /// A class of `words.rs`.
    Class(String),
    /// `(a|b)`
    One(Vec<Shape>),
    /// `[a|b]`
    Some(Vec<Shape>),
    /// `x+`
    Repeat(Box<Item>),
}

/// Most repetitions of `x+`.
const REPEATS_MAX: u64 = 4;

/// All shapes of a file.
pub fn parse(text: &str) -> Vec<Shape> {
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut tokens = tokens(line).into_iter().peekable();
            let mut shapes = parse_shapes(&mut tokens);
            assert!(tokens.peek().is_none() && shapes.len() == 1, "unbalanced: {line}");
            shapes.remove(0)
        })
        .collect()
}

fn tokens(line: &str) -> Vec<String> {
    let mut spaced = String::new();
    for c in line.chars() {
        match c {
            '(' | ')' | '[' | ']' | '|' | '+' => spaced.extend([' ', c, ' ']),
            _ => spaced.push(c),
        }
    }
    spaced.split_whitespace().map(str::to_owned).collect()
}

type Tokens = std::iter::Peekable<std::vec::IntoIter<String>>;

/// Up to the closing bracket, which is consumed.
fn parse_shapes(tokens: &mut Tokens) -> Vec<Shape> {
    let mut shapes = vec![Vec::new()];
    while let Some(token) = tokens.next() {
        let shape = shapes.last_mut().expect("starts with one");
        match token.as_str() {
            ")" | "]" => return shapes,
            "|" => shapes.push(Vec::new()),
            "(" => shape.push(Item::One(parse_shapes(tokens))),
            "[" => shape.push(Item::Some(parse_shapes(tokens))),
            "+" => {
                let item = shape.pop().expect("something to repeat");
                shape.push(Item::Repeat(Box::new(item)));
            }
            _ if words::is_class(&token) => shape.push(Item::Class(token)),
            _ => shape.push(Item::Literal(token)),
        }
    }
    shapes
}

/// A command of that shape.
pub fn draw(shape: &Shape, rng: &mut Rng) -> Words {
    let mut words = Vec::new();
    draw_into(shape, rng, &mut words);
    words
}

fn draw_into(shape: &Shape, rng: &mut Rng, words: &mut Words) {
    shape.iter().for_each(|item| item.draw(rng, words));
}

impl Item {
    fn draw(&self, rng: &mut Rng, words: &mut Words) {
        match self {
            Item::Literal(text) => words.push(any_case(text, rng)),
            Item::Class(class) => words.push(words::draw(class, rng)),
            Item::One(shapes) => draw_into(&shapes[rng.index(shapes.len())], rng, words),
            Item::Some(shapes) => draw_some(shapes, rng, words),
            Item::Repeat(item) => (0..=rng.below(REPEATS_MAX)).for_each(|_| item.draw(rng, words)),
        }
    }
}

/// Few of many: most combinations of three options are refused, and only valid ones go deep.
fn draw_some(shapes: &[Shape], rng: &mut Rng, words: &mut Words) {
    let mut order: Vec<usize> = (0..shapes.len()).collect();
    rng.shuffle(&mut order);
    order.truncate([0, 1, 1, 1, 2, 2, 3, 4][rng.index(8)]);
    if rng.below(16) == 0
        && let Some(&again) = order.first()
    {
        order.push(again);
    }
    for index in order {
        draw_into(&shapes[index], rng, words);
    }
}

fn any_case(text: &str, rng: &mut Rng) -> Vec<u8> {
    match rng.below(4) {
        0 => text.to_lowercase().into_bytes(),
        1 => text
            .bytes()
            .map(|byte| match rng.below(2) {
                0 => byte.to_ascii_lowercase(),
                _ => byte,
            })
            .collect(),
        _ => text.as_bytes().to_vec(),
    }
}
