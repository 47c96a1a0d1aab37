//! Attacks that fail, each named by what the attacker does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use counterfoil_ta::api::{Command, PaymentState, Reply};
use counterfoil_trust::{SigningKey, judge, open, seal};
use counterfoil_wire::cert::{Grade, Name, Role, WalletCert};
use counterfoil_wire::header::{Envelope, Header, Purpose, Signer};
use counterfoil_wire::message::{Decline, Payment, Receipt, Request};
use counterfoil_wire::proof::{Gossip, Proof};
use counterfoil_wire::rules::{Limits, Preset};
use counterfoil_wire::sync::{Settlement, Standing, Statement};
use counterfoil_wire::{Algorithm, Bytes, Code, Currency, Digest, Wire};

use crate::support::{self, HEDGE, Operator, PIN, START_S, Wallet, World, amount, pin};

const DAY_S: u32 = 86_400;

fn world(edit: fn(&mut Limits)) -> World {
    let mut rules = Preset::Permissive.rules();
    rules.limits.iter_mut().for_each(edit);
    World::with_rules(rules)
}

/// A wallet whose element is broken: it signs whatever it likes under a genuine certificate.
struct Broken {
    key: SigningKey,
    cert: WalletCert,
}

impl Broken {
    fn new(w: &World, seed: u8) -> Self {
        let key = SigningKey::from_secret(Algorithm::EdDsa, &[seed; 32]).unwrap();
        let index = 500 + u32::from(seed);
        let cert = w.operator.issue(index, Grade::VirtualSe, key.public(), 100_500, Name::default());
        Self { key, cert }
    }

    fn payment(&self, w: &World, request: &Bytes, minor: u64, spent: u64, seq: u32) -> Bytes {
        let request = open::<Request>(&request.0).unwrap();
        let scheme = w.operator.anchors.scheme;
        let payment = Payment {
            request: request.id(&scheme),
            request_no: request.body.number,
            payee: request.header.key,
            amount: amount(minor),
            spent: amount(spent),
            seq,
            prev: Digest::NONE,
        };
        let signer = Signer::Cert(self.cert.clone());
        Bytes(seal(&scheme, &self.key, &HEDGE, &payment, signer, None).0.to_bytes())
    }

    fn receipt(&self, w: &World, payment: &Bytes, seq: u32) -> Bytes {
        let scheme = w.operator.anchors.scheme;
        let payment = open::<Payment>(&payment.0).unwrap().id(&scheme);
        let body = Receipt { payment, seq, prev: Digest::NONE };
        Bytes(seal(&scheme, &self.key, &HEDGE, &body, Signer::Key(self.key.public()), None).0.to_bytes())
    }

    fn decline(&self, w: &World, payment: &Bytes, seq: u32) -> Bytes {
        let scheme = w.operator.anchors.scheme;
        let payment = open::<Payment>(&payment.0).unwrap().id(&scheme);
        let body = Decline { payment, reason: Code::HolderRefused.number(), seq, prev: Digest::NONE };
        Bytes(seal(&scheme, &self.key, &HEDGE, &body, Signer::Key(self.key.public()), None).0.to_bytes())
    }

    fn request(&self, w: &World, edit: impl Fn(&mut Request)) -> Bytes {
        let mut request = Request {
            number: 1,
            nonce: Some(counterfoil_wire::Nonce([3; 16])),
            amount: Some(amount(100)),
            expiry_s: START_S + 3600,
            revocation_no: 1,
            trust_no: 1,
        };
        edit(&mut request);
        let signer = Signer::Cert(self.cert.clone());
        Bytes(seal(&w.operator.anchors.scheme, &self.key, &HEDGE, &request, signer, None).0.to_bytes())
    }
}

fn settle(wallet: &mut Wallet, settlement: &Bytes) -> Result<Reply, Code> {
    wallet.run(&Command::Settle { settlement: settlement.clone() })
}

/// The operator's answer to `statement`, edited.
fn settlement(w: &mut World, statement: &Bytes, edit: impl Fn(&mut Settlement)) -> Bytes {
    let answer = w.operator.settle(statement);
    let mut body = open::<Settlement>(&answer.0).unwrap().body;
    edit(&mut body);
    Bytes(w.operator.sign(&body).to_bytes())
}

fn statement(wallet: &mut Wallet) -> Bytes {
    wallet.message(&Command::Statement {}).unwrap()
}

// Limits across syncs.

#[test]
fn respending_staged_value_while_a_statement_is_pending() {
    let mut w = world(|l| l.respend_percent = 50);
    let pending = statement(&mut w.c);
    let request = w.c.request(Some(1_000));
    let payment = w.a.pay(&request, None, None).unwrap();
    w.c.accept(&payment).unwrap();
    let code = w.t.standing_request();
    w.c.pay(&code, Some(500), None).unwrap();
    let answer = w.operator.settle(&pending);
    settle(&mut w.c, &answer).unwrap();
    assert_eq!(
        w.c.show().spendable,
        amount(0),
        "the half was respent; the settlement does not cover the rest"
    );
    assert_eq!(w.c.pay(&code, Some(1), None), Err(Code::RespendShare));
    w.operator.sync(&mut w.c);
    w.c.pay(&code, Some(500), None).unwrap();
}

#[test]
fn laundering_staged_value_by_reclaim_or_defunding() {
    let mut w = world(|l| l.respend_percent = 50);
    let request = w.c.request(Some(1_000));
    let payment = w.a.pay(&request, None, None).unwrap();
    w.c.accept(&payment).unwrap();
    let back = w.b.request(Some(500));
    let payment = w.c.pay(&back, None, None).unwrap();
    let decline = w.b.decline(&payment).unwrap();
    w.c.reclaim(&decline).unwrap();
    let show = w.c.show();
    assert_eq!((show.funded, show.received), (amount(0), amount(1_000)), "back where it came from");
    let code = w.t.standing_request();
    assert_eq!(w.c.pay(&code, Some(1), None), Err(Code::RespendShare), "the counter is not restored");
}

#[test]
fn paying_without_pin_beyond_the_total_by_a_pin_and_a_late_settlement() {
    let mut w = world(|l| (l.no_pin_total_max, l.no_pin_max) = (amount(1_000), amount(1_000)));
    let code = w.t.standing_request();
    w.a.pay(&code, Some(900), None).unwrap();
    let pending = statement(&mut w.a);
    w.a.pay(&code, Some(1), Some(PIN)).unwrap();
    w.a.pay(&code, Some(1_000), None).unwrap();
    let answer = w.operator.settle(&pending);
    settle(&mut w.a, &answer).unwrap();
    assert_eq!(w.a.pay(&code, Some(900), None), Err(Code::PinRequired), "all of it came after the statement");
}

#[test]
fn emptying_a_window_with_a_settlement_that_was_kept_back() {
    let mut w = world(|l| l.window_count_max = 1);
    let code = w.t.standing_request();
    let pending = statement(&mut w.a);
    let kept_back = w.operator.settle(&pending);
    // The next day, told by a list.
    w.set_time(START_S + DAY_S);
    let key = w.c.show().key;
    w.operator.revoke(&key);
    let list = w.operator.revocation_list();
    let gossip = Gossip { revocation: Some(list), trust: None, proofs: vec![], headers: vec![] };
    w.a.run(&Command::GossipIn { gossip: Bytes(gossip.to_message()) }).unwrap();
    w.a.pay(&code, Some(1), None).unwrap();
    assert_eq!(w.a.pay(&code, Some(1), None), Err(Code::WindowCount));
    settle(&mut w.a, &kept_back).unwrap();
    assert_eq!(w.a.pay(&code, Some(1), None), Err(Code::WindowCount), "yesterday does not come back");
    w.operator.sync(&mut w.a);
    assert_eq!(w.a.pay(&code, Some(1), None), Err(Code::WindowCount));
}

#[test]
fn evading_the_holding_limit_by_ordering_first() {
    let mut w = world(|l| l.balance_max = amount(50_000));
    let reference = w.c.reference();
    let order = w.c.message(&Command::FundOrder { amount: amount(50_000), reference }).unwrap();
    let request = w.c.request(Some(1));
    let payment = w.a.pay(&request, None, None).unwrap();
    assert_eq!(w.c.accept(&payment), Err(Code::BalanceTooLarge), "the order takes its room");
    w.operator.take_order(&order);
    w.operator.sync(&mut w.c);
    assert_eq!(w.c.balance(), 50_000);
}

#[test]
fn trying_pins_across_syncs_and_power_cuts() {
    let mut w = World::new();
    let request = w.b.request(Some(6_000));
    for tries in (0..3).rev() {
        let device = w.a.device.clone();
        // The power is cut right after the try is used up, and before the answer.
        device.cut.set(Some((device.commits.get() + 1, support::Cut::After)));
        assert_eq!(w.a.pay(&request, None, Some("0000")), Err(Code::StoreFailed));
        w.a.reopen();
        w.operator.sync(&mut w.a);
        assert_eq!(w.a.show().pin_tries, Some(tries));
    }
    assert_eq!(w.a.pay(&request, None, Some(PIN)), Err(Code::PinBlocked));
    let reference = w.a.reference();
    let defund = Command::Defund { amount: amount(1), pin: Some(pin(PIN)), reference };
    assert_eq!(w.a.run(&defund), Err(Code::PinBlocked));
}

// Two owners or none.

#[test]
fn a_suspended_wallet_gets_back_what_it_paid_after_its_statement() {
    let mut w = World::new();
    let pending = statement(&mut w.a);
    let request = w.b.request(Some(5_000));
    let payment = w.a.pay(&request, None, None).unwrap();
    w.b.accept(&payment).unwrap();
    let answer = settlement(&mut w, &pending, |s| {
        (s.standing, s.balance) = (Standing::Suspended, Some(amount(50_000)));
    });
    settle(&mut w.a, &answer).unwrap();
    assert_eq!(w.a.balance() + w.b.balance(), 100_000);
}

#[test]
fn two_payers_with_one_code() {
    let mut w = World::new();
    let request = w.c.request(Some(1_000));
    let first = w.a.pay(&request, None, None).unwrap();
    let second = w.b.pay(&request, None, None).unwrap();
    w.c.accept(&first).unwrap();
    let Ok(Reply::Declined { decline, reason, .. }) = w.c.run(&Command::Accept { payment: second }) else {
        panic!("not declined")
    };
    assert_eq!(reason, Code::RequestClosed.number());
    assert_eq!(w.a.reclaim(&decline), Err(Code::PaymentUnknown), "it is the other's");
    w.b.reclaim(&decline).unwrap();
    assert_eq!((w.a.balance(), w.b.balance(), w.c.balance()), (49_000, 50_000, 1_000));
}

#[test]
fn receipt_and_decline_for_one_payment() {
    let mut w = World::new();
    for (receipt_first, seq) in [(true, 1), (false, 3)] {
        let cheat = Broken::new(&w, 60 + seq as u8);
        let request = cheat.request(&w, |r| r.number = seq);
        let before = w.a.balance();
        let payment = w.a.pay(&request, None, None).unwrap();
        let receipt = cheat.receipt(&w, &payment, seq);
        let decline = cheat.decline(&w, &payment, seq + 1);
        if receipt_first {
            w.a.confirm(&receipt).unwrap();
            assert_eq!(w.a.reclaim(&decline), Err(Code::AlreadyResolved));
            assert_eq!(w.a.balance(), before - 100);
        } else {
            w.a.reclaim(&decline).unwrap();
            assert_eq!(w.a.confirm(&receipt), Err(Code::AlreadyResolved));
            assert_eq!(w.a.balance(), before);
        }
        let halves = (open::<Receipt>(&receipt.0).unwrap(), open::<Decline>(&decline.0).unwrap());
        let (first, second) = (halves.0.signed_header(), halves.1.signed_header());
        let proof = Proof { cert: cheat.cert.clone(), first, second };
        judge(&w.operator.anchors, &proof).expect("the cheat has proved it itself");
        assert!(w.a.show().cheats.contains(&cheat.key.public()), "and it is kept");
    }
}

#[test]
fn a_terminals_receipt_after_its_decline() {
    let mut w = World::new();
    let mut cheat = Broken::new(&w, 60);
    cheat.cert = w.operator.issue(560, Grade::Terminal, cheat.key.public(), 0, Name::new("Shop").unwrap());
    let payment = w.a.pay(&cheat.request(&w, |_| {}), None, None).unwrap();
    assert_eq!(w.a.reclaim(&cheat.decline(&w, &payment, 1)), Err(Code::DeclineNeedsOperator));
    assert!(w.a.show().cheats.is_empty());
    w.a.reopen();
    w.a.confirm(&cheat.receipt(&w, &payment, 2)).unwrap();
    assert_eq!(w.a.show().cheats, vec![cheat.key.public()]);
    let next = statement(&mut w.a);
    let proofs = open::<Statement>(&next.0).unwrap().body.proofs;
    judge(&w.operator.anchors, &Proof::from_bytes(&proofs[0].0).unwrap()).unwrap();
}

#[test]
fn a_denied_receipt() {
    let mut w = World::new();
    let request = w.b.request(Some(1_000));
    let payment = w.a.pay(&request, None, None).unwrap();
    w.b.accept(&payment).unwrap();
    // The payee's host keeps the receipt back and asks for a decline instead; then both sync.
    assert_eq!(w.b.decline(&payment), Err(Code::AlreadyAccepted));
    w.operator.sync(&mut w.b);
    w.operator.sync(&mut w.a);
    assert_eq!(w.a.balance(), 49_000);
    assert!(w.a.show().payments.is_empty(), "confirmed by the operator, and gone");
}

#[test]
fn a_receipt_lost_between_statement_and_settlement() {
    let mut w = World::new();
    let request = w.b.request(Some(1_000));
    let payment = w.a.pay(&request, None, None).unwrap();
    let receipt = w.b.accept(&payment).unwrap();
    let pending = statement(&mut w.a);
    w.a.confirm(&receipt).unwrap();
    let answer = w.operator.settle(&pending);
    settle(&mut w.a, &answer).unwrap();
    let next = statement(&mut w.a);
    assert_eq!(open::<Statement>(&next.0).unwrap().body.receipts, vec![receipt], "the operator hears of it");
    let answer = w.operator.settle(&next);
    settle(&mut w.a, &answer).unwrap();
    assert!(w.a.show().payments.is_empty());
}

#[test]
fn paying_a_one_time_request_twice() {
    let mut w = World::new();
    let cheat = Broken::new(&w, 61);
    let request = cheat.request(&w, |_| {});
    let payment = w.a.pay(&request, None, None).unwrap();
    // Signed again, with another signature over the same request.
    let opened = open::<Request>(&request.0).unwrap();
    let scheme = w.operator.anchors.scheme;
    let signer = Signer::Cert(cheat.cert.clone());
    let again = Bytes(seal(&scheme, &cheat.key, &[9; 32], &opened.body, signer, None).0.to_bytes());
    assert_ne!(again, request);
    assert_eq!(w.a.pay(&again, None, None).unwrap(), payment);
    assert_eq!(w.a.pay(&request, Some(200), None), Err(Code::AmountFixed));
    let receipt = cheat.receipt(&w, &payment, 1);
    w.a.confirm(&receipt).unwrap();
    assert_eq!(w.a.pay(&request, None, None).unwrap(), payment);
    assert_eq!(w.a.balance(), 49_900);
    // One that never ends could not be remembered for ever.
    let endless = cheat.request(&w, |r| (r.number, r.expiry_s) = (2, 0));
    assert_eq!(w.a.pay(&endless, None, None), Err(Code::ValueOutOfRange));
}

#[test]
fn tapping_again_replaying_and_reordering() {
    let mut w = World::new();
    let request = w.b.request(Some(1_000));
    let payment = w.a.pay(&request, None, None).unwrap();
    let receipt = w.b.accept(&payment).unwrap();
    for _ in 0..3 {
        assert_eq!(w.a.pay(&request, None, None).unwrap(), payment);
        assert_eq!(w.b.accept(&payment).unwrap(), receipt);
        w.b.reopen();
        w.operator.sync(&mut w.b);
    }
    w.a.confirm(&receipt).unwrap();
    w.operator.sync(&mut w.a);
    assert_eq!(w.a.confirm(&receipt), Err(Code::PaymentUnknown));
    assert_eq!((w.a.balance(), w.b.balance()), (49_000, 51_000));
}

#[test]
fn a_settlement_copied_to_a_clone_or_replayed() {
    let mut w = World::new();
    let reference = w.c.reference();
    let order = w.c.message(&Command::FundOrder { amount: amount(700), reference }).unwrap();
    w.operator.take_order(&order);
    let pending = statement(&mut w.c);
    let answer = w.operator.settle(&pending);
    assert_eq!(settle(&mut w.a, &answer), Err(Code::SettlementMismatch));
    settle(&mut w.c, &answer).unwrap();
    for _ in 0..2 {
        assert!(matches!(settle(&mut w.c, &answer), Ok(Reply::Settled { again: true, .. })));
        let _ = statement(&mut w.c);
        let sent = w.c.show().funded;
        assert_eq!(sent, amount(700));
    }
    w.operator.sync(&mut w.c);
    let old = settle(&mut w.c, &answer);
    assert!(matches!(old, Err(Code::NothingToSettle | Code::SettlementMismatch)));
    assert_eq!(w.c.balance(), 700);
}

#[test]
fn a_clone_that_pays_elsewhere() {
    let mut w = World::new();
    let records = w.a.snapshot();
    let mut clone = Wallet::new(99);
    clone.restore(records);
    let (to_b, to_c) = (w.b.request(Some(700)), w.c.request(Some(800)));
    let first = w.a.pay(&to_b, None, None).unwrap();
    let second = clone.pay(&to_c, None, None).unwrap();
    w.b.accept(&first).unwrap();
    w.c.accept(&second).unwrap();
    let cheat = w.a.show().key;
    assert_eq!(w.b.gossip_to(&mut w.c).unwrap(), vec![cheat]);
    let again = w.c.request(Some(1));
    let payment = clone.pay(&again, None, None).unwrap();
    assert_eq!(w.c.accept(&payment), Err(Code::ProvenCheat));
}

#[test]
fn a_rollback_behind_a_counter_signs_nothing() {
    let mut w = World::new();
    let request = w.b.request(Some(5));
    let payment = w.a.pay(&request, None, None).unwrap();
    w.b.device.stale.set(true);
    assert_eq!(w.b.accept(&payment), Err(Code::StaleState));
    assert_eq!(w.b.decline(&payment), Err(Code::StaleState));
    let old = w.a.snapshot();
    w.a.restore(old);
    w.a.device.stale.set(true);
    for command in [Command::Statement {}, Command::GossipOut { room: 100 }] {
        assert_eq!(w.a.run(&command), Err(Code::StaleState));
    }
}

// Altered, misdirected, swapped.

#[test]
fn an_altered_amount_addressee_or_request() {
    let mut w = World::new();
    let request = w.b.request(None);
    let payment = w.a.pay(&request, Some(1_000), None).unwrap();
    let (b, c) = (w.b.show().key, w.c.show().key);
    let edits: [&dyn Fn(&mut Payment); 5] = [
        &|p| p.amount = amount(2_000),
        &|p| p.spent = amount(p.spent.minor() + 1),
        &|p| p.seq += 1,
        &|p| p.request_no += 1,
        &|p| p.payee = c,
    ];
    for edit in edits {
        let mut envelope = Envelope::from_bytes(&payment.0).unwrap();
        let mut body = Payment::from_bytes(&envelope.body.0).unwrap();
        edit(&mut body);
        let wallet = if body.payee == b { &mut w.b } else { &mut w.c };
        envelope.body = Bytes(body.to_bytes());
        assert_eq!(wallet.accept(&Bytes(envelope.to_bytes())), Err(Code::BadSignature));
    }
    assert_eq!(w.c.accept(&payment), Err(Code::NotAddressedHere));
    w.b.accept(&payment).unwrap();
}

#[test]
fn a_swapped_code_shows_the_thiefs_name() {
    let mut w = World::new();
    let genuine = w.t.standing_request();
    let thief = Broken::new(&w, 62);
    let mut envelope = Envelope::from_bytes(&genuine.0).unwrap();
    envelope.signer = Signer::Cert(thief.cert.clone());
    assert_eq!(w.a.pay(&Bytes(envelope.to_bytes()), Some(5), None), Err(Code::BadSignature));
    // With the thief's own request the payment names the thief, and only the thief can take it.
    let swapped = thief.request(&w, |_| {});
    let payment = w.a.pay(&swapped, None, None).unwrap();
    assert_eq!(w.t.accept(&payment), Err(Code::NotAddressedHere));
    assert_eq!(w.a.show().payments[0].peer_name, Name::default(), "not the shop's");
}

#[test]
fn another_currency() {
    let mut w = World::new();
    let foreign = |w: &World, key: &SigningKey| {
        let mut cert = w.operator.issue(90, Grade::VirtualSe, key.public(), 1_000_000, Name::default());
        cert.currency = Currency::INR;
        let issuer_key = SigningKey::from_secret(Algorithm::EdDsa, &[3; 32]).unwrap();
        counterfoil_trust::x509::issue_wallet(cert, &issuer_key, w.operator.issuer(Algorithm::EdDsa), &HEDGE)
    };
    let mut rupees = Broken::new(&w, 63);
    rupees.cert = foreign(&w, &rupees.key);
    let request = w.b.request(Some(100));
    let payment = rupees.payment(&w, &request, 100, 70_000, 1);
    assert_eq!(w.b.accept(&payment), Err(Code::WrongCurrency));
    let request = rupees.request(&w, |_| {});
    assert_eq!(w.a.pay(&request, None, None), Err(Code::WrongCurrency));
}

#[test]
fn another_algorithm_or_another_purpose() {
    let mut w = World::new();
    let request = w.b.request(Some(1_000));
    let payment = w.a.pay(&request, None, None).unwrap();
    // EdDSA named ES256, and the reverse: byte 3 of the protected header follows `d2 84 43 a1 01`.
    let at = payment.0.windows(4).position(|bytes| bytes == [0x43, 0xa1, 0x01, 0x27]).unwrap();
    let mut downgraded = payment.0.clone();
    downgraded[at + 3] = 0x26;
    assert_eq!(w.b.accept(&Bytes(downgraded)), Err(Code::UnsupportedAlgorithm));
    // A signature for one purpose under another.
    let mut envelope = Envelope::from_bytes(&request.0).unwrap();
    envelope.purpose = Purpose::Payment;
    assert!(w.b.run(&Command::Accept { payment: Bytes(envelope.to_bytes()) }).is_err());
    // A wallet's key where the operator's belongs.
    let pending = statement(&mut w.a);
    let answer = w.operator.settle(&pending);
    let body = open::<Settlement>(&answer.0).unwrap().body;
    let cheat = Broken::new(&w, 64);
    let scheme = w.operator.anchors.scheme;
    let signed = seal(&scheme, &cheat.key, &HEDGE, &body, Signer::Key(cheat.key.public()), None).0;
    assert_eq!(settle(&mut w.a, &Bytes(signed.to_bytes())), Err(Code::WrongRole));
    // The root's key is no signer, and a request is no journal entry.
    let by_root = w.operator.sign_by_root(&body);
    assert_eq!(settle(&mut w.a, &Bytes(by_root.to_bytes())), Err(Code::WrongRole));
    let (first, second) = (w.c.request(Some(1)), w.c.request(Some(2)));
    let halves = [first, second].map(|bytes| open::<Request>(&bytes.0).unwrap().signed_header());
    let [mut first, second] = halves;
    first.header = Header { seq: second.header.seq, ..first.header };
    let cert = w.c.show().cert.unwrap();
    let proof = Proof { cert, first, second };
    assert_eq!(judge(&w.operator.anchors, &proof).unwrap_err().code, Code::NotAProof);
}

// Time.

#[test]
fn the_clock_turned_back_or_forward() {
    let mut w = World::new();
    let request = w.b.request(Some(10));
    let payment = w.a.pay(&request, None, None).unwrap();
    // Back: the bound stands. Forward: refused, and forgotten as soon as the clock is right.
    for payee in [START_S + 15 * DAY_S, u32::MAX] {
        w.b.device.now_s.set(payee);
        assert_eq!(w.b.accept(&payment), Err(Code::CertificateExpired));
    }
    w.b.device.now_s.set(0);
    w.b.accept(&payment).unwrap();
    let request = w.t.standing_request();
    w.a.device.now_s.set(START_S + 20 * DAY_S);
    assert_eq!(w.a.pay(&request, Some(1), None), Err(Code::OwnCertificateExpired));
    w.a.device.now_s.set(0);
    w.a.pay(&request, Some(1), None).unwrap();
}

#[test]
fn requests_made_while_the_clock_ran_ahead_stay_open_for_ever() {
    let mut w = World::new();
    w.b.device.now_s.set(START_S + 10 * DAY_S);
    let made_ahead = w.b.request(Some(1_000));
    w.b.device.now_s.set(START_S);
    let payment = w.a.pay(&made_ahead, None, None).unwrap();
    w.operator.sync(&mut w.b);
    w.operator.sync(&mut w.a);
    assert_eq!(w.a.balance(), 50_000, "closed, and given back");
    assert_eq!(w.b.accept(&payment), Err(Code::RequestClosed));
    let fresh = w.b.request(Some(1));
    w.operator.sync(&mut w.b);
    let payment = w.a.pay(&fresh, None, None).unwrap();
    w.b.accept(&payment).expect("a sync does not close what is fresh");
}

#[test]
fn poisoned_time_in_a_settlement_is_set_right_by_the_next() {
    let mut w = World::new();
    w.operator.now_s = START_S + 13 * DAY_S;
    w.operator.sync(&mut w.b);
    w.operator.now_s = START_S;
    assert_eq!(w.b.show().time_bound_s, START_S + 13 * DAY_S);
    w.operator.sync(&mut w.b);
    assert_eq!(w.b.show().time_bound_s, START_S);
    let request = w.b.request(Some(1));
    let payment = w.a.pay(&request, None, None).unwrap();
    w.b.accept(&payment).unwrap();
}

#[test]
fn a_certificate_that_expires_in_mid_payment() {
    let mut w = World::new();
    w.set_time(START_S + 14 * DAY_S);
    let request = w.t.standing_request();
    let payment = w.a.pay(&request, Some(100), None).unwrap();
    w.set_time(START_S + 14 * DAY_S + 1);
    assert_eq!(w.t.accept(&payment), Err(Code::CertificateExpired));
    for _ in 0..3 {
        w.operator.sync(&mut w.t);
        w.operator.sync(&mut w.a);
    }
    assert_eq!((w.a.balance(), w.t.balance()), (50_000, 0), "closed by time, and given back");
    assert_eq!(w.t.accept(&payment), Err(Code::CertificateExpired));
    assert_eq!(w.t.decline(&payment), Err(Code::CertificateExpired));
}

#[test]
fn a_stale_revocation_list() {
    let mut w = World::new();
    let old = w.operator.revocation_list();
    let key = w.a.show().key;
    w.operator.revoke(&key);
    w.operator.sync(&mut w.b);
    let gossip = Gossip { revocation: Some(old), trust: None, proofs: vec![], headers: vec![] };
    let learnt = w.b.run(&Command::GossipIn { gossip: Bytes(gossip.to_message()) }).unwrap();
    assert!(matches!(learnt, Reply::Learnt { revocation_new: false, .. }));
    let request = w.b.request(Some(1));
    let payment = w.a.pay(&request, None, None).unwrap();
    assert_eq!(w.b.accept(&payment), Err(Code::CertificateRevoked));
}

// Gossip.

/// Two receipts with one number: a fork, under whatever certificate.
fn fork(operator: &Operator, key: &SigningKey, cert: WalletCert) -> Proof {
    let half = |seq| {
        let body = Receipt { payment: Digest([seq as u8; 32]), seq: 1, prev: Digest::NONE };
        let sealed = seal(&operator.anchors.scheme, key, &HEDGE, &body, Signer::Key(key.public()), None).0;
        open::<Receipt>(&sealed.to_bytes()).unwrap().signed_header()
    };
    Proof { cert, first: half(1), second: half(2) }
}

fn proof_of(operator: &Operator, cheat: &Broken) -> Proof {
    fork(operator, &cheat.key, cheat.cert.clone())
}

fn tell(wallet: &mut Wallet, proofs: Vec<Proof>) -> Result<Reply, Code> {
    let gossip = Gossip { revocation: None, trust: None, proofs, headers: vec![] };
    wallet.run(&Command::GossipIn { gossip: Bytes(gossip.to_message()) })
}

#[test]
fn poisoned_gossip_about_keys_that_nobody_certified() {
    let mut w = World::new();
    let cheat = Broken::new(&w, 200);
    let made_up = SigningKey::from_secret(Algorithm::EdDsa, &[201; 32]).unwrap();
    // A made-up key under a genuine certificate of another, with the key changed, or under a made-up issuer.
    let of_another = fork(&w.operator, &made_up, cheat.cert.clone());
    assert_eq!(
        tell(&mut w.b, vec![of_another.clone()]),
        Err(Code::BadSignature),
        "read under the certificate's key"
    );
    assert_eq!(judge(&w.operator.anchors, &of_another).unwrap_err().code, Code::NotAProof);
    let changed = WalletCert { key: made_up.public(), ..cheat.cert.clone() };
    assert_eq!(tell(&mut w.b, vec![fork(&w.operator, &made_up, changed.clone())]), Err(Code::BadCertificate));
    let issuer = counterfoil_trust::key_id(&made_up.public());
    let unknown = fork(&w.operator, &made_up, WalletCert { issuer, ..changed });
    assert_eq!(judge(&w.operator.anchors, &unknown).unwrap_err().code, Code::UnknownIssuer);
    // An authority that issues nothing.
    let signer = w.operator.anchors.authorities().find(|a| a.role == Role::Signer).unwrap();
    let issuer = counterfoil_trust::key_id(&signer.key);
    let by_signer = fork(&w.operator, &cheat.key, WalletCert { issuer, ..cheat.cert.clone() });
    assert_eq!(tell(&mut w.b, vec![by_signer]), Err(Code::IssuerNotPermitted));
    assert!(w.b.show().cheats.is_empty());
    // Whose issuer is unknown is passed over; what stands beside it counts.
    let learnt = tell(&mut w.b, vec![unknown, proof_of(&w.operator, &cheat)]).unwrap();
    assert!(matches!(learnt, Reply::Learnt { cheats, .. } if cheats == [cheat.key.public()]));
    assert_eq!(w.b.show().cheats, vec![cheat.key.public()]);
}

#[test]
fn an_expired_certificate_proves_as_well_and_a_terminals_too() {
    let mut w = World::new();
    let cheat = Broken::new(&w, 200);
    w.set_time(START_S + 60 * DAY_S);
    tell(&mut w.b, vec![proof_of(&w.operator, &cheat)]).unwrap();
    let key = SigningKey::from_secret(Algorithm::EdDsa, &[201; 32]).unwrap();
    let name = Name::new("Shop").unwrap();
    let terminal = Broken { cert: w.operator.issue(700, Grade::Terminal, key.public(), 0, name), key };
    tell(&mut w.b, vec![proof_of(&w.operator, &terminal)]).unwrap();
    assert_eq!(w.b.show().cheats.len(), 2);
}

#[test]
fn poisoned_gossip_that_fills_the_memory_for_proofs() {
    let mut w = World::new();
    let cheats: Vec<Broken> = (0..80u8)
        .map(|n| {
            // The fourth ends soonest.
            w.operator.now_s = if n == 3 { START_S - 1 } else { START_S + 60 * u32::from(n) };
            Broken::new(&w, 100 + n)
        })
        .collect();
    for session in cheats[..64].chunks(8) {
        let proofs = session.iter().map(|cheat| proof_of(&w.operator, cheat)).collect();
        tell(&mut w.b, proofs).unwrap();
    }
    let key = |n: usize| cheats[n].key.public();
    assert_eq!(w.b.show().cheats.len(), 64);
    tell(&mut w.b, vec![proof_of(&w.operator, &cheats[64])]).unwrap();
    let held = w.b.show().cheats;
    assert_eq!(held.len(), 64, "no more are kept");
    assert!(held.contains(&key(64)) && !held.contains(&key(3)), "what ends soonest makes room");
    assert!(held.contains(&key(0)));
    let proofs = cheats[65..73].iter().map(|cheat| proof_of(&w.operator, cheat)).collect();
    tell(&mut w.b, proofs).unwrap();
    // What is found here is kept as well.
    let (first, second) = (w.b.request(Some(10)), w.b.request(Some(20)));
    let found = &cheats[79];
    let (first, second) = (found.payment(&w, &first, 10, 1_000, 1), found.payment(&w, &second, 20, 1_000, 2));
    w.b.device.now_s.set(w.operator.now_s);
    w.b.accept(&first).unwrap();
    assert_eq!(w.b.accept(&second), Err(Code::ProvenCheat));
    let held = w.b.show().cheats;
    assert!(held.len() == 64 && held.contains(&key(72)) && held.contains(&key(79)));
    assert!((0..10).all(|n| n == 3 || !held.contains(&key(n))) && held.contains(&key(10)));
}

#[test]
fn a_header_handed_on_is_proven_with_the_payers_newest_certificate() {
    let mut w = World::new();
    let mut cheat = Broken::new(&w, 200);
    let certs = |wallet: &Wallet| wallet.snapshot().keys().filter(|key| key[0] == b'c').count();
    let code = w.b.standing_request();
    let old = cheat.payment(&w, &code, 10, 1_000, 1);
    w.set_time(START_S + DAY_S);
    cheat.cert = w.operator.issue(700, Grade::VirtualSe, cheat.key.public(), 100_500, Name::default());
    let new = cheat.payment(&w, &code, 10, 1_010, 2);
    for payment in [&new, &old] {
        w.b.accept(payment).unwrap();
    }
    assert_eq!(certs(&w.b), 1);
    // In conflict with the first; it reaches c, and b hears of its header.
    let elsewhere = w.c.request(Some(10));
    let forked = cheat.payment(&w, &elsewhere, 10, 5_000, 1);
    w.c.accept(&forked).unwrap();
    assert_eq!(w.c.gossip_to(&mut w.b).unwrap(), vec![cheat.key.public()]);
    let gossip = w.b.message(&Command::GossipOut { room: 60_000 }).unwrap();
    let proofs = Gossip::from_message(&gossip.0).unwrap().proofs;
    assert_eq!(proofs.len(), 1);
    assert_eq!(proofs[0].cert, cheat.cert, "the newest, though the older came last");
    judge(&w.operator.anchors, &proofs[0]).unwrap();
}

#[test]
fn certificates_of_payers_fill_the_memory() {
    let mut w = World::new();
    let certs = |wallet: &Wallet| wallet.snapshot().keys().filter(|key| key[0] == b'c').count();
    for seed in 100..105 {
        let payer = Broken::new(&w, seed);
        let request = w.b.request(Some(10));
        w.b.accept(&payer.payment(&w, &request, 10, 1_000, 1)).unwrap();
    }
    let request = w.b.request(Some(10));
    let payment = w.a.pay(&request, None, None).unwrap();
    w.b.decline(&payment).unwrap();
    assert_eq!(certs(&w.b), 6);
    for day in [20, 21, 22] {
        w.set_time(START_S + day * DAY_S);
        w.operator.sync(&mut w.b);
    }
    assert_eq!(certs(&w.b), 0, "they go with the headers");
    assert!(!w.b.snapshot().keys().any(|key| key[0] == b'h'));
}

#[test]
fn poisoned_gossip_against_an_honest_wallet() {
    let mut w = World::new();
    let (first, second) = (w.b.request(Some(10)), w.c.request(Some(20)));
    let (p, q) = (w.a.pay(&first, None, None).unwrap(), w.a.pay(&second, None, None).unwrap());
    w.b.accept(&p).unwrap();
    let halves = [p, q].map(|bytes| open::<Payment>(&bytes.0).unwrap().signed_header());
    let [first, second] = halves;
    let cert = w.a.show().cert.unwrap();
    let proof = |edit: &dyn Fn(&mut Header)| {
        let mut second = second.clone();
        edit(&mut second.header);
        Proof { cert: cert.clone(), first: first.clone(), second }
    };
    assert_eq!(tell(&mut w.b, vec![proof(&|_| {})]), Err(Code::NotAProof));
    assert_eq!(tell(&mut w.b, vec![proof(&|h| h.seq = first.header.seq)]), Err(Code::BadSignature));
    // The same header, signed once more, is the same header.
    let same = Proof { cert: cert.clone(), first: first.clone(), second: first.clone() };
    assert_eq!(tell(&mut w.b, vec![same]), Err(Code::NotAProof));
    let gossip = Gossip { revocation: None, trust: None, proofs: vec![], headers: vec![first, second] };
    let learnt = w.b.run(&Command::GossipIn { gossip: Bytes(gossip.to_message()) }).unwrap();
    assert!(matches!(learnt, Reply::Learnt { cheats, .. } if cheats.is_empty()));
}

// Exhaustion.

#[test]
fn a_journal_filled_with_defundings() {
    let mut w = World::new();
    let reclaimable = w.b.request(Some(10));
    let payment = w.a.pay(&reclaimable, None, None).unwrap();
    let decline = w.b.decline(&payment).unwrap();
    let mut last = Ok(());
    // The head is moved close to the end, as a long time offline would.
    fill_journal(&mut w.a, 8_100);
    for _ in 0..200 {
        let reference = w.a.reference();
        let defund = Command::Defund { amount: amount(1), pin: Some(pin(PIN)), reference };
        last = w.a.run(&defund).map(|_| ());
        if last.is_err() {
            break;
        }
    }
    assert_eq!(last, Err(Code::JournalFull));
    assert_eq!(w.a.reclaim(&decline), Err(Code::JournalFull));
    w.operator.sync(&mut w.a);
    w.a.reclaim(&decline).expect("a sync made room");
}

/// Fills a wallet's journal by tiny defundings, through the door.
fn fill_journal(wallet: &mut Wallet, entries: u32) {
    while wallet.show().journal_len < entries {
        for _ in 0..100 {
            let reference = wallet.reference();
            let defund = Command::Defund { amount: amount(1), pin: Some(pin(PIN)), reference };
            wallet.run(&defund).unwrap();
        }
        if wallet.show().journal_len + 100 > entries {
            break;
        }
    }
}

#[test]
fn a_flood_of_payments_to_be_declined() {
    let mut w = World::new();
    let cheat = Broken::new(&w, 70);
    let request = w.b.request(Some(10));
    let mut unknown = open::<Request>(&request.0).unwrap();
    unknown.body.number = 77;
    let signer = unknown.envelope.signer.clone();
    let lost = Envelope { body: Bytes(unknown.body.to_bytes()), signer, ..unknown.envelope };
    let lost = Bytes(lost.to_bytes());
    // Near the mark already, so that the test is short.
    let honest = w.a.pay(&request, None, None).unwrap();
    fill_journal(&mut w.b, 6_100);
    let mut declined = 0;
    for n in 1..=200u32 {
        let payment = cheat.payment(&w, &lost, 1, 100_000 + u64::from(n), n);
        match w.b.accept(&payment) {
            Err(Code::RequestUnknown) => declined += 1,
            Err(Code::JournalFull) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!((40..200).contains(&declined), "{declined}");
    w.b.accept(&honest).expect("trade goes on");
    let full = statement(&mut w.b);
    assert!(open::<Statement>(&full.0).is_ok());
}

#[test]
fn standing_requests_that_leave_no_place_for_others() {
    let mut w = World::new();
    let mut last = Ok(Bytes(vec![]));
    for _ in 0..64 {
        let reference = w.t.reference();
        last = w.t.message(&Command::Request { amount: None, standing: true, reference });
    }
    assert_eq!(last, Err(Code::TooManyRequests));
    w.t.request(Some(1));
}

#[test]
fn oversized_and_deeply_nested_input() {
    let mut w = World::new();
    let before = w.a.show().to_bytes();
    let nested = [vec![0x81; 100_000], vec![0xd8, 0x20], vec![0xa1; 100_000]].concat();
    let lying = [vec![0x82, 0x0f, 0x84, 0x5b, 0, 0, 0, 1], vec![0; 4]].concat();
    for bytes in [nested.clone(), lying, vec![0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]] {
        w.a.process(&bytes);
        let bytes = Bytes(bytes);
        let reference = w.a.reference();
        for command in [
            Command::Accept { payment: bytes.clone() },
            Command::Pay { request: bytes.clone(), amount: None, pin: None, reference, approval: None },
            Command::Confirm { receipt: bytes.clone() },
            Command::Reclaim { decline: bytes.clone() },
            Command::GossipIn { gossip: bytes.clone() },
            Command::Settle { settlement: bytes },
        ] {
            let code = w.a.run(&command).unwrap_err();
            assert!((100..200).contains(&code.number()), "{code:?}");
        }
    }
    let huge = Command::GossipIn { gossip: Bytes(vec![0; 9 << 20]) };
    assert_eq!(w.a.run(&huge), Err(Code::TooLong));
    assert_eq!(w.a.show().to_bytes(), before);
    assert!(w.a.show().payments.iter().all(|row| row.state != PaymentState::Unresolved));
}
