//! What the operator knows of one wallet or terminal.

use counterfoil_trust::key_id;
use counterfoil_wire::cert::Grade;
use counterfoil_wire::element::Tamper;
use counterfoil_wire::sync::Standing;
use counterfoil_wire::{Algorithm, Amount, Digest, KeyId, PublicKey};

use super::element::Element;

/// A wallet or terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wallet {
    /// Name of its key.
    pub id: KeyId,
    /// Its key.
    pub key: PublicKey,
    /// The PSP behind it.
    pub psp: String,
    /// The account behind it, as the PSP names it.
    pub account: String,
    /// Display name in its certificates.
    pub name: String,
    /// Protection of the key.
    pub grade: Grade,
    /// Where revocation lists speak of it.
    pub status_index: u32,
    /// Gross total that its statements account for, from the random start.
    pub spent: Amount,
    /// Last statement that was settled; 0 is none.
    pub acked_seq: u32,
    /// Identifier of that statement.
    pub acked: Digest,
    /// The balance that the last statement claimed, and the ledger may know more of.
    pub claimed: Amount,
    /// Funding that the wallet had applied at its last statement.
    pub funding_applied: Amount,
    /// Funding ever granted.
    pub funding_total: Amount,
    /// Highest fund order that was decided.
    pub order_no: u32,
    /// Balance of its ledger account, minor units: what evidence says it holds.
    pub shadow: i64,
    /// Part of its losses that nobody got back, minor units.
    pub loss: u64,
    /// How many times a loss was posted or recovered: names the next one.
    pub loss_no: u32,
    /// Who bears its losses: a PSP, or the scheme.
    pub liable: Option<String>,
    /// Whether it may go on.
    pub standing: Standing,
    /// Whether its key is to be on the revocation list.
    pub revoked: bool,
    /// Whether the PSP unblocked the PIN and the wallet has not heard of it.
    pub pin_unblock: bool,
    /// Start of its newest certificate, seconds since 1970.
    pub cert_from_s: u32,
    /// End of its newest certificate, seconds since 1970.
    pub cert_until_s: u32,
    /// Operator's time at its last sync, seconds since 1970.
    pub synced_at_s: u32,
    /// Number of the first one-time request that it may still take payments for.
    pub closed_below: u32,
    /// Its lower bound of time, seconds since 1970.
    pub closed_before_s: u32,
    /// Defundings that could not be paid out and that the wallet has not taken back: journal number and amount.
    pub returned: Vec<(u32, Amount)>,
    /// Takings that were paid out and that the terminal has not deducted.
    pub paid_out: Amount,
    /// When its PSP closed it, seconds since 1970; 0 while it is open.
    pub closed_at_s: u32,
    /// Unspent balance that was returned since it was closed.
    pub closed_out: Amount,
    /// How many times it was returned: names the next.
    pub closed_out_no: u32,
    /// What it was enrolled in.
    pub element: Element,
    /// The last tampering that it reported.
    pub tamper: Option<Tamper>,
    /// When it did, seconds since 1970; 0 if it never did.
    pub tamper_at_s: u32,
    /// Whether it may spend the lowered part of its limits alone.
    pub lowered: bool,
}

impl Wallet {
    /// A wallet that is new to the operator: nothing has moved, and it has no certificate yet.
    pub fn new(key: PublicKey, psp: &str, account: &str, grade: Grade, status_index: u32) -> Self {
        Self {
            id: key_id(&key),
            key,
            psp: psp.to_owned(),
            account: account.to_owned(),
            name: String::new(),
            grade,
            status_index,
            spent: Amount::ZERO,
            acked_seq: 0,
            acked: Digest::NONE,
            claimed: Amount::ZERO,
            funding_applied: Amount::ZERO,
            funding_total: Amount::ZERO,
            order_no: 0,
            shadow: 0,
            loss: 0,
            loss_no: 0,
            liable: None,
            standing: Standing::Good,
            revoked: false,
            pin_unblock: false,
            cert_from_s: 0,
            cert_until_s: 0,
            synced_at_s: 0,
            closed_below: 0,
            closed_before_s: 0,
            returned: Vec::new(),
            paid_out: Amount::ZERO,
            closed_at_s: 0,
            closed_out: Amount::ZERO,
            closed_out_no: 0,
            element: Element::unknown(),
            tamper: None,
            tamper_at_s: 0,
            lowered: false,
        }
    }

    /// The algorithm of its key, which is also its issuer's.
    pub fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    /// Its shadow where that is not below zero.
    pub fn shadow_or_zero(&self) -> Amount {
        Amount::new(u64::try_from(self.shadow).unwrap_or(0)).unwrap_or(Amount::MAX)
    }

    /// Whether its PSP closed it.
    pub fn is_closed(&self) -> bool {
        self.closed_at_s > 0
    }

    /// Whether it may go on.
    pub fn is_good(&self) -> bool {
        self.standing == Standing::Good
    }
}
