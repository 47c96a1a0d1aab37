//! The pieces that certificates and CRLs are made of: object identifiers, names, keys, serial numbers, extensions.

use alloc::vec::Vec;
use counterfoil_wire::cert::{AuthorityCert, Grade, Role, RootCert, WalletCert};
use counterfoil_wire::{Algorithm, KeyId, PublicKey, Signature};

use super::der::{Der, OCTET_STRING, PRINTABLE_STRING, SET, UTF8_STRING, context, context_constructed};
use crate::crypto::{key_id, uncompressed};

/// Contents of OBJECT IDENTIFIERs.
pub(super) mod oid {
    pub(in crate::x509) const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
    pub(in crate::x509) const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    pub(in crate::x509) const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    pub(in crate::x509) const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    pub(in crate::x509) const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
    pub(in crate::x509) const SERIAL_NUMBER: &[u8] = &[0x55, 0x04, 0x05];
    pub(in crate::x509) const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
    pub(in crate::x509) const ORGANIZATIONAL_UNIT: &[u8] = &[0x55, 0x04, 0x0b];
    pub(in crate::x509) const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 0x0e];
    pub(in crate::x509) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
    pub(in crate::x509) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
    pub(in crate::x509) const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 0x14];
    pub(in crate::x509) const CERTIFICATE_POLICIES: &[u8] = &[0x55, 0x1d, 0x20];
    pub(in crate::x509) const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 0x23];

    /// 1.2.840.113556.1.8000.2554.58422.2065.17960.20230.36162.15446492.11144818: the arc of this profile.
    pub(in crate::x509) const ARC: &[u8] = &[
        0x2a, 0x86, 0x48, 0x86, 0xf7, 0x14, 0x01, 0xbe, 0x40, 0x93, 0x7a, 0x83, 0xc8, 0x36, 0x90, 0x11, 0x81,
        0x8c, 0x28, 0x81, 0x9e, 0x06, 0x82, 0x9a, 0x42, 0x87, 0xae, 0xe3, 0x5c, 0x85, 0xa8, 0x9c, 0x72,
    ];
    /// Below [`ARC`]: grades as certificate policies, by their number.
    pub(in crate::x509) const GRADE: u8 = 1;
    /// Below [`ARC`]: extensions.
    pub(in crate::x509) const EXTENSION: u8 = 2;
    /// Below [`EXTENSION`]: what a wallet's certificate adds.
    pub(in crate::x509) const WALLET: u8 = 1;
    /// Below [`EXTENSION`]: what an authority's certificate adds.
    pub(in crate::x509) const AUTHORITY: u8 = 2;
}

/// Bits of keyUsage (RFC 5280 section 4.2.1.3).
#[derive(Clone, Copy)]
pub(super) enum Usage {
    /// digitalSignature, keyCertSign, cRLSign.
    Root,
    /// keyCertSign, cRLSign.
    Issuer,
    /// digitalSignature.
    Signature,
}

impl Der {
    /// The AlgorithmIdentifier of a signature (RFC 8410 section 3, RFC 5758 section 3.2): no parameters.
    pub(super) fn signature_algorithm(&mut self, algorithm: Algorithm) -> &mut Self {
        self.sequence(|der| {
            der.oid(match algorithm {
                Algorithm::EdDsa => oid::ED25519,
                Algorithm::Es256 => oid::ECDSA_SHA256,
            });
        })
    }

    /// The signature as a BIT STRING: Ed25519's 64 bytes as they are, ECDSA's `r` and `s` as a SEQUENCE.
    pub(super) fn signature(&mut self, algorithm: Algorithm, signature: &Signature) -> &mut Self {
        match algorithm {
            Algorithm::EdDsa => self.bits(0, &signature.0),
            Algorithm::Es256 => {
                let (r, s) = signature.0.split_at(32);
                let mut pair = Der::new();
                pair.sequence(|der| {
                    der.unsigned(r).unsigned(s);
                });
                self.bits(0, &pair.finish())
            }
        }
    }

    /// SubjectPublicKeyInfo. A P-256 key is written uncompressed, which every verifier reads (RFC 5480 section 2.2).
    /// Bytes that are no point of the curve are written as they are: nothing can be verified under them, here or
    /// elsewhere.
    pub(super) fn public_key(&mut self, key: &PublicKey) -> &mut Self {
        self.sequence(|der| match key {
            PublicKey::Ed25519(bytes) => {
                der.signature_algorithm(Algorithm::EdDsa).bits(0, bytes);
            }
            PublicKey::P256(bytes) => {
                der.sequence(|der| {
                    der.oid(oid::EC_PUBLIC_KEY).oid(oid::P256);
                });
                match uncompressed(bytes) {
                    Some(point) => der.bits(0, point.as_bytes()),
                    None => der.bits(0, bytes),
                };
            }
        })
    }

    /// One relative distinguished name of one attribute.
    fn attribute(&mut self, kind: &[u8], tag: u8, value: &[u8]) -> &mut Self {
        self.nest(SET, |der| {
            der.sequence(|der| {
                der.oid(kind).put(tag, value);
            });
        })
    }

    pub(super) fn root_name(&mut self, root: &RootCert) -> &mut Self {
        self.sequence(|der| {
            der.attribute(oid::COMMON_NAME, UTF8_STRING, root.name.as_str().as_bytes());
        })
    }

    pub(super) fn authority_name(&mut self, cert: &AuthorityCert, id: &KeyId) -> &mut Self {
        let role: &[u8] = match cert.role {
            Role::Issuer => b"issuer",
            Role::Signer => b"signer",
        };
        self.sequence(|der| {
            der.attribute(oid::ORGANIZATIONAL_UNIT, UTF8_STRING, role)
                .attribute(oid::COMMON_NAME, UTF8_STRING, cert.name.as_str().as_bytes())
                .attribute(oid::SERIAL_NUMBER, PRINTABLE_STRING, &hex_digits(id));
        })
    }

    pub(super) fn wallet_name(&mut self, cert: &WalletCert, id: &KeyId) -> &mut Self {
        self.sequence(|der| {
            if !cert.name.as_str().is_empty() {
                der.attribute(oid::ORGANIZATION, UTF8_STRING, cert.name.as_str().as_bytes());
            }
            der.attribute(oid::COMMON_NAME, UTF8_STRING, &hex_digits(id));
        })
    }

    pub(super) fn validity(&mut self, not_before_s: u32, not_after_s: u32) -> &mut Self {
        self.sequence(|der| {
            der.time(not_before_s).time(not_after_s);
        })
    }

    /// Opens the list of extensions; [`context_constructed`] 3 in a certificate, 0 in a CRL.
    pub(super) fn extensions(&mut self, tag: u8, write: impl FnOnce(&mut Self)) -> &mut Self {
        self.nest(context_constructed(tag), |der| {
            der.sequence(write);
        })
    }

    fn extension(&mut self, kind: &[u8], critical: bool, write: impl FnOnce(&mut Self)) -> &mut Self {
        self.sequence(|der| {
            der.oid(kind);
            if critical {
                der.boolean_true();
            }
            der.nest(OCTET_STRING, write);
        })
    }

    pub(super) fn authority_key(&mut self, id: &KeyId) -> &mut Self {
        self.extension(oid::AUTHORITY_KEY_ID, false, |der| {
            der.sequence(|der| {
                der.put(context(0), &id.0);
            });
        })
    }

    pub(super) fn subject_key(&mut self, id: &KeyId) -> &mut Self {
        self.extension(oid::SUBJECT_KEY_ID, false, |der| {
            der.put(OCTET_STRING, &id.0);
        })
    }

    pub(super) fn certificate_authority(&mut self, path_len: u64) -> &mut Self {
        self.extension(oid::BASIC_CONSTRAINTS, true, |der| {
            der.sequence(|der| {
                der.boolean_true().integer(path_len);
            });
        })
    }

    pub(super) fn key_usage(&mut self, usage: Usage) -> &mut Self {
        // Named bits without trailing zeros (X.690 section 11.2.2); bit 0 is the first.
        let (unused, bits) = match usage {
            Usage::Root => (1, 0b1000_0110),
            Usage::Issuer => (1, 0b0000_0110),
            Usage::Signature => (7, 0b1000_0000),
        };
        self.extension(oid::KEY_USAGE, true, |der| {
            der.bits(unused, &[bits]);
        })
    }

    /// certificatePolicies, one for each of `grades`; left out where there are none, since the list may not be empty.
    pub(super) fn policies(&mut self, grades: &[Grade]) -> &mut Self {
        if grades.is_empty() {
            return self;
        }
        self.extension(oid::CERTIFICATE_POLICIES, false, |der| {
            der.sequence(|der| {
                for grade in grades {
                    der.sequence(|der| {
                        der.oid(&below_arc(oid::GRADE, *grade as u8));
                    });
                }
            });
        })
    }

    /// The private extension of a wallet's certificate: SEQUENCE of status index, currency, ceiling.
    pub(super) fn wallet_extension(&mut self, cert: &WalletCert) -> &mut Self {
        self.extension(&below_arc(oid::EXTENSION, oid::WALLET), false, |der| {
            der.sequence(|der| {
                der.integer(cert.status_index.into())
                    .integer(cert.currency.number().into())
                    .integer(cert.ceiling.minor());
            });
        })
    }

    /// The private extension of an authority's certificate: SEQUENCE of role, since, grades, first and last index.
    pub(super) fn authority_extension(&mut self, cert: &AuthorityCert) -> &mut Self {
        self.extension(&below_arc(oid::EXTENSION, oid::AUTHORITY), false, |der| {
            der.sequence(|der| {
                der.integer(cert.role.number().into()).integer(cert.since.into()).integer(cert.grades.into());
                der.integer(cert.index_first.into()).integer(cert.index_last.into());
            });
        })
    }

    pub(super) fn crl_number(&mut self, number: u32) -> &mut Self {
        self.extension(oid::CRL_NUMBER, false, |der| {
            der.integer(number.into());
        })
    }
}

fn below_arc(branch: u8, leaf: u8) -> Vec<u8> {
    let mut content = Vec::from(oid::ARC);
    content.extend_from_slice(&[branch, leaf]);
    content
}

/// The grades that `bits` stand for, in the order of their numbers.
pub(super) fn grades_of(bits: u8) -> Vec<Grade> {
    Grade::ALL.iter().copied().filter(|grade| bits & grade.bit() != 0).collect()
}

/// 64 lower-case hexadecimal digits: just what a common name may hold (RFC 5280, ub-common-name).
fn hex_digits(id: &KeyId) -> Vec<u8> {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).map_or(b'0', |c| c as u8);
    id.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0x0f)]).collect()
}

/// Serial number of a wallet's certificate, big-endian. See spec/certificates.md.
pub(super) fn wallet_serial(status_index: u32, not_before_s: u32) -> [u8; 9] {
    let low = (u64::from(status_index) << 32) | u64::from(not_before_s);
    let mut serial = [1; 9];
    serial.iter_mut().skip(1).zip(low.to_be_bytes()).for_each(|(to, from)| *to = from);
    serial
}

/// Serial number of a certificate that the root issued, big-endian. See spec/certificates.md.
pub(super) fn root_issued_serial(since: u32, not_before_s: u32, key: &PublicKey) -> [u8; 20] {
    let parts = since.to_be_bytes().into_iter().chain(not_before_s.to_be_bytes()).chain(key_id(key).0);
    let mut serial = [1; 20];
    serial.iter_mut().skip(1).zip(parts).for_each(|(to, from)| *to = from);
    serial
}
