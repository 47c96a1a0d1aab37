//! The API against its own description, judged by schemathesis: whatever it makes up is answered as the description says, and never
//! with a failure of the operator's. `cargo xtask setup` installs it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::World;
use counterfoil_scratch_postgres::{Durability, Server};

/// Cases made up for an operation, by a fixed seed.
const EXAMPLES: &str = "25";

/// What signed messages, idempotency keys and wallets of somebody's are, no description tells: valid by their shape alone they are refused.
const NOT_CHECKED: &str = "positive_data_acceptance";

fn fuzz(world: &World, token: &str, paths: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os("COUNTERFOIL_PYTHON")
        .map_or_else(|| folder.join("../../target/venv/bin/python"), PathBuf::from);
    let token = std::fs::read_to_string(world.path("op/keys").join(token)).unwrap();
    // A PSP that there is, or no request would get beyond its name.
    std::fs::write(world.path("schemathesis.toml"), "[parameters]\n\"path.psp\" = \"alpha\"\n").unwrap();
    let judged = Command::new(&python)
        .args(["-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run"])
        .arg(format!("{}/openapi.json", world.url))
        .args(["--no-color", "--seed", "1", "--max-examples", EXAMPLES])
        .args(["--exclude-checks", NOT_CHECKED, "--include-path-regex", paths])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .current_dir(world.dir.path())
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; run cargo xtask setup", python.display()));
    let said = String::from_utf8_lossy(&judged.stdout);
    assert!(judged.status.success(), "{said}{}", String::from_utf8_lossy(&judged.stderr));
    assert!(said.contains("Fuzzing") && !said.contains("returned only 401"), "{said}");
}

fn judged(database: Option<&str>) {
    let world = World::with_rows_in(database, "together");
    fuzz(&world, "operator.token", "^(?!/v1/psp/)");
    fuzz(&world, "psp-alpha.token", "^/v1/psp/");
    world.audit();
}

#[test]
fn the_api_does_what_its_description_says() {
    judged(None);
}

/// PostgreSQL takes fewer texts than SQLite does.
#[test]
fn the_api_does_what_its_description_says_with_rows_in_postgres() {
    let server = Server::start(Durability::Volatile).unwrap();
    judged(Some(&server.address()));
}
