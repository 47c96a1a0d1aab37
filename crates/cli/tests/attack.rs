//! `counterfoil attack` mounts what it names, hides nothing, and says what bounds what is open.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::process::Command;

use serde_json::Value;

/// What nothing here stops. A new name among these is a hole; one that is gone wants this list to be shorter.
const OPEN: [&str; 5] = [
    "the PIN is guessed with an older copy before each try; no counter",
    "a host that claims a counter which it does not have, in a sandbox",
    "a debugger that nobody reports",
    "the host opens the seals itself, with the device's key",
    "the host runs an application of its own on the wallet's state",
];

#[test]
fn every_attack_is_told_with_what_stops_it_or_bounds_it() {
    let attacked =
        Command::new(env!("CARGO_BIN_EXE_counterfoil")).args(["attack", "--json"]).output().unwrap();
    assert!(attacked.status.success(), "{}", String::from_utf8_lossy(&attacked.stderr));
    let told: Value = serde_json::from_slice(&attacked.stdout).unwrap();
    let rows = told["attacks"].as_array().unwrap();
    assert!(rows.len() >= 30);
    for row in rows {
        let keys: Vec<&str> = row.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["attack", "result", "by", "when", "bound"]);
        let has = |key: &str| !row[key].as_str().unwrap().is_empty();
        match row["result"].as_str().unwrap() {
            "prevented" => assert!(has("by") && has("when"), "{row}"),
            "detected" => assert!(has("by") && has("when") && has("bound"), "{row}"),
            "open" => assert!(!has("by") && has("bound"), "{row}"),
            other => panic!("{other}"),
        }
    }
    let open: Vec<&str> = rows
        .iter()
        .filter(|row| row["result"] == "open")
        .map(|row| row["attack"].as_str().unwrap())
        .collect();
    assert_eq!(open, OPEN);
}
