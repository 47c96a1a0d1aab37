//! What became of a payment sent: the receipt confirms it, a decline brings it back.

use counterfoil_trust::open_message;
use counterfoil_wire::message::{Body, Decline, Receipt};
use counterfoil_wire::sync::Entry;
use counterfoil_wire::{Bytes, Code, Digest, Error};

use crate::TrustedApp;
use crate::api::{PaymentState, Reply};
use crate::env::Env;
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
            PaymentState::Reclaimed | PaymentState::Refunded => return Err(Code::AlreadyResolved.into()),
            _ => {}
        }
        let done = reply(false);
        let mut change = self.begin()?;
        outgoing.state = PaymentState::Confirmed;
        outgoing.receipt = Some(bytes);
        change.put(keys::by_seq(b'o', seq), &outgoing);
        self.commit(change)?;
        Ok(done)
    }

    pub(crate) fn reclaim(&mut self, bytes: Bytes) -> Result<Reply, Error> {
        let (seq, mut outgoing) = self.answered::<Decline>(&bytes, |decline| decline.payment)?;
        let reply = |again| Reply::Resolved { payment: outgoing.id, amount: outgoing.amount, again };
        match outgoing.state {
            PaymentState::Reclaimed => return Ok(reply(true)),
            state if !state.in_flight() => return Err(Code::AlreadyResolved.into()),
            _ => {}
        }
        let done = reply(false);
        self.check_good()?;
        let state = self.state()?;
        let trusted = outgoing.payee_grade.has_element()
            && !state.revoked.contains(outgoing.payee_index)
            && self.check_no_proof(&outgoing.payee).is_ok();
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
        if opened.header.key != outgoing.payee {
            return Err(Code::WrongRole.into());
        }
        opened.check_signature(self.state()?.scheme())?;
        Ok((seq, outgoing))
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
