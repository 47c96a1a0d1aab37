//! Tables. A later version adds a migration and never changes one that was released.

/// Migrations in order; `user_version` counts those that were run.
pub(super) const MIGRATIONS: &[&str] = &[FIRST, CLOSED_WALLETS, ELEMENTS, OPEN_ITEMS];

const FIRST: &str = "
create table setting (
    bucket integer not null, name text not null, value text not null, primary key (bucket, name)
) without rowid;
create table psp (
    bucket integer not null, name text not null, token blob not null, primary key (bucket, name)
) without rowid;
create table issuer (
    bucket integer not null, psp text not null, alg text not null, next_index integer not null,
    primary key (bucket, psp, alg)
) without rowid;
create table wallet (
    bucket integer not null, id blob not null, key blob not null, psp text not null, account text not null,
    name text not null, grade integer not null, status_index integer not null, spent integer not null,
    acked_seq integer not null, acked blob not null, claimed integer not null, funding_applied integer not null,
    funding_total integer not null, order_no integer not null, shadow integer not null, loss integer not null,
    loss_no integer not null, liable text, suspended integer not null, revoked integer not null,
    pin_unblock integer not null, cert_from_s integer not null, cert_until_s integer not null,
    synced_at_s integer not null, closed_below integer not null, closed_before_s integer not null,
    returned text not null, paid_out integer not null, primary key (bucket, id)
) without rowid;
create table certificate (
    bucket integer not null, wallet blob not null, from_s integer not null, until_s integer not null,
    status_index integer not null, primary key (bucket, wallet, from_s)
) without rowid;
create table record (
    bucket integer not null, payer blob not null, payer_seq integer not null, id blob not null,
    payee blob not null, request_no integer not null, amount integer not null, spent integer not null,
    payer_until_s integer not null, bits integer not null, first_seen_s integer not null, payment blob not null,
    primary key (bucket, payer, payer_seq, id)
) without rowid;
create index record_by_id on record (bucket, payer, id);
create index record_by_spent on record (bucket, payer, spent);
create table ledger (
    bucket integer not null, kind integer not null, reference blob not null, debit text not null,
    credit text not null, amount integer not null check (amount > 0), primary key (bucket, kind, reference)
) without rowid;
-- Payer's step and payee's step are written together here, so every message is delivered when it is written (done = 1).
create table outbox (
    bucket integer not null, payment blob not null, kind integer not null, done integer not null,
    primary key (bucket, payment, kind)
) without rowid;
create table statement (
    bucket integer not null, wallet blob not null, seq integer not null, id blob not null, message blob not null,
    signed blob, statement blob not null, settlement_id blob not null, settlement blob not null,
    primary key (bucket, wallet, seq, message)
) without rowid;
create index statement_by_settlement on statement (bucket, wallet, settlement_id);
create table fund_order (
    bucket integer not null, wallet blob not null, number integer not null, digest blob not null,
    amount integer not null, state integer not null, primary key (bucket, wallet, number)
) without rowid;
create table rail_move (
    bucket integer not null, id text not null, from_psp text not null, from_account text not null,
    to_psp text not null, to_account text not null, amount integer not null, done integer not null,
    primary key (bucket, id)
) without rowid;
create table misconduct (
    bucket integer not null, wallet blob not null, reason integer not null, digest blob not null,
    evidence blob not null, opened_at_s integer not null, primary key (bucket, wallet, reason, digest)
) without rowid;
create table revocation (
    bucket integer not null, wallet blob not null, status_index integer not null, since_no integer not null,
    until_no integer not null, at_s integer not null, primary key (bucket, wallet)
) without rowid;
create table published (
    bucket integer not null, kind integer not null, number integer not null, issued_at_s integer not null,
    bytes blob not null, primary key (bucket, kind, number)
) without rowid;
create table idempotency (
    bucket integer not null, key blob not null, request blob not null, status integer not null, body text not null,
    kept_at_s integer not null, primary key (bucket, key)
) without rowid;
create table activation (
    bucket integer not null, code blob not null, psp text not null, account text not null, until_s integer not null,
    used integer not null, primary key (bucket, code)
) without rowid;
";

/// 96 is `bit::CREDITED | bit::RETURNED`: of all payments, the index has those that came to rest nowhere.
const CLOSED_WALLETS: &str = "
alter table wallet add column closed_at_s integer not null default 0;
alter table wallet add column closed_out integer not null default 0;
alter table wallet add column closed_out_no integer not null default 0;
create index wallet_closed on wallet (bucket, id) where closed_at_s > 0;
create index record_in_flight on record (payee, bucket) where bits & 96 = 0;
";

/// A wallet of before is one about whose element nothing is known: see `Element::unknown`.
const ELEMENTS: &str = "
alter table wallet add column image blob not null default
    x'0000000000000000000000000000000000000000000000000000000000000000';
alter table wallet add column image_version integer not null default 0;
alter table wallet add column application blob not null default
    x'0000000000000000000000000000000000000000000000000000000000000000';
alter table wallet add column counter integer not null default 1;
alter table wallet add column evidence integer not null default 1;
alter table wallet add column tamper integer;
alter table wallet add column tamper_at_s integer not null default 0;
alter table wallet add column lowered integer not null default 0;
create table image (
    bucket integer not null, hash blob not null, version integer not null, listed_at_s integer not null,
    withdrawn_at_s integer not null, primary key (bucket, hash)
) without rowid;
insert into setting values (0, 'challenge_secret', lower(hex(randomblob(32))));
";

/// What is looked for again and again is found without going through what has come to rest: 512 is `bit::CLOSED`, 4096 is
/// `bit::FORKED`.
const OPEN_ITEMS: &str = "
create index record_open on record (bucket, payer) where bits & 512 = 0;
create index record_forked on record (bucket, payer, spent) where bits & 4096 <> 0;
create index rail_move_open on rail_move (bucket, id) where done = 0;
create index fund_order_open on fund_order (bucket, wallet, number) where state = 1;
create index wallet_below on wallet (bucket, id) where shadow < 0;
create index wallet_revoked on wallet (bucket, id) where revoked;
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{SqliteStore, Store};
    use counterfoil_wire::KeyId;

    #[test]
    fn a_file_of_the_first_version_is_read_as_it_was_and_no_wallet_in_it_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("operator.db");
        let db = rusqlite::Connection::open(&path).unwrap();
        db.execute_batch(FIRST).unwrap();
        db.pragma_update(None, "user_version", 1).unwrap();
        let (bucket, key) = (crate::domain::bucket(&KeyId([7; 32])), [7u8; 32]);
        db.execute(
            "insert into wallet values (?1, ?2, ?2, 'alpha', 'ann', '', 3, 1, 0, 0, ?2, 0, 0, 0, 0, 5, 0, 0, null, 0, 0,
             0, 0, 0, 0, 0, 0, '[]', 0)",
            rusqlite::params![bucket, key],
        )
        .unwrap();
        drop(db);
        for _ in 0..2 {
            let store = SqliteStore::open(&path).unwrap();
            let wallet = store.wallet(&KeyId(key)).unwrap().unwrap();
            assert_eq!((wallet.shadow, wallet.is_closed(), wallet.closed_out_no), (5, false, 0));
            assert_eq!(store.closed_with_rest().unwrap(), []);
            assert_eq!(wallet.element, crate::domain::element::Element::unknown());
            assert_eq!((wallet.tamper, wallet.lowered), (None, false));
        }
    }

    #[test]
    fn what_is_looked_for_again_and_again_is_found_by_an_index_of_what_is_open() {
        use crate::domain::record::bit;
        use crate::store::{read, sqlite};
        assert_eq!((bit::CREDITED | bit::RETURNED, bit::CLOSED, bit::FORKED), (96, 512, 4096));
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&dir.path().join("operator.db")).unwrap();
        for (query, index) in [
            (read::IN_FLIGHT, "record_in_flight"),
            (read::OPEN_RECORDS, "record_open"),
            (read::ANY_FORKED, "record_forked"),
            (read::FORKED_NEAR, "record_forked"),
            (read::ENDING_AFTER, "record_by_spent"),
            (read::PENDING_MOVES, "rail_move_open"),
            (sqlite::PENDING_ORDERS, "fund_order_open"),
            (sqlite::OVERDUE, "wallet_below"),
            (sqlite::UNLISTED, "wallet_revoked"),
        ] {
            let mut plan = store.db.prepare(&format!("explain query plan {query}")).unwrap();
            let steps: Vec<String> = plan
                .query_map(rusqlite::params_from_iter((0..plan.parameter_count()).map(|_| 0)), |row| {
                    row.get("detail")
                })
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            assert!(steps.iter().any(|step| step.contains(index)), "{query}: {steps:?}");
            assert!(steps.iter().all(|step| !step.contains("TEMP B-TREE")), "{query}: {steps:?}");
        }
    }
}
