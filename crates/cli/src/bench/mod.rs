//! `counterfoil bench`: what things cost here, as medians and as ratios within one run.

mod bare;
mod memory;
mod meter;
mod pair;
mod tap;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One payment, both sides, from request to receipt: in the virtual secure element, and natively beside it
    Tap(tap::TapArgs),
}

pub(crate) fn run(args: &BenchArgs, output: &Output) -> Result<u8> {
    match &args.command {
        Command::Tap(args) => tap::run(args, output),
    }
}
