//! Android Key Attestation: what a phone's own security hardware says of the key that counts for a wallet.
//!
//! | module | noun |
//! |---|---|
//! | `chain` | certificates up to a root that the operator trusts |
//! | `description` | the extension in which the hardware describes the key |
//!
//! The hardware certifies a key together with what it will and will not do for it, and a challenge. Here the challenge is
//! the SHA-256 of the enrolment, so one chain speaks for one wallet key. What a good chain proves: a device with a locked
//! boot loader and a system that its maker signed runs the application that it names, and its hardware made a key that can be
//! used once. It does not prove that the wallet's own key lies there, nor that the system was not broken into after it
//! started.
//!
//! Sources: the Android documentation of key attestation and its ASN.1 schema (versions 1 to 400); RFC 5280.

mod chain;
mod description;

use std::collections::BTreeSet;

use counterfoil_trust::sha256;
use counterfoil_wire::Digest;
use counterfoil_wire::codec::Enc;
use serde::{Deserialize, Serialize};

use description::{Application, BootState, KeyDescription, SecurityLevel};

/// Why a chain is no evidence: for the operator's log, since callers see one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AttestationError {
    /// The operator trusts no root of Android.
    #[error("no root of Android Key Attestation is trusted here")]
    NotTrusted,
    /// The number of certificates, or the size of one, is out of bounds.
    #[error("the chain has too few or too many certificates, or a certificate is too large")]
    Size,
    /// A certificate is no DER, or not what RFC 5280 asks for.
    #[error("certificate {0} of the chain cannot be read")]
    Malformed(usize),
    /// A certificate is not by the next one in the chain.
    #[error("certificate {0} of the chain was not issued by the next one")]
    NotIssued(usize),
    /// A certificate is not valid at this time.
    #[error("certificate {0} of the chain is not valid now")]
    NotValidNow(usize),
    /// A certificate was revoked by who issued it.
    #[error("certificate {0} of the chain is revoked")]
    Revoked(usize),
    /// The chain ends in another root.
    #[error("the chain ends in no root that is trusted")]
    OtherRoot,
    /// The first certificate describes no key, or another one does.
    #[error("the first certificate describes no key, or another certificate does")]
    NoDescription,
    /// The description cannot be read.
    #[error("the description of the key cannot be read")]
    Description,
    /// The key was attested for something else.
    #[error("the key was attested for another enrolment")]
    OtherChallenge,
    /// Software made the key, or says what it is.
    #[error("no hardware speaks for the key")]
    NoHardware,
    /// The key was not made there, may be used more than once, or may be used for ever.
    #[error("the hardware does not bind the key to a single use")]
    NoCounter,
    /// The boot loader is unlocked, or the system is not the maker's.
    #[error("the device does not boot what its maker signed")]
    NotLocked,
    /// The application is not on the list, or is another one than the enrolment says.
    #[error("the application is not on the list, or is not the one that the enrolment names")]
    OtherApplication,
}

/// An application that may host wallets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AndroidApplication {
    /// Its package name.
    pub package: String,
    /// SHA-256 of the certificate that its packages are signed with, in hex.
    pub signer: String,
}

impl AndroidApplication {
    /// [`ElementStatement::application`](counterfoil_wire::element::ElementStatement::application) of this application:
    /// the SHA-256 of the deterministic CBOR array of package name and signer. `None` if the signer is no SHA-256.
    pub fn identity(&self) -> Option<Digest> {
        let mut signer = [0; 32];
        hex::decode_to_slice(&self.signer, &mut signer).ok()?;
        Some(identity(&self.package, &signer))
    }
}

fn identity(package: &str, signer: &[u8]) -> Digest {
    let mut e = Enc::new();
    e.array(2).text(package).bytes(signer);
    sha256(&e.finish())
}

/// What the operator trusts of Android.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AndroidPolicy {
    /// Public keys of roots: `SubjectPublicKeyInfo` (RFC 5280), as DER in hex.
    pub roots: BTreeSet<String>,
    /// Serial numbers of certificates that Google revoked or suspended, in lower-case hex without leading zeros.
    pub revoked: BTreeSet<String>,
    /// Applications that may host wallets.
    pub applications: Vec<AndroidApplication>,
}

/// Google's list of revoked certificates, as it is published.
#[derive(Deserialize)]
struct StatusList {
    entries: std::collections::BTreeMap<String, serde_json::Value>,
}

impl AndroidPolicy {
    /// A policy from the texts that an operator has: roots as PEM, Google's status list as JSON (empty for none).
    ///
    /// # Errors
    /// What is wrong with them, in words.
    pub fn read(
        roots: &[u8],
        status: &[u8],
        applications: Vec<AndroidApplication>,
    ) -> Result<Self, &'static str> {
        let roots = chain::keys_of_pem(roots).ok_or("the roots are no PEM certificates")?;
        if roots.is_empty() {
            return Err("there is no certificate among the roots");
        }
        if applications.is_empty() || applications.iter().any(|application| application.identity().is_none())
        {
            return Err("name at least one application, with the SHA-256 of its signer in hex");
        }
        let entries = if status.is_empty() {
            Default::default()
        } else {
            let list: StatusList = serde_json::from_slice(status)
                .map_err(|_| "the status list is not as Google publishes it")?;
            list.entries
        };
        // Every status that is listed is a reason to refuse: REVOKED and SUSPENDED are all there are.
        let plain = |serial: String| serial.trim_start_matches('0').to_ascii_lowercase();
        Ok(Self { roots, revoked: entries.into_keys().map(plain).collect(), applications })
    }
}

/// Checks that `certificates`, the leaf first, attest to a single-use key in the hardware of a locked device, made for
/// `challenge` by the application `application`.
///
/// # Errors
/// The first [`AttestationError`] in the order of their declaration.
pub fn check(
    policy: &AndroidPolicy,
    certificates: &[Vec<u8>],
    challenge: &Digest,
    application: &Digest,
    now_s: u32,
) -> Result<(), AttestationError> {
    if policy.roots.is_empty() {
        return Err(AttestationError::NotTrusted);
    }
    let extension = chain::check(policy, certificates, now_s)?;
    let key = KeyDescription::read(&extension).ok_or(AttestationError::Description)?;
    if key.challenge != challenge.0 {
        return Err(AttestationError::OtherChallenge);
    }
    let software = [key.attestation_level, key.keymint_level].contains(&SecurityLevel::Software);
    if software {
        return Err(AttestationError::NoHardware);
    }
    // A key that can be erased with a copy of the store put back, or that was imported, counts nothing.
    let hardware = &key.hardware;
    if !hardware.made_there || hardware.usage_count_limit != Some(1) {
        return Err(AttestationError::NoCounter);
    }
    let boots = hardware.boot.as_ref().is_some_and(|boot| boot.locked && boot.state == BootState::Verified);
    if !boots {
        return Err(AttestationError::NotLocked);
    }
    let listed = |attested: &Application| {
        let [package] = attested.packages.as_slice() else { return false };
        attested.signers.iter().any(|signer| {
            let found = identity(package, signer);
            found == *application && policy.applications.iter().any(|known| known.identity() == Some(found))
        })
    };
    if !key.application.as_ref().is_some_and(listed) {
        return Err(AttestationError::OtherApplication);
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test may fail loudly")]
mod tests;
