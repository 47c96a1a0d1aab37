//! A device in memory: records, clock and randomness, shared by a wallet's host and the test.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use counterfoil_ta::env::{Batch, Env, Freshness, Store, StoreError};

/// A trusted application behind its door: command bytes in, response bytes out.
pub type Door = Box<dyn FnMut(&[u8]) -> Vec<u8>>;

/// What happens at a commit, for tests that cut the power.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    Before,
    After,
}

/// Shared by a wallet's host and the test.
#[derive(Default)]
pub struct Device {
    pub records: RefCell<BTreeMap<Vec<u8>, Vec<u8>>>,
    pub now_s: Cell<u32>,
    pub random: Cell<u64>,
    pub cut: Cell<Option<(u32, Cut)>>,
    pub commits: Cell<u32>,
    pub bytes_written: Cell<usize>,
    pub stale: Cell<bool>,
}

/// Records in memory, with the cuts that a test asks for.
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
        let device = &self.0;
        device.commits.set(device.commits.get() + 1);
        let cut = device.cut.get().filter(|(at, _)| *at == device.commits.get()).map(|(_, cut)| cut);
        if cut == Some(Cut::Before) {
            return Err(StoreError::Io);
        }
        let mut records = device.records.borrow_mut();
        let mut written = 0;
        for (key, value) in batch.ops() {
            written += key.len() + value.as_ref().map_or(0, Vec::len);
            match value {
                Some(value) => records.insert(key.clone(), value.clone()),
                None => records.remove(key),
            };
        }
        device.bytes_written.set(written);
        if cut == Some(Cut::After) { Err(StoreError::Io) } else { Ok(()) }
    }
}

/// The application's world, over a device.
pub struct Host {
    device: Rc<Device>,
    store: MemoryStore,
}

impl Host {
    pub fn new(device: &Rc<Device>) -> Self {
        Self { device: device.clone(), store: MemoryStore(device.clone()) }
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
        for byte in buf {
            // SplitMix64: repeatable, and different for each wallet by its seed.
            let mut x = self.device.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
            self.device.random.set(x);
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = (x ^ (x >> 31)) as u8;
        }
    }
    fn now_s(&self) -> u32 {
        self.device.now_s.get()
    }
    fn freshness(&self) -> Freshness {
        if self.device.stale.get() { Freshness::Stale } else { Freshness::Unprovable }
    }
}
