//! `spec/errors.md` says what the code says.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write;
use std::path::Path;

use counterfoil_wire::Code;

fn table() -> String {
    let mut text = String::from(
        "# Errors\n\n\
         Numbered once, never used again. An operation that ends in an error has changed neither balance nor journal. \
         What it may leave is a used PIN try (404), a proof (208, 310), or a payment marked unresolved (313).\n\n\
         Within one operation the checks run in the order that [states.md](states.md) gives, and the first that fails \
         is the one reported.\n\n\
         | number | name | fault | what happened | what to do |\n|---|---|---|---|---|\n",
    );
    for code in Code::ALL {
        let (number, name, fault) = (code.number(), code.name(), code.fault().name());
        writeln!(text, "| {number} | {name} | {fault} | {} | {} |", code.what(), code.next()).unwrap();
    }
    text
}

/// Run with `COUNTERFOIL_WRITE=1` to write the table anew.
#[test]
fn the_specification_lists_every_error() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/errors.md");
    if std::env::var_os("COUNTERFOIL_WRITE").is_some() {
        std::fs::write(&path, table()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), table(), "run again with COUNTERFOIL_WRITE=1");
}
