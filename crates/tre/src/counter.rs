//! The monotonic counter: what makes an older copy of a wallet unusable.
//!
//! The store seals a counter value into every frame and advances the counter with every commit, so a state that was
//! put back from an older copy is behind the counter and says so ([`counterfoil_ta::env::Freshness::Stale`]).

use crate::durable;
use crate::vault::DeviceFolder;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::{fs, io};

pub use counterfoil_wire::element::CounterKind;

/// Names one counter for its whole life. A counter made again under another identity proves nothing about states of
/// the first, and the store tells them apart by this.
pub type CounterId = [u8; 16];

/// Why a counter could not be read or advanced. After a failed `advance` its value is the old one or the new one.
#[derive(Debug, thiserror::Error)]
pub enum CounterError {
    /// The counter's medium failed.
    #[error(
        "the counter {path} cannot be used: {source}. Check that its folder exists and is yours, then try again"
    )]
    Io {
        /// The counter's file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// What is kept is not a counter.
    #[error("the counter {path} is damaged. Remove it: the wallet then asks for a sync before it pays again")]
    Damaged {
        /// The counter's file.
        path: PathBuf,
    },
    /// The operating system gave no random bytes for a new counter's identity.
    #[error("the operating system gave no randomness for a new counter: {0}")]
    Random(getrandom::Error),
    /// The counter is at its last value.
    #[error("the counter has come to its end; a new one, and a sync, are needed")]
    Exhausted,
}

/// A number that only ever grows, by one at a time, and survives whatever happens to the wallet's home.
pub trait Counter: Send {
    /// What keeps the count.
    fn kind(&self) -> CounterKind;

    /// Which counter this is. All zeros for [`CounterKind::None`], and for no other.
    fn id(&self) -> CounterId;

    /// How often the counter was advanced since it was made. Zero means that it was never used, so a counter in
    /// hardware which starts elsewhere subtracts its first value.
    ///
    /// # Errors
    /// [`CounterError`] if it cannot be read.
    fn read(&self) -> Result<u64, CounterError>;

    /// Adds one, durably, and returns the new value. No two calls ever return the same value.
    ///
    /// # Errors
    /// [`CounterError`]; whether the counter moved is then unknown until it is read.
    fn advance(&mut self) -> Result<u64, CounterError>;

    /// Advances until the value is at least `floor`; returns the value. Needed only when a counter was itself put
    /// back from an older copy, which hardware rules out.
    ///
    /// # Errors
    /// [`CounterError`], as [`Counter::advance`].
    fn raise_to(&mut self, floor: u64) -> Result<u64, CounterError> {
        let mut value = self.read()?;
        while value < floor {
            value = self.advance()?;
        }
        Ok(value)
    }
}

/// No counter: grade `virtual-se`. Always zero.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCounter;

impl Counter for NoCounter {
    fn kind(&self) -> CounterKind {
        CounterKind::None
    }

    fn id(&self) -> CounterId {
        [0; 16]
    }

    fn read(&self) -> Result<u64, CounterError> {
        Ok(0)
    }

    fn advance(&mut self) -> Result<u64, CounterError> {
        Ok(0)
    }
}

/// Name and version of the counter file's format: these 8 bytes, the identity, the value (big-endian), then the first
/// 8 bytes of SHA-256 of all that.
const COUNTER_MAGIC: [u8; 8] = *b"CFCNTR\0\x01";
const COUNTER_FILE_BYTES: usize = 40;

/// A counter in a file of the device folder: stands in for a TPM's NV counter.
///
/// It is only as good as its folder. It stops a wallet's home from being copied and put back; it does not stop someone
/// who copies the device folder too, or edits the file (its checksum finds damage, not intent). A certificate
/// must not claim more for it than the folder deserves.
#[derive(Debug)]
pub struct FileCounter {
    dir: PathBuf,
    name: String,
    id: CounterId,
}

impl FileCounter {
    /// The counter of the wallet called `label`, made at zero if there is none.
    ///
    /// # Errors
    /// [`CounterError`] if the file can neither be read nor made, or is not a counter.
    pub fn open(device: &DeviceFolder, label: &str) -> Result<Self, CounterError> {
        let digest = Sha256::digest([b"counterfoil counter name v1\0", label.as_bytes()].concat());
        let name = digest.iter().take(8).fold(String::from("counter-"), |s, b| s + &format!("{b:02x}"));
        let dir = device.path().to_path_buf();
        let io = |source| CounterError::Io { path: dir.join(&name), source };
        let _lock = durable::lock_folder(&dir).map_err(io)?;
        let id = match fs::read(dir.join(&name)) {
            Ok(bytes) => decode(&bytes, &dir.join(&name))?.0,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let mut id = [0; 16];
                getrandom::fill(&mut id).map_err(CounterError::Random)?;
                durable::write_whole(&dir, &name, &encode(&id, 0)).map_err(io)?;
                id
            }
            Err(e) => return Err(io(e)),
        };
        Ok(Self { dir, name, id })
    }

    fn path(&self) -> PathBuf {
        self.dir.join(&self.name)
    }

    fn io(&self, source: io::Error) -> CounterError {
        CounterError::Io { path: self.path(), source }
    }

    fn set(&mut self, next: impl FnOnce(u64) -> Option<u64>) -> Result<u64, CounterError> {
        // Read again under the lock: a copy of the wallet may be running in another process.
        let _lock = durable::lock_folder(&self.dir).map_err(|e| self.io(e))?;
        let value = next(self.read()?).ok_or(CounterError::Exhausted)?;
        durable::write_whole(&self.dir, &self.name, &encode(&self.id, value)).map_err(|e| self.io(e))?;
        Ok(value)
    }
}

impl Counter for FileCounter {
    fn kind(&self) -> CounterKind {
        CounterKind::File
    }

    fn id(&self) -> CounterId {
        self.id
    }

    fn read(&self) -> Result<u64, CounterError> {
        let bytes = fs::read(self.path()).map_err(|e| self.io(e))?;
        let (id, value) = decode(&bytes, &self.path())?;
        if id == self.id { Ok(value) } else { Err(CounterError::Damaged { path: self.path() }) }
    }

    fn advance(&mut self) -> Result<u64, CounterError> {
        self.set(|value| value.checked_add(1))
    }

    fn raise_to(&mut self, floor: u64) -> Result<u64, CounterError> {
        let value = self.read()?;
        if value >= floor { Ok(value) } else { self.set(|value| Some(value.max(floor))) }
    }
}

fn encode(id: &CounterId, value: u64) -> [u8; COUNTER_FILE_BYTES] {
    let mut file = [0; COUNTER_FILE_BYTES];
    file[..8].copy_from_slice(&COUNTER_MAGIC);
    file[8..24].copy_from_slice(id);
    file[24..32].copy_from_slice(&value.to_be_bytes());
    let check = Sha256::digest(&file[..32]);
    file[32..].copy_from_slice(&check[..8]);
    file
}

fn decode(file: &[u8], path: &Path) -> Result<(CounterId, u64), CounterError> {
    let parts = || {
        let id: CounterId = file.get(8..24)?.try_into().ok()?;
        let value = u64::from_be_bytes(file.get(24..32)?.try_into().ok()?);
        (file == encode(&id, value)).then_some((id, value))
    };
    parts().ok_or_else(|| CounterError::Damaged { path: path.to_path_buf() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_counter_counts_across_openings_and_by_label() {
        let dir = tempfile::tempdir().unwrap();
        let device = DeviceFolder::open(dir.path()).unwrap();
        let mut a = FileCounter::open(&device, "a").unwrap();
        assert_eq!(a.read().unwrap(), 0);
        assert_eq!(a.advance().unwrap(), 1);
        let mut again = FileCounter::open(&device, "a").unwrap();
        assert_eq!(again.id(), a.id());
        assert_eq!(again.advance().unwrap(), 2);
        assert_eq!(a.advance().unwrap(), 3, "two handles never hand out one value twice");
        let b = FileCounter::open(&device, "b").unwrap();
        assert_eq!(b.read().unwrap(), 0);
        assert_ne!(b.id(), a.id());
        assert_eq!(a.raise_to(10).unwrap(), 10);
        assert_eq!(a.raise_to(5).unwrap(), 10);
    }

    #[test]
    fn a_lost_counter_comes_back_as_another() {
        let dir = tempfile::tempdir().unwrap();
        let device = DeviceFolder::open(dir.path()).unwrap();
        let a = FileCounter::open(&device, "a").unwrap();
        fs::remove_file(a.path()).unwrap();
        assert_ne!(FileCounter::open(&device, "a").unwrap().id(), a.id());
        assert!(matches!(a.read(), Err(CounterError::Damaged { .. })));
    }

    #[test]
    fn a_damaged_counter_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let device = DeviceFolder::open(dir.path()).unwrap();
        let a = FileCounter::open(&device, "a").unwrap();
        let good = fs::read(a.path()).unwrap();
        for i in 0..good.len() {
            let mut bad = good.clone();
            bad[i] ^= 0x10;
            fs::write(a.path(), &bad).unwrap();
            assert!(matches!(FileCounter::open(&device, "a"), Err(CounterError::Damaged { .. })));
            fs::write(a.path(), &good[..i]).unwrap();
            assert!(matches!(a.read(), Err(CounterError::Damaged { .. })));
        }
    }
}
