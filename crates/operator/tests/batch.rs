//! Statements settled together: as they would have been one after the other, and none in the way of another.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "these are tests")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use counterfoil_operator::signatures::{Collected, Seen, holding};
use counterfoil_operator::store::Transactions;
use counterfoil_operator::{Place, Reason, Service};
use counterfoil_ta::api::{Command, Reply};
use counterfoil_trust::{Verifier as _, open};
use counterfoil_wire::cert::WalletCert;
use counterfoil_wire::header::Signer;
use counterfoil_wire::sync::Statement;
use counterfoil_wire::{Algorithm, Amount, Bytes, Code, Digest};
use proptest::prelude::*;
use support::database::Schema;
use support::thief::Thief;
use support::{Wallet, World};

/// The operator of `world` as it stands, in another folder.
struct Twin {
    service: Service,
    place: Place,
    _rows: Schema,
}

fn twin(world: &World, path: &Path, transactions: Transactions) -> Twin {
    let copied = std::process::Command::new("cp").arg("-r").arg(&world.path).arg(path).status().unwrap();
    assert!(copied.success());
    let database = world.database.copy(path);
    let place =
        Place { dir: path.to_owned(), database: database.location(), transactions: Some(transactions) };
    let clock = world.clock.clone();
    let service = Service::open(place.clone(), Arc::new(move || clock.load(Ordering::Relaxed))).unwrap();
    Twin { service, place, _rows: Schema(database) }
}

fn statement(wallet: &mut Wallet) -> Vec<u8> {
    wallet.message(&Command::Statement {}).unwrap().0
}

fn books(service: &Service, place: impl Into<Place>) -> (serde_json::Value, BTreeMap<Digest, Reason>) {
    let report = service.audit().unwrap();
    assert_eq!(report.broken, Vec::<String>::new());
    let mut report = serde_json::to_value(report).unwrap();
    report.as_object_mut().unwrap().remove("reasons");
    (report, counterfoil_operator::reasons(place).unwrap())
}

/// What happens between people before all of them come back at once.
#[derive(Debug, Clone, Copy)]
enum Act {
    Pay { from: usize, to: usize, minor: u64, confirmed: bool },
    Decline { from: usize, to: usize, minor: u64, reclaimed: bool },
    Copy { of: usize },
    Restore { of: usize },
    Sync { of: usize },
    Defund { of: usize, minor: u64 },
}

fn act() -> impl Strategy<Value = Act> {
    let who = || 0usize..4;
    prop_oneof![
        6 => (who(), who(), 1u64..900, any::<bool>())
            .prop_map(|(from, to, minor, confirmed)| Act::Pay { from, to, minor, confirmed }),
        2 => (who(), who(), 1u64..900, any::<bool>())
            .prop_map(|(from, to, minor, reclaimed)| Act::Decline { from, to, minor, reclaimed }),
        1 => who().prop_map(|of| Act::Copy { of }),
        1 => who().prop_map(|of| Act::Restore { of }),
        1 => who().prop_map(|of| Act::Sync { of }),
        1 => (who(), 1u64..200).prop_map(|(of, minor)| Act::Defund { of, minor }),
    ]
}

/// Two of `people`, if they are two.
fn pair(people: &mut [Wallet], from: usize, to: usize) -> Option<(&mut Wallet, &mut Wallet)> {
    let [from, to] = people.get_disjoint_mut([from, to]).ok()?;
    Some((from, to))
}

fn live(world: &World, acts: &[Act]) -> Vec<Wallet> {
    let mut people: Vec<Wallet> = ["ann", "ben", "eve", "tom"].map(|name| world.person(name)).into();
    people.iter_mut().for_each(|wallet| world.fund(wallet, 5_000));
    let mut copies: Vec<Option<Wallet>> = people.iter().map(|_| None).collect();
    for act in acts {
        match *act {
            Act::Pay { from, to, minor, confirmed } => {
                let Some((payer, payee)) = pair(&mut people, from, to) else { continue };
                if let Ok(request) = payee.try_request(minor)
                    && let Ok(payment) = payer.pay(&request)
                    && let Ok(receipt) = payee.accept(&payment)
                    && confirmed
                {
                    payer.confirm(&receipt);
                }
            }
            Act::Decline { from, to, minor, reclaimed } => {
                let Some((payer, payee)) = pair(&mut people, from, to) else { continue };
                if let Ok(request) = payee.try_request(minor)
                    && let Ok(payment) = payer.pay(&request)
                    && let Ok(Reply::Declined { decline, .. }) = payee.run(&Command::Decline { payment })
                    && reclaimed
                {
                    let _ = payer.reclaim(&decline);
                }
            }
            Act::Copy { of } => copies[of] = Some(people[of].copy()),
            Act::Restore { of } => {
                if let Some(copy) = copies[of].take() {
                    people[of] = copy;
                }
            }
            Act::Sync { of } => {
                let _ = world.sync(&mut people[of]);
            }
            Act::Defund { of, minor } => {
                let _ = people[of].defund(minor);
            }
        }
    }
    people
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn together_is_as_one_after_the_other_however_it_is_written(
        acts in prop::collection::vec(act(), 1..30),
        apart in any::<bool>(),
    ) {
        let world = World::new();
        let mut people = live(&world, &acts);
        let statements: Vec<Vec<u8>> = people.iter_mut().map(statement).collect();
        let other = world.path.with_file_name("together");
        let transactions = if apart { Transactions::ByBucket } else { Transactions::Together };
        let together = twin(&world, &other, transactions);
        for bytes in &statements {
            world.service.settle(bytes).unwrap();
        }
        let slices: Vec<&[u8]> = statements.iter().map(Vec::as_slice).collect();
        let settled = together.service.settle_all(&slices);
        prop_assert!(settled.iter().all(Result::is_ok));
        let (one, all) = (books(&world.service, &world.path), books(&together.service, together.place.clone()));
        prop_assert_eq!(one.0, all.0);
        prop_assert_eq!(one.1.len(), all.1.len());
        for (payment, reason) in one.1 {
            // Whoever is answered by what all have shown may be told of a refund that would have been told the next time.
            let sooner = all.1[&payment] == Reason::Refunded
                && matches!(reason, Reason::PayerOnly | Reason::Late | Reason::Revoked);
            prop_assert!(sooner || all.1[&payment] == reason, "{payment} {reason:?} {:?}", all.1[&payment]);
        }
        // Asked again, in another company, each is told the same.
        for (bytes, settlement) in statements.iter().zip(settled) {
            prop_assert_eq!(together.service.settle(bytes).unwrap(), settlement.unwrap());
        }
    }
}

#[test]
fn what_is_wrong_with_one_is_nothing_to_the_others() {
    let world = World::new();
    let (mut ann, mut ben, mut eve) = (world.person("ann"), world.person("ben"), world.person("eve"));
    world.fund(&mut ann, 2_000);
    world.fund(&mut eve, 2_000);
    ann.pay_to(&mut ben, 700, true);
    eve.pay_to(&mut ben, 300, true);
    let elsewhere = World::new();
    let mut stranger = elsewhere.person("stranger");
    let (first, second, third) = (statement(&mut ann), statement(&mut ben), statement(&mut eve));
    // Signed by its wallet, and with something in it that does not hold.
    let spoil = |body: &mut Statement| body.receipts.push(Bytes(vec![0xa5; 20]));
    let spoiled = Thief::rob(&world, &mut eve).statement(&Bytes(third), spoil).0;
    let garbage = vec![0xa5; 200];
    let mut bent = first.clone();
    *bent.last_mut().unwrap() ^= 1;
    let strange = statement(&mut stranger);
    let all = [&first, &garbage, &second, &bent, &spoiled, &strange, &first].map(Vec::as_slice);
    let settled = world.service.settle_all(&all);
    let code = |at: usize| match &settled[at] {
        Err(refusal) => Some(refusal.code()),
        Ok(_) => None,
    };
    assert!(settled[1].is_err() && settled[3].is_err());
    assert_eq!(code(5), Some(Code::BadSignature), "another scheme's signatures hold nowhere here");
    assert_eq!(settled[0].as_ref().unwrap(), settled[6].as_ref().unwrap());
    ann.run(&Command::Settle { settlement: Bytes(settled[0].as_ref().unwrap().clone()) }).unwrap();
    ben.run(&Command::Settle { settlement: Bytes(settled[2].as_ref().unwrap().clone()) }).unwrap();
    assert!(settled[4].is_ok(), "it is answered, and its wallet suspended");
    assert_eq!((ann.balance(), ben.balance()), (1_300, 1_000));
    let report = world.sound();
    assert_eq!(report.cases.iter().map(|case| case.reason).collect::<Vec<_>>(), [Reason::Gap]);
    assert!(!ann.is_suspended() && !ben.is_suspended());
}

#[test]
fn two_statements_of_one_wallet_in_one_batch_follow_each_other() {
    let world = World::new();
    let (mut ann, mut ben) = (world.person("ann"), world.person("ben"));
    world.fund(&mut ann, 2_000);
    ann.pay_to(&mut ben, 100, true);
    let older = ann.copy();
    let first = statement(&mut ann);
    // A copy that went another way: whichever comes first, the other is a rollback or a fork.
    let mut older = older;
    older.pay_to(&mut ben, 200, false);
    let second = statement(&mut older);
    let settled = world.service.settle_all(&[&first, &second]);
    assert!(settled.iter().all(Result::is_ok));
    let report = world.sound();
    assert!(report.cases.iter().any(|case| case.revoked), "{report:?}");
}

#[test]
fn a_certificate_is_known_by_all_of_it_and_its_issuer() {
    let world = World::new();
    let mut ann = world.person("ann");
    let sealed = open::<Statement>(&statement(&mut ann)).unwrap();
    let Signer::Cert(cert) = sealed.envelope.signer else { panic!("signed under a bare key") };
    let scheme = world.service.scheme();
    let issuer = |psp| scheme.issuer(psp, Algorithm::EdDsa).unwrap();
    let mut collected = Collected::default();
    assert!(!collected.knows(issuer("alpha"), &cert));
    // The same signature under other words, or of somebody else.
    let more = WalletCert { ceiling: Amount::MAX, ..cert.clone() };
    for _ in 0..2 {
        assert!(!collected.knows(issuer("alpha"), &more));
        assert!(!collected.knows(issuer("beta"), &cert));
        assert!(collected.knows(issuer("alpha"), &cert));
    }
    // So it is asked for, and found out.
    let anchors = &scheme.anchors;
    let mut relied_on = Collected::default();
    for shown in [&cert, &more, &cert] {
        anchors.check_wallet_by(&mut relied_on, shown, None, shown.not_before_s).unwrap();
    }
    let seen = Seen::new().unwrap();
    assert_eq!(holding(&seen, &[relied_on]), [false]);
    let mut genuine = Collected::default();
    anchors.check_wallet_by(&mut genuine, &cert, None, cert.not_before_s).unwrap();
    assert_eq!(holding(&seen, &[genuine]), [true]);
}
