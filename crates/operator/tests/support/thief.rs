//! Whoever got hold of a wallet's key.

use counterfoil_trust::{SigningKey, open, seal};
use counterfoil_wire::cert::WalletCert;
use counterfoil_wire::codec::Dec;
use counterfoil_wire::header::Signer;
use counterfoil_wire::message::{Payment, Request};
use counterfoil_wire::sync::Statement;
use counterfoil_wire::{Algorithm, Bytes, Digest, KeyId, Wire};

use super::{Wallet, World, amount};

/// A key taken out of a wallet of the EdDSA kind.
pub struct Thief {
    pub scheme: KeyId,
    pub key: SigningKey,
    pub cert: WalletCert,
}

impl Thief {
    pub fn rob(world: &World, wallet: &mut Wallet) -> Self {
        // The core is an array: version, algorithm, secret.
        let core = wallet.records()[b"=core".as_slice()].clone();
        let mut d = Dec::new(&core);
        d.array_head().unwrap();
        d.uint().unwrap();
        d.get::<bool>().unwrap();
        let key = SigningKey::from_secret(Algorithm::EdDsa, &d.bytes_exact().unwrap()).unwrap();
        let cert = wallet.show().cert.unwrap();
        assert_eq!(key.public(), cert.key);
        Self { scheme: world.service.scheme().anchors.scheme, key, cert }
    }

    /// Where the interval that the certificate covers begins.
    pub fn floor(&self) -> u64 {
        self.cert.ceiling.minor() - 100_000
    }

    /// A payment of the interval `(to - minor, to]`, in no journal.
    pub fn payment(&self, request: &Bytes, minor: u64, to: u64, seq: u32) -> Bytes {
        let request = open::<Request>(&request.0).unwrap();
        let payment = Payment {
            request: request.id(&self.scheme),
            request_no: request.body.number,
            payee: *request.envelope.signer.key(),
            amount: amount(minor),
            spent: amount(to),
            seq,
            prev: Digest::NONE,
        };
        let signer = Signer::Cert(self.cert.clone());
        Bytes(seal(&self.scheme, &self.key, &[1; 32], &payment, signer, None).0.to_bytes())
    }

    /// A statement of the wallet, edited and signed again.
    pub fn statement(&self, statement: &Bytes, edit: impl Fn(&mut Statement)) -> Bytes {
        let opened = open::<Statement>(&statement.0).unwrap();
        let mut body = opened.body;
        edit(&mut body);
        Bytes(seal(&self.scheme, &self.key, &[1; 32], &body, opened.envelope.signer, None).0.to_bytes())
    }
}
