//! Envelopes and proofs: what holds, and that nothing altered does.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod common;

use common::{BOTH, HEDGE, NOW_S, START_S, Scheme, amount, decline, flips, payment, receipt, signing_key};
use counterfoil_trust::{
    Misbehaviour, Opened, SigningKey, check_header, conflict, header_id, judge, open, open_message, sha256,
    to_be_signed,
};
use counterfoil_wire::cert::{Grade, WalletCert};
use counterfoil_wire::codec::{Enc, MESSAGE_MAX};
use counterfoil_wire::header::{Envelope, Extra, Header, Purpose, Signer};
use counterfoil_wire::message::{Body, Decline, Payment, Receipt};
use counterfoil_wire::proof::{Proof, SignedHeader};
use counterfoil_wire::{Algorithm, Bytes, Code, Digest, Error, KeyId, Wire};
use proptest::prelude::*;

const SCHEME: KeyId = KeyId([3; 32]);

fn seal<B: Body>(key: &SigningKey, body: &B) -> Envelope {
    counterfoil_trust::seal(&SCHEME, key, &HEDGE, body, Signer::Key(key.public()), None).0
}

fn signed<B: Body>(key: &SigningKey, body: &B) -> SignedHeader {
    open::<B>(&seal(key, body).to_bytes()).unwrap().signed_header()
}

#[test]
fn what_was_sealed_opens() {
    for algorithm in BOTH {
        let key = signing_key(algorithm, 1);
        let body = payment(key.public(), 7, 500, 20);
        let (envelope, id) =
            counterfoil_trust::seal(&SCHEME, &key, &HEDGE, &body, Signer::Key(key.public()), None);
        let opened: Opened<Payment> = open_message(&envelope.to_bytes()).unwrap();
        assert_eq!(opened.body, body);
        assert_eq!((opened.id(&SCHEME), header_id(&SCHEME, &opened.header)), (id, id));
        assert_eq!(opened.header.digest, sha256(&envelope.body.0));
        assert_eq!(opened.check_signature(&SCHEME), Ok(()));
        assert_eq!(check_header(&SCHEME, &opened.signed_header()), Ok(()));
        // Another scheme, the same bytes.
        assert_eq!(opened.check_signature(&KeyId([4; 32])).unwrap_err().code, Code::BadSignature);
        // Another purpose.
        assert_eq!(open::<Receipt>(&envelope.to_bytes()).unwrap_err().code, Code::WrongKind);
    }
}

#[test]
fn the_signed_bytes_are_a_cose_sig_structure() {
    let key = signing_key(Algorithm::EdDsa, 1);
    let header = signed(&key, &receipt(Digest([9; 32]), 4)).header;
    let bytes = header.to_bytes(&SCHEME);
    let mut expected = vec![0x84, 0x6a];
    expected.extend_from_slice(b"Signature1");
    // h'a10127' is {1: -8}; then the empty external data; then the header, 24 to 255 bytes long.
    expected.extend_from_slice(&[0x43, 0xa1, 0x01, 0x27, 0x40, 0x58, bytes.len() as u8]);
    expected.extend_from_slice(&bytes);
    assert_eq!(to_be_signed(&SCHEME, &header), expected);
    assert_eq!(header.digest, Digest([9; 32]));
}

#[test]
fn a_message_between_devices_is_short() {
    let key = signing_key(Algorithm::EdDsa, 1);
    let mut envelope = seal(&key, &receipt(Digest([9; 32]), 4));
    envelope.body = Bytes(vec![0; MESSAGE_MAX]);
    assert_eq!(open_message::<Receipt>(&envelope.to_bytes()).unwrap_err().code, Code::TooLong);
    assert_eq!(open::<Receipt>(&envelope.to_bytes()).unwrap_err().code, Code::NotAMessage);
}

/// A whole payment as a payee judges it that does not know the issuer yet.
fn accept(scheme: &Scheme, bytes: &[u8]) -> Result<Payment, Error> {
    let anchors = counterfoil_trust::Anchors::new(scheme.root.clone())?;
    let opened = open_message::<Payment>(bytes)?;
    let Signer::Cert(cert) = &opened.envelope.signer else { return Err(Code::WrongRole.into()) };
    anchors.check_wallet(cert, opened.envelope.issuer.as_ref(), NOW_S)?;
    opened.check_signature(&anchors.scheme)?;
    Ok(opened.body)
}

#[test]
fn every_flipped_bit_of_a_payment_is_noticed() {
    for algorithm in BOTH {
        let scheme = Scheme::new(algorithm, algorithm);
        let key = signing_key(algorithm, 9);
        let (envelope, _) = counterfoil_trust::seal(
            &scheme.id(),
            &key,
            &HEDGE,
            &payment(scheme.issuer.key, 7, 500, 20),
            Signer::Cert(scheme.wallet(&key)),
            Some(scheme.issuer.clone()),
        );
        let bytes = envelope.to_bytes();
        assert!(accept(&scheme, &bytes).is_ok());
        for flipped in flips(&bytes) {
            assert!(accept(&scheme, &flipped).is_err());
        }
        for len in 0..bytes.len() {
            assert!(accept(&scheme, &bytes[..len]).is_err());
        }
    }
}

/// Where proofs are made and judged: they need certificates.
fn scheme() -> Scheme {
    Scheme::new(Algorithm::EdDsa, Algorithm::Es256)
}

fn signed_in<B: Body>(scheme: &Scheme, key: &SigningKey, body: &B) -> SignedHeader {
    let signer = Signer::Key(key.public());
    let envelope = counterfoil_trust::seal(&scheme.id(), key, &HEDGE, body, signer, None).0;
    open::<B>(&envelope.to_bytes()).unwrap().signed_header()
}

fn proof<A: Body, B: Body>(scheme: &Scheme, key: &SigningKey, first: &A, second: &B) -> Proof {
    let (first, second) = (signed_in(scheme, key, first), signed_in(scheme, key, second));
    Proof { cert: scheme.wallet(key), first, second }
}

#[test]
fn the_three_kinds_of_proof_hold() {
    let (scheme, anchors) = (scheme(), scheme().anchors());
    for algorithm in BOTH {
        let key = signing_key(algorithm, 1);
        let to = key.public();
        let id = Digest([9; 32]);
        for (expected, proof) in [
            (Misbehaviour::Fork, proof(&scheme, &key, &payment(to, 7, 500, 20), &payment(to, 7, 501, 21))),
            (Misbehaviour::Fork, proof(&scheme, &key, &payment(to, 7, 500, 20), &receipt(id, 7))),
            (Misbehaviour::Fork, proof(&scheme, &key, &receipt(id, 7), &decline(id, 7))),
            (Misbehaviour::Overlap, proof(&scheme, &key, &payment(to, 7, 500, 20), &payment(to, 8, 500, 20))),
            (Misbehaviour::Overlap, proof(&scheme, &key, &payment(to, 7, 500, 20), &payment(to, 9, 519, 39))),
            (Misbehaviour::Overlap, proof(&scheme, &key, &payment(to, 7, 500, 20), &payment(to, 9, 490, 1))),
            (Misbehaviour::Equivocation, proof(&scheme, &key, &receipt(id, 7), &decline(id, 8))),
        ] {
            assert_eq!(judge(&anchors, &proof), Ok(expected));
            let (first, second) = (proof.second.clone(), proof.first.clone());
            assert_eq!(judge(&anchors, &Proof { first, second, ..proof.clone() }), Ok(expected));
            assert_eq!(Proof::from_bytes(&proof.to_bytes()).as_ref(), Ok(&proof));
        }
    }
}

#[test]
fn what_honest_wallets_do_proves_nothing() {
    let (scheme, anchors) = (scheme(), scheme().anchors());
    let key = signing_key(Algorithm::Es256, 1);
    let to = key.public();
    let (id, other) = (Digest([9; 32]), Digest([8; 32]));
    let request = counterfoil_wire::message::Request {
        number: 7,
        nonce: None,
        amount: None,
        expiry_s: 0,
        revocation_no: 0,
        trust_no: 0,
    };
    let later_request = counterfoil_wire::message::Request { trust_no: 1, ..request.clone() };
    for proof in [
        proof(&scheme, &key, &payment(to, 7, 500, 20), &payment(to, 8, 520, 20)),
        proof(&scheme, &key, &payment(to, 7, 500, 20), &payment(to, 8, 500, 0)),
        proof(&scheme, &key, &payment(to, 7, 500, 20), &payment(to, 8, 490, 0)),
        proof(&scheme, &key, &receipt(id, 7), &decline(other, 8)),
        proof(&scheme, &key, &receipt(id, 7), &receipt(id, 8)),
        proof(&scheme, &key, &receipt(id, 7), &payment(to, 8, 500, 20)),
        proof(&scheme, &key, &request, &later_request),
        proof(&scheme, &key, &request, &receipt(id, 7)),
    ] {
        assert_eq!(judge(&anchors, &proof).unwrap_err().code, Code::NotAProof, "{proof:?}");
    }
    // The same header signed twice, with different nonces.
    let body = payment(to, 7, 500, 20);
    let again = counterfoil_trust::seal(&SCHEME, &key, &[8; 32], &body, Signer::Key(to), None).0;
    let again = open::<Payment>(&again.to_bytes()).unwrap().signed_header();
    let first = signed(&key, &body);
    assert_ne!(first.signature, again.signature);
    assert_eq!(conflict(&first, &again), None);
    // Two wallets.
    let stranger = signing_key(Algorithm::Es256, 2);
    assert_eq!(conflict(&first, &signed(&stranger, &payment(to, 7, 501, 21))), None);
}

#[test]
fn a_header_that_no_application_makes_counts_for_nothing() {
    let key = signing_key(Algorithm::EdDsa, 1);
    let to = key.public();
    let good = signed(&key, &payment(to, 7, 500, 20));
    let impossible = signed(&key, &payment(to, 7, 500, 501));
    assert_eq!(conflict(&good, &impossible), None);
    for extra in [Extra::None, Extra::Reason(1)] {
        let header = Header { extra, ..good.header };
        assert_eq!(conflict(&good, &SignedHeader { header, ..good.clone() }), None);
    }
    for purpose in [Purpose::Settled, Purpose::Reclaim, Purpose::Defund, Purpose::Request] {
        let header = Header { purpose, extra: Extra::None, ..good.header };
        assert_eq!(conflict(&good, &SignedHeader { header, ..good.clone() }), None);
    }
}

#[test]
fn every_flipped_bit_of_a_proof_is_noticed() {
    let (scheme, anchors) = (scheme(), scheme().anchors());
    for algorithm in BOTH {
        let key = signing_key(algorithm, 9);
        let proof = proof(&scheme, &key, &payment(key.public(), 7, 500, 20), &decline(Digest([9; 32]), 7));
        assert_eq!(judge(&anchors, &proof), Ok(Misbehaviour::Fork));
        for flipped in flips(&proof.to_bytes()) {
            assert!(Proof::from_bytes(&flipped).and_then(|proof| judge(&anchors, &proof)).is_err());
        }
        for len in 0..proof.to_bytes().len() {
            assert!(Proof::from_bytes(&proof.to_bytes()[..len]).is_err());
        }
    }
}

#[test]
fn a_proof_speaks_about_a_wallet_of_the_scheme() {
    let (scheme, anchors) = (scheme(), scheme().anchors());
    let code = |proof: &Proof| judge(&anchors, proof).unwrap_err().code;
    let key = signing_key(Algorithm::EdDsa, 9);
    let held = proof(&scheme, &key, &payment(key.public(), 7, 500, 20), &decline(Digest([9; 32]), 7));
    let with = |cert| Proof { cert, ..held.clone() };
    // A terminal's certificate and one that ended long ago do.
    let terminal = scheme.sign(scheme.unsigned_wallet(key.public(), Grade::Terminal));
    assert_eq!(judge(&anchors, &with(terminal)), Ok(Misbehaviour::Fork));
    let mut first_hour = scheme.unsigned_wallet(key.public(), Grade::VirtualSe);
    (first_hour.not_before_s, first_hour.lifetime_h) = (START_S, 1);
    assert_eq!(judge(&anchors, &with(scheme.sign(first_hour))), Ok(Misbehaviour::Fork));
    // The certificate of another key, one with the key put in, one of an issuer that the list does not name.
    let other = signing_key(Algorithm::EdDsa, 10);
    assert_eq!(code(&with(scheme.wallet(&other))), Code::NotAProof);
    let changed = WalletCert { key: key.public(), ..scheme.wallet(&other) };
    assert_eq!(code(&with(changed)), Code::BadCertificate);
    let issuer = counterfoil_trust::key_id(&other.public());
    assert_eq!(code(&with(WalletCert { issuer, ..held.cert.clone() })), Code::UnknownIssuer);
    let issuer = counterfoil_trust::key_id(&scheme.signer.key);
    assert_eq!(code(&with(WalletCert { issuer, ..held.cert.clone() })), Code::IssuerNotPermitted);
    let only_root = counterfoil_trust::Anchors::new(scheme.root.clone()).unwrap();
    assert_eq!(judge(&only_root, &held).unwrap_err().code, Code::UnknownIssuer);
    // What shows nothing says so before a certificate is looked at; the certificate comes before the headers.
    let nothing = Proof { second: held.first.clone(), ..with(scheme.wallet(&other)) };
    assert_eq!(code(&nothing), Code::NotAProof);
    let mut forged = with(WalletCert { issuer, ..held.cert.clone() });
    forged.first.signature.0[5] ^= 1;
    assert_eq!(code(&forged), Code::IssuerNotPermitted);
    let mut forged = held.clone();
    forged.first.signature.0[5] ^= 1;
    assert_eq!(code(&forged), Code::BadSignature);
    // Another scheme with the same issuer.
    let elsewhere = Scheme::new(Algorithm::Es256, Algorithm::Es256);
    assert_eq!(judge(&elsewhere.anchors(), &held).unwrap_err().code, Code::BadSignature);
}

#[derive(Debug, Clone)]
enum Act {
    Pay(u64),
    Take(u8),
    Decline(u8),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        (0u64..50).prop_map(Act::Pay),
        (0u8..6).prop_map(Act::Take),
        (0u8..6).prop_map(Act::Decline)
    ];
    prop::collection::vec(act, 0..40)
}

proptest! {
    /// The argument of the module's text as a model: a journal that is written before it is signed.
    #[test]
    fn no_pair_from_an_honest_journal_is_a_proof(acts in acts(), start in 0u64..1000) {
        let key = signing_key(Algorithm::EdDsa, 1).public();
        let signature = counterfoil_wire::Signature([0; 64]);
        let (mut spent, mut verdicts, mut journal) = (start, std::collections::BTreeSet::new(), Vec::<SignedHeader>::new());
        for act in acts {
            let seq = journal.len() as u32 + 1;
            let prev = journal.last().map_or(Digest::NONE, |last| header_id(&SCHEME, &last.header));
            let (purpose, digest, extra) = match act {
                Act::Pay(minor) => {
                    spent += minor;
                    (Purpose::Payment, sha256(&seq.to_be_bytes()), Extra::Spending { spent: amount(spent), amount: amount(minor) })
                }
                Act::Take(name) if verdicts.insert(name) => (Purpose::Receipt, Digest([name; 32]), Extra::None),
                Act::Decline(name) if verdicts.insert(name) => (Purpose::Decline, Digest([name; 32]), Extra::Reason(1)),
                _ => continue,
            };
            journal.push(SignedHeader { header: Header { purpose, key, seq, prev, digest, extra }, signature });
        }
        for a in &journal {
            for b in &journal {
                prop_assert_eq!(conflict(a, b), None);
            }
        }
    }

    /// Overlap against a set of units, one by one.
    #[test]
    fn overlap_is_a_shared_unit(a in 0u64..40, a_len in 0u64..12, b in 0u64..40, b_len in 0u64..12) {
        let key = signing_key(Algorithm::EdDsa, 1).public();
        let make = |seq, from: u64, len| {
            let extra = Extra::Spending { spent: amount(from + len), amount: amount(len) };
            let header = Header { purpose: Purpose::Payment, key, seq, prev: Digest::NONE, digest: Digest::NONE, extra };
            SignedHeader { header, signature: counterfoil_wire::Signature([0; 64]) }
        };
        let shared = (a..a + a_len).any(|unit| (b..b + b_len).contains(&unit));
        let shown = conflict(&make(1, a, a_len), &make(2, b, b_len));
        prop_assert_eq!(shown, shared.then_some(Misbehaviour::Overlap));
    }

    #[test]
    fn opening_noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        let anchors = counterfoil_trust::Anchors::new(scheme().root).unwrap();
        let _ = open::<Payment>(&noise);
        let _ = open_message::<Decline>(&noise);
        let _ = Proof::from_bytes(&noise).and_then(|proof| judge(&anchors, &proof));
    }

    /// Noise in the shape of an envelope, which gets further.
    #[test]
    fn opening_shaped_noise_never_panics(
        purpose in 0u64..20, protected: Vec<u8>, signature: Vec<u8>, body: Vec<u8>, signer in prop::collection::vec(any::<u8>(), 30..35),
    ) {
        let mut e = Enc::new();
        e.array(4).uint(purpose).array(4).bytes(&protected).map(0).null().bytes(&signature).bytes(&body).bytes(&signer);
        let bytes = e.finish();
        prop_assert!(open::<Payment>(&bytes).is_err());
    }
}
