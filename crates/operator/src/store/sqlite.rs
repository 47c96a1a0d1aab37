//! The embedded store: one SQLite file, one writer.

use std::collections::BTreeMap;
use std::path::Path;

use counterfoil_wire::{Digest, KeyId, Wire};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::rows::{PUT_RECORD, PUT_WALLET, Sql, WALLET, put_record, put_wallet, wallet};
use super::schema::MIGRATIONS;
use super::{
    Batch, Issued, Kept, ListKind, ListedImage, Order, Psp, Published, Revocation, Store, StoreError, read,
    scan,
};
use crate::domain::audit::Scan;
use crate::domain::bucket;
use crate::domain::holding::Rows;
use crate::domain::known::{Known, Needs};
use crate::domain::reconcile::Move;
use crate::domain::record::bit;
use crate::domain::wallet::Wallet;

/// The bucket of what is the whole scheme's.
const SCHEME: u16 = 0;

/// Pages of the database that are kept in memory, KiB.
const CACHE_KIB: i64 = 64 << 10;
/// The write-ahead log goes into the database when it has this many pages of 4 KiB: few batches have so many.
const CHECKPOINT_PAGES: i64 = 16_384;

/// 1 is `OrderState::Pending`, written out so that the index of just these rows is used.
pub(super) const PENDING_ORDERS: &str = "select * from fund_order where state = 1";
pub(super) const OVERDUE: &str =
    "select * from wallet where shadow < 0 and not revoked and cert_until_s < ?1";
pub(super) const UNLISTED: &str =
    "select * from wallet where revoked and not exists (select 1 from revocation
    where revocation.bucket = wallet.bucket and revocation.wallet = wallet.id)";

/// The embedded store.
pub struct SqliteStore {
    pub(super) db: Connection,
}

impl SqliteStore {
    /// Opens the store in the file at `path`, which is made and migrated as needed.
    ///
    /// # Errors
    /// [`StoreError::Database`]; [`StoreError::Unexpected`] for a file that a newer version wrote.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut db = Connection::open(path)?;
        db.busy_timeout(std::time::Duration::from_secs(5))?;
        db.pragma_update(None, "journal_mode", "wal")?;
        db.pragma_update(None, "synchronous", "full")?;
        db.pragma_update(None, "cache_size", -CACHE_KIB)?;
        db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        db.set_prepared_statement_cache_capacity(64);
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done: u32 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let done = usize::try_from(done).unwrap_or(usize::MAX);
        if done > MIGRATIONS.len() {
            return Err(StoreError::Unexpected("user_version"));
        }
        for migration in MIGRATIONS.iter().skip(done) {
            tx.execute_batch(migration)?;
        }
        tx.pragma_update(None, "user_version", u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX))?;
        tx.commit()?;
        Ok(Self { db })
    }
}

/// Fails unless exactly one row was changed: a row that is silently skipped is money that vanishes.
fn one(changed: usize, table: &'static str) -> Result<(), StoreError> {
    if changed == 1 { Ok(()) } else { Err(StoreError::Unexpected(table)) }
}

impl Store for SqliteStore {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut put = tx.prepare_cached(PUT_WALLET)?;
            batch.wallets.iter().try_for_each(|wallet| put_wallet(&mut put, wallet))?;
            let mut put = tx.prepare_cached(PUT_RECORD)?;
            batch.records.iter().try_for_each(|record| put_record(&mut put, record))?;
        }
        write_money(&tx, batch)?;
        write_answers(&tx, batch)?;
        write_lists(&tx, batch)?;
        tx.commit()?;
        Ok(())
    }

    fn wallet(&self, key: &KeyId) -> Result<Option<Wallet>, StoreError> {
        let mut find = self.db.prepare_cached(WALLET)?;
        find.query_and_then(params![bucket(key), key.0], wallet)?.next().transpose()
    }

    fn gather(&self, needs: &[Needs]) -> Result<Known, StoreError> {
        read::gather(self, needs)
    }

    fn answered(&self, key: &KeyId, message: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let mut find = self.db.prepare_cached(
            "select settlement from statement where bucket = ?1 and wallet = ?2 and message = ?3",
        )?;
        Ok(find.query_row(params![bucket(key), key.0, message.0], |row| row.get(0)).optional()?)
    }

    fn order(&self, key: &KeyId, number: u32) -> Result<Option<Order>, StoreError> {
        let mut find = self
            .db
            .prepare_cached("select * from fund_order where bucket = ?1 and wallet = ?2 and number = ?3")?;
        find.query_and_then(params![bucket(key), key.0, number], read::order)?.next().transpose()
    }

    fn pending_orders(&self) -> Result<Vec<Order>, StoreError> {
        let mut find = self.db.prepare_cached(PENDING_ORDERS)?;
        find.query_and_then([], read::order)?.collect()
    }

    fn pending_moves(&self) -> Result<Vec<Move>, StoreError> {
        read::pending_moves(&self.db)
    }

    fn moved(&mut self, bucket: u16, id: &str) -> Result<(), StoreError> {
        let changed = self
            .db
            .execute("update rail_move set done = 1 where bucket = ?1 and id = ?2", params![bucket, id])?;
        one(changed, "rail_move")
    }

    fn newest(&self, kind: ListKind) -> Result<Option<Published>, StoreError> {
        let mut find = self.db.prepare_cached(
            "select number, issued_at_s, bytes from published where bucket = ?1 and kind = ?2
             order by number desc limit 1",
        )?;
        let read = find.query_row(params![SCHEME, kind as u8], |row| {
            Ok(Published { kind, number: row.get(0)?, issued_at_s: row.get(1)?, bytes: row.get(2)? })
        });
        Ok(read.optional()?)
    }

    fn issued_at(&self, kind: ListKind, number: u32) -> Result<Option<u32>, StoreError> {
        let mut find = self.db.prepare_cached(
            "select issued_at_s from published where bucket = ?1 and kind = ?2 and number = ?3",
        )?;
        Ok(find.query_row(params![SCHEME, kind as u8, number], |row| row.get(0)).optional()?)
    }

    fn revocations(&self) -> Result<Vec<Revocation>, StoreError> {
        let mut all = self.db.prepare_cached("select * from revocation order by status_index")?;
        all.query_and_then([], read::revocation)?.collect()
    }

    fn unlisted(&self) -> Result<Vec<Wallet>, StoreError> {
        let mut find = self.db.prepare_cached(UNLISTED)?;
        find.query_and_then([], wallet)?.collect()
    }

    fn overdue(&self, ended_before_s: u32) -> Result<Vec<Wallet>, StoreError> {
        let mut find = self.db.prepare_cached(OVERDUE)?;
        find.query_and_then(params![ended_before_s], wallet)?.collect()
    }

    fn closed_with_rest(&self) -> Result<Vec<KeyId>, StoreError> {
        let mut find = self.db.prepare_cached(
            "select id from wallet where closed_at_s > 0 and (shadow <> 0 or exists (select 1 from record
             where record.bucket = wallet.bucket and record.payer = wallet.id and bits & ?1 = ?2))",
        )?;
        let at_rest_or_told = bit::PAYER | bit::CREDITED | bit::RETURNED;
        let rows = find.query_map(params![at_rest_or_told, bit::PAYER], |row| row.get::<_, Sql<KeyId>>(0))?;
        Ok(rows.map(|row| row.map(|key| key.0)).collect::<Result<_, _>>()?)
    }

    fn holding_rows(&self, key: &KeyId) -> Result<Option<Rows>, StoreError> {
        read::holding_rows(self, key)
    }

    fn revoked_certificates(&self, now_s: u32) -> Result<Vec<(Issued, u32)>, StoreError> {
        let mut find = self.db.prepare_cached(
            "select certificate.wallet, certificate.status_index, from_s, until_s, at_s
             from revocation join certificate
             on certificate.bucket = revocation.bucket and certificate.wallet = revocation.wallet
             where revocation.until_no = 0 and until_s >= ?1 order by certificate.status_index, from_s",
        )?;
        let rows = find.query_map(params![now_s], |row| {
            let wallet = row.get::<_, Sql<KeyId>>(0)?.0;
            Ok((
                Issued { wallet, status_index: row.get(1)?, from_s: row.get(2)?, until_s: row.get(3)? },
                row.get(4)?,
            ))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn psps(&self) -> Result<Vec<Psp>, StoreError> {
        let mut all =
            self.db.prepare_cached("select name, token from psp where bucket = ?1 order by name")?;
        let rows = all.query_map(params![SCHEME], |row| {
            Ok(Psp { name: row.get(0)?, token: row.get::<_, Sql<Digest>>(1)?.0 })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn add_psp(&mut self, psp: &Psp, issuers: &[(String, u32)]) -> Result<(), StoreError> {
        let tx = self.db.transaction()?;
        tx.execute("insert into psp values (?1, ?2, ?3)", params![SCHEME, psp.name, psp.token.0])?;
        for (algorithm, first) in issuers {
            tx.execute(
                "insert into issuer values (?1, ?2, ?3, ?4)",
                params![SCHEME, psp.name, algorithm, first],
            )?;
        }
        tx.commit()?;
        Ok(())
    }

    fn next_index(&self, psp: &str, algorithm: &str) -> Result<Option<u32>, StoreError> {
        let mut find = self
            .db
            .prepare_cached("select next_index from issuer where bucket = ?1 and psp = ?2 and alg = ?3")?;
        Ok(find.query_row(params![SCHEME, psp, algorithm], |row| row.get(0)).optional()?)
    }

    fn add_activation(
        &mut self,
        code: &Digest,
        psp: &str,
        account: &str,
        until_s: u32,
    ) -> Result<(), StoreError> {
        self.db.execute(
            "insert into activation values (?1, ?2, ?3, ?4, ?5, 0)",
            params![SCHEME, code.0, psp, account, until_s],
        )?;
        Ok(())
    }

    fn activation_open(
        &self,
        code: &Digest,
        psp: &str,
        account: &str,
        now_s: u32,
    ) -> Result<bool, StoreError> {
        let mut find = self.db.prepare_cached(
            "select 1 from activation where bucket = ?1 and code = ?2 and psp = ?3 and account = ?4
             and until_s >= ?5 and used = 0",
        )?;
        Ok(find.exists(params![SCHEME, code.0, psp, account, now_s])?)
    }

    fn images(&self) -> Result<Vec<ListedImage>, StoreError> {
        let mut all = self.db.prepare_cached(
            "select hash, version, listed_at_s, withdrawn_at_s from image where bucket = ?1
             order by listed_at_s, version, hash",
        )?;
        let rows = all.query_map(params![SCHEME], |row| {
            Ok(ListedImage {
                hash: row.get::<_, Sql<Digest>>(0)?.0,
                version: row.get(1)?,
                listed_at_s: row.get(2)?,
                withdrawn_at_s: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn put_image(&mut self, image: &ListedImage) -> Result<(), StoreError> {
        self.db.execute(
            "insert into image values (?1, ?2, ?3, ?4, ?5) on conflict (bucket, hash)
             do update set version = excluded.version, withdrawn_at_s = excluded.withdrawn_at_s",
            params![SCHEME, image.hash.0, image.version, image.listed_at_s, image.withdrawn_at_s],
        )?;
        Ok(())
    }

    fn kept(&self, key: &Digest) -> Result<Option<Kept>, StoreError> {
        let mut find = self
            .db
            .prepare_cached("select request, status, body from idempotency where bucket = ?1 and key = ?2")?;
        let read = find.query_row(params![bucket(&KeyId(key.0)), key.0], |row| {
            Ok(Kept { request: row.get::<_, Sql<Digest>>(0)?.0, status: row.get(1)?, body: row.get(2)? })
        });
        Ok(read.optional()?)
    }

    fn keep(&mut self, key: &Digest, kept: &Kept, now_s: u32) -> Result<(), StoreError> {
        self.db.execute(
            "insert into idempotency values (?1, ?2, ?3, ?4, ?5, ?6) on conflict do nothing",
            params![bucket(&KeyId(key.0)), key.0, kept.request.0, kept.status, kept.body, now_s],
        )?;
        Ok(())
    }

    fn settings(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let mut all = self.db.prepare_cached("select name, value from setting where bucket = ?1")?;
        let rows = all.query_map(params![SCHEME], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), StoreError> {
        self.db.execute(
            "insert into setting values (?1, ?2, ?3) on conflict (bucket, name) do update set value = excluded.value",
            params![SCHEME, name, value],
        )?;
        Ok(())
    }

    fn scan(&mut self) -> Result<Scan, StoreError> {
        scan::scan(&mut self.db)
    }
}

fn write_money(tx: &Connection, batch: &Batch) -> Result<(), StoreError> {
    let mut put = tx.prepare_cached("insert into ledger values (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for posting in &batch.postings {
        let (debit, credit) = (posting.debit.to_string(), posting.credit.to_string());
        let (kind, reference) = (posting.kind as u8, posting.reference.0);
        put.execute(params![posting.bucket, kind, reference, debit, credit, Sql(posting.amount)])?;
    }
    let mut put = tx.prepare_cached("insert into rail_move values (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)")?;
    for order in &batch.moves {
        let (from, to) = (&order.from, &order.to);
        put.execute(params![
            order.bucket,
            order.id,
            from.psp,
            from.account,
            to.psp,
            to.account,
            Sql(order.amount)
        ])?;
    }
    let mut put = tx.prepare_cached("insert into outbox values (?1, ?2, ?3, 1) on conflict do nothing")?;
    for message in &batch.outbox {
        put.execute(params![message.bucket, message.payment.0, message.kind])?;
    }
    if let Some(order) = &batch.order {
        tx.execute(
            "insert into fund_order values (?1, ?2, ?3, ?4, ?5, ?6)
             on conflict (bucket, wallet, number) do update set state = excluded.state",
            params![
                bucket(&order.wallet),
                order.wallet.0,
                order.number,
                order.digest.0,
                Sql(order.amount),
                order.state as u8
            ],
        )?;
    }
    Ok(())
}

fn write_answers(tx: &Connection, batch: &Batch) -> Result<(), StoreError> {
    let mut put =
        tx.prepare_cached("insert into misconduct values (?1, ?2, ?3, ?4, ?5, ?6) on conflict do nothing")?;
    for (case, opened_at_s) in &batch.cases {
        let digest = counterfoil_trust::sha256(&case.evidence);
        let reason = case.reason as u8;
        put.execute(params![bucket(&case.key), case.key.0, reason, digest.0, case.evidence, opened_at_s])?;
    }
    let mut put = tx.prepare_cached("insert into statement values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
    for answer in &batch.answers {
        put.execute(params![
            bucket(&answer.wallet),
            answer.wallet.0,
            answer.seq,
            answer.id.0,
            answer.message.0,
            answer.signed.as_ref().map(Wire::to_bytes),
            answer.statement,
            answer.settlement_id.0,
            answer.settlement
        ])?;
    }
    if let Some((code, psp, account)) = &batch.activation {
        let changed = tx.execute(
            "update activation set used = 1 where bucket = ?1 and code = ?2 and psp = ?3 and account = ?4
             and used = 0",
            params![SCHEME, code.0, psp, account],
        )?;
        one(changed, "activation")?;
    }
    Ok(())
}

fn write_lists(tx: &Connection, batch: &Batch) -> Result<(), StoreError> {
    let mut put = tx.prepare_cached("insert into certificate values (?1, ?2, ?3, ?4, ?5)")?;
    for cert in &batch.issued {
        put.execute(params![
            bucket(&cert.wallet),
            cert.wallet.0,
            cert.from_s,
            cert.until_s,
            cert.status_index
        ])?;
    }
    for object in &batch.published {
        tx.execute(
            "insert into published values (?1, ?2, ?3, ?4, ?5)",
            params![SCHEME, object.kind as u8, object.number, object.issued_at_s, object.bytes],
        )?;
    }
    for row in &batch.revocations {
        tx.execute(
            "insert into revocation values (?1, ?2, ?3, ?4, ?5, ?6)
             on conflict (bucket, wallet) do update set until_no = excluded.until_no",
            params![
                bucket(&row.wallet),
                row.wallet.0,
                row.status_index,
                row.since_no,
                row.until_no,
                row.at_s
            ],
        )?;
    }
    if let Some((psp, algorithm, next)) = &batch.next_index {
        let changed = tx.execute(
            "update issuer set next_index = ?4 where bucket = ?1 and psp = ?2 and alg = ?3 and next_index < ?4",
            params![SCHEME, psp, algorithm, next],
        )?;
        one(changed, "issuer")?;
    }
    Ok(())
}
