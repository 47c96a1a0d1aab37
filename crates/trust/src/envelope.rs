//! Signed messages: making, opening and checking.
//!
//! What is signed is the COSE `Sig_structure` (RFC 9052 section 4.4)
//! `["Signature1", protected, h'', header]`, where the header is the detached payload. The header holds the scheme, the
//! purpose, the key and the digest of the body, so that a signature cannot be moved to another scheme, another kind of
//! message, another key or another body. Opening is in two steps, because parsing is cheap and a signature is not: a
//! receiver looks at what the message says first, and checks the signature once it still cares.

use counterfoil_wire::cert::AuthorityCert;
use counterfoil_wire::codec::{Enc, MESSAGE_MAX};
use counterfoil_wire::header::{Envelope, Header, Signer, protected};
use counterfoil_wire::message::Body;
use counterfoil_wire::proof::SignedHeader;
use counterfoil_wire::{Bytes, Code, Digest, Error, KeyId, Wire};

use alloc::vec::Vec;

use crate::crypto::{SigningKey, sha256, verify};
use crate::verifier::{AtOnce, Verifier};

/// Signs `body` for the scheme whose root key is `scheme`.
///
/// `signer` is how the receiver learns the key, and must name the public half of `key`: an envelope under another key
/// opens nowhere. Returns the envelope and the artefact's identifier, which is [`header_id`].
pub fn seal<B: Body>(
    scheme: &KeyId,
    key: &SigningKey,
    hedge: &[u8; 32],
    body: &B,
    signer: Signer,
    issuer: Option<AuthorityCert>,
) -> (Envelope, Digest) {
    let body_bytes = body.to_bytes();
    let header = header_of(body, &body_bytes, &signer);
    let signature = key.sign(&to_be_signed(scheme, &header), hedge);
    let envelope = Envelope { purpose: B::PURPOSE, signature, body: Bytes(body_bytes), signer, issuer };
    (envelope, header_id(scheme, &header))
}

/// A message that was parsed and whose signature is yet to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened<B> {
    /// The envelope.
    pub envelope: Envelope,
    /// The body in it.
    pub body: B,
    /// The header that the signature must cover, rebuilt from body and signer.
    pub header: Header,
}

impl<B> Opened<B> {
    /// The artefact's identifier: SHA-256 of its header.
    pub fn id(&self, scheme: &KeyId) -> Digest {
        header_id(scheme, &self.header)
    }

    /// Checks the signature under the signer's own key. Whether that key may sign such a thing is another question:
    /// see [`Anchors`](crate::chain::Anchors).
    ///
    /// # Errors
    /// [`Code::BadSignature`].
    pub fn check_signature(&self, scheme: &KeyId) -> Result<(), Error> {
        self.check_signature_by(&mut AtOnce, scheme)
    }

    /// The same, by another verifier.
    ///
    /// # Errors
    /// Those of `verifier`.
    pub fn check_signature_by<V: Verifier>(&self, verifier: &mut V, scheme: &KeyId) -> Result<(), Error> {
        let signed = to_be_signed(scheme, &self.header);
        verifier.verify(self.envelope.signer.key(), &signed, &self.envelope.signature)
    }

    /// The header and its signature: evidence without the body.
    pub fn signed_header(&self) -> SignedHeader {
        SignedHeader { header: self.header, signature: self.envelope.signature }
    }
}

/// Parses an object of any legal length ([`OBJECT_MAX`](counterfoil_wire::codec::OBJECT_MAX)).
///
/// # Errors
/// Those of [`Wire::from_bytes`], for the envelope and for its body; [`Code::WrongKind`] if it holds another kind of
/// body.
pub fn open<B: Body>(bytes: &[u8]) -> Result<Opened<B>, Error> {
    let envelope = Envelope::from_bytes(bytes)?;
    if envelope.purpose != B::PURPOSE {
        return Err(Code::WrongKind.into());
    }
    let body = B::from_bytes(&envelope.body.0)?;
    let header = header_of(&body, &envelope.body.0, &envelope.signer);
    Ok(Opened { envelope, body, header })
}

/// Parses a message that came from another device: at most [`MESSAGE_MAX`] bytes.
///
/// # Errors
/// Those of [`open`], and [`Code::TooLong`].
pub fn open_message<B: Body>(bytes: &[u8]) -> Result<Opened<B>, Error> {
    if bytes.len() > MESSAGE_MAX {
        return Err(Code::TooLong.into());
    }
    open(bytes)
}

/// The header that `signer` signs for `body`. `body_bytes` are the body's bytes as they were received or will be sent.
///
/// Where the signer shows a certificate the digest covers it too (a body says itself where it ends). How long a payee
/// remembers a payment, and when the operator may refund it, go by the payer's certificate: who could show an old payment
/// under a renewed certificate would have it taken twice.
pub fn header_of<B: Body>(body: &B, body_bytes: &[u8], signer: &Signer) -> Header {
    let parts = body.header_parts();
    let digest = parts.digest.unwrap_or_else(|| match signer {
        Signer::Cert(cert) => {
            let mut covered = Vec::from(body_bytes);
            covered.extend_from_slice(&cert.to_bytes());
            sha256(&covered)
        }
        Signer::Key(_) => sha256(body_bytes),
    });
    Header {
        purpose: B::PURPOSE,
        key: *signer.key(),
        seq: parts.seq,
        prev: parts.prev,
        digest,
        extra: parts.extra,
    }
}

/// The identifier of the artefact with this header, and `prev` of the journal entry after it: SHA-256 of the header's
/// bytes.
pub fn header_id(scheme: &KeyId, header: &Header) -> Digest {
    sha256(&header.to_bytes(scheme))
}

/// Checks a signature over a header.
///
/// # Errors
/// [`Code::BadSignature`].
pub fn check_header(scheme: &KeyId, signed: &SignedHeader) -> Result<(), Error> {
    verify(&signed.header.key, &to_be_signed(scheme, &signed.header), &signed.signature)
}

/// The bytes that are signed: the COSE `Sig_structure` (RFC 9052 section 4.4) over the header as detached payload.
pub fn to_be_signed(scheme: &KeyId, header: &Header) -> Vec<u8> {
    let mut e = Enc::new();
    e.array(4).text("Signature1").bytes(&protected(header.key.algorithm())).bytes(&[]);
    e.bytes(&header.to_bytes(scheme));
    e.finish()
}
