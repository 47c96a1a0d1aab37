//! What it costs the operator to reconcile a crowd that comes back at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use counterfoil_operator::domain::journal::read;
use counterfoil_operator::signatures::{Collected, Seen, all_hold_strictly};
use counterfoil_operator::{InitOptions, Service, init};
use counterfoil_trust::open;
use counterfoil_vectors::fixed::START_S;
use counterfoil_wire::Algorithm;
use counterfoil_wire::sync::Statement;
use serde::Serialize;

use super::crowd::{self, Statements};
use super::rows::{Rows, StoreKind};
use super::{memory, settle};
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct ReconcileArgs {
    /// Payments, both halves of each, made before the clock starts; rounded up to whole circles of 20 wallets, which pay 100
    /// times each at most
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    payments: u64,
    /// Signature algorithm of the wallets
    #[arg(long, value_enum, default_value_t = Alg::Eddsa)]
    alg: Alg,
    /// Where the operator keeps its rows; postgres starts a server of its own, which commits durably and ends with the run
    #[arg(long, value_enum, default_value_t = StoreKind::Sqlite)]
    store: StoreKind,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Alg {
    Eddsa,
    Es256,
}

impl Alg {
    pub(super) fn algorithm(self) -> Algorithm {
        match self {
            Self::Eddsa => Algorithm::EdDsa,
            Self::Es256 => Algorithm::Es256,
        }
    }
}

#[derive(Debug, Serialize)]
struct Figures {
    alg: &'static str,
    store: &'static str,
    payments: u64,
    wallets: u64,
    /// On the clock, from the first statement given in to the last settlement.
    payments_per_s: f64,
    /// What the same signatures allow, each verified once, singly and strictly, on the same cores.
    verify_limit_per_s: f64,
    ratio: f64,
    bytes_per_payment: u64,
    /// The most that the process held beyond what it held when the clock started; absent where the system does not count.
    peak_mib: Option<f64>,
    conserved: bool,
}

pub(crate) fn run(args: &ReconcileArgs, output: &Output) -> Result<u8> {
    let algorithm = args.alg.algorithm();
    let dir = tempfile::tempdir().context("cannot make a folder for the operator")?;
    let rows = Rows::new(args.store, &dir.path().join("operator"))?;
    init(rows.place.clone(), InitOptions::sandbox(START_S))?;
    let open = || Service::open(rows.place.clone(), Arc::new(|| START_S));
    let service = open()?;
    let progress = output.progress("payments made", args.payments);
    let statements =
        crowd::statements(&service, dir.path(), crowd::of_payments(args.payments), algorithm, &progress)?;
    progress.done();

    // Closed, so that the log is in the database.
    drop(service);
    let stored_before = rows.bytes()?;
    let service = open()?;
    let held = memory::start_bytes();
    let took = settle::all(&service, statements.read()?, output)?;
    let peak = memory::peak_bytes().zip(held).map(|(peak, held)| peak.saturating_sub(held));
    drop(service);
    let stored = rows.bytes()?.saturating_sub(stored_before);
    let service = open()?;
    let conserved = service.audit()?.sound;
    let verifying = verify(&service, &statements, output)?;

    let per_s = |time: Duration| statements.payments as f64 / time.as_secs_f64();
    let figures = Figures {
        alg: algorithm.name(),
        store: rows.name(),
        payments: statements.payments,
        wallets: statements.wallets,
        payments_per_s: per_s(took),
        verify_limit_per_s: per_s(verifying),
        ratio: verifying.as_secs_f64() / took.as_secs_f64(),
        bytes_per_payment: stored / statements.payments,
        peak_mib: peak.map(|bytes| bytes as f64 / f64::from(1 << 20)),
        conserved,
    };
    if output.json {
        println!("{}", serde_json::to_string(&figures)?);
    } else {
        tell(&figures);
    }
    Ok(u8::from(!conserved))
}

/// How long the signatures alone take, each of them once.
fn verify(service: &Service, statements: &Statements, output: &Output) -> Result<Duration> {
    let progress = output.progress("signatures alone", statements.wallets);
    let anchors = &service.scheme().anchors;
    let (seen, mut names) = (Seen::new()?, HashSet::new());
    let mut took = Duration::ZERO;
    for (at, bytes) in statements.read()?.enumerate() {
        let mut relies_on = Collected::default();
        let sealed = open::<Statement>(&bytes)?;
        sealed.check_signature_by(&mut relies_on, &anchors.scheme)?;
        read(anchors, &mut relies_on, &sealed, &bytes)?;
        relies_on.keep_new(&seen, &mut names);
        let start = Instant::now();
        if !all_hold_strictly(&relies_on) {
            bail!("a signature does not hold");
        }
        took += start.elapsed();
        progress.set(at as u64);
    }
    progress.done();
    Ok(took)
}

fn tell(figures: &Figures) {
    let peak = figures.peak_mib.map_or_else(|| "not counted here".to_owned(), |mib| format!("{mib:.0} MiB"));
    for (name, value) in [
        ("payments, both halves", format!("{} of {} wallets", figures.payments, figures.wallets)),
        ("payments a second", format!("{:.0}", figures.payments_per_s)),
        ("signatures alone allow", format!("{:.0}", figures.verify_limit_per_s)),
        ("ratio", format!("{:.2}", figures.ratio)),
        ("bytes stored a payment", figures.bytes_per_payment.to_string()),
        ("memory at the peak", peak),
        ("value conserved", if figures.conserved { "yes" } else { "NO" }.to_owned()),
    ] {
        println!("{name:24} {value}");
    }
}
