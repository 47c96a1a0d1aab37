//! The rules of the house that neither the compiler nor clippy knows.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{output, root};

/// From here on a file holds two things: look for the second noun, and give it its own file.
const LINES_MAX: usize = 999;

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
}
