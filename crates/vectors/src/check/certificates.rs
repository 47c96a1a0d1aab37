//! Certificates: the DER rebuilt, the signature checked, and what breaks a constraint refused.

use counterfoil_trust::x509::{
    authority_der, crl_der, pem, root_der, verify_authority, verify_root, wallet_der,
};
use counterfoil_trust::{Anchors, SigningKey, key_id};
use counterfoil_wire::cert::{AuthorityCert, RootCert, WalletCert};
use counterfoil_wire::{Error, PublicKey, Wire};

use super::{Findings, anchors};
use crate::VectorError;
use crate::format::{Certificate, Certificates, Crl, InvalidCertificate};
use crate::json::{Json, Mismatch, unhex};

/// What is rebuilt of a certificate.
struct Rebuilt {
    der: Vec<u8>,
    key: PublicKey,
}

pub(super) fn check(file: &Certificates, out: &mut Findings) -> Result<(), VectorError> {
    let anchors = anchors(&file.context)?;
    for vector in &file.valid {
        hold(vector, &anchors, file.context.clock_s, out);
    }
    for vector in &file.invalid {
        let clock_s = vector.clock_s.unwrap_or(file.context.clock_s);
        if let Some(judged) = out.read(&vector.name, "hex", refuse(vector, &anchors, clock_s)) {
            out.compare_error(&vector.name, vector.error, judged);
        }
    }
    for vector in &file.crls {
        match rebuild_crl(vector) {
            Ok(der) => {
                out.compare_hex(&vector.name, "der", &vector.der, &der);
                out.compare(&vector.name, "pem", &vector.pem, &pem("X509 CRL", &der));
            }
            Err(error) => out.differ(&vector.name, "issuer", "a CRL", error),
        }
    }
    Ok(())
}

fn hold(vector: &Certificate, anchors: &Anchors, clock_s: u32, out: &mut Findings) {
    let name = &vector.name;
    let (Some(bytes), Some(issuer)) =
        (out.read(name, "hex", unhex(&vector.hex)), out.read(name, "issuer", unhex(&vector.issuer)))
    else {
        return;
    };
    let rebuilt = match vector.kind.as_str() {
        "root" => judge_root(vector, &bytes, out),
        "authority" => judge_authority(vector, &bytes, &issuer, out),
        "wallet" => judge_wallet(vector, &bytes, &issuer, anchors, clock_s, out),
        other => return out.differ(name, "kind", "a known kind", other),
    };
    let Some(rebuilt) = out.hold(name, "hex", rebuilt) else { return };
    out.compare_hex(name, "der", &vector.der, &rebuilt.der);
    out.compare(name, "pem", &vector.pem, &pem("CERTIFICATE", &rebuilt.der));
    out.compare_hex(name, "key_id", &vector.key_id, &key_id(&rebuilt.key).0);
}

/// Fields from the bytes and bytes from the fields.
fn fields<T: Wire + Json>(vector: &Certificate, cert: &T, out: &mut Findings) {
    out.compare_json(&vector.name, "fields", &vector.fields, &cert.to_json());
    if let Some(cert) = out.read(&vector.name, "fields", T::from_json(&vector.fields)) {
        out.compare_hex(&vector.name, "hex, built from fields", &vector.hex, &cert.to_bytes());
    }
}

fn judge_root(vector: &Certificate, bytes: &[u8], out: &mut Findings) -> Result<Rebuilt, Error> {
    let cert = RootCert::from_bytes(bytes)?;
    verify_root(&cert)?;
    fields(vector, &cert, out);
    Ok(Rebuilt { der: root_der(&cert), key: cert.key })
}

fn judge_authority(
    vector: &Certificate,
    bytes: &[u8],
    root: &[u8],
    out: &mut Findings,
) -> Result<Rebuilt, Error> {
    let (cert, root) = (AuthorityCert::from_bytes(bytes)?, RootCert::from_bytes(root)?);
    verify_authority(&cert, &root)?;
    fields(vector, &cert, out);
    Ok(Rebuilt { der: authority_der(&cert, &root), key: cert.key })
}

fn judge_wallet(
    vector: &Certificate,
    bytes: &[u8],
    issuer: &[u8],
    anchors: &Anchors,
    clock_s: u32,
    out: &mut Findings,
) -> Result<Rebuilt, Error> {
    let (cert, issuer) = (WalletCert::from_bytes(bytes)?, AuthorityCert::from_bytes(issuer)?);
    let found = anchors.check_wallet(&cert, vector.carried.then_some(&issuer), clock_s)?;
    if *found != issuer {
        out.differ(&vector.name, "issuer", "the one that is found", "another");
    }
    fields(vector, &cert, out);
    Ok(Rebuilt { der: wallet_der(&cert, &issuer), key: cert.key })
}

fn refuse(
    vector: &InvalidCertificate,
    anchors: &Anchors,
    clock_s: u32,
) -> Result<Result<(), Error>, Mismatch> {
    let bytes = unhex(&vector.hex)?;
    let carried = match &vector.carried {
        None => None,
        Some(hex) => match AuthorityCert::from_bytes(&unhex(hex)?) {
            Ok(cert) => Some(cert),
            Err(error) => return Ok(Err(error)),
        },
    };
    Ok(match vector.kind.as_str() {
        "root" => RootCert::from_bytes(&bytes).and_then(|cert| verify_root(&cert)),
        "authority" => {
            AuthorityCert::from_bytes(&bytes).and_then(|cert| verify_authority(&cert, &anchors.root))
        }
        "wallet" => WalletCert::from_bytes(&bytes)
            .and_then(|cert| anchors.check_wallet(&cert, carried.as_ref(), clock_s).map(drop)),
        other => {
            return Err(Mismatch { at: "kind".to_owned(), what: format!("{other} is not known") });
        }
    })
}

fn rebuild_crl(vector: &Crl) -> Result<Vec<u8>, VectorError> {
    let issuer = AuthorityCert::from_bytes(&unhex(&vector.issuer)?)?;
    let wrong = |at: &str| Mismatch { at: at.to_owned(), what: "is not 32 bytes".to_owned() };
    let secret = unhex(&vector.secret)?.try_into().map_err(|_| wrong("secret"))?;
    let hedge: [u8; 32] = unhex(&vector.hedge)?.try_into().map_err(|_| wrong("hedge"))?;
    let key = SigningKey::from_secret(issuer.key.algorithm(), &secret)?;
    let revoked: Vec<_> =
        vector.revoked.iter().map(|r| (r.status_index, r.not_before_s, r.revoked_at_s)).collect();
    let (this, next) = (vector.this_update_s, vector.next_update_s);
    Ok(crl_der(&issuer, &key, vector.number, this, next, &revoked, &hedge))
}
