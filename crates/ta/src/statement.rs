//! The statement: everything since the last settlement, for the operator.

use alloc::vec::Vec;

use counterfoil_trust::header_of;
use counterfoil_wire::header::Signer;
use counterfoil_wire::message::STANDING_FIRST;
use counterfoil_wire::proof::Proof;
use counterfoil_wire::sync::{Entry, Statement};
use counterfoil_wire::{Bytes, Code, Error, Nonce, Wire};

use crate::TrustedApp;
use crate::api::Reply;
use crate::env::Env;
use crate::journal::{Place, message};
use crate::state::{OpenRequest, Outgoing, PendingStatement, keys, read, read_all};

impl<E: Env> TrustedApp<E> {
    pub(crate) fn statement(&mut self) -> Result<Reply, Error> {
        if let Some(pending) = &self.state()?.statement {
            return Ok(Reply::Message { message: pending.message.clone(), again: true });
        }
        let cert = self.state()?.cert()?.clone();
        let now_s = self.now_s()?;
        let mut change = self.begin()?;
        let next = self.next_entry(&change, Place::Sync)?;
        change.core.closed_below = self.close_requests(&mut change, now_s)?;
        // For good, so not by the bound: a list may have raised that, and whoever stole the key that signs lists could
        // close a wallet for ever. A settlement answers a fresh nonce, and a certificate takes an issuer's key as well.
        let told_s = change.core.synced_at_s.min(cert.not_after_s());
        change.core.closed_before_s = change.core.closed_before_s.max(told_s);

        let store = self.env.store();
        let mut entries = Vec::new();
        let mut seq = change.core.acked_seq;
        while seq < change.core.head_seq {
            seq = seq.saturating_add(1);
            entries.push(read::<Entry, _>(store, &keys::by_seq(b'j', seq))?.ok_or(Code::Damaged)?);
        }
        let outgoing = read_all::<Outgoing, _>(store, b"o")?;
        let receipts = outgoing.into_iter().filter_map(|(_, outgoing)| outgoing.receipt).collect();
        let proofs = read_all::<Proof, _>(store, b"p")?;
        let proofs = proofs.into_iter().map(|(_, proof)| Bytes(proof.to_bytes())).collect();
        let nonce = Nonce(self.random());
        let state = self.state()?;
        let core = &change.core;
        let body = Statement {
            seq: next.seq,
            prev: next.prev,
            after_seq: core.acked_seq,
            after_prev: core.acked,
            entries,
            receipts,
            proofs,
            funded: core.funded,
            received: core.received,
            spent: core.spent,
            funding_total: core.funding_total,
            closed_below: core.closed_below,
            closed_before_s: core.closed_before_s,
            rules_no: core.rules_no,
            trust_no: state.anchors.list_no,
            revocation_no: state.revoked.number,
            pin_blocked: core.pin.as_ref().is_some_and(|pin| pin.tries == 0),
            tamper: core.tamper,
            nonce,
        };
        let (envelope, id) = self.sign(&body, Signer::Cert(cert))?;
        let digest = header_of(&body, &envelope.body.0, &envelope.signer).digest;
        let message = message(&envelope);
        self.append_signed(&mut change, &next, id, &Entry::Statement { digest });
        let counters = change.core.counters.clone();
        let pending = PendingStatement {
            seq: next.seq,
            id,
            nonce,
            counters,
            received: change.core.received,
            balance: self.state()?.balance()?,
            time_bound_s: change.core.time_bound_s,
            tamper: change.core.tamper,
            message: message.clone(),
        };
        change.put(keys::STATEMENT.to_vec(), &pending);
        self.commit_with(change, |state| state.statement = Some(pending))?;
        Ok(Reply::Message { message, again: false })
    }

    /// Closes one-time requests that have expired; returns the lowest number that is still open. What is closed here is
    /// declined from now on, which is what lets the operator refund. A request whose expiry is further off than any
    /// made now could have was made while the host's clock ran ahead: it would hold the closure back for ever.
    fn close_requests(&self, change: &mut crate::state::Change, now_s: u32) -> Result<u32, Error> {
        let window_s = self.state()?.rules.as_ref().ok_or(Code::NotEnrolled)?.request_window_s;
        let latest_s = now_s.saturating_add(window_s.saturating_mul(2));
        let mut lowest = change.core.next_request;
        for (key, open) in read_all::<OpenRequest, _>(self.env.store(), b"q")? {
            let number = number_of(&key).ok_or(Code::Damaged)?;
            if number >= STANDING_FIRST {
                continue;
            }
            if now_s > open.expiry_s || open.expiry_s > latest_s {
                change.batch.delete(key);
            } else {
                lowest = lowest.min(number);
            }
        }
        Ok(lowest.max(change.core.closed_below))
    }
}

/// The number behind a storage key of one letter and a number.
pub(crate) fn number_of(key: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(key.get(1..)?.try_into().ok()?))
}
