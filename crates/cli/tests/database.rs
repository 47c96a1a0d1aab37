//! Where an operator's rows are, as whoever runs it says it, and what they are told when that is wrong.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::World;
use counterfoil_scratch_postgres::{Durability, Server};

#[test]
fn an_operator_finds_its_rows_again_and_no_other_takes_their_place() {
    let server = Server::start(Durability::Volatile).unwrap();
    let world = World::with_rows_in(Some(&server.address()), "together");
    world.wallet("anna", "", "20");
    world.stop_operator();
    assert!(!world.path("op/operator.db").exists());
    // The folder knows the way, and so does the environment.
    world.online("operator audit --dir op").ok().says("20.00");
    std::fs::remove_file(world.path("op/operator.toml")).unwrap();
    world.online("operator audit --dir op").exits(1).says("holds no operator");
    let mut audit = world.command("operator audit --dir op");
    common::Gave::from(audit.env("COUNTERFOIL_DATABASE", server.address()).output().unwrap())
        .ok()
        .says("20.00");
    let again = format!("operator init --dir other --database {}", server.address());
    world.online(&again).exits(1).says("there is an operator in").says("name an empty database");
    assert!(!world.path("other").exists());
    let apart = format!("{}&options=-csearch_path%3Dapart", server.address());
    world.online(&format!("operator init --dir other --database {apart}")).exits(1);
    drop(server);
    let mut audit = world.command("operator audit --dir op");
    let gone = common::Gave::from(
        audit.env("COUNTERFOIL_DATABASE", "postgres://ann:s3cret@127.0.0.1:1/x").output().unwrap(),
    );
    let gone = gone.exits(1).says("cannot be reached").says("check that PostgreSQL runs");
    assert!(!gone.err.contains("s3cret"), "{}", gone.err);
}

#[test]
fn what_is_open_is_shown_as_a_table_as_csv_and_as_json() {
    let world = World::new();
    world.wallet("anna", "", "20");
    world.wallet("ben", "", "0");
    world.online("operator report --dir op").ok().says("nothing is open");
    world.online("wallet --home ben request 5 --out request.cbor").ok();
    world.online("wallet --home anna pay request.cbor --out payment.cbor --pin-file pin").ok();
    world.online("wallet --home anna sync").ok();
    world
        .online("operator report --dir op")
        .ok()
        .says("payer-only")
        .says("5.00 EUR")
        .says("payee")
        .says("alpha");
    let told = world.online("operator report --dir op --json").ok().json();
    assert_eq!((&told["items"][0]["amount"], &told["more"]), (&500.into(), &false.into()));
    let csv = world.online("operator report --dir op --format csv").ok().out;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 2, "{csv}");
    assert!(lines.concat().contains("payer-only,payee,false,500,") && csv.ends_with("\r\n"), "{csv}");
    world.online("operator report --dir op --reason late").ok();
    world.online("operator report --dir op --reason none").exits(2).says("choose one of matched, payer-only");
    world.online("wallet --home ben accept payment.cbor --out receipt.cbor").ok();
    world.online("wallet --home ben sync").ok();
    world.online("operator report --dir op").ok().says("nothing is open");
}

#[test]
fn a_configuration_that_cannot_be_read_is_named_with_its_line() {
    let world = World::new();
    world.stop_operator();
    std::fs::write(world.path("op/operator.toml"), "databse = \"x\"\n").unwrap();
    world
        .online("operator audit --dir op")
        .exits(1)
        .says("operator.toml")
        .says("databse")
        .says("mend the file");
    std::fs::write(world.path("op/operator.toml"), "").unwrap();
    world.online("operator serve --dir op").exits(1).says("nothing says where to listen");
    world.online("operator audit --dir op --database mysql://x").exits(2).says("sqlite:PATH or postgres://");
}
