//! Keys and signatures: known answers, strictness, hedging.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod common;

use common::{BOTH, HEDGE, flips, signing_key};
use counterfoil_trust::{SigningKey, key_id, sha256, verify};
use counterfoil_wire::{Algorithm, Code, PublicKey, Signature};
use proptest::prelude::*;
use zeroize::ZeroizeOnDrop;

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    hex::decode(hex).unwrap().try_into().unwrap()
}

/// RFC 8032 section 7.1, tests 1 to 3: secret, public, message, signature.
const RFC_8032: [[&str; 4]; 3] = [
    [
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ],
];

#[test]
fn rfc_8032_vectors_verify_and_derive() {
    for [secret, public, message, signature] in RFC_8032 {
        let key = SigningKey::from_secret(Algorithm::EdDsa, &bytes(secret)).unwrap();
        assert_eq!(key.public(), PublicKey::Ed25519(bytes(public)));
        let message = hex::decode(message).unwrap();
        assert_eq!(verify(&key.public(), &message, &Signature(bytes(signature))), Ok(()));
        let hedged = key.sign(&message, &HEDGE);
        assert_ne!(hedged, Signature(bytes(signature)));
        assert_eq!(verify(&key.public(), &message, &hedged), Ok(()));
    }
}

const P256_SECRET: &str = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
const P256_PUBLIC: &str = "0360fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6";
const SAMPLE_R: &str = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716";
const SAMPLE_S: &str = "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";
/// n - [`SAMPLE_S`].
const SAMPLE_S_LOW: &str = "0834e36ad29a83bf2bc9385e491d6099c8fdf9d1ed67aa7ea5f51f93782857a9";
const TEST: &str = "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083";

#[test]
fn rfc_6979_vectors_verify_and_high_s_does_not() {
    let key = SigningKey::from_secret(Algorithm::Es256, &bytes(P256_SECRET)).unwrap();
    assert_eq!(key.public(), PublicKey::P256(bytes(P256_PUBLIC)));
    assert_eq!(verify(&key.public(), b"test", &Signature(bytes(TEST))), Ok(()));
    let low = Signature(bytes(&[SAMPLE_R, SAMPLE_S_LOW].concat()));
    assert_eq!(verify(&key.public(), b"sample", &low), Ok(()));
    let high = Signature(bytes(&[SAMPLE_R, SAMPLE_S].concat()));
    assert_eq!(verify(&key.public(), b"sample", &high).unwrap_err().code, Code::BadSignature);
    assert_eq!(verify(&key.public(), b"sample", &key.sign(b"sample", &HEDGE)), Ok(()));
}

#[test]
fn p256_secrets_outside_the_group_are_refused() {
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let last = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550";
    for secret in [[0; 32], bytes(order), [0xff; 32]] {
        assert_eq!(
            SigningKey::from_secret(Algorithm::Es256, &secret).unwrap_err().code,
            Code::ValueOutOfRange
        );
    }
    assert!(SigningKey::from_secret(Algorithm::Es256, &bytes(last)).is_ok());
}

#[test]
fn generating_draws_again_but_not_for_ever() {
    let mut draws = 0;
    let mut third_time = |buffer: &mut [u8]| {
        draws += 1;
        buffer.fill(if draws < 3 { 0xff } else { 0x11 });
    };
    let key = SigningKey::generate(Algorithm::Es256, &mut third_time).unwrap();
    assert_eq!((*key.secret(), draws), ([0x11; 32], 3));
    let never = SigningKey::generate(Algorithm::Es256, &mut |buffer| buffer.fill(0));
    assert_eq!(never.unwrap_err().code, Code::ValueOutOfRange);
}

#[test]
fn keys_of_small_order_or_with_unreduced_y_sign_nothing() {
    // With A of small order and R = [S]B - [k]A, one signature holds for many messages.
    let small_order = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    ];
    // Unreduced: p, p + 1, and p + 3, which is y = 3, a point of large order.
    let unreduced = [
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    let neutral_r = "0100000000000000000000000000000000000000000000000000000000000000";
    let zero_s = "00".repeat(32);
    for key in small_order.into_iter().chain(unreduced) {
        for r in small_order.into_iter().chain([neutral_r]) {
            let signature = Signature(bytes(&[r, &zero_s].concat()));
            for message in 0..8u8 {
                assert!(verify(&PublicKey::Ed25519(bytes(key)), &[message], &signature).is_err());
            }
        }
    }
}

#[test]
fn an_s_beyond_the_group_order_is_refused() {
    let [_, public, message, signature] = RFC_8032[1];
    let mut malleated: [u8; 64] = bytes(signature);
    let order: [u8; 32] = bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0u16;
    for (byte, add) in malleated[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    let key = PublicKey::Ed25519(bytes(public));
    let message = hex::decode(message).unwrap();
    assert_eq!(verify(&key, &message, &Signature(malleated)).unwrap_err().code, Code::BadSignature);
}

#[test]
fn points_off_the_curve_verify_nothing() {
    let off_curve =
        PublicKey::P256(bytes("020000000000000000000000000000000000000000000000000000000000000001"));
    let too_large = PublicKey::P256([&[2u8][..], &[0xff; 32]].concat().try_into().unwrap());
    let identity = PublicKey::P256([0; 33]);
    let signature = signing_key(Algorithm::Es256, 1).sign(b"m", &HEDGE);
    for key in [off_curve, too_large, identity] {
        assert_eq!(verify(&key, b"m", &signature).unwrap_err().code, Code::BadSignature);
    }
}

#[test]
fn every_flipped_bit_breaks_a_signature() {
    for algorithm in BOTH {
        let key = signing_key(algorithm, 5);
        let signature = key.sign(b"message", &HEDGE);
        for flipped in flips(&signature.0) {
            assert!(verify(&key.public(), b"message", &Signature(flipped.try_into().unwrap())).is_err());
        }
        for flipped in flips(key.public().as_bytes()) {
            let other = PublicKey::from_slice(&flipped);
            assert!(other.is_none_or(|other| verify(&other, b"message", &signature).is_err()));
        }
    }
}

#[test]
fn the_nonce_depends_on_key_message_and_hedge_and_on_nothing_else() {
    for algorithm in BOTH {
        let key = signing_key(algorithm, 5);
        let nonce = |key: &SigningKey, message: &[u8], hedge| key.sign(message, &hedge).0[..32].to_vec();
        let first = nonce(&key, b"one", [0; 32]);
        assert_eq!(first, nonce(&key, b"one", [0; 32]));
        assert_ne!(first, nonce(&key, b"one", [1; 32]));
        assert_ne!(first, nonce(&key, b"two", [0; 32]));
        assert_ne!(first, nonce(&signing_key(algorithm, 6), b"one", [0; 32]));
    }
}

#[test]
fn secrets_are_wiped_and_never_shown() {
    fn wiped<T: ZeroizeOnDrop>(_: &T) {}
    for algorithm in BOTH {
        let key = signing_key(algorithm, 0xab);
        wiped(&key);
        assert_eq!(format!("{key:?}"), format!("SigningKey({})", algorithm.name()));
        assert_eq!(*key.secret(), [0xab; 32]);
    }
}

#[test]
fn digests_are_sha_256() {
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(sha256(b"abc").to_string(), abc);
    let key = PublicKey::P256(bytes(P256_PUBLIC));
    assert_eq!(key_id(&key).0, sha256(&bytes::<33>(P256_PUBLIC)).0);
}

proptest! {
    #[test]
    fn what_is_signed_verifies(
        secret in prop::array::uniform32(1u8..0xff), hedge: [u8; 32], message: Vec<u8>, other: Vec<u8>, p256: bool,
    ) {
        let algorithm = if p256 { Algorithm::Es256 } else { Algorithm::EdDsa };
        let key = SigningKey::from_secret(algorithm, &secret).unwrap();
        let signature = key.sign(&message, &hedge);
        prop_assert_eq!(verify(&key.public(), &message, &signature), Ok(()));
        prop_assert_eq!(verify(&key.public(), &other, &signature).is_ok(), message == other);
    }

    #[test]
    fn verifying_noise_never_panics(
        key in prop::collection::vec(any::<u8>(), 32..=33), noise in prop::collection::vec(any::<u8>(), 64), message: Vec<u8>,
    ) {
        if let Some(key) = PublicKey::from_slice(&key) {
            prop_assert!(verify(&key, &message, &Signature(noise.try_into().unwrap())).is_err());
        }
    }
}
