//! Attacks on the operator that fail, each named after what the attacker tries. The attackers have valid certificates
//! and elements that are broken: they sign whatever they like.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use counterfoil_operator::domain::policy::Policy;
use counterfoil_operator::domain::reason::Reason;
use counterfoil_ta::api::{Command, Reply};
use counterfoil_trust::{
    Misbehaviour, SigningKey, enrolment_binding, header_id, judge, key_id, open, seal, sha256,
};
use counterfoil_wire::cert::{Grade, Name, WalletCert};
use counterfoil_wire::header::{Envelope, Extra, Header, Purpose, Signer};
use counterfoil_wire::message::{Body, Decline, Payment, Receipt, Request};
use counterfoil_wire::proof::Proof;
use counterfoil_wire::sync::{Enrolment, Entry, FundOrder, Outcome, Settlement, Standing, Statement};
use counterfoil_wire::{Algorithm, Amount, Bytes, Code, Digest, KeyId, Nonce, PublicKey, Reference, Wire};
use support::{World, amount};

/// A wallet whose element is broken: a key and a valid certificate in the attacker's hands.
struct Broken {
    scheme: KeyId,
    key: SigningKey,
    cert: WalletCert,
    spent: Amount,
    balance: u64,
    funding: Amount,
    after: (u32, Digest),
    head: (u32, Digest),
    entries: Vec<Entry>,
    receipts: Vec<Bytes>,
    closed_below: u32,
    orders: u32,
    /// The certificate that it signs statements with; its bare key without one.
    shows: Option<WalletCert>,
}

impl Broken {
    fn enrol(world: &World, account: &str) -> Self {
        let key = new_key();
        let scheme = world.service.scheme().anchors.scheme;
        let binding = enrolment_binding("alpha", account, None);
        let (grade, name) = (Grade::VirtualSe, Name::default());
        let element = world.element(Grade::VirtualSe);
        let body = Enrolment { nonce: Nonce([1; 16]), grade, name, binding, element };
        let enrolment = seal(&scheme, &key, &[1; 32], &body, Signer::Key(key.public()), None).0.to_bytes();
        let answer = world.enrol("alpha", account, None, &enrolment).unwrap();
        let answer = open::<Settlement>(&answer).unwrap().body;
        Self {
            scheme,
            key,
            cert: answer.cert.unwrap(),
            spent: answer.spent_start.unwrap(),
            balance: 0,
            funding: Amount::ZERO,
            after: (0, Digest::NONE),
            head: (0, Digest::NONE),
            entries: Vec::new(),
            receipts: Vec::new(),
            closed_below: 0,
            orders: 0,
            shows: None,
        }
    }

    fn id(&self) -> KeyId {
        key_id(&self.key.public())
    }

    fn fund(&mut self, world: &World, minor: u64) {
        self.orders += 1;
        let body = FundOrder { number: self.orders, amount: amount(minor), reference: Reference([9; 32]) };
        let signer = Signer::Key(self.key.public());
        let order = seal(&self.scheme, &self.key, &[1; 32], &body, signer, None).0.to_bytes();
        world.service.fund(&order).unwrap();
        self.sync(world).unwrap();
    }

    /// A payment for a request, which the journal may then have or not.
    fn payment(&self, request: Digest, request_no: u32, payee: PublicKey, minor: u64) -> Bytes {
        let (seq, prev) = (self.head.0 + 1, self.head.1);
        let spent = self.spent.plus(amount(minor)).unwrap();
        let body = Payment { request, request_no, payee, amount: amount(minor), spent, seq, prev };
        let signer = Signer::Cert(self.cert.clone());
        Bytes(seal(&self.scheme, &self.key, &[1; 32], &body, signer, None).0.to_bytes())
    }

    fn pay(&self, request: &Bytes, minor: u64) -> Bytes {
        let request = open::<Request>(&request.0).unwrap();
        let payee = *request.envelope.signer.key();
        self.payment(request.id(&self.scheme), request.body.number, payee, minor)
    }

    fn write(&mut self, entry: Entry) {
        let (seq, prev) = (self.head.0 + 1, self.head.1);
        let id = match &entry {
            Entry::Payment { payment } => open::<Payment>(&payment.0).unwrap().id(&self.scheme),
            Entry::Receipt { payment } => {
                let digest = open::<Payment>(&payment.0).unwrap().id(&self.scheme);
                self.header(Purpose::Receipt, seq, prev, digest)
            }
            other => self.header(other.purpose(), seq, prev, sha256(&other.to_bytes())),
        };
        self.head = (seq, id);
        self.entries.push(entry);
    }

    /// A request of its own, and for a payment both answers.
    fn request(&self, minor: u64) -> Bytes {
        let request = Request {
            number: 7,
            nonce: Some(Nonce([7; 16])),
            amount: Some(amount(minor)),
            expiry_s: support::START_S + 600,
            revocation_no: 1,
            trust_no: 1,
        };
        self.seal(&request, Signer::Cert(self.cert.clone()))
    }

    fn both_answers(&self, payment: &Bytes) -> (Bytes, Bytes) {
        let payment = open::<Payment>(&payment.0).unwrap().id(&self.scheme);
        let signer = || Signer::Key(self.key.public());
        let receipt = Receipt { payment, seq: 40, prev: Digest::NONE };
        let decline = Decline { payment, reason: 319, seq: 41, prev: Digest::NONE };
        (self.seal(&receipt, signer()), self.seal(&decline, signer()))
    }

    fn seal<B: Body>(&self, body: &B, signer: Signer) -> Bytes {
        Bytes(seal(&self.scheme, &self.key, &[1; 32], body, signer, None).0.to_bytes())
    }

    fn header(&self, purpose: Purpose, seq: u32, prev: Digest, digest: Digest) -> Digest {
        let header = Header { purpose, key: self.key.public(), seq, prev, digest, extra: Extra::None };
        header_id(&self.scheme, &header)
    }

    fn sync(&mut self, world: &World) -> Result<Settlement, Code> {
        let body = Statement {
            seq: self.head.0 + 1,
            prev: self.head.1,
            after_seq: self.after.0,
            after_prev: self.after.1,
            entries: std::mem::take(&mut self.entries),
            receipts: std::mem::take(&mut self.receipts),
            proofs: Vec::new(),
            funded: amount(self.balance),
            received: Amount::ZERO,
            spent: self.spent,
            funding_total: self.funding,
            closed_below: self.closed_below,
            closed_before_s: 0,
            rules_no: 1,
            trust_no: 1,
            revocation_no: 1,
            pin_blocked: false,
            tamper: None,
            nonce: Nonce([2; 16]),
        };
        let signer = self.shows.clone().map_or(Signer::Key(self.key.public()), Signer::Cert);
        let (statement, id) = seal(&self.scheme, &self.key, &[1; 32], &body, signer, None);
        let settled = world.service.settle(&statement.to_bytes()).map_err(|refusal| refusal.code())?;
        let settled = open::<Settlement>(&settled).unwrap();
        (self.after, self.head) = ((body.seq, id), (body.seq, id));
        let funded = settled.body.funding_total.minus(self.funding).unwrap();
        let settlement = settled.id(&self.scheme);
        self.write(Entry::Settled { settlement, funded, refunded: Vec::new(), returned: Vec::new() });
        self.funding = settled.body.funding_total;
        self.balance += funded.minor();
        if let Some(cert) = settled.body.cert.clone() {
            self.cert = cert;
        }
        Ok(settled.body)
    }
}

fn new_key() -> SigningKey {
    SigningKey::generate(Algorithm::EdDsa, &mut |bytes| getrandom::fill(bytes).unwrap()).unwrap()
}

/// Who is accused, of what.
fn accused(world: &World) -> Vec<(String, Reason, bool)> {
    let cases = world.sound().cases;
    cases.into_iter().map(|case| (case.key_id, case.reason, case.revoked)).collect()
}

/// What the operator keeps as evidence against each key, as anybody may judge it.
fn proven(world: &World) -> Vec<(KeyId, Misbehaviour)> {
    let evidence = world.database.bytes("select evidence from misconduct").into_iter();
    let proofs = evidence.filter_map(|bytes| Proof::from_bytes(&bytes).ok());
    let anchors = &world.service.scheme().anchors;
    proofs.map(|proof| (key_id(&proof.cert.key), judge(anchors, &proof).unwrap())).collect()
}

#[test]
fn paying_from_two_branches_gives_a_proof_that_holds_for_anybody() {
    let world = World::new();
    let (mut ann, mut bob, mut dan) = (world.person("ann"), world.person("bob"), world.person("dan"));
    world.fund(&mut ann, 5_000);
    let mut twin = ann.copy();
    ann.pay_to(&mut bob, 4_000, false);
    twin.pay_to(&mut dan, 3_500, false);
    world.sync(&mut bob).unwrap();
    world.sync(&mut dan).unwrap();
    assert_eq!(proven(&world), [(ann.id(), Misbehaviour::Fork)]);
}

#[test]
fn two_statements_under_one_number_are_proof_whatever_certificate_they_show() {
    let shown: [fn(&WalletCert) -> Option<WalletCert>; 3] = [
        |_| None,
        |cert| Some(cert.clone()),
        |cert| Some(WalletCert { ceiling: Amount::MAX, ..cert.clone() }),
    ];
    for shows in shown {
        let world = World::new();
        let mut eve = Broken::enrol(&world, "eve");
        eve.fund(&world, 1_000);
        eve.shows = shows(&eve.cert);
        let (head, after, entries) = (eve.head, eve.after, eve.entries.clone());
        eve.sync(&world).unwrap();
        (eve.head, eve.after, eve.entries) = (head, after, entries);
        eve.closed_below = 9;
        eve.sync(&world).unwrap();
        assert_eq!(proven(&world), [(eve.id(), Misbehaviour::Fork)]);
    }
}

#[test]
fn a_receipt_and_a_decline_are_proof_in_whatever_order_the_payer_gets_them() {
    for receipt_first in [true, false] {
        let world = World::new();
        let mut ann = world.person("ann");
        let eve = Broken::enrol(&world, "eve");
        world.fund(&mut ann, 5_000);
        let payment = ann.pay(&eve.request(700)).unwrap();
        let (receipt, decline) = eve.both_answers(&payment);
        let mut answers = [Command::Confirm { receipt }, Command::Reclaim { decline }];
        if !receipt_first {
            answers.reverse();
        }
        ann.run(&answers[0]).unwrap();
        assert_eq!(ann.run(&answers[1]).unwrap_err(), Code::AlreadyResolved);
        world.sync(&mut ann).unwrap();
        assert_eq!(proven(&world), [(eve.id(), Misbehaviour::Equivocation)]);
        assert_eq!(accused(&world), [(eve.id().to_string(), Reason::Equivocated, true)]);
        assert!(!ann.is_suspended());
        world.sound();
    }
}

#[test]
fn a_receipt_and_a_decline_in_one_statement_are_proof_too() {
    let world = World::new();
    let mut mallory = Broken::enrol(&world, "mallory");
    let eve = Broken::enrol(&world, "eve");
    mallory.fund(&world, 1_000);
    let payment = mallory.pay(&eve.request(700), 700);
    let (receipt, decline) = eve.both_answers(&payment);
    let id = open::<Payment>(&payment.0).unwrap().id(&mallory.scheme);
    mallory.spent = mallory.spent.plus(amount(700)).unwrap();
    mallory.write(Entry::Payment { payment });
    mallory.write(Entry::Reclaim { payment: id, decline });
    mallory.receipts.push(receipt);
    mallory.sync(&world).unwrap();
    assert_eq!(proven(&world), [(eve.id(), Misbehaviour::Equivocation)]);
    world.sound();
}

#[test]
fn a_statement_wrapped_anew_by_somebody_else_is_no_rollback() {
    let world = World::new();
    let mut ann = world.person("ann");
    world.fund(&mut ann, 5_000);
    let statement = ann.message(&Command::Statement {}).unwrap();
    let settlement = world.service.settle(&statement.0).unwrap();
    let mut wrapped = Envelope::from_bytes(&statement.0).unwrap();
    wrapped.issuer = world.service.scheme().anchors.authorities().next().cloned();
    assert_ne!(wrapped.to_bytes(), statement.0);
    assert_eq!(world.service.settle(&wrapped.to_bytes()).unwrap(), settlement);
    ann.run(&Command::Settle { settlement: Bytes(settlement) }).unwrap();
    world.sync(&mut ann).unwrap();
    assert!(!ann.is_suspended());
    assert_eq!(accused(&world), []);
}

#[test]
fn a_payment_above_its_ceiling_does_not_poison_the_journal_of_who_declines_it() {
    let world = World::new();
    let mut bob = world.person("bob");
    let mut eve = Broken::enrol(&world, "eve");
    eve.fund(&world, 1_000);
    eve.spent = Amount::MAX.minus(amount(700)).unwrap();
    let request = bob.request(700);
    let payment = eve.pay(&request, 700);
    assert_eq!(bob.accept(&payment).unwrap_err(), Code::CeilingExceeded);
    bob.decline(&payment);
    world.sync(&mut bob).unwrap();
    assert!(!bob.is_suspended());
    assert_eq!(accused(&world), []);
}

#[test]
fn a_payment_left_out_of_the_journal_revokes_whichever_half_comes_first() {
    for payer_first in [true, false] {
        let world = World::new();
        let mut bob = world.person("bob");
        let mut eve = Broken::enrol(&world, "eve");
        eve.fund(&world, 5_000);
        let request = bob.request(5_000);
        let payment = eve.pay(&request, 5_000);
        bob.accept(&payment).unwrap();
        // In the payment's place stands a withdrawal of the same value.
        eve.write(Entry::Defund { amount: amount(5_000), reference: Reference([3; 32]) });
        eve.balance = 0;
        if payer_first {
            eve.sync(&world).unwrap();
            world.sync(&mut bob).unwrap();
        } else {
            world.sync(&mut bob).unwrap();
            eve.sync(&world).unwrap();
        }
        assert_eq!(accused(&world), [(eve.id().to_string(), Reason::Forked, true)]);
        let report = world.sound();
        // Where the value had left already, eve's PSP bears it; bob has his own in either case.
        let lost = if payer_first { 5_000 } else { 0 };
        assert_eq!((report.loss, report.offline, report.in_flight), (lost, 5_000, 0));
        assert_eq!(report.float_on_rail, Some(5_000));
    }
}

#[test]
fn a_withdrawal_is_not_made_twice_from_two_branches_of_a_journal() {
    let world = World::new();
    let mut ann = world.person("ann");
    world.fund(&mut ann, 5_000);
    ann.defund(100).unwrap();
    let mut twin = ann.copy();
    world.sync(&mut ann).unwrap();
    world.sync(&mut twin).unwrap();
    assert!(twin.is_suspended());
    let report = world.sound();
    assert_eq!((report.defunded, report.offline), (100, 4_900));
    assert!(report.cases.iter().any(|case| case.revoked));
}

#[test]
fn a_withdrawal_of_nothing_is_refused_as_invalid() {
    let world = World::new();
    let mut eve = Broken::enrol(&world, "eve");
    eve.fund(&world, 1_000);
    eve.write(Entry::Defund { amount: Amount::ZERO, reference: Reference([3; 32]) });
    assert_eq!(eve.sync(&world).unwrap().standing, Standing::Suspended);
    assert_eq!(accused(&world), [(eve.id().to_string(), Reason::Gap, false)]);
}

#[test]
fn a_payee_that_takes_what_it_closed_gets_nothing_and_is_revoked() {
    // The payer books its refund before the payee's claim, or after it.
    for booked_first in [true, false] {
        let world = World::new();
        let mut ann = world.person("ann");
        let mut eve = Broken::enrol(&world, "eve");
        world.fund(&mut ann, 5_000);
        let request = eve.request(700);
        let payment = ann.pay(&request).unwrap();
        world.sync(&mut ann).unwrap();
        eve.closed_below = 8;
        eve.sync(&world).unwrap();
        let Reply::Settled { refunded, .. } = world.sync(&mut ann).unwrap() else { panic!() };
        assert_eq!((refunded.len(), ann.balance()), (1, 5_000));
        if booked_first {
            world.sync(&mut ann).unwrap();
        }
        eve.write(Entry::Receipt { payment });
        eve.write(Entry::Defund { amount: amount(700), reference: Reference([3; 32]) });
        eve.sync(&world).unwrap();
        world.sync(&mut ann).unwrap();
        assert_eq!(accused(&world), [(eve.id().to_string(), Reason::Equivocated, true)]);
        let report = world.sound();
        assert_eq!((report.loss, report.offline, report.in_flight), (0, 5_000, 0));
        assert!(!ann.is_suspended());
    }
}

#[test]
fn a_payment_to_a_key_that_nobody_has_comes_to_rest() {
    let world = World::new();
    let mut eve = Broken::enrol(&world, "eve");
    eve.fund(&world, 1_000);
    let payment = eve.payment(Digest([5; 32]), 1, new_key().public(), 400);
    eve.spent = eve.spent.plus(amount(400)).unwrap();
    eve.balance -= 400;
    eve.write(Entry::Payment { payment });
    assert_eq!(eve.sync(&world).unwrap().resolutions, []);
    world.wait(400 * 86_400);
    let resolutions = eve.sync(&world).unwrap().resolutions;
    assert_eq!(resolutions.first().map(|resolution| resolution.outcome), Some(Outcome::Refunded));
    world.sound();
}

#[test]
fn a_suspended_wallet_that_accounts_for_more_than_it_had_does_not_unbalance_the_audit() {
    let world = World::new();
    let mut bob = world.person("bob");
    let mut eve = Broken::enrol(&world, "eve");
    eve.fund(&world, 1_000);
    let (head, after, entries) = (eve.head, eve.after, eve.entries.clone());
    eve.write(Entry::Defund { amount: Amount::ZERO, reference: Reference([3; 32]) });
    assert_eq!(eve.sync(&world).unwrap().standing, Standing::Suspended);
    // Suspended, and not revoked: bob's list does not name eve.
    (eve.head, eve.after, eve.entries) = (head, after, entries);
    let request = bob.request(5_000);
    let payment = eve.pay(&request, 5_000);
    bob.accept(&payment).unwrap();
    eve.spent = eve.spent.plus(amount(5_000)).unwrap();
    eve.write(Entry::Payment { payment });
    eve.balance = 0;
    eve.sync(&world).unwrap();
    world.sound();
    world.sync(&mut bob).unwrap();
    let report = world.sound();
    assert_eq!((report.loss, report.offline, report.float_on_rail), (4_000, 5_000, Some(5_000)));
}

#[test]
fn a_payee_that_declined_to_a_wallet_that_was_then_lost_and_claims_all_the_same_is_found_out() {
    let world = World::new();
    let mut ann = world.person("ann");
    let mut eve = Broken::enrol(&world, "eve");
    world.fund(&mut ann, 5_000);
    let request = Request {
        number: 7,
        nonce: Some(Nonce([7; 16])),
        amount: Some(amount(700)),
        expiry_s: support::START_S + 600,
        revocation_no: 1,
        trust_no: 1,
    };
    let signer = Signer::Cert(eve.cert.clone());
    let request = Bytes(seal(&eve.scheme, &eve.key, &[1; 32], &request, signer, None).0.to_bytes());
    let payment = ann.pay(&request).unwrap();
    world.sync(&mut ann).unwrap();
    // Declined on the spot, and reclaimed; the device is lost before it can tell.
    let id = open::<Payment>(&payment.0).unwrap().id(&eve.scheme);
    let decline =
        Decline { payment: id, reason: Code::HolderRefused.number(), seq: 9, prev: Digest([8; 32]) };
    let signer = Signer::Key(eve.key.public());
    let decline = Bytes(seal(&eve.scheme, &eve.key, &[1; 32], &decline, signer, None).0.to_bytes());
    ann.reclaim(&decline).unwrap();
    assert_eq!(ann.balance(), 5_000);
    let key = ann.id();
    world.service.close_wallet(None, &key).unwrap();
    // The payee is given up, the payment goes back and all is returned. Then the payee claims.
    world.wait(60 * 86_400);
    assert_eq!(world.jobs().closed_out, 5_000);
    eve.write(Entry::Receipt { payment });
    eve.balance = 700;
    eve.sync(&world).unwrap();
    assert_eq!((world.jobs().loss, accused(&world)), (700, vec![]));
    // The lost device turns up with the decline: both signatures are the payee's.
    world.sync(&mut ann).unwrap();
    let report = world.jobs();
    assert_eq!(accused(&world), [(eve.id().to_string(), Reason::Equivocated, true)]);
    assert_eq!((report.closed_out, report.loss, report.in_flight), (5_000, 700, 0));
}

#[test]
fn what_may_be_a_phones_fault_revokes_a_key_if_the_operator_chose_so() {
    for revokes in [false, true] {
        let world = World::new();
        let choose = |policy: &mut Policy| {
            Policy::CHOSEN.iter().for_each(|reason| assert!(policy.choose(*reason, revokes)));
        };
        let chosen = world.service.choose(choose).unwrap();
        assert_eq!(world.service.policy().unwrap(), chosen);
        // A gap.
        let mut eve = Broken::enrol(&world, "eve");
        eve.fund(&world, 1_000);
        eve.write(Entry::Defund { amount: Amount::ZERO, reference: Reference([3; 32]) });
        assert_eq!(eve.sync(&world).unwrap().standing, Standing::Suspended);
        // Put back to a state before something came: no two signatures contradict each other.
        let (mut ann, mut bob) = (world.person("ann"), world.person("bob"));
        world.fund(&mut ann, 5_000);
        world.fund(&mut bob, 5_000);
        let mut old = ann.copy();
        bob.pay_to(&mut ann, 4_000, false);
        world.sync(&mut ann).unwrap();
        world.sync(&mut old).unwrap();
        assert!(old.is_suspended());
        let mut expected = vec![
            (eve.id().to_string(), Reason::Gap, revokes),
            (ann.id().to_string(), Reason::RolledBack, revokes),
        ];
        expected.sort();
        let mut found = accused(&world);
        found.sort();
        assert_eq!(found, expected);
        assert_eq!(world.store().revocations().unwrap().len(), if revokes { 2 } else { 0 });
        world.sync(&mut bob).unwrap();
        let report = world.sound();
        assert_eq!((report.loss, report.offline), (0, 11_000));
    }
}

#[test]
fn a_gap_that_revokes_makes_what_the_wallet_owes_a_loss_at_once() {
    for revokes in [false, true] {
        let world = World::new();
        world.service.choose(|policy| assert!(policy.choose(Reason::Gap, revokes))).unwrap();
        let (mut eve, mut bob) = (Broken::enrol(&world, "eve"), world.person("bob"));
        let request = bob.request(700);
        bob.accept(&eve.pay(&request, 700)).unwrap();
        // Whoever has not synced may have received it.
        world.sync(&mut bob).unwrap();
        assert_eq!((accused(&world), world.sound().loss), (vec![], 0));
        eve.write(Entry::Defund { amount: Amount::ZERO, reference: Reference([3; 32]) });
        eve.sync(&world).unwrap();
        assert_eq!(accused(&world), [(eve.id().to_string(), Reason::Gap, revokes)]);
        assert_eq!(world.sound().loss, if revokes { 700 } else { 0 });
    }
}
