//! A counter that the platform keeps for the application: Android's Keystore, iOS, anything that bindings can reach.
//!
//! The bindings implement [`PlatformCounting`]; [`PlatformCounter`] makes a counter of it and checks what can be checked of
//! the contract at every call, for a counter that lies is worse than none. `docs/ports/counter.md` is the contract in full,
//! with how each platform can keep it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Counter, CounterError, CounterId, CounterKind};

/// What an application's bindings give. Any thread may call, one call at a time. A failure is told in words, for people.
pub trait PlatformCounting: Send + Sync {
    /// Names the counter of the wallet called `label` for its life: 16 bytes, not all zeros, that a counter made in its
    /// place does not have again. Makes the counter if there is none.
    ///
    /// # Errors
    /// What the platform says, in words.
    fn identity(&self, label: &str) -> Result<[u8; 16], String>;

    /// How often the counter was advanced since it was made.
    ///
    /// # Errors
    /// What the platform says, in words.
    fn value(&self, label: &str) -> Result<u64, String>;

    /// Adds one. When this returns `Ok`, no power cut, restart, reinstallation or restored backup brings the old value back;
    /// after an error either value may stand.
    ///
    /// # Errors
    /// What the platform says, in words.
    fn increment(&self, label: &str) -> Result<(), String>;

    /// Certificates with which the platform attests to what keeps the counter, for this challenge, the leaf first, as DER;
    /// nothing where it cannot.
    ///
    /// # Errors
    /// What the platform says, in words.
    fn attest(&self, label: &str, challenge: &[u8; 32]) -> Result<Option<Vec<Vec<u8>>>, String>;
}

/// A counter over a platform's callbacks.
pub struct PlatformCounter {
    platform: Arc<dyn PlatformCounting>,
    label: String,
    id: CounterId,
    /// The highest value seen. Nothing below it is ever believed again.
    seen: AtomicU64,
}

impl PlatformCounter {
    /// The counter that `platform` keeps for the wallet called `label`.
    ///
    /// # Errors
    /// [`CounterError::Platform`]; [`CounterError::Contract`] for an identity of zeros.
    pub fn open(platform: Arc<dyn PlatformCounting>, label: &str) -> Result<Self, CounterError> {
        let id = platform.identity(label).map_err(CounterError::Platform)?;
        if id == [0; 16] {
            return Err(CounterError::Contract("its identity is all zeros"));
        }
        let counter = Self { platform, label: label.to_owned(), id, seen: AtomicU64::new(0) };
        counter.read()?;
        Ok(counter)
    }
}

impl Counter for PlatformCounter {
    fn kind(&self) -> CounterKind {
        CounterKind::Platform
    }

    fn id(&self) -> CounterId {
        self.id
    }

    fn read(&self) -> Result<u64, CounterError> {
        if self.platform.identity(&self.label).map_err(CounterError::Platform)? != self.id {
            return Err(CounterError::Contract("its identity changed while it was in use"));
        }
        let value = self.platform.value(&self.label).map_err(CounterError::Platform)?;
        if value < self.seen.fetch_max(value, Ordering::SeqCst) {
            return Err(CounterError::Contract("it went back"));
        }
        Ok(value)
    }

    fn advance(&mut self) -> Result<u64, CounterError> {
        let before = self.read()?;
        self.platform.increment(&self.label).map_err(CounterError::Platform)?;
        match self.read()? {
            // More is another process's doing, which the store finds out about.
            value if value > before => Ok(value),
            _ => Err(CounterError::Contract("it said that it counted, and did not")),
        }
    }
}

impl fmt::Debug for PlatformCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlatformCounter").field("seen", &self.seen).finish_non_exhaustive()
    }
}
