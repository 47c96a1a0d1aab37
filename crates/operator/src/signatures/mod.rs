//! Signatures of many statements, each checked once, on all cores.
//!
//! Payer and payee show the same payment, a wallet the same certificate with every payment of a day. So what is to be checked is
//! collected while statements are read ([`Collected`]), and then each signature that was not [seen](Seen) lately is checked once
//! ([`holding`]): P-256 by a library that is three times as quick at it as the one that a device uses, within the same strict
//! reading; Ed25519 in batches, with the outcome of the judge that devices use.

mod ed25519;
mod seen;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use counterfoil_trust::{Verifier, verify};
use counterfoil_wire::cert::{AuthorityCert, WalletCert};
use counterfoil_wire::{Error, PublicKey, Signature};
use rayon::prelude::*;

use seen::Name;
pub use seen::Seen;

/// Signatures in a batch: more make each hardly cheaper, and a false one dearer to find.
const BATCH_MAX: usize = 4096;

/// Half of the order of P-256, rounded down, big-endian: a strict `s` is not above it.
const P256_HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xde,
    0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];

/// A signature that somebody relies on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    key: PublicKey,
    message: Vec<u8>,
    signature: Signature,
}

impl Check {
    /// Whether it holds by the judge that devices use.
    fn holds_strictly(&self) -> bool {
        verify(&self.key, &self.message, &self.signature).is_ok()
    }
}

/// The names of those that hold. Keys are sent compressed, and making a point of one costs a tenth of a signature: once for each.
fn p256_hold(checks: &[(Name, &Check)]) -> Vec<Name> {
    let mut of_key: HashMap<&[u8], Vec<&(Name, &Check)>> = HashMap::new();
    for check in checks {
        of_key.entry(check.1.key.as_bytes()).or_default().push(check);
    }
    let of_keys = of_key.into_par_iter().flat_map(|(key, checks)| {
        let point = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).ok();
        checks.into_par_iter().copied().filter(move |(_, Check { message, signature, .. })| {
            let holds = |point: &ParsedPublicKey| point.verify_sig(message, &signature.0).is_ok();
            is_low(signature) && point.as_ref().is_some_and(holds)
        })
    });
    of_keys.map(|(name, _)| name).collect()
}

/// A strict signature has the lower of the two `s` that hold.
fn is_low(signature: &Signature) -> bool {
    signature.0.split_at(32).1 <= &P256_HALF_ORDER[..]
}

/// What one statement relies on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    checks: Vec<Check>,
    /// Certificates that are among them, by their signatures: a wallet shows the same one with every payment.
    certs: HashMap<[u8; 64], (AuthorityCert, WalletCert)>,
}

impl Verifier for Collected {
    fn verify(&mut self, key: &PublicKey, message: &[u8], signature: &Signature) -> Result<(), Error> {
        self.checks.push(Check { key: *key, message: message.to_vec(), signature: *signature });
        Ok(())
    }

    fn knows(&mut self, issuer: &AuthorityCert, cert: &WalletCert) -> bool {
        match self.certs.entry(cert.signature.0) {
            Entry::Occupied(known) => known.get().0 == *issuer && known.get().1 == *cert,
            Entry::Vacant(new) => {
                new.insert((issuer.clone(), cert.clone()));
                false
            }
        }
    }
}

impl Collected {
    /// Leaves out what has a name in `names` under the secret of `seen`, and adds the names of the rest.
    pub fn keep_new(&mut self, seen: &Seen, names: &mut HashSet<[u8; 16]>) {
        self.checks.retain(|check| names.insert(seen.name(check)));
    }
}

/// Whether all of it holds by the judge that devices use, one signature at a time on each core: what the rest is measured
/// against.
pub fn all_hold_strictly(collected: &Collected) -> bool {
    collected.checks.par_iter().all(Check::holds_strictly)
}

/// Which of `statements` rely on nothing but signatures that hold. What held is `seen` from now on.
pub fn holding(seen: &Seen, statements: &[Collected]) -> Vec<bool> {
    let named: Vec<Vec<(Name, &Check)>> = statements
        .par_iter()
        .map(|statement| statement.checks.iter().map(|check| (seen.name(check), check)).collect())
        .collect();
    let mut good = seen.of(named.iter().flatten().map(|(name, _)| name));
    // In the order of the statements: false ones stand together, and take few others with them.
    let mut once = good.clone();
    let new = named.iter().flatten().copied().filter(|(name, _)| once.insert(*name)).collect();
    let held = judge(new);
    seen.add(held.iter().copied());
    good.extend(held);
    named.iter().map(|checks| checks.iter().all(|(name, _)| good.contains(name))).collect()
}

/// The names of those that hold: Ed25519 in large batches, one or more for each core, P-256 one by one.
fn judge(checks: Vec<(Name, &Check)>) -> Vec<Name> {
    let (p256, ed25519): (Vec<_>, Vec<_>) =
        checks.into_iter().partition(|(_, check)| matches!(check.key, PublicKey::P256(_)));
    let mut held: Vec<Name> = p256_hold(&p256);
    let batch = ed25519.len().div_ceil(rayon::current_num_threads()).clamp(1, BATCH_MAX);
    held.par_extend(ed25519.par_chunks(batch).flat_map_iter(|chunk| {
        let checks: Vec<&Check> = chunk.iter().map(|(_, check)| *check).collect();
        let names = chunk.iter().map(|(name, _)| *name);
        names
            .zip(ed25519::hold(&checks))
            .filter(|(_, holds)| *holds)
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
    }));
    held
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use aws_lc_rs::signature::UnparsedPublicKey;
    use counterfoil_trust::SigningKey;
    use counterfoil_wire::Algorithm;
    use proptest::prelude::*;

    fn check(algorithm: Algorithm, secret: u8, message: &[u8]) -> Check {
        let key = SigningKey::from_secret(algorithm, &[secret; 32]).unwrap();
        Check { key: key.public(), message: message.to_vec(), signature: key.sign(message, &[3; 32]) }
    }

    impl Collected {
        fn of(checks: Vec<Check>) -> Self {
            Self { checks, ..Self::default() }
        }
    }

    fn holds(check: &Check) -> bool {
        holding(&Seen::new().unwrap(), &[Collected::of(vec![check.clone()])]) == [true]
    }

    /// `n - s` for the order `n`: the other signature that lenient verifiers take.
    fn other_s(s: &[u8]) -> [u8; 32] {
        let order = P256_HALF_ORDER.iter().rev().fold((1u16, Vec::new()), |(carry, mut bytes), half| {
            let doubled = u16::from(*half) * 2 + carry;
            bytes.push((doubled & 0xff) as u8);
            (doubled >> 8, bytes)
        });
        let mut borrow = 0i16;
        let mut out = [0; 32];
        for (at, from) in order.1.iter().enumerate() {
            let difference = i16::from(*from) - i16::from(s[31 - at]) - borrow;
            borrow = i16::from(difference < 0);
            out[31 - at] = difference.rem_euclid(256) as u8;
        }
        out
    }

    #[test]
    fn a_high_s_holds_for_neither() {
        let mut check = check(Algorithm::Es256, 7, b"message");
        assert!(holds(&check) && check.holds_strictly());
        let high = other_s(&check.signature.0[32..]);
        check.signature.0[32..].copy_from_slice(&high);
        let lenient = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, check.key.as_bytes());
        lenient.verify(&check.message, &check.signature.0).unwrap();
        assert!(!holds(&check) && !check.holds_strictly());
        for s in [P256_HALF_ORDER, [0; 32], [0xff; 32]] {
            check.signature.0[32..].copy_from_slice(&s);
            assert_eq!(holds(&check), check.holds_strictly());
        }
    }

    proptest! {
        #[test]
        fn both_judges_agree_on_whatever_they_are_shown(
            es256: bool, secret in 1u8..255, message: Vec<u8>, at in 0usize..98, flip: u8, whole: Option<[u8; 32]>,
        ) {
            let algorithm = if es256 { Algorithm::Es256 } else { Algorithm::EdDsa };
            let mut check = check(algorithm, secret, &message);
            prop_assert!(holds(&check));
            match (at.checked_sub(64), &mut check.key, whole) {
                (None, _, Some(half)) => check.signature.0[at / 32 * 32..at / 32 * 32 + 32].copy_from_slice(&half),
                (None, _, None) => check.signature.0[at] ^= flip,
                (Some(at), PublicKey::P256(key), _) => key[at % 33] ^= flip,
                (Some(at), PublicKey::Ed25519(key), _) => key[at % 32] ^= flip,
            }
            prop_assert_eq!(holds(&check), check.holds_strictly());
        }
    }

    #[test]
    fn one_run_of_bytes_under_two_kinds_of_key_is_two_checks() {
        let es256 = check(Algorithm::Es256, 2, b"message");
        let bytes = [es256.key.as_bytes(), &es256.signature.0[..], &es256.message[..]].concat();
        let eddsa = Check {
            key: PublicKey::Ed25519(*bytes.first_chunk().unwrap()),
            signature: Signature(*bytes[32..].first_chunk().unwrap()),
            message: bytes[96..].to_vec(),
        };
        let of = |check: &Check| Collected::of(vec![check.clone()]);
        let seen = Seen::new().unwrap();
        assert_ne!(seen.name(&es256), seen.name(&eddsa));
        assert_eq!(holding(&seen, &[of(&es256), of(&eddsa)]), [true, false]);
        assert_eq!(holding(&seen, &[of(&eddsa), of(&es256)]), [false, true]);
    }

    #[test]
    fn one_bad_signature_spoils_its_own_statement_alone() {
        let of = |check: &Check| Collected::of(vec![check.clone()]);
        let good = check(Algorithm::EdDsa, 1, b"shared");
        let other = check(Algorithm::Es256, 2, b"other");
        let bad = Check { message: b"altered".to_vec(), ..other.clone() };
        let mixed = Collected::of(vec![good.clone(), bad.clone()]);
        let seen = Seen::new().unwrap();
        let all = [of(&good), of(&bad), mixed, of(&other), of(&good)];
        // The second time what held is known, and what did not is checked again.
        for _ in 0..2 {
            assert_eq!(holding(&seen, &all), [true, false, false, true, true]);
        }
        assert_eq!(holding(&seen, &[Collected::default()]), [true]);
    }
}
