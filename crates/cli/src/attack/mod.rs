//! `counterfoil attack`: every attack on what a wallet runs in, mounted on live wallets, and what came of each.
//!
//! | module | what is attacked |
//! |---|---|
//! | `store` | the sealed files |
//! | `rollback` | their age |
//! | `image` | the application's image, and the machine that runs it |
//! | `enrolment` | what an operator is told of an element |
//! | `host` | what is left to whoever owns the host |
//!
//! A row is what happened here, not what should have: an attack that gets through is told as open, and a result that is
//! worse than the table expects ends the command with 1.

mod enrolment;
mod host;
mod image;
mod rollback;
mod store;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::json;

use crate::output::{Answer, Output, REFUSED};
use crate::scene::OperatorProcess;

#[derive(Debug, clap::Args)]
pub(crate) struct AttackArgs {}

/// What came of an attack, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    /// It did nothing.
    Prevented,
    /// It did something, and somebody was found to have done it.
    Detected,
    /// It did something, and nobody knows.
    Open,
}

impl Verdict {
    const fn name(self) -> &'static str {
        match self {
            Self::Prevented => "prevented",
            Self::Detected => "detected",
            Self::Open => "open",
        }
    }

    /// The verdict on an attack that was refused, or was not.
    const fn refused(refused: bool) -> Self {
        if refused { Self::Prevented } else { Self::Open }
    }
}

/// Where attacks are mounted.
struct Stage {
    dir: tempfile::TempDir,
    operator: OperatorProcess,
}

/// One attack.
struct Attack {
    name: &'static str,
    /// What is known to come of it.
    expected: Verdict,
    /// What stops it, or finds it; empty where nothing does.
    by: &'static str,
    when: &'static str,
    /// What bounds the harm of one that is not prevented.
    bound: &'static str,
    mount: fn(&Stage) -> Result<Verdict>,
}

/// A row of the answer.
#[derive(Serialize)]
struct Row {
    attack: &'static str,
    result: &'static str,
    by: &'static str,
    when: &'static str,
    bound: &'static str,
}

/// What bounds whatever a wallet can be made to do.
const BOUNDED: &str =
    "the total until the next sync, the certificate's ceiling, proofs that devices pass on, revocation";

fn attacks() -> impl Iterator<Item = &'static Attack> {
    [store::ATTACKS, rollback::ATTACKS, image::ATTACKS, enrolment::ATTACKS, host::ATTACKS]
        .into_iter()
        .flatten()
}

pub(crate) fn run(_: &AttackArgs, output: &Output) -> Result<u8> {
    let dir = tempfile::tempdir().context("cannot make a folder to work in")?;
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mut operator = OperatorProcess::init(dir.path(), u32::try_from(since.as_secs()).unwrap_or(u32::MAX))?;
    operator.start()?;
    let stage = Stage { dir, operator };
    let progress = output.progress("attacking", attacks().count() as u64);
    let mut rows = Vec::new();
    let mut worse = Vec::new();
    for (number, attack) in (1..).zip(attacks()) {
        let verdict = (attack.mount)(&stage).with_context(|| format!("the attack \"{}\"", attack.name))?;
        let as_expected = verdict == attack.expected;
        if verdict > attack.expected {
            worse.push(attack.name);
        }
        let [by, when, bound] =
            if as_expected { [attack.by, attack.when, attack.bound] } else { ["", "", "not known"] };
        rows.push(Row { attack: attack.name, result: verdict.name(), by, when, bound });
        progress.set(number);
    }
    progress.done();
    let mut answer = Answer::default();
    for row in &rows {
        answer.line(format!("{:9}  {}", row.result, row.attack));
        let told = [("by ", row.by), ("", row.when), ("bounded by ", row.bound)];
        for (word, text) in told.into_iter().filter(|(_, text)| !text.is_empty()) {
            answer.line(format!("{:11}{word}{text}", ""));
        }
    }
    let count = |verdict: Verdict| rows.iter().filter(|row| row.result == verdict.name()).count();
    answer.line(format!(
        "\n{} attacks: {} prevented, {} detected, {} open",
        rows.len(),
        count(Verdict::Prevented),
        count(Verdict::Detected),
        count(Verdict::Open)
    ));
    answer.set("attacks", json!(rows));
    for name in &worse {
        answer.complain(format!("\"{name}\" came out worse than it should"));
        answer.exit = REFUSED;
    }
    Ok(output.answer(&answer))
}
