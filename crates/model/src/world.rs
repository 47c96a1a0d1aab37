//! The world: devices, the operator, messages in the air; and every step that it can take.

use std::collections::BTreeMap;
use std::fmt;

use counterfoil_ta::api::{Command, Reply};
use counterfoil_trust::{Opened, enrolment_binding, key_id, open, sha256};
use counterfoil_wire::cert::{Grade, Name};
use counterfoil_wire::header::{Envelope, Purpose};
use counterfoil_wire::message::{Body, Decline, Payment, Receipt, Request};
use counterfoil_wire::proof::SignedHeader;
use counterfoil_wire::sync::Statement;
use counterfoil_wire::{Amount, Bytes, Digest, KeyId, Reference, Wire};

use crate::book::{Book, Operator};
use crate::device::{Devices, Step};
use crate::forger::Forger;
use crate::intern::{Interner, Memo};
use crate::scenario::{Intent, Mishaps, Scenario, Seat};
use crate::scheme::{PSP, START_S};

/// The operator's place among addressees.
pub const OPERATOR: u8 = 255;

/// A message on its way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Packet {
    /// The device that it is for, or [`OPERATOR`]. A request is for whoever sees it, and names its payee here.
    pub to: u8,
    /// Who sent it, likewise.
    pub from: u8,
    /// What it is.
    pub purpose: Purpose,
    /// The message.
    pub bytes: Bytes,
}

/// What became of one payment, by what the trusted applications answered. Nothing of it is ever taken back here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fact {
    /// Number of its identifier.
    pub id: u32,
    /// Number of the request that it answers.
    pub request: u32,
    /// The seat that paid.
    pub payer: u8,
    /// The seat that is paid.
    pub payee: u8,
    /// Minor units.
    pub amount: u32,
    /// The payer's gross total with it, minor units.
    pub spent: u32,
    /// How often it was credited to its payee.
    pub accepted: u8,
    /// Whether its payee declined it.
    pub declined: bool,
    /// Whether its payer holds a receipt, or the operator's word.
    pub confirmed: bool,
    /// How often its payer took it back with a decline.
    pub reclaimed: u8,
    /// How often its payer was given it back by the operator.
    pub refunded: u8,
}

impl Fact {
    /// How often it came back to its payer.
    pub fn returned(&self) -> u8 {
        self.reclaimed + self.refunded
    }
}

/// Something that no honest device does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// Two headers left one honest key that prove it a cheat.
    Forked,
    /// A payment that was taken was declined, or one that was declined was taken.
    Undone,
    /// A payment was taken above its payer's ceiling.
    AboveCeiling,
}

/// One state of the world. Everything large in it is a number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    /// What each device holds.
    pub devices: Vec<u32>,
    /// What the operator holds.
    pub book: u32,
    /// Which instant it is.
    pub clock: u8,
    /// Messages in the air, ascending.
    pub air: Vec<u32>,
    /// Requests to be seen, ascending: a code on a wall, a code on a screen.
    pub requests: Vec<u32>,
    /// How often each intent was acted on.
    pub used: Vec<u8>,
    /// What may still go wrong.
    pub left: Mishaps,
    /// What became of each payment, ascending.
    pub facts: Vec<Fact>,
    /// What each device must hold by its own answers, minor units.
    pub tallies: Vec<i64>,
    /// Headers signed with a sequence number that left a device, ascending.
    pub headers: Vec<u32>,
    /// What went wrong that must not.
    pub faults: Vec<Fault>,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// A holder acts on an intent; a payment names the request.
    Want(u8, Option<u32>),
    /// A holder has the device send again what waits for an answer.
    Again(u8, Option<u32>),
    /// A holder repeats what a crash left without an answer, under the same reference.
    Repeat(u8, u32),
    /// A message arrives. It may stay in the air (a duplicate), or arrive at somebody whom it is not for (a stray).
    Arrive {
        /// Which.
        packet: u32,
        /// Whether it stays in the air.
        stays: bool,
        /// The device where it arrives.
        at: u8,
        /// The intent to say no, if the holder does.
        refuse: Option<u8>,
    },
    /// Whoever has a key out of its element signs what it likes.
    Forge(u8, u32),
    /// A message is lost.
    Lose(u32),
    /// The device that would take this step dies after a commit, with no answer.
    Crash(Box<Action>, u8),
    /// Time passes.
    Tick,
}

/// A device or all of them, and the book, after a sync; or why there was none.
pub(crate) type Synced<D> = Result<(D, u32), String>;

/// A scenario, and everything that was learnt while it is explored.
pub struct Model {
    /// What is explored.
    pub scenario: Scenario,
    /// The devices.
    pub devices: Devices,
    /// The operator.
    pub operator: Operator,
    /// Messages.
    pub packets: Interner<Packet>,
    /// Identifiers of payments and of requests.
    pub payments: Interner<Digest>,
    forgers: BTreeMap<u8, Forger>,
    headers: Interner<(u8, Vec<u8>)>,
    conflicts: Memo<(u32, u32), bool>,
    /// The payment that a message is about, or the one-time request that it is.
    digests: Memo<u32, Option<u32>>,
    /// What a whole sync did to a device and a book, by device, book, place and time.
    pub(crate) syncs: Memo<(u32, u32, u8, u32), Synced<u32>>,
    /// What syncing all does to devices and a book, from an instant on.
    pub(crate) rest: Memo<(Vec<u32>, u32, u8), Synced<Vec<u32>>>,
    /// Whether one device proves a key a cheat to another, by devices and key.
    pub(crate) meetings: Memo<(u32, u32, KeyId), bool>,
    /// The seat of each device.
    pub seats: Vec<u8>,
    keys: Vec<KeyId>,
    start: World,
}

impl Model {
    /// The model with every wallet enrolled and funded.
    pub fn new(scenario: Scenario) -> Self {
        let (devices, operator, packets) = (Devices::default(), Operator::default(), Interner::default());
        let (mut forgers, mut requests) = (BTreeMap::new(), Vec::new());
        let mut book = Book::default();
        let (mut held, mut seats, mut keys, mut tallies) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (at, seat) in scenario.seats.iter().enumerate() {
            let number = u8::try_from(at).expect("few seats");
            let device = if seat.copies == 0 {
                let forger = Forger::enrol(&operator, &mut book, number, seat.grade);
                keys.push(forger.id());
                requests.push(packets.number(forger.request()));
                forgers.insert(number, forger);
                devices.blank(number)
            } else {
                let device = enrol(&devices, &operator, &mut book, number, seat.grade);
                let device = fund(&devices, &operator, &mut book, device, seat.funded);
                keys.push(key_id(&devices.view(device).key));
                device
            };
            for _ in 0..seat.copies.max(1) {
                held.push(device);
                seats.push(number);
                tallies.push(i64::try_from(seat.funded).expect("a small amount"));
            }
        }
        let start = World {
            devices: held,
            book: operator.number(book),
            clock: 0,
            air: Vec::new(),
            requests,
            used: vec![0; scenario.intents.len()],
            left: scenario.mishaps,
            facts: Vec::new(),
            tallies,
            headers: Vec::new(),
            faults: Vec::new(),
        };
        let mut model = Self {
            scenario,
            devices,
            operator,
            packets,
            forgers,
            payments: Interner::default(),
            headers: Interner::default(),
            conflicts: Memo::default(),
            digests: Memo::default(),
            syncs: Memo::default(),
            rest: Memo::default(),
            meetings: Memo::default(),
            seats,
            keys,
            start,
        };
        if model.scenario.asked {
            model.start = model.with_requests();
        }
        model
    }

    /// The start after every request that may be asked for.
    fn with_requests(&self) -> World {
        let mut world = self.start();
        for (number, (intent, most)) in self.scenario.intents.iter().enumerate() {
            for _ in 0..if matches!(intent, Intent::Ask(..)) { *most } else { 0 } {
                self.take(&mut world, &Action::Want(number as u8, None), None);
            }
        }
        world
    }

    /// How it begins.
    pub fn start(&self) -> World {
        self.start.clone()
    }

    /// Whether a device was reported lost.
    pub fn is_lost(&self, world: &World, device: u8) -> bool {
        let acted = self.scenario.intents.iter().zip(&world.used);
        acted.into_iter().any(|((intent, _), used)| *intent == Intent::Close(device) && *used > 0)
    }

    /// The seat of a device.
    pub fn seat(&self, device: u8) -> &Seat {
        &self.scenario.seats[usize::from(self.seats[usize::from(device)])]
    }

    /// Whether a device's host does as it should.
    pub fn is_honest(&self, device: u8) -> bool {
        self.is_honest_seat(self.seats[usize::from(device)])
    }

    /// Whether a seat's host does as it should.
    pub fn is_honest_seat(&self, seat: u8) -> bool {
        self.scenario.seats[usize::from(seat)].copies == 1
    }

    /// The first device of a seat.
    pub fn place_of_seat(&self, seat: u8) -> u8 {
        self.places().find(|place| self.seats[usize::from(*place)] == seat).expect("a seat has a place")
    }

    /// The key of a seat.
    pub fn key_of_seat(&self, seat: u8) -> KeyId {
        self.keys[usize::from(seat)]
    }

    /// How far a dishonest seat's certificate lets its gross total go, minor units.
    pub fn room(&self, seat: u8) -> u64 {
        if let Some(forger) = self.forgers.get(&seat) {
            return forger.room();
        }
        let view = self.devices.view(self.start.devices[usize::from(self.place_of_seat(seat))]);
        let ceiling = view.cert.as_ref().expect("an enrolled wallet").ceiling;
        ceiling.minus_or_zero(view.spent).minor()
    }

    /// Whether a device has begun a sync since the start.
    pub fn has_synced(&self, world: &World, device: u8) -> bool {
        self.scenario
            .intents
            .iter()
            .zip(&world.used)
            .any(|((intent, _), used)| *intent == Intent::Sync(device) && *used > 0)
    }

    /// Devices that do as they should.
    pub fn honest(&self) -> impl DoubleEndedIterator<Item = u8> {
        self.places().filter(|place| self.is_honest(*place))
    }

    /// The key of a device.
    pub fn key(&self, device: u8) -> KeyId {
        self.keys[usize::from(self.seats[usize::from(device)])]
    }

    /// Devices by place.
    pub fn places(&self) -> std::ops::Range<u8> {
        0..u8::try_from(self.seats.len()).expect("few devices")
    }

    fn place_of(&self, key: &KeyId) -> Option<u8> {
        self.places().find(|place| self.key(*place) == *key)
    }

    /// The operator's time.
    pub fn now_s(&self, world: &World) -> u32 {
        START_S + self.scenario.instants_s[usize::from(world.clock)]
    }

    fn clock_of(&self, world: &World, device: u8) -> u32 {
        if self.scenario.stopped_clocks.contains(&device) { START_S } else { self.now_s(world) }
    }

    /// Every step that the world can take.
    pub fn steps(&self, world: &World) -> Vec<Action> {
        let mut steps = Vec::new();
        for (number, (intent, most)) in self.scenario.intents.iter().enumerate() {
            let number = number as u8;
            if world.used[usize::from(number)] >= *most {
                continue;
            }
            match *intent {
                Intent::Pay(payer) => {
                    let payable =
                        world.requests.iter().filter(|request| self.payable(world, payer, **request));
                    steps.extend(payable.map(|request| Action::Want(number, Some(*request))));
                }
                Intent::Sync(device) => {
                    let waits = self.devices.view(world.devices[usize::from(device)]).statement_pending;
                    if !waits {
                        steps.push(Action::Want(number, None));
                    }
                }
                Intent::Refuse(_) => {}
                Intent::Ask(..) | Intent::Fund(..) | Intent::Defund(..) | Intent::Close(_) => {
                    steps.push(Action::Want(number, None));
                }
                Intent::Forge(forger) => {
                    let forged = self.forgeries(world, forger);
                    steps.extend(forged.into_iter().map(|packet| Action::Forge(number, packet)));
                }
            }
        }
        for device in self.places().filter(|place| self.seat(*place).copies > 0) {
            let view = self.devices.view(world.devices[usize::from(device)]);
            if view.statement_pending && !self.in_air(world, device, Purpose::Statement) {
                steps.push(Action::Again(device, None));
            }
            for row in view.payments.iter().filter(|row| row.state.in_flight()) {
                let id = self.payments.number(row.id);
                if !self.talked_about(world, id) {
                    steps.push(Action::Again(device, Some(id)));
                }
            }
        }
        if world.left.crashes < self.scenario.mishaps.crashes {
            for (number, (intent, _)) in self.scenario.intents.iter().enumerate() {
                let Intent::Pay(payer) = *intent else { continue };
                let mut own = world.facts.iter().filter(|fact| fact.payer == self.seats[usize::from(payer)]);
                if world.used[number] > 0 && !own.any(|fact| self.talked_about(world, fact.id)) {
                    let requests =
                        world.requests.iter().filter(|request| self.packets.value(**request).to != payer);
                    steps.extend(requests.map(|request| Action::Repeat(number as u8, *request)));
                }
            }
        }
        for packet in &world.air {
            let message = self.packets.value(*packet);
            let arrive = |stays, at, refuse| Action::Arrive { packet: *packet, stays, at, refuse };
            let mut ways = vec![(message.to, None)];
            if message.purpose == Purpose::Payment
                && let Some(refuse) = self.intent(world, Intent::Refuse(message.to))
            {
                ways.push((message.to, Some(refuse)));
            }
            steps.extend(ways.iter().map(|(at, refuse)| arrive(false, *at, *refuse)));
            if world.left.duplicates > 0 {
                steps.extend(ways.iter().map(|(at, refuse)| arrive(true, *at, *refuse)));
            }
            if world.left.strays > 0 && message.to != OPERATOR {
                let others = self.places().filter(|place| *place != message.to);
                steps.extend(others.map(|at| arrive(true, at, None)));
            }
            if world.left.losses > 0 {
                steps.push(Action::Lose(*packet));
            }
        }
        if world.left.crashes > 0 {
            let mut crashes = Vec::new();
            for action in &steps {
                let Some((device, command)) = self.command(world, action) else { continue };
                let commits = self.run(world, device, &command).after.len();
                crashes.extend((1..=commits).map(|n| Action::Crash(Box::new(action.clone()), n as u8)));
            }
            steps.extend(crashes);
        }
        if usize::from(world.clock) + 1 < self.scenario.instants_s.len() {
            steps.push(Action::Tick);
        }
        steps
    }

    /// The world after a step; `None` if it changes nothing.
    pub fn after(&self, before: &World, action: &Action) -> Option<World> {
        let mut world = before.clone();
        self.take(&mut world, action, None);
        (world != *before).then_some(world)
    }

    fn take(&self, world: &mut World, action: &Action, dies_after: Option<u8>) {
        // What a step does is asked of the world as it was; what it uses up is noted after.
        let command = self.command(world, action);
        match action {
            Action::Want(intent, _) => {
                world.used[usize::from(*intent)] += 1;
                match self.scenario.intents[usize::from(*intent)].0 {
                    Intent::Close(device) => {
                        world.book = self.operator.close(world.book, &self.key(device), self.now_s(world));
                    }
                    Intent::Sync(device) if self.scenario.swift.contains(&device) => {
                        self.sync_now(world, device)
                    }
                    _ => {}
                }
            }
            Action::Forge(intent, packet) => {
                world.used[usize::from(*intent)] += 1;
                let message = self.packets.value(*packet);
                self.note_payment(world, self.seats[usize::from(message.from)], &message.bytes);
                insert(&mut world.air, *packet);
            }
            Action::Again(..) | Action::Repeat(..) => {}
            Action::Arrive { packet, stays, at, refuse } => {
                let message = self.packets.value(*packet);
                if !stays {
                    world.air.retain(|other| other != packet);
                } else if *at == message.to {
                    world.left.duplicates -= 1;
                } else {
                    world.left.strays -= 1;
                }
                if let Some(refuse) = refuse {
                    world.used[usize::from(*refuse)] += 1;
                }
                if *at == OPERATOR {
                    self.operator_receives(world, &message);
                }
            }
            Action::Lose(packet) => {
                world.air.retain(|other| other != packet);
                world.left.losses -= 1;
            }
            Action::Crash(action, commits) => {
                self.take(world, action, Some(*commits));
                world.left.crashes -= 1;
                return;
            }
            Action::Tick => world.clock += 1,
        }
        if let Some((device, command)) = command {
            self.send(world, device, &command, dies_after);
        }
    }

    /// What the device is told in a step, if a device takes it.
    fn command(&self, world: &World, action: &Action) -> Option<(u8, Command)> {
        match action {
            Action::Want(intent, _) | Action::Repeat(intent, _) => {
                let (again, request) = match action {
                    Action::Want(_, request) => (0, *request),
                    Action::Repeat(_, request) => (1, Some(*request)),
                    _ => return None,
                };
                let nth = world.used[usize::from(*intent)] - again;
                let reference = Reference(sha256(&[*intent, nth]).0);
                Some(match self.scenario.intents[usize::from(*intent)].0 {
                    Intent::Ask(device, amount) => {
                        let amount = amount.and_then(Amount::new);
                        (device, Command::Request { amount, standing: amount.is_none(), reference })
                    }
                    Intent::Pay(device) => {
                        let request = self.packets.value(request?).bytes.clone();
                        let open =
                            open::<Request>(&request.0).is_ok_and(|request| request.body.is_standing());
                        let amount = if open { Amount::new(100 + 50 * u64::from(nth)) } else { None };
                        (device, Command::Pay { request, amount, pin: None, reference })
                    }
                    Intent::Sync(device) if self.scenario.swift.contains(&device) => return None,
                    Intent::Sync(device) => (device, Command::Statement {}),
                    Intent::Fund(device, minor) => {
                        (device, Command::FundOrder { amount: Amount::new(minor)?, reference })
                    }
                    Intent::Defund(device, minor) => {
                        (device, Command::Defund { amount: Amount::new(minor)?, pin: None, reference })
                    }
                    Intent::Refuse(_) | Intent::Forge(_) | Intent::Close(_) => return None,
                })
            }
            Action::Again(device, None) => Some((*device, Command::Statement {})),
            Action::Again(device, Some(payment)) => {
                Some((*device, Command::Resend { payment: *self.payments.value(*payment) }))
            }
            Action::Arrive { packet, at, refuse, .. } if *at != OPERATOR && self.seat(*at).copies > 0 => {
                Some((*at, received(&self.packets.value(*packet), refuse.is_some())?))
            }
            Action::Arrive { .. }
            | Action::Forge(..)
            | Action::Lose(_)
            | Action::Crash(..)
            | Action::Tick => None,
        }
    }

    fn run(&self, world: &World, device: u8, command: &Command) -> std::sync::Arc<Step> {
        self.devices.step(world.devices[usize::from(device)], command, self.clock_of(world, device))
    }

    /// Has a device carry out a command. If it dies after some commit, what it would have answered is lost.
    pub fn send(&self, world: &mut World, device: u8, command: &Command, dies_after: Option<u8>) {
        let step = self.run(world, device, command);
        let place = usize::from(device);
        let lived = match dies_after {
            None => step.after.len(),
            Some(commits) => usize::from(commits),
        };
        if let Some(last) = lived.checked_sub(1) {
            world.devices[place] = step.after[last];
        }
        if dies_after.is_some() {
            world.devices[place] = self.devices.crashed(world.devices[place]);
        }
        if let Ok(reply) = &step.reply {
            if lived == step.after.len() {
                self.note(world, device, command, reply);
            }
            if dies_after.is_none() {
                self.emit(world, device, reply);
            }
        }
    }

    /// A sync in one step: what it puts into the air arrives at once.
    fn sync_now(&self, world: &mut World, device: u8) {
        self.send(world, device, &Command::Statement {}, None);
        for purpose in [Purpose::Statement, Purpose::Settlement] {
            let of_this = |packet: &&u32| {
                let packet = self.packets.value(**packet);
                packet.purpose == purpose && (packet.from == device || packet.to == device)
            };
            let Some(packet) = world.air.iter().find(of_this).copied() else { return };
            let at = self.packets.value(packet).to;
            self.take(world, &Action::Arrive { packet, stays: false, at, refuse: None }, None);
        }
    }

    fn operator_receives(&self, world: &mut World, message: &Packet) {
        let (book, answer) = self.operator.receive(world.book, &message.bytes, self.now_s(world));
        world.book = book;
        if let Some(bytes) = answer {
            self.launch(world, message.from, OPERATOR, Purpose::Settlement, bytes);
        }
    }

    /// Puts what a device answers into the air.
    fn emit(&self, world: &mut World, device: u8, reply: &Reply) {
        let bytes = match reply {
            Reply::Message { message, .. } => message,
            Reply::Accepted { receipt, .. } => receipt,
            Reply::Declined { decline, .. } => decline,
            _ => return,
        };
        let purpose = Envelope::from_bytes(&bytes.0).expect("an envelope").purpose;
        let to = match purpose {
            Purpose::Request => device,
            Purpose::Payment => {
                let payment = open::<Payment>(&bytes.0).expect("a payment");
                self.place_of(&key_id(&payment.body.payee)).expect("a payee of this world")
            }
            Purpose::Receipt => {
                self.payer_of(world, open::<Receipt>(&bytes.0).expect("a receipt").body.payment)
            }
            Purpose::Decline => {
                self.payer_of(world, open::<Decline>(&bytes.0).expect("a decline").body.payment)
            }
            _ => OPERATOR,
        };
        self.show_header(world, device, purpose, bytes);
        self.launch(world, to, device, purpose, bytes.clone());
    }

    fn launch(&self, world: &mut World, to: u8, from: u8, purpose: Purpose, bytes: Bytes) {
        let packet = self.packets.number(Packet { to, from, purpose, bytes });
        insert(if purpose == Purpose::Request { &mut world.requests } else { &mut world.air }, packet);
    }

    /// Notes a header that everybody may now hold against its signer.
    fn show_header(&self, world: &mut World, device: u8, purpose: Purpose, bytes: &Bytes) {
        let signed = match purpose {
            Purpose::Payment => open::<Payment>(&bytes.0).map(signed_of),
            Purpose::Receipt => open::<Receipt>(&bytes.0).map(signed_of),
            Purpose::Decline => open::<Decline>(&bytes.0).map(signed_of),
            Purpose::Statement => open::<Statement>(&bytes.0).map(signed_of),
            _ => return,
        };
        let signed = signed.expect("a device's own message");
        let new = self.headers.number((self.seats[usize::from(device)], signed.to_bytes()));
        let clash = |old: &u32| {
            let pair = (new.min(*old), new.max(*old));
            self.conflicts.get(pair, || {
                let (one, other) = (self.headers.value(pair.0), self.headers.value(pair.1));
                let read = |bytes: &[u8]| SignedHeader::from_bytes(bytes).expect("a header");
                counterfoil_trust::conflict(&read(&one.1), &read(&other.1)).is_some()
            })
        };
        if self.is_honest(device) && world.headers.iter().any(clash) {
            insert(&mut world.faults, Fault::Forked);
        }
        insert(&mut world.headers, new);
    }

    /// Notes what an answer says has happened.
    fn note(&self, world: &mut World, device: u8, command: &Command, reply: &Reply) {
        let place = usize::from(device);
        let minor = |amount: &Amount| i64::try_from(amount.minor()).expect("a small amount");
        match reply {
            Reply::Message { message, again: false } => {
                let paid = self.note_payment(world, self.seats[place], message);
                world.tallies[place] -= i64::from(paid.unwrap_or(0));
            }
            Reply::Accepted { amount, again: false, .. } => {
                world.tallies[place] += minor(amount);
                let payment = self.answered(command).expect("an answer to a payment");
                if payment.1 {
                    insert(&mut world.faults, Fault::AboveCeiling);
                }
                let declined = self.fact(world, payment.0, |fact| {
                    fact.accepted += 1;
                    fact.declined
                });
                if declined == Some(true) {
                    insert(&mut world.faults, Fault::Undone);
                }
            }
            Reply::Declined { again: false, .. } => {
                let payment = self.answered(command).expect("an answer to a payment");
                let accepted = self.fact(world, payment.0, |fact| {
                    fact.declined = true;
                    fact.accepted > 0
                });
                if accepted == Some(true) {
                    insert(&mut world.faults, Fault::Undone);
                }
            }
            Reply::Resolved { payment, amount, again: false } => {
                let back = !matches!(command, Command::Confirm { .. });
                if back {
                    world.tallies[place] += minor(amount);
                }
                let id = self.payments.number(*payment);
                self.fact(world, id, |fact| if back { fact.reclaimed += 1 } else { fact.confirmed = true });
            }
            Reply::Defunding { amount, again: false, .. } => world.tallies[place] -= minor(amount),
            Reply::Settled { funded, refunded, confirmed, returned, paid_out, again: false, .. } => {
                world.tallies[place] += minor(funded) + minor(returned) - minor(paid_out);
                for payment in refunded {
                    let id = self.payments.number(*payment);
                    let amount = self.fact(world, id, |fact| {
                        fact.refunded += 1;
                        fact.amount
                    });
                    world.tallies[place] += i64::from(amount.unwrap_or(0));
                }
                for payment in confirmed {
                    let id = self.payments.number(*payment);
                    self.fact(world, id, |fact| fact.confirmed = true);
                }
            }
            _ => {}
        }
    }

    /// Notes a payment that its payer's key has signed; its amount, if it is one.
    fn note_payment(&self, world: &mut World, payer: u8, message: &Bytes) -> Option<u32> {
        let payment = open::<Payment>(&message.0).ok()?;
        let body = &payment.body;
        let small = |amount: Amount| u32::try_from(amount.minor()).expect("a small amount");
        let payee = self.place_of(&key_id(&body.payee)).expect("a payee of this world");
        let fact = Fact {
            id: self.payments.number(payment.id(&self.operator.scheme.anchors.scheme)),
            request: self.payments.number(body.request),
            payer,
            payee: self.seats[usize::from(payee)],
            amount: small(body.amount),
            spent: small(body.spent),
            accepted: 0,
            declined: false,
            confirmed: false,
            reclaimed: 0,
            refunded: 0,
        };
        if !world.facts.iter().any(|known| known.id == fact.id) {
            insert(&mut world.facts, fact);
        }
        Some(fact.amount)
    }

    /// What a forger may sign: payments for any request of another, answers to any payment to it.
    fn forgeries(&self, world: &World, place: u8) -> Vec<u32> {
        let Some(forger) = self.forgers.get(&self.seats[usize::from(place)]) else { return Vec::new() };
        let mut forged = Vec::new();
        for request in &world.requests {
            let request = self.packets.value(*request);
            if request.to != place {
                forged.extend(forger.payments(&self.operator.scheme.anchors.scheme, place, &request));
            }
        }
        for fact in world.facts.iter().filter(|fact| fact.payee == self.seats[usize::from(place)]) {
            let to = self.place_of_seat(fact.payer);
            let payment = *self.payments.value(fact.id);
            forged.extend(forger.answers(&self.operator.scheme.anchors.scheme, place, to, payment));
        }
        let mut numbers: Vec<u32> = forged.into_iter().map(|packet| self.packets.number(packet)).collect();
        numbers.retain(|packet| !world.air.contains(packet));
        numbers
    }

    /// The payment in a command to take or to decline it, and whether it is above its payer's ceiling.
    fn answered(&self, command: &Command) -> Option<(u32, bool)> {
        let (Command::Accept { payment } | Command::Decline { payment }) = command else { return None };
        let payment = open::<Payment>(&payment.0).ok()?;
        let id = self.payments.number(payment.id(&self.operator.scheme.anchors.scheme));
        let counterfoil_wire::header::Signer::Cert(cert) = &payment.envelope.signer else { return None };
        Some((id, payment.body.spent > cert.ceiling))
    }

    fn fact<T>(&self, world: &mut World, id: u32, change: impl FnOnce(&mut Fact) -> T) -> Option<T> {
        world.facts.iter_mut().find(|fact| fact.id == id).map(change)
    }

    fn payer_of(&self, world: &World, payment: Digest) -> u8 {
        let id = self.payments.number(payment);
        world.facts.iter().find(|fact| fact.id == id).map_or(0, |fact| self.place_of_seat(fact.payer))
    }

    /// Whether a device may want to pay a request. A one-time request may be paid again, for whoever has lost sight of
    /// the first payment, while that is not on its way.
    fn payable(&self, world: &World, payer: u8, request: u32) -> bool {
        let message = self.packets.value(request);
        if self.key(message.to) == self.key(payer) {
            return false;
        }
        let request = self.digests.get(request, || match open::<Request>(&message.bytes.0) {
            Ok(request) if !request.body.is_standing() => {
                Some(self.payments.number(request.id(&self.operator.scheme.anchors.scheme)))
            }
            _ => None,
        });
        let Some(request) = request else { return true };
        let mut paid = world.facts.iter().filter(|fact| fact.request == request);
        !paid.any(|fact| self.talked_about(world, fact.id))
    }

    /// Whether a payment, or an answer to it, is in the air. Sending again then would be a duplicate.
    fn talked_about(&self, world: &World, payment: u32) -> bool {
        world.air.iter().any(|packet| self.subject(*packet) == Some(payment))
    }

    /// The payment that a message is about.
    fn subject(&self, packet: u32) -> Option<u32> {
        self.digests.get(packet, || {
            let packet = self.packets.value(packet);
            let bytes = &packet.bytes.0;
            let payment = match packet.purpose {
                Purpose::Payment => open::<Payment>(bytes).ok()?.id(&self.operator.scheme.anchors.scheme),
                Purpose::Receipt => open::<Receipt>(bytes).ok()?.body.payment,
                Purpose::Decline => open::<Decline>(bytes).ok()?.body.payment,
                _ => return None,
            };
            Some(self.payments.number(payment))
        })
    }

    fn in_air(&self, world: &World, device: u8, purpose: Purpose) -> bool {
        world.air.iter().any(|packet| {
            let packet = self.packets.value(*packet);
            packet.from == device && packet.purpose == purpose
        })
    }

    fn intent(&self, world: &World, wanted: Intent) -> Option<u8> {
        let place = self
            .scenario
            .intents
            .iter()
            .zip(&world.used)
            .position(|((intent, most), used)| *intent == wanted && used < most)?;
        u8::try_from(place).ok()
    }

    /// A step in words.
    pub fn tell(&self, action: &Action) -> String {
        match action {
            Action::Want(intent, _) => format!("{:?}", self.scenario.intents[usize::from(*intent)].0),
            Action::Repeat(intent, _) => {
                format!("{:?}, repeated under its reference", self.scenario.intents[usize::from(*intent)].0)
            }
            Action::Again(device, what) => {
                let what = if what.is_some() { "a payment" } else { "its statement" };
                format!("device {device} sends {what} again")
            }
            Action::Arrive { packet, stays, at, refuse } => {
                let packet = self.packets.value(*packet);
                let refused = if refuse.is_some() { ", and is refused" } else { "" };
                let again = if *stays { " (and may again)" } else { "" };
                format!("{packet} arrives at {}{again}{refused}", party(*at))
            }
            Action::Forge(_, packet) => format!("{} is forged", self.packets.value(*packet)),
            Action::Lose(packet) => format!("{} is lost", self.packets.value(*packet)),
            Action::Crash(action, commits) => {
                format!("{}; the device dies after commit {commits}, before it answers", self.tell(action))
            }
            Action::Tick => "time passes".to_owned(),
        }
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &sha256(&self.bytes.0).to_string()[..6];
        write!(f, "{:?} {name} from {}", self.purpose, party(self.from))
    }
}

fn party(place: u8) -> String {
    if place == OPERATOR { "the operator".to_owned() } else { format!("device {place}") }
}

fn signed_of<B: Body>(opened: Opened<B>) -> SignedHeader {
    opened.signed_header()
}

/// The command that a message is to whoever receives it.
fn received(packet: &Packet, refuse: bool) -> Option<Command> {
    let bytes = packet.bytes.clone();
    Some(match packet.purpose {
        Purpose::Payment if refuse => Command::Decline { payment: bytes },
        Purpose::Payment => Command::Accept { payment: bytes },
        Purpose::Receipt => Command::Confirm { receipt: bytes },
        Purpose::Decline => Command::Reclaim { decline: bytes },
        Purpose::Settlement => Command::Settle { settlement: bytes },
        _ => return None,
    })
}

/// Adds to an ascending list what it does not have.
fn insert<T: Ord>(list: &mut Vec<T>, item: T) {
    if let Err(at) = list.binary_search(&item) {
        list.insert(at, item);
    }
}

/// The device after a command that must succeed, and what it answered.
fn done(devices: &Devices, device: u32, command: &Command) -> (u32, Reply) {
    let step = devices.step(device, command, START_S);
    let reply = step.reply.clone().unwrap_or_else(|code| panic!("{command:?}: {code:?}"));
    (step.after.last().copied().unwrap_or(device), reply)
}

fn message(reply: Reply) -> Bytes {
    match reply {
        Reply::Message { message, .. } => message,
        other => panic!("no message but {other:?}"),
    }
}

fn enrol(devices: &Devices, operator: &Operator, book: &mut Book, seat: u8, grade: Grade) -> u32 {
    let name = Name::new(if grade == Grade::Terminal { "shop" } else { "" }).expect("a short name");
    let (root, account) = (operator.scheme.root.clone(), format!("account-{seat}"));
    let binding = enrolment_binding(PSP, &account, None);
    let enrol = Command::Enrol { es256: false, grade, name, pin: None, root, binding };
    let (device, reply) = done(devices, devices.blank(seat), &enrol);
    let settlement = operator.enrol(book, &message(reply), &account, START_S);
    done(devices, device, &Command::Settle { settlement }).0
}

fn fund(devices: &Devices, operator: &Operator, book: &mut Book, device: u32, minor: u64) -> u32 {
    if minor == 0 {
        return device;
    }
    let amount = Amount::new(minor).expect("a small amount");
    let order = Command::FundOrder { amount, reference: Reference([0; 32]) };
    let (device, order) = done(devices, device, &order);
    let (device, statement) = done(devices, device, &Command::Statement {});
    let number = operator.number(std::mem::take(book));
    let (number, _) = operator.receive(number, &message(order), START_S);
    let (number, settlement) = operator.receive(number, &message(statement), START_S);
    *book = (*operator.book(number)).clone();
    done(devices, device, &Command::Settle { settlement: settlement.expect("a settlement") }).0
}
