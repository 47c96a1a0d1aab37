//! What is cut, flipped, forged, misdirected or stale gets a numbered error and changes nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use counterfoil_ta::api::{Command, Reply};
use counterfoil_trust::{SigningKey, open, seal};
use counterfoil_wire::cert::{Grade, Name};
use counterfoil_wire::header::{Envelope, Signer};
use counterfoil_wire::message::{Payment, Request};
use counterfoil_wire::{Algorithm, Bytes, Code, Currency, Digest, Wire};

use crate::support::{HEDGE, START_S, Wallet, World, amount};

/// Runs a command that must be refused, and checks that not a byte of the stored state changed.
fn refused(wallet: &mut Wallet, command: &Command) -> Code {
    let before = wallet.snapshot();
    let code = wallet.run(command).expect_err("it was taken");
    assert!(wallet.snapshot() == before, "{code:?} changed the state");
    code
}

fn accept(payment: Bytes) -> Command {
    Command::Accept { payment }
}

/// A wallet (0 is a, 1 is b, 2 is c), a message, and the command that takes it.
type Taken = (usize, Bytes, fn(Bytes) -> Command);

/// Every kind of message, each with the wallet (a, b or c) and the command that takes it.
fn messages(w: &mut World) -> Vec<Taken> {
    let request = w.b.request(Some(500));
    let payment = w.a.pay(&request, None, None).unwrap();
    let other_request = w.b.request(Some(600));
    let other = w.a.pay(&other_request, None, None).unwrap();
    let receipt = w.b.accept(&payment).unwrap();
    let decline = w.b.decline(&other).unwrap();
    let open_request = w.b.request(Some(700));
    let last_request = w.b.request(Some(800));
    let open_payment = w.a.pay(&last_request, None, None).unwrap();
    let gossip = w.b.message(&Command::GossipOut { room: 4000 }).unwrap();
    vec![
        (2, open_request, |request| Command::Pay {
            request,
            amount: None,
            pin: None,
            reference: counterfoil_wire::Reference([9; 32]),
            approval: None,
        }),
        (1, open_payment, accept),
        (0, receipt, |receipt| Command::Confirm { receipt }),
        (0, decline, |decline| Command::Reclaim { decline }),
        (2, gossip, |gossip| Command::GossipIn { gossip }),
    ]
}

fn wallet(w: &mut World, index: usize) -> &mut Wallet {
    [&mut w.a, &mut w.b, &mut w.c].into_iter().nth(index).unwrap()
}

#[test]
fn every_truncation_is_refused() {
    let mut w = World::new();
    for (index, message, command) in messages(&mut w) {
        for len in (0..message.0.len()).step_by(3) {
            let code = refused(wallet(&mut w, index), &command(Bytes(message.0[..len].to_vec())));
            assert!((100..200).contains(&code.number()), "{code:?}");
        }
        let mut longer = message.0.clone();
        longer.push(0);
        assert_eq!(refused(wallet(&mut w, index), &command(Bytes(longer))), Code::TrailingBytes);
    }
}

#[test]
fn every_flipped_byte_is_refused() {
    let mut w = World::new();
    for (index, message, command) in messages(&mut w) {
        for at in (0..message.0.len()).step_by(2) {
            let mut flipped = message.0.clone();
            flipped[at] ^= 1 << (at % 8);
            refused(wallet(&mut w, index), &command(Bytes(flipped)));
        }
    }
}

#[test]
fn what_is_no_message_or_another_kind_is_told_apart() {
    let mut w = World::new();
    assert_eq!(refused(&mut w.b, &accept(Bytes(b"hello".to_vec()))), Code::NotAMessage);
    assert_eq!(refused(&mut w.b, &accept(Bytes(vec![]))), Code::Truncated);
    let request = w.b.request(Some(5));
    assert_eq!(refused(&mut w.b, &accept(request)), Code::WrongKind);
    assert_eq!(refused(&mut w.b, &accept(Bytes(vec![0; 5000]))), Code::TooLong);
}

#[test]
fn a_payment_for_another_is_refused_by_everybody_else() {
    let mut w = World::new();
    let request = w.b.request(Some(5));
    let payment = w.a.pay(&request, None, None).unwrap();
    assert_eq!(refused(&mut w.c, &accept(payment.clone())), Code::NotAddressedHere);
    assert_eq!(refused(&mut w.c, &Command::Decline { payment: payment.clone() }), Code::NotAddressedHere);
    let receipt = w.b.accept(&payment).unwrap();
    assert_eq!(refused(&mut w.c, &Command::Confirm { receipt }), Code::PaymentUnknown);
}

/// A payment to `w.b`, made by hand under a key of the test's own.
fn forge(w: &mut World, edit: impl Fn(&mut Payment, &mut counterfoil_wire::cert::WalletCert)) -> Bytes {
    let key = SigningKey::from_secret(Algorithm::EdDsa, &[42; 32]).unwrap();
    let request = open::<Request>(&w.b.request(Some(500)).0).unwrap();
    let scheme = w.operator.anchors.scheme;
    let mut payment = Payment {
        request: request.id(&scheme),
        request_no: request.body.number,
        payee: request.header.key,
        amount: amount(500),
        spent: amount(70_500),
        seq: 1,
        prev: Digest::NONE,
    };
    let name = Name::default();
    let mut cert = w.operator.issue(77, Grade::VirtualSe, key.public(), 80_000, name.clone());
    edit(&mut payment, &mut cert);
    let reissued = w.operator.issue(77, cert.grade, key.public(), 80_000, name);
    if cert.grade != Grade::VirtualSe {
        cert = reissued;
    }
    let (envelope, _) = seal(&scheme, &key, &HEDGE, &payment, Signer::Cert(cert), None);
    Bytes(envelope.to_bytes())
}

#[test]
fn what_a_broken_element_signs_is_bounded() {
    let mut w = World::new();
    let honest = forge(&mut w, |_, _| {});
    w.b.accept(&honest).unwrap();
    let beyond = forge(&mut w, |payment, _| payment.spent = amount(80_001));
    assert_eq!(refused(&mut w.b, &accept(beyond)), Code::CeilingExceeded);
    let empty = forge(&mut w, |payment, _| payment.amount = amount(0));
    assert_eq!(refused(&mut w.b, &accept(empty)), Code::BadInterval);
    let wrapped = forge(&mut w, |payment, _| payment.spent = amount(499));
    assert_eq!(refused(&mut w.b, &accept(wrapped)), Code::BadInterval);
    let raised = forge(&mut w, |_, cert| cert.ceiling = amount(1_000_000));
    assert_eq!(refused(&mut w.b, &accept(raised)), Code::BadCertificate);
    let currency = forge(&mut w, |_, cert| cert.currency = Currency::INR);
    assert_eq!(refused(&mut w.b, &accept(currency)), Code::BadCertificate);
    let terminal = forge(&mut w, |_, cert| cert.grade = Grade::Terminal);
    assert_eq!(refused(&mut w.b, &accept(terminal)), Code::PayerCannotPay);
    let overlapping = forge(&mut w, |payment, _| (payment.seq, payment.spent) = (9, amount(70_200)));
    assert_eq!(w.b.accept(&overlapping), Err(Code::ProvenCheat));
    assert_eq!(w.b.show().cheats.len(), 1, "the overlap is kept as a proof");
}

#[test]
fn a_wrong_amount_or_an_unknown_request_is_declined_so_that_it_can_come_back() {
    let mut w = World::new();
    let short = forge(&mut w, |payment, _| (payment.seq, payment.amount) = (1, amount(499)));
    assert_eq!(w.b.accept(&short), Err(Code::AmountMismatch));
    let unknown = forge(&mut w, |payment, _| {
        (payment.seq, payment.spent, payment.request_no) = (2, amount(72_000), 9_999);
    });
    assert_eq!(w.b.accept(&unknown), Err(Code::RequestUnknown));
    assert_eq!(w.b.balance(), 50_000);
}

#[test]
fn unknown_expired_and_early_certificates_are_told_apart() {
    let mut w = World::new();
    let mut stranger = World::new();
    let foreign_root = SigningKey::from_secret(Algorithm::EdDsa, &[99; 32]).unwrap();
    let request = w.b.request(Some(5));
    let payment = w.a.pay(&request, None, None).unwrap();
    let mut opened = Envelope::from_bytes(&payment.0).unwrap();
    let Signer::Cert(cert) = &mut opened.signer else { panic!() };
    cert.issuer = counterfoil_trust::key_id(&foreign_root.public());
    assert_eq!(refused(&mut w.b, &accept(Bytes(opened.to_bytes()))), Code::UnknownIssuer);

    w.b.device.now_s.set(START_S + 15 * 86_400);
    assert_eq!(refused(&mut w.b, &accept(payment.clone())), Code::CertificateExpired);
    w.b.device.now_s.set(START_S - 86_400);
    w.b.accept(&payment).expect("the operator's bound of time stands against a clock set back");

    let request = stranger.b.request(Some(5));
    stranger.operator.now_s += 1800;
    stranger.operator.sync(&mut stranger.a);
    let payment = stranger.a.pay(&request, None, None).unwrap();
    assert_eq!(refused(&mut stranger.b, &accept(payment)), Code::CertificateNotYetValid);
}

#[test]
fn a_request_is_judged_before_it_is_paid() {
    let mut w = World::new();
    let pay = |w: &mut World, request: &Bytes| {
        let reference = w.a.reference();
        refused(
            &mut w.a,
            &Command::Pay { request: request.clone(), amount: None, pin: None, reference, approval: None },
        )
    };
    let own = w.a.request(Some(5));
    assert_eq!(pay(&mut w, &own), Code::SelfPayment);
    let open_amount = w.b.request(None);
    assert_eq!(pay(&mut w, &open_amount), Code::AmountMissing);
    let request = w.b.request(Some(5));
    w.a.device.now_s.set(START_S + 3601);
    assert_eq!(pay(&mut w, &request), Code::RequestExpired);
    w.a.device.now_s.set(START_S);
    let mut renamed = Envelope::from_bytes(&w.t.standing_request().0).unwrap();
    let Signer::Cert(cert) = &mut renamed.signer else { panic!() };
    cert.name = Name::new("Café Rot").unwrap();
    assert_eq!(pay(&mut w, &Bytes(renamed.to_bytes())), Code::BadCertificate);
}

#[test]
fn a_settlement_answers_one_statement_of_one_wallet() {
    let mut w = World::new();
    let statement = w.a.message(&Command::Statement {}).unwrap();
    let settlement = w.operator.settle(&statement);
    let settle = |settlement: &Bytes| Command::Settle { settlement: settlement.clone() };
    assert_eq!(refused(&mut w.b, &settle(&settlement)), Code::SettlementMismatch);
    let mut forged = Envelope::from_bytes(&settlement.0).unwrap();
    forged.signature.0[5] ^= 1;
    assert_eq!(refused(&mut w.a, &settle(&Bytes(forged.to_bytes()))), Code::BadSignature);
    w.a.run(&settle(&settlement)).unwrap();
    assert!(matches!(w.a.run(&settle(&settlement)), Ok(Reply::Settled { again: true, .. })));
    w.operator.sync(&mut w.a);
    let old = refused(&mut w.a, &settle(&settlement));
    assert!(matches!(old, Code::NothingToSettle | Code::SettlementMismatch));
}
