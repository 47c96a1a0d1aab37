//! The scheme's root as a file: the one thing that a holder must get over a path that is trusted.

use std::path::Path;

use anyhow::{Context, Result, bail};
use counterfoil_wallet::channel::file::read_message;
use counterfoil_wire::Wire;
use counterfoil_wire::cert::RootCert;

/// Reads a root and checks that it vouches for itself.
pub(crate) fn read_root(path: &Path) -> Result<RootCert> {
    let bytes = read_message(path).with_context(|| format!("cannot read the root in {}", path.display()))?;
    if bytes.starts_with(b"-----BEGIN") || bytes.starts_with(&[0x30, 0x82]) {
        bail!(
            "{} is the X.509 form of a certificate; give the operator's operator-root.cbor",
            path.display()
        );
    }
    let root = RootCert::from_bytes(&bytes)
        .with_context(|| format!("{} does not hold the root of a scheme", path.display()))?;
    counterfoil_trust::x509::verify_root(&root)?;
    Ok(root)
}
