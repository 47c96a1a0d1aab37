//! A lost wallet, from its PSP's side of the counter.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod common;

use common::World;

#[test]
fn a_lost_wallet_is_closed_and_its_arithmetic_is_shown() {
    let world = World::new();
    world.wallet("anna", "", "100.00");
    world.wallet("ben", "", "0");
    world.offline("wallet --home ben request 30 --out r.cbor").ok();
    world.offline("wallet --home anna pay r.cbor --out p.cbor").ok();
    world.offline("wallet --home ben accept p.cbor --out c.cbor").ok();
    let key = world.show("anna")["key"].as_str().unwrap().to_owned();
    world
        .online(&format!("operator wallet --dir op {key}"))
        .ok()
        .says("in good standing")
        .says("unspent    100.00 EUR");
    let closed = world.online(&format!("operator close-wallet --dir op {key}")).ok();
    closed
        .says("closed at ")
        .says("what it has not spent goes to its account when its window ends")
        .says("payees may claim");
    // The payee's claim comes, while the operator serves.
    world.online("wallet --home ben sync").ok();
    let shown = world.online(&format!("operator wallet --dir op {key}")).ok();
    shown.says("paid       -30.00 EUR").says("unspent     70.00 EUR");
    let json = world.online(&format!("operator wallet --dir op {key} --json")).ok().json();
    let of = |name: &str| json[name].as_i64().unwrap();
    assert_eq!((of("funded"), of("paid"), of("returned"), of("unspent")), (10_000, 3_000, 0, 7_000));
    assert_eq!((&json["due"], &json["currency"]), (&false.into(), &"EUR".into()));
    assert!(of("due_s") > of("closed_at_s"));
    assert_eq!(json["awaited"][0]["what"], "claims");
    // The name that tables of the operator give it does as well; a second closing shows the same.
    let id = json["key_id"].as_str().unwrap();
    let again = world.online(&format!("operator close-wallet --dir op {id} --json")).ok().json();
    assert_eq!(again, json);
    // The device, if it is not lost, is told; it begins nothing more.
    world.online("wallet --home anna sync").exits(1).says("suspended");
    world.online("wallet --home anna fund 5").exits(1).says("error 502");
    world.online(&format!("operator unblock --dir op {key}")).exits(1).says("error 616");
    world.online(&format!("operator wallet --dir op {}", "0".repeat(64))).exits(1).says("error 602");
    world.audit();
}
