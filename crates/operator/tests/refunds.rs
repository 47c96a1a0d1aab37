//! What brings a payment that nobody took back to its payer: a closure in the payee's journal, or the operator's patience
//! at its end; never the time of a device.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use counterfoil_operator::domain::reason::Reason;
use counterfoil_ta::api::{Command, Reply};
use counterfoil_wire::cert::Grade;
use counterfoil_wire::{Bytes, Code, Reference};
use support::{START_S, Wallet, World, amount};

const DAY_S: u32 = 86_400;

/// How many payments the wallet's next settlement refunds.
fn refunded(world: &World, wallet: &mut Wallet) -> usize {
    match world.sync(wallet).unwrap() {
        Reply::Settled { refunded, .. } => refunded.len(),
        other => panic!("{other:?}"),
    }
}

fn standing_request(wallet: &mut Wallet) -> Bytes {
    let reference = Reference([77; 32]);
    wallet.message(&Command::Request { amount: Some(amount(700)), standing: true, reference }).unwrap()
}

#[test]
fn a_closure_of_each_kind_refunds_and_nothing_before_it_does() {
    for standing in [false, true] {
        let world = World::new();
        let (mut ann, mut bob) = (world.person("ann"), world.person("bob"));
        world.fund(&mut ann, 5_000);
        let request = if standing { standing_request(&mut bob) } else { bob.request(700) };
        let payment = ann.pay(&request).unwrap();
        assert_eq!(refunded(&world, &mut ann), 0);
        // The payee speaks, and what it says closes nothing.
        world.sync(&mut bob).unwrap();
        assert_eq!(refunded(&world, &mut ann), 0);
        // One-time requests close with their expiry; a standing one takes a payment until the payer's certificate ends.
        let until_s = ann.show().cert.unwrap().not_after_s();
        world.wait(if standing { until_s - START_S + DAY_S } else { 2 * 3_600 });
        world.sync(&mut bob).unwrap();
        if standing {
            // The bound of time comes with a settlement; the closure with the statement after it.
            world.sync(&mut bob).unwrap();
        }
        assert_eq!((refunded(&world, &mut ann), ann.balance()), (1, 5_000), "standing: {standing}");
        assert!(bob.accept(&payment).is_err(), "what was closed is never taken");
        world.sync(&mut ann).unwrap();
        let report = world.sound();
        assert_eq!((report.in_flight, report.offline, report.loss), (0, 5_000, 0));
    }
}

#[test]
fn a_payee_that_never_comes_back_is_given_up_after_its_last_certificate_and_the_grace_period() {
    let world = World::new();
    let (mut ann, mut bob) = (world.person("ann"), world.person("bob"));
    world.fund(&mut ann, 5_000);
    let request = standing_request(&mut bob);
    ann.pay(&request).unwrap();
    world.sync(&mut ann).unwrap();
    // The payee comes back once more, and then its newest certificate counts.
    world.wait(10 * DAY_S);
    world.sync(&mut bob).unwrap();
    let bob_until_s = bob.show().cert.unwrap().not_after_s();
    let given_up_s = bob_until_s + world.service.scheme().rules.grace_s;
    world.wait(given_up_s - world.service.now_s());
    assert_eq!(refunded(&world, &mut ann), 0, "the last second of the grace period");
    world.wait(1);
    assert_eq!((refunded(&world, &mut ann), ann.balance()), (1, 5_000));
    world.sync(&mut ann).unwrap();
    assert_eq!(world.sound().in_flight, 0);
}

#[test]
fn a_receipt_after_the_refund_wins_and_the_schemes_fund_pays_the_difference() {
    let world = World::new();
    let (mut ann, mut bob) = (world.person("ann"), world.wallet("beta", "bob", Grade::VirtualSe, false));
    world.fund(&mut ann, 5_000);
    // Taken, and the receipt is lost with the channel.
    ann.pay_to(&mut bob, 700, false);
    world.sync(&mut ann).unwrap();
    world.wait(40 * DAY_S);
    assert_eq!((refunded(&world, &mut ann), ann.balance()), (1, 5_000));
    world.sync(&mut ann).unwrap();
    assert_eq!(world.sound().loss, 0);
    let fund = world.on_rail("scheme", "offline guarantee");
    world.sync(&mut bob).unwrap();
    let report = world.sound();
    assert_eq!((report.loss, report.offline, report.in_flight), (700, 5_700, 0));
    assert_eq!(fund - world.on_rail("scheme", "offline guarantee"), 700);
    let late = report.reasons.iter().find(|count| count.reason == Reason::Late);
    assert_eq!(late.map(|count| (count.count, count.amount)), Some((1, 700)));
    // Both have it, and both can have it out.
    ann.defund(5_000).unwrap();
    bob.defund(700).unwrap();
    world.sync(&mut ann).unwrap();
    world.sync(&mut bob).unwrap();
    assert_eq!(world.sound().offline, 0);
    assert!(!ann.is_suspended() && !bob.is_suspended());
}

#[test]
fn no_device_gets_anything_back_because_time_passed_on_a_device() {
    let world = World::new();
    let own = Arc::new(AtomicU32::new(START_S));
    let mut ann = world.wallet_with_clock("alpha", "ann", Grade::VirtualSe, false, own.clone());
    let theirs = Arc::new(AtomicU32::new(START_S));
    let mut bob = world.wallet_with_clock("alpha", "bob", Grade::VirtualSe, false, theirs.clone());
    world.fund(&mut ann, 5_000);
    let standing = standing_request(&mut bob);
    ann.pay(&standing).unwrap();
    // Years pass on both phones, and none for the operator.
    own.fetch_add(1_000 * DAY_S, Ordering::Relaxed);
    theirs.fetch_add(1_000 * DAY_S, Ordering::Relaxed);
    assert_eq!(ann.balance(), 4_300);
    for _ in 0..3 {
        world.sync(&mut bob).unwrap();
        assert_eq!((refunded(&world, &mut ann), ann.balance()), (0, 4_300));
    }
    // And a payee's clock that was set back keeps nobody from what the operator's time decides.
    let report = world.sound();
    assert_eq!((report.in_flight, report.offline), (700, 4_300));
    theirs.store(1, Ordering::Relaxed);
    let until_s = ann.show().cert.unwrap().not_after_s();
    world.wait(until_s - START_S + DAY_S);
    world.sync(&mut bob).unwrap();
    world.sync(&mut bob).unwrap();
    assert_eq!((refunded(&world, &mut ann), ann.balance()), (1, 5_000));
}

#[test]
fn a_refund_that_was_told_is_applied_once_however_often_it_is_told() {
    let mut world = World::new();
    let (mut ann, mut bob) = (world.person("ann"), world.person("bob"));
    world.fund(&mut ann, 5_000);
    let request = bob.request(700);
    ann.pay(&request).unwrap();
    world.sync(&mut ann).unwrap();
    world.wait(2 * 3_600);
    world.sync(&mut bob).unwrap();
    let statement = ann.message(&Command::Statement {}).unwrap();
    let first = world.service.settle(&statement.0).unwrap();
    world.restart();
    let again = world.service.settle(&statement.0).unwrap();
    for settlement in [first, again] {
        ann.run(&Command::Settle { settlement: Bytes(settlement) }).unwrap();
        assert_eq!(ann.balance(), 5_000);
    }
    // Somebody else's settlement gives nothing.
    let other = bob.message(&Command::Statement {}).unwrap();
    let other = world.service.settle(&other.0).unwrap();
    let refused = ann.run(&Command::Settle { settlement: Bytes(other) });
    assert_eq!(refused.unwrap_err(), Code::SettlementMismatch);
    for _ in 0..2 {
        world.sync(&mut ann).unwrap();
        assert_eq!((ann.balance(), world.sound().in_flight), (5_000, 0));
    }
}
