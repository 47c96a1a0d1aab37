//! `counterfoil rules`: the limits in words, and the most that a thief can take under them.
//!
//! Every number is computed from the rules that are explained. What the words claim is this:
//!
//! - A wallet's own application keeps every limit, so a thief who merely holds the device is bound by the smallest of
//!   those that apply.
//! - A copy of a wallet, put back or run twice, is bound by the same limits in each copy; one payee sees the overlap of
//!   two copies, so one payee loses to one copy at most.
//! - A key in a thief's own program is bound only by what payees check: the certificate's ceiling on `spent`. Payments
//!   whose intervals do not overlap end there; whoever goes beyond leaves two overlapping intervals, which prove it.
//!   The operator sets the ceiling at each sync to what was spent until then and the largest total between two syncs;
//!   where the rules let no received value be spent before a sync, to no more than the balance.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use counterfoil_trust::open;
use counterfoil_wallet::amounts::format_amount;
use counterfoil_wire::cert::Grade;
use counterfoil_wire::rules::{Liability, Limits, Preset, Rules};
use counterfoil_wire::{Amount, Currency, Wire};
use serde_json::{Value, json};

use crate::output::{Answer, Output, Usage, table};
use crate::time::span;
use crate::wallet::message;
use crate::words::money;

#[derive(Debug, Args)]
pub(crate) struct RulesArgs {
    #[command(subcommand)]
    command: RulesCommand,
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    /// The limits in words, and the most that a thief can take under them
    Explain {
        /// Rules of an operator: signed, or bare
        #[arg(conflicts_with = "preset")]
        file: Option<PathBuf>,
        /// Rules to start from: permissive, upi-lite-x or digital-euro [default: permissive]
        #[arg(long, value_name = "NAME")]
        preset: Option<String>,
    },
}

pub(crate) fn run(args: &RulesArgs, output: &Output) -> Result<u8> {
    let RulesCommand::Explain { file, preset } = &args.command;
    let rules = match (file, preset) {
        (Some(file), _) => read_rules(file)?,
        (None, Some(name)) => preset_named(name)?.rules(),
        (None, None) => Preset::Permissive.rules(),
    };
    Ok(output.answer(&explain(&rules)))
}

/// The preset of that name.
pub(crate) fn preset_named(name: &str) -> Result<Preset> {
    let found = Preset::ALL.iter().find(|preset| preset.name() == name);
    let known = || Preset::ALL.iter().map(|preset| preset.name()).collect::<Vec<_>>().join(", ");
    Ok(*found.ok_or_else(|| Usage(format!("no preset is called {name:?}; there are {}", known())))?)
}

fn read_rules(file: &Path) -> Result<Rules> {
    let bytes = message(file)?;
    match (open::<Rules>(&bytes), Rules::from_bytes(&bytes)) {
        (Ok(opened), _) => Ok(opened.body),
        (_, Ok(rules)) => Ok(rules),
        (Err(error), Err(_)) => bail!(error),
    }
}

/// The most that can be taken, by what the thief has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Theft {
    /// The unlocked device, without the PIN.
    without_pin: Amount,
    /// The device and the PIN.
    with_pin: Amount,
    /// Each payee that one more copy of the wallet is shown to.
    per_copy: Amount,
    /// Payments with the extracted key that leave no proof: the ceiling above what was spent.
    key_without_proof: Amount,
}

pub(crate) fn theft(limits: &Limits) -> Theft {
    let times = |amount: Amount, count: u32| {
        let product = u128::from(amount.minor()).saturating_mul(u128::from(count));
        u64::try_from(product).ok().and_then(Amount::new).unwrap_or(Amount::MAX)
    };
    let count = limits.sync_count_max.min(limits.window_count_max);
    let smallest = |bounds: &[Amount]| bounds.iter().copied().min().unwrap_or(Amount::ZERO);
    let with_pin = smallest(&[
        limits.balance_max,
        limits.sync_total_max,
        // Windows are counted by the operator's time, so none opens for a device that does not sync.
        limits.window_total_max,
        times(limits.payment_max, count),
    ]);
    let without_pin = smallest(&[
        with_pin,
        limits.no_pin_total_max,
        times(limits.no_pin_max.min(limits.payment_max), count),
    ]);
    // Where received value cannot be spent before a sync, the operator's ceiling follows the balance.
    let key_without_proof = if limits.respend_percent > 0 {
        limits.sync_total_max
    } else {
        limits.sync_total_max.min(limits.balance_max)
    };
    Theft { without_pin, with_pin, per_copy: with_pin, key_without_proof }
}

fn explain(rules: &Rules) -> Answer {
    let amount = |amount| format_amount(amount, rules.currency);
    let mut answer = Answer::default();
    answer.line(format!(
        "rules {}: {} ({})",
        rules.number,
        rules.name.as_str(),
        counterfoil_wallet::amounts::currency_code(rules.currency)
    ));
    answer.line("");
    answer.lines.extend(limits_table(rules));
    answer.line("");
    answer.line(format!(
        "A request can be paid for {}. A terminal should claim within {}; later claims are marked late.",
        span(rules.request_window_s),
        span(rules.claim_window_s)
    ));
    answer.line(format!(
        "A payee that never comes back: {} after its last certificate the operator refunds the payer.",
        span(rules.grace_s)
    ));
    answer.line(if rules.share_headers {
        "Devices hand on headers of payments they took: a double spender is found sooner; a payer's steps can be linked."
    } else {
        "Devices hand on proofs and lists only, no headers: nobody's steps can be linked; a double spender is found at a sync."
    });
    answer.line("");
    answer.line("The most that a thief can take:");
    for limits in rules.limits.iter().filter(|limits| limits.grade.has_element()) {
        tell_theft(&mut answer, limits, &amount);
    }
    answer.line("");
    answer.line(bearer_words(rules));
    answer.json = json_of(rules);
    answer
}

fn tell_theft(answer: &mut Answer, limits: &Limits, amount: &dyn Fn(Amount) -> String) {
    let theft = theft(limits);
    let life = span(u32::from(limits.cert_lifetime_h).saturating_mul(3600));
    answer.line(format!("  {}", limits.grade.name()));
    answer.line(format!(
        "    with a stolen, unlocked phone and no PIN: {}; with the PIN: {}",
        amount(theft.without_pin),
        amount(theft.with_pin)
    ));
    answer.line(format!(
        "      the wallet stops by itself {} after its last sync, and a revoked one at once when it syncs",
        span(limits.offline_max_s)
    ));
    let copying = match limits.grade {
        Grade::Hardware => "with a copy of the wallet: the chip lets none be made",
        Grade::VirtualSeBound => {
            "with a copy of the wallet: the counter refuses it; if the counter was copied or broken too,"
        }
        _ => "with copies of the wallet, or an older one put back,",
    };
    if limits.grade == Grade::Hardware {
        answer.line(format!("    {copying}"));
    } else {
        answer.line(format!(
            "    {copying} shown to k payees who never meet: k times {}, each payee {} at most",
            amount(theft.per_copy),
            amount(theft.per_copy)
        ));
    }
    answer.line(format!(
        "    with the key taken out: {} leaves no proof{} (the certificate's ceiling)",
        amount(theft.key_without_proof),
        if limits.respend_percent > 0 {
            ", balance or not"
        } else {
            ", and no more than the balance at the last sync"
        }
    ));
    answer.line(format!(
        "      beyond that two payments overlap, and prove it wherever they meet; k payees who never meet: k times {}",
        amount(theft.key_without_proof)
    ));
    answer.line(format!("      until it is revoked and the list has come round, and for {life} at most, when the certificate ends"));
}

fn bearer_words(rules: &Rules) -> String {
    let fund = rules.loss_fund.as_str();
    let who = match rules.liability {
        Liability::PayerPsp => "the PSP that issued the cheating wallet",
        Liability::SchemeFund => "a fund of the whole scheme",
        Liability::PayeePsp => "the payee who took the payment, through its PSP",
    };
    format!("Who bears it: {who}, out of \"{fund}\". What a payee's wallet has accepted stays the payee's.")
}

fn limits_table(rules: &Rules) -> Vec<String> {
    let amount = |amount| format_amount(amount, rules.currency);
    let head = std::iter::once(String::new()).chain(rules.limits.iter().map(|l| l.grade.name().to_owned()));
    let mut rows: Vec<Vec<String>> = vec![head.collect()];
    let mut add = |name: &str, cell: &dyn Fn(&Limits) -> String| {
        rows.push(std::iter::once(name.to_owned()).chain(rules.limits.iter().map(cell)).collect());
    };
    let payer =
        |limits: &Limits, text: String| if limits.grade.has_element() { text } else { "-".to_owned() };
    add("largest balance", &|l| amount(l.balance_max));
    add("largest payment", &|l| payer(l, amount(l.payment_max)));
    add("largest payment without PIN", &|l| payer(l, amount(l.no_pin_max)));
    add("total without PIN", &|l| payer(l, amount(l.no_pin_total_max)));
    add("largest payment by the phone's lock", &|l| payer(l, platform_words(l, rules.currency)));
    add("total paid between syncs", &|l| payer(l, amount(l.sync_total_max)));
    add("payments between syncs", &|l| payer(l, l.sync_count_max.to_string()));
    add("total paid in a window", &|l| {
        payer(l, format!("{} in {}", amount(l.window_total_max), span(l.window_s)))
    });
    add("payments in a window", &|l| payer(l, l.window_count_max.to_string()));
    add("receipts between syncs", &|l| l.receipts_max.to_string());
    add("longest time offline", &|l| span(l.offline_max_s));
    add("received value spendable before a sync", &|l| payer(l, respend_words(l.respend_percent)));
    add("takes payments from", &|l| grades_words(l.payer_grades));
    add("certificate lasts", &|l| span(u32::from(l.cert_lifetime_h).saturating_mul(3600)));
    let right: Vec<usize> = (1..=rules.limits.len()).collect();
    table(&rows, &right)
}

fn respend_words(percent: u8) -> String {
    match percent {
        0 => "none (staged)".to_owned(),
        100.. => "all (fully offline)".to_owned(),
        percent => format!("{percent} % (intermittent)"),
    }
}

fn platform_words(limits: &Limits, currency: Currency) -> String {
    if limits.platform_auth_max.is_zero() {
        "never".to_owned()
    } else {
        format_amount(limits.platform_auth_max, currency)
    }
}

fn grades_words(bits: u8) -> String {
    let short = |grade: &Grade| match grade {
        Grade::Hardware => "hw",
        Grade::VirtualSeBound => "vse-bound",
        Grade::VirtualSe => "vse",
        Grade::Terminal => "terminal",
    };
    let named: Vec<&str> = Grade::ALL.iter().filter(|grade| bits & grade.bit() != 0).map(short).collect();
    if named.is_empty() { "nobody".to_owned() } else { named.join(", ") }
}

/// A set of rules for programs.
pub(crate) fn json_of(rules: &Rules) -> serde_json::Map<String, Value> {
    let money = |amount| money(Some(amount), rules.currency);
    let limits = |l: &Limits| {
        let theft = theft(l);
        let payer_grades: Vec<&str> = Grade::ALL
            .iter()
            .filter(|grade| l.payer_grades & grade.bit() != 0)
            .map(|grade| grade.name())
            .collect();
        let mut object = json!({
            "grade": l.grade.name(),
            "balance_max": money(l.balance_max),
            "payment_max": money(l.payment_max),
            "no_pin_max": money(l.no_pin_max),
            "no_pin_total_max": money(l.no_pin_total_max),
            "platform_auth_max": money(l.platform_auth_max),
            "sync_total_max": money(l.sync_total_max),
            "sync_count_max": l.sync_count_max,
            "window_s": l.window_s,
            "window_total_max": money(l.window_total_max),
            "window_count_max": l.window_count_max,
            "receipts_max": l.receipts_max,
            "offline_max_s": l.offline_max_s,
            "respend_percent": l.respend_percent,
            "payer_grades": payer_grades,
            "cert_lifetime_h": l.cert_lifetime_h,
        });
        if l.grade.has_element() {
            object["theft"] = json!({
                "without_pin": money(theft.without_pin),
                "with_pin": money(theft.with_pin),
                "per_copy_and_payee": (l.grade != Grade::Hardware).then(|| money(theft.per_copy)),
                "key_without_proof": money(theft.key_without_proof),
                "key_per_payee_with_proof": money(theft.key_without_proof),
                "stops_after_s": l.offline_max_s,
                "key_ends_after_s": u32::from(l.cert_lifetime_h).saturating_mul(3600),
            });
        }
        object
    };
    let liability = match rules.liability {
        Liability::PayerPsp => "payer-psp",
        Liability::SchemeFund => "scheme-fund",
        Liability::PayeePsp => "payee-psp",
    };
    let object = json!({
        "number": rules.number,
        "name": rules.name.as_str(),
        "currency": counterfoil_wallet::amounts::currency_code(rules.currency),
        "limits": rules.limits.iter().map(limits).collect::<Vec<_>>(),
        "request_window_s": rules.request_window_s,
        "claim_window_s": rules.claim_window_s,
        "grace_s": rules.grace_s,
        "share_headers": rules.share_headers,
        "tamper": rules.tamper.iter().map(|rule| json!({
            "tamper": rule.tamper.name(),
            "answer": rule.answer.name(),
        })).collect::<Vec<_>>(),
        "lowered_percent": rules.lowered_percent,
        "liability": liability,
        "loss_fund": rules.loss_fund.as_str(),
    });
    match object {
        Value::Object(map) => map,
        _ => serde_json::Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thief_is_bound_by_the_smallest_limit() {
        let rules = Preset::Permissive.rules();
        let mut limits = rules.limits(Grade::VirtualSe).unwrap().clone();
        let units = |units: u64| Amount::new(units * 100).unwrap();
        assert_eq!(theft(&limits).without_pin, units(150));
        assert_eq!(theft(&limits).with_pin, units(1000));
        limits.sync_count_max = 2;
        assert_eq!((theft(&limits).without_pin, theft(&limits).with_pin), (units(100), units(500)));
        limits.balance_max = units(30);
        assert_eq!((theft(&limits).without_pin, theft(&limits).with_pin), (units(30), units(30)));
        assert_eq!(
            theft(&limits).key_without_proof,
            units(1000),
            "a key in the thief's own program knows no balance"
        );
    }

    #[test]
    fn every_preset_is_explained_and_changing_a_limit_changes_the_words() {
        for preset in Preset::ALL {
            let mut rules = preset.rules();
            let before = explain(&rules).lines.join("\n");
            assert!(before.contains("Who bears it"));
            rules.limits[0].no_pin_total_max = Amount::new(123).unwrap();
            let after = explain(&rules).lines.join("\n");
            assert!(after.contains("no PIN: 1.23"), "{after}");
        }
    }
}
