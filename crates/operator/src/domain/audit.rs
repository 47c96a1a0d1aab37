//! Whether the books add up: balances recomputed from the ledger's rows, against the rows about wallets and payments,
//! and against the rail.

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_rail::{Account as RailAccount, Snapshot};
use counterfoil_wire::{Digest, KeyId};
use serde::Serialize;

use super::bucket;
use super::ledger::{Account, Books, Kind, Posting};
use super::reason::{Owner, Reason};
use super::reconcile::Move;
use super::record::{Record, bit};
use super::wallet::Wallet;

/// Everything that an audit looks at, at one moment.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    /// Every wallet.
    pub wallets: Vec<Wallet>,
    /// Every payment, without its evidence.
    pub records: Vec<Record>,
    /// Payments that are listed as open.
    pub open: BTreeSet<Digest>,
    /// Payments that are listed as in conflict.
    pub forked: BTreeSet<Digest>,
    /// Every ledger row.
    pub postings: Vec<Posting>,
    /// Rail transfers that were ordered and not made.
    pub pending_moves: Vec<Move>,
    /// Amounts of fund orders without an answer from the rail.
    pub pending_orders: Vec<u64>,
    /// Cases, by key and reason.
    pub cases: Vec<(KeyId, Reason)>,
}

/// A wallet that misbehaved, or looks as if it did.
#[derive(Debug, Clone, Serialize)]
pub struct CaseReport {
    /// Key id, in hex.
    pub key_id: String,
    /// Its PSP.
    pub psp: String,
    /// What it did.
    pub reason: Reason,
    /// Whether its key is revoked.
    pub revoked: bool,
    /// What somebody paid for it, minor units.
    pub loss: u64,
    /// Who paid.
    pub borne_by: Option<String>,
}

/// How many items ended with a reason.
#[derive(Debug, Clone, Serialize)]
pub struct ReasonCount {
    /// The reason.
    pub reason: Reason,
    /// Who has to act.
    pub owner: Owner,
    /// Number of items: payments, and cases that are about a wallet.
    pub count: u64,
    /// Minor units of the payments.
    pub amount: u64,
}

/// What an audit found. Amounts are in minor units.
#[derive(Debug, Clone, Serialize)]
pub struct AuditReport {
    /// Whether every invariant holds.
    pub sound: bool,
    /// What does not hold, in words.
    pub broken: Vec<String>,
    /// Granted fund orders.
    pub funded: i128,
    /// Defundings, takings paid out, and what closed wallets had not spent.
    pub defunded: i128,
    /// The part of it that came from closed wallets.
    pub closed_out: i128,
    /// What fraud created and somebody paid for, less what was recovered.
    pub loss: i128,
    /// What wallets hold, as far as evidence says.
    pub offline: i128,
    /// What is on its way.
    pub in_flight: i128,
    /// What the scheme holds on the rail.
    pub float_on_rail: Option<u64>,
    /// All accounts of the rail.
    pub rail_total: u64,
    /// What they were opened with.
    pub rail_opened: u64,
    /// Rail transfers that were ordered and not made.
    pub pending_transfers: u64,
    /// Wallets and terminals.
    pub wallets: u64,
    /// Payments.
    pub payments: u64,
    /// Payments and cases by reason.
    pub reasons: Vec<ReasonCount>,
    /// Wallets that misbehaved.
    pub cases: Vec<CaseReport>,
}

/// Audits one moment of the operator and of the rail.
pub fn audit(scan: &Scan, rail: &Snapshot) -> AuditReport {
    let mut books = Books::default();
    scan.postings.iter().for_each(|posting| books.post(posting));
    let of = |kind: Kind| -> i128 {
        let of_kind = scan.postings.iter().filter(|posting| posting.kind == kind);
        of_kind.map(|posting| i128::from(posting.amount.minor())).sum()
    };
    let funded = of(Kind::Fund);
    let closed_out = of(Kind::CloseOut);
    let defunded = of(Kind::Defund) + of(Kind::PayOut) + closed_out;
    let loss = of(Kind::Loss) + of(Kind::Cover) - of(Kind::Recovery);
    let mut broken = rail.broken.clone();
    let mut claim = |holds: bool, what: &dyn Fn() -> String| {
        if !holds {
            broken.push(what());
        }
    };
    let (offline, in_flight) = (books.offline(), books.in_flight());
    claim(funded - defunded + loss == offline + in_flight, &|| {
        format!(
            "funded {funded} - defunded {defunded} + loss {loss} is not offline {offline} + in flight {in_flight}"
        )
    });
    claim(books.loss() == loss && books.net_funded() == funded - defunded, &|| {
        "postings of a kind touch accounts that the kind does not".to_owned()
    });
    check_buckets(scan, &mut claim);
    check_wallets(scan, &books, &mut claim);
    check_closed(scan, &mut claim);
    check_records(scan, &books, &mut claim);
    let float = rail.balance(&RailAccount::float());
    check_rail(scan, float, funded - defunded + loss, &mut claim);
    AuditReport {
        sound: broken.is_empty(),
        broken,
        funded,
        defunded,
        closed_out,
        loss,
        offline,
        in_flight,
        float_on_rail: float,
        rail_total: rail.total,
        rail_opened: rail.opened,
        pending_transfers: scan.pending_moves.len() as u64,
        wallets: scan.wallets.len() as u64,
        payments: scan.records.len() as u64,
        reasons: reasons(scan),
        cases: cases(scan),
    }
}

type Claim<'a> = dyn FnMut(bool, &dyn Fn() -> String) + 'a;

/// Each bucket by itself: what came in and went out by its own rows is what its wallets hold by all rows.
fn check_buckets(scan: &Scan, claim: &mut Claim<'_>) {
    let mut own: BTreeMap<u16, i128> = BTreeMap::new();
    let mut held: BTreeMap<u16, i128> = BTreeMap::new();
    for posting in &scan.postings {
        let amount = i128::from(posting.amount.minor());
        for (account, change) in [(posting.debit, -amount), (posting.credit, amount)] {
            if let Account::Offline(key) = account {
                *own.entry(bucket(&posting.wallet)).or_default() += change;
                *held.entry(bucket(&key)).or_default() += change;
            }
        }
    }
    for bucket in 0..super::BUCKETS {
        let (own, held) =
            (own.get(&bucket).copied().unwrap_or_default(), held.get(&bucket).copied().unwrap_or_default());
        claim(own == held, &|| format!("bucket {bucket}: its rows moved {own}, its wallets hold {held}"));
    }
}

fn check_wallets(scan: &Scan, books: &Books, claim: &mut Claim<'_>) {
    // What was debited on a payee's word alone: the payer's own receipts, which may cover it, are yet to come.
    let mut ahead: BTreeMap<KeyId, i128> = BTreeMap::new();
    for record in scan.records.iter().filter(|record| record.has(bit::DEBITED) && !record.has(bit::PAYER)) {
        *ahead.entry(record.payer).or_default() += i128::from(record.amount.minor());
    }
    let mut known = BTreeSet::new();
    for wallet in &scan.wallets {
        let (ledger, id) = (books.balance(&Account::Offline(wallet.id)), wallet.id);
        known.insert(id);
        claim(ledger == i128::from(wallet.shadow), &|| {
            format!("wallet {id}: the ledger holds {ledger}, its row says {}", wallet.shadow)
        });
        let answers = wallet.revoked && !(wallet.is_closed() && wallet.liable.is_none());
        let ahead = if answers { 0 } else { ahead.get(&id).copied().unwrap_or_default() };
        claim(ledger + ahead >= 0, &|| format!("wallet {id}: its balance is {ledger}"));
    }
    for (account, balance) in &books.balances {
        if let Account::Offline(id) = account {
            claim(known.contains(id), &|| format!("nobody's wallet {id} holds {balance}"));
        }
    }
}

/// What was returned of closed wallets, by their rows and by the ledger's; and a closed wallet can go on in no way.
fn check_closed(scan: &Scan, claim: &mut Claim<'_>) {
    let mut returned: BTreeMap<Account, (u64, u32)> = BTreeMap::new();
    for posting in scan.postings.iter().filter(|posting| posting.kind == Kind::CloseOut) {
        let (sum, count) = returned.entry(posting.debit).or_default();
        *sum = sum.saturating_add(posting.amount.minor());
        *count = count.saturating_add(1);
    }
    for wallet in &scan.wallets {
        let id = wallet.id;
        let ledger = returned.remove(&Account::Offline(id)).unwrap_or_default();
        let row = (wallet.closed_out.minor(), wallet.closed_out_no);
        claim(ledger == row, &|| {
            format!("wallet {id}: the ledger returned {ledger:?} since it was closed, its row says {row:?}")
        });
        claim(!wallet.is_closed() || (wallet.revoked && !wallet.is_good()), &|| {
            format!("wallet {id}: it is closed and may go on")
        });
        claim(wallet.is_closed() || row.1 == 0, &|| {
            format!("wallet {id}: it is open and was paid out as closed")
        });
    }
    claim(returned.is_empty(), &|| {
        "the ledger returned the balance of wallets that are not there".to_owned()
    });
}

fn check_records(scan: &Scan, books: &Books, claim: &mut Claim<'_>) {
    let mut posted: BTreeMap<(Kind, [u8; 32]), u64> = BTreeMap::new();
    for posting in &scan.postings {
        posted.insert((posting.kind, posting.reference.0), posting.amount.minor());
    }
    let kinds = [
        (bit::DEBITED, Kind::Send),
        (bit::CREDITED, Kind::Receive),
        (bit::RETURNED, Kind::Return),
        (bit::COVERED, Kind::Cover),
        (bit::REVERSED, Kind::Reverse),
    ];
    let (mut in_flight, mut of_payments) = (0i128, 0usize);
    for record in &scan.records {
        let id = record.id;
        for (bit, kind) in kinds {
            let row = posted.get(&(kind, id.0)).copied();
            let due = record.has(bit).then(|| record.amount.minor());
            of_payments += usize::from(row.is_some());
            claim(row == due, &|| format!("payment {id}: {kind:?} is posted as {row:?}, due is {due:?}"));
        }
        let both = record.is_taken() && record.has(bit::RETURNED) && !record.has(bit::COVERED);
        claim(!both, &|| format!("payment {id}: it is at the payee and back at the payer"));
        claim(record.has(bit::DEBITED) || !record.has(bit::CREDITED | bit::RETURNED), &|| {
            format!("payment {id}: it arrived and never left")
        });
        claim(scan.open.contains(&id) == record.is_open(), &|| {
            format!("payment {id}: it is not listed as it is, open or at rest")
        });
        claim(scan.forked.contains(&id) == record.has(bit::FORKED), &|| {
            format!("payment {id}: it is not listed as it is, in conflict or not")
        });
        if record.in_flight() {
            in_flight += i128::from(record.amount.minor());
        }
    }
    let about_payments =
        scan.postings.iter().filter(|posting| kinds.iter().any(|(_, kind)| *kind == posting.kind)).count();
    claim(of_payments == about_payments, &|| {
        "the ledger speaks of payments that are not recorded".to_owned()
    });
    let ledger = books.in_flight();
    claim(ledger == in_flight, &|| {
        format!("in flight: the ledger says {ledger}, the payments say {in_flight}")
    });
}

/// The float on the rail is what the ledger says, but for transfers that are on order: those must account for all of
/// the difference. Of a fund order without an answer the money may have moved or not.
fn check_rail(scan: &Scan, float: Option<u64>, due: i128, claim: &mut Claim<'_>) {
    let float = float.map(i128::from).unwrap_or_default();
    let mut settled = float;
    for pending in &scan.pending_moves {
        let amount = i128::from(pending.amount.minor());
        settled += if pending.to == RailAccount::float() { amount } else { -amount };
    }
    let undecided: i128 = scan.pending_orders.iter().map(|minor| i128::from(*minor)).sum();
    claim((due..=due + undecided).contains(&settled), &|| {
        format!("the rail's float is {float} ({settled} with transfers on order), the ledger says {due}")
    });
}

fn reasons(scan: &Scan) -> Vec<ReasonCount> {
    let mut counts: BTreeMap<Reason, (u64, u64)> = BTreeMap::new();
    for record in &scan.records {
        let (count, amount) = counts.entry(record.reason()).or_default();
        *count += 1;
        *amount = amount.saturating_add(record.amount.minor());
    }
    for (_, reason) in scan
        .cases
        .iter()
        .filter(|(_, reason)| matches!(reason, Reason::RolledBack | Reason::Gap | Reason::Overspent))
    {
        counts.entry(*reason).or_default().0 += 1;
    }
    let count = |(reason, (count, amount)): (Reason, (u64, u64))| ReasonCount {
        reason,
        owner: reason.owner(),
        count,
        amount,
    };
    counts.into_iter().map(count).collect()
}

fn cases(scan: &Scan) -> Vec<CaseReport> {
    let wallets: BTreeMap<KeyId, &Wallet> = scan.wallets.iter().map(|wallet| (wallet.id, wallet)).collect();
    let report = |(key, reason): &(KeyId, Reason)| {
        let wallet = wallets.get(key)?;
        Some(CaseReport {
            key_id: key.to_string(),
            psp: wallet.psp.clone(),
            reason: *reason,
            revoked: wallet.revoked,
            loss: wallet.loss,
            borne_by: (wallet.loss > 0).then(|| wallet.liable.clone()).flatten(),
        })
    };
    scan.cases.iter().filter_map(report).collect()
}
