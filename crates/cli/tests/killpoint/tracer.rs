//! `tracer.c`, built and run: a program whose durable calls are numbered, and which is killed at one of them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where in a call the program is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The call is not made.
    Before,
    /// Half of the bytes are written.
    Middle,
    /// The call is made, and does not return.
    After,
}

impl Mode {
    fn word(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Middle => "middle",
            Self::After => "after",
        }
    }
}

/// A call at which the program is killed. The first one has number 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    pub number: usize,
    pub mode: Mode,
}

/// A numbered call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub kind: Kind,
    /// Name of the system call.
    pub name: String,
    /// The file, folder or socket.
    pub target: String,
    /// Where a rename leads to.
    pub onto: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Bytes to a file.
    Write,
    /// Bytes to a socket.
    Send,
    /// What is done or not done.
    Step,
}

/// What a tracer wrote down.
#[derive(Debug, Default)]
pub struct Report {
    pub calls: Vec<Call>,
    /// Whether the program was killed where it was to be.
    pub killed: bool,
}

/// The tracer's command for `program`, which writes its report to the file `report`.
pub fn traced(report: &Path, point: Option<Point>, program: &str) -> Command {
    let mut command = Command::new(tracer());
    let (number, mode) = point.map_or((0, Mode::Before), |point| (point.number, point.mode));
    command.arg(report).arg(number.to_string()).arg(mode.word()).arg(program);
    command
}

/// Reads a report.
pub fn report(path: &Path) -> Report {
    let text = std::fs::read_to_string(path).unwrap();
    let mut report = Report::default();
    for line in text.lines() {
        let (first, rest) = line.split_once(' ').unwrap();
        match first {
            "killed" => report.killed = true,
            "unseen" => panic!("a way to make something durable that is not numbered: {rest}"),
            number => {
                let mut words = rest.splitn(3, ' ');
                let kind = match words.next().unwrap() {
                    "write" => Kind::Write,
                    "send" => Kind::Send,
                    _ => Kind::Step,
                };
                let name = words.next().unwrap().to_owned();
                let mut paths = words.next().unwrap_or_default().split('\t').map(str::to_owned);
                let (target, onto) = (paths.next().unwrap_or_default(), paths.next().unwrap_or_default());
                report.calls.push(Call { kind, name, target, onto });
                assert_eq!(number, report.calls.len().to_string(), "the numbers have no gap");
            }
        }
    }
    report
}

/// Builds the tracer, once. A test that cannot kill proves nothing, so it does not pass without it.
fn tracer() -> &'static Path {
    static TRACER: OnceLock<PathBuf> = OnceLock::new();
    TRACER.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
        std::fs::create_dir_all(dir).unwrap();
        let (draft, path) = (dir.join(format!("tracer-{}", std::process::id())), dir.join("tracer"));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/killpoint/tracer.c");
        let built = Command::new("cc")
            .args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(&draft)
            .arg(source)
            .output()
            .unwrap_or_else(|error| panic!("no C compiler (cc): {error}"));
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        std::fs::rename(&draft, &path).unwrap();
        path
    })
}
