//! What a wallet waits for its settlement while a crowd syncs over HTTP: first as many as the operator can take, for its peak, and then
//! half of that rate.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use counterfoil_operator::{InitOptions, Service, init, serve};
use counterfoil_vectors::fixed::START_S;
use counterfoil_wallet::{HttpOperator, Operator as _};
use serde::Serialize;

use super::reconcile::Alg;
use super::rows::{Rows, StoreKind};
use super::{crowd, settle};
use crate::output::Output;

/// Stack of a client's thread, bytes.
const STACK: usize = 512 << 10;

#[derive(Debug, Args)]
pub(crate) struct SyncArgs {
    /// Wallets that sync over HTTP, each with a connection of its own; as many more sync before them, for the peak
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=20_000))]
    wallets: u64,
    /// Payments that each wallet made before it syncs; it was paid as often
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=100))]
    payments_each: u64,
    /// Signature algorithm of the wallets
    #[arg(long, value_enum, default_value_t = Alg::Eddsa)]
    alg: Alg,
    /// Where the operator keeps its rows
    #[arg(long, value_enum, default_value_t = StoreKind::Sqlite)]
    store: StoreKind,
}

#[derive(Debug, Serialize)]
struct Figures {
    alg: &'static str,
    store: &'static str,
    wallets: u64,
    payments_each: u64,
    /// Without HTTP, all statements there at once.
    peak_statements_per_s: f64,
    /// Over HTTP: half of the peak.
    offered_statements_per_s: f64,
    /// From the moment when a wallet meant to sync to its settlement.
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    errors: u64,
    conserved: bool,
}

pub(crate) fn run(args: &SyncArgs, output: &Output) -> Result<u8> {
    let algorithm = args.alg.algorithm();
    let dir = tempfile::tempdir().context("cannot make a folder for the operator")?;
    let rows = Rows::new(args.store, &dir.path().join("operator"))?;
    init(rows.place.clone(), InitOptions::sandbox(START_S))?;
    let service = Service::open(rows.place.clone(), Arc::new(|| START_S))?;
    let wallets = args.wallets * 2;
    let progress = output.progress("payments made", wallets * args.payments_each);
    let crowd =
        crowd::statements(&service, dir.path(), 0, (wallets, args.payments_each), algorithm, &progress)?;
    progress.done();
    let mut statements = crowd.read()?;
    let first: Vec<Vec<u8>> = statements.by_ref().take(usize::try_from(args.wallets)?).collect();
    let peak = first.len() as f64 / settle::all(&service, first.into_iter(), output)?.as_secs_f64();
    let offered = peak / 2.0;
    let waited = over_http(&service, statements.collect(), offered)?;
    let errors = waited.iter().filter(|waited| waited.is_none()).count() as u64;
    let mut waited: Vec<Duration> = waited.into_iter().flatten().collect();
    waited.sort_unstable();
    let at = |share: f64| {
        let place = ((waited.len() as f64 * share).ceil() as usize).clamp(1, waited.len().max(1)) - 1;
        waited.get(place).map_or(f64::NAN, |waited| waited.as_secs_f64() * 1_000.0)
    };
    let figures = Figures {
        alg: algorithm.name(),
        store: rows.name(),
        wallets: args.wallets,
        payments_each: args.payments_each,
        peak_statements_per_s: peak,
        offered_statements_per_s: offered,
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        max_ms: at(1.0),
        errors,
        conserved: service.audit()?.sound,
    };
    if output.json {
        println!("{}", serde_json::to_string(&figures)?);
    } else {
        tell(&figures);
    }
    Ok(u8::from(!figures.conserved || errors > 0))
}

/// Gives the statements in over HTTP, so many a second, each from a client of its own that waits for nobody else. How long each
/// waited, none for one that was refused.
fn over_http(service: &Service, statements: Vec<Vec<u8>>, per_s: f64) -> Result<Vec<Option<Duration>>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    let url = format!("http://{}", listener.local_addr()?);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let served = runtime.spawn(serve::answer(service.clone(), listener, async move {
        let _ = stopped.await;
    }));
    let waited = Mutex::new(Vec::with_capacity(statements.len()));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for (at, statement) in statements.into_iter().enumerate() {
            let due = begun + Duration::from_secs_f64(at as f64 / per_s);
            let (url, waited) = (&url, &waited);
            let client = move || {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let settled = HttpOperator::new(url).settle(&statement);
                let took = settled.is_ok().then(|| due.elapsed());
                waited.lock().unwrap_or_else(PoisonError::into_inner).push(took);
            };
            std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, client)?;
        }
        Ok::<_, anyhow::Error>(())
    })?;
    drop(stop);
    runtime.block_on(served)??;
    waited.into_inner().map_err(|_| anyhow!("a client broke off"))
}

fn tell(figures: &Figures) {
    for (name, value) in [
        ("wallets over HTTP", format!("{}, {} payments each way", figures.wallets, figures.payments_each)),
        (
            "statements a second",
            format!("{:.0}, half of {:.0}", figures.offered_statements_per_s, figures.peak_statements_per_s),
        ),
        ("half of them waited", format!("{:.0} ms", figures.p50_ms)),
        ("99 of 100 waited", format!("{:.0} ms", figures.p99_ms)),
        ("nobody longer than", format!("{:.0} ms", figures.max_ms)),
        ("errors", figures.errors.to_string()),
        ("value conserved", if figures.conserved { "yes" } else { "NO" }.to_owned()),
    ] {
        println!("{name:24} {value}");
    }
}
