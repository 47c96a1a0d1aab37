//! One value has one encoding, and no bytes bring a decoder down.

#![allow(clippy::unwrap_used, reason = "tests")]

use counterfoil_wire::bundle::Bundle;
use counterfoil_wire::cert::{AuthorityCert, Grade, Name, Role, RootCert, WalletCert};
use counterfoil_wire::header::{Envelope, Extra, Header, Purpose, Signer};
use counterfoil_wire::lists::{RevocationList, TrustList};
use counterfoil_wire::message::{Decline, Payment, Receipt, Request};
use counterfoil_wire::proof::{Gossip, Proof, SignedHeader};
use counterfoil_wire::rules::{Preset, Rules};
use counterfoil_wire::sync::{Enrolment, Entry, FundOrder, Settlement, Statement};
use counterfoil_wire::{
    Amount, Bytes, Currency, Digest, KeyId, Nonce, PublicKey, Reference, Signature, Wire,
};
use proptest::prelude::*;

fn amount() -> impl Strategy<Value = Amount> {
    prop_oneof![0..300u64, 0..=Amount::MAX.minor()].prop_map(|minor| Amount::new(minor).unwrap())
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn signature() -> impl Strategy<Value = Signature> {
    proptest::collection::vec(any::<u8>(), 64).prop_map(|bytes| Signature(bytes.try_into().unwrap()))
}

fn key() -> impl Strategy<Value = PublicKey> {
    (any::<[u8; 32]>(), 0..3u8).prop_map(|(bytes, form)| match form {
        0 => PublicKey::Ed25519(bytes),
        sign => {
            let mut point = [sign + 1; 33];
            point[1..].copy_from_slice(&bytes);
            PublicKey::P256(point)
        }
    })
}

prop_compose! {
    fn wallet_cert()(
        issuer in any::<[u8; 32]>(),
        numbers in any::<(u32, u16, u32)>(),
        grade in proptest::sample::select(Grade::ALL),
        currency in 1..1000u16,
        ceiling in amount(),
        key in key(),
        name in "[a-zäöü]{0,12}",
        signature in signature(),
    ) -> WalletCert {
        WalletCert {
            issuer: KeyId(issuer),
            not_before_s: numbers.0,
            lifetime_h: numbers.1,
            status_index: numbers.2,
            grade,
            currency: Currency::new(currency).unwrap(),
            ceiling,
            key,
            name: Name::new(&name).unwrap(),
            signature,
        }
    }
}

prop_compose! {
    fn authority_cert()(numbers in any::<(u32, u16, u32, u8, u32, u32)>(), key in key(), signature in signature())
        -> AuthorityCert
    {
        AuthorityCert {
            role: Role::Issuer,
            name: Name::new("alpha").unwrap(),
            not_before_s: numbers.0,
            lifetime_d: numbers.1,
            since: numbers.2,
            grades: numbers.3,
            index_first: numbers.4,
            index_last: numbers.5,
            key,
            signature,
        }
    }
}

prop_compose! {
    fn payment()(
        request in digest(),
        prev in digest(),
        numbers in any::<(u32, u32)>(),
        payee in key(),
        amount in amount(),
        spent in amount(),
    ) -> Payment {
        Payment { request, request_no: numbers.0, payee, amount, spent, seq: numbers.1, prev }
    }
}

fn envelope() -> impl Strategy<Value = Envelope> {
    let signer = prop_oneof![wallet_cert().prop_map(Signer::Cert), key().prop_map(Signer::Key)];
    let purpose = proptest::sample::select(Purpose::ALL);
    (purpose, signature(), payment(), signer, proptest::option::of(authority_cert())).prop_map(
        |(purpose, signature, body, signer, issuer)| Envelope {
            purpose,
            signature,
            body: Bytes(body.to_bytes()),
            signer,
            issuer,
        },
    )
}

fn signed_header() -> impl Strategy<Value = SignedHeader> {
    (key(), any::<u32>(), digest(), digest(), 0..3u8, amount(), signature()).prop_map(
        |(key, seq, prev, digest, kind, amount, signature)| {
            let (purpose, extra) = match kind {
                0 => (Purpose::Payment, Extra::Spending { spent: amount, amount }),
                1 => (Purpose::Decline, Extra::Reason(seq as u16)),
                _ => (Purpose::Receipt, Extra::None),
            };
            SignedHeader { header: Header { purpose, key, seq, prev, digest, extra }, signature }
        },
    )
}

/// The value comes back, and no other bytes near it are taken for the same value.
fn exact<T: Wire + PartialEq + std::fmt::Debug>(value: &T, flip: (usize, u8)) -> Result<(), TestCaseError> {
    let bytes = value.to_bytes();
    prop_assert_eq!(&T::from_bytes(&bytes).unwrap(), value);
    for len in 0..bytes.len() {
        prop_assert!(T::from_bytes(&bytes[..len]).is_err());
    }
    let mut other = bytes.clone();
    let at = flip.0 % bytes.len();
    other[at] ^= 1 << (flip.1 % 8);
    if let Ok(decoded) = T::from_bytes(&other) {
        prop_assert_ne!(&decoded, value);
        prop_assert_eq!(decoded.to_bytes(), other);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn messages_are_exact(envelope in envelope(), payment in payment(), flip in any::<(usize, u8)>()) {
        exact(&envelope, flip)?;
        exact(&payment, flip)?;
    }

    #[test]
    fn evidence_is_exact(
        cert in wallet_cert(), first in signed_header(), second in signed_header(), flip in any::<(usize, u8)>(),
    ) {
        exact(&first, flip)?;
        let (mut first, mut second) = (first, second);
        (first.header.key, second.header.key) = (cert.key, cert.key);
        let proof = Proof { cert, first: first.clone(), second };
        exact(&proof, flip)?;
        let gossip = Gossip { revocation: None, trust: Some(Bytes(vec![1])), proofs: vec![proof], headers: vec![first] };
        prop_assert_eq!(Gossip::from_message(&gossip.to_message()).unwrap(), gossip);
    }

    #[test]
    fn no_bytes_bring_a_decoder_down(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        macro_rules! strict {
            ($($ty:ty),*) => {$(
                if let Ok(value) = <$ty>::from_bytes(&bytes) {
                    prop_assert_eq!(&value.to_bytes(), &bytes);
                }
            )*};
        }
        strict!(Envelope, Request, Payment, Receipt, Decline, Enrolment, FundOrder, Statement, Settlement, Entry);
        strict!(TrustList, RevocationList, Rules, Proof, SignedHeader, WalletCert, AuthorityCert, RootCert);
        strict!(Bundle);
        strict!(Nonce, Reference, Amount, Currency, PublicKey, Vec<u32>, Option<Bytes>, bool);
        let _ = Gossip::from_message(&bytes);
    }
}

#[test]
fn presets_are_exact() {
    for preset in Preset::ALL {
        exact(&preset.rules(), (40, 3)).unwrap();
    }
}
