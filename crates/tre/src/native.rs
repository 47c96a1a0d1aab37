//! The TA's world on an ordinary computer: a sealed store, the system's randomness and clock.

use crate::binding::Binding;
use crate::counter::{
    Counter, CounterError, FileCounter, NoCounter, PlatformCounter, PlatformCounting, TpmCounter,
};
use crate::durable;
use crate::medium::{DiskMedium, DiskOpenError, Medium};
use crate::store::{SealedStore, StoreOpenError};
use crate::vault::{DeviceFolder, KeyVault, VaultError};
use counterfoil_ta::env::{Env, Freshness};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fmt, fs, io};

/// A source of the time, in seconds since 1970.
pub trait Clock: Send {
    /// The time now. Before 1970 it is 0, after 2106 the largest `u32`.
    fn now_s(&self) -> u32;
}

impl<F: Fn() -> u32 + Send> Clock for F {
    fn now_s(&self) -> u32 {
        self()
    }
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_s(&self) -> u32 {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u32::try_from(since_1970.as_secs()).unwrap_or(u32::MAX)
    }
}

/// A source of random bytes fit for keys.
pub trait Random: Send {
    /// Fills `buf`.
    fn fill(&mut self, buf: &mut [u8]);
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    /// Ends the process if the system, which gave randomness when the store was opened, gives none any more. A key or
    /// a nonce from anything else would be worse than no answer, and the store survives an end at any point.
    fn fill(&mut self, buf: &mut [u8]) {
        if getrandom::fill(buf).is_err() {
            std::process::abort();
        }
    }
}

/// The world of a TA that runs in this process.
pub struct NativeHost<M = DiskMedium> {
    store: SealedStore<M>,
    clock: Box<dyn Clock>,
    random: Box<dyn Random>,
}

impl<M: Medium> NativeHost<M> {
    /// A host over `store`, with the system's clock and randomness.
    pub fn new(store: SealedStore<M>) -> Self {
        Self { store, clock: Box::new(SystemClock), random: Box::new(OsRandom) }
    }

    /// The same host with another clock, for tests and simulation.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock + 'static) -> Self {
        Self { clock: Box::new(clock), ..self }
    }

    /// The same host with other randomness for the TA, for tests and simulation. Seals keep the system's: a repeated
    /// nonce would give the store's key away, and nobody needs to repeat one.
    #[must_use]
    pub fn with_random(self, random: impl Random + 'static) -> Self {
        Self { random: Box::new(random), ..self }
    }
}

impl<M: Medium> Env for NativeHost<M> {
    type Store = SealedStore<M>;

    fn store(&self) -> &Self::Store {
        &self.store
    }

    fn store_mut(&mut self) -> &mut Self::Store {
        &mut self.store
    }

    fn fill_random(&mut self, buf: &mut [u8]) {
        self.random.fill(buf);
    }

    fn now_s(&self) -> u32 {
        self.clock.now_s()
    }

    fn freshness(&self) -> Freshness {
        self.store.freshness()
    }
}

impl<M> fmt::Debug for NativeHost<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeHost").field("store", &self.store).finish_non_exhaustive()
    }
}

/// What a wallet is to be protected from rollback by.
#[derive(Clone, Default)]
pub enum CounterChoice {
    /// Nothing on the device.
    #[default]
    None,
    /// A file in the device folder.
    File,
    /// A counter of the TPM 2.0 at this path: a resource manager's device, or an emulator's socket.
    Tpm(PathBuf),
    /// A counter that the platform keeps.
    Platform(Arc<dyn PlatformCounting>),
}

impl CounterChoice {
    fn open(&self, device: &DeviceFolder, label: &str) -> Result<Box<dyn Counter>, CounterError> {
        Ok(match self {
            Self::None => Box::new(NoCounter),
            Self::File => Box::new(FileCounter::open(device, label)?),
            Self::Tpm(path) => Box::new(TpmCounter::open(path, device, label)?),
            Self::Platform(platform) => Box::new(PlatformCounter::open(platform.clone(), label)?),
        })
    }
}

impl fmt::Debug for CounterChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::File => "File",
            Self::Tpm(_) => "Tpm(..)",
            Self::Platform(_) => "Platform(..)",
        })
    }
}

/// Why a native wallet could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another command uses the wallet, or its home cannot be used.
    #[error(transparent)]
    Home(#[from] DiskOpenError),
    /// The device folder lies in the wallet's home: whoever copies the home would have the key too.
    #[error(
        "the device folder {} lies inside the wallet's home {}. Give a device folder elsewhere: \
         a key kept beside what it seals protects nothing", device.display(), home.display()
    )]
    DeviceInsideHome {
        /// The device folder.
        device: PathBuf,
        /// The wallet's home.
        home: PathBuf,
    },
    /// The folders cannot be made or found.
    #[error("the folder {} cannot be used: {source}. Check that it exists and is yours", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The device key cannot be had.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The counter cannot be had.
    #[error(transparent)]
    Counter(#[from] CounterError),
    /// The state cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreOpenError),
}

/// How long [`open_native`] waits for another command that uses the same wallet.
pub const LOCK_WAIT: Duration = Duration::from_secs(3);

/// Opens the wallet in the folder `home`, sealed by the device folder `device`; makes both folders if there are none.
///
/// `label` names the wallet on this device. It goes into the sealing key and the counter's name, so it must be the
/// same each time and differ between the wallets of one device. The home stays locked while the host lives.
///
/// An older copy is no error: the host opens and says [`Freshness::Stale`], with the reason in its store's report.
///
/// # Errors
/// [`OpenError`], in words for the person at the keyboard.
pub fn open_native(
    home: &Path,
    device: &Path,
    label: &str,
    counter: &CounterChoice,
) -> Result<NativeHost, OpenError> {
    open_host(home, device, Binding::native(label), counter, None)
}

/// As [`open_native`], for the application and the image of `binding`, sealed by `vault` if there is one, else by the device
/// folder.
///
/// # Errors
/// As [`open_native`]; [`StoreOpenError::ImageOlder`] and [`StoreOpenError::ImageAltered`] where another image has run on the
/// state, and nothing is changed then.
pub fn open_host(
    home: &Path,
    device: &Path,
    binding: Binding,
    counter: &CounterChoice,
    vault: Option<&dyn KeyVault>,
) -> Result<NativeHost, OpenError> {
    let label = binding.label.clone();
    let resolve = |path: &Path| {
        durable::create_private_dir(path)
            .and_then(|()| fs::canonicalize(path))
            .map_err(|source| OpenError::Folder { path: path.to_path_buf(), source })
    };
    let (home, device) = (resolve(home)?, resolve(device)?);
    if device.starts_with(&home) {
        return Err(OpenError::DeviceInsideHome { device, home });
    }
    // The lock comes first: a second command must not read a counter that the first is about to advance.
    let medium = DiskMedium::open(&home, LOCK_WAIT)?;
    let folder = DeviceFolder::open(&device)?;
    let counter = counter.open(&folder, &label)?;
    let key = vault.unwrap_or(&folder).sealing_key(&label)?;
    let store = SealedStore::open(medium, counter, key, binding)?;
    Ok(NativeHost::new(store))
}
