//! The published certificate profile: X.509 v3 (RFC 5280) that any PKI tool can check, and a compact form that travels.
//!
//! On the wire a certificate is a [`RootCert`], [`AuthorityCert`] or [`WalletCert`]: only what varies. Here it becomes
//! DER, bit for bit as its issuer signed it, and the signature over that DER is the check. Each field of the compact
//! form appears in the signed part of the DER, and each form gives its own DER; so whoever alters one field has to forge
//! a signature, and there is no second compact form of one certificate. Nothing here reads DER.
//!
//! `spec/certificates.md` is the profile: every field of both forms, the object identifiers, the rule by which the DER is
//! rebuilt, and what is checked beyond the signature. This module follows it; a change to one is a change to the other.

mod crl;
mod der;
mod pem;
mod profile;

use alloc::vec::Vec;

use counterfoil_wire::cert::{AuthorityCert, Grade, Name, Role, RootCert, WalletCert};
use counterfoil_wire::{Algorithm, Code, Error, PublicKey, Signature};

pub use crl::crl_der;
pub use pem::pem;

use crate::crypto::{SigningKey, key_id};
use crate::verifier::{AtOnce, Verifier};
use der::{Der, context_constructed};
use profile::{Usage, grades_of, root_issued_serial, wallet_serial};

/// What a certificate holds before it is signed.
const UNSIGNED: Signature = Signature([0; 64]);

/// The `tbsCertificate` of the root, which its own key signs.
pub fn root_tbs(cert: &RootCert) -> Vec<u8> {
    let id = key_id(&cert.key);
    tbs(&root_issued_serial(0, cert.not_before_s, &cert.key), cert.key.algorithm(), |der| {
        der.root_name(cert)
            .validity(cert.not_before_s, cert.not_after_s())
            .root_name(cert)
            .public_key(&cert.key);
        der.extensions(3, |der| {
            der.authority_key(&id).subject_key(&id).certificate_authority(1).key_usage(Usage::Root);
        });
    })
}

/// The `tbsCertificate` of an authority, which the root signs.
pub fn authority_tbs(cert: &AuthorityCert, root: &RootCert) -> Vec<u8> {
    let id = key_id(&cert.key);
    tbs(&root_issued_serial(cert.since, cert.not_before_s, &cert.key), root.key.algorithm(), |der| {
        der.root_name(root).validity(cert.not_before_s, cert.not_after_s());
        der.authority_name(cert, &id).public_key(&cert.key);
        der.extensions(3, |der| {
            der.authority_key(&key_id(&root.key)).subject_key(&id);
            match cert.role {
                Role::Issuer => der.certificate_authority(0).key_usage(Usage::Issuer),
                Role::Signer => der.key_usage(Usage::Signature),
            };
            if cert.role == Role::Issuer {
                der.policies(&grades_of(cert.grades));
            }
            der.authority_extension(cert);
        });
    })
}

/// The `tbsCertificate` of a wallet or terminal, which its issuer signs.
pub fn wallet_tbs(cert: &WalletCert, issuer: &AuthorityCert) -> Vec<u8> {
    let id = key_id(&cert.key);
    // The certificate names its issuer's key id, and is only ever judged under that key.
    tbs(&wallet_serial(cert.status_index, cert.not_before_s), issuer.key.algorithm(), |der| {
        der.authority_name(issuer, &cert.issuer).validity(cert.not_before_s, cert.not_after_s());
        der.wallet_name(cert, &id).public_key(&cert.key);
        der.extensions(3, |der| {
            der.authority_key(&cert.issuer).subject_key(&id).key_usage(Usage::Signature);
            der.policies(&[cert.grade]).wallet_extension(cert);
        });
    })
}

/// The whole root certificate.
pub fn root_der(cert: &RootCert) -> Vec<u8> {
    signed(&root_tbs(cert), cert.key.algorithm(), &cert.signature)
}

/// The whole certificate of an authority.
pub fn authority_der(cert: &AuthorityCert, root: &RootCert) -> Vec<u8> {
    signed(&authority_tbs(cert, root), root.key.algorithm(), &cert.signature)
}

/// The whole certificate of a wallet or terminal.
pub fn wallet_der(cert: &WalletCert, issuer: &AuthorityCert) -> Vec<u8> {
    signed(&wallet_tbs(cert, issuer), issuer.key.algorithm(), &cert.signature)
}

fn tbs(serial: &[u8], algorithm: Algorithm, write: impl FnOnce(&mut Der)) -> Vec<u8> {
    let mut der = Der::new();
    der.sequence(|der| {
        // [0] version 3, which is written as 2.
        der.nest(context_constructed(0), |der| {
            der.integer(2);
        });
        der.unsigned(serial).signature_algorithm(algorithm);
        write(der);
    });
    der.finish()
}

/// Certificate or CertificateList: what is signed, the algorithm again, the signature.
fn signed(tbs: &[u8], algorithm: Algorithm, signature: &Signature) -> Vec<u8> {
    let mut der = Der::new();
    der.sequence(|der| {
        der.raw(tbs).signature_algorithm(algorithm).signature(algorithm, signature);
    });
    der.finish()
}

/// Makes a scheme's root. `name` must not be empty and the validity, in days, must end before 2^32 seconds, or
/// [`verify_root`] refuses what comes out.
pub fn issue_root(
    name: Name,
    not_before_s: u32,
    lifetime_d: u16,
    key: &SigningKey,
    hedge: &[u8; 32],
) -> RootCert {
    let mut cert = RootCert { name, not_before_s, lifetime_d, key: key.public(), signature: UNSIGNED };
    cert.signature = key.sign(&root_tbs(&cert), hedge);
    cert
}

/// Signs an authority's certificate with the root's key; the signature in `unsigned` does not matter. The limits of
/// [`verify_authority`] are the caller's to keep.
pub fn issue_authority(
    unsigned: AuthorityCert,
    root_key: &SigningKey,
    root: &RootCert,
    hedge: &[u8; 32],
) -> AuthorityCert {
    let signature = root_key.sign(&authority_tbs(&unsigned, root), hedge);
    AuthorityCert { signature, ..unsigned }
}

/// Signs a wallet's certificate with an issuer's key; the signature in `unsigned` does not matter. The limits of
/// [`verify_wallet`] are the caller's to keep, and no two certificates of one issuer may share status index and start.
pub fn issue_wallet(
    unsigned: WalletCert,
    issuer_key: &SigningKey,
    issuer: &AuthorityCert,
    hedge: &[u8; 32],
) -> WalletCert {
    let signature = issuer_key.sign(&wallet_tbs(&unsigned, issuer), hedge);
    WalletCert { signature, ..unsigned }
}

/// Checks that the root is well formed and signed by itself. That it is the right root nobody but its bearer can say.
///
/// # Errors
/// [`Code::BadCertificate`].
pub fn verify_root(cert: &RootCert) -> Result<(), Error> {
    let end = end_of(cert.not_before_s, cert.lifetime_d, 86_400);
    if cert.name.as_str().is_empty() || end.is_none() {
        return Err(Code::BadCertificate.into());
    }
    check(&mut AtOnce, &cert.key, &root_tbs(cert), &cert.signature)
}

/// Checks an authority's certificate under a root that holds. One signature check.
///
/// # Errors
/// [`Code::BadCertificate`] if it is malformed, outlives its root, or was not signed by it.
pub fn verify_authority(cert: &AuthorityCert, root: &RootCert) -> Result<(), Error> {
    verify_authority_by(&mut AtOnce, cert, root)
}

pub(crate) fn verify_authority_by<V: Verifier>(
    verifier: &mut V,
    cert: &AuthorityCert,
    root: &RootCert,
) -> Result<(), Error> {
    let end = end_of(cert.not_before_s, cert.lifetime_d, 86_400).ok_or(Code::BadCertificate)?;
    let known_grades = Grade::ALL.iter().fold(0, |bits, grade| bits | grade.bit());
    let inside = cert.not_before_s >= root.not_before_s && end <= root.not_after_s();
    let well_formed = !cert.name.as_str().is_empty()
        && cert.grades & !known_grades == 0
        && (cert.role != Role::Issuer || cert.index_first <= cert.index_last);
    if !inside || !well_formed {
        return Err(Code::BadCertificate.into());
    }
    check(verifier, &root.key, &authority_tbs(cert, root), &cert.signature)
}

/// Checks a wallet's certificate under an issuer that holds. Whether it is valid *now* is for the caller to say. One
/// signature check, and none if something else is wrong.
///
/// # Errors
/// In this order: [`Code::UnknownIssuer`] if it names another issuer; [`Code::IssuerNotPermitted`] if the issuer is
/// none, or was not given this grade, this status index or this time; [`Code::BadCertificate`].
pub fn verify_wallet(cert: &WalletCert, issuer: &AuthorityCert) -> Result<(), Error> {
    if cert.issuer != key_id(&issuer.key) {
        return Err(Code::UnknownIssuer.into());
    }
    verify_wallet_of(&mut AtOnce, cert, issuer)
}

/// [`verify_wallet`] for a caller who found `issuer` by `cert.issuer`.
pub(crate) fn verify_wallet_of<V: Verifier>(
    verifier: &mut V,
    cert: &WalletCert,
    issuer: &AuthorityCert,
) -> Result<(), Error> {
    let end = end_of(cert.not_before_s, cert.lifetime_h, 3_600);
    let permitted = issuer.role == Role::Issuer
        && issuer.grades & cert.grade.bit() != 0
        && (issuer.index_first..=issuer.index_last).contains(&cert.status_index)
        && cert.not_before_s >= issuer.not_before_s
        && end.is_some_and(|end| end <= issuer.not_after_s());
    if !permitted {
        return Err(Code::IssuerNotPermitted.into());
    }
    if verifier.knows(issuer, cert) {
        return Ok(());
    }
    check(verifier, &issuer.key, &wallet_tbs(cert, issuer), &cert.signature)
}

/// End of a validity that stays within 32 bits of seconds. Beyond, two lifetimes would give one DER.
fn end_of(not_before_s: u32, lifetime: u16, unit_s: u32) -> Option<u32> {
    not_before_s.checked_add(u32::from(lifetime).checked_mul(unit_s)?)
}

fn check<V: Verifier>(
    verifier: &mut V,
    key: &PublicKey,
    tbs: &[u8],
    signature: &Signature,
) -> Result<(), Error> {
    verifier.verify(key, tbs, signature).map_err(|_| Code::BadCertificate.into())
}
