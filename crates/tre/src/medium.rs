//! The few file operations that the store needs, as a trait, so that a test can cut the power between any two.
//!
//! Nothing here is durable until it is synced: bytes by [`Medium::sync`], names by [`Medium::sync_dir`]. A power cut
//! before that may leave any part of it, in any order; the store's argument assumes no more.

use crate::durable;
use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A file that the store writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileName {
    /// The log of even generations.
    Slot0,
    /// The log of odd generations.
    Slot1,
    /// A new log before it gets its name. Its content means nothing.
    Draft,
}

impl FileName {
    /// The name in the wallet's home.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Slot0 => "slot-0",
            Self::Slot1 => "slot-1",
            Self::Draft => "slot-draft",
        }
    }
}

/// A folder of three files.
pub trait Medium: Send {
    /// The whole file, or `None` if there is none.
    ///
    /// # Errors
    /// Whatever the medium says; so in all methods.
    fn read(&mut self, file: FileName) -> io::Result<Option<Vec<u8>>>;

    /// Adds `bytes` at the end, creating the file if there is none. On an error any part of them may be there.
    fn append(&mut self, file: FileName, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file to `len_bytes`.
    fn truncate(&mut self, file: FileName, len_bytes: u64) -> io::Result<()>;

    /// Makes the file's bytes and length durable.
    fn sync(&mut self, file: FileName) -> io::Result<()>;

    /// Gives `from` the name `to`, in the place of any file of that name. Atomic: after a power cut `to` is one file
    /// or the other.
    fn rename(&mut self, from: FileName, to: FileName) -> io::Result<()>;

    /// Removes the file, if there is one.
    fn remove(&mut self, file: FileName) -> io::Result<()>;

    /// Makes all names durable.
    fn sync_dir(&mut self) -> io::Result<()>;
}

/// Why a folder could not be had.
#[derive(Debug, thiserror::Error)]
pub enum DiskOpenError {
    /// Somebody else holds the folder's lock.
    #[error("another command is using this wallet ({}). Wait for it to finish, or end it, and try again", home.display())]
    Locked {
        /// The wallet's home.
        home: PathBuf,
    },
    /// The folder cannot be made, read or locked.
    #[error("the wallet's home {} cannot be used: {source}. Check that it exists and is yours", home.display())]
    Io {
        /// The wallet's home.
        home: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// A real folder. One holder at a time: it is locked (by the operating system, which unlocks it even after a crash)
/// for as long as this value lives.
#[derive(Debug)]
pub struct DiskMedium {
    home: PathBuf,
    open: HashMap<FileName, File>,
    _lock: File,
}

const LOCK_POLL: Duration = Duration::from_millis(20);

impl DiskMedium {
    /// Opens the folder `home`, creating it if there is none, and waits up to `lock_wait` for another holder.
    ///
    /// # Errors
    /// [`DiskOpenError::Locked`] if the other holder stays, [`DiskOpenError::Io`] if the folder cannot be used.
    pub fn open(home: &Path, lock_wait: Duration) -> Result<Self, DiskOpenError> {
        let io = |source| DiskOpenError::Io { home: home.to_path_buf(), source };
        durable::create_private_dir(home).map_err(io)?;
        let lock = durable::private_options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(home.join("lock"))
            .map_err(io)?;
        let start = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(e)) => return Err(io(e)),
                Err(TryLockError::WouldBlock) if start.elapsed() >= lock_wait => {
                    return Err(DiskOpenError::Locked { home: home.to_path_buf() });
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_POLL),
            }
        }
        Ok(Self { home: home.to_path_buf(), open: HashMap::new(), _lock: lock })
    }

    fn file(&mut self, file: FileName) -> io::Result<&mut File> {
        match self.open.entry(file) {
            std::collections::hash_map::Entry::Occupied(e) => Ok(e.into_mut()),
            std::collections::hash_map::Entry::Vacant(e) => {
                let path = self.home.join(file.as_str());
                Ok(e.insert(durable::private_options().create(true).append(true).open(path)?))
            }
        }
    }
}

impl Medium for DiskMedium {
    fn read(&mut self, file: FileName) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.home.join(file.as_str())) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn append(&mut self, file: FileName, bytes: &[u8]) -> io::Result<()> {
        self.file(file)?.write_all(bytes)
    }

    fn truncate(&mut self, file: FileName, len_bytes: u64) -> io::Result<()> {
        // A handle for appending may not cut on Windows.
        fs::OpenOptions::new().write(true).open(self.home.join(file.as_str()))?.set_len(len_bytes)
    }

    fn sync(&mut self, file: FileName) -> io::Result<()> {
        // Data and length are enough (fdatasync); the time of change is not.
        self.file(file)?.sync_data()
    }

    fn rename(&mut self, from: FileName, to: FileName) -> io::Result<()> {
        self.open.remove(&to);
        self.open.remove(&from);
        fs::rename(self.home.join(from.as_str()), self.home.join(to.as_str()))
    }

    fn remove(&mut self, file: FileName) -> io::Result<()> {
        self.open.remove(&file);
        match fs::remove_file(self.home.join(file.as_str())) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        durable::sync_dir(&self.home)
    }
}
