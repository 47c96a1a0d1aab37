//! What is left to whoever owns the host: an interpreter does not stop a process from reading itself.

use anyhow::{Context as _, Result};
use counterfoil_ta::TrustedApp;
use counterfoil_ta::env::{Env as _, Store as _};
use counterfoil_tre::native::CounterChoice;
use counterfoil_tre::{APPLICATION, Binding, Image, open_host};
use counterfoil_trust::SigningKey;
use counterfoil_wallet::Counter;
use counterfoil_wallet::channel::file;
use counterfoil_wire::element::Tamper;
use counterfoil_wire::{Algorithm, Code};

use super::rollback::{enrol, eur};
use super::{Attack, BOUNDED, Stage, Verdict};
use crate::scene::{Actor, refusal};

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "a debugger that the application reports",
        expected: Verdict::Prevented,
        by: "the wallet, which deactivates itself (512)",
        when: "from the report on, until a sync has told the operator",
        bound: "",
        mount: |stage| under_a_debugger(stage, "reported", true),
    },
    Attack {
        name: "a debugger that nobody reports",
        expected: Verdict::Open,
        by: "",
        when: "",
        bound: BOUNDED,
        mount: |stage| under_a_debugger(stage, "silent", false),
    },
    Attack {
        name: "the host opens the seals itself, with the device's key",
        expected: Verdict::Open,
        by: "",
        when: "",
        bound: BOUNDED,
        mount: |stage| {
            let actor = enrol(stage, "opened", "Mallory", Counter::None)?;
            let public = actor.overview()?.key;
            let host = open(&actor)?;
            let mut values = Vec::new();
            let scanned = host.store().scan(b"", &mut |_, value| values.push(value.to_vec()));
            scanned.map_err(|error| anyhow::anyhow!("the state cannot be read: {error:?}"))?;
            let is_key = |bytes: &[u8]| {
                let secret = bytes.try_into().ok()?;
                let key = SigningKey::from_secret(Algorithm::EdDsa, secret).ok()?;
                (key.public() == public).then_some(())
            };
            let found = values.iter().any(|value| value.windows(32).any(|bytes| is_key(bytes).is_some()));
            Ok(Verdict::refused(!found))
        },
    },
    Attack {
        name: "the host runs an application of its own on the wallet's state",
        expected: Verdict::Open,
        by: "",
        when: "",
        bound: "the certificate's ceiling, proofs that devices pass on, reconciliation, revocation",
        mount: |stage| {
            // Any code at all: here ours, outside of the machine.
            let actor = enrol(stage, "foreign", "Mallory", Counter::None)?;
            let mut app = TrustedApp::open(open(&actor)?);
            let shown = counterfoil_wire::Wire::to_bytes(&counterfoil_ta::api::Command::Show {});
            let answer: counterfoil_ta::api::Response =
                counterfoil_wire::Wire::from_bytes(&app.process(&shown))?;
            Ok(Verdict::refused(answer.0.is_err()))
        },
    },
    Attack {
        name: "a payment altered on its way",
        expected: Verdict::Prevented,
        by: "the payer's signature over all of it",
        when: "when the payee is shown it",
        bound: "",
        mount: altered_payment,
    },
    Attack {
        name: "a payment shown twice, or to another payee",
        expected: Verdict::Prevented,
        by: "the payee's memory of what it took, and the payee's key in the payment",
        when: "when the payee is shown it",
        bound: "",
        mount: replayed_payment,
    },
];

/// The wallet's state, opened as its own application would.
fn open(actor: &Actor) -> Result<counterfoil_tre::NativeHost> {
    let settings = actor.home().settings()?.context("an enrolled home")?;
    let image = Image::shipped()?.id();
    let binding = Binding { label: settings.label, application: APPLICATION, image };
    Ok(open_host(actor.home().dir(), actor.device().folder(), binding, &CounterChoice::None, None)?)
}

fn under_a_debugger(stage: &Stage, attack: &str, reported: bool) -> Result<Verdict> {
    let payer = enrol(stage, attack, "Dora", Counter::None)?;
    let payee = enrol(stage, attack, "Victor", Counter::None)?;
    payer.fund(eur(2_000), &stage.operator)?;
    if reported {
        payer.with(|wallet| wallet.report_tamper(Tamper::Debugger))?;
    }
    let request = payee.request(Some(eur(1_000)), "request.cbor")?;
    let code = refusal(payer.pay(&request, None, "payment.cbor"))?;
    Ok(Verdict::refused(code == Some(Code::Deactivated)))
}

fn altered_payment(stage: &Stage) -> Result<Verdict> {
    let payer = enrol(stage, "altered", "Dora", Counter::None)?;
    let payee = enrol(stage, "altered", "Victor", Counter::None)?;
    payer.fund(eur(2_000), &stage.operator)?;
    let request = payee.request(Some(eur(1_000)), "request.cbor")?;
    let (_, payment) = payer.pay(&request, None, "payment.cbor")?;
    let good = file::read_message(&payment)?;
    let held = |payee: &Actor| Ok::<_, anyhow::Error>(payee.overview()?.received);
    let before = held(&payee)?;
    for place in 0..48 {
        let mut bad = good.clone();
        let at = bad.len().saturating_mul(place) / 48;
        if let Some(byte) = bad.get_mut(at) {
            *byte ^= 1;
        }
        let altered = payment.with_file_name(format!("altered-{place}.cbor"));
        std::fs::write(&altered, bad)?;
        let taken = payee.accept(&altered, &format!("receipt-{place}.cbor")).is_ok();
        if taken || held(&payee)? != before {
            return Ok(Verdict::Open);
        }
    }
    payee.accept(&payment, "receipt.cbor")?;
    Ok(Verdict::Prevented)
}

fn replayed_payment(stage: &Stage) -> Result<Verdict> {
    let payer = enrol(stage, "replayed", "Dora", Counter::None)?;
    let [payee, other] = ["Victor", "Peggy"].map(|name| enrol(stage, "replayed", name, Counter::None));
    let (payee, other) = (payee?, other?);
    payer.fund(eur(2_000), &stage.operator)?;
    let request = payee.request(Some(eur(1_000)), "request.cbor")?;
    let (_, payment) = payer.pay(&request, None, "payment.cbor")?;
    for number in 0..3 {
        payee.accept(&payment, &format!("receipt-{number}.cbor"))?;
    }
    let once = payee.overview()?.received == eur(1_000);
    let elsewhere =
        other.accept(&payment, "receipt-other.cbor").is_ok() || !other.overview()?.received.is_zero();
    Ok(Verdict::refused(once && !elsewhere))
}
