//! Paying: request, rules, PIN, then the debit is durable, then the payment leaves.

use counterfoil_trust::{Opened, key_id, open_message};
use counterfoil_wire::cert::{AuthorityCert, WalletCert};
use counterfoil_wire::header::Signer;
use counterfoil_wire::message::{Payment, Request};
use counterfoil_wire::sync::Entry;
use counterfoil_wire::{Amount, Bytes, Code, Digest, Error, KeyId, Reference, record};

use crate::api::{Command, PaymentState, Reply};
use crate::approval::{Voucher, Vouchers};
use crate::env::{Env, Store};
use crate::journal::{Place, message};
use crate::limits::{Split, check_payment, current_window, needs_pin};
use crate::state::{Outgoing, keys, proof_key, read, store_error};
use crate::{TrustedApp, arguments};

record! {
    /// A one-time request that was paid: paying it again gives the same payment, never a second one.
    pub struct PaidRequest {
        pub seq: u32,
        pub amount: Amount,
        pub expiry_s: u32,
    }
}

/// A request that was found to be good.
struct Checked {
    request: Request,
    id: Digest,
    payee: WalletCert,
    issuer: Option<AuthorityCert>,
}

/// A payment that nothing stands in the way of, but that nobody has vouched for yet.
pub(crate) struct Prepared {
    checked: Checked,
    pub amount: Amount,
    split: Split,
    /// Whether the rules ask for the PIN.
    pub required: bool,
}

impl<E: Env> TrustedApp<E> {
    pub(crate) fn pay(
        &mut self,
        request: Bytes,
        amount: Option<Amount>,
        vouchers: Vouchers,
        reference: Reference,
    ) -> Result<Reply, Error> {
        let named = arguments(&Command::Pay {
            request: request.clone(),
            amount,
            pin: None,
            reference,
            approval: None,
        });
        if let Some(before) = self.done_before(&reference, &named)? {
            return Ok(before);
        }
        let opened = open_message::<Request>(&request.0)?;
        let id = opened.id(self.state()?.scheme());
        let standing = opened.body.is_standing();
        if !standing && let Some(before) = self.paid_before(&id, amount)? {
            return Ok(before);
        }
        let prepared = self.prepare(opened, id, amount)?;
        let voucher = self.check_vouchers(&vouchers, &prepared, &request, &reference)?;
        let Prepared { checked, amount, split, .. } = prepared;

        let mut change = self.begin()?;
        let next = self.next_entry(&change, Place::Ordinary)?;
        let core = &mut change.core;
        core.funded = core.funded.minus(split.from_funded).ok_or(Code::Damaged)?;
        core.received = core.received.minus(split.from_received).ok_or(Code::Damaged)?;
        core.spent = core.spent.plus(amount).ok_or(Code::CeilingReached)?;
        let mut window = current_window(core, self.state()?.limits()?);
        window.total = window.total.plus(amount).ok_or(Code::WindowTotal)?;
        window.count = window.count.saturating_add(1);
        core.window = window;
        let counters = &mut core.counters;
        counters.total = counters.total.plus(amount).ok_or(Code::TotalSinceSync)?;
        counters.count = counters.count.saturating_add(1);
        counters.respent = counters.respent.plus(split.from_received).ok_or(Code::RespendShare)?;
        match voucher {
            Voucher::Pin => {
                counters.no_pin_total = Amount::ZERO;
                counters.with_pin = counters.with_pin.wrapping_add(1);
            }
            // It speaks of this payment alone: those before it stay unvouched for.
            Voucher::Approval => {}
            Voucher::None => {
                counters.no_pin_total = counters.no_pin_total.plus(amount).ok_or(Code::PinRequired)?;
            }
        }

        let body = Payment {
            request: checked.id,
            request_no: checked.request.number,
            payee: checked.payee.key,
            amount,
            spent: core.spent,
            seq: next.seq,
            prev: next.prev,
        };
        let cert = self.state()?.cert()?.clone();
        let (mut envelope, id) = self.sign(&body, Signer::Cert(cert))?;
        // What the journal keeps is without the issuer, which travels only to a payee that lacks it.
        let kept = message(&envelope);
        envelope.issuer = checked.issuer;
        let sent = message(&envelope);
        self.append_signed(&mut change, &next, id, &Entry::Payment { payment: kept });
        let outgoing = Outgoing {
            id,
            request: checked.id,
            payee: checked.payee,
            amount,
            from_received: split.from_received,
            state: PaymentState::Sent,
            message: sent.clone(),
            receipt: None,
            decline: None,
        };
        change.put(keys::by_seq(b'o', next.seq), &outgoing);
        change.put(keys::of(b'y', &[&id.0]), &next.seq);
        if !standing {
            let paid = PaidRequest { seq: next.seq, amount, expiry_s: checked.request.expiry_s };
            change.put(keys::of(b'x', &[&checked.id.0]), &paid);
        }
        let again = Reply::Message { message: sent.clone(), again: true };
        self.remember(&mut change, &reference, named, &again)?;
        self.commit(change)?;
        Ok(Reply::Message { message: sent, again: false })
    }

    /// Everything that a payment must hold to, the PIN apart.
    pub(crate) fn prepare(
        &self,
        opened: Opened<Request>,
        id: Digest,
        amount: Option<Amount>,
    ) -> Result<Prepared, Error> {
        self.check_active()?;
        let now_s = self.now_s()?;
        let checked = self.check_request(opened, id, now_s)?;
        let amount = match (checked.request.amount, amount) {
            (Some(fixed), None) => fixed,
            (Some(fixed), Some(named)) if fixed == named => fixed,
            (Some(_), Some(_)) => return Err(Code::AmountFixed.into()),
            (None, Some(named)) => named,
            (None, None) => return Err(Code::AmountMissing.into()),
        };
        if amount.is_zero() {
            return Err(Code::AmountZero.into());
        }
        let split = check_payment(self.state()?, amount, now_s)?;
        self.next_entry(&self.begin()?, Place::Ordinary)?;
        let required = needs_pin(&self.state()?.core, self.state()?.limits()?, amount);
        Ok(Prepared { checked, amount, split, required })
    }

    /// The payment that this one-time request was paid with, if it was.
    fn paid_before(&self, id: &Digest, amount: Option<Amount>) -> Result<Option<Reply>, Error> {
        let store = self.env.store();
        let Some(paid) = read::<PaidRequest, _>(store, &keys::of(b'x', &[&id.0]))? else {
            return Ok(None);
        };
        if amount.is_some_and(|amount| amount != paid.amount) {
            return Err(Code::AmountFixed.into());
        }
        match read::<Outgoing, _>(store, &keys::by_seq(b'o', paid.seq))? {
            Some(outgoing) if !outgoing.state.came_back() => {
                Ok(Some(Reply::Message { message: outgoing.message, again: true }))
            }
            _ => Err(Code::AlreadyResolved.into()),
        }
    }

    /// Whether a request is good to be paid by this wallet.
    fn check_request(&self, opened: Opened<Request>, id: Digest, now_s: u32) -> Result<Checked, Error> {
        let state = self.state()?;
        let Signer::Cert(payee) = &opened.envelope.signer else { return Err(Code::WrongRole.into()) };
        if payee.key == state.public {
            return Err(Code::SelfPayment.into());
        }
        // A one-time request ends: until then it is remembered that it was paid.
        if !opened.body.is_consistent() || (!opened.body.is_standing() && opened.body.expiry_s == 0) {
            return Err(Code::ValueOutOfRange.into());
        }
        state.anchors.check_wallet(payee, opened.envelope.issuer.as_ref(), now_s)?;
        state.check_not_revoked(payee.status_index)?;
        self.check_no_proof(&key_id(&payee.key))?;
        opened.check_signature(state.scheme())?;
        let own = state.cert()?;
        if payee.currency != own.currency {
            return Err(Code::WrongCurrency.into());
        }
        if opened.body.expiry_s != 0 && now_s > opened.body.expiry_s {
            return Err(Code::RequestExpired.into());
        }
        let issuer = state.anchors.find_issuer(&own.issuer).cloned();
        let issuer = issuer.filter(|issuer| opened.body.trust_no < issuer.since);
        Ok(Checked { payee: payee.clone(), request: opened.body, id, issuer })
    }

    /// Whether no proof is held against a key.
    pub(crate) fn check_no_proof(&self, key: &KeyId) -> Result<(), Error> {
        match self.env.store().get(&proof_key(key)).map_err(store_error)? {
            Some(_) => Err(Code::ProvenCheat.into()),
            None => Ok(()),
        }
    }

    /// The payment sent with this identifier.
    pub(crate) fn outgoing(&self, id: &Digest) -> Result<Option<(u32, Outgoing)>, Error> {
        let store = self.env.store();
        let Some(seq) = read::<u32, _>(store, &keys::of(b'y', &[&id.0]))? else { return Ok(None) };
        Ok(read(store, &keys::by_seq(b'o', seq))?.map(|outgoing| (seq, outgoing)))
    }
}
