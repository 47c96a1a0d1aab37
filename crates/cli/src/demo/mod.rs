//! `counterfoil demo`: the main job as one story, told by the real thing.
//!
//! The operator is a child process that is reached over HTTP, and "offline" means that it is killed. Wallets have their
//! own sealed homes and device folders. Every message between them is drawn as a QR image and read back from it.

mod auditor;
mod page;
mod story;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result};
use counterfoil_wallet::amounts::format_number;
use counterfoil_wire::{Currency, Digest};
use serde::Serialize;

use crate::output::Output;

use self::auditor::Supply;

/// What to tell, and where to.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Keep everything in this folder, which must not exist yet
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Write the timeline as one self-contained page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Sizes of one payment's messages, without the issuer's certificate.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Bytes {
    request: usize,
    payment: usize,
    receipt: usize,
}

/// One payment and where it came to rest.
#[derive(Debug, Clone, Serialize)]
pub struct PaymentLine {
    from: String,
    to: String,
    amount: u64,
    currency: String,
    alg: &'static str,
    state: String,
    bytes: Bytes,
    /// Identifier, by which the operator knows it.
    #[serde(skip)]
    id: Digest,
    /// What the payer's half says, for the page.
    #[serde(skip)]
    payer_half: String,
    /// What the payee's half says, for the page.
    #[serde(skip)]
    payee_half: String,
}

/// One wallet at the end.
#[derive(Debug, Clone, Serialize)]
pub struct WalletLine {
    name: String,
    grade: &'static str,
    alg: &'static str,
    balance: u64,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
pub struct Report {
    payments: Vec<PaymentLine>,
    wallets: Vec<WalletLine>,
    supply: Supply,
    forks: usize,
    revoked: Vec<String>,
    conserved: bool,
    seconds: f64,
    #[serde(skip)]
    currency: Currency,
    #[serde(skip)]
    issuer_bytes: usize,
}

/// One step of the story as it was told.
#[derive(Debug, Clone)]
pub struct Told {
    online: bool,
    title: String,
    lines: Vec<String>,
}

/// Says what happens, to a person or to nobody, and keeps it for the page.
pub struct Teller {
    output: Output,
    online: bool,
    told: Vec<Told>,
    /// What was promised and did not happen.
    broken: Vec<String>,
}

impl Teller {
    fn new(output: Output) -> Self {
        Self { output, online: true, told: Vec::new(), broken: Vec::new() }
    }

    /// A new step, shown while it is under way.
    fn step(&mut self, title: &str) {
        let mark = if self.online { " " } else { "~" };
        let (number, title_shown) = (self.told.len() + 1, self.output.strong(title));
        self.print(&format!("\n{mark}{number:>2}/{}  {title_shown}", story::STEPS));
        self.told.push(Told { online: self.online, title: title.to_owned(), lines: Vec::new() });
    }

    /// What happened in the step.
    fn say(&mut self, line: impl Into<String>) {
        let line = line.into();
        self.print(&format!("        {line}"));
        if let Some(step) = self.told.last_mut() {
            step.lines.push(line);
        }
    }

    /// A promise, kept or not.
    fn promise(&mut self, kept: bool, what: &str) {
        if !kept {
            self.say(format!("PROMISE BROKEN: {what}"));
            self.broken.push(what.to_owned());
        }
    }

    fn print(&self, line: &str) {
        if !self.output.json {
            // Nobody reading any more is no reason to stop.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }
}

/// Tells the story. Returns the exit code: 1 if anything promised did not happen.
pub fn run(args: &DemoArgs, output: &Output) -> Result<u8> {
    let kept;
    let dir = match &args.dir {
        Some(dir) => {
            anyhow::ensure!(!dir.exists(), "{} exists already; name a new folder", dir.display());
            std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
            dir.clone()
        }
        None => {
            kept = tempfile::tempdir().context("cannot make a folder for the demo")?;
            kept.path().to_owned()
        }
    };
    if let Some(file) = &args.html {
        std::fs::write(file, "").with_context(|| format!("cannot write {}", file.display()))?;
    }
    let started = Instant::now();
    let mut teller = Teller::new(*output);
    teller.print("Counterfoil: payments that go on when the network does not. Sandbox, play money.");
    teller.print("Steps marked ~ happen while the operator's process is dead.");
    let mut report = story::tell(&dir, &mut teller)?;
    report.seconds = (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    if let Some(file) = &args.html {
        let html = page::render(&report, &teller.told, &teller.broken);
        std::fs::write(file, html).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let good = teller.broken.is_empty() && report.conserved;
    if output.json {
        println!("{}", serde_json::to_string(&report)?);
        teller.broken.iter().for_each(|what| eprintln!("promise broken: {what}"));
    } else {
        summary(&teller, &report, args);
    }
    Ok(u8::from(!good))
}

fn summary(teller: &Teller, report: &Report, args: &DemoArgs) {
    let number = |minor: i128| {
        let amount = u64::try_from(minor.unsigned_abs()).ok().and_then(counterfoil_wire::Amount::new);
        let text = amount.map_or_else(|| minor.to_string(), |amount| format_number(amount, report.currency));
        if minor < 0 { format!("-{text}") } else { text }
    };
    let supply = &report.supply;
    teller.print(&format!(
        "\nThe books, summed by an auditor from the wallets' own states and the rail's accounts:\n\
         \x20 funded {} - defunded {} + loss {} = offline {} + in flight {}    {}",
        number(supply.funded.into()),
        number(supply.defunded.into()),
        number(supply.loss.into()),
        number(supply.offline.into()),
        number(supply.in_flight.into()),
        if report.conserved { "balanced" } else { "NOT BALANCED" },
    ));
    let largest = report.payments.iter().map(|line| line.bytes.payment).max().unwrap_or(0);
    teller.print(&format!(
        "Largest payment: {largest} bytes with its certificate, {} with the issuer's too, however many hops before it.\n\
         {:.1} seconds.",
        largest + report.issuer_bytes,
        report.seconds
    ));
    if let Some(dir) = &args.dir {
        teller.print(&format!("Homes, messages and the operator are in {}.", dir.display()));
    }
    for what in &teller.broken {
        teller.print(&format!("PROMISE BROKEN: {what}"));
    }
}
