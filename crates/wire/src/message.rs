//! What two devices say to each other: request, payment, receipt, decline. Each is the body of an
//! [`Envelope`](crate::header::Envelope); field order is wire order.

use crate::amount::Amount;
use crate::header::{Extra, Purpose};
use crate::ids::{Digest, Nonce, PublicKey};
use crate::{Wire, record};

/// Standing requests are numbered from here, one-time requests below it: a closure speaks of one-time requests only.
pub const STANDING_FIRST: u32 = 1 << 31;

record! {
    /// A payee asks to be paid. Signed with the payee's certificate, which carries currency and display name.
    pub struct Request {
        /// Number of the request under the payee's key, from 1. Closures name it.
        pub number: u32,
        /// Random; absent in a standing request, which may be paid any number of times.
        pub nonce: Option<Nonce>,
        /// The amount asked for; absent where the payer names it.
        pub amount: Option<Amount>,
        /// For the payer's eyes: seconds since 1970 after which the payee no longer expects payment; 0 is never.
        pub expiry_s: u32,
        /// Number of the revocation list that the payee holds.
        pub revocation_no: u32,
        /// Number of the trust list that the payee holds.
        pub trust_no: u32,
    }
}

record! {
    /// Value on its way from payer to one payee key.
    pub struct Payment {
        /// Identifier of the request that is paid.
        pub request: Digest,
        /// Number of that request.
        pub request_no: u32,
        /// The key that alone may take this payment.
        pub payee: PublicKey,
        /// What is paid.
        pub amount: Amount,
        /// Gross total that the payer ever paid, from its random offset, this payment included.
        pub spent: Amount,
        /// Sequence number in the payer's journal.
        pub seq: u32,
        /// SHA-256 of the header before this one in the payer's journal.
        pub prev: Digest,
    }
}

record! {
    /// The payee took the payment: it is final.
    pub struct Receipt {
        /// Identifier of the payment.
        pub payment: Digest,
        /// Sequence number in the payee's journal.
        pub seq: u32,
        /// SHA-256 of the header before this one in the payee's journal.
        pub prev: Digest,
    }
}

record! {
    /// The payee will never take the payment: the payer may have it back.
    pub struct Decline {
        /// Identifier of the payment.
        pub payment: Digest,
        /// Why, as an error number.
        pub reason: u16,
        /// Sequence number in the payee's journal.
        pub seq: u32,
        /// SHA-256 of the header before this one in the payee's journal.
        pub prev: Digest,
    }
}

/// How a body becomes a header: all but the key and the digest of the body.
pub struct HeaderParts {
    /// See [`Header::seq`](crate::header::Header::seq).
    pub seq: u32,
    /// See [`Header::prev`](crate::header::Header::prev).
    pub prev: Digest,
    /// The digest, where it is not the SHA-256 of the body.
    pub digest: Option<Digest>,
    /// See [`Header::extra`](crate::header::Header::extra).
    pub extra: Extra,
}

impl HeaderParts {
    /// Of an object outside the journal, with its own number.
    pub fn outside(number: u32) -> Self {
        Self { seq: number, prev: Digest::NONE, digest: None, extra: Extra::None }
    }
}

/// A body that is signed.
pub trait Body: Wire {
    /// What the signature is for.
    const PURPOSE: Purpose;

    /// The parts of the header that the body gives.
    fn header_parts(&self) -> HeaderParts;
}

impl Request {
    /// Whether it may be paid any number of times. Its number and the absence of a nonce both say so.
    pub fn is_standing(&self) -> bool {
        self.number >= STANDING_FIRST && self.nonce.is_none()
    }

    /// Whether number and nonce agree.
    pub fn is_consistent(&self) -> bool {
        (self.number >= STANDING_FIRST) == self.nonce.is_none()
    }
}

impl Body for Request {
    const PURPOSE: Purpose = Purpose::Request;
    fn header_parts(&self) -> HeaderParts {
        HeaderParts::outside(self.number)
    }
}

impl Body for Payment {
    const PURPOSE: Purpose = Purpose::Payment;
    fn header_parts(&self) -> HeaderParts {
        let extra = Extra::Spending { spent: self.spent, amount: self.amount };
        HeaderParts { seq: self.seq, prev: self.prev, digest: None, extra }
    }
}

impl Body for Receipt {
    const PURPOSE: Purpose = Purpose::Receipt;
    fn header_parts(&self) -> HeaderParts {
        HeaderParts { seq: self.seq, prev: self.prev, digest: Some(self.payment), extra: Extra::None }
    }
}

impl Body for Decline {
    const PURPOSE: Purpose = Purpose::Decline;
    fn header_parts(&self) -> HeaderParts {
        let extra = Extra::Reason(self.reason);
        HeaderParts { seq: self.seq, prev: self.prev, digest: Some(self.payment), extra }
    }
}
