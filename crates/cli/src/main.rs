#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
//! `counterfoil`: offline payments from the command line. Parses, and hands over to one module a noun.

mod admission;
mod attack;
mod bench;
mod cases;
mod demo;
mod describe;
mod fields;
mod holding;
mod inspect;
mod lock;
mod operator;
mod output;
mod pin;
mod place;
mod policy;
mod report;
mod root;
mod rules;
mod scene;
mod show;
mod terminal;
mod time;
mod vectors;
mod wallet;
mod words;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::output::Output;

/// What is freed is wiped: a machine's memory holds a private key while it runs, and its pages outlive it.
#[global_allocator]
static WIPING: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

/// Offline payments: fund online, pay offline, settle online.
///
/// Exit codes: 0 done, 1 refused or failed, 2 not understood, 3 the payment was declined.
#[derive(Debug, Parser)]
#[command(name = "counterfoil", version)]
struct Cli {
    /// Answer with one JSON object
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tell the main job as one story: real wallets, a real operator, messages as QR images
    Demo(demo::DemoArgs),
    /// Run the operator: root of trust, ledger, reconciliation
    Operator(operator::OperatorArgs),
    /// Explain scheme rules
    Rules(rules::RulesArgs),
    /// Use a wallet
    Wallet(wallet::WalletArgs),
    /// Use a terminal: a merchant's acceptor without a tamper resistant element
    Terminal(terminal::TerminalArgs),
    /// Show a message or certificate in readable form, and what verifies
    Inspect(inspect::InspectArgs),
    /// Check or make conformance vectors
    Vectors(vectors::VectorsArgs),
    /// Mount every attack on a wallet's element, for real, and tell what came of each
    Attack(attack::AttackArgs),
    /// Measure what things cost here
    Bench(bench::BenchArgs),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are no errors. Programs get theirs where they get everything else.
        Err(error) if error.use_stderr() && std::env::args_os().any(|word| word == "--json") => {
            let text = error.to_string();
            let what = text.trim_start_matches("error: ").split("\n\n").next().unwrap_or_default();
            let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
            return ExitCode::from(Output::new(true).fail(&output::Usage(what).into()));
        }
        Err(error) => error.exit(),
    };
    let output = Output::new(cli.json);
    let done = match &cli.command {
        Command::Demo(args) => demo::run(args, &output),
        Command::Operator(args) => operator::run(args, &output),
        Command::Rules(args) => rules::run(args, &output),
        Command::Wallet(args) => wallet::run(args, &output),
        Command::Terminal(args) => terminal::run(args, &output),
        Command::Inspect(args) => inspect::run(args, &output),
        Command::Vectors(args) => vectors::run(args, &output),
        Command::Attack(args) => attack::run(args, &output),
        Command::Bench(args) => bench::run(args, &output),
    };
    ExitCode::from(done.unwrap_or_else(|error| output.fail(&error)))
}
