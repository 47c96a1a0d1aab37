//! One payment, measured.
//!
//! All contestants take turns, payment by payment, so that a machine that changes its speed changes it for all; figures
//! are medians of processor time on this thread. `bare_crypto_cpu_ms` is the same signatures and verifications alone, in
//! the same machine (or natively), in turn with the payments.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;
use counterfoil_ta::api::Command;
use counterfoil_tre::medium::DiskMedium;
use counterfoil_tre::virtual_se::image::SHIPPED_WASM;
use counterfoil_wire::{Algorithm, Wire};
use serde::Serialize;

use crate::output::Output;

use super::bare::{BareInMachine, BareNative};
use super::memory;
use super::meter::Meter;
use super::pair::{Cost, HostKind, Pair, Place, open};

#[derive(Debug, Args)]
pub(crate) struct TapArgs {
    /// Payments of each contestant that count
    #[arg(long, default_value_t = 31, value_parser = clap::value_parser!(u32).range(3..=1000))]
    rounds: u32,
    /// Leave out the long history: 8,000 payments since the last sync, for the bytes that each writes
    #[arg(long)]
    short: bool,
    /// Measure the memory of this host and algorithm, and nothing else
    #[arg(long, num_args = 2, value_names = ["HOST", "ALG"], hide = true)]
    peak_of: Option<Vec<String>>,
}

/// The payments whose bytes are compared.
const HISTORY: [u32; 3] = [1, 100, 8_000];

/// One line of figures. Times are milliseconds of processor time, medians of the rounds.
#[derive(Debug, Serialize)]
struct Row {
    alg: &'static str,
    host: &'static str,
    payer_cpu_ms: f64,
    payee_cpu_ms: f64,
    /// What is neither signatures nor store: in the virtual secure element the interpreter's share.
    vm_cpu_ms: f64,
    crypto_cpu_ms: f64,
    sealing_cpu_ms: f64,
    fsync_cpu_ms: f64,
    /// The payment's signatures and verifications alone, in the same machine.
    bare_crypto_cpu_ms: f64,
    /// Payer and payee together, to those.
    ratio: f64,
    /// From a cold home to the first response, on the clock.
    start_ms: f64,
    /// What one element with its store takes at its peak; absent where the system does not count.
    peak_mib: Option<f64>,
    image_bytes: usize,
    /// Bytes that both sides write for the first, the hundredth and the eight-thousandth payment since the last sync.
    bytes_written: Vec<u64>,
}

/// A pair in its turn.
struct Contestant {
    algorithm: Algorithm,
    host: HostKind,
    pair: Pair,
    bare: Bare,
    payer: Vec<Cost>,
    payee: Vec<Cost>,
    bare_ms: Vec<f64>,
}

enum Bare {
    Machine(Box<BareInMachine>),
    Native(Box<BareNative>),
}

impl Bare {
    fn round_ms(&mut self) -> Result<f64> {
        match self {
            Self::Machine(bare) => bare.round_ms(),
            Self::Native(bare) => bare.round_ms(),
        }
    }
}

pub(crate) fn run(args: &TapArgs, output: &Output) -> Result<u8> {
    if let Some([host, algorithm]) = args.peak_of.as_deref() {
        return tell_peak(host, algorithm);
    }
    let dir = tempfile::tempdir().context("cannot make a folder for the wallets")?;
    let progress = output.progress("payments", u64::from(args.rounds));
    let mut contestants = Vec::new();
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        for host in [HostKind::VirtualSe, HostKind::Native] {
            contestants.push(Contestant::new(dir.path(), host, algorithm)?);
        }
    }
    // One round that does not count: code is translated when it is first used.
    for round in 0..=args.rounds {
        for contestant in &mut contestants {
            contestant.round(round > 0)?;
        }
        progress.set(round.into());
    }
    progress.done();
    let mut rows = Vec::new();
    for contestant in &contestants {
        rows.push(contestant.row(dir.path(), args.short, output)?);
    }
    if output.json {
        println!("{}", serde_json::to_string(&rows)?);
    } else {
        table(&rows);
    }
    Ok(0)
}

impl Contestant {
    fn new(dir: &Path, host: HostKind, algorithm: Algorithm) -> Result<Self> {
        let bare = match host {
            HostKind::VirtualSe => Bare::Machine(Box::new(BareInMachine::new(algorithm)?)),
            HostKind::Native => Bare::Native(Box::new(BareNative::new(algorithm)?)),
        };
        Ok(Self {
            algorithm,
            host,
            pair: Pair::new(&Place::Folder(dir), host, algorithm)?,
            bare,
            payer: Vec::new(),
            payee: Vec::new(),
            bare_ms: Vec::new(),
        })
    }

    fn round(&mut self, counts: bool) -> Result<()> {
        let (payer, payee) = self.pair.pay()?;
        let bare_ms = self.bare.round_ms()?;
        if counts {
            self.payer.push(payer);
            self.payee.push(payee);
            self.bare_ms.push(bare_ms);
        }
        Ok(())
    }

    fn row(&self, dir: &Path, short: bool, output: &Output) -> Result<Row> {
        let both = || self.payer.iter().zip(&self.payee);
        let of = |part: fn(&Cost) -> u64| median(both().map(|(a, b)| ms(part(a) + part(b))).collect());
        let payer_cpu_ms = median(self.payer.iter().map(|cost| ms(cost.all_ns)).collect());
        let payee_cpu_ms = median(self.payee.iter().map(|cost| ms(cost.all_ns)).collect());
        let bare_crypto_cpu_ms = median(self.bare_ms.clone());
        let ratios = both().zip(&self.bare_ms).map(|((a, b), bare)| ms(a.all_ns + b.all_ns) / bare);
        let (store, fsync) = (of(|cost| cost.store_ns), of(|cost| cost.sync_ns));
        let all = of(|cost| cost.all_ns);
        let bytes_written = if short { Vec::new() } else { history(self.algorithm, self.host, output)? };
        Ok(Row {
            alg: self.algorithm.name(),
            host: self.host.name(),
            payer_cpu_ms,
            payee_cpu_ms,
            vm_cpu_ms: round((all - store - bare_crypto_cpu_ms).max(0.0)),
            crypto_cpu_ms: bare_crypto_cpu_ms,
            sealing_cpu_ms: round((store - fsync).max(0.0)),
            fsync_cpu_ms: fsync,
            bare_crypto_cpu_ms,
            ratio: median(ratios.collect()),
            start_ms: start_ms(dir, self.host)?,
            peak_mib: peak_mib(self.host, self.algorithm)?,
            image_bytes: if self.host == HostKind::VirtualSe { SHIPPED_WASM.len() } else { 0 },
            bytes_written,
        })
    }
}

/// From a folder in which nothing is open to the first response, in milliseconds on the clock.
fn start_ms(dir: &Path, host: HostKind) -> Result<f64> {
    let mut times = Vec::new();
    for round in 0..11 {
        let home = dir.join(format!("start-{}-{round}", host.name()));
        let start = Instant::now();
        let medium = DiskMedium::open(&home, Duration::ZERO)?;
        let mut element = open(medium, "start", host, &Arc::new(Meter::default()))?;
        std::hint::black_box(element.process(&Command::Show {}.to_bytes()));
        times.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(median(times))
}

/// What one element with its store takes at the peak of enrolment and payments, in MiB: measured in a process of its own,
/// in which nothing was used and freed before. Half of what a pair takes.
fn peak_mib(host: HostKind, algorithm: Algorithm) -> Result<Option<f64>> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut command = std::process::Command::new(program);
    command.args(["bench", "tap", "--peak-of", host.name(), algorithm.name()]);
    let output = command.stdin(std::process::Stdio::null()).output().context("cannot measure memory")?;
    anyhow::ensure!(output.status.success(), "the process that measures memory failed");
    let bytes = String::from_utf8(output.stdout)?.trim().parse::<u64>().ok();
    Ok(bytes.map(|bytes| round(bytes as f64 / f64::from(1 << 20))))
}

/// The other end of [`peak_mib`].
fn tell_peak(host: &str, algorithm: &str) -> Result<u8> {
    let host = if host == HostKind::VirtualSe.name() { HostKind::VirtualSe } else { HostKind::Native };
    let es256 = algorithm == Algorithm::Es256.name();
    let algorithm = if es256 { Algorithm::Es256 } else { Algorithm::EdDsa };
    let dir = tempfile::tempdir().context("cannot make a folder for the wallets")?;
    let before = memory::start_bytes();
    let mut pair = Pair::new(&Place::Folder(dir.path()), host, algorithm)?;
    for _ in 0..3 {
        pair.pay()?;
    }
    let taken = before.zip(memory::peak_bytes()).map(|(before, peak)| peak.saturating_sub(before) / 2);
    println!("{}", taken.map_or_else(String::new, |bytes| bytes.to_string()));
    Ok(0)
}

/// Bytes that the payments of [`HISTORY`] write.
fn history(algorithm: Algorithm, host: HostKind, output: &Output) -> Result<Vec<u64>> {
    let mut pair = Pair::new(&Place::Memory, host, algorithm)?;
    let last = HISTORY.iter().copied().max().unwrap_or(0);
    let progress = output.progress(&format!("history, {} {}", algorithm.name(), host.name()), last.into());
    let mut bytes = Vec::new();
    for number in 1..=last {
        let (payer, payee) = pair.pay()?;
        if HISTORY.contains(&number) {
            bytes.push(payer.bytes + payee.bytes);
        }
        progress.set(number.into());
    }
    progress.done();
    Ok(bytes)
}

fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

/// To the microsecond, which is finer than anything here can be told apart.
fn round(ms: f64) -> f64 {
    (ms * 1000.0).round() / 1000.0
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    round(values.get(values.len() / 2).copied().unwrap_or(0.0))
}

fn table(rows: &[Row]) {
    println!(
        "{:6} {:10} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>6} {:>8} {:>8} {:>9}  bytes written, payment 1 / 100 / 8,000",
        "alg",
        "host",
        "payer",
        "payee",
        "vm",
        "crypto",
        "sealing",
        "fsync",
        "ratio",
        "start",
        "peak",
        "image"
    );
    for row in rows {
        let peak = row.peak_mib.map_or_else(|| "?".to_owned(), |mib| format!("{mib:.1} MiB"));
        let bytes: Vec<String> = row.bytes_written.iter().map(u64::to_string).collect();
        println!(
            "{:6} {:10} {:>8.3} {:>8.3} {:>8.3} {:>8.3} {:>8.3} {:>8.3} {:>6.2} {:>8.1} {:>8} {:>9}  {}",
            row.alg,
            row.host,
            row.payer_cpu_ms,
            row.payee_cpu_ms,
            row.vm_cpu_ms,
            row.crypto_cpu_ms,
            row.sealing_cpu_ms,
            row.fsync_cpu_ms,
            row.ratio,
            row.start_ms,
            peak,
            row.image_bytes,
            bytes.join(" / ")
        );
    }
    println!(
        "\nMilliseconds of processor time for one payment from request to receipt, medians. Ratio: both sides together to the\n\
         same signatures and verifications alone, in the same machine and the same run. Start: cold home to first response."
    );
}
