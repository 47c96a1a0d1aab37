//! Flows about what a wallet runs in: tampering that was reported, and the phone's own lock in the place of the PIN.

use counterfoil_ta::api::{Command, Reply};
use counterfoil_trust::SigningKey;
use counterfoil_wire::element::Tamper;
use counterfoil_wire::{Algorithm, Bytes, Code, PublicKey, Reference, Signature};

use super::scene::{Scene, pin};
use super::unexpected;
use crate::VectorError;
use crate::fixed::{HEDGE, PIN, amount, key};

fn tampered(scene: &mut Scene, note: &str, tamper: Tamper) -> Result<(), VectorError> {
    scene.run("a", note, Command::ReportTamper { tamper }).map(drop)
}

pub(super) fn deactivated(scene: &mut Scene) -> Result<(), VectorError> {
    let declined = scene.request("b", Some(250), false)?;
    let declined = scene.pay("a", &declined, None)?;
    let decline = scene.decline("b", &declined)?;
    let taken = scene.request("b", Some(1250), false)?;
    let taken = scene.pay("a", &taken, None)?;
    let receipt = scene.accept("b", &taken)?;
    let asked = scene.request("a", Some(500), false)?;
    let came = scene.pay("b", &asked, None)?;
    let late = scene.request("b", Some(100), false)?;
    let early = scene.message("a", "accounts for itself before anything is found", Command::Statement {})?;
    let early = scene.operator.settle(&early)?;
    tampered(scene, "a seal did not hold: deactivates itself", Tamper::Seal)?;
    tampered(scene, "the same again", Tamper::Seal)?;
    tampered(scene, "another reason: the first is kept", Tamper::Debugger)?;

    let pay = scene.pay_command(&late, None, true);
    scene.refuse("a", "pays", pay, Code::Deactivated)?;
    let reference = scene.reference();
    let ask = Command::Request { amount: Some(amount(1)), standing: false, reference };
    scene.refuse("a", "asks to be paid", ask, Code::Deactivated)?;
    scene.refuse("a", "takes a payment", Command::Accept { payment: came.clone() }, Code::Deactivated)?;
    scene.refuse("a", "declines it", Command::Decline { payment: came.clone() }, Code::Deactivated)?;
    let reference = scene.reference();
    let order = Command::FundOrder { amount: amount(1), reference };
    scene.refuse("a", "orders value", order, Code::Deactivated)?;
    let defund = Command::Defund { amount: amount(1), pin: Some(pin(PIN)), reference };
    scene.refuse("a", "defunds", defund, Code::Deactivated)?;
    let bind = Command::BindPlatform { key: None, pin: Some(pin(PIN)) };
    scene.refuse("a", "removes a key", bind, Code::Deactivated)?;

    scene.confirm("a", &receipt)?;
    scene.run("a", "takes the declined payment back", Command::Reclaim { decline })?;
    scene.must_hold("a", 48_750)?;
    let settle = Command::Settle { settlement: early };
    scene.run("a", "applies a settlement that does not know of it: stays deactivated", settle)?;
    let statement = scene.message("a", "accounts for itself, and says why", Command::Statement {})?;
    tampered(scene, "a reason that the statement does not tell", Tamper::Hooked)?;
    let settlement = scene.operator.settle(&statement)?;
    let settle = Command::Settle { settlement };
    scene.run("a", "applies the settlement: deactivated for the other reason", settle)?;
    scene.refuse("a", "takes a payment", Command::Accept { payment: came.clone() }, Code::Deactivated)?;
    scene.sync("a")?;
    scene.accept("a", &came)?;
    scene.must_hold("a", 49_250)
}

/// What a phone's lock guards.
struct Phone(SigningKey);

impl Phone {
    fn challenge(
        scene: &mut Scene,
        request: &Bytes,
        minor: Option<u64>,
        reference: Reference,
    ) -> Result<[u8; 32], VectorError> {
        let (request, amount) = (request.clone(), minor.map(amount));
        let ask = Command::PlatformChallenge { request, amount, reference };
        match scene.run("a", "asks what the phone's key is to sign", ask)? {
            Reply::Challenge { challenge } => Ok(challenge.0),
            other => unexpected(format!("no challenge but {other:?}")),
        }
    }

    fn bind(&self) -> PublicKey {
        self.0.public()
    }

    fn sign(&self, challenge: [u8; 32]) -> Option<Signature> {
        Some(self.0.sign(&challenge, &HEDGE))
    }
}

pub(super) fn approval(scene: &mut Scene) -> Result<(), VectorError> {
    let phone = Phone(key(Algorithm::Es256, "vectors phone")?);
    let bind = |key, digits: Option<&str>| Command::BindPlatform { key, pin: digits.map(pin) };
    let code = scene.request("b", None, true)?;
    let reference = scene.reference();
    let pay = |minor, approval, reference| Command::Pay {
        request: code.clone(),
        amount: Some(amount(minor)),
        pin: None,
        reference,
        approval,
    };
    let nothing = Some(Signature([0; 64]));
    scene.refuse("a", "approves without a bound key", pay(6000, nothing, reference), Code::NoPlatformKey)?;
    let key = Some(phone.bind());
    scene.refuse("a", "binds a key without the PIN", bind(key, None), Code::PinRequired)?;
    scene.refuse("a", "binds a key with a wrong PIN", bind(key, Some("0000")), Code::PinWrong)?;
    scene.run("a", "binds a key of the phone's lock", bind(key, Some(PIN)))?;
    let reference = scene.reference();
    let signed = phone.sign(Phone::challenge(scene, &code, Some(6000), reference)?);
    scene.refuse("a", "another amount", pay(6001, signed, reference), Code::ApprovalWrong)?;
    let other = scene.reference();
    scene.refuse("a", "another reference", pay(6000, signed, other), Code::ApprovalWrong)?;
    scene.message("a", "pays above what goes without PIN", pay(6000, signed, reference))?;
    scene.message("a", "the same again: the same bytes", pay(6000, None, reference))?;
    scene.refuse("a", "the approval once more", pay(6000, signed, other), Code::ApprovalWrong)?;
    let signed = phone.sign(Phone::challenge(scene, &code, Some(25_000), other)?);
    scene.message("a", "the largest payment that an approval covers", pay(25_000, signed, other))?;
    let last = scene.reference();
    let challenge = Phone::challenge(scene, &code, Some(6000), last)?;
    let stranger = Phone(self::key(Algorithm::Es256, "vectors another phone")?);
    scene.refuse("a", "by another key", pay(6000, stranger.sign(challenge), last), Code::ApprovalWrong)?;
    for note in ["a wrong PIN", "another wrong PIN", "a third wrong PIN"] {
        scene.refuse("a", note, bind(None, Some("0000")), Code::PinWrong)?;
    }
    scene.refuse(
        "a",
        "approves while the PIN is blocked",
        pay(6000, phone.sign(challenge), last),
        Code::PinBlocked,
    )?;
    scene.must_hold("a", 19_000)
}
