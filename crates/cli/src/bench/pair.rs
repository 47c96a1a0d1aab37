//! A payer and a payee, enrolled and funded, and one payment between them.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use counterfoil_ta::TrustedApp;
use counterfoil_ta::api::{Command, Reply, Response};
use counterfoil_tre::element::{Element, NativeElement};
use counterfoil_tre::medium::DiskMedium;
use counterfoil_tre::store::SealedStore;
use counterfoil_tre::testing::{FaultyMedium, FixedVault};
use counterfoil_tre::virtual_se::VirtualSe;
use counterfoil_tre::virtual_se::image::Image;
use counterfoil_tre::virtual_se::vm::Limits as MachineLimits;
use counterfoil_tre::{CounterKind, KeyVault, Medium, NativeHost, NoCounter};
use counterfoil_vectors::fixed::authority::Keys;
use counterfoil_vectors::fixed::{self, Operator};
use counterfoil_wire::cert::{Grade, Name};
use counterfoil_wire::rules::{Preset, Rules};
use counterfoil_wire::{Algorithm, Amount, Bytes, Digest, Reference, Wire};
use cpu_time::ThreadTime;

use super::meter::{Meter, MeteredHost, MeteredMedium, Reading};

/// Where the trusted application runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostKind {
    VirtualSe,
    Native,
}

impl HostKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::VirtualSe => "virtual-se",
            Self::Native => "native",
        }
    }
}

/// One wallet, and what it has cost.
struct Side {
    element: Box<dyn Element>,
    meter: Arc<Meter>,
    references: u64,
}

/// What one payment cost one side: processor time, nanoseconds.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) all_ns: u64,
    pub(crate) store_ns: u64,
    pub(crate) sync_ns: u64,
    pub(crate) bytes: u64,
}

impl Cost {
    fn add(&mut self, all_ns: u64, before: Reading, after: Reading) {
        self.all_ns += all_ns;
        self.store_ns += after.store_ns - before.store_ns;
        self.sync_ns += after.sync_ns - before.sync_ns;
        self.bytes += after.bytes - before.bytes;
    }
}

impl Side {
    fn run(&mut self, command: &Command, cost: &mut Cost) -> Result<Reply> {
        let bytes = command.to_bytes();
        let before = self.meter.read();
        let start = ThreadTime::now();
        let answer = self.element.process(&bytes);
        let all_ns = u64::try_from(start.elapsed().as_nanos())?;
        cost.add(all_ns, before, self.meter.read());
        Ok(Response::from_bytes(&answer)?.0?)
    }

    fn message(&mut self, command: &Command, cost: &mut Cost) -> Result<Bytes> {
        match self.run(command, cost)? {
            Reply::Message { message, .. } => Ok(message),
            other => bail!("no message but {other:?}"),
        }
    }

    fn reference(&mut self) -> Reference {
        self.references += 1;
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.references.to_be_bytes());
        Reference(bytes)
    }
}

/// Opens an element over a store in `medium`.
pub(crate) fn open<M: Medium + 'static>(
    medium: M,
    label: &str,
    host: HostKind,
    meter: &Arc<Meter>,
) -> Result<Box<dyn Element>> {
    let medium = MeteredMedium { inner: medium, meter: meter.clone() };
    let key = FixedVault([3; 32]).sealing_key(label)?;
    let store = SealedStore::open(medium, Box::new(NoCounter), key, label)?;
    let inner = NativeHost::new(store).with_clock(|| fixed::START_S);
    let host_env = MeteredHost { inner, meter: meter.clone() };
    Ok(match host {
        HostKind::VirtualSe => {
            let image = Image::shipped()?;
            Box::new(VirtualSe::<counterfoil_tre::virtual_se::interpreter::Interpreter>::start(
                &image,
                host_env,
                CounterKind::None,
                MachineLimits::DEFAULT,
            )?)
        }
        HostKind::Native => {
            let mut app = TrustedApp::open(host_env);
            let door = move |command: &[u8]| app.process(command);
            Box::new(NativeElement::new(door, CounterKind::None, counterfoil_ta::env::Freshness::Unprovable))
        }
    })
}

/// Where a pair keeps its wallets.
pub(crate) enum Place<'a> {
    /// In folders: what a wallet does.
    Folder(&'a Path),
    /// In memory, for counting bytes over a long history.
    Memory,
}

/// A payer and a payee.
pub(crate) struct Pair {
    payer: Side,
    payee: Side,
}

impl Pair {
    pub(crate) fn new(place: &Place, host: HostKind, algorithm: Algorithm) -> Result<Self> {
        let mut operator = Operator::new("bench", Keys { root: algorithm, signer: algorithm })?;
        operator.rules = roomy();
        let mut side = |name: &str| -> Result<Side> {
            let meter = Arc::new(Meter::default());
            let element = match place {
                Place::Folder(dir) => {
                    let home = dir.join(format!("{}-{}-{name}", host.name(), algorithm.name()));
                    let medium = DiskMedium::open(&home, std::time::Duration::ZERO)?;
                    open(medium, name, host, &meter)?
                }
                Place::Memory => open(FaultyMedium::new(), name, host, &meter)?,
            };
            let mut side = Side { element, meter, references: 0 };
            side.enrol(&mut operator, algorithm)?;
            Ok(side)
        };
        Ok(Self { payer: side("payer")?, payee: side("payee")? })
    }

    /// One payment, from request to receipt: what it cost the payer and the payee.
    pub(crate) fn pay(&mut self) -> Result<(Cost, Cost)> {
        let (mut payer, mut payee) = (Cost::default(), Cost::default());
        let reference = self.payee.reference();
        let amount = Some(fixed::amount(100));
        let request =
            self.payee.message(&Command::Request { amount, standing: false, reference }, &mut payee)?;
        let reference = self.payer.reference();
        let pay = Command::Pay { request, amount: None, pin: None, reference, approval: None };
        let payment = self.payer.message(&pay, &mut payer)?;
        let receipt = match self.payee.run(&Command::Accept { payment }, &mut payee)? {
            Reply::Accepted { receipt, .. } => receipt,
            other => bail!("not accepted but {other:?}"),
        };
        self.payer.run(&Command::Confirm { receipt }, &mut payer)?;
        Ok((payer, payee))
    }
}

impl Side {
    fn enrol(&mut self, operator: &mut Operator, algorithm: Algorithm) -> Result<()> {
        let mut cost = Cost::default();
        let enrolment = self.message(
            &Command::Enrol {
                es256: algorithm == Algorithm::Es256,
                grade: Grade::VirtualSe,
                name: Name::default(),
                pin: None,
                root: operator.scheme.root.clone(),
                binding: Digest::NONE,
                element: fixed::element(None),
            },
            &mut cost,
        )?;
        let settlement = operator.enrol(&enrolment)?;
        self.run(&Command::Settle { settlement }, &mut cost)?;
        let amount = Amount::new(10_000_000).context("an amount")?;
        let reference = self.reference();
        let order = self.message(&Command::FundOrder { amount, reference }, &mut cost)?;
        operator.take_order(&order)?;
        let statement = self.message(&Command::Statement {}, &mut cost)?;
        let settlement = operator.settle(&statement)?;
        self.run(&Command::Settle { settlement }, &mut cost)?;
        Ok(())
    }
}

/// Rules that stop nobody from paying ten thousand times.
fn roomy() -> Rules {
    let mut rules = Preset::Permissive.rules();
    let much = fixed::amount(1 << 40);
    for limits in &mut rules.limits {
        limits.balance_max = much;
        limits.no_pin_max = much;
        limits.no_pin_total_max = much;
        limits.sync_total_max = much;
        limits.window_total_max = much;
        limits.sync_count_max = u32::MAX;
        limits.window_count_max = u32::MAX;
        limits.receipts_max = u32::MAX;
    }
    rules
}
