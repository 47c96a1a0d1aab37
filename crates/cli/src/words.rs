//! What came of an operation, in plain words and as JSON.

use std::path::Path;

use counterfoil_wallet::amounts::{format_amount, format_number};
use counterfoil_wallet::operation::{Declined, Enrolled, Funded, Learnt, Paid, Replaced};
use counterfoil_wallet::{Done, Finished, Operation, Outcome, SyncReport};
use counterfoil_wire::cert::Name;
use counterfoil_wire::element::Tamper;
use counterfoil_wire::sync::Standing;
use counterfoil_wire::{Amount, Code, Currency, PublicKey};
use serde_json::{Value, json};

use crate::output::{Answer, DECLINED, REFUSED};
use crate::time::utc;

/// Adds what interrupted operations came to, ahead of the answer to the command itself.
pub(crate) fn tell_finished(answer: &mut Answer, finished: &[Finished], currency: Currency) {
    let mut list = Vec::new();
    for one in finished {
        let name = noun(&one.operation, one.result.as_ref().ok(), currency);
        let mut entry = json!({ "operation": kind(&one.operation) });
        match &one.result {
            Ok(outcome) => {
                let mut line = format!("finished the interrupted {name}; {}", not_twice(&one.operation));
                if let Some(out) = &one.out {
                    line.push_str(&format!("; the {} is in {}", message_noun(outcome), out.display()));
                }
                answer.line(line);
                entry["done"] = json!(true);
                entry["out"] = json!(one.out.as_deref().map(shown));
            }
            Err(error) => {
                answer.line(format!(
                    "the interrupted {name} was not made, and nothing moved: error {}: {}",
                    error.code.number(),
                    error.code.what()
                ));
                entry["done"] = json!(false);
                entry["error"] = json!(error.code.number());
            }
        }
        list.push(entry);
    }
    if !list.is_empty() {
        answer.set("finished", list);
    }
}

/// Adds what came along with a message and was news.
pub(crate) fn tell_heard(answer: &mut Answer, heard: &[Learnt]) {
    for learnt in heard {
        if learnt.revocation_new {
            answer.line(format!("came along: a newer revocation list (number {})", learnt.revocation_no));
        }
        for cheat in &learnt.cheats {
            answer.line(format!("came along: {}", proven(cheat)));
        }
        answer.set(
            "came_along",
            json!({
                "revocation_no": learnt.revocation_no,
                "revocation_new": learnt.revocation_new,
                "cheats": cheats(learnt),
            }),
        );
    }
}

fn proven(cheat: &PublicKey) -> String {
    format!("proof that {} cheated: nothing is taken from it any more", short_key(cheat))
}

fn cheats(learnt: &Learnt) -> Vec<String> {
    learnt.cheats.iter().map(|key| hex::encode(key.as_bytes())).collect()
}

/// Adds what came of the operation that was asked for.
pub(crate) fn tell_done(answer: &mut Answer, done: &Done, currency: Currency, is_terminal: bool) {
    if done.resumed {
        let name = match &done.outcome {
            Outcome::Requested(_) => "request",
            Outcome::Paid(_) => "payment",
            Outcome::Funded(_) => "funding",
            Outcome::Defunded(_) => "defunding",
            Outcome::Enrolled(_) => "enrolment",
            _ => "command",
        };
        answer.line(format!("this finishes the interrupted {name}; nothing was done twice"));
        answer.set("resumed", true);
    }
    let out = done.out.as_deref().map(shown);
    let out_text = out.clone().unwrap_or_default();
    match &done.outcome {
        Outcome::Requested(requested) => {
            let what =
                requested.amount.map_or("any amount".to_owned(), |amount| format_amount(amount, currency));
            let standing = if requested.standing {
                "standing request, which may be paid any number of times,"
            } else {
                "request"
            };
            let mut line =
                format!("{standing} {} for {what}; show {out_text} to the payer", requested.number);
            if requested.standing {
                line = format!("{standing} for {what}; show {out_text} to payers");
            } else if requested.expiry_s != 0 {
                line.push_str(&format!("; it can be paid until {}", utc(requested.expiry_s)));
            }
            answer.line(line);
            again(
                answer,
                requested.again,
                "it had been made before under this reference; this is the same one",
            );
            answer.set("result", "requested").set("request_no", requested.number);
            answer.set("amount", money(requested.amount, currency)).set("standing", requested.standing);
        }
        Outcome::Paid(paid) => tell_paid(answer, paid, &out_text, currency),
        Outcome::Accepted(accepted) => {
            let amount = format_amount(accepted.amount, currency);
            answer.line(format!(
                "received {amount}; it is yours. The receipt is in {out_text}; show it to the payer"
            ));
            again(answer, accepted.again, "this payment had been taken before; nothing was credited twice");
            answer.set("result", "accepted").set("amount", money(Some(accepted.amount), currency));
        }
        Outcome::Declined(declined) => {
            tell_declined(answer, declined, &out_text, currency, is_terminal);
            // Whoever asked to be paid was not.
            if matches!(done.operation, Operation::Accept { .. }) {
                answer.exit = DECLINED;
            }
        }
        Outcome::Confirmed(resolved) => {
            let amount = format_amount(resolved.amount, currency);
            answer.line(format!("the payment of {amount} has arrived; it is confirmed"));
            again(answer, resolved.again, "this receipt had been taken before");
            answer.set("result", "confirmed").set("payment", resolved.payment.to_string());
            answer.set("amount", money(Some(resolved.amount), currency));
        }
        Outcome::Reclaimed(resolved) => {
            let amount = format_amount(resolved.amount, currency);
            answer.line(format!("took {amount} back; the payee can never take that payment"));
            again(answer, resolved.again, "it had been taken back before; nothing was credited twice");
            answer.set("result", "reclaimed").set("payment", resolved.payment.to_string());
            answer.set("amount", money(Some(resolved.amount), currency));
        }
        Outcome::Gossip(gossip) => {
            answer.line(format!("{out_text} holds what other devices should know ({} bytes)", gossip.len()));
            answer.set("result", "gossip").set("bytes", gossip.len());
        }
        Outcome::Learnt(learnt) => {
            let list =
                if learnt.revocation_new { "a newer revocation list" } else { "no newer revocation list" };
            answer.line(format!("learnt {list} (number {} is held)", learnt.revocation_no));
            learnt.cheats.iter().for_each(|cheat| {
                answer.line(proven(cheat));
            });
            answer.set("result", "learnt").set("revocation_no", learnt.revocation_no);
            answer.set("revocation_new", learnt.revocation_new).set("cheats", cheats(learnt));
        }
        Outcome::Funded(funded) => tell_funded(answer, funded, currency),
        Outcome::Defunded(defunded) => {
            let amount = format_amount(defunded.amount, currency);
            if defunded.sync.returned.is_zero() {
                answer.line(format!("defunded {amount}; it has left for the account behind the wallet"));
            } else {
                answer.line(format!("the account did not take {amount}; it is back in the wallet"));
                answer.exit = REFUSED;
            }
            again(
                answer,
                defunded.again,
                "it had been debited before under this reference; nothing was debited twice",
            );
            answer.set("result", "defunded").set("amount", money(Some(defunded.amount), currency));
            tell_sync(answer, &defunded.sync, currency, false);
        }
        Outcome::Enrolled(enrolled) => tell_enrolled(answer, enrolled, is_terminal),
        _ => {}
    }
    if let Some(out) = out {
        answer.set("out", out);
    }
}

/// What was done although its message could not be written.
pub(crate) fn done_unwritten(outcome: &Outcome, currency: Currency) -> Option<String> {
    let amount = |amount| format_amount(amount, currency);
    Some(match outcome {
        Outcome::Paid(paid) => format!("the payment was made: {} has left", amount(paid.amount)),
        Outcome::Accepted(accepted) => format!("the payment was taken: {} is yours", amount(accepted.amount)),
        Outcome::Declined(declined) => {
            format!("the payment of {} was declined, for good", amount(declined.amount))
        }
        Outcome::Requested(_) => "the request was made".to_owned(),
        _ => return None,
    })
}

fn tell_paid(answer: &mut Answer, paid: &Paid, out: &str, currency: Currency) {
    let amount = format_amount(paid.amount, currency);
    let payee = peer(&paid.payee_name, &paid.payee);
    if paid.again {
        answer.line(format!(
            "this is the payment of {amount} to {payee} that was sent before; nothing was debited twice"
        ));
        answer
            .line(format!("it is in {out} again; show it to the payee; keep it until you have the receipt"));
    } else {
        answer.line(format!(
            "sent {amount} to {payee}; the payment is in {out}; show it to the payee; keep it until you have the receipt"
        ));
    }
    answer.set("result", "sent").set("payment", paid.id.to_string());
    answer.set("amount", money(Some(paid.amount), currency)).set("again", paid.again);
    answer
        .set("payee", json!({ "key": hex::encode(paid.payee.as_bytes()), "name": paid.payee_name.as_str() }));
}

fn tell_declined(answer: &mut Answer, declined: &Declined, out: &str, currency: Currency, is_terminal: bool) {
    let amount = format_amount(declined.amount, currency);
    let reason = declined.reason;
    if reason == Code::HolderRefused {
        answer.line(format!("declined {amount}; it can never be taken. The decline is in {out}"));
    } else {
        answer.line(format!("declined {amount}: error {}: {}", reason.number(), reason.what()));
        answer.line(format!("fault: {}", reason.fault().name()));
        if !reason.next().contains("decline") {
            answer.line(format!("next: {}; then ask to be paid again", reason.next()));
        }
        answer.line(format!(
            "nothing was credited, and this payment can never be taken. The decline is in {out}"
        ));
    }
    if is_terminal {
        answer.line(
            format!("next: give {out} to the payer; a terminal's decline is settled by the operator, once you have claimed"),
        );
    } else {
        answer.line(format!("next: give {out} to the payer, who reclaims the money with it"));
    }
    again(answer, declined.again, "it had been declined before");
    answer.set("result", "declined").set("amount", money(Some(declined.amount), currency));
    let (number, name) = (reason.number(), reason.name());
    answer
        .set("reason", json!({ "code": number, "name": name, "what": reason.what(), "next": reason.next() }));
}

fn tell_funded(answer: &mut Answer, funded: &Funded, currency: Currency) {
    let amount = format_amount(funded.amount, currency);
    answer.set("amount", money(Some(funded.amount), currency));
    match &funded.refusal {
        None => {
            answer.line(format!("funded {amount}"));
            answer.set("result", "funded");
            again(answer, funded.again, "this order had been given before; nothing was funded twice");
        }
        Some(problem) => {
            let code = problem.code.unwrap_or(Code::RailRefused);
            answer.complain(format!("error {}: {}", code.number(), code.what()));
            answer.complain(format!("fault: {}", code.fault().name()));
            answer.complain(format!("next: {}", code.next()));
            answer.complain(format!("nothing was funded; the order of {amount} is closed"));
            answer.set("result", "refused");
            let (number, name) = (code.number(), code.name());
            let (what, fault, next) = (code.what(), code.fault().name(), code.next());
            answer.set(
                "error",
                json!({ "code": number, "name": name, "what": what, "fault": fault, "next": next }),
            );
            answer.exit = REFUSED;
        }
    }
    tell_sync(answer, &funded.sync, currency, false);
}

fn tell_enrolled(answer: &mut Answer, enrolled: &Enrolled, is_terminal: bool) {
    let kind = if is_terminal { "terminal" } else { "wallet" };
    answer.line(format!("this {kind} is enrolled in the scheme {}", enrolled.scheme.as_str()));
    answer.line(format!("root: {}", enrolled.root_fingerprint));
    if enrolled.root_on_first_use {
        answer.line("the root was taken from the operator itself, on first use: compare the line above with what the operator publishes, or enrol with --operator-root");
    }
    if !is_terminal && !enrolled.has_pin {
        answer.line(
            "this wallet has no PIN: it pays small amounts only, until the limits without PIN are used up",
        );
    }
    if let Some(Replaced { key }) = &enrolled.replaced {
        answer.line(format!(
            "it took the place of a stale copy of the {kind} {key}, which signs nothing any more"
        ));
        answer.line(
            "what that one held does not move here: tell the PSP that it is lost. The PSP closes it, and what it had not \
             spent comes back to the account when every payee has had its time to claim",
        );
    }
    answer.set("replaced", enrolled.replaced.as_ref().map(|replaced| replaced.key.clone()));
    answer.set("result", "enrolled").set("scheme", enrolled.scheme.as_str());
    answer.set("root_fingerprint", enrolled.root_fingerprint.clone());
    answer.set("root_on_first_use", enrolled.root_on_first_use).set("has_pin", enrolled.has_pin);
}

/// Adds what a sync brought. `alone`: nothing else is being told, so it says something even where nothing came.
pub(crate) fn tell_sync(answer: &mut Answer, report: &SyncReport, currency: Currency, alone: bool) {
    let amount = |amount| format_amount(amount, currency);
    if alone {
        answer.line("synced with the operator");
        answer.set("result", "synced");
        if !report.funded.is_zero() {
            answer.line(format!("funding of {} arrived", amount(report.funded)));
        }
        if !report.returned.is_zero() {
            answer.line(format!(
                "a defunding of {} could not be paid out and is back",
                amount(report.returned)
            ));
        }
    }
    if !report.confirmed.is_empty() {
        answer.line(format!("payments found to have arrived: {}", report.confirmed.len()));
    }
    if !report.refunded.is_empty() {
        answer.line(format!("payments given back by the operator: {}", report.refunded.len()));
    }
    if !report.paid_out.is_zero() {
        answer.line(format!("{} was paid out to the account", amount(report.paid_out)));
    }
    if report.standing == Standing::Suspended {
        let (what, next) = (Code::Suspended.what(), Code::Suspended.next());
        answer.complain(format!("error {}: {what}", Code::Suspended.number()));
        answer.complain(format!("fault: {}", Code::Suspended.fault().name()));
        answer.complain(format!("next: {next}"));
        answer.exit = REFUSED;
    }
    let ids = |ids: &[counterfoil_wire::Digest]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    answer.set(
        "sync",
        json!({
            "rounds": report.rounds,
            "funded": money(Some(report.funded), currency),
            "returned": money(Some(report.returned), currency),
            "paid_out": money(Some(report.paid_out), currency),
            "confirmed": ids(&report.confirmed),
            "refunded": ids(&report.refunded),
            "standing": standing_name(report.standing),
        }),
    );
}

pub(crate) const fn standing_name(standing: Standing) -> &'static str {
    match standing {
        Standing::Good => "good",
        Standing::Suspended => "suspended",
    }
}

/// What a wallet that was tampered with says of itself.
pub(crate) fn deactivated(tamper: Tamper) -> String {
    let found = match tamper {
        Tamper::Seal => "a seal of its store did not hold",
        Tamper::Image => "an altered or older image of its application was found",
        Tamper::Counter => "its counter was missing, replaced or behind",
        Tamper::Runtime => "its application failed again and again",
        Tamper::Debugger => "a debugger was attached",
        Tamper::Hooked => "its process was hooked",
        Tamper::Rooted => "its device is rooted",
    };
    format!("deactivated: {found}")
}

/// An amount for programs: exact minor units, the same as people write it, and the currency.
pub(crate) fn money(amount: Option<Amount>, currency: Currency) -> Value {
    let Some(amount) = amount else { return Value::Null };
    let code = counterfoil_wallet::amounts::currency_code(currency);
    json!({ "minor": amount.minor(), "amount": format_number(amount, currency), "currency": code })
}

/// How a person tells another wallet from the next: its certified name, or the start of its key.
pub(crate) fn peer(name: &Name, key: &PublicKey) -> String {
    if name.as_str().is_empty() { format!("wallet {}", short_key(key)) } else { name.as_str().to_owned() }
}

pub(crate) fn short_key(key: &PublicKey) -> String {
    // The first byte of a P-256 key is its form, 2 or 3.
    let bytes = key.as_bytes();
    hex::encode(bytes.get(bytes.len() - 32..).unwrap_or(bytes).get(..4).unwrap_or(bytes))
}

fn again(answer: &mut Answer, again: bool, words: &str) {
    if again {
        answer.line(words);
    }
    answer.set("again", again);
}

/// A path as the person would write it: from here, where it is here.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let relative = here.as_deref().and_then(|here| path.strip_prefix(here).ok());
    relative.unwrap_or(path).display().to_string()
}

fn noun(operation: &Operation, outcome: Option<&Outcome>, currency: Currency) -> String {
    let of = |word: &str, amount: Option<Amount>| match amount {
        Some(amount) => format!("{word} of {}", format_amount(amount, currency)),
        None => word.to_owned(),
    };
    match (operation, outcome) {
        (Operation::Pay { .. }, Some(Outcome::Paid(paid))) => of("payment", Some(paid.amount)),
        (Operation::Pay { amount, .. }, _) => of("payment", *amount),
        (Operation::Request { amount, .. }, _) => of("request", *amount),
        (Operation::Accept { .. }, Some(Outcome::Accepted(accepted))) => {
            of("acceptance", Some(accepted.amount))
        }
        (Operation::Accept { .. }, Some(Outcome::Declined(declined))) => of("decline", Some(declined.amount)),
        (Operation::Accept { .. }, _) => "acceptance".to_owned(),
        (Operation::Decline { .. }, _) => "decline".to_owned(),
        (Operation::Confirm { .. }, _) => "confirmation".to_owned(),
        (Operation::Reclaim { .. }, _) => "reclaim".to_owned(),
        (Operation::Fund { amount }, _) => of("funding", Some(*amount)),
        (Operation::Defund { amount }, _) => of("defunding", Some(*amount)),
        _ => "operation".to_owned(),
    }
}

const fn kind(operation: &Operation) -> &'static str {
    match operation {
        Operation::Request { .. } => "request",
        Operation::Pay { .. } => "pay",
        Operation::Accept { .. } => "accept",
        Operation::Decline { .. } => "decline",
        Operation::Confirm { .. } => "confirm",
        Operation::Reclaim { .. } => "reclaim",
        Operation::Fund { .. } => "fund",
        Operation::Defund { .. } => "defund",
        _ => "other",
    }
}

const fn not_twice(operation: &Operation) -> &'static str {
    match operation {
        Operation::Pay { .. } => "nothing was paid twice",
        Operation::Accept { .. } | Operation::Reclaim { .. } => "nothing was credited twice",
        Operation::Fund { .. } => "nothing was funded twice",
        Operation::Defund { .. } => "nothing was debited twice",
        _ => "nothing was done twice",
    }
}

const fn message_noun(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Requested(_) => "request",
        Outcome::Paid(_) => "payment",
        Outcome::Accepted(_) => "receipt",
        Outcome::Declined(_) => "decline",
        _ => "message",
    }
}
