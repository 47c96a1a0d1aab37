#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]
//! The trusted application: the one place where a wallet's money changes.
//!
//! It has one door, [`TrustedApp::process`]: command bytes in, response bytes out. The world (store, randomness, clock,
//! freshness) is the [`env::Env`] trait. It runs natively in tests and simulation, in the virtual secure element, or on
//! a card, and cannot tell which.
//!
//! # Why no money is lost or made here
//! - *Durable before it leaves.* Every operation collects its effects in one batch, commits it, and only then returns
//!   the signed bytes. A power cut before the commit leaves no trace, one after it leaves the bytes to be asked for
//!   again: each operation is named by a reference, a request or a payment, and asking again gives the same bytes.
//! - *One sequence number, one artefact.* A signed artefact is the journal entry of its number, stored in the batch
//!   that moves the money. So an honest wallet never signs two headers with one number, and the interval of `spent`
//!   that a payment takes is never taken twice.
//! - *A payment is decided once.* The replay memory holds the identifier of every payment accepted or declined until the
//!   payer's certificate has expired; after that the payment is refused for its certificate. The lower bound of time
//!   that prunes the memory is the one that refuses.
//! - *Value comes back once.* A reclaim, a refund and a confirmation apply only to a payment in flight and end that
//!   state in the same batch.
//! - *An error moves nothing.* What it may leave is a used PIN try (a try is used up before the PIN is looked at), a proof
//!   that was found, or a payment that waits for the operator.
//! - *A payment is one with its payer's certificate*: the signature covers it, so the time for which the payment is
//!   remembered cannot be changed by showing it under another.

extern crate alloc;

#[cfg(test)]
extern crate std;

pub mod abi;
pub mod api;
pub mod env;

mod accept;
mod approval;
mod enrol;
mod funding;
mod gossip;
mod journal;
mod limits;
mod pay;
mod pin;
mod request;
mod resolve;
mod settle;
mod show;
mod shown;
mod state;
mod statement;
mod tamper;

use alloc::vec::Vec;

use counterfoil_trust::sha256;
use counterfoil_wire::sync::Standing;
use counterfoil_wire::{Code, Digest, Error, Reference, Wire};

use crate::api::{Command, Reply, Response};
use crate::approval::Vouchers;
use crate::env::{Batch, Env, Freshness, Store};
use crate::state::{Change, Done, State, keys};

/// References remembered, so that the same reference is the same operation.
const REFERENCES_KEPT: u32 = 1024;

/// The trusted application over one host.
pub struct TrustedApp<E: Env> {
    env: E,
    state: Option<State>,
    /// Whether stale state was replaced as a whole since this was opened: what the host said of it concerns nothing that
    /// is still there.
    begun_anew: bool,
}

impl<E: Env> TrustedApp<E> {
    /// The application over `env`. State is read at the first command.
    pub fn open(env: E) -> Self {
        Self { env, state: None, begun_anew: false }
    }

    /// The host.
    pub fn env(&self) -> &E {
        &self.env
    }

    /// Carries out one command. Any bytes are allowed; what is not a command gets a numbered error.
    pub fn process(&mut self, command: &[u8]) -> Vec<u8> {
        let result = Command::from_bytes(command).and_then(|command| self.run(command));
        if matches!(&result, Err(error) if error.code == Code::StoreFailed) {
            // Whether the last batch is there is unknown: read again before anything else.
            self.state = None;
        }
        Response(result).to_bytes()
    }

    fn run(&mut self, command: Command) -> Result<Reply, Error> {
        if self.state.is_none() {
            self.state = state::load(&self.env)?;
        }
        self.check_allowed(&command)?;
        match command {
            Command::Enrol { es256, grade, name, pin, root, binding, element } => {
                self.enrol(es256, pin, root, enrol::Wanted { grade, name, binding, element })
            }
            Command::Request { amount, standing, reference } => self.request(amount, standing, reference),
            Command::Pay { request, amount, pin, reference, approval } => {
                self.pay(request, amount, Vouchers { pin, approval }, reference)
            }
            Command::Accept { payment } => self.accept(payment),
            Command::Decline { payment } => self.decline(payment),
            Command::Confirm { receipt } => self.confirm(receipt),
            Command::Reclaim { decline } => self.reclaim(decline),
            Command::GossipOut { room } => self.gossip_out(room),
            Command::GossipIn { gossip } => self.gossip_in(&gossip.0),
            Command::FundOrder { amount, reference } => self.fund_order(amount, reference),
            Command::Defund { amount, pin, reference } => self.defund(amount, pin, reference),
            Command::Statement {} => self.statement(),
            Command::Settle { settlement } => self.settle(&settlement.0),
            Command::Show {} => self.show(),
            Command::Resend { payment } => self.resend(&payment),
            Command::Rider { room, revocation_after, trust_after } => {
                self.rider(room, revocation_after, trust_after)
            }
            Command::ReportTamper { tamper } => self.report_tamper(tamper),
            Command::BindPlatform { key, pin } => self.bind_platform(key, pin.as_ref()),
            Command::PlatformChallenge { request, amount, reference } => {
                self.platform_challenge(&request, amount, &reference)
            }
        }
    }

    /// Refusals that depend on nothing but the command and the standing, so that they come first for every command.
    fn check_allowed(&self, command: &Command) -> Result<(), Error> {
        if matches!(command, Command::Show {}) {
            return Ok(());
        }
        if self.is_stale() {
            // A fresh key in place of everything is all that can be done with an older copy.
            let begins_anew = matches!(command, Command::Enrol { .. });
            return if begins_anew { Ok(()) } else { Err(Code::StaleState.into()) };
        }
        let Some(state) = &self.state else { return Ok(()) };
        let pays = matches!(
            command,
            Command::Pay { .. }
                | Command::Reclaim { .. }
                | Command::FundOrder { .. }
                | Command::Defund { .. }
                | Command::BindPlatform { .. }
                | Command::PlatformChallenge { .. }
        );
        if pays && !state.core.grade.has_element() {
            return Err(Code::TerminalCannotPay.into());
        }
        Ok(())
    }

    /// Whether what is stored is an older copy, or should be there and is not.
    fn is_stale(&self) -> bool {
        self.env.freshness() == Freshness::Stale && !self.begun_anew
    }

    /// Whether a new operation that moves money may begin. What was done before is told again to whoever asks.
    fn check_active(&self) -> Result<(), Error> {
        self.check_good()?;
        if self.state()?.core.tamper.is_some() { Err(Code::Deactivated.into()) } else { Ok(()) }
    }

    /// Whether the operator lets this wallet go on.
    fn check_good(&self) -> Result<(), Error> {
        if self.state()?.core.standing == Standing::Suspended { Err(Code::Suspended.into()) } else { Ok(()) }
    }

    fn state(&self) -> Result<&State, Error> {
        self.state.as_ref().ok_or(Code::NotEnrolled.into())
    }

    fn begin(&self) -> Result<Change, Error> {
        Ok(Change { core: self.state()?.core.clone(), batch: Batch::new() })
    }

    /// Makes a change durable, then current. `apply` brings what is held in memory besides the core up to date.
    fn commit_with(&mut self, change: Change, apply: impl FnOnce(&mut State)) -> Result<(), Error> {
        let Change { core, mut batch } = change;
        batch.put(keys::CORE, core.to_bytes());
        self.env.store_mut().commit(&batch).map_err(|_| Code::StoreFailed)?;
        if let Some(state) = self.state.as_mut() {
            state.core = core;
            apply(state);
        }
        Ok(())
    }

    fn commit(&mut self, change: Change) -> Result<(), Error> {
        self.commit_with(change, |_| {})
    }

    fn now_s(&self) -> Result<u32, Error> {
        Ok(self.state()?.now_s(self.env.now_s()))
    }

    fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.env.fill_random(&mut bytes);
        bytes
    }

    /// What an operation with this reference gave before, if there was one.
    fn done_before(&self, reference: &Reference, arguments: &Digest) -> Result<Option<Reply>, Error> {
        let done = state::read::<Done, _>(self.env.store(), &state::reference_key(reference))?;
        match done {
            None => Ok(None),
            Some(done) if done.arguments != *arguments => Err(Code::ReferenceReused.into()),
            Some(done) => Ok(Some(Reply::from_bytes(&done.reply.0).map_err(|_| Code::Damaged)?)),
        }
    }

    /// Remembers what an operation gives, as it is to be given again, and forgets the oldest.
    fn remember(
        &self,
        change: &mut Change,
        reference: &Reference,
        arguments: Digest,
        again: &Reply,
    ) -> Result<(), Error> {
        let number = change.core.references.wrapping_add(1);
        change.core.references = number;
        change.put(
            state::reference_key(reference),
            &Done { arguments, reply: counterfoil_wire::Bytes(again.to_bytes()) },
        );
        change.put(keys::by_seq(b'n', number), reference);
        let oldest = keys::by_seq(b'n', number.wrapping_sub(REFERENCES_KEPT));
        if let Some(old) = state::read::<Reference, _>(self.env.store(), &oldest)? {
            change.batch.delete(state::reference_key(&old));
            change.batch.delete(oldest);
        }
        Ok(())
    }
}

/// Names an operation's arguments.
fn arguments(command: &Command) -> Digest {
    sha256(&command.to_bytes())
}
