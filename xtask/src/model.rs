//! The model checker, and the proof that it bites: mutations of the rules on a copy of the sources.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::shell::{cargo, output, root, run};

const MUTANTS: &str = "crates/model/mutants.toml";

/// The copy that is mutated. It shares the target folder, so that only what a mutation touches is built again.
const COPY: &str = "target/mutants";

/// Explores every scenario.
pub(crate) fn check(long: bool) -> Result<()> {
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", "counterfoil-model", "--locked", "--"]);
    if long {
        command.arg("--long");
    }
    run(&mut command)
}

#[derive(Deserialize)]
struct Mutants {
    mutant: Vec<Mutant>,
}

/// One mutation of the rules.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    name: String,
    about: String,
    scenario: String,
    property: String,
    edits: Vec<Edit>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    file: String,
    from: String,
    to: String,
}

/// Breaks the rules one at a time on a copy, and has the model find each.
pub(crate) fn check_mutants(only: &[String]) -> Result<()> {
    let text = fs::read_to_string(root().join(MUTANTS)).context(MUTANTS)?;
    let Mutants { mut mutant } = toml::from_str(&text).context(MUTANTS)?;
    if !only.is_empty() {
        mutant.retain(|mutant| only.contains(&mutant.name));
    }
    let copy = copy_sources()?;
    let mut missed = Vec::new();
    println!("{:26} {:>6}  caught by", "mutation", "time");
    for mutant in &mutant {
        let start = Instant::now();
        let caught = try_mutant(&copy, mutant)?;
        let took = start.elapsed().as_secs_f64();
        match caught {
            Some(line) => println!("{:26} {took:>4.0} s  {line}", mutant.name),
            None => {
                println!("{:26} {took:>4.0} s  NOT CAUGHT: {}", mutant.name, mutant.about);
                missed.push(mutant.name.as_str());
            }
        }
    }
    // The copy's build has left its binary where the tree's belongs.
    run(cargo().args(["build", "--quiet", "--package", "counterfoil-model", "--locked"]))?;
    println!("{} mutations, {} caught", mutant.len(), mutant.len() - missed.len());
    if missed.is_empty() { Ok(()) } else { bail!("the model does not catch: {}", missed.join(", ")) }
}

/// The line in which the model says what it found, if it found what it must.
fn try_mutant(copy: &Path, mutant: &Mutant) -> Result<Option<String>> {
    let mut originals = Vec::new();
    for edit in &mutant.edits {
        let path = copy.join(&edit.file);
        let text = fs::read_to_string(&path).with_context(|| edit.file.clone())?;
        if text.matches(&edit.from).count() != 1 {
            bail!("mutation `{}`: its text does not stand exactly once in {}", mutant.name, edit.file);
        }
        fs::write(&path, text.replace(&edit.from, &edit.to))?;
        originals.push((path, text));
    }
    let at_copy = |arguments: &[&str]| {
        let mut command = cargo();
        command.args(arguments).current_dir(copy);
        command.env("CARGO_TARGET_DIR", root().join("target"));
        command
    };
    // Captured: a broken rule is full of warnings.
    let built = output(&mut at_copy(&["build", "--package", "counterfoil-model", "--locked"]));
    let found =
        output(at_copy(&["run", "--quiet", "--package", "counterfoil-model", "--locked", "--"]).args([
            "--only",
            &mutant.scenario,
            "--expect",
            &mutant.property,
        ]));
    // The last text written to a file that was edited twice is not its original: undo backwards.
    for (path, text) in originals.into_iter().rev() {
        fs::write(path, text)?;
    }
    built.with_context(|| format!("mutation `{}` does not build", mutant.name))?;
    Ok(found.ok().map(|line| line.trim().to_owned()))
}

/// Copies what git knows. A file that is the same already keeps its time, so that it is not built again.
fn copy_sources() -> Result<PathBuf> {
    let copy = root().join(COPY);
    let listed = output(Command::new("git").args(["ls-files", "-z"]).current_dir(root()))?;
    for file in listed.split('\0').filter(|file| !file.is_empty() && !file.starts_with("vectors/")) {
        let (from, to) = (root().join(file), copy.join(file));
        let Ok(bytes) = fs::read(&from) else { continue };
        if fs::read(&to).is_ok_and(|there| there == bytes) {
            continue;
        }
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&to, bytes)?;
    }
    Ok(copy)
}
