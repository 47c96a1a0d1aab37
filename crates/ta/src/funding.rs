//! Between the wallet and the account behind it: fund orders and defunding.

use counterfoil_wire::header::Signer;
use counterfoil_wire::sync::{Entry, FundOrder};
use counterfoil_wire::{Amount, Code, Error, Reference};

use crate::api::{Command, Pin, Reply};
use crate::env::Env;
use crate::journal::{Place, message};
use crate::state::{PendingOrder, keys};
use crate::{TrustedApp, arguments};

impl<E: Env> TrustedApp<E> {
    pub(crate) fn fund_order(&mut self, amount: Amount, reference: Reference) -> Result<Reply, Error> {
        let named = arguments(&Command::FundOrder { amount, reference });
        if let Some(before) = self.done_before(&reference, &named)? {
            return Ok(before);
        }
        self.check_active()?;
        if amount.is_zero() {
            return Err(Code::AmountZero.into());
        }
        let state = self.state()?;
        let cert = state.cert()?.clone();
        if state.order.is_some() {
            return Err(Code::OrderPending.into());
        }
        let after = state.balance()?.plus(amount);
        if after.is_none_or(|after| after > state.limits().map_or(Amount::ZERO, |l| l.balance_max)) {
            return Err(Code::BalanceTooLarge.into());
        }
        let mut change = self.begin()?;
        let number = change.core.order_no.checked_add(1).ok_or(Code::JournalFull)?;
        change.core.order_no = number;
        let (envelope, _) = self.sign(&FundOrder { number, amount, reference }, Signer::Cert(cert))?;
        let message = message(&envelope);
        let order = PendingOrder { number, amount, message: message.clone() };
        change.put(keys::ORDER.to_vec(), &order);
        let again = Reply::Message { message: message.clone(), again: true };
        self.remember(&mut change, &reference, named, &again)?;
        self.commit_with(change, |state| state.order = Some(order))?;
        Ok(Reply::Message { message, again: false })
    }

    pub(crate) fn defund(
        &mut self,
        amount: Amount,
        pin: Option<Pin>,
        reference: Reference,
    ) -> Result<Reply, Error> {
        let named = arguments(&Command::Defund { amount, pin: None, reference });
        if let Some(before) = self.done_before(&reference, &named)? {
            return Ok(before);
        }
        self.check_active()?;
        if amount.is_zero() {
            return Err(Code::AmountZero.into());
        }
        let state = self.state()?;
        state.cert()?;
        if amount > state.balance()? {
            return Err(Code::DefundTooLarge.into());
        }
        let protected = state.core.pin.is_some();
        self.check_pin(pin.as_ref(), protected)?;
        let mut change = self.begin()?;
        let next = self.next_entry(&change, Place::Reserved)?;
        let core = &mut change.core;
        let from_funded = amount.min(core.funded);
        core.funded = core.funded.minus(from_funded).ok_or(Code::Damaged)?;
        let rest = amount.minus_or_zero(from_funded);
        core.received = core.received.minus(rest).ok_or(Code::Damaged)?;
        core.defunding = core.defunding.plus(amount).ok_or(Code::Damaged)?;
        change.put(keys::by_seq(b'd', next.seq), &amount);
        self.append_unsigned(&mut change, &next, &Entry::Defund { amount, reference })?;
        let again = Reply::Defunding { seq: next.seq, amount, again: true };
        self.remember(&mut change, &reference, named, &again)?;
        self.commit(change)?;
        Ok(Reply::Defunding { seq: next.seq, amount, again: false })
    }
}
