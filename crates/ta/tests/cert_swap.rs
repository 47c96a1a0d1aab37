//! A payer's host puts the payer's newer certificate on an old payment. Every element here is honest.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use counterfoil_ta::api::{Command, Reply};
use counterfoil_trust::{judge, open};
use counterfoil_wire::header::{Envelope, Signer};
use counterfoil_wire::message::{Decline, Receipt};
use counterfoil_wire::proof::Proof;
use counterfoil_wire::{Bytes, Wire};

use crate::support::{START_S, Wallet, World};

const DAY_S: u32 = 86_400;

/// `payment` under the certificate that `wallet` holds now.
fn renewed(wallet: &mut Wallet, payment: &Bytes) -> Bytes {
    let mut envelope = Envelope::from_bytes(&payment.0).unwrap();
    envelope.signer = Signer::Cert(wallet.show().cert.unwrap());
    Bytes(envelope.to_bytes())
}

/// Everybody's certificates of the start have ended and been renewed, and `b` has closed them.
fn pass(w: &mut World) {
    w.set_time(START_S + 20 * DAY_S);
    w.operator.sync(&mut w.b);
    w.operator.sync(&mut w.b);
    w.operator.sync(&mut w.b);
}

#[test]
fn taken_twice_under_two_certificates() {
    let mut w = World::new();
    let code = w.b.standing_request();
    let payment = w.a.pay(&code, Some(1_000), None).unwrap();
    w.b.accept(&payment).unwrap();
    pass(&mut w);
    w.operator.sync(&mut w.a);
    let swapped = renewed(&mut w.a, &payment);
    let _ = w.b.accept(&swapped);
    assert_eq!(w.a.balance() + w.b.balance(), 100_000);
}

#[test]
fn refunded_and_then_taken_under_a_newer_certificate() {
    let mut w = World::new();
    let code = w.b.standing_request();
    let payment = w.a.pay(&code, Some(1_000), None).unwrap();
    w.operator.sync(&mut w.a);
    pass(&mut w);
    w.operator.sync(&mut w.a);
    w.operator.sync(&mut w.a);
    assert_eq!(w.a.balance(), 50_000, "refunded");
    let swapped = renewed(&mut w.a, &payment);
    let _ = w.b.accept(&swapped);
    assert_eq!(w.a.balance() + w.b.balance(), 100_000);
}

#[test]
fn an_honest_payee_made_to_sign_a_receipt_and_a_decline() {
    let mut w = World::new();
    let request = w.b.request(Some(1_000));
    let payment = w.a.pay(&request, None, None).unwrap();
    let receipt = w.b.accept(&payment).unwrap();
    // The payer renews before the payee has synced, and keeps the receipt from its element.
    w.set_time(START_S + 10 * DAY_S);
    w.operator.sync(&mut w.a);
    pass(&mut w);
    let swapped = renewed(&mut w.a, &payment);
    if let Ok(Reply::Declined { decline, .. }) = w.b.run(&Command::Accept { payment: swapped }) {
        let first = open::<Receipt>(&receipt.0).unwrap().signed_header();
        let second = open::<Decline>(&decline.0).unwrap().signed_header();
        let proof = Proof { cert: w.b.show().cert.unwrap(), first, second };
        let _ = w.a.reclaim(&decline);
        let judged = judge(&w.operator.anchors, &proof);
        panic!("{judged:?} against an honest wallet, and {} with the payer", w.a.balance());
    }
    assert_eq!(w.a.balance() + w.b.balance(), 100_000);
}
