//! Identifiers: digests, keys, signatures, nonces. Bytes with a role, no arithmetic on curves.

use crate::codec::{Dec, Enc, Wire};
use crate::error::{Code, Error};

macro_rules! fixed_bytes {
    ($($(#[$meta:meta])* $name:ident[$len:literal];)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);
        impl Wire for $name {
            fn encode(&self, e: &mut Enc) {
                e.bytes(&self.0);
            }
            fn decode(d: &mut Dec<'_>) -> Result<Self, Error> {
                Ok(Self(d.bytes_exact::<$len>()?))
            }
        }
        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
    )+};
}

fixed_bytes! {
    /// A SHA-256 digest.
    Digest[32];
    /// The SHA-256 digest of a public key's bytes. It names a wallet, an issuer or a scheme.
    KeyId[32];
    /// A signature: Ed25519 (RFC 8032), or ECDSA `r || s` with low `s` (RFC 9053 section 2.1).
    Signature[64];
    /// Sixteen random bytes that make a request or a statement fresh.
    Nonce[16];
    /// What names an operation for its caller: the SHA-256 digest of the caller's own reference.
    Reference[32];
}

impl Digest {
    /// `prev` of a journal's first entry, and of every artefact that stands outside the journal.
    pub const NONE: Self = Self([0; 32]);
}

/// A signature algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// EdDSA over Ed25519 (RFC 8032).
    EdDsa,
    /// ECDSA over P-256 with SHA-256.
    Es256,
}

impl Algorithm {
    /// The number in the IANA COSE Algorithms registry (RFC 9053).
    pub const fn cose(self) -> i64 {
        match self {
            Self::EdDsa => -8,
            Self::Es256 => -7,
        }
    }

    /// The algorithm with this COSE number.
    pub const fn from_cose(number: i64) -> Option<Self> {
        match number {
            -8 => Some(Self::EdDsa),
            -7 => Some(Self::Es256),
            _ => None,
        }
    }

    /// The name used on command lines and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "eddsa",
            Self::Es256 => "es256",
        }
    }
}

/// A public key. The length of the encoding tells the algorithm.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PublicKey {
    /// Ed25519, 32 bytes.
    Ed25519([u8; 32]),
    /// P-256, compressed point (SEC 1), 33 bytes.
    P256([u8; 33]),
}

impl PublicKey {
    /// The algorithm of signatures under this key.
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Algorithm::EdDsa,
            Self::P256(_) => Algorithm::Es256,
        }
    }

    /// The key's bytes.
    pub const fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Ed25519(bytes) => bytes,
            Self::P256(bytes) => bytes,
        }
    }

    /// The key that these bytes stand for. Whether they are a point of the curve is for `trust` to say.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        if let Ok(key) = <[u8; 32]>::try_from(bytes) {
            return Some(Self::Ed25519(key));
        }
        let key = <[u8; 33]>::try_from(bytes).ok()?;
        matches!(key.first(), Some(2 | 3)).then_some(Self::P256(key))
    }
}

impl core::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}:", self.algorithm().name())?;
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Wire for PublicKey {
    fn encode(&self, e: &mut Enc) {
        e.bytes(self.as_bytes());
    }
    fn decode(d: &mut Dec<'_>) -> Result<Self, Error> {
        Self::from_slice(d.bytes()?).ok_or(Code::UnsupportedAlgorithm.into())
    }
}
