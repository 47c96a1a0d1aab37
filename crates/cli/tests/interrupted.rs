//! Every point at which a command can be cut off, by number: before and after each word between the wallet, its trusted
//! application and its operator. `killpoint` kills the whole program, at each of its system calls.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod common;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::World;
use counterfoil_wallet::sync::NewWallet;
use counterfoil_wallet::{
    CounterKind, Device, Done, Element, Freshness, Home, HttpOperator, Operation, Operator, OperatorError,
    Order, Outcome, Overview, Scheme, Wallet, WalletError, open_element,
};
use counterfoil_wire::Amount;

/// An element whose answers do not arrive from the `cut`th command on: as if the process had been killed.
struct CutOff {
    inner: Box<dyn Element>,
    left: u32,
    /// Whether the command at the cut is still carried out.
    after: bool,
    cut: Arc<AtomicU32>,
}

impl Element for CutOff {
    fn process(&mut self, command: &[u8]) -> Vec<u8> {
        if self.left > 0 {
            self.left -= 1;
            return self.inner.process(command);
        }
        if self.cut.fetch_add(1, Ordering::Relaxed) == 0 && self.after {
            let _ = self.inner.process(command);
        }
        Vec::new()
    }

    fn counter_kind(&self) -> CounterKind {
        self.inner.counter_kind()
    }

    fn freshness(&self) -> Freshness {
        self.inner.freshness()
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn open_cut(home: &Path, device: &Device, left: u32, after: bool) -> (Wallet, Arc<AtomicU32>) {
    let home = Home::new(home);
    let settings = home.settings().unwrap().unwrap();
    let inner = open_element(&home, device, &settings).unwrap();
    let cut = Arc::new(AtomicU32::new(0));
    let element = CutOff { inner, left, after, cut: cut.clone() };
    (Wallet::with_element(home, settings, Box::new(element)), cut)
}

/// What must be the same however a command ended: all but random nonces and what hangs on them.
fn state(overview: &Overview) -> impl PartialEq + std::fmt::Debug + use<> {
    let payments: Vec<_> = overview.payments.iter().map(|p| (p.amount, p.state, p.peer)).collect();
    let requests: Vec<_> = overview.requests.iter().map(|r| (r.number, r.amount)).collect();
    (overview.funded, overview.received, overview.spent, overview.journal_len, payments, requests)
}

/// How many commands an order takes.
fn commands(home: &Path, device: &Device, order: &Order) -> u32 {
    (1..)
        .find(|left| {
            let copied = home.with_extension(left.to_string());
            copy(home, &copied);
            let (mut wallet, cut) = open_cut(&copied, device, *left, false);
            let _ = wallet.perform(order.clone());
            let _ = std::fs::remove_file(order.out.as_ref().unwrap());
            cut.load(Ordering::Relaxed) == 0
        })
        .unwrap()
}

fn message(world: &World, name: &str) -> Vec<u8> {
    std::fs::read(world.path(name)).unwrap()
}

#[test]
fn every_offline_operation_survives_every_cut() {
    let world = World::new();
    world.wallet("anna", "", "100.00");
    world.wallet("ben", "", "950.00");
    let run = |line: &str, code| world.offline(line).exits(code);
    // Anna holds: a request of Ben's to pay, a payment of Ben's to take, a payment for each way of ending.
    run("wallet --home ben request 5 --out request.cbor", 0);
    run("wallet --home anna request 7 --out r1.cbor", 0);
    run("wallet --home ben pay r1.cbor --out payment.cbor", 0);
    run("wallet --home ben request 3 --out r2.cbor", 0);
    run("wallet --home anna pay r2.cbor --out p2.cbor", 0);
    run("wallet --home ben accept p2.cbor --out receipt.cbor", 0);
    run("wallet --home ben request 4 --out r3.cbor", 0);
    run("wallet --home anna pay r3.cbor --out p3.cbor", 0);
    run("wallet --home ben decline p3.cbor --out decline.cbor", 0);
    let read = |name: &str| message(&world, name);
    let operations = [
        Operation::Request { amount: Amount::new(100), standing: false },
        Operation::Pay { request: read("request.cbor"), amount: None },
        Operation::Accept { payment: read("payment.cbor") },
        Operation::Decline { payment: read("payment.cbor") },
        Operation::Confirm { receipt: read("receipt.cbor") },
        Operation::Reclaim { decline: read("decline.cbor") },
    ];
    let device = Device::new(world.path("device"));
    let mut cuts = 0;
    for (number, operation) in operations.into_iter().enumerate() {
        let out = world.path(&format!("out{number}.cbor"));
        let order = Order { out: Some(out.clone()), ..Order::new(operation) };
        let fresh = |name: String| -> PathBuf {
            let _ = std::fs::remove_file(&out);
            let home = world.path(&name);
            copy(&world.path("anna"), &home);
            home
        };
        let home = fresh(format!("whole{number}"));
        let mut wallet = Wallet::open(&Home::new(&home), &device).unwrap();
        wallet.perform(order.clone()).unwrap();
        wallet.acknowledge();
        let expected = state(&wallet.overview().unwrap());
        let writes = out.exists();
        let whole = writes.then(|| commands(&fresh(format!("count{number}")), &device, &order));
        for after in [false, true] {
            for left in 0.. {
                let home = fresh(format!("cut{number}-{left}-{after}"));
                let (mut wallet, cut) = open_cut(&home, &device, left, after);
                let gave = wallet.perform(order.clone());
                drop(wallet);
                if cut.load(Ordering::Relaxed) == 0 {
                    gave.unwrap();
                    break;
                }
                cuts += 1;
                match gave {
                    // The last command fetches what rides along, and the message leaves without it.
                    Ok(_) => assert!(out.exists() && whole == Some(left + 1), "{number} {left} {after}"),
                    Err(error) => assert!(matches!(error, WalletError::UnexpectedReply)),
                }
                // Either the same command is run again, or another one comes first.
                let again = fresh(format!("again{number}-{left}-{after}"));
                copy(&home, &again);
                let mut wallet = Wallet::open(&Home::new(&again), &device).unwrap();
                let done = wallet.perform(order.clone()).unwrap();
                assert!(done.resumed && wallet.take_finished().is_empty());
                wallet.acknowledge();
                assert_eq!(state(&wallet.overview().unwrap()), expected, "{number} {left} {after}, again");
                assert_eq!(out.exists(), writes);

                let _ = std::fs::remove_file(&out);
                let mut wallet = Wallet::open(&Home::new(&home), &device).unwrap();
                wallet.finish_interrupted().unwrap();
                let finished = wallet.take_finished();
                assert!(finished.len() == 1 && finished[0].result.is_ok(), "{finished:?}");
                assert_eq!(state(&wallet.overview().unwrap()), expected, "{number} {left} {after}, other");
                assert_eq!(out.exists(), writes);
                wallet.finish_interrupted().unwrap();
                assert!(wallet.take_finished().is_empty());
            }
        }
    }
    assert!(cuts >= 12, "{cuts}");
}

#[test]
fn a_message_whose_folder_is_gone_is_put_into_the_home() {
    let world = World::new();
    world.wallet("anna", "", "100.00");
    world.wallet("ben", "", "0");
    world.offline("wallet --home ben request 5 --out request.cbor").ok();
    let device = Device::new(world.path("device"));
    let folder = world.path("usb-stick");
    std::fs::create_dir(&folder).unwrap();
    let pay = Operation::Pay { request: message(&world, "request.cbor"), amount: None };
    let order = Order { out: Some(folder.join("p.cbor")), ..Order::new(pay) };
    let (mut wallet, _) = open_cut(&world.path("anna"), &device, 0, true);
    assert!(wallet.perform(order).is_err());
    drop(wallet);
    std::fs::remove_dir(&folder).unwrap();
    let told = world.offline("wallet --home anna show").ok();
    let told =
        told.says("finished the interrupted payment of 5.00 EUR; nothing was paid twice").says("recovered-");
    let recovered = told.out.split_whitespace().find(|word| word.contains("recovered-")).unwrap().to_owned();
    world.offline(&format!("wallet --home ben accept {recovered} --out c.cbor")).ok();
}

#[test]
fn an_interrupted_payment_that_takes_a_pin_is_not_made_behind_anybodys_back() {
    let world = World::new();
    world.wallet("anna", "", "100.00");
    world.wallet("ben", "", "0");
    world.offline("wallet --home ben request 60 --out request.cbor").ok();
    let pay = Operation::Pay { request: message(&world, "request.cbor"), amount: None };
    let order = Order { out: Some(world.path("p.cbor")), ..Order::new(pay) };
    let (mut wallet, _) = open_cut(&world.path("anna"), &Device::new(world.path("device")), 0, false);
    assert!(wallet.perform(order).is_err());
    drop(wallet);
    world.offline("wallet --home anna show").ok().says("payment was not made, and nothing moved: error 403");
    assert_eq!(world.balance("anna"), 10_000);
    assert!(!world.path("p.cbor").exists());
}

/// An operator of whom the `cut`th exchange is lost: the question, or the answer.
struct Lossy {
    inner: HttpOperator,
    left: Cell<u32>,
    after: bool,
    lost: Cell<u32>,
}

impl Lossy {
    fn pass<T>(&self, call: impl FnOnce() -> Result<T, OperatorError>) -> Result<T, OperatorError> {
        if self.left.get() > 0 {
            self.left.set(self.left.get() - 1);
            return call();
        }
        self.lost.set(self.lost.get() + 1);
        if self.after && self.lost.get() == 1 {
            let _ = call();
        }
        Err(OperatorError::Unreachable { url: "lossy".into(), reason: "cut off".into() })
    }
}

impl Operator for Lossy {
    fn scheme(&self) -> Result<Scheme, OperatorError> {
        self.pass(|| self.inner.scheme())
    }
    fn challenge(&self) -> Result<counterfoil_wire::Nonce, OperatorError> {
        self.pass(|| self.inner.challenge())
    }
    fn enrol(&self, new: &NewWallet<'_>) -> Result<Vec<u8>, OperatorError> {
        self.pass(|| self.inner.enrol(new))
    }
    fn fund(&self, order: &[u8]) -> Result<bool, OperatorError> {
        self.pass(|| self.inner.fund(order))
    }
    fn settle(&self, statement: &[u8]) -> Result<Vec<u8>, OperatorError> {
        self.pass(|| self.inner.settle(statement))
    }
}

type Act = fn(&mut Wallet, &dyn Operator) -> Result<Option<Done>, WalletError>;

#[test]
fn every_online_operation_survives_every_cut() {
    let world = World::new();
    world.wallet("anna", "--counter file", "0");
    let device = Device::new(world.path("device"));
    let home = world.path("anna");
    let fund: Act = |wallet, operator| wallet.fund(Amount::new(300).unwrap(), None, operator).map(Some);
    let defund: Act = |wallet, operator| {
        let pin = counterfoil_wallet::Pin(zeroize::Zeroizing::new(common::PIN.to_owned()));
        wallet.defund(Amount::new(100).unwrap(), None, Some(pin), operator).map(Some)
    };
    let sync: Act = |wallet, operator| wallet.sync(operator).map(|_| None);
    let operator = || HttpOperator::new(&world.url);
    let mut balance = 0_u64;
    let mut cuts = 0;
    for (act, change) in [(fund, 300_i64), (defund, -100), (sync, 0)] {
        // First what is lost on the way, then what is lost at home.
        for (at_home, after, by_sync) in [
            (false, false, false),
            (false, true, false),
            (true, false, false),
            (true, true, false),
            (true, true, true),
        ] {
            for left in 0.. {
                let lossy = Lossy {
                    inner: operator(),
                    left: Cell::new(if at_home { u32::MAX } else { left }),
                    after,
                    lost: Cell::new(0),
                };
                let (mut wallet, cut) =
                    open_cut(&home, &device, if at_home { left } else { u32::MAX }, after);
                let gave = act(&mut wallet, &lossy);
                let was_cut = cut.load(Ordering::Relaxed) + lossy.lost.get() > 0;
                if !was_cut {
                    gave.unwrap();
                    wallet.acknowledge();
                    balance = balance.checked_add_signed(change).unwrap();
                    break;
                }
                drop(wallet);
                cuts += 1;
                assert!(gave.is_err());
                let mut wallet = Wallet::open(&Home::new(&home), &device).unwrap();
                if by_sync {
                    wallet.sync(&operator()).unwrap();
                    let finished = wallet.take_finished();
                    // Not yet begun, and without a PIN: it is not made.
                    let made = finished.iter().all(|one| one.result.is_ok());
                    balance = balance.checked_add_signed(if made { change } else { 0 }).unwrap();
                } else {
                    act(&mut wallet, &operator()).unwrap();
                    balance = balance.checked_add_signed(change).unwrap();
                }
                wallet.acknowledge();
                let overview = wallet.overview().unwrap();
                assert_eq!(
                    overview.funded.minor(),
                    balance,
                    "{change} home {at_home} after {after} left {left}"
                );
                assert!(
                    overview.order.is_none() && overview.defunding.is_zero() && !overview.statement_pending
                );
            }
        }
    }
    assert!(cuts >= 30, "{cuts}");
    assert_eq!(world.audit()["offline"].as_u64(), Some(balance));
}

#[test]
fn an_answer_to_an_enrolment_may_be_lost() {
    let world = World::new();
    let new = counterfoil_wallet::NewHome {
        kind: counterfoil_wallet::Kind::Wallet,
        operator_url: world.url.clone(),
        psp: "alpha".into(),
        account: "a".into(),
        activation_code: None,
        algorithm: counterfoil_wire::Algorithm::EdDsa,
        name: counterfoil_wire::cert::Name::default(),
        counter: counterfoil_wallet::Counter::None,
        host: counterfoil_wallet::Host::VirtualSe,
        pin: None,
        root: None,
    };
    // Three exchanges: the scheme, the challenge, the enrolment.
    for left in 0..3 {
        for after in [false, true] {
            let home = Home::new(world.path(&format!("w{left}{after}")));
            let lossy = Lossy {
                inner: HttpOperator::new(&world.url),
                left: Cell::new(left),
                after,
                lost: Cell::new(0),
            };
            assert!(Wallet::enrol(&home, &Device::new(world.path("device")), &new, &lossy).is_err());
            let operator = HttpOperator::new(&world.url);
            // The key has signed what it is for, if there is one: nothing else is asked for with it.
            if left > 1 {
                let other = counterfoil_wallet::NewHome { account: "b".into(), ..new.clone() };
                let error =
                    Wallet::enrol(&home, &Device::new(world.path("device")), &other, &operator).unwrap_err();
                assert!(error.to_string().contains("another account"), "{error}");
            }
            let (mut wallet, done) =
                Wallet::enrol(&home, &Device::new(world.path("device")), &new, &operator).unwrap();
            assert!(matches!(done.outcome, Outcome::Enrolled(_)));
            wallet.acknowledge();
            wallet.fund(Amount::new(100).unwrap(), None, &operator).unwrap();
        }
    }
    world.audit();
}

#[test]
fn a_payment_whose_file_cannot_be_written_is_told_and_never_made_twice() {
    let world = World::new();
    world.wallet("anna", "", "100.00");
    world.wallet("ben", "", "0");
    world.offline("wallet --home ben request --standing --out s.cbor").ok();
    let device = Device::new(world.path("device"));
    // Something takes the place of the file between the check and the write, as a full disk would.
    struct Blocking {
        inner: Box<dyn Element>,
        out: PathBuf,
    }
    impl Element for Blocking {
        fn process(&mut self, command: &[u8]) -> Vec<u8> {
            let answer = self.inner.process(command);
            std::fs::write(&self.out, b"in the way").unwrap();
            answer
        }
        fn counter_kind(&self) -> CounterKind {
            self.inner.counter_kind()
        }
        fn freshness(&self) -> Freshness {
            self.inner.freshness()
        }
    }
    let home = Home::new(world.path("anna"));
    let settings = home.settings().unwrap().unwrap();
    let inner = open_element(&home, &device, &settings).unwrap();
    let out = world.path("a.cbor");
    let element = Box::new(Blocking { inner, out: out.clone() });
    let mut wallet = Wallet::with_element(home, settings, element);
    let pay = Operation::Pay { request: message(&world, "s.cbor"), amount: Amount::new(300) };
    let failed = wallet.perform(Order { out: Some(out.clone()), ..Order::new(pay) });
    assert!(matches!(failed, Err(WalletError::NotWritten { .. })), "{failed:?}");
    drop(wallet);
    assert_eq!(std::fs::read(&out).unwrap(), b"in the way");

    // The same file once more, then another: one payment, and no second one.
    world
        .offline("wallet --home anna pay s.cbor --amount 3 --out a.cbor")
        .exits(1)
        .says("the payment was made: 3.00 EUR has left")
        .says("next: run the same command again, with any --out");
    let told = world.offline("wallet --home anna pay s.cbor --amount 3 --out a.cbor --json").exits(1).json();
    assert_eq!(told["error"]["name"], "MessageNotWritten", "{told:#}");
    world
        .offline("wallet --home anna pay s.cbor --amount 3 --out ok.cbor")
        .ok()
        .says("this finishes the interrupted payment")
        .says("3.00 EUR");
    assert_eq!(world.balance("anna"), 9700);
    world.offline("wallet --home ben accept ok.cbor --out c.cbor").ok().says("received 3.00 EUR");
    // Once it was told, the same words are a new payment.
    world.offline("wallet --home anna pay s.cbor --amount 3 --out ok2.cbor").ok().says("sent 3.00 EUR");
    assert_eq!(world.balance("anna"), 9400);
}

#[test]
fn nothing_is_written_over_and_a_payment_in_flight_can_be_had_again() {
    let world = World::new();
    world.wallet("anna", "", "100.00");
    world.wallet("ben", "", "0");
    let read = |name: &str| message(&world, name);
    world.offline("wallet --home ben request --standing --out s.cbor").ok();
    world.offline("wallet --home ben request 2 --out r.cbor").ok();
    let request = read("s.cbor");
    world
        .offline("wallet --home anna pay s.cbor --amount 3 --out s.cbor")
        .exits(2)
        .says("--out names the file");
    world.offline("wallet --home anna pay s.cbor --amount 3 --out ./s.cbor").exits(2);
    world.offline("wallet --home anna pay s.cbor --amount 3 --out r.cbor").exits(1).says("is there already");
    assert_eq!((world.balance("anna"), read("s.cbor")), (10_000, request));

    world.offline("wallet --home anna pay s.cbor --amount 3 --out p.cbor").ok();
    let payment = read("p.cbor");
    world.offline("wallet --home anna pay s.cbor --amount 4 --out p.cbor").exits(1).says("is there already");
    world.offline("wallet --home anna pay s.cbor --amount 3 --out p.cbor").exits(1).says("is there already");
    world.offline("wallet --home anna pay r.cbor --out p.cbor").exits(1).says("is there already");
    assert_eq!((world.balance("anna"), read("p.cbor")), (9_700, payment.clone()));
    // What gives the same bytes again may have the same name: one request, one reference.
    for again in ["r.cbor --out q.cbor", "s.cbor --amount 5 --ref tea --out t.cbor"] {
        for _ in 0..2 {
            world.offline(&format!("wallet --home anna pay {again}")).ok();
        }
    }
    assert_eq!(world.balance("anna"), 9_000);

    let shown = world.offline("wallet --home anna show").ok().says("wallet resend ID");
    let line = shown.out.lines().find(|line| line.contains("3.00 EUR") && line.contains(" to ")).unwrap();
    let id = line.split_whitespace().last().unwrap();
    std::fs::remove_file(world.path("p.cbor")).unwrap();
    world
        .offline(&format!("wallet --home anna resend {id} --out p.cbor"))
        .ok()
        .says("nothing was debited twice");
    world.offline(&format!("wallet --home anna resend {id} --out p.cbor")).ok();
    assert_eq!(read("p.cbor"), payment);
    world.offline(&format!("wallet --home anna resend {id} --out q.cbor")).exits(1).says("is there already");
    world.offline("wallet --home anna resend 0000000000000000 --out x.cbor").exits(1).says("error 309");
    world.offline("wallet --home anna resend xyz --out x.cbor").exits(2);
    world.offline("wallet --home ben accept p.cbor --out c.cbor").ok();
    world.offline("wallet --home ben accept p.cbor --out c.cbor").ok().says("nothing was credited twice");
    world.offline("wallet --home anna confirm c.cbor").ok();
    world.offline(&format!("wallet --home anna resend {id} --out x.cbor")).exits(1).says("error 310");
    assert_eq!(world.balance("anna"), 9_000);
}
