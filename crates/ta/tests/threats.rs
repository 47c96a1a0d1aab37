//! Attacks of `spec/threat-model.md` by somebody who owns a key, a phone or a clock. Each runs against the real
//! application; what an attacker signs is signed with a key taken out of a real wallet's store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use counterfoil_ta::api::{Command, Reply};
use counterfoil_trust::{SigningKey, open, seal};
use counterfoil_wire::cert::WalletCert;
use counterfoil_wire::codec::Dec;
use counterfoil_wire::header::Signer;
use counterfoil_wire::lists::RevocationList;
use counterfoil_wire::message::{Payment, Request};
use counterfoil_wire::proof::Gossip;
use counterfoil_wire::rules::{Limits, Preset};
use counterfoil_wire::sync::Settlement;
use counterfoil_wire::{Algorithm, Bytes, Code, Digest, Wire};
use support::{HEDGE, START_S, Wallet, World, amount};

const DAY_S: u32 = 86_400;

fn world(edit: fn(&mut Limits)) -> World {
    let mut rules = Preset::Permissive.rules();
    rules.limits.iter_mut().for_each(edit);
    World::with_rules(rules)
}

/// A key taken out of a wallet of the EdDSA kind, with the certificate that it had then.
struct Thief {
    key: SigningKey,
    cert: WalletCert,
    spent: u64,
}

impl Thief {
    fn rob(wallet: &mut Wallet) -> Self {
        let overview = wallet.show();
        // The core is an array: version, algorithm, secret.
        let core = wallet.device.records.borrow()[b"=core".as_slice()].clone();
        let mut d = Dec::new(&core);
        d.array_head().unwrap();
        d.uint().unwrap();
        d.get::<bool>().unwrap();
        let key = SigningKey::from_secret(Algorithm::EdDsa, &d.bytes_exact().unwrap()).unwrap();
        assert_eq!(key.public(), overview.key);
        let cert = overview.cert.unwrap();
        let spent = cert.ceiling.minor() - 100_000;
        Self { key, cert, spent }
    }

    /// A payment of the interval `(to - minor, to]`.
    fn payment(&self, w: &World, request: &Bytes, minor: u64, to: u64, seq: u32) -> Bytes {
        let request = open::<Request>(&request.0).unwrap();
        let scheme = w.operator.anchors.scheme;
        let payment = Payment {
            request: request.id(&scheme),
            request_no: request.body.number,
            payee: request.header.key,
            amount: amount(minor),
            spent: amount(to),
            seq,
            prev: Digest::NONE,
        };
        let signer = Signer::Cert(self.cert.clone());
        Bytes(seal(&scheme, &self.key, &HEDGE, &payment, signer, None).0.to_bytes())
    }
}

fn hear(wallet: &mut Wallet, revocation: Bytes) -> Result<Reply, Code> {
    let gossip = Gossip { revocation: Some(revocation), trust: None, proofs: vec![], headers: vec![] };
    wallet.run(&Command::GossipIn { gossip: Bytes(gossip.to_message()) })
}

// What a stolen key can create.

#[test]
fn spending_below_the_start_or_what_was_spent_long_ago() {
    let mut w = World::new();
    let thief = Thief::rob(&mut w.a);
    let code = w.b.standing_request();
    // Nobody ever spent these intervals, so no header in the world contradicts them.
    for (to, seq) in [(20_000, 900), (40_000, 901), (thief.spent + 9_999, 903)] {
        let payment = thief.payment(&w, &code, 10_000, to, seq);
        assert_eq!(w.b.accept(&payment), Err(Code::CeilingExceeded), "{to}");
    }
    let payment = thief.payment(&w, &code, 10_000, thief.spent + 20_000, 904);
    w.b.accept(&payment).expect("within what the certificate covers");
}

#[test]
fn one_payee_takes_no_more_than_the_room_under_a_ceiling() {
    let mut w = world(|l| l.balance_max = amount(10_000_000));
    let thief = Thief::rob(&mut w.a);
    let code = w.b.standing_request();
    let (mut taken, before) = (0, w.b.balance());
    // Numbers and intervals as the thief likes: upwards, again, shifted, and across the ends.
    for (n, to) in (0..=40u32).map(|n| (n, thief.spent + u64::from(n) * 7_000 % 130_000)) {
        let payment = thief.payment(&w, &code, 7_000, to, 900 + n);
        taken += u64::from(w.b.accept(&payment).is_ok()) * 7_000;
    }
    assert_eq!(w.b.balance(), before + taken);
    assert!((50_000..=100_000).contains(&taken), "{taken}");
}

// Time.

/// A list that a thief of the operator's online key signs: number and time as the thief likes.
fn poisoned_list(w: &World, issued_at_s: u32) -> Bytes {
    let list = RevocationList { number: 50, issued_at_s, since: 0, added: vec![], removed: vec![] };
    Bytes(w.operator.sign(&list).to_bytes())
}

#[test]
fn poisoned_time_in_a_list_closes_nothing_for_good() {
    let mut w = World::new();
    let list = poisoned_list(&w, START_S + 2_000 * DAY_S);
    hear(&mut w.b, list).unwrap();
    let request = w.c.request(Some(10));
    assert_eq!(w.b.pay(&request, None, None), Err(Code::CertificateExpired), "until it syncs");
    w.operator.sync(&mut w.b);
    assert_eq!(w.b.show().time_bound_s, START_S);
    w.operator.sync(&mut w.b);
    let request = w.b.request(Some(10));
    let payment = w.a.pay(&request, None, None).unwrap();
    w.b.accept(&payment).expect("a sync set the time right, and nothing was promised by the wrong one");
}

#[test]
fn poisoned_time_in_a_settlement_closes_no_more_than_a_certificates_life() {
    let mut w = World::new();
    let until_s = w.b.show().cert.unwrap().not_after_s();
    let pending = w.b.message(&Command::Statement {}).unwrap();
    let answer = w.operator.settle(&pending);
    let mut body = open::<Settlement>(&answer.0).unwrap().body;
    // The online key is stolen, and an issuer's is not.
    (body.time_s, body.cert) = (START_S + 2_000 * DAY_S, None);
    let forged = Bytes(w.operator.sign(&body).to_bytes());
    w.b.run(&Command::Settle { settlement: forged }).unwrap();
    for _ in 0..2 {
        w.operator.sync(&mut w.b);
    }
    w.set_time(until_s - DAY_S);
    w.operator.sync(&mut w.a);
    w.operator.sync(&mut w.b);
    let request = w.b.request(Some(10));
    let payment = w.a.pay(&request, None, None).unwrap();
    w.b.accept(&payment).expect("whoever renewed since is heard");
}
