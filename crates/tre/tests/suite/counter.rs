//! What the counter makes of crashes, copies, and its own loss.

use crate::model::{contents, put};
use counterfoil_ta::env::{Batch, Freshness, Store, StoreError};
use counterfoil_tre::store::{StaleReason, StoreFault, StoreOpenError};
use counterfoil_tre::testing::{FaultyMedium, Files, Operation, Survival, open_store};
use counterfoil_tre::{Counter, CounterKind};

fn wallet() -> FaultyMedium {
    let medium = FaultyMedium::new();
    open_store(&medium, "w", true).unwrap().commit(&put("balance", b"100")).unwrap();
    medium
}

/// Commits up to and including the sync, but not the advance; the power is then cut.
fn commit_without_answer(medium: &FaultyMedium, value: &[u8]) {
    let mut store = open_store(medium, "w", true).unwrap();
    medium.clear_history();
    medium.cut_at(2, 0);
    assert_eq!(store.commit(&put("paid to", value)), Err(StoreError::Io));
    assert_eq!(medium.history()[2], Operation::Advance);
    medium.power_cycle(Survival::Nothing);
}

fn paid_to(medium: &FaultyMedium) -> (Freshness, Option<Vec<u8>>) {
    let store = open_store(medium, "w", true).unwrap();
    (store.freshness(), store.get(b"paid to").unwrap())
}

#[test]
fn the_counter_advances_after_the_frame_is_synced_and_before_the_answer() {
    let medium = wallet();
    let mut store = open_store(&medium, "w", true).unwrap();
    medium.clear_history();
    store.commit(&put("a", b"1")).unwrap();
    assert!(matches!(medium.history()[..], [Operation::Append(..), Operation::Sync(_), Operation::Advance]));
    assert_eq!(store.freshness(), Freshness::Proven);
    assert_eq!(store.counter_kind(), CounterKind::Simulated);
}

#[test]
fn a_synced_frame_counts_even_if_the_counter_did_not_move() {
    let medium = wallet();
    commit_without_answer(&medium, b"alice");
    assert_eq!(paid_to(&medium), (Freshness::Proven, Some(b"alice".to_vec())));
    assert_eq!(paid_to(&medium), (Freshness::Proven, Some(b"alice".to_vec())));
}

#[test]
fn of_two_copies_only_the_one_opened_first_goes_on() {
    let medium = wallet();
    let honest = medium.files();
    // Two payments, each synced and neither answered, and a counter that fits both. Whichever is opened first may
    // answer; the other must not, nor the state from before both.
    let [(device, alice), (_, bob)] = [&b"alice"[..], b"bob"].map(|name| {
        let device = medium.fork();
        commit_without_answer(&device, name);
        let files = device.files();
        (device, files)
    });
    for order in [[&alice, &bob], [&bob, &alice]] {
        let device = device.fork();
        device.put_files(order[0]);
        assert_eq!(paid_to(&device).0, Freshness::Proven);
        for other in [order[1], order[0], &honest] {
            device.put_files(other);
            assert_eq!(paid_to(&device).0, Freshness::Stale);
        }
    }
}

#[test]
fn a_copy_from_before_an_unanswered_commit_kills_that_commit() {
    let medium = wallet();
    let mut store = open_store(&medium, "w", true).unwrap();
    let before = medium.files();
    medium.clear_history();
    medium.cut_at(2, 0);
    assert!(store.commit(&put("paid to", b"alice")).is_err());
    medium.power_cycle(Survival::Nothing);
    let unanswered = medium.files();
    medium.put_files(&before);
    let mut store = open_store(&medium, "w", true).unwrap();
    assert_eq!((store.freshness(), store.get(b"paid to").unwrap()), (Freshness::Proven, None));
    store.commit(&put("paid to", b"bob")).unwrap();
    medium.put_files(&unanswered);
    assert_eq!(paid_to(&medium).0, Freshness::Stale);
}

#[test]
fn two_processes_with_one_counter_do_not_both_answer() {
    let a = wallet();
    let mut first = open_store(&a, "w", true).unwrap();
    // The same files and the same counter: a second handle behind the first one's back.
    let mut second = open_store(&a, "w", true).unwrap();
    assert_eq!(first.commit(&put("x", b"1")), Err(StoreError::Io));
    assert!(matches!(first.fault(), Some(StoreFault::CounterMoved { .. })));
    assert_eq!(second.commit(&put("x", b"2")), Err(StoreError::Io));
}

#[test]
fn a_stale_store_stays_stale_until_it_writes() {
    let medium = wallet();
    let copy = medium.files();
    open_store(&medium, "w", true).unwrap().commit(&put("balance", b"0")).unwrap();
    let newest = medium.files();
    medium.put_files(&copy);
    for _ in 0..3 {
        let store = open_store(&medium, "w", true).unwrap();
        assert_eq!(store.freshness(), Freshness::Stale);
        assert_eq!(store.get(b"balance").unwrap().unwrap(), b"100");
    }
    assert_eq!(medium.files(), copy);
    let mut store = open_store(&medium, "w", true).unwrap();
    store.commit(&put("suspended", b"rolled back")).unwrap();
    assert_eq!(store.freshness(), Freshness::Stale, "what was opened does not get newer");
    let state = contents(&store);
    let store = open_store(&medium, "w", true).unwrap();
    assert_eq!((store.freshness(), contents(&store)), (Freshness::Proven, state));
    medium.put_files(&newest);
    assert_eq!(open_store(&medium, "w", true).unwrap().freshness(), Freshness::Stale);
}

#[test]
fn a_power_cut_in_the_first_commit_of_a_stale_store_leaves_it_stale_or_whole() {
    for set_back in [false, true] {
        let medium = wallet();
        let copy = medium.files();
        open_store(&medium, "w", true).unwrap().commit(&put("balance", b"0")).unwrap();
        if set_back {
            medium.set_counter(0);
        } else {
            medium.put_files(&copy);
        }
        let mark = put("suspended", b"yes");
        medium.clear_history();
        let dry = medium.fork();
        open_store(&dry, "w", true).unwrap().commit(&mark).unwrap();
        for (index, operation) in dry.history().iter().enumerate() {
            for step in 0..=operation.steps() {
                let medium = medium.fork();
                medium.cut_at(index, step);
                if let Ok(mut store) = open_store(&medium, "w", true) {
                    assert!(store.commit(&mark).is_err());
                }
                medium.power_cycle(Survival::Mixed(step as u64));
                let store = open_store(&medium, "w", true).unwrap();
                let marked = store.get(b"suspended").unwrap().is_some();
                let proven = store.freshness() == Freshness::Proven;
                assert!(marked || !proven, "{index} {operation:?} {step}");
                // A counter on its way back up may still be behind the state that was marked.
                assert!(proven || !marked || set_back, "{index} {operation:?} {step}");
            }
        }
    }
}

#[test]
fn a_counter_put_back_lost_or_left_out_makes_the_state_stale() {
    let medium = wallet();
    let stale = |medium: &FaultyMedium, counted| {
        let store = open_store(medium, "w", counted).unwrap();
        assert_eq!(store.freshness(), Freshness::Stale);
        store.report().stale.unwrap()
    };
    let back = medium.fork();
    back.set_counter(0);
    assert!(matches!(stale(&back, true), StaleReason::CounterBehind { counter: 0, .. }));
    // After the first commit no older copy fits, at any value the counter comes to.
    let copy = back.files();
    let mut store = open_store(&back, "w", true).unwrap();
    store.commit(&put("suspended", b"yes")).unwrap();
    back.put_files(&copy);
    assert!(matches!(stale(&back, true), StaleReason::OlderCopy { .. }));

    let lost = medium.fork();
    lost.replace_counter([2; 16]);
    assert_eq!(stale(&lost, true), StaleReason::OtherCounter);
    open_store(&lost, "w", true).unwrap().commit(&put("suspended", b"yes")).unwrap();
    assert_eq!(open_store(&lost, "w", true).unwrap().freshness(), Freshness::Proven);

    assert_eq!(stale(&medium, false), StaleReason::OtherCounter);

    let removed = medium.fork();
    removed.put_files(&Default::default());
    assert!(matches!(stale(&removed, true), StaleReason::NoState { .. }));

    let uncounted = FaultyMedium::new();
    open_store(&uncounted, "w", false).unwrap().commit(&put("a", b"1")).unwrap();
    assert_eq!(stale(&uncounted, true), StaleReason::OtherCounter);
}

#[test]
fn a_failed_counter_is_a_fault_not_a_panic() {
    let medium = wallet();
    medium.clear_history();
    let dry = medium.fork();
    open_store(&dry, "w", true).unwrap();
    let advance = dry.history().iter().position(|op| *op == Operation::Advance).unwrap();
    medium.cut_at(advance, 0);
    assert!(matches!(open_store(&medium, "w", true), Err(StoreOpenError::Fault(StoreFault::Counter(_)))));
    assert!(medium.counter().read().is_err());
}

/// What an enrolment on stale state commits: everything is deleted, one record is new.
fn anew(old: &[&str]) -> Batch {
    let mut batch = Batch::new();
    old.iter().for_each(|key| batch.delete(*key));
    batch.put("key", b"fresh");
    batch
}

/// A wallet's folder in each way in which it can be stale, with files of before that must never fit again.
fn stale_folders() -> Vec<(FaultyMedium, Vec<Files>)> {
    let medium = wallet();
    let copy = medium.files();
    let mut store = open_store(&medium, "w", true).unwrap();
    store.commit(&put("balance", b"0")).unwrap();
    store.commit(&put("secret", b"old")).unwrap();
    drop(store);
    let newest = medium.files();
    let [older, back, lost, removed] = [(); 4].map(|()| medium.fork());
    older.put_files(&copy);
    back.set_counter(0);
    lost.replace_counter([2; 16]);
    removed.put_files(&Files::new());
    [older, back, lost, removed].map(|folder| (folder, vec![copy.clone(), newest.clone()])).into()
}

#[test]
fn a_stale_store_that_begins_anew_is_proven_again_and_no_copy_of_before_is() {
    for (medium, before) in stale_folders() {
        let mut store = open_store(&medium, "w", true).unwrap();
        assert_eq!(store.freshness(), Freshness::Stale);
        store.commit(&anew(&["balance", "secret"])).unwrap();
        // It goes on in the same run, as after any opening.
        store.commit(&put("cert", b"1")).unwrap();
        drop(store);
        for n in 0..3u8 {
            let mut store = open_store(&medium, "w", true).unwrap();
            assert_eq!(store.freshness(), Freshness::Proven);
            let held: Vec<Vec<u8>> = contents(&store).into_keys().collect();
            assert!(!held.contains(&b"balance".to_vec()) && !held.contains(&b"secret".to_vec()));
            assert_eq!(store.get(b"key").unwrap().unwrap(), b"fresh");
            store.commit(&put("n", &[n])).unwrap();
        }
        let goes_on = medium.files();
        for copy in &before {
            medium.put_files(copy);
            assert_eq!(open_store(&medium, "w", true).unwrap().freshness(), Freshness::Stale);
        }
        medium.put_files(&goes_on);
        assert_eq!(open_store(&medium, "w", true).unwrap().freshness(), Freshness::Proven);
    }
}

#[test]
fn a_power_cut_while_it_begins_anew_leaves_the_old_wallet_stale_or_the_new_one_whole() {
    for (which, (medium, before)) in stale_folders().into_iter().enumerate() {
        let counter_was_set_back = which == 1;
        let batch = anew(&["balance", "secret"]);
        let old = contents(&open_store(&medium, "w", true).unwrap());
        medium.clear_history();
        let dry = medium.fork();
        open_store(&dry, "w", true).unwrap().commit(&batch).unwrap();
        for (index, operation) in dry.history().iter().enumerate() {
            for step in 0..=operation.steps() {
                for survival in
                    [Survival::Nothing, Survival::Everything, Survival::Zeros, Survival::Mixed(step as u64)]
                {
                    let at = (which, index, operation, step, survival);
                    let medium = medium.fork();
                    medium.cut_at(index, step);
                    if let Ok(mut store) = open_store(&medium, "w", true) {
                        assert!(store.commit(&batch).is_err(), "{at:?}");
                    }
                    medium.power_cycle(survival);
                    let mut store = open_store(&medium, "w", true).unwrap();
                    let (held, proven) = (contents(&store), store.freshness() == Freshness::Proven);
                    let began = held.contains_key(&b"key"[..]);
                    if began {
                        assert_eq!(held.len(), 1, "{at:?}: something of the old wallet is left");
                        // A counter on its way back up may still be behind.
                        assert!(proven || counter_was_set_back, "{at:?}");
                    } else {
                        assert!(!proven && held == old, "{at:?}");
                    }
                    // Whatever was cut, asking again ends in a fresh state that stays fresh.
                    if !proven {
                        let keys = [&["balance", "secret"][..], &["key"]].concat();
                        store.commit(&anew(&keys)).unwrap();
                    }
                    drop(store);
                    medium.power_cycle(Survival::Nothing);
                    let store = open_store(&medium, "w", true).unwrap();
                    assert_eq!((store.freshness(), contents(&store).len()), (Freshness::Proven, 1), "{at:?}");
                    drop(store);
                    for copy in &before {
                        medium.put_files(copy);
                        let store = open_store(&medium, "w", true).unwrap();
                        assert_eq!(store.freshness(), Freshness::Stale, "{at:?}");
                    }
                }
            }
        }
    }
}
