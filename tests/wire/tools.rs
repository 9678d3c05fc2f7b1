//! Other people's programs, with a time limit.

use std::fs::File;
use std::io;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::server::{Server, read_text};

/// What a program printed.
pub struct Printed {
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// Whether it ended with 0; `None` when its time was up and it was killed.
    pub success: Option<bool>,
}

/// Runs `tool` against `server` with `input`, for at most `limit`. `None` when tests are to do without tools.
#[track_caller]
pub fn run(tool: &str, server: &Server, args: &[&str], input: &[u8], limit: Duration) -> Option<Printed> {
    let mut command = Command::new(tool);
    command.args(["-p", &server.port().to_string()]).args(args);
    match run_command(&mut command, input, limit) {
        Ok(printed) => Some(printed),
        Err(error) => missing(tool, &error),
    }
}

/// Runs any program with `input`, for at most `limit`.
///
/// # Errors
/// It does not start.
pub fn run_command(command: &mut Command, input: &[u8], limit: Duration) -> io::Result<Printed> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("in"), input).expect("the folder is writable");
    let mut child = command
        .stdin(Stdio::from(File::open(file("in")).expect("just written")))
        .stdout(File::create(file("out")).expect("the folder is writable"))
        .stderr(File::create(file("err")).expect("the folder is writable"))
        .spawn()?;
    let started = Instant::now();
    let success = loop {
        if let Some(status) = child.try_wait().expect("our child") {
            break Some(status.success());
        }
        if started.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Ok(Printed {
        out: read_text(&file("out")),
        err: read_text(&file("err")),
        success,
    })
}

fn missing(tool: &str, error: &io::Error) -> Option<Printed> {
    assert!(
        std::env::var_os("RUSSET_WITHOUT_TOOLS").is_some(),
        "{tool} does not start ({error}): scripts/test installs it; RUSSET_WITHOUT_TOOLS=1 skips this"
    );
    eprintln!("SKIPPED: {tool} is not installed");
    None
}
