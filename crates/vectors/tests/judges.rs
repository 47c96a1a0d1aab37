//! Judges that are not ours: cbor2, cryptography and cwt read the vectors, rebuild what is signed from the specification,
//! and must come to the same verdicts. Without them these tests fail, they never skip. `cargo xtask setup` installs them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod common;

use common::{copy_of_vectors, python, vectors};

/// What the judge counted under this heading.
fn counted(said: &str, what: &str) -> usize {
    let counts = said.lines().filter_map(|line| line.trim().split_once(' '));
    let (count, _) = counts
        .into_iter()
        .find(|(_, heading)| *heading == what)
        .unwrap_or_else(|| panic!("nothing about {what:?} in\n{said}"));
    count.parse().unwrap()
}

#[test]
fn other_libraries_come_to_the_same_verdicts() {
    let (ok, said) = python("judge.py", &[&vectors()]);
    assert!(ok, "{said}");
    for (what, least) in [
        ("valid messages accepted", 80),
        ("messages with a bad signature refused", 300),
        ("of these, accepted by a library that is not strict", 4),
        ("messages refused for another reason, signature good", 80),
        ("messages that wallets made accepted", 150),
        ("signatures judged by both libraries", 800),
        ("proofs accepted", 20),
        ("proofs refused", 40),
        ("journal entries chained", 12),
        ("values decoded", 90),
        ("bytes that are no deterministic CBOR refused", 30),
    ] {
        assert!(counted(&said, what) >= least, "fewer than {least}: {what}\n{said}");
    }
}

/// A judge that accepts everything would be none.
#[test]
fn the_judge_sees_what_is_altered() {
    for (file, from, to) in [
        // A valid message's header, identifier and signature; an error that becomes a good signature; a proof's kind.
        ("messages-eddsa.json", "\"header\":\"87", "\"header\":\"88"),
        ("proofs.json", "\"shows\": \"fork\"", "\"shows\": \"overlap\""),
        ("messages-eddsa.json", "\"error\": 203", "\"error\": 200"),
        ("messages-es256.json", "\"error\": 200", "\"error\": 203"),
        ("journal.json", "{\"seq\":5", "{\"seq\":6"),
    ] {
        let dir = copy_of_vectors();
        let path = dir.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file}: no {from}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let (ok, said) = python("judge.py", &[dir.path()]);
        assert!(!ok, "{file}: {from} as {to} was not seen:\n{said}");
    }
}
