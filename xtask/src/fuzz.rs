//! Fuzzing without cargo-fuzz: the targets in `fuzz/` are built with the coverage that libFuzzer needs, which a stable
//! compiler can give, and run on the seeds and on what ever broke them.
//!
//! A run of so many inputs with one seed is the same each time, as far as the targets are; it starts from the committed
//! files alone and keeps nothing. A run of so many seconds keeps what it finds in `target/fuzz/corpus`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::shell::{cargo, output, root, run};

/// Instrumentation as cargo-fuzz has it: a counter for each edge, and the operands of comparisons.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";

/// A target takes no more memory than this, nor more time for one input.
const MEMORY_MAX_MB: u32 = 1024;
const TIME_MAX_S: u32 = 20;

/// The usual run.
const SEED: u32 = 1;

/// A target, and what is asked of it.
struct Target {
    name: &'static str,
    /// Longest input, bytes.
    len_max: u32,
    /// Inputs of a short run: a few seconds of work.
    runs: u32,
    /// What must be built for it, beside what all need.
    feature: Option<&'static str>,
}

const TARGETS: [Target; 7] = [
    Target { name: "messages", len_max: 4_200, runs: 150_000, feature: None },
    Target { name: "objects", len_max: 8_192, runs: 500_000, feature: None },
    Target { name: "certificate", len_max: 4_200, runs: 4_000, feature: None },
    Target { name: "ta_process", len_max: 1_024, runs: 1_500, feature: None },
    Target { name: "statement", len_max: 512, runs: 4_000, feature: None },
    Target { name: "home", len_max: 4_200, runs: 100_000, feature: None },
    Target { name: "image", len_max: 16_384, runs: 500, feature: Some("picture") },
];

/// What `cargo xtask fuzz` is asked to do.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Only these targets; else all that are quick to build.
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// So many inputs a target, in place of a few seconds' worth.
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    runs: Option<u32>,
    /// So many seconds a target; what is found is kept for the next time.
    #[arg(long, value_name = "N")]
    seconds: Option<u32>,
    /// Another run than the usual one.
    #[arg(long, value_name = "N", default_value_t = SEED)]
    seed: u32,
    /// Write the seed corpora anew, and stop.
    #[arg(long, conflicts_with_all = ["targets", "runs", "seconds"])]
    seeds: bool,
}

/// The short run of every target that is quick to build.
pub(crate) fn check() -> Result<()> {
    fuzz(&Arguments { targets: Vec::new(), runs: None, seconds: None, seed: SEED, seeds: false })
}

/// Builds the targets and runs them, one after the other, up to the last: one that breaks does not hide the others.
pub(crate) fn fuzz(arguments: &Arguments) -> Result<()> {
    let manifest = root().join("fuzz/Cargo.toml");
    if arguments.seeds {
        let seeds =
            ["run", "--quiet", "--locked", "--example", "seeds", "--features", "picture", "--manifest-path"];
        return run(cargo()
            .args(seeds)
            .arg(manifest)
            .arg("--target-dir")
            .arg(root().join("target/fuzz/seeds")));
    }
    let chosen = choose(&arguments.targets)?;
    let programs = build(&manifest, &chosen)?;
    let mut broken = Vec::new();
    for target in &chosen {
        if let Err(error) = fuzz_one(target, &programs, arguments) {
            println!("   {error:#}");
            broken.push(target.name);
        }
    }
    if !broken.is_empty() {
        bail!("these targets broke: {}", broken.join(", "));
    }
    Ok(())
}

fn choose(names: &[String]) -> Result<Vec<&'static Target>> {
    if names.is_empty() {
        return Ok(TARGETS.iter().filter(|target| target.feature.is_none()).collect());
    }
    let find = |name: &String| {
        let all = || TARGETS.map(|target| target.name).join(", ");
        TARGETS
            .iter()
            .find(|target| target.name == name)
            .with_context(|| format!("no target {name}; there are {}", all()))
    };
    names.iter().map(find).collect()
}

/// Builds the targets; the folder that they are in. The target triple is named, so that build scripts are spared the
/// instrumentation.
fn build(manifest: &Path, chosen: &[&Target]) -> Result<PathBuf> {
    let version = output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let dir = root().join("target/fuzz");
    let mut build = cargo();
    build
        .args(["build", "--quiet", "--locked", "--release", "--target", host, "--manifest-path"])
        .arg(manifest);
    build.arg("--target-dir").arg(&dir).env("RUSTFLAGS", FLAGS).env_remove("CARGO_ENCODED_RUSTFLAGS");
    for target in chosen {
        build.args(["--bin", target.name]);
        if let Some(feature) = target.feature {
            build.args(["--features", feature]);
        }
    }
    run(&mut build)?;
    Ok(dir.join(host).join("release"))
}

fn fuzz_one(target: &Target, programs: &Path, arguments: &Arguments) -> Result<()> {
    let (fuzz, dir) = (root().join("fuzz"), root().join("target/fuzz"));
    let program = programs.join(target.name);
    let broken = dir.join("broken").join(target.name);
    let kept = match arguments.seconds {
        Some(_) => dir.join("corpus").join(target.name),
        None => dir.join("run").join(target.name),
    };
    if arguments.seconds.is_none() && kept.is_dir() {
        fs::remove_dir_all(&kept)?;
    }
    fs::create_dir_all(&kept)?;
    fs::create_dir_all(&broken)?;
    let mut run = Command::new(&program);
    run.arg(format!("-seed={}", arguments.seed)).arg("-print_final_stats=1");
    run.arg(format!("-max_len={}", target.len_max)).arg(format!("-rss_limit_mb={MEMORY_MAX_MB}"));
    run.arg(format!("-timeout={TIME_MAX_S}")).arg(format!("-artifact_prefix={}/", broken.display()));
    // Inputs grow soon: a step is a few bytes, and what goes wrong takes many.
    run.arg("-len_control=20");
    match arguments.seconds {
        Some(seconds) => run.arg(format!("-max_total_time={seconds}")),
        None => run.arg(format!("-runs={}", arguments.runs.unwrap_or(target.runs))),
    };
    // New inputs go into the first folder; the others are read.
    run.arg(&kept);
    for folder in ["corpus", "regressions"].map(|name| fuzz.join(name).join(target.name)) {
        if folder.is_dir() {
            run.arg(folder);
        }
    }
    let done =
        run.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", program.display()))?;
    let log = String::from_utf8_lossy(&done.stderr);
    if done.status.success() {
        println!("   {}", summary(target.name, &log));
        return Ok(());
    }
    let input = log.lines().find_map(|line| line.split("Test unit written to ").nth(1)).map(str::trim);
    let why =
        log.lines().skip_while(|line| !line.contains("panicked at")).take(4).collect::<Vec<_>>().join("\n");
    match input {
        Some(input) => bail!(
            "{} broke: {}\n{why}\nTo see it again: {} {input}\nOnce it is mended, keep the input in \
             fuzz/regressions/{0}",
            target.name,
            done.status,
            program.display()
        ),
        None => bail!("{} failed: {}\n{log}", target.name, done.status),
    }
}

/// One line about a run, from libFuzzer's last report.
fn summary(name: &str, log: &str) -> String {
    let stat = |key: &str| {
        let line = log.lines().find_map(|line| line.strip_prefix("stat::")?.strip_prefix(key));
        line.map_or("?", |rest| rest.trim_start_matches(':').trim()).to_owned()
    };
    let is_report =
        |line: &&str| line.strip_prefix('#').is_some_and(|rest| rest.starts_with(char::is_numeric));
    let last = log.lines().rev().find(is_report).unwrap_or_default();
    let after =
        |key: &str| last.split_whitespace().skip_while(|word| *word != key).nth(1).unwrap_or("?").to_owned();
    format!(
        "{name:12} {:>9} inputs, {:>6} a second, {:>6} edges, corpus {}, {} MB, nothing broke",
        stat("number_of_executed_units"),
        stat("average_exec_per_sec"),
        after("cov:"),
        after("corp:"),
        stat("peak_rss_mb"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_told_in_one_line() {
        let log = "INFO: Seed: 1\n#1000\tDONE   cov: 1538 ft: 1991 corp: 18/7449b lim: 1531 exec/s: 0 rss: 28Mb\n\
                   ###### Recommended dictionary. ######\n\
                   stat::number_of_executed_units: 1000\nstat::average_exec_per_sec:     500\nstat::peak_rss_mb: 28\n";
        assert_eq!(
            summary("messages", log),
            "messages          1000 inputs,    500 a second,   1538 edges, corpus 18/7449b, 28 MB, nothing broke"
        );
    }

    #[test]
    fn every_target_is_in_the_manifest() {
        let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
        for target in &TARGETS {
            assert!(
                manifest.contains(&format!("path = \"fuzz_targets/{}.rs\"", target.name)),
                "{}",
                target.name
            );
        }
        assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
        assert!(choose(&["nothing".to_owned()]).is_err());
    }
}
