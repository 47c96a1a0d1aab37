//! What is explored: who takes part, what they may want, and how much may go wrong.

use counterfoil_wire::cert::Grade;

/// A wallet or a terminal, and how honest its host is.
#[derive(Debug, Clone, Copy)]
pub struct Seat {
    /// Its grade.
    pub grade: Grade,
    /// What it is funded with at the start, minor units.
    pub funded: u64,
    /// How many devices hold its key and its state at the start: more than one is a clone, and a clone that lies still
    /// and then wakes is a rollback. None is a key that has left its element: its holder signs what it likes.
    pub copies: u8,
}

/// An honest wallet with this balance.
pub const fn wallet(funded: u64) -> Seat {
    Seat { grade: Grade::VirtualSe, funded, copies: 1 }
}

/// A wallet whose state and key are on this many devices.
pub const fn clones(funded: u64, copies: u8) -> Seat {
    Seat { grade: Grade::VirtualSe, funded, copies }
}

/// A wallet whose key has left its element.
pub const EXTRACTED: Seat = clones(0, 0);

/// A terminal.
pub const TERMINAL: Seat = Seat { grade: Grade::Terminal, funded: 0, copies: 1 };

/// Something that a holder may want, any number of times up to a bound. Devices are named by their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// To be paid: a one-time request over this amount, or a standing one over any.
    Ask(u8, Option<u64>),
    /// To pay, any request that is to be seen.
    Pay(u8),
    /// To say no to a payment.
    Refuse(u8),
    /// To sync.
    Sync(u8),
    /// To order funding.
    Fund(u8, u64),
    /// To defund.
    Defund(u8, u64),
    /// To report tampering to a device: it deactivates itself until a settlement ends that.
    Tamper(u8),
    /// To report a device lost: its PSP closes the wallet. Whoever found it may still pay with it.
    Close(u8),
    /// To sign what no element would, with an extracted key.
    Forge(u8),
}

/// How often things may go wrong in one run. Order is always free: any message in the air may be the next to arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mishaps {
    /// Messages lost.
    pub losses: u8,
    /// Messages delivered and still in the air.
    pub duplicates: u8,
    /// Messages shown to somebody whom they are not for.
    pub strays: u8,
    /// Devices that die after a durable write, before they answer.
    pub crashes: u8,
}

/// What may have happened in some state, so that a model in which nothing happens is not taken for a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// A payment was taken and its payer knows.
    Completed,
    /// A payment was declined and taken back.
    Reclaimed,
    /// A payment was given back by the operator.
    Refunded,
    /// A payment was given back for its payee was gone, and was taken.
    GivenUp,
    /// What a lost device had not spent went to the account behind it.
    ClosedOut,
    /// A wallet was deactivated while its payment was in flight, and that payment completed.
    Deactivated,
    /// A cheat's payments took some of the same value.
    Overlapped,
    /// More was taken of a cheat than the room under its ceiling.
    BeyondRoom,
}

/// One exhaustive run.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// Who takes part.
    pub seats: Vec<Seat>,
    /// Whether the requests are there from the start, and not asked for in between.
    pub asked: bool,
    /// Devices whose syncs are one step. Of others statement and settlement are messages like any.
    pub swift: Vec<u8>,
    /// What may be wanted, and how often.
    pub intents: Vec<(Intent, u8)>,
    /// What may go wrong.
    pub mishaps: Mishaps,
    /// Times to which the clock may go, as seconds after the start, ascending; the first is 0.
    pub instants_s: Vec<u32>,
    /// Devices whose own clock stands still at the start.
    pub stopped_clocks: Vec<u8>,
    /// Whether the clock goes so far that the operator gives a payee up for gone.
    pub gives_up: bool,
    /// Largest total between two syncs, minor units, where it is not the rules': the room of a cheat.
    pub sync_total_max: Option<u64>,
    /// What must have happened somewhere.
    pub goals: Vec<Goal>,
}

const DAY_S: u32 = 86_400;

impl Scenario {
    /// The bounds in words.
    pub fn bounds(&self) -> String {
        let count = |wanted: fn(&Intent) -> bool| -> u8 {
            self.intents.iter().filter(|(intent, _)| wanted(intent)).map(|(_, most)| most).sum()
        };
        let parts = [
            (count(|intent| matches!(intent, Intent::Pay(_))), "payments"),
            (count(|intent| matches!(intent, Intent::Forge(_))), "forgeries"),
            (count(|intent| matches!(intent, Intent::Refuse(_))), "refusals"),
            (count(|intent| matches!(intent, Intent::Close(_))), "losses of a device"),
            (count(|intent| matches!(intent, Intent::Sync(_))), "syncs"),
            (count(|intent| matches!(intent, Intent::Fund(..) | Intent::Defund(..))), "orders"),
            (self.mishaps.losses, "losses"),
            (self.mishaps.duplicates, "duplicates"),
            (self.mishaps.strays, "strays"),
            (self.mishaps.crashes, "crashes"),
            (u8::try_from(self.instants_s.len()).map_or(0, |instants| instants - 1), "waits"),
        ];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        parts.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
    }
}

/// What may go wrong in most runs.
const MISHAPS: Mishaps = Mishaps { losses: 2, duplicates: 1, strays: 0, crashes: 1 };

/// The scenarios of the quick form or, with `long`, of the long one.
pub fn scenarios(long: bool) -> Vec<Scenario> {
    let more = u8::from(long);
    let swift = |devices: &[u8]| if long { Vec::new() } else { devices.to_vec() };
    let plain = Scenario {
        name: "",
        about: "",
        seats: Vec::new(),
        asked: false,
        swift: Vec::new(),
        intents: Vec::new(),
        mishaps: MISHAPS,
        instants_s: vec![0],
        stopped_clocks: Vec::new(),
        gives_up: false,
        sync_total_max: None,
        goals: vec![Goal::Completed],
    };
    vec![
        Scenario {
            name: "one-time",
            about: "two one-time requests, paid, taken or declined",
            seats: vec![wallet(1000), wallet(0)],
            intents: vec![
                (Intent::Ask(1, Some(100)), 2),
                (Intent::Pay(0), 2 + more),
                (Intent::Refuse(1), 1),
                (Intent::Sync(1), more),
            ],
            goals: vec![Goal::Completed, Goal::Reclaimed],
            ..plain.clone()
        },
        Scenario {
            name: "standing",
            about: "a printed code paid twice, taken or declined",
            seats: vec![wallet(1000), wallet(0)],
            intents: vec![
                (Intent::Ask(1, None), 1),
                (Intent::Pay(0), 2),
                (Intent::Refuse(1), 1),
                (Intent::Sync(1), more),
            ],
            goals: vec![Goal::Completed, Goal::Reclaimed],
            ..plain.clone()
        },
        Scenario {
            name: "onward",
            about: "received value is spent again before any sync",
            seats: vec![wallet(200), wallet(0), wallet(0)],
            intents: vec![
                (Intent::Ask(1, Some(200)), 1),
                (Intent::Ask(2, Some(150)), 1),
                (Intent::Pay(0), 1),
                (Intent::Pay(1), 1),
                (Intent::Refuse(2), 1),
                (Intent::Sync(1), more),
            ],
            goals: vec![Goal::Completed, Goal::Reclaimed],
            ..plain.clone()
        },
        Scenario {
            name: "two-payers",
            about: "one printed code, two payers, messages shown to whom they are not for",
            seats: vec![wallet(500), wallet(0), wallet(500)],
            intents: vec![
                (Intent::Ask(1, None), 1),
                (Intent::Pay(0), 1),
                (Intent::Pay(2), 1),
                (Intent::Refuse(1), 1),
            ],
            mishaps: Mishaps { strays: 1, ..MISHAPS },
            goals: vec![Goal::Completed, Goal::Reclaimed],
            ..plain.clone()
        },
        Scenario {
            name: "torn",
            about: "payer and payee sync around a torn payment, requests expire, the operator refunds",
            asked: true,
            swift: swift(&[0, 1, 2, 3]),
            seats: vec![wallet(1000), wallet(0)],
            intents: vec![
                (Intent::Ask(1, Some(100)), 2),
                (Intent::Pay(0), 2),
                (Intent::Sync(0), 1 + more),
                (Intent::Sync(1), 1),
            ],
            instants_s: vec![0, 2 * DAY_S],
            goals: vec![Goal::Completed, Goal::Refunded],
            ..plain.clone()
        },
        Scenario {
            name: "deactivated",
            about: "tampering is reported to payer and payee around payments, refusals and syncs",
            asked: true,
            swift: swift(&[0, 1, 2, 3]),
            seats: vec![wallet(1000), wallet(0)],
            intents: vec![
                (Intent::Ask(1, Some(100)), 2),
                (Intent::Pay(0), 2),
                (Intent::Refuse(1), 1),
                (Intent::Tamper(0), 1),
                (Intent::Tamper(1), 1),
                (Intent::Sync(0), more),
                (Intent::Sync(1), 1),
            ],
            mishaps: Mishaps { losses: 1, duplicates: more, strays: 0, crashes: 1 },
            goals: vec![Goal::Completed, Goal::Reclaimed, Goal::Deactivated],
            ..plain.clone()
        },
        Scenario {
            name: "terminal",
            about: "a terminal without an element: it is paid out, its decline goes to the operator",
            asked: true,
            swift: swift(&[0, 1, 2, 3]),
            seats: vec![wallet(1000), TERMINAL],
            intents: vec![
                (Intent::Ask(1, None), 1),
                (Intent::Pay(0), 2),
                (Intent::Refuse(1), 1),
                (Intent::Sync(0), 1),
                (Intent::Sync(1), 1),
            ],
            goals: vec![Goal::Completed, Goal::Refunded],
            ..plain.clone()
        },
        Scenario {
            name: "statements",
            about: "statements and settlements are lost, doubled and late around two payments",
            asked: true,
            seats: vec![wallet(1000), wallet(0)],
            intents: vec![
                (Intent::Ask(1, Some(100)), 2),
                (Intent::Pay(0), 2),
                (Intent::Sync(0), 1),
                (Intent::Sync(1), more),
            ],
            ..plain.clone()
        },
        Scenario {
            name: "crossing",
            about: "a refund on its way to a payer whom the decline reaches first",
            asked: true,
            swift: swift(&[1]),
            seats: vec![wallet(1000), wallet(0)],
            intents: vec![
                (Intent::Ask(1, None), 1),
                (Intent::Pay(0), 2),
                (Intent::Refuse(1), 2),
                (Intent::Sync(0), 1 + more),
                (Intent::Sync(1), 1),
            ],
            mishaps: Mishaps { losses: 2 * more, duplicates: 1, strays: 0, crashes: more },
            goals: vec![Goal::Completed, Goal::Reclaimed, Goal::Refunded],
            ..plain.clone()
        },
        Scenario {
            name: "account",
            about: "funding and defunding around payments and syncs",
            asked: true,
            swift: swift(&[0, 1, 2, 3]),
            seats: vec![wallet(300), wallet(0)],
            intents: vec![
                (Intent::Ask(1, None), 1),
                (Intent::Pay(0), 2),
                (Intent::Fund(0, 200), 1),
                (Intent::Defund(0, 120), 1),
                (Intent::Sync(0), 1 + more),
            ],
            goals: vec![Goal::Completed],
            ..plain.clone()
        },
        Scenario {
            name: "renewal",
            about: "certificates end and are renewed around payments for a printed code",
            asked: true,
            swift: swift(&[0, 1, 2, 3]),
            seats: vec![wallet(1000), wallet(0)],
            intents: vec![
                (Intent::Ask(1, None), 1),
                (Intent::Pay(0), 2),
                (Intent::Sync(0), 2),
                (Intent::Sync(1), 2),
            ],
            mishaps: Mishaps { losses: 2, duplicates: 1, strays: 0, crashes: more },
            instants_s: vec![0, 15 * DAY_S],
            goals: vec![Goal::Completed, Goal::Refunded],
            ..plain.clone()
        },
        Scenario {
            name: "given-up",
            about: "a payee that stays away beyond the grace period, its clock standing still",
            asked: true,
            swift: swift(&[0, 1, 2, 3]),
            seats: vec![wallet(1000), wallet(0)],
            intents: vec![
                (Intent::Ask(1, None), 1),
                (Intent::Pay(0), 2),
                (Intent::Sync(0), 2),
                (Intent::Sync(1), 1),
            ],
            mishaps: Mishaps { losses: 2, duplicates: 1, strays: 0, crashes: more },
            instants_s: vec![0, 40 * DAY_S],
            stopped_clocks: vec![1],
            gives_up: true,
            goals: vec![Goal::Completed, Goal::Refunded, Goal::GivenUp],
            ..plain.clone()
        },
        Scenario {
            name: "lost",
            about: "a device is reported lost and replaced while payments from it and to it are on their way",
            asked: true,
            swift: swift(&[0, 1, 2, 3]),
            seats: vec![wallet(500), wallet(300), wallet(0)],
            intents: vec![
                (Intent::Ask(1, None), 1),
                (Intent::Ask(0, Some(100)), 1),
                (Intent::Pay(0), 1),
                (Intent::Pay(1), 1),
                (Intent::Close(0), 1),
                (Intent::Sync(0), more),
                (Intent::Sync(1), 1),
            ],
            goals: vec![Goal::Completed, Goal::ClosedOut],
            gives_up: true,
            ..plain.clone()
        },
        Scenario {
            name: "clones",
            about: "two copies of one wallet pay two payees",
            asked: true,
            sync_total_max: Some(250),
            swift: swift(&[0, 1, 2, 3]),
            seats: vec![clones(300, 2), wallet(0), wallet(0)],
            intents: vec![
                (Intent::Ask(2, Some(200)), 1),
                (Intent::Ask(3, Some(200)), 1),
                (Intent::Pay(0), 1),
                (Intent::Pay(1), 1),
                (Intent::Sync(0), 1),
                (Intent::Sync(2), 1),
                (Intent::Sync(3), more),
            ],
            mishaps: Mishaps { losses: 1, duplicates: 1, strays: 0, crashes: more },
            goals: vec![Goal::Completed, Goal::Overlapped, Goal::BeyondRoom],
            ..plain.clone()
        },
        Scenario {
            name: "three-clones",
            about: "three copies of one wallet pay two payees",
            asked: true,
            sync_total_max: Some(250),
            swift: swift(&[3, 4]),
            seats: vec![clones(300, 3), wallet(0), wallet(0)],
            intents: vec![
                (Intent::Ask(3, Some(200)), 2),
                (Intent::Ask(4, Some(150)), 1),
                (Intent::Pay(0), 1),
                (Intent::Pay(1), 1),
                (Intent::Pay(2), 1),
                (Intent::Sync(3), more),
                (Intent::Sync(4), 1),
            ],
            mishaps: Mishaps { losses: more, duplicates: 1, strays: 0, crashes: more },
            goals: vec![Goal::Completed, Goal::Overlapped, Goal::BeyondRoom],
            ..plain.clone()
        },
        Scenario {
            name: "extracted",
            about: "a key out of its element signs payments as it likes",
            asked: true,
            sync_total_max: Some(150),
            swift: swift(&[0, 1, 2, 3]),
            seats: vec![EXTRACTED, wallet(0), wallet(0)],
            intents: vec![
                (Intent::Ask(1, Some(100)), 2),
                (Intent::Ask(2, Some(100)), 1),
                (Intent::Forge(0), 2 + more),
                (Intent::Sync(1), 1),
                (Intent::Sync(2), more),
            ],
            mishaps: Mishaps { losses: more, duplicates: 1, strays: 0, crashes: more },
            goals: vec![Goal::Overlapped, Goal::BeyondRoom],
            ..plain.clone()
        },
        Scenario {
            name: "false-payee",
            about: "a payee's key out of its element signs receipts and declines for one payment",
            swift: swift(&[0, 1, 2, 3]),
            seats: vec![EXTRACTED, wallet(500)],
            intents: vec![(Intent::Pay(1), 2), (Intent::Forge(0), 3), (Intent::Sync(1), 1 + more)],
            goals: vec![Goal::Reclaimed],
            ..plain
        },
    ]
}
