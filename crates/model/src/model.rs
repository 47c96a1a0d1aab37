//! A scenario, the parties to it, and everything that is learnt while it is explored.

use std::collections::BTreeMap;

use counterfoil_ta::api::{Command, Reply};
use counterfoil_trust::{enrolment_binding, key_id};
use counterfoil_wire::cert::{Grade, Name};
use counterfoil_wire::element::{CounterKind, ElementStatement};
use counterfoil_wire::{Amount, Bytes, Digest, KeyId, Nonce, Reference};

use crate::book::{Book, Operator};
use crate::device::Devices;
use crate::forger::Forger;
use crate::intern::{Interner, Memo};
use crate::scenario::{Intent, Scenario, Seat};
use crate::scheme::{PSP, START_S, Scheme};
use crate::world::{Action, Packet, World};

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
    pub(crate) forgers: BTreeMap<u8, Forger>,
    pub(crate) headers: Interner<(u8, Vec<u8>)>,
    pub(crate) conflicts: Memo<(u32, u32), bool>,
    /// The payment that a message is about, or the one-time request that it is.
    pub(crate) digests: Memo<u32, Option<u32>>,
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
        let (devices, mut operator, packets) = (Devices::default(), Operator::default(), Interner::default());
        operator.scheme = Scheme::with(scenario.sync_total_max);
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

    pub(crate) fn place_of(&self, key: &KeyId) -> Option<u8> {
        self.places().find(|place| self.key(*place) == *key)
    }

    /// The operator's time.
    pub fn now_s(&self, world: &World) -> u32 {
        START_S + self.scenario.instants_s[usize::from(world.clock)]
    }

    pub(crate) fn clock_of(&self, world: &World, device: u8) -> u32 {
        if self.scenario.stopped_clocks.contains(&device) { START_S } else { self.now_s(world) }
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
    let element = ElementStatement::native(CounterKind::None, Nonce([0; 16]));
    let enrol = Command::Enrol { es256: false, grade, name, pin: None, root, binding, element };
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
