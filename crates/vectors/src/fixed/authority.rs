//! A scheme with fixed keys.

use std::collections::BTreeMap;

use counterfoil_trust::x509::{issue_authority, issue_root, issue_wallet};
use counterfoil_trust::{Anchors, SigningKey, key_id, seal};
use counterfoil_wire::cert::{AuthorityCert, Grade, Role, RootCert, WalletCert};
use counterfoil_wire::header::{Envelope, Signer};
use counterfoil_wire::lists::{RevocationList, TrustList, to_gaps};
use counterfoil_wire::message::Body;
use counterfoil_wire::{Algorithm, Bytes, Currency, Error, KeyId, PublicKey, Signature, Wire};

use super::{HEDGE, START_S, amount, key, name};

/// When the authorities begin: a day before the world, so that what begins with it lies inside.
pub const AUTHORITIES_FROM_S: u32 = START_S - 86_400;

/// Algorithms of a scheme's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// Of the root.
    pub root: Algorithm,
    /// Of the signer.
    pub signer: Algorithm,
}

/// Root, signer, and one issuer for each algorithm: `alpha` with EdDSA for the status indexes from 0 to 999, `beta` with
/// ES256 for those from 1000 to 1999, both for every grade.
pub struct Scheme {
    /// The root's key.
    pub root_key: SigningKey,
    /// The operator's online key.
    pub signer_key: SigningKey,
    /// Issuers' keys.
    pub issuer_keys: BTreeMap<Algorithm, SigningKey>,
    /// The root.
    pub root: RootCert,
    /// The operator's online key, certified.
    pub signer: AuthorityCert,
    /// Issuers, certified.
    pub issuers: BTreeMap<Algorithm, AuthorityCert>,
    /// Trust list 1: signer and issuers.
    pub trust: TrustList,
    /// The same, as it travels.
    pub trust_message: Bytes,
    /// What a device knows that has adopted it.
    pub anchors: Anchors,
}

impl Scheme {
    /// The scheme with this name. Another name gives other keys.
    ///
    /// # Errors
    /// None for the names in use: those of [`key`] and [`Anchors::adopt`].
    pub fn new(label: &str, keys: Keys) -> Result<Self, Error> {
        let root_key = key(keys.root, &format!("{label} root"))?;
        let signer_key = key(keys.signer, &format!("{label} signer"))?;
        let root = issue_root(name(label), AUTHORITIES_FROM_S, 3650, &root_key, &HEDGE);
        let signer = issue_authority(
            authority(Role::Signer, "service", &signer_key, [0, 0]),
            &root_key,
            &root,
            &HEDGE,
        );
        let (mut issuer_keys, mut issuers) = (BTreeMap::new(), BTreeMap::new());
        for (algorithm, psp, indexes) in
            [(Algorithm::EdDsa, "alpha", [0, 999]), (Algorithm::Es256, "beta", [1000, 1999])]
        {
            let issuer_key = key(algorithm, &format!("{label} issuer {psp}"))?;
            let unsigned = authority(Role::Issuer, psp, &issuer_key, indexes);
            issuers.insert(algorithm, issue_authority(unsigned, &root_key, &root, &HEDGE));
            issuer_keys.insert(algorithm, issuer_key);
        }
        let mut authorities = vec![signer.clone()];
        authorities.extend(issuers.values().cloned());
        let trust = TrustList { number: 1, issued_at_s: START_S, authorities };
        let mut anchors = Anchors::new(root.clone())?;
        let by_root = Signer::Key(root_key.public());
        let (trust_message, _) = seal(&anchors.scheme, &root_key, &HEDGE, &trust, by_root, None);
        let trust_message = Bytes(trust_message.to_bytes());
        anchors.adopt(&trust_message.0)?;
        Ok(Self { root_key, signer_key, issuer_keys, root, signer, issuers, trust, trust_message, anchors })
    }

    /// The scheme's identifier.
    pub fn id(&self) -> KeyId {
        self.anchors.scheme
    }

    /// The issuer that certifies wallets of this algorithm, and its key.
    ///
    /// # Errors
    /// None: there is one for each.
    pub fn issuer(&self, algorithm: Algorithm) -> Result<(&AuthorityCert, &SigningKey), Error> {
        let found = self.issuers.get(&algorithm).zip(self.issuer_keys.get(&algorithm));
        found.ok_or(counterfoil_wire::Code::UnknownIssuer.into())
    }

    /// A certificate to begin with, not signed yet: 30 days from the start, in euros, without a name.
    ///
    /// # Errors
    /// As [`Scheme::issuer`].
    pub fn unsigned(&self, key: PublicKey, index: u32, grade: Grade) -> Result<WalletCert, Error> {
        Ok(WalletCert {
            issuer: key_id(&self.issuer(key.algorithm())?.0.key),
            not_before_s: START_S,
            lifetime_h: 30 * 24,
            status_index: index,
            grade,
            currency: Currency::EUR,
            ceiling: amount(1_000_000),
            key,
            name: name(""),
            signature: Signature([0; 64]),
        })
    }

    /// Certifies a wallet.
    ///
    /// # Errors
    /// As [`Scheme::issuer`].
    pub fn certify(&self, unsigned: WalletCert) -> Result<WalletCert, Error> {
        let (issuer, issuer_key) = self.issuer(unsigned.key.algorithm())?;
        Ok(issue_wallet(unsigned, issuer_key, issuer, &HEDGE))
    }

    /// Certifies an authority.
    pub fn certify_authority(&self, unsigned: AuthorityCert) -> AuthorityCert {
        issue_authority(unsigned, &self.root_key, &self.root, &HEDGE)
    }

    /// What the operator says, signed by its online key.
    pub fn sign<B: Body>(&self, body: &B) -> Envelope {
        seal(&self.id(), &self.signer_key, &HEDGE, body, Signer::Key(self.signer_key.public()), None).0
    }

    /// What the root says.
    pub fn sign_by_root<B: Body>(&self, body: &B) -> Envelope {
        seal(&self.id(), &self.root_key, &HEDGE, body, Signer::Key(self.root_key.public()), None).0
    }

    /// The whole revocation list with this number, as it travels. `indexes` ascend.
    pub fn revocation_list(&self, number: u32, issued_at_s: u32, indexes: &[u32]) -> Bytes {
        let list = RevocationList { number, issued_at_s, since: 0, added: to_gaps(indexes), removed: vec![] };
        Bytes(self.sign(&list).to_bytes())
    }
}

/// An authority that is not certified yet: 3,000 days, every grade for an issuer.
pub fn authority(role: Role, text: &str, key: &SigningKey, [first, last]: [u32; 2]) -> AuthorityCert {
    AuthorityCert {
        role,
        name: name(text),
        not_before_s: AUTHORITIES_FROM_S,
        lifetime_d: 3000,
        since: 1,
        grades: if role == Role::Issuer { 15 } else { 0 },
        index_first: first,
        index_last: last,
        key: key.public(),
        signature: Signature([0; 64]),
    }
}
