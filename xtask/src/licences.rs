//! The licences of all dependencies, for all platforms and of the tests too.
//!
//! The usual tool for this, cargo-deny, takes longer to build than everything else that a clean CI run does together.
//! The part of it that reads licence expressions is the library `spdx`; with `cargo metadata` that is all we need.

use anyhow::{Result, bail};
use cargo_metadata::{CargoOpt, MetadataCommand, Package};
use spdx::expression::Expression;
use spdx::{LicenseReq, ParseMode};

use crate::shell::root;

/// Licences that ask for no more than notice, by SPDX identifier. One that asks for more (the MPL, say) is added here
/// with the name of the crate that needs it and the reason.
const ALLOWED: [&str; 13] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "BlueOak-1.0.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Additions that take conditions away.
const ALLOWED_ADDITIONS: [&str; 1] = ["LLVM-exception"];

/// Old manifests write `MIT/Apache-2.0` and mean "or".
const MODE: ParseMode = ParseMode { allow_slash_as_or_operator: true, ..ParseMode::STRICT };

/// Checks every package that Cargo.lock names.
pub(crate) fn check() -> Result<()> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .features(CargoOpt::AllFeatures)
        .other_options(["--locked".to_owned()])
        .exec()?;
    let complaints: Vec<String> =
        metadata.packages.iter().filter_map(|package| judge(package).err()).collect();
    if !complaints.is_empty() {
        bail!("{}", complaints.join("\n"));
    }
    println!("   {} packages", metadata.packages.len());
    Ok(())
}

fn judge(package: &Package) -> Result<(), String> {
    judge_licence(package.license.as_deref())
        .map_err(|reason| format!("{} {}: {reason}", package.name, package.version))
}

fn judge_licence(licence: Option<&str>) -> Result<(), String> {
    let licence = licence.ok_or("its manifest names no licence")?;
    let expression = Expression::parse_mode(licence, MODE)
        .map_err(|error| format!("licence `{licence}` is not an SPDX expression: {}", error.reason))?;
    if expression.evaluate(is_allowed) {
        Ok(())
    } else {
        Err(format!("licence `{licence}` is not one that we accept"))
    }
}

fn is_allowed(required: &LicenseReq) -> bool {
    let licence = required.license.id().is_some_and(|id| ALLOWED.contains(&id.name));
    let addition = match &required.addition {
        None => true,
        Some(addition) => addition.id().is_some_and(|id| ALLOWED_ADDITIONS.contains(&id.name)),
    };
    licence && addition
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_accept() {
        for licence in [
            "MIT",
            "MIT OR Apache-2.0",
            "MIT/Apache-2.0",
            "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "MIT OR Apache-2.0 OR LGPL-2.1-or-later",
        ] {
            assert_eq!(judge_licence(Some(licence)), Ok(()), "{licence}");
        }
    }

    #[test]
    fn what_we_refuse_is_named() {
        for licence in ["GPL-3.0-only", "MIT AND MPL-2.0", "LicenseRef-Own", "AGPL-3.0-or-later OR SSPL-1.0"]
        {
            let reason = judge_licence(Some(licence)).unwrap_err();
            assert_eq!(reason, format!("licence `{licence}` is not one that we accept"));
        }
        assert!(judge_licence(Some("MIT or so")).unwrap_err().contains("not an SPDX expression"));
        assert_eq!(judge_licence(None).unwrap_err(), "its manifest names no licence");
    }
}
