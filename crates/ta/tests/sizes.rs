//! How many bytes travel. The figures are promises: another wallet's QR code must hold them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use counterfoil_trust::{SigningKey, key_id, seal};
use counterfoil_wire::cert::{AuthorityCert, Grade, Name, Role, WalletCert};
use counterfoil_wire::codec::MESSAGE_MAX;
use counterfoil_wire::header::{Extra, Header, Purpose, Signer};
use counterfoil_wire::message::{Body, Decline, Payment, Receipt, Request};
use counterfoil_wire::proof::{Proof, SignedHeader};
use counterfoil_wire::{Algorithm, Amount, Currency, Digest, KeyId, Nonce, Signature, Wire};

use crate::support::{HEDGE, World};

/// Version 13-L in byte mode holds 425 bytes, version 12-L 367.
const PAYMENT_MAX: usize = 384;
const REQUEST_MAX: usize = 384;

fn cert(key: &SigningKey, name: &str) -> WalletCert {
    WalletCert {
        issuer: key_id(&key.public()),
        not_before_s: u32::MAX,
        lifetime_h: u16::MAX,
        status_index: u32::MAX,
        grade: Grade::VirtualSe,
        currency: Currency::new(999).unwrap(),
        ceiling: Amount::MAX,
        key: key.public(),
        name: Name::new(name).unwrap(),
        signature: Signature([0xff; 64]),
    }
}

fn issuer(key: &SigningKey) -> AuthorityCert {
    AuthorityCert {
        role: Role::Issuer,
        name: Name::new("a PSP, 24 bytes of name.").unwrap(),
        not_before_s: u32::MAX,
        lifetime_d: u16::MAX,
        since: u32::MAX,
        grades: 15,
        index_first: u32::MAX,
        index_last: u32::MAX,
        key: key.public(),
        signature: Signature([0xff; 64]),
    }
}

fn sealed<B: Body>(key: &SigningKey, body: &B, signer: Signer, with: Option<AuthorityCert>) -> usize {
    seal(&KeyId([0xff; 32]), key, &HEDGE, body, signer, with).0.to_bytes().len()
}

#[test]
fn worst_case_sizes() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        let key = SigningKey::from_secret(algorithm, &[5; 32]).unwrap();
        let payee = SigningKey::from_secret(Algorithm::Es256, &[6; 32]).unwrap();
        let (digest, max) = (Digest([0xff; 32]), u32::MAX);
        let payment = Payment {
            request: digest,
            request_no: max,
            payee: payee.public(),
            amount: Amount::MAX,
            spent: Amount::MAX,
            seq: max,
            prev: digest,
        };
        let person = cert(&key, "");
        let alone = sealed(&key, &payment, Signer::Cert(person.clone()), None);
        let with_issuer = sealed(&key, &payment, Signer::Cert(person), Some(issuer(&key)));
        let request = Request {
            number: max,
            nonce: Some(Nonce([0xff; 16])),
            amount: Some(Amount::MAX),
            expiry_s: max,
            revocation_no: max,
            trust_no: max,
        };
        let merchant = cert(&key, "a display name, 24 bytes");
        let asked = sealed(&key, &request, Signer::Cert(merchant.clone()), None);
        let asked_with_issuer = sealed(&key, &request, Signer::Cert(merchant), Some(issuer(&key)));
        let receipt = Receipt { payment: digest, seq: max, prev: digest };
        let receipt = sealed(&key, &receipt, Signer::Key(key.public()), None);
        let decline = Decline { payment: digest, reason: u16::MAX, seq: max, prev: digest };
        let decline = sealed(&key, &decline, Signer::Key(key.public()), None);
        assert!(alone <= PAYMENT_MAX && asked <= REQUEST_MAX && with_issuer <= MESSAGE_MAX);
        let half = |purpose, extra| {
            let header = Header { purpose, key: key.public(), seq: max, prev: digest, digest, extra };
            SignedHeader { header, signature: Signature([0xff; 64]) }
        };
        let paid = half(Purpose::Payment, Extra::Spending { spent: Amount::MAX, amount: Amount::MAX });
        let proof = Proof { cert: cert(&key, ""), first: paid.clone(), second: paid }.to_bytes().len();
        // The figures that README.md and spec/messages.md give.
        let figures = [alone, with_issuer, asked, asked_with_issuer, receipt, decline, proof];
        match algorithm {
            Algorithm::EdDsa => assert_eq!(figures, [371, 523, 311, 463, 185, 188, 483]),
            Algorithm::Es256 => assert_eq!(figures, [372, 525, 312, 465, 186, 189, 484]),
        }
    }
}

#[test]
fn a_payment_is_as_long_after_many_hops_as_after_one() {
    let mut w = World::new();
    let mut sizes = vec![];
    for _ in 0..20 {
        let request = w.c.request(Some(100));
        let payment = w.a.pay(&request, None, None).unwrap();
        w.c.accept(&payment).unwrap();
        let request = w.a.request(Some(100));
        let payment = w.c.pay(&request, None, None).unwrap();
        w.a.accept(&payment).unwrap();
        sizes.push(payment.0.len());
    }
    // Sequence and request numbers take one byte more above 23: nothing else may change.
    assert!(sizes[19] <= sizes[0] + 2, "{sizes:?}");
    assert!(sizes[19] <= 367, "the typical payment fits a version 12-L code: {sizes:?}");
}
