//! A wallet and its operator: enrol, fund, defund, sync.
//!
//! Every exchange can be cut off anywhere. What is sent is signed once and sent again as it was until it is answered;
//! the operator answers the same bytes alike; a settlement that was applied changes nothing the second time.

use counterfoil_ta::api::{Command, Pin, Reply};
use counterfoil_ta::env::Freshness;
use counterfoil_trust::{enrolment_binding, key_id, open, sha256};
use counterfoil_wire::cert::{Name, RootCert};
use counterfoil_wire::element::ElementStatement;
use counterfoil_wire::sync::{Enrolment, Settlement, Standing};
use counterfoil_wire::{Algorithm, Amount, Bytes, Code, Nonce, Reference};

use crate::device::Device;
use crate::error::{OperatorError, WalletError};
use crate::home::{Counter, FORMAT, Home, Host, Kind, REPLACED_FILE, Settings};
use crate::operation::{
    Defunded, Done, Enrolled, Finished, Funded, Operation, Order, Outcome, Pending, Replaced, SyncReport,
};
use crate::sync::{NewWallet, Operator, Scheme};
use crate::wallet::{LAST_OFFLINE, PENDING_OFFLINE, PENDING_ONLINE, Wallet, open_element, rules_file};

/// One round settles what was pending, a second one what came after it. A third would settle nothing.
const ROUNDS_MAX: u8 = 2;

/// What a new wallet or terminal is to be.
#[derive(Debug, Clone)]
pub struct NewHome {
    /// Wallet or terminal.
    pub kind: Kind,
    /// Address of the operator.
    pub operator_url: String,
    /// Name of the PSP.
    pub psp: String,
    /// The account behind it.
    pub account: String,
    /// The PSP's activation code, where it asks for one.
    pub activation_code: Option<String>,
    /// Signature algorithm.
    pub algorithm: Algorithm,
    /// A merchant's display name; empty for a person.
    pub name: Name,
    /// What stops a rollback.
    pub counter: Counter,
    /// Where the trusted application runs.
    pub host: Host,
    /// The PIN, if one is wanted. It is kept by the trusted application alone.
    pub pin: Option<Pin>,
    /// The root to trust. Without one, the root that the operator names on this first use is trusted.
    pub root: Option<RootCert>,
}

/// The name of a root for people to compare: the SHA-256 of its key, in hex.
pub fn root_fingerprint(root: &RootCert) -> String {
    key_id(&root.key).to_string()
}

impl Wallet {
    /// Makes a key in `home` and has it certified. An enrolment that was cut off goes on when it is asked for again;
    /// the PIN is then the one that was given first.
    ///
    /// # Errors
    /// [`Code::AlreadyEnrolled`]; [`WalletError::OtherRoot`]; [`WalletError::OtherEnrolment`]; [`WalletError::Operator`].
    /// After a refusal the home is empty again.
    pub fn enrol(
        home: &Home,
        device: &Device,
        new: &NewHome,
        operator: &dyn Operator,
    ) -> Result<(Self, Done), WalletError> {
        match Self::enrol_once(home, device, new, operator) {
            // It was begun, cut off, and taken up again too late. The home is empty again, and nothing was enrolled.
            Err(WalletError::Operator(OperatorError::Refused(problem)))
                if problem.code == Some(Code::ChallengeStale) =>
            {
                Self::enrol_once(home, device, new, operator)
            }
            done => done,
        }
    }

    fn enrol_once(
        home: &Home,
        device: &Device,
        new: &NewHome,
        operator: &dyn Operator,
    ) -> Result<(Self, Done), WalletError> {
        home.check_complete()?;
        let begun = home.settings()?;
        // Known before the operator is asked: an answer that needs no network should not wait for one.
        if begun.is_some()
            && let Some(ended) = Self::enrolled_before(home, device, new)?
        {
            return Ok(ended);
        }
        let scheme = trusted_scheme(new, operator)?;
        let found = root_fingerprint(&scheme.root);
        let settings = match begun {
            Some(begun) => begun,
            None => home.found_with(new_settings(new, &found)?)?,
        };
        check_same_enrolment(&settings, new, &found)?;
        home.write_json(PENDING_ONLINE, &Pending::of(&Order::new(Operation::Enrol {}))?)?;
        let element = open_element(home, device, &settings)?;
        let mut wallet = Self::with_element(home.clone(), settings, element);
        match wallet.enrol_with(new, &scheme, device, operator) {
            Ok(()) => {}
            Err(error) => {
                if ends_enrolment(&error) {
                    drop(wallet);
                    home.clear()?;
                }
                return Err(error);
            }
        }
        wallet.shown_next.push(PENDING_ONLINE);
        let done = wallet.enrolled(new, false)?;
        Ok((wallet, done))
    }

    /// Enrols a fresh key over a stale copy in `home`, which can do nothing else any more. The old wallet is gone from this
    /// device, and stays what the operator knows of it: [`Enrolled::replaced`] names it for the PSP, which closes it and
    /// returns what it had not spent. Cut off, it goes on when it is asked for again; on an empty home it is [`Wallet::enrol`].
    ///
    /// # Errors
    /// [`Code::AlreadyEnrolled`] for a wallet that is not stale, which is never replaced; else as [`Wallet::enrol`]. Until
    /// the fresh key is there the stale copy is as it was.
    pub fn enrol_anew(
        home: &Home,
        device: &Device,
        new: &NewHome,
        operator: &dyn Operator,
    ) -> Result<(Self, Done), WalletError> {
        home.check_complete()?;
        let Some(settings) = home.settings()? else { return Self::enrol(home, device, new, operator) };
        if !device.has_key() && !home.was_enrolled() {
            return Self::enrol(home, device, new, operator);
        }
        let mut old = Self::open_kind(home, device, new.kind)?;
        if old.freshness() != Freshness::Stale {
            // The end of one that was cut off, or a wallet that is as good as ever.
            drop(old);
            return Self::enrol(home, device, new, operator);
        }
        let scheme = trusted_scheme(new, operator)?;
        check_same_enrolment(&settings, new, &root_fingerprint(&scheme.root))?;
        let challenge = operator.challenge()?;
        match old.overview() {
            Ok(overview) => {
                let key = hex::encode(overview.key.as_bytes());
                home.write_json(REPLACED_FILE, &Replaced { key })?;
            }
            Err(error) if error.code() == Some(Code::NotEnrolled) => {}
            Err(error) => return Err(error),
        }
        // What the old wallet was about to do must not be done by the new one.
        home.remove(PENDING_OFFLINE)?;
        home.remove(LAST_OFFLINE)?;
        home.write_json(PENDING_ONLINE, &Pending::of(&Order::new(Operation::Enrol {}))?)?;
        old.message(&old.enrol_command(new, &scheme, device, challenge))?;
        // Opened again, the store is proven to be the newest.
        drop(old);
        Self::enrol(home, device, new, operator)
    }

    /// The wallet of an enrolment that was cut off when all was done but showing it.
    fn enrolled_before(
        home: &Home,
        device: &Device,
        new: &NewHome,
    ) -> Result<Option<(Self, Done)>, WalletError> {
        if !device.has_key() && !home.was_enrolled() {
            // Cut off before there was a key.
            return Ok(None);
        }
        let mut wallet = Self::open_kind(home, device, new.kind)?;
        if wallet.freshness() == Freshness::Stale {
            return Err(WalletError::Refused(Code::StaleState.into()));
        }
        let enrolled = match wallet.overview() {
            Ok(overview) => overview.cert.is_some(),
            Err(error) if error.code() == Some(Code::NotEnrolled) => false,
            Err(error) => return Err(error),
        };
        if !enrolled {
            return Ok(None);
        }
        match wallet.pending(PENDING_ONLINE)? {
            Some(Pending { operation: Operation::Enrol {}, .. }) => {
                wallet.shown_next.push(PENDING_ONLINE);
                let done = wallet.enrolled(new, true)?;
                Ok(Some((wallet, done)))
            }
            _ => Err(WalletError::Refused(Code::AlreadyEnrolled.into())),
        }
    }

    fn enrol_with(
        &mut self,
        new: &NewHome,
        scheme: &Scheme,
        device: &Device,
        operator: &dyn Operator,
    ) -> Result<(), WalletError> {
        let command = self.enrol_command(new, scheme, device, operator.challenge()?);
        let (enrolment, _) = self.message(&command)?;
        // One that was begun before and not answered is told again as it was, and the operator would refuse it now.
        if open::<Enrolment>(&enrolment)?.body.binding != binding(new) {
            return Err(WalletError::OtherEnrolment { differs: "account or activation code" });
        }
        let attestation = device.attest(new.counter, &self.settings.label, &sha256(&enrolment))?;
        let settlement = operator.enrol(&NewWallet {
            psp: &new.psp,
            account: &new.account,
            activation_code: new.activation_code.as_deref(),
            enrolment: &enrolment,
            attestation: attestation.as_deref(),
        })?;
        self.settle(settlement).map(|_| ())
    }

    fn enrolled(&mut self, new: &NewHome, resumed: bool) -> Result<Done, WalletError> {
        let overview = self.overview()?;
        let outcome = Outcome::Enrolled(Enrolled {
            scheme: overview.root.name.clone(),
            root_fingerprint: root_fingerprint(&overview.root),
            root_on_first_use: new.root.is_none(),
            has_pin: overview.pin_tries.is_some(),
            replaced: self.home.read_json(REPLACED_FILE)?,
        });
        Ok(Done { operation: Operation::Enrol {}, outcome, out: None, resumed })
    }

    /// Moves value from the account behind the wallet into it.
    ///
    /// # Errors
    /// [`WalletError::Refused`] before anything is ordered. [`WalletError::Operator`] if the operator cannot be asked:
    /// the order stays, and the same call, or a sync, goes on with it. That the account does not cover the order is an
    /// outcome, not an error: see [`Funded::refusal`].
    pub fn fund(
        &mut self,
        amount: Amount,
        reference: Option<Reference>,
        operator: &dyn Operator,
    ) -> Result<Done, WalletError> {
        let order = Order { reference, ..Order::new(Operation::Fund { amount }) };
        self.perform_online(order, operator)
    }

    /// Moves value from the wallet to the account behind it.
    ///
    /// # Errors
    /// As [`Wallet::fund`]. Once debited, the value leaves at the next sync, whoever asks for it.
    pub fn defund(
        &mut self,
        amount: Amount,
        reference: Option<Reference>,
        pin: Option<Pin>,
        operator: &dyn Operator,
    ) -> Result<Done, WalletError> {
        let order = Order { reference, pin, ..Order::new(Operation::Defund { amount }) };
        self.perform_online(order, operator)
    }

    /// Accounts to the operator for everything since the last settlement, and applies what it answers.
    ///
    /// # Errors
    /// [`WalletError::Operator`]: the statement stays, and the next sync sends it first.
    pub fn sync(&mut self, operator: &dyn Operator) -> Result<SyncReport, WalletError> {
        self.finish_interrupted()?;
        let Some(found) = self.pending(PENDING_ONLINE)? else { return self.exchange(operator) };
        let result = match self.apply_online(&found, None, operator) {
            Ok(outcome) => Ok(outcome),
            Err(WalletError::Refused(error)) if WalletError::Refused(error).is_final() => Err(error),
            // An order that the operator will not decide must not keep the wallet from its sync.
            Err(WalletError::Operator(OperatorError::Refused(_))) => {
                let report = self.exchange(operator)?;
                if self.overview()?.order.is_none() {
                    self.home.remove(PENDING_ONLINE)?;
                }
                return Ok(report);
            }
            Err(error) => return Err(error),
        };
        let synced = match &result {
            Ok(Outcome::Funded(funded)) => Some(funded.sync.clone()),
            Ok(Outcome::Defunded(defunded)) => Some(defunded.sync.clone()),
            _ => None,
        };
        self.finished.push(Finished { operation: found.operation, out: None, result });
        self.home.remove(PENDING_ONLINE)?;
        match synced {
            Some(report) => Ok(report),
            None => self.exchange(operator),
        }
    }

    fn perform_online(&mut self, order: Order, operator: &dyn Operator) -> Result<Done, WalletError> {
        self.finish_interrupted()?;
        let mut pending = Pending::of(&order)?;
        let mut resumed = false;
        match self.pending(PENDING_ONLINE)? {
            Some(found) if found.is_asked_again_by(&pending) => {
                pending = found;
                resumed = true;
            }
            Some(_) => {
                self.sync(operator)?;
                if self.pending(PENDING_ONLINE)?.is_some() {
                    return Err(WalletError::Refused(Code::OrderPending.into()));
                }
            }
            None => {}
        }
        if !resumed {
            self.home.write_json(PENDING_ONLINE, &pending)?;
        }
        match self.apply_online(&pending, order.pin, operator) {
            Ok(outcome) => {
                self.shown_next.push(PENDING_ONLINE);
                Ok(Done { operation: pending.operation, outcome, out: None, resumed })
            }
            Err(error) => {
                if error.is_final() {
                    self.home.remove(PENDING_ONLINE)?;
                }
                Err(error)
            }
        }
    }

    /// Carries a pending operation out, or on from where it was cut off.
    fn apply_online(
        &mut self,
        pending: &Pending,
        pin: Option<Pin>,
        operator: &dyn Operator,
    ) -> Result<Outcome, WalletError> {
        let reference = pending.reference();
        match pending.operation {
            Operation::Fund { amount } => {
                let (order, again) = self.message(&Command::FundOrder { amount, reference })?;
                let refusal = match operator.fund(&order) {
                    Ok(true) => None,
                    Ok(false) => Some(rail_refused()),
                    Err(OperatorError::Refused(problem)) if problem.code == Some(Code::RailRefused) => {
                        Some(problem)
                    }
                    Err(error) => return Err(error.into()),
                };
                let sync = self.exchange_after_order(operator)?;
                Ok(Outcome::Funded(Funded { amount, refusal, again, sync }))
            }
            Operation::Defund { amount } => match self.ask(&Command::Defund { amount, pin, reference })? {
                Reply::Defunding { amount, again, .. } => {
                    let sync = self.exchange_after_order(operator)?;
                    Ok(Outcome::Defunded(Defunded { amount, again, sync }))
                }
                _ => Err(WalletError::UnexpectedReply),
            },
            Operation::Enrol {} => Err(WalletError::Refused(Code::AlreadyEnrolled.into())),
            _ => Err(WalletError::UnexpectedReply),
        }
    }

    /// The operator has answered the order itself, so a refusal to settle must not read as a refusal of the order: the
    /// trusted application's word on a settlement is not final for the order either.
    fn exchange_after_order(&mut self, operator: &dyn Operator) -> Result<SyncReport, WalletError> {
        self.exchange(operator).map_err(|error| match error {
            WalletError::Refused(refused) => WalletError::Operator(OperatorError::Malformed {
                url: self.settings.operator_url.clone(),
                reason: format!("the settlement was not taken: {refused}"),
            }),
            other => other,
        })
    }

    fn exchange(&mut self, operator: &dyn Operator) -> Result<SyncReport, WalletError> {
        let mut report = SyncReport {
            rounds: 0,
            funded: Amount::ZERO,
            refunded: Vec::new(),
            confirmed: Vec::new(),
            returned: Amount::ZERO,
            paid_out: Amount::ZERO,
            standing: Standing::Good,
        };
        loop {
            let (statement, again) = self.message(&Command::Statement {})?;
            let settlement = operator.settle(&statement)?;
            self.merge(settlement, &mut report)?;
            report.rounds = report.rounds.saturating_add(1);
            let overview = self.overview()?;
            // The settlement's own entry is always there. A statement that had waited speaks of an older state.
            let unsettled = overview.journal_len > 1 || overview.order.is_some();
            if report.rounds >= ROUNDS_MAX || !(again && unsettled) {
                return Ok(report);
            }
        }
    }

    fn merge(&mut self, settlement: Vec<u8>, report: &mut SyncReport) -> Result<(), WalletError> {
        match self.settle(settlement)? {
            Reply::Settled { funded, refunded, confirmed, returned, paid_out, standing, .. } => {
                let sum = |a: Amount, b: Amount| a.plus(b).ok_or(WalletError::UnexpectedReply);
                report.funded = sum(report.funded, funded)?;
                report.returned = sum(report.returned, returned)?;
                report.paid_out = sum(report.paid_out, paid_out)?;
                report.refunded.extend(refunded);
                report.confirmed.extend(confirmed);
                report.standing = standing;
                Ok(())
            }
            _ => Err(WalletError::UnexpectedReply),
        }
    }

    fn enrol_command(&self, new: &NewHome, scheme: &Scheme, device: &Device, challenge: Nonce) -> Command {
        Command::Enrol {
            es256: new.algorithm == Algorithm::Es256,
            grade: new.counter.grade(new.kind, scheme.sandbox),
            name: new.name.clone(),
            pin: new.pin.clone(),
            root: scheme.root.clone(),
            binding: binding(new),
            element: self.element_statement(device, challenge),
        }
    }

    /// What the element is, in answer to the operator's challenge.
    fn element_statement(&self, device: &Device, challenge: Nonce) -> ElementStatement {
        let native = ElementStatement::native(self.element.counter_kind(), challenge);
        let application = device.application();
        match self.element.image() {
            Some(image) => {
                ElementStatement { image: image.hash, image_version: image.version, application, ..native }
            }
            None => ElementStatement { application, ..native },
        }
    }

    /// Applies a settlement and keeps a copy of new rules for showing. The trusted application has its own.
    fn settle(&mut self, settlement: Vec<u8>) -> Result<Reply, WalletError> {
        let rules = open::<Settlement>(&settlement)?.body.rules;
        if let Some(rules) = rules
            && let Ok(opened) = open::<counterfoil_wire::rules::Rules>(&rules.0)
        {
            // Before the settlement is applied: its rules are not sent a second time.
            self.home.write_durably(&rules_file(opened.body.number), &rules.0)?;
        }
        self.ask(&Command::Settle { settlement: Bytes(settlement) })
    }
}

/// What the enrolment is signed for.
fn binding(new: &NewHome) -> counterfoil_wire::Digest {
    enrolment_binding(&new.psp, &new.account, new.activation_code.as_deref())
}

/// The operator's scheme, if its root is the one to be trusted.
fn trusted_scheme(new: &NewHome, operator: &dyn Operator) -> Result<Scheme, WalletError> {
    let scheme = operator.scheme()?;
    match &new.root {
        Some(trusted) if *trusted != scheme.root => {
            let (found, trusted) = (root_fingerprint(&scheme.root), root_fingerprint(trusted));
            Err(WalletError::OtherRoot { found, trusted })
        }
        _ => Ok(scheme),
    }
}

fn rail_refused() -> crate::error::Problem {
    let code = Code::RailRefused;
    crate::error::Problem { status: 422, code: Some(code), title: code.what().to_owned(), next: None }
}

fn new_settings(new: &NewHome, fingerprint: &str) -> Result<Settings, WalletError> {
    let mut label = [0; 16];
    getrandom::fill(&mut label).map_err(WalletError::Random)?;
    Ok(Settings {
        format: FORMAT,
        kind: new.kind,
        label: hex::encode(label),
        operator_url: new.operator_url.clone(),
        psp: new.psp.clone(),
        root_fingerprint: fingerprint.to_owned(),
        algorithm: new.algorithm.name().to_owned(),
        name: new.name.as_str().to_owned(),
        counter: new.counter,
        host: new.host,
    })
}

/// The key, its grade and its name were fixed when the enrolment was begun; the account and the code are in what the key
/// signed.
fn check_same_enrolment(begun: &Settings, new: &NewHome, fingerprint: &str) -> Result<(), WalletError> {
    let differs = [
        (begun.kind != new.kind, "kind"),
        (begun.operator_url != new.operator_url, "operator"),
        (begun.psp != new.psp, "PSP"),
        (begun.root_fingerprint != fingerprint, "root"),
        (begun.algorithm != new.algorithm.name(), "algorithm"),
        (begun.name != new.name.as_str(), "name"),
        (begun.counter != new.counter, "counter"),
        (begun.host != new.host, "host"),
    ];
    match differs.into_iter().find(|(differs, _)| *differs) {
        Some((_, differs)) => Err(WalletError::OtherEnrolment { differs }),
        None => Ok(()),
    }
}

/// Whether the operator, or the trusted application before it, has said no to the enrolment, so that there is nothing
/// to go on with. A key that the operator knows already is no such case: it has a wallet to it.
fn ends_enrolment(error: &WalletError) -> bool {
    match error {
        WalletError::Refused(error) => {
            matches!(error.code, Code::PinMalformed | Code::BadCertificate | Code::ValueOutOfRange)
        }
        WalletError::Operator(OperatorError::Refused(problem)) => {
            (400..500).contains(&problem.status) && problem.code != Some(Code::KeyEnrolled)
        }
        _ => false,
    }
}
