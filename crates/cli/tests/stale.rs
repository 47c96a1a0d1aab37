//! An older copy of a wallet is put back, and the holder goes on with a fresh one.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod common;

use std::cell::{Cell, RefCell};
use std::path::Path;

use common::{World, new_home};
use counterfoil_wallet::operation::Outcome;
use counterfoil_wallet::sync::NewWallet;
use counterfoil_wallet::{
    Counter, Device, Freshness, Home, HttpOperator, Operator, OperatorError, Scheme, Wallet, WalletError,
};

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A home whose wallet has paid 30.00 since it was copied, and the copy put back.
fn stale(world: &World) -> String {
    world.wallet("anna", "--counter file", "100.00");
    world.wallet("ben", "", "0");
    copy_folder(&world.path("anna"), &world.path("copy"));
    world.offline("wallet --home ben request 30 --out r.cbor").ok();
    world.offline("wallet --home anna pay r.cbor --out p.cbor").ok();
    world.offline("wallet --home ben accept p.cbor --out c.cbor").ok();
    std::fs::remove_dir_all(world.path("anna")).unwrap();
    copy_folder(&world.path("copy"), &world.path("anna"));
    let shown = world.show("anna");
    assert_eq!(shown["freshness"], "stale", "{shown:#}");
    shown["key"].as_str().unwrap().to_owned()
}

fn enrol(world: &World, options: &str) -> common::Gave {
    let url = &world.url;
    world.online(&format!(
        "wallet --home anna enrol --operator {url} --psp alpha --account anna --pin-file pin --counter file {options}"
    ))
}

#[test]
fn a_stale_wallet_is_replaced_on_request_alone_and_its_balance_comes_back_through_the_psp() {
    let world = World::new();
    let old = stale(&world);
    // Left by the old wallet's last command; the new one must not carry it out.
    std::fs::copy(world.path("ben/last.json"), world.path("anna/pending.json")).unwrap();
    world.offline("wallet --home anna request 1 --out !q.cbor").exits(1).says("error 503").says("--replace");
    enrol(&world, "").exits(1).says("error 501");
    enrol(&world, "--replace --alg es256").exits(1).says("another algorithm");
    // Without the operator nothing is replaced.
    world.stop_operator();
    enrol(&world, "--replace").exits(1);
    assert_eq!(world.show("anna")["key"].as_str(), Some(old.as_str()));
    world.start_operator();
    let replaced = enrol(&world, "--replace").ok();
    replaced
        .says("it took the place of a stale copy")
        .says(&old)
        .says("tell the PSP that it is lost")
        .says("comes back to the account");
    let shown = world.show("anna");
    assert_eq!((&shown["freshness"], &shown["balance"]["minor"]), (&"proven".into(), &0.into()));
    assert_ne!(shown["key"].as_str(), Some(old.as_str()));
    // It is as good as any, and is not replaced again.
    enrol(&world, "--replace").exits(1).says("error 501");
    world.online("wallet --home anna fund 20").ok();
    world.offline("wallet --home ben request 5 --out !r.cbor").ok();
    world.offline("wallet --home anna pay r.cbor --out !p.cbor").ok();
    world.offline("wallet --home ben accept p.cbor --out !c.cbor").ok();
    world.online("wallet --home ben sync").ok();
    // The old wallet is what the operator says it is.
    let closed = world.online(&format!("operator close-wallet --dir op {old} --json")).ok().json();
    assert_eq!((&closed["unspent"], &closed["due"]), (&7_000.into(), &false.into()));
    assert!(world.show("anna")["standing"] != "suspended");
    world.audit();
}

#[test]
fn a_refused_replacement_leaves_an_empty_home_and_the_old_wallets_name() {
    let world = World::new();
    let old = stale(&world);
    // The operator says no once the key is there: nothing is left to go on with, and an ordinary enrolment does.
    enrol(&world, "--replace --activation-code 00").exits(1).says("error 601");
    enrol(&world, "").ok().says(&old).says("tell the PSP that it is lost");
    assert_eq!(world.show("anna")["freshness"], "proven");
}

/// An operator that cannot be reached when an enrolment is given in, or whose answer is lost.
struct CutOff {
    inner: HttpOperator,
    answers: Cell<u8>,
    seen: RefCell<Vec<Vec<u8>>>,
}

impl Operator for CutOff {
    fn scheme(&self) -> Result<Scheme, OperatorError> {
        self.inner.scheme()
    }
    fn challenge(&self) -> Result<counterfoil_wire::Nonce, OperatorError> {
        self.inner.challenge()
    }
    fn enrol(&self, new: &NewWallet<'_>) -> Result<Vec<u8>, OperatorError> {
        self.seen.borrow_mut().push(new.enrolment.to_vec());
        let lost = OperatorError::Unreachable { url: String::new(), reason: String::new() };
        match self.answers.replace(self.answers.get() + 1) {
            0 => Err(lost),
            1 => self.inner.enrol(new).and(Err(lost)),
            _ => self.inner.enrol(new),
        }
    }
    fn fund(&self, order: &[u8]) -> Result<bool, OperatorError> {
        self.inner.fund(order)
    }
    fn settle(&self, statement: &[u8]) -> Result<Vec<u8>, OperatorError> {
        self.inner.settle(statement)
    }
}

/// An operator that says who it is, and then is gone.
struct NoChallenge(HttpOperator);

impl Operator for NoChallenge {
    fn scheme(&self) -> Result<Scheme, OperatorError> {
        self.0.scheme()
    }
    fn challenge(&self) -> Result<counterfoil_wire::Nonce, OperatorError> {
        Err(OperatorError::Unreachable { url: String::new(), reason: String::new() })
    }
    fn enrol(&self, _: &NewWallet<'_>) -> Result<Vec<u8>, OperatorError> {
        panic!("nothing was challenged")
    }
    fn fund(&self, order: &[u8]) -> Result<bool, OperatorError> {
        self.0.fund(order)
    }
    fn settle(&self, statement: &[u8]) -> Result<Vec<u8>, OperatorError> {
        self.0.settle(statement)
    }
}

#[test]
fn a_stale_copy_is_as_it_was_until_there_is_a_challenge_to_answer() {
    let world = World::new();
    stale(&world);
    std::fs::copy(world.path("ben/last.json"), world.path("anna/pending.json")).unwrap();
    let files = || {
        let read = std::fs::read_dir(world.path("anna")).unwrap().map(|entry| entry.unwrap().path());
        read.map(|path| (path.clone(), std::fs::read(path).unwrap()))
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    let before = files();
    let operator = NoChallenge(HttpOperator::new(&world.url));
    let (home, device) = (Home::new(world.path("anna")), Device::new(world.path("device")));
    Wallet::enrol_anew(&home, &device, &new_home(&world, Counter::File), &operator).unwrap_err();
    assert_eq!(files(), before);
}

#[test]
fn a_replacement_that_was_cut_off_goes_on_with_the_same_key() {
    let world = World::new();
    let old = stale(&world);
    let inner = HttpOperator::new(&world.url);
    let operator = CutOff { inner, answers: Cell::new(0), seen: RefCell::default() };
    let new = new_home(&world, Counter::File);
    let (home, device) = (Home::new(world.path("anna")), Device::new(world.path("device")));
    for _ in 0..2 {
        let cut = Wallet::enrol_anew(&home, &device, &new, &operator);
        assert!(matches!(cut, Err(WalletError::Operator(OperatorError::Unreachable { .. }))));
        // Nothing that the old wallet was, and nothing but the enrolment that goes on.
        let mut wallet = Wallet::open(&home, &device).unwrap();
        assert_eq!(wallet.freshness(), Freshness::Proven);
        assert_ne!(hex::encode(wallet.overview().unwrap().key.as_bytes()), old);
    }
    let (mut wallet, done) = Wallet::enrol_anew(&home, &device, &new, &operator).unwrap();
    let Outcome::Enrolled(enrolled) = done.outcome else { panic!() };
    assert_eq!(enrolled.replaced.map(|replaced| replaced.key), Some(old));
    assert!(wallet.overview().unwrap().cert.is_some());
    let seen = operator.seen.take();
    assert_eq!((seen.len(), seen.iter().all(|enrolment| *enrolment == seen[0])), (3, true));
}
