//! A crowd that paid each other while there was no network, and comes back with its statements: real trusted applications, and
//! both halves of every payment.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use counterfoil_operator::{NewKey, Place, Service};
use counterfoil_ta::api::{Command, Reply, Response};
use counterfoil_trust::sha256;
use counterfoil_vectors::fixed::START_S;
use counterfoil_vectors::fixed::wallet::Wallet;
use counterfoil_wire::cert::{Grade, Name};
use counterfoil_wire::element::{CounterKind, ElementStatement};
use counterfoil_wire::{Algorithm, Amount, Bytes, Digest, Reference, Wire};
use serde::{Deserialize, Serialize};

use super::reconcile::Alg;
use crate::output::{Output, Progress};
use crate::place::PlaceArgs;

/// Wallets that pay each other.
const CIRCLE: usize = 20;
/// The most that each of them pays before it comes back.
const PAYMENTS_EACH_MAX: usize = 100;
const AMOUNT_MINOR: u64 = 100;

/// Makes a crowd's statements, for a benchmark in another process.
#[derive(Debug, Args)]
pub(crate) struct CrowdArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[arg(long)]
    out: PathBuf,
    #[arg(long)]
    first_circle: u64,
    #[arg(long)]
    wallets: u64,
    #[arg(long)]
    each: u64,
    #[arg(long, value_enum)]
    alg: Alg,
}

/// Statements in a file, in an order in which the halves of a payment rarely stand together.
#[derive(Serialize, Deserialize)]
pub(crate) struct Statements {
    path: PathBuf,
    /// Where each begins, and how long it is.
    places: Vec<(u64, usize)>,
    pub(crate) payments: u64,
    pub(crate) wallets: u64,
}

/// Wallets, and payments of each, that come to `payments` or as many more as fill the last circle.
pub(crate) fn of_payments(payments: u64) -> (u64, u64) {
    let each = payments.div_ceil(CIRCLE as u64).clamp(1, PAYMENTS_EACH_MAX as u64);
    (payments.div_ceil(each), each)
}

/// Makes statements as [`statements`] does, in a process of its own: what its wallets took of memory is not counted as the
/// operator's. No operator needs to be open here.
pub(crate) fn statements_apart(
    place: &Place,
    dir: &Path,
    first_circle: u64,
    (wallets, each): (u64, u64),
    alg: Alg,
    output: &Output,
) -> Result<Statements> {
    let out = dir.join(format!("made-{first_circle}"));
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.args(output.json.then_some("--json")).args(["bench", "crowd", "--alg", alg.algorithm().name()]);
    // Where the rows are, the operator's folder says.
    command.env_remove("COUNTERFOIL_DATABASE").env_remove("COUNTERFOIL_TRANSACTIONS");
    command.arg("--dir").arg(&place.dir).arg("--out").arg(&out);
    for (name, number) in [("--first-circle", first_circle), ("--wallets", wallets), ("--each", each)] {
        command.arg(name).arg(number.to_string());
    }
    if !command.status().context("cannot start the crowd")?.success() {
        bail!("the crowd broke off");
    }
    let made = std::fs::read(&out).context("cannot read what the crowd made")?;
    Ok(serde_json::from_slice(&made)?)
}

pub(crate) fn run(args: &CrowdArgs, output: &Output) -> Result<u8> {
    let service = Service::open(&args.place, Arc::new(|| START_S))?;
    let dir = args.out.parent().unwrap_or(Path::new("."));
    let progress = output.progress("payments made", args.wallets * args.each);
    let crowd = (args.wallets, args.each);
    let made = statements(&service, dir, args.first_circle, crowd, args.alg.algorithm(), &progress)?;
    progress.done();
    std::fs::write(&args.out, serde_json::to_vec(&made)?).context("cannot write what the crowd made")?;
    // Whoever asked for them reads them after this process has ended.
    std::mem::forget(made);
    Ok(0)
}

/// Has `wallets` of `service`, or as many more as fill the last circle, make some payments each, and the statements that tell them. No
/// circle of a number is twice in one operator.
pub(crate) fn statements(
    service: &Service,
    dir: &Path,
    first_circle: u64,
    (wallets, each): (u64, u64),
    algorithm: Algorithm,
    progress: &Progress,
) -> Result<Statements> {
    let first_circle = usize::try_from(first_circle)?;
    let (circles, each) = (usize::try_from(wallets)?.div_ceil(CIRCLE), usize::try_from(each)?);
    let (next, done) = (AtomicUsize::new(0), AtomicU64::new(0));
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(circles);
    let path = dir.join(format!("statements-{first_circle}"));
    // Written as they are made: what a benchmark holds in memory is not what it measures.
    let file = Mutex::new((File::create(&path).context("cannot write the statements")?, 0u64));
    let mut made: Vec<(Digest, u64, usize)> = Vec::new();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut made = Vec::new();
                    loop {
                        let circle = next.fetch_add(1, Ordering::Relaxed);
                        if circle >= circles {
                            return Ok::<_, anyhow::Error>(made);
                        }
                        let statements = live(service, first_circle + circle, each, algorithm)?;
                        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                        for statement in statements {
                            file.0.write_all(&statement)?;
                            made.push((sha256(&statement), file.1, statement.len()));
                            file.1 += statement.len() as u64;
                        }
                        drop(file);
                        let paid = (CIRCLE * each) as u64;
                        progress.set(done.fetch_add(paid, Ordering::Relaxed) + paid);
                    }
                })
            })
            .collect();
        for worker in workers {
            made.extend(worker.join().map_err(|_| anyhow!("a wallet broke off"))??);
        }
        Ok::<_, anyhow::Error>(())
    })?;
    // By their own hash: as good as shuffled, and the same each time.
    made.sort_unstable_by_key(|(hash, ..)| hash.0);
    let places = made.into_iter().map(|(_, begin, len)| (begin, len)).collect();
    Ok(Statements {
        path,
        places,
        payments: (circles * CIRCLE * each) as u64,
        wallets: (circles * CIRCLE) as u64,
    })
}

impl Drop for Statements {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Statements {
    /// Circles of wallets in it.
    pub(crate) fn circles(&self) -> u64 {
        self.wallets / CIRCLE as u64
    }

    /// Reads them, one after the other.
    pub(crate) fn read(&self) -> Result<impl ExactSizeIterator<Item = Vec<u8>> + use<>> {
        let mut file = File::open(&self.path).context("cannot read the statements")?;
        Ok(self.places.clone().into_iter().map(move |(begin, len)| {
            let mut statement = vec![0; len];
            let read = file.seek(SeekFrom::Start(begin)).and_then(|_| file.read_exact(&mut statement));
            // One that cannot be read is refused, and ends the run.
            read.map(|()| statement).unwrap_or_default()
        }))
    }
}

/// A person of the crowd.
struct Person {
    wallet: Wallet,
    references: u64,
}

impl Person {
    fn enrol(service: &Service, seed: u64, algorithm: Algorithm) -> Result<Self> {
        let mut person = Self { wallet: Wallet::seeded(seed), references: 0 };
        let (psp, account) = ("alpha", format!("person-{seed}"));
        let challenge = service.challenge()?.0;
        let enrolment = person.message(&Command::Enrol {
            es256: algorithm == Algorithm::Es256,
            grade: Grade::VirtualSe,
            name: Name::default(),
            pin: None,
            root: service.scheme().anchors.root.clone(),
            binding: counterfoil_trust::enrolment_binding(psp, &account, None),
            element: ElementStatement::native(CounterKind::None, challenge),
        })?;
        let new =
            NewKey { psp, account: &account, activation: None, enrolment: &enrolment.0, attestation: None };
        let settlement = Bytes(service.enrol(&new)?);
        person.run(&Command::Settle { settlement })?;
        let amount = Amount::new(AMOUNT_MINOR * PAYMENTS_EACH_MAX as u64).context("too much")?;
        let reference = person.reference();
        let order = person.message(&Command::FundOrder { amount, reference })?;
        service.fund(&order.0)?;
        let statement = person.statement()?;
        let settlement = Bytes(service.settle(&statement)?);
        person.run(&Command::Settle { settlement })?;
        Ok(person)
    }

    fn run(&mut self, command: &Command) -> Result<Reply> {
        let answer = self.wallet.process(&command.to_bytes());
        self.wallet.device.take_drawn();
        Ok(Response::from_bytes(&answer)?.0?)
    }

    fn message(&mut self, command: &Command) -> Result<Bytes> {
        match self.run(command)? {
            Reply::Message { message, .. } => Ok(message),
            other => bail!("no message but {other:?}"),
        }
    }

    fn statement(&mut self) -> Result<Vec<u8>> {
        Ok(self.message(&Command::Statement {})?.0)
    }

    fn reference(&mut self) -> Reference {
        self.references += 1;
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.references.to_be_bytes());
        Reference(bytes)
    }

    fn pay(&mut self, payee: &mut Self) -> Result<()> {
        let amount = Amount::new(AMOUNT_MINOR);
        let reference = payee.reference();
        let request = payee.message(&Command::Request { amount, standing: false, reference })?;
        let reference = self.reference();
        let payment =
            self.message(&Command::Pay { request, amount: None, pin: None, reference, approval: None })?;
        match payee.run(&Command::Accept { payment })? {
            Reply::Accepted { receipt, .. } => self.run(&Command::Confirm { receipt }).map(drop),
            other => bail!("not accepted but {other:?}"),
        }
    }
}

/// One circle's life without a network.
fn live(service: &Service, circle: usize, each: usize, algorithm: Algorithm) -> Result<Vec<Vec<u8>>> {
    let first = (circle * CIRCLE) as u64;
    let mut people: Vec<Person> = (first..first + CIRCLE as u64)
        .map(|seed| Person::enrol(service, seed, algorithm))
        .collect::<Result<_>>()?;
    for round in 0..each {
        for payer in 0..CIRCLE {
            let payee = (payer + 1 + round % (CIRCLE - 1)) % CIRCLE;
            let [payer, payee] = people.get_disjoint_mut([payer, payee])?;
            payer.pay(payee)?;
        }
    }
    people.iter_mut().map(Person::statement).collect()
}
