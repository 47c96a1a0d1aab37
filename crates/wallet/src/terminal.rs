//! A merchant's acceptor without a tamper resistant element: it asks, takes, declines and claims, and cannot pay.

use std::path::PathBuf;

use counterfoil_ta::api::Overview;
use counterfoil_wire::{Amount, Currency, Reference};

use crate::device::Device;
use crate::error::WalletError;
use crate::home::{Home, Kind, Settings};
use crate::online::NewHome;
use crate::operation::{Done, Finished, Operation, Order, SyncReport};
use crate::sync::Operator;
use crate::wallet::Wallet;

/// A terminal: the same trusted application, with the operations that need no element.
#[derive(Debug)]
pub struct Terminal(Wallet);

impl Terminal {
    /// Opens the terminal in `home` on `device`.
    ///
    /// # Errors
    /// As [`Wallet::open`].
    pub fn open(home: &Home, device: &Device) -> Result<Self, WalletError> {
        Wallet::open_kind(home, device, Kind::Terminal).map(Self)
    }

    /// Makes a key in `home` and has it certified under the merchant's display name.
    ///
    /// # Errors
    /// As [`Wallet::enrol`].
    pub fn enrol(
        home: &Home,
        device: &Device,
        new: &NewHome,
        operator: &dyn Operator,
    ) -> Result<(Self, Done), WalletError> {
        let new = NewHome { kind: Kind::Terminal, pin: None, ..new.clone() };
        let (wallet, done) = Wallet::enrol(home, device, &new, operator)?;
        Ok((Self(wallet), done))
    }

    /// Enrols a fresh key over a stale copy. See [`Wallet::enrol_anew`].
    ///
    /// # Errors
    /// As [`Wallet::enrol_anew`].
    pub fn enrol_anew(
        home: &Home,
        device: &Device,
        new: &NewHome,
        operator: &dyn Operator,
    ) -> Result<(Self, Done), WalletError> {
        let new = NewHome { kind: Kind::Terminal, pin: None, ..new.clone() };
        let (wallet, done) = Wallet::enrol_anew(home, device, &new, operator)?;
        Ok((Self(wallet), done))
    }

    /// Asks to be paid. See [`Wallet::perform`].
    ///
    /// # Errors
    /// As [`Wallet::perform`]; so in the next methods.
    pub fn request(
        &mut self,
        amount: Option<Amount>,
        standing: bool,
        reference: Option<Reference>,
        out: PathBuf,
    ) -> Result<Done, WalletError> {
        let operation = Operation::Request { amount, standing };
        self.0.perform(Order { operation, reference, out: Some(out), pin: None })
    }

    /// Takes a payment, or declines it where the rules refuse it.
    ///
    /// # Errors
    /// As [`Wallet::perform`].
    pub fn accept(&mut self, payment: Vec<u8>, out: PathBuf) -> Result<Done, WalletError> {
        let operation = Operation::Accept { payment };
        self.0.perform(Order { out: Some(out), ..Order::new(operation) })
    }

    /// Declines a payment for good. The payer gets it back from the operator, once this terminal has claimed.
    ///
    /// # Errors
    /// As [`Wallet::perform`].
    pub fn decline(&mut self, payment: Vec<u8>, out: PathBuf) -> Result<Done, WalletError> {
        let operation = Operation::Decline { payment };
        self.0.perform(Order { out: Some(out), ..Order::new(operation) })
    }

    /// Gives what can be handed on to another device.
    ///
    /// # Errors
    /// As [`Wallet::perform`].
    pub fn gossip_out(&mut self, out: PathBuf) -> Result<Done, WalletError> {
        let operation = Operation::GossipOut { room: Wallet::gossip_room(&out) };
        self.0.perform(Order { out: Some(out), ..Order::new(operation) })
    }

    /// Takes what another device hands on.
    ///
    /// # Errors
    /// As [`Wallet::perform`].
    pub fn gossip_in(&mut self, gossip: Vec<u8>) -> Result<Done, WalletError> {
        self.0.perform(Order::new(Operation::GossipIn { gossip }))
    }

    /// Presents what was taken to the operator, to be paid to the merchant's account.
    ///
    /// # Errors
    /// As [`Wallet::sync`].
    pub fn claim(&mut self, operator: &dyn Operator) -> Result<SyncReport, WalletError> {
        self.0.sync(operator)
    }

    /// What the holder may see.
    ///
    /// # Errors
    /// As [`Wallet::overview`].
    pub fn overview(&mut self) -> Result<Overview, WalletError> {
        self.0.overview()
    }

    /// The currency.
    ///
    /// # Errors
    /// As [`Wallet::currency`].
    pub fn currency(&mut self) -> Result<Currency, WalletError> {
        self.0.currency()
    }

    /// Where the terminal belongs.
    pub fn settings(&self) -> &Settings {
        self.0.settings()
    }

    /// The rest of what a terminal shares with a wallet: showing, finishing and acknowledging.
    pub fn as_wallet(&mut self) -> &mut Wallet {
        &mut self.0
    }

    /// See [`Wallet::take_finished`].
    pub fn take_finished(&mut self) -> Vec<Finished> {
        self.0.take_finished()
    }

    /// See [`Wallet::acknowledge`].
    pub fn acknowledge(&mut self) {
        self.0.acknowledge();
    }
}
