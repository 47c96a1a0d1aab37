//! Whether the books add up: balances recomputed from the ledger's rows, against the rows about wallets and payments,
//! and against the rail.
//!
//! Rows are gone through once, bucket by bucket, and what is kept of them is sums: of a wallet while its bucket is looked at, of a
//! bucket to the end. Whether two tables speak of the same payments is told by sums of their rows' hashes, under a key that nobody
//! knows; only where such sums differ are the rows looked at again, to name the payments.

mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};

use counterfoil_rail::{Account as RailAccount, Snapshot};
use counterfoil_wire::{Digest, KeyId};
use serde::Serialize;

pub use rows::{Entry, InMemory, Rows};

use crate::domain::bucket;
use crate::domain::ledger::{Account, Books, Kind, Posting};
use crate::domain::reason::{Owner, Reason};
use crate::domain::reconcile::Move;
use crate::domain::record::{Record, bit};
use crate::domain::wallet::Wallet;

/// What does not hold is told so many times at most.
const TOLD_MAX: usize = 1_000;

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

/// How many items stand where they stand for a reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
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

/// What one bucket adds up to. What came into it and left it is what its wallets hold and what its payers have on the way:
/// `funded - defunded + loss + arrived - left = offline`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct BucketReport {
    /// Its number.
    pub bucket: u16,
    /// Wallets and terminals.
    pub wallets: u64,
    /// Payments of its payers.
    pub payments: u64,
    /// Granted fund orders.
    pub funded: i128,
    /// Defundings, takings paid out, and what closed wallets had not spent.
    pub defunded: i128,
    /// What somebody paid for its wallets' losses.
    pub loss: i128,
    /// What its wallets were credited of payments, those that came back included.
    pub arrived: i128,
    /// What its wallets were debited of payments, those that were taken back included.
    pub left: i128,
    /// What its wallets hold.
    pub offline: i128,
    /// What its payers have on the way.
    pub in_flight: i128,
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
    /// Each bucket by itself, as far as it has rows.
    pub buckets: Vec<BucketReport>,
    /// Payments and cases by reason.
    pub reasons: Vec<ReasonCount>,
    /// Wallets that misbehaved.
    pub cases: Vec<CaseReport>,
}

/// Audits one moment of the operator and of the rail.
///
/// # Errors
/// Those of `rows`.
pub fn audit<R: Rows + ?Sized>(rows: &mut R, rail: &Snapshot) -> Result<AuditReport, R::Error> {
    let mut audit = Audit::default();
    audit.claims.broken.clone_from(&rail.broken);
    rows.visit(&mut |entry| audit.add(entry))?;
    audit.end_of_bucket();
    let suspects = audit.suspects();
    if !suspects.is_empty() {
        let mut found: BTreeMap<(Topic, Digest), (u64, u64)> = BTreeMap::new();
        rows.visit(&mut |entry| {
            mentions(&entry, &mut |side, topic, bucket, id, minor| {
                if suspects.contains(&(topic, bucket)) {
                    let (due, had) = found.entry((topic, id)).or_default();
                    let sum = if side == Side::Due { due } else { had };
                    *sum = sum.saturating_add(minor);
                }
            });
        })?;
        for ((topic, id), (due, had)) in found {
            audit.claims.claim(due == had, &|| topic.complaint(&id, due, had));
        }
    }
    Ok(audit.report(rail))
}

/// What two tables must agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Topic {
    Posted(Kind),
    Open,
    InConflict,
}

impl Topic {
    fn complaint(self, id: &Digest, due: u64, had: u64) -> String {
        match self {
            Self::Posted(kind) => format!("payment {id}: {kind:?} is posted as {had}, due is {due}"),
            Self::Open => format!("payment {id}: it is not listed as it is, open or at rest"),
            Self::InConflict => format!("payment {id}: it is not listed as it is, in conflict or not"),
        }
    }
}

/// Which of two tables says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// The payments.
    Due,
    /// What is kept besides.
    Had,
}

/// The kinds of postings that are about payments, and the bits of those that are posted.
const POSTED: [(u16, Kind); 5] = [
    (bit::DEBITED, Kind::Send),
    (bit::CREDITED, Kind::Receive),
    (bit::RETURNED, Kind::Return),
    (bit::COVERED, Kind::Cover),
    (bit::REVERSED, Kind::Reverse),
];

/// What `entry` says of payments: topic, the bucket where it stands, payment and amount.
fn mentions(entry: &Entry, say: &mut dyn FnMut(Side, Topic, u16, Digest, u64)) {
    match entry {
        Entry::Payment(record) => {
            for (_, kind) in POSTED.iter().filter(|(bit, _)| record.has(*bit)) {
                let of_payee = matches!(kind, Kind::Receive | Kind::Reverse);
                let whose = if of_payee { &record.payee } else { &record.payer };
                say(Side::Due, Topic::Posted(*kind), bucket(whose), record.id, record.amount.minor());
            }
            if record.is_open() {
                say(Side::Due, Topic::Open, bucket(&record.payer), record.id, 1);
            }
            if record.has(bit::FORKED) {
                say(Side::Due, Topic::InConflict, bucket(&record.payer), record.id, 1);
            }
        }
        Entry::Posting(row) if POSTED.iter().any(|(_, kind)| *kind == row.kind) => {
            say(Side::Had, Topic::Posted(row.kind), bucket(&row.wallet), row.reference, row.amount.minor());
        }
        Entry::Open(payer, id) => say(Side::Had, Topic::Open, bucket(payer), *id, 1),
        Entry::InConflict(payer, id) => say(Side::Had, Topic::InConflict, bucket(payer), *id, 1),
        _ => {}
    }
}

/// What does not hold.
#[derive(Debug, Default)]
struct Claims {
    broken: Vec<String>,
    untold: usize,
}

impl Claims {
    fn claim(&mut self, holds: bool, what: &dyn Fn() -> String) {
        match holds {
            true => {}
            false if self.broken.len() < TOLD_MAX => self.broken.push(what()),
            false => self.untold += 1,
        }
    }
}

/// What the rows of one wallet add up to.
#[derive(Debug, Default)]
struct Sums {
    /// Its own row: shadow, what was returned since it was closed and how often, and how it stands.
    row: Option<(i64, (u64, u32), Standing)>,
    /// Its balance by the ledger.
    ledger: i128,
    /// What the ledger returned since it was closed, and how often.
    returned: (u64, u32),
    /// What was debited on payees' word alone: its own receipts, which may cover it, are yet to come.
    ahead: i128,
}

#[derive(Debug)]
struct Standing {
    /// Whether it owes what it is below zero.
    answers: bool,
    closed: bool,
    stopped: bool,
}

#[derive(Debug, Default)]
struct Audit {
    /// A new one for each audit, whose key nobody knows.
    hasher: RandomState,
    claims: Claims,
    /// All accounts but wallets'.
    books: Books,
    of_kind: BTreeMap<Kind, i128>,
    /// What is due less what is there, as hashes.
    differences: BTreeMap<(Topic, u16), u64>,
    buckets: BTreeMap<u16, BucketReport>,
    reasons: BTreeMap<(u16, Reason), (u64, i128)>,
    tallies: BTreeMap<(u16, Reason), (u64, i128)>,
    about_wallets: BTreeMap<Reason, u64>,
    transfers: Vec<Move>,
    undecided: i128,
    cases: Vec<CaseReport>,
    /// Of the bucket that is looked at.
    wallets: BTreeMap<KeyId, Sums>,
    in_cases: BTreeMap<KeyId, Vec<Reason>>,
}

impl Audit {
    fn add(&mut self, entry: Entry) {
        let Self { hasher, differences, .. } = self;
        mentions(&entry, &mut |side, topic, bucket, id, minor| {
            let hash = hasher.hash_one((id.0, minor));
            let sum = differences.entry((topic, bucket)).or_default();
            *sum = match side {
                Side::Due => sum.wrapping_add(hash),
                Side::Had => sum.wrapping_sub(hash),
            };
        });
        match entry {
            Entry::Case(key, reason) => {
                self.in_cases.entry(key).or_default().push(reason);
                if matches!(reason, Reason::RolledBack | Reason::Gap | Reason::Overspent) {
                    *self.about_wallets.entry(reason).or_default() += 1;
                }
            }
            Entry::Wallet(wallet) => self.wallet(&wallet),
            Entry::Posting(posting) => self.posting(&posting),
            Entry::Payment(record) => self.payment(&record),
            Entry::Open(..) | Entry::InConflict(..) => {}
            Entry::Tally(bucket, reason, payments, minor) => {
                if payments > 0 || minor != 0 {
                    self.tallies.insert((bucket, reason), (payments, minor));
                }
            }
            Entry::Transfer(order) => self.transfers.push(order),
            Entry::Order(amount) => self.undecided += i128::from(amount.minor()),
            Entry::EndOfBucket => self.end_of_bucket(),
        }
    }

    fn bucket(&mut self, key: &KeyId) -> &mut BucketReport {
        let number = bucket(key);
        self.buckets.entry(number).or_insert(BucketReport { bucket: number, ..BucketReport::default() })
    }

    fn wallet(&mut self, wallet: &Wallet) {
        let report = self.bucket(&wallet.id);
        report.wallets += 1;
        report.offline += i128::from(wallet.shadow);
        let closed = wallet.is_closed();
        let standing = Standing {
            answers: wallet.revoked && !(closed && wallet.liable.is_none()),
            closed,
            stopped: wallet.revoked && !wallet.is_good(),
        };
        let returned = (wallet.closed_out.minor(), wallet.closed_out_no);
        self.wallets.entry(wallet.id).or_default().row = Some((wallet.shadow, returned, standing));
        for reason in self.in_cases.remove(&wallet.id).unwrap_or_default() {
            self.cases.push(CaseReport {
                key_id: wallet.id.to_string(),
                psp: wallet.psp.clone(),
                reason,
                revoked: wallet.revoked,
                loss: wallet.loss,
                borne_by: (wallet.loss > 0).then(|| wallet.liable.clone()).flatten(),
            });
        }
    }

    fn posting(&mut self, posting: &Posting) {
        let (own, minor) = (posting.wallet, i128::from(posting.amount.minor()));
        *self.of_kind.entry(posting.kind).or_default() += minor;
        self.books.post_elsewhere(posting);
        for (account, change) in [(posting.debit, -minor), (posting.credit, minor)] {
            if let Account::Offline(key) = account {
                self.claims.claim(key == own, &|| {
                    format!("wallet {own}: a row of its own moves what wallet {key} holds")
                });
                self.wallets.entry(key).or_default().ledger += change;
            }
        }
        let report = self.bucket(&own);
        match posting.kind {
            Kind::Fund => report.funded += minor,
            Kind::Defund | Kind::PayOut | Kind::CloseOut => report.defunded += minor,
            Kind::Loss => report.loss += minor,
            Kind::Recovery => report.loss -= minor,
            Kind::Receive | Kind::Return => report.arrived += minor,
            Kind::Send | Kind::Reverse => report.left += minor,
            // To clearing, past the wallets.
            Kind::Cover => {}
        }
        if let (Kind::CloseOut, Account::Offline(key)) = (posting.kind, posting.debit) {
            let (sum, count) = &mut self.wallets.entry(key).or_default().returned;
            *sum = sum.saturating_add(posting.amount.minor());
            *count = count.saturating_add(1);
        }
    }

    fn payment(&mut self, record: &Record) {
        let (id, minor) = (record.id, i128::from(record.amount.minor()));
        let report = self.bucket(&record.payer);
        report.payments += 1;
        report.in_flight += if record.in_flight() { minor } else { 0 };
        let (count, sum) = self.reasons.entry((bucket(&record.payer), record.reason())).or_default();
        *count += 1;
        *sum += minor;
        if record.has(bit::DEBITED) && !record.has(bit::PAYER) {
            self.wallets.entry(record.payer).or_default().ahead += minor;
        }
        let both = record.is_taken() && record.has(bit::RETURNED) && !record.has(bit::COVERED);
        self.claims.claim(!both, &|| format!("payment {id}: it is at the payee and back at the payer"));
        self.claims.claim(record.has(bit::DEBITED) || !record.has(bit::CREDITED | bit::RETURNED), &|| {
            format!("payment {id}: it arrived and never left")
        });
    }

    /// Looks at each wallet of the bucket, and forgets it.
    fn end_of_bucket(&mut self) {
        let claims = &mut self.claims;
        for (id, sums) in std::mem::take(&mut self.wallets) {
            let ledger = sums.ledger;
            let Some((shadow, returned, standing)) = sums.row else {
                let nothing = ledger == 0 && sums.ahead == 0 && sums.returned == (0, 0);
                claims.claim(nothing, &|| format!("nobody's wallet {id} holds {ledger}"));
                continue;
            };
            claims.claim(ledger == i128::from(shadow), &|| {
                format!("wallet {id}: the ledger holds {ledger}, its row says {shadow}")
            });
            let ahead = if standing.answers { 0 } else { sums.ahead };
            claims.claim(ledger + ahead >= 0, &|| format!("wallet {id}: its balance is {ledger}"));
            // What was returned of a closed wallet, by its row and by the ledger's; and it can go on in no way.
            let by_ledger = sums.returned;
            claims.claim(by_ledger == returned, &|| {
                format!("wallet {id}: the ledger returned {by_ledger:?} since it was closed, its row says {returned:?}")
            });
            claims.claim(!standing.closed || standing.stopped, &|| {
                format!("wallet {id}: it is closed and may go on")
            });
            claims.claim(standing.closed || returned.1 == 0, &|| {
                format!("wallet {id}: it is open and was paid out as closed")
            });
        }
        self.in_cases.clear();
    }

    /// Where tables do not agree.
    fn suspects(&self) -> BTreeSet<(Topic, u16)> {
        let differ = self.differences.iter().filter(|(_, difference)| **difference != 0);
        differ.map(|(place, _)| *place).collect()
    }

    fn report(mut self, rail: &Snapshot) -> AuditReport {
        let of = |kind: Kind| self.of_kind.get(&kind).copied().unwrap_or_default();
        let (funded, closed_out) = (of(Kind::Fund), of(Kind::CloseOut));
        let defunded = of(Kind::Defund) + of(Kind::PayOut) + closed_out;
        let loss = of(Kind::Loss) + of(Kind::Cover) - of(Kind::Recovery);
        let offline: i128 = self.buckets.values().map(|bucket| bucket.offline).sum();
        let in_flight = self.books.in_flight();
        let claims = &mut self.claims;
        claims.claim(funded - defunded + loss == offline + in_flight, &|| {
            format!(
                "funded {funded} - defunded {defunded} + loss {loss} is not offline {offline} + in flight {in_flight}"
            )
        });
        claims.claim(self.books.loss() == loss && self.books.net_funded() == funded - defunded, &|| {
            "postings of a kind touch accounts that the kind does not".to_owned()
        });
        for report in self.buckets.values() {
            let BucketReport { bucket, funded, defunded, loss, arrived, left, offline, in_flight, .. } =
                report;
            let came = funded - defunded + loss + arrived - left;
            claims.claim(came == *offline, &|| {
                format!("bucket {bucket}: its rows brought {came}, its wallets hold {offline}")
            });
            let clearing = self.books.balance(&Account::Clearing(*bucket));
            claims.claim(clearing == *in_flight, &|| {
                format!("bucket {bucket}: in flight by its rows is {clearing}, by its payments {in_flight}")
            });
        }
        let elsewhere = |account: &&Account| match account {
            Account::Clearing(bucket) => !self.buckets.contains_key(bucket),
            _ => false,
        };
        for (account, balance) in self.books.balances.iter().filter(|(account, _)| elsewhere(account)) {
            claims.claim(*balance == 0, &|| format!("{account} holds {balance}, and has no payments"));
        }
        let counted: BTreeSet<&(u16, Reason)> = self.reasons.keys().chain(self.tallies.keys()).collect();
        for place in counted {
            let (due, had) = (self.reasons.get(place), self.tallies.get(place));
            claims.claim(due == had, &|| {
                format!("bucket {}: {} is counted as {had:?}, due is {due:?}", place.0, place.1.name())
            });
        }
        let float = rail.balance(&RailAccount::float());
        check_rail(&self.transfers, self.undecided, float, funded - defunded + loss, claims);
        if claims.untold > 0 {
            claims.broken.push(format!("and {} more", claims.untold));
        }
        let sum = |of: fn(&BucketReport) -> u64| self.buckets.values().map(of).sum();
        AuditReport {
            sound: self.claims.broken.is_empty(),
            funded,
            defunded,
            closed_out,
            loss,
            offline,
            in_flight,
            float_on_rail: float,
            rail_total: rail.total,
            rail_opened: rail.opened,
            pending_transfers: self.transfers.len() as u64,
            wallets: sum(|bucket| bucket.wallets),
            payments: sum(|bucket| bucket.payments),
            reasons: counts(&self.reasons, &self.about_wallets),
            broken: self.claims.broken,
            buckets: self.buckets.into_values().collect(),
            cases: self.cases,
        }
    }
}

/// The float on the rail is what the ledger says, but for transfers that are on order: those must account for all of
/// the difference. Of a fund order without an answer the money may have moved or not.
fn check_rail(transfers: &[Move], undecided: i128, float: Option<u64>, due: i128, claims: &mut Claims) {
    let float = float.map(i128::from).unwrap_or_default();
    let mut settled = float;
    for pending in transfers {
        let amount = i128::from(pending.amount.minor());
        settled += if pending.to == RailAccount::float() { amount } else { -amount };
    }
    claims.claim((due..=due + undecided).contains(&settled), &|| {
        format!("the rail's float is {float} ({settled} with transfers on order), the ledger says {due}")
    });
}

fn counts(
    payments: &BTreeMap<(u16, Reason), (u64, i128)>,
    about_wallets: &BTreeMap<Reason, u64>,
) -> Vec<ReasonCount> {
    let mut counts: BTreeMap<Reason, (u64, i128)> = BTreeMap::new();
    for ((_, reason), (count, minor)) in payments {
        let sum = counts.entry(*reason).or_default();
        *sum = (sum.0 + count, sum.1 + minor);
    }
    for (reason, count) in about_wallets {
        counts.entry(*reason).or_default().0 += count;
    }
    let count = |(reason, (count, minor)): (Reason, (u64, i128))| ReasonCount {
        reason,
        owner: reason.owner(),
        count,
        amount: u64::try_from(minor).unwrap_or(u64::MAX),
    };
    counts.into_iter().map(count).collect()
}
