//! A small world in memory, and images to run in it.

use counterfoil_ta::env::{Batch, Env, Freshness, Store, StoreError};
use counterfoil_tre::virtual_se::image::{SHIPPED_SEAL, SHIPPED_WASM};
use counterfoil_tre::{Image, ImagePolicy};
use counterfoil_trust::image::{ImageStatement, development_signer};
use counterfoil_trust::sha256;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What survives a machine.
#[derive(Debug, Clone, Default)]
pub struct Records(pub Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>);

impl Records {
    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.lock().unwrap().get(key).cloned()
    }
}

impl Store for Records {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(Records::get(self, key))
    }

    fn scan(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        for (key, value) in self.0.lock().unwrap().iter().filter(|(key, _)| key.starts_with(prefix)) {
            visit(key, value);
        }
        Ok(())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let mut records = self.0.lock().unwrap();
        for (key, value) in batch.ops() {
            match value {
                Some(value) => records.insert(key.clone(), value.clone()),
                None => records.remove(key),
            };
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
pub struct World {
    pub records: Records,
    pub random: u8,
}

impl Env for World {
    type Store = Records;

    fn store(&self) -> &Records {
        &self.records
    }

    fn store_mut(&mut self) -> &mut Records {
        &mut self.records
    }

    fn fill_random(&mut self, buf: &mut [u8]) {
        for byte in buf {
            self.random = self.random.wrapping_mul(5).wrapping_add(17);
            *byte = self.random;
        }
    }

    fn now_s(&self) -> u32 {
        1_800_000_000
    }

    fn freshness(&self) -> Freshness {
        Freshness::Unprovable
    }
}

/// A module under a good seal of this version.
pub fn sealed(wasm: &[u8], version: u32) -> Image {
    let policy = ImagePolicy { version_min: 1, ..ImagePolicy::shipped() };
    Image::load(wasm, &seal_of(wasm, version), &policy).unwrap()
}

pub fn seal_of(wasm: &[u8], version: u32) -> Vec<u8> {
    let key = development_signer().unwrap();
    let interface = counterfoil_ta::abi::VERSION;
    ImageStatement { version, interface, hash: sha256(wasm), signer: key.public() }.sealed_by(&key)
}

/// The image under test: what this build ships, or the one that `COUNTERFOIL_IMAGE` names.
pub fn shipped() -> (Vec<u8>, Vec<u8>) {
    match std::env::var_os("COUNTERFOIL_IMAGE") {
        Some(path) => {
            let wasm = std::fs::read(path).unwrap();
            let seal = seal_of(&wasm, 1);
            (wasm, seal)
        }
        None => (SHIPPED_WASM.to_vec(), SHIPPED_SEAL.to_vec()),
    }
}
