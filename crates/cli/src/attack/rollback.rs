//! Attacks with an older copy of a wallet.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use counterfoil_tre::testing::platform::SimulatedPlatform;
use counterfoil_wallet::channel::file;
use counterfoil_wallet::{Counter, Device, Kind, Operation, Order, Pin, Wallet};
use counterfoil_wire::{Algorithm, Amount, Code, Digest};

use super::{Attack, BOUNDED, Stage, Verdict};
use crate::scene::{Actor, Part, copy_folder, refusal};

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "an older copy of the home is spent again; no counter",
        expected: Verdict::Detected,
        by: "two headers of one number: the payees, when they meet; the operator, when they sync",
        when: "after the second payment",
        bound: BOUNDED,
        mount: |stage| double_spend(stage, "no-counter", Counter::None, false),
    },
    Attack {
        name: "an older copy of the home is spent again; counter in a file",
        expected: Verdict::Prevented,
        by: "the counter (503)",
        when: "when the wallet is opened",
        bound: "",
        mount: |stage| double_spend(stage, "file-counter", Counter::File, false),
    },
    Attack {
        name: "older copies of home and device are spent again; counter in a file",
        expected: Verdict::Detected,
        by: "the payees, when they meet; the operator, when they sync",
        when: "after the second payment",
        bound: BOUNDED,
        mount: |stage| double_spend(stage, "copied-counter", Counter::File, true),
    },
    Attack {
        name: "older copies of home and device are spent again; counter of the platform",
        expected: Verdict::Prevented,
        by: "the counter (503)",
        when: "when the wallet is opened",
        bound: "",
        mount: |stage| double_spend(stage, "platform-counter", Counter::Platform, true),
    },
    Attack {
        name: "the PIN is guessed",
        expected: Verdict::Prevented,
        by: "three tries, counted before each is judged (405)",
        when: "at the fourth try",
        bound: "",
        mount: |stage| guess(stage, "guessed", Counter::None, false),
    },
    Attack {
        name: "the PIN is guessed with an older copy before each try; no counter",
        expected: Verdict::Open,
        by: "",
        when: "",
        bound: "the length of the PIN; the rules' totals, as for whoever has device and PIN",
        mount: |stage| guess(stage, "guessed-copies", Counter::None, true),
    },
    Attack {
        name: "the PIN is guessed with an older copy before each try; with a counter",
        expected: Verdict::Prevented,
        by: "the counter (503)",
        when: "at the first copy",
        bound: "",
        mount: |stage| guess(stage, "guessed-counted", Counter::File, true),
    },
];

pub(super) fn eur(minor: u64) -> Amount {
    Amount::new(minor).unwrap_or(Amount::ZERO)
}

/// Somebody with a wallet in a folder of this attack.
pub(super) fn enrol(stage: &Stage, attack: &str, name: &'static str, counter: Counter) -> Result<Actor> {
    let dir = stage.dir.path().join(attack);
    let (kind, algorithm) = (Kind::Wallet, Algorithm::EdDsa);
    let part = Part { name, psp: "alpha", kind, algorithm, counter };
    let mut device = Device::new(dir.join(name).join("device"));
    if counter == Counter::Platform {
        device = device.with_platform(Digest([7; 32]), Arc::new(SimulatedPlatform::default()));
    }
    Actor::enrol_on(device, &dir, &stage.operator.client(), stage.operator.url(), &part)
}

/// Home and device of a wallet, copied.
struct Copies<'a> {
    actor: &'a Actor,
    home: PathBuf,
    device: PathBuf,
}

impl<'a> Copies<'a> {
    fn of(actor: &'a Actor) -> Result<Self> {
        let home = actor.copy_home("older-home")?;
        let device = home.with_file_name("older-device");
        copy_folder(actor.device().folder(), &device)?;
        Ok(Self { actor, home, device })
    }

    fn put_back(&self, and_device: bool) -> Result<()> {
        self.actor.roll_back(&self.home)?;
        if and_device {
            copy_folder(&self.device, self.actor.device().folder())?;
        }
        Ok(())
    }
}

/// Pays one payee, puts the copy back, pays another one.
fn double_spend(stage: &Stage, attack: &str, counter: Counter, and_device: bool) -> Result<Verdict> {
    let thief = enrol(stage, attack, "Mallory", counter)?;
    let payees = ["Peggy", "Victor"].map(|name| enrol(stage, attack, name, Counter::None));
    let [peggy, victor] = payees;
    let (peggy, victor) = (peggy?, victor?);
    thief.fund(eur(4_000), &stage.operator)?;
    let copies = Copies::of(&thief)?;
    let request = peggy.request(Some(eur(4_000)), "first-request.cbor")?;
    let (_, payment) = thief.pay(&request, None, "first-payment.cbor")?;
    peggy.accept(&payment, "first-receipt.cbor")?;
    copies.put_back(and_device)?;
    let request = victor.request(Some(eur(4_000)), "second-request.cbor")?;
    match refusal(thief.pay(&request, None, "second-payment.cbor"))? {
        Some(Code::StaleState) => return Ok(Verdict::Prevented),
        Some(other) => anyhow::bail!("refused for another reason: {other:?}"),
        None => {}
    }
    let payment = request.with_file_name("second-payment.cbor");
    victor.accept(&payment, "second-receipt.cbor")?;
    let key = thief.overview();
    let learnt = peggy.gossip_to(&victor, "gossip.cbor")?;
    let caught = key.is_ok_and(|overview| learnt.cheats == [overview.key]);
    Ok(if caught { Verdict::Detected } else { Verdict::Open })
}

/// Tries PINs in turn until one is right, or the wallet says no more.
fn guess(stage: &Stage, attack: &str, counter: Counter, with_copies: bool) -> Result<Verdict> {
    const TRIES: u32 = 8;
    let victim = enrol(stage, attack, "Dora", counter)?;
    let shop = enrol(stage, attack, "Victor", Counter::None)?;
    victim.fund(eur(10_000), &stage.operator)?;
    let request = shop.request(Some(eur(9_000)), "request.cbor")?;
    let copies = Copies::of(&victim)?;
    let right = crate::scene::pin();
    let right: u32 = right.0.parse().context("the demo's PIN is a number")?;
    for number in right.saturating_sub(TRIES - 1)..=right {
        if with_copies {
            copies.put_back(false)?;
        }
        let pin = Some(Pin(format!("{number:04}").into()));
        let request = file::read_message(&request)?;
        let order = Order {
            pin,
            out: Some(copies.home.with_file_name("paid.cbor")),
            ..Order::new(Operation::Pay { request, amount: None })
        };
        match refusal(victim.with(|wallet: &mut Wallet| wallet.perform(order)))? {
            None => return Ok(Verdict::Open),
            Some(Code::PinWrong) => {}
            Some(Code::PinBlocked | Code::StaleState) => return Ok(Verdict::Prevented),
            Some(other) => anyhow::bail!("refused for another reason: {other:?}"),
        }
    }
    anyhow::bail!("the right PIN was not taken")
}
