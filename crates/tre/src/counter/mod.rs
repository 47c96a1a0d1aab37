//! The monotonic counter: what makes an older copy of a wallet unusable.
//!
//! The store seals a counter value into every frame and advances the counter with every commit, so a state that was
//! put back from an older copy is behind the counter and says so ([`counterfoil_ta::env::Freshness::Stale`]).
//!
//! | module | noun |
//! |---|---|
//! | [`FileCounter`] | a file, which can be copied like the state |
//! | [`tpm`] | a non-volatile counter of a TPM 2.0 |
//! | [`platform`] | a callback that an application's bindings implement |
//! | [`check_contract`] | what all of them must do, as a check |

mod contract;
mod file;
pub mod platform;
pub mod tpm;

use std::io;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

pub use contract::{Broken, OpenCounter, check_contract};
pub use counterfoil_wire::element::CounterKind;
pub use file::FileCounter;
pub use platform::{PlatformCounter, PlatformCounting};
pub use tpm::TpmCounter;

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
    /// The TPM cannot be reached, or does not answer as the specification says.
    #[error("the TPM at {path} cannot be used: {reason}. Check that it is there and that you may open it")]
    Tpm {
        /// Its device, or socket.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// What the platform's counter did breaks the contract of its port.
    #[error("the platform's counter breaks its contract: {0}")]
    Contract(&'static str),
    /// The platform's counter failed.
    #[error("the platform's counter failed: {0}")]
    Platform(String),
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

/// The name of a file of the device folder that belongs to the wallet called `label`.
pub(crate) fn file_name(kind: &str, label: &str) -> String {
    let digest = Sha256::digest([b"counterfoil counter name v1\0", label.as_bytes()].concat());
    digest.iter().take(8).fold(format!("{kind}-"), |s, b| s + &format!("{b:02x}"))
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
