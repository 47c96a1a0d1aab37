//! Portable proofs of misbehaviour and what devices hand on to each other.

use alloc::vec::Vec;

use crate::amount::Amount;
use crate::cert::WalletCert;
use crate::codec::{Bytes, Dec, Enc, Wire};
use crate::error::{Code, Error};
use crate::header::{Extra, Header, Purpose};
use crate::ids::{PublicKey, Signature};
use crate::record;

/// A signed header without its body: evidence that shows nobody's partners. Encoded as `[key, half]` with `half` =
/// `[purpose, seq, prev, digest, extra, signature]`, `extra` being null, a reason, or `[spent, amount]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHeader {
    /// The header.
    pub header: Header,
    /// The signature over it.
    pub signature: Signature,
}

impl SignedHeader {
    fn encode_half(&self, e: &mut Enc) {
        let header = &self.header;
        e.array(6).put(&header.purpose).put(&header.seq).put(&header.prev).put(&header.digest);
        match header.extra {
            Extra::None => e.null(),
            Extra::Reason(reason) => e.put(&reason),
            Extra::Spending { spent, amount } => e.array(2).put(&spent).put(&amount),
        };
        e.put(&self.signature);
    }

    fn decode_half(d: &mut Dec<'_>, key: PublicKey) -> Result<Self, Error> {
        d.array(6)?;
        let (purpose, seq, prev, digest) = (d.get()?, d.get()?, d.get()?, d.get()?);
        let extra = match purpose {
            Purpose::Payment => {
                d.array(2)?;
                Extra::Spending { spent: d.get::<Amount>()?, amount: d.get::<Amount>()? }
            }
            Purpose::Decline => Extra::Reason(d.get()?),
            _ if d.null()? => Extra::None,
            _ => return Err(Code::NotAMessage.into()),
        };
        let header = Header { purpose, key, seq, prev, digest, extra };
        Ok(Self { header, signature: d.get()? })
    }
}

impl Wire for SignedHeader {
    fn encode(&self, e: &mut Enc) {
        e.array(2).put(&self.header.key);
        self.encode_half(e);
    }
    fn decode(d: &mut Dec<'_>) -> Result<Self, Error> {
        d.array(2)?;
        let key = d.get()?;
        Self::decode_half(d, key)
    }
}

/// Two headers that an honest wallet never signs both, and a certificate of the key that signed them: without it the
/// proof would speak of a key that may be nobody's. Encoded as `[cert, half, half]`; the halves' key is the certificate's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Any certificate of the key, an expired one too.
    pub cert: WalletCert,
    /// One header.
    pub first: SignedHeader,
    /// The other, under the same key.
    pub second: SignedHeader,
}

impl Wire for Proof {
    fn encode(&self, e: &mut Enc) {
        e.array(3).put(&self.cert);
        self.first.encode_half(e);
        self.second.encode_half(e);
    }
    fn decode(d: &mut Dec<'_>) -> Result<Self, Error> {
        d.array(3)?;
        let cert: WalletCert = d.get()?;
        let (first, second) =
            (SignedHeader::decode_half(d, cert.key)?, SignedHeader::decode_half(d, cert.key)?);
        Ok(Self { cert, first, second })
    }
}

record! {
    /// What a device hands on to another: nothing in it is signed as a whole, each part is judged by itself. On the
    /// wire it stands in `[15, gossip]`.
    pub struct Gossip {
        /// The newest revocation list held, an encoded envelope.
        pub revocation: Option<Bytes>,
        /// The newest trust list held, an encoded envelope.
        pub trust: Option<Bytes>,
        /// Proofs held.
        pub proofs: Vec<Proof>,
        /// Headers of payments lately taken, where the rules allow it.
        pub headers: Vec<SignedHeader>,
    }
}

impl Gossip {
    /// Reads `[15, gossip]`.
    ///
    /// # Errors
    /// As [`Wire::from_bytes`].
    pub fn from_message(bytes: &[u8]) -> Result<Self, Error> {
        Ok(GossipMessage::from_bytes(bytes)?.0)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.revocation.is_none() && self.trust.is_none() && self.proofs.is_empty() && self.headers.is_empty()
    }

    /// Writes `[15, gossip]`.
    pub fn to_message(&self) -> Vec<u8> {
        GossipMessage(self.clone()).to_bytes()
    }
}

struct GossipMessage(Gossip);

impl Wire for GossipMessage {
    fn encode(&self, e: &mut Enc) {
        e.array(2).put(&Purpose::Gossip).put(&self.0);
    }
    fn decode(d: &mut Dec<'_>) -> Result<Self, Error> {
        d.array(2)?;
        match d.get::<Purpose>()? {
            Purpose::Gossip => Ok(Self(d.get()?)),
            _ => Err(Code::WrongKind.into()),
        }
    }
}
