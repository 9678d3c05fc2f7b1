//! SCRIPT's commands, and those of FUNCTION that concern what runs.

use crate::base::cpus::spawn_background;
use crate::command::cx::ScriptAct;
use crate::command::error::Error;
use crate::resp::Reply;
use crate::script::api;
use crate::script::cache::Scripts;
use crate::script::convert::ScriptError;

use super::super::Executor;
use super::{Caused, Scripting, uncounted};

impl Executor {
    /// Everything but running.
    pub(super) fn manage_scripts(
        &mut self,
        scripting: &mut Scripting,
        cause: Caused<'_>,
        act: ScriptAct,
        out: &mut Vec<u8>,
    ) -> Result<(), ScriptError> {
        let reply = &mut Reply::new(out, self.sessions[cause.client].resp == 3);
        match act {
            ScriptAct::Run(_) => unreachable!("scripts are run elsewhere"),
            ScriptAct::Load => {
                let text = cause.words.get(2);
                let digest = scripting.load(text, &mut self.rng)?;
                reply.bulk(&digest);
            }
            ScriptAct::Exists => scripting.tell_existing(cause, reply),
            ScriptAct::Flush { lazy } => {
                let count = scripting.scripts.as_ref().map_or(0, Scripts::len);
                let garbage = (scripting.eval.take(), scripting.scripts.take());
                self.stats.counters.lazyfreed_objects += discard(garbage, count, lazy);
                reply.ok();
            }
            ScriptAct::Kill { function } => self.kill_script(function, reply)?,
            ScriptAct::FunctionStats => self.tell_running(reply)?,
            other => self.manage_libraries(scripting, cause, other, reply)?,
        }
        Ok(())
    }

    fn kill_script(&mut self, function: bool, reply: &mut Reply<'_>) -> Result<(), ScriptError> {
        let Some(running) = &mut self.running else {
            return Err(uncounted(Error::fixed(
                "NOTBUSY No scripts in execution right now.",
            )));
        };
        if running.wrote {
            return Err(uncounted(Error::fixed(
                "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait \
                 the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.",
            )));
        }
        if running.is_function != function {
            return Err(uncounted(busy(running.is_function)));
        }
        running.killed = true;
        reply.ok();
        Ok(())
    }

    fn tell_running(&mut self, reply: &mut Reply<'_>) -> Result<(), ScriptError> {
        if let Some(running) = &self.running
            && !running.is_function
        {
            return Err(uncounted(busy(false)));
        }
        reply.map(2);
        reply.bulk(b"running_script");
        match &self.running {
            None => reply.null(),
            Some(running) => {
                reply.map(3);
                reply.bulk(b"name");
                reply.bulk(&running.name);
                reply.bulk(b"command");
                reply.array(running.words.len());
                running.words.iter().for_each(|word| reply.bulk(word));
                reply.bulk(b"duration_ms");
                reply.int(running.duration_ms as i64);
            }
        }
        // The libraries may be lent to what runs: their numbers were noted.
        let facts = self.server.scripts;
        reply.bulk(b"engines");
        reply.map(1);
        reply.bulk(b"LUA");
        reply.map(2);
        reply.bulk(b"libraries_count");
        reply.int(facts.libraries as i64);
        reply.bulk(b"functions_count");
        reply.int(facts.functions as i64);
        Ok(())
    }
}

/// What other clients are told while a script keeps the server busy.
pub fn busy(is_function: bool) -> Error {
    Error::fixed(if is_function {
        "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
    } else {
        "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
    })
}

impl Scripting {
    /// The SHA-1 of a script that is now in the cache to stay.
    fn load(&mut self, text: &[u8], rng: &mut crate::base::rng::Rng) -> Result<[u8; 40], ScriptError> {
        let known = self.scripts.as_ref().and_then(|scripts| scripts.find_text(text));
        let at = match known {
            Some(at) => at,
            None => self.compile(text, false, rng)?.at,
        };
        let scripts = self
            .scripts
            .as_mut()
            .expect("a compiled script makes a cache to be in");
        scripts.pin(at);
        Ok(api::hex(&scripts.get(at).digest))
    }

    fn tell_existing(&self, cause: Caused<'_>, reply: &mut Reply<'_>) {
        let exists = |digits| {
            let scripts = self.scripts.as_ref();
            scripts.is_some_and(|scripts| scripts.find_hex(digits).is_some())
        };
        let digests = cause.words.tail(2);
        reply.array(digests.len());
        digests
            .iter()
            .for_each(|digits| reply.int(i64::from(exists(digits))));
    }
}

/// Frees interpreters and the `count` scripts or functions they hold, here or, when it is worth it and wanted, on a thread of
/// its own; how many are freed there.
pub(super) fn discard<T: Send + 'static>(garbage: T, count: usize, lazy: bool) -> u64 {
    const WORTH_A_THREAD: usize = 64;
    if !lazy || count <= WORTH_A_THREAD {
        return 0;
    }
    let freed = spawn_background("lua_free", move || drop(garbage));
    // Without a thread to spare it has been freed here.
    if freed.is_ok() { count as u64 } else { 0 }
}
