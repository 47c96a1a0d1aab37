//! A disk that loses power, a counter that shares it, a clock set by hand, randomness from a seed: for tests and
//! simulation, of this crate and of those above it. None of it is for a wallet that holds money.

pub mod platform;
#[cfg(unix)]
pub mod tpm;

use crate::counter::{Counter, CounterError, CounterId, CounterKind, NoCounter};
use crate::medium::{FileName, Medium};
use crate::native::{Clock, NativeHost, Random};
use crate::store::{SealedStore, StoreOpenError};
use crate::vault::{KeyVault, SealingKey, VaultError};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fmt, io};

/// One operation that changes a [`FaultyMedium`] or its counter: a place where the power can be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// So many bytes were added to a file.
    Append(FileName, usize),
    /// A file was cut.
    Truncate(FileName),
    /// A file was synced.
    Sync(FileName),
    /// A file was renamed.
    Rename(FileName, FileName),
    /// A file was removed.
    Remove(FileName),
    /// The names were synced.
    SyncDir,
    /// The counter was advanced.
    Advance,
}

impl Operation {
    /// In how many steps the operation can be cut: an append by bytes, all others before and after.
    pub fn steps(self) -> usize {
        match self {
            Self::Append(_, len_bytes) => len_bytes,
            _ => 1,
        }
    }
}

/// What a power cut leaves of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    /// Nothing.
    Nothing,
    /// All of it.
    Everything,
    /// The files' lengths, with zeros where bytes were new; and the names.
    Zeros,
    /// Any mixture, drawn from the seed: of 8-byte sectors old, new and zero, of lengths, of names old and new.
    Mixed(u64),
}

#[derive(Debug, Clone, Default)]
struct File {
    written: Vec<u8>,
    synced: Vec<u8>,
}

#[derive(Debug, Clone, Default)]
struct Disk {
    files: Vec<File>,
    names: BTreeMap<FileName, usize>,
    synced_names: BTreeMap<FileName, usize>,
    counter: u64,
    counter_id: CounterId,
    history: Vec<Operation>,
    cut: Option<(usize, usize)>,
    off: bool,
    capacity_bytes: Option<usize>,
}

/// A folder in memory whose power can be cut at any step. Clones are handles on one folder, so a test keeps one while
/// the store has another.
#[derive(Clone, Default)]
pub struct FaultyMedium(Arc<Mutex<Disk>>);

/// The files of a [`FaultyMedium`], as somebody would copy them who has the folder in hand.
pub type Files = BTreeMap<FileName, Vec<u8>>;

impl FaultyMedium {
    /// An empty folder with the power on, and a counter at zero.
    pub fn new() -> Self {
        let medium = Self::default();
        medium.disk().counter_id = [1; 16];
        medium
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A folder of its own with the same content, counter included.
    pub fn fork(&self) -> Self {
        Self(Arc::new(Mutex::new(self.disk().clone())))
    }

    /// What was done since the folder was made, or since the history was last cleared.
    pub fn history(&self) -> Vec<Operation> {
        self.disk().history.clone()
    }

    /// Forgets the history; operations are counted from 0 again.
    pub fn clear_history(&self) {
        self.disk().history.clear();
    }

    /// Cuts the power in operation `index` of the history to come, after `step` of its [`Operation::steps`].
    pub fn cut_at(&self, index: usize, step: usize) {
        self.disk().cut = Some((index, step));
    }

    /// Whether the power is off.
    pub fn is_off(&self) -> bool {
        self.disk().off
    }

    /// Cuts the power, if it is on, and puts it on again: what was not synced is left as `survival` says.
    pub fn power_cycle(&self, survival: Survival) {
        let mut disk = self.disk();
        let mut draw = SeededRandom::new(if let Survival::Mixed(seed) = survival { seed } else { 0 });
        for file in &mut disk.files {
            file.written = survivors(file, survival, &mut draw);
            file.synced = file.written.clone();
        }
        let names = match survival {
            Survival::Nothing => disk.synced_names.clone(),
            Survival::Everything | Survival::Zeros => disk.names.clone(),
            Survival::Mixed(_) => {
                let both = disk.names.keys().chain(disk.synced_names.keys()).copied();
                let all: std::collections::BTreeSet<FileName> = both.collect();
                let mut pick =
                    |name| if draw.bit() { disk.names.get(name) } else { disk.synced_names.get(name) };
                all.iter().filter_map(|name| pick(name).map(|&file| (*name, file))).collect()
            }
        };
        disk.names = names.clone();
        disk.synced_names = names;
        disk.cut = None;
        disk.off = false;
    }

    /// Ends the process and starts it again with the power on: what was written stays readable, synced or not.
    pub fn restart_process(&self) {
        let mut disk = self.disk();
        disk.cut = None;
        disk.off = false;
    }

    /// Limits the bytes of all files together. What does not fit is written as far as it does, then the medium
    /// says that it is full.
    pub fn set_capacity_bytes(&self, capacity_bytes: Option<usize>) {
        self.disk().capacity_bytes = capacity_bytes;
    }

    /// A copy of the files.
    pub fn files(&self) -> Files {
        let disk = self.disk();
        let content = |file: &usize| disk.files.get(*file).map(|f| f.written.clone()).unwrap_or_default();
        disk.names.iter().map(|(name, file)| (*name, content(file))).collect()
    }

    /// Puts `files` in the place of all there are, durably. The counter stays as it is.
    pub fn put_files(&self, files: &Files) {
        let mut disk = self.disk();
        disk.files = files.values().map(|b| File { written: b.clone(), synced: b.clone() }).collect();
        disk.names = files.keys().copied().zip(0..).collect();
        disk.synced_names = disk.names.clone();
    }

    /// A handle on the counter that shares this folder's power, but not its files.
    pub fn counter(&self) -> SimulatedCounter {
        SimulatedCounter { medium: self.clone(), id: self.disk().counter_id }
    }

    /// Sets the counter back or forward, as no honest device can.
    pub fn set_counter(&self, value: u64) {
        self.disk().counter = value;
    }

    /// Puts another counter, at zero, in the place of this one.
    pub fn replace_counter(&self, id: CounterId) {
        let mut disk = self.disk();
        disk.counter_id = id;
        disk.counter = 0;
    }
}

impl fmt::Debug for FaultyMedium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FaultyMedium").field(&self.files()).finish()
    }
}

fn survivors(file: &File, survival: Survival, draw: &mut SeededRandom) -> Vec<u8> {
    let (new, old) = (&file.written, &file.synced);
    match survival {
        Survival::Nothing => old.clone(),
        Survival::Everything => new.clone(),
        Survival::Zeros => {
            new.iter().zip(0..).map(|(b, i)| if old.get(i) == Some(b) { *b } else { 0 }).collect()
        }
        Survival::Mixed(_) if new == old => new.clone(),
        Survival::Mixed(_) => {
            let (short, long) = (new.len().min(old.len()), new.len().max(old.len()));
            let len = short + draw.below(long - short + 1);
            let mut out = Vec::with_capacity(len);
            while out.len() < len {
                let (use_old, use_new) = (draw.bit(), draw.bit());
                for i in out.len()..len.min(out.len() + 8) {
                    let (old, new) = (old.get(i).copied(), new.get(i).copied());
                    out.push(match (use_old, use_new) {
                        _ if old == new => old.unwrap_or(0),
                        (true, _) => old.unwrap_or(0),
                        (_, true) => new.unwrap_or(0),
                        _ => old.or(new).map_or(0, |_| 0),
                    });
                }
            }
            out
        }
    }
}

fn no_power() -> io::Error {
    io::Error::other("the power is off")
}

impl Disk {
    /// Counts the operation and says how many of its steps to take; `Err` if the power went off before it.
    fn begin(&mut self, operation: Operation) -> io::Result<usize> {
        if self.off {
            return Err(no_power());
        }
        let index = self.history.len();
        self.history.push(operation);
        match self.cut {
            Some((at, step)) if at == index => {
                self.off = true;
                Ok(step.min(operation.steps()))
            }
            _ => Ok(operation.steps()),
        }
    }

    fn end(&self) -> io::Result<()> {
        if self.off { Err(no_power()) } else { Ok(()) }
    }

    fn file(&mut self, name: FileName) -> io::Result<&mut File> {
        let file = self.names.get(&name).and_then(|file| self.files.get_mut(*file));
        file.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Does `change` if the power lasts for it.
    fn step(
        &mut self,
        operation: Operation,
        change: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.begin(operation)? > 0 {
            change(self)?;
        }
        self.end()
    }
}

impl Medium for FaultyMedium {
    fn read(&mut self, file: FileName) -> io::Result<Option<Vec<u8>>> {
        let mut disk = self.disk();
        disk.end()?;
        Ok(disk.file(file).ok().map(|f| f.written.clone()))
    }

    fn append(&mut self, file: FileName, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.disk();
        let steps = disk.begin(Operation::Append(file, bytes.len()))?;
        let used: usize =
            disk.names.values().filter_map(|i| disk.files.get(*i)).map(|f| f.written.len()).sum();
        let room = disk.capacity_bytes.map_or(usize::MAX, |capacity| capacity.saturating_sub(used));
        if !disk.names.contains_key(&file) {
            let index = disk.files.len();
            disk.files.push(File::default());
            disk.names.insert(file, index);
        }
        let fits = steps.min(room);
        disk.file(file)?.written.extend_from_slice(bytes.get(..fits).unwrap_or_default());
        if fits < steps {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.end()
    }

    fn truncate(&mut self, file: FileName, len_bytes: u64) -> io::Result<()> {
        self.disk().step(Operation::Truncate(file), |disk| {
            disk.file(file)?.written.truncate(usize::try_from(len_bytes).unwrap_or(usize::MAX));
            Ok(())
        })
    }

    fn sync(&mut self, file: FileName) -> io::Result<()> {
        self.disk().step(Operation::Sync(file), |disk| {
            let file = disk.file(file)?;
            file.synced.clone_from(&file.written);
            Ok(())
        })
    }

    fn rename(&mut self, from: FileName, to: FileName) -> io::Result<()> {
        self.disk().step(Operation::Rename(from, to), |disk| {
            let file = disk.names.remove(&from).ok_or(io::ErrorKind::NotFound)?;
            disk.names.insert(to, file);
            Ok(())
        })
    }

    fn remove(&mut self, file: FileName) -> io::Result<()> {
        self.disk().step(Operation::Remove(file), |disk| {
            disk.names.remove(&file);
            Ok(())
        })
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        self.disk().step(Operation::SyncDir, |disk| {
            disk.synced_names = disk.names.clone();
            Ok(())
        })
    }
}

/// The counter of a [`FaultyMedium`].
#[derive(Debug, Clone)]
pub struct SimulatedCounter {
    medium: FaultyMedium,
    id: CounterId,
}

impl SimulatedCounter {
    fn fault(source: io::Error) -> CounterError {
        CounterError::Io { path: "simulated counter".into(), source }
    }
}

impl Counter for SimulatedCounter {
    fn kind(&self) -> CounterKind {
        CounterKind::Simulated
    }

    fn id(&self) -> CounterId {
        self.id
    }

    fn read(&self) -> Result<u64, CounterError> {
        let disk = self.medium.disk();
        disk.end().map_err(Self::fault)?;
        Ok(disk.counter)
    }

    fn advance(&mut self) -> Result<u64, CounterError> {
        let mut disk = self.medium.disk();
        let advanced = disk.step(Operation::Advance, |disk| {
            disk.counter += 1;
            Ok(())
        });
        advanced.map_err(Self::fault)?;
        Ok(disk.counter)
    }
}

/// A vault whose device key is given: two vaults of one key are one device.
pub struct FixedVault(pub [u8; 32]);

impl KeyVault for FixedVault {
    fn sealing_key(&self, label: &str) -> Result<SealingKey, VaultError> {
        Ok(SealingKey::new(*SealingKey::new(self.0).derive(&[], label.as_bytes())))
    }
}

impl fmt::Debug for FixedVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FixedVault(..)")
    }
}

/// A clock that stands still until it is set. Clones are handles on one clock.
#[derive(Debug, Clone, Default)]
pub struct ManualClock(Arc<AtomicU32>);

impl ManualClock {
    /// A clock at `now_s` seconds since 1970.
    pub fn at(now_s: u32) -> Self {
        Self(Arc::new(AtomicU32::new(now_s)))
    }

    /// Sets the clock.
    pub fn set(&self, now_s: u32) {
        self.0.store(now_s, Ordering::SeqCst);
    }

    /// Moves the clock on, or stops at its last second.
    pub fn advance(&self, by_s: u32) {
        self.set(self.now_s().saturating_add(by_s));
    }
}

impl Clock for ManualClock {
    fn now_s(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Randomness that repeats itself: SHA-256 of seed and block number. Fit for tests only.
#[derive(Debug, Clone)]
pub struct SeededRandom {
    seed: u64,
    block: u64,
    left: Vec<u8>,
}

impl SeededRandom {
    /// The same `seed` gives the same bytes.
    pub fn new(seed: u64) -> Self {
        Self { seed, block: 0, left: Vec::new() }
    }

    fn byte(&mut self) -> u8 {
        loop {
            if let Some(byte) = self.left.pop() {
                return byte;
            }
            let block = [self.seed.to_be_bytes(), self.block.to_be_bytes()].concat();
            self.left = Sha256::digest(block).to_vec();
            self.block += 1;
        }
    }

    /// Heads or tails.
    pub fn bit(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A number below `end`, not quite evenly; 0 if `end` is.
    pub fn below(&mut self, end: usize) -> usize {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        (u32::from_be_bytes(bytes) as usize).checked_rem(end).unwrap_or(0)
    }
}

impl Random for SeededRandom {
    fn fill(&mut self, buf: &mut [u8]) {
        buf.fill_with(|| self.byte());
    }
}

/// The device key of [`open_store`].
pub const DEVICE_KEY: [u8; 32] = [7; 32];

/// Opens the store of wallet `label` on `medium`, with the medium's counter or none, on the device of [`DEVICE_KEY`].
///
/// # Errors
/// As [`SealedStore::open`].
pub fn open_store(
    medium: &FaultyMedium,
    label: &str,
    counted: bool,
) -> Result<SealedStore<FaultyMedium>, StoreOpenError> {
    let counter: Box<dyn Counter> = if counted { Box::new(medium.counter()) } else { Box::new(NoCounter) };
    let key = SealingKey::new(*SealingKey::new(DEVICE_KEY).derive(&[], label.as_bytes()));
    SealedStore::open(medium.clone(), counter, key, label)
}

/// A host over [`open_store`] with `clock`, and randomness from `seed`.
///
/// # Errors
/// As [`SealedStore::open`].
pub fn open_host(
    medium: &FaultyMedium,
    label: &str,
    counted: bool,
    clock: &ManualClock,
    seed: u64,
) -> Result<NativeHost<FaultyMedium>, StoreOpenError> {
    let store = open_store(medium, label, counted)?;
    Ok(NativeHost::new(store).with_clock(clock.clone()).with_random(SeededRandom::new(seed)))
}
