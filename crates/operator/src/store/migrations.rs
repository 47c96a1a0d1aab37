//! How the tables came to be, for every database alike.
//!
//! Migrations expand and contract. An *expansion* adds: a table, an index, a column with a default. Programs of the version
//! before go on working beside it, since they name the columns that they know. A *contraction* takes away what no program that
//! may still run looks at, and says so by [`Migration::known_by`]. So an upgrade is: expand, replace the programs one after
//! the other, contract with the version after. A migration that was released never changes. What waits in an outbox is rows as
//! the version that wrote them knows them: a batch that broke off is finished by that version, before it is replaced.
//!
//! The text is PostgreSQL's as far as SQLite understands it: whole numbers are `bigint`, flags are whole numbers too, bytes
//! are `bytea`. SQLite keeps a table with its key (`without rowid`) where a line ends in `);`.

use super::StoreError;

/// A step from one version of the tables to the next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Migration {
    pub(super) sql: &'static str,
    /// What PostgreSQL is told besides.
    pub(super) postgres: &'static str,
    /// How many migrations a program must know at least to work on the result: this one included for a contraction.
    pub(super) known_by: usize,
}

/// All of them, in order.
pub(super) const MIGRATIONS: &[Migration] = &[Migration { sql: FIRST, postgres: ROOM, known_by: 1 }];

/// A changed row finds room beside the old one. What never changes and cannot be made shorter stands apart from it, as it is.
const ROOM: &str = "
alter table record set (fillfactor = 50, toast_tuple_target = 256);
alter table record alter column payment set storage external;
alter table wallet set (fillfactor = 50);
alter table tally set (fillfactor = 50);
alter table outbox alter column writes set storage external;
alter table statement alter column statement set storage external;
alter table statement alter column settlement set storage external;
";

/// What is looked for again and again is found without going through what has come to rest: by tables and indexes of just that.
/// Two indexes that begin alike are alike to a planner that has no statistics yet, and the wrong one is a whole history: where it
/// matters, an index is of rows that meet a condition which all meet and only the queries that are meant to use it name.
/// No index is on a column of `record` that changes: PostgreSQL then writes a changed row beside the old one, and no index entry.
const FIRST: &str = "
create table setting (
    bucket bigint not null, name text not null, value text not null, primary key (bucket, name)
);
create table psp (
    bucket bigint not null, name text not null, token bytea not null, primary key (bucket, name)
);
create table issuer (
    bucket bigint not null, psp text not null, alg text not null, next_index bigint not null,
    primary key (bucket, psp, alg)
);
create table wallet (
    bucket bigint not null, id bytea not null, public_key bytea not null, psp text not null, account text not null,
    name text not null, grade bigint not null, status_index bigint not null, spent bigint not null,
    acked_seq bigint not null, acked bytea not null, claimed bigint not null, funding_applied bigint not null,
    funding_total bigint not null, order_no bigint not null, shadow bigint not null, loss bigint not null,
    loss_no bigint not null, liable text, suspended bigint not null, revoked bigint not null,
    pin_unblock bigint not null, cert_from_s bigint not null, cert_until_s bigint not null,
    synced_at_s bigint not null, closed_below bigint not null, closed_before_s bigint not null,
    returned text not null, paid_out bigint not null, closed_at_s bigint not null, closed_out bigint not null,
    closed_out_no bigint not null, image bytea not null, image_version bigint not null, application bytea not null,
    counter bigint not null, evidence bigint not null, tamper bigint, tamper_at_s bigint not null,
    lowered bigint not null, primary key (bucket, id)
);
create index wallet_closed on wallet (bucket, id) where closed_at_s > 0;
create index wallet_below on wallet (bucket, id) where shadow < 0;
create index wallet_revoked on wallet (bucket, id) where revoked = 1;
create table certificate (
    bucket bigint not null, wallet bytea not null, from_s bigint not null, until_s bigint not null,
    status_index bigint not null, primary key (bucket, wallet, from_s)
);
create table record (
    bucket bigint not null, payer bytea not null, payer_seq bigint not null, id bytea not null,
    payee bytea not null, request_no bigint not null, amount bigint not null, spent bigint not null,
    payer_until_s bigint not null, bits bigint not null, first_seen_s bigint not null, payment bytea not null,
    primary key (bucket, payer, payer_seq, id)
);
create index record_by_spent on record (bucket, payer, spent) where spent >= 0;
create table open_payment (
    bucket bigint not null, payer bytea not null, payer_seq bigint not null, id bytea not null,
    payee bytea not null, since_s bigint not null, primary key (bucket, payer, payer_seq, id)
);
create index open_payment_by_payee on open_payment (payee, bucket);
create table forked_payment (
    bucket bigint not null, payer bytea not null, payer_seq bigint not null, id bytea not null,
    primary key (bucket, payer, payer_seq, id)
);
create table ledger (
    bucket bigint not null, wallet bytea not null, kind bigint not null, reference bytea not null,
    debit bytea not null, credit bytea not null, amount bigint not null check (amount > 0),
    primary key (bucket, wallet, kind, reference)
);
create table statement (
    bucket bigint not null, wallet bytea not null, message bytea not null, seq bigint not null, id bytea not null,
    certified bigint not null, settlement_id bytea not null, signed bytea, settlement bytea not null,
    statement bytea not null, primary key (bucket, wallet, message)
);
create index statement_by_seq on statement (bucket, wallet, seq) where seq >= 0;
create index statement_by_settlement on statement (bucket, wallet, settlement_id) where certified >= 0;
create table fund_order (
    bucket bigint not null, wallet bytea not null, number bigint not null, digest bytea not null,
    amount bigint not null, state bigint not null, primary key (bucket, wallet, number)
);
create index fund_order_open on fund_order (bucket, wallet, number) where state = 1;
create table rail_move (
    bucket bigint not null, id text not null, from_psp text not null, from_account text not null,
    to_psp text not null, to_account text not null, amount bigint not null, done bigint not null,
    primary key (bucket, id)
);
create index rail_move_open on rail_move (bucket, id) where done = 0;
create table misconduct (
    bucket bigint not null, wallet bytea not null, reason bigint not null, digest bytea not null,
    evidence bytea not null, opened_at_s bigint not null, primary key (bucket, wallet, reason, digest)
);
create table revocation (
    bucket bigint not null, wallet bytea not null, status_index bigint not null, since_no bigint not null,
    until_no bigint not null, at_s bigint not null, primary key (bucket, wallet)
);
create table published (
    bucket bigint not null, kind bigint not null, number bigint not null, issued_at_s bigint not null,
    bytes bytea not null, primary key (bucket, kind, number)
);
create table idempotency (
    bucket bigint not null, key bytea not null, request bytea not null, status bigint not null, body text not null,
    kept_at_s bigint not null, primary key (bucket, key)
);
create table activation (
    bucket bigint not null, code bytea not null, psp text not null, account text not null, until_s bigint not null,
    used bigint not null, primary key (bucket, code)
);
create table image (
    bucket bigint not null, hash bytea not null, version bigint not null, listed_at_s bigint not null,
    withdrawn_at_s bigint not null, primary key (bucket, hash)
);
create table tally (
    bucket bigint not null, reason bigint not null, payments bigint not null, amount bigint not null,
    primary key (bucket, reason)
);
create table outbox (
    bucket bigint not null, number bigint not null, place bigint not null, writes bytea not null,
    primary key (bucket, number, place)
);
create table delivery (
    bucket bigint not null, home bigint not null, number bigint not null, primary key (bucket, home)
);
";

/// The migrations that a database lacks, each with its number, where `done` were run and ask for programs that know `known_by`.
pub(super) fn missing(
    migrations: &[Migration],
    (done, known_by): (i64, i64),
) -> Result<Vec<(i64, &Migration)>, StoreError> {
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    if known_by > count(migrations.len()) {
        return Err(StoreError::TooNew);
    }
    let numbered = migrations.iter().enumerate().map(|(at, migration)| (count(at), migration));
    Ok(numbered.filter(|(number, _)| *number >= done).collect())
}
