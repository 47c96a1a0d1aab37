//! The operator's process is killed again and again while a crowd syncs, on both databases: nothing that it acknowledged is lost,
//! and nothing is counted twice.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod common;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use common::World;
use counterfoil_scratch_postgres::{Durability, Server};

/// Pairs of wallets that pay each other.
const PAIRS: usize = 3;
/// Times that the process is killed.
const KILLS: u32 = 25;
/// What each wallet begins with, minor units.
const FUNDED: u64 = 5_000;

/// Pays 0.10 in person; the receipt is lost every second time.
fn pay(world: &World, payer: &str, payee: &str, confirmed: bool) {
    let file = |kind: &str| format!("{payer}-{payee}-{kind}.cbor");
    let (request, payment, receipt) = (file("request"), file("payment"), file("receipt"));
    world.online(&format!("wallet --home {payee} request 0.10 --out !{request}")).ok();
    world.online(&format!("wallet --home {payer} pay {request} --out !{payment}")).ok();
    world.online(&format!("wallet --home {payee} accept {payment} --out !{receipt}")).ok();
    if confirmed {
        world.online(&format!("wallet --home {payer} confirm {receipt}")).ok();
    }
}

/// Syncs until the operator answers.
fn sync(world: &World, home: &str) {
    for _ in 0..200 {
        if world.online(&format!("wallet --home {home} sync")).code == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("{home} cannot sync");
}

fn killed_under_load(database: Option<&str>, transactions: &str) {
    let world = World::with_rows_in(database, transactions);
    let homes: Vec<[String; 2]> =
        (0..PAIRS).map(|pair| [format!("ann{pair}"), format!("ben{pair}")]).collect();
    for home in homes.iter().flatten() {
        let url = &world.url;
        world
            .online(&format!(
                "wallet --home {home} enrol --operator {url} --psp alpha --account {home} --no-pin --host native"
            ))
            .ok();
        world.online(&format!("wallet --home {home} fund 50.00")).ok();
    }
    let (ended, paid) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for [ann, ben] in &homes {
            let (world, ended, paid) = (&world, &ended, &paid);
            scope.spawn(move || {
                for round in 0.. {
                    pay(world, ann, ben, round % 2 == 0);
                    pay(world, ben, ann, round % 3 == 0);
                    paid.fetch_add(2, Ordering::Relaxed);
                    sync(world, if round % 2 == 0 { ann } else { ben });
                    if ended.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
        }
        for kill in 0..KILLS {
            // At another moment of what is under way each time.
            std::thread::sleep(Duration::from_millis(u64::from(150 + kill * 37 % 110)));
            world.stop_operator();
            world.start_operator();
        }
        ended.store(true, Ordering::Relaxed);
    });
    // The second time a payer hears how its payments ended.
    for home in homes.iter().flatten().chain(homes.iter().flatten()) {
        sync(&world, home);
    }
    let audit = world.audit();
    let held: u64 = homes.iter().flatten().map(|home| world.balance(home)).sum();
    assert_eq!(held, FUNDED * 2 * PAIRS as u64);
    assert_eq!((audit["loss"].as_u64(), audit["in_flight"].as_u64()), (Some(0), Some(0)), "{audit:#}");
    assert_eq!(audit["payments"].as_u64(), Some(u64::from(paid.into_inner())));
    assert_eq!(audit["cases"].as_array().map(Vec::len), Some(0), "{audit:#}");
    for reason in audit["reasons"].as_array().unwrap() {
        assert_eq!(reason["reason"], "matched", "{audit:#}");
    }
}

#[test]
fn killed_under_load_nothing_is_lost_or_counted_twice_with_rows_in_a_file() {
    killed_under_load(None, "together");
}

#[test]
fn killed_under_load_nothing_is_lost_or_counted_twice_bucket_by_bucket_in_a_file() {
    killed_under_load(None, "by-bucket");
}

#[test]
fn killed_under_load_nothing_is_lost_or_counted_twice_bucket_by_bucket_in_postgres() {
    let server = Server::start(Durability::Durable).unwrap();
    killed_under_load(Some(&server.address()), "by-bucket");
}

#[test]
fn killed_under_load_nothing_is_lost_or_counted_twice_with_rows_in_postgres() {
    let server = Server::start(Durability::Durable).unwrap();
    killed_under_load(Some(&server.address()), "together");
}
