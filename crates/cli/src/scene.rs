//! The stage: an operator that can be killed, wallets with homes of their own, messages as QR images.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use counterfoil_wallet::channel::file;
use counterfoil_wallet::operation::{Accepted, Learnt, Paid};
use counterfoil_wallet::{
    Counter, Device, Done, Freshness, Home, Host, HttpOperator, Kind, NewHome, Operation, Operator, Order,
    Outcome, Overview, Pin, SyncReport, Terminal, Wallet,
};
use counterfoil_wire::cert::Name;
use counterfoil_wire::{Algorithm, Amount, Code, Digest};

/// The PIN of every wallet in the story. A demo has no secrets.
const PIN: &str = "2468";

/// The operator's process, and the folder that outlives it.
pub struct OperatorProcess {
    dir: PathBuf,
    child: Option<Child>,
    url: String,
}

impl OperatorProcess {
    pub fn init(dir: &Path, now_s: u32) -> Result<Self> {
        let dir = dir.join("operator");
        let mut options = counterfoil_operator::InitOptions::sandbox(now_s);
        options.images = crate::admission::shipped()?;
        counterfoil_operator::init(&dir, options)?;
        Ok(Self { dir, child: None, url: String::new() })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Starts `counterfoil operator serve` and waits until it answers.
    pub fn start(&mut self) -> Result<()> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let log = std::fs::File::create(self.dir.with_extension("log"))?;
        let mut child = Command::new(program)
            .args(["operator", "serve", "--listen", "127.0.0.1:0", "--dir"])
            .arg(&self.dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("cannot start the operator")?;
        let stdout = child.stdout.take().context("the operator has no output")?;
        self.child = Some(child);
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            if let Some(at) = line.find("http://") {
                let url: String = line.chars().skip(at).take_while(|c| !c.is_whitespace()).collect();
                self.url = url;
                return Ok(());
            }
        }
        bail!("the operator ended before it listened; see {}", self.dir.with_extension("log").display())
    }

    /// Kills the process as a power failure would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub fn client(&self) -> HttpOperator {
        HttpOperator::new(&self.url)
    }

    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for OperatorProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Who somebody is, before he has a wallet.
pub struct Part {
    pub name: &'static str,
    pub psp: &'static str,
    pub kind: Kind,
    pub algorithm: Algorithm,
    pub counter: Counter,
}

/// Somebody with a device.
pub struct Actor {
    pub name: &'static str,
    pub algorithm: Algorithm,
    dir: PathBuf,
    device: Device,
    messages: PathBuf,
    kind: Kind,
}

impl Actor {
    pub fn enrol(dir: &Path, operator: &OperatorProcess, part: &Part) -> Result<Self> {
        let device = Device::new(dir.join(part.name).join("device"));
        Self::enrol_on(device, dir, &operator.client(), operator.url(), part)
    }

    pub fn enrol_on(
        device: Device,
        dir: &Path,
        operator: &dyn Operator,
        url: &str,
        part: &Part,
    ) -> Result<Self> {
        let Part { name, psp, kind, algorithm, counter } = *part;
        let actor =
            Self { name, algorithm, dir: dir.join(name), device, messages: dir.join("messages"), kind };
        let shown = if kind == Kind::Terminal { name } else { "" };
        let new = NewHome {
            kind,
            operator_url: url.to_owned(),
            psp: psp.to_owned(),
            account: format!("{name}'s account"),
            activation_code: None,
            algorithm,
            name: Name::new(shown).context("a display name")?,
            counter,
            host: Host::VirtualSe,
            pin: (kind == Kind::Wallet).then(pin),
            root: None,
        };
        std::fs::create_dir_all(&actor.messages)?;
        match kind {
            Kind::Wallet => drop(Wallet::enrol(&actor.home(), &actor.device, &new, operator)?),
            Kind::Terminal => drop(Terminal::enrol(&actor.home(), &actor.device, &new, operator)?),
        }
        Ok(actor)
    }

    pub fn home(&self) -> Home {
        Home::new(self.dir.join("home"))
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Opens the sealed home, does one thing, and closes it, as one command of a person would.
    pub fn with<T>(
        &self,
        act: impl FnOnce(&mut Wallet) -> Result<T, counterfoil_wallet::WalletError>,
    ) -> Result<T> {
        let home = self.home();
        let done = match self.kind {
            Kind::Wallet => Wallet::open(&home, &self.device).and_then(|mut wallet| {
                let done = act(&mut wallet)?;
                wallet.acknowledge();
                Ok(done)
            }),
            Kind::Terminal => Terminal::open(&home, &self.device).and_then(|mut terminal| {
                let done = act(terminal.as_wallet())?;
                terminal.acknowledge();
                Ok(done)
            }),
        };
        done.map_err(anyhow::Error::from)
    }

    pub fn overview(&self) -> Result<Overview> {
        self.with(Wallet::overview)
    }

    pub fn freshness(&self) -> Result<Freshness> {
        self.with(|wallet| Ok(wallet.freshness()))
    }

    fn perform(&self, operation: Operation, message: Option<&str>) -> Result<Done> {
        let out = message.map(|name| self.messages.join(name));
        self.with(|wallet| wallet.perform(Order { out, pin: None, ..Order::new(operation) }))
    }

    /// A request, as the image that the payee shows.
    pub fn request(&self, amount: Option<Amount>, file_name: &str) -> Result<PathBuf> {
        let standing = amount.is_none();
        self.perform(Operation::Request { amount, standing }, Some(file_name))?;
        Ok(self.messages.join(file_name))
    }

    pub fn pay(&self, request: &Path, amount: Option<Amount>, file_name: &str) -> Result<(Paid, PathBuf)> {
        let request = file::read_message(request)?;
        match self.perform(Operation::Pay { request, amount }, Some(file_name))?.outcome {
            Outcome::Paid(paid) => Ok((paid, self.messages.join(file_name))),
            other => bail!("paying gave {other:?}"),
        }
    }

    pub fn accept(&self, payment: &Path, file_name: &str) -> Result<(Accepted, PathBuf)> {
        let payment = file::read_message(payment)?;
        match self.perform(Operation::Accept { payment }, Some(file_name))?.outcome {
            Outcome::Accepted(accepted) => Ok((accepted, self.messages.join(file_name))),
            other => bail!("accepting gave {other:?}"),
        }
    }

    pub fn decline(&self, payment: &Path, file_name: &str) -> Result<PathBuf> {
        let payment = file::read_message(payment)?;
        match self.perform(Operation::Decline { payment }, Some(file_name))?.outcome {
            Outcome::Declined(_) => Ok(self.messages.join(file_name)),
            other => bail!("declining gave {other:?}"),
        }
    }

    pub fn confirm(&self, receipt: &Path) -> Result<()> {
        let receipt = file::read_message(receipt)?;
        self.perform(Operation::Confirm { receipt }, None).map(|_| ())
    }

    pub fn reclaim(&self, decline: &Path) -> Result<()> {
        let decline = file::read_message(decline)?;
        self.perform(Operation::Reclaim { decline }, None).map(|_| ())
    }

    /// Hands on what this device knows to another.
    pub fn gossip_to(&self, other: &Self, file_name: &str) -> Result<Learnt> {
        let gossip = self.gossip(file_name)?;
        match other.perform(Operation::GossipIn { gossip }, None)?.outcome {
            Outcome::Learnt(learnt) => Ok(learnt),
            other => bail!("gossip gave {other:?}"),
        }
    }

    /// What this device knows, as an image and read back from it.
    pub fn gossip(&self, file_name: &str) -> Result<Vec<u8>> {
        let room = Wallet::gossip_room(Path::new(file_name));
        self.perform(Operation::GossipOut { room }, Some(file_name))?;
        self.message(file_name)
    }

    /// A message of the story, read back from its image.
    pub fn message(&self, file_name: &str) -> Result<Vec<u8>> {
        Ok(file::read_message(self.messages.join(file_name))?)
    }

    pub fn fund(&self, amount: Amount, operator: &OperatorProcess) -> Result<()> {
        let done = self.with(|wallet| wallet.fund(amount, None, &operator.client()))?;
        match done.outcome {
            Outcome::Funded(funded) if funded.refusal.is_none() => Ok(()),
            other => bail!("funding gave {other:?}"),
        }
    }

    pub fn defund(&self, amount: Amount, operator: &OperatorProcess) -> Result<()> {
        let done = self.with(|wallet| wallet.defund(amount, None, Some(pin()), &operator.client()))?;
        match done.outcome {
            Outcome::Defunded(defunded) if defunded.sync.returned.is_zero() => Ok(()),
            other => bail!("defunding gave {other:?}"),
        }
    }

    pub fn sync(&self, operator: &OperatorProcess) -> Result<SyncReport> {
        self.with(|wallet| wallet.sync(&operator.client()))
    }

    /// A copy of the home under a name, as anybody with the phone's storage can make.
    pub fn copy_home(&self, name: &str) -> Result<PathBuf> {
        let copy = self.dir.join(name);
        copy_folder(self.home().dir(), &copy)?;
        Ok(copy)
    }

    /// Puts the copy back in place of the home.
    pub fn roll_back(&self, copy: &Path) -> Result<()> {
        std::fs::remove_dir_all(self.home().dir())?;
        copy_folder(copy, self.home().dir())
    }
}

pub fn pin() -> Pin {
    Pin(PIN.to_owned().into())
}

pub fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// The numbered error that a refusal carries, if it carries one.
pub fn refusal<T>(result: Result<T>) -> Result<Option<Code>> {
    match result {
        Ok(_) => Ok(None),
        Err(error) => match error.downcast_ref::<counterfoil_wallet::WalletError>() {
            Some(wallet) => Ok(wallet.code()),
            None => Err(error),
        },
    }
}

/// Payments that some payee took, by identifier: what the auditor knows beside the wallets' own states.
pub type Taken = BTreeSet<Digest>;
