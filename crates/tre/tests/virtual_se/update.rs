//! An image is updated: the state goes on, and there is no way back; whatever is cut.

use counterfoil_ta::env::{Batch, Freshness, Store};
use counterfoil_tre::medium::FileName;
use counterfoil_tre::store::StoreOpenError;
use counterfoil_tre::testing::{DEVICE_KEY, FaultyMedium, Survival};
use counterfoil_tre::{APPLICATION, Binding, Counter, ImageId, NoCounter, SealedStore, SealingKey};

fn image(version: u32) -> ImageId {
    ImageId { version, hash: [u8::try_from(version).unwrap(); 32] }
}

fn open(
    medium: &FaultyMedium,
    image: ImageId,
    counted: bool,
) -> Result<SealedStore<FaultyMedium>, StoreOpenError> {
    let binding = Binding { label: "w".into(), application: APPLICATION, image };
    open_bound(medium, binding, counted)
}

fn open_bound(
    medium: &FaultyMedium,
    binding: Binding,
    counted: bool,
) -> Result<SealedStore<FaultyMedium>, StoreOpenError> {
    let counter: Box<dyn Counter> = if counted { Box::new(medium.counter()) } else { Box::new(NoCounter) };
    SealedStore::open(medium.clone(), counter, SealingKey::new(DEVICE_KEY), binding)
}

fn balance(store: &SealedStore<FaultyMedium>) -> Option<Vec<u8>> {
    store.get(b"balance").unwrap()
}

/// A wallet with two commits under version 1.
fn wallet(counted: bool) -> FaultyMedium {
    let medium = FaultyMedium::new();
    for value in [&b"100"[..], b"70"] {
        let mut batch = Batch::new();
        batch.put("balance", value);
        open(&medium, image(1), counted).unwrap().commit(&batch).unwrap();
    }
    medium
}

#[test]
fn an_update_keeps_the_state_and_there_is_no_way_back() {
    for counted in [false, true] {
        let medium = wallet(counted);
        assert_eq!(balance(&open(&medium, image(2), counted).unwrap()).unwrap(), b"70");
        let files = medium.files();
        for (other, running) in [(image(1), 1), (ImageId::NATIVE, 0)] {
            let error = open(&medium, other, counted).unwrap_err();
            assert!(
                matches!(error, StoreOpenError::ImageOlder { stored: 2, running: r } if r == running),
                "{error}"
            );
        }
        let altered = ImageId { hash: [9; 32], ..image(2) };
        let error = open(&medium, altered, counted).unwrap_err();
        assert!(matches!(error, StoreOpenError::ImageAltered { version: 2 }), "{error}");
        assert_eq!(medium.files(), files, "who is refused changes nothing");
        assert_eq!(balance(&open(&medium, image(3), counted).unwrap()).unwrap(), b"70");
    }
}

#[test]
fn from_native_to_an_image_and_never_back() {
    let medium = FaultyMedium::new();
    let mut batch = Batch::new();
    batch.put("balance", "1");
    open(&medium, ImageId::NATIVE, false).unwrap().commit(&batch).unwrap();
    assert_eq!(balance(&open(&medium, image(1), false).unwrap()).unwrap(), b"1");
    assert!(matches!(open(&medium, ImageId::NATIVE, false), Err(StoreOpenError::ImageOlder { .. })));
}

#[test]
fn a_state_from_before_the_update_is_an_older_copy() {
    let medium = wallet(true);
    let before = medium.files();
    drop(open(&medium, image(2), true).unwrap());
    medium.put_files(&before);
    // With the counter it is stale, under either image. Without one only peers and the operator could tell.
    for version in [1, 2] {
        assert_eq!(open(&medium, image(version), true).unwrap().freshness(), Freshness::Stale);
    }
}

#[test]
fn another_application_does_not_open_it() {
    let medium = wallet(false);
    let other = Binding { label: "w".into(), application: [1; 32], image: image(1) };
    assert!(matches!(open_bound(&medium, other, false), Err(StoreOpenError::OtherApplication)));
    let other = Binding { label: "v".into(), application: APPLICATION, image: image(1) };
    assert!(matches!(open_bound(&medium, other, false), Err(StoreOpenError::OtherWallet)));
}

#[test]
fn the_image_in_the_header_is_under_the_seal() {
    let medium = wallet(false);
    // Whoever makes the header say another image, digest and all, finds no frame that opens.
    let (slot, file) = medium.files().into_iter().next().unwrap();
    let mut forged = file.clone();
    forged[116..120].copy_from_slice(&0u32.to_be_bytes());
    let digest = counterfoil_trust::sha256(&forged[..152]);
    forged[152..160].copy_from_slice(&digest.0[..8]);
    medium.put_files(&[(slot, forged)].into());
    assert!(matches!(open(&medium, image(1), false), Err(StoreOpenError::Tampered { .. })));
}

#[test]
fn a_power_cut_at_any_byte_of_an_update_loses_nothing() {
    for counted in [false, true] {
        let start = wallet(counted);
        let dry = start.fork();
        dry.clear_history();
        drop(open(&dry, image(2), counted).unwrap());
        let history = dry.history();
        assert!(history.len() > 4);
        let mut came_back = [0, 0];
        for (index, operation) in history.iter().enumerate() {
            for step in 0..=operation.steps() {
                for survival in
                    [Survival::Nothing, Survival::Everything, Survival::Mixed((index * 977 + step) as u64)]
                {
                    let medium = start.fork();
                    medium.clear_history();
                    medium.cut_at(index, step);
                    let _ = open(&medium, image(2), counted);
                    medium.power_cycle(survival);
                    // The old image opens it as long as the new one has not sealed it; the new one always does.
                    let files = medium.files();
                    let old = open(&medium, image(1), counted);
                    came_back[usize::from(old.is_ok())] += 1;
                    match old {
                        Ok(store) => assert_eq!(balance(&store).unwrap(), b"70"),
                        Err(error) => assert!(matches!(error, StoreOpenError::ImageOlder { .. }), "{error}"),
                    }
                    if medium.files() == files {
                        let store = open(&medium, image(2), counted).unwrap();
                        assert_eq!(
                            balance(&store).unwrap(),
                            b"70",
                            "{index} {operation:?} {step} {survival:?}"
                        );
                        assert_ne!(store.freshness(), Freshness::Stale);
                    }
                }
            }
        }
        assert!(came_back[0] > 0 && came_back[1] > 0, "{came_back:?}");
        assert!(start.files().contains_key(&FileName::Slot1));
    }
}
