//! What an audit looks at: rows, wherever they are.

use std::collections::BTreeMap;
use std::convert::Infallible;

use counterfoil_wire::{Amount, Digest, KeyId};

use crate::domain::bucket;
use crate::domain::ledger::Posting;
use crate::domain::reason::Reason;
use crate::domain::reconcile::Move;
use crate::domain::record::{Record, bit};
use crate::domain::wallet::Wallet;

/// A row that an audit looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A case, by key and reason. Before the wallets of its bucket.
    Case(KeyId, Reason),
    /// A wallet.
    Wallet(Box<Wallet>),
    /// A row of the ledger.
    Posting(Posting),
    /// A payment, without its evidence.
    Payment(Record),
    /// A payment that is listed as open, and its payer.
    Open(KeyId, Digest),
    /// A payment that is listed as in conflict, and its payer.
    InConflict(KeyId, Digest),
    /// How many payments of a reason a bucket counts, and their sum.
    Tally(u16, Reason, u64, i128),
    /// A rail transfer that was ordered and not made.
    Transfer(Move),
    /// The amount of a fund order without an answer from the rail.
    Order(Amount),
    /// All of a bucket was shown. Without it, all that was shown is one bucket's.
    EndOfBucket,
}

/// Everything that an audit looks at, at one moment.
pub trait Rows {
    /// Why rows cannot be read.
    type Error;

    /// Shows every row. May be called again, and shows the same.
    ///
    /// # Errors
    /// Whatever keeps it from them.
    fn visit(&mut self, show: &mut dyn FnMut(Entry)) -> Result<(), Self::Error>;
}

/// Rows that somebody has in memory, without lists and counts beside them: those are shown as they are due.
#[derive(Debug, Default)]
pub struct InMemory<'a> {
    /// Wallets.
    pub wallets: Vec<&'a Wallet>,
    /// Payments.
    pub payments: Vec<&'a Record>,
    /// The ledger.
    pub postings: Vec<&'a Posting>,
    /// Rail transfers that were ordered and not made.
    pub transfers: Vec<&'a Move>,
    /// Cases, by key and reason.
    pub cases: Vec<(KeyId, Reason)>,
}

impl Rows for InMemory<'_> {
    type Error = Infallible;

    fn visit(&mut self, show: &mut dyn FnMut(Entry)) -> Result<(), Infallible> {
        self.cases.iter().for_each(|(key, reason)| show(Entry::Case(*key, *reason)));
        self.wallets.iter().for_each(|wallet| show(Entry::Wallet(Box::new((*wallet).clone()))));
        self.postings.iter().for_each(|posting| show(Entry::Posting(**posting)));
        let mut tallies: BTreeMap<(u16, Reason), (u64, i128)> = BTreeMap::new();
        for payment in &self.payments {
            if payment.is_open() {
                show(Entry::Open(payment.payer, payment.id));
            }
            if payment.has(bit::FORKED) {
                show(Entry::InConflict(payment.payer, payment.id));
            }
            let (count, sum) = tallies.entry((bucket(&payment.payer), payment.reason())).or_default();
            *count += 1;
            *sum += i128::from(payment.amount.minor());
            show(Entry::Payment(Record { payment: Vec::new(), ..(*payment).clone() }));
        }
        for ((bucket, reason), (count, sum)) in tallies {
            show(Entry::Tally(bucket, reason, count, sum));
        }
        self.transfers.iter().for_each(|order| show(Entry::Transfer((*order).clone())));
        Ok(())
    }
}
