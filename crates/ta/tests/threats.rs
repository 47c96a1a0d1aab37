//! Attacks of `spec/threat-model.md` by somebody who owns a key, a phone or a clock. Each runs against the real
//! application; what an attacker signs is signed with a key taken out of a real wallet's store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use counterfoil_ta::api::{Command, PaymentState, Reply};
use counterfoil_trust::{SigningKey, judge, open, seal};
use counterfoil_wire::cert::{Grade, WalletCert};
use counterfoil_wire::codec::{Dec, Enc};
use counterfoil_wire::header::{CONTEXT, Envelope, Purpose, Signer};
use counterfoil_wire::lists::{RevocationList, TrustList};
use counterfoil_wire::message::{Body, HeaderParts, Payment, Receipt, Request};
use counterfoil_wire::proof::{Gossip, Proof};
use counterfoil_wire::rules::{Limits, Preset};
use counterfoil_wire::sync::{FundOrder, Settlement};
use counterfoil_wire::{Algorithm, Bytes, Code, Digest, Error, Wire};

use crate::support::{HEDGE, PIN, START_S, Wallet, World, amount};

const DAY_S: u32 = 86_400;

fn world(edit: fn(&mut Limits)) -> World {
    let mut rules = Preset::Permissive.rules();
    rules.limits.iter_mut().for_each(edit);
    World::with_rules(rules)
}

/// A key taken out of a wallet of the EdDSA kind, with the certificate that it had then.
struct Thief {
    key: SigningKey,
    cert: WalletCert,
    spent: u64,
}

impl Thief {
    fn rob(wallet: &mut Wallet) -> Self {
        let overview = wallet.show();
        // The core is an array: version, algorithm, secret.
        let core = wallet.device.records.borrow()[b"=core".as_slice()].clone();
        let mut d = Dec::new(&core);
        d.array_head().unwrap();
        d.uint().unwrap();
        d.get::<bool>().unwrap();
        let key = SigningKey::from_secret(Algorithm::EdDsa, &d.bytes_exact().unwrap()).unwrap();
        assert_eq!(key.public(), overview.key);
        let cert = overview.cert.unwrap();
        let spent = cert.ceiling.minor() - 100_000;
        Self { key, cert, spent }
    }

    /// A payment of the interval `(to - minor, to]`.
    fn payment(&self, w: &World, request: &Bytes, minor: u64, to: u64, seq: u32) -> Bytes {
        let request = open::<Request>(&request.0).unwrap();
        let scheme = w.operator.anchors.scheme;
        let payment = Payment {
            request: request.id(&scheme),
            request_no: request.body.number,
            payee: request.header.key,
            amount: amount(minor),
            spent: amount(to),
            seq,
            prev: Digest::NONE,
        };
        let signer = Signer::Cert(self.cert.clone());
        Bytes(seal(&scheme, &self.key, &HEDGE, &payment, signer, None).0.to_bytes())
    }
}

fn hear(wallet: &mut Wallet, revocation: Bytes) -> Result<Reply, Code> {
    let gossip = Gossip { revocation: Some(revocation), trust: None, proofs: vec![], headers: vec![] };
    wallet.run(&Command::GossipIn { gossip: Bytes(gossip.to_message()) })
}

// What a stolen key can create.

#[test]
fn spending_below_the_start_or_what_was_spent_long_ago() {
    let mut w = World::new();
    let thief = Thief::rob(&mut w.a);
    let code = w.b.standing_request();
    // Nobody ever spent these intervals, so no header in the world contradicts them.
    for (to, seq) in [(20_000, 900), (40_000, 901), (thief.spent + 9_999, 903)] {
        let payment = thief.payment(&w, &code, 10_000, to, seq);
        assert_eq!(w.b.accept(&payment), Err(Code::CeilingExceeded), "{to}");
    }
    let payment = thief.payment(&w, &code, 10_000, thief.spent + 20_000, 904);
    w.b.accept(&payment).expect("within what the certificate covers");
}

#[test]
fn one_payee_takes_no_more_than_the_room_under_a_ceiling() {
    let mut w = world(|l| l.balance_max = amount(10_000_000));
    let thief = Thief::rob(&mut w.a);
    let code = w.b.standing_request();
    let (mut taken, before) = (0, w.b.balance());
    // Numbers and intervals as the thief likes: upwards, again, shifted, and across the ends.
    for (n, to) in (0..=40u32).map(|n| (n, thief.spent + u64::from(n) * 7_000 % 130_000)) {
        let payment = thief.payment(&w, &code, 7_000, to, 900 + n);
        taken += u64::from(w.b.accept(&payment).is_ok()) * 7_000;
    }
    assert_eq!(w.b.balance(), before + taken);
    assert!((50_000..=100_000).contains(&taken), "{taken}");
}

// Time.

/// A list that a thief of the operator's online key signs: number and time as the thief likes.
fn poisoned_list(w: &World, issued_at_s: u32) -> Bytes {
    let list = RevocationList { number: 50, issued_at_s, since: 0, added: vec![], removed: vec![] };
    Bytes(w.operator.sign(&list).to_bytes())
}

#[test]
fn poisoned_time_in_a_list_closes_nothing_for_good() {
    let mut w = World::new();
    let list = poisoned_list(&w, START_S + 2_000 * DAY_S);
    hear(&mut w.b, list).unwrap();
    let request = w.c.request(Some(10));
    assert_eq!(w.b.pay(&request, None, None), Err(Code::CertificateExpired), "until it syncs");
    w.operator.sync(&mut w.b);
    assert_eq!(w.b.show().time_bound_s, START_S);
    w.operator.sync(&mut w.b);
    let request = w.b.request(Some(10));
    let payment = w.a.pay(&request, None, None).unwrap();
    w.b.accept(&payment).expect("a sync set the time right, and nothing was promised by the wrong one");
}

#[test]
fn poisoned_time_in_a_settlement_closes_no_more_than_a_certificates_life() {
    let mut w = World::new();
    let until_s = w.b.show().cert.unwrap().not_after_s();
    let pending = w.b.message(&Command::Statement {}).unwrap();
    let answer = w.operator.settle(&pending);
    let mut body = open::<Settlement>(&answer.0).unwrap().body;
    // The online key is stolen, and an issuer's is not.
    (body.time_s, body.cert) = (START_S + 2_000 * DAY_S, None);
    let forged = Bytes(w.operator.sign(&body).to_bytes());
    w.b.run(&Command::Settle { settlement: forged }).unwrap();
    for _ in 0..2 {
        w.operator.sync(&mut w.b);
    }
    w.set_time(until_s - DAY_S);
    w.operator.sync(&mut w.a);
    w.operator.sync(&mut w.b);
    let request = w.b.request(Some(10));
    let payment = w.a.pay(&request, None, None).unwrap();
    w.b.accept(&payment).expect("whoever renewed since is heard");
}

#[test]
fn a_host_clock_far_ahead_at_every_step() {
    let mut w = World::new();
    w.b.device.now_s.set(u32::MAX);
    let reference = w.b.reference();
    let ask = Command::Request { amount: Some(amount(10)), standing: false, reference };
    assert_eq!(w.b.run(&ask), Err(Code::OwnCertificateExpired), "no request outlives its certificate");
    w.b.device.now_s.set(START_S + 13 * DAY_S);
    let request = w.b.request(Some(10));
    let payment = w.a.pay(&request, None, None).unwrap();
    w.operator.sync(&mut w.b);
    assert_eq!(w.b.show().time_bound_s, START_S, "nothing of the clock is kept");
    w.b.device.now_s.set(START_S);
    w.b.accept(&payment).unwrap();
    w.operator.sync(&mut w.b);
    assert_eq!((w.a.balance(), w.b.balance()), (49_990, 50_010));
}

#[test]
fn a_payers_clock_turned_back_does_not_renew_its_certificate() {
    let mut w = World::new();
    w.set_time(START_S + 15 * DAY_S);
    w.operator.sync(&mut w.b);
    // The payer's own element believes its clock; the payee's does not.
    w.a.device.now_s.set(START_S);
    let request = w.b.request(Some(10));
    w.operator.now_s = START_S;
    let reference = w.a.reference();
    let pay = Command::Pay { request: request.clone(), amount: None, pin: None, reference, approval: None };
    let early = w.a.run(&pay);
    assert_eq!(early, Err(Code::CertificateNotYetValid), "the payee has renewed");
    let code = w.t.standing_request();
    let payment = w.a.pay(&code, Some(10), None).unwrap();
    assert_eq!(w.t.accept(&payment), Err(Code::CertificateExpired));
}

// Lists, rules and versions taken back.

#[test]
fn older_rules_and_older_lists_replace_nothing() {
    let mut w = World::new();
    let old_rules = w.operator.rules.clone();
    w.operator.rules.number = 2;
    w.operator.rules.limits.iter_mut().for_each(|l| l.payment_max = amount(100));
    w.operator.sync(&mut w.a);
    let code = w.t.standing_request();
    assert_eq!(w.a.pay(&code, Some(101), None), Err(Code::PaymentTooLarge));
    // A settlement that carries the first rules again: by a fault of the operator, or by its stolen key.
    w.operator.rules = old_rules;
    w.operator.sync(&mut w.a);
    assert_eq!(w.a.pay(&code, Some(101), None), Err(Code::PaymentTooLarge));
    // A trust list that the root signed, older than the one held, and one that the online key signed.
    let older = TrustList { number: 1, issued_at_s: START_S, authorities: vec![] };
    let newer = TrustList { number: 9, ..older.clone() };
    let (older, by_signer) = (w.operator.sign_by_root(&older), w.operator.sign(&newer));
    let tell = |wallet: &mut Wallet, envelope: &Envelope| {
        let trust = Some(Bytes(envelope.to_bytes()));
        let gossip = Gossip { revocation: None, trust, proofs: vec![], headers: vec![] };
        wallet.run(&Command::GossipIn { gossip: Bytes(gossip.to_message()) }).map(|_| ())
    };
    assert_eq!(tell(&mut w.a, &older), Ok(()));
    assert_eq!(tell(&mut w.a, &by_signer), Err(Code::WrongScheme));
    w.a.pay(&code, Some(100), None).expect("the authorities are those that stood");
}

/// A body with the fields of a receipt, for another purpose.
struct Lookalike(Receipt);

impl Wire for Lookalike {
    fn encode(&self, e: &mut Enc) {
        self.0.encode(e);
    }
    fn decode(d: &mut Dec<'_>) -> Result<Self, Error> {
        Ok(Self(d.get()?))
    }
}

impl Body for Lookalike {
    const PURPOSE: Purpose = Purpose::Request;
    fn header_parts(&self) -> HeaderParts {
        self.0.header_parts()
    }
}

#[test]
fn a_signature_for_another_purpose_another_scheme_or_another_version() {
    let mut w = World::new();
    let thief = Thief::rob(&mut w.c);
    let request = w.c.request(Some(10));
    let payment = w.a.pay(&request, None, None).unwrap();
    let scheme = w.operator.anchors.scheme;
    let payment_id = open::<Payment>(&payment.0).unwrap().id(&scheme);
    let body = Receipt { payment: payment_id, seq: 7, prev: Digest::NONE };
    let signer = || Signer::Key(thief.key.public());
    let confirm = |w: &mut World, envelope: &Envelope| w.a.confirm(&Bytes(envelope.to_bytes()));
    // A genuine signature over the same fields, made for a request.
    let mut lookalike = seal(&scheme, &thief.key, &HEDGE, &Lookalike(body.clone()), signer(), None).0;
    lookalike.purpose = Purpose::Receipt;
    assert_eq!(confirm(&mut w, &lookalike), Err(Code::BadSignature));
    // For another scheme.
    let foreign = counterfoil_wire::KeyId([5; 32]);
    let foreign = seal(&foreign, &thief.key, &HEDGE, &body, signer(), None).0;
    assert_eq!(confirm(&mut w, &foreign), Err(Code::BadSignature));
    // For another version of the protocol.
    let genuine = seal(&scheme, &thief.key, &HEDGE, &body, signer(), None).0;
    let header = open::<Receipt>(&genuine.to_bytes()).unwrap().header;
    let mut other = counterfoil_trust::to_be_signed(&scheme, &header);
    let at = other.windows(CONTEXT.len()).position(|bytes| bytes == CONTEXT.as_bytes()).unwrap();
    *other.get_mut(at + CONTEXT.len() - 1).unwrap() = b'0';
    let signature = thief.key.sign(&other, &HEDGE);
    let downgraded = Envelope { signature, ..genuine.clone() };
    assert_eq!(confirm(&mut w, &downgraded), Err(Code::BadSignature));
    confirm(&mut w, &genuine).unwrap();
}

// A code, a request, and who stands where.

#[test]
fn two_tills_with_one_code() {
    let mut w = World::new();
    // Two tills with one key: the store of one was copied to the other.
    let mut second = Wallet::new(77);
    let code = w.t.standing_request();
    second.restore(w.t.snapshot());
    let payment = w.a.pay(&code, Some(500), None).unwrap();
    let (first, other) = (w.t.accept(&payment).unwrap(), second.accept(&payment).unwrap());
    w.a.confirm(&first).unwrap();
    w.a.confirm(&other).unwrap();
    assert_eq!(w.a.balance(), 49_500, "paid once, however many tills say thank you");
    // From here on the two journals part, and whoever sees a header of each has the proof.
    let payments = [1, 2].map(|minor| w.a.pay(&code, Some(minor), None).unwrap());
    let receipts = [w.t.accept(&payments[0]).unwrap(), second.accept(&payments[1]).unwrap()];
    let [first, second] = receipts.map(|receipt| open::<Receipt>(&receipt.0).unwrap().signed_header());
    let cert = w.t.show().cert.unwrap();
    judge(&w.operator.anchors, &Proof { cert, first, second }).expect("two receipts with one number");
    // Two tills with a key each: a code names one of them.
    let code = w.b.standing_request();
    let payment = w.a.pay(&code, Some(500), None).unwrap();
    assert_eq!(w.t.accept(&payment), Err(Code::NotAddressedHere));
}

#[test]
fn a_request_relayed_to_another_payer() {
    let mut w = World::new();
    // Somebody at the till of t has an unsuspecting customer elsewhere pay t's request.
    let reference = w.t.reference();
    let request = Command::Request { amount: Some(amount(700)), standing: false, reference };
    let request = w.t.message(&request).unwrap();
    let relayed = request.clone();
    let payment = w.a.pay(&relayed, None, None).unwrap();
    assert_eq!(w.a.show().payments[0].peer_name.as_str(), "Café Blau", "who is paid is shown, not who asked");
    for thief in [&mut w.b, &mut w.c] {
        assert_eq!(thief.accept(&payment), Err(Code::NotAddressedHere));
    }
    w.t.accept(&payment).unwrap();
    assert_eq!((w.a.balance(), w.t.balance()), (49_300, 700), "the value is where the signature says");
}

#[test]
fn two_sessions_at_once_spend_one_balance_once() {
    let mut w = World::new();
    let (first, second) = (w.b.request(Some(25_000)), w.c.request(Some(25_000)));
    let code = w.t.standing_request();
    // Both payees wait, neither has answered, and a third is asked for.
    let one = w.a.pay(&first, None, Some(PIN)).unwrap();
    let two = w.a.pay(&second, None, Some(PIN)).unwrap();
    assert_eq!(w.a.pay(&code, Some(1), None), Err(Code::InsufficientFunds));
    // The answers cross: each resolves its own payment and no other.
    let declined = w.c.decline(&two).unwrap();
    let receipt = w.b.accept(&one).unwrap();
    w.a.reclaim(&declined).unwrap();
    w.a.confirm(&receipt).unwrap();
    assert_eq!(w.a.reclaim(&declined).map(|_| ()), Ok(()), "told again");
    assert_eq!((w.a.balance(), w.b.balance(), w.c.balance()), (25_000, 75_000, 0));
}

// PIN.

#[test]
fn an_unblocked_pin_is_unblocked_once() {
    let mut w = World::new();
    let request = w.b.request(Some(6_000));
    let wrong = |w: &mut World| {
        for _ in 0..3 {
            assert_eq!(w.a.pay(&request, None, Some("0000")), Err(Code::PinWrong));
        }
        assert_eq!(w.a.pay(&request, None, Some(PIN)), Err(Code::PinBlocked));
    };
    wrong(&mut w);
    w.operator.sync(&mut w.a);
    assert_eq!(w.a.show().pin_tries, Some(0), "a sync alone unblocks nothing");
    let key = w.a.show().key;
    w.operator.unblock.insert(key);
    let pending = w.a.message(&Command::Statement {}).unwrap();
    let settlement = w.operator.settle(&pending);
    w.a.run(&Command::Settle { settlement: settlement.clone() }).unwrap();
    wrong(&mut w);
    // The settlement that unblocked it, shown again: right away, with a statement open, and after the next sync.
    let replay = Command::Settle { settlement };
    assert!(matches!(w.a.run(&replay), Ok(Reply::Settled { again: true, .. })));
    w.a.message(&Command::Statement {}).unwrap();
    assert!(matches!(w.a.run(&replay), Ok(Reply::Settled { again: true, .. })));
    w.operator.sync(&mut w.a);
    assert!(w.a.run(&replay).is_err());
    assert_eq!(w.a.show().pin_tries, Some(0));
}

#[test]
fn a_right_pin_in_the_owners_hand_is_all_that_brings_tries_back() {
    let mut w = World::new();
    let request = w.b.request(Some(6_000));
    assert_eq!(w.a.pay(&request, None, Some("0000")), Err(Code::PinWrong));
    assert_eq!(w.a.pay(&request, None, Some("0001")), Err(Code::PinWrong));
    // Everything else that a thief can do with the phone: sync, be paid, pay below the limit, take back, be told.
    w.operator.sync(&mut w.a);
    let small = w.b.request(Some(10));
    let payment = w.a.pay(&small, None, None).unwrap();
    let decline = w.b.decline(&payment).unwrap();
    w.a.reclaim(&decline).unwrap();
    w.b.gossip_to(&mut w.a).unwrap();
    let settled = w.a.message(&Command::Statement {}).unwrap();
    let settled = w.operator.settle(&settled);
    w.a.run(&Command::Settle { settlement: settled }).unwrap();
    w.a.reopen();
    assert_eq!(w.a.show().pin_tries, Some(1));
    assert_eq!(w.a.pay(&request, None, Some("0002")), Err(Code::PinWrong));
    assert_eq!(w.a.pay(&request, None, Some(PIN)), Err(Code::PinBlocked));
}

#[test]
fn a_thief_without_the_pin_has_what_the_window_allows() {
    let mut w = world(|l| {
        (l.no_pin_max, l.no_pin_total_max) = (amount(1_000), amount(2_500));
        (l.window_total_max, l.window_count_max) = (amount(20_000), 7);
    });
    let code = w.t.standing_request();
    let mut stolen = 0;
    for _ in 0..10 {
        for minor in [1_001, 1_000, 1_000, 1_000, 500] {
            stolen += u64::from(w.a.pay(&code, Some(minor), None).is_ok()) * minor;
        }
        // The thief syncs, which the rules let start the total anew.
        w.operator.sync(&mut w.a);
    }
    assert_eq!(stolen, 6_000, "seven payments, none above the limit, in one window");
    assert_eq!(w.a.pay(&code, Some(1), None), Err(Code::WindowCount));
    let reference = w.a.reference();
    let defund = Command::Defund { amount: amount(1), pin: None, reference };
    assert_eq!(w.a.run(&defund), Err(Code::PinRequired));
}

// Staged value.

#[test]
fn laundering_staged_value_through_payment_decline_and_refund() {
    for refunded_by_operator in [false, true] {
        // A tenth of what is received may be spent; c was funded 300 and has been paid 1,000.
        let mut w = world(|l| l.respend_percent = 10);
        w.operator.fund(&mut w.c, 300).unwrap();
        let request = w.c.request(Some(1_000));
        let payment = w.a.pay(&request, None, None).unwrap();
        w.c.accept(&payment).unwrap();
        let request = w.b.request(Some(400));
        let payment = w.c.pay(&request, None, None).unwrap();
        let spendable = if refunded_by_operator {
            // The settlement covers what came before its statement, and the refund is what it was: a part is staged.
            let pending = w.c.message(&Command::Statement {}).unwrap();
            let later = w.c.request(Some(500));
            let more = w.a.pay(&later, None, None).unwrap();
            w.c.accept(&more).unwrap();
            w.b.decline(&payment).unwrap();
            w.operator.sync(&mut w.b);
            let answer = w.operator.settle(&pending);
            w.c.run(&Command::Settle { settlement: answer }).unwrap();
            let show = w.c.show();
            assert_eq!((show.funded, show.received), (amount(1_200), amount(600)));
            1_250
        } else {
            let decline = w.b.decline(&payment).unwrap();
            w.c.reclaim(&decline).unwrap();
            let show = w.c.show();
            assert_eq!((show.funded, show.received), (amount(300), amount(1_000)));
            300
        };
        assert_eq!(w.c.show().spendable, amount(spendable));
        let request = w.b.request(Some(spendable + 1));
        assert_eq!(w.c.pay(&request, None, None), Err(Code::RespendShare));
    }
}

#[test]
fn laundering_staged_value_through_a_friend() {
    // Half of what is received may be spent. A friend pays it back and forth: each hop halves it.
    let mut w = world(|l| l.respend_percent = 50);
    let request = w.c.request(Some(8_000));
    let payment = w.a.pay(&request, None, Some(PIN)).unwrap();
    w.c.accept(&payment).unwrap();
    let mut friend = Wallet::new(50);
    w.operator.enrol(&mut friend, Algorithm::EdDsa, Grade::VirtualSe, Some(PIN));
    let mut hops = vec![];
    for _ in 0..6 {
        let [from, to] = if hops.len() % 2 == 0 { [&mut w.c, &mut friend] } else { [&mut friend, &mut w.c] };
        let most = from.show().spendable.minor();
        let request = to.request(Some(most + 1));
        assert_eq!(from.pay(&request, None, Some(PIN)), Err(Code::RespendShare));
        let request = to.request(Some(most));
        let payment = from.pay(&request, None, Some(PIN)).unwrap();
        to.accept(&payment).unwrap();
        hops.push(most);
    }
    assert_eq!(hops, [4_000, 2_000, 1_000, 500, 250, 125]);
}

// Holding limit.

#[test]
fn evading_the_holding_limit_by_delaying_acceptance() {
    let mut w = world(|l| l.balance_max = amount(50_000));
    let request = w.c.request(Some(20_000));
    let kept_back = w.a.pay(&request, None, Some(PIN)).unwrap();
    // C's host keeps the payment from the element, and fills the purse to the brim.
    w.operator.fund(&mut w.c, 50_000).unwrap();
    let code = w.c.standing_request();
    let refused = w.b.pay(&code, Some(1), None).unwrap();
    assert_eq!(w.c.accept(&refused), Err(Code::BalanceTooLarge));
    // Shown too early it is declined for good; shown when there is room it is within the limit.
    let to_t = w.t.standing_request();
    w.c.pay(&to_t, Some(20_000), Some(PIN)).unwrap();
    w.c.accept(&kept_back).unwrap();
    assert_eq!(w.c.balance(), 50_000);
    // It cannot be kept back for ever: with the payer's certificate it ends, and goes back to the payer.
    let request = w.c.request(Some(100));
    let kept_back = w.a.pay(&request, None, None).unwrap();
    w.set_time(START_S + 15 * DAY_S);
    for _ in 0..3 {
        w.operator.sync(&mut w.c);
        w.operator.sync(&mut w.a);
    }
    assert_eq!(w.c.accept(&kept_back), Err(Code::CertificateExpired));
    assert_eq!(w.a.balance(), 30_000);
}

#[test]
fn orders_reclaims_and_refunds_in_flight_pass_the_holding_limit_by_what_was_ones_own() {
    let mut w = world(|l| l.balance_max = amount(50_000));
    // A full purse, a payment in flight, and an order for the room that it leaves.
    let request = w.b.request(Some(20_000));
    let payment = w.a.pay(&request, None, Some(PIN)).unwrap();
    let reference = w.a.reference();
    let order = w.a.message(&Command::FundOrder { amount: amount(20_000), reference }).unwrap();
    let reference = w.a.reference();
    let more = Command::FundOrder { amount: amount(1), reference };
    assert_eq!(w.a.run(&more), Err(Code::OrderPending));
    let decline = w.b.decline(&payment).unwrap();
    w.a.reclaim(&decline).unwrap();
    w.operator.take_order(&order);
    w.operator.sync(&mut w.a);
    // By as much as was in flight, and no more comes in before it has left.
    assert_eq!(w.a.balance(), 70_000);
    let reference = w.a.reference();
    let more = Command::FundOrder { amount: amount(1), reference };
    assert_eq!(w.a.run(&more), Err(Code::BalanceTooLarge));
    let request = w.a.request(Some(1));
    let payment = w.b.pay(&request, None, None).unwrap();
    assert_eq!(w.a.accept(&payment), Err(Code::BalanceTooLarge));
}

// Withheld and exhausted.

#[test]
fn a_wallet_that_never_syncs_runs_dry() {
    let mut w = world(|l| {
        l.sync_count_max = 3;
        l.offline_max_s = 4 * DAY_S;
    });
    let code = w.t.standing_request();
    for _ in 0..3 {
        w.a.pay(&code, Some(1), None).unwrap();
    }
    assert_eq!(w.a.pay(&code, Some(1), None), Err(Code::CountSinceSync));
    w.b.device.now_s.set(START_S + 4 * DAY_S + 1);
    assert_eq!(w.b.pay(&code, Some(1), None), Err(Code::OfflineTooLong));
    // A broken element minds neither; its payees mind its certificate.
    let thief = Thief::rob(&mut w.a);
    w.set_time(START_S + 14 * DAY_S + 1);
    let payment = thief.payment(&w, &code, 1, thief.spent + 10, 50);
    assert_eq!(w.t.accept(&payment), Err(Code::CertificateExpired));
}

#[test]
fn what_a_wallet_remembers_is_bounded() {
    let mut w = World::new();
    // References: a host that names a new operation each time.
    for _ in 0..1_100 {
        let reference = w.t.reference();
        let ask = Command::Request { amount: Some(amount(1)), standing: false, reference };
        if w.t.message(&ask).is_err() {
            w.operator.now_s += 3 * 3600;
            w.t.device.now_s.set(w.operator.now_s);
            w.operator.sync(&mut w.t);
        }
    }
    let count = |wallet: &Wallet, letter: u8| {
        wallet.device.records.borrow().keys().filter(|key| key.first() == Some(&letter)).count()
    };
    assert!((1_000..=1_024).contains(&count(&w.t, b'r')), "{}", count(&w.t, b'r'));
    assert!(count(&w.t, b'q') <= 64);
    // Decided payments and their headers: until the payers' certificates have ended.
    let code = w.b.standing_request();
    for _ in 0..10 {
        let payment = w.a.pay(&code, Some(1), None).unwrap();
        w.b.accept(&payment).unwrap();
    }
    assert_eq!((count(&w.b, b'i'), count(&w.b, b'h')), (10, 10));
    w.set_time(START_S + 15 * DAY_S);
    for _ in 0..3 {
        w.operator.sync(&mut w.b);
        w.operator.sync(&mut w.a);
    }
    assert_eq!((count(&w.b, b'i'), count(&w.b, b'h')), (0, 0));
    // Payments sent, at rest.
    assert_eq!((count(&w.a, b'o'), count(&w.a, b'y'), count(&w.a, b'x')), (0, 0, 0));
}

// Declines that are not to be trusted.

#[test]
fn a_decline_of_a_payee_that_is_revoked_or_proven_waits_for_the_operator() {
    let mut w = World::new();
    let request = w.b.request(Some(700));
    let payment = w.a.pay(&request, None, None).unwrap();
    let decline = w.b.decline(&payment).unwrap();
    let key = w.b.show().key;
    w.operator.revoke(&key);
    let list = w.operator.revocation_list();
    hear(&mut w.a, list).unwrap();
    assert_eq!(w.a.reclaim(&decline), Err(Code::DeclineNeedsOperator));
    let shown = w.a.show().payments;
    assert_eq!(shown[0].state, PaymentState::Unresolved);
    assert_eq!(w.a.balance(), 49_300);
}

#[test]
fn the_online_key_alone_makes_no_certificate() {
    let mut w = World::new();
    let pending = w.a.message(&Command::Statement {}).unwrap();
    let answer = w.operator.settle(&pending);
    let mut body = open::<Settlement>(&answer.0).unwrap().body;
    body.cert.as_mut().unwrap().ceiling = amount(9_000_000);
    let forged = Bytes(w.operator.sign(&body).to_bytes());
    let before = w.a.snapshot();
    assert_eq!(w.a.run(&Command::Settle { settlement: forged }), Err(Code::BadCertificate));
    assert!(w.a.snapshot() == before);
}

#[test]
fn an_issuers_key_signs_no_settlement_and_no_list() {
    let mut w = World::new();
    let scheme = w.operator.anchors.scheme;
    // The key of the issuer of EdDSA wallets, which the trust list names: as an issuer.
    let issuer = SigningKey::from_secret(Algorithm::EdDsa, &[3; 32]).unwrap();
    assert_eq!(issuer.public(), w.operator.issuer(Algorithm::EdDsa).key);
    let signer = || Signer::Key(issuer.public());
    let pending = w.a.message(&Command::Statement {}).unwrap();
    let answer = w.operator.settle(&pending);
    let mut body = open::<Settlement>(&answer.0).unwrap().body;
    body.funding_total = amount(90_000);
    let forged = seal(&scheme, &issuer, &HEDGE, &body, signer(), None).0;
    let settle = Command::Settle { settlement: Bytes(forged.to_bytes()) };
    assert_eq!(w.a.run(&settle), Err(Code::WrongRole));
    let list = RevocationList { number: 50, issued_at_s: START_S, since: 0, added: vec![1], removed: vec![] };
    let list = seal(&scheme, &issuer, &HEDGE, &list, signer(), None).0;
    assert_eq!(hear(&mut w.a, Bytes(list.to_bytes())), Err(Code::WrongRole));
    assert_eq!(w.a.balance(), 50_000);
}

#[test]
fn an_honest_wallet_framed_with_its_own_requests_and_orders() {
    let mut w = World::new();
    let request = w.b.request(Some(10));
    let payment = w.a.pay(&request, None, None).unwrap();
    let entry = open::<Payment>(&payment.0).unwrap().signed_header();
    // Requests and orders have numbers of their own: some of them are the payment's place in the journal.
    let mut others = vec![];
    for _ in 0..entry.header.seq {
        let request = w.a.request(Some(1));
        others.push(open::<Request>(&request.0).unwrap().signed_header());
    }
    for _ in 0..2 {
        let reference = w.a.reference();
        let order = w.a.message(&Command::FundOrder { amount: amount(1), reference }).unwrap();
        others.push(open::<FundOrder>(&order.0).unwrap().signed_header());
        w.operator.take_order(&order);
        w.operator.sync(&mut w.a);
    }
    let same_number = others.iter().filter(|other| other.header.seq == entry.header.seq).count();
    assert!(same_number > 0);
    let cert = w.a.show().cert.unwrap();
    for other in others {
        let proof = Proof { cert: cert.clone(), first: entry.clone(), second: other };
        let gossip = Gossip { revocation: None, trust: None, proofs: vec![proof], headers: vec![] };
        let told = w.c.run(&Command::GossipIn { gossip: Bytes(gossip.to_message()) });
        assert_eq!(told, Err(Code::NotAProof));
    }
    let request = w.c.request(Some(1));
    let payment = w.a.pay(&request, None, None).unwrap();
    w.c.accept(&payment).unwrap();
}
