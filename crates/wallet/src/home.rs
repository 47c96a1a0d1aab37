//! The folder of one wallet.
//!
//! ```text
//! HOME/slot-0, slot-1, lock   the trusted application's sealed store (`counterfoil-tre`)
//! HOME/wallet.json            where the wallet belongs: operator, PSP, root's fingerprint. Nothing secret
//! HOME/pending.json           the operation between two devices that is under way
//! HOME/pending-online.json    the operation with the operator that is under way
//! HOME/last.json              the last operation between two devices whose result was shown
//! HOME/replaced.json          the key of the wallet whose stale copy was replaced here, for its PSP
//! ```

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use counterfoil_wire::cert::Grade;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::WalletError;

const SETTINGS_FILE: &str = "wallet.json";
pub(crate) const REPLACED_FILE: &str = "replaced.json";
/// How drafts are called, here and by [`crate::channel::file`].
pub(crate) const DRAFT_PREFIX: &str = ".counterfoil-";
pub(crate) const DRAFT_SUFFIX: &str = ".part";

/// The only version of the files of a home there is.
pub(crate) const FORMAT: u32 = 1;

/// What a home holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A purse that pays and is paid.
    Wallet,
    /// A merchant's acceptor.
    Terminal,
}

impl Kind {
    /// The word for messages, which is also the command's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wallet => "wallet",
            Self::Terminal => "terminal",
        }
    }
}

/// What stops a rollback on this device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Counter {
    /// Nothing.
    #[default]
    None,
    /// A file in the device folder.
    File,
    /// A counter of the device's TPM 2.0.
    Tpm,
    /// A counter that the platform keeps for the application.
    Platform,
}

impl Counter {
    /// The grade that an element with this counter claims in a home of this kind. A scheme that is no sandbox wants
    /// evidence for a counter that cannot be copied, and a TPM has none to give.
    pub const fn grade(self, kind: Kind, sandbox: bool) -> Grade {
        match (kind, self) {
            (Kind::Terminal, _) => Grade::Terminal,
            (Kind::Wallet, Self::Platform) => Grade::VirtualSeBound,
            (Kind::Wallet, Self::Tpm) if sandbox => Grade::VirtualSeBound,
            // A counter that can be copied with the state keeps a careless copy out, and binds nothing to a device.
            (Kind::Wallet, Self::None | Self::File | Self::Tpm) => Grade::VirtualSe,
        }
    }
}

/// Where the trusted application runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Host {
    /// In a machine of its own, from the image that this build ships.
    #[default]
    VirtualSe,
    /// As code of this process: for tests and simulation.
    Native,
}

/// Where a wallet belongs. Written once, at enrolment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Version of this file.
    pub format: u32,
    /// What the home holds.
    pub kind: Kind,
    /// Random name of the wallet on its device; the sealing key and the counter are derived from it.
    pub label: String,
    /// Address of the operator.
    pub operator_url: String,
    /// Name of the PSP.
    pub psp: String,
    /// Fingerprint of the scheme's root: the SHA-256 of its key, in hex.
    pub root_fingerprint: String,
    /// Signature algorithm.
    pub algorithm: String,
    /// Display name; empty for a person.
    pub name: String,
    /// What stops a rollback.
    pub counter: Counter,
    /// Where the trusted application runs.
    pub host: Host,
}

/// The folder of one wallet or terminal.
#[derive(Debug, Clone)]
pub struct Home {
    dir: PathBuf,
}

impl Home {
    /// The home in the folder `dir`, which need not exist yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the wallet belongs; `None` if no enrolment was begun here.
    ///
    /// # Errors
    /// [`WalletError::Home`], [`WalletError::DamagedFile`].
    pub fn settings(&self) -> Result<Option<Settings>, WalletError> {
        self.read_json(SETTINGS_FILE)
    }

    /// Writes the settings of a new home, and returns those that stand there: of two enrolments at once the first
    /// wins, since the key that seals the wallet hangs on the label.
    pub(crate) fn found_with(&self, settings: Settings) -> Result<Settings, WalletError> {
        let path = self.dir.join(SETTINGS_FILE);
        let failed = |source| WalletError::Home { action: "write", path: path.clone(), source };
        let text = serde_json::to_vec_pretty(&settings).map_err(|error| failed(io::Error::other(error)))?;
        match self.draft(&text).map_err(failed)?.persist_noclobber(&path) {
            Ok(_) => self.sync().map_err(failed)?,
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error.error)),
        }
        Ok(self.settings()?.unwrap_or(settings))
    }

    /// Removes all that an enrolment which came to nothing has made. The folder itself stays.
    pub(crate) fn clear(&self) -> Result<(), WalletError> {
        // The settings last: without them nobody would find the rest.
        for name in [
            "slot-draft",
            "slot-0",
            "slot-1",
            "pending.json",
            "pending-online.json",
            "last.json",
            SETTINGS_FILE,
        ] {
            self.remove(name)?;
        }
        Ok(())
    }

    /// Removes drafts that a killed command left behind. Only for whoever holds the home's lock: a draft of another
    /// command that is at work would go too.
    pub(crate) fn sweep(&self) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(DRAFT_PREFIX) && name.ends_with(DRAFT_SUFFIX) {
                // A draft that stays does no harm.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Finds out whether parts of an enrolled home were lost. Without this an enrolment would be asked for and refused
    /// in turn.
    ///
    /// # Errors
    /// [`WalletError::HomeIncomplete`].
    pub fn check_complete(&self) -> Result<(), WalletError> {
        let is_there = |name: &str| self.dir.join(name).exists();
        let has_state = is_there("slot-0") || is_there("slot-1");
        let missing = |name: &str| Err(WalletError::HomeIncomplete { missing: self.dir.join(name) });
        if has_state && !is_there(SETTINGS_FILE) {
            return missing(SETTINGS_FILE);
        }
        if is_there(SETTINGS_FILE) && !has_state && self.was_enrolled() {
            return missing("slot-0");
        }
        Ok(())
    }

    /// Whether rules were ever stored here, which happens once an operator has admitted the wallet.
    pub fn was_enrolled(&self) -> bool {
        fs::read_dir(&self.dir).is_ok_and(|entries| {
            entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("rules-"))
        })
    }

    /// Lets a file take another's name, in place of what had it.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), WalletError> {
        let failed = |source| WalletError::Home { action: "rename", path: self.dir.join(from), source };
        fs::rename(self.dir.join(from), self.dir.join(to)).map_err(failed)
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), WalletError> {
        match fs::remove_file(self.dir.join(name)) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(WalletError::Home { action: "remove", path: self.dir.join(name), source })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, WalletError> {
        let path = self.dir.join(name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(WalletError::Home { action: "read", path, source }),
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| WalletError::DamagedFile { path, reason: error.to_string() })
    }

    pub(crate) fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), WalletError> {
        let path = self.dir.join(name);
        let failed = |source| WalletError::Home { action: "write", path: path.clone(), source };
        let mut text = serde_json::to_vec_pretty(value).map_err(|error| failed(io::Error::other(error)))?;
        text.push(b'\n');
        self.write_durably(name, &text)
    }

    /// Replaces a file. After a power cut it is the old one or the new one, whole.
    pub(crate) fn write_durably(&self, name: &str, bytes: &[u8]) -> Result<(), WalletError> {
        let path = self.dir.join(name);
        let failed = |source| WalletError::Home { action: "write", path: path.clone(), source };
        self.draft(bytes).map_err(failed)?.persist(&path).map_err(|error| failed(error.error))?;
        self.sync().map_err(failed)
    }

    /// A durable file without a name yet.
    fn draft(&self, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
        create_private(&self.dir)?;
        let mut draft =
            tempfile::Builder::new().prefix(DRAFT_PREFIX).suffix(DRAFT_SUFFIX).tempfile_in(&self.dir)?;
        draft.write_all(bytes)?;
        draft.as_file().sync_all()?;
        Ok(draft)
    }

    /// Makes names durable. Elsewhere than on Unix a folder cannot be opened as a file.
    fn sync(&self) -> io::Result<()> {
        if cfg!(unix) { File::open(&self.dir)?.sync_all() } else { Ok(()) }
    }
}

/// Makes the folder and its missing parents, for this user only.
fn create_private(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}
