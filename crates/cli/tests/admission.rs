//! What an operator chooses at the command line: what wallets enrol in, and which misbehaviour revokes a key.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod common;

use common::World;

fn enrol(world: &World, home: &str, options: &str) -> common::Gave {
    let url = &world.url;
    world.online(&format!(
        "wallet --home {home} enrol --operator {url} --psp alpha --account {home} --no-pin {options}"
    ))
}

#[test]
fn an_image_that_is_withdrawn_lets_no_wallet_in_until_it_is_allowed_again() {
    let world = World::new();
    let listed = world.offline("operator images --dir op --json").ok().json();
    let image = listed["images"][0]["image"].as_str().unwrap().to_owned();
    let version = &listed["images"][0]["version"];
    enrol(&world, "anna", "").ok();
    let id = world.show("anna")["key"].as_str().unwrap().to_owned();
    world.offline(&format!("operator wallet --dir op {id}")).ok().says(&format!(
        "enrolled in image {} of version {version}, counter none, by its host's word",
        &image[..16]
    ));
    world.offline(&format!("operator withdraw-image --dir op {image}")).ok().says("no, withdrawn at");
    enrol(&world, "ben", "").exits(1).says("error 618");
    // Nothing of it is left, and a wallet that was let in goes on.
    world.online("wallet --home anna fund 5.00").ok();
    enrol(&world, "ben", "--host native").ok();
    world.offline("operator allow-image --dir op").ok().says("yes");
    enrol(&world, "carl", "").ok();
    for bad in ["withdraw-image --dir op 00", "allow-image --dir op zz --version 1"] {
        world.offline(&format!("operator {bad}")).exits(2);
    }
    world.offline(&format!("operator withdraw-image --dir op {}", "0".repeat(64))).exits(2);
    world.offline(&format!("operator lift --dir op {id}")).ok().says("whole limits");
}

#[test]
fn roots_of_android_are_read_or_refused_in_words() {
    let world = World::new();
    let chain = include_bytes!("../../operator/tests/attestation/pixel-2026.pem");
    std::fs::write(world.path("roots.pem"), chain).unwrap();
    let trust = "operator trust-android --dir op --roots roots.pem";
    let app = format!("org.example.wallet={}", "0a".repeat(32));
    let told = world.offline(&format!("{trust} --app {app} --json")).ok().json();
    assert_eq!((&told["roots"], &told["revoked"]), (&5.into(), &0.into()));
    world.offline(&format!("{trust} --app org.example.wallet")).exits(2).says("PACKAGE=SHA256");
    world.offline(&format!("{trust} --app a=b")).exits(2).says("SHA-256 of its signer");
    world.offline(trust).exits(2);
    std::fs::write(world.path("roots.pem"), b"garbage").unwrap();
    world.offline(&format!("{trust} --app {app}")).exits(2).says("no PEM certificates");
}

#[test]
fn what_revokes_a_key_is_chosen_where_nobody_can_prove_it() {
    let world = World::new();
    let answers = |line: &str| -> Vec<String> {
        let told = world.offline(&format!("operator policy --dir op --json {line}")).ok().json();
        let told = told["policy"].as_array().unwrap().clone();
        told.iter().map(|one| format!("{}={}", one["reason"], one["answer"]).replace('"', "")).collect()
    };
    let always = ["forked=revoke", "equivocated=revoke", "overspent=revoke"];
    assert_eq!(answers(""), [&always[..], &["rolled-back=revoke", "gap=suspend"]].concat());
    let changed = [&always[..], &["rolled-back=suspend", "gap=revoke"]].concat();
    assert_eq!(answers("--on rolled-back=suspend --on gap=revoke"), changed);
    assert_eq!(answers(""), changed);
    world.offline("operator policy --dir op").ok().says("the operator's choice");
    for (bad, said) in [
        ("forked=suspend", "always revokes"),
        ("gap", "revoke or suspend"),
        ("gap=perhaps", "revoke or suspend"),
        ("matched=revoke", "rolled-back or gap"),
        ("", "rolled-back or gap"),
    ] {
        world.offline(&format!("operator policy --dir op --on={bad}")).exits(2).says(said);
    }
    assert_eq!(answers(""), changed);
}
