//! A small scheme to test in.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

use counterfoil_trust::{Anchors, SigningKey, key_id, seal, x509};
use counterfoil_wire::cert::{AuthorityCert, Grade, Name, Role, RootCert, WalletCert};
use counterfoil_wire::header::Signer;
use counterfoil_wire::lists::TrustList;
use counterfoil_wire::message::{Decline, Payment, Receipt};
use counterfoil_wire::{Algorithm, Amount, Currency, Digest, KeyId, PublicKey, Signature, Wire};

pub const BOTH: [Algorithm; 2] = [Algorithm::EdDsa, Algorithm::Es256];

/// 2026-01-01.
pub const START_S: u32 = 1_767_225_600;
pub const NOW_S: u32 = START_S + 40 * 86_400;
pub const HEDGE: [u8; 32] = [7; 32];

pub fn signing_key(algorithm: Algorithm, seed: u8) -> SigningKey {
    SigningKey::from_secret(algorithm, &[seed; 32]).unwrap()
}

pub fn amount(minor: u64) -> Amount {
    Amount::new(minor).unwrap()
}

pub struct Scheme {
    pub root_key: SigningKey,
    pub issuer_key: SigningKey,
    pub signer_key: SigningKey,
    pub root: RootCert,
    pub issuer: AuthorityCert,
    pub signer: AuthorityCert,
}

impl Scheme {
    pub fn new(root: Algorithm, authorities: Algorithm) -> Self {
        let root_key = signing_key(root, 1);
        let issuer_key = signing_key(authorities, 2);
        let signer_key = signing_key(authorities, 3);
        let root =
            x509::issue_root(Name::new("Test scheme \u{20b9}").unwrap(), START_S, 3650, &root_key, &HEDGE);
        let issuer = AuthorityCert {
            role: Role::Issuer,
            name: Name::new("Bank of Tests").unwrap(),
            not_before_s: START_S,
            lifetime_d: 365,
            since: 1,
            grades: 15,
            index_first: 1000,
            index_last: 1999,
            key: issuer_key.public(),
            signature: Signature([0; 64]),
        };
        let signer = AuthorityCert {
            role: Role::Signer,
            name: Name::new("Operator").unwrap(),
            grades: 0,
            index_first: 0,
            index_last: 0,
            key: signer_key.public(),
            ..issuer.clone()
        };
        let issuer = x509::issue_authority(issuer, &root_key, &root, &HEDGE);
        let signer = x509::issue_authority(signer, &root_key, &root, &HEDGE);
        Self { root_key, issuer_key, signer_key, root, issuer, signer }
    }

    pub fn id(&self) -> KeyId {
        key_id(&self.root.key)
    }

    pub fn unsigned_wallet(&self, key: PublicKey, grade: Grade) -> WalletCert {
        WalletCert {
            issuer: key_id(&self.issuer.key),
            not_before_s: START_S + 30 * 86_400,
            lifetime_h: 30 * 24,
            status_index: 1234,
            grade,
            currency: Currency::INR,
            ceiling: amount(5_000_000),
            key,
            name: Name::default(),
            signature: Signature([0; 64]),
        }
    }

    pub fn sign(&self, unsigned: WalletCert) -> WalletCert {
        x509::issue_wallet(unsigned, &self.issuer_key, &self.issuer, &HEDGE)
    }

    pub fn wallet(&self, key: &SigningKey) -> WalletCert {
        self.sign(self.unsigned_wallet(key.public(), Grade::VirtualSeBound))
    }

    pub fn trust_list(&self, number: u32, authorities: Vec<AuthorityCert>) -> Vec<u8> {
        let list = TrustList { number, issued_at_s: START_S, authorities };
        seal(&self.id(), &self.root_key, &HEDGE, &list, Signer::Key(self.root.key), None).0.to_bytes()
    }

    pub fn anchors(&self) -> Anchors {
        let mut anchors = Anchors::new(self.root.clone()).unwrap();
        assert_eq!(
            anchors.adopt(&self.trust_list(1, vec![self.issuer.clone(), self.signer.clone()])),
            Ok(true)
        );
        anchors
    }
}

pub fn payment(payee: PublicKey, seq: u32, spent: u64, paid: u64) -> Payment {
    Payment {
        request: Digest([4; 32]),
        request_no: 1,
        payee,
        amount: amount(paid),
        spent: amount(spent),
        seq,
        prev: Digest([5; 32]),
    }
}

pub fn receipt(payment: Digest, seq: u32) -> Receipt {
    Receipt { payment, seq, prev: Digest([6; 32]) }
}

pub fn decline(payment: Digest, seq: u32) -> Decline {
    Decline { payment, reason: 319, seq, prev: Digest([6; 32]) }
}

/// Every way to flip one bit of `bytes`.
pub fn flips(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..bytes.len() * 8).map(|bit| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    })
}
