//! DEBUG tools that do something.

use std::time::Duration;

use crate::base::{float, glob, number};
use crate::command::args::Args;
use crate::command::cx::{Control, Cx, DONE, DebugAct, Next, Outcome, ReloadOptions, ReplyPeak};
use crate::command::error::Error;
use crate::config::Scope;
use crate::keyspace::entry::{Entry, NewValue};
use crate::stats::memory;

pub(super) fn panic(_: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    Ok(Next::Control(Control::Debug(DebugAct::Panic)))
}

pub(super) fn assert(_: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    Ok(Next::Control(Control::Debug(DebugAct::Assert)))
}

pub(super) fn segfault(_: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    Ok(Next::Control(Control::Debug(DebugAct::Segfault)))
}

/// Sleeps on the executor's thread: that everybody waits is the point.
pub(super) fn sleep(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    // Compat: what is no number is no time.
    let seconds = float::parse(args.get(2)).unwrap_or(0.0);
    if let Ok(time) = Duration::try_from_secs_f64(seconds) {
        std::thread::sleep(time);
    }
    cx.reply.ok();
    Ok(DONE)
}

pub(super) fn set_disable_deny_scripts(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    // Compat: what is no number counts as 0.
    cx.server.noscript_allowed = number::parse_i64(args.get(2)).unwrap_or(0) != 0;
    cx.reply.ok();
    Ok(DONE)
}

pub(super) fn set_skip_checksum_validation(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    // Compat: what is no number counts as 0.
    cx.server.checksums_ignored = number::parse_i64(args.get(2)).unwrap_or(0) != 0;
    cx.reply.ok();
    Ok(DONE)
}

pub(super) fn set_active_expire(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    // Compat: what is no number counts as 0.
    cx.server.active_expire_off = number::parse_i64(args.get(2)).unwrap_or(0) == 0;
    cx.reply.ok();
    Ok(DONE)
}

/// Compat: Redis also writes controls, some of which would pull the memory from under the server.
pub(super) fn mallctl(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    const NO_SUCH: Error = Error::fixed("ERR No such file or directory");
    let name = str::from_utf8(args.get(2)).map_err(|_| NO_SUCH)?;
    let number = memory::allocator_number(name).ok_or(NO_SUCH)?;
    cx.reply.int(number.cast_signed());
    Ok(DONE)
}

pub(super) fn mallctl_str(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    if args.get(2) != b"thread.tcache.flush" || !args.get(3).eq_ignore_ascii_case(b"VOID") {
        return Err(Error::fixed("ERR only 'thread.tcache.flush VOID' is there"));
    }
    memory::flush_cache().map_err(Error::err)?;
    cx.reply.ok();
    Ok(DONE)
}

pub(super) fn dict_resizing(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    // Compat: what is no number counts as 0.
    cx.server.keeps_room = number::parse_i64(args.get(2)).unwrap_or(0) == 0;
    cx.keys.keep_room(cx.server.keeps_room);
    cx.reply.ok();
    Ok(DONE)
}

pub(super) fn rewrite_config(_: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    Ok(Next::Control(Control::RewriteConfig(Scope::Everything)))
}

pub(super) fn reload(_: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let mut options = ReloadOptions {
        saves: true,
        flushes: true,
        merges: false,
    };
    for index in 2..args.len() {
        match args.get(index).to_ascii_lowercase().as_slice() {
            b"nosave" => options.saves = false,
            b"noflush" => options.flushes = false,
            b"merge" => options.merges = true,
            _ => {
                return Err(Error::fixed(
                    "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
                ));
            }
        }
    }
    Ok(Next::Control(Control::Reload(options)))
}

pub(super) fn load_aof(_: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    Ok(Next::Control(Control::LoadLog))
}

pub(super) fn aof_flush_sleep(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    // Compat: what is no number counts as 0.
    let us = number::parse_i64(args.get(2)).unwrap_or(0).max(0) as u64;
    cx.reply.ok();
    Ok(Next::Control(Control::DelayLog(us)))
}

pub(super) fn pause_cron(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    // Compat: what is no number counts as 0.
    cx.server.cron_paused = number::parse_i64(args.get(2)).unwrap_or(0) != 0;
    cx.reply.ok();
    Ok(DONE)
}

pub(super) fn reply_buffer(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    cx.server.reply_peak = if args.is(2, "peak-reset-time") {
        peak_reset_time(args)?
    } else if args.is(2, "resizing") {
        // A buffer that is never made smaller is one whose peak is never forgotten.
        match args.int(3)? {
            0 => ReplyPeak::Never,
            _ => ReplyPeak::Usual,
        }
    } else {
        return Err(crate::command::server::wrong_subcommand("DEBUG", args.get(1)));
    };
    cx.reply.ok();
    Ok(DONE)
}

fn peak_reset_time(args: Args<'_>) -> Result<ReplyPeak, Error> {
    match () {
        () if args.is(3, "never") => Ok(ReplyPeak::Never),
        () if args.is(3, "reset") => Ok(ReplyPeak::Usual),
        () => Ok(ReplyPeak::Millis(args.int(3)?)),
    }
}

pub(super) fn log(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    tracing::warn!("DEBUG LOG: {}", String::from_utf8_lossy(args.get(2)));
    cx.reply.ok();
    Ok(DONE)
}

/// An answer that happens to be an error: the statistics know nothing of it.
pub(super) fn error(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let mut text = args.get(2).to_vec();
    let is_line_end = |byte: &&mut u8| matches!(**byte, b'\r' | b'\n');
    text.iter_mut().filter(is_line_end).for_each(|byte| *byte = b' ');
    cx.reply.error(text);
    Ok(DONE)
}

pub(super) fn stringmatch_len(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let len = args.int_in(2, 0..=cx.config.int("proto-max-bulk-len"))?;
    let text = vec![b'a'; len as usize];
    cx.reply.int(i64::from(glob::matches(args.get(3), &text, false)));
    Ok(DONE)
}

/// Creates `prefix:0`, `prefix:1` and so on with the values `value:0`, `value:1`, cut or filled with zeros
/// to a size. Nobody is told: the keys are this server's alone.
pub(super) fn populate(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let count = positive(args, 2)?;
    let prefix = args.try_get(3).unwrap_or(b"key");
    let size = if args.len() == 5 {
        Some(positive(args, 4)?)
    } else {
        None
    };
    if size.is_some_and(|size| size > cx.config.int("proto-max-bulk-len")) {
        return Err(Error::StringTooLong);
    }
    let db = cx.keys.selected();
    for index in 0..count {
        let name = [prefix, format!(":{index}").as_bytes()].concat();
        if cx.keys.exists(cx.keys.key(&name)) {
            continue;
        }
        let mut value = format!("value:{index}").into_bytes();
        if let Some(size) = size {
            value.resize(size as usize, 0);
        }
        let entry = Entry::new(&name, NewValue::Bytes(&value), None, cx.keys.access.fresh());
        cx.keys.insert(db, entry);
    }
    cx.reply.ok();
    Ok(DONE)
}

fn positive(args: Args<'_>, index: usize) -> Result<i64, Error> {
    args.int_in(index, 0..=i64::MAX).map_err(|_| Error::NotPositive)
}
