//! Wallets at work, step by step, with everything written down.

use std::collections::BTreeMap;

use counterfoil_ta::api::{Command, Overview, Reply, Response};
use counterfoil_wire::cert::Grade;
use counterfoil_wire::{Algorithm, Bytes, Code, Digest, Error, PublicKey, Wire};
use serde_json::Value;

use super::{hex_of, unexpected};
use crate::VectorError;
use crate::fixed::authority::Keys;
use crate::fixed::wallet::Wallet;
use crate::fixed::{Operator, PIN, START_S, amount, digest, element, name, reference};
use crate::format::Step;
use crate::json::{Json, reply_in_short, state_of};

/// The scheme of all flows.
pub(super) const LABEL: &str = "vectors flows";

/// Its keys.
pub(super) const KEYS: Keys = Keys { root: Algorithm::EdDsa, signer: Algorithm::EdDsa };

/// An operator, wallets by name, and what they did.
pub(super) struct Scene {
    pub operator: Operator,
    wallets: BTreeMap<String, Wallet>,
    pub clock_s: u32,
    steps: Vec<Step>,
    references: u32,
    label: String,
}

impl Scene {
    /// Nobody yet.
    pub(super) fn new(label: &str) -> Result<Self, VectorError> {
        Ok(Self {
            operator: Operator::new(LABEL, KEYS)?,
            wallets: BTreeMap::new(),
            clock_s: START_S,
            steps: Vec::new(),
            references: 0,
            label: label.to_owned(),
        })
    }

    /// What happened, in order.
    pub(super) fn into_steps(self) -> Vec<Step> {
        self.steps
    }

    /// Everybody as they are now, for another course of events.
    pub(super) fn branch(&self, label: &str) -> Result<Self, VectorError> {
        let salt = u64::from(counterfoil_trust::sha256(label.as_bytes()).0[0]);
        let wallets = self
            .wallets
            .iter()
            .enumerate()
            .map(|(at, (name, wallet))| (name.clone(), wallet.branch(salt << 8 | at as u64 | 1 << 32)));
        Ok(Self {
            operator: self.operator.fork(LABEL, KEYS)?,
            wallets: wallets.collect(),
            clock_s: self.clock_s,
            steps: Vec::new(),
            references: 0,
            label: label.to_owned(),
        })
    }

    /// Sets every clock.
    pub(super) fn set_clock(&mut self, clock_s: u32) {
        self.clock_s = clock_s;
        self.operator.now_s = clock_s;
    }

    fn wallet(&mut self, who: &str) -> &mut Wallet {
        let seed = u64::from_be_bytes(
            counterfoil_trust::sha256(who.as_bytes()).0[..8].try_into().unwrap_or_default(),
        );
        self.wallets.entry(who.to_owned()).or_insert_with(|| Wallet::seeded(seed))
    }

    /// A wallet that begins as a copy of another.
    pub(super) fn copy(&mut self, from: &str, to: &str) -> Result<(), VectorError> {
        let copy = self.wallet(from).copy();
        self.wallets.insert(to.to_owned(), copy);
        let show = Command::Show {};
        self.step(to, "is a copy, and shows itself", Some(&show), show.to_bytes(), Some(from), false)
            .map(drop)
    }

    /// A reference that nothing else has.
    pub(super) fn reference(&mut self) -> counterfoil_wire::Reference {
        self.references += 1;
        reference(&format!("{} {}", self.label, self.references))
    }

    /// Carries out a command that must succeed.
    pub(super) fn run(&mut self, who: &str, note: &str, command: Command) -> Result<Reply, VectorError> {
        match self.step(who, note, Some(&command), command.to_bytes(), None, false)? {
            Ok(reply) => Ok(reply),
            Err(error) => unexpected(format!("{}: {who}: {note}: {error}", self.label)),
        }
    }

    /// Carries out a command that must be refused.
    pub(super) fn refuse(
        &mut self,
        who: &str,
        note: &str,
        command: Command,
        code: Code,
    ) -> Result<(), VectorError> {
        let done = self.step(who, note, Some(&command), command.to_bytes(), None, false)?;
        self.must_be(who, note, done, code)
    }

    /// Bytes that must be refused as a command.
    pub(super) fn refuse_bytes(
        &mut self,
        who: &str,
        note: &str,
        bytes: &[u8],
        code: Code,
    ) -> Result<(), VectorError> {
        let done = self.step(who, note, None, bytes.to_vec(), None, false)?;
        self.must_be(who, note, done, code)
    }

    /// As [`Scene::refuse`], on a host that knows that the state is an older copy.
    pub(super) fn refuse_stale(
        &mut self,
        who: &str,
        note: &str,
        command: Command,
    ) -> Result<(), VectorError> {
        let done = self.step(who, note, Some(&command), command.to_bytes(), None, true)?;
        self.must_be(who, note, done, Code::StaleState)
    }

    fn must_be(
        &self,
        who: &str,
        note: &str,
        done: Result<Reply, Error>,
        code: Code,
    ) -> Result<(), VectorError> {
        match done {
            Err(error) if error.code == code => Ok(()),
            other => {
                unexpected(format!("{}: {who}: {note}: {other:?} and not {}", self.label, code.number()))
            }
        }
    }

    fn step(
        &mut self,
        who: &str,
        note: &str,
        command: Option<&Command>,
        bytes: Vec<u8>,
        copy_of: Option<&str>,
        stale: bool,
    ) -> Result<Result<Reply, Error>, VectorError> {
        let clock_s = self.clock_s;
        let wallet = self.wallet(who);
        wallet.device.now_s.set(clock_s);
        wallet.device.stale.set(stale);
        wallet.device.take_drawn();
        let reply_bytes = wallet.process(&bytes);
        let random = wallet.device.take_drawn();
        let state = state_of(wallet.show());
        let done = Response::from_bytes(&reply_bytes)?;
        self.steps.push(Step {
            note: note.to_owned(),
            wallet: who.to_owned(),
            copy_of: copy_of.map(str::to_owned),
            clock_s,
            stale,
            random: hex_of(random),
            command: command.map_or(Value::Null, Json::to_json),
            command_hex: hex_of(bytes),
            reply: reply_in_short(&done),
            reply_hex: hex_of(reply_bytes),
            state,
        });
        Ok(done.0)
    }

    /// What the holder may see.
    pub(super) fn show(&mut self, who: &str) -> Result<Overview, VectorError> {
        match self.wallet(who).show() {
            Some(overview) => Ok(overview),
            None => unexpected(format!("{who} is not enrolled")),
        }
    }

    pub(super) fn key(&mut self, who: &str) -> Result<PublicKey, VectorError> {
        Ok(self.show(who)?.key)
    }

    /// Funded and received together.
    pub(super) fn must_hold(&mut self, who: &str, minor: u64) -> Result<(), VectorError> {
        let shown = self.show(who)?;
        let holds = shown.funded.minor() + shown.received.minor();
        if holds == minor {
            Ok(())
        } else {
            unexpected(format!("{}: {who} holds {holds} and not {minor}", self.label))
        }
    }

    /// A command that gives a message.
    pub(super) fn message(&mut self, who: &str, note: &str, command: Command) -> Result<Bytes, VectorError> {
        match self.run(who, note, command)? {
            Reply::Message { message, .. } => Ok(message),
            other => unexpected(format!("{}: {who}: {note}: no message but {other:?}", self.label)),
        }
    }

    pub(super) fn enrol(
        &mut self,
        who: &str,
        algorithm: Algorithm,
        grade: Grade,
        pin: Option<&str>,
    ) -> Result<(), VectorError> {
        let command = self.enrol_command(algorithm, grade, pin);
        let enrolment = self.message(who, "asks for its first certificate", command)?;
        let settlement = self.operator.enrol(&enrolment)?;
        self.run(who, "is enrolled", Command::Settle { settlement })?;
        Ok(())
    }

    pub(super) fn enrol_command(&self, algorithm: Algorithm, grade: Grade, pin: Option<&str>) -> Command {
        Command::Enrol {
            es256: algorithm == Algorithm::Es256,
            grade,
            name: name(if grade == Grade::Terminal { "Caf\u{e9} Blau" } else { "" }),
            pin: pin.map(self::pin),
            root: self.operator.scheme.root.clone(),
            binding: digest("binding"),
            element: element(None),
        }
    }

    pub(super) fn fund(&mut self, who: &str, minor: u64) -> Result<(), VectorError> {
        let reference = self.reference();
        let order = Command::FundOrder { amount: amount(minor), reference };
        let order = self.message(who, "orders value from its account", order)?;
        self.operator.take_order(&order)?;
        self.sync(who)?;
        Ok(())
    }

    pub(super) fn sync(&mut self, who: &str) -> Result<Reply, VectorError> {
        let statement = self.message(who, "accounts for itself", Command::Statement {})?;
        let settlement = self.operator.settle(&statement)?;
        self.run(who, "applies the settlement", Command::Settle { settlement })
    }

    pub(super) fn request(
        &mut self,
        who: &str,
        minor: Option<u64>,
        standing: bool,
    ) -> Result<Bytes, VectorError> {
        let reference = self.reference();
        let note = if standing { "prints a code" } else { "asks to be paid" };
        self.message(who, note, Command::Request { amount: minor.map(amount), standing, reference })
    }

    pub(super) fn pay_command(&mut self, request: &Bytes, minor: Option<u64>, with_pin: bool) -> Command {
        let pin = with_pin.then(|| pin(PIN));
        Command::Pay {
            request: request.clone(),
            amount: minor.map(amount),
            pin,
            reference: self.reference(),
            approval: None,
        }
    }

    pub(super) fn pay(
        &mut self,
        who: &str,
        request: &Bytes,
        minor: Option<u64>,
    ) -> Result<Bytes, VectorError> {
        let command = self.pay_command(request, minor, true);
        self.message(who, "pays", command)
    }

    pub(super) fn accept(&mut self, who: &str, payment: &Bytes) -> Result<Bytes, VectorError> {
        match self.run(who, "takes the payment", Command::Accept { payment: payment.clone() })? {
            Reply::Accepted { receipt, .. } => Ok(receipt),
            other => unexpected(format!("{}: {who}: not accepted but {other:?}", self.label)),
        }
    }

    /// A payment that the payee's rules refuse with a decline.
    pub(super) fn accept_declined(
        &mut self,
        who: &str,
        note: &str,
        payment: &Bytes,
        code: Code,
    ) -> Result<Bytes, VectorError> {
        match self.run(who, note, Command::Accept { payment: payment.clone() })? {
            Reply::Declined { decline, reason, .. } if reason == code.number() => Ok(decline),
            other => unexpected(format!(
                "{}: {who}: {note}: {other:?} and not a decline for {}",
                self.label,
                code.number()
            )),
        }
    }

    pub(super) fn decline(&mut self, who: &str, payment: &Bytes) -> Result<Bytes, VectorError> {
        match self.run(who, "says no", Command::Decline { payment: payment.clone() })? {
            Reply::Declined { decline, .. } => Ok(decline),
            other => unexpected(format!("{}: {who}: not declined but {other:?}", self.label)),
        }
    }

    pub(super) fn confirm(&mut self, who: &str, receipt: &Bytes) -> Result<(), VectorError> {
        self.run(who, "takes the receipt", Command::Confirm { receipt: receipt.clone() }).map(drop)
    }

    /// From request to receipt.
    pub(super) fn whole_payment(&mut self, payer: &str, payee: &str, minor: u64) -> Result<(), VectorError> {
        let request = self.request(payee, Some(minor), false)?;
        let payment = self.pay(payer, &request, None)?;
        let receipt = self.accept(payee, &payment)?;
        self.confirm(payer, &receipt)
    }

    /// The identifier of the last payment that `who` sent.
    pub(super) fn last_payment(&mut self, who: &str) -> Result<Digest, VectorError> {
        match self.show(who)?.payments.last() {
            Some(payment) => Ok(payment.id),
            None => unexpected(format!("{who} sent nothing")),
        }
    }
}

pub(super) fn pin(digits: &str) -> counterfoil_ta::api::Pin {
    counterfoil_ta::api::Pin(digits.to_owned().into())
}
