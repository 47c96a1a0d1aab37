//! The benchmarks run, and say what they promise to say. How quick anything is depends on the machine, and is not tested.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::World;

#[test]
fn a_crowd_is_reconciled_to_the_last_payment() {
    let world = World::new();
    for alg in ["eddsa", "es256"] {
        let told = world.offline(&format!("bench reconcile --payments 90 --alg {alg} --json")).ok().json();
        assert_eq!((&told["payments"], &told["wallets"]), (&100.into(), &20.into()));
        assert_eq!(told["conserved"], true);
        for figure in ["payments_per_s", "verify_limit_per_s", "ratio", "bytes_per_payment"] {
            assert!(told[figure].as_f64().unwrap() > 0.0, "{figure}: {told}");
        }
        assert!(told["peak_mib"].is_number() || cfg!(not(target_os = "linux")));
    }
    let told = world.online("bench reconcile --payments 40 --store postgres --json").ok().json();
    assert_eq!((&told["store"], &told["conserved"]), (&"postgres".into(), &true.into()));
    world.offline("bench reconcile --payments 20").ok().says("value conserved          yes");
    world.offline("bench reconcile --payments 0").exits(2);
}

#[test]
fn a_crowd_over_http_is_answered_to_the_last_wallet() {
    let world = World::new();
    let told = world.online("bench sync --wallets 20 --payments-each 2 --json").ok().json();
    assert_eq!((&told["errors"], &told["conserved"]), (&0.into(), &true.into()));
    for figure in ["peak_statements_per_s", "offered_statements_per_s", "p50_ms", "p99_ms", "max_ms"] {
        assert!(told[figure].as_f64().unwrap() > 0.0, "{figure}: {told}");
    }
    world.online("bench sync --wallets 20 --payments-each 1").ok().says("value conserved          yes");
}
