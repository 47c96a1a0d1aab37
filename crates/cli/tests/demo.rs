//! `counterfoil demo` keeps its promises, and says so in the form that programs rely on.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Map, Value};

/// A payment with its certificate, a request with a display name: version 13-L holds them with room to spare.
const MESSAGE_BYTES_MAX: u64 = 384;

fn demo(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_counterfoil"));
    command.arg("demo").args(args).current_dir(folder).env("NO_COLOR", "1").output().unwrap()
}

fn keys(object: &Map<String, Value>) -> Vec<&str> {
    object.keys().map(String::as_str).collect()
}

#[test]
fn the_story_holds_and_its_report_has_the_promised_shape() {
    let folder = tempfile::tempdir().unwrap();
    let done = demo(folder.path(), &["--json", "--html", "page.html"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(
        keys(report.as_object().unwrap()),
        ["payments", "wallets", "supply", "forks", "revoked", "conserved", "seconds"]
    );
    assert_eq!(report["conserved"], true);
    assert_eq!(report["forks"], 1);
    assert_eq!(report["revoked"], serde_json::json!(["Alice"]));

    let payments = report["payments"].as_array().unwrap();
    assert!(payments.len() >= 10);
    let refused = payments.last().unwrap();
    assert_eq!((&refused["from"], &refused["to"]), (&"Alice".into(), &"Café Blau".into()));
    assert_eq!(refused["state"], "reclaimed", "what the next shop refused came back");
    for payment in payments {
        let expected = ["from", "to", "amount", "currency", "alg", "state", "bytes"];
        assert_eq!(keys(payment.as_object().unwrap()), expected);
        let bytes = payment["bytes"].as_object().unwrap();
        assert_eq!(keys(bytes), ["request", "payment", "receipt"]);
        assert!(bytes["request"].as_u64().unwrap() <= MESSAGE_BYTES_MAX);
        assert!(bytes["payment"].as_u64().unwrap() <= MESSAGE_BYTES_MAX);
    }
    for alg in ["eddsa", "es256"] {
        assert!(payments.iter().any(|payment| payment["alg"] == alg));
    }
    for wallet in report["wallets"].as_array().unwrap() {
        assert_eq!(keys(wallet.as_object().unwrap()), ["name", "grade", "alg", "balance"]);
    }
    let supply = |name: &str| report["supply"][name].as_u64().unwrap();
    assert_eq!(
        supply("funded") + supply("loss"),
        supply("defunded") + supply("offline") + supply("in_flight")
    );
    assert_eq!(supply("loss"), 3_550, "80.00 spent twice over out of what was left of 60.00");

    let page = std::fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("balanced") && page.contains("Café Blau"));
    assert!(page.contains("refuses Alice: error 208"));
    for outside in ["http://", "https://", "src=", "@import", "<link"] {
        assert!(!page.contains(outside), "{outside} would load something");
    }
}

#[test]
fn a_person_reads_it_in_a_screen_or_two_and_keeps_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let done = demo(folder.path(), &["--dir", "kept"]);
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success() && text.lines().count() <= 80, "{text}");
    // While the operator's process is dead, the proof reaches a shop that was not there when it was made.
    let (_, after) = text.split_once("~13/15").unwrap();
    let (step, _) = after.split_once("14/15").unwrap();
    assert!(step.contains("The café, not online in between, refuses Alice: error 208"), "{step}");
    let (_, after) = text.split_once("~11/15").unwrap();
    let (step, _) = after.split_once("12/15").unwrap();
    assert!(step.contains("his own phone refuses") && step.contains("error 503"), "{step}");
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    assert!(folder.path().join("kept/messages").is_dir());
    let again = demo(folder.path(), &["--dir", "kept"]);
    assert_eq!(again.status.code(), Some(1), "a folder that exists is not touched");
}
