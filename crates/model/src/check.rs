//! What must hold, and the search through every state.

use counterfoil_operator::domain::wallet::Wallet;
use counterfoil_ta::api::{Command, Reply};
use counterfoil_wire::sync::Standing;
use stateright::{Model as Explored, Property};

use crate::cheat;
use crate::model::Model;
use crate::scenario::{Goal, Intent};
use crate::scheme::START_S;
use crate::world::{Action, Fact, Fault, World};

/// After this time every one-time request has ended, and every certificate is still good.
const REQUESTS_ENDED_S: u32 = 2 * 86_400;

/// After this time every wallet's certificate has ended, renewed at a sync in between or not, and nobody is given up.
const CERTIFICATES_ENDED_S: u32 = 17 * 86_400;

/// After this time a lost device's balance is due.
const DUE_S: u32 = 400 * 86_400;

impl Explored for Model {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.start()]
    }

    fn actions(&self, state: &World, actions: &mut Vec<Action>) {
        actions.extend(self.steps(state));
    }

    fn next_state(&self, state: &World, action: Action) -> Option<World> {
        self.after(state, &action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("the books balance", |model: &Self, world: &World| {
                model.operator.broken(world.book).is_empty()
            }),
            Property::always("every wallet holds what its answers add up to", holds),
            Property::always("no payment is credited twice", |model: &Self, world: &World| {
                let honest = |fact: &Fact| model.is_honest_seat(fact.payer);
                world.facts.iter().all(|fact| fact.accepted <= 1 && (fact.returned() <= 1 || !honest(fact)))
            }),
            Property::always("no payment has two owners", |model: &Self, world: &World| {
                // Where the operator gave a payee up for gone, the receipt wins and the loss fund pays the difference.
                let given_up = |fact: &Fact| model.scenario.gives_up && fact.reclaimed == 0;
                let honest = |fact: &&Fact| model.is_honest_seat(fact.payer);
                let mut facts = world.facts.iter().filter(honest);
                facts.all(|fact| fact.accepted == 0 || fact.returned() == 0 || given_up(fact))
            }),
            Property::always("what is final stays final", |model: &Self, world: &World| {
                let undone = world.faults.contains(&Fault::Undone);
                let honest = |fact: &&Fact| model.is_honest_seat(fact.payee);
                let mut facts = world.facts.iter().filter(honest);
                !undone && facts.all(|fact| !fact.confirmed || fact.returned() == 0)
            }),
            Property::always("what is asked for once is done once", done_once),
            Property::always("no honest wallet is accused", unaccused),
            Property::always("delivered and synced, everything resolves", |model: &Self, world: &World| {
                model.resolves(world, true).is_ok()
            }),
            Property::always("all lost, and synced, everything resolves", |model: &Self, world: &World| {
                model.resolves(world, false).is_ok()
            }),
        ];
        if self.places().any(|place| !self.is_honest(place)) {
            properties.extend([
                Property::always("nothing is taken above a ceiling", |_: &Self, world: &World| {
                    !world.faults.contains(&Fault::AboveCeiling)
                }),
                Property::always("what one payee takes of a cheat never overlaps", cheat::apart),
                Property::always("a cheat takes the room for each copy and payee at most", cheat::bounded),
                Property::always("beyond the room a cheat leaves an overlap", cheat::proved_or_below),
                Property::always("an overlap is proved when payees meet", cheat::proved_by_meeting),
                Property::always("an overlap is proved when payees sync", cheat::proved_by_syncing),
            ]);
        }
        for goal in &self.scenario.goals {
            properties.push(match goal {
                Goal::Completed => Property::sometimes("a payment completes", |_: &Self, world: &World| {
                    world.facts.iter().any(|fact| fact.accepted > 0 && fact.confirmed)
                }),
                Goal::Reclaimed => {
                    Property::sometimes("a payment is reclaimed", |_: &Self, world: &World| {
                        world.facts.iter().any(|fact| fact.reclaimed > 0)
                    })
                }
                Goal::ClosedOut => {
                    Property::sometimes("a lost device's balance goes back", |model: &Self, world: &World| {
                        let Ok((_, book)) = model.all_synced(world) else { return false };
                        let book = model.operator.book(book);
                        book.wallets.values().any(|wallet| !wallet.closed_out.is_zero())
                    })
                }
                Goal::Deactivated => Property::sometimes(
                    "a deactivated payer's payment completes",
                    |model: &Self, world: &World| {
                        world.facts.iter().any(|fact| {
                            let payer = model.place_of_seat(fact.payer);
                            let view = model.devices.view(world.devices[usize::from(payer)]);
                            fact.confirmed && view.tamper.is_some()
                        })
                    },
                ),
                Goal::Overlapped => {
                    Property::sometimes("a cheat spends the same value twice", cheat::overlapped)
                }
                Goal::BeyondRoom => {
                    Property::sometimes("a cheat takes more than the room once", cheat::beyond_room)
                }
                Goal::GivenUp => {
                    Property::sometimes("a receipt wins over a refund", |_: &Self, world: &World| {
                        world.facts.iter().any(|fact| fact.accepted > 0 && fact.refunded > 0)
                    })
                }
                Goal::Refunded => Property::sometimes("a payment is refunded", |_: &Self, world: &World| {
                    world.facts.iter().any(|fact| fact.refunded > 0)
                }),
            });
        }
        properties
    }

    fn format_action(&self, action: &Action) -> String {
        self.tell(action)
    }
}

fn holds(model: &Model, world: &World) -> bool {
    model.honest().all(|place| {
        let view = model.devices.view(world.devices[usize::from(place)]);
        let held = view.funded.minor() + view.received.minor();
        i64::try_from(held) == Ok(world.tallies[usize::from(place)])
    })
}

/// A holder never pays more often than it meant to, however often it repeats itself.
fn done_once(model: &Model, world: &World) -> bool {
    model.honest().all(|place| {
        let meant: usize = model
            .scenario
            .intents
            .iter()
            .zip(&world.used)
            .filter(|((intent, _), _)| *intent == Intent::Pay(place))
            .map(|(_, used)| usize::from(*used))
            .sum();
        let seat = model.seats[usize::from(place)];
        world.facts.iter().filter(|fact| fact.payer == seat).count() <= meant
    })
}

fn unaccused(model: &Model, world: &World) -> bool {
    let book = model.operator.book(world.book);
    let honest = |key: &counterfoil_wire::KeyId| model.honest().any(|place| model.key(place) == *key);
    let accused = book.cases.iter().any(|(key, _, _)| honest(key));
    let suspended = |wallet: &Wallet| honest(&wallet.id) && !wallet.is_good() && !wallet.is_closed();
    let suspended = book.wallets.values().any(suspended);
    !accused && !suspended && !world.faults.contains(&Fault::Forked)
}

impl Model {
    /// Whether from here everything comes to rest: what is in the air arrives or (not `delivered`) is lost, every
    /// device syncs, time passes until the requests and then the certificates have ended, and every device syncs again.
    ///
    /// # Errors
    /// What did not come to rest, in words.
    pub fn resolves(&self, world: &World, delivered: bool) -> Result<(), String> {
        // Any message in the air may be the next step, so a state in which one is left resolves if the states after it do.
        if delivered && !world.air.is_empty() {
            return Ok(());
        }
        let (devices, book) = self.all_synced(world)?;
        self.at_rest(&devices, book, world)
    }

    /// Devices and book once every honest device has synced until nothing can change any more. It takes four rounds
    /// after the certificates have ended: the payee learns the time, it states that it has closed, the payer is
    /// refunded, it acknowledges that.
    ///
    /// # Errors
    /// Why a device cannot sync, in words.
    pub fn all_synced(&self, world: &World) -> Result<(Vec<u32>, u32), String> {
        self.rest.get((world.devices.clone(), world.book, world.clock), || {
            let (mut devices, mut book) = (world.devices.clone(), world.book);
            let now_s = self.now_s(world);
            let closed = self.honest().any(|device| self.is_lost(world, device));
            // Who waits for a lost device is given back what it paid when that is given up.
            let given_up = if closed { [DUE_S, DUE_S].as_slice() } else { &[] };
            let rounds = [&[REQUESTS_ENDED_S][..], &[CERTIFICATES_ENDED_S; 4], given_up].concat();
            for later_s in rounds {
                for device in self.honest().rev().filter(|device| !self.is_lost(world, *device)) {
                    let place = usize::from(device);
                    (devices[place], book) = self.sync(devices[place], book, device, now_s + later_s)?;
                }
            }
            Ok((devices, self.operator.close_out(book, now_s + DUE_S)))
        })
    }

    /// Why a state violates a property, where more can be said than its name.
    pub fn why(&self, property: &str, world: &World) -> Vec<String> {
        let mut why: Vec<String> = self.operator.broken(world.book).to_vec();
        if property.ends_with("everything resolves") {
            why.extend(self.resolves(world, property.starts_with("delivered")).err());
        }
        why
    }

    /// One sync of one device, nothing lost; the device and the book afterwards.
    fn sync(&self, device: u32, book: u32, place: u8, now_s: u32) -> Result<(u32, u32), String> {
        self.syncs.get((device, book, place, now_s), || {
            let own_s = if self.scenario.stopped_clocks.contains(&place) { START_S } else { now_s };
            let told = self.devices.step(device, &Command::Statement {}, own_s);
            let Ok(Reply::Message { message, .. }) = &told.reply else {
                return Err(format!("device {place} cannot state: {:?}", told.reply));
            };
            let device = told.after.last().copied().unwrap_or(device);
            let (book, answer) = self.operator.receive(book, message, now_s);
            let settlement = answer.ok_or_else(|| format!("device {place} gets no settlement"))?;
            let step = self.devices.step(device, &Command::Settle { settlement }, own_s);
            if let Err(code) = &step.reply {
                return Err(format!("device {place} cannot settle: {code:?}"));
            }
            Ok((step.after.last().copied().unwrap_or(device), book))
        })
    }

    fn at_rest(&self, devices: &[u32], number: u32, world: &World) -> Result<(), String> {
        let book = self.operator.book(number);
        if let Some(broken) = self.operator.broken(number).first() {
            return Err(broken.clone());
        }
        let cheats = self.places().any(|place| !self.is_honest(place));
        if book.in_flight() != 0 && !cheats {
            return Err(format!("{} are in flight for ever", book.in_flight()));
        }
        let covered: i128 = world
            .facts
            .iter()
            .filter(|fact| fact.accepted > 0 && fact.refunded > 0)
            .map(|fact| i128::from(fact.amount))
            .sum();
        if book.loss() < covered || (book.loss() != covered && !cheats && !self.scenario.gives_up) {
            return Err(format!("the loss is {}, and {covered} were taken and given back", book.loss()));
        }
        let unreturned = |wallet: &&Wallet| wallet.is_closed() && wallet.shadow != 0;
        if let Some(wallet) = book.wallets.values().find(unreturned) {
            return Err(format!("{} of a closed wallet went nowhere", wallet.shadow));
        }
        for device in self.honest().filter(|device| !self.is_lost(world, *device)) {
            let view = self.devices.view(devices[usize::from(device)]);
            if let Some(row) = view.payments.iter().find(|row| row.state.in_flight()) {
                let payee =
                    self.honest().any(|place| self.key(place) == counterfoil_trust::key_id(&row.peer));
                if payee {
                    return Err(format!("device {device} waits for ever for payment {}", row.id));
                }
            }
            let held = view.funded.minor() + view.received.minor();
            let shadow = book.wallets.get(&self.key(device)).map_or(0, |wallet| wallet.shadow);
            if i64::try_from(held) != Ok(shadow) {
                return Err(format!("device {device} holds {held}, the operator says {shadow}"));
            }
            if view.standing != Standing::Good {
                return Err(format!("device {device} is suspended"));
            }
        }
        Ok(())
    }
}
