//! What one wallet holds, added up from the ledger, and what is still awaited.
//!
//! `funded - defunded - paid + received - in flight + made good - returned = unspent`, where *made good* is what others
//! paid for what it never had, less what it gave back. The sum is the wallet's ledger account; an audit compares that
//! with the wallet's row.

use counterfoil_wire::element::Tamper;
use counterfoil_wire::rules::Rules;
use counterfoil_wire::sync::Standing;
use counterfoil_wire::{Amount, Digest, KeyId};
use serde::Serialize;

use super::closing::{due_s, is_due};
use super::ledger::{Account, Kind, Posting};
use super::reconcile::Move;
use super::record::{Record, bit};
use super::wallet::Wallet;

/// What the store knows of one wallet.
#[derive(Debug, Clone)]
pub struct Rows {
    /// Its row.
    pub wallet: Wallet,
    /// Ledger rows that touch its account.
    pub postings: Vec<Posting>,
    /// Payments that it sent and that came to rest nowhere, and the end of their payee's newest certificate.
    pub outgoing: Vec<(Record, u32)>,
    /// Payments to it that came to rest nowhere.
    pub incoming: Vec<Record>,
    /// Fund orders without an answer from the rail.
    pub orders: Vec<(u32, Amount)>,
    /// Rail transfers that were ordered for it and not made.
    pub moves: Vec<Move>,
}

/// What is still to come for a wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Awaiting {
    /// Claims of payees that nobody has shown yet; how much is not known.
    Claims,
    /// The payee's half of a payment that the wallet sent. It comes back afterwards.
    Payee,
    /// The wallet's own half of a payment to it, or its receipt. The payer has it back afterwards.
    Receipt,
    /// The rail's answer to a fund order.
    FundOrder,
    /// The rail, which has not made a transfer that was ordered.
    Transfer,
}

impl Awaiting {
    /// What it is, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Claims => "payees may claim what it paid",
            Self::Payee => "the payee's half of a payment that it sent",
            Self::Receipt => "the receipt of a payment to it",
            Self::FundOrder => "the rail's answer to a fund order",
            Self::Transfer => "the rail, to make a transfer",
        }
    }
}

/// One thing that is awaited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Awaited {
    /// What.
    pub what: Awaiting,
    /// Which: a payment's identifier in hex, an order's number, a transfer's id.
    pub name: Option<String>,
    /// Minor units, where they are known.
    pub amount: Option<u64>,
    /// Until when, seconds since 1970, where there is an end.
    pub until_s: Option<u32>,
}

/// The arithmetic of one wallet. Amounts are in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Holding {
    /// Key id, in hex.
    pub key_id: String,
    /// Its PSP.
    pub psp: String,
    /// The account behind it, as the PSP names it.
    pub account: String,
    /// Protection of its key.
    pub grade: &'static str,
    /// SHA-256 of the image that it was enrolled in, in hex; absent for one that runs natively.
    pub image: Option<String>,
    /// Version of that image.
    pub image_version: Option<u32>,
    /// What keeps an older copy of its state from being put back, as it was enrolled.
    pub counter: &'static str,
    /// What spoke for that.
    pub evidence: &'static str,
    /// The last tampering that it reported.
    pub tamper: Option<&'static str>,
    /// When it did, seconds since 1970.
    pub tamper_at_s: Option<u32>,
    /// Whether it may spend the lowered part of its limits alone.
    pub lowered: bool,
    /// Whether it may not go on.
    pub suspended: bool,
    /// Whether its key is to be on the revocation list.
    pub revoked: bool,
    /// When its PSP closed it, seconds since 1970.
    pub closed_at_s: Option<u32>,
    /// From when on what a closed wallet has not spent is returned, seconds since 1970.
    pub due_s: Option<u32>,
    /// Whether that time has come.
    pub due: bool,
    /// Fund orders granted.
    #[schema(value_type = i64)]
    pub funded: i128,
    /// Defundings, and takings paid out.
    #[schema(value_type = i64)]
    pub defunded: i128,
    /// Payments that payees have.
    #[schema(value_type = i64)]
    pub paid: i128,
    /// Payments that it has.
    #[schema(value_type = i64)]
    pub received: i128,
    /// Payments that it sent and that nobody has yet.
    #[schema(value_type = i64)]
    pub in_flight: i128,
    /// What others paid for what it never had or no longer had, less what it gave back of that.
    #[schema(value_type = i64)]
    pub made_good: i128,
    /// Who paid, or would.
    pub borne_by: Option<String>,
    /// Returned since it was closed.
    #[schema(value_type = i64)]
    pub returned: i128,
    /// What it holds as far as evidence says.
    #[schema(value_type = i64)]
    pub unspent: i128,
    /// What is still to come.
    pub awaited: Vec<Awaited>,
}

/// Adds up what `rows` say.
pub fn holding(rows: &Rows, rules: &Rules, now_s: u32) -> Holding {
    let wallet = &rows.wallet;
    let own = Account::Offline(wallet.id);
    let of = |kind: Kind| -> i128 {
        let of_kind = rows.postings.iter().filter(|posting| posting.kind == kind);
        of_kind.map(|posting| signed(posting, own)).sum()
    };
    let in_flight: i128 = rows
        .outgoing
        .iter()
        .filter(|(record, _)| record.in_flight())
        .map(|(record, _)| minor(record.amount))
        .sum();
    let closed = wallet.is_closed();
    let measured = wallet.element.image != Digest::NONE;
    Holding {
        key_id: wallet.id.to_string(),
        psp: wallet.psp.clone(),
        account: wallet.account.clone(),
        grade: wallet.grade.name(),
        image: measured.then(|| wallet.element.image.to_string()),
        image_version: measured.then_some(wallet.element.image_version),
        counter: wallet.element.counter.name(),
        evidence: wallet.element.evidence.name(),
        tamper: wallet.tamper.map(Tamper::name),
        tamper_at_s: wallet.tamper.map(|_| wallet.tamper_at_s),
        lowered: wallet.lowered,
        suspended: wallet.standing == Standing::Suspended,
        revoked: wallet.revoked,
        closed_at_s: closed.then_some(wallet.closed_at_s),
        due_s: closed.then(|| due_s(wallet, rules)),
        due: is_due(wallet, rules, now_s),
        funded: of(Kind::Fund),
        defunded: -of(Kind::Defund) - of(Kind::PayOut),
        paid: -of(Kind::Send) - of(Kind::Return) - in_flight,
        received: of(Kind::Receive) + of(Kind::Reverse),
        in_flight,
        made_good: of(Kind::Loss) + of(Kind::Recovery),
        borne_by: wallet.liable.clone(),
        returned: -of(Kind::CloseOut),
        unspent: rows.postings.iter().map(|posting| signed(posting, own)).sum(),
        awaited: awaited(rows, rules, now_s),
    }
}

/// What a posting does to an account's balance.
fn signed(posting: &Posting, account: Account) -> i128 {
    let amount = minor(posting.amount);
    let credit = if posting.credit == account { amount } else { 0 };
    if posting.debit == account { credit - amount } else { credit }
}

fn minor(amount: Amount) -> i128 {
    i128::from(amount.minor())
}

fn awaited(rows: &Rows, rules: &Rules, now_s: u32) -> Vec<Awaited> {
    let wallet = &rows.wallet;
    let mut awaited = Vec::new();
    let can_pay = wallet.grade.has_element();
    if wallet.is_closed() && can_pay && !is_due(wallet, rules, now_s) {
        let until_s = Some(due_s(wallet, rules));
        awaited.push(Awaited { what: Awaiting::Claims, name: None, amount: None, until_s });
    }
    // As long as the operator does not give the payee's key up.
    let patience_s = |record: &Record, payee_until_s: u32| {
        payee_until_s.max(record.payer_until_s).saturating_add(rules.grace_s)
    };
    let payment = |what, record: &Record, payee_until_s| Awaited {
        what,
        name: Some(record.id.to_string()),
        amount: Some(record.amount.minor()),
        until_s: Some(patience_s(record, payee_until_s)),
    };
    for (record, payee_until_s) in rows.outgoing.iter().filter(|(record, _)| record.in_flight()) {
        awaited.push(payment(Awaiting::Payee, record, *payee_until_s));
    }
    for record in rows.incoming.iter().filter(|record| record.in_flight() && !record.has(bit::DECLINED)) {
        awaited.push(payment(Awaiting::Receipt, record, wallet.cert_until_s));
    }
    for (number, amount) in &rows.orders {
        let name = Some(number.to_string());
        let amount = Some(amount.minor());
        awaited.push(Awaited { what: Awaiting::FundOrder, name, amount, until_s: None });
    }
    for order in &rows.moves {
        let (name, amount) = (Some(order.id.clone()), Some(order.amount.minor()));
        awaited.push(Awaited { what: Awaiting::Transfer, name, amount, until_s: None });
    }
    awaited
}

/// Whether a rail transfer was ordered for the wallet with this key.
pub fn is_move_of(order: &Move, key: &KeyId) -> bool {
    order.id.split(':').nth(1) == Some(key.to_string().as_str())
}
