//! Every valid message, certificate, proof and journal entry of the vectors matches spec/counterfoil.cddl, and what is of
//! another shape does not: judged by zcbor.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod common;

use std::path::{Path, PathBuf};

use common::{python, vectors};

fn cddl() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/counterfoil.cddl")
}

#[test]
fn the_vectors_are_of_the_specified_shape() {
    let (ok, said) = python("shapes.py", &[&vectors(), &cddl()]);
    assert!(ok, "{said}");
    for what in [
        "valid messages that match",
        "headers and Sig_structures that match",
        "messages of another shape that do not match",
        "messages that wallets made and that match",
        "certificates that match",
        "proofs that match",
        "journal entries that match",
    ] {
        assert!(said.contains(what), "nothing about {what:?} in\n{said}");
    }
}

/// Rules that everything matches would be none.
#[test]
fn other_rules_are_not_matched() {
    let text = std::fs::read_to_string(cddl()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("altered.cddl");
    for (from, to) in [
        ("signature = bstr .size 64", "signature = bstr .size 63"),
        ("currency = 1..999", "currency = 1..355"),
        ("receipt-body = [ payment: digest, seq,", "receipt-body = [ payment: digest, seq, seq,"),
    ] {
        assert!(text.contains(from), "no {from:?} in the CDDL");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let (ok, said) = python("shapes.py", &[&vectors(), &path]);
        assert!(!ok, "{from} as {to} was not seen:\n{said}");
    }
}
