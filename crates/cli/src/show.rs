//! What a holder sees of a wallet or terminal.

use anyhow::Result;
use counterfoil_wallet::amounts::format_amount;
use counterfoil_wallet::{
    CounterKind, Freshness, Headroom, Kind, Overview, PaymentState, Wallet, WalletError, headroom,
};
use counterfoil_wire::element::Tamper;
use counterfoil_wire::rules::Rules;
use counterfoil_wire::sync::Standing;
use counterfoil_wire::{Amount, Code, Currency};
use serde_json::{Value, json};

use crate::output::{Answer, Output, table};
use crate::time::{now_s, utc};
use crate::words;

pub(crate) fn run(wallet: &mut Wallet, output: &Output) -> Result<u8> {
    // A wallet that cannot go on can still be looked at.
    let finishing = wallet.finish_interrupted();
    let overview = wallet.overview()?;
    let Some(cert) = &overview.cert else {
        return Err(WalletError::Refused(Code::NotEnrolled.into()).into());
    };
    let currency = cert.currency;
    let rules = wallet.rules()?;
    let mut answer = Answer::default();
    let finished = wallet.take_finished();
    words::tell_finished(&mut answer, &finished, currency);
    if let Err(error) = finishing {
        answer.line(output.warn(&format!("an interrupted operation could not be finished: {error}")));
    }
    let is_stale = wallet.freshness() == Freshness::Stale;
    let kind = wallet.settings().kind;
    let view = View { overview: &overview, rules: rules.as_ref(), currency, kind, is_stale };
    view.tell(&mut answer, output);
    if overview.standing == Standing::Suspended {
        answer.line(output.warn(&format!("error {}: {}", Code::Suspended.number(), Code::Suspended.what())));
        answer.line(format!("next: {}", Code::Suspended.next()));
    }
    if let Some(tamper) = overview.tamper {
        let number = Code::Deactivated.number();
        answer.line(output.warn(&format!("error {number}: {}", words::deactivated(tamper))));
        answer.line(format!("next: {}", Code::Deactivated.next()));
    }
    if is_stale {
        answer.line(output.warn(&format!(
            "error {}: {}",
            Code::StaleState.number(),
            Code::StaleState.what()
        )));
        answer.line(format!("next: {}", Code::StaleState.next()));
    }
    answer.line(protection(wallet));
    view.json(&mut answer, wallet);
    let exit = output.answer(&answer);
    wallet.acknowledge();
    Ok(exit)
}

struct View<'a> {
    overview: &'a Overview,
    rules: Option<&'a Rules>,
    currency: Currency,
    kind: Kind,
    is_stale: bool,
}

impl View<'_> {
    fn amount(&self, amount: Amount) -> String {
        format_amount(amount, self.currency)
    }

    fn balance(&self) -> Amount {
        self.overview.funded.plus(self.overview.received).unwrap_or(Amount::MAX)
    }

    fn headroom(&self) -> Option<Headroom> {
        // The trusted application of an older copy refuses whatever is asked.
        if self.is_stale {
            return Some(Headroom { amount: Amount::ZERO, limit: Code::StaleState });
        }
        self.rules.and_then(|rules| headroom(self.overview, rules, now_s()))
    }

    fn tell(&self, answer: &mut Answer, output: &Output) {
        let overview = self.overview;
        let mut rows = vec![row("balance", output.strong(&self.amount(self.balance())))];
        if !overview.received.is_zero() {
            let (funded, received) = (self.amount(overview.funded), self.amount(overview.received));
            rows.push(row("", format!("{funded} settled, {received} received since the last sync")));
        }
        if self.kind == Kind::Wallet {
            rows.push(row("spendable", self.amount(overview.spendable)));
            if let Some(Headroom { amount, limit }) = self.headroom() {
                let amount = self.amount(amount);
                let words = match limit {
                    Code::StaleState => format!("{amount}: this is an older copy ({})", limit.number()),
                    Code::Suspended => format!("{amount}: {} ({})", limit.what(), limit.number()),
                    Code::Deactivated => format!("{amount}: deactivated ({})", limit.number()),
                    limit => format!("{amount}, limited by {}", limit_words(limit)),
                };
                rows.push(row("can pay now", words));
            }
        }
        let name = overview.cert.as_ref().map(|cert| cert.name.as_str()).unwrap_or_default();
        if !name.is_empty() {
            rows.push(row("name", name.to_owned()));
        }
        rows.push(row("last sync", utc(overview.synced_at_s)));
        if let Some(cert) = &overview.cert {
            rows.push(row(
                "certificate",
                format!("{}, ends {}", overview.grade.name(), utc(cert.not_after_s())),
            ));
        }
        let limits = self.rules.and_then(|rules| rules.limits(overview.grade));
        if self.kind == Kind::Wallet {
            let free = limits.map(|limits| limits.no_pin_max);
            let above = free.map_or_else(
                || "larger payments".to_owned(),
                |free| format!("payments above {}", self.amount(free)),
            );
            rows.push(row(
                "PIN",
                match overview.pin_tries {
                    None => format!("none, so no {above}"),
                    Some(0) => output.warn("blocked: ask the PSP to unblock it, then sync"),
                    Some(3) => format!("for {above}"),
                    Some(tries) => output.warn(&format!("for {above}; {tries} tries left")),
                },
            ));
        }
        if overview.platform.is_some() {
            let up_to = limits.map_or_else(String::new, |limits| {
                format!(" for payments up to {}", self.amount(limits.platform_auth_max))
            });
            rows.push(row("device lock", format!("stands for the PIN{up_to}")));
        }
        answer.lines.extend(table(&rows, &[]));
        self.tell_payments(answer);
        self.tell_requests(answer);
        for reason in self.needs_sync() {
            answer.line(format!("a sync is needed for: {reason}"));
        }
    }

    fn tell_payments(&self, answer: &mut Answer) {
        let states: &[PaymentState] = if self.kind == Kind::Wallet {
            &[PaymentState::Sent, PaymentState::Confirmed, PaymentState::Unresolved]
        } else {
            &[]
        };
        let mut rows = vec![cells(["payments", "count", "total"])];
        for state in PaymentState::ALL {
            let (count, total) = self.total(*state);
            if count > 0 || states.contains(state) {
                rows.push(cells([state.name(), &count.to_string(), &self.amount(total)]));
            }
        }
        if rows.len() > 1 {
            answer.line("");
            answer.lines.extend(table(&rows, &[1, 2]));
        }
        let listed: Vec<Vec<String>> = self
            .overview
            .payments
            .iter()
            .map(|payment| {
                let toward = if sent(payment.state) { "to" } else { "from" };
                let peer = format!("{toward} {}", words::peer(&payment.peer_name, &payment.peer));
                let id: String = payment.id.to_string().chars().take(16).collect();
                vec![payment.state.name().to_owned(), self.amount(payment.amount), peer, id]
            })
            .collect();
        if !listed.is_empty() {
            answer.line("");
            answer.lines.extend(table(&listed, &[1]));
        }
        if self.total(PaymentState::Sent).0 > 0 {
            answer.line(
                "sent: debited here, no receipt yet. Show the same payment to the payee again (`counterfoil wallet resend ID --out FILE` \
                 gives it once more), or sync",
            );
        }
        if self.total(PaymentState::Unresolved).0 > 0 {
            answer.line(
                "unresolved: the operator decides, after both sides have synced. Until then treat it as paid",
            );
        }
    }

    fn tell_requests(&self, answer: &mut Answer) {
        if self.overview.requests.is_empty() {
            return;
        }
        let mut rows = vec![cells(["open requests", "amount", "until"])];
        for request in &self.overview.requests {
            let amount = request.amount.map_or("any".to_owned(), |amount| self.amount(amount));
            let (number, until) = match request.expiry_s {
                0 => ("standing".to_owned(), "for ever".to_owned()),
                expiry_s => (request.number.to_string(), utc(expiry_s)),
            };
            rows.push(vec![number, amount, until]);
        }
        answer.line("");
        answer.lines.extend(table(&rows, &[1]));
    }

    fn total(&self, state: PaymentState) -> (usize, Amount) {
        let of_state = self.overview.payments.iter().filter(|payment| payment.state == state);
        of_state.fold((0, Amount::ZERO), |(count, total), payment| {
            (count + 1, total.plus(payment.amount).unwrap_or(Amount::MAX))
        })
    }

    fn needs_sync(&self) -> Vec<String> {
        let overview = self.overview;
        let mut reasons = Vec::new();
        if let Some(order) = overview.order {
            reasons.push(format!("the fund order of {} that is open", self.amount(order)));
        }
        if !overview.defunding.is_zero() {
            reasons.push(format!("{} on its way to the account", self.amount(overview.defunding)));
        }
        if overview.statement_pending {
            reasons.push("a statement that has not been answered".to_owned());
        }
        if self.total(PaymentState::Unresolved).0 > 0 {
            reasons.push("the unresolved payments".to_owned());
        }
        if !overview.received.is_zero() {
            let what = if self.kind == Kind::Terminal { "to be paid out" } else { "to be settled" };
            reasons.push(format!("{} received, {what}", self.amount(overview.received)));
        }
        if let Some(Headroom { amount, limit }) = self.headroom()
            && amount < self.balance()
            && limit.next().contains("sync")
        {
            reasons.push(format!("paying more than {}", self.amount(amount)));
        }
        reasons
    }

    fn json(&self, answer: &mut Answer, wallet: &Wallet) {
        let overview = self.overview;
        let money = |amount| words::money(Some(amount), self.currency);
        let settings = wallet.settings();
        answer.set("kind", self.kind.name());
        answer
            .set("key", hex::encode(overview.key.as_bytes()))
            .set("algorithm", overview.key.algorithm().name());
        answer.set("name", settings.name.clone()).set("grade", overview.grade.name());
        answer.set("operator", settings.operator_url.clone()).set("psp", settings.psp.clone());
        answer
            .set("scheme", overview.root.name.as_str())
            .set("root_fingerprint", settings.root_fingerprint.clone());
        answer.set("balance", money(self.balance())).set("funded", money(overview.funded));
        answer.set("received", money(overview.received)).set("spendable", money(overview.spendable));
        let headroom = self.headroom().map(|headroom| {
            json!({ "amount": money(headroom.amount), "limit": headroom.limit.number(), "limit_name": headroom.limit.name() })
        });
        answer.set("can_pay_now", headroom.unwrap_or(Value::Null));
        answer.set("fund_order", words::money(overview.order, self.currency));
        answer
            .set("defunding", money(overview.defunding))
            .set("standing", words::standing_name(overview.standing));
        answer.set("synced_at", utc(overview.synced_at_s)).set("time_bound", utc(overview.time_bound_s));
        let ends = overview.cert.as_ref().map(|cert| utc(cert.not_after_s()));
        answer.set("certificate_ends", ends).set("pin_tries", overview.pin_tries);
        answer.set("device_lock", overview.platform.map(|key| hex::encode(key.as_bytes())));
        answer.set("tamper", overview.tamper.map(Tamper::name));
        answer.set("since_sync", json!({
            "paid": money(overview.sync_total), "payments": overview.sync_count, "receipts": overview.receipts_count,
        }));
        answer.set("journal_len", overview.journal_len).set("statement_pending", overview.statement_pending);
        answer.set("rules_no", overview.rules_no).set("trust_no", overview.trust_no);
        answer.set("revocation_no", overview.revocation_no);
        let states: serde_json::Map<String, Value> = PaymentState::ALL
            .iter()
            .map(|state| {
                let (count, total) = self.total(*state);
                (state.name().to_owned(), json!({ "count": count, "total": money(total) }))
            })
            .collect();
        answer.set("states", states);
        let payments: Vec<Value> = overview.payments.iter().map(|payment| json!({
            "payment": payment.id.to_string(),
            "state": payment.state.name(),
            "amount": money(payment.amount),
            "peer": { "key": hex::encode(payment.peer.as_bytes()), "name": payment.peer_name.as_str() },
            "seq": payment.seq,
        })).collect();
        answer.set("payments", payments);
        let requests: Vec<Value> = overview
            .requests
            .iter()
            .map(|request| {
                json!({
                    "request_no": request.number,
                    "amount": words::money(request.amount, self.currency),
                    "expires": (request.expiry_s != 0).then(|| utc(request.expiry_s)),
                })
            })
            .collect();
        answer.set("requests", requests);
        let cheats: Vec<String> = overview.cheats.iter().map(|key| hex::encode(key.as_bytes())).collect();
        answer.set("cheats", cheats).set("needs_sync", self.needs_sync());
        answer.set(
            "freshness",
            match wallet.freshness() {
                Freshness::Proven => "proven",
                Freshness::Unprovable => "unprovable",
                Freshness::Stale => "stale",
            },
        );
        answer.set("isolated", wallet.image().is_some());
        answer.set("image_version", wallet.image().map(|image| image.version));
        answer.set("image", wallet.image().map(|image| image.hash.to_string()));
    }
}

/// What protects the wallet on this device, without flattery.
fn protection(wallet: &Wallet) -> String {
    let rollback = match wallet.counter_kind() {
        CounterKind::None => "an older copy is found out by others, not by this device",
        CounterKind::File => "an older copy is refused, as long as the device folder was not copied with it",
        CounterKind::Tpm => "an older copy is refused, by a counter in the TPM",
        CounterKind::Platform => "an older copy is refused, by a counter that the platform keeps",
        CounterKind::Chip | CounterKind::Simulated => "an older copy is refused",
    };
    let isolated = match wallet.image() {
        Some(image) => format!("in the virtual secure element, version {} of the application", image.version),
        None => "not isolated from this process".to_owned(),
    };
    format!("protection: sealed by the device's key, {isolated}; {rollback}")
}

fn row(name: &str, value: String) -> Vec<String> {
    vec![name.to_owned(), value]
}

fn cells<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.into_iter().map(str::to_owned).collect()
}

pub(crate) const fn sent(state: PaymentState) -> bool {
    !matches!(state, PaymentState::Accepted | PaymentState::Declined)
}

/// The limit that a larger payment would meet, as the end of a sentence.
fn limit_words(limit: Code) -> &'static str {
    match limit {
        Code::InsufficientFunds => "the balance",
        Code::PaymentTooLarge => "the largest payment",
        Code::RespendShare => "how much of received value may be spent before a sync",
        Code::TotalSinceSync => "the total of payments since the last sync",
        Code::CountSinceSync => "the count of payments since the last sync",
        Code::CeilingReached => "the certificate's ceiling on spending",
        Code::OfflineTooLong => "the time since the last sync",
        Code::OwnCertificateExpired => "the certificate, which has expired",
        Code::TerminalCannotPay => "being a terminal",
        other => other.what(),
    }
}
