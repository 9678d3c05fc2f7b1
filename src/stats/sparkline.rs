//! Graphs of plain characters for LATENCY GRAPH.
//!
//! ```text
//!  #       row 0     a column of height 12 is # over | over | over |
//!  |
//!  |_
//! _||      row 3     every row tells three heights apart: _ o #
//!                    one empty row
//! 432      labels, read downwards
//! sss
//! ```
//!
//! Rows are as wide as the samples they show; more samples than `columns` continue in a further graph below.

const GLYPHS: [u8; 3] = *b"_o#";
const FILL: u8 = b'|';

/// One column of the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its height, in any unit; the lowest of all draws as the bottom line.
    pub value: u64,
    /// Written downwards below it.
    pub label: String,
}

/// Draws all columns, `columns` per graph and `rows` high, each line ended by `\n`. Empty without columns.
pub fn render(samples: &[Column], columns: usize, rows: usize) -> String {
    let lowest = samples.iter().map(|sample| sample.value).min().unwrap_or(0);
    let highest = samples.iter().map(|sample| sample.value).max().unwrap_or(0);
    let scale = Scale {
        lowest,
        span: (highest - lowest).max(1),
        heights: rows * GLYPHS.len(),
    };
    let graphs = samples
        .chunks(columns.max(1))
        .map(|chunk| graph(chunk, &scale, rows));
    graphs.collect::<Vec<_>>().join("\n")
}

struct Scale {
    lowest: u64,
    span: u64,
    heights: usize,
}

impl Scale {
    /// Height of a value in glyph steps, from 0.
    fn height(&self, value: u64) -> usize {
        let height = u128::from(value - self.lowest) * self.heights as u128 / u128::from(self.span);
        (height as usize).min(self.heights.saturating_sub(1))
    }
}

fn graph(samples: &[Column], scale: &Scale, rows: usize) -> String {
    let label_rows = samples.iter().map(|sample| sample.label.len()).max().unwrap_or(0);
    let mut text = String::new();
    for row in (0..rows).rev() {
        push_line(&mut text, samples, |sample| {
            bar(scale.height(sample.value), row * GLYPHS.len())
        });
    }
    if label_rows > 0 {
        push_line(&mut text, samples, |_| b' ');
    }
    for at in 0..label_rows {
        push_line(&mut text, samples, |sample| {
            sample.label.as_bytes().get(at).copied().unwrap_or(b' ')
        });
    }
    text
}

/// What a column of this height shows in the row whose lowest step is `floor`.
fn bar(height: usize, floor: usize) -> u8 {
    match height.checked_sub(floor) {
        None => b' ',
        Some(above) => GLYPHS.get(above).copied().unwrap_or(FILL),
    }
}

fn push_line(text: &mut String, samples: &[Column], cell: impl Fn(&Column) -> u8) {
    text.extend(samples.iter().map(cell).map(char::from));
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(samples: &[(u64, &str)]) -> Vec<Column> {
        samples
            .iter()
            .map(|&(value, label)| Column {
                value,
                label: label.to_owned(),
            })
            .collect()
    }

    #[test]
    fn three_spikes_draw_as_the_reference_draws_them() {
        let samples = columns(&[(10, "4s"), (50, "3s"), (20, "2s")]);
        assert_eq!(render(&samples, 80, 4), " # \n | \n |_\n_||\n   \n432\nsss\n");
    }

    #[test]
    fn equal_values_lie_on_the_bottom() {
        assert_eq!(
            render(&columns(&[(7, "1s"), (7, "10m")]), 80, 2),
            "  \n__\n  \n11\ns0\n m\n"
        );
    }

    #[test]
    fn nothing_draws_nothing() {
        assert_eq!(render(&[], 80, 4), "");
    }

    #[test]
    fn what_does_not_fit_continues_below_on_the_same_scale() {
        let samples = columns(&[(0, ""), (6, ""), (3, "")]);
        assert_eq!(render(&samples, 2, 1), "_#\n\no\n");
    }

    #[test]
    fn extreme_values_stay_inside_the_graph() {
        let samples = columns(&[(0, ""), (u64::MAX, ""), (u64::MAX / 2, "")]);
        assert_eq!(render(&samples, 80, 1), "_#o\n");
    }
}
