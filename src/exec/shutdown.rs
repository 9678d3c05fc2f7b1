//! The end: SHUTDOWN, and SIGTERM and SIGINT, which ask for it as `shutdown-on-sigterm` and `shutdown-on-sigint` say.
//!
//! ```text
//!   SIGTERM ──> Mail::Stop ──> asked ──cron──> prepare_end ──> exit 0
//!   SHUTDOWN ─────────────────────────────────^      └─ refused: the request is forgotten, the server goes on
//!   SHUTDOWN ABORT: forgets `asked`
//! ```
//!
//! What a child was writing is given up; the log is written and synced; a snapshot is saved where save points are
//! configured. When that fails the server stays, unless it is forced. A second SIGINT ends it at once, and that is up to
//! the handler (`process::signals`), as this thread may be busy saving.
//!
//! Not here: `shutdown-timeout` and NOW, which are about replicas that lag behind; there are none.

use crate::command::cx::ShutdownOptions;
use crate::command::error::Error;
use crate::config::Config;
use crate::process::signals;
use crate::session::SessionId;

use super::{Executor, script};

const NOT_UNDER_WAY: Error = Error::fixed("ERR No shutdown in progress.");
const REFUSED: Error = Error::fixed("ERR Errors trying to SHUTDOWN. Check logs.");

/// What a directive says about a signal.
fn options_of(config: &Config, directive: &str) -> ShutdownOptions {
    let says = |flag| config.flag(directive, flag);
    ShutdownOptions {
        save: says("save").then_some(true).or(says("nosave").then_some(false)),
        now: says("now"),
        force: says("force"),
        abort: false,
    }
}

impl Executor {
    /// SHUTDOWN.
    pub(super) fn shutdown(&mut self, client: SessionId, options: ShutdownOptions, reply: &mut Vec<u8>) {
        if options.abort {
            return match self.abort_shutdown() {
                true => self.write_ok(client, reply),
                false => self.write_error(client, &NOT_UNDER_WAY, reply),
            };
        }
        if let Some(running) = &self.running
            && options.save != Some(false)
        {
            let error = script::busy(running.is_function);
            return self.write_error(client, &error, reply);
        }
        if !self.prepare_end(options) {
            self.write_error(client, &REFUSED, reply);
        }
    }

    /// A signal asks for the end; `interrupt`: it was SIGINT. Compat: the cron sees to it, so that DEBUG PAUSE-CRON
    /// leaves time to abort.
    pub(super) fn ask_to_stop(&mut self, interrupt: bool) {
        self.asked_to_stop = Some(if interrupt {
            "shutdown-on-sigint"
        } else {
            "shutdown-on-sigterm"
        });
        // A script that a log asks for may have no end, and nobody may kill it: what it has done so far is not kept.
        let waits = self.running.is_some() && !self.is_loading();
        if !self.server.cron_paused && !waits {
            self.stop_if_asked();
        }
    }

    /// Also in the middle of a slice of it.
    fn is_loading(&self) -> bool {
        self.stats.persistence.loading.is_some()
    }

    /// Meets the request of a signal.
    pub(super) fn stop_if_asked(&mut self) {
        if self.exit.is_none()
            && let Some(directive) = self.asked_to_stop
        {
            self.prepare_end(options_of(&self.config, directive));
        }
    }

    /// Calls off what a signal asked for; whether there was anything.
    fn abort_shutdown(&mut self) -> bool {
        let asked = self.asked_to_stop.take().is_some();
        if asked {
            signals::forget_request();
            tracing::warn!("Shutdown manually aborted.");
        }
        asked
    }

    /// Saves what is to be saved and has the server end; false when it must not.
    fn prepare_end(&mut self, options: ShutdownOptions) -> bool {
        self.end_migration();
        tracing::info!("User requested shutdown...");
        if self.save_before_end(options) {
            self.exit = Some(0);
            return true;
        }
        self.asked_to_stop = None;
        signals::forget_request();
        tracing::warn!("Errors trying to shut down the server. Check the logs for more information.");
        false
    }

    /// Whether the server may end.
    fn save_before_end(&mut self, options: ShutdownOptions) -> bool {
        self.kill_debuggers();
        self.kill_save();
        if !self.close_log_before_end(options.force) {
            return false;
        }
        // What has not been read yet must not be overwritten with what has.
        let saves = !self.is_loading() && options.save.unwrap_or(!self.config.save_points().is_empty());
        if !saves {
            return true;
        }
        tracing::info!("Saving the final RDB snapshot before exiting.");
        if self.save_now().is_ok() {
            return true;
        }
        if options.force {
            tracing::warn!("Error trying to save the DB. Exit anyway.");
        } else {
            tracing::warn!("Error trying to save the DB, can't exit.");
        }
        options.force
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_about_signals_are_options_of_shutdown() {
        let mut config = Config::default();
        let mut options = |value: &str| {
            assert!(config.assign("shutdown-on-sigterm", value.as_bytes()).is_ok());
            options_of(&config, "shutdown-on-sigterm")
        };
        let base = ShutdownOptions::default();
        assert_eq!(options("default"), base);
        let (save, nosave) = (Some(true), Some(false));
        assert_eq!(options("save"), ShutdownOptions { save, ..base });
        assert_eq!(
            options("nosave now force"),
            ShutdownOptions {
                save: nosave,
                now: true,
                force: true,
                ..base
            }
        );
    }

    #[test]
    fn a_signal_waits_for_the_cron_and_can_be_called_off_meanwhile() {
        let mut executor = Executor::for_tests();
        let client = executor.connect();
        let abort = |executor: &mut Executor| executor.run(client, &[b"SHUTDOWN", b"ABORT"]);
        assert!(abort(&mut executor).starts_with(b"-ERR No shutdown in progress."));
        executor.run(client, &[b"DEBUG", b"PAUSE-CRON", b"1"]);
        executor.ask_to_stop(false);
        executor.tick();
        assert_eq!(executor.exit_code(), None);
        assert_eq!(abort(&mut executor), b"+OK\r\n");
        executor.run(client, &[b"DEBUG", b"PAUSE-CRON", b"0"]);
        executor.tick();
        assert_eq!(executor.exit_code(), None);
        executor.run(client, &[b"CONFIG", b"SET", b"shutdown-on-sigint", b"nosave"]);
        executor.ask_to_stop(true);
        assert_eq!(executor.exit_code(), Some(0));
    }
}
