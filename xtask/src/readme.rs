//! Runs the commands in README.md, so that it cannot rot.
//!
//! How README.md is written for this:
//!
//! - What stands in a block fenced with `sh` runs. A block that is only for reading has another word: `text` for output,
//!   `console` for commands that are not to run here.
//! - All blocks are one session of bash with `-euo pipefail`: a variable set in one is there in the next. It begins in a
//!   fresh folder, which is also its home.
//! - `cargo` runs at the root of the repository from wherever it is called. The line `cargo xtask test` is left out,
//!   for it is what runs all this.
//! - `counterfoil` is the release build of this tree.
//! - A command that is meant to fail says with which code: `counterfoil pay || test $? -eq 3`.
//! - Something started with `&` may run on to the end of the page; it is ended then.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use cargo_metadata::MetadataCommand;

use crate::shell::{cargo, root, run};

/// A page of commands that a person types takes a minute; one that waits for input takes for ever.
const TIME_MAX: Duration = Duration::from_secs(300);

/// The one command that would never end.
const LEFT_OUT: &str = "cargo xtask test";

/// Sets the scene. All on the first line, which in a page is a title or a fence, so that lines keep their numbers.
const SESSION: &str = concat!(
    r#"set -euo pipefail; "#,
    r#"cargo() { (cd "$README_ROOT" && HOME=$README_HOME command cargo "$@"); }; "#,
    r#"trap 'code=$?; printf "README.md:%s: this command ended with %s\n" "$LINENO" "$code"' ERR; "#,
    r#"trap 'printf "$ %s\n" "$BASH_COMMAND"' DEBUG"#,
);

/// Builds the binary and runs the page.
pub(crate) fn check() -> Result<()> {
    let page = fs::read_to_string(root().join("README.md")).context("README.md")?;
    let script = script(&page)?;
    run(cargo().args(["build", "--release", "--locked"]))?;
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec()?;
    let binaries = metadata.target_directory.as_std_path().join("release");
    perform(&script, &binaries, TIME_MAX)?;
    println!("   {} lines of commands", script.lines().filter(|line| !line.trim().is_empty()).count());
    Ok(())
}

/// The commands of the page, each on the line where it stands in the page, so that bash complains of the right line.
fn script(page: &str) -> Result<String> {
    let mut script = String::new();
    let mut fence: Option<Fence> = None;
    for line in page.lines() {
        match &fence {
            None => fence = Fence::open(line),
            Some(open) if open.is_closed_by(line) => fence = None,
            Some(open) if open.runs && line.trim() != LEFT_OUT => script.push_str(line),
            Some(_) => {}
        }
        script.push('\n');
    }
    if fence.is_some() {
        bail!("README.md: a fenced block is not closed");
    }
    if script.trim().is_empty() {
        bail!("README.md: no command to run; blocks of commands are fenced with ```sh");
    }
    Ok(script)
}

/// The start of a fenced block (CommonMark 0.31, section 4.5), of backticks and not indented, as README.md has them.
struct Fence {
    ticks: usize,
    runs: bool,
}

impl Fence {
    fn open(line: &str) -> Option<Self> {
        let info = line.trim_start_matches('`');
        let ticks = line.len() - info.len();
        (ticks >= 3 && !info.contains('`')).then(|| Self { ticks, runs: info.trim() == "sh" })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let rest = line.trim_start_matches('`');
        line.len() - rest.len() >= self.ticks && rest.trim().is_empty()
    }
}

/// Runs `script`, whose first line is empty, with `binaries` first on PATH. Whatever it leaves running is ended. A failure tells the whole session.
fn perform(script: &str, binaries: &Path, time_max: Duration) -> Result<()> {
    let scene = tempfile::tempdir()?;
    // Beside the session's folder, not in it: the reader's folder is empty too.
    let script_file = scene.path().join("README.md");
    let transcript_file = scene.path().join("transcript");
    let home = scene.path().join("home");
    fs::write(&script_file, format!("{SESSION}{script}"))?;
    fs::create_dir(&home)?;
    let transcript = File::create(&transcript_file)?;

    let path = std::env::var_os("PATH").unwrap_or_default();
    let path =
        std::env::join_paths(std::iter::once(binaries.to_owned()).chain(std::env::split_paths(&path)))?;
    let mut bash = Command::new("bash");
    bash.arg(&script_file)
        .current_dir(&home)
        .env("PATH", path)
        .env("README_ROOT", root())
        .env("README_HOME", std::env::var_os("HOME").unwrap_or_default())
        .env("HOME", &home)
        .stdin(Stdio::null())
        .stdout(transcript.try_clone()?)
        .stderr(transcript)
        // A group of its own, so that what it leaves running can be ended with it, and nothing else.
        .process_group(0);
    let mut session = bash.spawn().context("cannot start bash")?;
    let ended = wait(&mut session, time_max);
    end_group(session.id());
    // Now that the group has ended, this cannot hang.
    session.wait()?;

    let outcome = match ended? {
        Some(status) if status.success() => return Ok(()),
        Some(status) => format!("{status}"),
        None => format!("not done after {} s", time_max.as_secs()),
    };
    let transcript = fs::read(&transcript_file)?;
    bail!(
        "the commands in README.md failed ({outcome}); this is the session:\n\n{}",
        String::from_utf8_lossy(&transcript)
    )
}

/// How the session ended, or nothing if it did not in time.
fn wait(session: &mut Child, time_max: Duration) -> Result<Option<ExitStatus>> {
    let start = Instant::now();
    while start.elapsed() < time_max {
        if let Some(status) = session.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(None)
}

/// Ends what is left of the group: first with a request, then without. The number is the group's as long as a member
/// lives; when none does, numbers are given out in turn, and this one does not come round again within a moment.
fn end_group(group: u32) {
    for (signal, pause_ms) in [("TERM", 500), ("KILL", 0)] {
        let mut kill = Command::new("bash");
        kill.args(["-c", r#"kill -s "$1" -- "-$2""#, "bash", signal, &group.to_string()]);
        // It fails when none is left, which is what is wanted.
        let ended = kill.stdin(Stdio::null()).stderr(Stdio::null()).status();
        if !ended.is_ok_and(|status| status.success()) {
            return;
        }
        thread::sleep(Duration::from_millis(pause_ms));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn try_script(script: &str, time_max: Duration) -> Result<()> {
        perform(script, Path::new("/nonexistent"), time_max)
    }

    #[test]
    fn only_blocks_of_sh_run_and_stay_on_their_lines() {
        let page = "# Title\n```sh\ncargo run -- demo\n  cargo xtask test\n```\n\n```text\nrm -rf .\n```\n\
                    ````sh\nsay '\n```\n'\n````\nSee ```sh``` for more.\n```shell\nno\n```\n";
        let expected = "\n\ncargo run -- demo\n\n\n\n\n\n\n\nsay '\n```\n'\n\n\n\n\n\n";
        assert_eq!(script(page).unwrap(), expected);
        assert!(script("```sh\nls\n").is_err(), "not closed");
        assert!(script("```text\nls\n```\n").is_err(), "nothing to run");
    }

    #[test]
    fn the_blocks_are_one_session_in_an_empty_folder() {
        let script = "\ntest -z \"$(ls -A)\"\nx=1\nmkdir sub && cd sub\n\n\ntest $x -eq 1\ntest \"$HOME/sub\" = \"$PWD\"\n\
                      cargo --version\ntest \"$HOME/sub\" = \"$PWD\"\n(exit 3) || test $? -eq 3\n";
        try_script(script, LONG).unwrap();
    }

    #[test]
    fn a_failure_tells_the_session_and_the_line_of_the_page() {
        let error = try_script("\necho one\n\nfalse | cat\necho two\n", LONG).unwrap_err().to_string();
        assert!(error.contains("$ echo one\none\n$ false\n"), "{error}");
        assert!(error.contains("README.md:4: this command ended with 1\n"), "{error}");
        assert!(!error.contains("two"), "{error}");

        let error = try_script("\n\n(exit 3) || test $? -eq 4\n", LONG).unwrap_err().to_string();
        assert!(error.contains("README.md:3: this command ended with 1\n"), "{error}");
    }

    #[test]
    fn what_is_left_running_is_ended_and_so_is_what_does_not_end() {
        let scene = tempfile::tempdir().unwrap();
        let mark = scene.path().join("mark");
        let script = format!("\n(sleep 1.5; touch '{}') &\nsleep 0.1\n", mark.display());
        try_script(&script, LONG).unwrap();
        let error = try_script("\nsleep 60\n", Duration::from_millis(300)).unwrap_err().to_string();
        assert!(error.contains("not done after 0 s"), "{error}");
        thread::sleep(Duration::from_secs(2));
        assert!(!mark.exists(), "the background command ran on");
    }
}
