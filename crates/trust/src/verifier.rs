//! Who checks signatures: whoever needs to know at once, or somebody who collects them and checks many together.
//!
//! A device judges one message and wants to know. An operator judges millions of payments, each of which it meets twice, and
//! certificates that it meets all the time: it reads first, and checks each signature once, on all its cores.

use counterfoil_wire::cert::{AuthorityCert, WalletCert};
use counterfoil_wire::{Error, PublicKey, Signature};

use crate::crypto::verify;

/// Checks signatures, strictly.
pub trait Verifier {
    /// Checks one.
    ///
    /// # Errors
    /// [`Code::BadSignature`](counterfoil_wire::Code::BadSignature). A verifier that checks later gives no error here: nothing
    /// that it was asked for holds before it has said so.
    fn verify(&mut self, key: &PublicKey, message: &[u8], signature: &Signature) -> Result<(), Error>;

    /// Whether it was asked for this certificate, the same to the last bit under the same issuer, and need not be asked again. What it
    /// says yes to is as good as what it answered then, at once or later.
    fn knows(&mut self, _issuer: &AuthorityCert, _cert: &WalletCert) -> bool {
        false
    }
}

/// Checks at once, with [`verify`].
#[derive(Debug, Clone, Copy, Default)]
pub struct AtOnce;

impl Verifier for AtOnce {
    fn verify(&mut self, key: &PublicKey, message: &[u8], signature: &Signature) -> Result<(), Error> {
        verify(key, message, signature)
    }
}
