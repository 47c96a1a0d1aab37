//! Attacks of `spec/threat-model.md` that the operator stops or finds. The attackers hold genuine wallets whose stores
//! they have opened: they have the keys, and make their applications forget.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use counterfoil_operator::domain::reason::Reason;
use counterfoil_ta::api::{Command, Reply};
use counterfoil_trust::x509::issue_wallet;
use counterfoil_trust::{SigningKey, key_id, open};
use counterfoil_wire::cert::{Grade, Name, WalletCert};
use counterfoil_wire::header::Envelope;
use counterfoil_wire::rules::Rules;
use counterfoil_wire::sync::{Entry, Settlement, Standing, Statement};
use counterfoil_wire::{Algorithm, Amount, Bytes, Code, Currency, Digest, Reference, Signature, Wire};
use support::thief::Thief;
use support::{Wallet, World, amount};

/// The wallet with an application that forgets every header that payers showed it.
fn forgetful(wallet: &Wallet) -> Wallet {
    wallet.records().retain(|key, _| key.first() != Some(&b'h'));
    wallet.copy()
}

/// The wallet with an application that holds rules of its owner's own.
fn lenient(wallet: &Wallet) -> Wallet {
    let held = Bytes::from_bytes(&wallet.records()[b"=rules".as_slice()]).unwrap();
    let opened = open::<Rules>(&held.0).unwrap();
    let mut rules = opened.body;
    for limits in &mut rules.limits {
        (limits.sync_total_max, limits.balance_max) = (amount(1 << 50), amount(1 << 50));
    }
    let envelope = Envelope { body: Bytes(rules.to_bytes()), ..opened.envelope };
    wallet.records().insert(b"=rules".to_vec(), Bytes(envelope.to_bytes()).to_bytes());
    wallet.copy()
}

fn accused(world: &World) -> Vec<(String, Reason, bool)> {
    let cases = world.sound().cases;
    cases.into_iter().map(|case| (case.key_id, case.reason, case.revoked)).collect()
}

// A payer and a payee who are one.

#[test]
fn a_colluding_payee_that_takes_one_interval_many_times() {
    let world = World::new();
    let (mut ann, mut eve) = (world.person("ann"), world.person("eve"));
    world.fund(&mut ann, 1_000);
    let thief = Thief::rob(&world, &mut ann);
    for n in 0..5 {
        let request = eve.request(20_000);
        let payment = thief.payment(&request, 20_000, thief.floor() + 20_000, 100 + n);
        eve.accept(&payment).unwrap();
        eve = forgetful(&eve);
    }
    eve.defund(90_000).unwrap();
    world.sync(&mut eve).unwrap();
    let report = world.sound();
    assert_eq!((report.defunded, report.loss), (0, 19_000), "one interval, and nothing has left");
    let accused = accused(&world);
    assert!(accused.contains(&(ann.id().to_string(), Reason::Forked, true)), "{accused:?}");
    assert!(accused.contains(&(eve.id().to_string(), Reason::Equivocated, true)), "{accused:?}");
    assert!(eve.is_suspended());
}

#[test]
fn receipts_of_a_colluding_payee_shown_by_its_payer() {
    // The payee claims one branch and the payer's journal has the other with a receipt, in either order.
    for payee_first in [true, false] {
        let world = World::new();
        let (mut ann, mut eve) = (world.person("ann"), world.person("eve"));
        world.fund(&mut ann, 4_000);
        let thief = Thief::rob(&world, &mut ann);
        let request = eve.request(4_000);
        let hidden = thief.payment(&request, 4_000, thief.floor() + 4_000, 100);
        let receipt = eve.accept(&hidden).unwrap();
        let request = eve.request(4_000);
        let journaled = ann.pay(&request).unwrap();
        ann.confirm(&forgetful(&eve).accept(&journaled).unwrap());
        let statement = ann.message(&Command::Statement {}).unwrap();
        let statement = thief.statement(&statement, |s| s.receipts.push(receipt.clone()));
        if payee_first {
            world.sync(&mut eve).unwrap();
        }
        world.service.settle(&statement.0).unwrap();
        if !payee_first {
            world.sync(&mut eve).unwrap();
        }
        let report = world.sound();
        // What is not credited is in flight, and comes back to who bore it.
        assert_eq!((report.offline, report.loss - report.in_flight), (4_000, 0), "{payee_first}");
        assert!(accused(&world).contains(&(ann.id().to_string(), Reason::Forked, true)));
    }
}

#[test]
fn a_colluding_payee_that_takes_what_no_certificate_covers() {
    let world = World::new();
    let (mut ann, eve) = (world.person("ann"), world.person("eve"));
    world.fund(&mut ann, 1_000);
    let thief = Thief::rob(&world, &mut ann);
    let mut eve = lenient(&eve);
    let request = eve.request(900_000);
    let payment = thief.payment(&request, 900_000, 900_000, 7_000);
    eve.accept(&payment).unwrap();
    eve.defund(900_000).unwrap();
    world.sync(&mut eve).unwrap();
    let report = world.sound();
    assert_eq!((report.defunded, report.loss, report.offline), (0, 0, 1_000));
    let accused = accused(&world);
    assert!(accused.contains(&(ann.id().to_string(), Reason::Forked, true)), "{accused:?}");
    assert!(accused.contains(&(eve.id().to_string(), Reason::Equivocated, true)), "{accused:?}");
}

#[test]
fn an_honest_payee_that_forgot_one_branch_is_not_accused_for_the_other() {
    let world = World::new();
    let (mut ann, mut bob) = (world.person("ann"), world.person("bob"));
    world.fund(&mut ann, 50_000);
    let thief = Thief::rob(&world, &mut ann);
    let request = bob.request(5_000);
    bob.accept(&thief.payment(&request, 5_000, thief.floor() + 5_000, 100)).unwrap();
    world.sync(&mut bob).unwrap();
    // The certificate in the first branch ends, bob closes it and forgets; the thief has a newer one.
    world.wait(16 * 86_400);
    world.sync(&mut bob).unwrap();
    world.sync(&mut bob).unwrap();
    world.sync(&mut ann).unwrap();
    let thief = Thief::rob(&world, &mut ann);
    let request = bob.request(5_000);
    bob.accept(&thief.payment(&request, 5_000, thief.floor() + 5_000, 200)).unwrap();
    world.sync(&mut bob).unwrap();
    assert_eq!(accused(&world), [(ann.id().to_string(), Reason::Forked, true)]);
    assert!(!bob.is_suspended());
    assert_eq!((bob.balance(), world.sound().loss), (10_000, 0), "ann had enough for both");
}

// A stolen key and what its owner's journal says.

#[test]
fn a_payment_within_what_the_payers_journal_accounts_for_revokes_its_key() {
    let world = World::new();
    let (mut ann, mut bob, mut eve) = (world.person("ann"), world.person("bob"), world.person("eve"));
    world.fund(&mut ann, 50_000);
    let thief = Thief::rob(&world, &mut ann);
    ann.pay_to(&mut bob, 3_000, true);
    ann.defund(1_000).unwrap();
    world.sync(&mut ann).unwrap();
    // Beyond every number of ann's journal, and between what she paid: no second header contradicts it yet.
    let request = eve.request(1_000);
    eve.accept(&thief.payment(&request, 1_000, thief.floor() + 1_000, 1 << 30)).unwrap();
    world.sync(&mut eve).unwrap();
    assert_eq!(accused(&world), [(ann.id().to_string(), Reason::Forked, true)]);
    assert!(!eve.is_suspended());
}

#[test]
fn a_gap_in_a_journal_or_an_entry_left_out() {
    type Edit = fn(&mut Statement);
    let edits: [Edit; 5] = [
        // All since the last settlement is forgotten, and what is told begins at a place that never was.
        |s| {
            s.entries.clear();
            (s.after_prev, s.prev, s.seq) = (Digest([9; 32]), Digest([9; 32]), s.after_seq + 1);
            (s.funded, s.funding_total) = (Amount::ZERO, Amount::ZERO);
            s.spent = s.spent.minus(amount(700)).unwrap();
        },
        // The payment alone is left out, and numbers and claims are as if it had never been.
        |s| {
            s.entries.remove(1);
            s.seq -= 1;
            s.funded = amount(5_000);
            s.spent = s.spent.minus(amount(700)).unwrap();
        },
        // Another entry stands in its place.
        |s| s.entries[1] = Entry::Defund { amount: amount(700), reference: Reference([3; 32]) },
        // The payment is told and its effect is not.
        |s| s.funded = amount(5_000),
        // Less was ever paid than was.
        |s| s.spent = s.spent.minus(amount(700)).unwrap(),
    ];
    for (at, edit) in edits.into_iter().enumerate() {
        let world = World::new();
        let (mut ann, mut bob) = (world.person("ann"), world.person("bob"));
        world.fund(&mut ann, 5_000);
        ann.pay_to(&mut bob, 700, true);
        let thief = Thief::rob(&world, &mut ann);
        let statement = ann.message(&Command::Statement {}).unwrap();
        let forged = thief.statement(&statement, edit);
        let answer = world.service.settle(&forged.0).unwrap();
        let answer = open::<Settlement>(&answer).unwrap().body;
        assert_eq!((answer.standing, answer.cert), (Standing::Suspended, None), "{at}");
        assert_eq!(accused(&world), [(ann.id().to_string(), Reason::Gap, false)], "{at}");
        // Nothing of it was booked, and bob has his own.
        world.sync(&mut bob).unwrap();
        assert_eq!((bob.balance(), bob.is_suspended(), world.sound().loss), (700, false, 0), "{at}");
    }
}

#[test]
fn a_copy_put_back_that_signs_no_number_twice() {
    let world = World::new();
    let (mut ann, mut bob) = (world.person("ann"), world.person("bob"));
    world.fund(&mut ann, 5_000);
    let mut old = ann.copy();
    ann.pay_to(&mut bob, 4_000, true);
    world.sync(&mut ann).unwrap();
    // Entries without a signature fill the numbers that the other branch signed.
    for _ in 0..3 {
        old.defund(100).unwrap();
    }
    world.sync(&mut old).unwrap();
    assert!(old.is_suspended());
    assert_eq!(accused(&world), [(ann.id().to_string(), Reason::RolledBack, true)]);
    world.sync(&mut bob).unwrap();
    let report = world.sound();
    assert_eq!((bob.balance(), report.loss, report.defunded), (4_000, 0, 0));
}

// Two owners or none.

#[test]
fn a_claim_that_a_payment_was_torn_waits_for_the_payees_own_word() {
    let world = World::new();
    let (mut ann, mut bob) = (world.person("ann"), world.person("bob"));
    world.fund(&mut ann, 5_000);
    // Bob has it; ann's host drops the receipt, and asks again and again, also when all is long over.
    ann.pay_to(&mut bob, 700, false);
    for _ in 0..4 {
        let Reply::Settled { refunded, .. } = world.sync(&mut ann).unwrap() else { panic!() };
        assert_eq!((refunded.len(), ann.balance()), (0, 4_300));
        world.wait(86_400);
    }
    world.sync(&mut bob).unwrap();
    let Reply::Settled { confirmed, .. } = world.sync(&mut ann).unwrap() else { panic!() };
    assert_eq!((confirmed.len(), ann.balance(), bob.balance()), (1, 4_300, 700));
    assert_eq!(world.sound().in_flight, 0);
}

#[test]
fn a_receipt_that_the_payee_denies_is_shown_by_the_payer() {
    let world = World::new();
    let (mut ann, mut bob) = (world.person("ann"), world.person("bob"));
    world.fund(&mut ann, 5_000);
    // Bob puts back the state before he was paid, declines towards the operator by closing, and denies.
    let request = bob.request(700);
    let before = bob.copy();
    let payment = ann.pay(&request).unwrap();
    let receipt = bob.accept(&payment).unwrap();
    ann.confirm(&receipt);
    let mut bob = before;
    world.sync(&mut ann).unwrap();
    world.wait(2 * 3600);
    for _ in 0..2 {
        world.sync(&mut bob).unwrap();
        let Reply::Settled { refunded, .. } = world.sync(&mut ann).unwrap() else { panic!() };
        assert!(refunded.is_empty());
    }
    // The receipt counted as bob's half: ann's payment is at rest, and she was given nothing.
    assert!(ann.show().payments.is_empty());
    assert_eq!((ann.balance(), ann.is_suspended(), world.sound().in_flight), (4_300, false, 0));
}

#[test]
fn a_receipt_and_a_decline_from_two_copies_of_a_payee() {
    for payee_first in [true, false] {
        let world = World::new();
        let (mut ann, mut eve) = (world.person("ann"), world.person("eve"));
        world.fund(&mut ann, 5_000);
        let request = eve.request(700);
        let mut twin = eve.copy();
        let payment = ann.pay(&request).unwrap();
        eve.accept(&payment).unwrap();
        let decline = twin.decline(&payment);
        ann.reclaim(&decline).unwrap();
        eve.defund(700).unwrap();
        if payee_first {
            world.sync(&mut eve).unwrap();
            world.sync(&mut ann).unwrap();
        } else {
            world.sync(&mut ann).unwrap();
            world.sync(&mut eve).unwrap();
        }
        assert_eq!(accused(&world), [(eve.id().to_string(), Reason::Equivocated, true)]);
        let report = world.sound();
        // Where eve was quicker her account has it, and her PSP bears the loss.
        let lost = if payee_first { 700 } else { 0 };
        assert_eq!((ann.balance(), report.loss, report.defunded), (5_000, lost, lost));
        assert!(!ann.is_suspended());
    }
}

#[test]
fn two_tills_that_share_a_key_are_paid_once() {
    let world = World::new();
    let mut ann = world.person("ann");
    let mut till = world.wallet("beta", "shop", Grade::Terminal, false);
    world.fund(&mut ann, 5_000);
    let request = till.request(700);
    let mut other = till.copy();
    let payment = ann.pay(&request).unwrap();
    // Ann shows one payment at both, and each hands out the goods.
    till.accept(&payment).unwrap();
    other.accept(&payment).unwrap();
    world.sync(&mut till).unwrap();
    world.sync(&mut other).unwrap();
    world.sync(&mut ann).unwrap();
    let report = world.sound();
    assert_eq!((report.defunded, report.loss, ann.balance()), (700, 0, 4_300));
    assert!(other.is_suspended() && !ann.is_suspended(), "the shop's key is the one that forked");
}

// Withheld.

#[test]
fn a_statement_that_is_withheld_costs_its_payees_nothing() {
    let world = World::new();
    let (mut ann, mut bob, mut eve) = (world.person("ann"), world.person("bob"), world.person("eve"));
    world.fund(&mut ann, 5_000);
    ann.pay_to(&mut bob, 3_000, true);
    ann.pay_to(&mut eve, 2_000, false);
    // Ann never comes back.
    for payee in [&mut bob, &mut eve] {
        world.sync(payee).unwrap();
    }
    bob.defund(3_000).unwrap();
    world.sync(&mut bob).unwrap();
    let report = world.sound();
    assert_eq!((report.defunded, report.offline, report.loss), (3_000, 2_000, 0));
    assert_eq!(accused(&world), []);
}

#[test]
fn holding_more_than_the_limit_by_taking_back_lets_nothing_more_in() {
    let limit = 50_000;
    let world = World::with(|options| {
        options.rules.limits.iter_mut().for_each(|limits| limits.balance_max = amount(limit));
    });
    let (mut ann, mut eve) = (world.person("ann"), world.person("eve"));
    world.fund(&mut ann, limit);
    let request = eve.request(5_000);
    let payment = ann.pay(&request).unwrap();
    world.fund(&mut ann, 5_000);
    // Eve kept the payment; now that ann is full again she declines it.
    let decline = eve.decline(&payment);
    ann.reclaim(&decline).unwrap();
    assert_eq!(ann.balance(), limit + 5_000, "her own, and she has nowhere else to put it");
    assert_eq!(ann.fund_order(1).unwrap_err(), Code::BalanceTooLarge, "no more comes in");
    let request = ann.request(1);
    world.fund(&mut eve, 10);
    let payment = eve.pay(&request).unwrap();
    assert_eq!(ann.accept(&payment).unwrap_err(), Code::BalanceTooLarge);
    world.sync(&mut ann).unwrap();
    let report = world.sound();
    assert_eq!((report.offline, report.loss), (i128::from(limit) + 5_010, 0));
}

// A broken PSP.

/// A payer that the operator never enrolled, certified with a PSP's own key.
fn off_the_books(world: &World) -> Thief {
    let keys = std::fs::read_dir(world.path.join("keys")).unwrap().flatten().map(|entry| entry.path());
    let is_alphas = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().to_lowercase();
        name.starts_with("alpha") && name.contains("ed")
    };
    let text = std::fs::read_to_string(keys.into_iter().find(is_alphas).unwrap()).unwrap();
    let hex = text.split_whitespace().last().unwrap();
    let byte = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
    let issuer_key = SigningKey::from_secret(Algorithm::EdDsa, &std::array::from_fn(byte)).unwrap();
    let anchors = &world.service.scheme().anchors;
    let issuer = anchors.find_issuer(&key_id(&issuer_key.public())).unwrap();
    let key = SigningKey::from_secret(Algorithm::EdDsa, &[42; 32]).unwrap();
    let cert = WalletCert {
        issuer: key_id(&issuer.key),
        not_before_s: support::START_S,
        lifetime_h: 300,
        status_index: issuer.index_first + 77,
        grade: Grade::VirtualSe,
        currency: Currency::EUR,
        ceiling: amount(100_000),
        key: key.public(),
        name: Name::default(),
        signature: Signature([0; 64]),
    };
    let cert = issue_wallet(cert, &issuer_key, issuer, &[1; 32]);
    Thief { scheme: anchors.scheme, key, cert }
}

#[test]
fn a_key_that_a_psp_certified_on_its_own_creates_nothing_in_the_books() {
    let world = World::new();
    let (mut ann, mut bob, mut eve) = (world.person("ann"), world.person("bob"), world.person("eve"));
    world.fund(&mut ann, 5_000);
    let stranger = off_the_books(&world);
    // Whoever is offered its payment and declines it goes on as before.
    let request = bob.request(700);
    bob.decline(&stranger.payment(&request, 700, 700, 1));
    ann.pay_to(&mut bob, 300, true);
    world.sync(&mut bob).unwrap();
    assert_eq!((bob.balance(), bob.is_suspended()), (300, false));
    assert_eq!(accused(&world), []);
    // Whoever takes it, in league or not, is for its PSP to look at: nothing is credited and nothing leaves.
    let request = eve.request(700);
    eve.accept(&stranger.payment(&request, 700, 1_400, 2)).unwrap();
    eve.defund(700).unwrap();
    world.sync(&mut eve).unwrap();
    assert_eq!(accused(&world), [(eve.id().to_string(), Reason::Gap, false)]);
    let report = world.sound();
    assert_eq!((report.defunded, report.offline, report.loss), (0, 5_000, 0));
}
