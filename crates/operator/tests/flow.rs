//! Whole stories with the real trusted application: fund, pay, settle, defund, cheat.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use counterfoil_operator::Refusal;
use counterfoil_operator::domain::reason::Reason;
use counterfoil_ta::api::{Command, Reply};
use counterfoil_trust::open;
use counterfoil_wire::cert::Grade;
use counterfoil_wire::sync::Settlement;
use counterfoil_wire::{Bytes, Code};
use support::World;

fn reason(world: &World, reason: Reason) -> u64 {
    world.audit().reasons.iter().find(|count| count.reason == reason).map_or(0, |count| count.count)
}

#[test]
fn funded_paid_settled_and_defunded() {
    for es256 in [false, true] {
        let world = World::new();
        let mut ann = world.wallet("alpha", "ann", Grade::VirtualSe, es256);
        let mut bob = world.wallet("beta", "bob", Grade::VirtualSe, !es256);
        world.fund(&mut ann, 10_000);
        assert_eq!(ann.balance(), 10_000);
        ann.pay_to(&mut bob, 2_500, true);
        world.sync(&mut bob).unwrap();
        assert_eq!(reason(&world, Reason::PayeeOnly), 1);
        world.sound();
        world.sync(&mut ann).unwrap();
        assert_eq!(reason(&world, Reason::Matched), 1);
        bob.defund(1_000).unwrap();
        world.sync(&mut bob).unwrap();
        let report = world.sound();
        assert_eq!(
            (report.funded, report.defunded, report.offline, report.in_flight),
            (10_000, 1_000, 9_000, 0)
        );
        assert_eq!(report.float_on_rail, Some(9_000));
        assert_eq!((ann.balance(), bob.balance()), (7_500, 1_500));
        // Nothing happened since: statements that say so hold as well.
        world.sync(&mut ann).unwrap();
        world.sync(&mut bob).unwrap();
        world.sound();
    }
}

#[test]
fn received_value_is_spent_again_and_the_last_settles_first() {
    let world = World::new();
    let (mut ann, mut bob, mut eve) = (world.person("ann"), world.person("bob"), world.person("eve"));
    world.fund(&mut ann, 5_000);
    ann.pay_to(&mut bob, 4_000, true);
    bob.pay_to(&mut eve, 3_000, false);
    world.sync(&mut eve).unwrap();
    world.sound();
    eve.defund(3_000).unwrap();
    world.sync(&mut eve).unwrap();
    world.sound();
    world.sync(&mut ann).unwrap();
    world.sound();
    let Reply::Settled { confirmed, .. } = world.sync(&mut bob).unwrap() else { panic!() };
    assert_eq!(confirmed.len(), 1);
    let report = world.sound();
    assert_eq!((report.offline, report.in_flight, report.loss), (2_000, 0, 0));
    assert_eq!((ann.balance(), bob.balance(), eve.balance()), (1_000, 1_000, 0));
}

#[test]
fn a_decline_brings_value_back_offline() {
    let world = World::new();
    let (mut ann, mut bob) = (world.person("ann"), world.person("bob"));
    world.fund(&mut ann, 5_000);
    let request = bob.request(700);
    let payment = ann.pay(&request).unwrap();
    let decline = bob.decline(&payment);
    ann.reclaim(&decline).unwrap();
    world.sync(&mut ann).unwrap();
    world.sync(&mut bob).unwrap();
    world.sync(&mut ann).unwrap();
    assert_eq!((ann.balance(), bob.balance(), reason(&world, Reason::Declined)), (5_000, 0, 1));
    world.sound();
}

#[test]
fn a_closed_request_is_refunded_and_booked_when_the_payer_says_so() {
    let world = World::new();
    let (mut ann, mut bob) = (world.person("ann"), world.person("bob"));
    world.fund(&mut ann, 5_000);
    let request = bob.request(700);
    ann.pay(&request).unwrap();
    world.sync(&mut ann).unwrap();
    assert_eq!(reason(&world, Reason::PayerOnly), 1);
    world.wait(2 * 3600);
    world.sync(&mut bob).unwrap();
    let Reply::Settled { refunded, .. } = world.sync(&mut ann).unwrap() else { panic!() };
    assert_eq!((refunded.len(), ann.balance()), (1, 5_000));
    assert_eq!(world.sound().in_flight, 700);
    world.sync(&mut ann).unwrap();
    assert_eq!(world.sound().in_flight, 0);
    assert_eq!(reason(&world, Reason::Refunded), 1);
}

#[test]
fn a_terminal_is_paid_out_at_once() {
    let world = World::new();
    let mut ann = world.person("ann");
    let mut shop = world.wallet("beta", "shop", Grade::Terminal, false);
    world.fund(&mut ann, 5_000);
    ann.pay_to(&mut shop, 1_200, true);
    let Reply::Settled { paid_out, .. } = world.sync(&mut shop).unwrap() else { panic!() };
    assert_eq!((paid_out.minor(), shop.balance()), (1_200, 0));
    ann.pay_to(&mut shop, 300, false);
    let Reply::Settled { paid_out, .. } = world.sync(&mut shop).unwrap() else { panic!() };
    assert_eq!((paid_out.minor(), shop.balance()), (300, 0));
    // What a terminal declines comes back by the operator's word alone.
    let request = shop.request(50);
    let payment = ann.pay(&request).unwrap();
    let decline = shop.decline(&payment);
    assert_eq!(ann.reclaim(&decline).unwrap_err(), Code::DeclineNeedsOperator);
    world.sync(&mut shop).unwrap();
    world.sync(&mut ann).unwrap();
    world.sync(&mut ann).unwrap();
    let report = world.sound();
    assert_eq!((ann.balance(), report.defunded, report.offline), (3_500, 1_500, 3_500));
    assert_eq!(report.float_on_rail, Some(3_500));
}

#[test]
fn a_terminal_is_paid_out_what_its_own_statement_knows_of() {
    let world = World::new();
    let mut ann = world.person("ann");
    let mut shop = world.wallet("beta", "shop", Grade::Terminal, false);
    world.fund(&mut ann, 5_000);
    let early = shop.message(&Command::Statement {}).unwrap();
    // The payer's receipt credits the shop before the shop's old statement arrives.
    ann.pay_to(&mut shop, 1_200, true);
    world.sync(&mut ann).unwrap();
    let settlement = Bytes(world.service.settle(&early.0).unwrap());
    let Reply::Settled { paid_out, .. } = shop.run(&Command::Settle { settlement }).unwrap() else {
        panic!()
    };
    assert_eq!((paid_out.minor(), shop.balance()), (0, 1_200));
    let Reply::Settled { paid_out, .. } = world.sync(&mut shop).unwrap() else { panic!() };
    assert_eq!((paid_out.minor(), shop.balance(), world.sound().defunded), (1_200, 0, 1_200));
}

#[test]
fn a_statement_is_settled_once_and_a_lost_answer_is_given_again() {
    let mut world = World::new();
    let (mut ann, mut bob) = (world.person("ann"), world.person("bob"));
    world.fund(&mut ann, 5_000);
    ann.pay_to(&mut bob, 700, true);
    let statement = ann.message(&Command::Statement {}).unwrap();
    let lost = world.service.settle(&statement.0).unwrap();
    // The answer is lost, the wallet goes on, the operator is killed.
    ann.pay_to(&mut bob, 300, true);
    world.restart();
    let again = world.service.settle(&statement.0).unwrap();
    assert_eq!(lost, again);
    ann.run(&Command::Settle { settlement: Bytes(again) }).unwrap();
    world.sync(&mut ann).unwrap();
    world.sync(&mut bob).unwrap();
    world.sound();
    assert_eq!((ann.balance(), bob.balance()), (4_000, 1_000));
}

#[test]
fn a_fork_is_proven_both_payees_keep_theirs_and_the_loss_is_borne() {
    let world = World::new();
    let (mut ann, mut bob, mut eve) = (world.person("ann"), world.person("bob"), world.person("eve"));
    world.fund(&mut ann, 5_000);
    let mut twin = ann.copy();
    ann.pay_to(&mut bob, 4_000, false);
    twin.pay_to(&mut eve, 3_500, false);
    world.sync(&mut bob).unwrap();
    world.sync(&mut eve).unwrap();
    let report = world.sound();
    assert_eq!(report.cases.len(), 1);
    assert_eq!((report.cases[0].reason, report.cases[0].loss), (Reason::Forked, 2_500));
    assert_eq!(report.cases[0].borne_by.as_deref(), Some("alpha"));
    assert_eq!((report.loss, report.offline, report.float_on_rail), (2_500, 7_500, Some(7_500)));
    assert_eq!(reason(&world, Reason::Forked), 2);
    // The eve of the story has the new list already, and refuses both twins from now on.
    let request = eve.request(100);
    let payment = ann.pay(&request).unwrap();
    assert_eq!(eve.accept(&payment).unwrap_err(), Code::CertificateRevoked);
    // The cheat suspends itself at its next sync.
    world.sync(&mut ann).unwrap();
    assert!(ann.is_suspended());
    assert_eq!(ann.balance(), 0);
    world.sound();
    eve.defund(3_500).unwrap();
    bob.defund(4_000).unwrap();
    world.sync(&mut bob).unwrap();
    world.sync(&mut eve).unwrap();
    world.sound();
    // So does its twin, though the operator never acknowledged what it continues from.
    world.sync(&mut twin).unwrap();
    assert!(twin.is_suspended());
    world.sound();
}

#[test]
fn value_that_reaches_a_proven_cheat_later_goes_back_to_who_paid() {
    let world = World::new();
    let (mut ann, mut bob, mut eve, mut dan) =
        (world.person("ann"), world.person("bob"), world.person("eve"), world.person("dan"));
    world.fund(&mut dan, 5_000);
    dan.pay_to(&mut ann, 3_000, false);
    let mut twin = ann.copy();
    ann.pay_to(&mut bob, 3_000, false);
    twin.pay_to(&mut eve, 2_000, false);
    world.sync(&mut bob).unwrap();
    world.sync(&mut eve).unwrap();
    // Nothing is known of what ann received: all of it is loss at first.
    assert_eq!(world.sound().loss, 5_000);
    world.sync(&mut ann).unwrap();
    assert_eq!(world.sound().loss, 2_000);
    world.sync(&mut dan).unwrap();
    let report = world.sound();
    assert_eq!((report.loss, report.offline, report.in_flight), (2_000, 7_000, 0));
}

#[test]
fn a_wallet_put_back_to_an_older_state_is_revoked_at_its_sync() {
    let world = World::new();
    let (mut ann, mut bob) = (world.person("ann"), world.person("bob"));
    world.fund(&mut ann, 5_000);
    let mut old = ann.copy();
    ann.pay_to(&mut bob, 4_000, true);
    world.sync(&mut ann).unwrap();
    world.sync(&mut old).unwrap();
    assert!(old.is_suspended());
    let report = world.sound();
    assert!(report.cases.iter().any(|case| case.revoked && case.loss == 0), "{:?}", report.cases);
    world.sync(&mut bob).unwrap();
    world.sound();
}

#[test]
fn value_that_is_counterfeit_in_the_claims_is_refused_and_suspends() {
    let world = World::new();
    let (mut ann, mut bob) = (world.person("ann"), world.person("bob"));
    world.fund(&mut ann, 5_000);
    ann.pay_to(&mut bob, 1_000, true);
    let statement = ann.message(&Command::Statement {}).unwrap();
    let mut altered = statement.0.clone();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    assert!(matches!(world.service.settle(&altered), Err(Refusal::Rule(_))));
    // What somebody else altered does the wallet no harm.
    let settlement = world.service.settle(&statement.0).unwrap();
    let body = open::<Settlement>(&settlement).unwrap().body;
    assert!(body.cert.is_some());
    world.sound();
}

#[test]
fn an_order_beyond_the_account_is_refused_and_the_next_one_goes_on() {
    let mut world = World::new();
    let mut ann = world.person("ann");
    let order = ann.fund_order(100_000).unwrap();
    world.service.fund(&order.0).unwrap();
    world.restart();
    let again = world.service.fund(&order.0).unwrap();
    assert_eq!((again.order_no, again.funding_total), (1, 100_000));
    world.sync(&mut ann).unwrap();
    ann.defund(100).unwrap();
    world.sync(&mut ann).unwrap();
    let mut bob = world.person("bob");
    ann.pay_to(&mut bob, 5_000, true);
    ann.pay_to(&mut bob, 5_000, true);
    world.sync(&mut ann).unwrap();
    let order = ann.fund_order(5_000).unwrap();
    for _ in 0..2 {
        assert_eq!(world.service.fund(&order.0).unwrap_err().code(), Code::RailRefused);
    }
    world.sync(&mut ann).unwrap();
    assert_eq!(ann.show().order, None);
    world.fund(&mut ann, 100);
    world.sound();
}

#[test]
fn what_a_wallet_that_never_comes_back_overspent_is_written_off() {
    let world = World::new();
    let (mut ann, mut bob, mut eve) = (world.person("ann"), world.person("bob"), world.person("eve"));
    world.fund(&mut ann, 5_000);
    ann.pay_to(&mut bob, 3_000, false);
    bob.pay_to(&mut eve, 3_000, false);
    world.sync(&mut eve).unwrap();
    // Neither ann nor bob is seen again: bob's key ends, and a grace period after that somebody pays.
    world.wait(40 * 86_400);
    world.service.catch_up().unwrap();
    let report = world.sound();
    assert_eq!((report.loss, report.offline), (3_000, 8_000));
    assert_eq!(report.cases[0].reason, Reason::Overspent);
    world.service.catch_up().unwrap();
    // What ann's journal shows in the end makes the loss good.
    world.sync(&mut ann).unwrap();
    world.sync(&mut bob).unwrap();
    let report = world.sound();
    assert_eq!((report.loss, report.offline), (0, 5_000));
}

#[test]
fn a_blocked_pin_is_unblocked_once() {
    let world = World::new();
    let mut ann = world.person("ann");
    world.service.unblock(None, &ann.id()).unwrap();
    assert_eq!(world.service.unblock(Some("beta"), &ann.id()).unwrap_err().code(), Code::UnknownWallet);
    let unblocked = |wallet: &mut support::Wallet| {
        let statement = wallet.message(&Command::Statement {}).unwrap();
        let settlement = world.service.settle(&statement.0).unwrap();
        wallet.run(&Command::Settle { settlement: Bytes(settlement.clone()) }).unwrap();
        open::<Settlement>(&settlement).unwrap().body.pin_unblocked
    };
    assert_eq!((unblocked(&mut ann), unblocked(&mut ann)), (true, false));
}
