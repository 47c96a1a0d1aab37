//! The settlement: the operator's answer is applied, once.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use counterfoil_trust::{Anchors, Revoked, key_id, open};
use counterfoil_wire::lists::RevocationList;
use counterfoil_wire::rules::Rules;
use counterfoil_wire::sync::{Entry, Outcome, Settlement, Standing, Statement};
use counterfoil_wire::{Amount, Bytes, Code, Digest, Error, KeyId, Nonce};

use crate::TrustedApp;
use crate::api::{PaymentState, Reply};
use crate::env::Env;
use crate::journal::Place;
use crate::pay::PaidRequest;
use crate::resolve::give_back;
use crate::shown::{self, headers_of};
use crate::state::{Change, Incoming, Outgoing, State, count, keys, payer_cert_key, read, read_all};
use crate::statement::number_of;

/// Trust and revocation lists while newer ones are judged: nothing is installed before all is known to be good.
pub(crate) struct Lists {
    anchors: Anchors,
    revoked: Revoked,
    trust: Option<Bytes>,
    revocation: Option<Bytes>,
    issued_at_s: u32,
}

impl Lists {
    pub(crate) fn of(state: &State) -> Self {
        let (anchors, revoked) = (state.anchors.clone(), state.revoked.clone());
        Self { anchors, revoked, trust: None, revocation: None, issued_at_s: 0 }
    }

    pub(crate) fn anchors(&self) -> &Anchors {
        &self.anchors
    }

    pub(crate) fn adopt_trust(&mut self, envelope: &Bytes) -> Result<(), Error> {
        if self.anchors.adopt(&envelope.0)? {
            self.trust = Some(envelope.clone());
        }
        Ok(())
    }

    pub(crate) fn adopt_revocation(&mut self, envelope: &Bytes, now_s: u32) -> Result<(), Error> {
        if self.revoked.adopt(&self.anchors, &envelope.0, now_s)? {
            self.revocation = Some(envelope.clone());
            self.issued_at_s = self.revoked.issued_at_s;
        }
        Ok(())
    }

    pub(crate) fn revocation_changed(&self) -> bool {
        self.revocation.is_some()
    }

    pub(crate) fn revocation_number(&self) -> u32 {
        self.revoked.number
    }

    /// Adds what is new to a change. A list that the operator signed raises the lower bound of time.
    pub(crate) fn write(&self, change: &mut Change) {
        if let Some(trust) = &self.trust {
            change.put(keys::TRUST.to_vec(), trust);
        }
        if let Some(envelope) = &self.revocation {
            let Revoked { number, issued_at_s, .. } = self.revoked;
            // Not kept while the next is read: the list is what takes most memory of all.
            change.put(
                keys::REVOKED.to_vec(),
                &Revoked::build_full(number, issued_at_s, self.revoked.indexes()),
            );
            // Only a whole list can be handed on: a delta means nothing to a device with another base.
            if open::<RevocationList>(&envelope.0).is_ok_and(|list| list.body.since == 0) {
                change.put(keys::REVOCATION_ENVELOPE.to_vec(), envelope);
            }
        }
        change.core.time_bound_s = change.core.time_bound_s.max(self.issued_at_s);
    }

    pub(crate) fn install(self, state: &mut State) {
        state.anchors = self.anchors;
        state.revoked = self.revoked;
        if self.trust.is_some() {
            state.trust_envelope = self.trust;
        }
    }
}

/// What a settlement did to payments and defundings.
#[derive(Default)]
struct Effects {
    funded: Amount,
    refunded: Vec<Digest>,
    confirmed: Vec<Digest>,
    returned_seqs: Vec<u32>,
    returned: Amount,
}

impl<E: Env> TrustedApp<E> {
    pub(crate) fn settle(&mut self, bytes: &[u8]) -> Result<Reply, Error> {
        let opened = open::<Settlement>(bytes)?;
        let state = self.state()?;
        let id = opened.id(state.scheme());
        let settlement = &opened.body;
        if settlement.wallet != state.public {
            return Err(Code::SettlementMismatch.into());
        }
        if id == state.core.last_settlement {
            return Ok(reply(settlement, Effects::default(), true));
        }
        self.check_answers(settlement)?;
        let mut lists = Lists::of(state);
        if let Some(trust) = &settlement.trust {
            lists.adopt_trust(trust)?;
        }
        // A fresh nonce was answered, so the operator's time is now's, whatever this device's clock says.
        lists.anchors.check_signer(&opened.header.key, settlement.time_s)?;
        opened.check_signature(state.scheme())?;
        if let Some(revocation) = &settlement.revocation {
            lists.adopt_revocation(revocation, settlement.time_s)?;
        }
        let rules = self.new_rules(settlement, &lists)?;
        let cert = self.new_cert(settlement, &lists)?;

        let mut change = self.begin()?;
        lists.write(&mut change);
        if let (Some(rules), Some(envelope)) = (&rules, &settlement.rules) {
            change.put(keys::RULES.to_vec(), envelope);
            change.core.rules_no = rules.number;
        }
        if let Some(cert) = &cert {
            change.put(keys::CERT.to_vec(), cert);
        }
        let effects = if change.core.enrolment.take().is_some() {
            change.core.spent = settlement.spent_start.ok_or(Code::SettlementMismatch)?;
            Effects::default()
        } else {
            self.forgive_counters(&mut change)?;
            self.apply_resolutions(&mut change, settlement)?
        };
        // The host's clock is never stored; the operator's fresh time may also lower a bound that ran ahead. But it was
        // fresh when the statement was made: what the operator signed and this wallet learnt since is newer, and a
        // settlement kept back must not bring an old window or an old certificate back.
        let learnt = self.state()?.core.time_bound_s;
        let raised = self.state()?.statement.as_ref().is_some_and(|pending| learnt > pending.time_bound_s);
        change.core.time_bound_s = if raised { learnt.max(settlement.time_s) } else { settlement.time_s };
        change.core.synced_at_s = settlement.time_s;
        change.core.last_settlement = id;
        change.core.standing = settlement.standing;
        self.reactivate(&mut change);
        self.move_balances(&mut change, settlement)?;
        if let (Some(pin), true) = (change.core.pin.as_mut(), settlement.pin_unblocked) {
            pin.tries = crate::pin::TRIES;
        }
        self.forget_settled(&mut change, settlement)?;
        if settlement.acked_seq > 0 {
            let entry = Entry::Settled {
                settlement: id,
                funded: effects.funded,
                refunded: effects.refunded.clone(),
                returned: effects.returned_seqs.clone(),
            };
            let next = self.next_entry(&change, Place::Sync)?;
            self.append_unsigned(&mut change, &next, &entry)?;
        }
        let order_done = self.state()?.order.as_ref().is_some_and(|o| o.number <= settlement.order_no);
        if order_done {
            change.batch.delete(keys::ORDER.to_vec());
        }
        change.batch.delete(keys::STATEMENT.to_vec());
        self.commit_with(change, |state| {
            lists.install(state);
            state.rules = rules.or(state.rules.take());
            state.cert = cert.or(state.cert.take());
            state.statement = None;
            if order_done {
                state.order = None;
            }
        })?;
        Ok(reply(settlement, effects, false))
    }

    /// Whether this settlement answers what this wallet asked, by nonce and by statement.
    fn check_answers(&self, settlement: &Settlement) -> Result<(), Error> {
        let state = self.state()?;
        let (nonce, seq, id): (Nonce, u32, Digest) = match (&state.core.enrolment, &state.statement) {
            (Some(pending), _) => (pending.nonce, 0, Digest::NONE),
            (None, Some(pending)) => (pending.nonce, pending.seq, pending.id),
            (None, None) => return Err(Code::NothingToSettle.into()),
        };
        let answers = settlement.nonce == nonce && settlement.acked_seq == seq && settlement.acked == id;
        if answers { Ok(()) } else { Err(Code::SettlementMismatch.into()) }
    }

    fn new_rules(&self, settlement: &Settlement, lists: &Lists) -> Result<Option<Rules>, Error> {
        let Some(envelope) = &settlement.rules else { return Ok(None) };
        let opened = open::<Rules>(&envelope.0)?;
        lists.anchors.check_signer(&opened.header.key, settlement.time_s)?;
        opened.check_signature(&lists.anchors.scheme)?;
        Ok((opened.body.number > self.state()?.core.rules_no).then_some(opened.body))
    }

    fn new_cert(
        &self,
        settlement: &Settlement,
        lists: &Lists,
    ) -> Result<Option<counterfoil_wire::cert::WalletCert>, Error> {
        let Some(cert) = &settlement.cert else { return Ok(None) };
        let state = self.state()?;
        let other_currency = state.cert.as_ref().is_some_and(|held| held.currency != cert.currency);
        if cert.key != state.public || cert.grade != state.core.grade || other_currency {
            return Err(Code::SettlementMismatch.into());
        }
        lists.anchors.check_wallet(cert, None, settlement.time_s)?;
        Ok(Some(cert.clone()))
    }

    /// What was counted up to the statement is forgiven; what came after it still counts. Received value up to the
    /// statement is settled and becomes as good as funded.
    fn forgive_counters(&self, change: &mut Change) -> Result<(), Error> {
        let pending = self.state()?.statement.as_ref().ok_or(Code::NothingToSettle)?;
        let core = &mut change.core;
        core.counters = core.counters.since(&pending.counters);
        let staged = core.received.min(core.counters.received);
        let settled = core.received.minus(staged).ok_or(Code::Damaged)?;
        core.received = staged;
        core.funded = core.funded.plus(settled).ok_or(Code::Damaged)?;
        // What was respent after the statement came out of settled value first; the rest was respent of what is staged.
        core.counters.respent = core.counters.respent.minus_or_zero(pending.received);
        Ok(())
    }

    /// Refunds and returns apply only to what is in flight, and end that.
    fn apply_resolutions(&self, change: &mut Change, settlement: &Settlement) -> Result<Effects, Error> {
        let mut effects = Effects::default();
        for resolution in &settlement.resolutions {
            let Some((seq, mut outgoing)) = self.outgoing(&resolution.payment)? else { continue };
            let seen = effects.refunded.contains(&outgoing.id) || effects.confirmed.contains(&outgoing.id);
            if !outgoing.state.in_flight() || seen {
                continue;
            }
            match resolution.outcome {
                Outcome::Confirmed => {
                    outgoing.state = PaymentState::Confirmed;
                    effects.confirmed.push(outgoing.id);
                }
                Outcome::Refunded => {
                    give_back(change, &outgoing)?;
                    outgoing.state = PaymentState::Refunded;
                    effects.refunded.push(outgoing.id);
                }
            }
            change.put(keys::by_seq(b'o', seq), &outgoing);
        }
        for (key, amount) in read_all::<Amount, _>(self.env.store(), b"d")? {
            let seq = number_of(&key).ok_or(Code::Damaged)?;
            if seq > settlement.acked_seq {
                continue;
            }
            let core = &mut change.core;
            core.defunding = core.defunding.minus(amount).ok_or(Code::Damaged)?;
            if settlement.returned.contains(&seq) {
                core.funded = core.funded.plus(amount).ok_or(Code::Damaged)?;
                effects.returned = effects.returned.plus(amount).ok_or(Code::Damaged)?;
                effects.returned_seqs.push(seq);
            }
            change.batch.delete(key);
        }
        effects.funded =
            settlement.funding_total.minus(change.core.funding_total).ok_or(Code::SettlementMismatch)?;
        Ok(effects)
    }

    fn move_balances(&self, change: &mut Change, settlement: &Settlement) -> Result<(), Error> {
        let core = &mut change.core;
        let granted = settlement.funding_total.minus(core.funding_total).ok_or(Code::SettlementMismatch)?;
        core.funded = core.funded.plus(granted).ok_or(Code::SettlementMismatch)?;
        core.funding_total = settlement.funding_total;
        core.funded = core.funded.minus(settlement.paid_out).ok_or(Code::SettlementMismatch)?;
        if let (Standing::Suspended, Some(balance)) = (settlement.standing, settlement.balance) {
            // The operator speaks of the statement; what moved since then is in the journal and has moved all the same.
            let (now, then) = (self.state()?.balance()?, self.state()?.statement.as_ref().map(|s| s.balance));
            let then = then.unwrap_or(now);
            let balance = match now.minus(then) {
                Some(more) => balance.plus(more).ok_or(Code::SettlementMismatch)?,
                None => balance.minus_or_zero(then.minus_or_zero(now)),
            };
            core.funded = balance;
            core.received = Amount::ZERO;
        }
        core.acked_seq = settlement.acked_seq;
        core.acked = settlement.acked;
        Ok(())
    }

    /// Drops what is settled: journal entries, payments at rest, and decided payments whose payer's certificate ended
    /// before the time that this wallet's statement has closed: those are refused for their certificate.
    fn forget_settled(&self, change: &mut Change, settlement: &Settlement) -> Result<(), Error> {
        let store = self.env.store();
        let mut seq = self.state()?.core.acked_seq;
        while seq < settlement.acked_seq {
            seq = seq.saturating_add(1);
            change.batch.delete(keys::by_seq(b'j', seq));
        }
        // A receipt that came after the statement is evidence that the operator has not seen: it waits for the next.
        let pending = self.state()?.statement.as_ref();
        let told = match pending {
            Some(pending) => open::<Statement>(&pending.message.0)?.body.receipts,
            None => Vec::new(),
        };
        let told: BTreeSet<&[u8]> = told.iter().map(|receipt| receipt.0.as_slice()).collect();
        let resolved: BTreeSet<Digest> = settlement.resolutions.iter().map(|r| r.payment).collect();
        for (key, before) in read_all::<Outgoing, _>(store, b"o")? {
            let seq = number_of(&key).ok_or(Code::Damaged)?;
            let told = before.receipt.as_ref().is_none_or(|receipt| told.contains(receipt.0.as_slice()));
            let at_rest = !before.state.in_flight() && told;
            if seq <= settlement.acked_seq && (resolved.contains(&before.id) || at_rest) {
                change.batch.delete(key);
                change.batch.delete(keys::of(b'y', &[&before.id.0]));
            }
        }
        for (key, paid) in read_all::<PaidRequest, _>(store, b"x")? {
            let gone = read::<Outgoing, _>(store, &keys::by_seq(b'o', paid.seq))?.is_none();
            if gone && paid.expiry_s < settlement.time_s {
                change.batch.delete(key);
            }
        }
        let closed_s = change.core.closed_before_s;
        let mut forgotten: BTreeMap<KeyId, usize> = BTreeMap::new();
        for (key, incoming) in read_all::<Incoming, _>(store, b"i")? {
            if incoming.seq <= settlement.acked_seq && incoming.not_after_s < closed_s {
                let id = key.get(1..).and_then(<[u8]>::first_chunk).ok_or(Code::Damaged)?;
                let (payer, seq) = (key_id(&incoming.payer), incoming.payer_seq);
                shown::forget(store, &mut change.batch, &payer, seq, &Digest(*id))?;
                change.batch.delete(key);
                let headers = forgotten.entry(payer).or_default();
                *headers = headers.saturating_add(1);
            }
        }
        for (payer, headers) in forgotten {
            if count(store, &headers_of(&payer))? <= headers {
                change.batch.delete(payer_cert_key(&payer));
            }
        }
        Ok(())
    }
}

fn reply(settlement: &Settlement, effects: Effects, again: bool) -> Reply {
    Reply::Settled {
        funded: effects.funded,
        refunded: effects.refunded,
        confirmed: effects.confirmed,
        returned: effects.returned,
        paid_out: settlement.paid_out,
        standing: settlement.standing,
        again,
    }
}
