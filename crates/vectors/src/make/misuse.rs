//! Flows in which somebody is not to be trusted: forged, copied, revoked, stale, or no command at all.

use counterfoil_ta::api::{Command, Reply};
use counterfoil_trust::{SigningKey, key_id, open};
use counterfoil_wire::cert::{Grade, WalletCert};
use counterfoil_wire::header::{Envelope, Signer};
use counterfoil_wire::message::Payment;
use counterfoil_wire::sync::Standing;
use counterfoil_wire::{Algorithm, Amount, Bytes, Code, Digest, Wire};

use super::samples::Sealed;
use super::scene::{LABEL, Scene};
use super::unexpected;
use crate::VectorError;
use crate::fixed::{amount, digest, key};

/// A payer whose element lets it sign what it likes.
struct Puppet {
    key: SigningKey,
    cert: WalletCert,
}

impl Puppet {
    fn new(scene: &Scene, label: &str, change: impl Fn(&mut WalletCert)) -> Result<Self, VectorError> {
        let key = key(Algorithm::EdDsa, &format!("{LABEL} {label}"))?;
        let scheme = &scene.operator.scheme;
        let mut cert = scheme.unsigned(key.public(), 900, Grade::VirtualSe)?;
        // With the rules' 1000.00 a sync, intervals from 200.00 on are within what one sync covers.
        cert.ceiling = amount(120_000);
        change(&mut cert);
        Ok(Self { key, cert: scheme.certify(cert)? })
    }

    /// A payment for this request, after `change`.
    fn pay(
        &self,
        scene: &Scene,
        request: &Bytes,
        change: impl Fn(&mut Payment),
    ) -> Result<Bytes, VectorError> {
        let opened = open::<counterfoil_wire::message::Request>(&request.0)?;
        let id = scene.operator.scheme.id();
        let mut payment = Payment {
            request: opened.id(&id),
            request_no: opened.body.number,
            payee: opened.header.key,
            amount: opened.body.amount.unwrap_or(amount(100)),
            spent: amount(20_000),
            seq: 1,
            prev: Digest::NONE,
        };
        change(&mut payment);
        Ok(Sealed::new(&id, &self.key, payment, Signer::Cert(self.cert.clone()), None).bytes())
    }
}

pub(super) fn declined_by_rules(scene: &mut Scene) -> Result<(), VectorError> {
    let puppet = Puppet::new(scene, "puppet", |_| {})?;
    let request = scene.request("b", Some(1250), false)?;
    let payment = puppet.pay(scene, &request, |payment| {
        payment.amount = amount(1249);
        payment.spent = amount(25_000);
    })?;
    scene.accept_declined("b", "less than was asked for", &payment, Code::AmountMismatch)?;
    let payment = puppet.pay(scene, &request, |payment| {
        payment.seq = 2;
        payment.spent = amount(30_000);
        payment.request = digest("another request");
    })?;
    scene.accept_declined(
        "b",
        "a request of that number, and another content",
        &payment,
        Code::RequestClosed,
    )?;
    let payment = puppet.pay(scene, &request, |payment| {
        payment.seq = 3;
        payment.spent = amount(40_000);
        payment.request_no = 1000;
    })?;
    scene.accept_declined("b", "a request that was never made", &payment, Code::RequestUnknown)?;
    let payment = puppet.pay(scene, &request, |payment| {
        payment.seq = 4;
        payment.spent = amount(50_000);
    })?;
    scene.accept("b", &payment)?;
    let payment = puppet.pay(scene, &request, |payment| {
        payment.seq = 5;
        payment.spent = amount(60_000);
    })?;
    scene.accept_declined("b", "a second payment for one request", &payment, Code::RequestClosed)?;
    let open = scene.request("b", None, true)?;
    let payment = puppet.pay(scene, &open, |payment| {
        payment.seq = 6;
        payment.amount = amount(48_751);
        payment.spent = amount(119_000);
    })?;
    let decline =
        scene.accept_declined("b", "one cent above the holding limit", &payment, Code::BalanceTooLarge)?;
    scene.run("b", "is shown it again", Command::Accept { payment })?;
    scene.refuse("a", "takes back what another paid", Command::Reclaim { decline }, Code::PaymentUnknown)?;
    let another = Puppet::new(scene, "another puppet", |_| {})?;
    let payment = another.pay(scene, &open, |payment| {
        payment.amount = amount(100);
        payment.spent = amount(20_099);
    })?;
    scene.accept_declined(
        "b",
        "an interval that begins below what one sync covers",
        &payment,
        Code::CeilingExceeded,
    )?;
    let payment = another.pay(scene, &open, |payment| {
        payment.seq = 2;
        payment.amount = amount(48_750);
        payment.spent = amount(68_849);
    })?;
    scene.accept("b", &payment)?;
    scene.must_hold("b", 100_000)
}

pub(super) fn refused(scene: &mut Scene) -> Result<(), VectorError> {
    let request = scene.request("b", Some(1250), false)?;
    let payment = scene.pay("a", &request, None)?;
    let shown = |payment: &Bytes| Command::Accept { payment: payment.clone() };
    scene.refuse("c", "is shown a payment to b", shown(&payment), Code::NotAddressedHere)?;
    let unchanged = scene.clock_s;
    let mut altered = open::<Payment>(&payment.0)?;
    altered.body.amount = amount(12_500);
    let forged = Envelope { body: Bytes(altered.body.to_bytes()), ..altered.envelope.clone() };
    scene.refuse("b", "ten times the amount", shown(&Bytes(forged.to_bytes())), Code::BadSignature)?;
    altered.body.amount = amount(1250);
    altered.body.payee = scene.key("c")?;
    let forged = Envelope { body: Bytes(altered.body.to_bytes()), ..altered.envelope.clone() };
    scene.refuse("c", "made out to c", shown(&Bytes(forged.to_bytes())), Code::BadSignature)?;
    let puppet = Puppet::new(scene, "puppet", |cert| cert.ceiling = amount(20_000))?;
    let beyond = puppet.pay(scene, &request, |payment| payment.spent = amount(20_001))?;
    scene.refuse("b", "beyond the payer's ceiling", shown(&beyond), Code::CeilingExceeded)?;
    let nothing = puppet.pay(scene, &request, |payment| payment.amount = Amount::ZERO)?;
    scene.refuse("b", "a payment of nothing", shown(&nothing), Code::BadInterval)?;
    let above = puppet.pay(scene, &request, |payment| payment.spent = amount(1249))?;
    scene.refuse("b", "an amount above the gross total", shown(&above), Code::BadInterval)?;
    let first = puppet.pay(scene, &request, |payment| payment.seq = 0)?;
    scene.refuse("b", "number 0", shown(&first), Code::BadInterval)?;
    let till = Puppet::new(scene, "till", |cert| cert.grade = Grade::Terminal)?;
    let by_terminal = till.pay(scene, &request, |_| {})?;
    scene.refuse("b", "a terminal pays", shown(&by_terminal), Code::PayerCannotPay)?;
    let rupees = Puppet::new(scene, "rupees", |cert| cert.currency = counterfoil_wire::Currency::INR)?;
    let in_rupees = rupees.pay(scene, &request, |_| {})?;
    scene.refuse("b", "a payment in rupees", shown(&in_rupees), Code::WrongCurrency)?;
    let raised = open::<Payment>(&beyond.0)?;
    let cert = WalletCert { ceiling: amount(30_000), ..puppet.cert.clone() };
    let raised = Envelope { signer: Signer::Cert(cert), ..raised.envelope };
    scene.refuse(
        "b",
        "a ceiling that the payer raised",
        shown(&Bytes(raised.to_bytes())),
        Code::BadCertificate,
    )?;
    let strange = WalletCert { issuer: key_id(&puppet.key.public()), ..puppet.cert.clone() };
    let strange = Envelope { signer: Signer::Cert(strange), ..open::<Payment>(&beyond.0)?.envelope };
    scene.refuse(
        "b",
        "an issuer that nobody knows",
        shown(&Bytes(strange.to_bytes())),
        Code::UnknownIssuer,
    )?;
    let to_self = scene.request("a", Some(5), false)?;
    let pay = scene.pay_command(&to_self, None, true);
    scene.refuse("a", "pays itself", pay, Code::SelfPayment)?;
    let receipt = scene.accept("b", &payment)?;
    scene.refuse(
        "c",
        "takes a receipt for what it never paid",
        Command::Confirm { receipt },
        Code::PaymentUnknown,
    )?;
    scene.clock_s = unchanged;
    scene.must_hold("b", 51_250)?;
    scene.must_hold("c", 0)
}

pub(super) fn revoked(scene: &mut Scene) -> Result<(), VectorError> {
    let request = scene.request("b", Some(1250), false)?;
    let payment = scene.pay("a", &request, None)?;
    let to_a = scene.request("a", None, true)?;
    let before = scene.pay("b", &to_a, Some(10))?;
    let key = scene.key("a")?;
    scene.operator.revoke(&key)?;
    scene.sync("c")?;
    let gossip = scene.message("c", "hands on what it knows", Command::GossipOut { room: 60_000 })?;
    scene.run("b", "learns of the revocation", Command::GossipIn { gossip: gossip.clone() })?;
    scene.run("b", "learns it again", Command::GossipIn { gossip })?;
    let shown = Command::Accept { payment: payment.clone() };
    scene.refuse("b", "is shown a payment of a revoked wallet", shown, Code::CertificateRevoked)?;
    let pay = scene.pay_command(&to_a, Some(10), true);
    scene.refuse("b", "pays a revoked wallet", pay, Code::CertificateRevoked)?;
    match scene.sync("a")? {
        Reply::Settled { standing: Standing::Suspended, .. } => {}
        other => return unexpected(format!("not suspended but {other:?}")),
    }
    let reference = scene.reference();
    let ask = Command::Request { amount: None, standing: false, reference };
    scene.refuse("a", "asks to be paid while suspended", ask, Code::Suspended)?;
    let taken = Command::Accept { payment: before.clone() };
    scene.refuse("a", "would take a payment while suspended", taken, Code::Suspended)?;
    let decline = scene.decline("a", &before)?;
    scene.refuse(
        "b",
        "takes back by a revoked wallet's decline",
        Command::Reclaim { decline },
        Code::DeclineNeedsOperator,
    )?;
    let decline = scene.decline("b", &payment)?;
    scene.refuse("a", "takes back while suspended", Command::Reclaim { decline }, Code::Suspended)?;
    scene.sync("a")?;
    scene.sync("b")?;
    scene.must_hold("b", 50_000)
}

pub(super) fn fork(scene: &mut Scene) -> Result<(), VectorError> {
    scene.copy("a", "a-copy")?;
    let [first, second, third] = [
        scene.request("b", Some(1250), false)?,
        scene.request("b", Some(700), false)?,
        scene.request("c", Some(900), false)?,
    ];
    let payment = scene.pay("a", &first, None)?;
    scene.accept("b", &payment)?;
    let pay = scene.pay_command(&second, None, true);
    let twin = scene.message("a-copy", "pays under the same number", pay)?;
    let shown = Command::Accept { payment: twin };
    scene.refuse("b", "is shown the second payment: the proof is kept", shown.clone(), Code::ProvenCheat)?;
    scene.refuse("b", "is shown it again", shown, Code::ProvenCheat)?;
    let gossip = scene.message("b", "hands on the proof", Command::GossipOut { room: 60_000 })?;
    scene.run("t", "learns who cheated", Command::GossipIn { gossip: gossip.clone() })?;
    scene.run("c", "learns who cheated", Command::GossipIn { gossip })?;
    let rider = Command::Rider { room: 60_000, revocation_after: 1, trust_after: 1 };
    scene.message("c", "gives what is worth telling beside a message", rider)?;
    let no_room = Command::Rider { room: 10, revocation_after: 0, trust_after: 0 };
    scene.message("c", "gives what fits into ten bytes", no_room)?;
    let at_terminal = scene.request("t", Some(50), false)?;
    let payment = scene.pay("a", &at_terminal, None)?;
    let shown = Command::Accept { payment };
    scene.refuse("t", "is shown a payment of the cheat", shown, Code::ProvenCheat)?;
    let payment = scene.pay("a-copy", &third, None)?;
    let shown = Command::Accept { payment: payment.clone() };
    scene.refuse("c", "is shown a payment of the copy", shown, Code::ProvenCheat)?;
    scene.decline("c", &payment)?;
    scene.must_hold("b", 51_250)?;
    scene.must_hold("c", 0)?;
    scene.message("b", "tells the operator", Command::Statement {}).map(drop)
}

pub(super) fn overlap(scene: &mut Scene) -> Result<(), VectorError> {
    let puppet = Puppet::new(scene, "puppet", |cert| cert.ceiling = amount(100_000))?;
    let code = scene.request("b", None, true)?;
    let first = puppet.pay(scene, &code, |payment| {
        payment.amount = amount(1000);
        payment.spent = amount(20_000);
    })?;
    scene.accept("b", &first)?;
    let touching = puppet.pay(scene, &code, |payment| {
        payment.seq = 2;
        payment.amount = amount(500);
        payment.spent = amount(20_500);
    })?;
    scene.accept("b", &touching)?;
    let overlapping = puppet.pay(scene, &code, |payment| {
        payment.seq = 3;
        payment.amount = amount(501);
        payment.spent = amount(21_000);
    })?;
    scene.refuse(
        "b",
        "one unit is spent twice",
        Command::Accept { payment: overlapping },
        Code::ProvenCheat,
    )?;
    let honest = puppet.pay(scene, &code, |payment| {
        payment.seq = 4;
        payment.amount = amount(1);
        payment.spent = amount(30_000);
    })?;
    scene.refuse(
        "b",
        "nothing more of this key is taken",
        Command::Accept { payment: honest },
        Code::ProvenCheat,
    )?;
    let gossip = scene.message("b", "hands on the proof", Command::GossipOut { room: 60_000 })?;
    scene.run("c", "learns who cheated", Command::GossipIn { gossip })?;
    scene.must_hold("b", 51_500)
}

pub(super) fn stale(scene: &mut Scene) -> Result<(), VectorError> {
    let code = scene.request("b", None, true)?;
    let pay = scene.pay_command(&code, Some(1), false);
    scene.refuse_stale("a", "pays from an older copy", pay.clone())?;
    scene.refuse_stale("a", "accounts for itself from an older copy", Command::Statement {})?;
    scene.run("a", "shows itself", Command::Show {})?;
    scene.run("a", "pays from the newest state", pay).map(drop)
}

pub(super) fn not_commands(scene: &mut Scene) -> Result<(), VectorError> {
    for (note, bytes, code) in [
        ("nothing", &[][..], Code::Truncated),
        ("no array", &[0x01], Code::NotAMessage),
        ("an empty array", &[0x80], Code::Truncated),
        ("command 0", &[0x81, 0x00], Code::UnknownCommand),
        ("command 99", &[0x81, 0x18, 0x63], Code::UnknownCommand),
        ("show with a field too many", &[0x82, 0x0e, 0x00], Code::UnknownCommand),
        ("show with a byte after it", &[0x81, 0x0e, 0x00], Code::TrailingBytes),
        ("show, its number in two bytes", &[0x81, 0x18, 0x0e], Code::NonCanonical),
        ("show, of indefinite length", &[0x9f, 0x0e, 0xff], Code::NonCanonical),
        ("accept without a payment", &[0x82, 0x04], Code::Truncated),
    ] {
        scene.refuse_bytes("a", note, bytes, code)?;
    }
    let request = scene.request("b", Some(1250), false)?;
    let payment = scene.pay("a", &request, None)?;
    for (note, command) in [
        ("takes a request for a payment", Command::Accept { payment: request.clone() }),
        ("takes a request for a receipt", Command::Confirm { receipt: request.clone() }),
        ("takes a request for a decline", Command::Reclaim { decline: request.clone() }),
        ("takes a request for a settlement", Command::Settle { settlement: request.clone() }),
    ] {
        scene.refuse("b", note, command, Code::WrongKind)?;
    }
    let pay = scene.pay_command(&payment, None, true);
    scene.refuse("a", "pays a payment", pay, Code::WrongKind)?;
    let cut = Bytes(payment.0[..payment.0.len() - 1].to_vec());
    scene.refuse("b", "is shown half a payment", Command::Accept { payment: cut }, Code::Truncated)?;
    let long = Bytes(vec![0; 4097]);
    scene.refuse("b", "is shown 4097 bytes", Command::Accept { payment: long }, Code::TooLong)?;
    scene.refuse(
        "a",
        "applies what nobody asked for",
        Command::Settle { settlement: payment },
        Code::WrongKind,
    )
}
