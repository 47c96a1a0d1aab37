//! Certificates, trust lists and revocation lists: what holds, in which order errors come, and that nothing altered
//! does.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod common;

use common::{BOTH, HEDGE, NOW_S, START_S, Scheme, amount, flips, signing_key};
use counterfoil_trust::{Anchors, Revoked, SigningKey, key_id, seal, x509};
use counterfoil_wire::cert::{AuthorityCert, Grade, Name, Role, RootCert, WalletCert};
use counterfoil_wire::header::Signer;
use counterfoil_wire::lists::RevocationList;
use counterfoil_wire::{Algorithm, Amount, Code, Currency, Error, KeyId, PublicKey, Signature, Wire};
use der::{Decode, Encode};
use proptest::prelude::*;

fn code<T: core::fmt::Debug>(result: Result<T, Error>) -> Code {
    result.unwrap_err().code
}

fn schemes() -> impl Iterator<Item = (Scheme, SigningKey)> {
    BOTH.into_iter().map(|algorithm| (Scheme::new(algorithm, algorithm), signing_key(algorithm, 9)))
}

#[test]
fn every_flipped_bit_of_a_certificate_is_noticed() {
    for (scheme, key) in schemes() {
        for flipped in flips(&scheme.root.to_bytes()) {
            assert!(RootCert::from_bytes(&flipped).and_then(Anchors::new).is_err());
        }
        for authority in [&scheme.issuer, &scheme.signer] {
            for flipped in flips(&authority.to_bytes()) {
                let checked = AuthorityCert::from_bytes(&flipped)
                    .and_then(|c| x509::verify_authority(&c, &scheme.root));
                assert!(checked.is_err());
            }
        }
        for flipped in flips(&scheme.wallet(&key).to_bytes()) {
            assert!(
                WalletCert::from_bytes(&flipped)
                    .and_then(|c| x509::verify_wallet(&c, &scheme.issuer))
                    .is_err()
            );
        }
    }
}

#[test]
fn a_certificate_is_checked_in_order() {
    for (scheme, key) in schemes() {
        let anchors = scheme.anchors();
        let good = scheme.wallet(&key);
        assert_eq!(anchors.check_wallet(&good, None, NOW_S), Ok(&scheme.issuer));
        assert_eq!(anchors.find_issuer(&good.issuer), Some(&scheme.issuer));
        assert_eq!(anchors.find_issuer(&key_id(&scheme.signer.key)), None);

        let unsigned = || scheme.unsigned_wallet(key.public(), Grade::VirtualSe);
        let check = |cert: &WalletCert, now_s| code(anchors.check_wallet(cert, None, now_s));
        let after = good.not_after_s() + 1;
        // Each certificate has every later fault as well.
        let unknown = WalletCert { issuer: KeyId([1; 32]), status_index: 0, ..unsigned() };
        assert_eq!(check(&unknown, after), Code::UnknownIssuer);
        for not_permitted in [
            WalletCert { status_index: 999, ..unsigned() },
            WalletCert { status_index: 2000, ..unsigned() },
            WalletCert { not_before_s: START_S - 1, ..unsigned() },
            WalletCert { not_before_s: scheme.issuer.not_after_s(), ..unsigned() },
            WalletCert { not_before_s: u32::MAX - 3600, lifetime_h: u16::MAX, ..unsigned() },
            WalletCert { issuer: key_id(&scheme.signer.key), ..unsigned() },
        ] {
            assert_eq!(check(&not_permitted, after), Code::IssuerNotPermitted);
            // Nor does the issuer's own signature help.
            assert_eq!(check(&scheme.sign(not_permitted), after), Code::IssuerNotPermitted);
        }
        assert_eq!(check(&unsigned(), after), Code::BadCertificate);
        assert_eq!(check(&good, good.not_before_s - 1), Code::CertificateNotYetValid);
        assert!(anchors.check_wallet(&good, None, good.not_before_s).is_ok());
        assert!(anchors.check_wallet(&good, None, good.not_after_s()).is_ok());
        assert_eq!(check(&good, after), Code::CertificateExpired);
    }
}

#[test]
fn an_issuer_certifies_only_its_grades() {
    let (mut scheme, key) = schemes().next().unwrap();
    for allowed in 0..16 {
        let unsigned = AuthorityCert { grades: allowed, ..scheme.issuer.clone() };
        scheme.issuer = x509::issue_authority(unsigned, &scheme.root_key, &scheme.root, &HEDGE);
        for grade in Grade::ALL {
            let cert = scheme.sign(scheme.unsigned_wallet(key.public(), *grade));
            let checked = scheme.anchors().check_wallet(&cert, None, NOW_S).map(drop);
            let expected =
                if allowed & grade.bit() != 0 { Ok(()) } else { Err(Code::IssuerNotPermitted.into()) };
            assert_eq!(checked, expected);
        }
    }
}

#[test]
fn a_signer_issues_nothing_even_with_an_issuers_rights_on_paper() {
    for (mut scheme, key) in schemes() {
        let rights = AuthorityCert { role: Role::Signer, ..scheme.issuer.clone() };
        scheme.issuer = x509::issue_authority(rights, &scheme.root_key, &scheme.root, &HEDGE);
        let cert = scheme.wallet(&key);
        assert_eq!(code(scheme.anchors().check_wallet(&cert, None, NOW_S)), Code::IssuerNotPermitted);
        assert_eq!(scheme.anchors().find_issuer(&cert.issuer), None);
    }
}

#[test]
fn a_carried_issuer_counts_only_if_the_held_list_is_older() {
    for (mut scheme, key) in schemes() {
        let cert = scheme.wallet(&key);
        let mut held = Anchors::new(scheme.root.clone()).unwrap();
        assert_eq!(code(held.check_wallet(&cert, None, NOW_S)), Code::UnknownIssuer);
        assert_eq!(held.check_wallet(&cert, Some(&scheme.issuer), NOW_S), Ok(&scheme.issuer));
        assert_eq!(code(held.check_wallet(&cert, Some(&scheme.signer), NOW_S)), Code::UnknownIssuer);
        let mut forged = scheme.issuer.clone();
        forged.index_last += 1;
        assert_eq!(code(held.check_wallet(&cert, Some(&forged), NOW_S)), Code::BadCertificate);

        // Withdrawn: the list could name it and does not.
        assert_eq!(held.adopt(&scheme.trust_list(1, vec![scheme.signer.clone()])), Ok(true));
        assert_eq!(code(held.check_wallet(&cert, Some(&scheme.issuer), NOW_S)), Code::UnknownIssuer);

        let unsigned = AuthorityCert { since: 2, ..scheme.issuer.clone() };
        scheme.issuer = x509::issue_authority(unsigned, &scheme.root_key, &scheme.root, &HEDGE);
        let cert = scheme.wallet(&key);
        assert_eq!(held.check_wallet(&cert, Some(&scheme.issuer), NOW_S), Ok(&scheme.issuer));
    }
}

#[test]
fn a_trust_list_is_taken_whole_or_not_at_all() {
    for (scheme, _) in schemes() {
        let mut anchors = scheme.anchors();
        let before = anchors.clone();
        let mut refused = |bytes: &[u8], expected: Code| {
            assert_eq!(code(anchors.adopt(bytes)), expected);
            assert_eq!(anchors, before);
        };
        let (issuer, signer) = (scheme.issuer.clone(), scheme.signer.clone());
        refused(
            &scheme.trust_list(2, vec![issuer.clone(), signer.clone(), issuer.clone()]),
            Code::ListInvalid,
        );
        let early = AuthorityCert { since: 3, ..issuer.clone() };
        let early = x509::issue_authority(early, &scheme.root_key, &scheme.root, &HEDGE);
        refused(&scheme.trust_list(2, vec![early]), Code::ListInvalid);
        for broken in [
            AuthorityCert { index_last: 5000, ..issuer.clone() },
            resign(&scheme, AuthorityCert { name: Name::default(), ..issuer.clone() }),
            resign(&scheme, AuthorityCert { grades: 16, ..issuer.clone() }),
            resign(&scheme, AuthorityCert { index_first: 2000, ..issuer.clone() }),
            resign(&scheme, AuthorityCert { lifetime_d: 3651, ..issuer.clone() }),
            resign(&scheme, AuthorityCert { not_before_s: START_S - 1, ..issuer.clone() }),
            resign(&scheme, AuthorityCert { lifetime_d: u16::MAX, ..issuer.clone() }),
        ] {
            refused(&scheme.trust_list(2, vec![signer.clone(), broken]), Code::BadCertificate);
        }
        let list = counterfoil_wire::lists::TrustList { number: 2, issued_at_s: NOW_S, authorities: vec![] };
        let by =
            |key: &SigningKey, signer| seal(&anchors.scheme, key, &HEDGE, &list, signer, None).0.to_bytes();
        let by_signer = by(&scheme.signer_key, Signer::Key(scheme.signer.key));
        let in_its_name = by(&scheme.signer_key, Signer::Key(scheme.root.key));
        let mut refused = |bytes: &[u8], expected: Code| {
            assert_eq!(code(anchors.adopt(bytes)), expected);
            assert_eq!(anchors, before);
        };
        refused(&by_signer, Code::WrongScheme);
        refused(&in_its_name, Code::BadSignature);
        assert_eq!(anchors.adopt(&scheme.trust_list(1, vec![])), Ok(false));
        assert_eq!(anchors, before);
        assert_eq!(anchors.adopt(&scheme.trust_list(2, vec![signer])), Ok(true));
        assert_eq!((anchors.list_no, anchors.authorities().count()), (2, 1));
    }
}

fn resign(scheme: &Scheme, cert: AuthorityCert) -> AuthorityCert {
    x509::issue_authority(cert, &scheme.root_key, &scheme.root, &HEDGE)
}

#[test]
fn roots_without_a_name_or_an_end_are_refused() {
    let key = signing_key(Algorithm::EdDsa, 1);
    let named = Name::new("S").unwrap();
    assert!(Anchors::new(x509::issue_root(named.clone(), 0, 1, &key, &HEDGE)).is_ok());
    for root in [
        x509::issue_root(Name::default(), 0, 1, &key, &HEDGE),
        x509::issue_root(named.clone(), u32::MAX, 1, &key, &HEDGE),
        x509::issue_root(named, START_S, u16::MAX, &key, &HEDGE),
    ] {
        assert_eq!(code(Anchors::new(root)), Code::BadCertificate);
    }
}

#[test]
fn every_flipped_bit_of_a_list_is_noticed() {
    for (scheme, _) in schemes() {
        let trust = scheme.trust_list(1, vec![scheme.issuer.clone(), scheme.signer.clone()]);
        let mut anchors = Anchors::new(scheme.root.clone()).unwrap();
        for flipped in flips(&trust) {
            assert!(!matches!(anchors.adopt(&flipped), Ok(true)));
        }
        assert_eq!(anchors.list_no, 0);
        let anchors = scheme.anchors();
        let mut revoked = Revoked::empty();
        for flipped in flips(&revocation(&scheme, &Revoked::build_full(1, NOW_S, &[3, 5, 700_000]))) {
            assert!(!matches!(revoked.adopt(&anchors, &flipped, NOW_S), Ok(true)));
        }
        assert_eq!(revoked, Revoked::empty());
    }
}

#[test]
fn signers_sign_while_they_are_valid() {
    for (scheme, _) in schemes() {
        let anchors = scheme.anchors();
        let check = |key, now_s| anchors.check_signer(key, now_s);
        let (start, end) = (scheme.signer.not_before_s, scheme.signer.not_after_s());
        assert_eq!(check(&scheme.signer.key, start), Ok(()));
        assert_eq!(check(&scheme.signer.key, end), Ok(()));
        assert_eq!(code(check(&scheme.signer.key, start - 1)), Code::CertificateNotYetValid);
        assert_eq!(code(check(&scheme.signer.key, end + 1)), Code::AuthorityExpired);
        for key in [&scheme.issuer.key, &scheme.root.key] {
            assert_eq!(code(check(key, NOW_S)), Code::WrongRole);
        }
    }
}

fn revocation(scheme: &Scheme, list: &RevocationList) -> Vec<u8> {
    let signer = Signer::Key(scheme.signer.key);
    seal(&scheme.id(), &scheme.signer_key, &HEDGE, list, signer, None).0.to_bytes()
}

#[test]
fn revocation_lists_follow_each_other() {
    for (scheme, key) in schemes() {
        let anchors = scheme.anchors();
        let mut held = Revoked::empty();
        let full = revocation(&scheme, &Revoked::build_full(1, NOW_S, &[1, 5, 9]));
        assert_eq!(held.adopt(&anchors, &full, NOW_S), Ok(true));
        assert_eq!(held.adopt(&anchors, &full, NOW_S), Ok(false));
        assert!(held.contains(5) && !held.contains(4));
        let delta = held.build_delta(2, NOW_S + 1, &[0, 5, 7, u32::MAX]);
        assert_eq!((delta.since, delta.number), (1, 2));
        assert_eq!(held.adopt(&anchors, &revocation(&scheme, &delta), NOW_S), Ok(true));
        assert_eq!(held.indexes(), [0, 5, 7, u32::MAX]);
        assert_eq!((held.number, held.issued_at_s), (2, NOW_S + 1));
        assert_eq!(Revoked::restore(2, NOW_S + 1, held.indexes().to_vec()).as_ref(), Some(&held));
        assert_eq!(Revoked::restore(2, NOW_S + 1, vec![3, 3]), None);

        let before = held.clone();
        let list = |since, added: &[u32], removed: &[u32]| RevocationList {
            number: 3,
            issued_at_s: NOW_S,
            since,
            added: added.to_vec(),
            removed: removed.to_vec(),
        };
        for misfit in [
            list(1, &[8], &[]),
            list(3, &[8], &[]),
            list(2, &[5], &[]),
            list(2, &[], &[6]),
            list(2, &[6, 0], &[]),
            list(2, &[u32::MAX, 1], &[]),
            list(2, &[8], &[8]),
            list(0, &[8], &[5]),
            list(0, &[8, 0], &[]),
        ] {
            assert_eq!(code(held.adopt(&anchors, &revocation(&scheme, &misfit), NOW_S)), Code::ListInvalid);
            assert_eq!(held, before);
        }
        let next = revocation(&scheme, &list(2, &[8], &[7]));
        assert_eq!(
            code(held.adopt(&anchors, &next, scheme.signer.not_after_s() + 1)),
            Code::AuthorityExpired
        );
        let body = list(2, &[8], &[7]);
        let forge =
            |key: &SigningKey, signer| seal(&scheme.id(), key, &HEDGE, &body, signer, None).0.to_bytes();
        let by_issuer = forge(&scheme.issuer_key, Signer::Key(scheme.issuer.key));
        let by_wallet = forge(&key, Signer::Cert(scheme.wallet(&key)));
        let in_its_name = forge(&key, Signer::Key(scheme.signer.key));
        assert_eq!(code(held.adopt(&anchors, &by_issuer, NOW_S)), Code::WrongRole);
        assert_eq!(code(held.adopt(&anchors, &by_wallet, NOW_S)), Code::WrongRole);
        assert_eq!(code(held.adopt(&anchors, &in_its_name, NOW_S)), Code::BadSignature);
        assert_eq!(held, before);
        assert_eq!(held.adopt(&anchors, &next, NOW_S), Ok(true));
        assert_eq!(held.indexes(), [0, 5, 8, u32::MAX]);
    }
}

#[test]
fn compact_certificates_are_small() {
    let scheme = Scheme::new(Algorithm::Es256, Algorithm::Es256);
    let key = signing_key(Algorithm::Es256, 9).public();
    let worst = |name: &str| WalletCert {
        issuer: KeyId([0xff; 32]),
        not_before_s: u32::MAX,
        lifetime_h: u16::MAX,
        status_index: u32::MAX,
        grade: Grade::Terminal,
        currency: Currency::new(999).unwrap(),
        ceiling: Amount::MAX,
        key,
        name: Name::new(name).unwrap(),
        signature: Signature([0xff; 64]),
    };
    let (person, merchant) = (worst("").to_bytes().len(), worst(&"n".repeat(24)).to_bytes().len());
    let issuer = scheme.issuer.to_bytes().len();
    println!(
        "wallet certificate at most {person} bytes, with the longest name {merchant}; an issuer's {issuer}"
    );
    assert!(person <= 166, "{person}");
}

fn public_key() -> impl Strategy<Value = PublicKey> {
    // Real keys of both kinds, and bytes that are no key.
    prop_oneof![
        (any::<bool>(), 1u8..0xff).prop_map(|(p256, seed)| signing_key(
            if p256 { Algorithm::Es256 } else { Algorithm::EdDsa },
            seed
        )
        .public()),
        prop::array::uniform32(any::<u8>()).prop_map(PublicKey::Ed25519),
        (2u8..4, prop::array::uniform32(any::<u8>())).prop_map(|(sign, x)| {
            let mut point = [sign; 33];
            point[1..].copy_from_slice(&x);
            PublicKey::P256(point)
        }),
    ]
}

prop_compose! {
    fn wallet_cert()(
        (issuer, status_index, not_before_s, lifetime_h) in (prop::array::uniform32(any::<u8>()), any::<u32>(), 0..4_000_000_000u32, any::<u16>()),
        grade in prop::sample::select(Grade::ALL), currency in 1u16..=999, ceiling in 0..=Amount::MAX.minor(),
        key in public_key(), name in "[a-zé₹]{0,8}",
    ) -> WalletCert {
        WalletCert {
            issuer: KeyId(issuer), not_before_s, lifetime_h, status_index, grade,
            currency: Currency::new(currency).unwrap(), ceiling: amount(ceiling), key,
            name: Name::new(&name).unwrap(), signature: Signature([0; 64]),
        }
    }
}

prop_compose! {
    fn authority_cert()(
        issuer: bool, name in "[a-zé₹]{1,8}", not_before_s in 0..2_000_000_000u32, lifetime_d in 0u16..20_000,
        since: u32, grades in 0u8..16, index_first: u32, index_last: u32, key in public_key(),
    ) -> AuthorityCert {
        AuthorityCert {
            role: if issuer { Role::Issuer } else { Role::Signer }, name: Name::new(&name).unwrap(),
            not_before_s, lifetime_d, since, grades, index_first, index_last, key, signature: Signature([0; 64]),
        }
    }
}

proptest! {
    /// What a strict reader makes of the DER is the DER, whatever the compact form holds.
    #[test]
    fn the_der_is_der(wallet in wallet_cert(), authority in authority_cert(), p256: bool) {
        let algorithm = if p256 { Algorithm::Es256 } else { Algorithm::EdDsa };
        let scheme = Scheme::new(algorithm, algorithm);
        let wallet = x509::issue_wallet(wallet, &scheme.issuer_key, &scheme.issuer, &HEDGE);
        for der in [x509::wallet_der(&wallet, &scheme.issuer), x509::authority_der(&authority, &scheme.root)] {
            let read = x509_cert::Certificate::from_der(&der).unwrap();
            prop_assert_eq!(read.to_der().unwrap(), der);
        }
    }

    /// Two compact forms never share a `tbsCertificate`.
    #[test]
    fn one_form_one_der(a in wallet_cert(), b in wallet_cert(), field in 0usize..9) {
        let scheme = Scheme::new(Algorithm::EdDsa, Algorithm::EdDsa);
        let mut mixed = a.clone();
        match field {
            0 => mixed.issuer = b.issuer,
            1 => mixed.not_before_s = b.not_before_s,
            2 => mixed.lifetime_h = b.lifetime_h,
            3 => mixed.status_index = b.status_index,
            4 => mixed.grade = b.grade,
            5 => mixed.currency = b.currency,
            6 => mixed.ceiling = b.ceiling,
            7 => mixed.key = b.key,
            _ => mixed.name = b.name.clone(),
        }
        let tbs = |cert| x509::wallet_tbs(cert, &scheme.issuer);
        prop_assert_eq!(tbs(&a) == tbs(&mixed), a == mixed);
    }

    #[test]
    fn one_authority_one_der(a in authority_cert(), b in authority_cert(), field in 0usize..9) {
        let scheme = Scheme::new(Algorithm::EdDsa, Algorithm::EdDsa);
        let mut mixed = a.clone();
        match field {
            0 => mixed.role = b.role,
            1 => mixed.name = b.name.clone(),
            2 => mixed.not_before_s = b.not_before_s,
            3 => mixed.lifetime_d = b.lifetime_d,
            4 => mixed.since = b.since,
            5 => mixed.grades = b.grades,
            6 => mixed.index_first = b.index_first,
            7 => mixed.index_last = b.index_last,
            _ => mixed.key = b.key,
        }
        let tbs = |cert| x509::authority_tbs(cert, &scheme.root);
        prop_assert_eq!(tbs(&a) == tbs(&mixed), a == mixed);
    }

    #[test]
    fn unsigned_certificates_are_refused(wallet in wallet_cert(), authority in authority_cert(), now_s: u32) {
        let scheme = Scheme::new(Algorithm::EdDsa, Algorithm::Es256);
        prop_assert!(scheme.anchors().check_wallet(&wallet, Some(&authority), now_s).is_err());
        prop_assert!(x509::verify_authority(&authority, &scheme.root).is_err());
    }

    /// A delta leads where the whole list leads.
    #[test]
    fn deltas_are_exact(
        before in prop::collection::btree_set(0u32..50, 0..30), after in prop::collection::btree_set(0u32..50, 0..30),
    ) {
        let scheme = Scheme::new(Algorithm::EdDsa, Algorithm::EdDsa);
        let (before, after) = (Vec::from_iter(before), Vec::from_iter(after));
        let anchors = scheme.anchors();
        let mut by_delta = Revoked::restore(1, NOW_S, before).unwrap();
        let mut by_full = by_delta.clone();
        let delta = revocation(&scheme, &by_delta.build_delta(2, NOW_S, &after));
        let full = revocation(&scheme, &Revoked::build_full(2, NOW_S, &after));
        prop_assert_eq!(by_delta.adopt(&anchors, &delta, NOW_S), Ok(true));
        prop_assert_eq!(by_full.adopt(&anchors, &full, NOW_S), Ok(true));
        prop_assert_eq!(&by_delta, &by_full);
        prop_assert_eq!(by_full.indexes(), &after[..]);
    }

    #[test]
    fn adopting_noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let scheme = Scheme::new(Algorithm::EdDsa, Algorithm::EdDsa);
        let mut anchors = scheme.anchors();
        prop_assert!(anchors.adopt(&noise).is_err());
        prop_assert!(Revoked::empty().adopt(&anchors, &noise, NOW_S).is_err());
    }
}
