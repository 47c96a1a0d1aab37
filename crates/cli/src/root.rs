//! The scheme's root as a file: the one thing that a holder must get over a path that is trusted.

use std::path::Path;

use anyhow::{Result, bail};
use counterfoil_wallet::WalletError;
use counterfoil_wallet::channel::file::read_message;
use counterfoil_wire::Wire;
use counterfoil_wire::cert::RootCert;

use crate::output::Trouble;

fn no_root(what: String) -> Trouble {
    Trouble {
        name: "NotARoot",
        fault: "caller",
        what,
        next: "give the operator's operator-root.cbor".to_owned(),
    }
}

/// Reads a root and checks that it vouches for itself.
pub(crate) fn read_root(path: &Path) -> Result<RootCert> {
    let bytes = read_message(path).map_err(WalletError::from)?;
    if bytes.starts_with(b"-----BEGIN") || bytes.starts_with(&[0x30, 0x82]) {
        bail!(no_root(format!("{} is the X.509 form of a certificate", path.display())));
    }
    let root = RootCert::from_bytes(&bytes)
        .map_err(|_| no_root(format!("{} does not hold the root of a scheme", path.display())))?;
    counterfoil_trust::x509::verify_root(&root)
        .map_err(|_| no_root(format!("the root in {} does not vouch for itself", path.display())))?;
    Ok(root)
}
