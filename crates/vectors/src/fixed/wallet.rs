//! A wallet: a trusted application on a device of its own.

use std::rc::Rc;

use counterfoil_ta::TrustedApp;
use counterfoil_ta::api::{Command, Overview, Reply, Response};
use counterfoil_wire::{Bytes, Code, Error, Wire};

use super::device::{Device, Host};

/// A wallet and the device that it lives on.
pub struct Wallet {
    app: TrustedApp<Host>,
    /// Its device.
    pub device: Rc<Device>,
}

impl Wallet {
    /// A wallet on this device.
    pub fn on(device: Rc<Device>) -> Self {
        Self { app: TrustedApp::open(Host::new(&device)), device }
    }

    /// An empty wallet whose randomness follows from `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self::on(Device::seeded(seed))
    }

    /// A wallet on a copy of this one's device.
    pub fn copy(&self) -> Self {
        Self::on(self.device.copy())
    }

    /// A wallet on a device with the same records, whose randomness follows from `seed`.
    pub fn branch(&self, seed: u64) -> Self {
        Self::on(self.device.branch(seed))
    }

    /// Through the door: any bytes, and the bytes of the answer.
    pub fn process(&mut self, command: &[u8]) -> Vec<u8> {
        self.app.process(command)
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
