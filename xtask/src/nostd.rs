//! Links `wire`, `trust` and `ta` into a program without std (crates/nostd-check says why that proves anything).
//!
//! No other target than the host's need be installed. Two things can fail:
//!
//! - the build, if a dependency brings `std`: two panic handlers are a duplicate lang item;
//! - the link, which gets no system library: whatever asks the operating system for something is undefined.

use std::process::Command;

use anyhow::{Context, Result};

use crate::shell::{cargo, root, run};

/// What compiled Rust may ask of any platform: the memory functions that the compiler calls on its own account, and the
/// unwinder that the compiler's prebuilt `core` mentions and nothing calls when a panic aborts. `getauxval` is how
/// `cpufeatures` asks an ARM Linux about the processor; off Linux it does not ask.
const GIVEN: [&str; 8] =
    ["memcpy", "memmove", "memset", "memcmp", "bcmp", "rust_eh_personality", "_Unwind_Resume", "getauxval"];

const ENTRY: &str = "counterfoil_nostd_entry";

/// Builds and links.
pub(crate) fn check() -> Result<()> {
    run(cargo()
        .args(["build", "--package", "counterfoil-nostd-check", "--locked"])
        .args(["--target-dir", "target/nostd"])
        // Linked and not run: optimising the arithmetic would be most of the time.
        .args(["--config", r#"profile.dev.package."*".opt-level=0"#])
        .env("CARGO_PROFILE_DEV_PANIC", "abort")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", "--cfg nostd_link"))
    .context("a crate that must do without std brings it in (or does not build)")?;

    if !cfg!(target_os = "linux") {
        println!("   not on Linux: built, but not linked without the system's libraries");
        return Ok(());
    }
    let mut linker = Command::new("cc");
    linker.current_dir(root()).args(["-nostdlib", "-static", "-Wl,--gc-sections"]);
    linker.args([format!("-Wl,--entry={ENTRY}"), format!("-Wl,--undefined={ENTRY}")]);
    linker.args(GIVEN.map(|symbol| format!("-Wl,--defsym={symbol}=0")));
    linker.args(["-o", "target/nostd/linked", "target/nostd/debug/libcounterfoil_nostd_check.a"]);
    run(&mut linker).context("a crate that must do without an operating system calls it")
}
