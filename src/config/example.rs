//! `redis.conf.example`: the table, printed as a configuration file in which everything is commented out.

use super::directive::{Directive, Kind, Section, Traits};
use super::rewrite::arguments;
use super::rows::SECTIONS;
use super::value::default_of;

const WIDTH: usize = 100;

const HEAD: &str = "\
Russet: example configuration.

Every directive stands here with its default, commented out by a single '#'. Start the server with
the path of a file such as this one as its first argument; directives on the command line, as in
--port 7000, come after the file's.

A line is a directive and its arguments. An argument with blanks goes in double quotes, with
\\n \\r \\t \\b \\a \\xHH for bytes, or in single quotes. Names may be in any case. Amounts of memory take
a unit in any case: 1k is 1000 bytes and 1kb 1024, and so on for m, mb, g, gb. The last line of a
directive wins, but 'save' and 'client-output-buffer-limit' add up.

Three statements are not values, and have no default:

    include <path or pattern>           reads other files in this place
    rename-command <name> <new name>    renames a command, or with \"\" removes it
    user <name> <rules>                 defines a user, as ACL SETUSER does
";

/// The text of `redis.conf.example`. A test keeps the file in step with the table.
pub fn example_text() -> String {
    let mut text = String::new();
    for line in HEAD.lines() {
        comment(line, &mut text);
    }
    for section in SECTIONS {
        section_text(section, &mut text);
    }
    text
}

fn section_text(section: &'static Section, text: &mut String) {
    let shown: Vec<_> = section
        .rows
        .iter()
        .filter(|row| !row.traits.contains(Traits::HIDDEN))
        .collect();
    if shown.is_empty() {
        return;
    }
    let rule = "#".repeat(WIDTH.saturating_sub(section.title.len() + 4));
    text.push_str(&format!("\n## {} {rule}\n", section.title));
    for row in shown {
        text.push('\n');
        wrap(row.doc, text);
        for note in notes(row) {
            wrap(&note, text);
        }
        text.push_str(&example_lines(row));
    }
}

/// What else there is to know: the words allowed, bounds worth naming, the other name, whether CONFIG SET can
/// change it.
fn notes(row: &Directive) -> Vec<String> {
    let mut notes = Vec::new();
    match row.kind {
        Kind::Choice { names, .. } => notes.push(format!("One of: {}.", names.join(", "))),
        Kind::Int { min, max } if max < 65535 => notes.push(format!("From {min} to {max}.")),
        _ => {}
    }
    notes.extend(row.alias.map(|alias| format!("Also known as {alias}.")));
    if row.traits.contains(Traits::IMMUTABLE) {
        notes.push("Fixed at start.".to_owned());
    } else if row.traits.contains(Traits::PROTECTED) {
        notes.push("Fixed at start, unless enable-protected-configs allows otherwise.".to_owned());
    }
    if notes.is_empty() {
        notes
    } else {
        vec![notes.join(" ")]
    }
}

fn example_lines(row: &'static Directive) -> String {
    match row.kind {
        // Written as people know it; printed from the value, the folder would be this machine's.
        Kind::Folder | Kind::Words { .. } => format!("#{} {}\n", row.name, row.default),
        Kind::OutputLimits => {
            let words: Vec<_> = row.default.split(' ').collect();
            words
                .chunks(4)
                .map(|group| format!("#{} {}\n", row.name, group.join(" ")))
                .collect()
        }
        _ => format!(
            "#{} {}\n",
            row.name,
            String::from_utf8_lossy(&arguments(&default_of(row)))
        ),
    }
}

fn comment(line: &str, text: &mut String) {
    text.push_str(format!("# {line}").trim_end());
    text.push('\n');
}

fn wrap(sentence: &str, text: &mut String) {
    let mut line = String::new();
    for word in sentence.split(' ') {
        if !line.is_empty() && line.len() + 1 + word.len() > WIDTH - 2 {
            comment(&line, text);
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    comment(&line, text);
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    /// `RUSSET_WRITE_EXAMPLE=1 cargo test` writes the file.
    #[test]
    fn the_example_file_is_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/redis.conf.example");
        if std::env::var_os("RUSSET_WRITE_EXAMPLE").is_some() {
            std::fs::write(path, example_text()).expect("written");
        }
        let file = std::fs::read_to_string(path).expect("redis.conf.example is there");
        assert!(
            file == example_text(),
            "run the tests once with RUSSET_WRITE_EXAMPLE=1"
        );
    }

    #[test]
    fn the_example_is_the_default_configuration_with_and_without_its_comments() {
        let default = Config::default().get(&["*"]);
        let text = example_text();
        assert_eq!(
            Config::from_text(text.as_bytes()).expect("comments").get(&["*"]),
            default
        );
        let is_doc = |rest: &str| rest.is_empty() || rest.starts_with([' ', '#']);
        let uncommented: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix('#'))
            .filter(|rest| !is_doc(rest))
            .collect();
        assert!(uncommented.len() > 170, "{}", uncommented.len());
        let config = Config::from_text(uncommented.join("\n").as_bytes()).expect("directives");
        assert_eq!(config.get(&["*"]), default);
    }
}
