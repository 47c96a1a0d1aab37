//! The books hold whatever happens, and an audit sees what was done to them. Stock tools accept the certificates.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::path::Path;
use std::process::Command as Process;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use counterfoil_operator::store::{Batch, Order, OrderState};
use counterfoil_operator::{InitOptions, OperatorError, init};
use counterfoil_rail::{Account, Rail, SimulatedRail};
use counterfoil_trust::x509;
use counterfoil_wire::cert::Grade;
use counterfoil_wire::sync::FundOrder;
use counterfoil_wire::{Algorithm, Bytes};
use proptest::prelude::*;
use support::{START_S, Wallet, World};

#[derive(Debug, Clone)]
enum Step {
    Fund(usize, u64),
    Pay { from: usize, to: usize, minor: u64, confirmed: bool },
    Lose { from: usize, to: usize, minor: u64 },
    Decline { from: usize, to: usize, minor: u64, reclaimed: bool },
    Defund(usize, u64),
    Sync(usize),
    Restart,
    Wait(u32),
}

const PEOPLE: usize = 4;

fn step() -> impl Strategy<Value = Step> {
    let (who, minor) = (0..PEOPLE, 1..3_000u64);
    prop_oneof![
        (who.clone(), minor.clone()).prop_map(|(who, minor)| Step::Fund(who, minor)),
        (who.clone(), who.clone(), minor.clone(), any::<bool>())
            .prop_map(|(from, to, minor, confirmed)| Step::Pay { from, to, minor, confirmed }),
        (who.clone(), who.clone(), minor.clone()).prop_map(|(from, to, minor)| Step::Lose {
            from,
            to,
            minor
        }),
        (who.clone(), who.clone(), minor.clone(), any::<bool>())
            .prop_map(|(from, to, minor, reclaimed)| Step::Decline { from, to, minor, reclaimed }),
        (who.clone(), minor).prop_map(|(who, minor)| Step::Defund(who, minor)),
        who.prop_map(Step::Sync),
        Just(Step::Restart),
        (1..7_200u32).prop_map(Step::Wait),
    ]
}

/// Takes a step as far as the wallets allow it.
fn take(world: &mut World, people: &mut [Wallet], step: &Step) {
    match *step {
        Step::Fund(who, minor) => {
            if let Ok(order) = people[who].fund_order(minor) {
                let _ = world.service.fund(&order.0);
            }
        }
        Step::Pay { from, to, minor, confirmed } => {
            let Some(payment) = pay(people, from, to, minor) else { return };
            if let (Ok(receipt), true) = (people[to].accept(&payment), confirmed) {
                people[from].confirm(&receipt);
            }
        }
        Step::Lose { from, to, minor } => drop(pay(people, from, to, minor)),
        Step::Decline { from, to, minor, reclaimed } => {
            let Some(payment) = pay(people, from, to, minor) else { return };
            let decline = people[to].decline(&payment);
            if reclaimed {
                let _ = people[from].reclaim(&decline);
            }
        }
        Step::Defund(who, minor) => drop(people[who].defund(minor)),
        Step::Sync(who) => drop(world.sync(&mut people[who]).unwrap()),
        Step::Restart => world.restart(),
        Step::Wait(seconds) => world.wait(seconds),
    }
}

fn pay(people: &mut [Wallet], from: usize, to: usize, minor: u64) -> Option<Bytes> {
    if from == to {
        return None;
    }
    let request = people[to].request(minor);
    people[from].pay(&request).ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn honest_wallets_never_lose_or_make_money(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        let mut people: Vec<Wallet> = ["ann", "bob", "eve"].iter().map(|name| world.person(name)).collect();
        people.push(world.wallet("beta", "dan", Grade::VirtualSeBound, true));
        for who in &mut people {
            world.fund(who, 5_000);
        }
        for step in &steps {
            take(&mut world, &mut people, step);
            prop_assert_eq!(world.audit().broken, Vec::<String>::new());
        }
        // Everything comes to rest: requests close, refunds are told, then booked.
        world.wait(3 * 3_600);
        for _ in 0..3 {
            for who in &mut people {
                world.sync(who).unwrap();
                prop_assert!(!who.is_suspended());
            }
        }
        let report = world.sound();
        prop_assert_eq!((report.in_flight, report.loss), (0, 0));
        prop_assert!(report.cases.is_empty());
        let held: u64 = people.iter_mut().map(Wallet::balance).sum();
        prop_assert_eq!(i128::from(held), report.offline);
        prop_assert_eq!(report.funded - report.defunded, report.offline);
    }
}

#[test]
fn an_audit_finds_what_was_done_to_the_books() {
    let tampers = [
        "update ledger set amount = amount + 1 where kind = 1",
        "delete from ledger where kind = 2",
        "update ledger set credit = x'02' where kind = 3",
        "update wallet set shadow = shadow + 1",
        "update record set bits = bits & ~32",
        "delete from record",
        "delete from open_payment",
        "update tally set payments = payments + 1",
        "update tally set amount = amount - 1",
        "insert into forked_payment select bucket, payer, payer_seq, id from record",
        "insert into ledger values (5, x'00000000000000000000000000000000000000000000000000000000000000ff', 1, x'00000000000000000000000000000000000000000000000000000000000000ff',
         x'01', x'0400000000000000000000000000000000000000000000000000000000000000ff', 5)",
    ];
    for tamper in tampers {
        let world = World::new();
        let (mut ann, mut bob) = (world.person("ann"), world.person("bob"));
        world.fund(&mut ann, 500);
        ann.pay_to(&mut bob, 200, true);
        world.sync(&mut bob).unwrap();
        world.sound();
        assert!(world.database.execute(tamper) > 0, "{tamper}");
        let report = world.audit();
        assert!(!report.sound && !report.broken.is_empty(), "{tamper}");
    }
    let world = World::new();
    let mut ann = world.person("ann");
    world.fund(&mut ann, 500);
    let rail = rusqlite::Connection::open(world.path.join("rail.db")).unwrap();
    rail.execute("update account set balance = balance - 1 where account = 'float'", []).unwrap();
    assert_eq!(world.audit().broken.len(), 3);
}

#[test]
fn an_audit_names_the_payments_that_two_tables_tell_differently() {
    let world = World::new();
    let (mut ann, mut bob) = (world.person("ann"), world.person("bob"));
    world.fund(&mut ann, 500);
    for _ in 0..3 {
        ann.pay_to(&mut bob, 100, true);
    }
    world.sync(&mut bob).unwrap();
    let payment = hex::encode(&world.database.bytes("select id from record order by payer_seq")[1]);
    world.sound();
    for (tamper, whats) in [
        ("delete from ledger where kind = 3 and reference", "Receive is posted as 0, due is 100"),
        ("update ledger set amount = 7 where kind = 2 and reference", "Send is posted as 7, due is 100"),
        ("delete from open_payment where id", "it is not listed as it is, open or at rest"),
    ] {
        let changed = world.database.execute(&format!("{tamper} = x'{payment}'"));
        assert_eq!(changed, 1);
        let due = format!("payment {payment}: {whats}");
        let broken = world.audit().broken;
        assert!(broken.contains(&due), "{broken:?}");
        assert_eq!(broken.iter().filter(|told| told.contains(whats)).count(), 1, "{broken:?}");
    }
}

#[test]
fn an_audit_is_of_one_moment_while_payments_go_on() {
    let world = World::new();
    let mut people: Vec<Wallet> = (0..4).map(|at| world.person(&format!("person-{at}"))).collect();
    for who in &mut people {
        world.fund(who, 5_000);
    }
    let (ended, audited) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let audits = scope.spawn(|| {
            let mut counts = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                let report = world.service.audit().unwrap();
                assert_eq!(report.broken, Vec::<String>::new());
                counts.push(report.payments);
                audited.store(counts.len(), Ordering::Relaxed);
            }
            counts
        });
        for round in (0..400).take_while(|round| *round < 40 || audited.load(Ordering::Relaxed) < 4) {
            let (payer, rest) = people.split_first_mut().unwrap();
            payer.pay_to(&mut rest[round % 3], 10, round % 2 == 0);
            world.sync(&mut people[round % 4]).unwrap();
            people.rotate_left(1);
        }
        ended.store(true, Ordering::Relaxed);
        let counts = audits.join().unwrap();
        assert!(counts.is_sorted() && counts.len() > 3, "{counts:?}");
        assert!(counts.first() < counts.last(), "{counts:?}");
    });
    world.sound();
}

#[test]
fn an_operator_is_never_overwritten() {
    let world = World::new();
    let again = init(&world.path, InitOptions::sandbox(START_S));
    assert!(matches!(again, Err(OperatorError::Exists(_))));
    let dir = tempfile::tempdir().unwrap();
    let bad = InitOptions { psps: vec!["../x".to_owned()], ..InitOptions::sandbox(START_S) };
    assert!(matches!(init(&dir.path().join("o"), bad), Err(OperatorError::Options(_))));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    assert!(matches!(counterfoil_operator::audit(dir.path()), Err(OperatorError::NotAnOperator(_))));
}

fn openssl(dir: &Path, arguments: &[&str]) -> (bool, String) {
    let done = Process::new("openssl").args(arguments).current_dir(dir).output();
    let done = done.expect("openssl is not installed: run `cargo xtask setup`");
    let text = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn openssl_accepts_the_chain_until_the_key_is_on_the_crl() {
    for (es256, algorithm) in [(false, Algorithm::EdDsa), (true, Algorithm::Es256)] {
        let world = World::new();
        let mut ann = world.wallet("alpha", "ann", Grade::VirtualSe, es256);
        let (mut bob, mut eve) = (world.person("bob"), world.person("eve"));
        world.fund(&mut ann, 1_000);
        let dir = world.path.join("certs");
        let cert = ann.show().cert.unwrap();
        let issuer = world.service.scheme().issuer("alpha", algorithm).unwrap();
        std::fs::write(dir.join("ann.pem"), x509::pem("CERTIFICATE", &x509::wallet_der(&cert, issuer)))
            .unwrap();
        let issuer_file = format!("alpha-{}.pem", algorithm.name());
        let check = || {
            let crl = world.service.crl("alpha", algorithm).unwrap();
            std::fs::write(dir.join("crl.pem"), x509::pem("X509 CRL", &crl)).unwrap();
            let time = (START_S + 60).to_string();
            let arguments = [
                "verify",
                "-x509_strict",
                "-crl_check",
                "-attime",
                &time,
                "-CRLfile",
                "crl.pem",
                "-CAfile",
                "root.pem",
                "-untrusted",
                &issuer_file,
                "ann.pem",
            ];
            openssl(&dir, &arguments)
        };
        let (holds, said) = check();
        assert!(holds, "{said}");
        let mut twin = ann.copy();
        ann.pay_to(&mut bob, 300, false);
        twin.pay_to(&mut eve, 400, false);
        world.sync(&mut bob).unwrap();
        world.sync(&mut eve).unwrap();
        let (holds, said) = check();
        assert!(!holds && said.contains("revoked"), "{said}");
    }
}

#[test]
fn what_a_crash_left_undone_is_finished_at_the_next_start() {
    // Of an order that was written down, the rail was asked or not, and its answer was lost.
    for asked in [false, true] {
        let mut world = World::new();
        let mut ann = world.person("ann");
        let order = ann.fund_order(700).unwrap();
        let body = counterfoil_trust::open::<FundOrder>(&order.0).unwrap().envelope.body;
        let pending = Order {
            wallet: ann.id(),
            number: 1,
            digest: counterfoil_trust::sha256(&body.0),
            amount: support::amount(700),
            state: OrderState::Pending,
        };
        world.store().commit(&Batch { order: Some(pending), ..Batch::default() }).unwrap();
        if asked {
            let mut rail = SimulatedRail::open(&world.path.join("rail.db")).unwrap();
            let id = format!("fund:{}:1", ann.id());
            rail.transfer(&id, &Account::new("alpha", "ann"), &Account::float(), 700).unwrap();
        }
        world.sound();
        world.restart();
        assert_eq!(world.service.fund(&order.0).unwrap().funding_total, 700);
        world.sync(&mut ann).unwrap();
        assert_eq!((ann.balance(), world.sound().funded), (700, 700));
    }
}

#[test]
fn a_transfer_whose_answer_was_lost_is_made_once() {
    let mut world = World::new();
    let mut ann = world.person("ann");
    world.fund(&mut ann, 700);
    ann.defund(300).unwrap();
    world.sync(&mut ann).unwrap();
    assert_eq!(world.database.execute("update rail_move set done = 0"), 1);
    world.restart();
    let report = world.sound();
    assert_eq!((report.pending_transfers, report.float_on_rail), (0, Some(400)));
}

#[test]
fn a_process_serves_loopback_alone() {
    use std::io::{Read, Write};
    let world = World::new();
    let everywhere = "0.0.0.0:0".parse().unwrap();
    let refused = counterfoil_operator::serve(&world.path, Some(everywhere), |_| panic!());
    assert!(matches!(refused, Err(OperatorError::NotLoopback(_))));
    let (tell, told) = std::sync::mpsc::channel();
    let path = world.path.clone();
    // The thread ends with the process.
    std::thread::spawn(move || {
        counterfoil_operator::serve(&path, "127.0.0.1:0".parse().ok(), |at| tell.send(at).unwrap())
    });
    let mut stream = std::net::TcpStream::connect(told.recv().unwrap()).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("{\"status\":\"ok\"}"), "{answer}");
}
