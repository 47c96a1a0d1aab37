//! A device: the real trusted application over a store in memory.
//!
//! Between two commands a device *is* what its store holds, as after a restart, so every step of the model is also a
//! test of starting again. A command is carried out once for each stored state, time and command, and what it gave is
//! remembered with the stored state after each commit: a crash at a durable write is a step that ends at one of these,
//! with no answer. Randomness is drawn from state and command, so that the same step gives the same bytes; after a
//! crash it is drawn anew, as on a device.

use std::collections::BTreeMap;
use std::sync::Arc;

use counterfoil_ta::TrustedApp;
use counterfoil_ta::api::{Command, Overview, Reply, Response};
use counterfoil_ta::env::{Batch, Env, Freshness, Store, StoreError};
use counterfoil_trust::sha256;
use counterfoil_wire::{Code, Wire};

use crate::intern::{Interner, Memo};

type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// What a device keeps when its power is cut.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Device {
    /// Numbers of its records, in order of their keys.
    records: Box<[u32]>,
    /// Tells its randomness from other devices'.
    salt: u8,
    /// Crashes so far: randomness is drawn anew after one.
    crashes: u8,
}

/// What one command does to one stored state.
#[derive(Debug, Clone)]
pub struct Step {
    /// The device after each commit, in order; empty where nothing was written.
    pub after: Vec<u32>,
    /// The answer, if the device lives to give it.
    pub reply: Result<Reply, Code>,
}

/// Every device state that was reached, and what every command did to it.
#[derive(Default)]
pub struct Devices {
    pairs: Interner<(Vec<u8>, Vec<u8>)>,
    devices: Interner<Device>,
    commands: Interner<Vec<u8>>,
    steps: Memo<(u32, u32, u32), Arc<Step>>,
    views: Memo<u32, Arc<Overview>>,
}

impl Devices {
    /// A device with an empty store.
    pub fn blank(&self, salt: u8) -> u32 {
        self.devices.number(Device { records: Box::new([]), salt, crashes: 0 })
    }

    /// What `command` does to `device` when its clock says `now_s`.
    pub fn step(&self, device: u32, command: &Command, now_s: u32) -> Arc<Step> {
        let bytes = command.to_bytes();
        let number = self.commands.number(bytes.clone());
        self.steps.get((device, number, now_s), || Arc::new(self.run(device, &bytes, now_s)))
    }

    /// What the holder of `device` may see.
    pub fn view(&self, device: u32) -> Arc<Overview> {
        self.views.get(device, || {
            let step = self.run(device, &Command::Show {}.to_bytes(), 0);
            match step.reply {
                Ok(Reply::Overview { overview }) => Arc::new(overview),
                other => panic!("no overview but {other:?}"),
            }
        })
    }

    /// The device after it died and was started again.
    pub fn crashed(&self, device: u32) -> u32 {
        let device = self.devices.value(device);
        self.devices.number(Device { crashes: device.crashes.wrapping_add(1), ..(*device).clone() })
    }

    /// Distinct stored states, and distinct steps carried out.
    pub fn counts(&self) -> (usize, usize) {
        (self.devices.count(), self.steps.count())
    }

    fn run(&self, device: u32, command: &[u8], now_s: u32) -> Step {
        let device = self.devices.value(device);
        let pairs = device.records.iter().map(|pair| (*self.pairs.value(*pair)).clone());
        let records: Records = pairs.collect();
        let mut seed = vec![device.salt, device.crashes];
        seed.extend_from_slice(records.get(b"=core".as_slice()).map_or(&[], Vec::as_slice));
        seed.extend_from_slice(command);
        let memory = Memory { records, after: Vec::new() };
        let host = Host { memory, seed: sha256(&seed).0, drawn: 0, now_s };
        let mut app = TrustedApp::open(host);
        let reply = Response::from_bytes(&app.process(command)).expect("a response can be read").0;
        let after = app.env().memory.after.iter().map(|records| self.intern(&device, records)).collect();
        Step { after, reply: reply.map_err(|error| error.code) }
    }

    fn intern(&self, before: &Device, records: &Records) -> u32 {
        let numbers =
            records.iter().map(|(key, value)| self.pairs.number((key.clone(), value.clone()))).collect();
        self.devices.number(Device { records: numbers, ..before.clone() })
    }
}

/// A store in memory that remembers what it held after each commit.
struct Memory {
    records: Records,
    after: Vec<Records>,
}

impl Store for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.records.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        let from = self.records.range(prefix.to_vec()..);
        from.take_while(|(key, _)| key.starts_with(prefix)).for_each(|(key, value)| visit(key, value));
        Ok(())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        for (key, value) in batch.ops() {
            match value {
                Some(value) => self.records.insert(key.clone(), value.clone()),
                None => self.records.remove(key),
            };
        }
        self.after.push(self.records.clone());
        Ok(())
    }
}

struct Host {
    memory: Memory,
    seed: [u8; 32],
    drawn: u32,
    now_s: u32,
}

impl Env for Host {
    type Store = Memory;

    fn store(&self) -> &Memory {
        &self.memory
    }

    fn store_mut(&mut self) -> &mut Memory {
        &mut self.memory
    }

    fn fill_random(&mut self, buf: &mut [u8]) {
        for chunk in buf.chunks_mut(32) {
            let mut block = self.seed.to_vec();
            block.extend_from_slice(&self.drawn.to_be_bytes());
            self.drawn += 1;
            chunk.copy_from_slice(&sha256(&block).0[..chunk.len()]);
        }
    }

    fn now_s(&self) -> u32 {
        self.now_s
    }

    fn freshness(&self) -> Freshness {
        Freshness::Unprovable
    }
}
