//! `counterfoil wallet`: a purse on this device. Only enrol, fund, defund and sync know the operator; every other
//! command is done without a network, and without the means to use one.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use counterfoil_wallet::amounts::{AmountError, format_amount, parse_amount};
use counterfoil_wallet::channel::file::read_message;
use counterfoil_wallet::{
    Counter, Device, Done, Home, Host, HttpOperator, Kind, NewHome, Operation, Order, Outcome, Pin, Wallet,
    WalletError, reference_of,
};
use counterfoil_wire::cert::{Name, RootCert};
use counterfoil_wire::element::Tamper;
use counterfoil_wire::{Algorithm, Amount, Code, Currency};

use crate::lock::LockArg;
use crate::output::{Answer, Output, Usage};
use crate::pin::PinArgs;
use crate::{lock, root, show, words};

/// Where a wallet or terminal lives.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Folder of the wallet
    #[arg(long, value_name = "DIR")]
    home: PathBuf,
    /// Folder of the device's key, which stands in for a phone's key store [default: ~/.local/share/counterfoil/device]
    #[arg(long, value_name = "DIR", env = "COUNTERFOIL_DEVICE")]
    device: Option<PathBuf>,
    /// The device's TPM 2.0, for a wallet whose counter is there: a device, or the socket of an emulator
    /// [default: /dev/tpmrm0]
    #[arg(long, value_name = "PATH", env = "COUNTERFOIL_TPM")]
    tpm: Option<PathBuf>,
}

impl Place {
    pub(crate) fn home(&self) -> Home {
        Home::new(&self.home)
    }

    pub(crate) fn device(&self) -> Result<Device> {
        let device = Device::new(self.device_folder()?);
        Ok(match &self.tpm {
            Some(tpm) => device.with_tpm(tpm),
            None => device,
        })
    }

    fn device_folder(&self) -> Result<PathBuf> {
        if let Some(device) = &self.device {
            return Ok(device.clone());
        }
        let user = std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE"));
        let user = user.filter(|user| !user.is_empty());
        let user =
            user.ok_or_else(|| Usage("HOME is not set; name the device folder with --device".to_owned()))?;
        Ok(Path::new(&user).join(".local/share/counterfoil/device"))
    }
}

#[derive(Debug, Args)]
pub(crate) struct WalletArgs {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: WalletCommand,
}

#[derive(Debug, Subcommand)]
enum WalletCommand {
    /// Make a key and have it certified by a PSP (online)
    Enrol {
        #[command(flatten)]
        enrol: EnrolArgs,
        #[command(flatten)]
        pin: PinArgs,
        /// No PIN, for ever: the wallet pays small amounts only
        #[arg(long, conflicts_with = "pin_file")]
        no_pin: bool,
    },
    /// Move value from the account behind the wallet into it (online)
    Fund {
        /// How much, such as 12.30
        amount: String,
        #[command(flatten)]
        reference: ReferenceArg,
    },
    /// Move value from the wallet to the account behind it (online)
    Defund {
        /// How much, such as 12.30
        amount: String,
        #[command(flatten)]
        reference: ReferenceArg,
        #[command(flatten)]
        pin: PinArgs,
    },
    /// Settle with the operator: journal there, decisions, new certificate and new lists back (online)
    Sync,
    /// Show balance, limits and payments
    Show,
    /// Ask to be paid
    Request(RequestArgs),
    /// Pay a request
    Pay {
        /// The request
        file: PathBuf,
        /// The amount, where the request names none
        #[arg(long)]
        amount: Option<String>,
        #[command(flatten)]
        reference: ReferenceArg,
        #[command(flatten)]
        pin: PinArgs,
        #[command(flatten)]
        lock: LockArg,
        #[command(flatten)]
        out: OutArg,
    },
    /// Take a payment; gives the receipt, or a decline where a rule refuses the payment (exit 3)
    Accept(AnswerArgs),
    /// Take the receipt for a payment sent
    Confirm {
        /// The receipt
        file: PathBuf,
    },
    /// Decline a payment for good; gives the decline
    Decline(AnswerArgs),
    /// Take a declined payment back
    Reclaim {
        /// The decline
        file: PathBuf,
    },
    /// Give a payment that is still in flight once more: the same bytes, nothing is debited
    Resend {
        /// The start of its identifier, as `show` prints it
        id: String,
        #[command(flatten)]
        out: OutArg,
    },
    /// Hand on revocation list and proofs (--out), or take what another device hands on
    Gossip(GossipArgs),
    /// Let the device's own lock stand for the PIN, up to what the rules allow
    BindLock(PinArgs),
    /// Let it stand for the PIN no more
    UnbindLock(PinArgs),
    /// Deactivate the wallet, since its device is being tampered with. A sync tells the operator, which decides
    ReportTamper {
        /// What was found
        #[arg(value_enum)]
        found: TamperArg,
    },
}

/// What an application can find out; the rest the element finds itself.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum TamperArg {
    /// A debugger is attached
    Debugger,
    /// The process was hooked
    Hooked,
    /// The device is rooted
    Rooted,
}

#[derive(Debug, Args)]
pub(crate) struct EnrolArgs {
    /// Address of the operator, such as http://127.0.0.1:8600
    #[arg(long, value_name = "URL")]
    operator: String,
    /// Name of the PSP
    #[arg(long, value_name = "NAME")]
    psp: String,
    /// Account behind the wallet
    #[arg(long)]
    account: String,
    /// One-time code from the PSP
    #[arg(long, value_name = "CODE")]
    activation_code: Option<String>,
    /// Signature algorithm
    #[arg(long, value_enum, default_value_t = AlgorithmArg::Eddsa)]
    alg: AlgorithmArg,
    /// The scheme's root, as published; without it the operator's own word is taken, once
    #[arg(long, value_name = "FILE")]
    operator_root: Option<PathBuf>,
    /// Enrol over an older copy that was put back, which can do nothing any more. The copy is gone for good; what it had
    /// not spent comes back to the account once the PSP closes it
    #[arg(long)]
    pub(crate) replace: bool,
    /// What stops an older copy of the wallet from being used
    #[arg(long, value_enum, default_value_t = CounterArg::None)]
    counter: CounterArg,
    /// Where the trusted application runs
    #[arg(long, value_enum, default_value_t = HostArg::VirtualSe)]
    host: HostArg,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum AlgorithmArg {
    Eddsa,
    Es256,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CounterArg {
    /// Nothing: an older copy is found out by others alone
    None,
    /// A file in the device folder: stops who copies the wallet's folder alone, so the grade is no better
    File,
    /// A counter of the device's TPM 2.0: stops who copies all files of the device
    Tpm,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum HostArg {
    /// In the virtual secure element: a measured image in a machine of its own
    VirtualSe,
    /// In this process, without isolation: for tests and simulation, in a sandbox
    Native,
}

#[derive(Debug, Args)]
pub(crate) struct ReferenceArg {
    /// Names the operation: the same reference is the same operation, never a second one
    #[arg(long = "ref", value_name = "REF")]
    reference: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct OutArg {
    /// Where the message goes: .cbor for the bytes, .png for a QR code
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RequestArgs {
    /// How much; without it the payer names the amount
    amount: Option<String>,
    /// May be paid any number of times, as a printed code
    #[arg(long)]
    standing: bool,
    #[command(flatten)]
    reference: ReferenceArg,
    #[command(flatten)]
    out: OutArg,
}

#[derive(Debug, Args)]
pub(crate) struct AnswerArgs {
    /// The payment
    file: PathBuf,
    #[command(flatten)]
    out: OutArg,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct GossipArgs {
    /// What another device handed on
    file: Option<PathBuf>,
    /// Where to write what is to be handed on
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl EnrolArgs {
    /// What cannot be meant, before a folder is made for it.
    pub(crate) fn check(&self) -> Result<()> {
        for (option, value) in
            [("--account", &self.account), ("--psp", &self.psp), ("--operator", &self.operator)]
        {
            if value.trim().is_empty() {
                bail!(Usage(format!("{option} is empty")));
            }
        }
        Ok(())
    }

    pub(crate) fn new_home(&self, kind: Kind, name: Name, pin: Option<Pin>) -> Result<NewHome> {
        let root: Option<RootCert> = self.operator_root.as_deref().map(root::read_root).transpose()?;
        Ok(NewHome {
            kind,
            operator_url: self.operator.trim_end_matches('/').to_owned(),
            psp: self.psp.clone(),
            account: self.account.clone(),
            activation_code: self.activation_code.clone(),
            algorithm: match self.alg {
                AlgorithmArg::Eddsa => Algorithm::EdDsa,
                AlgorithmArg::Es256 => Algorithm::Es256,
            },
            name,
            counter: match self.counter {
                CounterArg::None => Counter::None,
                CounterArg::File => Counter::File,
                CounterArg::Tpm => Counter::Tpm,
            },
            host: match self.host {
                HostArg::VirtualSe => Host::VirtualSe,
                HostArg::Native => Host::Native,
            },
            pin,
            root,
        })
    }

    pub(crate) fn operator(&self) -> HttpOperator {
        HttpOperator::new(&self.operator)
    }
}

impl RequestArgs {
    /// The order, once the currency is known.
    pub(crate) fn order(&self, currency: Currency) -> Result<Order> {
        let amount = self.amount.as_deref().map(|text| read_amount(text, currency)).transpose()?;
        let operation = Operation::Request { amount, standing: self.standing };
        Ok(Order {
            out: Some(self.out.out.clone()),
            reference: self.reference.get()?,
            ..Order::new(operation)
        })
    }
}

impl AnswerArgs {
    /// The order that `operation` makes of the payment.
    pub(crate) fn order(&self, operation: impl FnOnce(Vec<u8>) -> Operation) -> Result<Order> {
        not_the_input(&self.file, &self.out.out)?;
        Ok(Order { out: Some(self.out.out.clone()), ..Order::new(operation(message(&self.file)?)) })
    }
}

impl GossipArgs {
    pub(crate) fn order(&self) -> Result<Order> {
        match (&self.file, &self.out) {
            (Some(file), _) => Ok(Order::new(Operation::GossipIn { gossip: message(file)? })),
            (None, Some(out)) => {
                let room = Wallet::gossip_room(out);
                Ok(Order { out: Some(out.clone()), ..Order::new(Operation::GossipOut { room }) })
            }
            (None, None) => Err(Usage("name a file, or where to write with --out".to_owned()).into()),
        }
    }
}

impl ReferenceArg {
    fn get(&self) -> Result<Option<counterfoil_wire::Reference>> {
        if self.reference.as_deref().is_some_and(|text| text.trim().is_empty()) {
            bail!(Usage("--ref is empty, which would make one operation of many".to_owned()));
        }
        Ok(self.reference.as_deref().map(reference_of))
    }
}

pub(crate) fn run(args: &WalletArgs, output: &Output) -> Result<u8> {
    let (home, device) = (args.place.home(), args.place.device()?);
    if let WalletCommand::Enrol { enrol, pin, no_pin } = &args.command {
        enrol.check()?;
        refuse_if_enrolled(&home, enrol.replace)?;
        let pin = if *no_pin { None } else { Some(pin.chosen()?) };
        let new = enrol.new_home(Kind::Wallet, Name::default(), pin)?;
        let enrol_how = if enrol.replace { Wallet::enrol_anew } else { Wallet::enrol };
        let (mut wallet, done) = enrol_how(&home, &device, &new, &enrol.operator())?;
        return finish(&mut wallet, output, Ok(done));
    }
    let mut wallet = Wallet::open(&home, &device)?;
    if matches!(args.command, WalletCommand::Show) {
        return show::run(&mut wallet, output);
    }
    match &args.command {
        WalletCommand::BindLock(pin) => return lock::bind(&mut wallet, &device, pin, output),
        WalletCommand::UnbindLock(pin) => return lock::unbind(&mut wallet, &device, pin, output),
        WalletCommand::ReportTamper { found } => return report_tamper(&mut wallet, *found, output),
        _ => {}
    }
    let currency = wallet.currency()?;
    let done = match &args.command {
        WalletCommand::Fund { amount, reference } => {
            let amount = read_amount(amount, currency)?;
            let operator = operator_of(&wallet);
            let reference = reference.get()?;
            wallet.fund(amount, reference, &operator).map_err(Into::into)
        }
        WalletCommand::Defund { amount, reference, pin } => {
            let amount = read_amount(amount, currency)?;
            let operator = operator_of(&wallet);
            let reference = reference.get()?;
            with_pin(&mut wallet, pin, "PIN: ", |wallet, pin| {
                wallet.defund(amount, reference, pin, &operator)
            })
        }
        WalletCommand::Sync => return sync(&mut wallet, output),
        WalletCommand::Request(request) => perform(&mut wallet, request.order(currency)?),
        WalletCommand::Pay { file, amount, reference, pin, lock, out } => {
            let amount = amount.as_deref().map(|text| read_amount(text, currency)).transpose()?;
            not_the_input(file, &out.out)?;
            let operation = Operation::Pay { request: message(file)?, amount };
            let order =
                Order { out: Some(out.out.clone()), reference: reference.get()?, ..Order::new(operation) };
            let lock = lock.lock(&device)?;
            with_pin(&mut wallet, pin, "PIN: ", |wallet, pin| {
                let order = Order { pin, ..order.clone() };
                match &lock {
                    Some(lock) => wallet.perform_approved(order, lock),
                    None => wallet.perform(order),
                }
            })
        }
        WalletCommand::Accept(answer) => {
            perform(&mut wallet, answer.order(|payment| Operation::Accept { payment })?)
        }
        WalletCommand::Decline(answer) => {
            perform(&mut wallet, answer.order(|payment| Operation::Decline { payment })?)
        }
        WalletCommand::Confirm { file } => {
            perform(&mut wallet, Order::new(Operation::Confirm { receipt: message(file)? }))
        }
        WalletCommand::Reclaim { file } => {
            perform(&mut wallet, Order::new(Operation::Reclaim { decline: message(file)? }))
        }
        WalletCommand::Resend { id, out } => {
            let payment = sent_payment(&mut wallet, id)?;
            let order = Order { out: Some(out.out.clone()), ..Order::new(Operation::Resend { payment }) };
            perform(&mut wallet, order)
        }
        WalletCommand::Gossip(gossip) => perform(&mut wallet, gossip.order()?),
        WalletCommand::Enrol { .. }
        | WalletCommand::Show
        | WalletCommand::BindLock(_)
        | WalletCommand::UnbindLock(_)
        | WalletCommand::ReportTamper { .. } => return Ok(0),
    };
    finish(&mut wallet, output, done)
}

/// An enrolled wallet needs no second PIN: say so before one is asked for.
pub(crate) fn refuse_if_enrolled(home: &Home, replace: bool) -> Result<()> {
    if replace {
        // Known once the state was opened.
        return Ok(());
    }
    let pending = home.dir().join("pending-online.json").exists();
    home.check_complete()?;
    if home.settings()?.is_some() && home.was_enrolled() && !pending {
        return Err(WalletError::Refused(Code::AlreadyEnrolled.into()).into());
    }
    Ok(())
}

fn operator_of(wallet: &Wallet) -> HttpOperator {
    HttpOperator::new(&wallet.settings().operator_url)
}

pub(crate) fn perform(wallet: &mut Wallet, order: Order) -> Result<Done> {
    Ok(wallet.perform(order)?)
}

/// Tells what came of it, and only then lets go of it.
pub(crate) fn finish(wallet: &mut Wallet, output: &Output, done: Result<Done>) -> Result<u8> {
    let finished = wallet.take_finished();
    let mut answer = Answer::default();
    let currency = wallet.currency();
    if let Ok(currency) = &currency {
        words::tell_finished(&mut answer, &finished, *currency);
    }
    words::tell_heard(&mut answer, &wallet.take_heard());
    match done {
        Ok(done) => {
            let is_terminal = wallet.settings().kind == Kind::Terminal;
            words::tell_done(&mut answer, &done, currency?, is_terminal);
            if let Outcome::Declined(declined) = &done.outcome
                && let Some(figure) = limit_figure(wallet, declined.reason)
            {
                answer.line(format!("note: {figure}"));
            }
            let exit = output.answer(&answer);
            wallet.acknowledge();
            Ok(exit)
        }
        Err(error) => {
            output.aside(&answer);
            wallet.acknowledge();
            let figure = error.downcast_ref::<WalletError>().and_then(WalletError::code);
            if let Some(figure) = figure.and_then(|code| limit_figure(wallet, code)) {
                return Err(error.context(figure));
            }
            let Some(WalletError::NotWritten { outcome, .. }) = error.downcast_ref::<WalletError>() else {
                return Err(error);
            };
            let what = currency.ok().and_then(|currency| words::done_unwritten(outcome, currency));
            Err(match what {
                Some(what) => error.context(what),
                None => error,
            })
        }
    }
}

/// The figure behind a refusal, where the rules at hand name it.
fn limit_figure(wallet: &mut Wallet, code: Code) -> Option<String> {
    let (overview, rules, currency) =
        (wallet.overview().ok()?, wallet.rules().ok()??, wallet.currency().ok()?);
    let limits = rules.limits(overview.grade)?;
    let amount = |amount| format_amount(amount, currency);
    let limit = match code {
        Code::PaymentTooLarge => limits.payment_max,
        Code::BalanceTooLarge => limits.balance_max,
        Code::TotalSinceSync => limits.sync_total_max,
        Code::InsufficientFunds => {
            return Some(format!("the balance is {}", amount(overview.funded.plus(overview.received)?)));
        }
        Code::RespendShare => {
            return Some(format!("{} can be spent before a sync", amount(overview.spendable)));
        }
        _ => return None,
    };
    Some(format!("the limit is {}", amount(limit)))
}

/// The payment sent whose identifier starts with `id`.
fn sent_payment(wallet: &mut Wallet, id: &str) -> Result<[u8; 32]> {
    let id = id.to_ascii_lowercase();
    if id.len() < 8 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        bail!(Usage("name a payment by 8 hexadecimal digits or more, as `show` prints them".to_owned()));
    }
    let overview = wallet.overview()?;
    let mut found: Vec<[u8; 32]> = overview
        .payments
        .iter()
        .filter(|row| show::sent(row.state) && row.id.to_string().starts_with(&id))
        .map(|row| row.id.0)
        .collect();
    found.dedup();
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(WalletError::Refused(Code::PaymentUnknown.into()).into()),
        _ => bail!(Usage("several payments start like this; name more digits".to_owned())),
    }
}

/// The message that was read may be the only copy there is.
fn not_the_input(file: &Path, out: &Path) -> Result<()> {
    let same = match (file.canonicalize(), out.canonicalize()) {
        (Ok(file), Ok(out)) => file == out,
        _ => file == out,
    };
    if same {
        bail!(Usage(format!("--out names the file that is read, {}; choose another one", file.display())));
    }
    Ok(())
}

/// Settles with the operator.
pub(crate) fn sync(wallet: &mut Wallet, output: &Output) -> Result<u8> {
    let operator = operator_of(wallet);
    let was_blocked = wallet.overview()?.pin_tries == Some(0);
    let report = wallet.sync(&operator);
    let (finished, currency) = (wallet.take_finished(), wallet.currency()?);
    let mut answer = Answer::default();
    words::tell_finished(&mut answer, &finished, currency);
    match report {
        Ok(report) => {
            words::tell_sync(&mut answer, &report, currency, true);
            let unblocked = was_blocked && wallet.overview()?.pin_tries.is_some_and(|tries| tries > 0);
            if unblocked {
                answer.line("the PIN is unblocked");
            }
            answer.set("pin_unblocked", unblocked);
            let exit = output.answer(&answer);
            wallet.acknowledge();
            Ok(exit)
        }
        Err(error) => {
            output.aside(&answer);
            wallet.acknowledge();
            Err(error.into())
        }
    }
}

fn report_tamper(wallet: &mut Wallet, found: TamperArg, output: &Output) -> Result<u8> {
    let tamper = match found {
        TamperArg::Debugger => Tamper::Debugger,
        TamperArg::Hooked => Tamper::Hooked,
        TamperArg::Rooted => Tamper::Rooted,
    };
    let stands = wallet.report_tamper(tamper)?;
    let mut answer = Answer::default();
    answer.line(words::deactivated(stands));
    answer.line(format!("next: {}", Code::Deactivated.next()));
    answer.set("tamper", stands.name());
    Ok(output.answer(&answer))
}

/// Tries with the PIN that a file gives, or without one; asks for it only where the trusted application does.
pub(crate) fn with_pin<T>(
    wallet: &mut Wallet,
    args: &PinArgs,
    prompt: &str,
    mut operation: impl FnMut(&mut Wallet, Option<Pin>) -> Result<T, WalletError>,
) -> Result<T> {
    let given = args.given()?;
    if given.is_some() && wallet.overview()?.pin_tries.is_none() {
        eprintln!("note: this wallet was enrolled without a PIN; the one that was given counts for nothing");
    }
    let tried = match operation(wallet, given.clone()) {
        Err(error) if error.code() == Some(Code::PinRequired) && given.is_none() => {
            let has_pin = wallet.overview()?.pin_tries.is_some();
            if !has_pin {
                return Err(error).context("this wallet was enrolled without a PIN, and will never have one");
            }
            let pin = args.needed(prompt)?;
            operation(wallet, Some(pin))
        }
        other => other,
    };
    match tried {
        Err(error) if error.code() == Some(Code::PinWrong) => {
            let note = match wallet.overview()?.pin_tries {
                Some(0) => "the PIN is now blocked: ask the PSP to unblock it, then sync".to_owned(),
                Some(1) => "1 try is left".to_owned(),
                tries => format!("{} tries are left", tries.unwrap_or_default()),
            };
            Err(error).context(note)
        }
        other => Ok(other?),
    }
}

pub(crate) fn message(file: &Path) -> Result<Vec<u8>> {
    Ok(read_message(file).map_err(WalletError::from)?)
}

/// An amount as the holder typed it. What is none is a mistake in the command line, not a refusal.
pub(crate) fn read_amount(text: &str, currency: Currency) -> Result<Amount> {
    parse_amount(text, currency).map_err(|error: AmountError| Usage(format!("{text:?}: {error}")).into())
}
