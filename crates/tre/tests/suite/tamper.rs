//! Somebody has the wallet's folder in hand: what he does is refused with its reason, or gets him an older state.

use crate::model::{Model, contents, put};
use counterfoil_ta::env::{Freshness, Store};
use counterfoil_tre::medium::FileName::{Draft, Slot0, Slot1};
use counterfoil_tre::store::{StaleReason, StoreOpenError, TamperReason};
use counterfoil_tre::testing::{DEVICE_KEY, FaultyMedium, Files, open_store};
use counterfoil_tre::{NoCounter, SealedStore, SealingKey};

const HEADER_BYTES: usize = 160;
const FRAME_OVERHEAD_BYTES: usize = 52;

struct Scene {
    medium: FaultyMedium,
    /// The state after each frame, and where the frame ends.
    frames: Vec<(Model, usize)>,
}

impl Scene {
    /// A log of five frames in slot 1, without a counter unless `counted`.
    fn new(counted: bool) -> Self {
        let medium = FaultyMedium::new();
        let mut store = open_store(&medium, "w", counted).unwrap();
        let mut frames = Vec::new();
        for n in 0..5u8 {
            store.commit(&put(&format!("key {n}"), &[n; 20])).unwrap();
            frames.push((contents(&store), medium.files()[&Slot1].len()));
        }
        Self { medium, frames }
    }

    fn slot(&self) -> Vec<u8> {
        self.medium.files()[&Slot1].clone()
    }

    fn with(&self, files: &Files) -> FaultyMedium {
        let medium = self.medium.fork();
        medium.put_files(files);
        medium
    }

    fn with_slot(&self, bytes: Vec<u8>) -> FaultyMedium {
        self.with(&Files::from([(Slot1, bytes)]))
    }

    fn tampered(&self, bytes: Vec<u8>) -> TamperReason {
        reason(&self.with_slot(bytes))
    }
}

fn reason(medium: &FaultyMedium) -> TamperReason {
    match open_store(medium, "w", false) {
        Err(StoreOpenError::Tampered { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_flipped_bit_is_refused_or_costs_the_last_frame() {
    let scene = Scene::new(false);
    let slot = scene.slot();
    let last_starts = scene.frames[3].1;
    for i in 0..slot.len() {
        let mut bytes = slot.clone();
        bytes[i] ^= 1 << (i % 8);
        let opened = open_store(&scene.with_slot(bytes), "w", false);
        // A frame number that is neither this one nor blank was not left by a torn write.
        let in_number = (last_starts + 8..last_starts + 12).contains(&i);
        if i >= last_starts && !in_number {
            let store = opened.unwrap();
            assert_eq!(contents(&store), scene.frames[3].0, "byte {i}");
            assert_eq!(store.report().torn_tail_bytes as usize, slot.len() - last_starts);
            continue;
        }
        match opened {
            Err(StoreOpenError::UnknownFormat { .. }) => assert!((8..10).contains(&i)),
            Err(StoreOpenError::Tampered { slot: Slot1, reason }) => match reason {
                TamperReason::Header => assert!(i < HEADER_BYTES),
                TamperReason::FirstFrame | TamperReason::Incomplete => {
                    assert!((HEADER_BYTES..scene.frames[0].1).contains(&i));
                }
                TamperReason::BrokenFrame { number } => {
                    assert!(i < scene.frames[number as usize].1 && i >= scene.frames[number as usize - 1].1);
                }
                other => panic!("byte {i}: {other}"),
            },
            other => panic!("byte {i}: {other:?}"),
        }
    }
}

#[test]
fn a_log_cut_anywhere_is_an_older_state() {
    let scene = Scene::new(false);
    let slot = scene.slot();
    for len in 0..slot.len() {
        let medium = scene.with_slot(slot[..len].to_vec());
        if len < scene.frames[0].1 {
            assert_eq!(reason(&medium), TamperReason::Incomplete);
            continue;
        }
        let (state, end) = scene.frames.iter().rfind(|(_, end)| *end <= len).unwrap();
        let store = open_store(&medium, "w", false).unwrap();
        assert_eq!(contents(&store), *state);
        assert_eq!(store.report().torn_tail_bytes as usize, len - end);
        assert_eq!(medium.files()[&Slot1].len(), *end, "the tail is removed before anything is appended");
    }
}

#[test]
fn the_counter_tells_each_cut() {
    let scene = Scene::new(true);
    let slot = scene.slot();
    for len in scene.frames[0].1..slot.len() {
        let store = open_store(&scene.with_slot(slot[..len].to_vec()), "w", true).unwrap();
        assert_eq!(store.freshness(), Freshness::Stale, "{len}");
        assert!(matches!(store.report().stale, Some(StaleReason::OlderCopy { .. })));
    }
}

#[test]
fn frames_keep_their_places() {
    let scene = Scene::new(false);
    let slot = scene.slot();
    let ends: Vec<usize> = scene.frames.iter().map(|(_, end)| *end).collect();
    let frame = |n: usize| &slot[ends[n - 1]..ends[n]];
    let head = &slot[..ends[0]];
    let broken = |number| TamperReason::BrokenFrame { number };

    let swapped = [head, frame(2), frame(1), frame(3), frame(4)].concat();
    assert_eq!(scene.tampered(swapped), broken(1));
    let dropped = [head, frame(1), frame(3), frame(4)].concat();
    assert_eq!(scene.tampered(dropped), broken(2));
    let last_but_one_dropped = [head, frame(1), frame(2), frame(4)].concat();
    assert_eq!(scene.tampered(last_but_one_dropped), broken(3));
    let doubled = [head, frame(1), frame(1), frame(2), frame(3), frame(4)].concat();
    assert_eq!(scene.tampered(doubled), broken(2));

    let with_junk = [&slot[..], &[0x5a; 300]].concat();
    let store = open_store(&scene.with_slot(with_junk), "w", false).unwrap();
    assert_eq!((contents(&store), store.report().torn_tail_bytes), (scene.frames[4].0.clone(), 300));
}

#[test]
fn frames_of_two_histories_do_not_mix() {
    let scene = Scene::new(false);
    let base = scene.slot()[..scene.frames[2].1].to_vec();
    let other = scene.with_slot(base.clone());
    let mut store = open_store(&other, "w", false).unwrap();
    store.commit(&put("key 3", &[9; 20])).unwrap();
    store.commit(&put("key 4", &[9; 20])).unwrap();
    let other = other.files()[&Slot1].clone();
    let (cut, slot) = (scene.frames[3].1, scene.slot());
    let mixed = [&slot[..cut], &other[cut..]].concat();
    let store = open_store(&scene.with_slot(mixed), "w", false).unwrap();
    assert_eq!(contents(&store), scene.frames[3].0, "the foreign frame counts for nothing");
}

#[test]
fn slots_keep_their_names_and_generations() {
    let scene = Scene::new(false);
    let old = scene.slot();
    assert_eq!(reason(&scene.with(&Files::from([(Slot0, old.clone())]))), TamperReason::WrongSlot);

    let mut store = open_store(&scene.medium, "w", false).unwrap();
    store.compact().unwrap();
    store.commit(&put("after", b"compaction")).unwrap();
    let state = contents(&store);
    let new = scene.medium.files();
    assert_eq!(new.keys().copied().collect::<Vec<_>>(), [Slot0], "the older slot is gone");

    // The older one beside the newer one counts for nothing, nor does a draft.
    let both = Files::from([(Slot0, new[&Slot0].clone()), (Slot1, old.clone()), (Draft, vec![1, 2, 3])]);
    let medium = scene.with(&both);
    assert_eq!(contents(&open_store(&medium, "w", false).unwrap()), state);
    assert_eq!(medium.files(), new);

    let swapped = Files::from([(Slot0, old.clone()), (Slot1, new[&Slot0].clone())]);
    assert_eq!(reason(&scene.with(&swapped)), TamperReason::WrongSlot);

    // A newer slot without its whole first frame, and the older one still there: the older one counts.
    let first_frame_ends = new[&Slot0].len() - (FRAME_OVERHEAD_BYTES + 9 + 5 + 10);
    for len in 0..first_frame_ends {
        let torn = Files::from([(Slot0, new[&Slot0][..len].to_vec()), (Slot1, old.clone())]);
        let store = open_store(&scene.with(&torn), "w", false).unwrap();
        assert_eq!(contents(&store), scene.frames[4].0);
        assert!(store.report().skipped_incomplete_slot);
    }
    // Its first frame whole but broken was no power cut.
    let mut broken = new[&Slot0].clone();
    broken[first_frame_ends - 1] ^= 1;
    let files = Files::from([(Slot0, broken), (Slot1, old)]);
    assert_eq!(reason(&scene.with(&files)), TamperReason::FirstFrame);
}

#[test]
fn another_generations_frames_do_not_fit() {
    let scene = Scene::new(false);
    let old = scene.slot();
    let mut store = open_store(&scene.medium, "w", false).unwrap();
    store.compact().unwrap();
    let state = contents(&store);
    let new = scene.medium.files()[&Slot0].clone();
    let grafted = [&new[..], &old[scene.frames[3].1..]].concat();
    let store = open_store(&scene.with(&Files::from([(Slot0, grafted)])), "w", false).unwrap();
    assert_eq!(contents(&store), state);
}

#[test]
fn an_older_copy_opens_without_a_counter_and_is_stale_with_one() {
    for counted in [false, true] {
        let scene = Scene::new(counted);
        let copy = scene.medium.files();
        let mut store = open_store(&scene.medium, "w", counted).unwrap();
        store.commit(&put("spent", b"all")).unwrap();
        store.compact().unwrap();
        scene.medium.put_files(&copy);
        let store = open_store(&scene.medium, "w", counted).unwrap();
        assert_eq!(contents(&store), scene.frames[4].0);
        let freshness = if counted { Freshness::Stale } else { Freshness::Unprovable };
        assert_eq!(store.freshness(), freshness);
    }
}

#[test]
fn another_wallets_files_are_named_so() {
    let scene = Scene::new(false);
    assert!(matches!(open_store(&scene.medium, "v", false), Err(StoreOpenError::OtherWallet)));
    // Under the very same key, too: the label is part of the seal.
    let key = || SealingKey::new(DEVICE_KEY);
    let medium = FaultyMedium::new();
    let mut store = SealedStore::open(medium.clone(), Box::new(NoCounter), key(), "a").unwrap();
    store.commit(&put("k", b"v")).unwrap();
    let opened = SealedStore::open(medium.clone(), Box::new(NoCounter), key(), "b");
    assert!(matches!(opened, Err(StoreOpenError::OtherWallet)));
    let opened = SealedStore::open(medium, Box::new(NoCounter), SealingKey::new([1; 32]), "a");
    assert!(matches!(opened, Err(StoreOpenError::OtherDevice)));
}
