//! A scheme with fixed keys: root, signer, one issuer, rules.

use counterfoil_trust::x509::{issue_authority, issue_root, issue_wallet};
use counterfoil_trust::{Anchors, SigningKey, key_id, seal};
use counterfoil_wire::cert::{AuthorityCert, Name, Role, RootCert, WalletCert};
use counterfoil_wire::header::{Envelope, Signer};
use counterfoil_wire::lists::{RevocationList, TrustList, to_gaps};
use counterfoil_wire::message::Body;
use counterfoil_wire::rules::{Preset, Rules};
use counterfoil_wire::{Algorithm, Amount, Bytes, Signature, Wire};

use counterfoil_operator::domain::policy::Policy;
use counterfoil_operator::domain::wallet::Wallet;
use counterfoil_operator::factory::BACKDATE_S;

/// When everything begins, seconds since 1970.
pub const START_S: u32 = 1_800_000_000;

/// The PSP behind every wallet.
pub const PSP: &str = "alpha";

const HEDGE: [u8; 32] = [7; 32];
const UNSIGNED: Signature = Signature([0; 64]);

/// Everything about the operator that does not change.
pub struct Scheme {
    /// The root.
    pub root: RootCert,
    /// Root, authorities and their list.
    pub anchors: Anchors,
    /// The trust list.
    pub trust: Bytes,
    /// The rules.
    pub rules: Rules,
    /// The rules, signed.
    pub rules_signed: Bytes,
    /// What the operator does about misbehaviour.
    pub policy: Policy,
    signer: SigningKey,
    issuer: (SigningKey, AuthorityCert),
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a short name")
}

fn key(secret: u8) -> SigningKey {
    SigningKey::from_secret(Algorithm::EdDsa, &[secret; 32]).expect("any 32 bytes are a secret")
}

impl Default for Scheme {
    fn default() -> Self {
        Self::with(None)
    }
}

impl Scheme {
    /// The scheme with the permissive rules, by which received value may be respent at once, and, where it is given,
    /// another largest total between two syncs, minor units.
    pub fn with(sync_total_max: Option<u64>) -> Self {
        let (root_key, signer, issuer) = (key(1), key(2), key(3));
        let root = issue_root(name("model"), START_S - 2 * BACKDATE_S, 3650, &root_key, &HEDGE);
        let certify = |role, text, key: &SigningKey, grades, index_last| {
            let cert = AuthorityCert {
                role,
                name: name(text),
                not_before_s: START_S - 2 * BACKDATE_S,
                lifetime_d: 3000,
                since: 1,
                grades,
                index_first: 0,
                index_last,
                key: key.public(),
                signature: UNSIGNED,
            };
            issue_authority(cert, &root_key, &root, &HEDGE)
        };
        let of_signer = certify(Role::Signer, "service", &signer, 0, 0);
        let of_issuer = certify(Role::Issuer, PSP, &issuer, 15, 999);
        let mut anchors = Anchors::new(root.clone()).expect("the root is good");
        let list =
            TrustList { number: 1, issued_at_s: START_S, authorities: vec![of_signer, of_issuer.clone()] };
        let by_root = Signer::Key(root_key.public());
        let (trust, _) = seal(&anchors.scheme, &root_key, &HEDGE, &list, by_root, None);
        let trust = Bytes(trust.to_bytes());
        anchors.adopt(&trust.0).expect("the list is good");
        let mut rules = Preset::Permissive.rules();
        if let Some(most) = sync_total_max.and_then(Amount::new) {
            rules.limits.iter_mut().for_each(|limits| limits.sync_total_max = most);
        }
        let rules_signed =
            seal(&anchors.scheme, &signer, &HEDGE, &rules, Signer::Key(signer.public()), None).0.to_bytes();
        Self {
            root,
            anchors,
            trust,
            rules,
            rules_signed: Bytes(rules_signed),
            policy: Policy::default(),
            signer,
            issuer: (issuer, of_issuer),
        }
    }
}

impl Scheme {
    /// Signs what the operator says.
    pub fn sign<B: Body>(&self, body: &B) -> Envelope {
        let signer = Signer::Key(self.signer.public());
        seal(&self.anchors.scheme, &self.signer, &HEDGE, body, signer, None).0
    }

    /// The next certificate of a wallet.
    pub fn certify(&self, wallet: &Wallet, ceiling: Amount, now_s: u32) -> WalletCert {
        let limits = self.rules.limits(wallet.grade).expect("the rules know every grade");
        let cert = WalletCert {
            issuer: key_id(&self.issuer.1.key),
            not_before_s: (now_s - BACKDATE_S).max(wallet.cert_from_s + 1),
            lifetime_h: limits.cert_lifetime_h,
            status_index: wallet.status_index,
            grade: wallet.grade,
            currency: self.rules.currency,
            ceiling,
            key: wallet.key,
            name: name(&wallet.name),
            signature: UNSIGNED,
        };
        issue_wallet(cert, &self.issuer.0, &self.issuer.1, &HEDGE)
    }

    /// The whole revocation list with this number.
    pub fn revocation_list(&self, number: u32, indexes: &[u32], now_s: u32) -> Bytes {
        let added = to_gaps(indexes);
        let list = RevocationList { number, issued_at_s: now_s, since: 0, added, removed: Vec::new() };
        Bytes(self.sign(&list).to_bytes())
    }
}
