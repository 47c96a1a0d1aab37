//! News rides along with ordinary messages, and no network is anywhere: `counterfoil` as people use it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod common;

use common::World;
use counterfoil_wallet::channel::file::{read_message, write_message};
use counterfoil_wire::bundle::Bundle;
use counterfoil_wire::proof::Gossip;
use counterfoil_wire::{Bytes, Wire};
use serde_json::json;

/// A thief with a copy, and two people who took the same money and have found that out. Carl holds the proof.
fn world_with_a_thief() -> World {
    let world = World::new();
    for (home, funded) in [("eve", "40.00"), ("ben", "0"), ("carl", "0"), ("anna", "50.00")] {
        world.wallet(home, "", funded);
    }
    let url = &world.url;
    for shop in ["kiosk", "bakery"] {
        world
            .online(&format!(
                "terminal --home {shop} enrol --operator {url} --psp beta --account {shop} --name {shop}"
            ))
            .ok();
    }
    std::fs::create_dir(world.path("copy")).unwrap();
    for entry in std::fs::read_dir(world.path("eve")).unwrap().flatten() {
        std::fs::copy(entry.path(), world.path("copy").join(entry.file_name())).unwrap();
    }
    for (payer, payee) in [("eve", "ben"), ("copy", "carl")] {
        world.offline(&format!("wallet --home {payee} request 30 --out !first-r.cbor")).ok();
        world.offline(&format!("wallet --home {payer} pay first-r.cbor --out !first-p.cbor")).ok();
        world.offline(&format!("wallet --home {payee} accept first-p.cbor --out !first-c.cbor")).ok();
    }
    world.offline("wallet --home ben gossip --out g.cbor").ok();
    world.offline("wallet --home carl gossip g.cbor").ok().says("cheated");
    world
}

/// What rides along in a file.
fn rider(world: &World, name: &str) -> Option<Gossip> {
    let (_, rider) = Bundle::split(read_message(world.path(name)).unwrap());
    rider.map(|gossip| Gossip::from_message(&gossip).unwrap())
}

#[test]
fn a_cheat_caught_at_one_shop_is_refused_at_the_next_in_qr_codes() {
    let world = world_with_a_thief();
    // Nobody has told anybody yet.
    assert_eq!(world.show("anna")["cheats"], json!([]));
    // Carl's request tells Anna, and her payment tells the kiosk.
    world.offline("wallet --home carl request 2.00 --out r.png").ok();
    assert_eq!(rider(&world, "r.png").unwrap().proofs.len(), 1);
    world.offline("wallet --home anna pay r.png --out p.png").ok().says("came along: proof that");
    world.offline("terminal --home kiosk request 3.00 --out k.png").ok();
    assert_eq!(rider(&world, "k.png"), None, "the kiosk knows of nothing");
    world.offline("wallet --home anna pay k.png --out kp.png").ok();
    let told = world.offline("terminal --home kiosk accept kp.png --out kc.png --json").ok().json();
    assert_eq!(told["result"], "accepted");
    assert_eq!(told["came_along"]["cheats"].as_array().unwrap().len(), 1);
    // The thief comes to the kiosk, with either of its phones.
    for (home, name) in [("eve", "e"), ("copy", "f")] {
        world.offline(&format!("terminal --home kiosk request 1.00 --out {name}r.png")).ok();
        world.offline(&format!("wallet --home {home} pay {name}r.png --out {name}p.png")).ok();
        let refused = world.offline(&format!("terminal --home kiosk accept {name}p.png --out {name}c.png"));
        refused.exits(1).says("error 208").says("take nothing from this wallet");
    }
    // News is heard before the message beside it is judged.
    let (_, news) = Bundle::split(read_message(world.path("kp.png")).unwrap());
    world.offline("terminal --home bakery request 1.00 --out b.cbor").ok();
    world.offline("wallet --home copy pay b.cbor --out bp.cbor").ok();
    let (message, _) = Bundle::split(read_message(world.path("bp.cbor")).unwrap());
    let told = Bundle { message: Bytes(message), gossip: Bytes(news.unwrap()) };
    write_message(world.path("told.cbor"), &told.to_bytes()).unwrap();
    let refused = world.offline("terminal --home bakery accept told.cbor --out bc.cbor").exits(1);
    refused.says("came along: proof that").says("error 208");
    // Every code can still be read by a poor camera: version 25 at most.
    for name in ["r.png", "p.png", "kp.png", "kc.png"] {
        let read = read_message(world.path(name)).unwrap();
        assert!(read.len() <= 1273, "{name}: {}", read.len());
    }
    let read =
        world.offline("inspect kp.png --operator-root op/operator-root.cbor --trust-list g.cbor --json");
    let read = read.ok().json();
    assert_eq!((&read["kind"], &read["verifies"]["signature"]), (&json!("payment"), &json!("ok")));
    assert_eq!(read["came_along"]["proofs"][0]["verifies"], "proven: fork");
    assert!(read["size"].as_u64().unwrap() <= 384, "the payment itself is as long as ever");
    // What the honest paid is final, and the books know where the rest is missing.
    world.offline("wallet --home carl accept p.png --out c.png").ok();
    world.offline("wallet --home anna confirm c.png").ok();
    world.offline("wallet --home anna confirm kc.png").ok();
    assert_eq!((world.balance("anna"), world.balance("carl")), (4500, 3200));
    world.online("terminal --home kiosk claim").ok();
    for home in ["carl", "ben", "anna"] {
        world.online(&format!("wallet --home {home} sync")).ok();
    }
    world.audit();
}

#[test]
fn a_revocation_list_rides_with_a_payment_to_a_shop_that_lacks_it() {
    let world = world_with_a_thief();
    // Carl syncs: the key is revoked, and the list says so. Now the list is told and no longer the proof.
    world.online("wallet --home carl sync").ok();
    world.online("wallet --home anna sync").ok();
    for kind in ["cbor", "png"] {
        let shop = if kind == "cbor" { "kiosk" } else { "bakery" };
        world.offline(&format!("terminal --home {shop} request 3.00 --out r.{kind}")).ok();
        world.offline(&format!("wallet --home anna pay r.{kind} --out p.{kind}")).ok();
        let told = rider(&world, &format!("p.{kind}")).unwrap();
        assert!(told.revocation.is_some() && told.proofs.is_empty() && told.headers.is_empty());
        world
            .offline(&format!("terminal --home {shop} accept p.{kind} --out c.{kind}"))
            .ok()
            .says("came along: a newer revocation list");
        world.offline(&format!("terminal --home {shop} request 1.00 --out e{kind}r.{kind}")).ok();
        world.offline(&format!("wallet --home eve pay e{kind}r.{kind} --out e{kind}p.{kind}")).ok();
        let refused =
            world.offline(&format!("terminal --home {shop} accept e{kind}p.{kind} --out e{kind}c.{kind}"));
        refused.exits(1).says("error 205");
        // The shop holds it now, and is not told again.
        world.offline(&format!("terminal --home {shop} request 3.00 --out !r.{kind}")).ok();
        world.offline(&format!("wallet --home anna pay r.{kind} --out !p.{kind}")).ok();
        assert_eq!(rider(&world, &format!("p.{kind}")), None);
    }
    // A file has room for the list where nothing is known of who reads it; a printed code outlives the news.
    world.offline("wallet --home carl request 1.00 --out one.cbor").ok();
    assert!(rider(&world, "one.cbor").unwrap().revocation.is_some());
    world.offline("wallet --home carl request 1.00 --out one.png").ok();
    assert_eq!(rider(&world, "one.png"), None);
    world.offline("wallet --home carl request --standing --out printed.cbor").ok();
    assert_eq!(rider(&world, "printed.cbor"), None);
}

#[test]
fn what_came_along_never_spoils_the_message() {
    let world = world_with_a_thief();
    world.offline("wallet --home carl request 1.00 --out r.cbor").ok();
    world.offline("wallet --home anna pay r.cbor --out p.cbor").ok();
    let (payment, genuine) = Bundle::split(read_message(world.path("p.cbor")).unwrap());
    let genuine = Gossip::from_message(&genuine.unwrap()).unwrap();
    let mut forged = genuine.clone();
    forged.proofs[0].first.signature.0[3] ^= 1;
    let with = |gossip: Vec<u8>| Bundle { message: Bytes(payment.clone()), gossip: Bytes(gossip) }.to_bytes();
    let spoilt = [with(forged.to_message()), with(vec![]), with(vec![0xff; 300]), with(payment.clone())];
    for (number, bundle) in spoilt.into_iter().enumerate() {
        write_message(world.path("spoilt.cbor"), &bundle).unwrap();
        let before = world.show("carl")["cheats"].clone();
        let took = world.offline("wallet --home carl accept spoilt.cbor --out !c.cbor").ok();
        took.says(if number == 0 { "received 1.00 EUR" } else { "nothing was credited twice" });
        assert_eq!(world.show("carl")["cheats"], before);
    }
    assert_eq!(world.balance("carl"), 3100);
    world.offline("wallet --home anna confirm c.cbor").ok();
    // A bundle in a bundle is no message.
    let nested = Bundle { message: Bytes(with(vec![])), gossip: Bytes(vec![]) }.to_bytes();
    write_message(world.path("nested.cbor"), &nested).unwrap();
    world.offline("wallet --home carl accept nested.cbor --out n.cbor").exits(1).says("error 100");
    world.offline("inspect nested.cbor").exits(1).says("error 100");
    // Gossip that is asked for may be what came along.
    world.offline("terminal --home kiosk gossip p.cbor").ok().says("cheated");
}

#[test]
fn the_same_answer_is_written_again_whatever_rides_along_by_then() {
    let world = world_with_a_thief();
    world.offline("terminal --home kiosk request 2.00 --out r.cbor").ok();
    world.offline("wallet --home anna pay r.cbor --out p.cbor").ok();
    world.offline("terminal --home kiosk accept p.cbor --out c.cbor").ok();
    let (receipt, rider_before) = Bundle::split(read_message(world.path("c.cbor")).unwrap());
    assert_eq!(rider_before, None);
    // Now the kiosk hears the news, and is shown the same payment again.
    world.offline("terminal --home kiosk gossip g.cbor").ok();
    world.offline("wallet --home carl gossip --out carls.cbor").ok();
    world.offline("terminal --home kiosk gossip carls.cbor").ok().says("cheated");
    world.offline("terminal --home kiosk accept p.cbor --out c.cbor").ok().says("nothing was credited twice");
    let (again, rider_after) = Bundle::split(read_message(world.path("c.cbor")).unwrap());
    assert_eq!(again, receipt);
    assert!(rider_after.is_some());
    world.offline("wallet --home anna confirm c.cbor").ok().says("came along");
    // What is not this answer is not written over, bundle or not.
    world.offline("terminal --home kiosk request 1.00 --out other.cbor").ok();
    world
        .offline("terminal --home kiosk accept p.cbor --out other.cbor")
        .exits(1)
        .says("holds something else");
}

#[test]
fn the_operator_shows_the_case_with_a_proof_that_inspect_judges_and_where_the_value_went() {
    let world = world_with_a_thief();
    world.online("operator cases --dir op").ok().says("nobody is accused of anything");
    for home in ["ben", "carl"] {
        world.online(&format!("wallet --home {home} sync")).ok();
    }
    world.online("operator cases --dir op").ok().says("forked").says("revoked").says("20.00 EUR");
    let cases = world.online("operator cases --dir op --reason forked --psp alpha --json").ok().json();
    let key = cases["cases"][0]["key_id"].as_str().unwrap().to_owned();
    world.online("operator cases --dir op --psp beta").ok().says("nobody is accused of anything");
    let told = world.online(&format!("operator case {key} --dir op --evidence shown")).ok();
    told.says("alpha bears the loss of 20.00 EUR").says("on the lists from number").says("ben at alpha");
    let proof = "shown/1-forked-proof.cbor";
    let judged = "--operator-root op/operator-root.cbor --trust-list g.cbor --json";
    let judged = world.offline(&format!("inspect {proof} {judged}")).ok().json();
    assert_eq!((&judged["kind"], &judged["verifies"]), (&json!("proof"), &json!("proven: fork")));
    // Over no other file; and of a key that nobody accuses nothing is shown.
    world.online(&format!("operator case {key} --dir op --evidence shown")).exits(2).says("is there already");
    let anna = world.show("anna")["key"].as_str().unwrap().to_owned();
    world.online(&format!("operator case {anna} --dir op")).exits(1).says("error 622");
    world.online("operator case xyz --dir op").exits(2).says("64 or 66 hexadecimal digits");
    world.online(&format!("operator case {key} --dir op --hops 9")).exits(2);
}
