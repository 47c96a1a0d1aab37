//! The journal: a chain of headers, one entry a change that the operator must hear of.

use counterfoil_trust::{header_id, seal, sha256};
use counterfoil_wire::header::{Envelope, Extra, Header, Signer};
use counterfoil_wire::message::Body;
use counterfoil_wire::sync::{ENTRIES_MAX, Entry};
use counterfoil_wire::{Bytes, Code, Digest, Error, Wire};

use crate::TrustedApp;
use crate::env::Env;
use crate::state::{Change, keys};

/// Entries that fit between two settlements.
const JOURNAL_MAX: u32 = ENTRIES_MAX;

/// Places that declines leave to payments and receipts, so that a flood of payments to be declined does not stop trade.
const NOT_FOR_DECLINES: u32 = 2048;

/// Places kept for what brings value back or leads to a sync: reclaim, defunding, statement, settlement.
const RESERVED: u32 = 64;

/// Of these, places for statement and settlement alone: the one way out of a full journal.
const RESERVED_FOR_SYNC: u32 = 8;

/// Whether an entry may use the reserved places.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Declines.
    Decline,
    /// Payments, receipts.
    Ordinary,
    /// What brings value back: reclaim, defunding.
    Reserved,
    /// Statement and settlement.
    Sync,
}

/// The next place in a journal.
pub struct Next {
    pub seq: u32,
    pub prev: Digest,
}

impl<E: Env> TrustedApp<E> {
    /// The next place, if there is one.
    pub(crate) fn next_entry(&self, change: &Change, place: Place) -> Result<Next, Error> {
        let core = &change.core;
        let used = core.head_seq.saturating_sub(core.acked_seq);
        let limit = match place {
            Place::Decline => JOURNAL_MAX.saturating_sub(NOT_FOR_DECLINES),
            Place::Ordinary => JOURNAL_MAX.saturating_sub(RESERVED),
            Place::Reserved => JOURNAL_MAX.saturating_sub(RESERVED_FOR_SYNC),
            Place::Sync => JOURNAL_MAX,
        };
        let seq = core.head_seq.checked_add(1).ok_or(Code::JournalFull)?;
        if used < limit { Ok(Next { seq, prev: core.head }) } else { Err(Code::JournalFull.into()) }
    }

    /// Signs `body`, which was made for the next place, with this wallet's key.
    pub(crate) fn sign<B: Body>(&mut self, body: &B, signer: Signer) -> Result<(Envelope, Digest), Error> {
        let hedge = self.random::<32>();
        let state = self.state()?;
        Ok(seal(state.scheme(), &state.key, &hedge, body, signer, None))
    }

    /// Puts a signed entry, whose header has the identifier `id`, at the next place.
    pub(crate) fn append_signed(&self, change: &mut Change, next: &Next, id: Digest, entry: &Entry) {
        change.put(keys::by_seq(b'j', next.seq), entry);
        change.core.head_seq = next.seq;
        change.core.head = id;
    }

    /// Puts an unsigned entry at the next place.
    pub(crate) fn append_unsigned(
        &self,
        change: &mut Change,
        next: &Next,
        entry: &Entry,
    ) -> Result<(), Error> {
        let state = self.state()?;
        let header = Header {
            purpose: entry.purpose(),
            key: state.public,
            seq: next.seq,
            prev: next.prev,
            digest: sha256(&entry.to_bytes()),
            extra: Extra::None,
        };
        self.append_signed(change, next, header_id(state.scheme(), &header), entry);
        Ok(())
    }
}

/// The bytes of an envelope.
pub fn message(envelope: &Envelope) -> Bytes {
    Bytes(envelope.to_bytes())
}
