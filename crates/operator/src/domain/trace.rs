//! Where counterfeit value went.
//!
//! Money has no marks: once a wallet has spent more than it had, and whoever was paid has paid on, nothing says which unit was which.
//! So each wallet passes on, of what it ever received, the same share to everybody (the *haircut* of those who trace coins; Moeser,
//! Boehme, Breuker: Towards Risk Scoring of Bitcoin Transactions, 2014). That needs no order of events, which two journals do not
//! have in common, and adds up at every step: what arrived is held, in flight, cashed out or passed on.

use std::collections::BTreeMap;

use counterfoil_wire::KeyId;
use serde::Serialize;

/// Steps from wallet to wallet that are followed.
pub const HOPS_MAX: u8 = 8;
/// Wallets that are looked at.
const WALLETS_MAX: usize = 1_000;

/// What ever went through a wallet, minor units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flows {
    /// All that it was credited but for its own payments that came back.
    pub received: u64,
    /// What it sent and has come to rest nowhere.
    pub in_flight: u64,
    /// What went from it to the account behind it.
    pub cashed_out: u64,
    /// What others have of it, and in how many payments.
    pub passed_on: Vec<(KeyId, u64, u64)>,
    /// Whether `passed_on` names everybody.
    pub whole: bool,
}

/// Value on its way from one wallet to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Leg {
    /// 1 for the first step.
    pub hop: u8,
    /// Whose key paid, in hex.
    pub from: String,
    /// Whose key was paid, in hex.
    pub to: String,
    /// Payments between the two.
    pub payments: u64,
    /// Their sum, minor units.
    pub amount: u64,
    /// The counterfeit part of it.
    pub traced: u64,
}

/// Where counterfeit value is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Rest {
    /// The wallet, in hex.
    pub key_id: String,
    /// Its PSP.
    pub psp: Option<String>,
    /// The account behind it.
    pub account: Option<String>,
    /// Still in the wallet, or passed on farther than was followed, minor units.
    pub held: u64,
    /// Sent and at rest nowhere.
    pub in_flight: u64,
    /// Paid out to the account.
    pub cashed_out: u64,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Trace {
    /// What was created, minor units: the sum of all rests.
    pub counterfeit: u64,
    /// From wallet to wallet, hop by hop.
    pub legs: Vec<Leg>,
    /// Where it is, the greatest first.
    pub rests: Vec<Rest>,
    /// Whether all of it was followed to where it is.
    pub whole: bool,
}

/// Follows `counterfeit` minor units that `source` passed on as `first` tells, for `hops` steps. `flows` tells what went through another
/// wallet.
///
/// # Errors
/// Those of `flows`.
pub fn trace<E>(
    (source, first): (KeyId, Flows),
    counterfeit: u64,
    hops: u8,
    mut flows: impl FnMut(&KeyId) -> Result<Flows, E>,
) -> Result<Trace, E> {
    let mut found = Trace { counterfeit, whole: true, ..Trace::default() };
    let mut rests: BTreeMap<KeyId, Rest> = BTreeMap::new();
    let mut looked_at: BTreeMap<KeyId, Flows> = BTreeMap::new();
    // All that the source passed on came from what it had no right to.
    let passed_on = first.passed_on.iter().map(|(_, amount, _)| *amount);
    let spread = passed_on.chain([first.in_flight, first.cashed_out]).fold(0, u64::saturating_add);
    let mut arrived = BTreeMap::from([(source, counterfeit)]);
    looked_at.insert(source, Flows { received: spread.max(counterfeit), ..first });
    for hop in 1..=hops.min(HOPS_MAX) {
        let mut next: BTreeMap<KeyId, u64> = BTreeMap::new();
        for (key, traced) in std::mem::take(&mut arrived) {
            if !looked_at.contains_key(&key) && looked_at.len() >= WALLETS_MAX {
                found.whole = false;
                rests.entry(key).or_default().held += traced;
                continue;
            }
            let through = match looked_at.entry(key) {
                std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::btree_map::Entry::Vacant(new) => new.insert(flows(&key)?),
            };
            found.whole &= through.whole;
            let mut left = traced;
            let mut part = |amount: u64| {
                let part = share(traced, amount, through.received).min(left);
                left -= part;
                part
            };
            let rest = rests.entry(key).or_default();
            rest.in_flight += part(through.in_flight);
            rest.cashed_out += part(through.cashed_out);
            for (to, amount, payments) in &through.passed_on {
                let traced = part(*amount);
                if traced > 0 {
                    *next.entry(*to).or_default() += traced;
                    let (from, to) = (key.to_string(), to.to_string());
                    found.legs.push(Leg { hop, from, to, payments: *payments, amount: *amount, traced });
                }
            }
            rest.held += left;
        }
        arrived = next;
    }
    for (key, traced) in arrived {
        found.whole = false;
        rests.entry(key).or_default().held += traced;
    }
    let at = |(key, rest): (KeyId, Rest)| Rest { key_id: key.to_string(), ..rest };
    let somewhere = |rest: &Rest| rest.held > 0 || rest.in_flight > 0 || rest.cashed_out > 0;
    found.rests = rests.into_iter().map(at).filter(somewhere).collect();
    found.rests.sort_by_key(|rest| std::cmp::Reverse(rest.held + rest.in_flight + rest.cashed_out));
    Ok(found)
}

/// `traced` times `amount` by `whole`, rounded down: what is left over stays where it arrived.
fn share(traced: u64, amount: u64, whole: u64) -> u64 {
    let product = u128::from(traced) * u128::from(amount);
    let share = product.checked_div(u128::from(whole)).unwrap_or_default();
    u64::try_from(share).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    fn key(n: u8) -> KeyId {
        KeyId([n; 32])
    }

    fn flows(received: u64, in_flight: u64, cashed_out: u64, passed_on: &[(u8, u64)]) -> Flows {
        let passed_on = passed_on.iter().map(|(to, amount)| (key(*to), *amount, 1)).collect();
        Flows { received, in_flight, cashed_out, passed_on, whole: true }
    }

    fn follow(source: Flows, counterfeit: u64, hops: u8, others: &[(u8, Flows)]) -> Trace {
        let others: BTreeMap<KeyId, Flows> =
            others.iter().map(|(who, flows)| (key(*who), flows.clone())).collect();
        let of = |who: &KeyId| Ok::<_, Infallible>(others.get(who).cloned().unwrap_or_default());
        let Ok(found) = trace((key(1), source), counterfeit, hops, of);
        found
    }

    fn rests(found: &Trace) -> Vec<(String, u64, u64, u64)> {
        let of = |rest: &Rest| (rest.key_id[..2].to_owned(), rest.held, rest.in_flight, rest.cashed_out);
        found.rests.iter().map(of).collect()
    }

    #[test]
    fn each_wallet_passes_on_the_same_share_to_everybody() {
        // 1 spent 300 twice: 300 of the 600 are counterfeit. 2 had 300 more of its own, and gave half of all it had to 4.
        let source = flows(300, 0, 0, &[(2, 300), (3, 300)]);
        let two = flows(600, 60, 100, &[(4, 300)]);
        let three = flows(300, 0, 300, &[]);
        let four = flows(300, 0, 0, &[]);
        let found =
            follow(source.clone(), 300, 4, &[(2, two.clone()), (3, three.clone()), (4, four.clone())]);
        let legs: Vec<(u8, u64, u64)> =
            found.legs.iter().map(|leg| (leg.hop, leg.amount, leg.traced)).collect();
        assert_eq!(legs, [(1, 300, 150), (1, 300, 150), (2, 300, 75)]);
        assert_eq!(
            rests(&found),
            [("03".into(), 0, 0, 150), ("02".into(), 35, 15, 25), ("04".into(), 75, 0, 0)]
        );
        assert!(found.whole);
        // Not followed to the end, the rest is where it was last seen.
        let found = follow(source, 300, 1, &[(2, two), (3, three), (4, four)]);
        assert_eq!(rests(&found), [("02".into(), 150, 0, 0), ("03".into(), 150, 0, 0)]);
        assert!(!found.whole);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_on_the_way_whatever_the_books_say(
            counterfeit in 0u64..10_000,
            hops in 0u8..10,
            all in prop::collection::vec(
                (0u64..5_000, 0u64..900, 0u64..900, prop::collection::vec((0u8..6, 0u64..3_000), 0..4)), 6)
        ) {
            let of = |(received, in_flight, cashed_out, passed_on): &(_, _, _, Vec<(u8, u64)>)| {
                flows(*received, *in_flight, *cashed_out, passed_on)
            };
            let others: Vec<(u8, Flows)> = (0u8..).zip(all.iter().map(of)).collect();
            let found = follow(of(&all[1]), counterfeit, hops, &others);
            let sum: u64 = found.rests.iter().map(|rest| rest.held + rest.in_flight + rest.cashed_out).sum();
            prop_assert_eq!(sum, counterfeit);
            prop_assert!(found.legs.iter().all(|leg| leg.hop <= hops.min(HOPS_MAX) && leg.traced > 0));
        }
    }
}
