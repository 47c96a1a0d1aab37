//! Certificates in both forms, lists, CRLs and PEM, against the fixed anchors of the trust crate's own tests.
//!
//! What can be checked without a second implementation: nothing that the anchors' keys did not sign is believed, what
//! they did sign is believed exactly when it is permitted and in time, and DER is well formed.

use std::sync::OnceLock;

use counterfoil_trust::x509::{
    authority_der, crl_der, issue_authority, issue_wallet, pem, root_der, verify_authority, verify_root,
    verify_wallet, wallet_der,
};
use counterfoil_trust::{Anchors, Revoked, SigningKey, key_id, seal};
use counterfoil_wire::cert::{AuthorityCert, Grade, Name, Role, RootCert, WalletCert};
use counterfoil_wire::header::Signer;
use counterfoil_wire::lists::RevocationList;
use counterfoil_wire::{Algorithm, Code, Currency, Wire};

use crate::input::Input;
use crate::scheme::{HEDGE, NOW_S, START_S, Scheme, amount, signing_key};

/// A scheme of one algorithm, and everything that its keys ever signed.
pub struct Known {
    /// Its keys and certificates.
    pub scheme: Scheme,
    /// Its list, adopted.
    pub anchors: Anchors,
    /// A wallet's certificate.
    pub wallet: WalletCert,
    /// An issuer that the list held does not name yet, and its certificate for another wallet.
    pub newcomer: (AuthorityCert, WalletCert),
    /// A newer trust list.
    pub trust: Vec<u8>,
    /// A revocation list.
    pub revocation: Vec<u8>,
}

impl Known {
    fn new(algorithm: Algorithm) -> Self {
        let scheme = Scheme::new(algorithm, algorithm);
        let anchors = scheme.anchors();
        let wallet = scheme.wallet(&signing_key(algorithm, 9));
        let newcomer_key = signing_key(algorithm, 5);
        let newcomer = AuthorityCert {
            name: Name::new("Newcomer").expect("a name"),
            since: 2,
            key: newcomer_key.public(),
            ..scheme.issuer.clone()
        };
        let newcomer = issue_authority(newcomer, &scheme.root_key, &scheme.root, &HEDGE);
        let theirs = WalletCert {
            issuer: key_id(&newcomer.key),
            ..scheme.unsigned_wallet(signing_key(algorithm, 10).public(), Grade::Hardware)
        };
        let theirs = issue_wallet(theirs, &newcomer_key, &newcomer, &HEDGE);
        let authorities = vec![scheme.issuer.clone(), scheme.signer.clone(), newcomer.clone()];
        let trust = scheme.trust_list(2, authorities);
        let revocation = revocation(&scheme, Revoked::build_full(1, START_S, &[3, 1234, 1999]));
        Self { scheme, anchors, wallet, newcomer: (newcomer, theirs), trust, revocation }
    }
}

fn revocation(scheme: &Scheme, list: RevocationList) -> Vec<u8> {
    let signer = Signer::Key(scheme.signer_key.public());
    seal(&scheme.id(), &scheme.signer_key, &HEDGE, &list, signer, None).0.to_bytes()
}

/// The scheme of each algorithm.
pub fn known(es256: bool) -> &'static Known {
    static BOTH: OnceLock<[Known; 2]> = OnceLock::new();
    &BOTH.get_or_init(|| [Algorithm::EdDsa, Algorithm::Es256].map(Known::new))[usize::from(es256)]
}

/// The first byte chooses what the rest is.
pub fn certificate(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    let known = known(kind & 1 == 1);
    match kind / 2 % 8 {
        0 => wallet(known, bytes),
        1 => authority(known, bytes),
        2 => root(bytes),
        3 => trust_list(known, bytes),
        4 => revocation_list(known, bytes),
        5 => crl(known, &mut Input::new(bytes)),
        6 => issued(known, &mut Input::new(bytes)),
        _ => armour(bytes),
    }
}

/// A wallet's certificate that somebody shows: believed if the issuer signed it, and not otherwise.
fn wallet(known: &Known, bytes: &[u8]) {
    let Ok(cert) = WalletCert::from_bytes(bytes) else { return };
    let (newcomer, theirs) = &known.newcomer;
    well_formed(&wallet_der(&cert, &known.scheme.issuer));
    if cert != known.wallet {
        let der = wallet_der(&known.wallet, &known.scheme.issuer);
        assert_ne!(wallet_der(&cert, &known.scheme.issuer), der, "two compact forms of one certificate");
    }
    let mine = cert == known.wallet;
    assert_eq!(known.anchors.check_wallet(&cert, None, NOW_S).is_ok(), mine);
    assert_eq!(verify_wallet(&cert, &known.scheme.issuer).is_ok(), mine);
    let carried = known.anchors.check_wallet(&cert, Some(newcomer), NOW_S);
    assert_eq!(carried.is_ok(), mine || cert == *theirs);
}

/// An authority's certificate in somebody's baggage.
fn authority(known: &Known, bytes: &[u8]) {
    let Ok(cert) = AuthorityCert::from_bytes(bytes) else { return };
    well_formed(&authority_der(&cert, &known.scheme.root));
    let (newcomer, theirs) = &known.newcomer;
    let all = [&known.scheme.issuer, &known.scheme.signer, newcomer];
    assert_eq!(verify_authority(&cert, &known.scheme.root).is_ok(), all.contains(&&cert));
    assert_eq!(known.anchors.check_wallet(theirs, Some(&cert), NOW_S).is_ok(), cert == *newcomer);
    // Whatever it says, another key certified nothing.
    assert!(cert.key == known.scheme.issuer.key || verify_wallet(&known.wallet, &cert).is_err());
}

fn root(bytes: &[u8]) {
    let Ok(cert) = RootCert::from_bytes(bytes) else { return };
    well_formed(&root_der(&cert));
    let held = verify_root(&cert);
    assert_eq!(held.is_ok(), Anchors::new(cert.clone()).is_ok());
    // A root signs itself; what it says of its end must not have wrapped.
    assert!(held.is_err() || cert.not_after_s() >= cert.not_before_s);
}

fn trust_list(known: &Known, bytes: &[u8]) {
    let mut anchors = known.anchors.clone();
    let adopted = anchors.adopt(bytes) == Ok(true);
    assert_eq!(adopted, bytes == known.trust, "a trust list that the root did not sign");
    assert!(adopted || anchors == known.anchors);
}

fn revocation_list(known: &Known, bytes: &[u8]) {
    let mut held = Revoked::empty();
    let adopted = held.adopt(&known.anchors, bytes, NOW_S) == Ok(true);
    assert_eq!(adopted, bytes == known.revocation, "a revocation list that no signer signed");
    assert!(adopted || held == Revoked::empty());
}

/// Lists of any content, signed: the indexes come back as they were put in, or the list is refused.
fn crl(known: &Known, input: &mut Input<'_>) {
    let (number, this_s, next_s) = (input.word(), input.word(), input.word());
    let mut revoked = Vec::new();
    while !input.is_empty() && revoked.len() < 64 {
        revoked.push((input.word(), input.word(), input.word()));
    }
    let scheme = &known.scheme;
    let der = crl_der(&scheme.issuer, &scheme.issuer_key, number, this_s, next_s, &revoked, &HEDGE);
    well_formed(&der);
    unarmoured("X509 CRL", &der);
    let gaps: Vec<u32> = revoked.iter().map(|(gap, _, _)| *gap).collect();
    let list =
        RevocationList { number, issued_at_s: this_s, since: 0, added: gaps.clone(), removed: Vec::new() };
    let mut held = Revoked::empty();
    let adopted = held.adopt(&known.anchors, &revocation(scheme, list), NOW_S);
    let indexes = counterfoil_wire::lists::from_gaps(&gaps);
    match adopted {
        Ok(true) => {
            assert_eq!(Some(held.indexes()), indexes.as_deref());
            assert!(held.indexes().is_sorted_by(|a, b| a < b));
            assert!(held.indexes().iter().all(|index| held.contains(*index)));
        }
        Ok(false) => assert_eq!(number, 0),
        Err(error) => assert!(error.code == Code::ListInvalid && indexes.is_none(), "{error:?}"),
    }
}

/// A wallet's certificate with any content, signed by its issuer: believed exactly when the issuer may certify that, and
/// only within its time.
fn issued(known: &Known, input: &mut Input<'_>) {
    let (scheme, issuer) = (&known.scheme, &known.scheme.issuer);
    let grade = Grade::ALL[input.below(Grade::ALL.len())];
    let not_before_s = START_S.wrapping_sub(86_400).wrapping_add(input.word() % (400 * 86_400));
    let cert = WalletCert {
        not_before_s,
        lifetime_h: input.short(),
        status_index: 990 + u32::from(input.short()) % 1020,
        grade,
        currency: Currency::new(1 + input.short() % 999).expect("1 to 999"),
        ceiling: amount(input.long() >> 11),
        name: std::str::from_utf8(input.bytes()).ok().and_then(Name::new).unwrap_or_default(),
        ..scheme.unsigned_wallet(known.wallet.key, grade)
    };
    let now_s = START_S.wrapping_add(input.word() % (500 * 86_400));
    let cert = issue_wallet(cert, &scheme.issuer_key, issuer, &HEDGE);
    assert_eq!(WalletCert::from_bytes(&cert.to_bytes()).as_ref(), Ok(&cert));
    well_formed(&wallet_der(&cert, issuer));
    unarmoured("CERTIFICATE", &wallet_der(&cert, issuer));
    let end_s = u64::from(cert.not_before_s) + u64::from(cert.lifetime_h) * 3600;
    let permitted = issuer.role == Role::Issuer
        && (issuer.index_first..=issuer.index_last).contains(&cert.status_index)
        && cert.not_before_s >= issuer.not_before_s
        && end_s <= u64::from(issuer.not_after_s());
    let expected = if !permitted {
        Err(Code::IssuerNotPermitted)
    } else if now_s < cert.not_before_s {
        Err(Code::CertificateNotYetValid)
    } else if u64::from(now_s) > end_s {
        Err(Code::CertificateExpired)
    } else {
        Ok(())
    };
    let found = known.anchors.check_wallet(&cert, None, now_s).map(|_| ()).map_err(|error| error.code);
    assert_eq!(found, expected);
    // Another key's signature makes no certificate.
    let other: &SigningKey = &scheme.signer_key;
    let forged = issue_wallet(cert, other, issuer, &HEDGE);
    let found = known.anchors.check_wallet(&forged, None, now_s).map(|_| ()).map_err(|error| error.code);
    assert_eq!(found, Err(if permitted { Code::BadCertificate } else { Code::IssuerNotPermitted }));
}

fn armour(bytes: &[u8]) {
    unarmoured("CERTIFICATE", bytes);
}

/// Writes `der` as PEM and reads it back, by RFC 7468's strict grammar.
fn unarmoured(label: &str, der: &[u8]) {
    let text = pem(label, der);
    let lines: Vec<&str> = text.strip_suffix('\n').expect("ends a line").split('\n').collect();
    let [first, body @ .., last] = lines.as_slice() else { panic!("no boundaries: {text}") };
    assert_eq!((*first, *last), (&*format!("-----BEGIN {label}-----"), &*format!("-----END {label}-----")));
    let (mut bits, mut count, mut read) = (0u32, 0, Vec::new());
    for (number, line) in body.iter().enumerate() {
        assert!(line.len() == 64 || (number + 1 == body.len() && (1..64).contains(&line.len())), "{line}");
        for c in line.trim_end_matches('=').bytes() {
            let value = match c {
                b'A'..=b'Z' => c - b'A',
                b'a'..=b'z' => c - b'a' + 26,
                b'0'..=b'9' => c - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => panic!("not base64: {line}"),
            };
            (bits, count) = (bits << 6 | u32::from(value), count + 6);
            if count >= 8 {
                count -= 8;
                read.push((bits >> count) as u8);
            }
        }
    }
    assert_eq!(read, der);
}

/// Walks DER (X.690): every length is the shortest, and every constructed value is filled by what is in it.
fn well_formed(mut der: &[u8]) {
    while let Some((tag, rest)) = der.split_first() {
        let (first, rest) = rest.split_first().expect("a length");
        let octets = if *first < 0x80 { 0 } else { usize::from(first & 0x7f) };
        assert!(octets <= 3 && *first != 0x80);
        let (long, rest) = rest.split_at(octets);
        let len = match octets {
            0 => usize::from(*first),
            _ => long.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)),
        };
        assert!(octets == 0 || (len >= 0x80 && long[0] != 0), "a length that is not the shortest");
        let (content, rest) = rest.split_at(len);
        if tag & 0x20 != 0 {
            well_formed(content);
        }
        if *tag == 2 {
            assert!(
                content.len() == 1 || content[0] != 0 || content[1] >= 0x80,
                "an integer with a zero ahead"
            );
        }
        der = rest;
    }
}
