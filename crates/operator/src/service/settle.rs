//! Statements: read in parallel, judged and written one at a time.

use std::collections::BTreeSet;

use counterfoil_trust::{Anchors, key_id, open};
use counterfoil_wire::rules::Rules;
use counterfoil_wire::sync::{Settlement, Statement};
use counterfoil_wire::{Amount, Bytes, Code, Digest};

use super::{Desk, Service};
use crate::domain::journal::{Item, Reading, read};
use crate::domain::reconcile::{Judgement, WorkingSet, reconcile, refuse, write_off};
use crate::domain::settle::{balance_after, resolve, true_balance};
use crate::domain::wallet::Wallet;
use crate::error::Refusal;
use crate::store::{Answer, Batch, Needs};

/// How a statement is judged.
type Judge = fn(&Anchors, &Reading, WorkingSet, &Rules, u32) -> Judgement;

impl Service {
    /// Settles the statement in `bytes`; the settlement. The same statement again gives the same settlement. One that
    /// does not continue the wallet's journal, or in which something does not hold, is answered with a settlement that
    /// suspends the wallet.
    ///
    /// # Errors
    /// Those of [`open`] for the statement as a whole; [`Code::UnknownWallet`]; [`Refusal::Store`].
    pub fn settle(&self, bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
        let sealed = open::<Statement>(bytes)?;
        sealed.check_signature(&self.scheme.anchors.scheme)?;
        // By identifier, not by bytes: an issuer's certificate attached on the way, or a second signature, makes no other
        // statement, and would look like a rollback.
        let scheme = &self.scheme.anchors.scheme;
        let (own, message) = (key_id(sealed.envelope.signer.key()), sealed.id(scheme));
        let answered = self.exclusively(|desk| {
            desk.store.wallet(&own)?.ok_or(Code::UnknownWallet)?;
            Ok(desk.store.answered(&own, &message)?)
        })?;
        if let Some(settlement) = answered {
            return Ok(settlement);
        }
        // Signatures are checked outside the lock.
        let read = read(&self.scheme.anchors, &sealed, bytes);
        let judge: Judge = if read.is_ok() { reconcile } else { refuse };
        let reading = read.unwrap_or_else(|_| Reading::without_entries(scheme, &sealed, bytes));
        self.exclusively(|desk| match desk.store.answered(&own, &message)? {
            Some(settlement) => Ok(settlement),
            None => self.book(desk, &reading, judge),
        })
    }

    /// Has somebody pay for what wallets that never came back had spent beyond what is known.
    pub(super) fn write_off(&self, desk: &mut Desk) -> Result<(), Refusal> {
        let (now_s, rules) = (self.now_s(), &self.scheme.rules);
        let overdue = desk.store.overdue(now_s.saturating_sub(rules.grace_s))?;
        if overdue.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::default();
        let judgement = write_off(&self.scheme.anchors, overdue, rules, now_s);
        batch.wallets = appended(judgement, &mut batch, now_s).wallets.into_values().collect();
        Ok(desk.store.commit(&batch)?)
    }

    fn book(&self, desk: &mut Desk, reading: &Reading, judge: Judge) -> Result<Vec<u8>, Refusal> {
        let now_s = self.now_s();
        let rules: &Rules = &self.scheme.rules;
        let before = desk.store.gather(&needs(reading))?;
        let judgement = judge(&self.scheme.anchors, reading, before.clone(), rules, now_s);
        let mut batch = Batch::default();
        let mut set = appended(judgement, &mut batch, now_s);
        let newly: Vec<Wallet> = set.wallets.values().filter(|wallet| wallet.revoked).cloned().collect();
        let list = self.next_list(desk.store.as_ref(), &newly)?;
        if let Some((list, revocations)) = list {
            batch.published.push(list);
            batch.revocations = revocations;
        }
        let answer = self.answer(desk, reading, &mut set, &mut batch)?;
        batch.wallets = changed(&before.wallets, set.wallets);
        batch.records = changed(&before.records, set.records);
        desk.store.commit(&batch)?;
        super::moves::move_money(desk)?;
        Ok(answer)
    }

    /// Makes the settlement and puts it into `batch`.
    fn answer(
        &self,
        desk: &Desk,
        reading: &Reading,
        set: &mut WorkingSet,
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
        let revocation = match batch.published.last() {
            Some(new) => Some(new.bytes.clone()),
            None => self.revocation_for(desk, claims.revocation_no)?,
        };
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
        batch.answer = Some(Answer {
            wallet: reading.wallet,
            seq: claims.seq,
            id: reading.id,
            message: reading.id,
            signed: Some(reading.signed.clone()),
            statement: reading.bytes.clone(),
            settlement_id,
            settlement: bytes.clone(),
        });
        set.wallets.insert(reading.wallet, wallet);
        Ok(bytes)
    }
}

/// Moves what a judgement appends into `batch`; the rows that it changed are left.
pub(super) fn appended(judgement: Judgement, batch: &mut Batch, now_s: u32) -> WorkingSet {
    batch.postings = judgement.postings;
    batch.moves = judgement.moves;
    batch.outbox = judgement.outbox;
    batch.cases = judgement.cases.into_iter().map(|case| (case, now_s)).collect();
    judgement.set
}

/// Rows that are new or not as they were.
pub(super) fn changed<K: Ord, V: PartialEq>(
    before: &std::collections::BTreeMap<K, V>,
    after: std::collections::BTreeMap<K, V>,
) -> Vec<V> {
    after.into_iter().filter(|(key, row)| before.get(key) != Some(row)).map(|(_, row)| row).collect()
}

/// The rows that a statement needs.
fn needs(reading: &Reading) -> Needs {
    let own = reading.wallet;
    let claims = &reading.claims;
    let mut needs = Needs {
        own,
        wallets: BTreeSet::new(),
        records: reading.receipts.iter().map(|shown| (own, shown.payment)).collect(),
        // The statement itself may stand where a payment stood.
        neighbours: vec![(own, claims.seq, claims.spent, claims.spent)],
        settlements: Vec::new(),
        heads_from: claims.after_seq,
        certs: reading.answered_twice().into_iter().map(|(receipt, _)| receipt.by).collect(),
    };
    for evidence in reading.evidence() {
        let body = &evidence.body;
        let from = body.spent.minus_or_zero(body.amount);
        needs.wallets.extend([evidence.payer, evidence.payee]);
        needs.records.insert((evidence.payer, evidence.id));
        needs.neighbours.push((evidence.payer, body.seq, from, body.spent));
    }
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
