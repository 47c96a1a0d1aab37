//! A counter in a file: for tests, and for a device that has nothing better.

use std::path::{Path, PathBuf};
use std::{fs, io};

use sha2::{Digest, Sha256};

use super::{Counter, CounterError, CounterId, CounterKind, file_name};
use crate::durable;
use crate::vault::DeviceFolder;

/// Name and version of the counter file's format: these 8 bytes, the identity, the value (big-endian), then the first
/// 8 bytes of SHA-256 of all that.
const COUNTER_MAGIC: [u8; 8] = *b"CFCNTR\0\x01";
const COUNTER_FILE_BYTES: usize = 40;

/// A counter in a file of the device folder.
///
/// It is only as good as its folder. It stops a wallet's home from being copied and put back; it does not stop someone
/// who copies the device folder too, or edits the file (its checksum finds damage, not intent). So it is worth no better
/// grade than no counter at all, and no operator gives one for it.
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
        let name = file_name("counter", label);
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
