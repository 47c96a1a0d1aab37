//! Which signatures held lately, so that one that is shown again is not checked again: both parties show a payment, and a statement
//! whose answer was lost comes once more.

use std::collections::HashSet;
use std::mem::take;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use super::Check;
use crate::error::{Refusal, random};

/// Names that one of the two generations holds: as many as fill a table of 2^18 places, some 9 MiB for both.
const GENERATION: usize = (1 << 18) / 8 * 7;

/// Tells a check from every other. Made under a secret of this process, so that nobody can look for two checks of one name.
pub(super) type Name = [u8; 16];

/// Signatures that held. The memory is bounded: when a generation is full, the one before is forgotten.
#[derive(Debug)]
pub struct Seen {
    secret: [u8; 32],
    size: usize,
    generations: Mutex<[HashSet<Name>; 2]>,
}

impl Seen {
    /// Nothing was seen.
    ///
    /// # Errors
    /// [`Refusal::Random`].
    pub fn new() -> Result<Self, Refusal> {
        Ok(Self { secret: random()?, size: GENERATION, generations: Mutex::default() })
    }

    /// Keys are of two lengths, so the algorithm goes first: without it the bytes of a check under one kind of key could be those of
    /// another check under the other, which would be judged by the first.
    pub(super) fn name(&self, check: &Check) -> Name {
        let algorithm = check.key.algorithm().name().as_bytes();
        let parts = [&self.secret[..], algorithm, check.key.as_bytes(), &check.signature.0, &check.message];
        let hash = parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize();
        hash.first_chunk().copied().unwrap_or_default()
    }

    /// Those of `names` that were seen.
    pub(super) fn of<'a>(&self, names: impl Iterator<Item = &'a Name>) -> HashSet<Name> {
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        names.filter(|name| generations.iter().any(|seen| seen.contains(*name))).copied().collect()
    }

    pub(super) fn add(&self, names: impl Iterator<Item = Name>) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let [newer, older] = &mut *generations;
        for name in names {
            if newer.len() >= self.size {
                *older = take(newer);
            }
            newer.insert(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_lately_is_known_and_what_is_kept_is_bounded() {
        let seen = Seen { size: 100, ..Seen::new().unwrap() };
        let name = |at: u32| {
            let mut name = [0; 16];
            name[..4].copy_from_slice(&at.to_le_bytes());
            name
        };
        for from in (0..1_000).step_by(50) {
            seen.add((from..from + 50).map(name));
            let lately: Vec<Name> = (0..from + 50).rev().take(100).map(name).collect();
            assert_eq!(seen.of(lately.iter()).len(), lately.len());
            assert!(seen.generations.lock().unwrap().iter().map(HashSet::len).sum::<usize>() <= 200);
        }
        assert!(seen.of([name(0), name(5_000)].iter()).is_empty());
    }
}
