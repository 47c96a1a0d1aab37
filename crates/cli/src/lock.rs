//! The device's own lock, in the place of the PIN. On a computer a question stands in for it: a phone's would be its finger
//! or face.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::Result;
use clap::Args;
use counterfoil_tre::{DeviceFolder, FolderLock, PlatformLock};
use counterfoil_wallet::{Device, Wallet, WalletError};

use crate::output::{Answer, Output};
use crate::pin::PinArgs;
use crate::wallet::with_pin;

/// How a payment is vouched for.
#[derive(Debug, Args)]
pub(crate) struct LockArg {
    /// Let the device's lock, once bound with `bind-lock`, stand for the PIN where the rules allow it: here a question,
    /// answered with yes at the prompt or on standard input
    #[arg(long, conflicts_with = "pin_file")]
    device_lock: bool,
}

impl LockArg {
    /// The lock, if the holder wants to use it.
    pub(crate) fn lock(&self, device: &Device) -> Result<Option<impl PlatformLock + use<>>> {
        self.device_lock.then(|| stand_in(device)).transpose()
    }
}

fn stand_in(device: &Device) -> Result<impl PlatformLock + use<>> {
    let folder = DeviceFolder::open(device.folder()).map_err(|error| WalletError::Element(error.into()))?;
    Ok(FolderLock::new(folder, agreed))
}

/// Asks whoever sits there.
fn agreed(purpose: &str) -> bool {
    let mut stdin = std::io::stdin().lock();
    if stdin.is_terminal() {
        eprint!("the device's lock asks: {purpose}? [yes/no] ");
        let _ = std::io::stderr().flush();
    }
    let mut line = String::new();
    stdin.read_line(&mut line).is_ok() && matches!(line.trim(), "y" | "yes")
}

pub(crate) fn bind(wallet: &mut Wallet, device: &Device, pin: &PinArgs, output: &Output) -> Result<u8> {
    let lock = stand_in(device)?;
    let key = with_pin(wallet, pin, "PIN: ", |wallet, pin| wallet.bind_lock(&lock, pin))?;
    let mut answer = Answer::default();
    answer.line("the device's lock now stands for the PIN, where the rules allow it: pay with --device-lock");
    answer.set("device_lock", hex::encode(key.as_bytes()));
    Ok(output.answer(&answer))
}

pub(crate) fn unbind(wallet: &mut Wallet, device: &Device, pin: &PinArgs, output: &Output) -> Result<u8> {
    let lock = stand_in(device)?;
    with_pin(wallet, pin, "PIN: ", |wallet, pin| wallet.unbind_lock(&lock, pin))?;
    let mut answer = Answer::default();
    answer.line("the device's lock stands for the PIN no more");
    answer.set("device_lock", serde_json::Value::Null);
    Ok(output.answer(&answer))
}
