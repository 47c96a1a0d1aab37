//! A wallet to which tampering was reported: what it refuses, what it goes on with, and what ends it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use counterfoil_ta::api::{Command, PaymentState, Reply};
use counterfoil_trust::open;
use counterfoil_wire::Code;
use counterfoil_wire::element::Tamper;
use counterfoil_wire::sync::{Standing, Statement};

use crate::support::{Cut, PIN, Wallet, World, amount, pin};

fn report(wallet: &mut Wallet, tamper: Tamper) -> (Tamper, bool) {
    match wallet.run(&Command::ReportTamper { tamper }).unwrap() {
        Reply::Deactivated { tamper, again } => (tamper, again),
        other => panic!("{other:?}"),
    }
}

fn told(wallet: &mut Wallet) -> Option<Tamper> {
    let statement = wallet.message(&Command::Statement {}).unwrap();
    open::<Statement>(&statement.0).unwrap().body.tamper
}

#[test]
fn a_deactivated_wallet_begins_nothing_new() {
    let mut w = World::new();
    let (asked, other) = (w.b.request(Some(500)), w.a.request(Some(70)));
    let (to_take, to_decline) = (w.b.pay(&other, None, None).unwrap(), w.a.standing_request());
    let to_decline = w.b.pay(&to_decline, Some(30), None).unwrap();
    report(&mut w.a, Tamper::Seal);
    let before = w.a.snapshot();
    let reference = w.a.reference();
    let key = w.b.show().key;
    let refused = [
        Command::Request { amount: None, standing: false, reference },
        Command::Request { amount: None, standing: true, reference },
        Command::Pay { request: asked.clone(), amount: None, pin: None, reference, approval: None },
        Command::Pay { request: asked.clone(), amount: None, pin: Some(pin(PIN)), reference, approval: None },
        Command::PlatformChallenge { request: asked, amount: None, reference },
        Command::Accept { payment: to_take.clone() },
        Command::Decline { payment: to_decline.clone() },
        Command::FundOrder { amount: amount(5), reference },
        Command::Defund { amount: amount(5), pin: Some(pin(PIN)), reference },
        // A wrong PIN: no try is used up, because nothing comes to it.
        Command::Defund { amount: amount(5), pin: Some(pin("0000")), reference },
        Command::BindPlatform { key: Some(key), pin: Some(pin(PIN)) },
        Command::BindPlatform { key: None, pin: Some(pin("0000")) },
    ];
    for command in refused {
        assert_eq!(w.a.run(&command), Err(Code::Deactivated), "{command:?}");
        assert_eq!(w.a.snapshot(), before, "{command:?}");
    }
    assert_eq!(w.a.show().tamper, Some(Tamper::Seal));
    w.a.reopen();
    assert_eq!(w.a.show().tamper, Some(Tamper::Seal), "a start does not end it");

    // What came in the meantime is neither lost nor taken twice: it is taken once the wallet is active again.
    w.operator.sync(&mut w.a);
    assert_eq!(w.a.show().tamper, None);
    w.a.accept(&to_take).unwrap();
    w.a.decline(&to_decline).unwrap();
    assert_eq!(w.a.balance(), 50_070);
}

#[test]
fn payments_in_flight_resolve_while_deactivated() {
    let mut w = World::new();
    let requests = [100, 200, 400].map(|minor| w.b.request(Some(minor)));
    let [taken, declined, torn] = requests.map(|request| w.a.pay(&request, None, None).unwrap());
    let (receipt, decline) = (w.b.accept(&taken).unwrap(), w.b.decline(&declined).unwrap());
    let asked = w.a.request(Some(50));
    let paid = w.b.pay(&asked, None, None).unwrap();
    let given = w.a.accept(&paid).unwrap();
    report(&mut w.a, Tamper::Counter);

    w.a.confirm(&receipt).unwrap();
    w.a.reclaim(&decline).unwrap();
    let id = w.a.show().payments.iter().find(|row| row.state == PaymentState::Sent).unwrap().id;
    assert_eq!(w.a.message(&Command::Resend { payment: id }).unwrap(), torn);
    assert_eq!(w.a.accept(&paid).unwrap(), given, "what was taken before is told again");
    w.a.message(&Command::GossipOut { room: 4_000 }).unwrap();
    assert_eq!(w.a.show().tamper, Some(Tamper::Counter));
    assert_eq!(w.a.balance(), 50_000 - 100 - 400 + 50);

    // The operator gives the torn one back while the wallet is deactivated again.
    w.b.decline(&torn).unwrap();
    w.operator.sync(&mut w.b);
    w.operator.sync(&mut w.a);
    report(&mut w.a, Tamper::Counter);
    w.operator.sync(&mut w.a);
    assert_eq!((w.a.balance(), w.b.balance()), (49_950, 50_050));
    assert!(w.a.show().payments.iter().all(|row| !row.state.in_flight()));
}

#[test]
fn an_open_fund_order_is_granted_to_a_deactivated_wallet() {
    let mut w = World::new();
    let order = Command::FundOrder { amount: amount(1_000), reference: w.a.reference() };
    let bytes = w.a.message(&order).unwrap();
    report(&mut w.a, Tamper::Image);
    assert_eq!(w.a.message(&order).unwrap(), bytes, "ordered before: told again");
    w.operator.take_order(&bytes);
    w.operator.sync(&mut w.a);
    assert_eq!(w.a.balance(), 51_000);
}

#[test]
fn the_first_reason_is_kept_and_a_report_is_made_once() {
    let mut w = World::new();
    assert_eq!(report(&mut w.a, Tamper::Debugger), (Tamper::Debugger, false));
    let commits = w.a.device.commits.get();
    assert_eq!(report(&mut w.a, Tamper::Debugger), (Tamper::Debugger, true));
    assert_eq!(report(&mut w.a, Tamper::Hooked), (Tamper::Debugger, true));
    assert_eq!(w.a.device.commits.get(), commits, "nothing is written again");
    assert_eq!(told(&mut w.a), Some(Tamper::Debugger));
    assert_eq!(told(&mut w.b), None);
}

#[test]
fn only_the_settlement_of_a_statement_that_told_it_ends_it() {
    let mut w = World::new();
    // Made before the report, and told nothing.
    let statement = w.a.message(&Command::Statement {}).unwrap();
    let settlement = w.operator.settle(&statement);
    report(&mut w.a, Tamper::Rooted);
    assert_eq!(told(&mut w.a), None, "the statement that waits is the same bytes");
    w.a.run(&Command::Settle { settlement: settlement.clone() }).unwrap();
    assert_eq!(w.a.show().tamper, Some(Tamper::Rooted));
    w.a.run(&Command::Settle { settlement }).unwrap();
    assert_eq!(w.a.show().tamper, Some(Tamper::Rooted), "an old settlement again");

    let statement = w.a.message(&Command::Statement {}).unwrap();
    assert_eq!(open::<Statement>(&statement.0).unwrap().body.tamper, Some(Tamper::Rooted));
    let settlement = w.operator.settle(&statement);
    assert_eq!(w.a.show().tamper, Some(Tamper::Rooted), "not by telling alone");
    w.a.run(&Command::Settle { settlement }).unwrap();
    assert_eq!(w.a.show().tamper, None);
}

#[test]
fn another_reason_after_the_statement_outlives_its_settlement() {
    let mut w = World::new();
    report(&mut w.a, Tamper::Runtime);
    let statement = w.a.message(&Command::Statement {}).unwrap();
    assert_eq!(report(&mut w.a, Tamper::Runtime), (Tamper::Runtime, true));
    assert_eq!(report(&mut w.a, Tamper::Hooked), (Tamper::Runtime, true));
    assert_eq!(report(&mut w.a, Tamper::Rooted), (Tamper::Runtime, true));
    let settlement = w.operator.settle(&statement);
    w.a.run(&Command::Settle { settlement }).unwrap();
    assert_eq!(w.a.show().tamper, Some(Tamper::Hooked), "the operator has not heard of it");
    assert_eq!(told(&mut w.a), Some(Tamper::Hooked));
    w.operator.sync(&mut w.a);
    assert_eq!(w.a.show().tamper, None);

    // The same reason again is the same report.
    report(&mut w.a, Tamper::Runtime);
    let statement = w.a.message(&Command::Statement {}).unwrap();
    report(&mut w.a, Tamper::Runtime);
    let settlement = w.operator.settle(&statement);
    w.a.run(&Command::Settle { settlement }).unwrap();
    assert_eq!(w.a.show().tamper, None);
}

#[test]
fn the_operators_standing_decides_the_rest() {
    let mut w = World::new();
    report(&mut w.a, Tamper::Hooked);
    let key = w.a.show().key;
    w.operator.revoke(&key);
    w.operator.sync(&mut w.a);
    let shown = w.a.show();
    assert_eq!((shown.tamper, shown.standing), (None, Standing::Suspended));
    let request = w.b.request(Some(5));
    assert_eq!(w.a.pay(&request, None, None), Err(Code::Suspended));
}

#[test]
fn a_wallet_that_is_none_or_stale_takes_no_report() {
    let mut fresh = Wallet::new(99);
    let tamper = Tamper::Seal;
    assert_eq!(fresh.run(&Command::ReportTamper { tamper }), Err(Code::NotEnrolled));
    let mut w = World::new();
    w.a.device.stale.set(true);
    for command in
        [Command::ReportTamper { tamper }, Command::BindPlatform { key: None, pin: Some(pin(PIN)) }]
    {
        assert_eq!(w.a.run(&command), Err(Code::StaleState));
    }
    // A terminal can be told: it takes nothing more until it has told.
    report(&mut w.t, tamper);
    let reference = w.t.reference();
    let ask = Command::Request { amount: Some(amount(5)), standing: false, reference };
    assert_eq!(w.t.run(&ask), Err(Code::Deactivated));
    w.operator.sync(&mut w.t);
    w.t.message(&ask).unwrap();
}

/// Each commit from the report to the settlement is cut, before and after it took effect, and whatever failed is done again.
#[test]
fn a_power_cut_anywhere_leaves_it_reported_or_not_and_never_half() {
    let mut cuts = 0;
    for cut in [Cut::Before, Cut::After] {
        for at in 1.. {
            let mut w = World::new();
            let device = w.a.device.clone();
            device.cut.set(Some((device.commits.get() + at, cut)));
            let persist = |wallet: &mut Wallet, command: &Command| loop {
                match wallet.run(command) {
                    Err(Code::StoreFailed) => wallet.reopen(),
                    other => return other.unwrap(),
                }
            };
            persist(&mut w.a, &Command::ReportTamper { tamper: Tamper::Seal });
            assert_eq!(w.a.show().tamper, Some(Tamper::Seal));
            let Reply::Message { message, .. } = persist(&mut w.a, &Command::Statement {}) else { panic!() };
            assert_eq!(open::<Statement>(&message.0).unwrap().body.tamper, Some(Tamper::Seal));
            persist(&mut w.a, &Command::ReportTamper { tamper: Tamper::Rooted });
            let settlement = w.operator.settle(&message);
            persist(&mut w.a, &Command::Settle { settlement });
            assert_eq!(w.a.show().tamper, Some(Tamper::Rooted));
            if device.cut.get().is_some() {
                break;
            }
            cuts += 1;
        }
    }
    assert_eq!(cuts, 8);
}
