//! Challenges for enrolments: what a wallet states of its element must have been stated just now.
//!
//! Nothing is kept of a challenge that was given out. It names its time and carries the operator's mark (HMAC-SHA-256,
//! RFC 2104, of which 8 bytes are kept), so that any process of one operator knows those of another, and asking for
//! challenges costs an operator nothing. One may be used by several enrolments while it is fresh: each names its own key
//! and is answered once.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use counterfoil_wire::Nonce;

/// How long a challenge can be answered, seconds. A wallet answers within moments; a person who must unlock a phone first
/// takes longer.
pub const CHALLENGE_S: u32 = 600;

/// How far a challenge may seem to come from the future, seconds: the clocks of an operator's machines differ.
const SKEW_S: u32 = 60;

/// What the mark is for: the key marks nothing else.
const PURPOSE: &[u8] = b"counterfoil enrolment challenge v1";

/// Marks challenges and knows them again.
#[derive(Clone)]
pub struct Challenges(Hmac<Sha256>);

impl Challenges {
    /// With the operator's secret.
    pub fn new(secret: &[u8; 32]) -> Self {
        // A key shorter than a block counts with zeros after it (RFC 2104, section 2).
        let mut block = [0; 64];
        block.iter_mut().zip(secret).for_each(|(to, from)| *to = *from);
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
        mac.update(PURPOSE);
        Self(mac)
    }

    /// A challenge of the moment `now_s`. `random` keeps two of one moment apart.
    pub fn give(&self, now_s: u32, random: [u8; 4]) -> Nonce {
        let mut bytes = [0; 16];
        let (head, mark) = bytes.split_at_mut(8);
        head.copy_from_slice(&[now_s.to_be_bytes(), random].concat());
        let made = self.0.clone().chain_update(&*head).finalize().into_bytes();
        mark.copy_from_slice(made.get(..8).unwrap_or_default());
        Nonce(bytes)
    }

    /// Whether `challenge` was given out by this operator and is fresh at `now_s`.
    pub fn is_open(&self, challenge: &Nonce, now_s: u32) -> bool {
        let (head, mark) = challenge.0.split_at(8);
        let given_s = head.first_chunk().map_or(0, |time| u32::from_be_bytes(*time));
        // In constant time.
        let marked = self.0.clone().chain_update(head).verify_truncated_left(mark).is_ok();
        marked && given_s <= now_s.saturating_add(SKEW_S) && now_s <= given_s.saturating_add(CHALLENGE_S)
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_open_for_ten_minutes_and_to_its_operator_alone() {
        let (ours, theirs) = (Challenges::new(&[1; 32]), Challenges::new(&[2; 32]));
        let given = ours.give(1_000, [7; 4]);
        for now_s in [940, 1_000, 1_600] {
            assert!(ours.is_open(&given, now_s), "{now_s}");
            assert!(!theirs.is_open(&given, now_s), "{now_s}");
        }
        for now_s in [0, 939, 1_601, u32::MAX] {
            assert!(!ours.is_open(&given, now_s), "{now_s}");
        }
        assert_ne!(given, ours.give(1_000, [8; 4]));
        assert!(!ours.is_open(&Nonce([0; 16]), 0));
    }

    #[test]
    fn every_bit_of_a_challenge_is_under_its_mark() {
        let challenges = Challenges::new(&[1; 32]);
        let given = challenges.give(1_000, [7; 4]);
        for bit in 0..128 {
            let mut bent = given;
            bent.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!challenges.is_open(&bent, 1_000), "{bit}");
        }
    }
}
