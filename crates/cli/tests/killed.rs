//! A command is killed somewhere in its life, and run again: nothing is lost, nothing happens twice.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod common;

use std::time::{Duration, Instant};

use common::World;

/// Kills the command at `share` of the time that it takes, as measured before.
fn killed_at(world: &World, line: &str, whole: Duration, share: f64) {
    let mut child = world.command(line).spawn().unwrap();
    std::thread::sleep(whole.mul_f64(share));
    let _ = child.kill();
    child.wait().unwrap();
}

fn time_of(world: &World, line: &str) -> Duration {
    let start = Instant::now();
    world.online(line).ok();
    start.elapsed()
}

const ROUNDS: u32 = 16;

#[test]
fn killed_payments_are_made_once_and_taken_once() {
    let world = World::new();
    world.wallet("anna", "", "100.00");
    world.wallet("ben", "", "0");
    world.offline("wallet --home ben request --standing --out s.cbor").ok();
    let whole = time_of(&world, "wallet --home anna pay s.cbor --amount 1.00 --out warm.cbor");
    world.offline("wallet --home ben accept warm.cbor --out warm-receipt.cbor").ok();
    for round in 0..ROUNDS {
        let share = f64::from(round) / f64::from(ROUNDS - 1) * 1.2;
        // Under a reference: run again after the kill, the payment exists exactly once.
        let pay =
            format!("wallet --home anna pay s.cbor --amount 1.00 --ref round-{round} --out p{round}.cbor");
        killed_at(&world, &pay, whole, share);
        world.online(&pay).ok();
        assert_eq!(world.balance("anna"), 9_900 - 100 * (u64::from(round) + 1), "round {round}");
        let accept = format!("wallet --home ben accept p{round}.cbor --out c{round}.cbor");
        killed_at(&world, &accept, whole, share);
        world.online(&accept).ok();
        assert_eq!(world.balance("ben"), 100 + 100 * (u64::from(round) + 1), "round {round}");
        world.offline(&format!("wallet --home anna confirm c{round}.cbor")).ok();
    }
    world.offline("wallet --home anna confirm warm-receipt.cbor").ok();
    world.online("wallet --home ben sync").ok();
    world.online("wallet --home anna sync").ok();
    assert_eq!(world.audit()["in_flight"], 0);
}

#[test]
fn without_a_reference_the_interrupted_payment_is_finished_and_told() {
    let world = World::new();
    world.wallet("anna", "", "100.00");
    world.wallet("ben", "", "0");
    world.offline("wallet --home ben request --standing --out s.cbor").ok();
    let pay = "wallet --home anna pay s.cbor --amount 1.00 --out !p.cbor";
    let whole = time_of(&world, pay);
    let (mut finished, mut paid) = (0, 1);
    for round in 0..ROUNDS {
        killed_at(&world, pay, whole, f64::from(round) / f64::from(ROUNDS - 1));
        let pending = world.path("anna/pending.json").exists();
        // Any command finishes it, and says so.
        let gave = world.offline("wallet --home anna show --json").ok().json();
        let told = gave["finished"].as_array().map_or(0, Vec::len);
        assert_eq!(told, usize::from(pending), "round {round}: {gave:#}");
        finished += told;
        let before = paid;
        paid = (10_000 - gave["balance"]["minor"].as_u64().unwrap()) / 100;
        assert!(paid == before || paid == before + 1, "round {round}: one order is one payment at most");
        assert!(told == 0 || (paid == before + 1 && world.path("p.cbor").exists()), "round {round}");
    }
    eprintln!("{finished} of {ROUNDS} kills left something to finish");
    world.audit();
}

#[test]
fn killed_fundings_arrive_once() {
    let world = World::new();
    world.wallet("anna", "", "0");
    let whole = time_of(&world, "wallet --home anna fund 1.00");
    let mut expected = 100;
    for round in 0..ROUNDS {
        let share = f64::from(round) / f64::from(ROUNDS - 1);
        let fund = format!("wallet --home anna fund 2.00 --ref f{round}");
        killed_at(&world, &fund, whole, share);
        world.online(&fund).ok();
        expected += 200;
        assert_eq!(world.balance("anna"), expected, "round {round}");
    }
    for round in 0..ROUNDS {
        let defund = format!("wallet --home anna defund 1.00 --pin-file pin --ref d{round}");
        killed_at(&world, &defund, whole, f64::from(round) / f64::from(ROUNDS - 1));
        world.online(&defund).ok();
        expected -= 100;
        assert_eq!(world.balance("anna"), expected, "round {round}");
    }
    world.online("wallet --home anna sync").ok();
    let left = std::fs::read_dir(world.path("anna")).unwrap().flatten();
    assert!(left.into_iter().all(|entry| !entry.file_name().to_string_lossy().ends_with(".part")));
    let audit = world.audit();
    assert_eq!(audit["offline"].as_u64(), Some(expected));
    assert_eq!(audit["in_flight"], 0);
}

#[test]
fn killed_enrolments_go_on() {
    let world = World::new();
    let url = &world.url;
    let enrol = |home: &str| {
        format!(
            "wallet --home {home} enrol --operator {url} --psp alpha --account a --pin-file pin --counter file"
        )
    };
    let whole = time_of(&world, &enrol("warm"));
    for round in 0..ROUNDS {
        let home = format!("w{round}");
        killed_at(&world, &enrol(&home), whole, f64::from(round) / f64::from(ROUNDS - 1) * 1.1);
        let gave = world.online(&enrol(&home));
        // Killed after all was done and told, there is nothing left to do.
        assert!(gave.code == 0 || gave.err.contains("error 501"), "round {round}: {}{}", gave.out, gave.err);
        world.online(&format!("wallet --home {home} fund 1.00")).ok();
        assert_eq!(world.balance(&home), 100);
    }
    world.audit();
}
