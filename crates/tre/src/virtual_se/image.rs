//! Images: what they are made of, who vouches for them, and which may run.
//!
//! An image is a WebAssembly module and its seal ([`counterfoil_trust::image`]).
//!
//! *Measured*: the image's hash is the SHA-256 of the module, taken of the bytes that will run. It goes into the state's
//! binding and into the statement that a new wallet makes to its operator. *Signed*: the payload by a key that the host
//! was built with. *Numbered*: a higher version replaces a lower one, and the state that a higher version has sealed is
//! opened by no lower one ([`crate::store`]).
//!
//! # What the signature is worth
//! A signature keeps an altered or foreign image from running in an unaltered host. Whoever can alter the host can also
//! leave the check out; that another image ran is then seen by nobody unless the platform attests to the host. The key
//! of [`counterfoil_trust::image::development_signer`] is public, private half and all: whoever builds a host for real money gives its own.

use crate::binding::ImageId;
use counterfoil_trust::image::{ImageStatement, Seal, development_signer};
use counterfoil_trust::sha256;
use counterfoil_wire::PublicKey;
use std::fmt;

/// The image of the trusted application that this build ships.
pub const SHIPPED_WASM: &[u8] = include_bytes!("../../image/counterfoil-ta.wasm");
/// Its seal.
pub const SHIPPED_SEAL: &[u8] = include_bytes!("../../image/counterfoil-ta.seal");

/// The longest module, bytes: more than ten times ours.
const WASM_BYTES_MAX: usize = 4 << 20;

/// Which images a host runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagePolicy {
    /// Whose signature counts.
    pub signers: Vec<PublicKey>,
    /// The lowest version that may run.
    pub version_min: u32,
}

impl ImagePolicy {
    /// What this build ships, and its later versions by the same hand.
    pub fn shipped() -> Self {
        Self { signers: development_signer().iter().map(|key| key.public()).collect(), version_min: 1 }
    }
}

/// Why an image may not run. Nothing of it ran, and nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// There is no seal, or it is none, or nobody whose word counts made it.
    #[error("the image is not signed by anybody whose word counts here")]
    Unsigned,
    /// The module is not the one that was signed, or the seal was altered.
    #[error("the image was altered after it was signed")]
    Altered,
    /// Its version is lower than one that ran here, or than any that may.
    #[error("the image has version {found}, and only {wanted} and later may run")]
    Older {
        /// The image's version.
        found: u32,
        /// The lowest that may run.
        wanted: u32,
    },
    /// It was made for another version of the interface.
    #[error("the image was made for version {0} of the interface, which this host does not speak")]
    OtherInterface(u32),
}

/// A module that may run: signed, and measured.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    wasm: Vec<u8>,
    statement: ImageStatement,
}

impl Image {
    /// Checks and measures `wasm` against its `seal`.
    ///
    /// # Errors
    /// [`ImageError`], in the order of its variants.
    pub fn load(wasm: &[u8], seal: &[u8], policy: &ImagePolicy) -> Result<Self, ImageError> {
        let seal = Seal::parse(seal).ok_or(ImageError::Unsigned)?;
        let statement = seal.statement;
        if !policy.signers.contains(&statement.signer) {
            return Err(ImageError::Unsigned);
        }
        seal.check_signature().map_err(|_| ImageError::Altered)?;
        if wasm.len() > WASM_BYTES_MAX || sha256(wasm) != statement.hash {
            return Err(ImageError::Altered);
        }
        if statement.version < policy.version_min {
            return Err(ImageError::Older { found: statement.version, wanted: policy.version_min });
        }
        if statement.interface != counterfoil_ta::abi::VERSION {
            return Err(ImageError::OtherInterface(statement.interface));
        }
        Ok(Self { wasm: wasm.to_vec(), statement })
    }

    /// The image that this build ships.
    ///
    /// # Errors
    /// [`ImageError`], if the build was tampered with.
    pub fn shipped() -> Result<Self, ImageError> {
        Self::load(SHIPPED_WASM, SHIPPED_SEAL, &ImagePolicy::shipped())
    }

    /// What was signed, and found to hold.
    pub fn statement(&self) -> &ImageStatement {
        &self.statement
    }

    /// Version and measure, as a state is bound to them.
    pub fn id(&self) -> ImageId {
        ImageId { version: self.statement.version, hash: self.statement.hash.0 }
    }

    /// The module.
    pub fn wasm(&self) -> &[u8] {
        &self.wasm
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image").field("statement", &self.statement).finish_non_exhaustive()
    }
}
