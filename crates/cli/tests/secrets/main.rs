//! No secret outlives its use in the memory of a command: the whole of it is searched at the end of the process, when
//! everything was dropped and nothing was given back to the system.
//!
//! What is looked for is what a finder could use: the PIN, the wallet's private key and what signing makes of it, the device's
//! key, the sealing key and what sealing derives. The search is proven by finding what is planted.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

#[path = "../common/mod.rs"]
mod common;
mod patterns;
mod traced;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use common::World;
use counterfoil_ta::env::{Env as _, Store as _};
use counterfoil_tre::native::CounterChoice;
use counterfoil_tre::{APPLICATION, Binding, Image, ImageId, open_host};
use counterfoil_trust::SigningKey;
use counterfoil_wallet::{Home, Host};
use counterfoil_wire::Algorithm;
use patterns::Pattern;
use traced::{Memory, memory_at_exit};

/// Twelve digits that stand nowhere else.
fn random_pin() -> String {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).unwrap();
    bytes.iter().map(|byte| char::from(b'0' + byte % 10)).collect()
}

/// Every secret of the wallet in `home`, read by its own device from a copy.
fn secrets(world: &World, home: &str, algorithm: Algorithm) -> Vec<Pattern> {
    let copy = world.path(&format!("{home}-read"));
    let copied =
        std::process::Command::new("cp").arg("-rp").arg(world.path(home)).arg(&copy).status().unwrap();
    assert!(copied.success());
    let settings = Home::new(&copy).settings().unwrap().unwrap();
    let image = match settings.host {
        Host::VirtualSe => Image::shipped().unwrap().id(),
        Host::Native => ImageId::NATIVE,
    };
    let device = world.path("device");
    let binding = Binding { label: settings.label.clone(), application: APPLICATION, image };
    let host = open_host(&copy, &device, binding, &CounterChoice::None, None).unwrap();
    let mut values = Vec::new();
    host.store().scan(b"", &mut |_, value| values.push(value.to_vec())).unwrap();
    let public = world.show(home)["key"].as_str().unwrap().to_owned();
    let is_key = |bytes: &[u8]| {
        let bytes: [u8; 32] = bytes.try_into().unwrap();
        let key = SigningKey::from_secret(algorithm, &bytes).ok()?;
        (hex::encode(key.public().as_bytes()) == public).then_some(bytes)
    };
    let secret = values.iter().find_map(|value| value.windows(32).find_map(is_key)).expect("a private key");
    let mut found = patterns::private_key(algorithm, &secret);
    let file = std::fs::read(device.join("device-key")).unwrap();
    found.extend(patterns::key("device key", file[8..40].try_into().unwrap()));
    let purpose = [b"counterfoil wallet sealing key v1\0", settings.label.as_bytes()].concat();
    let sealing = derived(&file[8..40], &[], &purpose);
    found.extend(patterns::key("sealing key", &sealing));
    for slot in
        ["slot-0", "slot-1"].map(|slot| std::fs::read(world.path(home).join(slot))).into_iter().flatten()
    {
        let salt = &slot[36..68];
        // Proves that this derives what the store derives: the header carries a value of the same key.
        let check = derived(&sealing, salt, b"counterfoil slot key check v1");
        assert!(slot.windows(16).any(|window| window == &check[..16]), "the store derives something else");
        found.extend(patterns::key("frame key", &derived(&sealing, salt, b"counterfoil frame key v1")));
    }
    found
}

/// HKDF-SHA256 (RFC 5869).
fn derived(key: &[u8], salt: &[u8], purpose: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    hkdf::Hkdf::<sha2::Sha256>::new(Some(salt), key).expand(purpose, &mut out).unwrap();
    out
}

/// The command of a wallet, with its PIN in a pipe that it waits at.
fn run(world: &World, line: &str, pin: &str) -> Memory {
    let fifo = world.path("fifo");
    let _ = std::fs::remove_file(&fifo);
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut command = world.command(&format!("{line} --pin-file fifo"));
    command.stdout(Stdio::null()).stderr(Stdio::inherit());
    let (memory, code) = memory_at_exit(&mut command, |_| tell(&fifo, pin));
    assert_eq!(code, 0, "{line}");
    memory
}

fn tell(fifo: &Path, pin: &str) {
    OpenOptions::new().write(true).open(fifo).unwrap().write_all(format!("{pin}\n").as_bytes()).unwrap();
}

fn assert_clean(memory: &Memory, secrets: &[Pattern], when: &str) {
    let found: Vec<String> = secrets
        .iter()
        .flat_map(|(what, bytes)| memory.find(bytes).into_iter().map(move |at| format!("{what} at {at}")))
        .collect();
    assert!(found.is_empty(), "{when}: {found:#?}");
}

fn a_wallets_life(host: &str, algorithm: Algorithm) {
    let world = World::new();
    world.wallet("ben", "", "0");
    let pin = random_pin();
    let url = &world.url;
    let alg = algorithm.name();
    let enrolled = run(
        &world,
        &format!(
            "wallet --home anna enrol --operator {url} --psp alpha --account anna --alg {alg} --host {host} --counter file"
        ),
        &pin,
    );
    let mut all = secrets(&world, "anna", algorithm);
    all.push(("PIN".to_owned(), pin.as_bytes().to_vec()));
    assert_clean(&enrolled, &all, "enrol");

    world.online("wallet --home anna fund 200").ok();
    world.offline("wallet --home ben request 60 --out r.cbor").ok();
    let paid = run(&world, "wallet --home anna pay r.cbor --out p.cbor", &pin);
    assert!(world.path("p.cbor").exists());
    assert_clean(&paid, &all, "pay");

    // A PIN from a pipe goes another way.
    world.offline("wallet --home ben request 60 --out !r.cbor").ok();
    let mut command = world.command("wallet --home anna pay r.cbor --out p2.cbor");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::inherit());
    let (piped, code) = memory_at_exit(&mut command, |child| {
        child.stdin.take().unwrap().write_all(format!("{pin}\n").as_bytes()).unwrap();
    });
    assert!(code == 0 && world.path("p2.cbor").exists());
    assert_clean(&piped, &all, "pay with the PIN from a pipe");
}

/// Set for the process that has something planted in it.
const PLANT: &str = "COUNTERFOIL_TEST_PLANT";

#[test]
fn the_search_finds_what_is_planted_on_heap_and_stack() {
    if let Ok(plant) = std::env::var(PLANT) {
        let _ = std::io::stdin().read_line(&mut String::new());
        let bytes: [u8; 32] = hex::decode(plant).unwrap().try_into().unwrap();
        std::hint::black_box((Box::leak(Box::new(bytes)), &bytes));
        std::process::exit(7);
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).unwrap();
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "the_search_finds_what_is_planted_on_heap_and_stack", "--nocapture"])
        .env(PLANT, hex::encode(secret))
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let (memory, code) = memory_at_exit(&mut command, |child| drop(child.stdin.take()));
    assert_eq!(code, 7);
    let found = memory.find(&secret);
    // In the box, and in the frame of the thread that exits.
    assert!(found.len() >= 2, "{found:?}");
    assert!(!memory.find(hex::encode(secret).as_bytes()).is_empty(), "the environment is on the stack");
    assert!(memory.find(&[0x5a; 33]).is_empty());
}

#[test]
fn nothing_is_left_of_a_wallet_in_the_virtual_secure_element() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        a_wallets_life("virtual-se", algorithm);
    }
}

#[test]
fn nothing_is_left_of_a_native_wallet() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        a_wallets_life("native", algorithm);
    }
}
