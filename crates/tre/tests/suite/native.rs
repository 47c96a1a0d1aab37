//! Real folders, real locks.

use crate::model::put;
use counterfoil_ta::env::{Env, Freshness, Store};
use counterfoil_tre::medium::{DiskMedium, DiskOpenError, FileName, Medium};
use counterfoil_tre::store::StoreOpenError;
use counterfoil_tre::testing::{FaultyMedium, ManualClock, open_host};
use counterfoil_tre::{
    CounterChoice, CounterKind, Element, FileCounter, NativeElement, OpenError, SealedStore, open_native,
};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

struct Folders {
    _root: tempfile::TempDir,
    home: PathBuf,
    device: PathBuf,
}

fn folders() -> Folders {
    let root = tempfile::tempdir().unwrap();
    let (home, device) = (root.path().join("a/home"), root.path().join("b/device"));
    Folders { _root: root, home, device }
}

#[test]
fn a_wallet_lives_from_command_to_command() {
    for choice in [CounterChoice::None, CounterChoice::File] {
        let f = folders();
        for n in 0..4u8 {
            let mut host = open_native(&f.home, &f.device, "w", &choice).unwrap();
            let freshness = match choice {
                CounterChoice::None => Freshness::Unprovable,
                _ => Freshness::Proven,
            };
            assert_eq!(host.freshness(), freshness);
            assert_eq!(host.store().get(b"n").unwrap(), n.checked_sub(1).map(|n| vec![n]));
            host.store_mut().commit(&put("n", &[n])).unwrap();
            if n == 2 {
                host.store_mut().compact().unwrap();
            }
            let (mut a, mut b) = ([0; 32], [0; 32]);
            host.fill_random(&mut a);
            host.fill_random(&mut b);
            assert_ne!(a, b);
            assert!(host.now_s() > 1_700_000_000);
        }
    }
}

#[test]
fn a_home_copied_back_is_stale_with_a_counter() {
    let f = folders();
    let open = || open_native(&f.home, &f.device, "w", &CounterChoice::File).unwrap();
    open().store_mut().commit(&put("n", b"1")).unwrap();
    let slot = f.home.join(FileName::Slot1.as_str());
    let copy = fs::read(&slot).unwrap();
    open().store_mut().commit(&put("n", b"2")).unwrap();
    fs::write(&slot, copy).unwrap();
    assert_eq!(open().freshness(), Freshness::Stale);
}

#[test]
fn another_device_cannot_open_it_and_says_so() {
    let f = folders();
    let mut host = open_native(&f.home, &f.device, "w", &CounterChoice::None).unwrap();
    host.store_mut().commit(&put("n", b"1")).unwrap();
    drop(host);
    let other = f.device.with_file_name("other device");
    let error = open_native(&f.home, &other, "w", &CounterChoice::None).unwrap_err();
    assert!(matches!(error, OpenError::Store(StoreOpenError::OtherDevice)));
    assert!(error.to_string().contains("sealed on another device"), "{error}");
    assert!(open_native(&f.home, &f.device, "w", &CounterChoice::None).is_ok());
}

#[test]
fn a_device_folder_inside_the_home_is_refused() {
    let f = folders();
    for device in [f.home.clone(), f.home.join("device")] {
        let error = open_native(&f.home, &device, "w", &CounterChoice::None).unwrap_err();
        assert!(matches!(error, OpenError::DeviceInsideHome { .. }), "{error}");
        assert!(!device.join("device-key").exists());
    }
}

#[test]
fn one_home_has_one_user_at_a_time() {
    let f = folders();
    let first = DiskMedium::open(&f.home, Duration::ZERO).unwrap();
    let error = DiskMedium::open(&f.home, Duration::from_millis(60)).unwrap_err();
    assert!(matches!(error, DiskOpenError::Locked { .. }));
    assert!(error.to_string().contains("another command is using this wallet"));
    let waiting = std::thread::spawn({
        let home = f.home.clone();
        move || DiskMedium::open(&home, Duration::from_secs(10)).is_ok()
    });
    std::thread::sleep(Duration::from_millis(50));
    drop(first);
    assert!(waiting.join().unwrap(), "who waits gets it when it is free");
}

#[test]
fn the_disk_does_what_a_medium_must() {
    use FileName::{Draft, Slot0, Slot1};
    let f = folders();
    let mut disk = DiskMedium::open(&f.home, Duration::ZERO).unwrap();
    let mut model = FaultyMedium::new();
    let media: [&mut dyn Medium; 2] = [&mut disk, &mut model];
    for medium in media {
        assert_eq!(medium.read(Slot0).unwrap(), None);
        medium.remove(Slot0).unwrap();
        medium.append(Draft, b"abc").unwrap();
        medium.append(Draft, b"def").unwrap();
        medium.sync(Draft).unwrap();
        medium.append(Slot1, b"old").unwrap();
        medium.rename(Draft, Slot1).unwrap();
        medium.sync_dir().unwrap();
        assert_eq!(medium.read(Draft).unwrap(), None);
        medium.truncate(Slot1, 4).unwrap();
        medium.append(Slot1, b"X").unwrap();
        assert_eq!(medium.read(Slot1).unwrap().unwrap(), b"abcdX");
        medium.append(Draft, b"new").unwrap();
        assert_eq!(medium.read(Draft).unwrap().unwrap(), b"new");
        medium.remove(Slot1).unwrap();
        assert_eq!(medium.read(Slot1).unwrap(), None);
    }
}

#[cfg(unix)]
#[test]
fn the_files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let f = folders();
    let mut host = open_native(&f.home, &f.device, "w", &CounterChoice::File).unwrap();
    host.store_mut().commit(&put("n", b"1")).unwrap();
    for dir in [&f.home, &f.device] {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{entry:?}");
        }
    }
}

#[test]
fn an_element_is_a_door_and_its_grade() {
    let medium = FaultyMedium::new();
    let clock = ManualClock::at(1_000);
    let host = open_host(&medium, "w", true, &clock, 5).unwrap();
    let element = NativeElement::start(host, |mut host| {
        Ok::<_, std::convert::Infallible>(move |command: &[u8]| {
            let mut batch = counterfoil_ta::env::Batch::new();
            batch.put("last", command);
            host.store_mut().commit(&batch).map(|()| host.now_s().to_be_bytes().to_vec()).unwrap_or_default()
        })
    });
    let mut element: Box<dyn Element> = Box::new(element.unwrap());
    clock.advance(24);
    assert_eq!(element.process(b"hello"), 1_024u32.to_be_bytes());
    assert_eq!(element.counter_kind(), CounterKind::Simulated);
    assert_eq!(element.freshness(), Freshness::Proven);
    let again = open_host(&medium, "w", true, &clock, 5).unwrap();
    assert_eq!(again.store().get(b"last").unwrap().unwrap(), b"hello");
}

#[test]
fn a_file_counter_drives_a_store() {
    let f = folders();
    let vault = counterfoil_tre::DeviceFolder::open(&f.device).unwrap();
    let medium = FaultyMedium::new();
    let open = || {
        let counter = FileCounter::open(&vault, "w").unwrap();
        let key = counterfoil_tre::KeyVault::sealing_key(&vault, "w").unwrap();
        SealedStore::open(medium.clone(), Box::new(counter), key, "w").unwrap()
    };
    open().commit(&put("a", b"1")).unwrap();
    let store = open();
    assert_eq!((store.freshness(), store.get(b"a").unwrap().unwrap()), (Freshness::Proven, b"1".to_vec()));
}
