//! A wallet: a trusted application on a device of its own.

use std::rc::Rc;

use counterfoil_ta::TrustedApp;
use counterfoil_ta::api::{Command, Overview, Reply, Response};
use counterfoil_wire::{Bytes, Code, Error, Wire};

use super::device::{Device, Host};

/// A trusted application behind its door: command bytes in, response bytes out.
pub type Door = Box<dyn FnMut(&[u8]) -> Vec<u8>>;

/// Opens the application of a wallet over its device, wherever it is to run.
pub type Opener = fn(&Rc<Device>) -> Door;

/// The application in this process.
pub fn open_natively(device: &Rc<Device>) -> Door {
    let mut app = TrustedApp::open(Host::new(device));
    Box::new(move |command| app.process(command))
}

/// A wallet and the device that it lives on.
pub struct Wallet {
    door: Door,
    opener: Opener,
    /// Its device.
    pub device: Rc<Device>,
}

impl Wallet {
    /// A wallet on this device.
    pub fn on(device: Rc<Device>) -> Self {
        Self::opened(device, open_natively)
    }

    /// A wallet on this device whose application runs where `opener` opens it.
    pub fn opened(device: Rc<Device>, opener: Opener) -> Self {
        Self { door: opener(&device), opener, device }
    }

    /// An empty wallet whose randomness follows from `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self::on(Device::seeded(seed))
    }

    /// A wallet on a copy of this one's device.
    pub fn copy(&self) -> Self {
        Self::opened(self.device.copy(), self.opener)
    }

    /// A wallet on a device with the same records, whose randomness follows from `seed`.
    pub fn branch(&self, seed: u64) -> Self {
        Self::opened(self.device.branch(seed), self.opener)
    }

    /// Through the door: any bytes, and the bytes of the answer.
    pub fn process(&mut self, command: &[u8]) -> Vec<u8> {
        (self.door)(command)
    }

    /// Carries out a command.
    ///
    /// # Errors
    /// The application's.
    pub fn run(&mut self, command: &Command) -> Result<Reply, Error> {
        Response::from_bytes(&self.process(&command.to_bytes()))?.0
    }

    /// Carries out a command that gives a message.
    ///
    /// # Errors
    /// The application's; [`Code::WrongKind`] if it gave something else.
    pub fn message(&mut self, command: &Command) -> Result<Bytes, Error> {
        match self.run(command)? {
            Reply::Message { message, .. } => Ok(message),
            _ => Err(Code::WrongKind.into()),
        }
    }

    /// What the holder may see; `None` before the enrolment.
    pub fn show(&mut self) -> Option<Overview> {
        match self.run(&Command::Show {}) {
            Ok(Reply::Overview { overview }) => Some(overview),
            _ => None,
        }
    }
}
