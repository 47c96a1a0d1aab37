//! The flows, and those of wallets that behave: from enrolment to what the rules refuse.

use counterfoil_ta::api::{Command, Reply};
use counterfoil_wire::cert::Grade;
use counterfoil_wire::{Algorithm, Bytes, Code};

use super::element::{approval, deactivated};
use super::misuse::{declined_by_rules, fork, not_commands, overlap, refused, revoked, stale};
use super::scene::{Scene, pin};
use super::{texts, unexpected};
use crate::VectorError;
use crate::fixed::{PIN, START_S, amount, digest};
use crate::format::Flow;

const DAY_S: u32 = 86_400;

type Act = fn(&mut Scene) -> Result<(), VectorError>;

/// Name, what happens, the chapters, and how.
const FLOWS: [(&str, &str, &str, Act); 23] = [
    (
        "one-time",
        "A one-time request of a fixed amount is paid, taken and confirmed, in both directions of algorithms.",
        "states.md",
        one_time,
    ),
    (
        "standing",
        "A printed code without an amount is paid twice; a one-time request without an amount once.",
        "states.md",
        standing,
    ),
    (
        "again",
        "Every message is lost once: the same operation gives the same bytes and moves nothing twice.",
        "states.md, What is durable before what leaves",
        again,
    ),
    (
        "decline",
        "The payee's holder says no, and the payer takes the payment back.",
        "states.md, A payment at the payee",
        decline,
    ),
    (
        "declined-by-rules",
        "Genuine payments that the payee's rules refuse: each ends in a decline that names why.",
        "states.md, Order of checks",
        declined_by_rules,
    ),
    (
        "refused",
        "Payments that are not genuine, or not for this wallet: no decline, and no balance changes.",
        "states.md, Order of checks",
        refused,
    ),
    (
        "refund",
        "A payment that never arrives is given back by the operator once the payee has closed its request.",
        "reconciliation.md, Refund",
        refund,
    ),
    (
        "defund",
        "Value goes back to the account; a defunding that cannot be paid out returns.",
        "states.md",
        defund,
    ),
    ("funding", "Fund orders: one at a time, within the holding limit, granted once.", "states.md", funding),
    ("limits", "The payer's limits, each with its number.", "limits.md", limits),
    (
        "pin",
        "Three wrong PINs block the wallet; the PSP unblocks it at a sync.",
        "limits.md, PIN",
        wrong_pins,
    ),
    (
        "respending",
        "Under rules without respending what was received is not spent before a sync.",
        "limits.md",
        respending,
    ),
    (
        "revoked",
        "A revoked wallet is refused by who knows, suspended at its sync, and still declines and confirms.",
        "revocation.md",
        revoked,
    ),
    (
        "fork",
        "A copied wallet pays twice under one number: caught by the payee of both, and by gossip elsewhere.",
        "revocation.md, Proofs",
        fork,
    ),
    (
        "overlap",
        "A broken element spends an interval twice under two numbers: caught all the same.",
        "revocation.md, Proofs",
        overlap,
    ),
    (
        "expired",
        "A certificate ends: its wallet cannot pay or be paid, may decline, and a sync renews it.",
        "time.md",
        expired,
    ),
    ("clock", "The host's clock runs back and ahead: the bound of time holds.", "time.md", clock),
    (
        "terminal",
        "A terminal takes payments and cannot pay; what it declines the operator gives back.",
        "states.md",
        terminal,
    ),
    (
        "stale",
        "The counter shows that an older copy was put back: nothing is signed any more.",
        "states.md",
        stale,
    ),
    (
        "deactivated",
        "Tampering is reported: the wallet begins nothing new, what is in flight resolves, a settlement ends it.",
        "states.md, A deactivated wallet",
        deactivated,
    ),
    (
        "approval",
        "A key of the phone's own lock approves payments in the place of the PIN, one at a time.",
        "limits.md, Approval by the phone's lock",
        approval,
    ),
    ("enrolment", "Enrolments that are refused, asked again, and settled once.", "states.md", enrolment),
    (
        "bytes",
        "Commands that are none, and messages of the wrong kind.",
        "states.md, Order of checks",
        not_commands,
    ),
];

pub(super) fn flows() -> Result<Vec<(String, Flow)>, VectorError> {
    let mut setup = Scene::new("setup")?;
    set_up(&mut setup)?;
    let mut flows = Vec::new();
    for (name, about, chapter, act) in FLOWS {
        let mut scene = setup.branch(name)?;
        act(&mut scene)?;
        flows.push((name.to_owned(), flow(about, chapter, Some("setup"), scene)));
    }
    let about =
        "Four wallets are enrolled, and two of them funded. Every other flow begins where this one ends.";
    flows.push(("setup".to_owned(), flow(about, "states.md", None, setup)));
    Ok(flows)
}

fn flow(about: &str, chapter: &str, after: Option<&str>, scene: Scene) -> Flow {
    Flow {
        about: about.to_owned(),
        specification: texts([&format!("spec/{chapter}"), "spec/errors.md"]),
        after: after.map(str::to_owned),
        steps: scene.into_steps(),
    }
}

/// `a` (EdDSA), `b` (ES256) and `c` (EdDSA) with a PIN, and the terminal `t` (ES256). `a` and `b` hold 500.00 each.
fn set_up(scene: &mut Scene) -> Result<(), VectorError> {
    scene.enrol("a", Algorithm::EdDsa, Grade::VirtualSe, Some(PIN))?;
    scene.enrol("b", Algorithm::Es256, Grade::VirtualSe, Some(PIN))?;
    scene.enrol("c", Algorithm::EdDsa, Grade::VirtualSeBound, Some(PIN))?;
    scene.enrol("t", Algorithm::Es256, Grade::Terminal, None)?;
    scene.fund("a", 50_000)?;
    scene.fund("b", 50_000)
}

fn one_time(scene: &mut Scene) -> Result<(), VectorError> {
    scene.whole_payment("a", "b", 1250)?;
    scene.whole_payment("b", "a", 800)?;
    scene.whole_payment("a", "c", 1)?;
    scene.must_hold("a", 49_549)?;
    scene.must_hold("b", 50_450)?;
    scene.must_hold("c", 1)?;
    scene.sync("c")?;
    scene.sync("a")?;
    scene.must_hold("a", 49_549)
}

fn standing(scene: &mut Scene) -> Result<(), VectorError> {
    let code = scene.request("b", None, true)?;
    let nameless = scene.pay_command(&code, None, true);
    scene.refuse("a", "pays, and names no amount", nameless, Code::AmountMissing)?;
    for minor in [300, 301] {
        let payment = scene.pay("a", &code, Some(minor))?;
        let receipt = scene.accept("b", &payment)?;
        scene.confirm("a", &receipt)?;
    }
    let fixed = scene.request("b", Some(450), true)?;
    let other = scene.pay_command(&fixed, Some(451), true);
    scene.refuse("a", "pays, and names another amount", other, Code::AmountFixed)?;
    let payment = scene.pay("a", &fixed, Some(450))?;
    scene.accept("b", &payment)?;
    let open = scene.request("b", None, false)?;
    let nothing = scene.pay_command(&open, Some(0), true);
    scene.refuse("a", "pays nothing", nothing, Code::AmountZero)?;
    let payment = scene.pay("a", &open, Some(77))?;
    scene.accept("b", &payment)?;
    scene.must_hold("b", 51_128)
}

fn again(scene: &mut Scene) -> Result<(), VectorError> {
    let reference = scene.reference();
    let ask = Command::Request { amount: Some(amount(1250)), standing: false, reference };
    let request = scene.message("b", "asks to be paid", ask.clone())?;
    scene.run("b", "asks again under the same reference", ask)?;
    let other = Command::Request { amount: Some(amount(1251)), standing: false, reference };
    scene.refuse("b", "asks for something else under the same reference", other, Code::ReferenceReused)?;
    let pay = scene.pay_command(&request, None, true);
    let payment = scene.message("a", "pays", pay.clone())?;
    scene.run("a", "pays again under the same reference", pay)?;
    let pay = scene.pay_command(&request, None, true);
    scene.run("a", "pays the same request under another reference: the same payment", pay)?;
    let id = scene.last_payment("a")?;
    scene.run("a", "sends the payment again", Command::Resend { payment: id })?;
    let receipt = scene.accept("b", &payment)?;
    scene.run("b", "is shown the payment again", Command::Accept { payment: payment.clone() })?;
    scene.refuse("b", "would decline it now", Command::Decline { payment }, Code::AlreadyAccepted)?;
    scene.confirm("a", &receipt)?;
    scene.run("a", "takes the receipt again", Command::Confirm { receipt })?;
    scene.refuse(
        "a",
        "would send the payment again",
        Command::Resend { payment: id },
        Code::AlreadyResolved,
    )?;
    let unknown = Command::Resend { payment: digest("no payment") };
    scene.refuse("a", "would send a payment that it never made", unknown, Code::PaymentUnknown)?;
    let statement = scene.message("a", "accounts for itself", Command::Statement {})?;
    scene.run("a", "accounts for itself again", Command::Statement {})?;
    let settlement = scene.operator.settle(&statement)?;
    scene.run("a", "applies the settlement", Command::Settle { settlement: settlement.clone() })?;
    scene.run("a", "applies it again", Command::Settle { settlement })?;
    scene.must_hold("a", 48_750)?;
    scene.must_hold("b", 51_250)
}

fn decline(scene: &mut Scene) -> Result<(), VectorError> {
    let request = scene.request("b", Some(1250), false)?;
    let payment = scene.pay("a", &request, None)?;
    let decline = scene.decline("b", &payment)?;
    scene.run("b", "says no again", Command::Decline { payment: payment.clone() })?;
    scene.run("b", "would take it now: it stays declined", Command::Accept { payment })?;
    scene.must_hold("a", 48_750)?;
    scene.run("a", "takes it back", Command::Reclaim { decline: decline.clone() })?;
    scene.run("a", "takes it back again", Command::Reclaim { decline: decline.clone() })?;
    scene.must_hold("a", 50_000)?;
    scene.refuse(
        "c",
        "takes back what it never paid",
        Command::Reclaim { decline: decline.clone() },
        Code::PaymentUnknown,
    )?;
    let pay = scene.pay_command(&request, None, true);
    scene.refuse("a", "pays the same request once more", pay, Code::AlreadyResolved)?;
    let request = scene.request("b", Some(600), false)?;
    let payment = scene.pay("a", &request, None)?;
    let receipt = scene.accept("b", &payment)?;
    scene.confirm("a", &receipt)?;
    let wrong = Command::Reclaim { decline: receipt };
    scene.refuse("a", "takes back with a receipt", wrong, Code::WrongKind)?;
    scene.sync("b")?;
    scene.sync("a")?;
    scene.must_hold("a", 49_400)
}

fn refund(scene: &mut Scene) -> Result<(), VectorError> {
    let request = scene.request("b", Some(1250), false)?;
    let payment = scene.pay("a", &request, None)?;
    scene.sync("b")?;
    scene.sync("a")?;
    scene.must_hold("a", 48_750)?;
    scene.set_clock(START_S + 2 * 3600);
    scene.sync("b")?;
    match scene.sync("a")? {
        Reply::Settled { refunded, .. } if refunded.len() == 1 => {}
        other => return unexpected(format!("no refund but {other:?}")),
    }
    scene.must_hold("a", 50_000)?;
    scene.accept_declined("b", "the payment arrives after all", &payment, Code::RequestClosed)?;
    scene.must_hold("b", 50_000)
}

fn defund(scene: &mut Scene) -> Result<(), VectorError> {
    let reference = scene.reference();
    let of = |minor, pin: Option<&str>, reference| Command::Defund {
        amount: amount(minor),
        pin: pin.map(self::pin),
        reference,
    };
    scene.refuse("a", "without PIN", of(4000, None, reference), Code::PinRequired)?;
    scene.refuse("a", "more than the balance", of(50_001, Some(PIN), reference), Code::DefundTooLarge)?;
    scene.refuse("a", "nothing", of(0, Some(PIN), reference), Code::AmountZero)?;
    scene.run("a", "sends value to its account", of(4000, Some(PIN), reference))?;
    scene.run("a", "the same again", of(4000, Some(PIN), reference))?;
    scene.must_hold("a", 46_000)?;
    scene.sync("a")?;
    scene.must_hold("a", 46_000)?;
    let reference = scene.reference();
    scene.run("a", "sends value that cannot be paid out", of(500, Some(PIN), reference))?;
    scene.operator.return_defundings = true;
    match scene.sync("a")? {
        Reply::Settled { returned, .. } if returned == amount(500) => {}
        other => return unexpected(format!("nothing returned but {other:?}")),
    }
    scene.must_hold("a", 46_000)
}

fn funding(scene: &mut Scene) -> Result<(), VectorError> {
    let of = |minor, reference| Command::FundOrder { amount: amount(minor), reference };
    let reference = scene.reference();
    scene.refuse("a", "orders nothing", of(0, reference), Code::AmountZero)?;
    scene.refuse(
        "a",
        "orders one cent above the holding limit",
        of(50_001, reference),
        Code::BalanceTooLarge,
    )?;
    let order = scene.message("a", "orders up to the holding limit", of(50_000, reference))?;
    scene.run("a", "orders again under the same reference", of(50_000, reference))?;
    let other = scene.reference();
    scene.refuse("a", "orders while an order is open", of(1, other), Code::OrderPending)?;
    scene.refuse(
        "a",
        "orders another amount under the same reference",
        of(49_999, reference),
        Code::ReferenceReused,
    )?;
    let request = scene.request("a", Some(1), false)?;
    let payment = scene.pay("b", &request, None)?;
    scene.accept_declined(
        "a",
        "one cent, while the order takes all room",
        &payment,
        Code::BalanceTooLarge,
    )?;
    scene.sync("a")?;
    scene.must_hold("a", 50_000)?;
    scene.operator.take_order(&order)?;
    scene.operator.take_order(&order)?;
    scene.sync("a")?;
    scene.must_hold("a", 100_000)?;
    scene.refuse("t", "a terminal orders", of(1, other), Code::TerminalCannotPay)
}

fn limits(scene: &mut Scene) -> Result<(), VectorError> {
    for limits in &mut scene.operator.rules.limits {
        if limits.grade.has_element() {
            limits.payment_max = amount(10_000);
            limits.no_pin_max = amount(1000);
            limits.no_pin_total_max = amount(1500);
            limits.sync_total_max = amount(20_000);
            limits.sync_count_max = 4;
            limits.window_total_max = amount(25_000);
            limits.window_count_max = 7;
            limits.receipts_max = 3;
            limits.offline_max_s = 2 * DAY_S;
        }
    }
    scene.operator.rules.number = 2;
    scene.sync("a")?;
    scene.sync("b")?;
    let code = scene.request("c", None, true)?;
    let try_to = |scene: &mut Scene, note: &str, minor, with_pin, refusal| {
        let pay = scene.pay_command(&code, Some(minor), with_pin);
        scene.refuse("a", note, pay, refusal)
    };
    let pay = |scene: &mut Scene, note: &str, minor, with_pin| {
        let pay = scene.pay_command(&code, Some(minor), with_pin);
        scene.message("a", note, pay)
    };
    try_to(scene, "above the largest payment", 10_001, true, Code::PaymentTooLarge)?;
    try_to(scene, "above what may go without PIN", 1001, false, Code::PinRequired)?;
    pay(scene, "the most that may go without PIN", 1000, false)?;
    try_to(scene, "above the total that may go without PIN", 501, false, Code::PinRequired)?;
    pay(scene, "the largest payment", 10_000, true)?;
    try_to(scene, "above the total since the sync", 9001, true, Code::TotalSinceSync)?;
    pay(scene, "a third payment", 1, false)?;
    pay(scene, "a fourth payment", 1, false)?;
    try_to(scene, "a fifth payment", 1, false, Code::CountSinceSync)?;
    scene.sync("a")?;
    try_to(scene, "above the total of the day", 10_000 + 3999, true, Code::PaymentTooLarge)?;
    pay(scene, "a fifth payment, after a sync", 9000, true)?;
    try_to(scene, "above the total of the day", 4999, true, Code::WindowTotal)?;
    pay(scene, "a sixth payment", 1, false)?;
    pay(scene, "a seventh payment", 1, false)?;
    try_to(scene, "an eighth payment on one day", 1, false, Code::WindowCount)?;
    scene.set_clock(START_S + DAY_S);
    try_to(scene, "the next day by the host's clock", 1, false, Code::WindowCount)?;
    scene.sync("a")?;
    pay(scene, "the next day by the operator's time", 1, false)?;
    try_to(scene, "more than the balance", 29_997, true, Code::PaymentTooLarge)?;
    scene.operator.ceiling_margin = Some(amount(5000));
    scene.sync("a")?;
    try_to(scene, "above the certificate's ceiling", 5001, true, Code::CeilingReached)?;
    pay(scene, "up to the certificate's ceiling", 5000, true)?;
    try_to(scene, "one cent above the ceiling", 1, true, Code::CeilingReached)?;
    for minor in [1, 2, 3] {
        scene.whole_payment("b", "a", minor)?;
    }
    let request = scene.request("a", Some(4), false)?;
    scene.sync("b")?;
    let payment = scene.pay("b", &request, None)?;
    scene.accept_declined("a", "a fourth receipt since the sync", &payment, Code::ReceiptsSinceSync)?;
    scene.operator.ceiling_margin = None;
    scene.sync("a")?;
    scene.set_clock(START_S + 3 * DAY_S + 1);
    try_to(scene, "offline for too long", 1, false, Code::OfflineTooLong)?;
    let code = scene.request("b", None, true)?;
    let poor = scene.pay_command(&code, Some(1), false);
    scene.sync("c")?;
    scene.refuse("c", "pays without a balance", poor, Code::InsufficientFunds)
}

fn wrong_pins(scene: &mut Scene) -> Result<(), VectorError> {
    let request = scene.request("b", Some(6000), false)?;
    let with = |scene: &mut Scene, note: &str, digits: Option<&str>, code| {
        let reference = scene.reference();
        let pay = Command::Pay {
            request: request.clone(),
            amount: None,
            pin: digits.map(pin),
            reference,
            approval: None,
        };
        scene.refuse("a", note, pay, code)
    };
    with(scene, "no PIN", None, Code::PinRequired)?;
    with(scene, "three digits: no try is used up", Some("471"), Code::PinMalformed)?;
    with(scene, "letters: no try is used up", Some("abcd"), Code::PinMalformed)?;
    with(scene, "a wrong PIN", Some("0000"), Code::PinWrong)?;
    with(scene, "another wrong PIN", Some("1111"), Code::PinWrong)?;
    scene.whole_payment("a", "c", 100)?;
    with(scene, "a wrong PIN: the right one gave back the tries", Some("0000"), Code::PinWrong)?;
    with(scene, "another wrong PIN", Some("1111"), Code::PinWrong)?;
    with(scene, "the third wrong PIN", Some("2222"), Code::PinWrong)?;
    with(scene, "the right PIN, and the wallet is blocked", Some(PIN), Code::PinBlocked)?;
    scene.sync("a")?;
    with(scene, "a sync alone does not unblock", Some(PIN), Code::PinBlocked)?;
    let key = scene.key("a")?;
    scene.operator.unblock.insert(key);
    scene.sync("a")?;
    scene.pay("a", &request, None)?;
    scene.must_hold("a", 43_900)
}

fn respending(scene: &mut Scene) -> Result<(), VectorError> {
    for limits in &mut scene.operator.rules.limits {
        limits.respend_percent = if limits.grade == Grade::VirtualSeBound { 50 } else { 0 };
    }
    scene.operator.rules.number = 2;
    scene.sync("b")?;
    scene.sync("c")?;
    scene.whole_payment("a", "b", 2000)?;
    scene.whole_payment("a", "c", 1001)?;
    let code = scene.request("a", None, true)?;
    let beyond = scene.pay_command(&code, Some(25_001), true);
    scene.refuse("b", "above the largest payment", beyond, Code::PaymentTooLarge)?;
    let first = scene.pay("b", &code, Some(25_000))?;
    let second = scene.pay("b", &code, Some(24_999))?;
    let received = scene.pay_command(&code, Some(2), true);
    scene.refuse("b", "spends what it received", received, Code::RespendShare)?;
    scene.pay("b", &code, Some(1))?;
    let beyond = scene.pay_command(&code, Some(501), true);
    scene.refuse("c", "spends more than half of what it received", beyond, Code::RespendShare)?;
    scene.pay("c", &code, Some(500))?;
    let beyond = scene.pay_command(&code, Some(1), true);
    scene.refuse("c", "spends more than half of what it received, bit by bit", beyond, Code::RespendShare)?;
    scene.accept("a", &first)?;
    let decline = scene.decline("a", &second)?;
    scene.run("b", "takes it back into what was funded", Command::Reclaim { decline })?;
    scene.sync("c")?;
    scene.pay("c", &code, Some(501))?;
    scene.must_hold("c", 0)?;
    scene.must_hold("b", 26_999)
}

fn expired(scene: &mut Scene) -> Result<(), VectorError> {
    let to_a = scene.request("a", None, true)?;
    let code = scene.request("b", None, true)?;
    let payment = scene.pay("a", &code, Some(1250))?;
    let to_expire = scene.pay("b", &to_a, Some(10))?;
    let until_s = START_S + 14 * DAY_S;
    scene.set_clock(until_s + 1);
    let pay = scene.pay_command(&code, Some(1), false);
    scene.refuse("a", "pays a wallet whose certificate has expired", pay, Code::CertificateExpired)?;
    scene.sync("b")?;
    let code = scene.request("b", None, true)?;
    let pay = scene.pay_command(&code, Some(1), false);
    scene.refuse("a", "pays under an expired certificate", pay, Code::OwnCertificateExpired)?;
    let reference = scene.reference();
    let ask = Command::Request { amount: None, standing: false, reference };
    scene.refuse("a", "asks under an expired certificate", ask, Code::OwnCertificateExpired)?;
    let shown = Command::Accept { payment: payment.clone() };
    scene.refuse("b", "is shown a payment under an expired certificate", shown, Code::CertificateExpired)?;
    let shown = Command::Accept { payment: to_expire.clone() };
    scene.refuse(
        "a",
        "is shown one under its payer's expired certificate",
        shown,
        Code::CertificateExpired,
    )?;
    scene.decline("a", &to_expire)?;
    let decline = scene.decline("b", &payment)?;
    scene.run("a", "takes it back, expired as it is", Command::Reclaim { decline })?;
    scene.sync("a")?;
    scene.pay("a", &code, Some(1))?;
    scene.must_hold("a", 49_999)
}

fn clock(scene: &mut Scene) -> Result<(), VectorError> {
    let request = scene.request("b", Some(1250), false)?;
    scene.set_clock(START_S + 2 * DAY_S);
    scene.sync("a")?;
    scene.clock_s = START_S;
    let pay = scene.pay_command(&request, None, true);
    scene.refuse("a", "pays an expired request, its clock turned back", pay, Code::RequestExpired)?;
    scene.clock_s = START_S - 365 * DAY_S;
    let late = scene.request("a", Some(5), false)?;
    scene.clock_s = START_S + 2 * DAY_S;
    scene.sync("b")?;
    let payment = scene.pay("b", &late, None)?;
    scene.accept("a", &payment)?;
    scene.clock_s = START_S + 60 * DAY_S;
    let reference = scene.reference();
    let ask = Command::Request { amount: None, standing: false, reference };
    scene.refuse("a", "asks, its clock two months ahead", ask, Code::OwnCertificateExpired)?;
    scene.clock_s = START_S + 2 * DAY_S + 60;
    scene.operator.now_s = scene.clock_s;
    scene.whole_payment("b", "a", 7)?;
    scene.operator.now_s = START_S + DAY_S;
    scene.sync("a")?;
    scene.must_hold("a", 50_012)
}

fn terminal(scene: &mut Scene) -> Result<(), VectorError> {
    scene.whole_payment("a", "t", 1250)?;
    let code = scene.request("a", None, true)?;
    let pay = scene.pay_command(&code, Some(1), false);
    scene.refuse("t", "pays", pay, Code::TerminalCannotPay)?;
    let request = scene.request("t", Some(300), false)?;
    let payment = scene.pay("a", &request, None)?;
    let decline = scene.decline("t", &payment)?;
    scene.refuse(
        "a",
        "takes back by a terminal's decline",
        Command::Reclaim { decline },
        Code::DeclineNeedsOperator,
    )?;
    scene.must_hold("a", 48_450)?;
    match scene.sync("t")? {
        Reply::Settled { paid_out, .. } if paid_out == amount(1250) => {}
        other => return unexpected(format!("not paid out but {other:?}")),
    }
    scene.must_hold("t", 0)?;
    match scene.sync("a")? {
        Reply::Settled { refunded, confirmed, .. } if refunded.len() == 1 && confirmed.len() <= 1 => {}
        other => return unexpected(format!("not refunded but {other:?}")),
    }
    scene.must_hold("a", 48_750)
}

fn enrolment(scene: &mut Scene) -> Result<(), VectorError> {
    let plain = scene.enrol_command(Algorithm::Es256, Grade::Hardware, Some(PIN));
    let Command::Enrol { es256, grade, pin: digits, root, binding, element, .. } = plain.clone() else {
        return Ok(());
    };
    let named = Command::Enrol {
        es256,
        grade,
        name: crate::fixed::name("Alice"),
        pin: digits.clone(),
        root: root.clone(),
        binding,
        element: element.clone(),
    };
    scene.refuse("d", "a person with a display name", named, Code::ValueOutOfRange)?;
    let name = crate::fixed::name("");
    let short = Command::Enrol {
        es256,
        grade,
        name: name.clone(),
        pin: Some(pin("123")),
        root: root.clone(),
        binding,
        element: element.clone(),
    };
    scene.refuse("d", "a PIN of three digits", short, Code::PinMalformed)?;
    let mut forged = root;
    forged.lifetime_d += 1;
    let forged = Command::Enrol { es256, grade, name, pin: digits, root: forged, binding, element };
    scene.refuse("d", "a root that does not vouch for itself", forged, Code::BadCertificate)?;
    scene.refuse("d", "shows itself before it is enrolled", Command::Show {}, Code::NotEnrolled)?;
    scene.refuse(
        "d",
        "accounts for itself before it is enrolled",
        Command::Statement {},
        Code::NotEnrolled,
    )?;
    let enrolment = scene.message("d", "asks for its first certificate", plain.clone())?;
    scene.run("d", "asks again: the same bytes", plain.clone())?;
    scene.refuse(
        "d",
        "accounts for itself before it is settled",
        Command::Statement {},
        Code::NotEnrolled,
    )?;
    let other = scene.enrol_command(Algorithm::EdDsa, Grade::VirtualSe, None);
    let theirs = scene.message("e", "another wallet asks", other)?;
    let settlement = scene.operator.enrol(&enrolment)?;
    let theirs = scene.operator.enrol(&theirs)?;
    let wrong = Command::Settle { settlement: theirs };
    scene.refuse("d", "another wallet's settlement", wrong, Code::SettlementMismatch)?;
    scene.run("d", "is enrolled", Command::Settle { settlement: settlement.clone() })?;
    scene.run("d", "is enrolled again", Command::Settle { settlement })?;
    scene.refuse("d", "asks once more", plain, Code::AlreadyEnrolled)?;
    let forged = Command::Settle { settlement: Bytes(vec![]) };
    scene.refuse("d", "an empty settlement", forged, Code::Truncated)?;
    scene.whole_payment("a", "d", 100)
}
