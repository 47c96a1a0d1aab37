//! A host in memory.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use counterfoil_ta::env::{Batch, Env, Freshness, Store, StoreError};
use counterfoil_trust::sha256;

use super::START_S;

/// Where random bytes come from. Either way they are remembered until [`Device::take_drawn`].
#[derive(Debug, Clone)]
enum Source {
    /// SHA-256 of seed and counter, byte for byte.
    Seed { seed: u64, block: u64, rest: Vec<u8> },
    /// What was drawn before, once more. What lies beyond it is zero, and counted.
    Played { bytes: Vec<u8>, missing: usize },
}

/// What survives the application: records, clock, randomness. Shared by the application's host and whoever drives it.
pub struct Device {
    records: RefCell<BTreeMap<Vec<u8>, Vec<u8>>>,
    source: RefCell<Source>,
    drawn: RefCell<Vec<u8>>,
    /// The host's clock, seconds since 1970.
    pub now_s: Cell<u32>,
    /// Whether a counter shows that the records are an older copy.
    pub stale: Cell<bool>,
}

impl Device {
    fn with(source: Source) -> Rc<Self> {
        Rc::new(Self {
            records: RefCell::default(),
            source: RefCell::new(source),
            drawn: RefCell::default(),
            now_s: Cell::new(START_S),
            stale: Cell::new(false),
        })
    }

    /// An empty device whose randomness follows from `seed`.
    pub fn seeded(seed: u64) -> Rc<Self> {
        Self::with(Source::Seed { seed, block: 0, rest: Vec::new() })
    }

    /// An empty device whose randomness is given by [`Device::play`].
    pub fn played() -> Rc<Self> {
        Self::with(Source::Played { bytes: Vec::new(), missing: 0 })
    }

    /// A device with the same records and clock, as a thief would make it. Its randomness is another.
    pub fn copy(&self) -> Rc<Self> {
        let source = match &*self.source.borrow() {
            Source::Seed { seed, .. } => Source::Seed { seed: seed ^ (1 << 63), block: 0, rest: Vec::new() },
            Source::Played { .. } => Source::Played { bytes: Vec::new(), missing: 0 },
        };
        self.beside(source)
    }

    /// A device with the same records and clock, whose randomness follows from `seed`.
    pub fn branch(&self, seed: u64) -> Rc<Self> {
        self.beside(Source::Seed { seed, block: 0, rest: Vec::new() })
    }

    fn beside(&self, source: Source) -> Rc<Self> {
        let copy = Self::with(source);
        *copy.records.borrow_mut() = self.records.borrow().clone();
        copy.now_s.set(self.now_s.get());
        copy
    }

    /// The bytes that will be drawn next. Returns how many of the ones before were left over, or were missing.
    pub fn play(&self, bytes: Vec<u8>) -> (usize, usize) {
        let next = Source::Played { bytes, missing: 0 };
        match self.source.replace(next) {
            Source::Played { bytes, missing } => (bytes.len(), missing),
            Source::Seed { .. } => (0, 0),
        }
    }

    /// What was drawn since this was last asked.
    pub fn take_drawn(&self) -> Vec<u8> {
        self.drawn.take()
    }

    fn draw(&self, buf: &mut [u8]) {
        match &mut *self.source.borrow_mut() {
            Source::Seed { seed, block, rest } => {
                while rest.len() < buf.len() {
                    let place = [seed.to_be_bytes(), block.to_be_bytes()].concat();
                    rest.extend_from_slice(&sha256(&place).0);
                    *block = block.wrapping_add(1);
                }
                let len = buf.len();
                buf.iter_mut().zip(rest.drain(..len)).for_each(|(to, from)| *to = from);
            }
            Source::Played { bytes, missing } => {
                let there = bytes.len().min(buf.len());
                *missing += buf.len() - there;
                buf.fill(0);
                buf.iter_mut().zip(bytes.drain(..there)).for_each(|(to, from)| *to = from);
            }
        }
        self.drawn.borrow_mut().extend_from_slice(buf);
    }
}

/// The application's view of a device.
pub struct Host {
    device: Rc<Device>,
    store: MemoryStore,
}

impl Host {
    /// The host over `device`.
    pub fn new(device: &Rc<Device>) -> Self {
        Self { device: device.clone(), store: MemoryStore(device.clone()) }
    }
}

/// The device's records.
pub struct MemoryStore(Rc<Device>);

impl Store for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.records.borrow().get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        for (key, value) in self.0.records.borrow().iter().filter(|(key, _)| key.starts_with(prefix)) {
            visit(key, value);
        }
        Ok(())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let mut records = self.0.records.borrow_mut();
        for (key, value) in batch.ops() {
            match value {
                Some(value) => records.insert(key.clone(), value.clone()),
                None => records.remove(key),
            };
        }
        Ok(())
    }
}

impl Env for Host {
    type Store = MemoryStore;

    fn store(&self) -> &MemoryStore {
        &self.store
    }

    fn store_mut(&mut self) -> &mut MemoryStore {
        &mut self.store
    }

    fn fill_random(&mut self, buf: &mut [u8]) {
        self.device.draw(buf);
    }

    fn now_s(&self) -> u32 {
        self.device.now_s.get()
    }

    fn freshness(&self) -> Freshness {
        if self.device.stale.get() { Freshness::Stale } else { Freshness::Unprovable }
    }
}
