//! Signatures that look right to some verifiers and must be refused by all of ours.

use counterfoil_trust::{SigningKey, to_be_signed};
use counterfoil_wire::header::{Header, Signer};
use counterfoil_wire::message::Receipt;
use counterfoil_wire::{PublicKey, Signature};
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::{EdwardsPoint, Scalar};
use sha2::{Digest as _, Sha512};

use super::messages::Cast;
use super::samples::Sealed;

/// Order of the group of Ed25519 (RFC 8032 section 5.1), little-endian.
const ED25519_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Order of P-256 (FIPS 186), big-endian.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// A receipt with such a signature.
pub(super) struct Loose {
    pub name: &'static str,
    pub signer: Signer,
    pub signature: Signature,
    /// Whether a common verifier takes it.
    pub strict: bool,
}

/// Each for the receipt `base`, which `cast.payee` signed.
pub(super) fn signatures(cast: &Cast, base: &Sealed<Receipt>) -> Vec<Loose> {
    match cast.payee.public() {
        PublicKey::Ed25519(_) => ed25519(cast, base),
        PublicKey::P256(_) => p256(base),
    }
}

fn p256(base: &Sealed<Receipt>) -> Vec<Loose> {
    let (r, s) = halves(&base.envelope.signature);
    let loose = |name, r: [u8; 32], s: [u8; 32], strict| Loose {
        name,
        signer: base.envelope.signer.clone(),
        signature: joined(r, s),
        strict,
    };
    let mut off_curve = [0xff; 33];
    off_curve[0] = 2;
    vec![
        loose("ES256: the same signature with s in the upper half", r, minus(P256_ORDER, s), true),
        loose("ES256: r is zero", [0; 32], s, false),
        loose("ES256: s is zero", r, [0; 32], false),
        loose("ES256: r is the group's order", P256_ORDER, s, false),
        loose("ES256: s is the group's order", r, P256_ORDER, false),
        loose("ES256: r and s swapped", s, r, false),
        Loose {
            name: "ES256: the key is no point of the curve",
            signer: Signer::Key(PublicKey::P256(off_curve)),
            signature: base.envelope.signature,
            strict: false,
        },
    ]
}

fn ed25519(cast: &Cast, base: &Sealed<Receipt>) -> Vec<Loose> {
    let (r, s) = halves(&base.envelope.signature);
    let own = base.envelope.signer.clone();
    let loose = |name, r, s, strict| Loose { name, signer: own.clone(), signature: joined(r, s), strict };
    let key = |bytes| Signer::Key(PublicKey::Ed25519(bytes));
    let neutral = point(1, 0);
    let secret = secret_scalar(&cast.payee);
    // R = r B + T with T of order 8: the equation holds when both sides are multiplied by 8, and not before.
    let hidden = Scalar::from(1_234_567_u64);
    let mixed: EdwardsPoint = ED25519_BASEPOINT_POINT * hidden + EIGHT_TORSION[1];
    let mixed = mixed.compress().to_bytes();
    let mixed_s = hidden + challenge(cast, &base.header, &mixed) * secret;
    // R neutral, so S = h a.
    let zero_nonce = challenge(cast, &base.header, &neutral) * secret;
    let order_two = EIGHT_TORSION[4].compress().to_bytes();
    vec![
        loose("EdDSA: S + L", r, plus(s, ED25519_ORDER), false),
        loose("EdDSA: S is L", r, ED25519_ORDER, false),
        loose("EdDSA: a high bit of S is set", r, with_top_bit(s), false),
        loose("EdDSA: R is the neutral point", neutral, zero_nonce.to_bytes(), true),
        loose("EdDSA: R is no point", point(2, 0), s, false),
        loose("EdDSA: holds only when multiplied by the cofactor", mixed, mixed_s.to_bytes(), false),
        Loose {
            name: "EdDSA: the key is the neutral point, for which one signature holds for everything",
            signer: key(neutral),
            signature: joined(neutral, [0; 32]),
            strict: true,
        },
        Loose {
            name: "EdDSA: the key is the neutral point, with a y that is not reduced",
            signer: key(point(0xee, 0x7f)),
            signature: joined(neutral, [0; 32]),
            strict: true,
        },
        Loose {
            name: "EdDSA: the key is of order 2",
            signer: key(order_two),
            signature: joined(neutral, [0; 32]),
            strict: false,
        },
        Loose {
            name: "EdDSA: the key is no point of the curve",
            signer: key(point(2, 0)),
            signature: base.envelope.signature,
            strict: false,
        },
    ]
}

/// An encoded `y` with this first and last byte: zeros between them, or ones where the last is 0x7f.
fn point(low: u8, high: u8) -> [u8; 32] {
    let mut bytes = [if high == 0x7f { 0xff } else { 0 }; 32];
    (bytes[0], bytes[31]) = (low, high);
    bytes
}

/// The scalar that a seed stands for (RFC 8032 section 5.1.5).
fn secret_scalar(key: &SigningKey) -> Scalar {
    let wide = Sha512::digest(*key.secret());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(&wide[..32]);
    bytes[0] &= 0xf8;
    bytes[31] = (bytes[31] & 0x7f) | 0x40;
    Scalar::from_bytes_mod_order(bytes)
}

/// `H(R || A || M)` (RFC 8032 section 5.1.6).
fn challenge(cast: &Cast, header: &Header, r: &[u8; 32]) -> Scalar {
    let hash = Sha512::new()
        .chain_update(r)
        .chain_update(header.key.as_bytes())
        .chain_update(to_be_signed(&cast.scheme.id(), header));
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}

fn halves(signature: &Signature) -> ([u8; 32], [u8; 32]) {
    let (mut first, mut second) = ([0; 32], [0; 32]);
    first.copy_from_slice(&signature.0[..32]);
    second.copy_from_slice(&signature.0[32..]);
    (first, second)
}

fn joined(first: [u8; 32], second: [u8; 32]) -> Signature {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&first);
    signature[32..].copy_from_slice(&second);
    Signature(signature)
}

fn with_top_bit(mut little_endian: [u8; 32]) -> [u8; 32] {
    little_endian[31] |= 0x80;
    little_endian
}

/// The sum of two little-endian numbers that stays below 2^256.
fn plus(a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
    let mut carry = 0;
    let mut sum = [0; 32];
    for ((to, a), b) in sum.iter_mut().zip(a).zip(b) {
        carry += u16::from(a) + u16::from(b);
        *to = carry as u8;
        carry >>= 8;
    }
    sum
}

/// The difference of two big-endian numbers, the first the larger.
fn minus(a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
    let mut borrow = 0;
    let mut difference = [0; 32];
    for ((to, a), b) in difference.iter_mut().zip(a).zip(b).rev() {
        let next = i16::from(a) - i16::from(b) - borrow;
        borrow = i16::from(next < 0);
        *to = next as u8;
    }
    difference
}
