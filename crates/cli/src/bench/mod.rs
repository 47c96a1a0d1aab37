//! `counterfoil bench`: what things cost here, as medians and as ratios within one run.

mod bare;
mod crowd;
mod memory;
mod meter;
mod pair;
mod reconcile;
mod rows;
mod settle;
mod sync;
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
    /// A crowd that paid each other comes back at once: what the operator reconciles in a second
    Reconcile(reconcile::ReconcileArgs),
    /// A crowd syncs over HTTP at half the rate that the operator can take: how long each waits
    Sync(sync::SyncArgs),
    #[command(hide = true)]
    Crowd(crowd::CrowdArgs),
}

pub(crate) fn run(args: &BenchArgs, output: &Output) -> Result<u8> {
    match &args.command {
        Command::Tap(args) => tap::run(args, output),
        Command::Reconcile(args) => reconcile::run(args, output),
        Command::Sync(args) => sync::run(args, output),
        Command::Crowd(args) => crowd::run(args, output),
    }
}
