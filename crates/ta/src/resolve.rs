//! What became of a payment sent: the receipt confirms it, a decline brings it back.

use counterfoil_trust::{key_id, open, open_message};
use counterfoil_wire::message::{Body, Decline, Receipt};
use counterfoil_wire::proof::Proof;
use counterfoil_wire::sync::Entry;
use counterfoil_wire::{Bytes, Code, Digest, Error};

use crate::TrustedApp;
use crate::api::{PaymentState, Reply};
use crate::env::Env;
use crate::gossip::Proofs;
use crate::journal::Place;
use crate::state::{Change, Outgoing, keys};

impl<E: Env> TrustedApp<E> {
    pub(crate) fn resend(&mut self, payment: &Digest) -> Result<Reply, Error> {
        match self.outgoing(payment)? {
            Some((_, outgoing)) if outgoing.state.in_flight() => {
                Ok(Reply::Message { message: outgoing.message, again: true })
            }
            Some(_) => Err(Code::AlreadyResolved.into()),
            None => Err(Code::PaymentUnknown.into()),
        }
    }

    pub(crate) fn confirm(&mut self, bytes: Bytes) -> Result<Reply, Error> {
        let (seq, mut outgoing) = self.answered::<Receipt>(&bytes, |receipt| receipt.payment)?;
        let reply = |again| Reply::Resolved { payment: outgoing.id, amount: outgoing.amount, again };
        match outgoing.state {
            PaymentState::Confirmed if outgoing.receipt.is_some() => return Ok(reply(true)),
            PaymentState::Reclaimed | PaymentState::Refunded => {
                outgoing.receipt = Some(bytes);
                return self.too_late(&outgoing);
            }
            _ => {}
        }
        let done = reply(false);
        let mut change = self.begin()?;
        outgoing.state = PaymentState::Confirmed;
        outgoing.receipt = Some(bytes);
        self.keep_proof(&mut change, &outgoing)?;
        change.put(keys::by_seq(b'o', seq), &outgoing);
        self.commit(change)?;
        Ok(done)
    }

    pub(crate) fn reclaim(&mut self, bytes: Bytes) -> Result<Reply, Error> {
        let (seq, mut outgoing) = self.answered::<Decline>(&bytes, |decline| decline.payment)?;
        let reply = |again| Reply::Resolved { payment: outgoing.id, amount: outgoing.amount, again };
        match outgoing.state {
            PaymentState::Reclaimed => return Ok(reply(true)),
            state if !state.in_flight() => {
                outgoing.decline = Some(bytes);
                return self.too_late(&outgoing);
            }
            _ => {}
        }
        let done = reply(false);
        self.check_good()?;
        let state = self.state()?;
        let payee = &outgoing.payee;
        let trusted = payee.grade.has_element()
            && !state.revoked.contains(payee.status_index)
            && self.check_no_proof(&key_id(&payee.key)).is_ok();
        outgoing.decline = Some(bytes.clone());
        let mut change = self.begin()?;
        if !trusted {
            if outgoing.state != PaymentState::Unresolved {
                outgoing.state = PaymentState::Unresolved;
                change.put(keys::by_seq(b'o', seq), &outgoing);
                self.commit(change)?;
            }
            return Err(Code::DeclineNeedsOperator.into());
        }
        let next = self.next_entry(&change, Place::Reserved)?;
        give_back(&mut change, &outgoing)?;
        outgoing.state = PaymentState::Reclaimed;
        change.put(keys::by_seq(b'o', seq), &outgoing);
        let entry = Entry::Reclaim { payment: outgoing.id, decline: bytes };
        self.append_unsigned(&mut change, &next, &entry)?;
        self.commit(change)?;
        Ok(done)
    }

    /// The payment that a payee's signed answer is about.
    fn answered<B: Body>(
        &self,
        bytes: &Bytes,
        about: impl Fn(&B) -> Digest,
    ) -> Result<(u32, Outgoing), Error> {
        let opened = open_message::<B>(&bytes.0)?;
        let (seq, outgoing) = self.outgoing(&about(&opened.body))?.ok_or(Code::PaymentUnknown)?;
        if opened.header.key != outgoing.payee.key {
            return Err(Code::WrongRole.into());
        }
        opened.check_signature(self.state()?.scheme())?;
        Ok((seq, outgoing))
    }

    /// An answer to a payment that has come to rest moves nothing. With the answer before it, it may prove that the payee
    /// gave both.
    fn too_late(&mut self, outgoing: &Outgoing) -> Result<Reply, Error> {
        let mut change = self.begin()?;
        if self.keep_proof(&mut change, outgoing)? {
            self.commit(change)?;
        }
        Err(Code::AlreadyResolved.into())
    }

    /// Keeps a proof if the payee signed both a receipt and a decline for this payment, and there is none yet.
    fn keep_proof(&self, change: &mut Change, outgoing: &Outgoing) -> Result<bool, Error> {
        let (Some(receipt), Some(decline)) = (&outgoing.receipt, &outgoing.decline) else { return Ok(false) };
        let first = open::<Receipt>(&receipt.0)?.signed_header();
        let second = open::<Decline>(&decline.0)?.signed_header();
        let proof = Proof { cert: outgoing.payee.clone(), first, second };
        Ok(Proofs::held(self.env.store())?.keep(change, &proof))
    }
}

/// Puts a payment's value back into the balances that it came from. No limit stands in the way, and no counter is
/// restored: the payment was made.
pub(crate) fn give_back(change: &mut Change, outgoing: &Outgoing) -> Result<(), Error> {
    let core = &mut change.core;
    let from_funded = outgoing.amount.minus(outgoing.from_received).ok_or(Code::Damaged)?;
    core.funded = core.funded.plus(from_funded).ok_or(Code::Damaged)?;
    core.received = core.received.plus(outgoing.from_received).ok_or(Code::Damaged)?;
    Ok(())
}
