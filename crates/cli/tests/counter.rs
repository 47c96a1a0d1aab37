//! Wallets whose counter is not a file: in a TPM, and of a platform.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod common;

use std::path::Path;
use std::sync::Arc;

use common::World;
use counterfoil_tre::DeviceFolder;
use counterfoil_tre::testing::platform::{Lie, SimulatedPlatform};
use counterfoil_tre::testing::tpm::Emulator;
use counterfoil_wallet::{
    Counter, Device, Freshness, Home, HttpOperator, Operation, Order, Wallet, WalletError,
};
use counterfoil_wire::cert::Grade;
use counterfoil_wire::{Amount, Code, Digest};

fn copy_folder(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-rp").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

#[test]
fn a_wallet_with_a_tpm_refuses_a_copy_of_every_file_of_the_device() {
    let world = World::new();
    let tpm_folder = tempfile::tempdir().unwrap();
    let tpm = Emulator::start(tpm_folder.path()).unwrap();
    let socket = tpm.socket().display().to_string();
    world.wallet("ben", "", "0");
    let anna = |line: &str| {
        let mut command = world.command(&format!("wallet --home anna {line}"));
        common::Gave::from(command.env("COUNTERFOIL_TPM", &socket).output().unwrap())
    };
    let url = &world.url;
    anna(&format!("enrol --operator {url} --psp alpha --account anna --pin-file pin --counter tpm")).ok();
    anna("fund 100").ok();
    let shown = anna("show --json").ok().json();
    assert_eq!((&shown["grade"], &shown["freshness"]), (&"virtual-se-bound".into(), &"proven".into()));
    let known = shown["key"].as_str().unwrap().to_owned();
    world.offline(&format!("operator wallet --dir op {known}")).ok().says("counter tpm, by its host's word");

    for name in ["anna", "device"] {
        copy_folder(&world.path(name), &world.path(&format!("old-{name}")));
    }
    world.offline("wallet --home ben request 30 --out r.cbor").ok();
    anna("pay r.cbor --out p.cbor").ok();
    for name in ["anna", "device"] {
        copy_folder(&world.path(name), &world.path(&format!("new-{name}")));
        std::fs::remove_dir_all(world.path(name)).unwrap();
        copy_folder(&world.path(&format!("old-{name}")), &world.path(name));
    }
    world.offline("wallet --home ben request 30 --out r2.cbor").ok();
    anna("pay r2.cbor --out p2.cbor").exits(1).says("error 503");
    assert!(!world.path("p2.cbor").exists());
    assert_eq!(anna("show --json").ok().json()["freshness"], "stale");
    for name in ["anna", "device"] {
        std::fs::remove_dir_all(world.path(name)).unwrap();
        copy_folder(&world.path(&format!("new-{name}")), &world.path(name));
    }
    assert_eq!(anna("show --json").ok().json()["freshness"], "proven");
    anna("pay r2.cbor --out p2.cbor").ok();

    // Without the TPM nothing is done, and with it everything goes on.
    drop(tpm);
    anna("show").exits(1).says("the TPM at").says("COUNTERFOIL_TPM");
    let _tpm = Emulator::start(tpm_folder.path()).unwrap();
    assert_eq!(anna("show --json").ok().json()["freshness"], "proven");
}

#[test]
fn an_application_brings_its_own_counter_and_what_its_platform_attests() {
    let world = World::new();
    let platform = SimulatedPlatform::default();
    let vault = Arc::new(DeviceFolder::open(&world.path("keystore")).unwrap());
    let plain = Device::new(world.path("phone")).with_vault(vault);
    let device = plain.clone().with_platform(Digest([7; 32]), Arc::new(platform.clone()));
    let (home, operator) = (Home::new(world.path("anna")), HttpOperator::new(&world.url));
    let new = common::new_home(&world, Counter::Platform);

    // What is attested is the enrolment; a chain that leads nowhere is no evidence, and the home is empty again.
    platform.attest_with(vec![vec![0x30, 0]]);
    let refused = Wallet::enrol(&home, &device, &new, &operator).unwrap_err();
    assert_eq!(refused.code(), Some(Code::EvidenceInvalid));
    assert!(home.settings().unwrap().is_none());
    assert_eq!(platform.challenges().len(), 1);
    assert_ne!(platform.challenges()[0], [0; 32]);

    let quiet = SimulatedPlatform::default();
    let device = plain.clone().with_platform(Digest([7; 32]), Arc::new(quiet.clone()));
    let (mut wallet, _) = Wallet::enrol(&home, &device, &new, &operator).unwrap();
    wallet.acknowledge();
    assert_eq!(wallet.freshness(), Freshness::Proven);
    assert_eq!(wallet.overview().unwrap().grade, Grade::VirtualSeBound);
    wallet.fund(Amount::new(5_000).unwrap(), None, &operator).unwrap();
    wallet.acknowledge();
    drop(wallet);
    copy_folder(&world.path("anna"), &world.path("copy"));
    let ask = |device: &Device, name: &str| -> Result<(), WalletError> {
        let mut wallet = Wallet::open(&home, device)?;
        let operation = Operation::Request { amount: Amount::new(100), standing: false };
        wallet.perform(Order { out: Some(world.path(name)), ..Order::new(operation) })?;
        wallet.acknowledge();
        Ok(())
    };
    ask(&device, "1.cbor").unwrap();

    // Another application on the same device, with the same key, opens nothing; nor does one without the counter, or the key.
    let keyless = Device::new(world.path("phone")).with_platform(Digest([7; 32]), Arc::new(quiet.clone()));
    assert_eq!(ask(&keyless, "2.cbor").unwrap_err().name(), "OtherDevice");
    assert!(matches!(ask(&plain, "2.cbor"), Err(WalletError::NoPlatformCounter)));
    let other = plain.clone().with_platform(Digest([8; 32]), Arc::new(quiet.clone()));
    assert!(matches!(ask(&other, "2.cbor"), Err(WalletError::Element(_))));
    quiet.lie(Some(Lie::Fails));
    assert!(matches!(ask(&device, "2.cbor"), Err(WalletError::Element(_))));
    quiet.lie(None);
    ask(&device, "2.cbor").unwrap();

    std::fs::remove_dir_all(world.path("anna")).unwrap();
    copy_folder(&world.path("copy"), &world.path("anna"));
    assert_eq!(ask(&device, "3.cbor").unwrap_err().code(), Some(Code::StaleState));
}
