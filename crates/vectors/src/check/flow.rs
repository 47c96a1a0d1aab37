//! Flows: the trusted application driven with the clock and the randomness that the file recorded.

use std::collections::BTreeMap;

use counterfoil_ta::api::{Command, Response};
use counterfoil_wire::Wire;
use serde_json::Value;

use super::Findings;
use crate::VectorError;
use crate::fixed::device::Device;
use crate::fixed::wallet::{Opener, Wallet};
use crate::format::{Flow, Step};
use crate::json::{Json, reply_in_short, state_of, unhex};

/// Wallets by name.
type Wallets = BTreeMap<String, Wallet>;

pub(super) fn check(
    name: &str,
    flow: &Flow,
    flows: &BTreeMap<&str, &Flow>,
    opener: Opener,
    out: &mut Findings,
) -> Result<(), VectorError> {
    let mut wallets = Wallets::new();
    if let Some(before) = &flow.after {
        let Some(before) = flows.get(before.as_str()).filter(|before| before.after.is_none()) else {
            return Err(VectorError::Unexpected(format!("{name}: there is no flow {before} to begin after")));
        };
        // Its own differences are named where it is checked itself.
        let mut aside = Findings(Vec::new());
        run(&before.steps, &mut wallets, opener, &mut aside);
    }
    run(&flow.steps, &mut wallets, opener, out);
    Ok(())
}

fn run(steps: &[Step], wallets: &mut Wallets, opener: Opener, out: &mut Findings) {
    for (number, step) in (1..).zip(steps) {
        let vector = format!("step {number}, {} {}", step.wallet, step.note);
        let (Some(random), Some(command)) = (
            out.read(&vector, "random", unhex(&step.random)),
            out.read(&vector, "command_hex", unhex(&step.command_hex)),
        ) else {
            continue;
        };
        compare_command(&vector, step, &command, out);
        if let Some(from) = &step.copy_of {
            match wallets.get(from) {
                Some(from) => drop(wallets.insert(step.wallet.clone(), from.copy())),
                None => out.differ(&vector, "copy_of", "a wallet that is there", from),
            }
        }
        let wallet =
            wallets.entry(step.wallet.clone()).or_insert_with(|| Wallet::opened(Device::played(), opener));
        wallet.device.now_s.set(step.clock_s);
        wallet.device.stale.set(step.stale);
        let drawn = random.len();
        wallet.device.play(random);
        let reply = wallet.process(&command);
        let (left, missing) = wallet.device.play(Vec::new());
        out.compare(&vector, "bytes of randomness drawn", &drawn, &(drawn - left + missing));
        out.compare_hex(&vector, "reply_hex", &step.reply_hex, &reply);
        if let Some(response) = out.hold(&vector, "reply_hex", Response::from_bytes(&reply)) {
            out.compare_json(&vector, "reply", &step.reply, &reply_in_short(&response));
        }
        out.compare_json(&vector, "state", &step.state, &state_of(wallet.show()));
    }
}

fn compare_command(vector: &str, step: &Step, bytes: &[u8], out: &mut Findings) {
    if step.command == Value::Null {
        if Command::from_bytes(bytes).is_ok() {
            out.differ(vector, "command", "no command", "one");
        }
        return;
    }
    if let Some(command) = out.hold(vector, "command_hex", Command::from_bytes(bytes)) {
        out.compare_json(vector, "command", &step.command, &command.to_json());
    }
    if let Some(command) = out.read(vector, "command", Command::from_json(&step.command)) {
        out.compare_hex(vector, "command_hex, built from command", &step.command_hex, &command.to_bytes());
    }
}
