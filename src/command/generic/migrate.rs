//! MIGRATE: keys go to another server. Reading the command is done here; packing, sending and removing them is the
//! executor's business (`exec/migrate.rs`).

use crate::command::args::Args;
use crate::command::cx::{Control, Cx, DONE, Login, MigrateRequest, Next, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Categories, Find, Flags, Group, KeySpec, Row};
use crate::resp;

/// The rows of this file.
pub const ROWS: &[Row] = &[MIGRATE];

/// The first word that may be an option.
const OPTIONS: usize = 6;

/// Where the only key is, unless it is empty and `KEYS` follows.
const KEY: usize = 3;

const LEAVES: Access = Access::RW.with(Access::ACCESS).with(Access::DELETE);

const BEHIND_KEYS: Find = Find::Range {
    last: -1,
    step: 1,
    limit: 0,
};

const MIGRATE: Row = Row {
    name: "migrate",
    summary: "Moves keys to another server, each at one moment.",
    since: "2.6.0",
    complexity: "This command actually executes a DUMP+DEL in the source instance, and a RESTORE in the target \
        instance. See the pages of these commands for time complexity. Also an O(N) data transfer between the two \
        instances is performed.",
    group: Group::Generic,
    arity: Arity::AtLeast(6),
    flags: Flags::WRITE.with(Flags::MOVABLE_KEYS),
    categories: Categories::DANGEROUS,
    keys: &[
        KeySpec::one(KEY as i32, LEAVES),
        KeySpec::keyword("KEYS", -2, BEHIND_KEYS, LEAVES.with(Access::INCOMPLETE)),
    ],
    find_keys: Some(find_keys),
    tips: &["nondeterministic_output"],
    history: &[
        ("3.0.0", "Added the `COPY` and `REPLACE` options."),
        ("3.0.6", "Added the `KEYS` option."),
        ("4.0.7", "Added the `AUTH` option."),
        ("6.0.0", "Added the `AUTH2` option."),
    ],
    args: &[
        Arg::string("host"),
        Arg::integer("port"),
        Arg::one_of(
            "key-selector",
            &[Arg::key("key", 0), Arg::flag("empty-string", "")],
        ),
        Arg::integer("destination-db"),
        Arg::integer("timeout"),
        Arg::flag("copy", "COPY").optional().since("3.0.0"),
        Arg::flag("replace", "REPLACE").optional().since("3.0.0"),
        Arg::one_of(
            "authentication",
            &[
                Arg::string("auth")
                    .shown_as("password")
                    .token("AUTH")
                    .since("4.0.7"),
                Arg::block("auth2", &[Arg::string("username"), Arg::string("password")])
                    .token("AUTH2")
                    .since("6.0.0"),
            ],
        )
        .optional(),
        Arg::key("keys", 1)
            .shown_as("key")
            .token("KEYS")
            .optional()
            .multiple()
            .since("3.0.6"),
    ],
    secrets: is_secret,
    run: migrate,
    ..Row::BASE
};

fn migrate(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    if cx.rerun {
        return Ok(Next::Control(Control::Migrated));
    }
    let mut request = options(args)?;
    request.waits = cx.may_block;
    request
        .keys
        .retain(|key| cx.keys.read(cx.keys.key(key)).is_some());
    if request.keys.is_empty() {
        cx.reply.simple("NOKEY");
        return Ok(DONE);
    }
    Ok(Next::Control(Control::Migrate(Box::new(request))))
}

const KEY_AND_KEYS: Error =
    Error::fixed("ERR When using MIGRATE KEYS option, the key argument must be set to the empty string");

fn options(args: Args<'_>) -> Result<MigrateRequest, Error> {
    let mut request = MigrateRequest {
        host: args.get(1).into(),
        port: args.get(2).into(),
        keys: vec![args.get(KEY).into()],
        ..MigrateRequest::default()
    };
    let mut index = OPTIONS;
    while index < args.len() {
        if args.is(index, "copy") {
            request.copies = true;
        } else if args.is(index, "replace") {
            request.replaces = true;
        } else if args.is(index, "keys") {
            if !args.get(KEY).is_empty() {
                return Err(KEY_AND_KEYS);
            }
            request.keys = (index + 1..args.len()).map(|key| args.get(key).into()).collect();
            break;
        } else {
            let words = secret_words(args.get(index)).filter(|words| index + words < args.len());
            let words = words.ok_or(Error::Syntax)?;
            index += words;
            request.login = Some(Login {
                user: (words == 2).then(|| args.get(index - 1).into()),
                password: args.get(index).into(),
            });
        }
        index += 1;
    }
    request.patience_ms = patience_ms(args.int(5)?);
    request.db = args.int(4)?;
    Ok(request)
}

fn patience_ms(timeout: i64) -> u64 {
    const USUAL_MS: u64 = 1000;
    const YEAR_MS: u64 = 365 * 24 * 3600 * 1000;
    u64::try_from(timeout)
        .ok()
        .filter(|&ms| ms > 0)
        .map_or(USUAL_MS, |ms| ms.min(YEAR_MS))
}

/// How many words that nobody is to see follow this option, if it is one of those.
fn secret_words(option: &[u8]) -> Option<usize> {
    if option.eq_ignore_ascii_case(b"auth") {
        Some(1)
    } else if option.eq_ignore_ascii_case(b"auth2") {
        Some(2)
    } else {
        None
    }
}

/// Whether word `index` is a name or password.
fn is_secret(words: resp::Args<'_>, index: usize) -> bool {
    let mut at = OPTIONS;
    while at < index && !words.get(at).eq_ignore_ascii_case(b"keys") {
        let secrets = secret_words(words.get(at)).unwrap_or(0);
        if index <= at + secrets {
            return true;
        }
        at += 1 + secrets;
    }
    false
}

/// The keys: `KEYS` may be a password, too.
fn find_keys(argc: usize, word: &dyn Fn(usize) -> Vec<u8>) -> Vec<(usize, usize)> {
    let mut at = OPTIONS;
    while at < argc && word(KEY).is_empty() {
        let option = word(at);
        if option.eq_ignore_ascii_case(b"keys") {
            return (at + 1..argc).map(|key| (key, 1)).collect();
        }
        at += 1 + secret_words(&option).unwrap_or(0);
    }
    vec![(KEY, 0)]
}
