//! Development tasks: `cargo xtask --help` lists them.
//!
//! Each check is a *step* with a name, so that the one that failed can be run alone. Steps are ordered so that a run
//! fails early: what takes a second comes before what takes minutes.

mod fuzz;
mod kill;
mod licences;
mod model;
mod nostd;
mod readme;
mod setup;
mod shell;
mod style;
mod ta;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

use shell::{cargo, root, run};

/// Development tasks of Counterfoil.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the tests need and this machine lacks.
    Setup,
    /// Explore every state of the protocol within bounds: the real trusted application, every order and mishap.
    Model {
        /// Wider bounds: hours.
        #[arg(long)]
        long: bool,
    },
    /// Break the rules one at a time on a copy of the sources: the model must find each.
    MutantsOfRules {
        /// Only these mutations.
        #[arg(value_name = "NAME")]
        only: Vec<String>,
    },
    /// Kill the binary at each of its durable calls and run it again.
    Kill {
        /// At each call in each mode, with what recovers killed as well: some minutes.
        #[arg(long)]
        long: bool,
    },
    /// Run every check, or some of them.
    Test {
        /// Run only this step; may be given more than once.
        #[arg(long, value_name = "STEP", value_delimiter = ',')]
        only: Vec<Step>,
        /// List the steps and stop.
        #[arg(long)]
        list: bool,
    },
    /// Build the image of the trusted application, or check the one that is there.
    Ta(ta::Arguments),
    /// Look for what a distributed PostgreSQL refuses in the operator's statements.
    SqlPortable,
    /// Run the fuzz targets: a few seconds each, with a fixed seed.
    Fuzz(fuzz::Arguments),
}

/// One check. They run in the order in which they stand here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    Format,
    Style,
    Licences,
    Setup,
    Clippy,
    Docs,
    Nostd,
    Image,
    Tests,
    Postgres,
    Model,
    Mutants,
    Fuzz,
    Readme,
}

impl Step {
    /// What the step checks, for a heading.
    fn about(self) -> &'static str {
        match self {
            Self::Format => "the sources are formatted",
            Self::Style => "no file is too long, nothing is left undone, no test is ignored",
            Self::Licences => "every dependency has a licence that we accept",
            Self::Setup => "the tools that the tests need are there",
            Self::Clippy => "no warning in any target of any crate",
            Self::Docs => "the documentation builds without a warning",
            Self::Nostd => "wire, trust and ta link without std and without an operating system",
            Self::Image => "the image of the trusted application is the one that its sources make",
            Self::Tests => "all tests and doc tests pass",
            Self::Postgres => {
                "the operator's tests pass with its rows in PostgreSQL too, and bucket by bucket"
            }
            Self::Model => "no order of loss, duplication, delay and crash makes or loses money",
            Self::Mutants => "the model finds every rule that is broken on purpose",
            Self::Fuzz => "every fuzz target stands its seeds and a few seconds of what follows from them",
            Self::Readme => "the commands in README.md do what it says",
        }
    }

    fn check(self) -> Result<()> {
        match self {
            Self::Format => run(cargo().args(["fmt", "--all", "--check"])),
            Self::Style => style::check(),
            Self::Licences => licences::check(),
            Self::Setup => setup::install_missing(),
            Self::Clippy => run(cargo()
                .args(["clippy", "--workspace", "--all-targets", "--locked"])
                .args(["--", "-D", "warnings"])),
            Self::Docs => run(cargo()
                .args(["doc", "--workspace", "--no-deps", "--locked"])
                .env("RUSTDOCFLAGS", "-D warnings")),
            Self::Nostd => nostd::check(),
            Self::Image => ta::check(),
            // All failures of one run are worth more than the minute that stopping at the first would save.
            Self::Tests => run(cargo()
                .args(["test", "--workspace", "--locked", "--no-fail-fast"])
                .env("COUNTERFOIL_PYTHON", setup::python())),
            Self::Postgres => postgres().and_then(|()| by_bucket()),
            Self::Model => model::check(false),
            Self::Mutants => model::check_mutants(&[]),
            Self::Fuzz => fuzz::check(),
            Self::Readme => readme::check(),
        }
    }
}

/// The statements are known to the operator alone, which parses them in a test.
fn sql_portable() -> Result<()> {
    run(cargo().args(["test", "--workspace", "--locked", "--lib", "store::portable"]))?;
    println!("every statement of the operator is one that a distributed PostgreSQL is known to take");
    Ok(())
}

/// The operator's tests once more, each operator in a throw-away server. They are chosen from the whole workspace, so that
/// nothing is built a second time with other features.
fn postgres() -> Result<()> {
    let mut test = cargo();
    test.args(["test", "--workspace", "--locked", "--no-fail-fast"])
        .env("COUNTERFOIL_TEST_STORE", "postgres");
    for entry in std::fs::read_dir(root().join("crates/operator/tests"))? {
        let path = entry?.path();
        if let (Some("rs"), Some(name)) = (path.extension().and_then(|e| e.to_str()), path.file_stem()) {
            test.arg("--test").arg(name);
        }
    }
    run(&mut test)
}

/// Those tests that are about what is written, with a transaction for each bucket, on both databases.
fn by_bucket() -> Result<()> {
    for store in ["sqlite", "postgres"] {
        let mut test = cargo();
        test.args(["test", "--workspace", "--locked", "--no-fail-fast"])
            .env("COUNTERFOIL_TEST_STORE", store)
            .env("COUNTERFOIL_TEST_TRANSACTIONS", "by-bucket");
        for name in ["store", "flow", "attacks", "closing", "reconciliation", "refunds"] {
            test.arg("--test").arg(name);
        }
        run(&mut test)?;
    }
    Ok(())
}

/// The name of a step on the command line.
fn name(step: Step) -> String {
    step.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn main() -> ExitCode {
    match Arguments::parse().task {
        Task::Setup => end(setup::install_missing()),
        Task::SqlPortable => end(sql_portable()),
        Task::Model { long } => end(model::check(long)),
        Task::MutantsOfRules { only } => end(model::check_mutants(&only)),
        Task::Ta(arguments) => end(ta::ta(&arguments)),
        Task::Fuzz(arguments) => end(fuzz::fuzz(&arguments)),
        Task::Kill { long } => end(kill::all(long)),
        Task::Test { list: true, .. } => {
            for step in Step::value_variants() {
                println!("{:10} {}", name(*step), step.about());
            }
            ExitCode::SUCCESS
        }
        Task::Test { only, .. } => test(&only),
    }
}

/// The exit code of a task.
fn end(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the steps in `only`, or all of them if it is empty, up to the first that fails.
fn test(only: &[Step]) -> ExitCode {
    let chosen = Step::value_variants().iter().copied().filter(|step| only.is_empty() || only.contains(step));
    let mut results: Vec<(Step, Option<(bool, Duration)>)> = chosen.map(|step| (step, None)).collect();
    let mut failed = None;
    for (step, result) in &mut results {
        println!("\n== {}: {}", name(*step), step.about());
        let start = Instant::now();
        let outcome = step.check();
        let took = start.elapsed();
        *result = Some((outcome.is_ok(), took));
        println!("   {} took {}", name(*step), seconds(took));
        if let Err(error) = outcome {
            failed = Some((*step, error));
            break;
        }
    }
    println!("\n{}", table(&results));
    match failed {
        None => ExitCode::SUCCESS,
        Some((step, error)) => {
            eprintln!("\n{error:#}");
            eprintln!("To run this step alone: cargo xtask test --only {}", name(step));
            ExitCode::FAILURE
        }
    }
}

/// The results one a line, and the sum of the times.
fn table(results: &[(Step, Option<(bool, Duration)>)]) -> String {
    let mut lines = Vec::new();
    for (step, result) in results {
        let (word, time) = match result {
            Some((true, took)) => ("ok", seconds(*took)),
            Some((false, took)) => ("FAILED", seconds(*took)),
            None => ("not run", String::new()),
        };
        lines.push(format!("{:10} {word:8} {time:>8}", name(*step)).trim_end().to_owned());
    }
    let total = results.iter().filter_map(|(_, result)| result.map(|(_, took)| took)).sum();
    lines.push(format!("{:10} {:8} {:>8}", "total", "", seconds(total)));
    lines.join("\n")
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_names_what_passed_failed_and_did_not_run() {
        let results = [
            (Step::Format, Some((true, Duration::from_millis(1_240)))),
            (Step::Clippy, Some((false, Duration::from_secs(75)))),
            (Step::Tests, None),
        ];
        assert_eq!(
            table(&results),
            "format     ok          1.2 s\n\
             clippy     FAILED     75.0 s\n\
             tests      not run\n\
             total                 76.2 s"
        );
    }

    #[test]
    fn steps_are_chosen_by_name() {
        let parsed =
            Arguments::try_parse_from(["xtask", "test", "--only", "nostd", "--only", "tests,docs"]).unwrap();
        let Task::Test { only, list: false } = parsed.task else { panic!("not a test") };
        assert_eq!(only, [Step::Nostd, Step::Tests, Step::Docs]);
    }
}
