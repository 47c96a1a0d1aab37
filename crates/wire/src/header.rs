//! What is signed, and the envelope that it travels in.
//!
//! A signature covers a small [`Header`] and never the body itself, so a header can be shown as evidence without
//! anybody's partners. The header is not sent: the receiver rebuilds it from the body. On the wire a message is
//! `[purpose, COSE_Sign1, body, signer]` or `[purpose, COSE_Sign1, body, signer, issuer]`, where the COSE_Sign1
//! (RFC 9052 section 4.2) has a detached payload: the header.

use alloc::vec::Vec;

use crate::amount::Amount;
use crate::cert::{AuthorityCert, WalletCert};
use crate::code_enum;
use crate::codec::{Bytes, Dec, Enc, Wire};
use crate::error::{Code, Error};
use crate::ids::{Algorithm, Digest, KeyId, PublicKey, Signature};

/// First item of every header: protocol and version.
pub const CONTEXT: &str = "counterfoil/1";

code_enum! {
    /// What a header is for. A signature for one purpose is worth nothing for another.
    pub enum Purpose {
        /// Journal: value leaves for a payee.
        Payment = 1,
        /// Journal: a payment was taken.
        Receipt = 2,
        /// Journal: a payment will never be taken.
        Decline = 3,
        /// Journal: everything since the last settlement, for the operator.
        Statement = 4,
        /// Journal, unsigned: a declined payment came back.
        Reclaim = 5,
        /// Journal, unsigned: a settlement was applied.
        Settled = 6,
        /// Journal, unsigned: value leaves for the account behind the wallet.
        Defund = 7,
        /// A payee asks to be paid.
        Request = 8,
        /// A new key asks for its first certificate.
        Enrolment = 9,
        /// A wallet orders value from the account behind it.
        FundOrder = 10,
        /// The operator answers a statement.
        Settlement = 11,
        /// The root names the authorities.
        TrustList = 12,
        /// The operator sets the limits.
        Rules = 13,
        /// The operator names the revoked.
        RevocationList = 14,
        /// Not signed: what one device hands on to another.
        Gossip = 15,
        /// Not signed: a message between two devices, and gossip that rides along.
        Bundle = 16,
    }
}

/// The part of a header that only some purposes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// Nothing more.
    None,
    /// Of a payment: the gross total ever paid including this one, and the amount. `(spent - amount, spent]` is the
    /// interval that no other payment under the key may touch.
    Spending {
        /// Gross total ever paid, this payment included.
        spent: Amount,
        /// The amount of this payment.
        amount: Amount,
    },
    /// Of a decline: why, as an error number.
    Reason(u16),
}

/// What is hashed, chained and signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What for.
    pub purpose: Purpose,
    /// Whose.
    pub key: PublicKey,
    /// Journal sequence number, or the object's own number outside a journal.
    pub seq: u32,
    /// SHA-256 of the header before it in the journal; [`Digest::NONE`] outside a journal.
    pub prev: Digest,
    /// SHA-256 of the body and, where the signer shows one, its certificate; for a receipt or a decline the identifier
    /// of the payment.
    pub digest: Digest,
    /// What only some purposes have.
    pub extra: Extra,
}

impl Header {
    /// The bytes that are hashed and signed, in the scheme whose root key is `scheme`.
    pub fn to_bytes(&self, scheme: &KeyId) -> Vec<u8> {
        let mut e = Enc::new();
        let len = match self.extra {
            Extra::None => 7,
            Extra::Reason(_) => 8,
            Extra::Spending { .. } => 9,
        };
        e.array(len).text(CONTEXT).put(scheme).put(&self.purpose).put(&self.key);
        e.put(&self.seq).put(&self.prev).put(&self.digest);
        match self.extra {
            Extra::None => {}
            Extra::Reason(reason) => {
                e.put(&reason);
            }
            Extra::Spending { spent, amount } => {
                e.put(&spent).put(&amount);
            }
        }
        e.finish()
    }
}

/// The COSE protected header `{1: alg}` (RFC 9052 section 3.1), encoded.
pub fn protected(algorithm: Algorithm) -> Vec<u8> {
    let mut e = Enc::new();
    e.map(1).uint(1).int(algorithm.cose());
    e.finish()
}

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signer {
    /// A wallet, by certificate.
    Cert(WalletCert),
    /// A key that the receiver knows already.
    Key(PublicKey),
}

impl Signer {
    /// The key that signed.
    pub fn key(&self) -> &PublicKey {
        match self {
            Self::Cert(cert) => &cert.key,
            Self::Key(key) => key,
        }
    }
}

impl Wire for Signer {
    fn encode(&self, e: &mut Enc) {
        match self {
            Self::Cert(cert) => cert.encode(e),
            Self::Key(key) => key.encode(e),
        }
    }
    fn decode(d: &mut Dec<'_>) -> Result<Self, Error> {
        if d.is_array()? { Ok(Self::Cert(d.get()?)) } else { Ok(Self::Key(d.get()?)) }
    }
}

/// A signed message as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// What the body is.
    pub purpose: Purpose,
    /// The signature over the COSE `Sig_structure` whose payload is the header.
    pub signature: Signature,
    /// The encoded body.
    pub body: Bytes,
    /// Who signed.
    pub signer: Signer,
    /// The certificate of the signer's issuer, for a receiver whose trust list is older than it.
    pub issuer: Option<AuthorityCert>,
}

impl Wire for Envelope {
    fn encode(&self, e: &mut Enc) {
        e.array(if self.issuer.is_some() { 5 } else { 4 }).put(&self.purpose);
        e.array(4).bytes(&protected(self.signer.key().algorithm())).map(0).null().put(&self.signature);
        e.put(&self.body).put(&self.signer);
        if let Some(issuer) = &self.issuer {
            e.put(issuer);
        }
    }

    fn decode(d: &mut Dec<'_>) -> Result<Self, Error> {
        let len = d.array_head()?;
        if len != 4 && len != 5 {
            return Err(Code::NotAMessage.into());
        }
        let purpose = d.get()?;
        d.array(4)?;
        let algorithm = decode_protected(d.bytes()?)?;
        if d.map_head()? != 0 || !d.null()? {
            return Err(Code::NotAMessage.into());
        }
        let (signature, body, signer) = (d.get()?, d.get()?, d.get::<Signer>()?);
        if signer.key().algorithm() != algorithm {
            return Err(Code::UnsupportedAlgorithm.into());
        }
        let issuer = if len == 5 { Some(d.get()?) } else { None };
        Ok(Self { purpose, signature, body, signer, issuer })
    }
}

fn decode_protected(bytes: &[u8]) -> Result<Algorithm, Error> {
    let mut d = Dec::new(bytes);
    if d.map_head()? != 1 || d.uint()? != 1 {
        return Err(Code::NotAMessage.into());
    }
    Algorithm::from_cose(d.int()?).ok_or(Code::UnsupportedAlgorithm.into())
}
