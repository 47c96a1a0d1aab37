//! The folder of one wallet.
//!
//! ```text
//! HOME/slot-0, slot-1, lock   the trusted application's sealed store (`counterfoil-tre`)
//! HOME/wallet.json            where the wallet belongs: operator, PSP, root's fingerprint. Nothing secret
//! HOME/pending.json           the operation between two devices that is under way
//! HOME/pending-online.json    the operation with the operator that is under way
//! ```

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use counterfoil_tre::CounterChoice;
use counterfoil_wire::cert::Grade;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::WalletError;

const SETTINGS_FILE: &str = "wallet.json";

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
}

impl Counter {
    /// The same choice, as the element understands it.
    pub(crate) const fn choice(self) -> CounterChoice {
        match self {
            Self::None => CounterChoice::None,
            Self::File => CounterChoice::File,
        }
    }

    /// The grade that an element with this counter may claim in a home of this kind.
    pub const fn grade(self, kind: Kind) -> Grade {
        match (kind, self) {
            (Kind::Terminal, _) => Grade::Terminal,
            (Kind::Wallet, Self::None) => Grade::VirtualSe,
            (Kind::Wallet, Self::File) => Grade::VirtualSeBound,
        }
    }
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

    pub(crate) fn write_settings(&self, settings: &Settings) -> Result<(), WalletError> {
        self.write_json(SETTINGS_FILE, settings)
    }

    /// Removes all that an enrolment which came to nothing has made. The folder itself stays.
    pub(crate) fn clear(&self) -> Result<(), WalletError> {
        // The settings last: without them nobody would find the rest.
        for name in ["slot-draft", "slot-0", "slot-1", "pending.json", "pending-online.json", SETTINGS_FILE] {
            self.remove(name)?;
        }
        Ok(())
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
        create_private(&self.dir).map_err(failed)?;
        let mut draft = tempfile::Builder::new()
            .prefix(".counterfoil-")
            .suffix(".part")
            .tempfile_in(&self.dir)
            .map_err(failed)?;
        draft.write_all(bytes).map_err(failed)?;
        draft.as_file().sync_all().map_err(failed)?;
        draft.persist(&path).map_err(|error| failed(error.error))?;
        #[cfg(unix)]
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(failed)?;
        Ok(())
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
