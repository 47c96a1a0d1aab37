//! Many Ed25519 signatures at once, with the outcome of strict verification.
//!
//! A signature `(R, s)` of a message under the key `A` is strictly good if `s` is below the order of the base point `B`, `R` and `A`
//! are encoded in their one way and not of small order, and `s B - k A - R = 0`, with `k` the hash of all of it (RFC 8032 section
//! 5.1.7, without the cofactor). For a batch one looks at a random combination of the left sides instead:
//!
//! `sum of z_i (s_i B - k_i A_i - R_i) = 0`, each `z_i` of 128 random bits (Bernstein, Duif, Lange, Schwabe and Yang, *High-speed
//! high-security signatures*, section 5)
//!
//! which a false signature passes once in 2^128, *in the subgroup of prime order*. Outside it that does not hold: the curve has eight
//! times as many points, and what `R` or `A` has of the other part vanishes under a factor that is a multiple of its order, so
//! one time in two. A signature made so would be good for the operator and bad for a phone. So the points are tested first: for
//! random sets of them the sum of each set must be in the subgroup. If any point is not, the sum of a random set is not
//! either, at least every second time: whatever the other points contribute, it is right either with this one or without it,
//! never both. [`SETS`] sets leave one chance in 2^64, which is taken online, with a key that is suspended for the first miss.
//!
//! A batch that does not pass says nothing about any one signature in it: [`hold`] then asks for its halves, down to a few that
//! are verified one by one, by the judge that devices use.

use std::collections::HashMap;

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{Identity as _, IsIdentity as _, VartimeMultiscalarMul as _};
use sha2::{Digest as _, Sha512};

use super::Check;

/// Sets of points whose sums are tested.
const SETS: usize = 64;
/// Fewer are as quick one by one.
const FEW: usize = 32;

/// Which of `checks` hold, all of them under Ed25519 keys.
pub(super) fn hold(checks: &[&Check]) -> Vec<bool> {
    hold_by(checks, &mut |checks| all_hold(checks).unwrap_or(false), &mut Check::holds_strictly)
}

/// Which hold by a judge of many, whose yes is the yes of all, and a judge of one.
fn hold_by(
    checks: &[&Check],
    all: &mut dyn FnMut(&[&Check]) -> bool,
    one: &mut dyn FnMut(&Check) -> bool,
) -> Vec<bool> {
    if checks.len() <= FEW {
        return checks.iter().map(|check| one(check)).collect();
    }
    if all(checks) {
        return vec![true; checks.len()];
    }
    let (first, second) = checks.split_at(checks.len() / 2);
    let mut halves = hold_by(first, all, one);
    halves.extend(hold_by(second, all, one));
    halves
}

/// `Some(true)` if all hold. Else one does not, or cannot be told from one that does not, or there is no randomness.
fn all_hold(checks: &[&Check]) -> Option<bool> {
    let mut random = vec![0; checks.len() * 16];
    getrandom::fill(&mut random).ok()?;
    let mut keys: HashMap<&[u8; 32], (EdwardsPoint, Scalar)> = HashMap::new();
    let mut scalars = Vec::with_capacity(checks.len() + 1);
    let mut points = Vec::with_capacity(checks.len() + 1);
    let mut base = Scalar::ZERO;
    for (check, random) in checks.iter().zip(random.as_chunks::<16>().0) {
        let counterfoil_wire::PublicKey::Ed25519(key) = &check.key else { return None };
        let (r, s) = check.signature.0.split_first_chunk::<32>()?;
        let s: Scalar = Option::from(Scalar::from_canonical_bytes(s.try_into().ok()?))?;
        let hash = Sha512::new().chain_update(r).chain_update(key).chain_update(&check.message);
        let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
        let z = Scalar::from(u128::from_le_bytes(*random));
        let of_key = match keys.entry(key) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => entry.insert((point(key)?, Scalar::ZERO)),
        };
        of_key.1 += z * k;
        base += z * s;
        scalars.push(z);
        points.push(point(r)?);
    }
    for (key, of_key) in keys.into_values() {
        points.push(key);
        scalars.push(of_key);
    }
    if !are_in_subgroup(&points)? {
        return Some(false);
    }
    let rest = EdwardsPoint::vartime_multiscalar_mul(scalars, points);
    Some((EdwardsPoint::mul_base(&base) - rest).is_identity())
}

/// The point with this encoding, if it is the one way to encode it; not the neutral one. Of the points of small order no other
/// is in the subgroup.
fn point(bytes: &[u8; 32]) -> Option<EdwardsPoint> {
    let [low, middle @ .., high] = bytes;
    let reduced = *low < 0xed || high & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff);
    let point = CompressedEdwardsY(*bytes).decompress()?;
    (reduced && !point.is_identity()).then_some(point)
}

/// Whether all points are in the subgroup of prime order, by [`SETS`] sums of random sets. A byte of randomness says in which of
/// eight sets a point is: points with the same byte are added up first, so that each is added once for eight sets.
fn are_in_subgroup(points: &[EdwardsPoint]) -> Option<bool> {
    let mut sets = vec![0; points.len()];
    for _ in 0..SETS / 8 {
        getrandom::fill(&mut sets).ok()?;
        let mut sums = [EdwardsPoint::identity(); 256];
        for (point, set) in points.iter().zip(&sets) {
            *sums.get_mut(usize::from(*set))? += point;
        }
        for bit in 0..8 {
            let in_set = sums.iter().enumerate().filter(|(set, _)| set >> bit & 1 == 1);
            let sum: EdwardsPoint = in_set.map(|(_, sum)| sum).sum();
            if !sum.is_torsion_free() {
                return Some(false);
            }
        }
    }
    Some(true)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use counterfoil_trust::SigningKey;
    use counterfoil_wire::{Algorithm, PublicKey, Signature};
    use curve25519_dalek::constants::EIGHT_TORSION;
    use proptest::prelude::*;

    fn good(at: usize) -> Check {
        let secret = u8::try_from(at % 7 + 1).unwrap();
        let key = SigningKey::from_secret(Algorithm::EdDsa, &[secret; 32]).unwrap();
        let message = at.to_le_bytes().to_vec();
        Check { key: key.public(), signature: key.sign(&message, &[3; 32]), message }
    }

    /// A signature by somebody who knows the secret and adds points of small order to the key and to `R`: with a cofactor it
    /// holds.
    fn twisted(at: usize, of_key: usize, of_r: usize) -> Check {
        let (secret, nonce) = (Scalar::from(at as u64 + 5), Scalar::from(at as u64 + 99));
        let key = (EdwardsPoint::mul_base(&secret) + EIGHT_TORSION[of_key]).compress().0;
        let r = (EdwardsPoint::mul_base(&nonce) + EIGHT_TORSION[of_r]).compress().0;
        let message = at.to_le_bytes().to_vec();
        let hash = Sha512::new().chain_update(r).chain_update(key).chain_update(&message);
        let s = nonce + Scalar::from_bytes_mod_order_wide(&hash.finalize().into()) * secret;
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&r);
        signature[32..].copy_from_slice(s.as_bytes());
        Check { key: PublicKey::Ed25519(key), signature: Signature(signature), message }
    }

    #[derive(Debug, Clone)]
    enum Kind {
        Good,
        Twisted { of_key: usize, of_r: usize },
        Bent { at: usize, bit: u8 },
        Whole { half: usize, bytes: [u8; 32] },
    }

    fn kind() -> impl Strategy<Value = Kind> {
        let edge = prop_oneof![
            Just([0; 32]),
            Just([0xff; 32]),
            (0usize..8).prop_map(|at| EIGHT_TORSION[at].compress().0),
            (0xe0u8..=0xff, any::<bool>()).prop_map(|(low, sign)| {
                let mut bytes = [0xff; 32];
                (bytes[0], bytes[31]) = (low, if sign { 0xff } else { 0x7f });
                bytes
            }),
        ];
        prop_oneof![
            40 => Just(Kind::Good),
            2 => (0usize..8, 0usize..8).prop_map(|(of_key, of_r)| Kind::Twisted { of_key, of_r }),
            1 => (0usize..96, 0u8..8).prop_map(|(at, bit)| Kind::Bent { at, bit }),
            1 => (0usize..3, edge).prop_map(|(half, bytes)| Kind::Whole { half, bytes }),
        ]
    }

    fn made(at: usize, kind: &Kind) -> Check {
        let mut check = good(at);
        let PublicKey::Ed25519(key) = &mut check.key else { unreachable!() };
        match kind {
            Kind::Good => {}
            Kind::Twisted { of_key, of_r } => return twisted(at, *of_key, *of_r),
            Kind::Bent { at, bit } if *at < 64 => check.signature.0[*at] ^= 1 << bit,
            Kind::Bent { at, bit } => key[at - 64] ^= 1 << bit,
            Kind::Whole { half: 2, bytes } => *key = *bytes,
            Kind::Whole { half, bytes } => {
                check.signature.0[half * 32..half * 32 + 32].copy_from_slice(bytes)
            }
        }
        check
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn together_they_are_judged_as_one_by_one(kinds in prop::collection::vec(kind(), 0..160)) {
            let checks: Vec<Check> = kinds.iter().enumerate().map(|(at, kind)| made(at, kind)).collect();
            let singly: Vec<bool> = checks.iter().map(Check::holds_strictly).collect();
            prop_assert_eq!(hold(&checks.iter().collect::<Vec<_>>()), singly);
        }
    }

    #[test]
    fn a_run_of_false_ones_costs_itself_and_little_more() {
        let mut checks: Vec<Check> = (0..4096).map(good).collect();
        for check in &mut checks[1000..1500] {
            check.message.push(1);
        }
        let (mut batched, mut singly) = (0, 0);
        let held = hold_by(
            &checks.iter().collect::<Vec<_>>(),
            &mut |checks| {
                batched += checks.len();
                checks.iter().all(|check| check.message.len() == 8)
            },
            &mut |check| {
                singly += 1;
                check.message.len() == 8
            },
        );
        assert_eq!(held.iter().filter(|holds| !**holds).count(), 500);
        assert!(singly <= 500 + 4 * FEW && batched <= 4 * 4096, "{singly} {batched}");
    }

    #[test]
    fn a_point_outside_the_subgroup_is_found_however_it_is_hidden() {
        let many: Vec<Check> = (0..200).map(good).collect();
        for hidden in [
            // One, two that cancel each other, eight that add up to nothing; in R, in the key, in both.
            vec![twisted(1, 0, 4)],
            vec![twisted(1, 0, 4), twisted(2, 0, 4)],
            (0..8).map(|at| twisted(at, 0, 1)).collect(),
            vec![twisted(1, 4, 0), twisted(2, 4, 0)],
            vec![twisted(1, 4, 4), twisted(1, 4, 4)],
        ] {
            let checks: Vec<&Check> = many.iter().chain(&hidden).collect();
            for _ in 0..8 {
                assert_eq!(all_hold(&checks), Some(false));
            }
        }
        assert_eq!(all_hold(&many.iter().collect::<Vec<_>>()), Some(true));
    }
}
