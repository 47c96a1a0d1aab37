//! Portable proofs: two headers under one certified key that an honest wallet never signs both.
//!
//! | proof | the two headers |
//! |---|---|
//! | fork | one `seq` in the journal, two different headers |
//! | overlap | two payments whose `(spent - amount, spent]` have a unit in common |
//! | equivocation | a receipt and a decline for one payment |
//!
//! # Why an honest wallet can never be the subject of one
//! The trusted application signs a journal entry in one way only: it fixes `seq`, `prev` and content, stores the entry
//! durably, and only then lets the signature out. So
//!
//! - *no fork*: when a header with number `seq` has left, the entry is in the store, the next entry takes `seq + 1`, and
//!   whoever asks for the artefact again gets a signature over the same header. A power cut before the entry was durable
//!   leaves no signature outside; one after it leaves the entry. A state that may be old (restored, counter behind)
//!   signs nothing until the operator has given it a new key, and proofs are per key.
//! - *no overlap*: `spent` grows by the amount with each payment and is never lowered, not by a reclaim nor a refund
//!   either, so each payment's interval begins where the one before ended or later. A payment of nothing has an empty
//!   interval, which overlaps none.
//! - *no equivocation*: a payment's identifier gets one entry in the payee's store, taken or tombstone, and a second
//!   verdict finds the first.
//!
//! Headers are compared and never signatures: a hedged signature differs from run to run, and over one header any number
//! of them is honest. Only purposes that are journal entries count. Numbers of requests, orders and lists are not
//! journal numbers. A header that no application could have made (a payment above its own gross total) is refused rather
//! than counted.
//!
//! # Why a proof carries a certificate
//! Keys cost nothing. Whoever could prove misbehaviour of a key that nobody vouches for could fill every device's memory
//! with such proofs. A certificate makes the subject a wallet of the scheme, of which there are only as many as the PSPs
//! let in. Any certificate of the key will do: it is judged at its own start, so an expired one says as much, and for
//! an equivocation a terminal's too.

use counterfoil_wire::header::{Extra, Header, Purpose};
use counterfoil_wire::proof::{Proof, SignedHeader};
use counterfoil_wire::{Code, Error};

use crate::chain::Anchors;
use crate::envelope::check_header;

/// What a proof shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Misbehaviour {
    /// Two different entries with one journal number.
    Fork,
    /// Two payments that spend the same value.
    Overlap,
    /// One payment both taken and declined.
    Equivocation,
}

impl Misbehaviour {
    /// The word for messages and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::Overlap => "overlap",
            Self::Equivocation => "equivocation",
        }
    }
}

/// Judges a proof. Costs no signature check where the headers show nothing, three where they do.
///
/// # Errors
/// In this order:
/// 1. [`Code::NotAProof`] if the headers show nothing about the certificate's key, whatever their signatures;
/// 2. those of [`Anchors::check_wallet`] at the certificate's own start: [`Code::UnknownIssuer`] says no more than that
///    the trust list held does not name the issuer, [`Code::IssuerNotPermitted`] and [`Code::BadCertificate`] that
///    the certificate is worth nothing;
/// 3. [`Code::BadSignature`] if one of the headers' signatures does not hold.
pub fn judge(anchors: &Anchors, proof: &Proof) -> Result<Misbehaviour, Error> {
    let Proof { cert, first, second } = proof;
    let shown = conflict(first, second).filter(|_| first.header.key == cert.key).ok_or(Code::NotAProof)?;
    anchors.check_wallet(cert, None, cert.not_before_s)?;
    check_header(&anchors.scheme, first)?;
    check_header(&anchors.scheme, second)?;
    Ok(shown)
}

/// What two headers would prove if their signatures hold, which is not checked here. A fork is named first, since
/// it says most.
pub fn conflict(a: &SignedHeader, b: &SignedHeader) -> Option<Misbehaviour> {
    let (a, b) = (&a.header, &b.header);
    if a.key != b.key || a == b || !is_entry(a) || !is_entry(b) {
        return None;
    }
    if a.seq == b.seq {
        return Some(Misbehaviour::Fork);
    }
    match (a.purpose, b.purpose) {
        (Purpose::Payment, Purpose::Payment) if overlap(&a.extra, &b.extra) => Some(Misbehaviour::Overlap),
        (Purpose::Receipt, Purpose::Decline) | (Purpose::Decline, Purpose::Receipt)
            if a.digest == b.digest =>
        {
            Some(Misbehaviour::Equivocation)
        }
        _ => None,
    }
}

/// Whether a trusted application could have signed this header as an entry of its journal.
fn is_entry(header: &Header) -> bool {
    match (header.purpose, header.extra) {
        (Purpose::Payment, Extra::Spending { spent, amount }) => amount <= spent,
        (Purpose::Decline, Extra::Reason(_)) => true,
        (Purpose::Receipt | Purpose::Statement, Extra::None) => true,
        _ => false,
    }
}

/// Whether the two `(spent - amount, spent]` share a unit.
fn overlap(a: &Extra, b: &Extra) -> bool {
    let (Some((a_from, a_to)), Some((b_from, b_to))) = (interval(a), interval(b)) else { return false };
    a_from.max(b_from) < a_to.min(b_to)
}

fn interval(extra: &Extra) -> Option<(u64, u64)> {
    match extra {
        Extra::Spending { spent, amount } => Some((spent.minus(*amount)?.minor(), spent.minor())),
        Extra::None | Extra::Reason(_) => None,
    }
}
