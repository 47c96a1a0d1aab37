//! The trusted application's door: any bytes, and any sequence of commands of four wallets that hand each other's
//! messages on, changed or not, while stores fail and clocks jump.
//!
//! What must hold after each step: what comes out is a response; an error moves nothing; a payment has one owner; nobody
//! is proven to cheat but the broken element; and
//! `funded - defunded = held + leaving + in flight + granted and not applied`, where what a broken element made up and
//! somebody accepted counts as funded.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use counterfoil_ta::api::{Command, Overview, PaymentState, Reply, Response};
use counterfoil_trust::{SigningKey, open, seal};
use counterfoil_wire::cert::{Grade, Name, WalletCert};
use counterfoil_wire::element::Tamper;
use counterfoil_wire::header::Signer;
use counterfoil_wire::message::{Payment, Request};
use counterfoil_wire::proof::Gossip;
use counterfoil_wire::{Algorithm, Amount, Bytes, Code, Digest, Reference, Wire};

use crate::input::Input;
use crate::world::{Cut, HEDGE, Memory, PIN, START_S, Wallet, World, amount, pin};

/// Steps of one input; more only makes it slow.
const STEPS_MAX: usize = 64;

/// Two purses with keys for EdDSA and one for ES256, and a terminal.
const WALLETS: usize = 4;

/// A world and the state to which it goes back for each input.
struct Bench {
    world: World,
    stores: [Records; WALLETS],
    random: [u64; WALLETS],
    memory: Memory,
    touched: [bool; WALLETS],
    broken: (SigningKey, WalletCert),
}

type Records = BTreeMap<Vec<u8>, Vec<u8>>;

fn wallet(world: &mut World, index: usize) -> &mut Wallet {
    match index {
        0 => &mut world.a,
        1 => &mut world.b,
        2 => &mut world.c,
        _ => &mut world.t,
    }
}

impl Bench {
    fn new() -> Self {
        let mut world = World::new();
        // Headers are handed on, so that forks are found in them.
        world.operator.rules.share_headers = true;
        world.operator.rules.number += 1;
        for index in 0..WALLETS {
            let statement = wallet(&mut world, index).message(&Command::Statement {}).expect("a statement");
            let settlement = world.operator.settle(&statement);
            wallet(&mut world, index).run(&Command::Settle { settlement }).expect("it settles");
        }
        let key = SigningKey::from_secret(Algorithm::EdDsa, &[42; 32]).expect("any seed");
        // As much as a sync lets it spend, from nothing on: what is made up below the ceiling may be taken.
        let grade = Grade::VirtualSe;
        let ceiling = world.operator.rules.limits(grade).expect("limits").sync_total_max.minor();
        let cert = world.operator.issue(77, grade, key.public(), ceiling, Name::default());
        let stores = std::array::from_fn(|index| wallet(&mut world, index).snapshot());
        let random = std::array::from_fn(|index| wallet(&mut world, index).device.random.get());
        let memory = world.operator.memory();
        Self { world, stores, random, memory, touched: [false; WALLETS], broken: (key, cert) }
    }

    fn wallet(&mut self, index: usize) -> &mut Wallet {
        self.touched[index] = true;
        wallet(&mut self.world, index)
    }

    fn restore(&mut self) {
        self.world.operator.restore(self.memory.clone());
        for index in 0..WALLETS {
            if self.touched[index] {
                let wallet = wallet(&mut self.world, index);
                wallet.device.random.set(self.random[index]);
                wallet.device.now_s.set(START_S);
                wallet.device.stale.set(false);
                wallet.restore(self.stores[index].clone());
                self.touched[index] = false;
            }
        }
    }
}

thread_local! {
    static BENCH: RefCell<Option<Bench>> = const { RefCell::new(None) };
}

/// Runs the steps that the bytes stand for.
pub fn ta_process(data: &[u8]) {
    BENCH.with_borrow_mut(|bench| {
        let bench = bench.get_or_insert_with(Bench::new);
        bench.restore();
        Run::new(bench).go(&mut Input::new(data));
    });
}

/// Everything that was ever on its way: all of it can arrive again, anywhere.
#[derive(Default)]
struct Pool {
    requests: Vec<Bytes>,
    payments: Vec<Bytes>,
    receipts: Vec<Bytes>,
    declines: Vec<Bytes>,
    gossip: Vec<Bytes>,
    settlements: Vec<Bytes>,
}

struct Run<'a> {
    bench: &'a mut Bench,
    pool: Pool,
    seen: [Option<Overview>; WALLETS],
    accepted: BTreeSet<Digest>,
    came_back: BTreeSet<Digest>,
    /// Payments of the broken element.
    forged: BTreeMap<Digest, u64>,
    /// Paid out by the operator, and not known to the wallet.
    paid_unsettled: [u64; WALLETS],
}

impl<'a> Run<'a> {
    fn new(bench: &'a mut Bench) -> Self {
        Self {
            bench,
            pool: Pool::default(),
            seen: [const { None }; WALLETS],
            accepted: BTreeSet::new(),
            came_back: BTreeSet::new(),
            forged: BTreeMap::new(),
            paid_unsettled: [0; WALLETS],
        }
    }

    fn go(&mut self, input: &mut Input<'_>) {
        for _ in 0..STEPS_MAX {
            if input.is_empty() {
                break;
            }
            self.step(input);
            self.check();
        }
    }

    /// Hands bytes to a wallet and judges what comes out.
    fn process(&mut self, index: usize, command: &[u8]) -> Result<Reply, Code> {
        let seen = self.seen[index].take();
        let before = seen.unwrap_or_else(|| self.show(index));
        let answer = self.bench.wallet(index).process(command);
        let response = Response::from_bytes(&answer).expect("what comes out is a response");
        let after = self.show(index);
        let result = response.0.map_err(|error| error.code);
        if let Err(code) = &result
            && *code != Code::StoreFailed
        {
            assert_eq!(money(&before), money(&after), "{code:?} moved something");
            for row in &before.payments {
                let now = after.payments.iter().find(|now| now.id == row.id).map(|now| now.state);
                let waits = *code == Code::DeclineNeedsOperator && now == Some(PaymentState::Unresolved);
                assert!(now == Some(row.state) || waits, "{code:?} took {row:?} to {now:?}");
            }
        }
        if let Ok(Reply::Learnt { cheats, .. }) = &result {
            let broken = self.bench.broken.0.public();
            assert!(cheats.iter().all(|key| *key == broken), "an honest wallet is proven to cheat");
        }
        self.seen[index] = Some(after);
        result
    }

    fn run(&mut self, index: usize, command: &Command) -> Result<Reply, Code> {
        self.process(index, &command.to_bytes())
    }

    fn message(&mut self, index: usize, command: &Command) -> Option<Bytes> {
        match self.run(index, command) {
            Ok(Reply::Message { message, .. }) => Some(message),
            _ => None,
        }
    }

    fn show(&mut self, index: usize) -> Overview {
        self.bench.wallet(index).show()
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let choice = input.byte();
        let index = usize::from(choice >> 6);
        match choice & 63 {
            0..=4 => {
                let amount = minor(input).filter(|_| input.byte() & 1 == 0);
                let standing = input.byte() % 4 == 3;
                let ask = Command::Request { amount, standing, reference: reference(input) };
                let request = self.message(index, &ask);
                self.pool.requests.extend(request);
            }
            5..=13 => {
                let request = pick(&self.pool.requests, input);
                let amount = minor(input).filter(|_| input.byte() & 1 == 1);
                let pin = digits(input);
                let pay = Command::Pay { request, amount, pin, reference: reference(input), approval: None };
                let payment = self.message(index, &pay);
                self.pool.payments.extend(payment);
            }
            14..=21 => {
                let accept = Command::Accept { payment: pick(&self.pool.payments, input) };
                self.decided(index, &accept);
            }
            22..=24 => {
                let decline = Command::Decline { payment: pick(&self.pool.payments, input) };
                self.decided(index, &decline);
            }
            25..=28 => {
                let confirm = Command::Confirm { receipt: pick(&self.pool.receipts, input) };
                let _ = self.run(index, &confirm);
            }
            29..=32 => {
                let reclaim = Command::Reclaim { decline: pick(&self.pool.declines, input) };
                let _ = self.run(index, &reclaim);
            }
            33 => {
                let room = if input.byte() & 1 == 0 { 60_000 } else { input.word() };
                let gossip = self.message(index, &Command::GossipOut { room });
                self.pool.gossip.extend(gossip);
            }
            34 => {
                let room = if input.byte() & 1 == 0 { 60_000 } else { input.word() };
                let (revocation_after, trust_after) = (u32::from(input.byte()), u32::from(input.byte()));
                let rider = self.message(index, &Command::Rider { room, revocation_after, trust_after });
                if let Some(rider) = &rider {
                    let told = Gossip::from_message(&rider.0).expect("a rider is gossip");
                    assert!(told.headers.is_empty(), "a rider with headers");
                    assert!(told.is_empty() || rider.0.len() <= room as usize, "a rider beyond its room");
                }
                self.pool.gossip.extend(rider);
            }
            35 | 36 => {
                let learn = Command::GossipIn { gossip: pick(&self.pool.gossip, input) };
                let _ = self.run(index, &learn);
            }
            37 | 38 => {
                let order = Command::FundOrder { amount: some(input), reference: reference(input) };
                let order = self.message(index, &order);
                if let Some(order) = order.filter(|_| input.byte() & 1 == 0) {
                    self.bench.world.operator.take_order(&order);
                }
            }
            39 | 40 => {
                let (amount, pin) = (some(input), digits(input));
                let _ = self.run(index, &Command::Defund { amount, pin, reference: reference(input) });
            }
            41..=45 => self.sync(index, input),
            46 | 47 => {
                let settle = Command::Settle { settlement: pick(&self.pool.settlements, input) };
                let _ = self.run(index, &settle);
            }
            48 | 49 => {
                let device = &self.bench.wallet(index).device;
                let cut = if input.byte() & 1 == 0 { Cut::Before } else { Cut::After };
                device.cut.set(Some((device.commits.get() + 1 + u32::from(input.byte() % 3), cut)));
            }
            50 => {
                let hours = u32::from(input.byte());
                let operator = &mut self.bench.world.operator;
                operator.now_s = operator.now_s.saturating_add(hours * 3_600);
                let now_s = operator.now_s;
                self.bench.wallet(index).device.now_s.set(now_s);
            }
            51 => {
                let now_s = input.word();
                self.bench.wallet(index).device.now_s.set(now_s);
            }
            52 => {
                let stale = input.byte() & 1 == 1;
                self.bench.wallet(index).device.stale.set(stale);
            }
            53 => self.bench.wallet(index).reopen(),
            54 => {
                let key = self.show(index).key;
                match input.byte() % 8 {
                    0 => self.bench.world.operator.revoke(&key),
                    _ => drop(self.bench.world.operator.unblock.insert(key)),
                }
            }
            55 | 56 => self.forge(input),
            57 => {
                let payment = self.show(index).payments.first().map_or(Digest::NONE, |row| row.id);
                let resent = self.message(index, &Command::Resend { payment });
                self.pool.payments.extend(resent);
            }
            58 | 59 => {
                // One kind of message for another.
                let any = [
                    &self.pool.requests,
                    &self.pool.payments,
                    &self.pool.receipts,
                    &self.pool.declines,
                    &self.pool.gossip,
                    &self.pool.settlements,
                ];
                let message = pick(any[input.below(any.len())], input);
                let command = match input.byte() % 6 {
                    0 => Command::Accept { payment: message },
                    1 => Command::Decline { payment: message },
                    2 => Command::Confirm { receipt: message },
                    3 => Command::Reclaim { decline: message },
                    4 => Command::GossipIn { gossip: message },
                    _ => Command::Settle { settlement: message },
                };
                let _ = self.run(index, &command);
            }
            60 => {
                // A command with a few bytes changed.
                let command = Command::Pay {
                    request: pick(&self.pool.requests, input),
                    amount: minor(input),
                    pin: digits(input),
                    reference: reference(input),
                    approval: None,
                };
                let bytes = input.tampered(&command.to_bytes());
                let _ = self.process(index, &bytes);
            }
            62 => {
                let tamper = Tamper::ALL[input.below(Tamper::ALL.len())];
                let _ = self.run(index, &Command::ReportTamper { tamper });
            }
            63 => self.approve(index, input),
            _ => {
                let bytes = input.bytes();
                let _ = self.process(index, bytes);
            }
        }
    }

    /// Binds the phone's key, asks for a challenge, and pays with what the key signs, most often for that very payment.
    fn approve(&mut self, index: usize, input: &mut Input<'_>) {
        let phone = SigningKey::from_secret(Algorithm::Es256, &[77; 32]).expect("a scalar");
        let key = (input.byte() % 8 != 0).then(|| phone.public());
        let _ = self.run(index, &Command::BindPlatform { key, pin: digits(input) });
        let request = pick(&self.pool.requests, input);
        let amount = minor(input).filter(|_| input.byte() & 1 == 1);
        let reference = reference(input);
        let ask = Command::PlatformChallenge { request: request.clone(), amount, reference };
        let Ok(Reply::Challenge { mut challenge }) = self.run(index, &ask) else { return };
        if input.byte() % 8 == 0 {
            challenge.0[0] ^= 1;
        }
        let approval = Some(phone.sign(&challenge.0, &HEDGE));
        let pay = Command::Pay { request, amount, pin: None, reference, approval };
        let payment = self.message(index, &pay);
        self.pool.payments.extend(payment);
    }

    fn decided(&mut self, index: usize, command: &Command) {
        match self.run(index, command) {
            Ok(Reply::Accepted { receipt, .. }) => self.pool.receipts.push(receipt),
            Ok(Reply::Declined { decline, .. }) => self.pool.declines.push(decline),
            _ => {}
        }
    }

    fn sync(&mut self, index: usize, input: &mut Input<'_>) {
        let Some(statement) = self.message(index, &Command::Statement {}) else { return };
        let defunded = self.bench.world.operator.defunded;
        let settlement = self.bench.world.operator.settle(&statement);
        self.paid_unsettled[index] += self.bench.world.operator.defunded - defunded;
        self.pool.settlements.push(settlement.clone());
        let settlement = match input.byte() % 8 {
            0 => return,
            1 => Bytes(input.tampered(&settlement.0)),
            _ => settlement,
        };
        let _ = self.run(index, &Command::Settle { settlement });
    }

    /// A payment of an element that signs whatever it likes.
    fn forge(&mut self, input: &mut Input<'_>) {
        let request = pick(&self.pool.requests, input);
        let Ok(request) = open::<Request>(&request.0) else { return };
        let scheme = self.bench.world.operator.anchors.scheme;
        let fixed = request.body.amount.filter(|_| !input.byte().is_multiple_of(4));
        let amount = fixed.unwrap_or_else(|| some(input));
        let ceiling = self.bench.broken.1.ceiling.minor();
        let body = Payment {
            request: request.id(&scheme),
            request_no: request.body.number,
            payee: request.header.key,
            amount,
            spent: crate::world::amount(u64::from(input.word()) % (ceiling + ceiling / 8)),
            seq: u32::from(input.byte() % 8),
            prev: Digest([input.byte() % 2; 32]),
        };
        let (key, cert) = &self.bench.broken;
        let (envelope, id) = seal(&scheme, key, &HEDGE, &body, Signer::Cert(cert.clone()), None);
        self.forged.insert(id, amount.minor());
        self.pool.payments.push(Bytes(envelope.to_bytes()));
    }

    fn check(&mut self) {
        let mut total = 0;
        for index in 0..WALLETS {
            // Untouched wallets are as they were.
            let overview = match self.seen[index].clone() {
                Some(overview) => overview,
                None => wallet(&mut self.bench.world, index).show(),
            };
            for row in &overview.payments {
                if row.state == PaymentState::Accepted {
                    self.accepted.insert(row.id);
                } else if row.state.came_back() {
                    self.came_back.insert(row.id);
                }
            }
            if !overview.statement_pending {
                self.paid_unsettled[index] = 0;
            }
            self.seen[index] = Some(overview);
        }
        let both = self.accepted.intersection(&self.came_back).next();
        assert_eq!(both, None, "a payment with two owners");
        for (overview, unsettled) in self.seen.iter().flatten().zip(self.paid_unsettled) {
            let held = overview.funded.minor() + overview.received.minor() + overview.defunding.minor();
            let granted = self.bench.world.operator.granted(&overview.key) - overview.funding_total.minor();
            let in_flight = overview
                .payments
                .iter()
                .filter(|row| row.state.in_flight() && !self.accepted.contains(&row.id));
            let in_flight: u64 = in_flight.map(|row| row.amount.minor()).sum();
            total += held + granted + in_flight - unsettled;
        }
        let made_up = self.forged.iter().filter(|(id, _)| self.accepted.contains(*id));
        let made_up: u64 = made_up.map(|(_, amount)| amount).sum();
        let operator = &self.bench.world.operator;
        assert_eq!(total, operator.funded - operator.defunded + made_up, "money was lost or made");
    }
}

/// What no error may change.
fn money(overview: &Overview) -> [Amount; 6] {
    let Overview { funded, received, spent, funding_total, defunding, sync_total, .. } = overview;
    [*funded, *received, *spent, *funding_total, *defunding, *sync_total]
}

/// A message that was on its way, most often the newest and as it is.
fn pick(all: &[Bytes], input: &mut Input<'_>) -> Bytes {
    let choice = usize::from(input.byte());
    let back = (choice & 15) % all.len().max(1);
    let Some(message) = all.len().checked_sub(1 + back).and_then(|at| all.get(at)) else {
        return Bytes(input.bytes().to_vec());
    };
    if choice >= 0xc0 { Bytes(input.tampered(&message.0)) } else { message.clone() }
}

fn some(input: &mut Input<'_>) -> Amount {
    match input.byte() {
        0xff => Amount::new(input.long() >> 11).unwrap_or(Amount::MAX),
        large if large >= 0xc0 => amount(u64::from(input.short())),
        small => amount(u64::from(small) * 25),
    }
}

fn minor(input: &mut Input<'_>) -> Option<Amount> {
    Some(some(input))
}

fn digits(input: &mut Input<'_>) -> Option<counterfoil_ta::api::Pin> {
    match input.byte() % 16 {
        0 => None,
        1 => Some(pin("0000")),
        2 => Some(pin(&String::from_utf8_lossy(input.bytes()))),
        _ => Some(pin(PIN)),
    }
}

/// One of few, so that some name an operation twice.
fn reference(input: &mut Input<'_>) -> Reference {
    Reference([input.byte(); 32])
}
