//! Money is never lost and never made, whatever is lost, repeated, reordered, cut or forged on the way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;

use counterfoil_ta::api::{Command, PaymentState, Reply};
use counterfoil_trust::SigningKey;
use counterfoil_wire::element::Tamper;
use counterfoil_wire::{Algorithm, Bytes, Code, Digest};
use proptest::prelude::*;

use crate::support::{self, Cut, PIN, START_S, Wallet, World, amount};

#[derive(Debug, Clone)]
enum Step {
    Request { payee: usize, amount: Option<u64> },
    Standing { payee: usize },
    Pay { payer: usize, request: usize, amount: u64 },
    Approve { payer: usize, request: usize, amount: u64 },
    Tamper { wallet: usize, tamper: usize },
    Accept { payee: usize, payment: usize },
    Decline { payee: usize, payment: usize },
    Confirm { payer: usize, receipt: usize },
    Reclaim { payer: usize, decline: usize },
    Fund { wallet: usize, amount: u64 },
    Defund { wallet: usize, amount: u64 },
    Sync { wallet: usize },
    LoseSettlement { wallet: usize },
    Gossip { from: usize, to: usize },
    Reopen { wallet: usize },
    PassTime { hours: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    let (w, any) = (0..4usize, 0..64usize);
    prop_oneof![
        3 => (w.clone(), proptest::option::of(1..9_000u64)).prop_map(|(payee, amount)| Step::Request { payee, amount }),
        1 => w.clone().prop_map(|payee| Step::Standing { payee }),
        8 => (w.clone(), any.clone(), 1..9_000u64).prop_map(|(payer, request, amount)| Step::Pay { payer, request, amount }),
        2 => (w.clone(), any.clone(), 1..9_000u64).prop_map(|(payer, request, amount)| Step::Approve { payer, request, amount }),
        1 => (w.clone(), 0..7usize).prop_map(|(wallet, tamper)| Step::Tamper { wallet, tamper }),
        8 => (w.clone(), any.clone()).prop_map(|(payee, payment)| Step::Accept { payee, payment }),
        3 => (w.clone(), any.clone()).prop_map(|(payee, payment)| Step::Decline { payee, payment }),
        4 => (w.clone(), any.clone()).prop_map(|(payer, receipt)| Step::Confirm { payer, receipt }),
        4 => (w.clone(), any.clone()).prop_map(|(payer, decline)| Step::Reclaim { payer, decline }),
        1 => (w.clone(), 1..5_000u64).prop_map(|(wallet, amount)| Step::Fund { wallet, amount }),
        1 => (w.clone(), 1..5_000u64).prop_map(|(wallet, amount)| Step::Defund { wallet, amount }),
        3 => w.clone().prop_map(|wallet| Step::Sync { wallet }),
        1 => w.clone().prop_map(|wallet| Step::LoseSettlement { wallet }),
        1 => (w.clone(), w.clone()).prop_map(|(from, to)| Step::Gossip { from, to }),
        1 => w.prop_map(|wallet| Step::Reopen { wallet }),
        1 => (1..5u32).prop_map(|hours| Step::PassTime { hours }),
    ]
}

/// A world and every message that was ever on its way in it: all of them can arrive again, anywhere.
struct Run {
    world: World,
    hours: u32,
    requests: Vec<Bytes>,
    payments: Vec<Bytes>,
    receipts: Vec<Bytes>,
    declines: Vec<Bytes>,
    accepted: BTreeSet<Digest>,
    /// Defundings that the operator paid out and the wallet does not know to be settled.
    paid_unsettled: [u64; 4],
}

/// Binds a key of the phone's own lock, and pays with its approval.
fn approve(wallet: &mut Wallet, request: &Bytes, minor: u64) -> Result<Bytes, Code> {
    let phone = SigningKey::from_secret(Algorithm::Es256, &[77; 32]).unwrap();
    wallet.run(&Command::BindPlatform { key: Some(phone.public()), pin: Some(support::pin(PIN)) })?;
    let (request, reference) = (request.clone(), wallet.reference());
    let challenge = |wallet: &mut Wallet, amount| {
        wallet.run(&Command::PlatformChallenge { request: request.clone(), amount, reference })
    };
    let (amount, reply) = match challenge(wallet, Some(amount(minor))) {
        Err(Code::AmountFixed) => (None, challenge(wallet, None)),
        other => (Some(amount(minor)), other),
    };
    let Reply::Challenge { challenge } = reply? else { panic!("no challenge") };
    let approval = Some(phone.sign(&challenge.0, &support::HEDGE));
    wallet.message(&Command::Pay { request: request.clone(), amount, pin: None, reference, approval })
}

fn pick(all: &[Bytes], index: usize) -> Option<Bytes> {
    all.get(index.checked_rem(all.len())?).cloned()
}

impl Run {
    fn new() -> Self {
        Self {
            world: World::new(),
            hours: 0,
            requests: vec![],
            payments: vec![],
            receipts: vec![],
            declines: vec![],
            accepted: BTreeSet::new(),
            paid_unsettled: [0; 4],
        }
    }

    fn wallet(&mut self, index: usize) -> &mut Wallet {
        let w = &mut self.world;
        [&mut w.a, &mut w.b, &mut w.c, &mut w.t].into_iter().nth(index).unwrap()
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Request { payee, amount: minor } => {
                let reference = self.wallet(payee).reference();
                let amount = minor.map(amount);
                let ask = Command::Request { amount, standing: false, reference };
                let request = self.wallet(payee).message(&ask).ok();
                self.requests.extend(request);
            }
            Step::Standing { payee } => {
                let reference = self.wallet(payee).reference();
                let ask = Command::Request { amount: None, standing: true, reference };
                let request = self.wallet(payee).message(&ask).ok();
                self.requests.extend(request);
            }
            Step::Pay { payer, request, amount } => {
                let Some(request) = pick(&self.requests, request) else { return };
                let wallet = self.wallet(payer);
                let paid = match wallet.pay(&request, Some(amount), Some(PIN)) {
                    Err(Code::AmountFixed) => wallet.pay(&request, None, Some(PIN)),
                    other => other,
                };
                self.payments.extend(paid.ok());
            }
            Step::Approve { payer, request, amount: minor } => {
                let Some(request) = pick(&self.requests, request) else { return };
                let paid = approve(self.wallet(payer), &request, minor);
                self.payments.extend(paid.ok());
            }
            Step::Tamper { wallet, tamper } => {
                let tamper = Tamper::ALL[tamper];
                match self.wallet(wallet).run(&Command::ReportTamper { tamper }) {
                    Ok(Reply::Deactivated { .. }) => {}
                    other => panic!("{other:?}"),
                }
            }
            Step::Accept { payee, payment } => {
                let Some(payment) = pick(&self.payments, payment) else { return };
                match self.wallet(payee).run(&Command::Accept { payment: payment.clone() }) {
                    Ok(Reply::Accepted { receipt, again, .. }) => {
                        let scheme = self.world.operator.anchors.scheme;
                        let id =
                            counterfoil_trust::open_message::<counterfoil_wire::message::Payment>(&payment.0)
                                .unwrap()
                                .id(&scheme);
                        assert_eq!(self.accepted.insert(id), !again, "credited twice");
                        self.receipts.push(receipt);
                    }
                    Ok(Reply::Declined { decline, .. }) => self.declines.push(decline),
                    _ => {}
                }
            }
            Step::Decline { payee, payment } => {
                let Some(payment) = pick(&self.payments, payment) else { return };
                let decline = self.wallet(payee).decline(&payment).ok();
                self.declines.extend(decline);
            }
            Step::Confirm { payer, receipt } => {
                let Some(receipt) = pick(&self.receipts, receipt) else { return };
                let _ = self.wallet(payer).confirm(&receipt);
            }
            Step::Reclaim { payer, decline } => {
                let Some(decline) = pick(&self.declines, decline) else { return };
                let _ = self.wallet(payer).reclaim(&decline);
            }
            Step::Fund { wallet, amount: minor } => {
                let reference = self.wallet(wallet).reference();
                let order = Command::FundOrder { amount: amount(minor), reference };
                if let Ok(order) = self.wallet(wallet).message(&order) {
                    self.world.operator.take_order(&order);
                }
            }
            Step::Defund { wallet, amount: minor } => {
                let reference = self.wallet(wallet).reference();
                let defund =
                    Command::Defund { amount: amount(minor), pin: Some(support::pin(PIN)), reference };
                let _ = self.wallet(wallet).run(&defund);
            }
            Step::Sync { wallet } => self.sync(wallet, true),
            Step::LoseSettlement { wallet } => self.sync(wallet, false),
            Step::Gossip { from, to } => {
                let Ok(gossip) = self.wallet(from).message(&Command::GossipOut { room: 4_000 }) else {
                    return;
                };
                match self.wallet(to).run(&Command::GossipIn { gossip }).unwrap() {
                    Reply::Learnt { cheats, .. } => {
                        assert!(cheats.is_empty(), "an honest wallet was proven a cheat")
                    }
                    other => panic!("{other:?}"),
                }
            }
            Step::Reopen { wallet } => self.wallet(wallet).reopen(),
            Step::PassTime { hours } => {
                self.hours += hours;
                let now_s = START_S + self.hours * 3600;
                self.world.set_time(now_s);
            }
        }
    }

    fn sync(&mut self, index: usize, arrives: bool) {
        let statement = self.wallet(index).message(&Command::Statement {}).unwrap();
        let defunded = self.world.operator.defunded;
        let settlement = self.world.operator.settle(&statement);
        self.paid_unsettled[index] += self.world.operator.defunded - defunded;
        if arrives {
            self.wallet(index).run(&Command::Settle { settlement }).unwrap();
            self.paid_unsettled[index] = 0;
        }
    }

    /// funded - defunded = held + leaving + in flight + granted but not applied.
    fn check(&mut self) {
        let mut total = 0;
        for index in 0..4 {
            let unsettled = self.paid_unsettled[index];
            let overview = self.wallet(index).show();
            let held = overview.funded.minor() + overview.received.minor() + overview.defunding.minor();
            let granted = self.world.operator.granted(&overview.key) - overview.funding_total.minor();
            let in_flight = overview.payments.iter().filter(|row| {
                matches!(row.state, PaymentState::Sent | PaymentState::Unresolved)
                    && !self.accepted.contains(&row.id)
            });
            let in_flight: u64 = in_flight.map(|row| row.amount.minor()).sum();
            total += held + granted + in_flight - unsettled;
            for row in &overview.payments {
                let back = matches!(row.state, PaymentState::Reclaimed | PaymentState::Refunded);
                assert!(!(back && self.accepted.contains(&row.id)), "two owners");
            }
        }
        assert_eq!(total, self.world.operator.funded - self.world.operator.defunded);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_operations_conserves_money(steps in proptest::collection::vec(step(), 1..60)) {
        let mut run = Run::new();
        for step in &steps {
            run.step(step);
            run.check();
        }
        // Once every certificate of today has ended, syncing everybody resolves every payment, torn ones included. Four
        // rounds: an old settlement, a new time, a closure by that time, and the payer who hears of it.
        run.step(&Step::PassTime { hours: 40 * 24 });
        for _ in 0..4 {
            for wallet in 0..4 {
                run.sync(wallet, true);
                run.check();
            }
        }
        for wallet in 0..4 {
            let torn = run.wallet(wallet).show().payments.into_iter().find(|row| row.state.in_flight());
            prop_assert_eq!(torn, None);
        }
    }
}

/// The whole life of payments: each wallet's every commit is cut once, before and after it took effect, and the person
/// does again whatever failed.
#[test]
fn a_power_cut_at_every_commit_loses_nothing() {
    let mut cuts = 0;
    for victim in 0..3 {
        for cut in [Cut::Before, Cut::After] {
            for at in 1.. {
                let mut run = Run::new();
                let device = run.wallet(victim).device.clone();
                device.cut.set(Some((device.commits.get() + at, cut)));
                script(&mut run);
                if device.commits.get() < at {
                    break;
                }
                let done = device.cut.get().is_some();
                run.check();
                let balances = [0, 1, 2].map(|index| run.wallet(index).balance());
                assert_eq!(balances, [48_500, 48_750, 1_250], "victim {victim}, commit {at}");
                if done {
                    break;
                }
                cuts += 1;
            }
        }
    }
    assert!(cuts >= 24, "only {cuts} cuts");
}

/// Runs a command until it is not the store that fails: the process died and the person starts it again.
fn persist(wallet: &mut Wallet, command: &Command) -> Result<Reply, Code> {
    loop {
        match wallet.run(command) {
            Err(Code::StoreFailed) => wallet.reopen(),
            other => return other,
        }
    }
}

fn bytes(reply: Result<Reply, Code>) -> Bytes {
    match reply.unwrap() {
        Reply::Message { message, .. } => message,
        Reply::Accepted { receipt, .. } => receipt,
        Reply::Declined { decline, .. } => decline,
        other => panic!("{other:?}"),
    }
}

/// a pays b 1,500 of which b declines 250 in a second payment; b pays c 2,500 and c defunds half of it.
fn script(run: &mut Run) {
    let pay = |run: &mut Run, payer: usize, payee: usize, minor: u64| {
        let reference = run.wallet(payee).reference();
        let ask = Command::Request { amount: Some(amount(minor)), standing: false, reference };
        let request = bytes(persist(run.wallet(payee), &ask));
        let reference = run.wallet(payer).reference();
        let pin = Some(support::pin(PIN));
        bytes(persist(
            run.wallet(payer),
            &Command::Pay { request, amount: None, pin, reference, approval: None },
        ))
    };
    let take = |run: &mut Run, payer: usize, payee: usize, payment: Bytes| {
        let receipt = bytes(persist(run.wallet(payee), &Command::Accept { payment: payment.clone() }));
        let id = counterfoil_trust::open_message::<counterfoil_wire::message::Payment>(&payment.0)
            .unwrap()
            .id(&run.world.operator.anchors.scheme);
        run.accepted.insert(id);
        persist(run.wallet(payer), &Command::Confirm { receipt }).unwrap();
    };
    let payment = pay(run, 0, 1, 1_500);
    take(run, 0, 1, payment);
    let payment = pay(run, 0, 1, 250);
    let decline = bytes(persist(run.wallet(1), &Command::Decline { payment }));
    persist(run.wallet(0), &Command::Reclaim { decline }).unwrap();
    let payment = pay(run, 1, 2, 2_500);
    take(run, 1, 2, payment);
    let (reference, some) = (run.wallet(2).reference(), Some(support::pin(PIN)));
    persist(run.wallet(2), &Command::Defund { amount: amount(1_250), pin: some, reference }).unwrap();
    let reference = run.wallet(1).reference();
    let order = bytes(persist(run.wallet(1), &Command::FundOrder { amount: amount(1_000), reference }));
    run.world.operator.take_order(&order);
    run.world.operator.take_order(&order);
    for index in 0..3 {
        let statement = bytes(persist(run.wallet(index), &Command::Statement {}));
        run.world.operator.settle(&statement);
        let settlement = run.world.operator.settle(&statement);
        persist(run.wallet(index), &Command::Settle { settlement }).unwrap();
    }
    let reference = run.wallet(1).reference();
    let pin = Some(support::pin(PIN));
    persist(run.wallet(1), &Command::Defund { amount: amount(1_250), pin, reference }).unwrap();
    let statement = bytes(persist(run.wallet(1), &Command::Statement {}));
    let settlement = run.world.operator.settle(&statement);
    persist(run.wallet(1), &Command::Settle { settlement }).unwrap();
}
