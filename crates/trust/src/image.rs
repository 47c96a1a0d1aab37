//! Images of the trusted application: what is said of one, and who says it.
//!
//! An image is a WebAssembly module and its *seal*, a COSE_Sign1 (RFC 9052) with an attached payload:
//!
//! ```text
//! seal      [protected, {}, payload, signature]       protected: the algorithm, as in every message of the protocol
//! payload   ["counterfoil image", version, interface, SHA-256 of the module, who signed: a public key]
//! ```

use alloc::vec::Vec;

use counterfoil_wire::codec::{Dec, Enc};
use counterfoil_wire::header::protected;
use counterfoil_wire::{Algorithm, Code, Digest, Error, PublicKey, Signature};

use crate::crypto::{SigningKey, sha256, verify};

/// The longest seal, bytes.
pub const SEAL_BYTES_MAX: usize = 512;

const PURPOSE: &str = "counterfoil image";

/// What is said of a module, and signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageStatement {
    /// Its version, from 1.
    pub version: u32,
    /// The interface that it was made for .
    pub interface: u32,
    /// SHA-256 of the module.
    pub hash: Digest,
    /// Who vouches for it.
    pub signer: PublicKey,
}

impl ImageStatement {
    fn payload(&self) -> Vec<u8> {
        let mut e = Enc::new();
        e.array(5).text(PURPOSE).uint(self.version.into()).uint(self.interface.into());
        e.put(&self.hash).put(&self.signer);
        e.finish()
    }

    fn parse(payload: &[u8]) -> Result<Self, Error> {
        let mut d = Dec::new(payload);
        d.array(5)?;
        let purpose = d.text()? == PURPOSE;
        let statement = Self { version: d.get()?, interface: d.get()?, hash: d.get()?, signer: d.get()? };
        // One statement has one encoding.
        if purpose && d.at_end() && statement.version > 0 && statement.payload() == payload {
            Ok(statement)
        } else {
            Err(Code::NotAMessage.into())
        }
    }

    /// The seal of this statement, signed by `key`. The signature is the same each time.
    pub fn sealed_by(&self, key: &SigningKey) -> Vec<u8> {
        let payload = self.payload();
        let algorithm = key.algorithm();
        let signature = key.sign(&to_be_signed(algorithm, &payload), &[0; 32]);
        let mut e = Enc::new();
        e.array(4).bytes(&protected(algorithm)).map(0).bytes(&payload).bytes(&signature.0);
        e.finish()
    }
}

/// The COSE `Sig_structure` (RFC 9052 section 4.4).
fn to_be_signed(algorithm: Algorithm, payload: &[u8]) -> Vec<u8> {
    let mut e = Enc::new();
    e.array(4).text("Signature1").bytes(&protected(algorithm)).bytes(&[]).bytes(payload);
    e.finish()
}

/// A seal whose form is right and whose signature is yet to be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal<'a> {
    /// What it says.
    pub statement: ImageStatement,
    payload: &'a [u8],
    signature: Signature,
}

impl<'a> Seal<'a> {
    /// Reads a seal; `None` for what is none.
    pub fn parse(seal: &'a [u8]) -> Option<Self> {
        if seal.len() > SEAL_BYTES_MAX {
            return None;
        }
        let mut d = Dec::new(seal);
        d.array(4).ok()?;
        let header = d.bytes().ok()?;
        let empty = d.map_head().ok()? == 0;
        let payload = d.bytes().ok()?;
        let signature = Signature(d.bytes_exact().ok()?);
        let statement = ImageStatement::parse(payload).ok()?;
        let right = empty && d.at_end() && header == protected(statement.signer.algorithm());
        right.then_some(Self { statement, payload, signature })
    }

    /// Checks the signature under the key that the statement names. Whether that key's word counts is another question.
    ///
    /// # Errors
    /// [`Code::BadSignature`].
    pub fn check_signature(&self) -> Result<(), Error> {
        let signer = &self.statement.signer;
        verify(signer, &to_be_signed(signer.algorithm(), self.payload), &self.signature)
    }
}

/// The key that signs images in this repository. Everybody has its private half: it shows that an image came through
/// the build unharmed, and nothing more.
///
/// # Errors
/// None: every 32 bytes are an Ed25519 seed.
pub fn development_signer() -> Result<SigningKey, Error> {
    let seed = sha256(b"counterfoil development image signer: not for real money");
    SigningKey::from_secret(Algorithm::EdDsa, &seed.0)
}
