//! Every kind of counter under one contract, and what each does when what keeps it fails, lies, or is gone.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use counterfoil_ta::env::{Env as _, Freshness, Store as _};
use counterfoil_tre::counter::{Broken, CounterError, check_contract};
use counterfoil_tre::native::CounterChoice;
use counterfoil_tre::store::StaleReason;
use counterfoil_tre::testing::platform::{Lie, SimulatedPlatform};
use counterfoil_tre::testing::tpm::Emulator;
use counterfoil_tre::testing::{FaultyMedium, SimulatedCounter};
use counterfoil_tre::{
    Counter, CounterKind, DeviceFolder, FileCounter, NoCounter, PlatformCounter, TpmCounter, open_native,
};
use tpm2_protocol::basic::TpmHandle;
use tpm2_protocol::data::{TpmRh, TpmSt, TpmaSession, TpmsAuthCommand};
use tpm2_protocol::frame::{TpmNvUndefineSpaceCommand, tpm_marshal_command};

use crate::model::put;

const LABELS: [&str; 2] = ["a", "b"];

#[test]
fn every_counter_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let device = DeviceFolder::open(&dir.path().join("device")).unwrap();
    let tpm = Emulator::start(&dir.path().join("tpm")).unwrap();
    let platform = Arc::new(SimulatedPlatform::default());
    let media = [FaultyMedium::new(), FaultyMedium::new()];
    media[1].replace_counter([9; 16]);

    check_contract(LABELS, &mut |label| Ok(Box::new(FileCounter::open(&device, label)?))).unwrap();
    check_contract(LABELS, &mut |label| Ok(Box::new(TpmCounter::open(tpm.socket(), &device, label)?)))
        .unwrap();
    check_contract(LABELS, &mut |label| Ok(Box::new(PlatformCounter::open(platform.clone(), label)?)))
        .unwrap();
    let simulated = |label: &str| -> SimulatedCounter { media[usize::from(label == "b")].counter() };
    check_contract(LABELS, &mut |label| Ok(Box::new(simulated(label)))).unwrap();
}

#[test]
fn the_check_finds_what_is_no_counter() {
    let clause = check_contract(LABELS, &mut |_| Ok(Box::new(NoCounter))).unwrap_err();
    assert_eq!(clause.to_string(), "a counter says what keeps it");
    // One counter for all labels.
    let medium = FaultyMedium::new();
    let clause = check_contract(LABELS, &mut |_| Ok(Box::new(medium.counter()))).unwrap_err();
    assert_eq!(clause.to_string(), "each label has a counter of its own");
    // One that forgets when it is closed.
    let clause = check_contract(LABELS, &mut |label| {
        Ok(Box::new(PlatformCounter::open(Arc::new(SimulatedPlatform::default()), label)?))
    });
    assert_eq!(clause.unwrap_err().to_string(), "a counter opened again stands where it stood");
    let platform = SimulatedPlatform::default();
    platform.lie(Some(Lie::Fails));
    let failed = check_contract(LABELS, &mut |label| {
        Ok(Box::new(PlatformCounter::open(Arc::new(platform.clone()), label)?))
    });
    assert!(matches!(failed, Err(Broken::Failed(CounterError::Platform(_)))));
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A copy of the home, and then of home and device folder together, is put back over a newer state.
fn put_back(choice: &CounterChoice) -> [Freshness; 2] {
    let dir = tempfile::tempdir().unwrap();
    let (home, device) = (dir.path().join("home"), dir.path().join("device"));
    let [old_home, old_device] = ["old-home", "old-device"].map(|name| dir.path().join(name));
    let commit = |key: &str| {
        let mut host = open_native(&home, &device, "w", choice).unwrap();
        host.store_mut().commit(&put(key, b"1")).unwrap();
    };
    commit("funded");
    copy(&home, &old_home);
    copy(&device, &old_device);
    commit("spent");
    assert_eq!(
        open_native(&home, &device, "w", choice).unwrap().freshness(),
        if matches!(choice, CounterChoice::None) { Freshness::Unprovable } else { Freshness::Proven }
    );
    let again = |and_device: bool| {
        std::fs::remove_dir_all(&home).unwrap();
        copy(&old_home, &home);
        if and_device {
            std::fs::remove_dir_all(&device).unwrap();
            copy(&old_device, &device);
            #[cfg(unix)]
            std::fs::set_permissions(&device, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        }
        open_native(&home, &device, "w", choice).unwrap().freshness()
    };
    [again(false), again(true)]
}

#[test]
fn a_copy_put_back_is_stale_at_once_except_where_the_counter_was_copied_too() {
    let dir = tempfile::tempdir().unwrap();
    let tpm = Emulator::start(dir.path()).unwrap();
    assert_eq!(put_back(&CounterChoice::None), [Freshness::Unprovable; 2]);
    assert_eq!(put_back(&CounterChoice::File), [Freshness::Stale, Freshness::Proven]);
    assert_eq!(put_back(&CounterChoice::Tpm(tpm.socket().into())), [Freshness::Stale; 2]);
    let platform = CounterChoice::Platform(Arc::new(SimulatedPlatform::default()));
    assert_eq!(put_back(&platform), [Freshness::Stale; 2]);
}

#[test]
fn a_tpm_counts_across_its_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let device = DeviceFolder::open(&dir.path().join("device")).unwrap();
    let mut id = None;
    for before in 0..3 {
        let tpm = Emulator::start(&dir.path().join("tpm")).unwrap();
        let mut counter = TpmCounter::open(tpm.socket(), &device, "w").unwrap();
        assert_eq!(*id.get_or_insert(counter.id()), counter.id());
        assert_eq!((counter.kind(), counter.read().unwrap()), (CounterKind::Tpm, before));
        assert_eq!(counter.advance().unwrap(), before + 1);
    }
}

/// Removes every index of the owner that `counter` may have, by the command that its owner has for it.
fn remove_index(socket: &Path, counter: &TpmCounter) {
    let shown = format!("{counter:?}");
    let at = shown.find("0x").unwrap();
    let index = u32::from_str_radix(&shown[at + 2..at + 10], 16).unwrap();
    let command =
        TpmNvUndefineSpaceCommand { handles: [TpmHandle::new(TpmRh::Owner as u32), TpmHandle::new(index)] };
    let password = TpmsAuthCommand {
        session_handle: TpmHandle::new(TpmRh::Pw as u32),
        session_attributes: TpmaSession::CONTINUE_SESSION,
        ..TpmsAuthCommand::default()
    };
    let mut buffer = [0; 512];
    let mut writer = tpm2_protocol::TpmWriter::new(&mut buffer);
    tpm_marshal_command(&command, TpmSt::Sessions, &[password], &mut writer).unwrap();
    let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
    stream.write_all(writer.as_bytes()).unwrap();
    let mut answer = [0; 10];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer[6..], [0; 4], "the TPM removed the index");
}

#[test]
fn a_counter_removed_from_the_tpm_comes_back_as_another_and_ahead() {
    let dir = tempfile::tempdir().unwrap();
    let (home, device) = (dir.path().join("home"), dir.path().join("device"));
    let tpm = Emulator::start(&dir.path().join("tpm")).unwrap();
    let choice = CounterChoice::Tpm(tpm.socket().into());
    let open = || open_native(&home, &device, "w", &choice).unwrap();
    let mut host = open();
    (0..5u8).for_each(|n| host.store_mut().commit(&put("n", &[n])).unwrap());
    drop(host);
    let folder = DeviceFolder::open(&device).unwrap();
    let counter = || TpmCounter::open(tpm.socket(), &folder, "w").unwrap();
    let (id, held) = (counter().id(), counter());
    let base_file = std::fs::read_dir(&device)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().unwrap().to_string_lossy().starts_with("tpm-"))
        .unwrap();

    // Removed: it is defined anew above all that it ever was, so with its base it can only be ahead.
    remove_index(tpm.socket(), &held);
    assert!(matches!(held.read(), Err(CounterError::Tpm { .. })), "one that was open is gone");
    assert_ne!(counter().id(), id, "another counter");
    assert_eq!(open().freshness(), Freshness::Stale);

    // Whoever edits the base has another counter, too.
    let good = std::fs::read(&base_file).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&base_file, &bad).unwrap();
        assert!(matches!(TpmCounter::open(tpm.socket(), &folder, "w"), Err(CounterError::Damaged { .. })));
    }
    std::fs::remove_file(&base_file).unwrap();
    let host = open();
    assert_eq!(host.freshness(), Freshness::Stale);
    assert!(matches!(host.store().report().stale, Some(StaleReason::OtherCounter)));
}

/// What answers to each connection with the same bytes.
fn liar(socket: &Path, answer: Vec<u8>) {
    let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut command = [0; 512];
            let _ = stream.read(&mut command);
            let _ = stream.write_all(&answer);
        }
    });
}

#[test]
fn a_tpm_that_is_gone_or_answers_with_garbage_is_an_error_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let device = DeviceFolder::open(&dir.path().join("device")).unwrap();
    let gone = TpmCounter::open(&dir.path().join("nothing"), &device, "w").unwrap_err();
    assert!(gone.to_string().contains("cannot be used"), "{gone}");
    let success = [&[0x80, 2, 0, 0, 0, 19, 0, 0, 0, 0][..], &[0xff; 9]].concat();
    let answers: [&[u8]; 7] = [
        &[],
        &[0],
        b"HTTP/1.1 200 OK\r\n\r\n",
        &[0x80, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
        &[0x80, 1, 0, 0, 0, 10, 0, 0, 1, 0x01],
        &[0x80, 1, 0, 0, 0, 2, 0, 0],
        &success,
    ];
    for (n, answer) in answers.into_iter().enumerate() {
        let socket = dir.path().join(format!("socket-{n}"));
        liar(&socket, answer.to_vec());
        let error = TpmCounter::open(&socket, &device, "w").unwrap_err();
        assert!(matches!(error, CounterError::Tpm { .. }), "{answer:?}: {error}");
    }
    assert_eq!(
        std::fs::read_dir(device.path())
            .unwrap()
            .filter(|e| { e.as_ref().unwrap().file_name().to_string_lossy().starts_with("tpm-") })
            .count(),
        0,
        "no base was kept of what is no TPM"
    );
}

#[test]
fn a_platform_that_breaks_its_contract_is_found_out() {
    let platform = SimulatedPlatform::default();
    let open = || PlatformCounter::open(Arc::new(platform.clone()), "w");
    let mut counter = open().unwrap();
    assert_eq!(counter.advance().unwrap(), 1);
    let lie = |lie| platform.lie(Some(lie));
    lie(Lie::GoesBack);
    assert!(matches!(counter.read(), Err(CounterError::Contract("it went back"))));
    lie(Lie::DoesNotCount);
    let error = counter.advance().unwrap_err();
    assert!(matches!(error, CounterError::Contract("it said that it counted, and did not")));
    lie(Lie::OtherIdentity);
    assert!(matches!(counter.read(), Err(CounterError::Contract(_))));
    lie(Lie::NoIdentity);
    assert!(matches!(open(), Err(CounterError::Contract("its identity is all zeros"))));
    lie(Lie::Fails);
    assert!(matches!(counter.advance(), Err(CounterError::Platform(_))));
    platform.lie(None);
    assert_eq!(counter.advance().unwrap(), 2);
}

#[test]
fn a_platform_that_goes_back_between_two_openings_makes_the_state_stale() {
    let dir = tempfile::tempdir().unwrap();
    let (home, device) = (dir.path().join("home"), dir.path().join("device"));
    let platform = SimulatedPlatform::default();
    let choice = CounterChoice::Platform(Arc::new(platform.clone()));
    let open = || open_native(&home, &device, "w", &choice).unwrap();
    open().store_mut().commit(&put("n", b"1")).unwrap();
    open().store_mut().commit(&put("n", b"2")).unwrap();
    platform.lie(Some(Lie::GoesBack));
    let host = open();
    // One behind is a power cut between frame and counter; what was put back so stays usable once, and not twice.
    assert_eq!(host.freshness(), Freshness::Proven);
    drop(host);
    platform.lie(Some(Lie::OtherIdentity));
    assert_eq!(open().freshness(), Freshness::Stale);
}
