//! `cargo xtask kill`: the binary killed at each of its durable calls.

use anyhow::Result;

use crate::shell::{cargo, run};

/// Runs the kill tests; in the long form at each call in each mode, with what recovers killed as well.
pub(crate) fn all(long: bool) -> Result<()> {
    let mut command = cargo();
    command.args(["test", "--package", "counterfoil-cli", "--test", "killpoint", "--locked"]);
    if long {
        command.env("COUNTERFOIL_KILL", "long");
    } else {
        command.env_remove("COUNTERFOIL_KILL");
    }
    run(&mut command)
}
