//! A throw-away PostgreSQL server: made in a temporary folder, reached by a socket in it, gone with whoever started it,
//! also when that one is killed.
//!
//! The server never runs as root: started by root it runs as the user `postgres`, or as `nobody` where there is none.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to start, on a machine that has much else to do.
const START_MAX: Duration = Duration::from_secs(60);

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// PostgreSQL is not installed.
    #[error("PostgreSQL's programs initdb and postgres are neither on PATH nor in /usr/lib/postgresql")]
    NotInstalled,
    /// A file or process failed.
    #[error("the server cannot be started: {0}")]
    System(#[from] std::io::Error),
    /// The server did not come up.
    #[error("the server did not start: {0}")]
    NotStarted(String),
}

/// Whether a commit is on the disk when it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// As a server of money is run.
    Durable,
    /// For tests in which the server itself never fails.
    Volatile,
}

/// A running server. Dropped it is stopped, and its folder is removed.
#[derive(Debug)]
pub struct Server {
    keeper: Child,
    dir: tempfile::TempDir,
}

/// Waits until its input ends, which it does with whoever started this, and then stops the server.
const KEEPER: &str = r#"
dir=$1 bin=$2 fsync=$3
as=
if [ "$(id -u)" = 0 ]; then
    user=postgres
    id "$user" >/dev/null 2>&1 || user=nobody
    chown "$user" "$dir"
    as="setpriv --reuid=$user --regid=$(id -g "$user") --clear-groups"
fi
cd "$dir" || exit 1
$as "$bin/initdb" --pgdata="$dir/data" --auth=trust --username=counterfoil --encoding=UTF8 --no-locale \
    --no-sync >/dev/null || exit 1
$as "$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c fsync="$fsync" -c max_wal_size=4GB \
    -c shared_buffers=256MB -c log_min_messages=fatal &
server=$!
read -r _
kill -QUIT "$server"
wait "$server"
rm -rf "$dir"
"#;

impl Server {
    /// Makes and starts a server, with an empty database.
    ///
    /// # Errors
    /// Every [`ScratchError`].
    pub fn start(durability: Durability) -> Result<Self, ScratchError> {
        let programs = programs().ok_or(ScratchError::NotInstalled)?;
        // A path of a socket has at most 107 bytes: not below a target folder.
        let dir = tempfile::Builder::new().prefix("counterfoil-pg-").tempdir()?;
        let fsync = if durability == Durability::Durable { "on" } else { "off" };
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(dir.path())
            .arg(programs)
            .arg(fsync)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut server = Self { keeper, dir };
        server.wait_until_ready().map(|()| server)
    }

    /// The address of its database.
    pub fn address(&self) -> String {
        format!("postgres://counterfoil@/postgres?host={}", self.dir.path().display())
    }

    /// Bytes of its database, without the log.
    ///
    /// # Errors
    /// [`ScratchError::NotStarted`].
    pub fn database_bytes(&self) -> Result<u64, ScratchError> {
        let asked = postgres::Client::connect(&self.address(), postgres::NoTls).and_then(|mut client| {
            client.query_one("select pg_database_size(current_database())", &[])?.try_get::<_, i64>(0)
        });
        asked.map(i64::unsigned_abs).map_err(|error| ScratchError::NotStarted(error.to_string()))
    }

    fn wait_until_ready(&mut self) -> Result<(), ScratchError> {
        let begun = Instant::now();
        let state = self.dir.path().join("data/postmaster.pid");
        loop {
            // The server's own word: the last line of this file.
            if std::fs::read_to_string(&state).is_ok_and(|text| text.trim_end().ends_with("ready")) {
                return Ok(());
            }
            let ended = self.keeper.try_wait()?.is_some();
            if ended || begun.elapsed() > START_MAX {
                let mut words = String::new();
                if let (true, Some(mut errors)) = (ended, self.keeper.stderr.take()) {
                    errors.read_to_string(&mut words)?;
                }
                return Err(ScratchError::NotStarted(words));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// The folder with PostgreSQL's programs, the newest where there are several.
pub fn programs() -> Option<PathBuf> {
    let has = |dir: &Path| dir.join("initdb").is_file() && dir.join("postgres").is_file();
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut installed: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    installed.sort();
    let installed = installed.into_iter().rev().map(|(_, dir)| dir);
    std::env::split_paths(&on_path).chain(installed).find(|dir| has(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_there_while_it_is_held_and_gone_afterwards() {
        let server = Server::start(Durability::Volatile).unwrap();
        let dir = server.dir.path().to_owned();
        let socket = dir.join(".s.PGSQL.5432");
        std::os::unix::net::UnixStream::connect(&socket).unwrap();
        assert!(server.address().contains(dir.to_str().unwrap()));
        drop(server);
        assert!(std::os::unix::net::UnixStream::connect(&socket).is_err() && !dir.exists());
    }
}
