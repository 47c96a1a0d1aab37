//! A platform that keeps counters, in memory, and that can be made to break its contract: for tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::counter::PlatformCounting;

/// How a platform breaks its contract from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Its counters are other counters.
    OtherIdentity,
    /// Its counters are named by zeros.
    NoIdentity,
    /// It says that it counted, and did not.
    DoesNotCount,
    /// Its counters are one behind.
    GoesBack,
    /// It does nothing but fail.
    Fails,
}

#[derive(Debug, Default)]
struct Kept {
    counters: BTreeMap<String, u64>,
    lie: Option<Lie>,
    evidence: Option<Vec<Vec<u8>>>,
    challenges: Vec<[u8; 32]>,
}

/// Counters in memory. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct SimulatedPlatform(Arc<Mutex<Kept>>);

impl SimulatedPlatform {
    /// Breaks the contract from now on, or keeps it again.
    pub fn lie(&self, lie: Option<Lie>) {
        self.kept().lie = lie;
    }

    /// Attests with these certificates from now on, whatever the challenge.
    pub fn attest_with(&self, chain: Vec<Vec<u8>>) {
        self.kept().evidence = Some(chain);
    }

    /// The challenges that it was asked to attest to.
    pub fn challenges(&self) -> Vec<[u8; 32]> {
        self.kept().challenges.clone()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn honest(&self) -> Result<MutexGuard<'_, Kept>, String> {
        let kept = self.kept();
        if kept.lie == Some(Lie::Fails) { Err("the keystore is busy".to_owned()) } else { Ok(kept) }
    }
}

impl PlatformCounting for SimulatedPlatform {
    fn identity(&self, label: &str) -> Result<[u8; 16], String> {
        let salt = match self.honest()?.lie {
            Some(Lie::NoIdentity) => return Ok([0; 16]),
            Some(Lie::OtherIdentity) => "other",
            _ => "",
        };
        let digest = Sha256::digest([label.as_bytes(), salt.as_bytes()].concat());
        Ok(digest.first_chunk().copied().unwrap_or_default())
    }

    fn value(&self, label: &str) -> Result<u64, String> {
        let kept = self.honest()?;
        let value = kept.counters.get(label).copied().unwrap_or(0);
        Ok(value.saturating_sub(u64::from(kept.lie == Some(Lie::GoesBack))))
    }

    fn increment(&self, label: &str) -> Result<(), String> {
        let mut kept = self.honest()?;
        let by = u64::from(kept.lie != Some(Lie::DoesNotCount));
        let value = kept.counters.entry(label.to_owned()).or_default();
        *value = value.saturating_add(by);
        Ok(())
    }

    fn attest(&self, _label: &str, challenge: &[u8; 32]) -> Result<Option<Vec<Vec<u8>>>, String> {
        let mut kept = self.honest()?;
        kept.challenges.push(*challenge);
        Ok(kept.evidence.clone())
    }
}
