//! The store beside a map that cannot lose anything.

use counterfoil_ta::env::{Batch, Store, StoreError};
use counterfoil_tre::SealedStore;
use counterfoil_tre::medium::FileName;
use counterfoil_tre::store::{GARBAGE_BYTES_MAX, STATE_BYTES_MAX};
use counterfoil_tre::testing::{FaultyMedium, Operation, Survival, open_store};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What a store ought to hold.
pub(crate) type Model = BTreeMap<Vec<u8>, Vec<u8>>;

pub(crate) fn apply(model: &mut Model, batch: &Batch) {
    for (key, value) in batch.ops() {
        match value {
            Some(value) => model.insert(key.clone(), value.clone()),
            None => model.remove(key),
        };
    }
}

pub(crate) fn contents(store: &SealedStore<FaultyMedium>) -> Model {
    let mut all = Model::new();
    store.scan(&[], &mut |key, value| assert!(all.insert(key.to_vec(), value.to_vec()).is_none())).unwrap();
    all
}

pub(crate) fn put(key: &str, value: &[u8]) -> Batch {
    let mut batch = Batch::new();
    batch.put(key, value);
    batch
}

#[derive(Debug, Clone)]
enum Step {
    Commit(Batch),
    Compact,
    Reopen,
    PowerCycle(u64),
}

fn batch() -> impl Strategy<Value = Batch> {
    let key = proptest::collection::vec(0u8..3, 0..3);
    let value = proptest::option::weighted(0.7, proptest::collection::vec(any::<u8>(), 0..40));
    proptest::collection::vec((key, value), 0..6).prop_map(|ops| {
        let mut batch = Batch::new();
        for (key, value) in ops {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            }
        }
        batch
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => batch().prop_map(Step::Commit),
        1 => Just(Step::Compact),
        1 => Just(Step::Reopen),
        1 => any::<u64>().prop_map(Step::PowerCycle),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_a_durable_map(
        counted in any::<bool>(),
        steps in proptest::collection::vec(step(), 1..24),
    ) {
        let medium = FaultyMedium::new();
        let mut store = open_store(&medium, "w", counted).unwrap();
        let mut model = Model::new();
        for step in steps {
            match step {
                Step::Commit(batch) => {
                    store.commit(&batch).unwrap();
                    apply(&mut model, &batch);
                }
                Step::Compact => store.compact().unwrap(),
                Step::Reopen => store = open_store(&medium, "w", counted).unwrap(),
                Step::PowerCycle(seed) => {
                    medium.power_cycle(Survival::Mixed(seed));
                    store = open_store(&medium, "w", counted).unwrap();
                }
            }
            prop_assert_eq!(&contents(&store), &model);
            for prefix in [&[][..], &[1], &[1, 2]] {
                let mut seen = Vec::new();
                store.scan(prefix, &mut |key, _| seen.push(key.to_vec())).unwrap();
                let due: Vec<_> = model.keys().filter(|key| key.starts_with(prefix)).cloned().collect();
                prop_assert_eq!(&seen, &due);
                for from in [&[][..], &[1, 1], &[2], &[9, 9, 9, 9]] {
                    let found = store.first(prefix, from).unwrap().map(|(key, _)| key);
                    prop_assert_eq!(found.as_ref(), due.iter().find(|key| key.as_slice() >= from));
                }
            }
            let probe = [2, 1];
            prop_assert_eq!(store.get(&probe).unwrap(), model.get(&probe[..]).cloned());
        }
    }
}

fn appended_bytes(history: &[Operation]) -> usize {
    history.iter().map(|op| if let Operation::Append(_, len) = op { *len } else { 0 }).sum()
}

#[test]
fn a_commit_costs_the_same_however_much_is_stored() {
    let medium = FaultyMedium::new();
    let mut store = open_store(&medium, "w", false).unwrap();
    let mut cost = |n: u32| {
        medium.clear_history();
        store.commit(&put(&format!("key {n:08}"), &[1; 100])).unwrap();
        medium.history()
    };
    cost(0);
    let second = cost(1);
    assert_eq!(second.len(), 2, "one append and one sync: {second:?}");
    for n in 2..10_000 {
        cost(n);
    }
    assert_eq!(cost(10_000).iter().map(|op| op.steps()).sum::<usize>(), appended_bytes(&second) + 1);
}

#[test]
fn each_byte_is_written_at_most_twice() {
    let medium = FaultyMedium::new();
    let mut store = open_store(&medium, "w", false).unwrap();
    store.commit(&put("ballast", &vec![1; 100_000])).unwrap();
    medium.clear_history();
    let mut committed = 0;
    for n in 0..2_000u32 {
        store.commit(&put("again", &vec![n as u8; 1_000])).unwrap();
        committed += 1_000 + 52 + 9 + 5;
    }
    let history = medium.history();
    let compactions = history.iter().filter(|op| matches!(op, Operation::Rename(..))).count();
    assert!(compactions >= 3, "{compactions}");
    assert!(appended_bytes(&history) <= 2 * committed, "{} for {committed}", appended_bytes(&history));
    let len: usize = medium.files().values().map(Vec::len).sum();
    assert!(len as u64 <= 2 * 102_000 + GARBAGE_BYTES_MAX + 2_000, "{len}");
    assert_eq!(contents(&open_store(&medium, "w", false).unwrap()).len(), 2);
}

#[test]
fn an_empty_batch_writes_nothing() {
    let medium = FaultyMedium::new();
    let mut store = open_store(&medium, "w", true).unwrap();
    store.commit(&Batch::new()).unwrap();
    assert!(medium.files().is_empty() && medium.history().is_empty());
}

#[test]
fn a_full_medium_refuses_and_the_store_goes_on() {
    for counted in [false, true] {
        let medium = FaultyMedium::new();
        let mut store = open_store(&medium, "w", counted).unwrap();
        store.commit(&put("a", b"1")).unwrap();
        let len: usize = medium.files().values().map(Vec::len).sum();
        medium.set_capacity_bytes(Some(len + 100));
        assert_eq!(store.commit(&put("b", &[2; 500])), Err(StoreError::Full));
        assert_eq!(store.get(b"b").unwrap(), None);
        assert_eq!(store.compact(), Err(StoreError::Full));
        store.commit(&put("c", b"3")).unwrap();
        medium.set_capacity_bytes(None);
        medium.power_cycle(Survival::Nothing);
        let again = open_store(&medium, "w", counted).unwrap();
        assert_eq!(contents(&again), contents(&store));
        assert_eq!(again.report().torn_tail_bytes, 0);
    }
}

#[test]
fn a_state_past_its_bound_is_full() {
    let medium = FaultyMedium::new();
    let mut store = open_store(&medium, "w", false).unwrap();
    store.commit(&put("a", &[0; 100])).unwrap();
    assert_eq!(store.commit(&put("b", &vec![0; STATE_BYTES_MAX - 50])), Err(StoreError::Full));
    store.commit(&put("c", b"goes on")).unwrap();
}

#[test]
fn after_an_error_every_call_fails_until_reopened() {
    let medium = FaultyMedium::new();
    let mut store = open_store(&medium, "w", false).unwrap();
    store.commit(&put("a", b"1")).unwrap();
    medium.clear_history();
    medium.cut_at(1, 0);
    assert_eq!(store.commit(&put("b", b"2")), Err(StoreError::Io));
    medium.restart_process();
    assert!(store.fault().is_some());
    assert_eq!(store.get(b"a"), Err(StoreError::Io));
    assert_eq!(store.scan(b"", &mut |_, _| ()), Err(StoreError::Io));
    assert_eq!(store.commit(&put("c", b"3")), Err(StoreError::Io));
    assert_eq!(store.compact(), Err(StoreError::Io));
    assert!(open_store(&medium, "w", false).is_ok());
}

#[test]
fn the_files_and_debug_show_no_value() {
    let medium = FaultyMedium::new();
    let mut store = open_store(&medium, "w", false).unwrap();
    store.commit(&put("secret name", b"secret value")).unwrap();
    store.compact().unwrap();
    for (name, bytes) in medium.files() {
        assert_ne!(name, FileName::Draft);
        assert!(!bytes.windows(6).any(|w| w == b"secret"));
    }
    assert!(!format!("{store:?}").contains("secret"));
}
