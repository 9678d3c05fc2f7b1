//! `<container> HELP`, derived from the rows of the subcommands.

use super::cx::{Cx, DONE, Outcome};
use super::row::{Arg, ArgKind, Row};

/// Answers the help of `container`: a line of syntax and one of explanation for each subcommand.
pub fn help(cx: &mut Cx<'_>, container: &Row) -> Outcome {
    let lines = lines(container);
    cx.reply.array(lines.len());
    for line in &lines {
        cx.reply.simple(line);
    }
    Ok(DONE)
}

fn lines(container: &Row) -> Vec<String> {
    let name = container.name.to_uppercase();
    let mut lines = vec![format!(
        "{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    )];
    for child in container.children.iter().filter(|child| child.name != "help") {
        lines.push(syntax(child.name, child.args));
        lines.push(format!("    {}", child.summary));
    }
    lines.push("HELP".into());
    lines.push("    Print this help.".into());
    lines
}

/// A subcommand's name and arguments: `KILL <ip:port>`, `PAUSE <timeout> [WRITE|ALL]`.
fn syntax(name: &str, args: &[Arg]) -> String {
    args.iter()
        .fold(name.to_uppercase(), |line, arg| line + " " + &with_brackets(arg))
}

fn with_brackets(arg: &Arg) -> String {
    let all = repeated(arg);
    if !arg.optional {
        return all;
    }
    // `[(A|B)]` says no more than `[A|B]`.
    let inner = all.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let plain = inner.filter(|inner| !inner.contains('('));
    format!("[{}]", plain.unwrap_or(&all))
}

fn repeated(arg: &Arg) -> String {
    /// What is longer is not written out a second time.
    const AGAIN_BYTES_MAX: usize = 40;
    let once = with_token(arg);
    let again = if arg.multiple_token {
        once.clone()
    } else {
        bare(arg)
    };
    match arg.multiple {
        false => once,
        true if again.len() > AGAIN_BYTES_MAX => format!("{once} ..."),
        true => format!("{once} [{again} ...]"),
    }
}

fn with_token(arg: &Arg) -> String {
    match arg.token {
        Some(token) if arg.kind == ArgKind::PureToken => token.into(),
        Some(token) => format!("{token} {}", bare(arg)),
        None => bare(arg),
    }
}

fn bare(arg: &Arg) -> String {
    let parts = |show: fn(&Arg) -> String| arg.children.iter().map(show).collect::<Vec<_>>();
    match arg.kind {
        // One of several is there or not: brackets around each would say nothing.
        ArgKind::OneOf => format!("({})", parts(repeated).join("|")),
        ArgKind::Block => parts(with_brackets).join(" "),
        ArgKind::PureToken => arg.token.unwrap_or(arg.name).into(),
        _ => format!("<{}>", arg.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_read_as_a_person_would_write_them() {
        let check = |args: &[Arg], expected: &str| assert_eq!(syntax("do", args), expected);
        check(&[], "DO");
        check(&[Arg::key("key", 0).multiple()], "DO <key> [<key> ...]");
        check(
            &[Arg::integer("count").token("COUNT").optional()],
            "DO [COUNT <count>]",
        );
        const MODES: &[Arg] = &[Arg::flag("on", "ON"), Arg::flag("off", "OFF")];
        check(&[Arg::one_of("mode", MODES)], "DO (ON|OFF)");
        check(
            &[Arg::integer("ms"), Arg::one_of("mode", MODES).optional()],
            "DO <ms> [ON|OFF]",
        );
        const PAIR: &[Arg] = &[Arg::string("name"), Arg::string("value")];
        check(
            &[Arg::block("pair", PAIR).multiple()],
            "DO <name> <value> [<name> <value> ...]",
        );
        check(
            &[Arg::string("id").token("ID").multiple()],
            "DO ID <id> [<id> ...]",
        );
        check(
            &[Arg::string("id").token("ID").multiple_token()],
            "DO ID <id> [ID <id> ...]",
        );
    }

    #[test]
    fn help_ends_with_itself() {
        const CHILDREN: &[Row] = &[
            Row {
                name: "help",
                summary: "Explains.",
                ..Row::BASE
            },
            Row {
                name: "id",
                summary: "Tells the id.",
                ..Row::BASE
            },
        ];
        let lines = lines(&Row {
            name: "thing",
            children: CHILDREN,
            ..Row::BASE
        });
        let frame = "THING <subcommand> [<arg> [value] [opt] ...]. Subcommands are:";
        assert_eq!(
            lines,
            [frame, "ID", "    Tells the id.", "HELP", "    Print this help."]
        );
    }
}
