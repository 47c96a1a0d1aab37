//! A copy that the host's counter has passed can begin anew, and that is all it can do.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

use counterfoil_ta::api::{Command, Reply};
use counterfoil_trust::open;
use counterfoil_wire::cert::{Grade, Name};
use counterfoil_wire::sync::Enrolment;
use counterfoil_wire::{Algorithm, Bytes, Code, Digest, PublicKey};

use crate::support::{self, Cut, Wallet, World, element};

fn enrol(w: &World) -> Command {
    let name = Name::default();
    Command::Enrol {
        es256: false,
        grade: Grade::VirtualSe,
        name,
        pin: None,
        root: w.operator.root.clone(),
        binding: Digest([9; 32]),
        element: element(),
    }
}

fn key_of(enrolment: &Bytes) -> PublicKey {
    open::<Enrolment>(&enrolment.0).unwrap().header.key
}

/// A wallet that has done a bit of everything, put back to an older copy.
fn stale(w: &mut World) -> PublicKey {
    let request = w.b.request(Some(500));
    let payment = w.a.pay(&request, None, None).unwrap();
    w.b.accept(&payment).unwrap();
    w.a.standing_request();
    let reference = w.a.reference();
    w.a.run(&Command::Defund { amount: support::amount(10), pin: Some(support::pin("1234")), reference })
        .ok();
    w.a.message(&Command::Statement {}).unwrap();
    let copy = w.a.snapshot();
    assert!(copy.len() > 8);
    w.a.restore(copy);
    w.a.device.stale.set(true);
    w.a.show().key
}

#[test]
fn a_stale_wallet_may_enrol_and_nothing_else() {
    let mut w = World::new();
    let old = stale(&mut w);
    let request = w.b.request(Some(5));
    let reference = w.a.reference();
    let amount = support::amount(5);
    for command in [
        Command::Pay { request, amount: None, pin: None, reference, approval: None },
        Command::Request { amount: None, standing: false, reference },
        Command::FundOrder { amount, reference },
        Command::Statement {},
        Command::GossipOut { room: 1_000 },
    ] {
        assert_eq!(w.a.run(&command), Err(Code::StaleState));
    }
    let enrolment = w.a.message(&enrol(&w)).unwrap();
    assert_ne!(key_of(&enrolment), old);
    // Asked again it is the same enrolment, at once and after a restart, when the counter agrees again.
    let again = Reply::Message { message: enrolment.clone(), again: true };
    assert_eq!(w.a.run(&enrol(&w)), Ok(again.clone()));
    w.a.device.stale.set(false);
    w.a.reopen();
    assert_eq!(w.a.run(&enrol(&w)), Ok(again));
}

#[test]
fn nothing_of_the_old_wallet_is_left_and_the_new_one_works() {
    for reopened in [false, true] {
        let mut w = World::new();
        let old = stale(&mut w);
        let before = w.a.snapshot();
        w.a.message(&enrol(&w)).unwrap();
        let after = w.a.snapshot();
        assert_eq!(after.len(), 1, "one record: {:?}", after.keys());
        assert!(before.values().all(|value| !after.values().any(|kept| kept == value)));
        if reopened {
            w.a.device.stale.set(false);
            w.a.reopen();
        }
        let World { a, operator, .. } = &mut w;
        operator.enrol(a, Algorithm::EdDsa, Grade::VirtualSe, None);
        let shown = w.a.show();
        assert_eq!((shown.funded.minor(), shown.received.minor(), shown.payments.len()), (0, 0, 0));
        assert_ne!(shown.key, old);
        // It is paid, and it pays.
        let request = w.a.request(Some(700));
        let payment = w.b.pay(&request, None, None).unwrap();
        w.a.accept(&payment).unwrap();
        let request = w.b.request(Some(200));
        let payment = w.a.pay(&request, None, None).unwrap();
        w.b.accept(&payment).unwrap();
        assert_eq!(w.a.balance(), 500);
        let statement = w.a.message(&Command::Statement {}).unwrap();
        let settlement = w.operator.settle(&statement);
        w.a.run(&Command::Settle { settlement }).unwrap();
    }
}

#[test]
fn a_power_cut_leaves_all_of_the_old_wallet_or_all_of_the_new() {
    for cut in [Cut::Before, Cut::After] {
        let mut w = World::new();
        let old = stale(&mut w);
        let before = w.a.snapshot();
        w.a.device.cut.set(Some((w.a.device.commits.get() + 1, cut)));
        assert_eq!(w.a.run(&enrol(&w)), Err(Code::StoreFailed));
        w.a.reopen();
        if cut == Cut::Before {
            // As stale as it was.
            assert_eq!(w.a.snapshot(), before);
            assert_eq!(w.a.show().key, old);
            assert_eq!(w.a.run(&Command::Statement {}), Err(Code::StaleState));
        } else {
            w.a.device.stale.set(false);
            assert_eq!(w.a.snapshot().len(), 1);
            assert_ne!(w.a.show().key, old);
        }
        let World { a, operator, .. } = &mut w;
        operator.enrol(a, Algorithm::EdDsa, Grade::VirtualSe, None);
        assert!(w.a.show().cert.is_some());
    }
}

#[test]
fn a_wallet_that_is_not_stale_is_never_replaced() {
    let mut w = World::new();
    let before = w.a.snapshot();
    for _ in 0..2 {
        assert_eq!(w.a.run(&enrol(&w)), Err(Code::AlreadyEnrolled));
        w.a.reopen();
    }
    assert_eq!(w.a.snapshot(), before);
    // Nor is an enrolment that is under way.
    let mut fresh = Wallet::new(99);
    let first = fresh.message(&enrol(&w)).unwrap();
    assert_eq!(fresh.message(&enrol(&w)).unwrap(), first);
}

#[test]
fn a_refused_enrolment_leaves_a_stale_wallet_as_it_was() {
    let mut w = World::new();
    let old = stale(&mut w);
    let before = w.a.snapshot();
    let Command::Enrol { es256, grade, root, .. } = enrol(&w) else { panic!() };
    let (binding, element) = (Digest::NONE, element());
    let name = Name::new("a person has none").unwrap();
    let enrol = Command::Enrol {
        es256,
        grade,
        name,
        pin: None,
        root: root.clone(),
        binding,
        element: element.clone(),
    };
    let refused = w.a.run(&enrol);
    assert_eq!(refused, Err(Code::ValueOutOfRange));
    let pin = Some(support::pin("12"));
    let refused =
        w.a.run(&Command::Enrol { es256, grade, name: Name::default(), pin, root, binding, element });
    assert_eq!(refused, Err(Code::PinMalformed));
    assert_eq!((w.a.snapshot(), w.a.show().key), (before, old));
}

#[test]
fn where_the_records_are_gone_a_fresh_wallet_begins() {
    let w = World::new();
    let mut gone = Wallet::new(98);
    gone.device.stale.set(true);
    assert_eq!(gone.run(&Command::Statement {}), Err(Code::StaleState));
    let enrolment = gone.message(&enrol(&w)).unwrap();
    assert_eq!(gone.message(&enrol(&w)).unwrap(), enrolment);
}
