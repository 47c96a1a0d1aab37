//! The rules of the house that neither the compiler nor clippy knows.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{output, root};

/// From here on a file holds two things: look for the second noun, and give it its own file.
const LINES_MAX: usize = 999;

/// Names, for each attack, the tests that mount it.
const THREAT_MODEL: &str = "spec/threat-model.md";

/// What must not be committed. Written in two halves, or this file would be the first to fail.
const UNDONE: [&str; 3] = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[", "ignore")];

/// Checks every Rust file of the repository, those not yet added included.
pub(crate) fn check() -> Result<()> {
    let files = output(Command::new("git").current_dir(root()).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        "*.rs",
    ]))?;
    let mut complaints = Vec::new();
    let mut count = 0;
    for file in files.split_terminator('\0') {
        let path = root().join(file);
        // Deleted, but still in the index.
        if !path.exists() {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {file}"))?;
        complaints.extend(judge(file, &text));
        count += 1;
    }
    let model = fs::read_to_string(root().join(THREAT_MODEL)).context("cannot read the threat model")?;
    let source = |path: &PathBuf| fs::read_to_string(root().join(path)).ok();
    complaints.extend(judge_threats(&model, source));
    if !complaints.is_empty() {
        bail!("{}", complaints.join("\n"));
    }
    println!("   {count} files");
    Ok(())
}

/// What is wrong with one file.
fn judge(file: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let lines = text.lines().count();
    if lines > LINES_MAX {
        complaints.push(format!("{file}: {lines} lines; at most {LINES_MAX}, split it by what it is about"));
    }
    for (number, line) in text.lines().enumerate() {
        for undone in UNDONE.iter().filter(|undone| line.contains(**undone)) {
            complaints.push(format!("{file}:{}: `{undone}` is not for a finished change", number + 1));
        }
    }
    complaints
}

/// What is wrong with the threat model: a test that it names and that is not there, or an attack without one.
/// `source` reads a file of the repository.
fn judge_threats(model: &str, source: impl Fn(&PathBuf) -> Option<String>) -> Vec<String> {
    let mut complaints = Vec::new();
    // Each attack is a heading of the third level.
    for attack in model.split("\n### ").skip(1) {
        let attack = attack.split("\n## ").next().unwrap_or_default();
        let heading = attack.lines().next().unwrap_or_default();
        let mut count = 0;
        for (path, test) in attack.split('`').filter_map(named_test) {
            count += 1;
            let definition = format!("fn {test}(");
            if !source(&path).is_some_and(|text| text.contains(&definition)) {
                complaints.push(format!("{THREAT_MODEL}: {heading}: no test {test} in {}", path.display()));
            }
        }
        if count == 0 {
            complaints.push(format!("{THREAT_MODEL}: {heading}: names no test"));
        }
    }
    complaints
}

/// The file and the test that `text` names: `ta/attacks::x` is `x` in `crates/ta/tests/attacks.rs`, and a path that ends in
/// `.rs` is meant from the root of the repository.
fn named_test(text: &str) -> Option<(PathBuf, &str)> {
    let (path, test) = text.split_once("::")?;
    let is_test = !test.is_empty() && test.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
    let is_path = path.contains('/') && !path.contains(char::is_whitespace);
    if !is_test || !is_path {
        return None;
    }
    let (first, rest) = path.split_once('/')?;
    let path =
        if path.ends_with(".rs") { path.to_owned() } else { format!("crates/{first}/tests/{rest}.rs") };
    Some((PathBuf::from(path), test))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_and_what_is_left_undone_are_named_with_their_place() {
        assert_eq!(judge("a.rs", &"\n".repeat(LINES_MAX)), Vec::<String>::new());
        assert_eq!(judge("a.rs", &"\n".repeat(LINES_MAX + 1)).len(), 1);
        let text = format!("fn f() {{\n    {})\n}}\n", UNDONE[0]);
        assert_eq!(judge("b.rs", &text), [format!("b.rs:2: `{}` is not for a finished change", UNDONE[0])]);
    }

    #[test]
    fn a_threat_without_its_tests_is_named() {
        let source = |path: &PathBuf| {
            let text = "#[test]\nfn a_rollback() {}\n";
            (path == &PathBuf::from("crates/ta/tests/attacks.rs")).then(|| text.to_owned())
        };
        let model = |tests: &str| format!("# Threats\n\n### Rollback\n{tests}\n## What is left\n`x`\n");
        for good in ["`ta/attacks::a_rollback`", "`crates/ta/tests/attacks.rs::a_rollback`"] {
            assert_eq!(judge_threats(&model(good), source), Vec::<String>::new());
        }
        for (bad, what) in [
            ("`ta/attacks::a_rollbac`", "no test a_rollbac in crates/ta/tests/attacks.rs"),
            ("`ta/suite/none::a_rollback`", "no test a_rollback in crates/ta/tests/suite/none.rs"),
            ("none yet", "names no test"),
        ] {
            let complaints = judge_threats(&model(bad), source);
            assert_eq!(complaints, [format!("spec/threat-model.md: Rollback: {what}")]);
        }
    }
}
