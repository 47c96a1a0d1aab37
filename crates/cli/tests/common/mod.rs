//! A folder with an operator that serves in it, and `counterfoil` driven as a person drives it.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub, reason = "these are tests")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, OnceLock};

use counterfoil_wallet::{Counter, Host, Kind, NewHome};
use counterfoil_wire::Algorithm;
use counterfoil_wire::cert::Name;
use serde_json::Value;

/// The PIN of every wallet that has one.
pub const PIN: &str = "4711";

/// An operator, and room for wallets.
pub struct World {
    pub dir: tempfile::TempDir,
    pub url: String,
    serving: Mutex<Child>,
}

impl Drop for World {
    fn drop(&mut self) {
        let serving = self.serving.get_mut().unwrap();
        let _ = serving.kill();
        let _ = serving.wait();
    }
}

/// What a command gave.
pub struct Gave {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Gave {
    /// Expects success.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        let said = format!("{}{}", self.out, self.err);
        assert!(said.contains(words), "{words:?} is not in: {said}");
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}{}", self.out, self.err))
    }
}

impl From<Output> for Gave {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// A test of what works offline proves nothing where the network cannot be cut, so it does not pass there.
fn must_unshare() {
    static CAN: OnceLock<bool> = OnceLock::new();
    let can = *CAN.get_or_init(|| {
        Command::new("unshare").args(["-rn", "true"]).status().is_ok_and(|status| status.success())
    });
    assert!(
        can,
        "`unshare -rn true` does not work here, so the network cannot be cut: install util-linux and allow user \
         namespaces (kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)"
    );
}

impl World {
    /// A sandbox operator, serving.
    pub fn new() -> Self {
        Self::with_rows_in(None, "together")
    }

    /// The same, with its rows in this database.
    pub fn with_rows_in(database: Option<&str>, transactions: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let binary = env!("CARGO_BIN_EXE_counterfoil");
        let init = Command::new(binary)
            .args(["operator", "init", "--dir", "op", "--transactions", transactions])
            .args(database.iter().flat_map(|database| ["--database", database]))
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
        let (serving, url) = serve(dir.path(), "op", "127.0.0.1:0");
        let world = Self { dir, url, serving: Mutex::new(serving) };
        std::fs::write(world.path("pin"), PIN).unwrap();
        world
    }

    /// Ends the operator's process.
    pub fn stop_operator(&self) {
        let mut serving = self.serving.lock().unwrap();
        serving.kill().unwrap();
        serving.wait().unwrap();
    }

    /// Serves again, at the address that the wallets know.
    pub fn start_operator(&self) {
        let (serving, _) = serve(self.dir.path(), "op", self.url.trim_start_matches("http://"));
        *self.serving.lock().unwrap() = serving;
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The command, ready to run in this world's folder.
    pub fn command(&self, line: &str) -> Command {
        self.prepare(Command::new(env!("CARGO_BIN_EXE_counterfoil")), line)
    }

    fn prepare(&self, mut command: Command, line: &str) -> Command {
        for word in line.split_whitespace().map(|word| word.replace('_', " ")) {
            // No message is written over another one.
            let cleared = word.strip_prefix('!');
            if let Some(name) = cleared {
                let _ = std::fs::remove_file(self.path(name));
            }
            command.arg(cleared.unwrap_or(&word));
        }
        command.current_dir(self.dir.path()).env("COUNTERFOIL_DEVICE", self.path("device"));
        command.env("NO_COLOR", "1").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command that may use the network. Underscores stand for spaces within a word; a file with `!` before it is
    /// removed first.
    pub fn online(&self, line: &str) -> Gave {
        self.command(line).output().unwrap().into()
    }

    /// Runs a command where there is no network at all, not even a loopback device.
    pub fn offline(&self, line: &str) -> Gave {
        must_unshare();
        let mut command = Command::new("unshare");
        command.args(["-rn", env!("CARGO_BIN_EXE_counterfoil")]);
        self.prepare(command, line).output().unwrap().into()
    }

    /// Runs a command that reads `input` from a pipe.
    pub fn piped(&self, line: &str, input: &str) -> Gave {
        let mut child = self.command(line).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap().into()
    }

    /// Enrols a wallet with a PIN, and funds it.
    pub fn wallet(&self, home: &str, options: &str, funded: &str) {
        let url = &self.url;
        self.online(&format!(
            "wallet --home {home} enrol --operator {url} --psp alpha --account {home} --pin-file pin \
             --operator-root op/operator-root.cbor {options}"
        ))
        .ok();
        if funded != "0" {
            self.online(&format!("wallet --home {home} fund {funded}")).ok().says("funded");
        }
    }

    /// What a wallet shows, for programs.
    pub fn show(&self, home: &str) -> Value {
        self.offline(&format!("wallet --home {home} show --json")).ok().json()
    }

    /// A wallet's balance in minor units.
    pub fn balance(&self, home: &str) -> u64 {
        self.show(home)["balance"]["minor"].as_u64().unwrap()
    }

    /// Every invariant of the operator holds.
    #[track_caller]
    pub fn audit(&self) -> Value {
        let audit = self.online("operator audit --dir op --json").ok().json();
        assert_eq!(audit["sound"], true, "{audit:#}");
        audit
    }
}

/// Serves the operator in the folder `name`; gives its process and its address.
pub fn serve(dir: &Path, name: &str, listen: &str) -> (Child, String) {
    let mut serving = Command::new(env!("CARGO_BIN_EXE_counterfoil"))
        .args(["operator", "serve", "--dir", name, "--listen", listen])
        .current_dir(dir)
        .env("RUST_LOG", "error")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(serving.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
    (serving, url)
}

/// An enrolment of `anna` through the SDK, without a PIN.
pub fn new_home(world: &World, counter: Counter) -> NewHome {
    NewHome {
        kind: Kind::Wallet,
        operator_url: world.url.clone(),
        psp: "alpha".to_owned(),
        account: "anna".to_owned(),
        activation_code: None,
        algorithm: Algorithm::EdDsa,
        name: Name::default(),
        counter,
        host: Host::VirtualSe,
        pin: None,
        root: None,
    }
}
