//! The trusted application between two devices and with the operator: what must work.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use counterfoil_ta::api::{Command, PaymentState, Reply};
use counterfoil_wire::message::Payment;
use counterfoil_wire::{Bytes, Code, Digest, Wire};

use crate::support::{PIN, START_S, World, amount};

fn id_of(w: &World, payment: &Bytes) -> Digest {
    counterfoil_trust::open_message::<Payment>(&payment.0).unwrap().id(&w.operator.anchors.scheme)
}

#[test]
fn a_payment_goes_from_request_to_confirmation_between_both_algorithms() {
    let mut w = World::new();
    let request = w.b.request(Some(1_250));
    let payment = w.a.pay(&request, None, None).unwrap();
    assert_eq!(w.a.balance(), 48_750);
    let receipt = w.b.accept(&payment).unwrap();
    assert_eq!(w.b.balance(), 51_250);
    w.a.confirm(&receipt).unwrap();
    assert_eq!(w.a.show().payments[0].state, PaymentState::Confirmed);

    let request = w.a.request(Some(250));
    let payment = w.b.pay(&request, None, None).unwrap();
    w.a.accept(&payment).unwrap();
    assert_eq!((w.a.balance(), w.b.balance()), (49_000, 51_000));
}

#[test]
fn received_value_is_spent_again_offline() {
    let mut w = World::new();
    let request = w.c.request(Some(3_000));
    let payment = w.a.pay(&request, None, None).unwrap();
    w.c.accept(&payment).unwrap();
    let request = w.t.standing_request();
    let payment = w.c.pay(&request, Some(1_000), None).unwrap();
    w.t.accept(&payment).unwrap();
    let payment = w.c.pay(&request, Some(1_000), None).unwrap();
    w.t.accept(&payment).unwrap();
    assert_eq!((w.c.balance(), w.t.balance()), (1_000, 2_000));
    w.operator.sync(&mut w.t);
    assert_eq!(w.t.balance(), 0, "claimed and paid out");
}

#[test]
fn the_share_of_received_value_is_a_limit_and_a_sync_lifts_it() {
    let mut rules = counterfoil_wire::rules::Preset::Permissive.rules();
    rules.limits.iter_mut().for_each(|limits| limits.respend_percent = 50);
    let mut w = World::with_rules(rules);
    let request = w.c.request(Some(3_000));
    let payment = w.a.pay(&request, None, None).unwrap();
    w.c.accept(&payment).unwrap();
    assert_eq!(w.c.show().spendable, amount(1_500));
    let request = w.t.standing_request();
    assert_eq!(w.c.pay(&request, Some(1_501), None), Err(Code::RespendShare));
    w.c.pay(&request, Some(1_000), None).unwrap();
    assert_eq!(w.c.pay(&request, Some(501), None), Err(Code::RespendShare));
    w.operator.sync(&mut w.c);
    w.c.pay(&request, Some(2_000), None).unwrap();
    assert_eq!(w.c.balance(), 0);
}

#[test]
fn everything_asked_again_gives_the_same_bytes_and_moves_nothing() {
    let mut w = World::new();
    let reference = w.b.reference();
    let ask = Command::Request { amount: Some(amount(700)), standing: false, reference };
    let request = w.b.message(&ask).unwrap();
    assert_eq!(w.b.message(&ask).unwrap(), request);
    let payment = w.a.pay(&request, None, None).unwrap();
    assert_eq!(w.a.pay(&request, None, None).unwrap(), payment, "one request, one payment");
    let receipt = w.b.accept(&payment).unwrap();
    assert_eq!(w.b.accept(&payment).unwrap(), receipt);
    w.a.confirm(&receipt).unwrap();
    assert!(matches!(w.a.confirm(&receipt), Ok(Reply::Resolved { again: true, .. })));
    assert_eq!((w.a.balance(), w.b.balance()), (49_300, 50_700));

    assert_eq!(w.a.message(&Command::Resend { payment: id_of(&w, &payment) }), Err(Code::AlreadyResolved));

    let standing = w.t.standing_request();
    let reference = w.a.reference();
    let pay = |amount_minor| Command::Pay {
        request: standing.clone(),
        amount: Some(amount(amount_minor)),
        pin: None,
        reference,
        approval: None,
    };
    let first = w.a.message(&pay(100)).unwrap();
    assert_eq!(w.a.message(&pay(100)).unwrap(), first);
    assert_eq!(w.a.message(&Command::Resend { payment: id_of(&w, &first) }).unwrap(), first);
    assert_eq!(w.a.run(&pay(200)), Err(Code::ReferenceReused));
    assert_ne!(w.a.pay(&standing, Some(100), None).unwrap(), first, "a new reference is a new payment");
}

#[test]
fn a_declined_payment_comes_back_and_is_never_accepted() {
    let mut w = World::new();
    let request = w.b.request(Some(900));
    let payment = w.a.pay(&request, None, None).unwrap();
    let decline = w.b.decline(&payment).unwrap();
    assert_eq!(w.b.accept(&payment), Err(Code::HolderRefused), "the decline again");
    w.a.reclaim(&decline).unwrap();
    assert!(matches!(w.a.reclaim(&decline), Ok(Reply::Resolved { again: true, .. })));
    assert_eq!(w.a.pay(&request, None, None), Err(Code::AlreadyResolved), "nothing to show any more");
    assert_eq!((w.a.balance(), w.b.balance()), (50_000, 50_000));

    let request = w.b.request(Some(900));
    let payment = w.a.pay(&request, None, None).unwrap();
    let receipt = w.b.accept(&payment).unwrap();
    assert_eq!(w.b.decline(&payment), Err(Code::AlreadyAccepted));
    assert_eq!(w.a.confirm(&decline), Err(Code::WrongKind));
    w.a.confirm(&receipt).unwrap();
    assert_eq!(w.a.reclaim(&receipt), Err(Code::WrongKind));
}

#[test]
fn a_terminals_decline_waits_for_the_operator() {
    let mut w = World::new();
    let request = w.t.standing_request();
    let payment = w.a.pay(&request, Some(2_000), None).unwrap();
    let decline = w.t.decline(&payment).unwrap();
    assert_eq!(w.a.reclaim(&decline), Err(Code::DeclineNeedsOperator));
    assert_eq!(w.a.show().payments[0].state, PaymentState::Unresolved);
    w.operator.sync(&mut w.t);
    w.operator.sync(&mut w.a);
    assert_eq!(w.a.balance(), 50_000);
}

#[test]
fn the_operator_refunds_only_what_the_payee_has_closed() {
    let mut w = World::new();
    let request = w.b.request(Some(2_000));
    let lost = w.a.pay(&request, None, None).unwrap();
    w.operator.sync(&mut w.a);
    w.operator.sync(&mut w.b);
    w.operator.sync(&mut w.a);
    assert_eq!(w.a.balance(), 48_000, "the request is still open");
    w.set_time(START_S + 2 * 3600);
    w.operator.sync(&mut w.b);
    w.operator.sync(&mut w.a);
    assert_eq!(w.a.balance(), 50_000);
    assert_eq!(w.b.accept(&lost), Err(Code::RequestClosed), "declined, though it comes late");
}

#[test]
fn a_payment_forgotten_after_its_certificate_ended_can_be_neither_taken_nor_declined() {
    let mut w = World::new();
    let request = w.b.request(Some(2_000));
    let payment = w.a.pay(&request, None, None).unwrap();
    w.b.accept(&payment).unwrap();
    w.operator.sync(&mut w.b);
    w.set_time(START_S + 40 * 86_400);
    w.operator.sync(&mut w.b);
    w.operator.sync(&mut w.b);
    assert!(w.b.show().payments.is_empty(), "forgotten");
    // The operator's time went wrong and is set right again: the bound falls, what is closed stays closed.
    w.set_time(START_S + 60);
    w.operator.sync(&mut w.b);
    assert_eq!(w.b.accept(&payment), Err(Code::CertificateExpired));
    assert_eq!(w.b.decline(&payment), Err(Code::CertificateExpired));
}

#[test]
fn a_payee_whose_own_certificate_ended_syncs_before_it_accepts() {
    let mut w = World::new();
    w.set_time(START_S + 13 * 86_400);
    w.operator.sync(&mut w.a);
    let request = w.b.standing_request();
    let payment = w.a.pay(&request, Some(100), None).unwrap();
    w.b.device.now_s.set(START_S + 14 * 86_400 + 1);
    assert_eq!(w.b.accept(&payment), Err(Code::OwnCertificateExpired));
    w.operator.sync(&mut w.b);
    w.b.accept(&payment).unwrap();
}

#[test]
fn three_wrong_pins_block_until_the_psp_unblocks() {
    let mut w = World::new();
    let request = w.b.request(Some(6_000));
    assert_eq!(w.a.pay(&request, None, None), Err(Code::PinRequired));
    for slip in ["12 34", "1234\n", "123", "1234567890123", ""] {
        assert_eq!(w.a.pay(&request, None, Some(slip)), Err(Code::PinMalformed));
    }
    assert_eq!(w.a.show().pin_tries, Some(3), "no try is used up by what can be no PIN");
    for _ in 0..3 {
        assert_eq!(w.a.pay(&request, None, Some("0000")), Err(Code::PinWrong));
        w.a.reopen();
        w.operator.sync(&mut w.a);
    }
    assert_eq!(w.a.pay(&request, None, Some(PIN)), Err(Code::PinBlocked), "a sync alone does not unblock");
    let key = w.a.show().key;
    w.operator.unblock.insert(key);
    w.operator.sync(&mut w.a);
    w.a.pay(&request, None, Some(PIN)).unwrap();
    assert_eq!(w.a.show().pin_tries, Some(3));
}

#[test]
fn each_limit_refuses_by_its_own_number() {
    let change = |edit: fn(&mut counterfoil_wire::rules::Limits)| {
        let mut rules = counterfoil_wire::rules::Preset::Permissive.rules();
        rules.limits.iter_mut().for_each(edit);
        let mut w = World::with_rules(rules);
        let request = w.t.standing_request();
        let mut last = Ok(());
        for _ in 0..4 {
            last = w.a.pay(&request, Some(1_000), None).map(|_| ());
            if last.is_err() {
                break;
            }
        }
        last
    };
    assert_eq!(change(|l| l.payment_max = amount(999)), Err(Code::PaymentTooLarge));
    assert_eq!(change(|l| l.sync_total_max = amount(2_999)), Err(Code::TotalSinceSync));
    assert_eq!(change(|l| l.sync_count_max = 2), Err(Code::CountSinceSync));
    assert_eq!(change(|l| l.window_total_max = amount(2_999)), Err(Code::WindowTotal));
    assert_eq!(change(|l| l.window_count_max = 2), Err(Code::WindowCount));
    assert_eq!(change(|l| l.no_pin_total_max = amount(2_500)), Err(Code::PinRequired));
    assert_eq!(change(|l| l.payment_max = amount(1_000)), Ok(()));

    let mut w = World::new();
    let request = w.t.standing_request();
    assert_eq!(w.c.pay(&request, Some(1), None), Err(Code::InsufficientFunds));
    w.set_time(START_S + 14 * 86_400 + 1);
    assert_eq!(w.a.pay(&request, Some(1), None), Err(Code::OwnCertificateExpired));
    assert_eq!(w.t.pay(&request, Some(1), None), Err(Code::TerminalCannotPay));
}

#[test]
fn limits_of_time_receipts_grade_and_ceiling_refuse_by_their_own_number() {
    let with = |edit: fn(&mut counterfoil_wire::rules::Limits)| {
        let mut rules = counterfoil_wire::rules::Preset::Permissive.rules();
        rules.limits.iter_mut().for_each(edit);
        World::with_rules(rules)
    };
    let mut w = with(|limits| limits.offline_max_s = 86_400);
    let request = w.t.standing_request();
    w.a.device.now_s.set(START_S + 86_401);
    assert_eq!(w.a.pay(&request, Some(1), None), Err(Code::OfflineTooLong));

    let mut w = with(|limits| limits.receipts_max = 1);
    let request = w.t.standing_request();
    let [first, second] = [1, 2].map(|minor| w.a.pay(&request, Some(minor), None).unwrap());
    w.t.accept(&first).unwrap();
    assert_eq!(w.t.accept(&second), Err(Code::ReceiptsSinceSync));

    let mut w = with(|limits| limits.payer_grades = counterfoil_wire::cert::Grade::Hardware.bit());
    let request = w.t.standing_request();
    let payment = w.a.pay(&request, Some(1), None).unwrap();
    assert_eq!(w.t.accept(&payment), Err(Code::PayerGradeTooLow));

    let mut w = with(|limits| limits.no_pin_max = amount(99));
    let request = w.t.standing_request();
    assert_eq!(w.a.pay(&request, Some(100), None), Err(Code::PinRequired));
    w.a.pay(&request, Some(99), None).unwrap();

    // A certificate whose ceiling is lower than the rules would let it be.
    let mut w = World::new();
    w.operator.ceiling_margin = Some(500);
    w.operator.sync(&mut w.a);
    let request = w.t.standing_request();
    w.a.pay(&request, Some(500), None).unwrap();
    assert_eq!(w.a.pay(&request, Some(1), None), Err(Code::CeilingReached));
}

#[test]
fn a_suspended_wallet_tells_again_what_was_done_and_begins_nothing() {
    let mut w = World::new();
    let request = w.b.request(Some(700));
    let payment = w.a.pay(&request, None, None).unwrap();
    let receipt = w.b.accept(&payment).unwrap();
    let keys = [w.a.show().key, w.b.show().key];
    w.operator.suspended.extend(keys);
    w.operator.sync(&mut w.b);
    assert_eq!(w.b.accept(&payment).unwrap(), receipt);
    let standing = w.t.standing_request();
    assert_eq!(w.b.pay(&standing, Some(1), None), Err(Code::Suspended));
    let another = w.b.reference();
    let ask = Command::Request { amount: None, standing: true, reference: another };
    assert_eq!(w.b.run(&ask), Err(Code::Suspended));
    w.a.confirm(&receipt).unwrap();
}

#[test]
fn a_window_is_not_emptied_by_a_sync_nor_by_the_hosts_clock() {
    let mut rules = counterfoil_wire::rules::Preset::Permissive.rules();
    rules.limits.iter_mut().for_each(|limits| limits.window_count_max = 2);
    let mut w = World::with_rules(rules);
    let request = w.t.standing_request();
    w.a.pay(&request, Some(1), None).unwrap();
    w.operator.sync(&mut w.a);
    w.a.pay(&request, Some(1), None).unwrap();
    w.a.device.now_s.set(START_S + 2 * 86_400);
    assert_eq!(w.a.pay(&request, Some(1), None), Err(Code::WindowCount));
    w.set_time(START_S + 86_400);
    w.operator.sync(&mut w.a);
    w.a.pay(&request, Some(1), None).unwrap();
}

#[test]
fn the_payees_rules_decline_and_the_payer_gets_it_back() {
    let mut rules = counterfoil_wire::rules::Preset::Permissive.rules();
    rules.limits.iter_mut().for_each(|limits| limits.balance_max = amount(50_100));
    let mut w = World::with_rules(rules);
    let request = w.b.request(Some(101));
    let payment = w.a.pay(&request, None, None).unwrap();
    let Ok(Reply::Declined { decline, reason, .. }) = w.b.run(&Command::Accept { payment }) else {
        panic!("not declined")
    };
    assert_eq!(reason, Code::BalanceTooLarge.number());
    w.a.reclaim(&decline).unwrap();
    assert_eq!((w.a.balance(), w.b.balance()), (50_000, 50_000));
}

#[test]
fn a_rolled_back_wallet_is_found_out_when_its_payees_meet() {
    let mut w = World::new();
    let copy = w.a.snapshot();
    let request = w.b.request(Some(5_000));
    let first = w.a.pay(&request, None, None).unwrap();
    w.b.accept(&first).unwrap();
    w.a.restore(copy);
    let request = w.c.request(Some(5_000));
    let second = w.a.pay(&request, None, None).unwrap();
    w.c.accept(&second).unwrap();
    let cheat = w.a.show().key;
    assert_eq!(w.b.gossip_to(&mut w.c).unwrap(), vec![cheat]);
    assert_eq!(w.c.gossip_to(&mut w.b).unwrap(), vec![cheat]);
    assert_eq!(w.b.gossip_to(&mut w.t).unwrap(), vec![cheat], "the proof travels on");
    for payee in [&mut w.b, &mut w.c, &mut w.t] {
        let request = payee.standing_request();
        let payment = w.a.pay(&request, Some(1), None).unwrap();
        assert_eq!(payee.accept(&payment), Err(Code::ProvenCheat));
        assert_eq!(payee.show().cheats, vec![cheat]);
    }
}

#[test]
fn one_payee_alone_sees_a_fork_shown_to_it_twice() {
    let mut w = World::new();
    let (first, second) = (w.b.request(Some(500)), w.b.request(Some(600)));
    let copy = w.a.snapshot();
    let payment = w.a.pay(&first, None, None).unwrap();
    w.b.accept(&payment).unwrap();
    w.a.restore(copy);
    let payment = w.a.pay(&second, None, None).unwrap();
    assert_eq!(w.b.accept(&payment), Err(Code::ProvenCheat));
    assert_eq!(w.b.balance(), 50_500);
}

#[test]
fn a_fork_among_payments_that_are_declined_is_a_proof_too() {
    let mut w = World::new();
    let (first, second) = (w.b.request(Some(500)), w.b.request(Some(600)));
    let copy = w.a.snapshot();
    let payment = w.a.pay(&first, None, None).unwrap();
    w.b.decline(&payment).unwrap();
    w.a.restore(copy);
    let payment = w.a.pay(&second, None, None).unwrap();
    w.b.decline(&payment).unwrap();
    assert_eq!(w.b.show().cheats, vec![w.a.show().key]);
    assert_eq!(w.b.gossip_to(&mut w.c).unwrap(), vec![w.a.show().key]);
}

#[test]
fn a_revoked_payer_is_refused_after_the_list_was_handed_on() {
    let mut w = World::new();
    let key = w.a.show().key;
    w.operator.revoke(&key);
    w.operator.sync(&mut w.b);
    w.b.gossip_to(&mut w.c).unwrap();
    let request = w.c.request(Some(5));
    let payment = w.a.pay(&request, None, None).unwrap();
    assert_eq!(w.c.accept(&payment), Err(Code::CertificateRevoked));
    w.operator.sync(&mut w.a);
    let another = w.c.request(Some(5));
    assert_eq!(w.a.pay(&another, None, None), Err(Code::Suspended));
}

#[test]
fn a_lost_settlement_and_a_repeated_one_add_nothing() {
    let mut w = World::new();
    let reference = w.c.reference();
    let order = Command::FundOrder { amount: amount(700), reference };
    let message = w.c.message(&order).unwrap();
    assert_eq!(w.c.message(&order).unwrap(), message);
    w.operator.take_order(&message);
    w.operator.take_order(&message);
    let statement = w.c.message(&Command::Statement {}).unwrap();
    let _lost = w.operator.settle(&statement);
    assert_eq!(w.c.message(&Command::Statement {}).unwrap(), statement, "asked again, the same");
    let settlement = w.operator.settle(&statement);
    w.c.run(&Command::Settle { settlement: settlement.clone() }).unwrap();
    assert!(matches!(w.c.run(&Command::Settle { settlement }), Ok(Reply::Settled { again: true, .. })));
    assert_eq!(w.c.balance(), 700);
}

#[test]
fn a_stale_copy_signs_nothing() {
    let mut w = World::new();
    let request = w.b.request(Some(5));
    w.a.device.stale.set(true);
    assert_eq!(w.a.pay(&request, None, None), Err(Code::StaleState));
    assert_eq!(w.a.run(&Command::Statement {}), Err(Code::StaleState));
    assert_eq!(w.a.balance(), 50_000, "the holder may still look");
}

#[test]
fn bytes_written_a_payment_do_not_grow_with_history() {
    let mut w = World::new();
    let request = w.t.standing_request();
    let mut written = vec![];
    for _ in 0..120 {
        let payment = w.a.pay(&request, Some(1), None).unwrap();
        let payer = w.a.device.bytes_written.get();
        w.t.accept(&payment).unwrap();
        written.push((payer, w.t.device.bytes_written.get()));
    }
    let (first, last) = (written[30], written[119]);
    assert!(last.0 <= first.0 + 16 && last.1 <= first.1 + 16, "{first:?} {last:?}");
}

#[test]
fn no_command_bytes_bring_it_down() {
    let mut w = World::new();
    let before = w.a.show().to_bytes();
    for len in 0..64 {
        for byte in [0x00, 0x81, 0x82, 0x83, 0x9f, 0xff] {
            w.a.process(&vec![byte; len]);
        }
    }
    assert_eq!(w.a.show().to_bytes(), before);
}
