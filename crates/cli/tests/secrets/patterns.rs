//! A secret in every form in which a program that uses it could leave it behind.

use counterfoil_wire::Algorithm;
use sha2::{Digest as _, Sha512};

/// Bytes to look for, and what they are.
pub type Pattern = (String, Vec<u8>);

/// The order of P-256 (SEC 2, 2.4.2).
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// 32 bytes as they are, as a little-endian number, in hex, and in halves: the key schedule of AES-256 begins with both.
pub fn key(what: &str, bytes: &[u8; 32]) -> Vec<Pattern> {
    let mut reversed = *bytes;
    reversed.reverse();
    let text = hex::encode(bytes);
    let named = |form: &str, bytes: &[u8]| (format!("{what}, {form}"), bytes.to_vec());
    vec![
        named("first half", &bytes[..16]),
        named("second half", &bytes[16..]),
        named("first half, little-endian", &reversed[..16]),
        named("second half, little-endian", &reversed[16..]),
        named("hex", text.as_bytes()),
    ]
}

/// A private key: as it is stored, and as signing expands it.
pub fn private_key(algorithm: Algorithm, secret: &[u8; 32]) -> Vec<Pattern> {
    let mut patterns = key("private key", secret);
    match algorithm {
        Algorithm::EdDsa => {
            // RFC 8032, 5.1.5: the scalar, before and after it is pruned, and the prefix.
            let expanded = Sha512::digest(secret);
            let mut scalar: [u8; 32] = expanded[..32].try_into().unwrap();
            patterns.extend(key("hash of the private key", &scalar));
            scalar[0] &= 0xf8;
            scalar[31] = (scalar[31] & 0x7f) | 0x40;
            patterns.extend(key("scalar", &scalar));
            patterns.extend(key("prefix", expanded[32..].try_into().unwrap()));
        }
        Algorithm::Es256 => patterns.extend(key("scalar in Montgomery form", &montgomery(secret))),
    }
    patterns
}

/// `scalar` times 2 to the 256 modulo the order: how a field of words keeps it.
fn montgomery(scalar: &[u8; 32]) -> [u8; 32] {
    let mut value = *scalar;
    for _ in 0..256 {
        let carry = double(&mut value);
        if carry || value >= P256_ORDER {
            subtract(&mut value, &P256_ORDER);
        }
    }
    value
}

fn double(value: &mut [u8; 32]) -> bool {
    let mut carry = 0;
    for byte in value.iter_mut().rev() {
        let next = *byte >> 7;
        *byte = *byte << 1 | carry;
        carry = next;
    }
    carry == 1
}

fn subtract(value: &mut [u8; 32], other: &[u8; 32]) {
    let mut borrow = 0;
    for (byte, other) in value.iter_mut().zip(other).rev() {
        let difference = i16::from(*byte) - i16::from(*other) - borrow;
        borrow = i16::from(difference < 0);
        *byte = difference.rem_euclid(256) as u8;
    }
}
