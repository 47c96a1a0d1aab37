//! Being paid: a payment is taken or declined, once and for good.

use counterfoil_trust::{key_id, open_message};
use counterfoil_wire::cert::WalletCert;
use counterfoil_wire::header::Signer;
use counterfoil_wire::message::{Decline, Payment, Receipt, STANDING_FIRST};
use counterfoil_wire::proof::{Proof, SignedHeader};
use counterfoil_wire::sync::Entry;
use counterfoil_wire::{Amount, Bytes, Code, Digest, Error, KeyId};

use crate::TrustedApp;
use crate::api::Reply;
use crate::env::Env;
use crate::gossip::Proofs;
use crate::journal::{Place, message};
use crate::shown::{self, contradiction};
use crate::state::{Change, Incoming, OpenRequest, keys, payer_cert_key, read};

/// A payment whose signature and certificate hold, addressed to this wallet.
struct Shown {
    payment: Payment,
    id: Digest,
    payer: WalletCert,
    payer_id: KeyId,
    header: SignedHeader,
    /// What was shown before and contradicts it.
    contradicts: Option<SignedHeader>,
    bytes: Bytes,
}

impl<E: Env> TrustedApp<E> {
    pub(crate) fn accept(&mut self, bytes: Bytes) -> Result<Reply, Error> {
        let opened = open_message::<Payment>(&bytes.0)?;
        self.check_addressed_here(&opened.body)?;
        let id = opened.id(self.state()?.scheme());
        if let Some(before) = self.decided_before(&id)? {
            return Ok(before);
        }
        self.check_active()?;
        let now_s = self.now_s()?;
        let shown = self.check_shown(opened, id, bytes, Some(now_s))?;
        // The operator may give a payment back some time after its payee's last certificate ended.
        if now_s > self.state()?.cert()?.not_after_s() {
            return Err(Code::OwnCertificateExpired.into());
        }
        let state = self.state()?;
        if shown.payment.spent > shown.payer.ceiling {
            return Err(Code::CeilingExceeded.into());
        }
        state.check_not_revoked(shown.payer.status_index)?;
        self.check_no_proof(&shown.payer_id)?;
        self.check_no_conflict(&shown)?;
        match self.check_rules(&shown) {
            Ok(()) => self.take(shown),
            Err(refusal) => self.tombstone(shown, refusal.code),
        }
    }

    pub(crate) fn decline(&mut self, bytes: Bytes) -> Result<Reply, Error> {
        let opened = open_message::<Payment>(&bytes.0)?;
        self.check_addressed_here(&opened.body)?;
        let id = opened.id(self.state()?.scheme());
        match self.decided_before(&id)? {
            Some(Reply::Accepted { .. }) => return Err(Code::AlreadyAccepted.into()),
            Some(before) => return Ok(before),
            None => {}
        }
        // A decline brings value back at the payer: not on the word of a journal that may be an older one.
        if self.state()?.core.tamper.is_some() {
            return Err(Code::Deactivated.into());
        }
        // What is declined moves nothing, so neither expiry nor revocation of the payer stands in the way.
        let shown = self.check_shown(opened, id, bytes, None)?;
        self.tombstone(shown, Code::HolderRefused)
    }

    fn check_addressed_here(&self, payment: &Payment) -> Result<(), Error> {
        self.state()?.cert()?;
        if payment.payee == self.state()?.public { Ok(()) } else { Err(Code::NotAddressedHere.into()) }
    }

    /// What was answered to this payment before.
    fn decided_before(&self, id: &Digest) -> Result<Option<Reply>, Error> {
        let Some(known) = read::<Incoming, _>(self.env.store(), &keys::of(b'i', &[&id.0]))? else {
            return Ok(None);
        };
        let (amount, again) = (known.amount, true);
        Ok(Some(if known.accepted {
            Reply::Accepted { receipt: known.answer, amount, again }
        } else {
            Reply::Declined { decline: known.answer, amount, reason: known.reason, again }
        }))
    }

    /// Certificate, currency, signature and interval of a payment, judged at `now_s`; without one the certificate is
    /// judged at its own start.
    fn check_shown(
        &self,
        opened: counterfoil_trust::Opened<Payment>,
        id: Digest,
        bytes: Bytes,
        now_s: Option<u32>,
    ) -> Result<Shown, Error> {
        let state = self.state()?;
        let Signer::Cert(payer) = &opened.envelope.signer else { return Err(Code::WrongRole.into()) };
        if !payer.grade.has_element() {
            return Err(Code::PayerCannotPay.into());
        }
        // Closed for good: the replay memory may have forgotten a payment under this certificate.
        if payer.not_after_s() < state.core.closed_before_s {
            return Err(Code::CertificateExpired.into());
        }
        let at_s = now_s.unwrap_or(payer.not_before_s);
        state.anchors.check_wallet(payer, opened.envelope.issuer.as_ref(), at_s)?;
        if payer.currency != state.cert()?.currency {
            return Err(Code::WrongCurrency.into());
        }
        opened.check_signature(state.scheme())?;
        let payment = &opened.body;
        if payment.amount.is_zero() || payment.amount > payment.spent || payment.seq == 0 {
            return Err(Code::BadInterval.into());
        }
        let (header, payer_id) = (opened.signed_header(), key_id(&payer.key));
        Ok(Shown {
            id,
            payer: payer.clone(),
            payer_id,
            contradicts: contradiction(self.env.store(), &payer_id, &header)?,
            header,
            payment: opened.body,
            bytes,
        })
    }

    /// If the payer signed something that contradicts this payment, the proof is kept, and the payment refused.
    fn check_no_conflict(&mut self, shown: &Shown) -> Result<(), Error> {
        if shown.contradicts.is_none() {
            return Ok(());
        }
        let mut change = self.begin()?;
        self.keep_conflict(&mut change, shown)?;
        self.commit(change)?;
        Err(Code::ProvenCheat.into())
    }

    fn keep_conflict(&self, change: &mut Change, shown: &Shown) -> Result<(), Error> {
        if let Some(first) = shown.contradicts.clone() {
            let proof = Proof { cert: shown.payer.clone(), first, second: shown.header.clone() };
            Proofs::held(self.env.store())?.keep(change, &proof);
        }
        Ok(())
    }

    /// Whether the interval lies in what a sync lets a wallet of this grade spend. Nobody ever spent what is below an
    /// honest wallet's start, and who spent what it paid long ago is forgotten: from there a stolen key could spend
    /// without leaving a contradiction.
    fn check_room(&self, shown: &Shown) -> Result<(), Error> {
        let rules = self.state()?.rules.as_ref().ok_or(Code::NotEnrolled)?;
        let room = rules.limits(shown.payer.grade).ok_or(Code::PayerGradeTooLow)?.sync_total_max;
        let from = shown.payment.spent.minus_or_zero(shown.payment.amount);
        if shown.payer.ceiling.minus_or_zero(from) > room {
            Err(Code::CeilingExceeded.into())
        } else {
            Ok(())
        }
    }

    /// The refusals that end in a decline: the payment is genuine, but this wallet's rules do not let it in.
    fn check_rules(&self, shown: &Shown) -> Result<(), Error> {
        let (state, limits) = (self.state()?, self.state()?.limits()?);
        let payment = &shown.payment;
        if limits.payer_grades & shown.payer.grade.bit() == 0 {
            return Err(Code::PayerGradeTooLow.into());
        }
        self.check_room(shown)?;
        let open = read::<OpenRequest, _>(self.env.store(), &keys::by_seq(b'q', payment.request_no))?;
        let open = open.filter(|open| open.id == payment.request);
        let Some(open) = open else {
            let core = &state.core;
            let made =
                if payment.request_no >= STANDING_FIRST { core.next_standing } else { core.next_request };
            let code = if payment.request_no < made { Code::RequestClosed } else { Code::RequestUnknown };
            return Err(code.into());
        };
        if open.amount.is_some_and(|amount| amount != payment.amount) {
            return Err(Code::AmountMismatch.into());
        }
        if state.core.counters.receipts >= limits.receipts_max {
            return Err(Code::ReceiptsSinceSync.into());
        }
        // What is ordered and not here yet will be: it takes its room now, or the limit could be passed by ordering first.
        let ordered = state.order.as_ref().map_or(Amount::ZERO, |order| order.amount);
        let after = state.balance()?.plus(payment.amount).and_then(|after| after.plus(ordered));
        if after.is_none_or(|after| after > limits.balance_max) {
            return Err(Code::BalanceTooLarge.into());
        }
        Ok(())
    }

    fn take(&mut self, shown: Shown) -> Result<Reply, Error> {
        let amount = shown.payment.amount;
        let mut change = self.begin()?;
        let next = self.next_entry(&change, Place::Ordinary)?;
        let core = &mut change.core;
        core.received = core.received.plus(amount).ok_or(Code::BalanceTooLarge)?;
        core.counters.received = core.counters.received.plus(amount).ok_or(Code::BalanceTooLarge)?;
        core.counters.receipts = core.counters.receipts.saturating_add(1);
        if shown.payment.request_no < STANDING_FIRST {
            change.batch.delete(keys::by_seq(b'q', shown.payment.request_no));
        }
        let body = Receipt { payment: shown.id, seq: next.seq, prev: next.prev };
        let own = self.state()?.public;
        let (envelope, id) = self.sign(&body, Signer::Key(own))?;
        let receipt = message(&envelope);
        self.append_signed(&mut change, &next, id, &Entry::Receipt { payment: shown.bytes.clone() });
        self.keep(&mut change, &shown, next.seq, true, 0, &receipt)?;
        self.commit(change)?;
        Ok(Reply::Accepted { receipt, amount, again: false })
    }

    fn tombstone(&mut self, shown: Shown, why: Code) -> Result<Reply, Error> {
        let (amount, reason) = (shown.payment.amount, why.number());
        let mut change = self.begin()?;
        let next = self.next_entry(&change, Place::Decline)?;
        let body = Decline { payment: shown.id, reason, seq: next.seq, prev: next.prev };
        let own = self.state()?.public;
        let (envelope, id) = self.sign(&body, Signer::Key(own))?;
        let decline = message(&envelope);
        self.append_signed(&mut change, &next, id, &Entry::Decline { payment: shown.bytes.clone(), reason });
        self.keep(&mut change, &shown, next.seq, false, reason, &decline)?;
        self.commit(change)?;
        Ok(Reply::Declined { decline, amount, reason, again: false })
    }

    /// Puts a decided payment into the replay memory, and its header where forks are looked for, with the payer's newest
    /// certificate: a header that another device hands on comes without one.
    fn keep(
        &self,
        change: &mut Change,
        shown: &Shown,
        seq: u32,
        accepted: bool,
        reason: u16,
        answer: &Bytes,
    ) -> Result<(), Error> {
        let payer = &shown.payer;
        let incoming = Incoming {
            accepted,
            reason,
            amount: shown.payment.amount,
            payer: payer.key,
            payer_seq: shown.payment.seq,
            not_after_s: payer.not_after_s(),
            seq,
            answer: answer.clone(),
        };
        change.put(keys::of(b'i', &[&shown.id.0]), &incoming);
        shown::keep(
            &mut change.batch,
            &shown.payer_id,
            &shown.header,
            &shown.id,
            shown.contradicts.is_none(),
        );
        self.keep_conflict(change, shown)?;
        let held = read::<WalletCert, _>(self.env.store(), &payer_cert_key(&shown.payer_id))?;
        if held.is_none_or(|held| held.not_after_s() < payer.not_after_s()) {
            change.put(payer_cert_key(&shown.payer_id), payer);
        }
        Ok(())
    }
}
