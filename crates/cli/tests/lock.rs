//! The device's own lock in the place of the PIN, and a wallet whose device is tampered with.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::sync::{Arc, Mutex};

use common::World;
use counterfoil_tre::testing::platform::SimulatedPlatform;
use counterfoil_wallet::{
    Counter, Device, Home, HttpOperator, LockError, NewHome, Operation, Order, Pin, PlatformLock, Wallet,
    WalletError,
};
use counterfoil_wire::{Algorithm, Amount, Code, Digest, PublicKey, Signature};

#[test]
fn the_devices_lock_stands_for_the_pin_once_it_is_bound() {
    let world = World::new();
    world.wallet("anna", "", "300");
    world.wallet("ben", "", "0");
    let ask = |amount, name| {
        world.offline(&format!("wallet --home ben request {amount} --out {name}")).ok();
    };
    ask("60", "r.cbor");
    let pay = "wallet --home anna pay r.cbor --device-lock --out p.cbor";

    world.piped(pay, "yes\n").exits(1).says("error 420").says("bind one with the PIN");
    std::fs::write(world.path("wrong"), "1111").unwrap();
    world.offline("wallet --home anna bind-lock --pin-file wrong").exits(1).says("error 404");
    world.offline("wallet --home anna bind-lock").exits(1).says("error 403");
    let bound = world.offline("wallet --home anna bind-lock --pin-file pin --json").ok().json();
    let shown = world.show("anna");
    assert_eq!(shown["device_lock"], bound["device_lock"]);
    world.offline("wallet --home anna show").ok().says("stands for the PIN for payments up to 250.00 EUR");

    // No means no, silence means no, and neither leaves anything behind.
    world.piped(pay, "no\n").exits(1).says("not unlocked").says("nothing was paid");
    let silent = world.offline(&format!("{pay} --json")).exits(1).json();
    assert_eq!(
        (&silent["error"]["name"], &silent["error"]["fault"]),
        (&"NotUnlocked".into(), &"holder".into())
    );
    assert!(!world.path("p.cbor").exists() && !world.path("anna/pending.json").exists());
    world.offline("wallet --home anna pay r.cbor --out p.cbor").exits(1).says("error 403");
    world.piped(pay, "yes\n").ok().says("60.00 EUR");
    world.offline("wallet --home ben accept p.cbor --out c.cbor").ok();

    // What needs no voucher asks for none.
    ask("1", "r1.cbor");
    world.offline("wallet --home anna pay r1.cbor --device-lock --out p1.cbor").ok();

    // A wrong PIN takes nothing away; the right one does, and a key made again is another one.
    world.offline("wallet --home anna unbind-lock --pin-file wrong").exits(1).says("error 404");
    ask("61", "r2.cbor");
    world.piped("wallet --home anna pay r2.cbor --device-lock --out p2.cbor", "yes\n").ok();
    let again = world.offline("wallet --home anna bind-lock --pin-file pin --json").ok().json();
    assert_ne!(again["device_lock"], bound["device_lock"]);
    ask("62", "r3.cbor");
    world.piped("wallet --home anna pay r3.cbor --device-lock --out p3.cbor", "yes\n").ok();
    world.offline("wallet --home anna unbind-lock --pin-file pin").ok();
    assert!(world.show("anna")["device_lock"].is_null());
    ask("63", "r4.cbor");
    world
        .piped("wallet --home anna pay r4.cbor --device-lock --out p4.cbor", "yes\n")
        .exits(1)
        .says("error 420");
    world.offline("wallet --home anna pay r4.cbor --pin-file pin --out p4.cbor").ok();
}

/// A lock that always agrees, until its key is lost, and writes down what it was asked.
#[derive(Default)]
struct Recorded {
    key: Mutex<Option<counterfoil_trust::SigningKey>>,
    asked: Mutex<Vec<String>>,
}

impl PlatformLock for Recorded {
    fn make_key(&self, _: &str) -> Result<PublicKey, LockError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).unwrap();
        let key = counterfoil_trust::SigningKey::from_secret(Algorithm::Es256, &seed).unwrap();
        Ok(self.key.lock().unwrap().insert(key).public())
    }

    fn approve(&self, _: &str, challenge: &Digest, purpose: &str) -> Result<Signature, LockError> {
        self.asked.lock().unwrap().push(purpose.to_owned());
        let key = self.key.lock().unwrap();
        Ok(key.as_ref().ok_or(LockError::NoKey)?.sign(&challenge.0, &[0; 32]))
    }

    fn remove_key(&self, _: &str) -> Result<(), LockError> {
        *self.key.lock().unwrap() = None;
        Ok(())
    }
}

#[test]
fn an_applications_lock_is_asked_only_where_the_rules_let_it_decide() {
    let world = World::new();
    let platform = Arc::new(SimulatedPlatform::default());
    let device = Device::new(world.path("phone")).with_platform(Digest([7; 32]), platform);
    let (home, operator) = (Home::new(world.path("anna")), HttpOperator::new(&world.url));
    let pin = || Some(Pin(zeroize::Zeroizing::new(common::PIN.to_owned())));
    let new = NewHome { pin: pin(), ..common::new_home(&world, Counter::Platform) };
    let (mut wallet, _) = Wallet::enrol(&home, &device, &new, &operator).unwrap();
    wallet.acknowledge();
    wallet.fund(Amount::new(90_000).unwrap(), None, &operator).unwrap();
    wallet.acknowledge();
    let name = "--account shop --name Café_Central";
    let url = &world.url;
    world.online(&format!("terminal --home shop enrol --operator {url} --psp beta {name}")).ok();
    let request = |amount: &str| {
        world.offline(&format!("terminal --home shop request {amount} --out !r.cbor")).ok();
        std::fs::read(world.path("r.cbor")).unwrap()
    };
    let lock = Recorded::default();
    let pay = |wallet: &mut Wallet, request: &[u8], pin: Option<Pin>| {
        let operation = Operation::Pay { request: request.to_vec(), amount: None };
        let _ = std::fs::remove_file(world.path("p.cbor"));
        let out = Some(world.path("p.cbor"));
        let done = wallet.perform_approved(Order { out, pin, ..Order::new(operation) }, &lock);
        wallet.acknowledge();
        done
    };
    let asked = || std::mem::take(&mut *lock.asked.lock().unwrap());

    wallet.bind_lock(&lock, pin()).unwrap();
    pay(&mut wallet, &request("120"), None).unwrap();
    assert_eq!(asked(), ["pay 120.00 EUR to Café Central"]);

    // Above what an approval covers the PIN is wanted, and the lock is not asked; nor is it beside a PIN.
    let large = request("300");
    assert_eq!(pay(&mut wallet, &large, None).unwrap_err().code(), Some(Code::PinRequired));
    pay(&mut wallet, &large, pin()).unwrap();
    assert_eq!(pay(&mut wallet, &request("500"), None).unwrap_err().code(), Some(Code::InsufficientFunds));
    assert!(asked().is_empty());

    // An interrupted payment is reported, not approved behind anybody's back.
    lock.remove_key("").unwrap();
    let lost = request("70");
    assert_eq!(pay(&mut wallet, &lost, None).unwrap_err().code(), Some(Code::NoPlatformKey));
    lock.make_key("").unwrap();
    assert_eq!(pay(&mut wallet, &lost, None).unwrap_err().code(), Some(Code::ApprovalWrong));
    wallet.bind_lock(&lock, pin()).unwrap();
    pay(&mut wallet, &lost, None).unwrap();
    assert!(matches!(
        wallet.perform(Order::new(Operation::Pay { request: request("70"), amount: None })),
        Err(WalletError::Refused(error)) if error.code == Code::PinRequired
    ));
}

#[test]
fn a_wallet_reported_as_tampered_with_stops_until_a_sync() {
    let world = World::new();
    world.wallet("anna", "", "100");
    world.wallet("ben", "", "0");
    world.offline("wallet --home ben request 10 --out r.cbor").ok();
    world
        .offline("wallet --home anna report-tamper debugger")
        .ok()
        .says("deactivated: a debugger was attached");
    // The first reason stands.
    let told = world.offline("wallet --home anna report-tamper rooted --json").ok().json();
    assert_eq!(told["tamper"], "debugger");
    world.offline("wallet --home anna pay r.cbor --out p.cbor").exits(1).says("error 512");
    world.offline("wallet --home anna show").ok().says("deactivated (512)").says("a debugger was attached");
    assert_eq!(world.show("anna")["tamper"], "debugger");
    world.online("wallet --home anna sync").ok();
    let shown = world.show("anna");
    assert_eq!((&shown["tamper"], &shown["standing"]), (&serde_json::Value::Null, &"good".into()));
    world.offline("wallet --home anna pay r.cbor --out p.cbor").ok();
}
