//! The machine as a trait: what may hold a trusted application, and what the application sees from inside.
//!
//! A machine is made from an image once and then called with commands. Its world is lent to it for one call and comes
//! back whatever happens in there, so that a machine that failed can be thrown away and another one started from the
//! durable state.

use counterfoil_ta::env::{Batch, Entry, Env, Freshness, Store, StoreError};

/// The imports of the application: randomness, host time, sealed store, counter. Any [`Env`] is one.
pub trait World: Send {
    /// Fills `buf` with random bytes fit for keys.
    fn random(&mut self, buf: &mut [u8]);
    /// The host's clock, seconds since 1970.
    fn now_s(&self) -> u32;
    /// What the counter says of the state's age.
    fn freshness(&self) -> Freshness;
    /// The value under `key`.
    ///
    /// # Errors
    /// [`StoreError`], as [`Store::get`].
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// Calls `visit` for each entry whose key starts with `prefix`, in order.
    ///
    /// # Errors
    /// [`StoreError`], as [`Store::scan`].
    fn scan(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError>;
    /// The first entry whose key starts with `prefix` and is not before `from`.
    ///
    /// # Errors
    /// [`StoreError`], as [`Store::first`].
    fn first(&self, prefix: &[u8], from: &[u8]) -> Result<Option<Entry>, StoreError>;
    /// Makes `batch` durable.
    ///
    /// # Errors
    /// [`StoreError`], as [`Store::commit`].
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError>;
}

impl<E: Env + Send> World for E {
    fn random(&mut self, buf: &mut [u8]) {
        self.fill_random(buf);
    }

    fn now_s(&self) -> u32 {
        Env::now_s(self)
    }

    fn freshness(&self) -> Freshness {
        Env::freshness(self)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store().get(key)
    }

    fn scan(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        self.store().scan(prefix, visit)
    }

    fn first(&self, prefix: &[u8], from: &[u8]) -> Result<Option<Entry>, StoreError> {
        self.store().first(prefix, from)
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.store_mut().commit(batch)
    }
}

/// What a machine may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Steps of one command, in the machine's own unit: about one an instruction.
    pub fuel: u64,
    /// The application's whole memory, bytes.
    pub memory_bytes: usize,
    /// The longest command and the longest response, bytes.
    pub message_bytes: usize,
}

impl Limits {
    /// Enough for a statement of the longest journal, the most that one command does; an endless loop ends within
    /// seconds.
    pub const DEFAULT: Self = Self { fuel: 20_000_000_000, memory_bytes: 128 << 20, message_bytes: 16 << 20 };
}

/// Why an image was not loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// It is no program that this machine runs: it is malformed, or it uses a feature that is switched off (a
    /// floating-point instruction, a start function).
    #[error("the image is no program that this machine runs: {0}")]
    Malformed(String),
    /// It asks for something that the machine does not give.
    #[error("the image asks for {0}, which no application gets")]
    Import(String),
    /// It lacks an export, or was made for another version of the interface.
    #[error("the image lacks what the machine calls: {0}")]
    Export(String),
}

/// Why a command got no answer. The machine is gone; what was durable before is durable still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VmFault {
    /// The application did what no program may: an instruction trapped, or it answered with memory that it does not have.
    #[error("the trusted application failed")]
    Trap,
    /// The command took more steps than any should.
    #[error("the trusted application did not come to an end")]
    OutOfFuel,
    /// The application asked for more memory than it may have.
    #[error("the trusted application wanted more memory than it may have")]
    OutOfMemory,
}

/// What came of one call: the world back, and the response or why there is none.
pub type Called = (Box<dyn World>, Result<Vec<u8>, VmFault>);

/// A machine with one trusted application.
pub trait Vm: Send + Sized {
    /// Prepares a machine for the image `wasm`; nothing of it runs yet.
    ///
    /// # Errors
    /// [`LoadError`].
    fn load(wasm: &[u8], limits: Limits) -> Result<Self, LoadError>;

    /// Carries out one command. After a fault the next call starts the application anew.
    fn call(&mut self, world: Box<dyn World>, command: &[u8]) -> Called;
}
