//! A statement judged against what the operator knows.
//!
//! The rows that a statement touches come in as a [`WorkingSet`], and leave changed, with what is to be appended, as a
//! [`Judgement`]. Nothing is written here. A payment takes two steps, the payer's and the payee's: each has its rows in one bucket
//! alone, and none is there twice, whichever half comes first and however often.

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_rail::{Account as RailAccount, SCHEME};
use counterfoil_trust::{Anchors, Misbehaviour, conflict, judge, key_id, sha256};
use counterfoil_wire::cert::{Grade, WalletCert};
use counterfoil_wire::proof::{Proof, SignedHeader};
use counterfoil_wire::rules::{Liability, Rules};
use counterfoil_wire::sync::{Outcome, Settlement, Standing};
use counterfoil_wire::{Amount, Digest, KeyId, Wire};

use super::bucket;
use super::closing::{is_due, is_waiting};
use super::element::answer_tamper;
use super::journal::{Evidence, Item, Joint, Reading, signed_header};
use super::ledger::{Account, Kind, Posting};
use super::policy::Policy;
use super::reason::Reason;
use super::record::{Event, Record, bit};
use super::settle::closed;
use super::wallet::Wallet;

/// The rows that a statement touches.
#[derive(Debug, Clone, Default)]
pub struct WorkingSet {
    /// Wallets, the statement's own among them.
    pub wallets: BTreeMap<KeyId, Wallet>,
    /// Payments by identifier, with those that could be in conflict.
    pub records: BTreeMap<Digest, Record>,
    /// Settlements sent to the statement's wallet that the statement names.
    pub settlements: BTreeMap<Digest, Settlement>,
    /// Heads that the operator acknowledged to the statement's wallet.
    pub heads: BTreeSet<(u32, Digest)>,
    /// Signed headers of the wallet's earlier statements.
    pub statements: Vec<SignedHeader>,
    /// Certificates of keys about which a proof may have to be made and whose messages here carry none.
    pub certs: BTreeMap<KeyId, WalletCert>,
}

/// Misbehaviour, or what looks like it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Whose.
    pub key: KeyId,
    /// What.
    pub reason: Reason,
    /// A portable proof or, where there is none, the statement.
    pub evidence: Vec<u8>,
}

/// A transfer on the rail that follows from a posting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The bucket that orders it.
    pub bucket: u16,
    /// Its id on the rail.
    pub id: String,
    /// From where.
    pub from: RailAccount,
    /// To where.
    pub to: RailAccount,
    /// How much.
    pub amount: Amount,
}

/// What is to be written.
#[derive(Debug, Clone, Default)]
pub struct Judgement {
    /// The rows, changed.
    pub set: WorkingSet,
    /// Ledger rows to append.
    pub postings: Vec<Posting>,
    /// Cases to open.
    pub cases: Vec<Case>,
    /// Rail transfers to order.
    pub moves: Vec<Move>,
    /// Payments whose evidence matters and was not read. With any, all of this is void, and is to be judged again with them.
    pub wanted: BTreeSet<Digest>,
}

/// What everything is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// Root and authorities.
    pub anchors: &'a Anchors,
    /// The scheme rules.
    pub rules: &'a Rules,
    /// What is done about misbehaviour.
    pub policy: &'a Policy,
    /// The time, seconds since 1970.
    pub now_s: u32,
}

/// Judges `reading`. The set must hold the statement's wallet, the payers of all evidence in it, the payees of its
/// payments, and every record named by or in conflict with it.
pub fn reconcile(terms: Terms<'_>, reading: &Reading, set: WorkingSet) -> Judgement {
    let before = set.clone();
    let mut desk = Desk::new(terms, set);
    match desk.run(reading) {
        Err(Refused) if desk.out.wanted.is_empty() => refuse(terms, reading, before),
        Ok(()) | Err(Refused) => desk.out,
    }
}

/// Books nothing of a statement that does not hold, and suspends its wallet: the statement is kept as the case's evidence.
pub fn refuse(terms: Terms<'_>, reading: &Reading, set: WorkingSet) -> Judgement {
    let mut desk = Desk::new(terms, set);
    desk.open(reading.wallet, Reason::Gap, reading.bytes.to_vec(), None);
    desk.losses();
    desk.out
}

/// Writes off what `wallets` spent beyond what evidence says they had: their keys have ended, and a grace period has
/// passed in which they, or those who paid them, could have accounted for it.
pub fn write_off(terms: Terms<'_>, wallets: Vec<Wallet>) -> Judgement {
    let keys: Vec<KeyId> = wallets.iter().map(|wallet| wallet.id).collect();
    let wallets = wallets.into_iter().map(|wallet| (wallet.id, wallet)).collect();
    let mut desk = Desk::new(terms, WorkingSet { wallets, ..WorkingSet::default() });
    for key in keys {
        desk.open(key, Reason::Overspent, Vec::new(), None);
    }
    desk.losses();
    desk.out
}

/// A statement that is not booked.
#[derive(Debug)]
pub(super) struct Refused;

/// Where rows are judged and postings are made.
pub(super) struct Desk<'a> {
    pub(super) terms: Terms<'a>,
    pub(super) out: Judgement,
}

/// What a wallet says it has, followed entry by entry.
struct Tally {
    balance: Option<Amount>,
    spent: Option<Amount>,
    funding_applied: Amount,
    overspent: bool,
}

impl Tally {
    fn plus(&mut self, amount: Amount) {
        self.balance = self.balance.and_then(|balance| balance.plus(amount));
    }

    fn minus(&mut self, amount: Amount) {
        if let Some(balance) = self.balance {
            self.balance = balance.minus(amount);
            self.overspent |= self.balance.is_none();
        }
    }
}

impl<'a> Desk<'a> {
    pub(super) fn new(terms: Terms<'a>, set: WorkingSet) -> Self {
        Self { terms, out: Judgement { set, ..Judgement::default() } }
    }

    fn run(&mut self, reading: &Reading) -> Result<(), Refused> {
        let wallet = self.wallet(&reading.wallet)?.clone();
        self.contradictions(reading);
        let joint = reading
            .joint(wallet.acked_seq, wallet.acked, |seq, head| self.out.set.heads.contains(&(seq, head)));
        let first = match joint {
            Joint::Gap => return Err(Refused),
            Joint::RolledBack => {
                self.open(reading.wallet, Reason::RolledBack, reading.bytes.to_vec(), None);
                0
            }
            Joint::Continues(first) => first,
        };
        // Whoever is already known to misbehave accounts for nothing any more; what others signed still counts.
        let trusted = self.wallet(&reading.wallet)?.is_good();
        let mut tally = Tally {
            balance: Some(wallet.claimed),
            spent: Some(wallet.spent),
            funding_applied: wallet.funding_applied,
            overspent: false,
        };
        for line in reading.lines.iter().skip(first) {
            let done = self.line(&reading.wallet, line.seq, &line.item, &mut tally);
            if trusted {
                done?;
            }
        }
        for shown in &reading.receipts {
            // Of a payment that is in dispute the payee's own journal must speak: payer and payee may be in league.
            let theirs = self.out.set.records.get(&shown.payment).is_some_and(|record| {
                record.payee == shown.by && !record.has(bit::FORKED) && !record.is_equivocated()
            });
            if theirs {
                let _ = self.happened(shown.payment, Event::ReceiptShown);
            }
        }
        for (receipt, decline) in reading.answered_twice() {
            if let Some(cert) = self.out.set.certs.get(&receipt.by).cloned() {
                self.contradicted(&receipt.signed, decline, &cert, None);
            }
        }
        if trusted && tally.overspent {
            self.open(reading.wallet, Reason::Overspent, reading.bytes.to_vec(), None);
        } else if trusted {
            check_claims(reading, &tally)?;
        }
        self.proofs(&reading.proofs);
        self.account_for(reading, &tally)?;
        self.hidden();
        if self.is_below_zero(&reading.wallet) {
            self.open(reading.wallet, Reason::Overspent, reading.bytes.to_vec(), None);
        }
        self.pay_out(&reading.wallet, reading.claims.seq);
        self.tampered(reading)?;
        self.losses();
        Ok(())
    }

    /// After everything else in the statement: what the wallet did before it reported stands.
    fn tampered(&mut self, reading: &Reading) -> Result<(), Refused> {
        let (rules, now_s) = (self.terms.rules, self.terms.now_s);
        if let Some(tamper) = reading.claims.tamper {
            answer_tamper(self.wallet(&reading.wallet)?, tamper, rules, now_s);
        }
        Ok(())
    }

    /// A payment itself; nothing where it was not read, which makes this judgement void.
    fn evidence(&mut self, payment: &Digest) -> Vec<u8> {
        let record = self.out.set.records.get(payment);
        let payment = record.map(|record| record.payment.clone()).unwrap_or_default();
        if payment.is_empty() {
            self.out.wanted.extend(record.map(|record| record.id));
        }
        payment
    }

    fn wallet(&mut self, key: &KeyId) -> Result<&mut Wallet, Refused> {
        self.out.set.wallets.get_mut(key).ok_or(Refused)
    }

    fn line(&mut self, own: &KeyId, seq: u32, item: &Item, tally: &mut Tally) -> Result<(), Refused> {
        match item {
            Item::Sent(evidence) => {
                tally.minus(evidence.body.amount);
                tally.spent = tally.spent.and_then(|spent| spent.plus(evidence.body.amount));
                if tally.spent != Some(evidence.body.spent) {
                    return Err(Refused);
                }
                self.known(evidence)?;
                self.happened(evidence.id, Event::Sent)
            }
            Item::Taken(evidence) => {
                tally.plus(evidence.body.amount);
                self.known(evidence)?;
                if !self.may_take(own, evidence)? {
                    return self.taken_against_its_memory(own, evidence);
                }
                self.happened(evidence.id, Event::Taken)
            }
            Item::Declined(evidence) => {
                // A key that a PSP certified on its own account: nothing moves, and who declined it did no wrong.
                if !self.out.set.wallets.contains_key(&evidence.payer) {
                    return Ok(());
                }
                self.known(evidence)?;
                self.happened(evidence.id, Event::Declined)
            }
            Item::Reclaimed { payment, by, .. } => {
                let record = self.out.set.records.get(payment).ok_or(Refused)?;
                let (amount, fits) = (record.amount, record.payer == *own && record.payee == *by);
                let is_back = record.has(bit::RETURNED);
                // A terminal has no element: its decline lets nobody reclaim, the operator decides.
                if !fits || !self.wallet(by)?.grade.has_element() {
                    return Err(Refused);
                }
                tally.plus(amount);
                // Of a closed wallet the operator may have given it back by itself; the decline still says that its payee
                // can have no claim.
                let known = is_back && self.wallet(own)?.is_closed();
                let event = if known { Event::Declined } else { Event::Reclaimed };
                self.happened(*payment, event)
            }
            Item::Void => Ok(()),
            Item::Settled { settlement, funded, refunded, returned } => {
                self.settled(own, settlement, *funded, refunded, returned, tally)
            }
            Item::Defunded(amount) => {
                if amount.is_zero() {
                    return Err(Refused);
                }
                tally.minus(*amount);
                // Another branch of its journal may have had this number; and its value is for what it owes.
                if self.wallet(own)?.revoked {
                    return Ok(());
                }
                self.defund(own, seq, *amount)
            }
        }
    }

    /// A settlement that the wallet says it applied: it must be one that was sent, with the effects that were decided.
    fn settled(
        &mut self,
        own: &KeyId,
        id: &Digest,
        funded: Amount,
        refunded: &[Digest],
        returned: &[u32],
        tally: &mut Tally,
    ) -> Result<(), Refused> {
        let settlement = self.out.set.settlements.get(id).cloned().ok_or(Refused)?;
        if settlement.funding_total.minus(tally.funding_applied) != Some(funded) {
            return Err(Refused);
        }
        tally.plus(funded);
        tally.funding_applied = settlement.funding_total;
        for payment in refunded {
            let decided = |resolution: &&counterfoil_wire::sync::Resolution| {
                resolution.payment == *payment && resolution.outcome == Outcome::Refunded
            };
            settlement.resolutions.iter().find(decided).ok_or(Refused)?;
            let record = self.out.set.records.get(payment).ok_or(Refused)?;
            if record.payer != *own {
                return Err(Refused);
            }
            tally.plus(record.amount);
            self.happened(*payment, Event::RefundBooked)?;
        }
        for resolution in &settlement.resolutions {
            if let Some(record) = self.out.set.records.get_mut(&resolution.payment) {
                record.bits |= bit::CLOSED;
            }
        }
        tally.minus(settlement.paid_out);
        let wallet = self.wallet(own)?;
        wallet.paid_out = wallet.paid_out.minus_or_zero(settlement.paid_out);
        for seq in returned {
            let at = wallet.returned.iter().position(|(number, _)| number == seq).ok_or(Refused)?;
            let (_, amount) = wallet.returned.remove(at);
            tally.plus(amount);
        }
        if settlement.pin_unblocked {
            wallet.pin_unblock = false;
        }
        Ok(())
    }

    /// Makes sure that there is a record for the payment, and looks for others that it contradicts.
    fn known(&mut self, evidence: &Evidence) -> Result<(), Refused> {
        let revoked = self.wallet(&evidence.payer)?.revoked;
        if self.out.set.records.contains_key(&evidence.id) {
            return Ok(());
        }
        let conflicts: Vec<Digest> = self
            .out
            .set
            .records
            .values()
            .filter(|other| contradict(evidence, other))
            .map(|other| other.id)
            .collect();
        let payer_until_s = evidence.cert.not_after_s();
        let window = payer_until_s.saturating_add(self.terms.rules.claim_window_s);
        let mut bits = if self.terms.now_s > window { bit::LATE } else { 0 };
        if revoked {
            bits |= bit::REVOKED;
        }
        if !conflicts.is_empty() {
            bits |= bit::FORKED;
        }
        let body = &evidence.body;
        let record = Record {
            id: evidence.id,
            payer: evidence.payer,
            payer_seq: body.seq,
            payee: evidence.payee,
            request_no: body.request_no,
            amount: body.amount,
            spent: body.spent,
            payer_until_s,
            bits,
            first_seen_s: self.terms.now_s,
            payment: evidence.bytes.clone(),
        };
        self.out.set.records.insert(evidence.id, record);
        for other in conflicts {
            let Some(record) = self.out.set.records.get_mut(&other) else { continue };
            record.bits |= bit::FORKED;
            if let Some((theirs, _)) = signed_header(&self.evidence(&other)) {
                self.contradicted(&theirs, &evidence.signed, &evidence.cert, Some(evidence.payee));
            }
        }
        Ok(())
    }

    /// Looks for headers of this statement that contradict those of earlier ones.
    fn contradictions(&mut self, reading: &Reading) {
        let own = reading.wallet;
        let earlier: Vec<SignedHeader> = self.out.set.statements.clone();
        let sent: Vec<&Evidence> = reading.evidence().filter(|evidence| evidence.payer == own).collect();
        for (mine, before) in sent.iter().flat_map(|mine| earlier.iter().map(move |before| (mine, before))) {
            self.contradicted(before, &mine.signed, &mine.cert, None);
        }
        let paid = self.out.set.records.values().filter(|record| record.payer == own);
        let paid: Vec<Digest> =
            paid.filter(|record| record.payer_seq == reading.claims.seq).map(|record| record.id).collect();
        let paid: Vec<(SignedHeader, WalletCert)> =
            paid.iter().filter_map(|id| signed_header(&self.evidence(id))).collect();
        paid.iter().for_each(|(payment, cert)| self.contradicted(payment, &reading.signed, cert, None));
        let cert = reading.cert.clone().or_else(|| self.out.set.certs.get(&own).cloned());
        for before in &earlier {
            match (&cert, conflict(before, &reading.signed)) {
                (_, None) => {}
                (Some(cert), Some(_)) => self.contradicted(before, &reading.signed, cert, None),
                (None, Some(shown)) => self.open(own, reason_of(shown), reading.bytes.to_vec(), None),
            }
        }
    }

    /// Opens a case if the two headers contradict each other. `cert` is of the key that signed them. All signatures were
    /// checked when they came in.
    fn contradicted(
        &mut self,
        first: &SignedHeader,
        second: &SignedHeader,
        cert: &WalletCert,
        payee: Option<KeyId>,
    ) {
        let Some(shown) = conflict(first, second) else { return };
        let proof = Proof { cert: cert.clone(), first: first.clone(), second: second.clone() };
        self.open(key_id(&first.header.key), reason_of(shown), proof.to_bytes(), payee);
    }

    /// Looks for payments that others showed and that their payer's journal, though it was told beyond their place or
    /// beyond the start of their interval, does not have: something else stands in that place, or nothing ever could.
    /// Unsigned entries and a wallet's random start make no portable proof of it.
    fn hidden(&mut self) {
        let WorkingSet { wallets, records, .. } = &mut self.out.set;
        let mut found = Vec::new();
        for record in records.values_mut().filter(|record| !record.has(bit::PAYER)) {
            let payer = wallets.get(&record.payer);
            let from = record.spent.minus_or_zero(record.amount);
            let told = |payer: &&Wallet| payer.acked_seq >= record.payer_seq || payer.spent > from;
            if payer.filter(told).is_some_and(Wallet::is_good) {
                record.bits |= bit::FORKED;
                found.push((record.payer, record.id, record.payee));
            }
        }
        for (payer, payment, payee) in found {
            let payment = self.evidence(&payment);
            self.open(payer, Reason::Forked, payment, Some(payee));
        }
    }

    /// Whether a key that does not answer for its losses yet has accounted for more than evidence says it had. What payees
    /// alone showed is left out: the payer's own receipts, which may cover it, are yet to come.
    fn is_below_zero(&self, key: &KeyId) -> bool {
        let WorkingSet { wallets, records, .. } = &self.out.set;
        let unproven =
            |wallet: &&Wallet| !wallet.revoked || is_waiting(wallet, self.terms.rules, self.terms.now_s);
        let Some(wallet) = wallets.get(key).filter(unproven) else { return false };
        let ahead =
            |record: &&Record| record.payer == *key && record.has(bit::DEBITED) && !record.has(bit::PAYER);
        let ahead = records.values().filter(ahead);
        ahead.fold(wallet.shadow, |sum, record| sum.saturating_add_unsigned(record.amount.minor())) < 0
    }

    fn proofs(&mut self, proofs: &[Proof]) {
        for proof in proofs {
            if let Ok(shown) = judge(self.terms.anchors, proof) {
                self.open(key_id(&proof.cert.key), reason_of(shown), proof.to_bytes(), None);
            }
        }
    }

    /// Opens a case once, suspends the key, and has it revoked where the reason calls for it.
    fn open(&mut self, key: KeyId, reason: Reason, evidence: Vec<u8>, payee: Option<KeyId>) {
        let Some(bearer) = self.bearer(&key, payee) else { return };
        let Some(wallet) = self.out.set.wallets.get_mut(&key) else { return };
        wallet.standing = Standing::Suspended;
        if self.terms.policy.revokes(reason) {
            wallet.revoked = true;
            wallet.liable.get_or_insert(bearer);
        }
        let case = Case { key, reason, evidence };
        if !self.out.cases.contains(&case) {
            self.out.cases.push(case);
        }
    }

    /// Who bears by the rules what `key` costs; `payee` is who is owed, where one is.
    fn bearer(&self, key: &KeyId, payee: Option<KeyId>) -> Option<String> {
        let psp_of = |key: &KeyId| self.out.set.wallets.get(key).map(|wallet| wallet.psp.clone());
        Some(match self.terms.rules.liability {
            Liability::PayerPsp => psp_of(key)?,
            Liability::SchemeFund => SCHEME.to_owned(),
            Liability::PayeePsp => payee.and_then(|payee| psp_of(&payee)).or_else(|| psp_of(key))?,
        })
    }

    /// A payment of a wallet whose unspent balance has been returned was claimed: somebody bears the difference, though
    /// the wallet did no wrong.
    fn claimed_late(&mut self, payer: KeyId, payee: KeyId) {
        let late =
            |wallet: &&Wallet| wallet.liable.is_none() && is_due(wallet, self.terms.rules, self.terms.now_s);
        if self.out.set.wallets.get(&payer).filter(late).is_none() {
            return;
        }
        let bearer = self.bearer(&payer, Some(payee));
        if let Some(wallet) = self.out.set.wallets.get_mut(&payer) {
            wallet.liable = bearer;
        }
    }

    /// Takes one step of a payment.
    pub(super) fn happened(&mut self, payment: Digest, event: Event) -> Result<(), Refused> {
        let WorkingSet { wallets, records, .. } = &mut self.out.set;
        let record = records.get_mut(&payment).ok_or(Refused)?;
        // All that was taken before the statement that closed it is in that statement: what turns up now was taken
        // against the payee's own word, which is as good as a decline.
        let taken = matches!(event, Event::Taken | Event::ReceiptShown) && !record.has(bit::PAYEE);
        if taken && wallets.get(&record.payee).is_some_and(|payee| closed(payee, record)) {
            record.bits |= bit::DECLINED;
        }
        let mut postings = Vec::new();
        record.on(event, &mut postings).map_err(|_| Refused)?;
        let (payer, payee) = (record.payer, record.payee);
        let equivocated = record.is_equivocated();
        for posting in postings {
            if posting.kind == Kind::Cover {
                let fund = RailAccount::loss_fund(SCHEME, self.terms.rules.loss_fund.as_str());
                let id = format!("cover:{payment}");
                self.moves(bucket(&posting.wallet), id, fund, RailAccount::float(), posting.amount);
            }
            self.post(posting);
        }
        if taken {
            self.claimed_late(payer, payee);
        }
        if equivocated {
            let evidence = self.evidence(&payment);
            self.open(payee, Reason::Equivocated, evidence, None);
        }
        Ok(())
    }

    /// Whether an honest application could have taken this payment: its interval is one that a sync lets the payer spend,
    /// and the payee remembered no payment that contradicts it. Without this, one payee in league with one stolen key
    /// would be credited for the same interval as often as they like.
    fn may_take(&mut self, own: &KeyId, evidence: &Evidence) -> Result<bool, Refused> {
        let grade = self.wallet(&evidence.payer)?.grade;
        let room = self.terms.rules.limits(grade).map_or(Amount::ZERO, |limits| limits.sync_total_max);
        let from = evidence.body.spent.minus_or_zero(evidence.body.amount);
        // What it had closed before this statement it may have forgotten; what it closes with it, not yet.
        let closed_s = self.wallet(own)?.closed_before_s;
        let remembered = |other: &&Record| {
            other.payee == *own && other.has(bit::PAYEE | bit::RECEIPT) && other.payer_until_s >= closed_s
        };
        let known = self.out.set.records.values().filter(remembered);
        let contradicted = known.filter(|other| contradict(evidence, other)).count() > 0;
        Ok(evidence.cert.ceiling.minus_or_zero(from) <= room && !contradicted)
    }

    /// What its memory forbids it to take counts as declined, and it is credited nothing for it.
    fn taken_against_its_memory(&mut self, own: &KeyId, evidence: &Evidence) -> Result<(), Refused> {
        let record = self.out.set.records.get_mut(&evidence.id).ok_or(Refused)?;
        record.bits |= bit::PAYEE | bit::DECLINED;
        self.open(*own, Reason::Equivocated, evidence.bytes.clone(), None);
        Ok(())
    }

    pub(super) fn defund(&mut self, own: &KeyId, seq: u32, amount: Amount) -> Result<(), Refused> {
        let wallet = self.wallet(own)?;
        let covered = wallet.shadow_or_zero() >= amount;
        if !covered {
            wallet.returned.push((seq, amount));
            return Ok(());
        }
        self.leave(own, Kind::Defund, seq, amount);
        Ok(())
    }

    /// A terminal keeps nothing: what it holds goes to the merchant's account. Its shadow may be more than its statement
    /// knows of, by receipts that payers showed: that is paid out when its own journal has brought it, for the terminal
    /// deducts what is paid out from what it had.
    fn pay_out(&mut self, own: &KeyId, seq: u32) {
        let Some(wallet) = self.out.set.wallets.get_mut(own) else { return };
        let amount = wallet.shadow_or_zero().min(wallet.claimed.minus_or_zero(wallet.paid_out));
        if wallet.grade != Grade::Terminal || !wallet.is_good() || amount.is_zero() {
            return;
        }
        wallet.paid_out = wallet.paid_out.plus(amount).unwrap_or(Amount::MAX);
        self.leave(own, Kind::PayOut, seq, amount);
    }

    /// Pays value of a wallet out to the account behind it. `number` names the order among those of its kind.
    pub(super) fn leave(&mut self, own: &KeyId, kind: Kind, number: u32, amount: Amount) {
        let Some(wallet) = self.out.set.wallets.get(own) else { return };
        let to = RailAccount::new(&wallet.psp, &wallet.account);
        let word = match kind {
            Kind::CloseOut => "closeout",
            Kind::PayOut => "payout",
            _ => "defund",
        };
        let id = format!("{word}:{own}:{number}");
        let (debit, credit) = (Account::Offline(*own), Account::Float);
        let reference = sha256(id.as_bytes());
        self.moves(bucket(own), id, RailAccount::float(), to, amount);
        self.post(Posting { wallet: *own, kind, reference, debit, credit, amount });
    }

    /// What a proven cheat never had, or a closed wallet no longer has, somebody pays; what reaches it later is given back
    /// to whoever paid.
    pub(super) fn losses(&mut self) {
        let (rules, now_s) = (self.terms.rules, self.terms.now_s);
        let answers = |wallet: &&Wallet| wallet.revoked && !is_waiting(wallet, rules, now_s);
        let revoked: Vec<KeyId> =
            self.out.set.wallets.values().filter(answers).map(|wallet| wallet.id).collect();
        for key in revoked {
            self.overspent_beyond_return(key);
            let Some(bearer) = self.bearer(&key, None) else { continue };
            let Some(wallet) = self.out.set.wallets.get_mut(&key) else { continue };
            let owed = u64::try_from(wallet.shadow.saturating_neg()).unwrap_or(0);
            let back = u64::try_from(wallet.shadow).unwrap_or(0).min(wallet.loss);
            let (kind, minor) = if owed > 0 { (Kind::Loss, owed) } else { (Kind::Recovery, back) };
            let Some(amount) = Amount::new(minor).filter(|amount| !amount.is_zero()) else { continue };
            wallet.loss_no = wallet.loss_no.saturating_add(1);
            wallet.loss = wallet.loss.saturating_add(owed).saturating_sub(back);
            let id = format!("loss:{key}:{}", wallet.loss_no);
            let bearer = wallet.liable.get_or_insert(bearer);
            let fund = RailAccount::loss_fund(bearer, self.terms.rules.loss_fund.as_str());
            let reference = sha256(id.as_bytes());
            let (loss, shadow, float) = (Account::Loss, Account::Offline(key), RailAccount::float());
            let (debit, credit, from, to) =
                if kind == Kind::Loss { (loss, shadow, fund, float) } else { (shadow, loss, float, fund) };
            self.moves(bucket(&key), id, from, to, amount);
            self.post(Posting { wallet: key, kind, reference, debit, credit, amount });
        }
    }

    /// A closed wallet that leaves a greater loss than what was returned of it had spent more than it had.
    fn overspent_beyond_return(&mut self, key: KeyId) {
        let Some(wallet) = self.out.set.wallets.get(&key).filter(|wallet| wallet.is_closed()) else { return };
        let returned = wallet.closed_out.minor();
        let after = wallet.loss.saturating_add_signed(wallet.shadow.saturating_neg());
        if wallet.loss <= returned && after > returned {
            self.open(key, Reason::Overspent, Vec::new(), None);
        }
    }

    fn moves(&mut self, bucket: u16, id: String, from: RailAccount, to: RailAccount, amount: Amount) {
        self.out.moves.push(Move { bucket, id, from, to, amount });
    }

    pub(super) fn post(&mut self, posting: Posting) {
        let minor = i64::try_from(posting.amount.minor()).unwrap_or(i64::MAX);
        for (account, change) in [(posting.debit, -minor), (posting.credit, minor)] {
            if let Account::Offline(key) = account
                && let Some(wallet) = self.out.set.wallets.get_mut(&key)
            {
                wallet.shadow = wallet.shadow.saturating_add(change);
            }
        }
        self.out.postings.push(posting);
    }

    /// The wallet's row after its statement.
    fn account_for(&mut self, reading: &Reading, tally: &Tally) -> Result<(), Refused> {
        let now_s = self.terms.now_s;
        let claims = &reading.claims;
        let wallet = self.wallet(&reading.wallet)?;
        wallet.spent = wallet.spent.max(claims.spent);
        wallet.claimed = claims.funded.plus(claims.received).unwrap_or(Amount::MAX);
        wallet.funding_applied = tally.funding_applied;
        (wallet.acked_seq, wallet.acked) = (claims.seq, reading.id);
        wallet.closed_below = wallet.closed_below.max(claims.closed_below);
        wallet.closed_before_s = wallet.closed_before_s.max(claims.closed_before_s);
        wallet.synced_at_s = now_s;
        Ok(())
    }
}

/// What the wallet claims to have must be what its entries add up to.
fn check_claims(reading: &Reading, tally: &Tally) -> Result<(), Refused> {
    let claims = &reading.claims;
    let holds = tally.balance.is_some()
        && claims.funded.plus(claims.received) == tally.balance
        && Some(claims.spent) == tally.spent
        && claims.funding_total == tally.funding_applied;
    if holds { Ok(()) } else { Err(Refused) }
}

fn reason_of(shown: Misbehaviour) -> Reason {
    match shown {
        Misbehaviour::Fork | Misbehaviour::Overlap => Reason::Forked,
        Misbehaviour::Equivocation => Reason::Equivocated,
    }
}

/// Whether two payments of one payer cannot both be of one honest journal.
fn contradict(evidence: &Evidence, other: &Record) -> bool {
    let body = &evidence.body;
    let from = |spent: Amount, amount: Amount| spent.minus_or_zero(amount);
    let overlap =
        from(body.spent, body.amount).max(from(other.spent, other.amount)) < body.spent.min(other.spent);
    other.payer == evidence.payer && other.id != evidence.id && (other.payer_seq == body.seq || overlap)
}
