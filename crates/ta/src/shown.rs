//! Headers of payments shown here, by payer: where it is found out that a payer signed what no honest wallet signs twice.
//!
//! Beside each header stands an index of the end of its interval. The intervals in the index share no unit, so a new one
//! overlaps none but the first that ends after the new one begins: looking for it costs the same however much the payer paid
//! here. An interval that overlaps another is not indexed; the two headers are a proof, and that is kept.

use alloc::vec::Vec;

use counterfoil_trust::conflict;
use counterfoil_wire::header::Extra;
use counterfoil_wire::proof::SignedHeader;
use counterfoil_wire::{Digest, Error, KeyId, Wire};

use crate::env::{Batch, Store};
use crate::state::{keys, read, read_all, store_error};

/// The storage prefix of headers shown by a payer.
pub(crate) fn headers_of(payer: &KeyId) -> Vec<u8> {
    keys::of(b'h', &[&payer.0])
}

fn header_key(payer: &KeyId, seq: u32, id: &Digest) -> Vec<u8> {
    keys::of(b'h', &[&payer.0, &seq.to_be_bytes(), &id.0])
}

fn end_key(payer: &KeyId, end_minor: u64) -> Vec<u8> {
    keys::of(b's', &[&payer.0, &end_minor.to_be_bytes()])
}

/// A header shown here that an honest wallet would not have signed beside `header`, which is of `payer`.
pub(crate) fn contradiction<S: Store>(
    store: &S,
    payer: &KeyId,
    header: &SignedHeader,
) -> Result<Option<SignedHeader>, Error> {
    let same_seq = keys::of(b'h', &[&payer.0, &header.header.seq.to_be_bytes()]);
    let forked = read_all::<SignedHeader, _>(store, &same_seq)?;
    if let Some((_, held)) = forked.into_iter().find(|(_, held)| conflict(held, header).is_some()) {
        return Ok(Some(held));
    }
    let Extra::Spending { spent, amount } = header.header.extra else { return Ok(None) };
    // An interval (c, d] can overlap (a, b] only where d > a.
    let first_end = spent.minus_or_zero(amount).minor().saturating_add(1);
    let prefix = keys::of(b's', &[&payer.0]);
    let after = store.first(&prefix, &end_key(payer, first_end)).map_err(store_error)?;
    let Some((_, place)) = after else { return Ok(None) };
    let held = read::<SignedHeader, _>(store, &place)?;
    Ok(held.filter(|held| conflict(held, header).is_some()))
}

/// Keeps a header that was shown; `indexed` where it contradicts none that is held.
pub(crate) fn keep(batch: &mut Batch, payer: &KeyId, header: &SignedHeader, id: &Digest, indexed: bool) {
    let place = header_key(payer, header.header.seq, id);
    if let Extra::Spending { spent, .. } = header.header.extra
        && indexed
    {
        batch.put(end_key(payer, spent.minor()), place.clone());
    }
    batch.put(place, header.to_bytes());
}

/// Forgets a header.
pub(crate) fn forget<S: Store>(
    store: &S,
    batch: &mut Batch,
    payer: &KeyId,
    seq: u32,
    id: &Digest,
) -> Result<(), Error> {
    let place = header_key(payer, seq, id);
    if let Some(held) = read::<SignedHeader, _>(store, &place)?
        && let Extra::Spending { spent, .. } = held.header.extra
    {
        let end = end_key(payer, spent.minor());
        if store.get(&end).map_err(store_error)?.is_some_and(|indexed| indexed == place) {
            batch.delete(end);
        }
    }
    batch.delete(place);
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use crate::env::StoreError;
    use alloc::collections::BTreeMap;
    use core::cell::Cell;
    use counterfoil_trust::{Misbehaviour, key_id, sha256};
    use counterfoil_wire::header::{Header, Purpose};
    use counterfoil_wire::{Amount, PublicKey, Signature};
    use proptest::prelude::*;

    /// Entries in memory; counts those that a look-up went through.
    #[derive(Default)]
    struct Memory {
        entries: BTreeMap<Vec<u8>, Vec<u8>>,
        visited: Cell<usize>,
    }

    impl Store for Memory {
        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            Ok(self.entries.get(key).cloned())
        }
        fn scan(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
            for (key, value) in self.entries.iter().filter(|(key, _)| key.starts_with(prefix)) {
                self.visited.set(self.visited.get() + 1);
                visit(key, value);
            }
            Ok(())
        }
        fn first(&self, prefix: &[u8], from: &[u8]) -> Result<Option<crate::env::Entry>, StoreError> {
            self.visited.set(self.visited.get() + 1);
            let first = self.entries.range(from.to_vec()..).next();
            Ok(first
                .filter(|(key, _)| key.starts_with(prefix))
                .map(|(key, value)| (key.clone(), value.clone())))
        }
        fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
            for (key, value) in batch.ops() {
                match value {
                    Some(value) => self.entries.insert(key.clone(), value.clone()),
                    None => self.entries.remove(key),
                };
            }
            Ok(())
        }
    }

    fn payment(payer: u8, seq: u32, from: u64, to: u64) -> SignedHeader {
        let (spent, amount) = (Amount::new(to).unwrap(), Amount::new(to - from).unwrap());
        let header = Header {
            purpose: Purpose::Payment,
            key: PublicKey::Ed25519([payer; 32]),
            seq,
            prev: Digest::NONE,
            digest: sha256(&[to.to_be_bytes(), from.to_be_bytes()].concat()),
            extra: Extra::Spending { spent, amount },
        };
        SignedHeader { header, signature: Signature([0; 64]) }
    }

    fn id(header: &SignedHeader) -> Digest {
        sha256(&header.to_bytes())
    }

    fn show(store: &mut Memory, header: &SignedHeader) -> Option<SignedHeader> {
        let payer = key_id(&header.header.key);
        let other = contradiction(store, &payer, header).unwrap();
        let mut batch = Batch::new();
        keep(&mut batch, &payer, header, &id(header), other.is_none());
        store.commit(&batch).unwrap();
        other
    }

    fn any_payment() -> impl Strategy<Value = SignedHeader> {
        (0u8..2, 1u32..30, 0u64..60, 1u64..8)
            .prop_map(|(payer, seq, from, amount)| payment(payer, seq, from, from + amount))
    }

    proptest! {
        #[test]
        fn the_index_finds_what_comparing_with_every_header_finds(
            shown in prop::collection::vec((any_payment(), any::<bool>()), 1..40),
        ) {
            let mut store = Memory::default();
            let mut held: Vec<SignedHeader> = Vec::new();
            let mut cheats: Vec<PublicKey> = Vec::new();
            for (header, forgets) in shown {
                let contradicted = held.iter().any(|held| conflict(held, &header).is_some());
                let found = show(&mut store, &header);
                if let Some(found) = &found {
                    prop_assert!(conflict(found, &header).is_some());
                    prop_assert!(held.contains(found));
                }
                // Once a proof is kept, nothing more needs to be found.
                if !cheats.contains(&header.header.key) {
                    prop_assert_eq!(found.is_some(), contradicted);
                }
                if contradicted {
                    cheats.push(header.header.key);
                }
                held.push(header);
                if forgets {
                    let gone = held.remove(0);
                    held.retain(|held| *held != gone);
                    let (mut batch, of) = (Batch::new(), &gone.header);
                    forget(&store, &mut batch, &key_id(&of.key), of.seq, &id(&gone)).unwrap();
                    store.commit(&batch).unwrap();
                }
            }
            for gone in held {
                let (mut batch, of) = (Batch::new(), &gone.header);
                forget(&store, &mut batch, &key_id(&of.key), of.seq, &id(&gone)).unwrap();
                store.commit(&batch).unwrap();
            }
            prop_assert!(store.entries.is_empty());
        }
    }

    #[test]
    fn looking_costs_the_same_after_ten_thousand_payments_of_one_payer() {
        let mut store = Memory::default();
        let mut visited = Vec::new();
        for seq in 1..=10_000u64 {
            store.visited.set(0);
            assert!(show(&mut store, &payment(1, seq as u32, seq * 5, seq * 5 + 5)).is_none());
            visited.push(store.visited.get());
        }
        assert!(visited.iter().all(|visited| *visited == 1), "{:?}", visited.iter().max());
        let other = show(&mut store, &payment(1, 20_000, 24_999, 25_003)).unwrap();
        assert_eq!(conflict(&other, &payment(1, 20_000, 24_999, 25_003)), Some(Misbehaviour::Overlap));
    }
}
