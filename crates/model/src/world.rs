//! The world: devices, the operator, messages in the air; and the steps that it can take.

use std::fmt;

use counterfoil_trust::sha256;
use counterfoil_wire::Bytes;
use counterfoil_wire::header::Purpose;

use crate::scenario::Mishaps;

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

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &sha256(&self.bytes.0).to_string()[..6];
        write!(f, "{:?} {name} from {}", self.purpose, party(self.from))
    }
}

pub(crate) fn party(place: u8) -> String {
    if place == OPERATOR { "the operator".to_owned() } else { format!("device {place}") }
}
/// Adds to an ascending list what it does not have.
pub(crate) fn insert<T: Ord>(list: &mut Vec<T>, item: T) {
    if let Err(at) = list.binary_search(&item) {
        list.insert(at, item);
    }
}
