//! Certificates up to a trusted root. Attestation chains are checked by rules of their own: the leaf's names are constants,
//! the root is trusted by its key, and what describes the key may stand in the leaf alone, or a key that was attested could
//! sign a description of its own beneath itself.

use std::collections::BTreeSet;

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode, Encode, Reader, SliceReader};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};
use x509_cert::spki::SubjectPublicKeyInfoRef;

use super::{AndroidPolicy, AttestationError};

/// The extension that describes the key.
const DESCRIPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.1.17");

/// Certificates in a chain: a leaf, at least its issuer; chains of phones in use have four or five.
const CHAIN_MIN: usize = 2;
const CHAIN_MAX: usize = 8;
/// Largest certificate, in bytes: an RSA root has 1,380.
const CERTIFICATE_BYTES_MAX: usize = 8192;

const EC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const RSA_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");

/// The keys of certificates in PEM, as DER in hex. `None` if there is anything else.
pub(super) fn keys_of_pem(pem: &[u8]) -> Option<BTreeSet<String>> {
    let certificates = Certificate::load_pem_chain(pem).ok()?;
    certificates.iter().map(|certificate| key_of(certificate).map(hex::encode)).collect()
}

fn key_of(certificate: &Certificate) -> Option<Vec<u8>> {
    certificate.tbs_certificate().subject_public_key_info().to_der().ok()
}

/// Checks a chain, the leaf first; the content of the leaf's extension.
pub(super) fn check(
    policy: &AndroidPolicy,
    chain: &[Vec<u8>],
    now_s: u32,
) -> Result<Vec<u8>, AttestationError> {
    let fits = (CHAIN_MIN..=CHAIN_MAX).contains(&chain.len());
    if !fits || chain.iter().any(|certificate| certificate.len() > CERTIFICATE_BYTES_MAX) {
        return Err(AttestationError::Size);
    }
    let mut read = Vec::new();
    for (at, der) in chain.iter().enumerate() {
        let certificate = Certificate::from_der(der).map_err(|_| AttestationError::Malformed(at))?;
        read.push((certificate, tbs_of(der).ok_or(AttestationError::Malformed(at))?));
    }
    // The root is signed by itself.
    let issuers = read.iter().skip(1).chain(read.last());
    for (at, ((certificate, signed), (issuer, _))) in read.iter().zip(issuers).enumerate() {
        if !is_issued_by(certificate, signed, issuer) {
            return Err(AttestationError::NotIssued(at));
        }
    }
    for (at, (certificate, _)) in read.iter().enumerate() {
        let validity = certificate.tbs_certificate().validity();
        let from_s = validity.not_before.to_unix_duration().as_secs();
        let until_s = validity.not_after.to_unix_duration().as_secs();
        if !(from_s..=until_s).contains(&u64::from(now_s)) {
            return Err(AttestationError::NotValidNow(at));
        }
    }
    for (at, (certificate, _)) in read.iter().enumerate() {
        let serial = hex::encode(certificate.tbs_certificate().serial_number().as_bytes());
        if policy.revoked.contains(serial.trim_start_matches('0')) {
            return Err(AttestationError::Revoked(at));
        }
    }
    let root = read.last().and_then(|(certificate, _)| key_of(certificate)).map(hex::encode);
    if !root.is_some_and(|key| policy.roots.contains(&key)) {
        return Err(AttestationError::OtherRoot);
    }
    let mut described = read.iter().map(|(certificate, _)| description_of(certificate));
    match (described.next(), described.all(|other| other == Ok(None))) {
        (Some(Ok(Some(extension))), true) => Ok(extension),
        _ => Err(AttestationError::NoDescription),
    }
}

/// The bytes that a certificate's signature covers, as they came.
fn tbs_of(certificate: &[u8]) -> Option<Vec<u8>> {
    let mut reader = SliceReader::new(certificate).ok()?;
    let header = x509_cert::der::Header::decode(&mut reader).ok()?;
    (header.tag() == x509_cert::der::Tag::Sequence).then_some(())?;
    reader.tlv_bytes().ok().map(<[u8]>::to_vec)
}

/// The extension, `None` if there is none; an error if there are two.
fn description_of(certificate: &Certificate) -> Result<Option<Vec<u8>>, ()> {
    let all = certificate.tbs_certificate().extensions().map(Vec::as_slice).unwrap_or_default();
    let mut found = all.iter().filter(|extension| extension.extn_id == DESCRIPTION);
    match (found.next(), found.next()) {
        (first, None) => Ok(first.map(|extension| extension.extn_value.as_bytes().to_vec())),
        _ => Err(()),
    }
}

fn is_issued_by(certificate: &Certificate, signed: &[u8], issuer: &Certificate) -> bool {
    let (tbs, issuer) = (certificate.tbs_certificate(), issuer.tbs_certificate());
    let authority = matches!(issuer.get_extension::<BasicConstraints>(), Ok(Some((_, limits))) if limits.ca);
    let may_sign = match issuer.get_extension::<KeyUsage>() {
        Ok(Some((_, usage))) => usage.key_cert_sign(),
        Ok(None) => true,
        Err(_) => false,
    };
    authority
        && may_sign
        && tbs.issuer() == issuer.subject()
        && tbs.signature() == certificate.signature_algorithm()
        && verifies(
            certificate,
            signed,
            issuer.subject_public_key_info().to_der().as_deref().unwrap_or_default(),
        )
}

fn verifies(certificate: &Certificate, signed: &[u8], key: &[u8]) -> bool {
    let Ok(key) = SubjectPublicKeyInfoRef::try_from(key) else { return false };
    let curve = key.algorithm.parameters_oid().ok();
    let by = certificate.signature_algorithm().oid;
    let algorithm: &dyn VerificationAlgorithm = match (key.algorithm.oid, curve, by) {
        (EC_KEY, Some(P256), ECDSA_SHA256) => &signature::ECDSA_P256_SHA256_ASN1,
        (EC_KEY, Some(P256), ECDSA_SHA384) => &signature::ECDSA_P256_SHA384_ASN1,
        (EC_KEY, Some(P384), ECDSA_SHA256) => &signature::ECDSA_P384_SHA256_ASN1,
        (EC_KEY, Some(P384), ECDSA_SHA384) => &signature::ECDSA_P384_SHA384_ASN1,
        (RSA_KEY, _, RSA_SHA256) => &signature::RSA_PKCS1_2048_8192_SHA256,
        _ => return false,
    };
    let (Some(key), Some(signature)) =
        (key.subject_public_key.as_bytes(), certificate.signature().as_bytes())
    else {
        return false;
    };
    UnparsedPublicKey::new(algorithm, key).verify(signed, signature).is_ok()
}
