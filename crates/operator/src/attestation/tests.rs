//! Chains that phones made, and chains of the same structure that say what no phone at hand says.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SerialNumber, date_time_ymd,
};

use super::*;

/// Recorded from phones: published with the tests of py_webauthn 3.0.1 (BSD-3-Clause).
const RECORDED: [(&[u8], u32); 2] = [
    (include_bytes!("../../tests/attestation/pixel-2025.pem"), 1_736_294_400),
    (include_bytes!("../../tests/attestation/pixel-2026.pem"), 1_777_161_600),
];

fn certificates(pem: &[u8]) -> Vec<Vec<u8>> {
    use x509_cert::der::Encode;
    let chain = x509_cert::Certificate::load_pem_chain(pem).unwrap();
    chain.iter().map(|certificate| certificate.to_der().unwrap()).collect()
}

fn trusting(pem: &[u8]) -> AndroidPolicy {
    let roots = chain::keys_of_pem(pem).unwrap();
    AndroidPolicy { roots, ..AndroidPolicy::default() }
}

/// The policy that trusts the recorded chain's own root alone.
fn policy_of(pem: &[u8]) -> AndroidPolicy {
    let last = pem.windows(11).rposition(|window| window == b"-----BEGIN ").unwrap();
    trusting(&pem[last..])
}

#[test]
fn recorded_chains_hold_and_say_what_the_phones_said() {
    for (pem, at_s) in RECORDED {
        let (policy, found) = (policy_of(pem), certificates(pem));
        let extension = chain::check(&policy, &found, at_s).unwrap();
        let key = KeyDescription::read(&extension).unwrap();
        assert_eq!(
            (key.attestation_level, key.keymint_level),
            (SecurityLevel::TrustedEnvironment, SecurityLevel::TrustedEnvironment)
        );
        let boot = key.hardware.boot.unwrap();
        assert_eq!((boot.locked, boot.state), (true, BootState::Verified));
        assert!(key.hardware.made_there);
        assert_eq!(key.hardware.usage_count_limit, None);
        let application = key.application.unwrap();
        assert!(application.packages.contains(&"com.google.android.gms".to_owned()));
        assert_eq!(application.signers.len(), 1);
        // A passkey counts nothing, and is refused for that.
        let challenge = Digest(key.challenge.try_into().unwrap());
        let none = Digest::NONE;
        assert_eq!(check(&policy, &found, &challenge, &none, at_s), Err(AttestationError::NoCounter));
        assert_eq!(check(&policy, &found, &none, &none, at_s), Err(AttestationError::OtherChallenge));
    }
}

#[test]
fn a_recorded_chain_holds_in_its_time_under_its_root_and_whole() {
    let [(old, old_s), (new, new_s)] = RECORDED;
    let (policy, chain) = (policy_of(old), certificates(old));
    let of = |policy: &AndroidPolicy, chain: &[Vec<u8>], at_s| chain::check(policy, chain, at_s);
    assert_eq!(of(&policy_of(new), &chain, old_s), Err(AttestationError::OtherRoot));
    assert_eq!(of(&policy, &chain, new_s), Err(AttestationError::NotValidNow(1)));
    assert_eq!(of(&AndroidPolicy::default(), &chain, old_s), Err(AttestationError::OtherRoot));
    let revoked = |serial: &str| {
        let status = format!(r#"{{"entries": {{"{serial}": {{"status": "REVOKED"}}}}}}"#);
        let application = AndroidApplication { package: "a".to_owned(), signer: "00".repeat(32) };
        let listed = AndroidPolicy::read(old, status.as_bytes(), vec![application]).unwrap();
        of(&listed, &chain, old_s)
    };
    assert_eq!(revoked("388266760658996860E"), Err(AttestationError::Revoked(3)));
    assert_eq!(revoked("d602a03a672d865ba5a485e33a207c73"), Err(AttestationError::Revoked(1)));
    assert!(revoked("2").is_ok());
    for (range, expected) in [
        (0..1, AttestationError::Size),
        (0..4, AttestationError::NotIssued(3)),
        (1..5, AttestationError::NoDescription),
    ] {
        assert_eq!(of(&policy, &chain[range], old_s), Err(expected));
    }
    let mut swapped = chain.clone();
    swapped.swap(1, 2);
    assert_eq!(of(&policy, &swapped, old_s), Err(AttestationError::NotIssued(0)));
    for at in 0..chain.len() {
        for byte in (0..chain[at].len()).step_by(7) {
            let mut bent = chain.clone();
            bent[at][byte] ^= 0x10;
            assert!(of(&policy, &bent, old_s).is_err(), "certificate {at}, byte {byte}");
        }
        let mut longer = chain.clone();
        longer[at].push(0);
        assert_eq!(of(&policy, &longer, old_s), Err(AttestationError::Malformed(at)));
    }
}

/// A value under a tag, in DER.
fn tlv(tag: &[u8], value: &[u8]) -> Vec<u8> {
    let length = value.len();
    let length = match length {
        0..128 => vec![length as u8],
        128..256 => vec![0x81, length as u8],
        _ => vec![0x82, (length >> 8) as u8, length as u8],
    };
    [tag, &length, value].concat()
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(&[0x30], &parts.concat())
}

/// An explicit context tag above 127.
fn tagged(number: u32, value: Vec<u8>) -> Vec<u8> {
    tlv(&[0xbf, 0x80 | (number >> 7) as u8, (number & 0x7f) as u8], &value)
}

fn integer(value: u8) -> Vec<u8> {
    tlv(&[2], &[value])
}

fn enumerated(value: u8) -> Vec<u8> {
    tlv(&[10], &[value])
}

/// What a phone could say of a key.
#[derive(Clone)]
struct Says {
    levels: [u8; 2],
    challenge: Vec<u8>,
    origin: u8,
    limit: Option<u8>,
    boot: Option<(u8, u8)>,
    packages: Vec<&'static str>,
    signer: Vec<u8>,
    application: bool,
}

const CHALLENGE: Digest = Digest([5; 32]);
const SIGNER: [u8; 32] = [6; 32];
const PACKAGE: &str = "org.example.wallet";
const NOW_S: u32 = 1_800_000_000;

impl Says {
    fn good() -> Self {
        Self {
            levels: [1, 1],
            challenge: CHALLENGE.0.to_vec(),
            origin: 0,
            limit: Some(1),
            boot: Some((0xff, 0)),
            packages: vec![PACKAGE],
            signer: SIGNER.to_vec(),
            application: true,
        }
    }

    fn extension(&self) -> Vec<u8> {
        let info = |name: &&str| sequence(&[tlv(&[4], name.as_bytes()), integer(1)]);
        let infos: Vec<u8> = self.packages.iter().flat_map(info).collect();
        let application = sequence(&[tlv(&[0x31], &infos), tlv(&[0x31], &tlv(&[4], &self.signer))]);
        let application = self.application.then(|| tagged(709, tlv(&[4], &application)));
        let boot = self.boot.map(|(locked, state)| {
            let parts = [tlv(&[4], &[1; 32]), tlv(&[1], &[locked]), enumerated(state), tlv(&[4], &[2; 32])];
            tagged(704, sequence(&parts))
        });
        let limit = self.limit.map(|limit| tagged(405, integer(limit)));
        let hardware =
            [limit, Some(tagged(702, integer(self.origin))), boot].into_iter().flatten().collect::<Vec<_>>();
        sequence(&[
            integer(100),
            enumerated(self.levels[0]),
            integer(100),
            enumerated(self.levels[1]),
            tlv(&[4], &self.challenge),
            tlv(&[4], &[]),
            sequence(&application.into_iter().collect::<Vec<_>>()),
            sequence(&hardware),
        ])
    }
}

/// A root, an intermediate and a leaf, as phones have them.
struct Maker {
    root: Issuer<'static, KeyPair>,
    root_pem: String,
    root_der: Vec<u8>,
}

fn authority() -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn described(extension: Vec<u8>) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.serial_number = Some(SerialNumber::from(1));
    (params.not_before, params.not_after) = (date_time_ymd(1970, 1, 1), date_time_ymd(2048, 1, 1));
    let oid = [1, 3, 6, 1, 4, 1, 11129, 2, 1, 17];
    params.custom_extensions = vec![CustomExtension::from_oid_content(&oid, extension)];
    params
}

fn named(mut params: CertificateParams, name: &str) -> CertificateParams {
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params
}

impl Maker {
    fn new() -> Self {
        let (params, key) = (named(authority(), "root"), KeyPair::generate().unwrap());
        let made = params.self_signed(&key).unwrap();
        let (root_pem, root_der) = (made.pem(), made.der().to_vec());
        Self { root: Issuer::new(params, key), root_pem, root_der }
    }

    fn chain(&self, between: CertificateParams, leaf: CertificateParams) -> Vec<Vec<u8>> {
        let (between, key) = (named(between, "phone"), KeyPair::generate().unwrap());
        let intermediate = between.signed_by(&key, &self.root).unwrap();
        let leaf = named(leaf, "Android Keystore Key");
        let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &Issuer::new(between, key)).unwrap();
        vec![leaf.der().to_vec(), intermediate.der().to_vec(), self.root_der.clone()]
    }

    fn policy(&self) -> AndroidPolicy {
        let application = AndroidApplication { package: PACKAGE.to_owned(), signer: hex::encode(SIGNER) };
        AndroidPolicy::read(self.root_pem.as_bytes(), b"", vec![application]).unwrap()
    }
}

#[test]
fn a_single_use_key_of_a_locked_phone_is_evidence_and_nothing_less() {
    let maker = Maker::new();
    let (policy, identity) = (maker.policy(), identity(PACKAGE, &SIGNER));
    let judge = |says: &Says| {
        let chain = maker.chain(authority(), described(says.extension()));
        check(&policy, &chain, &CHALLENGE, &identity, NOW_S)
    };
    assert_eq!(judge(&Says::good()), Ok(()));
    assert_eq!(judge(&Says { levels: [2, 2], ..Says::good() }), Ok(()));
    let cases = [
        (Says { levels: [0, 1], ..Says::good() }, AttestationError::NoHardware),
        (Says { levels: [1, 0], ..Says::good() }, AttestationError::NoHardware),
        (Says { levels: [1, 3], ..Says::good() }, AttestationError::Description),
        (Says { challenge: vec![5; 31], ..Says::good() }, AttestationError::OtherChallenge),
        (Says { origin: 2, ..Says::good() }, AttestationError::NoCounter),
        (Says { limit: None, ..Says::good() }, AttestationError::NoCounter),
        (Says { limit: Some(2), ..Says::good() }, AttestationError::NoCounter),
        (Says { boot: None, ..Says::good() }, AttestationError::NotLocked),
        (Says { boot: Some((0, 0)), ..Says::good() }, AttestationError::NotLocked),
        (Says { boot: Some((0xff, 1)), ..Says::good() }, AttestationError::NotLocked),
        (Says { boot: Some((0xff, 2)), ..Says::good() }, AttestationError::NotLocked),
        // DER has one true.
        (Says { boot: Some((1, 0)), ..Says::good() }, AttestationError::Description),
        (Says { application: false, ..Says::good() }, AttestationError::OtherApplication),
        (Says { packages: vec!["org.example.other"], ..Says::good() }, AttestationError::OtherApplication),
        (
            Says { packages: vec![PACKAGE, "org.example.other"], ..Says::good() },
            AttestationError::OtherApplication,
        ),
        (Says { signer: vec![7; 32], ..Says::good() }, AttestationError::OtherApplication),
    ];
    for (at, (says, expected)) in cases.iter().enumerate() {
        assert_eq!(judge(says), Err(*expected), "case {at}");
    }
    let chain = maker.chain(authority(), described(Says::good().extension()));
    assert_eq!(
        check(&policy, &chain, &CHALLENGE, &Digest::NONE, NOW_S),
        Err(AttestationError::OtherApplication)
    );
    let nobody = AndroidPolicy::default();
    assert_eq!(check(&nobody, &chain, &CHALLENGE, &identity, NOW_S), Err(AttestationError::NotTrusted));
    let other = Maker::new().policy();
    assert_eq!(check(&other, &chain, &CHALLENGE, &identity, NOW_S), Err(AttestationError::OtherRoot));
}

#[test]
fn a_key_that_was_attested_cannot_attest() {
    let maker = Maker::new();
    let good = described(Says::good().extension());
    let judge = |chain: &[Vec<u8>]| chain::check(&maker.policy(), chain, NOW_S);
    // An attested key as the issuer of another: it is no authority.
    let no_authority = described(Says::good().extension());
    assert_eq!(judge(&maker.chain(no_authority, good.clone())), Err(AttestationError::NotIssued(0)));
    // And if a phone ever certified one as an authority, it is described, which only a leaf may be.
    let mut twice = authority();
    twice.custom_extensions = good.custom_extensions.clone();
    assert_eq!(judge(&maker.chain(twice, good.clone())), Err(AttestationError::NoDescription));
    let mut no_signer = authority();
    no_signer.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    assert_eq!(judge(&maker.chain(no_signer, good.clone())), Err(AttestationError::NotIssued(0)));
    let bare = CertificateParams::new(Vec::new()).unwrap();
    assert_eq!(judge(&maker.chain(authority(), bare)), Err(AttestationError::NoDescription));
    let mut both = good.clone();
    both.custom_extensions.extend(good.custom_extensions.clone());
    // Two of one extension are no certificate by RFC 5280, whoever notices first.
    assert!(judge(&maker.chain(authority(), both)).is_err());
    let mut chain = maker.chain(authority(), good);
    chain.extend(std::iter::repeat_n(maker.root_der.clone(), 6));
    assert_eq!(judge(&chain), Err(AttestationError::Size));
}

#[test]
fn a_description_is_read_to_the_byte_or_not_at_all() {
    let good = Says::good().extension();
    assert!(KeyDescription::read(&good).is_some());
    for end in 0..good.len() {
        assert_eq!(KeyDescription::read(&good[..end]), None);
    }
    assert_eq!(KeyDescription::read(&[&good[..], &[0]].concat()), None);
    // Garbage of every byte must not end the reader, whatever it makes of it.
    for at in 0..good.len() {
        for value in [0x00, 0x1f, 0x7f, 0x80, 0xbf, 0xff] {
            let mut bent = good.clone();
            bent[at] = value;
            let _ = KeyDescription::read(&bent);
        }
    }
    // A tag twice, or out of order.
    let list = sequence(&[tagged(405, integer(1)), tagged(405, integer(1))]);
    let head =
        [integer(100), enumerated(1), integer(100), enumerated(1), tlv(&[4], &[]), tlv(&[4], &[])].concat();
    assert_eq!(KeyDescription::read(&tlv(&[0x30], &[head, sequence(&[]), list].concat())), None);
}

#[test]
fn a_policy_is_refused_in_words() {
    let maker = Maker::new();
    let application = AndroidApplication { package: PACKAGE.to_owned(), signer: hex::encode(SIGNER) };
    let read = |roots: &[u8], status: &[u8], applications: &[AndroidApplication]| {
        AndroidPolicy::read(roots, status, applications.to_vec())
    };
    let (roots, listed) = (maker.root_pem.as_bytes(), std::slice::from_ref(&application));
    assert!(read(roots, br#"{"entries": {}}"#, listed).is_ok());
    let unsigned = AndroidApplication { signer: "abc".to_owned(), ..application.clone() };
    for (roots, status, applications) in [
        (&b"garbage"[..], &b""[..], listed),
        (b"", b"", listed),
        (roots, b"[]", listed),
        (roots, b"", &[]),
        (roots, b"", std::slice::from_ref(&unsigned)),
    ] {
        assert!(read(roots, status, applications).is_err());
    }
    assert_eq!(application.identity(), Some(identity(PACKAGE, &SIGNER)));
}
