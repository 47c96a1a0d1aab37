//! What an answer shows to others, and what it says has happened.

use counterfoil_ta::api::{Command, Reply};
use counterfoil_trust::{Opened, key_id, open};
use counterfoil_wire::header::{Envelope, Purpose};
use counterfoil_wire::message::{Body, Decline, Payment, Receipt};
use counterfoil_wire::proof::SignedHeader;
use counterfoil_wire::sync::Statement;
use counterfoil_wire::{Amount, Bytes, Digest, Wire};

use crate::model::Model;
use crate::world::{Fact, Fault, OPERATOR, Packet, World, insert};

impl Model {
    /// Puts what a device answers into the air.
    pub(crate) fn emit(&self, world: &mut World, device: u8, reply: &Reply) {
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

    pub(crate) fn launch(&self, world: &mut World, to: u8, from: u8, purpose: Purpose, bytes: Bytes) {
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
    pub(crate) fn note(&self, world: &mut World, device: u8, command: &Command, reply: &Reply) {
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
    pub(crate) fn note_payment(&self, world: &mut World, payer: u8, message: &Bytes) -> Option<u32> {
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
    pub(crate) fn forgeries(&self, world: &World, place: u8) -> Vec<u32> {
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
}

fn signed_of<B: Body>(opened: Opened<B>) -> SignedHeader {
    opened.signed_header()
}
