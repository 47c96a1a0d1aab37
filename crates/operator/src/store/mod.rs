//! Where the operator's rows are kept: a handful of batch operations, so that an embedded file and a distributed
//! database can both do them well. Every primary key leads with the bucket of the wallet that a row is about (0 for
//! what is the whole scheme's), there are no foreign keys, no triggers and no unique index without the bucket.
//!
//! | module | noun |
//! |---|---|
//! | `location` | which database |
//! | `sql`, `gather` | the store on any database: what an operation writes and reads |
//! | `table`, `queries`, `migrations` | tables and statements, in one text for all databases |
//! | `rows`, `value` | the domain's values as rows |
//! | `outbox` | batches of several buckets, without a transaction of several buckets |
//! | `snapshot` | one moment of the store, read while others write |
//! | `database` | what is asked of a database |
//! | `sqlite`, `postgres` | the databases |
//! | `counted` | how much a database is asked |

mod counted;
mod database;
mod gather;
mod location;
mod migrations;
mod outbox;
#[cfg(test)]
mod portable;
mod postgres;
mod queries;
mod rows;
mod snapshot;
mod sql;
mod sqlite;
mod table;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeMap;
use std::sync::Arc;

use counterfoil_wire::proof::SignedHeader;
use counterfoil_wire::{Amount, Digest, KeyId};
use serde::Deserialize;

use crate::domain::audit::Rows as AuditRows;
use crate::domain::holding::Rows;
use crate::domain::known::{Known, Needs};
use crate::domain::ledger::Posting;
use crate::domain::reason::Reason;
use crate::domain::reconcile::{Case, Move};
use crate::domain::record::{Changed, Record};
use crate::domain::trace::Flows;
use crate::domain::wallet::Wallet;

use counted::Counted;
pub use location::Location;
use postgres::Postgres;
use sql::SqlStore;
use sqlite::Sqlite;

/// The bucket of what is the whole scheme's.
const SCHEME: u16 = 0;

/// How the rows of an operation that is about several buckets are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transactions {
    /// In one transaction: the least work, on a database of one machine.
    #[default]
    Together,
    /// In one transaction for each bucket, joined by an outbox: for a database of several machines, which would have to agree.
    ByBucket,
}

impl Transactions {
    /// Every way.
    pub const ALL: &'static [Self] = &[Self::Together, Self::ByBucket];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Together => "together",
            Self::ByBucket => "by-bucket",
        }
    }
}

impl std::str::FromStr for Transactions {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|way| way.name() == text).ok_or("it is together or by-bucket")
    }
}

/// Opens the store at `location`, whose tables are migrated as needed.
///
/// # Errors
/// [`StoreError::Empty`], [`StoreError::TooNew`], [`StoreError::Database`].
pub fn open(location: &Location, transactions: Transactions) -> Result<Box<dyn Store>, StoreError> {
    at(location, transactions, false)
}

/// Opens the store at `location`, whose tables are made if there are none.
///
/// # Errors
/// [`StoreError::TooNew`], [`StoreError::Database`].
pub fn create(location: &Location, transactions: Transactions) -> Result<Box<dyn Store>, StoreError> {
    at(location, transactions, true)
}

fn at(location: &Location, transactions: Transactions, make: bool) -> Result<Box<dyn Store>, StoreError> {
    Ok(match location {
        Location::Sqlite(path) => {
            Box::new(SqlStore { db: Counted::new(Sqlite::open(path, make)?), transactions })
        }
        Location::Postgres(address) => {
            Box::new(SqlStore { db: Counted::new(Postgres::open(address, make)?), transactions })
        }
    })
}

/// Why the store did not do what it was asked. Nothing of a batch was written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database said no.
    #[error("the database failed: {0}")]
    Database(Box<dyn std::error::Error + Send + Sync>),
    /// The server does not answer, or does not let anybody in under this name.
    #[error("its server cannot be reached: {0}")]
    Unreachable(String),
    /// No operator's tables are there.
    #[error("there are no tables of an operator in it")]
    Empty,
    /// The tables are of a later version, which took away what this one looks at.
    #[error("the database is a later version's; run that version")]
    TooNew,
    /// A row cannot be read back.
    #[error("a row of table {0} is damaged")]
    Damaged(&'static str),
    /// A row that must be new is there, or one that must be there is not.
    #[error("table {0} is not as the operation left it")]
    Unexpected(&'static str),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(Box::new(error))
    }
}

/// An answered enrolment or statement. Number 0 is the enrolment.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The wallet.
    pub wallet: KeyId,
    /// The statement's journal number.
    pub seq: u32,
    /// The statement's identifier.
    pub id: Digest,
    /// Names the message that is answered: a statement's identifier, the SHA-256 of an enrolment.
    pub message: Digest,
    /// Header and signature of the statement; absent for an enrolment.
    pub signed: Option<SignedHeader>,
    /// The message that is answered: evidence.
    pub statement: Arc<[u8]>,
    /// Identifier of the settlement.
    pub settlement_id: Digest,
    /// The settlement.
    pub settlement: Vec<u8>,
    /// Whether it brings a certificate.
    pub certified: bool,
}

/// What is known of a message and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// No wallet has this key.
    Stranger,
    /// It was not answered.
    New,
    /// It was, with this settlement.
    Answered(Vec<u8>),
}

/// Where a fund order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderState {
    /// The rail was not asked, or its answer was lost.
    Pending = 1,
    /// The value is the wallet's.
    Granted = 2,
    /// The account did not cover it.
    Refused = 3,
}

/// A fund order.
#[derive(Debug, Clone)]
pub struct Order {
    /// The wallet.
    pub wallet: KeyId,
    /// Its number.
    pub number: u32,
    /// SHA-256 of its body.
    pub digest: Digest,
    /// How much.
    pub amount: Amount,
    /// Where it stands.
    pub state: OrderState,
}

/// A certificate that was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Issued {
    /// The wallet.
    pub wallet: KeyId,
    /// Where revocation lists speak of it.
    pub status_index: u32,
    /// Start of validity, seconds since 1970.
    pub from_s: u32,
    /// End of validity, seconds since 1970.
    pub until_s: u32,
}

/// What the operator publishes. Numbers are stored and never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListKind {
    /// The trust list.
    Trust = 1,
    /// The rules.
    Rules = 2,
    /// The whole revocation list.
    Revocation = 3,
}

/// A signed object as published.
#[derive(Debug, Clone)]
pub struct Published {
    /// What it is.
    pub kind: ListKind,
    /// Its number.
    pub number: u32,
    /// When it was signed, seconds since 1970.
    pub issued_at_s: u32,
    /// The envelope.
    pub bytes: Vec<u8>,
}

/// A key on the revocation list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revocation {
    /// Its place on the list.
    pub status_index: u32,
    /// The key.
    pub wallet: KeyId,
    /// First list that has it.
    pub since_no: u32,
    /// First list that has it no more; 0 while there is none.
    pub until_no: u32,
    /// When it was revoked, seconds since 1970.
    pub at_s: u32,
}

/// Everything that one operation writes, at once or not at all.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Wallets, new or changed.
    pub wallets: Vec<Wallet>,
    /// Payments, new or changed.
    pub records: Vec<Changed>,
    /// Ledger rows; each must be new.
    pub postings: Vec<Posting>,
    /// Cases; those that are open already stay as they are.
    pub cases: Vec<(Case, u32)>,
    /// Rail transfers to make; each must be new.
    pub moves: Vec<Move>,
    /// Answers; each must be new.
    pub answers: Vec<Answer>,
    /// Certificates issued.
    pub issued: Vec<Issued>,
    /// A fund order, new or changed.
    pub order: Option<Order>,
    /// Objects to publish; each must be new.
    pub published: Vec<Published>,
    /// Revocations, new or changed.
    pub revocations: Vec<Revocation>,
    /// The hash of an activation code that is used up by this: it must be open for this PSP and account.
    pub activation: Option<(Digest, String, String)>,
    /// A status index that is used up, with its issuer (PSP and algorithm).
    pub next_index: Option<(String, String, u32)>,
    /// Rail transfers that were made: bucket and id.
    pub moved: Vec<(u16, String)>,
    /// Answers to keep for idempotency keys, if none is kept for them, and when.
    pub kept: Vec<(Digest, Kept, u32)>,
    /// An activation that is open from now on.
    pub new_activation: Option<NewActivation>,
    /// Images, new or changed.
    pub images: Vec<ListedImage>,
    /// PSPs, each with the first status index of each of its issuers (algorithm, index); each must be new.
    pub psps: Vec<(Psp, Vec<(String, u32)>)>,
    /// Settings by name.
    pub settings: Vec<(String, String)>,
}

/// An activation code, as far as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewActivation {
    /// Its hash.
    pub code: Digest,
    /// The PSP that gave it out.
    pub psp: String,
    /// The account that it is for.
    pub account: String,
    /// Until when it is good, seconds since 1970.
    pub until_s: u32,
}

/// An image of the trusted application on the operator's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedImage {
    /// SHA-256 of the image.
    pub hash: Digest,
    /// Its version, as its signed header names it.
    pub version: u32,
    /// When it was listed, seconds since 1970.
    pub listed_at_s: u32,
    /// When it was withdrawn, seconds since 1970; 0 while it stands.
    pub withdrawn_at_s: u32,
}

/// A place among the open payments, which are in the order of bucket, payer and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The payer.
    pub payer: KeyId,
    /// The payment's number.
    pub payer_seq: u32,
    /// The payment: two may have one number.
    pub id: Digest,
}

impl Cursor {
    /// Where `record` is.
    pub fn of(record: &Record) -> Self {
        Self { payer: record.payer, payer_seq: record.payer_seq, id: record.id }
    }
}

/// Open payments of which the same is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alike {
    /// Their bits.
    pub bits: u16,
    /// How many.
    pub count: u64,
    /// Their sum, minor units.
    pub minor: u64,
    /// When the operator first heard of the oldest, seconds since 1970.
    pub oldest_s: u32,
}

/// A place among the cases, which are in the order of bucket, key and reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaseCursor {
    /// The key.
    pub key: KeyId,
    /// What it is accused of.
    pub reason: Reason,
}

/// What a key is accused of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaseRow {
    /// The key.
    pub key: KeyId,
    /// What for.
    pub reason: Reason,
    /// Pieces of evidence.
    pub count: u64,
    /// When the first of them came, seconds since 1970.
    pub opened_at_s: u32,
}

/// A PSP as the operator knows it.
#[derive(Debug, Clone)]
pub struct Psp {
    /// Its name.
    pub name: String,
    /// SHA-256 of its bearer token.
    pub token: Digest,
}

/// What was asked of a store since it was opened, but for snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Look-ups, one for each set of parameters, and statements that write.
    pub statements: u64,
    /// Rows that were read.
    pub rows_read: u64,
    /// Rows that were written, changed or removed.
    pub rows_written: u64,
}

impl Work {
    /// Both.
    pub const fn plus(self, other: Self) -> Self {
        Self {
            statements: self.statements.saturating_add(other.statements),
            rows_read: self.rows_read.saturating_add(other.rows_read),
            rows_written: self.rows_written.saturating_add(other.rows_written),
        }
    }
}

/// An answer kept for an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// SHA-256 of route and request.
    pub request: Digest,
    /// HTTP status.
    pub status: u16,
    /// Response body.
    pub body: String,
}

/// Rows of the operator. Operations take turns: between [`Store::lock`] and [`Store::unlock`] nobody else writes, on whichever
/// machine.
pub trait Store: Send {
    /// Waits for its turn, and finishes what broke off in the turn before.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::Damaged`].
    fn lock(&mut self) -> Result<(), StoreError>;

    /// Ends its turn.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    fn unlock(&mut self) -> Result<(), StoreError>;

    /// Writes all of `batch` or nothing.
    ///
    /// # Errors
    /// Every [`StoreError`]. Nothing is written then, unless the database broke off: all of it may be, by the next
    /// [`Store::lock`] at the latest.
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError>;

    /// One wallet.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::Damaged`]; so for every method that reads.
    fn wallet(&self, key: &KeyId) -> Result<Option<Wallet>, StoreError>;

    /// Those of `keys` that are wallets.
    fn wallets(&self, keys: &[KeyId]) -> Result<Vec<Wallet>, StoreError>;

    /// Open payments after a place, without those that both journals have and that nothing is wrong with, and without evidence.
    fn open_payments(&self, after: Option<Cursor>, limit: usize) -> Result<Vec<Record>, StoreError>;

    /// Cases after a place.
    fn cases(&self, after: Option<CaseCursor>, limit: usize) -> Result<Vec<CaseRow>, StoreError>;

    /// The rows that statements need, payments without their evidence.
    fn gather(&self, needs: &[Needs]) -> Result<Known, StoreError>;

    /// Payments themselves, by their identifiers.
    fn payments(&self, records: &[&Record]) -> Result<Vec<(Digest, Vec<u8>)>, StoreError>;

    /// What is known of messages of wallets: see [`Answer::message`].
    fn answered(&self, asked: &[(KeyId, Digest)]) -> Result<Vec<Asked>, StoreError>;

    /// A fund order.
    fn order(&self, key: &KeyId, number: u32) -> Result<Option<Order>, StoreError>;

    /// Fund orders without an answer from the rail.
    fn pending_orders(&self) -> Result<Vec<Order>, StoreError>;

    /// Rail transfers that were ordered and not made.
    fn pending_moves(&self) -> Result<Vec<Move>, StoreError>;

    /// The newest object of a kind.
    fn newest(&self, kind: ListKind) -> Result<Option<Published>, StoreError>;

    /// When the list of this kind and number was signed, seconds since 1970.
    fn issued_at(&self, kind: ListKind, number: u32) -> Result<Option<u32>, StoreError>;

    /// Every revocation ever, ascending by index.
    fn revocations(&self) -> Result<Vec<Revocation>, StoreError>;

    /// Wallets whose key is to be revoked and is on no list.
    fn unlisted(&self) -> Result<Vec<Wallet>, StoreError>;

    /// Wallets in good standing whose key ended before `ended_before_s` and that spent more than evidence covers.
    fn overdue(&self, ended_before_s: u32) -> Result<Vec<Wallet>, StoreError>;

    /// Closed wallets that hold or owe something, or that sent payments which came to rest nowhere.
    fn closed_with_rest(&self) -> Result<Vec<KeyId>, StoreError>;

    /// What is known of one wallet, for adding it up.
    fn holding_rows(&self, key: &KeyId) -> Result<Option<Rows>, StoreError>;

    /// Unexpired certificates of revoked keys at `now_s`.
    fn revoked_certificates(&self, now_s: u32) -> Result<Vec<(Issued, u32)>, StoreError>;

    /// PSPs by name.
    fn psps(&self) -> Result<Vec<Psp>, StoreError>;

    /// The next free status index of an issuer.
    fn next_index(&self, psp: &str, algorithm: &str) -> Result<Option<u32>, StoreError>;

    /// Whether a code is open for this PSP and account at `now_s`.
    fn activation_open(
        &self,
        code: &Digest,
        psp: &str,
        account: &str,
        now_s: u32,
    ) -> Result<bool, StoreError>;

    /// Images that were ever listed, oldest first.
    fn images(&self) -> Result<Vec<ListedImage>, StoreError>;

    /// The answers kept for idempotency keys.
    fn kept(&self, keys: &[Digest]) -> Result<Vec<Option<Kept>>, StoreError>;

    /// Settings by name.
    fn settings(&self) -> Result<BTreeMap<String, String>, StoreError>;

    /// This moment, to be read while others write.
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError>;

    /// How much was asked of it.
    fn work(&self) -> Work;
}

/// One moment of the store.
pub trait Snapshot: AuditRows<Error = StoreError> + Send {
    /// All open payments, by their bits.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::Damaged`]; so for every method.
    fn open_by_bits(&mut self) -> Result<Vec<Alike>, StoreError>;

    /// How many payments there are of each reason, and their sum in minor units.
    fn tallies(&mut self) -> Result<BTreeMap<Reason, (u64, i128)>, StoreError>;

    /// How many keys there are in cases of each reason.
    fn accused(&mut self) -> Result<BTreeMap<Reason, u64>, StoreError>;

    /// One wallet.
    fn wallet(&mut self, key: &KeyId) -> Result<Option<Wallet>, StoreError>;

    /// What a key is accused of, when, and by what: up to so many pieces, and up to so many bytes but for the first.
    fn evidence(
        &mut self,
        key: &KeyId,
        pieces_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<(Reason, u32, Vec<u8>)>, StoreError>;

    /// Payments of a payer that are in conflict with another one, without evidence.
    fn disputed(&mut self, payer: &KeyId, limit: usize) -> Result<Vec<Record>, StoreError>;

    /// What went to others by those of them that were taken.
    fn disputed_flows(&mut self, payer: &KeyId) -> Result<Flows, StoreError>;

    /// What ever went through a wallet.
    fn flows(&mut self, key: &KeyId) -> Result<Flows, StoreError>;

    /// The first revocation list that has a key, and when the key was revoked, seconds since 1970.
    fn listed(&mut self, key: &KeyId) -> Result<Option<(u32, u32)>, StoreError>;
}
