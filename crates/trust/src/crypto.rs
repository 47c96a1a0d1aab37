//! Hashes, keys and signatures.
//!
//! Two algorithms, each in its strictest reading, because a signature is evidence and evidence must mean the same to
//! everyone who ever looks at it:
//!
//! - **EdDSA** over Ed25519 (RFC 8032). Verification is cofactorless and refuses `S >= L`, keys and `R` of small order,
//!   and keys whose `y` is not reduced.
//! - **ES256**, ECDSA over P-256 with SHA-256 (FIPS 186-5). `s` must be in the lower half, so that nobody can turn one
//!   signature into another without the key.
//!
//! # Hedged nonces
//! A nonce that repeats gives the key away, and there are two ways to get there: a random source that fails, and, with
//! a nonce that is purely derived, a fault that disturbs one of two runs over the same message. So the nonce is derived
//! from the key, the message *and* 32 bytes that the caller drew (the *hedge*), after
//! draft-irtf-cfrg-det-sigs-with-noise. With a good random source no two runs share a nonce; with one that always gives
//! the same bytes the nonce is still a secret function of key and message, as in RFC 8032 and RFC 6979.
//!
//! For ECDSA the hedge is the additional data of RFC 6979 section 3.6. For Ed25519, RFC 8032 derives
//! `r = SHA-512(prefix || M)` from a secret `prefix`; here `prefix` is replaced by
//! `SHA-512(tag || hedge || prefix)[..32]`. The result is an ordinary Ed25519 signature: the verification equation
//! `S B = R + H(R || A || M) A` holds for every `r`, and a verifier cannot see how `r` came about. It is as secure,
//! since whoever does not know `prefix` cannot tell the replacement from another random prefix.

use counterfoil_wire::{Algorithm, Code, Digest, Error, KeyId, PublicKey, Signature};
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use p256::ecdsa::signature::Verifier as _;
use sha2::{Digest as _, Sha256, Sha512};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// How often [`SigningKey::generate`] draws. One draw in 2^32 is out of range for P-256, so that a second miss means
/// that the source is broken.
const DRAWS_MAX: usize = 8;

/// Keeps the hedged prefix apart from every other use of SHA-512.
const HEDGE_TAG: &[u8] = b"counterfoil/1 hedged ed25519";

/// The SHA-256 digest of `bytes`.
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// The name of a key: SHA-256 of its bytes.
pub fn key_id(key: &PublicKey) -> KeyId {
    KeyId(Sha256::digest(key.as_bytes()).into())
}

/// A private key. It is wiped when dropped and never shown.
pub struct SigningKey(Inner);

/// Every field that is secret wipes itself.
enum Inner {
    Ed25519 { seed: Zeroizing<[u8; 32]>, expanded: ExpandedSecretKey, public: ed25519_dalek::VerifyingKey },
    P256(p256::ecdsa::SigningKey),
}

impl SigningKey {
    /// The key with this secret: an Ed25519 seed, or a P-256 scalar, big-endian.
    ///
    /// # Errors
    /// [`Code::ValueOutOfRange`] for a P-256 scalar that is zero or not below the group order; draw again.
    pub fn from_secret(algorithm: Algorithm, secret: &[u8; 32]) -> Result<Self, Error> {
        let inner = match algorithm {
            Algorithm::EdDsa => {
                let wide = Zeroizing::new(<[u8; 64]>::from(Sha512::digest(secret)));
                let expanded = ExpandedSecretKey::from_bytes(&wide);
                let public = ed25519_dalek::VerifyingKey::from(&expanded);
                Inner::Ed25519 { seed: Zeroizing::new(*secret), expanded, public }
            }
            Algorithm::Es256 => {
                Inner::P256(p256::ecdsa::SigningKey::from_slice(secret).map_err(|_| Code::ValueOutOfRange)?)
            }
        };
        Ok(Self(inner))
    }

    /// A new key from `random`, which must fill the whole buffer unpredictably.
    ///
    /// # Errors
    /// [`Code::ValueOutOfRange`] if `random` keeps giving what no key can be.
    pub fn generate(algorithm: Algorithm, random: &mut dyn FnMut(&mut [u8])) -> Result<Self, Error> {
        let mut secret = Zeroizing::new([0; 32]);
        for _ in 0..DRAWS_MAX {
            random(secret.as_mut_slice());
            if let Ok(key) = Self::from_secret(algorithm, &secret) {
                return Ok(key);
            }
        }
        Err(Code::ValueOutOfRange.into())
    }

    /// The secret that [`SigningKey::from_secret`] takes, for whoever must store it.
    pub fn secret(&self) -> Zeroizing<[u8; 32]> {
        match &self.0 {
            Inner::Ed25519 { seed, .. } => seed.clone(),
            Inner::P256(key) => {
                let mut bytes = key.to_bytes();
                let secret = Zeroizing::new(bytes.into());
                bytes.zeroize();
                secret
            }
        }
    }

    /// The algorithm of this key's signatures.
    pub fn algorithm(&self) -> Algorithm {
        match &self.0 {
            Inner::Ed25519 { .. } => Algorithm::EdDsa,
            Inner::P256(_) => Algorithm::Es256,
        }
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        match &self.0 {
            Inner::Ed25519 { public, .. } => PublicKey::Ed25519(public.to_bytes()),
            Inner::P256(key) => {
                let point = key.verifying_key().to_sec1_point(true);
                let mut bytes = [0; 33];
                // A point that is not the identity compresses to 33 bytes, and a private scalar is never zero.
                bytes.iter_mut().zip(point.as_bytes()).for_each(|(to, from)| *to = *from);
                PublicKey::P256(bytes)
            }
        }
    }

    /// Signs `message`. `hedge` should be fresh random bytes; the module's text says what happens when they are not.
    pub fn sign(&self, message: &[u8], hedge: &[u8; 32]) -> Signature {
        match &self.0 {
            Inner::Ed25519 { expanded, public, .. } => {
                let hash = Sha512::new()
                    .chain_update(HEDGE_TAG)
                    .chain_update(hedge)
                    .chain_update(expanded.hash_prefix);
                let wide = Zeroizing::new(<[u8; 64]>::from(hash.finalize()));
                let mut hedged = ExpandedSecretKey { scalar: expanded.scalar, hash_prefix: [0; 32] };
                hedged.hash_prefix.iter_mut().zip(wide.iter()).for_each(|(to, from)| *to = *from);
                Signature(raw_sign::<Sha512>(&hedged, message, public).to_bytes())
            }
            Inner::P256(key) => {
                let (signature, _) = ecdsa::hazmat::sign_prehashed_rfc6979::<p256::NistP256, Sha256>(
                    key.as_nonzero_scalar(),
                    &Sha256::digest(message),
                    hedge,
                );
                Signature(signature.normalize_s().to_bytes().into())
            }
        }
    }
}

/// As its content says; there is nothing left for a `Drop` of its own.
impl ZeroizeOnDrop for SigningKey {}

impl core::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "SigningKey({})", self.algorithm().name())
    }
}

/// Checks a signature, strictly.
///
/// # Errors
/// [`Code::BadSignature`], also when the key is no point of its curve.
pub fn verify(key: &PublicKey, message: &[u8], signature: &Signature) -> Result<(), Error> {
    let holds = match key {
        PublicKey::Ed25519(key) => verify_ed25519(key, message, signature),
        PublicKey::P256(key) => verify_p256(key, message, signature),
    };
    holds.ok_or(Code::BadSignature.into())
}

fn verify_ed25519(key: &[u8; 32], message: &[u8], signature: &Signature) -> Option<()> {
    if !is_reduced(key) {
        return None;
    }
    let key = ed25519_dalek::VerifyingKey::from_bytes(key).ok()?;
    key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature.0)).ok()
}

/// Whether the `y` of an encoded point is below p = 2^255 - 19 (RFC 8032 section 5.1.3, step 1). The library decodes
/// larger ones modulo p, which would give one key two names. Nobody knows a secret for any of those points (their `y` is
/// below 19), so this settles what a key is rather than who can sign.
fn is_reduced(key: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = key;
    *low < 0xed || high & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff)
}

fn verify_p256(key: &[u8; 33], message: &[u8], signature: &Signature) -> Option<()> {
    let signature = p256::ecdsa::Signature::from_slice(&signature.0).ok()?;
    if signature.normalize_s() != signature {
        return None;
    }
    p256::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?.verify(message, &signature).ok()
}

/// Whether signatures under `key` can hold at all: a point of its curve, in its one encoding, of large order.
///
/// # Errors
/// [`Code::UnsupportedAlgorithm`].
pub fn check_key(key: &PublicKey) -> Result<(), Error> {
    let good = match key {
        PublicKey::Ed25519(key) => {
            is_reduced(key) && ed25519_dalek::VerifyingKey::from_bytes(key).is_ok_and(|key| !key.is_weak())
        }
        PublicKey::P256(key) => p256::ecdsa::VerifyingKey::from_sec1_bytes(key).is_ok(),
    };
    if good { Ok(()) } else { Err(Code::UnsupportedAlgorithm.into()) }
}

/// The 65 bytes of the uncompressed point (SEC 1 section 2.3.3), if `key` is a point.
pub(crate) fn uncompressed(key: &[u8; 33]) -> Option<p256::Sec1Point> {
    Some(p256::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?.to_sec1_point(false))
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    #[test]
    fn only_y_below_p_is_reduced() {
        let below_p = |low: u8, high: u8| {
            let mut key = [0xff; 32];
            (key[0], key[31]) = (low, high);
            is_reduced(&key)
        };
        assert!(below_p(0xec, 0x7f) && below_p(0xec, 0xff) && below_p(0xff, 0x7e) && is_reduced(&[0; 32]));
        for low in 0xed..=0xff {
            assert!(!below_p(low, 0x7f) && !below_p(low, 0xff));
        }
        // p + 3: the library takes it for a key, of large order even, which is why the check exists.
        let mut three = [0xff; 32];
        (three[0], three[31]) = (0xf0, 0x7f);
        assert!(ed25519_dalek::VerifyingKey::from_bytes(&three).is_ok_and(|key| !key.is_weak()));
    }

    /// Under a key of small order one signature may hold for every message.
    #[test]
    fn a_signature_that_holds_for_everything_is_refused() {
        let neutral = {
            let mut point = [0; 32];
            point[0] = 1;
            point
        };
        // With A neutral, R = S B does whatever the message.
        let base = ed25519_dalek::VerifyingKey::from(&ExpandedSecretKey {
            scalar: ExpandedSecretKey::from_bytes(&[0; 64]).scalar,
            hash_prefix: [0; 32],
        });
        let scalar = ExpandedSecretKey::from_bytes(&[0; 64]).scalar.to_bytes();
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(base.as_bytes());
        signature[32..].copy_from_slice(&scalar);
        let lenient = ed25519_dalek::VerifyingKey::from_bytes(&neutral).unwrap();
        let as_library = ed25519_dalek::Signature::from_bytes(&signature);
        assert!(ed25519_dalek::Verifier::verify(&lenient, b"anything", &as_library).is_ok());
        assert!(verify(&PublicKey::Ed25519(neutral), b"anything", &Signature(signature)).is_err());
        assert!(check_key(&PublicKey::Ed25519(neutral)).is_err());
    }
}
