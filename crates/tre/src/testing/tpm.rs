//! A TPM in software, for tests: Debian's `swtpm`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io};

/// How long the emulator may take to start.
const START_TIME_MAX: Duration = Duration::from_secs(20);

/// A running emulator. It ends when this is dropped; its state stays in its folder.
#[derive(Debug)]
pub struct Emulator {
    process: Child,
    socket: PathBuf,
}

impl Emulator {
    /// Starts an emulator whose state is in the folder `dir`, made if there is none.
    ///
    /// # Errors
    /// What the system says, of a `swtpm` that is not installed above all.
    pub fn start(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let socket = dir.join("tpm.sock");
        let _ = fs::remove_file(&socket);
        let with = |key: &str, path: &Path| format!("{key}={}", path.display());
        let process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--tpmstate"])
            .arg(with("dir", dir))
            .arg("--server")
            .arg(with("type=unixio,path", &socket))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("swtpm does not start: {error}")))?;
        let mut emulator = Self { process, socket };
        let since = Instant::now();
        while !emulator.socket.exists() {
            if let Some(status) = emulator.process.try_wait()? {
                return Err(io::Error::other(format!("swtpm ended: {status}")));
            }
            if since.elapsed() > START_TIME_MAX {
                return Err(io::ErrorKind::TimedOut.into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(emulator)
    }

    /// Where commands go.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
