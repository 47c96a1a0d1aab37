//! `counterfoil vectors`: what it prints, and how it ends.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::path::Path;
use std::process::{Command, Output};

fn counterfoil(args: &[&str], dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_counterfoil")).args(args).arg(dir).output().unwrap()
}

#[test]
fn what_is_made_is_checked_and_what_is_altered_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let made = counterfoil(&["vectors", "make"], dir.path());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let checked = counterfoil(&["vectors", "check"], dir.path());
    let table = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success() && checked.stderr.is_empty(), "{table}");
    assert!(
        table.starts_with("file ") && table.contains("\nproofs.json ") && table.contains("\nall "),
        "{table}"
    );

    let path = dir.path().join("types.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("\"error\": 103", "\"error\": 102", 1)).unwrap();
    let checked = counterfoil(&["vectors", "check"], dir.path());
    assert_eq!(checked.status.code(), Some(1));
    let named = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(named, "types.json: amount: 23 in two bytes: error: expected 102, got 103\n");
    let checked = counterfoil(&["vectors", "check", "--json"], dir.path());
    assert_eq!(checked.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(json["holds"], false);
    let types = json["files"].as_array().unwrap().iter().find(|file| file["file"] == "types.json").unwrap();
    let expected = serde_json::json!({
        "vector": "amount: 23 in two bytes", "field": "error", "expected": "102", "got": "103",
    });
    assert_eq!(types["differences"], serde_json::json!([expected]));
}

#[test]
fn a_folder_without_vectors_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let checked = counterfoil(&["vectors", "check"], dir.path());
    assert_eq!(checked.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&checked.stderr).contains("no vectors here"));
}
