//! A folder with an operator and homes that is put back as it was before each kill, and what must hold after one.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use counterfoil_rail::{Account, SimulatedRail};
use serde_json::Value;

use crate::common::{Gave, PIN};
use crate::tracer::{self, Point, Report};

const BINARY: &str = env!("CARGO_BIN_EXE_counterfoil");

/// A process that ends with its value.
pub struct Serving {
    child: Child,
    traced: bool,
}

impl Serving {
    /// Ends the process, if it has not ended, and waits until nothing of it is left.
    pub fn end(&mut self) {
        if self.traced {
            // A tracer ends what it traces first, so that no lock outlives this call.
            let _ = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).output();
        } else {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.end();
        }
    }
}

/// What the world must come to, in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Books {
    /// What each home holds. Terminals hold nothing once they have claimed.
    pub homes: BTreeMap<String, u64>,
    pub funded: i64,
    pub defunded: i64,
    pub payments: u64,
}

/// The folder.
pub struct Stage {
    dir: tempfile::TempDir,
    port: u16,
    /// The first line that the last `operator activate` gave.
    code: String,
}

impl Stage {
    /// An empty folder, in memory where the system has such: a kill leaves what was written to the system either way.
    pub fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let dir = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).unwrap();
        fs::create_dir(dir.path().join("run")).unwrap();
        let stage = Self { dir, port: free_port(), code: String::new() };
        fs::write(stage.path("pin"), PIN).unwrap();
        fs::write(stage.path("wrong"), "0000").unwrap();
        stage
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("run").join(name)
    }

    /// Remembers the folder as it is.
    pub fn keep(&self) {
        copy(&self.path(""), &self.dir.path().join("kept"));
    }

    /// Puts the folder back as it was kept.
    pub fn restore(&self) {
        fs::remove_dir_all(self.path("")).unwrap();
        copy(&self.dir.path().join("kept"), &self.path(""));
    }

    /// Serves the operator, at the address that the wallets know.
    pub fn serve(&self) -> Serving {
        let mut command = Command::new(BINARY);
        for _ in 0..100 {
            if let Some(serving) = self.listening(&mut command, false) {
                return serving;
            }
            // The port may be taken for a moment by somebody else's connection.
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the operator does not serve at port {}", self.port);
    }

    /// Serves the operator and has it killed at `point`; `None` if that was before it took requests.
    pub fn serve_traced(&self, point: Option<Point>) -> Option<Serving> {
        let mut command = tracer::traced(&self.report_file(), point, BINARY);
        self.listening(&mut command, true)
    }

    fn listening(&self, command: &mut Command, traced: bool) -> Option<Serving> {
        command.args(["operator", "serve", "--dir", "op", "--listen", &format!("127.0.0.1:{}", self.port)]);
        command.current_dir(self.path("")).env("RUST_LOG", "off");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let out = child.stdout.take().unwrap();
        let mut serving = Serving { child, traced };
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).unwrap();
        if line.starts_with("listening on ") {
            return Some(serving);
        }
        let _ = serving.child.wait();
        None
    }

    fn report_file(&self) -> PathBuf {
        self.dir.path().join("report")
    }

    /// What the tracer that ran last wrote down.
    pub fn report(&self) -> Report {
        tracer::report(&self.report_file())
    }

    /// Runs a line: a command without its name, or `POST PATH BODY`, which a PSP asks of the operator. `OPERATOR` stands
    /// for its address, `CODE` for the last activation code, `KEY(home)` and `KEYID(home)` for a wallet's key, `SENT(home)` for the payment that it sent, `_` for a space in a word.
    pub fn run(&mut self, line: &str) -> Gave {
        if let Some(rest) = line.strip_prefix("POST ") {
            return self.post(rest);
        }
        let gave = self.output(Command::new(BINARY), line);
        if gave.code == 0 && line.starts_with("operator activate") {
            gave.out.lines().next().unwrap().clone_into(&mut self.code);
        }
        gave
    }

    /// Runs a line and has it killed at `point`.
    pub fn run_traced(&self, point: Option<Point>, line: &str) -> (Gave, Report) {
        let gave = self.output(tracer::traced(&self.report_file(), point, BINARY), line);
        (gave, self.report())
    }

    fn output(&self, mut command: Command, line: &str) -> Gave {
        for word in line.split_whitespace() {
            let word = word.replace('_', " ").replace("OPERATOR", &format!("http://127.0.0.1:{}", self.port));
            let word = word.replace("CODE", &self.code);
            let of = |what| word.strip_prefix(what).and_then(|word| word.strip_suffix(')'));
            if let Some(home) = of("KEY(") {
                command.arg(self.show("wallet", home)["key"].as_str().unwrap());
            } else if let Some(home) = of("SENT(") {
                command.arg(self.show("wallet", home)["payments"][0]["payment"].as_str().unwrap());
            } else {
                command.arg(word);
            }
        }
        command.current_dir(self.path("")).env("COUNTERFOIL_DEVICE", "device").env("NO_COLOR", "1");
        command.stdin(Stdio::null()).output().unwrap().into()
    }

    /// Asks the operator as the PSP alpha. The code is 0 if it was done, 1 if it was refused or cut off.
    fn post(&self, rest: &str) -> Gave {
        let (path, body) = rest.split_once(' ').unwrap_or((rest, ""));
        let path = match path.split_once("KEYID(").and_then(|(a, b)| Some((a, b.split_once(')')?))) {
            Some((before, (home, after))) => format!("{before}{}{after}", self.key_id(home)),
            None => path.to_owned(),
        };
        let token = fs::read_to_string(self.path("op/keys/psp-alpha.token")).unwrap();
        let ask = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut answer = String::new();
        let asked = TcpStream::connect(("127.0.0.1", self.port)).and_then(|mut socket| {
            socket.write_all(ask.as_bytes())?;
            socket.read_to_string(&mut answer)
        });
        let done = asked.is_ok() && answer.starts_with("HTTP/1.1 20");
        Gave { code: i32::from(!done), out: answer, err: String::new() }
    }

    fn key_id(&self, home: &str) -> String {
        let key = self.show("wallet", home)["key"].as_str().unwrap().to_owned();
        let key = counterfoil_wire::PublicKey::from_slice(&hex::decode(key).unwrap()).unwrap();
        counterfoil_trust::key_id(&key).to_string()
    }

    pub fn show(&self, kind: &str, home: &str) -> Value {
        let line = format!("{kind} --home {home} show --json");
        self.output(Command::new(BINARY), &line).ok().json()
    }

    /// Checks the books of operator, rail and wallets against each other and against `books`, and that nothing that a
    /// kill may leave is left. The operator must not serve.
    #[track_caller]
    pub fn check(&self, books: &Books) {
        let audit = self.output(Command::new(BINARY), "operator audit --dir op --json").ok().json();
        assert_eq!(audit["sound"], true, "{audit:#}");
        let held: u64 = books.homes.values().sum();
        assert_eq!(
            audit["offline"].as_u64(),
            Some(held),
            "what the operator has the wallets hold: {audit:#}"
        );
        assert_eq!(audit["in_flight"], 0, "{audit:#}");
        assert_eq!(audit["loss"], 0, "{audit:#}");
        assert_eq!(audit["cases"].as_array().map_or(0, Vec::len), 0, "nobody is accused: {audit:#}");
        assert_eq!(audit["funded"].as_i64(), Some(books.funded), "funded");
        assert_eq!(audit["defunded"].as_i64(), Some(books.defunded), "defunded");
        assert_eq!(audit["payments"].as_u64(), Some(books.payments), "payments");
        let rail = SimulatedRail::snapshot(&self.path("op/rail.db")).unwrap();
        assert!(rail.broken.is_empty(), "{:?}", rail.broken);
        let float = i64::try_from(rail.balance(&Account::float()).unwrap()).unwrap();
        assert_eq!(float, books.funded - books.defunded, "what the rail holds for the wallets");
        for (home, balance) in &books.homes {
            let settings: Value =
                serde_json::from_slice(&fs::read(self.path(home).join("wallet.json")).unwrap()).unwrap();
            let shown = self.show(settings["kind"].as_str().unwrap(), home);
            assert_eq!(shown["balance"]["minor"].as_u64(), Some(*balance), "{home}: {shown:#}");
            assert!(shown["finished"].as_array().is_none_or(Vec::is_empty), "{home}: {shown:#}");
            let states = shown["payments"].as_array().unwrap();
            assert!(states.iter().all(|payment| payment["state"] != "sent"), "{home}: {shown:#}");
        }
        let mut left = Vec::new();
        leftovers(&self.path(""), &mut left);
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}

/// Drafts and operations under way: once all is finished and everybody has synced there are none.
fn leftovers(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let draft = name.starts_with(".counterfoil-") || name.ends_with(".draft") || name == "slot-draft";
        if draft || name.starts_with("pending") || name.contains(".new") {
            found.push(path);
        } else if path.is_dir() {
            leftovers(&path, found);
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A port that an operator can come back to time and again: below those that the system gives to connections.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % 10_000).unwrap();
    for _ in 0..1000 {
        let port = 20_000 + (offset + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}
