//! Signed messages as the generator makes them, with all that is to be known about each.

use counterfoil_trust::{SigningKey, header_id, header_of, seal, to_be_signed};
use counterfoil_wire::cert::AuthorityCert;
use counterfoil_wire::header::{Envelope, Header, Signer};
use counterfoil_wire::message::Body;
use counterfoil_wire::proof::SignedHeader;
use counterfoil_wire::{Bytes, Digest, KeyId, PublicKey, Wire};

use super::hex_of;
use crate::fixed::HEDGE;
use crate::format::{Message, Signed};
use crate::json::{Json, kebab};

/// A message with the key that signed it.
pub(super) struct Sealed<B> {
    pub envelope: Envelope,
    pub body: B,
    pub header: Header,
    pub id: Digest,
    secret: [u8; 32],
}

impl<B: Body + Json> Sealed<B> {
    /// Signs `body`.
    pub(super) fn new(
        scheme: &KeyId,
        key: &SigningKey,
        body: B,
        signer: Signer,
        issuer: Option<&AuthorityCert>,
    ) -> Self {
        let (envelope, id) = seal(scheme, key, &HEDGE, &body, signer, issuer.cloned());
        let header = header_of(&body, &envelope.body.0, &envelope.signer);
        Self { envelope, body, header, id, secret: *key.secret() }
    }

    /// As it travels.
    pub(super) fn bytes(&self) -> Bytes {
        Bytes(self.envelope.to_bytes())
    }

    /// The header with its signature.
    pub(super) fn signed_header(&self) -> SignedHeader {
        SignedHeader { header: self.header, signature: self.envelope.signature }
    }

    pub(super) fn message(&self, scheme: &KeyId, name: &str) -> Message {
        let key: &PublicKey = self.envelope.signer.key();
        Message {
            name: name.to_owned(),
            kind: kebab(&format!("{:?}", B::PURPOSE)),
            fields: self.body.to_json(),
            hex: hex_of(&self.bytes().0),
            signed: Some(Signed {
                signer: self.envelope.signer.to_json(),
                issuer: self.envelope.issuer.to_json(),
                header: hex_of(self.header.to_bytes(scheme)),
                sig_structure: hex_of(to_be_signed(scheme, &self.header)),
                id: hex_of(header_id(scheme, &self.header)),
                key: hex_of(key.as_bytes()),
                signature: hex_of(self.envelope.signature),
                secret: hex_of(self.secret),
                hedge: hex_of(HEDGE),
            }),
            held: None,
            revoked_after: None,
        }
    }
}
