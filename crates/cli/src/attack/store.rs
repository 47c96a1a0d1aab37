//! Attacks on the sealed files of a wallet, each on a fresh copy of home and device.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use counterfoil_tre::testing::platform::SimulatedPlatform;
use counterfoil_tre::{OpenError, StoreOpenError};
use counterfoil_wallet::{Counter, Device, Freshness, Home, Kind, Overview, Wallet, WalletError};
use counterfoil_wire::{Algorithm, Digest};

use super::{Attack, Stage, Verdict};
use crate::scene::{Actor, Part, copy_folder};

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "a bit of the sealed state is flipped",
        expected: Verdict::Prevented,
        by: "the seal of each frame; the counter, where the last frame is lost with it",
        when: "when the wallet is opened",
        bound: "",
        mount: |stage| {
            over_slots(stage, "flipped", |file, at| {
                if let Some(byte) = file.get_mut(at) {
                    *byte ^= 0x10;
                }
            })
        },
    },
    Attack {
        name: "the sealed state is cut short",
        expected: Verdict::Prevented,
        by: "the counter",
        when: "when the wallet is opened",
        bound: "",
        mount: |stage| over_slots(stage, "cut", |file, at| file.truncate(at)),
    },
    Attack {
        name: "the slots are swapped, or one stands for both",
        expected: Verdict::Prevented,
        by: "the slot's name under its seals",
        when: "when the wallet is opened",
        bound: "",
        mount: swapped,
    },
    Attack {
        name: "another wallet's files of the same device are put in place",
        expected: Verdict::Prevented,
        by: "the wallet's label in its sealing key",
        when: "when the wallet is opened",
        bound: "",
        mount: |stage| {
            let [mine, other] = ["Dora", "Edgar"].map(|name| victim(stage, name, "others"));
            let (mine, other) = (mine?, other?);
            let trial = Trial::of(stage, &mine, "others")?;
            trial.put(slots(other.home().dir())?, &|_, _| {})
        },
    },
    Attack {
        name: "the home is copied to another device",
        expected: Verdict::Prevented,
        by: "the device's key, which is never beside what it seals",
        when: "when the wallet is opened",
        bound: "",
        mount: |stage| {
            let actor = victim(stage, "Dora", "moved")?;
            let other = Device::new(stage.dir.path().join("other-device"));
            counterfoil_tre::DeviceFolder::open(other.folder())?;
            let refused = Wallet::open(&actor.home(), &other).err();
            Ok(Verdict::refused(matches!(reason(refused.as_ref()), Some(StoreOpenError::OtherDevice))))
        },
    },
    Attack {
        name: "another application of the same device opens the wallet",
        expected: Verdict::Prevented,
        by: "the application's identity under the seals",
        when: "when the wallet is opened",
        bound: "a host that lies about who it is: see \"the host opens the seals itself\"",
        mount: |stage| {
            let actor = victim(stage, "Dora", "application")?;
            let other = actor.device().clone();
            let other = other.with_platform(Digest([1; 32]), Arc::new(SimulatedPlatform::default()));
            let refused = Wallet::open(&actor.home(), &other).err();
            Ok(Verdict::refused(matches!(reason(refused.as_ref()), Some(StoreOpenError::OtherApplication))))
        },
    },
];

/// Why the store did not open.
fn reason(refused: Option<&WalletError>) -> Option<&StoreOpenError> {
    match refused {
        Some(WalletError::Element(OpenError::Store(reason))) => Some(reason),
        _ => None,
    }
}

type Slots = BTreeMap<&'static str, Vec<u8>>;

/// A funded wallet with some history, and with a counter, so that a lost frame is no older state.
fn victim(stage: &Stage, name: &'static str, attack: &str) -> Result<Actor> {
    let dir = stage.dir.path().join(attack);
    let (kind, algorithm) = (Kind::Wallet, Algorithm::EdDsa);
    let part = Part { name, psp: "alpha", kind, algorithm, counter: Counter::File };
    let actor = Actor::enrol(&dir, &stage.operator, &part)?;
    actor.fund(super::rollback::eur(1_000), &stage.operator)?;
    actor.request(Some(super::rollback::eur(100)), &format!("{name}.cbor"))?;
    Ok(actor)
}

fn slots(home: &Path) -> Result<Slots> {
    let mut slots = Slots::new();
    for name in ["slot-0", "slot-1"] {
        if let Ok(bytes) = std::fs::read(home.join(name)) {
            slots.insert(name, bytes);
        }
    }
    Ok(slots)
}

/// Home and device of a wallet as they were, to be put back before each try.
struct Trial<'a> {
    actor: &'a Actor,
    saved: [std::path::PathBuf; 2],
    before: Overview,
}

impl<'a> Trial<'a> {
    fn of(stage: &Stage, actor: &'a Actor, attack: &str) -> Result<Self> {
        let before = actor.overview()?;
        let saved = ["saved-home", "saved-device"].map(|name| stage.dir.path().join(attack).join(name));
        let [home, device] = &saved;
        copy_folder(actor.home().dir(), home)?;
        copy_folder(actor.device().folder(), device)?;
        let trial = Self { actor, saved, before };
        // What is put back unchanged is the wallet: a refusal means something.
        let whole = slots(actor.home().dir())?;
        anyhow::ensure!(trial.put(whole, &|_, _| {})? == Verdict::Prevented, "the copy is another state");
        let found = actor.overview()?;
        anyhow::ensure!(found == trial.before, "the copy is not the wallet");
        Ok(trial)
    }

    /// Puts `slots` in place, changed, and opens the wallet as its holder would.
    fn put(&self, slots: Slots, change: &dyn Fn(&'static str, &mut Vec<u8>)) -> Result<Verdict> {
        let (home, device) = (self.actor.home(), self.actor.device());
        for (saved, place) in self.saved.iter().zip([home.dir(), device.folder()]) {
            for entry in std::fs::read_dir(place)? {
                std::fs::remove_file(entry?.path())?;
            }
            copy_folder(saved, place)?;
        }
        for name in ["slot-0", "slot-1"] {
            let _ = std::fs::remove_file(home.dir().join(name));
        }
        for (name, mut bytes) in slots {
            change(name, &mut bytes);
            std::fs::write(home.dir().join(name), bytes)?;
        }
        Ok(Verdict::refused(self.is_refused_or_whole(&home, device)))
    }

    /// Whether nothing but the newest state can be had: another one is refused, or known to be old.
    fn is_refused_or_whole(&self, home: &Home, device: &Device) -> bool {
        let Ok(mut wallet) = Wallet::open(home, device) else { return true };
        wallet.freshness() == Freshness::Stale || wallet.overview().is_ok_and(|found| found == self.before)
    }
}

/// Changes every slot at places all over it, one at a time.
fn over_slots(stage: &Stage, attack: &str, change: fn(&mut Vec<u8>, usize)) -> Result<Verdict> {
    const PLACES: usize = 40;
    let actor = victim(stage, "Dora", attack)?;
    let trial = Trial::of(stage, &actor, attack)?;
    let whole = slots(&trial.saved[0])?;
    let mut worst = Verdict::Prevented;
    for (name, bytes) in &whole {
        for place in 0..PLACES {
            let at = bytes.len().saturating_mul(place) / PLACES;
            let alter = |slot: &'static str, bytes: &mut Vec<u8>| {
                if slot == *name {
                    change(bytes, at);
                }
            };
            worst = worst.max(trial.put(whole.clone(), &alter)?);
        }
    }
    Ok(worst)
}

fn swapped(stage: &Stage) -> Result<Verdict> {
    let actor = victim(stage, "Dora", "swapped")?;
    let trial = Trial::of(stage, &actor, "swapped")?;
    let whole = slots(&trial.saved[0])?;
    let empty = Vec::new();
    let [first, second] = ["slot-0", "slot-1"].map(|name| whole.get(name).unwrap_or(&empty).clone());
    let newest = whole.values().max_by_key(|bytes| bytes.len()).context("a slot")?.clone();
    let swapped = Slots::from([("slot-0", second), ("slot-1", first)]);
    let doubled = Slots::from([("slot-0", newest.clone()), ("slot-1", newest)]);
    Ok(trial.put(swapped, &|_, _| {})?.max(trial.put(doubled, &|_, _| {})?))
}
