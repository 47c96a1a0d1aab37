//! What the operator does about a key that misbehaved without asking anybody.
//!
//! A case always suspends its wallet at its next sync. Revoking the key goes further: no device takes its payments any more, and what
//! it owes is booked as a loss. Where a proof convinces any device, or a loss must be borne, the key is revoked; where a fault of the
//! phone looks the same as an attack, the operator chooses.

use std::collections::BTreeSet;

use super::reason::Reason;

/// Which cases revoke a key. By default all that the protocol knows but a gap, which a lost disk makes too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    chosen: BTreeSet<Reason>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { chosen: BTreeSet::from([Reason::RolledBack]) }
    }
}

impl Policy {
    /// Cases that always revoke: the first two are proven to anybody, for the third somebody pays.
    pub const ALWAYS: &'static [Reason] = &[Reason::Forked, Reason::Equivocated, Reason::Overspent];
    /// Cases of which the operator chooses whether they revoke.
    pub const CHOSEN: &'static [Reason] = &[Reason::RolledBack, Reason::Gap];

    /// Whether a case for `reason` revokes the key.
    pub fn revokes(&self, reason: Reason) -> bool {
        Self::ALWAYS.contains(&reason) || self.chosen.contains(&reason)
    }

    /// Has cases for `reason` revoke the key, or suspend the wallet alone; `false` if that is not the operator's to choose.
    #[must_use]
    pub fn choose(&mut self, reason: Reason, revokes: bool) -> bool {
        if !Self::CHOSEN.contains(&reason) {
            return false;
        }
        if revokes {
            self.chosen.insert(reason)
        } else {
            self.chosen.remove(&reason)
        };
        true
    }

    /// The choice as it is stored: the names of the reasons that revoke.
    pub fn to_text(&self) -> String {
        self.chosen.iter().map(|reason| reason.name()).collect::<Vec<_>>().join(" ")
    }

    /// Reads what [`Policy::to_text`] wrote.
    pub fn from_text(text: &str) -> Option<Self> {
        let reason = |name| Self::CHOSEN.iter().copied().find(|reason| reason.name() == name);
        Some(Self { chosen: text.split_whitespace().map(reason).collect::<Option<_>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_back_and_no_other_is_made() {
        let mut policy = Policy::default();
        for reason in Reason::ALL.iter().copied() {
            for revokes in [false, true, false] {
                let before = policy.clone();
                assert_eq!(policy.choose(reason, revokes), Policy::CHOSEN.contains(&reason));
                match Policy::CHOSEN.contains(&reason) {
                    true => assert_eq!(policy.revokes(reason), revokes),
                    false => assert_eq!(policy, before),
                }
                assert_eq!(Policy::from_text(&policy.to_text()), Some(policy.clone()));
            }
        }
        assert_eq!(policy.to_text(), "");
        assert!(Policy::ALWAYS.iter().all(|reason| policy.revokes(*reason)));
        for damaged in ["forked", "gap rolled-back x", "Gap", "gap,rolled-back"] {
            assert_eq!(Policy::from_text(damaged), None);
        }
    }
}
