//! Libraries as their users run them, installed by their package managers, in their default settings.
//!
//! ```text
//! tests/clients/<name>/  package.json or requirements.txt, run.js or run.py
//!     │ copied, then npm install or pip install, once per version
//!     v
//! target/clients/<name>/ ──> run PORT ──> what each script has done, line by line, and OK
//! ```
//!
//! Without `node`, `npm`, `python3` and a network this fails; `RUSSET_WITHOUT_TOOLS=1` skips it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::server::{Server, is_reference};
use super::tools;

const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn a_job_queue_works_off_its_jobs() {
    run_with_node("job_queue");
}

#[test]
fn locks_exclude_and_rates_are_limited() {
    run_with_node("lock");
}

#[test]
fn a_caching_client_never_keeps_what_others_have_changed() {
    let install = "python3 -m venv venv && venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt";
    let Some(folder) = installed("cache", &["requirements.txt", "run.py"], install) else {
        return;
    };
    let server = Server::start(&[]);
    let mut args = vec!["run.py".to_owned(), server.port().to_string()];
    // The library itself refuses older ones.
    args.extend(is_reference().then(|| "7.0.0".to_owned()));
    run(&folder, &folder.join("venv/bin/python"), &args);
}

fn run_with_node(name: &str) {
    let install = "npm install --silent --no-audit --no-fund";
    let Some(folder) = installed(name, &["package.json", "run.js"], install) else {
        return;
    };
    let server = Server::start(&[]);
    let args = ["run.js".to_owned(), server.port().to_string()];
    run(&folder, Path::new("node"), &args);
}

/// The folder where a library is ready to run; `None` when tests are to do without.
fn installed(name: &str, files: &[&str], install: &str) -> Option<PathBuf> {
    if std::env::var_os("RUSSET_WITHOUT_TOOLS").is_some() {
        eprintln!("SKIPPED: {name} is not to be installed");
        return None;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .with_file_name("clients")
        .join(name);
    std::fs::create_dir_all(&folder).expect("the target folder is writable");
    for file in files {
        std::fs::copy(
            root.join("tests/clients").join(name).join(file),
            folder.join(file),
        )
        .expect("files of the test");
    }
    // What has been installed is marked by a copy of the list it was installed from.
    let install = format!(
        "cmp -s {0} installed || ({install} && cp {0} installed)",
        files[0]
    );
    let output = Command::new("sh")
        .args(["-c", &install])
        .current_dir(&folder)
        .output()
        .expect("there is a shell");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{name} cannot be installed (RUSSET_WITHOUT_TOOLS=1 skips this): {errors}"
    );
    Some(folder)
}

/// Runs the script in its folder; its last line must be OK.
#[track_caller]
fn run(folder: &Path, program: &Path, args: &[String]) {
    let mut command = Command::new(program);
    command.args(args).current_dir(folder);
    let printed = tools::run_command(&mut command, b"", LIMIT).expect("it was installed with this program");
    assert!(
        printed.success == Some(true) && printed.out.ends_with("OK\n"),
        "{:?}\n{}{}",
        printed.success,
        printed.out,
        printed.err
    );
}
