//! What a wallet runs in, as far as the operator knows, and what follows from it: which grade it may claim, and what a
//! report of tampering costs it.

use counterfoil_wire::cert::Grade;
use counterfoil_wire::element::{CounterKind, ElementStatement, Tamper};
use counterfoil_wire::rules::{Rules, TamperAnswer};
use counterfoil_wire::sync::Standing;
use counterfoil_wire::{Digest, Nonce};

use super::wallet::Wallet;

/// What speaks for an element besides its host. Numbers are stored and never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// Nothing does.
    HostsWord = 1,
    /// A chain of Android Key Attestation.
    AndroidKey = 2,
}

impl Evidence {
    /// The word for command lines and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HostsWord => "hosts-word",
            Self::AndroidKey => "android-key-attestation",
        }
    }

    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::HostsWord),
            2 => Some(Self::AndroidKey),
            _ => None,
        }
    }
}

/// What a wallet was enrolled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// SHA-256 of the image; [`Digest::NONE`] for one that runs natively.
    pub image: Digest,
    /// The image's version; 0 for one that runs natively.
    pub image_version: u32,
    /// The application that hosts it.
    pub application: Digest,
    /// What keeps an older copy of its state from being put back.
    pub counter: CounterKind,
    /// What speaks for that.
    pub evidence: Evidence,
}

impl Element {
    /// An element as its host described it, and what else speaks for it.
    pub const fn of(stated: &ElementStatement, evidence: Evidence) -> Self {
        Self {
            image: stated.image,
            image_version: stated.image_version,
            application: stated.application,
            counter: stated.counter,
            evidence,
        }
    }

    /// One about which nothing is known.
    pub const fn unknown() -> Self {
        Self::of(&ElementStatement::native(CounterKind::None, Nonce([0; 16])), Evidence::HostsWord)
    }

    /// Whether a key in this element may be certified under `grade`. The host's word binds a grade to a device in a sandbox
    /// alone, and not even there where the counter can be copied with the state that it counts.
    pub fn may_claim(&self, grade: Grade, sandbox: bool) -> bool {
        let told = sandbox && (self.counter.is_device_bound() || self.counter == CounterKind::Simulated);
        match grade {
            Grade::VirtualSe | Grade::Terminal => true,
            Grade::VirtualSeBound => {
                told || (self.counter == CounterKind::Platform && self.evidence == Evidence::AndroidKey)
            }
            Grade::Hardware => told && self.counter != CounterKind::Tpm,
        }
    }
}

/// Answers a wallet's report by the rules. The last report stays with the wallet for people to read; a lowered wallet stays
/// lowered until its PSP lifts it, whatever it reports next. Its value is not touched: what a revoked wallet had comes back
/// when it is closed.
pub fn answer_tamper(wallet: &mut Wallet, tamper: Tamper, rules: &Rules, now_s: u32) -> TamperAnswer {
    (wallet.tamper, wallet.tamper_at_s) = (Some(tamper), now_s);
    let answer = rules.tamper_answer(tamper);
    match answer {
        TamperAnswer::Clear => {}
        TamperAnswer::Lower => wallet.lowered = true,
        TamperAnswer::Revoke => {
            wallet.revoked = true;
            wallet.standing = Standing::Suspended;
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use counterfoil_wire::rules::Preset;

    #[test]
    fn a_grade_follows_the_counter_and_what_speaks_for_it() {
        let with = |counter, evidence| Element { counter, evidence, ..Element::unknown() };
        let word = Evidence::HostsWord;
        for counter in [CounterKind::None, CounterKind::File] {
            for sandbox in [true, false] {
                assert!(!with(counter, word).may_claim(Grade::VirtualSeBound, sandbox));
                assert!(!with(counter, Evidence::AndroidKey).may_claim(Grade::VirtualSeBound, sandbox));
                assert!(!with(counter, word).may_claim(Grade::Hardware, sandbox));
                assert!(with(counter, word).may_claim(Grade::VirtualSe, sandbox));
                assert!(with(counter, word).may_claim(Grade::Terminal, sandbox));
            }
        }
        for counter in [CounterKind::Tpm, CounterKind::Platform, CounterKind::Chip, CounterKind::Simulated] {
            assert!(with(counter, word).may_claim(Grade::VirtualSeBound, true));
            assert!(!with(counter, word).may_claim(Grade::VirtualSeBound, false));
            assert!(!with(counter, word).may_claim(Grade::Hardware, false));
        }
        assert!(with(CounterKind::Platform, Evidence::AndroidKey).may_claim(Grade::VirtualSeBound, false));
        assert!(!with(CounterKind::Tpm, Evidence::AndroidKey).may_claim(Grade::VirtualSeBound, false));
        assert!(!with(CounterKind::Tpm, word).may_claim(Grade::Hardware, true));
    }

    #[test]
    fn every_report_has_the_answer_that_the_rules_give_it() {
        let rules = Preset::Permissive.rules();
        let key = counterfoil_trust::SigningKey::from_secret(counterfoil_wire::Algorithm::EdDsa, &[3; 32]);
        let key = key.unwrap().public();
        for tamper in [Tamper::Seal, Tamper::Runtime, Tamper::Hooked, Tamper::Rooted] {
            let mut wallet = Wallet::new(key, "alpha", "ann", Grade::VirtualSe, 0);
            let answer = answer_tamper(&mut wallet, tamper, &rules, 9);
            assert_eq!(answer, rules.tamper_answer(tamper));
            assert_eq!((wallet.tamper, wallet.tamper_at_s), (Some(tamper), 9));
            let state = (wallet.lowered, wallet.revoked, wallet.is_good());
            assert_eq!(
                state,
                match answer {
                    TamperAnswer::Clear => (false, false, true),
                    TamperAnswer::Lower => (true, false, true),
                    TamperAnswer::Revoke => (false, true, false),
                }
            );
        }
    }
}
