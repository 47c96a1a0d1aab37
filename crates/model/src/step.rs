//! Which steps a world can take, and what each does.

use counterfoil_ta::api::Command;
use counterfoil_trust::{open, sha256};
use counterfoil_wire::element::Tamper;
use counterfoil_wire::header::Purpose;
use counterfoil_wire::message::{Decline, Payment, Receipt, Request};
use counterfoil_wire::{Amount, Reference};

use crate::device::Step;
use crate::model::Model;
use crate::scenario::Intent;
use crate::world::{Action, OPERATOR, Packet, World, insert, party};

impl Model {
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
                Intent::Ask(..)
                | Intent::Fund(..)
                | Intent::Defund(..)
                | Intent::Tamper(_)
                | Intent::Close(_) => {
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

    pub(crate) fn take(&self, world: &mut World, action: &Action, dies_after: Option<u8>) {
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
                        (device, Command::Pay { request, amount, pin: None, reference, approval: None })
                    }
                    Intent::Sync(device) if self.scenario.swift.contains(&device) => return None,
                    Intent::Sync(device) => (device, Command::Statement {}),
                    Intent::Fund(device, minor) => {
                        (device, Command::FundOrder { amount: Amount::new(minor)?, reference })
                    }
                    Intent::Defund(device, minor) => {
                        (device, Command::Defund { amount: Amount::new(minor)?, pin: None, reference })
                    }
                    Intent::Tamper(device) => (device, Command::ReportTamper { tamper: Tamper::Seal }),
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

    pub(crate) fn run(&self, world: &World, device: u8, command: &Command) -> std::sync::Arc<Step> {
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
