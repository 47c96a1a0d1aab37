//! The certificate factory: who gets which certificate, for how long.

use counterfoil_trust::{SigningKey, key_id, x509};
use counterfoil_wire::cert::{AuthorityCert, Grade, Name, Role, RootCert, WalletCert};
use counterfoil_wire::rules::Limits;
use counterfoil_wire::{Amount, Currency, Signature};

use crate::domain::wallet::Wallet;
use crate::error::{Refusal, random};

/// Days that the root is valid.
pub const ROOT_LIFETIME_D: u16 = 20 * 365;
/// Days that an authority is valid.
pub const AUTHORITY_LIFETIME_D: u16 = 10 * 365;
/// Status indexes of one issuer.
pub const INDEXES: u32 = 1 << 26;
/// A new certificate is valid from a little before it was asked for: the clocks of phones differ, and certificates
/// renewed within one second must still differ in their serial numbers.
pub const BACKDATE_S: u32 = 300;

const UNSIGNED: Signature = Signature([0; 64]);
const ALL_GRADES: u8 =
    Grade::Hardware.bit() | Grade::VirtualSeBound.bit() | Grade::VirtualSe.bit() | Grade::Terminal.bit();

/// The scheme's root.
///
/// # Errors
/// [`Refusal::Random`].
pub fn root(name: Name, key: &SigningKey, now_s: u32) -> Result<RootCert, Refusal> {
    let from_s = now_s.saturating_sub(BACKDATE_S).saturating_sub(BACKDATE_S);
    Ok(x509::issue_root(name, from_s, ROOT_LIFETIME_D, key, &random()?))
}

/// An authority of the first trust list. The `place`-th issuer has status indexes of its own.
///
/// # Errors
/// [`Refusal::Random`].
pub fn authority(
    role: Role,
    name: Name,
    key: &SigningKey,
    place: u32,
    root: (&RootCert, &SigningKey),
    now_s: u32,
) -> Result<AuthorityCert, Refusal> {
    let first = if role == Role::Issuer { place.saturating_mul(INDEXES) } else { 0 };
    let unsigned = AuthorityCert {
        role,
        name,
        not_before_s: now_s.saturating_sub(BACKDATE_S).saturating_sub(BACKDATE_S),
        lifetime_d: AUTHORITY_LIFETIME_D,
        since: 1,
        grades: if role == Role::Issuer { ALL_GRADES } else { 0 },
        index_first: first,
        index_last: if role == Role::Issuer { first.saturating_add(INDEXES - 1) } else { 0 },
        key: key.public(),
        signature: UNSIGNED,
    };
    Ok(x509::issue_authority(unsigned, root.1, root.0, &random()?))
}

/// A wallet's next certificate. It starts later than the one before, so that their serial numbers differ.
///
/// # Errors
/// [`Refusal::Random`].
pub fn wallet(
    wallet: &Wallet,
    name: Name,
    currency: Currency,
    limits: &Limits,
    ceiling: Amount,
    issuer: (&AuthorityCert, &SigningKey),
    now_s: u32,
) -> Result<WalletCert, Refusal> {
    let unsigned = WalletCert {
        issuer: key_id(&issuer.0.key),
        not_before_s: now_s.saturating_sub(BACKDATE_S).max(wallet.cert_from_s.saturating_add(1)),
        lifetime_h: limits.cert_lifetime_h,
        status_index: wallet.status_index,
        grade: wallet.grade,
        currency,
        ceiling,
        key: wallet.key,
        name,
        signature: UNSIGNED,
    };
    Ok(x509::issue_wallet(unsigned, issuer.1, issuer.0, &random()?))
}
