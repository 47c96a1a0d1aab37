//! Every item ends with one reason code and one owner.

use serde::{Deserialize, Serialize};

/// Why an item stands where it stands. Numbers are stored and never used again.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Both halves are here.
    Matched = 1,
    /// The payee's half is awaited.
    PayerOnly = 2,
    /// The payer's half is awaited; the payment itself is proof enough to credit the payee.
    PayeeOnly = 3,
    /// The payee will never take it; the payer has it back or will reclaim it.
    Declined = 4,
    /// The operator gave it back.
    Refunded = 5,
    /// The payer's key signed two branches of its journal; both stand for who took them.
    Forked = 6,
    /// The payee's key both took and declined it.
    Equivocated = 7,
    /// The wallet continued from an older state.
    RolledBack = 8,
    /// The statement does not continue what is known.
    Gap = 9,
    /// More was spent than was there.
    Overspent = 10,
    /// It was claimed after the claim window, or after the operator had given it back.
    Late = 11,
    /// The payer's key was revoked when it was claimed.
    Revoked = 12,
}

/// Who has to do something about an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// Nobody: it is closed.
    Nobody,
    /// The payer, by its next sync.
    Payer,
    /// The payee, by its next sync.
    Payee,
    /// The PSP of the payer.
    PayerPsp,
    /// The PSP of the payee.
    PayeePsp,
    /// The operator.
    Operator,
}

impl Reason {
    /// Every reason, in order of its number.
    pub const ALL: &'static [Reason] = &[
        Reason::Matched,
        Reason::PayerOnly,
        Reason::PayeeOnly,
        Reason::Declined,
        Reason::Refunded,
        Reason::Forked,
        Reason::Equivocated,
        Reason::RolledBack,
        Reason::Gap,
        Reason::Overspent,
        Reason::Late,
        Reason::Revoked,
    ];

    /// The reason with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| *reason as u8 == number)
    }

    /// The word for messages and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Matched => "matched",
            Self::PayerOnly => "payer-only",
            Self::PayeeOnly => "payee-only",
            Self::Declined => "declined",
            Self::Refunded => "refunded",
            Self::Forked => "forked",
            Self::Equivocated => "equivocated",
            Self::RolledBack => "rolled-back",
            Self::Gap => "gap",
            Self::Overspent => "overspent",
            Self::Late => "late",
            Self::Revoked => "revoked",
        }
    }

    /// Who has to act.
    pub const fn owner(self) -> Owner {
        match self {
            Self::Matched | Self::Refunded => Owner::Nobody,
            Self::PayerOnly => Owner::Payee,
            Self::PayeeOnly | Self::Declined => Owner::Payer,
            Self::Forked | Self::RolledBack | Self::Gap | Self::Overspent | Self::Revoked => Owner::PayerPsp,
            Self::Equivocated => Owner::PayeePsp,
            Self::Late => Owner::Operator,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_distinct_and_read_back() {
        for (at, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, at + 1);
            assert_eq!(Reason::from_number(*reason as u8), Some(*reason));
        }
    }
}
