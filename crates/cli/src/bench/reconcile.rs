//! What it costs the operator to reconcile a crowd that comes back at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use counterfoil_operator::domain::journal::{own_cert, read};
use counterfoil_operator::signatures::{Collected, Seen, all_hold_strictly};
use counterfoil_operator::store::Transactions;
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
    /// How rows of several buckets are written: together or by-bucket
    #[arg(long, value_name = "HOW", default_value = "together")]
    transactions: Transactions,
    /// Measure again when the ledger holds so many times the payments
    #[arg(long, value_name = "TIMES", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    grow: u32,
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
    transactions: &'static str,
    payments: u64,
    wallets: u64,
    /// On the clock, from the first statement given in to the last settlement.
    payments_per_s: f64,
    /// What the same signatures allow, each verified once, singly and strictly, on the same cores.
    verify_limit_per_s: f64,
    ratio: f64,
    bytes_per_payment: u64,
    /// Look-ups and writing statements of the store.
    statements_per_payment: f64,
    /// Rows read and written.
    rows_per_payment: f64,
    /// The most that the process held while the clock ran, beyond what it held when it was started; absent where the system does not
    /// count.
    peak_mib: Option<f64>,
    conserved: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    grown: Option<Grown>,
}

/// What the same number of payments takes when the ledger has grown.
#[derive(Debug, Serialize)]
struct Grown {
    /// Payments that were in the ledger when the clock started.
    ledger_payments: u64,
    payments_per_s: f64,
    /// Time for a payment, by what it was at the beginning.
    time_ratio: f64,
    statements_per_payment: f64,
    rows_per_payment: f64,
    peak_mib: Option<f64>,
}

/// One measurement.
struct Measured {
    took: Duration,
    peak_mib: Option<f64>,
    statements_per_payment: f64,
    rows_per_payment: f64,
}

fn measure(
    service: &Service,
    statements: &Statements,
    held: Option<u64>,
    output: &Output,
) -> Result<Measured> {
    let before = service.work();
    memory::start_bytes();
    let took = settle::all(service, statements.read()?, output)?;
    let peak = memory::peak_bytes().zip(held).map(|(peak, held)| peak.saturating_sub(held));
    let work = service.work();
    let each = |count: u64| count as f64 / statements.payments as f64;
    let rows = work.rows_read - before.rows_read + (work.rows_written - before.rows_written);
    Ok(Measured {
        took,
        peak_mib: peak.map(|bytes| bytes as f64 / f64::from(1 << 20)),
        statements_per_payment: each(work.statements - before.statements),
        rows_per_payment: each(rows),
    })
}

pub(crate) fn run(args: &ReconcileArgs, output: &Output) -> Result<u8> {
    let algorithm = args.alg.algorithm();
    let held = memory::start_bytes();
    let dir = tempfile::tempdir().context("cannot make a folder for the operator")?;
    let mut rows = Rows::new(args.store, &dir.path().join("operator"))?;
    rows.place.transactions = Some(args.transactions);
    init(rows.place.clone(), InitOptions::sandbox(START_S))?;
    let open = || Service::open(rows.place.clone(), Arc::new(|| START_S));
    let crowd = |circle: u64, payments: u64| {
        crowd::statements_apart(
            &rows.place,
            dir.path(),
            circle,
            crowd::of_payments(payments),
            args.alg,
            output,
        )
    };
    let statements = crowd(0, args.payments)?;

    let stored_before = rows.bytes()?;
    let service = open()?;
    let first = measure(&service, &statements, held, output)?;
    // Closed, so that the log is in the database.
    drop(service);
    let stored = rows.bytes()?.saturating_sub(stored_before);
    let per_s = |time: Duration| statements.payments as f64 / time.as_secs_f64();

    let grown = if args.grow > 1 {
        let more = crowd(statements.circles(), statements.payments * u64::from(args.grow - 1))?;
        settle::all(&open()?, more.read()?, output)?;
        let last = crowd(statements.circles() + more.circles(), statements.payments)?;
        let measured = measure(&open()?, &last, held, output)?;
        Some(Grown {
            ledger_payments: statements.payments + more.payments,
            payments_per_s: per_s(measured.took),
            time_ratio: measured.took.as_secs_f64() / first.took.as_secs_f64(),
            statements_per_payment: measured.statements_per_payment,
            rows_per_payment: measured.rows_per_payment,
            peak_mib: measured.peak_mib,
        })
    } else {
        None
    };
    let service = open()?;
    let conserved = service.audit()?.sound;
    let verifying = verify(&service, &statements, output)?;

    let figures = Figures {
        alg: algorithm.name(),
        store: rows.name(),
        transactions: args.transactions.name(),
        payments: statements.payments,
        wallets: statements.wallets,
        payments_per_s: per_s(first.took),
        verify_limit_per_s: per_s(verifying),
        ratio: verifying.as_secs_f64() / first.took.as_secs_f64(),
        bytes_per_payment: stored / statements.payments,
        statements_per_payment: first.statements_per_payment,
        rows_per_payment: first.rows_per_payment,
        peak_mib: first.peak_mib,
        conserved,
        grown,
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
        let mut sealed = open::<Statement>(&bytes)?;
        sealed.check_signature_by(&mut relies_on, &anchors.scheme)?;
        let cert = own_cert(anchors, &mut relies_on, &sealed);
        read(anchors, &mut relies_on, &mut sealed, cert, bytes.into())?;
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
    let peak =
        |peak: Option<f64>| peak.map_or_else(|| "not counted here".to_owned(), |mib| format!("{mib:.0} MiB"));
    let touched = |statements: f64, rows: f64| format!("{statements:.1} statements, {rows:.1} rows");
    let mut rows = vec![
        ("payments, both halves", format!("{} of {} wallets", figures.payments, figures.wallets)),
        ("payments a second", format!("{:.0}", figures.payments_per_s)),
        ("signatures alone allow", format!("{:.0}", figures.verify_limit_per_s)),
        ("ratio", format!("{:.2}", figures.ratio)),
        ("bytes stored a payment", figures.bytes_per_payment.to_string()),
        ("asked of the store", touched(figures.statements_per_payment, figures.rows_per_payment)),
        ("memory at the peak", peak(figures.peak_mib)),
    ];
    if let Some(grown) = &figures.grown {
        rows.extend([
            ("then in the ledger", format!("{} payments", grown.ledger_payments)),
            ("payments a second", format!("{:.0}", grown.payments_per_s)),
            ("time for a payment", format!("{:.2} of what it was", grown.time_ratio)),
            ("asked of the store", touched(grown.statements_per_payment, grown.rows_per_payment)),
            ("memory at the peak", peak(grown.peak_mib)),
        ]);
    }
    rows.push(("value conserved", if figures.conserved { "yes" } else { "NO" }.to_owned()));
    for (name, value) in rows {
        println!("{name:24} {value}");
    }
}
