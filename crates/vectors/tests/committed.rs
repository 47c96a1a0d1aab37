//! What is committed in `vectors/` is what the generator makes, and what the checker accepts.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use counterfoil_vectors::{check, format, make};

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors")
}

/// Run with `COUNTERFOIL_WRITE=1` to make them anew.
#[test]
fn make_gives_what_is_committed() {
    let dir = committed();
    if std::env::var_os("COUNTERFOIL_WRITE").is_some() {
        make::write(&dir).unwrap();
    }
    let again = "make them anew: cargo run -- vectors make vectors, and say in CHANGELOG.md what changed";
    let made = make::files().unwrap();
    for (name, file) in &made {
        let there = std::fs::read_to_string(dir.join(name)).unwrap_or_default();
        let text = file.to_text().unwrap();
        let differs = there.lines().zip(text.lines()).position(|(a, b)| a != b);
        assert!(
            there == text,
            "vectors/{name} is not what `make` gives (first at line {differs:?}); {again}"
        );
    }
    let made: BTreeSet<PathBuf> = made.iter().map(|(name, _)| PathBuf::from(name)).collect();
    let there: BTreeSet<PathBuf> = format::list(&dir).unwrap().into_iter().collect();
    assert_eq!(there, made, "a file in vectors/ that `make` does not give; {again}");
}

#[test]
fn check_finds_no_difference() {
    let report = check::check(&committed()).unwrap();
    let differences: Vec<String> = report
        .files
        .iter()
        .flat_map(|file| file.differences.iter().map(move |d| format!("{}: {d}", file.file)))
        .collect();
    assert!(differences.is_empty(), "{differences:#?}");
    let counts = report.files.iter().fold((0, 0, 0), |(valid, invalid, steps), file| {
        (valid + file.valid, invalid + file.invalid, steps + file.steps)
    });
    assert!(counts.0 > 200 && counts.1 > 600 && counts.2 > 300, "vectors went missing: {counts:?}");
}

/// A checker that finds nothing would be none: whatever is altered in a file, a difference names it.
#[test]
fn check_names_what_is_altered() {
    for (file, from, to, field) in [
        ("types.json", "\"hex\": \"1b001fffffffffffff\"", "\"hex\": \"1b001ffffffffffffe\"", "value"),
        ("types.json", "\"value\": 9007199254740991", "\"value\": 9007199254740990", "value"),
        ("types.json", "\"error\": 103", "\"error\": 101", "error"),
        ("messages-eddsa.json", "\"amount\":1250", "\"amount\":1251", "fields.amount"),
        (
            "messages-es256.json",
            "\"sig_structure\":\"846a",
            "\"sig_structure\":\"846b",
            "signed.sig_structure",
        ),
        ("messages-es256.json", "\"secret\":\"", "\"secret\":\"0", "fields"),
        ("messages-eddsa.json", "\"error\": 203", "\"error\": 204", "error"),
        ("messages-eddsa.json", "\"revoked_after\": [13,", "\"revoked_after\": [12,", "revoked_after"),
        ("certificates.json", "\"der\": \"3082", "\"der\": \"3083", "der"),
        ("certificates.json", "\"number\": 4294967295", "\"number\": 4294967294", "der"),
        ("journal.json", "\"header\":\"87", "\"header\":\"88", "header"),
        ("proofs.json", "\"shows\": \"overlap\"", "\"shows\": \"fork\"", "shows"),
        ("flows/pin.json", "\"pin_tries\":2", "\"pin_tries\":3", "state.pin_tries"),
        ("flows/pin.json", "\"reply\": {\"error\":404}", "\"reply\": {\"error\":403}", "reply.error"),
        ("flows/clock.json", "\"clock_s\": 1768464000", "\"clock_s\": 1900000000", "reply_hex"),
        ("flows/stale.json", "\"stale\": true", "\"stale\": false", "reply_hex"),
        ("flows/one-time.json", "\"random\": \"", "\"random\": \"00", "bytes of randomness drawn"),
        ("flows/fork.json", "\"copy_of\": \"a\"", "\"copy_of\": \"b\"", "state.spent"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("flows")).unwrap();
        for name in [file, "flows/setup.json"] {
            std::fs::copy(committed().join(name), dir.path().join(name)).unwrap();
        }
        let text = std::fs::read_to_string(dir.path().join(file)).unwrap();
        assert!(text.contains(from), "{file}: no {from}");
        std::fs::write(dir.path().join(file), text.replacen(from, to, 1)).unwrap();
        let report = check::check(dir.path()).unwrap();
        let found = report.files.iter().flat_map(|report| &report.differences);
        let fields: Vec<&str> = found.map(|difference| difference.field.as_str()).collect();
        assert!(fields.iter().any(|found| found.contains(field)), "{file}: {from} as {to}: {fields:?}");
        assert!(!report.holds());
    }
}
