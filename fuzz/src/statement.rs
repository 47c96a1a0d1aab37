//! The operator's intake: statements of four keys, three purses and a terminal, that account for themselves as they
//! should, or lie, or are lost and closed, in an order and with contents that the bytes choose.
//!
//! What must hold after each: nothing is posted or paid out twice, and the audit finds the books sound. A wallet that did
//! as a trusted application does is in good standing, whatever the others did; but what is owed for a key long after its
//! end is written off, whoever was late.

use std::sync::OnceLock;

use counterfoil_trust::{SigningKey, header_id, header_of, seal, sha256};
use counterfoil_wire::cert::{Grade, WalletCert};
use counterfoil_wire::header::{Extra, Header, Signer};
use counterfoil_wire::message::{Decline, Payment, Receipt};
use counterfoil_wire::proof::{Proof, SignedHeader};
use counterfoil_wire::rules::Preset;
use counterfoil_wire::sync::{Entry, Outcome, Settlement, Statement};
use counterfoil_wire::{Algorithm, Amount, Bytes, Code, Digest, KeyId, Nonce, Reference, Wire};

use crate::domain::reason::Reason;
use crate::input::Input;
use crate::office::Office;
use crate::scheme::{HEDGE, NOW_S, Scheme, amount, signing_key};

/// Steps of one input; more only makes it slow.
const STEPS_MAX: usize = 48;

/// Keys, and certificates of each: one that ends early, one that ends late.
const ACTORS: usize = 4;

struct Fixed {
    scheme: Scheme,
    keys: [SigningKey; ACTORS],
    certs: [[WalletCert; 2]; ACTORS],
}

fn fixed() -> &'static Fixed {
    static FIXED: OnceLock<Fixed> = OnceLock::new();
    FIXED.get_or_init(|| {
        let scheme = Scheme::new(Algorithm::EdDsa, Algorithm::EdDsa);
        let keys = [20, 21, 22, 23].map(|seed| signing_key(Algorithm::EdDsa, seed));
        let certs = std::array::from_fn(|actor| {
            [10 * 24, 60 * 24].map(|lifetime_h| {
                let unsigned = WalletCert {
                    lifetime_h,
                    status_index: 1000 + actor as u32,
                    ceiling: amount(100_000),
                    ..scheme.unsigned_wallet(keys[actor].public(), grade(actor))
                };
                scheme.sign(WalletCert { not_before_s: NOW_S - 3_600, ..unsigned })
            })
        });
        Fixed { scheme, keys, certs }
    })
}

fn grade(actor: usize) -> Grade {
    if actor + 1 == ACTORS { Grade::Terminal } else { Grade::VirtualSe }
}

/// A payment that was made, and what its payee says to it.
#[derive(Clone)]
struct Made {
    payment: Payment,
    id: Digest,
    bytes: Bytes,
    payer: usize,
    payee: usize,
    /// End of the payer's certificate in it.
    until_s: u32,
    signed: SignedHeader,
    /// Who said that it was taken, or never will be, and how: its payee, or somebody who lies.
    receipt: Option<(usize, Bytes)>,
    decline: Option<(usize, Bytes)>,
}

/// What a key keeps of itself: a journal, and what it claims.
#[derive(Clone)]
struct Actor {
    seq: u32,
    head: Digest,
    acked_seq: u32,
    acked: Digest,
    entries: Vec<Entry>,
    balance: u64,
    spent: u64,
    funding_total: u64,
    closed_below: u32,
    closed_before_s: u32,
    settlement: Option<(Digest, Settlement)>,
    statement: Option<Vec<u8>>,
    /// Payments taken or declined, taken back, and receipts held.
    decided: Vec<Digest>,
    returned: Vec<Digest>,
    receipts: Vec<(Digest, Bytes)>,
    defunded: Vec<(u32, u64)>,
    honest: bool,
}

struct Run {
    office: Office,
    actors: [Actor; ACTORS],
    copies: [Option<Actor>; ACTORS],
    made: Vec<Made>,
}

/// Runs the steps that the bytes stand for.
pub fn statement(data: &[u8]) {
    let mut input = Input::new(data);
    let mut run = Run::new(input.byte());
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        run.step(&mut input);
    }
}

impl Run {
    fn new(preset: u8) -> Self {
        let fixed = fixed();
        let mut rules = Preset::ALL[usize::from(preset) % Preset::ALL.len()].rules();
        if rules.limits(Grade::VirtualSe).is_none() {
            rules.limits.extend(Preset::Permissive.rules().limits(Grade::VirtualSe).cloned());
        }
        let signer = fixed.scheme.signer_key.public();
        let mut office = Office::new(fixed.scheme.anchors(), rules, signer, NOW_S);
        let actors = std::array::from_fn(|actor| {
            let spent = 5_000 * (actor as u64 + 1);
            office.enrol(fixed.certs[actor][1].clone(), amount(spent));
            Actor {
                seq: 0,
                head: Digest::NONE,
                acked_seq: 0,
                acked: Digest::NONE,
                entries: Vec::new(),
                balance: 0,
                spent,
                funding_total: 0,
                closed_below: 0,
                closed_before_s: 0,
                settlement: None,
                statement: None,
                decided: Vec::new(),
                returned: Vec::new(),
                receipts: Vec::new(),
                defunded: Vec::new(),
                honest: true,
            }
        });
        Self { office, actors, copies: [const { None }; ACTORS], made: Vec::new() }
    }

    fn scheme(&self) -> KeyId {
        self.office.anchors.scheme
    }

    /// A header's identifier becomes the head of a journal.
    fn append(&mut self, actor: usize, entry: Entry, digest: Digest, extra: Extra) {
        let scheme = self.scheme();
        let state = &mut self.actors[actor];
        let key = fixed().keys[actor].public();
        let (seq, prev) = (state.seq + 1, state.head);
        let header = Header { purpose: entry.purpose(), key, seq, prev, digest, extra };
        state.seq = seq;
        state.head = header_id(&scheme, &header);
        state.entries.push(entry);
    }

    fn append_unsigned(&mut self, actor: usize, entry: Entry) {
        let digest = sha256(&entry.to_bytes());
        self.append(actor, entry, digest, Extra::None);
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let choice = input.byte();
        let actor = usize::from(choice >> 6);
        // One step in four may be a lie.
        let lies = input.byte() >= 0xc0;
        match choice & 31 {
            0 | 1 => self.office.fund(&fixed().keys[actor].public(), amount(u64::from(input.byte()) * 10)),
            2..=6 => self.pay(actor, input, lies),
            7..=11 => self.take(actor, input, lies),
            12 | 13 => self.decline(actor, input, lies),
            14 | 15 => self.reclaim(actor, input, lies),
            16 => self.defund(actor, input, lies),
            17 => self.receipt(actor, input),
            18..=24 => self.sync(actor, input, lies),
            25 => self.apply(actor),
            26 => {
                let hours = u32::from(input.byte()) * 4;
                self.office.now_s += hours * 3_600;
            }
            27 => {
                // A closure: what comes later under these bounds is not taken any more.
                let state = &mut self.actors[actor];
                state.closed_below = state.closed_below.max(u32::from(input.byte() % 8));
                if input.byte() & 1 == 1 {
                    state.closed_before_s = state.closed_before_s.max(self.office.now_s);
                }
            }
            28 => self.copies[actor] = Some(self.actors[actor].clone()),
            29 => {
                if let Some(copy) = self.copies[actor].take() {
                    self.actors[actor] = Actor { honest: false, ..copy };
                }
            }
            30 => {
                match input.byte() % 4 {
                    0 => self.office.write_off(),
                    1 => self.office.close(&fixed().keys[actor].public()),
                    _ => self.office.close_out(),
                }
                self.check();
            }
            _ => {
                let kind = input.byte() % 8;
                self.lie(actor, kind, input);
            }
        }
    }

    fn pay(&mut self, payer: usize, input: &mut Input<'_>, lies: bool) {
        let (payee, wanted) = (input.below(ACTORS), 1 + u64::from(input.byte()));
        let state = &self.actors[payer];
        let minor = if lies { wanted * 40 } else { wanted.min(state.balance) };
        let mut body = Payment {
            request: Digest([input.byte() % 4; 32]),
            request_no: u32::from(input.byte() % 8),
            payee: fixed().keys[payee].public(),
            amount: amount(minor),
            spent: amount(state.spent + minor),
            seq: state.seq + 1,
            prev: state.head,
        };
        let cert = &fixed().certs[payer][usize::from(input.byte() & 1)];
        let mut journaled = true;
        if lies {
            match input.byte() % 6 {
                0 => body.seq = u32::from(input.byte() % 8),
                1 => body.spent = amount(u64::from(input.word() % 1_200_000)),
                2 => body.prev = Digest([input.byte(); 32]),
                3 => body.payee = signing_key(Algorithm::EdDsa, 99).public(),
                4 => journaled = false,
                _ => {}
            }
            self.actors[payer].honest = false;
        } else if minor == 0
            || payee == payer
            || grade(payer) == Grade::Terminal
            || !self.goes_on(payer)
            || body.spent > cert.ceiling
            || self.office.now_s > cert.not_after_s()
        {
            return;
        }
        let scheme = self.scheme();
        let (envelope, id) =
            seal(&scheme, &fixed().keys[payer], &HEDGE, &body, Signer::Cert(cert.clone()), None);
        let header = header_of(&body, &envelope.body.0, &envelope.signer);
        let signed = SignedHeader { header, signature: envelope.signature };
        let bytes = Bytes(envelope.to_bytes());
        if journaled {
            self.append(payer, Entry::Payment { payment: bytes.clone() }, header.digest, header.extra);
            let state = &mut self.actors[payer];
            state.balance = state.balance.saturating_sub(minor);
            state.spent += minor;
        }
        let until_s = cert.not_after_s();
        let (receipt, decline) = (None, None);
        self.made.push(Made { payment: body, id, bytes, payer, payee, until_s, signed, receipt, decline });
    }

    /// Whether a wallet still deals: one that was told to stop does not.
    fn goes_on(&self, actor: usize) -> bool {
        self.actors[actor].honest && self.office.wallet(&fixed().keys[actor].public()).is_good()
    }

    /// A payment that `payee` is shown. One that does not lie takes what a trusted application would.
    fn shown(&mut self, payee: usize, input: &mut Input<'_>, lies: bool, taking: bool) -> Option<usize> {
        let back = input.below(16);
        let at = self.made.len().checked_sub(1 + back)?;
        if lies {
            self.actors[payee].honest = false;
            return Some(at);
        }
        let (made, state) = (&self.made[at], &self.actors[payee]);
        let key = fixed().keys[payee].public();
        let fits = made.payment.payee == key
            && !state.decided.contains(&made.id)
            && grade(made.payer) != Grade::Terminal
            && !made.payment.amount.is_zero()
            && made.payment.amount <= made.payment.spent
            && made.payment.seq > 0
            && made.until_s >= state.closed_before_s;
        let others = self.made.iter().filter(|other| state.decided.contains(&other.id));
        let mut conflicts =
            others.filter(|other| counterfoil_trust::conflict(&other.signed, &made.signed).is_some());
        let ceiling = fixed().certs[made.payer][0].ceiling;
        let from = made.payment.spent.minus_or_zero(made.payment.amount);
        let room = self.office.rules.limits(grade(made.payer)).map(|limits| limits.sync_total_max);
        let takes = made.payment.spent <= ceiling
            && room.is_some_and(|room| ceiling.minus_or_zero(from) <= room)
            && self.office.now_s <= made.until_s
            && made.payment.request_no >= state.closed_below
            && conflicts.next().is_none();
        (fits && (takes || !taking) && self.goes_on(payee)).then_some(at)
    }

    fn take(&mut self, payee: usize, input: &mut Input<'_>, lies: bool) {
        let Some(at) = self.shown(payee, input, lies, true) else { return };
        let made = self.made[at].clone();
        let scheme = self.scheme();
        let state = &self.actors[payee];
        let body = Receipt { payment: made.id, seq: state.seq + 1, prev: state.head };
        let signer = Signer::Key(fixed().keys[payee].public());
        let (receipt, _) = seal(&scheme, &fixed().keys[payee], &HEDGE, &body, signer, None);
        self.made[at].receipt = Some((payee, Bytes(receipt.to_bytes())));
        self.append(payee, Entry::Receipt { payment: made.bytes }, made.id, Extra::None);
        let state = &mut self.actors[payee];
        state.decided.push(made.id);
        state.balance += made.payment.amount.minor();
    }

    fn decline(&mut self, payee: usize, input: &mut Input<'_>, lies: bool) {
        let Some(at) = self.shown(payee, input, lies, false) else { return };
        let made = self.made[at].clone();
        let scheme = self.scheme();
        let state = &self.actors[payee];
        let reason = Code::HolderRefused.number();
        let body = Decline { payment: made.id, reason, seq: state.seq + 1, prev: state.head };
        let signer = Signer::Key(fixed().keys[payee].public());
        let (decline, _) = seal(&scheme, &fixed().keys[payee], &HEDGE, &body, signer, None);
        self.made[at].decline = Some((payee, Bytes(decline.to_bytes())));
        let entry = Entry::Decline { payment: made.bytes, reason };
        self.append(payee, entry, made.id, Extra::Reason(reason));
        self.actors[payee].decided.push(made.id);
    }

    fn reclaim(&mut self, payer: usize, input: &mut Input<'_>, lies: bool) {
        let back = input.below(16);
        let Some(made) = self.made.len().checked_sub(1 + back).map(|at| self.made[at].clone()) else {
            return;
        };
        let Some((by, decline)) = made.decline else { return };
        let state = &mut self.actors[payer];
        let settled = state.receipts.iter().any(|(id, _)| *id == made.id);
        let own = made.payer == payer && by == made.payee && made.payment.payee == fixed().keys[by].public();
        let fits = own && !settled && !state.returned.contains(&made.id) && grade(made.payee).has_element();
        if lies {
            state.honest = false;
        } else if !fits || !self.goes_on(payer) {
            return;
        }
        let state = &mut self.actors[payer];
        state.returned.push(made.id);
        state.balance += made.payment.amount.minor();
        self.append_unsigned(payer, Entry::Reclaim { payment: made.id, decline });
    }

    fn receipt(&mut self, payer: usize, input: &mut Input<'_>) {
        let back = input.below(16);
        let Some(made) = self.made.len().checked_sub(1 + back).map(|at| &self.made[at]) else { return };
        if let Some((by, receipt)) = &made.receipt
            && (made.payer == payer && *by == made.payee || !self.actors[payer].honest)
            && !self.actors[payer].returned.contains(&made.id)
        {
            self.actors[payer].receipts.push((made.id, receipt.clone()));
        }
    }

    fn defund(&mut self, actor: usize, input: &mut Input<'_>, lies: bool) {
        let wanted = u64::from(input.byte());
        let state = &mut self.actors[actor];
        let minor = if lies { wanted * 40 } else { wanted.min(state.balance) };
        if lies {
            state.honest = false;
        } else if minor == 0 || !grade(actor).has_element() || !self.goes_on(actor) {
            return;
        }
        let state = &mut self.actors[actor];
        state.balance = state.balance.saturating_sub(minor);
        state.defunded.push((state.seq + 1, minor));
        let entry = Entry::Defund { amount: amount(minor), reference: Reference([1; 32]) };
        self.append_unsigned(actor, entry);
    }

    /// Entries that no honest journal has, or in a place where they do not belong.
    fn lie(&mut self, actor: usize, kind: u8, input: &mut Input<'_>) {
        self.actors[actor].honest = false;
        let entries = self.actors[actor].entries.len();
        let entry = match kind {
            0 => Entry::Settled {
                settlement: Digest([input.byte(); 32]),
                funded: amount(u64::from(input.short())),
                refunded: self.made.iter().take(2).map(|made| made.id).collect(),
                returned: vec![u32::from(input.byte())],
            },
            1 if entries > 0 => self.actors[actor].entries[input.below(entries)].clone(),
            2 if entries > 0 => {
                let at = input.below(entries);
                drop(self.actors[actor].entries.remove(at));
                return;
            }
            3 => Entry::Statement { digest: Digest([input.byte(); 32]) },
            4 if entries > 0 => {
                // Another entry in the same place, if the changed bytes are one.
                let at = input.below(entries);
                let changed = input.tampered(&self.actors[actor].entries[at].to_bytes());
                if let Ok(entry) = Entry::from_bytes(&changed) {
                    self.actors[actor].entries[at] = entry;
                }
                return;
            }
            5 => {
                let state = &mut self.actors[actor];
                state.balance += u64::from(input.short());
                return;
            }
            6 => {
                let state = &mut self.actors[actor];
                (state.acked_seq, state.acked) = (0, Digest::NONE);
                return;
            }
            _ => Entry::Defund { amount: Amount::ZERO, reference: Reference([2; 32]) },
        };
        self.append_unsigned(actor, entry);
    }

    fn sync(&mut self, actor: usize, input: &mut Input<'_>, lies: bool) {
        let how = input.byte();
        let bytes = match self.actors[actor].statement.clone().filter(|_| !lies) {
            Some(pending) => pending,
            None => self.account(actor, input, lies),
        };
        let answered = self.office.settle(&bytes);
        self.check();
        assert!(answered.is_some() || !self.actors[actor].honest);
        self.actors[actor].settlement = answered;
        if !how.is_multiple_of(4) {
            self.apply(actor);
        }
    }

    /// The statement of everything since the last settlement.
    fn account(&mut self, actor: usize, input: &mut Input<'_>, lies: bool) -> Vec<u8> {
        let mut proofs: Vec<Bytes> = Vec::new();
        if let [.., first, second] = self.made.as_slice() {
            // Whether it proves anything is the operator's to say.
            let cert = fixed().certs[first.payer][0].clone();
            let proof = Proof { cert, first: first.signed.clone(), second: second.signed.clone() };
            proofs.push(Bytes(proof.to_bytes()));
        }
        let state = &self.actors[actor];
        let honest = Statement {
            seq: state.seq + 1,
            prev: state.head,
            after_seq: state.acked_seq,
            after_prev: state.acked,
            entries: state.entries.clone(),
            receipts: state.receipts.iter().map(|(_, receipt)| receipt.clone()).collect(),
            proofs,
            funded: amount(state.balance),
            received: Amount::ZERO,
            spent: amount(state.spent),
            funding_total: amount(state.funding_total),
            closed_below: state.closed_below,
            closed_before_s: state.closed_before_s,
            rules_no: 1,
            trust_no: 1,
            revocation_no: 0,
            pin_blocked: false,
            tamper: None,
            nonce: Nonce([state.seq as u8; 16]),
        };
        let mut body = honest.clone();
        if lies {
            self.actors[actor].honest = false;
            if let Ok(changed) = Statement::from_bytes(&input.tampered(&honest.to_bytes())) {
                body = changed;
            }
        }
        let signer = Signer::Cert(fixed().certs[actor][1].clone());
        let (scheme, key) = (self.scheme(), &fixed().keys[actor]);
        let (envelope, id) = seal(&scheme, key, &HEDGE, &body, signer, None);
        let digest = header_of(&body, &envelope.body.0, &envelope.signer).digest;
        self.append(actor, Entry::Statement { digest }, digest, Extra::None);
        assert!(lies || self.actors[actor].head == id, "a statement's entry has its identifier");
        let bytes = envelope.to_bytes();
        self.actors[actor].statement = Some(bytes.clone());
        bytes
    }

    /// What a trusted application does with the settlement that it was sent.
    fn apply(&mut self, actor: usize) {
        let Some((id, settlement)) = self.actors[actor].settlement.take() else { return };
        let made = &self.made;
        let state = &mut self.actors[actor];
        let funded =
            settlement.funding_total.minor() - state.funding_total.min(settlement.funding_total.minor());
        let mut refunded = Vec::new();
        for resolution in &settlement.resolutions {
            let known = made.iter().find(|made| made.id == resolution.payment);
            let open = !state.returned.contains(&resolution.payment);
            if let (Some(known), Outcome::Refunded, true) = (known, resolution.outcome, open) {
                state.balance += known.payment.amount.minor();
                state.returned.push(known.id);
                refunded.push(known.id);
            }
        }
        let mut returned = Vec::new();
        for (seq, minor) in state.defunded.iter().filter(|(seq, _)| *seq <= settlement.acked_seq) {
            if settlement.returned.contains(seq) {
                state.balance += minor;
                returned.push(*seq);
            }
        }
        state.defunded.retain(|(seq, _)| *seq > settlement.acked_seq);
        state.balance = (state.balance + funded).saturating_sub(settlement.paid_out.minor());
        state.funding_total = settlement.funding_total.minor();
        let gone = settlement.acked_seq.saturating_sub(state.acked_seq) as usize;
        state.entries.drain(..gone.min(state.entries.len()));
        (state.acked_seq, state.acked) = (settlement.acked_seq, settlement.acked);
        state.statement = None;
        self.append_unsigned(
            actor,
            Entry::Settled { settlement: id, funded: amount(funded), refunded, returned },
        );
    }

    fn check(&self) {
        self.office.audit();
        for (actor, state) in self.actors.iter().enumerate() {
            let key = fixed().keys[actor].public();
            if state.honest {
                let wallet = self.office.wallet(&key);
                let given_up_s = wallet.cert_until_s + self.office.rules.grace_s;
                let given_up = self.office.now_s >= given_up_s;
                let cases = self.office.cases().iter().filter(|(id, _)| *id == wallet.id);
                let case =
                    cases.map(|(_, reason)| *reason).find(|reason| !given_up || *reason != Reason::Overspent);
                assert_eq!(case, None, "actor {actor} did as it should");
                assert!(wallet.is_good() || wallet.is_closed() || given_up);
            }
        }
    }
}
