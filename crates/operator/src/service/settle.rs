//! Statements: read and checked in parallel, judged one after the other, written together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use counterfoil_trust::{key_id, open};
use counterfoil_wire::cert::WalletCert;
use counterfoil_wire::sync::{Settlement, Statement};
use counterfoil_wire::{Amount, Bytes, Code, Digest, KeyId};
use rayon::prelude::*;

use super::policy::policy;
use super::{Desk, Service};
use crate::domain::journal::{Item, Reading, Sealed, own_cert, read};
use crate::domain::known::{Known, Needs, Place};
use crate::domain::reconcile::{Judgement, Terms, WorkingSet, reconcile, refuse, write_off};
use crate::domain::settle::{balance_after, resolve, true_balance};
use crate::domain::wallet::Wallet;
use crate::error::Refusal;
use crate::signatures::{Collected, holding};
use crate::store::{Answer, Asked, Batch, Kept, Store, StoreError};

/// How a statement is judged.
type Judge = fn(Terms<'_>, &Reading, WorkingSet) -> Judgement;

/// What comes of one statement: its settlement, or why there is none.
pub type Settled = Result<Vec<u8>, Refusal>;

/// A statement whose signature holds, and the certificate that it is signed with, if that holds too.
type Opened = (Sealed, Option<WalletCert>);

/// A statement as it came.
pub(super) struct Incoming<'a> {
    pub(super) bytes: &'a [u8],
    /// What is kept with the statement's own rows when it is settled.
    pub(super) kept: Option<(Digest, Kept, u32)>,
}

/// A statement that was read.
struct Read {
    reading: Reading,
    judge: Judge,
    kept: Option<(Digest, Kept, u32)>,
}

impl Service {
    /// Settles the statement in `bytes`; the settlement. The same statement again gives the same settlement. One that
    /// does not continue the wallet's journal, or in which something does not hold, is answered with a settlement that
    /// suspends the wallet.
    ///
    /// # Errors
    /// Those of [`open`] for the statement as a whole; [`Code::UnknownWallet`]; [`Refusal::Store`].
    pub fn settle(&self, bytes: &[u8]) -> Settled {
        self.settle_all(&[bytes]).pop().unwrap_or(Err(Code::Internal.into()))
    }

    /// Settles statements together, each as [`Service::settle`] does: signatures are checked on all cores, and what comes
    /// of the statements is written at once. A statement that cannot be settled is no obstacle to the others.
    pub fn settle_all(&self, statements: &[&[u8]]) -> Vec<Settled> {
        let incoming: Vec<Incoming<'_>> =
            statements.iter().map(|bytes| Incoming { bytes, kept: None }).collect();
        self.settle_incoming(&incoming)
    }

    /// As [`Service::settle_all`].
    pub(super) fn settle_incoming(&self, statements: &[Incoming<'_>]) -> Vec<Settled> {
        let (mut settled, mut waiting) = self.read_all(statements);
        let before = statements.iter().zip(&settled).filter(|(_, settled)| matches!(settled, Some(Ok(_))));
        self.keep_more(before.filter_map(|(statement, _)| statement.kept.clone()).collect());
        while !waiting.is_empty() {
            // A wallet's second statement goes on where the first one ends.
            let mut own = BTreeSet::new();
            let (turn, later): (Vec<_>, Vec<_>) =
                waiting.into_iter().partition(|(_, read)| own.insert(read.reading.wallet));
            let (places, reads): (Vec<usize>, Vec<Read>) = turn.into_iter().unzip();
            for (at, done) in places.into_iter().zip(self.book_apart(&reads)) {
                if let Some(place) = settled.get_mut(at) {
                    *place = Some(done);
                }
            }
            waiting = later;
        }
        settled.into_iter().map(|done| done.unwrap_or(Err(Code::Internal.into()))).collect()
    }

    /// Keeps idempotency keys of statements that were settled before.
    fn keep_more(&self, kept: Vec<(Digest, Kept, u32)>) {
        if kept.is_empty() {
            return;
        }
        let batch = Batch { kept, ..Batch::default() };
        if let Err(refusal) = self.exclusively(|desk| Ok(desk.store.commit(&batch)?)) {
            // The statements are one operation without these keys too.
            tracing::warn!(error = %refusal, "idempotency keys were not kept");
        }
    }

    /// Reads statements and checks their signatures, on all cores. One batch at a time: two at once would take as long as one after
    /// the other, and then wait together for the turn to write, while nobody reads.
    fn read_all(&self, statements: &[Incoming<'_>]) -> (Vec<Option<Settled>>, Vec<(usize, Read)>) {
        let _turn = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let opened: Vec<(Result<Opened, Refusal>, [Collected; 2])> =
            statements.par_iter().map(|statement| self.open_statement(statement.bytes)).collect();
        let (opened, relied_on): (Vec<_>, Vec<_>) = opened.into_iter().unzip();
        let holds = holding(&self.seen, relied_on.as_flattened());
        let sealed = opened.into_iter().zip(holds.chunks(2)).map(|(opened, holds)| {
            let (sealed, cert) = opened?;
            match holds {
                [true, certified] => Ok((sealed, cert.filter(|_| *certified))),
                _ => Err(Code::BadSignature.into()),
            }
        });
        let sealed: Vec<Result<Opened, Refusal>> = sealed.collect();
        let asked = self.asked(&sealed);
        let mut settled: Vec<Option<Settled>> = Vec::with_capacity(statements.len());
        let mut begun: Vec<(usize, Opened)> = Vec::new();
        for (at, (sealed, asked)) in sealed.into_iter().zip(asked).enumerate() {
            settled.push(match (sealed, asked) {
                (Err(refusal), _) | (_, Err(refusal)) => Some(Err(refusal)),
                (Ok(_), Ok(Asked::Answered(settlement))) => Some(Ok(settlement)),
                (Ok(_), Ok(Asked::Stranger)) => Some(Err(Code::UnknownWallet.into())),
                (Ok(opened), Ok(Asked::New)) => {
                    begun.push((at, opened));
                    None
                }
            });
        }
        let anchors = &self.scheme.anchors;
        let bytes_at =
            |at: usize| statements.get(at).map(|statement| statement.bytes.into()).unwrap_or_default();
        let reads: Vec<(Option<Reading>, Collected)> = begun
            .par_iter_mut()
            .map(|(at, (sealed, cert))| {
                let mut relies_on = Collected::default();
                (read(anchors, &mut relies_on, sealed, cert.take(), bytes_at(*at)).ok(), relies_on)
            })
            .collect();
        let (reads, relied_on): (Vec<_>, Vec<_>) = reads.into_iter().unzip();
        let mut read = Vec::with_capacity(begun.len());
        for (((at, (sealed, _)), reading), holds) in
            begun.into_iter().zip(reads).zip(holding(&self.seen, &relied_on))
        {
            let reading = reading.filter(|_| holds);
            let judge: Judge = if reading.is_some() { reconcile } else { refuse };
            let reading =
                reading.unwrap_or_else(|| Reading::without_entries(&anchors.scheme, &sealed, bytes_at(at)));
            let kept = statements.get(at).and_then(|statement| statement.kept.clone());
            read.push((at, Read { reading, judge, kept }));
        }
        (settled, read)
    }

    /// Opens a statement; what it relies on, and what its certificate does.
    fn open_statement(&self, bytes: &[u8]) -> (Result<Opened, Refusal>, [Collected; 2]) {
        let [mut relies_on, mut certified] = <[Collected; 2]>::default();
        let opened = open::<Statement>(bytes).and_then(|sealed| {
            sealed.check_signature_by(&mut relies_on, &self.scheme.anchors.scheme)?;
            let cert = own_cert(&self.scheme.anchors, &mut certified, &sealed);
            Ok((sealed, cert))
        });
        (opened.map_err(Refusal::from), [relies_on, certified])
    }

    /// What is known of each statement before anything in it is looked at: whose it is, and whether it was answered.
    ///
    /// By identifier, not by bytes: an issuer's certificate attached on the way, or a second signature, makes no other
    /// statement, and would look like a rollback.
    fn asked(&self, sealed: &[Result<Opened, Refusal>]) -> Vec<Result<Asked, Refusal>> {
        let named = sealed.iter().map(|sealed| {
            let (sealed, _) = sealed.as_ref().ok()?;
            Some((key_id(sealed.envelope.signer.key()), sealed.id(&self.scheme.anchors.scheme)))
        });
        let named: Vec<Option<(KeyId, Digest)>> = named.collect();
        let known: Vec<(KeyId, Digest)> = named.iter().flatten().copied().collect();
        match self.beside(|store| store.answered(&known)) {
            Ok(told) => {
                let mut told = told.into_iter();
                let of = |name: &Option<_>| name.and_then(|_| told.next()).unwrap_or(Asked::Stranger);
                named.iter().map(of).map(Ok).collect()
            }
            Err(refusal) => all_refused(refusal, named.len()),
        }
    }

    /// Books statements of different wallets together, or where that cannot be, in halves: what stands in the way of one
    /// stands in the way of no other.
    fn book_apart(&self, reads: &[Read]) -> Vec<Settled> {
        match self.exclusively(|desk| self.book(desk, reads)) {
            Ok(settlements) => settlements.into_iter().map(Ok).collect(),
            Err(refusal) if reads.len() < 2 => vec![Err(refusal)],
            Err(_) => {
                let (first, second) = reads.split_at(reads.len() / 2);
                let mut settled = self.book_apart(first);
                settled.extend(self.book_apart(second));
                settled
            }
        }
    }

    /// Has somebody pay for what wallets that never came back had spent beyond what is known.
    pub(super) fn write_off(&self, desk: &mut Desk) -> Result<(), Refusal> {
        let (now_s, rules) = (self.now_s(), &self.scheme.rules);
        let overdue = desk.store.overdue(now_s.saturating_sub(rules.grace_s))?;
        if overdue.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::default();
        let policy = policy(desk.store.as_ref())?;
        let judgement = write_off(self.terms(&policy), overdue);
        batch.wallets = append(judgement, &mut batch, now_s).wallets.into_values().collect();
        Ok(desk.store.commit(&batch)?)
    }

    /// Judges statements of different wallets one after the other, and then answers them all: each by what all of them
    /// have shown.
    fn book(&self, desk: &mut Desk, reads: &[Read]) -> Result<Vec<Vec<u8>>, Refusal> {
        let policy = policy(desk.store.as_ref())?;
        let terms = self.terms(&policy);
        let named: Vec<_> = reads.iter().map(|read| (read.reading.wallet, read.reading.id)).collect();
        let settlements = desk.store.answered(&named)?.into_iter().map(|asked| match asked {
            Asked::Answered(settlement) => Some(settlement),
            Asked::New | Asked::Stranger => None,
        });
        let settlements: Vec<Option<Vec<u8>>> = settlements.collect();
        let answered = settlements.iter().map(Option::is_some).collect::<Vec<_>>();
        let fresh = || reads.iter().zip(&answered).filter(|(_, answered)| !**answered).map(|(read, _)| read);
        let needs: Vec<Needs> = fresh().map(|read| needs(&read.reading)).collect();
        let mut known = desk.store.gather(&needs)?;
        let kept = reads.iter().filter_map(|read| read.kept.clone()).collect();
        let mut batch = Batch { kept, ..Batch::default() };
        for (read, needs) in fresh().zip(&needs) {
            let judge = |set| (read.judge)(terms, &read.reading, set);
            let judgement = judged(desk.store.as_ref(), &mut known, needs, judge)?;
            known.put_back(append(judgement, &mut batch, terms.now_s));
        }
        let newly: Vec<Wallet> = known.changed_wallets().filter(|wallet| wallet.revoked).cloned().collect();
        if !newly.is_empty()
            && let Some((list, revocations)) = self.next_list(desk.store.as_ref(), &newly)?
        {
            batch.published.push(list);
            batch.revocations = revocations;
        }
        let mut lists = BTreeMap::new();
        let mut answers = Vec::with_capacity(needs.len());
        for read in fresh() {
            let held = read.reading.claims.revocation_no;
            let list = match (batch.published.last(), lists.get(&held)) {
                (Some(new), _) => Some(new.bytes.clone()),
                (None, Some(list)) => Option::clone(list),
                (None, None) => lists.entry(held).or_insert(self.revocation_for(desk, held)?).clone(),
            };
            // What it sent is all that it is told about.
            let mut set = known.working_set(&Needs::of_wallet(read.reading.wallet));
            answers.push(self.answer(&read.reading, &mut set, list, &mut batch)?);
            known.put_back(set);
        }
        (batch.wallets, batch.records) = known.into_changed();
        desk.store.commit(&batch)?;
        let new = batch.records.iter().filter(|changed| changed.before.is_none()).count();
        self.metrics.booked(new, batch.cases.iter().map(|(case, _)| case.reason));
        super::moves::move_money(desk)?;
        let mut answers = answers.into_iter();
        let in_order = settlements.into_iter().map(|answered| answered.or_else(|| answers.next()));
        in_order.collect::<Option<_>>().ok_or(Code::Internal.into())
    }

    /// Makes the settlement and puts it into `batch`.
    fn answer(
        &self,
        reading: &Reading,
        set: &mut WorkingSet,
        revocation: Option<Vec<u8>>,
        batch: &mut Batch,
    ) -> Result<Vec<u8>, Refusal> {
        let claims = &reading.claims;
        let mut wallet = set.wallets.get(&reading.wallet).cloned().ok_or(Code::UnknownWallet)?;
        let resolutions = resolve(&wallet, set, &self.scheme.rules, self.now_s());
        let mut cert = None;
        if wallet.is_good() {
            let balance = balance_after(&wallet, &resolutions, set);
            let (next, issued) = self.certify(&mut wallet, balance)?;
            batch.issued.push(issued);
            cert = Some(next);
        }
        let scheme = &self.scheme;
        let newer = |held: u32, number: u32, bytes: &[u8]| (held < number).then(|| Bytes(bytes.to_vec()));
        let settlement = Settlement {
            wallet: reading.key,
            nonce: claims.nonce,
            acked_seq: claims.seq,
            acked: reading.id,
            time_s: self.now_s(),
            funding_total: wallet.funding_total,
            order_no: wallet.order_no,
            spent_start: None,
            resolutions,
            returned: wallet.returned.iter().map(|(seq, _)| *seq).collect(),
            paid_out: if wallet.is_good() { wallet.paid_out } else { Amount::ZERO },
            standing: wallet.standing,
            balance: true_balance(&wallet),
            pin_unblocked: wallet.pin_unblock,
            cert,
            root: None,
            trust: newer(claims.trust_no, scheme.anchors.list_no, &scheme.trust),
            rules: newer(claims.rules_no, scheme.rules.number, &scheme.rules_bytes),
            revocation: revocation.map(Bytes),
        };
        let (bytes, settlement_id) = self.sign_settlement(&settlement)?;
        batch.answers.push(Answer {
            wallet: reading.wallet,
            seq: claims.seq,
            id: reading.id,
            message: reading.id,
            signed: Some(reading.signed.clone()),
            statement: reading.bytes.clone(),
            settlement_id,
            settlement: bytes.clone(),
            certified: settlement.cert.is_some(),
        });
        set.wallets.insert(reading.wallet, wallet);
        Ok(bytes)
    }
}

/// Judges on the rows that are needed, and again with the evidence of payments where it turns out to matter: few are ever looked at.
pub(super) fn judged(
    store: &dyn Store,
    known: &mut Known,
    needs: &Needs,
    judge: impl Fn(WorkingSet) -> Judgement,
) -> Result<Judgement, Refusal> {
    loop {
        let judgement = judge(known.working_set(needs));
        if judgement.wanted.is_empty() {
            return Ok(judgement);
        }
        let payments = store.payments(&known.records(&judgement.wanted))?;
        if payments.len() < judgement.wanted.len() || payments.iter().any(|(_, payment)| payment.is_empty()) {
            return Err(StoreError::Damaged("record").into());
        }
        for (id, payment) in payments {
            known.add_payment(&id, payment);
        }
    }
}

/// Moves what a judgement appends into `batch`; the rows that it changed are left.
pub(super) fn append(judgement: Judgement, batch: &mut Batch, now_s: u32) -> WorkingSet {
    batch.postings.extend(judgement.postings);
    batch.moves.extend(judgement.moves);
    batch.cases.extend(judgement.cases.into_iter().map(|case| (case, now_s)));
    judgement.set
}

/// The rows that a statement needs.
fn needs(reading: &Reading) -> Needs {
    let own = reading.wallet;
    let claims = &reading.claims;
    let mut needs = Needs {
        own,
        wallets: BTreeSet::new(),
        records: BTreeSet::new(),
        // The statement itself may stand where a payment stood.
        neighbours: vec![Place {
            payer: own,
            seq: claims.seq,
            from: claims.spent,
            to: claims.spent,
            id: None,
        }],
        settlements: Vec::new(),
        heads_from: claims.after_seq,
        certs: reading.answered_twice().into_iter().map(|(receipt, _)| receipt.by).collect(),
    };
    let mut shown = BTreeSet::new();
    for evidence in reading.evidence() {
        let body = &evidence.body;
        let from = body.spent.minus_or_zero(body.amount);
        needs.wallets.extend([evidence.payer, evidence.payee]);
        shown.insert(evidence.id);
        // What is known of the payment itself stands at its number.
        let (payer, id) = (evidence.payer, Some(evidence.id));
        needs.neighbours.push(Place { payer, seq: body.seq, from, to: body.spent, id });
    }
    let received = reading.receipts.iter().filter(|receipt| !shown.contains(&receipt.payment));
    needs.records.extend(received.map(|receipt| (own, receipt.payment)));
    if reading.cert.is_none() {
        needs.certs.insert(own);
    }
    needs.wallets.extend(needs.certs.iter());
    needs.wallets.extend(reading.proofs.iter().map(|proof| key_id(&proof.cert.key)));
    for line in &reading.lines {
        match &line.item {
            Item::Reclaimed { payment, .. } => {
                needs.records.insert((own, *payment));
            }
            Item::Settled { settlement, refunded, .. } => {
                needs.settlements.push(*settlement);
                let mine = |payment: &Digest| (own, *payment);
                needs.records.extend(refunded.iter().map(mine));
            }
            _ => {}
        }
    }
    needs
}

/// The refusal for the first, and in short for the others.
pub(super) fn all_refused<T>(refusal: Refusal, count: usize) -> Vec<Result<T, Refusal>> {
    let mut first = Some(refusal);
    (0..count).map(|_| Err(first.take().unwrap_or(Code::Internal.into()))).collect()
}
