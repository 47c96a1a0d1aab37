//! The world as the trusted application sees it: four capabilities, each a trait or a method, given by whoever hosts
//! it (a native process in tests, the virtual secure element, a card).

use alloc::vec::Vec;

/// Why the host could not keep or return a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreError {
    /// The medium failed. Whether the last commit took effect is unknown until the store is opened again.
    Io,
    /// What was read is not what was written: a seal does not hold.
    Tampered,
    /// The store is full. Nothing was written.
    Full,
}

/// A set of changes that takes effect as a whole or not at all. Later changes to a key win over earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    ops: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key` to `value`.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.ops.push((key.into(), Some(value.into())));
    }

    /// Removes `key`; no error if it is absent.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        self.ops.push((key.into(), None));
    }

    /// The changes in order: `Some` puts, `None` deletes.
    pub fn ops(&self) -> &[(Vec<u8>, Option<Vec<u8>>)] {
        &self.ops
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }
}

/// A small ordered key-value store that survives a power cut at any point.
///
/// Contract, checked by the suite of every implementation: after `commit` returns `Ok` the batch is durable; after a
/// crash during `commit` either all of the batch is there or none of it; `get`, `scan` and `first` see committed batches only.
pub trait Store {
    /// The value under `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Calls `visit(key, value)` for each key that starts with `prefix`, in ascending order of keys.
    fn scan(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError>;

    /// The first entry whose key starts with `prefix` and is not before `from`. A store of many entries finds it without
    /// looking at all of them.
    fn first(&self, prefix: &[u8], from: &[u8]) -> Result<Option<Entry>, StoreError> {
        let mut found = None;
        self.scan(prefix, &mut |key, value| {
            if found.is_none() && key >= from {
                found = Some((key.to_vec(), value.to_vec()));
            }
        })?;
        Ok(found)
    }

    /// Makes `batch` durable, whole.
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError>;
}

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// What the host can say about the age of the state it opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// A monotonic counter agrees: this is the newest state (or there is none yet).
    Proven,
    /// No counter exists. An older copy cannot be told from the newest; the grade says so.
    Unprovable,
    /// The counter is ahead of the state: this is an older copy. The first batch that is committed on it must bring state
    /// and counter in step, so that what was committed is proven the next time; the application commits none but one
    /// that replaces everything.
    Stale,
}

/// What a host provides.
pub trait Env {
    /// The host's durable store.
    type Store: Store;

    /// The store, for reading.
    fn store(&self) -> &Self::Store;

    /// The store, for writing.
    fn store_mut(&mut self) -> &mut Self::Store;

    /// Fills `buf` with random bytes fit for keys.
    fn fill_random(&mut self, buf: &mut [u8]);

    /// The host's clock, in seconds since 1970. It may lie; it is never stored.
    fn now_s(&self) -> u32;

    /// Whether the state that was opened is the newest.
    fn freshness(&self) -> Freshness;
}
