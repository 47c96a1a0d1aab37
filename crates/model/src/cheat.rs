//! What a dishonest host can reach, and what it cannot.
//!
//! A cheat's payments take intervals `(spent - amount, spent]` of its gross total, below the ceiling of a certificate.
//! What one payee took never overlaps, so one payee takes at most the *room* under the ceiling. What several took may
//! overlap; once two of them have met (the headers of what one took are shown to the other) or synced, there is a
//! portable proof. So with `k` copies of a key at work and `p` payees who have not met, at most `min(k, p)` times the
//! room is taken (an extracted key is any number of copies), and what is taken without leaving a proof is at most the
//! room once.

use counterfoil_ta::api::{Command, Reply};
use counterfoil_trust::judge;
use counterfoil_wire::proof::Proof;
use counterfoil_wire::{KeyId, Wire};

use crate::model::Model;
use crate::world::{Fact, World};

impl Fact {
    /// Whether two payments took some of the same value.
    fn overlaps(&self, other: &Self) -> bool {
        (self.spent - self.amount).max(other.spent - other.amount) < self.spent.min(other.spent)
    }
}

/// Payments of dishonest seats that honest ones took.
fn taken<'a>(model: &'a Model, world: &'a World) -> impl Iterator<Item = &'a Fact> + Clone {
    world.facts.iter().filter(|fact| fact.accepted > 0 && !model.is_honest_seat(fact.payer))
}

fn overlapping<'a>(model: &'a Model, world: &'a World) -> impl Iterator<Item = (&'a Fact, &'a Fact)> {
    let pairs = taken(model, world).flat_map(move |one| taken(model, world).map(move |other| (one, other)));
    pairs.filter(|(one, other)| one.payer == other.payer && one.id < other.id && one.overlaps(other))
}

/// Whether some value was taken twice.
pub fn overlapped(model: &Model, world: &World) -> bool {
    overlapping(model, world).next().is_some()
}

/// Whether more was taken of a cheat than the room under its ceiling.
pub fn beyond_room(model: &Model, world: &World) -> bool {
    model.scenario.seats.iter().zip(0..).filter(|(seat, _)| seat.copies != 1).any(|(_, number)| {
        let of_seat = taken(model, world).filter(|fact| fact.payer == number);
        of_seat.map(|fact| u64::from(fact.amount)).sum::<u64>() > model.room(number)
    })
}

/// What one payee took never overlaps.
pub fn apart(model: &Model, world: &World) -> bool {
    overlapping(model, world).all(|(one, other)| one.payee != other.payee)
}

/// What all payees took is at most the room under the ceiling for each copy of the key or each payee, whichever is less.
pub fn bounded(model: &Model, world: &World) -> bool {
    model.scenario.seats.iter().zip(0..).filter(|(seat, _)| seat.copies != 1).all(|(seat, number)| {
        let of_seat = taken(model, world).filter(|fact| fact.payer == number);
        let sum: u64 = of_seat.clone().map(|fact| u64::from(fact.amount)).sum();
        let payees = of_seat.map(|fact| fact.payee).collect::<std::collections::BTreeSet<_>>().len() as u64;
        let copies = if seat.copies == 0 { u64::MAX } else { u64::from(seat.copies) };
        sum <= model.room(number).saturating_mul(payees.min(copies))
    })
}

/// What is taken beyond the room has left overlaps, and so proofs: without an overlap the sum is below the ceiling.
pub fn proved_or_below(model: &Model, world: &World) -> bool {
    let proved = |number: u8| overlapping(model, world).any(|(one, _)| one.payer == number);
    model.scenario.seats.iter().zip(0..).filter(|(seat, _)| seat.copies != 1).all(|(_, number)| {
        let of_seat = taken(model, world).filter(|fact| fact.payer == number);
        let sum: u64 = of_seat.map(|fact| u64::from(fact.amount)).sum();
        sum <= model.room(number) || proved(number)
    })
}

/// Once two payees who took the same value have met, the second holds a proof.
pub fn proved_by_meeting(model: &Model, world: &World) -> bool {
    overlapping(model, world).all(|(one, other)| {
        let (first, second) = (model.place_of_seat(one.payee), model.place_of_seat(other.payee));
        let synced = |place: u8| {
            let start = model.start().devices[usize::from(place)];
            let now = world.devices[usize::from(place)];
            model.devices.view(start).synced_at_s != model.devices.view(now).synced_at_s
                || model.has_synced(world, place)
        };
        // A payee hands on headers only until its next sync: the operator has them then.
        synced(first) || synced(second) || model.meets(world, first, second, &model.key_of_seat(one.payer))
    })
}

/// Once payees who took the same value have synced, the operator holds a proof that anybody can judge.
pub fn proved_by_syncing(model: &Model, world: &World) -> bool {
    overlapping(model, world).all(|(one, _)| {
        let key = model.key_of_seat(one.payer);
        let Ok((_, book)) = model.all_synced(world) else { return false };
        model.operator.book(book).cases.iter().any(|(accused, _, evidence)| {
            *accused == key
                && Proof::from_bytes(evidence)
                    .is_ok_and(|proof| judge(&model.operator.scheme.anchors, &proof).is_ok())
        })
    })
}

impl Model {
    /// Whether the second device holds a proof about `key` once the first has handed on what it knows.
    fn meets(&self, world: &World, first: u8, second: u8, key: &KeyId) -> bool {
        let (one, other) = (world.devices[usize::from(first)], world.devices[usize::from(second)]);
        self.meetings.get((one, other, *key), || {
            let now_s = self.now_s(world);
            let told = self.devices.step(one, &Command::GossipOut { room: 60_000 }, now_s);
            let Ok(Reply::Message { message, .. }) = &told.reply else { return false };
            let heard = self.devices.step(other, &Command::GossipIn { gossip: message.clone() }, now_s);
            let other = heard.after.last().copied().unwrap_or(other);
            let view = self.devices.view(other);
            view.cheats.iter().any(|cheat| counterfoil_trust::key_id(cheat) == *key)
        })
    }
}
