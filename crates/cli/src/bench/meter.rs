//! What a payment costs outside of the machine: sealing, syncing, bytes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use counterfoil_ta::env::{Batch, Entry, Env, Freshness, Store, StoreError};
use counterfoil_tre::medium::FileName;
use counterfoil_tre::{Medium, NativeHost};
use cpu_time::ThreadTime;

/// Counts on while it is shared: processor time in nanoseconds, and bytes.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// Time in commits, syncs and look-ups included.
    store_ns: AtomicU64,
    /// Time in syncs.
    sync_ns: AtomicU64,
    bytes: AtomicU64,
}

/// What a [`Meter`] stood at.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) store_ns: u64,
    pub(crate) sync_ns: u64,
    pub(crate) bytes: u64,
}

impl Meter {
    pub(crate) fn read(&self) -> Reading {
        Reading {
            store_ns: self.store_ns.load(Ordering::Relaxed),
            sync_ns: self.sync_ns.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    fn timed<T>(counter: &AtomicU64, run: impl FnOnce() -> T) -> T {
        let start = ThreadTime::now();
        let done = run();
        let spent = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        counter.fetch_add(spent, Ordering::Relaxed);
        done
    }
}

/// A medium that counts what is written and how long syncs take.
pub(crate) struct MeteredMedium<M> {
    pub(crate) inner: M,
    pub(crate) meter: Arc<Meter>,
}

impl<M: Medium> Medium for MeteredMedium<M> {
    fn read(&mut self, file: FileName) -> io::Result<Option<Vec<u8>>> {
        self.inner.read(file)
    }

    fn append(&mut self, file: FileName, bytes: &[u8]) -> io::Result<()> {
        self.meter.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.inner.append(file, bytes)
    }

    fn truncate(&mut self, file: FileName, len_bytes: u64) -> io::Result<()> {
        self.inner.truncate(file, len_bytes)
    }

    fn sync(&mut self, file: FileName) -> io::Result<()> {
        Meter::timed(&self.meter.sync_ns, || self.inner.sync(file))
    }

    fn rename(&mut self, from: FileName, to: FileName) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&mut self, file: FileName) -> io::Result<()> {
        self.inner.remove(file)
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        Meter::timed(&self.meter.sync_ns, || self.inner.sync_dir())
    }
}

/// A host whose store is metered.
pub(crate) struct MeteredHost<M: Medium> {
    pub(crate) inner: NativeHost<M>,
    pub(crate) meter: Arc<Meter>,
}

impl<M: Medium> Store for MeteredHost<M> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Meter::timed(&self.meter.store_ns, || self.inner.store().get(key))
    }

    fn scan(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        self.inner.store().scan(prefix, visit)
    }

    fn first(&self, prefix: &[u8], from: &[u8]) -> Result<Option<Entry>, StoreError> {
        self.inner.store().first(prefix, from)
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        Meter::timed(&self.meter.store_ns, || self.inner.store_mut().commit(batch))
    }
}

impl<M: Medium> Env for MeteredHost<M> {
    type Store = Self;

    fn store(&self) -> &Self {
        self
    }

    fn store_mut(&mut self) -> &mut Self {
        self
    }

    fn fill_random(&mut self, buf: &mut [u8]) {
        self.inner.fill_random(buf);
    }

    fn now_s(&self) -> u32 {
        self.inner.now_s()
    }

    fn freshness(&self) -> Freshness {
        self.inner.freshness()
    }
}
